/*-------------------------------------------------------------------------
 *
 * cache_exprs.c
 *		One walk over a tree, or over expressions of a plan, that judges each node.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "cache/cache_check.h"
#include "catalog/heap.h"
#include "core/compat.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static bool check_walker(Node *node, void *context);

static bool
check_entry(RangeTblEntry *rte, CacheCheck *check)
{
	switch (rte->rtekind)
	{
		case RTE_RELATION:
			if (!dbperf_check_relation(check, rte->relid))
				return false;
			if (rte->tablesample != NULL)
				return dbperf_check_refuse(check, CACHE_BYPASS_TABLESAMPLE,
										   get_rel_name(rte->relid));
			return true;
		case RTE_TABLEFUNC:
			return dbperf_check_refuse(check, CACHE_BYPASS_STABLE, "a table function of SQL");
		case RTE_NAMEDTUPLESTORE:
			return dbperf_check_refuse(check, CACHE_BYPASS_TRANSIENT, rte->enrname);
		default:
			return true;
	}
}

/* ---- expressions ---- */

/*
 * What is not a function, but says who, where or when.
 */
static bool
check_value_function(SQLValueFunction *value, CacheCheck *check)
{
	switch (value->op)
	{
		case SVFOP_CURRENT_ROLE:
		case SVFOP_CURRENT_USER:
		case SVFOP_USER:
		case SVFOP_SESSION_USER:
			check->shape->by_role = true;
			return true;
		case SVFOP_CURRENT_CATALOG:
			return dbperf_check_refuse(check, CACHE_BYPASS_STABLE, "current_catalog");
		case SVFOP_CURRENT_SCHEMA:
			return dbperf_check_refuse(check, CACHE_BYPASS_STABLE, "current_schema");
		case SVFOP_CURRENT_DATE:
			return dbperf_check_refuse(check, CACHE_BYPASS_TIME, "current_date");
		case SVFOP_CURRENT_TIME:
		case SVFOP_CURRENT_TIME_N:
			return dbperf_check_refuse(check, CACHE_BYPASS_TIME, "current_time");
		case SVFOP_LOCALTIME:
		case SVFOP_LOCALTIME_N:
			return dbperf_check_refuse(check, CACHE_BYPASS_TIME, "localtime");
		case SVFOP_LOCALTIMESTAMP:
		case SVFOP_LOCALTIMESTAMP_N:
			return dbperf_check_refuse(check, CACHE_BYPASS_TIME, "localtimestamp");
		default:
			return dbperf_check_refuse(check, CACHE_BYPASS_TIME, "current_timestamp");
	}
}

static bool
check_var(Var *var, CacheCheck *check)
{
	if (var->varattno < 0 && !IS_SPECIAL_VARNO(var->varno))
		return dbperf_check_refuse(check, CACHE_BYPASS_SYSTEM_COLUMN,
								   var->varattno > FirstLowInvalidHeapAttributeNumber
									   ? NameStr(SystemAttributeDefinition(var->varattno)->attname)
									   : NULL);
	return dbperf_check_type(check, var->vartype);
}

static bool
check_param(Param *param, CacheCheck *check)
{
	List *params = check->shape->params;

	if (!dbperf_check_type(check, param->paramtype))
		return false;
	if (param->paramkind != PARAM_EXTERN || list_member_int(params, param->paramid))
		return true;
	if (list_length(params) >= CACHE_MAX_PARAMS)
		return dbperf_check_refuse(check, CACHE_BYPASS_TOO_LARGE, "too many parameters");
	params = lappend_int(params, param->paramid);
	list_sort(params, list_int_cmp);
	check->shape->params = params;
	return true;
}

/*
 * The functions of IN with an array: the planner may choose to look it up in a
 * hash table.
 */
