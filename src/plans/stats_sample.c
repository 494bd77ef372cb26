/*-------------------------------------------------------------------------
 *
 * stats_sample.c
 *		A sample of a table's columns, as numbers of their values.
 *
 * The rows are read with the caller's own rights, and nothing but columns of
 * built-in types is: no function of anybody's runs, neither an operator nor a
 * policy.  Two calls read the same blocks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/vacuum.h"
#include "common/pg_prng.h"
#include "core/core.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "parser/parse_node.h"
#include "plans/stats_advice.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rls.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

/* Of one table: rows that are kept, blocks that are read, bytes of the rows. */
#define SAMPLE_ROWS 30000
#define SAMPLE_PAGES 6000
#define SAMPLE_BYTES (64 * 1024 * 1024)
#define FETCH_ROWS 1000

/* ANALYZE does not compare longer values either. */
#define WIDE_VALUE 1024

/* What becomes of the rows while they are read. */
typedef struct SampleRows
{
	HeapTuple	 *rows; /* copies */
	int			  nrows;
	double		  seen;
	Size		  bytes;
	pg_prng_state random;
} SampleRows;

/* ---- columns ---- */

/*
 * The statistics target that is in force for a column, of which this is the tuple
 * in pg_attribute.  It is an integer of four bytes or two, and may be null,
 * depending on the release.
 */
int
dbperf_stats_target(HeapTuple tuple)
{
	bool  isnull;
	Datum value = SysCacheGetAttr(ATTNUM, tuple, Anum_pg_attribute_attstattarget, &isnull);
	int	  target = -1;

	if (!isnull)
		target = (int16) DatumGetInt32(value);
	return target < 0 ? default_statistics_target : target;
}

/*
 * Whether values of a type can be compared by functions of the server alone.
 */
static bool
type_is_plain(Oid type, const TypeCacheEntry *cache)
{
	char typtype = get_typtype(type);

	if (typtype != TYPTYPE_ENUM &&
		(typtype != TYPTYPE_BASE || type >= FirstNormalObjectId || type_is_array(type)))
		return false;
	return OidIsValid(cache->cmp_proc) && cache->cmp_proc < FirstNormalObjectId;
}

/*
 * Fills in a column; returns why it cannot be looked at, or NULL.
 */
static const char *
describe_column(Relation relation, AttrNumber attno, StatsColumn *column)
{
	HeapTuple tuple =
		SearchSysCache2(ATTNUM, ObjectIdGetDatum(RelationGetRelid(relation)), Int16GetDatum(attno));
	Form_pg_attribute form;
	TypeCacheEntry	 *cache;
	const char		 *refused = NULL;

	if (!HeapTupleIsValid(tuple))
		return "a column is gone";
	form = (Form_pg_attribute) GETSTRUCT(tuple);
	column->attno = attno;
	column->name = pstrdup(NameStr(form->attname));
	column->typmod = -1;
	column->type = getBaseType(form->atttypid);
	column->collation = form->attcollation;
	column->target = dbperf_stats_target(tuple);
	if (form->attisdropped)
		refused = "a column is gone";
	else if (DBPERF_IS_VIRTUAL(form))
		refused = "a column is computed when it is read, and can have no statistics";
	ReleaseSysCache(tuple);
	if (refused != NULL)
		return refused;
	cache = lookup_type_cache(column->type, TYPECACHE_CMP_PROC);
	if (!type_is_plain(column->type, cache))
		return "the type of a column is none of the server's own, and no function of its is to run";
	fmgr_info(cache->cmp_proc, &column->compare);
	return NULL;
}

/*
 * Why the table's columns may not be read, or NULL.
 */
