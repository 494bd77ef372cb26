/*-------------------------------------------------------------------------
 *
 * latency_visit.c
 *		The histograms of all queries, for whoever keeps track of them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "monitor/latency_int.h"
#include "monitor/monitor_int.h"

/*
 * See monitor.h.
 */
void
dbperf_latency_visit(LatencyVisit visit, void *arg)
{
	LatencySummary summary;

	for (int n = 0; n < dbperf_latency_count(); n++)
	{
		CHECK_FOR_INTERRUPTS();
		if (dbperf_latency_read(n, PERIOD_LIFETIME, &summary) && !summary.other)
			visit(&summary, arg);
	}
}

/*
 * See monitor.h.
 */
bool
dbperf_latency_last_total(LatencySummary *into)
{
	LatencyShared *shared = dbperf_latency_shared;
	bool		   valid;

	LWLockAcquire(LATENCY_TOTAL_LOCK, LW_SHARED);
	valid = shared->total_resets == pg_atomic_read_u32(&shared->resets);
	*into = shared->total;
	LWLockRelease(LATENCY_TOTAL_LOCK);
	return valid;
}

/*
 * See monitor.h.
 */
void
dbperf_latency_subtract(LatencySummary *from, const LatencySummary *before)
{
	LatencySummary change;
	int			   highest = 0;

	dbperf_latency_clear(&change);
	change.key = from->key;
	change.other = from->other;
	change.min_ns = 0;
	for (int i = 0; i < LATENCY_BUCKETS; i++)
	{
		if (from->buckets[i] < before->buckets[i])
			return;
		change.buckets[i] = from->buckets[i] - before->buckets[i];
		if (change.buckets[i] > 0)
			highest = i;
	}
	if (from->total_ns < before->total_ns)
		return;
	change.total_ns = from->total_ns - before->total_ns;
	change.errors = from->errors > before->errors ? from->errors - before->errors : 0;
	change.max_ns = Min((uint64) dbperf_latency_bucket_middle(highest), from->max_ns);
	dbperf_latency_count_calls(&change);
	*from = change;
}
