/*-------------------------------------------------------------------------
 *
 * rights_walk.c
 *		Which functions planning a statement may run, and who owns them.
 *
 * Planning runs immutable functions, and stable ones for estimation: those of
 * the statement, and those of the index expressions and predicates, CHECK
 * constraints, partition keys and extended statistics of its tables and their
 * children.  A security-restricted operation does not contain what a function
 * does with a superuser's rights, so a superuser's statement is planned only if
 * all of them belong to superusers.
 *
 * Everything is read from the catalogs.  The relation cache hands expressions
 * out with their constants folded, which is just what must not happen here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "advisor/workload_int.h"
#include "catalog/partition.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_partitioned_table.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_range.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/syscache.h"

static bool walk_expr(Node *node, void *context);

/*
 * Whether a function belongs to somebody who is trusted; if not, says so in
 * the walk.
 */
bool
dbperf_trust_function(Oid function, TrustWalk *walk)
{
	HeapTuple tuple;
	Oid		  owner;

	if (!OidIsValid(function) || list_member_oid(walk->functions, function))
		return true;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
	{
		walk->untrusted = psprintf("it runs function %u, which does not exist", function);
		return false;
	}
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);

	if (owner != walk->owner && !superuser_arg(owner))
	{
		char *name = GetUserNameFromId(owner, true);

		walk->untrusted =
			psprintf("it runs function %s, which belongs to role \"%s\" and not to a superuser",
					 format_procedure(function), name != NULL ? name : "?");
		return false;
	}
	walk->functions = lappend_oid(walk->functions, function);
	return true;
}

static bool
function_untrusted(Oid function, void *context)
{
	return !dbperf_trust_function(function, context);
}

/*
 * An operator: its own function and estimators, and the operators that the
 * planner may put in its place.
 */
static bool
trust_operator(Oid operator, TrustWalk * walk)
{
	HeapTuple			 tuple;
	FormData_pg_operator form;

	if (!OidIsValid(operator) || list_member_oid(walk->operators, operator))
		return true;
	walk->operators = lappend_oid(walk->operators, operator);
	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	if (!HeapTupleIsValid(tuple))
		return true;
	form = *(Form_pg_operator) GETSTRUCT(tuple);
	ReleaseSysCache(tuple);

	return dbperf_trust_function(form.oprcode, walk) && dbperf_trust_function(form.oprrest, walk) &&
		   dbperf_trust_function(form.oprjoin, walk) && trust_operator(form.oprcom, walk) &&
		   trust_operator(form.oprnegate, walk);
}

/*
 * An aggregate: the planner reads its initial value and looks at its
 * functions.
 */
static bool
trust_aggregate(Oid function, TrustWalk *walk)
{
	HeapTuple			  tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(function));
	FormData_pg_aggregate form;

	if (!HeapTupleIsValid(tuple))
		return true;
	form = *(Form_pg_aggregate) GETSTRUCT(tuple);
	ReleaseSysCache(tuple);

	return dbperf_trust_function(form.aggtransfn, walk) &&
		   dbperf_trust_function(form.aggfinalfn, walk) &&
		   dbperf_trust_function(form.aggcombinefn, walk) &&
		   dbperf_trust_function(form.aggserialfn, walk) &&
		   dbperf_trust_function(form.aggdeserialfn, walk) &&
		   dbperf_trust_function(form.aggmtransfn, walk) &&
		   dbperf_trust_function(form.aggminvtransfn, walk) &&
		   dbperf_trust_function(form.aggmfinalfn, walk) &&
		   dbperf_trust_type(form.aggtranstype, walk) &&
		   dbperf_trust_type(form.aggmtranstype, walk);
}

/*
 * A stored expression, or a list of them.
 */
static bool
trust_stored(Datum tree, bool isnull, TrustWalk *walk)
{
	return isnull || !walk_expr(stringToNode(TextDatumGetCString(tree)), walk);
}

/*
 * Walks the trees of one column in all rows of a catalog that an index finds by
 * an OID.
 */
