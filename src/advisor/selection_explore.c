/*-------------------------------------------------------------------------
 *
 * selection_explore.c
 *		Looks for better sets of indexes beyond the small changes.
 *
 * Small changes end in a set that none of them improves, which may be a few
 * percent from the best one.  Costs are mostly known by then, so trying is
 * cheap: first some of the indexes are thrown out at random (always the same
 * way for the same problem), and the space is filled anew; then the sets are
 * enumerated, leaving out those that are provably no better, which for small
 * problems proves the best one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <float.h>

#include "advisor/selection.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* Random restarts without progress before giving up. */
#define MAX_IDLE_RESTARTS 40
#define MAX_RESTARTS 200
/* A restart that begins this much worse is not worth improving. */
#define MAX_WORSE 1.05
/* Sets that are enumerated at most. */
#define MAX_BRANCHES 4000
/* Costs of subjects that either part looks up at most: a fraction of a second. */
#define MAX_WORK 150000
/* An improvement smaller than this is noise. */
#define MIN_PROGRESS 1e-7

/* Some of the members of a configuration, at least one. */
static Bitmapset *
random_members(const Config *config, pg_prng_state *prng)
{
	int		   wanted = (int) pg_prng_uint64_range(prng, 1, Max(2, config->count / 2));
	Bitmapset *result = NULL;
	int		   left = config->count;
	int		   id = -1;

	wanted = Min(wanted, config->count);
	while ((id = bms_next_member(config->set, id)) >= 0)
	{
		if ((int) pg_prng_uint64_range(prng, 1, left) <= wanted)
		{
			result = bms_add_member(result, id);
			wanted--;
		}
		left--;
	}
	return result;
}

/* One restart: a better configuration, or NULL. */
static Config *
restart(Selection *sel, const Config *config, pg_prng_state *prng)
{
	static const double by_bytes[] = {0.0, 0.5, 1.0};
	Bitmapset		   *removed = random_members(config, prng);
	Bitmapset		   *set = bms_difference(config->set, removed);
	bool				ban = pg_prng_uint64_range(prng, 0, 1) == 1;
	double				how = by_bytes[pg_prng_uint64_range(prng, 0, lengthof(by_bytes) - 1)];
	Config			   *start = dbperf_config_with(sel, config, set);
	Config			   *next = dbperf_selection_greedy(sel, start, ban ? removed : NULL, how);

	dbperf_config_free(start);
	bms_free(removed);
	bms_free(set);
	if (next->objective < config->objective * MAX_WORSE && !bms_equal(next->set, config->set))
		next = dbperf_selection_search(sel, next, false);
	if (next->objective < config->objective * (1.0 - MIN_PROGRESS))
		return next;
	dbperf_config_free(next);
	return NULL;
}

/*
 * Restarts from parts of the configuration until that has been in vain for
 * some time.  Frees or returns its argument.
 */
Config *
dbperf_selection_explore(Selection *sel, Config *config)
{
	pg_prng_state prng;
	int64		  max_work = sel->work + MAX_WORK;
	int			  idle = 0;

	pg_prng_seed(&prng, 1);
	for (int i = 0; i < MAX_RESTARTS && idle < MAX_IDLE_RESTARTS && config->count > 0 &&
					!sel->cache->exhausted && sel->work < max_work;
		 i++)
	{
		Config *next;

		CHECK_FOR_INTERRUPTS();
		next = restart(sel, config, &prng);
		idle++;
		if (next != NULL)
		{
			dbperf_config_free(config);
			config = next;
			idle = 0;
		}
	}
	return config;
}

/* A candidate in the order in which sets are enumerated. */
typedef struct Option
{
	int	   id;
	int64  bytes;
	double density; /* the most it gains alone, per byte */
} Option;

/* State of the enumeration. */
typedef struct Branching
{
	Selection *sel;
	Option	  *options;
	int		   noptions;
	int		   branches; /* looked at so far */
	int64	   max_work; /* of the selection, to stop at */
	Config	  *best;
} Branching;

/* qsort comparator: what gains most per byte first. */
static int
compare_options(const void *a, const void *b)
{
	const Option *oa = a;
	const Option *ob = b;

	if (oa->density != ob->density)
		return oa->density > ob->density ? -1 : 1;
	return oa->id - ob->id;
}

/* Whether no set that adds to "set" options from "first" on beats the best. */
static bool
hopeless(Branching *b, const Config *config, const Bitmapset *set, int first)
{
	Bitmapset *all = bms_copy(set);
	int64	   left = b->sel->request->storage_budget;
	int		   id = -1;
	bool	   result;

	while (left >= 0 && (id = bms_next_member(set, id)) >= 0)
		left -= dbperf_candidate_bytes(b->sel, id);

	for (int i = first; i < b->noptions && bms_num_members(set) < b->sel->request->max_indexes; i++)
	{
		if (b->sel->request->storage_budget < 0 || b->options[i].bytes <= left)
			all = bms_add_member(all, b->options[i].id);
	}
	result =
		dbperf_selection_bound(b->sel, config, all) >= b->best->objective * (1.0 - MIN_PROGRESS);
	bms_free(all);
	return result;
}

/* Enumerates the sets that add to the configuration options from "first" on. */
static void
branch(Branching *b, const Config *config, int first)
{
	check_stack_depth();
	for (int i = first; i < b->noptions; i++)
	{
		Bitmapset *set;
		Config	  *next;

		CHECK_FOR_INTERRUPTS();
		if (b->branches >= MAX_BRANCHES || b->sel->work >= b->max_work ||
			b->sel->cache->exhausted || hopeless(b, config, config->set, i))
			return;
		set = bms_add_member(bms_copy(config->set), b->options[i].id);
		if (dbperf_selection_fits(b->sel, set) && !hopeless(b, config, set, i + 1) &&
			dbperf_selection_evaluate(b->sel, config, set, DBL_MAX) < DBL_MAX)
		{
			b->branches++;
			next = dbperf_config_with(b->sel, config, set);
			branch(b, next, i + 1);
			if (next->objective < b->best->objective * (1.0 - MIN_PROGRESS))
			{
				dbperf_config_free(b->best);
				b->best = next;
			}
			else
				dbperf_config_free(next);
		}
		bms_free(set);
	}
}

/*
 * Enumerates sets of candidates, as far as that can be done.  Returns the best
 * one; frees or returns its argument.
 */
Config *
dbperf_selection_branch(Selection *sel, const Config *empty, Config *config)
{
	Branching b = {.sel = sel, .max_work = sel->work + MAX_WORK, .best = config};
	int		  id = -1;

	b.options = palloc(sizeof(Option) * Max(bms_num_members(sel->alive), 1));
	while ((id = bms_next_member(sel->alive, id)) >= 0)
	{
		Bitmapset *alone = bms_make_singleton(id);

		b.options[b.noptions].id = id;
		b.options[b.noptions].bytes = dbperf_candidate_bytes(sel, id);
		b.options[b.noptions++].density =
			(empty->objective - dbperf_selection_bound(sel, empty, alone)) /
			Max(dbperf_candidate_bytes(sel, id), BLCKSZ);
		bms_free(alone);
	}
	qsort(b.options, b.noptions, sizeof(Option), compare_options);
	branch(&b, empty, 0);
	pfree(b.options);
	return b.best;
}
