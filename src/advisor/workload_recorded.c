/*-------------------------------------------------------------------------
 *
 * workload_recorded.c
 *		The recorded workload: samples of the monitor, and the normalised texts of
 *		pg_stat_statements for what has no sample that can be used.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/workload_int.h"
#include "catalog/pg_type.h"
#include "core/core.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "monitor/monitor.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/* What subjects are told apart by. */
typedef struct RecordedKey
{
	int64 queryid;
	Oid	  role;
	int32 unused; /* always 0: the key is hashed as bytes */
} RecordedKey;

typedef struct RecordedEntry
{
	RecordedKey key; /* MUST BE FIRST */
	Subject	   *subject;
} RecordedEntry;

/* The settings of a role, found once. */
typedef struct RoleSettings
{
	Oid	  role; /* MUST BE FIRST */
	bool  exists;
	List *settings;
} RoleSettings;

typedef struct Recording
{
	Workload	 *workload;
	MemoryContext context; /* of the workload */
	HTAB		 *entries;
	HTAB		 *roles;
} Recording;

/*
 * The subject of a query and a role, made if there is none.
 */
static Subject *
recorded_subject(Recording *rec, int64 queryid, Oid role)
{
	RecordedKey	   key = {.queryid = queryid, .role = role};
	bool		   found;
	RecordedEntry *entry = hash_search(rec->entries, &key, HASH_ENTER, &found);

	if (!found)
	{
		Subject *subject = palloc0(sizeof(Subject));

		subject->id = queryid;
		subject->role = role;
		subject->weight = 1;
		entry->subject = subject;
		rec->workload->subjects = lappend(rec->workload->subjects, subject);
	}
	return entry->subject;
}

/*
 * Adds what the monitor has.  Executions by clients and inside of functions
 * are one subject; a sample that a client sent is the better one.
 */
static void
add_monitored(Recording *rec)
{
	ListCell *lc;

	foreach (lc, dbperf_monitored_queries())
	{
		MonitoredQuery *query = lfirst(lc);
		Subject		   *subject = recorded_subject(rec, (int64) query->queryid, query->userid);
		bool			usable = query->sampled_at != 0 && !query->cut && !query->redacted;

		subject->calls += query->calls;
		subject->total_ms += query->total_ms;
		if (subject->first_seen == 0 || query->first_seen < subject->first_seen)
			subject->first_seen = query->first_seen;
		subject->last_seen = Max(subject->last_seen, query->last_seen);
		if (query->sampled_at != 0 &&
			(rec->workload->since == 0 || query->sampled_at < rec->workload->since))
			rec->workload->since = query->sampled_at;
		if (query->cut && subject->text == NULL)
			subject->problem = "the text was cut: it is longer than dbperf.max_query_length";
		if (!usable || (subject->text != NULL && !query->toplevel))
			continue;

		subject->problem = NULL;
		subject->text = query->text;
		subject->nested = !query->toplevel;
		subject->search_path = query->search_path;
		subject->has_path = query->has_path;
		subject->nparams = query->nparams;
		subject->param_types = query->param_types;
		subject->param_values = query->param_values;
		subject->param_known = query->param_known;
	}
}

/*
 * The qualified name of pg_stat_statements' view, or NULL if it is not there or
 * not loaded.  To be called inside of SPI.
 */
static char *
statements_view(void)
{
	char *schema;

	if (GetConfigOption("pg_stat_statements.max", true, false) == NULL)
		return NULL;
	if (SPI_execute("SELECT n.nspname FROM pg_catalog.pg_extension AS e"
					" JOIN pg_catalog.pg_namespace AS n"
					" ON n.oid OPERATOR(pg_catalog.=) e.extnamespace"
					" WHERE e.extname OPERATOR(pg_catalog.=) 'pg_stat_statements'",
					true, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		return NULL;
	schema = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	return quote_qualified_identifier(schema, "pg_stat_statements");
}

/*
 * Adds one row of pg_stat_statements.
 */
static void
add_statement(Recording *rec, HeapTuple tuple, TupleDesc desc)
{
	MemoryContext old = MemoryContextSwitchTo(rec->context);
	bool		  isnull;
	int64		  queryid = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &isnull));
	Oid			  role = DatumGetObjectId(SPI_getbinval(tuple, desc, 2, &isnull));
	Subject		 *subject = recorded_subject(rec, queryid, role);
	char		 *query = TextDatumGetCString(SPI_getbinval(tuple, desc, 3, &isnull));

	/* the monitor lost its histogram, or never had one */
	if (subject->calls == 0)
	{
		subject->calls = DatumGetFloat8(SPI_getbinval(tuple, desc, 4, &isnull));
		subject->total_ms = DatumGetFloat8(SPI_getbinval(tuple, desc, 5, &isnull));
	}
	subject->normalized = dbperf_repair_normalized(query);
	if (subject->text == NULL)
	{
		subject->text = subject->normalized;
		subject->normalized = NULL;
		subject->problem = NULL;
	}
	MemoryContextSwitchTo(old);
}

