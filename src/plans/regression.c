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
 * monitor/latency_fold.c, and with the pace of the server: it must be slower than
 * that by the same factor.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "plans/plan_history.h"
#include "plans/server_pace.h"
#include "utils/timestamp.h"

/* plans of before the change may still be used for one of so many executions */
#define REST_SHARE 10

/* the share of executions that count as the fastest */
#define FASTEST 0.1

/*
 * A plan that is slower matters if a user can notice it, or if it takes so much
 * of a processor: very short executions depend on what else the machine does.
 */
#define NOTICEABLE_NS 1e6
#define NOTICEABLE_SHARE 0.01

/* so many executions of the newest plan say whether the query has recovered */
#define MIN_NEWEST 10

/* What all regressions are looked for with. */
typedef struct RegressionSearch
{
	PlanRegressionVisit visit;
	void			   *arg;
	ServerPace			pace;
	MemoryContext		context; /* of pace */
} RegressionSearch;

/* A query's plans. */
typedef struct QueryPlans
{
	List	   *known;	   /* the one that came into use last comes first */
	TimestampTz rest_seen; /* when one was used that is not among them, of too many */
} QueryPlans;

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

		if (newest != NULL && before->calls >= LATENCY_JUDGE_CALLS && !used_beside(plan, newest))
			continue;
		if (newest == NULL || before->calls < LATENCY_JUDGE_CALLS)
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
		{
			LatencyVerdict verdict;

			dbperf_latency_judge(before, &plan->in_turn, MIN_NEWEST, &verdict);
			return verdict.slower;
		}
	}
	return true;
}

/*
 * Compares executions before and after starter came into use.  Returns NULL if
 * nothing became slower.
 */
static PlanRegression *
judge_change(const QueryPlans *query, const MonitoredPlan *starter)
{
	List		   *plans = query->known;
	PlanRegression *regression;
	List		   *earlier = NIL;
	double			rest;
	ListCell	   *lc;

	foreach (lc, plans)
	{
		MonitoredPlan *plan = lfirst(lc);

		if (plan->turn_began < starter->turn_began)
			earlier = lappend(earlier, plan);
	}
	if (earlier == NIL)
		return NULL;
	regression = palloc0(sizeof(PlanRegression));
	regression->old_plan = sum_before(earlier, &regression->before);
	regression->new_plan = sum_after(plans, starter, &regression->after, &rest);
	regression->since = starter->turn_began;
	if (regression->old_plan == NULL || rest * REST_SHARE > (double) regression->after.calls ||
		query->rest_seen > starter->turn_began)
		return NULL;
	dbperf_latency_judge(&regression->before, &regression->after, LATENCY_JUDGE_CALLS,
						 &regression->verdict);
	if (!regression->verdict.slower || !still_slow(plans, &regression->before))
		return NULL;
	return regression;
}

/*
 * The change of plans that cost most, or NULL.
 */
static PlanRegression *
worst_change(const QueryPlans *query)
{
	PlanRegression *worst = NULL;
	ListCell	   *lc;

	foreach (lc, query->known)
	{
		PlanRegression *regression = judge_change(query, lfirst(lc));

		if (regression != NULL &&
			(worst == NULL || regression->verdict.factor > worst->verdict.factor))
			worst = regression;
	}
	return worst;
}

/* The mean latency, in nanoseconds. */
static double
mean_ns(const LatencySummary *summary)
{
	return summary->calls == 0 ? 0 : (double) summary->total_ns / (double) summary->calls;
}

/*
 * Whether the fastest executions became slower as well.  Where processes take
 * turns on a busy processor some executions are not disturbed.
 */
static bool
fastest_slower(const LatencySummary *before, const LatencySummary *after)
{
	return dbperf_latency_percentile(after, FASTEST) >=
		   LATENCY_JUDGE_FACTOR * dbperf_latency_percentile(before, FASTEST);
}

/*
 * Whether it matters that executions became slower at some time.
 */
