-- All metrics as a view and as text for Prometheus.

-- a family is a metric without a histogram's suffixes
CREATE VIEW families AS
    SELECT DISTINCT CASE WHEN type = 'histogram' THEN regexp_replace(name, '_(bucket|sum|count)$', '')
                         ELSE name END AS family, type, help
      FROM dbperf.metrics;

-- what others rely on
SELECT wanted AS missing
  FROM unnest('{dbperf_statement_duration_seconds, dbperf_statement_errors_total,
                dbperf_slow_statements_total, dbperf_slow_statements_lost_total,
                dbperf_cache_hits_total, dbperf_cache_misses_total, dbperf_cache_entries,
                dbperf_cache_bytes, dbperf_cache_capacity_bytes, dbperf_cache_evictions_total,
                dbperf_cache_invalidations_total, dbperf_maintenance_running,
                dbperf_maintenance_runs_total, dbperf_index_advice, dbperf_plan_regressions,
                dbperf_query_duration_seconds, dbperf_query_errors_total, dbperf_enabled,
                dbperf_source_up}'::text[]) AS wanted
 WHERE wanted NOT IN (SELECT family FROM families)
 ORDER BY 1;

-- names say what they are, and each has one type and one help
SELECT family FROM families
 WHERE family !~ '^dbperf_[a-z][a-z0-9_]*[a-z0-9]$'
    OR (type = 'counter') <> (family ~ '_total$')
    OR help !~ '^[A-Z0-9].*[^.]$' OR help ~ '[\n\\]'
 ORDER BY 1;
SELECT family FROM families GROUP BY 1 HAVING count(*) > 1;
SELECT name, labels FROM dbperf.metrics GROUP BY 1, 2 HAVING count(*) > 1;
SELECT bool_and(value >= 0) AS counters_are_not_negative FROM dbperf.metrics WHERE type <> 'gauge';
SELECT labels ->> 'source' AS source, value FROM dbperf.metrics
 WHERE name = 'dbperf_source_up' AND value <> 1;

-- the text has the same values in the same order, each metric's together
CREATE VIEW lines AS
    SELECT n, line, line LIKE '#%' AS about,
           CASE WHEN line LIKE '#%' THEN split_part(line, ' ', 3)
                ELSE regexp_replace(line, '[{ ].*', '') END AS name
      FROM unnest(string_to_array(rtrim(dbperf.prometheus(), E'\n'), E'\n')) WITH ORDINALITY AS l (line, n);
CREATE TEMP TABLE page AS SELECT * FROM lines;
SELECT n, line FROM page
 WHERE line !~ '^# HELP [a-z0-9_]+ [^ ]' AND line !~ '^# TYPE [a-z0-9_]+ (counter|gauge|histogram)$' AND
       line !~ '^[a-z0-9_]+({[a-z]+="([^"\\]|\\["\\n])*"(,[a-z]+="([^"\\]|\\["\\n])*")*})? (-?[0-9.]+(e[-+][0-9]+)?|NaN|[-+]Inf)$'
 ORDER BY n;
SELECT help.name FROM page AS help LEFT JOIN page AS type
    ON type.n = help.n + 1 AND type.line LIKE '# TYPE %' AND type.name = help.name
 WHERE help.line LIKE '# HELP %' AND type.n IS NULL;
SELECT name FROM page WHERE line LIKE '# HELP %' GROUP BY 1 HAVING count(*) > 1;
SELECT count(*) FILTER (WHERE after < name) AS out_of_order
  FROM (SELECT name COLLATE "C", lead(name COLLATE "C") OVER (ORDER BY n) AS after FROM page
         WHERE line LIKE '# HELP %') AS help;
SELECT p.name FROM page AS p
 WHERE NOT about AND NOT EXISTS
       (SELECT FROM (SELECT name, line FROM page AS t WHERE t.about AND t.n < p.n ORDER BY t.n DESC LIMIT 1) AS last
         WHERE p.name = last.name
            OR (last.line LIKE '% histogram' AND p.name IN (last.name || '_bucket', last.name || '_sum', last.name || '_count')));
SELECT array_agg(family ORDER BY family) = (SELECT array_agg(name ORDER BY name) FROM page WHERE line LIKE '# HELP %') AS same
  FROM families;

-- a histogram counts up to all, and its bounds have the target of 50 ms
SELECT string_agg(labels ->> 'le', ' ' ORDER BY (labels ->> 'le')::float8) AS bounds
  FROM dbperf.metrics WHERE name = 'dbperf_statement_duration_seconds_bucket';
SELECT labels ->> 'le' AS le FROM
       (SELECT labels, value, lag(value) OVER (ORDER BY (labels ->> 'le')::float8) AS before
          FROM dbperf.metrics WHERE name = 'dbperf_statement_duration_seconds_bucket') AS b
 WHERE value < before;
SELECT (SELECT value FROM dbperf.metrics WHERE name = 'dbperf_statement_duration_seconds_bucket'
           AND labels ->> 'le' = '+Inf') <=
       (SELECT value FROM dbperf.metrics WHERE name = 'dbperf_statement_duration_seconds_count') AS all_counted;

