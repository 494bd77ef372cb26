/*-------------------------------------------------------------------------
 *
 * errors.c
 *		Statements that fail where no executor hook sees them.
 *
 * A syntax error, an unknown table, or a statement_timeout while parse
 * analysis waits for a lock: nothing has been planned or started yet.  But an
 * error that ends a client's statement is reported, and at that moment the
 * text is still there (by the time of the abort callbacks it is gone).  Errors
 * that log_min_messages keeps out of the server's log are not seen here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "core/core.h"
#include "core/exec_hooks.h"
#include "miscadmin.h"
#include "monitor/latency.h"
#include "monitor/track.h"
#include "parser/analyze.h"
#include "tcop/tcopprot.h"

static post_parse_analyze_hook_type prev_post_parse_analyze = NULL;

/* the message that was parsed last, and the query id found for it */
static TimestampTz parsed_message = 0;
static uint64	   parsed_queryid = 0;

/*
 * An error has ended a client's statement before it was planned: counts it,
 * and records it if it took long.
 */
void
dbperf_unstarted(int sqlstate)
{
	int64  now = dbperf_now_ns();
	int64  pre_ns;
	uint64 queryid = 0;

	if (dbperf_backend_slots == NULL ||
		(debug_query_string == NULL && !dbperf_commit_implicit(now)))
		return;
	if (dbperf_my_slot == NULL)
		dbperf_track_first();
	if (!dbperf_commit_failed(sqlstate))
	{
		pre_ns = dbperf_pre_execution_ns(GetCurrentStatementStartTimestamp(), now);
		if (parsed_message == GetCurrentStatementStartTimestamp())
			queryid = parsed_queryid;
		dbperf_latency_add(dbperf_latency_slot(queryid, GetUserId(), true, NULL), pre_ns, now,
						   true);
		if (pre_ns >= dbperf_min_duration_ns)
			dbperf_record_unstarted(debug_query_string, queryid, pre_ns, sqlstate);
		dbperf_clock.top_end_ns = now;
	}
	if (dbperf_my_slot != NULL)
		dbperf_slot_skip_statement(dbperf_my_slot);
}

static void
dbperf_post_parse_analyze(ParseState *pstate, Query *query, JumbleState *jstate)
{
	if (prev_post_parse_analyze)
		prev_post_parse_analyze(pstate, query, jstate);

	if (dbperf_enabled && dbperf_statement_level() == 0)
	{
		parsed_message = GetCurrentStatementStartTimestamp();
		parsed_queryid = (uint64) query->queryId;
		dbperf_note_parsed(parsed_queryid,
						   query->utilityStmt != NULL ? nodeTag(query->utilityStmt) : T_Invalid);
	}
}

/* Installs the hook. */
void
dbperf_errors_init(void)
{
	prev_post_parse_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = dbperf_post_parse_analyze;
}
