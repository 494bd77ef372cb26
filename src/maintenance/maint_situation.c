/*-------------------------------------------------------------------------
 *
 * maint_situation.c
 *		What a plan depends on besides the tables: ages and rates, windows, the
 *		horizon, and the locks of others.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/multixact.h"
#include "access/transam.h"
#include "access/xlog.h"
#include "commands/dbcommands.h"
#include "maintenance/maint_facts.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/timestamp.h"

/* ---- locks ---- */

/* By relation, then the strongest first. */
static int
compare_locks(const void *a, const void *b)
{
	const MaintLock *one = a;
	const MaintLock *two = b;

	if (one->relation != two->relation)
		return one->relation < two->relation ? -1 : 1;
	if (one->mode != two->mode)
		return one->mode > two->mode ? -1 : 1;
	return 0;
}

/* The strongest mode in a mask that VACUUM would wait for, or NoLock. */
static LOCKMODE
conflicting_mode(LOCKMASK held)
{
	for (LOCKMODE mode = AccessExclusiveLock; mode >= ShareUpdateExclusiveLock; mode--)
	{
		if ((held & LOCKBIT_ON(mode)) != 0)
			return mode;
	}
	return NoLock;
}

/*
 * Note what others hold that conflicts with VACUUM.  All modes from its own up
 * do; they are never taken by the fast path, so that one look shows them all.
 */
static void
read_locks(MaintFacts *facts)
{
	LockData *data = GetLockStatusData();

	facts->locks = palloc_extended(sizeof(MaintLock) * Max(data->nelements, 1), MCXT_ALLOC_HUGE);
	for (int i = 0; i < data->nelements; i++)
	{
		const LockInstanceData *one = &data->locks[i];
		LOCKMODE				mode = conflicting_mode(one->holdMask);
		Oid						database = one->locktag.locktag_field1;
		MaintLock			   *lock;

		if (mode == NoLock || one->locktag.locktag_type != LOCKTAG_RELATION ||
			one->pid == MyProcPid || (database != MyDatabaseId && OidIsValid(database)))
			continue;
		lock = &facts->locks[facts->num_locks++];
		lock->relation = one->locktag.locktag_field2;
		lock->pid = one->pid;
		lock->mode = mode;
	}
	qsort(facts->locks, facts->num_locks, sizeof(MaintLock), compare_locks);
}

/* The strongest lock on a relation, or NULL. */
static const MaintLock *
lock_on(const MaintFacts *facts, Oid relation)
{
	int low = 0;
	int high = facts->num_locks;

	while (low < high)
	{
		int middle = low + (high - low) / 2;

		if (facts->locks[middle].relation < relation)
			low = middle + 1;
		else
			high = middle;
	}
	return low < facts->num_locks && facts->locks[low].relation == relation ? &facts->locks[low]
																			: NULL;
}

/*
 * Says what somebody else holds on a relation that VACUUM would wait for, and
 * whether that is autovacuum; NULL if nobody does.
 */
char *
dbperf_maint_lock_text(const MaintFacts *facts, Oid relation, bool *autovacuum)
{
	const MaintLock *lock = lock_on(facts, relation);
	const char		*mode;
	PGPROC			*proc;

	*autovacuum = false;
	if (lock == NULL)
		return NULL;
	mode = GetLockmodeName(DEFAULT_LOCKMETHOD, lock->mode);
	if (lock->pid == 0)
		return psprintf("a prepared transaction holds lock %s on it", mode);
	proc = BackendPidGetProc(lock->pid);
	*autovacuum = proc != NULL && (proc->statusFlags & PROC_IS_AUTOVACUUM) != 0;
	return psprintf("%s %d holds lock %s on it", *autovacuum ? "autovacuum process" : "process",
					lock->pid, mode);
}

/* ---- the rest ---- */

/*
 * The horizon of a table; the same one for all of a plan, and asked for when the
 * first table needs it.
 */
TransactionId
dbperf_maint_table_horizon(MaintFacts *facts, Oid table)
{
	MaintHorizon horizon = dbperf_maint_horizon_of(table);

	if (!TransactionIdIsValid(facts->horizons[horizon]))
		facts->horizons[horizon] = dbperf_maint_horizon(horizon);
	return facts->horizons[horizon];
}

/*
 * Who holds the horizon of a table, NULL if nobody is known.
 */
const char *
dbperf_maint_table_holder(MaintFacts *facts, Oid table)
{
	MaintHorizon  horizon = dbperf_maint_horizon_of(table);
	MemoryContext before;

	if (!facts->holder_known[horizon])
	{
		before = MemoryContextSwitchTo(facts->context);
		facts->holders[horizon] = dbperf_maint_horizon_holder(horizon);
		facts->holder_known[horizon] = true;
		MemoryContextSwitchTo(before);
	}
	return facts->holders[horizon];
}

/*
 * Fill in what is the same for all tables.
 */
void
dbperf_maint_read_situation(MaintFacts *facts)
{
	facts->database = get_database_name(MyDatabaseId);
	facts->recovery = RecoveryInProgress();
	facts->now = GetCurrentTimestamp();
	facts->clock = dbperf_maint_now();

	facts->next_xid = ReadNextTransactionId();
	facts->next_mxid = ReadNextMultiXactId();
	facts->mxid_max_age = dbperf_maint_mxid_max_age();
	facts->xids_per_day = dbperf_maint_xids_per_day();
	facts->mxids_per_day = dbperf_maint_mxids_per_day();

	facts->policies = dbperf_maint_policies();
	facts->any_window = facts->policies != NULL && facts->policies->num_windows > 0;
	facts->window_open =
		facts->any_window && dbperf_maint_any_window_open(facts->policies, facts->clock);

	LWLockAcquire(MAINT_LOCK, LW_SHARED);
	facts->paused_until = dbperf_maint->paused_until;
	LWLockRelease(MAINT_LOCK);
	read_locks(facts);
}
