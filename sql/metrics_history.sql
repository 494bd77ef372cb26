-- The history of metrics: what is read from planted samples, who may read it, and
-- what the sampler writes.
SELECT state, samples, samples_stored, bytes, members, last_error
  FROM dbperf.metrics_status;

-- two hours of samples: a counter that grows by 10 every 10 seconds, a gauge
CREATE TABLE planted AS SELECT date_trunc('minute', now()) - interval '3 hours' AS base;
INSERT INTO dbperf.metrics_series (set_id, position, identity, name, labels, counter)
VALUES (7, 1, 'planted_total{"kind": "a"}', 'planted_total', '{"kind": "a"}', true),
       (7, 2, 'planted_total{"kind": "b"}', 'planted_total', '{"kind": "b"}', true),
       (7, 3, 'planted{}', 'planted', '{}', false),
       -- the same in other places, and one more
       (8, 1, 'planted{}', 'planted', '{}', false),
       (8, 2, 'planted_total{"kind": "c"}', 'planted_total', '{"kind": "c"}', true),
       (8, 3, 'planted_total{"kind": "a"}', 'planted_total', '{"kind": "a"}', true);
INSERT INTO dbperf.metrics_samples (sampled_at, started_at, set_id, step, member, numbers)
SELECT base + n * interval '10 seconds', base - interval '1 day', 7, 10, 11,
       ARRAY[1000 + 10 * n, CASE WHEN n % 2 = 0 THEN n ELSE 'NaN'::float8 END, n % 7]
  FROM planted, generate_series(1, 360) AS n;
INSERT INTO dbperf.metrics_samples (sampled_at, started_at, set_id, step, member, numbers)
SELECT base + n * interval '10 seconds', base - interval '1 day', 8, 10, 12,
       ARRAY[n % 7, n, 1000 + 10 * n]
  FROM planted, generate_series(361, 720) AS n;

-- the last of each step; rates of counters only, and not for the first one
SELECT m.at - p.base AS at, m.name, m.labels, m.value, m.per_second
  FROM planted AS p,
       dbperf.metrics_between(p.base, p.base + interval '20 minutes',
                              '{planted_total,planted}', 4) AS m;
-- across two sets of series
SELECT m.at - p.base AS at, m.name, m.labels, m.value, m.per_second
  FROM planted AS p,
       dbperf.metrics_between(p.base + interval '59 minutes', p.base + interval '61 minutes',
                              '{planted_total,planted}', 4) AS m;
-- not before since, nothing after until
SELECT min(m.at - p.base), max(m.at - p.base), count(*)
  FROM planted AS p,
       dbperf.metrics_between(p.base + interval '10 s', p.base + interval '50 s', '{planted}') AS m;
-- unknown names, no names, no time, any time
SELECT count(*) FROM planted, dbperf.metrics_between(base, now(), '{unknown,NULL}');
SELECT count(*) FROM planted, dbperf.metrics_between(base, now(), '{}');
SELECT count(*) FROM dbperf.metrics_between('2026-01-02', '2026-01-01', '{planted}');
SELECT count(*) FROM planted, dbperf.metrics_between(base, base, '{planted}');
SELECT count(*) FROM dbperf.metrics_between('-infinity', 'infinity', '{planted}', 1);
SELECT count(*) FROM dbperf.metrics_between(NULL, now(), '{planted}');
SELECT dbperf.metrics_between(now(), now(), '{planted}', 0);
SELECT dbperf.metrics_between(now(), now(), '{planted}', 2000000000);

-- a counter that began anew: with a restart, with a reset, and on another server
TRUNCATE dbperf.metrics_samples;
INSERT INTO dbperf.metrics_samples (sampled_at, started_at, set_id, step, member, numbers)
SELECT base + n * interval '10 seconds', base + started * interval '1 second', 7, 10, 11,
       ARRAY[value]
  FROM planted, (VALUES (1, -100, 500), (2, -100, 600), (3, 25, 70), (4, 25, 170), (5, 25, 20),
                        (6, -500, 9000), (7, -500, 9100)) AS v (n, started, value);
SELECT m.at - p.base AS at, m.value, m.per_second
  FROM planted AS p,
       dbperf.metrics_between(p.base, p.base + interval '70 s', '{planted_total}', 7) AS m;
-- in between, too: 100 + 70 + 100 + 20 in 40 seconds
SELECT m.at - p.base AS at, m.value, m.per_second
  FROM planted AS p,
       dbperf.metrics_between(p.base - interval '30 s', p.base + interval '50 s',
                              '{planted_total}', 2) AS m;
-- and not what another server counted before
SELECT m.at - p.base AS at, m.value, m.per_second
  FROM planted AS p,
       dbperf.metrics_between(p.base + interval '9 s', p.base + interval '91 s', '{planted_total}',
                              2) AS m;

