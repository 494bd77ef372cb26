/*-------------------------------------------------------------------------
 *
 * drops_judge.c
 *		What the recorded workload would cost without some indexes.
 *
 * First each index is hidden alone, then those that passed are hidden one
 * after the other: two indexes may each be dispensable as long as the other
 * one is there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/drops.h"
#include "advisor/whatif.h"
#include "advisor/workload.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"

/* A drop that makes the workload dearer than this is not proposed. */
#define MAX_COST_RATIO 1.01

/* The longest that the plans of one statement may take, in milliseconds. */
#define STATEMENT_LIMIT_MS 5000

/* What the visitor needs, and what it finds out about one statement. */
typedef struct DropQuestion
{
	List   *proposals; /* in the order in which they are hidden */
	bool	together;  /* each one with all before it, not alone */
	bool   *touched;   /* by proposal: the statement touches its tables */
	double *before;	   /* by proposal: cost without those before it ... */
	double *after;	   /* ... and without it as well */
} DropQuestion;

/*
 * Walker: collects the tables of a query, children included, in the List of
 * OIDs that context points to.
 */
static bool
collect_tables(Node *node, void *context)
{
	List **tables = context;

	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		if (rte->rtekind == RTE_RELATION && rte->inh)
			*tables =
				list_concat_unique_oid(*tables, find_all_inheritors(rte->relid, NoLock, NULL));
		else if (rte->rtekind == RTE_RELATION)
			*tables = list_append_unique_oid(*tables, rte->relid);
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, collect_tables, context, QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, collect_tables, context);
}

/*
 * Cost of all queries of a statement without the hidden indexes, the mean over
 * the sets of parameters, and which real indexes the plans use.
 */
static double
statement_cost(WhatIf *whatif, Subject *subject, const Analyzed *analyzed, List *hidden,
			   List **used)
{
	double	  cost = 0;
	ListCell *lc;

	*used = NIL;
	foreach (lc, analyzed->queries)
	{
		for (int i = 0; i < analyzed->nsets; i++)
		{
			WhatIfPlan plan;

			dbperf_whatif_plan(whatif, lfirst(lc), subject->text, analyzed->sets[i],
							   analyzed->cursor_options, NULL, hidden, &plan);
			cost += plan.cost / analyzed->nsets;
			*used = list_concat_unique_oid(*used, plan.used_real);
		}
	}
	return cost;
}

/*
 * Visitor: cost of the statement without the indexes of each proposal.  It can
 * only change if the plan used one of them.
 */
static void
compare_costs(Subject *subject, const Analyzed *analyzed, void *arg)
{
	DropQuestion *question = arg;
	WhatIf		 *whatif = dbperf_whatif_create();
	List		 *tables = NIL;
	List		 *hidden = NIL;
	List		 *used;
	bool		  planned = false;
	double		  cost = 0;
	ListCell	 *lc;

	foreach (lc, analyzed->queries)
		(void) collect_tables(lfirst(lc), &tables);

	foreach (lc, question->proposals)
	{
		DropProposal *proposal = lfirst(lc);
		int			  n = foreach_current_index(lc);

		question->touched[n] = dbperf_oids_overlap(proposal->tables, tables);
		if (!question->touched[n])
			continue;
		if (!planned)
			cost = statement_cost(whatif, subject, analyzed, NIL, &used);
		planned = true;

		question->before[n] = question->after[n] = cost;
		if (question->together)
			hidden = list_concat_copy(hidden, proposal->indexes);
		else
			hidden = proposal->indexes;
		if (dbperf_oids_overlap(used, hidden))
		{
			List *used_after;

			question->after[n] = statement_cost(whatif, subject, analyzed, hidden, &used_after);
			if (question->together)
			{
				cost = question->after[n];
				used = used_after;
			}
		}
	}
}

/*
 * Adds what one statement costs to the proposals that it touches, weighted by
 * the time that it took so far.
 */