/*
 * Adds what pg_stat_statements has of roles that the caller may see, read as
 * the caller.
 */
static void
add_statements(Recording *rec)
{
	char *view;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to the server programming interface");
	view = statements_view();
	if (view != NULL)
	{
		Oid	  types[] = {OIDOID};
		Datum values[] = {ObjectIdGetDatum(MyDatabaseId)};
		char *sql = psprintf("SELECT queryid, userid, pg_catalog.min(query),"
							 " pg_catalog.sum(calls)::pg_catalog.float8,"
							 " pg_catalog.sum(total_exec_time)::pg_catalog.float8"
							 " FROM %s WHERE dbid OPERATOR(pg_catalog.=) $1"
							 " AND queryid IS NOT NULL AND query IS NOT NULL"
							 " GROUP BY queryid, userid",
							 view);

		if (SPI_execute_with_args(sql, 1, types, values, NULL, true, 0) != SPI_OK_SELECT)
			elog(ERROR, "could not read pg_stat_statements");
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			CHECK_FOR_INTERRUPTS();
			add_statement(rec, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
		}
	}
	SPI_finish();
}

/*
 * The settings that statements of a role run under.
 */
static RoleSettings *
role_settings(Recording *rec, Oid role)
{
	bool		  found;
	RoleSettings *entry = hash_search(rec->roles, &role, HASH_ENTER, &found);

	if (!found)
	{
		entry->exists = SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role));
		entry->settings = entry->exists ? dbperf_workload_settings(role) : NIL;
	}
	return entry;
}

/*
 * The most expensive first; the rest of the order is there to be the same each
 * time.
 */
static int
compare_subjects(const ListCell *a, const ListCell *b)
{
	const Subject *x = lfirst(a);
	const Subject *y = lfirst(b);

	if (x->total_ms != y->total_ms)
		return x->total_ms > y->total_ms ? -1 : 1;
	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return x->role < y->role ? -1 : (x->role > y->role ? 1 : 0);
}

Workload *
dbperf_workload_recorded(void)
{
	Recording rec = {.context = CurrentMemoryContext};
	HASHCTL	  entries = {.keysize = sizeof(RecordedKey), .entrysize = sizeof(RecordedEntry)};
	HASHCTL	  roles = {.keysize = sizeof(Oid), .entrysize = sizeof(RoleSettings)};
	ListCell *lc;
	int		  number = 0;

	dbperf_require_shmem();
	rec.workload = palloc0(sizeof(Workload));
	entries.hcxt = roles.hcxt = CurrentMemoryContext;
	rec.entries = hash_create("dbperf recorded workload", 256, &entries,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	rec.roles = hash_create("dbperf roles of the workload", 16, &roles,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	add_monitored(&rec);
	add_statements(&rec);
	hash_destroy(rec.entries);

	list_sort(rec.workload->subjects, compare_subjects);
	foreach (lc, rec.workload->subjects)
	{
		Subject		 *subject = lfirst(lc);
		RoleSettings *role = role_settings(&rec, subject->role);

		subject->number = number++;
		subject->settings = role->settings;
		if (!role->exists)
			subject->problem = "the role that ran it does not exist any more";
		else if (subject->text == NULL && subject->problem == NULL)
			subject->problem = "no text of it was kept";
	}
	hash_destroy(rec.roles);
	if (rec.workload->since != 0)
		rec.workload->seconds = Max(1.0, (double) (GetCurrentTimestamp() - rec.workload->since) /
											 (double) USECS_PER_SEC);
	return rec.workload;
}
