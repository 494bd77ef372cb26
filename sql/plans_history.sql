-- Plans of queries over time.  Tables have names of their own, so that nothing
-- else has the same query ids.
SELECT dbperf.query_latency_reset(database_name => current_database()) >= 0 AS removed;
CREATE TABLE plan_items (id int PRIMARY KEY, owner int, note text);
INSERT INTO plan_items SELECT i, i % 500, 'note ' || i FROM generate_series(1, 20000) AS i;
CREATE INDEX plan_items_owner ON plan_items (owner);
VACUUM ANALYZE plan_items;

-- the plans of statements on these tables, without costs
CREATE VIEW my_plans AS
    SELECT h.queryid, h.toplevel, h.plan_id, h.calls, h.mean_ms, h.p95_ms, h.first_seen, h.last_seen,
           s.query,
           regexp_replace(h.plan, '  \(cost=[^)]*\)', '', 'g') AS plan
      FROM dbperf.plan_history h
           JOIN dbperf.query_samples s USING (queryid, database_name, user_name, toplevel)
     WHERE h.database_name = current_database() AND s.query ~ 'FROM plan_items' AND s.query !~ 'my_plans';

-- one plan, another one, and the first again
PREPARE by_owner(int) AS SELECT count(*), min(note) FROM plan_items WHERE owner = $1;
EXECUTE by_owner(1);
EXECUTE by_owner(2);
SET enable_bitmapscan = off;
SET enable_indexscan = off;
EXECUTE by_owner(3);
RESET enable_indexscan;
RESET enable_bitmapscan;
EXECUTE by_owner(4);
SELECT calls, plan, p95_ms > 0 AND mean_ms > 0 AS latencies, first_seen <= last_seen AS seen
  FROM my_plans ORDER BY plan;
-- they are one query to all others, with one sample
SELECT count(*), min(l.calls) AS calls FROM dbperf.query_latency l
 WHERE l.queryid = (SELECT DISTINCT queryid FROM my_plans) AND l.period = 'lifetime';
SELECT count(*) FROM dbperf.query_samples
 WHERE queryid = (SELECT DISTINCT queryid FROM my_plans);
SELECT dbperf.query_latency_reset((SELECT DISTINCT queryid FROM my_plans)) AS removed;
SELECT count(*) FROM my_plans;

-- the plan_id is that of slow_queries, also with another constant
SET dbperf.slow_query_min_duration = 0;
SELECT sum(id) FROM plan_items WHERE owner = 7;
SELECT sum(id) FROM plan_items WHERE owner = 8;
RESET dbperf.slow_query_min_duration;
SELECT count(*) AS recorded, count(DISTINCT q.plan_id) AS plans, bool_and(q.plan_id = p.plan_id) AS same
  FROM dbperf.slow_queries q JOIN my_plans p USING (queryid)
 WHERE q.pid = pg_backend_pid();

-- cursors, failed executions, EXPLAIN ANALYZE, what changes data
BEGIN;
DECLARE c CURSOR FOR SELECT id AS in_pieces FROM plan_items WHERE owner = 9 ORDER BY id;
FETCH 2 FROM c;
FETCH 2 FROM c;
CLOSE c;
COMMIT;
BEGIN;
DECLARE c CURSOR FOR SELECT id AS abandoned FROM plan_items WHERE owner = 9 AND id > 0 ORDER BY id;
FETCH 2 FROM c;
ROLLBACK;
SELECT 1 / (id - id) AS failing FROM plan_items WHERE id = 1;
SELECT 1 / (id - 1) AS failing_once FROM plan_items WHERE id = 2;
SELECT 1 / (id - 1) AS failing_once FROM plan_items WHERE id = 1;
EXPLAIN (ANALYZE) SELECT count(*) AS explained FROM plan_items WHERE id = 5 \g /dev/null
INSERT INTO plan_items SELECT i, i, 'new' FROM generate_series(30001, 30003) AS i RETURNING id;
SELECT calls, plan_id IS NOT NULL AS known, plan IS NOT NULL AS has_text, query
  FROM my_plans WHERE query ~ 'in_pieces|abandoned|failing|explained' ORDER BY query COLLATE "C";
-- of what was never executed to its end there is no sample: all with a plan and without a text
SELECT count(*) FROM dbperf.plan_history
 WHERE database_name = current_database() AND plan_id IS NOT NULL AND plan IS NULL;
