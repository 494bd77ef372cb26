/*-------------------------------------------------------------------------
 *
 * estimates.c
 *		Estimates bloat, size and coverage by indexes in every database.
 *
 * The launcher sends a worker to each database that has the extension, every
 * dbperf.estimates_interval.  Bloat comes from catalogs only; what indexes cover is
 * found out by planning the recorded workload, which the advisor limits to 10 s.
 * While that asks for nothing that indexes serve, visits are repeated sooner.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "core/core.h"
#include "core/launcher.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "metrics/estimates.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#define TIME_LIMIT 600 /* seconds that a visit may take */
#define BLOAT_COLUMNS 5

PGDLLEXPORT void dbperf_estimates_main(Datum arg);

PG_FUNCTION_INFO_V1(dbperf_bloat_estimates);
PG_FUNCTION_INFO_V1(dbperf_refresh_estimates);

int dbperf_estimates_interval = 3600;

static int estimates_duty = -1;

/* What a rewrite of a relation would give back, in bytes. */
static double
bloat_bytes(const BloatEstimate *estimate)
{
	return Max(estimate->pages - estimate->needed, 0) * BLCKSZ;
}

/* Adds a relation to the sums of its database. */
static void
add_relation(const BloatEstimate *estimate, void *arg)
{
	DatabaseEstimate *sums = arg;

	if (estimate->method == NULL)
		sums->unknown++;
	else if (estimate->index)
		sums->index_bloat += bloat_bytes(estimate);
	else
		sums->table_bloat += bloat_bytes(estimate);
}

/* Fills in all but the coverage. */
static void
estimate_sizes(DatabaseEstimate *estimate)
{
	strlcpy(estimate->name, get_database_name(MyDatabaseId), NAMEDATALEN);
	estimate->size = (double) DatumGetInt64(
		DirectFunctionCall1(pg_database_size_oid, ObjectIdGetDatum(MyDatabaseId)));
	dbperf_estimate_tables(add_relation, estimate);
	dbperf_estimate_indexes(add_relation, estimate);
	estimate->taken = GetCurrentTimestamp();
	estimate->database = MyDatabaseId;
}

/* Asks the advisor which part of the workload that the role may see is covered. */
static double
ask_coverage(void)
{
	double coverage = NAN;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute("SELECT coverage_pct / 100 FROM dbperf.index_coverage_total", false, 0) ==
			SPI_OK_SELECT &&
		SPI_processed == 1)
	{
		bool  isnull;
		Datum value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);

		if (!isnull)
			coverage = DatumGetFloat8(value);
	}
	SPI_finish();
	return coverage;
}

/* A transaction's task: everything but the coverage, which is kept as it was. */
static void
refresh_sizes(void *arg)
{
	DatabaseEstimate *estimate = arg;
	DatabaseEstimate  last;

	if (!OidIsValid(dbperf_own_table("targets")))
		return;
	estimate->coverage = NAN;
	if (dbperf_estimates_of(MyDatabaseId, &last))
	{
		estimate->coverage = last.coverage;
		estimate->covered = last.covered;
		estimate->indexes = last.indexes;
	}
	estimate_sizes(estimate);
	dbperf_estimates_keep(estimate);
}

/* A transaction's task: the coverage. */
static void
refresh_coverage(void *arg)
{
	DatabaseEstimate *estimate = arg;

	/* first, so that an index which comes meanwhile is seen to be new */
	estimate->indexes = dbperf_estimates_indexes();
	estimate->coverage = ask_coverage();
	estimate->covered = GetCurrentTimestamp();
	dbperf_estimates_keep(estimate);
}

/*
 * Entry of the worker.  A visit that fails ends without "done", and the launcher
 * waits longer before it sends the next one.
 */
void
dbperf_estimates_main(Datum arg)
{
	DatabaseEstimate estimate = {0};

	(void) arg;
	dbperf_duty_begin(estimates_duty);
	if (!dbperf_worker_transaction("estimating bloat", refresh_sizes, &estimate))
		proc_exit(0);
	if (OidIsValid(estimate.database) &&
		!dbperf_worker_transaction("measuring coverage by indexes", refresh_coverage, &estimate))
		proc_exit(0);
	if (!OidIsValid(estimate.database) || isnan(estimate.coverage))
		dbperf_duty_done_idle();
	dbperf_duty_done(-1);
}

/*
 * Asks for a visit of the current database before it is due, unless there is one
 * or the last one has failed.
 */
void
dbperf_estimates_ask(void)
{
	DbperfDutyStatus status;

	if (dbperf_duty_status(estimates_duty, MyDatabaseId, &status) && !status.running &&
		status.failures == 0)
		dbperf_duty_request(estimates_duty, MyDatabaseId, 0);
}

/* Asked by the launcher. */
static int
visit_interval(void)
{
	return dbperf_estimates_interval;
}

static bool
visit_wanted(const char *database)
{
	(void) database;
	return dbperf_enabled;
}

static int
visit_time_limit(void)
{
	return TIME_LIMIT;
}

/*
 * Defines the setting and registers the duty.  Called once, from the init
 * function of metrics.
 */
void
dbperf_estimates_init(void)
{
	static const DbperfDuty duty = {
		.name = "dbperf estimates",
		.entry = "dbperf_estimates_main",
		.interval = visit_interval,
		.wanted = visit_wanted,
		.time_limit = visit_time_limit,
	};

	DefineCustomIntVariable("dbperf.estimates_interval",
							"Time between two estimates of bloat and coverage by indexes.",
							"0 turns them off.", &dbperf_estimates_interval, 3600, 0, 7 * 24 * 3600,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);

	if (!process_shared_preload_libraries_in_progress)
		return;
	dbperf_estimates_kept_init();
	estimates_duty = dbperf_duty_register(&duty);
}

/* A row of bloat_estimates(). */
static void
put_relation(const BloatEstimate *estimate, void *arg)
{
	ReturnSetInfo *rsinfo = arg;
	Datum		   values[BLOAT_COLUMNS];
	bool		   nulls[BLOAT_COLUMNS] = {false};

	values[0] = ObjectIdGetDatum(estimate->relation);
	values[1] = CStringGetTextDatum(estimate->index ? "index" : "table");
	values[2] = Int64GetDatum((int64) estimate->pages * BLCKSZ);
	nulls[3] = nulls[4] = estimate->method == NULL;
	if (estimate->method != NULL)
	{
		values[3] = Int64GetDatum((int64) bloat_bytes(estimate));
		values[4] = CStringGetTextDatum(estimate->method);
	}
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * bloat_estimates() returns setof record: the tables and indexes of the current
 * database.
 */
Datum
dbperf_bloat_estimates(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = dbperf_srf_begin(fcinfo, BLOAT_COLUMNS);

	dbperf_estimate_tables(put_relation, rsinfo);
	dbperf_estimate_indexes(put_relation, rsinfo);
	return (Datum) 0;
}

/*
 * refresh_estimates() returns void: what the worker does, now.  Who does not see
 * the whole workload leaves the coverage as it was.
 */
Datum
dbperf_refresh_estimates(PG_FUNCTION_ARGS)
{
	DatabaseEstimate estimate = {0};

	dbperf_require_shmem();
	dbperf_own_call();
	refresh_sizes(&estimate);
	if (has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS))
		refresh_coverage(&estimate);
	PG_RETURN_VOID();
}
