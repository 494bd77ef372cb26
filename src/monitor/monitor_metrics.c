/*-------------------------------------------------------------------------
 *
 * monitor_metrics.c
 *		The monitor's metrics: how long statements take, and whether all that
 *		should be recorded is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/dbcommands.h"
#include "core/metric.h"
#include "miscadmin.h"
#include "monitor/counters.h"
#include "monitor/latency.h"
#include "monitor/monitor_int.h"
#include "utils/guc.h"

static const DbperfMetric durations = {
	"dbperf_statement_duration_seconds", DBPERF_METRIC_HISTOGRAM,
	"Time that statements took which clients sent, all databases and roles together"};
static const DbperfMetric errors = {"dbperf_statement_errors_total", DBPERF_METRIC_COUNTER,
									"Statements that failed, were cancelled or timed out"};
static const DbperfMetric slow = {
	"dbperf_slow_statements_total", DBPERF_METRIC_COUNTER,
	"Statements that took at least dbperf.slow_query_min_duration, recorded or not"};
static const DbperfMetric lost = {
	"dbperf_slow_statements_lost_total", DBPERF_METRIC_COUNTER,
	"Slow statements that dbperf.slow_queries does not have; reason: rate_limit "
	"(dbperf.slow_query_max_rate), busy (two writers met), too_large (for "
	"dbperf.slow_query_ring_size), memory (there was none), history (overwritten before the "
	"history's writer came)"};
static const DbperfMetric degraded = {
	"dbperf_slow_statements_degraded_total", DBPERF_METRIC_COUNTER,
	"Slow statements that were recorded without plan or parameters; reason: memory, error, "
	"parallel"};
static const DbperfMetric tracked = {"dbperf_tracked_queries", DBPERF_METRIC_GAUGE,
									 "Latency histograms in use, one for each plan of a query"};
static const DbperfMetric tracked_max = {
	"dbperf_tracked_queries_limit", DBPERF_METRIC_GAUGE,
	"Latency histograms that there can be: dbperf.max_queries"};
static const DbperfMetric evicted = {
	"dbperf_queries_evicted_total", DBPERF_METRIC_COUNTER,
	"Latency histograms that were given to another query; if this grows fast, raise "
	"dbperf.max_queries"};
static const DbperfMetric query_durations = {
	"dbperf_query_duration_seconds", DBPERF_METRIC_HISTOGRAM,
	"Time that executions of one query took which clients sent; the "
	"dbperf.metrics_top_queries queries that took most in all"};
static const DbperfMetric query_errors = {
	"dbperf_query_errors_total", DBPERF_METRIC_COUNTER,
	"Executions of one of these queries that failed, were cancelled or timed out"};

/* How many queries have metrics of their own. */
static int top_queries = 50;

/* Hands out a histogram of latencies. */
static void
put_durations(DbperfMetricSink *sink, const DbperfMetric *metric, const DbperfMetricLabel *labels,
			  int num_labels, const LatencySummary *summary)
{
	double				  cumulative[LATENCY_NUM_BOUNDS];
	DbperfMetricHistogram histogram = {
		.num_bounds = LATENCY_NUM_BOUNDS,
		.bounds = dbperf_latency_bounds,
		.cumulative = cumulative,
		.count = (double) summary->calls,
		.sum = (double) summary->total_ns / 1e9,
	};

	dbperf_latency_cumulate(summary, dbperf_latency_bounds, LATENCY_NUM_BOUNDS, cumulative);
	sink->histogram(sink, metric, labels, num_labels, &histogram);
}

static void
put_reason(DbperfMetricSink *sink, const DbperfMetric *metric, const char *reason, uint64 count)
{
	dbperf_metric_labelled(sink, metric, (double) count, "reason", reason);
}

/* What became of slow statements. */
static void
put_recording(DbperfMetricSink *sink)
{
	MonitorCounters *counters = dbperf_counters;
	RingCounts		 ring;
	HistoryStatus	 history;

	dbperf_ring_counts(dbperf_slow_ring, &ring);
	dbperf_metric(sink, &slow, (double) pg_atomic_read_u64(&counters->statements));
	put_reason(sink, &lost, "rate_limit", pg_atomic_read_u64(&counters->skipped_flood));
	put_reason(sink, &lost, "busy", ring.busy);
	put_reason(sink, &lost, "too_large", ring.too_large);
	put_reason(sink, &lost, "memory", pg_atomic_read_u64(&counters->dropped_memory));
	if (dbperf_history_status(&history))
		put_reason(sink, &lost, "history", history.records_lost);
	put_reason(sink, &degraded, "memory", pg_atomic_read_u64(&counters->degraded_memory));
	put_reason(sink, &degraded, "error", pg_atomic_read_u64(&counters->degraded_error));
	put_reason(sink, &degraded, "parallel", pg_atomic_read_u64(&counters->degraded_parallel));
}

/* DbperfMetricSource */
static void
collect(DbperfMetricSink *sink)
{
	LatencySummary total;

	dbperf_latency_total(InvalidOid, &total);
	put_durations(sink, &durations, NULL, 0, &total);
	dbperf_metric(sink, &errors, (double) total.errors);
	put_recording(sink);
	dbperf_metric(sink, &tracked, dbperf_latency_used());
	dbperf_metric(sink, &tracked_max, dbperf_max_queries);
	dbperf_metric(sink, &evicted, (double) dbperf_latency_evicted());
}

/*
 * LatencyVisit: hands out one query.  One whose database or role is gone has no
 * name that would tell it from others.
 */
static void
put_query(const LatencySummary *summary, void *arg)
{
	DbperfMetricSink *sink = arg;
	char			  queryid[32];
	DbperfMetricLabel labels[] = {{"queryid", queryid}, {"database", NULL}, {"role", NULL}};

	labels[1].value = get_database_name(summary->key.dbid);
	labels[2].value = GetUserNameFromId(summary->key.userid, true);
	if (labels[1].value == NULL || labels[2].value == NULL)
		return;
	snprintf(queryid, sizeof(queryid), INT64_FORMAT, (int64) summary->key.queryid);
	put_durations(sink, &query_durations, labels, lengthof(labels), summary);
	sink->value(sink, &query_errors, labels, lengthof(labels), (double) summary->errors);
}

/* DbperfMetricSource */
static void
collect_queries(DbperfMetricSink *sink)
{
	dbperf_latency_top(top_queries, false, put_query, sink);
}

/*
 * Registers the monitor's metrics, and defines how many queries have some; preloaded
 * says whether there is anything to measure.
 */
void
dbperf_monitor_metrics_init(bool preloaded)
{
	static const DbperfMetricSource source = {"monitor", DBPERF_METRIC_CHEAP, collect};
	static const DbperfMetricSource queries = {"queries", DBPERF_METRIC_QUERIES, collect_queries};

	DefineCustomIntVariable("dbperf.metrics_top_queries", "Queries that have metrics of their own.",
							"Those that took most time; 0 means none.", &top_queries, 50, 0, 10000,
							PGC_USERSET, 0, NULL, NULL, NULL);
	if (!preloaded)
		return;
	dbperf_metric_source_register(&source);
	dbperf_metric_source_register(&queries);
}
