/*-------------------------------------------------------------------------
 *
 * advice_store.c
 *		How the advisor reads and writes its own tables.
 *
 * Nobody but the owner of the tables may write them, so that what is in them
 * was put there by dbperf.  Functions and workers that act as somebody else
 * become the owner for a statement on these tables, and for nothing else: no
 * name in such a statement depends on the search_path, and no value in a row
 * is executed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/store.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#define STORE_SCHEMA "dbperf"
#define STORE_TABLE "index_advice"

/* The table, or InvalidOid if this database does not have it. */
static Oid
store_table(void)
{
	Oid schema = get_namespace_oid(STORE_SCHEMA, true);

	return OidIsValid(schema) ? get_relname_relid(STORE_TABLE, schema) : InvalidOid;
}

/*
 * Whether this database has the tables.
 */
bool
dbperf_store_present(void)
{
	return OidIsValid(store_table());
}

/* The owner of the tables; an error if there are none. */
static Oid
store_owner(void)
{
	Oid		  table = store_table();
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	Oid		  owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("table %s.%s does not exist", STORE_SCHEMA, STORE_TABLE),
						errhint("Create the extension dbperf in this database, or update it.")));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * Become the tables' owner and connect to SPI.  An error puts everything back
 * when its (sub)transaction ends.
 */
void
dbperf_store_open(StoreSession *session)
{
	Oid owner = store_owner();

	GetUserIdAndSecContext(&session->role, &session->context);
	session->guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	SetUserIdAndSecContext(owner, session->context | SECURITY_LOCAL_USERID_CHANGE);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
}

/*
 * Undo dbperf_store_open().  What SPI has allocated is gone afterwards.
 */
void
dbperf_store_close(StoreSession *session)
{
	SPI_finish();
	SetUserIdAndSecContext(session->role, session->context);
	AtEOXact_GUC(true, session->guc_level);
}

/* Add an argument that is not null. */
void
dbperf_store_arg(StoreArgs *args, Oid type, Datum value)
{
	Assert(args->count < STORE_MAX_ARGS);
	args->types[args->count] = type;
	args->values[args->count] = value;
	args->nulls[args->count] = ' ';
	args->count++;
}

/* Add a null. */
void
dbperf_store_null(StoreArgs *args, Oid type)
{
	dbperf_store_arg(args, type, (Datum) 0);
	args->nulls[args->count - 1] = 'n';
}

/* Add a text, null for NULL. */
void
dbperf_store_text(StoreArgs *args, const char *value)
{
	if (value == NULL)
		dbperf_store_null(args, TEXTOID);
	else
		dbperf_store_arg(args, TEXTOID, CStringGetTextDatum(value));
}

/*
 * Run one statement with these arguments (NULL = none) between open and close.
 * Returns the number of rows, which dbperf_store_value() gives.
 */
uint64
dbperf_store_execute(const char *sql, const StoreArgs *args)
{
	int result;

	if (args != NULL)
		result = SPI_execute_with_args(sql, args->count, (Oid *) args->types,
									   (Datum *) args->values, args->nulls, false, 0);
	else
		result = SPI_execute(sql, false, 0);
	if (result < 0)
		elog(ERROR, "could not use the tables of the advisor: %s", SPI_result_code_string(result));
	return SPI_processed;
}

/*
 * A value of the last result; columns count from 1.
 */
Datum
dbperf_store_value(uint64 row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

/*
 * A value of the last result as text in SPI's memory context, or NULL.
 */
char *
dbperf_store_string(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}
