-- A planted problem for each finding about plans.  How much they weigh depends on
-- the machine, so only what was found is shown.
SET dbperf.slow_query_max_rate = 0;
SET dbperf.plan_capture = 'timing';
SET synchronous_commit = on;

CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL, state text NOT NULL,
    note varchar(40) NOT NULL, placed timestamp NOT NULL, seen timestamptz, amount int);
INSERT INTO orders
SELECT i, i % 500, CASE WHEN i <= 2000 THEN 'old' ELSE 'done' END, 'note ' || i,
       '2024-01-01'::timestamp + i * interval '1 minute', NULL, i % 1000
  FROM generate_series(1, 20000) i;
CREATE INDEX orders_note ON orders (note);
CREATE INDEX orders_placed ON orders (placed);
CREATE INDEX orders_amount ON orders (amount);
VACUUM ANALYZE orders;
-- what this session changed is counted up to a second later
SELECT pg_stat_force_next_flush();
ANALYZE orders;

-- the findings about the statement recorded last, which has the mark in its text
CREATE FUNCTION findings(mark text)
RETURNS TABLE (code text, node text, ddl text, setting text) LANGUAGE sql AS $$
    SELECT f.code, f.node, f.ddl, f.setting
      FROM dbperf.plan_findings f
     WHERE f.slow_query_id = (SELECT max(s.id) FROM dbperf.slow_queries s
                               WHERE s.query LIKE '%/* ' || mark || ' */%' AND s.plan IS NOT NULL)
     ORDER BY 1, 2
$$;
\set run 'SET dbperf.slow_query_min_duration = 0;'
\set look 'RESET dbperf.slow_query_min_duration; SELECT * FROM findings'

-- scans that keep few of many rows
:run SELECT count(*) FROM orders WHERE customer = 7 AND amount > 0 /* index */;
:look ('index');
:run SELECT count(*) FROM orders WHERE customer = 7 OR state = 'none' /* either */;
:look ('either');
:run SELECT count(*) FROM orders WHERE lower(note) = 'note 7' /* function */;
:look ('function');
:run SELECT count(*) FROM orders WHERE date_trunc('day', placed) = '2024-01-02' /* immutable */;
:look ('immutable');
:run SELECT count(*) FROM orders WHERE amount::text || 'x' = '5x' /* expression */;
:look ('expression');
:run SELECT count(*) FROM orders WHERE amount = 5.0 AND id > 0 /* cast */;
:look ('cast');
:run SELECT count(*) FROM orders WHERE note LIKE '%ote 77%' /* wildcard */;
:look ('wildcard');
:run SELECT count(*) FROM (VALUES (3), (5), (7)) v(x) JOIN orders o ON o.customer = v.x /* join */;
:look ('join');
-- no index could help, or there is nothing to help
:run SELECT count(*) FROM orders WHERE note LIKE '%7' AND md5(note) > 'f' /* opaque */;
:look ('opaque');
:run SELECT sum(amount) FROM orders /* healthy scan */;
:look ('healthy scan');
:run SELECT * FROM orders WHERE id = 7 /* healthy key */;
:look ('healthy key');
:run SELECT count(*) FROM orders WHERE amount = 5 /* healthy index */;
:look ('healthy index');

-- LIMIT and OFFSET
:run SELECT id FROM orders ORDER BY id OFFSET 15000 LIMIT 5 /* offset */;
:look ('offset');
:run SELECT * FROM orders WHERE state = 'old' AND customer >= 0 ORDER BY placed DESC LIMIT 1 /* limit */;
:look ('limit');

-- estimates: statistics of another time, none at all, columns that belong together
CREATE TABLE lines (id int PRIMARY KEY, product int, total int);
INSERT INTO lines SELECT i, i, i FROM generate_series(1, 4000) i;
CREATE TABLE picks (kind int, line int, a int, b int, c int);
INSERT INTO picks SELECT 0, i % 4000, i / 50 % 10, i / 50 % 10, i / 50 % 10 FROM generate_series(1, 20000) i;
VACUUM ANALYZE lines, picks;
SELECT pg_stat_force_next_flush();
ANALYZE lines, picks;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
:run SELECT sum(l.total) FROM picks p JOIN lines l ON l.id = p.line WHERE a = 2 AND b = 2 AND c = 2 /* correlated */;
:look ('correlated');
-- not once more if they are there
CREATE STATISTICS picks_there ON a, b, c FROM picks;
:look ('correlated');
DROP STATISTICS picks_there;
UPDATE picks SET kind = 1 WHERE line <= 2000;
SELECT pg_stat_force_next_flush();
:run SELECT sum(l.total) FROM picks p JOIN lines l ON l.id = p.line WHERE kind = 1 /* stale */;
:look ('stale');
CREATE TABLE fresh (kind int, line int);
INSERT INTO fresh SELECT 1, i % 4000 FROM generate_series(1, 20000) i;
:run SELECT sum(l.total) FROM fresh p JOIN lines l ON l.id = p.line WHERE kind = 1 /* missing */;
:look ('missing');
RESET enable_hashjoin;
RESET enable_mergejoin;

