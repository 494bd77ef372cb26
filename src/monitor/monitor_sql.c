/*-------------------------------------------------------------------------
 *
 * monitor_sql.c
 *		SQL functions about the monitor itself and about what runs now:
 *		dbperf.monitor_status, dbperf.running_queries and the ring's reset.
 *
 * Whoever reads slow_queries must be able to tell whether it is complete.  So
 * monitor_status accounts for every statement over the threshold:
 *		statements = records_written + dropped_... + skipped_flood
 * which holds whenever no statement is about to be recorded.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_database.h"
#include "core/core.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "monitor/counters.h"
#include "monitor/latency.h"
#include "monitor/monitor_sql.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#define MONITOR_STATUS_COLUMNS 28
#define RUNNING_STATEMENTS_COLUMNS 4

/* A mask can be longer than what it covers, but not more often than this. */
#define MASK_GROWTH 2
#define MASK_ROOM 16

PG_FUNCTION_INFO_V1(dbperf_monitor_status);
PG_FUNCTION_INFO_V1(dbperf_slow_queries_reset);
PG_FUNCTION_INFO_V1(dbperf_running_statements);
PG_FUNCTION_INFO_V1(dbperf_mask_query_text);

/* Fills a bigint column from a shared counter. */
static void
put_counter(SqlRows *rows, pg_atomic_uint64 *counter)
{
	dbperf_rows_count(rows, (int64) pg_atomic_read_u64(counter));
}

/* Fills when the oldest record that can still be read was started, or null. */
static void
put_oldest_record(SqlRows *rows)
{
	Size   size = dbperf_ring_max_record(dbperf_slow_ring);
	char  *record = palloc_extended(size, MCXT_ALLOC_HUGE);
	uint64 next = dbperf_ring_next_id(dbperf_slow_ring);

	for (uint64 id = dbperf_ring_oldest_id(dbperf_slow_ring); id < next; id++)
	{
		RecordParts parts;
		Size		len;

		CHECK_FOR_INTERRUPTS();
		if (dbperf_ring_read(dbperf_slow_ring, id, record, size, &len) == RING_READ &&
			dbperf_record_parts(record, len, &parts))
		{
			dbperf_rows_value(rows, TimestampTzGetDatum(parts.head->started_at));
			return;
		}
	}
	dbperf_rows_null(rows);
}

/* Fills the columns about the ring, from statements to oldest_record. */
static void
put_ring(SqlRows *rows)
{
	MonitorCounters *counters = dbperf_counters;
	RingCounts		 ring;

	dbperf_ring_counts(dbperf_slow_ring, &ring);
	put_counter(rows, &counters->statements);
	dbperf_rows_count(rows, (int64) ring.written);
	dbperf_rows_count(rows, (int64) ring.overwritten);
	dbperf_rows_count(rows, (int64) ring.busy);
	dbperf_rows_count(rows, (int64) ring.too_large);
	put_counter(rows, &counters->dropped_memory);
	put_counter(rows, &counters->skipped_flood);
	put_counter(rows, &counters->degraded_memory);
	put_counter(rows, &counters->degraded_error);
	put_counter(rows, &counters->degraded_parallel);
	dbperf_rows_count(rows, (int64) ring.torn);
	dbperf_rows_count(rows, (int64) dbperf_slow_query_ring_size * 1024);
	dbperf_rows_count(rows, (int64) ring.bytes_used);
	dbperf_rows_count(rows, dbperf_slow_query_ring_entries);
	dbperf_rows_count(rows, (int64) dbperf_ring_next_id(dbperf_slow_ring));
	dbperf_rows_value(rows, TimestampTzGetDatum(dbperf_slow_ring_start()));
	put_oldest_record(rows);
}

/* Fills the columns about the history's writer; nulls if it has no state. */
static void
put_history(SqlRows *rows)
{
	HistoryStatus history;

	if (!dbperf_history_status(&history))
	{
		for (int i = 0; i < 6; i++)
			dbperf_rows_null(rows);
		return;
	}
	dbperf_rows_string(rows, dbperf_history_state_text(&history));
	if (history.since != 0)
		dbperf_rows_value(rows, TimestampTzGetDatum(history.since));
	else
		dbperf_rows_null(rows);
	dbperf_rows_count(rows, (int64) history.rows_written);
	dbperf_rows_count(rows, (int64) history.records_lost);
	dbperf_rows_count(rows, (int64) history.last_id);
	dbperf_rows_count(rows, history.bytes);
}

