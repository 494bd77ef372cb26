/*-------------------------------------------------------------------------
 *
 * index_ddl.c
 *		The statements that create an index.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "advisor/index_def.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_opclass.h"
#include "commands/defrem.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

/*
 * "schema.table", quoted where needed; the schema always.  The OID if it is
 * gone.
 */
char *
dbperf_table_name(Oid relid)
{
	char *name = get_rel_name(relid);
	char *schema = name == NULL ? NULL : get_namespace_name_or_temp(get_rel_namespace(relid));

	if (schema == NULL)
		return psprintf("%u", relid);
	return quote_qualified_identifier(schema, name);
}

/*
 * Whether an index column that is this expression can do without parentheses.
 */
static bool
looks_like_function(const Node *expr)
{
	switch (nodeTag(expr))
	{
		case T_FuncExpr:
			return ((const FuncExpr *) expr)->funcformat == COERCE_EXPLICIT_CALL;
		case T_CoalesceExpr:
		case T_MinMaxExpr:
		case T_NullIfExpr:
			return true;
		default:
			return false;
	}
}

/*
 * Appends the name of an operator class, qualified unless it is built in.
 */
static void
append_opclass(StringInfo out, Oid opclass)
{
	HeapTuple		tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclass));
	Form_pg_opclass form;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator class %u", opclass);
	form = (Form_pg_opclass) GETSTRUCT(tuple);
	if (OpclassIsVisible(opclass))
		appendStringInfo(out, " %s", quote_identifier(NameStr(form->opcname)));
	else
		appendStringInfo(out, " %s",
						 quote_qualified_identifier(get_namespace_name(form->opcnamespace),
													NameStr(form->opcname)));
	ReleaseSysCache(tuple);
}

/*
 * Text of an expression of the table's columns.  Runs none of its functions,
 * but opens the table, so that it waits while somebody else rewrites that.
 */
static char *
deparse(const IndexDef *def, Node *expr)
{
	List *context = deparse_context_for(get_rel_name(def->relid), def->relid);

	return deparse_expression(expr, context, false, false);
}

/*
 * Appends one column: of the key with all that is not the default.
 */
static void
append_column(StringInfo out, const IndexDef *def, int i)
{
	const IndexColumn *column = &def->columns[i];
	Oid				   collation;

	if (column->attno != InvalidAttrNumber)
	{
		int32 typmod;
		Oid	  type;

		appendStringInfoString(out,
							   quote_identifier(get_attname(def->relid, column->attno, false)));
		get_atttypetypmodcoll(def->relid, column->attno, &type, &typmod, &collation);
	}
	else
	{
		char *text = deparse(def, column->expr);

		appendStringInfo(out, looks_like_function(column->expr) ? "%s" : "(%s)", text);
		collation = exprCollation(column->expr);
	}

	if (i >= def->nkeys)
		return;
	if (OidIsValid(column->collation) && column->collation != collation)
		appendStringInfo(out, " COLLATE %s", generate_collation_name(column->collation));
	if (column->opclass != GetDefaultOpClass(column->type, def->am))
		append_opclass(out, column->opclass);
	if (column->desc)
		appendStringInfoString(out, " DESC");
	if (column->nulls_first != column->desc)
		appendStringInfoString(out, column->nulls_first ? " NULLS FIRST" : " NULLS LAST");
}

/*
 * Appends what follows the table's name: method, columns, options, predicate.
 * Caller has set search_path to pg_catalog.
 */
static void
append_definition(StringInfo out, const IndexDef *def)
{
	appendStringInfo(out, " USING %s (", quote_identifier(get_am_name(def->am)));
	for (int i = 0; i < def->ncolumns; i++)
	{
		if (i == def->nkeys)
			appendStringInfoString(out, ") INCLUDE (");
		else if (i > 0)
			appendStringInfoString(out, ", ");
		append_column(out, def, i);
	}
	appendStringInfoChar(out, ')');

	if (def->am == BRIN_AM_OID && def->pages_per_range > 0)
		appendStringInfo(out, " WITH (pages_per_range='%d')", def->pages_per_range);
	if (def->predicate != NIL)
		appendStringInfo(out, " WHERE %s",
						 deparse(def, (Node *) make_ands_explicit(def->predicate)));
}

/*
 * "ON [ONLY] table USING ...", every name qualified: the search_path must not
 * have what could be left away.  Constants are written so that any session reads
 * them the same.
 */
