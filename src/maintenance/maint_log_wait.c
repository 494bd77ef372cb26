/*-------------------------------------------------------------------------
 *
 * maint_log_wait.c
 *		How a worker has the writer open and close its row in the log.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "maintenance/maint_plan.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#define OPEN_WITHIN 10000  /* ms */
#define CLOSE_WITHIN 10000 /* ms, until the row is handed over */
#define ROOM_WITHIN 60000  /* ms, until there is room for it */
#define POLL_EVERY 1000	   /* ms */

/* Whether the log can be written, as far as is known.  Caller must hold the lock. */
static bool
log_usable(void)
{
	return dbperf_maint->log_table == MAINT_LOG_STARTING ||
		   dbperf_maint->log_table == MAINT_LOG_READY;
}

/*
 * Wait until the row is not in that state any more, and return true; false when
 * the time is over, or the writer has met an error.
 */
static bool
wait_while(const MaintSlot *one, MaintLogState state, long timeout)
{
	TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout);

	for (;;)
	{
		long left;
		bool over;
		bool usable;

		ResetLatch(MyLatch);
		LWLockAcquire(MAINT_LOCK, LW_SHARED);
		over = one->log != state;
		usable = log_usable();
		LWLockRelease(MAINT_LOCK);
		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);
		if (over || !usable || left <= 0)
			return over;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 Min(left, POLL_EVERY), PG_WAIT_EXTENSION);
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * Have the row of this slot's record written, and wait for it.  Returns whether
 * the work may begin: the row is committed, or there is no table for it.  False
 * if the writer does not answer within some seconds.  Can be cancelled; then the
 * row is to be closed as usual.
 */
bool
dbperf_maint_log_open(int slot)
{
	MaintSlot *one = &dbperf_maint->slots[slot];
	bool	   usable;
	bool	   open;

	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	usable = log_usable();
	if (!usable)
		one->log = MAINT_LOG_OPEN;
	else if (one->record.id != 0)
		one->log = MAINT_LOG_WANTED;
	else
		one->log = MAINT_LOG_NONE; /* the writer has not been there yet */
	LWLockRelease(MAINT_LOCK);
	if (!usable || one->record.id == 0)
		return !usable;

	dbperf_maint_wake_writer();
	(void) wait_while(one, MAINT_LOG_WANTED, OPEN_WITHIN);

	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	if (one->log == MAINT_LOG_WANTED)
		one->log = log_usable() ? MAINT_LOG_NONE : MAINT_LOG_OPEN;
	open = one->log == MAINT_LOG_OPEN;
	LWLockRelease(MAINT_LOCK);
	return open;
}

/*
 * Put the slot's record among those that have no slot, so that the slot can go
 * on.  Returns false if there is no room.
 */
static bool
hand_over(MaintSlot *one)
{
	bool done;

	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	done = one->log != MAINT_LOG_CLOSE;
	for (int i = 0; i < MAINT_RECORDS && !done; i++)
	{
		if (dbperf_maint->records[i].id != 0)
			continue;
		dbperf_maint->records[i] = one->record;
		one->log = MAINT_LOG_NONE;
		done = true;
	}
	LWLockRelease(MAINT_LOCK);
	return done;
}

/*
 * Have the row of this slot's record completed, and wait for it, so that the
 * slot can be used again.  A writer that does not answer gets the record for
 * later.  Where there is no room even for that, the row is lost: the server log
 * has what was done.
 */
void
dbperf_maint_log_close(int slot)
{
	MaintSlot *one = &dbperf_maint->slots[slot];
	bool	   logged;

	/* not by a late request to cancel what has ended already */
	HOLD_CANCEL_INTERRUPTS();

	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	logged = one->log != MAINT_LOG_NONE;
	if (logged)
		one->log = MAINT_LOG_CLOSE;
	LWLockRelease(MAINT_LOCK);

	if (logged)
	{
		dbperf_maint_wake_writer();
		if (!wait_while(one, MAINT_LOG_CLOSE, CLOSE_WITHIN) && !hand_over(one) &&
			!wait_while(one, MAINT_LOG_CLOSE, ROOM_WITHIN) && !hand_over(one))
		{
			LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
			one->log = MAINT_LOG_NONE;
			LWLockRelease(MAINT_LOCK);
			ereport(LOG, (errmsg("a row of dbperf.maintenance_log could not be written")));
		}
	}
	RESUME_CANCEL_INTERRUPTS();
}
