/*-------------------------------------------------------------------------
 *
 * pool_report.c
 *		What the pool's worker has to tell an administrator, in words.
 *
 * Each round of the worker collects it anew, so that nothing stays that is not
 * true any more.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "pool/pool_run.h"
#include "utils/timestamp.h"

#define LOG_AFTER 2000 /* ms that a problem has to last to be logged */

static char		   problems[sizeof(((PoolShared *) NULL)->problem)];
static char		   notes[sizeof(((PoolShared *) NULL)->note)];
static TimestampTz since = 0; /* when the problems became what they are */
static bool		   logged = false;

static void
add_line(char *lines, Size size, const char *format, va_list args) pg_attribute_printf(3, 0);

/* Add a line unless it is there. */
static void
add_line(char *lines, Size size, const char *format, va_list args)
{
	char line[1024];
	Size len = strlen(lines);

	vsnprintf(line, sizeof(line), format, args);
	if (strstr(lines, line) == NULL)
		snprintf(lines + len, size - len, "%s%s", len > 0 ? "\n" : "", line);
}

/*
 * Adds a line to what an administrator should do, kept until the next round.
 * Only in the pool's worker.
 */
void
dbperf_pool_problem(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add_line(problems, sizeof(problems), format, args);
	va_end(args);
}

/*
 * Adds a line to what is worth knowing, kept until the next round.
 */
void
dbperf_pool_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add_line(notes, sizeof(notes), format, args);
	va_end(args);
}

/*
 * A round begins.
 */
void
dbperf_pool_report_begin(void)
{
	problems[0] = notes[0] = '\0';
}

/*
 * A round has ended: put what it found where the view finds it, and problems
 * that last into the server log.
 */
void
dbperf_pool_report_end(void)
{
	TimestampTz now = GetCurrentTimestamp();

	LWLockAcquire(POOL_STATUS_LOCK, LW_EXCLUSIVE);
	if (strcmp(dbperf_pool_shared->problem, problems) != 0)
	{
		since = now;
		logged = false;
	}
	strlcpy(dbperf_pool_shared->problem, problems, sizeof(problems));
	strlcpy(dbperf_pool_shared->note, notes, sizeof(notes));
	LWLockRelease(POOL_STATUS_LOCK);

	if (problems[0] == '\0' || logged || !TimestampDifferenceExceeds(since, now, LOG_AFTER))
		return;
	ereport(LOG, (errmsg("the connection pool does not run as it is set"),
				  errdetail_internal("%s", problems)));
	logged = true;
}
