/*-------------------------------------------------------------------------
 *
 * build_worker.c
 *		Builds one index, with the rights of the role that asked for it.
 *
 * The first lock on the table is taken with a timeout, as a lock of the
 * session; it is what every later step needs, and nobody who reads or writes
 * rows waits for it.  From there on there is no lock_timeout: CREATE INDEX
 * CONCURRENTLY waits for old transactions and snapshots, which blocks nobody,
 * and giving up then would throw the work away.
 *
 * What becomes of the build is written to our tables as their owner.  All that
 * comes from a user (the definition, the table, the functions in it) is only
 * touched as the role.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "advisor/advisor_int.h"
#include "advisor/index_build.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "core/core.h"
#include "core/launcher.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/bufmgr.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"

PGDLLEXPORT void dbperf_index_build_main(Datum arg);

/* A build, the worker's own. */
typedef struct Build
{
	BuildSlot *slot; /* in shared memory */
	BuildSlot  own;	 /* as it was when the worker began */
	bool	   gone; /* nobody wants it any more */
	char	  *identity;
	char	  *left_schema; /* where an earlier or this build may have left */
	char	  *left_table;	/* an INVALID index */
	char	  *left_index;
	BuildStep  step;
	LockRelId  locked;
	char	   error[512];
} Build;

static Build build;

/* ---- the slot ---- */

static void
slot_set_state(BuildState state)
{
	LWLockAcquire(BUILD_LOCK, LW_EXCLUSIVE);
	build.slot->state = state;
	LWLockRelease(BUILD_LOCK);
}

/* Show the step that comes. */
static void
slot_show_step(const BuildStep *step, Oid tablespace, int64 table_bytes)
{
	const char *table = quote_qualified_identifier(step->schema_name, step->table_name);

	LWLockAcquire(BUILD_LOCK, LW_EXCLUSIVE);
	strlcpy(build.slot->table, table, sizeof(build.slot->table));
	strlcpy(build.slot->index, step->index_name, NAMEDATALEN);
	build.slot->tablespace = tablespace;
	build.slot->table_bytes = table_bytes;
	build.slot->partitions_done = step->partitions_done;
	build.slot->partitions_total = step->partitions_total;
	LWLockRelease(BUILD_LOCK);
}

/* Who canceled the build; "" if nobody did. */
static const char *
slot_canceled_by(void)
{
	static char name[NAMEDATALEN];

	LWLockAcquire(BUILD_LOCK, LW_SHARED);
	strlcpy(name, build.slot->canceled_by, NAMEDATALEN);
	LWLockRelease(BUILD_LOCK);
	return name;
}

/* From here on it cannot be canceled.  Returns false if it was. */
static bool
slot_finish(void)
{
	bool canceled;

	LWLockAcquire(BUILD_LOCK, LW_EXCLUSIVE);
	canceled = build.slot->canceled_by[0] != '\0';
	if (!canceled)
		build.slot->state = BUILD_FINISHING;
	LWLockRelease(BUILD_LOCK);
	return !canceled;
}

/* Free the slot and have the manager look again.  Runs at the worker's exit. */
static void
slot_free(int code, Datum arg)
{
	(void) code;
	(void) arg;

	LWLockAcquire(BUILD_LOCK, LW_EXCLUSIVE);
	build.slot->database = InvalidOid;
	build.slot->pid = 0;
	LWLockRelease(BUILD_LOCK);
	dbperf_duty_request(dbperf_build_duty, build.own.database, 0);
}

/* Take over the slot; false if it was given away meanwhile. */
static bool
slot_claim(int number)
{
	TimestampTz reserved;
	bool		mine;

	memcpy(&reserved, MyBgworkerEntry->bgw_extra, sizeof(reserved));
	build.slot = &dbperf_builds->slots[number];

	LWLockAcquire(BUILD_LOCK, LW_EXCLUSIVE);
	mine = OidIsValid(build.slot->database) && build.slot->pid == 0 &&
		   build.slot->reserved == reserved;
	if (mine)
	{
		build.slot->pid = MyProcPid;
		build.own = *build.slot;
	}
	LWLockRelease(BUILD_LOCK);
	return mine;
}

/* ---- transactions ---- */

