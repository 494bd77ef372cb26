/*-------------------------------------------------------------------------
 *
 * rules_scans.c
 *		Rules about scans by index.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_am.h"
#include "plans/findings_int.h"

#define LOSSY_BLOCKS 100.0
#define RECHECK_COST 0.65	   /* of the time, when all rows are compared in vain */
#define BITMAP_PAGE_BYTES 64.0 /* that tbm_calculate_entries() reckons with */
#define RECHECK_SHARE 0.9	   /* of the rows that an index found */
#define FETCH_SHARE 0.3		   /* of the rows of an index-only scan */
#define FETCH_COST 0.75		   /* of its time, to look into the table for all of them */

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
	}
}
