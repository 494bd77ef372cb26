/*-------------------------------------------------------------------------
 *
 * pool_shared.c
 *		What the pool's worker, its processes' server processes and the views
 *		share.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "pool/pool_int.h"

PoolShared	 *dbperf_pool_shared = NULL;
LWLockPadded *dbperf_pool_locks = NULL;

static Size
shared_size(void)
{
	return sizeof(PoolShared);
}

static void
shared_attach(void *area, bool found)
{
	dbperf_pool_shared = area;
	if (found)
		return;
	memset(area, 0, sizeof(PoolShared));
	pg_atomic_init_u32(&dbperf_pool_shared->worker, 0);
	pg_atomic_init_u32(&dbperf_pool_shared->restart, 0);
	pg_atomic_init_u32(&dbperf_pool_shared->pooled, 0);
	pg_atomic_init_u32(&dbperf_pool_shared->most_pooled, 0);
	pg_atomic_init_u64(&dbperf_pool_shared->connects, 0);
	pg_atomic_init_u64(&dbperf_pool_shared->refused, 0);
	for (int i = 0; i < POOL_MAX_PROCESSES; i++)
		pg_atomic_init_u32(&dbperf_pool_shared->process[i].pid, 0);
}

/*
 * Registers the shared memory.  Called once, while the library is preloaded.
 */
void
dbperf_pool_shared_init(void)
{
	static const DbperfShmemArea area = {
		.name = "dbperf pool",
		.size = shared_size,
		.attach = shared_attach,
		.tranche = "dbperf pool",
		.num_locks = POOL_NUM_LOCKS,
		.locks = &dbperf_pool_locks,
	};

	dbperf_shmem_register(&area);
}

/*
 * Wakes the pool's worker, so that it looks at once.  Raises no error.
 */
void
dbperf_pool_wake(void)
{
	if (dbperf_pool_shared != NULL)
		dbperf_worker_wake(pg_atomic_read_u32(&dbperf_pool_shared->worker));
}

/*
 * Whether the pid is one of the pool's processes.  Takes no lock.
 */
bool
dbperf_pool_is_process(pid_t pid)
{
	if (pid <= 0 || dbperf_pool_shared == NULL)
		return false;
	for (int i = 0; i < POOL_MAX_PROCESSES; i++)
	{
		if (pg_atomic_read_u32(&dbperf_pool_shared->process[i].pid) == (uint32) pid)
			return true;
	}
	return false;
}
