/*-------------------------------------------------------------------------
 *
 * candidate_cover.c
 *		INCLUDE columns, for scans that never visit the table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "advisor/usages.h"
#include "catalog/pg_attribute.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* Bounds of what an index carries along. */
#define MAX_INCLUDE_COLUMNS 8
#define MAX_COLUMN_WIDTH 200

/* An index that has nearly all of the table's data saves little. */
#define MAX_SHARE_OF_ROW 0.6

/* Average width of one column. */
static int
column_width(const CandidateTable *table, const IndexColumn *column)
{
	if (column->attno > 0 && column->attno <= table->natts)
		return table->columns[column->attno - 1].width;
	return get_typavgwidth(column->type, column->typmod);
}

/*
 * Fills the type of a column; false if it is gone: merging holds no lock on the
 * table.
 */
static bool
column_type(Oid relid, IndexColumn *column)
{
	HeapTuple		  tuple;
	Form_pg_attribute attribute;

	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid), Int16GetDatum(column->attno));
	if (!HeapTupleIsValid(tuple))
		return false;
	attribute = (Form_pg_attribute) GETSTRUCT(tuple);
	column->type = attribute->atttypid;
	column->typmod = attribute->atttypmod;
	ReleaseSysCache(tuple);
	return true;
}

/* Whether INCLUDE columns make an index a second copy of the table. */
bool
dbperf_candidate_too_wide(const CandidateTable *table, const IndexDef *def)
{
	int width = 0;

	if (def->ncolumns == def->nkeys)
		return false;
	for (int i = 0; i < def->ncolumns; i++)
		width += column_width(table, &def->columns[i]);
	return width > (table->row_width - (int) sizeof(HeapTupleHeaderData)) * MAX_SHARE_OF_ROW;
}

/*
 * Adds those of the columns (attribute numbers) that the definition has not to
 * it as INCLUDE columns.  Returns false, and the definition is of no use then,
 * if nothing is missing or if it were too much.
 */
bool
dbperf_candidate_cover(const CandidateTable *table, IndexDef *def, const Bitmapset *columns)
{
	int attno = -1;
	int added = 0;

	while ((attno = bms_next_member(columns, attno)) >= 0)
	{
		IndexColumn column;

		memset(&column, 0, sizeof(column));
		column.attno = attno;
		if (attno > table->natts || dbperf_column_in_key(&column, def) >= 0)
			continue;
		if (added == MAX_INCLUDE_COLUMNS || def->ncolumns == INDEX_MAX_KEYS ||
			table->columns[attno - 1].width > MAX_COLUMN_WIDTH)
			return false;
		if (!column_type(table->relid, &column))
			return false;
		def->columns[def->ncolumns++] = column;
		added++;
	}
	return added > 0 && !dbperf_candidate_too_wide(table, def);
}
