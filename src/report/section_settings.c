/*-------------------------------------------------------------------------
 *
 * section_settings.c
 *		Settings that somebody has changed.
 *
 * A page is sent around: values that can hold passwords and keys are not shown,
 * whoever asks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "report/facts.h"
#include "report/report_sections.h"

/* Whether value "column" of setting "name" can hold a secret, by its name or by what it says. */
#define IS_SECRET(name, value)                                                                     \
	"(" name " <> ALL (ARRAY['password_encryption', 'ssl_key_file', 'ssl_min_protocol_version',"   \
	"                        'krb_server_keyfile']) AND"                                           \
	" (" name " ~* 'passw|passphrase|secret|token|credential|conninfo|_command|apikey|_key$' OR"   \
	"  " value " ~* 'passw(or)?d\\s*=|(secret|token|api_?key)\\s*=|://[^/@\\s]*:[^/@\\s]*@'))"

#define SHOWN(name, value, shown)                                                                  \
	"CASE WHEN " IS_SECRET(name, value) " THEN '(not shown)' ELSE " shown " END"

static const ReportColumn changed_columns[] = {
	{"Setting", REPORT_TEXT, NULL},
	{"Value", REPORT_CODE, NULL},
	{"Default", REPORT_CODE, "of PostgreSQL"},
	{"Set by", REPORT_TEXT, NULL},
	{"Restart", REPORT_TEXT, "whether a changed value waits for one"},
	{"Remark", REPORT_TEXT, NULL},
};

/* What a session has set itself is none of the server's business. */
static const ReportFacts changed = {
	.sql =
		"SELECT s.name,"
		"       " SHOWN(
			"s.name", "s.setting",
			"current_setting(s.name, true)") ",      CASE WHEN s.unit IS NULL OR s.boot_val LIKE '-%' OR s.boot_val = '0'"
											 "            THEN nullif(s.boot_val, '')"
											 "            WHEN s.unit LIKE '_%B'"
											 "            THEN pg_size_pretty(s.boot_val::bigint *"
											 "                                pg_size_bytes(regexp_replace(s.unit, '^\\D', '1\\&')))"
											 "            ELSE s.boot_val || s.unit END,"
											 "       CASE s.source WHEN 'configuration file'"
											 "            THEN coalesce(regexp_replace(s.sourcefile, '^.*/', '') || ':' ||"
											 "                          s.sourceline, 'configuration file')"
											 "            ELSE s.source END,"
											 "       CASE WHEN s.pending_restart THEN 'pending' END,"
											 "       CASE WHEN s.name IN ('fsync', 'full_page_writes') AND s.setting = 'off'"
											 "            THEN 'a crash of the machine can destroy the database'"
											 "            WHEN s.name = 'synchronous_commit' AND s.setting = 'off'"
											 "            THEN 'the last commits can be lost in a crash'"
											 "            WHEN s.name = 'autovacuum' AND s.setting = 'off'"
											 "            THEN 'nobody removes dead rows, unless dbperf.maintenance is on'"
											 "            WHEN s.name LIKE 'enable\\_%' AND s.setting = 'off'"
											 "            THEN 'forbids the planner something for all queries:"
											 " dbperf.set_query_settings() does for one'"
											 "            WHEN s.name IN ('zero_damaged_pages', 'ignore_checksum_failure')"
											 "            THEN 'hides damage, and loses data' END"
											 "  FROM pg_settings AS s"
											 " WHERE s.setting IS DISTINCT FROM s.boot_val"
											 "   AND s.source NOT IN ('default', 'override', 'client', 'session', 'interactive',"
											 "                        'test', 'environment variable')"
											 "   AND s.context <> 'internal'"
											 " ORDER BY s.name LIMIT 150",
	.columns = changed_columns,
	.num_columns = lengthof(changed_columns),
	.empty = "None.",
};

static const ReportColumn own_columns[] = {
	{"Database", REPORT_TEXT, "empty: all"},
	{"Role", REPORT_TEXT, "empty: all"},
	{"Setting", REPORT_TEXT, NULL},
	{"Value", REPORT_CODE, NULL},
};

static const ReportFacts own = {
	.title = "Of single databases and roles",
	.sql = "SELECT d.datname, r.rolname, c.name, " SHOWN(
		"c.name", "c.value",
		"c.value") "  FROM pg_db_role_setting AS s"
				   "       LEFT JOIN pg_database AS d ON d.oid = s.setdatabase"
				   "       LEFT JOIN pg_roles AS r ON r.oid = s.setrole,"
				   "       LATERAL (SELECT split_part(u.line, '=', 1) AS name,"
				   "                       substr(u.line, strpos(u.line, '=') + 1) AS value"
				   "                  FROM unnest(s.setconfig) AS u(line)) AS c"
				   " ORDER BY 1 NULLS FIRST, 2 NULLS FIRST, 3 LIMIT 50",
	.columns = own_columns,
	.num_columns = lengthof(own_columns),
	.empty = "None: ALTER DATABASE and ALTER ROLE ... SET were not used.",
};

static const ReportColumn query_columns[] = {
	{"Query", REPORT_TEXT, "its queryid"}, {"Settings", REPORT_CODE, NULL},
	{"In force", REPORT_TEXT, NULL},	   {"Given", REPORT_TIME, NULL},
	{"Mean before", REPORT_MS, NULL},	   {"Mean with them", REPORT_MS, NULL},
	{"Note", REPORT_TEXT, NULL},		   {"To take them back", REPORT_DDL, NULL},
};

static const ReportFacts of_queries = {
	.title = "Of single queries",
	.sql = "SELECT q.queryid::text, q.settings::text, CASE WHEN q.enabled THEN 'yes' ELSE 'no' END,"
		   "       q.created, q.mean_before_ms, q.mean_after_ms, q.note,"
		   "       format('SELECT dbperf.clear_query_settings(%s)', q.queryid)"
		   "  FROM dbperf.query_settings_effect AS q ORDER BY q.created DESC LIMIT 20",
	.columns = query_columns,
	.num_columns = lengthof(query_columns),
	.empty = "None: dbperf.set_query_settings() was not used here.",
	.limit_ms = 300,
	.late = "See dbperf.query_settings_effect.",
};

void
dbperf_section_settings(ReportPage *page)
{
	(void) dbperf_report_facts(page, &changed);
	(void) dbperf_report_facts(page, &own);
	(void) dbperf_report_facts(page, &of_queries);
}
