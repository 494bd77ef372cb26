-- Plans read back from their text and written as JSON are what the server would
-- have written.
SET max_parallel_workers_per_gather = 0;
SET jit = off;

-- every leaf of a JSON value with its path
CREATE FUNCTION leaves(plan jsonb) RETURNS TABLE (path text, value jsonb)
LANGUAGE sql IMMUTABLE AS $$
    WITH RECURSIVE walk(path, value) AS (
        SELECT '', plan
        UNION ALL
        SELECT w.path || '/' || m.key, m.value
          FROM walk w CROSS JOIN LATERAL (
               SELECT e.key, e.value FROM jsonb_each(CASE jsonb_typeof(w.value) WHEN 'object' THEN w.value END) e
               UNION ALL
               SELECT (a.n - 1)::text, a.value
                 FROM jsonb_array_elements(CASE jsonb_typeof(w.value) WHEN 'array' THEN w.value END)
                      WITH ORDINALITY a(value, n)) m)
    SELECT w.path, w.value FROM walk w
     WHERE jsonb_typeof(w.value) NOT IN ('object', 'array') OR w.value IN ('{}', '[]')
$$;

-- what differs between the two forms of a statement's plan; whether the inner
-- side of a join is unique stands in the JSON form only
CREATE FUNCTION differences(options text, query text)
RETURNS TABLE (path text, of_text jsonb, of_server jsonb)
LANGUAGE plpgsql AS $$
DECLARE
    line text;
    plan text := '';
    server jsonb;
BEGIN
    FOR line IN EXECUTE format('EXPLAIN (%s) %s', options, query) LOOP
        plan := plan || line || E'\n';
    END LOOP;
    EXECUTE format('EXPLAIN (%s, FORMAT JSON) %s', options, query) INTO server;
    RETURN QUERY
    SELECT coalesce(t.path, s.path), t.value, s.value
      FROM (SELECT l.* FROM leaves(dbperf.plan_as_json(plan)::jsonb) l
             WHERE l.path !~ '/Inner Unique$') t
           FULL JOIN (SELECT l.* FROM leaves(server) l
                       WHERE l.path !~ '/(Inner Unique|Memory Used)$') s ON s.path = t.path
     WHERE t.value IS DISTINCT FROM s.value
     ORDER BY 1;
END $$;

