/*-------------------------------------------------------------------------
 *
 * monitor.h
 *		Public face of the monitor: slow statements and latency per query.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_MONITOR_H
#define DBPERF_MONITOR_H

#include "core/compat.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "utils/array.h"

/* monitor.c */
extern void dbperf_monitor_init(void);

DBPERF_PRIVATE_BEGIN

/*
 * A query of the current database as the monitor knows it: what it cost since
 * counting began, and one execution as a sample.  Of a query that has failed whenever
 * it was executed that is a recorded one, whose search_path is not known.
 */
typedef struct MonitoredQuery
{
	uint64		queryid;
	Oid			userid; /* may have been dropped */
	bool		toplevel;
	double		calls;
	double		total_ms;
	TimestampTz first_seen; /* when its first and its last execution ended */
	TimestampTz last_seen;
	TimestampTz sampled_at; /* 0 = there is no sample, all below is void */
	char	   *text;		/* in the database's encoding */
	bool		cut;		/* by dbperf.max_query_length */
	bool		redacted;	/* literals may have been taken out of it */
	int			nparams;
	Oid		   *param_types;
	char	  **param_values; /* NULL = null */
	bool	   *param_known;  /* false: cut, redacted or never recorded */
	bool		has_path;
	List	   *search_path; /* OIDs of schemas, some may be gone */
} MonitoredQuery;

/* ---- latencies ---- */

/* see monitor/latency.h */
#define LATENCY_BUCKETS 264

/*
 * So many plans of one query have a histogram each.  Executions with others
 * are counted together, as are those whose plan is not known: plan_id is 0.
 */
#define LATENCY_MAX_PLANS 8

/* What a histogram is kept for.  No padding: it is hashed as bytes. */
typedef struct LatencyKey
{
	uint64 queryid; /* 0 = statements without a query id */
	Oid	   dbid;
	Oid	   userid;
	uint64 toplevel; /* 1 = sent by a client, 0 = nested */
} LatencyKey;

/* A histogram copied out for a reader. */
typedef struct LatencySummary
{
	LatencyKey	key;
	bool		other;		/* the sum of evicted queries: key is void */
	bool		own;		/* a call of dbperf's own functions */
	TimestampTz first_seen; /* counts nothing from before; 0 = that is not known */
	uint64		calls;
	uint64		errors;
	uint64		total_ns;
	uint64		min_ns; /* void if calls is 0 */
	uint64		max_ns;
	uint64		buckets[LATENCY_BUCKETS];
} LatencySummary;

/* latency_read.c */

/* Counts one execution in a histogram that is the caller's own. */
extern void dbperf_latency_count_one(LatencySummary *into, uint64 ns);

/* Adds one histogram to another; into's key stays. */
extern void dbperf_latency_merge(LatencySummary *into, const LatencySummary *from);

/* The nanoseconds that this fraction (0..1) of the executions did not exceed. */
extern double dbperf_latency_percentile(const LatencySummary *summary, double fraction);

/* latency_total.c */

/*
 * All that clients sent to a database (InvalidOid: to any), whoever sent it, since
 * counting began.  Reads every histogram: milliseconds with thousands of queries.
 * Of any database, nothing ever becomes less until histograms are reset.  Needs
 * dbperf_require_shmem().
 */
extern void dbperf_latency_total(Oid dbid, LatencySummary *into);

/*
 * How many executions of a histogram took at most each of these times (seconds,
 * ascending); a bucket that a bound cuts is shared out as percentiles do it.
 */
extern void dbperf_latency_cumulate(const LatencySummary *summary, const double *bounds,
									int num_bounds, double *cumulative);

/* The bounds of exposed histograms in seconds; the target of 50 ms is one of them. */
#define LATENCY_NUM_BOUNDS 15
extern const double dbperf_latency_bounds[LATENCY_NUM_BOUNDS];

/* latency_top.c */

typedef void (*LatencyVisit)(const LatencySummary *summary, void *arg);

/*
 * Visits so many of the queries, in all databases, that took most time since
 * counting began, most first: those of them only that the current role may see.
 * nested says whether statements count, too, that clients did not send themselves.
 * Needs dbperf_require_shmem() and a transaction.
 */
extern void dbperf_latency_top(int limit, bool nested, LatencyVisit visit, void *arg);

/* latency_visit.c */

/*
 * Visits the histogram of each query in all databases, whoever may see it, but not
 * that of evicted ones.  Needs dbperf_require_shmem().
 */
extern void dbperf_latency_visit(LatencyVisit visit, void *arg);

/*
 * What dbperf_latency_total() of all databases said last, without adding it up once
 * more.  Returns false if it has not been asked since histograms were reset.
 */
extern bool dbperf_latency_last_total(LatencySummary *into);

/*
 * Takes what was counted before out of a histogram.  If counting began anew
 * meanwhile it stays as it is.  The extremes are those that its buckets have.
 */
extern void dbperf_latency_subtract(LatencySummary *from, const LatencySummary *before);

/* latency_judge.c */

