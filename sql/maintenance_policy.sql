-- Maintenance policies: rows that mean nothing are refused, and what a session
-- has changed is in the shared copy once it has committed.
CREATE FUNCTION refused(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
    hint text;
BEGIN
    EXECUTE command;
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', SQLSTATE || ': ' || SQLERRM, nullif(detail, ''), nullif(hint, ''));
END $$;
CREATE FUNCTION refused_policy("column" text, value text) RETURNS text LANGUAGE sql AS $$
    SELECT refused(format('INSERT INTO dbperf.maintenance_policy (%I) VALUES (%L)', $1, $2))
$$;
\a\t
-- ids are shown
ALTER SEQUENCE dbperf.maintenance_policy_id_seq RESTART;
SELECT refused_policy('database_pattern', '');
SELECT refused_policy('schema_pattern', 'a\');
SELECT refused_policy('table_pattern', 'a\\\');
SELECT refused_policy('table_pattern', repeat('x', 256));
SELECT refused_policy('table_pattern', NULL);
SELECT refused_policy('actions', '{vacuum,vacuum_full}');
SELECT refused_policy('actions', '{}');
SELECT refused_policy('actions', '{vacuum,NULL}');
SELECT refused_policy('window_name', 'none');
SELECT refused_policy('cost_limit', '0');
SELECT refused_policy('cost_limit', '-1');
SELECT refused_policy('cost_limit', '10001');
SELECT refused_policy('time_limit', '0');
SELECT refused_policy('time_limit', '-1 day');
SELECT refused_policy('time_limit', '100 years');
SELECT refused_policy('enabled', NULL);
SELECT refused($$INSERT INTO dbperf.maintenance_policy (priority) SELECT 1 FROM generate_series(1, 257)$$);
SELECT count(*) FROM dbperf.maintenance_policy;
SELECT refused($$INSERT INTO dbperf.maintenance_policy (priority) SELECT 1 FROM generate_series(1, 256)$$);
SELECT refused($$INSERT INTO dbperf.maintenance_policy (priority) VALUES (1)$$);
DELETE FROM dbperf.maintenance_policy;
SELECT refused_policy('database_pattern', 'a\\');
SELECT refused_policy('table_pattern', repeat('x', 255));
SELECT refused_policy('actions', '{vacuum,vacuum_freeze,analyze,reindex,clean_gin,summarize_brin}');
SELECT refused_policy('time_limit', '0.5 s');
SELECT refused('UPDATE dbperf.maintenance_policy SET cost_limit = -5');
\a\t
TRUNCATE dbperf.maintenance_policy;

-- a window that is used stays, and can be renamed
INSERT INTO dbperf.maintenance_windows (name, start_time, end_time) VALUES ('night', '22:00', '06:00');
INSERT INTO dbperf.maintenance_policy (window_name) VALUES ('night');
SELECT refused($$DELETE FROM dbperf.maintenance_windows WHERE name = 'night'$$);
UPDATE dbperf.maintenance_windows SET name = 'dark' WHERE name = 'night';
SELECT window_name FROM dbperf.maintenance_policy;

-- a change that was rolled back is none
BEGIN;
UPDATE dbperf.maintenance_windows SET name = 'bright';
SELECT window_name FROM dbperf.maintenance_window_states();
ROLLBACK;
SELECT window_name FROM dbperf.maintenance_window_states();

-- patterns match as with LIKE
CREATE FUNCTION differs(pattern text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    name text;
BEGIN
    EXECUTE 'TRUNCATE dbperf.maintenance_policy';
    INSERT INTO dbperf.maintenance_policy (id, table_pattern) VALUES (1, pattern);
    FOR name IN
        SELECT n FROM unnest('{a,b,ab,ba,aa,aab,aba,abab,abaab,a_b,a%b,%,_,\\,a\\,a\\b}'::text[]
                         || ARRAY[E'\u00e9', E'a\u00e9b', E'\u20ac\u20ac']) AS n
    LOOP
        IF (dbperf.maintenance_policy_for('d', 's', name) IS NOT NULL) <> (name LIKE pattern) THEN
            RETURN NEXT format('%s with %s', name, pattern);
        END IF;
    END LOOP;
END $$;
SELECT differs(p) FROM unnest(ARRAY[
    'a', '%', '%%', '_', '__', '%a', 'a%', '%a%', 'a%b', '%ab', 'ab%', '%a%b%', 'a_b', 'a\_b', 'a\%b',
    '_%', '%_', '_%_', '%ab%ab', '%aab', '\a', '\\', '%\\', 'a\\b', '%\\%', U&'\00e9', U&'_\00e9%',
    U&'a_b', U&'\20ac_', '%_%_%', '%b%a%b', '\%', '\_']) AS p;
DROP FUNCTION differs;

-- the highest priority decides, then the newest
TRUNCATE dbperf.maintenance_policy;
INSERT INTO dbperf.maintenance_policy (id, database_pattern, schema_pattern, table_pattern, priority) VALUES
    (1, '%', '%', '%', 0),
    (2, '%', 'pub%', '%', 5),
    (3, 'main', 'public', 'orders', 5),
    (4, 'main', '%', 'log\_%', -1),
    (5, 'other', '%', '%', 9);
SELECT d, s, t, dbperf.maintenance_policy_for(d, s, t) AS id
  FROM (VALUES ('main', 'public', 'orders'), ('main', 'public', 'order'), ('main', 'x', 'orders'),
               ('main', 'x', 'log_1'), ('other', 'public', 'orders'), ('main', 'public', 'log_1')) AS v (d, s, t);
UPDATE dbperf.maintenance_policy SET priority = 1 WHERE id = 4;
SELECT dbperf.maintenance_policy_for('main', 'x', 'log_1'), dbperf.maintenance_policy_for('main', 'x', 'log1');
DELETE FROM dbperf.maintenance_policy WHERE id < 4;
SELECT dbperf.maintenance_policy_for('main', 'x', 'log1') IS NULL AS none;
DELETE FROM dbperf.maintenance_policy;
INSERT INTO dbperf.maintenance_policy (window_name) VALUES ('dark');

-- in another database nothing can be changed; while a dump is restored rows are
-- kept, unchecked, and can be deleted
CREATE DATABASE dbperf_elsewhere;
\set database :DBNAME
\c dbperf_elsewhere
SET client_min_messages = warning;
CREATE EXTENSION dbperf CASCADE;
RESET client_min_messages;
\set VERBOSITY terse
INSERT INTO dbperf.maintenance_policy DEFAULT VALUES;
INSERT INTO dbperf.maintenance_windows (name, start_time, end_time) VALUES ('w', '22:00', '06:00');
\set VERBOSITY default
SET check_function_bodies = off;
INSERT INTO dbperf.maintenance_windows (name, start_time, end_time) VALUES ('inert', '22:00', '22:00');
INSERT INTO dbperf.maintenance_policy (window_name) VALUES ('inert');
RESET check_function_bodies;
\set VERBOSITY terse
UPDATE dbperf.maintenance_windows SET end_time = '23:00';
\set VERBOSITY default
-- they are not in force, and the other database's are
CREATE FUNCTION wait_for_copy(wanted text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text;
BEGIN
    FOR i IN 1 .. 300 LOOP
        SELECT string_agg(window_name, ' ' ORDER BY window_name) INTO found
          FROM dbperf.maintenance_window_states();
        EXIT WHEN found IS NOT DISTINCT FROM wanted;
        PERFORM pg_sleep(0.1);
    END LOOP;
    RETURN found;
END $$;
SELECT wait_for_copy('dark');
DELETE FROM dbperf.maintenance_policy;
DELETE FROM dbperf.maintenance_windows;
\c :database
DELETE FROM dbperf.maintenance_policy;
DELETE FROM dbperf.maintenance_windows;
\c dbperf_elsewhere
SELECT wait_for_copy(NULL);
\c :database
DROP DATABASE dbperf_elsewhere;

-- a plain role may not; a member of pg_monitor reads and does not write
CREATE ROLE regress_dbperf_plain;
CREATE ROLE regress_dbperf_monitor IN ROLE pg_monitor;
INSERT INTO dbperf.maintenance_policy (table_pattern) VALUES ('seen');
SET ROLE regress_dbperf_plain;
SELECT refused('SELECT * FROM dbperf.maintenance_policy');
SELECT refused('SELECT * FROM dbperf.maintenance_log');
SELECT refused($$SELECT dbperf.maintenance_policy_for('d', 's', 't')$$);
SELECT refused('INSERT INTO dbperf.maintenance_policy DEFAULT VALUES');
SET ROLE regress_dbperf_monitor;
SELECT table_pattern FROM dbperf.maintenance_policy;
SELECT dbperf.maintenance_policy_for('d', 's', 'seen') IS NOT NULL AS found;
SELECT count(*) >= 0 AS readable FROM dbperf.maintenance_log;
SELECT refused('INSERT INTO dbperf.maintenance_policy DEFAULT VALUES');
SELECT refused('DELETE FROM dbperf.maintenance_log');
SET ROLE regress_dbperf_plain;
SELECT refused('SELECT dbperf.maintenance_policy_check()');
SELECT refused('SELECT dbperf.maintenance_windows_check()');
-- a trigger of theirs would see rows of another shape
CREATE TEMPORARY TABLE mine (id int);
SELECT refused('CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION dbperf.maintenance_policy_check()');
SELECT refused('CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION dbperf.maintenance_windows_check()');
DROP TABLE mine;
RESET ROLE;
-- one to whom the right is granted can write, and is checked
GRANT INSERT ON dbperf.maintenance_policy TO regress_dbperf_plain;
GRANT USAGE ON SEQUENCE dbperf.maintenance_policy_id_seq TO regress_dbperf_plain;
SET ROLE regress_dbperf_plain;
SELECT refused_policy('table_pattern', 'granted'), refused_policy('table_pattern', '');
RESET ROLE;
SELECT table_pattern FROM dbperf.maintenance_policy ORDER BY id;
REVOKE ALL ON dbperf.maintenance_policy FROM regress_dbperf_plain;
REVOKE ALL ON SEQUENCE dbperf.maintenance_policy_id_seq FROM regress_dbperf_plain;
DROP ROLE regress_dbperf_plain, regress_dbperf_monitor;
DELETE FROM dbperf.maintenance_policy;
DROP FUNCTION refused_policy;
DROP FUNCTION refused;
