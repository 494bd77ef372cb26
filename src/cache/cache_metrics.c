/*-------------------------------------------------------------------------
 *
 * cache_metrics.c
 *		The result cache's metrics.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "cache/cache_store.h"
#include "core/metric.h"

static const DbperfMetric hits = {"dbperf_cache_hits_total", DBPERF_METRIC_COUNTER,
								  "Executions that the result cache answered"};
static const DbperfMetric misses = {
	"dbperf_cache_misses_total", DBPERF_METRIC_COUNTER,
	"Executions that the result cache could have answered, but had to be done"};
static const DbperfMetric bypasses = {
	"dbperf_cache_bypasses_total", DBPERF_METRIC_COUNTER,
	"Executions that went by the result cache; dbperf.cache_stats has the reasons"};
static const DbperfMetric stores = {"dbperf_cache_stores_total", DBPERF_METRIC_COUNTER,
									"Results that were put into the result cache"};
static const DbperfMetric refused = {"dbperf_cache_refused_total", DBPERF_METRIC_COUNTER,
									 "Results that the result cache had no room for"};
static const DbperfMetric evictions = {"dbperf_cache_evictions_total", DBPERF_METRIC_COUNTER,
									   "Results that made room for others; see dbperf.cache_size"};
static const DbperfMetric invalidations = {
	"dbperf_cache_invalidations_total", DBPERF_METRIC_COUNTER,
	"Results that were given up because a table behind them was written to"};
static const DbperfMetric saved = {
	"dbperf_cache_saved_seconds_total", DBPERF_METRIC_COUNTER,
	"Time that hits would have taken to execute, less the time that they took"};
static const DbperfMetric entries = {"dbperf_cache_entries", DBPERF_METRIC_GAUGE,
									 "Results in the result cache"};
static const DbperfMetric bytes = {"dbperf_cache_bytes", DBPERF_METRIC_GAUGE,
								   "Memory that results and their keys take"};
static const DbperfMetric capacity = {"dbperf_cache_capacity_bytes", DBPERF_METRIC_GAUGE,
									  "Memory that there is for results: dbperf.cache_size"};

/* DbperfMetricSource */
static void
collect(DbperfMetricSink *sink)
{
	CacheShared *shared = dbperf_cache_place.shared;
	uint64		 sums[CACHE_NUM_COUNTERS];
	double		 bypassed = 0;

	(void) dbperf_cache_counters(sums);
	for (int i = CACHE_BYPASS_NONE + 1; i < CACHE_NUM_BYPASS; i++)
		bypassed += (double) sums[CACHE_BYPASSES + i];
	dbperf_metric(sink, &hits, (double) sums[CACHE_HITS]);
	dbperf_metric(sink, &misses, (double) sums[CACHE_MISSES]);
	dbperf_metric(sink, &bypasses, bypassed);
	dbperf_metric(sink, &stores, (double) sums[CACHE_STORES]);
	dbperf_metric(sink, &refused, (double) sums[CACHE_REFUSED]);
	dbperf_metric(sink, &evictions, (double) sums[CACHE_EVICTIONS]);
	dbperf_metric(sink, &invalidations, (double) sums[CACHE_INVALIDATIONS]);
	dbperf_metric(sink, &saved, (double) sums[CACHE_SAVED_US] / 1e6);
	dbperf_metric(sink, &entries, (double) dbperf_cache_num_entries());
	dbperf_metric(
		sink, &bytes,
		(double) ((uint64) pg_atomic_read_u32(&shared->arena.used) << shared->arena.shift));
	dbperf_metric(sink, &capacity, (double) ((uint64) shared->arena.units << shared->arena.shift));
}

/*
 * Registers the metrics; called while the library is preloaded, if there is a cache.
 */
void
dbperf_cache_metrics_init(void)
{
	static const DbperfMetricSource source = {"cache", DBPERF_METRIC_CHEAP, collect};

	dbperf_metric_source_register(&source);
}
