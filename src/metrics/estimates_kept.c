/*-------------------------------------------------------------------------
 *
 * estimates_kept.c
 *		The newest estimates of each database, with their age, as metrics.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "core/core.h"
#include "core/metric.h"
#include "metrics/estimates.h"
#include "utils/timestamp.h"

#define MAX_DATABASES 512

/* All under the area's only lock. */
typedef struct KeptEstimates
{
	DatabaseEstimate databases[MAX_DATABASES];
} KeptEstimates;

static KeptEstimates *kept = NULL;
static LWLockPadded	 *kept_lock = NULL;

#define KEPT_LOCK (&kept_lock->lock)

static const DbperfMetric size_metric = {"dbperf_database_size_bytes", DBPERF_METRIC_GAUGE,
										 "Size of a database on disk at the time of the estimates"};
static const DbperfMetric table_metric = {
	"dbperf_table_bloat_bytes", DBPERF_METRIC_GAUGE,
	"Estimate of what rewriting the tables of a database would give back"};
static const DbperfMetric index_metric = {
	"dbperf_index_bloat_bytes", DBPERF_METRIC_GAUGE,
	"Estimate of what rebuilding the indexes of a database would give back"};
static const DbperfMetric unknown_metric = {
	"dbperf_bloat_unknown_relations", DBPERF_METRIC_GAUGE,
	"Tables and indexes whose bloat cannot be estimated: not analyzed, or of another access "
	"method than B-tree"};
static const DbperfMetric coverage_metric = {
	"dbperf_index_coverage_ratio", DBPERF_METRIC_GAUGE,
	"Share of what the recorded workload of a database asks of its tables, by weight, that existing "
	"indexes serve, of all that an index could serve"};
static const DbperfMetric age_metric = {
	"dbperf_estimates_age_seconds", DBPERF_METRIC_GAUGE,
	"Time since the bloat and the size of a database were estimated"};

static Size
kept_size(void)
{
	return sizeof(KeptEstimates);
}

static void
kept_attach(void *area, bool found)
{
	kept = area;
	if (!found)
		memset(kept, 0, sizeof(KeptEstimates));
}

/* A database was dropped. */
static void
forget(Oid database)
{
	LWLockAcquire(KEPT_LOCK, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		if (kept->databases[i].database == database)
			kept->databases[i].database = InvalidOid;
	}
	LWLockRelease(KEPT_LOCK);
}

/*
 * Whether an entry must make place for the estimates of a database: it is its
 * own, or one of the same name, which belonged to another database before.
 */
static bool
is_replaced(const DatabaseEstimate *one, const DatabaseEstimate *by)
{
	return OidIsValid(one->database) &&
		   (one->database == by->database || strcmp(one->name, by->name) == 0);
}

/*
 * Keeps the estimates of a database instead of older ones.  Without room those
 * make place that are the oldest.
 */
void
dbperf_estimates_keep(const DatabaseEstimate *estimate)
{
	DatabaseEstimate *place = NULL;

	LWLockAcquire(KEPT_LOCK, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		DatabaseEstimate *one = &kept->databases[i];

		if (is_replaced(one, estimate))
			one->database = InvalidOid;
		if (place == NULL || (OidIsValid(place->database) &&
							  (!OidIsValid(one->database) || one->taken < place->taken)))
			place = one;
	}
	*place = *estimate;
	LWLockRelease(KEPT_LOCK);
}

/*
 * The estimates of a database; false if there are none.  Needs
 * dbperf_require_shmem().
 */
bool
dbperf_estimates_of(Oid database, DatabaseEstimate *estimate)
{
	bool found = false;

	LWLockAcquire(KEPT_LOCK, LW_SHARED);
	for (int i = 0; i < MAX_DATABASES && !found; i++)
	{
		found = kept->databases[i].database == database;
		if (found)
			*estimate = kept->databases[i];
	}
	LWLockRelease(KEPT_LOCK);
	return found;
}

/* All estimates, in the current memory context; the number of them. */
static int
copy_all(DatabaseEstimate **all)
{
	int n = 0;

	*all = palloc(sizeof(KeptEstimates));
	LWLockAcquire(KEPT_LOCK, LW_SHARED);
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		if (OidIsValid(kept->databases[i].database))
			(*all)[n++] = kept->databases[i];
	}
	LWLockRelease(KEPT_LOCK);
	return n;
}

/* The source: the databases of one metric come together. */
static void
collect(DbperfMetricSink *sink)
{
	TimestampTz		  now = GetCurrentTimestamp();
	DatabaseEstimate *all;
	int				  n = copy_all(&all);

	for (int i = 0; i < n; i++)
		dbperf_metric_labelled(sink, &size_metric, all[i].size, "database", all[i].name);
	for (int i = 0; i < n; i++)
		dbperf_metric_labelled(sink, &table_metric, all[i].table_bloat, "database", all[i].name);
	for (int i = 0; i < n; i++)
		dbperf_metric_labelled(sink, &index_metric, all[i].index_bloat, "database", all[i].name);
	for (int i = 0; i < n; i++)
		dbperf_metric_labelled(sink, &unknown_metric, all[i].unknown, "database", all[i].name);
	for (int i = 0; i < n; i++)
	{
		if (!isnan(all[i].coverage))
			dbperf_metric_labelled(sink, &coverage_metric, all[i].coverage, "database",
								   all[i].name);
	}
	for (int i = 0; i < n; i++)
		dbperf_metric_labelled(sink, &age_metric,
							   Max((double) (now - all[i].taken) / USECS_PER_SEC, 0), "database",
							   all[i].name);
	pfree(all);
}

/*
 * Registers the shared memory and the source.  Called once, from the init function
 * of estimates.
 */
void
dbperf_estimates_kept_init(void)
{
	static const DbperfShmemArea area = {
		.name = "dbperf estimates",
		.size = kept_size,
		.attach = kept_attach,
		.tranche = "DbperfEstimates",
		.num_locks = 1,
		.locks = &kept_lock,
	};
	static const DbperfMetricSource source = {
		.name = "estimates",
		.cost = DBPERF_METRIC_CHEAP,
		.collect = collect,
	};

	dbperf_shmem_register(&area);
	dbperf_metric_source_register(&source);
	dbperf_db_guard_tell(forget);
}
