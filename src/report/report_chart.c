/*-------------------------------------------------------------------------
 *
 * report_chart.c
 *		Gets the data of charts into shape.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "report/report_chart.h"
#include "report/report_page.h"
#include "utils/timestamp.h"

/* So many series are looked at; those who make more are told how many. */
#define MAX_COLLECTED 100

/* The series of one answer. */
typedef struct Collected
{
	int			 num_series;
	int			 left_out;
	ChartSeries *series[MAX_COLLECTED];
} Collected;

static ChartSeries *
new_series(const char *name)
{
	ChartSeries *series = palloc(sizeof(ChartSeries));

	series->name = name;
	series->colour = 0;
	series->before = false;
	series->sum = 0;
	for (int i = 0; i < CHART_STEPS; i++)
		series->y[i] = NAN;
	return series;
}

/* The step that a time is in, or -1 if it is not in the period. */
static int
step_of(const ReportPeriod *period, TimestampTz at)
{
	double length = (double) period->until - (double) period->since;
	int	   step;

	if (at < period->since || at > period->until)
		return -1;
	step = (int) (((double) at - (double) period->since) / length * CHART_STEPS);
	return Min(step, CHART_STEPS - 1);
}

/* Gives a series a value. */
static void
add_value(ChartData *data, ChartSeries *series, int step, TimestampTz at, double value)
{
	if (step < 0 || isnan(value) || isinf(value))
		return;
	if (isnan(series->y[step]))
		series->sum += fabs(value);
	series->y[step] = value;
	data->at[step] = Max(data->at[step], at);
}

/* ---- which series are shown ---- */

static int
compare_sums(const void *a, const void *b)
{
	const ChartSeries *one = *(ChartSeries *const *) a;
	const ChartSeries *other = *(ChartSeries *const *) b;

	if (one->sum != other->sum)
		return one->sum > other->sum ? -1 : 1;
	return strcmp(one->name, other->name);
}

/* The sum that so many series reach at least. */
static double
least_sum(const Collected *all, int keep)
{
	ChartSeries *sorted[MAX_COLLECTED];

	memcpy(sorted, all->series, all->num_series * sizeof(ChartSeries *));
	qsort(sorted, all->num_series, sizeof(ChartSeries *), compare_sums);
	return sorted[keep - 1]->sum;
}

/* Adds the values of one series to another. */
static void
add_series(ChartSeries *to, const ChartSeries *from)
{
	for (int i = 0; i < CHART_STEPS; i++)
	{
		if (isnan(from->y[i]))
			continue;
		to->y[i] = isnan(to->y[i]) ? from->y[i] : to->y[i] + from->y[i];
	}
	to->sum += from->sum;
}

/*
 * Forgets the series that were 0 all the time, unless all were.
 */
static void
drop_zeros(Collected *all)
{
	int kept = 0;

	for (int i = 0; i < all->num_series; i++)
	{
		if (all->series[i]->sum > 0)
			all->series[kept++] = all->series[i];
	}
	if (kept > 0)
		all->num_series = kept;
}

/*
 * Puts series into the chart: the greatest if there are too many.  What is left
 * over is one more area of a stack, but cannot be a line.
 */
static void
choose_series(ChartData *data, Collected *all)
{
	bool		 stacked = data->chart->kind == REPORT_STACKED;
	bool		 many = all->num_series > CHART_SERIES;
	int			 keep = many ? CHART_SERIES - stacked : all->num_series;
	double		 least = many ? least_sum(all, keep) : 0;
	ChartSeries *rest = NULL;
	int			 kept = 0;

	data->hidden += all->left_out;
	if (stacked) /* the greatest is best seen at the bottom */
		qsort(all->series, all->num_series, sizeof(ChartSeries *), compare_sums);
	for (int i = 0; i < all->num_series; i++)
	{
		ChartSeries *series = all->series[i];

		if (kept < keep && (!many || series->sum >= least))
		{
			series->colour = ++kept;
			data->series[data->num_series++] = series;
		}
		else if (stacked)
		{
			if (rest == NULL)
				rest = new_series("all others");
			add_series(rest, series);
		}
		else
			data->hidden++;
	}
	if (rest != NULL)
	{
		rest->colour = CHART_SERIES;
		data->series[data->num_series++] = rest;
	}
}

/*
 * Adds what was before: a line for each that is shown, or one for a whole stack.
 */
static void
add_before(ChartData *data, const Collected *all)
{
	ChartSeries *total = new_series("all, before");
	int			 shown = data->num_series;

	total->before = true;
	for (int i = 0; i < all->num_series; i++)
	{
		ChartSeries *series = all->series[i];

		if (data->chart->kind == REPORT_STACKED)
			add_series(total, series);
		for (int j = 0; j < shown && data->chart->kind != REPORT_STACKED; j++)
		{
			if (strcmp(data->series[j]->name, series->name) != 0)
				continue;
			series->before = true;
			series->colour = data->series[j]->colour;
			series->name = psprintf("%s, before", series->name);
			data->series[data->num_series++] = series;
			break;
		}
	}
	if (total->sum > 0)
		data->series[data->num_series++] = total;
}

/* ---- gaps ---- */

static int
compare_ints(const void *a, const void *b)
{
	return *(const int *) a - *(const int *) b;
}

