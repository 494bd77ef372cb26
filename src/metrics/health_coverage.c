/*-------------------------------------------------------------------------
 *
 * health_coverage.c
 *		The target index_coverage_ratio: how much of the workload indexes serve.
 *
 * Both the ratio and the advice are dear to find, so what is shown are the last
 * ones that workers have found, with their age.  If the database has other indexes
 * by now, or no statement had asked for any, a worker is asked for a new ratio.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "core/core.h"
#include "metrics/estimates.h"
#include "metrics/health.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

/* without those that somebody has built since the advisor looked */
static const char top_advice[] =
	"SELECT a.ddl, format('%I.%I', a.schema_name, a.table_name), a.benefit_pct, count(*) OVER ()"
	" FROM dbperf.index_advice AS a WHERE a.status = 'open' AND"
	"       to_regclass(quote_ident(a.schema_name) || '.' ||"
	"                   substring(a.ddl FROM 'CONCURRENTLY (.*?) ON ')) IS NULL"
	" ORDER BY a.benefit_pct DESC NULLS LAST, a.id LIMIT 1";

/* The best index to build. */
static void
next_index(HealthTarget *target)
{
	double benefit;

	if (dbperf_health_ask(top_advice, 0, NULL, NULL) == 0)
	{
		dbperf_health_next(target, "SELECT * FROM dbperf.suggest_indexes();");
		return;
	}
	if (dbperf_health_number(0, 3, &benefit))
		dbperf_health_evidence(target,
							   "indexes proposed: %s; the first, on %s, takes %.1f %% off the "
							   "workload's estimated cost",
							   dbperf_health_text(0, 4), dbperf_health_text(0, 2), benefit);
	dbperf_health_next(target, "%s", dbperf_health_text(0, 1));
}

/* There is no ratio: why. */
static void
explain_nothing(HealthTarget *target, const DatabaseEstimate *estimate)
{
	if (estimate != NULL)
	{
		dbperf_estimates_renew(estimate);
		dbperf_health_evidence(target, "no recorded statement asks for anything that an index "
									   "serves or could serve");
		dbperf_health_next(target, "SELECT dbperf.refresh_estimates();");
	}
	else if (RecoveryInProgress())
		dbperf_health_evidence(target, "it is not estimated on a standby");
	else if (dbperf_estimates_interval == 0)
	{
		dbperf_health_evidence(target, "it is not estimated: dbperf.estimates_interval is 0");
		dbperf_health_next(target, "ALTER SYSTEM SET dbperf.estimates_interval = '1h'; "
								   "SELECT pg_reload_conf();");
	}
	else
	{
		dbperf_health_evidence(target, "it was not estimated yet since the server's start");
		dbperf_health_next(target, "SELECT dbperf.refresh_estimates();");
	}
}

/*
 * The share of what the workload asks of its tables that indexes serve.
 */
void
dbperf_health_coverage(HealthTarget *target)
{
	DatabaseEstimate estimate;
	bool estimated = dbperf_estimates_of(MyDatabaseId, &estimate) && estimate.covered != 0;

	target->known = estimated && !isnan(estimate.coverage);
	if (target->known)
		target->value = estimate.coverage;
	if (!target->reasons)
		return;
	if (!target->known)
	{
		explain_nothing(target, estimated ? &estimate : NULL);
		return;
	}
	dbperf_health_evidence(
		target,
		"existing indexes serve %s of what the workload asks of its tables, by "
		"weight; estimated %s ago",
		dbperf_health_percent(estimate.coverage),
		dbperf_health_age((double) (GetCurrentTimestamp() - estimate.covered) / USECS_PER_SEC));
	if (dbperf_estimates_stale(&estimate))
	{
		dbperf_health_evidence(target, "indexes have come or gone since");
		dbperf_health_next(target, "SELECT dbperf.refresh_estimates();");
	}
	else if (!dbperf_target_is_met(target))
		next_index(target);
}
