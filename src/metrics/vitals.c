/*-------------------------------------------------------------------------
 *
 * vitals.c
 *		The server's own vital signs as metrics.
 *
 * All that SQL knows of them comes from one statement, which is prepared once in
 * each process: the sampler asks it every few seconds.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "core/core.h"
#include "core/metric.h"
#include "executor/spi.h"
#include "metrics/server_spi.h"
#include "metrics/vitals.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define NAME_PREFIX "dbperf_"

/* A metric of the statement, and its label. */
typedef struct Vital
{
	DbperfMetric metric;
	const char	*label; /* NULL = it has none */
} Vital;

/* A value of it. */
typedef struct VitalValue
{
	const Vital *vital; /* NULL = there is none */
	const char	*label;
	double		 value;
} VitalValue;

static const Vital vitals[] = {
	{{"dbperf_connections", DBPERF_METRIC_GAUGE,
	  "Connections of clients by the state of their session"},
	 "state"},
	{{"dbperf_active_sessions", DBPERF_METRIC_GAUGE,
	  "Clients' sessions that execute a statement, other than the one that asks, by the type of "
	  "what they wait for; CPU is no wait"},
	 "wait"},
	{{"dbperf_locks_waiting", DBPERF_METRIC_GAUGE, "Processes that wait for a lock"}, NULL},
	{{"dbperf_oldest_transaction_seconds", DBPERF_METRIC_GAUGE,
	  "Age of the oldest transaction of a client, prepared ones included, without that of the "
	  "session that asks"},
	 NULL},
	{{"dbperf_transactions_total", DBPERF_METRIC_COUNTER,
	  "Transactions of all databases by their outcome"},
	 "outcome"},
	{{"dbperf_buffer_hits_total", DBPERF_METRIC_COUNTER, "Blocks found in shared buffers"}, NULL},
	{{"dbperf_buffer_reads_total", DBPERF_METRIC_COUNTER,
	  "Blocks read from disk or the operating system's cache"},
	 NULL},
	{{"dbperf_temp_bytes_total", DBPERF_METRIC_COUNTER,
	  "Bytes that statements wrote to temporary files"},
	 NULL},
	{{"dbperf_temp_files_total", DBPERF_METRIC_COUNTER, "Temporary files of statements"}, NULL},
	{{"dbperf_deadlocks_total", DBPERF_METRIC_COUNTER, "Deadlocks"}, NULL},
	{{"dbperf_recovery_conflicts_total", DBPERF_METRIC_COUNTER,
	  "Statements that a standby canceled because they were in the way of recovery"},
	 NULL},
	{{"dbperf_wal_bytes_total", DBPERF_METRIC_COUNTER, "Bytes of WAL written"}, NULL},
	{{"dbperf_checkpoints_total", DBPERF_METRIC_COUNTER,
	  "Checkpoints, timed by checkpoint_timeout or requested: by max_wal_size or a command"},
	 "kind"},
	{{"dbperf_xid_age", DBPERF_METRIC_GAUGE,
	  "Transactions since the oldest one that is not frozen; at 2^31 there are no more"},
	 NULL},
	{{"dbperf_multixact_age", DBPERF_METRIC_GAUGE, "The same of multixacts"}, NULL},
	{{"dbperf_replication_lag_bytes", DBPERF_METRIC_GAUGE,
	  "WAL that a receiver has not replayed, by its application_name, and on a standby what it "
	  "has received itself and not replayed"},
	 "application"},
	{{"dbperf_replication_lag_seconds", DBPERF_METRIC_GAUGE,
	  "Time that a receiver is behind, by its application_name, as it was measured last; of a "
	  "standby itself: since the last transaction that it replayed, 0 if nothing is left to "
	  "replay"},
	 "application"},
};

static const DbperfMetric max_connections = {"dbperf_max_connections", DBPERF_METRIC_GAUGE,
											 "The setting max_connections"};
static const DbperfMetric in_recovery = {"dbperf_in_recovery", DBPERF_METRIC_GAUGE,
										 "1 on a standby, 0 on a primary"};
static const DbperfMetric start_time = {"dbperf_start_time_seconds", DBPERF_METRIC_GAUGE,
										"When the server was started, in seconds since 1970"};
