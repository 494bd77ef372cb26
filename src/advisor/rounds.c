/*-------------------------------------------------------------------------
 *
 * rounds.c
 *		Finds out which candidates the planner would use at all.
 *
 * All candidates of a statement are shown to the planner at once.  Those that
 * it uses are hidden in the next round, which finds the second best, and so
 * on: a few planner calls make hundreds of candidates tens.  Rounds with only
 * narrow ones follow, since a covering index always looks best while space
 * costs nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/selection.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* With more than these per table planning becomes slow. */
#define MAX_SHOWN_PER_TABLE 40
/* Rounds in which winners are hidden. */
#define MAX_ROUNDS 6
#define MAX_NARROW_ROUNDS 2
/* A plan that saves less than this share found nothing. */
#define MIN_ROUND_SAVING 0.01
/* Sets of candidates that were used together are kept up to this number. */
#define MAX_BUNDLES 500

/* What a visit of rounds works on. */
typedef struct Rounds
{
	Selection *sel;
	Bitmapset *pool; /* candidates to look at */
} Rounds;

/* At most so many candidates per table, those with the lowest numbers. */
static Bitmapset *
limit_per_table(CostCache *cache, const Bitmapset *pool)
{
	Bitmapset *result = NULL;
	List	  *tables = NIL;
	List	  *counts = NIL;
	int		   id = -1;

	while ((id = bms_next_member(pool, id)) >= 0)
	{
		Oid		  relid = cache->whatif->indexes[id]->def->relid;
		ListCell *table;
		ListCell *count;
		bool	  found = false;

		forboth (table, tables, count, counts)
		{
			if (lfirst_oid(table) != relid)
				continue;
			found = true;
			if (lfirst_int(count) < MAX_SHOWN_PER_TABLE)
			{
				lfirst_int(count)++;
				result = bms_add_member(result, id);
			}
			break;
		}
		if (!found)
		{
			tables = lappend_oid(tables, relid);
			counts = lappend_int(counts, 1);
			result = bms_add_member(result, id);
		}
	}
	return result;
}

/* Keeps a set of candidates that were used together. */
static void
keep_bundle(Selection *sel, const Bitmapset *used)
{
	MemoryContext caller;
	ListCell	 *lc;

	if (bms_num_members(used) < 2 || list_length(sel->bundles) >= MAX_BUNDLES)
		return;
	foreach (lc, sel->bundles)
	{
		if (bms_equal(lfirst(lc), used))
			return;
	}
	caller = MemoryContextSwitchTo(sel->context);
	sel->bundles = lappend(sel->bundles, bms_copy(used));
	MemoryContextSwitchTo(caller);
}

/* Plans with a set.  What the plan uses is alive if it saves something. */
static const CostEntry *
plan_round(Rounds *rounds, SubjectCosts *costs, const Analyzed *analyzed, const Bitmapset *shown)
{
	Selection		*sel = rounds->sel;
	const CostEntry *entry = dbperf_cost_plan(sel->cache, costs, analyzed, shown);
	double			 saving = costs->subject->cost_before - entry->cost;

	if (saving >= MIN_ROUND_SAVING * costs->subject->cost_before && saving >= sel->min_saving)
	{
		MemoryContext caller = MemoryContextSwitchTo(sel->context);

		sel->alive = bms_add_members(sel->alive, entry->used);
		MemoryContextSwitchTo(caller);
		keep_bundle(sel, entry->used);
		costs->active = true;
	}
	return entry;
}

/* Plans without each of the candidates that a plan used, to see what replaces it. */
static void
leave_one_out(Rounds *rounds, SubjectCosts *costs, const Analyzed *analyzed, const Bitmapset *shown,
			  const Bitmapset *used)
{
	int id = -1;

	if (bms_num_members(used) < 2)
		return;
	while ((id = bms_next_member(used, id)) >= 0)
		plan_round(rounds, costs, analyzed, bms_del_member(bms_copy(shown), id));
}

/*
 * Shows a pool of candidates, hiding winners from round to round.  What was
 * shown in vain gives place to the rest of a large pool.
 */
static void
hide_winners(Rounds *rounds, SubjectCosts *costs, const Analyzed *analyzed, Bitmapset *pool,
			 int max_rounds)
{
	Bitmapset *remaining = bms_copy(pool);

	for (int round = 0; round < max_rounds && !bms_is_empty(remaining);)
	{
		Bitmapset		*shown = limit_per_table(rounds->sel->cache, remaining);
		const CostEntry *entry = plan_round(rounds, costs, analyzed, shown);
		Bitmapset		*used = bms_copy(entry->used);
		double			 saving = costs->subject->cost_before - entry->cost;

		CHECK_FOR_INTERRUPTS();
		if (saving < MIN_ROUND_SAVING * costs->subject->cost_before || bms_is_empty(used))
		{
			remaining = bms_del_members(remaining, shown);
			continue;
		}
		if (round == 0)
			leave_one_out(rounds, costs, analyzed, shown, used);
		remaining = bms_del_members(remaining, used);
		round++;
	}
}

/* The candidates of a pool that carry no columns, or have one column only. */
static Bitmapset *
narrow_ones(CostCache *cache, const Bitmapset *pool, int max_columns)
{
	Bitmapset *result = NULL;
	int		   id = -1;

	while ((id = bms_next_member(pool, id)) >= 0)
	{
		const IndexDef *def = cache->whatif->indexes[id]->def;

		if (def->ncolumns == def->nkeys && def->ncolumns <= max_columns)
			result = bms_add_member(result, id);
	}
	return result;
}

