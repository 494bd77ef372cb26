/*-------------------------------------------------------------------------
 *
 * maint_command.c
 *		Runs the command of a maintenance action and says how it went.
 *
 * Before the command the worker takes the table's lock for its session, or
 * learns that somebody has it: VACUUM (SKIP_LOCKED) only warns.  Nobody who
 * reads or writes rows waits for that lock, and the launcher cancels the worker
 * for those who do.  Only what is close to wraparound waits for the lock, for
 * as long as lock_timeout says.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/htup_details.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "commands/progress.h"
#include "core/core.h"
#include "executor/instrument.h"
#include "executor/spi.h"
#include "maintenance/maint_run.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/backend_status.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#define LOCK_TIMEOUT "5s" /* what every worker has */

/* What the tasks hand over. */
typedef struct Command
{
	const MaintItem *item;
	MaintResult		*result;
	bool			 busy;	 /* somebody has a lock on the table */
	Oid				 schema; /* of the object, by whose name it is found again: */
	char			*name;	 /* a rebuilt index has another OID */
	MemoryContext	 context;
	LockRelId		 locked;
} Command;

/* Buffers that this process has looked at so far. */
static int64
buffers_used(void)
{
	return pgBufferUsage.shared_blks_hit + pgBufferUsage.shared_blks_read;
}

/* Raise an error unless the role that asked for it, if any, still has the right. */
static void
check_role(Oid table)
{
	Oid role = dbperf_maint->slots[dbperf_maint_slot].role; /* only this process changes it */

	if (OidIsValid(role) && !dbperf_maint_may_maintain(table, role))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("the role that asked for it may not maintain the table")));
}

/* Task: lock the table for the session. */
static void
lock_table(void *arg)
{
	Command *command = arg;
	Oid		 table = command->item->table;
	Relation rel;

	check_role(table);
	if (command->item->wraparound)
		LockRelationOid(table, ShareUpdateExclusiveLock);
	else if (!ConditionalLockRelationOid(table, ShareUpdateExclusiveLock))
	{
		command->busy = true;
		return;
	}
	rel = try_relation_open(table, NoLock);
	if (rel == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("the table is gone")));
	command->locked = rel->rd_lockInfo.lockRelId;
	relation_close(rel, NoLock);
	command->schema = get_rel_namespace(command->item->object);
	command->name = get_rel_name(command->item->object);
	if (command->name != NULL)
		command->name = MemoryContextStrdup(command->context, command->name);
	/* does not wait: the transaction has it */
	LockRelationIdForSession(&command->locked, ShareUpdateExclusiveLock);
}

/* Task: a command that is a query. */
static void
run_query(void *arg)
{
	const MaintItem *item = ((Command *) arg)->item;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute(item->command, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "not a query: %s", item->command);
	SPI_finish();
}

/* Pages of a table that are not in its visibility map, as of its last VACUUM. */
static int64
invisible_pages(Oid table)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	Form_pg_class class;
	int64 pages;

	if (!HeapTupleIsValid(tuple))
		return 0;
	class = (Form_pg_class) GETSTRUCT(tuple);
	pages = (int64) class->relpages - class->relallvisible;
	ReleaseSysCache(tuple);
	return Max(pages, 0);
}

/* Task: what the object is like now. */
static void
look_again(void *arg)
{
	Command *command = arg;
	Oid		 object = command->item->object;

	if (command->item->action == MAINT_REINDEX && command->name != NULL)
		object = get_relname_relid(command->name, command->schema);
	(void) dbperf_maint_figures(object, &command->result->after);
	if (command->item->action <= MAINT_VACUUM_FREEZE)
		command->result->invisible = invisible_pages(object);
}

/* What is shown in pg_stat_activity. */
static const char *
activity(const MaintItem *item)
{
	return psprintf("%s%s", item->command, item->wraparound ? " (to prevent wraparound)" : "");
}

/* Whether vacuum left the indexes alone, since too few pages had dead rows. */
static bool
indexes_bypassed(const MaintItem *item)
{
	/* they stay as they were at the end of the last command that had progress */
	return item->action == MAINT_VACUUM && item->before.dead_rows > 0 && MyBEEntry != NULL &&
		   MyBEEntry->st_progress_param[PROGRESS_VACUUM_NUM_INDEX_VACUUMS] == 0;
}

/* Why a command was cancelled, in words; NULL if nobody of ours did it. */
static const char *
cancel_reason(void)
{
	MaintSlot slot;

	LWLockAcquire(MAINT_LOCK, LW_SHARED);
	slot = dbperf_maint->slots[dbperf_maint_slot];
	LWLockRelease(MAINT_LOCK);

	switch (slot.cancel)
	{
		case MAINT_CANCEL_NONE:
			return NULL;
		case MAINT_CANCEL_YIELD:
			return psprintf("gave way to process %d, which waits for a lock", slot.blocked_pid);
		case MAINT_CANCEL_USER:
			return psprintf("cancelled by \"%s\"", slot.canceled_by);
		case MAINT_CANCEL_PAUSE:
			return "maintenance is paused";
		case MAINT_CANCEL_OFF:
			return "maintenance was turned off";
		case MAINT_CANCEL_WINDOW:
			return "the maintenance window has closed";
		case MAINT_CANCEL_TIME:
			return "the policy's time limit is over";
	}
	return NULL;
}

