/*-------------------------------------------------------------------------
 *
 * rules_joins.c
 *		Rules about tables that are read as a whole for a join.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "plans/findings_int.h"
#include "utils/builtins.h"

#define LOOPS 10.0
#define JOINED_SHARE 0.05  /* of a table's rows that find a partner */
#define PARTNER_SHARE 0.01 /* as many rows on the other side */
#define INDEX_ROW_COST 4.0 /* to fetch a row by an index, in rows scanned */

/* The column of a scan's table that the join above compares for equality, or NULL. */
static char *
joined_column(const PlanNode *join, const PlanNode *scan, const FindingTable *table)
{
	static const char *const keys[] = {"Hash Cond", "Merge Cond", "Join Filter"};
	PlanNode				 seen = *scan;

	/* the condition stands at the join, the columns are the scan's */
	seen.properties = join->properties;
	for (int i = 0; i < (int) lengthof(keys); i++)
	{
		ListCell *lc;

		foreach (lc, dbperf_conditions(&seen, keys[i], table))
		{
			PlanCondition *condition = lfirst(lc);

			if (condition->column != NULL && condition->wrapped == NULL && condition->constant &&
				condition->op != NULL && strcmp(condition->op, "=") == 0)
				return condition->column;
		}
	}
	return NULL;
}

/*
 * sequential_scan_in_loop, where the rows are sorted out by the join above.
 * Gain: the time of the scan and of the join, but for one pass.
 */
static void
judge_loop(FindingContext *context, const PlanNode *join)
{
	const PlanNode *inner = dbperf_node_child(join, "Inner");
	const PlanNode *scan = inner;
	double			removed =
		join->actual_loops * dbperf_plan_number(join, "Rows Removed by Join Filter", 0);
	double		  loops;
	double		  ms;
	FindingTable *table;
	Finding		 *finding;
	char		 *column = NULL;

	if (inner == NULL || !inner->has_actual)
		return;
	loops = dbperf_node_loops(inner);
	while (dbperf_node_is(scan, "Materialize") && scan->children != NIL)
		scan = linitial(scan->children);
	if (!dbperf_node_is(scan, "Seq Scan") || loops < LOOPS || removed < 10 * MIN_ROWS ||
		removed < 9 * dbperf_node_rows(join) || dbperf_explained_by_estimate(context, scan))
		return;
	ms = dbperf_node_ms(context, inner) + dbperf_node_self_ms(context, join);
	finding = dbperf_finding_add(context, "sequential_scan_in_loop", scan, ms * (1 - 1 / loops));
	finding->evidence = psprintf("the rows of %s were gone through %.0f times, and %.0f pairs "
								 "thrown away by the join",
								 quote_identifier(scan->relation), loops, removed);
	table = dbperf_finding_table(context, scan);
	if (table != NULL)
		column = joined_column(join, scan, table);
	finding->advice =
		column != NULL ? "An index on the joined column finds the partners of a row at once."
					   : "Join by equality of plain columns, so that the planner can hash or use "
						 "an index; split a join by OR into a UNION.";
	if (column != NULL)
		finding->ddl = dbperf_ddl_index(table, list_make1(pstrdup(quote_identifier(column))));
}

/* Is something said of this scan already? */
static bool
is_judged(const FindingContext *context, const PlanNode *scan)
{
	ListCell *lc;

	foreach (lc, context->findings)
	{
		const Finding *finding = lfirst(lc);

		if (finding->node == scan)
			return true;
	}
	return false;
}

/*
 * missing_index, of a table that a join reads as a whole although few of its
 * rows have a partner.  Gain: the time of the scan and of the join, less
 * fetching those rows by an index.
 */
static void
judge_side(FindingContext *context, const PlanNode *join, const char *side, const char *other)
{
	const PlanNode *scan = dbperf_node_child(join, side);
	const PlanNode *partner = dbperf_node_child(join, other);
	double			joined = dbperf_node_rows(join);
	double			rows;
	double			ms;
	FindingTable   *table;
	Finding		   *finding;
	char		   *column;

	while ((dbperf_node_is(scan, "Hash") || dbperf_node_is(scan, "Sort")) && scan->children != NIL)
		scan = linitial(scan->children);
	if (!dbperf_node_is(scan, "Seq Scan") || partner == NULL || is_judged(context, scan))
		return;
	rows = dbperf_node_rows(scan);
	if (rows < 10 * MIN_ROWS || joined > JOINED_SHARE * rows ||
		dbperf_node_rows(partner) > PARTNER_SHARE * rows)
		return;
	table = dbperf_finding_table(context, scan);
	column = table != NULL ? joined_column(join, scan, table) : NULL;
	if (column == NULL || dbperf_column_is_indexed(table, column))
		return;
	ms = dbperf_node_self_ms(context, scan) + dbperf_node_self_ms(context, join);
	finding = dbperf_finding_add(context, "missing_index", scan,
								 ms * (1 - Min(1, INDEX_ROW_COST * joined / rows)));
	finding->evidence = psprintf("%.0f rows read, of which the join keeps %.0f", rows, joined);
	finding->advice = "An index on the joined column finds the partners of the few rows on the "
					  "other side.";
	finding->ddl = dbperf_ddl_index(table, list_make1(pstrdup(quote_identifier(column))));
}

/*
 * Judges how tables are read for joins.
 */
void
dbperf_judge_joins(FindingContext *context)
{
	ListCell *lc;

	foreach (lc, context->tree->nodes)
	{
		const PlanNode *node = lfirst(lc);

		if (!node->has_actual || node->join_type == NULL)
			continue;
		if (dbperf_node_is(node, "Nested Loop"))
			judge_loop(context, node);
		else if (strcmp(node->join_type, "Inner") == 0 || strcmp(node->join_type, "Semi") == 0)
		{
			judge_side(context, node, "Outer", "Inner");
			judge_side(context, node, "Inner", "Outer");
		}
	}
}
