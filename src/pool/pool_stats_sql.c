/*-------------------------------------------------------------------------
 *
 * pool_stats_sql.c
 *		The views pool_stats and pool_efficiency.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "funcapi.h"
#include "pool/pool_rows.h"
#include "pool/pool_stats.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"

#define POOL_STATS_COLUMNS 21
#define POOL_EFFICIENCY_COLUMNS 15

PG_FUNCTION_INFO_V1(dbperf_pool_stats);
PG_FUNCTION_INFO_V1(dbperf_pool_efficiency);

/* ---- pool_stats ---- */

/* All that is copied under the lock. */
typedef struct Copy
{
	PoolStats	  stats;
	PoolPair	 *pairs;
	int			  num_pairs;
	PoolDatabase *databases;
	int			  num_databases;
} Copy;

/* Copies the statistics; entries of those that made room come last. */
static Copy *
copy_stats(void)
{
	Copy		   *copy = palloc(sizeof(Copy));
	HASH_SEQ_STATUS scan;
	void		   *entry;

	copy->pairs = palloc((POOL_PAIRS + 1) * sizeof(PoolPair));
	copy->databases = palloc((POOL_DATABASES + 1) * sizeof(PoolDatabase));
	copy->num_pairs = copy->num_databases = 0;

	LWLockAcquire(POOL_STATS_LOCK, LW_SHARED);
	copy->stats = *dbperf_pool_known;
	hash_seq_init(&scan, dbperf_pool_pairs);
	while ((entry = hash_seq_search(&scan)) != NULL)
		copy->pairs[copy->num_pairs++] = *(PoolPair *) entry;
	hash_seq_init(&scan, dbperf_pool_databases);
	while ((entry = hash_seq_search(&scan)) != NULL)
		copy->databases[copy->num_databases++] = *(PoolDatabase *) entry;
	LWLockRelease(POOL_STATS_LOCK);

	/* what the worker left behind, should it have died */
	for (int i = 0; i < copy->num_pairs && dbperf_pool_shared->processes == 0; i++)
		memset(copy->pairs[i].gauges, 0, sizeof(copy->pairs[i].gauges));

	if (pg_atomic_read_u64(&copy->stats.other_pair.connects) > 0)
		copy->pairs[copy->num_pairs++] = copy->stats.other_pair;
	if (copy->stats.other.lifetime.transactions > 0)
		copy->databases[copy->num_databases++] = copy->stats.other;
	return copy;
}

/* Adds what the pool has for a pair now. */
static void
add_gauges(int64 *to, const PoolPair *pair, int64 *longest_wait)
{
	for (int g = 0; g < GAUGE_WAIT_US; g++)
		to[g] += pair->gauges[g];
	to[GAUGE_WAIT_US] = Max(to[GAUGE_WAIT_US], pair->gauges[GAUGE_WAIT_US]);
	*longest_wait = Max(*longest_wait, pair->longest_wait_us);
}

/* The columns from clients_active to longest_wait_ms. */
static void
put_gauges(PoolRow *row, const int64 *gauges, int64 longest_wait)
{
	for (int g = 0; g < GAUGE_WAIT_US; g++)
		dbperf_pool_put(row, Int64GetDatum(gauges[g]));
	dbperf_pool_put_ms(row, gauges[GAUGE_WAIT_US]);
	dbperf_pool_put_ms(row, longest_wait);
}

/* The row of a database and one of its roles. */
static void
put_pair(ReturnSetInfo *rsinfo, const PoolPair *pair, TimestampTz as_of)
{
	PoolPair *counters = unconstify(PoolPair *, pair);
	PoolRow	  row = {0};

	dbperf_pool_put_name(&row, pair->key.database);
	dbperf_pool_put_name(&row, pair->key.role);
	put_gauges(&row, pair->gauges, pair->longest_wait_us);
	dbperf_pool_put(&row, Int64GetDatum(pg_atomic_read_u64(&counters->transactions)));
	dbperf_pool_put(&row, Int64GetDatum(pg_atomic_read_u64(&counters->rollbacks)));
	for (int i = 0; i < 3; i++)
		dbperf_pool_put_null(&row); /* queries, bytes */
	dbperf_pool_put_null(&row);		/* wait */
	dbperf_pool_put_null(&row);		/* query */
	dbperf_pool_put_ms(&row, pg_atomic_read_u64(&counters->xact_us));
	dbperf_pool_put(&row, Int64GetDatum(pg_atomic_read_u64(&counters->connects)));
	dbperf_pool_put_null(&row); /* paused */
	dbperf_pool_put_time(&row, as_of);
	dbperf_pool_store(rsinfo, &row);
}

