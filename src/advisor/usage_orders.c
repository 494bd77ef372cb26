/*-------------------------------------------------------------------------
 *
 * usage_orders.c
 *		The orders and groupings of one level of a query.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "advisor/usages.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_am.h"
#include "commands/defrem.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* One key of an order. */
typedef struct OrderKey
{
	Node *expr; /* canonical */
	Oid	  sortop;
	bool  nulls_first;
	bool  minmax; /* of an aggregate, which takes nulls at either end */
} OrderKey;

/* Adds an ordering, and its usage, to its table's use. */
static void
ordering_emit(QueryUses *uses, Ordering *ordering)
{
	IndexColumn *first = linitial(ordering->columns);
	Usage		 usage;

	memset(&usage, 0, sizeof(usage));
	usage.relid = ordering->use->table->relid;
	usage.kind = ordering->kind;
	usage.attno = first->attno;
	usage.expr = first->expr;
	usage.am = ordering->am;
	usage.opclass = first->opclass;
	ordering->usage = dbperf_usage_add(uses, &usage, ordering->columns, false);
	ordering->use->orderings = lappend(ordering->use->orderings, ordering);
}

/*
 * Turns the whole order around if that makes more of its columns plain (a
 * btree is scanned in both directions).
 */
static void
ordering_normalize(Ordering *ordering)
{
	int		  plain = 0;
	int		  turned = 0;
	ListCell *lc;

	foreach (lc, ordering->columns)
	{
		IndexColumn *column = lfirst(lc);

		plain += !column->desc && !column->nulls_first;
		turned += column->desc && column->nulls_first;
	}
	if (turned <= plain)
		return;
	foreach (lc, ordering->columns)
	{
		IndexColumn *column = lfirst(lc);

		column->desc = !column->desc;
		column->nulls_first = !column->nulls_first;
	}
}

/*
 * The column of a key as the order needs it, with its operator class; false if
 * no btree sorts like that.
 */
static bool
order_column(UsageKey *found, const OrderKey *key, IndexColumn *out)
{
	int strategy;

	*out = found->column;
	if (dbperf_candidate_column(found->use->table, out)->width > MAX_BTREE_KEY_WIDTH)
		return false;
	out->opclass = GetDefaultOpClass(out->type, BTREE_AM_OID);
	if (!OidIsValid(out->opclass) || !OidIsValid(key->sortop))
		return false;
	strategy = get_op_opfamily_strategy(key->sortop, get_opclass_family(out->opclass));
	if (strategy != BTLessStrategyNumber && strategy != BTGreaterStrategyNumber)
		return false;
	out->desc = strategy == BTGreaterStrategyNumber;
	out->nulls_first = key->minmax ? out->desc : key->nulls_first;
	if (type_is_collatable(out->type))
		out->collation = exprCollation(key->expr);
	return true;
}

/*
 * Adds an order of a level: as many of its leading keys as belong to one
 * table.  For a grouping all keys must.
 */
static void
order_emit(QueryUses *uses, QueryLevel *level, List *keys, UsageKind kind, bool limit)
{
	OrderKey *first_key;
	List	 *firsts;
	ListCell *lc;

	if (keys == NIL)
		return;
	first_key = linitial(keys);
	firsts = dbperf_usage_keys(level, first_key->expr);
	foreach (lc, firsts)
	{
		TableUse *use = ((UsageKey *) lfirst(lc))->use;
		Ordering *ordering;
		ListCell *lc2;
		bool	  all = true;

		if (use->table->problem != NULL)
			continue;
		ordering = palloc0(sizeof(Ordering));
		ordering->use = use;
		ordering->kind = kind;
		ordering->am = BTREE_AM_OID;
		ordering->limit = limit;
		foreach (lc2, keys)
		{
			OrderKey	*key = lfirst(lc2);
			List		*candidates = dbperf_usage_keys(level, key->expr);
			IndexColumn *column = palloc(sizeof(IndexColumn));
			UsageKey	*found = NULL;
			ListCell	*lc3;

			foreach (lc3, candidates)
			{
				if (((UsageKey *) lfirst(lc3))->use == use)
					found = lfirst(lc3);
			}
			if (found == NULL || !order_column(found, key, column))
			{
				all = false;
				break;
			}
			if (!dbperf_column_in(column, ordering->columns))
				ordering->columns = lappend(ordering->columns, column);
		}
		if (ordering->columns == NIL || (kind == USAGE_GROUP && !all) ||
			list_length(ordering->columns) > INDEX_MAX_KEYS / 2)
			continue;
		ordering_normalize(ordering);
		ordering_emit(uses, ordering);
	}
}

/*
 * ORDER BY position <-> point '(1,2)' LIMIT 10: a GiST index gives that order.
 * Returns whether it is that.
 */
