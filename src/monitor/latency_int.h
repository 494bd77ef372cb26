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
	pg_atomic_uint32 handed_out;		  /* slots used so far, up to max_queries */
	pg_atomic_uint32 counting[ASK_FLAGS]; /* slots whose count_rows is not 0, by query id */
	pg_atomic_uint32 hand;				  /* where the search for a victim goes on */
	LatencySlot		 slots[FLEXIBLE_ARRAY_MEMBER]; /* max_queries, then "other" */
} LatencyShared;

/* An entry of the shared hash table from key to slot. */
typedef struct LatencyEntry
{
	LatencyKey key; /* MUST BE FIRST */
	uint32	   slot;
} LatencyEntry;

extern LatencyShared *dbperf_latency_shared;
extern HTAB			 *dbperf_latency_hash;
extern LWLockPadded	 *dbperf_latency_locks;

/* Which lock guards a key, by the hash of it. */
#define LATENCY_LOCK(hash) (&dbperf_latency_locks[(hash) % LATENCY_PARTITIONS].lock)

/* latency.c */
extern void dbperf_latency_key(LatencyKey *key, uint64 queryid, bool toplevel);

/* sample.c */
extern void dbperf_sample_init(void);
extern void dbperf_sample_free(dsa_pointer sample);

#endif /* DBPERF_LATENCY_INT_H */
