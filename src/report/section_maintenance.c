/*-------------------------------------------------------------------------
 *
 * section_maintenance.c
 *		What was vacuumed, what has to be, what keeps that from being of use, and
 *		how far transaction ids are from their end.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "report/facts.h"
#include "report/report_sections.h"

static const ReportColumn done_columns[] = {
	{"Started", REPORT_TIME, NULL},
	{"Took", REPORT_SECONDS, "empty: it still runs"},
	{"Database", REPORT_TEXT, NULL},
	{"Object", REPORT_TEXT, NULL},
	{"Action", REPORT_TEXT, NULL},
	{"Outcome", REPORT_TEXT, NULL},
	{"Dead rows before", REPORT_NUMBER, NULL},
	{"after", REPORT_NUMBER, NULL},
	{"Size before", REPORT_BYTES, NULL},
	{"after", REPORT_BYTES, NULL},
	{"Why", REPORT_TEXT, "or the error of what failed"},
};

static const ReportFacts done = {
	.title = "Done in the period by dbperf",
	.sql = "SELECT m.started, extract(epoch FROM m.finished - m.started)::float8, m.database,"
		   "       m.object, m.action, coalesce(m.outcome, 'runs'), m.dead_rows_before,"
		   "       m.dead_rows_after, m.size_before, m.size_after, coalesce(m.error, m.reason)"
		   "  FROM dbperf.maintenance_log AS m"
		   " WHERE m.started <= $2 AND m.started >= $1 - interval '1 day'"
		   "   AND coalesce(m.finished, 'infinity') >= $1"
		   " ORDER BY m.outcome IS NOT DISTINCT FROM 'done', m.started DESC LIMIT 25",
	.columns = done_columns,
	.num_columns = lengthof(done_columns),
	.empty = "Nothing. dbperf.maintenance says whether it is on; the log is kept in "
			 "dbperf.database only.",
};

static const ReportColumn planned_columns[] = {
	{"Score", REPORT_NUMBER, "1 or more is due"},
	{"Object", REPORT_TEXT, NULL},
	{"Action", REPORT_TEXT, NULL},
	{"Why", REPORT_TEXT, NULL},
	{"Would take", REPORT_SECONDS, "estimated"},
	{"Not now", REPORT_TEXT, "what it waits for; empty: nothing"},
	{"Next step", REPORT_DDL, NULL},
};

static const ReportFacts planned = {
	.title = "Due in this database",
	.sql = "SELECT p.score, p.object, p.action, p.reason, p.estimated_seconds, p.not_now, p.command"
		   "  FROM dbperf.maintenance_plan() AS p ORDER BY p.score DESC, p.object LIMIT 20",
	.columns = planned_columns,
	.num_columns = lengthof(planned_columns),
	.empty = "Nothing is due.",
	.limit_ms = 500,
	.late = "See dbperf.maintenance_plan().",
};

static const ReportColumn table_columns[] = {
	{"Table", REPORT_TEXT, NULL},
	{"Dead rows", REPORT_NUMBER, NULL},
	{"Share", REPORT_PERCENT, "of all its rows"},
	{"Changed since ANALYZE", REPORT_NUMBER, "rows"},
	{"Last vacuum", REPORT_TIME, "by whomever"},
	{"Last analyze", REPORT_TIME, "by whomever"},
	{"Next step", REPORT_DDL, NULL},
};

static const ReportFacts tables = {
	.title = "Tables with the most dead rows",
	.sql = "SELECT format('%I.%I', t.schemaname, t.relname), t.n_dead_tup,"
		   "       t.n_dead_tup::float8 / nullif(t.n_live_tup + t.n_dead_tup, 0),"
		   "       t.n_mod_since_analyze, greatest(t.last_vacuum, t.last_autovacuum),"
		   "       greatest(t.last_analyze, t.last_autoanalyze),"
		   "       format('VACUUM (ANALYZE) %I.%I', t.schemaname, t.relname)"
		   "  FROM pg_stat_user_tables AS t WHERE t.n_dead_tup >= 1000"
		   " ORDER BY t.n_dead_tup DESC, t.relid LIMIT 10",
	.columns = table_columns,
	.num_columns = lengthof(table_columns),
	.empty = "No table has as many as 1,000.",
	.limit_ms = 300,
	.late = "See pg_stat_user_tables.",
};

static const ReportColumn blocker_columns[] = {
	{"Who", REPORT_TEXT, NULL},
	{"Database", REPORT_TEXT, NULL},
	{"Role", REPORT_TEXT, NULL},
	{"State", REPORT_TEXT, NULL},
	{"Since", REPORT_TIME, NULL},
	{"Age", REPORT_NUMBER, "in transactions"},
	{"Keeps dead rows", REPORT_NUMBER, "of this database; empty if not known"},
	{"Next step", REPORT_DDL, NULL},
};

static const ReportFacts blockers = {
	.title = "What keeps vacuum from removing dead rows",
	.sql = "SELECT b.holder || coalesce(' ' || b.pid, '') || coalesce(' ' || b.name, ''),"
		   "       b.database_name, b.role_name, b.state, b.since, b.age, b.dead_rows_pinned,"
		   "       b.remedy"
		   "  FROM dbperf.vacuum_blockers AS b"
		   " ORDER BY b.age DESC NULLS LAST LIMIT 10",
	.columns = blocker_columns,
	.num_columns = lengthof(blocker_columns),
	.empty = "Nobody, when this page was made.",
	.limit_ms = 300,
	.late = "See dbperf.vacuum_blockers.",
};

static const ReportColumn bloat_columns[] = {
	{"Would be given back", REPORT_BYTES, "by rewriting the table, or rebuilding the index"},
	{"Of it", REPORT_PERCENT, NULL},
	{"Size", REPORT_BYTES, NULL},
	{"What", REPORT_TEXT, NULL},
	{"Relation", REPORT_TEXT, NULL},
	{"By", REPORT_TEXT, "how it was estimated"},
	{"Next step", REPORT_DDL, "VACUUM FULL locks the table: in a quiet hour, if at all"},
};

static const ReportFacts bloat = {
	.title = "Bloat",
	.sql = "SELECT b.bloat_bytes, b.bloat_ratio, b.size_bytes, b.kind, b.relation::text, b.method,"
		   "       CASE b.kind WHEN 'index' THEN 'REINDEX INDEX CONCURRENTLY ' || b.relation"
		   "                   ELSE 'VACUUM (FULL, ANALYZE) ' || b.relation END"
		   "  FROM dbperf.bloat_estimates AS b"
		   " WHERE b.bloat_bytes >= 1024 * 1024 AND b.bloat_ratio >= 0.2"
		   " ORDER BY b.bloat_bytes DESC, b.relation LIMIT 10",
	.columns = bloat_columns,
	.num_columns = lengthof(bloat_columns),
	.empty = "No table or index of this database has a megabyte of it, and a fifth of its size.",
	.limit_ms = 400,
	.late = "See dbperf.bloat_estimates.",
};

void
dbperf_section_maintenance(ReportPage *page)
{
	dbperf_note_standby(page, "This is a standby: run VACUUM, ANALYZE and REINDEX on the primary.");
	(void) dbperf_report_facts(page, &done);
	(void) dbperf_report_facts(page, &planned);
	(void) dbperf_report_facts(page, &tables);
	(void) dbperf_report_facts(page, &bloat);
	(void) dbperf_report_facts(page, &blockers);
}

/* ---- wraparound ---- */

