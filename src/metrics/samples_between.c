/*-------------------------------------------------------------------------
 *
 * samples_between.c
 *		metrics_between(): values and rates of some metrics over a period.
 *
 * The period is divided into equal steps, of each of which a series shows its last
 * value.  Rates are of all that was counted since the last one shown, over restarts
 * and resets in between.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "core/core.h"
#include "funcapi.h"
#include "metrics/samples.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#define BETWEEN_COLUMNS 5
#define MOST_POINTS 100000

PG_FUNCTION_INFO_V1(dbperf_metrics_between);

/* A series that is shown. */
typedef struct ShownSeries
{
	const SeriesName *name;
	bool			  sampled; /* the next three are those of its last sample */
	double			  value;
	TimestampTz		  at;
	TimestampTz		  started;
	bool			  waiting;	  /* for the end of its step */
	TimestampTz		  shown_at;	  /* 0 = not yet */
	double			  increase;	  /* of a counter since then */
	bool			  increasing; /* that is known */
} ShownSeries;

/* What one call does. */
typedef struct Between
{
	ReturnSetInfo *result;
	ArrayType	  *names;
	List		  *sets;
	TimestampTz	   since;
	double		   step;   /* microseconds */
	double		   number; /* of the step that is open */
	int			   num_shown;
	int			   room;
	ShownSeries	  *shown;
	int			  *places; /* of the last set's positions in shown, -1 = not wanted */
	SeriesSet	  *set;
} Between;

/* Whether a metric is wanted. */
static bool
name_is_wanted(const Between *between, const char *name)
{
	Datum *names;
	bool  *nulls;
	int	   count;

	deconstruct_array(between->names, TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i] && strcmp(TextDatumGetCString(names[i]), name) == 0)
			return true;
	}
	return false;
}

/* The place of a series in shown, where it gets one if it is new. */
static int
place_of(Between *between, const SeriesName *name)
{
	for (int i = 0; i < between->num_shown; i++)
	{
		if (strcmp(between->shown[i].name->identity, name->identity) == 0)
			return i;
	}
	if (between->num_shown >= between->room)
	{
		between->room = Max(between->room * 2, 16);
		between->shown = between->shown == NULL
							 ? palloc(between->room * sizeof(ShownSeries))
							 : repalloc(between->shown, between->room * sizeof(ShownSeries));
	}
	memset(&between->shown[between->num_shown], 0, sizeof(ShownSeries));
	between->shown[between->num_shown].name = name;
	return between->num_shown++;
}

/* Finds out what the positions of a set are. */
static void
use_set(Between *between, SeriesSet *set)
{
	const char *last = "";
	bool		wanted = false;

	between->set = set;
	for (int i = 0; i < set->count; i++)
	{
		const SeriesName *name = &set->series[i];

		between->places[i] = -1;
		if (name->identity == NULL)
			continue;
		if (strcmp(name->name, last) != 0)
			wanted = name_is_wanted(between, name->name);
		last = name->name;
		if (wanted)
			between->places[i] = place_of(between, name);
	}
}

/*
 * What a counter has grown by, or NaN if that cannot be known: the sample is of
 * another server than the one before, as after a promotion.  One that is less than
 * it was has begun anew.
 */
static double
increase(const ShownSeries *series, const SampleInfo *info, double value)
{
	if (info->started != series->started && info->started < series->at)
		return NAN;
	return value >= series->value ? value - series->value : value;
}

/* Takes a value of a series. */
static void
take_value(ShownSeries *series, const SampleInfo *info, double value)
{
	if (series->sampled && series->name->counter)
	{
		double by = increase(series, info, value);

		if (isnan(by))
			series->increasing = false;
		else
			series->increase += by;
	}
	series->sampled = true;
	series->waiting = true;
	series->value = value;
	series->at = info->at;
	series->started = info->started;
}

