-- An index-only scan that visits the table for each row: rows on all its pages changed since VACUUM.
-- expect: heap_fetches
-- setup
CREATE TABLE readings (sensor int NOT NULL, at timestamp NOT NULL, value int NOT NULL, raw text NOT NULL);
INSERT INTO readings
SELECT (g * 7919::bigint) % 500, timestamp '2024-01-01' + g * interval '1 second', g % 100, repeat('r', 60)
  FROM generate_series(1, 350000) g;
CREATE INDEX readings_sensor_at ON readings (sensor, at);
VACUUM ANALYZE readings;
UPDATE readings SET value = value + 1 WHERE value % 20 = 0;
-- session
SET random_page_cost = 1.1;
-- query
SELECT sensor, count(*), max(at) FROM readings WHERE sensor < 120 GROUP BY sensor;