-- nothing is made on tables of the system, nor what cannot be made
:run SELECT count(*) FROM pg_proc WHERE procost = 77 /* system */;
:look ('system');
CREATE TABLE written AS SELECT i AS id, ('2024-01-01'::date + i % 300)::text AS day FROM generate_series(1, 20000) i;
CREATE INDEX ON written (day);
ANALYZE written;
:run SELECT count(*) FROM written WHERE day::date = '2024-01-02' /* written */;
:look ('written');
DROP TABLE written;

-- memory
SET work_mem = '64kB';
SET enable_hashagg = off;
:run SELECT max(length(wide)) FROM (SELECT repeat(note, 20) AS wide FROM orders ORDER BY 1 OFFSET 0) s /* sort */;
:look ('sort');
RESET enable_hashagg;
SET enable_sort = off;
:run SELECT max(length(wide)) FROM (SELECT repeat(note, 20) AS wide, count(*) FROM orders GROUP BY 1 OFFSET 0) s /* groups */;
:look ('groups');
RESET enable_sort;
SET enable_mergejoin = off;
SET enable_nestloop = off;
:run SELECT count(o.note || p.note) FROM orders o JOIN orders p ON o.id = p.id + 0 /* hash */;
:look ('hash');
RESET enable_mergejoin;
RESET enable_nestloop;

-- bitmaps, and an index that finds too much
SET enable_seqscan = off;
SET enable_indexscan = off;
CREATE TABLE wide AS SELECT i, i % 10 AS k, repeat('x', 400) AS filler FROM generate_series(1, 40000) i;
CREATE INDEX wide_k ON wide (k);
VACUUM ANALYZE wide;
:run SELECT count(filler) FROM wide WHERE k = 3 /* lossy */;
:look ('lossy');
RESET work_mem;
CREATE INDEX wide_brin ON wide USING brin (i) WITH (pages_per_range = 128);
:run SELECT count(filler) FROM wide WHERE i = 20000 /* recheck */;
:look ('recheck');
RESET enable_seqscan;
RESET enable_indexscan;

-- an index-only scan that has to look into the table
UPDATE orders SET seen = now() WHERE id % 5 = 0;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
:run SELECT count(*) FROM orders WHERE id > 100 /* fetches */;
:look ('fetches');
RESET enable_seqscan;
RESET enable_bitmapscan;

-- partitions
CREATE TABLE logs (day date NOT NULL, body text) PARTITION BY RANGE (day);
SELECT format('CREATE TABLE logs_%s PARTITION OF logs FOR VALUES FROM (%L) TO (%L)', i,
              date '2024-01-01' + 10 * i, date '2024-01-11' + 10 * i)
  FROM generate_series(0, 5) i \gexec
INSERT INTO logs SELECT date '2024-01-01' + i % 60, 'body' FROM generate_series(1, 12000) i;
ANALYZE logs;
:run SELECT count(*) FROM logs WHERE to_char(day, 'YYYY-MM-DD') = '2024-01-05' /* pruned */;
:look ('pruned');

-- subqueries and CTEs
:run SELECT sum(s) FROM (SELECT id, (SELECT sum(amount) FROM orders o WHERE o.amount = p.customer) AS s FROM orders p WHERE id <= 300 OFFSET 0) x /* subplan */;
:look ('subplan');
:run SELECT sum(s) FROM (SELECT id, (SELECT sum(amount) FROM orders o WHERE o.customer = p.id) AS s FROM orders p WHERE id <= 150 OFFSET 0) x /* subplan scan */;
:look ('subplan scan');
:run WITH c AS MATERIALIZED (SELECT amount, count(*) AS n FROM orders GROUP BY amount) SELECT count(*) FROM c x WHERE (SELECT sum(n) FROM c y WHERE y.amount <= x.amount) > 500 /* cte */;
:look ('cte');
SET work_mem = '64kB';
:run SELECT count(*) FROM lines WHERE id <= 200 AND id NOT IN (SELECT id + 100000 FROM orders) /* not in */;
:look ('not in');
RESET work_mem;
:run SELECT count(*) FROM lines WHERE id NOT IN (SELECT id FROM orders) /* not in hashed */;
:look ('not in hashed');

