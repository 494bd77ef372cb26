/*-------------------------------------------------------------------------
 *
 * usage_clauses.c
 *		The conditions of one level of a query, as an index could serve them.
 *
 * Conditions that are ANDed belong to the table's use; each arm of an OR is a
 * list of its own, which a bitmap of several indexes can serve.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/usages.h"
#include "catalog/pg_operator.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"

/* More equal columns than this are not chained to each other. */
#define MAX_CLASSES 64

/* Expressions that the level's conditions make equal. */
typedef struct EqualClass
{
	List *members; /* Node, canonical */
	Node *value;   /* one that depends on no table, or NULL */
	Oid	  opno;	   /* an equality operator between members */
	Oid	  collation;
} EqualClass;

typedef struct ClauseContext
{
	QueryUses  *uses;
	QueryLevel *level;
	List	  **out;	 /* Condition */
	List	  **classes; /* EqualClass, or NULL inside of an OR */
} ClauseContext;

/* A comparison, as one of its sides sees it. */
typedef struct Comparison
{
	Node *clause; /* all of it, or NULL */
	Oid	  opno;	  /* with the key on the left */
	Oid	  collation;
	Node *other; /* the other side, or NULL */
	int	  partner;
	bool  list; /* = ANY */
} Comparison;

static void clause_walk(ClauseContext *context, Node *clause);

/*
 * Adds the conditions that "key opno ..." puts on tables.  partner says what
 * it is compared with (dbperf_usage_partner()), other is that, if known.
 */
static void
key_emit(ClauseContext *context, QueryLevel *level, Node *key, const Comparison *comparison)
{
	List	 *keys;
	ListCell *lc;

	if (!OidIsValid(comparison->opno))
		return;
	keys = dbperf_usage_keys(level, key);
	foreach (lc, keys)
	{
		UsageKey *found = lfirst(lc);
		Condition condition;

		memset(&condition, 0, sizeof(condition));
		condition.use = found->use;
		condition.kind = comparison->partner == 0 ? USAGE_EQUAL : USAGE_JOIN;
		condition.column = found->column;
		condition.opno = comparison->opno;
		condition.partner = comparison->partner;
		condition.list = comparison->list;
		if (OidIsValid(comparison->collation) && type_is_collatable(condition.column.type))
			condition.column.collation = comparison->collation;
		if (comparison->clause != NULL && comparison->partner == 0)
			condition.clause = dbperf_usage_clause(level, comparison->clause, found->use);
		if (comparison->other != NULL && IsA(comparison->other, Const))
			condition.value = (Const *) comparison->other;
		dbperf_usages_of_operator(context->uses, &condition, comparison->other, context->out);
	}
}

/* The same for "key opno other" where both are expressions of this level. */
static void
side_emit(ClauseContext *context, Node *clause, Oid opno, Oid collation, Node *key, Node *other,
		  bool list)
{
	Comparison comparison;

	if (!dbperf_usage_independent(context->level, key, other))
		return;
	comparison.clause = clause;
	comparison.opno = opno;
	comparison.collation = collation;
	comparison.other = other;
	comparison.partner = dbperf_usage_partner(context->level, other);
	comparison.list = list;
	key_emit(context, context->level, key, &comparison);
}

/* The class that has the expression, or NULL. */
static EqualClass *
class_of(List *classes, Node *node)
{
	ListCell *lc;

	foreach (lc, classes)
	{
		EqualClass *class = lfirst(lc);

		if (list_member(class->members, node))
			return class;
	}
	return NULL;
}

