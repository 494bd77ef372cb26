-- Advice for recorded statements: as whom they are analysed, with which
-- search_path, settings and parameters, and what is left out.
CREATE ROLE regress_dbperf_app;
CREATE ROLE regress_dbperf_other;
CREATE ROLE regress_dbperf_dba IN ROLE pg_read_all_stats;
CREATE ROLE regress_dbperf_gone;
CREATE ROLE regress_dbperf_evil;

CREATE SCHEMA app AUTHORIZATION regress_dbperf_app;
SET ROLE regress_dbperf_app;
CREATE TABLE app.orders AS
    SELECT i AS id, i % 5000 AS customer, date '2020-01-01' + i % 1000 AS day,
           'note ' || i AS note, CASE WHEN i % 1000 = 0 THEN 'open' ELSE 'done' END::varchar(10) AS state
      FROM generate_series(1, 50000) i;
CREATE TABLE app.secrets AS SELECT i AS id, i % 5000 AS customer FROM generate_series(1, 50000) i;
ANALYZE app.orders, app.secrets;
GRANT USAGE ON SCHEMA app TO PUBLIC;
GRANT SELECT ON app.orders TO PUBLIC;
RESET ROLE;

-- what the advisor says of recorded statements, with their texts
CREATE FUNCTION advised(OUT ddl text, OUT queries text[]) RETURNS SETOF record LANGUAGE sql AS $$
    SELECT s.ddl, ARRAY(SELECT DISTINCT pg_catalog.left(q.query, 80) FROM dbperf.query_samples q
                         WHERE q.queryid = ANY (s.queries) ORDER BY 1)
      FROM dbperf.suggest_indexes(min_improvement => 0) s ORDER BY 1, 2 $$;
CREATE FUNCTION refused(OUT query text, OUT reason text) RETURNS SETOF record LANGUAGE sql AS $$
    SELECT DISTINCT pg_catalog.left(q.query, 80) COLLATE "C", c.reason COLLATE "C"
      FROM dbperf.index_candidates() c JOIN dbperf.query_samples q ON q.queryid = ANY (c.queries)
     WHERE c.ddl IS NULL AND q.query ~ '^(SELECT|PREPARE|COPY|DECLARE) .*(app|evil|short_lived|mine_only)'
     ORDER BY 1, 2 $$;
CREATE FUNCTION forget() RETURNS void LANGUAGE sql AS $$
    SELECT dbperf.query_latency_reset(NULL, NULL); SELECT pg_stat_statements_reset(); $$;
SELECT forget();

-- each with the search_path that it ran under; prepared statements with their
-- parameters, cursors, COPY and what CREATE TABLE AS reads
SET ROLE regress_dbperf_app;
SET search_path = app;
SELECT count(*) FROM orders WHERE customer = 7;
PREPARE by_note(text) AS SELECT id FROM orders WHERE note = $1;
EXECUTE by_note('note 5');
COPY (SELECT id FROM orders WHERE id = 5) TO STDOUT;
BEGIN;
DECLARE c CURSOR FOR SELECT count(*) FROM orders WHERE state = 'open';
FETCH c;
COMMIT;
RESET search_path;
SELECT * FROM public.advised();
SELECT * FROM public.refused();

-- others see their own only, members of pg_read_all_stats all; they need no
-- right to the tables, the statement's role does
SET ROLE regress_dbperf_other;
SELECT * FROM public.advised();
SET ROLE regress_dbperf_dba;
SELECT count(*) FROM public.advised();
RESET ROLE;
SELECT count(*) FROM public.advised();
SET ROLE regress_dbperf_app;
GRANT SELECT ON app.secrets TO regress_dbperf_other;
SET ROLE regress_dbperf_other;
SELECT count(*) FROM app.secrets WHERE customer = 6;
RESET ROLE;
SELECT ddl FROM advised() WHERE ddl ~ 'secrets';
REVOKE ALL ON app.secrets FROM regress_dbperf_other;
SELECT ddl FROM advised() WHERE ddl ~ 'secrets';
SELECT * FROM refused();

-- a role, a table and a column that are gone, a temporary table
SELECT forget();
GRANT SELECT ON app.orders TO regress_dbperf_gone;
SET ROLE regress_dbperf_gone;
SELECT count(*) FROM app.orders WHERE customer = 8;
RESET ROLE;
REVOKE ALL ON app.orders FROM regress_dbperf_gone;
DROP ROLE regress_dbperf_gone;
CREATE TABLE short_lived (a int, b int);
SELECT count(*) FROM short_lived;
DROP TABLE short_lived;
CREATE TABLE short_lived (a int, b int);
SELECT count(*) FROM short_lived WHERE b = 1;
ALTER TABLE short_lived DROP COLUMN b;
CREATE TEMP TABLE mine_only (a int);
SELECT count(*) FROM mine_only WHERE a = 1;
SELECT * FROM refused();
DROP TABLE short_lived, mine_only;

