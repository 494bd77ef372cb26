-- What the advisor must not propose, and must not do.
SET search_path = planted, public;
-- VACUUM sees as visible to all only what has reached the disk
SET synchronous_commit = on;

-- what exists, or serves already
CREATE TABLE indexed AS SELECT id, customer, account, region, total, created, note FROM orders;
ALTER TABLE indexed ADD PRIMARY KEY (id);
CREATE INDEX ON indexed (customer, account);
CREATE INDEX ON indexed (region, created DESC);
CREATE UNIQUE INDEX ON indexed (total) INCLUDE (account);
CREATE INDEX ON indexed (lower(note));
VACUUM ANALYZE indexed;
SELECT query, advice FROM unnest(ARRAY[
    'SELECT * FROM indexed WHERE id = 5',
    'SELECT * FROM indexed WHERE id IN (5, 6, 7)',
    'SELECT note FROM indexed ORDER BY id DESC LIMIT 5',
    'SELECT max(id) FROM indexed',
    'SELECT count(*) FROM indexed WHERE id BETWEEN 5 AND 50',
    'SELECT * FROM indexed WHERE customer = 5',
    'SELECT * FROM indexed WHERE account = 5 AND customer = 5',
    'SELECT * FROM indexed WHERE region = 5 ORDER BY created LIMIT 5',
    'SELECT * FROM indexed WHERE region = 5 ORDER BY created DESC LIMIT 5',
    'SELECT account FROM indexed WHERE total = 5',
    'SELECT * FROM indexed WHERE total < 50 ORDER BY total',
    'SELECT * FROM indexed WHERE lower(note) = ''x''',
    'SELECT * FROM indexed a JOIN indexed b USING (id) WHERE a.total = 7',
    'DELETE FROM indexed WHERE id = 7',
    'UPDATE indexed SET note = ''a'' WHERE total = 7']) WITH ORDINALITY u (query, n), advice(query)
 ORDER BY n;
-- an INVALID one serves nobody
UPDATE pg_index SET indisvalid = false WHERE indrelid = 'indexed'::regclass AND indexrelid::regclass::text ~ 'customer';
SELECT advice('SELECT * FROM indexed WHERE customer = 5');
-- nor does a partial one for others
DROP INDEX indexed_customer_account_idx;
CREATE INDEX ON indexed (customer) WHERE region = 3;
SELECT advice('SELECT * FROM indexed WHERE customer = 5');
SELECT advice('SELECT * FROM indexed WHERE customer = 5 AND region = 3');
DROP TABLE indexed;

-- tiny tables
CREATE TABLE tiny AS SELECT * FROM orders WHERE id <= 100;
CREATE TABLE empty (LIKE orders);
VACUUM ANALYZE tiny, empty;
SELECT advice('SELECT * FROM tiny WHERE customer = 5', 'SELECT * FROM tiny ORDER BY created LIMIT 1',
              'SELECT * FROM empty WHERE customer = 5',
              'SELECT * FROM tiny a JOIN tiny b USING (customer, account) WHERE a.region = 7');
DROP TABLE tiny, empty;

-- what most rows have, or what an index cannot ask
SELECT query, advice FROM unnest(ARRAY[
    'SELECT * FROM orders WHERE status = ''done''',
    'SELECT * FROM orders WHERE NOT urgent',
    'SELECT * FROM orders WHERE delivered IS NULL',
    'SELECT * FROM orders WHERE total > 100',
    'SELECT * FROM orders WHERE region <> 5',
    'SELECT * FROM orders WHERE status NOT IN (''open'', ''sent'')',
    'SELECT * FROM orders WHERE length(note) + id = 65 + customer',
    'SELECT * FROM orders WHERE customer IS DISTINCT FROM 5',
    'SELECT * FROM orders WHERE random() < 0.01',
    'SELECT * FROM orders WHERE customer = account',
    'SELECT * FROM orders',
    'SELECT * FROM orders TABLESAMPLE SYSTEM (1) WHERE a7 = 1',
    'SELECT * FROM orders WHERE false AND customer = 5',
    'SELECT * FROM orders WHERE email LIKE ''%5''']) WITH ORDINALITY u (query, n), advice(query)
 ORDER BY n;

