/*-------------------------------------------------------------------------
 *
 * plan.c
 *		What can be said about a finished plan without printing it.
 *
 * EXPLAIN of a plan with ten thousand nodes, or with a constant of a hundred
 * megabytes, costs more than a slow statement should pay for being recorded.
 * So a plan is walked first: the walk counts the nodes, finds the largest
 * constant and hashes the structure.  What is too large to be explained is
 * stored as an outline, see plan_outline.c.
 *
 * The hash names the plan's shape and not this execution: which nodes, over
 * which relations and indexes, joined how.  Costs, row estimates, constants
 * and expressions are left out, so that the same query planned with another
 * constant keeps its plan_id as long as the planner's decisions are the same.
 * Node tags differ between major releases and OIDs between databases, hence
 * a plan_id means something only within one database of one major release.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "core/core.h"
#include "core/exec_hooks.h"
#include "miscadmin.h"
#include "monitor/monitor_int.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/datum.h"

/* State of dbperf_plan_inspect and dbperf_plan_id. */
typedef struct InspectState
{
	PlannedStmt *stmt;
	PlanFacts	*facts;
	uint64		 hash;
	uint32		 depth;	   /* of the node at hand, below its tree's root */
	bool		 too_deep; /* the stack does not reach to the end of the plan */
} InspectState;

/* Returns the range table index that a node scans, 0 if it scans none. */
Index
dbperf_scanned_rti(Plan *plan)
{
	switch (nodeTag(plan))
	{
		case T_SeqScan:
		case T_SampleScan:
		case T_IndexScan:
		case T_IndexOnlyScan:
		case T_BitmapIndexScan:
		case T_BitmapHeapScan:
		case T_TidScan:
		case T_TidRangeScan:
		case T_SubqueryScan:
		case T_FunctionScan:
		case T_ValuesScan:
		case T_TableFuncScan:
		case T_CteScan:
		case T_NamedTuplestoreScan:
		case T_WorkTableScan:
		case T_ForeignScan:
		case T_CustomScan:
			return ((Scan *) plan)->scanrelid;
		default:
			return 0;
	}
}

/* Returns the index that a node scans and in *dir which way, or InvalidOid. */
Oid
dbperf_scanned_index(Plan *plan, ScanDirection *dir)
{
	*dir = NoMovementScanDirection;
	switch (nodeTag(plan))
	{
		case T_IndexScan:
			*dir = ((IndexScan *) plan)->indexorderdir;
			return ((IndexScan *) plan)->indexid;
		case T_IndexOnlyScan:
			*dir = ((IndexOnlyScan *) plan)->indexorderdir;
			return ((IndexOnlyScan *) plan)->indexid;
		case T_BitmapIndexScan:
			return ((BitmapIndexScan *) plan)->indexid;
		default:
			return InvalidOid;
	}
}

/* ---- facts ---- */

/*
 * Walker over expressions: remembers the size of the largest constant.
 * Always returns false, to see them all.  Raises an error if the expression
 * is nested too deeply.
 */
static bool
constant_walker(Node *node, void *context)
{
	PlanFacts *facts = (PlanFacts *) context;

	if (node == NULL)
		return false;
	if (IsA(node, Const))
	{
		Const *con = (Const *) node;

		if (!con->constisnull)
		{
			Size size = datumGetSize(con->constvalue, con->constbyval, con->constlen);

			facts->constant_size = Max(facts->constant_size, size);
		}
		return false;
	}
	return expression_tree_walker(node, constant_walker, context);
}

/* Looks for constants in any expression or list of expressions, or NULL. */
static void
inspect_expr(void *expr, PlanFacts *facts)
{
	(void) constant_walker((Node *) expr, facts);
}

