/*-------------------------------------------------------------------------
 *
 * metric.h
 *		How modules hand out their numbers.
 *
 * A module registers sources; whoever wants the numbers (the catalogue, the
 * sampler, the exposition for Prometheus) gives a sink and calls all sources.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_METRIC_H
#define DBPERF_METRIC_H

#include "core/compat.h"

DBPERF_PRIVATE_BEGIN

typedef enum DbperfMetricType
{
	DBPERF_METRIC_COUNTER,
	DBPERF_METRIC_GAUGE,
	DBPERF_METRIC_HISTOGRAM
} DbperfMetricType;

/*
 * One metric, by Prometheus' conventions: the name begins with dbperf_, ends
 * with its base unit (seconds, bytes, ratio), and with _total if it is a counter.
 * The structs must be static: sinks tell metrics apart by their addresses.
 */
typedef struct DbperfMetric
{
	const char		*name;
	DbperfMetricType type;
	const char		*help; /* a sentence without its period */
} DbperfMetric;

typedef struct DbperfMetricLabel
{
	const char *name;
	const char *value; /* in the database's encoding; copied by the sink if it is kept */
} DbperfMetricLabel;

/* A histogram with fixed upper bounds, counted up as Prometheus wants it. */
typedef struct DbperfMetricHistogram
{
	int			  num_bounds;
	const double *bounds;	  /* le, ascending, without +Inf */
	const double *cumulative; /* executions up to that bound */
	double		  count;	  /* of all, which is +Inf's */
	double		  sum;
} DbperfMetricHistogram;

typedef struct DbperfMetricSink DbperfMetricSink;

struct DbperfMetricSink
{
	/* takes one value; a counter's or gauge's */
	void (*value)(DbperfMetricSink *sink, const DbperfMetric *metric,
				  const DbperfMetricLabel *labels, int num_labels, double value);
	void (*histogram)(DbperfMetricSink *sink, const DbperfMetric *metric,
					  const DbperfMetricLabel *labels, int num_labels,
					  const DbperfMetricHistogram *histogram);
};

/*
 * What a source costs, and so who asks it.  The sampler asks the cheap ones
 * only, many times a minute, on a standby, too.
 */
typedef enum DbperfMetricCost
{
	DBPERF_METRIC_CHEAP,	 /* reads shared memory */
	DBPERF_METRIC_STATEMENT, /* runs a cheap statement: needs a transaction; the sampler asks it */
	DBPERF_METRIC_QUERIES,	 /* values of single queries, for catalogue and exposition only */
	DBPERF_METRIC_DEAR		 /* reads tables of this database, catalogue and exposition only */
} DbperfMetricCost;

typedef struct DbperfMetricSource
{
	const char		*name;
	DbperfMetricCost cost;
	void (*collect)(DbperfMetricSink *sink); /* may raise an error */
} DbperfMetricSource;

/* metric.c */
extern void dbperf_metric_source_register(const DbperfMetricSource *source);
extern void dbperf_metrics_collect(DbperfMetricSink *sink, DbperfMetricCost dearest);
extern void dbperf_metric(DbperfMetricSink *sink, const DbperfMetric *metric, double value);
extern void dbperf_metric_labelled(DbperfMetricSink *sink, const DbperfMetric *metric, double value,
								   const char *label, const char *label_value);

DBPERF_PRIVATE_END

#endif /* DBPERF_METRIC_H */
