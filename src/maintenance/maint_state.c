/*-------------------------------------------------------------------------
 *
 * maint_state.c
 *		The shared memory of maintenance: workers' slots, requests, databases,
 *		and what is remembered of tables.
 *
 * Every function here takes the lock itself and raises no error, unless it
 * says otherwise.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "core/core.h"
#include "maintenance/maint_state.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/shmem.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"

#define BACK_OFF_MIN 5000	/* ms after a visit that did not end well */
#define BACK_OFF_MAX 600000 /* ms */

MaintShared	 *dbperf_maint = NULL;
LWLockPadded *dbperf_maint_locks = NULL;

static HTAB *memory_hash = NULL;

static Size
state_size(void)
{
	return sizeof(MaintShared);
}

static Size
memory_size(void)
{
	return hash_estimate_size(MAINT_TABLES, sizeof(MaintMemory));
}

static void
state_attach(void *area, bool found)
{
	HASHCTL info = {
		.keysize = sizeof(MaintMemoryKey),
		.entrysize = sizeof(MaintMemory),
	};

	dbperf_maint = area;
	if (!found)
	{
		memset(dbperf_maint, 0, sizeof(MaintShared));
		for (int i = 0; i < MAINT_SLOTS; i++)
		{
			pg_atomic_init_u32(&dbperf_maint->slots[i].cost_limit, 0);
			pg_atomic_init_u32(&dbperf_maint->slots[i].by_pages, 0);
		}
	}
	memory_hash = ShmemInitHash("dbperf maintenance memory", MAINT_TABLES, MAINT_TABLES, &info,
								HASH_ELEM | HASH_BLOBS);
}

/*
 * Register the shared memory.  Called once, from the module's init function.
 */
void
dbperf_maint_state_init(void)
{
	static const DbperfShmemArea area = {
		.name = "dbperf maintenance",
		.size = state_size,
		.attach = state_attach,
		.tranche = "DbperfMaintenance",
		.num_locks = MAINT_LOCKS,
		.locks = &dbperf_maint_locks,
		.extra = memory_size,
	};

	dbperf_shmem_register(&area);
}

/* ---- waking ---- */

/*
 * Set the latch of a process, 0 = nobody.
 */
void
dbperf_maint_wake(int pid)
{
	PGPROC *proc = pid != 0 ? BackendPidGetProc(pid) : NULL;

	if (proc != NULL)
		SetLatch(&proc->procLatch);
}

void
dbperf_maint_wake_launcher(void)
{
	int pid;

	LWLockAcquire(MAINT_LOCK, LW_SHARED);
	pid = dbperf_maint->launcher_pid;
	LWLockRelease(MAINT_LOCK);
	dbperf_maint_wake(pid);
}

/*
 * Wake the writer, which need not be connected: it then finds out that it has
 * something to do.
 */
void
dbperf_maint_wake_writer(void)
{
	dbperf_writer_wake();
}

/* ---- the log's ids ---- */

/*
 * A new id for a row of the log, or 0 if the writer has not found yet where
 * they go on: it has been asked to.
 */
int64
dbperf_maint_take_id(void)
{
	int64 id = 0;

	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	if (dbperf_maint->ids_known)
		id = dbperf_maint->next_id++;
	else
		dbperf_maint->ids_asked = true;
	LWLockRelease(MAINT_LOCK);
	if (id == 0)
		dbperf_maint_wake_writer();
	return id;
}

/*
 * A complete row that no worker has, such as a request that was cancelled.
 * Without room, or without a log, it is lost: the server log has it.
 */
void
dbperf_maint_add_record(const MaintRecord *record)
{
	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	dbperf_maint_count_end(record);
	if (dbperf_maint->log_table == MAINT_LOG_STARTING ||
		dbperf_maint->log_table == MAINT_LOG_READY || dbperf_maint->log_table == MAINT_LOG_ERROR)
	{
		for (int i = 0; i < MAINT_RECORDS; i++)
		{
			if (dbperf_maint->records[i].id != 0)
				continue;
			dbperf_maint->records[i] = *record;
			break;
		}
	}
	LWLockRelease(MAINT_LOCK);
	dbperf_maint_wake_writer();
}

/*
 * An action has ended, and its record says how.  Caller must hold the lock
 * exclusively.
 */
