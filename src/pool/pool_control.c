/*-------------------------------------------------------------------------
 *
 * pool_control.c
 *		Functions that tell the pool what to do.
 *
 * They are carried out by their caller, at the consoles of all processes at
 * once, and can be cancelled.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pool/pool_console.h"
#include "storage/ipc.h"
#include "utils/builtins.h"

/* Time for what PgBouncer does at once. */
#define COMMAND_MS 5000

/* A pause that waits looks so often whether it has been undone. */
#define LOOK_MS 1000

PG_FUNCTION_INFO_V1(dbperf_pool_reload);
PG_FUNCTION_INFO_V1(dbperf_pool_pause);
PG_FUNCTION_INFO_V1(dbperf_pool_resume);
PG_FUNCTION_INFO_V1(dbperf_pool_reconnect);
PG_FUNCTION_INFO_V1(dbperf_pool_kill_client);

/* What the processes said to a command. */
typedef struct Replies
{
	PoolAnswer *answers[POOL_MAX_PROCESSES];
	char	   *errors[POOL_MAX_PROCESSES];
} Replies;

/* ---- helpers ---- */

/*
 * Lists the processes.  Raises an error if the pool is off, or, if all of them
 * are needed, some are not there.
 */
static void
require_running(PoolRunning *running, bool all)
{
	dbperf_require_shmem();
	if (!dbperf_pool_list_running(running))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the connection pool is not running"),
						errhint("dbperf.pool switches it on; dbperf.pool_status says what is "
								"wrong if it is.")));
	if (running->n == 0 || (all && running->n < running->configured))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("%d of %d processes of the connection pool are running", running->n,
							   running->configured),
						errhint("dbperf.pool_status says what the others do.")));
}

/* PgBouncer's words, which may have names in them, in valid characters. */
static char *
readable(const char *message)
{
	return text_to_cstring(
		dbperf_server_text(message, (int) strlen(message), GetDatabaseEncoding()));
}

/* What went wrong where, one line for each process. */
static char *
list_errors(const PoolRunning *running, const Replies *replies)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < running->n; i++)
	{
		if (replies->answers[i] == NULL)
			appendStringInfo(&list, "%sProcess %d: %s.", list.len > 0 ? "\n" : "",
							 running->process[i] + 1, readable(replies->errors[i]));
	}
	return list.data;
}

/* Sends a command to all processes; returns how many carried it out. */
static int
tell_all(const PoolRunning *running, const char *command, long ms, Replies *replies)
{
	return dbperf_pool_ask_all(running, command, ms, NULL, NULL, replies->answers, replies->errors);
}

/* A command about a database, as the console wants it quoted. */
static char *
database_command(const char *command, const char *database)
{
	StringInfoData result;

	initStringInfo(&result);
	appendStringInfo(&result, "%s \"", command);
	for (const char *c = database; *c != '\0'; c++)
	{
		if (*c == '"')
			appendStringInfoChar(&result, '"');
		appendStringInfoChar(&result, *c);
	}
	appendStringInfoChar(&result, '"');
	return result.data;
}

/* ---- pausing ---- */

/* What has to be undone if a pause fails. */
typedef struct Pause
{
	const PoolRunning *running;
	const char		  *database;
	int				   seen_resumed; /* looks in a row */
} Pause;

/*
 * After an error, or at the end of the process: nobody stays paused.  Whoever
 * was not yet has nothing to resume, which is no failure.
 */
static void
undo_pause(int code, Datum arg)
{
	const Pause *pause = (const Pause *) DatumGetPointer(arg);
	Replies		 replies;

	HOLD_INTERRUPTS();
	(void) tell_all(pause->running, database_command("RESUME", pause->database), COMMAND_MS,
					&replies);
	RESUME_INTERRUPTS();
}

/* What a process says of a database. */
typedef enum PauseState
{
	PAUSE_UNKNOWN, /* it has no clients of it and hides it, or did not answer */
	PAUSE_NO,
	PAUSE_YES
} PauseState;

static PauseState
pause_state(const PoolAnswer *databases, const char *database)
{
	for (int row = 0; databases != NULL && row < databases->rows; row++)
	{
		const char *name = dbperf_pool_value(databases, row, "name");

		if (name != NULL && strcmp(name, database) == 0)
			return dbperf_pool_number(databases, row, "paused") != 0 ? PAUSE_YES : PAUSE_NO;
	}
	return PAUSE_UNKNOWN;
}

/*
 * Whether a pause is still waited for: if somebody resumes the database
 * meanwhile, PgBouncer never answers.  One look may come before the command.
 */
static bool
is_worth_waiting(void *arg)
{
	Pause  *pause = arg;
	Replies replies;
	bool	resumed = false;

	(void) tell_all(pause->running, "SHOW DATABASES", COMMAND_MS, &replies);
	for (int i = 0; i < pause->running->n; i++)
		resumed |= pause_state(replies.answers[i], pause->database) == PAUSE_NO;
	pause->seen_resumed = resumed ? pause->seen_resumed + 1 : 0;
	return pause->seen_resumed < 2;
}

/*
 * pool_pause(database): in all processes, or in none.  Returns when no server
 * connection to the database is left.
 */
