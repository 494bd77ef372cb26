/*-------------------------------------------------------------------------
 *
 * usage_exprs.c
 *		Follows the Vars of a query down to the tables they come from.
 *
 * A condition on a view's column, a subquery's or a CTE's is a condition on
 * what that column is made of: the planner pushes it down, so it is followed
 * through FROM-subqueries, inlined CTEs and set operations.  Nothing here
 * evaluates or folds an expression.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/usages.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"

/* How many subqueries inside of each other are looked through. */
#define MAX_DEPTH 16

/* A range table entry of some level. */
typedef struct Home
{
	QueryLevel *level;
	int			rti;
} Home;

typedef struct HomesContext
{
	QueryLevel *level;
	int			sublevels_up;
	List	   *homes;
} HomesContext;

typedef struct SubstituteContext
{
	QueryLevel *target; /* whose output columns replace ... */
	QueryLevel *home;	/* ... the Vars of this level's ... */
	QueryLevel *level;	/* (where the expression stands) */
	int			rti;	/* ... range table entry */
	bool		failed;
} SubstituteContext;

/* The level "up" levels above, or NULL. */
static QueryLevel *
level_up(QueryLevel *level, int up)
{
	while (level != NULL && up-- > 0)
		level = level->parent;
	return level;
}

/* The range table entry that a Var of a level means; NULL if there is none. */
static RangeTblEntry *
var_rte(QueryLevel *level, Var *var, QueryLevel **home)
{
	*home = level_up(level, var->varlevelsup);
	if (*home == NULL || var->varno < 1 || var->varno > list_length((*home)->query->rtable))
		return NULL;
	return rt_fetch(var->varno, (*home)->query->rtable);
}

/*
 * Replaces Vars of joins and of grouping steps by what they stand for.
 */
static Node *
canonical_mutator(Node *node, void *arg)
{
	QueryLevel *level = arg;

	if (node == NULL)
		return NULL;
	if (IsA(node, Query))
		return node;
	if (IsA(node, Var))
	{
		Var			  *var = (Var *) node;
		QueryLevel	  *home;
		RangeTblEntry *rte = var_rte(level, var, &home);
		List		  *exprs = NIL;
		Node		  *expr;

		if (rte == NULL)
			return node;
		if (rte->rtekind == RTE_JOIN)
			exprs = rte->joinaliasvars;
		else
			exprs = DBPERF_GROUP_EXPRS(rte);
		if (var->varattno < 1 || var->varattno > list_length(exprs))
			return node;
		check_stack_depth();
		expr = copyObject(list_nth(exprs, var->varattno - 1));
		if (expr == NULL)
			return node;
		expr = canonical_mutator(expr, home);
		if (var->varlevelsup > 0)
		{
			expr = copyObject(expr);
			IncrementVarSublevelsUp(expr, var->varlevelsup, 0);
		}
		return expr;
	}
	return expression_tree_mutator(node, canonical_mutator, arg);
}

/*
 * An expression of a level with Vars of base relations, subqueries and the
 * like only: none of joins and, from 18 on, of the grouping step.  Subqueries
 * inside of it stay the same nodes.
 */
Node *
dbperf_usage_canonical(QueryLevel *level, Node *node)
{
	return canonical_mutator(node, level);
}

/* Collects the range table entries of Vars, see homes_of(). */
static bool
homes_walker(Node *node, void *arg)
{
	HomesContext *context = arg;

	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;
		QueryLevel *level;
		ListCell   *lc;
		Home	   *home;

		if ((int) var->varlevelsup < context->sublevels_up)
			return false;
		level = level_up(context->level, var->varlevelsup - context->sublevels_up);
		foreach (lc, context->homes)
		{
			home = lfirst(lc);
			if (home->level == level && home->rti == var->varno)
				return false;
		}
		home = palloc(sizeof(Home));
		home->level = level;
		home->rti = var->varno;
		context->homes = lappend(context->homes, home);
		return false;
	}
	if (IsA(node, Query))
	{
		bool result;

		context->sublevels_up++;
		result = query_tree_walker((Query *) node, homes_walker, context, QTW_IGNORE_JOINALIASES);
		context->sublevels_up--;
		return result;
	}
	return expression_tree_walker(node, homes_walker, context);
}

/*
 * The range table entries (Home) whose columns an expression uses: those of
 * outer levels included, those of its own sublinks not.
 */