-- what happens is counted
SELECT dbperf.query_latency_reset() >= 0 AS reset;
SELECT pg_sleep(0.06);
SELECT 1 / 0;
SELECT labels ->> 'le' AS le, value FROM dbperf.metrics
 WHERE name = 'dbperf_query_duration_seconds_bucket' AND labels ->> 'queryid' =
       (SELECT queryid::text FROM dbperf.query_samples WHERE query LIKE 'SELECT pg_sleep(0.06)%')
   AND labels ->> 'database' = current_database() AND labels ->> 'role' = current_user
   AND (labels ->> 'le')::float8 IN (0.05, 60) ORDER BY 1;
SELECT value AS errors FROM dbperf.metrics WHERE name = 'dbperf_statement_errors_total';
SELECT value AS errors FROM dbperf.metrics WHERE name = 'dbperf_query_errors_total' AND value > 0;

-- as many queries as are asked for, those that took most
SET dbperf.metrics_top_queries = 1;
SELECT count(*), bool_and(value > 0.05) AS slowest FROM dbperf.metrics WHERE name = 'dbperf_query_duration_seconds_sum';
SET dbperf.metrics_top_queries = 0;
SELECT count(*) FROM dbperf.metrics WHERE name ~ '^dbperf_query_';
SET dbperf.metrics_top_queries = -1;
RESET dbperf.metrics_top_queries;

-- nested statements are in the time of those that call them
SET dbperf.track = 'all';
SELECT dbperf.query_latency_reset() >= 0 AS reset;
DO $$BEGIN PERFORM 'nested' AS nested; END$$;
SELECT value < 5 AS not_nested FROM dbperf.metrics WHERE name = 'dbperf_statement_duration_seconds_count';
SELECT count(*) FROM dbperf.metrics WHERE name = 'dbperf_query_duration_seconds_count' AND labels ->> 'queryid' IN
       (SELECT queryid::text FROM dbperf.query_samples WHERE NOT toplevel);
RESET dbperf.track;

-- names may hold anything
CREATE ROLE "regress_dbperf ""quoted""\{x}
line=é";
SET ROLE "regress_dbperf ""quoted""\{x}
line=é";
SELECT 'hostile' AS hostile;
RESET ROLE;
SELECT regexp_replace(line, 'queryid="[^"]*",', '') AS line FROM lines
 WHERE line LIKE 'dbperf\_query\_duration\_seconds\_count%' AND line LIKE '%regress\_dbperf%' LIMIT 1;
SELECT labels ->> 'role' AS role FROM dbperf.metrics
 WHERE name = 'dbperf_query_duration_seconds_count' AND labels ->> 'role' LIKE 'regress\_dbperf%' LIMIT 1;

-- a role that is gone has no name
DROP ROLE "regress_dbperf ""quoted""\{x}
line=é";
SELECT count(*) FROM dbperf.metrics WHERE name ~ '^dbperf_query_' AND coalesce(labels ->> 'role', '') LIKE 'regress\_dbperf%';

-- one source that fails does not take the others with it
BEGIN;
ALTER TABLE dbperf.index_advice RENAME COLUMN status TO condition;
SELECT count(*) FILTER (WHERE name = 'dbperf_index_advice') AS advice,
       count(*) FILTER (WHERE name = 'dbperf_plan_regressions') AS regressions,
       max(value) FILTER (WHERE labels @> '{"source": "advisor"}') AS advisor_up,
       max(value) FILTER (WHERE labels @> '{"source": "queries"}') AS queries_up
  FROM dbperf.metrics;
SELECT count(*) FROM lines WHERE line = 'dbperf_source_up{source="advisor"} 0';
ROLLBACK;

-- the kill switch can be seen
SET dbperf.enabled = off;
SELECT name, value FROM dbperf.metrics WHERE name = 'dbperf_enabled';
RESET dbperf.enabled;

-- who may look: members of pg_monitor; who may only execute sees no query of others
CREATE ROLE regress_dbperf_plain;
CREATE ROLE regress_dbperf_watch IN ROLE pg_monitor;
CREATE ROLE regress_dbperf_only;
GRANT EXECUTE ON FUNCTION dbperf.prometheus(), dbperf.metrics() TO regress_dbperf_only;
SET ROLE regress_dbperf_plain;
SELECT count(*) FROM dbperf.metrics;
SELECT count(*) FROM dbperf.metrics();
SELECT length(dbperf.prometheus());
SET ROLE regress_dbperf_watch;
SELECT count(*) > 50 AS metrics, count(*) FILTER (WHERE name ~ '^dbperf_query_') > 0 AS queries,
       count(*) FILTER (WHERE name = 'dbperf_source_up' AND value = 0) AS failed FROM dbperf.metrics;
SELECT dbperf.prometheus() LIKE '%dbperf\_query\_duration\_seconds\_count{%' AS queries;
SET ROLE regress_dbperf_only;
SELECT 'of my own' AS own;
SELECT DISTINCT labels ->> 'role' AS whose FROM dbperf.metrics() WHERE name = 'dbperf_query_duration_seconds_count';
RESET ROLE;
REVOKE EXECUTE ON FUNCTION dbperf.prometheus(), dbperf.metrics() FROM regress_dbperf_only;
DROP ROLE regress_dbperf_plain, regress_dbperf_watch, regress_dbperf_only;
DROP VIEW families, lines;