static void
add_costs(DropQuestion *question, const Subject *subject)
{
	double	  weight = subject->total_ms > 0 ? subject->total_ms : Max(subject->calls, 1);
	ListCell *lc;

	foreach (lc, question->proposals)
	{
		DropProposal *proposal = lfirst(lc);
		int			  n = foreach_current_index(lc);

		if (question->touched[n] && question->before[n] > 0)
		{
			proposal->before += weight;
			proposal->after += weight * (question->after[n] / question->before[n]);
		}
	}
}

/*
 * Whether the statement cannot be run any more, since what it reads is gone.
 */
static bool
lacks_table(const Subject *subject)
{
	return subject->error != NULL && (subject->error->sqlerrcode == ERRCODE_UNDEFINED_TABLE ||
									  subject->error->sqlerrcode == ERRCODE_UNDEFINED_SCHEMA);
}

/*
 * Visits all statements before the deadline.  Returns how many could not be
 * judged.
 */
static int
visit_workload(Workload *workload, DropQuestion *question, int64 deadline_ns)
{
	int		  count = list_length(question->proposals);
	int		  unjudged = 0;
	ListCell *lc;

	question->touched = palloc(sizeof(bool) * count);
	question->before = palloc(sizeof(double) * count);
	question->after = palloc(sizeof(double) * count);

	foreach (lc, workload->subjects)
	{
		Subject *subject = lfirst(lc);
		int64	 left_ms = (deadline_ns - dbperf_now_ns()) / 1000000;
		bool	 timed_out = false;

		CHECK_FOR_INTERRUPTS();
		memset(question->touched, 0, sizeof(bool) * count);
		if (left_ms > 0 && subject->problem == NULL &&
			dbperf_subject_visit(subject, (int) Min(left_ms, STATEMENT_LIMIT_MS), compare_costs,
								 question, &timed_out))
			add_costs(question, subject);
		else if (!subject->ignored && !lacks_table(subject))
			unjudged++;
	}
	return unjudged;
}

/*
 * Whether the workload becomes too dear.
 */
static bool
too_dear(const DropProposal *proposal)
{
	return proposal->after > proposal->before * MAX_COST_RATIO;
}

/*
 * Has the recorded workload judge the proposals: fills before and after of
 * each, for itself alone, and rejects those that make it dearer.  Returns how
 * many statements could not take part.
 */
int
dbperf_drops_judge(List *proposals, int limit_ms)
{
	int64		 deadline = dbperf_now_ns() + (int64) limit_ms * 1000000;
	Workload	*workload;
	DropQuestion question = {NIL, false, NULL, NULL, NULL};
	List		*passed = NIL;
	int			 unjudged;
	ListCell	*lc;

	/* no plan uses an invalid index */
	foreach (lc, proposals)
	{
		if (((DropProposal *) lfirst(lc))->reason != DROP_INVALID)
			question.proposals = lappend(question.proposals, lfirst(lc));
	}
	if (question.proposals == NIL)
		return 0;
	workload = dbperf_workload_recorded();
	unjudged = visit_workload(workload, &question, deadline);

	foreach (lc, question.proposals)
	{
		DropProposal *proposal = lfirst(lc);

		proposal->rejected = too_dear(proposal);
		if (!proposal->rejected && proposal->before > 0)
		{
			DropProposal *copy = palloc(sizeof(DropProposal));

			*copy = *proposal;
			copy->before = copy->after = 0;
			passed = lappend(passed, copy);
		}
	}
	if (list_length(passed) < 2)
		return unjudged;

	question.proposals = passed;
	question.together = true;
	unjudged = Max(unjudged, visit_workload(workload, &question, deadline));
	foreach (lc, proposals)
	{
		DropProposal *proposal = lfirst(lc);
		ListCell	 *other;

		foreach (other, passed)
		{
			DropProposal *copy = lfirst(other);

			if (copy->real == proposal->real && too_dear(copy))
				proposal->rejected = true;
		}
	}
	return unjudged;
}
