/*-------------------------------------------------------------------------
 *
 * stats_single.c
 *		What the planner would expect of one column at a statistics target.
 *
 * A sample gives the most common values and the histogram that ANALYZE would
 * keep (commands/analyze.c); the estimate follows utils/adt/selfuncs.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "plans/stats_advice.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/timestamp.h"

/* Statistics of a column as ANALYZE would keep them. */
typedef struct SingleStats
{
	const StatsTable  *table;
	const StatsColumn *column;
	bool			  *common; /* [0 .. nvalues] among the most common values */
	int				   ncommon;
	double			   covered; /* part of the rows that have these values */
	double			   nulls;
	int				  *bounds; /* numbers of values, of the histogram */
	int				   nbounds;
} SingleStats;

/* A value and how many rows have it. */
typedef struct CommonValue
{
	int code;
	int count;
} CommonValue;

static int
compare_counts(const void *a, const void *b)
{
	return ((const CommonValue *) b)->count - ((const CommonValue *) a)->count;
}

/*
 * How many of the most common values are kept: analyze_mcv_list().
 */
static int
kept_values(const StatsTable *table, const StatsColumn *column, const CommonValue *list, int count)
{
	double n = table->nrows;
	double rows = Max(table->rows, n);
	double nulls = column->counts[0] / n;
	double sum = 0;

	if (rows <= n || column->nvalues <= count)
		return count;
	for (int i = 0; i < count - 1; i++)
		sum += list[i].count;
	for (; count > 0; count--)
	{
		double others = Max(column->distinct - (count - 1), 1);
		double average = Min(Max(1 - sum / n - nulls, 0), 1) / others;
		double all = rows * list[count - 1].count / n;
		double variance = n * all * (rows - all) * (rows - n) / (rows * rows * (rows - 1));

		if (list[count - 1].count > average * n + 2 * sqrt(variance) + 0.5)
			break;
		if (count > 1)
			sum -= list[count - 2].count;
	}
	return count;
}

/*
 * How many of the most common values are in the list for certain: another sample
 * may have others where they are about as frequent as those that are left out.
 */
static int
certain_values(const StatsColumn *column, const CommonValue *list, int kept)
{
	double border;

	if (kept >= column->nvalues)
		return kept;
	border = list[kept].count + 2 * sqrt(list[kept].count);
	while (kept > 0 && list[kept - 1].count <= border)
		kept--;
	return kept;
}

/*
 * Chooses the most common values.
 */
static void
choose_common(SingleStats *stats, int target)
{
	const StatsColumn *column = stats->column;
	CommonValue		  *list = palloc(sizeof(CommonValue) * (column->nvalues + 1));
	int				   count = 0;

	for (int code = 1; code <= column->nvalues; code++)
	{
		list[count].code = code;
		list[count++].count = column->counts[code];
	}
	qsort(list, count, sizeof(CommonValue), compare_counts);
	count = Min(count, target);
	if (column->nvalues > target)
	{
		while (count > 0 && list[count - 1].count <= 1)
			count--;
	}
	count = kept_values(stats->table, column, list, count);
	count = certain_values(column, list, count);
	stats->common = palloc0(sizeof(bool) * (column->nvalues + 1));
	for (int i = 0; i < count; i++)
	{
		stats->common[list[i].code] = true;
		stats->covered += (double) list[i].count / stats->table->nrows;
	}
	stats->ncommon = count;
	pfree(list);
}

/*
 * Makes the histogram: of the rows with other values, each part as large as the
 * others.
 */
static void
make_histogram(SingleStats *stats, int target)
{
	const StatsColumn *column = stats->column;
	double			   rows = 0;
	double			   before = 0;
	double			   step;

	for (int code = 1; code <= column->nvalues; code++)
		rows += stats->common[code] ? 0 : column->counts[code];
	stats->bounds = palloc(sizeof(int) * (target + 1));
	step = (rows - 1) / target;
	for (int code = 1; code <= column->nvalues && rows >= 2; code++)
	{
		if (stats->common[code])
			continue;
		before += column->counts[code];
		while (stats->nbounds <= target && stats->nbounds * step < before)
			stats->bounds[stats->nbounds++] = code;
	}
}

/*
 * A value as a number, where the type allows it.
 */
static bool
scalar_of(const StatsColumn *column, Datum value, double *result)
{
	switch (column->type)
	{
		case INT2OID:
			*result = DatumGetInt16(value);
			return true;
		case INT4OID:
			*result = DatumGetInt32(value);
			return true;
		case INT8OID:
			*result = DatumGetInt64(value);
			return true;
		case FLOAT4OID:
			*result = DatumGetFloat4(value);
			return true;
		case FLOAT8OID:
			*result = DatumGetFloat8(value);
			return true;
		case DATEOID:
			*result = DatumGetDateADT(value);
			return true;
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			*result = DatumGetTimestamp(value);
			return true;
		case NUMERICOID:
			*result = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, value));
			return true;
		default:
			return false;
	}
}

