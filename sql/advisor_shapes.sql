-- Tables of all kinds, odd names, parameters of all types, and statements in
-- which the table is far from the surface.
SET search_path = planted, public;
-- VACUUM sees as visible to all only what has reached the disk
SET synchronous_commit = on;

-- views, common table expressions, subqueries
CREATE VIEW late_orders AS SELECT id, customer, account, created FROM orders WHERE created > '2024-02-01';
CREATE VIEW late_few AS SELECT * FROM late_orders WHERE customer < 2000;
CREATE VIEW guarded WITH (security_barrier) AS SELECT * FROM orders WHERE total > 5;
SELECT follow_advice(ARRAY['SELECT * FROM late_orders WHERE customer = 6']);
SELECT follow_advice(ARRAY['SELECT count(*) FROM late_few v WHERE account = 7']);
SELECT follow_advice(ARRAY['SELECT * FROM guarded WHERE customer = 5']);
SELECT follow_advice(ARRAY['WITH o AS (SELECT * FROM orders) SELECT * FROM o WHERE customer = 8']);
SELECT follow_advice(ARRAY['WITH o AS MATERIALIZED (SELECT * FROM orders WHERE account = 8) SELECT * FROM o WHERE region = 5']);
SELECT follow_advice(ARRAY['WITH gone AS (DELETE FROM orders WHERE account = 9 RETURNING customer)
                            SELECT * FROM customers WHERE id IN (SELECT customer FROM gone)']);
SELECT follow_advice(ARRAY['SELECT * FROM (SELECT customer c, total FROM orders OFFSET 0) s JOIN
                            (SELECT id FROM customers WHERE email = ''c77'') t ON t.id = s.c']);
SELECT follow_advice(ARRAY['SELECT id, (SELECT max(created) FROM orders o WHERE o.customer = c.id)
                            FROM customers c WHERE id BETWEEN 1 AND 20']);
SELECT follow_advice(ARRAY['SELECT id FROM orders WHERE customer = 5
                            UNION ALL SELECT id FROM customers WHERE parent = 7']);
SELECT follow_advice(ARRAY['SELECT * FROM customers WHERE id = (SELECT customer FROM orders WHERE total = 7)']);
DROP VIEW late_few, late_orders, guarded;

-- names that need quotes, and words that mean something else
CREATE SCHEMA "Planted ""too""";
CREATE TABLE "Planted ""too"""."Order Lines; DROP" (
    "Id" int PRIMARY KEY, "Customer Id" int, "select" int, "where ""x""" text, ok int, note text);
INSERT INTO "Planted ""too"""."Order Lines; DROP"
SELECT id, customer, account, CASE WHEN id % 100 = 0 THEN 'O''Neil' ELSE 'other' END, total, note FROM orders;
VACUUM ANALYZE "Planted ""too"""."Order Lines; DROP";
SELECT follow_advice(ARRAY[
    'SELECT * FROM "Planted ""too"""."Order Lines; DROP" WHERE "Customer Id" = 5 AND "select" > 100']);
SELECT follow_advice(ARRAY[
    'SELECT "Id" FROM "Planted ""too"""."Order Lines; DROP" WHERE "where ""x""" = ''O''''Neil'' ORDER BY "select" LIMIT 5']);
SELECT table_name FROM dbperf.suggest_indexes(ARRAY[
    'SELECT * FROM "Planted ""too"""."Order Lines; DROP" WHERE lower("where ""x""") = ''x''']);
-- names as long as they may be
CREATE TABLE aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa (
    bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb int, "äääääääääääääääääääääääääääääää" int, note text);
INSERT INTO aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa SELECT customer, account, note FROM orders;
ANALYZE aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa;
SELECT follow_advice(ARRAY[
    'SELECT * FROM aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
      WHERE bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb = 5',
    'SELECT * FROM aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
      WHERE "äääääääääääääääääääääääääääääää" = 5']);
DROP TABLE aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa;
DROP SCHEMA "Planted ""too""" CASCADE;
-- a schema that is not in search_path, with a table of the same name in front
CREATE SCHEMA hidden;
CREATE TABLE hidden.orders AS SELECT * FROM orders;
VACUUM ANALYZE hidden.orders;
SELECT follow_advice(ARRAY['SELECT * FROM hidden.orders WHERE customer = 5']);
SET search_path = hidden, planted, public;
SELECT follow_advice(ARRAY['SELECT * FROM orders WHERE customer = 5']);
SET search_path = planted, public;
DROP SCHEMA hidden CASCADE;

-- parameters of all types, which nobody has declared
CREATE TYPE mood AS ENUM ('good', 'fair', 'bad');
CREATE DOMAIN number AS int CHECK (VALUE >= 0);
CREATE TABLE typed AS
SELECT k AS int4, k::bigint AS int8, (k % 3000)::smallint AS int2, k::numeric AS num, k::float8 AS f8,
       'v' || k AS txt, ('v' || k)::varchar(20) AS vc, ('v' || k)::char(20) AS bp, date '2000-01-01' + k AS d,
       timestamp '2024-01-01' + k * interval '1 min' AS ts,
       timestamptz '2024-01-01 00:00+00' + k * interval '1 min' AS tz, time '00:00' + k * interval '1 s' AS t,
       k * interval '1 min' AS iv, md5(k::text)::uuid AS u, decode(md5(k::text), 'hex') AS by,
       inet '10.0.0.0' + k AS ip, k::number AS dom, k::text::money AS money, k::text::oid AS o,
       CASE WHEN i % 100 = 0 THEN 'bad' WHEN i % 2 = 0 THEN 'fair' ELSE 'good' END::mood AS mood,
       i % 100 = 0 AS flag, repeat('n', 60) AS note
FROM (SELECT i, i * 7919 % 30000 AS k FROM generate_series(1, 30000) i) s;
VACUUM ANALYZE typed;
SELECT col, advice
  FROM unnest(ARRAY['int4', 'int8', 'int2', 'num', 'f8', 'txt', 'vc', 'bp', 'd', 'ts', 'tz', 't', 'iv', 'u', 'by',
                    'ip', 'dom', 'money', 'o']) WITH ORDINALITY u (col, n),
       follow_advice(ARRAY[format('SELECT * FROM typed WHERE %I = $1', col)]) advice
 ORDER BY n;
SELECT follow_advice(ARRAY['SELECT * FROM typed WHERE int8 = ANY ($1)']);
SELECT follow_advice(ARRAY['SELECT * FROM typed WHERE d BETWEEN $1 AND $2 ORDER BY tz LIMIT $3']);
SELECT follow_advice(ARRAY['SELECT * FROM typed WHERE ts > now() - $1 * interval ''1 day'' AND txt = $2']);
-- as pg_stat_statements has it, which is no SQL
SELECT advice('SELECT * FROM typed WHERE d = date $1', 'SELECT * FROM typed WHERE iv = interval $1');
SELECT follow_advice(ARRAY['SELECT * FROM typed WHERE lower(txt) = lower($1::varchar)']);
SELECT follow_advice(ARRAY['SELECT * FROM typed WHERE mood = $1 AND flag = $2 AND int8 = $3']);
-- the same parameter twice, a hole in the numbers
SELECT advice('SELECT * FROM typed WHERE int4 = $3 OR int8 = $3');
-- all at once
SELECT count(*) = 19 AS all_of_them
  FROM dbperf.suggest_indexes(ARRAY(SELECT format('SELECT * FROM typed WHERE %I = $1', col)
         FROM unnest(ARRAY['int4', 'int8', 'int2', 'num', 'f8', 'txt', 'vc', 'bp', 'd', 'ts', 'tz', 't', 'iv', 'u', 'by',
                           'ip', 'dom', 'money', 'o']) col), min_improvement => 0);
DROP TABLE typed;

-- partitions: each gets its index, the parent takes them
CREATE TABLE parts (id int NOT NULL, customer int NOT NULL, created timestamp NOT NULL, note text NOT NULL)
    PARTITION BY RANGE (created);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2024-01-01') TO ('2024-03-01');
-- other attribute numbers than the parent's
CREATE TABLE parts_2 (gone int, note text NOT NULL, created timestamp NOT NULL, customer int NOT NULL, id int NOT NULL);
ALTER TABLE parts_2 DROP gone;
ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES FROM ('2024-03-01') TO ('2024-06-01');
CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM ('2024-06-01') TO ('2025-01-01') PARTITION BY HASH (customer);
CREATE TABLE parts_3_0 PARTITION OF parts_3 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parts_3_1 PARTITION OF parts_3 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO parts SELECT id, customer, created, note FROM orders;
VACUUM ANALYZE parts;
SELECT follow_advice(ARRAY['SELECT * FROM parts WHERE customer = 5']);
SELECT follow_advice(ARRAY['SELECT * FROM parts WHERE customer = 5 AND created >= ''2024-04-01'' AND created < ''2024-05-01''']);
SELECT follow_advice(ARRAY['SELECT * FROM parts ORDER BY created DESC LIMIT 10']);
SELECT follow_advice(ARRAY['SELECT * FROM parts WHERE lower(note) = ''abc''']);
-- a partition by its own name
SELECT follow_advice(ARRAY['SELECT * FROM parts_2 WHERE customer = 5']);
-- really, statement by statement as psql would, and the parent's index is valid
CREATE TEMP TABLE steps AS
SELECT row_number() OVER () AS n, step
  FROM dbperf.suggest_indexes(ARRAY['SELECT * FROM parts WHERE customer = 5']),
       regexp_split_to_table(ddl, ';\s*(\n|$)') step
 WHERE step <> '';
SELECT regexp_replace(step, '\m\w+_idx\d*\M', 'idx') AS step FROM steps ORDER BY n;
SELECT step FROM steps ORDER BY n \gexec
SELECT c.relname, count(*) AS indexes, bool_and(i.indisvalid) AS valid
  FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relname ~ '^parts' GROUP BY 1 ORDER BY 1;
SELECT follow_advice(ARRAY['SELECT * FROM parts WHERE customer = 6']);
DROP TABLE steps, parts;

-- inheritance
CREATE TABLE parent (id int, customer int, note text);
CREATE TABLE child () INHERITS (parent);
INSERT INTO child SELECT id, customer, note FROM orders;
VACUUM ANALYZE parent, child;
SELECT follow_advice(ARRAY['SELECT * FROM parent WHERE customer = 5']);
DROP TABLE parent CASCADE;

-- materialized views, unlogged tables
CREATE MATERIALIZED VIEW summary AS SELECT id, customer, total, note FROM orders;
VACUUM ANALYZE summary;
SELECT follow_advice(ARRAY['SELECT * FROM summary WHERE customer = 5']);
SELECT reason ~* 'refresh' AS tells_of_refresh FROM dbperf.suggest_indexes(ARRAY['SELECT * FROM summary WHERE customer = 5']);
DROP MATERIALIZED VIEW summary;
CREATE UNLOGGED TABLE unlogged AS SELECT * FROM orders;
VACUUM ANALYZE unlogged;
SELECT follow_advice(ARRAY['SELECT * FROM unlogged WHERE customer = 5']);
DROP TABLE unlogged;

-- temporary tables are not worth it
CREATE TEMP TABLE temporary AS SELECT * FROM orders;
ANALYZE temporary;
SELECT follow_advice(ARRAY['SELECT * FROM temporary WHERE customer = 5']);
SELECT follow_advice(ARRAY['SELECT * FROM orders o JOIN temporary t ON t.id = o.account WHERE t.customer = 5']);
DROP TABLE temporary;

-- row security: what the policy asks for
CREATE ROLE regress_dbperf_tenant;
GRANT USAGE ON SCHEMA planted TO regress_dbperf_tenant;
CREATE TABLE secured AS SELECT id, customer AS tenant, account, note FROM orders;
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON secured USING (tenant = current_setting('planted.tenant', true)::int);
GRANT SELECT ON secured TO regress_dbperf_tenant;
VACUUM ANALYZE secured;
SET planted.tenant = 7;
SET ROLE regress_dbperf_tenant;
SELECT regexp_replace(ddl, '.* ON ', '') FROM dbperf.suggest_indexes(ARRAY['SELECT * FROM secured WHERE note <> ''n''']);
RESET ROLE;
SELECT regexp_replace(ddl, '.* ON ', '') FROM dbperf.suggest_indexes(ARRAY['SELECT * FROM secured WHERE note <> ''n''']);
DROP TABLE secured;
DROP OWNED BY regress_dbperf_tenant;
DROP ROLE regress_dbperf_tenant;

-- what 02_advisor made
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA planted CASCADE;
