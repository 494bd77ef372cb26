/*-------------------------------------------------------------------------
 *
 * section_status.c
 *		How dbperf itself does: the cache query by query, advice for the pool, what
 *		the monitor has lost, and the workers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "report/facts.h"
#include "report/recorded.h"
#include "report/report_sections.h"

/* ---- cache ---- */

static const ReportColumn cached_columns[] = {
	{"Saved", REPORT_MS, "by all its hits"},
	{"Hits", REPORT_NUMBER, NULL},
	{"Hit ratio", REPORT_PERCENT, "hits of hits and misses"},
	{"Bypassed", REPORT_NUMBER, "executions that could not use the cache"},
	{"A miss", REPORT_MS, "mean"},
	{"A hit", REPORT_MS, "mean"},
	{"Result", REPORT_BYTES, NULL},
	{"Last bypassed since", REPORT_TEXT, "the reason, as dbperf.cache_explain() gives it"},
	{"Query", REPORT_CODE, NULL},
};

static const ReportFacts cached = {
	.sql =
		"WITH top AS MATERIALIZED ("
		"  SELECT c.* FROM dbperf.cache_queries() AS c"
		"   WHERE c.hits + c.misses + c.bypassed > 0"
		"   ORDER BY c.saved_ms DESC NULLS LAST, c.hits DESC, c.queryid LIMIT 10), " QUERY_TEXTS(
			"SELECT p.queryid FROM top AS p") " "
											  "SELECT q.saved_ms, q.hits, q.hit_ratio, q.bypassed, q.mean_miss_ms, q.mean_hit_ms,"
											  "       q.bytes, q.last_bypass_reason,"
											  "       coalesce((SELECT x.query FROM texts AS x"
											  "                  WHERE x.queryid = q.queryid AND x.database_name = q.database_name"
											  "                  ORDER BY x.query LIMIT 1),"
											  "                'query ' || q.queryid, 'queries that had to make room')"
											  "  FROM top AS q ORDER BY q.saved_ms DESC NULLS LAST, q.hits DESC, q.queryid",
	.columns = cached_columns,
	.num_columns = lengthof(cached_columns),
	.empty = "No query has asked the result cache: dbperf.cache_mode is off, or no query is meant "
			 "to be cached.",
	.limit_ms = 300,
	.late = "See dbperf.cache_queries.",
};

void
dbperf_section_cached(ReportPage *page)
{
	(void) dbperf_report_facts(page, &cached);
}

/* ---- pool ---- */

static const ReportColumn pool_columns[] = {
	{"Database", REPORT_TEXT, NULL},
	{"Transactions", REPORT_NUMBER, "since the server started"},
	{"Reuse", REPORT_PERCENT, "of transactions that needed no new server connection"},
	{"Waited", REPORT_PERCENT, "of the time of transactions, for a server connection"},
	{"Wait p95", REPORT_MS, NULL},
	{"Busy", REPORT_PERCENT, "of the time of server connections"},
	{"Clients a connection", REPORT_NUMBER, NULL},
};

static const ReportFacts pools = {
	.title = "Efficiency",
	.sql = "SELECT coalesce(e.database_name, 'all'), e.transactions, e.reuse, e.wait_share,"
		   "       e.wait_p95_ms, e.utilisation, e.multiplexing"
		   "  FROM dbperf.pool_efficiency() AS e"
		   " WHERE e.period = 'lifetime' AND e.transactions > 0"
		   " ORDER BY e.database_name IS NOT NULL, e.transactions DESC LIMIT 10",
	.columns = pool_columns,
	.num_columns = lengthof(pool_columns),
	.empty = "No transaction went through the connection pool: dbperf.pool is off, or nobody "
			 "connects to it.",
};

static const ReportColumn size_columns[] = {
	{"Database", REPORT_TEXT, NULL},
	{"Role", REPORT_TEXT, NULL},
	{"Setting", REPORT_TEXT, NULL},
	{"Now", REPORT_NUMBER, NULL},
	{"Better", REPORT_NUMBER, "empty: to be decided between several settings"},
	{"Why", REPORT_TEXT, NULL},
};

