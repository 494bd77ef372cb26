/*-------------------------------------------------------------------------
 *
 * stats_merge.c
 *		One piece of advice for all misestimates that it mends.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "plans/stats_advice.h"

/* What is advised has to leave less than this part of the error. */
#define WORTHWHILE 0.6

/* A kind is not better than a simpler one for less. */
#define SIMPLER 1.1

static int
compare_columns(const void *a, const void *b)
{
	return *(const AttrNumber *) a - *(const AttrNumber *) b;
}

/*
 * Adds evidence to the advice with this remedy and these columns, which is made
 * if there is none.  Returns the advice.
 */
StatsAdvice *
dbperf_stats_add(List **advice, StatsTable *table, StatsRemedy remedy, const AttrNumber *columns,
				 int n, StatsEvidence *evidence)
{
	StatsAdvice *one = palloc0(sizeof(StatsAdvice));
	ListCell	*lc;

	one->table = table;
	one->remedy = remedy;
	one->ncolumns = n;
	memcpy(one->columns, columns, sizeof(AttrNumber) * n);
	qsort(one->columns, n, sizeof(AttrNumber), compare_columns);
	foreach (lc, *advice)
	{
		StatsAdvice *other = lfirst(lc);

		if (other->remedy == remedy && other->ncolumns == n &&
			memcmp(other->columns, one->columns, sizeof(AttrNumber) * n) == 0)
		{
			other->evidence = lappend(other->evidence, evidence);
			return other;
		}
	}
	one->evidence = list_make1(evidence);
	*advice = lappend(*advice, one);
	return one;
}

/*
 * The evidence with the largest error; that of conditions which are all known
 * comes first.
 */
StatsEvidence *
dbperf_stats_worst(const StatsAdvice *advice)
{
	StatsEvidence *worst = NULL;
	ListCell	  *lc;

	foreach (lc, advice->evidence)
	{
		StatsEvidence *one = lfirst(lc);

		if (worst == NULL || (worst->opaque && !one->opaque) ||
			(worst->opaque == one->opaque && one->q_error > worst->q_error))
			worst = one;
	}
	return worst;
}

/* ---- kinds ---- */

/* The kinds of statistics that are compared, simpler ones first. */
typedef enum Choice
{
	CHOICE_DEPENDENCIES,
	CHOICE_MCV,
	CHOICE_MCV_LARGE,
	CHOICES
} Choice;

static double
error_of(const StatsEvidence *evidence, Choice choice)
{
	double error = 0;

	switch (choice)
	{
		case CHOICE_DEPENDENCIES:
			error = evidence->q_dependencies;
			break;
		case CHOICE_MCV:
			error = evidence->q_mcv;
			break;
		case CHOICE_MCV_LARGE:
			error = evidence->q_mcv_large;
			break;
		case CHOICES:
			break;
	}
	return error > 0 ? error : evidence->q_error;
}

/*
 * The geometric mean of the scans' errors with one kind; with CHOICES, as they
 * were.
 */
static double
mean_error(List *evidence, Choice choice)
{
	double	  sum = 0;
	int		  count = 0;
	ListCell *lc;

	foreach (lc, evidence)
	{
		const StatsEvidence *one = lfirst(lc);

		if (one->grouping)
			continue;
		sum += log(choice == CHOICES ? one->q_error : error_of(one, choice));
		count++;
	}
	return count == 0 ? 0 : exp(sum / count);
}

/*
 * Chooses the kind that leaves the smallest error of the scans.  Returns false
 * if none is worth it.
 */
static bool
choose_kind(StatsAdvice *advice)
{
	double	  before = mean_error(advice->evidence, CHOICES);
	double	  least = before;
	Choice	  choice = 0;
	ListCell *lc;

	if (before == 0)
		return true;
	for (Choice i = 0; i < CHOICES; i++)
		least = Min(least, mean_error(advice->evidence, i));
	while (mean_error(advice->evidence, choice) > SIMPLER * least)
	{
		if (++choice == CHOICES)
			return false;
	}
	if (mean_error(advice->evidence, choice) > WORTHWHILE * before)
		return false;
	advice->kinds |= choice == CHOICE_DEPENDENCIES ? STATS_KIND_DEPENDENCIES : STATS_KIND_MCV;
	if (choice == CHOICE_MCV_LARGE)
		advice->target = STATS_LARGE_TARGET;
	foreach (lc, advice->evidence)
	{
		StatsEvidence *one = lfirst(lc);

		if (!one->grouping)
			one->q_after = error_of(one, choice);
	}
	return true;
}