static bool
check_array_operator(ScalarArrayOpExpr *expr, CacheCheck *check)
{
	Oid	  array = exprType(lsecond(expr->args));
	List *types = list_make2_oid(exprType(linitial(expr->args)), get_base_element_type(array));

	if (!dbperf_check_operator(check, expr->opno, types))
		return false;
	if (OidIsValid(expr->hashfuncid) && !dbperf_check_function(check, expr->hashfuncid, NIL))
		return false;
	return !OidIsValid(expr->negfuncid) || dbperf_check_function(check, expr->negfuncid, types);
}

static bool
check_operators(List *operators, CacheCheck *check)
{
	ListCell *lc;

	foreach (lc, operators)
		if (!dbperf_check_operator(check, lfirst_oid(lc), NIL))
			return false;
	return true;
}

static bool
check_sort_group(SortGroupClause *clause, CacheCheck *check)
{
	return (!OidIsValid(clause->eqop) || dbperf_check_operator(check, clause->eqop, NIL)) &&
		   (!OidIsValid(clause->sortop) || dbperf_check_operator(check, clause->sortop, NIL));
}

/*
 * The columns of UNION and the like; walking the tree leaves them out.
 */
static bool
check_set_operation(SetOperationStmt *operation, CacheCheck *check)
{
	ListCell *lc;

	foreach (lc, operation->groupClauses)
		if (!check_sort_group(lfirst_node(SortGroupClause, lc), check))
			return false;
	return true;
}

static bool
check_window(WindowClause *window, CacheCheck *check)
{
	return (!OidIsValid(window->startInRangeFunc) ||
			dbperf_check_function(check, window->startInRangeFunc, NIL)) &&
		   (!OidIsValid(window->endInRangeFunc) ||
			dbperf_check_function(check, window->endInRangeFunc, NIL));
}

/*
 * Nodes that compute with functions, except for calls.
 */
static bool
check_operation(Node *node, CacheCheck *check)
{
	switch (nodeTag(node))
	{
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
			return dbperf_check_operator(check, ((OpExpr *) node)->opno,
										 dbperf_argument_types(((OpExpr *) node)->args, check));
		case T_ScalarArrayOpExpr:
			return check_array_operator((ScalarArrayOpExpr *) node, check);
		case T_RowCompareExpr:
			return check_operators(((RowCompareExpr *) node)->opnos, check);
		case T_CoerceViaIO:
			return dbperf_check_type_output(check,
											exprType((Node *) ((CoerceViaIO *) node)->arg)) &&
				   dbperf_check_type_input(check, ((CoerceViaIO *) node)->resulttype);
		case T_SQLValueFunction:
			return check_value_function((SQLValueFunction *) node, check);
		default:
			return true;
	}
}

/*
 * One node of an expression.
 */
static bool
check_expression(Node *node, CacheCheck *check)
{
	switch (nodeTag(node))
	{
		case T_Var:
			return check_var((Var *) node, check);
		case T_Param:
			return check_param((Param *) node, check);
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_ScalarArrayOpExpr:
		case T_RowCompareExpr:
		case T_CoerceViaIO:
		case T_SQLValueFunction:
		case T_Const:
		case T_GroupingFunc:
		case T_SubscriptingRef:
		case T_BoolExpr:
		case T_SubLink:
		case T_SubPlan:
		case T_FieldSelect:
		case T_RelabelType:
		case T_ArrayCoerceExpr:
		case T_ConvertRowtypeExpr:
		case T_CollateExpr:
		case T_CaseExpr:
		case T_CaseTestExpr:
		case T_ArrayExpr:
		case T_RowExpr:
		case T_CoalesceExpr:
		case T_MinMaxExpr:
		case T_NullTest:
		case T_BooleanTest:
			return dbperf_check_type(check, exprType(node)) && check_operation(node, check);
		case T_CoerceToDomain:
		case T_CoerceToDomainValue:
			return dbperf_check_refuse(check, CACHE_BYPASS_DOMAIN, format_type_be(exprType(node)));
		case T_NextValueExpr:
			return dbperf_check_refuse(check, CACHE_BYPASS_VOLATILE, "nextval()");
		case T_XmlExpr:
			return dbperf_check_refuse(check, CACHE_BYPASS_STABLE, "an expression of XML");
		default:
			if (DBPERF_IS_JSON_EXPR(node))
				return dbperf_check_refuse(check, CACHE_BYPASS_STABLE, "an SQL/JSON expression");
			return dbperf_check_refuse(check, CACHE_BYPASS_STABLE,
									   "an expression that is not known");
	}
}

