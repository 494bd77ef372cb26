/*-------------------------------------------------------------------------
 *
 * foreign_keys.c
 *		Foreign keys of a table, and which indexes they can use.
 *
 * A DELETE or a change of the key in the referenced table looks for rows that
 * refer to it.  Without an index on the referencing columns that reads all of
 * the referencing table, for each row.
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
#include "catalog/pg_constraint.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

/*
 * A row of pg_constraint as ForeignKey.
 */
static ForeignKey *
read_foreign_key(HeapTuple tuple, TupleDesc desc)
{
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
	ForeignKey		  *key = palloc0(sizeof(ForeignKey));
	bool			   isnull;
	ArrayType		  *columns;

	columns = DatumGetArrayTypeP(heap_getattr(tuple, Anum_pg_constraint_conkey, desc, &isnull));
	key->name = pstrdup(NameStr(form->conname));
	key->referenced = form->confrelid;
	key->inherited = OidIsValid(form->conparentid);
	key->ncolumns = Min(ArrayGetNItems(ARR_NDIM(columns), ARR_DIMS(columns)), INDEX_MAX_KEYS);
	memcpy(key->columns, ARR_DATA_PTR(columns), sizeof(int16) * key->ncolumns);
	return key;
}

/*
 * All foreign keys of a table, as ForeignKey, ordered by name.
 */
List *
dbperf_foreign_keys(Oid relid)
{
	List	   *keys = NIL;
	Relation	pg_constraint = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(pg_constraint, ConstraintRelidTypidNameIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (((Form_pg_constraint) GETSTRUCT(tuple))->contype == CONSTRAINT_FOREIGN)
			keys = lappend(keys, read_foreign_key(tuple, RelationGetDescr(pg_constraint)));
	}
	systable_endscan(scan);
	table_close(pg_constraint, AccessShareLock);
	return keys;
}

static bool
key_has_column(const ForeignKey *key, AttrNumber attno)
{
	for (int i = 0; i < key->ncolumns; i++)
	{
		if (key->columns[i] == attno)
			return true;
	}
	return false;
}

/*
 * Whether the predicate holds for all rows that the key looks for: they have
 * no nulls in its columns.
 */
static bool
predicate_is_harmless(const ForeignKey *key, List *predicate)
{
	ListCell *lc;

	foreach (lc, predicate)
	{
		NullTest *test = lfirst(lc);

		if (!IsA(test, NullTest) || test->nulltesttype != IS_NOT_NULL || !IsA(test->arg, Var) ||
			!key_has_column(key, ((Var *) test->arg)->varattno))
			return false;
	}
	return true;
}

/*
 * How many columns of the key an index can look up at once: its first columns
 * that are columns of the key.  0 = it is of no use to the key.
 */
int
dbperf_foreign_key_support(const ForeignKey *key, const RealIndex *real)
{
	const IndexDef *def = real->def;
	int				count = 0;

	if (!real->valid || (def->am != BTREE_AM_OID && def->am != HASH_AM_OID) ||
		!predicate_is_harmless(key, def->predicate))
		return 0;
	while (count < def->nkeys && def->columns[count].attno != InvalidAttrNumber &&
		   key_has_column(key, def->columns[count].attno))
		count++;
	return count;
}