/*
 * Splits the evidence of scans from that of groups where extended statistics
 * help only the latter.  Scans with conditions that are not known are left out:
 * those may be to blame.
 */
static List *
give_up_scans(StatsAdvice *advice)
{
	StatsAdvice *rest = palloc0(sizeof(StatsAdvice));
	List		*scans = NIL;
	List		*groups = NIL;
	List		*parts = NIL;
	ListCell	*lc;

	*rest = *advice;
	foreach (lc, advice->evidence)
	{
		StatsEvidence *one = lfirst(lc);

		if (one->grouping)
			groups = lappend(groups, one);
		else if (!one->opaque)
		{
			one->q_after = 0;
			scans = lappend(scans, one);
		}
	}
	rest->remedy = REMEDY_NONE;
	rest->evidence = scans;
	advice->evidence = groups;
	if (groups != NIL)
		parts = lappend(parts, advice);
	return scans != NIL ? lappend(parts, rest) : parts;
}

/*
 * Adds the kind that groups need, if there are any.
 */
static void
add_ndistinct(StatsAdvice *advice)
{
	ListCell *lc;

	foreach (lc, advice->evidence)
	{
		if (((StatsEvidence *) lfirst(lc))->grouping)
			advice->kinds |= STATS_KIND_NDISTINCT;
	}
}

/* ---- what exists ---- */

/*
 * Leaves the evidence that was recorded with the present statistics.
 */
static void
drop_old_evidence(StatsAdvice *advice)
{
	List	 *kept = NIL;
	ListCell *lc;

	foreach (lc, advice->evidence)
	{
		StatsEvidence *one = lfirst(lc);

		if (advice->table->analyzed != 0 && one->started_at > advice->table->analyzed)
			kept = lappend(kept, one);
	}
	advice->evidence = kept;
}

/*
 * Takes into account the statistics that there are.  Returns false if nothing
 * is to be done.
 */
static bool
consider_existing(StatsAdvice *advice)
{
	bool built;

	if (!dbperf_stats_existing(advice, &built))
		return true;
	if (!built)
	{
		advice->remedy = REMEDY_ANALYZE;
		return true;
	}
	drop_old_evidence(advice);
	if (advice->evidence == NIL || advice->target == 0)
		return false;
	advice->remedy = REMEDY_EXT_TARGET;
	return true;
}

/*
 * Whether statistics that are advised hold others, too: dependencies and distinct
 * values are kept of all subsets of their columns.
 */
static bool
includes(const StatsAdvice *advice, const StatsAdvice *other)
{
	int found = 0;

	if (advice == other || advice->remedy != REMEDY_EXTENDED || other->remedy != REMEDY_EXTENDED ||
		advice->ncolumns <= other->ncolumns || (other->kinds & STATS_KIND_MCV) != 0 ||
		(other->kinds & ~advice->kinds) != 0)
		return false;
	for (int i = 0; i < advice->ncolumns; i++)
	{
		for (int j = 0; j < other->ncolumns; j++)
			found += advice->columns[i] == other->columns[j];
	}
	return found == other->ncolumns;
}

/*
 * Leaves out what others include, which get the evidence.
 */
static List *
drop_included(List *advice)
{
	List	 *kept = NIL;
	ListCell *lc;
	ListCell *lc2;

	foreach (lc, advice)
	{
		StatsAdvice *one = lfirst(lc);
		StatsAdvice *whole = NULL;

		foreach (lc2, advice)
		{
			StatsAdvice *other = lfirst(lc2);

			if (includes(other, one) && (whole == NULL || other->ncolumns > whole->ncolumns))
				whole = other;
		}
		if (whole == NULL)
			kept = lappend(kept, one);
		else
			whole->evidence = list_concat(whole->evidence, one->evidence);
	}
	return kept;
}

/*
 * Decides on each piece of advice of one table; returns those that are left.
 */
List *
dbperf_stats_choose(List *advice)
{
	List	 *chosen = NIL;
	ListCell *lc;
	ListCell *lc2;

	foreach (lc, advice)
	{
		StatsAdvice *one = lfirst(lc);
		List		*parts = list_make1(one);

		if (one->remedy == REMEDY_EXTENDED && !choose_kind(one))
			parts = give_up_scans(one);
		foreach (lc2, parts)
		{
			StatsAdvice *part = lfirst(lc2);

			if (part->remedy == REMEDY_EXTENDED)
			{
				add_ndistinct(part);
				if (!consider_existing(part))
					continue;
			}
			chosen = lappend(chosen, part);
		}
	}
	return drop_included(chosen);
}
