/*-------------------------------------------------------------------------
 *
 * catalogue.c
 *		Shows all metrics: the view dbperf.metrics.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "fmgr.h"
#include "funcapi.h"
#include "metrics/metric_set.h"
#include "metrics/metrics.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/memutils.h"

#define METRICS_COLUMNS 5

PG_FUNCTION_INFO_V1(dbperf_metrics);

/* Where rows go. */
typedef struct Catalogue
{
	ReturnSetInfo *rsinfo;
	MemoryContext  context; /* of one row's values */
} Catalogue;

/* Appends a label to an object that is being written. */
static void
append_label(StringInfo json, const char *name, const char *value)
{
	if (json->len > 1)
		appendStringInfoString(json, ", ");
	escape_json(json, name);
	appendStringInfoString(json, ": ");
	escape_json(json, value);
}

/* The labels of a row as jsonb. */
static Datum
labels_datum(const MetricSample *sample, const char *le)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	for (int i = 0; i < sample->num_labels; i++)
		append_label(&json, sample->labels[i].name, sample->labels[i].value);
	if (le != NULL)
		append_label(&json, "le", le);
	appendStringInfoChar(&json, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}

/* MetricVisit: one row. */
static void
put_row(const MetricFamily *family, const MetricSample *sample, const char *suffix, const char *le,
		double value, void *arg)
{
	Catalogue		   *catalogue = arg;
	ReturnSetInfo	   *rsinfo = catalogue->rsinfo;
	MemoryContext		caller = MemoryContextSwitchTo(catalogue->context);
	Datum				values[METRICS_COLUMNS];
	bool				nulls[METRICS_COLUMNS] = {0};
	const DbperfMetric *metric = family->metric;

	values[0] = PointerGetDatum(cstring_to_text(psprintf("%s%s", metric->name, suffix)));
	values[1] = CStringGetTextDatum(dbperf_metric_type_name(metric->type));
	values[2] = CStringGetTextDatum(metric->help);
	values[3] = labels_datum(sample, le);
	values[4] = Float8GetDatum(value);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(catalogue->context);
}

/*
 * metrics() returns setof record: one row for each number, in the order of names
 * and labels.
 */
Datum
dbperf_metrics(PG_FUNCTION_ARGS)
{
	Catalogue catalogue;
	MetricSet set;

	dbperf_require_shmem();
	catalogue.rsinfo = dbperf_srf_begin(fcinfo, METRICS_COLUMNS);
	catalogue.context =
		AllocSetContextCreate(CurrentMemoryContext, "dbperf metrics", ALLOCSET_DEFAULT_SIZES);
	dbperf_metric_set_collect(&set, DBPERF_METRIC_DEAR);
	for (int i = 0; i < set.num_families; i++)
		dbperf_metric_set_visit(&set.families[i], put_row, &catalogue);
	MemoryContextDelete(catalogue.context);
	return (Datum) 0;
}

/* DbperfMetricSource: what the extension says of itself. */
static void
collect_self(DbperfMetricSink *sink)
{
	static const DbperfMetric enabled = {"dbperf_enabled", DBPERF_METRIC_GAUGE,
										 "1 unless dbperf.enabled has switched everything off"};

	dbperf_metric(sink, &enabled, dbperf_enabled ? 1 : 0);
}

/*
 * Registers the extension's own metrics, while the library is preloaded.  They are
 * not for the sampler: in its process, as in all workers, dbperf.enabled is off.
 */
void
dbperf_catalogue_init(void)
{
	static const DbperfMetricSource source = {"dbperf", DBPERF_METRIC_QUERIES, collect_self};

	if (process_shared_preload_libraries_in_progress)
		dbperf_metric_source_register(&source);
}
