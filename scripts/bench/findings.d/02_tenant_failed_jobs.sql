-- Multi-tenant jobs: the index on the tenant alone leaves nearly all rows to the filter.
-- expect: missing_index
-- setup
CREATE TABLE jobs (id int PRIMARY KEY, tenant_id int NOT NULL, state text NOT NULL,
	queued_at timestamp NOT NULL, payload text NOT NULL);
INSERT INTO jobs
SELECT g, (g * 7919::bigint) % 4, CASE WHEN g % 20011 = 0 THEN 'failed' ELSE 'done' END,
	timestamp '2024-01-01' + g * interval '1 second', repeat('p', 80)
  FROM generate_series(1, 450000) g;
CREATE INDEX jobs_tenant ON jobs (tenant_id);
VACUUM ANALYZE jobs;
-- session
SET random_page_cost = 1.1;
-- query
SELECT id, queued_at, payload FROM jobs WHERE tenant_id = 3 AND state = 'failed';
