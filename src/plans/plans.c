/*-------------------------------------------------------------------------
 *
 * plans.c
 *		Settings and start-up of the work on plans.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "plans/analyze.h"
#include "plans/plan_history.h"
#include "plans/plans.h"
#include "plans/query_settings.h"

/*
 * Called from _PG_init, preloaded or not.
 */
void
dbperf_plans_init(void)
{
	dbperf_analyze_init();
	dbperf_query_settings_init();
	if (process_shared_preload_libraries_in_progress)
		dbperf_plans_metrics_init();
}