/* What a failed step, task or command was; called before anything else is run. */
void
dbperf_maint_judge_failure(MaintResult *result)
{
	const char *reason = cancel_reason();
	int			sqlstate = dbperf_worker_last_sqlstate();

	if (reason != NULL)
	{
		result->outcome = MAINT_CANCELLED;
		strlcpy(result->error, reason, sizeof(result->error));
		return;
	}
	if (sqlstate == ERRCODE_QUERY_CANCELED)
	{
		result->outcome = MAINT_CANCELLED;
		strlcpy(result->error,
				dbperf_maintenance_yield == MAINT_YIELD_FLAG
					? "gave way to a session that waits for a lock"
					: "cancelled by another session",
				sizeof(result->error));
		return;
	}
	if (sqlstate == ERRCODE_LOCK_NOT_AVAILABLE)
		result->outcome = MAINT_SKIPPED_LOCKED;
	else
		result->outcome = MAINT_FAILED;
	strlcpy(result->error, dbperf_worker_last_error(), sizeof(result->error));
}

/*
 * The command, with the lock held.  Returns whether it succeeded; if not, the
 * result says why.
 */
static bool
run_command(Command *command)
{
	const MaintItem *item = command->item;
	bool			 vacuums = item->action <= MAINT_ANALYZE;
	bool			 rebuilds = item->action == MAINT_REINDEX;
	bool			 ok;

	dbperf_maint_throttle_begin(&dbperf_maint->slots[dbperf_maint_slot]);
	if (vacuums && dbperf_maintenance_yield == MAINT_YIELD_FLAG && !item->wraparound)
		dbperf_maint_yield_flag(true);
	if (rebuilds)
	{
		dbperf_maint_reindex_begin(item->object);
		/* what it waits for from here on blocks nobody */
		SetConfigOption("lock_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
	}

	if (vacuums || rebuilds)
		ok = dbperf_worker_utility(activity(item), item->command);
	else
		ok = dbperf_worker_transaction(activity(item), run_query, command);

	/* before anything else runs */
	if (!ok)
		dbperf_maint_judge_failure(command->result);
	dbperf_maint_yield_flag(false);
	dbperf_maint_throttle_end();
	if (rebuilds)
		SetConfigOption("lock_timeout", LOCK_TIMEOUT, PGC_SUSET, PGC_S_OVERRIDE);
	return ok;
}

/* Task: the words for a vacuum that an old snapshot made futile. */
static void
name_holder(void *arg)
{
	Command		*command = arg;
	MaintResult *result = command->result;
	char *holder = dbperf_maint_horizon_holder(dbperf_maint_horizon_of(command->item->table));

	snprintf(result->error, sizeof(result->error), "%s",
			 holder != NULL ? holder : "an old snapshot keeps dead rows from being removed");
}

/* Whether a vacuum could remove next to nothing of what was dead. */
static bool
was_futile(const MaintItem *item, const MaintResult *result)
{
	return (item->action == MAINT_VACUUM || item->action == MAINT_VACUUM_FREEZE) &&
		   item->before.known && result->after.known && item->before.dead_rows > 0 &&
		   result->after.dead_rows >= 0.9 * item->before.dead_rows;
}

/*
 * Run the command of an item.  Outside a transaction, within the step of a
 * worker: an error that gets out of here has been none of the command's.
 */
void
dbperf_maint_execute(const MaintItem *item, MaintResult *result)
{
	Command command = {.item = item, .result = result, .context = CurrentMemoryContext};
	int64	buffers = buffers_used();
	bool	ok;

	result->next_xid = ReadNextTransactionId();
	result->horizon = dbperf_maint_horizon(dbperf_maint_horizon_of(item->table));
	if (!dbperf_worker_transaction("locking a table", lock_table, &command))
	{
		dbperf_maint_judge_failure(result);
		return;
	}
	if (command.busy)
	{
		result->outcome = MAINT_SKIPPED_LOCKED;
		strlcpy(result->error, "another session has a lock on the table", sizeof(result->error));
		return;
	}
	ok = run_command(&command);
	result->pages = buffers_used() - buffers;
	if (ok)
		UnlockRelationIdForSession(&command.locked, ShareUpdateExclusiveLock);
	/* with the table's lock gone, since a left-over is dropped under one */
	if (item->action == MAINT_REINDEX)
		dbperf_maint_reindex_end();
	if (!ok)
		return;
	result->took_place = true;
	result->bypassed = indexes_bypassed(item);
	result->outcome = MAINT_DONE;
	(void) dbperf_worker_transaction("looking at what was done", look_again, &command);
	if (was_futile(item, result))
	{
		result->outcome = MAINT_BLOCKED_BY_HORIZON;
		(void) dbperf_worker_transaction("looking at what was done", name_holder, &command);
	}
}