static const DbperfMetric worker_up = {
	"dbperf_worker_up", DBPERF_METRIC_GAUGE,
	"1 if a worker of dbperf that should run does; of one that visits each database: if the last "
	"visits went well"};

/* The metric of this name, without its prefix. */
static const Vital *
vital_named(const char *name)
{
	for (int i = 0; i < lengthof(vitals); i++)
	{
		if (strcmp(vitals[i].metric.name + strlen(NAME_PREFIX), name) == 0)
			return &vitals[i];
	}
	elog(ERROR, "no vital sign is called \"%s\"", name);
}

/* The statement, which lasts as long as the process. */
static SPIPlanPtr
prepared_statement(void)
{
	static SPIPlanPtr plan = NULL;

	if (plan == NULL)
	{
		SPIPlanPtr prepared = SPI_prepare(dbperf_vitals_statement, 0, NULL);

		if (prepared == NULL || SPI_keepplan(prepared) != 0)
			elog(ERROR, "could not prepare the statement of the vital signs");
		plan = prepared;
	}
	return plan;
}

/* Takes over a row of the statement into a memory context; null is no value. */
static void
take_row(SPITupleTable *rows, uint64 row, MemoryContext context, VitalValue *into)
{
	TupleDesc desc = rows->tupdesc;
	bool	  isnull;
	Datum	  value = SPI_getbinval(rows->vals[row], desc, 3, &isnull);
	char	 *label = SPI_getvalue(rows->vals[row], desc, 2);

	if (isnull)
		return;
	into->vital = vital_named(SPI_getvalue(rows->vals[row], desc, 1));
	into->label = MemoryContextStrdup(context, label != NULL ? label : "");
	into->value = DatumGetFloat8(value);
}

/* Runs the statement; the values, of which some may be void, are the caller's. */
static VitalValue *
read_vitals(uint64 *count)
{
	MemoryContext context = CurrentMemoryContext;
	VitalValue	 *values;
	ServerSpi	  session;

	dbperf_server_spi_open(&session);
	if (SPI_execute_plan(prepared_statement(), NULL, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the vital signs");
	*count = SPI_processed;
	values = MemoryContextAllocZero(context, sizeof(VitalValue) * (*count + 1));
	for (uint64 i = 0; i < *count; i++)
		take_row(SPI_tuptable, i, context, &values[i]);
	dbperf_server_spi_close(&session);
	return values;
}

/* The source of what SQL knows. */
static void
collect_vitals(DbperfMetricSink *sink)
{
	uint64		count;
	VitalValue *values = read_vitals(&count);

	for (uint64 i = 0; i < count; i++)
	{
		const Vital *vital = values[i].vital;

		if (vital == NULL)
			continue;
		if (vital->label == NULL)
			dbperf_metric(sink, &vital->metric, values[i].value);
		else
			dbperf_metric_labelled(sink, &vital->metric, values[i].value, vital->label,
								   values[i].label);
	}
}

/* Hands out whether a worker is there. */
static void
put_worker(const char *name, bool up, void *arg)
{
	dbperf_metric_labelled(arg, &worker_up, up ? 1 : 0, "worker", name);
}

/* The source of what shared memory knows. */
static void
collect_server(DbperfMetricSink *sink)
{
	/* PostgreSQL counts from 2000 on */
	double epoch = (double) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;

	dbperf_metric(sink, &max_connections, MaxConnections);
	dbperf_metric(sink, &in_recovery, RecoveryInProgress() ? 1 : 0);
	dbperf_metric(sink, &start_time, epoch + (double) PgStartTime / USECS_PER_SEC);
	dbperf_workers_expected(put_worker, sink);
}

/*
 * Registers the sources.  Called once, from the init function of metrics,
 * preloaded or not.
 */
void
dbperf_vitals_init(void)
{
	static const DbperfMetricSource server = {
		.name = "server",
		.cost = DBPERF_METRIC_CHEAP,
		.collect = collect_server,
	};
	static const DbperfMetricSource statement = {
		.name = "vitals",
		.cost = DBPERF_METRIC_STATEMENT,
		.collect = collect_vitals,
	};

	if (!process_shared_preload_libraries_in_progress)
		return;
	dbperf_metric_source_register(&server);
	dbperf_metric_source_register(&statement);
}
