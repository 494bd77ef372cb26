/*-------------------------------------------------------------------------
 *
 * maint_requests.c
 *		The queue of what run_maintenance() has asked for.
 *
 * A worker that takes a request leaves it in the queue, marked as its own, until
 * its row of the log is there: from then on the slot has it.  So a request is
 * always to be found in one of the two, and a worker that ends before it could
 * begin gives back what it has taken.
 *
 * Every function here takes the lock itself and raises no error, unless it
 * says otherwise.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "maintenance/maint_state.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

/* The request with that id, or NULL.  Caller must hold the lock. */
static MaintRequest *
find_request(int64 id)
{
	for (int i = 0; i < MAINT_REQUESTS; i++)
	{
		if (dbperf_maint->requests[i].id == id)
			return &dbperf_maint->requests[i];
	}
	return NULL;
}

/*
 * Queue a request; false if the queue is full.
 */
bool
dbperf_maint_add_request(const MaintRequest *request)
{
	MaintRequest *unused;

	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	unused = find_request(0);
	if (unused != NULL)
		*unused = *request;
	LWLockRelease(MAINT_LOCK);
	if (unused != NULL)
		dbperf_maint_wake_launcher();
	return unused != NULL;
}

/*
 * Whether a worker could begin the request now.  Caller must hold the lock.
 */
bool
dbperf_maint_can_begin(const MaintRequest *request, TimestampTz now)
{
	return request->id != 0 && request->worker == 0 && now >= request->not_before &&
		   !dbperf_maint_taken(request->database, request->table, request->action);
}

/*
 * Mark the oldest request of a database that can begin as this worker's; false
 * if there is none, or maintenance is paused: what is asked for meanwhile waits.
 */
bool
dbperf_maint_take_request(Oid database, MaintRequest *request)
{
	TimestampTz	  now = GetCurrentTimestamp();
	MaintRequest *oldest = NULL;

	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	for (int i = 0; i < MAINT_REQUESTS && dbperf_maint->paused_until <= now; i++)
	{
		MaintRequest *one = &dbperf_maint->requests[i];

		if (one->database == database && dbperf_maint_can_begin(one, now) &&
			(oldest == NULL || one->id < oldest->id))
			oldest = one;
	}
	if (oldest != NULL)
	{
		oldest->worker = MyProcPid;
		*request = *oldest;
	}
	LWLockRelease(MAINT_LOCK);
	return oldest != NULL;
}

/*
 * This worker could not begin the request: another try after some milliseconds.
 */
void
dbperf_maint_put_back(int64 id, int delay)
{
	MaintRequest *request;

	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	request = find_request(id);
	if (request != NULL)
	{
		request->worker = 0;
		request->not_before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), delay);
	}
	LWLockRelease(MAINT_LOCK);
}

/*
 * This worker ends: give back what it has taken, but for the request that has
 * begun, if any (0 = none).  Caller must hold the lock exclusively.
 */
void
dbperf_maint_return_requests(int64 begun)
{
	for (int i = 0; i < MAINT_REQUESTS; i++)
	{
		MaintRequest *one = &dbperf_maint->requests[i];

		if (one->worker != MyProcPid)
			continue;
		one->worker = 0;
		if (one->id == begun)
			one->id = 0;
	}
}

/*
 * Take the request with that id out of the queue; false if it is not there.
 */
bool
dbperf_maint_remove_request(int64 id, MaintRequest *request)
{
	MaintRequest *found;

	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	found = find_request(id);
	if (found != NULL)
	{
		*request = *found;
		found->id = 0;
		found->worker = 0;
	}
	LWLockRelease(MAINT_LOCK);
	return found != NULL;
}

/*
 * Whether something is asked for that no worker has taken.
 */
bool
dbperf_maint_has_request(void)
{
	bool found = false;

	LWLockAcquire(MAINT_LOCK, LW_SHARED);
	for (int i = 0; i < MAINT_REQUESTS && !found; i++)
		found = dbperf_maint->requests[i].id != 0 && dbperf_maint->requests[i].worker == 0;
	LWLockRelease(MAINT_LOCK);
	return found;
}

/*
 * The row of a request that ends without having begun; outcome and error are
 * the caller's.
 */
void
dbperf_maint_request_record(const MaintRequest *request, MaintRecord *record)
{
	memset(record, 0, sizeof(*record));
	record->id = request->id;
	record->started = request->requested;
	record->finished = GetCurrentTimestamp();
	strlcpy(record->database, request->database_name, NAMEDATALEN);
	strlcpy(record->object, request->object, sizeof(record->object));
	record->action = request->action != MAINT_NO_ACTION ? request->action : MAINT_VACUUM;
	record->pages = -1;
	record->encoding = request->encoding;
}

/*
 * A request cannot begin, and nobody has cancelled it meanwhile: the log has
 * that it failed.  Writes to the server log, too.
 */
void
dbperf_maint_refuse(int64 id, const char *error)
{
	MaintRequest request;
	MaintRecord	 record;

	if (!dbperf_maint_remove_request(id, &request))
		return;
	dbperf_maint_request_record(&request, &record);
	record.outcome = MAINT_FAILED;
	strlcpy(record.error, error, sizeof(record.error));
	dbperf_maint_add_record(&record);
	ereport(LOG, (errmsg("dbperf maintenance %lld could not begin: %s", (long long) id, error)));
}

/*
 * The same for all that is asked for in a database.
 */
void
dbperf_maint_refuse_all(Oid database, const char *error)
{
	for (int i = 0; i < MAINT_REQUESTS; i++)
	{
		int64 id;

		LWLockAcquire(MAINT_LOCK, LW_SHARED);
		id = dbperf_maint->requests[i].database == database ? dbperf_maint->requests[i].id : 0;
		LWLockRelease(MAINT_LOCK);
		if (id != 0)
			dbperf_maint_refuse(id, error);
	}
}
