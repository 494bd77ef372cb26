/*-------------------------------------------------------------------------
 *
 * report_chart_draw.c
 *		Draws charts as SVG.
 *
 * A chart is as wide as there is room, with letters of the same size: places on
 * the time axis are percentages, and the lines are in an svg of their own, below
 * the other, that is stretched.  Above them are invisible columns, one for each step with data,
 * whose title says the values; the page's script shows them better.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "report/report_chart.h"
#include "report/report_page.h"
#include "utils/timestamp.h"

#define HEIGHT 150
#define WIDTH 1000

/* A target much higher than the data is told, not drawn: it would flatten them. */
#define TARGET_FACTOR 4.0

/* The middle of a step on the time axis, in the units of the lines. */
static double
x_of(int step)
{
	return (step + 0.5) * WIDTH / CHART_STEPS;
}

static double
y_of(const ChartScale *scale, double value)
{
	return HEIGHT * (1 - dbperf_chart_place(scale, value));
}

/* ---- the series' values ---- */

/* The greatest value of a series, or the last one; NaN if it has none. */
static double
greatest(const ChartSeries *series)
{
	double max = NAN;

	for (int i = 0; i < CHART_STEPS; i++)
	{
		if (!isnan(series->y[i]) && !(max >= series->y[i]))
			max = series->y[i];
	}
	return max;
}

static double
latest(const ChartSeries *series)
{
	for (int i = CHART_STEPS - 1; i >= 0; i--)
	{
		if (!isnan(series->y[i]))
			return series->y[i];
	}
	return NAN;
}

static double
mean(const ChartSeries *series)
{
	double sum = 0;
	int	   n = 0;

	for (int i = 0; i < CHART_STEPS; i++)
	{
		if (isnan(series->y[i]))
			continue;
		sum += series->y[i];
		n++;
	}
	return n > 0 ? sum / n : NAN;
}

/* Whether a series is an area on others. */
static bool
is_area(const ChartData *data, const ChartSeries *series)
{
	return data->chart->kind == REPORT_STACKED && !series->before;
}

/* The least value above 0 of lines. */
static double
least_of_all(const ChartData *data)
{
	double min = INFINITY;

	for (int s = 0; s < data->num_series; s++)
	{
		for (int i = 0; i < CHART_STEPS; i++)
		{
			if (data->series[s]->y[i] > 0)
				min = Min(min, data->series[s]->y[i]);
		}
	}
	return min;
}

/* The greatest height that is drawn. */
static double
greatest_of_all(const ChartData *data)
{
	double max = 0;

	for (int i = 0; i < CHART_STEPS; i++)
	{
		double stack = 0;

		for (int s = 0; s < data->num_series; s++)
		{
			double y = data->series[s]->y[i];

			if (isnan(y))
				continue;
			if (is_area(data, data->series[s]))
				stack += y;
			else
				max = Max(max, y);
		}
		max = Max(max, stack);
	}
	return max;
}

/* ---- axes ---- */

/* The lines of round values, in the svg of the lines. */
static void
draw_grid(ReportPage *page, const ChartScale *scale)
{
	dbperf_html_trusted(page, "<path class=\"grid\" d=\"");
	for (int i = 0; i < scale->num_ticks; i++)
		dbperf_html_printf(page, "M0 %.1fH%d", y_of(scale, scale->ticks[i]), WIDTH);
	dbperf_html_trusted(page, "\"/>\n");
}

static void
draw_value_axis(ReportPage *page, const ChartScale *scale)
{
	for (int i = 0; i < scale->num_ticks; i++)
	{
		dbperf_html_printf(page, "<text class=\"y\" x=\"-8\" y=\"%.1f\">",
						   y_of(scale, scale->ticks[i]) + 4);
		dbperf_chart_tick_label(&page->html, scale, scale->ticks[i]);
		dbperf_html_trusted(page, "</text>\n");
	}
	dbperf_html_printf(page, "<line class=\"axis\" x1=\"0\" x2=\"100%%\" y1=\"%d\" y2=\"%d\"/>\n",
					   HEIGHT, HEIGHT);
}

static void
draw_time_axis(ReportPage *page, const ChartData *data)
{
	ChartTick ticks[CHART_TICKS];
	int		  n = dbperf_chart_time_ticks(&data->period, ticks);

	for (int i = 0; i < n; i++)
	{
		double place = ticks[i].place * 100;

		dbperf_html_printf(page,
						   "<line class=\"axis\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"%d\" y2=\"%d\"/>"
						   "<text class=\"x%s\" x=\"%.2f%%\" y=\"%d\">%s</text>\n",
						   place, place, HEIGHT, HEIGHT + 4, i % 2 == 1 ? " odd" : "", place,
						   HEIGHT + 17, ticks[i].label);
	}
}

