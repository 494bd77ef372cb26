/*-------------------------------------------------------------------------
 *
 * maint_state.h
 *		What launcher, workers, writer and sessions share of maintenance.
 *
 * Names are text: each process sees its own database's catalog only.  A text
 * is in the encoding that stands beside it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_MAINT_STATE_H
#define DBPERF_MAINT_STATE_H

#include "maintenance/maintenance_int.h"
#include "port/atomics.h"
#include "storage/lwlock.h"

DBPERF_PRIVATE_BEGIN

/* one more for tables that are close to wraparound, so that nothing starves them */
#define MAINT_SLOTS (MAINT_MAX_WORKERS + 1)
#define MAINT_EMERGENCY_SLOT MAINT_MAX_WORKERS

#define MAINT_OBJECT_SIZE (4 * NAMEDATALEN + 8) /* both parts quoted */
#define MAINT_COMMAND_SIZE 1024
#define MAINT_ERROR_SIZE 256
#define MAINT_REASON_SIZE 512
#define MAINT_REQUESTS 64
#define MAINT_RECORDS 64
#define MAINT_DATABASES 512
#define MAINT_TABLES 16384

/* Of a table (or an index), before and after an action. */
typedef struct MaintFigures
{
	bool  known;
	int64 dead_rows;
	int64 size; /* bytes, of what the action is about */
	int64 age;	/* of relfrozenxid, -1 = it has none */
} MaintFigures;

/* A row of maintenance_log. */
typedef struct MaintRecord
{
	int64		 id;
	TimestampTz	 started;
	TimestampTz	 finished; /* 0 = it runs */
	char		 database[NAMEDATALEN];
	char		 object[MAINT_OBJECT_SIZE];
	MaintAction	 action;
	char		 command[MAINT_COMMAND_SIZE];
	MaintOutcome outcome;
	char		 reason[MAINT_REASON_SIZE];
	char		 error[MAINT_ERROR_SIZE]; /* "" = none */
	MaintFigures before;
	MaintFigures after;
	int64		 pages;	   /* that were looked at, -1 = not known */
	int			 encoding; /* of object, command, reason and error */
} MaintRecord;

typedef enum MaintSlotState
{
	MAINT_SLOT_FREE,
	MAINT_SLOT_STARTING, /* the launcher has asked for a worker */
	MAINT_SLOT_LOOKING,	 /* it plans, or looks for the next thing to do */
	MAINT_SLOT_WORKING	 /* record says at what */
} MaintSlotState;

/* Of a slot's record; the writer moves WANTED to OPEN, and CLOSE to NONE. */
typedef enum MaintLogState
{
	MAINT_LOG_NONE,	  /* there is no row, or it is complete */
	MAINT_LOG_WANTED, /* the worker waits for a row before it begins */
	MAINT_LOG_OPEN,	  /* the row is committed */
	MAINT_LOG_CLOSE	  /* outcome and figures are there: complete the row */
} MaintLogState;

typedef enum MaintCancel
{
	MAINT_CANCEL_NONE,
	MAINT_CANCEL_YIELD,	 /* somebody waits for a lock */
	MAINT_CANCEL_USER,	 /* cancel_maintenance() */
	MAINT_CANCEL_PAUSE,	 /* pause_maintenance() */
	MAINT_CANCEL_OFF,	 /* dbperf.maintenance was turned off */
	MAINT_CANCEL_WINDOW, /* the window has closed */
	MAINT_CANCEL_TIME	 /* the policy's time limit is over */
} MaintCancel;

/*
 * One worker.  Everything but the last two is under MAINT_LOCK.  The launcher
 * takes a slot (FREE to STARTING), its worker fills it and frees it at its
 * exit.  Only a row that is still to be completed then keeps it: pid is 0, and
 * the writer frees the slot.
 */
