/*-------------------------------------------------------------------------
 *
 * cache_validity.c
 *		Whether a result that was kept is what executing the statement would
 *		return: the reader's side of the slots.
 *
 * An execution that uses the cache, to be answered or to fill it,
 *
 *	1.	takes now = GetLatestSnapshot(), whose completion count is known, after
 *		the locks on its relations, and goes on only if now sees the same as the
 *		snapshot that the statement executes with: dbperf_cache_now();
 *	2.	reads the slots of its relations, and goes on only if all are usable and
 *		no last_write is higher than now's count: dbperf_cache_slots_read();
 *	3.	may be answered with a result that was filled under a count that is not
 *		lower than any last_write, or else may keep its own result, with now's
 *		count;
 *	4.	a result that is newer than now is good only if the slots, read again,
 *		still say so: dbperf_cache_agrees().
 *
 * Who waited for another's result goes on from step 2, with the same now.
 *
 * Why that is exact.  Let a transaction that changed a relation of the statement
 * end at count k, let n be now's count and e that of the result.  It has to be
 * shown that both saw the change or neither did: never n < k <= e, and never
 * e < k <= n.  Its slot has been announced before k, and last_write >= k once
 * that is over (cache_writers.c).
 *
 *	-	If k <= n, the announcement came before now was taken.  So committing
 *		tells of it, or is zero again and last_write >= k, as that is read later.
 *		Then e >= last_write >= k.  So e < k <= n cannot be.
 *	-	If n < k <= e, what was said of n just now is true of e at the time it was
 *		filled, so that last_write >= k before the result was there to be found.
 *		Read after the result was found, last_write >= k > n, and step 2 or 4
 *		refuses it.  If e <= n there is nothing to show.
 *
 * A prepared transaction raises barrier, then last_write to a count that is
 * lower than its k or equal; both before it can end.  A snapshot whose xmin has
 * reached barrier sees its end, so k <= n.  Who does not see barrier has n less
 * than last_write.  So a result with e >= last_write was filled by somebody who
 * saw barrier and got past it: k <= e.  And if n < k, barrier refuses it.
 *
 * Nothing here depends on now being the latest; that it was, keeps out changes that
 * are not to rows, and that snapshots know nothing of.  DDL that empties or
 * rewrites a table has ended before the statement got its lock, hence before
 * now was taken, or comes after the statement.  So if it is not seen by the
 * executing snapshot then now is another.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "cache/cache_slots.h"
#include "utils/snapmgr.h"

/* The slot of a relation, for dbperf_cache_slots_read(). */
uint32
dbperf_cache_slot_of(Oid database, Oid relation)
{
	return cache_slot_of(database, relation);
}

/*
 * Whether two snapshots see the same.  Subtransactions are not compared: they
 * are seen if and only if their transaction is, or have been rolled back.
 */
static inline bool
see_the_same(Snapshot a, Snapshot b)
{
	return a->xmin == b->xmin && a->xmax == b->xmax && a->xcnt == b->xcnt &&
		   (a->xcnt == 0 || memcmp(a->xip, b->xip, a->xcnt * sizeof(TransactionId)) == 0);
}

/*
 * Whether the count of a snapshot like this one can be known: it has to be a
 * plain one, not of recovery or logical decoding.  The rest is what
 * GetLatestSnapshot() would not stand, or would answer with another snapshot.
 */
static inline bool
is_plain(Snapshot snapshot)
{
	return snapshot != NULL && snapshot->snapshot_type == SNAPSHOT_MVCC &&
		   !snapshot->takenDuringRecovery && FirstSnapshotSet && !HistoricSnapshotActive() &&
		   !IsInParallelMode();
}

/*
 * Takes a moment in which the statement's snapshot still is the latest.  False
 * if something has ended since that was taken, or if it is no plain one.
 *
 * latest is the server's own, which it fills again at every call of
 * GetLatestSnapshot(), whoever calls; what it is filled with fits the count in
 * it.  As long as that is the present count, another call would change nothing,
 * and is spared, with the lock it takes.
 */
