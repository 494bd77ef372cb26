/*-------------------------------------------------------------------------
 *
 * compat.c
 *		Functions that differ between supported server releases.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/explain.h"
#include "core/compat.h"
#include "jit/jit.h"
#include "utils/wait_event.h"
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif

/*
 * Whether pgstat_get_wait_event() can name an event.  From 17 on extensions
 * have events of their own, numbered from 1, and asking for one that does not
 * exist in this run of the server is an error.
 */
bool
dbperf_wait_event_known(uint32 event)
{
#if PG_VERSION_NUM >= 170000
	if ((event & 0xFF000000U) == PG_WAIT_EXTENSION)
	{
		int n;

		pfree(GetWaitEventCustomNames(PG_WAIT_EXTENSION, &n));
		return (event & 0xFFFFU) <= n;
	}
#endif
	return true;
}

/*
 * An interval of the server's clock in nanoseconds.  Until 15 instr_time is a
 * timespec, from 16 on it is ticks.
 */
int64
dbperf_instr_time_ns(instr_time t)
{
#if PG_VERSION_NUM >= 160000
	return INSTR_TIME_GET_NANOSEC(t);
#else
	return (int64) t.tv_sec * INT64CONST(1000000000) + t.tv_nsec;
#endif
}

/*
 * Time spent reading and writing shared and local blocks, if track_io_timing
 * is on.  17 made it two figures.
 */
int64
dbperf_blk_read_ns(const BufferUsage *usage)
{
#if PG_VERSION_NUM >= 170000
	return dbperf_instr_time_ns(usage->shared_blk_read_time) +
		   dbperf_instr_time_ns(usage->local_blk_read_time);
#else
	return dbperf_instr_time_ns(usage->blk_read_time);
#endif
}

int64
dbperf_blk_write_ns(const BufferUsage *usage)
{
#if PG_VERSION_NUM >= 170000
	return dbperf_instr_time_ns(usage->shared_blk_write_time) +
		   dbperf_instr_time_ns(usage->local_blk_write_time);
#else
	return dbperf_instr_time_ns(usage->blk_write_time);
#endif
}

/*
 * What JIT compilation of a statement has cost so far, in this process.  17
 * counts the deforming functions apart, but inside of generation_counter.
 */
int64
dbperf_jit_ns(QueryDesc *queryDesc)
{
	JitContext *jit = queryDesc->estate != NULL ? queryDesc->estate->es_jit : NULL;

	if (jit == NULL)
		return 0;
	return dbperf_instr_time_ns(jit->instr.generation_counter) +
		   dbperf_instr_time_ns(jit->instr.inlining_counter) +
		   dbperf_instr_time_ns(jit->instr.optimization_counter) +
		   dbperf_instr_time_ns(jit->instr.emission_counter);
}

/*
 * Appends the plan as EXPLAIN shows it: with actual rows, and with times, if
 * the statement was executed with that instrumentation and done is true.  18
 * moved ExplainState to a header of its own.  Errors of the expressions'
 * output functions get out.
 */
void
dbperf_explain_plan(QueryDesc *queryDesc, bool done, StringInfo out)
{
	ExplainState *es = NewExplainState();

	es->analyze = done && queryDesc->instrument_options != 0;
	es->buffers = es->analyze && (queryDesc->instrument_options & INSTRUMENT_BUFFERS) != 0;
	es->timing = es->analyze && (queryDesc->instrument_options & INSTRUMENT_TIMER) != 0;
	es->summary = es->analyze;
	es->format = EXPLAIN_FORMAT_TEXT;

	ExplainBeginOutput(es);
	ExplainPrintPlan(es, queryDesc);
	if (es->analyze)
		ExplainPrintTriggers(es, queryDesc);
	if (es->costs && done)
		ExplainPrintJITSummary(es, queryDesc);
	ExplainEndOutput(es);

	while (es->str->len > 0 && es->str->data[es->str->len - 1] == '\n')
		es->str->len--;
	appendBinaryStringInfo(out, es->str->data, es->str->len);
}
