/*-------------------------------------------------------------------------
 *
 * rules_scans.c
 *		Rules about scans by index and about sequential scans without a filter in
 *		a loop.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_am.h"
#include "plans/findings_int.h"
#include "utils/builtins.h"

#define LOSSY_BLOCKS 100.0
#define RECHECK_COST 0.65	   /* of the time, when all rows are compared in vain */
#define BITMAP_PAGE_BYTES 64.0 /* that tbm_calculate_entries() reckons with */
#define RECHECK_SHARE 0.9	   /* of the rows that an index found */
#define FETCH_SHARE 0.3		   /* of the rows of an index-only scan */
#define FETCH_COST 0.75		   /* of its time, to look into the table for all of them */
#define LOOPS 10.0

/* Does a bitmap come from an index that knows pages only, however much memory there is? */
static bool
has_coarse_index(const FindingContext *context, const PlanNode *node)
{
	FindingTable *table = dbperf_finding_table(context, node);
	ListCell	 *lc;

	if (node->index != NULL)
		return false;
	foreach (lc, node->children)
	{
		const PlanNode *child = lfirst(lc);

		if (child->index == NULL)
			return table == NULL;
		if (table == NULL || dbperf_index_method(table, child->index) == BRIN_AM_OID)
			return true;
	}
	return false;
}

/*
 * lossy_bitmap.  Gain: the rows that were looked at only because the bitmap
 * had forgotten which ones of a page it meant, as a share of the scan's rows;
 * the pages have to be visited all the same.
 */
static void
judge_lossy(FindingContext *context, const PlanNode *node)
{
	double exact = dbperf_plan_part(node, "Heap Blocks", "exact", 0);
	double lossy = dbperf_plan_part(node, "Heap Blocks", "lossy", 0);
	double rechecked =
		node->actual_loops * dbperf_plan_number(node, "Rows Removed by Index Recheck", 0);
	double	 rows = dbperf_node_rows(node);
	Finding *finding;

	if (lossy < LOSSY_BLOCKS || has_coarse_index(context, node))
		return;
	finding = dbperf_finding_add(context, "lossy_bitmap", node,
								 dbperf_node_self_ms(context, node) * RECHECK_COST * rechecked /
									 Max(rechecked + rows, 1));
	finding->evidence = psprintf("%.0f of %.0f blocks had to be read as a whole, and %.0f rows "
								 "compared again in vain",
								 lossy, lossy + exact, rechecked);
	finding->advice = "The bitmap did not fit into work_mem, so it kept pages instead of rows. "
					  "More memory keeps it exact.";
	finding->setting = dbperf_work_mem(context, 2 * (lossy + exact) * BITMAP_PAGE_BYTES / 1024);
}

/*
 * index_recheck: the index finds far more than matches.  Gain: the rows that
 * were compared in vain, as a share of the scan's.
 */
static void
judge_recheck(FindingContext *context, const PlanNode *node)
{
	double removed =
		node->actual_loops * dbperf_plan_number(node, "Rows Removed by Index Recheck", 0);
	double	 rows = dbperf_node_rows(node);
	Finding *finding;

	if (removed < MIN_ROWS || removed < RECHECK_SHARE * (removed + rows) ||
		dbperf_finding_of(context, "lossy_bitmap", node) != NULL)
		return;
	finding = dbperf_finding_add(context, "index_recheck", node,
								 dbperf_node_self_ms(context, node) * removed / (removed + rows));
	finding->evidence =
		psprintf("the index found %.0f rows, of which %.0f did not match", removed + rows, removed);
	finding->advice =
		"The index is too coarse for this condition: a longer search word (trigrams), "
		"smaller pages_per_range (BRIN), or an index of another type.";
}

/*
 * heap_fetches.  Gain: the share of rows that the table was asked for, of the
 * part of the time that this takes.
 */
static void
judge_fetches(FindingContext *context, const PlanNode *node)
{
	double		  fetches = dbperf_plan_number(node, "Heap Fetches", 0);
	double		  rows = dbperf_node_rows(node) + dbperf_node_removed(node);
	FindingTable *table;
	Finding		 *finding;

	if (fetches < MIN_ROWS || fetches < FETCH_SHARE * rows)
		return;
	finding = dbperf_finding_add(context, "heap_fetches", node,
								 dbperf_node_self_ms(context, node) * FETCH_COST *
									 Min(1, fetches / Max(rows, 1)));
	finding->evidence =
		psprintf("%.0f of %.0f rows had to be looked up in the table", fetches, rows);
	finding->advice = "The index has all columns, but the visibility map does not know whether "
					  "everybody may see the rows. VACUUM brings it up to date; if this comes "
					  "back, have the table vacuumed more often.";
	table = dbperf_finding_table(context, node);
	if (table != NULL)
		finding->ddl = psprintf("VACUUM %s", table->name);
}

/* The column of a scan's table that the join above compares for equality, or NULL. */
static char *
joined_column(const PlanNode *join, const PlanNode *scan, const FindingTable *table)
{
	PlanNode  seen = *scan;
	ListCell *lc;

	/* the condition stands at the join, the columns are the scan's */
	seen.properties = join->properties;
	foreach (lc, dbperf_conditions(&seen, "Join Filter", table))
	{
		PlanCondition *condition = lfirst(lc);

		if (condition->column != NULL && condition->wrapped == NULL && condition->op != NULL &&
			strcmp(condition->op, "=") == 0)
			return condition->column;
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

/*
 * Judges how tables are read.
 */
void
dbperf_judge_scans(FindingContext *context)
{
	ListCell *lc;

	foreach (lc, context->tree->nodes)
	{
		const PlanNode *node = lfirst(lc);

		if (!node->has_actual)
			continue;
		if (dbperf_node_is(node, "Bitmap Heap Scan"))
			judge_lossy(context, node);
		if (dbperf_node_is(node, "Bitmap Heap Scan") || dbperf_node_is(node, "Index Scan"))
			judge_recheck(context, node);
		if (dbperf_node_is(node, "Index Only Scan"))
			judge_fetches(context, node);
		if (dbperf_node_is(node, "Nested Loop"))
			judge_loop(context, node);
	}
}
