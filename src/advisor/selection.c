/*-------------------------------------------------------------------------
 *
 * selection.c
 *		What the workload costs with a set of candidates.
 *
 * The objective is the sum of weight times cost over all subjects, plus what
 * it costs to write to the indexes.  Moving from one set to another changes
 * only the subjects that some added or removed candidate is useful for; those
 * are planned only until it is clear that the new set is no better than what
 * the caller wants to beat.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "advisor/selection.h"
#include "optimizer/optimizer.h"
#include "utils/float.h"
#include "utils/memutils.h"

/* An index must spare one execution of some subject this many random pages. */
#define MIN_SAVED_PAGES 5.0
/* The planner takes costs that are so near to each other for equal. */
#define COST_FUZZ 1.01
/* A query with this share of the measured time is worth an index of its own ... */
#define QUERY_MIN_SHARE 0.01
/* ... that saves this share of it, and so much more if it is as large as its table. */
#define QUERY_MIN_SAVING 0.10
#define QUERY_SAVING_OF_COPY 0.40
/* The same for the whole workload, on top of min_improvement. */
#define WORKLOAD_SAVING_OF_COPY 0.20
/* An execution must save this share of the index's pages, up to a number. */
#define SAVED_SHARE_OF_PAGES 0.05
#define MAX_DEMANDED_PAGES 200.0

/*
 * Prepares the choice.  Lives in the current memory context.
 */
Selection *
dbperf_selection_create(const AdviseRequest *request, CostCache *cache, WriteCosts *writes)
{
	Selection *sel = palloc0(sizeof(Selection));

	sel->context = CurrentMemoryContext;
	sel->scratch =
		AllocSetContextCreate(CurrentMemoryContext, "dbperf evaluation", ALLOCSET_DEFAULT_SIZES);
	sel->request = request;
	sel->cache = cache;
	sel->writes = writes;
	sel->min_saving = MIN_SAVED_PAGES * random_page_cost;
	for (int i = 0; i < cache->nsubjects; i++)
	{
		if (cache->subjects[i].nentries > 0)
			sel->total_ms += cache->subjects[i].subject->total_ms;
	}
	return sel;
}

/* Estimated size of a candidate, which must have been planned or measured. */
int64
dbperf_candidate_bytes(Selection *sel, int id)
{
	return Max(sel->cache->whatif->indexes[id]->bytes, 0);
}

/* Sum of the sizes of the candidates in a set. */
static int64
set_bytes(Selection *sel, const Bitmapset *set)
{
	int64 bytes = 0;
	int	  id = -1;

	while ((id = bms_next_member(set, id)) >= 0)
		bytes += dbperf_candidate_bytes(sel, id);
	return bytes;
}

/*
 * Whether a set stays within the caller's limits.
 */
bool
dbperf_selection_fits(Selection *sel, const Bitmapset *set)
{
	const AdviseRequest *request = sel->request;

	return bms_num_members(set) <= request->max_indexes &&
		   (request->storage_budget < 0 || set_bytes(sel, set) <= request->storage_budget);
}

/* The subjects that may cost something else with "set" than with "from". */
static Bitmapset *
affected_subjects(Selection *sel, const Bitmapset *from, const Bitmapset *set)
{
	Bitmapset *changed = bms_add_members(bms_difference(from, set), bms_difference(set, from));
	Bitmapset *affected = NULL;
	int		   id = -1;

	while ((id = bms_next_member(changed, id)) >= 0)
		affected = bms_add_members(affected, sel->cache->users[id]);
	return affected;
}

/* A subject whose cost with a set is not known. */
typedef struct Unknown
{
	SubjectCosts *costs;
	Bitmapset	 *relevant;
	double		  lower;
	double		  gap; /* weighted, between the bounds */
} Unknown;

/* qsort comparator: the largest gap first, then by number. */
static int
compare_unknown(const void *a, const void *b)
{
	const Unknown *ua = a;
	const Unknown *ub = b;

	if (ua->gap != ub->gap)
		return ua->gap > ub->gap ? -1 : 1;
	return ua->costs->subject->number - ub->costs->subject->number;
}

