/*-------------------------------------------------------------------------
 *
 * finding_tables.c
 *		What the catalogs say of a plan's tables.
 *
 * A plan names its tables without their schemas, so they are looked up among
 * those that the statement is known to have used.  Nothing here waits for a lock
 * on one of them: that must not keep a view of slow statements waiting.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_statistic.h"
#include "miscadmin.h"
#include "plans/findings_int.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

/* What is known of a table, or NULL if it is gone. */
FindingTable *
dbperf_finding_table_by_oid(Oid relid)
{
	HeapTuple			tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class		form;
	FindingTable	   *table;
	DbperfRelationStats stats;
	char			   *schema;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	form = (Form_pg_class) GETSTRUCT(tuple);
	schema = get_namespace_name(form->relnamespace);
	if (schema == NULL)
	{
		ReleaseSysCache(tuple);
		return NULL;
	}
	table = palloc0(sizeof(FindingTable));
	table->relid = relid;
	table->name = quote_qualified_identifier(schema, NameStr(form->relname));
	table->relkind = form->relkind;
	table->rows = form->reltuples;
	table->pages = form->relpages;
	(void) dbperf_relation_stats(form->relisshared ? InvalidOid : MyDatabaseId, relid, &stats);
	table->changed = (double) stats.changed_since_analyze;
	table->live = (double) stats.live;
	ReleaseSysCache(tuple);
	return table;
}

/*
 * The table that a node works on; NULL if it works on none, or if that is not
 * known: it may be gone, or have had a namesake in the same statement.
 */
FindingTable *
dbperf_finding_table(const FindingContext *context, const PlanNode *node)
{
	Oid		  found = InvalidOid;
	ListCell *lc;

	if (node->relation == NULL)
		return NULL;
	foreach (lc, context->subject->relations)
	{
		Oid	  relid = lfirst_oid(lc);
		char *name = get_rel_name(relid);

		if (name == NULL || strcmp(name, node->relation) != 0)
			continue;
		if (node->schema != NULL)
		{
			char *schema = get_namespace_name(get_rel_namespace(relid));

			if (schema == NULL || strcmp(schema, node->schema) != 0)
				continue;
		}
		if (OidIsValid(found))
			return NULL;
		found = relid;
	}
	return OidIsValid(found) ? dbperf_finding_table_by_oid(found) : NULL;
}

/* How many blocks a table has now; -1 if that cannot be found out at once. */
double
dbperf_table_blocks(const FindingTable *table)
{
	Relation rel;
	double	 blocks = -1;

	if (!RELKIND_HAS_STORAGE(table->relkind) ||
		!ConditionalLockRelationOid(table->relid, AccessShareLock))
		return -1;
	rel = try_relation_open(table->relid, NoLock);
	if (rel == NULL)
	{
		UnlockRelationOid(table->relid, AccessShareLock);
		return -1;
	}

	/* another session's temporary table cannot be looked at */
	if (!RELATION_IS_OTHER_TEMP(rel))
		blocks = RelationGetNumberOfBlocks(rel);
	relation_close(rel, AccessShareLock);
	return blocks;
}

/* The number of a table's column, InvalidAttrNumber if it has no such. */
AttrNumber
dbperf_finding_column(const FindingTable *table, const char *column)
{
	AttrNumber attnum = get_attnum(table->relid, column);

	return attnum > 0 ? attnum : InvalidAttrNumber;
}

/* Has ANALYZE seen a table's column? */
bool
dbperf_column_has_statistics(const FindingTable *table, const char *column)
{
	AttrNumber attnum = dbperf_finding_column(table, column);

	return SearchSysCacheExists3(STATRELATTINH, ObjectIdGetDatum(table->relid),
								 Int16GetDatum(attnum), BoolGetDatum(false)) ||
		   SearchSysCacheExists3(STATRELATTINH, ObjectIdGetDatum(table->relid),
								 Int16GetDatum(attnum), BoolGetDatum(true));
}

/*
 * Goes through the indexes of a table.  Returns the first that visit wants, or
 * InvalidOid.
 */
static Oid
find_index(Oid relid, bool (*visit)(Form_pg_index index, const void *arg), const void *arg)
{
	Relation	catalog = table_open(IndexRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			found = InvalidOid;

	ScanKeyInit(&key, Anum_pg_index_indrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(catalog, IndexIndrelidIndexId, true, NULL, 1, &key);
	while (!OidIsValid(found) && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_index index = (Form_pg_index) GETSTRUCT(tuple);

		if (visit(index, arg))
			found = index->indexrelid;
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

static bool
leads_with(Form_pg_index index, const void *arg)
{
	return index->indisvalid && index->indnkeyatts > 0 &&
		   index->indkey.values[0] == *(const AttrNumber *) arg;
}

/* Does an index begin with this column of a table? */
bool
dbperf_column_is_indexed(const FindingTable *table, const char *column)
{
	AttrNumber attnum = dbperf_finding_column(table, column);

	return attnum != InvalidAttrNumber && OidIsValid(find_index(table->relid, leads_with, &attnum));
}

static bool
is_called(Form_pg_index index, const void *arg)
{
	char *name = get_rel_name(index->indexrelid);

	return name != NULL && strcmp(name, arg) == 0;
}

/* The access method of a table's index, InvalidOid if there is no such index. */
Oid
dbperf_index_method(const FindingTable *table, const char *index)
{
	Oid		  indexid = find_index(table->relid, is_called, index);
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(indexid));
	Oid		  method;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	method = ((Form_pg_class) GETSTRUCT(tuple))->relam;
	ReleaseSysCache(tuple);
	return method;
}

/*
 * The n-th key of a table's index, from 1, as it can stand in CREATE INDEX; NULL
 * if there is none.
 */
char *
dbperf_index_key(const FindingTable *table, const char *index, int n)
{
	Oid	  indexid = find_index(table->relid, is_called, index);
	Datum key;
	char *result;
	LOCAL_FCINFO(fcinfo, 3);

	if (!OidIsValid(indexid))
		return NULL;

	/* null if the index has just been dropped, which a plain call would not take */
	InitFunctionCallInfoData(*fcinfo, NULL, 3, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = ObjectIdGetDatum(indexid);
	fcinfo->args[1].value = Int32GetDatum(n);
	fcinfo->args[2].value = BoolGetDatum(false);
	fcinfo->args[0].isnull = fcinfo->args[1].isnull = fcinfo->args[2].isnull = false;
	key = pg_get_indexdef_ext(fcinfo);
	if (fcinfo->isnull)
		return NULL;
	result = text_to_cstring(DatumGetTextPP(key));
	return result[0] != '\0' ? result : NULL;
}
