/*-------------------------------------------------------------------------
 *
 * section_health.c
 *		The top of the page: which targets are met, and what else cannot wait.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "report/facts.h"
#include "report/report_sections.h"

static const ReportColumn target_columns[] = {
	{"Target", REPORT_TEXT, "a row of dbperf.targets"},
	{"Goal", REPORT_TEXT, NULL},
	{"Value", REPORT_NUMBER, "as of now, not of the period"},
	{"Verdict", REPORT_VERDICT, NULL},
	{"Evidence", REPORT_TEXT, NULL},
	{"Next step", REPORT_DDL, "a statement to run"},
};

static const ReportFacts targets = {
	.sql = "SELECT h.target, h.comparison || ' ' || h.threshold, h.value, h.verdict, h.evidence,"
		   "       h.next_step"
		   "  FROM dbperf.health AS h"
		   " ORDER BY h.verdict <> 'missed', h.verdict <> 'no data', h.target",
	.columns = target_columns,
	.num_columns = lengthof(target_columns),
	.empty = "There are no targets: dbperf.targets is empty.",
};

static const ReportColumn alarm_columns[] = {
	{"Severity", REPORT_VERDICT, NULL},
	{"What", REPORT_TEXT, NULL},
	{"Evidence", REPORT_TEXT, NULL},
	{"Next step", REPORT_DDL, "a statement to run"},
};

/*
 * Sessions: those that wait, those that make others wait, and room for more.  For
 * whom they wait is dear to know, and another section's matter.
 */
#define SESSION_ALARMS                                                                                   \
	"SELECT CASE WHEN max(w.age) >= interval '1 minute' THEN 'critical' ELSE 'warning' END AS severity," \
	"       'sessions wait for locks' AS what,"                                                          \
	"       format('%s sessions, the longest for up to %s s; section \"Running now\" says for whom',"    \
	"              count(*), round(extract(epoch FROM max(w.age)))) AS evidence,"                        \
	"       'SELECT pid, blocked_by, elapsed_ms, query FROM dbperf.running_queries"                      \
	" WHERE blocked_by IS NOT NULL' AS next_step"                                                        \
	"  FROM (SELECT clock_timestamp() - query_start AS age FROM pg_stat_activity"                        \
	"         WHERE wait_event_type = 'Lock' AND state = 'active') AS w"                                 \
	" WHERE w.age >= interval '1 second'"                                                                \
	" HAVING count(*) > 0 "                                                                              \
	"UNION ALL "                                                                                         \
	"SELECT CASE WHEN a.age >= interval '1 hour' THEN 'critical' ELSE 'warning' END,"                    \
	"       'a session is idle in its transaction',"                                                     \
	"       format('process %s (%s, %s) since %s; it keeps its locks and the dead rows of all "          \
	"tables', a.pid, a.usename, a.application_name, date_trunc('second', a.age)),"                       \
	"       format('SELECT pg_terminate_backend(%s)', a.pid)"                                            \
	"  FROM (SELECT pid, usename, application_name, clock_timestamp() - state_change AS age"             \
	"          FROM pg_stat_activity"                                                                    \
	"         WHERE state LIKE 'idle in transaction%'"                                                   \
	"           AND clock_timestamp() - state_change >= interval '5 minutes'"                            \
	"         ORDER BY state_change LIMIT 3) AS a "                                                      \
	"UNION ALL "                                                                                         \
	"SELECT CASE WHEN c.used >= 0.95 * c.room THEN 'critical' ELSE 'warning' END,"                       \
	"       'connections run out', format('%s of %s are in use', c.used, c.room),"                       \
	"       'SELECT usename, application_name, state, count(*) FROM pg_stat_activity"                    \
	" GROUP BY 1, 2, 3 ORDER BY 4 DESC'"                                                                 \
	"  FROM (SELECT count(*) AS used,"                                                                   \
	"               current_setting('max_connections')::int"                                             \
	"               - current_setting('superuser_reserved_connections')::int"                            \
	"               - coalesce(current_setting('reserved_connections', true)::int, 0) AS room"           \
	"          FROM pg_stat_activity WHERE backend_type = 'client backend') AS c"                        \
	" WHERE c.used >= 0.8 * c.room "

