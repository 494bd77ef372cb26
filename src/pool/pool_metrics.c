/*-------------------------------------------------------------------------
 *
 * pool_metrics.c
 *		The connection pool's metrics, of all databases together.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/metric.h"
#include "pool/pool_stats.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"

static const DbperfMetric up = {
	"dbperf_pool_up", DBPERF_METRIC_GAUGE,
	"1 if the pool is on and all of its PgBouncer processes run, 0 if not; no value if it is off"};
static const DbperfMetric restarts = {"dbperf_pool_restarts_total", DBPERF_METRIC_COUNTER,
									  "Times that PgBouncer was started again after it had ended "
									  "without being asked to"};
static const DbperfMetric clients = {"dbperf_pool_clients", DBPERF_METRIC_GAUGE,
									 "Clients of the pool; waiting: for a server connection"};
static const DbperfMetric servers = {"dbperf_pool_servers", DBPERF_METRIC_GAUGE,
									 "Server connections of the pool; active: a client has it"};
static const DbperfMetric limit = {"dbperf_pool_servers_limit", DBPERF_METRIC_GAUGE,
								   "Server connections that all pools may have together"};
static const DbperfMetric longest_wait = {
	"dbperf_pool_longest_wait_seconds", DBPERF_METRIC_GAUGE,
	"How long the client has waited for a server connection that waits longest now"};
static const DbperfMetric efficiency = {
	"dbperf_pool_efficiency_ratio", DBPERF_METRIC_GAUGE,
	"Share of the transactions of the last five minutes that needed no new server connection"};
static const DbperfMetric transactions = {"dbperf_pool_transactions_total", DBPERF_METRIC_COUNTER,
										  "Transactions through the pool"};
static const DbperfMetric queries = {"dbperf_pool_queries_total", DBPERF_METRIC_COUNTER,
									 "Queries through the pool"};
static const DbperfMetric waits = {"dbperf_pool_wait_seconds_total", DBPERF_METRIC_COUNTER,
								   "Time that clients waited for a server connection"};
static const DbperfMetric connects = {"dbperf_pool_server_connects_total", DBPERF_METRIC_COUNTER,
									  "Connections that the pool opened to this server"};
static const DbperfMetric refusals = {
	"dbperf_pool_refused_logins_total", DBPERF_METRIC_COUNTER,
	"Connections of the pool that were refused because there were as many as may be"};

/* What the statistics add up to. */
typedef struct PoolTotals
{
	int64	 gauges[POOL_GAUGES];
	int64	 sums[POOL_SUMS];
	PoolSpan recent; /* the last five minutes */
} PoolTotals;

static void
add_database(PoolTotals *totals, const PoolDatabase *database, TimestampTz now)
{
	for (int i = 0; i < POOL_SUMS; i++)
		totals->sums[i] += database->sums[i];
	for (int i = 0; i < POOL_SPANS; i++)
	{
		if (dbperf_pool_is_recent(database->spans[i].number, now))
			dbperf_pool_add_span(&totals->recent, &database->spans[i]);
	}
}

/* Adds up all databases and pairs. */
static void
add_all(PoolTotals *totals)
{
	TimestampTz		now = GetCurrentTimestamp();
	HASH_SEQ_STATUS scan;
	PoolDatabase   *database;
	PoolPair	   *pair;

	memset(totals, 0, sizeof(*totals));
	LWLockAcquire(POOL_STATS_LOCK, LW_SHARED);
	hash_seq_init(&scan, dbperf_pool_databases);
	while ((database = hash_seq_search(&scan)) != NULL)
		add_database(totals, database, now);
	add_database(totals, &dbperf_pool_known->other, now);
	hash_seq_init(&scan, dbperf_pool_pairs);
	while ((pair = hash_seq_search(&scan)) != NULL)
	{
		for (int i = 0; i < GAUGE_WAIT_US; i++)
			totals->gauges[i] += pair->gauges[i];
		totals->gauges[GAUGE_WAIT_US] =
			Max(totals->gauges[GAUGE_WAIT_US], pair->gauges[GAUGE_WAIT_US]);
	}
	LWLockRelease(POOL_STATS_LOCK);
}

/* Hands out whether the pool runs. */
static void
put_processes(DbperfMetricSink *sink)
{
	bool  running = pg_atomic_read_u32(&dbperf_pool_shared->worker) != 0;
	int64 restarted = 0;

	LWLockAcquire(POOL_STATUS_LOCK, LW_SHARED);
	running = running && dbperf_pool_shared->processes > 0;
	for (int i = 0; i < dbperf_pool_shared->processes; i++)
	{
		running = running && dbperf_pool_shared->process[i].state == POOL_RUNNING;
		restarted += dbperf_pool_shared->process[i].restarts;
	}
	LWLockRelease(POOL_STATUS_LOCK);
	dbperf_metric(sink, &up, running ? 1 : 0);
	dbperf_metric(sink, &restarts, (double) restarted);
	dbperf_metric(sink, &limit, dbperf_pool_connection_limit());
}

/* Hands out what clients and server connections do now. */
static void
put_gauges(DbperfMetricSink *sink, const int64 *gauges)
{
	dbperf_metric_labelled(sink, &clients, (double) gauges[GAUGE_CLIENTS_ACTIVE], "state",
						   "active");
	dbperf_metric_labelled(sink, &clients, (double) gauges[GAUGE_CLIENTS_WAITING], "state",
						   "waiting");
	dbperf_metric_labelled(sink, &servers, (double) gauges[GAUGE_SERVERS_ACTIVE], "state",
						   "active");
	dbperf_metric_labelled(sink, &servers,
						   (double) (gauges[GAUGE_SERVERS_IDLE] + gauges[GAUGE_SERVERS_USED]),
						   "state", "idle");
	dbperf_metric_labelled(sink, &servers, (double) gauges[GAUGE_SERVERS_OTHER], "state", "other");
	dbperf_metric(sink, &longest_wait, (double) gauges[GAUGE_WAIT_US] / 1e6);
}

/* DbperfMetricSource; a pool that is off has nothing to tell. */
static void
collect(DbperfMetricSink *sink)
{
	PoolTotals		totals;
	const PoolSpan *recent = &totals.recent;

	if (!dbperf_pool)
		return;
	add_all(&totals);
	put_processes(sink);
	put_gauges(sink, totals.gauges);
	if (recent->transactions > 0)
		dbperf_metric(sink, &efficiency,
					  (double) Max(recent->transactions - recent->connects, 0) /
						  (double) recent->transactions);
	dbperf_metric(sink, &transactions, (double) totals.sums[SUM_TRANSACTIONS]);
	dbperf_metric(sink, &queries, (double) totals.sums[SUM_QUERIES]);
	dbperf_metric(sink, &waits, (double) totals.sums[SUM_WAIT_US] / 1e6);
	dbperf_metric(sink, &connects, (double) pg_atomic_read_u64(&dbperf_pool_shared->connects));
	dbperf_metric(sink, &refusals, (double) pg_atomic_read_u64(&dbperf_pool_shared->refused));
}

/*
 * Registers the metrics; called while the library is preloaded.
 */
void
dbperf_pool_metrics_init(void)
{
	static const DbperfMetricSource source = {"pool", DBPERF_METRIC_CHEAP, collect};

	dbperf_metric_source_register(&source);
}
