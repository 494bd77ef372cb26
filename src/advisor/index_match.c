/*-------------------------------------------------------------------------
 *
 * index_match.c
 *		When two index definitions are the same, or one makes the other
 *		superfluous.
 *
 * Trees are compared after bringing both into one form.  That form is made
 * without evaluating anything, unlike the planner's.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/brin.h"
#include "advisor/index_def.h"
#include "catalog/pg_am.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"

/*
 * A cast that changes nothing but the type's name: of a constant it is the
 * constant with that type, of another such cast it replaces that.
 */
static Node *
canonical_relabel(RelabelType *relabel)
{
	while (IsA(relabel->arg, RelabelType))
		relabel->arg = ((RelabelType *) relabel->arg)->arg;

	if (IsA(relabel->arg, Const))
	{
		Const *constant = (Const *) relabel->arg;

		constant->consttype = relabel->resulttype;
		constant->consttypmod = relabel->resulttypmod;
		constant->constcollid = relabel->resultcollid;
		return (Node *) constant;
	}
	return (Node *) relabel;
}

/*
 * An integer constant as one of another size, or NULL if it is none or does
 * not fit.
 */
static Node *
integer_constant(Node *node, Oid type)
{
	Const *constant = (Const *) node;
	int64  value;
	Datum  datum;

	if (!IsA(node, Const) || constant->constisnull)
		return NULL;
	if (constant->consttype == INT8OID)
		value = DatumGetInt64(constant->constvalue);
	else if (constant->consttype == INT4OID)
		value = DatumGetInt32(constant->constvalue);
	else if (constant->consttype == INT2OID)
		value = DatumGetInt16(constant->constvalue);
	else
		return NULL;

	if (type == INT8OID)
		datum = Int64GetDatum(value);
	else if (type == INT4OID && value >= PG_INT32_MIN && value <= PG_INT32_MAX)
		datum = Int32GetDatum((int32) value);
	else if (type == INT2OID && value >= PG_INT16_MIN && value <= PG_INT16_MAX)
		datum = Int16GetDatum((int16) value);
	else
		return NULL;
	return (Node *) makeConst(type, -1, InvalidOid, get_typlen(type), datum, false,
							  get_typbyval(type));
}

/*
 * A cast of an integer constant as the constant.
 */
static Node *
canonical_function(FuncExpr *func)
{
	Node *constant = NULL;

	if (list_length(func->args) == 1 &&
		(func->funcformat == COERCE_EXPLICIT_CAST || func->funcformat == COERCE_IMPLICIT_CAST))
		constant = integer_constant(linitial(func->args), func->funcresulttype);
	return constant != NULL ? constant : (Node *) func;
}

/*
 * A comparison of integers of different sizes with a constant as one of the
 * size on the left, if the constant fits: "bigint = 1" is "bigint = 1::bigint".
 */
static void
canonical_integers(OpExpr *op)
{
	int	  strategy;
	Oid	  left;
	Oid	  right;
	Oid	  opno;
	Node *constant;

	if (!op_in_opfamily(op->opno, INTEGER_BTREE_FAM_OID))
		return;
	get_op_opfamily_properties(op->opno, INTEGER_BTREE_FAM_OID, false, &strategy, &left, &right);
	opno = get_opfamily_member(INTEGER_BTREE_FAM_OID, left, left, strategy);
	constant = integer_constant(lsecond(op->args), left);
	if (left == right || !OidIsValid(opno) || constant == NULL)
		return;

	lsecond(op->args) = constant;
	op->opno = opno;
	op->opfuncid = InvalidOid;
}

/*
 * An operator with the constant on the right, and "x = true" as "x".
 */
static Node *
canonical_operator(OpExpr *op)
{
	Node *left;
	Node *right;

	if (list_length(op->args) != 2)
		return (Node *) op;

	if (IsA(linitial(op->args), Const) && !IsA(lsecond(op->args), Const))
	{
		Oid commutator = get_commutator(op->opno);

		if (OidIsValid(commutator))
		{
			op->opno = commutator;
			op->opfuncid = InvalidOid;
			op->args = list_make2(lsecond(op->args), linitial(op->args));
		}
	}

	canonical_integers(op);
	left = linitial(op->args);
	right = lsecond(op->args);
	if (op->opno == BooleanEqualOperator && IsA(right, Const) && !((Const *) right)->constisnull)
	{
		if (DatumGetBool(((Const *) right)->constvalue))
			return left;
		return (Node *) makeBoolExpr(NOT_EXPR, list_make1(left), -1);
	}
	return (Node *) op;
}