/* Looks for constants in the expressions that only a ModifyTable has. */
static void
inspect_modify(ModifyTable *modify, PlanFacts *facts)
{
	inspect_expr(modify->withCheckOptionLists, facts);
	inspect_expr(modify->returningLists, facts);
	inspect_expr(modify->onConflictSet, facts);
	inspect_expr(modify->onConflictWhere, facts);
	inspect_expr(modify->exclRelTlist, facts);
	inspect_expr(modify->mergeActionLists, facts);
	inspect_expr(DBPERF_MERGE_JOIN_CONDITIONS(modify), facts);
}

/* Looks for constants in the expressions that only scans have. */
static void
inspect_scan(Plan *plan, PlanFacts *facts)
{
	switch (nodeTag(plan))
	{
		case T_SampleScan:
			inspect_expr(((SampleScan *) plan)->tablesample, facts);
			break;
		case T_IndexScan:
			inspect_expr(((IndexScan *) plan)->indexqualorig, facts);
			inspect_expr(((IndexScan *) plan)->indexorderbyorig, facts);
			break;
		case T_IndexOnlyScan:
			inspect_expr(((IndexOnlyScan *) plan)->indexqual, facts);
			inspect_expr(((IndexOnlyScan *) plan)->recheckqual, facts);
			inspect_expr(((IndexOnlyScan *) plan)->indexorderby, facts);
			inspect_expr(((IndexOnlyScan *) plan)->indextlist, facts);
			break;
		case T_BitmapIndexScan:
			inspect_expr(((BitmapIndexScan *) plan)->indexqualorig, facts);
			break;
		case T_BitmapHeapScan:
			inspect_expr(((BitmapHeapScan *) plan)->bitmapqualorig, facts);
			break;
		case T_TidScan:
			inspect_expr(((TidScan *) plan)->tidquals, facts);
			break;
		case T_TidRangeScan:
			inspect_expr(((TidRangeScan *) plan)->tidrangequals, facts);
			break;
		case T_FunctionScan:
			inspect_expr(((FunctionScan *) plan)->functions, facts);
			break;
		case T_ValuesScan:
			inspect_expr(((ValuesScan *) plan)->values_lists, facts);
			break;
		case T_TableFuncScan:
			inspect_expr(((TableFuncScan *) plan)->tablefunc, facts);
			break;
		case T_ForeignScan:
			inspect_expr(((ForeignScan *) plan)->fdw_exprs, facts);
			inspect_expr(((ForeignScan *) plan)->fdw_scan_tlist, facts);
			inspect_expr(((ForeignScan *) plan)->fdw_recheck_quals, facts);
			break;
		case T_CustomScan:
			inspect_expr(((CustomScan *) plan)->custom_exprs, facts);
			inspect_expr(((CustomScan *) plan)->custom_scan_tlist, facts);
			break;
		default:
			break;
	}
}

/*
 * Looks for constants in all expressions of one node.  Run-time pruning steps
 * and fields that hold nothing but Vars (nestParams) are left out: the former
 * repeat constants of the quals, and EXPLAIN prints neither.
 */
static void
inspect_exprs(Plan *plan, PlanFacts *facts)
{
	inspect_expr(plan->targetlist, facts);
	inspect_expr(plan->qual, facts);

	switch (nodeTag(plan))
	{
		case T_Result:
			inspect_expr(((Result *) plan)->resconstantqual, facts);
			break;
		case T_ModifyTable:
			inspect_modify((ModifyTable *) plan, facts);
			break;
		case T_NestLoop:
			inspect_expr(((Join *) plan)->joinqual, facts);
			break;
		case T_MergeJoin:
			inspect_expr(((Join *) plan)->joinqual, facts);
			inspect_expr(((MergeJoin *) plan)->mergeclauses, facts);
			break;
		case T_HashJoin:
			inspect_expr(((Join *) plan)->joinqual, facts);
			inspect_expr(((HashJoin *) plan)->hashclauses, facts);
			inspect_expr(((HashJoin *) plan)->hashkeys, facts);
			break;
		case T_Hash:
			inspect_expr(((Hash *) plan)->hashkeys, facts);
			break;
		case T_Memoize:
			inspect_expr(((Memoize *) plan)->param_exprs, facts);
			break;
		case T_WindowAgg:
			inspect_expr(((WindowAgg *) plan)->startOffset, facts);
			inspect_expr(((WindowAgg *) plan)->endOffset, facts);
			inspect_expr(((WindowAgg *) plan)->runCondition, facts);
			inspect_expr(((WindowAgg *) plan)->runConditionOrig, facts);
			break;
		case T_Limit:
			inspect_expr(((Limit *) plan)->limitOffset, facts);
			inspect_expr(((Limit *) plan)->limitCount, facts);
			break;
		default:
			inspect_scan(plan, facts);
			break;
	}
}

