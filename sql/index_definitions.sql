-- What an index is: read from a statement, recognised in the catalog, written.
SET client_min_messages = warning;
CREATE SCHEMA planted_defs;
SET search_path = planted_defs, public;
CREATE TABLE things (id int, "Mixed Case" bigint, name text, code varchar(10) COLLATE "C",
                     data jsonb, at timestamp, atz timestamptz, arr int[], place point,
                     ok bool, small smallint);
INSERT INTO things
SELECT i, i, 'n' || i, 'c' || i, jsonb_build_object('k', i), '2020-01-01'::timestamp + i * '1 h'::interval,
       '2020-01-01', ARRAY[i], point(i, i), i % 100 = 0, i % 1000
  FROM generate_series(1, 20000) i;
CREATE VIEW thing_view AS SELECT * FROM things;
CREATE FUNCTION random_default(a int, b float8 DEFAULT random()) RETURNS int LANGUAGE plpgsql IMMUTABLE
    AS 'BEGIN RETURN a; END';
CREATE FUNCTION no_errors(ddl text, OUT created text, OUT tried text) LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        EXECUTE ddl;
        RAISE EXCEPTION 'created';
    EXCEPTION WHEN OTHERS THEN
        created := SQLSTATE || ' ' || SQLERRM;
    END;
    BEGIN
        PERFORM dbperf.what_if('SELECT 1', ARRAY[ddl]);
        RAISE EXCEPTION 'created';
    EXCEPTION WHEN OTHERS THEN
        tried := SQLSTATE || ' ' || SQLERRM;
    END;
END $$;

-- a statement fails as CREATE INDEX fails
SELECT ddl, regexp_replace(tried, ' for encoding "[^"]*"', '') AS tried,
       CASE WHEN created IS DISTINCT FROM tried THEN created END AS created
  FROM unnest(ARRAY[
    'CREATE INDEX ON things (id)',
    'CREATE INDEX a_name ON things USING btree (id DESC NULLS LAST) INCLUDE (name) WITH (fillfactor = 50) WHERE ok',
    'CREATE UNIQUE INDEX ON things (id, name)',
    'CREATE INDEX ON things (missing)',
    'CREATE INDEX ON things (id, missing)',
    'CREATE INDEX ON things (lower(missing))',
    'CREATE INDEX ON things (id) INCLUDE (missing)',
    'CREATE INDEX ON missing (id)',
    'CREATE INDEX ON missing.things (id)',
    'CREATE INDEX ON thing_view (id)',
    'CREATE INDEX ON pg_class (relname)',
    'CREATE INDEX ON things (id',
    'CREATE INDEX ON things (id) WHERE',
    'CREATE INDEX ON things (id) WHERE name',
    'CREATE INDEX ON things (id) WHERE missing = 1',
    'CREATE INDEX ON things (id) WHERE atz > now()',
    'CREATE INDEX ON things (id) WHERE id = (SELECT 1)',
    'CREATE INDEX ON things (id) WHERE count(*) > 1',
    'CREATE INDEX ON things (now())',
    'CREATE INDEX ON things ((atz::date))',
    'CREATE INDEX ON things ((random() + id))',
    'CREATE INDEX ON things (random_default(id))',
    'CREATE INDEX ON things (random_default(id, 1))',
    'CREATE INDEX ON things (generate_series(1, id))',
    'CREATE INDEX ON things (ctid)',
    'CREATE INDEX ON things (id) WHERE tableoid = 1',
    'CREATE INDEX ON things (data)',
    'CREATE INDEX ON things (place)',
    'CREATE INDEX ON things ((ROW(id)))',
    'CREATE INDEX ON things (id) INCLUDE ((id + 1))',
    'CREATE INDEX ON things (id) INCLUDE (name DESC)',
    'CREATE INDEX ON things (id) INCLUDE (name NULLS FIRST)',
    'CREATE INDEX ON things (id) INCLUDE (name COLLATE "C")',
    'CREATE INDEX ON things (id) INCLUDE (name text_ops)',
    'CREATE INDEX ON things (id missing_ops)',
    'CREATE INDEX ON things (id text_ops)',
    'CREATE INDEX ON things (id missing.int4_ops)',
    'CREATE INDEX ON things (id COLLATE "C")',
    'CREATE INDEX ON things (name COLLATE "missing")',
    'CREATE INDEX ON things ((name || code))',
    'CREATE INDEX ON things USING missing (id)',
    'CREATE INDEX ON things USING hash (id, name)',
    'CREATE INDEX ON things USING hash (id) INCLUDE (name)',
    'CREATE UNIQUE INDEX ON things USING hash (id)',
    'CREATE INDEX ON things USING gin (id)',
    'CREATE INDEX ON things USING gin (arr DESC)',
    'CREATE INDEX ON things USING gin (arr NULLS FIRST)',
    'CREATE INDEX ON things (id) WITH (fillfactor = 5)',
    'CREATE INDEX ON things (id) WITH (missing = 5)',
    'CREATE INDEX ON things USING brin (id) WITH (pages_per_range = 0)',
    'CREATE INDEX ON things (id) TABLESPACE missing',
    'CREATE INDEX ON things (' || (SELECT string_agg('id', ', ') FROM generate_series(1, 33)) || ')'
  ]) WITH ORDINALITY AS d (ddl, n), no_errors(ddl) ORDER BY n;