/* ---- lines and areas ---- */

/* Draws one line, interrupted where data are missing. */
static void
draw_line(ReportPage *page, const ChartData *data, const ChartScale *scale,
		  const ChartSeries *series)
{
	int last = -1;

	dbperf_html_printf(page, "<path class=\"line s%d%s\" d=\"", series->colour,
					   series->before ? " before" : "");
	for (int i = 0; i < CHART_STEPS; i++)
	{
		if (isnan(series->y[i]))
			continue;
		if (last >= 0 && i - last < data->gap)
			dbperf_html_printf(page, "L%.1f %.1f", x_of(i), y_of(scale, series->y[i]));
		else /* also a point that is alone can be seen */
			dbperf_html_printf(page, "M%.1f %.1fh.1", x_of(i), y_of(scale, series->y[i]));
		last = i;
	}
	dbperf_html_trusted(page, "\"/>\n");
}

/* Closes an area with its lower edge, from one step back to another. */
static void
close_area(ReportPage *page, const ChartData *data, const ChartScale *scale, const double *below,
		   int first, int last)
{
	for (int i = last; i >= first; i--)
	{
		if (data->at[i] != 0)
			dbperf_html_printf(page, "L%.1f %.1f", x_of(i), y_of(scale, below[i]));
	}
	dbperf_html_trusted(page, "Z");
}

/* Draws one area on what is below it, to which it is added. */
static void
draw_area(ReportPage *page, const ChartData *data, const ChartScale *scale,
		  const ChartSeries *series, double *below)
{
	int first = -1;
	int last = -1;

	dbperf_html_printf(page, "<path class=\"area s%d\" d=\"", series->colour);
	for (int i = 0; i < CHART_STEPS; i++)
	{
		double y = below[i] + (isnan(series->y[i]) ? 0 : series->y[i]);

		if (data->at[i] == 0)
			continue;
		if (last >= 0 && i - last >= data->gap)
		{
			close_area(page, data, scale, below, first, last);
			last = -1;
		}
		if (last < 0)
			first = i;
		dbperf_html_printf(page, "%c%.1f %.1f", last < 0 ? 'M' : 'L', x_of(i), y_of(scale, y));
		if (last < 0)
			dbperf_html_trusted(page, "h.1");
		last = i;
	}
	if (last >= 0)
		close_area(page, data, scale, below, first, last);
	dbperf_html_trusted(page, "\"/>\n");
	for (int i = 0; i < CHART_STEPS; i++)
		below[i] += isnan(series->y[i]) ? 0 : series->y[i];
}

static void
draw_series(ReportPage *page, const ChartData *data, const ChartScale *scale)
{
	double below[CHART_STEPS] = {0};

	dbperf_html_printf(page,
					   "<svg class=\"lines\" aria-hidden=\"true\" viewBox=\"0 0 %d %d\" "
					   "preserveAspectRatio=\"none\" height=\"%d\">\n",
					   WIDTH, HEIGHT, HEIGHT);
	draw_grid(page, scale);
	for (int s = 0; s < data->num_series; s++)
	{
		if (is_area(data, data->series[s]))
			draw_area(page, data, scale, data->series[s], below);
	}
	for (int s = data->num_series - 1; s >= 0; s--)
	{
		if (!is_area(data, data->series[s]))
			draw_line(page, data, scale, data->series[s]);
	}
	dbperf_html_trusted(page, "</svg>\n");
}

static void
draw_target(ReportPage *page, const ChartData *data, const ChartScale *scale)
{
	double target = data->chart->target;
	double y;

	if (isnan(target) || target > scale->top || target < scale->bottom)
		return;
	y = y_of(scale, target);
	dbperf_html_printf(page,
					   "<line class=\"target\" x1=\"0\" x2=\"100%%\" y1=\"%.1f\" y2=\"%.1f\"/>"
					   "<text class=\"target\" x=\"100%%\" y=\"%.1f\">target ",
					   y, y, y < 14 ? y + 12 : y - 4);
	dbperf_html_number(page, data->chart->unit, target);
	dbperf_html_trusted(page, "</text>\n");
}

/* ---- values in words ---- */

