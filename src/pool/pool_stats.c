/*-------------------------------------------------------------------------
 *
 * pool_stats.c
 *		What is known of the pool's work, in shared memory.
 *
 * PgBouncer's counters end with its process, and SHOW POOLS needs one that
 * answers.  Here both last as long as the server runs: the pool's worker adds
 * what the processes say, the server processes that serve the pool count their
 * own transactions, and views read it whether PgBouncer answers or not.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "pool/pool_stats.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"

PoolStats *dbperf_pool_known = NULL;
HTAB	  *dbperf_pool_pairs = NULL;
HTAB	  *dbperf_pool_databases = NULL;

/* Where this server process counts, NULL if it serves no pool. */
static PoolPair *my_pair = NULL;

/* ---- shared memory ---- */

static Size
stats_size(void)
{
	return sizeof(PoolStats);
}

/* Bytes of the hash tables. */
static Size
tables_size(void)
{
	return add_size(hash_estimate_size(POOL_PAIRS, sizeof(PoolPair)),
					hash_estimate_size(POOL_DATABASES, sizeof(PoolDatabase)));
}

/* Everything after the key is zero then. */
static void
init_pair(PoolPair *pair)
{
	memset((char *) pair + sizeof(PoolKey), 0, sizeof(PoolPair) - sizeof(PoolKey));
	pg_atomic_init_u32(&pair->served_by, 0);
	pg_atomic_init_u64(&pair->connects, 0);
	pg_atomic_init_u64(&pair->transactions, 0);
	pg_atomic_init_u64(&pair->rollbacks, 0);
	pg_atomic_init_u64(&pair->xact_us, 0);
}

static void
stats_attach(void *area, bool found)
{
	HASHCTL info = {0};

	my_pair = NULL;
	dbperf_pool_known = area;
	if (!found)
	{
		memset(area, 0, sizeof(PoolStats));
		dbperf_pool_known->since = GetCurrentTimestamp();
		init_pair(&dbperf_pool_known->other_pair);
	}

	info.keysize = sizeof(PoolKey);
	info.entrysize = sizeof(PoolPair);
	dbperf_pool_pairs = ShmemInitHash("dbperf pool pairs", POOL_PAIRS, POOL_PAIRS, &info,
									  HASH_ELEM | HASH_BLOBS | HASH_FIXED_SIZE);
	info.keysize = NAMEDATALEN;
	info.entrysize = sizeof(PoolDatabase);
	dbperf_pool_databases = ShmemInitHash("dbperf pool databases", POOL_DATABASES, POOL_DATABASES,
										  &info, HASH_ELEM | HASH_BLOBS | HASH_FIXED_SIZE);
}

/*
 * Registers the shared memory.  Called once, while the library is preloaded.
 */
void
dbperf_pool_stats_init(void)
{
	static const DbperfShmemArea area = {
		.name = "dbperf pool statistics",
		.size = stats_size,
		.attach = stats_attach,
		.extra = tables_size,
	};

	dbperf_shmem_register(&area);
}

/* ---- the last five minutes ---- */

/* The number of the time that now is in; never 0 since the year 2000. */
static int64
span_number(TimestampTz now)
{
	return now / (POOL_SPAN_SECONDS * USECS_PER_SEC);
}

/*
 * Whether what has this number belongs to the last five minutes.
 */
bool
dbperf_pool_is_recent(int64 number, TimestampTz now)
{
	return number > 0 && number > span_number(now) - POOL_SPANS;
}

/*
 * The part of a ring of five minutes for what happens now; cleared if it was of
 * an earlier time.  Its first field is the number of its time.
 */
static void *
part_of_now(void *ring, Size size, TimestampTz now)
{
	int64 number = span_number(now);
	void *part = (char *) ring + number % POOL_SPANS * size;

	if (*(int64 *) part != number)
	{
		memset(part, 0, size);
		*(int64 *) part = number;
	}
	return part;
}

/*
 * Where to add what happens now.  Caller must hold POOL_STATS_LOCK exclusively.
 */
PoolSpan *
dbperf_pool_span(PoolSpan *spans, TimestampTz now)
{
	return part_of_now(spans, sizeof(PoolSpan), now);
}

/*
 * The same for what a pair needs.
 */
PoolNeed *
dbperf_pool_need(PoolNeed *needs, TimestampTz now)
{
	return part_of_now(needs, sizeof(PoolNeed), now);
}

/*
 * Adds up two times.
 */
void
dbperf_pool_add_span(PoolSpan *to, const PoolSpan *from)
{
	to->transactions += from->transactions;
	to->connects += from->connects;
	to->xact_us += from->xact_us;
	to->wait_us += from->wait_us;
	to->samples += from->samples;
	to->waiting += from->waiting;
	to->clients += from->clients;
	to->servers += from->servers;
	to->servers_us += from->servers_us;
	for (int i = 0; i < POOL_WAITS; i++)
		to->waits[i] += from->waits[i];
}

/* ---- entries ---- */

static void
add_atomic(pg_atomic_uint64 *to, pg_atomic_uint64 *from)
{
	pg_atomic_fetch_add_u64(to, (int64) pg_atomic_read_u64(from));
}

