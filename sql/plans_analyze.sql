-- analyze_query(): statements that are planned, and executed, to be judged.
CREATE TABLE accounts (id int PRIMARY KEY, owner text NOT NULL, balance int NOT NULL);
INSERT INTO accounts SELECT g, 'owner ' || g % 10, 100 FROM generate_series(1, 100) g;
CREATE TABLE audit (id serial PRIMARY KEY, what text);
ANALYZE accounts;
CREATE FUNCTION note(what text) RETURNS int LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO audit (what) VALUES ($1); RAISE NOTICE 'noted %', $1; RETURN 1; END $$;
CREATE FUNCTION state() RETURNS TABLE (rows bigint, total bigint, audited bigint) LANGUAGE sql AS
$$ SELECT count(*), sum(balance), (SELECT count(*) FROM audit) FROM accounts $$;

-- a statement with nothing wrong, planned and executed
SELECT count(*) FROM dbperf.analyze_query('SELECT * FROM accounts WHERE id = 7');
SELECT count(*) FROM dbperf.analyze_query('SELECT * FROM accounts WHERE id = 7', true);
SELECT count(*) FROM dbperf.analyze_query('VALUES (1), (2);', execute => true);
SELECT count(*) FROM dbperf.analyze_query('TABLE accounts -- all of it');

-- without execute nothing happens
SELECT * FROM dbperf.analyze_query('SELECT note(''never'')');
SELECT * FROM dbperf.analyze_query('DELETE FROM accounts');
SELECT * FROM state();
SELECT is_called FROM audit_id_seq;

-- with it everything does, and is taken back; what cannot be is said
\x on
SELECT * FROM dbperf.analyze_query('SELECT note(''once'')', true);
SELECT * FROM dbperf.analyze_query('DELETE FROM accounts RETURNING *', true);
\x off
SELECT code, evidence FROM dbperf.analyze_query('INSERT INTO audit (what) VALUES (''x'') RETURNING id', true);
SELECT code, evidence FROM dbperf.analyze_query(
'WITH gone AS (DELETE FROM accounts WHERE id < 5 RETURNING id) INSERT INTO audit (what) SELECT id FROM gone', true);
SELECT code, evidence FROM dbperf.analyze_query('SELECT * FROM accounts FOR UPDATE', true);
SELECT code, evidence FROM dbperf.analyze_query(
'MERGE INTO accounts a USING (VALUES (1), (1000)) v (id) ON a.id = v.id
 WHEN MATCHED THEN UPDATE SET balance = 0 WHEN NOT MATCHED THEN INSERT VALUES (v.id, ''new'', 1)', true);
SELECT code, evidence FROM dbperf.analyze_query('SELECT random(), clock_timestamp(), pg_sleep(0)', true);
SELECT * FROM state();
SELECT last_value FROM audit_id_seq;

-- triggers run, deferred ones do not
CREATE FUNCTION audit_row() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO audit (what) VALUES (TG_NAME); RAISE NOTICE '%', TG_NAME; RETURN NULL; END $$;
CREATE TRIGGER at_once AFTER UPDATE ON accounts FOR EACH STATEMENT EXECUTE FUNCTION audit_row();
CREATE CONSTRAINT TRIGGER at_commit AFTER UPDATE ON accounts DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION audit_row();
SELECT code FROM dbperf.analyze_query('UPDATE accounts SET balance = 0 WHERE id = 1', true);
SELECT * FROM state();
DROP TRIGGER at_once ON accounts;
DROP TRIGGER at_commit ON accounts;

-- parameters
SELECT count(*) FROM dbperf.analyze_query('SELECT * FROM accounts WHERE id = $1');
SELECT count(*) FROM dbperf.analyze_query('SELECT * FROM accounts WHERE id = $1', false, '{7}');
SELECT count(*) FROM dbperf.analyze_query('SELECT * FROM accounts WHERE id = $1', true, '{7}');
SELECT count(*) FROM dbperf.analyze_query('SELECT * FROM accounts WHERE id = $1', true, ARRAY[NULL]);
SELECT count(*) FROM dbperf.analyze_query('SELECT 1', true, '{}');
SELECT code FROM dbperf.analyze_query(
'UPDATE accounts SET balance = $2 WHERE id = $1 AND owner = $3::varchar', true, '{1, 50, "owner 1"}');
SELECT * FROM dbperf.analyze_query('SELECT * FROM accounts WHERE id = $1', true);
SELECT * FROM dbperf.analyze_query('SELECT * FROM accounts WHERE id = $1', true, '{}');
SELECT * FROM dbperf.analyze_query('SELECT * FROM accounts WHERE id = $1', true, '{1, 2}');
SELECT * FROM dbperf.analyze_query('SELECT 1', false, '{1}');
SELECT * FROM dbperf.analyze_query('SELECT * FROM accounts WHERE id = $2', false, '{1, 2}');
SELECT * FROM dbperf.analyze_query('SELECT * FROM accounts WHERE id = $1 AND balance < $2', false, '{1, many}');
SELECT * FROM dbperf.analyze_query('SELECT * FROM accounts WHERE id = $1', false, '{{1}, {2}}');

-- partitions with a parameter that is missing
CREATE TABLE parts (k int NOT NULL) PARTITION BY LIST (k);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2);
SELECT count(*) FROM dbperf.analyze_query('SELECT * FROM parts WHERE k = $1') WHERE severity = 'critical';