/*
 * One node of any kind, except for those that check_walker() knows itself.
 */
static bool
check_node(Node *node, CacheCheck *check)
{
	switch (nodeTag(node))
	{
		case T_List:
		case T_TargetEntry:
		case T_RangeTblRef:
		case T_JoinExpr:
		case T_FromExpr:
		case T_NamedArgExpr:
		case T_CommonTableExpr:
		case T_CTESearchClause:
			return true;
		case T_CTECycleClause:
			return dbperf_check_operator(check, ((CTECycleClause *) node)->cycle_mark_neop, NIL);
		case T_SortGroupClause:
			return check_sort_group((SortGroupClause *) node, check);
		case T_WindowClause:
			return check_window((WindowClause *) node, check);
		case T_SetOperationStmt:
			return check_set_operation((SetOperationStmt *) node, check);
		default:
			return check_expression(node, check);
	}
}

/*
 * One level of a query.
 */
static bool
check_level(Query *query, CacheCheck *check)
{
	if (query->commandType != CMD_SELECT || query->utilityStmt != NULL || query->hasModifyingCTE)
		return dbperf_check_refuse(check, CACHE_BYPASS_NO_SELECT, NULL);
	if (query->rowMarks != NIL || query->hasForUpdate)
		return dbperf_check_refuse(check, CACHE_BYPASS_LOCKS_ROWS, NULL);
	if (query->hasRowSecurity)
		check->shape->by_role = true;
	return true;
}

/*
 * A query, with its own level of the range table.
 */
static bool
check_query(Query *query, CacheCheck *check)
{
	bool ok;

	if (!check_level(query, check))
		return false;
	check->levels = lcons(query, check->levels);
	ok = !query_tree_walker(query, check_walker, check,
							QTW_EXAMINE_RTES_BEFORE | QTW_EXAMINE_SORTGROUP);
	check->levels = list_delete_first(check->levels);
	return ok;
}

/*
 * Stops with true at the first thing that cannot be cached.
 */
static bool
check_walker(Node *node, void *context)
{
	CacheCheck *check = context;

	if (node == NULL)
		return false;
	if (++check->nodes > CACHE_MAX_NODES)
		return !dbperf_check_refuse(check, CACHE_BYPASS_TOO_LARGE, NULL);
	switch (nodeTag(node))
	{
		case T_Query:
			return !check_query((Query *) node, check);
		case T_RangeTblEntry:
			/* what is in it comes by itself */
			return !check_entry((RangeTblEntry *) node, check);
		case T_RangeTblFunction:
			return !dbperf_check_table_function((RangeTblFunction *) node, check);
		case T_FuncExpr:
			return !dbperf_check_type(check, ((FuncExpr *) node)->funcresulttype) ||
				   !dbperf_check_call(((FuncExpr *) node)->funcid, ((FuncExpr *) node)->args,
									  ((FuncExpr *) node)->funcresulttype, check);
		case T_Aggref:
			return !dbperf_check_aggref((Aggref *) node, check);
		case T_WindowFunc:
			return !dbperf_check_type(check, ((WindowFunc *) node)->wintype) ||
				   !dbperf_check_call(((WindowFunc *) node)->winfnoid, ((WindowFunc *) node)->args,
									  ((WindowFunc *) node)->wintype, check) ||
				   check_walker((Node *) ((WindowFunc *) node)->aggfilter, context);
		default:
			return !check_node(node, check) || expression_tree_walker(node, check_walker, context);
	}
}

/*
 * An expression, or a list of them; NULL is none.
 */
bool
dbperf_check_expr(Node *node, CacheCheck *check)
{
	return !check_walker(node, check);
}
