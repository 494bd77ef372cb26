/*-------------------------------------------------------------------------
 *
 * pool_poll.c
 *		Asks the pool's processes once a second what they do.
 *
 * In the pool's worker.  The conversations stay open.  Whoever does not answer
 * in time is waited for in later rounds, which cost no time then, so that a
 * PgBouncer that hangs keeps the worker from nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "pool/pool_console.h"
#include "pool/pool_stats.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* For all processes together, of each second. */
#define POLL_MS 250

/* What was there counts for so long if there is no later look. */
#define ROUND_US_MAX (2 * USECS_PER_SEC)

/* What is asked in each round, one after the other. */
typedef enum PollStep
{
	POLL_SUMS,
	POLL_GAUGES,
	POLL_DATABASES,
	POLL_STEPS
} PollStep;

static const char *const commands[POLL_STEPS] = {"SHOW STATS", "SHOW POOLS", "SHOW DATABASES"};

/* Columns of SHOW STATS. */
static const char *const sum_columns[POOL_SUMS] = {
	[SUM_TRANSACTIONS] = "total_xact_count", [SUM_QUERIES] = "total_query_count",
	[SUM_RECEIVED] = "total_received",		 [SUM_SENT] = "total_sent",
	[SUM_QUERY_US] = "total_query_time",	 [SUM_WAIT_US] = "total_wait_time",
};

/* A database as one process sees it. */
typedef struct PollDatabase
{
	char  name[NAMEDATALEN]; /* key of the hash table */
	int64 sums[POOL_SUMS];	 /* as last seen */
	bool  paused;
	int64 pool_size;
} PollDatabase;

/* A pool of one process. */
typedef struct PollPair
{
	PoolKey key;
	int64	gauges[POOL_GAUGES];
} PollPair;

/* A process that is asked; all that it said goes with its end. */
typedef struct PollProcess
{
	PoolConsole	  console;
	pid_t		  pid;		/* 0 = there is none */
	PollStep	  step;		/* what it is asked */
	bool		  done;		/* with this round */
	bool		  late;		/* did not answer in time */
	TimestampTz	  answered; /* the end of its last complete round */
	MemoryContext context;
	HTAB		 *databases;
	PollPair	 *pairs;
	int			  num_pairs;
} PollProcess;

static PollProcess	 processes[POOL_MAX_PROCESSES];
static MemoryContext round_context = NULL;

/* ---- what processes there are ---- */

/* Forgets what the process said that had this place. */
static void
leave_process(PollProcess *process)
{
	dbperf_pool_console_close(&process->console);
	if (process->context != NULL)
		MemoryContextDelete(process->context);
	memset(process, 0, sizeof(PollProcess));
}

