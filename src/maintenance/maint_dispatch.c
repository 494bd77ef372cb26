/*-------------------------------------------------------------------------
 *
 * maint_dispatch.c
 *		The launcher's side of maintenance workers: starting them, noticing
 *		their end, and stopping what may not go on.
 *
 * A slot belongs to its worker from the moment it is reserved.  The launcher
 * frees it only for a process that never came, or that is gone without having
 * done so itself.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "maintenance/maint_launcher.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define APPEAR_WITHIN 60000 /* ms that a worker without a handle gets to appear */
#define CLOSE_WITHIN 60000	/* ms that the writer gets for an orphan's row */

static BackgroundWorkerHandle *handles[MAINT_SLOTS];

/*
 * The worker of a slot is gone.  What it left behind is what it could not do
 * itself any more.
 */
static void
slot_left(int number)
{
	MaintSlot *slot = &dbperf_maint->slots[number];

	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	if (slot->state != MAINT_SLOT_FREE && slot->log != MAINT_LOG_CLOSE)
	{
		dbperf_maint_visit_ended(slot->database, false);
		slot->state = MAINT_SLOT_FREE;
		slot->pid = 0;
	}
	LWLockRelease(MAINT_LOCK);
}

/*
 * A row that the writer does not complete must not keep the slot for ever.
 */
static void
give_up_row(int number)
{
	MaintSlot  *slot = &dbperf_maint->slots[number];
	TimestampTz now = GetCurrentTimestamp();
	MaintRecord record = {0};

	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	if (slot->state != MAINT_SLOT_FREE && slot->pid == 0 && slot->log == MAINT_LOG_CLOSE &&
		TimestampDifferenceExceeds(slot->record.finished, now, CLOSE_WITHIN))
	{
		record = slot->record;
		slot->log = MAINT_LOG_NONE;
		slot->state = MAINT_SLOT_FREE;
	}
	LWLockRelease(MAINT_LOCK);
	if (record.id != 0)
		dbperf_maint_add_record(&record);
}

/* Whether the process of a slot without a handle is gone, or did not come. */
static bool
stranger_is_gone(const MaintSlot *slot)
{
	if (slot->pid != 0)
		return BackendPidGetProc(slot->pid) == NULL;
	return slot->state == MAINT_SLOT_STARTING &&
		   TimestampDifferenceExceeds(slot->reserved, GetCurrentTimestamp(), APPEAR_WITHIN);
}

/*
 * Look after the workers: notice which are gone.
 */
void
dbperf_maint_reap(void)
{
	for (int i = 0; i < MAINT_SLOTS; i++)
	{
		MaintSlot seen;
		pid_t	  pid;

		LWLockAcquire(MAINT_LOCK, LW_SHARED);
		seen = dbperf_maint->slots[i];
		LWLockRelease(MAINT_LOCK);

		if (handles[i] != NULL)
		{
			if (GetBackgroundWorkerPid(handles[i], &pid) != BGWH_STOPPED)
				continue;
			pfree(handles[i]);
			handles[i] = NULL;
			slot_left(i);
		}
		else if (seen.state != MAINT_SLOT_FREE && stranger_is_gone(&seen))
			slot_left(i);
		give_up_row(i);
	}
}

/*
 * A slot for a new worker, or -1 if as many run as may.
 */
int
dbperf_maint_free_slot(bool emergency)
{
	int free = -1;
	int used = 0;

	LWLockAcquire(MAINT_LOCK, LW_SHARED);
	for (int i = 0; i < MAINT_EMERGENCY_SLOT; i++)
	{
		if (dbperf_maint->slots[i].state != MAINT_SLOT_FREE)
			used++;
		else if (free < 0)
			free = i;
	}
	if (used >= dbperf_maintenance_max_workers)
		free = -1;
	if (free < 0 && emergency && dbperf_maint->slots[MAINT_EMERGENCY_SLOT].state == MAINT_SLOT_FREE)
		free = MAINT_EMERGENCY_SLOT;
	LWLockRelease(MAINT_LOCK);
	return free;
}

/*
 * Whether any worker is at work.
 */
bool
dbperf_maint_any_working(void)
{
	bool working = false;

	LWLockAcquire(MAINT_LOCK, LW_SHARED);
	for (int i = 0; i < MAINT_SLOTS && !working; i++)
		working = dbperf_maint->slots[i].state == MAINT_SLOT_WORKING;
	LWLockRelease(MAINT_LOCK);
	return working;
}

/* Take a slot for a worker; false if it is not free any more. */
static bool
reserve(int number, Oid database, const char *name, bool emergency, TimestampTz now)
{
	MaintSlot *slot = &dbperf_maint->slots[number];
	bool	   reserved;

	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	reserved = slot->state == MAINT_SLOT_FREE;
	if (reserved)
	{
		/* all but the atomic, which is there for good */
		memset(slot, 0, offsetof(MaintSlot, cost_limit));
		slot->state = MAINT_SLOT_STARTING;
		slot->database = database;
		strlcpy(slot->database_name, name, NAMEDATALEN);
		slot->reserved = now;
		slot->emergency = emergency;
		slot->deadline = DT_NOEND;
	}
	LWLockRelease(MAINT_LOCK);
	return reserved;
}

/*
 * Send a worker to a database.  Returns false if the server has no room for
 * one.
 */
bool
dbperf_maint_send(Oid database, const char *name, bool emergency, int slot)
{
	static const DbperfWorker worker = {
		.name = "dbperf maintenance",
		.entry = "dbperf_maintenance_main",
		.start = BgWorkerStart_RecoveryFinished,
		.database = true,
		.restart = BGW_NEVER_RESTART,
	};
	MaintErrand errand = {GetCurrentTimestamp()};
	bool		started;

	if (!reserve(slot, database, name, emergency, errand.reserved))
		return false;

	started =
		dbperf_worker_start(&worker, Int32GetDatum(slot), &errand, sizeof(errand), &handles[slot]);
	if (!started)
	{
		LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
		dbperf_maint->slots[slot].state = MAINT_SLOT_FREE;
		LWLockRelease(MAINT_LOCK);
	}
	return started;
}

/* Why what a slot does has to end now. */
static MaintCancel
verdict(const MaintSlot *slot, TimestampTz now)
{
	if (now >= slot->deadline)
		return MAINT_CANCEL_TIME;
	if (dbperf_maint->paused_until > now)
		return MAINT_CANCEL_PAUSE;
	if (slot->requested)
		return MAINT_CANCEL_NONE;
	if (dbperf_maintenance != MAINTENANCE_ON || !dbperf_enabled)
		return MAINT_CANCEL_OFF;
	if (slot->window_end != 0 && dbperf_maint_now() >= slot->window_end)
		return MAINT_CANCEL_WINDOW;
	return MAINT_CANCEL_NONE;
}

/*
 * Stop what may not go on: maintenance was turned off or paused, a window has
 * closed, a time limit is over.
 */
void
dbperf_maint_enforce(void)
{
	TimestampTz now = GetCurrentTimestamp();

	for (int i = 0; i < MAINT_SLOTS; i++)
	{
		MaintSlot  *slot = &dbperf_maint->slots[i];
		MaintCancel why = MAINT_CANCEL_NONE;

		LWLockAcquire(MAINT_LOCK, LW_SHARED);
		if (slot->state == MAINT_SLOT_WORKING && slot->cancel == MAINT_CANCEL_NONE)
			why = verdict(slot, now);
		LWLockRelease(MAINT_LOCK);
		if (why != MAINT_CANCEL_NONE)
			dbperf_maint_cancel(i, why, NULL);
	}
}
