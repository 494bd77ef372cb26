/*-------------------------------------------------------------------------
 *
 * latency.c
 *		Latency histograms per query, updated without a lock.
 *
 * Every statement ends with one update here, so the usual case is a look into
 * a small private cache (latency_cache.c) and a few atomic additions.  A shared
 * hash table leads from (query, database, user, level) to the query's slots, one
 * for each of its plans; only a process that meets a query or a plan for the
 * first time goes there.  The plan is no part of the hash key: readers that show
 * one row for each query find all its slots in one place, under one lock.
 *
 * Locks.  The hash table has LATENCY_PARTITIONS partitions, each under a LWLock
 * of its own.  The lock of a key's partition guards the table's entry, and the
 * generation, key, plan_id, sample and plan of the slots that the entry points
 * to: they change only while it is held exclusively, or while the slot belongs
 * to nobody else (generation GENERATION_BUSY).  No process holds two of these
 * locks.  Counters need no lock.  One lock more is for what latency_total.c keeps.
 *
 * Giving a slot away.  When all slots are taken, the least recently used of a
 * few neighbours loses its place in its entry, and what it counted is moved by
 * atomic exchanges to its query's slot for executions without a plan, or to
 * "other" if it was the query's last one: nothing is lost, sums over all rows stay
 * right.  If there are other slots but none without a plan, the slot becomes that
 * one instead, and that one goes last: so what a query has counted never becomes
 * less, until all of it is gone.  An update that has already passed the check of
 * the generation may then add one execution to the slot's next owner.
 *
 * Many plans.  A query on a partitioned table may have a plan for each
 * partition.  So it gets LATENCY_MAX_PLANS slots; one that was not used for
 * CROWDED_WINDOWS makes room for another plan, so that a plan that comes late
 * is seen, and the queries of others do not lose their slots.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "miscadmin.h"
#include "monitor/latency_int.h"
#include "monitor/track.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

/* a plan of a query with many must be unused so long to be given up */
#define CROWDED_WINDOWS 12

LatencyShared *dbperf_latency_shared = NULL;
HTAB		  *dbperf_latency_hash = NULL;
LWLockPadded  *dbperf_latency_locks = NULL;

static Size
latency_size(void)
{
	return add_size(offsetof(LatencyShared, slots),
					mul_size(dbperf_max_queries + 1, sizeof(LatencySlot)));
}

static Size
latency_hash_size(void)
{
	return hash_estimate_size(dbperf_max_queries, sizeof(LatencyEntry));
}

static void
totals_init(LatencyTotals *totals)
{
	pg_atomic_init_u64(&totals->total_ns, 0);
	pg_atomic_init_u64(&totals->min_ns, PG_UINT64_MAX);
	pg_atomic_init_u64(&totals->max_ns, 0);
	pg_atomic_init_u64(&totals->errors, 0);
}

/*
 * Makes a slot that belongs to nobody one for another owner, but for what is counted
 * in it: an eviction has moved that, and what an update has added since then is
 * the next owner's.
 */
void
dbperf_latency_slot_reuse(LatencySlot *slot)
{
	memset(&slot->key, 0, sizeof(slot->key));
	slot->plan_id = 0;
	pg_atomic_init_u64(&slot->window_end_ns, 0);
	pg_atomic_init_u64(&slot->last_used_ns, 0);
	pg_atomic_init_u64(&slot->spared_ns, 0);
	pg_atomic_init_u32(&slot->count_rows, 0);
	pg_atomic_init_u32(&slot->may_time, 0);
	pg_atomic_init_u32(&slot->fold, 0);
	pg_atomic_init_u32(&slot->has_texts, 0);
	pg_atomic_init_u32(&slot->own, 0);
	slot->sample = InvalidDsaPointer;
	slot->plan = InvalidDsaPointer;
	slot->first_seen = 0;
	slot->dumped_seen = 0;
	memset(&slot->history, 0, sizeof(slot->history));
	pg_atomic_init_u64(&slot->since_total_ns, 0);
	totals_init(&slot->previous);
	for (int i = 0; i < LATENCY_BUCKETS; i++)
		pg_atomic_init_u32(&slot->previous_buckets[i], 0);
}

/*
 * Empties a slot that belongs to nobody.
 */
void
dbperf_latency_slot_clear(LatencySlot *slot)
{
	dbperf_latency_slot_reuse(slot);
	totals_init(&slot->current);
	totals_init(&slot->lifetime);
	for (int i = 0; i < LATENCY_BUCKETS; i++)
	{
		pg_atomic_init_u32(&slot->current_buckets[i], 0);
		pg_atomic_init_u32(&slot->since_buckets[i], 0);
		pg_atomic_init_u64(&slot->lifetime_buckets[i], 0);
	}
}

