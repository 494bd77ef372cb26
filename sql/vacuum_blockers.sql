-- Who holds vacuum up: prepared transactions here, the isolation spec and the
-- TAP test have sessions, slots and standbys.
SET client_min_messages = warning;
CREATE ROLE regress_dbperf_owner SUPERUSER;
CREATE ROLE regress_dbperf_watcher IN ROLE pg_monitor;
CREATE ROLE regress_dbperf_plain;
CREATE TABLE churn (n int) WITH (autovacuum_enabled = off);
INSERT INTO churn SELECT generate_series(1, 1000);

-- our own session is no problem, neither its snapshot nor its xid
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM churn;
UPDATE churn SET n = n WHERE n = 1;
SELECT count(*) AS own_rows FROM dbperf.vacuum_blockers WHERE pid = pg_backend_pid();
SELECT held_by IS NULL OR held_by !~ ('process ' || pg_backend_pid()) AS not_this_one
  FROM dbperf.vacuum_horizon();
ROLLBACK;

-- a prepared transaction, of a name that has to be quoted, and what it pins
SET ROLE regress_dbperf_owner;
BEGIN;
UPDATE churn SET n = n WHERE n = 1;
PREPARE TRANSACTION 'it''s old \';
RESET ROLE;
DELETE FROM churn WHERE n > 900;
VACUUM churn;
SELECT holder, pid, name, database_name = current_database() AS here, role_name, state,
       since <= now() AS since, idle_since, xid_source, age > 0 AS aged, affects, holds_horizon, remedy
  FROM dbperf.vacuum_blockers WHERE holder = 'prepared transaction';
SELECT pg_stat_force_next_flush();
SELECT dead_rows_pinned >= 100 AS pinned
  FROM dbperf.vacuum_blockers WHERE holder = 'prepared transaction';
SELECT h.horizon = b.xid AS same, h.age = b.age AS same_age,
       regexp_replace(h.held_by, 'since \d+ s', 'since a moment') AS held_by
  FROM dbperf.vacuum_horizon() AS h, dbperf.vacuum_blockers AS b
 WHERE b.holder = 'prepared transaction';

-- oldest first
BEGIN;
UPDATE churn SET n = n WHERE n = 2;
PREPARE TRANSACTION 'newer';
SELECT name, holds_horizon FROM dbperf.vacuum_blockers WHERE holder = 'prepared transaction';

-- what somebody has in front of the path is not used
SET ROLE regress_dbperf_watcher;
CREATE TEMP VIEW pg_prepared_xacts AS SELECT 1 AS nothing;
CREATE FUNCTION pg_temp.pg_prepared_xact() RETURNS int LANGUAGE sql AS 'SELECT 1/0';
SET search_path = pg_temp, pg_catalog;
SELECT name, remedy FROM dbperf.vacuum_blockers WHERE holder = 'prepared transaction';
SELECT current_user, current_setting('search_path') AS path;
RESET search_path;

-- nobody else may look
SET ROLE regress_dbperf_plain;
SELECT * FROM dbperf.vacuum_blockers;
SELECT * FROM dbperf.vacuum_blockers();
SELECT * FROM dbperf.vacuum_horizon();
RESET ROLE;

-- the remedies work
SELECT remedy FROM dbperf.vacuum_blockers WHERE holder = 'prepared transaction' \gexec
SELECT count(*) FROM dbperf.vacuum_blockers WHERE holder = 'prepared transaction';

DROP TABLE churn;
DROP VIEW pg_temp.pg_prepared_xacts;
DROP FUNCTION pg_temp.pg_prepared_xact();
DROP ROLE regress_dbperf_owner;
DROP ROLE regress_dbperf_watcher;
DROP ROLE regress_dbperf_plain;
