/*-------------------------------------------------------------------------
 *
 * pool_restart.c
 *		Replaces the pool's processes one after another, perhaps with another
 *		program.
 *
 * With several processes, those that are not being replaced take the new
 * clients meanwhile, so that nobody has to notice.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "pool/pool_run.h"

static bool		rolling = false;
static bool		told;	 /* the process has been told to end */
static int		process; /* whose turn it is */
static PoolStop how;
static bool		repeat; /* asked for once more, too late for some of them */

/*
 * Begin with the program as it is now.  One that cannot be used changes
 * nothing.
 */
static void
begin_restart(PoolRun *run)
{
	StringInfoData problem;
	char		   program[MAXPGPATH];
	int			   version;

	initStringInfo(&problem);
	if (!dbperf_pool_find_program(dbperf_pool_program, program, &version, &problem))
	{
		ereport(LOG, (errmsg("the connection pool is not restarted"),
					  errdetail_internal("%s", problem.data)));
		return;
	}
	strlcpy(run->program, program, sizeof(run->program));
	strlcpy(run->program_setting, dbperf_pool_program, sizeof(run->program_setting));
	run->program_version = version;
	rolling = true;
	told = repeat = false;
	process = 0;
}

/*
 * Take a request of pool_restart().
 */
void
dbperf_pool_take_restart(PoolRun *run)
{
	PoolStop request = (PoolStop) pg_atomic_exchange_u32(&dbperf_pool_shared->restart, 0);

	if (request == POOL_STOP_NOT)
		return;
	if (!rolling)
	{
		how = request;
		begin_restart(run);
		return;
	}

	/* it is under way: one that still waits for its clients may be hurried */
	how = Max(how, request);
	if (told && dbperf_pool_process_state(process) == POOL_STOPPING)
		dbperf_pool_process_stop(process, how, true);
	else
		repeat = true;
}

/*
 * Go on with a restart: a process is told to end when the one before it runs
 * again.  Returns whether one is under way.
 */
bool
dbperf_pool_roll(PoolRun *run)
{
	PoolState state;

	if (!rolling)
		return false;
	state = dbperf_pool_process_state(process);
	if (!told)
	{
		if (state == POOL_RUNNING || state == POOL_STARTING)
			dbperf_pool_process_stop(process, how, true);
		else
			dbperf_pool_process_retry(process);
		told = true;
	}
	else if (state == POOL_RUNNING)
	{
		told = false;
		process++;
		rolling = process < run->launch.processes;
		if (!rolling && repeat)
			begin_restart(run);
	}
	else if (state == POOL_FAILED)
		rolling = false; /* the others are left as they are */
	return rolling;
}

/*
 * The pool is switched off, or has just been launched.
 */
void
dbperf_pool_end_restart(void)
{
	rolling = false;
	pg_atomic_write_u32(&dbperf_pool_shared->restart, 0);
}