static void
meet_process(PollProcess *process, pid_t pid)
{
	HASHCTL info = {0};

	process->context =
		AllocSetContextCreate(TopMemoryContext, "dbperf pool process", ALLOCSET_DEFAULT_SIZES);
	info.keysize = NAMEDATALEN;
	info.entrysize = sizeof(PollDatabase);
	info.hcxt = process->context;
	process->databases = hash_create("dbperf databases of a pool process", 32, &info,
									 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	process->pid = pid;
}

/* Whether the process had clients when it was last asked. */
static bool
has_clients(const PollProcess *process)
{
	for (int i = 0; i < process->num_pairs; i++)
	{
		const int64 *gauges = process->pairs[i].gauges;

		if (gauges[GAUGE_CLIENTS_ACTIVE] + gauges[GAUGE_CLIENTS_WAITING] > 0)
			return true;
	}
	return false;
}

/*
 * Begins a round with the process that has this place, if there is one and the
 * last round is over.  One that stops when its clients have left would wait for
 * a conversation, too.
 */
static void
begin_round(int i)
{
	PoolProcess *shared = &dbperf_pool_shared->process[i];
	PollProcess *process = &processes[i];
	bool		 wanted = i < dbperf_pool_shared->processes;
	pid_t		 pid = wanted ? (pid_t) pg_atomic_read_u32(&shared->pid) : 0;

	if (process->pid != pid)
	{
		leave_process(process);
		if (pid != 0)
			meet_process(process, pid);
	}
	if (shared->state == POOL_STOPPING && !has_clients(process))
		dbperf_pool_console_close(&process->console);
	process->done =
		pid == 0 || (shared->state == POOL_STOPPING && process->console.stage == CONSOLE_CLOSED);
	if (process->done || dbperf_pool_console_busy(&process->console))
		return;
	process->step = POLL_SUMS;
	if (process->console.stage == CONSOLE_READY)
		dbperf_pool_console_send(&process->console, commands[POLL_SUMS]);
	else
		dbperf_pool_console_begin(&process->console, i, commands[POLL_SUMS]);
}

/* ---- answers ---- */

/* Copies a name for use as a key. */
static void
put_name(char *to, const char *from)
{
	memset(to, 0, NAMEDATALEN);
	strlcpy(to, from != NULL ? from : "", NAMEDATALEN);
}

/* The console's own database. */
static bool
is_console(const PoolAnswer *answer, int row, const char *column)
{
	const char *name = dbperf_pool_value(answer, row, column);

	return name == NULL || strcmp(name, "pgbouncer") == 0;
}

/* What the process knows of a database. */
static PollDatabase *
process_database(PollProcess *process, const char *name)
{
	char		  key[NAMEDATALEN];
	PollDatabase *database;
	bool		  found;

	put_name(key, name);
	database = hash_search(process->databases, key, HASH_ENTER, &found);
	if (!found)
		memset((char *) database + NAMEDATALEN, 0, sizeof(PollDatabase) - NAMEDATALEN);
	return database;
}

/* The bucket of a wait. */
static int
wait_bucket(int64 us)
{
	double limit = POOL_FIRST_WAIT;
	int	   bucket = 0;

	while (bucket < POOL_WAITS - 1 && us >= limit)
	{
		limit *= sqrt(2);
		bucket++;
	}
	return bucket;
}

static void
add_to_span(PoolSpan *span, const int64 *more)
{
	int64 transactions = more[SUM_TRANSACTIONS];

	span->transactions += transactions;
	span->wait_us += more[SUM_WAIT_US];

	/* those who waited may not have ended their transaction yet */
	if (transactions == 0 && more[SUM_WAIT_US] > 0)
		transactions = 1;
	if (transactions > 0)
		span->waits[wait_bucket(more[SUM_WAIT_US] / transactions)] += transactions;
}

/*
 * SHOW STATS: adds to the sums what is more than at the last time.  A sum that
 * is less now has lost one of its pools; nobody knows how much that had.
 */
static void
take_sums(PollProcess *process, const PoolAnswer *answer)
{
	TimestampTz now = GetCurrentTimestamp();

	for (int row = 0; row < answer->rows; row++)
	{
		const char	 *name = dbperf_pool_value(answer, row, "database");
		int64		  more[POOL_SUMS];
		PollDatabase *seen;
		PoolDatabase *database;

		if (is_console(answer, row, "database"))
			continue;
		seen = process_database(process, name);
		for (int i = 0; i < POOL_SUMS; i++)
		{
			int64 sum = dbperf_pool_number(answer, row, sum_columns[i]);

			more[i] = Max(sum - seen->sums[i], 0);
			seen->sums[i] = sum;
		}
		LWLockAcquire(POOL_STATS_LOCK, LW_EXCLUSIVE);
		database = dbperf_pool_database(name);
		for (int i = 0; i < POOL_SUMS; i++)
			database->sums[i] += more[i];
		add_to_span(&database->lifetime, more);
		add_to_span(dbperf_pool_span(database->spans, now), more);
		LWLockRelease(POOL_STATS_LOCK);
	}
}

/* SHOW POOLS: replaces what the process had. */
static void
take_gauges(PollProcess *process, const PoolAnswer *answer)
{
	if (process->pairs != NULL)
		pfree(process->pairs);
	process->num_pairs = 0;
	process->pairs =
		MemoryContextAllocZero(process->context, Max(answer->rows, 1) * sizeof(PollPair));
	for (int row = 0; row < answer->rows; row++)
	{
		PollPair *pair = &process->pairs[process->num_pairs];
		int64	 *gauges = pair->gauges;

		if (is_console(answer, row, "database"))
			continue;
		put_name(pair->key.database, dbperf_pool_value(answer, row, "database"));
		put_name(pair->key.role, dbperf_pool_value(answer, row, "user"));
		gauges[GAUGE_CLIENTS_ACTIVE] = dbperf_pool_number(answer, row, "cl_active");
		gauges[GAUGE_CLIENTS_WAITING] = dbperf_pool_number(answer, row, "cl_waiting");
		gauges[GAUGE_SERVERS_ACTIVE] = dbperf_pool_number(answer, row, "sv_active");
		gauges[GAUGE_SERVERS_IDLE] = dbperf_pool_number(answer, row, "sv_idle");
		gauges[GAUGE_SERVERS_USED] = dbperf_pool_number(answer, row, "sv_used");
		gauges[GAUGE_SERVERS_OTHER] = dbperf_pool_number(answer, row, "sv_tested") +
									  dbperf_pool_number(answer, row, "sv_login") +
									  dbperf_pool_number(answer, row, "sv_active_cancel") +
									  dbperf_pool_number(answer, row, "sv_being_canceled");
		gauges[GAUGE_WAIT_US] = dbperf_pool_number(answer, row, "maxwait") * 1000000 +
								dbperf_pool_number(answer, row, "maxwait_us");
		process->num_pairs++;
	}
}

/* SHOW DATABASES. */
static void
take_databases(PollProcess *process, const PoolAnswer *answer)
{
	HASH_SEQ_STATUS scan;
	PollDatabase   *database;

	hash_seq_init(&scan, process->databases);
	while ((database = hash_seq_search(&scan)) != NULL)
		database->paused = false;
	for (int row = 0; row < answer->rows; row++)
	{
		if (is_console(answer, row, "name"))
			continue;
		database = process_database(process, dbperf_pool_value(answer, row, "name"));
		database->paused = dbperf_pool_number(answer, row, "paused") != 0;
		database->pool_size = dbperf_pool_number(answer, row, "pool_size");
	}
	process->answered = GetCurrentTimestamp();
}

/*
 * Takes the answer of a process that has one, and asks for the next.
 */
static void
take_answer(PollProcess *process)
{
	const PoolAnswer *answer = dbperf_pool_console_answer(&process->console);

	if (answer == NULL)
	{
		process->done = true;
		return;
	}
	if (process->step == POLL_SUMS)
		take_sums(process, answer);
	else if (process->step == POLL_GAUGES)
		take_gauges(process, answer);
	else
		take_databases(process, answer);
	process->step++;
	process->done = process->step == POLL_STEPS;
	if (!process->done)
		dbperf_pool_console_send(&process->console, commands[process->step]);
}

/* ---- all processes together ---- */

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
	need->busy += busy;
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

/* Sums up the pools of all processes. */
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
		for (int p = 0; p < processes[i].num_pairs; p++)
		{
			const PollPair *from = &processes[i].pairs[p];

			pair = dbperf_pool_pair(from->key.database, from->key.role);
			for (int g = 0; g < GAUGE_WAIT_US; g++)
				pair->gauges[g] += from->gauges[g];
			pair->gauges[GAUGE_WAIT_US] =
				Max(pair->gauges[GAUGE_WAIT_US], from->gauges[GAUGE_WAIT_US]);
			pair->longest_wait_us = Max(pair->longest_wait_us, from->gauges[GAUGE_WAIT_US]);
		}
	}
}