-- texts of pg_stat_statements, which have lost their constants
SELECT forget();
SELECT count(*) FROM app.orders WHERE day = date '2021-02-03';
SELECT extract(year FROM day), count(*) FROM app.orders WHERE customer = 9 GROUP BY 1;
SELECT count(*) FROM app.orders WHERE day > timestamp with time zone '2030-01-01' - interval '1' day;
SELECT dbperf.query_latency_reset(NULL, NULL) > 0 AS forgotten;
SELECT ddl FROM dbperf.suggest_indexes(min_improvement => 0) ORDER BY ddl;
SELECT reason FROM dbperf.index_candidates() WHERE ddl IS NULL AND reason <> 'it uses no table';

-- texts without literals, and texts that were cut
SELECT forget();
SET dbperf.redact = 'literals';
SELECT count(*) FROM app.orders WHERE note = 'note 77';
SET dbperf.max_query_length = 64;
SELECT count(*) FROM app.orders WHERE customer = 77 /* so long that it is going to be cut off */;
SELECT ddl FROM dbperf.suggest_indexes() ORDER BY ddl;
RESET dbperf.redact;
RESET dbperf.max_query_length;

-- the settings of the statement's role count, not those of who asks
SELECT forget();
ALTER ROLE regress_dbperf_other SET enable_indexscan = off;
ALTER ROLE regress_dbperf_other SET enable_bitmapscan = off;
ALTER ROLE regress_dbperf_other SET enable_indexonlyscan = off;
SET ROLE regress_dbperf_other;
SELECT count(*) FROM app.orders WHERE customer = 10;
RESET ROLE;
SELECT count(*) FROM advised();
SET ROLE regress_dbperf_app;
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SET enable_indexonlyscan = off;
SELECT count(*) FROM app.orders WHERE customer = 10;
SELECT ddl FROM public.advised();
RESET enable_indexscan;
RESET enable_bitmapscan;
RESET enable_indexonlyscan;
RESET ROLE;

