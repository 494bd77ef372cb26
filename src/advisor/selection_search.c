/*-------------------------------------------------------------------------
 *
 * selection_search.c
 *		Improves a set of indexes by small changes, until none helps.
 *
 * A change takes some indexes out, or puts one in, or both; what then exceeds
 * the limits is thrown out, the least loss per byte first, and what then fits
 * is added.  That covers exchanging one index for another, for two smaller
 * ones, and two for one that serves both.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <float.h>

#include "advisor/selection.h"
#include "miscadmin.h"

/* Rounds of looking at all changes; more have not been seen to help. */
#define MAX_PASSES 6
/* Changes tried in one pass, the most promising first. */
#define MAX_TRIES 400
/* An improvement smaller than this is noise. */
#define MIN_PROGRESS 1e-7

/* A replacement and the objective that it can lead to at best. */
typedef struct Change
{
	Replacement *replacement;
	double		 promise;
} Change;

/* The indexes that a configuration has after a replacement. */
static Bitmapset *
replaced_set(const Config *config, const Replacement *replacement)
{
	Bitmapset *set = bms_difference(config->set, replacement->removed);

	if (replacement->added >= 0)
		set = bms_add_member(set, replacement->added);
	return set;
}

/* Makes a replacement of at most one index by at most one. */
static Replacement *
make_replacement(int removed, int added)
{
	Replacement *replacement = palloc(sizeof(Replacement));

	replacement->removed = removed >= 0 ? bms_make_singleton(removed) : NULL;
	replacement->added = added;
	return replacement;
}

/*
 * Takes indexes out of "set" until it is within the limits: those whose loss
 * is least for the space they free.  "keep" stays.  Returns NULL if that is
 * not possible.
 */
static Bitmapset *
shrink_to_fit(Selection *sel, const Config *config, Bitmapset *set, int keep)
{
	while (!dbperf_selection_fits(sel, set))
	{
		double objective = dbperf_selection_estimate(sel, config, set);
		double least = DBL_MAX;
		int	   victim = -1;
		int	   id = -1;

		while ((id = bms_next_member(set, id)) >= 0)
		{
			Bitmapset *without;
			double	   loss;

			if (id == keep)
				continue;
			without = bms_del_member(bms_copy(set), id);
			loss = dbperf_selection_estimate(sel, config, without) - objective;
			if (sel->request->storage_budget >= 0)
				loss /= Max(dbperf_candidate_bytes(sel, id), BLCKSZ);
			if (loss < least)
			{
				least = loss;
				victim = id;
			}
			bms_free(without);
		}
		if (victim < 0)
			return NULL;
		set = bms_del_member(set, victim);
	}
	return set;
}

/* The most that one more candidate could gain in the space that a set leaves. */
static double
refill_promise(Selection *sel, const Bitmapset *set, const double *gains)
{
	int64  used = 0;
	double promise = 0;
	int	   id = -1;

	if (bms_num_members(set) >= sel->request->max_indexes)
		return 0;
	while ((id = bms_next_member(set, id)) >= 0)
		used += dbperf_candidate_bytes(sel, id);

	while ((id = bms_next_member(sel->alive, id)) >= 0)
	{
		if (!bms_is_member(id, set) && gains[id] > promise &&
			(sel->request->storage_budget < 0 ||
			 used + dbperf_candidate_bytes(sel, id) <= sel->request->storage_budget))
			promise = gains[id];
	}
	return promise;
}

/*
 * The configuration after a replacement, made to fit and filled up again, if
 * that is better than the one before; else NULL.
 */
static Config *
try_replacement(Selection *sel, const Config *config, const Replacement *replacement,
				const double *gains)
{
	double	   target = config->objective * (1.0 - MIN_PROGRESS);
	Bitmapset *set = replaced_set(config, replacement);
	double	   slack;
	Config	  *next;
	Config	  *filled;

	set = shrink_to_fit(sel, config, set, replacement->added);
	if (set == NULL || bms_equal(set, config->set))
		return NULL;

	slack = refill_promise(sel, set, gains);
	if (dbperf_selection_evaluate(sel, config, set, target + slack) >= target + slack)
		return NULL;

	next = dbperf_config_with(sel, config, set);
	filled = dbperf_selection_greedy(sel, next, replacement->removed, 0);
	if (filled->objective >= target && sel->request->storage_budget >= 0)
	{
		dbperf_config_free(filled);
		filled = dbperf_selection_greedy(sel, next, replacement->removed, 1);
	}
	dbperf_config_free(next);
	if (filled->objective < target)
		return filled;
	dbperf_config_free(filled);
	return NULL;
}

