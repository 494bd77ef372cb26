/*-------------------------------------------------------------------------
 *
 * candidate_table.c
 *		What candidates depend on of a table: its size, its indexes and the
 *		statistics of its columns.
 *
 * Called inside of a visit, which holds the lock that analysis took.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "advisor/usages.h"
#include "catalog/catalog.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "storage/bufmgr.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* What the planner assumes of columns without statistics. */
#define DEFAULT_DISTINCT 200.0

/*
 * Pages and rows of one relation: as ANALYZE found them, and what is on disk
 * for one that was never vacuumed or analyzed, where tuples becomes -1.
 */
static void
relation_size(Oid relid, int64 *pages, double *tuples)
{
	HeapTuple	  tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;
	Relation	  rel;

	*pages = 0;
	*tuples = 0;
	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_class) GETSTRUCT(tuple);
	*pages = form->relpages;
	*tuples = form->reltuples;
	if (!RELKIND_HAS_STORAGE(form->relkind))
		*pages = *tuples = 0;
	else if (form->relpages <= 0 || form->reltuples < 0)
	{
		ReleaseSysCache(tuple);
		rel = try_relation_open(relid, AccessShareLock);
		if (rel != NULL)
		{
			*pages = RelationGetNumberOfBlocks(rel);
			relation_close(rel, AccessShareLock);
		}
		*tuples = *pages > 0 ? -1 : 0;
		return;
	}
	ReleaseSysCache(tuple);
}

/* Sums up a partitioned table. */
static void
table_size(CandidateTable *table)
{
	List	 *relids;
	int64	  largest = 0;
	ListCell *lc;

	if (table->partitioned)
		relids = find_all_inheritors(table->relid, NoLock, NULL);
	else
		relids = list_make1_oid(table->relid);
	foreach (lc, relids)
	{
		int64  pages;
		double tuples;

		CHECK_FOR_INTERRUPTS();
		relation_size(lfirst_oid(lc), &pages, &tuples);
		table->pages += pages;
		if (table->partitioned && pages > largest)
		{
			largest = pages;
			table->largest = lfirst_oid(lc);
		}
		if (tuples < 0)
			table->tuples = -1;
		else if (table->tuples >= 0)
			table->tuples += tuples;
	}
}

/*
 * The row of pg_statistic for a column.  Autovacuum never analyzes partitioned
 * tables: then the largest partition stands for all.
 */
static HeapTuple
stats_tuple(const CandidateTable *table, AttrNumber attno)
{
	HeapTuple tuple;
	char	 *name;

	tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(table->relid), Int16GetDatum(attno),
							BoolGetDatum(table->partitioned));
	if (HeapTupleIsValid(tuple) || !OidIsValid(table->largest))
		return tuple;
	name = get_attname(table->relid, attno, true);
	if (name == NULL)
		return NULL;
	attno = get_attnum(table->largest, name);
	return SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(table->largest), Int16GetDatum(attno),
						   BoolGetDatum(false));
}

/* Rows of a table of which perhaps only the pages are known. */
static double
table_rows(const CandidateTable *table)
{
	if (table->tuples > 0)
		return table->tuples;
	return Max(1.0, (double) table->pages * BLCKSZ / Max(table->row_width, 16));
}

/* A column that alone has a unique index has as many values as rows. */
static bool
column_is_unique(const CandidateTable *table, AttrNumber attno)
{
	ListCell *lc;

	foreach (lc, table->reals)
	{
		RealIndex *real = lfirst(lc);

		if (real->unique && real->valid && real->def->nkeys == 1 && real->def->predicate == NIL &&
			real->def->columns[0].attno == attno)
			return true;
	}
	return false;
}

