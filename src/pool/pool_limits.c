/*-------------------------------------------------------------------------
 *
 * pool_limits.c
 *		Limits of the connection pool for single databases and roles.
 *
 * They are in tables of dbperf.database, and the pool's worker is in no
 * database.  So it sends a short-lived reader there, which leaves what it found
 * in shared memory: at the pool's start, after a reload of the configuration,
 * when a transaction that has changed the tables has committed, and once a
 * minute, for what nobody tells of: changes on a standby's primary, a prepared
 * transaction, or that the extension was dropped.
 *
 * What cannot be read leaves the limits as they were.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "pool/pool_config.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#define READ_AGAIN_AFTER 60000 /* ms */
#define FIRST_TIME_LIMIT 3000  /* ms that the pool's start waits for its limits */

/*
 * changes is counted up without a lock; all else is under POOL_LIMITS_LOCK.
 */
typedef struct LimitsShared
{
	pg_atomic_uint32 changes;				 /* of the tables, committed ones */
	uint32			 reading;				 /* number of the one that the copy is from */
	char			 socket_base[MAXPGPATH]; /* "" = the pool's own directory */
	char			 problem[1024];			 /* rows left out, no extension; "" = nothing */
	PoolLimits		 copy;
} LimitsShared;

PGDLLEXPORT void dbperf_pool_reader_main(Datum arg);

static LimitsShared *shared = NULL;

/* This session's transaction has changed the tables. */
static bool touched = false;

/* The pool's worker's: */
static BackgroundWorkerHandle *reader = NULL; /* that runs */
static uint32				   started = 0;	  /* readings */
static uint32				   used = 0;	  /* the reading that is in the files */
static uint32				   changes_seen = 0;
static TimestampTz			   started_at = 0;
static TimestampTz			   reload_seen = 0;
static char					   failure[256] = ""; /* of the last reading */
static bool					   failure_changed = false;

static Size
limits_size(void)
{
	return sizeof(LimitsShared);
}

static void
limits_attach(void *area, bool found)
{
	shared = area;
	if (found)
		return;
	memset(shared, 0, sizeof(LimitsShared));
	pg_atomic_init_u32(&shared->changes, 0);
}

/*
 * Registers the shared memory.  Called once, while the library is preloaded.
 */
void
dbperf_pool_limits_init(void)
{
	static const DbperfShmemArea area = {
		.name = "dbperf pool limits",
		.size = limits_size,
		.attach = limits_attach,
	};

	dbperf_shmem_register(&area);
}

/* ---- where the sockets are ---- */

/*
 * Tells all processes in which directory the directories of sockets are.
 */
void
dbperf_pool_set_socket_base(const char *base)
{
	LWLockAcquire(POOL_LIMITS_LOCK, LW_EXCLUSIVE);
	strlcpy(shared->socket_base, base, sizeof(shared->socket_base));
	LWLockRelease(POOL_LIMITS_LOCK);
}

/*
 * That directory, palloc'd; "" = the pool's own.
 */
char *
dbperf_pool_socket_base(void)
{
	char *base = palloc(MAXPGPATH);

	LWLockAcquire(POOL_LIMITS_LOCK, LW_SHARED);
	strlcpy(base, shared->socket_base, MAXPGPATH);
	LWLockRelease(POOL_LIMITS_LOCK);
	return base;
}

/* ---- hearing of changes ---- */

/*
 * The end of a transaction that has changed the tables.  Here an error would
 * stop the server: there is none in counting and waking.
 */
static void
touched_callback(XactEvent event, void *arg)
{
	if (!touched)
		return;
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			touched = false;
			pg_atomic_fetch_add_u32(&shared->changes, 1);
			dbperf_pool_wake();
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE: /* found by the next reading, when it has committed */
			touched = false;
			break;
		default:
			break;
	}
}

/*
 * The current transaction changes the tables of dbperf.database: they are to be
 * read once it has committed.
 */
void
dbperf_pool_limits_touched(void)
{
	static bool registered = false;

	if (shared == NULL)
		return;
	if (!registered)
		RegisterXactCallback(touched_callback, NULL);
	registered = true;
	touched = true;
}

/* ---- the reader ---- */

/* What the reader fills. */
typedef struct Reading
{
	PoolLimits	  *limits;
	StringInfoData problem;
} Reading;

