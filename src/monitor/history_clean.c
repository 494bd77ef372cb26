/*-------------------------------------------------------------------------
 *
 * history_clean.c
 *		Keeps dbperf.slow_query_history within its age and its size.
 *
 * The size is what the rows take, compressed as they are stored, with a flat
 * amount for their fixed part and the indexes: not the size of the files,
 * which does not shrink when rows are deleted.  All rows are counted once,
 * when the worker starts, without reading their long values; after that only
 * the rows that came since the last count, and those that are deleted.
 *
 * Rows are deleted in batches, a transaction each, oldest first.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "core/core.h"
#include "executor/spi.h"
#include "monitor/history.h"
#include "monitor/monitor_int.h"
#include "utils/timestamp.h"

#define BATCH "500" /* rows in one transaction */
#define BATCH_ROWS 500

/* bytes that a row takes in the table and its indexes */
#define ROW_SIZE                                                                                   \
	"400 + coalesce(pg_column_size(query), 0) + coalesce(pg_column_size(plan), 0)"                 \
	" + coalesce(pg_column_size(parameters), 0) + coalesce(pg_column_size(waits), 0)"              \
	" + coalesce(pg_column_size(tags), 0)"

/* What the rows take that were recorded up to a time. */
typedef struct Account
{
	bool		known;
	int64		bytes;
	TimestampTz upto;
} Account;

/* What one transaction deletes, and has deleted. */
typedef struct Deletion
{
	int64 excess; /* bytes to delete, or 0: rows that are too old */
	int64 rows;
	int64 bytes;
} Deletion;

static Account account;

/*
 * Bytes that the rows of the table take, 0 if they were not counted yet.
 */
int64
dbperf_history_bytes(void)
{
	return account.bytes;
}

/*
 * Run a query that returns one row of int8, none of them null, and copy its
 * columns.  SPI must not be connected.
 */
static void
query_int8(const char *sql, Oid type, Datum param, int64 *result, int columns)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute_with_args(sql, 1, &type, &param, NULL, false, 0) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not read slow_query_history");

	for (int i = 0; i < columns; i++)
	{
		bool isnull;

		result[i] = DatumGetInt64(
			SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1, &isnull));
	}
	SPI_finish();
}

/*
 * A transaction's task: count the rows that have come since the last time.
 */
static void
count_rows(void *arg)
{
	Account *next = arg;
	int64	 bytes;

	query_int8("SELECT coalesce(sum(" ROW_SIZE "), 0)::bigint FROM dbperf.slow_query_history "
			   "WHERE recorded_at > $1 AND recorded_at <= now()",
			   TIMESTAMPTZOID, TimestampTzGetDatum(account.known ? account.upto : DT_NOBEGIN),
			   &bytes, 1);

	next->known = true;
	next->bytes = (account.known ? account.bytes : 0) + bytes;
	next->upto = GetCurrentTransactionStartTimestamp();
}

/*
 * A transaction's task: delete some of the oldest rows.
 */
static void
delete_rows(void *arg)
{
	static const char *const too_old =
		"WITH gone AS (DELETE FROM dbperf.slow_query_history WHERE ctid = ANY (ARRAY("
		"  SELECT ctid FROM dbperf.slow_query_history"
		"  WHERE recorded_at < now() - $1 * interval '1 minute'"
		"  ORDER BY recorded_at LIMIT " BATCH ")) RETURNING " ROW_SIZE " AS size) "
		"SELECT count(*), coalesce(sum(size), 0)::bigint FROM gone";
	static const char *const too_many =
		"WITH oldest AS (SELECT ctid AS tid, recorded_at, ring_start, id, " ROW_SIZE " AS size"
		"  FROM dbperf.slow_query_history ORDER BY recorded_at LIMIT " BATCH "), "
		"before AS (SELECT tid, sum(size) OVER (ORDER BY recorded_at, ring_start, id) - size"
		"  AS size FROM oldest), "
		"gone AS (DELETE FROM dbperf.slow_query_history WHERE ctid = ANY (ARRAY("
		"  SELECT tid FROM before WHERE size < $1)) RETURNING " ROW_SIZE " AS size) "
		"SELECT count(*), coalesce(sum(size), 0)::bigint FROM gone";
	Deletion *deletion = arg;
	int64	  result[2];

	if (deletion->excess > 0)
		query_int8(too_many, INT8OID, Int64GetDatum(deletion->excess), result, 2);
	else
		query_int8(too_old, FLOAT8OID, Float8GetDatum(dbperf_slow_query_history_retention), result,
				   2);
	deletion->rows = result[0];
	deletion->bytes = result[1];
}

/*
 * Count what has come, and delete one batch of what is too old, or else too
 * much.  *more says that there may be more to delete.  Returns false after an
 * error, which has been reported.  The worker must be outside a transaction.
 */
bool
dbperf_history_clean(bool *more)
{
	Account	 counted;
	Deletion deletion = {0};
	int64	 limit = (int64) dbperf_slow_query_history_size * 1024 * 1024;

	*more = false;

	if (!dbperf_worker_transaction("counting slow query history", count_rows, &counted))
		return false;
	account = counted;

	if (!dbperf_worker_transaction("deleting old slow query history", delete_rows, &deletion))
		return false;
	if (deletion.rows < BATCH_ROWS && account.bytes - deletion.bytes > limit)
	{
		account.bytes -= deletion.bytes;
		memset(&deletion, 0, sizeof(deletion));
		deletion.excess = account.bytes - limit;
		if (!dbperf_worker_transaction("deleting old slow query history", delete_rows, &deletion))
			return false;
		*more = account.bytes - deletion.bytes > limit && deletion.rows > 0;
	}
	else
		*more = deletion.rows >= BATCH_ROWS;

	account.bytes = Max(account.bytes - deletion.bytes, 0);
	return true;
}
