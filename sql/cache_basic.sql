-- The result cache: what its node does to statements and their plans.
SET dbperf.cache_mode = hint;
SET dbperf.cache_admission = always;

CREATE TABLE basic (id int PRIMARY KEY, kind text, value numeric, note text);
INSERT INTO basic SELECT i, 'kind ' || i % 3, i * 1.5, NULLIF('note ' || i % 4, 'note 0')
	FROM generate_series(1, 100) AS i;
ANALYZE basic;
SELECT dbperf.cache_flush() >= 0 AS flushed;

-- what an execution would do now
EXPLAIN (COSTS OFF) /* dbperf: cache */ SELECT kind, sum(value) FROM basic GROUP BY kind ORDER BY kind;
/* dbperf: cache */ SELECT kind, sum(value) FROM basic GROUP BY kind ORDER BY kind;
EXPLAIN (COSTS OFF) /* dbperf: cache */ SELECT kind, sum(value) FROM basic GROUP BY kind ORDER BY kind;
/* dbperf: cache */ SELECT kind, sum(value) FROM basic GROUP BY kind ORDER BY kind;
-- the same statement, however it is written; not another one
EXPLAIN (COSTS OFF) SELECT kind , sum( value ) FROM basic /* dbperf: cache */ GROUP BY kind ORDER BY kind;
EXPLAIN (COSTS OFF) SELECT kind, sum(value) AS total FROM basic /* dbperf: cache */ GROUP BY kind ORDER BY kind;
-- without the hint
EXPLAIN (COSTS OFF) SELECT kind, sum(value) FROM basic GROUP BY kind ORDER BY kind;

-- a write makes it a miss, one that is rolled back does not
BEGIN;
DELETE FROM basic WHERE id = 1;
/* dbperf: cache */ SELECT kind, sum(value) FROM basic GROUP BY kind ORDER BY kind;
EXPLAIN (COSTS OFF) /* dbperf: cache */ SELECT kind, sum(value) FROM basic GROUP BY kind ORDER BY kind;
ROLLBACK;
EXPLAIN (COSTS OFF) /* dbperf: cache */ SELECT kind, sum(value) FROM basic GROUP BY kind ORDER BY kind;
DELETE FROM basic WHERE id = 1;
EXPLAIN (COSTS OFF) /* dbperf: cache */ SELECT kind, sum(value) FROM basic GROUP BY kind ORDER BY kind;
/* dbperf: cache */ SELECT kind, sum(value) FROM basic GROUP BY kind ORDER BY kind;
EXPLAIN (COSTS OFF) /* dbperf: cache */ SELECT kind, sum(value) FROM basic GROUP BY kind ORDER BY kind;

-- EXPLAIN ANALYZE executes, unless it is told not to
CREATE FUNCTION analyzed(query text, options text DEFAULT '') RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE format('EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF %s) %s',
							   options, query) LOOP
		IF line !~ 'Memory|Query Identifier' THEN
			-- 18 shows fractions of rows
			RETURN NEXT regexp_replace(line, '(rows=\d+)\.\d+', '\1');
		END IF;
	END LOOP;
END $$;
SELECT analyzed('/* dbperf: cache */ SELECT kind, sum(value) FROM basic GROUP BY kind ORDER BY kind');
SET dbperf.cache_explain_analyze = on;
SELECT analyzed('/* dbperf: cache */ SELECT kind, sum(value) FROM basic GROUP BY kind ORDER BY kind');
SELECT analyzed('/* dbperf: cache */ SELECT kind, sum(value) FROM basic GROUP BY kind ORDER BY kind',
				', VERBOSE');
SELECT plan #> '{0,Plan,Cache Status}' AS status, plan #> '{0,Plan,Cache Rows}' AS rows
  FROM CAST((SELECT string_agg(line, '') FROM
			 analyzed('/* dbperf: cache */ SELECT kind, sum(value) FROM basic GROUP BY kind ORDER BY kind',
					  ', FORMAT JSON') AS line) AS jsonb) AS plan;
