/*-------------------------------------------------------------------------
 *
 * rules_subplans.c
 *		Rules about subqueries and CTEs that run, or are read, again and again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "plans/findings_int.h"

#define SUBPLAN_LOOPS 100.0
#define CTE_LOOPS 10.0

/* The property of a node, or of one above it, that has this in it. */
static bool
stands_under_not(const PlanNode *node, const char *name)
{
	char	 *plain = psprintf("NOT (%s", name); /* up to 16 */
	char	 *hashed = psprintf("NOT (hashed %s", name);
	ListCell *lc;

	foreach (lc, node->properties)
	{
		PlanProperty *property = lfirst(lc);
		const char	 *any = strstr(property->value, "NOT (ANY (");

		if (strstr(property->value, plain) != NULL || strstr(property->value, hashed) != NULL)
			return true;
		if (any != NULL && strstr(any, name) != NULL)
			return true;
	}
	return false;
}

/* The finding about a scan below a node that an index helps, and helps most. */
static Finding *
finding_below(const FindingContext *context, const PlanNode *node)
{
	Finding	 *best = NULL;
	ListCell *lc;

	foreach (lc, context->findings)
	{
		Finding *finding = lfirst(lc);

		if (finding->node == NULL || finding->ddl == NULL ||
			strncmp(finding->ddl, "CREATE INDEX", 12) != 0)
			continue;
		for (const PlanNode *above = finding->node; above != NULL; above = above->parent)
		{
			if (above == node && (best == NULL || finding->gain_ms > best->gain_ms))
				best = finding;
		}
	}
	return best;
}

/* The finding about a CTE that is read again and again below a node, or NULL. */
static Finding *
cte_below(const FindingContext *context, const PlanNode *node)
{
	Finding	 *finding = NULL;
	ListCell *lc;

	if (dbperf_node_is(node, "CTE Scan"))
		return dbperf_finding_of(context, "cte_rescanned", node);
	foreach (lc, node->children)
	{
		finding = cte_below(context, lfirst(lc));
		if (finding != NULL)
			break;
	}
	return finding;
}

/*
 * not_in_subquery.  Gain: all passes over the subquery's rows but one, if it
 * could not be hashed; a hashed one is only worth a word.
 */
static void
judge_not_in(FindingContext *context, const PlanNode *node)
{
	double			loops = dbperf_node_loops(node);
	double			rows = 0;
	const PlanNode *source = node;
	Finding		   *finding;
	double			ms;

	while (dbperf_node_is(source, "Materialize") && source->children != NIL)
		source = linitial(source->children);
	rows = dbperf_node_rows(source);
	if (loops < SUBPLAN_LOOPS)
	{
		if (rows < MIN_ROWS)
			return;
		finding = dbperf_finding_add(context, "not_in_subquery", node, -1);
		finding->evidence = psprintf("NOT IN over a subquery of %.0f rows", rows);
		finding->advice = "NOT EXISTS can be planned as an anti join, and it does not become empty "
						  "when the subquery has a null.";
		return;
	}
	ms = dbperf_node_ms(context, node) + dbperf_node_self_ms(context, node->parent);
	finding = dbperf_finding_add(context, "not_in_subquery", node, ms * (1 - 1 / loops));
	finding->evidence =
		psprintf("the %.0f rows of the subquery were gone through %.0f times", rows, loops);
	finding->advice = "NOT IN cannot be planned as a join, since a null in the subquery counts. "
					  "Write NOT EXISTS, which becomes an anti join; or give work_mem for a hash "
					  "table of the subquery's rows.";
	finding->setting = dbperf_work_mem(context, 2 * rows * (source->plan_width + 64) / 1024);
}

/*
 * correlated_subplan.  Gain: all runs but one, less what a join would take for
 * the same rows; where an index makes each run quick, what the index gains.
 */
static void
judge_correlated(FindingContext *context, const PlanNode *node)
{
	double	 loops = dbperf_node_loops(node);
	double	 ms = dbperf_node_ms(context, node);
	Finding *below;
	Finding *finding;

	if (loops < SUBPLAN_LOOPS)
		return;
	below = cte_below(context, node);
	if (below != NULL)
	{
		below->gain_ms = Max(below->gain_ms, ms * (1 - 1 / loops));
		return;
	}
	below = finding_below(context, node);
	finding =
		dbperf_finding_add(context, "correlated_subplan", node,
						   below != NULL ? Max(below->gain_ms, 0) : ms * (1 - 1 / sqrt(loops)));
	finding->evidence = psprintf("%s ran %.0f times, once for each row", node->subplan_name, loops);
	finding->advice = "Write the subquery as a join with a grouped subquery, or as LATERAL, so "
					  "that it can be planned together with the rest.";
	if (below == NULL)
		return;
	finding->evidence = psprintf("%s; each time: %s", finding->evidence, below->evidence);
	finding->advice =
		psprintf("%s As long as it stays, an index for each run helps.", finding->advice);
	finding->ddl = below->ddl;
	context->findings = list_delete_ptr(context->findings, below);
}

/*
 * cte_rescanned.  Gain: the time of the passes but the first.
 */
static void
judge_cte(FindingContext *context, const PlanNode *node)
{
	double	 loops = dbperf_node_loops(node);
	double	 read = dbperf_node_rows(node) + dbperf_node_removed(node);
	Finding *finding;
	double	 ms;

	if (loops < CTE_LOOPS || read < 10 * MIN_ROWS)
		return;
	ms = dbperf_node_self_ms(context, node);
	if (node->parent != NULL && dbperf_plan_property(node->parent, "Join Filter") != NULL)
		ms += dbperf_node_self_ms(context, node->parent);
	finding = dbperf_finding_add(context, "cte_rescanned", node, ms * (1 - 1 / loops));
	finding->evidence = psprintf("CTE %s was read %.0f times from its first row to its last, %.0f "
								 "rows in all",
								 node->cte_name != NULL ? node->cte_name : "", loops, read);
	finding->advice =
		"A CTE has no index and no statistics. Write it as a subquery or AS NOT "
		"MATERIALIZED, or put it into a temporary table with an index and ANALYZE it.";
}

/*
 * Judges subqueries.  CTEs come first: a subquery that does nothing but read one
 * is explained by it.
 */
void
dbperf_judge_subplans(FindingContext *context)
{
	ListCell *lc;

	foreach (lc, context->tree->nodes)
	{
		const PlanNode *node = lfirst(lc);

		if (node->has_actual && dbperf_node_is(node, "CTE Scan"))
			judge_cte(context, node);
	}
	foreach (lc, context->tree->nodes)
	{
		const PlanNode *node = lfirst(lc);

		if (!node->has_actual || node->subplan_name == NULL ||
			strcmp(node->relationship, "SubPlan") != 0)
			continue;
		if (stands_under_not(node->parent, node->subplan_name))
			judge_not_in(context, node);
		else
			judge_correlated(context, node);
	}
}
