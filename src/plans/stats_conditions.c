/*-------------------------------------------------------------------------
 *
 * stats_conditions.c
 *		What the conditions in a plan's text say of single columns.
 *
 * The text is parsed by the server's grammar and never analysed or run.  What
 * is not "column operator constant" is left out, and the caller is told.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/core.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"
#include "parser/parser.h"
#include "plans/stats_advice.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* Longer texts are not looked at. */
#define CONDITION_BYTES 16384

/* What is passed to the parser and comes back. */
typedef struct ParsedText
{
	const char *text;
	List	   *targets; /* ResTarget */
} ParsedText;

/* What the nodes of one text are read for. */
typedef struct ConditionReader
{
	const char		*alias;
	Oid				 relid;
	StatsConditions *conditions;
} ConditionReader;

/*
 * Parses a list of expressions; may raise an error.
 */
static void
parse_text(void *arg)
{
	ParsedText *parsed = arg;
	List	   *list = raw_parser(parsed->text, RAW_PARSE_PLPGSQL_EXPR);
	SelectStmt *select;

	if (list_length(list) != 1)
		return;
	select = (SelectStmt *) linitial_node(RawStmt, list)->stmt;
	if (IsA(select, SelectStmt) && select->op == SETOP_NONE && select->fromClause == NIL &&
		select->whereClause == NULL && select->groupClause == NIL)
		parsed->targets = select->targetList;
}

/*
 * The expressions in a text, or NIL if it is none that the grammar knows.
 */
static List *
parse_expressions(const char *text)
{
	ParsedText parsed = {.text = text};

	if (strlen(text) > CONDITION_BYTES || !dbperf_try(parse_text, &parsed))
		return NIL;
	return parsed.targets;
}

/*
 * A column's name, and what stands before it or NULL; false for anything else.
 */
static bool
column_name(Node *node, const char **qualifier, const char **name)
{
	ColumnRef *ref = (ColumnRef *) node;

	if (node == NULL || !IsA(node, ColumnRef) || list_length(ref->fields) > 2 ||
		!IsA(llast(ref->fields), String))
		return false;
	*name = strVal(llast(ref->fields));
	*qualifier = list_length(ref->fields) == 2 && IsA(linitial(ref->fields), String)
					 ? strVal(linitial(ref->fields))
					 : NULL;
	return true;
}

/*
 * The number of the column of our table that a node is, or InvalidAttrNumber.
 * A varchar is compared as text.
 */
static AttrNumber
our_column(const ConditionReader *reader, Node *node)
{
	const char *qualifier;
	const char *name;
	bool		cast = false;
	AttrNumber	attno;

	if (node != NULL && IsA(node, TypeCast))
	{
		TypeCast *typecast = (TypeCast *) node;

		if (typecast->typeName->arrayBounds != NIL ||
			strcmp(strVal(llast(typecast->typeName->names)), "text") != 0)
			return InvalidAttrNumber;
		cast = true;
		node = typecast->arg;
	}
	if (!column_name(node, &qualifier, &name) ||
		(qualifier != NULL && strcmp(qualifier, reader->alias) != 0))
		return InvalidAttrNumber;
	attno = get_attnum(reader->relid, name);
	if (attno <= 0 || (cast && get_atttype(reader->relid, attno) != VARCHAROID))
		return InvalidAttrNumber;
	return attno;
}

/*
 * The text of a constant, whatever it is cast to; NULL for anything else, and
 * for null.
 */
static char *
constant_text(Node *node)
{
	A_Const *constant;

	while (node != NULL && IsA(node, TypeCast))
		node = ((TypeCast *) node)->arg;
	if (node == NULL || !IsA(node, A_Const))
		return NULL;
	constant = (A_Const *) node;
	if (constant->isnull)
		return NULL;
	switch (nodeTag(&constant->val))
	{
		case T_Integer:
			return psprintf("%d", intVal(&constant->val));
		case T_Float:
			return pstrdup(constant->val.fval.fval);
		case T_Boolean:
			return pstrdup(boolVal(&constant->val) ? "t" : "f");
		case T_String:
			return pstrdup(strVal(&constant->val));
		default:
			return NULL;
	}
}