static List *
homes_of(QueryLevel *level, Node *node)
{
	HomesContext context = {level, 0, NIL};

	homes_walker(node, &context);
	return context.homes;
}

/*
 * What an expression's columns come from, as a number that is the same for the
 * same range table entry: 0 if it has no columns, -1 if from several.
 */
int
dbperf_usage_partner(QueryLevel *level, Node *node)
{
	List *homes = homes_of(level, node);
	Home *home;

	if (homes == NIL)
		return 0;
	home = linitial(homes);
	if (list_length(homes) > 1 || home->level == NULL)
		return -1;
	return (home->level->serial << 12) + home->rti;
}

/*
 * Whether "other" can be computed before a row of key's table is read: it uses
 * no column of it and is not volatile.
 */
bool
dbperf_usage_independent(QueryLevel *level, Node *key, Node *other)
{
	List	 *keys = homes_of(level, key);
	List	 *others = homes_of(level, other);
	ListCell *lc;

	foreach (lc, keys)
	{
		Home	 *home = lfirst(lc);
		ListCell *lc2;

		foreach (lc2, others)
		{
			Home *second = lfirst(lc2);

			if (home->level == second->level && home->rti == second->rti)
				return false;
		}
	}
	return !contain_volatile_functions(other);
}

/* Finds what no index expression may have. */
static bool
unfit_walker(Node *node, void *arg)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
			return ((Var *) node)->varattno <= 0;
		case T_Param:
		case T_Aggref:
		case T_WindowFunc:
		case T_GroupingFunc:
		case T_SubLink:
		case T_Query:
		case T_SetToDefault:
		case T_CurrentOfExpr:
		case T_NextValueExpr:
		case T_SQLValueFunction:
		case T_CoerceToDomainValue:
			return true;
		default:
			return expression_tree_walker(node, unfit_walker, arg);
	}
}

/* Makes every Var one of relation 1, freed of what the query adds to it. */
static Node *
rebase_mutator(Node *node, void *arg)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		Var *var = (Var *) node;

		return (Node *) makeVar(1, var->varattno, var->vartype, var->vartypmod, var->varcollid, 0);
	}
	return expression_tree_mutator(node, rebase_mutator, arg);
}

/* Strips what does not matter when an index column is matched. */
static Node *
strip(Node *node)
{
	for (;;)
	{
		if (node != NULL && IsA(node, RelabelType))
			node = (Node *) ((RelabelType *) node)->arg;
		else if (node != NULL && IsA(node, CollateExpr))
			node = (Node *) ((CollateExpr *) node)->arg;
		else
			return node;
	}
}

/*
 * Fills the column for an expression that uses one table only; false if no
 * index can have it.
 */
static bool
column_of(Node *node, IndexColumn *column)
{
	memset(column, 0, sizeof(IndexColumn));
	column->type = exprType(node);
	column->typmod = exprTypmod(node);
	column->collation = exprCollation(node);
	if (get_typtype(column->type) == TYPTYPE_PSEUDO)
		return false;
	if (IsA(node, Var))
	{
		column->attno = ((Var *) node)->varattno;
		return column->attno > 0;
	}
	if (unfit_walker(node, NULL) || expression_returns_set(node) || contain_mutable_functions(node))
		return false;
	if (type_is_collatable(column->type) && !OidIsValid(column->collation))
		return false;
	column->expr = rebase_mutator(node, NULL);
	return true;
}

/* The level whose rows a CTE's entry shows, or NULL. */
QueryLevel *
dbperf_usage_cte_level(QueryLevel *level, RangeTblEntry *rte)
{
	QueryLevel *owner = level_up(level, rte->ctelevelsup);
	ListCell   *lc;
	ListCell   *lc2;

	if (owner == NULL || rte->self_reference)
		return NULL;
	forboth (lc, owner->query->cteList, lc2, owner->ctes)
	{
		if (strcmp(((CommonTableExpr *) lfirst(lc))->ctename, rte->ctename) == 0)
			return lfirst(lc2);
	}
	return NULL;
}

/* Whether the planner may inline the CTE, so that conditions reach inside. */
static bool
cte_inlined(QueryLevel *level, RangeTblEntry *rte)
{
	QueryLevel *owner = level_up(level, rte->ctelevelsup);
	ListCell   *lc;

	if (owner == NULL || rte->self_reference)
		return false;
	foreach (lc, owner->query->cteList)
	{
		CommonTableExpr *cte = lfirst(lc);

		if (strcmp(cte->ctename, rte->ctename) == 0)
			return !cte->cterecursive && cte->ctematerialized != CTEMaterializeAlways &&
				   (cte->cterefcount == 1 || cte->ctematerialized == CTEMaterializeNever);
	}
	return false;
}

