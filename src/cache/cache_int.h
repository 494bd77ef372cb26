/*-------------------------------------------------------------------------
 *
 * cache_int.h
 *		What the files of the result cache share.
 *
 * The way of a statement through the cache:
 *
 *	cache_plan.c	before planning: is it wanted (cache_hint.c, cache_lists.c,
 *					cache_admission.c), may it be cached (cache_eligible.c), what
 *					is its shape (cache_shape.c); after planning: cache_wrap.c puts
 *					the plan under a CustomScan that carries the shape
 *	cache_scan.c	execution: the key (cache_key.c), the moment and the slots of
 *					its relations (cache_validity.c), the store (cache_store.c)
 *	cache_writers.c	what transactions that write do to the slots
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_CACHE_INT_H
#define DBPERF_CACHE_INT_H

#include "cache/cache.h"
#include "nodes/params.h"
#include "nodes/plannodes.h"
#include "utils/snapshot.h"

DBPERF_PRIVATE_BEGIN

/* ---- cache.c: settings ---- */

typedef enum CacheMode
{
	CACHE_MODE_OFF,
	CACHE_MODE_HINT, /* hinted statements, and listed ones */
	CACHE_MODE_AUTO	 /* and what is seen to pay */
} CacheMode;

typedef enum CacheAdmission
{
	CACHE_ADMIT_ALWAYS,	 /* stored when first executed */
	CACHE_ADMIT_REPEATED /* stored when the same key is seen for the second time */
} CacheAdmission;

extern int	  dbperf_cache_mode;
extern int	  dbperf_cache_size;		   /* kB, 0 = there is no cache; needs a restart */
extern double dbperf_cache_min_duration;   /* ms that an execution takes at least */
extern int	  dbperf_cache_max_entry_size; /* kB */
extern int	  dbperf_cache_wait;		   /* ms to wait for another builder, 0 = none */
extern int	  dbperf_cache_admission;
extern int	  dbperf_cache_relations; /* slots; needs a restart */
extern bool	  dbperf_cache_explain_node;
extern bool	  dbperf_cache_explain_analyze; /* EXPLAIN ANALYZE may be served */

/* the mode is not off; kept up to date for the planner's hook */
extern bool dbperf_cache_wanted;

/* Whether there is a cache, and it may be used in this process at all. */
extern bool dbperf_cache_usable(void);

/* ---- reasons why an execution went by the cache ---- */

/*
 * Found when the statement is planned (up to CACHE_BYPASS_LAST_PLAN) or when it
 * is executed.  The texts stand in cache_reasons.c in the same order, and are
 * what users see in cache_stats, cache_queries, cache_explain() and EXPLAIN.
 */
