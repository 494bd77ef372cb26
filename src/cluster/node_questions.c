/*-------------------------------------------------------------------------
 *
 * node_questions.c
 *		The statements that nodes are asked.
 *
 * They must do on every server from PostgreSQL 10 on, and with every release of
 * dbperf: rows come as jsonb, in which a column that is missing, or one too
 * many, is no error.  Each is one implicit transaction, so that its settings are
 * gone after it, through a pooler, too.  A node sends no more than is kept: it
 * counts the bytes itself.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "cluster/cluster_int.h"

#define MAX_PART_BYTES "60000"
#define MAX_QUERY_CHARS "2000"
#define MAX_PLAN_CHARS "4000"
#define MAX_LIST_BYTES "4000"

/* the identity's question has them in this order, too */
const char *const dbperf_part_names[NODE_PARTS] = {
	[PART_SLOW_QUERIES] = "slow_queries",
	[PART_QUERY_LATENCY] = "query_latency",
	[PART_INDEX_USAGE] = "index_usage",
	[PART_HEALTH] = "health",
};

/* Rows as jsonb with their order: columns j and n. */
static const char *const rows[NODE_PARTS] = {
	[PART_SLOW_QUERIES] =
		"SELECT jsonb_strip_nulls(to_jsonb(s)"
		" || jsonb_build_object('query', left(s.query, " MAX_QUERY_CHARS "),"
		" 'plan', left(s.plan, " MAX_PLAN_CHARS "), 'parameters', CASE WHEN"
		" octet_length(s.parameters::text) < " MAX_LIST_BYTES " THEN s.parameters END)) AS j,"
		" row_number() OVER (ORDER BY s.started_at DESC, s.id DESC) AS n"
		" FROM dbperf.slow_queries AS s ORDER BY n LIMIT 100",
	[PART_QUERY_LATENCY] = "SELECT jsonb_strip_nulls(to_jsonb(l)) AS j,"
						   " row_number() OVER (ORDER BY l.total_ms DESC) AS n"
						   " FROM dbperf.query_latency AS l ORDER BY n LIMIT 200",
	[PART_INDEX_USAGE] =
		"SELECT jsonb_strip_nulls(jsonb_build_object('schema_name', s.schemaname,"
		" 'table_name', s.relname, 'index_name', s.indexrelname, 'is_unique', i.indisunique,"
		" 'scans', s.idx_scan, 'last_scan', to_jsonb(s) -> 'last_idx_scan',"
		" 'tuples_read', s.idx_tup_read, 'tuples_fetched', s.idx_tup_fetch,"
		" 'size_bytes', c.relpages * current_setting('block_size')::bigint)) AS j,"
		" row_number() OVER (ORDER BY c.relpages DESC, s.indexrelid) AS n"
		" FROM pg_stat_user_indexes AS s JOIN pg_index AS i ON i.indexrelid = s.indexrelid"
		" JOIN pg_class AS c ON c.oid = s.indexrelid ORDER BY n LIMIT 400",
	[PART_HEALTH] = "SELECT jsonb_strip_nulls(to_jsonb(h)) AS j,"
					" row_number() OVER (ORDER BY h.target) AS n"
					" FROM dbperf.health AS h ORDER BY n LIMIT 100",
};

/*
 * What reads rows, a jsonb array, as the columns of a view, and gives them back as
 * they were read.
 */
#define READ_ROWS                                                                                  \
	"SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.jsonb_strip_nulls(pg_catalog.to_jsonb(r))),"  \
	" '[]')"
#define READ_VIEW(view)                                                                            \
	READ_ROWS " FROM pg_catalog.jsonb_populate_recordset(NULL::dbperf." view ", $1) AS r"

static const char *const checks[NODE_PARTS] = {
	[PART_SLOW_QUERIES] = READ_VIEW("slow_queries"),
	[PART_QUERY_LATENCY] = READ_VIEW("query_latency"),
	[PART_INDEX_USAGE] = READ_VIEW("index_usage"),
	[PART_HEALTH] = READ_ROWS
	" FROM pg_catalog.jsonb_to_recordset($1) AS r(target text, comparison text, threshold float8,"
	" value float8, verdict text, evidence text, next_step text)",
};

