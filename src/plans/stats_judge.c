/*-------------------------------------------------------------------------
 *
 * stats_judge.c
 *		Why an estimate was wrong, and what would have made it right.
 *
 * The sample decides between four reasons: columns that are correlated, a list
 * or histogram of one column that is too coarse, statistics that are out of
 * date, and none that statistics could do anything about.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "plans/stats_advice.h"
#include "utils/syscache.h"

/* Numbers of rows that differ by less say the same. */
#define SAME 2.0

/* Columns are correlated if the joint number of rows differs so much. */
#define CORRELATED 2.5

/* So many rows of a sample say something. */
#define SUPPORT 5.0

/* What is advised has to leave less than this part of the error. */
#define WORTHWHILE 0.6

/* A table with more changed rows than this may have other statistics now. */
#define CHANGED 0.05

/* ---- correlated columns ---- */

/*
 * The q-error of a scan if the planner expected this selectivity.  Other
 * conditions, which are not known, would act on it as they did.
 */
static double
error_with(const StatsTable *table, const StatsEvidence *evidence, double selectivity,
		   double product)
{
	double rows =
		evidence->opaque ? evidence->estimated * selectivity / product : table->rows * selectivity;

	return dbperf_stats_q_error(rows, evidence->actual);
}

/*
 * The target that extended statistics on these columns would have:
 * statext_compute_stattarget().
 */
static int
object_target(const StatsMatch *matches, int n)
{
	int target = 0;

	for (int i = 0; i < n; i++)
		target = Max(target, matches[i].column->target);
	return target;
}

/*
 * Fills in the q-errors with extended statistics on the first n matches; rest
 * is the selectivity of the others.
 */
static void
try_statistics(StatsTable *table, StatsEvidence *evidence, const StatsMatch *matches, int n,
			   double rest, double product)
{
	int	   equal = 0;
	double mcv = dbperf_stats_mcv(table, matches, n, object_target(matches, n));
	double large = dbperf_stats_mcv(table, matches, n, STATS_LARGE_TARGET);

	for (int i = 0; i < n; i++)
		equal += matches[i].equality;
	evidence->q_dependencies = 0;
	if (equal >= 2)
		evidence->q_dependencies = error_with(
			table, evidence, rest * dbperf_stats_dependencies(table, matches, n), product);
	evidence->q_mcv = mcv < 0 ? 0 : error_with(table, evidence, rest * mcv, product);
	evidence->q_mcv_large = large < 0 ? 0 : error_with(table, evidence, rest * large, product);
}

static double
least_error(const StatsEvidence *evidence)
{
	double least = evidence->q_error;

	if (evidence->q_dependencies > 0)
		least = Min(least, evidence->q_dependencies);
	if (evidence->q_mcv > 0)
		least = Min(least, evidence->q_mcv);
	if (evidence->q_mcv_large > 0)
		least = Min(least, evidence->q_mcv_large);
	return least;
}

/*
 * Moves the two columns to the front that do as well as all of them would;
 * returns 2, or n if all are needed.
 */
static int
reduce_columns(StatsTable *table, StatsEvidence *evidence, StatsMatch *matches, int n,
			   double product)
{
	StatsEvidence all;
	StatsEvidence best = {0};
	StatsMatch	  best_pair[2];

	try_statistics(table, evidence, matches, n, 1, product);
	if (n == 2)
		return 2;
	all = *evidence;
	for (int i = 0; i < n; i++)
	{
		for (int j = i + 1; j < n; j++)
		{
			StatsMatch pair[2] = {matches[i], matches[j]};
			double	   rest = product / (pair[0].selectivity * pair[1].selectivity);

			try_statistics(table, evidence, pair, 2, rest, product);
			if (best.q_error == 0 || least_error(evidence) < least_error(&best))
			{
				best = *evidence;
				memcpy(best_pair, pair, sizeof(pair));
			}
		}
	}
	if (least_error(&best) > Max(SAME, 1.3 * least_error(&all)))
	{
		*evidence = all;
		return n;
	}
	*evidence = best;
	memcpy(matches, best_pair, sizeof(best_pair));
	return 2;
}

static void
judge_correlation(List **advice, StatsTable *table, StatsEvidence *evidence, StatsMatch *matches,
				  int n, double product)
{
	AttrNumber columns[STATS_COLUMNS];

	n = reduce_columns(table, evidence, matches, n, product);
	for (int i = 0; i < n; i++)
		columns[i] = matches[i].column->attno;
	(void) dbperf_stats_add(advice, table, REMEDY_EXTENDED, columns, n, evidence);
}

/* ---- one column ---- */

/*
 * The lowest target with which the planner's expectation of a column would be
 * that of the sample, or 0.  *error gets the factor that remains.
 */
static int
better_target(const StatsTable *table, const StatsEvidence *evidence, const StatsMatch *match,
			  double *error)
{
	static const int targets[] = {200, 500, 1000, 2000, 5000, 10000};
	double			 rows = match->selectivity * table->rows;
	double now = dbperf_stats_single(table, match->column, evidence, match->column->target);

	if (now < 0 || dbperf_stats_q_error(now * table->rows, rows) < SAME)
		return 0;
	for (int i = 0; i < lengthof(targets); i++)
	{
		double then;

		if (targets[i] <= match->column->target)
			continue;
		then = dbperf_stats_single(table, match->column, evidence, targets[i]) * table->rows;
		*error = dbperf_stats_q_error(then, rows);
		if (*error < SAME)
			return targets[i];
	}
	return 0;
}

/*
 * Looks for columns whose statistics are too coarse.  Returns whether there is
 * one.
 */
