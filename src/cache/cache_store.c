/*-------------------------------------------------------------------------
 *
 * cache_store.c
 *		The store of the result cache: finding, pinning and storing entries.
 *
 * A hash table of CACHE_PARTITIONS partitions, each under a LWLock that a hit
 * takes shared and only to find and pin its entry; the key is compared and the
 * rows are read without it.  cache_store.h has the protocol of entries.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "cache/cache_store.h"
#include "core/core.h"
#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

/* With less memory than this there would be no room for entries. */
#define MIN_BYTES ((Size) 2 * 1024 * 1024)

/* One chain for so many bytes. */
#define BYTES_PER_BUCKET 4096

#define MIN_UNIT_SHIFT 8
#define MAX_UNITS ((Size) 1 << 30)

/* No entry is larger than this part of the arena. */
#define MAX_PART 4

CachePlace	  dbperf_cache_place = {0};
LWLockPadded *dbperf_cache_locks = NULL;

/* ---- memory ---- */

/* All that the cache may use, counters included. */
Size
dbperf_cache_bytes(void)
{
	return Max(mul_size(dbperf_cache_size, 1024), MIN_BYTES);
}

/* What is left of it for the store. */
static Size
store_size(void)
{
	return dbperf_cache_bytes() - dbperf_cache_stats_size() - dbperf_cache_seen_size();
}

static uint32
buckets_per_partition(void)
{
	Size wanted = dbperf_cache_bytes() / BYTES_PER_BUCKET / CACHE_PARTITIONS;

	return (uint32) Min(wanted, (Size) 1 << 24);
}

/*
 * Divides the area: the shared struct, buckets, the arena's map, the arena.
 */
static void
place_parts(void *area, bool found)
{
	CachePlace *place = &dbperf_cache_place;
	CacheArena *arena = &((CacheShared *) area)->arena;
	Size		buckets;
	Size		before;
	Size		room;
	int			shift = MIN_UNIT_SHIFT;
	Size		units;

	place->shared = area;
	place->buckets_per_partition = buckets_per_partition();
	buckets = (Size) place->buckets_per_partition * CACHE_PARTITIONS * sizeof(uint32);
	place->buckets = (uint32 *) ((char *) area + CACHELINEALIGN(sizeof(CacheShared)));
	place->map = (uint8 *) place->buckets + buckets;

	before = CACHELINEALIGN(sizeof(CacheShared)) + buckets;
	room = store_size() - before - PG_CACHE_LINE_SIZE;
	while (room >> shift > MAX_UNITS)
		shift++;
	units = room / (((Size) 1 << shift) + 1);
	place->base = (char *) CACHELINEALIGN(place->map + units);
	Assert(place->base + (units << shift) <= (char *) area + store_size());

	if (!found)
	{
		arena->units = (uint32) units;
		arena->shift = shift;
	}
}

static void
store_attach(void *area, bool found)
{
	CacheShared *shared = area;
	uint32		 num_buckets;

	dbperf_cache_texts_forget();
	place_parts(area, found);
	if (found)
		return;

	pg_atomic_init_u64(&shared->next_id, 1);
	pg_atomic_init_u64(&shared->next_text, 1);
	pg_atomic_init_u64(&shared->age, 0);
	memset(shared->partitions, 0, sizeof(shared->partitions));
	memset(shared->builds, 0, sizeof(shared->builds));
	for (int i = 0; i < CACHE_BUILDS; i++)
		ConditionVariableInit(&shared->builds[i].done);
	num_buckets = dbperf_cache_place.buckets_per_partition * CACHE_PARTITIONS;
	for (uint32 i = 0; i < num_buckets; i++)
		dbperf_cache_place.buckets[i] = CACHE_NO_UNIT;
	dbperf_cache_arena_make();
}

/*
 * Registers the shared memory of the store.  Without dbperf.cache_size there is
 * none, and every function here finds nothing and stores nothing.
 */
void
dbperf_cache_store_init(void)
{
	static const DbperfShmemArea area = {
		.name = "dbperf cache",
		.size = store_size,
		.attach = store_attach,
		.tranche = "dbperf_cache",
		.num_locks = CACHE_LOCKS,
		.locks = &dbperf_cache_locks,
	};

	if (dbperf_cache_size == 0)
		return;
	dbperf_shmem_register(&area);
	dbperf_cache_seen_init();
}

/* ---- chains ---- */

/* Where the chain begins that entries with this hash are in. */
static uint32 *
bucket_of(const uint64 *hash)
{
	CachePlace *place = &dbperf_cache_place;

	return &place->buckets[cache_partition_of(hash) * place->buckets_per_partition +
						   (uint32) (hash[0] >> 32) % place->buckets_per_partition];
}

