/*-------------------------------------------------------------------------
 *
 * launcher.c
 *		Sends workers to the databases, one database after another.
 *
 * One static worker that is connected to no database: it reads pg_database
 * and what is in shared memory, and starts a dynamic worker where a duty is
 * due.  A duty has one worker at a time.  A visit that takes too long is
 * ended; one that cannot be ended is left alone, and the other databases get
 * their visits nevertheless.
 *
 * Modules can have parts in its process, for what has to be looked at more
 * often than a worker could be sent.  While nothing is scheduled, and no part
 * wants to be woken, it sleeps without any wake-up.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "core/launcher_int.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

#define SCAN_AT_MOST 1000	/* ms between two looks for new databases, if awake */
#define SCAN_EVERY 300000	/* the same if there is nothing else to do */
#define SCAN_RETRY 10000	/* ms until another look after a failure */
#define NO_SLOT_RETRY 10000 /* ms until another try without a free worker */
#define LEAVE_WITHIN 10000	/* ms that a worker gets after it was told to leave */
#define BACK_OFF_MIN 10000	/* ms after a failed visit */
#define BACK_OFF_MAX 3600000
#define MAX_ERRANDS 12 /* workers that run, or hang */
#define MAX_PARTS 4

PGDLLEXPORT void dbperf_launcher_main(Datum arg);

/* A worker on its way, the launcher's own. */
typedef struct Errand
{
	BackgroundWorkerHandle *handle; /* NULL = unused */
	int						duty;
	Oid						database;
	TimestampTz				deadline;
	bool					told;  /* to leave */
	bool					hangs; /* it did not */
} Errand;

/* A part, and what the launcher keeps of it. */
typedef struct Part
{
	const DbperfLauncherPart *part;
	DbperfWorkerPart		  state;
} Part;

LauncherState	 *dbperf_launcher = NULL;
LWLockPadded	 *dbperf_launcher_locks = NULL;
const DbperfDuty *dbperf_duties[MAX_DUTIES];
int				  dbperf_num_duties = 0;

static Part		   parts[MAX_PARTS];
static int		   num_parts = 0;
static Errand	   errands[MAX_ERRANDS];
static TimestampTz last_scan = 0;
static TimestampTz next_scan = 0;
static TimestampTz no_slot_until = 0;

static Size
launcher_size(void)
{
	return sizeof(LauncherState);
}

static void
launcher_attach(void *area, bool found)
{
	dbperf_launcher = area;
	if (!found)
		memset(dbperf_launcher, 0, sizeof(LauncherState));
}

/*
 * Register the shared memory and the worker.  Called once, from _PG_init,
 * before the modules that have duties.
 */
void
dbperf_launcher_init(void)
{
	static const DbperfShmemArea area = {
		.name = "dbperf launcher",
		.size = launcher_size,
		.attach = launcher_attach,
		.tranche = "DbperfLauncher",
		.num_locks = 1,
		.locks = &dbperf_launcher_locks,
	};
	static const DbperfWorker worker = {
		.name = "dbperf launcher",
		.entry = "dbperf_launcher_main",
		.start = BgWorkerStart_RecoveryFinished,
		.database = true,
		.restart = 5,
	};

	dbperf_shmem_register(&area);
	dbperf_worker_register(&worker);
	dbperf_extension_made_init();
}

/*
 * Add a duty; the struct must stay.  Only in the init function of a module.
 * Returns its number.
 */
int
dbperf_duty_register(const DbperfDuty *duty)
{
	if (dbperf_num_duties >= MAX_DUTIES)
		elog(ERROR, "too many duties");
	dbperf_duties[dbperf_num_duties] = duty;
	return dbperf_num_duties++;
}

/*
 * Add work for the launcher's own process; the struct must stay.  Only in the
 * init function of a module.
 */
void
dbperf_launcher_part_register(const DbperfLauncherPart *part)
{
	if (num_parts >= MAX_PARTS)
		elog(ERROR, "too many parts of the launcher");
	parts[num_parts++].part = part;
}

/*
 * Run the steps of the parts.  Returns when the first one wants to run again.
 */
static TimestampTz
run_parts(void)
{
	TimestampTz next = DT_NOEND;

	for (int i = 0; i < num_parts; i++)
	{
		long timeout = dbperf_worker_part(&parts[i].state, parts[i].part->step, NULL);

		if (timeout >= 0)
			next = Min(next, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout));
	}
	return next;
}

/* Whether any duty has a schedule now. */
static bool
scheduled(void)
{
	for (int i = 0; i < dbperf_num_duties; i++)
	{
		if (dbperf_duties[i]->interval() > 0)
			return true;
	}
	return false;
}

/* Whether duties are done in a database: it is there, and no template. */
static bool
is_wanted(const List *found, Oid oid)
{
	const DbperfDatabase *one = dbperf_listed_database(found, oid);

	return one != NULL && !one->is_template;
}

/*
 * Take over what was found: new databases, new names, databases that are gone.
 * Returns how many there was no room for.
 */
