/*-------------------------------------------------------------------------
 *
 * index_findings.c
 *		dbperf.index_findings(): what is wrong or costly about indexes,
 *		whatever the workload is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "advisor/drops.h"
#include "catalog/indexing.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_statistic.h"
#include "commands/defrem.h"
#include "core/core.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#define FINDING_COLUMNS 5

/* Smaller tables are read as fast without an index. */
#define SMALL_TABLE_BYTES (16 * BLCKSZ)

/* Bigger ones should be analyzed even if nobody has read them yet. */
#define BIG_TABLE_BYTES (1000 * BLCKSZ)

PG_FUNCTION_INFO_V1(dbperf_index_findings);

/* What the findings go to, and what they share. */
typedef struct Findings
{
	ReturnSetInfo *rsinfo;
	MemoryContext  context; /* of names */
	List		  *names;	/* of indexes in the statements so far */
} Findings;

/*
 * Adds a row; index and ddl may be NULL.
 */
static void
put_finding(Findings *findings, const char *kind, Oid relid, const char *index, const char *finding,
			const char *ddl)
{
	Datum values[FINDING_COLUMNS] = {0};
	bool  nulls[FINDING_COLUMNS] = {false};

	values[0] = CStringGetTextDatum(kind);
	values[1] = CStringGetTextDatum(dbperf_table_name(relid));
	if (index != NULL)
		values[2] = CStringGetTextDatum(index);
	values[3] = CStringGetTextDatum(finding);
	if (ddl != NULL)
		values[4] = CStringGetTextDatum(ddl);
	nulls[2] = index == NULL;
	nulls[4] = ddl == NULL;
	tuplestore_putvalues(findings->rsinfo->setResult, findings->rsinfo->setDesc, values, nulls);
}

/*
 * A number of bytes as the user reads it.
 */
static char *
pretty_bytes(int64 bytes)
{
	return TextDatumGetCString(DirectFunctionCall1(pg_size_pretty, Int64GetDatum(bytes)));
}

/*
 * Indexes that are INVALID although nobody is building them.
 */
static void
find_invalid(Findings *findings, Oid relid, List *reals)
{
	ListCell *lc;

	foreach (lc, reals)
	{
		RealIndex *real = lfirst(lc);
		char	  *name = dbperf_table_name(real->oid);

		if (!real->leftover)
			continue;
		if (real->constraint || real->partition || real->replica_identity)
			put_finding(findings, "invalid index", relid, name,
						psprintf("The index (%s) is not valid: no query uses it. Something depends "
								 "on it, so that it cannot simply be dropped.",
								 pretty_bytes(real->bytes)),
						psprintf("REINDEX INDEX CONCURRENTLY %s", name));
		else
			put_finding(
				findings, "invalid index", relid, name,
				psprintf(
					"The index (%s) is left over from a build or drop CONCURRENTLY that failed: no "
					"query uses it, but writes may maintain it.",
					pretty_bytes(real->bytes)),
				psprintf("DROP INDEX CONCURRENTLY %s", name));
	}
}

/*
 * An index on the columns of a foreign key, in their order, or NULL if some
 * type has no order.
 */
static IndexDef *
foreign_key_index(Oid relid, const ForeignKey *key)
{
	IndexDef *def = palloc0(sizeof(IndexDef));

	def->relid = relid;
	def->am = BTREE_AM_OID;
	def->nkeys = def->ncolumns = key->ncolumns;
	for (int i = 0; i < key->ncolumns; i++)
	{
		IndexColumn *column = &def->columns[i];

		column->attno = key->columns[i];
		get_atttypetypmodcoll(relid, column->attno, &column->type, &column->typmod,
							  &column->collation);
		column->opclass = GetDefaultOpClass(column->type, def->am);
		if (!OidIsValid(column->opclass))
			return NULL;
	}
	return def;
}

/*
 * The statements that create it, as one text.
 */
static char *
script_text(Findings *findings, const IndexDef *def)
{
	char		  *name = dbperf_index_def_name_free(def, findings->names);
	MemoryContext  old;
	StringInfoData out;
	ListCell	  *lc;

	old = MemoryContextSwitchTo(findings->context);
	findings->names = lappend(findings->names, pstrdup(name));
	MemoryContextSwitchTo(old);

	initStringInfo(&out);
	foreach (lc, dbperf_index_def_script(def, name))
		appendStringInfo(&out, "%s%s", out.len > 0 ? ";\n" : "", (char *) lfirst(lc));
	return out.data;
}

/*
 * Foreign keys that no index can look up as a whole.  Those of partitions that
 * their parent has, too, are its business.
 */
static void
find_foreign_keys(Findings *findings, Oid relid, List *reals)
{
	ListCell *lc;

	foreach (lc, dbperf_foreign_keys(relid))
	{
		ForeignKey	  *key = lfirst(lc);
		int			   support = 0;
		StringInfoData finding;
		IndexDef	  *def;
		ListCell	  *other;

		foreach (other, reals)
			support = Max(support, dbperf_foreign_key_support(key, lfirst(other)));
		if (key->inherited || support >= key->ncolumns)
			continue;

		initStringInfo(&finding);
		appendStringInfo(&finding, "The foreign key %s has no index on its columns",
						 quote_identifier(key->name));
		if (support > 0)
			appendStringInfo(&finding, " but for the first %d of %d", support, key->ncolumns);
		appendStringInfo(&finding, ": each DELETE and key change in %s reads the whole table (%s).",
						 dbperf_table_name(key->referenced),
						 pretty_bytes(dbperf_relation_bytes(relid)));
		def = foreign_key_index(relid, key);
		put_finding(findings, "foreign key without index", relid, NULL, finding.data,
					def != NULL ? script_text(findings, def) : NULL);
	}
}

