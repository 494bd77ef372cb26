/*-------------------------------------------------------------------------
 *
 * latency_fold.c
 *		Closes the windows of histograms, and notes which plans became slower.
 *
 * Updates go to the open window only.  The first one after its end closes it:
 * it exchanges each counter with zero and adds the value to what was counted
 * before, so that an update that runs beside it lands in one window or in the
 * other, and never twice.
 *
 * If all closed windows were added up, a plan that has become slower would soon
 * be compared with itself.  So they are added to a second set of buckets, called
 * "since": as long as it has too few executions to be judged, or is slower than
 * what was before, it is kept apart.  When it is not slower (any more), it is
 * added to the rest and begins anew.  At last, after MAX_AGE_DAYS, being slow has
 * become usual.
 *
 * If a plan comes back after others had taken its place, "since" holds that
 * turn of it, so that the turn can be compared with what ran before it.
 *
 * Whoever closes a window of a slot, or begins a turn, makes its "fold" odd
 * meanwhile: one process at a time, which nobody waits for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "monitor/latency_int.h"
#include "monitor/monitor_int.h"
#include "utils/timestamp.h"

#define MAX_AGE_DAYS 7

/* "since" must not overflow */
#define MAX_SINCE_CALLS UINT64CONST(2000000000)

/*
 * Lowers (or raises) a shared extreme to value; the loop ends because every
 * failure means that another process moved it closer.
 */
void
dbperf_extreme_lower(pg_atomic_uint64 *extreme, uint64 value)
{
	uint64 seen = pg_atomic_read_u64(extreme);

	while (value < seen && !pg_atomic_compare_exchange_u64(extreme, &seen, value))
		;
}

void
dbperf_extreme_raise(pg_atomic_uint64 *extreme, uint64 value)
{
	uint64 seen = pg_atomic_read_u64(extreme);

	while (value > seen && !pg_atomic_compare_exchange_u64(extreme, &seen, value))
		;
}

/*
 * Makes the slot's fold odd.  Returns whether this process has done it; *fold
 * is what fold_end needs.
 */
static bool
fold_begin(LatencySlot *slot, uint32 *fold)
{
	*fold = pg_atomic_read_u32(&slot->fold);
	return (*fold & 1) == 0 && pg_atomic_compare_exchange_u32(&slot->fold, fold, *fold + 1);
}

static void
fold_end(LatencySlot *slot, uint32 fold)
{
	pg_write_barrier();
	pg_atomic_write_u32(&slot->fold, fold + 2);
}

/*
 * Closes one period's totals: hands them to the lifetime, and to the previous
 * window unless keep is false.
 */
static void
totals_fold(LatencySlot *slot, bool keep)
{
	uint64 total = pg_atomic_exchange_u64(&slot->current.total_ns, 0);
	uint64 errors = pg_atomic_exchange_u64(&slot->current.errors, 0);
	uint64 min = pg_atomic_exchange_u64(&slot->current.min_ns, PG_UINT64_MAX);
	uint64 max = pg_atomic_exchange_u64(&slot->current.max_ns, 0);

	pg_atomic_fetch_add_u64(&slot->since_total_ns, total);
	pg_atomic_fetch_add_u64(&slot->lifetime.total_ns, total);
	pg_atomic_fetch_add_u64(&slot->lifetime.errors, errors);
	if (min < pg_atomic_read_u64(&slot->lifetime.min_ns))
		pg_atomic_write_u64(&slot->lifetime.min_ns, min);
	if (max > pg_atomic_read_u64(&slot->lifetime.max_ns))
		pg_atomic_write_u64(&slot->lifetime.max_ns, max);

	pg_atomic_write_u64(&slot->previous.total_ns, keep ? total : 0);
	pg_atomic_write_u64(&slot->previous.errors, keep ? errors : 0);
	pg_atomic_write_u64(&slot->previous.min_ns, keep ? min : PG_UINT64_MAX);
	pg_atomic_write_u64(&slot->previous.max_ns, keep ? max : 0);
}

