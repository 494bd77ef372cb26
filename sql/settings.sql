-- Every setting has the documented default, ...
SELECT name, boot_val AS setting, unit, context, vartype
  FROM pg_settings
 WHERE name IN ('dbperf.enabled', 'dbperf.database', 'dbperf.slow_query_min_duration',
                'dbperf.track', 'dbperf.plan_capture', 'dbperf.redact', 'dbperf.max_query_length',
                'dbperf.max_parameter_length', 'dbperf.max_plan_length',
                'dbperf.slow_query_ring_size', 'dbperf.slow_query_ring_entries',
                'dbperf.slow_query_max_rate', 'dbperf.max_queries', 'dbperf.latency_window',
                'dbperf.instrument_cost', 'dbperf.wait_sampling_interval',
                'dbperf.log_slow_queries', 'dbperf.slow_query_history_retention',
                'dbperf.slow_query_history_size')
 ORDER BY name COLLATE "C";
SELECT name FROM pg_settings
 WHERE name LIKE 'dbperf.%' AND (short_desc IS NULL OR short_desc !~ '\.$')
 ORDER BY name COLLATE "C";

-- ... and refuses what it cannot be, saying why.  Releases differ in whether
-- they show units in ranges, so those are taken out.
CREATE FUNCTION refused(setting text, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    hint text;
    detail text;
BEGIN
    PERFORM set_config('dbperf.' || setting, value, false);
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT, detail = PG_EXCEPTION_DETAIL;
    RETURN regexp_replace(concat_ws(E'\n', SQLERRM, nullif(detail, ''), nullif(hint, '')),
                          '(\d) (ms|s|B|kB|MB|min)\M', '\1', 'g');
END $$;
SELECT setting, value, refused(setting, value)
  FROM (VALUES (1, 'slow_query_min_duration', '-2'),
               (2, 'slow_query_min_duration', 'soon'),
               (3, 'track', 'some'),
               (4, 'plan_capture', 'always'),
               (5, 'redact', 'passwords'),
               (6, 'max_query_length', '0'),
               (7, 'max_query_length', '1GB'),
               (8, 'max_parameter_length', '-1'),
               (9, 'max_plan_length', '1GB'),
               (10, 'slow_query_max_rate', '-1'),
               (11, 'instrument_cost', '-1'),
               (12, 'enabled', 'perhaps'),
               (13, 'log_slow_queries', '2'),
               (14, 'wait_sampling_interval', '1 s'),
               (15, 'latency_window', '1 min'),
               (16, 'slow_query_history_retention', '1 d'),
               (17, 'slow_query_history_size', '1GB'),
               (18, 'database', 'other'),
               (19, 'slow_query_ring_size', '16MB'),
               (20, 'slow_query_ring_entries', '100'),
               (21, 'max_queries', '10'),
               (22, 'no_such_setting', '1')) v(n, setting, value)
 ORDER BY n;
DROP FUNCTION refused(text, text);
ALTER SYSTEM SET dbperf.latency_window = '0';

-- units
SET dbperf.slow_query_min_duration = '2 s';
SHOW dbperf.slow_query_min_duration;
SET dbperf.max_query_length = '1kB';
SHOW dbperf.max_query_length;
RESET ALL;

-- per role and database
CREATE ROLE regress_dbperf_settings;
ALTER ROLE regress_dbperf_settings SET dbperf.slow_query_min_duration = '1 s';
ALTER ROLE regress_dbperf_settings SET dbperf.track = 'all';
ALTER ROLE regress_dbperf_settings SET dbperf.max_queries = 10;
SELECT setconfig FROM pg_db_role_setting WHERE setrole = 'regress_dbperf_settings'::regrole;
DROP ROLE regress_dbperf_settings;
