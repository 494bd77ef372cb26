/*-------------------------------------------------------------------------
 *
 * maint_log_table.c
 *		What the writer does to the table maintenance_log, in a transaction.
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
#include "maintenance/maint_log.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#define ROW_VALUES 17
#define DELETE_ROWS 1000 /* in one transaction */
#define DELETE_LIMIT "1000"

/*
 * Whether the transaction can write to the table, or why not.
 */
static MaintLogTable
check_table(void)
{
	Oid schema;

	if (!OidIsValid(get_extension_oid("dbperf", true)))
		return MAINT_LOG_NO_EXTENSION;
	schema = get_namespace_oid("dbperf", true);
	if (!OidIsValid(schema) || !OidIsValid(get_relname_relid("maintenance_log", schema)))
		return MAINT_LOG_TOO_OLD;
	if (XactReadOnly || RecoveryInProgress())
		return MAINT_LOG_READ_ONLY;
	return MAINT_LOG_READY;
}

/* A text of a record as a value; "" is null. */
static void
put_text(Datum *value, char *null, const char *s, int size, int encoding)
{
	*null = s[0] == '\0' ? 'n' : ' ';
	*value = PointerGetDatum(dbperf_server_text(s, size, encoding));
}

/* Three values of figures, null where they are not known. */
static void
put_figures(Datum *values, char *nulls, const MaintFigures *figures)
{
	values[0] = Int64GetDatum(figures->dead_rows);
	values[1] = Int64GetDatum(figures->size);
	values[2] = Int64GetDatum(figures->age);
	for (int i = 0; i < 3; i++)
		nulls[i] = figures->known ? ' ' : 'n';
	if (figures->age < 0)
		nulls[2] = 'n';
}

/*
 * The outcome as text.  A complete row always has one, whatever the worker has
 * left in its record.
 */
static void
put_outcome(const LogEntry *entry, Datum *value, char *null)
{
	const char *outcome = dbperf_maint_outcome_name(entry->record.outcome);

	if (outcome == NULL)
		outcome = dbperf_maint_outcome_name(MAINT_TERMINATED);
	*null = entry->complete ? ' ' : 'n';
	*value = CStringGetTextDatum(outcome);
}

/*
 * Write one row.  A complete one replaces the open one, or one that was closed
 * because nobody seemed to be at it; where the table was emptied meanwhile, it
 * is a new row.  A row of another run of the server that has the same id stays
 * as it is.
 */
static void
write_entry(const LogEntry *entry)
{
	static const char *const sql =
		"INSERT INTO dbperf.maintenance_log AS l (id, started, finished, database, object, action, "
		"command, reason, outcome, error, dead_rows_before, size_before, age_before, dead_rows_after, "
		"size_after, age_after, pages) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) "
		"ON CONFLICT (id) DO UPDATE SET finished = excluded.finished, command = excluded.command, "
		"reason = excluded.reason, outcome = excluded.outcome, error = excluded.error, "
		"dead_rows_before = excluded.dead_rows_before, size_before = excluded.size_before, "
		"age_before = excluded.age_before, dead_rows_after = excluded.dead_rows_after, "
		"size_after = excluded.size_after, age_after = excluded.age_after, pages = excluded.pages "
		"WHERE l.outcome IS NULL OR l.started = excluded.started";
	static const Oid types[ROW_VALUES] = {
		INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID,
		TEXTOID, TEXTOID,		 TEXTOID,		 TEXTOID, INT8OID, INT8OID,
		INT8OID, INT8OID,		 INT8OID,		 INT8OID, INT8OID,
	};
	const MaintRecord *record = &entry->record;
	TimestampTz		   finished =
		   record->finished != 0 ? record->finished : GetCurrentTransactionStartTimestamp();
	Datum values[ROW_VALUES];
	char  nulls[ROW_VALUES];

	memset(nulls, ' ', sizeof(nulls));
	values[0] = Int64GetDatum(record->id);
	values[1] = TimestampTzGetDatum(record->started);
	values[2] = TimestampTzGetDatum(finished);
	nulls[2] = entry->complete ? ' ' : 'n';
	/* names of databases are bytes to the server, too */
	put_text(&values[3], &nulls[3], record->database, sizeof(record->database), PG_SQL_ASCII);
	put_text(&values[4], &nulls[4], record->object, sizeof(record->object), record->encoding);
	values[5] = CStringGetTextDatum(dbperf_maint_action_name(record->action));
	put_text(&values[6], &nulls[6], record->command, sizeof(record->command), record->encoding);
	put_text(&values[7], &nulls[7], record->reason, sizeof(record->reason), record->encoding);
	put_outcome(entry, &values[8], &nulls[8]);
	put_text(&values[9], &nulls[9], record->error, sizeof(record->error), record->encoding);
	put_figures(&values[10], &nulls[10], &record->before);
	put_figures(&values[13], &nulls[13], &record->after);
	values[16] = Int64GetDatum(record->pages);
	if (!entry->complete)
		memset(&nulls[13], 'n', 3);
	if (!entry->complete || record->pages < 0)
		nulls[16] = 'n';

	if (SPI_execute_with_args(sql, ROW_VALUES, (Oid *) types, values, nulls, false, 0) !=
		SPI_OK_INSERT)
		elog(ERROR, "could not write maintenance_log");
}

