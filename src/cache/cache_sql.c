/*-------------------------------------------------------------------------
 *
 * cache_sql.c
 *		SQL functions of the result cache's counters and entries: the views
 *		cache_stats, cache_queries and cache_entries, flushing and the reset.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "cache/cache_store.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "core/core.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "parser/parse_func.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#define CACHE_STATS_COLUMNS 15
#define CACHE_QUERIES_COLUMNS 11
#define CACHE_ENTRIES_COLUMNS 9

PG_FUNCTION_INFO_V1(dbperf_cache_stats);
PG_FUNCTION_INFO_V1(dbperf_cache_queries);
PG_FUNCTION_INFO_V1(dbperf_cache_entries);
PG_FUNCTION_INFO_V1(dbperf_cache_flush);
PG_FUNCTION_INFO_V1(dbperf_cache_flush_relation);
PG_FUNCTION_INFO_V1(dbperf_cache_stats_reset);

/* A row that is filled from left to right. */
typedef struct Row
{
	Datum values[CACHE_STATS_COLUMNS];
	bool  nulls[CACHE_STATS_COLUMNS];
	int	  column;
} Row;

static void
put(Row *row, Datum value)
{
	row->values[row->column] = value;
	row->nulls[row->column++] = false;
}

static void
put_null(Row *row)
{
	row->values[row->column] = (Datum) 0;
	row->nulls[row->column++] = true;
}

static void
put_count(Row *row, uint64 count)
{
	put(row, Int64GetDatum((int64) count));
}

/* part / whole; null if whole is 0. */
static void
put_ratio(Row *row, double part, double whole)
{
	if (whole == 0)
		put_null(row);
	else
		put(row, Float8GetDatum(part / whole));
}

/* The name of a database; null if it is gone. */
static void
put_database(Row *row, Oid database)
{
	char *name = OidIsValid(database) ? get_database_name(database) : NULL;
	Name  result;

	if (name == NULL)
	{
		put_null(row);
		return;
	}
	result = palloc0(sizeof(NameData));
	namestrcpy(result, name);
	put(row, NameGetDatum(result));
}

/* How many executions went by the cache, and how many of them why. */
static void
put_bypassed(Row *row, const uint64 *bypasses)
{
	StringInfoData json;
	uint64		   sum = 0;

	initStringInfo(&json);
	for (int i = CACHE_BYPASS_NONE + 1; i < CACHE_NUM_BYPASS; i++)
	{
		if (bypasses[i] == 0)
			continue;
		appendStringInfoString(&json, sum == 0 ? "{" : ", ");
		escape_json(&json, dbperf_cache_reason(i));
		appendStringInfo(&json, ": " UINT64_FORMAT, bypasses[i]);
		sum += bypasses[i];
	}
	appendStringInfoString(&json, sum == 0 ? "{}" : "}");
	put_count(row, sum);
	put(row, DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data)));
}

/* Bytes of results and their keys, and the most that there can be. */
static void
put_bytes(Row *row)
{
	CacheShared *shared = dbperf_cache_place.shared;

	if (shared == NULL)
	{
		put_count(row, 0);
		put_count(row, 0);
		return;
	}
	put_count(row, (uint64) pg_atomic_read_u32(&shared->arena.used) << shared->arena.shift);
	put_count(row, (uint64) shared->arena.units << shared->arena.shift);
}

/*
 * cache_stats() returns one record: what was counted since the last reset, and
 * what is stored now.  All zero without a cache.
 */
Datum
dbperf_cache_stats(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo;
	uint64		   sums[CACHE_NUM_COUNTERS];
	TimestampTz	   reset;
	Row			   row = {0};

	dbperf_require_shmem();
	rsinfo = dbperf_srf_begin(fcinfo, CACHE_STATS_COLUMNS);
	reset = dbperf_cache_counters(sums);
	put_count(&row, sums[CACHE_HITS]);
	put_count(&row, sums[CACHE_MISSES]);
	put_ratio(&row, sums[CACHE_HITS], (double) sums[CACHE_HITS] + sums[CACHE_MISSES]);
	put_bypassed(&row, sums + CACHE_BYPASSES);
	put_count(&row, sums[CACHE_STORES]);
	put_count(&row, sums[CACHE_REFUSED]);
	put_count(&row, sums[CACHE_EVICTIONS]);
	put_count(&row, sums[CACHE_INVALIDATIONS]);
	put_count(&row, sums[CACHE_WAITS]);
	put_count(&row, dbperf_cache_num_entries());
	put_bytes(&row);
	put(&row, Float8GetDatum(sums[CACHE_SAVED_US] / 1000.0));
	if (reset != 0)
		put(&row, TimestampTzGetDatum(reset));
	else
		put_null(&row);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row.values, row.nulls);
	return (Datum) 0;
}

static void
put_query(ReturnSetInfo *rsinfo, const CacheQueryInfo *info)
{
	Row row = {0};

	put_database(&row, info->database);
	if (info->queryid != 0)
		put(&row, Int64GetDatum(info->queryid));
	else
		put_null(&row);
	put_count(&row, info->hits);
	put_count(&row, info->misses);
	put_ratio(&row, info->hits, (double) info->hits + info->misses);
	put_count(&row, info->bypassed);
	put_ratio(&row, info->miss_ns / 1000000.0, info->misses);
	put_ratio(&row, info->hit_ns / 1000000.0, info->hits);
	put(&row, Float8GetDatum(info->saved_us / 1000.0));
	put_count(&row, info->bytes);
	if (info->last_bypass != CACHE_BYPASS_NONE)
		put(&row, CStringGetTextDatum(dbperf_cache_reason(info->last_bypass)));
	else
		put_null(&row);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row.values, row.nulls);
}

