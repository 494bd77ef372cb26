/*-------------------------------------------------------------------------
 *
 * write_setup.c
 *		Which recorded writes to a table are over.
 *
 * A load that happened once costs an index that is built afterwards nothing,
 * however many rows it wrote, in however many statements.  What goes on does.
 * The two are told apart by when the statement ran, and the clock is the use of
 * the table: the time that statements took which do more with it than to INSERT
 * into it.  A statement's writes are over if the table was used for longer since
 * its last execution than between its first one and its last one.
 *
 * So a load before the first query is over with that query, also one in many
 * batches or single rows, and one in the midst of use soon after; a statement
 * that runs as long as the table is used never is; and what ran each night is
 * not over from its second time on.  A statement that was not recorded with its
 * times, or after which nobody used the table, is not known to be over.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/write_cost.h"

/*
 * How much of a subject's time, taken to be spread evenly from its first
 * execution to its last one, was after "from" and not after "to".
 */
static double
time_within(const Subject *subject, TimestampTz from, TimestampTz to)
{
	TimestampTz first = subject->first_seen;
	TimestampTz last = subject->last_seen;

	if (last <= first)
		return first > from && first <= to ? subject->total_ms : 0;
	first = Max(first, from);
	last = Min(last, to);
	if (last <= first)
		return 0;
	return subject->total_ms * (double) (last - first) /
		   (double) (subject->last_seen - subject->first_seen);
}

/*
 * Whether what a subject of the workload writes to the table is over.  The
 * table's users must be known.
 */
bool
dbperf_write_is_over(const TableWrites *table, const Subject *writer)
{
	double	  during = 0;
	double	  since = 0;
	ListCell *lc;

	if (writer->first_seen == 0)
		return false;
	foreach (lc, table->users)
	{
		const Subject *user = lfirst(lc);

		/* one whose times are not known has 0, and counts as neither */
		during += time_within(user, writer->first_seen, writer->last_seen);
		since += time_within(user, writer->last_seen, DT_NOEND);
	}
	return since > during;
}
