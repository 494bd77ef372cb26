/*-------------------------------------------------------------------------
 *
 * report_page.h
 *		What the parts of the page share that sections do not need.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_REPORT_PAGE_H
#define DBPERF_REPORT_PAGE_H

#include "report/report_int.h"

DBPERF_PRIVATE_BEGIN

/* report_html.c */
extern void dbperf_html_attribute(StringInfo out, const char *text);
extern void dbperf_html_pre(ReportPage *page, const char *text);

/* report_format.c */
extern void dbperf_format_number(StringInfo out, ReportFormat format, double value);
extern void dbperf_format_time(StringInfo out, TimestampTz time);

/* report_query.c */
extern uint64
dbperf_report_ask_within(const char *sql, const ReportPeriod *period, const ReportPeriod *before);
extern bool		   dbperf_report_number(HeapTuple row, TupleDesc desc, int column, double *number);
extern TimestampTz dbperf_report_time(uint64 row, int column);

/* report_frame.c */
extern void dbperf_report_head(ReportPage *page);
extern void dbperf_report_sections_of(ReportPage *page);
extern void dbperf_report_foot(ReportPage *page);

/* report_style.c, report_script.c: texts of the page, ASCII */
extern const char dbperf_report_style[];
extern const char dbperf_report_script[];

DBPERF_PRIVATE_END

#endif /* DBPERF_REPORT_PAGE_H */
