-- Which statements can be cached.  The reason is that of the first thing found.
CREATE SCHEMA eligible;
SET search_path = eligible, dbperf;
SET app.tenant = '1';

CREATE TYPE color AS ENUM ('red', 'green');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN label AS text;
CREATE TABLE t (id int PRIMARY KEY, name text, at timestamptz, day date, js jsonb, amount numeric);
CREATE TABLE typed (id int, c color, p positive, l label, k pair, r int4range, colors color[],
                    ref regclass, bin bytea, x xml);
CREATE VIEW v AS SELECT id, name FROM t WHERE amount > 0;
CREATE VIEW v_now AS SELECT id FROM t WHERE at < now();
CREATE MATERIALIZED VIEW mv AS SELECT id, name FROM t;
CREATE TEMP TABLE temporary (id int);
CREATE VIEW v_temporary AS SELECT id FROM temporary;
CREATE SEQUENCE seq;
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE foreign_table (id int) SERVER nowhere;

-- One row for each statement of a list.
CREATE FUNCTION judge(VARIADIC statements text[])
RETURNS TABLE (statement text, cacheable bool, reason text, object text)
LANGUAGE sql AS $$
    SELECT s, e.cacheable, e.reason, e.object
    FROM pg_catalog.unnest(statements) WITH ORDINALITY AS u (s, n), dbperf.cache_explain(s) e
    ORDER BY n, e.statement
$$;

-- what kind of statement
SELECT * FROM judge(
    'SELECT 1', 'SELECT now()', 'VALUES (1)', 'SELECT id FROM t', 'TABLE t',
    'INSERT INTO t VALUES (1)', 'UPDATE t SET name = name', 'DELETE FROM t',
    'WITH d AS (DELETE FROM t RETURNING id) SELECT * FROM d',
    'SELECT id FROM t FOR UPDATE', 'SELECT id FROM t FOR KEY SHARE',
    'SELECT id FROM (SELECT id FROM t FOR SHARE) s',
    'CREATE TABLE t2 AS SELECT 1', 'VACUUM t', 'EXPLAIN SELECT id FROM t');

-- relations
SELECT * FROM judge(
    'SELECT id FROM v', 'SELECT id FROM v_now', 'SELECT id FROM mv', 'SELECT id FROM temporary',
    'SELECT id FROM v_temporary', 'SELECT id FROM t WHERE id IN (SELECT id FROM temporary)',
    'SELECT id FROM foreign_table', 'SELECT last_value FROM seq', 'SELECT relname FROM pg_class',
    'SELECT id FROM t, pg_database', 'SELECT table_name FROM information_schema.tables',
    'SELECT sizing_id FROM information_schema.sql_sizing',
    'SELECT ctid FROM t', 'SELECT tableoid FROM t', 'SELECT id FROM t WHERE xmin = ''1''',
    'SELECT id FROM t TABLESAMPLE system (10)', 'SELECT max(id) FROM t GROUP BY name');

-- shapes of queries
SELECT * FROM judge(
    'SELECT id FROM t UNION SELECT id FROM typed', 'SELECT id FROM t EXCEPT ALL SELECT id FROM typed',
    'WITH RECURSIVE r AS (SELECT 1 AS n UNION SELECT n + 1 FROM r WHERE n < 5) SELECT n FROM r, t',
    'WITH c AS MATERIALIZED (SELECT id FROM t) SELECT count(*) FROM c a JOIN c b USING (id)',
    'SELECT (SELECT max(id) FROM typed), ARRAY(SELECT name FROM t) FROM t',
    'SELECT id FROM t WHERE EXISTS (SELECT FROM typed WHERE typed.id = t.id)',
    'SELECT id FROM t WHERE (id, name) IN (SELECT a, b FROM (VALUES (1, ''x'')) s (a, b))',
    'SELECT id FROM t WHERE (id, name) > (1, ''x'')',
    'SELECT id FROM t WHERE id IN (1, 2, 3) OR id = ANY (ARRAY[4, 5])',
    'SELECT id FROM t WHERE id <> ALL (ARRAY[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])',
    'SELECT name, sum(amount) OVER w, rank() OVER w FROM t WINDOW w AS (PARTITION BY name ORDER BY id)',
    'SELECT sum(amount) OVER (ORDER BY at RANGE ''1 day'' PRECEDING) FROM t',
    'SELECT name, grouping(name), count(*) FROM t GROUP BY ROLLUP (name)',
    'SELECT DISTINCT ON (name) name, id FROM t ORDER BY name, id DESC NULLS LAST LIMIT 3 OFFSET 1',
    'SELECT id FROM t ORDER BY id FETCH FIRST 2 ROWS WITH TIES',
    'SELECT a.id FROM t a LEFT JOIN t b USING (id) FULL JOIN t c ON c.id = b.id, LATERAL (SELECT a.id) l',
    'SELECT CASE WHEN id > 1 THEN coalesce(name, ''x'') ELSE nullif(name, ''y'') END FROM t',
    'SELECT greatest(id, 2), id IS DISTINCT FROM 1, name COLLATE "C", js[''a''] FROM t',
    'SELECT id FROM t, generate_series(1, id)', 'SELECT generate_series(1, id) FROM t',
    'SELECT e.* FROM t, jsonb_each(js) e', 'SELECT e FROM t, jsonb_each(js) e',
    'SELECT u.* FROM t, unnest(ARRAY[1, 2]) WITH ORDINALITY u (x, n)',
    'SELECT count(*) FILTER (WHERE id > 1), string_agg(name, '','' ORDER BY id), array_agg(id) FROM t',
    'SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY amount), mode() WITHIN GROUP (ORDER BY name) FROM t');

