/*-------------------------------------------------------------------------
 *
 * cache_arena.c
 *		Hands out pieces of the store's fixed area: a buddy allocator.
 *
 * The server's own dsa would do for any single size.  But it gives each size a
 * superblock of its own, and gets one back for another size only when all
 * objects in it have gone.  A cache that is full of small results and now gets
 * larger ones would have to throw away nearly all of them, one by one in no
 * order, before the first large one fits.  Here every place belongs to a block
 * of each size: to make room, cache_evict.c takes one such block and removes
 * what lies in it, no more.
 *
 * The area is divided into units.  A block of order n has 2^n units and starts
 * at a multiple of its length; its buddy is the other half of the block of the
 * next order.  A piece of m units is the beginning of the smallest block that
 * holds it; the rest of that block is free again at once, as smaller blocks.
 *
 * map has a byte for each unit: what begins there, or MAP_INSIDE for the units
 * of a block or piece other than its first.  The first unit of what any unit
 * lies in is found by clearing its lowest bits that are set, one after the
 * other, since blocks and pieces start at a multiple of what they cover.
 *
 * All under the arena's lock, except that the number of units in use can be
 * read without.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "cache/cache_store.h"
#include "port/pg_bitutils.h"

#define MAP_INSIDE 0
#define MAP_FREE(order) ((uint8) ((order) + 1))
#define MAP_PIECE 0x80

/* A free block's place in the list of its order. */
typedef struct FreeBlock
{
	uint32 previous;
	uint32 next;
} FreeBlock;

static FreeBlock *
free_block(uint32 unit)
{
	return (FreeBlock *) cache_entry_at(unit);
}

/* Puts a block into the list of its order. */
static void
free_push(uint32 unit, int order)
{
	CacheArena *arena = &dbperf_cache_place.shared->arena;
	FreeBlock  *block = free_block(unit);

	block->previous = CACHE_NO_UNIT;
	block->next = arena->free[order];
	if (block->next != CACHE_NO_UNIT)
		free_block(block->next)->previous = unit;
	arena->free[order] = unit;
	dbperf_cache_place.map[unit] = MAP_FREE(order);
}

/* Takes a block out of the list of its order. */
static void
free_remove(uint32 unit, int order)
{
	CacheArena *arena = &dbperf_cache_place.shared->arena;
	FreeBlock  *block = free_block(unit);

	Assert(dbperf_cache_place.map[unit] == MAP_FREE(order));
	if (block->previous != CACHE_NO_UNIT)
		free_block(block->previous)->next = block->next;
	else
		arena->free[order] = block->next;
	if (block->next != CACHE_NO_UNIT)
		free_block(block->next)->previous = block->previous;
	dbperf_cache_place.map[unit] = MAP_INSIDE;
}

/* Frees a block, together with its buddy as long as that is free, too. */
static void
free_block_of_order(uint32 unit, int order)
{
	uint32 units = dbperf_cache_place.shared->arena.units;

	for (;;)
	{
		uint32 buddy = unit ^ ((uint32) 1 << order);

		if (buddy >= units || dbperf_cache_place.map[buddy] != MAP_FREE(order))
			break;
		free_remove(buddy, order);
		unit = Min(unit, buddy);
		order++;
	}
	free_push(unit, order);
}

/*
 * Frees the units from first up to, and without, end: those of the end of a
 * block, or of the whole area.
 */
static void
free_rest(uint32 first, uint32 end)
{
	while (first < end)
	{
		int order = pg_leftmost_one_pos32(end - first);

		if (first != 0)
			order = Min(order, pg_rightmost_one_pos32(first));
		free_block_of_order(first, order);
		first += (uint32) 1 << order;
	}
}

/*
 * Makes the whole area free.  The arena's units and shift must be set.
 */
void
dbperf_cache_arena_make(void)
{
	CacheArena *arena = &dbperf_cache_place.shared->arena;

	for (int i = 0; i < lengthof(arena->free); i++)
		arena->free[i] = CACHE_NO_UNIT;
	pg_atomic_init_u32(&arena->used, 0);
	memset(dbperf_cache_place.map, MAP_INSIDE, arena->units);
	free_rest(0, arena->units);
}

