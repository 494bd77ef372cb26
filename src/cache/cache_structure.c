/*-------------------------------------------------------------------------
 *
 * cache_structure.c
 *		One walk over a finished plan, for its structure and for what it calls.
 *
 * The structure is what decides in which order rows come, and in which order a
 * sum of floating-point numbers adds them: nodes, relations and indexes, how
 * they are joined, sorted and aggregated.  Costs and row estimates are left out,
 * so that plans that differ in nothing else share their results.  Constants are
 * not: what the planner has worked out depends on settings and definitions of
 * its time, and a prepared statement's plan keeps it.
 *
 * The same walk judges the plan's expressions and the operators that its nodes
 * hash and sort with.  A node that is not known here is refused.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "cache/cache_check.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

typedef struct StructureWalk
{
	PlannedStmt *planned;
	CacheCheck	*check;
	StringInfo	 out;
	int			 limit; /* of out's length */
} StructureWalk;

static bool walk_plan(Plan *plan, StructureWalk *walk);

/* ---- writing ---- */

static void
put(StructureWalk *walk, int64 number)
{
	char digits[MAXINT8LEN + 1];

	appendBinaryStringInfo(walk->out, digits, pg_lltoa(number, digits));
	appendStringInfoChar(walk->out, ' ');
}

static void
put_columns(StructureWalk *walk, int num, const AttrNumber *columns)
{
	put(walk, num);
	for (int i = 0; i < num; i++)
		put(walk, columns[i]);
}

static void
put_flags(StructureWalk *walk, int num, const bool *flags)
{
	for (int i = 0; i < num; i++)
		put(walk, flags[i]);
}

static void
put_oids(StructureWalk *walk, int num, const Oid *oids)
{
	for (int i = 0; i < num; i++)
		put(walk, oids[i]);
}

/*
 * What a range table entry stands for, 0 = nothing.  Its number tells apart the
 * two sides of a table that is joined with itself.
 */
static void
put_entry(StructureWalk *walk, Index rti)
{
	RangeTblEntry *rte;

	if (rti == 0 || rti > (Index) list_length(walk->planned->rtable))
	{
		put(walk, 0);
		return;
	}
	rte = rt_fetch(rti, walk->planned->rtable);
	put(walk, rte->rtekind + 1);
	put(walk, rti);
	if (rte->rtekind == RTE_RELATION)
		put(walk, rte->relid);
}

/* ---- judging ---- */

static bool
refuse(StructureWalk *walk, CacheBypass reason, const char *object)
{
	return dbperf_check_refuse(walk->check, reason, object);
}

/*
 * Appends the constants of an expression.  Stops with true when there is too
 * much: planning can make a constant of any size.
 */
static bool
put_constants(Node *node, void *context)
{
	StructureWalk *walk = context;
	Const		  *value = (Const *) node;

	if (node == NULL)
		return false;
	if (!IsA(node, Const))
		return expression_tree_walker(node, put_constants, context);

	put(walk, value->consttype);
	put(walk, value->constisnull);
	if (value->constisnull)
		return false;
	if (value->constbyval)
		put(walk, (int64) value->constvalue);
	else
	{
		Size size = datumGetSize(value->constvalue, false, value->constlen);

		if (size > (Size) walk->limit || walk->out->len + 2 * size > (Size) walk->limit)
			return true;
		/* in digits, since the text travels as a string */
		put(walk, size);
		enlargeStringInfo(walk->out, size * 2);
		walk->out->len +=
			hex_encode(DatumGetPointer(value->constvalue), size, walk->out->data + walk->out->len);
		walk->out->data[walk->out->len] = '\0';
	}
	return false;
}

static bool
judge(StructureWalk *walk, void *expr)
{
	if (put_constants((Node *) expr, walk))
		return refuse(walk, CACHE_BYPASS_TOO_LARGE, "constants of the plan");
	return dbperf_check_expr((Node *) expr, walk->check);
}

/*
 * Operators that a node compares with; their number and they themselves are
 * part of the structure.
 */
static bool
operators(StructureWalk *walk, int num, const Oid *oids)
{
	put(walk, num);
	put_oids(walk, num, oids);
	for (int i = 0; i < num; i++)
		if (OidIsValid(oids[i]) && !dbperf_check_operator(walk->check, oids[i], NIL))
			return false;
	return true;
}

/*
 * Columns that a node sorts by.
 */
static bool
sort_order(StructureWalk *walk, int num, const AttrNumber *columns, const Oid *oids,
		   const Oid *collations, const bool *nulls_first)
{
	put_columns(walk, num, columns);
	put_oids(walk, num, collations);
	put_flags(walk, num, nulls_first);
	return operators(walk, num, oids);
}

