/*-------------------------------------------------------------------------
 *
 * maint_missing.c
 *		Columns, expressions of indexes and statistics objects that have no
 *		statistics.
 *
 * Autovacuum counts changed rows only, so what is made after a load is without
 * statistics until the table has changed by a tenth.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_statistic_ext_data.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "maintenance/maint_facts.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* So many are named in a reason. */
#define MAX_NAMES 5

/*
 * A statistics target, -1 = the default.  It is an integer of four bytes or
 * two, and may be null, depending on the release.
 */
static int
target_of(HeapTuple tuple, AttrNumber attribute, TupleDesc desc)
{
	bool  isnull;
	Datum value = heap_getattr(tuple, attribute, desc, &isnull);

	if (isnull)
		return -1;
	return TupleDescAttr(desc, attribute - 1)->attlen == sizeof(int16) ? DatumGetInt16(value)
																	   : DatumGetInt32(value);
}

/* Whether a table needs the statistics of itself with all that inherits from it. */
static bool
needs_inherited(const MaintRelation *relation)
{
	return relation->kind == RELKIND_PARTITIONED_TABLE;
}

/* Whether a relation has columns that ANALYZE looks at. */
static bool
has_columns(const MaintRelation *relation)
{
	return relation != NULL && relation->kind != RELKIND_TOASTVALUE &&
		   (relation->kind != RELKIND_INDEX || relation->exprs != NULL);
}

/* ---- columns ---- */

