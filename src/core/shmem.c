/*-------------------------------------------------------------------------
 *
 * shmem.c
 *		The registry of shared-memory areas.
 *
 * Modules register what they need from their init function.  One request
 * hook asks for the sum, and one startup hook makes or attaches all areas, so
 * that the order and the locking are right in one place.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

#define MAX_AREAS 48

static DbperfShmemArea areas[MAX_AREAS];
static int			   num_areas = 0;
static bool			   attached = false;

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

/*
 * Ask for the memory and the lock tranches of every area.  Called by the
 * postmaster once the settings, MaxBackends among them, are final.
 */
static void
shmem_request(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();

	for (int i = 0; i < num_areas; i++)
	{
		RequestAddinShmemSpace(CACHELINEALIGN(areas[i].size()));
		if (areas[i].extra != NULL)
			RequestAddinShmemSpace(areas[i].extra());
		if (areas[i].tranche != NULL)
			RequestNamedLWLockTranche(areas[i].tranche, areas[i].num_locks);
	}
}

/*
 * Make or attach every area.  Runs again in the postmaster after a crash, so
 * nothing left from the time before may count.
 */
static void
shmem_startup(void)
{
	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	attached = false;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	for (int i = 0; i < num_areas; i++)
	{
		const DbperfShmemArea *area = &areas[i];
		void				  *memory;
		bool				   found;

		memory = ShmemInitStruct(area->name, area->size(), &found);
		if (area->tranche != NULL)
			*area->locks = GetNamedLWLockTranche(area->tranche);
		area->attach(memory, found);
	}
	LWLockRelease(AddinShmemInitLock);

	attached = true;
}

/*
 * Install the two hooks.  Called once, from _PG_init, before any module
 * registers an area; does nothing when the library is not being preloaded.
 */
void
dbperf_shmem_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;

	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = shmem_request;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = shmem_startup;
}

/*
 * Add an area.  The struct is copied, what it points to must stay.  Only in
 * the init function of a module; without preload the area is not made.
 */
void
dbperf_shmem_register(const DbperfShmemArea *area)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	if (num_areas >= MAX_AREAS)
		elog(ERROR, "too many shared-memory areas");

	areas[num_areas++] = *area;
}

/*
 * Raise an error unless the areas can be used: the first line of every SQL
 * function that reads or writes one.
 */
void
dbperf_require_shmem(void)
{
	if (likely(attached))
		return;

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("dbperf must be loaded via shared_preload_libraries"),
			 errhint("Add dbperf to shared_preload_libraries in postgresql.conf, for example "
					 "shared_preload_libraries = 'dbperf,pg_stat_statements', and restart the "
					 "server.")));
}
