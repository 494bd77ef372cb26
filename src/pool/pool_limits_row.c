/*-------------------------------------------------------------------------
 *
 * pool_limits_row.c
 *		What a row of pool_databases or pool_roles says, and whether it can be
 *		used.
 *
 * The same function refuses a bad row when it is written and leaves it out when
 * it is read: one that was written without the trigger must not get into
 * PgBouncer's configuration.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "pool/pool_config.h"
#include "postmaster/postmaster.h"
#include "utils/builtins.h"

/* What PgBouncer takes as the name of an entry; it knows no quotes. */
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

#define MOST_CLIENTS 1000000 /* as of dbperf.pool_max_clients */

/* Notes what is wrong; returns false. */
static bool
refuse(DbperfRowProblem *problem, int sqlstate, const char *hint, char *message)
{
	problem->sqlstate = sqlstate;
	problem->message = message;
	problem->hint = hint;
	return false;
}

/* The value of a column; an error if there is none of that name and type. */
static Datum
column(HeapTuple row, TupleDesc desc, const char *name, Oid type, bool *isnull)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (!attribute->attisdropped && attribute->atttypid == type &&
			strcmp(NameStr(attribute->attname), name) == 0)
			return heap_getattr(row, i + 1, desc, isnull);
	}
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
					errmsg("column \"%s\" of a table of dbperf does not exist", name),
					errhint("Run ALTER EXTENSION dbperf UPDATE.")));
}

/* The same as a string, NULL for null. */
static char *
text_column(HeapTuple row, TupleDesc desc, const char *name)
{
	bool  isnull;
	Datum value = column(row, desc, name, TEXTOID, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/* Takes over a number, -1 for null. */
static bool
parse_number(HeapTuple row, TupleDesc desc, const char *name, int least, int most, int *number,
			 DbperfRowProblem *problem)
{
	bool  isnull;
	Datum value = column(row, desc, name, INT4OID, &isnull);

	*number = isnull ? -1 : DatumGetInt32(value);
	if (isnull || (*number >= least && *number <= most))
		return true;
	return refuse(problem, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, NULL,
				  psprintf("%s must be between %d and %d, or null", name, least, most));
}

/* Takes over the mode. */
static bool
parse_mode(HeapTuple row, TupleDesc desc, PoolLimit *limit, DbperfRowProblem *problem)
{
	char *mode = text_column(row, desc, "pool_mode");

	if (mode == NULL)
		limit->mode = POOL_MODE_DEFAULT;
	else if (strcmp(mode, "session") == 0)
		limit->mode = POOL_MODE_SESSION;
	else if (strcmp(mode, "transaction") == 0)
		limit->mode = POOL_MODE_TRANSACTION;
	else if (strcmp(mode, "statement") == 0)
		limit->mode = POOL_MODE_STATEMENT;
	else
		return refuse(problem, ERRCODE_INVALID_PARAMETER_VALUE,
					  "Modes are session, transaction and statement.",
					  psprintf("\"%s\" is not a mode of the pool", mode));
	return true;
}

/* Takes over the name. */
static bool
parse_name(const char *name, bool of_role, PoolLimit *limit, DbperfRowProblem *problem)
{
	const char *what = of_role ? "role" : "database";

	if (name == NULL || name[0] == '\0' || strlen(name) >= NAMEDATALEN)
		return refuse(problem, ERRCODE_INVALID_NAME, NULL,
					  psprintf("the name of a %s must have 1 to %d bytes", what, NAMEDATALEN - 1));
	if (name[strspn(name, NAME_CHARACTERS)] != '\0')
		return refuse(problem, ERRCODE_INVALID_NAME,
					  "PgBouncer takes letters without accents, digits, and the characters _ . - "
					  "in the name of an entry.",
					  psprintf("%s \"%s\" cannot have limits of its own", what, name));
	if (!of_role && strcmp(name, "pgbouncer") == 0)
		return refuse(problem, ERRCODE_RESERVED_NAME,
					  "In a pool this name is that of PgBouncer's console.",
					  pstrdup("database \"pgbouncer\" cannot be reached through a pool"));
	strlcpy(limit->name, name, NAMEDATALEN);
	return true;
}

/*
 * Takes a row apart.  Returns false, with the problem, if it cannot be used.
 */
bool
dbperf_pool_parse_limit(HeapTuple row, TupleDesc desc, bool of_role, PoolLimit *limit,
						DbperfRowProblem *problem)
{
	char *name = text_column(row, desc, of_role ? "role_name" : "database_name");

	memset(limit, 0, sizeof(*limit));
	limit->min_size = limit->reserve = -1;
	if (!parse_name(name, of_role, limit, problem) || !parse_mode(row, desc, limit, problem) ||
		!parse_number(row, desc, "pool_size", 1, MAX_BACKENDS, &limit->size, problem) ||
		!parse_number(row, desc, "max_server_connections", 1, MAX_BACKENDS, &limit->max_servers,
					  problem) ||
		!parse_number(row, desc, "max_clients", 1, MOST_CLIENTS, &limit->max_clients, problem))
		return false;
	if (of_role)
		return true;
	return parse_number(row, desc, "min_size", 0, MAX_BACKENDS, &limit->min_size, problem) &&
		   parse_number(row, desc, "reserve", 0, MAX_BACKENDS, &limit->reserve, problem);
}

/*
 * The limits of a name among n, NULL if it has none.
 */
const PoolLimit *
dbperf_pool_limit_of(const PoolLimit *limits, int n, const char *name)
{
	for (int i = 0; i < n; i++)
	{
		if (strcmp(limits[i].name, name) == 0)
			return &limits[i];
	}
	return NULL;
}