static const char *
check_rights(const StatsTable *table)
{
	if (check_enable_rls(table->relid, InvalidOid, true) == RLS_ENABLED)
		return "row security applies to you there, and a sample would show only your rows";
	if (pg_class_aclcheck(table->relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK)
		return NULL;
	for (int i = 0; i < table->ncolumns; i++)
	{
		if (pg_attribute_aclcheck(table->relid, table->columns[i].attno, GetUserId(), ACL_SELECT) !=
			ACLCHECK_OK)
			return psprintf("you have no SELECT privilege on column \"%s\"",
							table->columns[i].name);
	}
	return NULL;
}

/*
 * Fills in the columns of all evidence; returns why there can be no sample, or
 * NULL.
 */
static const char *
describe_columns(StatsTable *table, Relation relation, List *evidence)
{
	Bitmapset  *columns = NULL;
	const char *refused = NULL;
	ListCell   *lc;
	int			attno = -1;

	foreach (lc, evidence)
	{
		const StatsEvidence *one = lfirst(lc);

		for (int i = 0; i < one->ncolumns; i++)
			columns = bms_add_member(columns, one->columns[i]);
	}
	table->columns = palloc0(sizeof(StatsColumn) * bms_num_members(columns));
	while ((attno = bms_next_member(columns, attno)) >= 0)
	{
		const char *why = describe_column(relation, attno, &table->columns[table->ncolumns]);

		if (why == NULL)
			table->ncolumns++;
		else
			refused = why;
	}
	return table->ncolumns == 0 ? refused : NULL;
}

/*
 * The column of this number in a table's sample, or NULL.
 */
StatsColumn *
dbperf_stats_column(const StatsTable *table, AttrNumber attno)
{
	for (int i = 0; i < table->ncolumns; i++)
	{
		if (table->columns[i].attno == attno)
			return &table->columns[i];
	}
	return NULL;
}

/* ---- rows ---- */

/*
 * The query for the sample: one column for each of the table's that we need.
 */
static char *
sample_query(const StatsTable *table, double percent)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "SELECT ");
	for (int i = 0; i < table->ncolumns; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "", quote_identifier(table->columns[i].name));
	appendStringInfo(&buf, " FROM %s%s", table->partitioned ? "" : "ONLY ",
					 quote_qualified_identifier(table->schema, table->name));
	if (percent < 100)
		appendStringInfo(&buf, " TABLESAMPLE pg_catalog.system (%.9g) REPEATABLE (0)", percent);
	return buf.data;
}

/*
 * Whenever the query is analysed: its name must lead to the table that is locked
 * and was examined, and to nothing that has taken the name since.
 */
static Node *
check_table(ParseState *pstate, ColumnRef *ref)
{
	const StatsTable *table = pstate->p_ref_hook_state;

	if (linitial_node(RangeTblEntry, pstate->p_rtable)->relid != table->relid)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("table \"%s\" was renamed", table->name)));
	return NULL;
}

static void
set_check(ParseState *pstate, void *arg)
{
	pstate->p_pre_columnref_hook = check_table;
	pstate->p_ref_hook_state = arg;
}

/*
 * Keeps a row, or not, so that all that were seen are as likely to be kept.
 */
static void
keep_row(SampleRows *rows, HeapTuple row, MemoryContext context)
{
	MemoryContext old;
	uint64		  place = rows->nrows;

	rows->seen++;
	if (rows->nrows == SAMPLE_ROWS || rows->bytes >= SAMPLE_BYTES)
	{
		place = (uint64) (pg_prng_double(&rows->random) * rows->seen);
		if (place >= rows->nrows)
			return;
		rows->bytes -= rows->rows[place]->t_len;
		heap_freetuple(rows->rows[place]);
	}
	else
		rows->nrows++;
	old = MemoryContextSwitchTo(context);
	rows->rows[place] = heap_copytuple(row);
	rows->bytes += row->t_len;
	MemoryContextSwitchTo(old);
}

/*
 * The numbers of a column's values in these rows.
 */
static int
compare_values(const void *a, const void *b, void *arg)
{
	StatsColumn *column = arg;

	return DatumGetInt32(FunctionCall2Coll(&column->compare, column->collation, *(const Datum *) a,
										   *(const Datum *) b));
}

/*
 * Finds the number of a value, which is there.
 */
