/*-------------------------------------------------------------------------
 *
 * query_samples_sql.c
 *		metrics_queries_between(): what was executed within a period.
 *
 * A sample has the queries that took most time just before it, so that one which
 * was executed all the time need not be in each.  What a query did in between is
 * the difference of two samples that have it.  Before the first of them it is what
 * the sampler says of the time since its last look.
 *
 * A period that has not ended yet ends with what is counted now, in place of a
 * sample.  And of a query that was first seen within it all that is counted is of
 * the period, whether there are samples or not.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "core/core.h"
#include "funcapi.h"
#include "metrics/samples.h"
#include "miscadmin.h"
#include "monitor/monitor.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#define QUERIES_COLUMNS 8
#define FEWEST_SAMPLES 300 /* that a period is read from, if it has as many */

/* A sample is late by this part of its step at most; what is later was taken then. */
#define LATE_PART 100

PG_FUNCTION_INFO_V1(dbperf_metrics_queries_between);

/* What is known of a query within the period. */
typedef struct PeriodQuery
{
	LatencyKey key;		/* MUST BE FIRST */
	bool	   sampled; /* the next three are of its last sample */
	double	   last_calls;
	double	   last_ms;
	SampleInfo last;
	double	   calls;
	double	   total_ms;
	bool	   incomplete; /* not all executions are in the first buckets */
	double	   buckets[NUM_TIERS][QUERY_BUCKETS];
	double	   exact_p95_ms; /* 0 = the buckets have to say it */
	double	   max_ms;		 /* of all its executions; 0 = not known */
} PeriodQuery;

/* What was executed after a time. */
typedef struct Gathering
{
	HTAB	   *queries; /* PeriodQuery */
	TimestampTz since;
	TimestampTz until;
	TimestampTz crowded; /* the last sample before since that had no room for all */
} Gathering;

/*
 * When a sample was due.  It is taken a little later: a period of whole minutes has
 * the samples of those minutes.
 */
static TimestampTz
due_at(const SampleInfo *info)
{
	int64 step = info->step * USECS_PER_SEC;
	int64 late = step > 0 ? info->at % step : 0;

	return late > 0 && late <= step / LATE_PART ? info->at - late : info->at;
}

/* Adds buckets; those that are not known make the sum incomplete. */
static void
add_buckets(PeriodQuery *query, int tier, const TopQuery *sampled)
{
	if (isnan(sampled->buckets[0]))
	{
		query->incomplete |= sampled->new_calls > 0;
		return;
	}
	for (int i = 0; i < QUERY_BUCKETS; i++)
		query->buckets[tier][i] += sampled->buckets[i];
}

/*
 * Takes what a sample has of a query.  counted says that the sample is within the
 * period, and not the last one before it.
 */
static void
take_query(PeriodQuery *query, const TopQuery *sampled, const SampleInfo *info, bool counted)
{
	bool again = query->sampled &&
				 (sampled->calls < query->last_calls || sampled->total_ms < query->last_ms ||
				  (info->started != query->last.started && info->started < query->last.at));

	if (counted && query->sampled && !again)
	{
		query->calls += sampled->calls - query->last_calls;
		query->total_ms += sampled->total_ms - query->last_ms;
	}
	else if (counted)
	{
		query->calls += sampled->new_calls;
		query->total_ms += sampled->new_ms;
	}
	query->sampled = true;
	query->last_calls = sampled->calls;
	query->last_ms = sampled->total_ms;
	query->last = *info;
}

/* The entry of a query; a new one has counted nothing. */
static PeriodQuery *
enter_query(HTAB *queries, const LatencyKey *key)
{
	bool		 found;
	PeriodQuery *query = hash_search(queries, key, HASH_ENTER, &found);

	if (!found)
		memset((char *) query + sizeof(LatencyKey), 0, sizeof(*query) - sizeof(LatencyKey));
	return query;
}

/* Takes a sample: counts, or only buckets. */
static void
take_sample(HTAB *queries, const QuerySample *sample, bool counts, bool counted, int tier)
{
	for (int i = 0; i < sample->info.count; i++)
	{
		const TopQuery *sampled = &sample->queries[i];
		PeriodQuery	   *query = counts ? enter_query(queries, &sampled->key)
									   : hash_search(queries, &sampled->key, HASH_FIND, NULL);

		if (query == NULL)
			continue;
		if (counts)
			take_query(query, sampled, &sample->info, counted);
		if (counted)
			add_buckets(query, tier, sampled);
	}
}

