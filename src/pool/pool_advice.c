/*-------------------------------------------------------------------------
 *
 * pool_advice.c
 *		Says which sizes of the connection pool the measured work asks for.
 *
 * What was seen once a second in the last five minutes decides: how many
 * server connections were busy at once, and whether clients waited meanwhile.
 * More connections help those who wait only as long as the processors are not
 * what the connections wait for; and connections that nobody needed are room
 * for a burst that the server may not be able to take.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "fmgr.h"
#include "funcapi.h"
#include "pool/pool_rows.h"
#include "pool/pool_stats.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"

#define POOL_ADVICE_COLUMNS 6

/* Looks that are needed to say anything, and that something is not needed. */
#define SAMPLES_MIN 20
#define SAMPLES_FOR_LESS 240

/* Share of looks with waiting clients that nobody minds. */
#define WAITING_ACCEPTED 0.01

/* Connections for each processor above which more of them hardly help. */
#define USEFUL_PER_PROCESSOR 4

/* Pools are not advised to be smaller. */
#define SIZE_MIN 5

PG_FUNCTION_INFO_V1(dbperf_pool_advice);

/* What is known of a pair, out of shared memory. */
typedef struct Demand
{
	PoolKey		key;
	PoolNeed	need;	 /* sums of the last five minutes */
	int64		size;	 /* server connections that it may have */
	const char *setting; /* that decides it */
} Demand;

/* What is recommended. */
typedef struct Advice
{
	const char *setting;
	int64		current;
	int64		recommended; /* 0 = that is for an administrator to decide */
	char	   *reason;
} Advice;

/* ---- what there is ---- */

static void
add_need(PoolNeed *to, const PoolNeed *from)
{
	to->samples += from->samples;
	to->full += from->full;
	to->most_busy = Max(to->most_busy, from->most_busy);
	to->most_waiting = Max(to->most_waiting, from->most_waiting);
	to->waiting += from->waiting;
	to->connects += from->connects;
}

/* Copies what pairs needed; returns how many there are. */
static int
collect_demands(Demand *demands, int64 *clients)
{
	TimestampTz		now = GetCurrentTimestamp();
	HASH_SEQ_STATUS scan;
	PoolPair	   *pair;
	int				n = 0;

	*clients = 0;
	LWLockAcquire(POOL_STATS_LOCK, LW_SHARED);
	hash_seq_init(&scan, dbperf_pool_pairs);
	while ((pair = hash_seq_search(&scan)) != NULL)
	{
		Demand			   *demand = &demands[n++];
		const PoolDatabase *database;

		memset(demand, 0, sizeof(Demand));
		demand->key = pair->key;
		database = hash_search(dbperf_pool_databases, pair->key.database, HASH_FIND, NULL);
		demand->size = database != NULL ? database->pool_size : 0;
		for (int i = 0; i < POOL_SPANS; i++)
		{
			if (dbperf_pool_is_recent(pair->needs[i].number, now))
				add_need(&demand->need, &pair->needs[i]);
		}
		*clients += pair->gauges[GAUGE_CLIENTS_ACTIVE] + pair->gauges[GAUGE_CLIENTS_WAITING];
	}
	LWLockRelease(POOL_STATS_LOCK);
	for (int i = 0; i < n; i++)
		demands[i].setting = dbperf_pool_size_setting(demands[i].key.database, demands[i].key.role,
													  &demands[i].size);
	return n;
}

/* ---- what it means ---- */

/*
 * How many connections were busy of how many there may be.  There may have been
 * more of both, if the size was lowered meanwhile.
 */
static char *
busy_connections(const Demand *demand)
{
	if (demand->need.most_busy > demand->size)
		return psprintf("%d connections (%d are allowed now)", demand->need.most_busy,
						(int) demand->size);
	return psprintf("%d of %d connections", demand->need.most_busy, (int) demand->size);
}

/* All connections were busy while clients waited. */
static void
advise_full(const Demand *demand, Advice *advice)
{
	const PoolNeed *need = &demand->need;
	int64			processors = Max(sysconf(_SC_NPROCESSORS_ONLN), 1);
	int64			limit = dbperf_pool_connection_limit();
	int64			useful = processors * USEFUL_PER_PROCESSOR;
	int64			wanted = need->most_busy + (need->waiting + need->full - 1) / need->full;
	double			share = 100.0 * need->full / need->samples;

	if (demand->size >= limit && limit < useful)
	{
		advice->reason = psprintf("clients waited in %.0f %% of %d samples, up to %d at once, but "
								  "dbperf.pool_max_server_connections allows no more than %d",
								  share, need->samples, need->most_waiting, (int) limit);
		return;
	}
	useful = Min(useful, limit);
	if (demand->size >= useful)
	{
		advice->reason = psprintf(
			"clients waited in %.0f %% of %d samples, up to %d at once, but more than %d "
			"connections would hardly do more on %d processors: shorten transactions",
			share, need->samples, need->most_waiting, (int) demand->size, (int) processors);
		return;
	}
	advice->recommended = Min(wanted, useful);
	advice->reason =
		psprintf("clients waited in %.0f %% of %d samples, up to %d at once, while %s were busy",
				 share, need->samples, need->most_waiting, busy_connections(demand));
}

