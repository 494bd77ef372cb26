/*-------------------------------------------------------------------------
 *
 * maint_log.c
 *		The writer's task of maintenance: keeps the table maintenance_log, and
 *		the copy of the policies.
 *
 * Workers are in other databases, and a row must be there before the work
 * begins: else nobody would know after a crash what the server was at.  So a
 * worker puts its record in its slot and waits until the writer has committed
 * the row.  All that is pending goes into one transaction.
 *
 * Where there is no table, work goes on without a log.  Then rows count as
 * written; ids go on nevertheless, and when there is a table behind its rows.
 * After an error the writer tries again later and later; until then workers do
 * not wait for it, and complete rows wait in shared memory.
 *
 * A slot is changed only while it still holds the record that was written.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "maintenance/maint_log.h"
#include "maintenance/maint_plan.h"
#include "maintenance/maint_policy.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#define WAKE_EVERY 60000	  /* ms, without anything to do */
#define CLEAN_EVERY 60000	  /* ms between two rounds of cleaning */
#define LOOK_AGAIN 5000		  /* ms between two looks for the extension */
#define GO_ON_AFTER 10		  /* ms between two batches of deleting */
#define LINGER 10000		  /* ms that the writer stays for more, if maintenance is off */
#define TRY_AGAIN 1000		  /* ms after a failure, at first */
#define TRY_AGAIN_LATER 60000 /* the same, at last */

/* the writer's own */
static LogBatch	   batch;
static char		   connected_to[NAMEDATALEN] = "";
static bool		   connected = false; /* a step has run */
static bool		   ids_found = false; /* the table's are taken into account */
static TimestampTz last_needed = 0;
static TimestampTz next_clean = 0;
static TimestampTz next_try = 0; /* after a failure */
static long		   back_off = 0;

/* Whether somebody needs the writer although maintenance is off. */
static bool
is_needed(void)
{
	bool needed;

	if (dbperf_maint_policy_pending() || dbperf_maint_has_request())
		return true;

	LWLockAcquire(MAINT_LOCK, LW_SHARED);
	needed = dbperf_maint->ids_asked;
	for (int i = 0; i < MAINT_SLOTS && !needed; i++)
		needed = dbperf_maint->slots[i].state != MAINT_SLOT_FREE;
	for (int i = 0; i < MAINT_RECORDS && !needed; i++)
		needed = dbperf_maint->records[i].id != 0;
	LWLockRelease(MAINT_LOCK);
	return needed;
}

/*
 * Whether the writer is wanted.  With maintenance off it comes when it is
 * needed, and stays a while, since the next request is often not far.
 */
static bool
log_wanted(void)
{
	if (dbperf_maint == NULL)
		return false;
	if (dbperf_maintenance != MAINTENANCE_OFF)
		return true;
	if (is_needed())
		last_needed = GetCurrentTimestamp();
	return last_needed != 0 &&
		   !TimestampDifferenceExceeds(last_needed, GetCurrentTimestamp(), LINGER);
}

/* Begin a batch with all that is to be written. */
static void
collect(void)
{
	batch.find_ids = batch.clean = batch.more = false;
	batch.max_id = 0;
	batch.count = 0;

	LWLockAcquire(MAINT_LOCK, LW_SHARED);
	for (int i = 0; i < MAINT_SLOTS; i++)
	{
		const MaintSlot *slot = &dbperf_maint->slots[i];
		LogEntry		*entry = &batch.entries[batch.count];

		if ((slot->log != MAINT_LOG_WANTED && slot->log != MAINT_LOG_CLOSE) || slot->record.id == 0)
			continue;
		entry->slot = i;
		entry->complete = slot->log == MAINT_LOG_CLOSE;
		entry->record = slot->record;
		batch.count++;
	}
	for (int i = 0; i < MAINT_RECORDS; i++)
	{
		LogEntry *entry = &batch.entries[batch.count];

		if (dbperf_maint->records[i].id == 0)
			continue;
		entry->slot = -1;
		entry->place = i;
		entry->complete = true;
		entry->record = dbperf_maint->records[i];
		batch.count++;
	}
	LWLockRelease(MAINT_LOCK);
}