-- catalogs and what has no table
SELECT query, advice FROM unnest(ARRAY[
    'SELECT * FROM pg_class WHERE relpages = 5',
    'SELECT * FROM pg_catalog.pg_attribute WHERE attname = ''x'' AND attlen = 7',
    'SELECT * FROM information_schema.columns WHERE column_name = ''x''',
    'SELECT * FROM generate_series(1, 100000) g WHERE g = 5',
    'VALUES (1), (2)',
    'SELECT 1']) WITH ORDINALITY u (query, n), advice(query)
 ORDER BY n;

-- not twice the same: no suggestion is another one's prefix
WITH advice AS (
    SELECT rank, regexp_replace(ddl, '.* USING btree \(', '') AS columns
      FROM dbperf.suggest_indexes(ARRAY[
        'SELECT * FROM orders WHERE customer = 1', 'SELECT * FROM orders WHERE customer = 1 AND region = 2',
        'SELECT * FROM orders WHERE customer = 1 AND region = 2 AND total > 5',
        'SELECT * FROM orders WHERE customer = 1 ORDER BY total DESC LIMIT 3',
        'SELECT customer, total FROM orders WHERE customer IN (1, 2)',
        'SELECT * FROM orders WHERE region = 2 AND customer = 1 ORDER BY created',
        'SELECT customer, count(*) FROM orders GROUP BY customer',
        'SELECT * FROM orders WHERE account = 1 AND customer = 5', 'SELECT * FROM orders WHERE account = 1',
        'SELECT * FROM customers c JOIN orders o ON o.customer = c.id WHERE c.parent = 5'], min_improvement => 0))
SELECT count(*) > 1 AS several,
       count(*) FILTER (WHERE EXISTS (SELECT FROM advice b WHERE b.rank <> a.rank
                        AND starts_with(b.columns, rtrim(a.columns, ')')))) AS prefixes
  FROM advice a;

-- more writing than reading
CREATE TABLE busy AS SELECT id, customer, total, note FROM orders;
ALTER TABLE busy ADD PRIMARY KEY (id);
VACUUM ANALYZE busy;
SELECT advice('SELECT * FROM busy WHERE total = 5');
SELECT advice('SELECT * FROM busy WHERE total = 5', 'UPDATE busy SET total = total + 1');
SELECT advice('SELECT * FROM busy WHERE total = 5', 'UPDATE busy SET note = ''y'' WHERE id = 7');
DROP TABLE busy;

-- limits
SELECT count(*) FROM dbperf.suggest_indexes(ARRAY['SELECT * FROM orders WHERE customer = 1',
    'SELECT * FROM orders WHERE account = 1', 'SELECT * FROM orders WHERE total = 1'], max_indexes => 2);
SELECT count(*) FROM dbperf.suggest_indexes(ARRAY['SELECT * FROM orders WHERE customer = 1',
    'SELECT * FROM orders WHERE account = 1', 'SELECT * FROM orders WHERE total = 1'], storage_budget => 0);
SELECT count(*), sum(index_size) <= 800000 AS within FROM dbperf.suggest_indexes(ARRAY['SELECT * FROM orders WHERE customer = 1',
    'SELECT * FROM orders WHERE account = 1', 'SELECT * FROM orders WHERE total = 1'], storage_budget => 800000);
SELECT count(*) FROM dbperf.suggest_indexes(ARRAY['SELECT * FROM orders WHERE customer = 1'], min_improvement => 1);

