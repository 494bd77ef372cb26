/*-------------------------------------------------------------------------
 *
 * metrics.c
 *		Settings and start-up of metrics.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "metrics/metrics.h"
#include "metrics/samples.h"

/*
 * Called from _PG_init, preloaded or not.
 */
void
dbperf_metrics_init(void)
{
	dbperf_sampler_init();
	dbperf_catalogue_init();
}