/*
 * Sums up the objective of "set", starting from the one of "from".  Subjects
 * whose cost is not known count with their lower bound and are put into
 * unknown, largest gap first.  Works in the scratch context.
 */
static double
sum_bounds(Selection *sel, const Config *from, const Bitmapset *set, Unknown **unknown,
		   int *nunknown)
{
	Bitmapset *affected = affected_subjects(sel, from->set, set);
	double	   objective = from->objective - from->writes;
	int		   number = -1;

	sel->work += bms_num_members(affected);
	*unknown = palloc(sizeof(Unknown) * Max(bms_num_members(affected), 1));
	*nunknown = 0;

	while ((number = bms_next_member(affected, number)) >= 0)
	{
		SubjectCosts *costs = &sel->cache->subjects[number];
		Bitmapset	 *relevant = bms_intersect(set, costs->useful);
		double		  lower;
		double		  upper;

		if (!costs->active)
			continue;
		if (!dbperf_cost_known(costs, relevant, &lower, &upper))
		{
			Unknown *u = &(*unknown)[(*nunknown)++];

			u->costs = costs;
			u->relevant = relevant;
			u->lower = lower;
			u->gap = costs->subject->weight * (upper - lower);
		}
		else if (lower > costs->subject->cost_before * COST_FUZZ)
			return get_float8_infinity(); /* no query may get worse */
		objective += costs->subject->weight * (lower - from->costs[number]);
	}
	qsort(*unknown, *nunknown, sizeof(Unknown), compare_unknown);
	return objective + dbperf_write_cost_of(sel->writes, set);
}

/*
 * What the objective of "set" is at least, without planning anything.
 */
double
dbperf_selection_bound(Selection *sel, const Config *from, const Bitmapset *set)
{
	MemoryContext caller = MemoryContextSwitchTo(sel->scratch);
	Unknown		 *unknown;
	int			  nunknown;
	double		  objective = sum_bounds(sel, from, set, &unknown, &nunknown);

	MemoryContextSwitchTo(caller);
	MemoryContextReset(sel->scratch);
	return objective;
}

/*
 * What the objective of "set" is at most, without planning anything.
 */
double
dbperf_selection_estimate(Selection *sel, const Config *from, const Bitmapset *set)
{
	MemoryContext caller = MemoryContextSwitchTo(sel->scratch);
	Unknown		 *unknown;
	int			  nunknown;
	double		  objective = sum_bounds(sel, from, set, &unknown, &nunknown);

	for (int i = 0; i < nunknown; i++)
		objective += unknown[i].gap;
	MemoryContextSwitchTo(caller);
	MemoryContextReset(sel->scratch);
	return objective;
}

/*
 * The objective of "set".  Plans what is not known, until the result is exact
 * or known to be not below the cutoff.  Infinite if some query would get worse.
 */
double
dbperf_selection_evaluate(Selection *sel, const Config *from, const Bitmapset *set, double cutoff)
{
	MemoryContext caller = MemoryContextSwitchTo(sel->scratch);
	Unknown		 *unknown;
	int			  nunknown;
	double		  objective = sum_bounds(sel, from, set, &unknown, &nunknown);

	for (int i = 0; i < nunknown && objective < cutoff; i++)
	{
		Subject *subject = unknown[i].costs->subject;
		double	 cost = dbperf_cost_of(sel->cache, unknown[i].costs, unknown[i].relevant);

		if (cost > subject->cost_before * COST_FUZZ)
			objective = get_float8_infinity();
		else
			objective += subject->weight * (cost - unknown[i].lower);
	}

	MemoryContextSwitchTo(caller);
	MemoryContextReset(sel->scratch);
	return objective;
}

/*
 * The set without any candidate.  Subjects that no index can help count, too.
 */
Config *
dbperf_config_empty(Selection *sel)
{
	Config *config = palloc0(sizeof(Config));

	config->costs = palloc0(sizeof(double) * Max(sel->cache->nsubjects, 1));
	for (int i = 0; i < sel->cache->nsubjects; i++)
	{
		SubjectCosts *costs = &sel->cache->subjects[i];

		config->costs[i] = costs->subject->cost_before;
		if (costs->nentries > 0)
			config->objective += costs->subject->weight * costs->subject->cost_before;
	}
	return config;
}

