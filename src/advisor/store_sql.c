/*-------------------------------------------------------------------------
 *
 * store_sql.c
 *		Decisions about advice: dismiss_index_advice() and its opposite.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "advisor/store.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(dbperf_dismiss_index_advice);
PG_FUNCTION_INFO_V1(dbperf_undismiss_index_advice);

/*
 * Locks the row of a piece of advice and returns its status, in SPI's memory
 * context; an error if there is no such row.  The store must be open.
 */
char *
dbperf_store_lock_advice(int64 id)
{
	StoreArgs args = {0};

	dbperf_store_arg(&args, INT8OID, Int64GetDatum(id));
	if (dbperf_store_execute("SELECT status FROM dbperf.index_advice WHERE id = $1 FOR UPDATE",
							 &args) == 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("index advice %lld does not exist", (long long) id),
						errhint("The table dbperf.index_advice lists what there is.")));
	return dbperf_store_string(0, 1);
}

/* Set the status of a locked row. */
static void
set_status(int64 id, const char *status)
{
	StoreArgs args = {0};

	dbperf_store_arg(&args, INT8OID, Int64GetDatum(id));
	dbperf_store_text(&args, status);
	(void) dbperf_store_execute("UPDATE dbperf.index_advice SET status = $2, status_since = now(),"
								" times_missed = 0, last_error = NULL WHERE id = $1",
								&args);
}

/*
 * dismiss_index_advice(id): not for an index that exists or is on its way.
 */
Datum
dbperf_dismiss_index_advice(PG_FUNCTION_ARGS)
{
	int64		 id = PG_GETARG_INT64(0);
	StoreSession session;
	char		*status;

	PreventCommandDuringRecovery("dbperf.dismiss_index_advice()");
	PreventCommandIfReadOnly("dbperf.dismiss_index_advice()");

	dbperf_store_open(&session);
	status = dbperf_store_lock_advice(id);
	if (strcmp(status, "building") == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("index advice %lld is being built", (long long) id),
						errhint("Call dbperf.cancel_index_build() first.")));
	if (strcmp(status, "applied") == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("index advice %lld is applied", (long long) id),
						errhint("Drop the index first if you do not want it.")));
	if (strcmp(status, "dismissed") != 0)
		set_status(id, "dismissed");
	dbperf_store_close(&session);
	PG_RETURN_VOID();
}

/*
 * undismiss_index_advice(id): does nothing to advice that is not dismissed.
 */
Datum
dbperf_undismiss_index_advice(PG_FUNCTION_ARGS)
{
	int64		 id = PG_GETARG_INT64(0);
	StoreSession session;

	PreventCommandDuringRecovery("dbperf.undismiss_index_advice()");
	PreventCommandIfReadOnly("dbperf.undismiss_index_advice()");

	dbperf_store_open(&session);
	if (strcmp(dbperf_store_lock_advice(id), "dismissed") == 0)
		set_status(id, "open");
	dbperf_store_close(&session);
	PG_RETURN_VOID();
}
