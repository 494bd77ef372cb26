/*-------------------------------------------------------------------------
 *
 * pool_process.c
 *		The life of each PgBouncer: started, seen to listen, watched, stopped.
 *
 * The worker calls dbperf_pool_process_watch() for each of them again and
 * again; nothing here waits, dbperf_pool_end_all() apart.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "miscadmin.h"
#include "pool/pool_run.h"
#include "storage/latch.h"
#include "utils/timestamp.h"

#define LISTEN_WITHIN 10000 /* ms from the start */
#define VERIFY_EVERY 10000	/* ms between two looks at who listens */
#define SAFE_WITHIN 5000	/* ms that transactions get to end */
#define NOW_WITHIN 1000		/* ms to end at once, before it is killed */
#define BACK_OFF_MIN 1000	/* ms after an end that nobody asked for */
#define BACK_OFF_MAX 60000	/* ms */
#define GOOD_RUN 60000		/* ms after which earlier ends do not count */
#define EARLY_ENDS_MAX 3	/* before it listened, in a row */
#define EXIT_WITHIN 300		/* ms that processes get when the worker ends */
#define KILL_WITHIN 1000	/* ms that the system gets to end what was killed */
#define REAP_EVERY 10		/* ms */

/* A process, as the worker sees it. */
typedef struct Process
{
	PoolChild	child;
	PoolState	state; /* the same as in shared memory */
	int			version;
	TimestampTz started;
	TimestampTz deadline; /* of the start or of a stage of the stop, 0 = none */
	TimestampTz verified; /* when it was last seen to listen */
	TimestampTz next_start;
	PoolStop	stop;
	bool		again;		   /* start it after this end */
	bool		reload;		   /* it is to do that as soon as it listens */
	bool		restarts;	   /* the next start follows an end that nobody asked for */
	int			failures;	   /* ends that nobody asked for, in a row */
	int			early_ends;	   /* those before it listened, in a row */
	char		problem[1024]; /* what is wrong, "" = nothing */
} Process;

static Process processes[POOL_MAX_PROCESSES];

/* ---- small things ---- */

PoolState
dbperf_pool_process_state(int process)
{
	return processes[process].state;
}

/* Whether a process that waits is to be started now. */
bool
dbperf_pool_process_due(int process)
{
	return processes[process].state == POOL_WAITING &&
		   GetCurrentTimestamp() >= processes[process].next_start;
}

/* How many processes there are. */
int
dbperf_pool_alive(void)
{
	int alive = 0;

	for (int i = 0; i < POOL_MAX_PROCESSES; i++)
		alive += processes[i].child.pid != 0;
	return alive;
}

/* The oldest version of those that run, and this one. */
int
dbperf_pool_oldest_version(int version)
{
	for (int i = 0; i < POOL_MAX_PROCESSES; i++)
	{
		if (processes[i].child.pid != 0)
			version = Min(version, processes[i].version);
	}
	return version;
}

static void
set_state(int process, PoolState state)
{
	Process *mine = &processes[process];

	mine->state = state;
	LWLockAcquire(POOL_STATUS_LOCK, LW_EXCLUSIVE);
	dbperf_pool_shared->process[process].state = state;
	dbperf_pool_shared->process[process].next_start = state == POOL_WAITING ? mine->next_start : 0;
	LWLockRelease(POOL_STATUS_LOCK);
}

/* ---- ends ---- */

/*
 * Have it started again after a while that is longer each time, or not before
 * something changes.
 */
static void
schedule(int process, bool early)
{
	Process *mine = &processes[process];
	int64	 wait = BACK_OFF_MIN;

	mine->early_ends = early ? mine->early_ends + 1 : 0;
	if (mine->early_ends >= EARLY_ENDS_MAX)
	{
		set_state(process, POOL_FAILED);
		return;
	}
	wait <<= Min(mine->failures, 10);
	mine->failures++;
	mine->next_start = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), Min(wait, BACK_OFF_MAX));
	set_state(process, POOL_WAITING);
}

/*
 * It cannot be started now, for a reason outside of it: try again later.
 */
void
dbperf_pool_process_failed(int process, const char *problem)
{
	strlcpy(processes[process].problem, problem, sizeof(processes[process].problem));
	schedule(process, false);
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
	Process	   *mine = &processes[process];
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
	schedule(process, early);
}

/*
 * Collect the process if it has ended.
 */
static void
reap(int process)
{
	Process		*mine = &processes[process];
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
		set_state(process, POOL_WAITING);
	}
	else
		set_state(process, POOL_OFF);
}

