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

/* who else hears of the ends of transactions */
static void (*xact_watch)(XactEvent event) = NULL;

/* whether core's callback for them is registered, */
static bool xact_registered = false;

/* and whether there were statements that are to be closed by it */
static bool closes_statements = false;

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
statements_xact(XactEvent event)
{
	if (event == XACT_EVENT_PRE_COMMIT)
	{
		if (TransactionIdIsValid(MyProc->xid))
			xact_ends(event);
	}
	else if (event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
	{
		if (dbperf_exec.num_open > 0 || dbperf_xact_pending)
			xact_ends(event);
	}
}

/*
 * A transaction ends with which there may be something to do.
 */
static pg_noinline void
xact_event(XactEvent event)
{
	if (closes_statements)
		statements_xact(event);
	if (xact_watch != NULL)
		xact_watch(event);
}

/*
 * A transaction has committed.  By now its xid is only known to the server's own
 * function; it may be younger than the last callback.
 */
static pg_noinline void
xact_committed(void)
{
	if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
		xact_event(XACT_EVENT_COMMIT);
}

/*
 * The one callback of all modules: two calls for each transaction are what the
 * server's list costs.  Most transactions wrote nothing and left nothing open, and
 * then none of the others is called.
 */
static void
exec_hooks_xact(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT && likely(!TransactionIdIsValid(MyProc->xid)))
		return;
	if (event == XACT_EVENT_COMMIT && likely(dbperf_exec.num_open == 0 && !dbperf_xact_pending))
		xact_committed();
	else
		xact_event(event);
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
			pending_forget();
		dbperf_statements_close(mySubid);
	}
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		if (dbperf_exec.top->subid == mySubid)
			dbperf_exec.top->subid = parentSubid;
		dbperf_statement_adopt(mySubid, parentSubid);
	}
}

static void
xact_register(void)
{
	if (!xact_registered)
		RegisterXactCallback(exec_hooks_xact, NULL);
	xact_registered = true;
}

/*
 * Has watch called at PRE_COMMIT and COMMIT of each transaction that has an xid
 * at that moment, and at the end of each that is prepared or aborted; maybe of
 * others, too.  Called at most once, while the library is preloaded.
 */
void
dbperf_xact_watch(void (*watch)(XactEvent event))
{
	xact_watch = watch;
	xact_register();
}

/*
 * Registers the callbacks for the ends of transactions, at the first statement
 * that is followed: a session in which nothing is followed is spared them, unless
 * the first is there for dbperf_xact_watch() since the start.  Returns false without
 * memory for that.
 */
bool
dbperf_exec_callbacks(void)
{
	void *room;

	if (closes_statements)
		return true;
	/* registering would raise an error; so ask for more than that needs first */
	room = MemoryContextAllocExtended(TopMemoryContext, 16 * 1024, MCXT_ALLOC_NO_OOM);
	if (room == NULL)
		return false;
	pfree(room);
	xact_register();
	RegisterSubXactCallback(exec_hooks_subxact, NULL);
	closes_statements = true;
	return true;
}

/* Installs the hook. */
void
dbperf_exec_errors_init(void)
{
	prev_emit_log = emit_log_hook;
	emit_log_hook = dbperf_emit_log;
}
