/*-------------------------------------------------------------------------
 *
 * launcher.h
 *		Work that has to be done in every database, one after another.
 *
 * A module describes a duty.  The launcher sends a worker to each database
 * when the duty is due there; the worker does what is to be done and leaves at
 * once, since a connected worker is in the way of DROP DATABASE.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_LAUNCHER_H
#define DBPERF_LAUNCHER_H

#include "core/compat.h"
#include "datatype/timestamp.h"

DBPERF_PRIVATE_BEGIN

typedef struct DbperfDuty
{
	const char *name;  /* of its workers, in pg_stat_activity and the log */
	const char *entry; /* exported function, begins with dbperf_duty_begin() */

	/* seconds from one visit to the next, 0 = on request only */
	int (*interval)(void);

	/* whether a database is visited on schedule; requests are always met */
	bool (*wanted)(const char *database);

	int (*time_limit)(void); /* seconds that a visit may take */
	bool at_start;			 /* also visit every database after a start */
} DbperfDuty;

/* What is known of a duty in one database. */
typedef struct DbperfDutyStatus
{
	TimestampTz last_visit; /* its end, 0 = none since the server's start */
	TimestampTz next_visit; /* DT_NOEND = on request */
	bool		running;
	int			failures; /* visits in a row that did not end well */
} DbperfDutyStatus;

/*
 * Work that the launcher's own process does beside sending workers on duties.
 * The step returns the milliseconds until it wants to run again, or -1 if only
 * the latch shall wake it; it runs whenever the launcher wakes up.
 */
typedef struct DbperfLauncherPart
{
	const char *name;
	void (*begin)(void); /* once, when the launcher has started; may be NULL */
	long (*step)(void *arg);
	void (*end)(void); /* the launcher ends: no error may be raised; may be NULL */
} DbperfLauncherPart;

/* launcher.c */
extern void dbperf_launcher_init(void);
extern int	dbperf_duty_register(const DbperfDuty *duty);
extern void dbperf_launcher_part_register(const DbperfLauncherPart *part);

/* duty.c */
extern void					dbperf_duty_request(int duty, Oid database, int delay_ms);
extern bool					dbperf_duty_status(int duty, Oid database, DbperfDutyStatus *status);
extern void					dbperf_duty_begin(int duty);
DBPERF_NORETURN extern void dbperf_duty_done(long next_ms);
DBPERF_NORETURN extern void dbperf_duty_done_idle(void);

DBPERF_PRIVATE_END

#endif /* DBPERF_LAUNCHER_H */