typedef enum CacheBypass
{
	CACHE_BYPASS_NONE,
	/* the statement cannot be cached */
	CACHE_BYPASS_NO_SELECT,		/* not a SELECT, or one with modifying CTEs */
	CACHE_BYPASS_NO_TABLE,		/* reads no table */
	CACHE_BYPASS_LOCKS_ROWS,	/* FOR UPDATE/SHARE */
	CACHE_BYPASS_VOLATILE,		/* a volatile function */
	CACHE_BYPASS_STABLE,		/* a stable function that is not known to be safe */
	CACHE_BYPASS_USER_FUNCTION, /* a function in SQL or a procedural language, not listed */
	CACHE_BYPASS_TIME,			/* depends on the time, as now() */
	CACHE_BYPASS_TEMPORARY,		/* a temporary table */
	CACHE_BYPASS_FOREIGN,		/* a foreign table */
	CACHE_BYPASS_SYSTEM,		/* a system catalog */
	CACHE_BYPASS_NOT_HEAP,		/* another table access method, or a sequence */
	CACHE_BYPASS_SYSTEM_COLUMN, /* ctid, xmin and the like */
	CACHE_BYPASS_TABLESAMPLE,
	CACHE_BYPASS_TYPE,			 /* record, or another type whose meaning may change */
	CACHE_BYPASS_DOMAIN,		 /* a cast to a domain, whose checks may change */
	CACHE_BYPASS_INDEX,			 /* an index access method that may return approximate results */
	CACHE_BYPASS_VIRTUAL_COLUMN, /* a virtual generated column */
	CACHE_BYPASS_TRANSIENT,		 /* a transition table, or another thing of one moment */
	CACHE_BYPASS_TOO_LARGE,		 /* its tree, or too many tables or parameters */
	CACHE_BYPASS_REFUSED,		 /* a table or the query is listed as never to be cached */
	CACHE_BYPASS_LAST_PLAN = CACHE_BYPASS_REFUSED,
	/* this execution cannot use the cache */
	CACHE_BYPASS_OFF,	  /* cache_mode, dbperf.enabled */
	CACHE_BYPASS_MOVED,	  /* something committed since its snapshot was taken */
	CACHE_BYPASS_WRITING, /* its transaction has written */
	CACHE_BYPASS_SERIALIZABLE,
	CACHE_BYPASS_PARALLEL,	 /* inside a parallel operation */
	CACHE_BYPASS_RECOVERY,	 /* a standby */
	CACHE_BYPASS_COMMITTING, /* a transaction that wrote to a table is committing */
	CACHE_BYPASS_PREPARED,	 /* a prepared transaction wrote to a table */
	CACHE_BYPASS_RIGHTS,	 /* EXECUTE on a function is missing: the native error follows */
	CACHE_BYPASS_GIN_LIMIT,	 /* gin_fuzzy_search_limit */
	CACHE_BYPASS_PARAMETER,	 /* a parameter's value is not known, or too large */
	CACHE_BYPASS_EXPLAIN,	 /* EXPLAIN ANALYZE, which is to execute */
	CACHE_BYPASS_MEMORY,	 /* out of memory for a key */
	CACHE_BYPASS_CURSOR,	 /* a cursor whose rows depend on when they are fetched */
	CACHE_NUM_BYPASS
} CacheBypass;

/* cache_reasons.c */
extern const char *dbperf_cache_reason(CacheBypass reason);

/* ---- cache_shape.c: what is known when the statement is planned ---- */

/*
 * The part of the key that does not change between executions, and what an
 * execution has to look at.  It travels in CustomScan.custom_private as a List
 * of plain nodes, since the plan cache copies plans.
 */
typedef struct CacheShape
{
	uint64 hash[2];	 /* of text, seeded with a secret of this server's start */
	char  *text;	 /* the rewritten tree without places in the text, then the plan's structure */
	int	   text_len; /* bytes */
	int64  queryid;	 /* 0 = none */
	uint64 generation; /* of catalogs that planning reads, see dbperf_cache_generation() */
	List  *relations;  /* OidList: the finished plan's relationOids, sorted, no duplicates */
	List  *catalogs;   /* OidList: catalogs whose changes matter as well (pg_enum, ...) */
	List  *functions;  /* OidList: EXECUTE is needed on these; their pg_proc rows are in the key */
	List  *params;	   /* IntList: numbers of the external parameters used, sorted */
	List  *settings; /* of String: names given to current_setting(), whose values are in the key */
	bool   by_role;	 /* the role is in the key */
	bool   hinted;	 /* a hint or a list asked for it, so that duration does not matter */
	bool   single_row; /* it returns one row at most */
} CacheShape;

extern void		   dbperf_cache_shape_init(void);
extern CacheShape *dbperf_shape_begin(Query *query, const char *source, const CacheShape *checked);
extern bool		   dbperf_shape_note_state(CacheShape *shape);
extern CacheBypass dbperf_shape_finish(CacheShape *shape, PlannedStmt *planned, char **object);
extern List		  *dbperf_shape_to_list(const CacheShape *shape);
extern CacheShape *dbperf_shape_from_list(List *list);

