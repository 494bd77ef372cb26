-- Statistics from before the launch: a state that was rare then is common now.
-- expect: stale_statistics
-- setup
CREATE TABLE shipments (id int PRIMARY KEY, state text NOT NULL, parcel_id int NOT NULL);
CREATE TABLE parcels (id int PRIMARY KEY, weight int NOT NULL, label text NOT NULL);
INSERT INTO parcels SELECT g, g % 100, repeat('l', 60) FROM generate_series(1, 250000) g;
INSERT INTO shipments
SELECT g, CASE WHEN g % 1000 = 0 THEN 'sent' ELSE 'new' END, g FROM generate_series(1, 20000) g;
VACUUM ANALYZE shipments, parcels;
INSERT INTO shipments SELECT g, 'sent', (g * 7919::bigint) % 250000 + 1 FROM generate_series(20001, 80000) g;
-- query
SELECT count(*), sum(p.weight)
  FROM shipments s JOIN parcels p ON p.id = s.parcel_id
 WHERE s.state = 'sent';
