/*-------------------------------------------------------------------------
 *
 * latency_total.c
 *		The latencies of all queries together, and histograms as others draw them.
 *
 * Whoever watches counters from outside takes one that went down for one that
 * began anew, and adds all of it once more.  But what a reader adds up can be
 * less than it was a moment ago: counts that move from a slot to another just then
 * are missed.  So the largest sum that was seen is kept in shared memory, bucket
 * by bucket, until histograms are reset.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "monitor/latency_int.h"
#include "monitor/monitor_int.h"

const double dbperf_latency_bounds[LATENCY_NUM_BOUNDS] = {
	0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60,
};

/*
 * Adds what a slot has counted if it is in use, clients sent the query, and it is
 * one of this database (InvalidOid: of any).  without_plan says whether only slots
 * without a plan are added, or only the others.
 */
static void
add_slot(int n, Oid dbid, bool without_plan, LatencySummary *into)
{
	const LatencySlot *slot = &dbperf_latency_shared->slots[n];
	LatencySummary	   one;

	if ((slot->plan_id == 0) != without_plan)
		return;
	/* looked at once more in the copy */
	if (slot->key.toplevel == 0 || (OidIsValid(dbid) && slot->key.dbid != dbid))
		return;
	if (dbperf_latency_read_slot(n, PERIOD_LIFETIME, &one) && one.key.toplevel != 0 &&
		(!OidIsValid(dbid) || one.key.dbid == dbid))
		dbperf_latency_merge(into, &one);
}

/* Raises a histogram to another where that is higher. */
static void
raise_to(LatencySummary *into, const LatencySummary *from)
{
	into->total_ns = Max(into->total_ns, from->total_ns);
	into->errors = Max(into->errors, from->errors);
	into->min_ns = Min(into->min_ns, from->min_ns);
	into->max_ns = Max(into->max_ns, from->max_ns);
	for (int i = 0; i < LATENCY_BUCKETS; i++)
		into->buckets[i] = Max(into->buckets[i], from->buckets[i]);
	dbperf_latency_count_calls(into);
}

/*
 * Makes a sum not less than the last one, which it becomes.  resets is what
 * LatencyShared.resets was before anything was added up.
 */
static void
keep_rising(LatencySummary *sum, uint32 resets)
{
	LatencyShared *shared = dbperf_latency_shared;

	LWLockAcquire(LATENCY_TOTAL_LOCK, LW_EXCLUSIVE);
	if (pg_atomic_read_u32(&shared->resets) == resets)
	{
		if (shared->total_resets == resets)
			raise_to(sum, &shared->total);
		shared->total = *sum;
		shared->total_resets = resets;
	}
	LWLockRelease(LATENCY_TOTAL_LOCK);
}

/*
 * See monitor.h.  Of any database, evicted queries count as well; nested ones
 * among them cannot be told apart any more, if dbperf.track is all.  They come
 * first, and slots without a plan before the others: that is the way counts go when
 * slots are evicted, so what is evicted meanwhile is missed, not counted twice.
 */
void
dbperf_latency_total(Oid dbid, LatencySummary *into)
{
	uint32 resets = pg_atomic_read_u32(&dbperf_latency_shared->resets);
	int	   used = (int) Min(pg_atomic_read_u32(&dbperf_latency_shared->handed_out),
							(uint32) dbperf_max_queries);

	dbperf_latency_clear(into);
	if (!OidIsValid(dbid))
		dbperf_latency_read_slot(dbperf_max_queries, PERIOD_LIFETIME, into);
	into->other = false;
	memset(&into->key, 0, sizeof(into->key));
	for (int n = 0; n < 2 * used; n++)
	{
		CHECK_FOR_INTERRUPTS();
		add_slot(n % used, dbid, n < used, into);
	}
	if (!OidIsValid(dbid))
		keep_rising(into, resets);
}

/*
 * See monitor.h.  All of a bucket counts at its middle, so that half of the
 * executions are within a bound if, and only if, the median is.
 */
void
dbperf_latency_cumulate(const LatencySummary *summary, const double *bounds, int num_bounds,
						double *cumulative)
{
	uint64 seen = 0;
	int	   bucket = 0;

	for (int i = 0; i < num_bounds; i++)
	{
		while (bucket < LATENCY_BUCKETS && dbperf_latency_bucket_middle(bucket) <= bounds[i] * 1e9)
			seen += summary->buckets[bucket++];
		cumulative[i] = (double) seen;
	}
}
