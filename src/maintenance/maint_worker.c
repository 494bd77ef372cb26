/*-------------------------------------------------------------------------
 *
 * maint_worker.c
 *		One visit to one database: look what is due, do it, leave.
 *
 * A worker that is connected is in the way of DROP DATABASE and its like, so it
 * does not wait for work: the launcher sends the next one.  What users ask for
 * comes before what the plan says, and is looked for again after each action.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "maintenance/maint_launcher.h"
#include "maintenance/maint_run.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/lock.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define FRESH 5000		 /* ms for which a plan need not be checked again */
#define PUT_BACK 1000	 /* ms until a request for a claimed table is tried again */
#define MAX_ROUNDS 3	 /* of planning in one visit */
#define REQUESTS_A_GO 64 /* at most, between two actions of the plan */

PGDLLEXPORT void dbperf_maintenance_main(Datum arg);

/* What the tasks of a visit hand over. */
typedef struct Visit
{
	MemoryContext context; /* of what has to outlive a transaction */
	MaintPlan	 *plan;
	TimestampTz	  planned; /* when */
	MaintItem	 *item;
	Oid			  table;
	Oid			  object;
	int			  action;
} Visit;

/* The visit has come to its end. */
static bool completed = false;

/*
 * Free the slot, unless the writer still has to complete a row.  Runs after the
 * process has left its transaction.
 */
static void
slot_exit(int code, Datum arg)
{
	MaintSlot *slot = &dbperf_maint->slots[dbperf_maint_slot];
	bool	   open;

	(void) code;
	(void) arg;

	/* a session's lock outside a transaction is nobody else's business */
	LockReleaseAll(DEFAULT_LOCKMETHOD, true);

	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	open = slot->state == MAINT_SLOT_WORKING && slot->log != MAINT_LOG_NONE;
	slot->pid = 0;
	dbperf_maint_return_requests(open ? slot->record.id : 0);
	dbperf_maint_visit_ended(slot->database, completed);
	if (open)
	{
		if (slot->record.outcome == MAINT_RUNNING)
		{
			slot->record.outcome = MAINT_TERMINATED;
			slot->record.finished = GetCurrentTimestamp();
			dbperf_maint_count_end(&slot->record);
		}
		slot->log = MAINT_LOG_CLOSE;
	}
	else
		slot->state = MAINT_SLOT_FREE;
	LWLockRelease(MAINT_LOCK);

	if (open)
		dbperf_maint_wake_writer();
	dbperf_maint_wake_launcher();
}

/* Take over the slot; false if it was given away meanwhile. */
static bool
slot_claim(int number, Oid *database, char *database_name)
{
	MaintSlot  *slot = &dbperf_maint->slots[number];
	MaintErrand errand;
	bool		mine;

	memcpy(&errand, MyBgworkerEntry->bgw_extra, sizeof(errand));
	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	mine =
		slot->state == MAINT_SLOT_STARTING && slot->pid == 0 && slot->reserved == errand.reserved;
	if (mine)
	{
		slot->pid = MyProcPid;
		slot->state = MAINT_SLOT_LOOKING;
		*database = slot->database;
		strlcpy(database_name, slot->database_name, NAMEDATALEN);
	}
	LWLockRelease(MAINT_LOCK);
	return mine;
}

/* Whether the plan's actions may be done now. */
static bool
may_work(bool *emergency)
{
	bool paused;
	bool suspended;

	LWLockAcquire(MAINT_LOCK, LW_SHARED);
	paused = dbperf_maint->paused_until > GetCurrentTimestamp();
	suspended = dbperf_maint->suspended;
	*emergency = paused || dbperf_maint->slots[dbperf_maint_slot].emergency;
	LWLockRelease(MAINT_LOCK);
	return dbperf_maintenance == MAINTENANCE_ON && !suspended;
}

/* Take over changed settings between two actions. */
static void
reload(void)
{
	CHECK_FOR_INTERRUPTS();
	if (!ConfigReloadPending)
		return;
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
}

/* Task: plan.  The plan outlives the transaction. */
static void
make_plan(void *arg)
{
	Visit		 *visit = arg;
	MemoryContext old = MemoryContextSwitchTo(visit->context);

	visit->plan = dbperf_maint_make_plan(1.0, InvalidOid);
	MemoryContextSwitchTo(old);
}

