-- Newest ten of a tenant that left long ago: LIMIT makes the planner walk the wrong index.
-- expect: limit_wrong_index
-- setup
CREATE TABLE events (id int PRIMARY KEY, tenant_id int NOT NULL, at timestamp NOT NULL, body text NOT NULL);
INSERT INTO events
SELECT g, CASE WHEN g <= 8000 THEN 7 ELSE 8 + g % 90 END, timestamp '2023-01-01' + g * interval '30 seconds',
	repeat('e', 60)
  FROM generate_series(1, 450000) g;
CREATE INDEX events_at ON events (at);
CREATE INDEX events_tenant ON events (tenant_id);
VACUUM ANALYZE events;
-- query
SELECT id, at, body FROM events WHERE tenant_id = 7 ORDER BY at DESC LIMIT 10;
