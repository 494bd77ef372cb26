/*-------------------------------------------------------------------------
 *
 * pool_log.c
 *		What PgBouncer writes to its logs: the last lines, for the view, and
 *		what it complains of.
 *
 * PgBouncer writes to its standard error, which is a file that is only
 * appended to: so it can be cut while it is written.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pool/pool_run.h"

#define LOG_BYTES_MAX (10 * 1024 * 1024)
#define LOOK_AT_BYTES (256 * 1024) /* the last ones, at each look, once a second */

/* What is known of the log of a process. */
typedef struct LogState
{
	off_t size;			/* when it was last read */
	char  refused[512]; /* why it did not take its files the last time, "" = it did */
} LogState;

static LogState logs[POOL_MAX_PROCESSES];

/* A line without the time and the process id in front of it. */
static const char *
without_prefix(const char *line)
{
	const char *text = strstr(line, "] ");

	return text != NULL ? text + 2 : line;
}

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

/* The part of the text that has room in the view, whole lines if possible. */
static const char *
last_part(const char *text)
{
	Size		len = strlen(text);
	const char *part;
	const char *line_end;

	if (len < POOL_LOG_BYTES)
		return text;
	part = text + len - (POOL_LOG_BYTES - 1);
	line_end = strchr(part, '\n');
	return line_end != NULL ? line_end + 1 : part;
}

/*
 * What a line of that level says, NULL if it is none: "time [pid] LEVEL text".
 * Lines quote names that clients have made up, so that only the beginning tells
 * what PgBouncer means.
 */
static const char *
message_of(const char *line, const char *level)
{
	const char *text = strstr(line, "] ");
	size_t		len = strlen(level);

	if (!isdigit((unsigned char) line[0]) || text == NULL || strncmp(text + 2, level, len) != 0 ||
		text[2 + len] != ' ')
		return NULL;
	return text + 2 + len + 1;
}

/* Whether the line is of that level, and begins with these words. */
static bool
says(const char *line, const char *level, const char *words)
{
	const char *message = message_of(line, level);

	return message != NULL && strncmp(message, words, strlen(words)) == 0;
}

/*
 * Find out from the lines, which this takes apart, whether it took its files
 * when it was last told to.
 */
static void
look_for_refusal(LogState *log, char *lines)
{
	char  error[sizeof(log->refused)] = "";
	char *save = NULL;

	for (char *line = strtok_r(lines, "\n", &save); line != NULL;
		 line = strtok_r(NULL, "\n", &save))
	{
		if (says(line, "LOG", "got SIGHUP, re-reading config") ||
			says(line, "LOG", "RELOAD command issued") || says(line, "LOG", "process up:"))
			log->refused[0] = error[0] = '\0';
		else if (says(line, "ERROR", "TLS configuration could not be reloaded"))
			strlcpy(log->refused, error[0] != '\0' ? error : without_prefix(line),
					sizeof(log->refused));
		else if (message_of(line, "ERROR") != NULL)
			strlcpy(error, without_prefix(line), sizeof(error));
		else if (says(line, "WARNING", "config file loading failed"))
			strlcpy(log->refused, error[0] != '\0' ? error : without_prefix(line),
					sizeof(log->refused));
	}
}

/*
 * Take over the last lines of a process's log into shared memory if there are
 * new ones, and cut a log that has become too long.
 */
void
dbperf_pool_read_log(int process)
{
	static char tail[LOOK_AT_BYTES];
	LogState   *log = &logs[process];
	struct stat found;
	int			fd = open(dbperf_pool_log_path(process), O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	if (fstat(fd, &found) == 0 && found.st_size != log->size)
	{
		read_tail(fd, found.st_size, tail, sizeof(tail));
		if (found.st_size > LOG_BYTES_MAX && ftruncate(fd, 0) == 0)
			found.st_size = 0;
		log->size = found.st_size;
		LWLockAcquire(POOL_STATUS_LOCK, LW_EXCLUSIVE);
		/* after a cut the last lines of the time before stay, until there are new ones */
		if (tail[0] != '\0')
			strlcpy(dbperf_pool_shared->process[process].log, last_part(tail), POOL_LOG_BYTES);
		LWLockRelease(POOL_STATUS_LOCK);
		look_for_refusal(log, tail);
	}
	(void) close(fd);
}

/*
 * Why the process did not take its changed files, "" if it did.
 */
const char *
dbperf_pool_refusal(int process)
{
	return logs[process].refused;
}

/* Whether a line of the log says that something is wrong. */
static bool
is_complaint(const char *line)
{
	return message_of(line, "ERROR") != NULL || message_of(line, "FATAL") != NULL ||
		   message_of(line, "WARNING") != NULL;
}

/*
 * What the process complained of last, in its log: two lines, since the last
 * one often says no more than that it gives up; or the last line whatever it
 * is.  "" if the log is empty.
 */
void
dbperf_pool_last_complaint(int process, char *text, Size size)
{
	char		log[POOL_LOG_BYTES];
	const char *one_before = NULL;
	const char *last = NULL;
	char	   *save = NULL;

	LWLockAcquire(POOL_STATUS_LOCK, LW_SHARED);
	strlcpy(log, dbperf_pool_shared->process[process].log, sizeof(log));
	LWLockRelease(POOL_STATUS_LOCK);

	for (char *line = strtok_r(log, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
	{
		if (is_complaint(line))
		{
			one_before = last != NULL && is_complaint(last) ? last : NULL;
			last = line;
		}
		else if (last == NULL || !is_complaint(last))
			last = line;
	}
	snprintf(text, size, "%s%s%s", one_before != NULL ? without_prefix(one_before) : "",
			 one_before != NULL ? "; " : "", last != NULL ? without_prefix(last) : "");
}
