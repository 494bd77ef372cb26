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
#include "monitor/monitor.h"
#include "nodes/pg_list.h"
#include "nodes/plannodes.h"
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

DBPERF_PRIVATE_BEGIN

typedef enum LatencyPeriod
{
	PERIOD_LIFETIME,
	PERIOD_CURRENT, /* the window that is open now */
	PERIOD_PREVIOUS /* the window before it */
} LatencyPeriod;

/*
 * When a plan came into use, and whether it is slower than it was.
 *
 * A turn of a plan begins when it is used first, or again after others had
 * taken its place for a while.
 */
typedef struct LatencyHistory
{
	TimestampTz turn_began;
	uint64		turn_others;  /* what other plans of the query had counted then */
	bool		turn_again;	  /* not its first: "since" holds it, and grows */
	TimestampTz since_began;  /* 0 = "since" is empty */
	TimestampTz slower_since; /* 0 = it is not, or not known to be */
} LatencyHistory;

/* The counters of one period beside its buckets. */
typedef struct LatencyTotals
{
	pg_atomic_uint64 total_ns;
	pg_atomic_uint64 min_ns; /* PG_UINT64_MAX without a value */
	pg_atomic_uint64 max_ns;
	pg_atomic_uint64 errors;
} LatencyTotals;

/*
 * The histogram of a query's executions with one plan.  generation is 0 while
 * the slot is free and changes whenever it gets another owner, so that a
 * process which remembers the slot knows whether it still is its own.
 *
 * What was counted in closed windows is in the lifetime's buckets or in those of
 * "since": see latency_fold.c.  The open window is added by readers.
 */
typedef struct LatencySlot
{
	pg_atomic_uint64 generation;
	LatencyKey		 key;
	uint64			 plan_id;		/* 0 = see LATENCY_MAX_PLANS */
	pg_atomic_uint64 window_end_ns; /* when the open window closes */
	pg_atomic_uint64 last_used_ns;	/* 0 = not since it was loaded from a dump */
	pg_atomic_uint64 spared_ns;		/* for who looks for a victim: no older than this */
	pg_atomic_uint32 count_rows;	/* so many executions more count rows per node */
	pg_atomic_uint32 may_time;		/* 1 = timing each node of its plan is cheap */
	pg_atomic_uint32 fold;			/* odd while a window is being closed */
	pg_atomic_uint32 has_texts;		/* 1 = kept, or not to be had: do not try */
	pg_atomic_uint32 own;			/* 1 = dbperf's own functions are what it executes */
	dsa_pointer		 sample;		/* these two are guarded by the partition's lock; */
	dsa_pointer		 plan;			/* one slot of a query has the sample for all */
	TimestampTz		 first_seen;
	TimestampTz		 dumped_seen; /* when it was last used, as a dump says */
	LatencyHistory	 history;	  /* written while fold is odd */
	LatencyTotals	 current;
	LatencyTotals	 previous;
	LatencyTotals	 lifetime;		 /* of all closed windows */
	pg_atomic_uint64 since_total_ns; /* so much of that was counted in "since" */
	pg_atomic_uint32 current_buckets[LATENCY_BUCKETS];
	pg_atomic_uint32 previous_buckets[LATENCY_BUCKETS];
	pg_atomic_uint32 since_buckets[LATENCY_BUCKETS];
	pg_atomic_uint64 lifetime_buckets[LATENCY_BUCKETS];
} LatencySlot;

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
	int32		redacted;					  /* 1 = literals were taken out of the text */
	Oid			path[SAMPLE_MAX_SEARCH_PATH]; /* search_path, without pg_temp */
} SampleHead;

/* latency.c */
extern void				 dbperf_latency_init(void);
extern pg_atomic_uint32 *dbperf_latency_counting(void); /* ASK_FLAGS of them */
extern int				 dbperf_latency_reset(uint64 queryid, bool all_queries, Oid dbid);

