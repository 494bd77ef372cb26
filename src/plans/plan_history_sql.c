/*-------------------------------------------------------------------------
 *
 * plan_history_sql.c
 *		Shows plans over time: dbperf.plan_history, dbperf.plan_regressions, and
 *		the judgement behind them for any figures.
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
#include "plans/plan_history.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define HISTORY_COLUMNS 11
#define REGRESSION_COLUMNS 20
#define COMPARE_COLUMNS 5

PG_FUNCTION_INFO_V1(dbperf_plan_history);
PG_FUNCTION_INFO_V1(dbperf_plan_regressions_list);
PG_FUNCTION_INFO_V1(dbperf_compare_latencies);

/* A row that is filled from left to right. */
typedef struct HistoryRow
{
	ReturnSetInfo *rsinfo;
	int			   column;
	Datum		   values[REGRESSION_COLUMNS];
	bool		   nulls[REGRESSION_COLUMNS];
} HistoryRow;

static void
put_value(HistoryRow *row, Datum value)
{
	row->values[row->column] = value;
	row->nulls[row->column++] = false;
}

static void
put_null(HistoryRow *row)
{
	row->values[row->column] = (Datum) 0;
	row->nulls[row->column++] = true;
}

static void
put_id(HistoryRow *row, uint64 id, bool visible)
{
	if (id == 0 || !visible)
		put_null(row);
	else
		put_value(row, Int64GetDatum((int64) id));
}

static void
put_text(HistoryRow *row, const char *text, bool visible)
{
	if (text == NULL || !visible)
		put_null(row);
	else
		put_value(row, CStringGetTextDatum(text));
}

/* A column of type name; null if the object is gone. */
static void
put_name(HistoryRow *row, const char *name)
{
	if (name == NULL)
		put_null(row);
	else
		put_value(row, DirectFunctionCall1(namein, CStringGetDatum(name)));
}

/*
 * Fills the four columns that say whose plan it is.  The query id is shown to
 * those only who may see that user's queries.
 */
static void
put_key(HistoryRow *row, const LatencyKey *key, bool visible)
{
	row->column = 0;
	put_id(row, key->queryid, visible);
	put_name(row, get_database_name(key->dbid));
	put_name(row, OidIsValid(key->userid) ? GetUserNameFromId(key->userid, true) : NULL);
	put_value(row, BoolGetDatum(key->toplevel != 0));
}

static void
put_row(HistoryRow *row)
{
	Assert(row->column == row->rsinfo->setDesc->natts);
	tuplestore_putvalues(row->rsinfo->setResult, row->rsinfo->setDesc, row->values, row->nulls);
}

/* A latency in milliseconds. */
static void
put_mean(HistoryRow *row, const LatencySummary *summary)
{
	put_value(row, Float8GetDatum((double) summary->total_ns / (double) summary->calls / 1e6));
}

static void
put_percentile(HistoryRow *row, const LatencySummary *summary, double fraction)
{
	put_value(row, Float8GetDatum(dbperf_latency_percentile(summary, fraction) / 1e6));
}

/* MonitoredPlanVisit: one row for each plan. */
static void
history_visit(List *plans, void *arg)
{
	HistoryRow *row = arg;
	ListCell   *lc;

	foreach (lc, plans)
	{
		MonitoredPlan *plan = lfirst(lc);
		bool		   visible = dbperf_may_see_role(plan->key.userid);

		put_key(row, &plan->key, visible);
		put_id(row, plan->plan_id, visible);
		put_value(row, TimestampTzGetDatum(plan->first_seen));
		put_value(row, TimestampTzGetDatum(plan->last_seen));
		put_value(row, Int64GetDatum((int64) plan->lifetime.calls));
		put_mean(row, &plan->lifetime);
		put_percentile(row, &plan->lifetime, 0.95);
		put_text(row, plan->text, visible);
		put_row(row);
	}
}

/*
 * plan_history() returns setof record: one row for each plan of each query.
 */
