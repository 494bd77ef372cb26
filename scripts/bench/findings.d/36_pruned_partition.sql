-- One month of a table partitioned by month: one partition is read.
-- healthy
-- setup
CREATE TABLE calls (at timestamp NOT NULL, seconds int NOT NULL, caller text NOT NULL) PARTITION BY RANGE (at);
SELECT format('CREATE TABLE calls_%s PARTITION OF calls FOR VALUES FROM (%L) TO (%L)', g,
              timestamp '2024-01-01' + g * interval '1 month', timestamp '2024-01-01' + (g + 1) * interval '1 month')
  FROM generate_series(0, 2) g \gexec
INSERT INTO calls
SELECT timestamp '2024-01-01' + g * interval '8 seconds', g % 3600, md5((g % 1000)::text)
  FROM generate_series(1, 500000) g;
VACUUM ANALYZE calls;
-- query
SELECT caller, sum(seconds) FROM calls
 WHERE at >= timestamp '2024-02-01' AND at < timestamp '2024-03-01' GROUP BY caller;
