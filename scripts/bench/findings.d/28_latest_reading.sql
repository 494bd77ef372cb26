-- The latest reading of each sensor: the whole table is read for each one.
-- expect: sequential_scan_in_loop
-- setup
CREATE TABLE sensors (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE samples (id int PRIMARY KEY, sensor_id int NOT NULL, at timestamp NOT NULL, value int NOT NULL);
INSERT INTO sensors SELECT g, 'sensor ' || g FROM generate_series(1, 15) g;
INSERT INTO samples
SELECT g, (g * 7919::bigint) % 1000 + 1, timestamp '2024-01-01' + g * interval '10 seconds', g % 100
  FROM generate_series(1, 100000) g;
VACUUM ANALYZE sensors, samples;
-- query
SELECT s.name, l.at, l.value
  FROM sensors s
 CROSS JOIN LATERAL (SELECT at, value FROM samples x WHERE x.sensor_id = s.id ORDER BY at DESC LIMIT 1) l;
