/*-------------------------------------------------------------------------
 *
 * track.c
 *		Follows statements from their start to their end.
 *
 * The fast path is what most statements take: nothing here allocates, locks or
 * makes a system call for them.  The slow path begins where dbperf_is_slow()
 * says so, and is in record.c.
 *
 * A statement is complete when its last row was processed, not when its portal
 * goes away: a plain query after a Run to the end, anything that modifies data
 * after ExecutorFinish.  Its plan's state and its text are sure to be there at
 * that point, which cannot be said of ExecutorEnd, and no later error can
 * undo that it ended well.  Only a cursor that was read in pieces is completed
 * by ExecutorEnd, or by the end of its transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "core/core.h"
#include "miscadmin.h"
#include "monitor/counters.h"
#include "monitor/latency_int.h"
#include "monitor/track.h"
#include "utils/float.h"
#include "utils/memutils.h"

int64 dbperf_min_duration_ns = INT64CONST(100000000);

Size dbperf_track_offset;

static int module_number = -1;

/*
 * Adds what was used since the part began that runs now or has just ended.
 */
void
dbperf_track_usage(DbperfStatement *stmt)
{
	TrackedStatement *tracked = dbperf_tracked(stmt);

	if (!tracked->has_usage)
	{
		memset(&tracked->buffers, 0, sizeof(tracked->buffers));
		memset(&tracked->wal, 0, sizeof(tracked->wal));
		tracked->has_usage = true;
	}
	if (tracked->usage_added || !stmt->measured)
		return;
	BufferUsageAccumDiff(&tracked->buffers, &pgBufferUsage, &stmt->buffers_start);
	WalUsageAccumDiff(&tracked->wal, &pgWalUsage, &stmt->wal_start);
	tracked->usage_added = true;
}

/*
 * dbperf.track has a new value.  Called at any time after the settings were
 * defined, also before the module is registered.
 */
void
dbperf_track_follow(int track)
{
	if (module_number >= 0)
		dbperf_statement_follow(module_number, track == TRACK_ALL	? FOLLOW_ALL
											   : track == TRACK_TOP ? FOLLOW_TOP
																	: FOLLOW_NONE);
}

/*
 * dbperf.plan_capture or dbperf.instrument_cost have a new value: which
 * queries' starts are of interest?
 */
void
dbperf_track_ask(void)
{
	double cost = dbperf_instrument_cost;

	if (module_number < 0)
		return;
	if (dbperf_plan_capture == PLAN_CAPTURE_ROWS || dbperf_plan_capture == PLAN_CAPTURE_TIMING)
		cost = 0;
	else if (dbperf_plan_capture == PLAN_CAPTURE_OFF)
		cost = get_float8_infinity();
	dbperf_statement_ask(module_number, cost, dbperf_latency_counting());
}

/*
 * Fills the monitor's part of a new statement.
 */
static void
track_begin(DbperfStatement *stmt, TrackedStatement *tracked)
{
	stmt->begun |= 1U << module_number;
	tracked->slot = NULL;
	tracked->pre_ns = RECORD_UNKNOWN;
	tracked->planning_ns = dbperf_take_planned(stmt->queryid);
	tracked->rows = 0;
	tracked->userid = GetUserId();
	tracked->has_pre = stmt->level > 0;
	tracked->done = false;
	tracked->counts_rows = false;
	tracked->has_usage = false;
	tracked->usage_added = false;
	tracked->saved_text = NULL;
	tracked->saved_len = 0;
	tracked->saved_full_len = 0;
}

/*
 * The same, if the statement has none yet.
 */
static inline TrackedStatement *
track_known(DbperfStatement *stmt)
{
	TrackedStatement *tracked = dbperf_tracked(stmt);

	if ((stmt->begun & (1U << module_number)) == 0)
		track_begin(stmt, tracked);
	return tracked;
}

/*
 * The first statement of a process: makes what later ones find ready.
 */
pg_noinline void
dbperf_track_first(void)
{
	dbperf_backend_slot_claim();
	if (dbperf_my_slot != NULL)
	{
		dbperf_activity.asleep = dbperf_waits_asleep_flag;
		dbperf_activity.wake = dbperf_waits_wake;
		dbperf_activity.counter = &dbperf_my_slot->statement;
	}
	dbperf_record_prepare();
	dbperf_cpu_baseline();
}

static void
attach_samples(void *arg)
{
	dbperf_sample_attach();
}

/*
 * Gives back what a statement may have saved.
 */
static inline void
track_release(TrackedStatement *tracked)
{
	if (unlikely(tracked->saved_text != NULL))
	{
		pfree(tracked->saved_text);
		tracked->saved_text = NULL;
	}
}

/*
 * A statement is complete: counts it, and records it if it was slow.
 */
