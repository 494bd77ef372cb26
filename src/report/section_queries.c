/*-------------------------------------------------------------------------
 *
 * section_queries.c
 *		Where the time went: the queries of the period that took most of it, and
 *		the statements that were recorded because they were slow or failed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "core/core.h"
#include "miscadmin.h"
#include "report/facts.h"
#include "report/recorded.h"
#include "report/report_sections.h"
#include "utils/acl.h"

/* Rows of each list: who wants more asks the views. */
#define MOST_QUERIES "20"
#define MOST_STATEMENTS "15"

/* Milliseconds for lists that may have to read histories. */
#define QUERIES_LIMIT_MS 1000
#define HISTORY_LIMIT_MS 600

/* ---- queries ---- */

static const ReportColumn query_columns[] = {
	{"Share", REPORT_PERCENT, "of the time of all statements that clients sent"},
	{"Time", REPORT_MS, "of all its executions together"},
	{"Calls", REPORT_NUMBER, REPORT_CALLS_HINT},
	{"Mean", REPORT_MS, NULL},
	{"p95", REPORT_MS, "95 of 100 executions took at most this; " REPORT_P95_HINT},
	{"Database", REPORT_TEXT, NULL},
	{"Role", REPORT_TEXT, NULL},
	{"Query", REPORT_CODE, "as it was sent once"},
	{"Query id", REPORT_TEXT, NULL},
	{"Slowest recorded execution", REPORT_DETAILS, NULL},
};

/* The queries of source, with the slowest recorded execution of each. */
#define SLOWEST_QUERIES(recorded, source, total)                                                                                          \
	"WITH ran AS MATERIALIZED (" source "), "                                                                                             \
	"top AS MATERIALIZED ("                                                                                                               \
	"  SELECT r.*, r.total_ms / nullif(greatest((" total                                                                                  \
	"), sum(r.total_ms) FILTER (WHERE r.toplevel) OVER ()), 0)"                                                                           \
	"                AS share"                                                                                                            \
	"    FROM ran AS r ORDER BY r.total_ms DESC LIMIT " MOST_QUERIES "), " recorded                                                       \
	", " QUERY_TEXTS(                                                                                                                     \
		"SELECT p.queryid FROM top AS p") ", slowest AS MATERIALIZED ("                                                                   \
										  "  SELECT DISTINCT ON (s.queryid, s.database_name, s.user_name, s.level = 0) s.*"               \
										  "    FROM recorded AS s WHERE s.queryid IN (SELECT t.queryid FROM top AS t)"                    \
										  "   ORDER BY s.queryid, s.database_name, s.user_name, s.level = 0, s.plan IS NULL,"             \
										  "            s.duration_ms DESC) "                                                              \
										  "SELECT CASE WHEN q.toplevel THEN q.share END, q.total_ms, q.calls,"                            \
										  "       q.total_ms / nullif(q.calls, 0), q.p95_ms, q.database_name, q.user_name,"               \
										  "       CASE WHEN NOT q.toplevel THEN '(within another statement) ' ELSE '' END || " QUERY_TEXT \
										  ", q.queryid::text, CASE WHEN s.id IS NOT NULL THEN " EXECUTION_DETAILS                         \
										  " END"                                                                                          \
										  "  FROM top AS q"                                                                               \
										  "       LEFT JOIN texts AS x USING (queryid, database_name, user_name)"                         \
										  "       LEFT JOIN slowest AS s ON s.queryid = q.queryid"                                        \
										  "            AND s.database_name = q.database_name AND s.user_name = q.user_name"               \
										  "            AND (s.level = 0) = q.toplevel"                                                    \
										  " ORDER BY q.total_ms DESC"

#define OF_THE_PERIOD                                                                              \
	"SELECT q.queryid, q.database_name, q.user_name, q.toplevel, q.calls, q.total_ms, q.p95_ms"    \
	"  FROM dbperf.metrics_queries_between($1, $2) AS q"                                           \
	" WHERE q.calls > 0"

#define OF_ALL_TIME                                                                                \
	"SELECT q.queryid, q.database_name, q.user_name, q.toplevel, q.calls, q.total_ms, q.p95_ms"    \
	"  FROM dbperf.query_latency() AS q"                                                           \
	" WHERE q.period = 'lifetime' AND q.database_name IS NOT NULL"

/*
 * Time of all statements of the period.  The history has only the queries that took
 * most: those alone if it has not enough samples.
 */
