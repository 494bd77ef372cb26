/*-------------------------------------------------------------------------
 *
 * vitals_statement.c
 *		The one statement that reads the server's vital signs.
 *
 * It reads the statistics in shared memory and pg_database, and waits for no lock
 * that a session's statement could hold.  Functions instead of the views that are
 * built on them save joins that cost more than the numbers do.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "metrics/vitals.h"

/* Seconds of an interval. */
#define SECONDS(interval) "extract(epoch FROM " interval ")::float8"

/* All processes, and what clients are to them. */
#define ACTIVITY                                                                                   \
	"a AS MATERIALIZED ("                                                                          \
	"  SELECT pid, state, wait_event_type, xact_start, application_name,"                          \
	"         backend_type = 'client backend' AS client, pid = pg_backend_pid() AS own"            \
	"    FROM pg_stat_get_activity(NULL)), "

/* How far this server has WAL: to send, or on a standby to replay. */
#define POSITION                                                                                   \
	"p AS MATERIALIZED ("                                                                          \
	"  SELECT r AS recovery,"                                                                      \
	"         CASE WHEN r THEN COALESCE(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"      \
	"              ELSE pg_current_wal_lsn() END AS lsn"                                           \
	"    FROM pg_is_in_recovery() AS r), "

/* Sums over all databases. */
#define DATABASES                                                                                  \
	"d AS MATERIALIZED ("                                                                          \
	"  SELECT sum(xact_commit) AS commits, sum(xact_rollback) AS rollbacks,"                       \
	"         sum(blks_hit) AS hits, sum(blks_read) AS reads, sum(temp_bytes) AS temp_bytes,"      \
	"         sum(temp_files) AS temp_files, sum(deadlocks) AS deadlocks,"                         \
	"         sum(conflicts) AS conflicts"                                                         \
	"    FROM pg_stat_database) "

/* What is zero is said, too, so that a line does not break off there. */
#define CONNECTIONS                                                                                \
	"SELECT 'connections', s.state, count(a.pid)::float8"                                          \
	"  FROM (VALUES ('active'), ('idle'), ('idle in transaction'),"                                \
	"               ('idle in transaction (aborted)'), ('other')) AS s (state)"                    \
	"  LEFT JOIN a ON a.client AND s.state ="                                                      \
	"       CASE WHEN a.state IN ('active', 'idle', 'idle in transaction',"                        \
	"                             'idle in transaction (aborted)') THEN a.state"                   \
	"            ELSE 'other' END"                                                                 \
	" GROUP BY s.state "

/* A session that waits for its client while it is active is not at work either. */
#define ACTIVE_SESSIONS                                                                              \
	"SELECT 'active_sessions', w.wait, count(a.pid)::float8"                                         \
	"  FROM (SELECT 'CPU' AS wait"                                                                   \
	"        UNION SELECT unnest('{Lock,LWLock,IO,IPC,Client,BufferPin,Timeout,Extension}'::text[])" \
	"        UNION SELECT wait_event_type FROM a"                                                    \
	"               WHERE client AND NOT own AND state = 'active'"                                   \
	"                 AND wait_event_type IS NOT NULL) AS w"                                         \
	"  LEFT JOIN a ON a.client AND NOT a.own AND a.state = 'active'"                                 \
	"             AND COALESCE(a.wait_event_type, 'CPU') = w.wait"                                   \
	" GROUP BY w.wait "

#define SESSIONS                                                                                   \
	"SELECT 'locks_waiting', NULL, count(*)::float8 FROM a WHERE wait_event_type = 'Lock' "        \
	"UNION ALL "                                                                                   \
	"SELECT 'oldest_transaction_seconds', NULL, COALESCE(max(" SECONDS(                            \
		"clock_timestamp() - x.began") "), 0)"                                                     \
									   "  FROM (SELECT xact_start FROM a WHERE client AND NOT own" \
									   "        UNION ALL SELECT prepared FROM pg_prepared_xact()) AS x (began) "

