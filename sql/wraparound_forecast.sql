-- Wraparound: the arithmetic with given numbers, and the view.
\set stop 2144483647

-- 1 million a day: 100 million are left until forced, 80 % are 60 days away
SELECT * FROM dbperf.forecast_wraparound(100000000, 200000000, :stop, 1000000,
                                         0, 400000000, :stop, 0, '2026-01-01 00:00+00');
-- the multixacts are first
SELECT * FROM dbperf.forecast_wraparound(100000000, 200000000, :stop, 1000000,
                                         300000000, 400000000, :stop, 5000000, '2026-01-01 00:00+00');
-- each on its own: forced by xids, stopped by multixacts
SELECT * FROM dbperf.forecast_wraparound(0, 200000000, :stop, 10000000,
                                         0, 400000000, :stop, 19000000, '2026-01-01 00:00+00');
-- nothing is known, nothing is used
SELECT * FROM dbperf.forecast_wraparound(100000000, 200000000, :stop, NULL,
                                         0, 400000000, :stop, NULL, '2026-01-01 00:00+00');
SELECT * FROM dbperf.forecast_wraparound(100000000, 200000000, :stop, 0,
                                         0, 400000000, :stop, 0, '2026-01-01 00:00+00');
-- only one of both
SELECT * FROM dbperf.forecast_wraparound(100000000, 200000000, :stop, NULL,
                                         0, 400000000, :stop, 4000000, '2026-01-01 00:00+00');
-- over the limits it is now, whatever the rate
SELECT * FROM dbperf.forecast_wraparound(200000001, 200000000, :stop, NULL,
                                         0, 400000000, :stop, NULL, '2026-01-01 00:00+00');
SELECT * FROM dbperf.forecast_wraparound(:stop, 200000000, :stop, 1000000,
                                         400000000, 400000000, :stop, 1000000, '2026-01-01 00:00+00');
SELECT * FROM dbperf.forecast_wraparound(170000000, 200000000, :stop, 1000000,
                                         0, 400000000, :stop, 0, '2026-01-01 00:00+00');
-- hardly anything is used: the date is out of reach, the days are not
SELECT * FROM dbperf.forecast_wraparound(0, 200000000, :stop, 0.001,
                                         0, 400000000, :stop, 0, '2026-01-01 00:00+00');
-- a relation without an age
SELECT * FROM dbperf.forecast_wraparound(NULL, 200000000, :stop, 1000000,
                                         10, 400000000, :stop, 0, '2026-01-01 00:00+00');

-- limits of the server
SELECT measured_over >= interval '0' IS NOT FALSE AS measured, next_xid > '3'::xid8 AS xids,
       next_multixact >= 1 AS multixacts, xids_per_day >= 0 IS NOT FALSE AS rate,
       multixact_freeze_max_age, xid_stop_age, multixact_stop_age
  FROM dbperf.xid_consumption();

-- every database, also those without connections
SELECT count(*) = (SELECT count(*) FROM pg_database) AS all_databases,
       bool_and(table_name IS NULL) AS no_table, bool_and(xid_age >= 0) AS xid,
       bool_and(multixact_age >= 0) AS multixact, bool_or(database_name = 'template0') AS template0
  FROM dbperf.wraparound_forecast WHERE scope = 'database';

-- tables: limits that autovacuum would use, and TOAST tables
CREATE SCHEMA "Freeze";
CREATE TABLE "Freeze".plain (n int);
CREATE TABLE "Freeze"."Lower" (t text) WITH (autovacuum_freeze_max_age = 100000,
    autovacuum_multixact_freeze_max_age = 10000);
CREATE TABLE "Freeze".higher (n int) WITH (autovacuum_freeze_max_age = 2000000000);
CREATE TABLE "Freeze".toast_own (t text) WITH (autovacuum_freeze_max_age = 100000,
    toast.autovacuum_freeze_max_age = 150000);
-- a TOAST table that has any options has none of its table's
CREATE TABLE "Freeze".toast_other (t text) WITH (autovacuum_freeze_max_age = 100000,
    toast.autovacuum_vacuum_threshold = 10);
CREATE TABLE "Freeze".parted (n int) PARTITION BY RANGE (n);
CREATE MATERIALIZED VIEW "Freeze".matview AS SELECT 1 AS n;
SELECT table_name, is_toast, xid_age >= 0 AS xid, multixact_age >= 0 AS multixact,
       freeze_max_age, multixact_freeze_max_age
  FROM dbperf.wraparound_forecast
 WHERE scope = 'table' AND table_name LIKE '"Freeze".%'
 ORDER BY table_name COLLATE "C", is_toast;
SELECT count(*) AS other_databases FROM dbperf.wraparound_forecast
 WHERE scope = 'table' AND database_name <> current_database();

-- for pg_monitor only
CREATE ROLE regress_dbperf_watcher IN ROLE pg_monitor;
CREATE ROLE regress_dbperf_plain;
SET ROLE regress_dbperf_watcher;
SELECT count(*) > 0 AS may_look FROM dbperf.wraparound_forecast;
SET ROLE regress_dbperf_plain;
SELECT * FROM dbperf.wraparound_forecast;
SELECT * FROM dbperf.xid_consumption();
SELECT * FROM dbperf.forecast_wraparound(1, 1, 1, 1, 1, 1, 1, 1, now());
RESET ROLE;
DROP ROLE regress_dbperf_watcher;
DROP ROLE regress_dbperf_plain;
DROP SCHEMA "Freeze" CASCADE;
