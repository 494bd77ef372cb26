/*-------------------------------------------------------------------------
 *
 * latency_int.h
 *		The shared state behind latency.h, for the files that keep it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_LATENCY_INT_H
#define DBPERF_LATENCY_INT_H

#include "core/exec_hooks.h"
#include "monitor/latency.h"
#include "storage/lwlock.h"
#include "utils/hsearch.h"

#define LATENCY_PARTITIONS 16

/* values of LatencySlot.generation that are no generation */
#define GENERATION_FREE UINT64CONST(0)
#define GENERATION_BUSY PG_UINT64_MAX /* changing hands: neither free nor in use */

typedef struct LatencyShared
{
	pg_atomic_uint64 next_generation;
	pg_atomic_uint64 evicted;			  /* queries whose histogram was given away */
	pg_atomic_uint64 samples_refused;	  /* first executions without room */
	pg_atomic_uint64 plans_refused;		  /* texts of plans without room */
	pg_atomic_uint64 plans_merged;		  /* executions with one of too many plans */
	uint64			 started_ns;		  /* when the server was started */
	pg_atomic_uint32 resets;			  /* goes up when one begins and when it ends */
	uint32			 total_resets;		  /* these two: see latency_total.c; under */
	LatencySummary	 total;				  /* LATENCY_TOTAL_LOCK */
	pg_atomic_uint32 handed_out;		  /* slots used so far, up to max_queries */
	pg_atomic_uint32 counting[ASK_FLAGS]; /* slots whose count_rows is not 0, by query id */
	pg_atomic_uint32 hand;				  /* where the search for a victim goes on */
	LatencySlot		 slots[FLEXIBLE_ARRAY_MEMBER]; /* max_queries, then "other" */
} LatencyShared;

/*
 * An entry of the shared hash table from a query to its slots: one for each of
 * its plans, and one with plan_id 0 if there are executions for it.
 */
typedef struct LatencyEntry
{
	LatencyKey key; /* MUST BE FIRST */
	uint32	   nslots;
	uint32	   slots[LATENCY_MAX_PLANS + 1];
} LatencyEntry;

extern LatencyShared *dbperf_latency_shared;
extern HTAB			 *dbperf_latency_hash;
extern LWLockPadded	 *dbperf_latency_locks;

/* Which lock guards a key, by the hash of it. */
#define LATENCY_LOCK(hash) (&dbperf_latency_locks[(hash) % LATENCY_PARTITIONS].lock)

/* The tranche's last lock; taken without any other. */
#define LATENCY_TOTAL_LOCK (&dbperf_latency_locks[LATENCY_PARTITIONS].lock)

/* latency.c */
extern void			dbperf_latency_key(LatencyKey *key, uint64 queryid, Oid userid, bool toplevel);
extern LatencySlot *dbperf_latency_lookup(const LatencyKey *key, uint64 plan_id);
extern LatencySlot *dbperf_latency_other(void);
extern int			dbperf_latency_slots(const LatencyKey *key, uint32 *slots);
extern LatencySlot *dbperf_latency_entry_slot(const LatencyEntry *entry, uint64 plan_id);
extern void			dbperf_latency_slot_clear(LatencySlot *slot);
extern void			dbperf_latency_slot_reuse(LatencySlot *slot);

/* latency_evict.c */
extern LatencySlot *dbperf_latency_take(void);
extern bool dbperf_latency_evict(LatencySlot *slot, uint64 generation, bool harvest, bool *last);

/* latency_fold.c */
extern void		   dbperf_latency_turn(LatencySlot *slot, uint64 now);
extern int64	   dbperf_latency_seen_ns(LatencySlot *slot, uint64 now, TimestampTz now_ts);
extern TimestampTz dbperf_latency_open_began(LatencySlot *slot, uint64 now, TimestampTz now_ts);
extern bool		   dbperf_latency_open_counts(LatencySlot *slot);

/* latency_read.c */

/* so often what was copied is thrown away because it does not belong together */
#define LATENCY_READ_TRIES 10

/* What must not change while a slot is copied. */
typedef struct LatencyRead
{
	uint64 generation;
	uint32 fold;
} LatencyRead;

extern bool dbperf_latency_read_begin(LatencySlot *slot, LatencyRead *read);
extern bool dbperf_latency_read_end(LatencySlot *slot, const LatencyRead *read);
extern void dbperf_latency_since(LatencySlot *slot, LatencySummary *before, LatencySummary *since);
extern bool dbperf_latency_read_slot(int n, LatencyPeriod period, LatencySummary *out);
extern uint64 dbperf_latency_calls(LatencySlot *slot);
extern void	  dbperf_latency_clear(LatencySummary *summary);
extern void	  dbperf_latency_count_calls(LatencySummary *summary);
extern void	  dbperf_latency_add_open(LatencySummary *out, LatencySlot *slot);
extern void dbperf_latency_add_period(LatencySummary *out, LatencySlot *slot, LatencyPeriod period);
extern double dbperf_latency_bucket_middle(int bucket);

/* latency_dump.c */
extern void dbperf_latency_load(void);

/* sample.c */
extern void		   dbperf_sample_init(void);
extern void		   dbperf_sample_free(dsa_pointer sample);
extern dsa_pointer dbperf_text_load(const void *text, Size size);
extern const void *dbperf_text_dump(dsa_pointer text, bool plan, Size *size);

#endif /* DBPERF_LATENCY_INT_H */