-- loops
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_memoize = off;
:run SELECT count(*) FROM (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12)) v(x) CROSS JOIN LATERAL (SELECT * FROM orders o WHERE o.customer = v.x OFFSET 0) l /* loop */;
:look ('loop');
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
SET enable_bitmapscan = off;
:run SELECT count(*) FROM (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12)) v(x) LEFT JOIN orders o ON o.customer = v.x /* join loop */;
:look ('join loop');
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_memoize;
RESET enable_indexscan;
RESET enable_indexonlyscan;
RESET enable_bitmapscan;

-- time that is not spent in the plan's nodes
CREATE TABLE parents (id int PRIMARY KEY);
CREATE TABLE children (id int, parent int REFERENCES parents);
INSERT INTO parents SELECT generate_series(1, 1000);
INSERT INTO children SELECT i, i % 900 + 1 FROM generate_series(1, 30000) i;
ANALYZE parents, children;
:run DELETE FROM parents WHERE id > 990 /* foreign key */;
:look ('foreign key');
CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(0.001); RETURN new; END$$;
CREATE TRIGGER slowly AFTER UPDATE ON lines FOR EACH ROW EXECUTE FUNCTION slowly();
:run UPDATE lines SET total = 0 WHERE id <= 150 /* trigger */;
:look ('trigger');
SET join_collapse_limit = 12;
SET geqo = off;
:run SELECT count(*) FROM parents a JOIN parents b USING (id) JOIN parents c USING (id) JOIN parents d USING (id) JOIN parents e USING (id) JOIN parents f USING (id) JOIN parents g USING (id) JOIN parents h USING (id) JOIN parents i USING (id) JOIN parents j USING (id) WHERE a.id = 5 /* planning */;
:look ('planning');
RESET join_collapse_limit;
RESET geqo;
SET max_parallel_workers_per_gather = 2;
SET max_parallel_workers = 0;
SET parallel_setup_cost = 0;
SET min_parallel_table_scan_size = 0;
:run SELECT sum(amount) FROM orders /* workers */;
:look ('workers');
RESET max_parallel_workers_per_gather;
RESET max_parallel_workers;
RESET parallel_setup_cost;
RESET min_parallel_table_scan_size;
SET jit = on;
SET jit_above_cost = 0;
SET jit_optimize_above_cost = 0;
SET jit_inline_above_cost = 0;
:run SELECT count(amount + 1) FROM orders WHERE id < 50 /* jit */;
RESET dbperf.slow_query_min_duration;
SELECT code, setting FROM findings('jit')
UNION ALL SELECT 'jit_share', 'jit = off' WHERE NOT pg_jit_available();
RESET jit;
RESET jit_above_cost;
RESET jit_optimize_above_cost;
RESET jit_inline_above_cost;

-- with less in the plan there is less to say, but nothing wrong
SET dbperf.plan_capture = 'rows';
:run SELECT count(*) FROM orders WHERE customer = 8 AND state <> '' /* rows */;
:look ('rows');
SET dbperf.plan_capture = 'plan';
:run SELECT count(*) FROM orders WHERE customer = 9 AND state <> 'x' /* plan */;
:look ('plan');
SET dbperf.plan_capture = 'timing';

-- names that are no words: what is given can be run
CREATE SCHEMA "my ""Schema""";
CREATE TABLE "my ""Schema"""."t (x)
->  Seq Scan on y" ("c, '1" int, "d) AND (e" text);
INSERT INTO "my ""Schema"""."t (x)
->  Seq Scan on y" SELECT i, 'x' || i FROM generate_series(1, 3000) i;
ANALYZE "my ""Schema"""."t (x)
->  Seq Scan on y";
:run SELECT count(*) FROM "my ""Schema"""."t (x)
->  Seq Scan on y" AS "a.b
  Filter: (x)" WHERE "c, '1" = 5 AND "d) AND (e" = 'x5' /* names */;
:look ('names');
SELECT replace(ddl, ' CONCURRENTLY', '') FROM findings('names') \gexec
:run SELECT count(*) FROM "my ""Schema"""."t (x)
->  Seq Scan on y" AS "a.b
  Filter: (x)" WHERE "c, '1" = 5 AND "d) AND (e" = 'x5' /* names solved */;