/* What ends with a server that stops, or with data that is lost. */
#define SAFETY_ALARMS                                                                                         \
	"UNION ALL "                                                                                              \
	"SELECT CASE WHEN max(age(d.datfrozenxid)) >= 1000000000 THEN 'critical' ELSE 'warning' END,"             \
	"       'transaction ids are not frozen in time',"                                                        \
	"       format('age %s in database %s, autovacuum_freeze_max_age is %s; the server stops at"              \
	" about 2,000,000,000', max(age(d.datfrozenxid)),"                                                        \
	"              (array_agg(d.datname ORDER BY age(d.datfrozenxid) DESC))[1],"                              \
	"              current_setting('autovacuum_freeze_max_age')),"                                            \
	"       'SELECT * FROM dbperf.vacuum_blockers'"                                                           \
	"  FROM pg_database AS d"                                                                                 \
	" HAVING max(age(d.datfrozenxid)) >="                                                                     \
	"        1.2 * current_setting('autovacuum_freeze_max_age')::bigint "                                     \
	"UNION ALL "                                                                                              \
	"SELECT 'warning', 'a prepared transaction was forgotten',"                                               \
	"       format('%L of %s, prepared %s; it keeps its locks and the dead rows of all tables."               \
	" COMMIT PREPARED or ROLLBACK PREPARED, as its transaction manager has decided',"                         \
	"              p.gid, p.owner, p.prepared),"                                                              \
	"       'SELECT * FROM pg_prepared_xacts'"                                                                \
	"  FROM (SELECT * FROM pg_prepared_xacts"                                                                 \
	"         WHERE prepared < now() - interval '1 hour' ORDER BY prepared LIMIT 3) AS p "                    \
	"UNION ALL "                                                                                              \
	"SELECT CASE WHEN l.lost THEN 'critical' ELSE 'warning' END,"                                             \
	"       CASE WHEN l.lost THEN 'a replication slot has lost what its reader needs'"                        \
	"            ELSE 'a replication slot keeps WAL that nobody reads' END,"                                  \
	"       CASE WHEN l.lost THEN"                                                                            \
	"              format('slot %s keeps no WAL any more, and its reader cannot go on: drop it, and make"     \
	" its standby or subscription anew', s.slot_name)"                                                        \
	"            ELSE"                                                                                        \
	"              format('slot %s is not in use, %s of WAL are kept, state %s. Drop it if its reader is"     \
	" gone for good, else start that again', s.slot_name, pg_size_pretty(s.bytes), s.wal_status) END,"        \
	"       CASE WHEN l.lost THEN format('SELECT pg_drop_replication_slot(%L)', s.slot_name)"                 \
	"            ELSE 'SELECT * FROM pg_replication_slots' END"                                               \
	"  FROM (SELECT slot_name, active, wal_status,"                                                           \
	"               coalesce((to_jsonb(r)->>'synced')::bool, false) AND pg_is_in_recovery() AS synced,"       \
	"               CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"                              \
	"                    ELSE pg_current_wal_lsn() END - restart_lsn AS bytes"                                \
	"          FROM pg_replication_slots AS r) AS s"                                                          \
	"       CROSS JOIN LATERAL (SELECT s.wal_status = 'lost' AS lost) AS l"                                   \
	" WHERE NOT s.active AND NOT s.synced AND (s.wal_status <> 'reserved' OR s.bytes >= 1024 * 1024 * 1024) " \
	"UNION ALL "                                                                                              \
	"SELECT 'critical', 'WAL is not archived',"                                                               \
	"       format('%s failed at %s, the last success was %s', a.last_failed_wal,"                            \
	"              a.last_failed_time, coalesce(a.last_archived_time::text, 'never')),"                       \
	"       'SELECT * FROM pg_stat_archiver'"                                                                 \
	"  FROM pg_stat_archiver AS a"                                                                            \
	" WHERE a.last_failed_time > coalesce(a.last_archived_time, '-infinity') "                                \
	"UNION ALL "                                                                                              \
	"SELECT 'warning', 'a standby is behind',"                                                                \
	"       format('%s: what it shows is %s old', r.application_name, r.replay_lag),"                         \
	"       'SELECT * FROM pg_stat_replication'"                                                              \
	"  FROM pg_stat_replication AS r WHERE r.replay_lag >= interval '1 minute' "                              \
	"UNION ALL "                                                                                              \
	"SELECT 'critical', 'pages with wrong checksums',"                                                        \
	"       format('%s in database %s, the last at %s', d.checksum_failures, d.datname,"                      \
	"              d.checksum_last_failure),"                                                                 \
	"       'SELECT datname, checksum_failures, checksum_last_failure FROM pg_stat_database'"                 \
	"  FROM pg_stat_database AS d WHERE d.checksum_failures > 0 "                                             \
	"UNION ALL "                                                                                              \
	"SELECT 'critical', format('%s is off', s.name),"                                                         \
	"       CASE s.name WHEN 'autovacuum' THEN"                                                               \
	"              'nobody removes dead rows or renews statistics: dbperf.maintenance is not on, either'"     \
	"            ELSE 'a crash of the machine can destroy the database' END,"                                 \
	"       format('ALTER SYSTEM SET %s = on; SELECT pg_reload_conf();', s.name)"                             \
	"  FROM pg_settings AS s"                                                                                 \
	" WHERE s.setting = 'off'"                                                                                \
	"   AND (s.name IN ('fsync', 'full_page_writes') OR"                                                      \
	"        s.name = 'autovacuum' AND"                                                                       \
	"        current_setting('dbperf.maintenance', true) IS DISTINCT FROM 'on') "

