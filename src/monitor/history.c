/*-------------------------------------------------------------------------
 *
 * history.c
 *		A task of the writer: copies slow statements from the ring to a table.
 *
 * The ring is small and forgets.  While dbperf.slow_query_history_retention
 * is not 0, the worker in dbperf.database follows it and keeps its records in
 * dbperf.slow_query_history.  Queries themselves never wait for the table.
 *
 * A row is known by (ring_start, id).  The worker continues behind the highest
 * id that the table has of this ring, and moves on in the transaction that
 * writes the rows, so a restart neither loses nor doubles any.  Ids that can
 * no longer be read become one row for each run of them, with their number in
 * "lost" and the last of them as id.  An id that was given out but not written
 * ends a batch until it is SETTLE_AFTER old: its writer may still be at work.
 *
 * How the table is kept small stands in history_clean.c, what the worker says
 * about itself in history_status.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "core/core.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "monitor/counters.h"
#include "monitor/history.h"
#include "monitor/monitor_int.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define FOLLOW_EVERY 1000 /* ms between two looks at the ring */
#define CLEAN_EVERY 60000 /* ms between two rounds of cleaning */
#define GO_ON_AFTER 10	  /* ms between two batches of cleaning */
#define RETRY_AFTER 60000 /* ms after a failure */
#define SETTLE_AFTER 2000 /* ms that a writer gets for its record */
#define BATCH_ROWS 500
#define BATCH_BYTES (16 * 1024 * 1024)
#define BATCHES_A_STEP 20

#define VIEW_COLUMNS                                                                               \
	"started_at, duration_ms, pre_execution_ms, planning_ms, database_name, user_name, "           \
	"application_name, client_addr, pid, queryid, plan_id, level, parent_queryid, command, "       \
	"query, query_length, parameters, plan, rows, shared_blks_hit, shared_blks_read, "             \
	"shared_blks_dirtied, shared_blks_written, local_blks_hit, local_blks_read, "                  \
	"local_blks_dirtied, local_blks_written, temp_blks_read, temp_blks_written, blk_read_ms, "     \
	"blk_write_ms, wal_records, wal_bytes, jit_ms, cpu_ms, waits, blocked_by, sqlstate, tags"

/* The writer's place in the ring. */
typedef struct Follower
{
	bool		positioned; /* last is known */
	uint64		last;		/* the last id that was dealt with */
	uint64		settled_id; /* ids below will not be written any more */
	uint64		mark_id;	/* the ring's next id at mark_time */
	TimestampTz mark_time;
	char	   *buffer; /* for one record */
} Follower;

/* One transaction's work and what came of it. */
typedef struct Batch
{
	HistoryState result;
	uint64		 last;	/* dealt with before */
	uint64		 upto;	/* dealt with after */
	bool		 fresh; /* the table knows nothing of this ring */
	bool		 more;	/* the batch was full */
	uint64		 written;
	uint64		 lost;
} Batch;

/* the writer's own */
static Follower	   follower;
static char		   connected_to[NAMEDATALEN] = "";
static TimestampTz next_try = 0;
static TimestampTz next_clean = 0;

/*
 * Whether the transaction can write to the table, or why not.
 */
static HistoryState
check_target(void)
{
	Oid schema;

	if (!OidIsValid(get_extension_oid("dbperf", true)))
		return HISTORY_NO_EXTENSION;
	schema = get_namespace_oid("dbperf", true);
	if (!OidIsValid(schema) || !OidIsValid(get_relname_relid("slow_query_history", schema)) ||
		!OidIsValid(get_relname_relid("slow_queries", schema)))
		return HISTORY_NO_TABLE;
	if (XactReadOnly || RecoveryInProgress())
		return HISTORY_READ_ONLY;
	return HISTORY_RUNNING;
}

/*
 * Find where to go on: behind what the table has of this ring, else at the
 * ring's oldest record.  SPI must be connected.
 */