static bool
noticeable(const LatencySummary *before, const LatencySummary *after, TimestampTz since)
{
	double elapsed_ns = (double) (GetCurrentTimestamp() - since) * 1000;
	double lost_ns = (mean_ns(after) - mean_ns(before)) * (double) after->calls;

	return dbperf_latency_percentile(after, 0.5) - dbperf_latency_percentile(before, 0.5) >=
			   NOTICEABLE_NS ||
		   lost_ns >= NOTICEABLE_SHARE * elapsed_ns;
}

/*
 * A plan that is slower than it was, or NULL.  newest is when the newest plan of
 * the query came into use: what was not used since is history.
 */
static PlanRegression *
judge_plan(const MonitoredPlan *plan, TimestampTz newest, ServerPace *pace)
{
	PlanRegression *regression;

	if (plan->last_seen < newest || plan->before.calls < LATENCY_JUDGE_CALLS ||
		plan->lately.calls < LATENCY_JUDGE_CALLS)
		return NULL;
	regression = palloc0(sizeof(PlanRegression));
	regression->old_plan = regression->new_plan = plan;
	regression->before = plan->before;
	regression->after = plan->lately;
	regression->since = plan->slower_since != 0 ? plan->slower_since : plan->lately_began;
	dbperf_latency_judge(&regression->before, &regression->after, LATENCY_JUDGE_CALLS,
						 &regression->verdict);
	if (!regression->verdict.slower ||
		regression->verdict.factor <
			LATENCY_JUDGE_FACTOR *
				dbperf_pace_factor(pace, dbperf_latency_percentile(&plan->before, 0.5)) ||
		!fastest_slower(&regression->before, &regression->after) ||
		!noticeable(&regression->before, &regression->after, regression->since))
		return NULL;
	return regression;
}

/*
 * What made a query slower (PlanRegression), given all its plans: one change of
 * plans at most, and each plan that is slower than it was.  pace is that of the
 * server.
 */
static List *
plan_regressions(List *plans, ServerPace *pace)
{
	QueryPlans			 query = {0};
	List				*result = NIL;
	const MonitoredPlan *rest = NULL;
	PlanRegression		*change;
	ListCell			*lc;

	foreach (lc, plans)
	{
		MonitoredPlan *plan = lfirst(lc);

		if (plan->plan_id != 0)
			query.known = lappend(query.known, plan);
		else
			rest = plan;
	}
	if (query.known == NIL)
		return NIL;
	list_sort(query.known, newest_turn);
	if (rest != NULL && list_length(query.known) >= LATENCY_MAX_PLANS)
		query.rest_seen = rest->last_seen;

	change = worst_change(&query);
	if (change != NULL)
		result = lappend(result, change);
	foreach (lc, query.known)
	{
		const MonitoredPlan *plan = lfirst(lc);
		PlanRegression		*slower;

		if (change != NULL && plan == change->new_plan)
			continue;
		slower = judge_plan(plan, ((MonitoredPlan *) linitial(query.known))->turn_began, pace);
		if (slower != NULL)
			result = lappend(result, slower);
	}
	return result;
}

/* MonitoredPlanVisit: finds the pace of the server. */
static void
pace_visit(List *plans, void *arg)
{
	RegressionSearch *search = arg;
	MemoryContext	  old = MemoryContextSwitchTo(search->context);
	ListCell		 *lc;

	foreach (lc, plans)
		dbperf_pace_add(&search->pace, lfirst(lc));
	MemoryContextSwitchTo(old);
}

/* MonitoredPlanVisit: hands out the regressions of a query. */
static void
plans_visit(List *plans, void *arg)
{
	RegressionSearch *search = arg;
	List			 *regressions = plan_regressions(plans, &search->pace);
	ListCell		 *lc;

	foreach (lc, regressions)
		search->visit(lfirst(lc), search->arg);
}

/*
 * Visits all that made a query slower, in all databases, whoever may see it; texts
 * says whether the plans' texts are wanted.  Needs dbperf_require_shmem().
 */
void
dbperf_visit_regressions(PlanRegressionVisit visit, void *arg, bool texts)
{
	RegressionSearch search = {visit, arg, .context = CurrentMemoryContext};

	dbperf_monitored_plans(pace_visit, &search, false);
	dbperf_monitored_plans(plans_visit, &search, texts);
}
