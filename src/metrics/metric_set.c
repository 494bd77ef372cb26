/*-------------------------------------------------------------------------
 *
 * metric_set.c
 *		Collects all metrics, and puts them in order.
 *
 * Sources come in any order, and some take what they hand out from hash tables.
 * Here all samples of a metric come together, sorted, so that two looks at the
 * same state are the same text.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "metrics/metric_set.h"
#include "miscadmin.h"

/*
 * The family of a metric, made if it is not there.  Two sources may hand out a
 * metric of the same name; the first one's type and help count.
 */
static MetricFamily *
family_of(MetricSet *set, const DbperfMetric *metric)
{
	MetricFamily *family;

	/* the last one first: a source hands out many of the same */
	for (int i = set->num_families - 1; i >= 0; i--)
	{
		family = &set->families[i];
		if (family->metric == metric || strcmp(family->metric->name, metric->name) == 0)
			return family;
	}
	if (set->num_families == set->room)
	{
		set->room *= 2;
		set->families = repalloc(set->families, set->room * sizeof(MetricFamily));
	}
	family = &set->families[set->num_families++];
	memset(family, 0, sizeof(*family));
	family->metric = metric;
	return family;
}

/* Appends a label's value with what Prometheus wants escaped. */
static void
append_escaped(StringInfo out, const char *value)
{
	for (; *value != '\0'; value++)
	{
		if (*value == '\\')
			appendStringInfoString(out, "\\\\");
		else if (*value == '"')
			appendStringInfoString(out, "\\\"");
		else if (*value == '\n')
			appendStringInfoString(out, "\\n");
		else
			appendStringInfoChar(out, *value);
	}
}

/* The labels as Prometheus writes them. */
static char *
labels_text(const DbperfMetricLabel *labels, int num_labels)
{
	StringInfoData out;

	initStringInfo(&out);
	for (int i = 0; i < num_labels; i++)
	{
		appendStringInfo(&out, "%s%s=\"", i > 0 ? "," : "", labels[i].name);
		append_escaped(&out, labels[i].value);
		appendStringInfoChar(&out, '"');
	}
	return out.data;
}

/* Adds a sample; its value is the caller's to fill in. */
static MetricSample *
add_sample(MetricSet *set, const DbperfMetric *metric, const DbperfMetricLabel *labels,
		   int num_labels)
{
	MetricFamily *family = family_of(set, metric);
	MetricSample *sample;

	if (family->num_samples == family->room)
	{
		family->room = Max(2 * family->room, 4);
		family->samples = family->samples == NULL
							  ? palloc(family->room * sizeof(MetricSample))
							  : repalloc(family->samples, family->room * sizeof(MetricSample));
	}
	sample = &family->samples[family->num_samples];
	memset(sample, 0, sizeof(*sample));
	sample->num_labels = num_labels;
	if (num_labels > 0)
		sample->labels = palloc(num_labels * sizeof(DbperfMetricLabel));
	for (int i = 0; i < num_labels; i++)
	{
		sample->labels[i].name = labels[i].name;
		sample->labels[i].value = dbperf_metric_fit_text(labels[i].value);
	}
	sample->text = labels_text(sample->labels, num_labels);
	family->num_samples++;
	return sample;
}

/* DbperfMetricSink */
static void
take_value(DbperfMetricSink *sink, const DbperfMetric *metric, const DbperfMetricLabel *labels,
		   int num_labels, double value)
{
	MetricSet	 *set = (MetricSet *) sink;
	MemoryContext caller = MemoryContextSwitchTo(set->context);

	add_sample(set, metric, labels, num_labels)->value = value;
	MemoryContextSwitchTo(caller);
}

/* DbperfMetricSink */
static void
take_histogram(DbperfMetricSink *sink, const DbperfMetric *metric, const DbperfMetricLabel *labels,
			   int num_labels, const DbperfMetricHistogram *histogram)
{
	MetricSet			  *set = (MetricSet *) sink;
	MemoryContext		   caller = MemoryContextSwitchTo(set->context);
	Size				   size = histogram->num_bounds * sizeof(double);
	DbperfMetricHistogram *copy = palloc(sizeof(DbperfMetricHistogram));
	double				  *numbers = palloc(2 * size);

	*copy = *histogram;
	copy->bounds = memcpy(numbers, histogram->bounds, size);
	copy->cumulative = memcpy(numbers + histogram->num_bounds, histogram->cumulative, size);
	add_sample(set, metric, labels, num_labels)->histogram = copy;
	MemoryContextSwitchTo(caller);
}

/* qsort comparator */
static int
compare_families(const void *a, const void *b)
{
	return strcmp(((const MetricFamily *) a)->metric->name,
				  ((const MetricFamily *) b)->metric->name);
}

/* qsort comparator */
static int
compare_samples(const void *a, const void *b)
{
	return strcmp(((const MetricSample *) a)->text, ((const MetricSample *) b)->text);
}

/*
 * Sorts the samples of a family.  Of those with the same labels one stays: names
 * that cannot be shown look alike, and Prometheus refuses two of the same.
 */
static void
sort_family(MetricFamily *family)
{
	int kept = 0;

	qsort(family->samples, family->num_samples, sizeof(MetricSample), compare_samples);
	for (int i = 0; i < family->num_samples; i++)
	{
		if (kept > 0 && strcmp(family->samples[kept - 1].text, family->samples[i].text) == 0)
			continue;
		family->samples[kept++] = family->samples[i];
	}
	family->num_samples = kept;
}

/*
 * Asks all sources up to a cost.  What is found lives in the current memory
 * context.  Needs dbperf_require_shmem() and a transaction.
 */
void
dbperf_metric_set_collect(MetricSet *set, DbperfMetricCost dearest)
{
	memset(set, 0, sizeof(*set));
	set->sink.value = take_value;
	set->sink.histogram = take_histogram;
	set->context = CurrentMemoryContext;
	set->room = 64;
	set->families = palloc(set->room * sizeof(MetricFamily));
	dbperf_metrics_collect(&set->sink, dearest);
	qsort(set->families, set->num_families, sizeof(MetricFamily), compare_families);
	for (int i = 0; i < set->num_families; i++)
		sort_family(&set->families[i]);
}

/* Visits what a histogram consists of. */
static void
visit_histogram(const MetricFamily *family, const MetricSample *sample, MetricVisit visit,
				void *arg)
{
	const DbperfMetricHistogram *histogram = sample->histogram;
	char						 bound[METRIC_NUMBER_SIZE];

	for (int i = 0; i < histogram->num_bounds; i++)
		visit(family, sample, "_bucket", dbperf_metric_number(histogram->bounds[i], bound),
			  histogram->cumulative[i], arg);
	visit(family, sample, "_bucket", "+Inf", histogram->count, arg);
	visit(family, sample, "_sum", NULL, histogram->sum, arg);
	visit(family, sample, "_count", NULL, histogram->count, arg);
}

/*
 * Visits all numbers of a metric.
 */
void
dbperf_metric_set_visit(const MetricFamily *family, MetricVisit visit, void *arg)
{
	for (int i = 0; i < family->num_samples; i++)
	{
		const MetricSample *sample = &family->samples[i];

		CHECK_FOR_INTERRUPTS();
		if (sample->histogram != NULL)
			visit_histogram(family, sample, visit, arg);
		else
			visit(family, sample, "", NULL, sample->value, arg);
	}
}
