/*-------------------------------------------------------------------------
 *
 * maint_plan_sql.c
 *		dbperf.maintenance_plan(): what is due in the current database, and
 *		why it is or is not done now.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "commands/dbcommands.h"
#include "core/core.h"
#include "fmgr.h"
#include "funcapi.h"
#include "maintenance/maint_plan.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#define PLAN_COLUMNS 9

PG_FUNCTION_INFO_V1(dbperf_maintenance_plan);

/* Add a row. */
static void
put_item(ReturnSetInfo *rsinfo, const char *database, const MaintItem *item)
{
	Datum values[PLAN_COLUMNS] = {0};
	bool  nulls[PLAN_COLUMNS] = {false};

	values[0] = CStringGetDatum(database);
	values[1] = CStringGetTextDatum(item->object_name);
	values[2] = CStringGetTextDatum(dbperf_maint_action_name(item->action));
	values[3] = CStringGetTextDatum(item->command);
	values[4] = Float8GetDatum(item->score);
	values[5] = CStringGetTextDatum(item->reason);
	values[6] = Int64GetDatum((int64) Min(item->est_pages, 1e18));
	values[7] = Float8GetDatum(item->est_seconds);
	if (item->not_now != NULL)
		values[8] = CStringGetTextDatum(item->not_now);
	else
		nulls[8] = true;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * maintenance_plan(min_score): the items with at least that score.
 */
Datum
dbperf_maintenance_plan(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo;
	MaintPlan	  *plan;
	NameData	   database;
	ListCell	  *lc;

	dbperf_require_shmem();
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("min_score must not be null")));
	if (isnan(PG_GETARG_FLOAT8(0)) || PG_GETARG_FLOAT8(0) < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("min_score must be a number of at least 0"),
						errhint("What is due has a score of 1 or more.")));

	rsinfo = dbperf_srf_begin(fcinfo, PLAN_COLUMNS);
	namestrcpy(&database, get_database_name(MyDatabaseId));
	plan = dbperf_maint_make_plan(PG_GETARG_FLOAT8(0), InvalidOid);
	foreach (lc, plan->items)
	{
		CHECK_FOR_INTERRUPTS();
		put_item(rsinfo, NameStr(database), lfirst(lc));
	}
	return (Datum) 0;
}