RESET dbperf.cache_explain_analyze;
-- the age stands where costs do
CREATE FUNCTION explained(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN ' || query LOOP
		IF line ~ 'Cache' THEN
			RETURN NEXT regexp_replace(line, '[0-9]+', 'N', 'g');
		END IF;
	END LOOP;
END $$;
SELECT explained('/* dbperf: cache */ SELECT kind, sum(value) FROM basic GROUP BY kind ORDER BY kind');
-- or nothing of it is to be seen
SET dbperf.cache_explain_node = off;
EXPLAIN (COSTS OFF) /* dbperf: cache */ SELECT kind, sum(value) FROM basic GROUP BY kind ORDER BY kind;
SELECT analyzed('/* dbperf: cache */ SELECT kind, sum(value) FROM basic GROUP BY kind ORDER BY kind');
RESET dbperf.cache_explain_node;

-- prepared statements: values are part of the key, plans are kept
PREPARE by_kind(text, int) AS /* dbperf: cache */ SELECT count(*), max(id) FROM basic WHERE kind = $1 AND id > $2;
EXECUTE by_kind('kind 1', 50);
EXECUTE by_kind('kind 1', 50);
EXECUTE by_kind('kind 1', 90);
EXECUTE by_kind(NULL, 90);
SET plan_cache_mode = force_generic_plan;
EXECUTE by_kind('kind 1', 50);
EXECUTE by_kind('kind 1', 90);
EXPLAIN (COSTS OFF) EXECUTE by_kind('kind 1', 90);
EXPLAIN (COSTS OFF) EXECUTE by_kind('kind 1', 91);
SELECT analyzed($$EXECUTE by_kind('kind 1', 90)$$);
SET dbperf.cache_explain_node = off;
EXPLAIN (COSTS OFF) EXECUTE by_kind('kind 1', 90);
RESET dbperf.cache_explain_node;
-- a plan that is kept, in a session that does not want it any more
SET dbperf.cache_mode = off;
EXPLAIN (COSTS OFF) EXECUTE by_kind('kind 1', 90);
EXECUTE by_kind('kind 1', 90);
SET dbperf.cache_mode = hint;
SET dbperf.enabled = off;
EXPLAIN (COSTS OFF) EXECUTE by_kind('kind 1', 90);
RESET dbperf.enabled;
RESET plan_cache_mode;
DEALLOCATE by_kind;

-- plans of all sorts; each result twice, the second time from the cache
CREATE FUNCTION twice(query text) RETURNS TABLE (same bool, status text, rows bigint)
LANGUAGE plpgsql AS $$
DECLARE
	one text[];
	two text[];
	plain text[];
	line text;
BEGIN
	plain := twice_rows(query);
	one := twice_rows('/* dbperf: cache */ ' || query);
	two := twice_rows('/* dbperf: cache */ ' || query);
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) /* dbperf: cache */ ' || query LOOP
		EXIT WHEN line ~ 'Status';
	END LOOP;
	RETURN QUERY SELECT plain IS NOT DISTINCT FROM one AND one IS NOT DISTINCT FROM two,
		trim(line), coalesce(array_length(plain, 1), 0)::bigint;
