/*-------------------------------------------------------------------------
 *
 * capture.c
 *		The parts of a record that read catalogs: plan, parameters, sample.
 *
 * Everything here runs inside dbperf_guarded(), and in its memory context.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "core/core.h"
#include "mb/pg_wchar.h"
#include "monitor/latency_int.h"
#include "monitor/track.h"
#include "utils/timestamp.h"

/* plans with more nodes, or larger constants, are not explained but outlined */
#define MAX_EXPLAINED_NODES 500

/*
 * Appends the text of a statement's plan: as EXPLAIN prints it, or only its
 * structure if printing it would cost too much.  done says whether what was
 * counted in its execution is shown.
 */
static void
plan_text(DbperfStatement *stmt, const PlanFacts *facts, bool done, StringInfo out)
{
	if (facts->nodes > MAX_EXPLAINED_NODES || facts->constant_size > (Size) dbperf_max_plan_length)
		dbperf_plan_structure(stmt->planned, out);
	else
		dbperf_explain_plan(stmt->desc, done, out);

	if (REDACTS_LITERALS())
	{
		/* a mask can be longer than what it covers, but not by more than this */
		Size  size = 3 * (Size) out->len + 16;
		char *masked = palloc(size);
		Size  len = dbperf_mask_plan(masked, size, out->data, out->len, GetDatabaseEncoding());

		resetStringInfo(out);
		appendBinaryStringInfo(out, masked, len);
	}
	out->len = dbperf_clip(out->data, out->len, dbperf_max_plan_length, GetDatabaseEncoding());
}

static void
capture_plan(Capture *capture)
{
	StringInfoData text;
	PlanFacts	   facts;

	dbperf_plan_inspect(capture->stmt->planned, &facts);
	capture->plan_id = facts.plan_id;

	initStringInfo(&text);
	plan_text(capture->stmt, &facts, true, &text);
	capture->plan = text.data;
	capture->plan_len = text.len;
}

static void
capture_params(Capture *capture)
{
	StringInfoData blob;

	initStringInfo(&blob);
	capture->nparams = dbperf_params_text(capture->stmt->params, &blob);
	capture->params = blob.data;
	capture->params_len = blob.len;
}

/*
 * Keeps this execution as the sample of its query.
 */
static void
capture_sample(Capture *capture, LatencySlot *slot, const LatencyKey *key)
{
	SampleHead head = {0};
	ListCell  *lc;

	head.taken_at = GetCurrentTimestamp();
	head.encoding = GetDatabaseEncoding();
	head.query_full_len = capture->query_full_len;
	head.query_len = capture->query_len;
	head.params_len = capture->params_len;
	head.nparams = capture->nparams;
	foreach (lc, fetch_search_path(false))
	{
		if (head.npath < SAMPLE_MAX_SEARCH_PATH && !isTempNamespace(lfirst_oid(lc)))
			head.path[head.npath++] = lfirst_oid(lc);
	}
	head.redacted = REDACTS_LITERALS() ? 1 : 0;
	(void) dbperf_sample_store(slot, key, &head, capture->query, capture->params);
}

/*
 * Keeps the statement's plan, as EXPLAIN without ANALYZE prints it.
 */
static void
capture_plan_text(DbperfStatement *stmt, LatencySlot *slot, const LatencyKey *key)
{
	StringInfoData text;
	PlanFacts	   facts;
	int			   len;

	dbperf_plan_inspect(stmt->planned, &facts);
	if (facts.plan_id != slot->plan_id)
		return;
	initStringInfo(&text);
	plan_text(stmt, &facts, false, &text);
	len = dbperf_clip(text.data, text.len, PLAN_TEXT_MAX, GetDatabaseEncoding());
	dbperf_plan_store(slot, key, facts.plan_id, text.data, len, GetDatabaseEncoding());
}

/*
 * Keeps what is shown with the histogram of this execution, if nobody else has
 * done so.
 */
static void
capture_texts(Capture *capture)
{
	DbperfStatement	 *stmt = capture->stmt;
	TrackedStatement *tracked = dbperf_tracked(stmt);
	LatencySlot		 *slot = dbperf_tracked_slot(stmt, tracked);
	LatencyKey		  key; /* the slot's may be another query's by now */

	dbperf_latency_key(&key, stmt->queryid, tracked->userid, stmt->level == 0);
	if (dbperf_sample_wanted(&key))
		capture_sample(capture, slot, &key);
	if (stmt->desc != NULL && dbperf_plan_capture != PLAN_CAPTURE_OFF)
		capture_plan_text(stmt, slot, &key);
}

/*
 * Fills the parts that a Capture asks for.  What is not captured stays as it
 * was.  May raise errors.
 */
void
dbperf_capture(void *arg)
{
	Capture *capture = arg;

	if (capture->want_params)
		capture_params(capture);
	if (capture->want_texts)
		capture_texts(capture);
	if (capture->want_plan && capture->stmt->desc != NULL)
		capture_plan(capture);
	if (capture->want_log)
		dbperf_log_line(capture);
}

static void
publish_plan(void *arg)
{
	DbperfStatement *stmt = arg;
	StringInfoData	 text;
	PlanFacts		 facts;

	dbperf_plan_inspect(stmt->planned, &facts);
	initStringInfo(&text);
	plan_text(stmt, &facts, false, &text);
	dbperf_publish_plan(text.data, text.len, stmt->queryid, stmt->message);
}

/*
 * Shows the plan of a statement that is about to run, for
 * dbperf.running_queries and in case it never ends well.
 */
void
dbperf_capture_plan_now(DbperfStatement *stmt)
{
	(void) dbperf_guarded(publish_plan, stmt);
	dbperf_guard_reset();
}