static int
number_of(StatsColumn *column, Datum value)
{
	int low = 1;
	int high = column->nvalues;

	while (low < high)
	{
		int middle = (low + high) / 2;

		if (compare_values(&column->values[middle], &value, column) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * Whether a value is too long to be looked at.
 */
static bool
is_wide(Datum value, int16 attlen)
{
	return attlen == -1 && toast_raw_datum_size(value) > WIDE_VALUE;
}

/*
 * Numbers the values of a column of the sample.  Long values count as null.
 */
static void
number_values(StatsTable *table, StatsColumn *column, const SampleRows *rows, int place,
			  TupleDesc desc)
{
	Datum *values = palloc(sizeof(Datum) * Max(rows->nrows, 1));
	Datum *sorted = palloc(sizeof(Datum) * (rows->nrows + 1));
	int16  attlen = TupleDescAttr(desc, place)->attlen;
	int	   count = 0;
	int	   once = 0;

	column->codes = palloc0(sizeof(int) * Max(rows->nrows, 1));
	for (int i = 0; i < rows->nrows; i++)
	{
		bool isnull;

		values[i] = heap_getattr(rows->rows[i], place + 1, desc, &isnull);
		if (isnull || is_wide(values[i], attlen))
			continue;
		sorted[++count] = values[i];
		column->codes[i] = 1;
	}
	qsort_interruptible(&sorted[1], count, sizeof(Datum), compare_values, column);
	column->values = sorted;
	for (int i = 1; i <= count; i++)
	{
		if (column->nvalues == 0 ||
			compare_values(&sorted[column->nvalues], &sorted[i], column) != 0)
			sorted[++column->nvalues] = sorted[i];
	}
	column->counts = palloc0(sizeof(int) * (column->nvalues + 1));
	for (int i = 0; i < rows->nrows; i++)
	{
		if (column->codes[i] != 0)
			column->codes[i] = number_of(column, values[i]);
		column->counts[column->codes[i]]++;
	}
	for (int i = 1; i <= column->nvalues; i++)
		once += column->counts[i] == 1;
	column->distinct = dbperf_stats_duj1(table->rows, count, column->nvalues, once);
	pfree(values);
	CHECK_FOR_INTERRUPTS();
}

/*
 * Reads the rows, and numbers their values.
 */
static void
read_rows(StatsTable *table, double percent)
{
	MemoryContext context = table->context;
	MemoryContext caller = MemoryContextSwitchTo(context);
	SampleRows	  rows = {0};
	TupleDesc	  desc;
	Portal		  portal;
	SPIPlanPtr	  plan;

	rows.rows = palloc(sizeof(HeapTuple) * SAMPLE_ROWS);
	pg_prng_seed(&rows.random, 0);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	plan = SPI_prepare_params(sample_query(table, percent), set_check, table, 0);
	if (plan == NULL)
		elog(ERROR, "could not prepare the query of a sample: %s",
			 SPI_result_code_string(SPI_result));
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	MemoryContextSwitchTo(context);
	desc = CreateTupleDescCopy(portal->tupDesc);
	for (;;)
	{
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		if (SPI_processed == 0)
			break;
		for (uint64 i = 0; i < SPI_processed; i++)
			keep_row(&rows, SPI_tuptable->vals[i], context);
		SPI_freetuptable(SPI_tuptable);
		CHECK_FOR_INTERRUPTS();
	}
	SPI_cursor_close(portal);
	SPI_finish();
	MemoryContextSwitchTo(context);

	table->nrows = rows.nrows;
	table->rows = percent < 100 ? Max(table->rows, rows.seen) : rows.seen;
	if (percent < 100 && table->rows < rows.seen * 100 / percent / 2)
		table->rows = rows.seen * 100 / percent;
	for (int i = 0; i < table->ncolumns; i++)
		number_values(table, &table->columns[i], &rows, i, desc);
	MemoryContextSwitchTo(caller);
}

/* What is read. */
typedef struct RowsReader
{
	StatsTable *table;
	double		percent;
} RowsReader;

static void
try_rows(void *arg)
{
	RowsReader *reader = arg;

	read_rows(reader->table, reader->percent);
}

/*
 * When the table was last analyzed and what has changed since, as far as the
 * server has counted.
 */
static void
read_counts(StatsTable *table)
{
	Oid	  types[] = {OIDOID};
	Datum values[] = {ObjectIdGetDatum(table->relid)};

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute_with_args("SELECT GREATEST(pg_catalog.pg_stat_get_last_analyze_time($1),"
							  " pg_catalog.pg_stat_get_last_autoanalyze_time($1)),"
							  " pg_catalog.pg_stat_get_mod_since_analyze($1)",
							  1, types, values, NULL, true, 1) == SPI_OK_SELECT &&
		SPI_processed == 1)
	{
		bool  isnull;
		Datum value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);

		if (!isnull)
			table->analyzed = DatumGetTimestampTz(value);
		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull);
		if (!isnull)
			table->modified = DatumGetInt64(value);
	}
	SPI_finish();
}

