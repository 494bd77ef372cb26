-- dbperf.enabled = off stops everything, without a restart.
SET dbperf.slow_query_min_duration = 0;
SET dbperf.slow_query_max_rate = 0;
CREATE TABLE switched (a int);
SELECT dbperf.slow_queries_reset();
SELECT count(*) AS before FROM switched;
SET dbperf.enabled = off;
SELECT count(*) AS meanwhile FROM switched;
SELECT 1 / 0 AS meanwhile;
CREATE TABLE meanwhile (a int);
DROP TABLE meanwhile;
SET dbperf.enabled = on;
SELECT count(*) AS after FROM switched;
SELECT query FROM mine ORDER BY n;
SELECT count(*) FROM dbperf.query_samples
 WHERE database_name = current_database() AND query LIKE 'SELECT count(*) AS meanwhile%';

-- in the middle of a statement
CREATE FUNCTION switch(value text) RETURNS text LANGUAGE sql
    AS $$ SELECT set_config('dbperf.enabled', value, false) $$;
SELECT dbperf.slow_queries_reset();
SELECT switch('off') AS turned;
SELECT switch('on') AS turned;
BEGIN;
DECLARE c CURSOR FOR SELECT i FROM generate_series(1, 10) i /* switched */;
FETCH 1 FROM c;
SET dbperf.enabled = off;
FETCH 1 FROM c;
SET dbperf.enabled = on;
FETCH 1 FROM c;
COMMIT;
SELECT 'still works' AS result;
SELECT query FROM mine WHERE query LIKE '%still works%';

-- dbperf.track = none does the same for the session
SET dbperf.track = 'none';
SELECT dbperf.slow_queries_reset();
SELECT 'untracked' AS untracked;
SET dbperf.track = 'top';
SELECT 'tracked' AS tracked;
SELECT query FROM mine ORDER BY n;
RESET dbperf.track;

-- dbperf.slow_query_min_duration = -1 records nothing, but still counts
SET dbperf.slow_query_min_duration = -1;
SELECT dbperf.slow_queries_reset();
SELECT count(*) AS only_counted FROM switched a, switched b;
SELECT count(*) FROM mine;
SELECT l.calls
  FROM dbperf.query_latency l
       JOIN dbperf.query_samples s USING (queryid, database_name, user_name, toplevel)
 WHERE s.query LIKE 'SELECT count(*) AS only_counted%' AND l.period = 'lifetime'
   AND l.database_name = current_database();

DROP FUNCTION switch(text);
DROP TABLE switched;
