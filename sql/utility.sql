-- Utility statements, and COPY.
SET dbperf.slow_query_min_duration = 0;
SET dbperf.slow_query_max_rate = 0;
SELECT dbperf.slow_queries_reset();
CREATE TABLE utility_table (a int);
CREATE INDEX ON utility_table (a);
COPY utility_table FROM stdin;
1
2
\.
COPY utility_table TO stdout;
COPY (SELECT a FROM utility_table ORDER BY a) TO stdout;
VACUUM utility_table;
ANALYZE utility_table;
BEGIN;
LOCK TABLE utility_table;
COMMIT;
ALTER TABLE utility_table ADD COLUMN b int;
TRUNCATE utility_table;
CREATE TABLE utility_copy AS SELECT i AS a FROM generate_series(1, 10) i;
DO $$ BEGIN NULL; END $$;
EXPLAIN (COSTS OFF) SELECT 1;
DROP TABLE utility_table, utility_copy;
SELECT command, level, query, rows, sqlstate, queryid IS NOT NULL AS has_queryid FROM mine ORDER BY n;

-- EXPLAIN is a statement of its own: what it explains was not executed
SELECT dbperf.slow_queries_reset();
EXPLAIN (COSTS OFF) SELECT 'explained' AS explained;
SELECT command, count(*) FROM mine GROUP BY 1 ORDER BY 1;

-- several statements in one message: each has its own text
SELECT dbperf.slow_queries_reset();
SELECT 'first' AS a\; SELECT 'second' AS b\; SELECT 'third' AS c;
SELECT query FROM mine ORDER BY n;
