/*-------------------------------------------------------------------------
 *
 * section_charts.c
 *		Sections that are a few charts over time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "report/report_chart.h"
#include "utils/builtins.h"

/* The threshold of a target of this database; NaN if it has none. */
static double
target_of(const char *name)
{
	static const Oid type = TEXTOID;
	Datum			 value = CStringGetTextDatum(name);

	if (dbperf_report_ask("SELECT threshold FROM dbperf.targets WHERE name = $1", 1, &type,
						  &value) == 0)
		return NAN;
	return dbperf_report_float(0, 1);
}

/* Adds the title of a chart to a list of those that are not shown. */
static void
add_title(StringInfo titles, const char *title)
{
	appendStringInfo(titles, "%s%s", titles->len > 0 ? ", " : "", title);
}

/*
 * Draws those charts that have something to show, and names the others.  Writes
 * empty_note instead if none has, or one does not that is essential.
 */
void
dbperf_section_charts(ReportPage *page, const SectionChart *charts, int num_charts,
					  const char *empty_note)
{
	StringInfoData titles[3];
	int			   start = page->html.len;
	bool		   any = false;
	bool		   targets = true;

	for (int i = CHART_DRAWN; i <= CHART_ZERO; i++)
		initStringInfo(&titles[i]);
	for (int i = 0; i < num_charts && targets; i++)
		targets = charts[i].target == NULL || dbperf_report_may_read(page, "dbperf.targets");
	dbperf_html_trusted(page, "<div class=\"charts\">\n");
	for (int i = 0; i < num_charts; i++)
	{
		ReportChart	 chart = charts[i].chart;
		ChartOutcome outcome;

		chart.target = charts[i].target == NULL || !targets
						   ? NAN
						   : target_of(charts[i].target) * charts[i].target_factor;
		outcome = dbperf_chart_of_answer(page, &chart, charts[i].sql, false);
		add_title(&titles[outcome], chart.title);
		any |= outcome == CHART_DRAWN;
		if (charts[i].essential && outcome != CHART_DRAWN)
		{
			any = false;
			break;
		}
	}
	if (!any)
	{
		page->html.len = start;
		page->html.data[start] = '\0';
		dbperf_html_note(page, empty_note);
		return;
	}
	dbperf_html_trusted(page, "</div>\n");
	if (titles[CHART_ZERO].len > 0)
		dbperf_html_note(page, psprintf("Always 0 in this period: %s.", titles[CHART_ZERO].data));
	if (titles[CHART_EMPTY].len > 0)
		dbperf_html_note(page, psprintf("No data in this period: %s.", titles[CHART_EMPTY].data));
}
