/*-------------------------------------------------------------------------
 *
 * section_running.c
 *		Who runs and who waits for whom while the page is made.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "report/facts.h"
#include "report/report_sections.h"

static const ReportColumn blocking_columns[] = {
	{"Process", REPORT_TEXT, "0: a prepared transaction, see pg_prepared_xacts"},
	{"Blocks", REPORT_NUMBER, "sessions that wait for it"},
	{"For up to", REPORT_MS, "since the statement of the longest of them began"},
	{"Database", REPORT_TEXT, NULL},
	{"Role", REPORT_TEXT, NULL},
	{"Application", REPORT_TEXT, NULL},
	{"State", REPORT_TEXT, NULL},
	{"In transaction since", REPORT_TIME, NULL},
	{"Waits itself", REPORT_TEXT, "for these processes; empty: it is the cause"},
	{"Its statement", REPORT_CODE, "the last one, if none runs"},
	{"Next step", REPORT_DDL, "ends the statement, or the session that has none"},
	{"Those that wait", REPORT_DETAILS, NULL},
};

/* Who is the cause comes first. */
static const ReportFacts blocking = {
	.title = "Who blocks whom",
	.sql = "WITH waiting AS MATERIALIZED ("
		   "  SELECT r.pid, r.blocked_by, r.elapsed_ms, r.query, r.user_name"
		   "    FROM dbperf.running_queries AS r WHERE cardinality(r.blocked_by) > 0), "
		   "blockers AS ("
		   "  SELECT b.pid, count(*) AS blocked, max(w.elapsed_ms) AS elapsed_ms,"
		   "         string_agg(format('process %s (%s), %s s: %s', w.pid, w.user_name,"
		   "                           round((w.elapsed_ms / 1000)::numeric, 1),"
		   "                           left(w.query, 500)), E'\\n'"
		   "                    ORDER BY w.elapsed_ms DESC) AS waiters"
		   "    FROM waiting AS w, LATERAL (SELECT DISTINCT u.pid"
		   "                                  FROM unnest(w.blocked_by) AS u(pid)) AS b"
		   "   GROUP BY b.pid) "
		   "SELECT b.pid::text, b.blocked, b.elapsed_ms, a.datname, a.usename, a.application_name,"
		   "       a.state, a.xact_start,"
		   "       (SELECT array_to_string(w.blocked_by, ', ') FROM waiting AS w"
		   "         WHERE w.pid = b.pid),"
		   "       dbperf.mask_query(a.query),"
		   "       CASE WHEN b.pid = 0 THEN 'SELECT * FROM pg_prepared_xacts'"
		   "            WHEN a.state = 'active' THEN format('SELECT pg_cancel_backend(%s)', b.pid)"
		   "            ELSE format('SELECT pg_terminate_backend(%s)', b.pid) END,"
		   "       b.waiters"
		   "  FROM blockers AS b LEFT JOIN pg_stat_activity AS a ON a.pid = b.pid"
		   " ORDER BY b.pid IN (SELECT w.pid FROM waiting AS w), b.blocked DESC, b.pid LIMIT 15",
	.columns = blocking_columns,
	.num_columns = lengthof(blocking_columns),
	.empty = "Nobody waits for a lock.",
	.hidden = REPORT_SESSIONS_HIDDEN,
	.limit_ms = 300,
	.late = "See column blocked_by of dbperf.running_queries.",
};

static const ReportColumn running_columns[] = {
	{"Process", REPORT_TEXT, NULL},		{"Runs for", REPORT_MS, NULL},
	{"Database", REPORT_TEXT, NULL},	{"Role", REPORT_TEXT, NULL},
	{"Application", REPORT_TEXT, NULL}, {"Waits for", REPORT_TEXT, NULL},
	{"Statement", REPORT_CODE, NULL},	{"Next step", REPORT_DDL, "cancels it"},
	{"Plan", REPORT_DETAILS, NULL},
};

static const ReportFacts running = {
	.title = "Statements that run longest",
	.sql =
		"SELECT r.pid::text, r.elapsed_ms, r.database_name, r.user_name, r.application_name, r.waits,"
		"       r.query, format('SELECT pg_cancel_backend(%s)', r.pid), r.plan"
		"  FROM dbperf.running_queries AS r WHERE r.pid <> pg_backend_pid()"
		" ORDER BY r.elapsed_ms DESC NULLS LAST, r.pid LIMIT 15",
	.columns = running_columns,
	.num_columns = lengthof(running_columns),
	.empty = "None but the one that made this page.",
	.hidden = REPORT_SESSIONS_HIDDEN,
	.limit_ms = 300,
	.late = "See dbperf.running_queries.",
};

static const ReportColumn idle_columns[] = {
	{"Process", REPORT_TEXT, NULL},
	{"Idle for", REPORT_SECONDS, NULL},
	{"Database", REPORT_TEXT, NULL},
	{"Role", REPORT_TEXT, NULL},
	{"Application", REPORT_TEXT, NULL},
	{"In transaction since", REPORT_TIME, NULL},
	{"Its last statement", REPORT_CODE, NULL},
	{"Next step", REPORT_DDL, "ends the session"},
};

static const ReportFacts idle = {
	.title = "Sessions that are idle in a transaction",
	.sql = "SELECT a.pid::text, extract(epoch FROM clock_timestamp() - a.state_change)::float8,"
		   "       a.datname, a.usename, a.application_name, a.xact_start,"
		   "       dbperf.mask_query(a.query), format('SELECT pg_terminate_backend(%s)', a.pid)"
		   "  FROM pg_stat_activity AS a"
		   " WHERE a.state LIKE 'idle in transaction%'"
		   "   AND a.state_change < clock_timestamp() - interval '10 seconds'"
		   " ORDER BY a.state_change LIMIT 10",
	.columns = idle_columns,
	.num_columns = lengthof(idle_columns),
	.empty = "None for more than ten seconds.",
	.hidden = REPORT_SESSIONS_HIDDEN,
};

void
dbperf_section_running(ReportPage *page)
{
	(void) dbperf_report_facts(page, &blocking);
	(void) dbperf_report_facts(page, &running);
	(void) dbperf_report_facts(page, &idle);
}
