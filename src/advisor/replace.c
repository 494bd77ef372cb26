/*-------------------------------------------------------------------------
 *
 * replace.c
 *		Finds the index that a proposed one makes superfluous.
 *
 * Advice to create an index on (a, b) beside one on (a) is half an advice.
 * The old one may go if the new one serves whatever it serves, nothing but
 * queries needs it, and no statement of the workload costs more without it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/selection.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"

/* A statement may cost this much more: a wider index has more pages. */
#define ACCEPTED_LOSS 1.05

/* What a visit needs to know and finds out. */
typedef struct Hiding
{
	const Config *final;
	List		 *hidden;
	bool		  worse;
} Hiding;

/* CostVisitor: whether the subject would cost more with the old index hidden. */
static void
visit_hidden(CostCache *cache, SubjectCosts *costs, const Analyzed *analyzed, void *arg)
{
	Hiding	 *hiding = arg;
	double	  cost = 0;
	ListCell *lc;

	for (int i = 0; i < analyzed->nsets; i++)
	{
		foreach (lc, analyzed->queries)
		{
			WhatIfPlan plan;

			dbperf_whatif_plan(cache->whatif, lfirst_node(Query, lc), costs->subject->text,
							   analyzed->sets[i], analyzed->cursor_options, hiding->final->set,
							   hiding->hidden, &plan);
			cost += plan.cost;
		}
	}
	if (cost / analyzed->nsets > hiding->final->costs[costs->subject->number] * ACCEPTED_LOSS)
		hiding->worse = true;
}

/* Whether the workload can do without a real index, given the final set. */
static bool
can_go(Selection *sel, const RealIndex *index, const Config *final)
{
	CostCache *cache = sel->cache;
	Hiding	   hiding = {.final = final, .hidden = list_make1_oid(index->oid)};

	for (int i = 0; i < cache->nsubjects && !hiding.worse; i++)
	{
		SubjectCosts *costs = &cache->subjects[i];

		if (costs->nentries > 0 && list_member_oid(costs->tables, index->def->relid) &&
			!dbperf_cost_visit(cache, costs, visit_hidden, &hiding))
			return false;
	}
	return !hiding.worse;
}

/*
 * Fills in which real index each piece of advice replaces, one at most.
 */
void
dbperf_advice_find_replaced(Selection *sel, List *advice, const Config *final)
{
	List	 *replaced = NIL;
	ListCell *lc;

	foreach (lc, advice)
	{
		Advice	 *a = lfirst(lc);
		Oid		  relid = a->candidate->def->relid;
		ListCell *lc2;

		/* An index of a partitioned table cannot be dropped concurrently. */
		if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
			continue;
		foreach (lc2, dbperf_index_def_superseded(a->candidate->def, dbperf_real_indexes(relid)))
		{
			RealIndex *index = lfirst(lc2);

			CHECK_FOR_INTERRUPTS();
			if (list_member_oid(replaced, index->oid) || !can_go(sel, index, final))
				continue;
			a->replaces = index->oid;
			replaced = lappend_oid(replaced, index->oid);
			break;
		}
	}
	list_free(replaced);
}