-- what cannot be analysed
SELECT * FROM dbperf.analyze_query(NULL);
SELECT * FROM dbperf.analyze_query('SELECT 1', NULL);
SELECT * FROM dbperf.analyze_query('');
SELECT * FROM dbperf.analyze_query('-- nothing');
SELECT * FROM dbperf.analyze_query('SELECT 1; SELECT 2');
SELECT * FROM dbperf.analyze_query('EXPLAIN SELECT 1');
SELECT * FROM dbperf.analyze_query('COPY (SELECT 1) TO STDOUT', true);
SELECT * FROM dbperf.analyze_query('CREATE TABLE never (a int)', true);
SELECT * FROM dbperf.analyze_query('SELECT 1 AS a INTO never', true);
SELECT * FROM dbperf.analyze_query('DECLARE c CURSOR FOR SELECT 1', true);
SELECT * FROM dbperf.analyze_query('EXECUTE p(1)', true);
SELECT * FROM dbperf.analyze_query('DO $$ BEGIN END $$', true);
SELECT * FROM dbperf.analyze_query('COMMIT', true);
SELECT * FROM dbperf.analyze_query('SELCT 1');
SELECT * FROM dbperf.analyze_query('SELECT * FROM accounts, nowhere');
SELECT * FROM dbperf.analyze_query('SELECT balance / 0 FROM accounts');
SELECT * FROM dbperf.analyze_query('SELECT balance / (id - id) FROM accounts', true);
SELECT * FROM dbperf.analyze_query('SELECT * FROM dbperf.analyze_query(''SELECT 1'')', true);
SELECT * FROM dbperf.analyze_query('SELECT * FROM dbperf.what_if(''SELECT 1 FROM accounts'')', true);
CREATE FUNCTION old_analyze(text, boolean, text[], OUT severity text, OUT code text)
    RETURNS SETOF record AS 'dbperf', 'dbperf_analyze_query' LANGUAGE C;
SELECT * FROM old_analyze('SELECT 1', false, NULL);
DROP FUNCTION old_analyze(text, boolean, text[]);
CREATE TABLE ruled (a int);
CREATE RULE also AS ON INSERT TO ruled DO ALSO INSERT INTO audit (what) VALUES ('rule');
CREATE RULE nothing AS ON DELETE TO ruled DO INSTEAD NOTHING;
SELECT * FROM dbperf.analyze_query('INSERT INTO ruled VALUES (1)', true);
SELECT * FROM dbperf.analyze_query('DELETE FROM ruled', true);
DROP TABLE ruled;

-- where nothing may be written
BEGIN READ ONLY;
SELECT count(*) FROM dbperf.analyze_query('SELECT * FROM accounts WHERE id = 7', true);
SELECT count(*) FROM dbperf.analyze_query('DELETE FROM accounts WHERE id = 7');
SELECT * FROM dbperf.analyze_query('DELETE FROM accounts', true);
ROLLBACK;
SELECT * FROM state();

-- settings, temporary tables and cursors of the statement are gone, those of the
-- caller go on
CREATE FUNCTION scratch() RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    c CURSOR FOR SELECT 1;
BEGIN
    PERFORM set_config('work_mem', '123kB', false);
    CREATE TEMP TABLE scratch_table (a int);
    OPEN c;
    RETURN 1;
END $$;
BEGIN;
DECLARE mine_too CURSOR FOR SELECT id FROM accounts ORDER BY id;
FETCH 2 FROM mine_too;
SELECT code FROM dbperf.analyze_query('SELECT scratch()', true);
FETCH 2 FROM mine_too;
SELECT name FROM pg_cursors;
COMMIT;
SHOW work_mem;
SELECT to_regclass('scratch_table');
BEGIN;
SELECT code FROM dbperf.analyze_query('SELECT pg_advisory_xact_lock(1)', true);
SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype IN ('advisory', 'relation')
   AND relation IS DISTINCT FROM 'pg_locks'::regclass AND relation IS DISTINCT FROM 'accounts'::regclass;
COMMIT;

-- in functions, loops and blocks that catch errors
DO $$
DECLARE
    id int;
    found int := 0;
