/*-------------------------------------------------------------------------
 *
 * cache_slots.h
 *		The slots in which writers note what they changed, and by which readers
 *		see whether a result still holds.
 *
 * A relation has the slot that its OID hashes to.  Every transaction that
 * changes something writes to the slots of what it changed, whether anybody
 * caches that or not; two relations in one slot only mean that more results are
 * thrown away than had to be.  One more slot, the global one, stands for all
 * relations: writers use it when they cannot say what they changed.  Every
 * reader reads it.
 *
 * All of it is counted in the server's completion count, which goes up whenever
 * a transaction with an xid ends, under the exclusive ProcArrayLock, in the same
 * moment in which new snapshots begin to see it.  (It goes up at other times as
 * well, as when a subtransaction is rolled back.)  So the count of a snapshot
 * says exactly which transactions it sees: those that ended at a count up to its
 * own.
 *
 * cache_writers.c says what writers do and why nothing escapes them,
 * cache_validity.c what readers do and why that is exact.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_CACHE_SLOTS_H
#define DBPERF_CACHE_SLOTS_H

#include "access/transam.h"
#include "cache/cache_int.h"
#include "catalog/catalog.h"
#include "common/hashfn.h"
#include "port/atomics.h"
#include "storage/lwlock.h"

DBPERF_PRIVATE_BEGIN

/*
 * No lock guards a slot: each field is an atomic, and the order in which they
 * are written and read is what counts.
 *
 *	writer	committing + 1, ends, last_write, committing - 1
 *	writer	barrier, last_write (PREPARE TRANSACTION)
 *	reader	takes a snapshot, committing, barrier, last_write
 */
typedef struct CacheSlot
{
	/* transactions that changed it and are about to be seen by new snapshots */
	pg_atomic_uint32 committing;

	/* no change of it was seen first by a snapshot of a later count; never goes down */
	pg_atomic_uint64 last_write;

	/*
	 * A FullTransactionId: a prepared transaction with a lower one may have
	 * changed it, and may end at any time.  0 = there is none.
	 */
	pg_atomic_uint64 barrier;

	char unused[64 - 3 * sizeof(uint64)]; /* to the end of the CPU's cache line */
} CacheSlot;

/* The global slot's number, after those of relations. */
#define CACHE_SLOT_GLOBAL ((uint32) dbperf_cache_relations)

/* The global barrier after a start of the server, see barrier_passed(). */
#define CACHE_BARRIER_UNKNOWN PG_UINT64_MAX

/* cache_writers.c */
extern CacheSlot *dbperf_cache_slots;

/*
 * The server's completion count.  Where eight bytes may be read in two halves,
 * its lock is needed.
 */
static inline uint64
cache_completion_count(void)
{
#ifdef PG_HAVE_8BYTE_SINGLE_COPY_ATOMICITY
	return *(volatile uint64 *) &DBPERF_TRANSAM->xactCompletionCount;
#else
	uint64 count;

	LWLockAcquire(ProcArrayLock, LW_SHARED);
	count = DBPERF_TRANSAM->xactCompletionCount;
	LWLockRelease(ProcArrayLock);
	return count;
#endif
}

/*
 * An xid, which is less than half of all xids away from the present ones, as one
 * that does not wrap around.
 */
static inline FullTransactionId
cache_full_xid(TransactionId xid)
{
#ifdef PG_HAVE_8BYTE_SINGLE_COPY_ATOMICITY
	uint64 present = *(volatile uint64 *) &DBPERF_TRANSAM->latestCompletedXid.value;
#else
	uint64 present = U64FromFullTransactionId(ReadNextFullTransactionId());
#endif

	return FullTransactionIdFromU64(present + (int32) (xid - (TransactionId) present));
}

/* Raises an atomic to a value, unless it is there already. */
static inline void
cache_atomic_raise(pg_atomic_uint64 *atomic, uint64 value)
{
	uint64 old = pg_atomic_read_u64(atomic);

	while (old < value && !pg_atomic_compare_exchange_u64(atomic, &old, value))
		;
}

/*
 * The slot of a relation.  Shared catalogs are the same in all databases.
 */
static inline uint32
cache_slot_of(Oid database, Oid relation)
{
	if (unlikely(relation < FirstNormalObjectId) && IsSharedRelation(relation))
		database = InvalidOid;
	return hash_combine(murmurhash32(relation), database) % CACHE_SLOT_GLOBAL;
}

DBPERF_PRIVATE_END

#endif /* DBPERF_CACHE_SLOTS_H */