/* Takes the values of a sample. */
static void
take_sample(Between *between, const MetricSample *sample)
{
	SeriesSet *set = dbperf_series_set_of(between->sets, &sample->info);

	if (set == NULL)
		return;
	if (set != between->set)
		use_set(between, set);
	for (int i = 0; i < Min(sample->info.count, set->count); i++)
	{
		if (between->places[i] >= 0 && !isnan(sample->values[i]))
			take_value(&between->shown[between->places[i]], &sample->info, sample->values[i]);
	}
}

/* Adds the row of a series. */
static void
put_series(Between *between, ShownSeries *series)
{
	double seconds = (double) (series->at - series->shown_at) / USECS_PER_SEC;
	Datum  values[BETWEEN_COLUMNS];
	bool   nulls[BETWEEN_COLUMNS] = {false};

	values[0] = TimestampTzGetDatum(series->at);
	values[1] = CStringGetTextDatum(series->name->name);
	values[2] = series->name->labels;
	values[3] = Float8GetDatum(series->value);
	values[4] = Float8GetDatum(series->increase / seconds);
	nulls[4] = !series->name->counter || series->shown_at == 0 || !series->increasing;
	tuplestore_putvalues(between->result->setResult, between->result->setDesc, values, nulls);
	pfree(DatumGetPointer(values[1]));
	series->waiting = false;
	series->shown_at = series->at;
	series->increase = 0;
	series->increasing = true;
}

/* Orders series that wait by the time of their value. */
static int
compare_waiting(const void *a, const void *b)
{
	const ShownSeries *first = *(ShownSeries *const *) a;
	const ShownSeries *second = *(ShownSeries *const *) b;

	if (first->at != second->at)
		return first->at < second->at ? -1 : 1;
	return first < second ? -1 : 1;
}

/* A step is over: shows what there was in it. */
static void
end_step(Between *between)
{
	ShownSeries **waiting = palloc(Max(between->num_shown, 1) * sizeof(ShownSeries *));
	int			  count = 0;

	for (int i = 0; i < between->num_shown; i++)
	{
		if (between->shown[i].waiting)
			waiting[count++] = &between->shown[i];
	}
	qsort(waiting, count, sizeof(ShownSeries *), compare_waiting);
	for (int i = 0; i < count; i++)
		put_series(between, waiting[i]);
	pfree(waiting);
}

/* SampleVisit: takes a sample, which may be the first one of a step. */
static void
show_sample(const void *arg, void *state)
{
	const MetricSample *sample = arg;
	Between			   *between = state;
	double				number = ceil((double) (sample->info.at - between->since) / between->step);

	if (number != between->number)
		end_step(between);
	between->number = number;
	take_sample(between, sample);
}

/*
 * metrics_between(since, until, names, points) returns setof record.
 */
Datum
dbperf_metrics_between(PG_FUNCTION_ARGS)
{
	TimestampTz since = PG_GETARG_TIMESTAMPTZ(0);
	TimestampTz until = PG_GETARG_TIMESTAMPTZ(1);
	int			points = PG_GETARG_INT32(3);
	Between		between = {0};

	dbperf_require_shmem();
	if (points < 1 || points > MOST_POINTS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number of points %d is not between 1 and %d", points, MOST_POINTS)));
	dbperf_samples_check_period(since, until);
	between.result = dbperf_srf_begin(fcinfo, BETWEEN_COLUMNS);
	between.names = PG_GETARG_ARRAYTYPE_P(2);
	between.places = palloc(MAX_SERIES * sizeof(int));
	dbperf_samples_clamp(&since, &until);
	if (since >= until)
		return (Datum) 0;
	/* a series that comes from now on is not shown */
	between.sets = dbperf_series_sets();
	between.since = since;
	between.step = (double) (until - since) / points;
	dbperf_samples_visit(RING_METRICS, dbperf_samples_tier(since, until, points), true, since,
						 until, show_sample, &between);
	end_step(&between);
	return (Datum) 0;
}