/*
 * Indexes that cost without being of use, and the extension itself.  While one is
 * built or dropped concurrently it is INVALID, and its table locked; a standby can
 * neither see that nor drop it.
 */
#define OTHER_ALARMS                                                                                                   \
	"UNION ALL "                                                                                                       \
	"SELECT 'warning', 'indexes are INVALID',"                                                                         \
	"       format('%s, for example %s: kept up to date, but not used', count(*),"                                     \
	"              min(i.indexrelid::regclass::text)),"                                                                \
	"       format('DROP INDEX CONCURRENTLY %s', min(i.indexrelid::regclass::text))"                                   \
	"  FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid"                                                  \
	" WHERE NOT i.indisvalid AND c.relkind = 'i'"                                                                      \
	"   AND NOT pg_is_in_recovery()"                                                                                   \
	"   AND NOT EXISTS (SELECT FROM pg_locks AS l"                                                                     \
	"                    WHERE l.locktype = 'relation' AND l.relation = i.indrelid"                                    \
	"                      AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())" \
	"                      AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted)"                                     \
	" HAVING count(*) > 0 "                                                                                            \
	"UNION ALL "                                                                                                       \
	"SELECT 'critical', 'dbperf is off', 'dbperf.enabled is off: nothing is recorded',"                                \
	"       'ALTER SYSTEM SET dbperf.enabled = on; SELECT pg_reload_conf();'"                                          \
	" WHERE current_setting('dbperf.enabled', true) = 'off' "                                                          \
	"UNION ALL "                                                                                                       \
	"SELECT 'info', 'settings wait for a restart', string_agg(s.name, ', ' ORDER BY s.name),"                          \
	"       'SELECT name, setting FROM pg_settings WHERE pending_restart'"                                             \
	"  FROM pg_settings AS s WHERE s.pending_restart HAVING count(*) > 0 "

static const ReportFacts alarms = {
	.title = "What else needs attention",
	.sql = "SELECT a.severity, a.what, a.evidence, a.next_step"
		   "  FROM (" SESSION_ALARMS SAFETY_ALARMS OTHER_ALARMS ") AS a"
		   " ORDER BY array_position(ARRAY['critical', 'warning', 'info'], a.severity), a.what",
	.columns = alarm_columns,
	.num_columns = lengthof(alarm_columns),
	.empty = "Nothing: no waits for locks of a second, no sessions idle in a transaction for five "
			 "minutes, no transactions prepared an hour ago, no unused replication slot that keeps "
			 "1 GB of WAL or has lost it, no wraparound ahead, no failed archiving, no INVALID "
			 "indexes.",
	.hidden =
		"Locks, sessions and standbys were not looked at: they are hidden from this role. There "
		"is nothing else.",
	.limit_ms = 500,
	.late = "See pg_stat_activity, pg_replication_slots, pg_stat_archiver and "
			"dbperf.vacuum_blockers.",
};

void
dbperf_section_health(ReportPage *page)
{
	(void) dbperf_report_facts(page, &targets);
	(void) dbperf_report_facts(page, &alarms);
}