/*
 * Where the unit of the entry with this hash stands, so that it can be taken
 * out; at CACHE_NO_UNIT if there is none.  Caller must hold the partition's
 * lock.
 */
static uint32 *
find_link(const uint64 *hash)
{
	uint32 *link = bucket_of(hash);

	while (*link != CACHE_NO_UNIT)
	{
		CacheEntry *entry = cache_entry_at(*link);

		if (entry->hash[0] == hash[0] && entry->hash[1] == hash[1])
			break;
		link = &entry->next;
	}
	return link;
}

/*
 * Takes an entry out of its chain.  Returns whether nobody has pinned it, in
 * which case the caller gives back its memory.  Caller must hold the
 * partition's lock exclusively.
 */
bool
dbperf_cache_unlink(uint32 *link)
{
	CacheEntry *entry = cache_entry_at(*link);

	*link = entry->next;
	dbperf_cache_place.shared->partitions[cache_partition_of(entry->hash)].entries--;
	return pg_atomic_fetch_or_u32(&entry->state, CACHE_ENTRY_DEAD) == 0;
}

/*
 * Gives up a pin; the last one of a dead entry gives back its memory.
 */
void
dbperf_cache_entry_release(CacheEntry *entry)
{
	if (pg_atomic_sub_fetch_u32(&entry->state, 1) == CACHE_ENTRY_DEAD)
		dbperf_cache_arena_give(entry);
}

/*
 * Removes the entry with this hash and id.  Returns false if it has gone.
 */
bool
dbperf_cache_entry_remove(const uint64 *hash, uint64 id)
{
	LWLock	   *lock = CACHE_PARTITION_LOCK(cache_partition_of(hash));
	CacheEntry *unused = NULL;
	uint32	   *link;
	bool		removed = false;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	link = find_link(hash);
	if (*link != CACHE_NO_UNIT && cache_entry_at(*link)->id == id)
	{
		CacheEntry *entry = cache_entry_at(*link);

		removed = true;
		if (dbperf_cache_unlink(link))
			unused = entry;
	}
	LWLockRelease(lock);

	if (unused != NULL)
		dbperf_cache_arena_give(unused);
	return removed;
}

/*
 * Whether a pinned entry has this key.  Its hash is the same.
 */
static bool
same_key(const CacheKey *key, CacheEntry *entry)
{
	return entry->tail_len == (uint32) key->tail_len &&
		   memcmp(cache_entry_tail(entry), key->tail, key->tail_len) == 0 &&
		   dbperf_cache_text_same(key, entry);
}

/* ---- the interface ---- */

/*
 * Looks for a result that is not older than the last write to its relations.
 * One that is found stays pinned until dbperf_cache_unpin().
 */
CacheFind
dbperf_cache_find(const CacheKey *key, uint64 last_write, CachePin *pin)
{
	LWLock	   *lock;
	CacheEntry *entry;
	uint32		unit;
	uint64		age;

	pin->entry = -1;
	if (dbperf_cache_place.shared == NULL)
		return CACHE_ABSENT;

	lock = CACHE_PARTITION_LOCK(cache_partition_of(key->hash));
	LWLockAcquire(lock, LW_SHARED);
	unit = *find_link(key->hash);
	if (unit != CACHE_NO_UNIT)
		pg_atomic_fetch_add_u32(&cache_entry_at(unit)->state, 1);
	LWLockRelease(lock);
	if (unit == CACHE_NO_UNIT)
		return CACHE_ABSENT;

	entry = cache_entry_at(unit);
	if (unlikely(!same_key(key, entry)))
	{
		dbperf_cache_entry_release(entry);
		return CACHE_ABSENT;
	}
	if (entry->count < last_write)
	{
		dbperf_cache_text_keep(key->shape, entry);
		if (dbperf_cache_entry_remove(entry->hash, entry->id))
			dbperf_cache_count_invalidation();
		dbperf_cache_entry_release(entry);
		return CACHE_OUTDATED;
	}

	pg_atomic_fetch_add_u64(&entry->hits, 1);
	age = pg_atomic_read_u64(&dbperf_cache_place.shared->age);
	if (pg_atomic_read_u64(&entry->age) != age)
		pg_atomic_write_u64(&entry->age, age);

	pin->entry = (int) unit;
	pin->rows = cache_entry_rows(entry);
	pin->bytes = entry->rows_bytes;
	pin->num_rows = entry->num_rows;
	pin->stored = entry->stored;
	pin->cost_ms = entry->cost_ms;
	pin->count = entry->count;
	return CACHE_FOUND;
}

/*
 * Lets go of an entry; does nothing if there is none.  Takes no more than one
 * LWLock, so that it can run when a memory context goes.
 */
