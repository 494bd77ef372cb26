/*-------------------------------------------------------------------------
 *
 * report_chart_scale.c
 *		Round values and round times for the axes of charts.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "report/report_chart.h"
#include "report/report_page.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

/* ---- values ---- */

/* A unit of an axis: what its greatest value is at least. */
typedef struct ScaleUnit
{
	double		from;
	const char *unit;
} ScaleUnit;

static const ScaleUnit number_units[] = {{1, ""}, {1e4, "k"}, {1e6, "M"}, {1e9, "G"}, {0, NULL}};
static const ScaleUnit byte_units[] = {
	{1, " B"}, {1024.0, " kB"}, {1048576.0, " MB"}, {1073741824.0, " GB"}, {1099511627776.0, " TB"},
	{0, NULL}};
static const ScaleUnit time_units[] = {{1e-6, " &#181;s"}, {1e-3, " ms"}, {1, " s"}, {60, " min"},
									   {3600, " h"},	   {86400, " d"}, {0, NULL}};

/* Chooses the unit for values up to max, which is in the first unit's base. */
static void
choose_unit(ChartScale *scale, const ScaleUnit *units, double base, double max)
{
	const ScaleUnit *unit = units;

	/* two of a greater unit are better read than 120 of a lesser */
	while (unit[1].unit != NULL &&
		   max * base >= unit[1].from * (units == time_units && unit[1].from >= 60 ? 2 : 1))
		unit++;
	scale->unit = unit->unit;
	scale->divisor = unit->from / base;
	if (units == number_units && unit > units)
		scale->divisor = unit[0].from == 1e4 ? 1e3 : unit[0].from;
}

/* Chooses what the values are shown in.  Returns the least top of the scale. */
static double
choose_units(ChartScale *scale, ReportFormat unit, double max)
{
	if (!(max > 0))
		max = unit == REPORT_BYTES ? 1024 : 1;
	switch (unit)
	{
		case REPORT_MS:
			choose_unit(scale, time_units, 1e-3, max);
			break;
		case REPORT_SECONDS:
			choose_unit(scale, time_units, 1, max);
			break;
		case REPORT_BYTES:
			choose_unit(scale, byte_units, 1, max);
			break;
		case REPORT_PERCENT:
			scale->unit = " %";
			scale->divisor = 0.01;
			if (max > 0.5 && max < 1)
				max = 1;
			break;
		default:
			choose_unit(scale, number_units, 1, max);
	}
	return max;
}

/* The least round number that is not less. */
static double
round_up(double value)
{
	static const double round[] = {1, 2, 2.5, 5, 10};
	double				power = pow(10, floor(log10(value)));

	for (int i = 0; i < (int) lengthof(round); i++)
	{
		if (value <= round[i] * power * (1 + 1e-9))
			return round[i] * power;
	}
	return 10 * power;
}

/*
 * Works out a scale from 0 to at least max, with three to five round steps.
 */
void
dbperf_chart_scale(ChartScale *scale, ReportFormat unit, double max)
{
	double step;
	double shifted;

	memset(scale, 0, sizeof(ChartScale));
	max = choose_units(scale, unit, max);
	step = round_up(max / scale->divisor / 4);
	for (shifted = step; fabs(shifted - rint(shifted)) > shifted * 1e-6; shifted *= 10)
		scale->decimals++;
	step *= scale->divisor;
	scale->num_ticks = Min((int) ceil(max / step - 1e-9) + 1, CHART_VALUE_TICKS);
	for (int i = 0; i < scale->num_ticks; i++)
		scale->ticks[i] = i * step;
	scale->top = scale->ticks[scale->num_ticks - 1];
}

/* Adds the ticks of a logarithmic scale: each power of ten, or 1, 2 and 5 times it. */
static void
add_log_ticks(ChartScale *scale, int low, int high, bool many)
{
	static const double round[] = {1, 2, 5};

	for (int power = low; power <= high; power++)
	{
		for (int i = 0; i < (many ? 3 : 1) && scale->num_ticks < CHART_VALUE_TICKS; i++)
		{
			double tick = round[i] * pow(10, power);

			if (tick >= scale->bottom * (1 - 1e-9) && tick <= scale->top * (1 + 1e-9))
				scale->ticks[scale->num_ticks++] = tick;
		}
	}
}

/*
 * Works out a logarithmic scale for values greater than 0.
 */
