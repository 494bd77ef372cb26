/*-------------------------------------------------------------------------
 *
 * param_places.c
 *		What the parameters of a statement are compared with.
 *
 * A constant may be a parameter, too: a query that ran more than once had other
 * constants the other times.  Of a column with many values, of which some are
 * far more common than the rest, the one that was recorded says little; so
 * there equality with a constant is made equality with a parameter.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "advisor/workload_int.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_statistic.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* so many constants of one statement become parameters at most */
#define MAX_VARIED 16

typedef struct PlaceWalk
{
	List	   *queries; /* innermost first, for levelsup */
	ParamPlace *places;
	int			nparams; /* real parameters */
	int			nplaces; /* and constants behind them */
	bool		vary;
} PlaceWalk;

/*
 * The table's column that a Var stands for, through joins and subqueries.
 */
static bool
find_column(List *queries, Var *var, ParamPlace *place)
{
	for (int depth = 0; depth < 20 && (int) var->varlevelsup < list_length(queries); depth++)
	{
		Query		  *query = list_nth(queries, var->varlevelsup);
		RangeTblEntry *rte;
		Node		  *node;

		if (IS_SPECIAL_VARNO(var->varno) || var->varno > list_length(query->rtable))
			return false;
		rte = rt_fetch(var->varno, query->rtable);
		queries = list_copy_tail(queries, var->varlevelsup);
		if (rte->rtekind == RTE_RELATION)
		{
			place->relid = rte->relid;
			place->attno = var->varattno;
			return var->varattno > 0;
		}
		if (var->varattno <= 0)
			return false;
		if (rte->rtekind == RTE_JOIN)
			node = list_nth(rte->joinaliasvars, var->varattno - 1);
		else if (rte->rtekind == RTE_SUBQUERY)
		{
			TargetEntry *target = get_tle_by_resno(rte->subquery->targetList, var->varattno);

			node = target != NULL ? (Node *) target->expr : NULL;
			queries = lcons(rte->subquery, queries);
		}
		else
			return false;
		while (node != NULL && IsA(node, RelabelType))
			node = (Node *) ((RelabelType *) node)->arg;
		if (node == NULL || !IsA(node, Var))
			return false;
		var = (Var *) node;
	}
	return false;
}

/*
 * Where an argument stands without casts that change no value.
 */
static Node **
strip_relabel(Node **slot)
{
	while (*slot != NULL && IsA(*slot, RelabelType))
		slot = (Node **) &((RelabelType *) *slot)->arg;
	return slot;
}

/*
 * What an operator with the column on its left asks for.
 */
static ParamUse
operator_use(Oid operator)
{
	switch (dbperf_operator_strategy(operator))
	{
		case BTEqualStrategyNumber:
			return PARAM_EQUAL;
		case BTLessStrategyNumber:
		case BTLessEqualStrategyNumber:
			return PARAM_UPPER;
		case BTGreaterStrategyNumber:
		case BTGreaterEqualStrategyNumber:
			return PARAM_LOWER;
		default:
			return PARAM_UNUSED;
	}
}

/*
 * Whether a column has many values and some of them are far more common than
 * the rest.
 */
static bool
is_skewed(Oid relid, AttrNumber attno)
{
	AttStatsSlot common = {0};
	AttStatsSlot histogram = {0};
	HeapTuple	 tuple;
	bool		 skewed;

	tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(relid), Int16GetDatum(attno),
							BoolGetDatum(has_subclass(relid)));
	if (!HeapTupleIsValid(tuple))
		return false;
	skewed =
		get_attstatsslot(&common, tuple, STATISTIC_KIND_MCV, InvalidOid, ATTSTATSSLOT_NUMBERS) &&
		get_attstatsslot(&histogram, tuple, STATISTIC_KIND_HISTOGRAM, InvalidOid, 0);
	free_attstatsslot(&common);
	free_attstatsslot(&histogram);
	ReleaseSysCache(tuple);
	return skewed;
}

/*
 * Puts a parameter in place of a constant, if that says little.
 */
