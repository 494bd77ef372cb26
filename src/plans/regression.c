/*-------------------------------------------------------------------------
 *
 * regression.c
 *		Which change of plans made a query slower, or which plan became slower.
 *
 * A query may use several plans beside each other, chosen by its parameters, and
 * some of them are slow: that is no regression.  So plans are not compared one
 * with another.  Whenever a plan came into use, or back into use, all executions
 * from then on, with whatever plans, are compared with those before; and only if
 * the plans of before are not in use any more.  What was before are the plans
 * that were in use just then: a plan that had been given up earlier, like the one
 * from before an index was made, is not what the query would go back to.
 *
 * A plan on its own is compared with what the monitor has kept apart of it, see
 * monitor/latency_fold.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "plans/plan_history.h"

/* plans of before the change may still be used for one of so many executions */
#define REST_SHARE 10

/* so few executions say nothing about what a query needs */
#define MIN_BEFORE 30
#define MIN_NEWEST 10
#define MIN_FACTOR 1.5

/* list_sort comparator: the plan that came into use last comes first. */
static int
newest_turn(const ListCell *a, const ListCell *b)
{
	TimestampTz x = ((const MonitoredPlan *) lfirst(a))->turn_began;
	TimestampTz y = ((const MonitoredPlan *) lfirst(b))->turn_began;

	return x > y ? -1 : x < y ? 1 : 0;
}

/*
 * Whether a plan was still used in the second half of another's turn, which
 * began later.
 */
static bool
used_beside(const MonitoredPlan *plan, const MonitoredPlan *later)
{
	return plan->last_seen > later->turn_began + (later->last_seen - later->turn_began) / 2;
}

/*
 * Adds up the executions before a change.  earlier are the plans of before it,
 * the newest first.  Returns the one that was used most.
 */
static const MonitoredPlan *
sum_before(List *earlier, LatencySummary *before)
{
	const MonitoredPlan *most = NULL;
	const MonitoredPlan *newest = NULL;
	ListCell			*lc;

	foreach (lc, earlier)
	{
		const MonitoredPlan *plan = lfirst(lc);

		if (newest != NULL && before->calls >= MIN_BEFORE && !used_beside(plan, newest))
			continue;
		if (newest == NULL || before->calls < MIN_BEFORE)
			newest = plan;
		dbperf_latency_merge(before, &plan->lifetime);
		if (most == NULL || plan->lifetime.calls > most->lifetime.calls)
			most = plan;
	}
	return most;
}

/*
 * Adds up the executions since a plan, starter, came into use.  Returns the plan
 * that was used most, and in *rest how often plans of before were used.
 */
static const MonitoredPlan *
sum_after(List *plans, const MonitoredPlan *starter, LatencySummary *after, double *rest)
{
	const MonitoredPlan *most = NULL;
	ListCell			*lc;

	*rest = -starter->turn_others;
	foreach (lc, plans)
	{
		const MonitoredPlan *plan = lfirst(lc);

		if (plan != starter)
			*rest += (double) plan->lifetime.calls;
		if (plan->turn_began < starter->turn_began)
			continue;
		if (plan != starter)
			*rest -= (double) plan->in_turn.calls;
		dbperf_latency_merge(after, &plan->in_turn);
		if (most == NULL || plan->in_turn.calls > most->in_turn.calls)
			most = plan;
	}
	return most;
}

/*
 * Whether the newest plan of which something can be said is slower than what
 * was before: if not, the query has recovered.
 */
static bool
still_slow(List *plans, const LatencySummary *before)
{
	ListCell *lc;

	foreach (lc, plans)
	{
		const MonitoredPlan *plan = lfirst(lc);

		if (plan->in_turn.calls >= MIN_NEWEST)
			return dbperf_latency_percentile(&plan->in_turn, 0.5) >=
				   MIN_FACTOR * dbperf_latency_percentile(before, 0.5);
	}
	return true;
}

/*
 * Compares executions before and after starter came into use; plans are sorted,
 * and those behind starter were in use earlier.  Returns NULL if nothing became
 * slower.
 */
static PlanRegression *
judge_change(List *plans, const MonitoredPlan *starter)
{
	PlanRegression *regression = palloc0(sizeof(PlanRegression));
	List		   *earlier = NIL;
	double			rest;
	ListCell	   *lc;

	foreach (lc, plans)
	{
		MonitoredPlan *plan = lfirst(lc);

		if (plan->turn_began < starter->turn_began)
			earlier = lappend(earlier, plan);
	}
	regression->old_plan = sum_before(earlier, &regression->before);
	regression->new_plan = sum_after(plans, starter, &regression->after, &rest);
	regression->since = starter->turn_began;
	if (regression->old_plan == NULL || rest * REST_SHARE > (double) regression->after.calls)
		return NULL;
	dbperf_latency_judge(&regression->before, &regression->after, &regression->verdict);
	if (!regression->verdict.slower || !still_slow(plans, &regression->before))
		return NULL;
	return regression;
}

/*
 * The change of plans that cost most, or NULL.
 */
static PlanRegression *
worst_change(List *plans)
{
	PlanRegression *worst = NULL;
	ListCell	   *lc;

	foreach (lc, plans)
	{
		PlanRegression *regression = judge_change(plans, lfirst(lc));

		if (regression != NULL &&
			(worst == NULL || regression->verdict.factor > worst->verdict.factor))
			worst = regression;
	}
	return worst;
}

/*
 * A plan that is slower than it was, or NULL.  newest is when the newest plan of
 * the query came into use: what was not used since is history.
 */
static PlanRegression *
judge_plan(const MonitoredPlan *plan, TimestampTz newest)
{
	PlanRegression *regression;

	if (plan->last_seen < newest)
		return NULL;
	regression = palloc0(sizeof(PlanRegression));
	regression->old_plan = regression->new_plan = plan;
	regression->before = plan->before;
	regression->after = plan->lately;
	regression->since = plan->slower_since != 0 ? plan->slower_since : plan->lately_began;
	dbperf_latency_judge(&regression->before, &regression->after, &regression->verdict);
	return regression->verdict.slower ? regression : NULL;
}

/*
 * What made a query slower (PlanRegression), given all its plans: one change of
 * plans at most, and each plan that is slower than it was.
 */
List *
dbperf_plan_regressions(List *plans)
{
	List		   *known = NIL;
	List		   *result = NIL;
	PlanRegression *change;
	ListCell	   *lc;

	foreach (lc, plans)
	{
		MonitoredPlan *plan = lfirst(lc);

		if (plan->plan_id != 0)
			known = lappend(known, plan);
	}
	if (known == NIL)
		return NIL;
	list_sort(known, newest_turn);

	change = worst_change(known);
	if (change != NULL)
		result = lappend(result, change);
	foreach (lc, known)
	{
		const MonitoredPlan *plan = lfirst(lc);
		PlanRegression		*slower;

		if (change != NULL && plan == change->new_plan)
			continue;
		slower = judge_plan(plan, ((MonitoredPlan *) linitial(known))->turn_began);
		if (slower != NULL)
			result = lappend(result, slower);
	}
	return result;
}
