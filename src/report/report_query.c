/*-------------------------------------------------------------------------
 *
 * report_query.c
 *		Asks the server what the page shows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "report/report_page.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#define PERIOD_ARGS 4

/*
 * Runs a statement that only reads, as the caller of report(); its rows are in
 * SPI_tuptable.  Returns how many there are.
 *
 * All statements of a page see the snapshot of the statement that called for
 * it.  Counters, which are in shared memory, are those of the moment.
 */
uint64
dbperf_report_ask(const char *sql, int nargs, const Oid *types, const Datum *values)
{
	int result = SPI_execute_with_args(sql, nargs, unconstify(Oid *, types),
									   unconstify(Datum *, values), NULL, true, 0);

	if (result != SPI_OK_SELECT)
		elog(ERROR, "statement of the report returned %s: %s", SPI_result_code_string(result), sql);
	return SPI_processed;
}

/*
 * The same with the ends of a period as $1 and $2, and of the one before as $3
 * and $4.
 */
uint64
dbperf_report_ask_within(const char *sql, const ReportPeriod *period, const ReportPeriod *before)
{
	static const Oid types[PERIOD_ARGS] = {TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
										   TIMESTAMPTZOID};
	Datum			 values[PERIOD_ARGS];

	values[0] = TimestampTzGetDatum(period->since);
	values[1] = TimestampTzGetDatum(period->until);
	values[2] = TimestampTzGetDatum(before->since);
	values[3] = TimestampTzGetDatum(before->until);
	return dbperf_report_ask(sql, PERIOD_ARGS, types, values);
}

/*
 * The same with the periods of the page.
 */
uint64
dbperf_report_ask_period(ReportPage *page, const char *sql)
{
	return dbperf_report_ask_within(sql, &page->period, &page->before);
}

/*
 * Whether the caller of report() may read a table or view; writes a note if not.
 */
bool
dbperf_report_may_read(ReportPage *page, const char *name)
{
	static const Oid type = TEXTOID;
	Datum			 value = CStringGetTextDatum(name);

	if (dbperf_report_ask("SELECT 1 WHERE pg_catalog.has_table_privilege($1, 'SELECT')", 1, &type,
						  &value) > 0)
		return true;
	dbperf_html_note(page, psprintf("Not shown: permission denied for %s.", name));
	return false;
}

/* An interval in seconds; months have 30 days. */
static double
interval_seconds(const Interval *interval)
{
	return (double) interval->time / USECS_PER_SEC + (double) interval->day * SECS_PER_DAY +
		   (double) interval->month * DAYS_PER_MONTH * SECS_PER_DAY;
}

/*
 * A column as a number, an interval in seconds.  Returns false if it is null or
 * is no number.
 */
bool
dbperf_report_number(HeapTuple row, TupleDesc desc, int column, double *number)
{
	bool  is_null;
	Datum value = SPI_getbinval(row, desc, column, &is_null);

	*number = NAN;
	if (is_null)
		return false;
	switch (SPI_gettypeid(desc, column))
	{
		case INT2OID:
			*number = DatumGetInt16(value);
			break;
		case INT4OID:
			*number = DatumGetInt32(value);
			break;
		case INT8OID:
			*number = (double) DatumGetInt64(value);
			break;
		case OIDOID:
			*number = DatumGetObjectId(value);
			break;
		case FLOAT4OID:
			*number = DatumGetFloat4(value);
			break;
		case FLOAT8OID:
			*number = DatumGetFloat8(value);
			break;
		case NUMERICOID:
			*number = DatumGetFloat8(DirectFunctionCall1(numeric_float8, value));
			break;
		case INTERVALOID:
			*number = interval_seconds(DatumGetIntervalP(value));
			break;
		case TIMESTAMPTZOID:
			if (!TIMESTAMP_NOT_FINITE(DatumGetTimestampTz(value)))
				*number = (double) DatumGetTimestampTz(value) / USECS_PER_SEC;
			break;
		default:
			return false;
	}
	return !isnan(*number);
}

/*
 * A column of the answer's row, from 1 on, as a number; NaN if it is null.
 */
double
dbperf_report_float(uint64 row, int column)
{
	double number;

	dbperf_report_number(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &number);
	return number;
}

/*
 * A column of the answer's row as text; NULL if it is null.
 */
char *
dbperf_report_text(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

/*
 * A column of type timestamptz of the answer's row; DT_NOBEGIN if it is null.
 */
TimestampTz
dbperf_report_time(uint64 row, int column)
{
	bool  is_null;
	Datum value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &is_null);

	if (is_null)
		return DT_NOBEGIN;
	if (SPI_gettypeid(SPI_tuptable->tupdesc, column) != TIMESTAMPTZOID)
		elog(ERROR, "column %d of the report's statement is no timestamptz", column);
	return DatumGetTimestampTz(value);
}
