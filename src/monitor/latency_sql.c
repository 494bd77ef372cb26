/*-------------------------------------------------------------------------
 *
 * latency_sql.c
 *		Shows latencies and samples per query: dbperf.query_latency,
 *		dbperf.query_samples and the percentile functions.
 *
 * Percentiles are computed from histograms when somebody asks.  Those of
 * several queries can be added up first, which gives true percentiles of a
 * whole workload; percentiles themselves could not be combined.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "core/core.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "monitor/latency.h"
#include "monitor/monitor_sql.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define QUERY_LATENCY_COLUMNS 15
#define QUERY_SAMPLES_COLUMNS 10

PG_FUNCTION_INFO_V1(dbperf_query_latency);
PG_FUNCTION_INFO_V1(dbperf_latency_percentile_of_query);
PG_FUNCTION_INFO_V1(dbperf_workload_percentile);
PG_FUNCTION_INFO_V1(dbperf_query_samples);
PG_FUNCTION_INFO_V1(dbperf_query_latency_reset);

/* The names of LatencyPeriod's values. */
static const char *const period_names[] = {"lifetime", "current", "previous"};

/*
 * Fills the four columns that say whose histogram or sample it is.  The query
 * id is shown to those only who may see that user's queries; nobody owns the
 * sum of evicted queries (key is NULL).
 */
static void
put_key(SqlRows *rows, const LatencyKey *key, bool visible)
{
	if (key == NULL)
	{
		for (int i = 0; i < 4; i++)
			dbperf_rows_null(rows);
		return;
	}
	dbperf_rows_query_id(rows, visible ? key->queryid : 0);
	dbperf_rows_database(rows, key->dbid);
	dbperf_rows_user(rows, key->userid);
	dbperf_rows_value(rows, BoolGetDatum(key->toplevel != 0));
}

/* Adds the row of one histogram, which must have calls. */
static void
put_summary(SqlRows *rows, const LatencySummary *summary, LatencyPeriod period)
{
	static const double fractions[] = {0.50, 0.90, 0.95, 0.99};
	bool				visible = !summary->other && dbperf_may_see_role(summary->key.userid);

	put_key(rows, summary->other ? NULL : &summary->key, visible);
	dbperf_rows_count(rows, (int64) summary->calls);
	dbperf_rows_count(rows, (int64) summary->errors);
	dbperf_rows_ms(rows, (int64) summary->total_ns);
	dbperf_rows_value(
		rows, Float8GetDatum((double) summary->total_ns / (double) summary->calls / 1000000.0));
	dbperf_rows_ms(rows, (int64) summary->min_ns);
	for (int i = 0; i < lengthof(fractions); i++)
		dbperf_rows_value(
			rows, Float8GetDatum(dbperf_latency_percentile(summary, fractions[i]) / 1000000.0));
	dbperf_rows_ms(rows, (int64) summary->max_ns);
	dbperf_rows_string(rows, period_names[period]);
	dbperf_rows_put(rows);
}

/*
 * query_latency() returns setof record: one row for each query and period in
 * which it was executed.
 */
Datum
dbperf_query_latency(PG_FUNCTION_ARGS)
{
	SqlRows rows;

	dbperf_rows_begin(&rows, fcinfo, QUERY_LATENCY_COLUMNS);
	for (int n = 0; n < dbperf_latency_count(); n++)
	{
		for (LatencyPeriod period = PERIOD_LIFETIME; period <= PERIOD_PREVIOUS; period++)
		{
			LatencySummary summary;

			CHECK_FOR_INTERRUPTS();
			if (dbperf_latency_read(n, period, &summary))
				put_summary(&rows, &summary, period);
		}
	}
	dbperf_rows_end(&rows);
	return (Datum) 0;
}

/* Raises an error unless fraction can be that of a percentile. */
static void
check_fraction(double fraction)
{
	if (isnan(fraction) || fraction < 0.0 || fraction > 1.0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("fraction %g is not between 0 and 1", fraction),
						errhint("For the 95th percentile the fraction is 0.95.")));
}

/* The period of this name.  Raises an error if there is none. */
static LatencyPeriod
parse_period(const char *name)
{
	for (int i = 0; i < lengthof(period_names); i++)
	{
		if (strcmp(name, period_names[i]) == 0)
			return (LatencyPeriod) i;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unrecognized period \"%s\"", name),
			 errhint("Periods are \"lifetime\", \"current\" and \"previous\".")));
	return PERIOD_LIFETIME; /* keep compiler quiet */
}

/*
 * latency_percentile(queryid, fraction) returns float8: the latency in
 * milliseconds that this fraction of a query's executions in the current
 * database did not exceed, since the statistics began, over all users whose
 * queries the caller may see.  Null if there was no such execution.
 */
