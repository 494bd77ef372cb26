/*-------------------------------------------------------------------------
 *
 * section_compare.c
 *		What is different in a period from what it was in the one before: what got
 *		worse comes first.
 *
 * A difference is called one only if there is enough to tell: executions of a
 * query, and samples of a metric, whose mean must have moved by more than the
 * samples scatter.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "report/facts.h"
#include "report/recorded.h"
#include "report/report_sections.h"

/* ---- metrics ---- */

static const ReportColumn metric_columns[] = {
	{"Verdict", REPORT_VERDICT,
	 "by more than the samples scatter, and by a tenth at least; sizes by 1 MB"},
	{"What", REPORT_TEXT, NULL},
	{"Before", REPORT_TEXT, "mean of the samples"},
	{"Now", REPORT_TEXT, "mean of the samples"},
	{"Change", REPORT_PERCENT, "empty: it was 0 before"},
	{"Samples", REPORT_TEXT, "before and now; with fewer than three nothing is said"},
};

/*
 * The metrics that are compared: what they say, their unit, whether they are
 * counters, and whether more is worse (1), better (-1) or neither.
 */
#define COMPARED                                                                                   \
	"known(name, what, unit, counter, worse) AS (VALUES"                                           \
	" ('dbperf_statement_p50_seconds', 'p50 of statements', 's', false, 1),"                       \
	" ('dbperf_statement_p95_seconds', 'p95 of statements', 's', false, 1),"                       \
	" ('dbperf_statement_p99_seconds', 'p99 of statements', 's', false, 1),"                       \
	" ('dbperf_statement_errors_total', 'failed statements', '/s', true, 1),"                      \
	" ('dbperf_slow_statements_total', 'slow statements', '/s', true, 1),"                         \
	" ('dbperf_transactions_total', 'transactions', '/s', true, 0),"                               \
	" ('dbperf_active_sessions', 'active sessions', '', false, 1),"                                \
	" ('dbperf_connections', 'connections', '', false, 0),"                                        \
	" ('dbperf_locks_waiting', 'locks waited for', '', false, 1),"                                 \
	" ('dbperf_deadlocks_total', 'deadlocks', '/s', true, 1),"                                     \
	" ('dbperf_temp_bytes_total', 'temporary files', 'B/s', true, 1),"                             \
	" ('dbperf_buffer_reads_total', 'blocks read into buffers', '/s', true, 1),"                   \
	" ('dbperf_buffer_hits_total', 'blocks found in buffers', '/s', true, 0),"                     \
	" ('dbperf_wal_bytes_total', 'WAL', 'B/s', true, 0),"                                          \
	" ('dbperf_checkpoints_total', 'checkpoints', '/s', true, 0),"                                 \
	" ('dbperf_replication_lag_seconds', 'replication lag', 's', false, 1),"                       \
	" ('dbperf_oldest_transaction_seconds', 'oldest transaction', 's', false, 1),"                 \
	" ('dbperf_cache_hits_total', 'hits of the result cache', '/s', true, 0),"                     \
	" ('dbperf_cache_misses_total', 'misses of the result cache', '/s', true, 0),"                 \
	" ('dbperf_cache_evictions_total', 'evictions from the result cache', '/s', true, 1),"         \
	" ('dbperf_pool_efficiency_ratio', 'pool efficiency', '%', false, -1),"                        \
	" ('dbperf_pool_wait_seconds_total', 'waits of the pool''s clients', 's/s', true, 1),"         \
	" ('dbperf_database_size_bytes', 'size', 'B', false, 0),"                                      \
	" ('dbperf_table_bloat_bytes', 'bloat of tables', 'B', false, 1),"                             \
	" ('dbperf_index_bloat_bytes', 'bloat of indexes', 'B', false, 1),"                            \
	" ('dbperf_index_coverage_ratio', 'index coverage', '%', false, -1))"

/* Ratios of two counters, at each point of time. */
#define COMPARED_RATIOS                                                                            \
	"ratios(what, part, rest) AS (VALUES"                                                          \
	" ('hit ratio of buffers', 'dbperf_buffer_hits_total', 'dbperf_buffer_reads_total'),"          \
	" ('hit ratio of the result cache', 'dbperf_cache_hits_total', 'dbperf_cache_misses_total'))"

