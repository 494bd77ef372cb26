/*-------------------------------------------------------------------------
 *
 * cost_cache.c
 *		Keeps what the planner said each subject costs with which candidates.
 *
 * Sets are kept restricted to the candidates that are useful for the subject:
 * what no plan of it ever used, although it was shown with all useful ones
 * hidden, does not change its cost.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <float.h>

#include "advisor/cost_cache.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* A visit takes at most this part of the time left, or so many milliseconds. */
#define VISIT_SHARE 4
#define VISIT_MIN_MS 100

/* What a visitor of the server's side of a visit needs to know. */
typedef struct VisitArgs
{
	CostCache	 *cache;
	SubjectCosts *costs;
	CostVisitor	  visitor;
	void		 *arg;
} VisitArgs;

/*
 * A cache for the workload, in the current memory context.  The candidates may
 * still be empty.
 */
CostCache *
dbperf_cost_cache_create(Workload *workload, CandidateSet *candidates, WhatIf *whatif)
{
	CostCache *cache = palloc0(sizeof(CostCache));
	ListCell  *lc;

	cache->context = CurrentMemoryContext;
	cache->candidates = candidates;
	cache->whatif = whatif;
	cache->nsubjects = list_length(workload->subjects);
	cache->subjects = palloc0(sizeof(SubjectCosts) * Max(cache->nsubjects, 1));
	foreach (lc, workload->subjects)
		cache->subjects[foreach_current_index(lc)].subject = lfirst(lc);
	return cache;
}

/*
 * Makes what-if indexes of the candidates that have none yet, with the same
 * numbers.
 */
void
dbperf_cost_cache_sync(CostCache *cache)
{
	CandidateSet *set = cache->candidates;

	for (int id = cache->whatif->nindexes; id < set->ncandidates; id++)
	{
		HypoIndex *index = dbperf_whatif_add(cache->whatif, set->candidates[id]->def);

		if (index->id != id)
			elog(ERROR, "candidate %d equals candidate %d", id, index->id);
	}

	if (cache->nusers < set->ncandidates)
	{
		int			room = Max(set->ncandidates, 2 * cache->nusers);
		Bitmapset **users = MemoryContextAllocZero(cache->context, sizeof(Bitmapset *) * room);

		if (cache->nusers > 0)
		{
			memcpy(users, cache->users, sizeof(Bitmapset *) * cache->nusers);
			pfree(cache->users);
		}
		cache->users = users;
		cache->nusers = room;
	}
}

/* Whether nothing more may be planned; remembers that it was asked in vain. */
static bool
out_of_work(CostCache *cache)
{
	if (cache->exhausted)
		return true;
	if (dbperf_now_ns() >= cache->deadline_ns)
		cache->exhausted = cache->late = true;
	else if (cache->max_plans > 0 && cache->whatif->plans >= cache->max_plans)
		cache->exhausted = true;
	return cache->exhausted;
}

/* SubjectVisitor: goes on with the caller's visitor. */
static void
visit(Subject *subject, const Analyzed *analyzed, void *arg)
{
	VisitArgs *args = arg;

	args->visitor(args->cache, args->costs, analyzed, args->arg);
}

/*
 * Analyses the subject and calls the visitor, unless there is no time left.
 * Returns whether the visitor came to its end.  One subject gets only a share
 * of the time that is left, and no second chance unless the caller takes back
 * that it is slow.
 */
bool
dbperf_cost_visit(CostCache *cache, SubjectCosts *costs, CostVisitor visitor, void *arg)
{
	VisitArgs args = {cache, costs, visitor, arg};
	bool	  timed_out = false;
	bool	  done;
	int64	  left;

	CHECK_FOR_INTERRUPTS();
	if (costs->subject->problem != NULL || costs->slow || out_of_work(cache))
		return false;

	left = (cache->deadline_ns - dbperf_now_ns()) / 1000000;
	left = Min(left, Max(left / VISIT_SHARE, VISIT_MIN_MS));
	left = Max(Min(left, INT_MAX), 1);
	done = dbperf_subject_visit(costs->subject, (int) left, visit, &args, &timed_out);
	if (timed_out && !out_of_work(cache))
		costs->slow = true;
	return done;
}

/* Puts one more answer into the cache, copying the sets. */
static CostEntry *
remember(CostCache *cache, SubjectCosts *costs, const Bitmapset *shown, const Bitmapset *used,
		 double cost)
{
	MemoryContext caller = MemoryContextSwitchTo(cache->context);
	CostEntry	 *entry;

	if (costs->nentries == costs->max_entries)
	{
		costs->max_entries = Max(8, 2 * costs->max_entries);
		if (costs->entries == NULL)
			costs->entries = palloc(sizeof(CostEntry) * costs->max_entries);
		else
			costs->entries = repalloc(costs->entries, sizeof(CostEntry) * costs->max_entries);
	}
	entry = &costs->entries[costs->nentries++];
	entry->shown = bms_copy(shown);
	entry->used = bms_copy(used);
	entry->cost = cost;
	MemoryContextSwitchTo(caller);
	return entry;
}

