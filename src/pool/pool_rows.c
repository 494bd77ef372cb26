/*-------------------------------------------------------------------------
 *
 * pool_rows.c
 *		Rows of the pool's SQL functions, filled from left to right.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "pool/pool_rows.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

/*
 * Puts a value into the next column.
 */
void
dbperf_pool_put(PoolRow *row, Datum value)
{
	Assert(row->column < POOL_ROW_COLUMNS);
	row->values[row->column] = value;
	row->nulls[row->column++] = false;
}

/* Nothing. */
void
dbperf_pool_put_null(PoolRow *row)
{
	Assert(row->column < POOL_ROW_COLUMNS);
	row->values[row->column] = (Datum) 0;
	row->nulls[row->column++] = true;
}

/* Microseconds, shown as milliseconds. */
void
dbperf_pool_put_ms(PoolRow *row, int64 us)
{
	dbperf_pool_put(row, Float8GetDatum((double) us / 1000.0));
}

/* part / whole, null if whole is 0. */
void
dbperf_pool_put_ratio(PoolRow *row, double part, double whole)
{
	if (whole == 0)
		dbperf_pool_put_null(row);
	else
		dbperf_pool_put(row, Float8GetDatum(part / whole));
}

/* A time, null if it is 0. */
void
dbperf_pool_put_time(PoolRow *row, TimestampTz time)
{
	if (time == 0)
		dbperf_pool_put_null(row);
	else
		dbperf_pool_put(row, TimestampTzGetDatum(time));
}

/*
 * What a client may have sent in any encoding, null if it is NULL or "".  Names
 * of databases and roles have none of their own either.
 */
void
dbperf_pool_put_text(PoolRow *row, const char *value)
{
	if (value == NULL || value[0] == '\0')
		dbperf_pool_put_null(row);
	else
		dbperf_pool_put(row, PointerGetDatum(dbperf_server_text(value, (int) strlen(value),
																GetDatabaseEncoding())));
}

/* The same for a name. */
void
dbperf_pool_put_name(PoolRow *row, const char *name)
{
	Name  value;
	char *valid;

	if (name == NULL || name[0] == '\0')
	{
		dbperf_pool_put_null(row);
		return;
	}
	valid = text_to_cstring(dbperf_server_text(name, (int) strlen(name), GetDatabaseEncoding()));
	value = palloc0(sizeof(NameData));
	namestrcpy(value, valid);
	dbperf_pool_put(row, NameGetDatum(value));
}

/*
 * Adds a row that is complete to the result.
 */
void
dbperf_pool_store(ReturnSetInfo *rsinfo, PoolRow *row)
{
	Assert(row->column == rsinfo->setDesc->natts);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row->values, row->nulls);
}
