/*-------------------------------------------------------------------------
 *
 * pool_console.c
 *		A client of the console that each PgBouncer has.
 *
 * The console is a database "pgbouncer" in which only simple queries work.  It
 * is reached through a unix socket in a directory that only the server's own
 * operating system user can enter, and PgBouncer lets that user in without a
 * password.  Nothing here blocks: a PgBouncer that hangs costs its caller the
 * time that the caller is ready to wait, and can be waited for later.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/compat.h"
#include "miscadmin.h"
#include "pool/pool_console.h"
#include "storage/latch.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/* ---- one conversation ---- */

/*
 * Ends a conversation at any time; what error says stays.
 */
void
dbperf_pool_console_close(PoolConsole *console)
{
	dbperf_talk_close(&console->talk);
}

/*
 * Where the console of a process is.  What the environment of the server may say
 * otherwise is named, since PgBouncer refuses options; an empty value counts only
 * in a string like this.
 */
static void
put_address(char *to, size_t size, int process)
{
	char directory[2 * MAXPGPATH];
	int	 len = 0;

	for (const char *c = dbperf_pool_socket_directory(process); *c != '\0'; c++)
	{
		if (len > (int) sizeof(directory) - 3)
			break;
		if (*c == '\'' || *c == '\\')
			directory[len++] = '\\';
		directory[len++] = *c;
	}
	directory[len] = '\0';
	snprintf(to, size,
			 "host='%s' port=%d user=pgbouncer dbname=pgbouncer application_name=dbperf "
			 "sslmode=disable gssencmode=disable channel_binding=disable hostaddr='' options='' "
			 "requirepeer='' target_session_attrs=any",
			 directory, dbperf_pool_shared->port);
}

/*
 * Starts a conversation with a process: connects, then sends the command, which
 * must stay until the conversation has been waited for.  Raises no error; a
 * failure shows in the stage and in error.
 */
void
dbperf_pool_console_begin(PoolConsole *console, int process, const char *command)
{
	static const char *const keywords[] = {"dbname", NULL};
	char					 address[2 * MAXPGPATH + 256];
	const char *const		 values[] = {address, NULL};

	console->process = process;
	put_address(address, sizeof(address), process);
	dbperf_talk_begin(&console->talk, keywords, values, true, command);
}

/*
 * Sends a command in a conversation that is ready.  Raises no error.
 */
void
dbperf_pool_console_send(PoolConsole *console, const char *command)
{
	dbperf_talk_send(&console->talk, command);
}

/*
 * Whether an answer is outstanding.
 */
bool
dbperf_pool_console_busy(const PoolConsole *console)
{
	return dbperf_talk_busy(&console->talk);
}

/* ---- waiting ---- */

/*
 * Sleeps until one of the conversations can go on, the latch is set, or the
 * time is over.  Returns the event, 0 for the end of the time.
 */
static uint32
sleep_for_any(PoolConsole *const *consoles, int n, long ms)
{
	WaitEventSet *set = DBPERF_CREATE_WAIT_EVENT_SET(n + 2);
	WaitEvent	  event = {0};

	AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	for (int i = 0; i < n; i++)
	{
		if (dbperf_pool_console_busy(consoles[i]))
			dbperf_talk_add_events(&consoles[i]->talk, set);
	}
	if (WaitEventSetWait(set, ms, &event, 1, PG_WAIT_EXTENSION) == 0)
		event.events = 0;
	FreeWaitEventSet(set);
	return event.events;
}

/*
 * Lets conversations go on for ms at most, until none of them is busy.  Returns whether none is.  Can be cancelled: then it raises an
 * error, and the caller has to close them.
 */
bool
dbperf_pool_console_wait(PoolConsole *const *consoles, int n, long ms)
{
	TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ms);
	bool		latch_set = false;
	bool		busy;

	for (;;)
	{
		long left;

		CHECK_FOR_INTERRUPTS();
		busy = false;
		for (int i = 0; i < n; i++)
		{
			dbperf_talk_advance(&consoles[i]->talk);
			busy |= dbperf_pool_console_busy(consoles[i]);
		}
		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);
		if (!busy || left == 0)
			break;
		if (sleep_for_any(consoles, n, left) & WL_LATCH_SET)
		{
			ResetLatch(MyLatch);
			latch_set = true;
		}
	}

	/* somebody may have meant the caller */
	if (latch_set)
		SetLatch(MyLatch);
	return !busy;
}

/* ---- answers ---- */

/*
 * The answer of a conversation that is ready, in the current memory context;
 * NULL if the command failed, see error.
 */
