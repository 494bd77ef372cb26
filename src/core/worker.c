/*-------------------------------------------------------------------------
 *
 * worker.c
 *		What every background worker of dbperf does in the same way.
 *
 * Registration, signals, the connection, one loop that survives errors, and
 * one transaction per task.  A worker only brings its step.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "core/core.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "nodes/plannodes.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#define BACKOFF_MIN 1000		   /* ms */
#define BACKOFF_MAX 60000		   /* ms */
#define CONNECT_BACK_OFF_MIN 5000  /* ms after a second failure to connect */
#define CONNECT_BACK_OFF_MAX 60000 /* ms */
#define REPEAT_LOG_AFTER 3600000   /* ms until the same error is logged again */

/* The part of the worker that runs: the whole of it, unless it has several. */
static DbperfWorkerPart	 whole;
static DbperfWorkerPart *current = &whole;

/* How often the configuration was read again. */
static int reloads = 0;

/* What the postmaster wants to know of a worker. */
static void
describe_worker(const DbperfWorker *worker, BackgroundWorker *bgw)
{
	memset(bgw, 0, sizeof(*bgw));
	bgw->bgw_flags = BGWORKER_SHMEM_ACCESS;
	if (worker->database)
		bgw->bgw_flags |= BGWORKER_BACKEND_DATABASE_CONNECTION;
	bgw->bgw_start_time = worker->start;
	bgw->bgw_restart_time = worker->restart;
	strlcpy(bgw->bgw_library_name, "dbperf", sizeof(bgw->bgw_library_name));
	strlcpy(bgw->bgw_function_name, worker->entry, sizeof(bgw->bgw_function_name));
	strlcpy(bgw->bgw_name, worker->name, sizeof(bgw->bgw_name));
	strlcpy(bgw->bgw_type, worker->name, sizeof(bgw->bgw_type));
}

/*
 * Have the postmaster start a worker.  Only in the init function of a module;
 * does nothing without preload, nor during pg_upgrade.
 */
void
dbperf_worker_register(const DbperfWorker *worker)
{
	BackgroundWorker bgw;

	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	describe_worker(worker, &bgw);
	RegisterBackgroundWorker(&bgw);
	dbperf_worker_expect(worker, NULL);
}

/*
 * Start a worker from a process of the running server, with an argument and
 * bytes that it finds in its bgw_extra.  If a handle is wanted it lasts as long
 * as this process, which is told of the worker's start and end.  Returns false
 * if the server has no room for one.
 */
bool
dbperf_worker_start(const DbperfWorker *worker, Datum arg, const void *extra, Size extra_size,
					BackgroundWorkerHandle **handle)
{
	BackgroundWorker bgw;
	MemoryContext	 old;
	bool			 started;

	Assert(extra_size <= sizeof(bgw.bgw_extra));
	describe_worker(worker, &bgw);
	bgw.bgw_main_arg = arg;
	if (extra_size > 0)
		memcpy(bgw.bgw_extra, extra, extra_size);
	if (handle == NULL)
		return RegisterDynamicBackgroundWorker(&bgw, NULL);

	bgw.bgw_notify_pid = MyProcPid;
	old = MemoryContextSwitchTo(TopMemoryContext);
	started = RegisterDynamicBackgroundWorker(&bgw, handle);
	MemoryContextSwitchTo(old);
	if (!started)
		*handle = NULL;
	return started;
}

/*
 * Wake the worker that has told its place: the number of its entry in allProcs,
 * plus 1; 0 = it does not run.  Raises no error.  Should somebody else have the
 * entry by now, he is woken for nothing.
 */
void
dbperf_worker_wake(uint32 place)
{
	if (place > 0)
		SetLatch(&ProcGlobal->allProcs[place - 1].procLatch);
}

/*
 * The first line of a worker's entry function: handle SIGHUP and SIGTERM, and
 * let signals in.
 */
void
dbperf_worker_begin(void)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	dbperf_worker_arrived(MyBgworkerEntry->bgw_name);
	BackgroundWorkerUnblockSignals();
}

/*
 * What the database or the role has as its own settings must not change what
 * a worker does; a worker does not watch its own statements; it gives way
 * instead of queueing behind, and in front of, other sessions' locks; it takes
 * the time it needs, and never overwrites a damaged page.
 */
static void
worker_settings(void)
{
	static const char *const settings[][2] = {
		{"dbperf.enabled", "off"},
		{"search_path", "pg_catalog, pg_temp"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"synchronous_commit", "off"},
		{"lock_timeout", "5s"},
		{"statement_timeout", "0"},
		{"transaction_timeout", "0"}, /* 17 and later: it ends the process */
		{"zero_damaged_pages", "off"},
	};

	for (int i = 0; i < (int) lengthof(settings); i++)
	{
		if (GetConfigOption(settings[i][0], true, false) == NULL)
			continue; /* not in this release */
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_OVERRIDE);
	}
}

