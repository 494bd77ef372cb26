/*-------------------------------------------------------------------------
 *
 * health_latency.c
 *		The target query_p95_ms: how long the statements of clients take.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "core/core.h"
#include "metrics/health.h"
#include "miscadmin.h"
#include "monitor/monitor.h"
#include "utils/guc.h"

/* A percentile of fewer executions says nothing of now. */
#define ENOUGH_CALLS 100

/* Of fewer it would be the longest one. */
#define LEAST_CALLS 20

#define NS_OF_ONE_MS 1000000.0

/* The newest record of the query that has a plan. */
static const char newest_record[] =
	"SELECT max(s.id)::float8 FROM dbperf.slow_queries() AS s"
	" WHERE s.queryid = $1 AND s.database_name = current_database() AND s.plan IS NOT NULL";

/* A period in words. */
static const char *
period_in_words(const char *period)
{
	if (strcmp(period, "current") == 0)
		return "in the current window of dbperf.latency_window";
	if (strcmp(period, "previous") == 0)
		return "in the last closed window of dbperf.latency_window";
	return "since counting began";
}

/* A percentile in words. */
static char *
percentile(const LatencySummary *summary, double fraction)
{
	return dbperf_health_ms(dbperf_latency_percentile(summary, fraction) / NS_OF_ONE_MS);
}

/* What to do about a query: look at its plan, or see to it that there is one. */
static void
next_for_query(HealthTarget *target, const LatencySummary *query)
{
	int64		queryid = (int64) query->key.queryid;
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(queryid)};
	const char *setting = GetConfigOption("dbperf.slow_query_min_duration", true, false);
	double		min_ms = setting != NULL ? strtod(setting, NULL) : 0;
	double		proposed = Max(floor(target->threshold), 1); /* 0 would record all */
	double		id;

	if (dbperf_health_ask(newest_record, 1, types, values) > 0 && dbperf_health_number(0, 1, &id))
		dbperf_health_next(target, "SELECT dbperf.explain_slow_query(%.0f);", id);
	else if (min_ms < 0 || (query->max_ns / NS_OF_ONE_MS < min_ms && proposed < min_ms))
		dbperf_health_next(target,
						   "ALTER SYSTEM SET dbperf.slow_query_min_duration = '%.0fms'; "
						   "SELECT pg_reload_conf();",
						   proposed);
	else
		dbperf_health_next(target,
						   "SELECT * FROM dbperf.query_samples WHERE queryid = " INT64_FORMAT ";",
						   queryid);
}

/* Names the query that was slow most often. */
static void
blame(HealthTarget *target, const LatencyRecent *recent)
{
	const LatencySummary *worst = &recent->worst;
	int64				  queryid = (int64) worst->key.queryid;

	dbperf_health_evidence(target, "%s of the " UINT64_FORMAT " that took longer than %g ms are ",
						   dbperf_health_percent((double) recent->worst_slow / recent->slow),
						   recent->slow, target->threshold);
	if (!dbperf_may_see_role(worst->key.userid))
	{
		dbperf_health_add(target, "one query of another role");
		dbperf_health_next(target,
						   "SELECT * FROM dbperf.query_latency ORDER BY p95_ms DESC LIMIT 10;");
	}
	else if (queryid == 0)
	{
		dbperf_health_add(target, "statements without a query id: with errors in them, commits, or "
								  "compute_query_id is off");
		dbperf_health_next(target, "SELECT * FROM dbperf.slow_queries WHERE queryid IS NULL;");
	}
	else
	{
		dbperf_health_add(target, "query " INT64_FORMAT " (p95 %s, " UINT64_FORMAT " executions)",
						  queryid, percentile(worst, 0.95), worst->calls);
		next_for_query(target, worst);
	}
}

/* There is too little to judge: why. */
static void
explain_nothing(HealthTarget *target, uint64 calls)
{
	if (dbperf_health_setting_is("dbperf.track", "none"))
	{
		dbperf_health_evidence(target, "no statement is counted: dbperf.track is none");
		dbperf_health_next(target,
						   "ALTER SYSTEM SET dbperf.track = 'top'; SELECT pg_reload_conf();");
	}
	else if (dbperf_health_setting_is("dbperf.enabled", "off"))
	{
		dbperf_health_evidence(target, "no statement is counted: dbperf.enabled is off");
		dbperf_health_next(target,
						   "ALTER SYSTEM SET dbperf.enabled = on; SELECT pg_reload_conf();");
	}
	else
		dbperf_health_evidence(target,
							   "clients have executed " UINT64_FORMAT
							   " statements in this database since counting began; a 95th "
							   "percentile takes %d",
							   calls, LEAST_CALLS);
}

/*
 * The 95th percentile of what clients sent to this database, and who is to blame.
 */
void
dbperf_health_query_p95(HealthTarget *target)
{
	LatencyRecent *recent = palloc(sizeof(LatencyRecent));

	dbperf_latency_recent(MyDatabaseId, ENOUGH_CALLS, target->threshold, recent);
	target->known = recent->all.calls >= LEAST_CALLS;
	if (target->known)
		target->value = dbperf_latency_percentile(&recent->all, 0.95) / NS_OF_ONE_MS;
	if (!target->reasons)
		return;
	if (!target->known)
	{
		explain_nothing(target, recent->all.calls);
		return;
	}
	dbperf_health_evidence(target, "p50 %s, p95 %s, p99 %s of " UINT64_FORMAT " executions %s",
						   percentile(&recent->all, 0.5), percentile(&recent->all, 0.95),
						   percentile(&recent->all, 0.99), recent->all.calls,
						   period_in_words(recent->period));
	if (recent->own > 0)
		dbperf_health_add(target, ", without " UINT64_FORMAT " calls of dbperf's functions",
						  recent->own);
	if (!dbperf_target_is_met(target) && recent->worst_slow > 0)
		blame(target, recent);
}
