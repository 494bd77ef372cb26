/*-------------------------------------------------------------------------
 *
 * pool_log.c
 *		What PgBouncer writes to its logs: the last lines, for the view.
 *
 * PgBouncer writes to its standard error, which is a file that is only
 * appended to: so it can be cut while it is written.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pool/pool_run.h"

#define LOG_BYTES_MAX (10 * 1024 * 1024)

/* The size of each log when it was last read. */
static off_t read_to[POOL_MAX_PROCESSES];

/*
 * Read the last bytes of the file, whole lines only.
 */
static void
read_tail(int fd, off_t size, char *tail, Size tail_size)
{
	off_t	start = Max(size - (off_t) (tail_size - 1), 0);
	ssize_t len = pread(fd, tail, tail_size - 1, start);
	char   *line_end;

	tail[Max(len, 0)] = '\0';
	if (start > 0 && (line_end = strchr(tail, '\n')) != NULL && line_end[1] != '\0')
		memmove(tail, line_end + 1, strlen(line_end + 1) + 1);
	len = strlen(tail);
	while (len > 0 && tail[len - 1] == '\n')
		tail[--len] = '\0';
}

/*
 * Take over the last lines of a process's log into shared memory if there are
 * new ones, and cut a log that has become too long.
 */
void
dbperf_pool_read_log(int process)
{
	char		tail[POOL_LOG_BYTES];
	struct stat found;
	int			fd = open(dbperf_pool_log_path(process), O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	if (fstat(fd, &found) == 0 && found.st_size != read_to[process])
	{
		read_tail(fd, found.st_size, tail, sizeof(tail));
		if (found.st_size > LOG_BYTES_MAX && ftruncate(fd, 0) == 0)
			found.st_size = 0;
		read_to[process] = found.st_size;
		LWLockAcquire(POOL_STATUS_LOCK, LW_EXCLUSIVE);
		/* after a cut the last lines of the time before stay, until there are new ones */
		if (tail[0] != '\0')
			strlcpy(dbperf_pool_shared->process[process].log, tail, POOL_LOG_BYTES);
		LWLockRelease(POOL_STATUS_LOCK);
	}
	(void) close(fd);
}

/* Whether a line of the log says that something is wrong. */
static bool
is_complaint(const char *line)
{
	return strstr(line, " ERROR ") != NULL || strstr(line, " FATAL ") != NULL ||
		   strstr(line, " WARNING ") != NULL || strstr(line, "error while loading") != NULL;
}

/*
 * The last line in which the process's log says that something is wrong,
 * without the time and process id in front of it, or the last line at all.
 * Returns false if there is none.
 */
bool
dbperf_pool_last_complaint(int process, char *line, Size size)
{
	char  log[POOL_LOG_BYTES];
	char *save = NULL;
	bool  found = false;

	LWLockAcquire(POOL_STATUS_LOCK, LW_SHARED);
	strlcpy(log, dbperf_pool_shared->process[process].log, sizeof(log));
	LWLockRelease(POOL_STATUS_LOCK);

	line[0] = '\0';
	for (char *one = strtok_r(log, "\n", &save); one != NULL; one = strtok_r(NULL, "\n", &save))
	{
		char *text = strchr(one, ']');

		if (found && !is_complaint(one))
			continue;
		found = is_complaint(one);
		strlcpy(line, text != NULL ? text + 1 + strspn(text + 1, " ") : one, size);
	}
	return line[0] != '\0';
}