/* ---- starts ---- */

/*
 * Start it.  Its files are there, and its port is free.
 */
void
dbperf_pool_process_start(int process, const PoolRun *run)
{
	Process			 *mine = &processes[process];
	PoolProcess		 *shared = &dbperf_pool_shared->process[process];
	const char *const argv[] = {"pgbouncer", dbperf_pool_ini_path(process), NULL};
	PoolCommand		  command = {run->program, argv, dbperf_pool_log_path(process), -1};

	Assert(mine->child.pid == 0);
	if (!dbperf_pool_fork(&command, &mine->child))
	{
		snprintf(mine->problem, sizeof(mine->problem), "process %d could not be started: %m",
				 process + 1);
		schedule(process, false);
		return;
	}
	mine->version = run->program_version;
	mine->started = GetCurrentTimestamp();
	mine->deadline = TimestampTzPlusMilliseconds(mine->started, LISTEN_WITHIN);
	mine->stop = POOL_STOP_NOT;
	mine->again = mine->reload = false;

	LWLockAcquire(POOL_STATUS_LOCK, LW_EXCLUSIVE);
	pg_atomic_write_u32(&shared->pid, (uint32) mine->child.pid);
	shared->started = mine->started;
	shared->version = mine->version;
	if (mine->restarts)
		shared->restarts++;
	LWLockRelease(POOL_STATUS_LOCK);
	mine->restarts = false;
	set_state(process, POOL_STARTING);
	dbperf_pool_release(&mine->child);
}

/*
 * A process that has not ended well so often that it is left alone, or that
 * waits, may be started at once.
 */
void
dbperf_pool_process_retry(int process)
{
	Process *mine = &processes[process];

	if (mine->state != POOL_FAILED && mine->state != POOL_WAITING && mine->state != POOL_OFF)
		return;
	mine->failures = mine->early_ends = 0;
	mine->next_start = GetCurrentTimestamp();
	set_state(process, POOL_WAITING);
}

/* It listens on its port. */
static void
now_running(int process)
{
	Process *mine = &processes[process];

	mine->early_ends = 0;
	mine->deadline = 0;
	mine->problem[0] = '\0';
	(void) dbperf_pool_exec_error(&mine->child);
	set_state(process, POOL_RUNNING);
	ereport(LOG, (errmsg("PgBouncer %s (PID %d) of the connection pool listens on port %d",
						 dbperf_pool_version_text(mine->version), (int) mine->child.pid,
						 dbperf_pool_shared->port)));
	if (mine->reload)
		(void) kill(mine->child.pid, SIGHUP);
	mine->reload = false;
}

/*
 * Whether it has opened the socket of its console: where the system does not
 * tell who listens, that has to do.
 */
static bool
has_console(int process, int port)
{
	char path[MAXPGPATH];

	snprintf(path, sizeof(path), "%s/.s.PGSQL.%d", dbperf_pool_socket_directory(process), port);
	return access(path, F_OK) == 0;
}

/*
 * Look who listens.
 */
static void
verify(int process, const PoolRun *run)
{
	Process		 *mine = &processes[process];
	PoolListeners found = dbperf_pool_listeners(mine->child.pid, run->launch.port);
	bool		  listens = found.known ? found.own > 0 : has_console(process, run->launch.port);

	mine->verified = GetCurrentTimestamp();
	if (found.foreign > 0)
	{
		snprintf(mine->problem, sizeof(mine->problem),
				 "another program shares port %d with the pool and gets some of its clients: stop "
				 "that program, or set another dbperf.pool_port",
				 run->launch.port);
		if (mine->state == POOL_STARTING)
			dbperf_pool_process_stop(process, POOL_STOP_KILL, true);
		return;
	}
	if (mine->state == POOL_STARTING)
	{
		if (listens)
			now_running(process);
		return;
	}
	if (!listens)
		snprintf(mine->problem, sizeof(mine->problem),
				 "process %d does not listen on port %d any more", process + 1, run->launch.port);
	else if (found.known && found.own < run->addresses)
		snprintf(mine->problem, sizeof(mine->problem),
				 "process %d listens on %d of %d addresses; its log says why", process + 1,
				 found.own, run->addresses);
	else
		mine->problem[0] = '\0';
}