/* qsort comparator: the most promising change first. */
static int
compare_changes(const void *a, const void *b)
{
	const Change *ca = a;
	const Change *cb = b;

	if (ca->promise != cb->promise)
		return ca->promise < cb->promise ? -1 : 1;
	if (ca->replacement->added != cb->replacement->added)
		return ca->replacement->added - cb->replacement->added;
	return bms_compare(ca->replacement->removed, cb->replacement->removed);
}

/* All replacements to look at: variants if wanted, exchanges, additions, removals. */
static List *
list_replacements(Selection *sel, const Config *config, bool variants)
{
	WhatIf *whatif = sel->cache->whatif;
	List   *result = variants ? dbperf_selection_variants(sel, config) : NIL;
	int		id = -1;

	while ((id = bms_next_member(config->set, id)) >= 0)
		result = lappend(result, make_replacement(id, -1));

	while ((id = bms_next_member(sel->alive, id)) >= 0)
	{
		int other = -1;

		if (bms_is_member(id, config->set))
			continue;
		result = lappend(result, make_replacement(-1, id));
		while ((other = bms_next_member(config->set, other)) >= 0)
		{
			if (whatif->indexes[other]->def->relid == whatif->indexes[id]->def->relid)
				result = lappend(result, make_replacement(other, id));
		}
	}
	return result;
}

/* What adding each living candidate could gain at most, by its number. */
static double *
possible_gains(Selection *sel, const Config *config)
{
	double *gains = palloc0(sizeof(double) * Max(sel->cache->whatif->nindexes, 1));
	int		id = -1;

	while ((id = bms_next_member(sel->alive, id)) >= 0)
	{
		Bitmapset *set = bms_add_member(bms_copy(config->set), id);

		gains[id] = Max(config->objective - dbperf_selection_bound(sel, config, set), 0);
		bms_free(set);
	}
	return gains;
}

/* Looks at all changes once.  Returns a better configuration, or the same. */
static Config *
search_pass(Selection *sel, Config *config, bool variants)
{
	List	 *replacements = list_replacements(sel, config, variants);
	double	 *gains = possible_gains(sel, config);
	Change	 *changes = palloc(sizeof(Change) * Max(list_length(replacements), 1));
	int		  nchanges = 0;
	int		  tries = 0;
	ListCell *lc;

	foreach (lc, replacements)
	{
		Replacement *replacement = lfirst(lc);
		Bitmapset	*set = replaced_set(config, replacement);
		double		 promise = dbperf_selection_bound(sel, config, set);

		CHECK_FOR_INTERRUPTS();
		promise -= refill_promise(sel, set, gains);
		if (promise < config->objective * (1.0 - MIN_PROGRESS))
		{
			changes[nchanges].replacement = replacement;
			changes[nchanges++].promise = promise;
		}
		bms_free(set);
	}
	qsort(changes, nchanges, sizeof(Change), compare_changes);

	for (int i = 0; i < nchanges && tries < MAX_TRIES && !sel->cache->exhausted; i++)
	{
		Replacement *replacement = changes[i].replacement;
		Config		*next;

		CHECK_FOR_INTERRUPTS();
		if (!bms_is_subset(replacement->removed, config->set) ||
			(replacement->added >= 0 && bms_is_member(replacement->added, config->set)))
			continue;
		tries++;
		next = try_replacement(sel, config, replacement, gains);
		if (next != NULL)
		{
			dbperf_config_free(config);
			config = next;
		}
	}
	return config;
}

/*
 * Improves a configuration until nothing helps or there is no time left, with
 * candidates made of the chosen ones if "variants".  Frees or returns its
 * argument.
 */
Config *
dbperf_selection_search(Selection *sel, Config *config, bool variants)
{
	for (int pass = 0; pass < MAX_PASSES && !sel->cache->exhausted; pass++)
	{
		double before = config->objective;

		config = search_pass(sel, config, variants);
		if (config->objective >= before * (1.0 - MIN_PROGRESS))
			break;
	}
	return config;
}