/*
 * An index, which must be of a kind that came with the server: others may
 * return what is only nearly right.  What a damaged one returned is not what it
 * returns when it was built again, hence its file.
 */
static bool
index_scan(StructureWalk *walk, Oid index, ScanDirection dir, List *quals, List *order)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(index));
	Oid		  method;
	Oid		  file;

	if (!HeapTupleIsValid(tuple))
		return refuse(walk, CACHE_BYPASS_INDEX, "an index that was dropped");
	method = ((Form_pg_class) GETSTRUCT(tuple))->relam;
	file = ((Form_pg_class) GETSTRUCT(tuple))->relfilenode;
	ReleaseSysCache(tuple);
	if (method >= FirstNormalObjectId)
		return refuse(walk, CACHE_BYPASS_INDEX, get_rel_name(index));
	put(walk, index);
	put(walk, file);
	put(walk, dir);
	put(walk, list_length(quals));
	put(walk, list_length(order));
	return true;
}

/* ---- nodes ---- */

static bool
plan_list(StructureWalk *walk, List *plans)
{
	ListCell *lc;

	put(walk, list_length(plans));
	foreach (lc, plans)
		if (!walk_plan(lfirst(lc), walk))
			return false;
	return true;
}

static bool
scan_index_node(Plan *plan, StructureWalk *walk)
{
	if (IsA(plan, IndexScan))
	{
		IndexScan *scan = (IndexScan *) plan;

		return index_scan(walk, scan->indexid, scan->indexorderdir, scan->indexqual,
						  scan->indexorderby) &&
			   judge(walk, scan->indexqualorig) && judge(walk, scan->indexorderbyorig) &&
			   judge(walk, scan->indexqual) && judge(walk, scan->indexorderby);
	}
	if (IsA(plan, IndexOnlyScan))
	{
		IndexOnlyScan *scan = (IndexOnlyScan *) plan;

		return index_scan(walk, scan->indexid, scan->indexorderdir, scan->indexqual,
						  scan->indexorderby) &&
			   judge(walk, scan->indexqual) && judge(walk, scan->recheckqual) &&
			   judge(walk, scan->indexorderby);
	}
	return index_scan(walk, ((BitmapIndexScan *) plan)->indexid, NoMovementScanDirection,
					  ((BitmapIndexScan *) plan)->indexqual, NIL) &&
		   judge(walk, ((BitmapIndexScan *) plan)->indexqual) &&
		   judge(walk, ((BitmapIndexScan *) plan)->indexqualorig);
}

/*
 * What only scans have.
 */
static bool
scan_node(Plan *plan, StructureWalk *walk)
{
	if (!IsA(plan, SubqueryScan))
		put_entry(walk, ((Scan *) plan)->scanrelid);
	switch (nodeTag(plan))
	{
		case T_SeqScan:
		case T_WorkTableScan:
			return true;
		case T_IndexScan:
		case T_IndexOnlyScan:
		case T_BitmapIndexScan:
			return scan_index_node(plan, walk);
		case T_BitmapHeapScan:
			return judge(walk, ((BitmapHeapScan *) plan)->bitmapqualorig);
		case T_TidScan:
			return judge(walk, ((TidScan *) plan)->tidquals);
		case T_TidRangeScan:
			return judge(walk, ((TidRangeScan *) plan)->tidrangequals);
		case T_SubqueryScan:
			return walk_plan(((SubqueryScan *) plan)->subplan, walk);
		case T_FunctionScan:
			put(walk, list_length(((FunctionScan *) plan)->functions));
			return judge(walk, ((FunctionScan *) plan)->functions);
		case T_ValuesScan:
			put(walk, list_length(((ValuesScan *) plan)->values_lists));
			return judge(walk, ((ValuesScan *) plan)->values_lists);
		case T_CteScan:
			put(walk, ((CteScan *) plan)->ctePlanId);
			return true;
		default:
			return false;
	}
}

static bool
hash_join(HashJoin *join, StructureWalk *walk)
{
	ListCell *lc;

	put(walk, list_length(join->hashclauses));
	foreach (lc, join->hashoperators)
		if (!dbperf_check_operator(walk->check, lfirst_oid(lc), NIL))
			return false;
	return judge(walk, join->hashclauses) && judge(walk, join->hashkeys);
}

static bool
merge_join(MergeJoin *join, StructureWalk *walk)
{
	put(walk, list_length(join->mergeclauses));
	put(walk, join->skip_mark_restore);
	return judge(walk, join->mergeclauses);
}