-- nothing is left: no lock, no transaction id, no row in any catalog
CREATE TEMP TABLE counts AS
SELECT (SELECT count(*) FROM pg_class) AS pg_class, (SELECT count(*) FROM pg_index) AS pg_index,
       (SELECT count(*) FROM pg_depend) AS pg_depend, (SELECT count(*) FROM pg_statistic) AS pg_statistic,
       (SELECT count(*) FROM pg_attribute) AS pg_attribute, (SELECT count(*) FROM pg_proc) AS pg_proc,
       (SELECT count(*) FROM pg_type) AS pg_type, (SELECT count(*) FROM pg_shdepend) AS pg_shdepend LIMIT 0;
CREATE TEMP VIEW counts_now AS
SELECT (SELECT count(*) FROM pg_class) AS pg_class, (SELECT count(*) FROM pg_index) AS pg_index,
       (SELECT count(*) FROM pg_depend) AS pg_depend, (SELECT count(*) FROM pg_statistic) AS pg_statistic,
       (SELECT count(*) FROM pg_attribute) AS pg_attribute, (SELECT count(*) FROM pg_proc) AS pg_proc,
       (SELECT count(*) FROM pg_type) AS pg_type, (SELECT count(*) FROM pg_shdepend) AS pg_shdepend;
INSERT INTO counts SELECT * FROM counts_now;
BEGIN;
SELECT advice('SELECT * FROM orders WHERE customer = 5', 'SELECT * FROM orders WHERE lower(email) = ''x''',
              'UPDATE orders SET note = ''x'' WHERE account = 5', 'DELETE FROM customers WHERE email = ''x''',
              'SELECT * FROM orders WHERE region = 3 FOR UPDATE', 'LOCK TABLE orders', 'CREATE TABLE x (a int)');
SELECT relation::regclass, mode FROM pg_locks
 WHERE pid = pg_backend_pid() AND relation IN (SELECT oid FROM pg_class WHERE relnamespace = 'planted'::regnamespace);
SELECT count(*) AS advisory FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory';
SELECT pg_current_xact_id_if_assigned() AS transaction_id;
COMMIT;
SELECT * FROM counts EXCEPT SELECT * FROM counts_now;
SELECT count(*) AS cursors FROM pg_cursors WHERE name ~ 'advi|hypo';
-- also without the right to write
BEGIN READ ONLY;
SELECT advice('UPDATE orders SET note = ''x'' WHERE account = 5');
ROLLBACK;
SET default_transaction_isolation = 'serializable';
SELECT advice('SELECT * FROM orders WHERE account = 5');
RESET default_transaction_isolation;

-- real plans know nothing of it, whatever happened
PREPARE customer_of(int) AS SELECT * FROM orders WHERE customer = $1;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE customer_of(5);
SELECT advice('SELECT * FROM orders WHERE customer = 5');
EXPLAIN (COSTS OFF) SELECT * FROM orders WHERE customer = 5;
EXPLAIN (COSTS OFF) EXECUTE customer_of(5);
RESET plan_cache_mode;
-- an error that is not the statement's own fault ends the call, and nothing leaks
SET statement_timeout = '150ms';
SELECT count(*) FROM dbperf.suggest_indexes(ARRAY(
    SELECT format('SELECT * FROM %s WHERE %s AND o1.customer = %s',
                  string_agg('orders o' || j, ', '), string_agg(format('o%s.account = o%s.customer', j, j % 11 + 1), ' AND '), i)
      FROM generate_series(1, 200) i, generate_series(1, 11) j GROUP BY i));
RESET statement_timeout;
EXPLAIN (COSTS OFF) SELECT * FROM orders WHERE customer = 5;
SELECT count(*) AS locks FROM pg_locks
 WHERE pid = pg_backend_pid() AND relation IN (SELECT oid FROM pg_class WHERE relnamespace = 'planted'::regnamespace);
SELECT advice('SELECT * FROM orders WHERE customer = 5');
-- errors in the middle of a transaction
BEGIN;
SAVEPOINT s;
SELECT dbperf.suggest_indexes(ARRAY['SELECT 1'], storage_budget => -1);
ROLLBACK TO s;
EXPLAIN (COSTS OFF) SELECT * FROM orders WHERE customer = 5;
SELECT advice('SELECT * FROM orders WHERE customer = 5/0', 'SELECT * FROM orders WHERE account = 5');
EXPLAIN (COSTS OFF) SELECT * FROM orders WHERE customer = 5;
COMMIT;

