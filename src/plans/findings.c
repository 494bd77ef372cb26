/*-------------------------------------------------------------------------
 *
 * findings.c
 *		Judges a plan: asks all rules, weighs what they found, and puts the root
 *		causes first.
 *
 * Each family of rules has a file of its own.  They run in the order below: a
 * rule may look at what those before it found, and keep silent about what
 * follows from it.  How much a finding weighs depends on what the statement
 * would gain, not on how odd the plan looks.
 *
 * The codes, each explained in the README:
 *	stale_statistics, missing_statistics, row_misestimate,
 *	limit_wrong_index, large_offset,
 *	missing_index, rows_removed_by_filter, sequential_scan_in_loop,
 *	function_on_column, cast_on_column, leading_wildcard,
 *	lossy_bitmap, index_recheck, heap_fetches, partitions_not_pruned,
 *	sort_spilled, hash_spilled, correlated_subplan, cte_rescanned,
 *	not_in_subquery, jit_share, planning_share, trigger_share,
 *	workers_not_launched
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "plans/findings_int.h"

static void (*const judges[])(FindingContext *context) = {
	dbperf_judge_estimates, dbperf_judge_limits,   dbperf_judge_partitions,
	dbperf_judge_filters,	dbperf_judge_scans,	   dbperf_judge_joins,
	dbperf_judge_memory,	dbperf_judge_subplans, dbperf_judge_shares};

/*
 * Adds a finding about a node, NULL for the whole statement.  The caller fills
 * in the texts, and a severity that the finding has whatever the gain is.
 * gain_ms is -1 if it is not known.
 */
Finding *
dbperf_finding_add(FindingContext *context, const char *code, const PlanNode *node, double gain_ms)
{
	Finding *finding = palloc0(sizeof(Finding));

	finding->code = code;
	finding->node = node;
	finding->severity = FINDING_INFO;
	finding->gain_ms = gain_ms;
	if (context->total_ms <= 0)
		finding->gain_ms = -1;
	else if (strcmp(code, "planning_share") != 0)
		finding->gain_ms = Min(gain_ms, context->total_ms);
	context->findings = lappend(context->findings, finding);
	return finding;
}

/* The finding of this code about a node, about any node if that is NULL; or NULL. */
Finding *
dbperf_finding_of(const FindingContext *context, const char *code, const PlanNode *node)
{
	ListCell *lc;

	foreach (lc, context->findings)
	{
		Finding *finding = lfirst(lc);

		if (strcmp(finding->code, code) == 0 && (node == NULL || finding->node == node))
			return finding;
	}
	return NULL;
}

/* Weighs a finding by what the statement gains; the rule may have found it weightier. */
static void
weigh(const FindingContext *context, Finding *finding)
{
	double			share;
	FindingSeverity severity = FINDING_INFO;

	if (finding->gain_ms < 0)
		return;
	share = finding->gain_ms / Max(context->total_ms, finding->gain_ms);
	if (share >= CRITICAL_SHARE && finding->gain_ms >= CRITICAL_MS)
		severity = FINDING_CRITICAL;
	else if (share >= WARNING_SHARE && finding->gain_ms >= WARNING_MS)
		severity = FINDING_WARNING;
	finding->severity = Max(finding->severity, severity);
}

/* Do two findings say the same: one command helps both, or they are of two partitions? */
static bool
is_same(const Finding *a, const Finding *b)
{
	if (strcmp(a->code, b->code) != 0 || a->node == NULL || b->node == NULL ||
		(a->ddl == NULL) != (b->ddl == NULL))
		return false;
	if (a->ddl != NULL)
		return strcmp(a->ddl, b->ddl) == 0;
	return a->setting == NULL && b->setting == NULL && dbperf_node_is(a->node->parent, "Append") &&
		   a->node->parent == b->node->parent;
}

/*
 * Makes one finding of those that say the same: it gains what they do together.
 */
static List *
merged(List *findings)
{
	List	 *kept = NIL;
	ListCell *lc;
	ListCell *lc2;

	foreach (lc, findings)
	{
		Finding *first = lfirst(lc);
		int		 others = 0;

		foreach (lc2, kept)
		{
			if (is_same(lfirst(lc2), first))
				break;
		}
		if (lc2 != NULL)
			continue;
		kept = lappend(kept, first);
		for_each_from (lc2, findings, foreach_current_index(lc) + 1)
		{
			const Finding *other = lfirst(lc2);

			if (!is_same(first, other))
				continue;
			if (other->gain_ms > 0)
				first->gain_ms = Max(first->gain_ms, 0) + other->gain_ms;
			others++;
		}
		if (others > 0)
			first->evidence = psprintf("%s; the same at %d more nodes", first->evidence, others);
	}
	return kept;
}

/* Does a finding come before another one that was found earlier? */
static bool
comes_before(const Finding *a, const Finding *b)
{
	if (a->severity != b->severity)
		return a->severity > b->severity;
	return a->gain_ms > b->gain_ms;
}

/* The more severe first, then what gains more; equals stay in the rules' order. */
static List *
in_order(List *findings)
{
	List	 *sorted = NIL;
	ListCell *lc;

	foreach (lc, findings)
	{
		int place = 0;

		while (place < list_length(sorted) && !comes_before(lfirst(lc), list_nth(sorted, place)))
			place++;
		sorted = list_insert_nth(sorted, place, lfirst(lc));
	}
	return sorted;
}

List *
dbperf_findings(const FindingSubject *subject)
{
	FindingContext context = {0};
	ListCell	  *lc;

	if (subject->tree == NULL)
		return NIL;
	context.subject = subject;
	context.tree = subject->tree;
	context.total_ms = subject->duration_ms;
	if (context.total_ms <= 0 && context.tree->root->has_time)
		context.total_ms = context.tree->root->actual_total;
	context.total_work = dbperf_tree_work(context.tree);

	for (int i = 0; i < (int) lengthof(judges); i++)
	{
		CHECK_FOR_INTERRUPTS();

		/* an outline has nothing but names, but the statement was measured */
		if (!subject->tree->outline || judges[i] == dbperf_judge_shares)
			judges[i](&context);
	}
	context.findings = merged(context.findings);
	foreach (lc, context.findings)
		weigh(&context, lfirst(lc));
	return in_order(context.findings);
}

const char *
dbperf_finding_severity(FindingSeverity severity)
{
	return severity == FINDING_CRITICAL	 ? "critical"
		   : severity == FINDING_WARNING ? "warning"
										 : "info";
}
