/*-------------------------------------------------------------------------
 *
 * index_parse.c
 *		Definition of an index from the text of a CREATE INDEX statement.
 *
 * Makes the checks of DefineIndex() that concern the definition, except that
 * it looks for mutable functions without letting the planner simplify the
 * expression first, since that executes functions.  So an expression that is
 * immutable only after a function has been inlined is refused here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/amapi.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "advisor/index_def.h"
#include "advisor/workload.h"
#include "catalog/catalog.h"
#include "catalog/heap.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_proc.h"
#include "commands/defrem.h"
#include "commands/tablespace.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_utilcmd.h"
#include "parser/parser.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* pg_attribute.attgenerated of a column that is computed when read; from 18 on */
#define GENERATED_VIRTUAL 'v'

/*
 * Error context: a position in an error is one in the text given to us, not in
 * the statement that the client sent.
 */
static void
parse_error_context(void *arg)
{
	int position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery((const char *) arg);
	}
}

/*
 * Called with each table that the name may mean, before it is locked: the
 * caller must be able to see it.
 */
static void
check_table_rights(const RangeVar *relation, Oid relid, Oid old_relid, void *arg)
{
	if (!OidIsValid(relid) || DBPERF_OWNS_RELATION(relid))
		return;
	if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(get_rel_relkind(relid)),
					   relation->relname);
}

/*
 * Checks that an index on the table makes sense.
 */
static void
check_table(Relation rel, const IndexStmt *stmt)
{
	bool partitioned = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;

	if (rel->rd_rel->relkind != RELKIND_RELATION && rel->rd_rel->relkind != RELKIND_MATVIEW &&
		!partitioned)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot create index on relation \"%s\"", RelationGetRelationName(rel)),
				 errdetail_relkind_not_supported(rel->rd_rel->relkind)));
	if (IsSystemRelation(rel))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("permission denied: \"%s\" is a system catalog",
							   RelationGetRelationName(rel))));
	if (RELATION_IS_OTHER_TEMP(rel))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot create indexes on temporary tables of other sessions")));
	if (partitioned && stmt->concurrent)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot create index on partitioned table \"%s\" concurrently",
							   RelationGetRelationName(rel)),
						errhint("Leave out CONCURRENTLY here; indexes of partitions can be built "
								"concurrently and be attached.")));
}

/*
 * Looks up the access method and checks that it can do what is asked for.
 */
static IndexAmRoutine *
check_method(const IndexStmt *stmt, Oid *am)
{
	IndexAmRoutine *routine;

	*am = get_index_am_oid(stmt->accessMethod, false);
	routine = GetIndexAmRoutineByAmId(*am, false);

	if (stmt->unique && !routine->amcanunique)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("access method \"%s\" does not support unique indexes",
							   stmt->accessMethod)));
	if (stmt->indexIncludingParams != NIL && !routine->amcaninclude)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("access method \"%s\" does not support included columns",
							   stmt->accessMethod)));
	if (list_length(stmt->indexParams) > 1 && !routine->amcanmulticol)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("access method \"%s\" does not support multicolumn indexes",
							   stmt->accessMethod)));
	return routine;
}

/*
 * Checks the storage options and keeps the one that the planner knows of.
 */
static void
check_options(const IndexStmt *stmt, const IndexAmRoutine *routine, IndexDef *def)
{
	Datum	  options = transformRelOptions((Datum) 0, stmt->options, NULL, NULL, false, false);
	ListCell *lc;

	(void) index_reloptions(routine->amoptions, options, true);
	if (def->am == BRIN_AM_OID)
	{
		foreach (lc, stmt->options)
		{
			DefElem *option = lfirst_node(DefElem, lc);

			if (strcmp(option->defname, "pages_per_range") == 0)
				def->pages_per_range = pg_strtoint32(defGetString(option));
		}
	}
	if (stmt->tableSpace != NULL)
		(void) get_tablespace_oid(stmt->tableSpace, false);
}

/*
 * Walker: whether the tree has a function that is not immutable, counting what
 * the arguments left out default to.
 */