/*
 * "NOT x IS NULL" as "x IS NOT NULL"; of rows that is not the same.
 */
static Node *
canonical_bool(BoolExpr *expr)
{
	Node *arg = linitial(expr->args);

	if (expr->boolop == NOT_EXPR && IsA(arg, NullTest) && !((NullTest *) arg)->argisrow)
	{
		NullTest *test = (NullTest *) arg;

		test->nulltesttype = test->nulltesttype == IS_NULL ? IS_NOT_NULL : IS_NULL;
		return (Node *) test;
	}
	return (Node *) expr;
}

/*
 * The form in which trees are compared; a copy.
 */
static Node *
canonical_mutator(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		Var *var = (Var *) node;

		/* without what a join above it may have added */
		return (Node *) makeVar(var->varno, var->varattno, var->vartype, var->vartypmod,
								var->varcollid, var->varlevelsup);
	}

	node = expression_tree_mutator(node, canonical_mutator, context);
	if (IsA(node, RelabelType))
		return canonical_relabel((RelabelType *) node);
	if (IsA(node, FuncExpr))
		return canonical_function((FuncExpr *) node);
	if (IsA(node, OpExpr))
		return canonical_operator((OpExpr *) node);
	if (IsA(node, BoolExpr))
		return canonical_bool((BoolExpr *) node);
	return node;
}

/*
 * Whether two expressions are the same but for the way they were written.
 */
bool
dbperf_index_expr_equal(const Node *a, const Node *b)
{
	if (equal(a, b))
		return true;
	if (a == NULL || b == NULL || exprType(a) != exprType(b))
		return false;
	return equal(canonical_mutator((Node *) a, NULL), canonical_mutator((Node *) b, NULL));
}

/*
 * The members of a list in implicit AND, in canonical form, without ANDs among
 * them and without duplicates.
 */
static List *
canonical_predicate(const List *predicate)
{
	List	 *result = NIL;
	ListCell *lc;

	foreach (lc, predicate)
	{
		Node *clause = (Node *) lfirst(lc);

		if (is_andclause(clause))
			result = list_union(result, canonical_predicate(((BoolExpr *) clause)->args));
		else
			result = list_append_unique(result, canonical_mutator(clause, NULL));
	}
	return result;
}

/*
 * The same for two lists in implicit AND, in any order.
 */
bool
dbperf_index_predicate_equal(const List *a, const List *b)
{
	List *left;
	List *right;

	if ((a == NIL) != (b == NIL))
		return false;
	if (equal(a, b))
		return true;
	left = canonical_predicate(a);
	right = canonical_predicate(b);
	return list_length(left) == list_length(right) && list_difference(left, right) == NIL;
}

/*
 * Whether two operator classes are the same one, or one by another name, as
 * varchar_ops is of text_ops.
 */
static bool
opclass_equal(Oid a, Oid b)
{
	return a == b || (get_opclass_family(a) == get_opclass_family(b) &&
					  get_opclass_input_type(a) == get_opclass_input_type(b));
}

/*
 * Same column or expression.
 */
static bool
source_equal(const IndexColumn *a, const IndexColumn *b)
{
	if (a->attno != b->attno)
		return false;
	return a->attno != InvalidAttrNumber || dbperf_index_expr_equal(a->expr, b->expr);
}

/*
 * Same key column; with "backward" the order of one of them is turned round.
 */
static bool
key_equal(const IndexColumn *a, const IndexColumn *b, bool backward)
{
	return (a->desc != b->desc) == backward && (a->nulls_first != b->nulls_first) == backward &&
		   a->collation == b->collation && opclass_equal(a->opclass, b->opclass) &&
		   source_equal(a, b);
}

/*
 * Whether "wide" begins with all key columns of "narrow".
 */
static bool
key_is_prefix(const IndexDef *wide, const IndexDef *narrow, bool backward)
{
	if (narrow->nkeys > wide->nkeys)
		return false;
	for (int i = 0; i < narrow->nkeys; i++)
	{
		if (!key_equal(&wide->columns[i], &narrow->columns[i], backward))
			return false;
	}
	return true;
}

/*
 * Whether "wide" has all key columns of "narrow", anywhere.
 */
static bool
key_is_subset(const IndexDef *wide, const IndexDef *narrow)
{
	for (int i = 0; i < narrow->nkeys; i++)
	{
		bool found = false;

		for (int j = 0; j < wide->nkeys && !found; j++)
			found = key_equal(&wide->columns[j], &narrow->columns[i], false);
		if (!found)
			return false;
	}
	return true;
}