/* ---- cache_eligible.c, cache_functions.c ---- */

/*
 * Whether a rewritten query can be cached.  Returns the reason why not, with
 * *object (palloc'd, may be NULL) the name of the function, relation, type or
 * column at fault; or CACHE_BYPASS_NONE, having filled functions, catalogs,
 * params, settings and by_role of shape.
 */
extern CacheBypass dbperf_cache_check_query(Query *query, CacheShape *shape, char **object);

/* ---- cache_hint.c ---- */
extern bool dbperf_cache_hinted(const char *source, int location, int length);

/* ---- cache_lists.c: what administrators have listed in this database ---- */
typedef enum CacheListed
{
	CACHE_LISTED_NO,	 /* says nothing */
	CACHE_LISTED_YES,	 /* to be cached */
	CACHE_LISTED_REFUSED /* never */
} CacheListed;

extern void		   dbperf_cache_lists_init(void);
extern CacheListed dbperf_cache_listed_query(int64 queryid);
extern CacheListed dbperf_cache_listed_tables(List *relations);
extern bool		   dbperf_cache_tables_listed(void); /* any at all */
extern bool		   dbperf_cache_listed_function(Oid function);

/* ---- cache_validity.c: the reader's side of the slots ---- */

/* Any number of relations of a statement, at most: */
#define CACHE_MAX_RELATIONS 1024

/* A moment as GetLatestSnapshot() gave it. */
typedef struct CacheMoment
{
	uint64			  count; /* its snapXactCompletionCount */
	FullTransactionId xmin;	 /* everything before this has ended in it */
} CacheMoment;

extern uint32 dbperf_cache_slot_of(Oid database, Oid relation);
extern bool	  dbperf_cache_now(Snapshot executing, CacheMoment *now);
extern CacheBypass
dbperf_cache_slots_read(const CacheMoment *now, const uint32 *slots, int num, uint64 *last_write);

/* To be asked of a pinned entry, before it is served; false: as CACHE_BYPASS_MOVED. */
extern bool dbperf_cache_agrees(const CacheMoment *now, const uint32 *slots, int num, uint64 count);

/* ---- cache_writers.c ---- */
extern void dbperf_cache_writers_init(void);

/* ---- cache_key.c ---- */

typedef struct CacheKey
{
	uint64		hash[2]; /* of shape and tail */
	uint64		shape;	 /* number of the shape's text in this process, never used twice */
	const char *text;	 /* the shape's */
	int			text_len;
	char	   *tail; /* database, identities, parameters, role, settings */
	int			tail_len;
	int			context; /* where in tail that begins what the session can change meanwhile */
} CacheKey;

/*
 * Makes the key of an execution in the current context.  Returns
 * CACHE_BYPASS_NONE, or why there is none.  Checks EXECUTE, too.
 */
extern CacheBypass
dbperf_cache_make_key(const CacheShape *shape, ParamListInfo params, CacheKey *key);

/* Whether one that was made when an execution began still is the same. */
extern bool dbperf_cache_key_holds(const CacheShape *shape, const CacheKey *key);

/* ---- cache_store.c, cache_evict.c, cache_build.c ---- */

/* A pinned entry: its rows stay where they are until it is unpinned. */
typedef struct CachePin
{
	int			entry; /* -1 = none */
	const char *rows;  /* MinimalTuples, one after the other, each MAXALIGNed */
	Size		bytes;
	int64		num_rows;
	uint64		count; /* of the moment under which it was executed, for dbperf_cache_agrees() */
	TimestampTz stored;
	double		cost_ms; /* what its execution took */
} CachePin;

/* One that is being made by this process. */
typedef struct CacheBuild
{
	int	   place; /* in the table of builds, -1 = none */
	uint64 hash[2];
} CacheBuild;

