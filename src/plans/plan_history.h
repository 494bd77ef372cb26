/*-------------------------------------------------------------------------
 *
 * plan_history.h
 *		Plans of a query over time, and which of them made it slower.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_PLAN_HISTORY_H
#define DBPERF_PLAN_HISTORY_H

#include "monitor/monitor.h"
#include "nodes/pg_list.h"

DBPERF_PRIVATE_BEGIN

/* A query that became slower. */
typedef struct PlanRegression
{
	const MonitoredPlan *old_plan;
	const MonitoredPlan *new_plan; /* the same as old_plan: it became slower */
	LatencySummary		 before;   /* with the old plan, and others used beside it */
	LatencySummary		 after;
	LatencyVerdict		 verdict;
	TimestampTz			 since;
} PlanRegression;

/* Takes one of them, which is gone afterwards. */
typedef void (*PlanRegressionVisit)(const PlanRegression *regression, void *arg);

/* regression.c */
extern void dbperf_visit_regressions(PlanRegressionVisit visit, void *arg, bool texts);

/* plans_metrics.c */
extern void dbperf_plans_metrics_init(void);

/* plan_difference.c */
extern char *dbperf_plan_difference(const char *old_text, const char *new_text);

DBPERF_PRIVATE_END

#endif /* DBPERF_PLAN_HISTORY_H */
