/*-------------------------------------------------------------------------
 *
 * advisor_metrics.c
 *		The advisor's metrics: what became of its advice in this database.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/advisor_int.h"
#include "advisor/store.h"
#include "core/metric.h"

static const DbperfMetric advice = {
	"dbperf_index_advice", DBPERF_METRIC_GAUGE,
	"Indexes that were proposed for this database, by what became of them; open: "
	"dbperf.index_advice has the statements to run"};

/* Each status has a value, so that one can be seen to become 0. */
#define ADVICE_QUERY                                                                               \
	"SELECT s.status, pg_catalog.count(a.id) FROM "                                                \
	"pg_catalog.unnest('{open,building,applied,failed,dismissed,obsolete}'::pg_catalog.text[]) "   \
	"AS s (status) LEFT JOIN dbperf.index_advice AS a USING (status) GROUP BY 1"

/*
 * DbperfMetricSource.  How many there are is no secret from whoever may ask for
 * metrics, so the table is read as its owner.
 */
static void
collect(DbperfMetricSink *sink)
{
	StoreSession session;
	uint64		 rows;

	if (!dbperf_store_present())
		return;
	dbperf_store_open(&session);
	rows = dbperf_store_execute(ADVICE_QUERY, NULL);
	for (uint64 i = 0; i < rows; i++)
	{
		bool  isnull;
		Datum count = dbperf_store_value(i, 2, &isnull);

		dbperf_metric_labelled(sink, &advice, (double) DatumGetInt64(count), "status",
							   dbperf_store_string(i, 1));
	}
	dbperf_store_close(&session);
}

/*
 * Registers the metrics; called while the library is preloaded.
 */
void
dbperf_advisor_metrics_init(void)
{
	static const DbperfMetricSource source = {"advisor", DBPERF_METRIC_DEAR, collect};

	dbperf_metric_source_register(&source);
}
