-- The lists of what is cached, and the hint.
SET dbperf.cache_mode = hint;
CREATE SCHEMA listed;
SET search_path = listed, dbperf;
CREATE TABLE a (id int PRIMARY KEY, name text);
CREATE TABLE b (id int PRIMARY KEY, name text);
CREATE VIEW joined AS SELECT a.id, b.name FROM a JOIN b USING (id);
CREATE TABLE parted (id int) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20);
CREATE FUNCTION says(query text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_catalog.concat_ws(': ', reason, object, detail) FROM dbperf.cache_explain(query)
$$;

-- tables
SELECT says('SELECT id FROM a');
SELECT cache_table('a', true);
SELECT says('SELECT id FROM a');
SELECT says('SELECT id FROM joined');
SELECT cache_table('b', true);
SELECT says('SELECT id FROM joined');
SELECT cache_table('b', false);
SELECT says('SELECT id FROM joined');
SELECT * FROM cache_tables ORDER BY relation::text;
SELECT cache_table('b', NULL), cache_table('a', NULL);
SELECT cache_table('a', NULL);
SELECT says('SELECT id FROM joined');

-- partitions count as their table
SELECT cache_table('parted', true);
SELECT says('SELECT id FROM parted'), says('SELECT id FROM parted_1');
SELECT cache_table('parted_2', false);
SELECT says('SELECT id FROM parted');
SELECT says('SELECT id FROM parted WHERE id = 1');
SELECT says('SELECT id FROM parted_1');
SELECT cache_table('parted', NULL), cache_table('parted_2', NULL);

-- what is undone was never said
BEGIN;
SELECT cache_table('a', true);
SELECT says('SELECT id FROM a');
ROLLBACK;
SELECT says('SELECT id FROM a');
BEGIN;
SAVEPOINT s;
SELECT cache_table('a', true);
ROLLBACK TO s;
SELECT says('SELECT id FROM a');
COMMIT;

-- a superuser may write to the list itself
INSERT INTO cache_tables VALUES ('a', true);
SELECT says('SELECT id FROM a');
UPDATE cache_tables SET cached = false;
SELECT says('SELECT id FROM a');
TRUNCATE cache_tables;
SELECT says('SELECT id FROM a');

-- queries
SELECT count(*) FROM public.pg_stat_statements_reset();
SELECT id FROM a WHERE name = 'x';
SELECT queryid AS a_id FROM public.pg_stat_statements WHERE query LIKE 'SELECT id FROM a WHERE name = $1' \gset
SELECT cache_query(:a_id, true);
SELECT says('SELECT id FROM a WHERE name = ''y''');
SELECT says('SELECT id FROM a WHERE name <> ''y''');
SELECT cache_query(:a_id, false);
SELECT says('SELECT id FROM a WHERE name = ''y''');
SELECT cached, queryid = :a_id AS same FROM cache_queries_listed;
SELECT cache_query(:a_id, NULL);
SELECT says('SELECT id FROM a WHERE name = ''y''');

-- functions
CREATE FUNCTION twice(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN n + n; END';
CREATE FUNCTION twice(n text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN n || n; END';
CREATE FUNCTION careless(n int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN n; END';
CREATE FUNCTION plus(int, int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + $2';
CREATE AGGREGATE total(int) (SFUNC = plus, STYPE = int, INITCOND = '0');
CREATE PROCEDURE doing() LANGUAGE sql AS 'SELECT 1';
SELECT says('SELECT twice(id) FROM a');
SELECT cache_function('twice(int)', true), cache_function('twice(int)', true);
SELECT says('SELECT twice(id) FROM a'), says('SELECT twice(name) FROM a');
SELECT says('SELECT total(id) FROM a');
SELECT cache_function('plus(int, int)', true);
SELECT says('SELECT total(id) FROM a');
SELECT * FROM cache_functions ORDER BY function;
SET quote_all_identifiers = on;
SELECT says('SELECT twice(id) FROM a');
RESET quote_all_identifiers;
ALTER FUNCTION twice(int) RENAME TO double;
SELECT says('SELECT double(id) FROM a');
ALTER FUNCTION double(int) RENAME TO twice;
ALTER FUNCTION twice(int) VOLATILE;
SELECT says('SELECT twice(id) FROM a');
SELECT cache_function('twice(int)', false), cache_function('plus(int, int)', NULL);
SELECT count(*) FROM cache_functions;
-- bad input
CREATE TEMP TABLE temporary (id int);
CREATE SEQUENCE seq;
CREATE MATERIALIZED VIEW mv AS SELECT id FROM a;
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE foreign_table (id int) SERVER nowhere;
\set VERBOSITY sqlstate
SELECT cache_function('careless(int)', true);
SELECT cache_function('total(int)', true);
SELECT cache_function('doing()', true);
SELECT cache_table('joined', true);
SELECT cache_table('temporary', true);
\set VERBOSITY default
SELECT cache_function('careless(int)', true);
SELECT cache_function('total(int)', true);
SELECT cache_function('doing()', true);

SELECT cache_table('joined', true);
SELECT cache_table('a_pkey', true);
SELECT cache_table('temporary', true);
SELECT cache_table('pg_class', true);
SELECT cache_table('foreign_table', true);
SELECT cache_table('seq', true);
SELECT cache_table(0, true);
SELECT cache_table(NULL, true);
SELECT cache_table('joined', NULL);
SELECT cache_table('mv', true), cache_table('mv', NULL);
SELECT cache_query(0, true);
SELECT cache_query(NULL, true);
SELECT cache_function(NULL, true);
SELECT cache_function(0, true);

-- who may
CREATE ROLE regress_owner;
CREATE ROLE regress_other;
GRANT USAGE ON SCHEMA listed TO regress_owner, regress_other;
GRANT ALL ON a TO regress_other;
ALTER TABLE a OWNER TO regress_owner;
SET ROLE regress_other;
SELECT cache_table('a', true);
SELECT cache_query(1, true);
SELECT cache_function('twice(text)', true);
INSERT INTO cache_tables VALUES ('a', true);
INSERT INTO cache_functions VALUES ('listed.twice(text)');
SELECT count(*) FROM cache_tables;
RESET ROLE;
SET ROLE regress_owner;
SELECT cache_table('a', true);
SELECT cache_table('b', true);
SELECT relation FROM cache_tables;
SELECT current_user, says('SELECT id FROM a');
RESET ROLE;
GRANT EXECUTE ON FUNCTION cache_query(bigint, bool) TO regress_other;
SET ROLE regress_other;
SELECT cache_query(1, true), cache_query(1, NULL);
RESET ROLE;
REVOKE EXECUTE ON FUNCTION cache_query(bigint, bool) FROM regress_other;
SELECT cache_table('a', NULL);

-- what is dropped is not dumped
SELECT cache_table('mv', true);
DROP MATERIALIZED VIEW mv;
SELECT count(*) AS listed, count(*) FILTER (WHERE relation::oid IN (SELECT oid FROM pg_class)) AS dumped
  FROM cache_tables;
DELETE FROM cache_tables;

-- the hint: a comment that says nothing else
CREATE FUNCTION hinted(query text) RETURNS bool LANGUAGE sql AS $$
    SELECT bool_and(detail = 'Used: it has the hint.') FROM dbperf.cache_explain(query)
$$;
SELECT q, hinted(q) FROM (VALUES
    ('/* dbperf: cache */ SELECT id FROM b'),
    ('SELECT id FROM b /* dbperf: cache */'),
    ('SELECT id FROM b /* dbperf: cache */;'),
    ('SELECT/*dbperf:cache*/id FROM b'),
    ('SELECT /*  dbperf:   cache  */ id FROM b'),
    ('SELECT /* DBPERF: cache */ id FROM b'),
    ('SELECT /* dbperf: cached */ id FROM b'),
    ('SELECT /* dbperf : cache */ id FROM b'),
    ('SELECT /* app: x, dbperf: cache */ id FROM b'),
    ('SELECT /* a /* dbperf: cache */ b */ id FROM b'),
    ('SELECT /* x */ /* dbperf: cache */ id FROM b'),
    ('-- /* dbperf: cache */' || E'\n' || 'SELECT id FROM b'),
    ('SELECT id /*/* x */*/, name FROM b -- it''s' || E'\n' || '/* dbperf: cache */'),
    ('SELECT ''/* dbperf: cache */'' FROM b'),
    ('SELECT ''a''''/* dbperf: cache */'' FROM b'),
    ('SELECT ''\'' /* dbperf: cache */ FROM b'),
    ('SELECT E''\''/* dbperf: cache */'' FROM b'),
    ('SELECT e''''''\''/* dbperf: cache */'' FROM b'),
    ('SELECT E''a''' || E'\n' || '''\''/* dbperf: cache */'' FROM b'),
    ('SELECT id AS "/* dbperf: cache */" FROM b'),
    ('SELECT id AS "a""b" /* dbperf: cache */ FROM b'),
    ('SELECT $$/* dbperf: cache */$$ FROM b'),
    ('SELECT $x$ $$ /* dbperf: cache */ $y$ $x$ FROM b'),
    ('SELECT $é$/* dbperf: cache */$é$ FROM b'),
    ('SELECT id FROM b WHERE id = $1 /* dbperf: cache */ AND id = $2'),
    ('SELECT id AS a$b$ /* dbperf: cache */, name AS c$b$ FROM b'),
    ('SELECT 1-/* dbperf: cache */id FROM b')) v (q);
SELECT statement, detail FROM cache_explain(
    'SELECT 1 FROM b; /* dbperf: cache */ SELECT 2 FROM b; SELECT 3 FROM b /* dbperf: cache */; SELECT 4 FROM b; SELECT '';'' FROM b');
SET escape_string_warning = off;
SET standard_conforming_strings = off;
SELECT hinted($q$SELECT '\'/* dbperf: cache */' FROM b$q$);
RESET standard_conforming_strings;

-- what tells all sessions is a trigger, and for nobody else
SELECT dbperf.cache_lists_changed();
SET ROLE regress_other;
CREATE TEMPORARY TABLE mine (id int);
CREATE TRIGGER mine AFTER INSERT ON mine EXECUTE FUNCTION dbperf.cache_lists_changed();
RESET ROLE;

-- without the extension nothing is listed
CREATE DATABASE regress_cache_lists;
\c regress_cache_lists
SET dbperf.cache_mode = hint;
CREATE TABLE a (id int);
SELECT count(*) FROM a;
CREATE SCHEMA dbperf;
CREATE TABLE dbperf.cache_tables (relation regclass, cached bool);
INSERT INTO dbperf.cache_tables VALUES ('a', false);
SELECT count(*) FROM a;
DROP SCHEMA dbperf CASCADE;
CREATE EXTENSION dbperf CASCADE;
SELECT dbperf.cache_table('a', true);
SELECT detail FROM dbperf.cache_explain('SELECT id FROM a');
DROP EXTENSION dbperf;
SELECT count(*) FROM a;
CREATE EXTENSION dbperf;
SELECT detail FROM dbperf.cache_explain('SELECT id FROM a');
\c contrib_regression
DROP DATABASE regress_cache_lists;
SET client_min_messages = warning;
DROP SCHEMA listed CASCADE;
DROP SERVER nowhere CASCADE;
DROP FOREIGN DATA WRAPPER nothing;
DROP ROLE regress_owner, regress_other;
