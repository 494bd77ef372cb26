/*-------------------------------------------------------------------------
 *
 * pool_collect.c
 *		Sums up what the pool's processes have said in a round of questions.
 *
 * In the pool's worker.  Gauges of all processes become one for each database
 * and role, and what they are now is added as a sample to what is known of the
 * last five minutes and of all time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "pool/pool_poll.h"
#include "utils/timestamp.h"

/* What was there counts for so long if there is no later look. */
#define ROUND_US_MAX (2 * USECS_PER_SEC)

/* Adds what a pair has to its database's sample, of which there is one in each round. */
static void
add_sample(PoolSpan *span, bool first, bool first_waits, const int64 *gauges, int64 us)
{
	int64 servers = gauges[GAUGE_SERVERS_ACTIVE] + gauges[GAUGE_SERVERS_IDLE] +
					gauges[GAUGE_SERVERS_USED] + gauges[GAUGE_SERVERS_OTHER];

	span->samples += first ? 1 : 0;
	span->waiting += first_waits ? 1 : 0;
	span->clients += gauges[GAUGE_CLIENTS_ACTIVE] + gauges[GAUGE_CLIENTS_WAITING];
	span->servers += servers;
	span->servers_us += servers * us;
}

/* Adds what a pair has to its database; us have passed since the last round. */
static void
sample_database(const PoolPair *pair, TimestampTz now, int64 us)
{
	PoolDatabase *database = dbperf_pool_database(pair->key.database);
	bool		  first = database->round != dbperf_pool_known->rounds;
	bool		  waits = pair->gauges[GAUGE_CLIENTS_WAITING] > 0;

	if (first)
		database->round_waited = false;
	waits = waits && !database->round_waited;
	database->round = dbperf_pool_known->rounds;
	database->round_waited |= waits;
	database->used = now;
	add_sample(&database->lifetime, first, waits, pair->gauges, us);
	add_sample(dbperf_pool_span(database->spans, now), first, waits, pair->gauges, us);
}

/* Adds one to what the pair needed. */
static void
sample_need(PoolPair *pair, TimestampTz now)
{
	PoolNeed *need = dbperf_pool_need(pair->needs, now);
	int32	  busy = (int32) pair->gauges[GAUGE_SERVERS_ACTIVE];
	int32	  waiting = (int32) pair->gauges[GAUGE_CLIENTS_WAITING];

	need->samples++;
	need->most_busy = Max(need->most_busy, busy);
	need->most_waiting = Max(need->most_waiting, waiting);
	if (waiting > 0)
	{
		need->full++;
		need->waiting += waiting;
	}
}

/* Adds what the pair's server processes have counted since the last round. */
static void
count_served(PoolPair *pair, TimestampTz now)
{
	uint64		  connects = pg_atomic_read_u64(&pair->connects);
	uint64		  xact_us = pg_atomic_read_u64(&pair->xact_us);
	int64		  more_connects = (int64) (connects - pair->connects_seen);
	int64		  more_us = (int64) (xact_us - pair->xact_us_seen);
	PoolDatabase *database;
	PoolSpan	 *span;

	if (more_connects == 0 && more_us == 0)
		return;
	pair->connects_seen = connects;
	pair->xact_us_seen = xact_us;
	database = dbperf_pool_database(pair->key.database);
	database->lifetime.connects += more_connects;
	database->lifetime.xact_us += more_us;
	span = dbperf_pool_span(database->spans, now);
	span->connects += more_connects;
	span->xact_us += more_us;
	dbperf_pool_need(pair->needs, now)->connects += more_connects;
}

/* Whether there is anything in a pool. */
static bool
is_used(const int64 *gauges)
{
	for (int g = 0; g < POOL_GAUGES; g++)
	{
		if (gauges[g] != 0)
			return true;
	}
	return false;
}

/*
 * Sums up the pools of all processes.  Those that are empty get no entry: they
 * may have been made by somebody who has tried names with a wrong password.
 */
static void
collect_gauges(void)
{
	HASH_SEQ_STATUS scan;
	PoolPair	   *pair;

	hash_seq_init(&scan, dbperf_pool_pairs);
	while ((pair = hash_seq_search(&scan)) != NULL)
		memset(pair->gauges, 0, sizeof(pair->gauges));
	memset(dbperf_pool_known->other_pair.gauges, 0, sizeof(pair->gauges));
	for (int i = 0; i < POOL_MAX_PROCESSES; i++)
	{
		for (int p = 0; p < dbperf_pool_polled[i].num_pairs; p++)
		{
			const PollPair *from = &dbperf_pool_polled[i].pairs[p];

			if (!is_used(from->gauges))
				continue;
			pair = dbperf_pool_pair(from->key.database, from->key.role);
			for (int g = 0; g < GAUGE_WAIT_US; g++)
				pair->gauges[g] += from->gauges[g];
			pair->gauges[GAUGE_WAIT_US] =
				Max(pair->gauges[GAUGE_WAIT_US], from->gauges[GAUGE_WAIT_US]);
			pair->longest_wait_us = Max(pair->longest_wait_us, from->gauges[GAUGE_WAIT_US]);
		}
	}
}

/*
 * Takes over limits, and whether databases are paused.  A process knows only the
 * databases that clients of its own have asked for, but all have the same limits.
 */
static void
collect_databases(void)
{
	HASH_SEQ_STATUS scan;
	PoolDatabase   *database;

	hash_seq_init(&scan, dbperf_pool_databases);
	while ((database = hash_seq_search(&scan)) != NULL)
	{
		int64 of_each = 0;

		database->paused = false;
		for (int i = 0; i < POOL_MAX_PROCESSES; i++)
		{
			const PollDatabase *seen = NULL;

			if (dbperf_pool_polled[i].databases != NULL)
				seen =
					hash_search(dbperf_pool_polled[i].databases, database->name, HASH_FIND, NULL);
			if (seen == NULL)
				continue;
			database->paused |= seen->paused;
			of_each = Max(of_each, seen->pool_size);
		}
		database->pool_size = of_each * dbperf_pool_shared->processes;
	}
}

/* Adds one sample of everything that is used. */
static void
collect_samples(TimestampTz now)
{
	static TimestampTz last_round = 0;
	HASH_SEQ_STATUS	   scan;
	PoolPair		  *pair;
	int64			   us = Min(now - last_round, ROUND_US_MAX);

	last_round = now;
	dbperf_pool_known->rounds++;
	hash_seq_init(&scan, dbperf_pool_pairs);
	while ((pair = hash_seq_search(&scan)) != NULL)
	{
		count_served(pair, now);
		if (!is_used(pair->gauges))
			continue;
		pair->used = now;
		sample_database(pair, now, us);
		sample_need(pair, now);
	}
}

/* The time of the oldest of the last answers. */
static TimestampTz
oldest_answer(void)
{
	TimestampTz oldest = 0;

	for (int i = 0; i < POOL_MAX_PROCESSES; i++)
	{
		TimestampTz answered = dbperf_pool_polled[i].answered;

		if (answered != 0 && (oldest == 0 || answered < oldest))
			oldest = answered;
	}
	return oldest;
}

/*
 * Takes over what the processes have said.
 */
void
dbperf_pool_collect(void)
{
	LWLockAcquire(POOL_STATS_LOCK, LW_EXCLUSIVE);
	collect_gauges();
	collect_databases();
	collect_samples(GetCurrentTimestamp());
	dbperf_pool_known->as_of = oldest_answer();
	LWLockRelease(POOL_STATS_LOCK);
}