/* Reads the rows of one of the tables. */
static void
read_rows(Reading *reading, const char *name, bool of_role, PoolLimit *limits, int *num)
{
	Oid			oid = dbperf_own_table(name);
	Relation	table;
	SysScanDesc scan;
	HeapTuple	row;

	if (!OidIsValid(oid))
	{
		resetStringInfo(&reading->problem);
		appendStringInfo(&reading->problem,
						 "no limits of single databases and roles: database \"%s\" has no "
						 "extension dbperf, or an old one",
						 dbperf_database);
		return;
	}
	table = table_open(oid, AccessShareLock);
	scan = systable_beginscan(table, InvalidOid, false, GetActiveSnapshot(), 0, NULL);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		DbperfRowProblem problem;

		if (*num >= POOL_MAX_LIMITS)
		{
			dbperf_pool_complain(&reading->problem, "%s has more than %d rows", name,
								 POOL_MAX_LIMITS);
			break;
		}
		if (dbperf_pool_parse_limit(row, RelationGetDescr(table), of_role, &limits[*num], &problem))
			(*num)++;
		else
			dbperf_pool_complain(&reading->problem, "%s: a row is left out: %s", name,
								 problem.message);
	}
	systable_endscan(scan);
	table_close(table, AccessShareLock);
}

static int
compare_limits(const void *a, const void *b)
{
	return strcmp(((const PoolLimit *) a)->name, ((const PoolLimit *) b)->name);
}

/*
 * A transaction's task.  The rows are sorted, so that the same ones always make
 * the same file.
 */
static void
read_tables(void *arg)
{
	Reading	   *reading = arg;
	PoolLimits *limits = reading->limits;

	read_rows(reading, POOL_DATABASES_TABLE, false, limits->databases, &limits->num_databases);
	read_rows(reading, POOL_ROLES_TABLE, true, limits->roles, &limits->num_roles);
	qsort(limits->databases, limits->num_databases, sizeof(PoolLimit), compare_limits);
	qsort(limits->roles, limits->num_roles, sizeof(PoolLimit), compare_limits);
}

/*
 * Entry of the reader; its argument is the number of the reading.
 */
void
dbperf_pool_reader_main(Datum arg)
{
	Reading reading;

	dbperf_worker_begin();
	dbperf_worker_connect(dbperf_database);
	reading.limits = MemoryContextAllocZero(TopMemoryContext, sizeof(PoolLimits));
	MemoryContextSwitchTo(TopMemoryContext);
	initStringInfo(&reading.problem);
	if (!dbperf_worker_transaction("reading the limits of the pool", read_tables, &reading))
		proc_exit(1);

	LWLockAcquire(POOL_LIMITS_LOCK, LW_EXCLUSIVE);
	memcpy(&shared->copy, reading.limits, sizeof(PoolLimits));
	strlcpy(shared->problem, reading.problem.data, sizeof(shared->problem));
	shared->reading = DatumGetUInt32(arg);
	LWLockRelease(POOL_LIMITS_LOCK);
	dbperf_pool_wake();
	proc_exit(0);
}

/* ---- the pool's worker ---- */

/* Notes why the last reading did not succeed, "" = it did. */
static void
set_failure(const char *text)
{
	if (strcmp(failure, text) == 0)
		return;
	strlcpy(failure, text, sizeof(failure));
	failure_changed = true;
}

/* Whether there is a database of that name that can be connected to. */
static bool
database_exists(const char *name)
{
	List	 *databases;
	ListCell *cell;

	if (!dbperf_list_databases(&databases))
		return false;
	foreach (cell, databases)
	{
		if (strcmp(((DbperfDatabase *) lfirst(cell))->name, name) == 0)
			return true;
	}
	return false;
}

/* Has the postmaster start a reader; on a standby as well. */
static bool
start_reader(void)
{
	static const DbperfWorker worker = {
		.name = "dbperf pool reader",
		.entry = "dbperf_pool_reader_main",
		.start = BgWorkerStart_ConsistentState,
		.database = true,
		.restart = BGW_NEVER_RESTART,
	};

	return dbperf_worker_start(&worker, UInt32GetDatum(++started), NULL, 0, &reader);
}

/* Begins a reading. */
static void
begin_reading(void)
{
	changes_seen = pg_atomic_read_u32(&shared->changes);
	reload_seen = PgReloadTime;
	started_at = GetCurrentTimestamp();
	if (!database_exists(dbperf_database))
		set_failure(psprintf("no limits of single databases and roles: dbperf.database \"%s\" does "
							 "not exist or accepts no connections",
							 dbperf_database));
	else if (!start_reader())
		set_failure("limits of single databases and roles could not be read: all background "
					"workers are in use, raise max_worker_processes");
}

/* The number of the reading that the copy is from. */
static uint32
copied_reading(void)
{
	uint32 reading;

	LWLockAcquire(POOL_LIMITS_LOCK, LW_SHARED);
	reading = shared->reading;
	LWLockRelease(POOL_LIMITS_LOCK);
	return reading;
}

