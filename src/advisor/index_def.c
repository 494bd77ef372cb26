/*-------------------------------------------------------------------------
 *
 * index_def.c
 *		Definitions of real indexes, read from the catalog.
 *
 * The relation cache offers expressions and predicates of an index folded,
 * which executes functions of their author.  So everything comes from the
 * trees that pg_index stores.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/attmap.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "access/xlog.h"
#include "advisor/drops.h"
#include "advisor/index_def.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "pgstat.h"
#include "rewrite/rewriteManip.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/*
 * A tree that a column of pg_index stores, as it was when the index was made;
 * NULL for none.
 */
static Node *
stored_tree(HeapTuple tuple, AttrNumber column)
{
	bool  isnull;
	Datum datum = SysCacheGetAttr(INDEXRELID, tuple, column, &isnull);

	return isnull ? NULL : (Node *) stringToNode(TextDatumGetCString(datum));
}

/*
 * Fills in what pg_class says of an index: method and storage options.
 * Returns whether the row is there.
 */
static bool
read_class(Oid indexid, IndexDef *def)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(indexid));

	if (!HeapTupleIsValid(tuple))
		return false;

	def->am = ((Form_pg_class) GETSTRUCT(tuple))->relam;
	if (def->am == BRIN_AM_OID)
	{
		bool	  isnull;
		Datum	  options = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_reloptions, &isnull);
		ListCell *lc;

		foreach (lc, isnull ? NIL : untransformRelOptions(options))
		{
			DefElem *option = lfirst_node(DefElem, lc);

			if (strcmp(option->defname, "pages_per_range") == 0)
				def->pages_per_range = pg_strtoint32(defGetString(option));
		}
	}
	ReleaseSysCache(tuple);
	return true;
}

/*
 * Type, typmod and collation of a table's column.  Returns whether it exists.
 */
static bool
read_column(Oid relid, AttrNumber attno, Oid *type, int32 *typmod, Oid *collation)
{
	HeapTuple tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid), Int16GetDatum(attno));
	Form_pg_attribute attribute;
	bool			  found;

	if (!HeapTupleIsValid(tuple))
		return false;

	attribute = (Form_pg_attribute) GETSTRUCT(tuple);
	found = !attribute->attisdropped;
	*type = attribute->atttypid;
	*typmod = attribute->atttypmod;
	*collation = attribute->attcollation;
	ReleaseSysCache(tuple);
	return found;
}

/*
 * Fills in the columns from pg_index.  Returns whether all of them exist.
 */
static bool
read_columns(HeapTuple tuple, IndexDef *def)
{
	Form_pg_index index = (Form_pg_index) GETSTRUCT(tuple);
	List		 *exprs = (List *) stored_tree(tuple, Anum_pg_index_indexprs);
	ListCell	 *next = list_head(exprs);
	bool		  isnull;
	oidvector	 *collations;
	oidvector	 *opclasses;
	int2vector	 *options;

	collations = (oidvector *) DatumGetPointer(
		SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indcollation, &isnull));
	opclasses = (oidvector *) DatumGetPointer(
		SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indclass, &isnull));
	options = (int2vector *) DatumGetPointer(
		SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indoption, &isnull));

	for (int i = 0; i < def->ncolumns; i++)
	{
		IndexColumn *column = &def->columns[i];
		Oid			 collation;

		column->attno = index->indkey.values[i];
		if (column->attno == InvalidAttrNumber)
		{
			if (next == NULL)
				elog(ERROR, "too few expressions in index %u", index->indexrelid);
			column->expr = (Node *) lfirst(next);
			column->type = exprType(column->expr);
			column->typmod = exprTypmod(column->expr);
			next = lnext(exprs, next);
		}
		else if (!read_column(def->relid, column->attno, &column->type, &column->typmod,
							  &collation))
			return false;

		if (i < def->nkeys)
		{
			column->collation = collations->values[i];
			column->opclass = opclasses->values[i];
			column->desc = (options->values[i] & INDOPTION_DESC) != 0;
			column->nulls_first = (options->values[i] & INDOPTION_NULLS_FIRST) != 0;
		}
	}
	return true;
}

/*
 * Definition of a real index; NULL if it is gone.  Takes no lock on the index
 * and needs none on the table; reads the catalog only.
 */