SELECT h.calls, split_part(h.plan, '  ', 1) AS plan
  FROM dbperf.plan_history h JOIN dbperf.query_samples s USING (queryid, database_name, user_name, toplevel)
 WHERE h.database_name = current_database() AND s.query ~ '^INSERT INTO plan_items SELECT i, i, ';

-- statements in functions
CREATE FUNCTION plan_nested(n int) RETURNS bigint LANGUAGE plpgsql
    AS $$ DECLARE c bigint; BEGIN SELECT count(*) INTO c FROM plan_items WHERE owner = n; RETURN c; END $$;
SET dbperf.track = 'all';
SELECT plan_nested(1), plan_nested(2);
SELECT plan_nested(3), plan_nested(4);
RESET dbperf.track;
SELECT toplevel, calls, plan FROM my_plans WHERE query ~ 'owner = n';

-- many plans of one query: eight, and one row for the rest
CREATE TABLE plan_parts (part int, v int) PARTITION BY LIST (part);
SELECT format('CREATE TABLE plan_part_%s PARTITION OF plan_parts FOR VALUES IN (%s)', i, i)
  FROM generate_series(1, 10) AS i \gexec
SELECT format('SELECT count(v) FROM plan_parts WHERE part = %s', i) FROM generate_series(1, 10) AS i, generate_series(1, 2) \gexec
SELECT count(*) FILTER (WHERE plan_id IS NOT NULL) AS plans,
       sum(h.calls) FILTER (WHERE plan_id IS NOT NULL) AS calls,
       count(*) FILTER (WHERE plan_id IS NULL) AS rest,
       sum(h.calls) FILTER (WHERE plan_id IS NULL) AS calls_of_rest
  FROM dbperf.plan_history h JOIN dbperf.query_samples s USING (queryid, database_name, user_name, toplevel)
 WHERE h.database_name = current_database() AND s.query ~ '^SELECT count\(v\) FROM plan_parts';
SELECT plans_merged >= 4 AS merged, plans_refused >= 0 AS refused FROM dbperf.monitor_status;

-- redaction
SET dbperf.redact = 'literals';
SELECT count(*) AS redacted FROM plan_items WHERE note = 'secret note';
RESET dbperf.redact;
SELECT plan FROM my_plans WHERE query ~ 'AS redacted';

-- a plain role sees its own plans; of others how many there are
CREATE ROLE regress_plans_plain;
GRANT SELECT ON plan_items TO regress_plans_plain;
SET ROLE regress_plans_plain;
SELECT max(note) AS plain FROM plan_items WHERE id = 3;
SELECT count(queryid) AS ids, count(plan_id) AS plan_ids, count(plan) AS plans,
       count(*) FILTER (WHERE user_name <> 'regress_plans_plain') > 10 AS others
  FROM dbperf.plan_history WHERE database_name = current_database()
   AND (user_name <> 'regress_plans_plain' OR plan ~ 'plan_items');
SELECT count(*) FROM dbperf.plan_regressions WHERE queryid IS NOT NULL;
RESET ROLE;
DROP OWNED BY regress_plans_plain;
DROP ROLE regress_plans_plain;

-- the judgement: values of the rank test that were worked out pair by pair
SELECT slower, round(superiority::numeric, 6) AS superiority, round(z::numeric, 6) AS z, p
  FROM dbperf.compare_latencies(array_fill(0.5::float8, '{10}') || array_fill(1.0::float8, '{20}') || array_fill(2.0::float8, '{10}'),
                                array_fill(1.0::float8, '{10}') || array_fill(2.0::float8, '{20}') || array_fill(4.0::float8, '{5}'));
SELECT slower, round(superiority::numeric, 6) AS superiority, round(z::numeric, 6) AS z
  FROM dbperf.compare_latencies(array_fill(1.0::float8, '{20}') || array_fill(2.0::float8, '{20}') || array_fill(3.0::float8, '{20}'),
                                array_fill(2.0::float8, '{10}') || array_fill(3.0::float8, '{20}') || array_fill(8.0::float8, '{30}'));
SELECT slower, superiority, round(z::numeric, 6) AS z, factor BETWEEN 1.87 AND 2.13 AS factor
  FROM dbperf.compare_latencies(array_fill(1.0::float8, '{30}'), array_fill(2.0::float8, '{30}'));
