/*-------------------------------------------------------------------------
 *
 * maint_run.c
 *		One action of a maintenance worker, from the claim to the log.
 *
 * The order matters.  First the table is claimed, so that no other worker of
 * ours takes it.  Then the row of the log is committed by the writer: what has
 * begun has a row, whatever happens to this process.  Then the command runs,
 * and at last the row is completed.  Between claim and release the slot says
 * all that others need to know.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "maintenance/maint_run.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/timestamp.h"

int dbperf_maint_slot = -1;

/* What the steps of one action hand over. */
typedef struct Action
{
	const MaintItem	   *item;
	const MaintRequest *request; /* NULL = the plan's */
	MaintResult			result;
	MaintRecord			record; /* as the log shall have it */
	bool				opened; /* its row is there, or none can be */
} Action;

/* The row of the log, as far as it is known before the action. */
static void
fill_record(Action *action, int64 id)
{
	MaintRecord		*record = &action->record;
	const MaintItem *item = action->item;

	memset(record, 0, sizeof(*record));
	record->id = id;
	record->started = GetCurrentTimestamp();
	strlcpy(record->database, dbperf_maint->slots[dbperf_maint_slot].database_name, NAMEDATALEN);
	strlcpy(record->object, item->object_name, sizeof(record->object));
	record->action = item->action;
	strlcpy(record->command, item->command, sizeof(record->command));
	strlcpy(record->reason, item->reason, sizeof(record->reason));
	record->before = item->before;
	record->pages = -1;
	record->encoding = GetDatabaseEncoding();
}

/* Claim the table; false if another worker is there. */
static bool
claim(Action *action)
{
	const MaintItem *item = action->item;
	MaintSlot		*slot = &dbperf_maint->slots[dbperf_maint_slot];
	bool			 taken;

	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	taken = dbperf_maint_taken(MyDatabaseId, item->table, item->action);
	if (!taken)
	{
		slot->table = item->table;
		slot->object = item->object;
		slot->record = action->record;
		slot->log = MAINT_LOG_NONE;
		slot->wraparound = item->wraparound;
		slot->requested = action->request != NULL;
		slot->role = action->request != NULL ? action->request->role : InvalidOid;
		slot->deadline = item->time_limit > 0
							 ? TimestampTzPlusMilliseconds(action->record.started,
														   item->time_limit * INT64CONST(1000))
							 : DT_NOEND;
		slot->window_end =
			item->window_end == DT_NOEND || action->request != NULL ? 0 : item->window_end;
		slot->cost_limit_max = item->cost_limit_max;
		slot->cancel = MAINT_CANCEL_NONE;
		slot->canceled_by[0] = '\0';
		slot->blocked_pid = 0;
		slot->state = MAINT_SLOT_WORKING;
	}
	LWLockRelease(MAINT_LOCK);
	/* it has to look after the users who may come to wait */
	if (!taken)
		dbperf_maint_wake_launcher();
	return !taken;
}

/*
 * From here on nothing cancels it any more; a signal that has come already is
 * forgotten.
 */
static void
finish(Action *action)
{
	MaintSlot *slot = &dbperf_maint->slots[dbperf_maint_slot];

	action->record.finished = GetCurrentTimestamp();
	action->record.outcome = action->result.outcome;
	action->record.pages = action->result.pages;
	action->record.after = action->result.after;
	strlcpy(action->record.error, action->result.error, sizeof(action->record.error));

	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	slot->record = action->record;
	dbperf_maint_count_end(&slot->record);
	LWLockRelease(MAINT_LOCK);
	QueryCancelPending = false;
}

/* The table is free for others again. */
static void
release(void)
{
	MaintSlot *slot = &dbperf_maint->slots[dbperf_maint_slot];

	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	slot->state = MAINT_SLOT_LOOKING;
	slot->table = slot->object = InvalidOid;
	slot->record.id = 0;
	slot->log = MAINT_LOG_NONE;
	LWLockRelease(MAINT_LOCK);
	/* one that was sent at the last moment may have come after finish() */
	QueryCancelPending = false;
}

/* Step: have the row of the log written. */
static long
open_log(void *arg)
{
	Action *action = arg;

	action->opened = dbperf_maint_log_open(dbperf_maint_slot);
	return -1;
}

/* Step: have it completed. */
static long
close_log(void *arg)
{
	(void) arg;
	dbperf_maint_log_close(dbperf_maint_slot);
	return -1;
}

/* Step: the command itself and what is there afterwards. */
static long
execute(void *arg)
{
	Action *action = arg;

	dbperf_maint_execute(action->item, &action->result);
	return -1;
}

/*
 * The row is there: from here on the slot has the request, and the queue has
 * not.  Returns false if it was cancelled while it was still in the queue.
 */
static bool
begin_request(const Action *action)
{
	MaintRequest request;

	return action->request == NULL || dbperf_maint_remove_request(action->request->id, &request);
}

/*
 * Between claim and release.  Returns false if there is no row of the log,
 * without which nothing may begin.
 */
static bool
run_claimed(Action *action)
{
	long unused;
	bool ok;

	action->result.outcome = MAINT_FAILED;
	action->result.pages = -1;
	ok = dbperf_worker_try(open_log, action, &unused);
	if ((ok && !action->opened) || !begin_request(action))
		return false;
	if (!ok)
		dbperf_maint_judge_failure(&action->result);
	else if (!dbperf_worker_try(execute, action, &unused))
	{
		/* not the command's own error: nothing may stay behind */
		dbperf_maint_judge_failure(&action->result);
		dbperf_maint_yield_flag(false);
		dbperf_maint_throttle_end();
		LockReleaseAll(DEFAULT_LOCKMETHOD, true);
	}
	finish(action);
	dbperf_maint_after(action->item, &action->record, &action->result);
	(void) dbperf_worker_try(close_log, action, &unused);
	return true;
}

/*
 * Do what an item says, for a request or (NULL) for the plan.  Outside a
 * transaction.  Returns false if nothing was begun, since another worker is at
 * the table or there is no row of the log to be had.
 */
bool
dbperf_maint_run(const MaintItem *item, const MaintRequest *request)
{
	Action action = {.item = item, .request = request};
	int64  id = request != NULL ? request->id : dbperf_maint_take_id();
	bool   begun;

	if (id == 0)
		return false;
	fill_record(&action, id);
	if (!claim(&action))
		return false;
	begun = run_claimed(&action);
	release();
	return begun;
}
