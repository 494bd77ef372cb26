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

static void walk_node(Plan *plan, DbperfPlanVisitor visitor, void *arg);

static void
walk_nodes(List *plans, DbperfPlanVisitor visitor, void *arg)
{
	ListCell *lc;

	foreach (lc, plans)
		walk_node(lfirst(lc), visitor, arg);
}

/*
 * Shows all nodes of a plan tree to the visitor.  Subplans of expressions are
 * not below their node, but in the statement's list.
 */
static void
walk_node(Plan *plan, DbperfPlanVisitor visitor, void *arg)
{
	if (plan == NULL)
		return;
	check_stack_depth();
	visitor(plan, arg);

	switch (nodeTag(plan))
	{
		case T_BitmapAnd:
			walk_nodes(((BitmapAnd *) plan)->bitmapplans, visitor, arg);
			break;
		case T_BitmapOr:
			walk_nodes(((BitmapOr *) plan)->bitmapplans, visitor, arg);
			break;
		case T_Append:
			walk_nodes(((Append *) plan)->appendplans, visitor, arg);
			break;
		case T_MergeAppend:
			walk_nodes(((MergeAppend *) plan)->mergeplans, visitor, arg);
			break;
		case T_SubqueryScan:
			walk_node(((SubqueryScan *) plan)->subplan, visitor, arg);
			break;
		case T_CustomScan:
			walk_nodes(((CustomScan *) plan)->custom_plans, visitor, arg);
			break;
		default:
			break;
	}
	walk_node(plan->lefttree, visitor, arg);
	walk_node(plan->righttree, visitor, arg);
}

/*
 * Shows all nodes of a statement's plan to the visitor.
 */
void
dbperf_walk_plan(PlannedStmt *stmt, DbperfPlanVisitor visitor, void *arg)
{
	walk_node(stmt->planTree, visitor, arg);
	walk_nodes(stmt->subplans, visitor, arg);
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
