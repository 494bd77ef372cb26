/*-------------------------------------------------------------------------
 *
 * cache_calls.c
 *		Judges calls of functions with their arguments.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "cache/cache_check.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

/* The expression of an argument, which is in a list of targets for aggregates. */
static Node *
argument_expr(Node *arg)
{
	return IsA(arg, TargetEntry) ? (Node *) ((TargetEntry *) arg)->expr : arg;
}

/*
 * The types of a list of targets, those left out that nobody sees.
 */
static List *
target_types(List *targets)
{
	List	 *types = NIL;
	ListCell *lc;

	foreach (lc, targets)
		if (!lfirst_node(TargetEntry, lc)->resjunk)
			types = lappend_oid(types, exprType((Node *) lfirst_node(TargetEntry, lc)->expr));
	return types;
}

/*
 * The types of the columns of a whole row that is a record, so that the row's
 * own type does not tell; NIL if it is none, or they are not known.
 */
static List *
record_types(Node *arg, CacheCheck *check)
{
	Var			  *var = (Var *) arg;
	RangeTblEntry *rte;

	if (!IsA(arg, Var) || var->varattno != InvalidAttrNumber || var->vartype != RECORDOID ||
		(int) var->varlevelsup >= list_length(check->levels))
		return NIL;
	rte = rt_fetch(var->varno, list_nth_node(Query, check->levels, var->varlevelsup)->rtable);
	switch (rte->rtekind)
	{
		case RTE_SUBQUERY:
			return target_types(rte->subquery->targetList);
		case RTE_VALUES:
		case RTE_CTE:
			return rte->coltypes;
		default:
			return NIL;
	}
}

/*
 * The types of arguments, as an OidList; a record stands for its columns if they
 * are known.
 */
List *
dbperf_argument_types(List *args, CacheCheck *check)
{
	List	 *types = NIL;
	ListCell *lc;

	foreach (lc, args)
	{
		Node *arg = argument_expr(lfirst(lc));
		List *columns = record_types(arg, check);

		if (columns != NIL)
			types = list_concat(types, columns);
		else
			types = lappend_oid(types, exprType(arg));
	}
	return types;
}

/*
 * Judges the arguments of a function.  Some functions take records to pieces;
 * they were judged by the types of the columns, and the record is not seen by
 * anybody else.
 */
static bool
check_arguments(Oid function, List *args, CacheCheck *check)
{
	bool	  takes_records = dbperf_takes_records(function);
	ListCell *lc;

	foreach (lc, args)
		if (!(takes_records && record_types(argument_expr(lfirst(lc)), check) != NIL) &&
			!dbperf_check_expr(lfirst(lc), check))
			return false;
	return true;
}

/*
 * The arguments of a call in the order of their declaration and with the
 * defaults of those that are missing, as planning makes them.
 */
static List *
complete_arguments(Oid function, List *args, Oid result)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	ListCell *lc;
	bool	  incomplete;

	if (!HeapTupleIsValid(tuple))
		return args;
	incomplete = list_length(args) < ((Form_pg_proc) GETSTRUCT(tuple))->pronargs;
	foreach (lc, args)
		incomplete |= IsA(lfirst(lc), NamedArgExpr);
	if (incomplete)
		args = expand_function_arguments(copyObject(args), false, result, tuple);
	ReleaseSysCache(tuple);
	return args;
}

/*
 * A setting that the statement reads: its value becomes part of the key, which
 * takes a name that is known.
 */
static bool
check_setting(Oid function, List *args, CacheCheck *check)
{
	Const	 *name = args != NIL ? linitial(args) : NULL;
	String	 *setting;
	ListCell *lc;

	if (name == NULL || !IsA(name, Const) || name->constisnull || name->consttype != TEXTOID)
		return dbperf_check_refuse(check, CACHE_BYPASS_STABLE,
								   "current_setting() of a name that is not a constant");
	setting = makeString(TextDatumGetCString(name->constvalue));
	foreach (lc, check->shape->settings)
		if (strcmp(strVal(lfirst(lc)), strVal(setting)) == 0)
			return true;
	check->shape->settings = lappend(check->shape->settings, setting);
	return true;
}

/*
 * A call and its arguments.
 */
bool
dbperf_check_call(Oid function, List *args, Oid result, CacheCheck *check)
{
	args = complete_arguments(function, args, result);
	if (!dbperf_check_function(check, function, dbperf_argument_types(args, check)))
		return false;
	if (dbperf_is_current_setting(function) && !check_setting(function, args, check))
		return false;
	return check_arguments(function, args, check);
}

/*
 * An aggregate.  In a plan its arguments may be the states of other processes.
 */
bool
dbperf_check_aggref(Aggref *aggref, CacheCheck *check)
{
	List *types = check->planned ? aggref->aggargtypes : dbperf_argument_types(aggref->args, check);

	return dbperf_check_type(check, aggref->aggtype) &&
		   dbperf_check_function(check, aggref->aggfnoid, types) &&
		   check_arguments(aggref->aggfnoid, aggref->args, check) &&
		   dbperf_check_expr((Node *) aggref->aggdirectargs, check) &&
		   dbperf_check_expr((Node *) aggref->aggorder, check) &&
		   dbperf_check_expr((Node *) aggref->aggdistinct, check) &&
		   dbperf_check_expr((Node *) aggref->aggfilter, check);
}

/*
 * A function in FROM.  Its result may be a record there: the columns have types
 * of their own, and the record itself is not seen.
 */
bool
dbperf_check_table_function(RangeTblFunction *function, CacheCheck *check)
{
	FuncExpr *call = (FuncExpr *) function->funcexpr;

	if (call != NULL && IsA(call, FuncExpr))
		return dbperf_check_call(call->funcid, call->args, call->funcresulttype, check);
	return dbperf_check_expr(function->funcexpr, check);
}
