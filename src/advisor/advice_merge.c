/*-------------------------------------------------------------------------
 *
 * advice_merge.c
 *		Brings index_advice up to date after a run of the advisor.
 *
 * Advice is the same if its definition is: then it keeps its row, and what was
 * decided about it.  What is not proposed any more gets a few more runs before
 * it is obsolete, since a workload changes with the hours of the day.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "advisor/store.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#define MISSED_UNTIL_OBSOLETE "3"

/* A row that is looked at, copied out of SPI. */
typedef struct StoredAdvice
{
	int64 id;
	char *identity;
	char *schema;
	char *table;
} StoredAdvice;

/* What an internal subtransaction has to put back. */
typedef struct Attempt
{
	MemoryContext context;
	ResourceOwner owner;
} Attempt;

static void
attempt_begin(Attempt *attempt)
{
	attempt->context = CurrentMemoryContext;
	attempt->owner = CurrentResourceOwner;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(attempt->context);
}

/* Always rolled back, so that no lock is kept. */
static void
attempt_end(Attempt *attempt)
{
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(attempt->context);
	CurrentResourceOwner = attempt->owner;
}

/*
 * After an error in an attempt: re-throws what concerns the whole session,
 * else returns the SQLSTATE.
 */
static int
attempt_failed(Attempt *attempt)
{
	ErrorData *error;
	int		   sqlstate;

	MemoryContextSwitchTo(attempt->context);
	error = CopyErrorData();
	FlushErrorState();
	attempt_end(attempt);

	sqlstate = error->sqlerrcode;
	if (sqlstate == ERRCODE_QUERY_CANCELED || sqlstate == ERRCODE_T_R_DEADLOCK_DETECTED ||
		ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_OPERATOR_INTERVENTION ||
		ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_INSUFFICIENT_RESOURCES ||
		ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_SYSTEM_ERROR)
		ReThrowError(error);
	FreeErrorData(error);
	return sqlstate;
}

/* Whether the error says that the definition does not fit the database. */
static bool
means_impossible(int sqlstate)
{
	switch (sqlstate)
	{
		case ERRCODE_UNDEFINED_SCHEMA:
		case ERRCODE_UNDEFINED_TABLE:
		case ERRCODE_UNDEFINED_COLUMN:
		case ERRCODE_UNDEFINED_FUNCTION:
		case ERRCODE_UNDEFINED_OBJECT:
		case ERRCODE_DATATYPE_MISMATCH:
		case ERRCODE_WRONG_OBJECT_TYPE:
		case ERRCODE_INVALID_OBJECT_DEFINITION:
		case ERRCODE_INVALID_TABLE_DEFINITION:
		case ERRCODE_SYNTAX_ERROR:
			return true;
		default:
			return false;
	}
}

/*
 * The name of a valid index that serves what the definition is for, or NULL.
 */
static char *
serving_index(const IndexDef *def)
{
	ListCell *cell;

	foreach (cell, dbperf_real_indexes(def->relid))
	{
		RealIndex *real = lfirst(cell);

		if (real->valid && real->def != NULL && dbperf_index_def_serves(real->def, def))
			return real->name;
	}
	return NULL;
}

/* The same for a stored definition, as the owner of its table. */
static StoreExists
check_as_owner(const char *identity, const char *schema, const char *table, char **index_name)
{
	Oid namespace = get_namespace_oid(schema, true);
	Oid		  relid = OidIsValid(namespace) ? get_relname_relid(table, namespace) : InvalidOid;
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid		  owner;

	if (!HeapTupleIsValid(tuple))
		return INDEX_IMPOSSIBLE;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);

	/* the end of the attempt puts these back */
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
	(void) set_config_option("lock_timeout", "200ms", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL,
							 true, 0, false);
	SetUserIdAndSecContext(owner, SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	*index_name = serving_index(dbperf_index_def_parse(psprintf("CREATE INDEX %s", identity)));
	return *index_name != NULL ? INDEX_EXISTS : INDEX_MISSING;
}

/*
 * Whether an index exists that a stored definition asks for.  Its name is left
 * in the current memory context.  No lock is kept.
 */
StoreExists
dbperf_store_check(const char *identity, const char *schema, const char *table, char **index_name)
{
	Attempt				 attempt;
	volatile StoreExists result = INDEX_UNKNOWN;

	attempt_begin(&attempt);
	PG_TRY();
	{
		result = check_as_owner(identity, schema, table, index_name);
		attempt_end(&attempt);
	}
	PG_CATCH();
	{
		if (means_impossible(attempt_failed(&attempt)))
			result = INDEX_IMPOSSIBLE;
	}
	PG_END_TRY();
	return result;
}

/* A text[] of C strings. */
static Datum
text_array(List *strings)
{
	Datum	 *values = palloc(Max(list_length(strings), 1) * sizeof(Datum));
	ListCell *cell;

	foreach (cell, strings)
		values[foreach_current_index(cell)] = CStringGetTextDatum((char *) lfirst(cell));
	return PointerGetDatum(
		construct_array(values, list_length(strings), TEXTOID, -1, false, TYPALIGN_INT));
}

