/*-------------------------------------------------------------------------
 *
 * hypo.c
 *		Hypothetical indexes in the planner's form.
 *
 * What get_relation_info() reads from the relation cache is here made from the
 * definition.  All that does not change between plans is kept: a statement is
 * planned many times.  An invalidation of any relation makes us look again,
 * since nothing locks the tables between two statements.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/gist.h"
#include "access/htup_details.h"
#include "access/spgist.h"
#include "access/table.h"
#include "access/tableam.h"
#include "advisor/hypo.h"
#include "advisor/workload.h"
#include "catalog/partition.h"
#include "catalog/pg_am.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_opclass.h"
#include "commands/defrem.h"
#include "commands/tablespace.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/prep.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

/* Counts invalidations of relations seen by this process. */
static uint64 generation = 1;

/*
 * Some relation has changed.
 */
static void
relation_changed(Datum arg, Oid relid)
{
	generation++;
}

/*
 * Starts to watch for changes; may be called again and again.
 */
void
dbperf_hypo_init(void)
{
	static bool done = false;

	if (!done)
	{
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
		done = true;
	}
}

/*
 * Whether indexes of that method can be hypothetical: their costs and sizes
 * must be known here, and their cost function must not look for the index.
 */
bool
dbperf_hypo_supported(Oid am)
{
	return am == BTREE_AM_OID || am == HASH_AM_OID || am == GIST_AM_OID || am == SPGIST_AM_OID ||
		   am == GIN_AM_OID || am == BRIN_AM_OID;
}

/*
 * An OID that no relation has.  The topmost ones are reached by the server's
 * own counter last of all.
 */
Oid
dbperf_hypo_new_oid(WhatIf *whatif)
{
	do
	{
		whatif->last_oid--;
	} while (!OidIsValid(whatif->last_oid) ||
			 SearchSysCacheExists1(RELOID, ObjectIdGetDatum(whatif->last_oid)));
	return whatif->last_oid;
}

/*
 * What a private OID stands for, or NULL.
 */
HypoRelation *
dbperf_hypo_by_oid(WhatIf *whatif, Oid oid)
{
	HypoOid *entry = hash_search(whatif->oids, &oid, HASH_FIND, NULL);

	return entry != NULL ? entry->hypo : NULL;
}

/*
 * A planner's state for a query on this table alone, as estimation functions
 * need it.
 */
static void
make_root(HypoTable *table, Relation relation)
{
	ParseState	*pstate = make_parsestate(NULL);
	Query		*query = makeNode(Query);
	PlannerInfo *root = makeNode(PlannerInfo);

	(void) addRangeTableEntryForRelation(pstate, relation, AccessShareLock, NULL, false, true);
	query->commandType = CMD_SELECT;
	query->rtable = pstate->p_rtable;
	DBPERF_SET_PERMINFOS(query, pstate);
	query->jointree = makeFromExpr(list_make1(makeNode(RangeTblRef)), NULL);
	((RangeTblRef *) linitial(query->jointree->fromlist))->rtindex = 1;

	root->parse = query;
	root->glob = makeNode(PlannerGlobal);
	root->query_level = 1;
	root->planner_cxt = CurrentMemoryContext;
	root->wt_param_id = -1;
	setup_simple_rel_arrays(root);
	table->root = root;
	table->rel = build_simple_rel(root, 1, NULL);
	table->rel->rows = table->rel->tuples;
	free_parsestate(pstate);
}

/*
 * Whether a sample that was taken before still has the table's shape.
 */
static bool
sample_fits(const HypoSample *sample, TupleDesc desc)
{
	if (sample->nrows == 0)
		return true;
	if (sample->desc->natts != desc->natts + 1)
		return false;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, i);

		if (!attr->attisdropped && attr->atttypid != TupleDescAttr(sample->desc, i)->atttypid)
			return false;
	}
	return true;
}

/*
 * Reads what there is to know about a table.  The caller holds a lock on it.
 */
static void
read_table(HypoTable *table)
{
	Relation relation = try_table_open(table->relid, NoLock);

	if (relation == NULL)
		return;
	table->owner = relation->rd_rel->relowner;
	if (table->sample != NULL && !sample_fits(table->sample, RelationGetDescr(relation)))
	{
		MemoryContextDelete(table->sample->context);
		table->sample = NULL;
	}
	if (relation->rd_rel->relkind == RELKIND_RELATION ||
		relation->rd_rel->relkind == RELKIND_MATVIEW)
	{
		if (relation->rd_rel->relispartition)
			table->ancestors = get_partition_ancestors(table->relid);
		table->tablespace = GetDefaultTablespace(relation->rd_rel->relpersistence, false);
		table->has_bitmap_scan = relation->rd_tableam->scan_bitmap_next_tuple != NULL;
		table->real = dbperf_real_indexes(table->relid);
		make_root(table, relation);
	}
	table_close(relation, NoLock);
}