/* A statement with the settings that it is to run with. */
static char *
with_settings(const char *statement, int timeout_ms)
{
	return psprintf("SET LOCAL search_path = pg_catalog, pg_temp;"
					"SET LOCAL statement_timeout = %d;"
					"SET LOCAL lock_timeout = %d;"
					"SET LOCAL client_min_messages = error;"
					"SET LOCAL IntervalStyle = postgres;"
					"%s",
					timeout_ms, timeout_ms, statement);
}

/*
 * Asks a node what it is; dbperf_take_identity() reads the answer.
 */
char *
dbperf_identity_question(int timeout_ms)
{
	return with_settings(
		"SELECT c.system_identifier, pg_is_in_recovery(), current_setting('server_version'),"
		" current_database(), current_setting('port'),"
		" (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint,"
		" (SELECT e.extversion FROM pg_extension AS e WHERE e.extname = 'dbperf'),"
		" pg_has_role(current_user, 'pg_read_all_stats', 'usage'),"
		" CASE WHEN NOT pg_is_in_recovery() THEN NULL"
		" WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0"
		" ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END,"
		" CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() - '0/0'::pg_lsn END,"
		" CASE WHEN current_setting('track_counts') = 'on' THEN"
		" extract(epoch FROM clock_timestamp() - greatest(b.stats_reset, d.stats_reset)) END,"
		" (SELECT string_agg(CASE WHEN to_regclass('dbperf.' || v.name) IS NULL THEN '-'"
		" WHEN has_table_privilege(to_regclass('dbperf.' || v.name), 'select') THEN '+'"
		" ELSE '!' END, '' ORDER BY v.n)"
		" FROM unnest(ARRAY['slow_queries', 'query_latency', 'index_usage', 'health'])"
		" WITH ORDINALITY AS v(name, n)),"
		" extract(epoch FROM clock_timestamp() - a.backend_start), to_jsonb(w) ->> 'slot_name',"
		" to_jsonb(w) ->> 'sender_port'"
		" FROM pg_control_system() AS c, pg_stat_bgwriter AS b, pg_stat_database AS d"
		" LEFT JOIN pg_stat_wal_receiver AS w ON w.status = 'streaming'"
		" LEFT JOIN pg_stat_activity AS a ON a.pid = w.pid"
		" WHERE d.datname = current_database()",
		timeout_ms);
}

/*
 * Asks a node which indexes it has scanned; dbperf_take_usage() reads the answer.
 */
char *
dbperf_usage_question(int timeout_ms)
{
	return with_settings(
		psprintf("SELECT string_agg(s.indexrelid || ' ' || s.idx_scan, ' ' ORDER BY s.indexrelid)"
				 " FROM (SELECT indexrelid, idx_scan FROM pg_stat_all_indexes"
				 " WHERE idx_scan > 0 AND indexrelid >= 16384 AND schemaname !~ '^pg_toast'"
				 " ORDER BY idx_scan DESC LIMIT %d) AS s",
				 NODE_MAX_USED + 1),
		timeout_ms);
}

/*
 * Asks a node for the rows of a view; dbperf_take_part() reads the answer.
 */
char *
dbperf_part_question(NodePart part, int timeout_ms)
{
	return with_settings(psprintf("SELECT coalesce(jsonb_agg(r.j ORDER BY r.n), '[]') FROM"
								  " (SELECT t.j, t.n, sum(octet_length(t.j::text)) OVER"
								  " (ORDER BY t.n) AS bytes FROM (%s) AS t) AS r"
								  " WHERE r.bytes <= " MAX_PART_BYTES,
								  rows[part]),
						 timeout_ms);
}

/*
 * The statement that gives the rows of a part, its parameter, as they can be shown.
 * It raises an error if they cannot be.
 */
const char *
dbperf_part_check(NodePart part)
{
	return checks[part];
}
