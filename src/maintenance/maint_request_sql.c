/*-------------------------------------------------------------------------
 *
 * maint_request_sql.c
 *		What users may ask of maintenance: run, cancel, pause, resume.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "commands/dbcommands.h"
#include "core/core.h"
#include "maintenance/maint_run.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#define ID_TIMEOUT 5000 /* ms that a caller waits for the log's next id */
#define ID_POLL 20

PG_FUNCTION_INFO_V1(dbperf_run_maintenance);
PG_FUNCTION_INFO_V1(dbperf_cancel_maintenance);
PG_FUNCTION_INFO_V1(dbperf_pause_maintenance);
PG_FUNCTION_INFO_V1(dbperf_resume_maintenance);

/* The action of an argument, MAINT_NO_ACTION for null; an error for nonsense. */
static int
action_argument(FunctionCallInfo fcinfo, int number)
{
	char *name;
	int	  action;

	if (PG_ARGISNULL(number))
		return MAINT_NO_ACTION;
	name = text_to_cstring(PG_GETARG_TEXT_PP(number));
	action = dbperf_maint_action_by_name(name);
	if (action == MAINT_NO_ACTION)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown maintenance action \"%s\"", name),
				 errhint("Actions are vacuum, vacuum_freeze, analyze, reindex, clean_gin and "
						 "summarize_brin; null chooses the most useful one.")));
	return action;
}

/* Raise an error unless the action can be done in a worker to a relation like this. */
static void
check_kind(Form_pg_class form, int action)
{
	char  kind = form->relkind;
	char *name = NameStr(form->relname);

	if (kind != RELKIND_RELATION && kind != RELKIND_MATVIEW && kind != RELKIND_TOASTVALUE &&
		kind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("cannot maintain \"%s\"", name),
						errdetail("It is neither a table nor a materialized view."),
						errhint("For an index name its table.")));
	if (kind == RELKIND_PARTITIONED_TABLE && action != MAINT_NO_ACTION && action != MAINT_ANALYZE)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("cannot do \"%s\" on partitioned table \"%s\"",
							   dbperf_maint_action_name(action), name),
						errhint("Name a partition, or ask for \"analyze\".")));
	if (form->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot maintain temporary table \"%s\" in a worker", name),
						errhint("Run VACUUM or ANALYZE in the session that has the table.")));
}

/*
 * Fill in what is asked for.  Raises an error unless the table is one that can
 * be maintained, by the caller.  The row of the catalog is held meanwhile, since
 * nothing keeps another session from dropping the table.
 */
static void
fill_table(MaintRequest *request, Oid table)
{
	HeapTuple	  tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	Form_pg_class form;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", table)));
	form = (Form_pg_class) GETSTRUCT(tuple);
	check_kind(form, request->action);
	if (!dbperf_maint_may_maintain(table, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(form->relkind),
					   NameStr(form->relname));
	request->table = table;
	strlcpy(
		request->object,
		quote_qualified_identifier(get_namespace_name(form->relnamespace), NameStr(form->relname)),
		sizeof(request->object));
	request->encoding = GetDatabaseEncoding();
	ReleaseSysCache(tuple);
}

/* An id for the log, for which the writer may have to be woken up first. */
static int64
wait_for_id(void)
{
	TimestampTz start = GetCurrentTimestamp();
	int64		id;

	while ((id = dbperf_maint_take_id()) == 0)
	{
		if (TimestampDifferenceExceeds(start, GetCurrentTimestamp(), ID_TIMEOUT))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the log of maintenance is not ready"),
					 errdetail("The worker \"dbperf writer\" does not answer."),
					 errhint("Try again in a moment.  The server log says whether the worker could "
							 "not start or connect to database \"%s\".",
							 dbperf_database)));
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ID_POLL,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	return id;
}

/* Raise an error if nobody could do the work. */
static void
check_launcher(void)
{
	bool running;

	LWLockAcquire(MAINT_LOCK, LW_SHARED);
	running = dbperf_maint->launcher_pid != 0;
	LWLockRelease(MAINT_LOCK);
	if (!running)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the worker \"dbperf launcher\" is not running"),
						errhint("It may be starting; if it stays away, increase "
								"max_worker_processes.")));
}

/*
 * run_maintenance(table regclass, action text) returns bigint: queue an action
 * on a table; null chooses the most useful one.  Returns the id of its row in
 * maintenance_log, which is there once it has begun or been refused.
 */
