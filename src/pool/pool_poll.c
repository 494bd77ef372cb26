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
#include "pool/pool_poll.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* For all processes together, of each second. */
#define POLL_MS 250

static const char *const commands[POLL_STEPS] = {"SHOW STATS", "SHOW POOLS", "SHOW DATABASES"};

/* Columns of SHOW STATS. */
static const char *const sum_columns[POOL_SUMS] = {
	[SUM_TRANSACTIONS] = "total_xact_count", [SUM_QUERIES] = "total_query_count",
	[SUM_RECEIVED] = "total_received",		 [SUM_SENT] = "total_sent",
	[SUM_QUERY_US] = "total_query_time",	 [SUM_WAIT_US] = "total_wait_time",
};

PollProcess dbperf_pool_polled[POOL_MAX_PROCESSES];

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
	PollProcess *process = &dbperf_pool_polled[i];
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
		pid == 0 || (shared->state == POOL_STOPPING && process->console.talk.stage == TALK_CLOSED);
	if (process->done || dbperf_pool_console_busy(&process->console))
		return;
	process->step = POLL_SUMS;
	if (process->console.talk.stage == TALK_READY)
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

/* What the process knows of a database that it names. */
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
	database->round = process->round;
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

/* Whether a database has done anything since the last time. */
static bool
has_news(const int64 *more)
{
	for (int i = 0; i < POOL_SUMS; i++)
	{
		if (more[i] > 0)
			return true;
	}
	return false;
}

/* Forgets databases that the process has not named in this round. */
static void
forget_databases(PollProcess *process)
{
	HASH_SEQ_STATUS scan;
	PollDatabase   *database;

	hash_seq_init(&scan, process->databases);
	while ((database = hash_seq_search(&scan)) != NULL)
	{
		if (database->round != process->round)
			(void) hash_search(process->databases, database->name, HASH_REMOVE, NULL);
	}
}

/*
 * SHOW STATS: adds to the sums what is more than at the last time.  A sum that
 * is less now has lost one of its pools; nobody knows how much that had.  A
 * database in which nothing happens gets no entry: PgBouncer lists whatever name
 * somebody has tried, with a wrong password, too.
 */
static void
take_sums(PollProcess *process, const PoolAnswer *answer)
{
	TimestampTz now = GetCurrentTimestamp();

	process->round++;
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
		if (!has_news(more))
			continue;
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
	process->pairs = NULL;
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
	forget_databases(process);
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

/* ---- a round ---- */

/* Lets the conversations go on of those who are late, or of the others. */
static void
wait_for(bool late, long ms)
{
	PoolConsole *consoles[POOL_MAX_PROCESSES];
	int			 n = 0;

	for (int i = 0; i < POOL_MAX_PROCESSES; i++)
	{
		if (!dbperf_pool_polled[i].done && dbperf_pool_polled[i].late == late)
			consoles[n++] = &dbperf_pool_polled[i].console;
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
			if (!dbperf_pool_polled[i].done &&
				!dbperf_pool_console_busy(&dbperf_pool_polled[i].console))
				take_answer(&dbperf_pool_polled[i]);
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

	if (round_context == NULL)
		round_context =
			AllocSetContextCreate(TopMemoryContext, "dbperf pool poll", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(round_context);
	old = MemoryContextSwitchTo(round_context);

	for (int i = 0; i < POOL_MAX_PROCESSES; i++)
		begin_round(i);
	ask_processes();
	for (int i = 0; i < POOL_MAX_PROCESSES; i++)
		dbperf_pool_polled[i].late = dbperf_pool_console_busy(&dbperf_pool_polled[i].console);

	dbperf_pool_collect();
	MemoryContextSwitchTo(old);
}
