/*-------------------------------------------------------------------------
 *
 * coverage_sql.c
 *		dbperf.predicate_coverage(), which the views on coverage read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/coverage.h"
#include "core/core.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define COVERAGE_COLUMNS 8

PG_FUNCTION_INFO_V1(dbperf_predicate_coverage);

/* How a kind is called. */
static const char *
kind_name(UsageKind kind)
{
	switch (kind)
	{
		case USAGE_EQUAL:
			return "equal";
		case USAGE_RANGE:
			return "range";
		case USAGE_JOIN:
			return "join";
		case USAGE_ORDER:
			return "order";
		case USAGE_GROUP:
			return "group";
		case USAGE_NULLNESS:
			return "null or boolean";
		case USAGE_OPERATOR:
			return "operator";
	}
	return NULL;
}

/* The time limit in milliseconds, checked. */
static int64
time_limit_ms(const Interval *limit)
{
	double ms = (double) limit->time / 1000.0 + (double) limit->day * 86400000.0;

	if (limit->month != 0 || ms <= 0 || ms > INT_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("time_limit is out of range"),
				 errdetail("It must be positive, below 24 days, and have no months."),
				 errhint("Use an interval such as '10 s'.")));
	return Max((int64) ms, 1);
}

/* The statements, checked; NULL = the recorded workload. */
static ArrayType *
statements(FunctionCallInfo fcinfo)
{
	ArrayType *array;

	if (PG_ARGISNULL(0))
		return NULL;
	array = PG_GETARG_ARRAYTYPE_P(0);
	if (ARR_NDIM(array) != 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("queries must have one dimension and at least one element"),
						errhint("Leave it out, or pass null, for the recorded workload.")));
	return array;
}

/*
 * predicate_coverage() returns setof record: one row for each statement and
 * each thing that it asks of a table, if an index serves it or could.
 */
Datum
dbperf_predicate_coverage(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext  context;
	MemoryContext  caller;
	ArrayType	  *queries = statements(fcinfo);
	AdviseResult  *result;
	List		  *rows;
	int64		   limit;
	ListCell	  *lc;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("time_limit must not be null"),
				 errhint("Leave the argument out to use its default.")));
	limit = time_limit_ms(PG_GETARG_INTERVAL_P(1));
	(void) dbperf_srf_begin(fcinfo, COVERAGE_COLUMNS);

	context =
		AllocSetContextCreate(CurrentMemoryContext, "dbperf coverage", ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(context);
	rows = dbperf_coverage(queries, limit, &result);
	dbperf_advice_tell(result);
	foreach (lc, rows)
	{
		CoverageRow *row = lfirst(lc);
		Datum		 values[COVERAGE_COLUMNS];
		bool		 nulls[COVERAGE_COLUMNS] = {false};

		values[0] = Int64GetDatum(row->subject->id);
		values[1] = CStringGetTextDatum(dbperf_table_name(row->usage->relid));
		values[2] = CStringGetTextDatum(row->usage->text);
		values[3] = CStringGetTextDatum(kind_name(row->usage->kind));
		values[4] = Float8GetDatum(row->weight);
		values[5] = BoolGetDatum(row->suggestion == NULL);
		nulls[6] = row->suggestion == NULL;
		if (row->suggestion != NULL)
			values[6] = CStringGetTextDatum(row->suggestion->ddl);
		values[7] = BoolGetDatum(result->complete && bms_is_empty(result->left_out));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return (Datum) 0;
}