static bool
distance_emit(QueryUses *uses, QueryLevel *level, OrderKey *key)
{
	OpExpr	 *op = (OpExpr *) key->expr;
	bool	  found_any = false;
	ListCell *lc;

	if (!IsA(op, OpExpr) || list_length(op->args) != 2)
		return false;
	for (int side = 0; side < 2; side++)
	{
		Node *arg = list_nth(op->args, side);
		Oid	  opno = side == 0 ? op->opno : get_commutator(op->opno);

		if (!OidIsValid(opno) ||
			!dbperf_usage_independent(level, arg, list_nth(op->args, 1 - side)))
			continue;
		foreach (lc, dbperf_usage_keys(level, arg))
		{
			UsageKey	*found = lfirst(lc);
			IndexColumn *column =
				memcpy(palloc(sizeof(IndexColumn)), &found->column, sizeof(IndexColumn));
			Ordering *ordering = palloc0(sizeof(Ordering));

			if (found->use->table->problem != NULL ||
				!dbperf_usage_distance_class(opno, column->type, &ordering->am, &column->opclass))
				continue;
			ordering->use = found->use;
			ordering->kind = USAGE_ORDER;
			ordering->limit = true;
			ordering->columns = list_make1(column);
			ordering_emit(uses, ordering);
			found_any = true;
		}
	}
	return found_any;
}

/* The keys of a list of SortGroupClause. */
static List *
keys_of_clauses(QueryLevel *level, List *clauses)
{
	List	 *keys = NIL;
	ListCell *lc;

	foreach (lc, clauses)
	{
		SortGroupClause *clause = lfirst(lc);
		Node			*expr = get_sortgroupclause_expr(clause, level->query->targetList);
		OrderKey		*key = palloc0(sizeof(OrderKey));

		key->expr = dbperf_usage_canonical(level, expr);
		key->sortop = clause->sortop;
		key->nulls_first = clause->nulls_first;
		keys = lappend(keys, key);
	}
	return keys;
}

typedef struct MinMaxContext
{
	QueryUses  *uses;
	QueryLevel *level;
} MinMaxContext;

/* The operator that min() and max() order by; InvalidOid for other aggregates. */
static Oid
aggregate_sortop(Oid function)
{
	HeapTuple tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(function));
	Oid		  sortop;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	sortop = ((Form_pg_aggregate) GETSTRUCT(tuple))->aggsortop;
	ReleaseSysCache(tuple);
	return sortop;
}

/* min(x) and max(x) read one end of an order, count(DISTINCT x) all of it. */
static bool
minmax_walker(Node *node, void *arg)
{
	MinMaxContext *context = arg;

	if (node == NULL || IsA(node, Query) || IsA(node, SubLink))
		return false;
	if (IsA(node, Aggref))
	{
		Aggref	*aggref = (Aggref *) node;
		OrderKey key;

		if (list_length(aggref->args) != 1 || aggref->agglevelsup > 0)
			return false;
		memset(&key, 0, sizeof(key));
		key.expr = dbperf_usage_canonical(context->level,
										  (Node *) ((TargetEntry *) linitial(aggref->args))->expr);
		if (aggref->aggdistinct != NIL)
		{
			key.sortop = ((SortGroupClause *) linitial(aggref->aggdistinct))->sortop;
			order_emit(context->uses, context->level, list_make1(&key), USAGE_GROUP, false);
			return false;
		}
		if (aggref->aggfilter != NULL || aggref->aggorder != NIL)
			return false;
		key.sortop = aggregate_sortop(aggref->aggfnoid);
		key.minmax = true;
		if (OidIsValid(key.sortop))
			order_emit(context->uses, context->level, list_make1(&key), USAGE_ORDER, true);
		return false;
	}
	return expression_tree_walker(node, minmax_walker, arg);
}

/*
 * Adds what a level orders and groups by to the uses of its tables.
 */
void
dbperf_usages_of_orders(QueryUses *uses, QueryLevel *level)
{
	Query	 *query = level->query;
	List	 *keys = keys_of_clauses(level, query->sortClause);
	bool	  limit = query->limitCount != NULL;
	ListCell *lc;

	if (keys == NIL || !limit || !distance_emit(uses, level, linitial(keys)))
		order_emit(uses, level, keys, USAGE_ORDER, limit);
	if (query->distinctClause != NIL)
		order_emit(uses, level, keys_of_clauses(level, query->distinctClause), USAGE_GROUP, false);
	if (query->groupClause != NIL && query->groupingSets == NIL)
		order_emit(uses, level, keys_of_clauses(level, query->groupClause), USAGE_GROUP, false);
	else if (query->hasAggs && query->groupingSets == NIL)
	{
		MinMaxContext context = {uses, level};

		minmax_walker((Node *) query->targetList, &context);
	}
	foreach (lc, query->windowClause)
	{
		WindowClause *window = lfirst(lc);

		order_emit(uses, level,
				   list_concat(keys_of_clauses(level, window->partitionClause),
							   keys_of_clauses(level, window->orderClause)),
				   USAGE_ORDER, false);
	}
}