END $$;
CREATE FUNCTION twice_rows(query text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
	r record;
	result text[];
BEGIN
	FOR r IN EXECUTE query LOOP
		result := result || r::text;
	END LOOP;
	RETURN result;
END $$;
-- InitPlans, subplans, CTEs, windows, sets, joins
SELECT * FROM twice('SELECT id FROM basic WHERE value > (SELECT avg(value) FROM basic) ORDER BY id');
SELECT * FROM twice('SELECT id, (SELECT count(*) FROM basic b WHERE b.id < a.id) FROM basic a ORDER BY id');
SELECT * FROM twice('WITH k AS MATERIALIZED (SELECT kind, count(*) AS n FROM basic GROUP BY 1) SELECT * FROM k a JOIN k b USING (kind) ORDER BY 1');
SELECT * FROM twice('WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < (SELECT max(id) / 10 FROM basic)) SELECT * FROM r');
SELECT * FROM twice('SELECT kind, rank() OVER (PARTITION BY kind ORDER BY value DESC) FROM basic ORDER BY 1, 2');
SELECT * FROM twice('SELECT id FROM basic EXCEPT SELECT id + 1 FROM basic');
SELECT * FROM twice('SELECT a.id, b.id FROM basic a LEFT JOIN basic b ON b.id = a.id * 2 ORDER BY 1, 2');
SELECT * FROM twice('SELECT DISTINCT note FROM basic ORDER BY note NULLS FIRST');
-- columns that only sort, no columns, no rows, rows and arrays of values
SELECT * FROM twice('SELECT kind FROM basic ORDER BY value % 7, id DESC');
SELECT * FROM twice('SELECT FROM basic WHERE id < 10 GROUP BY id');
SELECT * FROM twice('SELECT * FROM basic WHERE id < 0 ORDER BY value');
SELECT * FROM twice('SELECT id, array_agg(note) FROM basic GROUP BY id ORDER BY id LIMIT 7 OFFSET 3');
SELECT * FROM twice('SELECT generate_series(1, id) FROM basic WHERE id < 6 ORDER BY 1');
-- long values: in the row, compressed, stored elsewhere
CREATE TABLE basic_long (id int, t text);
ALTER TABLE basic_long ALTER t SET STORAGE EXTERNAL;
INSERT INTO basic_long SELECT i, repeat(md5(i::text), 200) FROM generate_series(1, 20) AS i;
INSERT INTO basic_long SELECT i, repeat('x', 100) FROM generate_series(21, 30) AS i;
SELECT * FROM twice('SELECT * FROM basic_long ORDER BY id');
SELECT * FROM twice('SELECT t || t FROM basic_long ORDER BY id');
-- more than an entry may have
SET dbperf.cache_max_entry_size = '16kB';
SELECT * FROM twice('SELECT t, id FROM basic_long ORDER BY id');
SELECT * FROM twice('SELECT t, id FROM basic_long WHERE id > 20 ORDER BY id');
RESET dbperf.cache_max_entry_size;
-- parallel plans
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) /* dbperf: cache */ SELECT count(*), sum(value) FROM basic;
/* dbperf: cache */ SELECT count(*), sum(value) FROM basic;
EXPLAIN (COSTS OFF) /* dbperf: cache */ SELECT count(*), sum(value) FROM basic;
/* dbperf: cache */ SELECT count(*), sum(value) FROM basic;
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;

