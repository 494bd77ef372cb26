/*-------------------------------------------------------------------------
 *
 * metric_set.h
 *		All metrics at one moment, in order, fit to be shown.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_METRIC_SET_H
#define DBPERF_METRIC_SET_H

#include "core/metric.h"

DBPERF_PRIVATE_BEGIN

/* One value of a metric, or one histogram. */
typedef struct MetricSample
{
	DbperfMetricLabel	  *labels; /* copies, made fit to be shown */
	int					   num_labels;
	char				  *text;  /* the labels as Prometheus writes them, without {} */
	double				   value; /* void of a histogram */
	DbperfMetricHistogram *histogram;
} MetricSample;

/* A metric, and its samples in the order of their labels; no two have the same. */
typedef struct MetricFamily
{
	const DbperfMetric *metric;
	MetricSample	   *samples;
	int					num_samples;
	int					room;
} MetricFamily;

/* The metrics, in the order of their names. */
typedef struct MetricSet
{
	DbperfMetricSink sink; /* MUST BE FIRST */
	MemoryContext	 context;
	MetricFamily	*families;
	int				 num_families;
	int				 room;
} MetricSet;

/*
 * Takes a number of a sample.  A histogram has many: suffix is "_bucket" (le is
 * its bound then), "_sum" or "_count"; else suffix is "" and le is NULL.
 */
typedef void (*MetricVisit)(const MetricFamily *family, const MetricSample *sample,
							const char *suffix, const char *le, double value, void *arg);

/* metric_set.c */
extern void dbperf_metric_set_collect(MetricSet *set, DbperfMetricCost dearest);
extern void dbperf_metric_set_visit(const MetricFamily *family, MetricVisit visit, void *arg);

/* metric_text.c */

/* Room for a number as text, and its \0. */
#define METRIC_NUMBER_SIZE 32

extern char		  *dbperf_metric_fit_text(const char *text);
extern const char *dbperf_metric_number(double value, char *buffer);
extern const char *dbperf_metric_type_name(DbperfMetricType type);

DBPERF_PRIVATE_END

#endif /* DBPERF_METRIC_SET_H */
