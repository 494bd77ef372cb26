/*-------------------------------------------------------------------------
 *
 * cache_wrap.c
 *		Puts the result cache's node on top of a finished plan, and takes it
 *		off again.
 *
 * The plan goes into lefttree, and not into custom_plans, so that EXPLAIN can
 * resolve the columns: those of the node refer to custom_scan_tlist, and that
 * refers to the plan below.  What the server looks for in the target list of a
 * whole plan (names, junk, origins) is copied.
 *
 * InitPlans stay with the plan below: nobody above it uses them, and on a hit
 * nobody has to initialise them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "cache/cache_int.h"
#include "executor/executor.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"

static const CustomScanMethods scan_methods = {
	.CustomName = "dbperf cache",
	.CreateCustomScanState = dbperf_cache_create_scan_state,
};

/*
 * Fills the node's two target lists: what it returns is what the plan returns.
 */
static void
copy_target_list(CustomScan *scan, const Plan *plan)
{
	ListCell *lc;

	foreach (lc, plan->targetlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, lc);
		TargetEntry *copy = flatCopyTargetEntry(entry);
		Var			*below = makeVarFromTargetEntry(OUTER_VAR, entry);

		copy->expr = (Expr *) makeVarFromTargetEntry(INDEX_VAR, entry);
		scan->scan.plan.targetlist = lappend(scan->scan.plan.targetlist, copy);
		scan->custom_scan_tlist = lappend(
			scan->custom_scan_tlist, makeTargetEntry((Expr *) below, entry->resno, NULL, false));
	}
}

/*
 * Puts the node on top of a plan.  Costs are the same, so that the plan cache
 * decides between custom and generic plans as without it.  disabled_nodes (18)
 * stays zero: EXPLAIN does not look into lefttree and would call this node
 * disabled.
 */
PlannedStmt *
dbperf_cache_wrap(PlannedStmt *planned, const CacheShape *shape)
{
	Plan	   *plan = planned->planTree;
	CustomScan *scan = makeNode(CustomScan);

	scan->scan.plan.startup_cost = plan->startup_cost;
	scan->scan.plan.total_cost = plan->total_cost;
	scan->scan.plan.plan_rows = plan->plan_rows;
	scan->scan.plan.plan_width = plan->plan_width;
	scan->scan.plan.parallel_safe = plan->parallel_safe;
	scan->scan.plan.plan_node_id = -1;
	scan->scan.plan.extParam = plan->extParam;
	scan->scan.plan.allParam = plan->allParam;
	scan->scan.plan.lefttree = plan;
	scan->scan.scanrelid = 0;
	copy_target_list(scan, plan);
	if (ExecSupportsBackwardScan(plan))
		scan->flags |= CUSTOMPATH_SUPPORT_BACKWARD_SCAN;
	scan->custom_private = dbperf_shape_to_list(shape);
	scan->methods = &scan_methods;

	planned->planTree = &scan->scan.plan;
	return planned;
}

/* Whether a plan is under the cache's node. */
bool
dbperf_cache_is_wrapped(const Plan *plan)
{
	return plan != NULL && IsA(plan, CustomScan) &&
		   ((const CustomScan *) plan)->methods == &scan_methods;
}

/* The plan under the node, or plan itself if there is none. */
Plan *
dbperf_cache_unwrap(Plan *plan)
{
	return dbperf_cache_is_wrapped(plan) ? outerPlan(plan) : plan;
}

/* Called once, while the library is preloaded. */
void
dbperf_cache_wrap_init(void)
{
	RegisterCustomScanMethods(&scan_methods);
}
