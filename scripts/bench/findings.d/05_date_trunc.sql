-- One day of a log: date_trunc() around the indexed time.
-- expect: function_on_column
-- setup
CREATE TABLE access_log (id int PRIMARY KEY, at timestamp NOT NULL, path text NOT NULL, bytes int NOT NULL);
INSERT INTO access_log
SELECT g, timestamp '2024-01-01' + g * interval '45 seconds', '/page/' || g % 1000, g % 9000
  FROM generate_series(1, 400000) g;
CREATE INDEX access_log_at ON access_log (at);
VACUUM ANALYZE access_log;
-- query
SELECT count(*), sum(bytes) FROM access_log WHERE date_trunc('day', at) = timestamp '2024-06-01';
