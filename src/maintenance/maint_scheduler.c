/*-------------------------------------------------------------------------
 *
 * maint_scheduler.c
 *		Maintenance's part of the launcher: when a worker goes where.
 *
 * It looks at the databases and the counters of their relations
 * (maint_pressure.c), without being connected to any.  A database gets a worker
 * when its counters are over a threshold and have moved since the last visit,
 * when those of its catalogs have (what is new has no statistics), when the last
 * visit said that something may be done by now, when the horizon that it waited
 * for has moved, when somebody asks, and at least every
 * dbperf.maintenance_scan_interval.  Four looks in one
 * dbperf.maintenance_naptime, and at most two visits, find and begin within it
 * even what has become due just after a visit.  The database that has waited
 * longest comes first.  One that has more to do than one worker can gets more of
 * them while no other one waits.
 *
 * While workers are at work it wakes up four times a second, for the users who
 * wait for them; while there is nothing to do it sleeps without a wake-up.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/dbcommands.h"
#include "core/core.h"
#include "core/launcher.h"
#include "maintenance/maint_launcher.h"
#include "miscadmin.h"
#include "storage/procarray.h"
#include "utils/timestamp.h"

#define WORKING_POLL 250   /* ms between two steps while a worker is at work */
#define LOOKS_A_NAP 4	   /* at the counters */
#define SECOND 1000		   /* ms between two adjustments of the cost limits */
#define NO_SLOT_RETRY 2000 /* ms until another try without a free worker */
#define MAX_FAILURES 3	   /* visits in a row before requests are given up */
#define HORIZON_PAUSE 5000 /* ms between two visits because the horizon moves */
#define RATE_SAMPLE 60000  /* ms between two looks at the transaction counters */

/* A database that gets a worker, and why. */
typedef struct Choice
{
	Oid	 database;
	bool emergency;
	bool exists;
	char name[NAMEDATALEN];
} Choice;

static TimestampTz last_scan = 0;
static TimestampTz last_second = 0;
static TimestampTz no_slot_until = 0;

/* Whether maintenance does anything by itself. */
static bool
is_on(void)
{
	return dbperf_maintenance == MAINTENANCE_ON && dbperf_enabled;
}

/* The end of a pause, 0 = there is none. */
static TimestampTz
pause_end(void)
{
	TimestampTz end;

	LWLockAcquire(MAINT_LOCK, LW_SHARED);
	end = dbperf_maint->paused_until;
	LWLockRelease(MAINT_LOCK);
	return end > GetCurrentTimestamp() ? end : 0;
}

/* Whether a database waits for a worker, and since when. */
static bool
is_waiting(const MaintDatabase *database, TimestampTz now, bool horizon_moved)
{
	TimestampTz visited = database->last_visit;

	if (visited == 0)
		return true;
	horizon_moved = horizon_moved && database->waits_for_horizon &&
					TimestampDifferenceExceeds(visited, now, HORIZON_PAUSE);
	if (!TimestampDifferenceExceeds(visited, now, dbperf_maintenance_naptime * (1000 / 2)) &&
		!horizon_moved)
		return false;
	if (TimestampDifferenceExceeds(visited, now, dbperf_maintenance_scan_interval * 1000))
		return true;
	if (database->wraparound || now >= database->next_look || database->waits_for_horizon)
		return true;
	return database->ddl_now != database->ddl ||
		   (database->over > 0 && database->changes_now != database->changes);
}

/*
 * Choose the database that has waited longest.  Only what is close to
 * wraparound counts if working is false.
 */
static bool
choose_waiting(Choice *choice, bool working)
{
	TimestampTz	   now = GetCurrentTimestamp();
	TransactionId  horizon = dbperf_maint_horizon(HORIZON_TABLES);
	MaintDatabase *best = NULL;
	bool		   urgent = false;

	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	for (int i = 0; i < MAINT_DATABASES; i++)
	{
		MaintDatabase *one = &dbperf_maint->databases[i];
		bool		   moved;
		bool		   now_urgent;

		if (!OidIsValid(one->oid) || !one->enabled || now < one->not_before || one->looking > 0 ||
			!(working || one->wraparound))
			continue;
		moved = TransactionIdIsValid(horizon) && TransactionIdIsValid(one->horizon) &&
				TransactionIdFollows(horizon, one->horizon);
		if (!is_waiting(one, now, moved))
			continue;
		if (one->waiting_since == 0)
			one->waiting_since = now;
		now_urgent = one->wraparound && one->last_visit != 0;
		if (best == NULL || (now_urgent && !urgent) ||
			(now_urgent == urgent && one->waiting_since < best->waiting_since))
		{
			best = one;
			urgent = now_urgent;
		}
	}
	if (best != NULL)
	{
		choice->database = best->oid;
		choice->emergency = best->wraparound;
	}
	LWLockRelease(MAINT_LOCK);
	return best != NULL;
}

