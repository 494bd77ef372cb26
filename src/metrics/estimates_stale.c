/*-------------------------------------------------------------------------
 *
 * estimates_stale.c
 *		Whether a database has the indexes that its coverage was measured with.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "core/core.h"
#include "executor/spi.h"
#include "metrics/estimates.h"
#include "utils/timestamp.h"

/* at most so many visits are asked for in the time between two on schedule */
#define VISITS_PER_INTERVAL 60

/*
 * A sum over the indexes that plans of other sessions may use, which is another
 * one when an index has come or gone.
 */
static const char index_sum[] =
	"SELECT coalesce(pg_catalog.sum(pg_catalog.hashoid(i.indexrelid)::bigint), 0)::bigint"
	" FROM pg_catalog.pg_index AS i"
	" JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid"
	" WHERE i.indisvalid AND c.relpersistence OPERATOR(pg_catalog.<>) 't'"
	" AND c.relnamespace OPERATOR(pg_catalog.<>) 'pg_toast'::pg_catalog.regnamespace";

/*
 * That sum for the current database.
 */
int64
dbperf_estimates_indexes(void)
{
	bool  isnull;
	int64 result;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute(index_sum, true, 0) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not read the indexes");
	result = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return result;
}

/*
 * The coverage of the current database may be another one by now: asks a worker to
 * measure it again, if it does so at all, and the last time was not just now.
 */
void
dbperf_estimates_renew(const DatabaseEstimate *estimate)
{
	int64 least = dbperf_estimates_interval * USECS_PER_SEC / VISITS_PER_INTERVAL;

	if (dbperf_enabled && dbperf_estimates_interval > 0 && !RecoveryInProgress() &&
		GetCurrentTimestamp() - estimate->covered > least)
		dbperf_estimates_ask();
}

/*
 * Whether the coverage of the current database was measured with other indexes.
 * Then it is renewed.
 */
bool
dbperf_estimates_stale(const DatabaseEstimate *estimate)
{
	if (dbperf_estimates_indexes() == estimate->indexes)
		return false;
	dbperf_estimates_renew(estimate);
	return true;
}
