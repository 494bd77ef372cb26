/*-------------------------------------------------------------------------
 *
 * latency_recent.c
 *		How a database's statements did lately, and which one was slow most often.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "miscadmin.h"
#include "monitor/latency.h"
#include "monitor/monitor.h"
#include "monitor/monitor_int.h"

/*
 * Executions that took longer, within the width of a bucket.
 */
static uint64
slower_than(const LatencySummary *summary, double ms)
{
	double ns = Min(Max(ms * 1000000.0, 0), (double) PG_INT64_MAX / 2);
	uint64 count = 0;

	for (int i = dbperf_latency_bucket((uint64) ns) + 1; i < LATENCY_BUCKETS; i++)
		count += summary->buckets[i];
	return count;
}

/*
 * Reads what clients sent to a database in one period.  Who reads dbperf's own views
 * and reports on a quiet server would else find that these are what is slow.
 */
static void
read_period(Oid dbid, LatencyPeriod period, double slow_ms, LatencyRecent *recent)
{
	memset(recent, 0, sizeof(*recent));
	for (int n = 0; n < dbperf_latency_count(); n++)
	{
		LatencySummary one;
		uint64		   slow;

		CHECK_FOR_INTERRUPTS();
		if (!dbperf_latency_read(n, period, &one) || one.other || one.key.dbid != dbid ||
			one.key.toplevel == 0)
			continue;
		if (one.own)
		{
			recent->own += one.calls;
			continue;
		}
		dbperf_latency_merge(&recent->all, &one);
		slow = slower_than(&one, slow_ms);
		recent->slow += slow;
		if (slow > recent->worst_slow)
		{
			recent->worst_slow = slow;
			recent->worst = one;
		}
	}
}

/*
 * What clients sent to a database in the newest period with so many executions:
 * the current window, the one before it, or the lifetime if there are not so many
 * in either; and the query of which most took longer than slow_ms.  Needs
 * dbperf_require_shmem().
 */
void
dbperf_latency_recent(Oid dbid, uint64 enough, double slow_ms, LatencyRecent *recent)
{
	static const struct
	{
		LatencyPeriod period;
		const char	 *name;
	} periods[] = {
		{PERIOD_CURRENT, "current"},
		{PERIOD_PREVIOUS, "previous"},
		{PERIOD_LIFETIME, "lifetime"},
	};

	for (int i = 0; i < lengthof(periods); i++)
	{
		read_period(dbid, periods[i].period, slow_ms, recent);
		recent->period = periods[i].name;
		if (recent->all.calls >= enough)
			return;
	}
}
