/*-------------------------------------------------------------------------
 *
 * sample_read.c
 *		Reads samples, from the tables where they count and from shared memory.
 *
 * The tables count in dbperf.database, unless it is a standby's: there they are
 * what the primary has sampled of itself.  They are read without SPI, since whoever
 * may ask for samples needs no privileges on them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "core/central.h"
#include "core/core.h"
#include "metrics/samples.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#define METRIC_COLUMNS 6
#define QUERY_COLUMNS 13
#define SERIES_COLUMNS 7

/* as many as there are in a day if one is taken each minute */
#define SAMPLES_AT_ONCE (HOURS_PER_DAY * MINS_PER_HOUR)

/*
 * Whether the tables of this database are to be read.
 */
bool
dbperf_samples_tables_count(void)
{
	return !RecoveryInProgress() && dbperf_is_central() &&
		   dbperf_samples_target() == SAMPLER_RUNNING;
}

/* A column that is never null in rows of the sampler's. */
static Datum
column(HeapTuple row, Relation table, int number)
{
	bool  isnull;
	Datum value = heap_getattr(row, number, RelationGetDescr(table), &isnull);

	if (isnull)
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("table \"%s\" has a null value where there can be none",
							   RelationGetRelationName(table))));
	return value;
}

/* The elements of an array without nulls; count gets their number. */
static char *
elements(Datum value, Oid type, int *count)
{
	ArrayType *array = DatumGetArrayTypePCopy(value);

	if (ARR_ELEMTYPE(array) != type || ARR_HASNULL(array))
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("a sample of metrics is not what the sampler has written")));
	*count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	return ARR_DATA_PTR(array);
}

/* The same, which must be so many. */
static char *
these_elements(Datum value, Oid type, int count)
{
	int	  found;
	char *data = elements(value, type, &found);

	if (found != count)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("a sample of queries has arrays of different lengths")));
	return data;
}

static void *
read_metrics(HeapTuple row, Relation table)
{
	MetricSample *sample = palloc0(sizeof(MetricSample));

	sample->info.at = DatumGetTimestampTz(column(row, table, 1));
	sample->info.started = DatumGetTimestampTz(column(row, table, 2));
	sample->info.set = DatumGetInt32(column(row, table, 3));
	sample->info.step = DatumGetInt32(column(row, table, 4));
	sample->values = (double *) elements(column(row, table, 6), FLOAT8OID, &sample->info.count);
	return sample;
}

/* Fills the queries of a sample from the arrays of a row. */
static void
read_queries_of(QuerySample *sample, HeapTuple row, Relation table)
{
	int		count;
	int64  *ids = (int64 *) elements(column(row, table, 5), INT8OID, &count);
	Oid	   *databases = (Oid *) these_elements(column(row, table, 6), OIDOID, count);
	Oid	   *roles = (Oid *) these_elements(column(row, table, 7), OIDOID, count);
	bool   *toplevel = (bool *) these_elements(column(row, table, 8), BOOLOID, count);
	double *calls = (double *) these_elements(column(row, table, 9), FLOAT8OID, count);
	double *total_ms = (double *) these_elements(column(row, table, 10), FLOAT8OID, count);
	float  *new_calls = (float *) these_elements(column(row, table, 11), FLOAT4OID, count);
	float  *new_ms = (float *) these_elements(column(row, table, 12), FLOAT4OID, count);
	float  *buckets = NULL;

	if (!heap_attisnull(row, 13, RelationGetDescr(table)))
		buckets =
			(float *) these_elements(column(row, table, 13), FLOAT4OID, count * QUERY_BUCKETS);
	sample->info.count = count;
	sample->queries = palloc0(Max(count, 1) * sizeof(TopQuery));
	for (int i = 0; i < count; i++)
	{
		TopQuery *query = &sample->queries[i];

		query->key.queryid = (uint64) ids[i];
		query->key.dbid = databases[i];
		query->key.userid = roles[i];
		query->key.toplevel = toplevel[i];
		query->calls = calls[i];
		query->total_ms = total_ms[i];
		query->new_calls = new_calls[i];
		query->new_ms = new_ms[i];
		for (int b = 0; b < QUERY_BUCKETS; b++)
			query->buckets[b] = buckets != NULL ? buckets[i * QUERY_BUCKETS + b] : NAN;
	}
}

static void *
read_queries(HeapTuple row, Relation table)
{
	QuerySample *sample = palloc0(sizeof(QuerySample));

	sample->info.at = DatumGetTimestampTz(column(row, table, 1));
	sample->info.started = DatumGetTimestampTz(column(row, table, 2));
	sample->info.step = DatumGetInt32(column(row, table, 3));
	read_queries_of(sample, row, table);
	return sample;
}

/* The index on the time of samples, or InvalidOid: then all of the table is read. */
static Oid
time_index(Relation table)
{
	ListCell *cell;

	foreach (cell, RelationGetIndexList(table))
	{
		Relation index = index_open(lfirst_oid(cell), AccessShareLock);
		bool	 fits = index->rd_index->indisvalid && index->rd_index->indnkeyatts == 1 &&
					index->rd_index->indkey.values[0] == 1 &&
					heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL);

		index_close(index, NoLock);
		if (fits)
			return lfirst_oid(cell);
	}
	return InvalidOid;
}

