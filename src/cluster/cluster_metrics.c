/*-------------------------------------------------------------------------
 *
 * cluster_metrics.c
 *		Metrics of the nodes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "cluster/cluster_int.h"
#include "core/metric.h"
#include "mb/pg_wchar.h"
#include "utils/timestamp.h"

static const DbperfMetric node_up = {
	"dbperf_node_up", DBPERF_METRIC_GAUGE,
	"Whether a node has answered in the last round and lately enough"};
static const DbperfMetric node_age = {"dbperf_node_answer_age_seconds", DBPERF_METRIC_GAUGE,
									  "Time since a node last answered"};

/* The name of a node in this database's encoding; a source may have no transaction. */
static void
put_name(char *name, int encoding)
{
	if (IsTransactionState())
		dbperf_put_text(name, NAMEDATALEN, name, encoding);
	else if (encoding != GetDatabaseEncoding())
	{
		for (char *c = name; *c != '\0'; c++)
			*c = IS_HIGHBIT_SET(*c) ? '?' : *c;
	}
}

static void
collect(DbperfMetricSink *sink)
{
	NodeFacts  *facts;
	TimestampTz now = GetCurrentTimestamp();
	int			num;
	int			encoding;

	if (dbperf_cluster == NULL)
		return;
	facts = dbperf_copy_facts(&num, &encoding);
	for (int i = 0; i < num; i++)
	{
		put_name(facts[i].name, encoding);
		dbperf_metric_labelled(sink, &node_up, dbperf_node_is_fresh(&facts[i]) ? 1 : 0, "node",
							   facts[i].name);
		if (facts[i].answered != 0)
			dbperf_metric_labelled(sink, &node_age, (now - facts[i].answered) / 1e6, "node",
								   facts[i].name);
	}
	pfree(facts);
}

/*
 * Registers the source.  Called once, while the library is preloaded.
 */
void
dbperf_cluster_metrics_init(void)
{
	static const DbperfMetricSource source = {"nodes", DBPERF_METRIC_CHEAP, collect};

	dbperf_metric_source_register(&source);
}