-- time
SELECT * FROM judge(
    'SELECT id FROM t WHERE at > now() - interval ''1 day''', 'SELECT current_date FROM t',
    'SELECT localtimestamp FROM t', 'SELECT clock_timestamp() FROM t', 'SELECT age(at) FROM t',
    'SELECT id FROM t WHERE at > timestamptz ''2020-01-01''', 'SELECT name::timestamptz FROM t',
    'SELECT (js ->> ''day'')::date FROM t', 'SELECT name::interval FROM t',
    'SELECT ARRAY[name]::date[] FROM t', 'SELECT name::tstzrange FROM t', 'SELECT name::time FROM t',
    'SELECT at::time::timetz FROM t', 'SELECT at::timetz FROM t', 'SELECT at::date, at + interval ''1 day'' FROM t',
    'SELECT date_trunc(''day'', at), extract(dow FROM at), to_char(at, ''YYYY''), at AT TIME ZONE ''UTC'' FROM t',
    'SELECT to_date(name, ''YYYY''), to_timestamp(name, ''YYYY'') FROM t', 'SELECT day::timestamptz > at FROM t',
    'SELECT at::text, day::text, to_char(amount, ''999D9'') FROM t');

-- functions of the server
SELECT * FROM judge(
    'SELECT random() FROM t', 'SELECT nextval(''eligible.seq'') FROM t', 'SELECT txid_current() FROM t',
    'SELECT pg_table_size(id) FROM t', 'SELECT pg_typeof(id) FROM t', 'SELECT current_database() FROM t',
    'SELECT current_schema FROM t', 'SELECT current_user, session_user FROM t', 'SELECT version() FROM t',
    'SELECT convert_from(bin, ''UTF8'') FROM typed', 'SELECT pg_size_pretty(id::bigint) FROM t',
    'SELECT current_setting(''app.tenant'', true) FROM t', 'SELECT current_setting(name) FROM t',
    'SELECT set_config(''app.tenant'', ''x'', false) FROM t',
    'SELECT to_tsvector(name) @@ to_tsquery(''english'', ''a'') FROM t',
    'SELECT concat(id, name, at), format(''%s'', id), id || name, quote_literal(id) FROM t',
    'SELECT array_to_string(ARRAY[at], '','') FROM t', 'SELECT concat(ref) FROM typed',
    'SELECT make_interval(days => id) FROM t', 'SELECT jsonb_path_query(js, ''$.a'') FROM t',
    'SELECT xmlelement(name a, name) FROM t', 'SELECT x.* FROM t, xmltable(''/a'' PASSING ''<a/>'' COLUMNS b int) x',
    'SELECT has_table_privilege(''t'', ''select'') FROM t');

