/*-------------------------------------------------------------------------
 *
 * instrument.c
 *		Decides which statements count rows, or time, per plan node.
 *
 * Instrumenting everything is what makes other tools dear.  In the adaptive
 * mode a statement counts rows if its plan is expensive or its query was slow
 * lately, which means in one of the last EXECUTIONS_AFTER_SLOW executions: a
 * quick query that was slow once does not pay for ever.  It is timed as well if
 * its last counted execution has shown that the clock would take less than
 * TIMING_SHARE of its time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "monitor/track.h"
#include "nodes/execnodes.h"
#include "nodes/nodeFuncs.h"

#define EXECUTIONS_AFTER_SLOW 16

/* two readings of the clock for each call of a node, generously */
#define TIMING_NS_PER_CALL 80.0
#define TIMING_SHARE 0.02

/*
 * The instrumentation that the monitor wants for a statement whose plan is
 * expensive, or whose query was slow lately; slot is its histogram.
 */
static int
instrument_options(LatencySlot *slot)
{
	uint32 left;

	switch ((PlanCapture) dbperf_plan_capture)
	{
		case PLAN_CAPTURE_OFF:
		case PLAN_CAPTURE_PLAN:
			return 0;
		case PLAN_CAPTURE_ROWS:
			return INSTRUMENT_ROWS;
		case PLAN_CAPTURE_TIMING:
			return INSTRUMENT_TIMER | INSTRUMENT_ROWS;
		case PLAN_CAPTURE_ADAPTIVE:
			break;
	}

	left = pg_atomic_read_u32(&slot->count_rows);
	while (left > 0 && !pg_atomic_compare_exchange_u32(&slot->count_rows, &left, left - 1))
		;
	if (left == 0)
		return INSTRUMENT_ROWS;
	if (left == 1)
		pg_atomic_fetch_sub_u32(&dbperf_latency_counting()[ASK_FLAG(slot->key.queryid)], 1);
	return pg_atomic_read_u32(&slot->may_time) != 0 ? INSTRUMENT_TIMER | INSTRUMENT_ROWS
													: INSTRUMENT_ROWS;
}

/*
 * Asks for instrumentation of a statement that is about to start, unless
 * somebody else has done so.
 */
void
dbperf_instrument(DbperfStatement *stmt)
{
	TrackedStatement *tracked = dbperf_tracked(stmt);

	if (stmt->desc->instrument_options != 0 || dbperf_min_duration_ns == PG_INT64_MAX)
		return;
	stmt->desc->instrument_options = instrument_options(dbperf_tracked_slot(stmt, tracked));
	tracked->counts_rows = stmt->desc->instrument_options != 0;
}

/*
 * A query was slow: its next executions count rows.
 */
void
dbperf_instrument_slow(LatencySlot *slot)
{
	if (dbperf_plan_capture == PLAN_CAPTURE_ADAPTIVE &&
		pg_atomic_exchange_u32(&slot->count_rows, EXECUTIONS_AFTER_SLOW) == 0)
		pg_atomic_fetch_add_u32(&dbperf_latency_counting()[ASK_FLAG(slot->key.queryid)], 1);
}

/*
 * Adds up how often the nodes of a plan were called.
 */
static bool
count_calls(PlanState *state, void *arg)
{
	double *calls = arg;

	if (state->instrument != NULL)
	{
		InstrEndLoop(state->instrument);
		*calls += state->instrument->ntuples + state->instrument->nloops;
	}
	return planstate_tree_walker(state, count_calls, arg);
}

/*
 * Learns from a slow statement that has counted rows whether its query can
 * afford to be timed.  The statement's plan state must still be there.  May
 * raise an error if the plan is too deep.
 */
void
dbperf_instrument_learn(DbperfStatement *stmt, LatencySlot *slot)
{
	double calls = 0;

	if (stmt->desc->planstate == NULL)
		return;
	(void) count_calls(stmt->desc->planstate, &calls);
	pg_atomic_write_u32(&slot->may_time,
						calls * TIMING_NS_PER_CALL <= stmt->elapsed_ns * TIMING_SHARE ? 1 : 0);
}
