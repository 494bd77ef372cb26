/*-------------------------------------------------------------------------
 *
 * report_sections.h
 *		The functions that show sections, one for each.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_REPORT_SECTIONS_H
#define DBPERF_REPORT_SECTIONS_H

#include "report/report_int.h"

DBPERF_PRIVATE_BEGIN

/* over time */
extern void dbperf_section_latency(ReportPage *page);
extern void dbperf_section_throughput(ReportPage *page);
extern void dbperf_section_waits(ReportPage *page);
extern void dbperf_section_server(ReportPage *page);
extern void dbperf_section_cache(ReportPage *page);
extern void dbperf_section_pool(ReportPage *page);

/* facts */
extern void dbperf_section_health(ReportPage *page);
extern void dbperf_section_running(ReportPage *page);
extern void dbperf_section_queries(ReportPage *page);
extern void dbperf_section_statements(ReportPage *page);
extern void dbperf_section_findings(ReportPage *page);
extern void dbperf_section_regressions(ReportPage *page);
extern void dbperf_section_indexes(ReportPage *page);
extern void dbperf_section_coverage(ReportPage *page);
extern void dbperf_section_advice(ReportPage *page);
extern void dbperf_section_maintenance(ReportPage *page);
extern void dbperf_section_wraparound(ReportPage *page);
extern void dbperf_section_cached(ReportPage *page);
extern void dbperf_section_pools(ReportPage *page);
extern void dbperf_section_settings(ReportPage *page);
extern void dbperf_section_status(ReportPage *page);

/* of a comparison only */
extern void dbperf_section_changes(ReportPage *page);
extern void dbperf_section_query_changes(ReportPage *page);
extern void dbperf_section_plan_changes(ReportPage *page);

DBPERF_PRIVATE_END

#endif /* DBPERF_REPORT_SECTIONS_H */