-- types
SELECT * FROM judge(
    'SELECT * FROM typed', 'SELECT c::text, name::color FROM typed, t', 'SELECT enum_range(c) FROM typed',
    'SELECT max(c) FROM typed', 'SELECT p + 1, l FROM typed', 'SELECT id::positive FROM t',
    'SELECT name::positive FROM t', 'SELECT name::label FROM t', 'SELECT k, (k).a FROM typed',
    'SELECT k::text FROM typed', 'SELECT t FROM t', 'SELECT count(t) FROM t', 'SELECT ROW(id, name) FROM t',
    'SELECT s FROM (SELECT id FROM t) s', 'SELECT ref FROM typed', 'SELECT ref::text FROM typed',
    'SELECT name::regclass FROM t', 'SELECT colors::text, r * r FROM typed',
    'SELECT to_json(t), row_to_json(t) FROM t', 'SELECT json_agg(c), jsonb_agg(at) FROM typed, t',
    'SELECT jsonb_build_object(''id'', id, ''day'', day) FROM t', 'SELECT to_json(ref) FROM typed',
    'SELECT json_agg(s) FROM (SELECT id FROM t) s', 'SELECT json_object_agg(id, typed) FROM typed',
    'SELECT jsonb_populate_record(NULL::t, js) FROM t', 'SELECT * FROM t, jsonb_to_record(js) r (a int)');

-- records that a function takes to pieces
SELECT * FROM judge(
    'SELECT row_to_json(s), s::text FROM (SELECT id FROM t) s', 'SELECT row_to_json(s) FROM (SELECT id, name FROM t) s',
    'SELECT coalesce(json_agg(s ORDER BY id), ''[]''), count(s) FROM (SELECT * FROM t LIMIT 5) s',
    'WITH c AS (SELECT id, at FROM t) SELECT json_agg(c) FROM c',
    'WITH c AS (SELECT id, at FROM t) SELECT (SELECT to_jsonb(c) FROM typed LIMIT 1) FROM c',
    'SELECT to_json(v) FROM t, (VALUES (1, now())) v', 'SELECT to_json(v) FROM t, (VALUES (1, ''x'')) v (a, b)',
    'SELECT json_agg(s) FROM (SELECT ref FROM typed) s', 'SELECT json_agg(s) FROM (SELECT ROW(1, id) AS r FROM t) s',
    'SELECT json_agg(s) FROM (SELECT id, (SELECT json_agg(u) FROM (SELECT c FROM typed) u) FROM t) s',
    'SELECT array_agg(s) FROM (SELECT id FROM t) s', 'SELECT max(s::text) FROM (SELECT id FROM t) s',
    'SELECT json_agg(j) FROM (t JOIN typed USING (id)) j', 'SELECT to_json(e) FROM t, jsonb_each(js) e',
    'SELECT to_json(ROW(id, name)) FROM t', 'SELECT s FROM (SELECT id FROM t) s GROUP BY s',
    'SELECT count(*) FROM (SELECT s FROM (SELECT id FROM t) s) q');

