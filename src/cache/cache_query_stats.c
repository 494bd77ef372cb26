/*-------------------------------------------------------------------------
 *
 * cache_query_stats.c
 *		What the result cache does for each query: the view cache_queries.
 *
 * A fixed table of slots, found by a hash of database and query id in one of
 * WINDOW places.  Counting takes no lock: a process remembers the slots of the
 * queries that it executes, and adds if the slot's tag is still that query's.
 * Only who needs a new slot takes the lock of queries, as does who reads them
 * all.  When all WINDOW places of a query are taken, the one that was used
 * longest ago is given away, and its counts are added to the slot "other".  An
 * update that has passed the check of the tag meanwhile may add one execution
 * to the next owner.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "cache/cache_store.h"
#include "common/hashfn.h"
#include "miscadmin.h"

#define WINDOW 16
#define KNOWN_SLOTS 64

typedef struct QuerySlot
{
	pg_atomic_uint64 tag; /* hash of the query, 0 = free */
	int64			 queryid;
	Oid				 database;
	pg_atomic_uint32 used; /* seconds, when it was last used */
	pg_atomic_uint64 hits;
	pg_atomic_uint64 misses;
	pg_atomic_uint64 bypassed;
	pg_atomic_uint64 hit_ns;
	pg_atomic_uint64 miss_ns;
	pg_atomic_uint64 saved_us;
	pg_atomic_uint64 bytes; /* of the result that was stored last */
	pg_atomic_uint32 last_bypass;
} QuerySlot;

/* tag, queryid and database of slots change under CACHE_QUERY_LOCK. */
typedef struct CacheQueries
{
	QuerySlot slots[CACHE_QUERIES];
	QuerySlot other; /* of queries that had to make room */
} CacheQueries;

typedef struct KnownSlot
{
	int64	   queryid; /* in MyDatabaseId */
	uint64	   tag;
	QuerySlot *slot; /* NULL = unused */
} KnownSlot;

static CacheQueries *queries = NULL;
static KnownSlot	 known_slots[KNOWN_SLOTS];

Size
dbperf_cache_queries_size(void)
{
	return sizeof(CacheQueries);
}

/* Sets the counters of a slot to zero. */
static void
slot_clear(QuerySlot *slot)
{
	pg_atomic_write_u64(&slot->hits, 0);
	pg_atomic_write_u64(&slot->misses, 0);
	pg_atomic_write_u64(&slot->bypassed, 0);
	pg_atomic_write_u64(&slot->hit_ns, 0);
	pg_atomic_write_u64(&slot->miss_ns, 0);
	pg_atomic_write_u64(&slot->saved_us, 0);
	pg_atomic_write_u64(&slot->bytes, 0);
	pg_atomic_write_u32(&slot->last_bypass, CACHE_BYPASS_NONE);
}

static void
slot_init(QuerySlot *slot)
{
	memset(slot, 0, sizeof(*slot));
	pg_atomic_init_u64(&slot->tag, 0);
	pg_atomic_init_u32(&slot->used, 0);
	pg_atomic_init_u64(&slot->hits, 0);
	pg_atomic_init_u64(&slot->misses, 0);
	pg_atomic_init_u64(&slot->bypassed, 0);
	pg_atomic_init_u64(&slot->hit_ns, 0);
	pg_atomic_init_u64(&slot->miss_ns, 0);
	pg_atomic_init_u64(&slot->saved_us, 0);
	pg_atomic_init_u64(&slot->bytes, 0);
	pg_atomic_init_u32(&slot->last_bypass, CACHE_BYPASS_NONE);
}

/*
 * Attaches the table, which is part of the area of counters.
 */
void
dbperf_cache_queries_attach(void *area, bool found)
{
	queries = area;
	memset(known_slots, 0, sizeof(known_slots));
	if (found)
		return;
	for (int i = 0; i < CACHE_QUERIES; i++)
		slot_init(&queries->slots[i]);
	slot_init(&queries->other);
}

/* The tag of a query of this database. */
static uint64
tag_of(int64 queryid)
{
	struct
	{
		int64 queryid;
		int64 database;
	} key = {queryid, (int64) MyDatabaseId};
	uint64 tag = hash_bytes_extended((unsigned char *) &key, sizeof(key), 0);

	return tag != 0 ? tag : 1;
}

/* Seconds, for comparison only. */
static uint32
now_seconds(void)
{
	return (uint32) (GetCurrentStatementStartTimestamp() / USECS_PER_SEC);
}

/* Adds to a counter of "other" what a slot has counted. */
static void
give_count(pg_atomic_uint64 *from, pg_atomic_uint64 *to)
{
	pg_atomic_fetch_add_u64(to, pg_atomic_exchange_u64(from, 0));
}

/* Takes a slot away from its query.  Caller must hold the lock. */
static void
slot_empty(QuerySlot *slot)
{
	QuerySlot *other = &queries->other;

	pg_atomic_write_u64(&slot->tag, 0);
	give_count(&slot->hits, &other->hits);
	give_count(&slot->misses, &other->misses);
	give_count(&slot->bypassed, &other->bypassed);
	give_count(&slot->hit_ns, &other->hit_ns);
	give_count(&slot->miss_ns, &other->miss_ns);
	give_count(&slot->saved_us, &other->saved_us);
	slot_clear(slot);
}

/*
 * Finds the slot of a query, or makes one.
 */
