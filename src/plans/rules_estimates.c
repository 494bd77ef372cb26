/*-------------------------------------------------------------------------
 *
 * rules_estimates.c
 *		Rules about rows that the planner did not expect.
 *
 * A wrong estimate does no harm by itself.  It does where it made the planner
 * choose a nested loop whose inner side then ran far too often, or a sequential
 * scan where an index would have found few rows; the gain is what that cost.
 * The finding is about the lowest node that is wrong, since those above only
 * repeat its error, and is named for the reason.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "plans/findings_int.h"
#include "utils/builtins.h"

#define WRONG 10.0		 /* times too few or too many */
#define VERY_WRONG 100.0 /* worth a word even where it did no harm */
#define STALE_SHARE 0.1	 /* of a table's rows changed since ANALYZE */
#define STALE_ROWS 500.0
#define GROWN 1.1 /* as many rows as before */
#define GROWN_BLOCKS 1.02
#define LOOP_GAIN 0.65		/* of a loop's time, which timing it has stretched as well */
#define HASH_ROW_MS 0.0001	/* to read and hash a row instead of looking it up */
#define HARMFUL_LOOPS 100.0 /* of an inner side */

/* How often the rows of a loop were more than expected. */
static double
underestimate(const PlanNode *node)
{
	return node->has_actual && node->has_cost ? (node->actual_rows + 1) / (node->plan_rows + 1) : 1;
}

/* How often they were fewer, for a node that ran to its end. */
static double
overestimate(const PlanNode *node)
{
	if (!node->has_actual || !node->has_cost || dbperf_node_above(node, "Limit") != NULL ||
		dbperf_node_above(node, "Merge Join") != NULL || node->subplan_name != NULL)
		return 1;
	return (node->plan_rows + 1) / (node->actual_rows + 1);
}

/*
 * Nodes whose estimates mean little: an index may find more than matches, and
 * nobody can know how many rows a recursion has at a time.
 */
static bool
is_unjudged(const PlanNode *node)
{
	return strncmp(node->type, "Bitmap", 6) == 0
			   ? node->relation == NULL
			   : dbperf_node_is(node, "WorkTable Scan") || dbperf_node_is(node, "Recursive Union");
}

/* Was it wrong already below? */
static bool
inherited(const PlanNode *node, double wrong, double (*measure)(const PlanNode *node))
{
	ListCell *lc;

	foreach (lc, node->children)
	{
		const PlanNode *child = lfirst(lc);

		if (child->subplan_name == NULL && !is_unjudged(child) &&
			measure(child) >= Max(3.0, wrong / 4))
			return true;
	}
	return false;
}

/*
 * Gain: a part of what the inner sides of the nested loops cost whose outer side
 * has this node's rows, less reading their tables once.
 */
static double
loop_harm(const FindingContext *context, const PlanNode *node)
{
	double harm = 0;

	while (node->parent != NULL && node->subplan_name == NULL)
	{
		const PlanNode *above = node->parent;

		if (dbperf_node_is(above, "Nested Loop") && strcmp(node->relationship, "Outer") == 0)
		{
			const PlanNode *inner = dbperf_node_child(above, "Inner");

			if (inner != NULL && dbperf_node_loops(inner) >= HARMFUL_LOOPS)
			{
				const PlanNode *scan = inner;
				FindingTable   *table;
				double			once = 0;
				double			ms = dbperf_node_ms(context, inner);

				while (scan->relation == NULL && scan->children != NIL)
					scan = linitial(scan->children);
				table = dbperf_finding_table(context, scan);
				if (table != NULL)
					once = Max(table->rows, table->live) * HASH_ROW_MS;
				/* the join's own time is spent on comparing as well */
				if (dbperf_plan_property(above, "Join Filter") != NULL)
					ms += dbperf_node_self_ms(context, above);
				harm += LOOP_GAIN * Max(0, ms - Max(once, ms / dbperf_node_loops(inner)));
			}
		}
		node = above;
	}
	return harm;
}

/* Can a plain index serve a condition with this operator, NULL if it has none? */
static bool
is_comparison(const char *op)
{
	return op == NULL || strcmp(op, "=") == 0 || strcmp(op, "<") == 0 || strcmp(op, "<=") == 0 ||
		   strcmp(op, ">") == 0 || strcmp(op, ">=") == 0;
}