void
dbperf_maint_count_end(const MaintRecord *record)
{
	Assert(LWLockHeldByMeInMode(MAINT_LOCK, LW_EXCLUSIVE));
	dbperf_maint->ended[record->action][record->outcome]++;
}

/* ---- slots ---- */

/*
 * Whether a worker is at the table, or rebuilds an index while this is to be
 * done to another one.  Caller must hold the lock.
 */
bool
dbperf_maint_taken(Oid database, Oid table, int action)
{
	for (int i = 0; i < MAINT_SLOTS; i++)
	{
		const MaintSlot *slot = &dbperf_maint->slots[i];

		if (slot->state != MAINT_SLOT_WORKING || slot->pid == 0)
			continue;
		if (slot->database == database && slot->table == table)
			return true;
		if (action == MAINT_REINDEX && slot->record.action == MAINT_REINDEX)
			return true;
	}
	return false;
}

/*
 * Whether a worker has claimed the table.
 */
bool
dbperf_maint_claimed(Oid database, Oid table)
{
	bool claimed;

	LWLockAcquire(MAINT_LOCK, LW_SHARED);
	claimed = dbperf_maint_taken(database, table, MAINT_NO_ACTION);
	LWLockRelease(MAINT_LOCK);
	return claimed;
}

/* The same under the lock; returns whether it is cancelled now. */
static bool
cancel_slot(MaintSlot *slot, MaintCancel why, const char *who)
{
	if (slot->state != MAINT_SLOT_WORKING || slot->pid == 0 || slot->log == MAINT_LOG_CLOSE ||
		slot->record.outcome != MAINT_RUNNING || slot->cancel != MAINT_CANCEL_NONE ||
		(slot->wraparound && why != MAINT_CANCEL_USER))
		return false;
	slot->cancel = why;
	strlcpy(slot->canceled_by, who != NULL ? who : "", NAMEDATALEN);
	/* under the lock it cannot have gone on to something else */
	(void) kill(slot->pid, SIGINT);
	return true;
}

/*
 * Cancel what the worker of a slot does, unless it is cancelled already or
 * nothing can cancel it.  who is a role's name, or NULL.
 */
void
dbperf_maint_cancel(int slot, MaintCancel why, const char *who)
{
	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	(void) cancel_slot(&dbperf_maint->slots[slot], why, who);
	LWLockRelease(MAINT_LOCK);
}

/*
 * Cancel what has this id in the log, on behalf of a role; false if it does not
 * run, or cannot be cancelled any more.
 */
bool
dbperf_maint_cancel_id(int64 id, const char *who)
{
	bool cancelled = false;

	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	for (int i = 0; i < MAINT_SLOTS && !cancelled; i++)
	{
		if (dbperf_maint->slots[i].record.id == id)
			cancelled = cancel_slot(&dbperf_maint->slots[i], MAINT_CANCEL_USER, who);
	}
	LWLockRelease(MAINT_LOCK);
	return cancelled;
}

/* ---- databases ---- */

/*
 * The entry of a database, or NULL if there is none and none is to be added,
 * or there is no room.  Caller must hold MAINT_LOCK, exclusively to add.
 */
MaintDatabase *
dbperf_maint_database(Oid oid, bool add)
{
	MaintDatabase *unused = NULL;

	for (int i = 0; i < MAINT_DATABASES; i++)
	{
		MaintDatabase *one = &dbperf_maint->databases[i];

		if (one->oid == oid)
			return one;
		if (unused == NULL && !OidIsValid(one->oid))
			unused = one;
	}
	if (!add || unused == NULL)
		return NULL;

	Assert(LWLockHeldByMeInMode(MAINT_LOCK, LW_EXCLUSIVE));
	memset(unused, 0, sizeof(*unused));
	unused->oid = oid;
	unused->next_look = DT_NOEND;
	return unused;
}

/* The wait after a failure, given how many there were before it. */
static TimestampTz
retry_at(int failures)
{
	int64 wait = BACK_OFF_MIN * (INT64CONST(1) << Min(failures, 10));

	return TimestampTzPlusMilliseconds(GetCurrentTimestamp(), Min(wait, BACK_OFF_MAX));
}

