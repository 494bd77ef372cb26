-- Fills the history of metrics as the sampler would have: every 10 seconds for a
-- day, every minute for a week, every 10 minutes for 30 days.  What is there
-- already goes.  For dbperf.database, while dbperf.metrics_interval is 0:
--
--   psql -v queries=50 -v series=0 -f fill.sql
--
-- The series are those that the sampler has found, or, without any, some that it
-- would find; series adds so many more.  The queries are those of query_latency
-- that took most time, or invented ones.
\set ON_ERROR_STOP 1
SET search_path = pg_catalog, pg_temp;
\if :{?queries} \else \set queries 50 \endif
\if :{?series} \else \set series 0 \endif

BEGIN;
TRUNCATE dbperf.metrics_samples, dbperf.metrics_query_samples, dbperf.metrics_members;

-- a set of its own, behind which the sampler goes on with another one
CREATE TEMP TABLE filled_series AS
SELECT row_number() OVER (ORDER BY s.set_id IS NULL, s.position) AS position,
       v.name, v.labels, v.counter
  FROM dbperf.metrics_series AS s
  FULL JOIN (SELECT 'dbperf_filled_total', jsonb_build_object('number', n), true
               FROM generate_series(1, :series) AS n) AS f (name, labels, counter) ON false
 CROSS JOIN LATERAL (SELECT coalesce(s.name, f.name), coalesce(s.labels, f.labels),
                            coalesce(s.counter, f.counter)) AS v (name, labels, counter)
 WHERE s.set_id IS NULL OR
       s.set_id = (SELECT max(set_id) FROM dbperf.metrics_series);
INSERT INTO filled_series
SELECT m + row_number() OVER (ORDER BY v.name, v.le), v.name,
       CASE WHEN v.le IS NULL THEN '{}' ELSE jsonb_build_object('le', v.le) END, v.counter
  FROM (SELECT coalesce(max(position), 0) AS m FROM filled_series) AS present,
       (SELECT 'dbperf_statement_duration_seconds_bucket', le, true
          FROM unnest('{0.0001,0.0005,0.001,0.0025,0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,10,60,+Inf}'::text[]) AS le
         UNION ALL
        SELECT 'dbperf_' || name, NULL, name LIKE '%total' OR name LIKE 'statement_duration%'
          FROM unnest('{statement_duration_seconds_sum,statement_duration_seconds_count,
                        statement_p50_seconds,statement_p95_seconds,statement_p99_seconds,
                        cache_hits_total,cache_misses_total,cache_bytes,cache_entries,
                        slow_statements_total,statement_errors_total}'::text[]) AS name
       ) AS v (name, le, counter)
 WHERE NOT EXISTS (SELECT FROM filled_series WHERE name = v.name);
INSERT INTO dbperf.metrics_series (set_id, position, identity, name, labels, counter)
SELECT (SELECT coalesce(max(set_id), 0) + 1 FROM dbperf.metrics_series), position,
       name || labels::text, name, labels, counter
  FROM filled_series;

-- the times: of each tier the newest one is now, and a quarter is a member
CREATE TEMP TABLE filled_times AS
SELECT t.tier, t.step, at, t.tier * 10 + least(5, 1 + floor(extract(epoch FROM at - begun) * 4 / t.age))::int AS member
  FROM (VALUES (1, 10, 86400), (2, 60, 604800), (3, 600, 2592000)) AS t (tier, step, age)
 CROSS JOIN LATERAL (SELECT date_trunc('minute', now()) - t.age * interval '1 second') AS b (begun)
 CROSS JOIN LATERAL generate_series(begun, now(), t.step * interval '1 second') AS at;
INSERT INTO dbperf.metrics_members (tier, member, turn, began)
SELECT tier, member % 10, member % 10, min(at) FROM filled_times GROUP BY tier, member;

-- counters grow, more by day than by night; gauges go up and down
INSERT INTO dbperf.metrics_samples (sampled_at, started_at, set_id, step, member, numbers)
SELECT t.at, now() - interval '40 days', (SELECT max(set_id) FROM dbperf.metrics_series), t.step, t.member,
       ARRAY(SELECT CASE WHEN s.counter
                         THEN round((s.position % 17 + 1) *
                                    (e.s + 20000 * sin(e.s / 13750)))
                         WHEN s.name LIKE '%\_seconds'
                         THEN 0.03 * (1 + 0.5 * sin(e.s / 13750)) * (1 + s.position % 3)
                         ELSE round((100 * (1 + sin(e.s / 1000 + s.position)))::numeric, 2)::float8 END
               FROM filled_series AS s ORDER BY s.position)
  FROM filled_times AS t
 CROSS JOIN LATERAL (SELECT extract(epoch FROM t.at - (now() - interval '40 days'))::float8) AS e (s);

CREATE TEMP TABLE filled_queries AS
SELECT row_number() OVER (ORDER BY total_ms DESC) AS n, *
  FROM (SELECT queryid, d.oid AS database, r.oid AS role, toplevel, total_ms
          FROM dbperf.query_latency AS l
          JOIN pg_database AS d ON d.datname = l.database_name
          JOIN pg_roles AS r ON r.rolname = l.user_name
         WHERE period = 'lifetime' AND queryid IS NOT NULL
         UNION ALL
        SELECT n, d.oid, r.oid, true, -n
          FROM generate_series(1, :queries) AS n, pg_database AS d, pg_roles AS r
         WHERE d.datname = current_database() AND r.rolname = current_user
         ORDER BY total_ms DESC LIMIT :queries) AS q;
INSERT INTO dbperf.metrics_query_samples (sampled_at, started_at, step, member, queryids,
       databases, roles, toplevel, calls, total_ms, new_calls, new_ms, buckets)
SELECT t.at, now() - interval '40 days', t.step, t.member, q.*
  FROM filled_times AS t
 CROSS JOIN LATERAL (
       SELECT extract(epoch FROM t.at - (now() - interval '40 days'))::float8) AS e (s)
 CROSS JOIN LATERAL (
       SELECT array_agg(q.queryid ORDER BY n), array_agg(q.database ORDER BY n),
              array_agg(q.role ORDER BY n), array_agg(q.toplevel ORDER BY n),
              array_agg(floor(e.s / n) ORDER BY n), array_agg(floor(e.s / n) * 3.25 ORDER BY n),
              array_agg((t.step / n)::float4 ORDER BY n),
              array_agg((t.step / n * 3.25)::float4 ORDER BY n),
              CASE WHEN t.tier = 3 THEN
                  (SELECT array_agg((floor(t.step / f.n) * least(b / 9.0, 1))::float4
                                    ORDER BY f.n, b)
                     FROM filled_queries AS f, generate_series(1, 16) AS b) END
         FROM filled_queries AS q) AS q
 WHERE t.tier > 1;
DROP TABLE filled_series, filled_times, filled_queries;
COMMIT;
