/*-------------------------------------------------------------------------
 *
 * query_settings.c
 *		Puts the settings of a query in force while it is planned and executed.
 *
 * The table query_settings says which query, by its id, has which settings in
 * this database.  Each process keeps what the table says and reads it again when
 * it was changed.  It hears of that by an invalidation of the table in the
 * relation cache, which the table's trigger sends with the transaction that
 * changes it; on a standby it comes with the WAL.  The same message makes the
 * process give up the plans that it keeps.  Since invalidations are taken in
 * before a cached plan is found good for use, the first execution after the
 * change is planned with it already.
 *
 * While the table is empty, nothing of this is asked: each process that has found
 * it so says that it wants nothing, by dbperf_around_want().
 *
 * In force means in a nest level of the server's settings for each frame, as
 * functions with SET have one.  What the statement itself sets goes to the
 * enclosing level at the end, save SET LOCAL of a setting of the query's own; an
 * error ends the level with its transaction or subtransaction.
 *
 * Nothing here waits: while somebody holds a lock against readers of the table,
 * what was read before stays.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "core/core.h"
#include "core/exec_hooks.h"
#include "miscadmin.h"
#include "plans/query_settings.h"
#include "port/atomics.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* A row of the table.  What it says is looked at when its query is met. */
typedef struct SettingsRow
{
	uint64		  queryid; /* 0 = no row in this place */
	Jsonb		 *json;	   /* as stored; NULL = it was looked at */
	QuerySettings settings;
} SettingsRow;

/* The rows, in a hash table with open addressing, at most half full. */
typedef struct SettingsList
{
	Oid			  table; /* of this name, or InvalidOid; without the extension somebody else's */
	MemoryContext context;
	SettingsRow	 *rows; /* NULL if there are none */
	uint32		  mask; /* places, less one */
	int			  num;
} SettingsList;

/*
 * Rows of which the log has been told, as hashes of what they say; one that
 * falls into another's place replaces it.
 */
#define TOLD_SIZE 256

typedef struct SettingsShared
{
	pg_atomic_uint64 told[TOLD_SIZE];
} SettingsShared;

static SettingsShared *shared = NULL;
static SettingsList	   list;
static bool			   list_valid = false;
static bool			   list_changed = false; /* since it began to be read */
static bool			   list_late = false;	 /* it was to be read, and could not */
static bool			   schema_exists = false;
static bool			   registered = false;

/* ---- invalidation ---- */

static void
forget(void)
{
	list_valid = false;
	list_changed = true;
	dbperf_around_want(dbperf_enabled);
	ResetPlanCache();
}

/*
 * A table that is not there yet may be the one that has just been made.
 */
static void
relation_changed(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == list.table ||
		(!OidIsValid(list.table) && (schema_exists || !list_valid)))
		forget();
}

static void
schemas_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	list_valid = false;
	list_changed = true;
	dbperf_around_want(dbperf_enabled);
}

/*
 * dbperf.enabled was switched: plans made before do not fit any more, unless it
 * is known that no query has settings.
 */
static void
settings_switched(void)
{
	bool matters = !list_valid || list.num > 0;

	dbperf_around_want(dbperf_enabled && matters);
	if (matters)
		ResetPlanCache();
}

/* ---- reading ---- */

/* Where a query's row is, or would be. */
static inline SettingsRow *
row_place(const SettingsList *in, uint64 queryid)
{
	uint32 place = (uint32) queryid & in->mask;

	while (in->rows[place].queryid != 0 && in->rows[place].queryid != queryid)
		place = (place + 1) & in->mask;
	return &in->rows[place];
}

/*
 * Whether the table has the columns that this library knows.
 */
static bool
fits(TupleDesc desc)
{
	return desc->natts >= 3 && TupleDescAttr(desc, 0)->atttypid == INT8OID &&
		   TupleDescAttr(desc, 1)->atttypid == JSONBOID &&
		   TupleDescAttr(desc, 2)->atttypid == BOOLOID;
}

/*
 * Room for at least one more row.  False without memory.
 */