static const ReportFacts sizes = {
	.title = "Sizes that should be others",
	.sql = "SELECT a.database_name, a.user_name, a.setting, a.current, a.recommended, a.reason"
		   "  FROM dbperf.pool_advice() AS a WHERE a.recommended IS DISTINCT FROM a.current"
		   " ORDER BY 1, 2, 3 LIMIT 15",
	.columns = size_columns,
	.num_columns = lengthof(size_columns),
	.empty = "None, by the work of the last five minutes.",
};

static const ReportColumn guard_columns[] = {
	{"Database", REPORT_TEXT, NULL}, {"Role", REPORT_TEXT, NULL},
	{"Feature", REPORT_TEXT, NULL},	 {"Transactions", REPORT_NUMBER, "that used it"},
	{"Last", REPORT_TIME, NULL},	 {"Example", REPORT_CODE, NULL},
};

static const ReportFacts guards = {
	.title = "Uses of what does not survive in a pool",
	.sql = "SELECT g.database_name, g.user_name, g.feature, g.transactions, g.last_seen, g.example"
		   "  FROM dbperf.pool_guard_counts() AS g"
		   " ORDER BY g.transactions DESC, g.feature LIMIT 10",
	.columns = guard_columns,
	.num_columns = lengthof(guard_columns),
	.empty = "None was seen.",
};

void
dbperf_section_pools(ReportPage *page)
{
	(void) dbperf_report_facts(page, &pools);
	(void) dbperf_report_facts(page, &sizes);
	(void) dbperf_report_facts(page, &guards);
}

/* ---- the extension itself ---- */

static const ReportColumn loss_columns[] = {
	{"Severity", REPORT_VERDICT, NULL}, {"What", REPORT_TEXT, "since the server started"},
	{"How many", REPORT_NUMBER, NULL},	{"What it means", REPORT_TEXT, NULL},
	{"Next step", REPORT_DDL, NULL},
};

/* Counters that are zero while nothing is lost. */
static const ReportFacts losses = {
	.title = "What the monitor has lost",
	.sql = "SELECT l.severity, l.what, l.n, l.meaning, l.next_step"
		   "  FROM dbperf.monitor_status() AS m, LATERAL (VALUES"
		   "    ('warning', 'dropped_busy', m.dropped_busy,"
		   "     'slow statements not recorded: too many at the same moment', NULL),"
		   "    ('warning', 'dropped_too_large', m.dropped_too_large,"
		   "     'slow statements not recorded: larger than the ring',"
		   "     format('ALTER SYSTEM SET dbperf.slow_query_ring_size = ''%skB''',"
		   "            m.ring_bytes / 512)),"
		   "    ('warning', 'dropped_memory', m.dropped_memory,"
		   "     'slow statements not recorded: no memory', NULL),"
		   "    ('info', 'skipped_flood', m.skipped_flood,"
		   "     'slow statements not recorded: more a second than dbperf.slow_query_max_rate',"
		   "     NULL),"
		   "    ('info', 'degraded', m.degraded_memory + m.degraded_error + m.degraded_parallel,"
		   "     'records without a plan or parameters', NULL),"
		   "    ('info', 'queries_evicted', m.queries_evicted,"
		   "     'queries that made room for others: their latencies are one sum',"
		   "     format('ALTER SYSTEM SET dbperf.max_queries = %s',"
		   "            2 * current_setting('dbperf.max_queries')::bigint)),"
		   "    ('info', 'samples_refused', m.samples_refused,"
		   "     'queries without a text: no room for it', NULL),"
		   "    ('info', 'plans_refused', m.plans_refused,"
		   "     'plans without a text: no room for it', NULL),"
		   "    ('warning', 'history_records_lost', m.history_records_lost,"
		   "     'records overwritten before the history had them', NULL),"
		   "    (CASE WHEN m.history_state IN ('off', 'running', 'idle') THEN 'info'"
		   "          ELSE 'warning' END, 'history_state: ' || m.history_state,"
		   "     CASE WHEN m.history_state IN ('off', 'running', 'idle') OR pg_is_in_recovery()"
		   "          THEN 0 END,"
		   "     'whether records are kept in dbperf.slow_query_history', NULL)"
		   "  ) AS l(severity, what, n, meaning, next_step)"
		   " WHERE l.n IS DISTINCT FROM 0 ORDER BY l.severity DESC, l.what",
	.columns = loss_columns,
	.num_columns = lengthof(loss_columns),
	.empty = "Nothing.",
};