/* ---- structure ---- */

/* Adds some numbers to the hash; their order counts. */
static void
hash_words(InspectState *state, const uint32 *words, int n)
{
	state->hash =
		hash_bytes_extended((const unsigned char *) words, n * (int) sizeof(uint32), state->hash);
}

/* Adds what a range table entry stands for to the hash. */
static void
hash_rti(InspectState *state, Index rti)
{
	uint32 words[2] = {0, 0};

	if (rti > 0 && rti <= (Index) list_length(state->stmt->rtable))
	{
		RangeTblEntry *rte = rt_fetch(rti, state->stmt->rtable);

		words[0] = (uint32) rte->rtekind;
		words[1] = (uint32) rte->relid;
	}
	hash_words(state, words, lengthof(words));
}

/* Adds each relation of a pushed-down join or of a custom scan to the hash. */
static void
hash_relids(InspectState *state, Bitmapset *relids)
{
	int rti = -1;

	while ((rti = bms_next_member(relids, rti)) >= 0)
		hash_rti(state, (Index) rti);
}

/* Adds a ModifyTable's command and target relations to the hash. */
static void
hash_modify(InspectState *state, ModifyTable *modify)
{
	uint32	  words[2];
	ListCell *lc;

	words[0] = (uint32) modify->operation;
	words[1] = (uint32) modify->onConflictAction;
	hash_words(state, words, lengthof(words));
	foreach (lc, modify->resultRelations)
		hash_rti(state, (Index) lfirst_int(lc));
}

/* Adds an Agg's strategy, and those of its further passes, to the hash. */
static void
hash_agg(InspectState *state, Agg *agg)
{
	uint32	  words[2];
	ListCell *lc;

	words[0] = (uint32) agg->aggstrategy;
	words[1] = (uint32) agg->aggsplit;
	hash_words(state, words, lengthof(words));
	foreach (lc, agg->chain)
		hash_agg(state, lfirst_node(Agg, lc));
}

/* Adds the functions that a FunctionScan calls to the hash. */
static void
hash_functions(InspectState *state, FunctionScan *scan)
{
	ListCell *lc;

	foreach (lc, scan->functions)
	{
		Node  *expr = lfirst_node(RangeTblFunction, lc)->funcexpr;
		uint32 function = 0;

		if (expr != NULL && IsA(expr, FuncExpr))
			function = (uint32) ((FuncExpr *) expr)->funcid;
		hash_words(state, &function, 1);
	}
}

/* Adds what distinguishes a node from others of its type to the hash. */
static void
hash_details(InspectState *state, Plan *plan)
{
	uint32 words[2] = {0, 0};

	switch (nodeTag(plan))
	{
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
			words[0] = (uint32) ((Join *) plan)->jointype;
			break;
		case T_Agg:
			hash_agg(state, (Agg *) plan);
			return;
		case T_SetOp:
			words[0] = (uint32) ((SetOp *) plan)->cmd;
			words[1] = (uint32) ((SetOp *) plan)->strategy;
			break;
		case T_ModifyTable:
			hash_modify(state, (ModifyTable *) plan);
			return;
		case T_FunctionScan:
			hash_functions(state, (FunctionScan *) plan);
			return;
		case T_CteScan:
			words[0] = (uint32) ((CteScan *) plan)->ctePlanId;
			break;
		case T_ForeignScan:
			words[0] = (uint32) ((ForeignScan *) plan)->operation;
			hash_relids(state, ((ForeignScan *) plan)->fs_relids);
			break;
		case T_CustomScan:
			hash_relids(state, ((CustomScan *) plan)->custom_relids);
			break;
		default:
			return;
	}
	hash_words(state, words, lengthof(words));
}