static bool
grow(SettingsList *into)
{
	SettingsList old = *into;
	Size		 size = old.rows == NULL ? 16 : ((Size) old.mask + 1) * 2;

	if (old.rows != NULL && (uint32) old.num < (old.mask + 1) / 2)
		return true;
	into->rows = MemoryContextAllocExtended(into->context, size * sizeof(SettingsRow),
											MCXT_ALLOC_NO_OOM | MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	if (into->rows == NULL)
		return false;
	into->mask = (uint32) size - 1;
	if (old.rows == NULL)
		return true;
	for (uint32 i = 0; i <= old.mask; i++)
		if (old.rows[i].queryid != 0)
			*row_place(into, old.rows[i].queryid) = old.rows[i];
	pfree(old.rows);
	return true;
}

/*
 * Keeps a row of the table.  Settings that are stored apart are not fetched,
 * which may need a snapshot; nothing that makes sense is so long.  False without
 * memory.
 */
static bool
keep_row(SettingsList *into, HeapTuple tuple, TupleDesc desc)
{
	bool		 isnull[3];
	Datum		 queryid = heap_getattr(tuple, 1, desc, &isnull[0]);
	Datum		 json = heap_getattr(tuple, 2, desc, &isnull[1]);
	Datum		 enabled = heap_getattr(tuple, 3, desc, &isnull[2]);
	SettingsRow *row;
	Size		 size;

	if (isnull[0] || isnull[1] || isnull[2] || !DatumGetBool(enabled) ||
		DatumGetInt64(queryid) == 0 || VARATT_IS_EXTERNAL(DatumGetPointer(json)))
		return true;
	if (!grow(into))
		return false;
	size = VARSIZE_ANY(DatumGetPointer(json));
	row = row_place(into, (uint64) DatumGetInt64(queryid));
	row->json = MemoryContextAllocExtended(into->context, size, MCXT_ALLOC_NO_OOM);
	if (row->json == NULL)
		return false;
	memcpy(row->json, DatumGetPointer(json), size);
	row->queryid = (uint64) DatumGetInt64(queryid);
	row->settings.num = 0;
	into->num++;
	return true;
}

/*
 * Reads the rows of an open table.  False without memory for them.
 */
static bool
read_rows(Relation table, SettingsList *into)
{
	TupleDesc	desc = RelationGetDescr(table);
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		ok = true;

	if (!fits(desc))
		return true;
	scan = systable_beginscan(table, InvalidOid, false, NULL, 0, NULL);
	while (ok && HeapTupleIsValid(tuple = systable_getnext(scan)))
		ok = keep_row(into, tuple, desc);
	systable_endscan(scan);
	return ok;
}

/*
 * Reads the table, once it is locked and if it is the extension's.  An empty one
 * is what most sessions find, so that is made cheap for those that are short: it
 * does not matter whose it is, and it is not opened.  False if it cannot be read
 * now.
 */
static bool
read_locked(SettingsList *into)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(into->table));
	Relation  table;
	bool	  empty;
	bool	  ok;

	if (!HeapTupleIsValid(tuple))
		return false;
	empty = dbperf_has_no_pages((Form_pg_class) GETSTRUCT(tuple));
	ReleaseSysCache(tuple);
	if (empty || dbperf_own_table(QUERY_SETTINGS_TABLE) != into->table)
		return true;

	table = try_table_open(into->table, NoLock);
	if (table == NULL)
		return false;
	ok = read_rows(table, into);
	table_close(table, NoLock);
	return ok;
}

/*
 * Reads the table, if there is one.  False if that is not possible now.
 */
static bool
read_table(SettingsList *into)
{
	bool ok;

	if (!OidIsValid(into->table))
		return true;
	if (!ConditionalLockRelationOid(into->table, AccessShareLock))
		return false;
	ok = read_locked(into);
	UnlockRelationOid(into->table, AccessShareLock);
	return ok;
}

static void
register_callbacks(void)
{
	if (registered)
		return;
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, schemas_changed, (Datum) 0);
	registered = true;
}

/*
 * Reads the table anew.  If that is not possible what was read before stays, and
 * it is tried again; plans made meanwhile may not fit.
 */
