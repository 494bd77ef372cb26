/*-------------------------------------------------------------------------
 *
 * metric_text.c
 *		Metrics as text: labels that may hold anything, and numbers.
 *
 * Names of databases and roles are bytes that some database has written, in its
 * own encoding.  Who scrapes wants UTF-8, which the server makes of a text in this
 * database's encoding when it sends it; one character that it cannot convert
 * would fail the whole of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/namespace.h"
#include "common/shortest_dec.h"
#include "common/string.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "metrics/metric_set.h"
#include "miscadmin.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD in UTF-8 */

/* whole numbers below this are written without an exponent */
#define WHOLE_LIMIT 1e18

/* How texts are read and what becomes of characters that cannot be sent. */
typedef struct FitRule
{
	int			encoding; /* that the text has to be valid in */
	Oid			to_utf8;  /* InvalidOid = it is UTF-8 already */
	bool		ascii;	  /* nothing can be converted */
	const char *replacement;
} FitRule;

/*
 * A client of a SQL_ASCII database gets the bytes as they are, so they have to be
 * UTF-8.  Other encodings do not have U+FFFD.
 */
static void
find_rule(FitRule *rule)
{
	int encoding = GetDatabaseEncoding();

	memset(rule, 0, sizeof(*rule));
	rule->encoding = PG_UTF8;
	rule->replacement = REPLACEMENT;
	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII)
		return;
	rule->encoding = encoding;
	rule->to_utf8 = FindDefaultConversionProc(encoding, PG_UTF8);
	rule->ascii = !OidIsValid(rule->to_utf8);
	rule->replacement = "?";
}

/*
 * The bytes of the character that s, of len bytes, begins with; 0 if it is none,
 * or cannot be converted.
 */
static int
fit_character(const FitRule *rule, const char *s, int len)
{
	unsigned char utf8[MAX_CONVERSION_GROWTH * MAX_MULTIBYTE_CHAR_LEN + 1];
	int			  bytes;

	if (!IS_HIGHBIT_SET(*s))
		return 1;
	bytes = pg_encoding_verifymbchar(rule->encoding, s, len);
	if (bytes <= 0 || rule->ascii)
		return 0;
	if (OidIsValid(rule->to_utf8) &&
		pg_do_encoding_conversion_buf(rule->to_utf8, rule->encoding, PG_UTF8,
									  (unsigned char *) unconstify(char *, s), bytes, utf8,
									  sizeof(utf8), true) != bytes)
		return 0;
	return bytes;
}

/*
 * A copy of a text in which nothing stands in the way of showing it: whatever is
 * no character that can be sent as UTF-8 is U+FFFD, or a question mark where the
 * database's encoding does not have that.
 */
char *
dbperf_metric_fit_text(const char *text)
{
	int			   len = (int) strlen(text);
	StringInfoData out;
	FitRule		   rule;

	if (pg_is_ascii(text))
		return pstrdup(text);
	find_rule(&rule);
	initStringInfo(&out);
	while (len > 0)
	{
		int bytes = fit_character(&rule, text, len);

		if (bytes > 0)
			appendBinaryStringInfo(&out, text, bytes);
		else
			appendStringInfoString(&out, rule.replacement);
		bytes = Max(bytes, 1);
		text += bytes;
		len -= bytes;
	}
	return out.data;
}

/*
 * A number as Prometheus reads it: without an exponent if it is whole, so that
 * counters are exact.  Returns buffer, of METRIC_NUMBER_SIZE bytes, or a constant.
 */
const char *
dbperf_metric_number(double value, char *buffer)
{
	if (isnan(value))
		return "NaN";
	if (isinf(value))
		return value > 0 ? "+Inf" : "-Inf";
	if (value == rint(value) && fabs(value) < WHOLE_LIMIT)
		snprintf(buffer, METRIC_NUMBER_SIZE, INT64_FORMAT, (int64) value);
	else
		double_to_shortest_decimal_buf(value, buffer);
	return buffer;
}

/* The word for a type. */
const char *
dbperf_metric_type_name(DbperfMetricType type)
{
	switch (type)
	{
		case DBPERF_METRIC_COUNTER:
			return "counter";
		case DBPERF_METRIC_GAUGE:
			return "gauge";
		case DBPERF_METRIC_HISTOGRAM:
			return "histogram";
	}
	return "untyped";
}