static void
track_complete(DbperfStatement *stmt, TrackedStatement *tracked)
{
	LatencySlot *slot = dbperf_tracked_slot(stmt, tracked);

	tracked->done = true;
	dbperf_latency_add(slot, stmt->elapsed_ns, stmt->clock_ns, false);
	if (dbperf_is_slow(stmt, tracked) || pg_atomic_read_u32(&slot->has_texts) == 0)
		dbperf_record_done(stmt);
	if (stmt->level == 0)
	{
		dbperf_cpu_spent(stmt->elapsed_ns);
		dbperf_clock.top_end_ns = stmt->clock_ns;
	}
	track_release(tracked);
}

/*
 * Measures the time before a statement, once.
 */
static inline void
track_pre_execution(DbperfStatement *stmt, TrackedStatement *tracked, int64 now)
{
	if (!tracked->has_pre)
	{
		if (MyBackendType == B_BACKEND)
			tracked->pre_ns = dbperf_pre_execution_ns(stmt->message, now);
		tracked->has_pre = true;
	}
}

/*
 * The first query of a process: makes what lasts as long as the process before
 * a statement's own memory is allocated, or that could not go back to the end
 * of the heap.
 */
static void
track_first_query(void)
{
	static bool ready = false;

	if (ready)
		return;
	ready = true;
	dbperf_track_first();
	(void) dbperf_guarded(attach_samples, NULL);
}

static void
track_start(DbperfStatement *stmt)
{
	TrackedStatement *tracked = dbperf_tracked(stmt);
	bool			  expensive = stmt->planned->planTree->total_cost >= dbperf_instrument_cost;

	track_first_query();
	track_begin(stmt, tracked);
	if (expensive || pg_atomic_read_u32(&dbperf_tracked_slot(stmt, tracked)->count_rows) > 0 ||
		dbperf_plan_capture == PLAN_CAPTURE_ROWS || dbperf_plan_capture == PLAN_CAPTURE_TIMING)
		dbperf_instrument(stmt);
	if (stmt->level == 0)
		stmt->notify_started = stmt->cursor || expensive;
}

/*
 * Of most statements the time before execution is found out when they have
 * ended.  But a cursor may wait for its first FETCH, and showing the plan of an
 * expensive statement takes time of its own.
 */
static void
track_started(DbperfStatement *stmt)
{
	TrackedStatement *tracked = dbperf_tracked(stmt);

	track_pre_execution(stmt, tracked, dbperf_now_ns());
	if (dbperf_plan_capture != PLAN_CAPTURE_OFF &&
		stmt->planned->planTree->total_cost >= dbperf_instrument_cost)
		dbperf_capture_plan_now(stmt);
	if (stmt->cursor)
	{
		if (dbperf_is_slow(stmt, tracked))
			dbperf_record_save_text(stmt);
		stmt->notify_run = true;
	}
}

/*
 * A cursor goes on, or ExecutorFinish begins.
 */
static void
track_run(DbperfStatement *stmt)
{
	dbperf_tracked(stmt)->usage_added = false;
}

/*
 * A Run has ended that was not of the usual kind.
 */
static pg_noinline bool
track_ran_other(DbperfStatement *stmt, uint64 count)
{
	TrackedStatement *tracked = track_known(stmt);
	bool			  plain;

	dbperf_statement_describe(stmt);
	plain = stmt->desc->operation == CMD_SELECT && !stmt->planned->hasModifyingCTE;
	track_pre_execution(stmt, tracked, stmt->clock_ns - stmt->elapsed_ns);
	tracked->rows += stmt->desc->estate->es_processed;
	if (plain && count == 0)
		track_complete(stmt, tracked);
	else
	{
		/* should the statement never end well, its plan is not there any more */
		(void) dbperf_tracked_slot(stmt, tracked);
		dbperf_track_usage(stmt);
		stmt->notify_run = true;
		if (plain && dbperf_is_slow(stmt, tracked))
			dbperf_record_save_text(stmt);
	}
	return tracked->done;
}

/*
 * A Run has ended.  With count 0 it went to the end.  What happens here in the
 * usual case, a quick query that is known, is all that most statements cost.
 */
static bool
track_ran(DbperfStatement *stmt, uint64 count)
{
	QueryDesc	*desc = stmt->desc;
	LatencySlot *slot;
	int64		 pre_ns;

	if (unlikely(stmt->begun != 0 || count != 0 || desc->operation != CMD_SELECT ||
				 desc->plannedstmt->hasModifyingCTE || stmt->elapsed_ns >= dbperf_min_duration_ns))
		return track_ran_other(stmt, count);

	slot = dbperf_latency_slot_of_plan(stmt->queryid, GetUserId(), true, desc->plannedstmt,
									   dbperf_clock.planned_ns != 0);
	pre_ns = dbperf_pre_execution_ns(stmt->message, stmt->clock_ns - stmt->elapsed_ns);
	if (unlikely(pre_ns >= dbperf_min_duration_ns || pg_atomic_read_u32(&slot->has_texts) == 0))
	{
		TrackedStatement *tracked = track_known(stmt);

		tracked->pre_ns = pre_ns;
		tracked->has_pre = true;
		return track_ran_other(stmt, count);
	}

	dbperf_latency_add(slot, stmt->elapsed_ns, stmt->clock_ns, false);
	dbperf_cpu_spent(stmt->elapsed_ns);
	dbperf_clock.top_end_ns = stmt->clock_ns;
	dbperf_clock.planned_ns = 0;
	return true;
}