void
dbperf_chart_log_scale(ChartScale *scale, ReportFormat unit, double min, double max)
{
	double decades;

	memset(scale, 0, sizeof(ChartScale));
	scale->format = unit;
	scale->top = round_up(Max(max, 1e-9));
	/* what is less than a millionth of the greatest is not worth its room */
	min = Max(Min(min, max / 10), scale->top / 1e6);
	scale->bottom = pow(10, floor(log10(min)));
	if (scale->bottom * 5 <= min)
		scale->bottom *= 5;
	else if (scale->bottom * 2 <= min)
		scale->bottom *= 2;
	decades = log10(scale->top / scale->bottom);
	add_log_ticks(scale, (int) floor(log10(scale->bottom)), (int) ceil(log10(scale->top)),
				  decades < 2.2);
}

/*
 * Where a value is, from 0 at the bottom to 1 at the top.
 */
double
dbperf_chart_place(const ChartScale *scale, double value)
{
	if (scale->bottom == 0)
		return Max(value, 0) / scale->top;
	if (value <= scale->bottom)
		return 0;
	return log(value / scale->bottom) / log(scale->top / scale->bottom);
}

/*
 * Writes the label of a tick.
 */
void
dbperf_chart_tick_label(StringInfo out, const ChartScale *scale, double value)
{
	if (scale->bottom > 0)
		dbperf_format_number(out, scale->format, value);
	else
		appendStringInfo(out, "%.*f%s", scale->decimals, value / scale->divisor,
						 value == 0 ? "" : scale->unit);
}

/* ---- times ---- */

/* Round distances of ticks, in seconds. */
static const int64 time_steps[] = {
	1,	  2,	5,	   10,	  15,	 30,	60,		120,	300,	 600,	  900,	   1800,
	3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 1209600, 2419200, 7862400, 15724800};

/* The days from a Monday to the day that timestamps are counted from. */
#define EPOCH_WEEKDAY 5

/* The distance of ticks for a period, in microseconds. */
static int64
time_step(const ReportPeriod *period)
{
	double length = (double) period->until - (double) period->since;
	int64  step;

	for (int i = 0; i < (int) lengthof(time_steps); i++)
	{
		if (length / ((double) time_steps[i] * USECS_PER_SEC) <= CHART_TICKS - 2)
			return time_steps[i] * USECS_PER_SEC;
	}
	step = time_steps[lengthof(time_steps) - 1] * USECS_PER_SEC;
	while (length / (double) step > CHART_TICKS - 2)
		step *= 2;
	return step;
}

/* The label of a local time; days have their date. */
static void
time_label(ChartTick *tick, Timestamp local, int64 step)
{
	struct pg_tm tm;
	fsec_t		 fsec;

	tick->label[0] = '\0';
	if (timestamp2tm(local, NULL, &tm, &fsec, NULL, NULL) != 0)
		return;
	if (step > 100 * USECS_PER_DAY)
		snprintf(tick->label, sizeof(tick->label), "%s %d", months[tm.tm_mon - 1], tm.tm_year);
	else if (tm.tm_hour == 0 && tm.tm_min == 0 && tm.tm_sec == 0)
		snprintf(tick->label, sizeof(tick->label), "%d %s", tm.tm_mday, months[tm.tm_mon - 1]);
	else if (step < USECS_PER_MINUTE)
		snprintf(tick->label, sizeof(tick->label), "%02d:%02d:%02d", tm.tm_hour, tm.tm_min,
				 tm.tm_sec);
	else
		snprintf(tick->label, sizeof(tick->label), "%02d:%02d", tm.tm_hour, tm.tm_min);
}

/*
 * Finds ticks at round local times.  Returns how many, at most CHART_TICKS.
 */
int
dbperf_chart_time_ticks(const ReportPeriod *period, ChartTick *ticks)
{
	int64	  step = time_step(period);
	int64	  shift = step % (7 * USECS_PER_DAY) == 0 ? EPOCH_WEEKDAY * USECS_PER_DAY : 0;
	Timestamp local = DatumGetTimestamp(
		DirectFunctionCall1(timestamptz_timestamp, TimestampTzGetDatum(period->since)));
	int n = 0;

	local = (int64) floor((double) (local + shift) / (double) step) * step - shift;
	for (int i = 0; i < 2 * CHART_TICKS && n < CHART_TICKS; i++, local += step)
	{
		TimestampTz at = DatumGetTimestampTz(
			DirectFunctionCall1(timestamp_timestamptz, TimestampGetDatum(local)));

		if (at < period->since)
			continue;
		if (at > period->until)
			break;
		ticks[n].place = ((double) at - (double) period->since) /
						 ((double) period->until - (double) period->since);
		time_label(&ticks[n], local, step);
		n++;
	}
	return n;
}