void
dbperf_cache_unpin(CachePin *pin)
{
	if (pin->entry < 0)
		return;
	dbperf_cache_entry_release(cache_entry_at((uint32) pin->entry));
	pin->entry = -1;
}

/* Whether there is an entry with this hash that is not older than a moment. */
static bool
is_stored(const uint64 *hash, uint64 count)
{
	LWLock *lock = CACHE_PARTITION_LOCK(cache_partition_of(hash));
	uint32	unit;
	bool	found;

	LWLockAcquire(lock, LW_SHARED);
	unit = *find_link(hash);
	found = unit != CACHE_NO_UNIT && cache_entry_at(unit)->count >= count;
	LWLockRelease(lock);
	return found;
}

/*
 * Puts an entry into its chain, in place of an older one with the same hash.
 * Returns false if there is one that is not older.
 */
static bool
link_entry(CacheEntry *entry)
{
	uint32		partition = cache_partition_of(entry->hash);
	CacheEntry *unused = NULL;
	uint32	   *link;
	uint32	   *bucket;
	bool		linked = true;

	LWLockAcquire(CACHE_PARTITION_LOCK(partition), LW_EXCLUSIVE);
	link = find_link(entry->hash);
	if (*link != CACHE_NO_UNIT)
	{
		CacheEntry *old = cache_entry_at(*link);

		if (old->count >= entry->count)
			linked = false;
		else if (dbperf_cache_unlink(link))
			unused = old;
	}
	if (linked)
	{
		bucket = bucket_of(entry->hash);
		entry->next = *bucket;
		*bucket = cache_entry_unit(entry);
		dbperf_cache_place.shared->partitions[partition].entries++;
	}
	else
		pg_atomic_fetch_or_u32(&entry->state, CACHE_ENTRY_DEAD);
	LWLockRelease(CACHE_PARTITION_LOCK(partition));

	if (unused != NULL)
		dbperf_cache_arena_give(unused);
	return linked;
}

/* Fills an entry that is in no chain yet. */
static void
fill_entry(CacheEntry *entry, const CacheKey *key, const CacheText *text, const CacheResult *result)
{
	entry->next = CACHE_NO_UNIT;
	entry->num_relations = result->num_relations;
	entry->text_len = key->text_len;
	entry->text_stored = text->bytes;
	entry->tail_len = key->tail_len;
	entry->database = MyDatabaseId;
	entry->text = dbperf_cache_text_number(key->shape);
	entry->count = result->count;
	entry->queryid = result->queryid;
	entry->num_rows = result->num_rows;
	entry->rows_bytes = result->bytes;
	entry->cost_ms = result->cost_ms;
	entry->stored = GetCurrentTimestamp();
	memcpy(cache_entry_rows(entry), result->rows, result->bytes);
	memcpy(cache_entry_relations(entry), result->relations, result->num_relations * sizeof(Oid));
	memcpy(cache_entry_text(entry), text->data, text->bytes);
	memcpy(cache_entry_tail(entry), key->tail, key->tail_len);
}

/* Finds room for an entry and stores it; see dbperf_cache_store(). */
static bool
store_with_text(const CacheKey *key, const CacheResult *result, const CacheText *text)
{
	CacheArena *arena = &dbperf_cache_place.shared->arena;
	Size		size = MAXALIGN(sizeof(CacheEntry)) + MAXALIGN(result->bytes) +
				result->num_relations * sizeof(Oid) + text->bytes + key->tail_len;
	Size		units = (size + ((Size) 1 << arena->shift) - 1) >> arena->shift;
	CacheEntry *entry = NULL;
	bool		linked;

	if (units <= arena->units / MAX_PART)
		entry = dbperf_cache_make_room((uint32) units, key->hash, result->cost_ms);
	if (entry == NULL)
	{
		dbperf_cache_count_refused();
		return false;
	}
	fill_entry(entry, key, text, result);
	linked = link_entry(entry);
	dbperf_cache_entry_release(entry);
	if (linked)
		dbperf_cache_count(CACHE_STORES, 1);
	return linked;
}

/*
 * Stores a result.  Returns false if there is no room for it, which is counted,
 * or another process has stored one meanwhile that is not older.  Never fails.
 */
bool
dbperf_cache_store(const CacheKey *key, const CacheResult *result)
{
	CacheText text;
	bool	  stored;

	if (dbperf_cache_place.shared == NULL)
		return false;
	if (result->bytes > (Size) dbperf_cache_max_entry_size * 1024)
	{
		dbperf_cache_count_refused();
		return false;
	}
	if (is_stored(key->hash, result->count))
		return false;
	dbperf_cache_text_to_store(key, &text);
	stored = store_with_text(key, result, &text);
	if (text.buffer != NULL)
		pfree(text.buffer);
	return stored;
}
