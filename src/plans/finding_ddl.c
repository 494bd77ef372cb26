/*-------------------------------------------------------------------------
 *
 * finding_ddl.c
 *		Statements and settings that findings give, to be run as they are.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/partition.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_opclass.h"
#include "mb/pg_wchar.h"
#include "plans/findings_int.h"
#include "plans/stats_advice.h"
#include "statistics/statistics.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* More than this is no advice for one statement. */
#define MAX_WORK_MEM_KB (2 * 1024 * 1024)

/*
 * The beginning of a statement that makes an index on a table: on the whole
 * partitioned table, where CONCURRENTLY is not possible, if it is a partition.
 * NULL if it cannot have indexes, as those of the system cannot.
 */
static char *
index_begin(const FindingTable *table, bool concurrently)
{
	const FindingTable *target = table;

	if (get_rel_relispartition(table->relid))
	{
		List *ancestors = get_partition_ancestors(table->relid);

		if (ancestors != NIL)
			target = dbperf_finding_table_by_oid(llast_oid(ancestors));
		if (target == NULL)
			return NULL;
	}
	if (target->relid < FirstNormalObjectId)
		return NULL;
	switch (target->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_MATVIEW:
			return psprintf("CREATE INDEX %sON %s", concurrently ? "CONCURRENTLY " : "",
							target->name);
		case RELKIND_PARTITIONED_TABLE:
			return psprintf("CREATE INDEX ON %s", target->name);
		default:
			return NULL;
	}
}

/* An index on these columns, or NULL. */
char *
dbperf_ddl_index(const FindingTable *table, List *columns)
{
	char		  *begin = index_begin(table, true);
	StringInfoData out;
	ListCell	  *lc;

	if (begin == NULL || columns == NIL)
		return NULL;
	initStringInfo(&out);
	appendStringInfo(&out, "%s (", begin);
	foreach (lc, columns)
		appendStringInfo(&out, "%s%s", foreach_current_index(lc) > 0 ? ", " : "",
						 (char *) lfirst(lc));
	appendStringInfoChar(&out, ')');
	return out.data;
}

/*
 * One index for each of these columns: more than one statement, so that
 * CONCURRENTLY could not be used where they are sent together.
 */
char *
dbperf_ddl_indexes(const FindingTable *table, List *columns)
{
	char		  *begin = index_begin(table, false);
	StringInfoData out;
	ListCell	  *lc;

	if (begin == NULL || columns == NIL)
		return NULL;
	initStringInfo(&out);
	foreach (lc, columns)
		appendStringInfo(&out, "%s%s (%s)", foreach_current_index(lc) > 0 ? ";\n" : "", begin,
						 (char *) lfirst(lc));
	return out.data;
}

/* The operator class for trigrams, qualified; NULL if its extension is missing. */
static char *
trigram_class(void)
{
	CatCList *classes = SearchSysCacheList2(CLAAMNAMENSP, ObjectIdGetDatum(GIN_AM_OID),
											CStringGetDatum("gin_trgm_ops"));
	char	 *schema = NULL;

	if (classes->n_members > 0)
		schema = get_namespace_name(
			((Form_pg_opclass) GETSTRUCT(&classes->members[0]->tuple))->opcnamespace);
	ReleaseSysCacheList(classes);
	return schema != NULL ? psprintf("%s.gin_trgm_ops", quote_identifier(schema)) : NULL;
}

/* An index that finds parts of words in a column; makes the extension that it needs. */
char *
dbperf_ddl_trigram(const FindingTable *table, const char *column)
{
	char *opclass = trigram_class();
	char *begin = index_begin(table, opclass != NULL);

	if (begin == NULL)
		return NULL;
	return psprintf("%s%s USING gin (%s %s)", opclass != NULL ? "" : "CREATE EXTENSION pg_trgm;\n",
					begin, quote_identifier(column), opclass != NULL ? opclass : "gin_trgm_ops");
}

