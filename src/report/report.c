/*-------------------------------------------------------------------------
 *
 * report.c
 *		The SQL functions report() and report_compare().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "core/exec_hooks.h"
#include "fmgr.h"
#include "report/report.h"
#include "report/report_page.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(dbperf_report);
PG_FUNCTION_INFO_V1(dbperf_report_compare);

/*
 * Called from _PG_init, preloaded or not.
 */
void
dbperf_report_init(void)
{
}

/*
 * Raises an error if this is no period of time.
 */
static void
check_period(const ReportPeriod *period)
{
	if (TIMESTAMP_NOT_FINITE(period->since) || TIMESTAMP_NOT_FINITE(period->until))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the ends of a report's period must be finite")));
	if (period->since >= period->until)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the beginning of a report's period must be before its end"),
						errdetail("The period is from %s to %s.",
								  pstrdup(timestamptz_to_str(period->since)),
								  pstrdup(timestamptz_to_str(period->until)))));
}

/*
 * Writes the page.  Its lists have time limits, and only one limit can be on.  Its
 * statements are not recorded: they would be most of what the next page shows.
 */
static text *
make_page(ReportPage *page)
{
	dbperf_require_shmem();
	dbperf_own_call();
	if (dbperf_time_limit_on())
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("a statement that is analysed cannot make a report"),
						errhint("Ask for the report in a statement of its own.")));
	initStringInfo(&page->html);
	dbperf_statements_suspend();
	PG_TRY();
	{
		dbperf_report_head(page);
		dbperf_report_sections_of(page);
		dbperf_report_foot(page);
	}
	PG_FINALLY();
	{
		dbperf_statements_resume();
	}
	PG_END_TRY();
	return cstring_to_text_with_len(page->html.data, page->html.len);
}

/*
 * report(since, until) returns text: the page of one period.
 */
Datum
dbperf_report(PG_FUNCTION_ARGS)
{
	ReportPage page = {0};

	page.period.since = PG_GETARG_TIMESTAMPTZ(0);
	page.period.until = PG_GETARG_TIMESTAMPTZ(1);
	check_period(&page.period);
	PG_RETURN_TEXT_P(make_page(&page));
}

/*
 * report_compare(a_since, a_until, b_since, b_until) returns text: the page of
 * period b, compared with a.
 */
Datum
dbperf_report_compare(PG_FUNCTION_ARGS)
{
	ReportPage page = {.compare = true};

	page.before.since = PG_GETARG_TIMESTAMPTZ(0);
	page.before.until = PG_GETARG_TIMESTAMPTZ(1);
	page.period.since = PG_GETARG_TIMESTAMPTZ(2);
	page.period.until = PG_GETARG_TIMESTAMPTZ(3);
	check_period(&page.before);
	check_period(&page.period);
	PG_RETURN_TEXT_P(make_page(&page));
}
