/*-------------------------------------------------------------------------
 *
 * plan_outline.c
 *		A plan that is too large to be explained, as an outline: the names of
 *		its nodes, relations and indexes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "miscadmin.h"
#include "monitor/monitor_int.h"
#include "nodes/extensible.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#define OUTLINE_MAX_LINES 1000
#define OUTLINE_END "...\n"

/* State of dbperf_plan_structure. */
typedef struct OutlineState
{
	PlannedStmt *stmt;
	StringInfo	 out;
	int			 start; /* length of out before this plan */
	int			 lines;
	int			 level; /* of the node at hand; 0 is a tree's root */
	bool		 full;	/* a cap was met: write nothing more */
} OutlineState;

/* Returns how EXPLAIN calls a join's type, between "Hash" and "Join". */
static const char *
join_type_name(JoinType jointype)
{
	if (DBPERF_IS_RIGHT_ANTI_JOIN(jointype))
		return " Right Anti";
	if (DBPERF_IS_RIGHT_SEMI_JOIN(jointype))
		return " Right Semi";
	switch (jointype)
	{
		case JOIN_LEFT:
			return " Left";
		case JOIN_FULL:
			return " Full";
		case JOIN_RIGHT:
			return " Right";
		case JOIN_SEMI:
			return " Semi";
		case JOIN_ANTI:
			return " Anti";
		default:
			return "";
	}
}

/* EXPLAIN's names of the nodes whose name depends on their type alone. */
static const struct
{
	NodeTag		tag;
	const char *name;
} node_names[] = {{T_Result, "Result"},
				  {T_ProjectSet, "ProjectSet"},
				  {T_Append, "Append"},
				  {T_MergeAppend, "Merge Append"},
				  {T_RecursiveUnion, "Recursive Union"},
				  {T_BitmapAnd, "BitmapAnd"},
				  {T_BitmapOr, "BitmapOr"},
				  {T_SeqScan, "Seq Scan"},
				  {T_SampleScan, "Sample Scan"},
				  {T_IndexScan, "Index Scan"},
				  {T_IndexOnlyScan, "Index Only Scan"},
				  {T_BitmapIndexScan, "Bitmap Index Scan"},
				  {T_BitmapHeapScan, "Bitmap Heap Scan"},
				  {T_TidScan, "Tid Scan"},
				  {T_TidRangeScan, "Tid Range Scan"},
				  {T_SubqueryScan, "Subquery Scan"},
				  {T_FunctionScan, "Function Scan"},
				  {T_ValuesScan, "Values Scan"},
				  {T_TableFuncScan, "Table Function Scan"},
				  {T_CteScan, "CTE Scan"},
				  {T_NamedTuplestoreScan, "Named Tuplestore Scan"},
				  {T_WorkTableScan, "WorkTable Scan"},
				  {T_NestLoop, "Nested Loop"},
				  {T_MergeJoin, "Merge"},
				  {T_HashJoin, "Hash"},
				  {T_Gather, "Gather"},
				  {T_GatherMerge, "Gather Merge"},
				  {T_Material, "Materialize"},
				  {T_Memoize, "Memoize"},
				  {T_Sort, "Sort"},
				  {T_IncrementalSort, "Incremental Sort"},
				  {T_Group, "Group"},
				  {T_WindowAgg, "WindowAgg"},
				  {T_Unique, "Unique"},
				  {T_LockRows, "LockRows"},
				  {T_Limit, "Limit"},
				  {T_Hash, "Hash"}};

/* Returns a node's name out of the table. */
static const char *
plain_name(Plan *plan)
{
	for (int i = 0; i < (int) lengthof(node_names); i++)
	{
		if (node_names[i].tag == nodeTag(plan))
			return node_names[i].name;
	}
	return "???";
}

/* Returns EXPLAIN's name of what a ModifyTable or a foreign scan does. */
static const char *
command_name(CmdType operation)
{
	switch (operation)
	{
		case CMD_INSERT:
			return "Insert";
		case CMD_UPDATE:
			return "Update";
		case CMD_DELETE:
			return "Delete";
		case CMD_MERGE:
			return "Merge";
		default:
			return "Scan";
	}
}

/* Appends EXPLAIN's name of an Agg. */
static void
append_agg_name(StringInfo out, Agg *agg)
{
	static const char *const names[] = {[AGG_PLAIN] = "Aggregate",
										[AGG_SORTED] = "GroupAggregate",
										[AGG_HASHED] = "HashAggregate",
										[AGG_MIXED] = "MixedAggregate"};

	if (DO_AGGSPLIT_SKIPFINAL(agg->aggsplit))
		appendStringInfoString(out, "Partial ");
	else if (DO_AGGSPLIT_COMBINE(agg->aggsplit))
		appendStringInfoString(out, "Finalize ");

	appendStringInfoString(out, names[agg->aggstrategy]);
}

/* Appends a join's name: inner nested loops do not say that they join. */
static void
append_join_name(StringInfo out, Join *join)
{
	appendStringInfoString(out, plain_name(&join->plan));
	if (!IsA(join, NestLoop) || join->jointype != JOIN_INNER)
		appendStringInfo(out, "%s Join", join_type_name(join->jointype));
}

