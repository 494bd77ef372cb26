/*-------------------------------------------------------------------------
 *
 * report_int.h
 *		How the page is put together.
 *
 * A section asks the server by SQL and shows what it gets as tables, charts and
 * texts.  Nothing reaches the page but through the functions below, which
 * escape: the page is ASCII, other characters are numeric references.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_REPORT_INT_H
#define DBPERF_REPORT_INT_H

#include "core/compat.h"
#include "datatype/timestamp.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"

DBPERF_PRIVATE_BEGIN

/* A period of time; the report has one, the comparison two. */
typedef struct ReportPeriod
{
	TimestampTz since;
	TimestampTz until;
} ReportPeriod;

typedef struct ReportPage
{
	StringInfoData html;
	ReportPeriod   period;	  /* of the report; the later one (b) of a comparison */
	ReportPeriod   before;	  /* of a comparison: the one that it is compared with */
	bool		   compare;	  /* before is set */
	int			   num_ids;	  /* ids given to elements so far */
	char		   label[64]; /* id of the latest heading, which names tables below it */
} ReportPage;

/* How a column is shown, aligned and sorted.  SQL gives a value of any type. */
typedef enum ReportFormat
{
	REPORT_TEXT,
	REPORT_NUMBER,	/* 12,345 or 0.123: three significant digits if it is a fraction */
	REPORT_MS,		/* milliseconds, shown with a fitting unit */
	REPORT_SECONDS, /* the same of seconds */
	REPORT_BYTES,	/* shown as kB, MB, ... */
	REPORT_PERCENT, /* of a ratio 0..1 */
	REPORT_TIME,	/* timestamptz, shown in the session's time zone */
	REPORT_CODE,	/* monospaced; long ones are cut and can be unfolded */
	REPORT_DDL,		/* the same, with a button that copies it */
	REPORT_VERDICT, /* a word that is also a colour: met, missed, no data, critical, warning, info */
	REPORT_DETAILS	/* belongs to the row: unfolds below it, in a <pre> */
} ReportFormat;

typedef struct ReportColumn
{
	const char	*title; /* plain text */
	ReportFormat format;
	const char	*hint; /* what it means, its tooltip; may be NULL */
} ReportColumn;

/* A section of the page, in the order of the table in report_sections.c. */
typedef struct ReportSection
{
	const char *id;	   /* anchor */
	const char *title; /* in the page and its table of contents */
	const char *lead;  /* one sentence on how to read it; may be NULL */
	void (*show)(ReportPage *page);
	bool compare;	   /* in report_compare(), too: show() looks at page->compare */
	bool compare_only; /* not in report() */
} ReportSection;

/* report_html.c: escaping; texts are in the database's encoding, and cut if they are very long */
extern void dbperf_html_trusted(ReportPage *page, const char *html); /* of ours: as it is */
extern void dbperf_html_printf(ReportPage *page, const char *format, ...) pg_attribute_printf(2, 3);
extern void dbperf_html_text(ReportPage *page, const char *text);
extern void dbperf_html_code(ReportPage *page, const char *text);	  /* long ones unfold */
extern void dbperf_html_ddl(ReportPage *page, const char *statement); /* with a button to copy it */
extern void dbperf_html_note(ReportPage *page, const char *text);	  /* "no data", and why */
extern void dbperf_html_heading(ReportPage *page, const char *text);  /* within a section */
extern void dbperf_html_verdict(ReportPage *page, const char *word);

/* report_format.c: numbers and times as they are shown */
extern void dbperf_html_number(ReportPage *page, ReportFormat format, double value);
extern void dbperf_html_time(ReportPage *page, TimestampTz time);

/*
 * report_query.c: asks by SPI, read-only, as the caller of report(); the search
 * path is pg_catalog.  The answer is in SPI_tuptable until the next question.
 */
extern uint64 dbperf_report_ask(const char *sql, int nargs, const Oid *types, const Datum *values);

/* the same with $1 to $4 as dbperf_report_table() has them */
extern uint64 dbperf_report_ask_period(ReportPage *page, const char *sql);

/* whether the caller may read a table or view; if not, "Not shown: ..." is written */
extern bool dbperf_report_may_read(ReportPage *page, const char *name);

/* a column of the answer's row: NaN or NULL if it is null */
extern double dbperf_report_float(uint64 row, int column);
extern char	 *dbperf_report_text(uint64 row, int column);

/*
 * A table of what a statement returns: one column for each of columns, sortable.
 * $1 and $2 are the period's ends, $3 and $4 those of the period before if the
 * statement uses them.  Writes empty_note instead if there is no row.  Returns the
 * number of rows; shows 500 of them at most.
 */
extern uint64 dbperf_report_table(ReportPage *page, const char *sql, const ReportColumn *columns,
								  int num_columns, const char *empty_note);

/* report_chart.c */

/* One line, area or bar of a chart; y is NaN where there is no data. */
typedef struct ReportSeries
{
	const char	*name; /* plain text */
	int			 num_points;
	TimestampTz *x;
	double		*y;
} ReportSeries;

typedef enum ReportChartKind
{
	REPORT_LINES,
	REPORT_LINES_LOG, /* on a logarithmic scale, for what differs by orders of magnitude */
	REPORT_STACKED	  /* areas on each other, the greatest at the bottom */
} ReportChartKind;

typedef struct ReportChart
{
	const char	   *title;
	const char	   *hint; /* what it shows, for who does not see it */
	ReportFormat	unit; /* of y: NUMBER, MS, SECONDS, BYTES, PERCENT */
	ReportChartKind kind;
	double			target; /* a horizontal line, NaN = none */
} ReportChart;

extern void dbperf_report_chart(ReportPage *page, const ReportChart *chart,
								const ReportSeries *series, int num_series);

/*
 * The same of a statement that returns (at timestamptz, series text, value float8),
 * in the order of at; $1 to $4 as above.  Series are in the order of their first
 * point.  Writes empty_note instead if there is no value.  In a comparison a
 * statement without $3 is asked for the period before, too, and drawn below the
 * other: shifted, and with dashes.
 */
extern void dbperf_report_chart_of(ReportPage *page, const ReportChart *chart, const char *sql,
								   const char *empty_note);

/* report_sections.c */
extern const ReportSection dbperf_report_sections[];
extern const int		   dbperf_num_report_sections;

DBPERF_PRIVATE_END

#endif /* DBPERF_REPORT_INT_H */