/* The highest id of the table, 0 if it is empty. */
static int64
find_max_id(void)
{
	bool isnull;

	if (SPI_execute("SELECT coalesce(max(id), 0) FROM dbperf.maintenance_log", false, 0) !=
		SPI_OK_SELECT)
		elog(ERROR, "could not read maintenance_log");
	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

/*
 * The ids of rows that are open, or will be completed, as an int8[].  Only the
 * writer makes rows, so none can come between this and their use.
 */
static Datum
live_ids(void)
{
	Datum ids[MAINT_LOG_ENTRIES];
	int	  count = 0;

	LWLockAcquire(MAINT_LOCK, LW_SHARED);
	for (int i = 0; i < MAINT_SLOTS; i++)
	{
		const MaintSlot *slot = &dbperf_maint->slots[i];

		if (slot->state != MAINT_SLOT_FREE && slot->log != MAINT_LOG_NONE)
			ids[count++] = Int64GetDatum(slot->record.id);
	}
	for (int i = 0; i < MAINT_RECORDS; i++)
	{
		if (dbperf_maint->records[i].id != 0)
			ids[count++] = Int64GetDatum(dbperf_maint->records[i].id);
	}
	LWLockRelease(MAINT_LOCK);

	return PointerGetDatum(
		construct_array(ids, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/*
 * Close rows that are open and that nobody works at: the server has crashed, or
 * the table comes from a dump.
 */
static void
close_abandoned(void)
{
	Oid	  type = INT8ARRAYOID;
	Datum ids = live_ids();

	if (SPI_execute_with_args("UPDATE dbperf.maintenance_log SET finished = now(), "
							  "outcome = 'terminated' "
							  "WHERE outcome IS NULL AND id <> ALL ($1)",
							  1, &type, &ids, NULL, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not write maintenance_log");
}

/*
 * Delete some of the rows that are too old; returns whether there may be more.
 */
static bool
delete_old(void)
{
	Oid	  type = FLOAT8OID;
	Datum minutes = Float8GetDatum(dbperf_maintenance_log_retention);

	if (dbperf_maintenance_log_retention == 0)
		return false;
	if (SPI_execute_with_args("DELETE FROM dbperf.maintenance_log WHERE id = ANY (ARRAY("
							  "SELECT id FROM dbperf.maintenance_log"
							  " WHERE started < now() - $1 * interval '1 minute'"
							  "  AND outcome IS NOT NULL ORDER BY started LIMIT " DELETE_LIMIT "))",
							  1, &type, &minutes, NULL, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not write maintenance_log");
	return SPI_processed >= DELETE_ROWS;
}

/*
 * A transaction's task: do what the batch says, if there is a table.
 */
void
dbperf_maint_log_write(void *arg)
{
	LogBatch *batch = arg;

	batch->result = check_table();
	if (batch->result != MAINT_LOG_READY)
		return;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (batch->find_ids)
		batch->max_id = find_max_id();
	for (int i = 0; i < batch->count; i++)
		write_entry(&batch->entries[i]);
	if (batch->clean)
	{
		close_abandoned();
		batch->more = delete_old();
	}
	SPI_finish();

	/* a worker begins only if a crash cannot make its row unknown */
	if (batch->count > 0)
		ForceSyncCommit();
}