static int
take_over(List *found)
{
	int		  left_out = 0;
	ListCell *cell;

	LWLockAcquire(LAUNCHER_LOCK, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		DutyDatabase *entry = &dbperf_launcher->databases[i];

		if (OidIsValid(entry->oid) && !is_wanted(found, entry->oid))
			entry->oid = InvalidOid;
	}
	foreach (cell, found)
	{
		const DbperfDatabase *one = lfirst(cell);
		DutyDatabase		 *entry;

		if (one->is_template)
			continue;
		entry = dbperf_duty_database(one->oid, true);
		if (entry == NULL)
		{
			left_out++;
			continue;
		}
		strlcpy(entry->name, one->name, NAMEDATALEN);
		entry->known = true;
	}
	dbperf_launcher->unknown = false;
	LWLockRelease(LAUNCHER_LOCK);
	return left_out;
}

/* Look for databases that are new, renamed or gone. */
static void
scan_databases(void)
{
	static bool told = false;
	List	   *found;
	int			left_out;

	last_scan = GetCurrentTimestamp();
	next_scan = TimestampTzPlusMilliseconds(last_scan, SCAN_RETRY);
	if (!dbperf_list_databases(&found))
		return;
	left_out = take_over(found);
	if (left_out > 0 && !told)
		ereport(LOG, (errmsg("dbperf does not visit %d databases", left_out),
					  errdetail("It visits at most %d databases of a server.", MAX_DATABASES)));
	told = left_out > 0;
	next_scan = TimestampTzPlusMilliseconds(last_scan, SCAN_EVERY);
}

/*
 * A worker has ended: note how its visit went.
 */
static void
errand_ended(Errand *errand)
{
	TimestampTz	  now = GetCurrentTimestamp();
	DutyDatabase *entry;

	LWLockAcquire(LAUNCHER_LOCK, LW_EXCLUSIVE);
	entry = dbperf_duty_database(errand->database, false);
	if (entry != NULL)
	{
		DutyState *state = &entry->duties[errand->duty];

		state->sent = false;
		if (!state->done)
		{
			int64 wait = BACK_OFF_MIN * (INT64CONST(1) << Min(state->failures, 10));

			state->failures++;
			state->last = now;
			state->not_before = TimestampTzPlusMilliseconds(now, Min(wait, BACK_OFF_MAX));
		}
	}
	LWLockRelease(LAUNCHER_LOCK);

	pfree(errand->handle);
	errand->handle = NULL;
}

/*
 * Look after the workers that are on their way.  Returns the next time at
 * which that has to be done, if no worker ends before.
 */
static TimestampTz
watch_errands(void)
{
	TimestampTz next = DT_NOEND;

	for (int i = 0; i < MAX_ERRANDS; i++)
	{
		Errand	   *errand = &errands[i];
		TimestampTz now = GetCurrentTimestamp();
		pid_t		pid;

		if (errand->handle == NULL)
			continue;
		if (GetBackgroundWorkerPid(errand->handle, &pid) == BGWH_STOPPED)
		{
			errand_ended(errand);
			continue;
		}
		if (!errand->hangs && now >= errand->deadline)
		{
			errand->hangs = errand->told;
			if (!errand->told)
				TerminateBackgroundWorker(errand->handle);
			else
				ereport(LOG, (errmsg("a %s worker does not end", dbperf_duties[errand->duty]->name),
							  errdetail("The other databases are visited nevertheless.")));
			errand->told = true;
			errand->deadline = TimestampTzPlusMilliseconds(now, LEAVE_WITHIN);
		}
		if (!errand->hangs)
			next = Min(next, errand->deadline);
	}
	return next;
}

/* Whether a worker is on its way for the duty, hanging ones left aside. */
static bool
duty_is_busy(int duty)
{
	for (int i = 0; i < MAX_ERRANDS; i++)
	{
		if (errands[i].handle != NULL && errands[i].duty == duty && !errands[i].hangs)
			return true;
	}
	return false;
}

/*
 * Start a worker for the duty.  Returns false if there is no room for one.
 */
static bool
send_worker(int duty, const DutyErrand *what)
{
	DbperfWorker worker = {
		.name = dbperf_duties[duty]->name,
		.entry = dbperf_duties[duty]->entry,
		.start = BgWorkerStart_RecoveryFinished,
		.database = true,
		.restart = BGW_NEVER_RESTART,
	};
	Errand *errand = NULL;

	for (int i = 0; i < MAX_ERRANDS && errand == NULL; i++)
	{
		if (errands[i].handle == NULL)
			errand = &errands[i];
	}
	if (errand == NULL)
		return false;

	if (!dbperf_worker_start(&worker, (Datum) 0, what, sizeof(*what), &errand->handle))
		return false;
	errand->duty = duty;
	errand->database = what->database;
	errand->told = errand->hangs = false;
	errand->deadline = TimestampTzPlusMilliseconds(
		GetCurrentTimestamp(), dbperf_duties[duty]->time_limit() * INT64CONST(1000));
	return true;
}

