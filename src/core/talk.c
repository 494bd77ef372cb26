/*-------------------------------------------------------------------------
 *
 * talk.c
 *		A client of another server, or of a program that speaks its protocol.
 *
 * Nothing here blocks: the other side costs its caller the time that the caller
 * is ready to wait, and can be waited for later.  Host names are the exception,
 * which libpq looks up when a conversation begins: the caller gives addresses.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/talk.h"
#include "storage/fd.h"

/* What libpq says is part of an answer or of no interest. */
static void
ignore_notice(void *arg, const PGresult *result)
{
}

/* Keeps what libpq says of a failure, without its line end. */
static void
keep_error(DbperfTalk *talk, const char *message)
{
	int len = (int) strlen(message);

	while (len > 0 && (message[len - 1] == '\n' || message[len - 1] == ' '))
		len--;
	len = Min(len, (int) sizeof(talk->error) - 1);
	memcpy(talk->error, message, len);
	talk->error[len] = '\0';
}

/*
 * Ends a conversation at any time; what error says stays.
 */
void
dbperf_talk_close(DbperfTalk *talk)
{
	if (talk->result != NULL)
		PQclear(talk->result);
	talk->result = NULL;
	if (talk->conn != NULL)
	{
		PQfinish(talk->conn);
		ReleaseExternalFD();
	}
	talk->conn = NULL;
	talk->command = NULL;
	talk->stage = TALK_CLOSED;
}

/*
 * Ends a conversation with an error of the caller's.
 */
void
dbperf_talk_fail(DbperfTalk *talk, const char *message)
{
	keep_error(talk, message);
	dbperf_talk_close(talk);
}

/* It failed: libpq knows why. */
static void
fail(DbperfTalk *talk)
{
	keep_error(talk, PQerrorMessage(talk->conn));
	dbperf_talk_close(talk);
}

/*
 * Starts a conversation, with parameters as PQconnectStartParams() takes them:
 * connects, then sends the command, which must stay until then; NULL = none.
 * Raises no error; a failure shows in the stage and in error.
 */
void
dbperf_talk_begin(DbperfTalk *talk, const char *const *keywords, const char *const *values,
				  bool expand_dbname, const char *command)
{
	memset(talk, 0, sizeof(DbperfTalk));
	talk->command = command;
	if (!AcquireExternalFD())
	{
		keep_error(talk, "too many open files");
		return;
	}
	talk->conn = PQconnectStartParams(keywords, values, expand_dbname ? 1 : 0);
	if (talk->conn == NULL)
	{
		ReleaseExternalFD();
		keep_error(talk, "out of memory");
		return;
	}
	if (PQstatus(talk->conn) == CONNECTION_BAD)
	{
		fail(talk);
		return;
	}
	PQsetNoticeReceiver(talk->conn, ignore_notice, NULL);
	talk->polling = PGRES_POLLING_WRITING;
	talk->stage = TALK_CONNECTING;
}

/*
 * Sends a command in a conversation that is ready.  Raises no error.
 */
void
dbperf_talk_send(DbperfTalk *talk, const char *command)
{
	Assert(talk->stage == TALK_READY);
	if (talk->result != NULL)
		PQclear(talk->result);
	talk->result = NULL;
	talk->error[0] = '\0';
	talk->sqlstate[0] = '\0';
	if (PQsendQuery(talk->conn, command) == 0)
		fail(talk);
	else
		talk->stage = TALK_ASKED;
}

/* The connection stands: the command that waits for it can be sent. */
static void
connected(DbperfTalk *talk)
{
	const char *command = talk->command;

	talk->stage = TALK_READY;
	talk->command = NULL;
	if (PQsetnonblocking(talk->conn, 1) != 0)
		fail(talk);
	else if (command != NULL)
		dbperf_talk_send(talk, command);
}

/*
 * Takes a result that is no answer.  After most of them the conversation can go
 * on.
 */
static void
take_failure(DbperfTalk *talk, PGresult *result)
{
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (PQresultStatus(result) == PGRES_FATAL_ERROR)
		keep_error(talk, message != NULL ? message : PQerrorMessage(talk->conn));
	else
		keep_error(talk, "an answer that is not one to this command");
	strlcpy(talk->sqlstate, sqlstate != NULL ? sqlstate : "", sizeof(talk->sqlstate));

	/* libpq would have this result again and again if it is of COPY */
	if (PQstatus(talk->conn) == CONNECTION_BAD || PQresultStatus(result) != PGRES_FATAL_ERROR)
		dbperf_talk_close(talk);
	PQclear(result);
}

/* Takes what has arrived of an answer. */
static void
receive(DbperfTalk *talk)
{
	if (PQconsumeInput(talk->conn) == 0 || PQflush(talk->conn) < 0)
	{
		fail(talk);
		return;
	}
	while (talk->stage == TALK_ASKED && !PQisBusy(talk->conn))
	{
		PGresult *result = PQgetResult(talk->conn);

		if (result == NULL)
		{
			talk->stage = TALK_READY;
			return;
		}
		if (PQresultStatus(result) == PGRES_TUPLES_OK || PQresultStatus(result) == PGRES_COMMAND_OK)
		{
			if (talk->result != NULL)
				PQclear(talk->result);
			talk->result = result;
			continue;
		}
		take_failure(talk, result);
	}
}

/*
 * Does what can be done without waiting.
 */
void
dbperf_talk_advance(DbperfTalk *talk)
{
	if (talk->stage == TALK_CONNECTING)
	{
		talk->polling = PQconnectPoll(talk->conn);
		if (talk->polling == PGRES_POLLING_FAILED)
			fail(talk);
		else if (talk->polling == PGRES_POLLING_OK)
			connected(talk);
	}
	else if (talk->stage == TALK_ASKED)
		receive(talk);
}

/*
 * Whether an answer is outstanding.
 */
bool
dbperf_talk_busy(const DbperfTalk *talk)
{
	return talk->stage == TALK_CONNECTING || talk->stage == TALK_ASKED;
}

/*
 * Adds what a busy conversation waits for to a set, which has room for one more.
 */
void
dbperf_talk_add_events(const DbperfTalk *talk, WaitEventSet *set)
{
	bool writing = talk->stage == TALK_CONNECTING && talk->polling == PGRES_POLLING_WRITING;

	AddWaitEventToSet(set, writing ? WL_SOCKET_WRITEABLE : WL_SOCKET_READABLE, PQsocket(talk->conn),
					  NULL, NULL);
}