/* latency_fold.c */
extern void dbperf_latency_fold(LatencySlot *slot, uint64 now);
extern void dbperf_extreme_lower(pg_atomic_uint64 *extreme, uint64 value);
extern void dbperf_extreme_raise(pg_atomic_uint64 *extreme, uint64 value);

/* latency_cache.c */

/*
 * What a process remembers of the slots that it used.  The plan is only
 * compared, never looked at: it may be gone.  The size is a power of two, so that
 * a place is found without a multiplication.
 */
typedef struct pg_attribute_aligned(64) CachedSlot
{
	uint64		 queryid;
	Oid			 userid;
	bool		 toplevel;
	uint64		 generation;
	LatencySlot *slot;
	uint64		 plan_id;
	const Plan	*plan; /* the last with this plan_id, or NULL */
	Cost		 cost; /* its total_cost */
}
CachedSlot;

#define LATENCY_CACHE_SIZE 64 /* a power of two */

/* by query id: the slot of its last execution */
extern CachedSlot dbperf_latency_cache[LATENCY_CACHE_SIZE];

extern void dbperf_latency_forget(void);
extern LatencySlot *
dbperf_latency_slot(uint64 queryid, Oid userid, bool toplevel, PlannedStmt *planned);

/*
 * Returns the slot of an execution by the current user, userid, in the current
 * database.  Never fails: without room it is the slot of "other".  Takes
 * LWLocks only if this process has not met the query with this plan lately.
 *
 * fresh says that a plan was made just now: only one from a cache is sure to be
 * what it was when it had the same address.
 */
static inline LatencySlot *
dbperf_latency_slot_of_plan(uint64 queryid, Oid userid, bool toplevel, PlannedStmt *planned,
							bool fresh)
{
	CachedSlot *cached = &dbperf_latency_cache[queryid & (LATENCY_CACHE_SIZE - 1)];
	const Plan *plan = planned->planTree;

	if (likely(!fresh && cached->plan == plan && cached->queryid == queryid &&
			   cached->userid == userid && cached->toplevel == toplevel &&
			   cached->generation == pg_atomic_read_u64(&cached->slot->generation) &&
			   cached->cost == plan->total_cost))
		return cached->slot;
	return dbperf_latency_slot(queryid, userid, toplevel, planned);
}

/*
 * The bucket of a latency in nanoseconds.
 */
static inline int
dbperf_latency_bucket(uint64 ns)
{
	uint64 v = ns >> LATENCY_UNIT_SHIFT;
	int	   shift;

	if (v < 8)
		return (int) v;

	/* the highest four bits, which are 8 to 15 */
	shift = pg_leftmost_one_pos64(v) - 3;
	return Min(shift * 8 + (int) (v >> shift), LATENCY_BUCKETS - 1);
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
extern uint64 dbperf_latency_evicted(void);
extern uint64 dbperf_samples_refused(void);
extern uint64 dbperf_plans_refused(void);
extern uint64 dbperf_plans_merged(void);
extern int	  dbperf_latency_used(void);

/* sample.c */

/* The text of a plan, as sample.c keeps it: cut after so many bytes. */
#define PLAN_TEXT_MAX 4096

typedef struct PlanTextHead
{
	int32 encoding;
	int32 len;
} PlanTextHead;

extern void dbperf_sample_attach(void);
extern bool dbperf_sample_attached(void);
extern bool dbperf_sample_wanted(const LatencyKey *key);
extern bool dbperf_sample_store(LatencySlot *slot, const LatencyKey *key, const SampleHead *head,
								const char *query, const char *params);
extern void dbperf_plan_store(LatencySlot *slot, const LatencyKey *key, uint64 plan_id,
							  const char *text, int len, int encoding);
extern SampleHead	*dbperf_sample_read(int n, LatencyKey *key);
extern SampleHead	*dbperf_sample_of_query(const LatencyKey *key);
extern PlanTextHead *dbperf_plan_read(LatencySlot *slot, uint64 generation);

DBPERF_PRIVATE_END

#endif /* DBPERF_LATENCY_H */
