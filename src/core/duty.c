/*-------------------------------------------------------------------------
 *
 * duty.c
 *		When a duty is due in a database, and the frame of a visit.
 *
 * A duty is due when its interval is over, or when somebody asked for a
 * visit, whichever comes first, but not before the back-off of a failure is
 * over.  A request is a request for "as soon as possible", so it ends the
 * back-off, too.
 *
 * A visit that found nothing to work on is repeated before the interval is over:
 * soon at first, then more and more seldom.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "core/launcher_int.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/timestamp.h"

/* ms until a visit that found nothing is repeated, for the first time */
#define IDLE_MIN 60000
#define IDLE_PART 60 /* but not longer than such a part of the interval */
#define IDLE_DOUBLED 14

/* The visit that this process makes. */
static int visiting_duty = -1;

/*
 * The entry of a database, or NULL if there is none and none is to be added,
 * or there is no room.  Caller must hold the lock, exclusively to add.
 */
DutyDatabase *
dbperf_duty_database(Oid oid, bool add)
{
	DutyDatabase *unused = NULL;

	for (int i = 0; i < MAX_DATABASES; i++)
	{
		DutyDatabase *database = &dbperf_launcher->databases[i];

		if (database->oid == oid)
			return database;
		if (unused == NULL && !OidIsValid(database->oid))
			unused = database;
	}
	if (!add || unused == NULL)
		return NULL;

	Assert(LWLockHeldByMeInMode(LAUNCHER_LOCK, LW_EXCLUSIVE));
	memset(unused, 0, sizeof(*unused));
	unused->oid = oid;
	for (int i = 0; i < dbperf_num_duties; i++)
	{
		unused->duties[i].planned = DT_NOEND;
		unused->duties[i].asked = dbperf_duties[i]->at_start ? GetCurrentTimestamp() : DT_NOEND;
	}
	return unused;
}

/*
 * When the duty is due in the database; DT_NOEND if nobody knows.  Caller must
 * hold the lock.
 */
TimestampTz
dbperf_duty_due(int duty, const DutyDatabase *database)
{
	const DutyState *state = &database->duties[duty];
	TimestampTz		 due = state->asked;
	int				 interval = dbperf_duties[duty]->interval();

	if (interval > 0 && database->known && dbperf_duties[duty]->wanted(database->name))
	{
		TimestampTz scheduled =
			state->last == 0
				? 0
				: TimestampTzPlusMilliseconds(state->last, interval * INT64CONST(1000));

		due = Min(due, Min(scheduled, state->planned));
	}
	return due == DT_NOEND ? DT_NOEND : Max(due, state->not_before);
}

/*
 * Takes the lock for a request, and returns the database's entry; a database that is
 * not known yet is looked for.  NULL if there is no room for it.
 */
static DutyDatabase *
request_begin(Oid database)
{
	DutyDatabase *entry;

	LWLockAcquire(LAUNCHER_LOCK, LW_EXCLUSIVE);
	entry = dbperf_duty_database(database, true);
	if (entry != NULL && !entry->known)
		dbperf_launcher->unknown = true;
	return entry;
}

/* Have the launcher look again. */
static void
wake_launcher(int pid)
{
	PGPROC *proc = pid != 0 ? BackendPidGetProc(pid) : NULL;

	if (proc != NULL)
		SetLatch(&proc->procLatch);
}

/* Gives the lock back, and has the launcher look. */
static void
request_end(void)
{
	int pid = dbperf_launcher->pid;

	LWLockRelease(LAUNCHER_LOCK);
	wake_launcher(pid);
}

/*
 * Ask for a visit of the database after delay_ms, whatever the schedule says.
 * Any process may ask, also in a transaction callback: raises no error.
 */
void
dbperf_duty_request(int duty, Oid database, int delay_ms)
{
	TimestampTz	  when = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), delay_ms);
	DutyDatabase *entry;

	if (dbperf_launcher == NULL)
		return;

	entry = request_begin(database);
	if (entry != NULL)
	{
		DutyState *state = &entry->duties[duty];

		state->asked = Min(state->asked, when);
		state->not_before = 0;
	}
	request_end();
}

/*
 * What is known of a duty in a database; false if nothing is.
 */
bool
dbperf_duty_status(int duty, Oid database, DbperfDutyStatus *status)
{
	DutyDatabase *entry;

	LWLockAcquire(LAUNCHER_LOCK, LW_SHARED);
	entry = dbperf_duty_database(database, false);
	if (entry != NULL)
	{
		status->last_visit = entry->duties[duty].last;
		status->next_visit = dbperf_duty_due(duty, entry);
		status->running = entry->duties[duty].pid != 0;
		status->failures = entry->duties[duty].failures;
	}
	LWLockRelease(LAUNCHER_LOCK);
	return entry != NULL;
}

