/*-------------------------------------------------------------------------
 *
 * maint_yield.c
 *		Makes maintenance give way to whoever waits for one of its locks.
 *
 * The launcher looks four times a second.  Most of the time nobody waits for a
 * lock at all, which each process's wait event tells without any lock; only
 * otherwise the lock table is copied, for which all of its partitions are
 * locked in shared mode for a moment.
 *
 * Somebody waits for a worker if the worker, or one of its parallel workers,
 * holds the lock in a mode that conflicts, or waits for it in such a mode and
 * came first.  Locks are those on relations, but also on a transaction that
 * has to end first, as CREATE INDEX CONCURRENTLY has it.  A chain needs no
 * special care: its last link waits for the worker itself.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "maintenance/maint_plan.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/*
 * Who has waited for less than this many milliseconds waits on: a worker at
 * the end of a small table is mostly done before that, and would begin anew.
 */
#define PATIENCE 100

/* A worker that may have to give way. */
typedef struct Holder
{
	int	 slot;
	int	 pid;
	bool working; /* and there is something to cancel */
} Holder;

/*
 * Whether some process waits for a heavyweight lock.  The reads are not
 * synchronised: who has just begun is found the next time.
 */
static bool
somebody_waits(void)
{
	for (uint32 i = 0; i < ProcGlobal->allProcCount; i++)
	{
		const volatile PGPROC *proc = &ProcGlobal->allProcs[i];

		if (proc->pid != 0 && (proc->wait_event_info & 0xFF000000U) == PG_WAIT_LOCK)
			return true;
	}
	return false;
}

/*
 * Fill in who works.  Returns the number of workers; *working says whether any
 * of them does something that can be cancelled.
 */
static int
list_holders(Holder *holders, bool *working)
{
	int count = 0;

	*working = false;
	LWLockAcquire(MAINT_LOCK, LW_SHARED);
	for (int i = 0; i < MAINT_SLOTS; i++)
	{
		const MaintSlot *slot = &dbperf_maint->slots[i];

		if (slot->state == MAINT_SLOT_FREE || slot->pid == 0)
			continue;
		holders[count].slot = i;
		holders[count].pid = slot->pid;
		holders[count].working = slot->state == MAINT_SLOT_WORKING && !slot->wraparound &&
								 slot->cancel == MAINT_CANCEL_NONE;
		*working |= holders[count].working;
		count++;
	}
	LWLockRelease(MAINT_LOCK);
	return count;
}

/* The worker to which a lock's entry belongs, or NULL. */
static Holder *
holder_of(Holder *holders, int count, const LockInstanceData *entry)
{
	for (int i = 0; i < count; i++)
	{
		if (holders[i].pid == entry->pid || holders[i].pid == entry->leaderPid)
			return &holders[i];
	}
	return NULL;
}

/* Whether a process is autovacuum, that waits as patiently as maintenance does. */
static bool
is_autovacuum(int pid)
{
	PGPROC *proc = BackendPidGetProc(pid);

	return proc != NULL && (proc->statusFlags & PROC_IS_AUTOVACUUM) != 0;
}

/*
 * Whether the entry is of somebody who has waited long enough.  The lock with
 * which a file is extended is held for an instant, whatever its holder does.
 */
static bool
has_waited(const LockInstanceData *entry, TimestampTz now)
{
	return entry->waitLockMode != NoLock && entry->waitStart != 0 &&
		   now - entry->waitStart >= PATIENCE * INT64CONST(1000) &&
		   entry->locktag.locktag_type != LOCKTAG_RELATION_EXTEND;
}

/* Whether a lock's entry keeps somebody from getting the same lock. */
static bool
is_in_the_way(const LockInstanceData *entry, const LockInstanceData *waiter)
{
	for (LOCKMODE mode = 1; mode <= MaxLockMode; mode++)
	{
		if ((entry->holdMask & LOCKBIT_ON(mode)) != 0 &&
			DoLockModesConflict(mode, waiter->waitLockMode))
			return true;
	}
	return entry->waitLockMode != NoLock && entry->waitStart != 0 &&
		   entry->waitStart <= waiter->waitStart &&
		   DoLockModesConflict(entry->waitLockMode, waiter->waitLockMode);
}

