/*-------------------------------------------------------------------------
 *
 * child.c
 *		The first steps of a child process of a worker.
 *
 * After fork() it is a copy of a server process whose locks, memory and exit
 * callbacks are not its own: these functions only make system calls.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>
#include <sys/resource.h>
#ifdef HAVE_SYS_PRCTL_H
#include <sys/prctl.h>
#endif
#include <sys/syscall.h>
#include <unistd.h>

#include "core/child.h"

#define MAX_CLOSE 1048576 /* descriptors to close where there is no close_range() */

/*
 * Close all descriptors from this one on.
 */
void
dbperf_child_close_from(int first)
{
	struct rlimit limit;
	int			  last = MAX_CLOSE;

#ifdef SYS_close_range
	if (syscall(SYS_close_range, first, ~0U, 0) == 0)
		return;
#endif
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < MAX_CLOSE)
		last = (int) limit.rlim_cur;
	for (int fd = first; fd < last; fd++)
		(void) close(fd);
}

/*
 * End together with the worker.  Returns false if it has ended already.
 */
bool
dbperf_child_die_with(pid_t worker)
{
#ifdef PR_SET_PDEATHSIG
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		return false;
	return getppid() == worker;
#else
	errno = ENOSYS;
	return false;
#endif
}

/*
 * All signals as a new program expects them; called while they are blocked.
 */
void
dbperf_child_reset_signals(void)
{
	struct sigaction action;
	sigset_t		 none;

	memset(&action, 0, sizeof(action));
	action.sa_handler = SIG_DFL;
	for (int signo = 1; signo < NSIG; signo++)
		(void) sigaction(signo, &action, NULL);
	sigemptyset(&none);
	(void) sigprocmask(SIG_SETMASK, &none, NULL);
}