static bool
trust_catalog(Oid catalog, Oid index, AttrNumber key, Oid value, const AttrNumber *columns,
			  int ncolumns, TrustWalk *walk)
{
	Relation	rel = table_open(catalog, AccessShareLock);
	ScanKeyData scan_key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		trusted = true;

	ScanKeyInit(&scan_key, key, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(value));
	scan = systable_beginscan(rel, index, OidIsValid(index), NULL, 1, &scan_key);
	while (trusted && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		for (int i = 0; i < ncolumns && trusted; i++)
		{
			bool  isnull;
			Datum tree = heap_getattr(tuple, columns[i], RelationGetDescr(rel), &isnull);

			trusted = trust_stored(tree, isnull, walk);
		}
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return trusted;
}

/*
 * CHECK constraints of a domain.
 */
static bool
trust_domain_constraints(Oid type, TrustWalk *walk)
{
	static const AttrNumber columns[] = {Anum_pg_constraint_conbin};

	return trust_catalog(ConstraintRelationId, ConstraintTypidIndexId, Anum_pg_constraint_contypid,
						 type, columns, lengthof(columns), walk);
}

/*
 * The columns of a composite type.
 */
static bool
trust_columns(Oid relid, TrustWalk *walk)
{
	for (AttrNumber n = 1;; n++)
	{
		HeapTuple tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid), Int16GetDatum(n));
		Oid		  type = InvalidOid;

		if (!HeapTupleIsValid(tuple))
			return true;
		if (!((Form_pg_attribute) GETSTRUCT(tuple))->attisdropped)
			type = ((Form_pg_attribute) GETSTRUCT(tuple))->atttypid;
		ReleaseSysCache(tuple);
		if (!dbperf_trust_type(type, walk))
			return false;
	}
}

/*
 * The functions of a range type, and what it is a range of.
 */
static bool
trust_range(Oid type, TrustWalk *walk)
{
	HeapTuple		  tuple = SearchSysCache1(RANGETYPE, ObjectIdGetDatum(type));
	FormData_pg_range form;

	if (!HeapTupleIsValid(tuple))
		return true;
	form = *(Form_pg_range) GETSTRUCT(tuple);
	ReleaseSysCache(tuple);
	return dbperf_trust_function(form.rngcanonical, walk) &&
		   dbperf_trust_function(form.rngsubdiff, walk) && dbperf_trust_type(form.rngsubtype, walk);
}

/*
 * Whether reading and computing with values of a type runs trusted functions
 * only: its own, and those of the domains in it.
 */
bool
dbperf_trust_type(Oid type, TrustWalk *walk)
{
	HeapTuple		 tuple;
	FormData_pg_type form;

	if (!OidIsValid(type) || type < FirstGenbkiObjectId || list_member_oid(walk->types, type))
		return true;
	walk->types = lappend_oid(walk->types, type);
	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	if (!HeapTupleIsValid(tuple))
		return true;
	form = *(Form_pg_type) GETSTRUCT(tuple);
	ReleaseSysCache(tuple);

	if (!dbperf_trust_function(form.typinput, walk) ||
		!dbperf_trust_function(form.typoutput, walk) || !dbperf_trust_type(form.typelem, walk))
		return false;
	switch (form.typtype)
	{
		case TYPTYPE_DOMAIN:
			return trust_domain_constraints(type, walk) &&
				   dbperf_trust_type(form.typbasetype, walk);
		case TYPTYPE_COMPOSITE:
			return trust_columns(form.typrelid, walk);
		case TYPTYPE_RANGE:
			return trust_range(type, walk);
		case TYPTYPE_MULTIRANGE:
			return dbperf_trust_type(get_multirange_range(type), walk);
		default:
			return true;
	}
}

/*
 * The expressions of one relation that planning evaluates.
 */
static bool
trust_one_relation(Oid relid, TrustWalk *walk)
{
	static const AttrNumber index_columns[] = {Anum_pg_index_indexprs, Anum_pg_index_indpred};
	static const AttrNumber constraint_columns[] = {Anum_pg_constraint_conbin};
	static const AttrNumber key_columns[] = {Anum_pg_partitioned_table_partexprs};
	static const AttrNumber statistics_columns[] = {Anum_pg_statistic_ext_stxexprs};

	CHECK_FOR_INTERRUPTS();
	return trust_catalog(IndexRelationId, IndexIndrelidIndexId, Anum_pg_index_indrelid, relid,
						 index_columns, lengthof(index_columns), walk) &&
		   trust_catalog(ConstraintRelationId, ConstraintRelidTypidNameIndexId,
						 Anum_pg_constraint_conrelid, relid, constraint_columns,
						 lengthof(constraint_columns), walk) &&
		   trust_catalog(PartitionedRelationId, PartitionedRelidIndexId,
						 Anum_pg_partitioned_table_partrelid, relid, key_columns,
						 lengthof(key_columns), walk) &&
		   trust_catalog(StatisticExtRelationId, StatisticExtRelidIndexId,
						 Anum_pg_statistic_ext_stxrelid, relid, statistics_columns,
						 lengthof(statistics_columns), walk);
}

/*
 * The partition keys that a partition's constraint is made of.
 */
