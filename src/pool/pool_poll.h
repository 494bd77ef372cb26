/*-------------------------------------------------------------------------
 *
 * pool_poll.h
 *		What the pool's worker has heard from each of the processes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_POOL_POLL_H
#define DBPERF_POOL_POLL_H

#include "pool/pool_console.h"
#include "pool/pool_stats.h"
#include "utils/hsearch.h"

DBPERF_PRIVATE_BEGIN

/* What is asked in each round, one after the other. */
typedef enum PollStep
{
	POLL_SUMS,
	POLL_GAUGES,
	POLL_DATABASES,
	POLL_STEPS
} PollStep;

/* A database as one process sees it. */
typedef struct PollDatabase
{
	char  name[NAMEDATALEN]; /* key of the hash table */
	int64 sums[POOL_SUMS];	 /* as last seen */
	bool  paused;
	int64 pool_size;
	int64 round; /* in which it was named last */
} PollDatabase;

/* A pool of one process. */
typedef struct PollPair
{
	PoolKey key;
	int64	gauges[POOL_GAUGES];
} PollPair;

/* A process that is asked; all that it said goes with its end. */
typedef struct PollProcess
{
	PoolConsole	  console;
	pid_t		  pid;		/* 0 = there is none */
	PollStep	  step;		/* what it is asked */
	bool		  done;		/* with this round */
	bool		  late;		/* did not answer in time */
	int64		  round;	/* that is asked, or was asked last */
	TimestampTz	  answered; /* the end of its last complete round */
	MemoryContext context;
	HTAB		 *databases;
	PollPair	 *pairs;
	int			  num_pairs;
} PollProcess;

/* pool_poll.c */
extern PollProcess dbperf_pool_polled[POOL_MAX_PROCESSES];

/* pool_collect.c */
extern void dbperf_pool_collect(void);

DBPERF_PRIVATE_END

#endif /* DBPERF_POOL_POLL_H */