static bool
track_finished(DbperfStatement *stmt)
{
	TrackedStatement *tracked = track_known(stmt);

	dbperf_statement_describe(stmt);
	track_complete(stmt, tracked);
	return true;
}

static void
track_end(DbperfStatement *stmt)
{
	TrackedStatement *tracked = track_known(stmt);

	/* a cursor that was read in pieces, or not at all */
	dbperf_statement_describe(stmt);
	track_pre_execution(stmt, tracked, dbperf_now_ns());
	stmt->clock_ns = dbperf_now_ns();
	track_complete(stmt, tracked);
}

static void
track_utility(DbperfStatement *stmt, PlannedStmt *pstmt)
{
	TrackedStatement *tracked = dbperf_tracked(stmt);

	if (unlikely(dbperf_my_slot == NULL))
		dbperf_track_first();
	if (stmt->queryid == 0 && stmt->level == 0)
		stmt->queryid = dbperf_parsed_queryid(nodeTag(pstmt->utilityStmt));
	track_begin(stmt, tracked);
	track_pre_execution(stmt, tracked, stmt->clock_ns);
}

static void
track_utility_done(DbperfStatement *stmt, const QueryCompletion *qc)
{
	TrackedStatement *tracked = dbperf_tracked(stmt);

	if (qc != NULL)
		tracked->rows = qc->nprocessed;
	/* the work of COMMIT comes after this */
	if (dbperf_commit_begins(stmt, qc))
		return;
	track_complete(stmt, tracked);
}

static void
track_planned(DbperfStatement *stmt, int64 ns)
{
	dbperf_clock.planned_queryid = stmt->queryid;
	dbperf_clock.planned_ns = ns;
}

/*
 * An error has ended a statement: no memory, no catalog.
 */
static void
track_failed(DbperfStatement *stmt, DbperfStage stage, int sqlstate)
{
	TrackedStatement *tracked = track_known(stmt);
	int64			  now = dbperf_now_ns();

	track_pre_execution(stmt, tracked, now - stmt->elapsed_ns);
	tracked->done = true;
	dbperf_latency_add(dbperf_tracked_slot(stmt, tracked), stmt->elapsed_ns, now, true);
	if (dbperf_is_slow(stmt, tracked))
		dbperf_record_failed(stmt, sqlstate);
	track_release(tracked);
	if (stmt->level == 0)
	{
		dbperf_cpu_spent(stmt->elapsed_ns);
		dbperf_clock.top_end_ns = now;
	}
}

/*
 * A query is a call of dbperf's: marks its histogram.  The statement is not touched,
 * and takes its usual way.  Without a query id it has none of its own.
 */
static void
track_own(DbperfStatement *stmt)
{
	LatencySlot *slot;

	if (stmt->queryid == 0)
		return;
	slot = dbperf_latency_slot_of_plan(stmt->queryid, GetUserId(), true, stmt->desc->plannedstmt,
									   true);
	pg_atomic_write_u32(&slot->own, 1);
}

/*
 * There was no memory to follow a statement.
 */
static void
track_lost(void)
{
	pg_atomic_fetch_add_u64(&dbperf_counters->statements, 1);
	pg_atomic_fetch_add_u64(&dbperf_counters->dropped_memory, 1);
}

static void
track_abandoned(DbperfStatement *stmt)
{
	TrackedStatement *tracked = track_known(stmt);

	if (!tracked->done)
	{
		tracked->done = true;
		stmt->planned = NULL;
		dbperf_latency_add(dbperf_tracked_slot(stmt, tracked), stmt->elapsed_ns, dbperf_now_ns(),
						   false);
		if (dbperf_is_slow(stmt, tracked))
			dbperf_record_abandoned(stmt);
	}
	track_release(tracked);
}

/*
 * Registers the monitor's callbacks.
 */
void
dbperf_track_init(void)
{
	static const DbperfStatementModule module = {
		.name = "monitor",
		.data_size = sizeof(TrackedStatement),
		.start = track_start,
		.started = track_started,
		.run = track_run,
		.ran = track_ran,
		.finished = track_finished,
		.end = track_end,
		.utility = track_utility,
		.utility_done = track_utility_done,
		.planned = track_planned,
		.failed = track_failed,
		.unstarted = dbperf_unstarted,
		.abandoned = track_abandoned,
		.own = track_own,
		.lost = track_lost,
		.xact = dbperf_commit_xact,
	};

	module_number = dbperf_statement_register(&module, &dbperf_track_offset);
	dbperf_track_follow(dbperf_track);
	dbperf_track_ask();
}