#define DATABASE_COUNTERS                                                                          \
	"SELECT v.* FROM d, LATERAL (VALUES"                                                           \
	" ('transactions_total', 'committed', d.commits::float8),"                                     \
	" ('transactions_total', 'rolled back', d.rollbacks::float8),"                                 \
	" ('buffer_hits_total', NULL, d.hits::float8),"                                                \
	" ('buffer_reads_total', NULL, d.reads::float8),"                                              \
	" ('temp_bytes_total', NULL, d.temp_bytes::float8),"                                           \
	" ('temp_files_total', NULL, d.temp_files::float8),"                                           \
	" ('deadlocks_total', NULL, d.deadlocks::float8),"                                             \
	" ('recovery_conflicts_total', NULL, d.conflicts::float8)) AS v "

#define SERVER_COUNTERS                                                                            \
	"SELECT 'wal_bytes_total', NULL, wal_bytes::float8 FROM pg_stat_get_wal() "                    \
	"UNION ALL "                                                                                   \
	"SELECT 'checkpoints_total', 'timed', " DBPERF_TIMED_CHECKPOINTS "::float8 "                   \
	"UNION ALL "                                                                                   \
	"SELECT 'checkpoints_total', 'requested', " DBPERF_REQUESTED_CHECKPOINTS "::float8 "

#define AGES                                                                                       \
	"SELECT v.* FROM (SELECT max(age(datfrozenxid)) AS xid, max(mxid_age(datminmxid)) AS multi"    \
	"                   FROM pg_database) AS g,"                                                   \
	"       LATERAL (VALUES ('xid_age', NULL, g.xid::float8),"                                     \
	"                       ('multixact_age', NULL, g.multi::float8)) AS v "

/*
 * Of who receives from this server.  The server keeps the last measurement of
 * time for a while after everything has arrived, and none later.
 */
#define SENDERS                                                                                    \
	"SELECT v.metric, v.name, max(v.value)"                                                        \
	"  FROM p, pg_stat_get_wal_senders() AS s JOIN a ON a.pid = s.pid,"                            \
	"       LATERAL (VALUES"                                                                       \
	"         ('replication_lag_bytes', a.application_name,"                                       \
	"          GREATEST(pg_wal_lsn_diff(p.lsn, s.replay_lsn), 0)::float8),"                        \
	"         ('replication_lag_seconds', a.application_name,"                                     \
	"          CASE WHEN s.replay_lsn >= p.lsn THEN 0"                                             \
	"               ELSE " SECONDS(                                                                \
		"s.replay_lag") " END)) AS v (metric, name, value)"                                        \
						" WHERE s.state <> 'backup' AND s.replay_lsn IS NOT NULL"                  \
						" GROUP BY v.metric, v.name "

/*
 * Of this server as a standby.  With nothing left to replay there is no lag, as
 * long as somebody is there who would send more.  Who lost the primary cannot
 * know how far it is: the time since the last transaction is the most it can be.
 */
#define STANDBY                                                                                    \
	"SELECT v.* FROM p, pg_stat_get_wal_receiver() AS w,"                                          \
	" LATERAL (VALUES"                                                                             \
	"   ('replication_lag_bytes', 'this standby',"                                                 \
	"    GREATEST(pg_wal_lsn_diff(p.lsn, pg_last_wal_replay_lsn()), 0)::float8),"                  \
	"   ('replication_lag_seconds', 'this standby',"                                               \
	"    CASE WHEN w.status = 'streaming' AND pg_last_wal_replay_lsn() >= p.lsn THEN 0"            \
	"         ELSE GREATEST(" SECONDS(                                                             \
		"clock_timestamp() - pg_last_xact_replay_timestamp()") ", 0)"                              \
															   "    END)) AS v"                    \
															   " WHERE p.recovery "

const char								dbperf_vitals_statement[] =
	"WITH " ACTIVITY POSITION DATABASES CONNECTIONS "UNION ALL " ACTIVE_SESSIONS
	"UNION ALL " SESSIONS "UNION ALL " DATABASE_COUNTERS "UNION ALL " SERVER_COUNTERS
	"UNION ALL " AGES "UNION ALL " SENDERS "UNION ALL " STANDBY "ORDER BY 1, 2";
