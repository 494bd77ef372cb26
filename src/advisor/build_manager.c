/*-------------------------------------------------------------------------
 *
 * build_manager.c
 *		Keeps the queue of index builds moving.
 *
 * The launcher sends the manager to a database when somebody committed a
 * request there, when a build has ended, and once after every start.  It
 * closes builds whose worker is gone, starts a worker for the next one in the
 * queue, and leaves.  A database has one build at a time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "advisor/advisor_int.h"
#include "advisor/index_build.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "core/core.h"
#include "core/launcher.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/timestamp.h"

#define VISIT_TIME_LIMIT 60	   /* seconds */
#define START_TIME_LIMIT 60000 /* ms that a worker gets to appear */
#define NO_WORKER_RETRY 10000  /* ms until another try without a free worker */
#define MAX_STARTS "3"		   /* workers that may end before a build begins */
#define MAX_CLEANUPS "5"	   /* tries to drop what is left of a build */

PGDLLEXPORT void dbperf_build_manager_main(Datum arg);

BuildShared	 *dbperf_builds = NULL;
LWLockPadded *dbperf_build_locks = NULL;
int			  dbperf_build_duty = -1;

/* What a visit finds. */
typedef struct Visit
{
	bool	  more;		/* something waits */
	int64	  retry_ms; /* until something in the queue may be tried, -1 = nothing */
	bool	  start;	/* a worker is to be started for ... */
	BuildSlot next;		/* ... this */
} Visit;

static Size
build_size(void)
{
	return sizeof(BuildShared);
}

static void
build_attach(void *area, bool found)
{
	dbperf_builds = area;
	if (!found)
		memset(dbperf_builds, 0, sizeof(BuildShared));
}

/* Never on schedule. */
static int
visit_interval(void)
{
	return 0;
}

static bool
visit_wanted(const char *database)
{
	(void) database;
	return false;
}

static int
visit_time_limit(void)
{
	return VISIT_TIME_LIMIT;
}

/*
 * Register the shared memory and the duty.  Called once, from the advisor's
 * init function.
 */
void
dbperf_index_build_init(void)
{
	static const DbperfShmemArea area = {
		.name = "dbperf index builds",
		.size = build_size,
		.attach = build_attach,
		.tranche = "DbperfIndexBuilds",
		.num_locks = 1,
		.locks = &dbperf_build_locks,
	};
	static const DbperfDuty duty = {
		.name = "dbperf build manager",
		.entry = "dbperf_build_manager_main",
		.interval = visit_interval,
		.wanted = visit_wanted,
		.time_limit = visit_time_limit,
		.at_start = true,
	};

	dbperf_shmem_register(&area);
	dbperf_build_duty = dbperf_duty_register(&duty);
}

/*
 * The id of the advice that is being built in this database, or -1.  Frees the
 * slots of workers that never appeared.
 */
static int64
running_build(void)
{
	TimestampTz now = GetCurrentTimestamp();
	int64		id = -1;

	LWLockAcquire(BUILD_LOCK, LW_EXCLUSIVE);
	for (int i = 0; i < BUILD_SLOTS; i++)
	{
		BuildSlot *slot = &dbperf_builds->slots[i];

		if (!OidIsValid(slot->database))
			continue;
		if (slot->pid == 0 && TimestampDifferenceExceeds(slot->reserved, now, START_TIME_LIMIT))
			slot->database = InvalidOid;
		else if (slot->database == MyDatabaseId)
			id = slot->id;
	}
	LWLockRelease(BUILD_LOCK);
	return id;
}

/*
 * Close what was interrupted: the worker of a build that has begun is gone.
 * $1 is the build that runs.
 */
