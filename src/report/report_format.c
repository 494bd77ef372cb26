/*-------------------------------------------------------------------------
 *
 * report_format.c
 *		Numbers and times as people read them.
 *
 * What is written is HTML in ASCII and needs no escaping.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "pgtime.h"
#include "report/report_page.h"
#include "utils/timestamp.h"

/* What is shown where there is no value. */
#define NOTHING "&#8211;"

/* From here on digits are no help to anybody. */
#define HUGE_NUMBER 1e15

/* A number with three significant digits, or without a fraction if it has none. */
static void
put_significant(StringInfo out, double value)
{
	double size = fabs(value);

	if (size >= HUGE_NUMBER)
		appendStringInfo(out, "%.3g", value);
	else if (size >= 99.95 || fabs(size - rint(size)) <= size * 1e-9)
		appendStringInfo(out, "%.0f", value);
	else if (size >= 9.995)
		appendStringInfo(out, "%.1f", value);
	else if (size >= 0.9995)
		appendStringInfo(out, "%.2f", value);
	else
		appendStringInfo(out, "%.3g", value);
}

/* 1234567 as 1,234,567; less than HUGE_NUMBER. */
static void
put_grouped(StringInfo out, double value)
{
	char digits[64];
	int	 len = snprintf(digits, sizeof(digits), "%.0f", fabs(value));

	if (value < 0)
		appendStringInfoString(out, "-");
	for (int i = 0; i < len; i++)
	{
		if (i > 0 && (len - i) % 3 == 0)
			appendStringInfoChar(out, ',');
		appendStringInfoChar(out, digits[i]);
	}
}

static void
put_plain(StringInfo out, double value)
{
	if (fabs(value) < HUGE_NUMBER && (fabs(value) >= 999.5 || value == rint(value)))
		put_grouped(out, value);
	else
		put_significant(out, value);
}

/* Milliseconds with the unit that fits. */
static void
put_duration(StringInfo out, double ms)
{
	static const struct
	{
		double		below; /* ms */
		double		divisor;
		const char *unit;
	} units[] = {{1, 0.001, "&#181;s"}, {1000, 1, "ms"},		 {120e3, 1000, "s"},
				 {7200e3, 60e3, "min"}, {172800e3, 3600e3, "h"}, {INFINITY, 86400e3, "d"}};
	double size = fabs(ms);
	int	   u = 0;

	if (ms == 0)
		u = 1;
	else if (size >= 3600e3 && size < 7200e3 && fmod(size, 3600e3) == 0)
		u = 4; /* an hour is an hour */
	else
	{
		/* what would be shown as 1000 us is 1 ms */
		while (size * 1.0005 >= units[u].below && u < (int) lengthof(units) - 1)
			u++;
	}
	if (size / units[u].divisor >= 1000)
		put_plain(out, ms / units[u].divisor);
	else
		put_significant(out, ms / units[u].divisor);
	appendStringInfo(out, " %s", units[u].unit);
}

static void
put_bytes(StringInfo out, double bytes)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
	int						 u = 0;

	while (fabs(bytes) >= 1023.5 && u < (int) lengthof(units) - 1)
	{
		bytes /= 1024;
		u++;
	}
	if (u == 0)
		bytes = rint(bytes);
	put_significant(out, bytes);
	appendStringInfo(out, " %s", units[u]);
}

/* A ratio; near 100 % the second decimal matters. */
static void
put_percent(StringInfo out, double ratio)
{
	double percent = ratio * 100;

	if (fabs(percent) >= HUGE_NUMBER)
		appendStringInfo(out, "%.3g %%", percent);
	else if (percent == rint(percent))
		appendStringInfo(out, "%.0f %%", percent);
	else
		appendStringInfo(out, percent > 99 && percent < 100 ? "%.2f %%" : "%.1f %%", percent);
}

/*
 * Writes a number; NaN is what is not known.
 */
void
dbperf_format_number(StringInfo out, ReportFormat format, double value)
{
	if (isnan(value))
	{
		appendStringInfoString(out, NOTHING);
		return;
	}
	if (isinf(value))
	{
		appendStringInfoString(out, value < 0 ? "-&#8734;" : "&#8734;");
		return;
	}
	switch (format)
	{
		case REPORT_MS:
			put_duration(out, value);
			break;
		case REPORT_SECONDS:
			put_duration(out, value * 1000);
			break;
		case REPORT_BYTES:
			put_bytes(out, value);
			break;
		case REPORT_PERCENT:
			put_percent(out, value);
			break;
		default:
			put_plain(out, value);
	}
}

/*
 * Writes a time in the session's time zone, to the second.
 */
void
dbperf_format_time(StringInfo out, TimestampTz time)
{
	struct pg_tm tm;
	fsec_t		 fsec;
	int			 zone;

	if (TIMESTAMP_NOT_FINITE(time))
		appendStringInfoString(out, TIMESTAMP_IS_NOBEGIN(time) ? "-&#8734;" : "&#8734;");
	else if (timestamp2tm(time, &zone, &tm, &fsec, NULL, NULL) != 0)
		appendStringInfoString(out, NOTHING);
	else
		appendStringInfo(out, "%04d-%02d-%02d %02d:%02d:%02d", tm.tm_year, tm.tm_mon, tm.tm_mday,
						 tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/*
 * Writes a number into the page.
 */
void
dbperf_html_number(ReportPage *page, ReportFormat format, double value)
{
	dbperf_format_number(&page->html, format, value);
}

/*
 * Writes a time into the page.
 */
void
dbperf_html_time(ReportPage *page, TimestampTz time)
{
	dbperf_format_time(&page->html, time);
}
