/*-------------------------------------------------------------------------
 *
 * pool_program.c
 *		Finds PgBouncer, and asks it for its version.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "miscadmin.h"
#include "pool/pool_run.h"
#include "storage/latch.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#define ANSWER_WITHIN 5000 /* ms */
#define ANSWER_BYTES 512
#define REAP_EVERY 10 /* ms */

/* Where packages and people put it. */
static const char *const places[] = {"/usr/sbin/pgbouncer", "/usr/bin/pgbouncer",
									 "/usr/local/sbin/pgbouncer", "/usr/local/bin/pgbouncer"};

/*
 * A version as PgBouncer spells it.  In static memory.
 */
const char *
dbperf_pool_version_text(int version)
{
	static char text[32];

	snprintf(text, sizeof(text), "%d.%d.%d", version / 10000, version / 100 % 100, version % 100);
	return text;
}

/* The version in what the program says, 0 if there is none. */
static int
parse_version(const char *answer)
{
	const char *name = strstr(answer, "PgBouncer ");
	int			major, minor, patch;

	if (name == NULL || sscanf(name, "PgBouncer %d.%d.%d", &major, &minor, &patch) != 3 ||
		major < 0 || minor < 0 || minor > 99 || patch < 0 || patch > 99)
		return 0;
	return major * 10000 + minor * 100 + patch;
}

/*
 * Wait until something can be read, or the time is over.  Returns false then.
 */
static bool
wait_readable(int fd, TimestampTz end)
{
	for (;;)
	{
		long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);
		int	 events;

		if (left <= 0)
			return false;
		events = WaitLatchOrSocket(
			MyLatch, WL_LATCH_SET | WL_SOCKET_READABLE | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, fd, left,
			PG_WAIT_EXTENSION);
		if (events & WL_LATCH_SET)
			ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (events & WL_SOCKET_READABLE)
			return true;
	}
}

/*
 * Read what the child writes, until it closes its output.  Returns false if it
 * has not done so in time.
 */
static bool
read_answer(int fd, char *answer, Size size)
{
	TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ANSWER_WITHIN);
	Size		len = 0;

	answer[0] = '\0';
	while (len < size - 1)
	{
		ssize_t got;

		if (!wait_readable(fd, end))
			return false;
		got = read(fd, answer + len, size - 1 - len);
		if (got <= 0)
			return true;
		len += got;
		answer[len] = '\0';
	}
	return true;
}

/* End the child, which has had its time, and collect it. */
static void
put_away(PoolChild *child, int *status)
{
	TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ANSWER_WITHIN);

	*status = 0;
	while (waitpid(child->pid, status, WNOHANG) == 0)
	{
		/* it has closed its output and exits, or is stuck */
		if (GetCurrentTimestamp() >= end)
		{
			(void) kill(child->pid, SIGKILL);
			(void) waitpid(child->pid, status, 0);
			break;
		}
		pg_usleep(REAP_EVERY * 1000L);
	}
}

/*
 * Execute "program --version".  Returns false, with a problem, if it cannot be
 * executed or does not end.
 */
static bool
ask_program(const char *path, char *answer, Size size, StringInfo problem)
{
	const char *const argv[] = {"pgbouncer", "--version", NULL};
	PoolCommand		  command = {path, argv, NULL, -1};
	PoolChild		  child = {0, -1, -1};
	volatile bool	  answered = false;
	int				  out[2];
	int				  status;
	int				  error;

	if (pipe2(out, O_CLOEXEC) != 0)
	{
		appendStringInfo(problem, "could not create a pipe: %m");
		return false;
	}
	command.out = out[1];
	if (!dbperf_pool_fork(&command, &child))
	{
		appendStringInfo(problem, "could not start a process: %m");
		(void) close(out[0]);
		(void) close(out[1]);
		return false;
	}
	(void) close(out[1]);
	dbperf_pool_release(&child);

	PG_TRY();
	{
		answered = read_answer(out[0], answer, size);
	}
	PG_FINALLY();
	{
		(void) close(out[0]);
		if (!answered)
			(void) kill(child.pid, SIGKILL);
		put_away(&child, &status);
		error = dbperf_pool_exec_error(&child);
		dbperf_pool_forget(&child);
	}
	PG_END_TRY();

	if (error != 0)
	{
		errno = error;
		appendStringInfo(problem, "could not execute \"%s\": %m", path);
		return false;
	}
	if (!answered)
		appendStringInfo(problem, "\"%s --version\" did not end within %d seconds", path,
						 ANSWER_WITHIN / 1000);
	return answered;
}

/*
 * Choose the path of the program: the setting, or a file that is there.
 */
static bool
choose_path(const char *setting, char *path, StringInfo problem)
{
	struct stat found;

	if (setting[0] != '\0')
	{
		strlcpy(path, setting, MAXPGPATH);
		if (!is_absolute_path(path))
			appendStringInfo(problem, "dbperf.pool_program has to be an absolute path: \"%s\"",
							 path);
		else if (stat(path, &found) != 0)
			appendStringInfo(problem,
							 "dbperf.pool_program does not name a program: \"%s\": %m; install "
							 "PgBouncer there or correct the setting",
							 path);
		else if (!S_ISREG(found.st_mode) || access(path, X_OK) != 0)
			appendStringInfo(problem,
							 "dbperf.pool_program does not name a program that the server may "
							 "execute: \"%s\"",
							 path);
		return problem->len == 0;
	}

	for (int i = 0; i < (int) lengthof(places); i++)
	{
		if (stat(places[i], &found) == 0 && S_ISREG(found.st_mode) && access(places[i], X_OK) == 0)
		{
			strlcpy(path, places[i], MAXPGPATH);
			return true;
		}
	}
	appendStringInfo(problem, "PgBouncer is not installed: install the package pgbouncer, or set "
							  "dbperf.pool_program to its path");
	return false;
}

/*
 * The path (of MAXPGPATH bytes) and version of the program to execute: the one
 * that the setting names, or "" for a usual place.  Returns false, with a
 * problem, if there is none that can be used.  Takes some seconds at most.
 */
bool
dbperf_pool_find_program(const char *setting, char *path, int *version, StringInfo problem)
{
	char answer[ANSWER_BYTES];

	if (!choose_path(setting, path, problem) || !ask_program(path, answer, sizeof(answer), problem))
		return false;

	*version = parse_version(answer);
	if (*version == 0)
		appendStringInfo(problem,
						 "\"%s\" does not seem to be PgBouncer: its option --version does not say "
						 "so",
						 path);
	else if (*version < POOL_VERSION_MIN)
		appendStringInfo(problem,
						 "\"%s\" is PgBouncer %s, which is too old: 1.18 or later is needed", path,
						 dbperf_pool_version_text(*version));
	return problem->len == 0;
}
