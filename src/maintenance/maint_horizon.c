/*-------------------------------------------------------------------------
 *
 * maint_horizon.c
 *		How far vacuum can go, and who keeps it from going further.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/catalog.h"
#include "catalog/pg_class.h"
#include "commands/dbcommands.h"
#include "core/core.h"
#include "funcapi.h"
#include "maintenance/maint_blockers.h"
#include "maintenance/maint_plan.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#define BLOCKER_COLUMNS 14

#define HORIZON_COLUMNS 3

PG_FUNCTION_INFO_V1(dbperf_vacuum_blockers);
PG_FUNCTION_INFO_V1(dbperf_vacuum_horizon);

/*
 * The horizon that counts for a table; InvalidOid: for an ordinary one.
 */
MaintHorizon
dbperf_maint_horizon_of(Oid table)
{
	if (!OidIsValid(table))
		return HORIZON_TABLES;
	if (IsSharedRelation(table))
		return HORIZON_SHARED;
	return IsCatalogRelationOid(table) ? HORIZON_CATALOGS : HORIZON_TABLES;
}

/*
 * The server's own answer.  It looks at the kind of the relation only, so one
 * that does not exist will do, and none has to be opened.  Without a database
 * ordinary tables are those of all databases.
 */
static TransactionId
server_horizon(MaintHorizon horizon)
{
	RelationData	  relation = {0};
	FormData_pg_class form = {0};

	form.relkind = RELKIND_RELATION;
	form.relpersistence = RELPERSISTENCE_PERMANENT;
	form.relisshared = horizon == HORIZON_SHARED;
	relation.rd_rel = &form;
	relation.rd_id = horizon == HORIZON_TABLES ? FirstNormalObjectId : RelationRelationId;
	return GetOldestNonRemovableTransactionId(&relation);
}

/*
 * The oldest xid of which dead rows cannot be removed from such tables, seen
 * from the current database; without a database: from any.
 *
 * A vacuum does not count its own snapshot, so neither does this count that of
 * the session that asks: where it is the oldest of all, the others are looked
 * at one by one, which needs a transaction and a database.
 */
TransactionId
dbperf_maint_horizon(MaintHorizon horizon)
{
	TransactionId next = ReadNextTransactionId();
	TransactionId server = server_horizon(horizon);
	TransactionId mine = TransactionIdOlder(MyProc->xmin, MyProc->xid);
	TransactionId others;

	if (!TransactionIdIsValid(mine) || TransactionIdPrecedes(server, mine) ||
		!OidIsValid(MyDatabaseId))
		return server;

	(void) dbperf_maint_blockers(horizon, &others);
	others = TransactionIdOlder(next, others);
	return TransactionIdPrecedes(server, others) ? others : server;
}

/*
 * Who holds a horizon and what to do about it, in one allocated sentence; NULL
 * if nobody does.  Must run in a transaction with a snapshot, in a process with
 * a database.
 */
char *
dbperf_maint_horizon_holder(MaintHorizon horizon)
{
	TransactionId next = ReadNextTransactionId();
	TransactionId oldest;
	ListCell	 *lc;

	foreach (lc, dbperf_maint_blockers(horizon, &oldest))
	{
		MaintBlocker *one = lfirst(lc);

		if (one->holds && TransactionIdPrecedes(one->xid, next))
			return dbperf_maint_blocker_sentence(one);
	}
	return NULL;
}

/* Put a text, null for NULL. */
static void
put_text(Datum *values, bool *nulls, int column, const char *value)
{
	nulls[column] = value == NULL;
	if (value != NULL)
		values[column] = CStringGetTextDatum(value);
}

/* Put a name, null for NULL. */
static void
put_name(Datum *values, bool *nulls, int column, const char *value)
{
	nulls[column] = value == NULL;
	if (value != NULL)
		values[column] = DirectFunctionCall1(namein, CStringGetDatum(value));
}

/* Put a time, null for 0. */
static void
put_time(Datum *values, bool *nulls, int column, TimestampTz value)
{
	nulls[column] = value == 0;
	values[column] = TimestampTzGetDatum(value);
}

/* Put one blocker as a row. */
static void
put_blocker(ReturnSetInfo *rsinfo, const MaintBlocker *blocker, TransactionId next)
{
	Datum values[BLOCKER_COLUMNS];
	bool  nulls[BLOCKER_COLUMNS] = {0};
	Oid	  role = blocker->role;
	Oid	  database = blocker->database;

	put_text(values, nulls, 0, dbperf_maint_blocker_kind(blocker));
	nulls[1] = blocker->pid == 0;
	values[1] = Int32GetDatum(blocker->pid);
	put_text(values, nulls, 2, blocker->name);
	put_name(values, nulls, 3, OidIsValid(database) ? get_database_name(database) : NULL);
	put_name(values, nulls, 4, OidIsValid(role) ? GetUserNameFromId(role, true) : NULL);
	put_text(values, nulls, 5, blocker->state);
	put_time(values, nulls, 6, blocker->since);
	put_time(values, nulls, 7, blocker->idle_since);
	values[8] = TransactionIdGetDatum(blocker->xid);
	put_text(values, nulls, 9, blocker->source);
	values[10] = Int64GetDatum((int64) (int32) (next - blocker->xid));
	put_text(values, nulls, 11, dbperf_maint_blocker_affects(blocker));
	values[12] = BoolGetDatum(blocker->holds && TransactionIdPrecedes(blocker->xid, next));
	put_text(values, nulls, 13, dbperf_maint_blocker_remedy(blocker));
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * dbperf.vacuum_blockers(): everybody but this session who keeps dead rows from
 * being removed, oldest first.  What is in a row is for those who may execute
 * it, members of pg_monitor.
 */
Datum
dbperf_vacuum_blockers(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = dbperf_srf_begin(fcinfo, BLOCKER_COLUMNS);
	TransactionId  next = ReadNextTransactionId();
	TransactionId  oldest;
	ListCell	  *lc;

	foreach (lc, dbperf_maint_blockers(HORIZON_TABLES, &oldest))
		put_blocker(rsinfo, lfirst(lc), next);
	return (Datum) 0;
}

/*
 * dbperf.vacuum_horizon(): one row, how far vacuum can go in this database and
 * who keeps it from going further, null if nobody does.
 */
Datum
dbperf_vacuum_horizon(PG_FUNCTION_ARGS)
{
	TupleDesc	  desc;
	Datum		  values[HORIZON_COLUMNS];
	bool		  nulls[HORIZON_COLUMNS] = {0};
	TransactionId horizon = dbperf_maint_horizon(HORIZON_TABLES);

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	dbperf_check_columns(desc, HORIZON_COLUMNS);

	values[0] = TransactionIdGetDatum(horizon);
	values[1] = Int64GetDatum((int64) (int32) (ReadNextTransactionId() - horizon));
	put_text(values, nulls, 2, dbperf_maint_horizon_holder(HORIZON_TABLES));
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}
