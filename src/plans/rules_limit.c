/*-------------------------------------------------------------------------
 *
 * rules_limit.c
 *		Rules about LIMIT and OFFSET.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "optimizer/optimizer.h"
#include "plans/findings_int.h"
#include "utils/builtins.h"

#define SKIPPED_FACTOR 10.0 /* rows skipped for each row returned */
#define REMOVED_FACTOR 20.0 /* rows looked at in vain for each row found */
#define MAX_KEY_COLUMNS 3
#define CACHED_PAGE_COST 1.1 /* of a random page, where no disk has to seek it */

/*
 * large_offset.  Gain: the share of the work below that made the skipped rows;
 * a page that begins at the last key reads its own rows only.
 */
static void
judge_offset(FindingContext *context, const PlanNode *node)
{
	const PlanNode *child = dbperf_node_child(node, "Outer");
	double			returned = dbperf_node_rows(node);
	double			skipped;
	double			gain;
	Finding		   *finding;

	if (child == NULL || !child->has_actual || node->actual_loops > 1)
		return;
	skipped = dbperf_node_rows(child) - returned;
	if (skipped < MIN_ROWS || skipped < SKIPPED_FACTOR * returned)
		return;
	gain = dbperf_node_ms(context, child) * skipped / (skipped + Max(returned, 1));
	finding = dbperf_finding_add(context, "large_offset", node, gain);
	finding->evidence =
		psprintf("%.0f rows were made and skipped to return %.0f", skipped, returned);
	finding->advice =
		"Page by key instead of OFFSET: remember the last row's sort columns and ask for those "
		"behind it, WHERE (a, b) > (last_a, last_b) ORDER BY a, b LIMIT n, with an index on them.";
}

/* The columns that the filter of a node compares for equality with constants. */
static List *
equality_columns(const PlanNode *node, const FindingTable *table)
{
	List	 *columns = NIL;
	ListCell *lc;

	foreach (lc, dbperf_conditions(node, "Filter", table))
	{
		PlanCondition *condition = lfirst(lc);

		if (condition->column != NULL && condition->wrapped == NULL && condition->constant &&
			(condition->op == NULL || strcmp(condition->op, "=") == 0) &&
			list_length(columns) < MAX_KEY_COLUMNS)
			columns = lappend(columns, pstrdup(quote_identifier(condition->column)));
	}
	return columns;
}

/*
 * limit_wrong_index: an index read in its order until enough rows match, which
 * took far longer than expected.  Gain: what the scan read in vain.
 */
static void
judge_order(FindingContext *context, const PlanNode *node)
{
	double		  removed = dbperf_node_removed(node);
	double		  rows = dbperf_node_rows(node);
	FindingTable *table;
	Finding		 *finding;
	List		 *columns;
	char		 *key;

	if (node->index == NULL || node->relation == NULL || dbperf_node_above(node, "Limit") == NULL ||
		dbperf_plan_property(node, "Index Cond") != NULL || removed < MIN_ROWS ||
		removed < REMOVED_FACTOR * rows)
		return;
	finding =
		dbperf_finding_add(context, "limit_wrong_index", node,
						   dbperf_node_self_ms(context, node) * (1 - rows / (removed + rows)));
	finding->evidence = psprintf("%.0f rows read in the order of index %s and thrown away to find "
								 "%.0f for the LIMIT",
								 removed, quote_identifier(node->index), rows);
	finding->advice = "The planner expected the matching rows to be spread evenly over the index. "
					  "An index on the columns of the condition, followed by those of ORDER BY, "
					  "finds them at once.";
	table = dbperf_finding_table(context, node);
	if (table == NULL)
		return;
	columns = equality_columns(node, table);
	key = dbperf_index_key(table, node->index, 1);
	if (columns == NIL || key == NULL)
		return;
	finding->ddl = dbperf_ddl_index(table, lappend(columns, key));
	if (random_page_cost <= CACHED_PAGE_COST)
		return;

	/* by the cost of a disk's seeks even the right index can look worse */
	finding->setting = psprintf("random_page_cost = %.1f", CACHED_PAGE_COST);
	finding->advice = psprintf("%s Where tables are cached or on flash storage, a random_page_cost "
							   "of %.1f makes the planner see that.",
							   finding->advice, CACHED_PAGE_COST);
}

/*
 * Judges what LIMIT and OFFSET made of the plan.
 */
void
dbperf_judge_limits(FindingContext *context)
{
	ListCell *lc;

	foreach (lc, context->tree->nodes)
	{
		const PlanNode *node = lfirst(lc);

		if (!node->has_actual)
			continue;
		if (dbperf_node_is(node, "Limit"))
			judge_offset(context, node);
		else if (dbperf_node_is(node, "Index Scan") || dbperf_node_is(node, "Index Only Scan"))
			judge_order(context, node);
	}
}
