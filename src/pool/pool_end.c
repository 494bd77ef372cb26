/*-------------------------------------------------------------------------
 *
 * pool_end.c
 *		How the pool's processes end: by themselves, or because they are told to.
 *
 * Nothing here waits, dbperf_pool_end_all() apart.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>
#include <sys/wait.h>

#include "miscadmin.h"
#include "pool/pool_process.h"
#include "utils/timestamp.h"

#define SAFE_WITHIN 5000   /* ms that transactions get to end */
#define NOW_WITHIN 1000	   /* ms to end at once, before it is killed */
#define BACK_OFF_MIN 1000  /* ms after an end that nobody asked for */
#define BACK_OFF_MAX 60000 /* ms */
#define GOOD_RUN 60000	   /* ms after which earlier ends do not count */
#define EARLY_ENDS_MAX 3   /* before it listened, in a row */
#define EXIT_WITHIN 300	   /* ms that processes get when the worker ends */
#define KILL_WITHIN 1000   /* ms that the system gets to end what was killed */
#define REAP_EVERY 10	   /* ms */

/* ---- ends ---- */

/*
 * Have it started again after a while that is longer each time, or not before
 * something changes.
 */
void
dbperf_pool_process_schedule(int process, bool early)
{
	PoolLife *mine = &dbperf_pool_lives[process];
	int64	  wait = BACK_OFF_MIN;

	mine->early_ends = early ? mine->early_ends + 1 : 0;
	if (mine->early_ends >= EARLY_ENDS_MAX)
	{
		dbperf_pool_set_state(process, POOL_FAILED);
		return;
	}
	wait <<= Min(mine->failures, 10);
	mine->failures++;
	mine->next_start = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), Min(wait, BACK_OFF_MAX));
	dbperf_pool_set_state(process, POOL_WAITING);
}

/*
 * It cannot be started now, for a reason outside of it: try again later.
 */
void
dbperf_pool_process_failed(int process, const char *problem)
{
	strlcpy(dbperf_pool_lives[process].problem, problem,
			sizeof(dbperf_pool_lives[process].problem));
	dbperf_pool_process_schedule(process, false);
}

/*
 * How a process ended, in words.
 */
static void
describe_end(PoolChild *child, int status, char *words, Size size)
{
	int error = dbperf_pool_exec_error(child);

	if (error != 0)
	{
		errno = error;
		snprintf(words, size, "could not be executed: %m");
	}
	else if (WIFSIGNALED(status))
		snprintf(words, size, "was terminated by signal %d: %s", WTERMSIG(status),
				 pg_strsignal(WTERMSIG(status)));
	else
		snprintf(words, size, "exited with status %d", WEXITSTATUS(status));
}

/* Nobody asked for the end. */
static void
ended_by_itself(int process, pid_t pid, const char *words, bool early)
{
	PoolLife   *mine = &dbperf_pool_lives[process];
	TimestampTz now = GetCurrentTimestamp();
	char		line[512];

	if (TimestampDifferenceExceeds(mine->started, now, GOOD_RUN))
		mine->failures = 0;
	mine->restarts = true;
	dbperf_pool_read_log(process);
	dbperf_pool_last_complaint(process, line, sizeof(line));
	ereport(LOG, (errmsg("PgBouncer (PID %d) of the connection pool %s", (int) pid, words),
				  errdetail("The last lines of its log that matter: %s", line)));
	/* a process that did not listen in time has a problem already */
	if (early && mine->problem[0] == '\0')
		snprintf(mine->problem, sizeof(mine->problem),
				 "process %d %s before it listened; correct what its log says: \"%s\"", process + 1,
				 words, line);
	dbperf_pool_process_schedule(process, early);
}

/*
 * Collect the process if it has ended.
 */
