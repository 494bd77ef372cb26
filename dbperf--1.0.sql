/* dbperf--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION dbperf CASCADE" to load this file. \quit

-- A schema made here belongs to the extension: DROP EXTENSION drops it.
CREATE SCHEMA dbperf;

-- Everybody may look; each object says below what exactly is shown to whom.
REVOKE ALL ON SCHEMA dbperf FROM PUBLIC;
GRANT USAGE ON SCHEMA dbperf TO PUBLIC;
COMMENT ON SCHEMA dbperf IS
'slow statements with parameters, plans and percentiles, index advice, and maintenance';

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
    OUT plans_refused bigint,
    OUT plans_merged bigint,
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
    OUT suggestion text,
    OUT complete bool
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_predicate_coverage'
LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 100;
REVOKE ALL ON FUNCTION dbperf.predicate_coverage(text[], interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.predicate_coverage(text[], interval) TO PUBLIC;
COMMENT ON FUNCTION dbperf.predicate_coverage(text[], interval) IS
'what each statement (null: of the recorded workload, as far as the caller may see it) asks of its tables and whether an existing index serves it (covered) or a proposed one would (suggestion); what no index can help is left out, and so is what time_limit does not suffice for, in which case there is a notice, and complete is false in all rows; weight is the statement''s share of the workload';

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
    OUT ddl text,
    OUT verdict text,
    OUT evidence text,
    OUT untried int
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_suggest_index_drops'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.suggest_index_drops(interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.suggest_index_drops(interval) TO PUBLIC;
COMMENT ON FUNCTION dbperf.suggest_index_drops(interval) IS
'indexes that nobody needs: duplicates, prefixes of others, those without a scan for at least min_stats_age, and INVALID leftovers; of tables that the caller owns or may read. verdict: drop; keep, since a replica that is a node uses it; unknown, since some replica was not asked or has not counted for long enough; evidence says who was asked, and ddl is null unless the verdict is drop. untried: recorded statements that could not be tried without the index; null if only those of the caller were looked at';

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

--
-- advisor: the advice that is kept
--

CREATE TABLE dbperf.index_advice (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    schema_name name NOT NULL,
    table_name name NOT NULL,
    access_method name NOT NULL,
    key_columns text[] NOT NULL,
    include_columns text[] NOT NULL DEFAULT '{}',
    predicate text,
    identity text NOT NULL,
    ddl text NOT NULL,
    index_size bigint,
    benefit_pct float8,
    write_overhead_pct float8,
    queries bigint[],
    reason text,
    first_seen timestamptz NOT NULL DEFAULT pg_catalog.now(),
    last_seen timestamptz NOT NULL DEFAULT pg_catalog.now(),
    times_seen bigint NOT NULL DEFAULT 1,
    times_missed int NOT NULL DEFAULT 0,
    status text NOT NULL DEFAULT 'open',
    status_since timestamptz NOT NULL DEFAULT pg_catalog.now(),
    last_error text,
    index_name name,
    build_started_at timestamptz,
    applied_at timestamptz,
    verdict text,
    verdict_detail text,
    drop_ddl text,
    CONSTRAINT index_advice_status_check CHECK
        (status IN ('open', 'building', 'applied', 'failed', 'dismissed', 'obsolete')),
    CONSTRAINT index_advice_verdict_check CHECK
        (verdict IN ('improved', 'neutral', 'worse', 'inconclusive'))
);
-- a definition can be too long for an index entry
CREATE UNIQUE INDEX index_advice_identity ON dbperf.index_advice (pg_catalog.md5(identity));
REVOKE ALL ON dbperf.index_advice FROM PUBLIC;
GRANT SELECT ON dbperf.index_advice TO pg_read_all_stats;
SELECT pg_catalog.pg_extension_config_dump('dbperf.index_advice', '');
SELECT pg_catalog.pg_extension_config_dump('dbperf.index_advice_id_seq', '');
COMMENT ON SEQUENCE dbperf.index_advice_id_seq IS
'ids of index_advice';
COMMENT ON TABLE dbperf.index_advice IS
'indexes that were proposed, each definition once, and what became of them; kept by a worker every dbperf.advisor_interval';
COMMENT ON COLUMN dbperf.index_advice.identity IS 'the definition: what makes it the same advice when it is seen again';
COMMENT ON COLUMN dbperf.index_advice.ddl IS 'statements to run by hand, one a line';
COMMENT ON COLUMN dbperf.index_advice.times_missed IS 'refreshes in a row that did not propose it';
COMMENT ON COLUMN dbperf.index_advice.status IS
'open, building (also: waiting for that), applied (the index exists), failed, dismissed, obsolete (its table or columns are gone, or it was not proposed any more)';
COMMENT ON COLUMN dbperf.index_advice.verdict IS
'how the table''s queries did afterwards: improved, neutral, worse or inconclusive; null = not judged yet';
COMMENT ON COLUMN dbperf.index_advice.drop_ddl IS 'how to drop the index, where the verdict is worse';

-- One row: the last run of the advisor in this database.
CREATE TABLE dbperf.advisor_runs (
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    statements bigint,
    statements_failed bigint,
    advice bigint,
    complete bool,
    last_error text
);
CREATE UNIQUE INDEX advisor_runs_one_row ON dbperf.advisor_runs ((true));
REVOKE ALL ON dbperf.advisor_runs FROM PUBLIC;
GRANT SELECT ON dbperf.advisor_runs TO pg_read_all_stats;
COMMENT ON TABLE dbperf.advisor_runs IS
'the last run of the advisor in this database; the view advisor_status has all databases';

CREATE FUNCTION dbperf.advisor_status(
    OUT database_name name,
    OUT running bool,
    OUT last_run_at timestamptz,
    OUT duration_ms float8,
    OUT statements bigint,
    OUT statements_failed bigint,
    OUT advice bigint,
    OUT complete bool,
    OUT last_error text,
    OUT next_run_at timestamptz
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_advisor_status'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.advisor_status() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.advisor_status() TO pg_read_all_stats;
COMMENT ON FUNCTION dbperf.advisor_status() IS
'see the view advisor_status';

CREATE VIEW dbperf.advisor_status AS
    SELECT * FROM dbperf.advisor_status();
REVOKE ALL ON dbperf.advisor_status FROM PUBLIC;
GRANT SELECT ON dbperf.advisor_status TO pg_read_all_stats;
COMMENT ON VIEW dbperf.advisor_status IS
'the advisor''s last run in each database that it has visited, and when the next one is due';

CREATE FUNCTION dbperf.refresh_index_advice()
RETURNS int
AS 'MODULE_PATHNAME', 'dbperf_refresh_index_advice'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.refresh_index_advice() FROM PUBLIC;
COMMENT ON FUNCTION dbperf.refresh_index_advice() IS
'runs the advisor on the recorded workload of this database now and brings index_advice up to date; returns how many indexes it proposes';

CREATE FUNCTION dbperf.dismiss_index_advice(id bigint)
RETURNS void
AS 'MODULE_PATHNAME', 'dbperf_dismiss_index_advice'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.dismiss_index_advice(bigint) FROM PUBLIC;
COMMENT ON FUNCTION dbperf.dismiss_index_advice(bigint) IS
'turns advice down for good: it stays dismissed when it is seen again';

CREATE FUNCTION dbperf.undismiss_index_advice(id bigint)
RETURNS void
AS 'MODULE_PATHNAME', 'dbperf_undismiss_index_advice'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.undismiss_index_advice(bigint) FROM PUBLIC;
COMMENT ON FUNCTION dbperf.undismiss_index_advice(bigint) IS
'makes dismissed advice open again';

CREATE FUNCTION dbperf.export_index_advice()
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT '-- Indexes proposed for database ' || quote_ident(current_database()) || ', '
           || to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC.' || E'\n'
           || E'-- CREATE INDEX CONCURRENTLY cannot run inside a transaction block: do not run this\n'
           || E'-- with psql''s --single-transaction.  If a statement fails, drop the INVALID index\n'
           || E'-- that it leaves before running it again.\n'
           || coalesce(string_agg(
                E'\n-- advice ' || a.id || ' on '
                || regexp_replace(format('%I.%I', a.schema_name, a.table_name), '[[:space:]]', ' ', 'g') || ': '
                || coalesce('saves ' || round(a.benefit_pct::numeric, 1) || ' % of the workload''s cost, ', '')
                || coalesce('about ' || pg_size_pretty(a.index_size) || ', ', '')
                || CASE WHEN a.write_overhead_pct >= 1
                        THEN 'makes writing a row ' || round(a.write_overhead_pct::numeric) || ' % dearer, '
                        ELSE '' END
                || 'seen ' || a.times_seen || ' times since '
                || to_char(a.first_seen AT TIME ZONE 'UTC', 'YYYY-MM-DD') || E'\n'
                -- no line break gets a text out of its comment
                || coalesce('-- ' || regexp_replace(a.reason, '[[:space:]]+', ' ', 'g') || E'\n', '')
                || a.ddl || E'\n',
                '' ORDER BY a.benefit_pct DESC NULLS LAST, a.id),
              E'\n-- There is no open advice.\n')
      FROM dbperf.index_advice AS a
     WHERE a.status = 'open'
$$;
REVOKE ALL ON FUNCTION dbperf.export_index_advice() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.export_index_advice() TO pg_read_all_stats;
COMMENT ON FUNCTION dbperf.export_index_advice() IS
'the open advice as a migration script with comments';

--
-- advisor: building indexes
--

-- Builds that somebody asked for, and INVALID indexes that are to be dropped.
CREATE TABLE dbperf.index_build_queue (
    id bigint PRIMARY KEY,
    cleanup bool NOT NULL DEFAULT false,
    role_id oid NOT NULL,
    session_role_id oid NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    started_at timestamptz,
    not_before timestamptz,
    attempts int NOT NULL DEFAULT 0,
    schema_name name,
    table_name name,
    index_name name
);
REVOKE ALL ON dbperf.index_build_queue FROM PUBLIC;
GRANT SELECT ON dbperf.index_build_queue TO pg_read_all_stats;
COMMENT ON TABLE dbperf.index_build_queue IS
'what the index build worker of this database has to do; see the view index_builds';

CREATE FUNCTION dbperf.apply_index_advice(id bigint)
RETURNS void
AS 'MODULE_PATHNAME', 'dbperf_apply_index_advice'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.apply_index_advice(bigint) FROM PUBLIC;
COMMENT ON FUNCTION dbperf.apply_index_advice(bigint) IS
'has a worker build the index, concurrently and with the caller''s rights, once the transaction has committed';

CREATE FUNCTION dbperf.cancel_index_build(id bigint)
RETURNS void
AS 'MODULE_PATHNAME', 'dbperf_cancel_index_build'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.cancel_index_build(bigint) FROM PUBLIC;
COMMENT ON FUNCTION dbperf.cancel_index_build(bigint) IS
'ends a build: one that has begun becomes failed and its index is dropped, one that waits goes back to open';

CREATE FUNCTION dbperf.index_builds(
    OUT database_name name,
    OUT id bigint,
    OUT table_name text,
    OUT index_name name,
    OUT role_name name,
    OUT pid int,
    OUT state text,
    OUT requested_at timestamptz,
    OUT started_at timestamptz,
    OUT index_size bigint,
    OUT table_size bigint,
    OUT free_bytes bigint,
    OUT partitions_done int,
    OUT partitions_total int,
    OUT canceled_by name
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_index_builds'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.index_builds() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.index_builds() TO pg_read_all_stats;
COMMENT ON FUNCTION dbperf.index_builds() IS
'the builds that run now in any database; the view index_builds adds their progress and those that wait';

CREATE FUNCTION dbperf.free_disk_space(tablespace oid DEFAULT 0)
RETURNS bigint
AS 'MODULE_PATHNAME', 'dbperf_free_disk_space'
LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
REVOKE ALL ON FUNCTION dbperf.free_disk_space(oid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.free_disk_space(oid) TO pg_read_all_stats;
COMMENT ON FUNCTION dbperf.free_disk_space(oid) IS
'bytes that the server may still use where a tablespace is; 0 = where new indexes of this session go';

CREATE VIEW dbperf.index_builds AS
    SELECT b.database_name, b.id, b.table_name, b.index_name, b.role_name, b.pid, b.state,
           p.phase,
           CASE WHEN p.blocks_total > 0
                THEN pg_catalog.round(100.0 * p.blocks_done / p.blocks_total, 1)
                WHEN p.tuples_total > 0
                THEN pg_catalog.round(100.0 * p.tuples_done / p.tuples_total, 1)
                WHEN p.lockers_total > 0
                THEN pg_catalog.round(100.0 * p.lockers_done / p.lockers_total, 1)
           END AS phase_pct,
           pg_catalog.pg_blocking_pids(b.pid) AS waits_for,
           b.partitions_done, b.partitions_total,
           b.requested_at, b.started_at,
           -- only roughly: 60 MB of table a second are read (twice), 30 MB of index
           -- written; a busy machine took 3 s and 17 s where this says 8 s and 10 s
           pg_catalog.make_interval(secs => (2 * b.table_size / 60e6 + b.index_size / 30e6)) AS estimated_time,
           b.index_size, b.table_size, b.free_bytes, b.canceled_by
      FROM dbperf.index_builds() AS b
           LEFT JOIN pg_catalog.pg_stat_progress_create_index AS p ON p.pid = b.pid
    UNION ALL
    SELECT pg_catalog.current_database(), q.id,
           pg_catalog.format('%I.%I', COALESCE(q.schema_name, a.schema_name),
                             COALESCE(q.table_name, a.table_name)),
           q.index_name, pg_catalog.pg_get_userbyid(q.role_id), NULL,
           CASE WHEN q.cleanup THEN 'cleanup queued' ELSE 'queued' END,
           NULL, NULL, NULL, NULL, NULL, q.requested_at, NULL, NULL,
           a.index_size, NULL, dbperf.free_disk_space(), NULL
      FROM dbperf.index_build_queue AS q
           LEFT JOIN dbperf.index_advice AS a ON a.id = q.id
     WHERE NOT EXISTS (SELECT FROM dbperf.index_builds() AS b
                        WHERE b.id = q.id
                          AND b.database_name = pg_catalog.current_database());
REVOKE ALL ON dbperf.index_builds FROM PUBLIC;
GRANT SELECT ON dbperf.index_builds TO pg_read_all_stats;
COMMENT ON VIEW dbperf.index_builds IS
'index builds that run, in any database, and those that wait in this one; waits_for are the sessions that block it';

--
-- advisor: judging what was built
--

CREATE TABLE dbperf.index_advice_measurements (
    queryid bigint NOT NULL,
    taken_at timestamptz NOT NULL,
    calls bigint NOT NULL,
    total_ms float8 NOT NULL,
    tables text[] NOT NULL,
    PRIMARY KEY (queryid, taken_at)
);
REVOKE ALL ON dbperf.index_advice_measurements FROM PUBLIC;
GRANT SELECT ON dbperf.index_advice_measurements TO pg_read_all_stats;
COMMENT ON TABLE dbperf.index_advice_measurements IS
'calls and time of each query since its statistics began, hourly and around each index build, and the tables it uses; kept for 15 days';

CREATE FUNCTION dbperf.judge_index_advice(
    id bigint,
    at_time timestamptz DEFAULT pg_catalog.now(),
    OUT verdict text,
    OUT detail text,
    OUT calls_before bigint,
    OUT calls_after bigint,
    OUT ratio float8,
    OUT control_ratio float8
)
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH advice AS (
        SELECT format('%I.%I', a.schema_name, a.table_name) AS table_name,
               a.build_started_at, a.applied_at
          FROM dbperf.index_advice AS a
         WHERE a.id = $1 AND a.status = 'applied'
    ), measured AS (
        SELECT m.queryid, m.tables, m.taken_at, m.calls, m.total_ms,
               lag(m.taken_at) OVER w AS from_at,
               lag(m.calls) OVER w AS old_calls,
               lag(m.total_ms) OVER w AS old_ms
          FROM dbperf.index_advice_measurements AS m
         WHERE m.taken_at <= $2
        WINDOW w AS (PARTITION BY m.queryid ORDER BY m.taken_at)
    ), periods AS (
        -- counters that went back began anew
        SELECT m.queryid, a.table_name = ANY (m.tables) AS on_table,
               extract(hour FROM m.from_at AT TIME ZONE 'UTC') AS hour,
               m.taken_at > a.applied_at AS after,
               CASE WHEN m.calls >= m.old_calls THEN m.calls - m.old_calls ELSE m.calls END AS calls,
               CASE WHEN m.calls >= m.old_calls THEN m.total_ms - m.old_ms ELSE m.total_ms END AS ms
          FROM measured AS m, advice AS a
         WHERE m.taken_at - m.from_at <= interval '2 hours'
           AND (m.taken_at <= a.build_started_at AND m.from_at >= a.build_started_at - interval '7 days'
                OR m.from_at >= a.applied_at AND m.taken_at <= a.applied_at + interval '7 days')
    ), cells AS (
        -- only queries and hours of the day that are on both sides
        SELECT p.on_table,
               sum(p.calls) FILTER (WHERE NOT p.after) AS calls_before,
               sum(p.calls) FILTER (WHERE p.after) AS calls_after,
               sum(p.ms) FILTER (WHERE NOT p.after) AS ms_before,
               sum(p.ms) FILTER (WHERE p.after) AS ms_after
          FROM periods AS p
         GROUP BY p.on_table, p.queryid, p.hour
        HAVING sum(p.calls) FILTER (WHERE NOT p.after) > 0
           AND sum(p.calls) FILTER (WHERE p.after) > 0
    ), sums AS (
        -- what the calls after would have taken before, against what they took
        SELECT COALESCE(sum(c.calls_before) FILTER (WHERE c.on_table), 0)::bigint AS calls_before,
               COALESCE(sum(c.calls_after) FILTER (WHERE c.on_table), 0)::bigint AS calls_after,
               sum(c.ms_after) FILTER (WHERE c.on_table) /
               nullif(sum(c.calls_after * c.ms_before / c.calls_before) FILTER (WHERE c.on_table), 0)
                   AS ratio,
               CASE WHEN least(sum(c.calls_before) FILTER (WHERE NOT c.on_table),
                               sum(c.calls_after) FILTER (WHERE NOT c.on_table)) >= 200
                    THEN sum(c.ms_after) FILTER (WHERE NOT c.on_table) /
                         nullif(sum(c.calls_after * c.ms_before / c.calls_before)
                                FILTER (WHERE NOT c.on_table), 0)
               END AS control_ratio
          FROM cells AS c
    ), judged AS (
        SELECT s.*, a.applied_at,
               least(s.calls_before, s.calls_after) >= 200 AND s.ratio IS NOT NULL AS enough,
               s.ratio / COALESCE(nullif(s.control_ratio, 0), 1) AS change
          FROM sums AS s, advice AS a
    )
    SELECT CASE WHEN j.enough AND j.change < 0.8 THEN 'improved'
                WHEN j.enough AND j.change > 1.25 THEN 'worse'
                WHEN j.enough THEN 'neutral'
                WHEN $2 >= j.applied_at + interval '7 days' THEN 'inconclusive'
           END,
           CASE WHEN j.enough
                THEN format('The table''s queries take %s times as long as before at the same hours of the day, %s; %s calls before, %s after.',
                            round(j.ratio::numeric, 3),
                            CASE WHEN j.control_ratio IS NULL
                                 THEN 'there are too few other queries to compare with'
                                 ELSE format('other queries %s times', round(j.control_ratio::numeric, 3))
                            END, j.calls_before, j.calls_after)
                ELSE format('Fewer than 200 calls at the same hours of the day: %s before, %s after.',
                            j.calls_before, j.calls_after)
           END,
           j.calls_before, j.calls_after, j.ratio, j.control_ratio
      FROM judged AS j
$$;
REVOKE ALL ON FUNCTION dbperf.judge_index_advice(bigint, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.judge_index_advice(bigint, timestamptz) TO pg_read_all_stats;
COMMENT ON FUNCTION dbperf.judge_index_advice(bigint, timestamptz) IS
'what index_advice_measurements say about an applied index: time per call of the table''s queries after it against before it, divided by that of the other queries; null verdict = not enough calls yet';

--
-- maintenance: the log
--

CREATE TABLE dbperf.maintenance_log (
    id bigint PRIMARY KEY,
    started timestamptz NOT NULL,
    finished timestamptz,
    database name,
    object text,
    action text,
    command text,
    reason text,
    outcome text,
    error text,
    dead_rows_before bigint,
    size_before bigint,
    age_before bigint,
    dead_rows_after bigint,
    size_after bigint,
    age_after bigint,
    pages bigint,
    CONSTRAINT maintenance_log_outcome_check CHECK
        (outcome IN ('done', 'skipped_locked', 'cancelled', 'failed', 'terminated',
                     'blocked_by_horizon'))
);
CREATE INDEX maintenance_log_started ON dbperf.maintenance_log (started);
CREATE INDEX maintenance_log_open ON dbperf.maintenance_log (id) WHERE outcome IS NULL;
REVOKE ALL ON dbperf.maintenance_log FROM PUBLIC;
GRANT SELECT ON dbperf.maintenance_log TO pg_monitor;
SELECT pg_catalog.pg_extension_config_dump('dbperf.maintenance_log', '');
COMMENT ON TABLE dbperf.maintenance_log IS
'maintenance actions in all databases, kept for dbperf.maintenance_log_retention; filled in dbperf.database only';
COMMENT ON COLUMN dbperf.maintenance_log.outcome IS
'null while it runs; done, skipped_locked, cancelled, failed, terminated (the worker or the server ended) or blocked_by_horizon (a snapshot somewhere kept dead rows from being removed)';
COMMENT ON COLUMN dbperf.maintenance_log.size_before IS 'bytes of what the action was about';
COMMENT ON COLUMN dbperf.maintenance_log.age_before IS 'age of relfrozenxid in transactions';
COMMENT ON COLUMN dbperf.maintenance_log.pages IS 'pages that were looked at; null = not known';

--
-- maintenance: policies and windows
--

CREATE TABLE dbperf.maintenance_windows (
    name text PRIMARY KEY,
    days text[] NOT NULL DEFAULT '{mon,tue,wed,thu,fri,sat,sun}',
    start_time time(0) NOT NULL,
    end_time time(0) NOT NULL,
    time_zone text NOT NULL DEFAULT 'UTC',
    description text
);
REVOKE ALL ON dbperf.maintenance_windows FROM PUBLIC;
GRANT SELECT ON dbperf.maintenance_windows TO pg_monitor;
SELECT pg_catalog.pg_extension_config_dump('dbperf.maintenance_windows', '');
COMMENT ON TABLE dbperf.maintenance_windows IS
'times in which policies allow maintenance; in force in all databases, kept in dbperf.database only';
COMMENT ON COLUMN dbperf.maintenance_windows.days IS
'mon, tue, wed, thu, fri, sat, sun: the days on which it opens';
COMMENT ON COLUMN dbperf.maintenance_windows.end_time IS
'up to 24:00; before start_time: on the next day';
COMMENT ON COLUMN dbperf.maintenance_windows.time_zone IS
'whose clocks count; a start or an end that they skip in spring is the moment of the change, and an hour that comes twice in autumn stays open';

CREATE TABLE dbperf.maintenance_policy (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    database_pattern text NOT NULL DEFAULT '%',
    schema_pattern text NOT NULL DEFAULT '%',
    table_pattern text NOT NULL DEFAULT '%',
    enabled bool NOT NULL DEFAULT true,
    actions text[],
    window_name text REFERENCES dbperf.maintenance_windows ON UPDATE CASCADE,
    priority int NOT NULL DEFAULT 0,
    cost_limit int,
    time_limit interval,
    description text
);
REVOKE ALL ON dbperf.maintenance_policy FROM PUBLIC;
GRANT SELECT ON dbperf.maintenance_policy TO pg_monitor;
SELECT pg_catalog.pg_extension_config_dump('dbperf.maintenance_policy', '');
SELECT pg_catalog.pg_extension_config_dump('dbperf.maintenance_policy_id_seq', '');
COMMENT ON SEQUENCE dbperf.maintenance_policy_id_seq IS
'ids of maintenance_policy';
COMMENT ON TABLE dbperf.maintenance_policy IS
'what maintenance may do to which tables; the one of the highest priority that matches a table decides, among equals the newest; in force in all databases, kept in dbperf.database only';
COMMENT ON COLUMN dbperf.maintenance_policy.database_pattern IS 'as of LIKE, like the other patterns';
COMMENT ON COLUMN dbperf.maintenance_policy.actions IS
'vacuum, vacuum_freeze, analyze, reindex, clean_gin, summarize_brin; null = all';
COMMENT ON COLUMN dbperf.maintenance_policy.window_name IS 'when; null = at any time';
COMMENT ON COLUMN dbperf.maintenance_policy.priority IS
'which policy decides, and what is done first: higher before lower';
COMMENT ON COLUMN dbperf.maintenance_policy.cost_limit IS
'most that the cost limit of a worker becomes; null = dbperf.maintenance_cost_limit_max';
COMMENT ON COLUMN dbperf.maintenance_policy.time_limit IS 'after which an action is cancelled; null = none';

CREATE FUNCTION dbperf.maintenance_policy_check()
RETURNS trigger
AS 'MODULE_PATHNAME', 'dbperf_maintenance_policy_check'
LANGUAGE C VOLATILE;
REVOKE ALL ON FUNCTION dbperf.maintenance_policy_check() FROM PUBLIC;
COMMENT ON FUNCTION dbperf.maintenance_policy_check() IS
'refuses rows of maintenance_policy that mean nothing, and any outside dbperf.database';

CREATE FUNCTION dbperf.maintenance_windows_check()
RETURNS trigger
AS 'MODULE_PATHNAME', 'dbperf_maintenance_windows_check'
LANGUAGE C VOLATILE;
REVOKE ALL ON FUNCTION dbperf.maintenance_windows_check() FROM PUBLIC;
COMMENT ON FUNCTION dbperf.maintenance_windows_check() IS
'refuses rows of maintenance_windows that mean nothing, and any outside dbperf.database';

CREATE TRIGGER maintenance_policy_check AFTER INSERT OR UPDATE OR DELETE
    ON dbperf.maintenance_policy FOR EACH ROW EXECUTE FUNCTION dbperf.maintenance_policy_check();
CREATE TRIGGER maintenance_policy_truncate AFTER TRUNCATE
    ON dbperf.maintenance_policy EXECUTE FUNCTION dbperf.maintenance_policy_check();
CREATE TRIGGER maintenance_windows_check AFTER INSERT OR UPDATE OR DELETE
    ON dbperf.maintenance_windows FOR EACH ROW EXECUTE FUNCTION dbperf.maintenance_windows_check();
CREATE TRIGGER maintenance_windows_truncate AFTER TRUNCATE
    ON dbperf.maintenance_windows EXECUTE FUNCTION dbperf.maintenance_windows_check();

CREATE FUNCTION dbperf.maintenance_policy_for(database_name text, schema_name text, table_name text)
RETURNS bigint
AS 'MODULE_PATHNAME', 'dbperf_maintenance_policy_for'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.maintenance_policy_for(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.maintenance_policy_for(text, text, text) TO pg_monitor;
COMMENT ON FUNCTION dbperf.maintenance_policy_for(text, text, text) IS
'id of the maintenance policy that decides about a table; null = none does, everything is allowed';

CREATE FUNCTION dbperf.maintenance_window_open(window_name text, at_time timestamptz DEFAULT NULL)
RETURNS bool
AS 'MODULE_PATHNAME', 'dbperf_maintenance_window_open'
LANGUAGE C VOLATILE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.maintenance_window_open(text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.maintenance_window_open(text, timestamptz) TO pg_monitor;
COMMENT ON FUNCTION dbperf.maintenance_window_open(text, timestamptz) IS
'whether a maintenance window is open at that time, null = now';

CREATE FUNCTION dbperf.maintenance_window_states(
    at_time timestamptz DEFAULT NULL,
    OUT window_name text,
    OUT open bool,
    OUT opens_at timestamptz,
    OUT closes_at timestamptz
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_maintenance_window_states'
LANGUAGE C VOLATILE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.maintenance_window_states(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.maintenance_window_states(timestamptz) TO pg_monitor;
COMMENT ON FUNCTION dbperf.maintenance_window_states(timestamptz) IS
'which maintenance windows are open at that time (null = now), and when that changes next';

--
-- maintenance: the plan
--

CREATE FUNCTION dbperf.maintenance_plan(
    min_score           double precision DEFAULT 1,
    OUT database        name,
    OUT object          text,
    OUT action          text,
    OUT command         text,
    OUT score           double precision,
    OUT reason          text,
    OUT estimated_pages bigint,
    OUT estimated_seconds double precision,
    OUT not_now         text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_maintenance_plan'
LANGUAGE C VOLATILE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.maintenance_plan(double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.maintenance_plan(double precision) TO pg_monitor;
COMMENT ON FUNCTION dbperf.maintenance_plan(double precision) IS
'what is to be done about the tables and indexes of this database, in order of execution: score 1 or more is due; not_now says why it must wait, null = it may run now';

--
-- maintenance: what holds vacuum up, and wraparound
--

CREATE FUNCTION dbperf.vacuum_blockers(
    OUT holder text,
    OUT pid integer,
    OUT name text,
    OUT database_name name,
    OUT role_name name,
    OUT state text,
    OUT since timestamptz,
    OUT idle_since timestamptz,
    OUT xid xid,
    OUT xid_source text,
    OUT age bigint,
    OUT affects text,
    OUT holds_horizon boolean,
    OUT remedy text
)
RETURNS SETOF record
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'dbperf_vacuum_blockers';
REVOKE ALL ON FUNCTION dbperf.vacuum_blockers() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.vacuum_blockers() TO pg_monitor;
COMMENT ON FUNCTION dbperf.vacuum_blockers() IS
'who but this session keeps vacuum from removing dead rows, oldest first; see the view vacuum_blockers';

CREATE VIEW dbperf.vacuum_blockers AS
    WITH tables AS MATERIALIZED (
        SELECT c.relisshared AS is_shared,
               c.oid < 12000 AS is_catalog, -- what the server itself takes for one
               pg_catalog.pg_stat_get_dead_tuples(c.oid) AS dead_rows,
               GREATEST(pg_catalog.pg_stat_get_last_vacuum_time(c.oid),
                        pg_catalog.pg_stat_get_last_autovacuum_time(c.oid)) AS vacuumed
          FROM pg_catalog.pg_class AS c
         WHERE c.relkind IN ('r', 'm', 't') AND NOT pg_catalog.pg_is_in_recovery()
    )
    SELECT b.holder, b.pid, b.name, b.database_name, b.role_name, b.state, b.since, b.idle_since,
           b.xid, b.xid_source, b.age,
           CASE WHEN b.since IS NOT NULL AND NOT pg_catalog.pg_is_in_recovery()
                THEN (SELECT COALESCE(pg_catalog.sum(t.dead_rows), 0)::bigint
                        FROM tables AS t
                       WHERE t.vacuumed >= b.since
                         AND (t.is_shared
                              OR b.affects IN ('this database', 'all databases',
                                               'all databases through snapshots')
                              OR b.affects = 'catalogs only' AND t.is_catalog))
           END AS dead_rows_pinned,
           b.affects, b.holds_horizon, b.remedy
      FROM dbperf.vacuum_blockers() AS b;
REVOKE ALL ON dbperf.vacuum_blockers FROM PUBLIC;
GRANT SELECT ON dbperf.vacuum_blockers TO pg_monitor;
COMMENT ON VIEW dbperf.vacuum_blockers IS
'who but this session keeps vacuum from removing dead rows, oldest first, and the SQL that ends it';
COMMENT ON COLUMN dbperf.vacuum_blockers.holder IS
'session, worker, standby (feedback without a slot), prepared transaction, replication slot, or setting';
COMMENT ON COLUMN dbperf.vacuum_blockers.since IS
'start of the transaction; of a slot: when its xid was given out, to the minute, within the 24 hours that are sampled';
COMMENT ON COLUMN dbperf.vacuum_blockers.xid IS
'the oldest transaction of which it may need old row versions; a slot has a row for its xmin and one for its catalog_xmin';
COMMENT ON COLUMN dbperf.vacuum_blockers.dead_rows_pinned IS
'dead rows, by the statistics, of those tables of this database that it affects and that were vacuumed since; other tables'' dead rows may be pinned as well; null where since is not known';
COMMENT ON COLUMN dbperf.vacuum_blockers.affects IS
'as seen from this database: this database; all databases; all databases through snapshots (a writer in another database: snapshots taken meanwhile are as old as it); catalogs only (of all databases); shared tables (and its own database); on a standby: the primary, or replay. Shared tables are always affected';
COMMENT ON COLUMN dbperf.vacuum_blockers.holds_horizon IS
'nobody who is counted in this database needs older rows: vacuum gets further only when all of these are gone';

CREATE FUNCTION dbperf.vacuum_horizon(
    OUT horizon xid,
    OUT age bigint,
    OUT held_by text
)
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'dbperf_vacuum_horizon';
REVOKE ALL ON FUNCTION dbperf.vacuum_horizon() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.vacuum_horizon() TO pg_monitor;
COMMENT ON FUNCTION dbperf.vacuum_horizon() IS
'the oldest transaction whose dead rows vacuum has to keep in ordinary tables of this database, not counting this session, and in one sentence who holds it and what ends that';

CREATE FUNCTION dbperf.xid_consumption(
    OUT measured_at timestamptz,
    OUT measured_over interval,
    OUT next_xid xid8,
    OUT next_multixact bigint,
    OUT xids_per_day float8,
    OUT multixacts_per_day float8,
    OUT multixact_freeze_max_age bigint,
    OUT xid_stop_age bigint,
    OUT multixact_stop_age bigint
)
LANGUAGE c VOLATILE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'dbperf_xid_consumption';
REVOKE ALL ON FUNCTION dbperf.xid_consumption() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.xid_consumption() TO pg_monitor;
COMMENT ON FUNCTION dbperf.xid_consumption() IS
'how fast transaction ids and multixacts are used up, from samples of up to 24 hours (null until a minute is measured); multixact_freeze_max_age is lower than the setting while multixacts have many members; at the stop ages the server gives out no more';

CREATE FUNCTION dbperf.forecast_wraparound(
    xid_age bigint,
    freeze_max_age bigint,
    xid_stop_age bigint,
    xids_per_day float8,
    multixact_age bigint,
    multixact_freeze_max_age bigint,
    multixact_stop_age bigint,
    multixacts_per_day float8,
    from_time timestamptz,
    OUT days_until_forced float8,
    OUT days_until_shutdown float8,
    OUT freeze_by timestamptz,
    OUT forced_by text
)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    WITH days AS (
        SELECT CASE WHEN xid_age >= freeze_max_age THEN 0
                    WHEN xids_per_day > 0 THEN (freeze_max_age - xid_age) / xids_per_day END AS forced_x,
               CASE WHEN multixact_age >= multixact_freeze_max_age THEN 0
                    WHEN multixacts_per_day > 0
                    THEN (multixact_freeze_max_age - multixact_age) / multixacts_per_day END AS forced_m,
               CASE WHEN xid_age >= xid_stop_age THEN 0
                    WHEN xids_per_day > 0 THEN (xid_stop_age - xid_age) / xids_per_day END AS stop_x,
               CASE WHEN multixact_age >= multixact_stop_age THEN 0
                    WHEN multixacts_per_day > 0
                    THEN (multixact_stop_age - multixact_age) / multixacts_per_day END AS stop_m,
               -- 80 % of the way: time for it in a quiet hour, and most of the use of the last time
               CASE WHEN xid_age >= 0.8 * freeze_max_age THEN 0
                    WHEN xids_per_day > 0 THEN (0.8 * freeze_max_age - xid_age) / xids_per_day END AS by_x,
               CASE WHEN multixact_age >= 0.8 * multixact_freeze_max_age THEN 0
                    WHEN multixacts_per_day > 0
                    THEN (0.8 * multixact_freeze_max_age - multixact_age) / multixacts_per_day END AS by_m
    )
    SELECT LEAST(d.forced_x, d.forced_m), LEAST(d.stop_x, d.stop_m),
           -- in a hundred years is never
           CASE WHEN LEAST(d.by_x, d.by_m) <= 36525
                THEN from_time + LEAST(d.by_x, d.by_m) * interval '1 day' END,
           CASE WHEN d.forced_x <= d.forced_m OR d.forced_m IS NULL AND d.forced_x IS NOT NULL THEN 'xid'
                WHEN d.forced_m IS NOT NULL THEN 'multixact' END
      FROM days AS d;
END;
REVOKE ALL ON FUNCTION dbperf.forecast_wraparound(bigint, bigint, bigint, float8, bigint, bigint, bigint, float8, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.forecast_wraparound(bigint, bigint, bigint, float8, bigint, bigint, bigint, float8, timestamptz) TO pg_monitor;
COMMENT ON FUNCTION dbperf.forecast_wraparound(bigint, bigint, bigint, float8, bigint, bigint, bigint, float8, timestamptz) IS
'days from the given ages to their limits at the given rates, whichever comes first; freeze_by is when 80 % of the freeze age is reached; null where no rate is known, or it is zero';

CREATE VIEW dbperf.wraparound_forecast AS
    WITH limits AS MATERIALIZED (
        SELECT c.*, pg_catalog.current_setting('autovacuum_freeze_max_age')::bigint AS freeze_max_age
          FROM dbperf.xid_consumption() AS c
    ), options AS (
        -- one that is lower than the setting counts; a TOAST table without options has its table's
        SELECT c.oid,
               pg_catalog.min(o.option_value::bigint)
                   FILTER (WHERE o.option_name = 'autovacuum_freeze_max_age') AS freeze_max_age,
               pg_catalog.min(o.option_value::bigint)
                   FILTER (WHERE o.option_name = 'autovacuum_multixact_freeze_max_age') AS multixact_freeze_max_age
          FROM pg_catalog.pg_class AS c
               LEFT JOIN pg_catalog.pg_class AS m ON c.relkind = 't' AND m.reltoastrelid = c.oid
               CROSS JOIN LATERAL pg_catalog.pg_options_to_table(COALESCE(c.reloptions, m.reloptions)) AS o
         WHERE c.relkind IN ('r', 'm', 't')
         GROUP BY c.oid
    ), ages AS (
        SELECT 'database'::text AS scope, d.datname AS database_name, NULL::text AS table_name,
               false AS is_toast,
               pg_catalog.age(d.datfrozenxid)::bigint AS xid_age,
               pg_catalog.mxid_age(d.datminmxid)::bigint AS multixact_age,
               l.freeze_max_age, l.multixact_freeze_max_age
          FROM pg_catalog.pg_database AS d, limits AS l
        UNION ALL
        SELECT 'table', pg_catalog.current_database(),
               pg_catalog.format('%I.%I', n.nspname, COALESCE(m.relname, c.relname)),
               c.relkind = 't',
               CASE WHEN c.relfrozenxid <> '0'::xid THEN pg_catalog.age(c.relfrozenxid)::bigint END,
               CASE WHEN c.relminmxid <> '0'::xid THEN pg_catalog.mxid_age(c.relminmxid)::bigint END,
               LEAST(o.freeze_max_age, l.freeze_max_age),
               LEAST(o.multixact_freeze_max_age, l.multixact_freeze_max_age)
          FROM limits AS l
               CROSS JOIN pg_catalog.pg_class AS c
               LEFT JOIN pg_catalog.pg_class AS m ON c.relkind = 't' AND m.reltoastrelid = c.oid
               JOIN pg_catalog.pg_namespace AS n ON n.oid = COALESCE(m.relnamespace, c.relnamespace)
               LEFT JOIN options AS o ON o.oid = c.oid
         WHERE c.relkind IN ('r', 'm', 't')
           AND (c.relfrozenxid <> '0'::xid OR c.relminmxid <> '0'::xid)
    )
    SELECT a.scope, a.database_name, a.table_name, a.is_toast, a.xid_age, a.multixact_age,
           a.freeze_max_age, a.multixact_freeze_max_age, l.xids_per_day, l.multixacts_per_day,
           f.days_until_forced, f.days_until_shutdown, f.freeze_by, f.forced_by
      FROM limits AS l
           CROSS JOIN ages AS a
           CROSS JOIN LATERAL dbperf.forecast_wraparound(
               a.xid_age, a.freeze_max_age, l.xid_stop_age, l.xids_per_day,
               a.multixact_age, a.multixact_freeze_max_age, l.multixact_stop_age, l.multixacts_per_day,
               l.measured_at) AS f
     ORDER BY a.scope, f.days_until_forced, a.xid_age DESC;
REVOKE ALL ON dbperf.wraparound_forecast FROM PUBLIC;
GRANT SELECT ON dbperf.wraparound_forecast TO pg_monitor;
COMMENT ON VIEW dbperf.wraparound_forecast IS
'each database, and each table of this one: ages, and when at the measured rate autovacuum will be forced to freeze, and the server to stop giving out transaction ids; null where no rate is known, or it is zero';
COMMENT ON COLUMN dbperf.wraparound_forecast.freeze_by IS
'freeze it before, in a quiet hour: when 80 % of its freeze age will be reached';
COMMENT ON COLUMN dbperf.wraparound_forecast.forced_by IS
'which of the two limits is reached first: xid or multixact';

--
-- maintenance: indexes
--

CREATE TABLE dbperf.maintenance_index_density (
    index_oid oid NOT NULL PRIMARY KEY,
    relfilenode oid NOT NULL,
    best_bytes_per_row double precision,
    seen timestamp with time zone NOT NULL DEFAULT pg_catalog.now(),
    sampled timestamp with time zone,
    sampled_pages integer,
    sampled_bloat double precision,
    rebuilt timestamp with time zone
);
REVOKE ALL ON TABLE dbperf.maintenance_index_density FROM PUBLIC;
GRANT SELECT ON TABLE dbperf.maintenance_index_density TO pg_monitor;
COMMENT ON TABLE dbperf.maintenance_index_density IS
'how dense indexes of this database were at their best, and at the last look into their pages; written by maintenance workers, not dumped';
COMMENT ON COLUMN dbperf.maintenance_index_density.relfilenode IS
'the file that the figures are of; another one means that the index was rebuilt';
COMMENT ON COLUMN dbperf.maintenance_index_density.best_bytes_per_row IS
'the least that a row has taken in the index, null = too few rows so far';
COMMENT ON COLUMN dbperf.maintenance_index_density.seen IS
'when the index was first seen, or was at its best';
COMMENT ON COLUMN dbperf.maintenance_index_density.sampled_bloat IS
'pages for each page that its rows need, by a sample of the pages of a B-tree';
COMMENT ON COLUMN dbperf.maintenance_index_density.rebuilt IS
'when maintenance has rebuilt it, null = it has not';

CREATE TABLE dbperf.maintenance_leftovers (
    index_oid oid NOT NULL PRIMARY KEY,
    table_oid oid NOT NULL,
    old_index_oid oid NOT NULL,
    index_name name NOT NULL,
    created timestamp with time zone NOT NULL
);
REVOKE ALL ON TABLE dbperf.maintenance_leftovers FROM PUBLIC;
GRANT SELECT ON TABLE dbperf.maintenance_leftovers TO pg_monitor;
COMMENT ON TABLE dbperf.maintenance_leftovers IS
'copies of indexes that maintenance is making with REINDEX CONCURRENTLY, so that one that stays behind is known to be ours; not dumped';

--
-- maintenance: what runs, and requests
--

CREATE FUNCTION dbperf.maintenance_workers(
    OUT pid int,
    OUT database_name name,
    OUT state text,
    OUT emergency bool,
    OUT log_id bigint,
    OUT object text,
    OUT action text,
    OUT command text,
    OUT started timestamptz,
    OUT cost_limit int,
    OUT prevents_wraparound bool,
    OUT requested bool,
    OUT deadline timestamptz,
    OUT yields_to int,
    OUT cancelled bool
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_maintenance_workers'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 3;
REVOKE ALL ON FUNCTION dbperf.maintenance_workers() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.maintenance_workers() TO pg_monitor;
COMMENT ON FUNCTION dbperf.maintenance_workers() IS
'the maintenance workers of all databases; the view maintenance_progress adds how far they are';

CREATE VIEW dbperf.maintenance_progress AS
    SELECT w.pid, w.database_name, w.log_id, w.object, w.action, w.command, w.started,
           pg_catalog.clock_timestamp() - w.started AS elapsed,
           COALESCE(v.phase, a.phase, i.phase) AS phase,
           COALESCE(v.heap_blks_scanned, a.sample_blks_scanned, i.blocks_done) AS blocks_done,
           COALESCE(v.heap_blks_total, a.sample_blks_total, i.blocks_total) AS blocks_total,
           CASE WHEN COALESCE(v.heap_blks_total, a.sample_blks_total, i.blocks_total) > 0
                THEN pg_catalog.round(100.0 *
                     COALESCE(v.heap_blks_scanned, a.sample_blks_scanned, i.blocks_done) /
                     COALESCE(v.heap_blks_total, a.sample_blks_total, i.blocks_total), 1)
           END AS phase_pct,
           v.index_vacuum_count AS index_vacuums,
           w.cost_limit, w.prevents_wraparound, w.requested, w.deadline, w.yields_to,
           pg_catalog.pg_blocking_pids(w.pid) AS waits_for,
           CASE WHEN w.cancelled THEN 'is being cancelled'
                WHEN w.prevents_wraparound THEN 'prevents wraparound: does not give way to sessions that wait for a lock'
           END AS note
      FROM dbperf.maintenance_workers() AS w
           LEFT JOIN pg_catalog.pg_stat_progress_vacuum AS v ON v.pid = w.pid
           LEFT JOIN pg_catalog.pg_stat_progress_analyze AS a ON a.pid = w.pid
           LEFT JOIN pg_catalog.pg_stat_progress_create_index AS i ON i.pid = w.pid
     WHERE w.state = 'working';
REVOKE ALL ON dbperf.maintenance_progress FROM PUBLIC;
GRANT SELECT ON dbperf.maintenance_progress TO pg_monitor;
COMMENT ON VIEW dbperf.maintenance_progress IS
'maintenance that runs now, in any database, how far it is, and its cost limit at the moment';

CREATE FUNCTION dbperf.maintenance_status(
    OUT mode text,
    OUT launcher_running bool,
    OUT paused_until timestamptz,
    OUT workers int,
    OUT workers_at_work int,
    OUT max_workers int,
    OUT requests_waiting int,
    OUT no_worker_since timestamptz,
    OUT log_state text
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_maintenance_status'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 1;
REVOKE ALL ON FUNCTION dbperf.maintenance_status() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.maintenance_status() TO pg_monitor;
COMMENT ON FUNCTION dbperf.maintenance_status() IS
'see the view maintenance_status';

CREATE VIEW dbperf.maintenance_status AS
    SELECT * FROM dbperf.maintenance_status();
REVOKE ALL ON dbperf.maintenance_status FROM PUBLIC;
GRANT SELECT ON dbperf.maintenance_status TO pg_monitor;
COMMENT ON VIEW dbperf.maintenance_status IS
'one row: the mode of maintenance, its workers, what waits, since when the server has no room for a worker (null = it has), and how the log does';

CREATE FUNCTION dbperf.maintenance_databases(
    OUT database_name name,
    OUT enabled bool,
    OUT last_visit timestamptz,
    OUT next_look timestamptz,
    OUT waiting_since timestamptz,
    OUT relations_over int,
    OUT due int,
    OUT waits_for_horizon bool,
    OUT close_to_wraparound bool,
    OUT failed_visits int
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_maintenance_databases'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.maintenance_databases() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.maintenance_databases() TO pg_monitor;
COMMENT ON FUNCTION dbperf.maintenance_databases() IS
'see the view maintenance_databases';

CREATE VIEW dbperf.maintenance_databases AS
    SELECT * FROM dbperf.maintenance_databases();
REVOKE ALL ON dbperf.maintenance_databases FROM PUBLIC;
GRANT SELECT ON dbperf.maintenance_databases TO pg_monitor;
COMMENT ON VIEW dbperf.maintenance_databases IS
'the databases as the launcher of maintenance knows them: when each was looked into, what it waits for, and how many of its relations are over a threshold; filled while dbperf.maintenance is on';

CREATE FUNCTION dbperf.run_maintenance("table" regclass, action text DEFAULT NULL)
RETURNS bigint
AS 'MODULE_PATHNAME', 'dbperf_run_maintenance'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.run_maintenance(regclass, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.run_maintenance(regclass, text) TO PUBLIC;
COMMENT ON FUNCTION dbperf.run_maintenance(regclass, text) IS
'has a worker vacuum, vacuum_freeze, analyze, reindex, clean_gin or summarize_brin a table (null: whatever is most useful), also while maintenance is off; returns the id of its row in maintenance_log; for those who own the table or have MAINTAIN on it';

CREATE FUNCTION dbperf.cancel_maintenance(log_id bigint)
RETURNS boolean
AS 'MODULE_PATHNAME', 'dbperf_cancel_maintenance'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.cancel_maintenance(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.cancel_maintenance(bigint) TO PUBLIC;
COMMENT ON FUNCTION dbperf.cancel_maintenance(bigint) IS
'ends an action that runs, or takes one that waits out of the queue; false if there is none with that id';

CREATE FUNCTION dbperf.pause_maintenance(until timestamptz DEFAULT 'infinity')
RETURNS void
AS 'MODULE_PATHNAME', 'dbperf_pause_maintenance'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.pause_maintenance(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION dbperf.pause_maintenance(timestamptz) IS
'stops all maintenance in all databases but what prevents wraparound, until that time or the server''s next start';

CREATE FUNCTION dbperf.resume_maintenance()
RETURNS void
AS 'MODULE_PATHNAME', 'dbperf_resume_maintenance'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.resume_maintenance() FROM PUBLIC;
COMMENT ON FUNCTION dbperf.resume_maintenance() IS
'ends a pause';

--
-- cache: lists
--

CREATE TABLE dbperf.cache_tables (
    relation regclass PRIMARY KEY,
    cached bool NOT NULL
);
REVOKE ALL ON dbperf.cache_tables FROM PUBLIC;
GRANT SELECT ON dbperf.cache_tables TO PUBLIC;
-- the row of a table that was dropped would become a number
SELECT pg_catalog.pg_extension_config_dump('dbperf.cache_tables',
    'WHERE relation::pg_catalog.oid IN (SELECT oid FROM pg_catalog.pg_class)');
COMMENT ON TABLE dbperf.cache_tables IS
'tables whose queries are cached, or never are; in this database; written by cache_table()';
COMMENT ON COLUMN dbperf.cache_tables.relation IS
'partitions count as the table that they are a part of, unless they are listed themselves';
COMMENT ON COLUMN dbperf.cache_tables.cached IS
'true: a query that reads listed tables only is cached as if it had the hint; false: no query that reads the table is cached';

CREATE TABLE dbperf.cache_queries_listed (
    queryid bigint PRIMARY KEY,
    cached bool NOT NULL
);
REVOKE ALL ON dbperf.cache_queries_listed FROM PUBLIC;
GRANT SELECT ON dbperf.cache_queries_listed TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('dbperf.cache_queries_listed', '');
COMMENT ON TABLE dbperf.cache_queries_listed IS
'queries that are cached, or never are, by their queryid; in this database; written by cache_query()';
COMMENT ON COLUMN dbperf.cache_queries_listed.cached IS
'true: cached as if it had the hint; false: never cached';

-- Names and not regprocedure: OIDs of functions do not survive pg_upgrade, which
-- refuses databases with columns of that type.
CREATE TABLE dbperf.cache_functions (
    function text PRIMARY KEY
);
REVOKE ALL ON dbperf.cache_functions FROM PUBLIC;
GRANT SELECT ON dbperf.cache_functions TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('dbperf.cache_functions', '');
COMMENT ON TABLE dbperf.cache_functions IS
'functions in SQL and procedural languages, and stable ones, that are trusted to return the same for the same arguments; in this database; written by cache_function()';
COMMENT ON COLUMN dbperf.cache_functions.function IS
'with its schema and the types of its arguments; a function that is renamed is not listed any more';

CREATE FUNCTION dbperf.cache_lists_changed()
RETURNS trigger
AS 'MODULE_PATHNAME', 'dbperf_cache_lists_changed'
LANGUAGE C VOLATILE;
REVOKE ALL ON FUNCTION dbperf.cache_lists_changed() FROM PUBLIC;
COMMENT ON FUNCTION dbperf.cache_lists_changed() IS
'tells all sessions that a list of the cache was changed';

CREATE TRIGGER cache_lists_changed AFTER INSERT OR UPDATE OR DELETE
    ON dbperf.cache_tables EXECUTE FUNCTION dbperf.cache_lists_changed();
CREATE TRIGGER cache_lists_changed AFTER INSERT OR UPDATE OR DELETE
    ON dbperf.cache_queries_listed EXECUTE FUNCTION dbperf.cache_lists_changed();
CREATE TRIGGER cache_lists_changed AFTER INSERT OR UPDATE OR DELETE
    ON dbperf.cache_functions EXECUTE FUNCTION dbperf.cache_lists_changed();

CREATE FUNCTION dbperf.cache_table("table" regclass, cached bool)
RETURNS void
AS 'MODULE_PATHNAME', 'dbperf_cache_table'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.cache_table(regclass, bool) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.cache_table(regclass, bool) TO PUBLIC;
COMMENT ON FUNCTION dbperf.cache_table(regclass, bool) IS
'has queries of this table cached (true), never cached (false), or takes it off the list (null); for the owner of the table';

CREATE FUNCTION dbperf.cache_query(queryid bigint, cached bool)
RETURNS void
AS 'MODULE_PATHNAME', 'dbperf_cache_query'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.cache_query(bigint, bool) FROM PUBLIC;
COMMENT ON FUNCTION dbperf.cache_query(bigint, bool) IS
'has the query with this queryid cached (true), never cached (false), or takes it off the list (null); plans that sessions keep are cached from their next planning on, and not used any more at once';

CREATE FUNCTION dbperf.cache_function(function regprocedure, trusted bool)
RETURNS void
AS 'MODULE_PATHNAME', 'dbperf_cache_function'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.cache_function(regprocedure, bool) FROM PUBLIC;
COMMENT ON FUNCTION dbperf.cache_function(regprocedure, bool) IS
'trusts a function (true) or not any more (false, null): what it reads and does is not seen by the cache, so results are wrong if it does not always return the same for the same arguments, such as one that reads a table';

-- cache: counters and entries

CREATE FUNCTION dbperf.cache_stats(
    OUT hits bigint,
    OUT misses bigint,
    OUT hit_ratio float8,
    OUT bypassed bigint,
    OUT bypassed_by_reason jsonb,
    OUT stores bigint,
    OUT refused bigint,
    OUT evictions bigint,
    OUT invalidations bigint,
    OUT waits bigint,
    OUT entries bigint,
    OUT bytes_used bigint,
    OUT bytes_limit bigint,
    OUT saved_ms float8,
    OUT stats_reset timestamptz
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_cache_stats'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 1;
REVOKE ALL ON FUNCTION dbperf.cache_stats() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.cache_stats() TO PUBLIC;
COMMENT ON FUNCTION dbperf.cache_stats() IS
'see the view cache_stats';

CREATE VIEW dbperf.cache_stats AS
    SELECT * FROM dbperf.cache_stats();
REVOKE ALL ON dbperf.cache_stats FROM PUBLIC;
GRANT SELECT ON dbperf.cache_stats TO PUBLIC;
COMMENT ON VIEW dbperf.cache_stats IS
'one row: what the result cache did in all databases since stats_reset, and what it holds now; hit_ratio is hits / (hits + misses), and an execution that could not use the cache is neither, but bypassed for a reason';

CREATE FUNCTION dbperf.cache_queries(
    OUT database_name name,
    OUT queryid bigint,
    OUT hits bigint,
    OUT misses bigint,
    OUT hit_ratio float8,
    OUT bypassed bigint,
    OUT mean_miss_ms float8,
    OUT mean_hit_ms float8,
    OUT saved_ms float8,
    OUT bytes bigint,
    OUT last_bypass_reason text
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_cache_queries'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.cache_queries() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.cache_queries() TO pg_monitor;
COMMENT ON FUNCTION dbperf.cache_queries() IS
'see the view cache_queries';

CREATE VIEW dbperf.cache_queries AS
    SELECT * FROM dbperf.cache_queries();
REVOKE ALL ON dbperf.cache_queries FROM PUBLIC;
GRANT SELECT ON dbperf.cache_queries TO pg_monitor;
COMMENT ON VIEW dbperf.cache_queries IS
'what the result cache does for each query since stats_reset of cache_stats; bytes are those of the result stored last; the row without a queryid is the sum of queries that had to make room';

CREATE FUNCTION dbperf.cache_entries(
    OUT entry bigint,
    OUT database_name name,
    OUT queryid bigint,
    OUT relations oid[],
    OUT rows bigint,
    OUT bytes bigint,
    OUT hits bigint,
    OUT stored timestamptz,
    OUT cost_ms float8
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_cache_entries'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.cache_entries() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.cache_entries() TO pg_monitor;
COMMENT ON FUNCTION dbperf.cache_entries() IS
'the results that are stored; oids are those of the entry''s own database';

CREATE VIEW dbperf.cache_entries AS
    SELECT e.entry, e.database_name, e.queryid,
           -- elsewhere the oids may mean other relations
           CASE WHEN e.database_name = pg_catalog.current_database()
                THEN e.relations::pg_catalog.regclass[]
           END AS relations,
           e.rows, e.bytes, e.hits,
           pg_catalog.clock_timestamp() - e.stored AS age,
           e.cost_ms
      FROM dbperf.cache_entries() AS e;
REVOKE ALL ON dbperf.cache_entries FROM PUBLIC;
GRANT SELECT ON dbperf.cache_entries TO pg_monitor;
COMMENT ON VIEW dbperf.cache_entries IS
'the results that are stored, outdated ones included until somebody asks for them: the memory they take with their keys, how often they were used, and what it took to execute them; relations of other databases are not shown';

CREATE FUNCTION dbperf.cache_flush()
RETURNS bigint
AS 'MODULE_PATHNAME', 'dbperf_cache_flush'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.cache_flush() FROM PUBLIC;
COMMENT ON FUNCTION dbperf.cache_flush() IS
'removes the stored results of the current database; returns how many; whoever may execute it may also flush any single relation';

CREATE FUNCTION dbperf.cache_flush(relation regclass)
RETURNS bigint
AS 'MODULE_PATHNAME', 'dbperf_cache_flush_relation'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.cache_flush(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.cache_flush(regclass) TO PUBLIC;
COMMENT ON FUNCTION dbperf.cache_flush(regclass) IS
'removes the stored results that read a table or materialized view, or one of its partitions or inheritance children; returns how many; for its owner, and for who may execute cache_flush()';

CREATE FUNCTION dbperf.cache_stats_reset()
RETURNS void
AS 'MODULE_PATHNAME', 'dbperf_cache_stats_reset'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.cache_stats_reset() FROM PUBLIC;
COMMENT ON FUNCTION dbperf.cache_stats_reset() IS
'sets the counters of cache_stats and cache_queries to zero, for all databases; what is stored stays';

--
-- cache: why a statement is cached or not
--

CREATE FUNCTION dbperf.cache_explain(
    query text,
    OUT statement int,
    OUT cacheable bool,
    OUT reason text,
    OUT object text,
    OUT detail text
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_cache_explain'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.cache_explain(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.cache_explain(text) TO PUBLIC;
COMMENT ON FUNCTION dbperf.cache_explain(text) IS
'whether the results of a statement can be cached; if not, why, and which function, relation, type or setting is at fault; if so, whether they are in this session, and what that takes';

--
-- pool: its processes and what is wrong with them
--

CREATE FUNCTION dbperf.pool_status(
    OUT process int,
    OUT state text,
    OUT pid int,
    OUT version text,
    OUT started timestamptz,
    OUT restarts bigint,
    OUT last_exit text,
    OUT last_exit_time timestamptz,
    OUT next_start timestamptz,
    OUT pool_mode text,
    OUT listen_addresses text,
    OUT port int,
    OUT program text,
    OUT console text,
    OUT server_connections int,
    OUT most_server_connections int,
    OUT server_connection_limit int,
    OUT refused_logins bigint,
    OUT problem text,
    OUT note text,
    OUT config_error text,
    OUT log text
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_pool_status'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 1;
REVOKE ALL ON FUNCTION dbperf.pool_status() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.pool_status() TO pg_monitor;
COMMENT ON FUNCTION dbperf.pool_status() IS
'what the view pool_status shows';

CREATE VIEW dbperf.pool_status AS
    SELECT s.process, s.state, s.pid, s.version, s.started, s.restarts, s.last_exit,
           s.last_exit_time, s.next_start, s.pool_mode, s.listen_addresses, s.port, s.program,
           s.console, s.server_connections, s.most_server_connections,
           s.server_connection_limit, s.refused_logins, s.problem, s.note, s.config_error, s.log
      FROM dbperf.pool_status() AS s;
REVOKE ALL ON dbperf.pool_status FROM PUBLIC;
GRANT SELECT ON dbperf.pool_status TO pg_monitor;
COMMENT ON VIEW dbperf.pool_status IS
'the PgBouncer processes of the connection pool, or one row that says why there are none; times are those of this server';
COMMENT ON COLUMN dbperf.pool_status.process IS
'1 to dbperf.pool_processes';
COMMENT ON COLUMN dbperf.pool_status.state IS
'off; starting: does not listen yet; running; stopping; waiting: ended, will be started again; failed: will not be started again before something changes';
COMMENT ON COLUMN dbperf.pool_status.pid IS
'process id, null if it does not run';
COMMENT ON COLUMN dbperf.pool_status.version IS
'of PgBouncer, when the process was started last';
COMMENT ON COLUMN dbperf.pool_status.started IS
'when it was started last';
COMMENT ON COLUMN dbperf.pool_status.restarts IS
'how often it was started again after an end that nobody asked for';
COMMENT ON COLUMN dbperf.pool_status.last_exit IS
'how it ended the last time';
COMMENT ON COLUMN dbperf.pool_status.next_start IS
'when it will be started, if it waits';
COMMENT ON COLUMN dbperf.pool_status.pool_mode IS
'when a server connection is given back to the pool; the same for all processes, like the next three';
COMMENT ON COLUMN dbperf.pool_status.console IS
'directory of the unix socket on which the operating system''s user of this server reaches the console of the process: psql -h directory -p port -U pgbouncer pgbouncer';
COMMENT ON COLUMN dbperf.pool_status.server_connections IS
'server processes that serve the pool now, of all databases, roles and processes; the same for all processes, like the next three';
COMMENT ON COLUMN dbperf.pool_status.most_server_connections IS
'the most of them at once since the server was started';
COMMENT ON COLUMN dbperf.pool_status.server_connection_limit IS
'how many there can be: dbperf.pool_max_server_connections, or what it stands for';
COMMENT ON COLUMN dbperf.pool_status.refused_logins IS
'logins of the pool above that limit since the server was started';
COMMENT ON COLUMN dbperf.pool_status.problem IS
'what keeps the pool from running as it is set, and what to do about it; the same for all processes, like note and config_error';
COMMENT ON COLUMN dbperf.pool_status.note IS
'what is worth knowing, but needs nothing to be done';
COMMENT ON COLUMN dbperf.pool_status.config_error IS
'what is wrong with roles, limits and rules, and what the pool does instead';
COMMENT ON COLUMN dbperf.pool_status.log IS
'the last lines of the log of the process, 2 kB at most';

CREATE FUNCTION dbperf.pool_restart(drop_clients bool DEFAULT false)
RETURNS void
AS 'MODULE_PATHNAME', 'dbperf_pool_restart'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.pool_restart(bool) FROM PUBLIC;
COMMENT ON FUNCTION dbperf.pool_restart(bool) IS
'replaces the processes of the pool one after another, with the program that is installed now: each ends when its clients have left, which needs several processes and PgBouncer 1.23; or, if clients may be dropped, when their transactions have ended, after five seconds at most; does not wait for that, pool_status shows how far it is';

--
-- pool: limits
--

CREATE TABLE dbperf.pool_databases (
    database_name text PRIMARY KEY,
    pool_mode text,
    pool_size int,
    min_size int,
    reserve int,
    max_server_connections int,
    max_clients int,
    description text
);
REVOKE ALL ON dbperf.pool_databases FROM PUBLIC;
GRANT SELECT ON dbperf.pool_databases TO pg_monitor;
SELECT pg_catalog.pg_extension_config_dump('dbperf.pool_databases', '');
COMMENT ON TABLE dbperf.pool_databases IS
'what is different in the connection pool for single databases; numbers are of all its processes together, null = as the settings say; in force on the whole server, kept in dbperf.database only';
COMMENT ON COLUMN dbperf.pool_databases.pool_mode IS
'session, transaction or statement; null = dbperf.pool_mode';
COMMENT ON COLUMN dbperf.pool_databases.pool_size IS
'server connections of each of its roles; null = dbperf.pool_size';
COMMENT ON COLUMN dbperf.pool_databases.min_size IS
'server connections of each of its roles that are kept open; null = dbperf.pool_min_size';
COMMENT ON COLUMN dbperf.pool_databases.reserve IS
'more server connections of each of its roles when clients have waited for five seconds; null = dbperf.pool_reserve';
COMMENT ON COLUMN dbperf.pool_databases.max_server_connections IS
'server connections of all its roles; null = no limit of its own';
COMMENT ON COLUMN dbperf.pool_databases.max_clients IS
'client connections of all its roles; null = no limit of its own; needs PgBouncer 1.24';

CREATE TABLE dbperf.pool_roles (
    role_name text PRIMARY KEY,
    pool_mode text,
    pool_size int,
    max_server_connections int,
    max_clients int,
    description text
);
REVOKE ALL ON dbperf.pool_roles FROM PUBLIC;
GRANT SELECT ON dbperf.pool_roles TO pg_monitor;
SELECT pg_catalog.pg_extension_config_dump('dbperf.pool_roles', '');
COMMENT ON TABLE dbperf.pool_roles IS
'what is different in the connection pool for single roles, counts more than pool_databases; numbers are of all its processes together, null = as pool_databases and the settings say; in force on the whole server, kept in dbperf.database only';
COMMENT ON COLUMN dbperf.pool_roles.pool_mode IS
'session, transaction or statement; null = that of the database';
COMMENT ON COLUMN dbperf.pool_roles.pool_size IS
'its server connections in each database; null = that of the database; needs PgBouncer 1.23';
COMMENT ON COLUMN dbperf.pool_roles.max_server_connections IS
'its server connections in all databases; null = no limit of its own';
COMMENT ON COLUMN dbperf.pool_roles.max_clients IS
'its client connections in all databases; null = no limit of its own; needs PgBouncer 1.24';

CREATE FUNCTION dbperf.pool_databases_check()
RETURNS trigger
AS 'MODULE_PATHNAME', 'dbperf_pool_databases_check'
LANGUAGE C VOLATILE;
REVOKE ALL ON FUNCTION dbperf.pool_databases_check() FROM PUBLIC;
COMMENT ON FUNCTION dbperf.pool_databases_check() IS
'refuses rows of pool_databases that mean nothing, and any outside dbperf.database';

CREATE FUNCTION dbperf.pool_roles_check()
RETURNS trigger
AS 'MODULE_PATHNAME', 'dbperf_pool_roles_check'
LANGUAGE C VOLATILE;
REVOKE ALL ON FUNCTION dbperf.pool_roles_check() FROM PUBLIC;
COMMENT ON FUNCTION dbperf.pool_roles_check() IS
'refuses rows of pool_roles that mean nothing, and any outside dbperf.database';

CREATE TRIGGER pool_databases_check AFTER INSERT OR UPDATE OR DELETE
    ON dbperf.pool_databases FOR EACH ROW EXECUTE FUNCTION dbperf.pool_databases_check();
CREATE TRIGGER pool_databases_truncate AFTER TRUNCATE
    ON dbperf.pool_databases EXECUTE FUNCTION dbperf.pool_databases_check();
CREATE TRIGGER pool_roles_check AFTER INSERT OR UPDATE OR DELETE
    ON dbperf.pool_roles FOR EACH ROW EXECUTE FUNCTION dbperf.pool_roles_check();
CREATE TRIGGER pool_roles_truncate AFTER TRUNCATE
    ON dbperf.pool_roles EXECUTE FUNCTION dbperf.pool_roles_check();
TRUNCATE dbperf.pool_roles; -- a running pool hears that the tables are there

--
-- pool: what its clients and server connections do
--

CREATE FUNCTION dbperf.pool_stats(
    OUT database_name name,
    OUT user_name name,
    OUT clients_active bigint,
    OUT clients_waiting bigint,
    OUT servers_active bigint,
    OUT servers_idle bigint,
    OUT servers_used bigint,
    OUT servers_other bigint,
    OUT max_wait_ms float8,
    OUT longest_wait_ms float8,
    OUT transactions bigint,
    OUT rollbacks bigint,
    OUT queries bigint,
    OUT bytes_received bigint,
    OUT bytes_sent bigint,
    OUT wait_ms float8,
    OUT query_ms float8,
    OUT xact_ms float8,
    OUT server_connects bigint,
    OUT paused bool,
    OUT as_of timestamptz
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_pool_stats'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.pool_stats() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.pool_stats() TO pg_monitor;
COMMENT ON FUNCTION dbperf.pool_stats() IS
'see the view pool_stats';

CREATE VIEW dbperf.pool_stats AS
    SELECT * FROM dbperf.pool_stats();
REVOKE ALL ON dbperf.pool_stats FROM PUBLIC;
GRANT SELECT ON dbperf.pool_stats TO pg_monitor;
COMMENT ON VIEW dbperf.pool_stats IS
'what the connection pool does, a row for each database (user_name is null) and one for each of its roles; counters run since the start of the server, across restarts of PgBouncer; clients, servers and waits are those of as_of, at most a second ago unless a process does not answer';
COMMENT ON COLUMN dbperf.pool_stats.database_name IS
'null: databases and roles that had to make room for others, of which 64 and 256 are kept';
COMMENT ON COLUMN dbperf.pool_stats.user_name IS
'null: all roles of the database together, and what PgBouncer counts only so';
COMMENT ON COLUMN dbperf.pool_stats.clients_active IS
'clients that have a server connection, or need none at the moment';
COMMENT ON COLUMN dbperf.pool_stats.clients_waiting IS
'clients that wait for a server connection';
COMMENT ON COLUMN dbperf.pool_stats.servers_active IS
'server connections that a client has';
COMMENT ON COLUMN dbperf.pool_stats.servers_idle IS
'server connections that can be used at once';
COMMENT ON COLUMN dbperf.pool_stats.servers_used IS
'server connections that were idle for some time and are checked before the next use';
COMMENT ON COLUMN dbperf.pool_stats.servers_other IS
'server connections that are logging in, being checked, or being cancelled';
COMMENT ON COLUMN dbperf.pool_stats.max_wait_ms IS
'how long the client has waited that waits longest now';
COMMENT ON COLUMN dbperf.pool_stats.longest_wait_ms IS
'the highest max_wait_ms that was seen, looking once a second';
COMMENT ON COLUMN dbperf.pool_stats.transactions IS
'of a database: as PgBouncer counts them, from its clients; of a role: as its server processes count them, which is the same but for the last second';
COMMENT ON COLUMN dbperf.pool_stats.rollbacks IS
'transactions that did not commit, counted by the server processes';
COMMENT ON COLUMN dbperf.pool_stats.bytes_received IS
'bytes that clients sent';
COMMENT ON COLUMN dbperf.pool_stats.bytes_sent IS
'bytes that clients were sent';
COMMENT ON COLUMN dbperf.pool_stats.wait_ms IS
'time that clients waited for a server connection, all together';
COMMENT ON COLUMN dbperf.pool_stats.query_ms IS
'time from the arrival of queries at the pool to their answers, waits for a server connection included';
COMMENT ON COLUMN dbperf.pool_stats.xact_ms IS
'time that the server processes of the pool were in transactions, waits for a server connection not included';
COMMENT ON COLUMN dbperf.pool_stats.server_connects IS
'connections that the pool opened to this server';
COMMENT ON COLUMN dbperf.pool_stats.paused IS
'whether the database is paused in one of the processes at least, see pool_pause(); one without clients is not seen to be';

CREATE FUNCTION dbperf.pool_efficiency(
    OUT database_name name,
    OUT period text,
    OUT transactions bigint,
    OUT server_connects bigint,
    OUT samples bigint,
    OUT wait_ms float8,
    OUT xact_ms float8,
    OUT reuse float8,
    OUT wait_share float8,
    OUT utilisation float8,
    OUT saturation float8,
    OUT multiplexing float8,
    OUT wait_p50_ms float8,
    OUT wait_p95_ms float8,
    OUT wait_p99_ms float8
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_pool_efficiency'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.pool_efficiency() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.pool_efficiency() TO pg_monitor;
COMMENT ON FUNCTION dbperf.pool_efficiency() IS
'see the view pool_efficiency';

CREATE VIEW dbperf.pool_efficiency AS
    SELECT * FROM dbperf.pool_efficiency();
REVOKE ALL ON dbperf.pool_efficiency FROM PUBLIC;
GRANT SELECT ON dbperf.pool_efficiency TO pg_monitor;
COMMENT ON VIEW dbperf.pool_efficiency IS
'how well the connection pool does its work, for each database and for all (database_name is null), since the start of the server (lifetime) and in the last 5 minutes; ratios are from 0 to 1, multiplexing apart, and null if there was nothing to measure';
COMMENT ON COLUMN dbperf.pool_efficiency.samples IS
'times, about one a second, that the database was looked at while it had clients or server connections';
COMMENT ON COLUMN dbperf.pool_efficiency.reuse IS
'share of transactions that needed no new server connection: 1 - server_connects / transactions';
COMMENT ON COLUMN dbperf.pool_efficiency.wait_share IS
'share of the time of clients'' transactions, from their arrival at the pool, in which they waited for a server connection: wait_ms / (wait_ms + xact_ms)';
COMMENT ON COLUMN dbperf.pool_efficiency.utilisation IS
'share of the time that server connections existed, by the samples, that they were in transactions';
COMMENT ON COLUMN dbperf.pool_efficiency.saturation IS
'share of samples in which a client waited for a server connection';
COMMENT ON COLUMN dbperf.pool_efficiency.multiplexing IS
'clients for each server connection, mean of all samples';
COMMENT ON COLUMN dbperf.pool_efficiency.wait_p50_ms IS
'half of the transactions ended in a second in which the mean wait for a server connection was at most this: from samples of one second, in steps of a factor of 1.4';
COMMENT ON COLUMN dbperf.pool_efficiency.wait_p95_ms IS
'the same for 95 of 100 transactions';
COMMENT ON COLUMN dbperf.pool_efficiency.wait_p99_ms IS
'the same for 99 of 100 transactions';

CREATE FUNCTION dbperf.pool_clients(
    OUT id text,
    OUT process int,
    OUT database_name name,
    OUT user_name name,
    OUT state text,
    OUT client_addr inet,
    OUT client_port int,
    OUT client_pid int,
    OUT connected_at timestamptz,
    OUT last_request_at timestamptz,
    OUT application_name text,
    OUT wait_ms float8,
    OUT server_pid int,
    OUT tls text
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_pool_clients'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.pool_clients() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.pool_clients() TO pg_monitor;
COMMENT ON FUNCTION dbperf.pool_clients() IS
'see the view pool_clients';

CREATE VIEW dbperf.pool_clients AS
    SELECT * FROM dbperf.pool_clients();
REVOKE ALL ON dbperf.pool_clients FROM PUBLIC;
GRANT SELECT ON dbperf.pool_clients TO pg_monitor;
COMMENT ON VIEW dbperf.pool_clients IS
'who is connected to the pool, asked from its processes now; those of a process that does not answer within 2 s are missing, with a warning';
COMMENT ON COLUMN dbperf.pool_clients.id IS
'for pool_kill_client(); null before PgBouncer 1.24';
COMMENT ON COLUMN dbperf.pool_clients.process IS
'number of the process in pool_status';
COMMENT ON COLUMN dbperf.pool_clients.state IS
'PgBouncer''s word for it: active, idle, waiting and others';
COMMENT ON COLUMN dbperf.pool_clients.client_addr IS
'null: connected by unix socket';
COMMENT ON COLUMN dbperf.pool_clients.client_pid IS
'process of the client; only known of unix sockets';
COMMENT ON COLUMN dbperf.pool_clients.wait_ms IS
'how long it has waited for a server connection, if it waits';
COMMENT ON COLUMN dbperf.pool_clients.server_pid IS
'the server process that works for it now, as in pg_stat_activity';
COMMENT ON COLUMN dbperf.pool_clients.tls IS
'protocol and cipher; null: not encrypted';

CREATE FUNCTION dbperf.pool_servers(
    OUT pid int,
    OUT process int,
    OUT database_name name,
    OUT user_name name,
    OUT state text,
    OUT connected_at timestamptz,
    OUT last_request_at timestamptz,
    OUT application_name text,
    OUT client_id text,
    OUT client_addr inet,
    OUT close_needed bool
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_pool_servers'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.pool_servers() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.pool_servers() TO pg_monitor;
COMMENT ON FUNCTION dbperf.pool_servers() IS
'see the view pool_servers';

CREATE VIEW dbperf.pool_servers AS
    SELECT * FROM dbperf.pool_servers();
REVOKE ALL ON dbperf.pool_servers FROM PUBLIC;
GRANT SELECT ON dbperf.pool_servers TO pg_monitor;
COMMENT ON VIEW dbperf.pool_servers IS
'the connections of the pool to this server, asked from its processes now; those of a process that does not answer within 2 s are missing, with a warning';
COMMENT ON COLUMN dbperf.pool_servers.pid IS
'the server process, as in pg_stat_activity';
COMMENT ON COLUMN dbperf.pool_servers.process IS
'number of the process in pool_status';
COMMENT ON COLUMN dbperf.pool_servers.state IS
'PgBouncer''s word for it: active, idle, used, login and others';
COMMENT ON COLUMN dbperf.pool_servers.client_id IS
'the client that has it now, see pool_clients; null before PgBouncer 1.24';
COMMENT ON COLUMN dbperf.pool_servers.close_needed IS
'whether it is closed as soon as it is free';

--
-- pool: control and advice
--

CREATE FUNCTION dbperf.pool_reload()
RETURNS int
AS 'MODULE_PATHNAME', 'dbperf_pool_reload'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.pool_reload() FROM PUBLIC;
COMMENT ON FUNCTION dbperf.pool_reload() IS
'has all processes of the connection pool read their files again, certificates included; returns how many did; changed settings, roles and limits are taken over without it';

CREATE FUNCTION dbperf.pool_pause(database text)
RETURNS void
AS 'MODULE_PATHNAME', 'dbperf_pool_pause'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.pool_pause(text) FROM PUBLIC;
COMMENT ON FUNCTION dbperf.pool_pause(text) IS
'lets the pool''s clients of a database wait until pool_resume(), and returns when the pool has no server connection to it any more, which waits for transactions, in session mode for clients; if it fails or is cancelled, the database is resumed';

CREATE FUNCTION dbperf.pool_resume(database text)
RETURNS bool
AS 'MODULE_PATHNAME', 'dbperf_pool_resume'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.pool_resume(text) FROM PUBLIC;
COMMENT ON FUNCTION dbperf.pool_resume(text) IS
'ends pool_pause(); returns whether the database was paused';

CREATE FUNCTION dbperf.pool_reconnect(database text)
RETURNS void
AS 'MODULE_PATHNAME', 'dbperf_pool_reconnect'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.pool_reconnect(text) FROM PUBLIC;
COMMENT ON FUNCTION dbperf.pool_reconnect(text) IS
'replaces the pool''s server connections to a database by new ones, each when it is free, for example after ALTER ROLE or ALTER DATABASE ... SET';

CREATE FUNCTION dbperf.pool_kill_client(id text)
RETURNS bool
AS 'MODULE_PATHNAME', 'dbperf_pool_kill_client'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.pool_kill_client(text) FROM PUBLIC;
COMMENT ON FUNCTION dbperf.pool_kill_client(text) IS
'ends the connection of a client of the pool, by its id in pool_clients; returns whether it was there; needs PgBouncer 1.24';

CREATE FUNCTION dbperf.pool_advice(
    OUT database_name name,
    OUT user_name name,
    OUT setting text,
    OUT current bigint,
    OUT recommended bigint,
    OUT reason text
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_pool_advice'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.pool_advice() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.pool_advice() TO pg_monitor;
COMMENT ON FUNCTION dbperf.pool_advice() IS
'which sizes the work of the last 5 minutes asks for, and why: a row for each database and role that was seen at work at least 20 times (recommended is current if it fits; setting is a column of pool_databases or pool_roles if a row there decides), and one for each limit of the whole pool that was reached; sizes are server connections of all processes together; no recommendation: to be decided between several settings';

--
-- pool: session features that do not survive in it
--

CREATE FUNCTION dbperf.pool_guard_counts(
    OUT database_name name,
    OUT user_name name,
    OUT feature text,
    OUT transactions bigint,
    OUT last_seen timestamptz,
    OUT example text
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_pool_guard_counts'
LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
REVOKE ALL ON FUNCTION dbperf.pool_guard_counts() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.pool_guard_counts() TO pg_monitor;
COMMENT ON FUNCTION dbperf.pool_guard_counts() IS
'what the view pool_guard_counts shows';

CREATE VIEW dbperf.pool_guard_counts AS
    SELECT g.database_name,
           g.user_name,
           g.feature,
           g.transactions,
           g.last_seen,
           g.example
      FROM dbperf.pool_guard_counts() AS g;
REVOKE ALL ON dbperf.pool_guard_counts FROM PUBLIC;
GRANT SELECT ON dbperf.pool_guard_counts TO pg_monitor;
COMMENT ON VIEW dbperf.pool_guard_counts IS
'uses of session features that do not survive in a pool in transaction or statement mode, since the server started: "set" (SET without LOCAL, set_config), "listen", "advisory lock" (of the session), "cursor with hold", "temporary object" (not dropped on commit), "prepare" (the SQL command), "load"; in how many transactions a role used each in a database, refused ones included, when last, and an example; settings that PgBouncer keeps for its clients do not count; role and database are null if they were dropped, or if there are more pairs than are kept apart (256)';
COMMENT ON COLUMN dbperf.pool_guard_counts.transactions IS
'transactions of the role, through the pool, that used it, however often in each';
COMMENT ON COLUMN dbperf.pool_guard_counts.example IS
'what the last server connection that began to use it did, without names of objects but with those of settings';

--
-- plans: findings of plans
--

CREATE FUNCTION dbperf.plan_findings(
    OUT slow_query_id bigint,
    OUT queryid bigint,
    OUT severity text,
    OUT code text,
    OUT node text,
    OUT evidence text,
    OUT advice text,
    OUT ddl text,
    OUT setting text,
    OUT estimated_gain_ms float8
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_plan_findings'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.plan_findings() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.plan_findings() TO PUBLIC;
COMMENT ON FUNCTION dbperf.plan_findings() IS
'see the view plan_findings';

CREATE VIEW dbperf.plan_findings AS
    SELECT * FROM dbperf.plan_findings();
REVOKE ALL ON dbperf.plan_findings FROM PUBLIC;
GRANT SELECT ON dbperf.plan_findings TO PUBLIC;
COMMENT ON VIEW dbperf.plan_findings IS
'what is wrong with the plans of recorded slow statements of this database, the newest record of each query and plan, the most important finding of each first; tables are judged as they are now; other roles'' statements are shown to members of pg_read_all_stats';
COMMENT ON COLUMN dbperf.plan_findings.slow_query_id IS
'column id of slow_queries';
COMMENT ON COLUMN dbperf.plan_findings.severity IS
'critical: the gain is at least half of the statement''s time and 100 ms; warning: a tenth and 5 ms; info: less, or not known';
COMMENT ON COLUMN dbperf.plan_findings.code IS
'one of the codes that the README explains';
COMMENT ON COLUMN dbperf.plan_findings.node IS
'the node of the plan, as EXPLAIN names it; null for the whole statement';
COMMENT ON COLUMN dbperf.plan_findings.evidence IS
'what was seen, with the numbers; rows are those of all loops together unless it says so';
COMMENT ON COLUMN dbperf.plan_findings.ddl IS
'one or more SQL commands that can be run as they are';
COMMENT ON COLUMN dbperf.plan_findings.setting IS
'what to put behind SET, for this query only';
COMMENT ON COLUMN dbperf.plan_findings.estimated_gain_ms IS
'what one execution like the recorded one would save, in milliseconds, by the ddl or setting if there is one, else by the advice; null if not known';

CREATE FUNCTION dbperf.explain_slow_query(id bigint, format text DEFAULT 'text')
RETURNS text
AS 'MODULE_PATHNAME', 'dbperf_explain_slow_query'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.explain_slow_query(bigint, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.explain_slow_query(bigint, text) TO PUBLIC;
COMMENT ON FUNCTION dbperf.explain_slow_query(bigint, text) IS
'the captured plan of a record of slow_queries; format text: with the findings beside its nodes and in full below; json: as EXPLAIN (FORMAT JSON) prints plans, for programs that show them';

CREATE FUNCTION dbperf.plan_as_json(plan text)
RETURNS json
AS 'MODULE_PATHNAME', 'dbperf_plan_as_json'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
REVOKE ALL ON FUNCTION dbperf.plan_as_json(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.plan_as_json(text) TO PUBLIC;
COMMENT ON FUNCTION dbperf.plan_as_json(text) IS
'a plan in the text form of EXPLAIN, for example out of slow_query_history, as EXPLAIN (FORMAT JSON) prints it; null if it is no plan';

--
-- plans: analysis of one statement
--

CREATE FUNCTION dbperf.analyze_query(
    query text,
    execute boolean DEFAULT false,
    parameters text[] DEFAULT NULL,
    OUT severity text,
    OUT code text,
    OUT node text,
    OUT evidence text,
    OUT advice text,
    OUT ddl text,
    OUT setting text,
    OUT estimated_gain_ms float8
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_analyze_query'
LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 5;
REVOKE ALL ON FUNCTION dbperf.analyze_query(text, boolean, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.analyze_query(text, boolean, text[]) TO PUBLIC;
COMMENT ON FUNCTION dbperf.analyze_query(text, boolean, text[]) IS
'what is wrong with the plan of a statement, the most important first, as dbperf.plan_findings says it: everything with the rights of the caller; parameters are the values of $1, $2 ... as text, without them the plan is a generic one; execute runs the statement with each node timed, throws its rows away and rolls it back, for dbperf.analyze_query_timeout at most; a finding not_rolled_back says what may stay nevertheless; estimated_gain_ms is of one execution, null if not known';

--
-- plans: statistics
--

CREATE FUNCTION dbperf.suggest_statistics(
    OUT schema_name text,
    OUT table_name text,
    OUT columns text[],
    OUT kind text,
    OUT reason text,
    OUT queries bigint[],
    OUT estimated_rows float8,
    OUT actual_rows float8,
    OUT q_error float8,
    OUT q_error_after float8,
    OUT verified_on bigint,
    OUT ddl text,
    OUT fixable bool
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_suggest_statistics'
LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 20;
REVOKE ALL ON FUNCTION dbperf.suggest_statistics() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.suggest_statistics() TO PUBLIC;
COMMENT ON FUNCTION dbperf.suggest_statistics() IS
'statistics that would have made the row estimates in the recorded plans right, the worst misestimate first; reads a sample of each table with the caller''s rights. estimated_rows, actual_rows: of one execution of the worst node; q_error: by which factor they differ; q_error_after: the same with what is advised, computed from the sample with the planner''s formulas; verified_on: rows of the sample, null if there was none; ddl: can be run as it is; fixable: false if the columns are correlated but no statistics would help, null if it was not verified';

--
-- plans: advice on settings
--

CREATE FUNCTION dbperf.suggest_settings(
    OUT scope text,
    OUT setting text,
    OUT current text,
    OUT suggested text,
    OUT reason text,
    OUT queries bigint[],
    OUT estimated_gain_ms float8,
    OUT statement text
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_suggest_settings'
LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 20;
REVOKE ALL ON FUNCTION dbperf.suggest_settings() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.suggest_settings() TO PUBLIC;
COMMENT ON FUNCTION dbperf.suggest_settings() IS
'settings that the recorded statements would gain from, each with the evidence: for single queries (scope "query"), or for the server. queries: those that gain; estimated_gain_ms: milliseconds of one execution of the query, for the server of all recorded executions, null if it is not known; statement: makes the change';

--
-- plans: plan history
--

CREATE FUNCTION dbperf.plan_history(
    OUT queryid bigint,
    OUT database_name name,
    OUT user_name name,
    OUT toplevel bool,
    OUT plan_id bigint,
    OUT first_seen timestamptz,
    OUT last_seen timestamptz,
    OUT calls bigint,
    OUT mean_ms float8,
    OUT p95_ms float8,
    OUT plan text
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_plan_history'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.plan_history() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.plan_history() TO PUBLIC;
COMMENT ON FUNCTION dbperf.plan_history() IS
'what the view plan_history shows';

CREATE VIEW dbperf.plan_history AS
    SELECT h.queryid, h.database_name, h.user_name, h.toplevel, h.plan_id,
           h.first_seen, h.last_seen, h.calls, h.mean_ms, h.p95_ms, h.plan
      FROM dbperf.plan_history() AS h;
REVOKE ALL ON dbperf.plan_history FROM PUBLIC;
GRANT SELECT ON dbperf.plan_history TO PUBLIC;
COMMENT ON VIEW dbperf.plan_history IS
'each plan that a query was executed with, how often, and its mean latency and 95th percentile in milliseconds; up to eight plans of a query are kept apart, a row without plan_id is the sum of its executions with others or whose plan is not known; ids and plans of other roles are shown to members of pg_read_all_stats only';
COMMENT ON COLUMN dbperf.plan_history.plan_id IS
'the plan_id of slow_queries: a hash of the plan''s nodes, relations and indexes, the same for all constants';
COMMENT ON COLUMN dbperf.plan_history.plan IS
'the plan as EXPLAIN printed it at its first execution, at most 4 kB of it, masked as dbperf.redact says; null if there was no room for it';

CREATE FUNCTION dbperf.plan_regressions(
    OUT queryid bigint,
    OUT database_name name,
    OUT user_name name,
    OUT toplevel bool,
    OUT old_plan_id bigint,
    OUT new_plan_id bigint,
    OUT first_seen timestamptz,
    OUT old_calls bigint,
    OUT old_p50_ms float8,
    OUT old_mean_ms float8,
    OUT old_p95_ms float8,
    OUT new_calls bigint,
    OUT new_p50_ms float8,
    OUT new_mean_ms float8,
    OUT new_p95_ms float8,
    OUT factor float8,
    OUT confidence float8,
    OUT difference text,
    OUT old_plan text,
    OUT new_plan text
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_plan_regressions_list'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.plan_regressions() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.plan_regressions() TO PUBLIC;
COMMENT ON FUNCTION dbperf.plan_regressions() IS
'what the view plan_regressions shows';

CREATE VIEW dbperf.plan_regressions AS
    SELECT r.queryid, r.database_name, r.user_name, r.toplevel, r.old_plan_id, r.new_plan_id,
           r.first_seen, r.old_calls, r.old_p50_ms, r.old_mean_ms, r.old_p95_ms,
           r.new_calls, r.new_p50_ms, r.new_mean_ms, r.new_p95_ms,
           r.factor, r.confidence, r.difference, r.old_plan, r.new_plan
      FROM dbperf.plan_regressions() AS r;
REVOKE ALL ON dbperf.plan_regressions FROM PUBLIC;
GRANT SELECT ON dbperf.plan_regressions TO PUBLIC;
COMMENT ON VIEW dbperf.plan_regressions IS
'queries that became slower, by a new plan or with the same one: at least 30 executions before and after, at least 1.5 times slower in both median and mean, three of four executions longer than one before, and a rank test with p < 0.001; latencies in milliseconds; ids, plans and difference of other roles are shown to members of pg_read_all_stats only';
COMMENT ON COLUMN dbperf.plan_regressions.first_seen IS
'since when: the first execution with the new plan, or the window of latencies in which the plan became slower';
COMMENT ON COLUMN dbperf.plan_regressions.factor IS
'how much slower: the lesser of the ratios of medians and of means without the extreme twentieths';
COMMENT ON COLUMN dbperf.plan_regressions.confidence IS
'1 minus the chance (0 to 1) of such a difference if nothing had changed';
COMMENT ON COLUMN dbperf.plan_regressions.difference IS
'what differs between the plans, in one sentence';

CREATE FUNCTION dbperf.compare_latencies(
    before float8[],
    after float8[],
    OUT slower bool,
    OUT factor float8,
    OUT superiority float8,
    OUT z float8,
    OUT p float8
)
RETURNS record
AS 'MODULE_PATHNAME', 'dbperf_compare_latencies'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
REVOKE ALL ON FUNCTION dbperf.compare_latencies(float8[], float8[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.compare_latencies(float8[], float8[]) TO PUBLIC;
COMMENT ON FUNCTION dbperf.compare_latencies(float8[], float8[]) IS
'whether latencies (milliseconds) became slower, judged as plan_regressions does: factor is the lesser of the ratios of medians and trimmed means, superiority the chance that one of after exceeds one of before, z and p those of the rank test';

--
-- plans: settings of single queries
--

CREATE TABLE dbperf.query_settings (
    queryid bigint PRIMARY KEY,
    settings jsonb NOT NULL,
    enabled bool NOT NULL DEFAULT true,
    note text,
    created timestamptz NOT NULL DEFAULT pg_catalog.now()
);
-- read while statements are planned, where what is stored apart cannot be fetched
ALTER TABLE dbperf.query_settings ALTER COLUMN settings SET STORAGE MAIN;
REVOKE ALL ON dbperf.query_settings FROM PUBLIC;
GRANT SELECT ON dbperf.query_settings TO pg_read_all_stats;
SELECT pg_catalog.pg_extension_config_dump('dbperf.query_settings', '');
COMMENT ON TABLE dbperf.query_settings IS
'settings of the planner and of memory that are in force while a query of this database is planned and executed, by whatever role; written by set_query_settings() and clear_query_settings()';
COMMENT ON COLUMN dbperf.query_settings.queryid IS
'the query, as in pg_stat_statements; utility commands have no settings';
COMMENT ON COLUMN dbperf.query_settings.settings IS
'an object of names and values; those of accepted_settings()';
COMMENT ON COLUMN dbperf.query_settings.enabled IS
'false: not in force';
COMMENT ON COLUMN dbperf.query_settings.created IS
'when these settings were given';

-- Counters belong to one server, and so are not worth being dumped.
CREATE TABLE dbperf.query_settings_baseline (
    queryid bigint PRIMARY KEY,
    taken timestamptz NOT NULL,
    calls bigint,
    mean_ms float8,
    p95_ms float8,
    state bigint[] NOT NULL
);
REVOKE ALL ON dbperf.query_settings_baseline FROM PUBLIC;
COMMENT ON TABLE dbperf.query_settings_baseline IS
'how queries with settings did before they had them, and where their counters were then; what query_settings_effect compares with';
COMMENT ON COLUMN dbperf.query_settings_baseline.state IS
'counters of the query when its settings were last given or cleared: when its oldest histogram began, total time in ns, then a histogram';

CREATE FUNCTION dbperf.query_settings_changed()
RETURNS trigger
AS 'MODULE_PATHNAME', 'dbperf_query_settings_changed'
LANGUAGE C VOLATILE;
REVOKE ALL ON FUNCTION dbperf.query_settings_changed() FROM PUBLIC;
COMMENT ON FUNCTION dbperf.query_settings_changed() IS
'tells all sessions that settings of queries were changed';

CREATE TRIGGER query_settings_changed AFTER INSERT OR UPDATE OR DELETE
    ON dbperf.query_settings FOR EACH ROW EXECUTE FUNCTION dbperf.query_settings_changed();
CREATE TRIGGER query_settings_truncated AFTER TRUNCATE
    ON dbperf.query_settings EXECUTE FUNCTION dbperf.query_settings_changed();
ALTER TABLE dbperf.query_settings ENABLE ALWAYS TRIGGER query_settings_changed;
ALTER TABLE dbperf.query_settings ENABLE ALWAYS TRIGGER query_settings_truncated;

CREATE FUNCTION dbperf.accepted_settings()
RETURNS text[]
AS 'MODULE_PATHNAME', 'dbperf_accepted_settings'
LANGUAGE C STABLE STRICT PARALLEL SAFE;
REVOKE ALL ON FUNCTION dbperf.accepted_settings() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.accepted_settings() TO PUBLIC;
COMMENT ON FUNCTION dbperf.accepted_settings() IS
'the settings that set_query_settings() accepts and this server knows';

CREATE FUNCTION dbperf.set_query_settings(queryid bigint, settings jsonb, note text DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'dbperf_set_query_settings'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.set_query_settings(bigint, jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION dbperf.set_query_settings(bigint, jsonb, text) IS
'gives a query of this database settings, in place of those that it has, for all roles and sessions from their next execution of it on; values as SET takes them: {"work_mem": "64MB", "enable_nestloop": false}';

CREATE FUNCTION dbperf.clear_query_settings(queryid bigint)
RETURNS void
AS 'MODULE_PATHNAME', 'dbperf_clear_query_settings'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.clear_query_settings(bigint) FROM PUBLIC;
COMMENT ON FUNCTION dbperf.clear_query_settings(bigint) IS
'takes the settings of a query away';

CREATE FUNCTION dbperf.query_settings_latency(
    queryid bigint,
    state bigint[],
    OUT calls bigint,
    OUT mean_ms float8,
    OUT p95_ms float8
)
RETURNS record
AS 'MODULE_PATHNAME', 'dbperf_query_settings_latency'
LANGUAGE C VOLATILE PARALLEL SAFE;
REVOKE ALL ON FUNCTION dbperf.query_settings_latency(bigint, bigint[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.query_settings_latency(bigint, bigint[]) TO pg_read_all_stats;
COMMENT ON FUNCTION dbperf.query_settings_latency(bigint, bigint[]) IS
'executions of a query, by all roles, since that state of its counters was taken: how many, and their mean and 95th percentile in ms; all that were counted if state is null or counting began anew since';

CREATE VIEW dbperf.query_settings_effect AS
    SELECT s.queryid,
           s.settings,
           s.enabled,
           s.note,
           s.created,
           b.calls AS calls_before,
           b.mean_ms AS mean_before_ms,
           b.p95_ms AS p95_before_ms,
           l.calls AS calls_after,
           l.mean_ms AS mean_after_ms,
           l.p95_ms AS p95_after_ms
      FROM dbperf.query_settings AS s
      LEFT JOIN dbperf.query_settings_baseline AS b
           ON b.queryid OPERATOR(pg_catalog.=) s.queryid
     CROSS JOIN LATERAL dbperf.query_settings_latency(s.queryid, b.state) AS l;
REVOKE ALL ON dbperf.query_settings_effect FROM PUBLIC;
GRANT SELECT ON dbperf.query_settings_effect TO pg_read_all_stats;
COMMENT ON VIEW dbperf.query_settings_effect IS
'queries with settings: executions before they had any and since the present ones were given, with mean and 95th percentile of their time in ms (planning not included); before: since counting began or since the query last had settings, kept when they were given; after: null without an execution, and since counting began anew if that is later: after a crash or a reset';
COMMENT ON COLUMN dbperf.query_settings_effect.calls_before IS
'executions without settings that the next two columns are about; null if there was none, or if the row was not written by set_query_settings()';

--
-- cluster: nodes
--

CREATE TABLE dbperf.nodes (
    name text PRIMARY KEY,
    server_name text NOT NULL,
    role_name text NOT NULL DEFAULT CURRENT_USER,
    added_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
REVOKE ALL ON dbperf.nodes FROM PUBLIC;
GRANT SELECT ON dbperf.nodes TO pg_monitor;
SELECT pg_catalog.pg_extension_config_dump('dbperf.nodes', '');
COMMENT ON TABLE dbperf.nodes IS
'other servers that are asked what they do, each a database; kept in dbperf.database only';
COMMENT ON COLUMN dbperf.nodes.server_name IS
'foreign server of postgres_fdw in this database, which says where the node is';
COMMENT ON COLUMN dbperf.nodes.role_name IS
'role whose user mapping for that server is used';

CREATE FUNCTION dbperf.nodes_check()
RETURNS trigger
AS 'MODULE_PATHNAME', 'dbperf_nodes_check'
LANGUAGE C VOLATILE;
REVOKE ALL ON FUNCTION dbperf.nodes_check() FROM PUBLIC;
COMMENT ON FUNCTION dbperf.nodes_check() IS
'refuses nodes that cannot be, those with a user mapping of another role unless a superuser adds them, and any outside dbperf.database';

CREATE TRIGGER nodes_check AFTER INSERT OR UPDATE OR DELETE
    ON dbperf.nodes FOR EACH ROW EXECUTE FUNCTION dbperf.nodes_check();
CREATE TRIGGER nodes_truncate AFTER TRUNCATE
    ON dbperf.nodes EXECUTE FUNCTION dbperf.nodes_check();

CREATE FUNCTION dbperf.add_node(name text, server text)
RETURNS void
AS 'MODULE_PATHNAME', 'dbperf_add_node'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.add_node(text, text) FROM PUBLIC;
COMMENT ON FUNCTION dbperf.add_node(text, text) IS
'has a server asked from now on, by the name of a foreign server of postgres_fdw and with the caller''s user mapping for it; in dbperf.database only';

CREATE FUNCTION dbperf.remove_node(name text)
RETURNS bool
AS 'MODULE_PATHNAME', 'dbperf_remove_node'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.remove_node(text) FROM PUBLIC;
COMMENT ON FUNCTION dbperf.remove_node(text) IS
'has a node that the caller has added, any for superusers, not asked any more; false if there is none of that name';

CREATE FUNCTION dbperf.poll_nodes()
RETURNS bool
AS 'MODULE_PATHNAME', 'dbperf_poll_nodes'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.poll_nodes() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.poll_nodes() TO pg_monitor;
COMMENT ON FUNCTION dbperf.poll_nodes() IS
'asks all nodes now, and waits until they have answered: at most a second longer than dbperf.node_timeout, or twice that time if a round is on already; false if it has waited in vain';

CREATE FUNCTION dbperf.node_status(
    OUT node text,
    OUT server_name text,
    OUT role_name text,
    OUT state text,
    OUT server_role text,
    OUT same_system bool,
    OUT database_name text,
    OUT server_version text,
    OUT dbperf_version text,
    OUT lag_seconds float8,
    OUT lag_bytes bigint,
    OUT asked_at timestamptz,
    OUT answered_at timestamptz,
    OUT error text
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_node_status'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 10;
REVOKE ALL ON FUNCTION dbperf.node_status() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.node_status() TO pg_monitor;
COMMENT ON FUNCTION dbperf.node_status() IS
'the rows of the view node_status';

CREATE VIEW dbperf.node_status AS
    SELECT s.node, s.server_name, s.role_name, s.state, s.server_role, s.same_system,
           s.database_name, s.server_version, s.dbperf_version, s.lag_seconds, s.lag_bytes,
           s.asked_at, s.answered_at,
           pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) s.answered_at AS age, s.error
      FROM dbperf.node_status() AS s;
REVOKE ALL ON dbperf.node_status FROM PUBLIC;
GRANT SELECT ON dbperf.node_status TO pg_monitor;
COMMENT ON VIEW dbperf.node_status IS
'nodes as they were when they last answered, in every database; state: reached, stale (its last answer is three rounds old), unreached (error says why), not asked; same_system: it has this server''s system identifier, so that it is a replica; lag: of its replay, in seconds by its own clock, in bytes behind this server';

CREATE FUNCTION dbperf.node_answers(
    part text,
    OUT node text,
    OUT age interval,
    OUT error text,
    OUT answer jsonb
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_node_answers'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 10;
REVOKE ALL ON FUNCTION dbperf.node_answers(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.node_answers(text) TO pg_monitor;
COMMENT ON FUNCTION dbperf.node_answers(text) IS
'the last answers of all nodes to one question (slow_queries, query_latency, index_usage, health), as an array of rows; age: time since the node last answered; error: why there is no answer';

CREATE VIEW dbperf.index_usage AS
    SELECT s.schemaname AS schema_name,
           s.relname AS table_name,
           s.indexrelname AS index_name,
           i.indisunique AS is_unique,
           s.idx_scan AS scans,
           (pg_catalog.to_jsonb(s) OPERATOR(pg_catalog.->>) 'last_idx_scan')::timestamptz AS last_scan,
           s.idx_tup_read AS tuples_read,
           s.idx_tup_fetch AS tuples_fetched,
           c.relpages::bigint OPERATOR(pg_catalog.*)
               pg_catalog.current_setting('block_size')::bigint AS size_bytes
      FROM pg_catalog.pg_stat_user_indexes AS s
      JOIN pg_catalog.pg_index AS i ON i.indexrelid OPERATOR(pg_catalog.=) s.indexrelid
      JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) s.indexrelid;
REVOKE ALL ON dbperf.index_usage FROM PUBLIC;
GRANT SELECT ON dbperf.index_usage TO PUBLIC;
COMMENT ON VIEW dbperf.index_usage IS
'indexes of the current database with their scans since statistics were reset; last_scan: PostgreSQL 16 and later; size in bytes when the table was last vacuumed or analyzed';

CREATE VIEW dbperf.cluster_slow_queries AS
    SELECT 'local'::text AS node, l.*, interval '0' AS age, NULL::text AS error
      FROM dbperf.slow_queries AS l
    UNION ALL
    SELECT a.node, r.*, a.age, a.error
      FROM dbperf.node_answers('slow_queries') AS a
     CROSS JOIN LATERAL pg_catalog.jsonb_populate_recordset(NULL::dbperf.slow_queries,
           COALESCE(a.answer, '[{}]')) AS r;
REVOKE ALL ON dbperf.cluster_slow_queries FROM PUBLIC;
GRANT SELECT ON dbperf.cluster_slow_queries TO pg_monitor;
COMMENT ON VIEW dbperf.cluster_slow_queries IS
'slow_queries of this server (node local) and of all nodes: the newest 100 slow statements of each node that fit into 60 kB, texts cut at 2000 characters and plans at 4000; for members of pg_read_all_stats; age: time since the node answered; one that did not is a row with its error';

CREATE VIEW dbperf.cluster_query_latency AS
    SELECT 'local'::text AS node, l.*, interval '0' AS age, NULL::text AS error
      FROM dbperf.query_latency AS l
    UNION ALL
    SELECT a.node, r.*, a.age, a.error
      FROM dbperf.node_answers('query_latency') AS a
     CROSS JOIN LATERAL pg_catalog.jsonb_populate_recordset(NULL::dbperf.query_latency,
           COALESCE(a.answer, '[{}]')) AS r;
REVOKE ALL ON dbperf.cluster_query_latency FROM PUBLIC;
GRANT SELECT ON dbperf.cluster_query_latency TO pg_monitor;
COMMENT ON VIEW dbperf.cluster_query_latency IS
'query_latency of this server (node local) and of all nodes: the 200 rows of each node that stand for most time; for members of pg_read_all_stats; age: time since the node answered; one that did not is a row with its error';

CREATE VIEW dbperf.cluster_index_usage AS
    SELECT 'local'::text AS node, l.*, interval '0' AS age, NULL::text AS error
      FROM dbperf.index_usage AS l
    UNION ALL
    SELECT a.node, r.*, a.age, a.error
      FROM dbperf.node_answers('index_usage') AS a
     CROSS JOIN LATERAL pg_catalog.jsonb_populate_recordset(NULL::dbperf.index_usage,
           COALESCE(a.answer, '[{}]')) AS r;
REVOKE ALL ON dbperf.cluster_index_usage FROM PUBLIC;
GRANT SELECT ON dbperf.cluster_index_usage TO pg_monitor;
COMMENT ON VIEW dbperf.cluster_index_usage IS
'index_usage of this server (node local) and of all nodes: the 400 largest indexes of each nodes database; age: time since the node answered; one that did not is a row with its error';

--
-- metrics: the catalogue
--

CREATE FUNCTION dbperf.metrics(
    OUT name text,
    OUT type text,
    OUT help text,
    OUT labels jsonb,
    OUT value float8
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_metrics'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 500;
REVOKE ALL ON FUNCTION dbperf.metrics() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.metrics() TO pg_monitor;
COMMENT ON FUNCTION dbperf.metrics() IS
'see the view metrics';

CREATE VIEW dbperf.metrics AS
    SELECT * FROM dbperf.metrics();
REVOKE ALL ON dbperf.metrics FROM PUBLIC;
GRANT SELECT ON dbperf.metrics TO pg_monitor;
COMMENT ON VIEW dbperf.metrics IS
'all metrics as they are now, by Prometheus'' conventions: of the whole server unless a label says of what; seconds, bytes and ratios from 0 to 1; queries have their own (dbperf_query_...) if they are among the dbperf.metrics_top_queries that took most time';
COMMENT ON COLUMN dbperf.metrics.name IS
'a histogram has rows of its name with _bucket, _sum and _count';
COMMENT ON COLUMN dbperf.metrics.type IS
'counter (only grows, until the server is started anew or it is reset), gauge, or histogram';
COMMENT ON COLUMN dbperf.metrics.labels IS
'what tells rows of the same name apart; le of a _bucket: it counts what took at most so many seconds';

CREATE FUNCTION dbperf.prometheus()
RETURNS text
AS 'MODULE_PATHNAME', 'dbperf_prometheus'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.prometheus() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.prometheus() TO pg_monitor;
COMMENT ON FUNCTION dbperf.prometheus() IS
'all metrics in Prometheus'' text exposition format 0.0.4';

--
-- metrics: history
--

CREATE TABLE dbperf.metrics_series (
    set_id int NOT NULL,
    position int NOT NULL,
    identity text NOT NULL,
    name text NOT NULL,
    labels jsonb NOT NULL,
    counter bool NOT NULL,
    added_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (set_id, position)
);
REVOKE ALL ON dbperf.metrics_series FROM PUBLIC;
GRANT SELECT ON dbperf.metrics_series TO pg_monitor;
COMMENT ON TABLE dbperf.metrics_series IS
'what the numbers of metrics_samples are: a sample has a set, and the number at a position is that of the series at this position of its set';
COMMENT ON COLUMN dbperf.metrics_series.identity IS
'name and labels together, as the sampler compares them';
COMMENT ON COLUMN dbperf.metrics_series.counter IS
'whether it only grows, until it begins anew from 0; else it is a gauge';

CREATE TABLE dbperf.metrics_members (
    tier int NOT NULL CHECK (tier OPERATOR(pg_catalog.>=) 1 AND tier OPERATOR(pg_catalog.<=) 3),
    member int NOT NULL CHECK (member OPERATOR(pg_catalog.>=) 1 AND member OPERATOR(pg_catalog.<=) 5),
    turn bigint NOT NULL,
    began timestamptz NOT NULL,
    PRIMARY KEY (tier, member)
);
REVOKE ALL ON dbperf.metrics_members FROM PUBLIC;
GRANT SELECT ON dbperf.metrics_members TO pg_monitor;
COMMENT ON TABLE dbperf.metrics_members IS
'the tables that samples are kept in, metrics_samples_<tier><member>: the one with the highest turn of its tier is being filled since began, for a quarter of the time that the tier reaches back; then the one with the lowest is emptied and filled';

CREATE TABLE dbperf.metrics_samples (
    sampled_at timestamptz NOT NULL,
    started_at timestamptz NOT NULL,
    set_id int NOT NULL,
    step int NOT NULL,
    member int NOT NULL,
    numbers float8[] NOT NULL
) PARTITION BY LIST (member);
CREATE INDEX metrics_samples_sampled_at ON dbperf.metrics_samples (sampled_at);
REVOKE ALL ON dbperf.metrics_samples FROM PUBLIC;
COMMENT ON TABLE dbperf.metrics_samples IS
'samples of metrics, as metrics_history shows them: when the sample was taken and the server started, the set of metrics_series that its numbers belong to, and seconds from one sample of its tier to the next; NaN stands for no value';

CREATE TABLE dbperf.metrics_query_samples (
    sampled_at timestamptz NOT NULL,
    started_at timestamptz NOT NULL,
    step int NOT NULL,
    member int NOT NULL,
    queryids bigint[] NOT NULL,
    databases oid[] NOT NULL,
    roles oid[] NOT NULL,
    toplevel bool[] NOT NULL,
    calls float8[] NOT NULL,
    total_ms float8[] NOT NULL,
    new_calls float4[] NOT NULL,
    new_ms float4[] NOT NULL,
    buckets float4[]
) PARTITION BY LIST (member);
CREATE INDEX metrics_query_samples_sampled_at ON dbperf.metrics_query_samples (sampled_at);
REVOKE ALL ON dbperf.metrics_query_samples FROM PUBLIC;
COMMENT ON TABLE dbperf.metrics_query_samples IS
'samples of the queries that took most time since the sample before, as metrics_query_history shows them: elements at one place of the arrays belong to one query; calls and total_ms are counted since the query is known, new_calls, new_ms and buckets since the previous sample of the tier';
COMMENT ON COLUMN dbperf.metrics_query_samples.buckets IS
'16 numbers for each query: executions of at most 0.1, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10000 and 60000 ms, and all; null in tiers that do not have them';

-- Rows never die here, and nobody needs statistics of the arrays.
CREATE TABLE dbperf.metrics_samples_11 PARTITION OF dbperf.metrics_samples FOR VALUES IN (11) WITH (autovacuum_enabled = off);
CREATE TABLE dbperf.metrics_samples_12 PARTITION OF dbperf.metrics_samples FOR VALUES IN (12) WITH (autovacuum_enabled = off);
CREATE TABLE dbperf.metrics_samples_13 PARTITION OF dbperf.metrics_samples FOR VALUES IN (13) WITH (autovacuum_enabled = off);
CREATE TABLE dbperf.metrics_samples_14 PARTITION OF dbperf.metrics_samples FOR VALUES IN (14) WITH (autovacuum_enabled = off);
CREATE TABLE dbperf.metrics_samples_15 PARTITION OF dbperf.metrics_samples FOR VALUES IN (15) WITH (autovacuum_enabled = off);
CREATE TABLE dbperf.metrics_samples_21 PARTITION OF dbperf.metrics_samples FOR VALUES IN (21) WITH (autovacuum_enabled = off);
CREATE TABLE dbperf.metrics_samples_22 PARTITION OF dbperf.metrics_samples FOR VALUES IN (22) WITH (autovacuum_enabled = off);
CREATE TABLE dbperf.metrics_samples_23 PARTITION OF dbperf.metrics_samples FOR VALUES IN (23) WITH (autovacuum_enabled = off);
CREATE TABLE dbperf.metrics_samples_24 PARTITION OF dbperf.metrics_samples FOR VALUES IN (24) WITH (autovacuum_enabled = off);
CREATE TABLE dbperf.metrics_samples_25 PARTITION OF dbperf.metrics_samples FOR VALUES IN (25) WITH (autovacuum_enabled = off);
CREATE TABLE dbperf.metrics_samples_31 PARTITION OF dbperf.metrics_samples FOR VALUES IN (31) WITH (autovacuum_enabled = off);
CREATE TABLE dbperf.metrics_samples_32 PARTITION OF dbperf.metrics_samples FOR VALUES IN (32) WITH (autovacuum_enabled = off);
CREATE TABLE dbperf.metrics_samples_33 PARTITION OF dbperf.metrics_samples FOR VALUES IN (33) WITH (autovacuum_enabled = off);
CREATE TABLE dbperf.metrics_samples_34 PARTITION OF dbperf.metrics_samples FOR VALUES IN (34) WITH (autovacuum_enabled = off);
CREATE TABLE dbperf.metrics_samples_35 PARTITION OF dbperf.metrics_samples FOR VALUES IN (35) WITH (autovacuum_enabled = off);
CREATE TABLE dbperf.metrics_query_samples_21 PARTITION OF dbperf.metrics_query_samples FOR VALUES IN (21) WITH (autovacuum_enabled = off);
CREATE TABLE dbperf.metrics_query_samples_22 PARTITION OF dbperf.metrics_query_samples FOR VALUES IN (22) WITH (autovacuum_enabled = off);
CREATE TABLE dbperf.metrics_query_samples_23 PARTITION OF dbperf.metrics_query_samples FOR VALUES IN (23) WITH (autovacuum_enabled = off);
CREATE TABLE dbperf.metrics_query_samples_24 PARTITION OF dbperf.metrics_query_samples FOR VALUES IN (24) WITH (autovacuum_enabled = off);
CREATE TABLE dbperf.metrics_query_samples_25 PARTITION OF dbperf.metrics_query_samples FOR VALUES IN (25) WITH (autovacuum_enabled = off);
CREATE TABLE dbperf.metrics_query_samples_31 PARTITION OF dbperf.metrics_query_samples FOR VALUES IN (31) WITH (autovacuum_enabled = off);
CREATE TABLE dbperf.metrics_query_samples_32 PARTITION OF dbperf.metrics_query_samples FOR VALUES IN (32) WITH (autovacuum_enabled = off);
CREATE TABLE dbperf.metrics_query_samples_33 PARTITION OF dbperf.metrics_query_samples FOR VALUES IN (33) WITH (autovacuum_enabled = off);
CREATE TABLE dbperf.metrics_query_samples_34 PARTITION OF dbperf.metrics_query_samples FOR VALUES IN (34) WITH (autovacuum_enabled = off);
CREATE TABLE dbperf.metrics_query_samples_35 PARTITION OF dbperf.metrics_query_samples FOR VALUES IN (35) WITH (autovacuum_enabled = off);

REVOKE ALL ON dbperf.metrics_samples_11, dbperf.metrics_samples_12, dbperf.metrics_samples_13,
    dbperf.metrics_samples_14, dbperf.metrics_samples_15 FROM PUBLIC;
REVOKE ALL ON dbperf.metrics_samples_21, dbperf.metrics_samples_22, dbperf.metrics_samples_23,
    dbperf.metrics_samples_24, dbperf.metrics_samples_25 FROM PUBLIC;
REVOKE ALL ON dbperf.metrics_samples_31, dbperf.metrics_samples_32, dbperf.metrics_samples_33,
    dbperf.metrics_samples_34, dbperf.metrics_samples_35 FROM PUBLIC;
REVOKE ALL ON dbperf.metrics_query_samples_21, dbperf.metrics_query_samples_22, dbperf.metrics_query_samples_23,
    dbperf.metrics_query_samples_24, dbperf.metrics_query_samples_25 FROM PUBLIC;
REVOKE ALL ON dbperf.metrics_query_samples_31, dbperf.metrics_query_samples_32, dbperf.metrics_query_samples_33,
    dbperf.metrics_query_samples_34, dbperf.metrics_query_samples_35 FROM PUBLIC;

COMMENT ON TABLE dbperf.metrics_samples_11 IS 'samples of tier 1, member 1';
COMMENT ON TABLE dbperf.metrics_samples_12 IS 'samples of tier 1, member 2';
COMMENT ON TABLE dbperf.metrics_samples_13 IS 'samples of tier 1, member 3';
COMMENT ON TABLE dbperf.metrics_samples_14 IS 'samples of tier 1, member 4';
COMMENT ON TABLE dbperf.metrics_samples_15 IS 'samples of tier 1, member 5';
COMMENT ON TABLE dbperf.metrics_samples_21 IS 'samples of tier 2, member 1';
COMMENT ON TABLE dbperf.metrics_samples_22 IS 'samples of tier 2, member 2';
COMMENT ON TABLE dbperf.metrics_samples_23 IS 'samples of tier 2, member 3';
COMMENT ON TABLE dbperf.metrics_samples_24 IS 'samples of tier 2, member 4';
COMMENT ON TABLE dbperf.metrics_samples_25 IS 'samples of tier 2, member 5';
COMMENT ON TABLE dbperf.metrics_samples_31 IS 'samples of tier 3, member 1';
COMMENT ON TABLE dbperf.metrics_samples_32 IS 'samples of tier 3, member 2';
COMMENT ON TABLE dbperf.metrics_samples_33 IS 'samples of tier 3, member 3';
COMMENT ON TABLE dbperf.metrics_samples_34 IS 'samples of tier 3, member 4';
COMMENT ON TABLE dbperf.metrics_samples_35 IS 'samples of tier 3, member 5';
COMMENT ON TABLE dbperf.metrics_query_samples_21 IS 'samples of tier 2, member 1';
COMMENT ON TABLE dbperf.metrics_query_samples_22 IS 'samples of tier 2, member 2';
COMMENT ON TABLE dbperf.metrics_query_samples_23 IS 'samples of tier 2, member 3';
COMMENT ON TABLE dbperf.metrics_query_samples_24 IS 'samples of tier 2, member 4';
COMMENT ON TABLE dbperf.metrics_query_samples_25 IS 'samples of tier 2, member 5';
COMMENT ON TABLE dbperf.metrics_query_samples_31 IS 'samples of tier 3, member 1';
COMMENT ON TABLE dbperf.metrics_query_samples_32 IS 'samples of tier 3, member 2';
COMMENT ON TABLE dbperf.metrics_query_samples_33 IS 'samples of tier 3, member 3';
COMMENT ON TABLE dbperf.metrics_query_samples_34 IS 'samples of tier 3, member 4';
COMMENT ON TABLE dbperf.metrics_query_samples_35 IS 'samples of tier 3, member 5';

CREATE FUNCTION dbperf.metrics_tables_count()
RETURNS bool
AS 'MODULE_PATHNAME', 'dbperf_metrics_tables_count'
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.metrics_tables_count() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.metrics_tables_count() TO pg_monitor;
COMMENT ON FUNCTION dbperf.metrics_tables_count() IS
'whether this is dbperf.database, and not that of a standby, whose tables are what the primary has sampled of itself';

CREATE FUNCTION dbperf.metrics_ring(
    OUT sampled_at timestamptz,
    OUT resolution interval,
    OUT name text,
    OUT labels jsonb,
    OUT value float8
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_metrics_ring'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.metrics_ring() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.metrics_ring() TO pg_monitor;
COMMENT ON FUNCTION dbperf.metrics_ring() IS
'what metrics_history shows that is in shared memory only';

CREATE VIEW dbperf.metrics_history AS
    SELECT s.sampled_at,
           pg_catalog.make_interval(secs => s.step::float8) AS resolution,
           m.name,
           m.labels,
           s.numbers[m.position] AS value
      FROM dbperf.metrics_samples AS s
      JOIN dbperf.metrics_series AS m ON m.set_id OPERATOR(pg_catalog.=) s.set_id
     WHERE s.numbers[m.position] OPERATOR(pg_catalog.<>) 'NaN'::float8
       AND dbperf.metrics_tables_count()
     UNION ALL
    SELECT r.sampled_at, r.resolution, r.name, r.labels, r.value
      FROM dbperf.metrics_ring() AS r;
REVOKE ALL ON dbperf.metrics_history FROM PUBLIC;
GRANT SELECT ON dbperf.metrics_history TO pg_monitor;
COMMENT ON VIEW dbperf.metrics_history IS
'samples of all metrics, taken every dbperf.metrics_interval: all of them for a day, every 6th for a week, every 60th for dbperf.metrics_retention, so that a time can be there more than once; in databases other than dbperf.database and on a standby the last hours, from shared memory';
COMMENT ON COLUMN dbperf.metrics_history.resolution IS
'the time from one sample of this kind to the next';
COMMENT ON COLUMN dbperf.metrics_history.name IS
'as in metrics; of histograms with _bucket, whose label le is a bound, _sum and _count; and dbperf_statement_p50_seconds, _p95_seconds and _p99_seconds of what was executed since the previous sample of the same resolution';

CREATE FUNCTION dbperf.metrics_between(
    since timestamptz,
    until timestamptz,
    names text[],
    points int DEFAULT 300,
    OUT at timestamptz,
    OUT name text,
    OUT labels jsonb,
    OUT value float8,
    OUT per_second float8
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_metrics_between'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.metrics_between(timestamptz, timestamptz, text[], int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.metrics_between(timestamptz, timestamptz, text[], int) TO pg_monitor;
COMMENT ON FUNCTION dbperf.metrics_between(timestamptz, timestamptz, text[], int) IS
'these metrics after since and until until, ordered by time: of each series the last sample in each of so many equal steps; per_second is what a counter grew by since the previous one, null for gauges, for the first one, and after a promotion';

CREATE FUNCTION dbperf.metrics_query_ring(
    OUT sampled_at timestamptz,
    OUT resolution interval,
    OUT queryid bigint,
    OUT database oid,
    OUT role oid,
    OUT toplevel bool,
    OUT calls bigint,
    OUT total_ms float8
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_metrics_query_ring'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.metrics_query_ring() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.metrics_query_ring() TO pg_monitor;
COMMENT ON FUNCTION dbperf.metrics_query_ring() IS
'what metrics_query_history shows that is in shared memory only';

CREATE VIEW dbperf.metrics_query_history AS
    SELECT q.sampled_at, q.queryid, d.datname AS database_name, r.rolname AS user_name,
           q.toplevel, q.calls, q.total_ms, q.resolution
      FROM (SELECT s.sampled_at,
                   pg_catalog.make_interval(secs => s.step::float8) AS resolution,
                   CASE WHEN u.queryid OPERATOR(pg_catalog.<>) 0 AND
                             (pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') OR
                              pg_catalog.pg_has_role(u.role, 'USAGE'))
                        THEN u.queryid END AS queryid,
                   u.database, u.role, u.toplevel, u.calls::bigint AS calls, u.total_ms
              FROM dbperf.metrics_query_samples AS s
             CROSS JOIN LATERAL ROWS FROM (
                       pg_catalog.unnest(s.queryids), pg_catalog.unnest(s.databases),
                       pg_catalog.unnest(s.roles), pg_catalog.unnest(s.toplevel),
                       pg_catalog.unnest(s.calls), pg_catalog.unnest(s.total_ms)
                   ) AS u (queryid, database, role, toplevel, calls, total_ms)
             WHERE dbperf.metrics_tables_count()
             UNION ALL
            SELECT m.sampled_at, m.resolution, m.queryid, m.database, m.role, m.toplevel,
                   m.calls, m.total_ms
              FROM dbperf.metrics_query_ring() AS m) AS q
      LEFT JOIN pg_catalog.pg_database AS d ON d.oid OPERATOR(pg_catalog.=) q.database
      LEFT JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) q.role;
REVOKE ALL ON dbperf.metrics_query_history FROM PUBLIC;
GRANT SELECT ON dbperf.metrics_query_history TO pg_monitor;
COMMENT ON VIEW dbperf.metrics_query_history IS
'counters of the queries that took most time since the sample before, with every 6th sample of metrics_history for a week and with every 60th for dbperf.metrics_retention; queryid is null if there is none, and of other roles unless the caller is a member of pg_read_all_stats';
COMMENT ON COLUMN dbperf.metrics_query_history.calls IS
'executions since the query is known, as of the sample';
COMMENT ON COLUMN dbperf.metrics_query_history.total_ms IS
'their time in milliseconds';

CREATE FUNCTION dbperf.metrics_queries_between(
    since timestamptz,
    until timestamptz,
    OUT queryid bigint,
    OUT database_name name,
    OUT user_name name,
    OUT toplevel bool,
    OUT calls bigint,
    OUT total_ms float8,
    OUT mean_ms float8,
    OUT p95_ms float8
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_metrics_queries_between'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.metrics_queries_between(timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.metrics_queries_between(timestamptz, timestamptz) TO pg_monitor;
COMMENT ON FUNCTION dbperf.metrics_queries_between(timestamptz, timestamptz) IS
'what was executed after since and until until, to the minute (every 6th sample of metrics_history), most total time first: queries that were among the 50 that took most time in some minute, and with now() as until those first seen in the period, and what was executed since the last sample; times in milliseconds; p95_ms is null if nothing says so';

CREATE FUNCTION dbperf.metrics_status(
    OUT state text,
    OUT since timestamptz,
    OUT sampled_at timestamptz,
    OUT stored_at timestamptz,
    OUT samples bigint,
    OUT samples_stored bigint,
    OUT series int,
    OUT values_refused bigint,
    OUT last_error text,
    OUT last_error_at timestamptz,
    OUT bytes bigint,
    OUT members int
)
RETURNS record
AS 'MODULE_PATHNAME', 'dbperf_metrics_status'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION dbperf.metrics_status() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.metrics_status() TO pg_monitor;
COMMENT ON FUNCTION dbperf.metrics_status() IS
'what the view metrics_status shows';

CREATE VIEW dbperf.metrics_status AS
    SELECT s.state, s.since, s.sampled_at, s.stored_at, s.samples, s.samples_stored, s.series,
           s.values_refused, s.last_error, s.last_error_at, s.bytes, s.members
      FROM dbperf.metrics_status() AS s;
REVOKE ALL ON dbperf.metrics_status FROM PUBLIC;
GRANT SELECT ON dbperf.metrics_status TO pg_monitor;
COMMENT ON VIEW dbperf.metrics_status IS
'whether samples of metrics are taken and stored';
COMMENT ON COLUMN dbperf.metrics_status.state IS
'running, or why samples are in shared memory only, or why there are none';
COMMENT ON COLUMN dbperf.metrics_status.samples IS
'taken since the server was started';
COMMENT ON COLUMN dbperf.metrics_status.samples_stored IS
'so many of them are in the tables of dbperf.database';
COMMENT ON COLUMN dbperf.metrics_status.values_refused IS
'values that were left out since there are too many series (768)';
COMMENT ON COLUMN dbperf.metrics_status.last_error IS
'why samples could not be stored when they last could not';
COMMENT ON COLUMN dbperf.metrics_status.bytes IS
'what the tables of samples in dbperf.database take, with their indexes, as of the last time that was counted: with every 6th sample';
COMMENT ON COLUMN dbperf.metrics_status.members IS
'how many of those tables have any rows';

--
-- metrics: targets and health
--

CREATE TABLE dbperf.targets (
    name text PRIMARY KEY,
    comparison text NOT NULL,
    threshold float8 NOT NULL,
    built_in bool NOT NULL DEFAULT false,
    CONSTRAINT targets_comparison_check CHECK (comparison IN ('<', '<=', '>', '>=')),
    -- neither NaN nor infinite
    CONSTRAINT targets_threshold_check CHECK
        (threshold > '-Infinity'::float8 AND threshold < 'Infinity'::float8)
);
INSERT INTO dbperf.targets VALUES
    ('query_p95_ms', '<', 50, true),
    ('pool_efficiency_ratio', '>', 0.9, true),
    ('cache_hit_ratio', '>', 0.7, true),
    ('index_coverage_ratio', '>', 0.9, true);
REVOKE ALL ON dbperf.targets FROM PUBLIC;
GRANT SELECT ON dbperf.targets TO pg_monitor;
SELECT pg_catalog.pg_extension_config_dump('dbperf.targets', '');
COMMENT ON TABLE dbperf.targets IS
'what this database is to achieve; the view health says whether it does';
COMMENT ON COLUMN dbperf.targets.name IS
'query_p95_ms: 95th percentile of all that clients sent; pool_efficiency_ratio: reuse of pool_efficiency; cache_hit_ratio: hits / (hits + misses) of the result cache; index_coverage_ratio: coverage of the workload''s predicates by indexes; or any metric of dbperf, of which the worst series counts';
COMMENT ON COLUMN dbperf.targets.comparison IS
'how the value is compared with the threshold for the target to be met: <, <=, > or >=';
COMMENT ON COLUMN dbperf.targets.threshold IS
'milliseconds for query_p95_ms, 0 to 1 for ratios, else the unit of the metric';
COMMENT ON COLUMN dbperf.targets.built_in IS
'as CREATE EXTENSION wrote it; false as soon as it is changed';

CREATE FUNCTION dbperf.targets_check()
RETURNS trigger
AS 'MODULE_PATHNAME', 'dbperf_targets_check'
LANGUAGE C VOLATILE;
REVOKE ALL ON FUNCTION dbperf.targets_check() FROM PUBLIC;
COMMENT ON FUNCTION dbperf.targets_check() IS
'refuses targets that cannot be judged';

CREATE FUNCTION dbperf.targets_restore()
RETURNS trigger
AS 'MODULE_PATHNAME', 'dbperf_targets_restore'
LANGUAGE C VOLATILE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION dbperf.targets_restore() FROM PUBLIC;
COMMENT ON FUNCTION dbperf.targets_restore() IS
'when a dump is restored, its targets take the place of those of CREATE EXTENSION';

CREATE TRIGGER targets_check BEFORE INSERT OR UPDATE
    ON dbperf.targets FOR EACH ROW EXECUTE FUNCTION dbperf.targets_check();
CREATE TRIGGER targets_restore BEFORE INSERT
    ON dbperf.targets FOR EACH STATEMENT EXECUTE FUNCTION dbperf.targets_restore();

CREATE FUNCTION dbperf.health(
    OUT target text,
    OUT comparison text,
    OUT threshold float8,
    OUT value float8,
    OUT verdict text,
    OUT evidence text,
    OUT next_step text
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_health'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 10 SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION dbperf.health() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.health() TO pg_monitor;
COMMENT ON FUNCTION dbperf.health() IS
'see the view health';

CREATE VIEW dbperf.health AS
    SELECT h.target, h.comparison, h.threshold, h.value, h.verdict, h.evidence, h.next_step
      FROM dbperf.health() AS h
     ORDER BY pg_catalog.array_position('{missed,no data,met}', h.verdict), h.target;
REVOKE ALL ON dbperf.health FROM PUBLIC;
GRANT SELECT ON dbperf.health TO pg_monitor;
COMMENT ON VIEW dbperf.health IS
'whether this database meets its targets: a row for each of them, the missed ones first';
COMMENT ON COLUMN dbperf.health.value IS
'what is compared with the threshold, in the same unit; null without data';
COMMENT ON COLUMN dbperf.health.verdict IS
'met, missed, or no data';
COMMENT ON COLUMN dbperf.health.evidence IS
'what the verdict rests on, or why there is no data';
COMMENT ON COLUMN dbperf.health.next_step IS
'what to run next, null if there is nothing to be done; several statements are sent one by one, as psql does: ALTER SYSTEM cannot be part of a transaction';

CREATE FUNCTION dbperf.bloat_estimates(
    OUT relation regclass,
    OUT kind text,
    OUT size_bytes bigint,
    OUT bloat_bytes bigint,
    OUT method text
)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'dbperf_bloat_estimates'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION dbperf.bloat_estimates() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.bloat_estimates() TO pg_monitor;
COMMENT ON FUNCTION dbperf.bloat_estimates() IS
'see the view bloat_estimates';

CREATE VIEW dbperf.bloat_estimates AS
    SELECT b.relation, b.kind, b.size_bytes, b.bloat_bytes,
           b.bloat_bytes::float8 / NULLIF(b.size_bytes, 0) AS bloat_ratio, b.method
      FROM dbperf.bloat_estimates() AS b;
REVOKE ALL ON dbperf.bloat_estimates FROM PUBLIC;
GRANT SELECT ON dbperf.bloat_estimates TO pg_monitor;
COMMENT ON VIEW dbperf.bloat_estimates IS
'what rewriting a table (without its TOAST table) or rebuilding an index of this database would give back, in bytes, as of the last VACUUM or ANALYZE of it; from catalogs and statistics: nothing is scanned or locked';
COMMENT ON COLUMN dbperf.bloat_estimates.kind IS
'table (also materialized view) or index (also of a TOAST table)';
COMMENT ON COLUMN dbperf.bloat_estimates.method IS
'statistics: of the columns; sample of pages: maintenance looked into them; densest seen: compared with the index at its best; null: not known';

CREATE FUNCTION dbperf.refresh_estimates()
RETURNS void
AS 'MODULE_PATHNAME', 'dbperf_refresh_estimates'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION dbperf.refresh_estimates() FROM PUBLIC;
COMMENT ON FUNCTION dbperf.refresh_estimates() IS
'estimates bloat, size and coverage by indexes of this database now, as a worker does every dbperf.estimates_interval; takes up to 10 s for the coverage';

CREATE VIEW dbperf.cluster_health AS
    SELECT 'local'::text AS node, l.*, interval '0' AS age, NULL::text AS error
      FROM dbperf.health AS l
    UNION ALL
    SELECT a.node, r.*, a.age, a.error
      FROM dbperf.node_answers('health') AS a
     CROSS JOIN LATERAL pg_catalog.jsonb_to_recordset(COALESCE(a.answer, '[{}]')) AS r (
           target text, comparison text, threshold float8, value float8, verdict text,
           evidence text, next_step text);
REVOKE ALL ON dbperf.cluster_health FROM PUBLIC;
GRANT SELECT ON dbperf.cluster_health TO pg_monitor;
COMMENT ON VIEW dbperf.cluster_health IS
'health of this database (node local) and of all nodes; age: time since the node answered; one that did not is a row with its error';

--
-- report
--

-- What the page asks is planned once and run once: compiling it would not pay.
CREATE FUNCTION dbperf.report(
    since timestamptz DEFAULT pg_catalog.now() OPERATOR(pg_catalog.-) interval '1 hour',
    until timestamptz DEFAULT pg_catalog.now()
)
RETURNS text
AS 'MODULE_PATHNAME', 'dbperf_report'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET standard_conforming_strings = on
SET jit = off;
REVOKE ALL ON FUNCTION dbperf.report(timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.report(timestamptz, timestamptz) TO pg_monitor;
COMMENT ON FUNCTION dbperf.report(timestamptz, timestamptz) IS
'one HTML page, in ASCII and complete in itself, about this period: targets, latency, load, waits, slow queries, advice, maintenance, cache and pool; as far as the caller may see it';

CREATE FUNCTION dbperf.report_compare(
    a_since timestamptz,
    a_until timestamptz,
    b_since timestamptz,
    b_until timestamptz
)
RETURNS text
AS 'MODULE_PATHNAME', 'dbperf_report_compare'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET standard_conforming_strings = on
SET jit = off;
REVOKE ALL ON FUNCTION dbperf.report_compare(timestamptz, timestamptz, timestamptz, timestamptz)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dbperf.report_compare(timestamptz, timestamptz, timestamptz, timestamptz)
    TO pg_monitor;
COMMENT ON FUNCTION dbperf.report_compare(timestamptz, timestamptz, timestamptz, timestamptz) IS
'a page like that of report() about the second period, compared with the first: what got worse comes first';
