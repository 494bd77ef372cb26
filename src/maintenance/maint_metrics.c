/*-------------------------------------------------------------------------
 *
 * maint_metrics.c
 *		Maintenance's metrics.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/metric.h"
#include "maintenance/maint_state.h"
#include "utils/timestamp.h"

static const DbperfMetric running = {"dbperf_maintenance_running", DBPERF_METRIC_GAUGE,
									 "Maintenance actions that are being done"};
static const DbperfMetric due = {
	"dbperf_maintenance_due", DBPERF_METRIC_GAUGE,
	"Maintenance actions that were due and not done when each database was looked at last"};
static const DbperfMetric requested = {
	"dbperf_maintenance_requests", DBPERF_METRIC_GAUGE,
	"Actions that run_maintenance() has asked for and that wait"};
static const DbperfMetric paused = {
	"dbperf_maintenance_paused", DBPERF_METRIC_GAUGE,
	"1 while pause_maintenance() allows only what prevents wraparound"};
static const DbperfMetric runs = {"dbperf_maintenance_runs_total", DBPERF_METRIC_COUNTER,
								  "Maintenance actions that have ended since the server's start, "
								  "by how; dbperf.maintenance_log has each of them"};

/* What is copied under the lock. */
typedef struct MaintTotals
{
	int	  working;
	int	  due;
	int	  requests;
	bool  paused;
	int64 ended[MAINT_ACTIONS][MAINT_OUTCOMES];
} MaintTotals;

static void
copy_totals(MaintTotals *totals)
{
	TimestampTz now = GetCurrentTimestamp();

	memset(totals, 0, sizeof(*totals));
	LWLockAcquire(MAINT_LOCK, LW_SHARED);
	for (int i = 0; i < MAINT_SLOTS; i++)
		totals->working += dbperf_maint->slots[i].state == MAINT_SLOT_WORKING;
	for (int i = 0; i < MAINT_DATABASES; i++)
	{
		if (OidIsValid(dbperf_maint->databases[i].oid))
			totals->due += dbperf_maint->databases[i].due;
	}
	for (int i = 0; i < MAINT_REQUESTS; i++)
		totals->requests +=
			dbperf_maint->requests[i].id != 0 && dbperf_maint->requests[i].worker == 0;
	totals->paused = dbperf_maint->paused_until > now;
	memcpy(totals->ended, dbperf_maint->ended, sizeof(totals->ended));
	LWLockRelease(MAINT_LOCK);
}

/*
 * Hands out how actions ended.  Some outcomes are rare: they have a value from
 * their first time on.
 */
static void
put_runs(DbperfMetricSink *sink, const MaintTotals *totals)
{
	for (int action = 0; action < MAINT_ACTIONS; action++)
	{
		for (int outcome = MAINT_DONE; outcome < MAINT_OUTCOMES; outcome++)
		{
			DbperfMetricLabel labels[] = {
				{"action", dbperf_maint_action_name((MaintAction) action)},
				{"outcome", dbperf_maint_outcome_name((MaintOutcome) outcome)},
			};
			int64 count = totals->ended[action][outcome];

			if (count > 0 || outcome == MAINT_DONE || outcome == MAINT_FAILED)
				sink->value(sink, &runs, labels, lengthof(labels), (double) count);
		}
	}
}

/* DbperfMetricSource */
static void
collect(DbperfMetricSink *sink)
{
	MaintTotals totals;

	copy_totals(&totals);
	dbperf_metric(sink, &running, totals.working);
	dbperf_metric(sink, &due, totals.due);
	dbperf_metric(sink, &requested, totals.requests);
	dbperf_metric(sink, &paused, totals.paused ? 1 : 0);
	put_runs(sink, &totals);
}

/*
 * Registers the metrics; called while the library is preloaded.
 */
void
dbperf_maint_metrics_init(void)
{
	static const DbperfMetricSource source = {"maintenance", DBPERF_METRIC_CHEAP, collect};

	dbperf_metric_source_register(&source);
}