-- too few, none, all the same, faster, a difference that nobody notices
SELECT slower, p FROM dbperf.compare_latencies(array_fill(1.0::float8, '{29}'), array_fill(2.0::float8, '{30}'));
SELECT slower, p FROM dbperf.compare_latencies('{}', '{}');
SELECT slower, p FROM dbperf.compare_latencies(array_fill(1.0::float8, '{40}'), array_fill(1.0::float8, '{40}'));
SELECT slower, p > 0.999 AS p FROM dbperf.compare_latencies(array_fill(2.0::float8, '{40}'), array_fill(1.0::float8, '{40}'));
SELECT slower, p < 0.001 AS p FROM dbperf.compare_latencies(array_fill(0.005::float8, '{40}'), array_fill(0.02::float8, '{40}'));
-- one execution that waited for a minute, before or after
SELECT slower FROM dbperf.compare_latencies(array_fill(1.0::float8, '{200}') || 60000.0::float8, array_fill(3.0::float8, '{50}'));
SELECT slower FROM dbperf.compare_latencies(array_fill(1.0::float8, '{200}'), array_fill(1.0::float8, '{50}') || '{60000, 60000}'::float8[]);
-- no array of latencies
SELECT dbperf.compare_latencies('{1,NULL}', '{1}');
SELECT dbperf.compare_latencies('{1}', '{NaN}');
SELECT dbperf.compare_latencies('{1}', '{-1}');
SELECT dbperf.compare_latencies('{{1,2},{3,4}}', '{1e300}');
SELECT dbperf.compare_latencies(NULL, '{1}') IS NULL AS strict;

-- Workloads with noise, 100 rounds each: alarms about one that is stable, and
-- rounds that find one that got slower.
SELECT setseed(0.5);
CREATE FUNCTION pg_temp.normal() RETURNS float8 LANGUAGE sql VOLATILE
    AS $$ SELECT sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) $$;
-- latencies of n executions, of which a share takes ten times as long
CREATE FUNCTION pg_temp.latencies(n int, ms float8, noise float8, slow_share float8) RETURNS float8[] LANGUAGE sql VOLATILE
    AS $$ SELECT array_agg(ms * exp(noise * pg_temp.normal()) * CASE WHEN random() < slow_share THEN 10 ELSE 1 END)
            FROM generate_series(1, n) $$;
SELECT name, count(*) FILTER (WHERE c.slower) AS alarms
  FROM (VALUES (1, 'stable, little noise', 1000, 100, 1.0, 0.2, 0.0, 1.0, 0.2, 0.0),
               (2, 'stable, much noise', 1000, 100, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0),
               (3, 'stable, few', 30, 30, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0),
               (4, 'stable, fast', 1000, 100, 0.02, 0.5, 0.01, 0.02, 0.5, 0.01),
               (5, 'bimodal', 1000, 60, 1.0, 0.2, 0.5, 1.0, 0.2, 0.5),
               (6, 'another mixture', 1000, 100, 1.0, 0.2, 0.2, 1.0, 0.2, 0.5),
               (7, 'outliers', 1000, 100, 1.0, 0.2, 0.0, 1.0, 0.2, 0.05),
               (8, 'a little slower', 1000, 100, 1.0, 0.2, 0.0, 1.2, 0.2, 0.0),
               (9, 'cold caches at first', 1000, 100, 1.0, 0.2, 0.0, 1.0, 0.3, 0.3),
               (10, 'faster', 1000, 100, 2.0, 0.2, 0.0, 1.0, 0.2, 0.0),
               (11, 'twice as slow', 1000, 60, 1.0, 0.3, 0.0, 2.0, 0.3, 0.0),
               (12, 'three times as slow, bimodal', 1000, 100, 1.0, 0.2, 0.1, 3.0, 0.2, 0.1),
               (13, 'ten times as slow, few', 30, 30, 1.0, 0.5, 0.0, 10.0, 0.5, 0.0))
       AS w (n, name, n1, n2, ms1, noise1, share1, ms2, noise2, share2),
       generate_series(1, 100) AS round,
       LATERAL (SELECT pg_temp.latencies(n1, ms1 + 0 * round, noise1, share1) AS a,
                       pg_temp.latencies(n2, ms2 + 0 * round, noise2, share2) AS b) l,
       LATERAL dbperf.compare_latencies(l.a, l.b) c
 GROUP BY w.n, name ORDER BY w.n;

DROP VIEW my_plans;
DROP FUNCTION plan_nested(int);
DROP TABLE plan_items, plan_parts;