static char *
definition_text(const IndexDef *def, bool only)
{
	static const char *const settings[][2] = {
		{"search_path", "pg_catalog, pg_temp"},
		{"DateStyle", "ISO, YMD"},
		{"IntervalStyle", "postgres"},
		{"extra_float_digits", "1"},
		{"bytea_output", "hex"},
		{"quote_all_identifiers", "off"},
	};
	StringInfoData out;
	int			   nestlevel;

	if (get_rel_name(def->relid) == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", def->relid)));

	initStringInfo(&out);
	appendStringInfo(&out, "ON %s%s", only ? "ONLY " : "", dbperf_table_name(def->relid));

	nestlevel = NewGUCNestLevel();
	for (int i = 0; i < (int) lengthof(settings); i++)
		(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	append_definition(&out, def);
	AtEOXact_GUC(true, nestlevel);
	return out.data;
}

/*
 * What identifies it among advice: DDL without a name and CONCURRENTLY.
 */
char *
dbperf_index_def_identity(const IndexDef *def)
{
	char *text = definition_text(def, false);

	return def->unique ? psprintf("UNIQUE %s", text) : text;
}

/*
 * CREATE INDEX with a given name.
 */
static char *
create_statement(const IndexDef *def, const char *name, bool concurrently, bool only)
{
	return psprintf("CREATE %sINDEX %s%s %s", def->unique ? "UNIQUE " : "",
					concurrently ? "CONCURRENTLY " : "", quote_identifier(name),
					definition_text(def, only));
}

/*
 * The statement that creates it, one line, every name qualified and quoted
 * where needed.  name NULL = let dbperf choose one that is free.
 */
char *
dbperf_index_def_ddl(const IndexDef *def, const char *name, bool concurrently)
{
	bool partitioned = get_rel_relkind(def->relid) == RELKIND_PARTITIONED_TABLE;

	if (name == NULL)
		name = dbperf_index_def_name(def);
	return create_statement(def, name, concurrently && !partitioned, partitioned);
}

/*
 * What a column is called in the names that the server gives to indexes: of a
 * function its name, of a cast what it casts.
 */
static const char *
column_base_name(const IndexDef *def, const IndexColumn *column)
{
	const Node *expr = column->expr;
	const char *name = NULL;

	if (column->attno != InvalidAttrNumber)
		return get_attname(def->relid, column->attno, false);

	for (;;)
	{
		if (IsA(expr, RelabelType))
			expr = (const Node *) ((const RelabelType *) expr)->arg;
		else if (IsA(expr, CoerceViaIO))
			expr = (const Node *) ((const CoerceViaIO *) expr)->arg;
		else if (IsA(expr, FuncExpr) && !looks_like_function(expr) &&
				 ((const FuncExpr *) expr)->args != NIL)
			expr = (const Node *) linitial(((const FuncExpr *) expr)->args);
		else
			break;
	}

	if (IsA(expr, Var) && ((const Var *) expr)->varattno > 0)
		name = get_attname(def->relid, ((const Var *) expr)->varattno, true);
	else if (IsA(expr, FuncExpr))
		name = get_func_name(((const FuncExpr *) expr)->funcid);
	else if (IsA(expr, CoalesceExpr))
		name = "coalesce";
	return name != NULL ? name : "expr";
}

/*
 * Names of the columns joined by "_", as the server does for the name of an
 * index.
 */
static char *
columns_name(const IndexDef *def)
{
	StringInfoData out;
	List		  *names = NIL;

	initStringInfo(&out);
	for (int i = 0; i < def->ncolumns && out.len < NAMEDATALEN; i++)
	{
		const char *base = column_base_name(def, &def->columns[i]);
		char	   *name = pstrdup(base);

		for (int n = 1; list_member(names, makeString(name)); n++)
		{
			char number[16];
			int	 length;

			snprintf(number, sizeof(number), "%d", n);
			length = pg_mbcliplen(base, strlen(base), NAMEDATALEN - 1 - (int) strlen(number));
			name = psprintf("%.*s%s", length, base, number);
		}
		names = lappend(names, makeString(name));
		appendStringInfo(&out, "%s%s", i > 0 ? "_" : "", name);
	}
	return out.data;
}

/*
 * A name for it that no relation of the schema has and that is not one of
 * "taken"; at most NAMEDATALEN - 1 bytes.  Chosen like the server does.
 */
char *
dbperf_index_def_name_free(const IndexDef *def, List *taken)
{
	char *table = get_rel_name(def->relid);
	char *columns = columns_name(def);
	Oid	  schema = get_rel_namespace(def->relid);

	if (table == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", def->relid)));

	for (int pass = 0;; pass++)
	{
		char	  label[16];
		char	 *name;
		ListCell *lc;

		snprintf(label, sizeof(label), pass == 0 ? "idx" : "idx%d", pass);
		name = makeObjectName(table, columns, label);
		foreach (lc, taken)
		{
			if (strcmp(lfirst(lc), name) == 0)
				break;
		}
		if (lc == NULL && !OidIsValid(get_relname_relid(name, schema)))
			return name;
	}
}

/*
 * A name for it that no relation of the schema has; at most NAMEDATALEN - 1.
 */
char *
dbperf_index_def_name(const IndexDef *def)
{
	return dbperf_index_def_name_free(def, NIL);
}

/* A script for a partitioned table, while it is made. */
typedef struct PartitionScript
{
	List *statements;
	List *names; /* of indexes of partitions, chosen so far */
	bool  attach;
} PartitionScript;

/*
 * Whether some partition, at any depth, is a foreign table.  Such a partition
 * has no index, so that ATTACH PARTITION could never complete the parent's.
 */
static bool
has_foreign_partition(Oid relid)
{
	ListCell *lc;

	foreach (lc, find_all_inheritors(relid, NoLock, NULL))
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_FOREIGN_TABLE)
			return true;
	}
	return false;
}

/*
 * A valid index of a partition that ATTACH PARTITION would take for this
 * definition, or NULL.
 */
static char *
attachable_index(const IndexDef *def)
{
	ListCell *lc;

	foreach (lc, dbperf_real_indexes(def->relid))
	{
		RealIndex *real = lfirst(lc);
		bool	   same = real->valid && !real->partition && !real->constraint &&
					real->unique == def->unique && dbperf_index_def_equal(real->def, def) &&
					equal(real->def->predicate, def->predicate);

		for (int i = 0; same && i < def->ncolumns; i++)
			same = real->def->columns[i].attno == def->columns[i].attno &&
				   equal(real->def->columns[i].expr, def->columns[i].expr);
		if (same)
			return real->name;
	}
	return NULL;
}

/*
 * Appends the statements for all partitions of def's table, whose own index is
 * called "parent": those below a partition before it is attached.
 */
static void
script_partitions(PartitionScript *script, const IndexDef *def, const char *parent)
{
	ListCell *lc;

	check_stack_depth();
	foreach (lc, find_inheritance_children(def->relid, NoLock))
	{
		Oid		  child = lfirst_oid(lc);
		char	  relkind = get_rel_relkind(child);
		IndexDef *copy;
		char	 *name;

		if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
			continue;
		copy = dbperf_index_def_for_child(def, child);
		if (copy == NULL)
			continue;

		name = attachable_index(copy);
		if (name == NULL)
		{
			name = dbperf_index_def_name_free(copy, script->names);
			script->names = lappend(script->names, name);
			if (relkind == RELKIND_RELATION || script->attach)
				script->statements =
					lappend(script->statements, dbperf_index_def_ddl(copy, name, true));
			if (relkind == RELKIND_PARTITIONED_TABLE)
				script_partitions(script, copy, name);
		}

		if (script->attach)
			script->statements =
				lappend(script->statements,
						psprintf("ALTER INDEX %s ATTACH PARTITION %s",
								 quote_qualified_identifier(
									 get_namespace_name(get_rel_namespace(def->relid)), parent),
								 quote_qualified_identifier(
									 get_namespace_name(get_rel_namespace(child)), name)));
	}
}

/*
 * All statements in order, a List of char *: more than one if partitioned.
 * With foreign partitions the indexes of the other partitions come first, and
 * the parent's CREATE INDEX finds and takes them.
 */
List *
dbperf_index_def_script(const IndexDef *def, const char *name)
{
	PartitionScript script = {NIL, NIL, true};

	if (get_rel_relkind(def->relid) != RELKIND_PARTITIONED_TABLE)
		return list_make1(dbperf_index_def_ddl(def, name, true));

	if (name == NULL)
		name = dbperf_index_def_name(def);
	script.names = list_make1((char *) name);
	script.attach = !has_foreign_partition(def->relid);
	if (script.attach)
		script.statements = list_make1(dbperf_index_def_ddl(def, name, false));
	script_partitions(&script, def, name);
	if (!script.attach)
		script.statements = lappend(script.statements, create_statement(def, name, false, false));
	return script.statements;
}
