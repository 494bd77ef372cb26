/*-------------------------------------------------------------------------
 *
 * metrics.c
 *		Settings and start-up of metrics.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "metrics/metrics.h"

/*
 * Called from _PG_init, preloaded or not.
 */
void
dbperf_metrics_init(void)
{
	dbperf_catalogue_init();
}
