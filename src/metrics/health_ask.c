/*-------------------------------------------------------------------------
 *
 * health_ask.c
 *		How the parts of health ask the server, and how they answer.
 *
 * All statements run as the role that asks: it is told nothing that it could not
 * find out by itself.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "executor/spi.h"
#include "metrics/health.h"
#include "utils/guc.h"

/*
 * Runs a SELECT; the rows are there until the next one.  Returns their number.
 */
uint64
dbperf_health_ask(const char *sql, int nargs, const Oid *types, const Datum *values)
{
	if (SPI_execute_with_args(sql, nargs, unconstify(Oid *, types), unconstify(Datum *, values),
							  NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not ask: %s", sql);
	return SPI_processed;
}

/*
 * A value of the last statement as text, NULL for null.
 */
char *
dbperf_health_text(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

/*
 * A value of type float8; false if it is null.
 */
bool
dbperf_health_number(uint64 row, int column, double *value)
{
	bool  isnull;
	Datum datum = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);

	if (!isnull)
		*value = DatumGetFloat8(datum);
	return !isnull;
}

static char *
compose(HealthTarget *target, const char *format, va_list args) pg_attribute_printf(2, 0);

/* A text in the memory of the answer. */
static char *
compose(HealthTarget *target, const char *format, va_list args)
{
	MemoryContext  old = MemoryContextSwitchTo(target->context);
	StringInfoData text;

	initStringInfo(&text);
	for (;;)
	{
		va_list copy;
		int		needed;

		va_copy(copy, args);
		needed = appendStringInfoVA(&text, format, copy);
		va_end(copy);
		if (needed == 0)
			break;
		enlargeStringInfo(&text, needed);
	}
	MemoryContextSwitchTo(old);
	return text.data;
}

/* Puts a text behind what was said before. */
static void
append(HealthTarget *target, const char *between, const char *text)
{
	MemoryContext old = MemoryContextSwitchTo(target->context);

	if (target->evidence == NULL)
		target->evidence = pstrdup(text);
	else
		target->evidence = psprintf("%s%s%s", target->evidence, between, text);
	MemoryContextSwitchTo(old);
}

/*
 * Says what the verdict rests on; what was said before stands in front of it.
 */
void
dbperf_health_evidence(HealthTarget *target, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	append(target, "; ", compose(target, format, args));
	va_end(args);
}

/*
 * Goes on with what was said last.
 */
void
dbperf_health_add(HealthTarget *target, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	append(target, "", compose(target, format, args));
	va_end(args);
}

/*
 * Says what to run.
 */
void
dbperf_health_next(HealthTarget *target, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	target->next_step = compose(target, format, args);
	va_end(args);
}

/*
 * A ratio in percent.
 */
char *
dbperf_health_percent(double ratio)
{
	return psprintf("%.1f %%", 100 * ratio);
}

/*
 * A time in milliseconds, with three significant digits.
 */
char *
dbperf_health_ms(double ms)
{
	int decimals = ms > 0 ? 2 - (int) floor(log10(ms)) : 0;

	return psprintf("%.*f ms", Min(Max(decimals, 0), 6), ms);
}

/*
 * A time that has passed, in words.
 */
char *
dbperf_health_age(double seconds)
{
	if (seconds < 120)
		return psprintf("%.0f s", Max(seconds, 0));
	if (seconds < 7200)
		return psprintf("%.0f min", seconds / 60);
	return psprintf("%.0f h", seconds / 3600);
}

/*
 * Whether a setting of the library has this value.
 */
bool
dbperf_health_setting_is(const char *setting, const char *value)
{
	const char *is = GetConfigOption(setting, true, false);

	return is != NULL && strcmp(is, value) == 0;
}
