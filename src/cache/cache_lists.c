/*-------------------------------------------------------------------------
 *
 * cache_lists.c
 *		What administrators have listed in this database, as a process knows it.
 *
 * Three tables of the extension say which tables and queries are to be cached,
 * or never are, and which functions are trusted.  Each process keeps what they
 * say and reads it again when one of them was changed, which it hears of by an
 * invalidation of that table in the relation cache.  Without the extension there
 * is no such table, so any change of the database's schemas makes it look again.
 *
 * This is asked while statements are planned and executed, so nothing here
 * waits: while somebody holds a lock against readers of the tables, or without
 * memory, nothing is listed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "cache/cache_int.h"
#include "cache/cache_lists.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "core/core.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

/* Rows of one list; the first column is an OID, a number or a text. */
typedef struct ListedRow
{
	union
	{
		Oid	  relation;
		int64 queryid;
		char *function;
	};
	bool cached;
} ListedRow;

typedef struct ListedRows
{
	Oid		   table; /* InvalidOid without the extension */
	ListedRow *rows;  /* sorted; NULL if there are none */
	int		   num;
	int		   size;
} ListedRows;

static const char *const list_tables[CACHE_NUM_LISTS] = {
	[CACHE_LIST_TABLES] = "cache_tables",
	[CACHE_LIST_QUERIES] = "cache_queries_listed",
	[CACHE_LIST_FUNCTIONS] = "cache_functions",
};

static ListedRows	 lists[CACHE_NUM_LISTS];
static bool			 lists_valid = false;
static bool			 schema_exists = false;
static bool			 registered = false;
static MemoryContext lists_context = NULL;

/* ---- order ---- */

static int
compare_tables(const void *a, const void *b)
{
	return oid_cmp(&((const ListedRow *) a)->relation, &((const ListedRow *) b)->relation);
}

static int
compare_queries(const void *a, const void *b)
{
	int64 left = ((const ListedRow *) a)->queryid;
	int64 right = ((const ListedRow *) b)->queryid;

	return left < right ? -1 : left > right;
}

static int
compare_functions(const void *a, const void *b)
{
	return strcmp(((const ListedRow *) a)->function, ((const ListedRow *) b)->function);
}

static int (*const compare[CACHE_NUM_LISTS])(const void *, const void *) = {
	[CACHE_LIST_TABLES] = compare_tables,
	[CACHE_LIST_QUERIES] = compare_queries,
	[CACHE_LIST_FUNCTIONS] = compare_functions,
};

/* ---- invalidation ---- */

/*
 * A table that is not there yet may be the one that has just been made.
 */
static void
relation_changed(Datum arg, Oid relid)
{
	for (int i = 0; i < CACHE_NUM_LISTS; i++)
		if (relid == InvalidOid || relid == lists[i].table ||
			(schema_exists && !OidIsValid(lists[i].table)))
			lists_valid = false;
}

static void
schemas_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	lists_valid = false;
}

/*
 * Registers the callbacks, once in a process that asks.
 */
void
dbperf_cache_lists_init(void)
{
	if (registered)
		return;
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, schemas_changed, (Datum) 0);
	registered = true;
}

/* ---- reading ---- */

/*
 * One of the lists' tables, if it is the extension's own.  InvalidOid without
 * the extension, or with an older one.
 */
Oid
dbperf_cache_list_table(CacheList list)
{
	return dbperf_own_table(list_tables[list]);
}

/* Room for one more row.  NULL without memory. */
static ListedRow *
add_row(ListedRows *list)
{
	if (list->num == list->size)
	{
		int		   size = Max(16, 2 * list->size);
		ListedRow *rows = MemoryContextAllocExtended(lists_context, size * sizeof(ListedRow),
													 MCXT_ALLOC_NO_OOM | MCXT_ALLOC_HUGE);

		if (rows == NULL)
			return NULL;
		if (list->num > 0)
			memcpy(rows, list->rows, list->num * sizeof(ListedRow));
		list->rows = rows;
		list->size = size;
	}
	return &list->rows[list->num++];
}

/*
 * Fills a row.  False without memory.
 */