static bool
judge_targets(List **advice, StatsTable *table, StatsEvidence *evidence, const StatsMatch *matches,
			  int n)
{
	bool found = false;

	for (int i = 0; i < n; i++)
	{
		double		 error;
		int			 target;
		StatsAdvice *one;

		if (matches[i].match == NULL)
			continue;
		target = better_target(table, evidence, &matches[i], &error);
		if (target == 0 || error > WORTHWHILE * evidence->q_error)
			continue;
		found = true;
		evidence->q_after = error;
		one =
			dbperf_stats_add(advice, table, REMEDY_TARGET, &matches[i].column->attno, 1, evidence);
		one->target = Max(one->target, target);
	}
	return found;
}

/*
 * Whether the table's statistics may be other ones than its rows: a column has
 * none, or many rows have changed.
 */
static bool
is_outdated(const StatsTable *table, const StatsEvidence *evidence)
{
	if (table->modified > CHANGED * table->rows)
		return true;
	for (int i = 0; i < evidence->ncolumns; i++)
	{
		if (!SearchSysCacheExists3(STATRELATTINH, ObjectIdGetDatum(table->relid),
								   Int16GetDatum(evidence->columns[i]), BoolGetDatum(false)))
			return true;
	}
	return false;
}

/* ---- all ---- */

/*
 * Whether the sample confirms what the execution has shown: that the estimate
 * was wrong, in the same direction.
 */
static bool
is_confirmed(const StatsTable *table, const StatsEvidence *evidence)
{
	double support = Max(evidence->sampled, evidence->actual) * table->nrows / table->rows;

	if (evidence->sampled < 0 || support < SUPPORT)
		return true;
	return dbperf_stats_q_error(evidence->sampled, evidence->estimated) >= SAME &&
		   dbperf_stats_q_error(evidence->sampled, evidence->actual) < CORRELATED;
}

static void
judge_scan(List **advice, StatsTable *table, StatsEvidence *evidence)
{
	StatsMatch matches[STATS_COLUMNS];
	int		   n = dbperf_stats_match(table, evidence, matches);
	double	   product = dbperf_stats_product(matches, n);
	double	   joint;
	double	   rows;

	if (n == 0)
		return;
	for (int i = 0; i < n; i++)
		evidence->ranges += matches[i].range;
	joint = dbperf_stats_joint(table, matches, n);
	evidence->independent = product * table->rows;
	evidence->sampled = joint < 0 || evidence->opaque ? -1 : joint * table->rows;
	if (!is_confirmed(table, evidence))
		return;

	if (joint >= 0 && joint * table->nrows >= SUPPORT)
		rows = joint * table->rows;
	else
		rows = evidence->opaque ? evidence->independent : evidence->actual;
	if (n >= 2 && dbperf_stats_q_error(rows, evidence->independent) >= CORRELATED)
	{
		judge_correlation(advice, table, evidence, matches, n, product);
		return;
	}
	if (evidence->started_at < table->analyzed && evidence->opaque)
		return;
	if (judge_targets(advice, table, evidence, matches, n) || evidence->sampled < 0)
		return;
	if (evidence->started_at > table->analyzed && is_outdated(table, evidence))
	{
		evidence->q_after = dbperf_stats_q_error(evidence->sampled, evidence->actual);
		(void) dbperf_stats_add(advice, table, REMEDY_ANALYZE, evidence->columns,
								evidence->ncolumns, evidence);
	}
}

/*
 * The groups that the planner expects of the rows of a scan, where the table
 * has so many: estimate_num_groups().
 */
static double
groups_of(const StatsTable *table, const StatsEvidence *evidence, double distinct)
{
	double rows = Max(table->rows, 1);

	distinct = Min(distinct, rows);
	if (evidence->scanned < rows)
		distinct *= 1 - pow((rows - evidence->scanned) / rows, rows / distinct);
	return Min(Max(ceil(distinct), 1), Max(evidence->scanned, 1));
}

static void
judge_grouping(List **advice, StatsTable *table, StatsEvidence *evidence)
{
	StatsColumn *columns[STATS_COLUMNS];
	double		 distinct;
	double		 product = 1;
	double		 most = 1;

	for (int i = 0; i < evidence->ncolumns; i++)
	{
		columns[i] = dbperf_stats_column(table, evidence->columns[i]);
		if (columns[i] == NULL)
			return;
		product *= Max(columns[i]->distinct, 1);
		most = Max(most, columns[i]->distinct);
	}
	/* with several columns the planner believes in a tenth of the rows at most */
	product = Min(product, Max(table->rows / 10, most));
	distinct = dbperf_stats_distinct(table, columns, evidence->ncolumns);
	evidence->sampled = distinct;
	evidence->independent = product;
	evidence->q_after =
		dbperf_stats_q_error(groups_of(table, evidence, distinct), evidence->actual);
	if (dbperf_stats_q_error(distinct, product) < SAME ||
		evidence->q_after > WORTHWHILE * evidence->q_error)
		return;
	(void) dbperf_stats_add(advice, table, REMEDY_EXTENDED, evidence->columns, evidence->ncolumns,
							evidence);
}

/*
 * What is to be done about misestimates of one table: StatsAdvice.
 */
List *
dbperf_stats_judge(StatsTable *table, List *evidence)
{
	List	 *advice = NIL;
	ListCell *lc;

	foreach (lc, evidence)
	{
		StatsEvidence *one = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		if (table->refused != NULL)
			(void) dbperf_stats_add(&advice, table, REMEDY_UNKNOWN, one->columns, one->ncolumns,
									one);
		else if (one->grouping)
			judge_grouping(&advice, table, one);
		else
			judge_scan(&advice, table, one);
	}
	return dbperf_stats_choose(advice);
}