/*
 * Connect to the database as the bootstrap superuser, once nobody holds the
 * database.  The process ends with an error if it cannot connect.
 */
void
dbperf_worker_connect(const char *database)
{
	dbperf_db_guard_enter(database);
	BackgroundWorkerInitializeConnection(database, NULL, 0);
	worker_settings();
}

/*
 * The same as a role that can log in (or InvalidOid, the bootstrap superuser),
 * to the database with this OID, whose name must have been this one a moment
 * ago.
 */
void
dbperf_worker_connect_as(Oid database, const char *name, Oid role)
{
	dbperf_db_guard_enter(name);
	BackgroundWorkerInitializeConnectionByOid(database, role, 0);
	worker_settings();
}

/* Take over changed settings if the postmaster said so; returns whether it did. */
static bool
worker_reload(void)
{
	if (!ConfigReloadPending)
		return false;

	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	reloads++;
	return true;
}

/* Sleep until the latch is set or the time, if not negative, is over. */
static void
worker_sleep(long timeout)
{
	int events = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH;

	if (timeout >= 0)
		events |= WL_TIMEOUT;
	(void) WaitLatch(MyLatch, events, timeout, PG_WAIT_EXTENSION);
}

/*
 * Sleep without any wake-up until wanted() says so; it is asked again after
 * every reload of the configuration.
 */
void
dbperf_worker_wait(bool (*wanted)(void))
{
	for (;;)
	{
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		(void) worker_reload();
		dbperf_on_demand_start();
		if (wanted())
			return;
		worker_sleep(-1);
	}
}

/*
 * After a failed step: sleep for the whole time whoever sets the latch, unless
 * the configuration changes, since that may have been the cause.
 */
static void
worker_back_off(long timeout)
{
	TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout);

	for (;;)
	{
		long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);

		if (left <= 0)
			return;
		worker_sleep(left);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (worker_reload())
			return;
	}
}

/*
 * To be called before a worker connects: after several failures to do so (perhaps
 * the database does not exist) waits before the next one, unless the configuration
 * changes, since each leaves a message in the server log.
 */
void
dbperf_worker_wait_after_failures(uint32 failures)
{
	if (failures >= 2)
		worker_back_off(Min(CONNECT_BACK_OFF_MIN << Min(failures - 2, 8), CONNECT_BACK_OFF_MAX));
}

/*
 * Inside PG_CATCH: report the error, unless the worker fails in the same way
 * all the time, and bring the process back to where it was before it began.
 */
static void
worker_recover(MemoryContext context)
{
	ErrorData *error;

	HOLD_INTERRUPTS();

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	if (error->message == NULL ||
		strncmp(current->error, error->message, sizeof(current->error) - 1) != 0 ||
		TimestampDifferenceExceeds(current->logged, GetCurrentTimestamp(), REPEAT_LOG_AFTER))
	{
		EmitErrorReport();
		current->logged = GetCurrentTimestamp();
	}
	strlcpy(current->error, error->message ? error->message : "unknown error",
			sizeof(current->error));
	current->sqlstate = error->sqlerrcode;

	/* the first three for a worker that has no transactions */
	LWLockReleaseAll();
	ConditionVariableCancelSleep();
	pgstat_report_wait_end();
	AbortOutOfAnyTransaction();

	MemoryContextSwitchTo(context);
	FreeErrorData(error);
	FlushErrorState();

	RESUME_INTERRUPTS();
}

/*
 * The message of the last error of this worker, or of the part of it that runs,
 * "" if the last task succeeded;
 * at most 255 bytes, possibly cut, valid until the next task.
 */
const char *
dbperf_worker_last_error(void)
{
	return current->error;
}

/*
 * The SQLSTATE of the last error of this worker, in the server's own coding;
 * void if dbperf_worker_last_error() is "".
 */
int
dbperf_worker_last_sqlstate(void)
{
	return current->sqlstate;
}

/*
 * Run one step.  Returns false if it failed: the error has been reported, and
 * all locks and the transaction, if any, are gone.
 */
bool
dbperf_worker_try(DbperfWorkerStep step, void *arg, long *timeout)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool ok = true;

	PG_TRY();
	{
		*timeout = step(arg);
	}
	PG_CATCH();
	{
		worker_recover(context);
		ok = false;
	}
	PG_END_TRY();
	return ok;
}

/* The wait after a failure, given the one before it, 0 = there was none. */
static long
next_back_off(long back_off)
{
	return back_off == 0 ? BACKOFF_MIN : Min(back_off * 2, BACKOFF_MAX);
}

/*
 * Run the step of one part of a worker, from the worker's own step.  A part has
 * its own last error and its own back-off, so that one that fails keeps no
 * other from its work; a change of the configuration ends the back-off.
 * Returns how long the part may sleep, like a step.
 */