/*
 * Replaces Vars of a subquery's entry by the subquery's output expressions, as
 * they stand inside of it.
 */
static Node *
substitute_mutator(Node *node, void *arg)
{
	SubstituteContext *context = arg;

	if (node == NULL)
		return NULL;
	if (IsA(node, Query))
	{
		context->failed = true;
		return node;
	}
	if (IsA(node, Var))
	{
		Var			*var = (Var *) node;
		TargetEntry *tle;

		if (var->varno != context->rti ||
			level_up(context->level, var->varlevelsup) != context->home || var->varattno < 1)
		{
			context->failed = true;
			return node;
		}
		tle = get_tle_by_resno(context->target->query->targetList, var->varattno);
		if (tle == NULL || tle->resjunk)
		{
			context->failed = true;
			return node;
		}
		return dbperf_usage_canonical(context->target, (Node *) tle->expr);
	}
	return expression_tree_mutator(node, substitute_mutator, arg);
}

static void keys_of(QueryLevel *level, Node *node, int depth, List **out);

/* Follows an expression over the columns of one subquery into it. */
static void
keys_below(QueryLevel *level, Node *node, Home *home, QueryLevel *target, int depth, List **out)
{
	SubstituteContext context = {target, home->level, level, home->rti, false};
	Node			 *below;

	if (target == NULL || depth >= MAX_DEPTH)
		return;
	if (target->query->setOperations != NULL)
	{
		int rti = 0;

		/* output columns of a set operation are those of its arms */
		for (rti = 1; rti <= list_length(target->query->rtable); rti++)
		{
			if (target->subs[rti - 1] != NULL)
				keys_below(level, node, home, target->subs[rti - 1], depth + 1, out);
		}
		return;
	}
	if (target->query->commandType != CMD_SELECT)
		return;
	below = substitute_mutator(node, &context);
	if (!context.failed)
		keys_of(target, below, depth + 1, out);
}

/* Follows an expression of a level to base relations. */
static void
keys_of(QueryLevel *level, Node *node, int depth, List **out)
{
	List		  *homes;
	Home		  *home;
	RangeTblEntry *rte;

	check_stack_depth();
	node = strip(node);
	homes = homes_of(level, node);
	if (list_length(homes) != 1)
		return;
	home = linitial(homes);
	if (home->level == NULL || home->rti < 1 || home->rti > list_length(home->level->query->rtable))
		return;
	rte = rt_fetch(home->rti, home->level->query->rtable);
	if (rte->rtekind == RTE_RELATION)
	{
		TableUse *use = home->level->tables[home->rti - 1];
		UsageKey  key;

		if (use != NULL && column_of(node, &key.column))
		{
			key.use = use;
			*out = lappend(*out, memcpy(palloc(sizeof(key)), &key, sizeof(key)));
		}
	}
	else if (rte->rtekind == RTE_SUBQUERY)
		keys_below(level, node, home, home->level->subs[home->rti - 1], depth, out);
	else if (rte->rtekind == RTE_CTE && cte_inlined(home->level, rte))
		keys_below(level, node, home, dbperf_usage_cte_level(home->level, rte), depth, out);
}

/*
 * The columns or expressions of base tables (UsageKey) that a canonical
 * expression of a level is; several for set operations, none if an index
 * cannot have it.
 */
List *
dbperf_usage_keys(QueryLevel *level, Node *node)
{
	List *out = NIL;

	keys_of(level, node, 0, &out);
	return out;
}

/*
 * A whole condition as the predicate of a partial index on the table; NULL if
 * it is not a condition on exactly that table, or an index cannot have it.
 */
Node *
dbperf_usage_clause(QueryLevel *level, Node *clause, TableUse *use)
{
	List	 *keys = dbperf_usage_keys(level, clause);
	ListCell *lc;

	foreach (lc, keys)
	{
		UsageKey	*key = lfirst(lc);
		IndexColumn *column = &key->column;

		if (key->use != use)
			continue;
		if (column->expr != NULL)
			return column->expr;
		return (Node *) makeVar(1, column->attno, column->type, column->typmod, column->collation,
								0);
	}
	return NULL;
}