bool
dbperf_cache_now(Snapshot executing, CacheMoment *now)
{
	static Snapshot latest = NULL;

	if (!is_plain(executing))
		return false;
	if (latest == NULL || latest->snapXactCompletionCount != cache_completion_count())
		latest = GetLatestSnapshot();
	if (latest->takenDuringRecovery || !see_the_same(executing, latest))
		return false;
	now->count = latest->snapXactCompletionCount;
	now->xmin = cache_full_xid(latest->xmin);
	return true;
}

/*
 * Whether all transactions below a slot's barrier have ended, as of now.
 *
 * After a start of the server nobody knows what prepared transactions from
 * before have changed: the global barrier is unknown.  Whoever reads it first
 * sets it to the next xid, which is higher than those of all of them.  Nothing
 * can have been filled before, since everybody who fills reads this first.
 *
 * A barrier that all have passed is taken away, so that it costs nothing any
 * more.  But first last_write is raised to a count that has seen the end of what
 * it stood for, or a reader with an older snapshot would not be stopped by
 * either.  If another transaction has raised barrier meanwhile it stays.
 */
static pg_noinline bool
barrier_passed(CacheSlot *slot, uint64 barrier, const CacheMoment *now)
{
	if (barrier == CACHE_BARRIER_UNKNOWN)
	{
		uint64 next = U64FromFullTransactionId(ReadNextFullTransactionId());

		if (pg_atomic_compare_exchange_u64(&slot->barrier, &barrier, next))
			barrier = next;
	}
	if (barrier > U64FromFullTransactionId(now->xmin))
		return false;
	cache_atomic_raise(&slot->last_write, now->count);
	if (barrier != 0)
		pg_atomic_compare_exchange_u64(&slot->barrier, &barrier, 0);
	return true;
}

/*
 * Reads a slot; raises *last_write to its own.
 */
static inline CacheBypass
slot_read(CacheSlot *slot, const CacheMoment *now, uint64 *last_write)
{
	uint64 barrier;
	uint64 written;

	if (pg_atomic_read_u32(&slot->committing) != 0)
		return CACHE_BYPASS_COMMITTING;
	pg_read_barrier();
	barrier = pg_atomic_read_u64(&slot->barrier);
	if (unlikely(barrier != 0) && !barrier_passed(slot, barrier, now))
		return CACHE_BYPASS_PREPARED;
	pg_read_barrier();
	written = pg_atomic_read_u64(&slot->last_write);
	if (written > now->count)
		return CACHE_BYPASS_MOVED;
	*last_write = Max(*last_write, written);
	return CACHE_BYPASS_NONE;
}

/*
 * Reads the slots of a statement and the global one.  Returns
 * CACHE_BYPASS_NONE if all can be used, and in *last_write the highest count of
 * them, which a result has to have reached; or why not.
 */
CacheBypass
dbperf_cache_slots_read(const CacheMoment *now, const uint32 *slots, int num, uint64 *last_write)
{
	CacheBypass reason;

	/* now comes before the slots, which also orders it with slot_prepared() */
	pg_memory_barrier();
	*last_write = 0;
	reason = slot_read(&dbperf_cache_slots[CACHE_SLOT_GLOBAL], now, last_write);
	for (int i = 0; i < num && reason == CACHE_BYPASS_NONE; i++)
		reason = slot_read(&dbperf_cache_slots[slots[i]], now, last_write);
	return reason;
}

/*
 * Whether a result that was found, and that the slots allowed, was filled under
 * a count that is right for now as well.  A newer one may have come after the
 * slots were read.
 */
bool
dbperf_cache_agrees(const CacheMoment *now, const uint32 *slots, int num, uint64 count)
{
	uint64 last_write;

	return count <= now->count ||
		   (dbperf_cache_slots_read(now, slots, num, &last_write) == CACHE_BYPASS_NONE &&
			last_write <= count);
}
