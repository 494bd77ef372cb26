/*-------------------------------------------------------------------------
 *
 * selection_greedy.c
 *		Adds the best index again and again, and takes out what is not needed.
 *
 * What can be added is a single candidate, or several that some plan used
 * together: two join indexes may be worth nothing alone.  Gains are known
 * from bounds first; only the most promising are planned.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "advisor/selection.h"
#include "miscadmin.h"
#include "utils/float.h"
#include "utils/memutils.h"

/* Gains are rarely this much larger later than they were when last looked at. */
#define GAIN_GROWTH 2.0

/* Something that can be added. */
typedef struct Move
{
	Bitmapset *ids;
	double	   gain; /* exact, or at most so much */
	double	   past; /* gain when it was exact; infinite if it never was */
	bool	   exact;
	bool	   closed; /* does not fit, or was refused in this state */
} Move;

/* All moves, in a fixed order.  In the current memory context. */
static Move *
list_moves(Selection *sel, const Bitmapset *banned, int *nmoves)
{
	Move *moves =
		palloc0(sizeof(Move) * (bms_num_members(sel->alive) + list_length(sel->bundles) + 1));
	ListCell *lc;
	int		  n = 0;
	int		  id = -1;

	while ((id = bms_next_member(sel->alive, id)) >= 0)
	{
		if (!bms_is_member(id, banned))
			moves[n++].ids = bms_make_singleton(id);
	}
	foreach (lc, sel->bundles)
	{
		if (!bms_overlap(lfirst(lc), banned))
			moves[n++].ids = lfirst(lc);
	}
	for (int i = 0; i < n; i++)
		moves[i].past = get_float8_infinity();
	*nmoves = n;
	return moves;
}

/* Looks anew at what each move could gain at most. */
static void
bound_moves(Selection *sel, const Config *config, Move *moves, int nmoves)
{
	for (int i = 0; i < nmoves; i++)
	{
		Move	  *move = &moves[i];
		Bitmapset *set = bms_union(config->set, move->ids);

		CHECK_FOR_INTERRUPTS();
		move->exact = false;
		move->closed = bms_is_subset(move->ids, config->set) || !dbperf_selection_fits(sel, set);
		if (!move->closed)
		{
			move->gain = config->objective - dbperf_selection_bound(sel, config, set);
			move->gain = Min(move->gain, GAIN_GROWTH * move->past);
			if (move->gain <= 0)
				move->closed = true;
		}
		bms_free(set);
	}
}

/* What a move is worth: its gain, or a mixture of that and gain per byte. */
static double
score(Selection *sel, const Config *config, const Move *move, double by_bytes)
{
	double bytes = 0;
	int	   id = -1;

	if (by_bytes <= 0)
		return move->gain;
	while ((id = bms_next_member(move->ids, id)) >= 0)
	{
		if (!bms_is_member(id, config->set))
			bytes += (double) dbperf_candidate_bytes(sel, id);
	}
	return move->gain / pow(Max(bytes, BLCKSZ), by_bytes);
}

/*
 * The best move, or NULL if none is worth it.  On return *next is the
 * configuration after it.
 */
static Move *
best_move(Selection *sel, const Config *config, Move *moves, int nmoves, double by_bytes,
		  Config **next)
{
	for (;;)
	{
		Move	  *best = NULL;
		double	   best_score = 0;
		Bitmapset *set;

		for (int i = 0; i < nmoves; i++)
		{
			double s = moves[i].closed ? 0 : score(sel, config, &moves[i], by_bytes);

			if (s > best_score)
			{
				best = &moves[i];
				best_score = s;
			}
		}
		if (best == NULL)
			return NULL;

		set = bms_union(config->set, best->ids);
		if (!best->exact)
		{
			best->gain = config->objective - dbperf_selection_evaluate(sel, config, set, DBL_MAX);
			best->past = Max(best->gain, 0);
			best->exact = true;
			best->closed = best->gain <= 0;
		}
		else
		{
			*next = dbperf_config_with(sel, config, set);
			if (dbperf_selection_qualifies(sel, config, *next))
			{
				bms_free(set);
				return best;
			}
			dbperf_config_free(*next);
			best->closed = true;
		}
		bms_free(set);
	}
}

/*
 * Adds to "start" what gains most, until nothing that fits is worth it.
 * by_bytes is 0 to judge by gain, 1 by gain per byte, or something between.
 */
Config *
dbperf_selection_greedy(Selection *sel, const Config *start, const Bitmapset *banned,
						double by_bytes)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext work =
		AllocSetContextCreate(caller, "dbperf greedy choice", ALLOCSET_DEFAULT_SIZES);
	Config *config = dbperf_config_with(sel, start, start->set);
	Move   *moves;
	int		nmoves;

	MemoryContextSwitchTo(work);
	moves = list_moves(sel, banned, &nmoves);
	MemoryContextSwitchTo(caller);

	for (;;)
	{
		Config *next;

		bound_moves(sel, config, moves, nmoves);
		if (best_move(sel, config, moves, nmoves, by_bytes, &next) == NULL)
			break;
		dbperf_config_free(config);
		config = next;
	}
	MemoryContextDelete(work);
	return config;
}

/*
 * Takes out the indexes that are not worth it with all the others there, the
 * least useful first.  Frees or returns its argument.
 */
Config *
dbperf_selection_prune(Selection *sel, Config *config)
{
	for (;;)
	{
		Config *least = NULL;
		int		id = -1;

		while ((id = bms_next_member(config->set, id)) >= 0)
		{
			Bitmapset *set = bms_del_member(bms_copy(config->set), id);
			Config	  *without = dbperf_config_with(sel, config, set);

			if (!dbperf_selection_qualifies(sel, without, config) &&
				(least == NULL || without->objective < least->objective))
			{
				if (least != NULL)
					dbperf_config_free(least);
				least = without;
			}
			else
				dbperf_config_free(without);
			bms_free(set);
		}
		if (least == NULL)
			return config;
		dbperf_config_free(config);
		config = least;
	}
}