:look ('names solved');
-- two tables of one name: which one is meant cannot be known, so no ddl
CREATE TABLE "my ""Schema""".orders AS SELECT * FROM orders;
:run SELECT count(*) FROM orders a, "my ""Schema""".orders b WHERE a.customer = 7 AND b.customer = 7 AND a.id = b.id /* namesakes */;
RESET dbperf.slow_query_min_duration;
SELECT count(*) > 0 AS found, count(ddl) FROM findings('namesakes') WHERE code NOT LIKE '%statistics';
-- a table that is gone
:run SELECT count(*) FROM "my ""Schema""".orders WHERE customer = 7 /* gone */;
RESET dbperf.slow_query_min_duration;
DROP TABLE "my ""Schema""".orders;
SELECT * FROM findings('gone');

-- a plan of hundreds of lines, cut anywhere
SELECT string_agg(format('SELECT id FROM orders WHERE customer = %s AND note <> E''\n%s''''"(''', i, i), ' UNION ALL ') AS long
  FROM generate_series(1, 120) i \gset
:run SELECT count(*) FROM (:long) x /* long */;
RESET dbperf.slow_query_min_duration;
SELECT code, count(*), count(DISTINCT ddl) FROM findings('long') GROUP BY 1 ORDER BY 1;
SELECT length(dbperf.explain_slow_query(max(id))) > 10000 AS long,
       json_typeof(dbperf.explain_slow_query(max(id), 'json')::json)
  FROM dbperf.slow_queries WHERE query LIKE '%/* long */';
DO $$
BEGIN
    FOR i IN 0 .. 60 LOOP
        PERFORM set_config('dbperf.max_plan_length', (256 + i * 7)::text, true);
        SET LOCAL dbperf.slow_query_min_duration = 0;
        EXECUTE format('SELECT count(*) FROM (SELECT p.* FROM orders o JOIN picks p ON p.line = o.id WHERE o.customer = 7 AND o.note LIKE ''%%a"b(%s'' ORDER BY o.id OFFSET 1) x /* cut %s */', i, i);
        SET LOCAL dbperf.slow_query_min_duration = -1;
        PERFORM count(*) FROM dbperf.plan_findings;
        PERFORM dbperf.explain_slow_query(max(id)) FROM dbperf.slow_queries WHERE plan IS NOT NULL;
    END LOOP;
END $$;

-- explain_slow_query
SELECT regexp_replace(regexp_replace(regexp_replace(dbperf.explain_slow_query(max(id)),
                                                   '(rows=\d+)\.00', '\1', 'g'), '\d+\.\d+', 'n', 'g'),
                      '(critical|warning|info)', 'severity', 'g')
  FROM dbperf.slow_queries WHERE query LIKE '%/* index */';
SELECT max(id) AS id FROM dbperf.slow_queries WHERE query LIKE '%/* index */' \gset
SELECT dbperf.explain_slow_query(:id, 'JSON')::jsonb #>> '{0,Plan,Plans,0,Relation Name}' AS relation;
SELECT dbperf.explain_slow_query(:id, 'xml');
SELECT dbperf.explain_slow_query(0);
SELECT dbperf.explain_slow_query(-9223372036854775808);
SELECT dbperf.explain_slow_query(9223372036854775807);
SELECT dbperf.explain_slow_query(NULL), dbperf.explain_slow_query(:id, NULL);

-- a plain role sees its own plans
CREATE ROLE regress_dbperf_plans;
GRANT SELECT ON orders TO regress_dbperf_plans;
SET ROLE regress_dbperf_plans;
SELECT count(*) FROM dbperf.plan_findings;
DO $$
BEGIN
    PERFORM dbperf.explain_slow_query(max(id)) FROM dbperf.slow_queries
     WHERE user_name = 'postgres' AND plan IS NULL;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'refused';
END $$;
RESET ROLE;
SET dbperf.slow_query_min_duration = 0;
SET ROLE regress_dbperf_plans;
SELECT count(*) FROM orders WHERE customer = 7 /* plain */;
SELECT code, ddl FROM dbperf.plan_findings WHERE code = 'missing_index';
RESET ROLE;
RESET dbperf.slow_query_min_duration;
DROP TABLE orders, lines, picks, fresh, wide, logs, children, parents CASCADE;
DROP SCHEMA "my ""Schema""" CASCADE;
DROP FUNCTION findings, slowly;
DROP ROLE regress_dbperf_plans;
SELECT dbperf.slow_queries_reset();
\set VERBOSITY sqlstate
SELECT dbperf.explain_slow_query(:id);
\set VERBOSITY default
