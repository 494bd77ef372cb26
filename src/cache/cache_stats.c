/*-------------------------------------------------------------------------
 *
 * cache_stats.c
 *		What the result cache counts: the view cache_stats.
 *
 * A hit counts in a few instructions: each process adds to one of STRIPES sets
 * of counters, which are on cache lines of their own, without a lock.  Whoever
 * reads adds them up.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "cache/cache_store.h"
#include "core/core.h"
#include "utils/timestamp.h"

#define STRIPES 16

typedef union CounterStripe
{
	pg_atomic_uint64 counters[CACHE_NUM_COUNTERS];
	char			 padding[CACHELINEALIGN(CACHE_NUM_COUNTERS * sizeof(pg_atomic_uint64))];
} CounterStripe;

typedef struct CacheStats
{
	CounterStripe	 stripes[STRIPES];
	pg_atomic_uint64 reset; /* TimestampTz from which on it counts */
} CacheStats;

static CacheStats *cache_stats = NULL;

/* Bytes that the counters take. */
Size
dbperf_cache_stats_size(void)
{
	return CACHELINEALIGN(sizeof(CacheStats)) + CACHELINEALIGN(dbperf_cache_queries_size());
}

static void
stats_attach(void *area, bool found)
{
	cache_stats = area;
	if (!found)
	{
		for (int i = 0; i < STRIPES; i++)
		{
			for (int n = 0; n < CACHE_NUM_COUNTERS; n++)
				pg_atomic_init_u64(&cache_stats->stripes[i].counters[n], 0);
		}
		pg_atomic_init_u64(&cache_stats->reset, (uint64) GetCurrentTimestamp());
	}
	dbperf_cache_queries_attach((char *) area + CACHELINEALIGN(sizeof(CacheStats)), found);
}

/*
 * Registers the counters' shared memory.
 */
void
dbperf_cache_stats_init(void)
{
	static const DbperfShmemArea area = {
		.name = "dbperf cache counters",
		.size = dbperf_cache_stats_size,
		.attach = stats_attach,
	};

	if (dbperf_cache_size > 0)
		dbperf_shmem_register(&area);
}

/*
 * Adds to a counter.
 */
void
dbperf_cache_count(CacheCounter counter, uint64 n)
{
	if (likely(cache_stats != NULL))
		pg_atomic_fetch_add_u64(
			&cache_stats->stripes[DBPERF_MY_PROC_NUMBER % STRIPES].counters[counter], n);
}

/*
 * An execution was answered from the cache in ns, which saved so much.
 */
void
dbperf_cache_count_hit(int64 queryid, int64 ns, double saved_ms)
{
	uint64 saved_us = saved_ms > 0 ? (uint64) (saved_ms * 1000) : 0;

	dbperf_cache_count(CACHE_HITS, 1);
	dbperf_cache_count(CACHE_SAVED_US, saved_us);
	dbperf_cache_query_hit(queryid, ns, saved_us);
}

/*
 * It could have been, but was executed in ns; stored_bytes is 0 unless its
 * result was stored.
 */
void
dbperf_cache_count_miss(int64 queryid, int64 ns, Size stored_bytes)
{
	dbperf_cache_count(CACHE_MISSES, 1);
	dbperf_cache_query_miss(queryid, ns, stored_bytes);
}

/* It could not be. */
void
dbperf_cache_count_bypass(int64 queryid, CacheBypass reason)
{
	dbperf_cache_count(CACHE_BYPASSES + reason, 1);
	dbperf_cache_query_bypass(queryid, reason);
}

/* An entry was found to be older than a write to its relations. */
void
dbperf_cache_count_invalidation(void)
{
	dbperf_cache_count(CACHE_INVALIDATIONS, 1);
}

/* There was no room for a result. */
void
dbperf_cache_count_refused(void)
{
	dbperf_cache_count(CACHE_REFUSED, 1);
}

/* An entry was removed to make room. */
void
dbperf_cache_count_eviction(void)
{
	dbperf_cache_count(CACHE_EVICTIONS, 1);
}

/*
 * Adds up the CACHE_NUM_COUNTERS counters.  Returns since when they count, 0 if
 * there is no cache.
 */
TimestampTz
dbperf_cache_counters(uint64 *sums)
{
	memset(sums, 0, CACHE_NUM_COUNTERS * sizeof(uint64));
	if (cache_stats == NULL)
		return 0;
	for (int i = 0; i < STRIPES; i++)
	{
		for (int n = 0; n < CACHE_NUM_COUNTERS; n++)
			sums[n] += pg_atomic_read_u64(&cache_stats->stripes[i].counters[n]);
	}
	return (TimestampTz) pg_atomic_read_u64(&cache_stats->reset);
}

/*
 * Sets all counters to zero, those of queries included.
 */
void
dbperf_cache_reset_counters(void)
{
	if (cache_stats == NULL)
		return;
	for (int i = 0; i < STRIPES; i++)
	{
		for (int n = 0; n < CACHE_NUM_COUNTERS; n++)
			pg_atomic_write_u64(&cache_stats->stripes[i].counters[n], 0);
	}
	dbperf_cache_forget_queries();
	pg_atomic_write_u64(&cache_stats->reset, (uint64) GetCurrentTimestamp());
}