/* Whether an item may be done now; emergency: only what prevents wraparound. */
static bool
may_run(const MaintItem *item, bool emergency)
{
	return item->not_now == NULL && !item->by_hand && (!emergency || item->wraparound);
}

/* Task: is it still due? */
static void
check_item(void *arg)
{
	Visit		 *visit = arg;
	MemoryContext old = MemoryContextSwitchTo(visit->context);
	MaintPlan	 *plan = dbperf_maint_make_plan(1.0, visit->table);
	ListCell	 *cell;

	visit->item = NULL;
	foreach (cell, plan->items)
	{
		MaintItem *one = lfirst(cell);

		if (one->action == visit->action && one->object == visit->object && may_run(one, false))
			visit->item = one;
	}
	MemoryContextSwitchTo(old);
}

/* Task: what somebody asked for. */
static void
requested_item(void *arg)
{
	Visit		 *visit = arg;
	MemoryContext old = MemoryContextSwitchTo(visit->context);

	visit->item = dbperf_maint_item_for(visit->table, visit->action);
	MemoryContextSwitchTo(old);
}

/* Do one thing that somebody asked for.  Returns false if there is nothing. */
static bool
run_request(Visit *visit)
{
	MaintRequest request;

	if (!dbperf_maint_take_request(MyDatabaseId, &request))
		return false;
	visit->table = request.table;
	visit->action = request.action;
	visit->item = NULL;
	if (!dbperf_worker_transaction("preparing maintenance", requested_item, visit))
		dbperf_maint_refuse(request.id, dbperf_worker_last_error());
	else if (visit->item == NULL)
		dbperf_maint_refuse(request.id,
							"the table is gone, or there is nothing of that kind to do");
	else if (!dbperf_maint_run(visit->item, &request))
		dbperf_maint_put_back(request.id, PUT_BACK);
	return true;
}

/* Do what people asked for, in a slot that is not kept for emergencies. */
static void
run_requests(Visit *visit)
{
	for (int i = 0; i < REQUESTS_A_GO; i++)
	{
		bool emergency;

		LWLockAcquire(MAINT_LOCK, LW_SHARED);
		emergency = dbperf_maint->slots[dbperf_maint_slot].emergency;
		LWLockRelease(MAINT_LOCK);
		reload();
		if (emergency || !run_request(visit))
			return;
	}
}

/* Say what the plan means for the launcher. */
static void
publish(const Visit *visit, int due)
{
	const MaintPlan *plan = visit->plan;
	MaintDatabase	*database;

	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	database = dbperf_maint_database(MyDatabaseId, false);
	if (database != NULL)
	{
		database->last_visit = GetCurrentTimestamp();
		database->waiting_since = 0;
		database->due = due;
		database->next_look = plan->next_look;
		database->waits_for_horizon = plan->waits_for_horizon;
		database->horizon = plan->horizon;
		database->changes = database->changes_now;
		database->ddl = database->ddl_now;
	}
	LWLockRelease(MAINT_LOCK);
}

/* How many items may be done now. */
static int
count_due(const MaintPlan *plan, bool emergency)
{
	int		  due = 0;
	ListCell *cell;

	foreach (cell, plan->items)
	{
		if (may_run(lfirst(cell), emergency))
			due++;
	}
	return due;
}

/*
 * So much is left to do here.  What the worker leaves undone makes the database
 * wait for the next one.
 */
static void
publish_progress(int due, bool leaves)
{
	MaintDatabase *database;

	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	database = dbperf_maint_database(MyDatabaseId, false);
	if (database != NULL)
	{
		database->due = due;
		if (leaves)
			database->next_look = GetCurrentTimestamp();
	}
	LWLockRelease(MAINT_LOCK);
}

/*
 * Whether another database has waited longer than it should for a worker that
 * could be sent there.
 */
static bool
others_wait(void)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		wait = false;

	LWLockAcquire(MAINT_LOCK, LW_SHARED);
	for (int i = 0; i < MAINT_DATABASES && !wait; i++)
	{
		const MaintDatabase *one = &dbperf_maint->databases[i];

		wait =
			OidIsValid(one->oid) && one->oid != MyDatabaseId && one->waiting_since != 0 &&
			one->enabled && now >= one->not_before && one->looking == 0 &&
			TimestampDifferenceExceeds(one->waiting_since, now, dbperf_maintenance_naptime * 1000);
	}
	LWLockRelease(MAINT_LOCK);
	return wait;
}

