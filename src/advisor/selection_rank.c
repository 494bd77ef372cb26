/*-------------------------------------------------------------------------
 *
 * selection_rank.c
 *		Puts the chosen indexes into the order in which they should be built.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <float.h>

#include "advisor/selection.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* An index not yet ranked, and what the objective would be with it. */
typedef struct Contender
{
	int	   id;
	double objective; /* exact, or at least so much */
	bool   exact;
	double loss; /* of taking it out of the final set */
} Contender;

/* The contender with the lowest objective; of equals the greater loss. */
static Contender *
front_runner(Contender *contenders, int n)
{
	Contender *best = NULL;

	for (int i = 0; i < n; i++)
	{
		Contender *c = &contenders[i];

		if (c->id >= 0 && (best == NULL || c->objective < best->objective ||
						   (c->objective == best->objective && c->loss > best->loss)))
			best = c;
	}
	return best;
}

/* The next index to be built after those in "config". */
static Contender *
next_index(Selection *sel, const Config *config, Contender *contenders, int n)
{
	Contender *best;

	for (int i = 0; i < n; i++)
	{
		Bitmapset *set;

		if (contenders[i].id < 0)
			continue;
		set = bms_add_member(bms_copy(config->set), contenders[i].id);
		contenders[i].objective = dbperf_selection_bound(sel, config, set);
		contenders[i].exact = false;
		bms_free(set);
	}

	while ((best = front_runner(contenders, n)) != NULL && !best->exact)
	{
		Bitmapset *set = bms_add_member(bms_copy(config->set), best->id);

		CHECK_FOR_INTERRUPTS();
		best->objective = dbperf_selection_evaluate(sel, config, set, DBL_MAX);
		best->exact = true;
		bms_free(set);
	}
	return best;
}

/*
 * The configurations on the way from the empty one to the final one, adding
 * one index at a time, the most useful first.  The empty one is not in the
 * list.
 */
List *
dbperf_selection_rank(Selection *sel, const Config *empty, const Config *config)
{
	Contender	 *contenders = palloc(sizeof(Contender) * Max(config->count, 1));
	const Config *current = empty;
	List		 *result = NIL;
	int			  n = 0;
	int			  id = -1;

	while ((id = bms_next_member(config->set, id)) >= 0)
	{
		Bitmapset *set = bms_del_member(bms_copy(config->set), id);

		contenders[n].id = id;
		contenders[n++].loss =
			dbperf_selection_evaluate(sel, config, set, DBL_MAX) - config->objective;
		bms_free(set);
	}

	for (int i = 0; i < n; i++)
	{
		Contender *best = next_index(sel, current, contenders, n);
		Bitmapset *set = bms_add_member(bms_copy(current->set), best->id);

		current = dbperf_config_with(sel, current, set);
		result = lappend(result, unconstify(Config *, current));
		best->id = -1;
	}
	pfree(contenders);
	return result;
}