/* Takes over limits, and whether databases are paused. */
static void
collect_databases(void)
{
	HASH_SEQ_STATUS scan;
	PoolDatabase   *database;

	hash_seq_init(&scan, dbperf_pool_databases);
	while ((database = hash_seq_search(&scan)) != NULL)
	{
		database->paused = false;
		database->pool_size = 0;
		for (int i = 0; i < POOL_MAX_PROCESSES; i++)
		{
			const PollDatabase *seen = NULL;

			if (processes[i].databases != NULL)
				seen = hash_search(processes[i].databases, database->name, HASH_FIND, NULL);
			if (seen == NULL)
				continue;
			database->paused |= seen->paused;
			database->pool_size += seen->pool_size;
		}
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
		bool used = false;

		count_served(pair, now);
		for (int g = 0; g < POOL_GAUGES; g++)
			used |= pair->gauges[g] != 0;
		if (!used)
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
		TimestampTz answered = processes[i].answered;

		if (answered != 0 && (oldest == 0 || answered < oldest))
			oldest = answered;
	}
	return oldest;
}

/* ---- a round ---- */

/* Lets the conversations go on of those who are late, or of the others. */
static void
wait_for(bool late, long ms)
{
	PoolConsole *consoles[POOL_MAX_PROCESSES];
	int			 n = 0;

	for (int i = 0; i < POOL_MAX_PROCESSES; i++)
	{
		if (!processes[i].done && processes[i].late == late)
			consoles[n++] = &processes[i].console;
	}
	if (n > 0)
		(void) dbperf_pool_console_wait(consoles, n, ms);
}

/* Asks until everybody has answered everything, or the time is over. */
static void
ask_processes(void)
{
	TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), POLL_MS);

	for (int turn = 0; turn < POLL_STEPS; turn++)
	{
		wait_for(false, TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end));
		wait_for(true, 0);
		for (int i = 0; i < POOL_MAX_PROCESSES; i++)
		{
			if (!processes[i].done && !dbperf_pool_console_busy(&processes[i].console))
				take_answer(&processes[i]);
		}
	}
}

/*
 * Asks all processes and keeps the answers; in the worker, once a second while
 * the pool runs, and once more when it has ended.
 */
void
dbperf_pool_poll(void)
{
	MemoryContext old;
	TimestampTz	  now;

	if (round_context == NULL)
		round_context =
			AllocSetContextCreate(TopMemoryContext, "dbperf pool poll", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(round_context);
	old = MemoryContextSwitchTo(round_context);

	for (int i = 0; i < POOL_MAX_PROCESSES; i++)
		begin_round(i);
	ask_processes();
	for (int i = 0; i < POOL_MAX_PROCESSES; i++)
		processes[i].late = dbperf_pool_console_busy(&processes[i].console);

	now = GetCurrentTimestamp();
	LWLockAcquire(POOL_STATS_LOCK, LW_EXCLUSIVE);
	collect_gauges();
	collect_databases();
	collect_samples(now);
	dbperf_pool_known->as_of = oldest_answer();
	LWLockRelease(POOL_STATS_LOCK);

	MemoryContextSwitchTo(old);
}