static void
column_stats(CandidateTable *table, Form_pg_attribute attribute, ColumnStats *stats)
{
	HeapTuple		  tuple = stats_tuple(table, attribute->attnum);
	Form_pg_statistic form;
	AttStatsSlot	  slot;

	stats->distinct = -1;
	stats->not_null = attribute->attnotnull;
	stats->width = get_typavgwidth(attribute->atttypid, attribute->atttypmod);
	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_statistic) GETSTRUCT(tuple);
	stats->known = true;
	stats->nulls = form->stanullfrac;
	stats->width = form->stawidth;
	if (form->stadistinct > 0)
		stats->distinct = form->stadistinct;
	else if (form->stadistinct < 0)
		stats->distinct = Max(1.0, -form->stadistinct * Max(table->tuples, 1.0));
	if (get_attstatsslot(&slot, tuple, STATISTIC_KIND_CORRELATION, InvalidOid,
						 ATTSTATSSLOT_NUMBERS))
	{
		if (slot.nnumbers == 1)
			stats->correlation = slot.numbers[0];
		free_attstatsslot(&slot);
	}
	ReleaseSysCache(tuple);
}

/* Fills the statistics of all columns and the width of a row. */
static void
table_columns(CandidateTable *table)
{
	table->columns = palloc0(sizeof(ColumnStats) * Max(table->natts, 1));
	for (AttrNumber attno = 1; attno <= table->natts; attno++)
	{
		HeapTuple		  tuple;
		Form_pg_attribute attribute;

		tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(table->relid), Int16GetDatum(attno));
		if (!HeapTupleIsValid(tuple))
			continue;
		attribute = (Form_pg_attribute) GETSTRUCT(tuple);
		if (!attribute->attisdropped)
		{
			column_stats(table, attribute, &table->columns[attno - 1]);
			table->row_width += table->columns[attno - 1].width;
		}
		ReleaseSysCache(tuple);
	}
	table->row_width += sizeof(HeapTupleHeaderData);

	/* what is not known needs the width of a row, and so comes last */
	for (AttrNumber attno = 1; attno <= table->natts; attno++)
	{
		ColumnStats *stats = &table->columns[attno - 1];

		if (column_is_unique(table, attno))
			stats->distinct = table_rows(table);
		else if (stats->distinct <= 0)
			stats->distinct = Min(DEFAULT_DISTINCT, table_rows(table));
	}
}

/* Why a relation gets no candidates, whatever its size; NULL if it may. */
static const char *
relation_problem(Form_pg_class form)
{
	if (IsCatalogRelationOid(form->oid) || IsCatalogNamespace(form->relnamespace) ||
		IsToastNamespace(form->relnamespace))
		return "It is a system table.";
	if (form->relpersistence == RELPERSISTENCE_TEMP)
		return "It is a temporary table.";
	switch (form->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_MATVIEW:
		case RELKIND_PARTITIONED_TABLE:
			return form->relam == HEAP_TABLE_AM_OID || !OidIsValid(form->relam)
					   ? NULL
					   : "Its table access method is not heap.";
		case RELKIND_FOREIGN_TABLE:
			return "It is a foreign table.";
		default:
			return "It is no table.";
	}
}

/* Fills a table, in the set's memory context. */
static void
table_fill(CandidateSet *set, CandidateTable *table)
{
	HeapTuple	  tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table->relid));
	Form_pg_class form;

	if (!HeapTupleIsValid(tuple))
	{
		table->problem = "It is gone.";
		return;
	}
	form = (Form_pg_class) GETSTRUCT(tuple);
	table->problem = relation_problem(form);
	table->partitioned = form->relkind == RELKIND_PARTITIONED_TABLE;
	table->natts = form->relnatts;
	if (form->relkind == RELKIND_MATVIEW)
		table->note = "Each REFRESH of the materialized view builds it anew.";
	ReleaseSysCache(tuple);
	if (table->problem != NULL)
	{
		table->remarked = true; /* nobody expects advice for it */
		return;
	}

	table_size(table);
	if (table->pages < set->small_table_pages)
	{
		table->problem =
			psprintf("The table is tiny (" INT64_FORMAT " pages): an index would not be faster.",
					 table->pages);
		return;
	}
	table->reals = dbperf_real_indexes(table->relid);
	table_columns(table);
	if (table->tuples < 0)
		dbperf_candidate_remark(set, table->relid, -1,
								"The table was never analyzed: run ANALYZE first.");
}

/*
 * The set's entry for a table, made at the first call.
 */
