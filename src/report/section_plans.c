/*-------------------------------------------------------------------------
 *
 * section_plans.c
 *		What is wrong with plans: findings, regressions, and advice on statistics
 *		and settings.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "report/facts.h"
#include "report/recorded.h"
#include "report/report_sections.h"

/* ---- findings ---- */

static const ReportColumn finding_columns[] = {
	{"Severity", REPORT_VERDICT, NULL},
	{"Could save", REPORT_MS, "of one execution like the recorded one; empty if not known"},
	{"Calls", REPORT_NUMBER, "of the query since counting began"},
	{"What", REPORT_TEXT, "code of the finding, and the node of the plan"},
	{"Evidence and advice", REPORT_TEXT, NULL},
	{"Next step", REPORT_DDL, NULL},
	{"Query", REPORT_CODE, NULL},
};

/* One row for each code and what it advises, which often is the same for many queries. */
static const ReportFacts findings = {
	.sql = "WITH found AS MATERIALIZED ("
		   "  SELECT f.*, coalesce(f.ddl, 'SET ' || f.setting) AS next_step"
		   "    FROM dbperf.plan_findings() AS f), "
		   "calls AS MATERIALIZED ("
		   "  SELECT l.queryid, sum(l.calls) AS calls FROM dbperf.query_latency() AS l"
		   "   WHERE l.period = 'lifetime' AND l.database_name = current_database()"
		   "     AND l.queryid IS NOT NULL"
		   "   GROUP BY l.queryid), "
		   "top AS MATERIALIZED ("
		   "  SELECT f.*, c.calls"
		   "    FROM (SELECT DISTINCT ON (g.queryid, g.code, g.next_step) g.* FROM found AS g"
		   "           ORDER BY g.queryid, g.code, g.next_step,"
		   "                    g.estimated_gain_ms DESC NULLS LAST) AS f"
		   "         LEFT JOIN calls AS c USING (queryid)"
		   "   ORDER BY array_position(ARRAY['critical', 'warning', 'info'], f.severity),"
		   "            f.estimated_gain_ms * c.calls DESC NULLS LAST, f.slow_query_id DESC"
		   "   LIMIT 20) "
		   "SELECT f.severity, f.estimated_gain_ms, f.calls,"
		   "       f.code || coalesce(' (' || f.node || ')', ''),"
		   "       f.evidence || '. ' || f.advice, f.next_step,"
		   "       (SELECT s.query"
		   "          FROM dbperf.slow_queries(f.slow_query_id, f.slow_query_id) AS s)"
		   "  FROM top AS f"
		   " ORDER BY array_position(ARRAY['critical', 'warning', 'info'], f.severity),"
		   "          f.estimated_gain_ms * f.calls DESC NULLS LAST, f.slow_query_id DESC",
	.columns = finding_columns,
	.num_columns = lengthof(finding_columns),
	.empty = "None: no recorded statement of this database has a plan that something is wrong "
			 "with.",
	.limit_ms = 500,
	.late = "See dbperf.plan_findings.",
};

void
dbperf_section_findings(ReportPage *page)
{
	(void) dbperf_report_facts(page, &findings);
}

/* ---- regressions ---- */

static const ReportColumn regression_columns[] = {
	{"Slower by", REPORT_NUMBER, "a factor, the lesser one of medians and means"},
	{"Since", REPORT_TIME, NULL},
	{"In the period", REPORT_TEXT, "whether it began within the period of the report"},
	{"p95 before", REPORT_MS, NULL},
	{"p95 now", REPORT_MS, NULL},
	{"Calls since", REPORT_NUMBER, NULL},
	{"Database", REPORT_TEXT, NULL},
	{"Role", REPORT_TEXT, NULL},
	{"Why", REPORT_TEXT, "what differs between the plans"},
	{"Query", REPORT_CODE, NULL},
	{"Plans", REPORT_DETAILS, NULL},
};

