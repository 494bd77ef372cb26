/*-------------------------------------------------------------------------
 *
 * pool_fork.c
 *		Makes a child process that executes another program.
 *
 * The child has nothing of the server but its data directory as the working
 * directory: no signal handlers or masks, no descriptors, no environment, not
 * its process group, which the server signals as a whole.  The kernel kills it
 * when the worker ends, however that comes about.  It waits until it is told to
 * go on, so that its process id can be made known first.
 *
 * Between fork() and execve() it is a copy of a server process whose locks,
 * memory and exit callbacks are not its own: there, only system calls are made.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/child.h"
#include "miscadmin.h"
#include "pool/pool_run.h"

#define EXIT_NOT_EXECUTED 127

/* What the child works with, prepared while it was still the worker. */
typedef struct ChildSide
{
	const PoolCommand *command;
	pid_t			   worker;
	int				   go;
	int				   error;
	int				   null;
	int				   log;
} ChildSide;

static const char *const environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
										  "/sbin:/bin",
										  "LC_ALL=C", "TZ=UTC", NULL};

/* ---- in the child ---- */

/* As many descriptors as the system allows: each client takes one. */
static void
raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void) setrlimit(RLIMIT_NOFILE, &limit);
}

/*
 * Everything from fork() on.  Does not return.
 */
static void
child_main(const ChildSide *side)
{
	char byte;
	int	 error;

	if (!dbperf_child_die_with(side->worker) || setpgid(0, 0) != 0)
		goto failed;
	if (read(side->go, &byte, 1) != 1)
		_exit(EXIT_NOT_EXECUTED);

	if (dup2(side->null, STDIN_FILENO) < 0 ||
		dup2(side->command->out >= 0 ? side->command->out : side->null, STDOUT_FILENO) < 0 ||
		dup2(side->log >= 0 ? side->log : side->null, STDERR_FILENO) < 0)
		goto failed;
	error = STDERR_FILENO + 1;
	if (side->error != error && dup2(side->error, error) < 0)
		goto failed;
	if (fcntl(error, F_SETFD, FD_CLOEXEC) < 0)
		goto failed;
	dbperf_child_close_from(error + 1);
	raise_limits();
	dbperf_child_reset_signals();
	(void) execve(side->command->path, (char *const *) side->command->argv,
				  (char *const *) environment);
	(void) !write(error, &errno, sizeof(errno));
	_exit(EXIT_NOT_EXECUTED);

failed:
	(void) !write(side->error, &errno, sizeof(errno));
	_exit(EXIT_NOT_EXECUTED);
}

/* ---- in the worker ---- */

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		(void) close(*fd);
	*fd = -1;
}

/* Open what the child needs.  Returns false, with errno, if that fails. */
static bool
open_all(const PoolCommand *command, ChildSide *side, int go[2], int error[2])
{
	if (pipe2(go, O_CLOEXEC) != 0 || pipe2(error, O_CLOEXEC | O_NONBLOCK) != 0)
		return false;
	side->go = go[0];
	side->error = error[1];
	side->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (side->null < 0)
		return false;
	if (command->log != NULL)
	{
		side->log =
			open(command->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, S_IRUSR | S_IWUSR);
		if (side->log < 0)
			return false;
	}
	return true;
}

/*
 * Makes a child that waits for dbperf_pool_release().  Returns false, with
 * errno, if there is none.
 */
bool
dbperf_pool_fork(const PoolCommand *command, PoolChild *child)
{
	ChildSide side = {command, MyProcPid, -1, -1, -1, -1};
	int		  go[2] = {-1, -1};
	int		  error[2] = {-1, -1};
	pid_t	  pid = -1;
	int		  save_errno;

	if (open_all(command, &side, go, error))
	{
		sigset_t all, old;

		sigfillset(&all);
		(void) sigprocmask(SIG_SETMASK, &all, &old);
		pid = fork();
		if (pid == 0)
		{
			(void) close(go[1]);
			child_main(&side);
		}
		save_errno = errno;
		(void) sigprocmask(SIG_SETMASK, &old, NULL);
	}
	else
		save_errno = errno;

	close_fd(&side.null);
	close_fd(&side.log);
	close_fd(&go[0]);
	close_fd(&error[1]);
	if (pid < 0)
	{
		close_fd(&go[1]);
		close_fd(&error[0]);
		errno = save_errno;
		return false;
	}
	child->pid = pid;
	child->go_fd = go[1];
	child->error_fd = error[0];
	return true;
}

/*
 * Lets the child execute its program.
 */
void
dbperf_pool_release(PoolChild *child)
{
	/* should it not be there any more, it is reaped like any other */
	(void) !write(child->go_fd, "", 1);
	close_fd(&child->go_fd);
}

/*
 * Why a child that has ended could not execute its program, as an errno; 0 if
 * it could.
 */
int
dbperf_pool_exec_error(PoolChild *child)
{
	int error = 0;

	if (child->error_fd >= 0 && read(child->error_fd, &error, sizeof(error)) != sizeof(error))
		error = 0;
	close_fd(&child->error_fd);
	return error;
}

/*
 * The child has been reaped.
 */
void
dbperf_pool_forget(PoolChild *child)
{
	close_fd(&child->go_fd);
	close_fd(&child->error_fd);
	child->pid = 0;
}
