/*-------------------------------------------------------------------------
 *
 * plan_measure.c
 *		What the nodes of a plan did, and what they cost.
 *
 * EXPLAIN gives means of a loop, and in a parallel plan each process counts as a
 * loop.  Here rows are sums over all loops, and times are those that passed: the
 * processes of a parallel plan work side by side.
 *
 * Where nodes were not timed the statement's time is shared out by work: the
 * rows that a node took and gave.  Where rows were not counted either it is
 * shared out by cost.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "plans/findings_int.h"

/* Work of nodes, in rows of a sequential scan. */
#define WORK_SORT 0.3	/* for each comparison of a row */
#define WORK_INDEX 2.0	/* for each row fetched by an index */
#define WORK_RESCAN 5.0 /* to begin anew */

bool
dbperf_node_is(const PlanNode *node, const char *type)
{
	return node != NULL && strcmp(node->type, type) == 0;
}

/* A node's first child that is this to it, or NULL. */
const PlanNode *
dbperf_node_child(const PlanNode *node, const char *relationship)
{
	ListCell *lc;

	foreach (lc, node->children)
	{
		const PlanNode *child = lfirst(lc);

		if (child->relationship != NULL && strcmp(child->relationship, relationship) == 0)
			return child;
	}
	return NULL;
}

/* The nearest node of this type above a node, within the same subplan; or NULL. */
const PlanNode *
dbperf_node_above(const PlanNode *node, const char *type)
{
	while (node->parent != NULL && node->subplan_name == NULL)
	{
		node = node->parent;
		if (dbperf_node_is(node, type))
			return node;
	}
	return NULL;
}

/*
 * How many processes a node's loops are shared by: those below a Gather, with
 * the leader.
 */
static double
processes(const PlanNode *node)
{
	for (const PlanNode *above = node->parent; above != NULL; above = above->parent)
	{
		if (dbperf_node_is(above, "Gather") || dbperf_node_is(above, "Gather Merge"))
		{
			double launched = dbperf_plan_number(above, "Workers Launched", 0);

			/* a node that ran once ran in one process */
			return Max(1.0, Min(launched + 1, node->actual_loops));
		}
	}
	return 1;
}

/* How often a node ran, one after the other. */
double
dbperf_node_loops(const PlanNode *node)
{
	return node->has_actual ? node->actual_loops / processes(node) : 0;
}

/* How many rows a node gave in all. */
double
dbperf_node_rows(const PlanNode *node)
{
	return node->has_actual ? node->actual_rows * node->actual_loops : node->plan_rows;
}

/* How many rows its conditions sorted out in all. */
double
dbperf_node_removed(const PlanNode *node)
{
	double loops = node->has_actual ? node->actual_loops : 0;

	return loops * (dbperf_plan_number(node, "Rows Removed by Filter", 0) +
					dbperf_plan_number(node, "Rows Removed by Index Recheck", 0));
}

/* Is a child's time part of the node's own? */
static bool
counts_for_parent(const PlanNode *child)
{
	/* a CTE's time is that of whoever reads it */
	return child->subplan_name == NULL || strncmp(child->subplan_name, "CTE ", 4) != 0;
}

/* A node's own work, as the top says. */
static double
node_work(const PlanNode *node)
{
	double	  rows = dbperf_node_rows(node);
	double	  work = rows + dbperf_node_removed(node);
	ListCell *lc;

	work += node->has_actual
				? node->actual_loops * dbperf_plan_number(node, "Rows Removed by Join Filter", 0)
				: 0;
	if (strstr(node->type, "Index") != NULL || dbperf_node_is(node, "Bitmap Heap Scan"))
		work = work * WORK_INDEX + WORK_RESCAN * (node->has_actual ? node->actual_loops : 1);
	if (dbperf_node_is(node, "Sort"))
		work += rows * WORK_SORT * log2(rows + 2);
	foreach (lc, node->children)
	{
		if (counts_for_parent(lfirst(lc)))
			work += 0.5 * dbperf_node_rows(lfirst(lc));
	}
	return work / processes(node);
}

/* The work of a node and of all below it. */
static double
subtree_work(const PlanNode *node)
{
	double	  work = node_work(node);
	ListCell *lc;

	foreach (lc, node->children)
		work += subtree_work(lfirst(lc));
	return work;
}

/* The work of a whole plan, never 0. */
double
dbperf_tree_work(const PlanTree *tree)
{
	return subtree_work(tree->root) + 1;
}

/* The time of a node with all below it, 0 if that is not known. */
double
dbperf_node_ms(const FindingContext *context, const PlanNode *node)
{
	double root_cost = context->tree->root->total_cost;

	if (node->never_executed)
		return 0;
	if (node->has_time)
		return Min(node->actual_total * dbperf_node_loops(node),
				   Max(context->total_ms, node->actual_total));
	if (context->total_ms <= 0)
		return 0;
	if (context->tree->analyzed)
		return context->total_ms * subtree_work(node) / context->total_work;
	return root_cost > 0 ? context->total_ms * Min(1.0, node->total_cost / root_cost) : 0;
}

/* The time of a node without those below it, 0 if that is not known. */
double
dbperf_node_self_ms(const FindingContext *context, const PlanNode *node)
{
	double	  ms = dbperf_node_ms(context, node);
	ListCell *lc;

	if (!node->has_time && context->tree->analyzed && !node->never_executed)
		return context->total_ms > 0 ? context->total_ms * node_work(node) / context->total_work
									 : 0;
	foreach (lc, node->children)
	{
		if (counts_for_parent(lfirst(lc)))
			ms -= dbperf_node_ms(context, lfirst(lc));
	}
	return Max(ms, 0);
}
