/*-------------------------------------------------------------------------
 *
 * plan_nodes.c
 *		All nodes of a finished plan, and the plan as text.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/compat.h"
#include "core/core.h"
#include "miscadmin.h"
#include "nodes/plannodes.h"
#include "tcop/dest.h"
#include "utils/snapmgr.h"

/* Shows each plan of a list to the visitor. */
static void
visit_list(List *plans, DbperfPlanVisitor visitor, void *arg)
{
	ListCell *lc;

	foreach (lc, plans)
		visitor(lfirst(lc), arg);
}

/*
 * Shows each child of a node to the visitor, in EXPLAIN's order.  Plans that are
 * reached through expressions (InitPlans, SubPlans, CTEs) are no children: they
 * all stand in PlannedStmt.subplans.  The Agg and Sort nodes in an Agg's chain
 * are no plans of their own either, they describe further passes.
 */
void
dbperf_plan_children(Plan *plan, DbperfPlanVisitor visitor, void *arg)
{
	if (outerPlan(plan) != NULL)
		visitor(outerPlan(plan), arg);
	if (innerPlan(plan) != NULL)
		visitor(innerPlan(plan), arg);

	switch (nodeTag(plan))
	{
		case T_Append:
			visit_list(((Append *) plan)->appendplans, visitor, arg);
			break;
		case T_MergeAppend:
			visit_list(((MergeAppend *) plan)->mergeplans, visitor, arg);
			break;
		case T_BitmapAnd:
			visit_list(((BitmapAnd *) plan)->bitmapplans, visitor, arg);
			break;
		case T_BitmapOr:
			visit_list(((BitmapOr *) plan)->bitmapplans, visitor, arg);
			break;
		case T_SubqueryScan:
			visitor(((SubqueryScan *) plan)->subplan, arg);
			break;
		case T_CustomScan:
			visit_list(((CustomScan *) plan)->custom_plans, visitor, arg);
			break;
		default:
			break;
	}
}

/* A walk over all nodes. */
typedef struct PlanWalk
{
	DbperfPlanVisitor visitor;
	void			 *arg;
} PlanWalk;

static void
walk_node(Plan *plan, void *arg)
{
	PlanWalk *walk = arg;

	check_stack_depth();
	walk->visitor(plan, walk->arg);
	dbperf_plan_children(plan, walk_node, walk);
}

/*
 * Shows all nodes of a statement's plan to the visitor, subplans included.
 */
void
dbperf_walk_plan(PlannedStmt *stmt, DbperfPlanVisitor visitor, void *arg)
{
	PlanWalk  walk = {visitor, arg};
	ListCell *lc;

	if (stmt->planTree != NULL)
		walk_node(stmt->planTree, &walk);
	foreach (lc, stmt->subplans)
	{
		/* the planner leaves holes */
		if (lfirst(lc) != NULL)
			walk_node(lfirst(lc), &walk);
	}
}

/*
 * Visitor: partitions are not to be pruned when the plan is started.
 */
static void
forget_pruning(Plan *plan, void *arg)
{
	dbperf_forget_pruning(plan);
}

/*
 * Starts the statement as EXPLAIN does, appends its plan to out, and ends it.
 * generic says that values of parameters are missing.  There must be an active
 * snapshot.
 */
void
dbperf_explain_only(PlannedStmt *plan, const char *text, ParamListInfo params, bool generic,
					StringInfo out)
{
	QueryDesc *query;

	if (generic)
	{
		plan = copyObject(plan);
		dbperf_walk_plan(plan, forget_pruning, NULL);
	}
	query = CreateQueryDesc(plan, text, GetActiveSnapshot(), InvalidSnapshot, None_Receiver, params,
							NULL, 0);
	dbperf_start_explain_only(query, generic);
	dbperf_explain_plan(query, false, out);
	standard_ExecutorEnd(query);
	FreeQueryDesc(query);
}