/* The texts of some columns of an index, as SQL. */
static Datum
column_texts(const IndexDef *def, int from, int to)
{
	List *context = deparse_context_for(get_rel_name(def->relid), def->relid);
	List *texts = NIL;

	for (int i = from; i < to; i++)
	{
		const IndexColumn *column = &def->columns[i];

		if (column->expr == NULL)
			texts = lappend(
				texts, pstrdup(quote_identifier(get_attname(def->relid, column->attno, false))));
		else
			texts = lappend(texts, deparse_expression(column->expr, context, false, false));
	}
	return text_array(texts);
}

/* The queries that gain, by their ids. */
static Datum
query_ids(const Advice *advice)
{
	Datum	 *values = palloc(Max(list_length(advice->subjects), 1) * sizeof(Datum));
	ListCell *cell;

	foreach (cell, advice->subjects)
		values[foreach_current_index(cell)] = Int64GetDatum(((Subject *) lfirst(cell))->id);
	return PointerGetDatum(construct_array(values, list_length(advice->subjects), INT8OID,
										   sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/*
 * The arguments of the statement that stores a piece of advice.
 */
static void
describe_advice(const Advice *advice, StoreArgs *args)
{
	const IndexDef *def = advice->candidate->def;
	char		   *method = get_am_name(def->am);

	dbperf_store_text(args, get_namespace_name(get_rel_namespace(def->relid)));
	dbperf_store_text(args, get_rel_name(def->relid));
	dbperf_store_text(args, method);
	dbperf_store_arg(args, TEXTARRAYOID, column_texts(def, 0, def->nkeys));
	dbperf_store_arg(args, TEXTARRAYOID, column_texts(def, def->nkeys, def->ncolumns));
	if (def->predicate != NIL)
		dbperf_store_text(
			args, deparse_expression((Node *) make_ands_explicit(def->predicate),
									 deparse_context_for(get_rel_name(def->relid), def->relid),
									 false, false));
	else
		dbperf_store_null(args, TEXTOID);
	dbperf_store_text(args, dbperf_index_def_identity(def));
	dbperf_store_text(args, psprintf("%s;", advice->ddl));
	dbperf_store_arg(args, INT8OID, Int64GetDatum(advice->bytes));
	dbperf_store_arg(args, FLOAT8OID, Float8GetDatum(advice->benefit_pct));
	dbperf_store_arg(args, FLOAT8OID, Float8GetDatum(advice->write_overhead_pct));
	dbperf_store_arg(args, INT8ARRAYOID, query_ids(advice));
	dbperf_store_text(args, advice->reason);
}

/*
 * Describes the advice in a subtransaction: its table may be gone since, or
 * the index be there.  Returns whether it is to be stored.
 */
static bool
try_describe(const Advice *advice, StoreArgs *args)
{
	Attempt		  attempt;
	volatile bool usable = false;

	attempt_begin(&attempt);
	PG_TRY();
	{
		if (dbperf_index_def_valid(advice->candidate->def) &&
			serving_index(advice->candidate->def) == NULL)
		{
			describe_advice(advice, args);
			usable = true;
		}
		attempt_end(&attempt);
	}
	PG_CATCH();
	{
		(void) attempt_failed(&attempt);
		usable = false;
	}
	PG_END_TRY();
	return usable;
}

/*
 * Store a piece of advice.  What was dismissed, is being built or has failed
 * stays so; what was applied or obsolete is missed again.
 */
static void
store_advice(const Advice *advice)
{
	static const char *const sql =
		"INSERT INTO dbperf.index_advice AS a (schema_name, table_name, access_method,"
		"  key_columns, include_columns, predicate, identity, ddl, index_size, benefit_pct,"
		"  write_overhead_pct, queries, reason) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) "
		"ON CONFLICT (md5(identity)) DO UPDATE SET"
		" last_seen = now(), times_seen = a.times_seen + 1, times_missed = 0,"
		" ddl = excluded.ddl, index_size = excluded.index_size,"
		" benefit_pct = excluded.benefit_pct, write_overhead_pct = excluded.write_overhead_pct,"
		" queries = excluded.queries, reason = excluded.reason,"
		" status = CASE WHEN a.status IN ('applied', 'obsolete') THEN 'open' ELSE a.status END,"
		" status_since = CASE WHEN a.status IN ('applied', 'obsolete') THEN now()"
		"                ELSE a.status_since END,"
		" verdict = CASE WHEN a.status <> 'applied' THEN a.verdict END,"
		" verdict_detail = CASE WHEN a.status <> 'applied' THEN a.verdict_detail END,"
		" drop_ddl = CASE WHEN a.status <> 'applied' THEN a.drop_ddl END,"
		" applied_at = CASE WHEN a.status <> 'applied' THEN a.applied_at END,"
		" index_name = CASE WHEN a.status <> 'applied' THEN a.index_name END";
	StoreArgs args = {0};

	if (try_describe(advice, &args))
		(void) dbperf_store_execute(sql, &args);
}

/* Rows whose index may have appeared, or whose table may be gone. */
static List *
undecided_advice(MemoryContext context)
{
	uint64 rows = dbperf_store_execute("SELECT id, identity, schema_name::text, table_name::text "
									   "FROM dbperf.index_advice "
									   "WHERE status IN ('open', 'failed') ORDER BY id",
									   NULL);
	List  *list = NIL;

	for (uint64 i = 0; i < rows; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		StoredAdvice *one = palloc(sizeof(StoredAdvice));
		bool		  isnull;

		one->id = DatumGetInt64(dbperf_store_value(i, 1, &isnull));
		one->identity = dbperf_store_string(i, 2);
		one->schema = dbperf_store_string(i, 3);
		one->table = dbperf_store_string(i, 4);
		list = lappend(list, one);
		MemoryContextSwitchTo(old);
	}
	return list;
}

/* Bring one undecided row up to date. */
static void
update_undecided(const StoredAdvice *advice)
{
	char	   *index_name = NULL;
	StoreExists exists =
		dbperf_store_check(advice->identity, advice->schema, advice->table, &index_name);
	StoreArgs args = {0};

	dbperf_store_arg(&args, INT8OID, Int64GetDatum(advice->id));
	if (exists == INDEX_EXISTS)
	{
		/* when it was made is not known; it was missing when last proposed */
		dbperf_store_text(&args, index_name);
		(void) dbperf_store_execute(
			"UPDATE dbperf.index_advice SET status = 'applied', status_since = now(),"
			" last_error = NULL, index_name = $2, build_started_at = last_seen, applied_at = now(),"
			" verdict = NULL, verdict_detail = NULL, drop_ddl = NULL WHERE id = $1",
			&args);
	}
	else if (exists == INDEX_IMPOSSIBLE)
		(void) dbperf_store_execute("UPDATE dbperf.index_advice SET status = 'obsolete',"
									" status_since = now() WHERE id = $1",
									&args);
}

/*
 * Whether the run says anything about what it did not propose.  A workload that asks
 * for no index at all, as after a reset, does not, and is looked at again soon.
 */
static bool
is_conclusive(const AdviseResult *result)
{
	ListCell *cell;

	if (!result->complete || result->candidates->ncandidates == 0)
		return false;
	foreach (cell, result->workload->subjects)
	{
		if (((Subject *) lfirst(cell))->problem == NULL)
			return true;
	}
	return false;
}

/*
 * Bring index_advice up to date with a run's result.
 */
void
dbperf_store_merge(AdviseResult *result)
{
	MemoryContext context = CurrentMemoryContext;
	StoreSession  session;
	ListCell	 *cell;

	dbperf_store_open(&session);
	(void) dbperf_store_execute("LOCK TABLE dbperf.index_advice IN SHARE ROW EXCLUSIVE MODE", NULL);

	foreach (cell, result->advice)
		store_advice(lfirst(cell));
	foreach (cell, undecided_advice(context))
		update_undecided(lfirst(cell));
	if (is_conclusive(result))
		(void) dbperf_store_execute(
			"UPDATE dbperf.index_advice SET times_missed = times_missed + 1,"
			" status = CASE WHEN times_missed + 1 >= " MISSED_UNTIL_OBSOLETE
			" THEN 'obsolete' ELSE status END,"
			" status_since = CASE WHEN times_missed + 1 >= " MISSED_UNTIL_OBSOLETE
			" THEN now() ELSE status_since END "
			"WHERE status IN ('open', 'failed') AND last_seen < now()",
			NULL);
	dbperf_store_close(&session);
}

/*
 * Keep the run's figures in advisor_runs, where they survive a restart.
 */
void
dbperf_store_save_run(const AdvisorRun *run)
{
	StoreSession session;
	StoreArgs	 args = {0};

	dbperf_store_arg(&args, TIMESTAMPTZOID, TimestampTzGetDatum(run->started));
	if (run->finished == 0)
		dbperf_store_null(&args, TIMESTAMPTZOID);
	else
		dbperf_store_arg(&args, TIMESTAMPTZOID, TimestampTzGetDatum(run->finished));
	dbperf_store_arg(&args, INT8OID, Int64GetDatum(run->statements));
	dbperf_store_arg(&args, INT8OID, Int64GetDatum(run->statements_failed));
	dbperf_store_arg(&args, INT8OID, Int64GetDatum(run->advice));
	dbperf_store_arg(&args, BOOLOID, BoolGetDatum(run->complete));
	dbperf_store_text(&args, run->error[0] != '\0' ? run->error : NULL);

	dbperf_store_open(&session);
	(void) dbperf_store_execute("DELETE FROM dbperf.advisor_runs", NULL);
	(void) dbperf_store_execute("INSERT INTO dbperf.advisor_runs (started_at, finished_at,"
								" statements, statements_failed, advice, complete, last_error) "
								"VALUES ($1, $2, $3, $4, $5, $6, $7)",
								&args);
	dbperf_store_close(&session);
}
