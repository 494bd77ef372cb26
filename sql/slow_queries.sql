-- What a record of a slow statement holds.
SELECT dbperf.slow_queries_reset();
SET application_name = 'regress_slow';

-- by default only what takes 100 ms
SHOW dbperf.slow_query_min_duration;
SELECT 1 AS fast;
SELECT pg_sleep(0.3) /* controller='orders', route='%2Fpay' */;
\x on
SELECT command, level, query, query_length = length(query) AS complete, rows, sqlstate,
       parameters, tags,
       database_name = current_database() AS this_database,
       user_name = current_user AS this_user,
       application_name,
       parent_queryid,
       queryid IS NOT NULL AS has_queryid,
       plan_id IS NOT NULL AS has_plan_id,
       plan ~ '^Result' AS has_plan,
       duration_ms BETWEEN 300 AND 5000 AS duration,
       pre_execution_ms >= 0 AND pre_execution_ms < 1000 AS pre_execution,
       planning_ms >= 0 AND planning_ms < 1000 AS planning,
       started_at < now() AND started_at > now() - interval '1 minute' AS started,
       cpu_ms IS NULL OR cpu_ms < 250 AS idle,
       waits ? 'Timeout:PgSleep' AS waited,
       (waits ->> 'Timeout:PgSleep')::float8 BETWEEN 100 AND 5000 AS waited_long,
       blocked_by
  FROM mine ORDER BY n;
\x off

-- the query id is the server's own
SELECT count(*)
  FROM mine JOIN pg_stat_statements s USING (queryid)
       JOIN pg_database d ON d.oid = s.dbid AND d.datname = mine.database_name
 WHERE s.query LIKE 'SELECT pg_sleep($1)%';

-- what it used
SET dbperf.slow_query_min_duration = 0;
SET dbperf.slow_query_max_rate = 0;
CREATE TABLE used (a int, b text);
SELECT dbperf.slow_queries_reset();
INSERT INTO used SELECT i, repeat('x', 100) FROM generate_series(1, 1000) i;
SELECT count(*) FROM used;
UPDATE used SET b = 'y' WHERE a <= 10;
DELETE FROM used WHERE a > 900;
CREATE TEMP TABLE local AS SELECT * FROM used;
SET work_mem = '64kB';
SELECT count(*) FROM (SELECT u.* FROM used u, generate_series(1, 20) ORDER BY b, a OFFSET 0) s;
RESET work_mem;
SELECT command, rows, shared_blks_hit > 0 AS hit, CASE WHEN command <> 'CREATE TABLE AS' THEN shared_blks_dirtied > 0 END AS dirtied,
       wal_records > 0 AS wal, wal_bytes > 1000 AS wal_bytes,
       local_blks_dirtied + local_blks_written > 0 AS local,
       temp_blks_written > 0 AS temp, sqlstate
  FROM mine ORDER BY n;

-- newest first
SELECT bool_and(id > next_id) AS newest_first
  FROM (SELECT id, lead(id) OVER () AS next_id FROM dbperf.slow_queries) s;

-- a plan with what really happened, if asked for
SET dbperf.plan_capture = 'rows';
SELECT dbperf.slow_queries_reset();
SELECT count(*) AS with_rows FROM used WHERE a < 100;
SET dbperf.plan_capture = 'plan';
SELECT count(*) AS with_plan FROM used WHERE a < 100;
SET dbperf.plan_capture = 'off';
SELECT count(*) AS without FROM used WHERE a < 100;
RESET dbperf.plan_capture;
SELECT query, plan ~ 'Seq Scan on used' AS plan, plan ~ 'actual rows=99' AS actual
  FROM mine ORDER BY n;

-- the same shape has the same plan id, constants do not matter
SET dbperf.plan_capture = 'plan';
SELECT dbperf.slow_queries_reset();
SELECT count(*) FROM used WHERE a < 7;
SELECT count(*) FROM used WHERE a < 8;
SELECT a FROM used WHERE a < 8 ORDER BY a LIMIT 1;
SELECT count(DISTINCT plan_id) AS shapes, count(DISTINCT queryid) AS queries, count(*) FROM mine;
RESET dbperf.plan_capture;

-- a reset leaves nothing, and ids go on
SELECT max(id) AS last_id FROM dbperf.slow_queries \gset
SET dbperf.slow_query_min_duration = -1;
SELECT dbperf.slow_queries_reset();
SELECT count(*) FROM dbperf.slow_queries WHERE pid = pg_backend_pid();
SET dbperf.slow_query_min_duration = 0;
SELECT 'after' AS reset;
SELECT id > :last_id AS goes_on FROM mine;

DROP TABLE used, local;
