-- dbperf.suggest_settings(): what the recorded workload asks for, and nothing else.
SET dbperf.slow_query_max_rate = 0;
SET dbperf.plan_capture = 'rows';
CREATE SCHEMA tuning;
SET search_path = tuning;

CREATE VIEW advice AS
    SELECT scope, setting, current, suggested, cardinality(queries) AS queries,
           estimated_gain_ms > 0 AS gain, regexp_replace(statement, '-?\d{5,}', 'ID') AS statement
      FROM dbperf.suggest_settings()
     ORDER BY scope, setting, suggested, statement;

CREATE TABLE item AS
    SELECT i AS id, (i * 7919) % 50000 AS code, md5(i::text) AS name FROM generate_series(1, 50000) AS i;
VACUUM ANALYZE item;

-- nothing is recorded
SELECT dbperf.slow_queries_reset();
SELECT * FROM advice;

-- nothing is wrong
SET dbperf.slow_query_min_duration = 0;
SELECT count(*) FROM item;
SELECT count(*) FROM (SELECT * FROM item ORDER BY name OFFSET 1) AS i WHERE id < 0;
SELECT count(*) FROM item AS a JOIN item AS b USING (id);
RESET dbperf.slow_query_min_duration;
SELECT * FROM advice WHERE setting <> 'work_mem';
SELECT dbperf.slow_queries_reset();

--
-- work_mem: a sort, a hash join, groups, a bitmap
--
SET work_mem = '64kB';
SET dbperf.slow_query_min_duration = 0;
SELECT count(*) FROM (SELECT * FROM item ORDER BY name OFFSET 1) AS i;
SELECT count(*) FROM item AS a JOIN item AS b USING (name);
SELECT count(*) FROM (SELECT name FROM item WHERE id < 20000 GROUP BY name) AS i;
RESET dbperf.slow_query_min_duration;
SELECT * FROM advice WHERE setting = 'work_mem';

-- what is suggested is enough
CREATE FUNCTION plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
        IF line ~ 'Disk|external|Batches: ([2-9]|\d\d)' THEN
            RETURN NEXT line;
        END IF;
    END LOOP;
END $$;
SELECT suggested AS sorted FROM dbperf.suggest_settings() AS s JOIN dbperf.slow_queries AS q ON q.queryid = s.queries[1]
 WHERE scope = 'query' AND query LIKE '%ORDER BY name%' LIMIT 1
\gset
SELECT suggested AS joined FROM dbperf.suggest_settings() AS s JOIN dbperf.slow_queries AS q ON q.queryid = s.queries[1]
 WHERE scope = 'query' AND query LIKE '%USING (name)%' LIMIT 1
\gset
SELECT suggested AS grouped FROM dbperf.suggest_settings() AS s JOIN dbperf.slow_queries AS q ON q.queryid = s.queries[1]
 WHERE scope = 'query' AND query LIKE '%GROUP BY name%' LIMIT 1
\gset
SET work_mem = :'sorted';
SELECT plan_of('SELECT count(*) FROM (SELECT * FROM item ORDER BY name OFFSET 1) AS i');
SET work_mem = :'joined';
SELECT plan_of('SELECT count(*) FROM item AS a JOIN item AS b USING (name)');
SET work_mem = :'grouped';
SELECT plan_of('SELECT count(*) FROM (SELECT name FROM item WHERE id < 20000 GROUP BY name) AS i');

-- a query that has been helped is not mentioned any more
SET work_mem = '64MB';
SET dbperf.slow_query_min_duration = 0;
SELECT count(*) FROM (SELECT * FROM item ORDER BY name OFFSET 1) AS i;
RESET dbperf.slow_query_min_duration;
SELECT count(*) FROM dbperf.suggest_settings() AS s JOIN dbperf.slow_queries AS q ON q.queryid = s.queries[1]
 WHERE scope = 'query' AND query LIKE '%ORDER BY name%';

-- many queries: for the server
SET work_mem = '64kB';
SET dbperf.slow_query_min_duration = 0;
SELECT count(*) FROM (SELECT id FROM item ORDER BY name OFFSET 2) AS i;
SELECT count(*) FROM (SELECT id, code FROM item ORDER BY name, code OFFSET 3) AS i;
SELECT count(*) FROM (SELECT code, id FROM item ORDER BY name DESC OFFSET 4) AS i;
RESET dbperf.slow_query_min_duration;
SELECT scope, setting, current, queries, gain FROM advice WHERE scope = 'server' AND setting = 'work_mem';
RESET work_mem;
SELECT dbperf.slow_queries_reset();

--
-- random_page_cost: an index that the planner does not use although all is cached
--
SET random_page_cost = 4;
CREATE TABLE wanted AS SELECT i * 113 % 50000 AS code FROM generate_series(1, 300) AS i;
CREATE UNIQUE INDEX ON item (code);
ANALYZE wanted;
SET dbperf.plan_capture = 'timing';
SET dbperf.slow_query_min_duration = 0;
SELECT count(name) FROM wanted JOIN item USING (code);
SELECT count(name) FROM wanted JOIN item USING (code);
SELECT count(name) FROM wanted JOIN item USING (code);
RESET dbperf.slow_query_min_duration;
SELECT scope, setting, current, suggested, queries, gain, statement FROM advice;
-- then it does
SET random_page_cost = 1.1;
EXPLAIN (COSTS OFF) SELECT count(name) FROM wanted JOIN item USING (code);
SELECT scope, setting, suggested FROM advice;
RESET random_page_cost;
SELECT dbperf.slow_queries_reset();

