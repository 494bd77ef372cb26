/*-------------------------------------------------------------------------
 *
 * pool_limits_sql.c
 *		The triggers of pool_databases and pool_roles.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "core/central.h"
#include "pool/pool_config.h"

PG_FUNCTION_INFO_V1(dbperf_pool_databases_check);
PG_FUNCTION_INFO_V1(dbperf_pool_roles_check);

/*
 * What is common to the triggers.
 */
static Datum
check(FunctionCallInfo fcinfo, const char *table, bool of_role)
{
	HeapTuple		 row = dbperf_central_row(fcinfo, table, "limits of the connection pool",
											  dbperf_pool_limits_touched);
	Relation		 relation = ((TriggerData *) fcinfo->context)->tg_relation;
	PoolLimit		 limit;
	DbperfRowProblem problem;

	if (row == NULL)
		return PointerGetDatum(NULL);
	if (!dbperf_pool_parse_limit(row, RelationGetDescr(relation), of_role, &limit, &problem))
		dbperf_central_refuse(&problem);
	dbperf_central_limit(relation, psprintf("rows in table \"%s\"", table), POOL_MAX_LIMITS);
	return PointerGetDatum(NULL);
}

/*
 * pool_databases_check() returns trigger
 */
Datum
dbperf_pool_databases_check(PG_FUNCTION_ARGS)
{
	return check(fcinfo, POOL_DATABASES_TABLE, false);
}

/*
 * pool_roles_check() returns trigger
 */
Datum
dbperf_pool_roles_check(PG_FUNCTION_ARGS)
{
	return check(fcinfo, POOL_ROLES_TABLE, true);
}
