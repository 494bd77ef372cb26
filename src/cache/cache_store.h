/*-------------------------------------------------------------------------
 *
 * cache_store.h
 *		What the files of the result cache's store and counters share.
 *
 * All memory is part of dbperf.cache_size and made when the server starts:
 *
 *	cache_arena.c	hands out pieces of one fixed area to entries
 *	cache_store.c	finds and stores entries: partitions, chains, pins
 *	cache_text.c	the longest part of keys
 *	cache_evict.c	makes room
 *	cache_entries.c	looks at all entries: flush and cache_entries
 *	cache_build.c	who makes an entry at the moment
 *	cache_seen.c	which keys were seen before
 *	cache_stats.c, cache_query_stats.c	counters
 *
 * Locks, one tranche: one for each partition of the hash table, one for the
 * arena, one for the table of builds, one for the table of queries.  Nobody
 * takes one of them while holding another.  Nothing is allocated and no error
 * is raised while one is held.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_CACHE_STORE_H
#define DBPERF_CACHE_STORE_H

#include "cache/cache_int.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"

DBPERF_PRIVATE_BEGIN

#define CACHE_PARTITIONS 64

extern LWLockPadded *dbperf_cache_locks;

#define CACHE_PARTITION_LOCK(partition) (&dbperf_cache_locks[partition].lock)
#define CACHE_ARENA_LOCK (&dbperf_cache_locks[CACHE_PARTITIONS].lock)
#define CACHE_BUILD_LOCK (&dbperf_cache_locks[CACHE_PARTITIONS + 1].lock)
#define CACHE_QUERY_LOCK (&dbperf_cache_locks[CACHE_PARTITIONS + 2].lock)
#define CACHE_LOCKS (CACHE_PARTITIONS + 3)

/* No place in the arena. */
#define CACHE_NO_UNIT PG_UINT32_MAX

/*
 * An entry: this header, its rows, the oids of its relations, the text of its
 * shape and the rest of its key, in one piece of the arena.
 *
 * state counts pins; CACHE_ENTRY_DEAD is added when the entry leaves its chain.
 * A pin is taken under the partition's lock by somebody who found the entry in
 * its chain, or while holding another pin, so an entry that is dead and has no
 * pin stays so: whoever brought it there, by the last unpin or by the removal,
 * frees it.  Nobody else can, since both are one atomic operation on state.
 *
 * What the first group says is written under the arena's lock when the piece is
 * handed out, so that whoever holds that lock can read it of any piece; next is
 * under the partition's lock; the rest does not change once it is in a chain.
 */
typedef struct CacheEntry
{
	pg_atomic_uint32 state;
	uint32			 units; /* length of the piece */
	uint64			 id;	/* never used twice */
	uint64			 hash[2];
	pg_atomic_uint64 hits;
	pg_atomic_uint64 age;	/* of the store when it was last used */
	uint64			 value; /* saved time by size */

	uint32 next; /* in the chain */

	uint32		num_relations;
	uint32		text_len;
	uint32		text_stored; /* less: compressed */
	uint32		tail_len;
	Oid			database;
	uint64		text; /* number of the shape's text, the same number means the same text */
	uint64		count;
	int64		queryid;
	int64		num_rows;
	Size		rows_bytes;
	double		cost_ms;
	TimestampTz stored;
} CacheEntry;

#define CACHE_ENTRY_DEAD ((uint32) 1 << 31)

/* ---- the store's shared part ---- */

typedef struct CachePartition
{
	uint32 entries; /* in its chains, under its lock */
} CachePartition;

typedef struct CacheArena
{
	uint32			 units;	   /* of the whole area */
	int				 shift;	   /* a unit has 1 << shift bytes */
	pg_atomic_uint32 used;	   /* units handed out; changed under the arena's lock */
	uint32			 free[32]; /* by order: the first of the list of free blocks */
} CacheArena;

/* The places of cache_build.c, under the lock of builds. */
#define CACHE_BUILDS 128

typedef struct CacheBuilder
{
	int				  owner; /* number of its process + 1, 0 = nobody */
	uint64			  hash[2];
	ConditionVariable done;
} CacheBuilder;

typedef struct CacheShared
{
	pg_atomic_uint64 next_id;	/* of entries */
	pg_atomic_uint64 next_text; /* numbers of texts */
	pg_atomic_uint64 age;		/* cache_evict.c: rises to what was evicted */
	CacheArena		 arena;
	CachePartition	 partitions[CACHE_PARTITIONS];
	CacheBuilder	 builds[CACHE_BUILDS];
} CacheShared;

/* Where it is in this process; shared is NULL when there is no cache. */
typedef struct CachePlace
{
	CacheShared *shared;
	uint32		*buckets; /* first units of chains, those of a partition together */
	uint32		 buckets_per_partition;
	uint8		*map;  /* of the arena, see cache_arena.c */
	char		*base; /* its first unit */
} CachePlace;

extern CachePlace dbperf_cache_place;

static inline CacheEntry *
cache_entry_at(uint32 unit)
{
	return (CacheEntry *) (dbperf_cache_place.base +
						   ((Size) unit << dbperf_cache_place.shared->arena.shift));
}

static inline uint32
cache_entry_unit(const CacheEntry *entry)
{
	return (uint32) (((const char *) entry - dbperf_cache_place.base) >>
					 dbperf_cache_place.shared->arena.shift);
}

