/*-------------------------------------------------------------------------
 *
 * estimates_table.c
 *		How many pages the rows of tables need.
 *
 * That is the size of a row by the statistics of its columns, header and gaps
 * included, and how many of them fit into a page.  Pages and rows are those of
 * pg_class, which VACUUM and ANALYZE write together.  TOAST tables have no
 * statistics, and what is in them is no part of this.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "metrics/estimates.h"
#include "storage/bufpage.h"

/* What a page has for rows and their line pointers. */
#define PAGE_ROOM (BLCKSZ - SizeOfPageHeaderData)

/* Who takes the estimates. */
typedef struct TableVisit
{
	BloatVisit visit;
	void	  *arg;
} TableVisit;

/*
 * Dropped and virtual columns are null in the rows that were written since.  2 is
 * the heap.
 */
static const char table_columns[] =
	"SELECT c.oid, false, c.relpages::float8, c.reltuples::float8, NULL::float8,"
	" CASE WHEN c.reloptions IS NOT NULL THEN"
	"  (SELECT o.option_value::float8 FROM pg_options_to_table(c.reloptions) AS o"
	"    WHERE o.option_name = 'fillfactor') END,"
	" false, false, NULL::float8, NULL::text, false, a.attlen::float8,"
	" CASE a.attalign WHEN 'd' THEN 8 WHEN 'i' THEN 4 WHEN 's' THEN 2 ELSE 1 END::float8,"
	" a.attlen = -1 AND a.attstorage <> 'p',"
	" CASE WHEN a.attisdropped OR a.attgenerated = 'v' THEN 0"
	"      WHEN a.attlen > 0 THEN a.attlen"
	"      WHEN s.stanullfrac = 1 THEN 0 ELSE s.stawidth END::float8,"
	" CASE WHEN a.attisdropped OR a.attgenerated = 'v' THEN 1"
	"      ELSE COALESCE(s.stanullfrac, 0) END::float8,"
	" s.stadistinct::float8"
	" FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0"
	" LEFT JOIN pg_statistic AS s"
	"      ON s.starelid = c.oid AND s.staattnum = a.attnum AND NOT s.stainherit"
	" WHERE c.relkind IN ('r', 'm') AND c.relam = 2 AND c.relpersistence <> 't'"
	" AND c.relpages > 0 ORDER BY c.oid, a.attnum";

/* The mean size of a row; the gap behind it is that of any size if they vary. */
static double
row_size(const EstimateRelation *table)
{
	double no_null = 1;
	double header;
	bool   varies;
	double data = dbperf_estimate_data_size(table->columns, table->ncolumns, &varies);

	for (int i = 0; i < table->ncolumns; i++)
		no_null *= 1 - table->columns[i].null_frac;
	header = no_null * MAXALIGN(SizeofHeapTupleHeader) +
			 (1 - no_null) * MAXALIGN(SizeofHeapTupleHeader + BITMAPLEN(table->ncolumns));
	if (varies)
		return header + data + (MAXIMUM_ALIGNOF - 1) / 2.0;
	return header + MAXALIGN((int64) data);
}

/* Whether the rows of a table are all of one size. */
static bool
is_uniform(const EstimateRelation *table)
{
	for (int i = 0; i < table->ncolumns; i++)
	{
		if (table->columns[i].null_frac < 1 &&
			(table->columns[i].len < 0 || table->columns[i].null_frac > 0))
			return false;
	}
	return true;
}

/* The pages of the table's rows, if it was written anew. */
static double
pages_needed(const EstimateRelation *table)
{
	double item = row_size(table) + sizeof(ItemIdData);
	double room = PAGE_ROOM - BLCKSZ * (100 - table->fillfactor) / 100.0;
	double per_page;

	/* a page ends where the next row finds no room: half a row before its end */
	per_page = is_uniform(table) ? floor(room / item) : (room - item / 2) / item;
	return ceil(table->rows / Max(per_page, 1));
}

/* Hands out the estimate of one table. */
static void
estimate_table(EstimateRelation *table, void *arg)
{
	TableVisit	 *to = arg;
	BloatEstimate estimate = {.relation = table->oid, .pages = table->pages};
	bool		  known = table->rows >= 0;

	for (int i = 0; i < table->ncolumns; i++)
		known &= table->columns[i].known;
	if (known)
	{
		estimate.needed = pages_needed(table);
		estimate.method = "statistics";
	}
	to->visit(&estimate, to->arg);
}

/*
 * Hands out estimates of all tables of the database that take any pages.  In a
 * transaction.
 */
void
dbperf_estimate_tables(BloatVisit visit, void *arg)
{
	TableVisit to = {visit, arg};

	dbperf_estimate_read(table_columns, estimate_table, &to);
}
