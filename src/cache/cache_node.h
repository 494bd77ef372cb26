/*-------------------------------------------------------------------------
 *
 * cache_node.h
 *		The executor's node of the result cache.
 *
 *	cache_decide.c	decides what an execution does: replay an entry, or run the
 *					plan below and perhaps keep its rows
 *	cache_scan.c	does it
 *	cache_rows.c	replays rows, collects rows
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_CACHE_NODE_H
#define DBPERF_CACHE_NODE_H

#include "cache/cache_int.h"
#include "nodes/execnodes.h"

DBPERF_PRIVATE_BEGIN

/* What an execution does. */
typedef enum CacheState
{
	CACHE_STATE_BYPASS,	  /* runs the plan, for the reason that is given */
	CACHE_STATE_WATCHING, /* runs the plan, to learn what it takes */
	CACHE_STATE_MISS,	  /* runs the plan, and stores its rows if they are collected */
	CACHE_STATE_HIT		  /* replays */
} CacheState;

/*
 * Rows that are replayed.  Their offsets are known only once somebody has gone
 * backward.
 */
typedef struct CacheReplay
{
	TupleTableSlot *slot;
	int64			position; /* of the current row, from 1 on; 0 = before the first */
	const char	   *next;	  /* the row after that */
	Size		   *offsets;
} CacheReplay;

/*
 * Rows that are collected, in memory of the query.
 */
typedef struct CacheRows
{
	char *data; /* as in CachePin */
	Size  used;
	Size  allocated;
	Size  limit; /* not more than this */
	int64 num;
} CacheRows;

typedef struct CacheScanState
{
	CustomScanState css; /* must come first */

	CacheState	state;
	CacheBypass reason;
	CacheShape *shape;
	CacheKey	key;   /* in memory of the query */
	CacheMoment now;   /* what es_snapshot sees */
	uint32	   *slots; /* of what it depends on */
	int			num_slots;
	CachePin	pin;		/* of what is replayed */
	CacheBuild	build;		/* others wait for this execution */
	TimestampTz stored;		/* when the entry that was found was stored, 0 = none was */
	int64		found_rows; /* its rows */
	int			eflags;		/* as the plan below has to be initialised */
	bool		building;	/* build is to be given up */
	bool		loose;		/* other commands can run before the first row, or between rows */
	bool		at_once;	/* the plan makes all rows when it is asked for the first */
	bool		collecting; /* rows are wanted */
	bool		finished;	/* it has ended, and that was counted */

	CacheReplay replay;
	CacheRows	rows;

	int64 fetches; /* calls for a row */
	int64 ns;	   /* what those of the plan took, partly by samples; of a hit: finding it */

	MemoryContextCallback release; /* gives pin and build back */
} CacheScanState;

/* cache_decide.c */
extern CacheState dbperf_cache_decide(CacheScanState *node);
extern void		  dbperf_cache_build_done(CacheScanState *node);
extern void		  dbperf_cache_release(void *node);

/* cache_rows.c */
extern void			   dbperf_cache_replay_begin(CacheScanState *node);
extern TupleTableSlot *dbperf_cache_replay(CacheScanState *node, ScanDirection direction);
extern bool			   dbperf_cache_collect(CacheScanState *node, TupleTableSlot *slot);
extern void			   dbperf_cache_collect_stop(CacheScanState *node);

DBPERF_PRIVATE_END

#endif /* DBPERF_CACHE_NODE_H */