/* Whether the reader runs, or will; notes how it ended if it does not. */
static bool
reader_runs(void)
{
	pid_t pid;

	if (reader == NULL)
		return false;
	if (GetBackgroundWorkerPid(reader, &pid) != BGWH_STOPPED)
		return true;
	pfree(reader);
	reader = NULL;
	set_failure(copied_reading() == started ? ""
											: "limits of single databases and roles could not be "
											  "read, see the server log");
	return false;
}

/* Whether the tables have to be read. */
static bool
reading_due(void)
{
	return started_at == 0 || reload_seen != PgReloadTime ||
		   changes_seen != pg_atomic_read_u32(&shared->changes) ||
		   TimestampDifferenceExceeds(started_at, GetCurrentTimestamp(), READ_AGAIN_AFTER);
}

/*
 * Reads the limits if they may have changed.  Returns whether they are not those
 * of the last dbperf_pool_limits().  In the pool's worker, outside a
 * transaction, whenever it wakes up.
 */
bool
dbperf_pool_limits_changed(void)
{
	if (!reader_runs() && reading_due())
		begin_reading();
	return failure_changed || copied_reading() != used;
}

/*
 * The first time the pool would start without its limits, and get them a moment
 * later: wait for them, but not for long.
 */
static void
wait_for_first(void)
{
	TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), FIRST_TIME_LIMIT);

	begin_reading();
	while (reader_runs())
	{
		long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);

		if (left <= 0)
			break;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, left,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	SetLatch(MyLatch);
}

/*
 * The limits, palloc'd; says what is wrong with them.  In the pool's worker,
 * outside a transaction.
 */
PoolLimits *
dbperf_pool_limits(StringInfo errors)
{
	PoolLimits *limits = palloc(sizeof(PoolLimits));
	char	   *problem = palloc(sizeof(shared->problem));

	if (started_at == 0)
		wait_for_first();
	LWLockAcquire(POOL_LIMITS_LOCK, LW_SHARED);
	memcpy(limits, &shared->copy, sizeof(PoolLimits));
	strlcpy(problem, shared->problem, sizeof(shared->problem));
	used = shared->reading;
	LWLockRelease(POOL_LIMITS_LOCK);
	failure_changed = false;
	if (problem[0] != '\0')
		dbperf_pool_complain(errors, "%s", problem);
	if (failure[0] != '\0')
		dbperf_pool_complain(errors, "%s", failure);
	return limits;
}

/*
 * The mode of a client's pool: that of the role, else that of the database, else
 * the one that the pool was started with.  In any process.
 */
PoolMode
dbperf_pool_mode_for(const char *database, const char *role)
{
	const PoolLimit *limit;
	PoolMode		 mode = POOL_MODE_DEFAULT;

	LWLockAcquire(POOL_LIMITS_LOCK, LW_SHARED);
	limit = dbperf_pool_limit_of(shared->copy.roles, shared->copy.num_roles, role);
	if (limit == NULL || limit->mode == POOL_MODE_DEFAULT)
		limit = dbperf_pool_limit_of(shared->copy.databases, shared->copy.num_databases, database);
	if (limit != NULL)
		mode = (PoolMode) limit->mode;
	LWLockRelease(POOL_LIMITS_LOCK);
	if (mode != POOL_MODE_DEFAULT)
		return mode;
	LWLockAcquire(POOL_STATUS_LOCK, LW_SHARED);
	mode = dbperf_pool_shared->mode;
	LWLockRelease(POOL_STATUS_LOCK);
	return mode;
}

/*
 * What decides the size of a pool: the setting, or a row of pool_databases, or
 * one of pool_roles, whose size is put into *size.  In any process.
 */
const char *
dbperf_pool_size_setting(const char *database, const char *role, int64 *size)
{
	const PoolLimit *limit;
	const char		*setting = "dbperf.pool_size";

	LWLockAcquire(POOL_LIMITS_LOCK, LW_SHARED);
	limit = dbperf_pool_limit_of(shared->copy.databases, shared->copy.num_databases, database);
	if (limit != NULL && limit->size >= 0)
		setting = "pool_databases.pool_size";
	limit = dbperf_pool_limit_of(shared->copy.roles, shared->copy.num_roles, role);
	if (limit != NULL && limit->size >= 0 && dbperf_pool_shared->version >= POOL_VERSION_USER_SIZE)
	{
		setting = "pool_roles.pool_size";
		*size = limit->size;
	}
	LWLockRelease(POOL_LIMITS_LOCK);
	return setting;
}
