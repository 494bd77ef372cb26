/*-------------------------------------------------------------------------
 *
 * maint_gather.c
 *		What the catalogs and the statistics system say of the tables of the
 *		current database.
 *
 * Each catalog is read once, in C: no relation is locked or opened, nothing
 * that a user wrote is evaluated, and no rights are needed.  For a single table
 * the same code goes through the catalogs' indexes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "maintenance/maint_facts.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/*
 * The entry of a relation, or NULL if it is not there or of no interest.
 */
MaintRelation *
dbperf_maint_relation(MaintFacts *facts, Oid oid)
{
	return hash_search(facts->relations, &oid, HASH_FIND, NULL);
}

/* Start to read a catalog: all of it, or what has this key. */
static SysScanDesc
begin_scan(Relation catalog, Oid index, AttrNumber attribute, Oid key, ScanKey scan_key)
{
	if (!OidIsValid(key))
		return systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	ScanKeyInit(scan_key, attribute, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(key));
	return systable_beginscan(catalog, index, true, NULL, 1, scan_key);
}

/* ---- pg_class ---- */

/* The reloptions that autovacuum knows; a partitioned table has none of them. */
static void
read_options(MaintRelation *relation, HeapTuple tuple, TupleDesc desc)
{
	StdRdOptions *options;

	if (heap_attisnull(tuple, Anum_pg_class_reloptions, desc))
		return;
	options = (StdRdOptions *) extractRelOptions(tuple, desc, NULL);
	if (options == NULL)
		return;
	relation->options = palloc(sizeof(AutoVacOpts));
	memcpy(relation->options, &options->autovacuum, sizeof(AutoVacOpts));
	relation->cleanup = options->vacuum_index_cleanup;
	pfree(options);
}

/* Whether a relation is a table that can be maintained, or an index of one. */
static bool
of_interest(Form_pg_class class)
{
	if (class->relpersistence == RELPERSISTENCE_TEMP)
		return false;
	switch (class->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_MATVIEW:
		case RELKIND_TOASTVALUE:
		case RELKIND_PARTITIONED_TABLE:
			return true;
		case RELKIND_INDEX:
			/* nobody asks for a TOAST table's index alone */
			return class->relnamespace != PG_TOAST_NAMESPACE;
		default:
			return false;
	}
}

/* Take a row of pg_class over. */
static void
add_relation(MaintFacts *facts, HeapTuple tuple, TupleDesc desc)
{
	Form_pg_class class = (Form_pg_class) GETSTRUCT(tuple);
	bool		   index = class->relkind == RELKIND_INDEX;
	MaintRelation *relation;
	bool		   found;

	if (!of_interest(class))
		return;
	relation = hash_search(facts->relations, &class->oid, HASH_ENTER, &found);
	if (found)
		return;
	memset(relation, 0, sizeof(*relation));
	relation->oid = class->oid;
	relation->schema = class->relnamespace;
	relation->name = index ? NULL : pstrdup(NameStr(class->relname));
	relation->kind = class->relkind;
	relation->shared = class->relisshared;
	relation->pages_then = class->relpages;
	relation->rows = class->reltuples;
	relation->visible = class->relallvisible;
	relation->pages = -1;
	relation->frozenxid = class->relfrozenxid;
	relation->minmxid = class->relminmxid;
	if (index)
		return;

	if (class->relkind != RELKIND_PARTITIONED_TABLE)
		read_options(relation, tuple, desc);
	(void) dbperf_relation_stats(relation->shared ? InvalidOid : MyDatabaseId, relation->oid,
								 &relation->stats);
	if (!relation->shared)
		facts->changes +=
			relation->stats.inserted + relation->stats.updated + relation->stats.deleted;
}

/*
 * Whose TOAST table it is.  The name says so, from CREATE TABLE on and through
 * every rewrite; reltoastrelid has the last word, but no index.
 */
static Oid
toast_owner(const char *name)
{
	unsigned int oid;
	char		 rest;

	return sscanf(name, "pg_toast_%u%c", &oid, &rest) == 1 ? (Oid) oid : InvalidOid;
}

