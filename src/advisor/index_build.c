/*-------------------------------------------------------------------------
 *
 * index_build.c
 *		Asking for an index build, canceling it, and looking at it.
 *
 * apply_index_advice() only writes rows: the advice becomes "building", and a
 * row in index_build_queue says who asked.  So a rollback, also of a savepoint,
 * takes the request back, and no crash loses it.  The commit wakes the
 * launcher; were that forgotten, the next visit of the manager would find the
 * row nevertheless.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "advisor/advisor_int.h"
#include "advisor/index_build.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_type.h"
#include "core/core.h"
#include "core/launcher.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"


#define BUILDS_COLUMNS 15

PG_FUNCTION_INFO_V1(dbperf_apply_index_advice);
PG_FUNCTION_INFO_V1(dbperf_cancel_index_build);
PG_FUNCTION_INFO_V1(dbperf_index_builds);

/* This transaction asked for a build. */
static bool asked = false;

/*
 * The transaction that asked has ended.  A prepared one could be committed by
 * another session, which would not know whom to wake.
 */
static void
asked_xact_callback(XactEvent event, void *arg)
{
	(void) arg;

	if (!asked)
		return;
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			asked = false;
			dbperf_duty_request(dbperf_build_duty, MyDatabaseId, 0);
			break;
		case XACT_EVENT_ABORT:
			asked = false;
			break;
		case XACT_EVENT_PRE_PREPARE:
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("cannot PREPARE a transaction that has applied index advice")));
			break;
		default:
			break;
	}
}

/* Wake the launcher when this transaction has committed. */
static void
wake_at_commit(void)
{
	static bool registered = false;

	if (!registered)
		RegisterXactCallback(asked_xact_callback, NULL);
	registered = true;
	asked = true;
}

/*
 * Whether the role may log in, as a worker that acts as it has to.
 */
bool
dbperf_build_role_can_login(Oid role)
{
	HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	bool	  result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
	ReleaseSysCache(tuple);
	return result;
}

/* Raises an error if advice in that status cannot be applied. */
static void
check_status(int64 id, const char *status)
{
	if (strcmp(status, "open") == 0 || strcmp(status, "failed") == 0)
		return;
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("index advice %lld is %s", (long long) id,
						   strcmp(status, "building") == 0 ? "being built already" : status),
					errdetail("Only advice that is open or failed can be applied."),
					strcmp(status, "dismissed") == 0
						? errhint("Call dbperf.undismiss_index_advice() first.")
						: 0));
}

/* Raises an error if no worker is sent to this database. */
static void
check_database(void)
{
	HeapTuple tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
	bool	  is_template;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for database %u", MyDatabaseId);
	is_template = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
	ReleaseSysCache(tuple);
	if (is_template)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("cannot build indexes in a template database"),
						errdetail("No worker is sent there, since it would be in the way of CREATE "
								  "DATABASE.")));
}

/* What apply_index_advice() reads from the row. */
typedef struct AdviceRow
{
	char *identity;
	int64 index_bytes;
} AdviceRow;

/* Locks and reads the row, after checking its status. */
static void
read_advice(int64 id, MemoryContext context, AdviceRow *row)
{
	StoreSession session;
	StoreArgs	 args = {0};
	bool		 isnull;

	dbperf_store_open(&session);
	check_status(id, dbperf_store_lock_advice(id));
	dbperf_store_arg(&args, INT8OID, Int64GetDatum(id));
	(void) dbperf_store_execute("SELECT identity, coalesce(index_size, -1) "
								"FROM dbperf.index_advice WHERE id = $1",
								&args);
	row->identity = MemoryContextStrdup(context, dbperf_store_string(0, 1));
	row->index_bytes = DatumGetInt64(dbperf_store_value(0, 2, &isnull));
	dbperf_store_close(&session);
}

/* Writes the request. */
static void
write_request(int64 id, Oid role)
{
	StoreSession session;
	StoreArgs	 args = {0};

	dbperf_store_open(&session);
	dbperf_store_arg(&args, INT8OID, Int64GetDatum(id));
	(void) dbperf_store_execute("UPDATE dbperf.index_advice SET status = 'building',"
								" status_since = now(), last_error = NULL WHERE id = $1",
								&args);
	dbperf_store_arg(&args, OIDOID, ObjectIdGetDatum(role));
	dbperf_store_arg(&args, OIDOID, ObjectIdGetDatum(GetSessionUserId()));
	/* what is left of an earlier build is to be dropped first: keep its name */
	(void) dbperf_store_execute(
		"INSERT INTO dbperf.index_build_queue (id, role_id, session_role_id) VALUES ($1, $2, $3) "
		"ON CONFLICT (id) DO UPDATE SET cleanup = false, role_id = excluded.role_id,"
		" session_role_id = excluded.session_role_id, requested_at = excluded.requested_at,"
		" started_at = NULL, not_before = NULL, attempts = 0",
		&args);
	dbperf_store_close(&session);
}