typedef struct MaintSlot
{
	MaintSlotState state;
	int			   pid; /* 0 = not there yet, or gone */
	Oid			   database;
	char		   database_name[NAMEDATALEN];
	TimestampTz	   reserved;
	bool		   emergency; /* only what is close to wraparound */

	/* while WORKING */
	Oid			  table;  /* claimed: no other worker takes it */
	Oid			  object; /* the table or one of its indexes */
	MaintRecord	  record;
	MaintLogState log;
	bool		  wraparound; /* yields to nobody */
	bool		  requested;  /* by run_maintenance(), whatever the mode is */
	Oid			  role;		  /* that has asked for it, or InvalidOid */
	TimestampTz	  deadline;	  /* DT_NOEND = none */
	TimestampTz	  window_end; /* by dbperf_maint_now(), 0 = no window */
	int			  cost_limit_max;
	MaintCancel	  cancel;
	char		  canceled_by[NAMEDATALEN];
	int			  blocked_pid; /* that the worker yields to, 0 = nobody */

	/* set by the launcher, read by the worker's timer without a lock */
	pg_atomic_uint32 cost_limit;
	pg_atomic_uint32 by_pages; /* 1 = the disk is busy: hold to a number of pages instead */
} MaintSlot;

/*
 * What run_maintenance() has asked for.  It stays in the queue until its row of
 * the log is there, so that it is not lost with a worker that ends before.
 */
typedef struct MaintRequest
{
	int64		id;		/* of its row in the log, 0 = unused */
	int			worker; /* pid of the one that is about to begin, 0 = it waits */
	Oid			database;
	char		database_name[NAMEDATALEN];
	Oid			table;
	char		object[MAINT_OBJECT_SIZE];
	int			encoding; /* of object */
	int			action;	  /* MAINT_NO_ACTION = whatever is most useful */
	Oid			role;
	TimestampTz requested;
	TimestampTz not_before; /* it could not begin */
	int			failures;	/* visits in a row that ended before they could begin it */
} MaintRequest;

/* What the launcher knows of a database. */
typedef struct MaintDatabase
{
	Oid			  oid; /* InvalidOid = unused */
	char		  name[NAMEDATALEN];
	TimestampTz	  last_visit; /* end of the last round of planning, 0 = none */
	TimestampTz	  next_look;  /* the round said: not before; DT_NOEND = when counters move */
	int			  due;		  /* what the last round found due, and not done */
	bool		  waits_for_horizon;
	TransactionId horizon;	   /* at that round */
	uint64		  changes;	   /* rows changed in it, as of that round */
	uint64		  changes_now; /* and as of the launcher's last look */
	uint64		  ddl;		   /* the same of its catalogs */
	uint64		  ddl_now;
	int			  over;			 /* relations that are over a threshold */
	int			  failures;		 /* visits in a row that did not end well */
	TimestampTz	  not_before;	 /* after a failure */
	bool		  wraparound;	 /* its age is over autovacuum_freeze_max_age */
	TimestampTz	  waiting_since; /* first found due and not visited since, 0 = not */
	bool		  enabled;		 /* no policy excludes it */
	int			  workers;		 /* the launcher's count of its slots */
	int			  looking;		 /* those that are not at work */
} MaintDatabase;

/* What one action on one relation has been like. */
typedef struct MaintMemoryKey
{
	Oid			database;
	Oid			relation;
	MaintAction action;
} MaintMemoryKey;

typedef struct MaintMemory
{
	MaintMemoryKey key;			/* hash key, must be first */
	TimestampTz	   last_end;	/* 0 = never */
	int64		   duration_ms; /* of the last one that was done */
	int64		   pages;		/* of the last one that was done */
	MaintOutcome   outcome;		/* of the last one */
	int			   failures;	/* in a row */
	TimestampTz	   not_before;	/* back-off after a failure or a yield */
	TransactionId  horizon;		/* vacuum: the oldest xid that it had to keep */
	int64		   dead_left;	/* vacuum: dead rows that it had to leave */
	int64		   invisible;	/* vacuum: pages that it could not mark visible to all */
	TransactionId  next_xid;	/* vacuum: once the horizon is past this, another one can */
	int			   bypassed;	/* vacuums in a row that left the indexes alone */
	uint32		   tried;		/* analyze: hash of the missing statistics at the last one */
	int64		   changes;		/* analyze of a parent: changes of all leaves at the last one */
} MaintMemory;

