/*-------------------------------------------------------------------------
 *
 * server_pace.c
 *		How much slower the server as a whole is than it was.
 *
 * When the machine is busy with something else all plans are slower, and none of
 * them is to blame.  The pace of the server is the median over plans of how much
 * slower each is than it was.
 *
 * Not all of them feel the same of it.  Where more processes than processors want
 * to run, one that is done in less than its turn hardly waits, and a longer one
 * waits for each of the others.  So a plan is compared with those that are about as
 * long or longer; only if these are too few, with all.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "plans/server_pace.h"
#include "port/pg_bitutils.h"

/* of fewer plans the median says nothing about the server */
#define MIN_PLANS 5

/*
 * Plans of at least this part of another's length are like it, or longer.  Several
 * of few may read one table, and have become slower with it.
 */
#define LIKE_IT 0.25
#define MIN_LIKE_IT 10

void
dbperf_pace_add(ServerPace *pace, const MonitoredPlan *plan)
{
	PacedPlan *paced;

	if (plan->plan_id == 0 || plan->before.calls < LATENCY_JUDGE_CALLS ||
		plan->lately.calls < LATENCY_JUDGE_CALLS)
		return;
	if (pace->count == pace->room)
	{
		pace->room = Max(2 * pace->room, 64);
		pace->plans = pace->plans == NULL ? palloc(pace->room * sizeof(PacedPlan))
										  : repalloc(pace->plans, pace->room * sizeof(PacedPlan));
	}
	paced = &pace->plans[pace->count++];
	paced->before_ns = Max(dbperf_latency_percentile(&plan->before, 0.5), 1.0);
	paced->factor = dbperf_latency_percentile(&plan->lately, 0.5) / paced->before_ns;
}

/* qsort comparator */
static int
compare_factors(const void *a, const void *b)
{
	double x = *(const double *) a;
	double y = *(const double *) b;

	return x < y ? -1 : x > y ? 1 : 0;
}

/*
 * The median factor of plans that took at least so long, and at least 1; 0 if there
 * are fewer than min_count.
 */
static double
median_factor(const ServerPace *pace, double from_ns, int min_count)
{
	double *factors = palloc(Max(pace->count, 1) * sizeof(double));
	double	median = 0;
	int		count = 0;

	for (int i = 0; i < pace->count; i++)
	{
		if (pace->plans[i].before_ns >= from_ns)
			factors[count++] = pace->plans[i].factor;
	}
	if (count >= min_count)
	{
		qsort(factors, count, sizeof(double), compare_factors);
		median = Max(factors[count / 2], 1.0);
	}
	pfree(factors);
	return median;
}

double
dbperf_pace_factor(ServerPace *pace, double before_ns)
{
	uint64 from_ns = (uint64) Max(before_ns * LIKE_IT, 1.0);
	int	   bound = Min(pg_leftmost_one_pos64(from_ns), PACE_BOUNDS - 1);

	if (pace->factors[bound] == 0)
	{
		pace->factors[bound] = median_factor(pace, (double) (UINT64CONST(1) << bound), MIN_LIKE_IT);
		if (pace->factors[bound] == 0)
			pace->factors[bound] = Max(median_factor(pace, 0, MIN_PLANS), 1.0);
	}
	return pace->factors[bound];
}