static bool
fill_row(CacheList which, ListedRow *row, Datum key, bool cached)
{
	row->cached = cached;
	switch (which)
	{
		case CACHE_LIST_TABLES:
			row->relation = DatumGetObjectId(key);
			return true;
		case CACHE_LIST_QUERIES:
			row->queryid = DatumGetInt64(key);
			return true;
		default:
			row->function = MemoryContextAllocExtended(lists_context,
													   VARSIZE_ANY_EXHDR(DatumGetPointer(key)) + 1,
													   MCXT_ALLOC_NO_OOM | MCXT_ALLOC_ZERO);
			if (row->function == NULL)
				return false;
			memcpy(row->function, VARDATA_ANY(DatumGetPointer(key)),
				   VARSIZE_ANY_EXHDR(DatumGetPointer(key)));
			return true;
	}
}

/*
 * Whether the table has the columns that this library knows.
 */
static bool
fits(CacheList which, TupleDesc desc)
{
	static const Oid key_types[CACHE_NUM_LISTS] = {
		[CACHE_LIST_TABLES] = REGCLASSOID,
		[CACHE_LIST_QUERIES] = INT8OID,
		[CACHE_LIST_FUNCTIONS] = TEXTOID,
	};

	if (desc->natts < 1 || TupleDescAttr(desc, 0)->atttypid != key_types[which])
		return false;
	return which == CACHE_LIST_FUNCTIONS ||
		   (desc->natts >= 2 && TupleDescAttr(desc, 1)->atttypid == BOOLOID);
}

/* Whether a text is not just there; no name of a function is so long. */
static bool
is_toasted(Datum text)
{
	return VARATT_IS_EXTERNAL(DatumGetPointer(text)) || VARATT_IS_COMPRESSED(DatumGetPointer(text));
}

/*
 * Reads the rows of an open table.  False without memory.
 */
static bool
read_rows(CacheList which, Relation table, ListedRows *list)
{
	TupleDesc	desc = RelationGetDescr(table);
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		ok = true;

	if (!fits(which, desc))
		return true;
	scan = systable_beginscan(table, InvalidOid, false, NULL, 0, NULL);
	while (ok && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool	   key_null;
		bool	   cached_null = false;
		Datum	   key = heap_getattr(tuple, 1, desc, &key_null);
		Datum	   cached = BoolGetDatum(true);
		ListedRow *row;

		if (which != CACHE_LIST_FUNCTIONS)
			cached = heap_getattr(tuple, 2, desc, &cached_null);
		if (key_null || cached_null || (which == CACHE_LIST_FUNCTIONS && is_toasted(key)))
			continue;
		row = add_row(list);
		ok = row != NULL && fill_row(which, row, key, DatumGetBool(cached));
	}
	systable_endscan(scan);
	if (ok && list->num > 1)
		qsort(list->rows, list->num, sizeof(ListedRow), compare[which]);
	return ok;
}

/*
 * Reads one list.  False if that is not possible now.
 */
static bool
read_list(CacheList which)
{
	ListedRows *list = &lists[which];
	Relation	table;
	bool		ok;

	if (!OidIsValid(list->table))
		return true;
	if (!ConditionalLockRelationOid(list->table, AccessShareLock))
		return false;
	table = try_table_open(list->table, NoLock);
	ok = table != NULL && read_rows(which, table, list);
	if (table != NULL)
		table_close(table, NoLock);
	UnlockRelationOid(list->table, AccessShareLock);
	return ok;
}

/*
 * Reads all lists again.
 */
static void
read_lists(void)
{
	bool ok = true;

	if (lists_context == NULL)
		lists_context =
			AllocSetContextCreate(TopMemoryContext, "dbperf cache lists", ALLOCSET_SMALL_SIZES);
	MemoryContextReset(lists_context);
	memset(lists, 0, sizeof(lists));

	/* what is changed from here on is heard of, so that it is read once more */
	lists_valid = true;
	schema_exists = OidIsValid(get_namespace_oid("dbperf", true));
	for (int i = 0; i < CACHE_NUM_LISTS; i++)
		lists[i].table = dbperf_cache_list_table(i);
	for (int i = 0; i < CACHE_NUM_LISTS && ok; i++)
		ok = read_list(i);
	if (ok)
		return;
	for (int i = 0; i < CACHE_NUM_LISTS; i++)
		lists[i].num = 0;
	lists_valid = false;
}

