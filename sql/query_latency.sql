-- Latencies per query.  The table has a name of its own, so that nothing else
-- has the same query ids.
CREATE TABLE latencies (a int);
SELECT dbperf.query_latency_reset(database_name => current_database()) >= 0 AS removed;

SELECT count(*) FROM latencies;
SELECT count(*) FROM latencies;
SELECT count(*) FROM latencies;
SELECT 1 / (count(*) - 1) AS sometimes_failing FROM latencies;
INSERT INTO latencies VALUES (1);
SELECT 1 / (count(*) - 1) AS sometimes_failing FROM latencies;
SELECT pg_sleep(0.2) FROM (SELECT count(*) FROM latencies) s;

CREATE VIEW my_latency AS
    SELECT l.*, s.query
      FROM dbperf.query_latency l
           JOIN dbperf.query_samples s USING (queryid, database_name, user_name, toplevel)
     WHERE l.database_name = current_database()
       AND s.query ~ 'FROM latencies' AND s.query !~ '^(CREATE|PREPARE)';

-- a window may have ended meanwhile, then a part is in the one before
SELECT query, toplevel, user_name = current_user AS mine,
       sum(calls) FILTER (WHERE period = 'lifetime') AS calls,
       sum(errors) FILTER (WHERE period = 'lifetime') AS errors,
       sum(calls) FILTER (WHERE period IN ('current', 'previous')) AS calls_lately,
       sum(errors) FILTER (WHERE period IN ('current', 'previous')) AS errors_lately
  FROM my_latency GROUP BY query, toplevel, user_name ORDER BY query;

-- every figure is at its place
SELECT query,
       min_ms <= p50_ms AND p50_ms <= p90_ms AND p90_ms <= p95_ms AND p95_ms <= p99_ms AND
       p99_ms <= max_ms AS ordered,
       mean_ms BETWEEN min_ms AND max_ms AS mean,
       abs(total_ms - calls * mean_ms) < 0.001 AS total,
       CASE WHEN query ~ 'pg_sleep' THEN min_ms >= 200 AND max_ms < 5000 END AS slept
  FROM my_latency WHERE period = 'lifetime' ORDER BY query;

-- one query
SELECT queryid AS slow_id FROM my_latency WHERE query LIKE '%pg_sleep%' AND period = 'lifetime' \gset
SELECT dbperf.latency_percentile(:slow_id, 0.5) BETWEEN 200 AND 5000 AS p50,
       dbperf.latency_percentile(:slow_id, 0) BETWEEN 200 AND 5000 AS p0,
       dbperf.latency_percentile(:slow_id, 1) BETWEEN 200 AND 5000 AS p100,
       dbperf.latency_percentile(1, 0.5) AS unknown,
       dbperf.latency_percentile(NULL, 0.5) AS null_id;

-- all of them
SELECT dbperf.workload_percentile(1) >= 200 / 1.0625 AS longest,
       dbperf.workload_percentile(0.5) < 200 AS median,
       dbperf.workload_percentile(0.95, current_database(), 'lifetime') > 0 AS p95,
       dbperf.workload_percentile(0.95, 'template0') AS never_used;

-- statements inside functions count on their own
CREATE FUNCTION nested_latency() RETURNS bigint LANGUAGE plpgsql
    AS $$ BEGIN RETURN (SELECT count(*) FROM latencies WHERE a > 0); END $$;
SET dbperf.track = 'all';
SELECT nested_latency();
SELECT nested_latency();
SET dbperf.track = 'top';
SELECT nested_latency();
SELECT query, toplevel, calls FROM my_latency
 WHERE period = 'lifetime' AND query LIKE '%a > 0%' ORDER BY 1;

-- without it nothing is counted
SET dbperf.track = 'none';
SELECT count(*) FROM latencies;
RESET dbperf.track;
SELECT calls FROM my_latency
 WHERE period = 'lifetime' AND query = 'SELECT count(*) FROM latencies';

-- samples
PREPARE parameters(int, text) AS SELECT count(*) FROM latencies WHERE a = $1 AND $2 IS NOT NULL;
EXECUTE parameters(7, 'seven');
SELECT query, query_length, parameter_types, parameters,
       search_path @> ARRAY['public'::regnamespace::oid] AS search_path,
       taken_at > now() - interval '1 minute' AS recent
  FROM dbperf.query_samples
 WHERE query LIKE '%AND $2 IS NOT NULL' AND parameters IS NOT NULL
   AND database_name = current_database();

-- resets: one query, one database
SELECT dbperf.query_latency_reset(:slow_id) AS removed;
SELECT dbperf.query_latency_reset(:slow_id) AS removed;
SELECT count(*) FROM my_latency WHERE query LIKE '%pg_sleep%';
SELECT dbperf.query_latency_reset(database_name => 'template0') AS removed;
SELECT dbperf.query_latency_reset(database_name => current_database()) > 2 AS removed;
SELECT count(*) FROM my_latency;

DROP VIEW my_latency;
DROP FUNCTION nested_latency();
DROP TABLE latencies;