/*
 * Finds from how many steps on it is a gap: clearly more than there are from one
 * value to the next as a rule.
 */
static void
find_gap(ChartData *data)
{
	int distances[CHART_STEPS];
	int n = 0;
	int last = -1;

	for (int i = 0; i < CHART_STEPS; i++)
	{
		if (data->at[i] == 0)
			continue;
		if (last >= 0)
			distances[n++] = i - last;
		last = i;
	}
	data->gap = 3;
	if (n == 0)
		return;
	qsort(distances, n, sizeof(int), compare_ints);
	data->gap = Max(3, (int) (distances[n / 2] * 2.5));
}

/* ---- what sections call ---- */

/* Collects series that a section has made. */
static void
collect_given(ChartData *data, const ReportSeries *series, int num_series, Collected *all)
{
	for (int i = 0; i < num_series; i++)
	{
		ChartSeries *one;

		if (all->num_series == MAX_COLLECTED)
		{
			all->left_out++;
			continue;
		}
		one = all->series[all->num_series++] = new_series(series[i].name);
		for (int j = 0; j < series[i].num_points; j++)
			add_value(data, one, step_of(&data->period, series[i].x[j]), series[i].x[j],
					  series[i].y[j]);
	}
}

/*
 * Draws a chart; see report_int.h.
 */
void
dbperf_report_chart(ReportPage *page, const ReportChart *chart, const ReportSeries *series,
					int num_series)
{
	ChartData *data = palloc0(sizeof(ChartData));
	Collected *all = palloc0(sizeof(Collected));

	data->chart = chart;
	data->period = page->period;
	collect_given(data, series, num_series, all);
	choose_series(data, all);
	find_gap(data);
	dbperf_chart_draw(page, data);
}

/* The series of this name; a new one if there is none, NULL if there are too many. */
static ChartSeries *
series_named(Collected *all, const char *name)
{
	for (int i = 0; i < all->num_series; i++)
	{
		if (strcmp(all->series[i]->name, name) == 0)
			return all->series[i];
	}
	if (all->num_series == MAX_COLLECTED)
		return NULL;
	return all->series[all->num_series++] = new_series(pstrdup(name));
}

/*
 * Collects the series of the answer to a statement.  Those of an earlier period
 * are shifted to this one.  Returns whether there is a value.
 */
static bool
collect_answer(ChartData *data, const ReportPeriod *period, uint64 rows, Collected *all)
{
	bool found = false;

	for (uint64 r = 0; r < rows; r++)
	{
		TimestampTz	 at = dbperf_report_time(r, 1);
		char		*name = dbperf_report_text(r, 2);
		double		 value = dbperf_report_float(r, 3);
		ChartSeries *series;

		if (r % 1000 == 0)
			CHECK_FOR_INTERRUPTS();
		if (TIMESTAMP_NOT_FINITE(at) || name == NULL)
			continue;
		series = series_named(all, name);
		pfree(name);
		if (series == NULL)
		{
			all->left_out = 1;
			continue;
		}
		if (at < period->since || at > period->until)
			continue;
		at = at - period->since + data->period.since;
		add_value(data, series, step_of(&data->period, at), at, value);
		found |= !isnan(value);
	}
	SPI_freetuptable(SPI_tuptable);
	return found;
}

/* Whether no series has another value than 0. */
static bool
all_zero(const ChartData *data)
{
	for (int s = 0; s < data->num_series; s++)
	{
		if (data->series[s]->sum > 0)
			return false;
	}
	return true;
}

/*
 * Draws a chart of what a statement returns, unless there is no value, or all are 0
 * and the caller does not want to see that.  Returns what it was.
 */
ChartOutcome
dbperf_chart_of_answer(ReportPage *page, const ReportChart *chart, const char *sql, bool draw_zeros)
{
	ChartData *data = palloc0(sizeof(ChartData));
	Collected *all = palloc0(sizeof(Collected));
	Collected *before = palloc0(sizeof(Collected));
	bool	   found;

	data->chart = chart;
	data->period = page->period;
	found = collect_answer(data, &page->period, dbperf_report_ask_period(page, sql), all);
	if (!page->compare) /* one that is 0 now may have been more before */
		drop_zeros(all);
	choose_series(data, all);
	if (page->compare && strstr(sql, "$3") == NULL)
	{
		uint64 rows = dbperf_report_ask_within(sql, &page->before, &page->before);

		found |= collect_answer(data, &page->before, rows, before);
		add_before(data, before);
	}
	if (!found)
		return CHART_EMPTY;
	if (!draw_zeros && all_zero(data))
		return CHART_ZERO;
	find_gap(data);
	dbperf_chart_draw(page, data);
	return CHART_DRAWN;
}

/*
 * The same with a note instead; see report_int.h.
 */
void
dbperf_report_chart_of(ReportPage *page, const ReportChart *chart, const char *sql,
					   const char *empty_note)
{
	if (dbperf_chart_of_answer(page, chart, sql, true) == CHART_DRAWN)
		return;
	dbperf_html_trusted(page, "<figure class=\"chart\"><figcaption>");
	dbperf_html_text(page, chart->title);
	dbperf_html_trusted(page, "</figcaption>");
	dbperf_html_note(page, empty_note);
	dbperf_html_trusted(page, "</figure>\n");
}
