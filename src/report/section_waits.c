/*-------------------------------------------------------------------------
 *
 * section_waits.c
 *		What active sessions waited for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "report/report_chart.h"
#include "report/report_sections.h"

/* clang-format off */
static const SectionChart charts[] = {
	{{"Active sessions", "Sessions that ran a statement, by what they waited for; CPU: they waited for nothing.", REPORT_NUMBER, REPORT_STACKED},
	 "SELECT at, COALESCE(labels ->> 'wait', 'none'), pg_catalog.sum(value) "
	 "FROM dbperf.metrics_between($1, $2, ARRAY['dbperf_active_sessions']) "
	 "GROUP BY 1, 2 ORDER BY 1, 2",
	 NULL, 1, false},
	{{"Waiting for locks", "Sessions that waited for a lock that another one held.", REPORT_NUMBER, REPORT_LINES},
	 "SELECT at, CASE name WHEN 'dbperf_locks_waiting' THEN 'sessions' END, pg_catalog.sum(value) "
	 "FROM dbperf.metrics_between($1, $2, ARRAY['dbperf_locks_waiting']) "
	 "GROUP BY at, name ORDER BY at, name",
	 NULL, 1, false},
};
/* clang-format on */

/*
 * Active sessions by what they waited for.
 */
void
dbperf_section_waits(ReportPage *page)
{
	dbperf_section_charts(page, charts, lengthof(charts),
						  "There is no sample of sessions in this period: see metrics_history.");
}
