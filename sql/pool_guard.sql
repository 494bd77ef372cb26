-- What does not survive in a pool: nothing of it concerns other sessions.
SELECT count(*) FROM dbperf.pool_guard_counts;
SET work_mem = '5MB';
RESET work_mem;
LISTEN nobody;
UNLISTEN nobody;
SELECT pg_advisory_lock(6), pg_advisory_unlock(6);
CREATE TEMP TABLE mine_alone (n int);
DROP TABLE mine_alone;
PREPARE p AS SELECT 1;
DEALLOCATE p;
SELECT count(*) FROM dbperf.pool_guard_counts;

SELECT name, vartype, context, enumvals, boot_val FROM pg_settings
 WHERE name IN ('dbperf.pool_guard', 'dbperf.pool_max_server_connections') ORDER BY name;
SET dbperf.pool_guard = off;

-- who may see it
CREATE ROLE regress_pool_plain;
CREATE ROLE regress_pool_monitor IN ROLE pg_monitor;
SET ROLE regress_pool_plain;
SELECT count(*) FROM dbperf.pool_guard_counts;
SELECT count(*) FROM dbperf.pool_guard_counts();
SET ROLE regress_pool_monitor;
SELECT count(*) FROM dbperf.pool_guard_counts;
SELECT count(*) FROM dbperf.pool_guard_counts();
RESET ROLE;
DROP ROLE regress_pool_plain, regress_pool_monitor;
