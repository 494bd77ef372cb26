/*-------------------------------------------------------------------------
 *
 * exec_close.c
 *		The ends of statements that do not end well.
 *
 * See exec_hooks.c for who notices them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "core/exec_int.h"

/*
 * An error ended a statement: restores what was before, and tells the modules.
 */
void
dbperf_statement_failed(DbperfStatement *stmt, DbperfStage stage, int level, int sqlstate)
{
	dbperf_exec.running = stmt->outer;
	dbperf_exec.level = level;
	if (stmt->running)
		stmt->elapsed_ns += dbperf_now_ns() - stmt->clock_ns;
	stmt->running = false;
	stmt->starting = false;
	if (stmt->level == 0)
		dbperf_exec.told_message = GetCurrentStatementStartTimestamp();
	dbperf_statement_describe(stmt);
	NOTIFY(stmt, failed, stmt, stage, sqlstate);
	if (stmt->level == 0)
		dbperf_activity_end();
}

/*
 * Whether the client's own query is inside of ExecutorStart or its first
 * ExecutorRun, or between them, in this very message.
 */
bool
dbperf_top_runs(void)
{
	if (dbperf_exec.pending != NULL)
		return dbperf_exec.pending_message == GetCurrentStatementStartTimestamp();
	return dbperf_exec.top->desc != NULL && dbperf_exec.top->running;
}

/*
 * An error has ended the client's own query, or it is known to have ended
 * somehow.  alive says whether what it points to is still there.
 */
void
dbperf_top_failed(int sqlstate, bool alive)
{
	DbperfStatement *top = dbperf_exec.top;
	DbperfStage		 stage = STAGE_RUN;

	dbperf_exec.carrier = NULL;
	if (dbperf_exec.pending != NULL)
	{
		/* nobody knows of it yet */
		stage = STAGE_START;
		statement_begin(top, dbperf_exec.pending,
						alive ? (uint64) dbperf_exec.pending->plannedstmt->queryId : 0,
						dbperf_exec.pending_message, dbperf_exec.wanted_top, 0);
		dbperf_exec.pending = NULL;
	}
	dbperf_exec.starting = false;
	top->outer = NULL;
	if (!alive)
		dbperf_statement_of_text(top, NULL, -1, 0, NULL);
	dbperf_statement_failed(top, stage, 0, sqlstate);
	statement_close(top);
}

static void
statement_abandoned(DbperfStatement *stmt)
{
	NOTIFY(stmt, abandoned, stmt);
}

/*
 * Closes what is open of the statements that were started in subtransaction
 * "from" or in one begun after it: ExecutorEnd is not called for a portal that
 * failed, or was open at abort.
 */
void
dbperf_statements_close(SubTransactionId from)
{
	DbperfStatement *top = dbperf_exec.top;

	if (dbperf_exec.ready && top->desc != NULL && top->subid >= from)
	{
		if (top->running)
			dbperf_top_failed(ERRCODE_TRANSACTION_ROLLBACK, false);
		else
		{
			statement_abandoned(top);
			statement_close(top);
		}
	}
	dbperf_exec.num_open -= dbperf_statement_close_all(statement_abandoned, from);
}

/*
 * The transaction is aborted, and with it a query that was started and did not
 * run.
 */
void
dbperf_pending_aborted(void)
{
	if (dbperf_exec.pending == NULL)
		return;
	if (dbperf_exec.starting)
	{
		dbperf_top_failed(ERRCODE_TRANSACTION_ROLLBACK, false);
		dbperf_exec.level = 0;
	}
	pending_forget();
}

/*
 * Closes the client's own query if it is said to start or run although the
 * client has sent another message since: its error was never seen.
 */
void
dbperf_top_check(void)
{
	DbperfStatement *top = dbperf_exec.top;
	TimestampTz		 message = GetCurrentStatementStartTimestamp();

	if ((dbperf_exec.starting && dbperf_exec.pending_message != message) ||
		(top->desc != NULL && top->running && dbperf_exec.run_message != message))
		dbperf_top_failed(ERRCODE_TRANSACTION_ROLLBACK, false);
}