static bool
trust_ancestors(Oid relid, TrustWalk *walk)
{
	static const AttrNumber key_columns[] = {Anum_pg_partitioned_table_partexprs};
	ListCell			   *lc;

	foreach (lc, get_partition_ancestors(relid))
		if (!trust_catalog(PartitionedRelationId, PartitionedRelidIndexId,
						   Anum_pg_partitioned_table_partrelid, lfirst_oid(lc), key_columns,
						   lengthof(key_columns), walk))
			return false;
	return true;
}

/*
 * A relation, its ancestors' partition keys, and its children.
 */
static bool
trust_relation(Oid relid, TrustWalk *walk)
{
	ListCell *lc;

	if (relid < FirstNormalObjectId || list_member_oid(walk->relations, relid))
		return true;
	walk->relations = lappend_oid(walk->relations, relid);
	if (!trust_one_relation(relid, walk))
		return false;
	if (get_rel_relispartition(relid) && !trust_ancestors(relid, walk))
		return false;
	if (!has_subclass(relid))
		return true;
	foreach (lc, find_inheritance_children(relid, NoLock))
		if (!trust_relation(lfirst_oid(lc), walk))
			return false;
	return true;
}

/*
 * Whether the types that a node computes with are trusted; arguments whose
 * value comes from a table count too.
 */
static bool
trust_node_types(Node *node, List *args, TrustWalk *walk)
{
	ListCell *lc;

	foreach (lc, args)
	{
		Node *arg = lfirst(lc);

		if (arg != NULL && IsA(arg, TargetEntry))
			arg = (Node *) ((TargetEntry *) arg)->expr;
		if (arg != NULL && !dbperf_trust_type(exprType(arg), walk))
			return false;
	}
	return dbperf_trust_type(exprType(node), walk);
}

/*
 * Types and operators of one node.
 */
static bool
trust_node(Node *node, TrustWalk *walk)
{
	ListCell *lc;

	switch (nodeTag(node))
	{
		case T_Aggref:
			return trust_aggregate(((Aggref *) node)->aggfnoid, walk) &&
				   trust_node_types(node, ((Aggref *) node)->args, walk);
		case T_WindowFunc:
			return trust_aggregate(((WindowFunc *) node)->winfnoid, walk) &&
				   trust_node_types(node, ((WindowFunc *) node)->args, walk);
		case T_FuncExpr:
			return trust_node_types(node, ((FuncExpr *) node)->args, walk);
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
			return trust_operator(((OpExpr *) node)->opno, walk) &&
				   trust_node_types(node, ((OpExpr *) node)->args, walk);
		case T_ScalarArrayOpExpr:
			return trust_operator(((ScalarArrayOpExpr *) node)->opno, walk) &&
				   trust_node_types(node, ((ScalarArrayOpExpr *) node)->args, walk);
		case T_RowCompareExpr:
			foreach (lc, ((RowCompareExpr *) node)->opnos)
				if (!trust_operator(lfirst_oid(lc), walk))
					return false;
			return true;
		case T_CoerceViaIO:
		case T_CoerceToDomain:
		case T_ArrayCoerceExpr:
		case T_ConvertRowtypeExpr:
		case T_RowExpr:
		case T_MinMaxExpr:
		case T_XmlExpr:
			return dbperf_trust_type(exprType(node), walk);
		default:
			return !DBPERF_IS_JSON_EXPR(node) || dbperf_trust_type(exprType(node), walk);
	}
}

/*
 * A table of the range table.
 */
static bool
trust_entry(RangeTblEntry *rte, TrustWalk *walk)
{
	if (rte->rtekind != RTE_RELATION)
		return true;
	if (rte->tablesample != NULL && !dbperf_trust_function(rte->tablesample->tsmhandler, walk))
		return false;
	return trust_relation(rte->relid, walk);
}

/*
 * Stops with true at the first thing that is not trusted.
 */
static bool
walk_expr(Node *node, void *context)
{
	TrustWalk *walk = context;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, walk_expr, context, QTW_EXAMINE_RTES_BEFORE);
	if (IsA(node, RangeTblEntry))
		return !trust_entry((RangeTblEntry *) node, walk);
	if (check_functions_in_node(node, function_untrusted, context) || !trust_node(node, walk))
		return true;
	return expression_tree_walker(node, walk_expr, context);
}

char *
dbperf_untrusted_in_query(Query *query)
{
	TrustWalk walk = {0};

	return walk_expr((Node *) query, &walk) ? walk.untrusted : NULL;
}

char *
dbperf_untrusted_in_expr(Node *expr, Oid owner)
{
	TrustWalk walk = {.owner = owner};

	return walk_expr(expr, &walk) ? walk.untrusted : NULL;
}

char *
dbperf_untrusted_in_relation(Oid relid)
{
	TrustWalk walk = {0};

	return trust_relation(relid, &walk) ? NULL : walk.untrusted;
}
