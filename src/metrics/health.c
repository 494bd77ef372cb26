/*-------------------------------------------------------------------------
 *
 * health.c
 *		Whether a database meets its targets, and why not.
 *
 * Each target is judged for itself: what goes wrong with one, or is forbidden to
 * the role that asks, is said in its row and spoils no other.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "core/metric.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "metrics/health.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#define HEALTH_COLUMNS 7

PG_FUNCTION_INFO_V1(dbperf_health);

/* Who knows the value of a target that is no metric. */
static const struct
{
	const char *name;
	HealthJudge judge;
} judges[] = {
	{TARGET_QUERY_P95, dbperf_health_query_p95},
	{TARGET_POOL, dbperf_health_pool},
	{TARGET_CACHE, dbperf_health_cache},
	{TARGET_COVERAGE, dbperf_health_coverage},
};

/* The judge of a target. */
static HealthJudge
judge_of(const char *name)
{
	for (int i = 0; i < lengthof(judges); i++)
	{
		if (strcmp(judges[i].name, name) == 0)
			return judges[i].judge;
	}
	return dbperf_health_metric;
}

/* What is done in the subtransaction. */
static void
judge(void *arg)
{
	HealthTarget *target = arg;
	int			  guc_level = NewGUCNestLevel();

	/* operators of the statements are the server's own, whoever asks */
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	judge_of(target->name)(target);
	SPI_finish();
	AtEOXact_GUC(true, guc_level);
}

/*
 * Finds the value of a target, and the reasons if they are wanted; without a value
 * the reasons say why there is none.
 */
void
dbperf_health_judge(HealthTarget *target)
{
	ErrorData *error;

	target->context = CurrentMemoryContext;
	error = dbperf_try_error(judge, target);
	if (error == NULL)
		return;
	target->known = false;
	target->evidence = error->message;
	target->next_step = NULL;
}

/* The verdict in a word. */
static const char *
verdict(const HealthTarget *target)
{
	if (!target->known)
		return "no data";
	return dbperf_target_is_met(target) ? "met" : "missed";
}

/* Adds the row of a target. */
static void
put_target(ReturnSetInfo *rsinfo, const HealthTarget *target)
{
	Datum values[HEALTH_COLUMNS];
	bool  nulls[HEALTH_COLUMNS] = {false};

	values[0] = CStringGetTextDatum(target->name);
	values[1] = CStringGetTextDatum(target->comparison);
	values[2] = Float8GetDatum(target->threshold);
	nulls[3] = !target->known;
	values[3] = Float8GetDatum(target->value);
	values[4] = CStringGetTextDatum(verdict(target));
	nulls[5] = target->evidence == NULL;
	if (!nulls[5])
		values[5] = CStringGetTextDatum(target->evidence);
	nulls[6] = target->next_step == NULL;
	if (!nulls[6])
		values[6] = CStringGetTextDatum(target->next_step);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * health() returns setof record: a row for each target.
 */
Datum
dbperf_health(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo;
	List		  *targets;
	ListCell	  *cell;

	dbperf_require_shmem();
	rsinfo = dbperf_srf_begin(fcinfo, HEALTH_COLUMNS);
	targets = dbperf_targets_read();
	foreach (cell, targets)
	{
		HealthTarget *target = lfirst(cell);

		CHECK_FOR_INTERRUPTS();
		target->reasons = true;
		dbperf_health_judge(target);
		put_target(rsinfo, target);
	}
	return (Datum) 0;
}

static const DbperfMetric value_metric = {
	"dbperf_target_value", DBPERF_METRIC_GAUGE,
	"Value that is compared with the threshold of a target, in the target's own unit"};
static const DbperfMetric met_metric = {"dbperf_target_met", DBPERF_METRIC_GAUGE,
										"1 if a target of this database is met, 0 if it is missed"};

/*
 * The source: values without reasons, which cost more.  Who may not read the
 * targets, as a role that was only granted EXECUTE, sees none.
 */
static void
collect_targets(DbperfMetricSink *sink)
{
	Oid		  table = dbperf_own_table(TARGETS_TABLE);
	List	 *targets;
	ListCell *cell;

	if (dbperf_health_metric_is_read() || !OidIsValid(table) ||
		pg_class_aclcheck(table, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		return;
	targets = dbperf_targets_read();
	foreach (cell, targets)
		dbperf_health_judge(lfirst(cell));
	foreach (cell, targets)
	{
		HealthTarget *target = lfirst(cell);

		if (target->known)
			dbperf_metric_labelled(sink, &value_metric, target->value, "target", target->name);
	}
	foreach (cell, targets)
	{
		HealthTarget *target = lfirst(cell);

		if (target->known)
			dbperf_metric_labelled(sink, &met_metric, dbperf_target_is_met(target) ? 1 : 0,
								   "target", target->name);
	}
}

/*
 * Registers the source.  Called once, from the init function of metrics,
 * preloaded or not.
 */
void
dbperf_health_init(void)
{
	static const DbperfMetricSource source = {
		.name = "targets",
		.cost = DBPERF_METRIC_DEAR,
		.collect = collect_targets,
	};

	if (!process_shared_preload_libraries_in_progress)
		return;
	dbperf_metric_source_register(&source);
}