/*
 * Where a value lies between two bounds, 0 to 1; the middle where the type has
 * no distances.
 */
static double
position_between(const StatsColumn *column, int low, int high, Datum value)
{
	double from;
	double to;
	double at;

	if (!scalar_of(column, column->values[low], &from) ||
		!scalar_of(column, column->values[high], &to) || !scalar_of(column, value, &at) ||
		!(to > from))
		return 0.5;
	return Min(Max((at - from) / (to - from), 0), 1);
}

/*
 * The part of the histogram's rows below a value: ineq_histogram_selectivity().
 */
static double
histogram_below(const SingleStats *stats, Datum value)
{
	bool equal;
	int	 place = dbperf_stats_find(stats->column, value, &equal);
	int	 bucket = 0;

	if (stats->nbounds < 2)
		return 0.5;
	while (bucket < stats->nbounds && stats->bounds[bucket] < place)
		bucket++;
	if (bucket == 0)
		return 0;
	if (bucket == stats->nbounds)
		return 1;
	return (bucket - 1 +
			position_between(stats->column, stats->bounds[bucket - 1], stats->bounds[bucket],
							 value)) /
		   (stats->nbounds - 1);
}

/*
 * The part of the rows with a value below this one.
 */
static double
part_below(const SingleStats *stats, Datum value, bool or_equal)
{
	const StatsColumn *column = stats->column;
	bool			   equal;
	int				   place = dbperf_stats_find(column, value, &equal);
	double			   common = 0;

	for (int code = 1; code <= column->nvalues; code++)
	{
		if (stats->common[code] && (code < place || (or_equal && equal && code == place)))
			common += (double) column->counts[code] / stats->table->nrows;
	}
	return common + histogram_below(stats, value) * Max(1 - stats->covered - stats->nulls, 0);
}

/*
 * The part of the rows with one value: var_eq_const().
 */
static double
part_equal(const SingleStats *stats, Datum value)
{
	const StatsColumn *column = stats->column;
	bool			   equal;
	int				   place = dbperf_stats_find(column, value, &equal);

	if (equal && stats->common[place])
		return (double) column->counts[place] / stats->table->nrows;
	return Max(1 - stats->covered - stats->nulls, 0) / Max(column->distinct - stats->ncommon, 1);
}

/*
 * One condition; false if it is none that depends on the target.  Those of a
 * range are added up as the planner does: the two parts and nulls, minus one.
 */
static bool
add_part(const SingleStats *stats, const StatsCondition *condition, double *equal, double *low,
		 double *high)
{
	Datum *values;
	int	   nvalues;

	if (condition->constants == NIL ||
		!dbperf_stats_constants(stats->column, condition, &values, &nvalues) || nvalues == 0)
		return false;
	switch (condition->op)
	{
		case STATS_EQ:
		case STATS_IN:
			*equal = 0;
			for (int i = 0; i < nvalues; i++)
				*equal += part_equal(stats, values[i]);
			return true;
		case STATS_LT:
		case STATS_LE:
			*high = part_below(stats, values[0], condition->op == STATS_LE);
			return true;
		case STATS_GT:
		case STATS_GE:
			*low = 1 - stats->nulls - part_below(stats, values[0], condition->op == STATS_GT);
			return true;
		default:
			return false;
	}
}

/*
 * The part of the table's rows that the planner would expect to fulfil the
 * conditions on a column, if its statistics had this target.  -1 if that cannot
 * be said.
 */
double
dbperf_stats_single(const StatsTable *table, const StatsColumn *column,
					const StatsEvidence *evidence, int target)
{
	SingleStats stats = {.table = table, .column = column};
	double		equal = -1;
	double		low = -1;
	double		high = -1;
	double		result = 1;
	ListCell   *lc;

	if (target < 1)
		return -1;
	stats.nulls = (double) column->counts[0] / table->nrows;
	choose_common(&stats, target);
	make_histogram(&stats, target);
	foreach (lc, evidence->conditions)
	{
		const StatsCondition *condition = lfirst(lc);

		if (condition->attno == column->attno && !add_part(&stats, condition, &equal, &low, &high))
			return -1;
	}
	if (equal >= 0)
		result = equal;
	else if (low >= 0 && high >= 0)
		result = low + high + stats.nulls - 1;
	else if (low >= 0 || high >= 0)
		result = Max(low, high);
	return Min(Max(result, 1e-10), 1);
}