/*
 * A slot's row is complete.  A slot whose worker has gone is free then.  Caller
 * must hold the lock.
 */
static void
release_slot(MaintSlot *slot)
{
	slot->log = MAINT_LOG_NONE;
	if (slot->pid != 0)
	{
		dbperf_maint_wake(slot->pid);
		return;
	}
	slot->state = MAINT_SLOT_FREE;
	slot->record.id = 0;
	dbperf_maint_wake(dbperf_maint->launcher_pid);
}

/*
 * The row could not be written now: keep it among those without a slot, if the
 * worker has gone and there is room.  Caller must hold the lock.
 */
static void
keep_for_later(MaintSlot *slot)
{
	if (slot->pid != 0)
	{
		/* it does so itself, knowing now that the log is not usable */
		dbperf_maint_wake(slot->pid);
		return;
	}
	for (int i = 0; i < MAINT_RECORDS; i++)
	{
		if (dbperf_maint->records[i].id != 0)
			continue;
		dbperf_maint->records[i] = slot->record;
		release_slot(slot);
		return;
	}
}

/* One entry of a batch has been dealt with.  Caller must hold the lock. */
static void
settle_entry(const LogEntry *entry, MaintLogTable result)
{
	MaintSlot *slot;

	if (entry->slot < 0)
	{
		if (dbperf_maint->records[entry->place].id == entry->record.id && result != MAINT_LOG_ERROR)
			dbperf_maint->records[entry->place].id = 0;
		return;
	}

	slot = &dbperf_maint->slots[entry->slot];
	if (slot->record.id != entry->record.id)
		return;
	if (!entry->complete && slot->log == MAINT_LOG_WANTED)
	{
		slot->log = MAINT_LOG_OPEN;
		dbperf_maint_wake(slot->pid);
	}
	else if (entry->complete && slot->log == MAINT_LOG_CLOSE)
	{
		if (result == MAINT_LOG_ERROR)
			keep_for_later(slot);
		else
			release_slot(slot);
	}
}

/* Say in the server log why there is no log; an error has been reported. */
static void
report_state(MaintLogTable state)
{
	switch (state)
	{
		case MAINT_LOG_NO_EXTENSION:
			ereport(LOG, (errmsg("dbperf keeps no maintenance log: extension dbperf does not exist "
								 "in database \"%s\"",
								 connected_to),
						  errhint("Run CREATE EXTENSION dbperf CASCADE in that database.")));
			break;
		case MAINT_LOG_TOO_OLD:
			ereport(LOG, (errmsg("dbperf keeps no maintenance log: extension dbperf in database "
								 "\"%s\" is too old",
								 connected_to),
						  errhint("Run ALTER EXTENSION dbperf UPDATE in that database.")));
			break;
		case MAINT_LOG_READ_ONLY:
			ereport(LOG, (errmsg("dbperf keeps no maintenance log: database \"%s\" is read-only",
								 connected_to)));
			break;
		case MAINT_LOG_STARTING:
		case MAINT_LOG_READY:
		case MAINT_LOG_ERROR:
			break;
	}
}

/*
 * Publish how the table does and where ids go on, and deal with the entries of
 * the batch accordingly.
 */
static void
settle(void)
{
	bool changed;

	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	changed = dbperf_maint->log_table != batch.result;
	dbperf_maint->log_table = batch.result;
	if (batch.result == MAINT_LOG_READY && batch.find_ids)
		dbperf_maint->next_id = Max(dbperf_maint->next_id, batch.max_id + 1);
	dbperf_maint->next_id = Max(dbperf_maint->next_id, 1);
	if (!dbperf_maint->ids_known)
		dbperf_maint_wake(dbperf_maint->launcher_pid);
	dbperf_maint->ids_known = true;
	dbperf_maint->ids_asked = false;
	for (int i = 0; i < batch.count; i++)
		settle_entry(&batch.entries[i], batch.result);
	LWLockRelease(MAINT_LOCK);

	if (changed)
		report_state(batch.result);
}

