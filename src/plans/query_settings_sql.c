/*-------------------------------------------------------------------------
 *
 * query_settings_sql.c
 *		SQL functions that give settings to queries, take them away, and show what
 *		came of it.
 *
 * The tables can only be written to by superusers; who was granted these
 * functions goes through them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "core/core.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "monitor/monitor.h"
#include "plans/query_settings.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/jsonb.h"

PG_FUNCTION_INFO_V1(dbperf_set_query_settings);
PG_FUNCTION_INFO_V1(dbperf_clear_query_settings);
PG_FUNCTION_INFO_V1(dbperf_query_settings_changed);
PG_FUNCTION_INFO_V1(dbperf_query_settings_latency);
PG_FUNCTION_INFO_V1(dbperf_accepted_settings);

/* Of a statement that is run on the tables; NULL for a null. */
typedef struct Argument
{
	Oid	  type;
	Datum value;
	bool  null;
} Argument;

#define MAX_ARGUMENTS 6

/* ---- running statements ---- */

/*
 * Runs a statement, inside SPI.  Returns how many rows it was about.
 */
static uint64
run(const char *sql, const Argument *arguments, int num)
{
	Oid	  types[MAX_ARGUMENTS];
	Datum values[MAX_ARGUMENTS];
	char  nulls[MAX_ARGUMENTS] = {0};

	Assert(num <= MAX_ARGUMENTS);
	for (int i = 0; i < num; i++)
	{
		types[i] = arguments[i].type;
		values[i] = arguments[i].value;
		nulls[i] = arguments[i].null ? 'n' : ' ';
	}
	if (SPI_execute_with_args(sql, num, types, values, nulls, false, 0) < 0)
		elog(ERROR, "could not execute \"%s\"", sql);
	return SPI_processed;
}

/* The role and its restrictions before an owner's statements. */
typedef struct CallerRights
{
	Oid role;
	int security;
} CallerRights;

/*
 * Connects to SPI with the rights of the tables' owner, who is a superuser.  An
 * error puts the role back with its transaction.
 */
static void
begin_as_owner(CallerRights *caller)
{
	GetUserIdAndSecContext(&caller->role, &caller->security);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, caller->security | SECURITY_LOCAL_USERID_CHANGE |
													  SECURITY_RESTRICTED_OPERATION);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
}

static void
end_as_owner(const CallerRights *caller)
{
	SPI_finish();
	SetUserIdAndSecContext(caller->role, caller->security);
}

/* ---- checks ---- */

/*
 * The id of a query among the arguments.  Raises an error if it cannot be one.
 */
static int64
queryid_argument(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("argument \"queryid\" must not be null")));
	if (PG_GETARG_INT64(0) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("0 is not the id of a query"),
				 errhint("The views dbperf.query_latency and pg_stat_statements show the ids of "
						 "queries.")));
	return PG_GETARG_INT64(0);
}

/*
 * Whether pg_stat_statements has counted a query in this database; inside SPI,
 * as a superuser.
 */
static bool
known_to_statements(Argument queryid)
{
	char *schema;

	if (GetConfigOption("pg_stat_statements.max", true, false) == NULL)
		return false;
	if (run("SELECT n.nspname FROM pg_catalog.pg_extension AS e"
			" JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace"
			" WHERE e.extname OPERATOR(pg_catalog.=) 'pg_stat_statements'",
			NULL, 0) == 0)
		return false;
	schema = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	return run(psprintf("SELECT FROM %s(false) AS s"
						" WHERE s.queryid OPERATOR(pg_catalog.=) $1 AND s.dbid"
						" OPERATOR(pg_catalog.=) (SELECT d.oid FROM pg_catalog.pg_database AS d"
						" WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())",
						quote_qualified_identifier(schema, "pg_stat_statements")),
			   &queryid, 1) > 0;
}

/*
 * The first word of a statement's text, which comments may precede.
 */
static const char *
first_word(const char *text, int *length)
{
	int depth = 0;

	for (;;)
	{
		if (strncmp(text, "/*", 2) == 0 || (depth > 0 && strncmp(text, "*/", 2) == 0))
		{
			depth += *text == '/' ? 1 : -1;
			text += 2;
		}
		else if (depth == 0 && strncmp(text, "--", 2) == 0)
			text += strcspn(text, "\r\n");
		else if (*text != '\0' && (depth > 0 || strchr(" \t\r\n\f\v(;", *text) != NULL))
			text++;
		else
			break;
	}
	*length = (int) strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
	return text;
}

/*
 * Whether a statement is a utility command for certain: one that does not carry a
 * query, which would have an id of its own.
 */
