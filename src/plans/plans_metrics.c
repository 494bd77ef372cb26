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

/* PlanRegressionVisit: counts. */
static void
count_visit(const PlanRegression *regression, void *arg)
{
	int *count = arg;

	(void) regression;
	(*count)++;
}

/* DbperfMetricSource */
static void
collect(DbperfMetricSink *sink)
{
	int count = 0;

	dbperf_visit_regressions(count_visit, &count, false);
	dbperf_metric(sink, &regressions, count);
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
