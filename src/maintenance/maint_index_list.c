/*-------------------------------------------------------------------------
 *
 * maint_index_list.c
 *		The indexes of a database, with what the catalogs and maintenance's own
 *		tables know of them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/core.h"
#include "executor/spi.h"
#include "maintenance/maint_index.h"
#include "maintenance/maint_spi.h"

#define INDEX_COLUMNS                                                                              \
	"SELECT c.oid, i.indrelid, c.relam, c.reltablespace, n.nspname::text, c.relname::text, "       \
	"i.indisvalid, NOT i.indisexclusion, c.relpages::float8, c.reltuples::float8, "                \
	"t.relpages::float8"

#define INDEX_FROM                                                                                 \
	" FROM pg_catalog.pg_class AS c"                                                               \
	" JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid"                                       \
	" JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid"                                         \
	" JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"

/* GIN and BRIN have something to look for however small the catalog says they are */
#define INDEX_WHERE                                                                                \
	" WHERE c.relkind = 'i' AND t.relkind IN ('r', 'm', 't') AND t.relpersistence <> 't'"          \
	" AND t.oid >= 16384 AND ($1 = 0 OR i.indrelid = $1)"                                          \
	" AND ($1 <> 0 OR c.relpages >= $2 OR c.relam IN (2742, 3580) OR NOT i.indisvalid)"            \
	" ORDER BY c.relpages DESC, c.oid"

static const char with_tables[] = INDEX_COLUMNS
	", l.ours, d.best_bytes_per_row, d.sampled_bloat, d.rebuilt" INDEX_FROM
	" LEFT JOIN dbperf.maintenance_index_density AS d"
	" ON d.index_oid = c.oid AND d.relfilenode = c.relfilenode"
	" CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM dbperf.maintenance_leftovers AS m"
	" WHERE c.oid IN (m.index_oid, m.old_index_oid)) AS ours) AS l" INDEX_WHERE;

static const char without_tables[] =
	INDEX_COLUMNS ", false, NULL::float8, NULL::float8, NULL::timestamptz" INDEX_FROM INDEX_WHERE;

/* Columns of both queries. */
enum
{
	COLUMN_INDEX = 1,
	COLUMN_TABLE,
	COLUMN_METHOD,
	COLUMN_TABLESPACE,
	COLUMN_SCHEMA,
	COLUMN_NAME,
	COLUMN_VALID,
	COLUMN_CAN_REINDEX,
	COLUMN_PAGES,
	COLUMN_ROWS,
	COLUMN_TABLE_PAGES,
	COLUMN_OURS,
	COLUMN_BEST,
	COLUMN_BLOAT,
	COLUMN_REBUILT
};

/* A value of the row that is read, 0 for null. */
static Datum
value(HeapTuple row, int column)
{
	bool  isnull;
	Datum datum = SPI_getbinval(row, SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? (Datum) 0 : datum;
}

/* The same of a double. */
static double
number(HeapTuple row, int column)
{
	bool  isnull;
	Datum datum = SPI_getbinval(row, SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? 0 : DatumGetFloat8(datum);
}

/* One row of the queries, in the current memory context. */
static MaintIndex *
index_from_row(HeapTuple row)
{
	MaintIndex *one = palloc0(sizeof(MaintIndex));

	one->index = DatumGetObjectId(value(row, COLUMN_INDEX));
	one->table = DatumGetObjectId(value(row, COLUMN_TABLE));
	one->method = DatumGetObjectId(value(row, COLUMN_METHOD));
	one->tablespace = DatumGetObjectId(value(row, COLUMN_TABLESPACE));
	one->schema = SPI_getvalue(row, SPI_tuptable->tupdesc, COLUMN_SCHEMA);
	one->name = SPI_getvalue(row, SPI_tuptable->tupdesc, COLUMN_NAME);
	one->valid = DatumGetBool(value(row, COLUMN_VALID));
	one->can_reindex = DatumGetBool(value(row, COLUMN_CAN_REINDEX));
	one->is_ours = DatumGetBool(value(row, COLUMN_OURS));
	one->pages = number(row, COLUMN_PAGES);
	one->rows = number(row, COLUMN_ROWS);
	one->table_pages = number(row, COLUMN_TABLE_PAGES);
	one->best = number(row, COLUMN_BEST);
	one->bloat = number(row, COLUMN_BLOAT);
	one->rebuilt = DatumGetTimestampTz(value(row, COLUMN_REBUILT));
	return one;
}

/*
 * The indexes in which there may be something to do, the biggest first: a list
 * of MaintIndex.  Of one table, all of them; of InvalidOid, in the whole
 * database, those that are big enough.
 */
List *
dbperf_maint_list_indexes(Oid only_table)
{
	Oid			  types[] = {OIDOID, INT4OID};
	Datum		  args[] = {ObjectIdGetDatum(only_table), Int32GetDatum(MAINT_REINDEX_PAGES)};
	MemoryContext context = CurrentMemoryContext;
	Oid			  table = dbperf_own_table(MAINT_DENSITY_TABLE);
	bool		  tables = OidIsValid(table) && dbperf_maint_can_reindex();
	List		 *indexes = NIL;
	MaintSpi	  session;

	dbperf_maint_spi_open(tables ? table : InvalidOid, &session);
	if (SPI_execute_with_args(tables ? with_tables : without_tables, lengthof(types), types, args,
							  NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not list indexes");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		indexes = lappend(indexes, index_from_row(SPI_tuptable->vals[i]));
		MemoryContextSwitchTo(old);
	}
	dbperf_maint_spi_close(&session);
	return indexes;
}
