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

/* How much slower plans are than they were; all zero at first. */
typedef struct ServerPace
{
	double *factors;
	int		count;
	int		room;
} ServerPace;

/* regression.c */
extern void	  dbperf_pace_add(ServerPace *pace, List *plans);
extern double dbperf_pace_factor(ServerPace *pace);
extern List	 *dbperf_plan_regressions(List *plans, double pace);

/* plans_metrics.c */
extern void dbperf_plans_metrics_init(void);

/* plan_difference.c */
extern char *dbperf_plan_difference(const char *old_text, const char *new_text);

DBPERF_PRIVATE_END

#endif /* DBPERF_PLAN_HISTORY_H */