/*
 * Notes that these candidates may change what the subject costs.
 */
void
dbperf_cost_mark_useful(CostCache *cache, SubjectCosts *costs, const Bitmapset *ids)
{
	MemoryContext caller;
	int			  id = -1;

	if (bms_is_subset(ids, costs->useful))
		return;

	caller = MemoryContextSwitchTo(cache->context);
	costs->useful = bms_add_members(costs->useful, ids);
	while ((id = bms_next_member(ids, id)) >= 0)
		cache->users[id] = bms_add_member(cache->users[id], costs->subject->number);
	MemoryContextSwitchTo(caller);
}

/*
 * Plans all queries of the subject with each set of its parameters and
 * remembers what that costs on average.  To be called inside of a visit of the
 * subject.  The entry is valid until the next call.
 */
CostEntry *
dbperf_cost_plan(CostCache *cache, SubjectCosts *costs, const Analyzed *analyzed,
				 const Bitmapset *shown)
{
	MemoryContext scratch =
		AllocSetContextCreate(CurrentMemoryContext, "dbperf plan", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(scratch);
	Bitmapset	 *used = NULL;
	double		  cost = 0;
	CostEntry	 *entry;
	ListCell	 *lc;

	for (int i = 0; i < analyzed->nsets; i++)
	{
		foreach (lc, analyzed->queries)
		{
			WhatIfPlan plan;

			dbperf_whatif_plan(cache->whatif, lfirst_node(Query, lc), costs->subject->text,
							   analyzed->sets[i], analyzed->cursor_options, (Bitmapset *) shown,
							   NIL, &plan);
			cost += plan.cost;
			used = bms_add_members(used, plan.used);
		}
	}
	dbperf_cost_mark_useful(cache, costs, used);
	entry = remember(cache, costs, shown, used, cost / analyzed->nsets);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(scratch);
	return entry;
}

/*
 * The same without any candidate.  The observer sees the plans, each with the
 * share of an execution that it stands for.
 */
double
dbperf_cost_plan_base(CostCache *cache, SubjectCosts *costs, const Analyzed *analyzed,
					  PlanObserver observer, void *arg)
{
	double	  cost = 0;
	ListCell *lc;

	for (int i = 0; i < analyzed->nsets; i++)
	{
		foreach (lc, analyzed->queries)
		{
			WhatIfPlan plan;

			dbperf_whatif_plan(cache->whatif, lfirst_node(Query, lc), costs->subject->text,
							   analyzed->sets[i], analyzed->cursor_options, NULL, NIL, &plan);
			cost += plan.cost;
			observer(costs->subject, plan.plan, 1.0 / analyzed->nsets, arg);
		}
	}
	return remember(cache, costs, NULL, NULL, cost / analyzed->nsets)->cost;
}

/*
 * Bounds of what the subject costs with this set, from what is known.  Returns
 * whether both are the same, and exact.
 */
bool
dbperf_cost_known(SubjectCosts *costs, const Bitmapset *set, double *lower, double *upper)
{
	*lower = 0;
	*upper = costs->subject->cost_before;

	for (int i = 0; i < costs->nentries; i++)
	{
		CostEntry *entry = &costs->entries[i];
		bool	   includes = bms_is_subset(set, entry->shown);
		bool	   enough = bms_is_subset(entry->used, set);

		if (includes && enough)
		{
			*lower = *upper = entry->cost;
			return true;
		}
		if (includes)
			*lower = Max(*lower, entry->cost);
		if (enough)
			*upper = Min(*upper, entry->cost);
	}
	*lower = Min(*lower, *upper);
	return false;
}

/* CostVisitor: plans with the set that arg is. */
static void
plan_one(CostCache *cache, SubjectCosts *costs, const Analyzed *analyzed, void *arg)
{
	dbperf_cost_plan(cache, costs, analyzed, (const Bitmapset *) arg);
}

/*
 * What the subject costs with this set of candidates.  Plans if that is not
 * known; if there is no time left, the answer is what it costs at most.
 */
double
dbperf_cost_of(CostCache *cache, SubjectCosts *costs, const Bitmapset *set)
{
	Bitmapset *relevant = bms_intersect(set, costs->useful);
	double	   lower;
	double	   upper;

	if (!dbperf_cost_known(costs, relevant, &lower, &upper) &&
		dbperf_cost_visit(cache, costs, plan_one, relevant))
		upper = costs->entries[costs->nentries - 1].cost;
	bms_free(relevant);
	return upper;
}

/*
 * Numbers of the subjects that the time did not suffice for: those that were not
 * analysed, or whose own candidates were not all looked at.  To be called at the
 * end; the run was late, too, if one that was analysed took too long after that.
 */
Bitmapset *
dbperf_cost_left_out(CostCache *cache)
{
	Bitmapset *result = NULL;

	for (int i = 0; i < cache->nsubjects; i++)
	{
		const SubjectCosts *costs = &cache->subjects[i];

		if (costs->slow && costs->nentries > 0)
			cache->late = true;
		if (costs->subject->problem == NULL ? !costs->tried : costs->slow)
			result = bms_add_member(result, i);
	}
	return result;
}
