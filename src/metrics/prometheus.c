/*-------------------------------------------------------------------------
 *
 * prometheus.c
 *		All metrics as text for Prometheus: dbperf.prometheus().
 *
 * The text exposition format, version 0.0.4.  Texts of HELP are constants of ours
 * and need no escaping; values of labels come escaped.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "metrics/metric_set.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(dbperf_prometheus);

/* MetricVisit: one line. */
static void
append_line(const MetricFamily *family, const MetricSample *sample, const char *suffix,
			const char *le, double value, void *arg)
{
	StringInfo out = arg;
	char	   number[METRIC_NUMBER_SIZE];

	appendStringInfoString(out, family->metric->name);
	appendStringInfoString(out, suffix);
	if (sample->num_labels > 0 || le != NULL)
	{
		appendStringInfoChar(out, '{');
		appendStringInfoString(out, sample->text);
		if (le != NULL)
			appendStringInfo(out, "%sle=\"%s\"", sample->num_labels > 0 ? "," : "", le);
		appendStringInfoChar(out, '}');
	}
	appendStringInfoChar(out, ' ');
	appendStringInfoString(out, dbperf_metric_number(value, number));
	appendStringInfoChar(out, '\n');
}

/*
 * prometheus() returns text: all metrics in the exposition format.
 */
Datum
dbperf_prometheus(PG_FUNCTION_ARGS)
{
	StringInfoData out;
	MetricSet	   set;

	dbperf_require_shmem();
	dbperf_own_call();
	dbperf_metric_set_collect(&set, DBPERF_METRIC_DEAR);
	initStringInfo(&out);
	for (int i = 0; i < set.num_families; i++)
	{
		const DbperfMetric *metric = set.families[i].metric;

		appendStringInfo(&out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help,
						 metric->name, dbperf_metric_type_name(metric->type));
		dbperf_metric_set_visit(&set.families[i], append_line, &out);
	}
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}