/* Adds the samples of a period that a member has. */
static List *
read_member(RingKind kind, const char *name, TimestampTz since, TimestampTz until, List *samples)
{
	Oid			oid = dbperf_own_table(name);
	Relation	table;
	SysScanDesc scan;
	ScanKeyData keys[2];
	HeapTuple	row;
	Oid			index;

	if (!OidIsValid(oid))
		return samples;
	table = table_open(oid, AccessShareLock);
	dbperf_check_columns(RelationGetDescr(table),
						 kind == RING_METRICS ? METRIC_COLUMNS : QUERY_COLUMNS);
	ScanKeyInit(&keys[0], 1, BTGreaterStrategyNumber, F_TIMESTAMPTZ_GT, TimestampTzGetDatum(since));
	ScanKeyInit(&keys[1], 1, BTLessEqualStrategyNumber, F_TIMESTAMPTZ_LE,
				TimestampTzGetDatum(until));
	index = time_index(table);
	scan = systable_beginscan(table, index, OidIsValid(index), GetActiveSnapshot(), 2, keys);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		CHECK_FOR_INTERRUPTS();
		samples = lappend(samples, kind == RING_METRICS ? read_metrics(row, table)
														: read_queries(row, table));
	}
	systable_endscan(scan);
	table_close(table, NoLock);
	return samples;
}

/* Both kinds of samples begin with it. */
static const SampleInfo *
info_of(const ListCell *cell)
{
	return (const SampleInfo *) lfirst(cell);
}

/* Orders samples by time, those of the ring before those of a table. */
static int
compare_samples(const ListCell *a, const ListCell *b)
{
	const SampleInfo *first = info_of(a);
	const SampleInfo *second = info_of(b);

	if (first->at != second->at)
		return first->at < second->at ? -1 : 1;
	return (int) second->ring - (int) first->ring;
}

/* Leaves only the first of those of the same time. */
static List *
without_doubles(List *samples)
{
	List	   *result = NIL;
	TimestampTz last = DT_NOBEGIN;
	ListCell   *cell;

	list_sort(samples, compare_samples);
	foreach (cell, samples)
	{
		if (info_of(cell)->at != last)
			result = lappend(result, lfirst(cell));
		last = info_of(cell)->at;
	}
	list_free(samples);
	return result;
}

/*
 * The samples (MetricSample or QuerySample) of a tier that were taken after since
 * and not after until, oldest first.
 */
static List *
read_tier(RingKind kind, int tier, TimestampTz since, TimestampTz until)
{
	bool  tables = dbperf_samples_tables_count();
	List *samples;

	if (since >= until)
		return NIL;
	samples = dbperf_sample_ring_read(kind, tier, since, until, tables ? RING_PRIMARY : RING_ALL);
	for (int member = 1; tables && member <= TIER_MEMBERS; member++)
		samples = read_member(
			kind,
			psprintf(kind == RING_METRICS ? "metrics_samples_%d" : "metrics_query_samples_%d",
					 (tier + 1) * 10 + member),
			since, until, samples);
	return without_doubles(samples);
}

/*
 * The rarest tier that has so many samples in a period.
 */
int
dbperf_samples_tier(TimestampTz since, TimestampTz until, int points)
{
	int tier = NUM_TIERS - 1;

	while (tier > 0 &&
		   (double) dbperf_tier_step(tier) * points > (double) (until - since) / USECS_PER_SEC)
		tier--;
	return tier;
}

/* The time of the first or last sample, or another one if there is none. */
static TimestampTz
first_at(List *samples, TimestampTz otherwise)
{
	return samples != NIL ? info_of(list_head(samples))->at : otherwise;
}

static TimestampTz
last_at(List *samples, TimestampTz otherwise)
{
	return samples != NIL ? info_of(list_tail(samples))->at : otherwise;
}

/*
 * The samples of a period, oldest first: those of a tier, before its first one what
 * rarer tiers still have, and after its last one what others have already.
 */
static List *
read_tiers(RingKind kind, int tier, TimestampTz since, TimestampTz until)
{
	int	  lowest = kind == RING_QUERIES ? FIRST_QUERY_TIER : 0;
	List *samples = read_tier(kind, tier, since, until);

	for (int rarer = tier + 1; rarer < NUM_TIERS; rarer++)
		samples =
			list_concat(read_tier(kind, rarer, since, first_at(samples, until + 1) - 1), samples);
	for (int other = tier - 1; other >= lowest; other--)
		samples = list_concat(samples, read_tier(kind, other, last_at(samples, since), until));
	return samples;
}

/*
 * Shows the samples (MetricSample or QuerySample) of a period, oldest first: those
 * of a tier, and with others what other tiers have where it has none.  They are
 * read part by part, so that not all are in memory at once, and are gone when
 * visit returns, which runs in the memory context of the caller.
 */
