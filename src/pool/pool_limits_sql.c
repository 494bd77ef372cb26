/*-------------------------------------------------------------------------
 *
 * pool_limits_sql.c
 *		The triggers of pool_databases and pool_roles.
 *
 * The tables count in dbperf.database only, and so can be changed only there:
 * elsewhere a limit would look as if it were in force.  But a dump of that
 * database must be restorable anywhere, under another name, too.  While that
 * happens rows are kept as they are, and nobody reads them; pg_dump's scripts
 * can be told by check_function_bodies, which they turn off.  Rows can be
 * deleted in any database.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "catalog/namespace.h"
#include "commands/dbcommands.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pool/pool_config.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(dbperf_pool_databases_check);
PG_FUNCTION_INFO_V1(dbperf_pool_roles_check);

/* Whether this is dbperf.database. */
static bool
here(void)
{
	char *name = get_database_name(MyDatabaseId);

	return name != NULL && strcmp(name, dbperf_database) == 0;
}

/* Refuses a row in a database where it would mean nothing. */
static void
refuse_elsewhere(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("limits of the connection pool can only be changed in database \"%s\"",
					dbperf_database),
			 errdetail("They are in force in all databases of the server; dbperf.database says "
					   "where they are kept."),
			 errhint("Connect to database \"%s\".", dbperf_database)));
}

/*
 * Whether the trigger is on the table that it was made for: one of another table
 * would hand over rows of who knows what columns.
 */
static bool
on_own_table(Relation table, bool of_role)
{
	return RelationGetNamespace(table) == get_namespace_oid("dbperf", true) &&
		   strcmp(RelationGetRelationName(table), of_role ? "pool_roles" : "pool_databases") == 0;
}

/* Refuses more rows than there is room for in shared memory. */
static void
check_count(Relation table)
{
	SysScanDesc scan = systable_beginscan(table, InvalidOid, false, SnapshotSelf, 0, NULL);
	int			rows = 0;

	while (rows <= POOL_MAX_LIMITS && HeapTupleIsValid(systable_getnext(scan)))
		rows++;
	systable_endscan(scan);
	if (rows > POOL_MAX_LIMITS)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("too many rows in table \"%s\"", RelationGetRelationName(table)),
						errdetail("There can be at most %d.", POOL_MAX_LIMITS)));
}

/*
 * What is common to the triggers.
 */
static Datum
check(FunctionCallInfo fcinfo, bool of_role)
{
	TriggerData	  *trigger = (TriggerData *) fcinfo->context;
	PoolLimit	   limit;
	PoolRowProblem problem;
	HeapTuple	   row;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("the function must be called by an AFTER trigger")));
	if (!on_own_table(trigger->tg_relation, of_role))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("the function must be called by a trigger of table \"dbperf.%s\"",
							   of_role ? "pool_roles" : "pool_databases")));

	if (here())
		dbperf_pool_limits_touched();
	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event) || TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		return PointerGetDatum(NULL);
	if (!here())
	{
		if (check_function_bodies)
			refuse_elsewhere();
		return PointerGetDatum(NULL);
	}

	row = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple : trigger->tg_trigtuple;
	if (!dbperf_pool_parse_limit(row, RelationGetDescr(trigger->tg_relation), of_role, &limit,
								 &problem))
		ereport(ERROR, (errcode(problem.sqlstate), errmsg("%s", problem.message),
						problem.hint != NULL ? errhint("%s", problem.hint) : 0));
	check_count(trigger->tg_relation);
	return PointerGetDatum(NULL);
}

/*
 * pool_databases_check() returns trigger
 */
Datum
dbperf_pool_databases_check(PG_FUNCTION_ARGS)
{
	return check(fcinfo, false);
}

/*
 * pool_roles_check() returns trigger
 */
Datum
dbperf_pool_roles_check(PG_FUNCTION_ARGS)
{
	return check(fcinfo, true);
}