static void
read_list(void)
{
	SettingsList new_list = {.rows = NULL};
	Oid			 schema;

	register_callbacks();
	/* what is changed from here on is heard of, so that it is read once more */
	list_changed = false;
	schema = get_namespace_oid("dbperf", true);
	schema_exists = OidIsValid(schema);
	list.table = new_list.table =
		schema_exists ? get_relname_relid(QUERY_SETTINGS_TABLE, schema) : InvalidOid;
	new_list.context =
		AllocSetContextCreate(CurrentMemoryContext, "dbperf query settings", ALLOCSET_SMALL_SIZES);
	if (!read_table(&new_list))
	{
		MemoryContextDelete(new_list.context);
		list_late = true;
		return;
	}
	MemoryContextSetParent(new_list.context, TopMemoryContext);
	if (list.context != NULL)
		MemoryContextDelete(list.context);
	list = new_list;
	list_valid = !list_changed;
	if (list_late)
		ResetPlanCache();
	list_late = false;
	if (list.num > 0)
		EnableQueryId();
	else if (list_valid)
		dbperf_around_want(false);
}

/* ---- rows ---- */

/*
 * Tells the log, once in the server, that a row is not used.
 */
static void
tell_refused(const SettingsRow *row, const char *problem)
{
	uint64 hash = hash_bytes_extended((const unsigned char *) row->json, VARSIZE_ANY(row->json),
									  row->queryid ^ MyDatabaseId);

	if (pg_atomic_exchange_u64(&shared->told[hash % TOLD_SIZE], hash) == hash)
		return;
	ereport(LOG, (errmsg("settings of query %lld in database with OID %u are not used",
						 (long long) row->queryid, MyDatabaseId),
				  errdetail("The reason is: %s.", problem)));
}

/*
 * Finds out what a row says, the first time that its query is met.  One that is
 * not acceptable has no settings.
 */
static pg_noinline void
look_at_row(SettingsRow *row)
{
	MemoryContext		outer = MemoryContextSwitchTo(list.context);
	Jsonb			   *json = (Jsonb *) PG_DETOAST_DATUM(PointerGetDatum(row->json));
	QuerySettings		settings;
	SettingsProblem		problem;
	const QuerySetting *refused;

	if (!dbperf_settings_of_json(json, &settings, &problem))
		tell_refused(row, problem.message);
	else if (!dbperf_settings_valid(&settings, DEBUG5, &refused))
		tell_refused(row, psprintf("\"%s\" is not a value of setting \"%s\"", refused->value,
								   refused->name));
	else
		row->settings = settings;
	row->json = NULL;
	MemoryContextSwitchTo(outer);
}

/* ---- around statements ---- */

/*
 * Puts a query's settings in force.  The level is that of its settings, or 0 if
 * it has none.
 *
 * The server lets such changes be made in parallel mode as well, since they end
 * before anybody else could be concerned: so the statements of a function in a
 * parallel plan's leader are planned alike, whenever their plan is made.  Workers
 * have got what their leader has.
 */
static int
settings_begin(uint64 queryid)
{
	SettingsRow *row;
	int			 level;

	if (unlikely(!list_valid))
	{
		if (IsParallelWorker())
			dbperf_around_want(false);
		else if (IsTransactionState())
			read_list();
	}
	if (list.num == 0 || queryid == 0)
		return 0;
	row = row_place(&list, queryid);
	if (row->queryid == 0)
		return 0;
	if (unlikely(row->json != NULL))
		look_at_row(row);
	if (row->settings.num == 0)
		return 0;

	level = NewGUCNestLevel();
	for (int i = 0; i < row->settings.num; i++)
		(void) set_config_option(row->settings.settings[i].name, row->settings.settings[i].value,
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, LOG, false);
	return level;
}

/*
 * Ends them.  What the statement itself has SET stays.
 */
static void
settings_end(int level)
{
	AtEOXact_GUC(true, level);
}

/* ---- start-up ---- */

static Size
shared_size(void)
{
	return sizeof(SettingsShared);
}

static void
shared_attach(void *area, bool found)
{
	shared = area;
	if (found)
		return;
	for (int i = 0; i < TOLD_SIZE; i++)
		pg_atomic_init_u64(&shared->told[i], 0);
}

/*
 * Called from the module's init function, preloaded or not.
 */
void
dbperf_query_settings_init(void)
{
	static const DbperfShmemArea area = {
		.name = "dbperf query settings", .size = shared_size, .attach = shared_attach};
	static const DbperfAround around = {settings_begin, settings_end, settings_switched};

	if (!process_shared_preload_libraries_in_progress)
		return;
	dbperf_shmem_register(&area);
	dbperf_around_register(&around);
	dbperf_around_want(dbperf_enabled);
}
