/*-------------------------------------------------------------------------
 *
 * estimates_columns.c
 *		Relations and their columns as the catalogs and statistics describe them.
 *
 * Only catalogs are read: no relation is opened or locked, so nobody waits for an
 * estimate and it waits for nobody.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "metrics/estimates.h"
#include "metrics/server_spi.h"
#include "miscadmin.h"

#define ROWS_AT_ONCE 1000

/* The columns of the statements, a row for each column of a relation. */
enum
{
	COLUMN_OID = 1,
	COLUMN_INDEX,
	COLUMN_PAGES,
	COLUMN_ROWS,
	COLUMN_TABLE_ROWS,
	COLUMN_FILLFACTOR,
	COLUMN_BTREE,
	COLUMN_DEDUPLICATED,
	COLUMN_MEASURED,
	COLUMN_MEASURED_BY,
	COLUMN_KEY,
	COLUMN_LEN,
	COLUMN_ALIGN,
	COLUMN_PACKED,
	COLUMN_WIDTH,
	COLUMN_NULL_FRAC,
	COLUMN_DISTINCT
};

/* A row of the result. */
typedef struct ResultRow
{
	HeapTuple tuple;
	TupleDesc desc;
} ResultRow;

/* A number of any type; the other if it is null. */
static double
number(ResultRow row, int column, double other)
{
	bool  isnull;
	Datum value = SPI_getbinval(row.tuple, row.desc, column, &isnull);

	return isnull ? other : DatumGetFloat8(value);
}

/* A boolean, false if it is null. */
static bool
boolean(ResultRow row, int column)
{
	bool  isnull;
	Datum value = SPI_getbinval(row.tuple, row.desc, column, &isnull);

	return !isnull && DatumGetBool(value);
}

/* The OID of the row's relation. */
static Oid
relation_of(ResultRow row)
{
	bool isnull;

	return DatumGetObjectId(SPI_getbinval(row.tuple, row.desc, COLUMN_OID, &isnull));
}

/* Takes over what the first row of a relation says of it. */
static void
begin_relation(ResultRow row, EstimateRelation *relation)
{
	char *means = SPI_getvalue(row.tuple, row.desc, COLUMN_MEASURED_BY);

	relation->oid = relation_of(row);
	relation->index = boolean(row, COLUMN_INDEX);
	relation->pages = number(row, COLUMN_PAGES, 0);
	relation->rows = number(row, COLUMN_ROWS, 0);
	relation->table_rows = number(row, COLUMN_TABLE_ROWS, 0);
	relation->fillfactor = (int) number(row, COLUMN_FILLFACTOR, 100);
	relation->btree = boolean(row, COLUMN_BTREE);
	relation->deduplicated = boolean(row, COLUMN_DEDUPLICATED);
	relation->measured = number(row, COLUMN_MEASURED, -1);
	strlcpy(relation->measured_by, means != NULL ? means : "", sizeof(relation->measured_by));
	relation->ncolumns = 0;
}

/* Takes over a column. */
static void
add_column(ResultRow row, EstimateRelation *relation)
{
	EstimateColumn *column;

	if (relation->ncolumns >= lengthof(relation->columns))
		return;
	column = &relation->columns[relation->ncolumns++];
	column->key = boolean(row, COLUMN_KEY);
	column->len = (int) number(row, COLUMN_LEN, 0);
	column->align = (int) number(row, COLUMN_ALIGN, 1);
	column->packed = boolean(row, COLUMN_PACKED);
	column->width = number(row, COLUMN_WIDTH, -1);
	column->null_frac = number(row, COLUMN_NULL_FRAC, 0);
	column->distinct = number(row, COLUMN_DISTINCT, 0);
	column->known = column->width >= 0;
}

/*
 * Runs a statement that returns the columns above, in the order of relations, and
 * hands out each relation; it is void afterwards.  In a transaction.
 */
void
dbperf_estimate_read(const char *sql, void (*relation)(EstimateRelation *relation, void *arg),
					 void		*arg)
{
	EstimateRelation *one = palloc0(sizeof(EstimateRelation));
	ServerSpi		  session;
	Portal			  portal;

	dbperf_server_spi_open(&session);
	portal = SPI_cursor_open_with_args(NULL, sql, 0, NULL, NULL, NULL, true, 0);
	for (;;)
	{
		SPITupleTable *table;

		SPI_cursor_fetch(portal, true, ROWS_AT_ONCE);
		table = SPI_tuptable;
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			ResultRow row = {table->vals[i], table->tupdesc};

			if (one->oid != relation_of(row))
			{
				if (OidIsValid(one->oid))
					relation(one, arg);
				begin_relation(row, one);
			}
			add_column(row, one);
		}
		if (SPI_processed == 0)
			break;
		SPI_freetuptable(table);
		CHECK_FOR_INTERRUPTS();
	}
	if (OidIsValid(one->oid))
		relation(one, arg);
	SPI_cursor_close(portal);
	dbperf_server_spi_close(&session);
	pfree(one);
}

/*
 * The mean size of the columns' values in a tuple, with the gaps between them;
 * varies says whether tuples are of different sizes, behind which a gap of any
 * size can follow.
 */
double
dbperf_estimate_data_size(const EstimateColumn *columns, int n, bool *varies)
{
	double size = 0;

	*varies = false;
	for (int i = 0; i < n; i++)
	{
		const EstimateColumn *column = &columns[i];
		double				  there = 1 - column->null_frac;
		bool aligned = column->align > 1 && !(column->packed && column->width <= 127);

		if (there <= 0)
			continue;
		if (aligned && *varies)
			size += there * (column->align - 1) / 2.0;
		else if (aligned)
			size += there * (TYPEALIGN(column->align, (int64) size) - size);
		size += there * column->width;
		*varies |= column->len < 0 || there < 1;
	}
	return size;
}