/* The row of a database with all its roles. */
static void
put_database(ReturnSetInfo *rsinfo, const Copy *copy, const PoolDatabase *database)
{
	int64	gauges[POOL_GAUGES] = {0};
	int64	longest_wait = 0;
	int64	rollbacks = 0;
	PoolRow row = {0};

	for (int i = 0; i < copy->num_pairs; i++)
	{
		if (strcmp(copy->pairs[i].key.database, database->name) != 0)
			continue;
		add_gauges(gauges, &copy->pairs[i], &longest_wait);
		rollbacks += (int64) pg_atomic_read_u64(&copy->pairs[i].rollbacks);
	}
	dbperf_pool_put_name(&row, database->name);
	dbperf_pool_put_null(&row);
	put_gauges(&row, gauges, longest_wait);
	dbperf_pool_put(&row, Int64GetDatum(database->sums[SUM_TRANSACTIONS]));
	dbperf_pool_put(&row, Int64GetDatum(rollbacks));
	dbperf_pool_put(&row, Int64GetDatum(database->sums[SUM_QUERIES]));
	dbperf_pool_put(&row, Int64GetDatum(database->sums[SUM_RECEIVED]));
	dbperf_pool_put(&row, Int64GetDatum(database->sums[SUM_SENT]));
	dbperf_pool_put_ms(&row, database->sums[SUM_WAIT_US]);
	dbperf_pool_put_ms(&row, database->sums[SUM_QUERY_US]);
	dbperf_pool_put_ms(&row, database->lifetime.xact_us);
	dbperf_pool_put(&row, Int64GetDatum(database->lifetime.connects));
	dbperf_pool_put(&row, BoolGetDatum(database->paused));
	dbperf_pool_put_time(&row, copy->stats.as_of);
	dbperf_pool_store(rsinfo, &row);
}

/*
 * pool_stats() returns a row for each database, without a role, and one for
 * each of its roles.
 */
Datum
dbperf_pool_stats(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo;
	Copy		  *copy;

	dbperf_require_shmem();
	rsinfo = dbperf_srf_begin(fcinfo, POOL_STATS_COLUMNS);
	copy = copy_stats();
	for (int i = 0; i < copy->num_databases; i++)
		put_database(rsinfo, copy, &copy->databases[i]);
	for (int i = 0; i < copy->num_pairs; i++)
		put_pair(rsinfo, &copy->pairs[i], copy->stats.as_of);
	return (Datum) 0;
}

/* ---- pool_efficiency ---- */

/*
 * The wait that so many of a span's transactions did not exceed, in us: within
 * its bucket as if they were spread evenly.
 */
static double
wait_percentile(const PoolSpan *span, double fraction)
{
	double lower = 0;
	double upper = POOL_FIRST_WAIT;
	double all = 0;
	double before = 0;

	for (int i = 0; i < POOL_WAITS; i++)
		all += span->waits[i];
	for (int i = 0; i < POOL_WAITS; i++)
	{
		double here = span->waits[i];

		if (here > 0 && before + here >= fraction * all)
			return lower + (upper - lower) * (fraction * all - before) / here;
		before += here;
		lower = upper;
		upper *= sqrt(2);
	}
	return lower;
}

/* The columns from reuse to multiplexing. */
static void
put_ratios(PoolRow *row, const PoolSpan *span)
{
	dbperf_pool_put_ratio(row, Max(span->transactions - span->connects, 0), span->transactions);
	dbperf_pool_put_ratio(row, span->wait_us, span->wait_us + span->xact_us);
	dbperf_pool_put_ratio(row, Min(span->xact_us, span->servers_us), span->servers_us);
	dbperf_pool_put_ratio(row, span->waiting, span->samples);
	dbperf_pool_put_ratio(row, span->clients, span->servers);
}

/* The row of a database, or of all if the name is "". */
static void
put_span(ReturnSetInfo *rsinfo, const char *database, const char *period, const PoolSpan *span)
{
	static const double fractions[] = {0.5, 0.95, 0.99};
	PoolRow				row = {0};
	bool				measured = false;

	dbperf_pool_put_name(&row, database);
	dbperf_pool_put(&row, CStringGetTextDatum(period));
	dbperf_pool_put(&row, Int64GetDatum(span->transactions));
	dbperf_pool_put(&row, Int64GetDatum(span->connects));
	dbperf_pool_put(&row, Int64GetDatum(span->samples));
	dbperf_pool_put_ms(&row, span->wait_us);
	dbperf_pool_put_ms(&row, span->xact_us);
	put_ratios(&row, span);
	for (int i = 0; i < POOL_WAITS; i++)
		measured |= span->waits[i] > 0;
	for (int i = 0; i < (int) lengthof(fractions); i++)
	{
		if (measured)
			dbperf_pool_put(&row, Float8GetDatum(wait_percentile(span, fractions[i]) / 1000.0));
		else
			dbperf_pool_put_null(&row);
	}
	dbperf_pool_store(rsinfo, &row);
}

/*
 * pool_efficiency() returns two rows for each database and two for all: the
 * time since the start of the server, and the last five minutes.
 */
Datum
dbperf_pool_efficiency(PG_FUNCTION_ARGS)
{
	TimestampTz	   now = GetCurrentTimestamp();
	ReturnSetInfo *rsinfo;
	Copy		  *copy;
	PoolSpan	   all = {0};
	PoolSpan	   all_recent = {0};

	dbperf_require_shmem();
	rsinfo = dbperf_srf_begin(fcinfo, POOL_EFFICIENCY_COLUMNS);
	copy = copy_stats();
	for (int i = 0; i < copy->num_databases; i++)
	{
		PoolDatabase *database = &copy->databases[i];
		PoolSpan	  recent = {0};

		for (int s = 0; s < POOL_SPANS; s++)
		{
			if (dbperf_pool_is_recent(database->spans[s].number, now))
				dbperf_pool_add_span(&recent, &database->spans[s]);
		}
		dbperf_pool_add_span(&all, &database->lifetime);
		dbperf_pool_add_span(&all_recent, &recent);
		if (database->name[0] == '\0')
			continue;
		put_span(rsinfo, database->name, "lifetime", &database->lifetime);
		put_span(rsinfo, database->name, "5 minutes", &recent);
	}
	put_span(rsinfo, "", "lifetime", &all);
	put_span(rsinfo, "", "5 minutes", &all_recent);
	return (Datum) 0;
}