static void
close_interrupted(int64 running)
{
	static const char *const statements[] = {
		/* begun, or never got a worker */
		"UPDATE dbperf.index_advice AS a SET status = 'failed', status_since = now(),"
		" last_error = CASE WHEN q.started_at IS NULL"
		"   THEN 'no worker could begin the build; the server log says why'"
		"   ELSE 'the build was interrupted: its worker or the server ended' END "
		"FROM dbperf.index_build_queue AS q "
		"WHERE q.id = a.id AND a.status = 'building' AND NOT q.cleanup AND q.id <> $1"
		"  AND (q.started_at IS NOT NULL OR q.attempts >= " MAX_STARTS ")",
		/* from a dump, or the queue was emptied by hand */
		"UPDATE dbperf.index_advice AS a SET status = 'failed', status_since = now(),"
		" last_error = 'the build was interrupted: its request is gone' "
		"WHERE a.status = 'building' AND a.id <> $1"
		"  AND NOT EXISTS (SELECT FROM dbperf.index_build_queue AS q WHERE q.id = a.id)",
		/* builds: only what may be left of them stays */
		"DELETE FROM dbperf.index_build_queue "
		"WHERE NOT cleanup AND id <> $1 AND index_name IS NULL"
		"  AND (started_at IS NOT NULL OR attempts >= " MAX_STARTS ")",
		"UPDATE dbperf.index_build_queue SET cleanup = true, started_at = NULL, attempts = 0 "
		"WHERE NOT cleanup AND id <> $1"
		"  AND (started_at IS NOT NULL OR attempts >= " MAX_STARTS ")",
		/* drops: tried again, but not for ever */
		"UPDATE dbperf.index_advice AS a SET last_error = concat_ws('; ', a.last_error,"
		"   format('the INVALID index %I.%I could not be dropped', q.schema_name, q.index_name)) "
		"FROM dbperf.index_build_queue AS q "
		"WHERE q.id = a.id AND q.cleanup AND q.id <> $1 AND q.attempts >= " MAX_CLEANUPS,
		"DELETE FROM dbperf.index_build_queue "
		"WHERE cleanup AND id <> $1 AND attempts >= " MAX_CLEANUPS,
		"UPDATE dbperf.index_build_queue SET started_at = NULL "
		"WHERE cleanup AND id <> $1 AND started_at IS NOT NULL",
	};
	StoreArgs args = {0};

	dbperf_store_arg(&args, INT8OID, Int64GetDatum(running));
	for (int i = 0; i < lengthof(statements); i++)
		(void) dbperf_store_execute(statements[i], &args);
}

/* Copies the row of the queue that SPI has read. */
static void
read_next(BuildSlot *next)
{
	bool  isnull;
	Oid	  session_role;
	char *table;

	memset(next, 0, sizeof(*next));
	next->database = MyDatabaseId;
	strlcpy(next->database_name, get_database_name(MyDatabaseId), NAMEDATALEN);
	next->id = DatumGetInt64(dbperf_store_value(0, 1, &isnull));
	next->cleanup = DatumGetBool(dbperf_store_value(0, 2, &isnull));
	next->role = DatumGetObjectId(dbperf_store_value(0, 3, &isnull));
	session_role = DatumGetObjectId(dbperf_store_value(0, 4, &isnull));
	next->requested = DatumGetTimestampTz(dbperf_store_value(0, 5, &isnull));
	table = dbperf_store_string(0, 6);
	strlcpy(next->table, table != NULL ? table : "", sizeof(next->table));
	next->index_bytes = DatumGetInt64(dbperf_store_value(0, 7, &isnull));
	next->connect = dbperf_build_role_can_login(next->role) ? next->role : session_role;
	next->state = next->cleanup ? BUILD_CLEANING : BUILD_STARTING;
}

/*
 * A transaction's task: close what was interrupted and choose what is next.
 */
