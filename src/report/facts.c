/*-------------------------------------------------------------------------
 *
 * facts.c
 *		Shows one list of facts, whatever happens.
 *
 * The page must come when it is needed most: with a lock that does not get
 * free, on a server that is slow, for a role that may not see everything.  So
 * each list is asked for in a subtransaction, those that can be dear with a
 * limit on their time, and what fails is a sentence in the place of the list.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "core/core.h"
#include "miscadmin.h"
#include "report/facts.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/resowner.h"

/* In a shorter period the minutes at its edges matter. */
#define SHORT_PERIOD_MINUTES 10

/* Longer than this no list waits for a lock. */
#define LOCK_WAIT_MS 200

/*
 * Says why a list is not there: hidden for want of a privilege, or what the
 * error says.
 */
static void
say_why(ReportPage *page, const ReportFacts *facts, bool late, const char *message)
{
	StringInfoData note;

	initStringInfo(&note);
	if (late)
		appendStringInfo(&note, "Left out: it took longer than %d ms.%s%s", facts->limit_ms,
						 facts->late != NULL ? " " : "", facts->late != NULL ? facts->late : "");
	else
		appendStringInfo(&note, "Not shown: %s.", message);
	dbperf_html_note(page, note.data);
	pfree(note.data);
}

/*
 * The list, within the subtransaction, at whose end lock_timeout is as before.
 */
static uint64
ask(ReportPage *page, const ReportFacts *facts)
{
	const char *hidden = NULL;
	uint64		rows;

	if (facts->hidden != NULL && !has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS))
		hidden = facts->hidden;
	if (LockTimeout == 0 || LockTimeout > LOCK_WAIT_MS)
		(void) set_config_option("lock_timeout", CppAsString2(LOCK_WAIT_MS), PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	if (facts->limit_ms > 0)
		dbperf_time_limit_begin(facts->limit_ms);
	rows = dbperf_report_table(page, facts->sql, facts->columns, facts->num_columns,
							   hidden != NULL ? hidden : facts->empty);
	if (hidden != NULL && rows > 0)
		dbperf_html_note(page, hidden);
	if (facts->limit_ms > 0)
		dbperf_time_limit_end(false);
	return rows;
}

/*
 * Shows a list.  What it wrote before an error is taken back; a cancel of the
 * user's and the like are thrown on, a lock that was not got in time is not.
 */
ReportFactsState
dbperf_report_facts(ReportPage *page, const ReportFacts *facts)
{
	MemoryContext	caller = CurrentMemoryContext;
	ResourceOwner	owner = CurrentResourceOwner;
	volatile uint64 rows = 0;
	volatile bool	late = false;
	ErrorData *volatile error = NULL;
	int start;

	if (facts->title != NULL)
		dbperf_html_heading(page, facts->title);
	start = page->html.len;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		rows = ask(page, facts);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		late = facts->limit_ms > 0 && dbperf_time_limit_caught();
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;

	if (error == NULL)
		return rows > 0 ? REPORT_FACTS_SHOWN : REPORT_FACTS_EMPTY;
	if (!late && dbperf_must_rethrow(error))
		ReThrowError(error);
	page->html.len = start;
	page->html.data[start] = '\0';
	say_why(page, facts, late, error->message);
	FreeErrorData(error);
	return late ? REPORT_FACTS_LATE : REPORT_FACTS_REFUSED;
}

/* Whether a period is too short for counts by the minute to be exact. */
static bool
is_short(const ReportPeriod *period)
{
	return period->until - period->since < SHORT_PERIOD_MINUTES * SECS_PER_MINUTE * USECS_PER_SEC;
}

/*
 * Says that the counts of queries are inexact where a period is short.
 */
void
dbperf_note_short_period(ReportPage *page)
{
	if (is_short(&page->period) || (page->compare && is_short(&page->before)))
		dbperf_html_note(page, "Calls are counted to the minute: in a period this short many of "
							   "them may be of the time just before or after.");
}

/*
 * Says above advice, on a standby, where it is to be followed.
 */
void
dbperf_note_standby(ReportPage *page, const char *text)
{
	if (RecoveryInProgress())
		dbperf_html_note(page, text);
}