/* A mean of unit u for a reader: three digits of it, or a size, or a time. */
#define SHOWN_AS(value)                                                                            \
	"CASE WHEN " value " IS NULL THEN NULL"                                                        \
	"     WHEN j.unit LIKE 'B%' THEN pg_size_pretty(round(" value                                  \
	")::bigint) || substr(j.unit, 2)"                                                              \
	"     WHEN j.unit = '%' THEN round((100 * " value ")::numeric, 1) || ' %'"                     \
	"     WHEN j.unit = 's' AND " value " < 1 THEN round((1000 * " value ")::numeric, 2) || ' ms'" \
	"     WHEN " value " = 0 THEN '0' || j.unit"                                                   \
	"     ELSE round(" value "::numeric,"                                                          \
	"                greatest(0, 2 - floor(log(abs(" value ")))::int)) ||"                         \
	"          CASE WHEN j.unit = 's' THEN ' s' ELSE j.unit END END"

static const ReportFacts metrics = {
	.sql =
		"WITH " COMPARED ", " COMPARED_RATIOS ", "
		"points AS MATERIALIZED ("
		"  SELECT false AS now, m.at, m.name, m.labels, m.value, m.per_second"
		"    FROM dbperf.metrics_between($3, $4,"
		"                                (SELECT array_agg(k.name) FROM known AS k), 60) AS m"
		"  UNION ALL"
		"  SELECT true, m.at, m.name, m.labels, m.value, m.per_second"
		"    FROM dbperf.metrics_between($1, $2,"
		"                                (SELECT array_agg(k.name) FROM known AS k), 60) AS m), "
		"series AS ("
		"  SELECT p.now, k.what || coalesce(': ' ||"
		"         (SELECT string_agg(l.value, ', ' ORDER BY l.key)"
		"            FROM jsonb_each_text(p.labels) AS l), '') AS what, k.unit, k.worse,"
		"         CASE WHEN k.counter THEN p.per_second ELSE p.value END AS v"
		"    FROM points AS p JOIN known AS k USING (name)"
		"  UNION ALL"
		"  SELECT p.now, r.what, '%', -1,"
		"         sum(p.per_second) FILTER (WHERE p.name = r.part) /"
		"         nullif(sum(p.per_second), 0)"
		"    FROM points AS p JOIN ratios AS r ON p.name IN (r.part, r.rest)"
		"   GROUP BY p.now, p.at, r.what), "
		"sums AS ("
		"  SELECT s.what, s.unit, s.worse,"
		"         avg(s.v) FILTER (WHERE NOT s.now) AS a, avg(s.v) FILTER (WHERE s.now) AS b,"
		"         coalesce(var_samp(s.v) FILTER (WHERE NOT s.now), 0) AS var_a,"
		"         coalesce(var_samp(s.v) FILTER (WHERE s.now), 0) AS var_b,"
		"         count(s.v) FILTER (WHERE NOT s.now) AS num_a,"
		"         count(s.v) FILTER (WHERE s.now) AS num_b"
		"    FROM series AS s GROUP BY s.what, s.unit, s.worse"
		"   HAVING max(abs(s.v)) > 0), "
		"judged AS ("
		"  SELECT s.*, CASE WHEN least(s.num_a, s.num_b) < 3 THEN 'no data'"
		"                   WHEN abs(s.b - s.a) <= 2 * sqrt(s.var_a / s.num_a + s.var_b / s.num_b)"
		"                     OR abs(s.b - s.a) < 0.1 * greatest(abs(s.a), abs(s.b))"
		"                     OR s.unit = 'B' AND abs(s.b - s.a) < 1024 * 1024 THEN 'same'"
		"                   WHEN s.worse = 0 THEN 'changed'"
		"                   WHEN (s.b > s.a) = (s.worse > 0) THEN 'worse'"
		"                   ELSE 'better' END AS verdict"
		"    FROM sums AS s) "
		"SELECT j.verdict, j.what, " SHOWN_AS("j.a") ", " SHOWN_AS(
			"j.b") ","
				   "       (j.b - j.a) / nullif(abs(j.a), 0), format('%s / %s', j.num_a, j.num_b)"
				   "  FROM judged AS j"
				   " ORDER BY array_position(ARRAY['worse', 'changed', 'better', 'same', 'no data'],"
				   "                         j.verdict),"
				   "          abs(j.b - j.a) / nullif(least(abs(j.a), abs(j.b)), 0) DESC NULLS FIRST,"
				   "          j.what LIMIT 60",
	.columns = metric_columns,
	.num_columns = lengthof(metric_columns),
	.empty = "There are no metrics of these periods: dbperf.metrics_history has them for "
			 "dbperf.metrics_retention, every dbperf.metrics_interval.",
	.limit_ms = 1000,
	.late = "See dbperf.metrics_between().",
};