static void
latency_attach(void *area, bool found)
{
	HASHCTL ctl = {0};

	dbperf_latency_shared = area;
	dbperf_latency_forget();

	if (!found)
	{
		pg_atomic_init_u64(&dbperf_latency_shared->next_generation, 1);
		pg_atomic_init_u64(&dbperf_latency_shared->evicted, 0);
		pg_atomic_init_u64(&dbperf_latency_shared->samples_refused, 0);
		pg_atomic_init_u64(&dbperf_latency_shared->plans_refused, 0);
		pg_atomic_init_u64(&dbperf_latency_shared->plans_merged, 0);
		dbperf_latency_shared->started_ns = (uint64) dbperf_now_ns();
		pg_atomic_init_u32(&dbperf_latency_shared->resets, 0);
		dbperf_latency_shared->total_resets = 0;
		dbperf_latency_clear(&dbperf_latency_shared->total);
		pg_atomic_init_u32(&dbperf_latency_shared->handed_out, 0);
		pg_atomic_init_u32(&dbperf_latency_shared->hand, 0);
		for (int i = 0; i < ASK_FLAGS; i++)
			pg_atomic_init_u32(&dbperf_latency_shared->counting[i], 0);
		for (int i = 0; i <= dbperf_max_queries; i++)
		{
			LatencySlot *slot = &dbperf_latency_shared->slots[i];

			dbperf_latency_slot_clear(slot);
			pg_atomic_init_u64(&slot->generation, GENERATION_FREE);
		}
		/* "other" always belongs to itself, and has no sample to take */
		pg_atomic_init_u32(&dbperf_latency_shared->slots[dbperf_max_queries].has_texts, 1);
		pg_atomic_init_u64(&dbperf_latency_shared->slots[dbperf_max_queries].generation,
						   GENERATION_BUSY);
	}

	ctl.keysize = sizeof(LatencyKey);
	ctl.entrysize = sizeof(LatencyEntry);
	ctl.num_partitions = LATENCY_PARTITIONS;
	dbperf_latency_hash =
		ShmemInitHash("dbperf latency hash", dbperf_max_queries, dbperf_max_queries, &ctl,
					  HASH_ELEM | HASH_BLOBS | HASH_PARTITION | HASH_FIXED_SIZE);
	dbperf_track_ask();
}

/*
 * Registers the shared memory of histograms and samples.
 */
void
dbperf_latency_init(void)
{
	static const DbperfShmemArea area = {
		.name = "dbperf latency",
		.size = latency_size,
		.attach = latency_attach,
		.tranche = "dbperf_latency",
		.num_locks = LATENCY_PARTITIONS + 1,
		.locks = &dbperf_latency_locks,
		.extra = latency_hash_size,
	};

	dbperf_shmem_register(&area);
	dbperf_sample_init();
}

/*
 * How many slots want the next executions of their query to count rows per
 * node, by query id; NULL without shared memory.
 */
pg_atomic_uint32 *
dbperf_latency_counting(void)
{
	return dbperf_latency_shared != NULL ? dbperf_latency_shared->counting : NULL;
}

/*
 * Fills the key of a user's statement in the current database.
 */
void
dbperf_latency_key(LatencyKey *key, uint64 queryid, Oid userid, bool toplevel)
{
	key->queryid = queryid;
	key->dbid = MyDatabaseId;
	key->userid = userid;
	key->toplevel = toplevel ? 1 : 0;
}

/*
 * The slot of all that has no other.
 */
LatencySlot *
dbperf_latency_other(void)
{
	return &dbperf_latency_shared->slots[dbperf_max_queries];
}

/*
 * The slot of an entry's plan, or NULL.  Caller must hold the lock.
 */
LatencySlot *
dbperf_latency_entry_slot(const LatencyEntry *entry, uint64 plan_id)
{
	for (uint32 i = 0; i < entry->nslots; i++)
	{
		LatencySlot *slot = &dbperf_latency_shared->slots[entry->slots[i]];

		if (slot->plan_id == plan_id)
			return slot;
	}
	return NULL;
}

/*
 * Whether an entry has as many plans as it may.  Caller must hold the lock.
 */
static bool
entry_full(const LatencyEntry *entry)
{
	return entry->nslots > LATENCY_MAX_PLANS ||
		   (entry->nslots == LATENCY_MAX_PLANS && dbperf_latency_entry_slot(entry, 0) == NULL);
}

/*
 * What all plans of an entry have counted.  Caller must hold the lock.
 */
static uint64
entry_calls(const LatencyEntry *entry)
{
	uint64 calls = 0;

	for (uint32 i = 0; i < entry->nslots; i++)
	{
		LatencySlot *slot = &dbperf_latency_shared->slots[entry->slots[i]];

		if (slot->plan_id != 0)
			calls += dbperf_latency_calls(slot);
	}
	return calls;
}

/*
 * Copies the numbers of a query's slots, of which there are at most
 * LATENCY_MAX_PLANS + 1.  Returns how many.
 */
int
dbperf_latency_slots(const LatencyKey *key, uint32 *slots)
{
	uint32		  hash = get_hash_value(dbperf_latency_hash, key);
	LWLock		 *lock = LATENCY_LOCK(hash);
	LatencyEntry *entry;
	int			  n = 0;

	LWLockAcquire(lock, LW_SHARED);
	entry = hash_search_with_hash_value(dbperf_latency_hash, key, hash, HASH_FIND, NULL);
	if (entry != NULL)
	{
		n = (int) entry->nslots;
		memcpy(slots, entry->slots, n * sizeof(uint32));
	}
	LWLockRelease(lock);
	return n;
}