-- functions: volatile ones never run
CREATE TABLE ran (what text);
CREATE SEQUENCE counter;
CREATE FUNCTION writes() RETURNS int LANGUAGE plpgsql VOLATILE AS
$$ BEGIN INSERT INTO ran VALUES ('writes'); RETURN 5; END $$;
CREATE FUNCTION fails() RETURNS int LANGUAGE plpgsql VOLATILE AS
$$ BEGIN RAISE EXCEPTION 'fails ran'; END $$;
CREATE FUNCTION fails_stable() RETURNS int LANGUAGE plpgsql STABLE AS
$$ BEGIN RAISE EXCEPTION 'fails_stable ran'; END $$;
CREATE FUNCTION rows() RETURNS SETOF int LANGUAGE plpgsql VOLATILE ROWS 5 AS
$$ BEGIN INSERT INTO ran VALUES ('rows'); RETURN NEXT 5; END $$;
CREATE FUNCTION on_write() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO ran VALUES ('trigger'); RETURN NEW; END $$;
CREATE TRIGGER on_write BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION on_write();
SELECT advice('SELECT * FROM orders WHERE customer = writes()', 'SELECT writes() FROM orders WHERE account = 5',
              'SELECT * FROM orders WHERE total = fails()', 'SELECT nextval(''counter'') FROM orders WHERE account = 6',
              'SELECT * FROM orders JOIN rows() r ON r = account', 'UPDATE orders SET note = ''x'' WHERE account = 5',
              'WITH w AS MATERIALIZED (SELECT writes() AS w) SELECT * FROM w, orders WHERE account = w',
              'INSERT INTO ran SELECT note FROM orders WHERE account = 9', 'SELECT pg_sleep(100) FROM orders WHERE account = 7');
SELECT * FROM ran;
SELECT is_called FROM counter;
-- estimation asks stable ones, and what they raise is the statement's problem
SELECT advice('SELECT * FROM orders WHERE total = fails_stable()', 'SELECT * FROM orders WHERE account = 5');
SELECT reason FROM dbperf.index_candidates(ARRAY['SELECT * FROM orders WHERE total = fails_stable()']);
DROP TRIGGER on_write ON orders;
DROP TABLE ran;
DROP FUNCTION writes, fails, fails_stable, rows, on_write;
DROP SEQUENCE counter;

-- the time it may take: 40 joins of 11 tables in a second
CREATE TEMP TABLE clock AS SELECT clock_timestamp() AS started;
SET client_min_messages = warning;
SELECT count(*) >= 0 AS answered FROM dbperf.suggest_indexes(ARRAY(
    SELECT format('SELECT * FROM %s WHERE %s AND o1.customer = %s',
                  string_agg('orders o' || j, ', '), string_agg(format('o%s.account = o%s.customer', j, j % 11 + 1), ' AND '), i)
      FROM generate_series(1, 40) i, generate_series(1, 11) j GROUP BY i), time_limit => '1 s');
SELECT clock_timestamp() - started < interval '3 s' AS in_time FROM clock;
RESET client_min_messages;
DROP TABLE clock;

-- the same question, the same answer
SELECT count(DISTINCT answer) FROM (
    SELECT n, string_agg(to_jsonb(s)::text, ',' ORDER BY rank) AS answer
      FROM generate_series(1, 3) n, dbperf.suggest_indexes(ARRAY[
        'SELECT * FROM orders WHERE customer = $1 AND total > $2', 'SELECT * FROM orders WHERE account = 1 OR total < $1',
        'SELECT region, max(created) FROM orders WHERE b11 = $1 GROUP BY region', 'SELECT * FROM orders WHERE $1 < total',
        'SELECT * FROM customers c JOIN orders o ON o.customer = c.id WHERE c.parent = 5']) s GROUP BY n) a;