/* A timeout for locks in milliseconds, 0 = none. */
static void
set_lock_timeout(int ms)
{
	char value[32];

	snprintf(value, sizeof(value), "%d", ms);
	SetConfigOption("lock_timeout", value, PGC_SUSET, PGC_S_OVERRIDE);
}

/* Task: become the role, as the session that asked for the build did. */
static void
become_role(void *arg)
{
	(void) arg;
	SetConfigOption("role", GetUserNameFromId(build.own.role, false), PGC_USERSET, PGC_S_SESSION);
}

/* A copy that lasts as long as the worker, NULL for NULL. */
static char *
keep(const char *s)
{
	return s != NULL ? MemoryContextStrdup(TopMemoryContext, s) : NULL;
}

/* Task: read the request and note that it has begun. */
static void
begin_build(void *arg)
{
	StoreSession session;
	StoreArgs	 args = {0};
	char		*name = get_database_name(MyDatabaseId);

	(void) arg;
	build.gone = true;
	if (name == NULL || strcmp(name, build.own.database_name) != 0 || !dbperf_store_present())
		return;

	dbperf_store_open(&session);
	dbperf_store_arg(&args, INT8OID, Int64GetDatum(build.own.id));
	dbperf_store_arg(&args, BOOLOID, BoolGetDatum(build.own.cleanup));
	if (dbperf_store_execute(
			"SELECT a.identity, q.schema_name::text, q.table_name::text, q.index_name::text "
			"FROM dbperf.index_build_queue AS q JOIN dbperf.index_advice AS a ON a.id = q.id "
			"WHERE q.id = $1 AND q.cleanup = $2 AND q.started_at IS NULL"
			"  AND (q.cleanup OR a.status = 'building') FOR UPDATE OF q",
			&args) > 0)
	{
		build.gone = false;
		build.identity = keep(dbperf_store_string(0, 1));
		build.left_schema = keep(dbperf_store_string(0, 2));
		build.left_table = keep(dbperf_store_string(0, 3));
		build.left_index = keep(dbperf_store_string(0, 4));
		(void) dbperf_store_execute("UPDATE dbperf.index_build_queue"
									" SET started_at = clock_timestamp() "
									"WHERE id = $1 AND cleanup = $2",
									&args);
		(void) dbperf_store_execute("UPDATE dbperf.index_advice SET build_started_at = now() "
									"WHERE id = $1 AND NOT $2",
									&args);
	}
	dbperf_store_close(&session);

	if (!build.gone && !build.own.cleanup)
		dbperf_judge_snapshot();

	LWLockAcquire(BUILD_LOCK, LW_EXCLUSIVE);
	build.slot->started = GetCurrentTimestamp();
	LWLockRelease(BUILD_LOCK);
}

/* Bytes of the table's main fork. */
static int64
table_bytes(Oid relid)
{
	Relation rel = relation_open(relid, AccessShareLock);
	int64	 bytes = 0;

	if (RELKIND_HAS_STORAGE(rel->rd_rel->relkind))
		bytes = (int64) RelationGetNumberOfBlocks(rel) * BLCKSZ;
	relation_close(rel, AccessShareLock);
	return bytes;
}

/* Note which index is going to be made, so that it can be found after a crash. */
static void
note_index(const BuildStep *step)
{
	StoreSession session;
	StoreArgs	 args = {0};

	dbperf_store_open(&session);
	dbperf_store_arg(&args, INT8OID, Int64GetDatum(build.own.id));
	dbperf_store_text(&args, step->schema_name);
	dbperf_store_text(&args, step->table_name);
	dbperf_store_text(&args, step->index_name);
	(void) dbperf_store_execute("UPDATE dbperf.index_build_queue"
								" SET schema_name = $2, table_name = $3, index_name = $4 "
								"WHERE id = $1",
								&args);
	dbperf_store_close(&session);
}

/* Task: find out what is next. */
static void
find_step(void *arg)
{
	BuildStep *step = &build.step;
	Oid		   tablespace = dbperf_build_tablespace();

	(void) arg;
	dbperf_build_next_step(dbperf_build_parse(build.identity), step);
	slot_show_step(step, tablespace, table_bytes(step->table));
	if (step->action == BUILD_CREATE)
	{
		dbperf_build_check_space(tablespace, build.own.index_bytes);
		note_index(step);
	}
	step->schema_name = keep(step->schema_name);
	step->table_name = keep(step->table_name);
	step->index_name = keep(step->index_name);
	step->command = keep(step->command);
}

