/*-------------------------------------------------------------------------
 *
 * cost_cache.h
 *		What each subject costs with which candidates, asking the planner as
 *		rarely as possible.
 *
 * One planner call answers more than one question.  If a plan that was made
 * with the candidates S shown uses only U, then it is also the best plan for
 * every set between U and S.  And a subject never costs less with fewer
 * indexes: what was planned with more bounds it from below, what was planned
 * with fewer from above.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_COST_CACHE_H
#define DBPERF_COST_CACHE_H

#include "advisor/candidates.h"
#include "advisor/whatif.h"
#include "advisor/workload.h"
#include "nodes/bitmapset.h"

DBPERF_PRIVATE_BEGIN

/* One answer of the planner. */
typedef struct CostEntry
{
	Bitmapset *shown;
	Bitmapset *used; /* part of shown */
	double	   cost;
} CostEntry;

typedef struct SubjectCosts
{
	Subject	  *subject;
	List	  *tables; /* OIDs it reads or writes, ancestors of partitions too */
	Bitmapset *useful; /* candidates that some plan of it used, and those to be tried */
	bool	   active; /* analysed, and indexes may make it cheaper */
	bool	   slow;   /* planning it took more than its share of the time */
	bool	   tried;  /* its own candidates were looked at, if it has any */
	int		   nentries;
	int		   max_entries;
	CostEntry *entries;
} SubjectCosts;

typedef struct CostCache
{
	MemoryContext context;
	WhatIf		 *whatif;
	CandidateSet *candidates;
	int			  nsubjects;
	SubjectCosts *subjects;
	int			  nusers;	   /* length of the next array */
	Bitmapset	**users;	   /* by candidate: subjects for which it is useful */
	int64		  deadline_ns; /* no planning after this ... */
	int64		  max_plans;   /* ... or once this many plans were made; 0 = no limit */
	bool		  exhausted;   /* planning was refused for one of these reasons */
	bool		  late;		   /* the first of them, at any time of the run */
} CostCache;

/* Work to be done while a subject is analysed. */
typedef void (*CostVisitor)(CostCache *cache, SubjectCosts *costs, const Analyzed *analyzed,
							void *arg);

/* Sees each plan of a subject that is made without any candidate. */
typedef void (*PlanObserver)(Subject *subject, PlannedStmt *plan, double share, void *arg);

/* cost_cache.c */
extern CostCache			 *
dbperf_cost_cache_create(Workload *workload, CandidateSet *candidates, WhatIf *whatif);
extern void dbperf_cost_cache_sync(CostCache *cache);
extern bool
dbperf_cost_visit(CostCache *cache, SubjectCosts *costs, CostVisitor visitor, void *arg);
extern CostEntry *dbperf_cost_plan(CostCache *cache, SubjectCosts *costs, const Analyzed *analyzed,
								   const Bitmapset *shown);
extern double dbperf_cost_plan_base(CostCache *cache, SubjectCosts *costs, const Analyzed *analyzed,
									PlanObserver observer, void *arg);
extern void	  dbperf_cost_mark_useful(CostCache *cache, SubjectCosts *costs, const Bitmapset *ids);
extern bool
dbperf_cost_known(SubjectCosts *costs, const Bitmapset *set, double *lower, double *upper);
extern double	  dbperf_cost_of(CostCache *cache, SubjectCosts *costs, const Bitmapset *set);
extern Bitmapset *dbperf_cost_left_out(CostCache *cache);

DBPERF_PRIVATE_END

#endif /* DBPERF_COST_CACHE_H */
