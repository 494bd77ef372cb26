-- The extension itself, and what the other tests use.
CREATE EXTENSION dbperf CASCADE;

SELECT e.extname, n.nspname, e.extrelocatable
  FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
 WHERE e.extname = 'dbperf';

-- every object says what it is for
SELECT pg_describe_object(d.classid, d.objid, 0)
  FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
 WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
   AND e.extname = 'dbperf' AND d.classid IN ('pg_class'::regclass, 'pg_proc'::regclass)
   AND obj_description(d.objid, d.classid::regclass::name) IS NULL
 ORDER BY 1;

-- a plain role may use the schema, read what is there, and reset nothing
CREATE ROLE regress_dbperf_plain;
SELECT has_schema_privilege('regress_dbperf_plain', 'dbperf', 'USAGE') AS may_use,
       has_schema_privilege('regress_dbperf_plain', 'dbperf', 'CREATE') AS may_create;
SELECT p.oid::regprocedure AS may_not_execute
  FROM pg_proc p
 WHERE p.pronamespace = 'dbperf'::regnamespace
   AND p.proname IN ('slow_queries', 'query_latency', 'query_samples', 'running_statements',
                     'monitor_status', 'latency_percentile', 'workload_percentile', 'mask_query',
                     'slow_queries_reset', 'query_latency_reset')
   AND NOT has_function_privilege('regress_dbperf_plain', p.oid, 'EXECUTE')
 ORDER BY p.proname;
SELECT c.oid::regclass AS relation,
       has_table_privilege('regress_dbperf_plain', c.oid, 'SELECT') AS may_read,
       has_table_privilege('regress_dbperf_plain', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
       AS may_write
  FROM pg_class c
 WHERE c.relnamespace = 'dbperf'::regnamespace
   AND c.relname IN ('slow_queries', 'query_latency', 'query_samples', 'running_queries',
                     'monitor_status', 'slow_query_history')
 ORDER BY c.relname;
DROP ROLE regress_dbperf_plain;

-- the history is dumped, and has what slow_queries has
SELECT unnest(extconfig)::regclass AS dumped FROM pg_extension
 WHERE extname = 'dbperf' AND 'dbperf.slow_query_history'::regclass = ANY (extconfig);
SELECT a.attname AS only_in_history
  FROM pg_attribute a
 WHERE a.attrelid = 'dbperf.slow_query_history'::regclass AND a.attnum > 0
   AND NOT EXISTS (SELECT FROM pg_attribute v
                    WHERE v.attrelid = 'dbperf.slow_queries'::regclass
                      AND v.attname = a.attname AND v.atttypid = a.atttypid)
 ORDER BY a.attnum;

-- dropping and creating it again works
DROP EXTENSION dbperf;
CREATE EXTENSION dbperf;

-- What this session sent since the last reset, oldest first.  Statements that
-- mention the view, and settings, are left out.
CREATE VIEW mine AS
    SELECT row_number() OVER (ORDER BY id) AS n, *
      FROM dbperf.slow_queries
     WHERE pid = pg_backend_pid() AND coalesce(command, '') NOT IN ('SET', 'RESET')
       AND query !~ '\mmine\M' AND query !~ 'slow_queries_reset';