/* Appends a node's name as EXPLAIN writes it, up to what it works on. */
static void
append_node_name(StringInfo out, Plan *plan)
{
	if (plan->parallel_aware)
		appendStringInfoString(out, "Parallel ");
	switch (nodeTag(plan))
	{
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
			append_join_name(out, (Join *) plan);
			break;
		case T_Agg:
			append_agg_name(out, (Agg *) plan);
			break;
		case T_SetOp:
			appendStringInfoString(out, ((SetOp *) plan)->strategy == SETOP_HASHED ? "HashSetOp"
																				   : "SetOp");
			break;
		case T_ModifyTable:
			appendStringInfoString(out, command_name(((ModifyTable *) plan)->operation));
			break;
		case T_ForeignScan:
			appendStringInfo(out, "Foreign %s", command_name(((ForeignScan *) plan)->operation));
			break;
		case T_CustomScan:
			appendStringInfo(out, "Custom Scan (%s)", ((CustomScan *) plan)->methods->CustomName);
			break;
		default:
			appendStringInfoString(out, plain_name(plan));
			break;
	}
}

/* Appends " on relation alias" for a range table entry, if it has a name. */
static void
append_target(StringInfo out, PlannedStmt *stmt, Index rti)
{
	RangeTblEntry *rte;
	const char	  *alias;
	char		  *name = NULL;

	if (rti == 0 || rti > (Index) list_length(stmt->rtable))
		return;
	rte = rt_fetch(rti, stmt->rtable);
	alias = rte->eref != NULL ? rte->eref->aliasname : NULL;
	if (rte->rtekind == RTE_RELATION)
		name = get_rel_name(rte->relid);
	if (name != NULL)
		appendStringInfo(out, " on %s", quote_identifier(name));
	else if (alias != NULL)
		appendStringInfoString(out, " on");
	if (alias != NULL && (name == NULL || strcmp(name, alias) != 0))
		appendStringInfo(out, " %s", quote_identifier(alias));
}

/* Appends what a node works on: its index and its relation. */
static void
append_node_objects(StringInfo out, PlannedStmt *stmt, Plan *plan)
{
	ScanDirection dir;
	Oid			  indexid = dbperf_scanned_index(plan, &dir);
	const char	 *index = OidIsValid(indexid) ? get_rel_name(indexid) : NULL;

	if (ScanDirectionIsBackward(dir))
		appendStringInfoString(out, " Backward");
	if (IsA(plan, BitmapIndexScan))
	{
		/* Its relation stands in the Bitmap Heap Scan above it. */
		if (index != NULL)
			appendStringInfo(out, " on %s", quote_identifier(index));
		return;
	}
	if (index != NULL)
		appendStringInfo(out, " using %s", quote_identifier(index));
	if (IsA(plan, ModifyTable))
		append_target(out, stmt, ((ModifyTable *) plan)->nominalRelation);
	else
		append_target(out, stmt, dbperf_scanned_rti(plan));
}

/*
 * Ends a line that starts at offset "start" of the output.  A line that does
 * not fit is taken back; from then on nothing is written but the mark that
 * the outline is cut.
 */
static void
outline_end_line(OutlineState *state, int start)
{
	StringInfo out = state->out;
	int		   limit = state->start + dbperf_max_plan_length - (int) strlen(OUTLINE_END);

	appendStringInfoChar(out, '\n');
	if (++state->lines <= OUTLINE_MAX_LINES && out->len <= limit)
		return;

	state->full = true;
	out->len = start;
	out->data[start] = '\0';
	if (start <= limit)
		appendStringInfoString(out, OUTLINE_END);
}

/* PlanVisitor: writes the line of a node and then those of its children. */
static void
outline_node(Plan *plan, void *context)
{
	OutlineState *state = (OutlineState *) context;
	int			  start = state->out->len;

	check_stack_depth();

	if (state->full)
		return;
	if (state->level > 0)
	{
		appendStringInfoSpaces(state->out, 6 * state->level - 4);
		appendStringInfoString(state->out, "->  ");
	}
	append_node_name(state->out, plan);
	append_node_objects(state->out, state->stmt, plan);
	outline_end_line(state, start);

	state->level++;
	dbperf_plan_children(plan, outline_node, state);
	state->level--;
}

/*
 * Appends an outline of a plan's structure to *out: node names, relations and
 * indexes, indented as EXPLAIN does, no expressions; then each subplan under
 * the number that EXPLAIN gives it.  Cut after OUTLINE_MAX_LINES lines or
 * dbperf.max_plan_length bytes; a last line of three dots says so.
 *
 * Reads the catalogs for names, so the caller must be in a transaction that
 * has not failed; allocates in the current memory context.  Raises an error
 * if the plan is nested too deeply for the stack.
 */
void
dbperf_plan_structure(PlannedStmt *stmt, StringInfo out)
{
	OutlineState state;
	ListCell	*lc;
	int			 number = 0;

	memset(&state, 0, sizeof(state));
	state.stmt = stmt;
	state.out = out;
	state.start = out->len;

	if (stmt->planTree != NULL)
		outline_node(stmt->planTree, &state);
	foreach (lc, stmt->subplans)
	{
		int start = out->len;

		number++;
		if (lfirst(lc) == NULL || state.full)
			continue;
		appendStringInfo(out, "SubPlan %d", number);
		outline_end_line(&state, start);
		state.level = 1;
		outline_node((Plan *) lfirst(lc), &state);
	}
}