#define TOTAL_OF_THE_PERIOD                                                                        \
	"SELECT 1000 * sum(p.per_second * extract(epoch FROM p.at - p.before)::float8)"                \
	"  FROM (SELECT m.at, m.per_second, lag(m.at) OVER (ORDER BY m.at) AS before"                  \
	"          FROM dbperf.metrics_between($1, $2,"                                                \
	"                   ARRAY['dbperf_statement_duration_seconds_sum']) AS m) AS p"

/* query_latency() has all of them */
#define TOTAL_OF_ALL_TIME "NULL::float8"

#define QUERY_FACTS(says_title, statement, says_empty)                                             \
	{                                                                                              \
		.title = says_title, .sql = statement, .columns = query_columns,                           \
		.num_columns = lengthof(query_columns), .empty = says_empty, .limit_ms = QUERIES_LIMIT_MS, \
		.late = "See dbperf.metrics_queries_between() and dbperf.slow_query_history."              \
	}

#define NO_QUERIES "Nothing is known of single queries in this period."

/* by whether the history may be read */
static const ReportFacts period_queries[2] = {
	QUERY_FACTS(NULL, SLOWEST_QUERIES(RECORDED_IN_RING, OF_THE_PERIOD, TOTAL_OF_THE_PERIOD),
				NO_QUERIES),
	QUERY_FACTS(NULL, SLOWEST_QUERIES(RECORDED_ANYWHERE, OF_THE_PERIOD, TOTAL_OF_THE_PERIOD),
				NO_QUERIES),
};

static const ReportFacts lifetime_queries = QUERY_FACTS(
	"Of all time since counting began",
	SLOWEST_QUERIES(RECORDED_IN_RING, OF_ALL_TIME, TOTAL_OF_ALL_TIME), "No query was executed.");

/* ---- statements ---- */

static const ReportColumn statement_columns[] = {
	{"Started", REPORT_TIME, NULL},
	{"Took", REPORT_MS, "execution, without planning"},
	{"Database", REPORT_TEXT, NULL},
	{"Role", REPORT_TEXT, NULL},
	{"Application", REPORT_TEXT, NULL},
	{"Rows", REPORT_NUMBER, NULL},
	{"Waited most for", REPORT_TEXT, "the wait event that took most of its time"},
	{"Statement", REPORT_CODE, NULL},
	{"Execution", REPORT_DETAILS, NULL},
};

/* The slowest statement of each query: 15 times the same one says little. */
#define SLOWEST_STATEMENTS(recorded)                                                               \
	"WITH " recorded ", slowest AS MATERIALIZED ("                                                 \
	"  SELECT DISTINCT ON (coalesce(s.queryid, -s.id), s.database_name) s.*"                       \
	"    FROM recorded AS s WHERE s.sqlstate IS NULL"                                              \
	"   ORDER BY coalesce(s.queryid, -s.id), s.database_name, s.duration_ms DESC), "               \
	"top AS MATERIALIZED ("                                                                        \
	"  SELECT s.* FROM slowest AS s ORDER BY s.duration_ms DESC LIMIT " MOST_STATEMENTS ") "       \
	"SELECT s.started_at, s.duration_ms, s.database_name, s.user_name, s.application_name,"        \
	"       s.rows, (SELECT w.key FROM jsonb_each_text(s.waits) AS w"                              \
	"                 ORDER BY w.value::float8 DESC LIMIT 1),"                                     \
	"       s.query, " EXECUTION_DETAILS "  FROM top AS s ORDER BY s.duration_ms DESC"

static const ReportColumn failure_columns[] = {
	{"SQLSTATE", REPORT_TEXT, "57014 is a cancel or a timeout"},
	{"Times", REPORT_NUMBER, NULL},
	{"Last", REPORT_TIME, NULL},
	{"Took up to", REPORT_MS, NULL},
	{"Database", REPORT_TEXT, NULL},
	{"Role", REPORT_TEXT, NULL},
	{"Application", REPORT_TEXT, NULL},
	{"Statement", REPORT_CODE, "the last one"},
};

