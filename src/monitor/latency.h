/*-------------------------------------------------------------------------
 *
 * latency.h
 *		Latency histograms and first samples per query, in shared memory.
 *
 * The protocol stands in latency.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_LATENCY_H
#define DBPERF_LATENCY_H

#include "core/compat.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "port/atomics.h"
#include "port/pg_bitutils.h"
#include "utils/dsa.h"

/*
 * Buckets count units of 128 ns, log-linear: the first 8 are one unit wide,
 * then every octave has 8.  1 us is about 8 units, so that from there to the
 * last bucket (2^35 units, a little more than 2^32 us) the middle of a bucket
 * is within 6.25 % of every value in it.
 */
#define LATENCY_UNIT_SHIFT 7
#define LATENCY_BUCKETS 264

DBPERF_PRIVATE_BEGIN

/* What a histogram is kept for.  No padding: it is hashed as bytes. */
typedef struct LatencyKey
{
	uint64 queryid; /* 0 = statements without a query id */
	Oid	   dbid;
	Oid	   userid;
	uint64 toplevel; /* 1 = sent by a client, 0 = nested */
} LatencyKey;

typedef enum LatencyPeriod
{
	PERIOD_LIFETIME,
	PERIOD_CURRENT, /* the window that is open now */
	PERIOD_PREVIOUS /* the window before it */
} LatencyPeriod;

/* The counters of one period beside its buckets. */
typedef struct LatencyTotals
{
	pg_atomic_uint64 total_ns;
	pg_atomic_uint64 min_ns; /* PG_UINT64_MAX without a value */
	pg_atomic_uint64 max_ns;
	pg_atomic_uint64 errors;
} LatencyTotals;

/*
 * One histogram.  generation is 0 while the slot is free and changes whenever
 * it gets another owner, so that a process which remembers the slot knows
 * whether it still is its own.  The lifetime arrays hold what was folded in
 * from closed windows; the open window is added by readers.
 */
typedef struct LatencySlot
{
	pg_atomic_uint64 generation;
	LatencyKey		 key;
	pg_atomic_uint64 window_end_ns; /* when the open window closes */
	pg_atomic_uint64 last_used_ns;
	pg_atomic_uint32 count_rows; /* so many executions more count rows per node */
	pg_atomic_uint32 may_time;	 /* 1 = timing each node of its plan is cheap */
	pg_atomic_uint32 fold;		 /* odd while a window is being closed */
	pg_atomic_uint32 has_sample; /* 1 = kept, or not to be had: do not try */
	dsa_pointer		 sample;	 /* guarded by the slot's partition lock */
	LatencyTotals	 current;
	LatencyTotals	 previous;
	LatencyTotals	 lifetime;
	pg_atomic_uint32 current_buckets[LATENCY_BUCKETS];
	pg_atomic_uint32 previous_buckets[LATENCY_BUCKETS];
	pg_atomic_uint64 lifetime_buckets[LATENCY_BUCKETS];
} LatencySlot;

/* A histogram copied out for a reader. */
typedef struct LatencySummary
{
	LatencyKey key;
	bool	   other; /* the sum of evicted queries: key is void */
	uint64	   calls;
	uint64	   errors;
	uint64	   total_ns;
	uint64	   min_ns; /* void if calls is 0 */
	uint64	   max_ns;
	uint64	   buckets[LATENCY_BUCKETS];
} LatencySummary;

/* The first execution of a query, as sample.c keeps it. */
#define SAMPLE_MAX_SEARCH_PATH 16

typedef struct SampleHead
{
	TimestampTz taken_at;
	int32		encoding;
	int32		query_full_len;
	int32		query_len;
	int32		params_len; /* as in SlowRecord */
	int32		nparams;	/* -1 = none recorded */
	int32		npath;
	Oid			path[SAMPLE_MAX_SEARCH_PATH]; /* search_path, without pg_temp */
} SampleHead;