/*
 * Takes a block of this order out of a list, splitting a larger one if need be.
 * Returns its first unit, or CACHE_NO_UNIT.
 */
static uint32
take_block(int order)
{
	CacheArena *arena = &dbperf_cache_place.shared->arena;
	int			found = order;
	uint32		unit;

	while (found < lengthof(arena->free) && arena->free[found] == CACHE_NO_UNIT)
		found++;
	if (found == lengthof(arena->free))
		return CACHE_NO_UNIT;

	unit = arena->free[found];
	free_remove(unit, found);
	while (found > order)
	{
		found--;
		free_push(unit + ((uint32) 1 << found), found);
	}
	return unit;
}

/*
 * Hands out a piece of so many units for an entry with this hash, pinned once
 * and in no chain yet.  NULL: there is no room.
 */
CacheEntry *
dbperf_cache_arena_take(uint32 units, const uint64 *hash, uint64 value)
{
	CacheShared *shared = dbperf_cache_place.shared;
	int			 order = pg_ceil_log2_32(units);
	CacheEntry	*entry = NULL;
	uint32		 unit;

	LWLockAcquire(CACHE_ARENA_LOCK, LW_EXCLUSIVE);
	unit = take_block(order);
	if (unit != CACHE_NO_UNIT)
	{
		free_rest(unit + units, unit + ((uint32) 1 << order));
		dbperf_cache_place.map[unit] = MAP_PIECE;
		pg_atomic_fetch_add_u32(&shared->arena.used, units);

		entry = cache_entry_at(unit);
		entry->units = units;
		entry->id = pg_atomic_fetch_add_u64(&shared->next_id, 1);
		memcpy(entry->hash, hash, sizeof(entry->hash));
		entry->value = value;
		pg_atomic_init_u64(&entry->hits, 0);
		pg_atomic_init_u64(&entry->age, pg_atomic_read_u64(&shared->age));
		pg_atomic_init_u32(&entry->state, 1);
	}
	LWLockRelease(CACHE_ARENA_LOCK);
	return entry;
}

/*
 * Takes back the piece of an entry that is dead and not pinned.
 */
void
dbperf_cache_arena_give(CacheEntry *entry)
{
	uint32 unit = cache_entry_unit(entry);
	uint32 units;

	LWLockAcquire(CACHE_ARENA_LOCK, LW_EXCLUSIVE);
	Assert(dbperf_cache_place.map[unit] == MAP_PIECE);
	units = entry->units;
	pg_atomic_fetch_sub_u32(&dbperf_cache_place.shared->arena.used, units);
	dbperf_cache_place.map[unit] = MAP_INSIDE;

	/* in blocks from large to small, which all start at a multiple of their length */
	while (units > 0)
	{
		int order = pg_leftmost_one_pos32(units);

		free_block_of_order(unit, order);
		unit += (uint32) 1 << order;
		units -= (uint32) 1 << order;
	}
	LWLockRelease(CACHE_ARENA_LOCK);
}

/*
 * The first unit of the block or piece that a unit lies in.  Caller must hold
 * the arena's lock.
 */
uint32
dbperf_cache_arena_block(uint32 unit)
{
	Assert(LWLockHeldByMe(CACHE_ARENA_LOCK));
	while (dbperf_cache_place.map[unit] == MAP_INSIDE)
		unit &= unit - 1;
	return unit;
}

/*
 * The entry that begins at a unit, NULL if that is a free block; *next is the
 * unit behind it.  Caller must hold the arena's lock.
 */
CacheEntry *
dbperf_cache_arena_entry(uint32 block, uint32 *next)
{
	uint8		kind = dbperf_cache_place.map[block];
	CacheEntry *entry;

	Assert(LWLockHeldByMe(CACHE_ARENA_LOCK) && kind != MAP_INSIDE);
	if (kind != MAP_PIECE)
	{
		*next = block + ((uint32) 1 << (kind - 1));
		return NULL;
	}
	entry = cache_entry_at(block);
	*next = block + entry->units;
	return entry;
}