typedef enum CacheFind
{
	CACHE_FOUND,   /* pinned */
	CACHE_ABSENT,  /* nothing with that key */
	CACHE_OUTDATED /* something that is too old, which was removed and counted */
} CacheFind;

extern CacheFind dbperf_cache_find(const CacheKey *key, uint64 last_write, CachePin *pin);
extern void		 dbperf_cache_unpin(CachePin *pin);

/* What is stored. */
typedef struct CacheResult
{
	const char *rows; /* as in CachePin */
	Size		bytes;
	int64		num_rows;
	double		cost_ms;
	uint64		count; /* of the moment under which it was executed */
	int64		queryid;
	const Oid  *relations; /* for cache_flush() and cache_entries */
	int			num_relations;
} CacheResult;

/* False: refused (no room, or one is there); counted. */
extern bool dbperf_cache_store(const CacheKey *key, const CacheResult *result);

extern bool dbperf_cache_build_begin(const CacheKey *key, CacheBuild *build);
extern void dbperf_cache_build_end(CacheBuild *build);
extern void dbperf_cache_build_wait(const CacheKey *key, long ms);

/* Whether a key was seen before (a small shared filter); notes that it is seen now. */
extern bool dbperf_cache_seen(const CacheKey *key);

extern void dbperf_cache_store_init(void);

/* Number of entries removed.  InvalidOid = of all databases, of any relation. */
extern int64 dbperf_cache_purge(Oid database, Oid relation);

/* ---- cache_stats.c: counters ---- */
extern void dbperf_cache_stats_init(void);
extern void dbperf_cache_count_hit(int64 queryid, int64 ns, double saved_ms);
extern void dbperf_cache_count_miss(int64 queryid, int64 ns, Size stored_bytes);
extern void dbperf_cache_count_bypass(int64 queryid, CacheBypass reason);
extern void dbperf_cache_count_invalidation(void);
extern void dbperf_cache_count_refused(void);
extern void dbperf_cache_count_eviction(void);

/* ---- cache_metrics.c ---- */
extern void dbperf_cache_metrics_init(void);

/* ---- cache_admission.c: which statements auto mode wraps ---- */
extern void dbperf_cache_admission_init(void);
extern void dbperf_cache_admission_follow(bool follow);
extern bool dbperf_cache_admitted(int64 queryid);

/* What an execution took that was not answered from the cache. */
extern void dbperf_cache_learn(int64 queryid, int64 ns);

/* How the executions of a statement end for which the cache was asked. */
extern void dbperf_cache_learn_hit(int64 queryid);
extern void dbperf_cache_learn_missed(int64 queryid);

/* What this session knows of a statement that is not wrapped. */
typedef enum CacheMark
{
	CACHE_MARK_NONE,
	CACHE_MARK_REFUSED, /* it cannot be cached */
	CACHE_MARK_CHEAP,	/* its plan costs too little */
	CACHE_MARK_REPLAN	/* cached plans were thrown away for its sake */
} CacheMark;

extern void		 dbperf_cache_replan(void);
extern CacheMark dbperf_cache_marked(int64 queryid);
extern void		 dbperf_cache_mark(int64 queryid, CacheMark mark);

/* ---- cache_plan.c, cache_wrap.c, cache_scan.c ---- */
extern uint64		dbperf_cache_generation(void);
extern void			dbperf_cache_plan_init(void);
extern void			dbperf_cache_wrap_init(void);
extern PlannedStmt *dbperf_cache_wrap(PlannedStmt *planned, const CacheShape *shape);
extern bool			dbperf_cache_is_wrapped(const Plan *plan);
extern Plan		   *dbperf_cache_unwrap(Plan *plan);
extern Node		   *dbperf_cache_create_scan_state(CustomScan *scan);

/* Whether a statement is being started that its session can go on with later. */
extern bool dbperf_cache_starts_cursor(void);
extern bool dbperf_cache_can_pause(void);

DBPERF_PRIVATE_END

#endif /* DBPERF_CACHE_INT_H */
