/*-------------------------------------------------------------------------
 *
 * selection_tidy.c
 *		Makes a good set of indexes smaller where that costs next to nothing.
 *
 * Without a budget space has no price in the objective, and every column that
 * a covering index carries for the last few percent would be taken.  With a
 * budget only what is as good as nothing is given up for space.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <float.h>

#include "advisor/selection.h"
#include "miscadmin.h"

/* It must spare this share of the bytes it stands in for ... */
#define MIN_SPARED_BYTES 0.2
/* ... and within a budget must not lose more than this of what they gain. */
#define MAX_LOSS_IN_BUDGET 0.001
/* A shorter key must not make any subject so much dearer: key columns are cheap. */
#define MAX_DEARER_BY_KEY 1.25

/*
 * Whether a smaller configuration is good enough: if there is a budget, as
 * good; else so good that the larger one would not be worth it after it.
 */
static bool
good_enough(Selection *sel, const Config *config, const Config *smaller, const Bitmapset *rest)
{
	double without;

	if (sel->request->storage_budget < 0)
		return !dbperf_selection_qualifies(sel, smaller, config);
	without = dbperf_selection_evaluate(sel, config, rest, DBL_MAX);
	return smaller->objective - config->objective <=
		   MAX_LOSS_IN_BUDGET * (without - config->objective);
}

/* Whether a shorter key makes some subject much dearer than the longer ones did. */
static bool
misses_key(Selection *sel, const Config *config, const Config *smaller, const Bitmapset *removed,
		   int added)
{
	WhatIf *whatif = sel->cache->whatif;
	bool	shorter = false;
	int		id = -1;

	/* What a partial index leaves out of the key its predicate says. */
	if (whatif->indexes[added]->def->predicate != NIL)
		return false;
	while ((id = bms_next_member(removed, id)) >= 0)
	{
		if (whatif->indexes[id]->def->nkeys > whatif->indexes[added]->def->nkeys)
			shorter = true;
	}
	for (int i = 0; shorter && i < sel->cache->nsubjects; i++)
	{
		if (sel->cache->subjects[i].active &&
			smaller->costs[i] > config->costs[i] * MAX_DEARER_BY_KEY)
			return true;
	}
	return false;
}

/*
 * The configuration in which "added" stands in for "removed", if that is
 * smaller and good enough; else NULL.
 */
static Config *
try_smaller(Selection *sel, const Config *config, const Bitmapset *removed, int added)
{
	Bitmapset *rest = bms_difference(config->set, removed);
	Bitmapset *set = bms_add_member(bms_copy(rest), added);
	Config	  *next = NULL;
	int64	   bytes = 0;
	int		   id = -1;

	while ((id = bms_next_member(removed, id)) >= 0)
		bytes += dbperf_candidate_bytes(sel, id);

	if (dbperf_candidate_bytes(sel, added) <= (1.0 - MIN_SPARED_BYTES) * bytes &&
		dbperf_selection_evaluate(sel, config, set, DBL_MAX) < DBL_MAX)
	{
		next = dbperf_config_with(sel, config, set);
		if (!good_enough(sel, config, next, rest) || misses_key(sel, config, next, removed, added))
		{
			dbperf_config_free(next);
			next = NULL;
		}
	}
	bms_free(rest);
	bms_free(set);
	return next;
}

/* Tries the variants of the chosen indexes once. */
static Config *
try_variants(Selection *sel, Config *config)
{
	ListCell *lc;

	foreach (lc, dbperf_selection_variants(sel, config))
	{
		Replacement *replacement = lfirst(lc);
		Config		*next;

		if (!bms_is_subset(replacement->removed, config->set))
			continue;
		next = try_smaller(sel, config, replacement->removed, replacement->added);
		if (next != NULL)
		{
			dbperf_config_free(config);
			config = next;
		}
	}
	return config;
}

/* Of two good ones the smaller, of about the same size the better one. */
static Config *
neater_of(Config *a, Config *b)
{
	Config *result;

	if (a->bytes < b->bytes * (1.0 - MIN_SPARED_BYTES))
		result = a;
	else if (b->bytes < a->bytes * (1.0 - MIN_SPARED_BYTES))
		result = b;
	else
		result = b->objective < a->objective ? b : a;
	dbperf_config_free(result == a ? b : a);
	return result;
}

/* Tries the other living candidates of its table in place of one index. */
static Config *
try_exchange(Selection *sel, Config *config, int id)
{
	WhatIf	  *whatif = sel->cache->whatif;
	Bitmapset *removed = bms_make_singleton(id);
	Config	  *best = NULL;
	int		   other = -1;

	while ((other = bms_next_member(sel->alive, other)) >= 0)
	{
		Config *next;

		CHECK_FOR_INTERRUPTS();
		if (bms_is_member(other, config->set) ||
			whatif->indexes[other]->def->relid != whatif->indexes[id]->def->relid)
			continue;
		next = try_smaller(sel, config, removed, other);
		if (next != NULL)
			best = best == NULL ? next : neater_of(best, next);
	}
	bms_free(removed);
	if (best == NULL)
		return config;
	dbperf_config_free(config);
	return best;
}

/*
 * Makes the configuration smaller.  Frees or returns its argument.
 */
Config *
dbperf_selection_tidy(Selection *sel, Config *config)
{
	Bitmapset *chosen;
	int		   id = -1;

	config = try_variants(sel, config);
	chosen = bms_copy(config->set);
	while ((id = bms_next_member(chosen, id)) >= 0)
		config = try_exchange(sel, config, id);
	bms_free(chosen);
	return config;
}
