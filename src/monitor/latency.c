/*-------------------------------------------------------------------------
 *
 * latency.c
 *		Latency histograms per query, updated without a lock.
 *
 * Every statement ends with one update here, so the usual case is a look into
 * a small private cache and a few atomic additions.  A shared hash table leads
 * from (query, database, user, level) to a slot; only a process that meets a
 * query for the first time goes there.
 *
 * Locks.  The hash table has LATENCY_PARTITIONS partitions, each under a LWLock
 * of its own.  The lock of a key's partition guards the table's entry, and the
 * generation, key and sample of the slot that the entry points to: they change
 * only while it is held exclusively, or while the slot belongs to nobody else
 * (generation GENERATION_BUSY).  No process holds two of these locks.
 * Counters need no lock.
 *
 * Giving a slot away.  When all slots are taken, the least recently used of a
 * few neighbours loses its entry, and what it counted is moved to the slot
 * "other" by atomic exchanges: nothing is lost, sums over all rows stay right.
 * An update that has already passed the check of the generation may then add
 * one execution to the slot's next owner.
 *
 * Windows.  Updates go to the open window only.  The first one after its end
 * closes it: it exchanges each counter with zero and adds the value to the
 * lifetime, so that an update that runs beside it lands in one window or in
 * the other, and never twice.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "miscadmin.h"
#include "monitor/latency_int.h"
#include "monitor/track.h"
#include "storage/shmem.h"

#define VICTIM_CANDIDATES 16
#define VICTIM_TRIES 4
LatencyShared *dbperf_latency_shared = NULL;
HTAB		  *dbperf_latency_hash = NULL;
LWLockPadded  *dbperf_latency_locks = NULL;

CachedSlot dbperf_latency_cache[LATENCY_CACHE_SIZE];

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
 * Empties a slot that belongs to nobody.
 */
static void
slot_clear(LatencySlot *slot)
{
	memset(&slot->key, 0, sizeof(slot->key));
	pg_atomic_init_u64(&slot->window_end_ns, 0);
	pg_atomic_init_u64(&slot->last_used_ns, 0);
	pg_atomic_init_u32(&slot->count_rows, 0);
	pg_atomic_init_u32(&slot->may_time, 0);
	pg_atomic_init_u32(&slot->fold, 0);
	pg_atomic_init_u32(&slot->has_sample, 0);
	slot->sample = InvalidDsaPointer;
	totals_init(&slot->current);
	totals_init(&slot->previous);
	totals_init(&slot->lifetime);
	for (int i = 0; i < LATENCY_BUCKETS; i++)
	{
		pg_atomic_init_u32(&slot->current_buckets[i], 0);
		pg_atomic_init_u32(&slot->previous_buckets[i], 0);
		pg_atomic_init_u64(&slot->lifetime_buckets[i], 0);
	}
}

