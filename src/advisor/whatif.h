/*-------------------------------------------------------------------------
 *
 * whatif.h
 *		What the planner would do if there were other indexes.
 *
 * A what-if context holds hypothetical indexes, which exist only while this
 * process plans one of its own statements through dbperf_whatif_plan().
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_WHATIF_H
#define DBPERF_WHATIF_H

#include "advisor/index_def.h"
#include "nodes/bitmapset.h"
#include "nodes/params.h"
#include "nodes/plannodes.h"
#include "utils/hsearch.h"

DBPERF_PRIVATE_BEGIN

typedef struct HypoRelation HypoRelation; /* hypo.h: it as an index of one table */

/* A hypothetical index; id is its place in the context, from 0. */
typedef struct HypoIndex
{
	int		  id;
	IndexDef *def;
	Oid		  oid;		 /* private, unique within the context */
	char	 *name;		 /* as EXPLAIN shows it: "<what-if> orders (customer_id)" */
	int64	  bytes;	 /* estimated size, all partitions; -1 = not yet estimated */
	List	 *relations; /* HypoRelation, one per table it was planned on */
} HypoIndex;

typedef struct WhatIf
{
	MemoryContext context;
	int			  nindexes;
	HypoIndex	**indexes;
	int			  max_indexes; /* room in the array */
	int64		  plans;	   /* planner calls so far */

	/* For whatif.c and hypo*.c only. */
	HTAB *tables;		/* HypoTable by OID */
	HTAB *relations;	/* HypoRelationEntry by index and table */
	HTAB *oids;			/* HypoOid by private OID */
	Oid	  last_oid;		/* the private OID given last */
	int64 sample_pages; /* read for samples so far */
} WhatIf;

/* What is to be shown to the planner and what came of it. */
typedef struct WhatIfPlan
{
	double		 cost;		/* total_cost of the plan */
	double		 rows;		/* plan_rows of its top node */
	Bitmapset	*used;		/* ids of hypothetical indexes in the plan */
	List		*used_real; /* OIDs of real indexes in the plan, no duplicates */
	PlannedStmt *plan;		/* in the caller's memory context */
} WhatIfPlan;

/* whatif.c */

/* Installs the planner hooks; called once from the module's init. */
extern void dbperf_whatif_init(void);

/* A context that lives in (a child of) the current memory context. */
extern WhatIf *dbperf_whatif_create(void);

/*
 * Adds an index, copying its definition.  An index equal to one that is there
 * is not added again: its HypoIndex is returned.
 */
extern HypoIndex *dbperf_whatif_add(WhatIf *whatif, const IndexDef *def);

/*
 * Plans a rewritten query (which stays as it is) as if exactly those
 * hypothetical indexes in "shown" (NULL = none) existed, and those real ones in
 * "hidden" (List of OID) did not.  A shown index that equals a real, not
 * hidden, valid one is left out.  Caller must hold the locks that analysis
 * took, and have the role and settings in place.  Errors of the planner get
 * out; nothing is left behind then.
 *
 * Calls standard_planner() itself: hooks of others do not see it.
 */
extern void dbperf_whatif_plan(WhatIf *whatif, Query *query, const char *text, ParamListInfo params,
							   int cursor_options, Bitmapset *shown, List *hidden, WhatIfPlan *out);

/*
 * The plan as EXPLAIN shows it, without running anything; params as planned.
 */
extern char *
dbperf_whatif_explain(WhatIf *whatif, PlannedStmt *plan, const char *text, ParamListInfo params);

/*
 * Estimated bytes of a hypothetical index over all its tables, without a
 * plan.  The caller must hold a lock on the table (AccessShareLock at least)
 * and be in the role of somebody who may read it.
 */
extern int64 dbperf_whatif_size(WhatIf *whatif, HypoIndex *index);

DBPERF_PRIVATE_END

#endif /* DBPERF_WHATIF_H */
