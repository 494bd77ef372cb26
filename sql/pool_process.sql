-- The processes of the pool: what is to be seen of them while it is off.
SELECT process, state, pid, version, started, restarts, last_exit, pool_mode, listen_addresses,
       port, program, console, problem, note, config_error, log
  FROM dbperf.pool_status;
SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'dbperf pool' AND datname IS NULL;
SELECT dbperf.pool_restart();
SELECT dbperf.pool_restart(true);
SELECT dbperf.pool_restart(NULL) IS NULL AS nothing;

-- who may see them, and who may do something
CREATE ROLE regress_dbperf_pool_plain;
CREATE ROLE regress_dbperf_pool_monitor;
GRANT pg_monitor TO regress_dbperf_pool_monitor;
SET ROLE regress_dbperf_pool_plain;
SELECT state FROM dbperf.pool_status;
SELECT state FROM dbperf.pool_status();
SELECT dbperf.pool_restart();
SET ROLE regress_dbperf_pool_monitor;
SELECT state FROM dbperf.pool_status;
SELECT state FROM dbperf.pool_status();
SELECT dbperf.pool_restart();
RESET ROLE;
GRANT EXECUTE ON FUNCTION dbperf.pool_restart(bool) TO regress_dbperf_pool_plain;
SET ROLE regress_dbperf_pool_plain;
SELECT dbperf.pool_restart();
RESET ROLE;
REVOKE EXECUTE ON FUNCTION dbperf.pool_restart(bool) FROM regress_dbperf_pool_plain;
DROP ROLE regress_dbperf_pool_plain;
DROP ROLE regress_dbperf_pool_monitor;

-- settings
SELECT name, context, unit, boot_val, min_val, max_val, enumvals
  FROM pg_settings
 WHERE name IN ('dbperf.pool', 'dbperf.pool_listen_addresses', 'dbperf.pool_port',
                'dbperf.pool_processes', 'dbperf.pool_program')
 ORDER BY name;
SET dbperf.pool = on;
SET dbperf.pool_program = '/bin/true';

-- declared by another version of the extension
CREATE FUNCTION old_pool_status(OUT process int, OUT state text)
    RETURNS SETOF record AS 'dbperf', 'dbperf_pool_status' LANGUAGE C;
SELECT * FROM old_pool_status();
DROP FUNCTION old_pool_status();