/* Takes what can never fit into the budget out of a pool; sizes all others. */
static Bitmapset *
affordable_ones(Selection *sel, const Bitmapset *pool)
{
	WhatIf	  *whatif = sel->cache->whatif;
	Bitmapset *result = NULL;
	int		   id = -1;

	while ((id = bms_next_member(pool, id)) >= 0)
	{
		HypoIndex *index = whatif->indexes[id];
		Candidate *candidate = sel->cache->candidates->candidates[id];

		if (index->bytes < 0)
			dbperf_whatif_size(whatif, index);
		if (sel->request->storage_budget >= 0 && index->bytes > sel->request->storage_budget)
			candidate->verdict = "It is larger than storage_budget.";
		else
			result = bms_add_member(result, id);
	}
	return result;
}

/* CostVisitor: all rounds with the subject's own candidates. */
static void
visit_own(CostCache *cache, SubjectCosts *costs, const Analyzed *analyzed, void *arg)
{
	Rounds	  *rounds = arg;
	Bitmapset *pool = affordable_ones(rounds->sel, rounds->pool);
	Bitmapset *narrow = narrow_ones(cache, pool, INDEX_MAX_KEYS);
	Bitmapset *single = narrow_ones(cache, pool, 1);

	hide_winners(rounds, costs, analyzed, pool, MAX_ROUNDS);
	if (!costs->active)
		return;
	if (!bms_equal(narrow, pool))
		hide_winners(rounds, costs, analyzed, narrow, MAX_NARROW_ROUNDS);
	if (!bms_equal(single, narrow))
		hide_winners(rounds, costs, analyzed, single, MAX_NARROW_ROUNDS);
}

/* CostVisitor: one or two rounds with other subjects' candidates added. */
static void
visit_foreign(CostCache *cache, SubjectCosts *costs, const Analyzed *analyzed, void *arg)
{
	Rounds	  *rounds = arg;
	Bitmapset *shown = limit_per_table(cache, affordable_ones(rounds->sel, rounds->pool));
	Bitmapset *used;

	used = bms_copy(plan_round(rounds, costs, analyzed, bms_union(shown, costs->useful))->used);
	if (bms_overlap(used, rounds->pool))
		plan_round(rounds, costs, analyzed, bms_difference(bms_union(shown, costs->useful), used));
	/* Bounds every set from below. */
	if (!bms_is_subset(costs->useful, shown))
		dbperf_cost_plan(cache, costs, analyzed, costs->useful);
}

/* Candidates that were made for a subject and are still open. */
static Bitmapset *
own_candidates(CostCache *cache, int subject)
{
	Bitmapset *result = NULL;

	for (int id = 0; id < cache->candidates->ncandidates; id++)
	{
		const Candidate *candidate = cache->candidates->candidates[id];

		if (candidate->verdict == NULL && bms_is_member(subject, candidate->subjects))
			result = bms_add_member(result, id);
	}
	return result;
}

/* Whether a candidate serves something that the subject asks for. */
static bool
serves_subject(CostCache *cache, const Candidate *candidate, const SubjectCosts *costs)
{
	int usage = -1;

	if (!list_member_oid(costs->tables, candidate->def->relid))
		return false;
	if (bms_is_empty(candidate->usages))
		return true;
	while ((usage = bms_next_member(candidate->usages, usage)) >= 0)
	{
		const Usage *u = list_nth(cache->candidates->usages, usage);

		if (bms_is_member(costs->subject->number, u->subjects))
			return true;
	}
	return false;
}

/* Rounds for the subjects that were not tried yet. */
static void
try_own(Selection *sel)
{
	CostCache *cache = sel->cache;

	for (int i = 0; i < cache->nsubjects && !cache->exhausted; i++)
	{
		SubjectCosts *costs = &cache->subjects[i];
		Rounds		  rounds = {.sel = sel};

		if (costs->subject->problem != NULL || costs->nentries == 0 || costs->tried)
			continue;
		rounds.pool = own_candidates(cache, i);
		costs->tried =
			bms_is_empty(rounds.pool) || dbperf_cost_visit(cache, costs, visit_own, &rounds);
		bms_free(rounds.pool);
	}
}

/*
 * Rounds for each subject with the candidates that were made for it.  Decides
 * which subjects are active and which candidates alive.  Those that took more
 * than their share of the time get one of what the others have left.
 */
void
dbperf_rounds_own(Selection *sel)
{
	try_own(sel);
	for (int i = 0; i < sel->cache->nsubjects; i++)
	{
		SubjectCosts *costs = &sel->cache->subjects[i];

		costs->slow &= costs->nentries == 0;
	}
	try_own(sel);
}

/*
 * Rounds for each subject with the candidates that won for others.
 */
void
dbperf_rounds_foreign(Selection *sel)
{
	CostCache *cache = sel->cache;
	Bitmapset *winners = bms_copy(sel->alive);

	for (int i = 0; i < cache->nsubjects && !cache->exhausted; i++)
	{
		SubjectCosts *costs = &cache->subjects[i];
		Rounds		  rounds = {.sel = sel};
		int			  id = -1;

		if (costs->subject->problem != NULL || costs->nentries == 0)
			continue;
		while ((id = bms_next_member(winners, id)) >= 0)
		{
			const Candidate *candidate = cache->candidates->candidates[id];

			if (!bms_is_member(i, candidate->subjects) && !bms_is_member(id, costs->useful) &&
				serves_subject(cache, candidate, costs))
				rounds.pool = bms_add_member(rounds.pool, id);
		}
		if (costs->active || !bms_is_empty(rounds.pool))
			dbperf_cost_visit(cache, costs, visit_foreign, &rounds);
		bms_free(rounds.pool);
	}
	bms_free(winners);
}
