-- Three weeks of trips, by their index.
-- healthy
-- setup
CREATE TABLE trips (id int PRIMARY KEY, started_at timestamp NOT NULL, km int NOT NULL, route text NOT NULL);
INSERT INTO trips
SELECT g, timestamp '2024-01-01' + g * interval '10 seconds', g % 300, repeat('r', 60)
  FROM generate_series(1, 500000) g;
CREATE INDEX trips_started ON trips (started_at);
VACUUM ANALYZE trips;
-- query
SELECT id, started_at, km, upper(route) FROM trips
 WHERE started_at >= timestamp '2024-02-01' AND started_at < timestamp '2024-02-22';