void
dbperf_section_changes(ReportPage *page)
{
	(void) dbperf_report_facts(page, &metrics);
}

/* ---- queries ---- */

static const ReportColumn query_columns[] = {
	{"Verdict", REPORT_VERDICT,
	 "by a fifth in mean and not against p95, of 30 executions at least"},
	{"Query", REPORT_CODE, NULL},
	{"Costs more", REPORT_MS,
	 "time of its executions now, less what as many took before; all of it if it is new or gone"},
	{"Factor", REPORT_NUMBER, "mean now for each of before"},
	{"Mean before", REPORT_MS, NULL},
	{"Mean now", REPORT_MS, NULL},
	{"Calls/h before", REPORT_NUMBER, "calls an hour, " REPORT_CALLS_HINT},
	{"Calls/h now", REPORT_NUMBER, NULL},
	{"Database", REPORT_TEXT, NULL},
	{"Role", REPORT_TEXT, NULL},
	{"In numbers", REPORT_DETAILS, "p95 is " REPORT_P95_HINT},
};

/* Both periods are asked for once: that is what takes the time. */
static const ReportFacts queries = {
	.sql =
		"WITH hours AS MATERIALIZED ("
		"  SELECT greatest(extract(epoch FROM $4 - $3)::float8, 1) / 3600 AS a,"
		"         greatest(extract(epoch FROM $2 - $1)::float8, 1) / 3600 AS b), "
		"before AS MATERIALIZED ("
		"  SELECT * FROM dbperf.metrics_queries_between($3, $4) AS m"
		"   WHERE m.queryid IS NOT NULL AND m.calls > 0), "
		"after AS MATERIALIZED ("
		"  SELECT * FROM dbperf.metrics_queries_between($1, $2) AS m"
		"   WHERE m.queryid IS NOT NULL AND m.calls > 0), "
		"judged AS MATERIALIZED ("
		"  SELECT queryid, database_name, user_name, toplevel, a.mean_ms AS mean_a,"
		"         b.mean_ms AS mean_b, a.p95_ms AS p95_a, b.p95_ms AS p95_b, a.calls AS calls_a,"
		"         b.calls AS calls_b, a.total_ms AS ms_a, b.total_ms AS ms_b,"
		"         CASE WHEN a.calls IS NULL THEN b.total_ms"
		"              WHEN b.calls IS NULL THEN - a.total_ms"
		"              ELSE (b.mean_ms - a.mean_ms) * b.calls END AS more_ms,"
		"         CASE WHEN a.calls IS NULL THEN 'new' WHEN b.calls IS NULL THEN 'gone'"
		"              WHEN least(a.calls, b.calls) < 30 THEN 'few calls'"
		"              WHEN b.mean_ms >= 1.2 * a.mean_ms"
		"                   AND coalesce(b.p95_ms >= a.p95_ms, true) THEN 'worse'"
		"              WHEN a.mean_ms >= 1.2 * b.mean_ms"
		"                   AND coalesce(a.p95_ms >= b.p95_ms, true) THEN 'better'"
		"              ELSE 'same' END AS verdict"
		"    FROM before AS a"
		"         FULL JOIN after AS b USING (queryid, database_name, user_name, toplevel)), "
		"top AS MATERIALIZED ("
		"  SELECT j.* FROM (SELECT i.*, array_position(ARRAY['worse', 'new', 'few calls', 'same',"
		"                                                    'better', 'gone'], i.verdict) AS rank,"
		"                          row_number() OVER (PARTITION BY i.verdict"
		"                                             ORDER BY abs(i.more_ms) DESC, i.queryid)"
		"                            AS place"
		"                     FROM judged AS i) AS j"
		"   WHERE j.place <= CASE j.verdict WHEN 'worse' THEN 20 ELSE 10 END), " QUERY_TEXTS(
			"SELECT p.queryid FROM top AS p") " "
											  "SELECT q.verdict, " QUERY_TEXT
											  ", q.more_ms, q.mean_b / nullif(q.mean_a, 0), q.mean_a,"
											  "       q.mean_b, q.calls_a / h.a, q.calls_b / h.b, q.database_name, q.user_name,"
											  "       format(E'queryid %s\n\n%s calls before, %s now\n"
											  "p95 %s ms before, %s ms now\n%s ms an hour before, %s ms an hour now',"
											  "              q.queryid, coalesce(q.calls_a, 0), coalesce(q.calls_b, 0),"
											  "              coalesce(round(q.p95_a::numeric, 3)::text, '-'),"
											  "              coalesce(round(q.p95_b::numeric, 3)::text, '-'),"
											  "              coalesce(round(q.ms_a / h.a), 0), coalesce(round(q.ms_b / h.b), 0))"
											  "  FROM top AS q CROSS JOIN hours AS h"
											  "       LEFT JOIN texts AS x USING (queryid, database_name, user_name)"
											  " ORDER BY q.rank, q.place",
	.columns = query_columns,
	.num_columns = lengthof(query_columns),
	.empty = "No query is known of either period.",
	.limit_ms = 1000,
	.late = "See dbperf.metrics_queries_between().",
};

