/*-------------------------------------------------------------------------
 *
 * on_demand.c
 *		Workers that are only there while somebody wants them.
 *
 * A worker takes one of max_worker_processes whether it has anything to do or
 * not, and parallel queries of users have to do with what is left.  So one that
 * most servers never need is registered at the start of the server only if it is
 * wanted then.  Later it is started by those workers of dbperf that are always
 * there, after the configuration was read, and ends for good by itself.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"

#define MAX_WORKERS 4

/* Whether each is there, or is about to be: registered with the postmaster. */
typedef struct OnDemandShared
{
	pg_atomic_uint32 present[MAX_WORKERS];
} OnDemandShared;

typedef struct OnDemandWorker
{
	const DbperfWorker *worker;
	bool (*wanted)(void);
	bool at_start; /* registered when the server was started, wanted or not */
} OnDemandWorker;

static OnDemandShared *shared = NULL;
static OnDemandWorker  workers[MAX_WORKERS];
static int			   num_workers = 0;
static bool			   complained = false;

static Size
on_demand_size(void)
{
	return sizeof(OnDemandShared);
}

/*
 * After a crash the postmaster starts those again that are registered, and these
 * are the ones that are wanted.
 */
static void
on_demand_attach(void *area, bool found)
{
	shared = area;
	if (found)
		return;
	for (int i = 0; i < MAX_WORKERS; i++)
	{
		pg_atomic_init_u32(&shared->present[i], workers[i].worker != NULL &&
													(workers[i].at_start || workers[i].wanted()));
		workers[i].at_start = false;
	}
}

/*
 * Add a worker; the struct must stay.  wanted looks at settings only; at_start
 * says that there is something to do when the server starts, even if it is not
 * wanted.  Only in the init function of a module; does nothing without preload.
 * Returns its number, for dbperf_on_demand_leave().
 */
int
dbperf_on_demand_register(const DbperfWorker *worker, bool (*wanted)(void), bool at_start)
{
	static const DbperfShmemArea area = {
		.name = "dbperf workers on demand",
		.size = on_demand_size,
		.attach = on_demand_attach,
	};

	if (!process_shared_preload_libraries_in_progress)
		return -1;
	if (num_workers >= MAX_WORKERS)
		elog(ERROR, "too many workers on demand");
	if (num_workers == 0)
		dbperf_shmem_register(&area);
	workers[num_workers].worker = worker;
	workers[num_workers].wanted = wanted;
	workers[num_workers].at_start = at_start || wanted();
	if (workers[num_workers].at_start)
		dbperf_worker_register(worker);
	dbperf_worker_expect(worker, wanted);
	return num_workers++;
}

/* Starts one that is wanted and not there. */
static void
start(int number)
{
	uint32 absent = 0;

	if (!pg_atomic_compare_exchange_u32(&shared->present[number], &absent, 1))
		return;
	if (dbperf_worker_start(workers[number].worker, (Datum) 0, NULL, 0, NULL))
	{
		complained = false;
		return;
	}
	pg_atomic_write_u32(&shared->present[number], 0);
	if (!complained)
		ereport(LOG,
				(errmsg("no background worker is free for \"%s\"", workers[number].worker->name),
				 errhint("Increase max_worker_processes.")));
	complained = true;
}

/*
 * Starts what is wanted.  In a worker of dbperf, as often as it likes.
 */
void
dbperf_on_demand_start(void)
{
	if (shared == NULL || IsBinaryUpgrade)
		return;
	for (int i = 0; i < num_workers; i++)
	{
		if (workers[i].wanted() && pg_atomic_read_u32(&shared->present[i]) == 0)
			start(i);
	}
}

/*
 * The worker itself is not wanted any more: ends the process, and its place is
 * free.  Returns if the configuration is about to be read again.
 */
void
dbperf_on_demand_leave(int number)
{
	uint32 absent = 0;

	pg_atomic_write_u32(&shared->present[number], 0);
	pg_memory_barrier();
	if (!ConfigReloadPending)
		proc_exit(0);
	/* whoever was faster has started another one, and this one is too many */
	if (!pg_atomic_compare_exchange_u32(&shared->present[number], &absent, 1))
		proc_exit(0);
}