/*
 * Gain: of a sequential scan, what it read in vain, if an index could have found
 * the few rows there were.
 */
static double
scan_harm(const FindingContext *context, const PlanNode *node)
{
	FindingTable *table = dbperf_finding_table(context, node);
	double		  rows = dbperf_node_rows(node);
	double		  removed = dbperf_node_removed(node);
	ListCell	 *lc;

	if (!dbperf_node_is(node, "Seq Scan") || table == NULL || removed < MIN_ROWS ||
		removed < 9 * rows)
		return 0;
	foreach (lc, dbperf_conditions(node, "Filter", table))
	{
		PlanCondition *condition = lfirst(lc);

		if (condition->column != NULL && condition->wrapped == NULL && condition->constant &&
			is_comparison(condition->op) && dbperf_column_is_indexed(table, condition->column))
			return dbperf_node_self_ms(context, node) * (1 - Min(1, 4 * rows / (rows + removed)));
	}
	return 0;
}

/*
 * Was so much of a table changed since ANALYZE that its statistics mislead?  A
 * session reports what it changed up to a second late, so what it inserted just
 * before ANALYZE may be counted behind it; then there are no more blocks than
 * ANALYZE saw.
 */
static bool
is_stale(const FindingTable *table)
{
	double blocks;

	if (table->rows < 0 || table->changed < STALE_ROWS ||
		table->changed < STALE_SHARE * table->rows)
		return false;
	blocks = dbperf_table_blocks(table);
	return blocks < 0 || table->live <= GROWN * table->rows || blocks > GROWN_BLOCKS * table->pages;
}

/* The columns that the conditions of a node compare with constants. */
static List *
compared_columns(const PlanNode *node, const FindingTable *table, bool *plain)
{
	static const char *const keys[] = {"Filter", "Index Cond", "Recheck Cond"};
	List					*columns = NIL;

	*plain = true;
	for (int i = 0; i < (int) lengthof(keys); i++)
	{
		ListCell *lc;

		foreach (lc, dbperf_conditions(node, keys[i], table))
		{
			PlanCondition *condition = lfirst(lc);
			ListCell	  *lc2;
			bool		   known = false;

			if (condition->column == NULL || !condition->literal || condition->wrapped != NULL)
			{
				*plain = false;
				continue;
			}
			foreach (lc2, columns)
				known |= strcmp(lfirst(lc2), condition->column) == 0;
			if (!known)
				columns = lappend(columns, condition->column);
			if (condition->op == NULL || strcmp(condition->op, "=") != 0)
				*plain = false;
		}
	}
	return columns;
}

/* The table below a node whose statistics mislead, or NULL. */
static FindingTable *
stale_table_below(const FindingContext *context, const PlanNode *node)
{
	FindingTable *table = dbperf_finding_table(context, node);
	ListCell	 *lc;

	if (table != NULL && (is_stale(table) || table->rows < 0))
		return table;
	foreach (lc, node->children)
	{
		table = stale_table_below(context, lfirst(lc));
		if (table != NULL)
			return table;
	}
	return NULL;
}

/* Says that statistics are missing, or of another time. */
static void
report_statistics(FindingContext *context, const PlanNode *node, const FindingTable *table,
				  bool missing, double gain, const char *numbers)
{
	const char *code = missing ? "missing_statistics" : "stale_statistics";
	Finding	   *finding = dbperf_finding_of(context, code, node);

	finding = dbperf_finding_add(context, code, node, gain);
	if (missing)
		finding->evidence = psprintf("%s; %s has no statistics for the columns compared here",
									 numbers, table->name);
	else
		finding->evidence =
			psprintf("%s; %.0f rows of %s changed since it was last analyzed with %.0f rows",
					 numbers, table->changed, table->name, table->rows);
	finding->advice =
		"Run ANALYZE, so that the planner knows what is in the table now; after bulk changes run "
		"it at once instead of waiting for autovacuum.";
	finding->ddl = psprintf("ANALYZE %s", table->name);
}