-- where the error is
SELECT dbperf.what_if('SELECT 1', ARRAY['CREATE INDEX ON things (lower(nome))']);
-- what is no index at all
SELECT dbperf.what_if('SELECT 1', ARRAY['SELECT 1']);
SELECT dbperf.what_if('SELECT 1', ARRAY['']);
SELECT dbperf.what_if('SELECT 1', ARRAY['CREATE INDEX ON things (id); CREATE INDEX ON things (name)']);

-- it takes the right to read the table, not the right to create the index
CREATE ROLE regress_dbperf_plain;
SET ROLE regress_dbperf_plain;
SELECT dbperf.what_if('SELECT 1', ARRAY['CREATE INDEX ON planted_defs.things (id)']);
RESET ROLE;
GRANT USAGE ON SCHEMA planted_defs TO regress_dbperf_plain;
GRANT SELECT (id) ON things TO regress_dbperf_plain;
SET ROLE regress_dbperf_plain;
SELECT dbperf.what_if('SELECT 1', ARRAY['CREATE INDEX ON planted_defs.things (id)']);
SELECT dbperf.what_if('SELECT 1', ARRAY['CREATE INDEX ON thing_view (id)']);
RESET ROLE;
GRANT SELECT ON things TO regress_dbperf_plain;
SET ROLE regress_dbperf_plain;
SELECT cost_after > 0 AS tried
  FROM dbperf.what_if('SELECT 1', ARRAY['CREATE INDEX ON planted_defs.things (id)']);
RESET ROLE;

-- what exists is recognised, however it is written: the real one is used
CREATE INDEX real_lower ON things (lower(name));
CREATE INDEX real_day ON things (date_trunc('day', at));
CREATE INDEX real_key ON things ((data ->> 'k'));
CREATE INDEX real_date ON things ((at::date));
CREATE INDEX real_coalesce ON things (coalesce(name, code));
CREATE INDEX real_partial ON things (name) WHERE ok AND "Mixed Case" > 10;
CREATE INDEX real_small ON things (small) WHERE small < 3;
CREATE INDEX real_in ON things (id) WHERE code IN ('c1', 'c2');
ANALYZE things;
SELECT q.ddl, ARRAY(SELECT u FROM unnest(w.used_indexes) u WHERE u LIKE 'planted_defs.%') AS real
  FROM (VALUES
    ('CREATE INDEX ON planted_defs.things USING btree ((lower((name))) ASC)',
     'SELECT * FROM things WHERE lower(name) = ''n7'''),
    ('CREATE INDEX other ON things (date_trunc(''day''::text, at))',
     'SELECT * FROM things WHERE date_trunc(''day'', at) = ''2020-02-01'''),
    ('CREATE INDEX ON things ((data->>''k''))',
     'SELECT * FROM things WHERE data ->> ''k'' = ''7'''),
    ('CREATE INDEX ON things (CAST(at AS date))',
     'SELECT * FROM things WHERE at::date = ''2020-02-01'''),
    ('CREATE INDEX ON things (coalesce(name, code::text))',
     'SELECT * FROM things WHERE coalesce(name, code) = ''n7'''),
    ('CREATE INDEX ON things (name) WHERE 10::bigint < "Mixed Case" AND ok = true',
     'SELECT * FROM things WHERE ok AND "Mixed Case" > 10 AND name = ''n700'''),
    ('CREATE INDEX ON things (small) WHERE ''3''::smallint > small',
     'SELECT * FROM things WHERE small < 3'),
    ('CREATE INDEX ON things (id) WHERE (things.code) IN (''c1'', ''c2'')',
     'SELECT * FROM things WHERE code IN (''c1'', ''c2'')'),
    ('CREATE INDEX ON things (id)', 'SELECT * FROM things WHERE id = 7')
  ) AS q (ddl, query), LATERAL dbperf.what_if(q.query, ARRAY[q.ddl]) w;