void
dbperf_samples_visit(RingKind kind, int tier, bool others, TimestampTz since, TimestampTz until,
					 SampleVisit visit, void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "dbperf samples", ALLOCSET_DEFAULT_SIZES);
	int64		  length = (int64) SAMPLES_AT_ONCE * dbperf_tier_step(tier) * USECS_PER_SEC;

	while (since < until)
	{
		TimestampTz end = Min(since + length, until);
		List	   *samples;
		ListCell   *cell;

		MemoryContextSwitchTo(context);
		samples = others ? read_tiers(kind, tier, since, end) : read_tier(kind, tier, since, end);
		MemoryContextSwitchTo(caller);
		foreach (cell, samples)
		{
			CHECK_FOR_INTERRUPTS();
			visit(lfirst(cell), arg);
		}
		MemoryContextReset(context);
		CHECK_FOR_INTERRUPTS();
		since = end;
	}
	MemoryContextDelete(context);
}

/*
 * Raises an error if a period ends before it begins.
 */
void
dbperf_samples_check_period(TimestampTz since, TimestampTz until)
{
	if (since > until)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the beginning of a period must not be after its end"),
				 errdetail("The period is from %s to %s.", pstrdup(timestamptz_to_str(since)),
						   pstrdup(timestamptz_to_str(until)))));
}

/*
 * Makes a period one within which there can be samples, so that one can calculate
 * with its ends.
 */
void
dbperf_samples_clamp(TimestampTz *since, TimestampTz *until)
{
	TimestampTz now = GetCurrentTimestamp();

	*since = Max(*since, now - 2 * dbperf_tier_age(NUM_TIERS - 1) * USECS_PER_SEC);
	*until = Min(*until, now + USECS_PER_DAY);
}

/* ---- directories ---- */

/* Makes a set with room for so many series. */
static SeriesSet *
make_set(bool ring, int number, int room)
{
	SeriesSet *set = palloc0(sizeof(SeriesSet));

	set->ring = ring;
	set->set = number;
	set->series = palloc0(Max(room, 1) * sizeof(SeriesName));
	return set;
}

/* A text of the sampler's in the encoding of this database. */
static char *
converted(const char *text, int len, int encoding)
{
	return text_to_cstring(dbperf_server_text(text, len, encoding));
}

/* The directory of the ring. */
static SeriesSet *
ring_set(void)
{
	Series	  *series;
	int		   encoding;
	int		   epoch;
	int		   count = dbperf_sample_ring_series(&series, &encoding, &epoch);
	SeriesSet *set = make_set(true, epoch, count);

	for (int i = 0; i < count; i++)
	{
		SeriesName *name = &set->series[i];
		const char *identity = series[i].identity;
		char	   *labels = converted(identity + series[i].name_len,
									   (int) strlen(identity + series[i].name_len), encoding);

		name->identity = converted(identity, (int) strlen(identity), encoding);
		name->name = pnstrdup(identity, series[i].name_len);
		name->labels = DirectFunctionCall1(jsonb_in, CStringGetDatum(labels));
		name->counter = series[i].counter;
	}
	set->count = count;
	pfree(series);
	return set;
}

/* The set of this number, which is made if it is not there. */
static SeriesSet *
table_set(List **sets, int number)
{
	SampleInfo info = {.set = number};
	SeriesSet *set = dbperf_series_set_of(*sets, &info);

	if (set == NULL)
	{
		set = make_set(false, number, MAX_SERIES);
		*sets = lappend(*sets, set);
	}
	return set;
}

/* Adds the directories that the tables have. */
static List *
table_sets(List *sets)
{
	Relation	table = table_open(dbperf_own_table("metrics_series"), AccessShareLock);
	SysScanDesc scan;
	HeapTuple	row;

	dbperf_check_columns(RelationGetDescr(table), SERIES_COLUMNS);
	scan = systable_beginscan(table, InvalidOid, false, GetActiveSnapshot(), 0, NULL);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		SeriesSet  *set = table_set(&sets, DatumGetInt32(column(row, table, 1)));
		int			position = DatumGetInt32(column(row, table, 2));
		SeriesName *name;

		if (position < 1 || position > MAX_SERIES)
			continue;
		name = &set->series[position - 1];
		name->identity = TextDatumGetCString(column(row, table, 3));
		name->name = TextDatumGetCString(column(row, table, 4));
		name->labels = JsonbPGetDatum(DatumGetJsonbPCopy(column(row, table, 5)));
		name->counter = DatumGetBool(column(row, table, 6));
		set->count = Max(set->count, position);
	}
	systable_endscan(scan);
	table_close(table, NoLock);
	return sets;
}

/*
 * All directories (SeriesSet).  A series of which nothing is known has no identity.
 */
List *
dbperf_series_sets(void)
{
	List *sets = list_make1(ring_set());

	return dbperf_samples_tables_count() ? table_sets(sets) : sets;
}

/*
 * The directory of a sample, or NULL if there is none any more.
 */
SeriesSet *
dbperf_series_set_of(List *sets, const SampleInfo *info)
{
	ListCell *cell;

	foreach (cell, sets)
	{
		SeriesSet *set = lfirst(cell);

		if (set->ring == info->ring && set->set == info->set)
			return set;
	}
	return NULL;
}
