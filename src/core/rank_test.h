/*-------------------------------------------------------------------------
 *
 * rank_test.h
 *		Whether the values of one histogram are greater than those of another.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_RANK_TEST_H
#define DBPERF_RANK_TEST_H

#include "core/compat.h"

DBPERF_PRIVATE_BEGIN

typedef struct DbperfRankTest
{
	double superiority; /* the chance that a value of the second exceeds one of the first */
	double z;			/* how far that is from equal, in standard deviations */
	double p;			/* the chance to see it, or more, if both are of one distribution */
} DbperfRankTest;

/* rank_test.c */
extern void
dbperf_rank_test(const uint64 *first, const uint64 *second, int nbuckets, DbperfRankTest *test);
extern double
dbperf_trimmed_mean(const uint64 *counts, const double *values, int nbuckets, double trim);

DBPERF_PRIVATE_END

#endif /* DBPERF_RANK_TEST_H */