Datum
dbperf_pool_pause(PG_FUNCTION_ARGS)
{
	char	   *database = text_to_cstring(PG_GETARG_TEXT_PP(0));
	PoolRunning running;
	Replies		replies;
	Pause		pause = {&running, database, 0};
	char	   *command = database_command("PAUSE", database);

	require_running(&running, true);
	if (dbperf_pool_serves)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the connection pool cannot be paused through itself"),
						errdetail("It would wait for the end of this transaction."),
						errhint("Connect to the server directly.")));
	if (IsTransactionBlock())
		ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
						errmsg("the connection pool cannot be paused inside a transaction block"),
						errdetail("It would wait for transactions that may wait for this one.")));
	(void) get_database_oid(database, false);

	PG_ENSURE_ERROR_CLEANUP(undo_pause, PointerGetDatum(&pause));
	{
		if (dbperf_pool_ask_all(&running, command, LOOK_MS, is_worth_waiting, &pause,
								replies.answers, replies.errors) < running.n)
			ereport(ERROR,
					(errcode(ERRCODE_CONNECTION_FAILURE),
					 errmsg("could not pause the connection pool for database \"%s\"", database),
					 errdetail_internal("%s", list_errors(&running, &replies)),
					 pause.seen_resumed > 0
						 ? errhint("Somebody has resumed it meanwhile, or a process was restarted.")
						 : 0));
	}
	PG_END_ENSURE_ERROR_CLEANUP(undo_pause, PointerGetDatum(&pause));
	PG_RETURN_VOID();
}

/*
 * pool_resume(database): returns whether it was paused in any process.  One in
 * which it was not refuses to resume it; SHOW DATABASES cannot tell before,
 * since it hides databases without clients, which can be paused.
 */
Datum
dbperf_pool_resume(PG_FUNCTION_ARGS)
{
	char	   *database = text_to_cstring(PG_GETARG_TEXT_PP(0));
	PoolRunning running;
	Replies		replies;
	Replies		later;
	int			resumed;
	bool		failed = false;

	require_running(&running, false);
	resumed = tell_all(&running, database_command("RESUME", database), COMMAND_MS, &replies);
	if (resumed < running.n)
		(void) tell_all(&running, "SHOW DATABASES", COMMAND_MS, &later);
	for (int i = 0; i < running.n; i++)
	{
		if (replies.answers[i] == NULL)
			failed |=
				later.answers[i] == NULL || pause_state(later.answers[i], database) == PAUSE_YES;
	}
	if (failed)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("could not resume the connection pool for database \"%s\" in all processes",
						database),
				 errdetail_internal("%s", list_errors(&running, &replies))));
	PG_RETURN_BOOL(resumed > 0);
}

/* ---- the others ---- */

/*
 * pool_reload(): all processes read their files again.  Returns how many did.
 */
Datum
dbperf_pool_reload(PG_FUNCTION_ARGS)
{
	PoolRunning running;
	Replies		replies;

	require_running(&running, false);
	if (tell_all(&running, "RELOAD", COMMAND_MS, &replies) < running.n)
		ereport(ERROR, (errcode(ERRCODE_CONNECTION_FAILURE),
						errmsg("could not reload all processes of the connection pool"),
						errdetail_internal("%s", list_errors(&running, &replies)),
						errhint("dbperf.pool_status has the last lines of their logs.")));
	PG_RETURN_INT32(running.n);
}

/*
 * pool_reconnect(database): replaces the server connections as they get free.
 */
Datum
dbperf_pool_reconnect(PG_FUNCTION_ARGS)
{
	char	   *database = text_to_cstring(PG_GETARG_TEXT_PP(0));
	PoolRunning running;
	Replies		replies;

	require_running(&running, false);
	(void) get_database_oid(database, false);
	if (tell_all(&running, database_command("RECONNECT", database), COMMAND_MS, &replies) <
		running.n)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("could not renew the connections to database \"%s\" in all processes",
						database),
				 errdetail_internal("%s", list_errors(&running, &replies))));
	PG_RETURN_VOID();
}

/*
 * Takes an id of pool_clients apart: the number of the process, from 0, and
 * PgBouncer's own.  Raises an error if it is none.
 */
static void
parse_client_id(const char *id, int *process, uint64 *number)
{
	char *end;
	long  n;

	errno = 0;
	n = strtol(id, &end, 10);
	if (isdigit((unsigned char) id[0]) && *end == '.' && n >= 1 && n <= POOL_MAX_PROCESSES &&
		isdigit((unsigned char) end[1]))
	{
		*process = (int) n - 1;
		*number = strtou64(end + 1, &end, 10);
		if (*end == '\0' && errno == 0)
			return;
	}
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("\"%s\" is not an id of a client of the connection pool", id),
					errhint("Ids are in dbperf.pool_clients.")));
}

/*
 * pool_kill_client(id): ends a client's connection.  Returns whether it was
 * there; a warning says what PgBouncer said if not.
 */
Datum
dbperf_pool_kill_client(PG_FUNCTION_ARGS)
{
	char	   *id = text_to_cstring(PG_GETARG_TEXT_PP(0));
	PoolRunning running;
	int			process;
	uint64		number;
	char	   *error;

	parse_client_id(id, &process, &number);
	require_running(&running, false);
	if (running.version < POOL_VERSION_KILL_CLIENT)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("ending a client's connection needs PgBouncer 1.24"),
						errdetail("This is PgBouncer %d.%d.%d.", running.version / 10000,
								  running.version / 100 % 100, running.version % 100),
						errhint("pg_terminate_backend() ends the server connection that it has.")));
	if (process < running.configured &&
		dbperf_pool_ask(process, psprintf("KILL_CLIENT " UINT64_FORMAT, number), COMMAND_MS,
						&error) != NULL)
		PG_RETURN_BOOL(true);
	ereport(WARNING,
			(errmsg("could not end the connection of client \"%s\" of the connection pool", id),
			 process < running.configured ? errdetail("%s.", readable(error)) : 0));
	PG_RETURN_BOOL(false);
}
