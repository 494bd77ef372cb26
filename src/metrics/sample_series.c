/*-------------------------------------------------------------------------
 *
 * sample_series.c
 *		The sampler's directory of series, and the sink that fills a sample.
 *
 * A series gets the next free position when a source hands it out for the first
 * time, and keeps it.  What belongs to objects that come and go, such as
 * databases, could so fill the directory: then a new one is begun that has only
 * what was in the last sample.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "core/core.h"
#include "mb/pg_wchar.h"
#include "metrics/samples.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* a new directory is begun only if it makes room, and not all the time */
#define MOST_TO_TAKE_OVER (MAX_SERIES / 4 * 3)
#define RENEW_AFTER 3600000 /* ms */

typedef struct SeriesPlace
{
	char identity[SERIES_IDENTITY_SIZE]; /* MUST BE FIRST */
	int	 position;
} SeriesPlace;

static Series	  *directory = NULL;
static int		   num_series = 0;
static int		   num_published = 0;
static HTAB		  *places = NULL;
static TimestampTz renewed = 0;

/* Makes the directory empty. */
static void
clear_directory(void)
{
	HASHCTL ctl = {0};

	if (places != NULL)
		hash_destroy(places);
	ctl.keysize = SERIES_IDENTITY_SIZE;
	ctl.entrysize = sizeof(SeriesPlace);
	ctl.hcxt = TopMemoryContext;
	places = hash_create("dbperf series", 256, &ctl, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	num_series = num_published = 0;
}

/*
 * Appends a series that is not there yet; the first name_len bytes of its identity
 * are the metric's name.  Returns whether there was room for it.
 */
bool
dbperf_series_add(const char *identity, int name_len, bool counter)
{
	SeriesPlace *place;
	Series		*series;
	bool		 found;

	if (num_series >= MAX_SERIES || strlen(identity) >= SERIES_IDENTITY_SIZE)
		return false;
	place = hash_search(places, identity, HASH_ENTER, &found);
	if (found)
		return false;
	place->position = num_series;
	series = &directory[num_series++];
	strlcpy(series->identity, identity, SERIES_IDENTITY_SIZE);
	series->name_len = (int16) name_len;
	series->counter = counter;
	return true;
}

/*
 * To be called when the sampler starts: takes over the directory of a sampler that
 * ran before, so that samples in the ring stay readable.  Returns false if there is
 * none, and then the directory is empty.
 */
bool
dbperf_series_init(void)
{
	Series *series;
	int		encoding;
	int		epoch;
	int		count = dbperf_sample_ring_series(&series, &encoding, &epoch);

	directory = MemoryContextAllocZero(TopMemoryContext, MAX_SERIES * sizeof(Series));
	clear_directory();
	if (count == 0 || encoding != GetDatabaseEncoding())
	{
		dbperf_sample_ring_series_set(directory, 0, GetDatabaseEncoding(), true);
		return false;
	}
	for (int i = 0; i < count; i++)
		(void) dbperf_series_add(series[i].identity, series[i].name_len, series[i].counter);
	num_published = num_series;
	return true;
}

/*
 * The directory, by position.
 */
const Series *
dbperf_series_get(int *count)
{
	*count = num_series;
	return directory;
}

/* The place of a series in a sample, or -1 if there is no room. */
static int
position_of(const char *identity, int name_len, bool counter)
{
	SeriesPlace *place;

	if (strlen(identity) >= SERIES_IDENTITY_SIZE)
		return -1;
	place = hash_search(places, identity, HASH_FIND, NULL);
	if (place != NULL)
		return place->position;
	return dbperf_series_add(identity, name_len, counter) ? num_series - 1 : -1;
}

/*
 * The value of a label, as it can be stored: names of databases and roles are in
 * the encoding of whoever gave them.
 */
static const char *
valid_value(const char *value)
{
	int len = (int) strlen(value);
	int encoding = GetDatabaseEncoding();

	return pg_verify_mbstr(encoding, value, len, true)
			   ? value
			   : text_to_cstring(dbperf_server_text(value, len, encoding));
}

/*
 * Puts a value where it belongs.  The name has a suffix if it is part of a
 * histogram, and le is the bound of a bucket.
 */
static void
put_value(SampleSink *sink, const char *name, const char *suffix, bool counter,
		  const DbperfMetricLabel *labels, int num_labels, const char *le, double value)
{
	StringInfo identity = &sink->identity;
	int		   name_len;
	int		   position;

	resetStringInfo(identity);
	appendStringInfo(identity, "%s%s", name, suffix);
	name_len = identity->len;
	appendStringInfoChar(identity, '{');
	for (int i = 0; i < num_labels; i++)
	{
		appendStringInfo(identity, "%s\"%s\": ", i > 0 ? ", " : "", labels[i].name);
		escape_json(identity, valid_value(labels[i].value));
	}
	if (le != NULL)
		appendStringInfo(identity, "%s\"le\": \"%s\"", num_labels > 0 ? ", " : "", le);
	appendStringInfoChar(identity, '}');

	position = position_of(identity->data, name_len, counter);
	if (position < 0)
		sink->refused++;
	else
		sink->values[position] = value;
}

static void
sink_value(DbperfMetricSink *sink, const DbperfMetric *metric, const DbperfMetricLabel *labels,
		   int num_labels, double value)
{
	put_value((SampleSink *) sink, metric->name, "", metric->type == DBPERF_METRIC_COUNTER, labels,
			  num_labels, NULL, value);
}

/* A histogram is several series, as Prometheus has it. */
static void
sink_histogram(DbperfMetricSink *sink, const DbperfMetric *metric, const DbperfMetricLabel *labels,
			   int num_labels, const DbperfMetricHistogram *histogram)
{
	SampleSink *into = (SampleSink *) sink;

	for (int i = 0; i < histogram->num_bounds; i++)
	{
		char le[32];

		snprintf(le, sizeof(le), "%g", histogram->bounds[i]);
		put_value(into, metric->name, "_bucket", true, labels, num_labels, le,
				  histogram->cumulative[i]);
	}
	put_value(into, metric->name, "_bucket", true, labels, num_labels, "+Inf", histogram->count);
	put_value(into, metric->name, "_sum", true, labels, num_labels, NULL, histogram->sum);
	put_value(into, metric->name, "_count", true, labels, num_labels, NULL, histogram->count);
}

/*
 * Makes a sink that puts values into an array of MAX_SERIES of them.
 */
void
dbperf_series_sink(SampleSink *sink, double *values)
{
	sink->sink.value = sink_value;
	sink->sink.histogram = sink_histogram;
	sink->values = values;
	sink->refused = 0;
	initStringInfo(&sink->identity);
	for (int i = 0; i < MAX_SERIES; i++)
		values[i] = NAN;
}

/*
 * Tells readers of series that have come.
 */
void
dbperf_series_publish(void)
{
	if (num_published == num_series)
		return;
	dbperf_sample_ring_series_set(directory, num_series, GetDatabaseEncoding(), false);
	num_published = num_series;
}

/*
 * Begins a new directory, of the series that have a value in a sample, after one
 * for which there was not enough room.  Returns whether it did so.
 */
bool
dbperf_series_renew(const double *values)
{
	TimestampTz now = GetCurrentTimestamp();
	Series	   *old = directory;
	int			num_old = num_series;
	int			live = 0;

	for (int i = 0; i < num_old; i++)
		live += !isnan(values[i]);
	if (live > MOST_TO_TAKE_OVER ||
		(renewed != 0 && !TimestampDifferenceExceeds(renewed, now, RENEW_AFTER)))
		return false;

	renewed = now;
	directory = MemoryContextAllocZero(TopMemoryContext, MAX_SERIES * sizeof(Series));
	clear_directory();
	for (int i = 0; i < num_old; i++)
	{
		if (!isnan(values[i]))
			(void) dbperf_series_add(old[i].identity, old[i].name_len, old[i].counter);
	}
	pfree(old);
	dbperf_sample_ring_series_set(directory, num_series, GetDatabaseEncoding(), true);
	num_published = num_series;
	return true;
}