/* Read pg_statistic: which columns have statistics. */
static void
read_statistics(MaintFacts *facts, Oid key)
{
	Relation	catalog = table_open(StatisticRelationId, AccessShareLock);
	ScanKeyData scan_key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&scan_key, Anum_pg_statistic_starelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(key));
	scan = systable_beginscan(catalog, StatisticRelidAttnumInhIndexId, OidIsValid(key), NULL,
							  OidIsValid(key) ? 1 : 0, &scan_key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_statistic form = (Form_pg_statistic) GETSTRUCT(tuple);
		MaintRelation	 *relation = dbperf_maint_relation(facts, form->starelid);

		CHECK_FOR_INTERRUPTS();
		if (has_columns(relation) && form->stainherit == needs_inherited(relation))
			relation->have = bms_add_member(relation->have, form->staattnum);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

/* Note a column that should have statistics. */
static void
add_column(MaintRelation *relation, AttrNumber column, int target)
{
	relation->columns++;
	relation->target = Max(relation->target, target);
	if (!bms_is_member(column, relation->have))
		relation->missing = bms_add_member(relation->missing, column);
}

/*
 * Find out which columns of a relation (InvalidOid: of all) lack statistics.
 */
void
dbperf_maint_read_columns(MaintFacts *facts, Oid key)
{
	Relation	catalog;
	ScanKeyData scan_key;
	SysScanDesc scan;
	HeapTuple	tuple;

	read_statistics(facts, key);

	catalog = table_open(AttributeRelationId, AccessShareLock);
	ScanKeyInit(&scan_key, Anum_pg_attribute_attrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(key));
	scan = systable_beginscan(catalog, AttributeRelidNumIndexId, OidIsValid(key), NULL,
							  OidIsValid(key) ? 1 : 0, &scan_key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_attribute form = (Form_pg_attribute) GETSTRUCT(tuple);
		MaintRelation	 *relation;
		int				  target;

		CHECK_FOR_INTERRUPTS();
		if (form->attnum <= 0 || form->attisdropped || DBPERF_IS_VIRTUAL(form))
			continue;
		relation = dbperf_maint_relation(facts, form->attrelid);
		if (!has_columns(relation) ||
			(relation->kind == RELKIND_INDEX && !bms_is_member(form->attnum, relation->exprs)))
			continue;
		target = target_of(tuple, Anum_pg_attribute_attstattarget, RelationGetDescr(catalog));
		if (target != 0)
			add_column(relation, form->attnum, target);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

/* ---- statistics objects ---- */

/* Whether a statistics object has data of the kind that is needed. */
static bool
object_has_data(Relation data, Oid object, bool inherited)
{
	ScanKeyData keys[2];
	SysScanDesc scan;
	bool		found;

	ScanKeyInit(&keys[0], Anum_pg_statistic_ext_data_stxoid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(object));
	ScanKeyInit(&keys[1], Anum_pg_statistic_ext_data_stxdinherit, BTEqualStrategyNumber, F_BOOLEQ,
				BoolGetDatum(inherited));
	scan = systable_beginscan(data, StatisticExtDataStxoidInhIndexId, true, NULL, 2, keys);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	return found;
}

/*
 * Find out which statistics objects of a table (InvalidOid: of all) have no
 * data.
 */
void
dbperf_maint_read_objects(MaintFacts *facts, Oid key)
{
	Relation	catalog = table_open(StatisticExtRelationId, AccessShareLock);
	Relation	data = table_open(StatisticExtDataRelationId, AccessShareLock);
	ScanKeyData scan_key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&scan_key, Anum_pg_statistic_ext_stxrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(key));
	scan = systable_beginscan(catalog, StatisticExtRelidIndexId, OidIsValid(key), NULL,
							  OidIsValid(key) ? 1 : 0, &scan_key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_statistic_ext form = (Form_pg_statistic_ext) GETSTRUCT(tuple);
		MaintRelation		 *table = dbperf_maint_relation(facts, form->stxrelid);

		CHECK_FOR_INTERRUPTS();
		if (table == NULL ||
			target_of(tuple, Anum_pg_statistic_ext_stxstattarget, RelationGetDescr(catalog)) == 0 ||
			object_has_data(data, form->oid, needs_inherited(table)))
			continue;
		table->missing_objects = lappend_oid(table->missing_objects, form->oid);
	}
	systable_endscan(scan);
	table_close(data, AccessShareLock);
	table_close(catalog, AccessShareLock);
}

/* ---- what is missing ---- */

/* A sum over the columns of a relation, so that their order does not matter. */
static uint32
hash_columns(const MaintRelation *relation)
{
	uint32 sum = 0;
	int	   column = -1;

	while ((column = bms_next_member(relation->missing, column)) >= 0)
		sum += hash_combine(murmurhash32(relation->oid), murmurhash32(column));
	return sum;
}

/*
 * A number for what has no statistics, 0 if nothing is missing.
 */
uint32
dbperf_maint_missing_hash(const MaintRelation *table)
{
	uint32	  sum = hash_columns(table);
	bool	  any = table->missing != NULL || table->missing_objects != NIL;
	ListCell *lc;

	for (const MaintRelation *index = table->children; index != NULL; index = index->sibling)
	{
		any = any || index->missing != NULL;
		sum += hash_columns(index);
	}
	foreach (lc, table->missing_objects)
		sum += murmurhash32(lfirst_oid(lc));
	return any && sum == 0 ? 1 : sum;
}

/* Names the statistics objects that have no data. */
static List *
name_objects(const MaintRelation *table, List *names)
{
	ListCell *lc;

	foreach (lc, table->missing_objects)
	{
		HeapTuple			  tuple = SearchSysCache1(STATEXTOID, ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_statistic_ext form;
		char				 *schema;

		if (!HeapTupleIsValid(tuple))
			continue; /* dropped just now */
		form = (Form_pg_statistic_ext) GETSTRUCT(tuple);
		schema = get_namespace_name(form->stxnamespace);
		names = lappend(names, psprintf("statistics object %s",
										quote_qualified_identifier(schema != NULL ? schema : "",
																   NameStr(form->stxname))));
		ReleaseSysCache(tuple);
	}
	return names;
}

/* Names the columns, and the indexes with expressions, that have no statistics. */
static List *
name_columns(const MaintRelation *table, List *names)
{
	int column = -1;

	while ((column = bms_next_member(table->missing, column)) >= 0)
	{
		char *name = get_attname(table->oid, column, true);

		if (name != NULL)
			names = lappend(names, psprintf("column %s", quote_identifier(name)));
	}
	for (const MaintRelation *index = table->children; index != NULL; index = index->sibling)
	{
		if (index->missing != NULL)
			names = lappend(names,
							psprintf("index expression of %s", dbperf_maint_qualified_name(index)));
	}
	return names;
}

/*
 * A sentence that names what has no statistics.
 */
char *
dbperf_maint_missing_text(const MaintRelation *table)
{
	StringInfoData out;
	List		  *names;
	int			   count;
	int			   shown;
	char		  *result;

	if (table->columns > 0 && bms_num_members(table->missing) == table->columns)
		return pstrdup(table->kind == RELKIND_PARTITIONED_TABLE
						   ? "the partitioned table has no statistics of its own"
						   : "the table has no statistics");

	names = name_objects(table, name_columns(table, NIL));
	count = list_length(names);
	shown = count > MAX_NAMES ? MAX_NAMES - 1 : count;
	initStringInfo(&out);
	for (int i = 0; i < shown; i++)
	{
		if (i > 0)
			appendStringInfoString(&out, i == count - 1 ? " and " : ", ");
		appendStringInfoString(&out, list_nth(names, i));
	}
	if (count > shown)
		appendStringInfo(&out, " and %d more", count - shown);
	appendStringInfoString(&out, count == 1 ? " has no statistics" : " have no statistics");
	result = pstrdup(out.data);
	pfree(out.data);
	return result;
}
