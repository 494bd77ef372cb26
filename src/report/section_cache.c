/*-------------------------------------------------------------------------
 *
 * section_cache.c
 *		The result cache over time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "report/report_chart.h"
#include "report/report_sections.h"

/* clang-format off */
static const SectionChart charts[] = {
	{{"Hits and misses per second", "Executions that the cache answered, and those that it did not.", REPORT_NUMBER, REPORT_LINES},
	 "SELECT at, CASE name WHEN 'dbperf_cache_hits_total' THEN 'hits' WHEN 'dbperf_cache_misses_total' THEN 'misses' END, pg_catalog.sum(per_second) "
	 "FROM dbperf.metrics_between($1, $2, ARRAY['dbperf_cache_hits_total', 'dbperf_cache_misses_total']) "
	 "GROUP BY at, name ORDER BY at, name",
	 NULL, 1, true},
	{{"Answered from the cache", "Hits, of all executions that asked the cache.", REPORT_PERCENT, REPORT_LINES},
	 "SELECT at, 'hits', good / NULLIF(good + bad, 0) "
	 "FROM (SELECT at, "
	 "pg_catalog.sum(per_second) FILTER (WHERE name = 'dbperf_cache_hits_total') AS good, "
	 "pg_catalog.sum(per_second) FILTER (WHERE name = 'dbperf_cache_misses_total') AS bad "
	 "FROM dbperf.metrics_between($1, $2, ARRAY['dbperf_cache_hits_total', 'dbperf_cache_misses_total']) "
	 "GROUP BY at) AS step ORDER BY at",
	 "cache_hit_ratio", 1, false},
	{{"Memory of the cache", "The memory that results take, and how much there is.", REPORT_BYTES, REPORT_LINES},
	 "SELECT at, CASE name WHEN 'dbperf_cache_bytes' THEN 'used' WHEN 'dbperf_cache_capacity_bytes' THEN 'there is' END, pg_catalog.sum(value) "
	 "FROM dbperf.metrics_between($1, $2, ARRAY['dbperf_cache_bytes', 'dbperf_cache_capacity_bytes']) "
	 "GROUP BY at, name ORDER BY at, name",
	 NULL, 1, false},
	{{"Results dropped per second", "Results that made room for others, and those that writes made stale.", REPORT_NUMBER, REPORT_LINES},
	 "SELECT at, CASE name WHEN 'dbperf_cache_evictions_total' THEN 'for want of room' WHEN 'dbperf_cache_invalidations_total' THEN 'by writes' END, pg_catalog.sum(per_second) "
	 "FROM dbperf.metrics_between($1, $2, ARRAY['dbperf_cache_evictions_total', 'dbperf_cache_invalidations_total']) "
	 "GROUP BY at, name ORDER BY at, name",
	 NULL, 1, false},
};
/* clang-format on */

/*
 * How often the result cache had the answer, and what it holds.
 */
void
dbperf_section_cache(ReportPage *page)
{
	dbperf_section_charts(
		page, charts, lengthof(charts),
		"The result cache was not used in this period: dbperf.cache_mode says which statements may use it.");
}