static void
manage(void *arg)
{
	static const char *const choose =
		"SELECT q.id, q.cleanup, q.role_id, q.session_role_id, q.requested_at,"
		"       format('%I.%I', a.schema_name, a.table_name), coalesce(a.index_size, -1) "
		"FROM dbperf.index_build_queue AS q LEFT JOIN dbperf.index_advice AS a ON a.id = q.id "
		"WHERE q.not_before IS NULL OR q.not_before <= now() "
		"ORDER BY q.requested_at, q.id LIMIT 1";
	/* a worker that ends before it begins must not be followed by the next at once */
	static const char *const count =
		"UPDATE dbperf.index_build_queue SET attempts = attempts + 1,"
		" not_before = now() + (attempts + 1) * CASE WHEN cleanup THEN interval '1 minute'"
		"  ELSE interval '5 seconds' END WHERE id = $1";
	/* greatest() would make a time of the null that an empty queue gives */
	static const char *const waiting =
		"SELECT greatest(ceil(extract(epoch FROM min(not_before) - now()) * 1000), 0)::int8"
		" FROM dbperf.index_build_queue HAVING count(*) > 0";
	Visit		*visit = arg;
	StoreSession session;
	StoreArgs	 args = {0};
	int64		 running;
	bool		 isnull;

	if (XactReadOnly || !dbperf_store_present())
		return;

	running = running_build();
	dbperf_store_open(&session);
	close_interrupted(running);
	if (running < 0 && dbperf_store_execute(choose, NULL) > 0)
	{
		read_next(&visit->next);
		visit->start = true;
		dbperf_store_arg(&args, INT8OID, Int64GetDatum(visit->next.id));
		(void) dbperf_store_execute(count, &args);
	}
	if (running < 0 && !visit->start && dbperf_store_execute(waiting, NULL) > 0)
		visit->retry_ms = DatumGetInt64(dbperf_store_value(0, 1, &isnull));
	dbperf_store_close(&session);
}

/* Takes a free slot for the build; returns its number, or -1. */
static int
reserve_slot(BuildSlot *next)
{
	int number = -1;

	next->reserved = GetCurrentTimestamp();
	LWLockAcquire(BUILD_LOCK, LW_EXCLUSIVE);
	for (int i = 0; i < BUILD_SLOTS && number < 0; i++)
	{
		if (OidIsValid(dbperf_builds->slots[i].database))
			continue;
		dbperf_builds->slots[i] = *next;
		number = i;
	}
	LWLockRelease(BUILD_LOCK);
	return number;
}

/* Starts the worker; returns false if there is no room for one. */
static bool
start_worker(BuildSlot *next)
{
	static const DbperfWorker worker = {
		.name = "dbperf index build",
		.entry = "dbperf_index_build_main",
		.start = BgWorkerStart_RecoveryFinished,
		.database = true,
		.restart = BGW_NEVER_RESTART,
	};
	int number = reserve_slot(next);

	if (number < 0)
		return false;

	if (dbperf_worker_start(&worker, Int32GetDatum(number), &next->reserved, sizeof(next->reserved),
							NULL))
		return true;

	LWLockAcquire(BUILD_LOCK, LW_EXCLUSIVE);
	dbperf_builds->slots[number].database = InvalidOid;
	LWLockRelease(BUILD_LOCK);
	return false;
}

/* A transaction's task: no worker was to be had, which is nobody's fault. */
static void
uncount(void *arg)
{
	int64		*id = arg;
	StoreSession session;
	StoreArgs	 args = {0};

	dbperf_store_open(&session);
	dbperf_store_arg(&args, INT8OID, Int64GetDatum(*id));
	(void) dbperf_store_execute("UPDATE dbperf.index_build_queue SET attempts = attempts - 1,"
								" not_before = NULL WHERE id = $1",
								&args);
	dbperf_store_close(&session);
}

/*
 * Entry of the manager.
 */
void
dbperf_build_manager_main(Datum arg)
{
	Visit visit = {.retry_ms = -1};

	(void) arg;
	dbperf_duty_begin(dbperf_build_duty);

	if (!dbperf_worker_transaction("looking for indexes to build", manage, &visit))
		proc_exit(0);
	if (visit.start && !start_worker(&visit.next))
	{
		(void) dbperf_worker_transaction("looking for indexes to build", uncount, &visit.next.id);
		dbperf_duty_done(NO_WORKER_RETRY);
	}
	/* the end of a build brings the next visit */
	dbperf_duty_done(visit.start ? -1 : (long) visit.retry_ms);
}
