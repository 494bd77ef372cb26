-- Who sees what of whom.
SET dbperf.slow_query_min_duration = 0;
SET dbperf.slow_query_max_rate = 0;
CREATE ROLE regress_dbperf_alice;
CREATE ROLE regress_dbperf_bob;
CREATE ROLE regress_dbperf_dba IN ROLE pg_read_all_stats;
CREATE ROLE regress_dbperf_team IN ROLE regress_dbperf_alice;
CREATE VIEW visible AS
    SELECT s.user_name, s.query, s.query_length, s.parameters, s.plan IS NULL AS no_plan,
           s.queryid IS NULL AS no_queryid, s.plan_id IS NULL AS no_plan_id,
           s.application_name IS NULL AS no_application, s.tags,
           s.waits IS NULL AS no_waits, s.duration_ms >= 0 AS duration, s.rows
      FROM dbperf.slow_queries() s
     WHERE s.pid = pg_backend_pid() AND s.user_name LIKE 'regress_dbperf_%'
       -- of the two statements below, whose texts are not always shown
       AND s.query_length IN (68, 59) AND s.command = 'SELECT';
GRANT SELECT ON visible TO PUBLIC;

SELECT dbperf.slow_queries_reset();
SET ROLE regress_dbperf_alice;
PREPARE secret(text) AS SELECT upper($1) AS secret /* key='alice' */;
EXECUTE secret('of alice');
SET ROLE regress_dbperf_bob;
PREPARE hidden(text) AS SELECT $1 AS hidden /* key='bob' */;
EXECUTE hidden('of bob');
RESET ROLE;

\x on
-- a plain role: its own
SET ROLE regress_dbperf_alice;
SELECT * FROM visible ORDER BY user_name;
SET ROLE regress_dbperf_bob;
SELECT * FROM visible ORDER BY user_name;
\x off
-- a member of the role, a member of pg_read_all_stats, a superuser
SET ROLE regress_dbperf_team;
SELECT user_name, query FROM visible ORDER BY user_name;
SET ROLE regress_dbperf_dba;
SELECT user_name, query, parameters, tags FROM visible ORDER BY user_name;
RESET ROLE;
SELECT user_name, query, parameters, tags FROM visible ORDER BY user_name;

-- latencies: numbers are for all, ids are not
SET ROLE regress_dbperf_bob;
SELECT user_name, calls > 0 AS calls, bool_or(queryid IS NOT NULL) AS some_id
  FROM dbperf.query_latency
 WHERE user_name IN ('regress_dbperf_alice', 'regress_dbperf_bob') AND period = 'lifetime'
 GROUP BY 1, 2 ORDER BY 1;
SELECT user_name, bool_and(query = '<insufficient privilege>') AS hidden,
       bool_and(parameters IS NULL AND parameter_types IS NULL AND search_path IS NULL AND
                queryid IS NULL) AS nothing_else
  FROM dbperf.query_samples
 WHERE user_name = 'regress_dbperf_alice' GROUP BY 1;
RESET ROLE;
SELECT queryid AS alice_id FROM dbperf.query_samples
 WHERE user_name = 'regress_dbperf_alice' AND query LIKE '%AS secret%' AND parameters IS NOT NULL
\gset
SET ROLE regress_dbperf_bob;
SELECT dbperf.latency_percentile(:alice_id, 0.5) IS NULL AS unknown,
       dbperf.workload_percentile(0.5) > 0 AS workload;
SET ROLE regress_dbperf_alice;
SELECT dbperf.latency_percentile(:alice_id, 0.5) > 0 AS known;

-- nobody changes anything
SELECT dbperf.slow_queries_reset();
SELECT dbperf.query_latency_reset();
SELECT count(*) FROM dbperf.slow_query_history;
SET dbperf.slow_query_min_duration = -1;
SET dbperf.track = 'none';
SET dbperf.redact = 'off';
SET dbperf.enabled = off;
SET dbperf.log_slow_queries = on;
-- but can look
SELECT count(*) FROM dbperf.monitor_status;
-- this session's user is another one
SELECT query, plan, queryid, started_at, waits, blocked_by
  FROM dbperf.running_queries WHERE pid = pg_backend_pid();
SET ROLE regress_dbperf_dba;
SELECT count(*) >= 0 AS readable FROM dbperf.slow_query_history;
SELECT dbperf.slow_queries_reset();
RESET ROLE;

-- a dropped role's statements stay, without its name
CREATE ROLE regress_dbperf_gone;
SELECT dbperf.slow_queries_reset();
SET ROLE regress_dbperf_gone;
SELECT 'gone' AS gone;
RESET ROLE;
DROP ROLE regress_dbperf_gone;
SELECT user_name, query FROM mine WHERE query LIKE '%gone%' AND command = 'SELECT';
SET ROLE regress_dbperf_alice;
SELECT user_name, query FROM dbperf.slow_queries
 WHERE pid = pg_backend_pid() AND user_name IS NULL AND command = 'SELECT';
RESET ROLE;

DROP VIEW visible;
DEALLOCATE ALL;
DROP ROLE regress_dbperf_alice, regress_dbperf_bob, regress_dbperf_dba, regress_dbperf_team;