/* ---- asking ---- */

/*
 * Whether nothing is listed, by lists that are up to date.
 */
static inline bool
is_empty(CacheList which)
{
	if (unlikely(!lists_valid) && IsTransactionState())
	{
		dbperf_cache_lists_init();
		read_lists();
	}
	return lists[which].num == 0;
}

static CacheListed
find(CacheList which, const ListedRow *key)
{
	const ListedRow *row =
		bsearch(key, lists[which].rows, lists[which].num, sizeof(ListedRow), compare[which]);

	if (row == NULL)
		return CACHE_LISTED_NO;
	return row->cached ? CACHE_LISTED_YES : CACHE_LISTED_REFUSED;
}

/*
 * What is said of a query by its id, 0 = it has none.
 */
CacheListed
dbperf_cache_listed_query(int64 queryid)
{
	ListedRow key = {.queryid = queryid};

	if (is_empty(CACHE_LIST_QUERIES) || queryid == 0)
		return CACHE_LISTED_NO;
	return find(CACHE_LIST_QUERIES, &key);
}

/*
 * Whether any table is listed, so that it makes sense to ask.
 */
bool
dbperf_cache_tables_listed(void)
{
	return !is_empty(CACHE_LIST_TABLES);
}

/*
 * What is said of a table, or of the nearest one that it is a partition of.
 */
static CacheListed
listed_table(Oid relid)
{
	ListedRow	key = {.relation = relid};
	CacheListed listed = find(CACHE_LIST_TABLES, &key);
	ListCell   *lc;

	if (listed != CACHE_LISTED_NO || !get_rel_relispartition(relid))
		return listed;
	foreach (lc, get_partition_ancestors(relid))
	{
		key.relation = lfirst_oid(lc);
		listed = find(CACHE_LIST_TABLES, &key);
		if (listed != CACHE_LISTED_NO)
			break;
	}
	return listed;
}

/*
 * What is said of a statement's tables: refused if one of them is, and yes if
 * all are listed.  Views among them do not count.
 */
CacheListed
dbperf_cache_listed_tables(List *relations)
{
	CacheListed result = relations != NIL ? CACHE_LISTED_YES : CACHE_LISTED_NO;
	ListCell   *lc;

	if (is_empty(CACHE_LIST_TABLES))
		return CACHE_LISTED_NO;
	foreach (lc, relations)
	{
		Oid			relid = lfirst_oid(lc);
		CacheListed listed = listed_table(relid);

		if (listed == CACHE_LISTED_REFUSED)
			return listed;
		if (listed == CACHE_LISTED_NO && get_rel_relkind(relid) != RELKIND_VIEW)
			result = CACHE_LISTED_NO;
	}
	return result;
}

/*
 * The name under which a function stands in the list, with its schema and the
 * types of its arguments; NULL if there is no such function.  It does not depend
 * on settings.
 */
char *
dbperf_cache_function_name(Oid function)
{
	bool  quote_all = quote_all_identifiers;
	char *name;

	quote_all_identifiers = false;
	PG_TRY();
	{
		name = format_procedure_extended(function,
										 FORMAT_PROC_FORCE_QUALIFY | FORMAT_PROC_INVALID_AS_NULL);
	}
	PG_FINALLY();
	{
		quote_all_identifiers = quote_all;
	}
	PG_END_TRY();
	return name;
}

/*
 * Whether a function is trusted.
 */
bool
dbperf_cache_listed_function(Oid function)
{
	ListedRow key = {.function = NULL};
	bool	  listed;

	if (is_empty(CACHE_LIST_FUNCTIONS))
		return false;
	key.function = dbperf_cache_function_name(function);
	if (key.function == NULL)
		return false;
	listed = find(CACHE_LIST_FUNCTIONS, &key) == CACHE_LISTED_YES;
	pfree(key.function);
	return listed;
}
