-- What policies and windows do to the plan.  The time is that of a fixed clock.
SET synchronous_commit = on;	-- so that VACUUM knows which rows all can see
CREATE SCHEMA ruled;
SET search_path = ruled, public;
CREATE VIEW ruled AS
    SELECT replace(p.object, 'ruled.', '') AS object, p.action, p.command, regexp_replace(p.not_now, 'policy \d+', 'policy N') AS not_now,
           row_number() OVER () AS n
      FROM dbperf.maintenance_plan(0) p
     WHERE p.object LIKE 'ruled.%' AND p.action IN ('vacuum', 'analyze');
CREATE TABLE first (id int PRIMARY KEY);
CREATE TABLE second (id int PRIMARY KEY);
INSERT INTO first SELECT generate_series(1, 1000);
INSERT INTO second SELECT generate_series(1, 1000);
SELECT count(*) FROM pg_stat_force_next_flush();
VACUUM ANALYZE first, second;
DELETE FROM first WHERE id <= 500;
DELETE FROM second WHERE id <= 500;
SELECT count(*) FROM pg_stat_force_next_flush();

-- without any: now, and without the exclusive lock that cuts off empty pages
SET dbperf.maintenance_clock = '2026-03-02 12:00:00 UTC';
SELECT object, action, command, not_now FROM ruled ORDER BY 1, 2;

-- a window that is closed, and what it is open for
INSERT INTO dbperf.maintenance_windows (name, start_time, end_time) VALUES ('night', '01:00', '02:00');
INSERT INTO dbperf.maintenance_policy (schema_pattern, table_pattern, window_name) VALUES ('ruled', 'first', 'night');
SELECT object, action, not_now FROM ruled ORDER BY 1, 2;
SET dbperf.maintenance_clock = '2026-03-02 01:30:00 UTC';
SELECT object, action, command, not_now FROM ruled ORDER BY 1, 2;

-- actions; a policy that disables; the better one decides
UPDATE dbperf.maintenance_policy SET actions = '{vacuum}' WHERE table_pattern = 'first';
SELECT object, action, not_now FROM ruled WHERE object = 'first' ORDER BY 1, 2;
UPDATE dbperf.maintenance_policy SET enabled = false WHERE table_pattern = 'first';
SELECT object, action, not_now FROM ruled WHERE object = 'first' ORDER BY 1, 2;
INSERT INTO dbperf.maintenance_policy (schema_pattern, priority) VALUES ('ruled', 1);
SELECT object, action, not_now FROM ruled WHERE object = 'first' ORDER BY 1, 2;

-- a priority comes before any benefit
INSERT INTO dbperf.maintenance_policy (schema_pattern, table_pattern, priority) VALUES ('ruled', 'second', 2);
SELECT object, array_agg(n <= 2) AS first FROM ruled GROUP BY object ORDER BY object;
UPDATE dbperf.maintenance_policy SET priority = 3 WHERE schema_pattern = 'ruled' AND table_pattern = 'first';
UPDATE dbperf.maintenance_policy SET enabled = true, actions = NULL, window_name = NULL WHERE table_pattern = 'first';
SELECT object, array_agg(n <= 2) AS first FROM ruled GROUP BY object ORDER BY object;

-- wraparound overrules them, and the reloption, but not a plain VACUUM
ALTER TABLE first SET (autovacuum_freeze_max_age = 100000, autovacuum_enabled = off);
UPDATE dbperf.maintenance_policy SET enabled = false WHERE schema_pattern = 'ruled';
SELECT object, action, not_now FROM ruled WHERE object = 'first' ORDER BY 1, 2;
DO $$
BEGIN
    FOR i IN 1 .. 100100 LOOP
        PERFORM pg_current_xact_id();
        COMMIT;
    END LOOP;
END
$$;
SELECT object, action, not_now FROM dbperf.maintenance_plan() WHERE object LIKE 'ruled.first' ORDER BY action;

DELETE FROM dbperf.maintenance_policy WHERE schema_pattern = 'ruled';
DELETE FROM dbperf.maintenance_windows WHERE name = 'night';
RESET dbperf.maintenance_clock;
SET client_min_messages = warning;
DROP SCHEMA ruled CASCADE;