static void
find_position(Batch *batch)
{
	Oid	  types[1] = {TIMESTAMPTZOID};
	Datum values[1] = {TimestampTzGetDatum(dbperf_slow_ring_start())};
	bool  isnull;
	Datum max_id;

	if (SPI_execute_with_args("SELECT max(id) FROM dbperf.slow_query_history WHERE ring_start = $1",
							  1, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read slow_query_history");

	max_id = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	batch->fresh = isnull;
	if (isnull)
		batch->last = dbperf_ring_oldest_id(dbperf_slow_ring) - 1;
	else
		batch->last = (uint64) DatumGetInt64(max_id);
}

/*
 * Remember up to which id every writer has had SETTLE_AFTER for its record.
 */
static void
follower_settle(uint64 next)
{
	TimestampTz now = GetCurrentTimestamp();

	if (follower.mark_time != 0 &&
		!TimestampDifferenceExceeds(follower.mark_time, now, SETTLE_AFTER))
		return;
	follower.settled_id = follower.mark_id;
	follower.mark_id = next;
	follower.mark_time = now;
}

/*
 * Decide how far this batch goes: up to a record that may still come, or to
 * the limits of a batch.
 */
static void
choose_end(Batch *batch)
{
	uint64 next = dbperf_ring_next_id(dbperf_slow_ring);
	uint64 id = Max(batch->last + 1, dbperf_ring_oldest_id(dbperf_slow_ring));
	Size   max_record = dbperf_ring_max_record(dbperf_slow_ring);
	Size   bytes = 0;
	int	   rows = 0;

	follower_settle(next);
	if (follower.buffer == NULL)
		follower.buffer = MemoryContextAllocHuge(TopMemoryContext, max_record);

	for (; id < next; id++)
	{
		Size	 len;
		RingRead got;

		if (rows >= BATCH_ROWS || bytes >= BATCH_BYTES)
		{
			batch->more = true;
			break;
		}
		CHECK_FOR_INTERRUPTS();

		got = dbperf_ring_read(dbperf_slow_ring, id, follower.buffer, max_record, &len);
		if (got == RING_NOT_WRITTEN && id >= follower.settled_id)
			break;
		if (got == RING_READ)
		{
			rows++;
			bytes += len;
		}
	}
	batch->upto = Max(id - 1, batch->last);
}

/*
 * Copy the records of the batch through the view that decodes them.  On the
 * first visit to a ring of which the table knows nothing, what is older than
 * the retention stays out: it may have been there and been removed.  Leaves
 * the ids that the view had, ascending, in SPI_tuptable.
 */
static void
insert_records(const Batch *batch)
{
	static const char *const sql =
		"WITH got AS MATERIALIZED ("
		" SELECT id, " VIEW_COLUMNS " FROM dbperf.slow_queries WHERE id BETWEEN $1 AND $2), "
		"put AS ("
		" INSERT INTO dbperf.slow_query_history (ring_start, id, " VIEW_COLUMNS ")"
		" SELECT $3, id, " VIEW_COLUMNS " FROM got"
		" WHERE NOT $4 OR started_at + duration_ms * interval '1 millisecond'"
		"  >= now() - $5 * interval '1 minute') "
		"SELECT id FROM got ORDER BY id";
	Oid	  types[5] = {INT8OID, INT8OID, TIMESTAMPTZOID, BOOLOID, FLOAT8OID};
	Datum values[5];

	values[0] = Int64GetDatum((int64) (batch->last + 1));
	values[1] = Int64GetDatum((int64) batch->upto);
	values[2] = TimestampTzGetDatum(dbperf_slow_ring_start());
	values[3] = BoolGetDatum(batch->fresh);
	values[4] = Float8GetDatum(dbperf_slow_query_history_retention);

	if (SPI_execute_with_args(sql, 5, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not write slow_query_history");
}

/* Write one row for count lost records, the last of which had this id. */
static void
insert_gap(Batch *batch, uint64 id, uint64 count)
{
	Oid	  types[3] = {TIMESTAMPTZOID, INT8OID, INT8OID};
	Datum values[3];

	values[0] = TimestampTzGetDatum(dbperf_slow_ring_start());
	values[1] = Int64GetDatum((int64) id);
	values[2] = Int64GetDatum((int64) count);

	if (SPI_execute_with_args("INSERT INTO dbperf.slow_query_history (ring_start, id, lost) "
							  "VALUES ($1, $2, $3)",
							  3, types, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write slow_query_history");
	batch->lost += count;
}

/*
 * Write the rows of the batch, and a gap for each run of ids of which the view
 * had no record.
 */
static void
write_rows(Batch *batch)
{
	uint64		   expected = batch->last + 1;
	SPITupleTable *table;
	uint64		   rows;

	insert_records(batch);
	table = SPI_tuptable;
	rows = SPI_processed;

	for (uint64 i = 0; i < rows; i++)
	{
		bool   isnull;
		uint64 id;

		id = (uint64) DatumGetInt64(SPI_getbinval(table->vals[i], table->tupdesc, 1, &isnull));
		if (id > expected)
			insert_gap(batch, id - 1, id - expected);
		expected = id + 1;
	}
	if (expected <= batch->upto)
		insert_gap(batch, batch->upto, batch->upto - expected + 1);
	batch->written = rows;
}

/* The task of one transaction: one batch. */
static void
write_batch(void *arg)
{
	Batch *batch = arg;

	batch->result = check_target();
	if (batch->result != HISTORY_RUNNING)
		return;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (!follower.positioned)
		find_position(batch);
	choose_end(batch);
	if (batch->upto > batch->last)
		write_rows(batch);
	SPI_finish();
}

/*
 * Write what is new in the ring.  Returns whether the table could be written.
 */
static bool
history_follow(void)
{
	for (int i = 0; i < BATCHES_A_STEP; i++)
	{
		Batch batch = {.result = HISTORY_FAILED};

		/* costs nothing while nothing is new */
		if (follower.positioned && dbperf_ring_next_id(dbperf_slow_ring) == follower.last + 1)
			return true;

		batch.last = follower.last;
		if (!dbperf_worker_transaction("writing slow query history", write_batch, &batch))
			batch.result = HISTORY_FAILED;
		follower.positioned = batch.result == HISTORY_RUNNING;
		if (!follower.positioned)
		{
			dbperf_history_set_state(batch.result, connected_to);
			return false;
		}
		follower.last = batch.upto;
		dbperf_history_add_written(batch.written, batch.lost, batch.upto);
		dbperf_history_set_state(HISTORY_RUNNING, connected_to);
		if (!batch.more)
			break;
	}
	return true;
}

/*
 * One step: follow the ring, and once a minute keep the table small.
 */
static long
history_step(void *arg)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		more = false;

	(void) arg;
	if (now < next_try)
		return TimestampDifferenceMilliseconds(now, next_try);

	if (!history_follow())
	{
		next_try = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), RETRY_AFTER);
		return RETRY_AFTER;
	}
	if (now < next_clean)
		return FOLLOW_EVERY;

	if (!dbperf_history_clean(&more))
	{
		dbperf_history_set_state(HISTORY_FAILED, connected_to);
		next_try = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), RETRY_AFTER);
		return RETRY_AFTER;
	}
	if (more)
		return GO_ON_AFTER;
	dbperf_history_set_state(HISTORY_RUNNING, connected_to);
	next_clean = TimestampTzPlusMilliseconds(now, CLEAN_EVERY);
	return FOLLOW_EVERY;
}

/* Whether the history is on. */
static bool
history_wanted(void)
{
	return dbperf_slow_query_history_retention > 0 && dbperf_slow_ring != NULL;
}

/* The task begins, in a worker that is connected or is about to be. */
static void
history_start(const char *database)
{
	strlcpy(connected_to, database, NAMEDATALEN);
	follower.positioned = false;
	next_try = next_clean = 0;
	dbperf_history_set_state(HISTORY_CONNECTING, connected_to);
}

/* The history was turned off, or belongs elsewhere now. */
static void
history_stop(void)
{
	dbperf_history_set_state(HISTORY_OFF, connected_to);
}

/* A worker that was sent away does not run, although it did not say so. */
static void
history_leave(void)
{
	HistoryStatus status;

	if (dbperf_history_status(&status) && status.state == HISTORY_RUNNING)
		dbperf_history_set_state(HISTORY_CONNECTING, connected_to);
}

/*
 * Register the shared memory and the task.  Called once, from the monitor's
 * init function.
 */
void
dbperf_history_init(void)
{
	static const DbperfWriterTask task = {
		.wanted = history_wanted,
		.start = history_start,
		.step = history_step,
		.stop = history_stop,
		.leave = history_leave,
	};

	dbperf_history_status_init();
	dbperf_writer_register(&task);
}