/*
 * cache_queries() returns setof record: one for each query that the cache knows.
 */
Datum
dbperf_cache_queries(PG_FUNCTION_ARGS)
{
	ReturnSetInfo  *rsinfo;
	CacheQueryInfo *infos;
	int				num;

	dbperf_require_shmem();
	rsinfo = dbperf_srf_begin(fcinfo, CACHE_QUERIES_COLUMNS);
	infos = palloc((CACHE_QUERIES + 1) * sizeof(CacheQueryInfo));
	num = dbperf_cache_list_queries(infos);
	for (int i = 0; i < num; i++)
	{
		CHECK_FOR_INTERRUPTS();
		put_query(rsinfo, &infos[i]);
	}
	return (Datum) 0;
}

static void
put_entry(ReturnSetInfo *rsinfo, const CacheEntryList *list, const CacheEntryInfo *info)
{
	Row	   row = {0};
	Datum *oids = palloc(sizeof(Datum) * (info->num_relations + 1));

	for (int i = 0; i < info->num_relations; i++)
		oids[i] = ObjectIdGetDatum(list->relations[info->relations + i]);

	put_count(&row, info->id);
	put_database(&row, info->database);
	if (info->queryid != 0)
		put(&row, Int64GetDatum(info->queryid));
	else
		put_null(&row);
	put(&row, PointerGetDatum(construct_array(oids, info->num_relations, OIDOID, sizeof(Oid), true,
											  TYPALIGN_INT)));
	put_count(&row, info->num_rows);
	put_count(&row, info->bytes);
	put_count(&row, info->hits);
	put(&row, TimestampTzGetDatum(info->stored));
	put(&row, Float8GetDatum(info->cost_ms));
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row.values, row.nulls);
}

/*
 * cache_entries() returns setof record: one for each stored result.
 */
Datum
dbperf_cache_entries(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo;
	MemoryContext  context;
	MemoryContext  caller;

	dbperf_require_shmem();
	rsinfo = dbperf_srf_begin(fcinfo, CACHE_ENTRIES_COLUMNS);
	if (dbperf_cache_place.shared == NULL)
		return (Datum) 0;

	context =
		AllocSetContextCreate(CurrentMemoryContext, "dbperf cache entries", ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(context);
	for (int partition = 0; partition < CACHE_PARTITIONS; partition++)
	{
		CacheEntryList list;

		MemoryContextReset(context);
		dbperf_cache_list_entries(partition, &list);
		for (int i = 0; i < list.num_entries; i++)
		{
			CHECK_FOR_INTERRUPTS();
			put_entry(rsinfo, &list, &list.entries[i]);
		}
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return (Datum) 0;
}

/*
 * cache_flush() returns bigint: removes the entries of the current database.
 * Returns how many.
 */
Datum
dbperf_cache_flush(PG_FUNCTION_ARGS)
{
	dbperf_require_shmem();
	PG_RETURN_INT64(dbperf_cache_purge(MyDatabaseId, InvalidOid));
}

/* Whether the current role may flush everything. */
static bool
may_flush_all(void)
{
	List *name = list_make2(makeString(pstrdup("dbperf")), makeString(pstrdup("cache_flush")));
	Oid	  flush = LookupFuncName(name, 0, NULL, true);

	return OidIsValid(flush) && DBPERF_MAY_EXECUTE(flush);
}

/* Raises an error if results of such a relation are not kept by its name. */
static void
check_flushed_kind(const char *name, char relkind)
{
	const char *hint = "Name a table, a partitioned table or a materialized view.";

	if (relkind == RELKIND_RELATION || relkind == RELKIND_PARTITIONED_TABLE ||
		relkind == RELKIND_MATVIEW)
		return;
	if (relkind == RELKIND_VIEW)
		hint = "Name the tables that the view reads.";
	else if (relkind == RELKIND_INDEX || relkind == RELKIND_PARTITIONED_INDEX)
		hint = "Name the table of the index.";
	ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
					errmsg("cannot flush \"%s\" from the result cache", name),
					errdetail_relkind_not_supported(relkind), errhint("%s", hint)));
}

/* Raises an error unless the current role may flush a relation, and it is one. */
static void
check_flush(Oid relid)
{
	char  relkind = get_rel_relkind(relid);
	char *name = get_rel_name(relid);

	if (name == NULL || relkind == '\0')
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", relid)));
	check_flushed_kind(name, relkind);
	if (!DBPERF_OWNS_RELATION(relid) && !may_flush_all())
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(relkind), name);
}

/*
 * cache_flush(relation) returns bigint: removes the entries that read a
 * relation, or one of its partitions or inheritance children.  Returns how many.
 */
Datum
dbperf_cache_flush_relation(PG_FUNCTION_ARGS)
{
	Oid		  relid = PG_GETARG_OID(0);
	List	 *relids;
	ListCell *lc;
	Oid		 *relations;
	int		  num = 0;

	dbperf_require_shmem();
	check_flush(relid);
	relids = find_all_inheritors(relid, NoLock, NULL);
	relations = palloc(list_length(relids) * sizeof(Oid));
	foreach (lc, relids)
		relations[num++] = lfirst_oid(lc);
	qsort(relations, num, sizeof(Oid), oid_cmp);
	PG_RETURN_INT64(dbperf_cache_purge_relations(MyDatabaseId, relations, num));
}

/*
 * cache_stats_reset() returns void: sets the counters to zero.  What is stored
 * stays.
 */
Datum
dbperf_cache_stats_reset(PG_FUNCTION_ARGS)
{
	dbperf_require_shmem();
	dbperf_cache_reset_counters();
	PG_RETURN_VOID();
}