Datum
dbperf_plan_history(PG_FUNCTION_ARGS)
{
	HistoryRow row;

	dbperf_require_shmem();
	row.rsinfo = dbperf_srf_begin(fcinfo, HISTORY_COLUMNS);
	dbperf_monitored_plans(history_visit, &row, true);
	return (Datum) 0;
}

/* Adds the row of one regression. */
static void
put_regression(HistoryRow *row, const PlanRegression *regression)
{
	const MonitoredPlan *old_plan = regression->old_plan;
	const MonitoredPlan *new_plan = regression->new_plan;
	bool				 visible = dbperf_may_see_role(new_plan->key.userid);
	const char			*difference = "The same plan is slower.";

	if (old_plan != new_plan)
		difference = dbperf_plan_difference(old_plan->text, new_plan->text);
	put_key(row, &new_plan->key, visible);
	put_id(row, old_plan->plan_id, visible);
	put_id(row, new_plan->plan_id, visible);
	put_value(row, TimestampTzGetDatum(regression->since));
	put_value(row, Int64GetDatum((int64) regression->before.calls));
	put_percentile(row, &regression->before, 0.5);
	put_mean(row, &regression->before);
	put_percentile(row, &regression->before, 0.95);
	put_value(row, Int64GetDatum((int64) regression->after.calls));
	put_percentile(row, &regression->after, 0.5);
	put_mean(row, &regression->after);
	put_percentile(row, &regression->after, 0.95);
	put_value(row, Float8GetDatum(regression->verdict.factor));
	put_value(row, Float8GetDatum(1.0 - regression->verdict.p));
	put_text(row, difference, visible);
	put_text(row, old_plan->text, visible);
	put_text(row, new_plan->text, visible);
	put_row(row);
}

/* PlanRegressionVisit: one row for each. */
static void
regression_visit(const PlanRegression *regression, void *arg)
{
	put_regression(arg, regression);
}

/*
 * plan_regressions() returns setof record: one row for each change of plans, or
 * plan, that has made a query slower.
 */
Datum
dbperf_plan_regressions_list(PG_FUNCTION_ARGS)
{
	HistoryRow row = {0};

	dbperf_require_shmem();
	row.rsinfo = dbperf_srf_begin(fcinfo, REGRESSION_COLUMNS);
	dbperf_visit_regressions(regression_visit, &row, true);
	return (Datum) 0;
}

/*
 * Counts an array of milliseconds in a histogram.  Raises an error if it has
 * something else.
 */
static void
count_array(ArrayType *array, LatencySummary *summary)
{
	Datum *values;
	bool  *nulls;
	int	   n;

	deconstruct_array(array, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &values,
					  &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		double ms = nulls[i] ? NAN : DatumGetFloat8(values[i]);

		if (isnan(ms) || ms < 0 || ms > 1e9)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("a latency must be between 0 and 1e9 milliseconds")));
		dbperf_latency_count_one(summary, (uint64) (ms * 1e6));
	}
}

/*
 * compare_latencies(before, after) returns record: whether the latencies of
 * after are those of something that became slower, judged as plan_regressions
 * does.
 */
Datum
dbperf_compare_latencies(PG_FUNCTION_ARGS)
{
	LatencySummary *before = palloc0(sizeof(LatencySummary));
	LatencySummary *after = palloc0(sizeof(LatencySummary));
	LatencyVerdict	verdict;
	TupleDesc		desc;
	Datum			values[COMPARE_COLUMNS];
	bool			nulls[COMPARE_COLUMNS] = {0};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	dbperf_check_columns(desc, COMPARE_COLUMNS);
	count_array(PG_GETARG_ARRAYTYPE_P(0), before);
	count_array(PG_GETARG_ARRAYTYPE_P(1), after);
	dbperf_latency_judge(before, after, LATENCY_JUDGE_CALLS, &verdict);

	values[0] = BoolGetDatum(verdict.slower);
	values[1] = Float8GetDatum(verdict.factor);
	values[2] = Float8GetDatum(verdict.superiority);
	values[3] = Float8GetDatum(verdict.z);
	values[4] = Float8GetDatum(verdict.p);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