/* SampleVisit: takes the counts and buckets of a sample. */
static void
take_counts(const void *arg, void *gathering)
{
	const QuerySample *sample = arg;
	Gathering		  *into = gathering;
	TimestampTz		   at = due_at(&sample->info);

	if (at <= into->since && sample->info.count >= MAX_TOP_QUERIES)
		into->crowded = sample->info.at;
	if (at <= into->until)
		take_sample(into->queries, sample, true, at > into->since, FIRST_QUERY_TIER);
}

/* SampleVisit: takes the buckets of a sample of the rarest tier. */
static void
take_rare_buckets(const void *arg, void *gathering)
{
	const QuerySample *sample = arg;
	const Gathering	  *into = gathering;
	TimestampTz		   at = due_at(&sample->info);

	if (at > into->since && at <= into->until)
		take_sample(into->queries, sample, false, true, NUM_TIERS - 1);
}

/*
 * LatencyVisit: takes what is counted of a query now.  A query that was first seen
 * after its last sample was forgotten meanwhile, and counting began anew.  One that
 * has not been sampled within the period may have been executed before it as well, if
 * samples had no room for it: that cannot be told apart, and is left out.
 */
static void
take_present(const LatencySummary *summary, void *gathering)
{
	const Gathering *into = gathering;
	bool			 within = summary->first_seen > into->since;
	PeriodQuery		*query = within ? enter_query(into->queries, &summary->key)
									: hash_search(into->queries, &summary->key, HASH_FIND, NULL);
	SampleInfo		 info = {.at = GetCurrentTimestamp(), .started = PgStartTime};
	TopQuery		 present = {
				.calls = (double) summary->calls,
				.total_ms = (double) summary->total_ns / 1000000.0,
	};

	if (query == NULL || (!within && query->last.at < into->crowded))
		return;
	if (query->sampled && summary->first_seen > query->last.at)
	{
		query->sampled = false;
		present.new_calls = (float) present.calls;
		present.new_ms = (float) present.total_ms;
	}
	take_query(query, &present, &info, true);
	query->max_ms = (double) summary->max_ns / 1000000.0;
	if (within && present.calls >= query->calls)
	{
		query->calls = present.calls;
		query->total_ms = present.total_ms;
		query->exact_p95_ms = dbperf_latency_percentile(summary, 0.95) / 1000000.0;
	}
}

/*
 * Gathers what was executed in a period.  A long one is read from the rarest
 * samples alone; a shorter one has their buckets in place of those that are missing.
 * now() as the end is the present, whenever the transaction began, and so is any
 * later time than the statement's.
 */
static void
gather(HTAB *queries, TimestampTz since, TimestampTz until)
{
	int			last = NUM_TIERS - 1;
	int			tier = dbperf_samples_tier(since, until, FEWEST_SAMPLES);
	TimestampTz before = since - 2 * dbperf_tier_step(last) * USECS_PER_SEC;
	TimestampTz late = until + dbperf_tier_step(last) * USECS_PER_SEC / LATE_PART;
	Gathering	into = {.queries = queries, .since = since, .until = until, .crowded = DT_NOBEGIN};

	dbperf_samples_visit(RING_QUERIES, tier, true, before, late, take_counts, &into);
	if (until == GetCurrentTransactionStartTimestamp() ||
		until >= GetCurrentStatementStartTimestamp())
		dbperf_latency_visit(take_present, &into);
	if (tier != last)
		dbperf_samples_visit(RING_QUERIES, last, false, since, late, take_rare_buckets, &into);
}

/*
 * The 95th percentile in milliseconds of executions in buckets, as is usual for
 * them: evenly spread between two bounds.  NaN without executions, infinite beyond
 * the last bound.
 */
static double
p95_ms(const double *buckets)
{
	double rank = 0.95 * buckets[QUERY_BUCKETS - 1];
	double below = 0;
	double lower = 0;

	if (buckets[QUERY_BUCKETS - 1] <= 0)
		return NAN;
	for (int i = 0; i < LATENCY_NUM_BOUNDS; i++)
	{
		double upper = dbperf_latency_bounds[i];

		if (buckets[i] >= rank)
			return 1000 * (lower + (upper - lower) * (rank - below) / (buckets[i] - below));
		below = buckets[i];
		lower = upper;
	}
	return INFINITY;
}

