/*-------------------------------------------------------------------------
 *
 * db_guard.c
 *		Keeps our workers out of a database that somebody drops, renames,
 *		copies or moves.
 *
 * DROP DATABASE, ALTER DATABASE ... RENAME and SET TABLESPACE, and CREATE
 * DATABASE (for its template) fail while anybody is connected to the database.
 * A worker of ours must not be the reason.  So before such a command its
 * session holds the database: the workers in it are sent away, and none
 * connects to it until the command has ended.
 *
 * Workers and holds are listed by the database's name, not by its OID: a
 * worker has to be listed before it connects, when it cannot look up an OID
 * yet.  A worker lists itself only if there is no hold, and a session looks
 * for workers only after it has listed its hold, both under the lock: so one
 * of the two always sees the other.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "core/compat.h"
#include "core/core.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/procarray.h"
#include "utils/acl.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#define MAX_HOLDS 32
#define LEAVE_TIMEOUT 5000 /* ms that a command waits for the workers */
#define LEAVE_POLL 10	   /* ms between two looks meanwhile */
#define HOLD_POLL 500	   /* ms between two looks of a worker kept out */
#define MAX_TOLD 4

/* A process and a database, of a worker or of a hold; pid 0 = unused. */
typedef struct GuardEntry
{
	int	 pid;
	char database[NAMEDATALEN];
} GuardEntry;

/*
 * All fields are read and written under the area's only lock.  The workers'
 * entries are as many as there can be background workers.
 */
typedef struct GuardState
{
	int		   num_workers;
	GuardEntry holds[MAX_HOLDS];
	GuardEntry workers[FLEXIBLE_ARRAY_MEMBER];
} GuardState;

static GuardState	*guard = NULL;
static LWLockPadded *guard_lock = NULL;

/* This process lists a hold. */
static bool holding = false;

/* The database that this session is dropping, and who wants to know. */
static Oid dropping = InvalidOid;
static void (*tell_dropped[MAX_TOLD])(Oid database);
static int num_told = 0;

#define GUARD_LOCK (&guard_lock->lock)

static Size
guard_size(void)
{
	return add_size(offsetof(GuardState, workers),
					mul_size(max_worker_processes, sizeof(GuardEntry)));
}

static void
guard_attach(void *area, bool found)
{
	guard = area;
	if (found)
		return;

	memset(guard, 0, guard_size());
	guard->num_workers = max_worker_processes;
}

/*
 * Register the shared memory.  Called once, from _PG_init.
 */
void
dbperf_db_guard_init(void)
{
	static const DbperfShmemArea area = {
		.name = "dbperf database guard",
		.size = guard_size,
		.attach = guard_attach,
		.tranche = "DbperfDbGuard",
		.num_locks = 1,
		.locks = &guard_lock,
	};

	dbperf_shmem_register(&area);
}

/*
 * Whether some session holds the database.  Caller must hold the lock, and
 * exclusively: holds of sessions that are gone are removed.
 */
static bool
guard_is_held(const char *database)
{
	Assert(LWLockHeldByMeInMode(GUARD_LOCK, LW_EXCLUSIVE));

	for (int i = 0; i < MAX_HOLDS; i++)
	{
		GuardEntry *hold = &guard->holds[i];

		if (hold->pid == 0 || strcmp(hold->database, database) != 0)
			continue;
		if (BackendPidGetProc(hold->pid) != NULL)
			return true;
		hold->pid = 0;
	}
	return false;
}

/*
 * Take this worker off the list.  Runs at its exit, after it has left the
 * process array: the callback is registered before the worker connects.
 */
static void
guard_worker_exit(int code, Datum arg)
{
	(void) code;
	(void) arg;

	LWLockAcquire(GUARD_LOCK, LW_EXCLUSIVE);
	for (int i = 0; i < guard->num_workers; i++)
	{
		if (guard->workers[i].pid == MyProcPid)
			guard->workers[i].pid = 0;
	}
	LWLockRelease(GUARD_LOCK);
}

/*
 * List this worker unless the database is held.  Returns whether it is listed.
 */
static bool
guard_try_enter(const char *database)
{
	bool entered = false;

	LWLockAcquire(GUARD_LOCK, LW_EXCLUSIVE);
	if (!guard_is_held(database))
	{
		for (int i = 0; i < guard->num_workers && !entered; i++)
		{
			GuardEntry *entry = &guard->workers[i];

			if (entry->pid != 0)
				continue;
			strlcpy(entry->database, database, NAMEDATALEN);
			entry->pid = MyProcPid;
			entered = true;
		}
	}
	LWLockRelease(GUARD_LOCK);
	return entered;
}

/*
 * List this worker as one that connects to the database, after waiting for as
 * long as the database is held.  The worker's last step before it connects,
 * and only once in its life.
 */