BEGIN
    FOR id IN SELECT a.id FROM accounts a WHERE a.id <= 3 ORDER BY 1 LOOP
        UPDATE accounts SET balance = balance + 1 WHERE accounts.id = 50;
        SELECT found + count(*) INTO found FROM dbperf.analyze_query('UPDATE accounts SET balance = 0', true);
        BEGIN
            PERFORM * FROM dbperf.analyze_query('SELECT 1 / (a.id - a.id) FROM accounts a', true);
        EXCEPTION WHEN division_by_zero THEN
            RAISE NOTICE 'caught: %', SQLERRM;
        END;
    END LOOP;
    RAISE NOTICE '% findings, balance %', found, (SELECT balance FROM accounts a WHERE a.id = 50);
END $$;

-- a statement sees what its transaction has done
BEGIN;
DELETE FROM accounts WHERE id > 1;
SELECT * FROM dbperf.analyze_query('SELECT 1 / (count(*) - 1) FROM accounts', true);
ROLLBACK;

-- and, as volatile functions do, what the statement around it has done so far
UPDATE accounts SET balance =
       (SELECT -count(*) FROM dbperf.analyze_query(
               'SELECT 1 / (count(*) - 1) FROM accounts WHERE balance <= 0 AND id <> ' || id, true))
 WHERE id <= 2;

-- as a role with few rights
CREATE ROLE regress_dbperf_plain;
CREATE TABLE secrets (owner name, secret text);
INSERT INTO secrets VALUES ('regress_dbperf_plain', 'own'), ('postgres', 'other');
ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON secrets USING (owner = current_user);
GRANT SELECT ON secrets TO regress_dbperf_plain;
CREATE FUNCTION show(secret text) RETURNS int LANGUAGE plpgsql AS
$$ BEGIN RAISE NOTICE '% sees %', current_user, secret; RETURN 1; END $$;
SET ROLE regress_dbperf_plain;
SELECT count(*) FROM dbperf.analyze_query('SELECT show(secret) FROM secrets', true);
SELECT * FROM dbperf.analyze_query('SELECT * FROM accounts');
SELECT * FROM dbperf.analyze_query('SELECT * FROM accounts', true);
SELECT * FROM dbperf.analyze_query('DELETE FROM secrets');
SELECT * FROM dbperf.analyze_query('DELETE FROM secrets', true);
SELECT current_user;
RESET ROLE;
SELECT count(*) FROM secrets;
DROP TABLE secrets;
DROP ROLE regress_dbperf_plain;

-- a planned statement's functions cannot get at roles and temporary tables
CREATE FUNCTION make_temp() RETURNS int LANGUAGE plpgsql AS
$$ BEGIN CREATE TEMP TABLE sneaked (a int); RETURN 1; END $$;
CREATE FUNCTION sneak() RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN RETURN make_temp(); END $$;
SELECT * FROM dbperf.analyze_query('SELECT sneak()');

-- time limits
SET dbperf.analyze_query_timeout = '100ms';
SELECT severity, code, node, advice FROM dbperf.analyze_query('SELECT pg_sleep(60)', true);
SELECT code FROM dbperf.analyze_query(
'INSERT INTO audit (what) SELECT pg_sleep(0.01)::text FROM generate_series(1, 100000)', true)
 WHERE code IN ('timed_out', 'not_rolled_back');
CREATE FUNCTION stubborn() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_sleep(0.2);
    RETURN 1;
EXCEPTION WHEN query_canceled THEN
    PERFORM pg_sleep(60);
    RETURN 2;
END $$;
SELECT code FROM dbperf.analyze_query('SELECT stubborn()', true);
SELECT regexp_replace(regexp_replace(evidence, '\d+ ms', 'N ms'), '\(cost\S* \S* \S* \(actual time=\S* (rows=\d+)\S*', '(\1', 'g')
  FROM dbperf.analyze_query('SELECT g, pg_sleep(60) FROM generate_series(1, 3) g', true) WHERE code = 'timed_out';
CREATE FUNCTION slow_to_plan() RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN PERFORM pg_sleep(60); RETURN 1; END $$;
SELECT * FROM dbperf.analyze_query('SELECT slow_to_plan()');
RESET dbperf.analyze_query_timeout;
SET statement_timeout = '300ms';
SELECT code FROM dbperf.analyze_query('SELECT pg_sleep(60)', true);
RESET statement_timeout;
SELECT count(*) FROM dbperf.analyze_query('SELECT pg_sleep(0.01)', true);
SELECT * FROM state();

-- the monitor sees the call, and not what is executed in it
SET dbperf.slow_query_min_duration = 0;
SET dbperf.track = 'all';
SELECT dbperf.slow_queries_reset();
SELECT count(*) FROM dbperf.analyze_query('SELECT note(''hidden'') /* analysed */', true);
SET dbperf.slow_query_min_duration = '1h';
SELECT query FROM mine WHERE query LIKE '%analysed%' OR query LIKE '%audit%';
RESET dbperf.slow_query_min_duration;
RESET dbperf.track;

DROP FUNCTION state(), note(text), scratch(), show(text), sneak(), make_temp(), stubborn(), slow_to_plan();
DROP TABLE accounts, audit, parts;
DROP FUNCTION audit_row();
