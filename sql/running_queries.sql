-- What runs now; here that is only this statement.
SELECT pid = pg_backend_pid() AS me, query LIKE 'SELECT pid = %' AS query,
       started_at <= clock_timestamp() AS started, elapsed_ms BETWEEN 0 AND 10000 AS elapsed,
       queryid IS NOT NULL AS has_queryid, waits, blocked_by,
       database_name = current_database() AS database, user_name = current_user AS "user"
  FROM dbperf.running_queries WHERE database_name = current_database();

-- an expensive one shows its plan while it runs
CREATE TABLE expensive AS SELECT i AS a FROM generate_series(1, 1000) i;
ANALYZE expensive;
SET dbperf.instrument_cost = 10;
SELECT plan ~ 'Seq Scan on expensive' AS has_plan, queryid IS NOT NULL AS has_queryid
  FROM dbperf.running_queries
 WHERE pid = pg_backend_pid()
   AND (SELECT count(*) FROM expensive x, expensive y WHERE x.a < 10 AND y.a < 10) > 0;

-- a cheap one does not
RESET dbperf.instrument_cost;
SELECT plan IS NULL AS no_plan FROM dbperf.running_queries WHERE pid = pg_backend_pid();
DROP TABLE expensive;
