/*-------------------------------------------------------------------------
 *
 * clock.c
 *		When a statement began, how long it was planned, what CPU it used.
 *
 * All of this comes from outside the executor and belongs to the process: the
 * time a message arrived, the last parse analysis, the last planning, the CPU
 * time at some moment before.  It is gathered here, and handed to statements
 * when they start.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/resource.h>
#include <sys/time.h>

#include "access/xact.h"
#include "monitor/track.h"
#include "utils/timestamp.h"

#define NS_PER_S INT64CONST(1000000000)

ClockState dbperf_clock = {.wall_checked_ns = PG_INT64_MIN / 2};

/* work done since the baseline of CPU time */
int64 dbperf_cpu_spent_ns = 0;

static int64 cpu_baseline_ns = 0;

/* the last parse analysis at the top level */
static TimestampTz parsed_message = 0;
static uint64	   parsed_queryid = 0;
static NodeTag	   parsed_utility = T_Invalid;

/* Finds out how the two clocks differ. */
void
dbperf_wall_clock(int64 now)
{
	dbperf_clock.wall_offset_ns = GetCurrentTimestamp() * INT64CONST(1000) - now;
	dbperf_clock.wall_checked_ns = now;
}

/*
 * What parse analysis adds to the time before a statement: nothing if it was
 * part of the same message.
 */
int64
dbperf_parsed_extra(TimestampTz message)
{
	int64 ns = dbperf_clock.parsed_ns;

	dbperf_clock.parsed_ns = 0;
	return parsed_message != message ? ns : 0;
}

/*
 * Parse analysis of a top-level statement has ended.
 */
void
dbperf_note_parsed(uint64 queryid, NodeTag utility)
{
	int64 now = dbperf_now_ns();
	int64 start;

	parsed_message = GetCurrentStatementStartTimestamp();
	start = parsed_message * INT64CONST(1000) - dbperf_wall_offset_ns(now);
	dbperf_clock.parsed_ns = Max(now - Max(start, dbperf_clock.top_end_ns), 1);
	parsed_queryid = queryid;
	parsed_utility = utility;
}

/*
 * The query id that the last parse analysis found for a kind of statement, or
 * 0 if that was another kind.  Other modules may clear the query id of utility
 * statements before it gets to us.
 */
uint64
dbperf_parsed_queryid(NodeTag utility)
{
	return parsed_utility == utility ? parsed_queryid : 0;
}

static int64
process_cpu_ns(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) != 0)
		return 0;
	return ((int64) usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * NS_PER_S +
		   ((int64) usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * INT64CONST(1000);
}

/* Takes a new baseline of CPU time. */
void
dbperf_cpu_baseline(void)
{
	cpu_baseline_ns = process_cpu_ns();
	dbperf_cpu_spent_ns = 0;
}

/*
 * The CPU time of the top-level statement that runs now, user and system, at
 * most CPU_BASELINE_NS too much.
 */
int64
dbperf_cpu_ns(void)
{
	return Max(process_cpu_ns() - cpu_baseline_ns, 0);
}