/*
 * Fills a slot that is the caller's for its new owner.  entry is the query's,
 * whose lock the caller must hold exclusively.
 */
static void
slot_enter(LatencySlot *slot, LatencyEntry *entry, uint64 plan_id)
{
	slot->key = entry->key;
	slot->plan_id = plan_id;
	slot->first_seen = GetCurrentTimestamp();
	slot->history.turn_began = slot->first_seen;
	slot->history.turn_others = entry_calls(entry);
	pg_atomic_write_u64(&slot->last_used_ns, (uint64) dbperf_now_ns());
	entry->slots[entry->nslots++] = (uint32) (slot - dbperf_latency_shared->slots);
	pg_write_barrier();
	pg_atomic_write_u64(&slot->generation,
						pg_atomic_fetch_add_u64(&dbperf_latency_shared->next_generation, 1));
}

/*
 * Enters a plan of a query that has no slot yet.  slot is empty and the
 * caller's.  Returns the plan's slot; without room the one without a plan, or
 * "other".
 */
static LatencySlot *
slot_insert(LatencySlot *slot, const LatencyKey *key, uint32 hash, uint64 plan_id)
{
	LWLock		 *lock = LATENCY_LOCK(hash);
	LatencyEntry *entry;
	LatencySlot	 *existing = NULL;
	bool		  found;
	bool		  fits;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	entry = hash_search_with_hash_value(dbperf_latency_hash, key, hash, HASH_ENTER_NULL, &found);
	if (entry != NULL && !found)
		entry->nslots = 0;
	if (entry != NULL)
		existing = dbperf_latency_entry_slot(entry, plan_id);
	fits = entry != NULL && existing == NULL && (plan_id == 0 || !entry_full(entry));
	if (fits)
		slot_enter(slot, entry, plan_id);
	else
	{
		/* somebody else was faster */
		pg_atomic_write_u64(&slot->generation, GENERATION_FREE);
		slot = existing != NULL ? existing
			   : entry != NULL	? dbperf_latency_entry_slot(entry, 0)
								: NULL;
	}
	LWLockRelease(lock);
	return slot != NULL ? slot : dbperf_latency_other();
}

/*
 * The slot of a query's plan, or NULL if it has none.  Then *idle is, if the
 * query has too many plans, the one that was not used for the longest time, and
 * *generation that one's.
 */
static LatencySlot *
slot_find(const LatencyKey *key, uint32 hash, uint64 plan_id, LatencySlot **idle,
		  uint64 *generation)
{
	LWLock		 *lock = LATENCY_LOCK(hash);
	LatencyEntry *entry;
	LatencySlot	 *slot = NULL;

	*idle = NULL;
	LWLockAcquire(lock, LW_SHARED);
	entry = hash_search_with_hash_value(dbperf_latency_hash, key, hash, HASH_FIND, NULL);
	if (entry != NULL)
		slot = dbperf_latency_entry_slot(entry, plan_id);
	if (entry != NULL && slot == NULL && plan_id != 0 && entry_full(entry))
	{
		uint64 oldest = PG_UINT64_MAX;

		for (uint32 i = 0; i < entry->nslots; i++)
		{
			LatencySlot *other = &dbperf_latency_shared->slots[entry->slots[i]];
			uint64		 used = pg_atomic_read_u64(&other->last_used_ns);

			if (other->plan_id != 0 && used < oldest)
			{
				oldest = used;
				*idle = other;
				*generation = pg_atomic_read_u64(&other->generation);
			}
		}
	}
	LWLockRelease(lock);
	return slot;
}

/*
 * Whether a plan of a query with many is not in use any more.
 */
static bool
slot_idle(LatencySlot *slot)
{
	int64 window = dbperf_latency_window * INT64CONST(1000000000);
	int64 now = dbperf_now_ns();

	return now - dbperf_latency_seen_ns(slot, (uint64) now, GetCurrentTimestamp()) >
		   CROWDED_WINDOWS * window;
}

/*
 * Finds or makes the slot of a query's plan in the shared table.  Returns the
 * one without a plan if the query has too many, and "other" without room.
 */
LatencySlot *
dbperf_latency_lookup(const LatencyKey *key, uint64 plan_id)
{
	uint32		 hash = get_hash_value(dbperf_latency_hash, key);
	LatencySlot *idle;
	uint64		 generation;
	LatencySlot *slot = slot_find(key, hash, plan_id, &idle, &generation);
	bool		 last;

	if (slot != NULL)
		return slot;
	if (idle != NULL)
	{
		if (slot_idle(idle) && dbperf_sample_attached() &&
			dbperf_latency_evict(idle, generation, true, &last))
		{
			dbperf_latency_slot_reuse(idle);
			return slot_insert(idle, key, hash, plan_id);
		}
		pg_atomic_fetch_add_u64(&dbperf_latency_shared->plans_merged, 1);
		return dbperf_latency_lookup(key, 0);
	}
	slot = dbperf_latency_take();
	return slot != NULL ? slot_insert(slot, key, hash, plan_id) : dbperf_latency_other();
}