IndexDef *
dbperf_index_def_of(Oid indexid)
{
	HeapTuple	  tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexid));
	Form_pg_index index;
	IndexDef	 *def;
	bool		  found;

	if (!HeapTupleIsValid(tuple))
		return NULL;

	index = (Form_pg_index) GETSTRUCT(tuple);
	def = palloc0(sizeof(IndexDef));
	def->relid = index->indrelid;
	def->unique = index->indisunique;
	def->nkeys = index->indnkeyatts;
	def->ncolumns = index->indnatts;
	def->predicate = make_ands_implicit((Expr *) stored_tree(tuple, Anum_pg_index_indpred));
	found = read_class(indexid, def) && read_columns(tuple, def);
	ReleaseSysCache(tuple);
	return found ? def : NULL;
}

/*
 * Scans of an index and, if it is partitioned, of the indexes that belong to
 * it.
 */
static double
index_scans(Oid indexid)
{
	List	 *all = list_make1_oid(indexid);
	double	  scans = 0;
	ListCell *lc;

	if (get_rel_relkind(indexid) == RELKIND_PARTITIONED_INDEX)
		all = find_all_inheritors(indexid, NoLock, NULL);
	foreach (lc, all)
	{
		PgStat_StatTabEntry *stats = pgstat_fetch_stat_tabentry(lfirst_oid(lc));

		if (stats != NULL)
			scans += (double) stats->numscans;
	}
	return scans;
}

/*
 * Whether somebody may be building or dropping indexes of the table: CREATE,
 * DROP and REINDEX CONCURRENTLY keep this lock from their first transaction to
 * the last.  VACUUM has it too, so a "yes" may mean nothing.
 */
static bool
table_is_busy(Oid relid)
{
	LOCKTAG tag;
	int		count;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, relid);
	(void) GetLockConflicts(&tag, ShareUpdateExclusiveLock, &count);
	return count > 0;
}

/*
 * A real index with what matters for advice, or NULL if it is gone.
 */
static RealIndex *
read_real_index(Form_pg_index index)
{
	RealIndex *real = palloc0(sizeof(RealIndex));

	real->oid = index->indexrelid;
	real->name = get_rel_name(real->oid);
	real->def = dbperf_index_def_of(real->oid);
	if (real->name == NULL || real->def == NULL)
		return NULL;

	real->valid = index->indisvalid && index->indisready && index->indislive;
	real->primary = index->indisprimary;
	real->unique = index->indisunique;
	real->exclusion = index->indisexclusion;
	real->replica_identity = index->indisreplident;
	real->clustered = index->indisclustered;
	real->partition = get_rel_relispartition(real->oid);
	real->constraint =
		OidIsValid(get_index_constraint(real->oid)) || get_index_ref_constraints(real->oid) != NIL;
	/* a standby does not know who is at work on the primary */
	real->leftover = !index->indisvalid && get_rel_relkind(real->oid) == RELKIND_INDEX &&
					 !RecoveryInProgress() && !table_is_busy(index->indrelid);
	real->bytes = dbperf_relation_bytes(real->oid);
	real->scans = index_scans(real->oid);
	return real;
}

static int
compare_real_indexes(const ListCell *a, const ListCell *b)
{
	Oid left = ((RealIndex *) lfirst(a))->oid;
	Oid right = ((RealIndex *) lfirst(b))->oid;

	return left < right ? -1 : left > right ? 1 : 0;
}

/*
 * All indexes of a table as RealIndex, ordered by oid.
 */
List *
dbperf_real_indexes(Oid relid)
{
	List	   *result = NIL;
	Relation	pg_index = table_open(IndexRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_index_indrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(pg_index, IndexIndrelidIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_index index = (Form_pg_index) GETSTRUCT(tuple);
		RealIndex	 *real = read_real_index(index);

		if (real != NULL)
			result = lappend(result, real);
	}
	systable_endscan(scan);
	table_close(pg_index, AccessShareLock);

	list_sort(result, compare_real_indexes);
	return result;
}

/*
 * A copy in the current memory context.
 */
IndexDef *
dbperf_index_def_copy(const IndexDef *def)
{
	IndexDef *copy = palloc(sizeof(IndexDef));

	*copy = *def;
	copy->predicate = copyObject(def->predicate);
	for (int i = 0; i < def->ncolumns; i++)
		copy->columns[i].expr = copyObject(def->columns[i].expr);
	return copy;
}

static bool
function_is_gone(Oid funcid, void *context)
{
	return !SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(funcid));
}

