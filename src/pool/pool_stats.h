/*-------------------------------------------------------------------------
 *
 * pool_stats.h
 *		What is known of the pool's work, in shared memory.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_POOL_STATS_H
#define DBPERF_POOL_STATS_H

#include "core/core.h"
#include "pool/pool_int.h"

DBPERF_PRIVATE_BEGIN

/* What PgBouncer adds up for each database: columns of SHOW STATS. */
typedef enum PoolSum
{
	SUM_TRANSACTIONS,
	SUM_QUERIES,
	SUM_RECEIVED, /* bytes */
	SUM_SENT,
	SUM_QUERY_US, /* from a query's arrival to its answer, waits included */
	SUM_WAIT_US,  /* clients waited for a server connection */
	POOL_SUMS
} PoolSum;

/* What it has at the moment for a database and role: columns of SHOW POOLS. */
typedef enum PoolGauge
{
	GAUGE_CLIENTS_ACTIVE, /* all that do not wait */
	GAUGE_CLIENTS_WAITING,
	GAUGE_SERVERS_ACTIVE,
	GAUGE_SERVERS_IDLE,
	GAUGE_SERVERS_USED,	 /* idle, to be checked before the next use */
	GAUGE_SERVERS_OTHER, /* logging in, being checked or cancelled */
	GAUGE_WAIT_US,		 /* of the client that waits longest */
	POOL_GAUGES
} PoolGauge;

/*
 * Wait times by size: the first bucket is for less than POOL_FIRST_WAIT us,
 * each one after it for sqrt(2) as much as the one before, the last for all
 * that is more.
 */
#define POOL_WAITS 40
#define POOL_FIRST_WAIT 16

/* What happened in some time, in one database. */
typedef struct PoolSpan
{
	int64 number; /* of the time, see POOL_SPAN_SECONDS; 0 = never used */
	int64 transactions;
	int64 connects; /* of server connections */
	int64 xact_us;	/* that server processes were in transactions */
	int64 wait_us;

	/* about once a second it was looked at */
	int64 samples;
	int64 waiting;			 /* times that a client waited */
	int64 clients;			 /* sum of all looks, as the next two */
	int64 servers;			 /* that existed */
	int64 servers_us;		 /* time that server connections existed */
	int64 waits[POOL_WAITS]; /* transactions by mean wait of their second */
} PoolSpan;

/* What a pair of database and role needed in some time, for pool_advice(). */
typedef struct PoolNeed
{
	int64 number;
	int32 samples;
	int32 full;			/* samples in which clients waited */
	int32 most_busy;	/* server connections that clients had at once */
	int32 most_waiting; /* clients that waited at once */
	int64 waiting;		/* sum of the samples in which clients waited */
	int64 connects;
} PoolNeed;

/* The last five minutes are kept in steps of so many seconds. */
#define POOL_SPAN_SECONDS 30
#define POOL_SPANS 11

typedef struct PoolKey
{
	char database[NAMEDATALEN];
	char role[NAMEDATALEN]; /* "" = all of the database */
} PoolKey;

/*
 * A database and role.  The atomic fields are counted by server processes that
 * serve the pool, without a lock; all others are written by the pool's worker
 * under POOL_STATS_LOCK.
 */
typedef struct PoolPair
{
	PoolKey			 key;		/* of the hash table */
	pg_atomic_uint32 served_by; /* server processes that count here */
	pg_atomic_uint64 connects;	/* logins of server processes */
	pg_atomic_uint64 transactions;
	pg_atomic_uint64 rollbacks; /* those of them that did not commit */
	pg_atomic_uint64 xact_us;
	uint64			 connects_seen; /* by the worker, as the next one */
	uint64			 xact_us_seen;
	int64			 gauges[POOL_GAUGES];
	int64			 longest_wait_us;
	TimestampTz		 used; /* when it last had a client or a server connection */
	PoolNeed		 needs[POOL_SPANS];
} PoolPair;

/* All of a database.  Written by the pool's worker under POOL_STATS_LOCK. */
typedef struct PoolDatabase
{
	char		name[NAMEDATALEN]; /* key of the hash table */
	int64		sums[POOL_SUMS];
	bool		paused;	   /* in one process at least */
	int64		pool_size; /* server connections for each role, in all processes */
	TimestampTz used;
	int64		round;		  /* that last added a sample */
	bool		round_waited; /* and in it a client waited */
	PoolSpan	lifetime;
	PoolSpan	spans[POOL_SPANS];
} PoolDatabase;

#define POOL_PAIRS 256
#define POOL_DATABASES 64

/* Protected by POOL_STATS_LOCK but for what is atomic in the pair. */
typedef struct PoolStats
{
	TimestampTz	 since;		 /* when it began to count */
	TimestampTz	 as_of;		 /* the oldest of the processes' last answers, 0 = none */
	int64		 rounds;	 /* of questions */
	PoolPair	 other_pair; /* those that had to make room */
	PoolDatabase other;
} PoolStats;

extern PoolStats *dbperf_pool_known;
extern HTAB		 *dbperf_pool_pairs;
extern HTAB		 *dbperf_pool_databases;

/* These need POOL_STATS_LOCK, exclusively. */
extern PoolPair		*dbperf_pool_pair(const char *database, const char *role);
extern PoolDatabase *dbperf_pool_database(const char *name);
extern PoolSpan		*dbperf_pool_span(PoolSpan *spans, TimestampTz now);
extern PoolNeed		*dbperf_pool_need(PoolNeed *needs, TimestampTz now);

/* For readers. */
extern bool dbperf_pool_is_recent(int64 number, TimestampTz now);
extern void dbperf_pool_add_span(PoolSpan *to, const PoolSpan *from);

DBPERF_PRIVATE_END

#endif /* DBPERF_POOL_STATS_H */
