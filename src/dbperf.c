/*-------------------------------------------------------------------------
 *
 * dbperf.c
 *		Entry point of the library.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/advisor.h"
#include "cache/cache.h"
#include "cluster/cluster.h"
#include "core/compat.h"
#include "core/core.h"
#include "core/exec_hooks.h"
#include "core/launcher.h"
#include "maintenance/maintenance.h"
#include "metrics/metrics.h"
#include "miscadmin.h"
#include "monitor/monitor.h"
#include "plans/plans.h"
#include "pool/pool.h"
#include "report/report.h"
#include "utils/guc.h"

DBPERF_MODULE_MAGIC;

void _PG_init(void);

/*
 * Settings first, then each module in the order of its dependencies.  Without
 * preload there are only settings and SQL functions that say what is missing.
 */
void
_PG_init(void)
{
	bool preloaded = process_shared_preload_libraries_in_progress;

	dbperf_settings_init();
	if (preloaded)
	{
		dbperf_shmem_init();
		dbperf_db_guard_init();
		dbperf_exec_hooks_init();
		dbperf_launcher_init();
		dbperf_writer_init();
	}
	dbperf_monitor_init();
	dbperf_cluster_init();
	dbperf_advisor_init();
	dbperf_maintenance_init();
	dbperf_cache_init();
	dbperf_pool_init();
	dbperf_plans_init();
	dbperf_metrics_init();
	dbperf_report_init();
	MarkGUCPrefixReserved("dbperf");
}