/*
 * Whether the planner has statistics of a table: of all partitions together,
 * if it is partitioned.
 */
static bool
has_statistics(Oid relid, bool partitioned)
{
	Relation	pg_statistic = table_open(StatisticRelationId, AccessShareLock);
	bool		found = false;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_statistic_starelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(pg_statistic, StatisticRelidAttnumInhIndexId, true, NULL, 1, &key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
		found = ((Form_pg_statistic) GETSTRUCT(tuple))->stainherit == partitioned;
	systable_endscan(scan);
	table_close(pg_statistic, AccessShareLock);
	return found;
}

/*
 * Whether something has read the table since statistics were reset.
 */
static bool
is_read(Oid relid, List *reals)
{
	List	 *tables = list_make1_oid(relid);
	ListCell *lc;

	if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
		tables = find_all_inheritors(relid, NoLock, NULL);
	foreach (lc, tables)
	{
		PgStat_StatTabEntry *stats = pgstat_fetch_stat_tabentry(lfirst_oid(lc));

		if (stats != NULL && stats->numscans > 0)
			return true;
	}
	foreach (lc, reals)
	{
		if (((RealIndex *) lfirst(lc))->scans > 0)
			return true;
	}
	return false;
}

/*
 * A table that was never analyzed: the planner guesses, and so does all advice.
 */
static void
find_not_analyzed(Findings *findings, Oid relid, List *reals, int64 bytes)
{
	bool		partitioned = get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE;
	const char *finding;

	if (has_statistics(relid, partitioned) || (bytes < BIG_TABLE_BYTES && !is_read(relid, reals)))
		return;
	if (partitioned)
		finding = psprintf("ANALYZE first: the planner knows nothing about this partitioned table "
						   "(%s) as a whole, and autovacuum never analyzes it.",
						   pretty_bytes(bytes));
	else
		finding = psprintf("ANALYZE first: the planner knows nothing about the contents of this "
						   "table (%s), and neither does advice about it.",
						   pretty_bytes(bytes));
	put_finding(findings, "never analyzed", relid, NULL, finding,
				psprintf("ANALYZE %s", dbperf_table_name(relid)));
}

/*
 * What indexes of a materialized view cost each time it is refreshed.
 */
static void
find_refresh_cost(Findings *findings, Oid relid, List *reals)
{
	bool		   unique = false;
	int64		   bytes = 0;
	StringInfoData finding;
	ListCell	  *lc;

	if (reals == NIL)
		return;
	foreach (lc, reals)
	{
		RealIndex *real = lfirst(lc);
		bool	   plain = real->def->predicate == NIL;

		for (int i = 0; i < real->def->nkeys; i++)
			plain &= real->def->columns[i].attno != InvalidAttrNumber;
		unique |= real->unique && real->valid && plain;
		bytes += real->bytes;
	}

	initStringInfo(&finding);
	appendStringInfo(&finding, "Each REFRESH MATERIALIZED VIEW builds its %s (%s) anew",
					 list_length(reals) == 1 ? "index" : psprintf("%d indexes", list_length(reals)),
					 pretty_bytes(bytes));
	appendStringInfoString(&finding,
						   unique ? "; REFRESH ... CONCURRENTLY only changes them where rows "
									"differ."
								  : "; REFRESH ... CONCURRENTLY is not possible without a unique "
									"index on plain columns.");
	put_finding(findings, "materialized view", relid, NULL, finding.data, NULL);
}

/*
 * What is found about the indexes of all tables that the caller owns or may
 * read.
 */
Datum
dbperf_index_findings(PG_FUNCTION_ARGS)
{
	Findings	  findings = {(ReturnSetInfo *) fcinfo->resultinfo, CurrentMemoryContext, NIL};
	MemoryContext context;
	ListCell	 *lc;

	(void) dbperf_srf_begin(fcinfo, FINDING_COLUMNS);
	context = AllocSetContextCreate(CurrentMemoryContext, "dbperf index findings",
									ALLOCSET_DEFAULT_SIZES);
	foreach (lc, dbperf_tables_visible())
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		Oid			  relid = lfirst_oid(lc);
		List		 *reals = dbperf_real_indexes(relid);
		int64		  bytes = dbperf_relation_bytes(relid);

		CHECK_FOR_INTERRUPTS();
		find_invalid(&findings, relid, reals);
		if (bytes >= SMALL_TABLE_BYTES)
		{
			find_foreign_keys(&findings, relid, reals);
			find_not_analyzed(&findings, relid, reals, bytes);
		}
		if (get_rel_relkind(relid) == RELKIND_MATVIEW)
			find_refresh_cost(&findings, relid, reals);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	}
	MemoryContextDelete(context);
	return (Datum) 0;
}
