/*-------------------------------------------------------------------------
 *
 * cache_build.c
 *		Single flight: which process executes a statement for the store now.
 *
 * Others that want the same result wait for it a little instead of executing
 * the statement as well.  It is a hint only: nobody relies on a builder to come
 * to an end, or on there being only one.
 *
 * The table is small, under one LWLock, and looked at on misses only, which
 * execute a statement.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "cache/cache_store.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/* How many places this process has. */
static int	own_builds = 0;
static bool exit_registered = false;

static int
own_number(void)
{
	return DBPERF_MY_PROC_NUMBER + 1;
}

/* The place of a key, NULL if nobody builds it.  Caller must hold the lock. */
static CacheBuilder *
find_builder(const uint64 *hash)
{
	CacheBuilder *builds = dbperf_cache_place.shared->builds;

	for (int i = 0; i < CACHE_BUILDS; i++)
	{
		if (builds[i].owner != 0 && builds[i].hash[0] == hash[0] && builds[i].hash[1] == hash[1])
			return &builds[i];
	}
	return NULL;
}

/* Frees this process's places at its end: it was killed while it built. */
static void
builds_at_exit(int code, Datum arg)
{
	for (int i = 0; i < CACHE_BUILDS && own_builds > 0; i++)
	{
		CacheBuilder *builder = &dbperf_cache_place.shared->builds[i];
		CacheBuild	  build;

		if (builder->owner != own_number())
			continue;
		build.place = i;
		memcpy(build.hash, builder->hash, sizeof(build.hash));
		dbperf_cache_build_end(&build);
	}
}

/* Takes a free place for a key, -1 if there is none.  Caller must hold the lock. */
static int
take_place(const CacheKey *key)
{
	CacheBuilder *builds = dbperf_cache_place.shared->builds;

	for (int i = 0; i < CACHE_BUILDS; i++)
	{
		if (builds[i].owner != 0)
			continue;
		builds[i].owner = own_number();
		memcpy(builds[i].hash, key->hash, sizeof(key->hash));
		own_builds++;
		return i;
	}
	return -1;
}

/*
 * Notes that this process makes the result for a key, until
 * dbperf_cache_build_end().  Returns false if another process does already.
 * When the table is full, this process builds without others knowing.
 */
bool
dbperf_cache_build_begin(const CacheKey *key, CacheBuild *build)
{
	CacheBuilder *other;
	bool		  mine;

	build->place = -1;
	memcpy(build->hash, key->hash, sizeof(build->hash));
	if (dbperf_cache_place.shared == NULL)
		return true;
	if (!exit_registered)
	{
		on_shmem_exit(builds_at_exit, (Datum) 0);
		exit_registered = true;
	}

	LWLockAcquire(CACHE_BUILD_LOCK, LW_EXCLUSIVE);
	other = find_builder(key->hash);
	/* a function in the statement that is being built may execute it as well */
	mine = other == NULL || other->owner == own_number();
	if (other == NULL)
		build->place = take_place(key);
	LWLockRelease(CACHE_BUILD_LOCK);
	return mine;
}

/*
 * Ends that, and wakes who waits.  Does nothing without a place, so it can be
 * called on every way out.
 */
void
dbperf_cache_build_end(CacheBuild *build)
{
	CacheBuilder *builder;

	if (build->place < 0)
		return;
	builder = &dbperf_cache_place.shared->builds[build->place];
	build->place = -1;

	LWLockAcquire(CACHE_BUILD_LOCK, LW_EXCLUSIVE);
	builder->owner = 0;
	LWLockRelease(CACHE_BUILD_LOCK);
	own_builds--;
	ConditionVariableBroadcast(&builder->done);
}

/* Whether somebody builds this key; *done is what to wait on. */
static bool
is_built(const CacheKey *key, ConditionVariable **done)
{
	CacheBuilder *builder;

	LWLockAcquire(CACHE_BUILD_LOCK, LW_SHARED);
	builder = find_builder(key->hash);
	LWLockRelease(CACHE_BUILD_LOCK);
	if (builder == NULL)
		return false;
	*done = &builder->done;
	return true;
}

/*
 * Waits until nobody builds the result for a key any more, for so many
 * milliseconds at most.  A process that builds something itself does not wait:
 * the other could be waiting for it.  Can be cancelled.
 */
void
dbperf_cache_build_wait(const CacheKey *key, long ms)
{
	TimestampTz		   until;
	ConditionVariable *done;

	if (dbperf_cache_place.shared == NULL || ms <= 0 || own_builds > 0 || !is_built(key, &done))
		return;

	dbperf_cache_count(CACHE_WAITS, 1);
	until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ms);
	do
	{
		long left;

		/* whoever frees the place after this look wakes this process */
		ConditionVariablePrepareToSleep(done);
		if (!is_built(key, &done))
			break;
		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);
		if (left <= 0)
			break;
		(void) ConditionVariableTimedSleep(done, left, PG_WAIT_EXTENSION);
	} while (is_built(key, &done));
	(void) ConditionVariableCancelSleep();
}