/*
 * apply_index_advice(id): everything that can be known beforehand is checked
 * here, with the caller's rights; the worker checks it again.
 */
Datum
dbperf_apply_index_advice(PG_FUNCTION_ARGS)
{
	int64	  id = PG_GETARG_INT64(0);
	Oid		  role = GetUserId();
	AdviceRow row;
	BuildStep step;

	dbperf_require_shmem();
	PreventCommandDuringRecovery("dbperf.apply_index_advice()");
	PreventCommandIfReadOnly("dbperf.apply_index_advice()");

	read_advice(id, CurrentMemoryContext, &row);
	dbperf_build_next_step(dbperf_build_parse(row.identity), &step);
	if (step.action == BUILD_DONE)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("index \"%s\" is there already", step.index_name),
				 errdetail("The advice becomes applied when it is refreshed the next time.")));
	dbperf_build_check_space(dbperf_build_tablespace(), row.index_bytes);
	if (!dbperf_build_role_can_login(role) && !dbperf_build_role_can_login(GetSessionUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("role \"%s\" cannot log in", GetUserNameFromId(role, false)),
				 errdetail("The worker that builds the index logs in as the role, or as the one "
						   "that became it with SET ROLE.")));

	check_database();

	write_request(id, role);
	wake_at_commit();
	PG_RETURN_VOID();
}

/* The slot of a build, or NULL.  Caller must hold the lock. */
static BuildSlot *
find_slot(Oid database, int64 id)
{
	for (int i = 0; i < BUILD_SLOTS; i++)
	{
		BuildSlot *slot = &dbperf_builds->slots[i];

		if (slot->database == database && slot->id == id)
			return slot;
	}
	return NULL;
}

/* Raises an error unless the current role may cancel a build of that role. */
static void
check_may_cancel(Oid role)
{
	if (!superuser() && !has_privs_of_role(GetUserId(), role))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("permission denied to cancel the index build"),
						errdetail("Only a superuser and members of the role that asked for it may "
								  "cancel it.")));
}

/*
 * Cancels a build that has a worker.  Returns false if there is none.  A
 * worker that is not there yet sees canceled_by when it begins.
 */
static bool
cancel_running(int64 id)
{
	char	  *name = GetUserNameFromId(GetUserId(), false);
	BuildSlot *slot;
	Oid		   role = InvalidOid;
	bool	   finishing = false;
	bool	   found;

	LWLockAcquire(BUILD_LOCK, LW_SHARED);
	slot = find_slot(MyDatabaseId, id);
	found = slot != NULL;
	if (found)
		role = slot->role;
	LWLockRelease(BUILD_LOCK);
	if (!found)
		return false;
	check_may_cancel(role);

	LWLockAcquire(BUILD_LOCK, LW_EXCLUSIVE);
	slot = find_slot(MyDatabaseId, id);
	if (slot != NULL && slot->role == role)
	{
		finishing = slot->state == BUILD_FINISHING;
		if (!finishing)
		{
			strlcpy(slot->canceled_by, name, NAMEDATALEN);
			/* it takes itself out of the slot before it ends */
			if (slot->pid != 0)
				(void) kill(slot->pid, SIGINT);
		}
	}
	LWLockRelease(BUILD_LOCK);

	if (finishing)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the build of index advice %lld has just ended", (long long) id)));
	return true;
}

/*
 * Takes a build that waits out of the queue.  Returns false if there is none.
 */