static void
add_condition(const ConditionReader *reader, AttrNumber attno, StatsOp op, List *constants,
			  bool array)
{
	StatsCondition *condition = palloc(sizeof(StatsCondition));

	condition->attno = attno;
	condition->op = op;
	condition->constants = constants;
	condition->array = array;
	reader->conditions->list = lappend(reader->conditions->list, condition);
}

/*
 * What an operator's name means, seen from its left side, or from its right
 * one.  False for others.
 */
static bool
operator_meaning(const char *name, bool column_right, StatsOp *op)
{
	static const struct
	{
		const char *name;
		StatsOp		op;
		StatsOp		reversed;
	} meanings[] = {{"=", STATS_EQ, STATS_EQ},	{"<>", STATS_NE, STATS_NE},
					{"<", STATS_LT, STATS_GT},	{">", STATS_GT, STATS_LT},
					{"<=", STATS_LE, STATS_GE}, {">=", STATS_GE, STATS_LE}};

	for (int i = 0; i < lengthof(meanings); i++)
	{
		if (strcmp(meanings[i].name, name) == 0)
		{
			*op = column_right ? meanings[i].reversed : meanings[i].op;
			return true;
		}
	}
	return false;
}

/*
 * "column op constant", "constant op column", "column = $1".  Returns false if
 * it is something else.
 */
static bool
read_operator(const ConditionReader *reader, A_Expr *expr)
{
	AttrNumber attno = our_column(reader, expr->lexpr);
	bool	   right = attno == InvalidAttrNumber;
	Node	  *other = right ? expr->lexpr : expr->rexpr;
	char	  *constant;
	StatsOp	   op;

	if (right)
		attno = our_column(reader, expr->rexpr);
	if (attno == InvalidAttrNumber || !operator_meaning(strVal(llast(expr->name)), right, &op))
		return false;
	if (IsA(other, ParamRef) && op == STATS_EQ)
	{
		add_condition(reader, attno, STATS_EQ_PARAM, NIL, false);
		return true;
	}
	constant = constant_text(other);
	if (constant == NULL)
		return false;
	add_condition(reader, attno, op, list_make1(constant), false);
	return true;
}

/*
 * "column = ANY ('{1,2}')".
 */
static bool
read_any(const ConditionReader *reader, A_Expr *expr)
{
	AttrNumber attno = our_column(reader, expr->lexpr);
	char	  *constant = constant_text(expr->rexpr);

	if (attno == InvalidAttrNumber || constant == NULL || constant[0] != '{' ||
		strcmp(strVal(llast(expr->name)), "=") != 0)
		return false;
	add_condition(reader, attno, STATS_IN, list_make1(constant), true);
	return true;
}

/*
 * "column = 1 OR column = 2" is one condition.
 */
static bool
read_or(const ConditionReader *reader, BoolExpr *expr)
{
	AttrNumber column = InvalidAttrNumber;
	List	  *constants = NIL;
	ListCell  *lc;

	foreach (lc, expr->args)
	{
		A_Expr	  *arm = lfirst(lc);
		AttrNumber attno;
		char	  *constant;

		if (!IsA(arm, A_Expr) || arm->kind != AEXPR_OP || arm->lexpr == NULL ||
			strcmp(strVal(llast(arm->name)), "=") != 0)
			return false;
		attno = our_column(reader, arm->lexpr);
		constant = constant_text(arm->rexpr);
		if (attno == InvalidAttrNumber || constant == NULL ||
			(column != InvalidAttrNumber && column != attno))
			return false;
		column = attno;
		constants = lappend(constants, constant);
	}
	add_condition(reader, column, STATS_IN, constants, false);
	return true;
}

/*
 * "flag" and "NOT flag".
 */
static bool
read_boolean(const ConditionReader *reader, Node *node, const char *value)
{
	AttrNumber attno = our_column(reader, node);

	if (attno == InvalidAttrNumber || get_atttype(reader->relid, attno) != BOOLOID)
		return false;
	add_condition(reader, attno, STATS_EQ, list_make1(pstrdup(value)), false);
	return true;
}

static bool
read_null_test(const ConditionReader *reader, NullTest *test)
{
	AttrNumber attno = our_column(reader, (Node *) test->arg);

	if (attno == InvalidAttrNumber)
		return false;
	add_condition(reader, attno, test->nulltesttype == IS_NULL ? STATS_NULL : STATS_NOT_NULL, NIL,
				  false);
	return true;
}

