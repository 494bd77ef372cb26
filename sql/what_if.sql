-- Plans with indexes that do not exist.
SET search_path = public;
SET max_parallel_workers_per_gather = 0;
CREATE SCHEMA what_if;
CREATE TABLE what_if.orders (id int, customer int, status text, note text, tags text[],
                             created timestamp);
INSERT INTO what_if.orders
SELECT g, g % 1000, CASE WHEN g % 100 = 0 THEN 'open' ELSE 'done' END, 'Note ' || g,
       ARRAY['t' || g % 50, 'u' || g % 7], timestamp '2024-01-01' + g * interval '1 min'
  FROM generate_series(1, 20000) g;
ANALYZE what_if.orders;

-- A plan without costs, and whether it got cheaper.
CREATE FUNCTION what_if.compare(query text, create_indexes text[] DEFAULT '{}',
                                drop_indexes text[] DEFAULT '{}',
                                OUT plan text, OUT cheaper boolean, OUT used text[])
LANGUAGE sql AS $$
    SELECT regexp_replace(plan_after, '  \(cost=[^)]*\)', '', 'g'),
           cost_after < cost_before, used_indexes
      FROM dbperf.what_if(query, create_indexes, drop_indexes);
$$;
\pset format unaligned
\pset tuples_only on

-- nothing to change
SELECT cost_before = cost_after, plan_before = plan_after, used_indexes
  FROM dbperf.what_if('SELECT * FROM what_if.orders WHERE id = 7');
-- one index, and one that does not help
SELECT * FROM what_if.compare('SELECT * FROM what_if.orders WHERE id = 7',
    ARRAY['CREATE INDEX ON what_if.orders (id)', 'CREATE INDEX ON what_if.orders (note)']);
-- of other kinds
SELECT * FROM what_if.compare('SELECT id FROM what_if.orders WHERE customer = 7 ORDER BY id DESC LIMIT 3',
    ARRAY['CREATE INDEX ON what_if.orders (customer, id DESC) INCLUDE (created)']);
SELECT * FROM what_if.compare('SELECT id FROM what_if.orders WHERE status = ''open'' AND id = 300',
    ARRAY['CREATE INDEX ON what_if.orders (id) WHERE status = ''open''']);
SELECT * FROM what_if.compare('SELECT id FROM what_if.orders WHERE lower(note) = ''note 7''',
    ARRAY['CREATE INDEX ON what_if.orders (lower(note))']);
SELECT * FROM what_if.compare('SELECT id FROM what_if.orders WHERE note LIKE ''Note 77%''',
    ARRAY['CREATE INDEX ON what_if.orders (note text_pattern_ops)']);
SELECT * FROM what_if.compare('SELECT id FROM what_if.orders WHERE note = ''Note 77''',
    ARRAY['CREATE INDEX ON what_if.orders USING hash (note)']);
SELECT * FROM what_if.compare('SELECT id FROM what_if.orders WHERE tags @> ARRAY[''t7'', ''u1'']',
    ARRAY['CREATE INDEX ON what_if.orders USING gin (tags)']);
SELECT * FROM what_if.compare('SELECT id FROM what_if.orders WHERE created < ''2024-01-01 00:10''',
    ARRAY['CREATE INDEX ON what_if.orders USING brin (created) WITH (pages_per_range = 4)']);
SELECT * FROM what_if.compare('SELECT id FROM what_if.orders WHERE tsrange(created, created + ''1 min'') @> ''2024-01-02''::timestamp',
    ARRAY['CREATE INDEX ON what_if.orders USING gist (tsrange(created, created + ''1 min''))']);
SELECT * FROM what_if.compare('SELECT id FROM what_if.orders WHERE note = ''Note 77''',
    ARRAY['CREATE INDEX ON what_if.orders USING spgist (note)']);
-- several at once, in subqueries and changes
SELECT * FROM what_if.compare('SELECT count(*) FROM what_if.orders WHERE id = 5 OR customer = 6',
    ARRAY['CREATE INDEX ON what_if.orders (id)', 'CREATE INDEX ON what_if.orders (customer)']);
SELECT used FROM what_if.compare('UPDATE what_if.orders SET note = (SELECT min(note) FROM what_if.orders) WHERE id = $1',
    ARRAY['CREATE INDEX ON what_if.orders (id)', 'CREATE INDEX ON what_if.orders (note)']);
SELECT * FROM what_if.compare('DECLARE c SCROLL CURSOR FOR SELECT * FROM what_if.orders WHERE id = 7',
    ARRAY['CREATE INDEX ON what_if.orders (id)']);

