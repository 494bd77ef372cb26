/*-------------------------------------------------------------------------
 *
 * guard.c
 *		Runs what may fail inside a user's statement so that the statement
 *		does not fail.
 *
 * Printing a plan or a parameter reads catalogs and runs output functions, and
 * any of that can raise an error.  So it is done inside an internal
 * subtransaction, which is rolled back when something goes wrong.
 *
 * Interrupts are not held: a task may wait for the lock of a catalog, and its
 * session must stay one that can be cancelled.  But a cancel that arrives here
 * must not be swallowed either, so it is asked for again when the task has been
 * rolled back; a statement that has done its work already is over before that
 * is seen.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "monitor/track.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

/* what starting a subtransaction needs at most; tried before, see below */
#define GUARD_RESERVE (128 * 1024)

static MemoryContext guard_context = NULL;

/*
 * Whether there is memory for starting a subtransaction.  Running out of it in
 * the middle of that could not be mended here, so as much is asked for and
 * given back first; and the memory context of the task is made.
 */
static bool
guard_has_memory(void)
{
	void *reserve = MemoryContextAllocExtended(TopMemoryContext, GUARD_RESERVE, MCXT_ALLOC_NO_OOM);

	if (reserve == NULL)
		return false;
	pfree(reserve);
	return true;
}

/*
 * Undoes what a failed task did.  Called in PG_CATCH; returns what went wrong.
 */
static GuardResult
guard_undo(MemoryContext context, ResourceOwner owner)
{
	int sqlstate = geterrcode();

	MemoryContextSwitchTo(context);
	FlushErrorState();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (sqlstate == ERRCODE_QUERY_CANCELED)
	{
		QueryCancelPending = true;
		InterruptPending = true;
	}
	return sqlstate == ERRCODE_OUT_OF_MEMORY ? GUARD_NO_MEMORY : GUARD_ERROR;
}

/*
 * Runs task(arg) in a memory context of its own, whose content lasts until
 * dbperf_guard_reset().  GUARD_IMPOSSIBLE means that the task was not run: in
 * parallel mode, and at the end of a transaction, there are no
 * subtransactions.  Raises no error but what another module's callback may
 * raise at the start of a subtransaction.
 */
GuardResult
dbperf_guarded(void (*task)(void *arg), void *arg)
{
	MemoryContext		 context = CurrentMemoryContext;
	ResourceOwner		 owner = CurrentResourceOwner;
	volatile bool		 begun = false;
	volatile GuardResult result = GUARD_OK;

	if (!IsTransactionState() || IsInParallelMode() || CritSectionCount > 0)
		return GUARD_IMPOSSIBLE;
	if (!guard_has_memory())
		return GUARD_NO_MEMORY;

	dbperf_statements_suspend();
	PG_TRY();
	{
		BeginInternalSubTransaction(NULL);
		begun = true;
		if (guard_context == NULL)
			guard_context = AllocSetContextCreate(TopMemoryContext, "dbperf statement record",
												  ALLOCSET_DEFAULT_SIZES);
		MemoryContextSwitchTo(guard_context);
		task(arg);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		if (!begun)
		{
			dbperf_statements_resume();
			PG_RE_THROW();
		}
		result = guard_undo(context, owner);
	}
	PG_END_TRY();
	dbperf_statements_resume();
	return result;
}

/*
 * Frees what the last task left.
 */
void
dbperf_guard_reset(void)
{
	if (guard_context != NULL)
		MemoryContextReset(guard_context);
}