/*
 * What is known about a table.  The caller holds a lock on it.
 */
HypoTable *
dbperf_hypo_table(WhatIf *whatif, Oid relid)
{
	bool	   found;
	HypoTable *table = hash_search(whatif->tables, &relid, HASH_ENTER, &found);

	if (!found)
	{
		memset(table, 0, sizeof(HypoTable));
		table->relid = relid;
	}
	if (table->generation != generation)
	{
		MemoryContext old;
		uint64		  now = generation;

		if (table->context == NULL)
			table->context = AllocSetContextCreate(whatif->context, "dbperf what-if table",
												   ALLOCSET_SMALL_SIZES);
		table->generation = 0;
		table->rel = NULL;
		table->real = NIL;
		table->ancestors = NIL;
		MemoryContextReset(table->context);

		old = MemoryContextSwitchTo(table->context);
		read_table(table);
		MemoryContextSwitchTo(old);
		table->generation = now;
	}
	return table;
}

/*
 * Whether a column of an index of this kind gives back what was put in.
 */
static bool
can_return(const HypoRelation *hypo, int column)
{
	Oid family = hypo->opfamily[column];
	Oid type = hypo->opcintype[column];

	switch (hypo->def->am)
	{
		case BTREE_AM_OID:
			return true;
		case GIST_AM_OID:
			return column >= hypo->def->nkeys ||
				   OidIsValid(get_opfamily_proc(family, type, type, GIST_FETCH_PROC)) ||
				   !OidIsValid(get_opfamily_proc(family, type, type, GIST_COMPRESS_PROC));
		case SPGIST_AM_OID:
		{
			spgConfigIn	 in;
			spgConfigOut out = {0};

			if (column > 0)
				return true;
			in.attType = hypo->def->columns[0].type;
			OidFunctionCall2Coll(get_opfamily_proc(family, type, type, SPGIST_CONFIG_PROC),
								 hypo->collations[0], PointerGetDatum(&in), PointerGetDatum(&out));
			return out.canReturnData;
		}
		default:
			return false;
	}
}

/*
 * Fills the arrays that IndexOptInfo will point to.
 */
static void
fill_columns(HypoRelation *hypo)
{
	IndexDef *def = hypo->def;

	hypo->am = GetIndexAmRoutineByAmId(def->am, false);
	for (int i = 0; i < def->ncolumns; i++)
	{
		const IndexColumn *column = &def->columns[i];

		hypo->indexkeys[i] = column->attno;
		if (i < def->nkeys)
		{
			if (!get_opclass_opfamily_and_input_type(column->opclass, &hypo->opfamily[i],
													 &hypo->opcintype[i]))
				elog(ERROR, "cache lookup failed for operator class %u", column->opclass);
			hypo->collations[i] = column->collation;
			hypo->reverse_sort[i] = column->desc;
			hypo->nulls_first[i] = column->nulls_first;
		}
		hypo->canreturn[i] = can_return(hypo, i);
	}
}

/*
 * The first function of the index's expressions that a superuser must not
 * evaluate, as a sentence, or NULL.
 */
static char *
find_untrusted(const IndexDef *def)
{
	char *reason = NULL;

	if (def->predicate != NIL)
		reason = dbperf_untrusted_in_expr((Node *) def->predicate, BOOTSTRAP_SUPERUSERID);
	for (int i = 0; i < def->ncolumns && reason == NULL; i++)
	{
		if (def->columns[i].expr != NULL)
			reason = dbperf_untrusted_in_expr(def->columns[i].expr, BOOTSTRAP_SUPERUSERID);
	}
	return reason;
}

/*
 * Looks again whether the index fits to its table, after something changed.
 */
static void
check_relation(HypoRelation *hypo, HypoTable *table)
{
	ListCell *lc;

	hypo->twins = NIL;
	hypo->usable = dbperf_index_def_valid(hypo->def);
	if (!hypo->usable)
		return;
	hypo->untrusted = find_untrusted(hypo->def);
	foreach (lc, table->real)
	{
		RealIndex *real = lfirst(lc);

		if (real->valid && dbperf_index_def_equal(real->def, hypo->def))
			hypo->twins = lappend_oid(hypo->twins, real->oid);
	}
}

/*
 * The index on one table.  If it is none of that table's, def is NULL.
 */