/*
 * Whether "wide" can return each INCLUDE column of "narrow".  A btree returns
 * its key columns as well; other methods may not.
 */
static bool
include_is_subset(const IndexDef *wide, const IndexDef *narrow)
{
	int first = wide->am == BTREE_AM_OID ? 0 : wide->nkeys;

	for (int i = narrow->nkeys; i < narrow->ncolumns; i++)
	{
		bool found = false;

		for (int j = first; j < wide->ncolumns && !found; j++)
			found = wide->columns[j].attno == narrow->columns[i].attno;
		if (!found)
			return false;
	}
	return true;
}

static int
pages_per_range(const IndexDef *def)
{
	return def->pages_per_range > 0 ? def->pages_per_range : BRIN_DEFAULT_PAGES_PER_RANGE;
}

/*
 * Same table, method, columns, order, operator classes and predicate.
 */
bool
dbperf_index_def_equal(const IndexDef *a, const IndexDef *b)
{
	if (a->relid != b->relid || a->am != b->am || a->nkeys != b->nkeys ||
		a->ncolumns != b->ncolumns)
		return false;
	if (a->am == BRIN_AM_OID && pages_per_range(a) != pages_per_range(b))
		return false;
	if (!key_is_prefix(a, b, false))
		return false;
	for (int i = a->nkeys; i < a->ncolumns; i++)
	{
		bool found = false;

		for (int j = b->nkeys; j < b->ncolumns && !found; j++)
			found = a->columns[i].attno == b->columns[j].attno;
		if (!found)
			return false;
	}
	return dbperf_index_predicate_equal(a->predicate, b->predicate);
}

/*
 * Whether "wide" serves whatever "narrow" serves.  GIN and BRIN search each
 * column alike, wherever it stands; in other methods the first ones count.
 */
bool
dbperf_index_def_serves(const IndexDef *wide, const IndexDef *narrow)
{
	bool keys;

	if (wide->relid != narrow->relid || wide->am != narrow->am)
		return false;

	if (wide->am == BRIN_AM_OID)
		keys = pages_per_range(wide) <= pages_per_range(narrow) && key_is_subset(wide, narrow);
	else if (wide->am == GIN_AM_OID)
		keys = key_is_subset(wide, narrow);
	else if (wide->am == BTREE_AM_OID)
		keys = key_is_prefix(wide, narrow, false) || key_is_prefix(wide, narrow, true);
	else if (wide->am == HASH_AM_OID || wide->am == GIST_AM_OID || wide->am == SPGIST_AM_OID)
		keys = key_is_prefix(wide, narrow, false);
	else
		keys = wide->nkeys == narrow->nkeys && key_is_prefix(wide, narrow, false);

	return keys && include_is_subset(wide, narrow) &&
		   dbperf_index_predicate_equal(wide->predicate, narrow->predicate);
}

/*
 * Hash that is equal for equal definitions: of expressions and predicates it
 * only knows whether there are any.
 */
uint32
dbperf_index_def_hash(const IndexDef *def)
{
	uint32 hash = hash_combine(murmurhash32(def->relid), murmurhash32(def->am));
	uint32 included = 0;

	hash = hash_combine(hash, murmurhash32(def->nkeys * 64 + def->ncolumns));
	hash = hash_combine(hash, def->predicate != NIL);
	for (int i = 0; i < def->ncolumns; i++)
	{
		const IndexColumn *column = &def->columns[i];

		if (i >= def->nkeys)
			included += murmurhash32((uint32) column->attno);
		else
		{
			hash = hash_combine(hash, murmurhash32((uint32) column->attno));
			hash = hash_combine(hash, murmurhash32(column->collation));
			hash = hash_combine(hash, column->desc + 2 * column->nulls_first);
		}
	}
	return hash_combine(hash, included);
}

/*
 * Those of real_indexes that nobody needs once "created" exists, and that may
 * be dropped: no constraint, replica identity and so on depends on them.
 */
List *
dbperf_index_def_superseded(const IndexDef *created, List *real_indexes)
{
	List	 *result = NIL;
	ListCell *lc;

	foreach (lc, real_indexes)
	{
		RealIndex *real = lfirst(lc);

		if (real->valid && !real->primary && !real->unique && !real->exclusion &&
			!real->constraint && !real->replica_identity && !real->clustered && !real->partition &&
			dbperf_index_def_serves(created, real->def))
			result = lappend(result, real);
	}
	return result;
}