/* Says that an estimate is wrong although its statistics are right. */
static void
report_misestimate(FindingContext *context, const PlanNode *node, const FindingTable *table,
				   double gain, const char *numbers)
{
	Finding *finding = dbperf_finding_add(context, "row_misestimate", node, gain);
	List	*columns = NIL;
	bool	 plain = false;

	finding->evidence = pstrdup(numbers);
	if (table != NULL)
		columns = compared_columns(node, table, &plain);
	if (list_length(columns) >= 2 && plain)
	{
		finding->advice =
			"The planner takes the conditions on these columns as independent of each other; "
			"extended statistics tell it how they belong together. suggest_statistics() checks "
			"that on a sample.";
		finding->ddl = dbperf_ddl_statistics(table, columns);
	}
	else if (list_length(columns) == 1 && plain)
	{
		finding->advice = "The statistics of the column are too coarse for this value: a higher "
						  "statistics target keeps more of them.";
		finding->ddl = dbperf_ddl_target(table, linitial(columns));
	}
	else
		finding->advice =
			"The planner cannot know how many rows this gives. Give it something that it can "
			"estimate: a condition on plain columns, a temporary table that is analyzed, or the "
			"join order by way of a subquery.";
}

/* Names the reason of a wrong estimate. */
static void
report(FindingContext *context, const PlanNode *node, double gain)
{
	FindingTable *table = dbperf_finding_table(context, node);
	FindingTable *stale = NULL;
	char		 *numbers;
	bool		  missing = false;
	bool		  plain;
	ListCell	 *lc;

	numbers = psprintf("%.0f rows expected, %.0f found%s", node->plan_rows, node->actual_rows,
					   node->actual_loops > 1 ? " in each loop" : "");
	if (table != NULL)
	{
		missing = table->rows < 0;
		foreach (lc, compared_columns(node, table, &plain))
			missing |= !dbperf_column_has_statistics(table, lfirst(lc));
		if (missing || is_stale(table))
			stale = table;
	}
	else
	{
		stale = stale_table_below(context, node);
		missing = stale != NULL && stale->rows < 0;
	}
	if (stale != NULL)
		report_statistics(context, node, stale, missing, gain, numbers);
	else
		report_misestimate(context, node, table, gain, numbers);
}

/* Is a node below another? */
static bool
is_below(const PlanNode *node, const PlanNode *above)
{
	while (node != NULL && node != above)
		node = node->parent;
	return node != NULL;
}

/*
 * Did a node run so often because of an estimate that was found to be wrong?
 * Then it is no reason by itself.
 */
bool
dbperf_explained_by_estimate(const FindingContext *context, const PlanNode *node)
{
	static const char *const codes[] = {"stale_statistics", "missing_statistics",
										"row_misestimate"};

	for (; node->parent != NULL; node = node->parent)
	{
		ListCell *lc;

		if (!dbperf_node_is(node->parent, "Nested Loop") ||
			strcmp(node->relationship, "Inner") != 0)
			continue;
		foreach (lc, context->findings)
		{
			const Finding *finding = lfirst(lc);

			for (int i = 0; i < (int) lengthof(codes); i++)
			{
				if (strcmp(finding->code, codes[i]) == 0 && finding->gain_ms > 0 &&
					is_below(finding->node, node->parent))
					return true;
			}
		}
	}
	return false;
}

/*
 * Judges the estimates of all nodes.
 */
void
dbperf_judge_estimates(FindingContext *context)
{
	ListCell *lc;

	foreach (lc, context->tree->nodes)
	{
		const PlanNode *node = lfirst(lc);
		double			under = underestimate(node);
		double			over = overestimate(node);
		double			gain = 0;

		if (is_unjudged(node))
			continue;
		if (under >= WRONG && !inherited(node, under, underestimate))
		{
			if (dbperf_node_rows(node) >= HARMFUL_LOOPS)
				gain = loop_harm(context, node);
			if (gain > 0 || (under >= VERY_WRONG && dbperf_node_rows(node) >= MIN_ROWS))
				report(context, node, gain);
		}
		else if (over >= WRONG && !inherited(node, over, overestimate))
		{
			gain = scan_harm(context, node);
			if (gain > 0)
				report(context, node, gain);
		}
	}
}