/*
 * The configuration of "set", derived from another one.  In the current memory
 * context.
 */
Config *
dbperf_config_with(Selection *sel, const Config *from, const Bitmapset *set)
{
	Config	  *config = palloc0(sizeof(Config));
	Bitmapset *affected = affected_subjects(sel, from->set, set);
	int		   number = -1;

	config->set = bms_copy(set);
	config->count = bms_num_members(set);
	config->bytes = set_bytes(sel, set);
	config->costs = palloc(sizeof(double) * Max(sel->cache->nsubjects, 1));
	memcpy(config->costs, from->costs, sizeof(double) * sel->cache->nsubjects);

	while ((number = bms_next_member(affected, number)) >= 0)
	{
		SubjectCosts *costs = &sel->cache->subjects[number];

		if (costs->active)
			config->costs[number] = dbperf_cost_of(sel->cache, costs, set);
	}
	bms_free(affected);

	config->writes = dbperf_write_cost_of(sel->writes, set);
	config->objective = config->writes;
	for (int i = 0; i < sel->cache->nsubjects; i++)
	{
		if (sel->cache->subjects[i].nentries > 0)
			config->objective += sel->cache->subjects[i].subject->weight * config->costs[i];
	}
	return config;
}

/* Frees a configuration. */
void
dbperf_config_free(Config *config)
{
	bms_free(config->set);
	pfree(config->costs);
	pfree(config);
}

/* What the indexes that a step adds must do for their space. */
typedef struct Demand
{
	double saving;		   /* of one execution of some subject */
	double query_share;	   /* of what that subject costs, or ... */
	double workload_share; /* ... of what the workload costs */
} Demand;

/* The demand on the indexes that "to" has and "from" has not. */
static Demand
demand_of(Selection *sel, const Config *from, const Config *to)
{
	Bitmapset *added = bms_difference(to->set, from->set);
	double	   min_improvement = sel->request->min_improvement;
	double	   pages = 0;
	double	   table_pages = 0;
	double	   ratio;
	Demand	   demand;
	int		   id = -1;

	while ((id = bms_next_member(added, id)) >= 0)
	{
		pages += (double) dbperf_candidate_bytes(sel, id) / BLCKSZ;
		table_pages += dbperf_table_pages(sel->writes, sel->cache->whatif->indexes[id]->def->relid);
	}
	bms_free(added);

	ratio = Min(pages / Max(table_pages, 1.0), 1.0);
	demand.saving = Min(SAVED_SHARE_OF_PAGES * pages, MAX_DEMANDED_PAGES) * seq_page_cost;
	demand.saving = Max(demand.saving, sel->min_saving);
	demand.query_share = Max(QUERY_MIN_SAVING + QUERY_SAVING_OF_COPY * ratio, min_improvement);
	demand.workload_share = min_improvement + WORKLOAD_SAVING_OF_COPY * ratio;
	return demand;
}

/*
 * Whether going from one configuration to the other is worth it: it must save
 * a share of what the workload still costs, or of one query that matters by
 * itself (one monster must not hide the rest; in a list of explicit texts each
 * one matters).  The more of its table an index holds, the more it must save.
 * And no index is made for what is cheap already.
 *
 * This looks only at costs before and after, so that indexes which exist are
 * judged like those that were chosen: whoever follows advice does not get more.
 */
bool
dbperf_selection_qualifies(Selection *sel, const Config *from, const Config *to)
{
	Demand demand = demand_of(sel, from, to);
	double gain = from->objective - to->objective;
	bool   noticeable = false;
	bool   query_gains = false;

	if (gain <= 0)
		return false;

	for (int i = 0; i < sel->cache->nsubjects; i++)
	{
		Subject *subject = sel->cache->subjects[i].subject;
		double	 saving = from->costs[i] - to->costs[i];

		if (!sel->cache->subjects[i].active || saving < demand.saving)
			continue;
		noticeable = true;
		if (saving >= demand.query_share * from->costs[i] &&
			(subject->explicit_text || subject->total_ms >= QUERY_MIN_SHARE * sel->total_ms))
			query_gains = true;
	}
	return noticeable && (query_gains || gain >= demand.workload_share * from->objective);
}