-- real ones: equal ones are not doubled, hidden ones are not used
CREATE INDEX orders_customer ON what_if.orders (customer);
SELECT * FROM what_if.compare('SELECT id FROM what_if.orders WHERE customer = 7',
    ARRAY['CREATE INDEX ON what_if.orders (customer)']);
SELECT * FROM what_if.compare('SELECT id FROM what_if.orders WHERE customer = 7', '{}',
    ARRAY['what_if.orders_customer']);
SELECT * FROM what_if.compare('SELECT id FROM what_if.orders WHERE customer = 7',
    ARRAY['CREATE INDEX ON what_if.orders (customer)'], ARRAY['what_if.orders_customer']);
SELECT cost_before / cost_after BETWEEN 0.99 AND 1.01 AS same_cost
  FROM dbperf.what_if('SELECT id FROM what_if.orders WHERE customer = 7',
    ARRAY['CREATE INDEX ON what_if.orders (customer)'], ARRAY['what_if.orders_customer']);
SELECT abs(dbperf.estimate_index_size('CREATE INDEX ON what_if.orders (customer)') -
           pg_relation_size('what_if.orders_customer')) <= 4 * 8192 AS same_size;
EXPLAIN (COSTS off) SELECT id FROM what_if.orders WHERE customer = 7;
DROP INDEX what_if.orders_customer;

-- partitions, with columns in another order
CREATE TABLE what_if.events (device int, at date, kind int) PARTITION BY RANGE (at);
CREATE TABLE what_if.events_1 PARTITION OF what_if.events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE what_if.events_2 (gone int, kind int, at date, device int);
ALTER TABLE what_if.events_2 DROP COLUMN gone;
ALTER TABLE what_if.events ATTACH PARTITION what_if.events_2 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
INSERT INTO what_if.events SELECT g, date '2024-01-01' + g % 700, g % 5 FROM generate_series(1, 20000) g;
ANALYZE what_if.events;
SELECT * FROM what_if.compare('SELECT * FROM what_if.events WHERE device = 7',
    ARRAY['CREATE INDEX ON what_if.events (device)']);
CREATE INDEX events_device ON what_if.events (device);
SELECT * FROM what_if.compare('SELECT * FROM what_if.events WHERE device = 7', '{}',
    ARRAY['what_if.events_device']);
SELECT * FROM what_if.compare('SELECT * FROM what_if.events WHERE device = 7', '{}',
    ARRAY['what_if.events_1_device_idx']);
DROP INDEX what_if.events_device;

-- parameters of which nothing is known, where partitions would be pruned by them
CREATE TABLE what_if.parts (a int, b int) PARTITION BY LIST (a);
CREATE TABLE what_if.parts_1 PARTITION OF what_if.parts FOR VALUES IN (1);
CREATE TABLE what_if.parts_2 PARTITION OF what_if.parts FOR VALUES IN (2);
SELECT plan FROM what_if.compare('SELECT * FROM what_if.parts WHERE a = $1 AND b = $2');