/*
 * Adds "since" to what was before it.  The slot's fold must be odd.
 */
static void
since_absorb(LatencySlot *slot)
{
	for (int i = 0; i < LATENCY_BUCKETS; i++)
	{
		uint32 n = 0;

		if (pg_atomic_read_u32(&slot->since_buckets[i]) != 0)
			n = pg_atomic_exchange_u32(&slot->since_buckets[i], 0);
		if (n != 0)
			pg_atomic_fetch_add_u64(&slot->lifetime_buckets[i], n);
	}
	pg_atomic_write_u64(&slot->since_total_ns, 0);
	slot->history.since_began = 0;
	slot->history.slower_since = 0;
	slot->history.turn_again = false;
}

/*
 * Whether a window that ends at window_end lies so near to the start of the
 * server that caches were filled in it.
 */
static bool
cold_window(uint64 window_end)
{
	uint64 length = (uint64) dbperf_latency_window * UINT64CONST(1000000000);

	return window_end < dbperf_latency_shared->started_ns + 2 * length;
}

static bool
older_than_allowed(TimestampTz since, TimestampTz now)
{
	return now - since > (TimestampTz) MAX_AGE_DAYS * USECS_PER_DAY;
}

/*
 * A window has been added to "since": decides what becomes of it.  cold says
 * that caches were filled in it.
 */
static void
since_settle(LatencySlot *slot, const LatencySummary *window, TimestampTz now, bool cold)
{
	LatencyHistory *history = &slot->history;
	LatencySummary	before;
	LatencySummary	since;
	LatencyVerdict	verdict;

	dbperf_latency_since(slot, &before, &since);
	if (since.calls > MAX_SINCE_CALLS)
	{
		since_absorb(slot);
		return;
	}
	if (history->turn_again)
	{
		if (older_than_allowed(history->turn_began, now))
			since_absorb(slot);
		return;
	}
	if (cold)
	{
		if (history->slower_since == 0)
			since_absorb(slot);
		return;
	}
	if (since.calls < LATENCY_JUDGE_CALLS && before.calls >= LATENCY_JUDGE_CALLS)
		return;

	dbperf_latency_judge(&before, &since, LATENCY_JUDGE_CALLS, &verdict);
	if (verdict.slower && history->slower_since != 0 && window->calls >= LATENCY_JUDGE_CALLS)
		dbperf_latency_judge(&before, window, LATENCY_JUDGE_CALLS, &verdict);
	if (!verdict.slower || older_than_allowed(history->since_began, now))
		since_absorb(slot);
	else if (history->slower_since == 0)
		history->slower_since = history->since_began;
}

/*
 * Closes the window that ended at end; keep says whether it is the one before
 * this.  The slot's fold must be odd.
 */
static void
window_close(LatencySlot *slot, uint64 end, uint64 now, bool keep)
{
	uint64		   length = (uint64) dbperf_latency_window * UINT64CONST(1000000000);
	LatencySummary window = {.max_ns = PG_UINT64_MAX};

	for (int i = 0; i < LATENCY_BUCKETS; i++)
	{
		uint32 n = 0;

		if (pg_atomic_read_u32(&slot->current_buckets[i]) != 0)
			n = pg_atomic_exchange_u32(&slot->current_buckets[i], 0);
		if (n != 0)
			pg_atomic_fetch_add_u32(&slot->since_buckets[i], n);
		pg_atomic_write_u32(&slot->previous_buckets[i], keep ? n : 0);
		window.buckets[i] = n;
		window.calls += n;
	}
	totals_fold(slot, keep);

	if (window.calls > 0 && slot != dbperf_latency_other())
	{
		TimestampTz now_ts = GetCurrentTimestamp();
		TimestampTz began = now_ts - (TimestampTz) ((now - (end - length)) / 1000);

		if (slot->history.since_began == 0)
			slot->history.since_began = Max(began, slot->first_seen);
		since_settle(slot, &window, now_ts, cold_window(end));
	}
}

