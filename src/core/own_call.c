/*-------------------------------------------------------------------------
 *
 * own_call.c
 *		Tells the modules that a client's query is but a call of dbperf's functions.
 *
 * Nothing is asked of other statements: the functions themselves say that they were
 * called.  A query that reads tables of the user's or writes stays the user's, and so
 * does one whose function has called ours.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "core/core.h"
#include "core/exec_int.h"
#include "utils/lsyscache.h"

/* Whether a query reads nothing but tables of the server's and of the extension's. */
static bool
reads_no_user_table(const PlannedStmt *planned)
{
	Oid		  schema = get_namespace_oid("dbperf", true);
	ListCell *cell;

	foreach (cell, planned->relationOids)
	{
		Oid relid = lfirst_oid(cell);

		/* what a view reads is in the list, too */
		if (relid >= FirstNormalObjectId && get_rel_namespace(relid) != schema &&
			get_rel_relkind(relid) != RELKIND_VIEW)
			return false;
	}
	return true;
}

/*
 * The first line of a function of dbperf's that may take long.
 */
void
dbperf_own_call(void)
{
	DbperfStatement *stmt = dbperf_exec.running;

	if (stmt == NULL || stmt->level > 0 || stmt->desc == NULL || dbperf_in_function())
		return;
	if (stmt->desc->operation == CMD_SELECT && !stmt->desc->plannedstmt->hasModifyingCTE &&
		reads_no_user_table(stmt->desc->plannedstmt))
		NOTIFY(stmt, own, stmt);
}