/* How the log in dbperf.database does. */
typedef enum MaintLogTable
{
	MAINT_LOG_STARTING, /* the writer is not there yet */
	MAINT_LOG_READY,
	MAINT_LOG_NO_EXTENSION,
	MAINT_LOG_TOO_OLD,
	MAINT_LOG_READ_ONLY,
	MAINT_LOG_ERROR
} MaintLogTable;

/*
 * All under MAINT_LOCK (the tranche's first lock), except the table memory,
 * which is under MAINT_MEMORY_LOCK (the second), and the atomics of slots.  Nobody takes
 * one of them while holding the other.  ProcArrayLock may be taken under
 * MAINT_LOCK.
 */
typedef struct MaintShared
{
	int			  launcher_pid; /* to be woken, 0 = not running */
	int			  writer_pid;	/* the same */
	MaintLogTable log_table;
	int64		  next_id;		/* of a log row; void until ids_known */
	bool		  ids_known;	/* the writer has looked, or cannot */
	bool		  ids_asked;	/* somebody wants one, and they are not known */
	TimestampTz	  paused_until; /* 0 = not paused */
	bool		  suspended;	/* by dbperf.enabled, which is always off in workers */
	bool		  no_slot;		/* the last worker could not be started */
	TimestampTz	  no_slot_since;
	int64		  ended[MAINT_ACTIONS][MAINT_OUTCOMES]; /* actions, since the start */
	MaintSlot	  slots[MAINT_SLOTS];
	MaintRequest  requests[MAINT_REQUESTS];
	MaintRecord	  records[MAINT_RECORDS]; /* complete rows without a slot; id 0 = unused */
	MaintDatabase databases[MAINT_DATABASES];
} MaintShared;

/* maint_state.c */
extern MaintShared	*dbperf_maint;
extern LWLockPadded *dbperf_maint_locks;

#define MAINT_LOCK (&dbperf_maint_locks[0].lock)
#define MAINT_MEMORY_LOCK (&dbperf_maint_locks[1].lock)
#define MAINT_POLICY_LOCK (&dbperf_maint_locks[2].lock) /* maint_policy.c */
#define MAINT_LOCKS 3

extern void			  dbperf_maint_state_init(void);
extern void			  dbperf_maint_wake(int pid);
extern void			  dbperf_maint_wake_launcher(void);
extern void			  dbperf_maint_wake_writer(void);
extern int64		  dbperf_maint_take_id(void);
extern void			  dbperf_maint_add_record(const MaintRecord *record);
extern void			  dbperf_maint_count_end(const MaintRecord *record);
extern bool			  dbperf_maint_cancel_id(int64 id, const char *who);
extern void			  dbperf_maint_cancel(int slot, MaintCancel why, const char *who);
extern MaintDatabase *dbperf_maint_database(Oid oid, bool add);
extern bool			  dbperf_maint_remember(const MaintMemoryKey *key, MaintMemory *memory);
extern void			  dbperf_maint_memorize(const MaintMemory *memory);
extern bool			  dbperf_maint_taken(Oid database, Oid table, int action);
extern bool			  dbperf_maint_claimed(Oid database, Oid table);
extern void			  dbperf_maint_visit_ended(Oid oid, bool well);
extern void			  dbperf_maint_clock_back(TimestampTz now);

/* maint_metrics.c */
extern void dbperf_maint_metrics_init(void);

/* maint_requests.c */
extern bool dbperf_maint_add_request(const MaintRequest *request);
extern bool dbperf_maint_can_begin(const MaintRequest *request, TimestampTz now);
extern bool dbperf_maint_take_request(Oid database, MaintRequest *request);
extern void dbperf_maint_put_back(int64 id, int delay);
extern void dbperf_maint_return_requests(int64 begun);
extern bool dbperf_maint_remove_request(int64 id, MaintRequest *request);
extern bool dbperf_maint_has_request(void);
extern void dbperf_maint_request_record(const MaintRequest *request, MaintRecord *record);
extern void dbperf_maint_refuse(int64 id, const char *error);
extern void dbperf_maint_refuse_all(Oid database, const char *error);

DBPERF_PRIVATE_END

#endif /* DBPERF_MAINT_STATE_H */
