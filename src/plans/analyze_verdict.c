/*-------------------------------------------------------------------------
 *
 * analyze_verdict.c
 *		What dbperf.analyze_query() says about a plan, besides its findings.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "plans/analyze.h"
#include "plans/findings.h"

/* that many functions are named */
#define MAX_NAMED 5

/* bytes of the plan of an execution that was stopped */
#define MAX_SHOWN_PLAN (64 * 1024)

/*
 * What the plan's judges need to know.
 */
static void
fill_subject(const Analysis *analysis, FindingSubject *subject)
{
	subject->tree = dbperf_plan_parse(analysis->plan_text);
	subject->query = analysis->query;
	subject->relations = analysis->relations;
	subject->duration_ms = analysis->duration_ms;
	subject->planning_ms = analysis->planning_ms;
	subject->jit_ms = analysis->jit_ms;
	subject->work_mem_kb = work_mem;
	subject->temp_blks_read = analysis->buffers.temp_blks_read;
	subject->temp_blks_written = analysis->buffers.temp_blks_written;
	subject->shared_blks_hit = analysis->buffers.shared_blks_hit;
	subject->shared_blks_read = analysis->buffers.shared_blks_read;
}

/*
 * Whether a finding still holds if the execution was stopped: nodes may have had
 * rows to come, and what workers did is not known.
 */
static bool
holds_when_stopped(const Finding *finding)
{
	static const char *const estimates[] = {"row_misestimate", "stale_statistics",
											"missing_statistics"};
	const PlanNode			*node = finding->node;

	if (strcmp(finding->code, "workers_not_launched") == 0)
		return false;
	for (int i = 0; i < lengthof(estimates); i++)
	{
		if (strcmp(finding->code, estimates[i]) == 0)
			return node == NULL || node->actual_rows >= node->plan_rows;
	}
	return true;
}

static Finding *
make_finding(FindingSeverity severity, const char *code, char *evidence, char *advice)
{
	Finding *finding = palloc0(sizeof(Finding));

	finding->severity = severity;
	finding->code = code;
	finding->evidence = evidence;
	finding->advice = advice;
	finding->gain_ms = -1;
	return finding;
}

/*
 * The finding of an execution that the time limit has stopped.  Nothing else
 * shows its plan.
 */
static Finding *
timed_out(const Analysis *analysis)
{
	int len = dbperf_clip(analysis->plan_text, strlen(analysis->plan_text), MAX_SHOWN_PLAN,
						  GetDatabaseEncoding());

	return make_finding(
		FINDING_CRITICAL, "timed_out",
		psprintf("It was stopped after %.0f ms, and had not ended.  Its plan until then:\n%.*s",
				 analysis->duration_ms, len, analysis->plan_text),
		pstrdup("The other findings judge what had been executed until then.  To see it to its "
				"end, raise dbperf.analyze_query_timeout, and statement_timeout if that is set."));
}

/*
 * The finding of an execution that may have left something, or NULL.
 */
static Finding *
not_rolled_back(const Analysis *analysis)
{
	StringInfoData evidence;
	ListCell	  *lc;

	if (!analysis->writes && analysis->effects == NIL)
		return NULL;
	initStringInfo(&evidence);
	if (analysis->writes)
		appendStringInfoString(&evidence, "What it wrote or locked was rolled back.");
	if (analysis->effects != NIL)
	{
		if (analysis->writes)
			appendStringInfoChar(&evidence, ' ');
		appendStringInfoString(&evidence, "It has called functions that may do more: ");
	}
	foreach (lc, analysis->effects)
	{
		int n = foreach_current_index(lc);

		if (n == MAX_NAMED)
		{
			appendStringInfo(&evidence, " and %d more", list_length(analysis->effects) - n);
			break;
		}
		appendStringInfo(&evidence, "%s%s", n > 0 ? ", " : "", (char *) lfirst(lc));
	}
	if (analysis->effects != NIL)
		appendStringInfoChar(&evidence, '.');
	return make_finding(
		FINDING_INFO, "not_rolled_back", evidence.data,
		pstrdup("Values that sequences gave out, notices, advisory locks of the session, and work "
				"done outside of the transaction (dblink, programs, files) stay; written rows stay "
				"as dead ones until VACUUM.  Deferred constraints and triggers did not fire."));
}

/*
 * Fills findings.
 */
void
dbperf_analyze_verdict(Analysis *analysis)
{
	FindingSubject subject = {0};
	Finding		  *left;
	ListCell	  *lc;

	fill_subject(analysis, &subject);
	if (analysis->timed_out)
		analysis->findings = list_make1(timed_out(analysis));
	if (subject.tree != NULL)
	{
		foreach (lc, dbperf_findings(&subject))
		{
			if (!analysis->timed_out || holds_when_stopped(lfirst(lc)))
				analysis->findings = lappend(analysis->findings, lfirst(lc));
		}
	}
	left = analysis->execute ? not_rolled_back(analysis) : NULL;
	if (left != NULL)
		analysis->findings = lappend(analysis->findings, left);
}