/*
 * A worker's visit to a database has ended.  If it did not come to its end, the
 * next one waits, and so do requests: for a database that cannot be connected
 * to, no worker is started again and again.  Caller must hold the lock
 * exclusively.
 */
void
dbperf_maint_visit_ended(Oid oid, bool well)
{
	MaintDatabase *database = dbperf_maint_database(oid, false);

	if (database != NULL)
	{
		database->not_before = well ? 0 : retry_at(database->failures);
		database->failures = well ? 0 : database->failures + 1;
	}
	for (int i = 0; i < MAINT_REQUESTS; i++)
	{
		MaintRequest *one = &dbperf_maint->requests[i];

		if (one->id == 0 || one->database != oid)
			continue;
		if (!well)
			one->not_before = retry_at(one->failures);
		one->failures = well ? 0 : one->failures + 1;
	}
}

/* ---- memory of tables ---- */

/*
 * What is remembered of an action on a relation; all zero and false if nothing
 * is.
 */
bool
dbperf_maint_remember(const MaintMemoryKey *key, MaintMemory *memory)
{
	MaintMemory *found = NULL;

	memset(memory, 0, sizeof(*memory));
	memory->key = *key;
	if (memory_hash == NULL)
		return false;

	LWLockAcquire(MAINT_MEMORY_LOCK, LW_SHARED);
	found = hash_search(memory_hash, key, HASH_FIND, NULL);
	if (found != NULL)
		*memory = *found;
	LWLockRelease(MAINT_MEMORY_LOCK);
	return found != NULL;
}

/*
 * Make room: forget what ended longest ago among a few.  Caller must hold the
 * lock exclusively.
 */
static void
forget_one(void)
{
	HASH_SEQ_STATUS scan;
	MaintMemory	   *one;
	MaintMemoryKey	oldest = {0};
	TimestampTz		when = DT_NOEND;
	int				seen = 0;

	hash_seq_init(&scan, memory_hash);
	while ((one = hash_seq_search(&scan)) != NULL)
	{
		if (one->last_end < when)
		{
			when = one->last_end;
			oldest = one->key;
		}
		if (++seen >= 256)
		{
			hash_seq_term(&scan);
			break;
		}
	}
	if (when != DT_NOEND)
		(void) hash_search(memory_hash, &oldest, HASH_REMOVE, NULL);
}

/*
 * Remember this of an action on a relation.
 */
void
dbperf_maint_memorize(const MaintMemory *memory)
{
	MaintMemory *entry;

	if (memory_hash == NULL)
		return;

	LWLockAcquire(MAINT_MEMORY_LOCK, LW_EXCLUSIVE);
	if (hash_get_num_entries(memory_hash) >= MAINT_TABLES &&
		hash_search(memory_hash, &memory->key, HASH_FIND, NULL) == NULL)
		forget_one();
	entry = hash_search(memory_hash, &memory->key, HASH_ENTER_NULL, NULL);
	if (entry != NULL)
		*entry = *memory;
	LWLockRelease(MAINT_MEMORY_LOCK);
}

/* The same for what is remembered of tables. */
static void
memory_clock_back(TimestampTz now)
{
	HASH_SEQ_STATUS scan;
	MaintMemory	   *one;

	LWLockAcquire(MAINT_MEMORY_LOCK, LW_EXCLUSIVE);
	hash_seq_init(&scan, memory_hash);
	while ((one = hash_seq_search(&scan)) != NULL)
	{
		if (one->last_end > now)
			one->not_before = 0;
		one->last_end = Min(one->last_end, now);
	}
	LWLockRelease(MAINT_MEMORY_LOCK);
}

/*
 * The system's clock was set back: nothing may wait until it has caught up with
 * times that were noted before.
 */
void
dbperf_maint_clock_back(TimestampTz now)
{
	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	for (int i = 0; i < MAINT_DATABASES; i++)
	{
		MaintDatabase *one = &dbperf_maint->databases[i];

		one->last_visit = Min(one->last_visit, now);
		one->waiting_since = Min(one->waiting_since, now);
		one->not_before = Min(one->not_before, now);
	}
	for (int i = 0; i < MAINT_REQUESTS; i++)
		dbperf_maint->requests[i].not_before = Min(dbperf_maint->requests[i].not_before, now);
	LWLockRelease(MAINT_LOCK);
	memory_clock_back(now);
}
