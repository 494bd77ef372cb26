/*-------------------------------------------------------------------------
 *
 * maint_outcome.c
 *		What is remembered of an action, and what the server log says.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "maintenance/maint_run.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#define FAILURE_MIN 60000 /* ms of back-off */
#define FAILURE_MAX 3600000
#define YIELD_MIN 30000 /* ms after somebody had to be given way to */
#define YIELD_MAX 600000
#define USER_WAIT 600000 /* ms after somebody cancelled it */

/* base * 2^times, at most limit */
static int64
grow(int64 base, int times, int64 limit)
{
	return Min(base << Min(times, 10), limit);
}

/* Milliseconds for which an action that ended like this is not tried again. */
static int64
back_off(const MaintResult *result, MaintCancel cancel, int failures)
{
	switch (result->outcome)
	{
		case MAINT_FAILED:
		case MAINT_TERMINATED:
			return grow(FAILURE_MIN, failures, FAILURE_MAX);
		case MAINT_SKIPPED_LOCKED:
			return Min(dbperf_maintenance_naptime * INT64CONST(1000), FAILURE_MAX);
		case MAINT_CANCELLED:
			if (cancel == MAINT_CANCEL_YIELD)
				return grow(YIELD_MIN, failures, YIELD_MAX);
			if (cancel == MAINT_CANCEL_TIME)
				return FAILURE_MAX;
			if (cancel == MAINT_CANCEL_USER || cancel == MAINT_CANCEL_NONE)
				return USER_WAIT;
			return 0;
		case MAINT_RUNNING:
		case MAINT_DONE:
		case MAINT_BLOCKED_BY_HORIZON:
			break;
	}
	return 0;
}

/* Add what is known now to what was. */
static void
update_memory(MaintMemory *memory, const MaintItem *item, const MaintRecord *record,
			  const MaintResult *result)
{
	MaintCancel cancel;
	int64		wait;

	LWLockAcquire(MAINT_LOCK, LW_SHARED);
	cancel = dbperf_maint->slots[dbperf_maint_slot].cancel;
	LWLockRelease(MAINT_LOCK);

	wait = back_off(result, cancel, memory->failures);
	memory->outcome = result->outcome;
	memory->last_end = record->finished;
	memory->not_before = wait > 0 ? TimestampTzPlusMilliseconds(record->finished, wait) : 0;
	memory->failures = wait > 0 ? memory->failures + 1 : 0;
	if (!result->took_place)
		return;
	/* how long a freeze takes says nothing of a plain vacuum */
	if (memory->key.action == item->action)
	{
		memory->duration_ms = (record->finished - record->started) / 1000;
		memory->pages = result->pages;
	}
	memory->horizon = result->horizon;
	memory->dead_left = result->after.known ? result->after.dead_rows : 0;
	memory->next_xid = result->next_xid;
	memory->invisible = result->invisible;
	memory->bypassed = result->bypassed ? memory->bypassed + 1 : 0;
	memory->tried = item->missing;
	memory->changes = item->changes;
}

/* Remember an action on a relation. */
static void
memorize(MaintAction action, const MaintItem *item, const MaintRecord *record,
		 const MaintResult *result)
{
	MaintMemoryKey key = {
		.database = MyDatabaseId,
		.relation = item->object,
		.action = action,
	};
	MaintMemory memory;

	(void) dbperf_maint_remember(&key, &memory);
	update_memory(&memory, item, record, result);
	dbperf_maint_memorize(&memory);
}

/* Another look at the database when what did not succeed may be tried again. */
static void
look_later(MaintAction action, Oid object)
{
	MaintMemoryKey key = {.database = MyDatabaseId, .relation = object, .action = action};
	MaintMemory	   memory;
	MaintDatabase *database;

	if (!dbperf_maint_remember(&key, &memory) || memory.not_before == 0)
		return;
	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	database = dbperf_maint_database(MyDatabaseId, false);
	if (database != NULL)
		database->next_look = Min(database->next_look, memory.not_before);
	LWLockRelease(MAINT_LOCK);
}

/* "dead rows 10 -> 0, 800 kB -> 400 kB, " and so on */
static void
describe_change(StringInfo out, const MaintRecord *record)
{
	if (!record->before.known || !record->after.known)
		return;
	if (record->action == MAINT_REINDEX)
		appendStringInfo(out, ", size %lld -> %lld bytes", (long long) record->before.size,
						 (long long) record->after.size);
	else if (record->action == MAINT_VACUUM || record->action == MAINT_VACUUM_FREEZE)
		appendStringInfo(out, ", dead rows %lld -> %lld", (long long) record->before.dead_rows,
						 (long long) record->after.dead_rows);
	if (record->action == MAINT_VACUUM_FREEZE)
		appendStringInfo(out, ", age %lld -> %lld", (long long) record->before.age,
						 (long long) record->after.age);
}

/* One line for the server log. */
static void
log_action(const MaintRecord *record)
{
	StringInfoData line;

	if (!dbperf_log_maintenance)
		return;
	initStringInfo(&line);
	appendStringInfo(&line, "dbperf maintenance %lld: %s of %s in database \"%s\" %s after %.3f s",
					 (long long) record->id, dbperf_maint_action_name(record->action),
					 record->object, record->database, dbperf_maint_outcome_name(record->outcome),
					 (double) (record->finished - record->started) / USECS_PER_SEC);
	if (record->pages >= 0)
		appendStringInfo(&line, ", %lld pages", (long long) record->pages);
	describe_change(&line, record);
	if (record->error[0] != '\0')
		appendStringInfo(&line, ": %s", record->error);
	ereport(LOG, (errmsg_internal("%s", line.data), errhidestmt(true), errhidecontext(true)));
	pfree(line.data);
}

/*
 * An action has ended: remember it, and tell.
 */
void
dbperf_maint_after(const MaintItem *item, const MaintRecord *record, const MaintResult *result)
{
	memorize(item->action, item, record, result);
	/* a freeze is a vacuum, too */
	if (item->action == MAINT_VACUUM_FREEZE)
		memorize(MAINT_VACUUM, item, record, result);
	look_later(item->action, item->object);
	log_action(record);
}