/* Whether a worker is in a database, or on its way, that looks for what to do.  Caller must hold the lock. */
static bool
is_visited(Oid database)
{
	for (int i = 0; i < MAINT_EMERGENCY_SLOT; i++)
	{
		const MaintSlot *slot = &dbperf_maint->slots[i];

		if (slot->database == database &&
			(slot->state == MAINT_SLOT_STARTING || slot->state == MAINT_SLOT_LOOKING))
			return true;
	}
	return false;
}

/*
 * Choose a database in which somebody asks for something that can begin, and no
 * worker is about to look.
 */
static bool
choose_request(Choice *choice)
{
	TimestampTz now = GetCurrentTimestamp();

	for (int i = 0; i < MAINT_REQUESTS; i++)
	{
		MaintRequest request;
		bool		 possible;

		LWLockAcquire(MAINT_LOCK, LW_SHARED);
		request = dbperf_maint->requests[i];
		possible = dbperf_maint->paused_until <= now && dbperf_maint_can_begin(&request, now) &&
				   !is_visited(request.database);
		LWLockRelease(MAINT_LOCK);
		if (request.id != 0 && request.failures >= MAX_FAILURES)
			dbperf_maint_refuse(request.id, "no worker could do its work in the database");
		else if (possible)
		{
			choice->database = request.database;
			choice->emergency = false;
			return true;
		}
	}
	return false;
}

/* Choose a database whose workers have left more to do than they can. */
static bool
choose_busy(Choice *choice)
{
	MaintDatabase *best = NULL;

	LWLockAcquire(MAINT_LOCK, LW_SHARED);
	for (int i = 0; i < MAINT_DATABASES; i++)
	{
		MaintDatabase *one = &dbperf_maint->databases[i];

		if (OidIsValid(one->oid) && one->enabled && one->workers > 0 && one->looking == 0 &&
			one->due > 0 && (best == NULL || one->due > best->due))
			best = one;
	}
	if (best != NULL)
	{
		choice->database = best->oid;
		choice->emergency = false;
	}
	LWLockRelease(MAINT_LOCK);
	return best != NULL;
}

/* Note how many workers each database has now. */
static void
count_workers(void)
{
	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	for (int i = 0; i < MAINT_DATABASES; i++)
		dbperf_maint->databases[i].workers = dbperf_maint->databases[i].looking = 0;
	for (int i = 0; i < MAINT_SLOTS; i++)
	{
		const MaintSlot *slot = &dbperf_maint->slots[i];
		MaintDatabase	*database;

		if (slot->state == MAINT_SLOT_FREE)
			continue;
		database = dbperf_maint_database(slot->database, false);
		if (database == NULL)
			continue;
		database->workers++;
		if (slot->state != MAINT_SLOT_WORKING)
			database->looking++;
	}
	LWLockRelease(MAINT_LOCK);
}

/* Say once, and in the status, that the server has no room for a worker. */
static void
no_room(void)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		known;

	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	known = dbperf_maint->no_slot;
	if (!known)
		dbperf_maint->no_slot_since = now;
	dbperf_maint->no_slot = true;
	LWLockRelease(MAINT_LOCK);
	no_slot_until = TimestampTzPlusMilliseconds(now, NO_SLOT_RETRY);
	if (!known)
		ereport(LOG, (errmsg("no background worker is free for dbperf maintenance"),
					  errdetail("It tries again every %d seconds.", NO_SLOT_RETRY / 1000),
					  errhint("Consider increasing max_worker_processes.")));
}

/* A worker could be started. */
static void
room_again(void)
{
	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	dbperf_maint->no_slot = false;
	LWLockRelease(MAINT_LOCK);
}

/* Choose what is to be done next: requests, then what waits, then what is much. */
static bool
choose(Choice *choice, bool working)
{
	if (choose_request(choice))
		return true;
	if (!is_on())
		return false;
	if (choose_waiting(choice, working))
		return true;
	return working && choose_busy(choice);
}

/*
 * Choose what to do, and a slot for it.  If there is none for the next thing,
 * the emergency slot may be free for another one.  Returns -1 for nothing.
 */
static int
choose_with_slot(Choice *choice, bool working)
{
	int slot;

	if (!choose(choice, working))
		return -1;
	slot = dbperf_maint_free_slot(choice->emergency);
	if (slot < 0 && !choice->emergency && is_on() && choose_waiting(choice, false))
		slot = dbperf_maint_free_slot(true);
	return slot;
}

/* Task: the name that the database has now. */
static void
find_name(void *arg)
{
	Choice *choice = arg;
	char   *name = get_database_name(choice->database);

	choice->exists = name != NULL;
	if (name != NULL)
		strlcpy(choice->name, name, NAMEDATALEN);
}

/* A database has been dropped. */
static void
forget_database(Oid oid)
{
	MaintDatabase *database;

	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	database = dbperf_maint_database(oid, false);
	if (database != NULL)
		database->oid = InvalidOid;
	LWLockRelease(MAINT_LOCK);
	dbperf_maint_refuse_all(oid, "the database is gone");
}

/*
 * Start workers for as long as there is something to do and room for them.
 */