/*
 * Task: take the first lock, as one of the session.
 */
static void
lock_table(void *arg)
{
	Oid		 relid = *(Oid *) arg;
	Relation rel;

	LockRelationOid(relid, ShareUpdateExclusiveLock);
	rel = try_relation_open(relid, NoLock);
	if (rel == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("the table is gone")));
	build.locked = rel->rd_lockInfo.lockRelId;
	relation_close(rel, NoLock);
	/* does not wait: the transaction has it */
	LockRelationIdForSession(&build.locked, ShareUpdateExclusiveLock);
}

/* Lock a table for a command that waits long, or say why not. */
static bool
lock_first(Oid relid)
{
	bool ok;

	slot_set_state(build.own.cleanup ? BUILD_CLEANING : BUILD_LOCKING);
	set_lock_timeout(dbperf_index_build_lock_timeout);
	ok = dbperf_worker_transaction("locking the table of an index", lock_table, &relid);
	set_lock_timeout(0);
	return ok;
}

/* Run a command under that lock, which is gone afterwards. */
static bool
run_locked(const char *activity, const char *command)
{
	/* a failure releases all locks */
	if (!dbperf_worker_utility(activity, command))
		return false;
	UnlockRelationIdForSession(&build.locked, ShareUpdateExclusiveLock);
	return true;
}

/* ---- what is left of a failed build ---- */

typedef struct Leftover
{
	char *command; /* NULL = there is none */
	Oid	  relid;
} Leftover;

/* Task: look whether there is an INVALID index of this build. */
static void
find_leftover(void *arg)
{
	Leftover *leftover = arg;

	leftover->command =
		keep(dbperf_build_leftover(dbperf_build_parse(build.identity), build.left_schema,
								   build.left_table, build.left_index, &leftover->relid));
}

/*
 * Drop the INVALID index that this build, or an earlier one, has left.
 * Returns whether none is there any more.  A definition that does not fit the
 * table any more has no index that could be told from another's: nothing is
 * dropped then.
 */
static bool
drop_leftover(void)
{
	Leftover leftover = {0};

	if (build.left_index == NULL)
		return true;
	slot_set_state(BUILD_CLEANING);
	set_lock_timeout(dbperf_index_build_lock_timeout);
	if (!dbperf_worker_transaction("looking for an INVALID index", find_leftover, &leftover))
	{
		int sqlstate = dbperf_worker_last_sqlstate();

		return sqlstate == ERRCODE_UNDEFINED_TABLE || sqlstate == ERRCODE_UNDEFINED_COLUMN ||
			   sqlstate == ERRCODE_UNDEFINED_SCHEMA;
	}
	if (leftover.command == NULL)
		return true;

	/* under the lock nobody can be building it: look again */
	if (!lock_first(leftover.relid))
		return false;
	slot_set_state(BUILD_CLEANING);
	if (!dbperf_worker_transaction("looking for an INVALID index", find_leftover, &leftover))
		return false;
	if (leftover.command == NULL)
	{
		UnlockRelationIdForSession(&build.locked, ShareUpdateExclusiveLock);
		return true;
	}
	return run_locked("dropping an INVALID index", leftover.command);
}

/* ---- how it ends ---- */

/* Task: the index is there. */
static void
save_success(void *arg)
{
	StoreSession session;
	StoreArgs	 args = {0};

	(void) arg;
	dbperf_judge_snapshot();
	dbperf_store_open(&session);
	dbperf_store_arg(&args, INT8OID, Int64GetDatum(build.own.id));
	(void) dbperf_store_execute("DELETE FROM dbperf.index_build_queue WHERE id = $1", &args);
	dbperf_store_text(&args, build.step.index_name);
	(void) dbperf_store_execute("UPDATE dbperf.index_advice SET status = 'applied',"
								" status_since = now(), applied_at = now(), index_name = $2,"
								" last_error = NULL, verdict = NULL, verdict_detail = NULL,"
								" drop_ddl = NULL WHERE id = $1",
								&args);
	dbperf_store_close(&session);
}