-- a function that is folded while we plan sees nothing of it, and works
CREATE FUNCTION what_if.looks(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
DECLARE
    found int;
BEGIN
    SELECT customer INTO found FROM what_if.orders WHERE id = n;
    RETURN found;
END $$;
SELECT * FROM what_if.compare('SELECT * FROM what_if.orders WHERE id = what_if.looks(1007)',
    ARRAY['CREATE INDEX ON what_if.orders (id)']);
CREATE FUNCTION what_if.asks(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    PERFORM dbperf.what_if('SELECT * FROM what_if.orders');
    RETURN n;
END $$;
SELECT * FROM what_if.compare('SELECT * FROM what_if.orders WHERE id = what_if.asks(7)');

-- errors, as EXPLAIN would raise them
DO $$
DECLARE
    bad text[] := ARRAY[
        'what_if(NULL)', 'what_if('''')', 'what_if(''SELECT 1; SELECT 2'')', 'what_if(''VACUUM'')',
        'what_if(''SELECT * FROM what_if.nowhere'')', 'what_if(''SELECT * FROM what_if.orders WHERE'')',
        'what_if(''SELECT 1'', NULL)', 'what_if(''SELECT 1'', ARRAY[NULL])', 'what_if(''SELECT 1'', ARRAY[''SELECT 2''])',
        'what_if(''SELECT 1'', ARRAY[''CREATE INDEX ON what_if.orders (nothing)''])',
        'what_if(''SELECT 1'', ''{}'', ARRAY[''what_if.orders''])', 'what_if(''SELECT 1'', ''{}'', ARRAY[''what_if.gone''])',
        'what_if(''SELECT 1'', ''{}'', ARRAY[''4294967295''])', 'what_if(''SELECT 1 / 0'')', 'estimate_index_size(''DROP TABLE x'')'];
    call text;
    message text;
    state text;
BEGIN
    FOREACH call IN ARRAY bad LOOP
        BEGIN
            EXECUTE 'SELECT dbperf.' || call;
            RAISE EXCEPTION 'no error from %', call;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, state = RETURNED_SQLSTATE;
            RAISE NOTICE '% -> % %', call, state, message;
        END;
    END LOOP;
END $$;

-- after an error in the middle of it nothing is left behind
CREATE FUNCTION what_if.fails(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'not now';
END $$;
CREATE FUNCTION what_if.sleeps(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_sleep(10);
    RETURN n;
END $$;
SELECT dbperf.what_if('SELECT * FROM what_if.orders WHERE id = what_if.fails(7)',
    ARRAY['CREATE INDEX ON what_if.orders (id)']);
EXPLAIN (COSTS off) SELECT * FROM what_if.orders WHERE id = 7;
SET statement_timeout = '300ms';
SELECT dbperf.what_if('SELECT * FROM what_if.orders WHERE id = what_if.sleeps(7)',
    ARRAY['CREATE INDEX ON what_if.orders (id)']);
RESET statement_timeout;
EXPLAIN (COSTS off) SELECT * FROM what_if.orders WHERE id = 7;
SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'what_if.orders'::regclass;

-- an expression that cannot be evaluated for all rows still can be planned
SELECT * FROM what_if.compare('SELECT id FROM what_if.orders WHERE 1 / (id - 5) = 0 AND customer = 1',
    ARRAY['CREATE INDEX ON what_if.orders (customer, (1 / (id - 5)))']);

-- in a read-only transaction, and without a trace in the catalog
BEGIN READ ONLY;
SELECT cheaper FROM what_if.compare('SELECT * FROM what_if.orders WHERE id = 7',
    ARRAY['CREATE INDEX ON what_if.orders (id)']);
SELECT pg_current_xact_id_if_assigned() IS NULL AS no_xid;
COMMIT;
SELECT count(*) FROM pg_index WHERE indrelid = 'what_if.orders'::regclass;

-- what EXPLAIN needs is needed: the right to read
CREATE ROLE regress_dbperf_what_if;
GRANT USAGE ON SCHEMA what_if TO regress_dbperf_what_if;
SET ROLE regress_dbperf_what_if;
SELECT dbperf.what_if('SELECT * FROM what_if.orders WHERE id = 7');
SELECT dbperf.estimate_index_size('CREATE INDEX ON what_if.orders (id)');
RESET ROLE;
GRANT SELECT ON what_if.orders TO regress_dbperf_what_if;
SET ROLE regress_dbperf_what_if;
SELECT cheaper, used FROM what_if.compare('SELECT * FROM what_if.orders WHERE id = 7',
    ARRAY['CREATE INDEX ON what_if.orders (id)']);
RESET ROLE;

-- a superuser's what-if runs no function of others, also not for statistics
GRANT ALL ON what_if.orders TO regress_dbperf_what_if;
GRANT CREATE ON SCHEMA what_if TO regress_dbperf_what_if;
SET ROLE regress_dbperf_what_if;
CREATE FUNCTION what_if.hostile(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    IF current_user <> 'regress_dbperf_what_if' THEN
        RAISE EXCEPTION 'this would be the end';
    END IF;
    RETURN n;
END $$;
RESET ROLE;
GRANT EXECUTE ON FUNCTION what_if.hostile(int) TO PUBLIC;
SELECT plan, used FROM what_if.compare('SELECT id FROM what_if.orders WHERE customer = 7',
    ARRAY['CREATE INDEX ON what_if.orders (customer) WHERE what_if.hostile(1) = 1',
          'CREATE INDEX ON what_if.orders (customer, what_if.hostile(id))']);
SET ROLE regress_dbperf_what_if;
SELECT used FROM what_if.compare('SELECT id FROM what_if.orders WHERE what_if.hostile(id) = 7',
    ARRAY['CREATE INDEX ON what_if.orders (what_if.hostile(id))']);
RESET ROLE;

\pset format aligned
\pset tuples_only off
SET client_min_messages = warning;
DROP SCHEMA what_if CASCADE;
DROP ROLE regress_dbperf_what_if;
