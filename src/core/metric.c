/*-------------------------------------------------------------------------
 *
 * metric.c
 *		The sources of metrics.
 *
 * One source that fails must not take the values of all others with it.  So each
 * that can fail runs in a subtransaction, and whether it could be read is a metric,
 * too.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "core/metric.h"

#define MAX_SOURCES 32

static const DbperfMetricSource *sources[MAX_SOURCES];
static int						 num_sources = 0;

/*
 * Registers a source; called by a module's init function when the library is
 * preloaded.
 */
void
dbperf_metric_source_register(const DbperfMetricSource *source)
{
	if (num_sources >= MAX_SOURCES)
		elog(ERROR, "too many sources of metrics");
	sources[num_sources++] = source;
}

/* What dbperf_try_error() is to run. */
typedef struct Attempt
{
	DbperfMetricSink		 *sink;
	const DbperfMetricSource *source;
} Attempt;

static void
attempt(void *arg)
{
	const Attempt *this = arg;

	this->source->collect(this->sink);
}

/*
 * Asks a source that may raise an error.  Whoever waits for an answer is told of
 * one; nobody writes it to the server log, which a sampler would fill.
 */
static void
try_source(DbperfMetricSink *sink, const DbperfMetricSource *source)
{
	static const DbperfMetric up = {
		"dbperf_source_up",
		DBPERF_METRIC_GAUGE,
		"1 if a source of metrics could be read; 0 if some of its values are missing: "
		"SELECT FROM dbperf.metrics prints why",
	};
	Attempt this = {sink, source};
	ErrorData *error = dbperf_try_error(attempt, &this);

	dbperf_metric_labelled(sink, &up, error == NULL ? 1 : 0, "source", source->name);
	if (error == NULL)
		return;
	ereport(NOTICE,
			(errmsg("metrics of \"%s\" could not be read: %s", source->name, error->message)));
	FreeErrorData(error);
}

/*
 * Asks all sources up to a cost, in the order of their registration.  Those that
 * are not cheap need a transaction, in which a subtransaction can be started.
 */
void
dbperf_metrics_collect(DbperfMetricSink *sink, DbperfMetricCost dearest)
{
	for (int i = 0; i < num_sources; i++)
	{
		if (sources[i]->cost > dearest)
			continue;
		if (sources[i]->cost == DBPERF_METRIC_CHEAP)
			sources[i]->collect(sink);
		else
			try_source(sink, sources[i]);
	}
}

/*
 * Hands out a value without labels.
 */
void
dbperf_metric(DbperfMetricSink *sink, const DbperfMetric *metric, double value)
{
	sink->value(sink, metric, NULL, 0, value);
}

/*
 * Hands out a value with one label.
 */
void
dbperf_metric_labelled(DbperfMetricSink *sink, const DbperfMetric *metric, double value,
					   const char *label, const char *label_value)
{
	DbperfMetricLabel one = {label, label_value};

	sink->value(sink, metric, &one, 1, value);
}
