/*-------------------------------------------------------------------------
 *
 * cache_evict.c
 *		Makes room in the store: GreedyDual-Size-Frequency, over regions.
 *
 * The priority of an entry is the time that its hits have saved by the room it
 * takes, plus the age of the store when it was last used.  That age rises to
 * the priority of what is evicted, so that what is not used any more falls
 * behind, however often it was used once.
 *
 * What is needed is room in one piece, so regions compete, not entries: of some
 * blocks of the length that is wanted, taken at random, the one is emptied
 * whose entries are worth least together.  For the usual small entry a region
 * is the place of one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "cache/cache_store.h"
#include "common/pg_prng.h"
#include "port/pg_bitutils.h"

/* How often room is made for one entry, until it is refused. */
#define TRIES 8

/* Regions that compete: fewer if many entries have been looked at. */
#define REGIONS 16
#define ENOUGH_VISITS 1024

/* Entries that are looked at in one region. */
#define MAX_VISITS 16384

/* Entries that are removed from a region at a time. */
#define VICTIMS 64

/* Hits beyond this do not make an entry more valuable: it might never go. */
#define MAX_HITS 255

/* Of microseconds by byte: keeps apart what takes long to age. */
#define VALUE_SCALE 65536.0
#define MAX_VALUE 1e12

typedef struct Region
{
	uint32 first; /* units */
	uint32 end;
	bool   blocked; /* something in it is pinned */
	int	   visits;
	double lost;   /* sum of priority * units */
	double in_use; /* units */
} Region;

typedef struct Victim
{
	uint64 hash[2];
	uint64 id;
} Victim;

/* What a hit saves by the room that it takes. */
static uint64
entry_value(uint32 units, double cost_ms)
{
	double bytes = ldexp(units, dbperf_cache_place.shared->arena.shift);
	double value = cost_ms * 1000.0 * VALUE_SCALE / bytes;

	if (!(value >= 1.0))
		return 1;
	return (uint64) Min(value, MAX_VALUE);
}

static double
entry_priority(CacheEntry *entry)
{
	uint64 hits = Min(pg_atomic_read_u64(&entry->hits), MAX_HITS);

	return (double) pg_atomic_read_u64(&entry->age) + (double) entry->value * (double) (hits + 1);
}

/*
 * Adds up what a region holds, as far as it has not been blocked.  Caller must
 * hold the arena's lock.
 */
static void
region_weigh(Region *region)
{
	uint32 unit = dbperf_cache_arena_block(region->first);

	while (unit < region->end && !region->blocked && region->visits < MAX_VISITS)
	{
		CacheEntry *entry = dbperf_cache_arena_entry(unit, &unit);

		if (entry == NULL)
			continue;
		region->visits++;
		if (pg_atomic_read_u32(&entry->state) != 0)
			region->blocked = true;
		region->lost += entry_priority(entry) * entry->units;
		region->in_use += entry->units;
	}
}

/*
 * Looks for the block of this order that is worth least.  Returns false if all
 * that it saw were blocked.
 */
static bool
choose_region(int order, Region *best)
{
	uint32 blocks = dbperf_cache_place.shared->arena.units >> order;
	int	   visits = 0;
	bool   found = false;

	LWLockAcquire(CACHE_ARENA_LOCK, LW_SHARED);
	for (int i = 0; i < REGIONS && visits < ENOUGH_VISITS; i++)
	{
		Region region = {0};

		region.first = (uint32) pg_prng_uint64_range(&pg_global_prng_state, 0, blocks - 1) << order;
		region.end = region.first + ((uint32) 1 << order);
		region_weigh(&region);
		visits += region.visits;
		if (!region.blocked && (!found || region.lost < best->lost))
		{
			*best = region;
			found = true;
		}
	}
	LWLockRelease(CACHE_ARENA_LOCK);
	return found;
}

/*
 * Fills in some of the entries in a region.  Returns how many.
 */
static int
region_victims(const Region *region, Victim *victims)
{
	int	   num = 0;
	uint32 unit;

	LWLockAcquire(CACHE_ARENA_LOCK, LW_SHARED);
	unit = dbperf_cache_arena_block(region->first);
	while (unit < region->end && num < VICTIMS)
	{
		CacheEntry *entry = dbperf_cache_arena_entry(unit, &unit);

		if (entry == NULL || pg_atomic_read_u32(&entry->state) != 0)
			continue;
		memcpy(victims[num].hash, entry->hash, sizeof(entry->hash));
		victims[num++].id = entry->id;
	}
	LWLockRelease(CACHE_ARENA_LOCK);
	return num;
}

/*
 * Raises the age of the store to what has been evicted.
 */
static void
raise_age(const Region *region)
{
	pg_atomic_uint64 *age = &dbperf_cache_place.shared->age;
	uint64			  seen = pg_atomic_read_u64(age);
	uint64			  evicted;

	if (region->in_use == 0)
		return;
	evicted = (uint64) (region->lost / region->in_use);
	while (seen < evicted && !pg_atomic_compare_exchange_u64(age, &seen, evicted))
		;
}

/*
 * Removes the entries of the least valuable region of some.  Entries that
 * others remove meanwhile need not be counted here.
 */
static void
evict_region(int order)
{
	Region region = {0};
	Victim victims[VICTIMS];
	int	   num;
	int	   removed;

	if (!choose_region(order, &region))
		return;
	raise_age(&region);
	do
	{
		num = region_victims(&region, victims);
		removed = 0;
		for (int i = 0; i < num; i++)
		{
			if (dbperf_cache_entry_remove(victims[i].hash, victims[i].id))
			{
				dbperf_cache_count_eviction();
				removed++;
			}
		}
	} while (removed > 0 && num == VICTIMS);
}

/*
 * A piece of the arena for an entry whose execution took so long, for which
 * others are evicted if need be.  Returns NULL if there is none to be had: what
 * lies there is in use, or others are faster.
 */
CacheEntry *
dbperf_cache_make_room(uint32 units, const uint64 *hash, double cost_ms)
{
	uint64		value = entry_value(units, cost_ms);
	CacheEntry *entry = dbperf_cache_arena_take(units, hash, value);

	for (int i = 0; i < TRIES && entry == NULL; i++)
	{
		evict_region(pg_ceil_log2_32(units));
		entry = dbperf_cache_arena_take(units, hash, value);
	}
	return entry;
}