static const ReportColumn wraparound_columns[] = {
	{"Database or table", REPORT_TEXT, NULL},
	{"Age", REPORT_NUMBER, "of its oldest transaction id"},
	{"Of the limit", REPORT_PERCENT, "100 %: autovacuum is forced to freeze it"},
	{"Multixact age", REPORT_NUMBER, NULL},
	{"Days until forced", REPORT_NUMBER, "at the measured rate; empty: no rate is known, or none"},
	{"Days until the server stops", REPORT_NUMBER, NULL},
	{"Freeze by", REPORT_TIME, "in a quiet hour before this"},
	{"Next step", REPORT_DDL, NULL},
};

/* The databases, and the tables of this one that come first. */
static const ReportFacts wraparound = {
	.sql = "SELECT CASE WHEN w.scope = 'database' THEN 'database ' || w.database_name"
		   "            ELSE w.table_name || CASE WHEN w.is_toast THEN ' (TOAST)' ELSE '' END END,"
		   "       w.xid_age, w.xid_age::float8 / nullif(w.freeze_max_age, 0), w.multixact_age,"
		   "       w.days_until_forced, w.days_until_shutdown, w.freeze_by,"
		   "       CASE WHEN w.scope = 'table' AND w.xid_age >= 0.5 * w.freeze_max_age"
		   "            THEN format('VACUUM (FREEZE) %s', w.table_name) END"
		   "  FROM (SELECT f.*, row_number() OVER (PARTITION BY f.scope"
		   "                      ORDER BY f.days_until_forced, f.xid_age DESC NULLS LAST,"
		   "                               f.database_name, f.table_name) AS place"
		   "          FROM dbperf.wraparound_forecast AS f"
		   "         WHERE f.scope = 'database' OR f.xid_age >= 0.1 * f.freeze_max_age"
		   "            OR f.multixact_age >= 0.1 * f.multixact_freeze_max_age) AS w"
		   " WHERE w.place <= CASE w.scope WHEN 'database' THEN 10 ELSE 5 END"
		   " ORDER BY w.scope, w.place",
	.columns = wraparound_columns,
	.num_columns = lengthof(wraparound_columns),
	.empty = "Nothing is known of ages.",
	.limit_ms = 500,
	.late = "See dbperf.wraparound_forecast.",
};

void
dbperf_section_wraparound(ReportPage *page)
{
	(void) dbperf_report_facts(page, &wraparound);
}
