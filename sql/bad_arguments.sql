-- Arguments that cannot be meant are refused with a reason.
SELECT dbperf.latency_percentile(1, 1.5);
SELECT dbperf.latency_percentile(1, -0.1);
SELECT dbperf.latency_percentile(1, 'NaN');
SELECT dbperf.latency_percentile(1, 'Infinity');
SELECT dbperf.workload_percentile(95);
SELECT dbperf.workload_percentile(0.5, 'no such database');
SELECT dbperf.workload_percentile(0.5, current_database(), 'yesterday');
SELECT dbperf.query_latency_reset(database_name => 'no such database');
\set VERBOSITY sqlstate
SELECT dbperf.latency_percentile(1, 1.5);
SELECT dbperf.workload_percentile(0.5, 'no such database');
SELECT dbperf.workload_percentile(0.5, current_database(), 'yesterday');
\set VERBOSITY default

-- nulls and ids that do not exist are no errors
SELECT dbperf.latency_percentile(NULL, 0.5), dbperf.latency_percentile(1, NULL),
       dbperf.workload_percentile(NULL), dbperf.latency_percentile(-1, 0.5);
SELECT dbperf.query_latency_reset(-1);
SELECT count(*) FROM dbperf.slow_queries(5, 4);
SELECT count(*) FROM dbperf.slow_queries(-9223372036854775808, 0);
SELECT count(*) FROM dbperf.slow_queries(9223372036854775807, 9223372036854775807);
SELECT count(*) FROM dbperf.slow_queries(NULL, NULL);
SELECT dbperf.mask_query(NULL), dbperf.mask_query('') = '' AS empty,
       length(dbperf.mask_query(repeat('x', 100000))) AS long;

-- declared by another version of the extension: an error, and nothing is read
-- beyond what the library fills
CREATE FUNCTION old_findings(OUT kind text, OUT table_name text)
    RETURNS SETOF record AS 'dbperf', 'dbperf_index_findings' LANGUAGE C;
CREATE FUNCTION old_drops(age interval, OUT kind text, OUT table_name text)
    RETURNS SETOF record AS 'dbperf', 'dbperf_suggest_index_drops' LANGUAGE C;
CREATE FUNCTION old_what_if(text, text[], text[], OUT a float8, OUT b float8, OUT c text, OUT d text, OUT e text[], OUT f text)
    AS 'dbperf', 'dbperf_what_if' LANGUAGE C;
CREATE FUNCTION old_guard_counts(OUT role_name name, OUT feature text)
    RETURNS SETOF record AS 'dbperf', 'dbperf_pool_guard_counts' LANGUAGE C;
SELECT * FROM old_guard_counts();
DROP FUNCTION old_guard_counts();
SELECT * FROM old_findings();
SELECT * FROM old_drops('0');
SELECT * FROM old_what_if('SELECT 1 FROM pg_class', '{}', '{}');
DROP FUNCTION old_findings(), old_drops(interval), old_what_if(text, text[], text[]);