static bool
is_utility(const char *text)
{
	static const char *const commands[] = {
		"abort",	"alter",   "analyze", "begin",	  "call",	  "checkpoint", "close",
		"cluster",	"comment", "commit",  "discard",  "do",		  "drop",		"fetch",
		"grant",	"import",  "listen",  "load",	  "lock",	  "move",		"notify",
		"reassign", "reindex", "release", "reset",	  "revoke",	  "rollback",	"savepoint",
		"set",		"show",	   "start",	  "truncate", "unlisten", "vacuum"};
	int			length;
	const char *word = first_word(text, &length);

	for (int i = 0; i < lengthof(commands); i++)
		if (strlen(commands[i]) == length && pg_strncasecmp(word, commands[i], length) == 0)
			return true;
	return false;
}

/*
 * Raises an error for the id of a utility command, as far as the monitor has kept
 * its text.
 */
static void
refuse_utility(int64 queryid)
{
	ListCell *lc;

	foreach (lc, dbperf_monitored_queries())
	{
		const MonitoredQuery *query = lfirst(lc);

		if (query->queryid == (uint64) queryid && query->sampled_at != 0 && is_utility(query->text))
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("query %lld is a utility command", (long long) queryid),
					 errdetail("Settings are in force while queries are planned and executed."),
					 errhint("A function or procedure can have settings of its own, see "
							 "ALTER FUNCTION ... SET.")));
	}
}

/*
 * Says which setting an error of the server is about.
 */
static void
setting_context(void *arg)
{
	const QuerySetting *setting = *(const QuerySetting **) arg;

	if (setting != NULL)
		errcontext("setting \"%s\" of a query", setting->name);
}

/*
 * Raises an error unless a query can have these settings.
 */
static void
check_settings(Jsonb *json)
{
	QuerySettings		 settings;
	SettingsProblem		 problem;
	const QuerySetting	*current = NULL;
	ErrorContextCallback context = {.callback = setting_context, .arg = &current};

	if (!dbperf_settings_of_json(json, &settings, &problem))
		ereport(ERROR, (errcode(problem.sqlstate), errmsg("%s", problem.message),
						problem.detail != NULL ? errdetail("%s", problem.detail) : 0,
						problem.hint != NULL ? errhint("%s", problem.hint) : 0));
	context.previous = error_context_stack;
	error_context_stack = &context;
	(void) dbperf_settings_valid(&settings, ERROR, &current);
	error_context_stack = context.previous;
}

/* ---- before and after ---- */

/*
 * Keeps how a query did before it has these settings, and the state of its
 * counters now.  Inside SPI.
 *
 * Before: since counting began, or since it last had settings; if it was not
 * executed since, or has settings now, what was kept then stays.
 */