/*
 * Choose the database in which the duty has been due for longest, and mark it
 * as sent for.  Returns false if there is none; *next becomes the time at
 * which the first one is due, if that is earlier.
 */
static bool
choose_database(int duty, DutyErrand *what, TimestampTz *next)
{
	TimestampTz	  now = GetCurrentTimestamp();
	TimestampTz	  best_due = DT_NOEND;
	DutyDatabase *best = NULL;

	LWLockAcquire(LAUNCHER_LOCK, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		DutyDatabase *entry = &dbperf_launcher->databases[i];
		TimestampTz	  due;

		if (!OidIsValid(entry->oid) || !entry->known || entry->duties[duty].sent)
			continue;
		due = dbperf_duty_due(duty, entry);
		if (due < best_due)
		{
			best = entry;
			best_due = due;
		}
	}
	if (best != NULL && best_due <= now)
	{
		memset(what, 0, sizeof(*what));
		what->database = best->oid;
		strlcpy(what->name, best->name, NAMEDATALEN);
		best->duties[duty].sent = true;
		best->duties[duty].done = false;
		best->duties[duty].asked = DT_NOEND;
	}
	else
		best = NULL;
	LWLockRelease(LAUNCHER_LOCK);

	*next = Min(*next, best_due);
	return best != NULL;
}

/* No worker could be started: the visit is still asked for. */
static void
put_back(int duty, Oid database)
{
	static bool	  told = false;
	DutyDatabase *entry;

	LWLockAcquire(LAUNCHER_LOCK, LW_EXCLUSIVE);
	entry = dbperf_duty_database(database, false);
	if (entry != NULL)
	{
		entry->duties[duty].sent = false;
		entry->duties[duty].asked = GetCurrentTimestamp();
	}
	LWLockRelease(LAUNCHER_LOCK);

	no_slot_until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), NO_SLOT_RETRY);
	if (!told)
		ereport(LOG, (errmsg("no background worker is free for a %s", dbperf_duties[duty]->name),
					  errhint("Consider increasing max_worker_processes.")));
	told = true;
}

/*
 * Send a worker for each duty that is due and has none on its way.  Returns
 * when the next one is due.
 */
static TimestampTz
send_workers(void)
{
	TimestampTz next = DT_NOEND;

	for (int duty = 0; duty < dbperf_num_duties; duty++)
	{
		DutyErrand what;

		/* the end of the one that is there wakes the launcher */
		if (duty_is_busy(duty))
			continue;
		if (GetCurrentTimestamp() < no_slot_until)
			next = Min(next, no_slot_until);
		else if (choose_database(duty, &what, &next) && !send_worker(duty, &what))
			put_back(duty, what.database);
	}
	return next;
}

/* Whether some database is asked for that no scan has met yet. */
static bool
unknown_database(void)
{
	bool result;

	LWLockAcquire(LAUNCHER_LOCK, LW_SHARED);
	result = dbperf_launcher->unknown;
	LWLockRelease(LAUNCHER_LOCK);
	return result;
}

/*
 * One step: look after the workers, look for databases, send workers.
 */
static long
launcher_step(void *arg)
{
	TimestampTz next;
	TimestampTz now;

	(void) arg;

	next = watch_errands();
	if (unknown_database() ||
		(scheduled() && TimestampDifferenceExceeds(last_scan, GetCurrentTimestamp(), SCAN_AT_MOST)))
		scan_databases();
	next = Min(next, send_workers());
	next = Min(next, run_parts());
	if (scheduled() || unknown_database())
		next = Min(next, next_scan);

	now = GetCurrentTimestamp();
	if (next == DT_NOEND)
		return -1;
	return next <= now ? 0 : Max(TimestampDifferenceMilliseconds(now, next), 1);
}

/* The launcher ends: whoever wants something has to wait for the next one. */
static void
launcher_exit(int code, Datum arg)
{
	(void) code;
	(void) arg;

	for (int i = 0; i < num_parts; i++)
	{
		if (parts[i].part->end != NULL)
			parts[i].part->end();
	}
	LWLockAcquire(LAUNCHER_LOCK, LW_EXCLUSIVE);
	dbperf_launcher->pid = 0;
	LWLockRelease(LAUNCHER_LOCK);
}

/*
 * Entry of the launcher.
 */
void
dbperf_launcher_main(Datum arg)
{
	(void) arg;

	dbperf_worker_begin();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);

	LWLockAcquire(LAUNCHER_LOCK, LW_EXCLUSIVE);
	dbperf_launcher->pid = MyProcPid;
	/* the first look finds all of them; workers of an earlier one find out */
	dbperf_launcher->unknown = true;
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		for (int duty = 0; duty < dbperf_num_duties; duty++)
			dbperf_launcher->databases[i].duties[duty].sent = false;
	}
	LWLockRelease(LAUNCHER_LOCK);
	before_shmem_exit(launcher_exit, (Datum) 0);
	for (int i = 0; i < num_parts; i++)
	{
		if (parts[i].part->begin != NULL)
			parts[i].part->begin();
	}

	dbperf_worker_loop("launcher", launcher_step, NULL);
}
