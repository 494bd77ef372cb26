/*-------------------------------------------------------------------------
 *
 * section_latency.c
 *		Latency of statements over time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "report/report_chart.h"
#include "report/report_sections.h"

/* clang-format off */
static const SectionChart charts[] = {
	{{"Time of statements", "Half, 95 % and 99 % of the statements took at most so long.", REPORT_SECONDS, REPORT_LINES_LOG},
	 "SELECT at, CASE name WHEN 'dbperf_statement_p50_seconds' THEN 'p50' WHEN 'dbperf_statement_p95_seconds' THEN 'p95' WHEN 'dbperf_statement_p99_seconds' THEN 'p99' END, pg_catalog.sum(value) "
	 "FROM dbperf.metrics_between($1, $2, ARRAY['dbperf_statement_p50_seconds', 'dbperf_statement_p95_seconds', 'dbperf_statement_p99_seconds']) "
	 "GROUP BY at, name ORDER BY at, name",
	 "query_p95_ms", 0.001, false},
	{{"Mean time of statements", "The time of all statements divided by their number.", REPORT_SECONDS, REPORT_LINES},
	 "SELECT at, 'mean', seconds / NULLIF(calls, 0) "
	 "FROM (SELECT at, "
	 "pg_catalog.sum(per_second) FILTER (WHERE name = 'dbperf_statement_duration_seconds_sum') AS seconds, "
	 "pg_catalog.sum(per_second) FILTER (WHERE name = 'dbperf_statement_duration_seconds_count') AS calls "
	 "FROM dbperf.metrics_between($1, $2, "
	 "ARRAY['dbperf_statement_duration_seconds_sum', 'dbperf_statement_duration_seconds_count']) "
	 "GROUP BY at) AS step ORDER BY at",
	 NULL, 1, false},
};
/* clang-format on */

/*
 * Percentiles of statements' time, as the sampler found them between two samples.
 */
void
dbperf_section_latency(ReportPage *page)
{
	dbperf_section_charts(page, charts, lengthof(charts),
						  "There is no sample of latencies in this period: see metrics_history.");
}