static void
vary_constant(PlaceWalk *walk, Oid operator, Var * column, Node **slot)
{
	Const	  *constant = (Const *) *slot;
	ParamPlace place = {0};
	Param	  *param;

	if (!walk->vary || constant->constisnull || walk->nplaces == walk->nparams + MAX_VARIED ||
		operator_use(operator) != PARAM_EQUAL || !find_column(walk->queries, column, &place) ||
		!is_skewed(place.relid, place.attno))
		return;
	place.use = PARAM_EQUAL;
	place.constant = constant;
	walk->places[walk->nplaces++] = place;

	param = makeNode(Param);
	param->paramkind = PARAM_EXTERN;
	param->paramid = walk->nplaces;
	param->paramtype = constant->consttype;
	param->paramtypmod = constant->consttypmod;
	param->paramcollid = constant->constcollid;
	param->location = constant->location;
	*slot = (Node *) param;
}

/*
 * Notes what a parameter is compared with, unless that is known already.
 */
static void
note_comparison(PlaceWalk *walk, Oid operator, Node ** left, Node **right)
{
	ParamPlace *place;
	Param	   *param;

	left = strip_relabel(left);
	right = strip_relabel(right);
	if (!IsA(*left, Var) && IsA(*right, Var))
	{
		Node **swap = left;

		operator= get_commutator(operator);
		left = right;
		right = swap;
	}
	if (!IsA(*left, Var) || !OidIsValid(operator))
		return;
	if (IsA(*right, Const))
		vary_constant(walk, operator,(Var *) * left, right);
	if (!IsA(*right, Param))
		return;
	param = (Param *) *right;
	if (param->paramkind != PARAM_EXTERN || param->paramid > walk->nparams)
		return;
	place = &walk->places[param->paramid - 1];
	if (place->use == PARAM_UNUSED && find_column(walk->queries, (Var *) *left, place))
		place->use = operator_use(operator);
}

/*
 * Notes the parameter of a LIMIT or OFFSET.
 */
static void
note_limit(PlaceWalk *walk, Node *node, ParamUse use)
{
	if (node != NULL && IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXTERN &&
		((Param *) node)->paramid <= walk->nparams)
		walk->places[((Param *) node)->paramid - 1].use = use;
}

/*
 * The elements of an IN list.
 */
static void
note_elements(PlaceWalk *walk, ScalarArrayOpExpr *expr)
{
	Node	**column = (Node **) &linitial(expr->args);
	Node	 *array = *strip_relabel((Node **) &lsecond(expr->args));
	ListCell *lc;

	if (array == NULL || !IsA(array, ArrayExpr))
		return;
	foreach (lc, ((ArrayExpr *) array)->elements)
		note_comparison(walk, expr->opno, column, (Node **) &lfirst(lc));
}

static bool
place_walker(Node *node, void *context)
{
	PlaceWalk *walk = context;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query *query = (Query *) node;
		bool   result;

		walk->queries = lcons(query, walk->queries);
		note_limit(walk, query->limitCount, PARAM_LIMIT);
		note_limit(walk, query->limitOffset, PARAM_OFFSET);
		result = query_tree_walker(query, place_walker, context, 0);
		walk->queries = list_delete_first(walk->queries);
		return result;
	}
	if (IsA(node, OpExpr) && list_length(((OpExpr *) node)->args) == 2)
		note_comparison(walk, ((OpExpr *) node)->opno, (Node **) &linitial(((OpExpr *) node)->args),
						(Node **) &lsecond(((OpExpr *) node)->args));
	if (IsA(node, ScalarArrayOpExpr))
		note_elements(walk, (ScalarArrayOpExpr *) node);
	return expression_tree_walker(node, place_walker, context);
}

/*
 * Finds the places of nparams parameters in rewritten queries.  With vary,
 * constants become parameters with numbers above; *nplaces is the highest.
 */
ParamPlace *
dbperf_param_places(List *queries, int nparams, bool vary, int *nplaces)
{
	PlaceWalk walk = {.nparams = nparams, .nplaces = nparams, .vary = vary};

	walk.places = palloc0((nparams + MAX_VARIED) * sizeof(ParamPlace));
	if (nparams > 0 || vary)
		(void) place_walker((Node *) queries, &walk);
	*nplaces = walk.nplaces;
	return walk.places;
}
