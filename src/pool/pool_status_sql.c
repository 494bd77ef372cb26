/*-------------------------------------------------------------------------
 *
 * pool_status_sql.c
 *		SQL functions about the pool's processes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pool/pool_run.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define STATUS_COLUMNS 22

PG_FUNCTION_INFO_V1(dbperf_pool_status);
PG_FUNCTION_INFO_V1(dbperf_pool_restart);

static const char *const state_names[] = {
	[POOL_OFF] = "off",			  [POOL_STARTING] = "starting", [POOL_RUNNING] = "running",
	[POOL_STOPPING] = "stopping", [POOL_WAITING] = "waiting",	[POOL_FAILED] = "failed",
};

static const char *const mode_names[] = {
	[POOL_MODE_DEFAULT] = "default",
	[POOL_MODE_SESSION] = "session",
	[POOL_MODE_TRANSACTION] = "transaction",
	[POOL_MODE_STATEMENT] = "statement",
};

/* Column by column; an empty text, 0 and no time are null. */
typedef struct Row
{
	Datum values[STATUS_COLUMNS];
	bool  nulls[STATUS_COLUMNS];
	int	  num;
} Row;

static void
put(Row *row, bool known, Datum value)
{
	row->values[row->num] = value;
	row->nulls[row->num] = !known;
	row->num++;
}

/* A text of another program, or with another program's words in it. */
static void
put_text(Row *row, const char *s)
{
	put(row, s[0] != '\0', PointerGetDatum(dbperf_server_text(s, (int) strlen(s), PG_UTF8)));
}

static void
put_int(Row *row, int value)
{
	put(row, value != 0, Int32GetDatum(value));
}

static void
put_time(Row *row, TimestampTz time)
{
	put(row, time != 0, TimestampTzGetDatum(time));
}

/* Without its worker a pool is not there, and nobody else would say why. */
static const char *
problem_of(const PoolShared *pool)
{
	if (!dbperf_pool || pg_atomic_read_u32(&dbperf_pool_shared->worker) != 0)
		return pool->problem;
	return "the pool's worker is not running: if it does not start within seconds, "
		   "max_worker_processes is too low, or the server log says why";
}

/* Fill the row of one process. */
static void
fill_row(Row *row, const PoolShared *pool, int process)
{
	const PoolProcess *one = &pool->process[process];
	bool			   on = pool->processes > 0;

	memset(row, 0, sizeof(*row));
	put_int(row, process + 1);
	put_text(row, state_names[one->state]);
	put_int(row, (int) pg_atomic_read_u32(&dbperf_pool_shared->process[process].pid));
	put_text(row, one->version != 0 ? dbperf_pool_version_text(one->version) : "");
	put_time(row, one->started);
	put(row, true, Int64GetDatum(one->restarts));
	put_text(row, one->last_exit);
	put_time(row, one->ended);
	put_time(row, one->next_start);
	put_text(row, on ? mode_names[pool->mode] : "");
	put_text(row, pool->listen);
	put_int(row, pool->port);
	put_text(row, pool->program);
	put_text(row, on ? dbperf_pool_socket_directory(process) : "");
	put(row, true, Int32GetDatum(pg_atomic_read_u32(&dbperf_pool_shared->pooled)));
	put(row, true, Int32GetDatum(pg_atomic_read_u32(&dbperf_pool_shared->most_pooled)));
	put(row, true, Int32GetDatum(dbperf_pool_connection_limit()));
	put(row, true, Int64GetDatum(pg_atomic_read_u64(&dbperf_pool_shared->refused)));
	put_text(row, problem_of(pool));
	put_text(row, pool->note);
	put_text(row, pool->config_error);
	put_text(row, one->log);
}

/*
 * dbperf.pool_status(): a row for each process, or one if the pool is off.
 */
Datum
dbperf_pool_status(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo;
	PoolShared	  *pool;

	dbperf_require_shmem();
	rsinfo = dbperf_srf_begin(fcinfo, STATUS_COLUMNS);

	pool = palloc(sizeof(PoolShared));
	LWLockAcquire(POOL_STATUS_LOCK, LW_SHARED);
	memcpy(pool, dbperf_pool_shared, sizeof(PoolShared));
	LWLockRelease(POOL_STATUS_LOCK);

	for (int i = 0; i < Max(pool->processes, 1); i++)
	{
		Row row;

		fill_row(&row, pool, i);
		Assert(row.num == STATUS_COLUMNS);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row.values, row.nulls);
	}
	return (Datum) 0;
}

/*
 * Raise an error unless all processes can be replaced without dropping clients.
 */
static void
check_can_drain(void)
{
	int version;
	int processes;

	LWLockAcquire(POOL_STATUS_LOCK, LW_SHARED);
	version = dbperf_pool_shared->version;
	processes = dbperf_pool_shared->processes;
	LWLockRelease(POOL_STATUS_LOCK);

	if (version >= POOL_VERSION_DRAIN && processes > 1)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("the connection pool cannot be restarted without dropping clients"),
			 version < POOL_VERSION_DRAIN
				 ? errdetail("The processes run PgBouncer %s; waiting for clients needs 1.23.",
							 dbperf_pool_version_text(version))
				 : errdetail("With one process nobody takes new clients while it waits for the old "
							 "ones to leave."),
			 errhint("dbperf.pool_restart(true) lets running transactions end, for five seconds at "
					 "most, and drops the clients.")));
}

/*
 * dbperf.pool_restart(drop_clients): asks the worker to replace the processes.
 */
Datum
dbperf_pool_restart(PG_FUNCTION_ARGS)
{
	bool drop_clients = PG_GETARG_BOOL(0);
	bool on;

	dbperf_require_shmem();
	LWLockAcquire(POOL_STATUS_LOCK, LW_SHARED);
	on = dbperf_pool_shared->processes > 0;
	LWLockRelease(POOL_STATUS_LOCK);
	if (!on || pg_atomic_read_u32(&dbperf_pool_shared->worker) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the connection pool is not running"), errhint("See dbperf.pool_status.")));
	if (!drop_clients)
		check_can_drain();

	pg_atomic_write_u32(&dbperf_pool_shared->restart,
						drop_clients ? POOL_STOP_SAFE : POOL_STOP_DRAIN);
	dbperf_pool_wake();
	PG_RETURN_VOID();
}