/* Draws the invisible columns whose titles say what the values are. */
static void
draw_columns(ReportPage *page, const ChartData *data)
{
	dbperf_html_trusted(page, "<g class=\"hits\">\n");
	for (int i = 0; i < CHART_STEPS; i++)
	{
		if (data->at[i] == 0)
			continue;
		dbperf_html_printf(page,
						   "<rect x=\"%.2f%%\" y=\"0\" width=\"%.2f%%\" height=\"%d\"><title>",
						   i * 100.0 / CHART_STEPS, 100.0 / CHART_STEPS, HEIGHT);
		dbperf_html_time(page, data->at[i]);
		for (int s = 0; s < data->num_series; s++)
		{
			dbperf_html_trusted(page, "\n");
			dbperf_html_attribute(&page->html, data->series[s]->name);
			dbperf_html_trusted(page, ": ");
			dbperf_html_number(page, data->chart->unit, data->series[s]->y[i]);
		}
		dbperf_html_trusted(page, "</title></rect>\n");
	}
	dbperf_html_trusted(page, "</g>\n");
}

/*
 * Writes which colour is what, and its last and greatest value: two periods are
 * compared by their means.
 */
static void
put_legend(ReportPage *page, const ChartData *data)
{
	dbperf_html_trusted(page, "<ul class=\"legend\">\n");
	for (int s = 0; s < data->num_series; s++)
	{
		const ChartSeries *series = data->series[s];

		dbperf_html_printf(page, "<li><i class=\"s%d%s\">&#160;</i><b>", series->colour,
						   series->before ? " before" : "");
		dbperf_html_attribute(&page->html, series->name);
		dbperf_html_printf(page, "</b> <span>%s ", page->compare ? "mean" : "last");
		dbperf_html_number(page, data->chart->unit, page->compare ? mean(series) : latest(series));
		dbperf_html_trusted(page, ", max ");
		dbperf_html_number(page, data->chart->unit, greatest(series));
		dbperf_html_trusted(page, "</span></li>\n");
	}
	if (data->hidden > 0)
		dbperf_html_printf(page, "<li><span>%d more not shown</span></li>\n", data->hidden);
	dbperf_html_trusted(page, "</ul>\n");
}

/* Writes the chart in words, for who does not see it. */
static void
put_label(ReportPage *page, const ChartData *data)
{
	dbperf_html_trusted(page, " aria-label=\"");
	dbperf_html_attribute(&page->html, data->chart->title);
	dbperf_html_trusted(page, ". ");
	if (data->chart->hint != NULL)
		dbperf_html_attribute(&page->html, data->chart->hint);
	for (int s = 0; s < data->num_series; s++)
	{
		dbperf_html_trusted(page, s == 0 ? " " : "; ");
		dbperf_html_attribute(&page->html, data->series[s]->name);
		dbperf_html_trusted(page, " last ");
		dbperf_html_number(page, data->chart->unit, latest(data->series[s]));
		dbperf_html_trusted(page, ", at most ");
		dbperf_html_number(page, data->chart->unit, greatest(data->series[s]));
	}
	dbperf_html_trusted(page, "\"");
}

/*
 * Draws a chart.
 */
void
dbperf_chart_draw(ReportPage *page, const ChartData *data)
{
	const ReportChart *chart = data->chart;
	double			   max = greatest_of_all(data);
	ChartScale		   scale;

	if (!isnan(chart->target) && chart->target <= max * TARGET_FACTOR)
		max = Max(max, chart->target);
	if (chart->kind == REPORT_LINES_LOG && max > 0)
		dbperf_chart_log_scale(&scale, chart->unit, least_of_all(data), max);
	else
		dbperf_chart_scale(&scale, chart->unit, max);

	dbperf_html_trusted(page, "<figure class=\"chart\"><figcaption>");
	dbperf_html_text(page, chart->title);
	if (!isnan(chart->target) && chart->target > scale.top)
	{
		dbperf_html_trusted(page, " <span>target ");
		dbperf_html_number(page, chart->unit, chart->target);
		dbperf_html_trusted(page, ", above the chart</span>");
	}
	dbperf_html_trusted(page, "</figcaption>\n");
	put_legend(page, data);
	dbperf_html_trusted(page, "<div class=\"plot\">");
	draw_series(page, data, &scale);
	dbperf_html_printf(page,
					   "<svg class=\"plot\" role=\"img\" tabindex=\"0\" width=\"100%%\" "
					   "height=\"%d\"",
					   HEIGHT + 22);
	put_label(page, data);
	dbperf_html_trusted(page, ">\n");
	draw_value_axis(page, &scale);
	draw_time_axis(page, data);
	draw_target(page, data, &scale);
	draw_columns(page, data);
	dbperf_html_trusted(page, "</svg></div></figure>\n");
}
