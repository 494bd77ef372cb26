/*-------------------------------------------------------------------------
 *
 * exec_errors.c
 *		How statements end that do not end well.
 *
 * The client's own query hears of its error when that is reported, see
 * exec_hooks.c; the same hook sees errors that came before any statement, and
 * FATAL ones, which unwind no stack.  What is still open when its transaction
 * or subtransaction ends is closed by the callbacks for those.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "core/core.h"
#include "core/exec_int.h"
#include "utils/memutils.h"

static emit_log_hook_type prev_emit_log = NULL;

/*
 * The process ends with a FATAL error, which unwinds nothing: tells the
 * modules of each statement that runs now.
 */
static void
statements_fatal(int sqlstate)
{
	DbperfStatement *stmt = dbperf_exec.running;

	while (stmt != NULL)
	{
		DbperfStatement *outer = stmt->outer != stmt ? stmt->outer : NULL;

		if (stmt->running || stmt->starting)
			dbperf_statement_failed(stmt,
									stmt->desc == NULL ? STAGE_UTILITY
									: stmt->starting   ? STAGE_START
													   : STAGE_RUN,
									0, sqlstate);
		stmt = outer;
	}
	dbperf_exec.running = NULL;
}

/*
 * An error is reported that ends a client's statement, or its session.
 */
static void
error_reported(const ErrorData *edata)
{
	if (edata->elevel >= FATAL)
		statements_fatal(edata->sqlerrcode);
	if (dbperf_top_runs())
		dbperf_top_failed(edata->sqlerrcode, true);
	if (edata->elevel != ERROR || dbperf_exec.told_message == GetCurrentStatementStartTimestamp())
		return;
	for (int i = 0; i < dbperf_exec.num_modules; i++)
		if ((dbperf_exec.wanted_top & (1U << i)) != 0 && dbperf_exec.modules[i]->unstarted != NULL)
			dbperf_exec.modules[i]->unstarted(edata->sqlerrcode);
}

static void
dbperf_emit_log(ErrorData *edata)
{
	static bool in_hook = false;

	if (edata->elevel >= ERROR && edata->elevel < PANIC && !in_hook &&
		dbperf_exec.follow >= FOLLOW_TOP && MyBackendType == B_BACKEND)
	{
		in_hook = true;
		error_reported(edata);
		in_hook = false;
	}
	if (prev_emit_log)
		prev_emit_log(edata);
}

/*
 * The end of a transaction that left statements open, or that a module waits
 * for.
 */
static pg_noinline void
xact_ends(XactEvent event)
{
	if (event == XACT_EVENT_ABORT)
		dbperf_pending_aborted();
	if (event != XACT_EVENT_PRE_COMMIT)
		dbperf_statements_close(InvalidSubTransactionId);
	for (int i = 0; i < dbperf_exec.num_modules; i++)
		if (dbperf_exec.modules[i]->xact != NULL)
			dbperf_exec.modules[i]->xact(event);
}

static void
exec_hooks_xact(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT)
	{
		if (TransactionIdIsValid(MyProc->xid))
			xact_ends(event);
	}
	else if (event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
	{
		if (unlikely(dbperf_exec.num_open > 0 || dbperf_exec.pending != NULL ||
					 dbperf_xact_pending))
			xact_ends(event);
	}
}

static void
exec_hooks_subxact(SubXactEvent event, SubTransactionId mySubid, SubTransactionId parentSubid,
				   void *arg)
{
	/* from here on it matters in which subtransaction it was started */
	if (event == SUBXACT_EVENT_START_SUB)
		dbperf_pending_demote(parentSubid);
	else if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		/* one that is inside of ExecutorStart may have caught the error itself */
		if (!dbperf_exec.starting)
			dbperf_exec.pending = NULL;
		dbperf_statements_close(mySubid);
	}
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		if (dbperf_exec.top->subid == mySubid)
			dbperf_exec.top->subid = parentSubid;
		dbperf_statement_adopt(mySubid, parentSubid);
	}
}

/*
 * Registers the callbacks for the ends of transactions, at the first statement
 * that is followed: a session in which nothing is followed is spared them.
 * Returns false without memory for that.
 */
bool
dbperf_exec_callbacks(void)
{
	static bool registered = false;
	void	   *room;

	if (registered)
		return true;
	/* registering would raise an error; so ask for more than that needs first */
	room = MemoryContextAllocExtended(TopMemoryContext, 16 * 1024, MCXT_ALLOC_NO_OOM);
	if (room == NULL)
		return false;
	pfree(room);
	RegisterXactCallback(exec_hooks_xact, NULL);
	RegisterSubXactCallback(exec_hooks_subxact, NULL);
	registered = true;
	return true;
}

/* Installs the hook. */
void
dbperf_exec_errors_init(void)
{
	prev_emit_log = emit_log_hook;
	emit_log_hook = dbperf_emit_log;
}
