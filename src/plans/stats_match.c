/*-------------------------------------------------------------------------
 *
 * stats_match.c
 *		Which values of a sample the conditions of a plan let through.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "core/core.h"
#include "fmgr.h"
#include "plans/stats_advice.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

/* Of one list of values. */
#define MAX_VALUES 10000

/* Constants of a condition, as values of its column. */
typedef struct ConstantReader
{
	const StatsColumn	 *column;
	const StatsCondition *condition;
	Datum				 *values;
	int					  nvalues;
} ConstantReader;

/*
 * The values of an array's text.
 */
static void
read_array(ConstantReader *reader)
{
	Oid	   type = reader->column->type;
	int16  length;
	bool   byval;
	char   align;
	bool  *nulls;
	Datum *values;
	int	   count;
	int	   kept = 0;
	Datum  array =
		OidFunctionCall3(F_ARRAY_IN, CStringGetDatum(linitial(reader->condition->constants)),
						 ObjectIdGetDatum(type), Int32GetDatum(-1));

	get_typlenbyvalalign(type, &length, &byval, &align);
	deconstruct_array(DatumGetArrayTypeP(array), type, length, byval, align, &values, &nulls,
					  &count);
	for (int i = 0; i < count && kept < MAX_VALUES; i++)
	{
		if (!nulls[i])
			values[kept++] = values[i];
	}
	reader->values = values;
	reader->nvalues = kept;
}

/*
 * Reads the constants; may raise an error.
 */
static void
read_constants(void *arg)
{
	ConstantReader *reader = arg;
	ListCell	   *lc;
	Oid				input;
	Oid				ioparam;

	getTypeInputInfo(reader->column->type, &input, &ioparam);
	if (input >= FirstNormalObjectId)
		elog(ERROR, "type %u is none of the server's", reader->column->type);
	if (reader->condition->array)
	{
		read_array(reader);
		return;
	}
	reader->values = palloc(sizeof(Datum) * Max(list_length(reader->condition->constants), 1));
	foreach (lc, reader->condition->constants)
		reader->values[reader->nvalues++] =
			OidInputFunctionCall(input, lfirst(lc), ioparam, reader->column->typmod);
}

/*
 * The number of the first value that is not less than this one, nvalues + 1 if
 * there is none; whether it is equal.
 */
int
dbperf_stats_find(const StatsColumn *column, Datum value, bool *equal)
{
	int low = 1;
	int high = column->nvalues + 1;

	while (low < high)
	{
		int middle = (low + high) / 2;

		if (DatumGetInt32(FunctionCall2Coll((FmgrInfo *) &column->compare, column->collation,
											column->values[middle], value)) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*equal = low <= column->nvalues &&
			 DatumGetInt32(FunctionCall2Coll((FmgrInfo *) &column->compare, column->collation,
											 column->values[low], value)) == 0;
	return low;
}

/*
 * The constants of a condition as values of the column; false if they cannot be
 * read.
 */
bool
dbperf_stats_constants(const StatsColumn *column, const StatsCondition *condition, Datum **values,
					   int *nvalues)
{
	ConstantReader reader = {column, condition, NULL, 0};

	if (!dbperf_try(read_constants, &reader))
		return false;
	*values = reader.values;
	*nvalues = reader.nvalues;
	return true;
}

/*
 * Whether the value with this number fulfils a comparison with a constant that
 * stands at a place in the order.
 */
static bool
compares(StatsOp op, int code, int place, bool equal)
{
	switch (op)
	{
		case STATS_NE:
			return !equal || code != place;
		case STATS_LT:
			return code < place;
		case STATS_LE:
			return code < place || (equal && code == place);
		case STATS_GT:
			return code > place || (!equal && code == place);
		case STATS_GE:
			return code >= place;
		default:
			return equal && code == place;
	}
}

/*
 * Leaves in match what a condition lets through.  Returns false if its constants
 * cannot be read.
 */
static bool
apply_condition(StatsMatch *match, const StatsCondition *condition, int *unseen)
{
	const StatsColumn *column = match->column;
	bool			  *through = palloc0(sizeof(bool) * (column->nvalues + 1));
	Datum			  *values = NULL;
	int				   nvalues = 0;

	if (condition->constants != NIL &&
		!dbperf_stats_constants(column, condition, &values, &nvalues))
		return false;
	through[0] = condition->op == STATS_NULL;
	if (condition->op == STATS_NOT_NULL)
		memset(&through[1], true, column->nvalues);
	for (int i = 0; i < nvalues; i++)
	{
		bool equal;
		int	 place = dbperf_stats_find(column, values[i], &equal);

		*unseen += !equal;
		if (condition->op == STATS_EQ || condition->op == STATS_IN)
		{
			if (equal)
				through[place] = true;
			continue;
		}
		for (int code = 1; code <= column->nvalues; code++)
			through[code] = compares(condition->op, code, place, equal);
	}
	for (int code = 0; code <= column->nvalues; code++)
		match->match[code] = match->match[code] && through[code];
	pfree(through);
	return true;
}

/*
 * The part of the table's rows that passes, by the sample.  Values that are not
 * in it are as frequent as the average, but not more than it would have missed.
 */
static double
selectivity_of(const StatsTable *table, const StatsMatch *match, int unseen)
{
	double count = 0;

	for (int code = 0; code <= match->column->nvalues; code++)
	{
		if (match->match[code])
			count += match->column->counts[code];
	}
	if (count == 0 && match->equality)
		return Max(unseen, 1) * Min(1 / Max(match->column->distinct, 1), 0.5 / table->nrows);
	return Max(count, 0.1) / table->nrows;
}

/*
 * Takes all conditions on one column together.  Returns false if one of them
 * cannot be read.
 */
static bool
match_column(const StatsTable *table, const StatsEvidence *evidence, StatsMatch *match)
{
	StatsColumn *column = match->column;
	int			 unseen = 0;
	ListCell	*lc;

	match->match = palloc(sizeof(bool) * (column->nvalues + 1));
	memset(match->match, true, sizeof(bool) * (column->nvalues + 1));
	match->equality = true;
	foreach (lc, evidence->conditions)
	{
		const StatsCondition *condition = lfirst(lc);

		if (condition->attno != column->attno)
			continue;
		if (condition->op == STATS_EQ_PARAM)
		{
			match->match = NULL;
			match->selectivity =
				(1 - (double) column->counts[0] / table->nrows) / Max(column->distinct, 1);
			return true;
		}
		if (condition->op != STATS_EQ && condition->op != STATS_IN)
			match->equality = false;
		if (condition->op >= STATS_LT && condition->op <= STATS_GE)
			match->range = true;
		if (!apply_condition(match, condition, &unseen))
			return false;
	}
	match->selectivity = selectivity_of(table, match, unseen);
	return true;
}

/*
 * What the conditions of a scan let through, column by column.  Columns that the
 * sample does not have, and conditions that cannot be read, are left out; the
 * evidence is opaque then.  Returns how many there are.
 */
int
dbperf_stats_match(const StatsTable *table, StatsEvidence *evidence, StatsMatch *matches)
{
	int n = 0;

	for (int i = 0; i < evidence->ncolumns; i++)
	{
		memset(&matches[n], 0, sizeof(StatsMatch));
		matches[n].column = dbperf_stats_column(table, evidence->columns[i]);
		if (matches[n].column != NULL && match_column(table, evidence, &matches[n]))
			n++;
		else
			evidence->opaque = true;
	}
	return n;
}