void
dbperf_section_query_changes(ReportPage *page)
{
	dbperf_html_note(page, "Only the queries that took the most time are kept sample by sample: "
						   "one that is new or gone may just have taken less before or now.");
	dbperf_note_short_period(page);
	(void) dbperf_report_facts(page, &queries);
}

/* ---- plans ---- */

static const ReportColumn plan_columns[] = {
	{"First used", REPORT_TIME, NULL},
	{"Is", REPORT_TEXT, "new, or back: another one was used until then"},
	{"Slower", REPORT_TEXT, "what dbperf.plan_regressions says of it"},
	{"Mean with it", REPORT_MS, NULL},
	{"Mean with others", REPORT_MS, "plans that were used before"},
	{"Calls", REPORT_NUMBER, "with it"},
	{"Database", REPORT_TEXT, NULL},
	{"Role", REPORT_TEXT, NULL},
	{"Query", REPORT_CODE, NULL},
	{"Plans", REPORT_DETAILS, NULL},
};

/*
 * Plans k are the others of the query of plan n.  n is new if it was first seen in
 * the later period.  It came back if it was known before, and all others were last
 * seen since the earlier period began and before it, for longer than the one of
 * them that was used last had paused between executions: else they take turns.
 */
static const ReportFacts new_plans = {
	.title = "Plans that are new or came back",
	.sql =
		"WITH known AS MATERIALIZED (SELECT h.* FROM dbperf.plan_history() AS h), "
		"slower AS MATERIALIZED (SELECT r.* FROM dbperf.plan_regressions() AS r), "
		"changed AS MATERIALIZED ("
		"  SELECT n.queryid, n.database_name, n.user_name, n.toplevel, n.plan_id, n.first_seen,"
		"         n.calls, n.mean_ms, n.plan, sum(k.calls) AS old_calls,"
		"         sum(k.mean_ms * k.calls) / nullif(sum(k.calls), 0) AS old_mean_ms,"
		"         (array_agg(k.plan ORDER BY CASE WHEN n.first_seen < $1 THEN k.last_seen END DESC,"
		"                                    k.calls DESC))[1] AS old_plan,"
		"         CASE WHEN n.first_seen < $1 THEN max(k.last_seen) END AS back_after"
		"    FROM known AS n"
		"         JOIN known AS k USING (queryid, database_name, user_name, toplevel)"
		"   WHERE k.plan_id <> n.plan_id"
		"     AND (n.first_seen BETWEEN $1 AND $2 AND k.first_seen < n.first_seen OR"
		"          n.first_seen < $1 AND n.last_seen >= $1)"
		"   GROUP BY n.queryid, n.database_name, n.user_name, n.toplevel, n.plan_id, n.first_seen,"
		"            n.last_seen, n.calls, n.mean_ms, n.plan"
		"  HAVING sum(k.calls) > 0"
		"     AND (n.first_seen >= $1 OR"
		"          max(k.last_seen) >= $3 AND max(k.last_seen) < $2 AND"
		"          n.last_seen - max(k.last_seen) >"
		"          (array_agg(3 * (k.last_seen - k.first_seen) / greatest(k.calls, 1)"
		"                     ORDER BY k.last_seen DESC))[1])), "
		"top AS MATERIALIZED ("
		"  SELECT n.*, s.factor, s.difference"
		"    FROM changed AS n"
		"         LEFT JOIN slower AS s"
		"           ON s.queryid = n.queryid AND s.toplevel = n.toplevel"
		"          AND s.database_name = n.database_name AND s.user_name = n.user_name"
		"          AND s.new_plan_id = n.plan_id"
		"   ORDER BY s.factor IS NULL, (n.mean_ms - n.old_mean_ms) * n.calls DESC LIMIT 15), " QUERY_TEXTS(
			"SELECT p.queryid FROM top AS p") " "
											  "SELECT q.first_seen,"
											  "       coalesce('back, the other was used until ' || date_trunc('second', q.back_after), 'new'),"
											  "       coalesce(round(q.factor::numeric, 1) || ' times: ' || q.difference,"
											  "                CASE WHEN least(q.calls, q.old_calls) < 30 THEN 'too few calls to tell'"
											  "                     ELSE 'no' END),"
											  "       q.mean_ms, q.old_mean_ms, q.calls, q.database_name, q.user_name, " QUERY_TEXT
											  ","
											  "       concat_ws(E'\\n\\n', 'queryid ' || q.queryid, E'Before:\\n' || q.old_plan,"
											  "                 E'Now:\\n' || q.plan)"
											  "  FROM top AS q LEFT JOIN texts AS x USING (queryid, database_name, user_name)"
											  " ORDER BY q.factor IS NULL, (q.mean_ms - q.old_mean_ms) * q.calls DESC",
	.columns = plan_columns,
	.num_columns = lengthof(plan_columns),
	.empty =
		"No plan was seen for the first time in the later period, and none came back, as far as "
		"is known.",
	.limit_ms = 800,
	.late = "See dbperf.plan_history.",
};

