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

/* Plans whose text was not kept for want of room. */
uint64
dbperf_plans_refused(void)
{
	return pg_atomic_read_u64(&dbperf_latency_shared->plans_refused);
}

/* Executions that were counted without their plan, since their query has too many. */
uint64
dbperf_plans_merged(void)
{
	return pg_atomic_read_u64(&dbperf_latency_shared->plans_merged);
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
 * Adds what a slot counted in its open window, even if that has ended.
 */
void
dbperf_latency_add_open(LatencySummary *out, LatencySlot *slot)
{
	add_window(out, &slot->current, slot->current_buckets);
}

/*
 * Adds what a slot counted in a period.  A window is closed by the next update
 * only, so the open one of a query that ran no more is judged by the clock.
 */
void
dbperf_latency_add_period(LatencySummary *out, LatencySlot *slot, LatencyPeriod period)
{
	uint64 now = (uint64) dbperf_now_ns();
	uint64 end = pg_atomic_read_u64(&slot->window_end_ns);
	uint64 window = (uint64) dbperf_latency_window * UINT64CONST(1000000000);

	switch (period)
	{
		case PERIOD_LIFETIME:
			add_totals(out, &slot->lifetime);
			for (int i = 0; i < LATENCY_BUCKETS; i++)
			{
				out->buckets[i] += pg_atomic_read_u64(&slot->lifetime_buckets[i]);
				out->buckets[i] += pg_atomic_read_u32(&slot->since_buckets[i]);
			}
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

void
dbperf_latency_clear(LatencySummary *summary)
{
	memset(summary, 0, sizeof(*summary));
	summary->min_ns = PG_UINT64_MAX;
}

void
dbperf_latency_count_calls(LatencySummary *summary)
{
	summary->calls = 0;
	for (int i = 0; i < LATENCY_BUCKETS; i++)
		summary->calls += summary->buckets[i];
}

/*
 * How often a slot was counted in, roughly if somebody closes its window.
 */
uint64
dbperf_latency_calls(LatencySlot *slot)
{
	uint64 calls = 0;

	for (int i = 0; i < LATENCY_BUCKETS; i++)
	{
		calls += pg_atomic_read_u64(&slot->lifetime_buckets[i]);
		calls += pg_atomic_read_u32(&slot->since_buckets[i]);
		calls += pg_atomic_read_u32(&slot->current_buckets[i]);
	}
	return calls;
}

/*
 * What a slot counted in closed windows, divided as latency_fold.c does.  Errors
 * are not divided: all are before.
 */
void
dbperf_latency_since(LatencySlot *slot, LatencySummary *before, LatencySummary *since)
{
	uint64 since_ns = pg_atomic_read_u64(&slot->since_total_ns);
	uint64 lifetime_ns = pg_atomic_read_u64(&slot->lifetime.total_ns);

	dbperf_latency_clear(before);
	before->min_ns = pg_atomic_read_u64(&slot->lifetime.min_ns);
	before->max_ns = pg_atomic_read_u64(&slot->lifetime.max_ns);
	*since = *before;
	before->errors = pg_atomic_read_u64(&slot->lifetime.errors);
	before->total_ns = lifetime_ns > since_ns ? lifetime_ns - since_ns : 0;
	since->total_ns = since_ns;
	for (int i = 0; i < LATENCY_BUCKETS; i++)
	{
		before->buckets[i] = pg_atomic_read_u64(&slot->lifetime_buckets[i]);
		since->buckets[i] = pg_atomic_read_u32(&slot->since_buckets[i]);
	}
	dbperf_latency_count_calls(before);
	dbperf_latency_count_calls(since);
}

/*
 * Begins to copy a slot.  Returns false if it is not in use.
 */
bool
dbperf_latency_read_begin(LatencySlot *slot, LatencyRead *read)
{
	read->generation = pg_atomic_read_u64(&slot->generation);
	read->fold = pg_atomic_read_u32(&slot->fold);
	pg_read_barrier();
	return read->generation != GENERATION_FREE &&
		   (read->generation != GENERATION_BUSY || slot == dbperf_latency_other());
}

/*
 * Whether what was copied belongs together.
 */
bool
dbperf_latency_read_end(LatencySlot *slot, const LatencyRead *read)
{
	pg_read_barrier();
	return pg_atomic_read_u64(&slot->generation) == read->generation && (read->fold & 1) == 0 &&
		   pg_atomic_read_u32(&slot->fold) == read->fold;
}

/*
 * Copies what the n-th slot counted in a period, that of "other" being the last
 * one.  Returns false if it is not in use.
 */
bool
dbperf_latency_read_slot(int n, LatencyPeriod period, LatencySummary *out)
{
	LatencySlot *slot = &dbperf_latency_shared->slots[n];

	for (int try = 0; try < LATENCY_READ_TRIES; try++)
	{
		LatencyRead read;

		dbperf_latency_clear(out);
		if (!dbperf_latency_read_begin(slot, &read))
			return false;
		out->key = slot->key;
		out->own = pg_atomic_read_u32(&slot->own) != 0;
		dbperf_latency_add_period(out, slot, period);
		pg_read_barrier();
		out->first_seen = slot->first_seen;
		if (dbperf_latency_read_end(slot, &read))
			break;
	}
	dbperf_latency_count_calls(out);
	return true;
}

/*
 * Copies the key of a slot; false if it is not in use.
 */
static bool
read_key(LatencySlot *slot, LatencyKey *key)
{
	LatencyRead read;

	if (!dbperf_latency_read_begin(slot, &read))
		return false;
	*key = slot->key;
	pg_read_barrier();
	return pg_atomic_read_u64(&slot->generation) == read.generation;
}

/*
 * Copies the histogram of the query that has the n-th slot as the first of its
 * slots, one for each of its plans; the last n is that of "other".  Returns
 * false if there is none, or it has counted nothing in that period.
 *
 * Slots without a plan come first: what is moved to them meanwhile is missed, not
 * counted twice.
 */
bool
dbperf_latency_read(int n, LatencyPeriod period, LatencySummary *out)
{
	uint32	   slots[LATENCY_MAX_PLANS + 1];
	int		   nslots;
	LatencyKey key;

	if (n == dbperf_max_queries)
	{
		(void) dbperf_latency_read_slot(n, period, out);
		out->other = true;
		return out->calls > 0;
	}
	if (!read_key(&dbperf_latency_shared->slots[n], &key))
		return false;
	nslots = dbperf_latency_slots(&key, slots);
	if (nslots == 0 || slots[0] != (uint32) n)
		return false;
	dbperf_latency_clear(out);
	out->key = key;
	for (int i = 0; i < 2 * nslots; i++)
	{
		uint32		   slot = slots[i % nslots];
		bool		   without_plan = dbperf_latency_shared->slots[slot].plan_id == 0;
		LatencySummary one;

		if (without_plan == (i < nslots) && dbperf_latency_read_slot((int) slot, period, &one) &&
			memcmp(&one.key, &key, sizeof(key)) == 0)
		{
			dbperf_latency_merge(out, &one);
			out->own |= one.own;
		}
	}
	return out->calls > 0;
}

/*
 * Counts one execution in a histogram that is the caller's own, and all zero
 * before the first.
 */
void
dbperf_latency_count_one(LatencySummary *into, uint64 ns)
{
	if (into->calls == 0)
		into->min_ns = PG_UINT64_MAX;
	into->calls++;
	into->total_ns += ns;
	into->min_ns = Min(into->min_ns, ns);
	into->max_ns = Max(into->max_ns, ns);
	into->buckets[dbperf_latency_bucket(ns)]++;
}

/*
 * Adds one histogram to another; into's key stays.
 */
void
dbperf_latency_merge(LatencySummary *into, const LatencySummary *from)
{
	if (into->calls == 0)
		into->min_ns = PG_UINT64_MAX;
	into->first_seen =
		into->calls == 0 ? from->first_seen : Min(into->first_seen, from->first_seen);
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
dbperf_latency_bucket_middle(int bucket)
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
			value = dbperf_latency_bucket_middle(i);
			break;
		}
	}
	value = Max(value, (double) summary->min_ns);
	return Min(value, (double) summary->max_ns);
}