long
dbperf_worker_part(DbperfWorkerPart *part, DbperfWorkerStep step, void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	TimestampTz	  now = GetCurrentTimestamp();
	long		  timeout = -1;
	bool		  ok;

	if (part->back_off > 0 && part->reloads == reloads && now < part->not_before)
		return Max(TimestampDifferenceMilliseconds(now, part->not_before), 1);

	current = part;
	ok = dbperf_worker_try(step, arg, &timeout);
	current = &whole;
	MemoryContextSwitchTo(context);
	if (ok)
	{
		part->back_off = 0;
		return timeout;
	}

	part->back_off = next_back_off(part->back_off);
	part->not_before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), part->back_off);
	part->reloads = reloads;
	return part->back_off;
}

/*
 * Run the step of a worker for ever: again when the time it asked for is over,
 * its latch is set or the configuration has changed.  The step runs in a
 * memory context that is reset before each run; an error in it is reported,
 * and the step is tried again after 1 s, then after up to 60 s.
 */
void
dbperf_worker_loop(const char *name, DbperfWorkerStep step, void *arg)
{
	MemoryContext context;
	long		  back_off = 0;

	context = AllocSetContextCreate(TopMemoryContext, "dbperf worker step", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSetIdentifier(context, name);

	for (;;)
	{
		long timeout = -1;

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		(void) worker_reload();
		dbperf_on_demand_start();

		MemoryContextSwitchTo(context);
		MemoryContextReset(context);
		MemoryContextSetIdentifier(context, name);

		if (dbperf_worker_try(step, arg, &timeout))
		{
			back_off = 0;
			worker_sleep(timeout);
		}
		else
		{
			back_off = next_back_off(back_off);
			worker_back_off(back_off);
		}
	}
}

/*
 * Run a task in a transaction of its own, with a snapshot, and show "activity"
 * in pg_stat_activity meanwhile.  The worker must be connected and outside a
 * transaction.  Returns false if the task failed: the error has been reported,
 * the transaction is rolled back, dbperf_worker_last_error() has the message.
 */
bool
dbperf_worker_transaction(const char *activity, void (*task)(void *arg), void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool ok = true;

	PG_TRY();
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		pgstat_report_activity(STATE_RUNNING, activity);

		task(arg);

		PopActiveSnapshot();
		CommitTransactionCommand();
		current->error[0] = '\0';
	}
	PG_CATCH();
	{
		worker_recover(context);
		ok = false;
	}
	PG_END_TRY();

	MemoryContextSwitchTo(context);
	(void) pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
	return ok;
}

/* A plan for a utility command, as the server's own loop makes it. */
static PlannedStmt *
utility_plan(RawStmt *raw)
{
	PlannedStmt *plan = makeNode(PlannedStmt);

	plan->commandType = CMD_UTILITY;
	plan->canSetTag = true;
	plan->utilityStmt = raw->stmt;
	plan->stmt_location = raw->stmt_location;
	plan->stmt_len = raw->stmt_len;
	return plan;
}

/*
 * Run a command that must not be in a transaction block, such as CREATE INDEX
 * CONCURRENTLY or VACUUM: it commits and begins transactions itself.
 */
static void
run_utility(const char *command, MemoryContext context)
{
	List		 *parsed;
	MemoryContext old;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();

	/* what has to last longer than the command's own transactions */
	PortalContext = context;
	old = MemoryContextSwitchTo(context);
	parsed = pg_parse_query(command);
	if (list_length(parsed) != 1)
		elog(ERROR, "not one command: %s", command);

	PushActiveSnapshot(GetTransactionSnapshot());
	ProcessUtility(utility_plan(linitial_node(RawStmt, parsed)), command, false,
				   PROCESS_UTILITY_TOPLEVEL, NULL, NULL, None_Receiver, NULL);
	if (ActiveSnapshotSet())
		PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(old);
}

/*
 * Run one utility command as a client's top-level command, and show "activity"
 * in pg_stat_activity meanwhile.  The worker must be connected and outside a
 * transaction.  Returns false if it failed: the error has been reported, and
 * what the command had not committed is rolled back; all locks are released
 * then, those of the session, too.
 */
bool
dbperf_worker_utility(const char *activity, const char *command)
{
	MemoryContext outer = CurrentMemoryContext;
	MemoryContext context;
	volatile bool ok = true;

	context = AllocSetContextCreate(outer, "dbperf worker command", ALLOCSET_DEFAULT_SIZES);
	pgstat_report_activity(STATE_RUNNING, activity);

	PG_TRY();
	{
		run_utility(command, context);
		current->error[0] = '\0';
	}
	PG_CATCH();
	{
		worker_recover(outer);
		ok = false;
	}
	PG_END_TRY();

	PortalContext = NULL;
	MemoryContextSwitchTo(outer);
	MemoryContextDelete(context);
	(void) pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
	return ok;
}