static void
latency_attach(void *area, bool found)
{
	HASHCTL ctl = {0};

	dbperf_latency_shared = area;
	memset(dbperf_latency_cache, 0, sizeof(dbperf_latency_cache));

	if (!found)
	{
		pg_atomic_init_u64(&dbperf_latency_shared->next_generation, 1);
		pg_atomic_init_u64(&dbperf_latency_shared->evicted, 0);
		pg_atomic_init_u64(&dbperf_latency_shared->samples_refused, 0);
		pg_atomic_init_u32(&dbperf_latency_shared->handed_out, 0);
		pg_atomic_init_u32(&dbperf_latency_shared->hand, 0);
		for (int i = 0; i < ASK_FLAGS; i++)
			pg_atomic_init_u32(&dbperf_latency_shared->counting[i], 0);
		for (int i = 0; i <= dbperf_max_queries; i++)
		{
			LatencySlot *slot = &dbperf_latency_shared->slots[i];

			slot_clear(slot);
			pg_atomic_init_u64(&slot->generation, GENERATION_FREE);
		}
		/* "other" always belongs to itself, and has no sample to take */
		pg_atomic_init_u32(&dbperf_latency_shared->slots[dbperf_max_queries].has_sample, 1);
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
		.num_locks = LATENCY_PARTITIONS,
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
 * Fills the key of the current user's statement in the current database.
 */
void
dbperf_latency_key(LatencyKey *key, uint64 queryid, bool toplevel)
{
	key->queryid = queryid;
	key->dbid = MyDatabaseId;
	key->userid = GetUserId();
	key->toplevel = toplevel ? 1 : 0;
}

static LatencySlot *
other_slot(void)
{
	return &dbperf_latency_shared->slots[dbperf_max_queries];
}

/*
 * Moves what one period of a slot counted to the same period of "other".
 */
static void
totals_move(LatencyTotals *from, LatencyTotals *to)
{
	uint64 max = pg_atomic_read_u64(&from->max_ns);
	uint64 min = pg_atomic_read_u64(&from->min_ns);

	pg_atomic_fetch_add_u64(&to->total_ns, pg_atomic_exchange_u64(&from->total_ns, 0));
	pg_atomic_fetch_add_u64(&to->errors, pg_atomic_exchange_u64(&from->errors, 0));
	if (max > pg_atomic_read_u64(&to->max_ns))
		pg_atomic_write_u64(&to->max_ns, max);
	if (min < pg_atomic_read_u64(&to->min_ns))
		pg_atomic_write_u64(&to->min_ns, min);
}

/*
 * Adds all that a slot counted to the lifetime of "other".
 */
static void
slot_harvest(LatencySlot *slot)
{
	LatencySlot *other = other_slot();

	for (int i = 0; i < LATENCY_BUCKETS; i++)
	{
		uint64 n = pg_atomic_exchange_u32(&slot->current_buckets[i], 0);

		n += pg_atomic_exchange_u64(&slot->lifetime_buckets[i], 0);
		if (n > 0)
			pg_atomic_fetch_add_u64(&other->lifetime_buckets[i], n);
	}
	totals_move(&slot->current, &other->lifetime);
	totals_move(&slot->lifetime, &other->lifetime);
}

/*
 * Takes a used slot away from its query, if it still has the generation that
 * the caller saw.  Returns whether the slot is now the caller's; harvest says
 * whether its counts go to "other" or are forgotten.
 */
static bool
slot_evict(LatencySlot *slot, uint64 generation, bool harvest)
{
	LatencyKey	key = slot->key;
	uint32		hash = get_hash_value(dbperf_latency_hash, &key);
	LWLock	   *lock = LATENCY_LOCK(hash);
	dsa_pointer sample;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (pg_atomic_read_u64(&slot->generation) != generation ||
		memcmp(&key, &slot->key, sizeof(key)) != 0)
	{
		LWLockRelease(lock);
		return false;
	}
	hash_search_with_hash_value(dbperf_latency_hash, &key, hash, HASH_REMOVE, NULL);
	pg_atomic_write_u64(&slot->generation, GENERATION_BUSY);
	sample = slot->sample;
	slot->sample = InvalidDsaPointer;
	LWLockRelease(lock);

	if (pg_atomic_exchange_u32(&slot->count_rows, 0) > 0)
		pg_atomic_fetch_sub_u32(&dbperf_latency_shared->counting[ASK_FLAG(key.queryid)], 1);
	if (DsaPointerIsValid(sample))
		dbperf_sample_free(sample);
	if (harvest)
	{
		slot_harvest(slot);
		pg_atomic_fetch_add_u64(&dbperf_latency_shared->evicted, 1);
	}
	return true;
}

/*
 * Claims a free slot if there is one at n.
 */
static bool
slot_claim_free(LatencySlot *slot)
{
	uint64 expected = GENERATION_FREE;

	return pg_atomic_compare_exchange_u64(&slot->generation, &expected, GENERATION_BUSY);
}

/*
 * Finds a slot for a new query: a fresh one, a freed one, or the least
 * recently used of a few neighbours.  Returns an empty slot in the state
 * GENERATION_BUSY, or NULL if there is none to be had now.
 */
static LatencySlot *
slot_take(void)
{
	LatencyShared *shared = dbperf_latency_shared;
	uint32		   nslots = dbperf_max_queries;

	if (pg_atomic_read_u32(&shared->handed_out) < nslots)
	{
		uint32 n = pg_atomic_fetch_add_u32(&shared->handed_out, 1);

		if (n < nslots && slot_claim_free(&shared->slots[n]))
			return &shared->slots[n];
	}

	/* a victim's sample could not be freed, and attaching might fail here */
	if (!dbperf_sample_attached())
		return NULL;

	for (int try = 0; try < VICTIM_TRIES; try++)
	{
		uint32		 first = pg_atomic_fetch_add_u32(&shared->hand, VICTIM_CANDIDATES);
		uint64		 oldest = PG_UINT64_MAX;
		uint64		 generation = GENERATION_BUSY;
		LatencySlot *victim = NULL;

		for (uint32 i = 0; i < VICTIM_CANDIDATES; i++)
		{
			LatencySlot *slot = &shared->slots[(first + i) % nslots];
			uint64		 g = pg_atomic_read_u64(&slot->generation);
			uint64		 used = pg_atomic_read_u64(&slot->last_used_ns);

			if (g == GENERATION_FREE && slot_claim_free(slot))
				return slot;
			if (g != GENERATION_FREE && g != GENERATION_BUSY && used < oldest)
			{
				oldest = used;
				victim = slot;
				generation = g;
			}
		}
		if (victim != NULL && slot_evict(victim, generation, true))
		{
			slot_clear(victim);
			return victim;
		}
	}
	return NULL;
}

/*
 * Enters a query that has no slot yet.  Returns its slot, or "other" if there
 * is none to be had now.
 */
static LatencySlot *
slot_insert(const LatencyKey *key, uint32 hash)
{
	LatencySlot	 *slot = slot_take();
	LWLock		 *lock = LATENCY_LOCK(hash);
	LatencyEntry *entry;
	bool		  found;

	if (slot == NULL)
		return other_slot();

	slot->key = *key;
	pg_atomic_write_u64(&slot->last_used_ns, (uint64) dbperf_now_ns());

	LWLockAcquire(lock, LW_EXCLUSIVE);
	entry = hash_search_with_hash_value(dbperf_latency_hash, key, hash, HASH_ENTER_NULL, &found);
	if (entry == NULL || found)
	{
		pg_atomic_write_u64(&slot->generation, GENERATION_FREE);
		slot = entry == NULL ? other_slot() : &dbperf_latency_shared->slots[entry->slot];
	}
	else
	{
		entry->slot = slot - dbperf_latency_shared->slots;
		pg_write_barrier();
		pg_atomic_write_u64(&slot->generation,
							pg_atomic_fetch_add_u64(&dbperf_latency_shared->next_generation, 1));
	}
	LWLockRelease(lock);
	return slot;
}

/*
 * Finds or makes the slot of a query in the shared table, and remembers it.
 */
pg_noinline LatencySlot *
dbperf_latency_lookup(uint64 queryid, bool toplevel)
{
	CachedSlot	 *cached = dbperf_latency_cached(queryid);
	LatencyKey	  key;
	uint32		  hash;
	LWLock		 *lock;
	LatencyEntry *entry;
	LatencySlot	 *slot = NULL;

	dbperf_latency_key(&key, queryid, toplevel);
	hash = get_hash_value(dbperf_latency_hash, &key);
	lock = LATENCY_LOCK(hash);

	LWLockAcquire(lock, LW_SHARED);
	entry = hash_search_with_hash_value(dbperf_latency_hash, &key, hash, HASH_FIND, NULL);
	if (entry != NULL)
		slot = &dbperf_latency_shared->slots[entry->slot];
	LWLockRelease(lock);

	if (slot == NULL)
		slot = slot_insert(&key, hash);
	if (slot == other_slot())
		return slot;

	cached->queryid = queryid;
	cached->userid = key.userid;
	cached->toplevel = toplevel;
	cached->slot = slot;
	cached->generation = pg_atomic_read_u64(&slot->generation);
	pg_read_barrier();
	if (memcmp(&slot->key, &key, sizeof(key)) != 0)
		cached->generation = GENERATION_BUSY; /* lost again: look it up next time */
	return slot;
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
 * Closes the open window of a slot, unless somebody else does it already.
 */
void
dbperf_latency_fold(LatencySlot *slot, uint64 now)
{
	uint64 window = (uint64) dbperf_latency_window * UINT64CONST(1000000000);
	uint64 end;
	uint32 fold = pg_atomic_read_u32(&slot->fold);
	bool   keep;

	if ((fold & 1) != 0 || !pg_atomic_compare_exchange_u32(&slot->fold, &fold, fold + 1))
		return;

	end = pg_atomic_read_u64(&slot->window_end_ns);
	if (now >= end)
	{
		/* a window that ended long ago is not the one before this */
		keep = now < end + window;
		for (int i = 0; i < LATENCY_BUCKETS; i++)
		{
			uint32 n = 0;

			if (pg_atomic_read_u32(&slot->current_buckets[i]) != 0)
				n = pg_atomic_exchange_u32(&slot->current_buckets[i], 0);
			if (n != 0)
				pg_atomic_fetch_add_u64(&slot->lifetime_buckets[i], n);
			pg_atomic_write_u32(&slot->previous_buckets[i], keep ? n : 0);
		}
		totals_fold(slot, keep);
		pg_atomic_write_u64(&slot->window_end_ns, (now / window + 1) * window);
	}
	pg_write_barrier();
	pg_atomic_write_u32(&slot->fold, fold + 2);
}

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
 * Forgets histograms and samples: those of one query or of all, in one
 * database or, if dbid is invalid, in all.  Forgetting everything empties
 * "other" as well.  Returns how many were forgotten.
 */
int
dbperf_latency_reset(uint64 queryid, bool all_queries, Oid dbid)
{
	LatencyShared *shared = dbperf_latency_shared;
	int			   count = 0;

	dbperf_sample_attach();
	for (int i = 0; i < dbperf_max_queries; i++)
	{
		LatencySlot *slot = &shared->slots[i];
		uint64		 generation = pg_atomic_read_u64(&slot->generation);

		CHECK_FOR_INTERRUPTS();
		if (generation == GENERATION_FREE || generation == GENERATION_BUSY)
			continue;
		pg_read_barrier();
		if ((!all_queries && slot->key.queryid != queryid) ||
			(OidIsValid(dbid) && slot->key.dbid != dbid))
			continue;
		if (!slot_evict(slot, generation, false))
			continue;
		slot_clear(slot);
		pg_write_barrier();
		pg_atomic_write_u64(&slot->generation, GENERATION_FREE);
		count++;
	}

	if (all_queries && !OidIsValid(dbid))
	{
		slot_clear(other_slot());
		pg_atomic_write_u32(&other_slot()->has_sample, 1);
	}
	return count;
}
