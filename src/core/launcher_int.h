/*-------------------------------------------------------------------------
 *
 * launcher_int.h
 *		What the launcher and the workers that it sends share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_LAUNCHER_INT_H
#define DBPERF_LAUNCHER_INT_H

#include "core/launcher.h"
#include "storage/lwlock.h"

DBPERF_PRIVATE_BEGIN

#define MAX_DUTIES 8
#define MAX_DATABASES 512

/* One duty in one database. */
typedef struct DutyState
{
	TimestampTz last;		/* end of the last visit, 0 = none */
	TimestampTz planned;	/* what the last visit planned, DT_NOEND = nothing */
	TimestampTz asked;		/* when somebody wants a visit, DT_NOEND = nobody */
	TimestampTz not_before; /* after a failure */
	int			failures;	/* in a row */
	int			idle;		/* visits in a row that found nothing to work on */
	int			pid;		/* of the worker that is there, 0 = none */
	bool		sent;		/* the launcher has started one */
	bool		done;		/* it has done its work */
} DutyState;

typedef struct DutyDatabase
{
	Oid		  oid; /* InvalidOid = unused */
	char	  name[NAMEDATALEN];
	bool	  known; /* found in pg_database, so that name is right */
	DutyState duties[MAX_DUTIES];
} DutyDatabase;

/*
 * All fields are read and written under the area's only lock.  ProcArrayLock
 * may be taken while it is held, and nothing else.
 */
typedef struct LauncherState
{
	int			 pid;	  /* of the launcher, 0 = not running */
	bool		 unknown; /* some database is not "known" yet */
	DutyDatabase databases[MAX_DATABASES];
} LauncherState;

/* What the launcher tells a worker, in bgw_extra. */
typedef struct DutyErrand
{
	Oid	 database;
	char name[NAMEDATALEN];
} DutyErrand;

/* launcher.c */
extern LauncherState	*dbperf_launcher;
extern LWLockPadded		*dbperf_launcher_locks;
extern const DbperfDuty *dbperf_duties[MAX_DUTIES];
extern int				 dbperf_num_duties;

#define LAUNCHER_LOCK (&dbperf_launcher_locks->lock)

/* duty.c */
extern DutyDatabase *dbperf_duty_database(Oid oid, bool add);
extern TimestampTz	 dbperf_duty_due(int duty, const DutyDatabase *database);
extern void			 dbperf_duty_awake(Oid database);

/* extension_made.c */
extern void dbperf_extension_made_init(void);

DBPERF_PRIVATE_END

#endif /* DBPERF_LAUNCHER_INT_H */
