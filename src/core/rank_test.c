/*-------------------------------------------------------------------------
 *
 * rank_test.c
 *		Compares two histograms with the same buckets.
 *
 * The test is that of Mann and Whitney ("On a test of whether one of two random
 * variables is stochastically larger than the other", Annals of Mathematical
 * Statistics 18, 1947), one-sided, with the normal approximation, the continuity
 * correction and the correction for ties as given by Lehmann ("Nonparametrics:
 * Statistical Methods Based on Ranks", 1975, section 1.4).  It asks only which
 * of two values is greater: neither the form of the distributions nor the size
 * of a few outliers matters.  All values in a bucket are ties.
 *
 * Everything here depends on its arguments alone.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "core/rank_test.h"

/*
 * Tests whether the values of the second histogram are greater than those of
 * the first.  Buckets are in ascending order of values.  If one of them is
 * empty, or all values are in one bucket, there is no difference: p is 1.
 */
void
dbperf_rank_test(const uint64 *first, const uint64 *second, int nbuckets, DbperfRankTest *test)
{
	double n1 = 0;
	double n2 = 0;
	double u = 0;	 /* pairs in which the second is greater; ties are half a pair */
	double ties = 0; /* sum of t^3 - t over all ties */
	double n;
	double variance;

	for (int i = 0; i < nbuckets; i++)
	{
		double a = (double) first[i];
		double b = (double) second[i];
		double t = a + b;

		u += b * (n1 + a / 2);
		n1 += a;
		n2 += b;
		ties += t * t * t - t;
	}

	test->superiority = 0.5;
	test->z = 0;
	test->p = 1;
	n = n1 + n2;
	if (n1 == 0 || n2 == 0)
		return;
	test->superiority = u / (n1 * n2);
	variance = n1 * n2 / 12 * (n + 1 - ties / (n * (n - 1)));
	if (variance <= 0)
		return;
	test->z = (u - n1 * n2 / 2 - 0.5) / sqrt(variance);
	test->p = 0.5 * erfc(test->z / sqrt(2.0));
}

/*
 * The mean of a histogram's values without the share "trim" (0 to 0.5) of them
 * at either end, so that a few outliers do not decide.  values are those that
 * the buckets stand for, in ascending order.  0 if it is empty.
 */
double
dbperf_trimmed_mean(const uint64 *counts, const double *values, int nbuckets, double trim)
{
	double n = 0;
	double seen = 0;
	double sum = 0;
	double low;
	double high;

	for (int i = 0; i < nbuckets; i++)
		n += (double) counts[i];
	low = n * trim;
	high = n - low;
	if (high <= low)
		return 0;

	for (int i = 0; i < nbuckets; i++)
	{
		double from = Max(seen, low);
		double to;

		seen += (double) counts[i];
		to = Min(seen, high);
		if (to > from)
			sum += (to - from) * values[i];
	}
	return sum / (high - low);
}
