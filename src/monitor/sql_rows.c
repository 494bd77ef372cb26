/*-------------------------------------------------------------------------
 *
 * sql_rows.c
 *		Builds the rows that the monitor's SQL functions return.
 *
 * These functions have many columns.  Filling them one after the other, with
 * one call for each kind of column, keeps the order of the code that of the
 * view, and states in one place how a value that was not measured, a role
 * that was dropped or a text that is not the caller's to see is shown.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "core/core.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "monitor/monitor_sql.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

/* What stands in place of another role's text, as in pg_stat_activity. */
#define HIDDEN_QUERY "<insufficient privilege>"

/*
 * Starts the result of a set-returning function that fills this number of
 * columns.  From here on values are made in rows->context, until
 * dbperf_rows_end.  Raises an error if the function was declared with another
 * number of columns: then the installed extension is not of this library's
 * version.
 */
void
dbperf_rows_begin(SqlRows *rows, FunctionCallInfo fcinfo, int columns)
{
	ReturnSetInfo *rsinfo;

	Assert(columns <= SQL_MAX_COLUMNS);

	dbperf_require_shmem();
	rsinfo = dbperf_srf_begin(fcinfo, columns);
	rows->store = rsinfo->setResult;
	rows->desc = rsinfo->setDesc;
	rows->column = 0;
	rows->database = InvalidOid;
	rows->context =
		AllocSetContextCreate(CurrentMemoryContext, "dbperf row", ALLOCSET_DEFAULT_SIZES);
	rows->caller = MemoryContextSwitchTo(rows->context);
}

/*
 * Adds the row that has been filled to the result, and starts the next one.
 */
void
dbperf_rows_put(SqlRows *rows)
{
	Assert(rows->column == rows->desc->natts);

	tuplestore_putvalues(rows->store, rows->desc, rows->values, rows->nulls);
	rows->column = 0;
	MemoryContextReset(rows->context);
}

/*
 * Ends the result: goes back to the caller's memory context.
 */
void
dbperf_rows_end(SqlRows *rows)
{
	MemoryContextSwitchTo(rows->caller);
	MemoryContextDelete(rows->context);
}

/* Fills a bigint column with a count; null if it was not measured. */
void
dbperf_rows_count(SqlRows *rows, int64 count)
{
	if (count < 0)
		dbperf_rows_null(rows);
	else
		dbperf_rows_value(rows, Int64GetDatum(count));
}

/* Fills a column of milliseconds; null if the time was not measured. */
void
dbperf_rows_ms(SqlRows *rows, int64 ns)
{
	if (ns < 0)
		dbperf_rows_null(rows);
	else
		dbperf_rows_value(rows, Float8GetDatum((double) ns / 1000000.0));
}

/* Fills a bigint column with a query or plan id; 0 stands for none. */
void
dbperf_rows_query_id(SqlRows *rows, uint64 id)
{
	if (id == 0)
		dbperf_rows_null(rows);
	else
		dbperf_rows_value(rows, Int64GetDatum((int64) id));
}

/* Fills a text column with a string of the server's own. */
void
dbperf_rows_string(SqlRows *rows, const char *s)
{
	dbperf_rows_value(rows, CStringGetTextDatum(s));
}

/* Fills a text column with what others see instead of a query. */
void
dbperf_rows_hidden_query(SqlRows *rows)
{
	dbperf_rows_string(rows, HIDDEN_QUERY);
}

/* A value of type name, in the current memory context. */
static Datum
make_name(const char *s)
{
	Name name = palloc0(sizeof(NameData));

	namestrcpy(name, s);
	return NameGetDatum(name);
}

/*
 * Fills a column of type name with that of a database; null if it is gone.
 * The last answer is kept, since there is no cache of pg_database by oid and
 * neighbouring rows are mostly of the same database.
 */
void
dbperf_rows_database(SqlRows *rows, Oid database)
{
	if (database != rows->database)
	{
		char *name = get_database_name(database);

		rows->database = database;
		rows->database_exists = (name != NULL);
		namestrcpy(&rows->database_name, name != NULL ? name : "");
	}

	if (rows->database_exists)
		dbperf_rows_value(rows, make_name(NameStr(rows->database_name)));
	else
		dbperf_rows_null(rows);
}

/* Fills a column of type name with that of a role; null if it is gone. */
void
dbperf_rows_user(SqlRows *rows, Oid userid)
{
	char *name = OidIsValid(userid) ? GetUserNameFromId(userid, true) : NULL;

	if (name != NULL)
		dbperf_rows_value(rows, make_name(name));
	else
		dbperf_rows_null(rows);
}

/*
 * The name of a wait event, "type:event", in the current memory context.
 * Never fails: a record can be of a time when the server had other events.
 */
char *
dbperf_wait_name(uint32 event)
{
	const char *type = pgstat_get_wait_event_type(event);
	const char *name = NULL;

	if (dbperf_wait_event_known(event))
		name = pgstat_get_wait_event(event);
	return psprintf("%s:%s", type != NULL ? type : "???", name != NULL ? name : "unknown");
}

/*
 * Fills one column with the values of a statement's parameters, as text[], or
 * before it another with their types, as oid[].  params has len bytes and is
 * built as monitor_int.h says; nparams is -1 if none were recorded, which is
 * shown as null.  Parameters that do not lie within len are left out.
 */
void
dbperf_rows_parameters(SqlRows *rows, bool types, const char *params, int len, int nparams,
					   int encoding)
{
	const char *p = params;
	const char *end = params + len;
	Datum	   *oids;
	Datum	   *values;
	bool	   *nulls;
	int			n;
	int			lower = 1;

	if (nparams < 0)
	{
		if (types)
			dbperf_rows_null(rows);
		dbperf_rows_null(rows);
		return;
	}

	/* Each takes a type and a length at least, whatever nparams says. */
	nparams = Min(nparams, len / (int) (sizeof(Oid) + sizeof(int32)));
	oids = palloc(sizeof(Datum) * (nparams + 1));
	values = palloc(sizeof(Datum) * (nparams + 1));
	nulls = palloc(sizeof(bool) * (nparams + 1));

	for (n = 0; n < nparams; n++)
	{
		Oid	  type;
		int32 value_len;

		if (end - p < (ptrdiff_t) (sizeof(type) + sizeof(value_len)))
			break;
		memcpy(&type, p, sizeof(type));
		memcpy(&value_len, p + sizeof(type), sizeof(value_len));
		p += sizeof(type) + sizeof(value_len);
		if (value_len > end - p)
			break;

		CHECK_FOR_INTERRUPTS();
		oids[n] = ObjectIdGetDatum(type);
		nulls[n] = (value_len < 0);
		values[n] = (Datum) 0;
		if (!nulls[n])
		{
			values[n] = PointerGetDatum(dbperf_server_text(p, value_len, encoding));
			p += value_len;
		}
	}

	if (types)
		dbperf_rows_value(rows, PointerGetDatum(construct_array(oids, n, OIDOID, sizeof(Oid), true,
																TYPALIGN_INT)));
	dbperf_rows_value(rows, PointerGetDatum(construct_md_array(values, nulls, 1, &n, &lower,
															   TEXTOID, -1, false, TYPALIGN_INT)));
}
