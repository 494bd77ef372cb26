/*-------------------------------------------------------------------------
 *
 * writer.c
 *		The one worker that is connected to dbperf.database.
 *
 * Whatever is kept there for the whole server is written by this worker, so
 * that it costs one process and one connection: modules register tasks.  The
 * worker connects when a task is wanted.  When none is, or dbperf.database is
 * another one now, it ends, and the postmaster starts it anew without a
 * connection: a process cannot leave a database.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/compat.h"
#include "core/core.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#define MAX_TASKS 8

/* Where the worker is, for those who want to wake it. */
typedef struct WriterShared
{
	pg_atomic_uint32 proc;	   /* number of its entry in allProcs, plus 1; 0 = not running */
	pg_atomic_uint32 failures; /* to connect, in a row; only the worker changes it */
} WriterShared;

/* What the worker keeps of a task. */
typedef struct WriterTask
{
	const DbperfWriterTask *task;
	bool					active; /* between start and stop */
	DbperfWorkerPart		part;
} WriterTask;

PGDLLEXPORT void dbperf_writer_main(Datum arg);

static WriterShared *shared = NULL;
static WriterTask	 tasks[MAX_TASKS];
static int			 num_tasks = 0;
static char			 connected_to[NAMEDATALEN] = "";

static Size
writer_size(void)
{
	return sizeof(WriterShared);
}

static void
writer_attach(void *area, bool found)
{
	shared = area;
	if (found)
		return;
	pg_atomic_init_u32(&shared->proc, 0);
	pg_atomic_init_u32(&shared->failures, 0);
}

/*
 * Register the shared memory and the worker.  Called once, from _PG_init,
 * before the modules that have tasks.
 */
void
dbperf_writer_init(void)
{
	static const DbperfShmemArea area = {
		.name = "dbperf writer",
		.size = writer_size,
		.attach = writer_attach,
	};
	static const DbperfWorker worker = {
		.name = "dbperf writer",
		.entry = "dbperf_writer_main",
		.start = BgWorkerStart_RecoveryFinished,
		.database = true,
		.restart = 5,
	};

	dbperf_shmem_register(&area);
	dbperf_worker_register(&worker);
}

/*
 * Add a task; the struct must stay.  Only in the init function of a module;
 * does nothing without preload.
 */
void
dbperf_writer_register(const DbperfWriterTask *task)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	if (num_tasks >= MAX_TASKS)
		elog(ERROR, "too many tasks of the writer");
	tasks[num_tasks++].task = task;
}

/*
 * Wake the writer, connected or not, so that it asks its tasks at once whether
 * they are wanted and have something to do.  Raises no error.
 */
void
dbperf_writer_wake(void)
{
	if (shared != NULL)
		dbperf_worker_wake(pg_atomic_read_u32(&shared->proc));
}

/* Whether any task is wanted. */
static bool
anything_wanted(void)
{
	for (int i = 0; i < num_tasks; i++)
	{
		if (tasks[i].task->wanted())
			return true;
	}
	return false;
}

/* Start or stop a task, as it should be; returns whether it is active. */
static bool
task_is_active(WriterTask *one, bool wanted)
{
	if (wanted != one->active)
	{
		one->active = wanted;
		memset(&one->part, 0, sizeof(one->part));
		if (wanted)
			one->task->start(connected_to);
		else
			one->task->stop();
	}
	return one->active;
}

/* Start what is wanted, and stop all the rest. */
static void
start_and_stop(bool here)
{
	for (int i = 0; i < num_tasks; i++)
		(void) task_is_active(&tasks[i], here && tasks[i].task->wanted());
}

/*
 * End the process if there is nothing to do for it in this database.
 */
static void
writer_check(void)
{
	bool here = strcmp(dbperf_database, connected_to) == 0;

	if (here && anything_wanted())
		return;
	start_and_stop(false);
	proc_exit(1);
}

/*
 * One step: a step of each task.  Returns the shortest of their times.
 */
static long
writer_step(void *arg)
{
	long timeout = -1;

	(void) arg;
	writer_check();
	for (int i = 0; i < num_tasks; i++)
	{
		long next;

		if (!task_is_active(&tasks[i], tasks[i].task->wanted()))
			continue;
		next = dbperf_worker_part(&tasks[i].part, tasks[i].task->step, NULL);
		if (next >= 0 && (timeout < 0 || next < timeout))
			timeout = next;
	}
	return timeout;
}

/* Nobody wakes this process any more, and its tasks hear that it ends. */
static void
writer_exit(int code, Datum arg)
{
	(void) code;
	(void) arg;

	pg_atomic_write_u32(&shared->proc, 0);
	for (int i = 0; i < num_tasks; i++)
	{
		if (tasks[i].active)
			tasks[i].task->leave();
	}
}

/*
 * Entry of the worker.  It connects only when there is something to do.
 */
void
dbperf_writer_main(Datum arg)
{
	(void) arg;

	dbperf_worker_begin();
	pg_atomic_write_u32(&shared->proc, (uint32) DBPERF_MY_PROC_NUMBER + 1);
	before_shmem_exit(writer_exit, (Datum) 0);
	dbperf_worker_wait_after_failures(pg_atomic_read_u32(&shared->failures));
	dbperf_worker_wait(anything_wanted);

	strlcpy(connected_to, dbperf_database, NAMEDATALEN);
	start_and_stop(true);
	pg_atomic_fetch_add_u32(&shared->failures, 1);
	dbperf_worker_connect(connected_to);
	pg_atomic_write_u32(&shared->failures, 0);
	dbperf_worker_loop("writer", writer_step, NULL);
}
