/*-------------------------------------------------------------------------
 *
 * maint_policy_sql.c
 *		The triggers of maintenance_policy and maintenance_windows, which policy
 *		decides about a table, and when windows are open.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "core/core.h"
#include "funcapi.h"
#include "maintenance/maint_policy.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define WINDOW_COLUMNS 4

PG_FUNCTION_INFO_V1(dbperf_maintenance_policy_check);
PG_FUNCTION_INFO_V1(dbperf_maintenance_windows_check);
PG_FUNCTION_INFO_V1(dbperf_maintenance_policy_for);
PG_FUNCTION_INFO_V1(dbperf_maintenance_window_open);
PG_FUNCTION_INFO_V1(dbperf_maintenance_window_states);

/* ---- triggers ---- */

/* What the triggers are about, in messages. */
#define WHAT "maintenance policies and windows"

/*
 * maintenance_policy_check() returns trigger
 */
Datum
dbperf_maintenance_policy_check(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	HeapTuple	 row = dbperf_central_row(fcinfo, POLICY_TABLE, WHAT, dbperf_maint_policy_changed);
	MaintPolicy	 policy;
	DbperfRowProblem problem;
	const char		*window;

	if (row == NULL)
		PG_RETURN_POINTER(NULL);
	if (!dbperf_maint_parse_policy(row, trigger->tg_relation->rd_att, &policy, &window, &problem))
		dbperf_central_refuse(&problem);
	dbperf_central_limit(trigger->tg_relation, "maintenance policies", MAINT_MAX_POLICIES);
	PG_RETURN_POINTER(NULL);
}

/*
 * maintenance_windows_check() returns trigger
 */
Datum
dbperf_maintenance_windows_check(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	HeapTuple	 row = dbperf_central_row(fcinfo, WINDOWS_TABLE, WHAT, dbperf_maint_policy_changed);
	MaintWindow	 window;
	DbperfRowProblem problem;
	pg_tz			*zone;

	if (row == NULL)
		PG_RETURN_POINTER(NULL);
	if (!dbperf_maint_parse_window(row, trigger->tg_relation->rd_att, &window, &problem))
		dbperf_central_refuse(&problem);
	zone = pg_tzset(window.zone);
	if (zone == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("time zone \"%s\" does not exist", window.zone),
						errhint("The view pg_timezone_names lists the names.")));
	if (!pg_tz_acceptable(zone))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("time zone \"%s\" appears to use leap seconds", window.zone),
						errdetail("PostgreSQL does not support leap seconds.")));
	dbperf_central_limit(trigger->tg_relation, "maintenance windows", MAINT_MAX_WINDOWS);
	PG_RETURN_POINTER(NULL);
}

/* ---- reading ---- */

/*
 * maintenance_policy_for(database_name text, schema_name text, table_name text)
 * returns bigint: the id of the policy that decides, null if there is none.
 */
Datum
dbperf_maintenance_policy_for(PG_FUNCTION_ARGS)
{
	const MaintPolicy *policy;

	dbperf_require_shmem();
	policy = dbperf_maint_policy_for(dbperf_maint_policies(), text_to_cstring(PG_GETARG_TEXT_PP(0)),
									 text_to_cstring(PG_GETARG_TEXT_PP(1)),
									 text_to_cstring(PG_GETARG_TEXT_PP(2)));
	if (policy == NULL)
		PG_RETURN_NULL();
	PG_RETURN_INT64(policy->id);
}

/* The time that an argument gives, null = now. */
static TimestampTz
time_argument(FunctionCallInfo fcinfo, int n)
{
	TimestampTz at = PG_ARGISNULL(n) ? dbperf_maint_now() : PG_GETARG_TIMESTAMPTZ(n);

	if (TIMESTAMP_NOT_FINITE(at))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("the time must be finite")));
	return at;
}

/*
 * maintenance_window_open(window_name text, at_time timestamptz) returns bool
 */
Datum
dbperf_maintenance_window_open(PG_FUNCTION_ARGS)
{
	MaintPolicies *policies;
	TimestampTz	   at;
	char		  *name;

	dbperf_require_shmem();
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	at = time_argument(fcinfo, 1);
	policies = dbperf_maint_policies();
	for (int i = 0; i < policies->num_windows; i++)
	{
		if (strcmp(policies->windows[i].name, name) == 0)
			PG_RETURN_BOOL(dbperf_maint_window_open(&policies->windows[i], at, NULL));
	}
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
					errmsg("maintenance window \"%s\" does not exist", name)));
}

/*
 * maintenance_window_states(at_time timestamptz) returns setof record: which
 * windows are open, and when that changes.
 */
Datum
dbperf_maintenance_window_states(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo;
	MaintPolicies *policies;
	TimestampTz	   at;

	dbperf_require_shmem();
	at = time_argument(fcinfo, 0);
	rsinfo = dbperf_srf_begin(fcinfo, WINDOW_COLUMNS);
	policies = dbperf_maint_policies();
	for (int i = 0; i < policies->num_windows; i++)
	{
		Datum		values[WINDOW_COLUMNS];
		bool		nulls[WINDOW_COLUMNS] = {0};
		TimestampTz changes;
		bool		open = dbperf_maint_window_open(&policies->windows[i], at, &changes);

		values[0] = CStringGetTextDatum(policies->windows[i].name);
		values[1] = BoolGetDatum(open);
		values[2] = values[3] = TimestampTzGetDatum(changes);
		nulls[2] = open || changes == DT_NOEND;
		nulls[3] = !open || changes == DT_NOEND;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
