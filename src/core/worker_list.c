/*-------------------------------------------------------------------------
 *
 * worker_list.c
 *		Which workers should run, and whether they do.
 *
 * A worker that waits for something to do is connected to no database, and so
 * pg_stat_activity does not show it.  So each notes itself when it begins, and
 * that it ends; after a crash the shared memory is made anew.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "core/core.h"
#include "core/launcher_int.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"

#define MAX_WORKERS 16
#define NAME_PREFIX "dbperf "

/* The process of each, 0 = it does not run. */
typedef struct WorkerList
{
	pg_atomic_uint32 pids[MAX_WORKERS];
} WorkerList;

typedef struct ExpectedWorker
{
	const DbperfWorker *worker;
	bool (*wanted)(void); /* NULL = always */
} ExpectedWorker;

static WorkerList	 *list = NULL;
static ExpectedWorker workers[MAX_WORKERS];
static int			  num_workers = 0;

static Size
list_size(void)
{
	return sizeof(WorkerList);
}

static void
list_attach(void *area, bool found)
{
	list = area;
	if (found)
		return;
	for (int i = 0; i < MAX_WORKERS; i++)
		pg_atomic_init_u32(&list->pids[i], 0);
}

/*
 * Adds a worker that should run, always or when wanted, which looks at settings
 * only.  Adding it again changes when.  Only while the library is preloaded.
 */
void
dbperf_worker_expect(const DbperfWorker *worker, bool (*wanted)(void))
{
	static const DbperfShmemArea area = {
		.name = "dbperf workers",
		.size = list_size,
		.attach = list_attach,
	};
	int n = 0;

	while (n < num_workers && workers[n].worker != worker)
		n++;
	if (n >= MAX_WORKERS)
		elog(ERROR, "too many workers");
	if (num_workers == 0)
		dbperf_shmem_register(&area);
	workers[n].worker = worker;
	workers[n].wanted = wanted;
	num_workers = Max(num_workers, n + 1);
}

/* The process ends. */
static void
leave(int code, Datum arg)
{
	uint32 own = (uint32) MyProcPid;

	(void) code;
	/* the next of a worker that is started on demand may be there already */
	(void) pg_atomic_compare_exchange_u32(&list->pids[DatumGetInt32(arg)], &own, 0);
}

/*
 * A worker of this name begins in this process.  One that is not in the list,
 * as those that visit databases, is not noted.
 */
void
dbperf_worker_arrived(const char *name)
{
	for (int i = 0; i < num_workers && list != NULL; i++)
	{
		if (strcmp(workers[i].worker->name, name) != 0)
			continue;
		pg_atomic_write_u32(&list->pids[i], (uint32) MyProcPid);
		on_shmem_exit(leave, Int32GetDatum(i));
		return;
	}
}

/* A worker's name as it is shown. */
static const char *
short_name(const char *name)
{
	Size prefix = strlen(NAME_PREFIX);

	return strncmp(name, NAME_PREFIX, prefix) == 0 ? name + prefix : name;
}

/* Whether the postmaster starts a worker now. */
static bool
is_expected(const ExpectedWorker *one, bool recovery)
{
	if (recovery && one->worker->start == BgWorkerStart_RecoveryFinished)
		return false;
	return one->wanted == NULL || one->wanted();
}

/* Whether the last visit of a duty failed in any database that is still visited. */
static bool
duty_fails(int duty)
{
	bool fails = false;

	LWLockAcquire(LAUNCHER_LOCK, LW_SHARED);
	for (int i = 0; i < MAX_DATABASES && !fails; i++)
	{
		const DutyDatabase *database = &dbperf_launcher->databases[i];

		fails = OidIsValid(database->oid) && database->known &&
				database->duties[duty].failures > 0 && dbperf_duties[duty]->wanted(database->name);
	}
	LWLockRelease(LAUNCHER_LOCK);
	return fails;
}

/*
 * Visits all workers that should run.  Those that visit one database after
 * another are up if the last visit went well in each.  Needs
 * dbperf_require_shmem().
 */
void
dbperf_workers_expected(DbperfWorkerVisit visit, void *arg)
{
	bool recovery = RecoveryInProgress();

	for (int i = 0; i < num_workers; i++)
	{
		if (is_expected(&workers[i], recovery))
			visit(short_name(workers[i].worker->name), pg_atomic_read_u32(&list->pids[i]) != 0,
				  arg);
	}
	for (int i = 0; i < dbperf_num_duties && !recovery; i++)
	{
		if (dbperf_duties[i]->interval() > 0)
			visit(short_name(dbperf_duties[i]->name), !duty_fails(i), arg);
	}
}