/* When the window ends that is open now. */
static uint64
window_end(uint64 now)
{
	uint64 length = (uint64) dbperf_latency_window * UINT64CONST(1000000000);

	return (now / length + 1) * length;
}

/*
 * When the open window of a slot began.  now is the time as dbperf_now_ns gives
 * it.
 */
TimestampTz
dbperf_latency_open_began(LatencySlot *slot, uint64 now, TimestampTz now_ts)
{
	uint64 length = (uint64) dbperf_latency_window * UINT64CONST(1000000000);
	int64  began = (int64) (pg_atomic_read_u64(&slot->window_end_ns) - length);

	return Max(slot->first_seen, now_ts + (began - (int64) now) / 1000);
}

/*
 * Whether the executions of the open window will be a part of "since" once it is
 * closed: see since_settle.
 */
bool
dbperf_latency_open_counts(LatencySlot *slot)
{
	return slot->history.turn_again || slot->history.slower_since != 0 ||
		   !cold_window(pg_atomic_read_u64(&slot->window_end_ns));
}

/*
 * Closes the open window of a slot, unless somebody else does it already.
 */
void
dbperf_latency_fold(LatencySlot *slot, uint64 now)
{
	uint64 length = (uint64) dbperf_latency_window * UINT64CONST(1000000000);
	uint64 end;
	uint32 fold;

	if (!fold_begin(slot, &fold))
		return;
	end = pg_atomic_read_u64(&slot->window_end_ns);
	if (now >= end)
	{
		/* a window that ended long ago is not the one before this */
		window_close(slot, end, now, now < end + length);
		pg_atomic_write_u64(&slot->window_end_ns, window_end(now));
	}
	fold_end(slot, fold);
}

/*
 * When a slot was last used, on the clock of dbperf_now_ns; before the server
 * was started that is negative.
 */
int64
dbperf_latency_seen_ns(LatencySlot *slot, uint64 now, TimestampTz now_ts)
{
	uint64 used = pg_atomic_read_u64(&slot->last_used_ns);

	if (used != 0)
		return (int64) used;
	return (int64) now - (now_ts - slot->dumped_seen) * 1000;
}

/*
 * A plan is about to be used that was not for some time: if others of its query
 * were used meanwhile, a new turn of it begins.
 */
void
dbperf_latency_turn(LatencySlot *slot, uint64 now)
{
	LatencyKey	key = slot->key;
	uint32		slots[LATENCY_MAX_PLANS + 1];
	int			n = dbperf_latency_slots(&key, slots);
	TimestampTz now_ts = GetCurrentTimestamp();
	int64		seen = dbperf_latency_seen_ns(slot, now, now_ts);
	uint64		others = 0;
	bool		replaced = false;
	uint32		fold;

	for (int i = 0; i < n; i++)
	{
		LatencySlot *other = &dbperf_latency_shared->slots[slots[i]];

		if (other == slot || other->plan_id == 0)
			continue;
		others += dbperf_latency_calls(other);
		replaced |= dbperf_latency_seen_ns(other, now, now_ts) > seen;
	}
	if (!replaced || !fold_begin(slot, &fold))
		return;

	/* another process may have begun it just now */
	if (dbperf_latency_seen_ns(slot, now, now_ts) == seen)
	{
		/* the window that is open was that of the turn before */
		window_close(slot, pg_atomic_read_u64(&slot->window_end_ns), now, false);
		pg_atomic_write_u64(&slot->window_end_ns, window_end(now));
		since_absorb(slot);
		slot->history.turn_began = now_ts;
		slot->history.turn_others = others;
		slot->history.turn_again = true;
		slot->history.since_began = now_ts;
		pg_atomic_write_u64(&slot->last_used_ns, now);
	}
	fold_end(slot, fold);
}
