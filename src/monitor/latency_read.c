/*-------------------------------------------------------------------------
 *
 * latency_read.c
 *		Copies histograms out of shared memory and computes percentiles.
 *
 * Readers take no lock.  They retry while a window is being closed, so that
 * what is on its way from one window to the other is not missed or counted
 * twice; an update that runs beside the copy may be in it or not.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "core/compat.h"
#include "monitor/latency_int.h"
#include "monitor/monitor_int.h"

#define READ_TRIES 10

/* How many values n can have in dbperf_latency_read: all slots and "other". */
int
dbperf_latency_count(void)
{
	return dbperf_max_queries + 1;
}

/* Queries whose histogram was given away for another's. */
uint64
dbperf_latency_evicted(void)
{
	return pg_atomic_read_u64(&dbperf_latency_shared->evicted);
}

/* First executions that were not kept for want of room. */
uint64
dbperf_samples_refused(void)
{
	return pg_atomic_read_u64(&dbperf_latency_shared->samples_refused);
}

/* How many histograms are in use. */
int
dbperf_latency_used(void)
{
	int used = 0;

	for (int i = 0; i < dbperf_max_queries; i++)
	{
		uint64 g = pg_atomic_read_u64(&dbperf_latency_shared->slots[i].generation);

		if (g != GENERATION_FREE && g != GENERATION_BUSY)
			used++;
	}
	return used;
}

/*
 * Adds one period's counters to a summary.
 */
static void
add_totals(LatencySummary *out, LatencyTotals *totals)
{
	out->total_ns += pg_atomic_read_u64(&totals->total_ns);
	out->errors += pg_atomic_read_u64(&totals->errors);
	out->min_ns = Min(out->min_ns, pg_atomic_read_u64(&totals->min_ns));
	out->max_ns = Max(out->max_ns, pg_atomic_read_u64(&totals->max_ns));
}

static void
add_window(LatencySummary *out, LatencyTotals *totals, pg_atomic_uint32 *buckets)
{
	add_totals(out, totals);
	for (int i = 0; i < LATENCY_BUCKETS; i++)
		out->buckets[i] += pg_atomic_read_u32(&buckets[i]);
}

/*
 * Adds what a slot counted in a period.  A window is closed by the next update
 * only, so the open one of a query that ran no more is judged by the clock.
 */
static void
add_period(LatencySummary *out, LatencySlot *slot, LatencyPeriod period)
{
	uint64 now = (uint64) dbperf_now_ns();
	uint64 end = pg_atomic_read_u64(&slot->window_end_ns);
	uint64 window = (uint64) dbperf_latency_window * UINT64CONST(1000000000);

	switch (period)
	{
		case PERIOD_LIFETIME:
			add_totals(out, &slot->lifetime);
			for (int i = 0; i < LATENCY_BUCKETS; i++)
				out->buckets[i] += pg_atomic_read_u64(&slot->lifetime_buckets[i]);
			add_window(out, &slot->current, slot->current_buckets);
			break;
		case PERIOD_CURRENT:
			if (now < end)
				add_window(out, &slot->current, slot->current_buckets);
			break;
		case PERIOD_PREVIOUS:
			if (now < end)
				add_window(out, &slot->previous, slot->previous_buckets);
			else if (now < end + window)
				add_window(out, &slot->current, slot->current_buckets);
			break;
	}
}

static void
summary_clear(LatencySummary *summary)
{
	memset(summary, 0, sizeof(*summary));
	summary->min_ns = PG_UINT64_MAX;
}

/*
 * Copies the n-th histogram.  Returns false if it is not in use, or has
 * counted nothing in that period.
 */
bool
dbperf_latency_read(int n, LatencyPeriod period, LatencySummary *out)
{
	LatencySlot *slot = &dbperf_latency_shared->slots[n];
	bool		 other = (n == dbperf_max_queries);

	for (int try = 0; try < READ_TRIES; try++)
	{
		uint64 generation = pg_atomic_read_u64(&slot->generation);
		uint32 fold = pg_atomic_read_u32(&slot->fold);

		summary_clear(out);
		if (generation == GENERATION_FREE || (generation == GENERATION_BUSY && !other))
			return false;
		pg_read_barrier();
		out->key = slot->key;
		out->other = other;
		add_period(out, slot, period);
		pg_read_barrier();
		if (pg_atomic_read_u64(&slot->generation) == generation && (fold & 1) == 0 &&
			pg_atomic_read_u32(&slot->fold) == fold)
			break;
	}

	for (int i = 0; i < LATENCY_BUCKETS; i++)
		out->calls += out->buckets[i];
	return out->calls > 0;
}

/*
 * Adds one histogram to another; into's key stays.
 */
void
dbperf_latency_merge(LatencySummary *into, const LatencySummary *from)
{
	if (into->calls == 0)
		into->min_ns = PG_UINT64_MAX;
	into->calls += from->calls;
	into->errors += from->errors;
	into->total_ns += from->total_ns;
	into->min_ns = Min(into->min_ns, from->min_ns);
	into->max_ns = Max(into->max_ns, from->max_ns);
	for (int i = 0; i < LATENCY_BUCKETS; i++)
		into->buckets[i] += from->buckets[i];
}

/*
 * The middle of a bucket, in nanoseconds: half a bucket's width is at most
 * 1/16 of any value in it from the first full octave on.
 */
double
dbperf_latency_middle(int bucket)
{
	double unit = (double) (1 << LATENCY_UNIT_SHIFT);
	int	   octave;

	if (bucket < 8)
		return (bucket + 0.5) * unit;
	octave = bucket / 8 - 1;
	return ldexp(8 + bucket % 8 + 0.5, octave) * unit;
}

/*
 * The latency in nanoseconds that the given fraction (0..1) of the executions
 * did not exceed: the middle of the bucket with the execution of rank
 * ceil(fraction * calls), within the extremes that were really seen; the last
 * rank is the maximum itself.  The summary must have calls.
 */
double
dbperf_latency_percentile(const LatencySummary *summary, double fraction)
{
	double rank = ceil(fraction * (double) summary->calls);
	double value = (double) summary->max_ns;
	uint64 seen = 0;

	for (int i = 0; i < LATENCY_BUCKETS && rank < (double) summary->calls; i++)
	{
		seen += summary->buckets[i];
		if (summary->buckets[i] > 0 && (double) seen >= rank)
		{
			value = dbperf_latency_middle(i);
			break;
		}
	}
	value = Max(value, (double) summary->min_ns);
	return Min(value, (double) summary->max_ns);
}