CandidateTable *
dbperf_candidate_table(CandidateSet *set, Oid relid)
{
	CandidateTable *table;
	MemoryContext	old;
	ListCell	   *lc;

	foreach (lc, set->tables)
	{
		table = lfirst(lc);
		if (table->relid == relid)
			return table;
	}
	old = MemoryContextSwitchTo(set->context);
	table = palloc0(sizeof(CandidateTable));
	table->relid = relid;
	table_fill(set, table);
	set->tables = lappend(set->tables, table);
	MemoryContextSwitchTo(old);
	return table;
}

/* Statistics of a column; of expressions only that nothing is known. */
const ColumnStats *
dbperf_candidate_column(CandidateTable *table, const IndexColumn *column)
{
	static const ColumnStats unknown = {.distinct = DEFAULT_DISTINCT, .width = 32};

	if (column->attno < 1 || column->attno > table->natts || table->columns == NULL)
		return &unknown;
	return &table->columns[column->attno - 1];
}

static bool
is_integer(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

/* Whether same_value() can tell. */
static bool
types_match(Oid a, Oid b)
{
	a = getBaseType(a);
	b = getBaseType(b);
	return a == b || (is_integer(a) && is_integer(b)) || IsBinaryCoercible(a, b) ||
		   IsBinaryCoercible(b, a);
}

static int64
integer_value(Datum value, Oid type)
{
	switch (getBaseType(type))
	{
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		default:
			return DatumGetInt64(value);
	}
}

/* Whether two values are the same byte by byte, or as integers. */
static bool
same_value(Datum a, Oid atype, Datum b, Oid btype)
{
	int16 len;
	bool  byval;

	if (is_integer(getBaseType(atype)) && is_integer(getBaseType(btype)))
		return integer_value(a, atype) == integer_value(b, btype);
	get_typlenbyval(atype, &len, &byval);
	return get_typlen(btype) == len && datum_image_eq(a, b, byval, len);
}

/*
 * The fraction of rows that have the literal in the column, by the statistics;
 * -1 if they do not tell.  No operator runs for that.
 */
double
dbperf_candidate_frequency(CandidateTable *table, AttrNumber attno, Const *value)
{
	HeapTuple	 tuple;
	AttStatsSlot slot;
	double		 result = -1;
	double		 sum = 0;
	ColumnStats *stats;

	if (attno < 1 || attno > table->natts || value->constisnull)
		return -1;
	stats = &table->columns[attno - 1];
	tuple = stats_tuple(table, attno);
	if (!HeapTupleIsValid(tuple))
		return -1;
	if (get_attstatsslot(&slot, tuple, STATISTIC_KIND_MCV, InvalidOid,
						 ATTSTATSSLOT_VALUES | ATTSTATSSLOT_NUMBERS))
	{
		bool match = types_match(slot.valuetype, value->consttype);

		for (int i = 0; match && i < slot.nvalues && i < slot.nnumbers; i++)
		{
			if (same_value(slot.values[i], slot.valuetype, value->constvalue, value->consttype))
				result = slot.numbers[i];
			sum += slot.numbers[i];
		}
		if (match && result < 0)
			result = Max(0, 1 - sum - stats->nulls) / Max(1, stats->distinct - slot.nvalues);
		free_attstatsslot(&slot);
	}
	ReleaseSysCache(tuple);
	return result;
}

/* Adds a remark unless the table has the same one already. */
void
dbperf_candidate_remark(CandidateSet *set, Oid relid, int subject, const char *text)
{
	MemoryContext	 old = MemoryContextSwitchTo(set->context);
	CandidateRemark *remark;
	ListCell		*lc;

	foreach (lc, set->remarks)
	{
		remark = lfirst(lc);
		if (remark->relid == relid && strcmp(remark->text, text) == 0)
		{
			MemoryContextSwitchTo(old);
			return;
		}
	}
	remark = palloc(sizeof(CandidateRemark));
	remark->relid = relid;
	remark->subject = subject;
	remark->text = pstrdup(text);
	set->remarks = lappend(set->remarks, remark);
	MemoryContextSwitchTo(old);
}
