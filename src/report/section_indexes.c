/*-------------------------------------------------------------------------
 *
 * section_indexes.c
 *		Which indexes to create and to drop, and how much of the workload has one.
 *
 * Advice that a worker has kept costs nothing to show.  Without any the advisor
 * is asked, for less time than it would take for all it could say.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/advisor.h"
#include "report/facts.h"
#include "report/recorded.h"
#include "report/report_sections.h"

/* ---- what to create ---- */

static const ReportColumn kept_columns[] = {
	{"Saves", REPORT_PERCENT, "of the workload's cost, by the planner"},
	{"Size", REPORT_BYTES, "estimated"},
	{"Writes dearer by", REPORT_PERCENT, "of writing a row of the table"},
	{"State", REPORT_TEXT, NULL},
	{"Seen", REPORT_NUMBER, "times that the advisor proposed it"},
	{"Table", REPORT_TEXT, NULL},
	{"Next step", REPORT_DDL, "dbperf.apply_index_advice() has a worker do the same"},
	{"Evidence", REPORT_TEXT, NULL},
	{"Queries", REPORT_DETAILS, "those that gain"},
};

/* The texts of the queries of a, one a line. */
#define TEXTS_OF_QUERIES                                                                           \
	"(SELECT string_agg(regexp_replace(left(t.query, 300), '\\s+', ' ', 'g'), E'\\n')"             \
	"   FROM (SELECT DISTINCT ON (x.queryid) x.queryid, x.query FROM texts AS x"                   \
	"          WHERE x.queryid = ANY (a.queries) AND x.database_name = current_database()"         \
	"          ORDER BY x.queryid, x.query LIMIT 20) AS t)"

static const ReportFacts kept = {
	.sql =
		"WITH advice AS MATERIALIZED ("
		"  SELECT i.* FROM dbperf.index_advice AS i"
		"   WHERE i.status IN ('open', 'building', 'failed')"
		"   ORDER BY i.benefit_pct DESC NULLS LAST, i.id LIMIT 15), " QUERY_TEXTS(
			"SELECT unnest(p.queries) FROM advice AS p") " "
														 "SELECT a.benefit_pct / 100, a.index_size, a.write_overhead_pct / 100,"
														 "       a.status || coalesce(': ' || a.last_error, ''), a.times_seen,"
														 "       format('%I.%I', a.schema_name, a.table_name), a.ddl, a.reason,"
														 "       concat_ws(E'\\n\\n',"
														 "                 format('SELECT dbperf.apply_index_advice(%s);', a.id),"
														 "                 " TEXTS_OF_QUERIES ")"
														 "  FROM advice AS a ORDER BY a.benefit_pct DESC NULLS LAST, a.id",
	.columns = kept_columns,
	.num_columns = lengthof(kept_columns),
	.empty =
		"No open advice is kept: the advisor has not run here yet (dbperf.advisor_interval), or "
		"none of what it has proposed is still to be done.",
	.limit_ms = 500,
	.late = "See dbperf.index_advice.",
};

static const ReportColumn fresh_columns[] = {
	{"Saves", REPORT_PERCENT, "of the workload's cost, by the planner"},
	{"Size", REPORT_BYTES, "estimated"},
	{"Writes dearer by", REPORT_PERCENT, "of writing a row of the table"},
	{"Table", REPORT_TEXT, NULL},
	{"Next step", REPORT_DDL, NULL},
	{"Evidence", REPORT_TEXT, NULL},
	{"Queries", REPORT_DETAILS, "those that gain"},
};

static const ReportFacts fresh = {
	.title = "Asked now, for 0.5 s",
	.sql =
		"WITH advice AS MATERIALIZED ("
		"  SELECT i.*"
		"    FROM dbperf.suggest_indexes(max_indexes => 10, time_limit => '0.5 s') AS i), " QUERY_TEXTS(
			"SELECT unnest(p.queries) FROM advice AS p") " "
														 "SELECT a.benefit_pct / 100, a.index_size, a.write_overhead_pct / 100, a.table_name,"
														 "       a.ddl, a.reason, " TEXTS_OF_QUERIES
														 "  FROM advice AS a ORDER BY a.rank",
	.columns = fresh_columns,
	.num_columns = lengthof(fresh_columns),
	.empty = "Nothing was found in that time: SELECT * FROM dbperf.suggest_indexes() looks longer, "
			 "dbperf.index_candidates() says what was looked at.",
};

