/*-------------------------------------------------------------------------
 *
 * health_metric.c
 *		A target on any metric: of several series the worst one counts.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "core/metric.h"
#include "metrics/health.h"
#include "utils/builtins.h"

/* Looks for one metric. */
typedef struct MetricSearch
{
	DbperfMetricSink sink;
	const char		*name;
	bool			 most; /* the highest value is the worst one */
	MemoryContext	 context;
	int				 series;
	bool			 histogram; /* it is one, and so has no single value */
	double			 value;
	char			*labels; /* of the worst series */
} MetricSearch;

/* Sources of metrics that ask for targets must not be asked by them. */
static bool reading = false;

/* Labels as Prometheus writes them, without its escapes. */
static char *
labels_as_text(const DbperfMetricLabel *labels, int num_labels)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < num_labels; i++)
		appendStringInfo(&text, "%s%s=\"%s\"", i > 0 ? ", " : "", labels[i].name, labels[i].value);
	return text.data;
}

/* Takes a value. */
static void
take_value(DbperfMetricSink *sink, const DbperfMetric *metric, const DbperfMetricLabel *labels,
		   int num_labels, double value)
{
	MetricSearch *search = (MetricSearch *) sink;
	MemoryContext old;

	if (strcmp(metric->name, search->name) != 0 || isnan(value))
		return;
	if (search->series++ > 0 && (search->most ? value <= search->value : value >= search->value))
		return;
	old = MemoryContextSwitchTo(search->context);
	search->value = value;
	search->labels = labels_as_text(labels, num_labels);
	MemoryContextSwitchTo(old);
}

/* Takes note of a histogram. */
static void
take_histogram(DbperfMetricSink *sink, const DbperfMetric *metric, const DbperfMetricLabel *labels,
			   int num_labels, const DbperfMetricHistogram *histogram)
{
	MetricSearch *search = (MetricSearch *) sink;

	(void) labels;
	(void) num_labels;
	(void) histogram;
	if (strcmp(metric->name, search->name) == 0)
		search->histogram = true;
}

/* Asks the sources up to a cost. */
static void
ask_sources(MetricSearch *search, DbperfMetricCost dearest)
{
	search->series = 0;
	search->histogram = false;
	reading = true;
	PG_TRY();
	{
		dbperf_metrics_collect(&search->sink, dearest);
	}
	PG_FINALLY();
	{
		reading = false;
	}
	PG_END_TRY();
}

/* Looks for a metric, among the cheap ones first. */
static void
search_metric(MetricSearch *search, const char *name, bool most)
{
	memset(search, 0, sizeof(*search));
	search->sink.value = take_value;
	search->sink.histogram = take_histogram;
	search->name = name;
	search->most = most;
	search->context = CurrentMemoryContext;
	ask_sources(search, DBPERF_METRIC_STATEMENT);
	if (search->series == 0 && !search->histogram)
		ask_sources(search, DBPERF_METRIC_DEAR);
}

/*
 * Whether metrics are being read for a target just now.
 */
bool
dbperf_health_metric_is_read(void)
{
	return reading;
}

/*
 * Whether a metric of this name has a value now.  *histogram says whether it can
 * have none, since it is a histogram.
 */
bool
dbperf_health_metric_exists(const char *name, bool *histogram)
{
	MetricSearch search;

	search_metric(&search, name, true);
	*histogram = search.histogram;
	return search.series > 0;
}

/* What shows the cause of a metric's value, for those where that is known. */
static const struct
{
	const char *metric;
	const char *statement;
} causes[] = {
	{"dbperf_oldest_transaction_seconds", "SELECT * FROM dbperf.vacuum_blockers;"},
	{"dbperf_xid_age", "SELECT * FROM dbperf.wraparound_forecast;"},
	{"dbperf_multixact_age", "SELECT * FROM dbperf.wraparound_forecast;"},
	{"dbperf_locks_waiting", "SELECT * FROM dbperf.running_queries;"},
	{"dbperf_connections", "SELECT state, usename, application_name, count(*) FROM "
						   "pg_stat_activity GROUP BY 1, 2, 3 ORDER BY 4 DESC;"},
	{"dbperf_active_sessions", "SELECT * FROM dbperf.running_queries;"},
	{"dbperf_replication_lag_seconds", "SELECT * FROM pg_stat_replication;"},
	{"dbperf_replication_lag_bytes", "SELECT * FROM pg_stat_replication;"},
	{"dbperf_table_bloat_bytes",
	 "SELECT * FROM dbperf.bloat_estimates ORDER BY bloat_bytes DESC NULLS LAST LIMIT 20;"},
	{"dbperf_index_bloat_bytes",
	 "SELECT * FROM dbperf.bloat_estimates ORDER BY bloat_bytes DESC NULLS LAST LIMIT 20;"},
	{"dbperf_plan_regressions", "SELECT * FROM dbperf.plan_regressions;"},
	{"dbperf_node_up", "SELECT * FROM dbperf.node_status;"},
};

/* What to run about a target that is missed. */
static void
next_for_metric(HealthTarget *target, bool most)
{
	for (int i = 0; i < lengthof(causes); i++)
	{
		if (strcmp(causes[i].metric, target->name) == 0)
		{
			dbperf_health_next(target, "%s", causes[i].statement);
			return;
		}
	}
	dbperf_health_next(target, "SELECT * FROM dbperf.metrics WHERE name = %s ORDER BY value%s;",
					   quote_literal_cstr(target->name), most ? " DESC" : "");
}

/*
 * The worst value of a metric.
 */
void
dbperf_health_metric(HealthTarget *target)
{
	MetricSearch search;

	search_metric(&search, target->name, target->comparison[0] == '<');
	target->known = search.series > 0;
	target->value = search.value;
	if (!target->reasons)
		return;
	if (search.histogram)
		dbperf_health_evidence(target, "a histogram has no value that could be compared");
	else if (!target->known)
	{
		dbperf_health_evidence(target, "no metric of this name has a value now");
		dbperf_health_next(target, "SELECT DISTINCT name, help FROM dbperf.metrics ORDER BY name;");
	}
	else if (search.labels[0] == '\0')
		dbperf_health_evidence(target, "%s is %g", target->name, target->value);
	else
		dbperf_health_evidence(target, "the worst of %d series is {%s} with %g", search.series,
							   search.labels, target->value);
	if (target->known && !dbperf_target_is_met(target))
		next_for_metric(target, search.most);
}
