/*-------------------------------------------------------------------------
 *
 * maint_window.c
 *		When a maintenance window is open.
 *
 * A window opens on each of its days at its start, and closes at the next end,
 * both in the local time of its zone.  Where clocks are put forward, a local
 * time that does not exist means the moment of the change: a window that would
 * open in the gap opens then, and one that lies in the gap does not open.
 * Where clocks are put back, a local time that comes twice means the first one
 * for opening and the second one for closing: the repeated hour stays open.
 *
 * Nothing here raises an error, or needs a database.  The window of a zone
 * that the server does not know (any more) is closed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "maintenance/maint_plan.h"
#include "pgtime.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#define DAYS_AHEAD 15 /* one opening a week, and a change of clocks may take it */

/* Days from PostgreSQL's epoch to Unix's, as seconds. */
#define EPOCH_DIFF ((pg_time_t) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY)

/* An opening, in seconds of Unix's time. */
typedef struct Opening
{
	pg_time_t start;
	pg_time_t end; /* not open any more */
} Opening;

/*
 * The moment of a local time, given in seconds as if it were UTC.  "closing"
 * chooses the second one of two.  As the server's own conversion, it relies on
 * changes of clocks being at least two days apart.
 */
static pg_time_t
local_moment(pg_time_t local, bool closing, const pg_tz *zone)
{
	pg_time_t before_that = local - SECS_PER_DAY;
	pg_time_t change;
	pg_time_t by_old;
	pg_time_t by_new;
	long int  old_offset;
	long int  new_offset;
	int		  old_dst;
	int		  new_dst;
	int		  found;

	found = pg_next_dst_boundary(&before_that, &old_offset, &old_dst, &change, &new_offset,
								 &new_dst, zone);
	if (found < 0)
		return local;
	by_old = local - old_offset;
	if (found == 0)
		return by_old;

	by_new = local - new_offset;
	if (by_old < change && by_new < change)
		return by_old;
	if (by_old >= change && by_new >= change)
		return by_new;
	if (by_old >= change)
		return change; /* in the gap */

	/* twice; at the very change the clock only comes back to it */
	return closing && by_new > change ? by_new : by_old;
}

/*
 * The opening of a day (a Julian day number).  Returns false if the window does
 * not open then.
 */
static bool
opening_of_day(const MaintWindow *window, const pg_tz *zone, int day, Opening *opening)
{
	pg_time_t midnight = (pg_time_t) (day - UNIX_EPOCH_JDATE) * SECS_PER_DAY;

	if ((window->days & (1 << j2day(day))) == 0)
		return false;
	opening->start = local_moment(midnight + window->start, false, zone);
	if (window->end <= window->start)
		midnight += SECS_PER_DAY;
	opening->end = local_moment(midnight + window->end, true, zone);
	return opening->start < opening->end;
}

/* The local day of a moment, as a Julian day number; false if out of range. */
static bool
local_day(pg_time_t moment, const pg_tz *zone, int *day)
{
	const struct pg_tm *tm = pg_localtime(&moment, zone);

	if (tm == NULL)
		return false;
	*day = date2j(tm->tm_year + 1900, tm->tm_mon + 1, tm->tm_mday);
	return true;
}

/*
 * Whether the window is open at that time.  *changes (changes may be NULL) gets
 * the time when that is over, DT_NOEND if it never is.
 */
bool
dbperf_maint_window_open(const MaintWindow *window, TimestampTz at, TimestampTz *changes)
{
	pg_tz	 *zone = pg_tzset(window->zone);
	pg_time_t moment;
	pg_time_t change = 0; /* 0 = not found yet */
	bool	  open = false;
	bool	  ends = false;
	int		  today;

	if (changes != NULL)
		*changes = DT_NOEND;
	if (zone == NULL || TIMESTAMP_NOT_FINITE(at))
		return false;
	/* rounded down, also before the epoch */
	moment = (pg_time_t) (at / USECS_PER_SEC) - (at % USECS_PER_SEC < 0 ? 1 : 0) + EPOCH_DIFF;
	if (!local_day(moment, zone, &today))
		return false;

	for (int day = today - 1; day <= today + DAYS_AHEAD && !ends; day++)
	{
		Opening one;

		/* it opens nowhere, or has closed already */
		if (!opening_of_day(window, zone, day, &one) || one.end <= moment)
			continue;
		if (open && one.start > change)
			ends = true;
		else if (one.start > moment && !open)
		{
			change = one.start;
			ends = true;
		}
		else
		{
			/* open; what follows without a pause only prolongs it */
			open = true;
			change = one.end;
			ends = changes == NULL;
		}
	}
	/* open to the end of what was looked at: it never closes */
	if (changes != NULL && change != 0 &&
		!(open && change > moment + (DAYS_AHEAD - 2) * SECS_PER_DAY))
		*changes = (change - EPOCH_DIFF) * USECS_PER_SEC;
	return open;
}

/*
 * Whether any window is open at that time.
 */
bool
dbperf_maint_any_window_open(const MaintPolicies *policies, TimestampTz at)
{
	for (int i = 0; i < policies->num_windows; i++)
	{
		if (dbperf_maint_window_open(&policies->windows[i], at, NULL))
			return true;
	}
	return false;
}
