/*-------------------------------------------------------------------------
 *
 * coverage.h
 *		How much of what the workload asks for the existing indexes serve.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_COVERAGE_H
#define DBPERF_COVERAGE_H

#include "advisor/advise.h"

DBPERF_PRIVATE_BEGIN

/* What one statement asks for in one place, if an index serves it or could. */
typedef struct CoverageRow
{
	Subject		 *subject;
	const Usage	 *usage;
	double		  weight;	  /* share of the workload, 0..1 */
	const Advice *suggestion; /* what would serve it; NULL = it is covered */
} CoverageRow;

/* coverage.c */

/*
 * Judges the statements (NULL = the recorded workload) and returns a List of
 * CoverageRow in the current memory context.  Takes about time_limit_ms at most;
 * statements that it does not come to are left out, as *result says.
 */
extern List *dbperf_coverage(ArrayType *queries, int64 time_limit_ms, AdviseResult **result);

DBPERF_PRIVATE_END

#endif /* DBPERF_COVERAGE_H */