static bool
cancel_waiting(int64 id)
{
	StoreSession session;
	StoreArgs	 args = {0};
	bool		 isnull;
	bool		 found;
	Oid			 role = InvalidOid;

	dbperf_store_open(&session);
	(void) dbperf_store_lock_advice(id);
	dbperf_store_arg(&args, INT8OID, Int64GetDatum(id));
	found = dbperf_store_execute("SELECT role_id FROM dbperf.index_build_queue "
								 "WHERE id = $1 AND NOT cleanup AND started_at IS NULL FOR UPDATE",
								 &args) > 0;
	if (found)
		role = DatumGetObjectId(dbperf_store_value(0, 1, &isnull));
	dbperf_store_close(&session);
	if (!found)
		return false;
	check_may_cancel(role);

	dbperf_store_open(&session);
	(void) dbperf_store_execute("UPDATE dbperf.index_advice SET status = 'open',"
								" status_since = now() WHERE id = $1 AND status = 'building'",
								&args);
	(void) dbperf_store_execute("UPDATE dbperf.index_build_queue SET cleanup = true "
								"WHERE id = $1 AND index_name IS NOT NULL",
								&args);
	(void) dbperf_store_execute("DELETE FROM dbperf.index_build_queue "
								"WHERE id = $1 AND index_name IS NULL",
								&args);
	dbperf_store_close(&session);
	return true;
}

/*
 * cancel_index_build(id): a build that has a worker becomes failed, and what
 * it has left is dropped; one that waits goes back to open.
 */
Datum
dbperf_cancel_index_build(PG_FUNCTION_ARGS)
{
	int64 id = PG_GETARG_INT64(0);

	dbperf_require_shmem();
	PreventCommandDuringRecovery("dbperf.cancel_index_build()");

	if (!cancel_running(id) && !cancel_waiting(id))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("index advice %lld is not being built", (long long) id),
						errhint("The view dbperf.index_builds shows what is being built.")));
	PG_RETURN_VOID();
}

/* The names of BuildState's values. */
static const char *const state_names[] = {"starting",  "waiting for lock", "building",
										  "attaching", "cleaning up",	   "finishing"};

/* A name column. */
static Datum
name_value(const char *name)
{
	return DirectFunctionCall1(namein, CStringGetDatum(name));
}

/* Fills the columns of one build. */
static void
put_build(Datum *values, bool *nulls, const BuildSlot *slot)
{
	char *role = GetUserNameFromId(slot->role, true);
	int64 available = dbperf_tablespace_free_bytes(slot->tablespace);

	values[0] = name_value(slot->database_name);
	values[1] = Int64GetDatum(slot->id);
	values[2] = CStringGetTextDatum(slot->table);
	nulls[2] = slot->table[0] == '\0';
	values[3] = name_value(slot->index);
	nulls[3] = slot->index[0] == '\0';
	nulls[4] = role == NULL;
	if (role != NULL)
		values[4] = name_value(role);
	values[5] = Int32GetDatum(slot->pid);
	nulls[5] = slot->pid == 0;
	values[6] = CStringGetTextDatum(slot->canceled_by[0] != '\0' && slot->state == BUILD_BUILDING
										? "canceling"
										: state_names[slot->state]);
	values[7] = TimestampTzGetDatum(slot->requested);
	values[8] = TimestampTzGetDatum(slot->started);
	nulls[8] = slot->started == 0;
	values[9] = Int64GetDatum(slot->index_bytes);
	nulls[9] = slot->index_bytes < 0;
	values[10] = Int64GetDatum(slot->table_bytes);
	nulls[10] = slot->table_bytes <= 0;
	values[11] = Int64GetDatum(available);
	nulls[11] = available < 0 || !OidIsValid(slot->tablespace);
	values[12] = Int32GetDatum(slot->partitions_done);
	values[13] = Int32GetDatum(slot->partitions_total);
	nulls[12] = nulls[13] = slot->partitions_total == 0;
	nulls[14] = slot->canceled_by[0] == '\0';
	values[14] = name_value(slot->canceled_by);
}

/*
 * index_builds() returns setof record: the builds that have a worker.
 */
Datum
dbperf_index_builds(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	BuildShared	   copy;

	dbperf_require_shmem();
	(void) dbperf_srf_begin(fcinfo, BUILDS_COLUMNS);

	LWLockAcquire(BUILD_LOCK, LW_SHARED);
	memcpy(&copy, dbperf_builds, sizeof(copy));
	LWLockRelease(BUILD_LOCK);

	for (int i = 0; i < BUILD_SLOTS; i++)
	{
		Datum values[BUILDS_COLUMNS] = {0};
		bool  nulls[BUILDS_COLUMNS] = {0};

		if (!OidIsValid(copy.slots[i].database))
			continue;
		put_build(values, nulls, &copy.slots[i]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