Datum
dbperf_run_maintenance(PG_FUNCTION_ARGS)
{
	MaintRequest request = {0};

	dbperf_require_shmem();
	PreventCommandDuringRecovery("dbperf.run_maintenance()");
	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the table is null")));
	request.action = action_argument(fcinfo, 1);
	fill_table(&request, PG_GETARG_OID(0));
	check_launcher();

	request.database = MyDatabaseId;
	strlcpy(request.database_name, get_database_name(MyDatabaseId), NAMEDATALEN);
	request.role = GetUserId();
	request.requested = GetCurrentTimestamp();
	request.id = wait_for_id();
	if (!dbperf_maint_add_request(&request))
		ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
						errmsg("too many maintenance requests are waiting"),
						errdetail("At most %d can wait.", MAINT_REQUESTS),
						errhint("Wait for some to end, or cancel some with "
								"dbperf.cancel_maintenance().")));
	PG_RETURN_INT64(request.id);
}

/*
 * Whether the current role may cancel what works on a table of a database, and
 * was asked for by a role (InvalidOid = the plan's).
 */
static bool
may_cancel(Oid database, Oid table, Oid role)
{
	return superuser() || has_privs_of_role(GetUserId(), ROLE_PG_SIGNAL_BACKEND) ||
		   (OidIsValid(role) && role == GetUserId()) ||
		   (database == MyDatabaseId && dbperf_maint_may_maintain(table, GetUserId()));
}

static void
check_may_cancel(int64 id, Oid database, Oid table, Oid role)
{
	if (!may_cancel(database, table, role))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to cancel maintenance %lld", (long long) id),
				 errdetail("Only superusers, members of \"%s\", the role that asked for it and "
						   "those who may maintain the table can.",
						   "pg_signal_backend")));
}

/* The request with that id, still waiting, or a slot that works on it. */
static bool
find_work(int64 id, Oid *database, Oid *table, Oid *role)
{
	bool found = false;

	LWLockAcquire(MAINT_LOCK, LW_SHARED);
	for (int i = 0; i < MAINT_REQUESTS && !found; i++)
	{
		const MaintRequest *one = &dbperf_maint->requests[i];

		found = one->id == id;
		*database = one->database;
		*table = one->table;
		*role = one->role;
	}
	for (int i = 0; i < MAINT_SLOTS && !found; i++)
	{
		const MaintSlot *one = &dbperf_maint->slots[i];

		found = one->state == MAINT_SLOT_WORKING && one->record.id == id;
		*database = one->database;
		*table = one->table;
		*role = one->role;
	}
	LWLockRelease(MAINT_LOCK);
	return found;
}

/*
 * cancel_maintenance(log_id bigint) returns boolean: end an action that runs,
 * or take one that waits out of the queue; false if there is none with that id.
 */
Datum
dbperf_cancel_maintenance(PG_FUNCTION_ARGS)
{
	int64		 id = PG_GETARG_INT64(0);
	MaintRequest request;
	MaintRecord	 record;
	char		*who = GetUserNameFromId(GetUserId(), false);
	Oid			 database;
	Oid			 table;
	Oid			 role;

	dbperf_require_shmem();
	if (id <= 0 || !find_work(id, &database, &table, &role))
		PG_RETURN_BOOL(false);
	check_may_cancel(id, database, table, role);

	/* a request that is about to begin is in both places, and then in a slot */
	if (dbperf_maint_cancel_id(id, who))
		PG_RETURN_BOOL(true);
	if (!dbperf_maint_remove_request(id, &request))
		PG_RETURN_BOOL(false);
	dbperf_maint_request_record(&request, &record);
	record.outcome = MAINT_CANCELLED;
	snprintf(record.error, sizeof(record.error), "cancelled by \"%s\" before it began", who);
	dbperf_maint_add_record(&record);
	PG_RETURN_BOOL(true);
}

static void
set_pause(TimestampTz until)
{
	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	dbperf_maint->paused_until = until;
	LWLockRelease(MAINT_LOCK);
	dbperf_maint_wake_launcher();
}

/*
 * pause_maintenance(until timestamptz): nothing but what prevents wraparound
 * runs until then; what runs is cancelled.
 */
Datum
dbperf_pause_maintenance(PG_FUNCTION_ARGS)
{
	TimestampTz until = PG_GETARG_TIMESTAMPTZ(0);

	dbperf_require_shmem();
	PreventCommandDuringRecovery("dbperf.pause_maintenance()");
	if (until <= GetCurrentTimestamp())
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("maintenance can only be paused until a time in the future"),
						errhint("To go on, use dbperf.resume_maintenance().")));
	set_pause(until);
	PG_RETURN_VOID();
}

/*
 * resume_maintenance(): end a pause.
 */
Datum
dbperf_resume_maintenance(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	dbperf_require_shmem();
	PreventCommandDuringRecovery("dbperf.resume_maintenance()");
	set_pause(0);
	PG_RETURN_VOID();
}
