/*-------------------------------------------------------------------------
 *
 * selection_variants.c
 *		New candidates made of those that were chosen: narrower ones, longer
 *		ones, and two made one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/selection.h"
#include "catalog/pg_am.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"

/* A longer key than this is seldom used to its end. */
#define MAX_KEY_COLUMNS 4
/* More columns make a copy of the table. */
#define MAX_COLUMNS 10

/* Whether a definition has this column or expression within its first n. */
static bool
has_column(const IndexDef *def, const IndexColumn *column, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (def->columns[i].attno == column->attno && equal(def->columns[i].expr, column->expr))
			return true;
	}
	return false;
}

/* The columns that are only carried along are dropped; NULL if there are none. */
static IndexDef *
without_include(const IndexDef *def)
{
	IndexDef *result;

	if (def->ncolumns == def->nkeys)
		return NULL;
	result = dbperf_index_def_copy(def);
	result->ncolumns = result->nkeys;
	return result;
}

/* The last key column is dropped; NULL if there is only one. */
static IndexDef *
shorter(const IndexDef *def)
{
	IndexDef *result;

	if (def->nkeys < 2 || def->ncolumns > def->nkeys)
		return NULL;
	result = dbperf_index_def_copy(def);
	result->nkeys--;
	result->ncolumns--;
	return result;
}

/*
 * One index that has the key of the first, then what it lacks of the key of
 * the second, and carries what either carries.  NULL if that cannot be.
 */
static IndexDef *
merged(const IndexDef *first, const IndexDef *second)
{
	IndexDef *result;

	if (first->relid != second->relid || first->am != BTREE_AM_OID || second->am != BTREE_AM_OID ||
		!dbperf_index_predicate_equal(first->predicate, second->predicate))
		return NULL;

	result = dbperf_index_def_copy(first);
	result->ncolumns = result->nkeys;
	for (int i = 0; i < second->nkeys; i++)
	{
		if (!has_column(result, &second->columns[i], result->nkeys))
		{
			if (result->nkeys >= MAX_KEY_COLUMNS)
				return NULL;
			result->columns[result->nkeys++] = second->columns[i];
			result->ncolumns = result->nkeys;
		}
	}

	for (int side = 0; side < 2; side++)
	{
		const IndexDef *def = side == 0 ? first : second;

		for (int i = def->nkeys; i < def->ncolumns; i++)
		{
			if (has_column(result, &def->columns[i], result->ncolumns))
				continue;
			if (result->ncolumns >= MAX_COLUMNS)
				return NULL;
			result->columns[result->ncolumns++] = def->columns[i];
		}
	}
	return result;
}

/*
 * Makes a candidate of a definition (NULL is allowed) that could stand in for
 * the removed ones, and adds that to the list.  It is taken to be useful for
 * all subjects that they are useful for.
 */
static List *
add_variant(Selection *sel, List *result, const IndexDef *def, Bitmapset *removed,
			Bitmapset **fresh)
{
	CostCache	*cache = sel->cache;
	Candidate	*candidate;
	Replacement *replacement;
	int			 id = -1;

	if (def == NULL)
		return result;
	candidate = dbperf_candidates_add(cache->candidates, def, -1);
	/* The search looks at those that are alive anyway. */
	if (candidate == NULL || bms_is_member(candidate->id, sel->alive) ||
		bms_is_member(candidate->id, *fresh))
		return result;

	dbperf_cost_cache_sync(cache);
	while ((id = bms_next_member(removed, id)) >= 0)
	{
		Bitmapset *self = bms_make_singleton(candidate->id);
		int		   number = -1;

		while ((number = bms_next_member(cache->users[id], number)) >= 0)
			dbperf_cost_mark_useful(cache, &cache->subjects[number], self);
		bms_free(self);
	}
	replacement = palloc(sizeof(Replacement));
	replacement->removed = removed;
	replacement->added = candidate->id;
	*fresh = bms_add_member(*fresh, candidate->id);
	return lappend(result, replacement);
}

/*
 * CostVisitor: plans with everything that is useful, which bounds all sets from
 * below, and with the fresh candidates in place of all others.
 */
static void
plan_with_fresh(CostCache *cache, SubjectCosts *costs, const Analyzed *analyzed, void *arg)
{
	const Bitmapset *fresh = arg;
	int				 id = -1;

	dbperf_cost_plan(cache, costs, analyzed, costs->useful);
	dbperf_cost_plan(cache, costs, analyzed, bms_intersect(costs->useful, fresh));
	while ((id = bms_next_member(fresh, id)) >= 0)
	{
		if (cache->whatif->indexes[id]->bytes < 0 &&
			list_member_oid(costs->tables, cache->whatif->indexes[id]->def->relid))
			dbperf_whatif_size(cache->whatif, cache->whatif->indexes[id]);
	}
}

/*
 * New candidates that could stand in for one or two indexes of the
 * configuration, as a List of Replacement.  They are alive afterwards.
 */
List *
dbperf_selection_variants(Selection *sel, const Config *config)
{
	CostCache *cache = sel->cache;
	List	  *made = NIL;
	List	  *result = NIL;
	Bitmapset *fresh = NULL;
	Bitmapset *affected = NULL;
	ListCell  *lc;
	int		   number = -1;
	int		   id = -1;

	while ((id = bms_next_member(config->set, id)) >= 0)
	{
		const IndexDef *def = cache->whatif->indexes[id]->def;
		int				other = -1;

		CHECK_FOR_INTERRUPTS();
		made = add_variant(sel, made, without_include(def), bms_make_singleton(id), &fresh);
		made = add_variant(sel, made, shorter(def), bms_make_singleton(id), &fresh);
		while ((other = bms_next_member(config->set, other)) >= 0)
		{
			if (other != id)
				made = add_variant(sel, made, merged(def, cache->whatif->indexes[other]->def),
								   bms_add_member(bms_make_singleton(id), other), &fresh);
		}
	}

	while ((id = bms_next_member(fresh, id)) >= 0)
		affected = bms_add_members(affected, cache->users[id]);
	while ((number = bms_next_member(affected, number)) >= 0)
		dbperf_cost_visit(cache, &cache->subjects[number], plan_with_fresh, fresh);

	/* Without a size nothing can be said of it. */
	foreach (lc, made)
	{
		Replacement *replacement = lfirst(lc);

		if (cache->whatif->indexes[replacement->added]->bytes >= 0)
		{
			result = lappend(result, replacement);
			sel->alive = bms_add_member(sel->alive, replacement->added);
		}
	}
	return result;
}