-- in functions: one row, loops, RETURN QUERY, EXECUTE
CREATE FUNCTION counted(k text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
	r record;
BEGIN
	SELECT /* dbperf: cache */ count(*) INTO n FROM basic WHERE kind = k;
	FOR r IN SELECT /* dbperf: cache */ id FROM basic WHERE kind = k ORDER BY value LOOP
		n := n + 1;
	END LOOP;
	n := n + (SELECT /* dbperf: cache */ max(id) FROM basic);
	EXECUTE 'SELECT /* dbperf: cache */ $1 + count(*) FROM basic' INTO n USING n;
	RETURN n;
END $$;
SELECT dbperf.cache_stats_reset();
SELECT counted('kind 1'), counted('kind 1'), counted('kind 2');
SELECT hits, misses, stores FROM dbperf.cache_stats;
INSERT INTO basic VALUES (1, 'kind 1', 1, NULL);
SELECT counted('kind 1'), counted('kind 1');
CREATE FUNCTION returned() RETURNS SETOF basic LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT /* dbperf: cache */ * FROM basic WHERE id < 4 ORDER BY value;
END $$;
SELECT * FROM returned();
SELECT * FROM returned();

-- where rows go does not matter
COPY (SELECT /* dbperf: cache */ id, kind FROM basic WHERE id < 4 ORDER BY value) TO STDOUT;
COPY (SELECT /* dbperf: cache */ id, kind FROM basic WHERE id < 4 ORDER BY value) TO STDOUT;
CREATE TABLE basic_copy AS /* dbperf: cache */ SELECT id, kind FROM basic WHERE id < 4 ORDER BY value;
SELECT * FROM basic_copy;

-- what other extensions count is the same
SELECT pg_stat_statements_reset() IS NOT NULL AS reset;
/* dbperf: cache */ SELECT id AS counted FROM basic WHERE id < 7 ORDER BY value;
/* dbperf: cache */ SELECT id AS counted FROM basic WHERE id < 7 ORDER BY value;
SELECT calls, rows FROM pg_stat_statements WHERE query ~ 'AS counted FROM basic';

-- settings that change what is returned
CREATE TABLE basic_time (at timestamptz);
INSERT INTO basic_time VALUES ('2024-05-01 12:00:00+00');
/* dbperf: cache */ SELECT at, at::text FROM basic_time;
SET timezone = 'Asia/Tokyo';
/* dbperf: cache */ SELECT at, at::text FROM basic_time;
RESET timezone;
/* dbperf: cache */ SELECT at, at::text FROM basic_time;

-- only what is seen twice
SET dbperf.cache_admission = repeated;
EXPLAIN (COSTS OFF) /* dbperf: cache */ SELECT count(note) FROM basic;
/* dbperf: cache */ SELECT count(note) FROM basic;
EXPLAIN (COSTS OFF) /* dbperf: cache */ SELECT count(note) FROM basic;
/* dbperf: cache */ SELECT count(note) FROM basic;
EXPLAIN (COSTS OFF) /* dbperf: cache */ SELECT count(note) FROM basic;

-- automatically: what takes long enough when it is seen to
SET dbperf.cache_mode = auto;
EXPLAIN (COSTS OFF) SELECT count(kind) FROM basic;
SET dbperf.cache_min_duration = 0;
SELECT count(kind) FROM basic;
SELECT count(kind) FROM basic;
EXPLAIN (COSTS OFF) SELECT count(kind) FROM basic;
SELECT count(kind) FROM basic;
SELECT count(kind) FROM basic;
EXPLAIN (COSTS OFF) SELECT count(kind) FROM basic;
SET dbperf.cache_min_duration = '1h';
EXPLAIN (COSTS OFF) SELECT count(kind) FROM basic;
-- or everything
SET dbperf.cache_min_duration = 0;
SET dbperf.cache_admission = always;
SELECT max(kind) FROM basic;
EXPLAIN (COSTS OFF) SELECT max(kind) FROM basic;
-- the plan of a prepared statement may be older than the decision
SET dbperf.cache_admission = repeated;
PREPARE oldest AS SELECT min(kind) FROM basic;
EXPLAIN (COSTS OFF) EXECUTE oldest;
EXECUTE oldest;
EXECUTE oldest;
EXECUTE oldest;
EXPLAIN (COSTS OFF) EXECUTE oldest;
-- a generic plan is kept, and asks at each execution
SET plan_cache_mode = force_generic_plan;
PREPARE newest(int) AS SELECT max(note) FROM basic WHERE id > $1;
EXPLAIN (COSTS OFF) EXECUTE newest(1);
EXECUTE newest(1);
EXECUTE newest(1);
EXPLAIN (COSTS OFF) EXECUTE newest(1);
RESET plan_cache_mode;

-- an expression without a table stays simple
DO $$
DECLARE
	x int := 0;
BEGIN
	FOR i IN 1..10 LOOP
		x := x + 1;
	END LOOP;
	RAISE NOTICE '%', x;
END $$;

-- another isolation level
SET dbperf.cache_mode = hint;
BEGIN ISOLATION LEVEL SERIALIZABLE;
EXPLAIN (COSTS OFF) /* dbperf: cache */ SELECT count(note) FROM basic;
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
EXPLAIN (COSTS OFF) /* dbperf: cache */ SELECT count(note) FROM basic;
ROLLBACK;

-- plans that a session has made before it wants the cache
\c -
PREPARE before AS SELECT /* dbperf: cache */ count(*) FROM basic;
EXECUTE before;
SET dbperf.cache_mode = hint;
EXPLAIN (COSTS OFF) EXECUTE before;

-- a database that is dropped takes its results with it
SELECT current_database() AS this_database \gset
CREATE DATABASE cache_dropped TEMPLATE template0;
\c cache_dropped
SET dbperf.cache_mode = hint;
SET dbperf.cache_admission = always;
CREATE TABLE dropped AS SELECT 1 AS a;
/* dbperf: cache */ SELECT count(*) FROM dropped;
\c :this_database
SELECT count(*) FROM dbperf.cache_entries WHERE database_name = 'cache_dropped';
DROP DATABASE cache_dropped;
SELECT count(*) FROM dbperf.cache_entries WHERE database_name IS DISTINCT FROM current_database();

DROP TABLE basic, basic_long, basic_copy, basic_time CASCADE;
DROP FUNCTION explained, analyzed, twice, twice_rows, counted;