/*
 * monitor_status() returns one record: what became of the statements that
 * should have been recorded, and how full everything is.
 */
Datum
dbperf_monitor_status(PG_FUNCTION_ARGS)
{
	SqlRows rows;

	dbperf_rows_begin(&rows, fcinfo, MONITOR_STATUS_COLUMNS);
	put_ring(&rows);
	dbperf_rows_count(&rows, dbperf_latency_used());
	dbperf_rows_count(&rows, (int64) dbperf_latency_evicted());
	dbperf_rows_count(&rows, (int64) dbperf_samples_refused());
	dbperf_rows_count(&rows, (int64) dbperf_plans_refused());
	dbperf_rows_count(&rows, (int64) dbperf_plans_merged());
	put_history(&rows);
	dbperf_rows_put(&rows);
	dbperf_rows_end(&rows);
	return (Datum) 0;
}

/*
 * slow_queries_reset() returns void: makes all records unreadable.
 */
Datum
dbperf_slow_queries_reset(PG_FUNCTION_ARGS)
{
	dbperf_require_shmem();
	dbperf_ring_reset(dbperf_slow_ring);
	PG_RETURN_VOID();
}

/* The encoding of a database; this one's if it was dropped just now. */
static int
database_encoding(Oid database)
{
	HeapTuple tuple;
	int		  encoding = GetDatabaseEncoding();

	if (database == MyDatabaseId || !OidIsValid(database))
		return encoding;
	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	if (HeapTupleIsValid(tuple))
	{
		encoding = ((Form_pg_database) GETSTRUCT(tuple))->encoding;
		ReleaseSysCache(tuple);
	}
	return encoding;
}

/*
 * Adds the row of the n-th process if it runs a statement.  Of other roles'
 * processes only the pid is shown, as everywhere in the server.  plan is room
 * for a plan, RUNNING_PLAN_SIZE + 1 bytes.
 */
static void
put_running(SqlRows *rows, int n, char *plan)
{
	volatile PGPROC *proc = &ProcGlobal->allProcs[n];
	BackendSlotView	 view;
	Oid				 role;
	Oid				 database;

	if (!dbperf_backend_slot_read(n, &view, plan))
		return;

	/* The slot belongs to the process only if both still say the same pid. */
	role = proc->roleId;
	database = proc->databaseId;
	if (proc->pid != view.pid)
		return;

	dbperf_rows_value(rows, Int32GetDatum(view.pid));
	if (dbperf_may_see_role(role))
	{
		if (view.started_at != 0)
			dbperf_rows_value(rows, TimestampTzGetDatum(view.started_at));
		else
			dbperf_rows_null(rows);
		dbperf_rows_query_id(rows, view.queryid);
		if (view.plan_len > 0)
			dbperf_rows_value(rows, PointerGetDatum(dbperf_server_text(
										plan, view.plan_len, database_encoding(database))));
		else
			dbperf_rows_null(rows);
	}
	else
	{
		for (int i = 0; i < 3; i++)
			dbperf_rows_null(rows);
	}
	dbperf_rows_put(rows);
}

/*
 * running_statements() returns setof record: one row for each process that
 * runs a statement now.
 */
Datum
dbperf_running_statements(PG_FUNCTION_ARGS)
{
	char   *plan = palloc(RUNNING_PLAN_SIZE + 1);
	SqlRows rows;

	dbperf_rows_begin(&rows, fcinfo, RUNNING_STATEMENTS_COLUMNS);
	for (int n = 0; n < dbperf_num_backend_slots; n++)
	{
		CHECK_FOR_INTERRUPTS();
		put_running(&rows, n, plan);
	}
	dbperf_rows_end(&rows);
	return (Datum) 0;
}

/*
 * mask_query(query) returns text: the statement without passwords and, if
 * dbperf.redact asks for it, without literals.
 */
Datum
dbperf_mask_query_text(PG_FUNCTION_ARGS)
{
	text *query = PG_GETARG_TEXT_PP(0);
	Size  len = VARSIZE_ANY_EXHDR(query);
	Size  size = Min(len * MASK_GROWTH + MASK_ROOM, MaxAllocSize - VARHDRSZ);
	text *masked = palloc(VARHDRSZ + size);

	len = dbperf_mask_query(VARDATA(masked), size, VARDATA_ANY(query), len, REDACTS_LITERALS(),
							GetDatabaseEncoding());
	SET_VARSIZE(masked, VARHDRSZ + len);
	PG_RETURN_TEXT_P(masked);
}