/* How long the task may sleep. */
static long
time_to_sleep(TimestampTz now, bool more)
{
	long timeout = WAKE_EVERY;

	if (more)
		return GO_ON_AFTER;
	if (dbperf_maintenance == MAINTENANCE_OFF)
		timeout = LINGER + 1;
	if (next_clean > now)
		timeout = Min(timeout, TimestampDifferenceMilliseconds(now, next_clean));
	if (next_try > now)
		timeout = Min(timeout, TimestampDifferenceMilliseconds(now, next_try));
	return Max(timeout, 1);
}

/*
 * Write the batch in one transaction.
 */
static void
write_batch(void)
{
	TimestampTz now;

	batch.find_ids = !ids_found;
	if (!dbperf_worker_transaction("writing maintenance log", dbperf_maint_log_write, &batch))
		batch.result = MAINT_LOG_ERROR;
	settle();
	ids_found = batch.result == MAINT_LOG_READY;

	now = GetCurrentTimestamp();
	if (batch.result == MAINT_LOG_ERROR)
	{
		back_off = back_off == 0 ? TRY_AGAIN : Min(back_off * 2, TRY_AGAIN_LATER);
		next_try = TimestampTzPlusMilliseconds(now, back_off);
		return;
	}
	back_off = 0;
	next_try = 0;
	if (batch.clean && !batch.more)
		next_clean = TimestampTzPlusMilliseconds(
			now, batch.result == MAINT_LOG_NO_EXTENSION ? LOOK_AGAIN : CLEAN_EVERY);
}

/*
 * One step: bring the copy of the policies up to date, write what is pending,
 * and once a minute clean the table.
 */
static long
log_step(void *arg)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		more = false;
	bool		published;

	(void) arg;
	connected = true;
	published = dbperf_maint_policy_publish();

	collect();
	batch.clean = now >= next_clean;
	if (now < next_try)
	{
		batch.result = MAINT_LOG_ERROR;
		if (batch.count > 0)
			settle();
	}
	else if (batch.count > 0 || batch.clean)
	{
		write_batch();
		more = batch.more;
	}
	now = GetCurrentTimestamp();
	return published ? time_to_sleep(now, more) : Min(time_to_sleep(now, more), TRY_AGAIN);
}

/* The task begins, in a worker that is connected or is about to be. */
static void
log_start(const char *database)
{
	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	dbperf_maint->writer_pid = MyProcPid;
	LWLockRelease(MAINT_LOCK);

	strlcpy(connected_to, database, NAMEDATALEN);
	ids_found = false;
	next_clean = next_try = 0;
	back_off = 0;
}

/*
 * Maintenance is off and nothing is left to be written, or the log is in
 * another database now.  What is known of the table may not be true when the
 * writer comes back.
 */
static void
log_stop(void)
{
	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	dbperf_maint->writer_pid = 0;
	dbperf_maint->log_table = MAINT_LOG_STARTING;
	LWLockRelease(MAINT_LOCK);
}

/*
 * The process ends.  If it could not even connect, work has to go on without a
 * log until the next one can.
 */
static void
log_leave(void)
{
	if (!connected)
	{
		collect();
		batch.result = MAINT_LOG_ERROR;
		settle();
	}
	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	dbperf_maint->writer_pid = 0;
	LWLockRelease(MAINT_LOCK);
}

/*
 * Register the writer's task.  Called once, from the module's init function.
 */
void
dbperf_maint_log_init(void)
{
	static const DbperfWriterTask task = {
		.wanted = log_wanted,
		.start = log_start,
		.step = log_step,
		.stop = log_stop,
		.leave = log_leave,
	};

	dbperf_writer_register(&task);
}