-- statements of a superuser: no function that somebody else may have changed
-- since.  Sequences tell who ran one: they do not roll back.
CREATE SCHEMA evil AUTHORIZATION regress_dbperf_evil;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
SET ROLE regress_dbperf_evil;
SET search_path = evil;
CREATE SEQUENCE as_super;
GRANT ALL ON as_super TO PUBLIC;
CREATE FUNCTION tell(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
        PERFORM pg_catalog.nextval('evil.as_super');
    END IF;
    RETURN $1;
END $$;
CREATE DOMAIN checked AS int CHECK (evil.tell(VALUE) > 0);
CREATE TYPE holder AS (c checked);
CREATE TYPE range_of AS RANGE (SUBTYPE = checked);
CREATE FUNCTION tell(checked, checked) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN RETURN evil.tell(1); END $$;
CREATE FUNCTION tell(float8, float8) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN RETURN evil.tell(1); END $$;
CREATE TYPE told_range AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = tell);
CREATE FUNCTION is_other(int, int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN RETURN evil.tell(1) < 0; END $$;
CREATE OPERATOR <=> (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq, NEGATOR = <!>);
CREATE OPERATOR <!> (LEFTARG = int, RIGHTARG = int, FUNCTION = is_other, NEGATOR = <=>);
CREATE FUNCTION plus(int, int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN RETURN evil.tell(1); END $$;
CREATE AGGREGATE summed(int) (SFUNC = plus, STYPE = int, INITCOND = '0');
CREATE TABLE traps AS SELECT i AS id, i % 5000 AS a, ROW(1)::holder AS h, told_range(i, i + 10) AS r FROM generate_series(1, 20000) i;
GRANT SELECT ON traps TO PUBLIC;
RESET search_path;
RESET ROLE;
ANALYZE evil.traps;
-- owned by a superuser, and so trusted
CREATE FUNCTION trusted(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN $1; END $$;
SELECT forget();
SELECT count(*) FROM evil.traps WHERE a = trusted(1);
SELECT count(*) FROM evil.traps WHERE a = evil.tell(1);
SELECT count(*) FROM evil.traps WHERE a = 1 AND h = '(1)'::evil.holder;
SELECT count(*) FROM evil.traps WHERE a = 2 AND '{1}'::evil.checked[] = '{2}';
SELECT count(*) FROM evil.traps WHERE a = 3 AND evil.range_of(1, 2) = '[1,2]';
SELECT count(*) FROM evil.traps WHERE a = 4 AND r && '[1,2]';
SELECT count(*) FROM evil.traps WHERE NOT a OPERATOR(evil.<=>) 5;
SELECT evil.summed(a) FROM evil.traps WHERE a = 6;
SELECT count(*) FROM evil.traps WHERE a = 7 AND (json_populate_record(NULL::evil.holder, '{"c": 1}')).c = 1;
PREPARE composite(evil.holder) AS SELECT count(*) FROM evil.traps WHERE a = 8 AND h = $1;
EXECUTE composite('(1)');
SELECT is_called AS would_run FROM evil.as_super;
SELECT setval('evil.as_super', 1, false);
SELECT * FROM advised();
SELECT * FROM refused();
SELECT is_called AS ran_as_superuser FROM evil.as_super;
-- reading the definition of an index reads constants, too
SELECT cost_before FROM dbperf.what_if('SELECT * FROM app.orders WHERE id = 1',
    ARRAY['CREATE INDEX ON app.orders (id) WHERE (''(1)''::evil.holder).c = 1']);
SELECT is_called AS ran_as_superuser FROM evil.as_super;
SET ROLE regress_dbperf_dba;
SELECT count(*) > 0 AS same FROM public.refused();
RESET ROLE;
SELECT is_called AS ran_as_superuser FROM evil.as_super;

-- a member of a superuser is one, too
CREATE ROLE regress_dbperf_boss SUPERUSER;
CREATE ROLE regress_dbperf_deputy IN ROLE regress_dbperf_boss;
SELECT forget();
SET ROLE regress_dbperf_deputy;
SELECT count(*) FROM evil.traps WHERE a = evil.tell(2);
RESET ROLE;
SELECT * FROM refused();

-- a query that has never come to its end has no sample, but a record
SELECT forget();
SET ROLE regress_dbperf_app;
SET statement_timeout = '300ms';
SELECT count(*) FROM app.orders WHERE note = 'note 9' AND pg_sleep(60) IS NOT NULL;
PREPARE slowly(text) AS SELECT id FROM app.orders WHERE state = $1 AND pg_sleep(60) IS NOT NULL;
EXECUTE slowly('open');
RESET statement_timeout;
RESET ROLE;
SELECT ddl, cardinality(queries) FROM dbperf.suggest_indexes(min_improvement => 0) ORDER BY ddl;

-- afterwards everything is as before, also after an error
SET ROLE regress_dbperf_app;
SET search_path = app, public;
SET statement_timeout = '300ms';
CREATE FUNCTION app.sleepy(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN PERFORM pg_catalog.pg_sleep(60); RETURN $1; END $$;
SELECT count(*) FROM dbperf.suggest_indexes(ARRAY['SELECT * FROM orders WHERE customer = sleepy(1)']);
SHOW search_path;
SHOW lock_timeout;
SHOW client_min_messages;
SELECT current_user;
SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relation = 'app.orders'::regclass;
RESET statement_timeout;
-- its own time limit ends a planning, too, and then only that
SELECT clock_timestamp() AS begun \gset
SELECT ddl FROM dbperf.suggest_indexes(ARRAY['SELECT * FROM orders WHERE customer = sleepy(1)',
    'SELECT * FROM orders WHERE customer = 1'], time_limit => '1 s');
SELECT clock_timestamp() - :'begun' < interval '3 s' AS in_time;
-- a function that asks for advice, and one that pretends to be cancelled
CREATE FUNCTION app.asks(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN PERFORM dbperf.suggest_indexes(ARRAY['SELECT 1']); RETURN $1; END $$;
CREATE FUNCTION app.fails(text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN RAISE 'pretends' USING ERRCODE = $1; END $$;
SELECT queries, reason
  FROM dbperf.index_candidates(ARRAY['SELECT * FROM orders WHERE customer = asks(1)',
                                     'SELECT * FROM orders WHERE customer = fails(''57014'')',
                                     'SELECT * FROM orders WHERE customer = fails(''53200'')',
                                     'SELECT * FROM orders WHERE customer = fails(''40P01'')'])
 WHERE ddl IS NULL ORDER BY 1;
RESET search_path;
RESET ROLE;

-- what a table was filled with is no upkeep, what goes on is: the first steps
-- of the README
CREATE SCHEMA filled;
SET search_path = filled, public;
CREATE FUNCTION proposed(OUT ddl text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT regexp_replace(s.ddl, '.* ON (.*\(customer_id\)).*', '\1') FROM dbperf.suggest_indexes() s $$;
CREATE FUNCTION rejected(OUT reason text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT DISTINCT regexp_replace(c.reason, '\d+', '#') FROM dbperf.index_candidates() c
     WHERE c.ddl ~ '\(customer_id\)' AND c.verdict = 'rejected' $$;
CREATE FUNCTION empty() RETURNS void LANGUAGE sql AS $$
    DROP TABLE IF EXISTS orders;
    CREATE TABLE orders (id bigint PRIMARY KEY, customer_id int, status text, total int);
    SELECT forget() $$;
SET client_min_messages = warning;
SELECT empty() \g /dev/null
INSERT INTO orders SELECT i, i % 20000, CASE WHEN i % 50 = 0 THEN 'open' ELSE 'done' END, i % 300
  FROM generate_series(1, 200000) i;
VACUUM ANALYZE orders;
SELECT count(*), sum(total) FROM orders WHERE customer_id = 4711;
SELECT count(*), sum(total) FROM orders WHERE customer_id = 815;
SELECT * FROM proposed();
SELECT predicate, covered FROM dbperf.predicate_coverage();

-- in many batches or single rows
SET dbperf.track = 'all';
CREATE PROCEDURE fill(batches int, rows int) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..batches LOOP
        INSERT INTO orders SELECT i * 1000000 + j, j % 2000, 'done', j % 300
          FROM generate_series(1, rows) j;
    END LOOP;
END $$;
CREATE PROCEDURE fill_single(rows int) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..rows LOOP
        INSERT INTO orders VALUES (i::int, i::int % 2000, 'done', i::int % 300);
    END LOOP;
END $$;
CREATE PROCEDURE ask(times int) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..times LOOP
        PERFORM count(*), sum(total) FROM orders WHERE customer_id = i;
    END LOOP;
END $$;
SELECT empty() \g /dev/null
CALL fill(20, 2000);
VACUUM ANALYZE orders;
CALL ask(20);
SELECT * FROM proposed();
SELECT empty() \g /dev/null
CALL fill_single(30000);
VACUUM ANALYZE orders;
CALL ask(5);
SELECT * FROM proposed();

-- once, in the midst of use
SELECT empty() \g /dev/null
CALL ask(3);
INSERT INTO orders SELECT i, i % 20000, 'done', i % 300 FROM generate_series(1, 200000) i;
VACUUM ANALYZE orders;
CALL ask(3);
SELECT * FROM proposed();

-- again and again, in between
SELECT empty() \g /dev/null
DO $$
BEGIN
    FOR i IN 1..20 LOOP
        INSERT INTO orders SELECT i * 1000000 + j, j % 2000, 'done', j % 300
          FROM generate_series(1, 3000) j;
        PERFORM count(*), sum(total) FROM orders WHERE customer_id = i;
    END LOOP;
END $$;
VACUUM ANALYZE orders;
SELECT * FROM proposed();
SELECT * FROM rejected();
-- that alone counts of a table that was loaded before
CREATE PROCEDURE fill_and_ask(rows int, each int) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..rows LOOP
        INSERT INTO orders VALUES (i::int, i::int % 2000, 'done', i::int % 300);
        IF i % each = 0 THEN
            PERFORM count(*), sum(total) FROM orders WHERE customer_id = i;
        END IF;
    END LOOP;
END $$;
SELECT empty() \g /dev/null
CALL fill(10, 3000);
VACUUM ANALYZE orders;
CALL fill_and_ask(20, 1);
SELECT * FROM proposed();
SELECT empty() \g /dev/null
CALL fill(10, 3000);
CALL fill_and_ask(20000, 2000);
VACUUM ANALYZE orders;
SELECT * FROM proposed();
SELECT * FROM rejected();
RESET dbperf.track;
RESET search_path;
RESET client_min_messages;

SET client_min_messages = warning;
DROP FUNCTION trusted(int), advised(), refused(), forget();
DROP SCHEMA evil CASCADE;
DROP SCHEMA app CASCADE;
DROP SCHEMA filled CASCADE;
DROP ROLE regress_dbperf_app, regress_dbperf_other, regress_dbperf_dba, regress_dbperf_evil,
          regress_dbperf_deputy, regress_dbperf_boss;