/*
 * Adds one node to the hash, without its children.  The depth is part of what
 * is hashed: with it the order of the nodes determines the tree.
 */
static void
hash_node(InspectState *state, Plan *plan)
{
	ScanDirection dir;
	uint32		  words[5];

	words[0] = (uint32) nodeTag(plan);
	words[1] = state->depth;
	words[2] = plan->parallel_aware ? 1 : 0;
	words[3] = (uint32) dbperf_scanned_index(plan, &dir);
	words[4] = (uint32) dir;
	hash_words(state, words, lengthof(words));
	if (dbperf_scanned_rti(plan) > 0)
		hash_rti(state, dbperf_scanned_rti(plan));
	hash_details(state, plan);
}

/*
 * PlanVisitor: counts a node, hashes it and looks at its expressions, then
 * does the same for its children.
 */
static void
inspect_node(Plan *plan, void *context)
{
	InspectState *state = (InspectState *) context;

	check_stack_depth();

	state->facts->nodes++;
	hash_node(state, plan);
	inspect_exprs(plan, state->facts);

	state->depth++;
	dbperf_plan_children(plan, inspect_node, state);
	state->depth--;
}

/*
 * PlanVisitor: hashes a node and its children.  Goes no deeper than the stack
 * does, and raises no error.
 */
static void
identify_node(Plan *plan, void *context)
{
	InspectState *state = (InspectState *) context;

	if (state->too_deep || stack_is_too_deep())
	{
		state->too_deep = true;
		return;
	}
	hash_node(state, plan);

	state->depth++;
	dbperf_plan_children(plan, identify_node, state);
	state->depth--;
}

/*
 * Walks a finished plan, subplans included, with visit.
 */
static void
walk_plan(InspectState *state, PlannedStmt *stmt, DbperfPlanVisitor visit)
{
	uint32	  index = 0;
	ListCell *lc;

	state->stmt = stmt;
	state->hash = (uint64) stmt->commandType;
	state->depth = 0;
	state->too_deep = false;

	if (stmt->planTree != NULL)
		visit(dbperf_plan_unwrapped(stmt->planTree), state);
	foreach (lc, stmt->subplans)
	{
		/* A subplan's place is its name; the planner leaves holes. */
		hash_words(state, &index, 1);
		if (lfirst(lc) != NULL)
			visit((Plan *) lfirst(lc), state);
		index++;
	}
	if (state->hash == 0)
		state->hash = 1;
}

/*
 * Walks a finished plan, subplans included, and fills *facts.  A statement
 * without a plan (a utility command) has no nodes, but a plan_id.
 *
 * Needs neither a transaction nor catalogs, and allocates nothing.  Raises an
 * error if the plan or an expression is nested too deeply for the stack, or
 * if another module's node holds an expression that the server cannot walk.
 */
void
dbperf_plan_inspect(PlannedStmt *stmt, PlanFacts *facts)
{
	InspectState state;

	memset(facts, 0, sizeof(*facts));
	state.facts = facts;
	walk_plan(&state, stmt, inspect_node);
	facts->plan_id = state.hash;
}

/*
 * The plan_id that dbperf_plan_inspect would find, or 0 if there is no plan or
 * the stack does not reach to its end.  Looks at no expressions, allocates
 * nothing and raises no error: for every execution, failed ones included.
 */
uint64
dbperf_plan_id(PlannedStmt *stmt)
{
	InspectState state;

	if (stmt->planTree == NULL)
		return 0;
	state.facts = NULL;
	walk_plan(&state, stmt, identify_node);
	return state.too_deep ? 0 : state.hash;
}