static void
send_workers(void)
{
	bool working = is_on() && pause_end() == 0;

	for (int i = 0; i < MAINT_SLOTS; i++)
	{
		Choice choice;
		int	   slot;

		if (GetCurrentTimestamp() < no_slot_until || !(is_on() || dbperf_maint_has_request()))
			return;
		count_workers();
		slot = choose_with_slot(&choice, working);
		if (slot < 0 || !dbperf_worker_transaction("naming a database", find_name, &choice))
			return;
		if (!choice.exists)
		{
			forget_database(choice.database);
			continue;
		}
		if (!dbperf_maint_send(choice.database, choice.name, slot == MAINT_EMERGENCY_SLOT, slot))
		{
			no_room();
			return;
		}
		room_again();
	}
}

/* Whether any database waits for the horizon. */
static bool
horizon_awaited(void)
{
	bool awaited = false;

	LWLockAcquire(MAINT_LOCK, LW_SHARED);
	for (int i = 0; i < MAINT_DATABASES && !awaited; i++)
		awaited = OidIsValid(dbperf_maint->databases[i].oid) &&
				  dbperf_maint->databases[i].enabled &&
				  dbperf_maint->databases[i].waits_for_horizon;
	LWLockRelease(MAINT_LOCK);
	return awaited;
}

/*
 * Milliseconds between two looks at the counters: what has happened just after
 * one has to be found and done within one naptime.
 */
static int
look_every(void)
{
	return dbperf_maintenance_naptime * (1000 / LOOKS_A_NAP);
}

/* Milliseconds until the next step; -1 = when woken. */
static long
until_next(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz paused = pause_end();
	TimestampTz next = DT_NOEND;

	if (is_on())
		next = TimestampTzPlusMilliseconds(last_scan, look_every());
	else if (dbperf_maintenance != MAINTENANCE_OFF)
		next = TimestampTzPlusMilliseconds(now, RATE_SAMPLE);
	if (no_slot_until > now)
		next = Min(next, no_slot_until);
	if (paused != 0)
		next = Min(next, paused);
	else if (dbperf_maint_has_request() || (is_on() && horizon_awaited()))
		next = Min(next, TimestampTzPlusMilliseconds(now, SECOND));
	if (next == DT_NOEND)
		return -1;
	return Max(TimestampDifferenceMilliseconds(now, next), 1);
}

/* What is noted with a time must not wait for a clock that was set back. */
static void
check_clock(void)
{
	static TimestampTz last_step = 0;
	TimestampTz		   now = GetCurrentTimestamp();

	if (now < last_step)
	{
		last_scan = last_second = no_slot_until = 0;
		dbperf_maint_clock_back(now);
	}
	last_step = now;
}

/* Look at the databases, if it is time. */
static void
scan(void)
{
	TimestampTz	   now = GetCurrentTimestamp();
	MaintPolicies *policies;

	if (!is_on() || !TimestampDifferenceExceeds(last_scan, now, look_every()))
		return;
	last_scan = now;
	policies = dbperf_maint_policies();
	dbperf_maint_scan(policies);
}

/* What has to be done often while workers are at work. */
static void
watch_workers(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (dbperf_maintenance_yield != MAINT_YIELD_OFF)
		dbperf_maint_yield_poll();
	dbperf_maint_enforce();
	dbperf_maint_throttle_sample();
	if (!TimestampDifferenceExceeds(last_second, now, SECOND))
		return;
	last_second = now;
	dbperf_maint_throttle_adjust();
}

/* Workers cannot see themselves whether dbperf.enabled is off. */
static void
tell_workers(void)
{
	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	dbperf_maint->suspended = !dbperf_enabled;
	LWLockRelease(MAINT_LOCK);
}

/*
 * One step.
 */
static long
scheduler_step(void *arg)
{
	(void) arg;

	check_clock();
	tell_workers();
	dbperf_maint_reap();
	if (dbperf_maintenance != MAINTENANCE_OFF)
		dbperf_maint_xid_sample();
	scan();
	send_workers();
	return until_next();
}

/*
 * One step of the watch over workers, which has to go on whatever is wrong with
 * looking for work.
 */
static long
watch_step(void *arg)
{
	(void) arg;

	if (!dbperf_maint_any_working())
		return -1;
	watch_workers();
	return WORKING_POLL;
}

/* The launcher has started. */
static void
scheduler_begin(void)
{
	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	dbperf_maint->launcher_pid = MyProcPid;
	LWLockRelease(MAINT_LOCK);
}

/* The launcher ends. */
static void
scheduler_end(void)
{
	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	dbperf_maint->launcher_pid = 0;
	LWLockRelease(MAINT_LOCK);
}

/*
 * Register the parts.  Called once, from the module's init function.
 */
void
dbperf_maint_scheduler_init(void)
{
	static const DbperfLauncherPart part = {
		.name = "maintenance",
		.begin = scheduler_begin,
		.step = scheduler_step,
		.end = scheduler_end,
	};
	static const DbperfLauncherPart watch = {
		.name = "maintenance watch",
		.step = watch_step,
	};

	dbperf_launcher_part_register(&part);
	dbperf_launcher_part_register(&watch);
}