/* It has not listened in time: it hangs, or has gone on without. */
static void
did_not_listen(int process, int port)
{
	Process *mine = &processes[process];
	char	 line[512];

	dbperf_pool_last_complaint(process, line, sizeof(line));
	snprintf(mine->problem, sizeof(mine->problem),
			 "process %d did not listen on port %d within %d seconds; its log says: \"%s\"",
			 process + 1, port, LISTEN_WITHIN / 1000, line);
	/* so its end is one that nobody asked for, and early */
	(void) kill(mine->child.pid, SIGKILL);
	mine->deadline = 0;
}

/* ---- stops ---- */

/* The signal that makes it end in that way. */
static int
stop_signal(const Process *mine)
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
	Process	   *mine = &processes[process];
	TimestampTz now = GetCurrentTimestamp();

	mine->again = again;
	if (mine->child.pid == 0)
	{
		mine->problem[0] = '\0';
		set_state(process, POOL_OFF);
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
	set_state(process, POOL_STOPPING);
}

/* ---- the round ---- */

/*
 * Look at a process: has it ended, does it listen, does it take too long?
 */
void
dbperf_pool_process_watch(int process, const PoolRun *run)
{
	Process	   *mine = &processes[process];
	TimestampTz now = GetCurrentTimestamp();
	bool		late;

	if (mine->child.pid != 0)
		dbperf_pool_read_log(process);
	reap(process);
	late = mine->deadline != 0 && now >= mine->deadline;
	switch (mine->state)
	{
		case POOL_STARTING:
			verify(process, run);
			if (mine->state == POOL_STARTING && late)
				did_not_listen(process, run->launch.port);
			break;
		case POOL_RUNNING:
			if (TimestampDifferenceExceeds(mine->verified, now, VERIFY_EVERY))
				verify(process, run);
			if (dbperf_pool_refusal(process)[0] != '\0')
				dbperf_pool_problem("PgBouncer has not taken the changed configuration and goes on "
									"with the old one; correct what its log says: \"%s\"",
									dbperf_pool_refusal(process));
			break;
		case POOL_STOPPING:
			if (late)
				dbperf_pool_process_stop(process, mine->stop + 1, mine->again);
			if (mine->stop == POOL_STOP_DRAIN)
				dbperf_pool_note("process %d ends when its clients have left, and is started anew "
								 "then; pool_restart(true) does not wait for them",
								 process + 1);
			break;
		case POOL_FAILED:
			dbperf_pool_problem("process %d is not started again before a setting changes or "
								"pool_restart() is called",
								process + 1);
			break;
		case POOL_OFF:
		case POOL_WAITING:
			break;
	}
	if (mine->problem[0] != '\0')
		dbperf_pool_problem("%s", mine->problem);
}

/*
 * Their files have changed: have them read again.
 */
void
dbperf_pool_reload_processes(void)
{
	for (int i = 0; i < POOL_MAX_PROCESSES; i++)
	{
		Process *mine = &processes[i];

		/* before it listens it may not have a handler for the signal */
		if (mine->state == POOL_RUNNING)
			(void) kill(mine->child.pid, SIGHUP);
		else if (mine->state == POOL_STARTING)
			mine->reload = true;
		else if (mine->state == POOL_FAILED)
			dbperf_pool_process_retry(i);
	}
}

/*
 * The pool is off, or begins: nothing of the time before counts.
 */
void
dbperf_pool_forget_processes(void)
{
	Assert(dbperf_pool_alive() == 0);
	for (int i = 0; i < POOL_MAX_PROCESSES; i++)
	{
		memset(&processes[i], 0, sizeof(Process));
		processes[i].child.go_fd = processes[i].child.error_fd = -1;
		set_state(i, POOL_OFF);
		pg_atomic_write_u32(&dbperf_pool_shared->process[i].pid, 0);
	}
}

/*
 * The pool could not be launched, and will be tried again at that time.
 */
void
dbperf_pool_show_waiting(TimestampTz next_start)
{
	processes[0].next_start = next_start;
	set_state(0, POOL_WAITING);
}

/* Wait until all have ended, or the time is over. */
static void
wait_for_all(int ms)
{
	for (; ms > 0 && dbperf_pool_alive() > 0; ms -= REAP_EVERY)
	{
		for (int i = 0; i < POOL_MAX_PROCESSES; i++)
			reap(i);
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
		if (processes[i].child.pid != 0)
			dbperf_pool_process_stop(i, POOL_STOP_NOW, false);
	}
	wait_for_all(EXIT_WITHIN);
	for (int i = 0; i < POOL_MAX_PROCESSES; i++)
	{
		if (processes[i].child.pid != 0)
			dbperf_pool_process_stop(i, POOL_STOP_KILL, false);
	}
	wait_for_all(KILL_WITHIN);
}
