/*-------------------------------------------------------------------------
 *
 * central.c
 *		What the triggers of tables about the whole server have in common.
 *
 * Such a table counts in dbperf.database only, and so can be changed only there:
 * elsewhere its rows would look as if they were in force.  But a dump of that
 * database must be restorable anywhere, under another name, too.  While that
 * happens rows are kept as they are, and nobody reads them; pg_dump's scripts
 * can be told by check_function_bodies, which they turn off.  Rows can be
 * deleted in any database.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/xact.h"
#include "commands/dbcommands.h"
#include "commands/trigger.h"
#include "core/central.h"
#include "core/core.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"

/*
 * Whether this is dbperf.database.  False outside a transaction.
 */
bool
dbperf_is_central(void)
{
	char *name;

	if (!IsTransactionState() || !OidIsValid(MyDatabaseId))
		return false;
	name = get_database_name(MyDatabaseId);
	return name != NULL && strcmp(name, dbperf_database) == 0;
}

/* Refuse a row in a database where it would mean nothing. */
static void
refuse_elsewhere(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("%s can only be changed in database \"%s\"", what, dbperf_database),
			 errdetail("They are in force in all databases of the server; dbperf.database says "
					   "where they are kept."),
			 errhint("Connect to database \"%s\".", dbperf_database)));
}

/*
 * How the triggers begin: returns the row to be checked, NULL if there is
 * nothing to check.  table is the one that the trigger was made for: one of
 * another table would hand over rows of who knows what columns.  what stands in
 * messages, in the plural.  changed() is called if the table counts here.
 */
HeapTuple
dbperf_central_row(FunctionCallInfo fcinfo, const char *table, const char *what,
				   void (*changed)(void))
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	bool		 here;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("the function must be called by an AFTER trigger")));
	if (RelationGetRelid(trigger->tg_relation) != dbperf_own_table(table))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("the function must be called by a trigger of table \"dbperf.%s\"", table)));

	here = dbperf_is_central();
	if (here)
		changed();
	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event) || TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		return NULL;
	if (!here)
	{
		if (check_function_bodies)
			refuse_elsewhere(what);
		return NULL;
	}
	return TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple
													  : trigger->tg_trigtuple;
}

/*
 * Refuses more rows than there is room for in shared memory.
 */
void
dbperf_central_limit(Relation table, const char *what, int limit)
{
	SysScanDesc scan = systable_beginscan(table, InvalidOid, false, SnapshotSelf, 0, NULL);
	int			rows = 0;

	while (rows <= limit && HeapTupleIsValid(systable_getnext(scan)))
		rows++;
	systable_endscan(scan);
	if (rows > limit)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many %s", what),
						errdetail("There can be at most %d.", limit)));
}

/*
 * Raises the error that a problem describes.
 */
void
dbperf_central_refuse(const DbperfRowProblem *problem)
{
	ereport(ERROR, (errcode(problem->sqlstate), errmsg("%s", problem->message),
					problem->hint != NULL ? errhint("%s", problem->hint) : 0));
}