static const ReportFacts regressions = {
	.sql =
		"WITH slower AS MATERIALIZED ("
		"  SELECT r.* FROM dbperf.plan_regressions() AS r WHERE r.first_seen <= $2"
		"   ORDER BY r.first_seen >= $1 DESC,"
		"            (r.new_mean_ms - r.old_mean_ms) * r.new_calls DESC LIMIT 15), " QUERY_TEXTS(
			"SELECT p.queryid FROM slower AS p") " "
												 "SELECT q.factor, q.first_seen,"
												 "       CASE WHEN q.first_seen >= $1 THEN 'yes' ELSE 'before' END,"
												 "       q.old_p95_ms, q.new_p95_ms, q.new_calls, q.database_name, q.user_name,"
												 "       q.difference, " QUERY_TEXT ","
												 "       concat_ws(E'\\n\\n', 'queryid ' || q.queryid,"
												 "                 E'Before:\\n' || q.old_plan, E'Now:\\n' || q.new_plan,"
												 "                 CASE WHEN coalesce(q.old_plan, q.new_plan) IS NULL"
												 "                      THEN 'No plan is kept.' END)"
												 "  FROM slower AS q"
												 "       LEFT JOIN texts AS x USING (queryid, database_name, user_name)"
												 " ORDER BY q.first_seen >= $1 DESC,"
												 "          (q.new_mean_ms - q.old_mean_ms) * q.new_calls DESC",
	.columns = regression_columns,
	.num_columns = lengthof(regression_columns),
	.empty = "None: no query became slower, or there were too few executions to tell.",
	.limit_ms = 500,
	.late = "See dbperf.plan_regressions.",
};

void
dbperf_section_regressions(ReportPage *page)
{
	(void) dbperf_report_facts(page, &regressions);
}

/* ---- statistics and settings ---- */

static const ReportColumn statistics_columns[] = {
	{"Table", REPORT_TEXT, NULL},
	{"Columns", REPORT_TEXT, NULL},
	{"Estimate wrong by", REPORT_NUMBER, "a factor"},
	{"With it", REPORT_NUMBER, "the factor by the sample; empty if it was not verified"},
	{"Why", REPORT_TEXT, NULL},
	{"Next step", REPORT_DDL, NULL},
};

static const ReportFacts statistics = {
	.title = "Statistics",
	.sql = "SELECT format('%s.%s', s.schema_name, s.table_name), array_to_string(s.columns, ', '),"
		   "       s.q_error, s.q_error_after, s.reason, s.ddl"
		   "  FROM dbperf.suggest_statistics() AS s"
		   " WHERE s.fixable IS NOT FALSE ORDER BY s.q_error DESC LIMIT 10",
	.columns = statistics_columns,
	.num_columns = lengthof(statistics_columns),
	.empty = "None: no row estimate of a recorded plan was so wrong that statistics would help.",
	.limit_ms = 400,
	.late = "SELECT * FROM dbperf.suggest_statistics() has the time for it.",
};

static const ReportColumn setting_columns[] = {
	{"Setting", REPORT_TEXT, NULL},
	{"For", REPORT_TEXT, "one query, or the server"},
	{"Now", REPORT_TEXT, NULL},
	{"Better", REPORT_TEXT, NULL},
	{"Could save", REPORT_MS, "of one execution of the query, for the server of all recorded ones"},
	{"Why", REPORT_TEXT, NULL},
	{"Next step", REPORT_DDL, NULL},
};

static const ReportFacts settings = {
	.title = "Settings",
	.sql = "SELECT s.setting, s.scope, s.current, s.suggested, s.estimated_gain_ms, s.reason,"
		   "       s.statement"
		   "  FROM dbperf.suggest_settings() AS s"
		   " ORDER BY s.estimated_gain_ms DESC NULLS LAST, s.setting, s.statement LIMIT 10",
	.columns = setting_columns,
	.num_columns = lengthof(setting_columns),
	.empty = "None: the recorded statements would not gain from other settings.",
	.limit_ms = 400,
	.late = "SELECT * FROM dbperf.suggest_settings() has the time for it.",
};

void
dbperf_section_advice(ReportPage *page)
{
	dbperf_note_standby(
		page,
		"This is a standby: run these statements on the primary, but ALTER SYSTEM on the server that is to have the setting.");
	(void) dbperf_report_facts(page, &statistics);
	(void) dbperf_report_facts(page, &settings);
}
