/*-------------------------------------------------------------------------
 *
 * node_row.c
 *		What a row of nodes says, and whether it can be used.
 *
 * The same function refuses a bad row when it is written and leaves it out when
 * it is read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "cluster/cluster_int.h"
#include "utils/builtins.h"

/* The value of a text column, NULL for null; an error if there is none. */
static char *
text_column(HeapTuple row, TupleDesc desc, const char *name)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (!attribute->attisdropped && attribute->atttypid == TEXTOID &&
			strcmp(NameStr(attribute->attname), name) == 0)
		{
			bool  isnull;
			Datum value = heap_getattr(row, i + 1, desc, &isnull);

			return isnull ? NULL : TextDatumGetCString(value);
		}
	}
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
					errmsg("column \"%s\" of a table of dbperf does not exist", name),
					errhint("Run ALTER EXTENSION dbperf UPDATE.")));
}

/* Notes what is wrong; returns false. */
static bool
refuse(DbperfRowProblem *problem, int sqlstate, char *message)
{
	problem->sqlstate = sqlstate;
	problem->message = message;
	problem->hint = NULL;
	return false;
}

static bool
check_name(const char *what, const char *name, DbperfRowProblem *problem)
{
	if (name != NULL && name[0] != '\0' && strlen(name) < NAMEDATALEN)
		return true;
	return refuse(problem, ERRCODE_INVALID_NAME,
				  psprintf("the name of a %s must have 1 to %d bytes", what, NAMEDATALEN - 1));
}

/*
 * Takes a row apart.  Returns false, with the problem, if it cannot be used.
 */
bool
dbperf_node_row(HeapTuple row, TupleDesc desc, NodeRow *node, DbperfRowProblem *problem)
{
	node->name = text_column(row, desc, "name");
	node->server = text_column(row, desc, "server_name");
	node->role = text_column(row, desc, "role_name");
	if (!check_name("node", node->name, problem) || !check_name("server", node->server, problem) ||
		!check_name("role", node->role, problem))
		return false;
	if (strcmp(node->name, LOCAL_NODE) == 0)
		return refuse(problem, ERRCODE_RESERVED_NAME,
					  pstrdup("node name \"" LOCAL_NODE "\" is reserved for this server"));
	return true;
}