/*
 * Whether what the plan says of an item still holds: it is new, and no other
 * worker has done the item since.
 */
static bool
is_fresh(const Visit *visit, const MaintItem *item)
{
	MaintMemoryKey key = {
		.database = MyDatabaseId, .relation = item->object, .action = item->action};
	MaintMemory memory;

	(void) dbperf_maint_remember(&key, &memory);
	return memory.last_end < visit->planned &&
		   !TimestampDifferenceExceeds(visit->planned, GetCurrentTimestamp(), FRESH);
}

/*
 * Do one item, after another look at it if the plan is not fresh.  Returns
 * whether anything was done.
 */
static bool
run_item(Visit *visit, MaintItem *item)
{
	visit->item = item;
	if (!is_fresh(visit, item))
	{
		visit->table = item->table;
		visit->object = item->object;
		visit->action = item->action;
		if (!dbperf_worker_transaction("checking a table", check_item, visit) ||
			visit->item == NULL)
			return false;
	}
	else if (dbperf_maint_claimed(MyDatabaseId, item->table))
		return false;
	return dbperf_maint_run(visit->item, NULL);
}

/*
 * Do what the plan says.  Returns how many actions were tried; *leave says that
 * the worker is wanted elsewhere, or not at all any more.
 */
static int
run_plan(Visit *visit, bool emergency, bool *leave)
{
	int		  due = count_due(visit->plan, emergency);
	int		  done = 0;
	ListCell *cell;

	foreach (cell, visit->plan->items)
	{
		MaintItem *item = lfirst(cell);
		bool	   only_emergency;

		if (!may_run(item, emergency))
			continue;
		reload();
		run_requests(visit);
		/* after something was done, or two databases would send each other away */
		*leave = !may_work(&only_emergency) || (done > 0 && others_wait());
		if (*leave)
			break;
		if ((!only_emergency || item->wraparound) && run_item(visit, item))
			done++;
		publish_progress(--due, false);
	}
	return done;
}

/*
 * The visit.  Another round of planning follows only a round that took long,
 * since the launcher would send the next worker at once then.
 */
static void
visit_database(void)
{
	Visit visit = {0};
	bool  leave = false;
	bool  emergency;

	visit.context =
		AllocSetContextCreate(TopMemoryContext, "dbperf maintenance visit", ALLOCSET_DEFAULT_SIZES);
	for (int round = 0; round < MAX_ROUNDS && !leave; round++)
	{
		MemoryContextReset(visit.context);
		MemoryContextSwitchTo(visit.context);
		if (round == 0)
			dbperf_maint_drop_leftovers();
		run_requests(&visit);
		reload();
		if (!may_work(&emergency))
			break;

		dbperf_maint_density_note();
		visit.planned = GetCurrentTimestamp();
		if (!dbperf_worker_transaction("planning maintenance", make_plan, &visit))
			proc_exit(0);
		publish(&visit, count_due(visit.plan, emergency));
		if (run_plan(&visit, emergency, &leave) == 0 ||
			!TimestampDifferenceExceeds(visit.planned, GetCurrentTimestamp(),
										dbperf_maintenance_naptime * 1000))
			break;
	}
	MemoryContextSwitchTo(TopMemoryContext);
	publish_progress(0, leave);
}

/*
 * The memory that index vacuums and rebuilds may use is autovacuum's, which
 * administrators set with several workers in mind.
 */
static void
own_settings(void)
{
	const char *memory = GetConfigOption("autovacuum_work_mem", false, false);

	if (strcmp(memory, "-1") != 0)
		SetConfigOption("maintenance_work_mem", memory, PGC_SUSET, PGC_S_OVERRIDE);
}

/*
 * Entry of the worker.  The number of its slot is the argument.
 */
void
dbperf_maintenance_main(Datum arg)
{
	char name[NAMEDATALEN];
	Oid	 database;

	dbperf_worker_begin();
	if (!slot_claim(DatumGetInt32(arg), &database, name))
		proc_exit(0);
	dbperf_maint_slot = DatumGetInt32(arg);
	on_shmem_exit(slot_exit, (Datum) 0);
	dbperf_worker_connect_as(database, name, InvalidOid);
	own_settings();
	visit_database();
	completed = true;
	proc_exit(0);
}