/* Task: it failed; arg says whether something is left to be dropped. */
static void
save_failure(void *arg)
{
	bool		 left = *(bool *) arg;
	StoreSession session;
	StoreArgs	 args = {0};

	dbperf_store_open(&session);
	dbperf_store_arg(&args, INT8OID, Int64GetDatum(build.own.id));
	if (left)
		(void) dbperf_store_execute("UPDATE dbperf.index_build_queue SET cleanup = true,"
									" started_at = NULL, attempts = 1,"
									" not_before = now() + interval '1 minute' WHERE id = $1",
									&args);
	else
		(void) dbperf_store_execute("DELETE FROM dbperf.index_build_queue WHERE id = $1", &args);
	dbperf_store_text(&args, build.error);
	(void) dbperf_store_execute("UPDATE dbperf.index_advice SET status = 'failed',"
								" status_since = now(), last_error = $2 "
								"WHERE id = $1 AND status = 'building'",
								&args);
	dbperf_store_close(&session);
}

/* Remember why the last task or command failed. */
static void
note_error(void)
{
	const char *canceled_by = slot_canceled_by();

	if (canceled_by[0] != '\0')
		snprintf(build.error, sizeof(build.error), "canceled by \"%s\"", canceled_by);
	else if (dbperf_worker_last_sqlstate() == ERRCODE_LOCK_NOT_AVAILABLE)
		snprintf(build.error, sizeof(build.error),
				 "could not lock the table within %d ms (dbperf.index_build_lock_timeout)",
				 dbperf_index_build_lock_timeout);
	else
		strlcpy(build.error, dbperf_worker_last_error(), sizeof(build.error));
	QueryCancelPending = false;
}

/* Run the command of a step.  Returns false if it failed. */
static bool
run_step(const BuildStep *step)
{
	bool ok;

	if (step->action == BUILD_CREATE)
	{
		if (!lock_first(step->table))
			return false;
		slot_set_state(BUILD_BUILDING);
		build.left_schema = step->schema_name;
		build.left_table = step->table_name;
		build.left_index = step->index_name;
		ok = run_locked("building an index", step->command);
		if (ok)
			build.left_index = NULL;
		return ok;
	}

	/* these take stronger locks, but only for a moment */
	slot_set_state(BUILD_ATTACHING);
	set_lock_timeout(dbperf_index_build_lock_timeout);
	ok = dbperf_worker_utility("building an index of a partitioned table", step->command);
	set_lock_timeout(0);
	return ok;
}

/* All steps.  Returns false if one of them failed. */
static bool
run_steps(void)
{
	if (!drop_leftover())
		return false;
	build.left_index = NULL;

	for (;;)
	{
		if (slot_canceled_by()[0] != '\0')
			return false;
		set_lock_timeout(dbperf_index_build_lock_timeout);
		if (!dbperf_worker_transaction("planning an index build", find_step, NULL))
			return false;
		if (build.step.action == BUILD_DONE)
			return slot_finish();
		if (!run_step(&build.step))
			return false;
	}
}

/* Build the index, or clean up after a build that failed. */
static void
run_build(void)
{
	bool left;

	if (build.own.cleanup)
	{
		if (drop_leftover())
		{
			left = false;
			(void) dbperf_worker_transaction("closing an index build", save_failure, &left);
		}
		/* else the manager sends the next one */
		return;
	}

	if (run_steps())
	{
		/* a cancel that came too late */
		pqsignal(SIGINT, SIG_IGN);
		QueryCancelPending = false;
		set_lock_timeout(0);
		(void) dbperf_worker_transaction("closing an index build", save_success, NULL);
		return;
	}
	note_error();
	left = !drop_leftover();
	QueryCancelPending = false;
	set_lock_timeout(0);
	(void) dbperf_worker_transaction("closing an index build", save_failure, &left);
}

/*
 * Entry of the worker.  The number of its slot is the argument.
 */
void
dbperf_index_build_main(Datum arg)
{
	pqsignal(SIGINT, StatementCancelHandler);
	dbperf_worker_begin();
	if (!slot_claim(DatumGetInt32(arg)))
		proc_exit(0);
	on_shmem_exit(slot_free, (Datum) 0);

	dbperf_worker_connect_as(build.own.database, build.own.database_name, build.own.connect);
	if (build.own.connect != build.own.role &&
		!dbperf_worker_transaction("becoming the role of an index build", become_role, NULL))
		proc_exit(0);
	if (dbperf_worker_transaction("beginning an index build", begin_build, NULL) && !build.gone)
		run_build();
	proc_exit(0);
}
