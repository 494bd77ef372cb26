/*-------------------------------------------------------------------------
 *
 * candidate_serves.c
 *		Whether the key of a definition has what a usage asks for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "advisor/usages.h"
#include "catalog/pg_am.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* The order "columns" from a place of the key on, forwards or backwards. */
static bool
serves_order(const IndexDef *def, int place, List *columns)
{
	bool	  forwards = true;
	bool	  backwards = true;
	ListCell *lc;

	foreach (lc, columns)
	{
		const IndexColumn *want = lfirst(lc);
		const IndexColumn *have;

		if (place == def->nkeys)
			return false;
		have = &def->columns[place];
		if (!dbperf_column_same(want, have))
			return false;
		if (want->desc != have->desc || want->nulls_first != have->nulls_first)
			forwards = false;
		if (want->desc == have->desc || want->nulls_first == have->nulls_first)
			backwards = false;
		place++;
	}
	return forwards || backwards;
}

/* The columns from a place of the key on, in any order. */
static bool
serves_group(const IndexDef *def, int place, List *columns)
{
	ListCell *lc;

	foreach (lc, columns)
	{
		int found = dbperf_column_in_key(lfirst(lc), def);

		if (found < 0 || found >= place + list_length(columns))
			return false;
	}
	return true;
}

/* Whether a partial index's predicate speaks of a column. */
bool
dbperf_candidate_in_predicate(const IndexDef *def, AttrNumber attno)
{
	Bitmapset *attnos = NULL;

	if (def->predicate == NIL || attno == InvalidAttrNumber)
		return false;
	pull_varattnos((Node *) def->predicate, 1, &attnos);
	return bms_is_member(attno - FirstLowInvalidHeapAttributeNumber, attnos);
}

/*
 * Whether the definition could serve the usage: its key has the column, with
 * an operator class that knows the operator.  nequal leading columns may equal
 * a value, so that an order can begin behind them.  Whether it does serve a
 * query is for the planner to say.
 */
bool
dbperf_candidate_serves(const IndexDef *def, int nequal, const Usage *usage)
{
	const IndexColumn *column = linitial(usage->columns);
	int				   place;
	Oid				   family;

	if (def->relid != usage->relid)
		return false;
	place = dbperf_column_in_key(column, def);
	if (place < 0)
		return (usage->kind == USAGE_EQUAL || usage->kind == USAGE_NULLNESS) &&
			   dbperf_candidate_in_predicate(def, usage->attno);
	if (usage->kind == USAGE_ORDER || usage->kind == USAGE_GROUP)
	{
		if (def->am != usage->am || place > nequal)
			return false;
		if (def->am != BTREE_AM_OID)
			return def->columns[place].opclass == usage->opclass;
		return usage->kind == USAGE_ORDER ? serves_order(def, place, usage->columns)
										  : serves_group(def, place, usage->columns);
	}
	if (list_length(usage->columns) > 1 && !serves_order(def, place, usage->columns))
		return false;
	if (usage->kind == USAGE_NULLNESS)
		return def->am == BTREE_AM_OID || def->am == GIST_AM_OID;
	/* no lock keeps the class of an extension from being dropped */
	if (!SearchSysCacheExists1(CLAOID, ObjectIdGetDatum(def->columns[place].opclass)))
		return false;
	family = get_opclass_family(def->columns[place].opclass);
	if (op_in_opfamily(usage->opno, family))
		return true;

	/* LIKE 'abc%' is in no family of btrees */
	return def->am == usage->am && def->columns[place].opclass == usage->opclass;
}