/* A name for extended statistics of a table that is free in its schema. */
static char *
statistics_name(const FindingTable *table, List *columns)
{
	char	 *name = get_rel_name(table->relid);
	Oid		  schema = get_rel_namespace(table->relid);
	ListCell *lc;

	foreach (lc, columns)
		name = psprintf("%s_%s", name, (char *) lfirst(lc));
	for (int i = 0;; i++)
	{
		const char *suffix = i == 0 ? "_stat" : psprintf("_stat%d", i);
		char	   *try;
		int len = pg_mbcliplen(name, (int) strlen(name), NAMEDATALEN - 1 - (int) strlen(suffix));

		try = psprintf("%.*s%s", len, name, suffix);
		if (!SearchSysCacheExists2(STATEXTNAMENSP, CStringGetDatum(try), ObjectIdGetDatum(schema)))
			return quote_qualified_identifier(get_namespace_name(schema), try);
	}
}

/* Are there extended statistics on these columns, whatever their kind? */
static bool
statistics_exist(const FindingTable *table, List *columns)
{
	StatsTable	of = {.relid = table->relid,
					  .partitioned = table->relkind == RELKIND_PARTITIONED_TABLE};
	StatsAdvice wanted = {.table = &of};
	ListCell   *lc;
	bool		built;

	foreach (lc, columns)
		wanted.columns[wanted.ncolumns++] = dbperf_finding_column(table, lfirst(lc));
	return dbperf_stats_existing(&wanted, &built);
}

/*
 * Extended statistics on columns of a table, and ANALYZE to fill them; NULL for
 * what can have none, or has them: the plan may be older than they are.
 */
char *
dbperf_ddl_statistics(const FindingTable *table, List *columns)
{
	StringInfoData out;
	ListCell	  *lc;

	if (table->relid < FirstNormalObjectId ||
		(table->relkind != RELKIND_RELATION && table->relkind != RELKIND_MATVIEW &&
		 table->relkind != RELKIND_PARTITIONED_TABLE) ||
		list_length(columns) < 2 ||
		list_length(columns) > Min(STATS_COLUMNS, STATS_MAX_DIMENSIONS) ||
		statistics_exist(table, columns))
		return NULL;
	initStringInfo(&out);
	appendStringInfo(&out, "CREATE STATISTICS %s ON ", statistics_name(table, columns));
	foreach (lc, columns)
		appendStringInfo(&out, "%s%s", foreach_current_index(lc) > 0 ? ", " : "",
						 quote_identifier(lfirst(lc)));
	appendStringInfo(&out, " FROM %s;\nANALYZE %s", table->name, table->name);
	return out.data;
}

/*
 * A higher statistics target for a column, and ANALYZE to use it; NULL if it has
 * that already, or belongs to the system.
 */
char *
dbperf_ddl_target(const FindingTable *table, const char *column)
{
	HeapTuple tuple;
	int		  target;

	if (table->relid < FirstNormalObjectId)
		return NULL;
	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(table->relid),
							Int16GetDatum(dbperf_finding_column(table, column)));
	if (!HeapTupleIsValid(tuple))
		return NULL;
	target = dbperf_stats_target(tuple);
	ReleaseSysCache(tuple);
	if (target >= STATS_LARGE_TARGET)
		return NULL;
	return psprintf("ALTER TABLE %s ALTER COLUMN %s SET STATISTICS %d;\nANALYZE %s", table->name,
					quote_identifier(column), STATS_LARGE_TARGET, table->name);
}

/*
 * The setting that gives each node kb of memory: rounded up to a power of two,
 * since nobody sets anything else.  NULL if it would be no more than there is,
 * or too much.
 */
char *
dbperf_work_mem(const FindingContext *context, double kb)
{
	double mb = 4;

	while (mb * 1024 < kb || mb * 1024 <= context->subject->work_mem_kb)
		mb *= 2;
	if (mb * 1024 > MAX_WORK_MEM_KB)
		return NULL;
	return psprintf("work_mem = '%.0fMB'", mb);
}