/* latency.c */
extern void				 dbperf_latency_init(void);
extern pg_atomic_uint32 *dbperf_latency_counting(void); /* ASK_FLAGS of them */
extern LatencySlot		*dbperf_latency_lookup(uint64 queryid, bool toplevel);
extern void				 dbperf_latency_fold(LatencySlot *slot, uint64 now);
extern void				 dbperf_extreme_lower(pg_atomic_uint64 *extreme, uint64 value);
extern void				 dbperf_extreme_raise(pg_atomic_uint64 *extreme, uint64 value);
extern int				 dbperf_latency_reset(uint64 queryid, bool all_queries, Oid dbid);

/*
 * What a process remembers of the slots that it used.
 */
typedef struct CachedSlot
{
	uint64		 queryid;
	Oid			 userid;
	bool		 toplevel;
	uint64		 generation;
	LatencySlot *slot;
} CachedSlot;

#define LATENCY_CACHE_SIZE 64 /* a power of two */

extern CachedSlot dbperf_latency_cache[LATENCY_CACHE_SIZE];

static inline CachedSlot *
dbperf_latency_cached(uint64 queryid)
{
	return &dbperf_latency_cache[queryid & (LATENCY_CACHE_SIZE - 1)];
}

/*
 * Returns the slot of a query of the current user, userid, in the current
 * database.  Never fails: without room it is the slot of "other".  Takes
 * LWLocks only if this process has not met the query lately.
 */
static inline LatencySlot *
dbperf_latency_slot(uint64 queryid, Oid userid, bool toplevel)
{
	CachedSlot *cached = dbperf_latency_cached(queryid);

	if (likely(cached->queryid == queryid && cached->userid == userid &&
			   cached->toplevel == toplevel && cached->slot != NULL &&
			   cached->generation == pg_atomic_read_u64(&cached->slot->generation)))
		return cached->slot;
	return dbperf_latency_lookup(queryid, toplevel);
}

/*
 * The bucket of a latency in nanoseconds.
 */
static inline int
dbperf_latency_bucket(uint64 ns)
{
	uint64 v = ns >> LATENCY_UNIT_SHIFT;
	int	   octave;

	if (v < 8)
		return (int) v;
	octave = pg_leftmost_one_pos64(v);
	return Min((octave - 2) * 8 + (int) ((v >> (octave - 3)) & 7), LATENCY_BUCKETS - 1);
}

/*
 * Counts one execution of ns nanoseconds that ended at now (dbperf_now_ns).
 */
static inline void
dbperf_latency_add(LatencySlot *slot, int64 ns, int64 now, bool failed)
{
	uint64 value = ns > 0 ? (uint64) ns : 0;

	if (unlikely((uint64) now >= pg_atomic_read_u64(&slot->window_end_ns)))
		dbperf_latency_fold(slot, (uint64) now);

	pg_atomic_fetch_add_u32(&slot->current_buckets[dbperf_latency_bucket(value)], 1);
	pg_atomic_fetch_add_u64(&slot->current.total_ns, value);
	if (unlikely(value < pg_atomic_read_u64(&slot->current.min_ns)))
		dbperf_extreme_lower(&slot->current.min_ns, value);
	if (unlikely(value > pg_atomic_read_u64(&slot->current.max_ns)))
		dbperf_extreme_raise(&slot->current.max_ns, value);
	if (failed)
		pg_atomic_fetch_add_u64(&slot->current.errors, 1);
	pg_atomic_write_u64(&slot->last_used_ns, (uint64) now);
}

/* latency_read.c */
extern int	  dbperf_latency_count(void);
extern bool	  dbperf_latency_read(int n, LatencyPeriod period, LatencySummary *out);
extern void	  dbperf_latency_merge(LatencySummary *into, const LatencySummary *from);
extern double dbperf_latency_middle(int bucket);
extern double dbperf_latency_percentile(const LatencySummary *summary, double fraction);
extern uint64 dbperf_latency_evicted(void);
extern uint64 dbperf_samples_refused(void);
extern int	  dbperf_latency_used(void);

/* sample.c */
extern void		   dbperf_sample_attach(void);
extern bool		   dbperf_sample_attached(void);
extern bool		   dbperf_sample_store(LatencySlot *slot, const SampleHead *head, const char *query,
									   const char *params);
extern SampleHead *dbperf_sample_read(int n, LatencyKey *key);

DBPERF_PRIVATE_END

#endif /* DBPERF_LATENCY_H */
