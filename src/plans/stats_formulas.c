/*-------------------------------------------------------------------------
 *
 * stats_formulas.c
 *		What the planner would expect with extended statistics, from a sample.
 *
 * No hook can show the planner statistics that do not exist, so these are its
 * own formulas: those of statistics/dependencies.c, mcv.c and mvdistinct.c,
 * which work on a sample as well.  Values are compared by their numbers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "plans/stats_advice.h"

/* A functional dependency: the last of its columns follows from the others. */
typedef struct Dependency
{
	int	   ncolumns;
	int	   columns[STATS_COLUMNS]; /* places among those looked at */
	double degree;
} Dependency;

/* A group of rows with the same values. */
typedef struct ValueGroup
{
	int row; /* the first one */
	int count;
} ValueGroup;

/* What was computed of some columns of a table, in this order. */
typedef struct CachedColumns
{
	int			ncolumns;
	AttrNumber	columns[STATS_COLUMNS];
	int			target; /* of a list of common values; 0 = of a dependency */
	double		degree;
	ValueGroup *groups;
	int			ngroups;
} CachedColumns;

/* More columns than these are looked at for dependencies only in pairs. */
#define DEPENDENCY_COLUMNS 4

static int
compare_keys(const void *a, const void *b)
{
	uint64 one = *(const uint64 *) a;
	uint64 other = *(const uint64 *) b;

	return one < other ? -1 : one > other;
}

/*
 * Numbers the groups that rows with the same values of these columns make,
 * from 0.  Returns how many there are.
 */
static int
group_rows(const StatsTable *table, StatsColumn *const *columns, int n, int *groups)
{
	uint64 *keys = palloc(sizeof(uint64) * table->nrows);
	uint64 *sorted = palloc(sizeof(uint64) * table->nrows);
	int		count = 1;

	memset(groups, 0, sizeof(int) * table->nrows);
	for (int c = 0; c < n; c++)
	{
		for (int i = 0; i < table->nrows; i++)
			keys[i] = ((uint64) groups[i] << 32) | (uint32) columns[c]->codes[i];
		memcpy(sorted, keys, sizeof(uint64) * table->nrows);
		qsort(sorted, table->nrows, sizeof(uint64), compare_keys);
		count = 1;
		for (int i = 1; i < table->nrows; i++)
		{
			if (sorted[i] != sorted[count - 1])
				sorted[count++] = sorted[i];
		}
		for (int i = 0; i < table->nrows; i++)
		{
			uint64 *found = bsearch(&keys[i], sorted, count, sizeof(uint64), compare_keys);

			groups[i] = found - sorted;
		}
		CHECK_FOR_INTERRUPTS();
	}
	pfree(keys);
	pfree(sorted);
	return count;
}

/*
 * What is known of these columns, in an entry that is made if there is none;
 * *found: it was there.
 */
static CachedColumns *
cached(StatsTable *table, StatsColumn *const *columns, int n, int target, bool *found)
{
	CachedColumns *entry;
	MemoryContext  old;
	ListCell	  *lc;

	*found = true;
	foreach (lc, table->cache)
	{
		bool same;

		entry = lfirst(lc);
		same = entry->ncolumns == n && entry->target == target;
		for (int i = 0; i < n && same; i++)
			same = entry->columns[i] == columns[i]->attno;
		if (same)
			return entry;
	}
	*found = false;
	old = MemoryContextSwitchTo(table->context);
	entry = palloc0(sizeof(CachedColumns));
	entry->ncolumns = n;
	for (int i = 0; i < n; i++)
		entry->columns[i] = columns[i]->attno;
	entry->target = target;
	table->cache = lappend(table->cache, entry);
	MemoryContextSwitchTo(old);
	return entry;
}

/* ---- without statistics ---- */

/*
 * The part of the sample's rows that pass all conditions; less than one row
 * counts as a half.  -1 if a value is not known.
 */
double
dbperf_stats_joint(const StatsTable *table, const StatsMatch *matches, int n)
{
	double count = 0;

	for (int i = 0; i < n; i++)
	{
		if (matches[i].match == NULL)
			return -1;
	}
	for (int row = 0; row < table->nrows; row++)
	{
		bool passes = true;

		for (int i = 0; i < n && passes; i++)
			passes = matches[i].match[matches[i].column->codes[row]];
		count += passes;
	}
	return Max(count, 0.5) / table->nrows;
}

/*
 * What the planner expects of columns that it takes for independent.
 */
double
dbperf_stats_product(const StatsMatch *matches, int n)
{
	double product = 1;

	for (int i = 0; i < n; i++)
		product *= matches[i].selectivity;
	return product;
}

/* ---- functional dependencies (dependencies.c) ---- */

/*
 * In which part of the rows the last column follows from the others:
 * dependency_degree().
 */