PoolAnswer *
dbperf_pool_console_answer(const PoolConsole *console)
{
	const PGresult *result = console->talk.result;
	PoolAnswer	   *answer;

	if (result == NULL || console->talk.error[0] != '\0')
		return NULL;
	answer = palloc(sizeof(PoolAnswer));
	answer->rows = PQntuples(result);
	answer->columns = PQnfields(result);
	answer->names = palloc(Max(answer->columns, 1) * sizeof(char *));
	answer->values = palloc(Max(answer->rows * answer->columns, 1) * sizeof(char *));
	for (int c = 0; c < answer->columns; c++)
	{
		answer->names[c] = pstrdup(PQfname(result, c));
		for (int r = 0; r < answer->rows; r++)
			answer->values[r * answer->columns + c] =
				PQgetisnull(result, r, c) ? NULL : pstrdup(PQgetvalue(result, r, c));
	}
	return answer;
}

/*
 * Sends a command to the console of a process.  Returns the answer, or NULL
 * with *error saying why there is none.  Takes ms at most, and can be
 * cancelled.  Both are in the current memory context.
 */
PoolAnswer *
dbperf_pool_ask(int process, const char *command, long ms, char **error)
{
	PoolConsole	 console;
	PoolConsole *one = &console;
	PoolAnswer *volatile answer = NULL;

	*error = NULL;
	dbperf_pool_console_begin(&console, process, command);
	PG_TRY();
	{
		if (!dbperf_pool_console_wait(&one, 1, ms))
			*error = psprintf("no answer within %ld ms", ms);
		else
		{
			answer = dbperf_pool_console_answer(&console);
			if (answer == NULL)
				*error = pstrdup(console.talk.error);
		}
	}
	PG_FINALLY();
	{
		dbperf_pool_console_close(&console);
	}
	PG_END_TRY();
	return answer;
}

/* Closes conversations. */
static void
close_all(PoolConsole *consoles, int n)
{
	for (int i = 0; i < n; i++)
		dbperf_pool_console_close(&consoles[i]);
}

/* Waits for several conversations, ms at most, or for as long as it is worth it. */
static void
wait_for_all(PoolConsole *const *all, int n, long ms, PoolWorthWaiting worth_it, void *arg)
{
	if (worth_it == NULL)
		(void) dbperf_pool_console_wait(all, n, ms);
	else
		while (!dbperf_pool_console_wait(all, n, ms) && worth_it(arg))
			;
}

/*
 * Sends a command to the consoles of several processes at once.  Returns how
 * many answered; those that did not have NULL as their answer and an error.
 * Takes ms at most, or, if worth_it is given, until that says that it is not: it
 * is called each ms.  Can be cancelled.  Everything is in the current memory
 * context.
 */
int
dbperf_pool_ask_all(const PoolRunning *running, const char *command, long ms,
					PoolWorthWaiting worth_it, void *arg, PoolAnswer **answers, char **errors)
{
	PoolConsole *consoles = palloc0(running->n * sizeof(PoolConsole));
	PoolConsole *all[POOL_MAX_PROCESSES];
	int			 answered = 0;

	for (int i = 0; i < running->n; i++)
	{
		all[i] = &consoles[i];
		dbperf_pool_console_begin(&consoles[i], running->process[i], command);
	}
	PG_TRY();
	{
		wait_for_all(all, running->n, ms, worth_it, arg);
		for (int i = 0; i < running->n; i++)
		{
			answers[i] = NULL;
			errors[i] = NULL;
			if (dbperf_pool_console_busy(&consoles[i]))
				errors[i] = worth_it != NULL ? pstrdup("no longer waited for")
											 : psprintf("no answer within %ld ms", ms);
			else if ((answers[i] = dbperf_pool_console_answer(&consoles[i])) == NULL)
				errors[i] = pstrdup(consoles[i].talk.error);
		}
	}
	PG_FINALLY();
	{
		close_all(consoles, running->n);
	}
	PG_END_TRY();
	for (int i = 0; i < running->n; i++)
		answered += answers[i] != NULL ? 1 : 0;
	pfree(consoles);
	return answered;
}

/*
 * Lists the processes that run.  Returns whether the pool is switched on.
 */
bool
dbperf_pool_list_running(PoolRunning *running)
{
	memset(running, 0, sizeof(PoolRunning));
	LWLockAcquire(POOL_STATUS_LOCK, LW_SHARED);
	running->configured = dbperf_pool_shared->processes;
	running->version = dbperf_pool_shared->version;
	for (int i = 0; i < running->configured; i++)
	{
		if (pg_atomic_read_u32(&dbperf_pool_shared->process[i].pid) != 0)
			running->process[running->n++] = i;
	}
	LWLockRelease(POOL_STATUS_LOCK);
	return running->configured > 0;
}

/*
 * A value by its column's name, NULL if it is null or there is no such column.
 */
const char *
dbperf_pool_value(const PoolAnswer *answer, int row, const char *column)
{
	for (int c = 0; c < answer->columns; c++)
	{
		if (strcmp(answer->names[c], column) == 0)
			return answer->values[row * answer->columns + c];
	}
	return NULL;
}

/*
 * The same as a number, 0 for none.
 */
int64
dbperf_pool_number(const PoolAnswer *answer, int row, const char *column)
{
	const char *value = dbperf_pool_value(answer, row, column);

	return value != NULL ? strtoi64(value, NULL, 10) : 0;
}