/*
 * What a pair's pool should be like.  Always gives an answer.
 */
static void
advise_pair(const Demand *demand, Advice *advice)
{
	const PoolNeed *need = &demand->need;
	bool			waits = need->full > WAITING_ACCEPTED * need->samples;

	*advice = (Advice){demand->setting, demand->size, demand->size, NULL};
	if (waits && need->most_busy >= demand->size)
		advise_full(demand, advice);
	else if (waits || need->connects > need->samples)
	{
		advice->setting = "dbperf.pool_min_size";
		advice->current = dbperf_pool_min_size;
		advice->recommended = Max(advice->current, Min(need->most_busy, demand->size));
		advice->reason =
			psprintf("clients waited in %d of %d samples with at most %s busy, and "
					 "%d were opened: keep them open",
					 need->full, need->samples, busy_connections(demand), (int) need->connects);
	}
	else if (need->samples >= SAMPLES_FOR_LESS && need->full == 0 &&
			 need->most_busy * 2 < demand->size && demand->size > SIZE_MIN)
	{
		advice->recommended = Max(need->most_busy * 3 / 2 + 1, SIZE_MIN);
		advice->reason = psprintf("at most %d of %d connections were busy in %d samples: a burst "
								  "could make the server work on more than it ever needed",
								  need->most_busy, (int) demand->size, need->samples);
	}
	else
		advice->reason =
			psprintf("it fits: clients waited in %d of %d samples, at most %s were busy",
					 need->full, need->samples, busy_connections(demand));
}

static void
put_advice(ReturnSetInfo *rsinfo, const PoolKey *key, const Advice *advice)
{
	PoolRow row = {0};

	dbperf_pool_put_name(&row, key != NULL ? key->database : NULL);
	dbperf_pool_put_name(&row, key != NULL ? key->role : NULL);
	dbperf_pool_put(&row, CStringGetTextDatum(advice->setting));
	dbperf_pool_put(&row, Int64GetDatum(advice->current));
	if (advice->recommended > 0)
		dbperf_pool_put(&row, Int64GetDatum(advice->recommended));
	else
		dbperf_pool_put_null(&row);
	dbperf_pool_put(&row, CStringGetTextDatum(advice->reason));
	dbperf_pool_store(rsinfo, &row);
}

/* What concerns all pools together. */
static void
advise_all(ReturnSetInfo *rsinfo, int64 clients)
{
	int	   limit = dbperf_pool_connection_limit();
	uint64 refused = pg_atomic_read_u64(&dbperf_pool_shared->refused);

	if (refused > 0)
	{
		Advice advice = {"dbperf.pool_max_server_connections", limit, 0, NULL};

		advice.reason = psprintf("the server refused " UINT64_FORMAT " logins of the pool above "
								 "the limit: make pools smaller, or raise it and max_connections",
								 refused);
		put_advice(rsinfo, NULL, &advice);
	}
	if (clients > dbperf_pool_max_clients * 0.9)
	{
		Advice advice = {"dbperf.pool_max_clients", dbperf_pool_max_clients,
						 (int64) dbperf_pool_max_clients * 2, NULL};

		advice.reason = psprintf("%d clients are connected, and those above the limit are refused",
								 (int) clients);
		put_advice(rsinfo, NULL, &advice);
	}
}

/*
 * pool_advice() returns a row for each database and role with enough work to
 * judge by, and one for each limit of all that is in the way.
 */
Datum
dbperf_pool_advice(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo;
	Demand		  *demands;
	int64		   clients;
	int			   n;

	dbperf_require_shmem();
	rsinfo = dbperf_srf_begin(fcinfo, POOL_ADVICE_COLUMNS);
	demands = palloc(POOL_PAIRS * sizeof(Demand));
	n = collect_demands(demands, &clients);
	for (int i = 0; i < n; i++)
	{
		Advice advice;

		if (demands[i].need.samples < SAMPLES_MIN || demands[i].size == 0)
			continue;
		advise_pair(&demands[i], &advice);
		put_advice(rsinfo, &demands[i].key, &advice);
	}
	if (dbperf_pool_shared->processes > 0)
		advise_all(rsinfo, clients);
	return (Datum) 0;
}