static bool
join_node(Plan *plan, StructureWalk *walk)
{
	Join *join = (Join *) plan;

	put(walk, join->jointype);
	put(walk, join->inner_unique);
	if (!judge(walk, join->joinqual))
		return false;
	if (IsA(plan, HashJoin))
		return hash_join((HashJoin *) plan, walk);
	if (IsA(plan, MergeJoin))
		return merge_join((MergeJoin *) plan, walk);
	put(walk, list_length(((NestLoop *) plan)->nestParams));
	return true;
}

/*
 * An Agg, and the passes over other grouping sets that are chained to it.
 */
static bool
agg_node(Agg *agg, StructureWalk *walk)
{
	ListCell *lc;

	put(walk, agg->aggstrategy);
	put(walk, agg->aggsplit);
	put(walk, list_length(agg->groupingSets));
	put_columns(walk, agg->numCols, agg->grpColIdx);
	put_oids(walk, agg->numCols, agg->grpCollations);
	if (!operators(walk, agg->numCols, agg->grpOperators))
		return false;
	put(walk, list_length(agg->chain));
	foreach (lc, agg->chain)
	{
		Agg *pass = lfirst_node(Agg, lc);

		if (outerPlan(pass) != NULL && !walk_plan(outerPlan(pass), walk))
			return false;
		if (!agg_node(pass, walk))
			return false;
	}
	return true;
}

static bool
window_node(WindowAgg *window, StructureWalk *walk)
{
	put(walk, window->frameOptions);
	put_columns(walk, window->partNumCols, window->partColIdx);
	put_columns(walk, window->ordNumCols, window->ordColIdx);
	return operators(walk, window->partNumCols, window->partOperators) &&
		   operators(walk, window->ordNumCols, window->ordOperators) &&
		   judge(walk, window->startOffset) && judge(walk, window->endOffset) &&
		   judge(walk, window->runCondition) &&
		   dbperf_check_function(walk->check, window->startInRangeFunc, NIL) &&
		   dbperf_check_function(walk->check, window->endInRangeFunc, NIL);
}

static bool
memoize_node(Memoize *memoize, StructureWalk *walk)
{
	put(walk, memoize->binary_mode);
	put(walk, memoize->singlerow);
	return operators(walk, memoize->numKeys, memoize->hashOperators) &&
		   judge(walk, memoize->param_exprs);
}

/*
 * Nodes that put rows in order, or take those that are.
 */
static bool
sort_node(Plan *plan, StructureWalk *walk)
{
	Sort		*sort = (Sort *) plan;
	GatherMerge *gather = (GatherMerge *) plan;
	MergeAppend *append = (MergeAppend *) plan;

	switch (nodeTag(plan))
	{
		case T_IncrementalSort:
			put(walk, ((IncrementalSort *) plan)->nPresortedCols);
			sort = &((IncrementalSort *) plan)->sort;
			break;
		case T_GatherMerge:
			put(walk, gather->num_workers);
			return sort_order(walk, gather->numCols, gather->sortColIdx, gather->sortOperators,
							  gather->collations, gather->nullsFirst);
		case T_MergeAppend:
			return sort_order(walk, append->numCols, append->sortColIdx, append->sortOperators,
							  append->collations, append->nullsFirst) &&
				   plan_list(walk, append->mergeplans);
		default:
			break;
	}
	return sort_order(walk, sort->numCols, sort->sortColIdx, sort->sortOperators, sort->collations,
					  sort->nullsFirst);
}

/*
 * Nodes that drop rows, or pass them on.
 */
