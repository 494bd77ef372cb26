/*-------------------------------------------------------------------------
 *
 * plans.c
 *		Settings and start-up of the work on plans.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "plans/analyze.h"
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
}