static bool
contains_mutable(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr))
	{
		FuncExpr *func = (FuncExpr *) node;
		HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(func->funcid));
		List	 *args;

		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for function %u", func->funcid);
		args =
			expand_function_arguments(copyObject(func->args), false, func->funcresulttype, tuple);
		ReleaseSysCache(tuple);
		if (contain_mutable_functions((Node *) args))
			return true;
	}
	return expression_tree_walker(node, contains_mutable, context);
}

/*
 * Refuses an expression or predicate with mutable functions, system columns or
 * virtual columns.
 */
static void
check_tree(Relation rel, Node *tree, const char *what)
{
	Bitmapset *columns = NULL;
	int		   member = -1;

	if (contain_mutable_functions(tree) || contains_mutable(tree, NULL))
		ereport(ERROR, (errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
						errmsg("functions in index %s must be marked IMMUTABLE", what)));

	pull_varattnos(tree, 1, &columns);
	while ((member = bms_next_member(columns, member)) >= 0)
	{
		AttrNumber attno = member + FirstLowInvalidHeapAttributeNumber;

		if (attno < 0)
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("index creation on system columns is not supported")));
		if (attno > 0 &&
			TupleDescAttr(RelationGetDescr(rel), attno - 1)->attgenerated == GENERATED_VIRTUAL)
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("indexes on virtual generated columns are not supported")));
	}
}

/*
 * Fills in what the column or expression is.  Its collation goes to the
 * column, too, as what holds unless the statement says otherwise.
 */
static void
resolve_source(Relation rel, const IndexElem *elem, bool key, IndexColumn *column)
{
	Node *expr = elem->expr;

	if (expr != NULL && !key)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("expressions are not supported in included columns")));
	if (expr != NULL)
	{
		column->collation = exprCollation(expr);
		/* "x COLLATE y" and "(x COLLATE y)" are the same */
		while (IsA(expr, CollateExpr))
			expr = (Node *) ((CollateExpr *) expr)->arg;
		if (IsA(expr, Var))
			column->attno = ((Var *) expr)->varattno;
	}
	else
	{
		column->attno = get_attnum(RelationGetRelid(rel), elem->name);
		if (column->attno == InvalidAttrNumber)
			ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
							errmsg("column \"%s\" does not exist", elem->name)));
	}

	if (column->attno < 0)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("index creation on system columns is not supported")));
	if (column->attno > 0)
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(rel), column->attno - 1);

		if (attribute->attgenerated == GENERATED_VIRTUAL)
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("indexes on virtual generated columns are not supported")));
		column->type = attribute->atttypid;
		column->typmod = attribute->atttypmod;
		if (expr == NULL)
			column->collation = attribute->attcollation;
	}
	else
	{
		check_tree(rel, expr, "expression");
		column->expr = expr;
		column->type = exprType(expr);
		column->typmod = exprTypmod(expr);
		CheckAttributeType(elem->indexcolname != NULL ? elem->indexcolname : "expr", column->type,
						   column->collation, NIL, 0);
	}
}

/*
 * Refuses what only key columns may have.
 */
static void
check_included(const IndexElem *elem)
{
	const char *what = NULL;

	if (elem->collation != NIL)
		what = "a collation";
	else if (elem->opclass != NIL)
		what = "an operator class";
	else if (elem->ordering != SORTBY_DEFAULT)
		what = "ASC/DESC options";
	else if (elem->nulls_ordering != SORTBY_NULLS_DEFAULT)
		what = "NULLS FIRST/LAST options";

	if (what != NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
						errmsg("including column does not support %s", what)));
}

/*
 * Fills in collation, operator class and order of a key column.
 */
static void
resolve_key(const IndexStmt *stmt, const IndexElem *elem, Oid am, bool canorder,
			IndexColumn *column)
{
	if (elem->collation != NIL)
		column->collation = get_collation_oid(elem->collation, false);
	if (type_is_collatable(column->type) && !OidIsValid(column->collation))
		ereport(ERROR, (errcode(ERRCODE_INDETERMINATE_COLLATION),
						errmsg("could not determine which collation to use for index expression"),
						errhint("Use the COLLATE clause to set the collation explicitly.")));
	if (!type_is_collatable(column->type) && OidIsValid(column->collation))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("collations are not supported by type %s", format_type_be(column->type))));

	column->opclass = ResolveOpClass(elem->opclass, column->type, stmt->accessMethod, am);

	if (!canorder && elem->ordering != SORTBY_DEFAULT)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("access method \"%s\" does not support ASC/DESC options",
							   stmt->accessMethod)));
	if (!canorder && elem->nulls_ordering != SORTBY_NULLS_DEFAULT)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("access method \"%s\" does not support NULLS FIRST/LAST options",
							   stmt->accessMethod)));
	column->desc = elem->ordering == SORTBY_DESC;
	column->nulls_first = elem->nulls_ordering == SORTBY_NULLS_DEFAULT
							  ? column->desc
							  : elem->nulls_ordering == SORTBY_NULLS_FIRST;
}