static void
keep_baseline(Argument queryid, bool has_settings)
{
	ArrayType	 *state = NULL;
	LatencyChange change;
	Argument	  arguments[5] = {queryid};
	bool		  isnull;

	if (run("SELECT b.state FROM dbperf.query_settings_baseline AS b"
			" WHERE b.queryid OPERATOR(pg_catalog.=) $1",
			&queryid, 1) > 0)
		state = DatumGetArrayTypeP(
			SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	dbperf_latency_change((uint64) DatumGetInt64(queryid.value), state, &change);
	arguments[1] =
		(Argument){INT8OID, Int64GetDatum((int64) change.calls), has_settings || change.calls == 0};
	arguments[2] = (Argument){FLOAT8OID, Float8GetDatum(change.mean_ms), arguments[1].null};
	arguments[3] = (Argument){FLOAT8OID, Float8GetDatum(change.p95_ms), arguments[1].null};
	arguments[4] = (Argument){
		INT8ARRAYOID, PointerGetDatum(dbperf_latency_state((uint64) DatumGetInt64(queryid.value))),
		false};
	run("INSERT INTO dbperf.query_settings_baseline AS b"
		" (queryid, taken, calls, mean_ms, p95_ms, state)"
		" VALUES ($1, pg_catalog.clock_timestamp(), $2, $3, $4, $5)"
		" ON CONFLICT (queryid) DO UPDATE SET taken = EXCLUDED.taken, state = EXCLUDED.state,"
		" calls = coalesce(EXCLUDED.calls, b.calls),"
		" mean_ms = coalesce(EXCLUDED.mean_ms, b.mean_ms),"
		" p95_ms = coalesce(EXCLUDED.p95_ms, b.p95_ms)",
		arguments, lengthof(arguments));
}

/* ---- functions ---- */

/*
 * set_query_settings(queryid bigint, settings jsonb, note text) returns void
 */
Datum
dbperf_set_query_settings(PG_FUNCTION_ARGS)
{
	Argument	  arguments[3];
	CallerRights  caller;
	LatencyChange known;
	bool		  has_settings;

	dbperf_require_shmem();
	arguments[0] = (Argument){INT8OID, Int64GetDatum(queryid_argument(fcinfo)), false};
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"settings\" must not be null"),
				 errhint("To remove the settings of a query use dbperf.clear_query_settings().")));
	check_settings(PG_GETARG_JSONB_P(1));
	arguments[1] = (Argument){JSONBOID, PG_GETARG_DATUM(1), false};
	arguments[2] =
		(Argument){TEXTOID, PG_ARGISNULL(2) ? (Datum) 0 : PG_GETARG_DATUM(2), PG_ARGISNULL(2)};

	begin_as_owner(&caller);
	has_settings = run("SELECT FROM dbperf.query_settings AS s"
					   " WHERE s.queryid OPERATOR(pg_catalog.=) $1",
					   arguments, 1) > 0;
	dbperf_latency_change((uint64) PG_GETARG_INT64(0), NULL, &known);
	if (!has_settings && known.calls == 0 && !known_to_statements(arguments[0]))
		ereport(
			ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("query %lld is not known in this database", (long long) PG_GETARG_INT64(0)),
			 errdetail("Neither dbperf.query_latency nor pg_stat_statements has it."),
			 errhint("Execute the query once, and look up its id there. Statements in functions "
					 "are counted if dbperf.track is all.")));
	refuse_utility(PG_GETARG_INT64(0));
	keep_baseline(arguments[0], has_settings);
	run("INSERT INTO dbperf.query_settings (queryid, settings, note) VALUES ($1, $2, $3)"
		" ON CONFLICT (queryid) DO UPDATE SET settings = EXCLUDED.settings, enabled = true,"
		" note = EXCLUDED.note, created = EXCLUDED.created",
		arguments, lengthof(arguments));
	end_as_owner(&caller);
	PG_RETURN_VOID();
}

/*
 * clear_query_settings(queryid bigint) returns void
 */
Datum
dbperf_clear_query_settings(PG_FUNCTION_ARGS)
{
	Argument	 queryid;
	CallerRights caller;

	dbperf_require_shmem();
	queryid = (Argument){INT8OID, Int64GetDatum(queryid_argument(fcinfo)), false};
	begin_as_owner(&caller);
	keep_baseline(queryid, true); /* first, as set_query_settings() does: no deadlock */
	if (run("DELETE FROM dbperf.query_settings WHERE queryid OPERATOR(pg_catalog.=) $1", &queryid,
			1) == 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("query %lld has no settings", (long long) PG_GETARG_INT64(0)),
						errhint("The table dbperf.query_settings lists those that have.")));
	end_as_owner(&caller);
	PG_RETURN_VOID();
}

/*
 * query_settings_changed() returns trigger, after each row that is changed in the
 * table (logical replication fires no other triggers), and after TRUNCATE: tells
 * all processes.
 */
Datum
dbperf_query_settings_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("the function must be called by a trigger")));
	CacheInvalidateRelcache(((TriggerData *) fcinfo->context)->tg_relation);
	PG_RETURN_POINTER(NULL);
}

/*
 * query_settings_latency(queryid bigint, state bigint[]) returns record: what was
 * executed of a query since that state of its counters.
 */
Datum
dbperf_query_settings_latency(PG_FUNCTION_ARGS)
{
	LatencyChange change;
	TupleDesc	  desc;
	Datum		  values[3];
	bool		  nulls[3] = {false};

	dbperf_require_shmem();
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	dbperf_check_columns(desc, lengthof(values));
	dbperf_latency_change((uint64) PG_GETARG_INT64(0),
						  PG_ARGISNULL(1) ? NULL : PG_GETARG_ARRAYTYPE_P(1), &change);
	values[0] = Int64GetDatum((int64) change.calls);
	values[1] = Float8GetDatum(change.mean_ms);
	values[2] = Float8GetDatum(change.p95_ms);
	nulls[1] = nulls[2] = change.calls == 0;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/*
 * accepted_settings() returns text[]
 */
Datum
dbperf_accepted_settings(PG_FUNCTION_ARGS)
{
	ArrayBuildState *names = initArrayResult(TEXTOID, CurrentMemoryContext, false);
	const char		*name;

	for (int n = 0; (name = dbperf_accepted_setting(n)) != NULL; n++)
		accumArrayResult(names, CStringGetTextDatum(name), false, TEXTOID, CurrentMemoryContext);
	PG_RETURN_DATUM(makeArrayResult(names, CurrentMemoryContext));
}