/* Makes room for a pair: the longest unused goes, its counters stay in other_pair. */
static bool
remove_pair(void)
{
	PoolPair	   *other = &dbperf_pool_known->other_pair;
	HASH_SEQ_STATUS scan;
	PoolPair	   *pair;
	PoolPair	   *victim = NULL;

	hash_seq_init(&scan, dbperf_pool_pairs);
	while ((pair = hash_seq_search(&scan)) != NULL)
	{
		bool used = pg_atomic_read_u32(&pair->served_by) > 0;

		for (int i = 0; i < POOL_GAUGES; i++)
			used |= pair->gauges[i] != 0;
		if (!used && (victim == NULL || pair->used < victim->used))
			victim = pair;
	}
	if (victim == NULL)
		return false;
	add_atomic(&other->connects, &victim->connects);
	add_atomic(&other->transactions, &victim->transactions);
	add_atomic(&other->rollbacks, &victim->rollbacks);
	add_atomic(&other->xact_us, &victim->xact_us);
	other->connects_seen += victim->connects_seen;
	other->xact_us_seen += victim->xact_us_seen;
	(void) hash_search(dbperf_pool_pairs, &victim->key, HASH_REMOVE, NULL);
	return true;
}

/*
 * The pair of a database and role; other_pair if there is no room.  Caller must
 * hold POOL_STATS_LOCK exclusively.
 */
PoolPair *
dbperf_pool_pair(const char *database, const char *role)
{
	PoolKey	  key;
	PoolPair *pair;
	bool	  found;

	memset(&key, 0, sizeof(key));
	strlcpy(key.database, database, NAMEDATALEN);
	strlcpy(key.role, role, NAMEDATALEN);
	pair = hash_search(dbperf_pool_pairs, &key, HASH_FIND, NULL);
	if (pair != NULL)
		return pair;
	if (hash_get_num_entries(dbperf_pool_pairs) >= POOL_PAIRS && !remove_pair())
		return &dbperf_pool_known->other_pair;
	pair = hash_search(dbperf_pool_pairs, &key, HASH_ENTER_NULL, &found);
	if (pair == NULL)
		return &dbperf_pool_known->other_pair;
	init_pair(pair);
	pair->used = GetCurrentTimestamp();
	return pair;
}

/* Makes room for a database, as remove_pair() does. */
static void
remove_database(void)
{
	PoolDatabase   *other = &dbperf_pool_known->other;
	HASH_SEQ_STATUS scan;
	PoolDatabase   *database;
	PoolDatabase   *victim = NULL;

	hash_seq_init(&scan, dbperf_pool_databases);
	while ((database = hash_seq_search(&scan)) != NULL)
	{
		if (victim == NULL || database->used < victim->used)
			victim = database;
	}
	if (victim == NULL)
		return;
	for (int i = 0; i < POOL_SUMS; i++)
		other->sums[i] += victim->sums[i];
	dbperf_pool_add_span(&other->lifetime, &victim->lifetime);
	(void) hash_search(dbperf_pool_databases, victim->name, HASH_REMOVE, NULL);
}

/*
 * The entry of a database; that of all others if there is no room.  Caller must
 * hold POOL_STATS_LOCK exclusively.
 */
PoolDatabase *
dbperf_pool_database(const char *name)
{
	char		  key[NAMEDATALEN];
	PoolDatabase *database;
	bool		  found;

	memset(key, 0, sizeof(key));
	strlcpy(key, name, NAMEDATALEN);
	database = hash_search(dbperf_pool_databases, key, HASH_FIND, NULL);
	if (database != NULL)
		return database;
	if (hash_get_num_entries(dbperf_pool_databases) >= POOL_DATABASES)
		remove_database();
	database = hash_search(dbperf_pool_databases, key, HASH_ENTER_NULL, &found);
	if (database == NULL)
		return &dbperf_pool_known->other;
	memset((char *) database + NAMEDATALEN, 0, sizeof(PoolDatabase) - NAMEDATALEN);
	database->used = GetCurrentTimestamp();
	return database;
}

/* ---- what a server process counts ---- */

/* At the end of the process. */
static void
stop_counting(int code, Datum arg)
{
	pg_atomic_fetch_sub_u32(&my_pair->served_by, 1);
	my_pair = NULL;
}

/*
 * This server process begins to serve the pool.  Called once in it, inside its
 * first transaction, when it has its database and its role.
 */
void
dbperf_pool_count_login(void)
{
	const char *database;
	const char *role;

	if (dbperf_pool_known == NULL || my_pair != NULL)
		return;
	database = get_database_name(MyDatabaseId);
	role = GetUserNameFromId(GetSessionUserId(), true);
	if (database == NULL || role == NULL)
		return;

	LWLockAcquire(POOL_STATS_LOCK, LW_EXCLUSIVE);
	my_pair = dbperf_pool_pair(database, role);
	pg_atomic_fetch_add_u32(&my_pair->served_by, 1);
	LWLockRelease(POOL_STATS_LOCK);
	pg_atomic_fetch_add_u64(&my_pair->connects, 1);
	on_shmem_exit(stop_counting, (Datum) 0);
}

/*
 * A transaction of this server process took us.  Raises no error; does nothing
 * in a process that serves no pool.
 */
void
dbperf_pool_count_transaction(int64 us, bool committed)
{
	if (my_pair == NULL)
		return;
	pg_atomic_fetch_add_u64(&my_pair->transactions, 1);
	pg_atomic_fetch_add_u64(&my_pair->xact_us, us);
	if (!committed)
		pg_atomic_fetch_add_u64(&my_pair->rollbacks, 1);
}