/* Whether executions became slower, and how sure that is. */
typedef struct LatencyVerdict
{
	bool   slower;
	double factor;		/* how much slower: the lesser of the ratios of medians and means */
	double superiority; /* the chance that an execution takes longer than one before; 0.5 = equal */
	double z;			/* of the rank test */
	double p;			/* the chance of such a difference if nothing has changed */
} LatencyVerdict;

/* with fewer executions nothing can be said, and less is not slower */
#define LATENCY_JUDGE_CALLS 30
#define LATENCY_JUDGE_FACTOR 1.5

extern void dbperf_latency_judge(const LatencySummary *before, const LatencySummary *after,
								 uint64 min_calls, LatencyVerdict *verdict);

/* latency_recent.c */

/* What clients sent to a database lately. */
typedef struct LatencyRecent
{
	const char	  *period; /* as in query_latency: current, previous or lifetime */
	LatencySummary all;	   /* its key is void */
	uint64		   own;	   /* executions of dbperf's own functions, which are left out */
	uint64		   slow;   /* executions that took longer than was asked for */
	LatencySummary worst;  /* the query with most of these; void if there is none */
	uint64		   worst_slow;
} LatencyRecent;

extern void dbperf_latency_recent(Oid dbid, uint64 enough, double slow_ms, LatencyRecent *recent);

/* monitored_plans.c */

/*
 * A query's executions with one of its plans.  A turn of a plan begins when it
 * is used first, or again after others had taken its place for a while.
 */
typedef struct MonitoredPlan
{
	LatencyKey	   key;
	uint64		   plan_id; /* 0 = the plan is not known, or one of too many */
	TimestampTz	   first_seen;
	TimestampTz	   last_seen;
	LatencySummary lifetime;

	/* the same divided by when its last turn began */
	TimestampTz	   turn_began;
	double		   turn_others; /* what other plans of the query had counted then */
	bool		   turn_again;	/* not the first: else all is in its only turn */
	LatencySummary before_turn;
	LatencySummary in_turn;

	/* the same divided by whether it can be judged: lately, and before */
	LatencySummary before;
	LatencySummary lately;
	TimestampTz	   lately_began;
	TimestampTz	   slower_since; /* 0 = not known to be slower than before */

	char *text; /* as EXPLAIN prints it, in the database's encoding, or NULL */
} MonitoredPlan;

/* Takes the plans (MonitoredPlan) of one query; they are gone afterwards. */
typedef void (*MonitoredPlanVisit)(List *plans, void *arg);

/*
 * Visits each query that has a plan, in all databases, whoever may see it; texts
 * says whether the plans' texts are wanted.  Needs dbperf_require_shmem().
 */
extern void dbperf_monitored_plans(MonitoredPlanVisit visit, void *arg, bool texts);

/* monitored.c */

/*
 * All queries of the current database that the current role may see, without
 * those that have no query id.  Needs dbperf_require_shmem().
 */
extern List *dbperf_monitored_queries(void);

/*
 * A statement of dbperf.slow_queries that has a plan.
 */
typedef struct SlowStatement
{
	int64		id;
	uint64		queryid; /* 0 = none */
	uint64		plan_id;
	Oid			userid;
	TimestampTz started_at;
	double		duration_ms;
	double		planning_ms;
	double		jit_ms;
	double		work_mem_kb; /* that it ran under */
	double		temp_blks_read;
	double		temp_blks_written;
	double		shared_blks_hit;
	double		shared_blks_read;
	bool		failed;
	char	   *query;	   /* in the database's encoding, may be cut or masked */
	char	   *plan;	   /* text of EXPLAIN, may be cut */
	List	   *relations; /* OIDs of the tables in the plan, some may be gone */
} SlowStatement;

/*
 * The recorded statements of the current database with ids in this range that
 * have a plan and that the current role may see, newest first.  Needs
 * dbperf_require_shmem().
 */
extern List *dbperf_slow_statements(int64 first_id, int64 last_id);

/* What dbperf_slow_statements() can say of one id. */
typedef enum SlowStatementState
{
	SLOW_STATEMENT_SHOWN,
	SLOW_STATEMENT_UNKNOWN, /* there was no such id yet */
	SLOW_STATEMENT_GONE,	/* overwritten or reset */
	SLOW_STATEMENT_HIDDEN,	/* another role's */
	SLOW_STATEMENT_OTHER_DATABASE,
	SLOW_STATEMENT_NO_PLAN
} SlowStatementState;

extern SlowStatementState dbperf_slow_statement_state(int64 id);

/*
 * What the executions of a query cost: of all roles together, sent by clients and
 * nested ones.
 */
typedef struct LatencyChange
{
	double calls;
	double mean_ms; /* this and the next are void without calls */
	double p95_ms;
} LatencyChange;

/* latency_change.c */

/*
 * The counters of a query in the current database as they are now: an array of
 * bigint to be handed to dbperf_latency_change() later.  Needs
 * dbperf_require_shmem().
 */
extern ArrayType *dbperf_latency_state(uint64 queryid);

/*
 * What was executed of a query since a state was taken; all that is known of it
 * if before is NULL, or if counting began anew since.  Needs
 * dbperf_require_shmem().
 */
extern void dbperf_latency_change(uint64 queryid, ArrayType *before, LatencyChange *change);

DBPERF_PRIVATE_END

#endif /* DBPERF_MONITOR_H */