/* Notes that two canonical expressions are equal, for chains_emit(). */
static void
equality_note(ClauseContext *context, OpExpr *op, Node *left, Node *right)
{
	EqualClass *a;
	EqualClass *b;
	bool		left_fixed = dbperf_usage_partner(context->level, left) == 0;
	bool		right_fixed = dbperf_usage_partner(context->level, right) == 0;

	if (context->classes == NULL || list_length(*context->classes) > MAX_CLASSES ||
		!op_mergejoinable(op->opno, exprType(left)) || (left_fixed && right_fixed))
		return;
	if (left_fixed)
	{
		Node *swap = left;

		left = right;
		right = swap;
		right_fixed = true;
	}
	a = class_of(*context->classes, left);
	if (a == NULL)
	{
		a = palloc0(sizeof(EqualClass));
		a->members = list_make1(left);
		a->opno = op->opno;
		a->collation = op->inputcollid;
		*context->classes = lappend(*context->classes, a);
	}
	if (right_fixed)
	{
		if (a->value == NULL)
			a->value = right;
		return;
	}
	b = class_of(*context->classes, right);
	if (b == NULL)
		a->members = lappend(a->members, right);
	else if (b != a)
	{
		a->members = list_concat(a->members, b->members);
		if (a->value == NULL)
			a->value = b->value;
		*context->classes = list_delete_ptr(*context->classes, b);
	}
}

/*
 * For a.x = b.y AND b.y = 5: a.x = 5 holds too, and the planner uses it.
 */
static void
chains_emit(ClauseContext *context)
{
	ListCell *lc;

	foreach (lc, *context->classes)
	{
		EqualClass *class = lfirst(lc);
		ListCell *lc2;

		if (class->value == NULL || list_length(class->members) < 2)
			continue;
		foreach (lc2, class->members)
		{
			Node *member = lfirst(lc2);

			side_emit(context, NULL, class->opno, class->collation, member, class->value, false);
		}
	}
}

/* A comparison: either side may be the column. */
static void
opexpr_walk(ClauseContext *context, OpExpr *op)
{
	Node *left;
	Node *right;

	if (list_length(op->args) != 2)
		return;
	left = linitial(op->args);
	right = lsecond(op->args);
	side_emit(context, (Node *) op, op->opno, op->inputcollid, left, right, false);
	side_emit(context, (Node *) op, get_commutator(op->opno), op->inputcollid, right, left, false);
	equality_note(context, op, left, right);
}

/* A column that is NULL or not, or that is a truth value by itself. */
static void
nullness_walk(ClauseContext *context, Node *clause, Node *arg, bool negated, bool boolean)
{
	List	 *keys = dbperf_usage_keys(context->level, arg);
	ListCell *lc;

	foreach (lc, keys)
	{
		UsageKey  *key = lfirst(lc);
		Condition *condition;

		/* a comparison is boolean too, but no index on it is wanted */
		if (boolean && key->column.attno == InvalidAttrNumber)
			continue;
		condition = palloc0(sizeof(Condition));
		condition->use = key->use;
		condition->kind = USAGE_NULLNESS;
		condition->column = key->column;
		condition->negated = negated;
		condition->clause = dbperf_usage_clause(context->level, clause, key->use);
		if (boolean)
		{
			condition->opno = BooleanEqualOperator;
			condition->value = (Const *) makeBoolConst(!negated, false);
		}
		dbperf_usages_of_operator(context->uses, condition, NULL, context->out);
	}
}

/* (a, b) > (1, 2), as in paging by key. */
static void
row_compare_walk(ClauseContext *context, RowCompareExpr *row)
{
	Condition *first = NULL;
	ListCell  *lc;
	ListCell  *lc2;
	ListCell  *lc3;
	bool	   swapped;

	swapped = dbperf_usage_partner(context->level, linitial(row->largs)) == 0;
	forthree (lc, swapped ? row->rargs : row->largs, lc2, swapped ? row->largs : row->rargs, lc3,
			  row->opnos)
	{
		List	 *keys = dbperf_usage_keys(context->level, lfirst(lc));
		UsageKey *key = keys != NIL ? linitial(keys) : NULL;

		if (key == NULL || !dbperf_usage_independent(context->level, lfirst(lc), lfirst(lc2)))
			break;
		if (first == NULL)
		{
			first = palloc0(sizeof(Condition));
			first->use = key->use;
			first->kind = USAGE_RANGE;
			first->column = key->column;
			first->opno = swapped ? get_commutator(lfirst_oid(lc3)) : lfirst_oid(lc3);
		}
		else if (key->use == first->use)
			first->row = lappend(first->row, &key->column);
		else
			break;
	}
	if (first != NULL && OidIsValid(first->opno))
		dbperf_usages_of_operator(context->uses, first, NULL, context->out);
}