static const ReportColumn applied_columns[] = {
	{"Created", REPORT_TIME, NULL},
	{"Index", REPORT_TEXT, NULL},
	{"Effect", REPORT_TEXT, "on the queries of its table; empty: not judged yet"},
	{"Evidence", REPORT_TEXT, NULL},
	{"Next step", REPORT_DDL, "where it made things worse"},
};

static const ReportFacts applied = {
	.title = "Advice that was followed",
	.sql = "SELECT a.applied_at, format('%I on %I.%I', a.index_name, a.schema_name, a.table_name),"
		   "       a.verdict, a.verdict_detail, a.drop_ddl"
		   "  FROM dbperf.index_advice AS a"
		   " WHERE a.status = 'applied'"
		   "   AND (a.verdict = 'worse' OR a.applied_at >= $1 - interval '7 days')"
		   " ORDER BY a.verdict IS DISTINCT FROM 'worse', a.applied_at DESC LIMIT 10",
	.columns = applied_columns,
	.num_columns = lengthof(applied_columns),
	.empty = "None lately.",
};

/* ---- what to drop ---- */

static const ReportColumn drop_columns[] = {
	{"Index", REPORT_TEXT, NULL},
	{"Table", REPORT_TEXT, NULL},
	{"Size", REPORT_BYTES, NULL},
	{"Scans", REPORT_NUMBER, "since its counters began"},
	{"Verdict", REPORT_VERDICT, "unknown: not all statements or replicas could be asked"},
	{"Why", REPORT_TEXT, NULL},
	{"Next step", REPORT_DDL, "dbperf.suggest_index_drops() takes the time to ask for all"},
};

/* The statement to drop one is there only if all statements were tried without it. */
static const ReportFacts drops = {
	.title = "Indexes that may not be needed",
	.sql =
		"SELECT d.index_name, d.table_name, d.index_size, d.scans,"
		"       CASE WHEN p.proven THEN 'drop' ELSE 'unknown' END,"
		"       concat_ws(' ', d.reason, 'Replaced by ' || d.replaced_by || '.', d.evidence),"
		"       CASE WHEN p.proven THEN d.ddl"
		"            ELSE 'SELECT * FROM dbperf.suggest_index_drops();' END"
		"  FROM dbperf.suggest_index_drops() AS d,"
		"       LATERAL (SELECT d.verdict = 'drop' AND d.untried IS NOT DISTINCT FROM 0 AS proven)"
		"                 AS p"
		" WHERE d.verdict <> 'keep'"
		" ORDER BY p.proven DESC, d.index_size DESC, d.index_name LIMIT 15",
	.columns = drop_columns,
	.num_columns = lengthof(drop_columns),
	.empty = "None: no duplicates, and no index that was unused for seven days.",
};

static const ReportColumn other_columns[] = {
	{"What", REPORT_TEXT, NULL},	{"Table", REPORT_TEXT, NULL},	 {"Index", REPORT_TEXT, NULL},
	{"Finding", REPORT_TEXT, NULL}, {"Next step", REPORT_DDL, NULL},
};

static const ReportFacts others = {
	.title = "Other findings about indexes",
	.sql = "SELECT f.kind, f.table_name, f.index_name, f.finding, f.ddl"
		   "  FROM dbperf.index_findings() AS f ORDER BY 1, 2, 3 LIMIT 15",
	.columns = other_columns,
	.num_columns = lengthof(other_columns),
	.empty = "None.",
	.limit_ms = 300,
	.late = "See dbperf.index_findings.",
};

