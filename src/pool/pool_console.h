/*-------------------------------------------------------------------------
 *
 * pool_console.h
 *		Conversations with the consoles of the pool's processes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_POOL_CONSOLE_H
#define DBPERF_POOL_CONSOLE_H

#include "core/core.h"
#include "libpq-fe.h"
#include "pool/pool_int.h"

DBPERF_PRIVATE_BEGIN

typedef enum ConsoleStage
{
	CONSOLE_CLOSED, /* failed or never opened; error says why, "" = never */
	CONSOLE_CONNECTING,
	CONSOLE_READY, /* nothing asked, or the answer is there */
	CONSOLE_ASKED
} ConsoleStage;

/*
 * One conversation.  Whoever opens it has to close it, after an error, too:
 * libpq's memory and its socket belong to no memory context.
 */
typedef struct PoolConsole
{
	int						  process;
	ConsoleStage			  stage;
	PGconn					 *conn;
	PostgresPollingStatusType polling;		/* while connecting */
	char					  command[256]; /* to be sent when connected, "" = none */
	PGresult				 *result;		/* the answer, NULL = none yet */
	char					  error[256];	/* of the last command or the connection */
} PoolConsole;

extern void dbperf_pool_console_begin(PoolConsole *console, int process, const char *command);
extern void dbperf_pool_console_send(PoolConsole *console, const char *command);
extern bool dbperf_pool_console_wait(PoolConsole *const *consoles, int n, long ms);
extern bool dbperf_pool_console_busy(const PoolConsole *console);
extern PoolAnswer *dbperf_pool_console_answer(const PoolConsole *console);
extern void		   dbperf_pool_console_close(PoolConsole *console);

/* The processes that run. */
typedef struct PoolRunning
{
	int configured; /* processes that should */
	int version;	/* of PgBouncer, as in PoolShared */
	int n;
	int process[POOL_MAX_PROCESSES]; /* their numbers, from 0 */
} PoolRunning;

/* Whether to wait on for answers that are not there. */
typedef bool (*PoolWorthWaiting)(void *arg);

extern bool dbperf_pool_list_running(PoolRunning *running);
extern int
dbperf_pool_ask_all(const PoolRunning *running, const char *command, long ms,
					PoolWorthWaiting worth_it, void *arg, PoolAnswer **answers, char **errors);

DBPERF_PRIVATE_END

#endif /* DBPERF_POOL_CONSOLE_H */
