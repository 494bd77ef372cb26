/*-------------------------------------------------------------------------
 *
 * tags.c
 *		Reads the tags that an application puts into a comment of a query.
 *
 * Frameworks and tracing libraries say where a query comes from in a comment
 * of the form that the open specification "sqlcommenter" describes, mostly at
 * its end:
 *
 *		SELECT ... ;  / * controller='orders',traceparent='00-4bf9...' * /
 *
 * Keys and values are URL-encoded, a quote inside either is written \'.
 *
 * Called where a statement has just failed, too: nothing here allocates or
 * raises an error, and of a long text only the two ends are looked at.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "monitor/monitor_int.h"

/* How much of the text's end, and of its beginning, is looked at. */
#define TAGS_WINDOW 4096

/* Where the decoded pairs go. */
typedef struct TagBuffer
{
	char *dst;
	Size  size;
	Size  len; /* of the complete pairs */
} TagBuffer;

/* The server's notion of white space in SQL. */
static inline bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

/* Returns the value of a hexadecimal digit, or -1. */
static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Returns the first character from p on that is not white space, or end. */
static const char *
skip_space(const char *p, const char *end)
{
	while (p < end && is_space(*p))
		p++;
	return p;
}

/*
 * Decodes [p, end) behind the pairs in the buffer, *used bytes behind them
 * already being taken, with a NUL at the end; adds to *used what it wrote.
 * Returns false if the text has a damaged escape, decodes to something that
 * is no text in this database's encoding, or does not fit.
 */
static bool
decode(TagBuffer *buf, Size *used, const char *p, const char *end)
{
	char *start = buf->dst + buf->len + *used;
	Size  room = buf->size - buf->len - *used;
	Size  n = 0;

	while (p < end)
	{
		char c = *p++;

		if (c == '\\' && p < end && *p == '\'')
			c = *p++;
		else if (c == '%')
		{
			int high = end - p >= 2 ? hex_value(p[0]) : -1;
			int low = end - p >= 2 ? hex_value(p[1]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = (char) (high * 16 + low);
			p += 2;
		}
		if (c == '\0' || n + 1 >= room)
			return false;
		start[n++] = c;
	}
	if (n >= room || pg_encoding_verifymbstr(GetDatabaseEncoding(), start, (int) n) != (int) n)
		return false;
	start[n] = '\0';
	*used += n + 1;
	return true;
}

/* Adds one pair to the buffer; one that cannot be decoded is dropped. */
static void
add_pair(TagBuffer *buf, const char *key, const char *keyend, const char *value,
		 const char *valueend)
{
	Size used = 0;

	if (decode(buf, &used, key, keyend) && decode(buf, &used, value, valueend))
		buf->len += used;
}

/* Returns the quote that ends a value starting at p, or NULL. */
static const char *
value_end(const char *p, const char *end)
{
	while (p < end && *p != '\'')
		p += (*p == '\\') ? 2 : 1;
	return p < end ? p : NULL;
}

/*
 * Parses what stands between the marks of a comment: one or more key='value',
 * separated by commas.  Returns false if it is anything else.
 */
static bool
parse_pairs(TagBuffer *buf, const char *p, const char *end)
{
	for (;;)
	{
		const char *key = skip_space(p, end);
		const char *keyend = key;
		const char *value;
		const char *valueend;

		while (keyend < end && *keyend != '=' && *keyend != ',' && !is_space(*keyend) &&
			   (*keyend != '\'' || (keyend > key && keyend[-1] == '\\')))
			keyend++;
		if (keyend == key || end - keyend < 3 || keyend[0] != '=' || keyend[1] != '\'')
			return false;
		value = keyend + 2;
		valueend = value_end(value, end);
		if (valueend == NULL)
			return false;
		add_pair(buf, key, keyend, value, valueend);

		p = skip_space(valueend + 1, end);
		if (p == end)
			return true;
		if (*p++ != ',')
			return false;
	}
}

/*
 * Finds the comment that ends the text, apart from white space and
 * semicolons.  A text that ends with the mark of a comment's end cannot end
 * inside a literal, so none has to be scanned.  Returns false if there is no
 * such comment; else *from and *to are what stands inside.
 */
static bool
last_comment(const char *src, Size srclen, const char **from, const char **to)
{
	const char *window = srclen > TAGS_WINDOW ? src + srclen - TAGS_WINDOW : src;
	const char *end = src + srclen;

	while (end > window && (is_space(end[-1]) || end[-1] == ';'))
		end--;
	if (end - window < 4 || end[-1] != '/' || end[-2] != '*')
		return false;
	*to = end - 2;

	/* Values have their slashes encoded: the nearest mark is the comment's. */
	for (const char *p = *to - 2; p >= window; p--)
	{
		if (p[0] == '/' && p[1] == '*')
		{
			*from = p + 2;
			return true;
		}
	}
	return false;
}

/* Like last_comment, for the comment that starts the text. */
static bool
first_comment(const char *src, Size srclen, const char **from, const char **to)
{
	const char *end = src + Min(srclen, TAGS_WINDOW);
	const char *p = skip_space(src, end);

	if (end - p < 4 || p[0] != '/' || p[1] != '*')
		return false;
	*from = p + 2;
	for (p = *from; end - p >= 2; p++)
	{
		if (p[0] == '*' && p[1] == '/')
		{
			*to = p;
			return true;
		}
	}
	return false;
}

/* Parses one comment into dst.  Returns the bytes written, 0 if it has another form. */
static Size
parse_comment(char *dst, Size dstsize, const char *from, const char *to)
{
	TagBuffer buf;

	buf.dst = dst;
	buf.size = dstsize;
	buf.len = 0;
	return parse_pairs(&buf, from, to) ? buf.len : 0;
}

/*
 * Writes the tags in the last, or else in the first, comment of a query to
 * dst as a sequence of key '\0' value '\0', decoded.  A pair that does not
 * fit as a whole, that has a damaged escape or that is not valid in the
 * database's encoding is left out.  Returns the bytes written, 0 if no
 * comment has the form of sqlcommenter.
 *
 * src must be in the database's encoding; it need not end with a NUL.  Never
 * allocates or raises an error, and reads at most 4 kB at each end of src.
 */
Size
dbperf_parse_tags(char *dst, Size dstsize, const char *src, Size srclen)
{
	const char *from;
	const char *to;
	Size		len = 0;

	if (last_comment(src, srclen, &from, &to))
		len = parse_comment(dst, dstsize, from, to);
	if (len == 0 && first_comment(src, srclen, &from, &to))
		len = parse_comment(dst, dstsize, from, to);
	return len;
}
