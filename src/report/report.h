/*-------------------------------------------------------------------------
 *
 * report.h
 *		The report: one page that shows why the targets are met or missed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_REPORT_H
#define DBPERF_REPORT_H

#include "core/compat.h"

DBPERF_PRIVATE_BEGIN

/* report.c */
extern void dbperf_report_init(void);

DBPERF_PRIVATE_END

#endif /* DBPERF_REPORT_H */
