/*-------------------------------------------------------------------------
 *
 * metrics.c
 *		Settings and start-up of metrics.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "metrics/estimates.h"
#include "metrics/health.h"
#include "metrics/metrics.h"
#include "metrics/samples.h"
#include "metrics/vitals.h"

/*
 * Called from _PG_init, preloaded or not.
 */
void
dbperf_metrics_init(void)
{
	dbperf_estimates_init();
	dbperf_sampler_init();
	dbperf_vitals_init();
	dbperf_health_init();
	dbperf_catalogue_init();
}