HypoRelation *
dbperf_hypo_relation(WhatIf *whatif, HypoIndex *index, HypoTable *table)
{
	HypoKey		  key = {0};
	bool		  found;
	HypoEntry	 *entry;
	HypoRelation *hypo;
	MemoryContext old;

	key.index = index->id;
	key.relid = table->relid;
	entry = hash_search(whatif->relations, &key, HASH_FIND, NULL);
	if (entry != NULL && entry->hypo->generation == table->generation)
		return entry->hypo;

	old = MemoryContextSwitchTo(whatif->context);
	if (entry != NULL)
		hypo = entry->hypo;
	else
	{
		hypo = palloc0(sizeof(HypoRelation));
		hypo->index = index;
		hypo->relid = table->relid;
		hypo->tree_height = -1;
		if (table->relid == index->def->relid)
			hypo->def = index->def;
		else if (list_member_oid(table->ancestors, index->def->relid))
			hypo->def = dbperf_index_def_for_child(index->def, table->relid);
		if (hypo->def != NULL)
		{
			HypoOid *oid;

			fill_columns(hypo);
			hypo->oid = hypo->def == index->def ? index->oid : dbperf_hypo_new_oid(whatif);
			oid = hash_search(whatif->oids, &hypo->oid, HASH_ENTER, &found);
			oid->hypo = hypo;
			index->relations = lappend(index->relations, hypo);
		}
		entry = hash_search(whatif->relations, &key, HASH_ENTER, &found);
		entry->hypo = hypo;
	}

	if (hypo->def != NULL)
		check_relation(hypo, table);
	hypo->generation = table->generation;
	MemoryContextSwitchTo(old);
	return hypo;
}

/*
 * Brings expressions and predicate to the form that the relation cache gives
 * the planner for real indexes, which evaluates immutable functions.
 */
static void
fold_expressions(HypoRelation *hypo)
{
	List *expressions = NIL;
	List *predicate = NIL;

	for (int i = 0; i < hypo->def->ncolumns; i++)
	{
		if (hypo->def->columns[i].expr != NULL)
			expressions = lappend(expressions, hypo->def->columns[i].expr);
	}
	if (expressions != NIL)
	{
		expressions = (List *) eval_const_expressions(NULL, (Node *) expressions);
		fix_opfuncids((Node *) expressions);
	}
	if (hypo->def->predicate != NIL)
	{
		Node *clause = (Node *) make_ands_explicit(copyObject(hypo->def->predicate));

		clause = eval_const_expressions(NULL, clause);
		clause = (Node *) canonicalize_qual((Expr *) clause, false);
		predicate = make_ands_implicit((Expr *) clause);
		fix_opfuncids((Node *) predicate);
	}
	hypo->expressions = expressions;
	hypo->predicate = predicate;
	hypo->folded = true;
}

/*
 * Estimates the index's size and statistics, if that was not done before.
 * Returns false if the current role must not evaluate its expressions.
 */
bool
dbperf_hypo_prepare(WhatIf *whatif, HypoRelation *hypo, HypoTable *table)
{
	MemoryContext old;
	HypoContents *contents;

	if (hypo->sized)
		return true;
	if (hypo->untrusted != NULL && dbperf_role_is_powerful(GetUserId()))
		return false;

	old = MemoryContextSwitchTo(whatif->context);
	if (!hypo->folded)
		fold_expressions(hypo);
	MemoryContextSwitchTo(old);

	contents = dbperf_hypo_contents(whatif, hypo, table);
	dbperf_hypo_estimate(hypo, table, contents);
	hypo->sized = true;
	if (contents != NULL)
		MemoryContextDelete(contents->context);
	return true;
}

/*
 * The columns of the index as a target list.
 */
static List *
make_target_list(HypoRelation *hypo, IndexOptInfo *info)
{
	List	 *tlist = NIL;
	ListCell *next = list_head(info->indexprs);

	for (int i = 0; i < info->ncolumns; i++)
	{
		const IndexColumn *column = &hypo->def->columns[i];
		Expr			  *expr;

		if (column->attno != InvalidAttrNumber)
		{
			Oid	  type;
			int32 typmod;
			Oid	  collation;

			get_atttypetypmodcoll(hypo->relid, column->attno, &type, &typmod, &collation);
			expr = (Expr *) makeVar(info->rel->relid, column->attno, type, typmod, collation, 0);
		}
		else
		{
			expr = lfirst(next);
			next = lnext(info->indexprs, next);
		}
		tlist = lappend(tlist, makeTargetEntry(expr, i + 1, NULL, false));
	}
	return tlist;
}

/*
 * A node for the planner, in its memory context.  The arrays belong to the
 * what-if: the planner only reads them.
 */