static double
dependency_degree(StatsTable *table, StatsColumn *const *columns, int n)
{
	bool		   found;
	CachedColumns *entry = cached(table, columns, n, 0, &found);
	int			  *groups;
	int			   ngroups;
	int			  *value;
	bool		  *broken;
	int			   supporting = 0;

	if (found)
		return entry->degree;
	groups = palloc(sizeof(int) * table->nrows);
	ngroups = group_rows(table, columns, n - 1, groups);
	value = palloc(sizeof(int) * ngroups);
	broken = palloc0(sizeof(bool) * ngroups);

	memset(value, -1, sizeof(int) * ngroups);
	for (int i = 0; i < table->nrows; i++)
	{
		int code = columns[n - 1]->codes[i];

		if (value[groups[i]] == -1)
			value[groups[i]] = code;
		else if (value[groups[i]] != code)
			broken[groups[i]] = true;
	}
	for (int i = 0; i < table->nrows; i++)
		supporting += !broken[groups[i]];
	pfree(groups);
	pfree(value);
	pfree(broken);
	entry->degree = (double) supporting / table->nrows;
	return entry->degree;
}

/*
 * Adds the dependencies of one column on each set of the others of this size.
 */
static List *
dependencies_of(StatsTable *table, const StatsMatch *matches, int n, int size, List *dependencies)
{
	for (int set = 1; set < (1 << n); set++)
	{
		for (int implied = 0; implied < n; implied++)
		{
			StatsColumn *columns[STATS_COLUMNS];
			Dependency	 dependency = {0};

			if ((set & (1 << implied)) != 0)
				continue;
			for (int i = 0; i < n; i++)
			{
				if ((set & (1 << i)) != 0)
					dependency.columns[dependency.ncolumns++] = i;
			}
			if (dependency.ncolumns != size - 1)
				continue;
			dependency.columns[dependency.ncolumns++] = implied;
			for (int i = 0; i < dependency.ncolumns; i++)
				columns[i] = matches[dependency.columns[i]].column;
			dependency.degree = dependency_degree(table, columns, dependency.ncolumns);
			if (dependency.degree > 0)
			{
				Dependency *copy = palloc(sizeof(Dependency));

				*copy = dependency;
				dependencies = lappend(dependencies, copy);
			}
		}
	}
	return dependencies;
}

/*
 * The strongest dependency among these columns: find_strongest_dependency().
 */
static const Dependency *
strongest_dependency(List *dependencies, int columns)
{
	const Dependency *strongest = NULL;
	ListCell		 *lc;

	foreach (lc, dependencies)
	{
		const Dependency *one = lfirst(lc);
		bool			  matched = true;

		for (int i = 0; i < one->ncolumns; i++)
			matched = matched && (columns & (1 << one->columns[i])) != 0;
		if (!matched || (strongest != NULL && (one->ncolumns < strongest->ncolumns ||
											   (one->ncolumns == strongest->ncolumns &&
												strongest->degree > one->degree))))
			continue;
		strongest = one;
	}
	return strongest;
}

/*
 * Selectivity of the columns with these dependencies, the last one first:
 * clauselist_apply_dependencies().
 */
static double
apply_dependencies(const StatsMatch *matches, int n, List *applied)
{
	double selectivity[STATS_COLUMNS];
	double result = 1;

	for (int i = 0; i < n; i++)
		selectivity[i] = matches[i].selectivity;
	for (int k = list_length(applied) - 1; k >= 0; k--)
	{
		const Dependency *one = list_nth(applied, k);
		int				  implied = one->columns[one->ncolumns - 1];
		double			  s1 = 1;
		double			  s2 = selectivity[implied];

		for (int i = 0; i < one->ncolumns - 1; i++)
			s1 *= selectivity[one->columns[i]];
		selectivity[implied] = one->degree * (s1 <= s2 ? 1 : s2 / s1) + (1 - one->degree) * s2;
	}
	for (int i = 0; i < n; i++)
		result *= selectivity[i];
	return result;
}

/*
 * What the planner would expect with CREATE STATISTICS (dependencies): which
 * hold for equality and IN, others are taken for independent.
 */
double
dbperf_stats_dependencies(StatsTable *table, const StatsMatch *matches, int n)
{
	StatsMatch equal[STATS_COLUMNS];
	List	  *dependencies = NIL;
	List	  *applied = NIL;
	double	   others = 1;
	int		   count = 0;
	int		   left;

	for (int i = 0; i < n; i++)
	{
		if (matches[i].equality)
			equal[count++] = matches[i];
		else
			others *= matches[i].selectivity;
	}
	for (int size = 2; size <= (count > DEPENDENCY_COLUMNS ? 2 : count); size++)
		dependencies = dependencies_of(table, equal, count, size, dependencies);
	left = (1 << count) - 1;
	for (;;)
	{
		const Dependency *one = strongest_dependency(dependencies, left);

		if (one == NULL)
			break;
		applied = lappend(applied, (void *) one);
		left &= ~(1 << one->columns[one->ncolumns - 1]);
	}
	return others * apply_dependencies(equal, count, applied);
}