void
dbperf_pool_reap(int process)
{
	PoolLife	*mine = &dbperf_pool_lives[process];
	PoolProcess *shared = &dbperf_pool_shared->process[process];
	pid_t		 pid = mine->child.pid;
	bool		 early = mine->state == POOL_STARTING;
	bool		 asked = mine->stop != POOL_STOP_NOT;
	char		 words[256];
	int			 status;

	if (pid == 0 || waitpid(pid, &status, WNOHANG) != pid)
		return;

	describe_end(&mine->child, status, words, sizeof(words));
	dbperf_pool_forget(&mine->child);
	LWLockAcquire(POOL_STATUS_LOCK, LW_EXCLUSIVE);
	pg_atomic_write_u32(&shared->pid, 0);
	shared->ended = GetCurrentTimestamp();
	snprintf(shared->last_exit, sizeof(shared->last_exit), "%s%s", words,
			 asked ? ", as it was told to" : "");
	LWLockRelease(POOL_STATUS_LOCK);

	mine->stop = POOL_STOP_NOT;
	mine->deadline = 0;
	if (!asked)
		ended_by_itself(process, pid, words, early);
	else if (mine->again)
	{
		mine->next_start = GetCurrentTimestamp();
		dbperf_pool_set_state(process, POOL_WAITING);
	}
	else
		dbperf_pool_set_state(process, POOL_OFF);
}

/* ---- stops ---- */

/* The signal that makes it end in that way. */
static int
stop_signal(const PoolLife *mine)
{
	bool drains = mine->version >= POOL_VERSION_DRAIN;

	switch (mine->stop)
	{
		case POOL_STOP_DRAIN:
			return drains ? SIGTERM : SIGINT;
		case POOL_STOP_PATIENT:
		case POOL_STOP_SAFE:
			return SIGINT;
		case POOL_STOP_NOW:
			/* without a handler yet, SIGQUIT would leave a core file with secrets */
			if (mine->state == POOL_STARTING)
				return SIGKILL;
			return drains ? SIGQUIT : SIGTERM;
		case POOL_STOP_NOT:
		case POOL_STOP_KILL:
			break;
	}
	return SIGKILL;
}

/*
 * Stop it, and start it again after that if "again".  To be called again with
 * a later way if it is too slow; with an earlier one that has no effect.
 */
void
dbperf_pool_process_stop(int process, PoolStop how, bool again)
{
	PoolLife   *mine = &dbperf_pool_lives[process];
	TimestampTz now = GetCurrentTimestamp();

	mine->again = again;
	if (mine->child.pid == 0)
	{
		mine->problem[0] = '\0';
		dbperf_pool_set_state(process, POOL_OFF);
		return;
	}
	if (how <= mine->stop)
		return;

	/* a second SIGINT would cut transactions short */
	if (!(mine->stop == POOL_STOP_PATIENT && how == POOL_STOP_SAFE))
	{
		mine->stop = how;
		(void) kill(mine->child.pid, stop_signal(mine));
	}
	mine->stop = how;
	mine->deadline = 0;
	if (how == POOL_STOP_SAFE)
		mine->deadline = TimestampTzPlusMilliseconds(now, SAFE_WITHIN);
	else if (how == POOL_STOP_NOW)
		mine->deadline = TimestampTzPlusMilliseconds(now, NOW_WITHIN);
	dbperf_pool_set_state(process, POOL_STOPPING);
}

/* ---- all of them ---- */

/* Wait until all have ended, or the time is over. */
static void
wait_for_all(int ms)
{
	for (; ms > 0 && dbperf_pool_alive() > 0; ms -= REAP_EVERY)
	{
		for (int i = 0; i < POOL_MAX_PROCESSES; i++)
			dbperf_pool_reap(i);
		if (dbperf_pool_alive() > 0)
			pg_usleep(REAP_EVERY * 1000L);
	}
}

/*
 * The worker ends: so do they, at once.
 */
void
dbperf_pool_end_all(void)
{
	for (int i = 0; i < POOL_MAX_PROCESSES; i++)
	{
		if (dbperf_pool_lives[i].child.pid != 0)
			dbperf_pool_process_stop(i, POOL_STOP_NOW, false);
	}
	wait_for_all(EXIT_WITHIN);
	for (int i = 0; i < POOL_MAX_PROCESSES; i++)
	{
		if (dbperf_pool_lives[i].child.pid != 0)
			dbperf_pool_process_stop(i, POOL_STOP_KILL, false);
	}
	wait_for_all(KILL_WITHIN);
}