static bool read_node(const ConditionReader *reader, Node *node);

static bool
read_bool_expr(const ConditionReader *reader, BoolExpr *expr)
{
	ListCell *lc;

	if (expr->boolop == OR_EXPR)
		return read_or(reader, expr);
	if (expr->boolop == NOT_EXPR)
		return read_boolean(reader, linitial(expr->args), "f");
	foreach (lc, expr->args)
	{
		if (!read_node(reader, lfirst(lc)))
			reader->conditions->opaque = true;
	}
	return true;
}

/*
 * Reads one condition; returns false if it is of no known form.
 */
static bool
read_node(const ConditionReader *reader, Node *node)
{
	check_stack_depth();
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_BoolExpr:
			return read_bool_expr(reader, (BoolExpr *) node);
		case T_A_Expr:
		{
			A_Expr *expr = (A_Expr *) node;

			if (expr->lexpr == NULL || expr->rexpr == NULL)
				return false;
			if (expr->kind == AEXPR_OP)
				return read_operator(reader, expr);
			return expr->kind == AEXPR_OP_ANY && read_any(reader, expr);
		}
		case T_ColumnRef:
			return read_boolean(reader, node, "t");
		case T_NullTest:
			return read_null_test(reader, (NullTest *) node);
		default:
			return false;
	}
}

/*
 * Adds what a plan's "Filter", "Index Cond" or the like says of the table's
 * columns.  alias is what stands before them where the plan has more tables.
 */
void
dbperf_stats_conditions(const char *text, const char *alias, Oid relid, StatsConditions *conditions)
{
	ConditionReader reader = {alias, relid, conditions};
	List		   *targets = parse_expressions(text);

	if (list_length(targets) != 1 || !read_node(&reader, linitial_node(ResTarget, targets)->val))
		conditions->opaque = true;
}

/*
 * The columns in a "Group Key" or "Sort Key": ColumnRef nodes, or NIL if there
 * is anything else in it.
 */
List *
dbperf_stats_column_list(const char *text)
{
	List	 *columns = NIL;
	ListCell *lc;

	foreach (lc, parse_expressions(text))
	{
		ResTarget  *target = lfirst_node(ResTarget, lc);
		const char *qualifier;
		const char *name;

		if (target->name != NULL || !column_name(target->val, &qualifier, &name))
			return NIL;
		columns = lappend(columns, target->val);
	}
	return columns;
}

/*
 * The column of our table in an equality of two columns, or InvalidAttrNumber.
 */
static AttrNumber
joined_column(const ConditionReader *reader, Node *node)
{
	A_Expr	   *expr = (A_Expr *) node;
	const char *qualifier;
	const char *name;
	AttrNumber	attno;

	if (node == NULL || !IsA(node, A_Expr) || expr->kind != AEXPR_OP ||
		strcmp(strVal(llast(expr->name)), "=") != 0 ||
		!column_name(expr->lexpr, &qualifier, &name) ||
		!column_name(expr->rexpr, &qualifier, &name))
		return InvalidAttrNumber;
	attno = our_column(reader, expr->lexpr);
	return attno != InvalidAttrNumber ? attno : our_column(reader, expr->rexpr);
}

/*
 * The columns of a table that a "Hash Cond" or the like compares to others, as
 * integers.
 */
List *
dbperf_stats_joined_columns(const char *text, const char *alias, Oid relid)
{
	ConditionReader reader = {alias, relid, NULL};
	List		   *targets = parse_expressions(text);
	List		   *columns = NIL;
	List		   *arms;
	Node		   *node;
	ListCell	   *lc;

	if (list_length(targets) != 1)
		return NIL;
	node = linitial_node(ResTarget, targets)->val;
	if (node != NULL && IsA(node, BoolExpr) && ((BoolExpr *) node)->boolop == AND_EXPR)
		arms = ((BoolExpr *) node)->args;
	else
		arms = list_make1(node);
	foreach (lc, arms)
	{
		AttrNumber attno = joined_column(&reader, lfirst(lc));

		if (attno != InvalidAttrNumber)
			columns = lappend_int(columns, attno);
	}
	return columns;
}