/* Cancel what a worker does, in favour of this process. */
static void
give_way(Holder *holder, int blocked_pid)
{
	MaintSlot *slot = &dbperf_maint->slots[holder->slot];
	bool	   same;

	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	same = slot->pid == holder->pid && slot->state == MAINT_SLOT_WORKING;
	if (same && slot->cancel == MAINT_CANCEL_NONE)
		slot->blocked_pid = blocked_pid;
	LWLockRelease(MAINT_LOCK);
	if (same)
		dbperf_maint_cancel(holder->slot, MAINT_CANCEL_YIELD, NULL);
	holder->working = false;
}

/*
 * Find the users who wait for what is in held (indexes of the workers' entries)
 * and cancel it.
 */
static void
serve_waiters(const LockData *locks, const int *held, int num_held, Holder *holders, int count)
{
	TimestampTz now = GetCurrentTimestamp();

	for (int i = 0; i < locks->nelements; i++)
	{
		const LockInstanceData *waiter = &locks->locks[i];

		if (!has_waited(waiter, now))
			continue;
		for (int j = 0; j < num_held; j++)
		{
			const LockInstanceData *entry = &locks->locks[held[j]];
			Holder				   *holder = holder_of(holders, count, entry);

			if (holder->working &&
				memcmp(&entry->locktag, &waiter->locktag, sizeof(LOCKTAG)) == 0 &&
				is_in_the_way(entry, waiter) && holder_of(holders, count, waiter) == NULL &&
				!is_autovacuum(waiter->pid))
				give_way(holder, waiter->pid);
		}
	}
}

/*
 * Cancel the work for which a user waits.  Called by the launcher four times a
 * second while workers run; needs neither a database nor a transaction.
 */
void
dbperf_maint_yield_poll(void)
{
	Holder	  holders[MAINT_SLOTS];
	int		  count;
	bool	  working;
	LockData *locks;
	int		 *held;
	int		  num_held = 0;

	if (dbperf_maintenance_yield == MAINT_YIELD_OFF || !somebody_waits())
		return;
	count = list_holders(holders, &working);
	if (!working)
		return;

	locks = GetLockStatusData();
	held = palloc(sizeof(int) * Max(locks->nelements, 1));
	for (int i = 0; i < locks->nelements; i++)
	{
		/* what is held by the fast path conflicts with nothing */
		if (!locks->locks[i].fastpath && holder_of(holders, count, &locks->locks[i]) != NULL)
			held[num_held++] = i;
	}
	serve_waiters(locks, held, num_held, holders, count);
	pfree(held);
	pfree(locks->locks);
	pfree(locks);
}

/*
 * Mark this process as one that may be cancelled by whoever it blocks, or take
 * the mark away.  Called by a worker around VACUUM and ANALYZE that do not have
 * to happen, not around REINDEX: its wait for other transactions must not look
 * like autovacuum's.  On only if dbperf.maintenance_yield says so.
 *
 * The flag is autovacuum's own.  Where the server looks at it: ProcSleep(),
 * after deadlock_timeout, sends SIGINT to a holder that has it (unless it works
 * against wraparound), which is what we want; CountOtherDBBackends(), for DROP
 * DATABASE and its like, ends processes that have it with SIGTERM at once
 * instead of waiting for them; WaitForOlderSnapshots(), for CREATE INDEX
 * CONCURRENTLY, does not wait for their snapshots, since they have no interest
 * in an index that was not there when they began.  Nothing resets it at the end
 * of a transaction.
 */
void
dbperf_maint_yield_flag(bool on)
{
	bool set = on && dbperf_maintenance_yield == MAINT_YIELD_FLAG;

	if (set == ((MyProc->statusFlags & PROC_IS_AUTOVACUUM) != 0))
		return;

	LWLockAcquire(ProcArrayLock, LW_EXCLUSIVE);
	if (set)
		MyProc->statusFlags |= PROC_IS_AUTOVACUUM;
	else
		MyProc->statusFlags &= ~PROC_IS_AUTOVACUUM;
	ProcGlobal->statusFlags[MyProc->pgxactoff] = MyProc->statusFlags;
	LWLockRelease(ProcArrayLock);
}