static bool
filter_node(Plan *plan, StructureWalk *walk)
{
	switch (nodeTag(plan))
	{
		case T_Result:
			put(walk, ((Result *) plan)->resconstantqual != NULL);
			return judge(walk, ((Result *) plan)->resconstantqual);
		case T_Group:
			put_columns(walk, ((Group *) plan)->numCols, ((Group *) plan)->grpColIdx);
			return operators(walk, ((Group *) plan)->numCols, ((Group *) plan)->grpOperators);
		case T_Unique:
			put_columns(walk, ((Unique *) plan)->numCols, ((Unique *) plan)->uniqColIdx);
			return operators(walk, ((Unique *) plan)->numCols, ((Unique *) plan)->uniqOperators);
		case T_SetOp:
			put(walk, ((SetOp *) plan)->cmd);
			put(walk, ((SetOp *) plan)->strategy);
			put(walk, ((SetOp *) plan)->numCols);
			return true;
		case T_RecursiveUnion:
			put_columns(walk, ((RecursiveUnion *) plan)->numCols,
						((RecursiveUnion *) plan)->dupColIdx);
			return operators(walk, ((RecursiveUnion *) plan)->numCols,
							 ((RecursiveUnion *) plan)->dupOperators);
		case T_Limit:
			put(walk, ((Limit *) plan)->limitOffset != NULL);
			put(walk, ((Limit *) plan)->limitCount != NULL);
			put(walk, ((Limit *) plan)->limitOption);
			return operators(walk, ((Limit *) plan)->uniqNumCols,
							 ((Limit *) plan)->uniqOperators) &&
				   judge(walk, ((Limit *) plan)->limitOffset) &&
				   judge(walk, ((Limit *) plan)->limitCount);
		case T_Gather:
			put(walk, ((Gather *) plan)->num_workers);
			put(walk, ((Gather *) plan)->single_copy);
			return true;
		case T_Hash:
			return judge(walk, ((Hash *) plan)->hashkeys);
		default:
			return false;
	}
}

/*
 * What nodes of its kind have.
 */
static bool
node_details(Plan *plan, StructureWalk *walk)
{
	switch (nodeTag(plan))
	{
		case T_SeqScan:
		case T_IndexScan:
		case T_IndexOnlyScan:
		case T_BitmapIndexScan:
		case T_BitmapHeapScan:
		case T_TidScan:
		case T_TidRangeScan:
		case T_SubqueryScan:
		case T_FunctionScan:
		case T_ValuesScan:
		case T_CteScan:
		case T_WorkTableScan:
			return scan_node(plan, walk);
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
			return join_node(plan, walk);
		case T_Append:
			put(walk, ((Append *) plan)->first_partial_plan);
			return plan_list(walk, ((Append *) plan)->appendplans);
		case T_BitmapAnd:
			return plan_list(walk, ((BitmapAnd *) plan)->bitmapplans);
		case T_BitmapOr:
			return plan_list(walk, ((BitmapOr *) plan)->bitmapplans);
		case T_Sort:
		case T_IncrementalSort:
		case T_GatherMerge:
		case T_MergeAppend:
			return sort_node(plan, walk);
		case T_Agg:
			return agg_node((Agg *) plan, walk);
		case T_WindowAgg:
			return window_node((WindowAgg *) plan, walk);
		case T_Memoize:
			return memoize_node((Memoize *) plan, walk);
		case T_Result:
		case T_Group:
		case T_Unique:
		case T_SetOp:
		case T_RecursiveUnion:
		case T_Limit:
		case T_Gather:
		case T_Hash:
			return filter_node(plan, walk);
		case T_Material:
		case T_ProjectSet:
			return true;
		case T_ForeignScan:
			return refuse(walk, CACHE_BYPASS_FOREIGN, NULL);
		case T_SampleScan:
			return refuse(walk, CACHE_BYPASS_TABLESAMPLE, NULL);
		case T_LockRows:
			return refuse(walk, CACHE_BYPASS_LOCKS_ROWS, NULL);
		default:
			return refuse(walk, CACHE_BYPASS_TRANSIENT, "a plan node that is not known");
	}
}

/*
 * A node, its details and everything below it.
 */
static bool
walk_plan(Plan *plan, StructureWalk *walk)
{
	ListCell *lc;

	check_stack_depth();
	if (plan == NULL)
	{
		put(walk, 0);
		return true;
	}
	put(walk, nodeTag(plan));
	put(walk, plan->parallel_aware);
	put(walk, list_length(plan->initPlan));
	foreach (lc, plan->initPlan)
		put(walk, lfirst_node(SubPlan, lc)->plan_id);
	return judge(walk, plan->targetlist) && judge(walk, plan->qual) && node_details(plan, walk) &&
		   walk_plan(outerPlan(plan), walk) && walk_plan(innerPlan(plan), walk);
}

/*
 * Judges a finished plan and appends its structure to out, CACHE_MAX_TREE bytes
 * at most.  Returns whether it can be cached, with check saying why not.
 */
bool
dbperf_check_structure(PlannedStmt *planned, CacheCheck *check, StringInfo out)
{
	StructureWalk walk = {.planned = planned, .check = check, .out = out};

	walk.limit = out->len + CACHE_MAX_TREE;
	return walk_plan(planned->planTree, &walk) && plan_list(&walk, planned->subplans) &&
		   (out->len <= walk.limit || refuse(&walk, CACHE_BYPASS_TOO_LARGE, "the plan"));
}