/* x IN (SELECT y ...): a join of x and y. */
static void
any_sublink_walk(ClauseContext *context, SubLink *sublink)
{
	QueryLevel *below = dbperf_usages_level_of(context->uses, (Query *) sublink->subselect);
	List	   *tests;
	ListCell   *lc;

	if (below == NULL || sublink->subLinkType != ANY_SUBLINK)
		return;
	tests = make_ands_implicit((Expr *) sublink->testexpr);
	foreach (lc, tests)
	{
		OpExpr		*op = lfirst(lc);
		Node		*right;
		TargetEntry *tle;
		Comparison	 comparison = {0};

		if (!IsA(op, OpExpr) || list_length(op->args) != 2)
			continue;
		right = lsecond(op->args);
		while (IsA(right, RelabelType))
			right = (Node *) ((RelabelType *) right)->arg;
		if (!IsA(right, Param) || ((Param *) right)->paramkind != PARAM_SUBLINK)
			continue;
		tle = get_tle_by_resno(below->query->targetList, ((Param *) right)->paramid);
		if (tle == NULL)
			continue;

		comparison.opno = op->opno;
		comparison.collation = op->inputcollid;
		comparison.partner = dbperf_usage_partner(below, (Node *) tle->expr);
		if (comparison.partner == 0)
			comparison.partner = -1;
		key_emit(context, context->level, linitial(op->args), &comparison);

		comparison.opno = get_commutator(op->opno);
		comparison.partner = dbperf_usage_partner(context->level, linitial(op->args));
		if (comparison.partner == 0)
			comparison.partner = -1;
		key_emit(context, below, dbperf_usage_canonical(below, (Node *) tle->expr), &comparison);
	}
}

/* Each arm of an OR puts its conditions into lists of their own. */
static void
or_walk(ClauseContext *context, BoolExpr * or)
{
	ListCell *lc;

	foreach (lc, or->args)
	{
		ClauseContext arm = *context;
		List		 *found = NIL;

		arm.out = &found;
		arm.classes = NULL;
		clause_walk(&arm, lfirst(lc));
		while (found != NIL)
		{
			TableUse *use = ((Condition *) linitial(found))->use;
			List	 *mine = NIL;
			List	 *others = NIL;
			ListCell *lc2;

			foreach (lc2, found)
			{
				Condition *condition = lfirst(lc2);

				if (condition->use == use)
					mine = lappend(mine, condition);
				else
					others = lappend(others, condition);
			}
			use->arms = lappend(use->arms, mine);
			found = others;
		}
	}
}

/* NOT goes down to the operators, as far as they have negators. */
static void
not_walk(ClauseContext *context, Node *clause, Node *arg)
{
	Node *negated = negate_clause(arg);

	if (IsA(negated, BoolExpr) && ((BoolExpr *) negated)->boolop == NOT_EXPR)
		nullness_walk(context, clause, linitial(((BoolExpr *) negated)->args), true, true);
	else
		clause_walk(context, negated);
}