Datum
dbperf_latency_percentile_of_query(PG_FUNCTION_ARGS)
{
	uint64		   queryid = (uint64) PG_GETARG_INT64(0);
	double		   fraction = PG_GETARG_FLOAT8(1);
	LatencySummary sum = {0};

	dbperf_require_shmem();
	check_fraction(fraction);

	for (int n = 0; n < dbperf_latency_count(); n++)
	{
		LatencySummary one;

		CHECK_FOR_INTERRUPTS();
		if (dbperf_latency_read(n, PERIOD_LIFETIME, &one) && !one.other &&
			one.key.queryid == queryid && one.key.dbid == MyDatabaseId &&
			dbperf_may_see_role(one.key.userid))
			dbperf_latency_merge(&sum, &one);
	}

	if (sum.calls == 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(dbperf_latency_percentile(&sum, fraction) / 1000000.0);
}

/*
 * workload_percentile(fraction, database_name, period) returns float8: the
 * same over all statements that clients sent to a database.  Nested statements
 * are left out, since their time is part of their caller's; so are evicted
 * queries, whose database is not known any more.
 */
Datum
dbperf_workload_percentile(PG_FUNCTION_ARGS)
{
	double		   fraction = PG_GETARG_FLOAT8(0);
	Oid			   database;
	LatencyPeriod  period;
	LatencySummary sum = {0};

	dbperf_require_shmem();
	check_fraction(fraction);
	database = get_database_oid(NameStr(*PG_GETARG_NAME(1)), false);
	period = parse_period(text_to_cstring(PG_GETARG_TEXT_PP(2)));

	for (int n = 0; n < dbperf_latency_count(); n++)
	{
		LatencySummary one;

		CHECK_FOR_INTERRUPTS();
		if (dbperf_latency_read(n, period, &one) && !one.other && one.key.dbid == database &&
			one.key.toplevel != 0)
			dbperf_latency_merge(&sum, &one);
	}

	if (sum.calls == 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(dbperf_latency_percentile(&sum, fraction) / 1000000.0);
}

/*
 * query_latency_reset(queryid, database_name) returns bigint: forgets the
 * latencies and samples of one query or of all (null), in one database or in
 * all (null).  Returns how many histograms were removed.
 */
Datum
dbperf_query_latency_reset(PG_FUNCTION_ARGS)
{
	bool   all_queries = PG_ARGISNULL(0);
	uint64 queryid = all_queries ? 0 : (uint64) PG_GETARG_INT64(0);
	Oid	   database = InvalidOid;

	dbperf_require_shmem();
	if (!PG_ARGISNULL(1))
		database = get_database_oid(NameStr(*PG_GETARG_NAME(1)), false);
	PG_RETURN_INT64(dbperf_latency_reset(queryid, all_queries, database));
}

/* Fills the schemas of the search_path that the sample ran under, as oid[]. */
static void
put_search_path(SqlRows *rows, const SampleHead *head)
{
	Datum path[SAMPLE_MAX_SEARCH_PATH];
	int	  n = Min(Max(head->npath, 0), SAMPLE_MAX_SEARCH_PATH);

	for (int i = 0; i < n; i++)
		path[i] = ObjectIdGetDatum(head->path[i]);
	dbperf_rows_value(
		rows, PointerGetDatum(construct_array(path, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT)));
}

/* Adds the row of one sample. */
static void
put_sample(SqlRows *rows, const SampleHead *head, const LatencyKey *key)
{
	const char *query = (const char *) head + sizeof(SampleHead);
	bool		visible = dbperf_may_see_role(key->userid);

	put_key(rows, key, visible);
	dbperf_rows_value(rows, TimestampTzGetDatum(head->taken_at));
	if (visible)
		dbperf_rows_value(
			rows, PointerGetDatum(dbperf_server_text(query, head->query_len, head->encoding)));
	else
		dbperf_rows_hidden_query(rows);
	dbperf_rows_value(rows, Int32GetDatum(head->query_full_len));
	dbperf_rows_parameters(rows, true, query + head->query_len, head->params_len,
						   visible ? head->nparams : -1, head->encoding);
	if (visible)
		put_search_path(rows, head);
	else
		dbperf_rows_null(rows);
	dbperf_rows_put(rows);
}

/*
 * query_samples() returns setof record: the first execution of every query
 * for which there was room.
 */
Datum
dbperf_query_samples(PG_FUNCTION_ARGS)
{
	SqlRows rows;

	dbperf_rows_begin(&rows, fcinfo, QUERY_SAMPLES_COLUMNS);
	for (int n = 0; n < dbperf_latency_count(); n++)
	{
		LatencyKey	key;
		SampleHead *head;

		CHECK_FOR_INTERRUPTS();
		head = dbperf_sample_read(n, &key);
		if (head != NULL)
			put_sample(&rows, head, &key);
	}
	dbperf_rows_end(&rows);
	return (Datum) 0;
}
