/*-------------------------------------------------------------------------
 *
 * sample_queries.c
 *		Which queries took most time since the previous sample.
 *
 * The sampler remembers what each query had counted when it last looked.  So a
 * sample can say of a query what it did since, though the samples before have not
 * had it, and the queries with most to say are chosen.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "metrics/samples.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

/* What a query had counted. */
typedef struct QueryCounts
{
	double calls;
	double total_ms;
	double buckets[QUERY_BUCKETS];
} QueryCounts;

typedef struct KnownQuery
{
	LatencyKey	key;			 /* MUST BE FIRST */
	uint32		round;			 /* when it was looked at last */
	QueryCounts seen[NUM_TIERS]; /* by the last sample of each tier */
} KnownQuery;

/* The queries chosen so far. */
typedef struct Choice
{
	int		 count;
	int		 least; /* void until there are enough */
	double	 ranks[MAX_TOP_QUERIES];
	TopQuery queries[MAX_TOP_QUERIES];
} Choice;

/* One look at all queries. */
typedef struct Round
{
	const bool *tiers;
	TimestampTz at;
	Choice	   *choices[NUM_TIERS];
} Round;

static HTAB	 *known = NULL;
static uint32 round_number = 0;
static bool	  looked[NUM_TIERS]; /* seen is set for it */

/*
 * To be called when the sampler starts: nothing is known.
 */
void
dbperf_top_queries_init(void)
{
	HASHCTL ctl = {0};

	ctl.keysize = sizeof(LatencyKey);
	ctl.entrysize = sizeof(KnownQuery);
	ctl.hcxt = TopMemoryContext;
	known = hash_create("dbperf known queries", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Finds the query that has to go if another one comes. */
static void
find_least(Choice *choice)
{
	choice->least = 0;
	for (int i = 1; i < choice->count; i++)
	{
		if (choice->ranks[i] < choice->ranks[choice->least])
			choice->least = i;
	}
}

/* Takes a query if it is among those of the highest ranks. */
static void
choose(Choice *choice, double rank, const TopQuery *query)
{
	int place = choice->count;

	if (place == MAX_TOP_QUERIES)
	{
		place = choice->least;
		if (rank <= choice->ranks[place])
			return;
	}
	else
		choice->count++;
	choice->ranks[place] = rank;
	choice->queries[place] = *query;
	if (choice->count == MAX_TOP_QUERIES)
		find_least(choice);
}

/*
 * What a query did since a sample of which seen is left.  That is not known, and
 * said to be nothing, if the sampler has not looked before and the query is older
 * than a step, and if the query has counted less than it had: it was reset, or counts
 * have just moved from one histogram to another.
 */
static void
describe(TopQuery *query, const LatencyKey *key, const QueryCounts *now, const QueryCounts *seen,
		 bool first)
{
	if (first || now->calls < seen->calls || now->total_ms < seen->total_ms)
		seen = now;
	query->key = *key;
	query->calls = now->calls;
	query->total_ms = now->total_ms;
	query->new_calls = (float) (now->calls - seen->calls);
	query->new_ms = (float) (now->total_ms - seen->total_ms);
	for (int i = 0; i < QUERY_BUCKETS; i++)
		query->buckets[i] = (float) Max(now->buckets[i] - seen->buckets[i], 0.0);
}

/* Looks at one query.  What came after the time of the samples is for the next. */
static void
look(const LatencySummary *summary, void *arg)
{
	Round	   *round = arg;
	KnownQuery *query;
	QueryCounts now;
	bool		found;

	if (summary->first_seen > round->at)
		return;
	query = hash_search(known, &summary->key, HASH_ENTER, &found);
	if (!found)
		memset(query->seen, 0, sizeof(query->seen));
	query->round = round_number;

	now.calls = (double) summary->calls;
	now.total_ms = (double) summary->total_ns / 1000000.0;
	dbperf_latency_cumulate(summary, dbperf_latency_bounds, LATENCY_NUM_BOUNDS, now.buckets);
	now.buckets[LATENCY_NUM_BOUNDS] = now.calls;

	for (int tier = FIRST_QUERY_TIER; tier < NUM_TIERS; tier++)
	{
		TimestampTz before = round->at - dbperf_tier_step(tier) * USECS_PER_SEC;
		TopQuery	described;

		if (!round->tiers[tier])
			continue;
		describe(&described, &summary->key, &now, &query->seen[tier],
				 !looked[tier] && summary->first_seen <= before);
		query->seen[tier] = now;
		if (!looked[tier])
			choose(round->choices[tier], now.total_ms, &described);
		else if (described.new_calls > 0)
			choose(round->choices[tier], described.new_ms, &described);
	}
}

/*
 * Forgets queries that were evicted.  One can be missed by accident, while its
 * first histogram is given to another query, but not twice.
 */
static void
forget_others(void)
{
	HASH_SEQ_STATUS scan;
	KnownQuery	   *query;

	hash_seq_init(&scan, known);
	while ((query = hash_seq_search(&scan)) != NULL)
	{
		if (round_number - query->round > 1)
			hash_search(known, &query->key, HASH_REMOVE, NULL);
	}
}

/*
 * Takes a sample of the top queries for each of these tiers, all as of at.  Their
 * queries are palloc'd.
 */
void
dbperf_top_queries_take(const bool *tiers, TimestampTz at, QuerySample *samples)
{
	Round round = {.tiers = tiers, .at = at};

	for (int tier = FIRST_QUERY_TIER; tier < NUM_TIERS; tier++)
	{
		if (tiers[tier])
			round.choices[tier] = palloc0(sizeof(Choice));
	}
	round_number++;
	dbperf_latency_visit(look, &round);
	forget_others();
	for (int tier = FIRST_QUERY_TIER; tier < NUM_TIERS; tier++)
	{
		if (!tiers[tier])
			continue;
		samples[tier].info.count = round.choices[tier]->count;
		samples[tier].queries = round.choices[tier]->queries;
		looked[tier] = true;
	}
}