IndexOptInfo *
dbperf_hypo_info(HypoRelation *hypo, HypoTable *table, RelOptInfo *rel)
{
	IndexOptInfo   *info = makeNode(IndexOptInfo);
	IndexAmRoutine *am = hypo->am;

	info->indexoid = hypo->oid;
	info->reltablespace = table->tablespace;
	info->rel = rel;
	info->pages = hypo->pages;
	info->tuples = hypo->def->predicate != NIL ? Min(hypo->tuples, rel->tuples) : rel->tuples;
	info->tree_height = hypo->tree_height;

	info->ncolumns = hypo->def->ncolumns;
	info->nkeycolumns = hypo->def->nkeys;
	info->indexkeys = hypo->indexkeys;
	info->indexcollations = hypo->collations;
	info->opfamily = hypo->opfamily;
	info->opcintype = hypo->opcintype;
	if (am->amcanorder)
	{
		info->sortopfamily = hypo->opfamily;
		info->reverse_sort = hypo->reverse_sort;
		info->nulls_first = hypo->nulls_first;
	}
	info->opclassoptions = hypo->options;
	info->canreturn = hypo->canreturn;
	info->relam = hypo->def->am;

	info->indexprs = copyObject(hypo->expressions);
	info->indpred = copyObject(hypo->predicate);
	if (rel->relid != 1)
	{
		ChangeVarNodes((Node *) info->indexprs, 1, rel->relid, 0);
		ChangeVarNodes((Node *) info->indpred, 1, rel->relid, 0);
	}
	info->indextlist = make_target_list(hypo, info);

	info->unique = hypo->def->unique;
	info->immediate = true;
	info->hypothetical = true;

	info->amcanorderbyop = am->amcanorderbyop;
	info->amoptionalkey = am->amoptionalkey;
	info->amsearcharray = am->amsearcharray;
	info->amsearchnulls = am->amsearchnulls;
	info->amhasgettuple = am->amgettuple != NULL;
	info->amhasgetbitmap = am->amgetbitmap != NULL && table->has_bitmap_scan;
	info->amcanparallel = am->amcanparallel;
	info->amcanmarkpos = am->ammarkpos != NULL && am->amrestrpos != NULL;
	dbperf_hypo_set_cost(info, hypo);
	return info;
}

/*
 * Appends the name of an operator class.
 */
static void
append_opclass(StringInfo buf, Oid opclass)
{
	HeapTuple tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclass));

	if (!HeapTupleIsValid(tuple))
		return;
	appendStringInfo(buf, " %s",
					 quote_identifier(NameStr(((Form_pg_opclass) GETSTRUCT(tuple))->opcname)));
	ReleaseSysCache(tuple);
}

/*
 * Appends one column of an index as CREATE INDEX would show it, roughly: this
 * is for the eye only.
 */
static void
append_column(StringInfo buf, const IndexDef *def, int i, List *context)
{
	const IndexColumn *column = &def->columns[i];

	if (column->attno != InvalidAttrNumber)
		appendStringInfoString(buf,
							   quote_identifier(get_attname(def->relid, column->attno, false)));
	else
	{
		char *text = deparse_expression(column->expr, context, false, false);

		if (IsA(column->expr, FuncExpr))
			appendStringInfoString(buf, text);
		else
			appendStringInfo(buf, "(%s)", text);
	}
	if (i < def->nkeys && column->opclass != GetDefaultOpClass(column->type, def->am))
		append_opclass(buf, column->opclass);
	if (i < def->nkeys && column->desc)
		appendStringInfoString(buf, " DESC");
}

/*
 * What EXPLAIN calls an index: "<what-if> orders (customer_id)".
 */
char *
dbperf_hypo_name(const IndexDef *def)
{
	StringInfoData buf;
	char		  *table = get_rel_name(def->relid);
	List		  *context;

	if (table == NULL)
		return pstrdup("<what-if>");
	context = deparse_context_for(table, def->relid);

	initStringInfo(&buf);
	appendStringInfo(&buf, "<what-if> %s ", quote_identifier(table));
	if (def->am != BTREE_AM_OID)
		appendStringInfo(&buf, "%s ", get_am_name(def->am));
	for (int i = 0; i < def->ncolumns; i++)
	{
		appendStringInfoString(&buf, i == 0 ? "(" : i == def->nkeys ? ") INCLUDE (" : ", ");
		append_column(&buf, def, i, context);
	}
	appendStringInfoChar(&buf, ')');
	if (def->predicate != NIL)
		appendStringInfo(
			&buf, " WHERE %s",
			deparse_expression((Node *) make_ands_explicit(def->predicate), context, false, false));
	return buf.data;
}
