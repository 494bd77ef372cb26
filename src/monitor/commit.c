/*-------------------------------------------------------------------------
 *
 * commit.c
 *		Slow COMMITs: flushing WAL, synchronous replication, deferred triggers.
 *
 * ProcessUtility of a COMMIT only marks the transaction; its work is done
 * afterwards.  So the statement is kept here until the transaction has ended,
 * one way or the other, and recorded with the time of all of it.
 *
 * A transaction of a single statement without BEGIN has no COMMIT to record.
 * If its end takes longer than the threshold, that is recorded as a COMMIT of
 * its own; not when the threshold is 0, where every statement has exactly one
 * record.
 *
 * The callbacks here run where an error would be a PANIC: nothing allocates.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "core/core.h"
#include "miscadmin.h"
#include "monitor/track.h"
#include "tcop/tcopprot.h"

#define COMMIT_TEXT_SIZE 1024

/* A COMMIT or PREPARE TRANSACTION between ProcessUtility and its end. */
typedef struct PendingCommit
{
	bool		 active;
	SlowRecord	 head;
	LatencySlot *slot;
	int64		 started_ns;
	int			 text_len;
	char		 text[COMMIT_TEXT_SIZE];
} PendingCommit;

static PendingCommit pending;

/* when PRE_COMMIT of a transaction without COMMIT was reached, or 0 */
static int64 implicit_started_ns = 0;

/*
 * Takes over a utility statement if it is a COMMIT whose work is still to be
 * done.  Returns whether it is.
 */
bool
dbperf_commit_begins(DbperfStatement *stmt, const QueryCompletion *qc)
{
	TrackedStatement *tracked = dbperf_tracked(stmt);
	int				  full_len;

	if (stmt->level != 0 || (stmt->tag != CMDTAG_COMMIT && stmt->tag != CMDTAG_PREPARE_TRANSACTION))
		return false;
	/* in a failed transaction it was a ROLLBACK, and all is done */
	if (qc != NULL && qc->commandTag == CMDTAG_ROLLBACK)
		return false;

	pending.started_ns = stmt->clock_ns - stmt->elapsed_ns;
	pending.slot = dbperf_tracked_slot(stmt, tracked);
	dbperf_record_head(&pending.head, stmt->elapsed_ns, stmt->clock_ns);
	pending.head.queryid = stmt->queryid;
	pending.head.pre_execution_ns = tracked->pre_ns;
	strlcpy(pending.head.command, GetCommandTagName(stmt->tag), sizeof(pending.head.command));
	pending.text_len = dbperf_record_mask(stmt->source, stmt->location, stmt->length, pending.text,
										  COMMIT_TEXT_SIZE, &full_len);
	pending.head.query_full_len = full_len;
	pending.active = true;
	dbperf_xact_pending = true;
	return true;
}

/*
 * The transaction of the pending COMMIT has ended.
 */
static void
commit_finish(int sqlstate)
{
	int64 now = dbperf_now_ns();

	pending.active = false;
	dbperf_xact_pending = false;
	pending.head.duration_ns = now - pending.started_ns;
	pending.head.sqlstate = sqlstate;
	dbperf_latency_add(pending.slot, pending.head.duration_ns, now, sqlstate != 0);
	if (pending.head.duration_ns >= dbperf_min_duration_ns ||
		pending.head.pre_execution_ns >= dbperf_min_duration_ns)
		dbperf_record_commit(&pending.head, pending.text, pending.text_len);
	dbperf_cpu_spent(pending.head.duration_ns);
	dbperf_clock.top_end_ns = now;
	dbperf_activity_end();
}

/*
 * An error was reported to the client: if a COMMIT was pending, it is its own.
 * Returns whether there was one.
 */
bool
dbperf_commit_failed(int sqlstate)
{
	if (!pending.active)
		return false;
	commit_finish(sqlstate);
	return true;
}

/*
 * Whether an error that comes now, without any text, is that of a transaction
 * without COMMIT: in the extended protocol it ends with Sync, which belongs to
 * the message before it.
 */
bool
dbperf_commit_implicit(int64 now)
{
	int64 message =
		GetCurrentStatementStartTimestamp() * INT64CONST(1000) - dbperf_wall_offset_ns(now);

	return dbperf_clock.top_end_ns >= message;
}

/*
 * When a transaction without COMMIT began to end: with the end of its statement,
 * since deferred triggers fire before PRE_COMMIT.
 */
static int64
implicit_start(void)
{
	int64 now = dbperf_now_ns();

	return dbperf_commit_implicit(now) ? dbperf_clock.top_end_ns : now;
}

/*
 * A transaction without COMMIT has ended.
 */
static void
implicit_commit(void)
{
	int64	   now = dbperf_now_ns();
	int64	   started = implicit_started_ns;
	SlowRecord head;

	implicit_started_ns = 0;
	dbperf_xact_pending = false;
	if (now - started < dbperf_min_duration_ns)
		return;
	dbperf_record_head(&head, now - started, now);
	strlcpy(head.command, GetCommandTagName(CMDTAG_COMMIT), sizeof(head.command));
	pending.text_len = dbperf_record_mask(debug_query_string, 0, 0, pending.text, COMMIT_TEXT_SIZE,
										  &head.query_full_len);
	dbperf_record_commit(&head, pending.text, pending.text_len);
}

/*
 * A transaction that wrote is about to commit, or one ends that was waited for.
 */
void
dbperf_commit_xact(XactEvent event)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (!pending.active && dbperf_enabled && dbperf_track != TRACK_NONE &&
				dbperf_min_duration_ns > 0 && MyBackendType == B_BACKEND)
			{
				implicit_started_ns = implicit_start();
				dbperf_xact_pending = true;
			}
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			if (pending.active)
				commit_finish(0);
			else if (implicit_started_ns != 0)
				implicit_commit();
			break;
		case XACT_EVENT_ABORT:
			/* normally told by dbperf_commit_failed already */
			if (pending.active)
				commit_finish(ERRCODE_TRANSACTION_ROLLBACK);
			implicit_started_ns = 0;
			dbperf_xact_pending = false;
			break;
		default:
			break;
	}
}