/* Read pg_class, or one row of it. */
static void
read_classes(MaintFacts *facts, Oid key)
{
	Relation	catalog = table_open(RelationRelationId, AccessShareLock);
	ScanKeyData scan_key;
	SysScanDesc scan = begin_scan(catalog, ClassOidIndexId, Anum_pg_class_oid, key, &scan_key);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		CHECK_FOR_INTERRUPTS();
		add_relation(facts, tuple, RelationGetDescr(catalog));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

/* Tie TOAST tables to their tables, whose options stand in for missing ones. */
static void
join_toast(MaintFacts *facts, MaintRelation *toast)
{
	MaintRelation *main = dbperf_maint_relation(facts, toast_owner(toast->name));

	if (main == NULL || main->kind == RELKIND_TOASTVALUE || main->kind == RELKIND_INDEX)
		return;
	toast->main = main;
	/* all or nothing, as in autovacuum */
	if (toast->options == NULL)
		toast->options = main->options;
}

/* ---- pg_index ---- */

/* Which columns of an index are expressions. */
static Bitmapset *
expression_columns(Form_pg_index index)
{
	Bitmapset *columns = NULL;

	for (int i = 0; i < index->indnkeyatts; i++)
	{
		if (index->indkey.values[i] == 0)
			columns = bms_add_member(columns, i + 1);
	}
	return columns;
}

/* Read pg_index, or what is there of one table, and tie indexes to tables. */
static void
read_indexes(MaintFacts *facts, Oid key)
{
	Relation	catalog = table_open(IndexRelationId, AccessShareLock);
	ScanKeyData scan_key;
	SysScanDesc scan =
		begin_scan(catalog, IndexIndrelidIndexId, Anum_pg_index_indrelid, key, &scan_key);
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_index  form = (Form_pg_index) GETSTRUCT(tuple);
		MaintRelation *table = dbperf_maint_relation(facts, form->indrelid);
		MaintRelation *index;

		CHECK_FOR_INTERRUPTS();
		/* what is not ready is neither vacuumed nor analyzed */
		if (table == NULL || !form->indisready)
			continue;
		if (OidIsValid(key))
			read_classes(facts, form->indexrelid);
		index = dbperf_maint_relation(facts, form->indexrelid);
		if (index == NULL)
			continue;
		index->exprs = expression_columns(form);
		index->main = table;
		index->sibling = table->children;
		table->children = index;
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

/* ---- partitions ---- */

/* Read pg_inherits: who is a partition of whom. */
static void
read_parents(MaintFacts *facts)
{
	Relation	catalog = table_open(InheritsRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_inherits form = (Form_pg_inherits) GETSTRUCT(tuple);
		MaintRelation	*parent = dbperf_maint_relation(facts, form->inhparent);
		MaintRelation	*child = dbperf_maint_relation(facts, form->inhrelid);

		CHECK_FOR_INTERRUPTS();
		if (parent != NULL && child != NULL && parent->kind == RELKIND_PARTITIONED_TABLE &&
			!form->inhdetachpending)
			child->parent = parent;
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

/* Read the partitions of a single table. */
static void
read_partitions(MaintFacts *facts, MaintRelation *table)
{
	ListCell *lc;

	foreach (lc, find_all_inheritors(table->oid, NoLock, NULL))
	{
		MaintRelation *partition;

		if (lfirst_oid(lc) == table->oid)
			continue;
		CHECK_FOR_INTERRUPTS();
		read_classes(facts, lfirst_oid(lc));
		partition = dbperf_maint_relation(facts, lfirst_oid(lc));
		if (partition != NULL)
			partition->parent = table;
	}
}

/* Add a leaf to the sums of all tables that it is a partition of. */
static void
add_leaf(MaintRelation *leaf)
{
	const DbperfRelationStats *stats = &leaf->stats;
	double pages = leaf->rows >= 0 ? leaf->pages_then : dbperf_maint_pages(leaf);

	for (MaintRelation *parent = leaf->parent; parent != NULL; parent = parent->parent)
	{
		parent->leaves++;
		parent->leaf_rows += leaf->rows >= 0 ? leaf->rows : stats->live;
		parent->leaf_pages += pages;
		parent->leaf_changes += stats->inserted + stats->updated + stats->deleted;
		parent->leaf_changed_since_analyze += stats->changed_since_analyze;
	}
}

/* ---- files ---- */

/* The path of a relation's first file in the data directory, or NULL. */
static char *
file_path(Oid oid)
{
	LOCAL_FCINFO(fcinfo, 1);
	Datum path;

	InitFunctionCallInfoData(*fcinfo, NULL, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = ObjectIdGetDatum(oid);
	fcinfo->args[0].isnull = false;
	path = pg_relation_filepath(fcinfo);
	return fcinfo->isnull ? NULL : TextDatumGetCString(path);
}

/*
 * Size of a relation's main fork in bytes, 0 if it has none (any more).  Asks
 * the file system, since the relation's lock could be a long wait.
 */
int64
dbperf_maint_file_size(Oid oid)
{
	char *path = file_path(oid);
	int64 size = 0;

	if (path == NULL)
		return 0;
	for (int segment = 0;; segment++)
	{
		char		name[MAXPGPATH];
		struct stat status;

		CHECK_FOR_INTERRUPTS();
		if (segment == 0)
			strlcpy(name, path, sizeof(name));
		else
			snprintf(name, sizeof(name), "%s.%d", path, segment);
		if (stat(name, &status) != 0)
			break;
		size += status.st_size;
		if (status.st_size < (off_t) RELSEG_SIZE * BLCKSZ)
			break;
	}
	pfree(path);
	return size;
}

/*
 * Pages of a relation now.  Asked for where it matters only: it is a system
 * call for each relation.
 */
double
dbperf_maint_pages(MaintRelation *relation)
{
	if (relation->kind == RELKIND_PARTITIONED_TABLE)
		return relation->leaf_pages;
	if (relation->pages < 0)
		relation->pages = dbperf_maint_file_size(relation->oid) / BLCKSZ;
	return relation->pages;
}

/*
 * Pages of a table's indexes, as of the last time that somebody looked.
 */
double
dbperf_maint_index_pages(const MaintRelation *table)
{
	double pages = 0;

	for (const MaintRelation *index = table->children; index != NULL; index = index->sibling)
		pages += index->pages_then;
	return pages;
}

/*
 * Schema and name, quoted where necessary.
 */
char *
dbperf_maint_qualified_name(const MaintRelation *relation)
{
	char	   *schema = get_namespace_name(relation->schema);
	const char *name = relation->name;
	char	   *quoted;
	char	   *result;

	if (name == NULL)
		name = get_rel_name(relation->oid);
	/* both can be gone by now; the command then fails, and says so */
	quoted = quote_qualified_identifier(schema != NULL ? schema : "", name != NULL ? name : "");
	/* its buffer is far bigger than a name, and there are thousands of them */
	result = pstrdup(quoted);
	pfree(quoted);
	if (schema != NULL)
		pfree(schema);
	return result;
}

/* ---- all of it ---- */

/* Everything about one table, and what it is a part of or has as parts. */
static void
gather_one(MaintFacts *facts, Oid oid)
{
	MaintRelation *table;

	read_classes(facts, oid);
	table = dbperf_maint_relation(facts, oid);
	if (table == NULL || table->kind == RELKIND_INDEX)
		return;
	facts->tables = list_make1(table);
	if (table->kind == RELKIND_TOASTVALUE)
	{
		read_classes(facts, toast_owner(table->name));
		join_toast(facts, table);
		return;
	}
	if (table->kind == RELKIND_PARTITIONED_TABLE)
		read_partitions(facts, table);
	else
		read_indexes(facts, oid);

	dbperf_maint_read_columns(facts, oid);
	for (MaintRelation *index = table->children; index != NULL; index = index->sibling)
	{
		if (index->exprs != NULL)
			dbperf_maint_read_columns(facts, index->oid);
	}
	dbperf_maint_read_objects(facts, oid);
}

/* The same for all tables. */
static void
gather_all(MaintFacts *facts)
{
	HASH_SEQ_STATUS scan;
	MaintRelation  *relation;

	read_classes(facts, InvalidOid);
	read_parents(facts);
	read_indexes(facts, InvalidOid);
	dbperf_maint_read_columns(facts, InvalidOid);
	dbperf_maint_read_objects(facts, InvalidOid);

	hash_seq_init(&scan, facts->relations);
	while ((relation = hash_seq_search(&scan)) != NULL)
	{
		if (relation->kind == RELKIND_INDEX)
			continue;
		if (relation->kind == RELKIND_TOASTVALUE)
			join_toast(facts, relation);
		facts->tables = lappend(facts->tables, relation);
	}
}

/*
 * What there is to know of the tables of the current database, or of one table;
 * "tables" is empty if that one is gone, temporary or not a table.  Must run in
 * a transaction; free it by deleting its context.
 */
MaintFacts *
dbperf_maint_gather(Oid only_table)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "dbperf maintenance facts",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext before = MemoryContextSwitchTo(context);
	MaintFacts	 *facts = palloc0(sizeof(MaintFacts));
	HASHCTL		  info = {.keysize = sizeof(Oid), .entrysize = sizeof(MaintRelation)};
	HASH_SEQ_STATUS scan;
	MaintRelation  *relation;

	facts->context = context;
	info.hcxt = context;
	facts->relations =
		hash_create("dbperf maintenance relations", OidIsValid(only_table) ? 16 : 1024, &info,
					HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	if (OidIsValid(only_table))
		gather_one(facts, only_table);
	else
		gather_all(facts);

	hash_seq_init(&scan, facts->relations);
	while ((relation = hash_seq_search(&scan)) != NULL)
	{
		if (relation->kind == RELKIND_RELATION && relation->parent != NULL)
			add_leaf(relation);
	}
	dbperf_maint_read_situation(facts);
	MemoryContextSwitchTo(before);
	return facts;
}