-- a long period is read from rarer samples; what they do not have, from others
INSERT INTO dbperf.metrics_samples (sampled_at, started_at, set_id, step, member, numbers)
SELECT base - n * interval '1 minute', base - interval '9 days', 7, 60, 21, ARRAY[NULL, NULL, 60]
  FROM planted, generate_series(0, 100) AS n;
SELECT count(*), min(value), max(value)
  FROM planted, dbperf.metrics_between(base - interval '1 day', base, '{planted}', 100);
UPDATE dbperf.metrics_samples SET numbers = ARRAY['NaN', 'NaN', 60]::float8[] WHERE member = 21;
SELECT count(*), min(value), max(value)
  FROM planted, dbperf.metrics_between(base - interval '1 day', base, '{planted}', 1440);
SELECT count(*) FROM planted,
       dbperf.metrics_between(base - interval '5 min', base + interval '1 min', '{planted}', 360);

-- the view
SELECT h.sampled_at - p.base AS at, h.resolution, h.name, h.labels, h.value
  FROM planted AS p, dbperf.metrics_history AS h
 WHERE h.name LIKE 'planted%' AND h.sampled_at BETWEEN p.base AND p.base + interval '30 s'
 ORDER BY 1, 2, 3;
-- a time is found by index
CREATE FUNCTION count_in_plan(pattern text, query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    line text;
    lines bigint := 0;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        lines := lines + (line ~ pattern)::int;
    END LOOP;
    RETURN lines;
END $$;
SET enable_seqscan = off;
SELECT count_in_plan('Index Cond: .*sampled_at >',
           $$SELECT * FROM dbperf.metrics_history
              WHERE sampled_at > '2026-01-01' AND name = 'planted'$$) AS metrics,
       count_in_plan('Index Cond: .*sampled_at >',
           $$SELECT * FROM dbperf.metrics_query_history
              WHERE sampled_at > '2026-01-01' AND queryid = 1$$) AS queries,
       count_in_plan('One-Time Filter: dbperf.metrics_tables_count',
           'SELECT * FROM dbperf.metrics_history') AS filters;
RESET enable_seqscan;
DROP FUNCTION count_in_plan(text, text);

-- queries
INSERT INTO dbperf.metrics_query_samples (sampled_at, started_at, step, member, queryids,
       databases, roles, toplevel, calls, total_ms, new_calls, new_ms, buckets)
SELECT p.base + v.minute * interval '1 minute', p.base, 60, 21, v.ids, array_fill(d.oid, ARRAY[2]),
       ARRAY['pg_monitor'::regrole, 'pg_read_all_data'::regrole], '{t,f}', v.calls, v.ms, v.calls1,
       v.ms1, NULL
  FROM planted AS p, pg_database AS d,
       (VALUES (0, ARRAY[11, 12], ARRAY[100, 1000], ARRAY[500, 100], ARRAY[5, 6], ARRAY[1, 2]),
               (1, ARRAY[11, 13], ARRAY[110, 30], ARRAY[600, 90], ARRAY[10, 7], ARRAY[100, 80]),
               (2, ARRAY[14, 13], ARRAY[1, 40], ARRAY[5, 100], ARRAY[1, 10], ARRAY[5, 10]),
               (3, ARRAY[11, 13], ARRAY[150, 5], ARRAY[1000, 25], ARRAY[9, 5], ARRAY[90, 25])
       ) AS v (minute, ids, calls, ms, calls1, ms1)
 WHERE d.datname = current_database();
SELECT q.* FROM planted, dbperf.metrics_queries_between(base, base + interval '3 min') AS q;
SELECT q.* FROM planted,
       dbperf.metrics_queries_between(base + interval '1 min', base + interval '2 min') AS q;
-- 90 of 100 executions within 10 ms, the rest within 25 ms
INSERT INTO dbperf.metrics_query_samples (sampled_at, started_at, step, member, queryids,
       databases, roles, toplevel, calls, total_ms, new_calls, new_ms, buckets)
SELECT base + interval '3 min', base, 600, 31, '{11}', ARRAY[d.oid], ARRAY['pg_monitor'::regrole],
       '{t}', '{150}', '{1000}', '{100}', '{800}',
       '{0,0,0,0,0,90,100,100,100,100,100,100,100,100,100,100}'
  FROM planted, pg_database AS d WHERE d.datname = current_database();
-- one in a bucket from 10 to 60 s, but all of that query took 5 ms
INSERT INTO dbperf.metrics_query_samples (sampled_at, started_at, step, member, queryids,
       databases, roles, toplevel, calls, total_ms, new_calls, new_ms, buckets)
SELECT base + interval '2 min', base, 600, 31, '{14}', ARRAY[d.oid], ARRAY['pg_monitor'::regrole],
       '{t}', '{1}', '{5}', '{1}', '{5}', '{0,0,0,0,0,0,0,0,0,0,0,0,0,0,1,1}'
  FROM planted, pg_database AS d WHERE d.datname = current_database();
SELECT q.queryid, q.calls, q.p95_ms
  FROM planted, dbperf.metrics_queries_between(base, base + interval '3 min') AS q;
-- a sample is taken a little after the minute that it ends
INSERT INTO dbperf.metrics_query_samples (sampled_at, started_at, step, member, queryids,
       databases, roles, toplevel, calls, total_ms, new_calls, new_ms, buckets)
SELECT base + interval '4 min 5 ms', base, 60, 21, '{13}', ARRAY[d.oid],
       ARRAY['pg_read_all_data'::regrole], '{f}', '{9}', '{65}', '{4}', '{40}', NULL
  FROM planted, pg_database AS d WHERE d.datname = current_database();
SELECT minute, q.queryid, q.calls
  FROM planted, generate_series(3, 4) AS minute,
       dbperf.metrics_queries_between(base + minute * interval '1 min',
                                      base + (minute + 1) * interval '1 min') AS q;
SELECT count(*) FROM dbperf.metrics_queries_between('infinity', '-infinity');
SELECT count(*) > 0 AS some FROM dbperf.metrics_queries_between('-infinity', 'infinity');
SELECT q.sampled_at - p.base AS at, q.queryid, q.database_name, q.user_name, q.toplevel, q.calls,
       q.total_ms, q.resolution
  FROM planted AS p, dbperf.metrics_query_history AS q ORDER BY q.resolution, 1, 2 LIMIT 4;

-- who may read it
CREATE ROLE regress_dbperf_nobody;
CREATE ROLE regress_dbperf_monitor IN ROLE pg_monitor;
CREATE ROLE regress_dbperf_some;
GRANT SELECT ON dbperf.metrics_query_history TO regress_dbperf_some;
GRANT EXECUTE ON FUNCTION dbperf.metrics_query_ring(), dbperf.metrics_tables_count(),
      dbperf.metrics_queries_between(timestamptz, timestamptz) TO regress_dbperf_some;
GRANT SELECT ON planted TO PUBLIC;
GRANT pg_read_all_data TO regress_dbperf_some;
SET ROLE regress_dbperf_nobody;
SELECT count(*) FROM dbperf.metrics_history;
SELECT count(*) FROM dbperf.metrics_query_history;
SELECT count(*) FROM dbperf.metrics_status;
SELECT count(*) FROM dbperf.metrics_samples;
SELECT dbperf.metrics_between(now(), now(), '{planted}');
SELECT dbperf.metrics_queries_between(now(), now());
SELECT dbperf.metrics_ring();
SELECT dbperf.metrics_query_ring();
SELECT dbperf.metrics_status();
SET ROLE regress_dbperf_monitor;
SELECT count(*) > 0 AS history FROM dbperf.metrics_history WHERE name = 'planted';
SELECT count(*) > 0 AS status FROM dbperf.metrics_status;
SELECT count(*) > 0 AS between
  FROM planted, dbperf.metrics_between(base - interval '1 day', now(), '{planted}');
SELECT count(*), count(queryid) FROM dbperf.metrics_query_history;
SELECT count(*), count(q.queryid)
  FROM planted, dbperf.metrics_queries_between(base, base + interval '3 min') AS q;
SELECT count(*) FROM dbperf.metrics_samples;
-- ids of the roles that it is a member of
SET ROLE regress_dbperf_some;
SELECT user_name, count(*), count(queryid) FROM dbperf.metrics_query_history GROUP BY 1 ORDER BY 1;
SELECT q.user_name, count(*), count(q.queryid)
  FROM planted, dbperf.metrics_queries_between(base, base + interval '3 min') AS q
 GROUP BY 1 ORDER BY 1;
RESET ROLE;
DROP OWNED BY regress_dbperf_some;
DROP ROLE regress_dbperf_nobody, regress_dbperf_monitor, regress_dbperf_some;
TRUNCATE dbperf.metrics_samples, dbperf.metrics_query_samples, dbperf.metrics_series;
DROP TABLE planted;

-- the members, such as metrics_samples_11 and metrics_query_samples_35: each says
-- what it is, and nobody but its owner may touch it
SELECT p.inhparent::regclass AS parent, count(*),
       min(p.inhrelid::regclass::text) AS first, max(p.inhrelid::regclass::text) AS last,
       bool_and(obj_description(p.inhrelid, 'pg_class') ~ '^samples of tier') AS described,
       bool_or(has_table_privilege('public', p.inhrelid, 'SELECT') OR
               has_table_privilege('pg_monitor', p.inhrelid, 'SELECT')) AS open
  FROM pg_inherits AS p
 WHERE p.inhparent IN ('dbperf.metrics_samples'::regclass, 'dbperf.metrics_query_samples'::regclass)
 GROUP BY 1 ORDER BY 1;

-- settings
SHOW dbperf.metrics_interval;
SHOW dbperf.metrics_retention;
-- the texts of 18 have units in them
\set VERBOSITY sqlstate
SET dbperf.metrics_interval = 1;
ALTER SYSTEM SET dbperf.metrics_interval = '2h';
ALTER SYSTEM SET dbperf.metrics_retention = '1 min';