/*
 * Pages of all partitions of a table, as they were counted last; -1 if one of
 * them is on another server.
 */
static double
partition_pages(Oid relid)
{
	double	  pages = 0;
	bool	  foreign = false;
	ListCell *lc;

	foreach (lc, find_all_inheritors(relid, NoLock, NULL))
	{
		HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(lfirst_oid(lc)));

		if (!HeapTupleIsValid(tuple))
			continue;
		pages += Max(((Form_pg_class) GETSTRUCT(tuple))->relpages, 0);
		foreign = foreign || ((Form_pg_class) GETSTRUCT(tuple))->relkind == RELKIND_FOREIGN_TABLE;
		ReleaseSysCache(tuple);
	}
	return foreign ? -1 : pages;
}

/*
 * Locks the partitions of a table, so that reading it does not have to wait.
 * Returns why it would, or NULL.
 */
static const char *
lock_partitions(Oid relid)
{
	ListCell *lc;

	foreach (lc, find_all_inheritors(relid, NoLock, NULL))
	{
		if (!ConditionalLockRelationOid(lfirst_oid(lc), AccessShareLock))
			return "a partition is locked";
	}
	return NULL;
}

/*
 * Describes and reads a table that is locked and open.
 */
static void
sample_relation(StatsTable *table, Relation relation, List *evidence)
{
	RowsReader reader;
	double	   pages;

	table->partitioned = relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	table->refused = describe_columns(table, relation, evidence);
	if (table->refused == NULL)
		table->refused = check_rights(table);
	if (table->refused == NULL && RELATION_IS_OTHER_TEMP(relation))
		table->refused = "it is a temporary table of another session";
	if (table->refused == NULL && relation->rd_rel->relkind != RELKIND_RELATION &&
		relation->rd_rel->relkind != RELKIND_MATVIEW && !table->partitioned)
		table->refused = "it has no rows of its own";
	pages = table->partitioned ? partition_pages(table->relid) : 0;
	if (table->refused == NULL && pages < 0)
		table->refused = "a partition is on another server";
	if (table->refused == NULL && table->partitioned)
		table->refused = lock_partitions(table->relid);
	if (table->refused != NULL)
		return;
	read_counts(table);
	table->objects = dbperf_stats_has_objects(table->relid);
	table->rows = Max(relation->rd_rel->reltuples, 0);
	table->context = AllocSetContextCreate(CurrentMemoryContext, "dbperf sample of a table",
										   ALLOCSET_DEFAULT_SIZES);
	if (!table->partitioned)
		pages = RelationGetNumberOfBlocks(relation);
	reader.table = table;
	reader.percent = pages > SAMPLE_PAGES ? SAMPLE_PAGES / pages * 100 : 100;
	if (!dbperf_try(try_rows, &reader))
		table->refused = "it could not be read";
	else if (table->nrows == 0)
		table->refused = "it is empty";
}

/*
 * A sample of the columns that the evidence is about.  A table that is locked
 * exclusively is not waited for.  NULL if the table is gone.
 */
StatsTable *
dbperf_stats_sample(Oid relid, List *evidence)
{
	StatsTable *table = palloc0(sizeof(StatsTable));
	Relation	relation;

	if (!ConditionalLockRelationOid(relid, AccessShareLock))
	{
		table->schema = get_namespace_name(get_rel_namespace(relid));
		table->name = get_rel_name(relid);
		table->relid = relid;
		table->refused = "it is locked";
		return table->schema != NULL && table->name != NULL ? table : NULL;
	}
	relation = RelationIdGetRelation(relid);
	if (!RelationIsValid(relation))
	{
		UnlockRelationOid(relid, AccessShareLock);
		return NULL;
	}
	table->relid = relid;
	table->schema = get_namespace_name(RelationGetNamespace(relation));
	table->name = pstrdup(RelationGetRelationName(relation));
	sample_relation(table, relation, evidence);
	RelationClose(relation);
	return table;
}