/* ---- what else changed ---- */

static const ReportColumn event_columns[] = {
	{"When", REPORT_TIME, NULL},
	{"What", REPORT_TEXT, NULL},
	{"Which", REPORT_TEXT, NULL},
};

static const ReportFacts events = {
	.title = "What happened meanwhile",
	.sql = "SELECT e.at, e.what, e.which FROM ("
		   "  SELECT pg_postmaster_start_time() AS at, 'the server was started' AS what,"
		   "         NULL AS which"
		   "  UNION ALL SELECT pg_conf_load_time(), 'settings were loaded', 'the last time'"
		   "  UNION ALL SELECT d.stats_reset, 'counters of a database were reset', d.datname::text"
		   "    FROM pg_stat_database AS d"
		   "  UNION ALL"
		   "  SELECT max(t.at), t.what, string_agg(t.name, ', ' ORDER BY t.name)"
		   "    FROM (SELECT s.last_analyze AS at, 'ANALYZE by hand' AS what,"
		   "                 format('%I.%I', s.schemaname, s.relname) AS name"
		   "            FROM pg_stat_user_tables AS s"
		   "          UNION ALL"
		   "          SELECT s.last_autoanalyze, 'ANALYZE by autovacuum',"
		   "                 format('%I.%I', s.schemaname, s.relname)"
		   "            FROM pg_stat_user_tables AS s) AS t"
		   "   WHERE t.name NOT LIKE 'dbperf.%'"
		   "   GROUP BY t.what, date_trunc('minute', t.at)"
		   "  ) AS e"
		   " WHERE e.at BETWEEN least($1, $3) AND greatest($2, $4) ORDER BY e.at, e.what LIMIT 50",
	.columns = event_columns,
	.num_columns = lengthof(event_columns),
	.empty = "Neither was the server started nor were settings loaded.",
	.limit_ms = 300,
	.late = "See pg_stat_user_tables.",
};

static const ReportFacts changes = {
	.title = "What dbperf changed",
	.sql = "SELECT e.at, e.what, e.which FROM ("
		   "  SELECT a.applied_at AS at, 'index created on advice' AS what,"
		   "         format('%I on %I.%I', a.index_name, a.schema_name, a.table_name) AS which"
		   "    FROM dbperf.index_advice AS a WHERE a.status = 'applied'"
		   "  UNION ALL"
		   "  SELECT q.created, 'settings given to query ' || q.queryid, q.settings::text"
		   "    FROM dbperf.query_settings AS q WHERE q.enabled) AS e"
		   " WHERE e.at BETWEEN least($1, $3) AND greatest($2, $4) ORDER BY e.at, e.what LIMIT 50",
	.columns = event_columns,
	.num_columns = lengthof(event_columns),
	.empty = "Nothing in this database.",
};

void
dbperf_section_plan_changes(ReportPage *page)
{
	(void) dbperf_report_facts(page, &new_plans);
	(void) dbperf_report_facts(page, &events);
	(void) dbperf_report_facts(page, &changes);
}