void
dbperf_db_guard_enter(const char *database)
{
	on_shmem_exit(guard_worker_exit, (Datum) 0);

	while (!guard_try_enter(database))
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, HOLD_POLL,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* Remove this session's hold at its exit, should the command not have done so. */
static void
guard_session_exit(int code, Datum arg)
{
	(void) code;
	(void) arg;
	dbperf_db_guard_after();
}

/*
 * List this session's hold.  Returns false if there is no room, and then the
 * command takes its chance.
 */
static bool
guard_hold(const char *database)
{
	static bool registered = false;
	GuardEntry *mine = NULL;

	if (!registered)
	{
		before_shmem_exit(guard_session_exit, (Datum) 0);
		registered = true;
	}

	LWLockAcquire(GUARD_LOCK, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_HOLDS && mine == NULL; i++)
	{
		GuardEntry *hold = &guard->holds[i];

		if (hold->pid == 0 || BackendPidGetProc(hold->pid) == NULL)
			mine = hold;
	}
	if (mine != NULL)
	{
		strlcpy(mine->database, database, NAMEDATALEN);
		mine->pid = MyProcPid;
		holding = true;
	}
	LWLockRelease(GUARD_LOCK);
	return mine != NULL;
}

/*
 * Ask the workers in the database to leave, if "ask", and return how many are
 * there.  Their process ids are right while the lock is held, since a worker
 * takes itself off the list before it ends.
 */
static int
guard_count_workers(const char *database, bool ask)
{
	int count = 0;

	LWLockAcquire(GUARD_LOCK, LW_SHARED);
	for (int i = 0; i < guard->num_workers; i++)
	{
		const GuardEntry *entry = &guard->workers[i];

		if (entry->pid == 0 || strcmp(entry->database, database) != 0)
			continue;
		count++;
		if (ask)
			(void) kill(entry->pid, SIGTERM);
	}
	LWLockRelease(GUARD_LOCK);
	return count;
}

/*
 * Send the workers in the held database away and wait until they have left.
 * After LEAVE_TIMEOUT it gives up: the command itself then says who is there.
 */
static void
guard_clear(const char *database)
{
	TimestampTz start = GetCurrentTimestamp();
	bool		ask = true;

	while (guard_count_workers(database, ask) > 0)
	{
		ask = false;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LEAVE_POLL,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (TimestampDifferenceExceeds(start, GetCurrentTimestamp(), LEAVE_TIMEOUT))
			break;
	}
}

/*
 * Hold the database and clear it; an error leaves no hold.
 */
static void
guard_take(const char *database)
{
	if (!guard_hold(database))
		return;

	PG_TRY();
	{
		guard_clear(database);
	}
	PG_CATCH();
	{
		dbperf_db_guard_after();
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/*
 * Whether the current role may create databases.
 */
static bool
may_create_database(void)
{
	HeapTuple tuple;
	bool	  result;

	if (superuser())
		return true;

	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Whether the current role may use the database as a template, as CREATE
 * DATABASE decides it.
 */
static bool
may_copy_database(Oid database)
{
	HeapTuple tuple;
	bool	  is_template;

	if (!may_create_database())
		return false;

	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	if (!HeapTupleIsValid(tuple))
		return false;
	is_template = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
	ReleaseSysCache(tuple);
	return is_template || DBPERF_OWNS_DATABASE(database);
}

/* The value of a DefElem list's option, or NULL. */
static const char *
option_value(List *options, const char *name)
{
	ListCell *cell;

	foreach (cell, options)
	{
		DefElem *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, name) == 0)
			return option->arg != NULL ? defGetString(option) : NULL;
	}
	return NULL;
}

/*
 * The name of the database that must be free of sessions for the command, or
 * NULL if it is not such a command; *copies says that it is only read.
 */
static const char *
affected_database(Node *utility, bool *copies)
{
	*copies = false;

	switch (nodeTag(utility))
	{
		case T_DropdbStmt:
			return castNode(DropdbStmt, utility)->dbname;

		case T_CreatedbStmt:
		{
			const char *source;

			*copies = true;
			source = option_value(castNode(CreatedbStmt, utility)->options, "template");
			return source != NULL ? source : "template1";
		}

		case T_RenameStmt:
		{
			RenameStmt *stmt = castNode(RenameStmt, utility);

			return stmt->renameType == OBJECT_DATABASE ? stmt->subname : NULL;
		}

		case T_AlterDatabaseStmt:
		{
			AlterDatabaseStmt *stmt = castNode(AlterDatabaseStmt, utility);

			return option_value(stmt->options, "tablespace") != NULL ? stmt->dbname : NULL;
		}

		default:
			return NULL;
	}
}

/*
 * To be called before a utility command runs.  If the command needs a database
 * without sessions, and the current role may run it, hold the database and
 * send our workers away.  Waits for them, so it can be cancelled; an error
 * leaves no hold.  Otherwise the caller must call dbperf_db_guard_after() when
 * the command has ended, whether it failed or not.
 */
void
dbperf_db_guard_before(Node *utility)
{
	const char *database;
	bool		copies;
	Oid			oid;

	dropping = InvalidOid;
	if (guard == NULL)
		return;
	database = affected_database(utility, &copies);
	if (database == NULL || !IsTransactionState() || RecoveryInProgress())
		return;

	oid = get_database_oid(database, true);
	if (!OidIsValid(oid))
		return;
	if (copies ? !may_copy_database(oid) : !DBPERF_OWNS_DATABASE(oid))
		return;

	dbperf_db_guard_after();
	guard_take(database);
	dropping = IsA(utility, DropdbStmt) ? oid : InvalidOid;
}

/*
 * Registers what is told of each database that has been dropped: inside the
 * transaction that drops it, but nobody can be connected to it any more.
 */
void
dbperf_db_guard_tell(void (*dropped)(Oid database))
{
	if (num_told >= MAX_TOLD)
		elog(ERROR, "too many modules want to know of dropped databases");
	tell_dropped[num_told++] = dropped;
}

/*
 * To be called when the command has succeeded.
 */
void
dbperf_db_guard_succeeded(void)
{
	Oid database = dropping;

	dropping = InvalidOid;
	if (!OidIsValid(database))
		return;
	for (int i = 0; i < num_told; i++)
		tell_dropped[i](database);
}

/*
 * To be called after every utility command: end this session's hold, if any.
 */
void
dbperf_db_guard_after(void)
{
	if (likely(!holding))
		return;

	LWLockAcquire(GUARD_LOCK, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_HOLDS; i++)
	{
		if (guard->holds[i].pid == MyProcPid)
			guard->holds[i].pid = 0;
	}
	LWLockRelease(GUARD_LOCK);
	holding = false;
}
