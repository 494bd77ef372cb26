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
#include "core/talk.h"
#include "pool/pool_int.h"

DBPERF_PRIVATE_BEGIN

/* One conversation; see DbperfTalk. */
typedef struct PoolConsole
{
	int		   process;
	DbperfTalk talk;
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
