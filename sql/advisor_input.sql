-- Bad statements are rows with a reason, bad arguments are errors, and nobody
-- is advised about what is not theirs.
SET search_path = planted, public;

-- one bad statement does not spoil the others
CREATE FUNCTION problems(VARIADIC queries text[]) RETURNS TABLE (n int, verdict text, reason text)
LANGUAGE sql AS $$
    SELECT c.queries[1]::int, c.verdict, c.reason
      FROM dbperf.index_candidates(queries) c
     WHERE c.ddl IS NULL ORDER BY 1
$$;
SELECT * FROM problems(
    'SELEC * FROM orders', '', '   ', '-- nothing', 'SELECT * FROM orders WHERE', 'SELECT ''unterminated',
    'SELECT * FROM gone WHERE a = 5', 'SELECT gone FROM orders', 'SELECT * FROM nowhere.orders',
    'SELECT * FROM elsewhere.planted.orders', 'SELECT gone(id) FROM orders', NULL,
    'SELECT 1; SELECT * FROM orders WHERE customer = 5', 'SELECT * FROM orders WHERE customer = ''x''',
    'SELECT * FROM orders WHERE customer = 1/0', 'SELECT $1', 'SELECT * FROM orders WHERE $1 = $2',
    'CREATE TABLE x (a int)', 'DROP TABLE orders', 'VACUUM orders', 'LOCK orders', 'BEGIN', 'SET work_mem = 1',
    'DO $x$ BEGIN END $x$', 'CALL gone()', 'EXECUTE gone(1)', 'COPY orders FROM STDIN', 'COPY orders TO STDOUT',
    'SHOW work_mem', 'TRUNCATE orders', 'NOTIFY x', 'CREATE INDEX ON orders (customer)', E'SELECT \x01',
    'SELECT * FROM orders WHERE customer = 5');
SELECT advice('SELEC', NULL, '', 'DROP TABLE orders', 'SELECT * FROM gone', 'SELECT * FROM orders WHERE customer = 5', 'VACUUM');
SELECT queries FROM dbperf.suggest_indexes(ARRAY['SELEC', NULL, 'SELECT * FROM orders WHERE customer = 5']);
SELECT advice('SELEC', NULL);

-- a statement inside of another one is the statement
SELECT query, advice FROM unnest(ARRAY[
    'EXPLAIN SELECT * FROM orders WHERE customer = 5',
    'EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM orders WHERE customer = 5',
    'DECLARE c CURSOR FOR SELECT * FROM orders WHERE customer = 5',
    'COPY (SELECT * FROM orders WHERE customer = 5) TO STDOUT',
    'CREATE TABLE x AS SELECT * FROM orders WHERE customer = 5',
    'SELECT * INTO x FROM orders WHERE customer = 5',
    'CREATE MATERIALIZED VIEW x AS SELECT * FROM orders WHERE customer = 5',
    'PREPARE p (int) AS SELECT * FROM orders WHERE customer = $1',
    'SELECT * FROM orders WHERE customer = 5;',
    '/* a comment */ SELECT * FROM orders /* another */ WHERE customer = 5 -- the end',
    'TABLE orders ORDER BY total LIMIT 1']) WITH ORDINALITY u (query, n), advice(query)
 ORDER BY n;
-- a cursor wants its first rows
SELECT advice('DECLARE c CURSOR FOR SELECT * FROM orders ORDER BY total');