/*
 * Walker: whether the tree speaks of a column or function that is not there,
 * or not as it was.  The context is the table's OID.
 */
static bool
speaks_of_gone_things(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var	 *var = (Var *) node;
		Oid	  type;
		int32 typmod;
		Oid	  collation;

		if (var->varattno == InvalidAttrNumber)
			return false;
		return !read_column(*(Oid *) context, var->varattno, &type, &typmod, &collation) ||
			   type != var->vartype || typmod != var->vartypmod || collation != var->varcollid;
	}
	return check_functions_in_node(node, function_is_gone, NULL) ||
		   expression_tree_walker(node, speaks_of_gone_things, context);
}

/*
 * Whether the table still has what the definition speaks of: columns with
 * these types.  Table statistics may have changed, the shape must not.
 */
bool
dbperf_index_def_valid(const IndexDef *def)
{
	Oid relid = def->relid;

	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)) ||
		!SearchSysCacheExists1(AMOID, ObjectIdGetDatum(def->am)) ||
		speaks_of_gone_things((Node *) def->predicate, &relid))
		return false;

	for (int i = 0; i < def->ncolumns; i++)
	{
		const IndexColumn *column = &def->columns[i];
		Oid				   type;
		int32			   typmod;
		Oid				   collation;

		if (column->attno == InvalidAttrNumber)
		{
			if (speaks_of_gone_things(column->expr, &relid))
				return false;
		}
		else if (!read_column(relid, column->attno, &type, &typmod, &collation) ||
				 type != column->type || typmod != column->typmod)
			return false;

		if (i < def->nkeys && !SearchSysCacheExists1(CLAOID, ObjectIdGetDatum(column->opclass)))
			return false;
	}
	return true;
}

/*
 * Attribute numbers of a child table by those of the parent, 0 where it has no
 * column of that name and type.
 */
static AttrMap *
child_attributes(Oid parent, Oid child)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(parent));
	AttrMap	 *map;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	map = make_attrmap(((Form_pg_class) GETSTRUCT(tuple))->relnatts);
	ReleaseSysCache(tuple);

	for (int i = 0; i < map->maplen; i++)
	{
		char	  *name = get_attname(parent, i + 1, true);
		AttrNumber attno = name == NULL ? InvalidAttrNumber : get_attnum(child, name);
		Oid		   type[2];
		int32	   typmod[2];
		Oid		   collation[2];

		if (attno > 0 && read_column(parent, i + 1, &type[0], &typmod[0], &collation[0]) &&
			read_column(child, attno, &type[1], &typmod[1], &collation[1]) && type[0] == type[1] &&
			typmod[0] == typmod[1])
			map->attnums[i] = attno;
	}
	return map;
}

/*
 * Walker: whether the tree has a column that the map (context) lacks.
 */
static bool
lacks_column(Node *node, void *context)
{
	AttrMap *map = context;

	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		AttrNumber attno = ((Var *) node)->varattno;

		return attno <= 0 || attno > map->maplen || map->attnums[attno - 1] == 0;
	}
	return expression_tree_walker(node, lacks_column, context);
}

/*
 * The same definition for a partition or child table of def's table, attribute
 * numbers mapped by name; NULL if it lacks a column.  Nor is there one for
 * expressions over whole rows, whose type differs.
 */
IndexDef *
dbperf_index_def_for_child(const IndexDef *def, Oid child)
{
	AttrMap	 *map = child_attributes(def->relid, child);
	IndexDef *copy;
	bool	  whole_row;

	if (map == NULL || lacks_column((Node *) def->predicate, map))
		return NULL;

	copy = dbperf_index_def_copy(def);
	copy->relid = child;
	copy->predicate =
		(List *) map_variable_attnos((Node *) copy->predicate, 1, 0, map, InvalidOid, &whole_row);
	for (int i = 0; i < copy->ncolumns; i++)
	{
		IndexColumn *column = &copy->columns[i];

		if (column->attno != InvalidAttrNumber)
		{
			if (column->attno < 0 || column->attno > map->maplen ||
				map->attnums[column->attno - 1] == 0)
				return NULL;
			column->attno = map->attnums[column->attno - 1];
		}
		else
		{
			if (lacks_column(column->expr, map))
				return NULL;
			column->expr = map_variable_attnos(column->expr, 1, 0, map, InvalidOid, &whole_row);
		}
	}
	return copy;
}