static QuerySlot *
slot_of_tag(uint64 tag, int64 queryid)
{
	QuerySlot *vacant = NULL;
	QuerySlot *oldest = NULL;
	QuerySlot *found = NULL;

	LWLockAcquire(CACHE_QUERY_LOCK, LW_EXCLUSIVE);
	for (int i = 0; i < WINDOW && found == NULL; i++)
	{
		QuerySlot *slot = &queries->slots[(tag + i) % CACHE_QUERIES];
		uint64	   other = pg_atomic_read_u64(&slot->tag);

		if (other == tag)
			found = slot;
		else if (other == 0 && vacant == NULL)
			vacant = slot;
		else if (oldest == NULL ||
				 pg_atomic_read_u32(&slot->used) < pg_atomic_read_u32(&oldest->used))
			oldest = slot;
	}
	if (found == NULL)
	{
		found = vacant != NULL ? vacant : oldest;
		if (vacant == NULL)
			slot_empty(found);
		slot_clear(found);
		found->queryid = queryid;
		found->database = MyDatabaseId;
		pg_atomic_write_u32(&found->used, now_seconds());
		pg_write_barrier();
		pg_atomic_write_u64(&found->tag, tag);
	}
	LWLockRelease(CACHE_QUERY_LOCK);
	return found;
}

/*
 * The slot of a query, NULL for one without an id or if there is no cache.
 */
static QuerySlot *
slot_of(int64 queryid)
{
	KnownSlot *known = &known_slots[(uint64) queryid % KNOWN_SLOTS];
	uint32	   now;

	if (queries == NULL || queryid == 0)
		return NULL;
	if (unlikely(known->slot == NULL || known->queryid != queryid ||
				 pg_atomic_read_u64(&known->slot->tag) != known->tag))
	{
		known->queryid = queryid;
		known->tag = tag_of(queryid);
		known->slot = slot_of_tag(known->tag, queryid);
	}
	now = now_seconds();
	if (pg_atomic_read_u32(&known->slot->used) != now)
		pg_atomic_write_u32(&known->slot->used, now);
	return known->slot;
}

/* See dbperf_cache_count_hit(). */
void
dbperf_cache_query_hit(int64 queryid, int64 ns, uint64 saved_us)
{
	QuerySlot *slot = slot_of(queryid);

	if (slot == NULL)
		return;
	pg_atomic_fetch_add_u64(&slot->hits, 1);
	pg_atomic_fetch_add_u64(&slot->hit_ns, ns);
	pg_atomic_fetch_add_u64(&slot->saved_us, saved_us);
}

/* See dbperf_cache_count_miss(). */
void
dbperf_cache_query_miss(int64 queryid, int64 ns, Size stored_bytes)
{
	QuerySlot *slot = slot_of(queryid);

	if (slot == NULL)
		return;
	pg_atomic_fetch_add_u64(&slot->misses, 1);
	pg_atomic_fetch_add_u64(&slot->miss_ns, ns);
	if (stored_bytes > 0)
		pg_atomic_write_u64(&slot->bytes, stored_bytes);
}

/* See dbperf_cache_count_bypass(). */
void
dbperf_cache_query_bypass(int64 queryid, CacheBypass reason)
{
	QuerySlot *slot = slot_of(queryid);

	if (slot == NULL)
		return;
	pg_atomic_fetch_add_u64(&slot->bypassed, 1);
	if (pg_atomic_read_u32(&slot->last_bypass) != reason)
		pg_atomic_write_u32(&slot->last_bypass, reason);
}

static void
slot_read(QuerySlot *slot, CacheQueryInfo *info)
{
	info->database = slot->database;
	info->queryid = slot->queryid;
	info->hits = pg_atomic_read_u64(&slot->hits);
	info->misses = pg_atomic_read_u64(&slot->misses);
	info->bypassed = pg_atomic_read_u64(&slot->bypassed);
	info->hit_ns = pg_atomic_read_u64(&slot->hit_ns);
	info->miss_ns = pg_atomic_read_u64(&slot->miss_ns);
	info->saved_us = pg_atomic_read_u64(&slot->saved_us);
	info->bytes = pg_atomic_read_u64(&slot->bytes);
	info->last_bypass = (CacheBypass) pg_atomic_read_u32(&slot->last_bypass);
}

/*
 * Fills in what was counted of each query, and of all others if there were
 * more: CACHE_QUERIES + 1 rows at most.  Returns how many.
 */
int
dbperf_cache_list_queries(CacheQueryInfo *infos)
{
	QuerySlot *other;
	int		   num = 0;

	if (queries == NULL)
		return 0;
	LWLockAcquire(CACHE_QUERY_LOCK, LW_SHARED);
	for (int i = 0; i < CACHE_QUERIES; i++)
	{
		if (pg_atomic_read_u64(&queries->slots[i].tag) != 0)
			slot_read(&queries->slots[i], &infos[num++]);
	}
	other = &queries->other;
	if (pg_atomic_read_u64(&other->hits) + pg_atomic_read_u64(&other->misses) +
			pg_atomic_read_u64(&other->bypassed) >
		0)
		slot_read(other, &infos[num++]);
	LWLockRelease(CACHE_QUERY_LOCK);
	return num;
}

/*
 * Forgets all queries.
 */
void
dbperf_cache_forget_queries(void)
{
	if (queries == NULL)
		return;
	LWLockAcquire(CACHE_QUERY_LOCK, LW_EXCLUSIVE);
	for (int i = 0; i < CACHE_QUERIES; i++)
	{
		pg_atomic_write_u64(&queries->slots[i].tag, 0);
		slot_clear(&queries->slots[i]);
	}
	slot_clear(&queries->other);
	LWLockRelease(CACHE_QUERY_LOCK);
}
