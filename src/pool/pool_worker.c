/*-------------------------------------------------------------------------
 *
 * pool_worker.c
 *		The worker that owns the pool's processes.
 *
 * It starts, watches, reloads and stops them, and tells an administrator in
 * words what keeps the pool from being as it was told.  It is there only while
 * dbperf.pool is on, or processes are left.
 *
 * What a pool is launched with it keeps: addresses, port, number of processes
 * and program.  Everything else follows the settings.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "miscadmin.h"
#include "pool/pool_run.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/pidfile.h"
#include "utils/timestamp.h"

#define ROUND 1000		 /* ms between two looks at everything */
#define SHORT_ROUND 100	 /* ms while something starts or stops */
#define LAUNCH_AGAIN 250 /* ms after a launch that failed, twice that after another */
#define LAUNCH_AGAIN_MAX 10000

#define FILES_PROBLEM "the pool's files could not be written: %s"

PGDLLEXPORT void dbperf_pool_worker_main(Datum arg);

static PoolRun	run;
static bool		active = false;	 /* run is valid, and processes may be there */
static bool		leaving = false; /* all processes are to end */
static bool		smart = false;	 /* the server waits for its clients to leave */
static PoolMode default_mode;	 /* what POOL_MODE_DEFAULT means to this run */

static TimestampTz settings_of;			 /* when the configuration was last read */
static TimestampTz next_launch = 0;		 /* after one that failed */
static long		   launch_wait = 0;		 /* before that one, in ms */
static char		   launch_problem[2048]; /* why it failed */
static bool		   files_due = false;	 /* they may have to be written */
static bool		   files_written;		 /* the last time that went well */
static TimestampTz next_poll = 0;
static bool		   rolling = false; /* the processes are being replaced */

static int demand; /* the worker's number */

static DbperfWorkerPart files_part, poll_part;

/* ---- the launch ---- */

/* The mode that applies, as the settings are now. */
static PoolMode
current_mode(void)
{
	return dbperf_pool_mode == POOL_MODE_DEFAULT ? default_mode : (PoolMode) dbperf_pool_mode;
}

/*
 * Write the files if need be, and have the processes read them.  After an error
 * nobody knows which were written, and the next time finds them as they should
 * be: they are read then in any case.
 */
static long
files_step(void *arg)
{
	static bool failed = false;
	TimestampTz now = GetCurrentTimestamp();

	(void) arg;
	files_written = false;
	if (dbperf_pool_roles_changed() || files_due || now >= dbperf_pool_next_expiry())
	{
		bool failed_before = failed;

		files_due = failed = true;
		if (dbperf_pool_write_files(&run.launch) || failed_before)
			dbperf_pool_reload_processes();
		files_due = failed = false;
	}
	files_written = true;
	return ROUND;
}

/*
 * Write the files if need be.  Returns whether they are as they should be.
 */
static bool
keep_files(void)
{
	files_written = false;
	(void) dbperf_worker_part(&files_part, files_step, NULL);
	if (!files_written)
		dbperf_pool_problem(FILES_PROBLEM, files_part.error);
	return files_written;
}

/*
 * Decide what the pool is launched with.  Returns false with problems.
 */
static bool
prepare(StringInfo problem)
{
	StringInfoData listen;

	initStringInfo(&listen);
	memset(&run, 0, sizeof(run));
	if (!dbperf_pool_parse_listen(dbperf_pool_listen_addresses, &listen, problem) ||
		!dbperf_pool_find_program(dbperf_pool_program, run.program, &run.program_version, problem))
		return false;
	if (listen.len >= sizeof(run.listen))
	{
		appendStringInfo(problem, "dbperf.pool_listen_addresses is too long");
		return false;
	}
	strlcpy(run.listen, listen.data, sizeof(run.listen));
	strlcpy(run.program_setting, dbperf_pool_program, sizeof(run.program_setting));
	run.launch.listen = run.listen;
	run.launch.version = run.program_version;
	run.launch.processes = dbperf_pool_processes;
	run.launch.port = dbperf_pool_port;
	default_mode =
		run.program_version >= POOL_VERSION_PREPARED ? POOL_MODE_TRANSACTION : POOL_MODE_SESSION;
	run.launch.mode = current_mode();
	return dbperf_pool_probe_port(run.listen, run.launch.port, &run.addresses, problem);
}

/* Put what the pool was launched with into shared memory; clear it if it is off. */
static void
show_launch(void)
{
	PoolShared *shared = dbperf_pool_shared;

	LWLockAcquire(POOL_STATUS_LOCK, LW_EXCLUSIVE);
	shared->version = active ? run.launch.version : 0;
	shared->processes = active ? run.launch.processes : 0;
	shared->port = active ? run.launch.port : 0;
	shared->mode = active ? run.launch.mode : POOL_MODE_DEFAULT;
	strlcpy(shared->listen, active ? run.listen : "", sizeof(shared->listen));
	strlcpy(shared->program, active ? run.program : "", sizeof(shared->program));
	if (!active)
		shared->config_error[0] = '\0';
	LWLockRelease(POOL_STATUS_LOCK);
}