#define FAILURES(recorded)                                                                         \
	"WITH " recorded                                                                               \
	" SELECT s.sqlstate, count(*), max(s.started_at), max(s.duration_ms), s.database_name,"        \
	"       s.user_name, s.application_name, (array_agg(s.query ORDER BY s.started_at DESC))[1]"   \
	"  FROM recorded AS s WHERE s.sqlstate IS NOT NULL"                                            \
	" GROUP BY s.sqlstate, s.database_name, s.user_name, s.application_name, s.queryid"            \
	" ORDER BY count(*) DESC, max(s.duration_ms) DESC LIMIT " MOST_STATEMENTS

static const ReportColumn wait_columns[] = {
	{"Started", REPORT_TIME, NULL},
	{"Took", REPORT_MS, "its waiting included"},
	{"Database", REPORT_TEXT, NULL},
	{"Role", REPORT_TEXT, NULL},
	{"Waited for", REPORT_TEXT, "processes that held a lock"},
	{"Statement", REPORT_CODE, NULL},
	{"Recorded of them", REPORT_CODE, "a statement of one of them at that time, if it was slow"},
};

#define WAITS(recorded)                                                                            \
	"WITH " recorded ", top AS MATERIALIZED ("                                                     \
	"  SELECT s.* FROM recorded AS s WHERE cardinality(s.blocked_by) > 0"                          \
	"   ORDER BY s.duration_ms DESC LIMIT " MOST_STATEMENTS ") "                                   \
	"SELECT w.started_at, w.duration_ms, w.database_name, w.user_name,"                            \
	"       array_to_string(w.blocked_by, ', '), w.query,"                                         \
	"       (SELECT b.query FROM recorded AS b"                                                    \
	"         WHERE b.pid = ANY (w.blocked_by)"                                                    \
	"           AND b.started_at <= w.started_at + w.duration_ms * interval '1 ms'"                \
	"           AND b.started_at + b.duration_ms * interval '1 ms' >= w.started_at"                \
	"         ORDER BY b.duration_ms DESC LIMIT 1)"                                                \
	"  FROM top AS w ORDER BY w.duration_ms DESC"

#define STATEMENT_FACTS(says_title, statement, has_columns, says_empty)                            \
	{                                                                                              \
		.title = says_title, .sql = statement, .columns = has_columns,                             \
		.num_columns = lengthof(has_columns), .empty = says_empty, .limit_ms = HISTORY_LIMIT_MS,   \
		.late = "See dbperf.slow_queries and dbperf.slow_query_history."                           \
	}

#define STATEMENT_LISTS(recorded)                                                                  \
	{                                                                                              \
		STATEMENT_FACTS(NULL, SLOWEST_STATEMENTS(recorded), statement_columns,                     \
						"No statement of the period took longer than "                             \
						"dbperf.slow_query_min_duration, as far as is still known."),              \
			STATEMENT_FACTS("Failed, cancelled or timed out", FAILURES(recorded), failure_columns, \
							"None was recorded."),                                                 \
			STATEMENT_FACTS("Waited for a lock", WAITS(recorded), wait_columns,                    \
							"None was recorded."),                                                 \
	}

static const ReportFacts statement_lists[2][3] = {
	STATEMENT_LISTS(RECORDED_IN_RING),
	STATEMENT_LISTS(RECORDED_ANYWHERE),
};

/*
 * Whether the caller may read the history, 0 or 1.
 */
static int
history_readable(void)
{
	Oid table = dbperf_own_table("slow_query_history");

	return OidIsValid(table) && pg_class_aclcheck(table, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

/*
 * Shows a list with the history; if that takes too long, without it.
 */
static ReportFactsState
show_with_history(ReportPage *page, const ReportFacts *in_ring, const ReportFacts *anywhere)
{
	ReportFactsState state;

	if (!history_readable())
		return dbperf_report_facts(page, in_ring);
	state = dbperf_report_facts(page, anywhere);
	if (state == REPORT_FACTS_LATE)
	{
		dbperf_html_note(page, "Without what is only in dbperf.slow_query_history:");
		state = dbperf_report_facts(page, in_ring);
	}
	return state;
}

void
dbperf_section_queries(ReportPage *page)
{
	dbperf_note_short_period(page);
	if (dbperf_report_facts(page, &period_queries[history_readable()]) != REPORT_FACTS_SHOWN)
		(void) dbperf_report_facts(page, &lifetime_queries);
}

void
dbperf_section_statements(ReportPage *page)
{
	for (int i = 0; i < lengthof(statement_lists[0]); i++)
		(void) show_with_history(page, &statement_lists[0][i], &statement_lists[1][i]);
}