static inline uint32
cache_partition_of(const uint64 *hash)
{
	return (uint32) hash[0] % CACHE_PARTITIONS;
}

/* The parts of an entry, in the order in which they stand behind its header. */
static inline char *
cache_entry_rows(CacheEntry *entry)
{
	return (char *) entry + MAXALIGN(sizeof(CacheEntry));
}

static inline Oid *
cache_entry_relations(CacheEntry *entry)
{
	return (Oid *) (cache_entry_rows(entry) + MAXALIGN(entry->rows_bytes));
}

static inline char *
cache_entry_text(CacheEntry *entry)
{
	return (char *) (cache_entry_relations(entry) + entry->num_relations);
}

static inline char *
cache_entry_tail(CacheEntry *entry)
{
	return cache_entry_text(entry) + entry->text_stored;
}

/* cache_arena.c */
extern void		   dbperf_cache_arena_make(void);
extern CacheEntry *dbperf_cache_arena_take(uint32 units, const uint64 *hash, uint64 value);
extern void		   dbperf_cache_arena_give(CacheEntry *entry);
extern uint32	   dbperf_cache_arena_block(uint32 unit);
extern CacheEntry *dbperf_cache_arena_entry(uint32 block, uint32 *next);

/* cache_store.c */
extern Size dbperf_cache_bytes(void);
extern bool dbperf_cache_unlink(uint32 *link);
extern void dbperf_cache_entry_release(CacheEntry *entry);
extern bool dbperf_cache_entry_remove(const uint64 *hash, uint64 id);

/* cache_text.c */

/* A text as it is stored. */
typedef struct CacheText
{
	const char *data;
	int			bytes;	/* less than the text has: compressed */
	char	   *buffer; /* to be freed, or NULL */
} CacheText;

extern void	  dbperf_cache_texts_forget(void);
extern uint64 dbperf_cache_text_number(uint64 shape);
extern bool	  dbperf_cache_text_same(const CacheKey *key, CacheEntry *entry);
extern void	  dbperf_cache_text_keep(uint64 shape, CacheEntry *entry);
extern void	  dbperf_cache_text_to_store(const CacheKey *key, CacheText *text);

/* cache_evict.c */
extern CacheEntry *dbperf_cache_make_room(uint32 units, const uint64 *hash, double cost_ms);

/* cache_entries.c */

/* What cache_entries shows of an entry. */
typedef struct CacheEntryInfo
{
	uint64		id;
	Oid			database;
	int64		queryid;
	int64		num_rows;
	Size		bytes;
	uint64		hits;
	double		cost_ms;
	TimestampTz stored;
	int			num_relations;
	int			relations; /* the first in CacheEntryList.relations */
} CacheEntryInfo;

typedef struct CacheEntryList
{
	CacheEntryInfo *entries;
	int				num_entries;
	Oid			   *relations;
	int				num_relations;
} CacheEntryList;

extern int64 dbperf_cache_purge_relations(Oid database, const Oid *relations, int num);
extern void	 dbperf_cache_list_entries(int partition, CacheEntryList *list);
extern int64 dbperf_cache_num_entries(void);

/* cache_seen.c */
extern Size dbperf_cache_seen_size(void);
extern void dbperf_cache_seen_init(void);

/* ---- cache_stats.c ---- */

/* What is counted; the reasons of bypasses follow. */
typedef enum CacheCounter
{
	CACHE_HITS,
	CACHE_MISSES,
	CACHE_STORES,
	CACHE_REFUSED,
	CACHE_EVICTIONS,
	CACHE_INVALIDATIONS,
	CACHE_WAITS,
	CACHE_SAVED_US,
	CACHE_BYPASSES, /* + a CacheBypass */
	CACHE_NUM_COUNTERS = CACHE_BYPASSES + CACHE_NUM_BYPASS
} CacheCounter;

extern Size		   dbperf_cache_stats_size(void);
extern void		   dbperf_cache_count(CacheCounter counter, uint64 n);
extern TimestampTz dbperf_cache_counters(uint64 *sums);
extern void		   dbperf_cache_reset_counters(void);

/* ---- cache_query_stats.c ---- */

/* What cache_queries shows of a query; database and queryid 0: of all others. */
typedef struct CacheQueryInfo
{
	Oid			database;
	int64		queryid;
	uint64		hits;
	uint64		misses;
	uint64		bypassed;
	uint64		hit_ns;
	uint64		miss_ns;
	uint64		saved_us;
	uint64		bytes;
	CacheBypass last_bypass;
} CacheQueryInfo;

#define CACHE_QUERIES 4096

extern Size dbperf_cache_queries_size(void);
extern void dbperf_cache_queries_attach(void *area, bool found);
extern void dbperf_cache_query_hit(int64 queryid, int64 ns, uint64 saved_us);
extern void dbperf_cache_query_miss(int64 queryid, int64 ns, Size stored_bytes);
extern void dbperf_cache_query_bypass(int64 queryid, CacheBypass reason);
extern int	dbperf_cache_list_queries(CacheQueryInfo *queries);
extern void dbperf_cache_forget_queries(void);

DBPERF_PRIVATE_END

#endif /* DBPERF_CACHE_STORE_H */