/* A canonical condition. */
static void
clause_walk(ClauseContext *context, Node *clause)
{
	ListCell *lc;

	if (clause == NULL)
		return;
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	switch (nodeTag(clause))
	{
		case T_List:
			foreach (lc, (List *) clause)
				clause_walk(context, lfirst(lc));
			break;
		case T_BoolExpr:
			if (((BoolExpr *) clause)->boolop == AND_EXPR)
				clause_walk(context, (Node *) ((BoolExpr *) clause)->args);
			else if (((BoolExpr *) clause)->boolop == OR_EXPR)
				or_walk(context, (BoolExpr *) clause);
			else
				not_walk(context, clause, linitial(((BoolExpr *) clause)->args));
			break;
		case T_OpExpr:
			opexpr_walk(context, (OpExpr *) clause);
			break;
		case T_ScalarArrayOpExpr:
		{
			ScalarArrayOpExpr *op = (ScalarArrayOpExpr *) clause;

			if (op->useOr)
				side_emit(context, clause, op->opno, op->inputcollid, linitial(op->args),
						  lsecond(op->args), true);
		}
		break;
		case T_RowCompareExpr:
			row_compare_walk(context, (RowCompareExpr *) clause);
			break;
		case T_NullTest:
			if (!((NullTest *) clause)->argisrow)
				nullness_walk(context, clause, (Node *) ((NullTest *) clause)->arg,
							  ((NullTest *) clause)->nulltesttype == IS_NOT_NULL, false);
			break;
		case T_BooleanTest:
		{
			BooleanTest *test = (BooleanTest *) clause;

			if (test->booltesttype == IS_TRUE || test->booltesttype == IS_FALSE)
				nullness_walk(context, clause, (Node *) test->arg, test->booltesttype == IS_FALSE,
							  true);
		}
		break;
		case T_SubLink:
			any_sublink_walk(context, (SubLink *) clause);
			break;
		case T_Var:
			nullness_walk(context, clause, clause, false, true);
			break;
		default:
			break;
	}
}

/* The conditions of a join tree: WHERE and every ON. */
static void
jointree_walk(ClauseContext *context, Node *node)
{
	ListCell *lc;

	if (node == NULL)
		return;
	check_stack_depth();
	if (IsA(node, FromExpr))
	{
		foreach (lc, ((FromExpr *) node)->fromlist)
			jointree_walk(context, lfirst(lc));
		clause_walk(context, dbperf_usage_canonical(context->level, ((FromExpr *) node)->quals));
	}
	else if (IsA(node, JoinExpr))
	{
		jointree_walk(context, ((JoinExpr *) node)->larg);
		jointree_walk(context, ((JoinExpr *) node)->rarg);
		clause_walk(context, dbperf_usage_canonical(context->level, ((JoinExpr *) node)->quals));
	}
}

/* Adds a condition to its use unless the use has it. */
static void
condition_add(Condition *condition)
{
	ListCell *lc;

	foreach (lc, condition->use->conditions)
	{
		Condition *other = lfirst(lc);

		if (other->usage == condition->usage && other->partner == condition->partner &&
			dbperf_column_same(&other->column, &condition->column) &&
			(condition->clause == NULL || equal(other->clause, condition->clause)))
			return;
	}
	condition->use->conditions = lappend(condition->use->conditions, condition);
}

/*
 * Adds the conditions of one level to the uses of its tables, and to those of
 * outer levels and of subqueries that they speak of.
 */
void
dbperf_usages_of_level(QueryUses *uses, QueryLevel *level)
{
	List		 *out = NIL;
	List		 *classes = NIL;
	ClauseContext context = {uses, level, &out, &classes};
	ListCell	 *lc;

	jointree_walk(&context, (Node *) level->query->jointree);
	clause_walk(&context, dbperf_usage_canonical(level, DBPERF_MERGE_CONDITION(level->query)));
	clause_walk(&context, dbperf_usage_canonical(level, level->query->havingQual));
	foreach (lc, level->query->rtable)
		clause_walk(&context, dbperf_usage_canonical(
								  level, (Node *) ((RangeTblEntry *) lfirst(lc))->securityQuals));
	chains_emit(&context);
	foreach (lc, out)
		condition_add(lfirst(lc));
}
