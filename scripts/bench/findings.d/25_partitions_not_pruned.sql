-- One month of a table partitioned by month: the cast on the key keeps all partitions in.
-- expect: partitions_not_pruned
-- setup
CREATE TABLE log_lines (at timestamp NOT NULL, level int NOT NULL, line text NOT NULL) PARTITION BY RANGE (at);
SELECT format('CREATE TABLE log_lines_%s PARTITION OF log_lines FOR VALUES FROM (%L) TO (%L)', g,
              timestamp '2023-01-01' + g * interval '1 month', timestamp '2023-01-01' + (g + 1) * interval '1 month')
  FROM generate_series(0, 23) g \gexec
INSERT INTO log_lines
SELECT timestamp '2023-01-01' + g * interval '100 seconds', g % 6, repeat('l', 60) FROM generate_series(1, 500000) g;
VACUUM ANALYZE log_lines;
-- query
SELECT level, count(*) FROM log_lines
 WHERE to_char(at, 'YYYY-MM') = '2024-05' GROUP BY level;
