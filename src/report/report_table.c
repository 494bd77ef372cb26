/*-------------------------------------------------------------------------
 *
 * report_table.c
 *		Tables of what a statement returns.
 *
 * Cells of numbers and times carry their value for those who sort by it.  What
 * unfolds below a row is a row of its own; both are in one tbody, which is what
 * the page's script moves.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "report/report_page.h"
#include "utils/timestamp.h"

/* The statements have limits of their own; this is for those that forgot. */
#define MAX_ROWS 500

static bool
is_number(ReportFormat format)
{
	switch (format)
	{
		case REPORT_NUMBER:
		case REPORT_MS:
		case REPORT_SECONDS:
		case REPORT_BYTES:
		case REPORT_PERCENT:
			return true;
		default:
			return false;
	}
}

/* The class of a column's cells. */
static const char *
cell_class(ReportFormat format)
{
	if (is_number(format))
		return " class=\"n\"";
	switch (format)
	{
		case REPORT_TIME:
			return " class=\"t\"";
		case REPORT_CODE:
		case REPORT_DDL:
			return " class=\"c\"";
		default:
			return "";
	}
}

static void
put_head(ReportPage *page, const ReportColumn *columns, int num_columns)
{
	dbperf_html_trusted(page, "<thead><tr>");
	for (int i = 0; i < num_columns; i++)
	{
		if (columns[i].format == REPORT_DETAILS)
			continue;
		dbperf_html_printf(page, "<th scope=\"col\"%s", cell_class(columns[i].format));
		if (columns[i].hint != NULL)
		{
			dbperf_html_trusted(page, " title=\"");
			dbperf_html_attribute(&page->html, columns[i].hint);
			dbperf_html_trusted(page, "\"");
		}
		dbperf_html_trusted(page, ">");
		dbperf_html_text(page, columns[i].title);
		dbperf_html_trusted(page, "</th>");
	}
	dbperf_html_trusted(page, "</tr></thead>\n");
}

/* Writes a cell with the number that it is sorted by. */
static void
put_number(ReportPage *page, ReportFormat format, double number)
{
	dbperf_html_printf(page, "<td%s data-v=\"%.*g\">", cell_class(format),
					   format == REPORT_TIME ? 16 : 9, number);
	if (format == REPORT_TIME)
		dbperf_html_time(page, (TimestampTz) rint(number * USECS_PER_SEC));
	else
		dbperf_html_number(page, format, number);
	dbperf_html_trusted(page, "</td>");
}

static void
put_text_cell(ReportPage *page, ReportFormat format, const char *text)
{
	dbperf_html_printf(page, "<td%s>", cell_class(format));
	switch (format)
	{
		case REPORT_CODE:
			dbperf_html_code(page, text);
			break;
		case REPORT_DDL:
			dbperf_html_ddl(page, text);
			break;
		case REPORT_VERDICT:
			dbperf_html_verdict(page, text);
			break;
		default:
			dbperf_html_text(page, text);
	}
	dbperf_html_trusted(page, "</td>");
}

static void
put_cell(ReportPage *page, ReportFormat format, HeapTuple row, TupleDesc desc, int column)
{
	double number = NAN;
	char  *text;

	if ((is_number(format) || format == REPORT_TIME) &&
		dbperf_report_number(row, desc, column, &number) && !isinf(number))
	{
		put_number(page, format, number);
		return;
	}
	text = SPI_getvalue(row, desc, column);
	if (text != NULL)
	{
		put_text_cell(page, format, text);
		pfree(text);
	}
	else
		dbperf_html_printf(page, "<td%s><span class=\"null\">&#8211;</span></td>",
						   cell_class(format));
}

/* Writes what unfolds below a row, if there is something. */
static void
put_details(ReportPage *page, const ReportColumn *columns, int num_columns, int span, HeapTuple row,
			TupleDesc desc)
{
	bool open = false;

	for (int i = 0; i < num_columns; i++)
	{
		char *text;

		if (columns[i].format != REPORT_DETAILS)
			continue;
		text = SPI_getvalue(row, desc, i + 1);
		if (text == NULL || text[0] == '\0')
			continue;
		if (!open)
			dbperf_html_printf(page, "<tr class=\"more\"><td colspan=\"%d\">", span);
		open = true;
		dbperf_html_trusted(page, "<details><summary>");
		dbperf_html_text(page, columns[i].title);
		dbperf_html_trusted(page, "</summary>");
		dbperf_html_pre(page, text);
		dbperf_html_trusted(page, "</details>");
		pfree(text);
	}
	if (open)
		dbperf_html_trusted(page, "</td></tr>\n");
}

static void
put_rows(ReportPage *page, const ReportColumn *columns, int num_columns, uint64 rows)
{
	TupleDesc desc = SPI_tuptable->tupdesc;
	int		  span = 0;

	for (int i = 0; i < num_columns; i++)
		span += columns[i].format != REPORT_DETAILS;
	if (span == num_columns)
		dbperf_html_trusted(page, "<tbody>\n");
	for (uint64 r = 0; r < rows; r++)
	{
		HeapTuple row = SPI_tuptable->vals[r];

		CHECK_FOR_INTERRUPTS();
		dbperf_html_trusted(page, span < num_columns ? "<tbody><tr>" : "<tr>");
		for (int i = 0; i < num_columns; i++)
		{
			if (columns[i].format != REPORT_DETAILS)
				put_cell(page, columns[i].format, row, desc, i + 1);
		}
		dbperf_html_trusted(page, "</tr>\n");
		if (span < num_columns)
		{
			put_details(page, columns, num_columns, span, row, desc);
			dbperf_html_trusted(page, "</tbody>\n");
		}
	}
	if (span == num_columns)
		dbperf_html_trusted(page, "</tbody>\n");
}

/*
 * Writes a table of what a statement returns; see report_int.h.
 */
uint64
dbperf_report_table(ReportPage *page, const char *sql, const ReportColumn *columns, int num_columns,
					const char *empty_note)
{
	uint64 rows = dbperf_report_ask_period(page, sql);

	if (SPI_tuptable->tupdesc->natts != num_columns)
		elog(ERROR, "statement of the report returns %d columns instead of %d: %s",
			 SPI_tuptable->tupdesc->natts, num_columns, sql);
	if (rows == 0)
		dbperf_html_note(page, empty_note);
	else
	{
		dbperf_html_printf(page, "<div class=\"scroll\"><table aria-labelledby=\"%s\">\n",
						   page->label);
		put_head(page, columns, num_columns);
		put_rows(page, columns, num_columns, Min(rows, MAX_ROWS));
		dbperf_html_trusted(page, "</table></div>\n");
	}
	if (rows > MAX_ROWS)
		dbperf_html_note(page, psprintf("The first %d of " UINT64_FORMAT " rows.", MAX_ROWS, rows));
	SPI_freetuptable(SPI_tuptable);
	return rows;
}
