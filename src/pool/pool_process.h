/*-------------------------------------------------------------------------
 *
 * pool_process.h
 *		What pool_process.c and pool_end.c know of each PgBouncer.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_POOL_PROCESS_H
#define DBPERF_POOL_PROCESS_H

#include "pool/pool_run.h"

DBPERF_PRIVATE_BEGIN

/* A process, as the worker sees it. */
typedef struct PoolLife
{
	PoolChild	child;
	PoolState	state; /* the same as in shared memory */
	int			version;
	TimestampTz started;
	TimestampTz deadline; /* of the start or of a stage of the stop, 0 = none */
	TimestampTz verified; /* when it was last seen to listen */
	TimestampTz next_start;
	PoolStop	stop;
	bool		again;		   /* start it after this end */
	bool		reload;		   /* it is to do that as soon as it listens */
	bool		restarts;	   /* the next start follows an end that nobody asked for */
	int			failures;	   /* ends that nobody asked for, in a row */
	int			early_ends;	   /* those before it listened, in a row */
	char		problem[1024]; /* what is wrong, "" = nothing */
} PoolLife;

/* pool_process.c */
extern PoolLife dbperf_pool_lives[POOL_MAX_PROCESSES];

extern void dbperf_pool_set_state(int process, PoolState state);

/* pool_end.c */
extern void dbperf_pool_process_schedule(int process, bool early);
extern void dbperf_pool_reap(int process);

DBPERF_PRIVATE_END

#endif /* DBPERF_POOL_PROCESS_H */
