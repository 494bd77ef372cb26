-- What the pool shows and takes on a server whose pool is off.  With a real one:
-- test/t/062_pool_stats.pl and 063_pool_control.pl.
SHOW dbperf.pool;
SELECT * FROM dbperf.pool_stats;
SELECT * FROM dbperf.pool_clients;
SELECT * FROM dbperf.pool_servers;
SELECT * FROM dbperf.pool_advice();
SELECT database_name, period, transactions, server_connects, samples, reuse, wait_share,
       utilisation, saturation, multiplexing, wait_p50_ms, wait_p95_ms, wait_p99_ms
  FROM dbperf.pool_efficiency
 ORDER BY period;

-- there is nothing to control, and it is said so
SELECT dbperf.pool_reload();
SELECT dbperf.pool_pause(current_database());
SELECT dbperf.pool_resume(current_database());
SELECT dbperf.pool_reconnect(current_database());
SELECT dbperf.pool_kill_client('1.1');

-- ids that cannot be meant
SELECT dbperf.pool_kill_client('');
SELECT dbperf.pool_kill_client('1');
SELECT dbperf.pool_kill_client('1.');
SELECT dbperf.pool_kill_client('.1');
SELECT dbperf.pool_kill_client('0.1');
SELECT dbperf.pool_kill_client('17.1');
SELECT dbperf.pool_kill_client('-1.1');
SELECT dbperf.pool_kill_client('1.-1');
SELECT dbperf.pool_kill_client('1.1; SHUTDOWN');
SELECT dbperf.pool_kill_client('1.99999999999999999999');
SELECT dbperf.pool_kill_client(NULL), dbperf.pool_pause(NULL), dbperf.pool_resume(NULL),
       dbperf.pool_reconnect(NULL);

-- who may
CREATE ROLE regress_pool_plain;
SELECT p.oid::regprocedure AS function,
       has_function_privilege('regress_pool_plain', p.oid, 'EXECUTE') AS plain,
       has_function_privilege('pg_monitor', p.oid, 'EXECUTE') AS monitor
  FROM pg_proc p
 WHERE p.pronamespace = 'dbperf'::regnamespace
   AND p.proname IN ('pool_stats', 'pool_efficiency', 'pool_clients', 'pool_servers',
                     'pool_advice', 'pool_reload', 'pool_pause', 'pool_resume',
                     'pool_reconnect', 'pool_kill_client')
 ORDER BY p.proname;
SELECT c.oid::regclass AS view, has_table_privilege('regress_pool_plain', c.oid, 'SELECT') AS plain,
       has_table_privilege('pg_monitor', c.oid, 'SELECT') AS monitor
  FROM pg_class c
 WHERE c.relnamespace = 'dbperf'::regnamespace
   AND c.relname IN ('pool_stats', 'pool_efficiency', 'pool_clients', 'pool_servers')
 ORDER BY c.relname;
DROP ROLE regress_pool_plain;

-- declared by another version of the extension: an error, and nothing is read
-- beyond what the library fills
CREATE FUNCTION old_stats(OUT a name, OUT b name)
    RETURNS SETOF record AS 'dbperf', 'dbperf_pool_stats' LANGUAGE C;
CREATE FUNCTION old_efficiency(OUT a name, OUT b text)
    RETURNS SETOF record AS 'dbperf', 'dbperf_pool_efficiency' LANGUAGE C;
CREATE FUNCTION old_clients(OUT a text, OUT b int)
    RETURNS SETOF record AS 'dbperf', 'dbperf_pool_clients' LANGUAGE C;
CREATE FUNCTION old_servers(OUT a int, OUT b int)
    RETURNS SETOF record AS 'dbperf', 'dbperf_pool_servers' LANGUAGE C;
CREATE FUNCTION old_advice(OUT a name, OUT b name)
    RETURNS SETOF record AS 'dbperf', 'dbperf_pool_advice' LANGUAGE C;
\set VERBOSITY terse
SELECT * FROM old_stats();
SELECT * FROM old_efficiency();
SELECT * FROM old_clients();
SELECT * FROM old_servers();
SELECT * FROM old_advice();
\set VERBOSITY default
DROP FUNCTION old_stats(), old_efficiency(), old_clients(), old_servers(), old_advice();
