/*-------------------------------------------------------------------------
 *
 * history_status.c
 *		What the writer of the slow query history says about itself.
 *
 * A history that silently is not written is worse than none.  So the worker
 * keeps its state in shared memory, for dbperf.monitor_status, and logs once
 * what has to be put right.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "monitor/history.h"
#include "utils/timestamp.h"

/*
 * status is read and written under the area's only lock; only the writer
 * writes it.
 */
typedef struct HistoryArea
{
	HistoryStatus status;
} HistoryArea;

static HistoryArea	*area = NULL;
static LWLockPadded *area_lock = NULL;

#define AREA_LOCK (&area_lock->lock)

static Size
history_size(void)
{
	return sizeof(HistoryArea);
}

static void
history_attach(void *memory, bool found)
{
	area = memory;
	if (!found)
		memset(area, 0, sizeof(HistoryArea));
}

/*
 * Register the shared memory.  Called once, from dbperf_history_init().
 */
void
dbperf_history_status_init(void)
{
	static const DbperfShmemArea shmem = {
		.name = "dbperf history",
		.size = history_size,
		.attach = history_attach,
		.tranche = "DbperfHistory",
		.num_locks = 1,
		.locks = &area_lock,
	};

	dbperf_shmem_register(&shmem);
}

/*
 * Copy what the writer says about itself.  Returns false without shared
 * memory.
 */
bool
dbperf_history_status(HistoryStatus *status)
{
	if (area == NULL)
		return false;

	LWLockAcquire(AREA_LOCK, LW_SHARED);
	*status = area->status;
	LWLockRelease(AREA_LOCK);
	return true;
}

/*
 * The state in words for monitor_status, palloc'd, in the current database's
 * encoding.  Must run inside a transaction.
 */
char *
dbperf_history_state_text(const HistoryStatus *status)
{
	text *error;

	switch (status->state)
	{
		case HISTORY_OFF:
			return pstrdup("off");
		case HISTORY_CONNECTING:
			return psprintf("not connected to database \"%s\"", status->database);
		case HISTORY_RUNNING:
			return pstrdup("running");
		case HISTORY_NO_EXTENSION:
			return psprintf("extension missing in database \"%s\"", status->database);
		case HISTORY_NO_TABLE:
			return psprintf("extension in database \"%s\" is too old", status->database);
		case HISTORY_READ_ONLY:
			return psprintf("database \"%s\" is read-only", status->database);
		case HISTORY_FAILED:
			error = dbperf_server_text(status->error, sizeof(status->error), status->encoding);
			return psprintf("error: %.*s", (int) VARSIZE_ANY_EXHDR(error), VARDATA_ANY(error));
	}
	return pstrdup("unknown");
}

/* Say in the log, once, why nothing is written. */
static void
log_state(HistoryState state, const char *database)
{
	switch (state)
	{
		case HISTORY_NO_EXTENSION:
			ereport(LOG,
					(errmsg("slow query history is not written: extension dbperf does not exist in "
							"database \"%s\"",
							database),
					 errhint("Run CREATE EXTENSION dbperf CASCADE in that database.")));
			break;
		case HISTORY_NO_TABLE:
			ereport(LOG, (errmsg("slow query history is not written: extension dbperf in database "
								 "\"%s\" is too old",
								 database),
						  errhint("Run ALTER EXTENSION dbperf UPDATE in that database.")));
			break;
		case HISTORY_READ_ONLY:
			ereport(LOG, (errmsg("slow query history is not written: database \"%s\" is read-only",
								 database)));
			break;
		case HISTORY_OFF:
		case HISTORY_CONNECTING:
		case HISTORY_RUNNING:
		case HISTORY_FAILED:
			break;
	}
}

/*
 * Publish the state of this worker, which is or wants to be connected to the
 * database; log a state that was not there before.
 */
void
dbperf_history_set_state(HistoryState state, const char *database)
{
	HistoryStatus *status = &area->status;
	const char	  *error = state == HISTORY_FAILED ? dbperf_worker_last_error() : "";
	TimestampTz	   now = GetCurrentTimestamp();
	bool		   changed;

	LWLockAcquire(AREA_LOCK, LW_EXCLUSIVE);
	changed = status->state != state;
	if (changed)
		status->since = now;
	status->state = state;
	status->pid = MyProcPid;
	status->encoding = GetDatabaseEncoding();
	strlcpy(status->database, database, NAMEDATALEN);
	strlcpy(status->error, error, sizeof(status->error));
	status->bytes = dbperf_history_bytes();
	LWLockRelease(AREA_LOCK);

	if (changed)
		log_state(state, database);
}

/*
 * Publish what one transaction has written: the ids up to last_id are done.
 */
void
dbperf_history_add_written(uint64 rows, uint64 lost, uint64 last_id)
{
	HistoryStatus *status = &area->status;

	LWLockAcquire(AREA_LOCK, LW_EXCLUSIVE);
	status->rows_written += rows;
	status->records_lost += lost;
	status->last_id = last_id;
	LWLockRelease(AREA_LOCK);
}
