/*-------------------------------------------------------------------------
 *
 * samples_sql.c
 *		SQL functions about what the sampler has, and about itself.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "core/core.h"
#include "funcapi.h"
#include "metrics/samples.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#define RING_COLUMNS 5
#define QUERY_RING_COLUMNS 8
#define STATUS_COLUMNS 12

PG_FUNCTION_INFO_V1(dbperf_metrics_tables_count);
PG_FUNCTION_INFO_V1(dbperf_metrics_ring);
PG_FUNCTION_INFO_V1(dbperf_metrics_query_ring);
PG_FUNCTION_INFO_V1(dbperf_metrics_status);

/*
 * metrics_tables_count() returns bool.
 */
Datum
dbperf_metrics_tables_count(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(dbperf_samples_tables_count());
}

/* The step of a tier as interval. */
static Datum
step_interval(const SampleInfo *info)
{
	Interval *step = palloc0(sizeof(Interval));

	step->time = (TimeOffset) info->step * USECS_PER_SEC;
	return IntervalPGetDatum(step);
}

/* The samples of a tier that only the ring has, as this server is now. */
static List *
ring_samples(RingKind kind, int tier)
{
	return dbperf_sample_ring_read(kind, tier, DT_NOBEGIN, DT_NOEND,
								   dbperf_samples_tables_count() ? RING_UNSTORED : RING_ALL);
}

/* Adds the rows of a sample. */
static void
put_values(ReturnSetInfo *result, const MetricSample *sample, const SeriesSet *set)
{
	Datum values[RING_COLUMNS];
	bool  nulls[RING_COLUMNS] = {false};

	values[0] = TimestampTzGetDatum(sample->info.at);
	values[1] = step_interval(&sample->info);
	for (int i = 0; i < Min(sample->info.count, set->count); i++)
	{
		if (isnan(sample->values[i]))
			continue;
		values[2] = CStringGetTextDatum(set->series[i].name);
		values[3] = set->series[i].labels;
		values[4] = Float8GetDatum(sample->values[i]);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		pfree(DatumGetPointer(values[2]));
	}
}

/*
 * metrics_ring() returns setof record: the values of metrics_history that are in
 * shared memory only.
 */
Datum
dbperf_metrics_ring(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	List		  *samples = NIL;
	List		  *sets;
	ListCell	  *cell;

	dbperf_require_shmem();
	result = dbperf_srf_begin(fcinfo, RING_COLUMNS);
	for (int tier = 0; tier < NUM_TIERS; tier++)
		samples = list_concat(samples, ring_samples(RING_METRICS, tier));
	sets = dbperf_series_sets();
	foreach (cell, samples)
	{
		const MetricSample *sample = lfirst(cell);
		const SeriesSet	   *set = dbperf_series_set_of(sets, &sample->info);

		CHECK_FOR_INTERRUPTS();
		if (set != NULL)
			put_values(result, sample, set);
	}
	return (Datum) 0;
}

/* Adds the rows of a sample of queries. */
static void
put_queries(ReturnSetInfo *result, const QuerySample *sample)
{
	Datum values[QUERY_RING_COLUMNS];
	bool  nulls[QUERY_RING_COLUMNS] = {false};

	values[0] = TimestampTzGetDatum(sample->info.at);
	values[1] = step_interval(&sample->info);
	for (int i = 0; i < sample->info.count; i++)
	{
		const TopQuery *query = &sample->queries[i];

		values[2] = Int64GetDatum((int64) query->key.queryid);
		nulls[2] = query->key.queryid == 0 || !dbperf_may_see_role(query->key.userid);
		values[3] = ObjectIdGetDatum(query->key.dbid);
		values[4] = ObjectIdGetDatum(query->key.userid);
		values[5] = BoolGetDatum(query->key.toplevel != 0);
		values[6] = Int64GetDatum((int64) query->calls);
		values[7] = Float8GetDatum(query->total_ms);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

/*
 * metrics_query_ring() returns setof record: the same for metrics_query_history.
 */
Datum
dbperf_metrics_query_ring(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;

	dbperf_require_shmem();
	result = dbperf_srf_begin(fcinfo, QUERY_RING_COLUMNS);
	for (int tier = FIRST_QUERY_TIER; tier < NUM_TIERS; tier++)
	{
		ListCell *cell;

		foreach (cell, ring_samples(RING_QUERIES, tier))
		{
			CHECK_FOR_INTERRUPTS();
			put_queries(result, lfirst(cell));
		}
	}
	return (Datum) 0;
}

/* A time, or null if it is none. */
static Datum
time_or_null(TimestampTz at, bool *isnull)
{
	*isnull = at == 0;
	return TimestampTzGetDatum(at);
}

/*
 * metrics_status() returns record: what the sampler says about itself.
 */
Datum
dbperf_metrics_status(PG_FUNCTION_ARGS)
{
	SamplerStatus status;
	int			  series;
	TupleDesc	  desc;
	Datum		  values[STATUS_COLUMNS];
	bool		  nulls[STATUS_COLUMNS] = {false};

	dbperf_require_shmem();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	dbperf_check_columns(desc, STATUS_COLUMNS);
	dbperf_sampler_status(&status, &series);
	values[0] = CStringGetTextDatum(dbperf_sampler_state_text(&status));
	values[1] = time_or_null(status.since, &nulls[1]);
	values[2] = time_or_null(status.sampled_at, &nulls[2]);
	values[3] = time_or_null(status.stored_at, &nulls[3]);
	values[4] = Int64GetDatum(status.samples);
	values[5] = Int64GetDatum(status.stored);
	values[6] = Int32GetDatum(series);
	values[7] = Int64GetDatum(status.values_refused);
	values[8] = PointerGetDatum(
		dbperf_server_text(status.error, (int) strlen(status.error), status.encoding));
	values[9] = time_or_null(status.failed_at, &nulls[9]);
	nulls[8] = nulls[9];
	values[10] = Int64GetDatum(status.bytes);
	values[11] = Int32GetDatum(status.members);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}