CREATE TABLE a (id int PRIMARY KEY, b int, c text, d numeric);
CREATE TABLE "B (x: y)" ("the
id" int PRIMARY KEY, "q""uote" int, c text);
CREATE TABLE p (id int, v int) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (200);
CREATE INDEX a_c ON a (c);
CREATE INDEX "B (x: y) -> idx" ON "B (x: y)" ("q""uote");
INSERT INTO a SELECT i, i % 10, 'c' || i, i FROM generate_series(1, 1000) i;
INSERT INTO "B (x: y)" SELECT i, i % 5, 'c' || i FROM generate_series(1, 500) i;
INSERT INTO p SELECT i % 200, i FROM generate_series(1, 1000) i;
VACUUM ANALYZE a, "B (x: y)", p;

-- a statement of each family of nodes: not executed, and executed
CREATE TABLE queries (n serial, query text);
INSERT INTO queries (query) VALUES
    ('SELECT 1'),
    ('SELECT * FROM a WHERE b = 3 AND c <> E''it''''s\\ (a\nfilter): ->  Seq Scan on x''' || ''),
    ('SELECT * FROM a WHERE id < 5 ORDER BY c DESC, id'),
    ('SELECT id FROM a WHERE id < 5 ORDER BY id DESC LIMIT 2 OFFSET 1'),
    ('SELECT * FROM a JOIN "B (x: y)" x ON x."the
id" = a.id LEFT JOIN a a2 ON a2.b = x."q""uote" WHERE a.c > ''c5'''),
    ('SELECT * FROM "B (x: y)" WHERE "q""uote" = 3 OR "the
id" = 7'),
    ('SELECT b, count(*), sum(id) FILTER (WHERE id > 3) FROM a GROUP BY b HAVING count(*) > 5 ORDER BY lower(b::text), 2'),
    ('SELECT b, c, count(*) FROM a GROUP BY ROLLUP (b, c)'),
    ('SELECT b, c, count(*) FROM a GROUP BY GROUPING SETS ((b), (c), (b, c), ())'),
    ('SELECT b, c, count(*) FROM a GROUP BY CUBE (b, c), id'),
    ('SELECT DISTINCT b FROM a UNION ALL SELECT id FROM p WHERE id < 50'),
    ('SELECT b FROM a INTERSECT SELECT id FROM p EXCEPT ALL SELECT 1'),
    ('WITH x AS MATERIALIZED (SELECT * FROM a WHERE b = 1) SELECT * FROM x x1 JOIN x x2 USING (id)'),
    ('WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r'),
    ('SELECT (SELECT max(id) FROM p), (SELECT v FROM p WHERE p.id = a.id LIMIT 1) FROM a WHERE id NOT IN (SELECT id FROM p)'),
    ('SELECT * FROM a WHERE EXISTS (SELECT FROM "B (x: y)" x WHERE x.c = a.c) AND NOT EXISTS (SELECT FROM p WHERE p.id = a.id)'),
    ('SELECT rank() OVER (PARTITION BY b ORDER BY id), row_number() OVER (ORDER BY c) FROM a'),
    ('SELECT * FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM a) s WHERE n < 3'),
    ('SELECT * FROM generate_series(1, 3) g, (VALUES (1), (2)) v(x)'),
    ('SELECT * FROM xmltable(''/a'' PASSING ''<a/>'' COLUMNS b text)'),
    ('SELECT * FROM a TABLESAMPLE bernoulli (10, 5) REPEATABLE (1)' ),
    ('SELECT * FROM a TABLESAMPLE system (50) REPEATABLE (1)' ),
    ('SELECT * FROM a WHERE ctid = ''(0,1)'' OR ctid = ''(0,2)'''),
    ('SELECT * FROM a WHERE ctid > ''(0,1)'' AND ctid < ''(0,9)'''),
    ('SELECT * FROM p WHERE id = (SELECT 150)'),
    ('SELECT * FROM p ORDER BY id, v'),
    ('SELECT * FROM a ORDER BY id, c LIMIT 10'),
    ('SELECT generate_series(1, b), unnest(ARRAY[b, id]) FROM a ORDER BY (b, id), ARRAY[id, b] LIMIT 3'),
    ('SELECT * FROM a WHERE id = 3 FOR UPDATE'),
    ('SELECT * FROM a CROSS JOIN LATERAL (SELECT * FROM "B (x: y)" x WHERE x."the
id" = a.b LIMIT 1) l'),
    ('SELECT * FROM a FULL JOIN p ON p.id = a.id WHERE false OR a.b IS NULL'),
    ('SELECT 1 WHERE current_setting(''x.y'', true) IS NULL');
DELETE FROM queries WHERE query LIKE '%bernoulli (10, 5)%';

SELECT q.n, d.* FROM queries q, differences('COSTS', q.query) d ORDER BY q.n, d.path;
SELECT q.n, d.* FROM queries q, differences('ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF', q.query) d ORDER BY q.n, d.path;
SELECT q.n, d.* FROM queries q, differences('VERBOSE', q.query) d
 WHERE d.path !~ '/(Output|Function Call|Table Function Call)(/|$)' ORDER BY q.n, d.path;

-- other plans for the same
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT q.n, d.* FROM queries q, differences('ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF', q.query) d
 WHERE q.query LIKE '%JOIN%' ORDER BY q.n, d.path;
SET enable_nestloop = off;
SET enable_material = off;
RESET enable_mergejoin;
SET enable_hashagg = off;
SET work_mem = '64kB';
SELECT q.n, d.* FROM queries q, differences('ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF', q.query) d ORDER BY q.n, d.path;
RESET ALL;

-- in parallel: which worker did what changes from one execution to the next
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SELECT d.* FROM differences('COSTS', 'SELECT a.b, count(*) FROM a JOIN "B (x: y)" x ON x."the
id" = a.id GROUP BY a.b ORDER BY a.b') d;
SELECT d.* FROM differences('COSTS', 'SELECT * FROM a ORDER BY c') d;
SELECT regexp_replace(d.path, '\d+', 'n', 'g') AS path FROM differences('ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF', 'SELECT a.b, count(*) FROM a JOIN "B (x: y)" x ON x."the
id" = a.id GROUP BY a.b ORDER BY a.b') d
 WHERE d.path !~ '/(Actual Rows|Actual Loops|Rows Removed by .*)$' AND d.path !~ '/Workers/';
RESET ALL;

-- what changes data
INSERT INTO queries (query) VALUES
    ('INSERT INTO a VALUES (-1, 2, ''x'')'),
    ('INSERT INTO a SELECT id, v FROM p ON CONFLICT (id) DO UPDATE SET b = 1 WHERE a.b > 5'),
    ('INSERT INTO a VALUES (1) ON CONFLICT DO NOTHING'),
    ('UPDATE p SET v = 0 WHERE v < 10'),
    ('UPDATE p SET v = 0 WHERE id = 5'),
    ('DELETE FROM a USING p WHERE p.id = a.id'),
    ('MERGE INTO a USING p ON p.id = a.id WHEN MATCHED THEN UPDATE SET b = v WHEN NOT MATCHED THEN DO NOTHING'),
    ('WITH x AS (DELETE FROM a WHERE id < 3 RETURNING *) SELECT * FROM x');
SELECT q.n, d.* FROM queries q, differences('COSTS', q.query) d
 WHERE q.query !~ '^SELECT' ORDER BY q.n, d.path;

-- no plan at all, and what stands below one
SELECT dbperf.plan_as_json(''), dbperf.plan_as_json(E'\n\n'), dbperf.plan_as_json('hello (world)'),
       dbperf.plan_as_json(NULL);
SELECT jsonb_path_query_array(dbperf.plan_as_json(
'Update on a  (cost=0.00..1.00 rows=0 width=0) (actual time=1.000..1.000 rows=0 loops=1)
  ->  Seq Scan on a  (cost=0.00..1.00 rows=1 width=10) (actual time=0.500..0.600 rows=1 loops=1)
Planning Time: 0.100 ms
Trigger t: time=0.300 calls=5
Trigger for constraint a_fk on a: time=0.200 calls=1
JIT:
  Functions: 6
  Options: Inlining false, Optimization false, Expressions true, Deforming true
  Timing: Generation 0.900 ms (Deform 0.100 ms), Inlining 0.000 ms, Optimization 0.400 ms, Emission 4.000 ms, Total 5.300 ms
Execution Time: 7.000 ms')::jsonb, '$[*].keyvalue() ? (@.key != "Plan")') #- '{0,id}' #- '{1,id}' #- '{2,id}' #- '{3,id}';

-- cut anywhere it is still read, and still JSON
CREATE TABLE texts (plan text);
CREATE FUNCTION explained(options text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    plan text := '';
BEGIN
    FOR line IN EXECUTE format('EXPLAIN (%s) %s', options, query) LOOP
        plan := plan || line || E'\n';
    END LOOP;
    RETURN plan;
END $$;
INSERT INTO texts SELECT explained('COSTS', query) FROM queries;
INSERT INTO texts SELECT explained('ANALYZE, BUFFERS', query) FROM queries WHERE query LIKE 'SELECT%';
SELECT count(*) > 10000 AS many,
       count(*) FILTER (WHERE json_typeof(dbperf.plan_as_json(left(t.plan, i))) = 'array') > 10000 AS read
  FROM texts t, generate_series(1, length(t.plan)) i;
-- and so it is with a byte changed, or lines exchanged
SELECT count(dbperf.plan_as_json(overlay(t.plan PLACING c.c FROM i FOR 1))) > 10000 AS read
  FROM texts t, generate_series(1, length(t.plan), 11) i,
       (VALUES (''''), ('"'), ('('), (')'), (E'\n'), (' '), (':'), ('9'), ('>')) c(c);
SELECT count(dbperf.plan_as_json((SELECT string_agg(l.line, E'\n' ORDER BY md5(l.line || s))
                                    FROM regexp_split_to_table(t.plan, E'\n') l(line)))) > 10 AS read
  FROM texts t, generate_series(1, 20) s;

-- a line that is cut within an object
SELECT dbperf.plan_as_json(E'Incremental Sort  (cost=1.0..2.0 rows=3 width=4)\n  Sort Key: a\n' ||
    '  Full-sort Groups: 2  Sort Method: quicksort  Average Memory: 26kB')::jsonb #> '{0,Plan,Full-sort Groups}' AS cut,
       dbperf.plan_as_json(E'Incremental Sort  (cost=1.0..2.0 rows=3 width=4)\n  Full-sort Groups: 2  Peak Memory: 26kB')::jsonb
           IS NOT NULL AS valid;

-- names that do their best to be something else
CREATE TABLE "Seq Scan on x  (cost=1.0..2.0 rows=3 width=4)
  ->  Sort: ('" ("(cost=" int, "a'b""c
d: e" text);
CREATE INDEX "i
  ->  Sort" ON "Seq Scan on x  (cost=1.0..2.0 rows=3 width=4)
  ->  Sort: ('" ("(cost=");
SELECT d.* FROM differences('ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF', 'SELECT * FROM "Seq Scan on x  (cost=1.0..2.0 rows=3 width=4)
  ->  Sort: (''" AS "an
alias" JOIN a ON "(cost=" = a.id WHERE "a''b""c
d: e" <> ''x
  ->  y''
 ORDER BY "a''b""c
d: e"') d;
SELECT d.* FROM differences('COSTS', 'WITH "x
y" AS MATERIALIZED (SELECT 1 AS one) SELECT * FROM "x
y" z, "x
y"') d;

DROP TABLE a, "B (x: y)", p, queries, texts, "Seq Scan on x  (cost=1.0..2.0 rows=3 width=4)
  ->  Sort: ('";
DROP FUNCTION leaves, differences, explained;
