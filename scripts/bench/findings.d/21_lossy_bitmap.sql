-- A bitmap that does not fit into a small work_mem: whole pages are read and checked again.
-- expect: lossy_bitmap
-- setup
CREATE TABLE measurements (id int PRIMARY KEY, device int NOT NULL, batch int NOT NULL, raw text NOT NULL);
INSERT INTO measurements
SELECT g, (g * 7919::bigint) % 150, (g * 104729::bigint) % 130, repeat('r', 60)
  FROM generate_series(1, 450000) g;
CREATE INDEX measurements_device ON measurements (device);
CREATE INDEX measurements_batch ON measurements (batch);
VACUUM ANALYZE measurements;
-- session
SET work_mem = '64kB';
SET random_page_cost = 1.1;
-- query
SELECT count(*), max(raw) FROM measurements WHERE device = 17 OR batch = 44;
