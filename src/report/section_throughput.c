/*-------------------------------------------------------------------------
 *
 * section_throughput.c
 *		What the server did per second.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "report/report_chart.h"
#include "report/report_sections.h"

/* clang-format off */
static const SectionChart charts[] = {
	{{"Statements per second", "Statements that clients sent, of all databases.", REPORT_NUMBER, REPORT_LINES},
	 "SELECT at, CASE name WHEN 'dbperf_statement_duration_seconds_count' THEN 'statements' END, pg_catalog.sum(per_second) "
	 "FROM dbperf.metrics_between($1, $2, ARRAY['dbperf_statement_duration_seconds_count']) "
	 "GROUP BY at, name ORDER BY at, name",
	 NULL, 1, false},
	{{"Transactions per second", "How transactions ended.", REPORT_NUMBER, REPORT_STACKED},
	 "SELECT at, COALESCE(labels ->> 'outcome', 'none'), pg_catalog.sum(per_second) "
	 "FROM dbperf.metrics_between($1, $2, ARRAY['dbperf_transactions_total']) "
	 "GROUP BY 1, 2 ORDER BY 1, 2",
	 NULL, 1, false},
	{{"Slow and failed statements per second", "Statements slower than the threshold of recording, and those that raised an error.", REPORT_NUMBER, REPORT_LINES},
	 "SELECT at, CASE name WHEN 'dbperf_slow_statements_total' THEN 'slow' WHEN 'dbperf_statement_errors_total' THEN 'failed' END, pg_catalog.sum(per_second) "
	 "FROM dbperf.metrics_between($1, $2, ARRAY['dbperf_slow_statements_total', 'dbperf_statement_errors_total']) "
	 "GROUP BY at, name ORDER BY at, name",
	 NULL, 1, false},
	{{"Busy with statements", "The time of all statements per second: how many ran at once on average.", REPORT_NUMBER, REPORT_LINES},
	 "SELECT at, CASE name WHEN 'dbperf_statement_duration_seconds_sum' THEN 'running at once' END, pg_catalog.sum(per_second) "
	 "FROM dbperf.metrics_between($1, $2, ARRAY['dbperf_statement_duration_seconds_sum']) "
	 "GROUP BY at, name ORDER BY at, name",
	 NULL, 1, false},
};
/* clang-format on */

/*
 * Statements, transactions and what went wrong, per second.
 */
void
dbperf_section_throughput(ReportPage *page)
{
	dbperf_section_charts(page, charts, lengthof(charts),
						  "There is no sample of counters in this period: see metrics_history.");
}