-- functions of users
CREATE FUNCTION in_sql(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1';
CREATE FUNCTION in_plpgsql(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
CREATE FUNCTION careless(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
CREATE FUNCTION internal_immutable(int) RETURNS int IMMUTABLE STRICT LANGUAGE internal AS 'int4abs';
CREATE FUNCTION internal_stable(int) RETURNS int STABLE STRICT LANGUAGE internal AS 'int4abs';
CREATE FUNCTION by_default(a int, b timestamptz DEFAULT now()) RETURNS int IMMUTABLE LANGUAGE internal AS 'int4abs';
CREATE FUNCTION plus_one(int, int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + $2 + 1';
CREATE FUNCTION less_sql(int, int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 < $2';
CREATE OPERATOR #+ (FUNCTION = plus_one, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR <<<< (FUNCTION = int4lt, LEFTARG = int, RIGHTARG = int, COMMUTATOR = >>>>);
CREATE OPERATOR >>>> (FUNCTION = less_sql, LEFTARG = int, RIGHTARG = int, COMMUTATOR = <<<<);
CREATE AGGREGATE sum_internal(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE AGGREGATE sum_sql(int) (SFUNC = plus_one, STYPE = int, INITCOND = '0');
CREATE AGGREGATE since(timestamptz) (SFUNC = timestamptz_larger, STYPE = timestamptz, INITCOND = 'now');
SELECT * FROM judge(
    'SELECT in_sql(id) FROM t', 'SELECT in_plpgsql(id) FROM t', 'SELECT careless(id) FROM t',
    'SELECT internal_immutable(id) FROM t', 'SELECT internal_stable(id) FROM t',
    'SELECT by_default(id) FROM t', 'SELECT by_default(id, ''2020-01-01'') FROM t',
    'SELECT id #+ 1 FROM t', 'SELECT id <<<< 1 FROM t', 'SELECT sum_internal(id) FROM t',
    'SELECT sum_sql(id) FROM t', 'SELECT sum_sql(id) OVER () FROM t', 'SELECT since(at) FROM t',
    'SELECT id FROM t, in_sql(3)', 'SELECT id FROM t ORDER BY in_plpgsql(id)',
    'SELECT id FROM t LIMIT in_plpgsql(1)', 'SELECT id FROM t GROUP BY id HAVING in_sql(count(*)::int) > 1');

-- functions that a type or an operator class brings along
CREATE FUNCTION compare_sql(int, int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT btint4cmp($1, $2)';
CREATE OPERATOR ~< (FUNCTION = int4lt, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR ~<= (FUNCTION = int4le, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR ~= (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR ~>= (FUNCTION = int4ge, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR ~> (FUNCTION = int4gt, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR CLASS odd_ops FOR TYPE int USING btree AS
    OPERATOR 1 ~<, OPERATOR 2 ~<=, OPERATOR 3 ~=, OPERATOR 4 ~>=, OPERATOR 5 ~>, FUNCTION 1 compare_sql(int, int);
CREATE TYPE odd_range AS RANGE (SUBTYPE = int, SUBTYPE_OPCLASS = odd_ops);
CREATE TABLE odd (r odd_range);
SELECT * FROM judge(
    'SELECT id FROM t ORDER BY id USING ~<', 'SELECT id FROM t WHERE id ~= 1', 'SELECT r FROM odd');

-- access methods
CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler;
CREATE TABLE other_heap (id int) USING heap2;
CREATE ACCESS METHOD gist2 TYPE INDEX HANDLER gisthandler;
CREATE OPERATOR CLASS box_ops2 DEFAULT FOR TYPE box USING gist2 AS
    OPERATOR 3 &&, FUNCTION 1 gist_box_consistent(internal, box, smallint, oid, internal),
    FUNCTION 2 gist_box_union(internal, internal), FUNCTION 5 gist_box_penalty(internal, internal, internal),
    FUNCTION 6 gist_box_picksplit(internal, internal), FUNCTION 7 gist_box_same(box, box, internal);
CREATE TABLE boxes (b box);
CREATE INDEX boxes_gist2 ON boxes USING gist2 (b);
SET enable_seqscan = off;
SELECT * FROM judge('SELECT id FROM other_heap', 'SELECT b FROM boxes WHERE b && ''(0,0),(1,1)''');
RESET enable_seqscan;

-- children
CREATE TABLE parted (id int, name text) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20) USING heap2;
CREATE TABLE parent (id int);
CREATE TEMP TABLE child () INHERITS (parent);
SELECT * FROM judge(
    'SELECT id FROM parted', 'SELECT id FROM parted WHERE id = 5', 'SELECT id FROM parted WHERE id = $1',
    'SELECT id FROM parent', 'SELECT id FROM ONLY parent');

-- row security
CREATE TABLE rows (id int, owner name, tenant int);
ALTER TABLE rows ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_tenant ON rows USING (tenant = current_setting('app.tenant')::int);
CREATE ROLE regress_eligible;
GRANT USAGE ON SCHEMA eligible TO regress_eligible;
GRANT SELECT ON rows, t TO regress_eligible;
SET ROLE regress_eligible;
SELECT * FROM judge('SELECT id FROM rows');
RESET ROLE;
CREATE POLICY by_function ON rows USING (in_plpgsql(tenant) = 1);
SET ROLE regress_eligible;
SELECT * FROM judge('SELECT id FROM rows');
RESET ROLE;

-- large statements
SELECT cacheable, reason FROM cache_explain('SELECT id FROM t WHERE id IN (' ||
    (SELECT string_agg(n::text, ',') FROM generate_series(1, 20000) n) || ')');
SELECT cacheable, reason FROM cache_explain('SELECT id FROM t WHERE name = ''' || repeat('x', 100000) || '''');
SELECT cacheable, reason, object FROM cache_explain('SELECT id FROM t WHERE id IN (' ||
    (SELECT string_agg('$' || n, ',') FROM generate_series(1, 101) n) || ')');
SELECT cacheable, reason FROM cache_explain('SELECT id FROM t WHERE id IN (' ||
    (SELECT string_agg('$' || n, ',') FROM generate_series(1, 100) n) || ')');

SET client_min_messages = warning;
DROP SCHEMA eligible CASCADE;
DROP SERVER nowhere CASCADE;
DROP FOREIGN DATA WRAPPER nothing;
DROP ACCESS METHOD heap2 CASCADE;
DROP ACCESS METHOD gist2 CASCADE;
DROP ROLE regress_eligible;