/* Shows what the advisor is asked for a limited time, and what it left out. */
static void
show_limited(ReportPage *page, const ReportFacts *facts, const char *longer)
{
	StringInfo	   caller = dbperf_advice_left_out;
	StringInfoData left_out;

	initStringInfo(&left_out);
	PG_TRY();
	{
		dbperf_advice_left_out = &left_out;
		(void) dbperf_report_facts(page, facts);
	}
	PG_FINALLY();
	{
		dbperf_advice_left_out = caller;
	}
	PG_END_TRY();
	if (left_out.len > 0)
		dbperf_html_note(page,
						 psprintf("Left out for want of time: %s. %s", left_out.data, longer));
	pfree(left_out.data);
}

void
dbperf_section_indexes(ReportPage *page)
{
	int drops_limit = dbperf_drops_time_limit;

	dbperf_note_standby(page, REPORT_ON_STANDBY);
	if (dbperf_report_facts(page, &kept) != REPORT_FACTS_SHOWN)
		show_limited(page, &fresh, "SELECT * FROM dbperf.suggest_indexes() looks longer.");
	(void) dbperf_report_facts(page, &applied);

	PG_TRY();
	{
		dbperf_drops_time_limit = 200;
		(void) dbperf_report_facts(page, &drops);
	}
	PG_FINALLY();
	{
		dbperf_drops_time_limit = drops_limit;
	}
	PG_END_TRY();
	(void) dbperf_report_facts(page, &others);
}

/* ---- coverage ---- */

static const ReportColumn coverage_columns[] = {
	{"Table", REPORT_TEXT, NULL},
	{"Covered", REPORT_PERCENT,
	 "of what the workload asks of it and an index serves or could serve, by time"},
	{"Predicates", REPORT_NUMBER, NULL},
	{"Weight", REPORT_PERCENT, "share of the workload that asks something of this table"},
	{"Without an index", REPORT_TEXT, NULL},
	{"Next step", REPORT_DDL, "an index for the one that weighs most"},
};

static const ReportFacts coverage = {
	.sql = "WITH asked AS MATERIALIZED ("
		   "  SELECT c.table_name, c.predicate, c.kind, c.covered, sum(c.weight) AS weight,"
		   "         min(c.suggestion) AS suggestion, bool_and(c.complete) AS complete"
		   "    FROM dbperf.predicate_coverage(time_limit => '0.4 s') AS c"
		   "   GROUP BY c.table_name, c.predicate, c.kind, c.covered) "
		   "SELECT a.table_name,"
		   "       CASE WHEN bool_and(a.complete)"
		   "            THEN coalesce(sum(a.weight) FILTER (WHERE a.covered), 0)"
		   "                 / nullif(sum(a.weight), 0) END,"
		   "       count(DISTINCT (a.predicate, a.kind)),"
		   "       CASE WHEN bool_and(a.complete)"
		   "            THEN sum(a.weight) / nullif(sum(sum(a.weight)) OVER (), 0) END,"
		   "       string_agg(format('%s (%s)', a.predicate, a.kind), '; '"
		   "                  ORDER BY a.weight DESC) FILTER (WHERE NOT a.covered),"
		   "       (array_agg(a.suggestion ORDER BY a.weight DESC)"
		   "          FILTER (WHERE NOT a.covered))[1]"
		   "  FROM asked AS a"
		   " GROUP BY a.table_name"
		   " ORDER BY coalesce(sum(a.weight) FILTER (WHERE NOT a.covered), 0) DESC,"
		   "          sum(a.weight) DESC, a.table_name LIMIT 20",
	.columns = coverage_columns,
	.num_columns = lengthof(coverage_columns),
	.empty = "Within the 0.4 s that the report has for it nothing was found that an index serves "
			 "or could serve: SELECT * FROM dbperf.index_coverage looks longer.",
};

void
dbperf_section_coverage(ReportPage *page)
{
	dbperf_note_standby(page, REPORT_ON_STANDBY);
	show_limited(page, &coverage,
				 "So there is no percentage, and predicates may be missing: SELECT * FROM "
				 "dbperf.index_coverage looks longer.");
}
