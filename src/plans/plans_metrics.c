/*-------------------------------------------------------------------------
 *
 * plans_metrics.c
 *		The metrics of plans.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/metric.h"
#include "plans/plan_history.h"

static const DbperfMetric regressions = {
	"dbperf_plan_regressions", DBPERF_METRIC_GAUGE,
	"Queries of all databases that another plan has made slower, and plans that became slower: "
	"dbperf.plan_regressions says which"};

typedef struct RegressionCount
{
	ServerPace	  pace;
	MemoryContext context; /* of pace */
	double		  factor;
	int			  count;
} RegressionCount;

/* MonitoredPlanVisit: finds the pace of the server. */
static void
pace_visit(List *plans, void *arg)
{
	RegressionCount *count = arg;
	MemoryContext	 old = MemoryContextSwitchTo(count->context);

	dbperf_pace_add(&count->pace, plans);
	MemoryContextSwitchTo(old);
}

/* MonitoredPlanVisit: counts. */
static void
count_visit(List *plans, void *arg)
{
	RegressionCount *count = arg;

	count->count += list_length(dbperf_plan_regressions(plans, count->factor));
}

/* DbperfMetricSource */
static void
collect(DbperfMetricSink *sink)
{
	RegressionCount count = {.context = CurrentMemoryContext};

	dbperf_monitored_plans(pace_visit, &count, false);
	count.factor = dbperf_pace_factor(&count.pace);
	dbperf_monitored_plans(count_visit, &count, false);
	dbperf_metric(sink, &regressions, count.count);
}

/*
 * Registers the metrics; called while the library is preloaded.
 */
void
dbperf_plans_metrics_init(void)
{
	static const DbperfMetricSource source = {"plans", DBPERF_METRIC_QUERIES, collect};

	dbperf_metric_source_register(&source);
}
