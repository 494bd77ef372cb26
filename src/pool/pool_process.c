/*-------------------------------------------------------------------------
 *
 * pool_process.c
 *		The life of each PgBouncer: started, seen to listen, watched, stopped.
 *
 * The worker calls dbperf_pool_process_watch() for each of them again and
 * again; nothing here waits.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>
#include <unistd.h>

#include "miscadmin.h"
#include "pool/pool_process.h"
#include "storage/latch.h"
#include "utils/timestamp.h"

#define LISTEN_WITHIN 10000 /* ms from the start */
#define VERIFY_EVERY 10000	/* ms between two looks at who listens */

PoolLife dbperf_pool_lives[POOL_MAX_PROCESSES];

/* ---- small things ---- */

PoolState
dbperf_pool_process_state(int process)
{
	return dbperf_pool_lives[process].state;
}

/* Whether a process that waits is to be started now. */
bool
dbperf_pool_process_due(int process)
{
	return dbperf_pool_lives[process].state == POOL_WAITING &&
		   GetCurrentTimestamp() >= dbperf_pool_lives[process].next_start;
}

/* How many processes there are. */
int
dbperf_pool_alive(void)
{
	int alive = 0;

	for (int i = 0; i < POOL_MAX_PROCESSES; i++)
		alive += dbperf_pool_lives[i].child.pid != 0;
	return alive;
}

/* The oldest version of those that run, and this one. */
int
dbperf_pool_oldest_version(int version)
{
	for (int i = 0; i < POOL_MAX_PROCESSES; i++)
	{
		if (dbperf_pool_lives[i].child.pid != 0)
			version = Min(version, dbperf_pool_lives[i].version);
	}
	return version;
}

/* Sets its state, here and in shared memory. */
void
dbperf_pool_set_state(int process, PoolState state)
{
	PoolLife *mine = &dbperf_pool_lives[process];

	mine->state = state;
	LWLockAcquire(POOL_STATUS_LOCK, LW_EXCLUSIVE);
	dbperf_pool_shared->process[process].state = state;
	dbperf_pool_shared->process[process].next_start = state == POOL_WAITING ? mine->next_start : 0;
	LWLockRelease(POOL_STATUS_LOCK);
}

/* ---- starts ---- */

/*
 * Start it.  Its files are there, and its port is free.
 */
void
dbperf_pool_process_start(int process, const PoolRun *run)
{
	PoolLife		 *mine = &dbperf_pool_lives[process];
	PoolProcess		 *shared = &dbperf_pool_shared->process[process];
	const char *const argv[] = {"pgbouncer", dbperf_pool_ini_path(process), NULL};
	PoolCommand		  command = {run->program, argv, dbperf_pool_log_path(process), -1};

	Assert(mine->child.pid == 0);
	if (!dbperf_pool_fork(&command, &mine->child))
	{
		snprintf(mine->problem, sizeof(mine->problem), "process %d could not be started: %m",
				 process + 1);
		dbperf_pool_process_schedule(process, false);
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
	dbperf_pool_set_state(process, POOL_STARTING);
	dbperf_pool_release(&mine->child);
}

/*
 * A process that has not ended well so often that it is left alone, or that
 * waits, may be started at once.
 */
void
dbperf_pool_process_retry(int process)
{
	PoolLife *mine = &dbperf_pool_lives[process];

	if (mine->state != POOL_FAILED && mine->state != POOL_WAITING && mine->state != POOL_OFF)
		return;
	mine->failures = mine->early_ends = 0;
	mine->next_start = GetCurrentTimestamp();
	dbperf_pool_set_state(process, POOL_WAITING);
}

/* It listens on its port. */
static void
now_running(int process)
{
	PoolLife *mine = &dbperf_pool_lives[process];

	mine->early_ends = 0;
	mine->deadline = 0;
	mine->problem[0] = '\0';
	(void) dbperf_pool_exec_error(&mine->child);
	dbperf_pool_set_state(process, POOL_RUNNING);
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
	PoolLife	 *mine = &dbperf_pool_lives[process];
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
	PoolLife *mine = &dbperf_pool_lives[process];
	char	  line[512];

	dbperf_pool_last_complaint(process, line, sizeof(line));
	snprintf(mine->problem, sizeof(mine->problem),
			 "process %d did not listen on port %d within %d seconds; its log says: \"%s\"",
			 process + 1, port, LISTEN_WITHIN / 1000, line);
	/* so its end is one that nobody asked for, and early */
	(void) kill(mine->child.pid, SIGKILL);
	mine->deadline = 0;
}

/* ---- the round ---- */

/*
 * Look at a process: has it ended, does it listen, does it take too long?
 */
void
dbperf_pool_process_watch(int process, const PoolRun *run)
{
	PoolLife   *mine = &dbperf_pool_lives[process];
	TimestampTz now = GetCurrentTimestamp();
	bool		late;

	if (mine->child.pid != 0)
		dbperf_pool_read_log(process);
	dbperf_pool_reap(process);
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
		PoolLife *mine = &dbperf_pool_lives[i];

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
		memset(&dbperf_pool_lives[i], 0, sizeof(PoolLife));
		dbperf_pool_lives[i].child.go_fd = dbperf_pool_lives[i].child.error_fd = -1;
		dbperf_pool_set_state(i, POOL_OFF);
		pg_atomic_write_u32(&dbperf_pool_shared->process[i].pid, 0);
	}
}

/*
 * The pool could not be launched, and will be tried again at that time.
 */
void
dbperf_pool_show_waiting(TimestampTz next_start)
{
	dbperf_pool_lives[0].next_start = next_start;
	dbperf_pool_set_state(0, POOL_WAITING);
}