/* ---- most common values (mcv.c) ---- */

static int
compare_groups(const void *a, const void *b)
{
	return ((const ValueGroup *) b)->count - ((const ValueGroup *) a)->count;
}

/*
 * The rows that a combination needs in the sample to be kept:
 * get_mincount_for_mcv_list().
 */
static double
least_count(double n, double rows)
{
	double denominator = rows - n + 0.04 * n * (rows - 1);

	return denominator == 0 ? 0 : n * (rows - n) / denominator;
}

/*
 * The most common combinations of these columns' values, as many as the list of
 * this target would have: statext_mcv_build().
 */
static const CachedColumns *
common_groups(StatsTable *table, StatsColumn *const *columns, int n, int target)
{
	bool		   found;
	CachedColumns *entry = cached(table, columns, n, target, &found);
	double		   least = least_count(table->nrows, Max(table->rows, table->nrows));
	int			  *groups;
	int			   count;
	ValueGroup	  *list;

	if (found)
		return entry;
	groups = palloc(sizeof(int) * table->nrows);
	count = group_rows(table, columns, n, groups);
	list = palloc0(sizeof(ValueGroup) * count);

	for (int i = 0; i < table->nrows; i++)
	{
		if (list[groups[i]].count++ == 0)
			list[groups[i]].row = i;
	}
	qsort(list, count, sizeof(ValueGroup), compare_groups);
	while (entry->ngroups < Min(count, target) && list[entry->ngroups].count >= least)
		entry->ngroups++;
	entry->groups = MemoryContextAlloc(table->context, sizeof(ValueGroup) * Max(entry->ngroups, 1));
	memcpy(entry->groups, list, sizeof(ValueGroup) * entry->ngroups);
	pfree(groups);
	pfree(list);
	return entry;
}

/*
 * What the planner would expect with CREATE STATISTICS (mcv) of this target:
 * mcv_clauselist_selectivity() and mcv_combine_selectivities().  -1 if there
 * would be no list, or if a value is not known.
 */
double
dbperf_stats_mcv(StatsTable *table, const StatsMatch *matches, int n, int target)
{
	StatsColumn			*columns[STATS_COLUMNS];
	const CachedColumns *list;
	double				 matched = 0;
	double				 base = 0;
	double				 total = 0;
	double				 other;

	for (int i = 0; i < n; i++)
	{
		columns[i] = matches[i].column;
		if (matches[i].match == NULL)
			return -1;
	}
	list = common_groups(table, columns, n, target);
	if (list->ngroups == 0)
		return -1;
	for (int item = 0; item < list->ngroups; item++)
	{
		double frequency = (double) list->groups[item].count / table->nrows;
		double independent = 1;
		bool   passes = true;

		for (int i = 0; i < n; i++)
		{
			int code = columns[i]->codes[list->groups[item].row];

			passes = passes && matches[i].match[code];
			independent *= (double) columns[i]->counts[code] / table->nrows;
		}
		total += frequency;
		if (passes)
		{
			matched += frequency;
			base += independent;
		}
	}
	other = Max(dbperf_stats_product(matches, n) - base, 0);
	return Min(matched + Min(other, Max(1 - total, 0)), 1);
}

/* ---- distinct values (mvdistinct.c) ---- */

/*
 * Distinct values of a table of so many rows, of which so many were sampled,
 * with so many distinct values, of which so many came once: the estimator of
 * estimate_ndistinct().
 */
double
dbperf_stats_duj1(double rows, double sampled, double distinct, double once)
{
	double denominator = sampled - once + once * sampled / Max(rows, sampled);

	if (sampled <= 0 || denominator <= 0)
		return Max(distinct, 1);
	return floor(Min(Max(sampled * distinct / denominator, distinct), Max(rows, sampled)) + 0.5);
}

/*
 * The distinct combinations of these columns' values that the table has, as
 * CREATE STATISTICS (ndistinct) would have it.
 */
double
dbperf_stats_distinct(const StatsTable *table, StatsColumn **columns, int n)
{
	int *groups = palloc(sizeof(int) * table->nrows);
	int	 count = group_rows(table, columns, n, groups);
	int *counts = palloc0(sizeof(int) * count);
	int	 once = 0;

	for (int i = 0; i < table->nrows; i++)
		counts[groups[i]]++;
	for (int i = 0; i < count; i++)
		once += counts[i] == 1;
	pfree(groups);
	pfree(counts);
	return dbperf_stats_duj1(table->rows, table->nrows, count, once);
}
