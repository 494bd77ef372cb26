/*-------------------------------------------------------------------------
 *
 * analyze.h
 *		What the files behind dbperf.analyze_query() share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_ANALYZE_H
#define DBPERF_ANALYZE_H

#include "core/compat.h"
#include "nodes/params.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"

DBPERF_PRIVATE_BEGIN

/* A statement, what is asked about it and what was found. */
typedef struct Analysis
{
	const char *query;
	bool		execute;
	bool		has_values; /* whether values of parameters were given: */
	int			nvalues;
	char	  **values; /* NULL = null */

	/* all below lives in this context, which outlives the subtransactions */
	MemoryContext context;

	/* of the statement */
	Query		 *tree;	   /* rewritten; the planner scribbles on it */
	ParamListInfo params;  /* NULL = it has none, or no values for them */
	bool		  generic; /* it has parameters without values */
	bool		  writes;  /* or locks rows */
	List		 *effects; /* names of its functions whose work may outlive a rollback */

	/* of its plan */
	PlannedStmt *plan;
	List		*relations; /* OIDs of the tables in it */
	double		 planning_ms;
	char		*plan_text;

	/* of its execution */
	QueryDesc  *desc;	   /* while it goes on */
	bool		timed_out; /* it was stopped by the time limit */
	int64		started_ns;
	BufferUsage started_buffers;
	double		duration_ms;
	double		jit_ms;
	BufferUsage buffers; /* what it has used */

	List *findings; /* Finding, the most important one first */
} Analysis;

/* analyze_query.c */
extern void dbperf_analyze_init(void);
extern void dbperf_analyze(Analysis *analysis);

/* analyze_parse.c */
extern void dbperf_analyze_parse(Analysis *analysis);

/* analyze_effects.c */
extern void dbperf_analyze_effects(Analysis *analysis);

/* analyze_run.c */
extern void dbperf_analyze_plan(Analysis *analysis);
extern void dbperf_analyze_explain(Analysis *analysis);
extern void dbperf_analyze_execute(Analysis *analysis);

/* analyze_verdict.c */
extern void dbperf_analyze_verdict(Analysis *analysis);

DBPERF_PRIVATE_END

#endif /* DBPERF_ANALYZE_H */
