/*-------------------------------------------------------------------------
 *
 * maint_status_sql.c
 *		What maintenance does now, and what it knows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "funcapi.h"
#include "maintenance/maint_launcher.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#define WORKER_COLUMNS 15
#define STATUS_COLUMNS 9
#define DATABASE_COLUMNS 10

PG_FUNCTION_INFO_V1(dbperf_maintenance_workers);
PG_FUNCTION_INFO_V1(dbperf_maintenance_status);
PG_FUNCTION_INFO_V1(dbperf_maintenance_databases);

/* A name as a Datum. */
static Datum
name_datum(const char *name)
{
	return DirectFunctionCall1(namein, CStringGetDatum(name));
}

/* A time, null if it is not there or not known. */
static void
put_time(Datum *values, bool *nulls, int column, TimestampTz time)
{
	nulls[column] = time == 0 || time == DT_NOEND;
	values[column] = TimestampTzGetDatum(time);
}

static const char *
state_name(MaintSlotState state)
{
	switch (state)
	{
		case MAINT_SLOT_FREE:
		case MAINT_SLOT_STARTING:
			return "starting";
		case MAINT_SLOT_LOOKING:
			return "looking";
		case MAINT_SLOT_WORKING:
			return "working";
	}
	return "unknown";
}

/* What a slot is busy with. */
static void
put_work(Datum *values, bool *nulls, MaintSlot *slot)
{
	const MaintRecord *record = &slot->record;

	values[4] = Int64GetDatum(record->id);
	values[5] = PointerGetDatum(
		dbperf_server_text(record->object, sizeof(record->object), record->encoding));
	values[6] = CStringGetTextDatum(dbperf_maint_action_name(record->action));
	values[7] = PointerGetDatum(
		dbperf_server_text(record->command, sizeof(record->command), record->encoding));
	values[8] = TimestampTzGetDatum(record->started);
	values[9] = Int32GetDatum((int32) pg_atomic_read_u32(&slot->cost_limit));
	nulls[9] = pg_atomic_read_u32(&slot->cost_limit) == 0 || record->action > MAINT_ANALYZE;
	values[10] = BoolGetDatum(slot->wraparound);
	values[11] = BoolGetDatum(slot->requested);
	put_time(values, nulls, 12, slot->deadline);
	nulls[13] = slot->blocked_pid == 0;
	values[13] = Int32GetDatum(slot->blocked_pid);
	values[14] = BoolGetDatum(slot->cancel != MAINT_CANCEL_NONE);
}

/*
 * maintenance_workers() returns setof record: the workers, in any database.
 */
Datum
dbperf_maintenance_workers(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	dbperf_require_shmem();
	(void) dbperf_srf_begin(fcinfo, WORKER_COLUMNS);
	for (int i = 0; i < MAINT_SLOTS; i++)
	{
		Datum	  values[WORKER_COLUMNS] = {0};
		bool	  nulls[WORKER_COLUMNS] = {0};
		MaintSlot slot;

		LWLockAcquire(MAINT_LOCK, LW_SHARED);
		slot = dbperf_maint->slots[i];
		LWLockRelease(MAINT_LOCK);
		if (slot.state == MAINT_SLOT_FREE)
			continue;
		nulls[0] = slot.pid == 0;
		values[0] = Int32GetDatum(slot.pid);
		values[1] = name_datum(slot.database_name);
		values[2] = CStringGetTextDatum(state_name(slot.state));
		values[3] = BoolGetDatum(i == MAINT_EMERGENCY_SLOT);
		if (slot.state == MAINT_SLOT_WORKING)
			put_work(values, nulls, &slot);
		else
			memset(&nulls[4], true, WORKER_COLUMNS - 4);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* How the log does, in words. */
static char *
log_state(MaintLogTable state)
{
	switch (state)
	{
		case MAINT_LOG_STARTING:
			return psprintf("not connected to database \"%s\"", dbperf_database);
		case MAINT_LOG_READY:
			return pstrdup("running");
		case MAINT_LOG_NO_EXTENSION:
			return psprintf("extension missing in database \"%s\"", dbperf_database);
		case MAINT_LOG_TOO_OLD:
			return psprintf("extension in database \"%s\" is too old", dbperf_database);
		case MAINT_LOG_READ_ONLY:
			return psprintf("database \"%s\" is read-only", dbperf_database);
		case MAINT_LOG_ERROR:
			return pstrdup("failing, the server log says why");
	}
	return pstrdup("unknown");
}

/*
 * maintenance_status() returns record: one row about the whole server.
 */
Datum
dbperf_maintenance_status(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		   values[STATUS_COLUMNS] = {0};
	bool		   nulls[STATUS_COLUMNS] = {0};
	MaintLogTable  table;
	int			   workers = 0;
	int			   working = 0;
	int			   requests = 0;

	dbperf_require_shmem();
	(void) dbperf_srf_begin(fcinfo, STATUS_COLUMNS);

	LWLockAcquire(MAINT_LOCK, LW_SHARED);
	for (int i = 0; i < MAINT_SLOTS; i++)
	{
		workers += dbperf_maint->slots[i].state != MAINT_SLOT_FREE;
		working += dbperf_maint->slots[i].state == MAINT_SLOT_WORKING;
	}
	for (int i = 0; i < MAINT_REQUESTS; i++)
		requests += dbperf_maint->requests[i].id != 0 && dbperf_maint->requests[i].worker == 0;
	values[1] = BoolGetDatum(dbperf_maint->launcher_pid != 0);
	nulls[2] = dbperf_maint->paused_until <= GetCurrentTimestamp();
	values[2] = TimestampTzGetDatum(dbperf_maint->paused_until);
	put_time(values, nulls, 7, dbperf_maint->no_slot ? dbperf_maint->no_slot_since : 0);
	table = dbperf_maint->log_table;
	LWLockRelease(MAINT_LOCK);

	values[0] = CStringGetTextDatum(
		dbperf_enabled ? GetConfigOption("dbperf.maintenance", false, false) : "off");
	values[3] = Int32GetDatum(workers);
	values[4] = Int32GetDatum(working);
	values[5] = Int32GetDatum(dbperf_maintenance_max_workers);
	values[6] = Int32GetDatum(requests);
	values[8] = CStringGetTextDatum(log_state(table));
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	return (Datum) 0;
}

/*
 * maintenance_databases() returns setof record: the databases as the launcher
 * knows them.
 */
Datum
dbperf_maintenance_databases(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	dbperf_require_shmem();
	(void) dbperf_srf_begin(fcinfo, DATABASE_COLUMNS);
	for (int i = 0; i < MAINT_DATABASES; i++)
	{
		Datum		  values[DATABASE_COLUMNS] = {0};
		bool		  nulls[DATABASE_COLUMNS] = {0};
		MaintDatabase one;

		LWLockAcquire(MAINT_LOCK, LW_SHARED);
		one = dbperf_maint->databases[i];
		LWLockRelease(MAINT_LOCK);
		if (!OidIsValid(one.oid) || one.name[0] == '\0')
			continue;
		values[0] = name_datum(one.name);
		values[1] = BoolGetDatum(one.enabled);
		put_time(values, nulls, 2, one.last_visit);
		put_time(values, nulls, 3, one.next_look);
		put_time(values, nulls, 4, one.waiting_since);
		values[5] = Int32GetDatum(one.over);
		values[6] = Int32GetDatum(one.due);
		values[7] = BoolGetDatum(one.waits_for_horizon);
		values[8] = BoolGetDatum(one.wraparound);
		values[9] = Int32GetDatum(one.failures);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
