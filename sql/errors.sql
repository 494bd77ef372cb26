-- Statements that fail are recorded too, under their own query id and with the
-- time they really took.
SET dbperf.slow_query_min_duration = 0;
SET dbperf.slow_query_max_rate = 0;
CREATE TABLE failing (a int PRIMARY KEY, b int CHECK (b > 0));
CREATE TABLE child (a int REFERENCES failing DEFERRABLE INITIALLY DEFERRED);
SELECT dbperf.slow_queries_reset();

SELECT 1 / 0 AS constant;
SELECT 1 / count(*) AS at_run_time FROM failing;
INSERT INTO failing VALUES (1, -1);
INSERT INTO failing VALUES (1, 1), (1, 1);
SELECT missing FROM failing;
SELEC 1;
CREATE TABLE failing (a int);
EXECUTE unknown_statement;
SELECT command, level, query, sqlstate, rows, queryid IS NOT NULL AS has_queryid
  FROM mine ORDER BY n;

-- a statement that works has the same id as one that fails
SELECT dbperf.slow_queries_reset();
SELECT 1 / (a - 1) FROM failing;
INSERT INTO failing VALUES (1, 1);
SELECT 1 / (a - 1) FROM failing;
SELECT count(DISTINCT queryid) AS ids, array_agg(sqlstate ORDER BY n) AS sqlstates
  FROM mine WHERE query LIKE 'SELECT 1 / (a - 1)%';

-- cancelled: the real time is there, and the wait
SELECT dbperf.slow_queries_reset();
SET statement_timeout = '300ms';
SELECT pg_sleep(10);
RESET statement_timeout;
SELECT command, query, sqlstate, queryid IS NOT NULL AS has_queryid,
       duration_ms BETWEEN 250 AND 5000 AS duration, waits ? 'Timeout:PgSleep' AS waited
  FROM mine ORDER BY n;

-- refused at COMMIT
SELECT dbperf.slow_queries_reset();
BEGIN;
INSERT INTO child VALUES (99);
COMMIT;
SELECT command, query, sqlstate FROM mine ORDER BY n;

-- inside an aborted transaction
SELECT dbperf.slow_queries_reset();
BEGIN;
SELECT 1 / 0;
SELECT 'ignored';
ROLLBACK;
SELECT command, query, sqlstate FROM mine ORDER BY n;

-- an error that is caught fails the nested statement only
SET dbperf.track = 'all';
SELECT dbperf.slow_queries_reset();
DO $$
BEGIN
    PERFORM 1 / a FROM (SELECT 0 AS a OFFSET 0) s;
EXCEPTION WHEN division_by_zero THEN
    NULL;
END $$;
SELECT command, level, sqlstate, count(*) FROM mine GROUP BY 1, 2, 3 ORDER BY 2;
RESET dbperf.track;

-- failed statements count as calls and as errors
SELECT l.calls, l.errors
  FROM dbperf.query_latency l
       JOIN dbperf.query_samples s USING (queryid, database_name, user_name, toplevel)
 WHERE s.query LIKE 'SELECT 1 / (a - 1) FROM failing%' AND l.period = 'lifetime'
   AND l.database_name = current_database();

DROP TABLE child, failing;
