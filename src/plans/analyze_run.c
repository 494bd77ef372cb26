/*-------------------------------------------------------------------------
 *
 * analyze_run.c
 *		Plans, explains and executes the statement of dbperf.analyze_query().
 *
 * Planner and executor are called with their hooks: the plan is to be the one
 * that the statement gets, whatever extensions there are, and those that watch
 * who reads what have to see it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "core/core.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "plans/analyze.h"
#include "tcop/dest.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

/* A planning that took so long is done again; one that takes longer has its reasons. */
#define AGAIN_FROM_MS 5.0
#define AGAIN_UNTIL_MS 1000.0

/* What the nodes of an execution had counted when it was stopped. */
typedef struct Counts
{
	int				 size;
	Instrumentation *nodes; /* by plan_node_id */
	bool			*known;
} Counts;

static double
ms_since(int64 start_ns)
{
	return (dbperf_now_ns() - start_ns) / 1e6;
}

/*
 * Plans the statement once; *ms gets how long that took.
 */
static PlannedStmt *
plan_once(const Analysis *analysis, double *ms)
{
	Query		*tree = copyObject(analysis->tree); /* the planner changes it */
	int64		 start = dbperf_now_ns();
	PlannedStmt *plan = planner(tree, analysis->query, CURSOR_OPT_PARALLEL_OK, analysis->params);

	*ms = ms_since(start);
	return plan;
}

/*
 * Plans the statement, with the values of its parameters if there are any.  The
 * first planning in a session reads catalogs that are in its caches afterwards: what
 * took long may be only that, and is done once more.
 */
void
dbperf_analyze_plan(Analysis *analysis)
{
	ListCell *lc;

	analysis->plan = plan_once(analysis, &analysis->planning_ms);
	if (analysis->planning_ms >= AGAIN_FROM_MS && analysis->planning_ms <= AGAIN_UNTIL_MS)
		analysis->plan = plan_once(analysis, &analysis->planning_ms);
	foreach (lc, analysis->plan->relationOids)
	{
		char kind = get_rel_relkind(lfirst_oid(lc));

		if (RELKIND_HAS_STORAGE(kind) || kind == RELKIND_PARTITIONED_TABLE ||
			kind == RELKIND_FOREIGN_TABLE)
			analysis->relations = list_append_unique_oid(analysis->relations, lfirst_oid(lc));
	}
}

/*
 * The figures of an execution begin.
 */
static void
start_counting(Analysis *analysis)
{
	analysis->started_buffers = pgBufferUsage;
	analysis->started_ns = dbperf_now_ns();
}

/*
 * They end.
 */
static void
stop_counting(Analysis *analysis)
{
	analysis->duration_ms = ms_since(analysis->started_ns);
	BufferUsageAccumDiff(&analysis->buffers, &pgBufferUsage, &analysis->started_buffers);
}

/*
 * A descriptor for the plan that counts everything.
 */
static QueryDesc *
make_desc(const Analysis *analysis)
{
	return CreateQueryDesc(analysis->plan, analysis->query, GetActiveSnapshot(), InvalidSnapshot,
						   None_Receiver, analysis->params, NULL,
						   INSTRUMENT_TIMER | INSTRUMENT_BUFFERS);
}

/*
 * Executes the plan and prints it.  The time limit ends with the execution.
 */
static void
run_plan(Analysis *analysis)
{
	StringInfoData text;

	PushCopiedSnapshot(GetActiveSnapshot());
	UpdateActiveSnapshotCommandId();
	analysis->desc = make_desc(analysis);
	ExecutorStart(analysis->desc, 0);

	start_counting(analysis);
	dbperf_execute_to_end(analysis->desc);
	ExecutorFinish(analysis->desc);
	stop_counting(analysis);
	dbperf_time_limit_end(false);

	initStringInfo(&text);
	dbperf_explain_plan(analysis->desc, true, &text);
	analysis->plan_text = text.data;
	analysis->jit_ms = dbperf_jit_ns(analysis->desc) / 1e6;
	ExecutorEnd(analysis->desc);
	FreeQueryDesc(analysis->desc);
}

/*
 * Keeps what a node has counted.  One that was in the middle of something has
 * its clock running.
 */
static bool
keep_counts(PlanState *node, void *context)
{
	Counts *counts = context;
	int		id = node->plan->plan_node_id;

	if (node->instrument != NULL)
	{
		if (id >= counts->size)
		{
			int size = Max(2 * counts->size, id + 32);

			counts->nodes = repalloc(counts->nodes, size * sizeof(Instrumentation));
			counts->known = repalloc(counts->known, size * sizeof(bool));
			memset(counts->known + counts->size, 0, (size - counts->size) * sizeof(bool));
			counts->size = size;
		}
		counts->nodes[id] = *node->instrument;
		counts->known[id] = true;
		if (!INSTR_TIME_IS_ZERO(counts->nodes[id].starttime))
			InstrStopNode(&counts->nodes[id], 0);
	}
	return planstate_tree_walker(node, keep_counts, context);
}

/*
 * Gives a node of another execution of the plan what was counted.
 */
static bool
put_counts(PlanState *node, void *context)
{
	Counts *counts = context;
	int		id = node->plan->plan_node_id;

	if (node->instrument != NULL && id < counts->size && counts->known[id])
		*node->instrument = counts->nodes[id];
	return planstate_tree_walker(node, put_counts, context);
}

/*
 * Prints the plan of an execution that was stopped, with what it had counted.
 * Its subtransaction is rolled back, so that of all it points to only memory is
 * left: the counts are moved to a second execution, which is not run.
 */
static void
explain_stopped(Analysis *analysis)
{
	Counts		   counts = {.nodes = palloc(0), .known = palloc(0)};
	StringInfoData text;
	QueryDesc	  *desc;

	(void) keep_counts(analysis->desc->planstate, &counts);
	initStringInfo(&text);
	desc = make_desc(analysis);
	dbperf_start_explain_only(desc, false);
	(void) put_counts(desc->planstate, &counts);
	dbperf_explain_plan(desc, true, &text);
	analysis->plan_text = text.data;
	standard_ExecutorEnd(desc);
	FreeQueryDesc(desc);
}

/*
 * Prints the plan without executing it.
 */
void
dbperf_analyze_explain(Analysis *analysis)
{
	StringInfoData text;

	initStringInfo(&text);
	dbperf_explain_only(analysis->plan, analysis->query, analysis->params, analysis->generic,
						&text);
	analysis->plan_text = text.data;
}

/*
 * Executes the plan in a subtransaction that is rolled back, and prints it.  If
 * the time limit stops it, that is no error.
 */
void
dbperf_analyze_execute(Analysis *analysis)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	start_counting(analysis);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		run_plan(analysis);
	}
	PG_CATCH();
	{
		if (!dbperf_time_limit_caught())
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
		stop_counting(analysis);
		analysis->timed_out = true;
	}
	PG_END_TRY();

	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (analysis->timed_out)
	{
		if (analysis->desc != NULL && analysis->desc->planstate != NULL)
			explain_stopped(analysis);
		else
			dbperf_analyze_explain(analysis);
	}
}
