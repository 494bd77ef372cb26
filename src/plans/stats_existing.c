/*-------------------------------------------------------------------------
 *
 * stats_existing.c
 *		Extended statistics that a table has.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_statistic_ext_data.h"
#include "plans/stats_advice.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/*
 * The kinds that an object is for, STATS_KIND_*.
 */
static int
object_kinds(HeapTuple tuple, TupleDesc desc)
{
	bool	   isnull;
	ArrayType *array =
		DatumGetArrayTypeP(heap_getattr(tuple, Anum_pg_statistic_ext_stxkind, desc, &isnull));
	int			count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	const char *kinds = ARR_DATA_PTR(array);
	int			result = 0;

	for (int i = 0; i < count; i++)
	{
		if (kinds[i] == STATS_EXT_DEPENDENCIES)
			result |= STATS_KIND_DEPENDENCIES;
		if (kinds[i] == STATS_EXT_MCV)
			result |= STATS_KIND_MCV;
		if (kinds[i] == STATS_EXT_NDISTINCT)
			result |= STATS_KIND_NDISTINCT;
	}
	return result;
}

/*
 * The kinds that an object has data of.
 */
static int
built_kinds(Oid object, bool inherited)
{
	HeapTuple tuple =
		SearchSysCache2(STATEXTDATASTXOID, ObjectIdGetDatum(object), BoolGetDatum(inherited));
	int result = 0;

	if (!HeapTupleIsValid(tuple))
		return 0;
	if (!heap_attisnull(tuple, Anum_pg_statistic_ext_data_stxddependencies, NULL))
		result |= STATS_KIND_DEPENDENCIES;
	if (!heap_attisnull(tuple, Anum_pg_statistic_ext_data_stxdmcv, NULL))
		result |= STATS_KIND_MCV;
	if (!heap_attisnull(tuple, Anum_pg_statistic_ext_data_stxdndistinct, NULL))
		result |= STATS_KIND_NDISTINCT;
	ReleaseSysCache(tuple);
	return result;
}

static bool
has_columns(const int2vector *keys, const StatsAdvice *advice)
{
	int found = 0;

	for (int i = 0; i < keys->dim1; i++)
	{
		for (int j = 0; j < advice->ncolumns; j++)
			found += keys->values[i] == advice->columns[j];
	}
	return found == advice->ncolumns;
}

/*
 * Whether the table has any extended statistics.
 */
bool
dbperf_stats_has_objects(Oid relid)
{
	Relation relation = RelationIdGetRelation(relid);
	bool	 found;

	if (!RelationIsValid(relation))
		return false;
	found = RelationGetStatExtList(relation) != NIL;
	RelationClose(relation);
	return found;
}

/*
 * Looks for an object of the kinds that are wanted on the advice's columns, and
 * names it.  *built: it has data of all of them.  Returns whether there is one.
 */
bool
dbperf_stats_existing(StatsAdvice *advice, bool *built)
{
	Relation	catalog = table_open(StatisticExtRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	*built = false;
	ScanKeyInit(&key, Anum_pg_statistic_ext_stxrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(advice->table->relid));
	scan = systable_beginscan(catalog, StatisticExtRelidIndexId, true, NULL, 1, &key);
	while (!*built && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_statistic_ext form = (Form_pg_statistic_ext) GETSTRUCT(tuple);
		int					  kinds = object_kinds(tuple, RelationGetDescr(catalog));

		if (!has_columns(&form->stxkeys, advice) || (kinds & advice->kinds) != advice->kinds)
			continue;
		found = true;
		*built =
			(built_kinds(form->oid, advice->table->partitioned) & advice->kinds) == advice->kinds;
		advice->object = quote_qualified_identifier(get_namespace_name(form->stxnamespace),
													NameStr(form->stxname));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}