-- the statements that are proposed can be run as they are
CREATE SCHEMA "Odd ""one""";
CREATE TABLE target (a int, "B b" text, PRIMARY KEY (a), UNIQUE ("B b", a));
INSERT INTO target VALUES (1, 'x');
CREATE TABLE "Odd ""one"""."Größe" (id int, "order" int REFERENCES target, "B b" text,
    FOREIGN KEY ("B b", "order") REFERENCES target ("B b", a));
INSERT INTO "Odd ""one"""."Größe" SELECT i, 1, 'x' FROM generate_series(1, 20000) i;
CREATE TABLE "Odd ""one"""."P" (id int, a int REFERENCES target) PARTITION BY RANGE (id);
CREATE TABLE "Odd ""one"""."P 1" PARTITION OF "Odd ""one"""."P" FOR VALUES FROM (0) TO (10000);
CREATE TABLE "P 2" (gone int, a int, id int);
ALTER TABLE "P 2" DROP gone;
ALTER TABLE "Odd ""one"""."P" ATTACH PARTITION "P 2" FOR VALUES FROM (10000) TO (20000);
CREATE TABLE "P 3" PARTITION OF "Odd ""one"""."P" FOR VALUES FROM (20000) TO (30000)
    PARTITION BY RANGE (id);
CREATE TABLE "P 31" PARTITION OF "P 3" FOR VALUES FROM (20000) TO (30000);
INSERT INTO "Odd ""one"""."P" SELECT i, 1 FROM generate_series(1, 29999) i;
-- this one can be used as it is; and the name of that one is taken
CREATE INDEX mine_already ON "P 31" (a);
CREATE INDEX "P_a_idx" ON "Odd ""one"""."P 1" (id);
\pset format unaligned
SELECT ddl FROM dbperf.index_findings WHERE table_name LIKE '"Odd%' AND kind LIKE 'foreign%'
 ORDER BY table_name COLLATE "C", ddl COLLATE "C";
SET search_path = pg_catalog;
SELECT s.statement
  FROM dbperf.index_findings f, regexp_split_to_table(f.ddl, ';\n') WITH ORDINALITY AS s (statement, n)
 WHERE f.table_name LIKE '"Odd%' AND f.kind LIKE 'foreign%' 
 ORDER BY f.table_name COLLATE "C", f.ddl COLLATE "C", s.n
\gexec
SELECT indexrelid::regclass, indisvalid, pg_get_indexdef(indexrelid) FROM pg_index
 WHERE (indrelid::regclass::text LIKE '"Odd%' OR indrelid::regclass::text ~ 'P 3') 
 ORDER BY indexrelid::regclass::text COLLATE "C";
SELECT ddl FROM dbperf.index_findings WHERE table_name LIKE '"Odd%' AND kind LIKE 'foreign%';
\pset format aligned
RESET search_path;
DROP SCHEMA planted_defs, "Odd ""one""" CASCADE;
DROP ROLE regress_dbperf_plain;