static const ReportColumn worker_columns[] = {
	{"Part", REPORT_TEXT, NULL},
	{"Database", REPORT_TEXT, NULL},
	{"State", REPORT_TEXT, NULL},
	{"Problem", REPORT_TEXT, "empty: none"},
};

static const ReportFacts maintenance = {
	.title = "Workers",
	.sql =
		"SELECT 'maintenance', NULL::name,"
		"       m.mode || CASE WHEN m.paused_until > now()"
		"                      THEN ', paused until ' || m.paused_until ELSE '' END"
		"              || CASE WHEN pg_is_in_recovery() THEN ', rests on a standby' ELSE '' END,"
		"       nullif(concat_ws('; ', CASE WHEN NOT m.launcher_running AND NOT pg_is_in_recovery()"
		"                            THEN 'the launcher does not run' END,"
		"                 'no room for a worker since ' || m.no_worker_since,"
		"                 CASE WHEN m.mode <> 'off' AND m.log_state <> 'running'"
		"                           AND NOT pg_is_in_recovery()"
		"                      THEN 'log: ' || m.log_state END), '')"
		"  FROM dbperf.maintenance_status() AS m "
		"UNION ALL "
		"SELECT 'maintenance', d.database_name, 'last looked into ' || d.last_visit,"
		"       format('%s visits in a row did not end well', d.failed_visits)"
		"  FROM dbperf.maintenance_databases() AS d WHERE d.failed_visits > 0 "
		"UNION ALL "
		"SELECT 'pool', NULL, p.state, nullif(concat_ws('; ', p.problem, p.config_error), '')"
		"  FROM dbperf.pool_status() AS p WHERE p.process = 1",
	.columns = worker_columns,
	.num_columns = lengthof(worker_columns),
	.empty = "None.",
};

static const ReportFacts sampler = {
	.sql = "SELECT 'metrics', NULL::name, m.state,"
		   "       nullif(concat_ws('; ', m.last_error,"
		   "                        nullif(m.values_refused, 0) || ' values left out'), '')"
		   "  FROM dbperf.metrics_status() AS m",
	.columns = worker_columns,
	.num_columns = lengthof(worker_columns),
	.empty = "The sampler of metrics says nothing.",
};

static const ReportFacts advisor = {
	.sql =
		"SELECT 'advisor', a.database_name,"
		"       CASE WHEN a.running THEN 'runs' ELSE 'last run ' || a.last_run_at END,"
		"       nullif(concat_ws('; ', a.last_error,"
		"                 CASE WHEN NOT a.complete THEN 'did not get through the workload' END), '')"
		"  FROM dbperf.advisor_status() AS a ORDER BY a.database_name LIMIT 20",
	.columns = worker_columns,
	.num_columns = lengthof(worker_columns),
	.empty = "The advisor has not run: dbperf.advisor_interval is 0, or the server has just "
			 "started.",
};

void
dbperf_section_status(ReportPage *page)
{
	(void) dbperf_report_facts(page, &losses);
	(void) dbperf_report_facts(page, &maintenance);
	(void) dbperf_report_facts(page, &sampler);
	(void) dbperf_report_facts(page, &advisor);
}