/* A name, or null if there is none any more. */
static Datum
name_or_null(const char *name, bool *isnull)
{
	Name value = palloc0(sizeof(NameData));

	*isnull = name == NULL;
	if (name != NULL)
		namestrcpy(value, name);
	return NameGetDatum(value);
}

/*
 * The 95th percentile of a query, NaN if it is not known.  Those executions that
 * took at least that long did not take longer than all together, and none longer
 * than the longest: of few executions in a wide bucket that says more than the bucket
 * does.
 */
static double
query_p95_ms(const PeriodQuery *query)
{
	double rare = p95_ms(query->buckets[NUM_TIERS - 1]);
	double p95 =
		query->incomplete && !isnan(rare) ? rare : p95_ms(query->buckets[FIRST_QUERY_TIER]);
	double not_faster = query->calls - ceil(0.95 * query->calls) + 1;

	if (query->exact_p95_ms > 0)
		return query->exact_p95_ms;
	if (isnan(p95))
		return p95;
	/* beyond the last bound only the mean tells how long they are */
	if (isinf(p95))
		p95 = Max(1000 * dbperf_latency_bounds[LATENCY_NUM_BOUNDS - 1],
				  query->total_ms / query->calls);
	else
		p95 = Min(p95, query->total_ms / not_faster);
	return query->max_ms > 0 ? Min(p95, query->max_ms) : p95;
}

/* Adds the row of a query. */
static void
put_query(ReturnSetInfo *result, const PeriodQuery *query)
{
	double p95 = query_p95_ms(query);
	Datum  values[QUERIES_COLUMNS];
	bool   nulls[QUERIES_COLUMNS] = {false};

	values[0] = Int64GetDatum((int64) query->key.queryid);
	nulls[0] = query->key.queryid == 0 || !dbperf_may_see_role(query->key.userid);
	values[1] = name_or_null(get_database_name(query->key.dbid), &nulls[1]);
	values[2] = name_or_null(GetUserNameFromId(query->key.userid, true), &nulls[2]);
	values[3] = BoolGetDatum(query->key.toplevel != 0);
	values[4] = Int64GetDatum((int64) query->calls);
	values[5] = Float8GetDatum(query->total_ms);
	values[6] = Float8GetDatum(query->total_ms / query->calls);
	values[7] = Float8GetDatum(p95);
	nulls[7] = isnan(p95);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* Orders queries by total time, most first. */
static int
compare_queries(const ListCell *a, const ListCell *b)
{
	const PeriodQuery *first = lfirst(a);
	const PeriodQuery *second = lfirst(b);

	if (first->total_ms != second->total_ms)
		return first->total_ms > second->total_ms ? -1 : 1;
	return memcmp(&first->key, &second->key, sizeof(LatencyKey));
}

/*
 * metrics_queries_between(since, until) returns setof record.
 */
Datum
dbperf_metrics_queries_between(PG_FUNCTION_ARGS)
{
	TimestampTz		since = PG_GETARG_TIMESTAMPTZ(0);
	TimestampTz		until = PG_GETARG_TIMESTAMPTZ(1);
	ReturnSetInfo  *result;
	HASHCTL			ctl = {0};
	HTAB		   *queries;
	HASH_SEQ_STATUS scan;
	PeriodQuery	   *query;
	List		   *found = NIL;
	ListCell	   *cell;

	dbperf_require_shmem();
	result = dbperf_srf_begin(fcinfo, QUERIES_COLUMNS);
	dbperf_samples_check_period(since, until);
	dbperf_samples_clamp(&since, &until);
	if (since >= until)
		return (Datum) 0;
	ctl.keysize = sizeof(LatencyKey);
	ctl.entrysize = sizeof(PeriodQuery);
	ctl.hcxt = CurrentMemoryContext;
	queries =
		hash_create("dbperf queries of a period", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	gather(queries, since, until);
	hash_seq_init(&scan, queries);
	while ((query = hash_seq_search(&scan)) != NULL)
	{
		if (query->calls >= 1)
			found = lappend(found, query);
	}
	list_sort(found, compare_queries);
	foreach (cell, found)
		put_query(result, lfirst(cell));
	return (Datum) 0;
}