/*
 * Definition from a statement that transformIndexStmt() has been through.
 */
static IndexDef *
resolve_statement(Relation rel, const IndexStmt *stmt)
{
	IndexDef	   *def = palloc0(sizeof(IndexDef));
	IndexAmRoutine *routine = check_method(stmt, &def->am);
	List		   *elems = list_concat_copy(stmt->indexParams, stmt->indexIncludingParams);

	if (list_length(elems) > INDEX_MAX_KEYS)
		ereport(ERROR, (errcode(ERRCODE_TOO_MANY_COLUMNS),
						errmsg("cannot use more than %d columns in an index", INDEX_MAX_KEYS)));

	def->relid = RelationGetRelid(rel);
	def->unique = stmt->unique;
	def->nkeys = list_length(stmt->indexParams);
	def->ncolumns = list_length(elems);
	check_options(stmt, routine, def);

	if (stmt->whereClause != NULL)
		check_tree(rel, stmt->whereClause, "predicate");
	def->predicate = make_ands_implicit((Expr *) stmt->whereClause);

	for (int i = 0; i < def->ncolumns; i++)
	{
		IndexElem *elem = list_nth_node(IndexElem, elems, i);
		bool	   key = i < def->nkeys;

		resolve_source(rel, elem, key, &def->columns[i]);
		if (key)
			resolve_key(stmt, elem, def->am, routine->amcanorder, &def->columns[i]);
		else
		{
			check_included(elem);
			def->columns[i].collation = InvalidOid;
		}
	}
	return def;
}

/*
 * The text's only statement, which must be CREATE INDEX.
 */
static IndexStmt *
parse_statement(const char *ddl)
{
	List *statements = raw_parser(ddl, RAW_PARSE_DEFAULT);
	Node *stmt;

	if (list_length(statements) != 1)
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
						errmsg("one CREATE INDEX statement is expected, not %d statements",
							   list_length(statements)),
						errhint("Pass several indexes as several elements of the array.")));
	stmt = linitial_node(RawStmt, statements)->stmt;
	if (!IsA(stmt, IndexStmt))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR), errmsg("only CREATE INDEX statements can be tried"),
				 errdetail("The statement is: %s", ddl)));
	return (IndexStmt *) stmt;
}

/*
 * The definition that a parsed statement stands for.
 */
static IndexDef *
analyze_statement(IndexStmt *stmt, const char *ddl)
{
	Oid relid =
		RangeVarGetRelidExtended(stmt->relation, AccessShareLock, 0, check_table_rights, NULL);
	Relation  rel = table_open(relid, NoLock);
	IndexDef *def;

	check_table(rel, stmt);
	stmt = transformIndexStmt(relid, stmt, ddl);
	def = resolve_statement(rel, stmt);
	table_close(rel, AccessShareLock);
	return def;
}

/*
 * Definition from the text of one CREATE INDEX statement, analysed as the
 * current role with the current search_path; a superuser's runs no function that
 * others own.  Keeps no lock.
 */
IndexDef *
dbperf_index_def_parse(const char *ddl)
{
	ErrorContextCallback context;
	IndexStmt			*stmt;
	IndexDef			*def;
	bool				 trusting;

	context.callback = parse_error_context;
	context.arg = (void *) ddl;
	context.previous = error_context_stack;
	error_context_stack = &context;

	stmt = parse_statement(ddl);
	trusting = dbperf_rights_trust_begin();
	PG_TRY();
	{
		def = analyze_statement(stmt, ddl);
	}
	PG_FINALLY();
	{
		if (trusting)
			dbperf_rights_trust_end();
	}
	PG_END_TRY();

	error_context_stack = context.previous;
	return def;
}
