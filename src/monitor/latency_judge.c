/*-------------------------------------------------------------------------
 *
 * latency_judge.c
 *		Whether a query has become slower.
 *
 * An alarm that is false is worse than one that comes late, so the executions
 * after a change must differ in everything that would not differ by accident:
 *
 * - the rank test, so that few executions do not decide: p < MAX_P;
 * - three of four executions take longer than one before, so that a query
 *   which is sometimes fast and sometimes slow, depending on its parameters,
 *   does not count as slower because there are a few more slow ones;
 * - the medians, so that outliers do not decide, and the means, since between
 *   two clusters of the same size the median goes to and fro by chance; both
 *   without the extreme twentieth at either end, which would hide a difference
 *   behind one execution that waited for a lock for a minute;
 * - more than the clock and the scheduler of the machine cause.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/rank_test.h"
#include "monitor/latency_int.h"

#define MIN_SUPERIORITY 0.75
#define MAX_P 0.001
#define TRIM 0.05
#define MIN_DIFFERENCE_NS 50000.0

/*
 * The trimmed mean of a histogram, in nanoseconds.
 */
static double
typical_ns(const LatencySummary *summary)
{
	static double middles[LATENCY_BUCKETS];

	if (middles[0] == 0)
	{
		for (int i = 0; i < LATENCY_BUCKETS; i++)
			middles[i] = dbperf_latency_bucket_middle(i);
	}
	return dbperf_trimmed_mean(summary->buckets, middles, LATENCY_BUCKETS, TRIM);
}

/*
 * Judges whether executions became slower.  Without LATENCY_JUDGE_CALLS before
 * and min_calls after nothing has changed.
 */
void
dbperf_latency_judge(const LatencySummary *before, const LatencySummary *after, uint64 min_calls,
					 LatencyVerdict *verdict)
{
	DbperfRankTest test;
	double		   median_before;
	double		   median_after;

	verdict->slower = false;
	verdict->factor = 1;
	verdict->superiority = 0.5;
	verdict->z = 0;
	verdict->p = 1;
	if (before->calls < LATENCY_JUDGE_CALLS || after->calls < min_calls)
		return;

	dbperf_rank_test(before->buckets, after->buckets, LATENCY_BUCKETS, &test);
	median_before = dbperf_latency_percentile(before, 0.5);
	median_after = dbperf_latency_percentile(after, 0.5);
	verdict->superiority = test.superiority;
	verdict->z = test.z;
	verdict->p = test.p;
	verdict->factor = Min(median_after / Max(median_before, 1.0),
						  typical_ns(after) / Max(typical_ns(before), 1.0));
	verdict->slower = test.p < MAX_P && test.superiority >= MIN_SUPERIORITY &&
					  verdict->factor >= LATENCY_JUDGE_FACTOR &&
					  median_after - median_before >= MIN_DIFFERENCE_NS;
}