--
-- effective_cache_size: look-ups that the planner takes for reads, each time
--
CREATE TABLE part AS
    SELECT i AS id, (i * 7919) % 50000 AS code, repeat(md5(i::text), 11) AS name FROM generate_series(1, 50000) AS i;
CREATE UNIQUE INDEX ON part (code);
CREATE TABLE needed AS SELECT i * 113 % 50000 AS code FROM generate_series(1, 2000) AS i;
VACUUM ANALYZE part, needed;
SET random_page_cost = 1;
SET effective_cache_size = '8kB';
SET dbperf.slow_query_min_duration = 0;
SELECT count(name) FROM needed JOIN part USING (code);
SELECT count(name) FROM needed JOIN part USING (code);
SELECT count(name) FROM needed JOIN part USING (code);
RESET dbperf.slow_query_min_duration;
SELECT scope, setting, current, queries, gain, regexp_replace(statement, '\d+', 'N') AS statement
  FROM advice WHERE setting = 'effective_cache_size';
SELECT suggested FROM dbperf.suggest_settings() WHERE setting = 'effective_cache_size'
\gset
-- then it does not
SET effective_cache_size = :'suggested';
EXPLAIN (COSTS OFF) SELECT count(name) FROM needed JOIN part USING (code);
SELECT count(*) FROM advice WHERE setting = 'effective_cache_size';
RESET effective_cache_size;
RESET random_page_cost;
SELECT dbperf.slow_queries_reset();

--
-- default_statistics_target: five columns with more common values than are kept
--
CREATE TABLE coarse AS
    SELECT v AS a, v + 1 AS b, v + 2 AS c, v + 3 AS d, v + 4 AS e
      FROM (SELECT CASE WHEN i % 10 < 8 THEN i % 200 ELSE i + 1000 END AS v FROM generate_series(1, 30000) AS i) AS g;
ANALYZE coarse;
\set ECHO none
SET dbperf.slow_query_min_duration = 0;
SELECT format('SELECT FROM coarse WHERE %I = %s', name, value + number - 1)
  FROM unnest('{a,b,c,d,e}'::text[]) WITH ORDINALITY AS n (name, number),
       unnest('{3, 64, 105, 27, 150, 93, 181, 46}'::int[]) AS value
\o /dev/null
\gexec
\o
RESET dbperf.slow_query_min_duration;
\set ECHO all
SELECT scope, setting, current, suggested, queries, statement FROM advice WHERE setting = 'default_statistics_target';
SELECT dbperf.slow_queries_reset();

--
-- parallel workers: planned, but not there
--
SET max_parallel_workers_per_gather = 2;
SET max_parallel_workers = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET dbperf.slow_query_min_duration = 0;
SELECT count(*) FROM item WHERE id = 5;
SELECT count(*) FROM item WHERE id = 5;
SELECT count(*) FROM item WHERE id = 5;
RESET dbperf.slow_query_min_duration;
SELECT scope, setting, current, suggested::int > 0 AS some, queries, gain FROM advice;
RESET max_parallel_workers_per_gather;
RESET max_parallel_workers;
SELECT dbperf.slow_queries_reset();

--
-- plan_cache_mode: a plan that does not know that few rows are asked for
--
CREATE ROLE "regress_tuning app";
GRANT USAGE ON SCHEMA tuning TO "regress_tuning app";
CREATE TABLE task AS
    SELECT i AS id, CASE WHEN i % 10000 = 0 THEN 2 ELSE i % 2 END AS state FROM generate_series(1, 200000) AS i;
CREATE INDEX ON task (state);
VACUUM ANALYZE task;
GRANT SELECT ON task TO "regress_tuning app";
PREPARE in_state(int) AS SELECT sum(id) FROM task WHERE state = $1;
SET enable_bitmapscan = off;
SET dbperf.slow_query_min_duration = 0;
SET ROLE "regress_tuning app";
SET plan_cache_mode = force_generic_plan;
EXECUTE in_state(2);
EXECUTE in_state(2);
EXECUTE in_state(2);
SET plan_cache_mode = force_custom_plan;
EXECUTE in_state(2);
EXECUTE in_state(2);
SELECT setting, suggested FROM dbperf.suggest_settings();
EXECUTE in_state(2);
RESET plan_cache_mode;
SELECT scope, setting, current, suggested, cardinality(queries) AS queries, estimated_gain_ms > 0 AS gain, statement
  FROM dbperf.suggest_settings() WHERE setting = 'plan_cache_mode';
RESET ROLE;
RESET dbperf.slow_query_min_duration;
RESET enable_bitmapscan;

-- others see nothing of it
CREATE ROLE regress_tuning_other;
SET ROLE regress_tuning_other;
SELECT * FROM dbperf.suggest_settings();
RESET ROLE;
SELECT dbperf.slow_queries_reset();

DEALLOCATE ALL;
SET client_min_messages = warning;
DROP SCHEMA tuning CASCADE;
DROP ROLE "regress_tuning app", regress_tuning_other;
