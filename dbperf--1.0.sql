/* dbperf--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION dbperf CASCADE" to load this file. \quit

-- A schema made here belongs to the extension: DROP EXTENSION drops it.
CREATE SCHEMA dbperf;

-- Everybody may look; each object says below what exactly is shown to whom.
REVOKE ALL ON SCHEMA dbperf FROM PUBLIC;
GRANT USAGE ON SCHEMA dbperf TO PUBLIC;
COMMENT ON SCHEMA dbperf IS
'slow statements with parameters, plans and percentiles';

--
-- monitor: slow statements
--

CREATE FUNCTION dbperf.slow_queries(
    first_id bigint DEFAULT 1,
    last_id bigint DEFAULT 9223372036854775807,
    OUT id bigint,
    OUT started_at timestamptz,
    OUT duration_ms float8,
    OUT pre_execution_ms float8,
    OUT planning_ms float8,
    OUT database_name name,
    OUT user_name name,
    OUT application_name text,
    OUT client_addr inet,
    OUT pid int,
    OUT queryid bigint,
    OUT plan_id bigint,
    OUT level int,
    OUT parent_queryid bigint,
    OUT command text,
    OUT query text,
    OUT query_length int,
    OUT parameters text[],
    OUT plan text,
    OUT rows bigint,
    OUT shared_blks_hit bigint,
    OUT shared_blks_read bigint,
    OUT shared_blks_dirtied bigint,
    OUT shared_blks_written bigint,
    OUT local_blks_hit bigint,
    OUT local_blks_read bigint,
    OUT local_blks_dirtied bigint,
    OUT local_blks_written bigint,
    OUT temp_blks_read bigint,
    OUT temp_blks_written bigint,
    OUT blk_read_ms float8,
    OUT blk_write_ms float8,
    OUT wal_records bigint,
    OUT wal_bytes bigint,
    OUT jit_ms float8,
    OUT cpu_ms float8,
    OUT waits jsonb,
    OUT blocked_by int[],
    OUT sqlstate text,
    OUT tags jsonb
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_slow_queries'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.slow_queries(bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.slow_queries(bigint, bigint) TO PUBLIC;
COMMENT ON FUNCTION dbperf.slow_queries(bigint, bigint) IS
'the rows of the view slow_queries with ids in this range';

CREATE VIEW dbperf.slow_queries AS
    SELECT * FROM dbperf.slow_queries();
REVOKE ALL ON dbperf.slow_queries FROM PUBLIC;
GRANT SELECT ON dbperf.slow_queries TO PUBLIC;
COMMENT ON VIEW dbperf.slow_queries IS
'statements that took longer than dbperf.slow_query_min_duration, newest first; what other roles sent is shown to members of pg_read_all_stats only';

CREATE FUNCTION dbperf.slow_queries_reset()
RETURNS void
AS 'MODULE_PATHNAME', 'dbperf_slow_queries_reset'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.slow_queries_reset() FROM PUBLIC;
COMMENT ON FUNCTION dbperf.slow_queries_reset() IS
'removes all records from slow_queries; ids and the counts of monitor_status go on';

CREATE TABLE dbperf.slow_query_history (
    ring_start timestamptz NOT NULL,
    LIKE dbperf.slow_queries,
    lost bigint,
    recorded_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (ring_start, id)
);
REVOKE ALL ON dbperf.slow_query_history FROM PUBLIC;
GRANT SELECT ON dbperf.slow_query_history TO pg_read_all_stats;
SELECT pg_catalog.pg_extension_config_dump('dbperf.slow_query_history', '');
COMMENT ON TABLE dbperf.slow_query_history IS
'records of slow_queries of all databases, kept for dbperf.slow_query_history_retention; filled in dbperf.database only';

--
-- monitor: latencies
--

CREATE FUNCTION dbperf.query_latency(
    OUT queryid bigint,
    OUT database_name name,
    OUT user_name name,
    OUT toplevel bool,
    OUT calls bigint,
    OUT errors bigint,
    OUT total_ms float8,
    OUT mean_ms float8,
    OUT min_ms float8,
    OUT p50_ms float8,
    OUT p90_ms float8,
    OUT p95_ms float8,
    OUT p99_ms float8,
    OUT max_ms float8,
    OUT period text
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_query_latency'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.query_latency() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.query_latency() TO PUBLIC;
COMMENT ON FUNCTION dbperf.query_latency() IS
'calls, errors and latency percentiles of every query, for the lifetime and the last two windows';

CREATE VIEW dbperf.query_latency AS
    SELECT * FROM dbperf.query_latency();
REVOKE ALL ON dbperf.query_latency FROM PUBLIC;
GRANT SELECT ON dbperf.query_latency TO PUBLIC;
COMMENT ON VIEW dbperf.query_latency IS
'calls, errors and latency percentiles of every query, for the lifetime and the last two windows; the row without a database is the sum of queries that had to make room';

CREATE FUNCTION dbperf.latency_percentile(queryid bigint, fraction float8)
RETURNS float8
AS 'MODULE_PATHNAME', 'dbperf_latency_percentile_of_query'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.latency_percentile(bigint, float8) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.latency_percentile(bigint, float8) TO PUBLIC;
COMMENT ON FUNCTION dbperf.latency_percentile(bigint, float8) IS
'milliseconds that this fraction (0 to 1) of a query''s executions in the current database did not exceed; null for a query that is not known to the caller';

CREATE FUNCTION dbperf.workload_percentile(
    fraction float8,
    database_name name DEFAULT pg_catalog.current_database(),
    period text DEFAULT 'lifetime'
)
RETURNS float8
AS 'MODULE_PATHNAME', 'dbperf_workload_percentile'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.workload_percentile(float8, name, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.workload_percentile(float8, name, text) TO PUBLIC;
COMMENT ON FUNCTION dbperf.workload_percentile(float8, name, text) IS
'milliseconds that this fraction (0 to 1) of all statements which clients sent to a database did not exceed';

CREATE FUNCTION dbperf.query_latency_reset(
    queryid bigint DEFAULT NULL,
    database_name name DEFAULT NULL
)
RETURNS bigint
AS 'MODULE_PATHNAME', 'dbperf_query_latency_reset'
LANGUAGE C VOLATILE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.query_latency_reset(bigint, name) FROM PUBLIC;
COMMENT ON FUNCTION dbperf.query_latency_reset(bigint, name) IS
'forgets latencies and samples of one query or all (null), in one database or all (null); returns how many histograms were removed';

--
-- monitor: samples
--

CREATE FUNCTION dbperf.query_samples(
    OUT queryid bigint,
    OUT database_name name,
    OUT user_name name,
    OUT toplevel bool,
    OUT taken_at timestamptz,
    OUT query text,
    OUT query_length int,
    OUT parameter_types oid[],
    OUT parameters text[],
    OUT search_path oid[]
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_query_samples'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.query_samples() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.query_samples() TO PUBLIC;
COMMENT ON FUNCTION dbperf.query_samples() IS
'the first execution of every query; oids are those of the query''s own database';

CREATE VIEW dbperf.query_samples AS
    SELECT s.queryid, s.database_name, s.user_name, s.toplevel, s.taken_at,
           s.query, s.query_length,
           -- elsewhere the oids may mean other types
           CASE WHEN s.database_name = pg_catalog.current_database()
                THEN s.parameter_types::pg_catalog.regtype[]
           END AS parameter_types,
           s.parameters, s.search_path
      FROM dbperf.query_samples() AS s;
REVOKE ALL ON dbperf.query_samples FROM PUBLIC;
GRANT SELECT ON dbperf.query_samples TO PUBLIC;
COMMENT ON VIEW dbperf.query_samples IS
'the first execution of every query: its text as it was sent, its parameters and the schemas of its search_path; what other roles sent is shown to members of pg_read_all_stats only';

--
-- monitor: statements that run now
--

CREATE FUNCTION dbperf.running_statements(
    OUT pid int,
    OUT started_at timestamptz,
    OUT queryid bigint,
    OUT plan text
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_running_statements'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.running_statements() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.running_statements() TO PUBLIC;
COMMENT ON FUNCTION dbperf.running_statements() IS
'what dbperf knows of the statements that run now; see the view running_queries';

CREATE FUNCTION dbperf.mask_query(query text)
RETURNS text
AS 'MODULE_PATHNAME', 'dbperf_mask_query_text'
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.mask_query(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.mask_query(text) TO PUBLIC;
COMMENT ON FUNCTION dbperf.mask_query(text) IS
'the statement without passwords, and without literals if dbperf.redact says so';

CREATE VIEW dbperf.running_queries AS
    SELECT a.pid,
           COALESCE(r.started_at, a.query_start) AS started_at,
           extract(epoch FROM pg_catalog.clock_timestamp() -
                   COALESCE(r.started_at, a.query_start))::float8 * 1000::float8 AS elapsed_ms,
           COALESCE(r.queryid, a.query_id) AS queryid,
           dbperf.mask_query(a.query) AS query,
           r.plan,
           a.wait_event_type || ':' || a.wait_event AS waits,
           -- this looks at all locks, so ask only about those that wait for one
           CASE WHEN a.wait_event_type = 'Lock'
                THEN pg_catalog.pg_blocking_pids(a.pid)
           END AS blocked_by,
           a.datname AS database_name,
           a.usename AS user_name,
           a.application_name
      FROM pg_catalog.pg_stat_activity AS a
           LEFT JOIN dbperf.running_statements() AS r ON r.pid = a.pid
           -- the state of other roles' sessions is not always shown
     WHERE r.pid IS NOT NULL
        OR (a.backend_type = 'client backend' AND
            a.state IN ('active', 'fastpath function call'));
REVOKE ALL ON dbperf.running_queries FROM PUBLIC;
GRANT SELECT ON dbperf.running_queries TO PUBLIC;
COMMENT ON VIEW dbperf.running_queries IS
'statements that run now, this one included, with the plan of expensive ones; what other roles sent is shown to members of pg_read_all_stats only';

--
-- monitor: how it is doing
--

CREATE FUNCTION dbperf.monitor_status(
    OUT statements bigint,
    OUT records_written bigint,
    OUT records_overwritten bigint,
    OUT dropped_busy bigint,
    OUT dropped_too_large bigint,
    OUT dropped_memory bigint,
    OUT skipped_flood bigint,
    OUT degraded_memory bigint,
    OUT degraded_error bigint,
    OUT degraded_parallel bigint,
    OUT torn_reads bigint,
    OUT ring_bytes bigint,
    OUT ring_bytes_used bigint,
    OUT ring_entries bigint,
    OUT next_id bigint,
    OUT ring_start timestamptz,
    OUT oldest_record timestamptz,
    OUT queries_tracked bigint,
    OUT queries_evicted bigint,
    OUT samples_refused bigint,
    OUT history_state text,
    OUT history_state_since timestamptz,
    OUT history_rows_written bigint,
    OUT history_records_lost bigint,
    OUT history_last_id bigint,
    OUT history_bytes bigint
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_monitor_status'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 1;
REVOKE ALL ON FUNCTION dbperf.monitor_status() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.monitor_status() TO PUBLIC;
COMMENT ON FUNCTION dbperf.monitor_status() IS
'what became of the statements over the threshold: statements = records_written + dropped + skipped';

CREATE VIEW dbperf.monitor_status AS
    SELECT * FROM dbperf.monitor_status();
REVOKE ALL ON dbperf.monitor_status FROM PUBLIC;
GRANT SELECT ON dbperf.monitor_status TO PUBLIC;
COMMENT ON VIEW dbperf.monitor_status IS
'what became of the statements over the threshold, how full the ring is, and how the history''s writer does';

--
-- advisor: what-if plans
--

CREATE FUNCTION dbperf.what_if(
    query text,
    create_indexes text[] DEFAULT '{}',
    drop_indexes text[] DEFAULT '{}',
    OUT cost_before float8,
    OUT cost_after float8,
    OUT plan_before text,
    OUT plan_after text,
    OUT used_indexes text[]
)
RETURNS record
AS 'MODULE_PATHNAME', 'dbperf_what_if'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.what_if(text, text[], text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.what_if(text, text[], text[]) TO PUBLIC;
COMMENT ON FUNCTION dbperf.what_if(text, text[], text[]) IS
'plans a statement as if these CREATE INDEX statements had been run and these indexes were gone; creates and drops nothing';

CREATE FUNCTION dbperf.estimate_index_size(create_index text)
RETURNS bigint
AS 'MODULE_PATHNAME', 'dbperf_estimate_index_size'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.estimate_index_size(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.estimate_index_size(text) TO PUBLIC;
COMMENT ON FUNCTION dbperf.estimate_index_size(text) IS
'bytes that the index of this CREATE INDEX statement would have; of a partitioned table, all of its partitions';

--
-- advisor: which indexes to create
--

CREATE FUNCTION dbperf.suggest_indexes(
    queries text[] DEFAULT NULL,
    storage_budget bigint DEFAULT NULL,
    max_indexes int DEFAULT 20,
    min_improvement float8 DEFAULT 0.01,
    time_limit interval DEFAULT '30 s',
    OUT rank int,
    OUT table_name text,
    OUT ddl text,
    OUT index_size bigint,
    OUT benefit_pct float8,
    OUT cost_before float8,
    OUT cost_after float8,
    OUT write_overhead_pct float8,
    OUT queries bigint[],
    OUT reason text
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_suggest_indexes'
LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;
REVOKE ALL ON FUNCTION dbperf.suggest_indexes(text[], bigint, int, float8, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.suggest_indexes(text[], bigint, int, float8, interval) TO PUBLIC;
COMMENT ON FUNCTION dbperf.suggest_indexes(text[], bigint, int, float8, interval) IS
'indexes that would make these statements, or without any the recorded workload of this database, cheaper; best first';

CREATE FUNCTION dbperf.index_candidates(
    queries text[] DEFAULT NULL,
    storage_budget bigint DEFAULT NULL,
    max_indexes int DEFAULT 20,
    min_improvement float8 DEFAULT 0.01,
    time_limit interval DEFAULT '30 s',
    OUT table_name text,
    OUT ddl text,
    OUT index_size bigint,
    OUT verdict text,
    OUT reason text,
    OUT benefit_pct float8,
    OUT queries bigint[]
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_index_candidates'
LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 100;
REVOKE ALL ON FUNCTION dbperf.index_candidates(text[], bigint, int, float8, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.index_candidates(text[], bigint, int, float8, interval) TO PUBLIC;
COMMENT ON FUNCTION dbperf.index_candidates(text[], bigint, int, float8, interval) IS
'everything that suggest_indexes looked at, with its verdict and the reason; and the statements that could not be analysed';

--
-- advisor: how much of the workload the indexes cover
--

CREATE FUNCTION dbperf.predicate_coverage(
    queries text[] DEFAULT NULL,
    time_limit interval DEFAULT '10 s',
    OUT queryid bigint,
    OUT table_name text,
    OUT predicate text,
    OUT kind text,
    OUT weight float8,
    OUT covered bool,
    OUT suggestion text
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_predicate_coverage'
LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 100;
REVOKE ALL ON FUNCTION dbperf.predicate_coverage(text[], interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.predicate_coverage(text[], interval) TO PUBLIC;
COMMENT ON FUNCTION dbperf.predicate_coverage(text[], interval) IS
'what each statement (null: of the recorded workload, as far as the caller may see it) asks of its tables and whether an existing index serves it (covered) or a proposed one would (suggestion); what no index can help is left out, and so are statements that time_limit does not suffice for; weight is the statement''s share of the workload';

CREATE VIEW dbperf.index_coverage AS
    SELECT c.table_name,
           pg_catalog.count(DISTINCT (c.predicate, c.kind)) AS predicates,
           pg_catalog.sum(c.weight) AS weight,
           COALESCE(pg_catalog.sum(c.weight) FILTER (WHERE c.covered), 0) AS covered_weight,
           100 * COALESCE(pg_catalog.sum(c.weight) FILTER (WHERE c.covered), 0) /
           NULLIF(pg_catalog.sum(c.weight), 0) AS coverage_pct
      FROM dbperf.predicate_coverage() AS c
     GROUP BY c.table_name;
REVOKE ALL ON dbperf.index_coverage FROM PUBLIC;
GRANT SELECT ON dbperf.index_coverage TO PUBLIC;
COMMENT ON VIEW dbperf.index_coverage IS
'per table: the predicates of the recorded workload that an index serves or could serve, and which part of them, by weight, existing indexes do serve; each query takes up to 10 s';

CREATE VIEW dbperf.index_coverage_queries AS
    SELECT c.queryid,
           pg_catalog.count(*) AS predicates,
           pg_catalog.count(*) FILTER (WHERE c.covered) AS covered_predicates,
           100 * pg_catalog.count(*) FILTER (WHERE c.covered)::float8 /
           pg_catalog.count(*)::float8 AS coverage_pct
      FROM dbperf.predicate_coverage() AS c
     GROUP BY c.queryid;
REVOKE ALL ON dbperf.index_coverage_queries FROM PUBLIC;
GRANT SELECT ON dbperf.index_coverage_queries TO PUBLIC;
COMMENT ON VIEW dbperf.index_coverage_queries IS
'per query: how many of its predicates that an index serves or could serve are served by existing indexes; each query takes up to 10 s';

CREATE VIEW dbperf.index_coverage_total AS
    SELECT pg_catalog.count(DISTINCT (c.table_name, c.predicate, c.kind)) AS predicates,
           COALESCE(pg_catalog.sum(c.weight), 0) AS weight,
           COALESCE(pg_catalog.sum(c.weight) FILTER (WHERE c.covered), 0) AS covered_weight,
           100 * COALESCE(pg_catalog.sum(c.weight) FILTER (WHERE c.covered), 0) /
           NULLIF(pg_catalog.sum(c.weight), 0) AS coverage_pct
      FROM dbperf.predicate_coverage() AS c;
REVOKE ALL ON dbperf.index_coverage_total FROM PUBLIC;
GRANT SELECT ON dbperf.index_coverage_total TO PUBLIC;
COMMENT ON VIEW dbperf.index_coverage_total IS
'the same for all tables; coverage_pct is null while there is nothing that an index serves or could serve';

CREATE FUNCTION dbperf.uncovered_predicates(
    queries text[] DEFAULT NULL,
    time_limit interval DEFAULT '10 s',
    OUT table_name text,
    OUT predicate text,
    OUT kind text,
    OUT weight float8,
    OUT queries bigint[],
    OUT suggestion text
)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE ROWS 100
BEGIN ATOMIC
    SELECT c.table_name, c.predicate, c.kind, pg_catalog.sum(c.weight),
           pg_catalog.array_agg(DISTINCT c.queryid),
           pg_catalog.min(c.suggestion)
      FROM dbperf.predicate_coverage($1, $2) AS c
     WHERE NOT c.covered
     GROUP BY c.table_name, c.predicate, c.kind
     ORDER BY 4 DESC, 1, 2, 3;
END;
REVOKE ALL ON FUNCTION dbperf.uncovered_predicates(text[], interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.uncovered_predicates(text[], interval) TO PUBLIC;
COMMENT ON FUNCTION dbperf.uncovered_predicates(text[], interval) IS
'predicates that no existing index serves but a proposed one would, with the queries that have them; the largest weight first';

--
-- advisor: indexes that nobody needs, and other findings
--

CREATE FUNCTION dbperf.suggest_index_drops(
    min_stats_age interval DEFAULT '7 days',
    OUT index_name text,
    OUT table_name text,
    OUT reason text,
    OUT replaced_by text,
    OUT index_size bigint,
    OUT scans bigint,
    OUT stats_age interval,
    OUT cost_change_pct float8,
    OUT ddl text
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_suggest_index_drops'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.suggest_index_drops(interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.suggest_index_drops(interval) TO PUBLIC;
COMMENT ON FUNCTION dbperf.suggest_index_drops(interval) IS
'indexes that nobody needs: duplicates, prefixes of others, those without a scan for at least min_stats_age, and INVALID leftovers; of tables that the caller owns or may read';

CREATE FUNCTION dbperf.index_findings(
    OUT kind text,
    OUT table_name text,
    OUT index_name text,
    OUT finding text,
    OUT ddl text
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_index_findings'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.index_findings() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.index_findings() TO PUBLIC;
COMMENT ON FUNCTION dbperf.index_findings() IS
'the rows of the view index_findings';

CREATE VIEW dbperf.index_findings AS
    SELECT * FROM dbperf.index_findings();
REVOKE ALL ON dbperf.index_findings FROM PUBLIC;
GRANT SELECT ON dbperf.index_findings TO PUBLIC;
COMMENT ON VIEW dbperf.index_findings IS
'what is wrong or costly about indexes whatever the workload is: INVALID leftovers, foreign keys without an index, tables never analyzed, indexes that each refresh of a materialized view rebuilds; of tables that the caller owns or may read';