-- a very long one
SELECT advice('SELECT * FROM orders WHERE customer IN (' || string_agg(i::text, ',') || ')') FROM generate_series(1, 5000) i;
SELECT advice('SELECT * FROM orders WHERE note <> ''' || repeat('x', 1000000) || ''' AND customer = 5');
SELECT count(*) FROM problems('SELECT ' || repeat('(', 100000) || '1' || repeat(')', 100000));

-- arguments
SELECT dbperf.suggest_indexes('{}'::text[]);
SELECT dbperf.suggest_indexes(ARRAY['SELECT 1'], storage_budget => -1);
SELECT dbperf.suggest_indexes(ARRAY['SELECT 1'], max_indexes => -1);
SELECT dbperf.suggest_indexes(ARRAY['SELECT 1'], max_indexes => 0);
SELECT dbperf.suggest_indexes(ARRAY['SELECT 1'], max_indexes => NULL);
SELECT dbperf.suggest_indexes(ARRAY['SELECT 1'], min_improvement => -0.1);
SELECT dbperf.suggest_indexes(ARRAY['SELECT 1'], min_improvement => 'NaN');
SELECT dbperf.suggest_indexes(ARRAY['SELECT 1'], min_improvement => 1.5);
SELECT dbperf.suggest_indexes(ARRAY['SELECT 1'], time_limit => '-1 s');
SELECT dbperf.suggest_indexes(ARRAY['SELECT 1'], time_limit => '0');
SELECT dbperf.suggest_indexes(ARRAY['SELECT 1'], time_limit => '1000000 years');
SELECT dbperf.suggest_indexes(ARRAY[ARRAY['SELECT 1'], ARRAY['SELECT 2']]);
SELECT dbperf.index_candidates('{}'::text[]);
SELECT dbperf.index_candidates(ARRAY['SELECT 1'], storage_budget => -1);

-- everything that was considered has a verdict
SELECT bool_and(verdict <> '' AND reason <> '') AS said, count(*) > 1 AS several,
       count(*) FILTER (WHERE ddl IS NULL) AS problems
  FROM dbperf.index_candidates(ARRAY['SELECT * FROM orders WHERE customer = 5 AND region = 3 ORDER BY total', 'SELEC']);
-- what was proposed is among them
SELECT count(*) AS missing FROM dbperf.suggest_indexes(ARRAY['SELECT * FROM orders WHERE customer = 5']) s
 WHERE NOT EXISTS (SELECT FROM dbperf.index_candidates(ARRAY['SELECT * FROM orders WHERE customer = 5']) c
                    WHERE planted.brief(c.ddl) = planted.brief(s.ddl));

-- what if
SELECT cost_before > cost_after * 10 AS better, regexp_replace(plan_before, ' +\(cost=[^)]*\)', '', 'g') AS plan_before,
       regexp_replace(plan_after, ' +\(cost=[^)]*\)', '', 'g') AS plan_after, used_indexes
  FROM dbperf.what_if('SELECT * FROM orders WHERE customer = 5', ARRAY['CREATE INDEX by_customer ON orders (customer)']);
SELECT cost_before < cost_after AS worse, used_indexes
  FROM dbperf.what_if('SELECT * FROM orders WHERE id = 5', drop_indexes => ARRAY['orders_pkey']);
SELECT cost_before = cost_after AS same, used_indexes FROM dbperf.what_if('SELECT * FROM orders WHERE id = 5');
SELECT cost_after < cost_before AS better
  FROM dbperf.what_if('SELECT * FROM orders WHERE account = $1 AND created > $2',
                      ARRAY['CREATE INDEX CONCURRENTLY ON orders (account, created)', 'CREATE UNIQUE INDEX ON orders (total)'],
                      ARRAY['planted.orders_pkey']);
SELECT count(*) AS indexes FROM pg_index WHERE indrelid = 'orders'::regclass;
SELECT dbperf.what_if('SELECT 1', ARRAY['CREATE TABLE x (a int)']);
SELECT dbperf.what_if('SELECT 1', ARRAY['CREATE INDEX ON gone (a)']);
SELECT dbperf.what_if('SELECT 1', ARRAY['CREATE INDEX ON orders (gone)']);
SELECT dbperf.what_if('SELECT 1', ARRAY['CREATE INDEX ON orders (random())']);
SELECT dbperf.what_if('SELECT 1', ARRAY['CREATE INDEX ON orders (customer); DROP TABLE orders']);
SELECT dbperf.what_if('SELECT 1', ARRAY['']);
SELECT dbperf.what_if('SELECT 1', ARRAY[NULL]);
SELECT dbperf.what_if('SELECT 1', drop_indexes => ARRAY['gone']);
SELECT dbperf.what_if('SELECT 1', drop_indexes => ARRAY['orders']);
SELECT dbperf.what_if('SELECT 1', drop_indexes => ARRAY[NULL]);
SELECT dbperf.what_if('SELEC');
SELECT dbperf.what_if('');
SELECT dbperf.what_if('SELECT 1; SELECT 2');
SELECT dbperf.what_if('CREATE TABLE x (a int)');
SELECT dbperf.what_if(NULL);

-- a role sees advice for what it may read, and only for that
CREATE ROLE regress_dbperf_reader;
CREATE ROLE regress_dbperf_nobody;
CREATE VIEW for_reader AS SELECT id, total FROM orders WHERE account = 5;
GRANT USAGE ON SCHEMA planted TO regress_dbperf_reader, regress_dbperf_nobody;
GRANT SELECT ON customers, for_reader TO regress_dbperf_reader;
GRANT SELECT (id, region) ON orders TO regress_dbperf_reader;
SET ROLE regress_dbperf_reader;
SELECT advice('SELECT * FROM customers WHERE email = ''c5''');
SELECT * FROM problems('SELECT * FROM orders WHERE customer = 5', 'SELECT id FROM orders WHERE customer = 5',
                       'UPDATE customers SET note = ''x'' WHERE email = ''y''', 'DELETE FROM customers WHERE email = ''y''',
                       'SELECT * FROM customers WHERE email = ''x'' FOR UPDATE');
-- columns that it may read, and a view whose owner may
SELECT advice('SELECT id FROM orders WHERE region = 3 ORDER BY id LIMIT 7');
SELECT advice('SELECT * FROM for_reader');
SELECT dbperf.what_if('SELECT * FROM orders WHERE customer = 5');
SELECT dbperf.what_if('SELECT 1', ARRAY['CREATE INDEX ON orders (customer)']);
SET ROLE regress_dbperf_nobody;
SELECT advice('SELECT * FROM customers WHERE email = ''c5''', 'SELECT * FROM for_reader');
SELECT * FROM problems('SELECT * FROM customers WHERE email = ''c5''', 'SELECT * FROM for_reader', 'SELECT * FROM gone');
-- no recorded statement of others
SELECT count(*) FROM dbperf.suggest_indexes();
SELECT count(*) FROM dbperf.index_candidates() WHERE ddl IS NOT NULL;
SELECT count(*) FROM dbperf.index_advice;
RESET ROLE;
DROP VIEW for_reader;
DROP OWNED BY regress_dbperf_reader, regress_dbperf_nobody;
DROP ROLE regress_dbperf_reader, regress_dbperf_nobody;
DROP FUNCTION problems;