/* Remember what kept the pool from being launched, until it is tried again. */
static void
launch_failed(const char *problem)
{
	strlcpy(launch_problem, problem, sizeof(launch_problem));
	launch_wait = launch_wait == 0 ? LAUNCH_AGAIN : Min(launch_wait * 2, LAUNCH_AGAIN_MAX);
	next_launch = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), launch_wait);
	dbperf_pool_show_waiting(next_launch);
}

/* Tell the lines of a text one by one. */
static void
tell_lines(const char *text)
{
	char *copy = pstrdup(text);
	char *save = NULL;

	for (char *line = strtok_r(copy, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
		dbperf_pool_problem("%s", line);
}

/*
 * Launch the pool.
 */
static void
launch(void)
{
	StringInfoData problem;

	if (GetCurrentTimestamp() < next_launch)
	{
		tell_lines(launch_problem);
		return;
	}
	initStringInfo(&problem);
	if (!prepare(&problem))
	{
		launch_failed(problem.data);
		tell_lines(launch_problem);
		return;
	}
	active = true;
	show_launch();
	files_due = true;
	if (!keep_files())
	{
		active = false;
		show_launch();
		launch_failed(psprintf(FILES_PROBLEM, files_part.error));
		return;
	}
	launch_wait = 0;
	next_launch = next_poll = 0;
	dbperf_pool_end_restart();
	dbperf_pool_forget_processes();
	for (int i = 0; i < run.launch.processes; i++)
		dbperf_pool_process_start(i, &run);
}

/*
 * All processes are to end.  When they have, the pool is off.
 */
static void
leave(void)
{
	for (int i = 0; i < run.launch.processes; i++)
	{
		dbperf_pool_process_stop(i, smart ? POOL_STOP_PATIENT : POOL_STOP_SAFE, false);
		dbperf_pool_process_watch(i, &run);
	}
	if (dbperf_pool_alive() > 0)
		return;
	active = leaving = false;
	dbperf_pool_forget_processes();
	dbperf_pool_remove_files();
	show_launch();
}

/* ---- while it runs ---- */

/* Say what runs otherwise than the settings have it by now. */
static void
compare_settings(void)
{
	StringInfoData listen, ignored;

	initStringInfo(&listen);
	initStringInfo(&ignored);
	if (!dbperf_pool_parse_listen(dbperf_pool_listen_addresses, &listen, &ignored) ||
		strcmp(listen.data, run.listen) != 0 || dbperf_pool_port != run.launch.port ||
		dbperf_pool_processes != run.launch.processes)
		dbperf_pool_problem("the pool runs with other addresses, another port or another number of "
							"processes than set: switch dbperf.pool off and on");
	if (strcmp(run.program_setting, dbperf_pool_program) != 0)
		dbperf_pool_problem("the pool runs another program than dbperf.pool_program names: call "
							"pool_restart(), or switch dbperf.pool off and on");
	if (dbperf_pool_mode == POOL_MODE_DEFAULT && default_mode == POOL_MODE_SESSION)
		dbperf_pool_note("the pool is in session mode because PgBouncer %s cannot keep prepared "
						 "statements in transaction mode (1.21 can); dbperf.pool_mode = "
						 "transaction is right for clients that do without",
						 dbperf_pool_version_text(run.program_version));
	if (run.launch.processes > 1 && run.launch.version < POOL_VERSION_PEERING)
		dbperf_pool_note("a cancel request that comes to another process than its client's is "
						 "lost with PgBouncer %s (not with 1.19)",
						 dbperf_pool_version_text(run.launch.version));
}

/*
 * Files are written for the oldest of the processes, since newer ones know what
 * it knows.
 */
static void
set_version(int version)
{
	if (run.launch.version == version)
		return;
	run.launch.version = version;
	files_due = true;
	show_launch();
}

/*
 * Start a process that has ended.  Its program may have become another one, and
 * if it was the only process somebody else may have taken the port.
 */
static void
start_again(int process)
{
	StringInfoData problem;
	char		   program[MAXPGPATH];

	initStringInfo(&problem);
	if (!dbperf_pool_find_program(run.program, program, &run.program_version, &problem) ||
		(dbperf_pool_alive() == 0 &&
		 !dbperf_pool_probe_port(run.listen, run.launch.port, &run.addresses, &problem)))
	{
		dbperf_pool_process_failed(process, problem.data);
		return;
	}
	set_version(dbperf_pool_oldest_version(run.program_version));
	if (keep_files())
		dbperf_pool_process_start(process, &run);
	else
		dbperf_pool_process_failed(process, "");
}

/* Ask the processes how they are. */
static long
poll_step(void *arg)
{
	(void) arg;
	dbperf_pool_poll();
	return ROUND;
}

/*
 * A round while the pool is on.
 */
static void
look_after(void)
{
	dbperf_pool_take_restart(&run);
	for (int i = 0; i < run.launch.processes; i++)
		dbperf_pool_process_watch(i, &run);
	rolling = dbperf_pool_roll(&run);
	for (int i = 0; i < run.launch.processes; i++)
	{
		if (dbperf_pool_process_due(i))
			start_again(i);
	}
	if (dbperf_pool_alive() > 0)
		set_version(dbperf_pool_oldest_version(INT_MAX));
	(void) keep_files();
	compare_settings();

	if (GetCurrentTimestamp() >= next_poll)
	{
		next_poll = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ROUND);
		(void) dbperf_worker_part(&poll_part, poll_step, NULL);
	}
}

/* ---- the worker ---- */

/*
 * Whether the server is stopping: then a smart shutdown waits for clients, and
 * the pool's connections look to it like clients.
 */
static bool
server_is_stopping(void)
{
	char  file[1024];
	char *line = file;
	int	  fd = open("postmaster.pid", O_RDONLY | O_CLOEXEC);
	int	  len;

	if (fd < 0)
		return false;
	len = (int) read(fd, file, sizeof(file) - 1);
	(void) close(fd);
	file[Max(len, 0)] = '\0';
	for (int i = 1; i < LOCK_FILE_LINE_PM_STATUS && line != NULL; i++)
	{
		line = strchr(line, '\n');
		if (line != NULL)
			line++;
	}
	return line != NULL && strncmp(line, PM_STATUS_STOPPING, strlen(PM_STATUS_STOPPING)) == 0;
}

/* Take over changed settings: what failed is tried again at once. */
static void
look_at_settings(void)
{
	if (settings_of == PgReloadTime)
		return;
	settings_of = PgReloadTime;
	next_launch = 0;
	launch_wait = 0;
	files_due = true;
	if (!active)
		return;
	run.launch.mode = current_mode();
	show_launch();
	for (int i = 0; i < run.launch.processes; i++)
	{
		if (dbperf_pool_process_state(i) == POOL_FAILED)
			dbperf_pool_process_retry(i);
	}
}

/* How long to sleep until the next round. */
static long
time_to_sleep(void)
{
	if (!active && (smart || !dbperf_pool))
		return -1;
	if (!active)
		return Min(ROUND,
				   Max(TimestampDifferenceMilliseconds(GetCurrentTimestamp(), next_launch), 1));
	if (dbperf_pool_evicts() && !leaving)
		return SHORT_ROUND;
	for (int i = 0; i < run.launch.processes; i++)
	{
		PoolState state = dbperf_pool_process_state(i);

		if (state == POOL_STARTING || (state == POOL_STOPPING && !smart) ||
			(state == POOL_WAITING && rolling))
			return SHORT_ROUND;
	}
	return ROUND;
}

/*
 * One round.
 */
static long
pool_step(void *arg)
{
	(void) arg;
	dbperf_pool_report_begin();
	look_at_settings();
	if ((active || dbperf_pool) && !smart)
		smart = server_is_stopping();
	if (active && (smart || !dbperf_pool))
		leaving = true;

	if (leaving)
		leave();
	else if (active)
		look_after();
	else if (dbperf_pool && !smart)
		launch();
	else
	{
		/* what a crash or a launch that failed has left, secrets for one thing */
		dbperf_pool_forget_processes();
		dbperf_pool_remove_files();
	}
	dbperf_pool_report_end();
	if (!active && !dbperf_pool)
		dbperf_on_demand_leave(demand);
	return time_to_sleep();
}

/* Wakes the worker when a process has ended. */
static void
child_ended(SIGNAL_ARGS)
{
	int save_errno = errno;

	SetLatch(MyLatch);
	errno = save_errno;
}

/* The worker ends, and nothing of the pool stays behind. */
static void
worker_exit(int code, Datum arg)
{
	uint32 own = (uint32) DBPERF_MY_PROC_NUMBER + 1;

	(void) code;
	(void) arg;

	/* after one that left because the pool is off, the next may be there already */
	(void) pg_atomic_compare_exchange_u32(&dbperf_pool_shared->worker, &own, 0);
	if (!active)
		return;
	dbperf_pool_end_all();
	dbperf_pool_remove_files();
	active = false;
	show_launch();
}

/*
 * Entry of the worker.
 */
void
dbperf_pool_worker_main(Datum arg)
{
	(void) arg;
	pqsignal(SIGCHLD, child_ended);
	dbperf_worker_begin();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);

	dbperf_pool_forget_processes();
	before_shmem_exit(worker_exit, (Datum) 0);
	pg_atomic_write_u32(&dbperf_pool_shared->worker, (uint32) DBPERF_MY_PROC_NUMBER + 1);
	settings_of = PgReloadTime;
	dbperf_worker_loop("pool", pool_step, NULL);
}

/* Whether the settings want the worker. */
static bool
pool_is_wanted(void)
{
	return dbperf_pool;
}

/*
 * Registers the worker.  Called once, from the module's init function.
 */
void
dbperf_pool_worker_init(void)
{
	static const DbperfWorker worker = {
		.name = "dbperf pool",
		.entry = "dbperf_pool_worker_main",
		.start = BgWorkerStart_ConsistentState,
		.database = true,
		.restart = 1,
	};

	demand = dbperf_on_demand_register(&worker, pool_is_wanted,
									   /* files that a pool had no time to remove */
									   access(dbperf_pool_directory(), F_OK) == 0);
}