/* The visit is over, well or not.  Runs at the exit of the worker. */
static void
duty_exit(int code, Datum arg)
{
	DutyDatabase *entry;
	int			  pid;

	(void) code;

	LWLockAcquire(LAUNCHER_LOCK, LW_EXCLUSIVE);
	entry = dbperf_duty_database(DatumGetObjectId(arg), false);
	if (entry != NULL && entry->duties[visiting_duty].pid == MyProcPid)
		entry->duties[visiting_duty].pid = 0;
	pid = dbperf_launcher->pid;
	LWLockRelease(LAUNCHER_LOCK);
	wake_launcher(pid);
}

/*
 * List this process as the visitor.  Returns false if there is another one, or
 * the database was forgotten meanwhile.
 */
static bool
duty_enter(int duty, Oid database)
{
	DutyDatabase *entry;
	bool		  entered = false;

	LWLockAcquire(LAUNCHER_LOCK, LW_EXCLUSIVE);
	entry = dbperf_duty_database(database, false);
	if (entry != NULL)
	{
		DutyState *state = &entry->duties[duty];

		if (state->pid == 0 || BackendPidGetProc(state->pid) == NULL)
		{
			state->pid = MyProcPid;
			state->done = false;
			entered = true;
		}
	}
	LWLockRelease(LAUNCHER_LOCK);
	return entered;
}

/*
 * The first line of a duty's entry function: connects to the database.  The
 * process ends if it is not wanted there any more.
 */
void
dbperf_duty_begin(int duty)
{
	DutyErrand errand;

	memcpy(&errand, MyBgworkerEntry->bgw_extra, sizeof(errand));
	visiting_duty = duty;

	dbperf_worker_begin();
	if (!duty_enter(duty, errand.database))
		proc_exit(0);
	on_shmem_exit(duty_exit, ObjectIdGetDatum(errand.database));
	dbperf_worker_connect(errand.name);

	/* another one may have this name by now */
	if (MyDatabaseId != errand.database)
		proc_exit(0);
}

/*
 * Have a database visited again whose last visits found nothing to work on: there
 * may be something now.  One that is not known yet is looked for.  Any process may
 * call this, also in a transaction callback: raises no error.
 */
void
dbperf_duty_awake(Oid database)
{
	DutyDatabase *entry;

	if (dbperf_launcher == NULL)
		return;

	entry = request_begin(database);
	for (int i = 0; i < dbperf_num_duties && entry != NULL; i++)
	{
		DutyState *state = &entry->duties[i];

		if (state->idle > 0)
			state->planned = GetCurrentTimestamp();
		state->idle = 0;
	}
	request_end();
}

/* When a visit that found nothing is repeated; counts it. */
static TimestampTz
idle_until(DutyState *state, TimestampTz now)
{
	int64 first = dbperf_duties[visiting_duty]->interval() * INT64CONST(1000) / IDLE_PART;
	int64 wait = Min(first, IDLE_MIN) << Min(state->idle, IDLE_DOUBLED);

	state->idle++;
	return TimestampTzPlusMilliseconds(now, wait);
}

/*
 * The visit has ended well.  next_ms is as in dbperf_duty_done(); idle: see
 * dbperf_duty_done_idle().
 */
static void
duty_ended(long next_ms, bool idle)
{
	TimestampTz	  now = GetCurrentTimestamp();
	DutyDatabase *entry;

	LWLockAcquire(LAUNCHER_LOCK, LW_EXCLUSIVE);
	entry = dbperf_duty_database(MyDatabaseId, false);
	if (entry != NULL)
	{
		DutyState *state = &entry->duties[visiting_duty];

		state->last = now;
		state->done = true;
		state->failures = 0;
		state->not_before = 0;
		state->planned = DT_NOEND;
		if (idle)
			state->planned = idle_until(state, now);
		else
			state->idle = 0;
		if (next_ms >= 0 && dbperf_duties[visiting_duty]->interval() > 0)
			state->planned = TimestampTzPlusMilliseconds(now, next_ms);
		else if (next_ms >= 0)
			state->asked = Min(state->asked, TimestampTzPlusMilliseconds(now, next_ms));
	}
	LWLockRelease(LAUNCHER_LOCK);
}

/*
 * The last line: the work is done, and the next visit shall be next_ms from
 * now, if that is not negative and the schedule has none before.  It is a part
 * of the schedule, if the duty has one, and a request otherwise.
 */
void
dbperf_duty_done(long next_ms)
{
	duty_ended(next_ms, false);
	proc_exit(0);
}

/*
 * The same where there was nothing to work on, like a database without the
 * extension: a duty with a schedule looks again before that says so.
 */
void
dbperf_duty_done_idle(void)
{
	duty_ended(-1, true);
	proc_exit(0);
}
