/*-------------------------------------------------------------------------
 *
 * counters.h
 *		What became of the statements that should have been recorded.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_COUNTERS_H
#define DBPERF_COUNTERS_H

#include "port/atomics.h"

/*
 * Shared counters; those of the ring itself are in RingCounts.  Every
 * statement over the threshold is in exactly one of: RingCounts.written,
 * .busy, .too_large, skipped_flood, dropped_error.
 */
typedef struct MonitorCounters
{
	pg_atomic_uint64 skipped_flood;		/* over dbperf.slow_query_max_rate */
	pg_atomic_uint64 dropped_memory;	/* not even the fixed part had memory */
	pg_atomic_uint64 degraded_memory;	/* written without plan or parameters: out of memory */
	pg_atomic_uint64 degraded_error;	/* the same, after another error */
	pg_atomic_uint64 degraded_parallel; /* the same, no subtransaction possible */
	pg_atomic_uint64 statements;		/* over the threshold, whatever came of them */
} MonitorCounters;

extern MonitorCounters *dbperf_counters;

extern TimestampTz dbperf_slow_ring_start(void);

#endif /* DBPERF_COUNTERS_H */
