/*-------------------------------------------------------------------------
 *
 * report_html.c
 *		Writes texts into the page.
 *
 * The page is ASCII: whoever opens it need not know in which encoding the
 * database is.  Texts come from users, and some are valid in no encoding (under
 * SQL_ASCII): what is not a character becomes U+FFFD, and so do those that HTML
 * does not allow and those that change the direction in which a text is read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "core/core.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "report/report_page.h"

/* Of longer texts the page has the beginning. */
#define TEXT_LIMIT 32768
#define ATTRIBUTE_LIMIT 400

/* Longer ones are unfolded by who wants to read them. */
#define PREVIEW 160

#define REPLACEMENT 0xFFFD

/*
 * Writes HTML of ours as it is.
 */
void
dbperf_html_trusted(ReportPage *page, const char *html)
{
	appendStringInfoString(&page->html, html);
}

/*
 * Writes HTML of ours with numbers or names of ours in it.
 */
void
dbperf_html_printf(ReportPage *page, const char *format, ...)
{
	for (;;)
	{
		va_list args;
		int		needed;

		va_start(args, format);
		needed = appendStringInfoVA(&page->html, format, args);
		va_end(args);
		if (needed == 0)
			return;
		enlargeStringInfo(&page->html, needed);
	}
}

/* Whether a character would change the order of those that follow. */
static bool
changes_direction(pg_wchar c)
{
	return (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

/* Whether HTML allows a reference to this character, which is not ASCII. */
static bool
may_refer_to(pg_wchar c)
{
	if (c < 0xA0 || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
		return false;
	return !(c >= 0xFDD0 && c <= 0xFDEF) && (c & 0xFFFE) != 0xFFFE;
}

static void
put_reference(StringInfo out, pg_wchar c)
{
	if (!may_refer_to(c) || changes_direction(c))
		c = REPLACEMENT;
	appendStringInfo(out, "&#x%X;", (unsigned int) c);
}

/* The character at s in UTF-8; returns how many bytes it has. */
static int
utf8_char(const char *s, int len, pg_wchar *c)
{
	int bytes = pg_utf_mblen((const unsigned char *) s);

	*c = REPLACEMENT;
	if (bytes > len || !pg_utf8_islegal((const unsigned char *) s, bytes))
		return 1;
	*c = utf8_to_unicode((const unsigned char *) s);
	return bytes;
}

/* The same in another encoding, which proc converts to UTF-8. */
static int
other_char(const char *s, int len, int encoding, Oid proc, pg_wchar *c)
{
	char utf8[32 * MAX_CONVERSION_GROWTH];
	int	 bytes = pg_encoding_verifymbchar(encoding, s, len);
	int	 done = 0;

	*c = REPLACEMENT;
	if (bytes <= 0 || bytes > 8)
		return 1;
	if (OidIsValid(proc))
		done = pg_do_encoding_conversion_buf(proc, encoding, PG_UTF8,
											 (unsigned char *) unconstify(char *, s), bytes,
											 (unsigned char *) utf8, sizeof(utf8), true);
	if (done > 0)
		utf8_char(utf8, (int) strlen(utf8), c);
	return bytes;
}

/* Writes one byte of ASCII, for text as well as for attributes. */
static void
put_ascii(StringInfo out, char c)
{
	switch (c)
	{
		case '&':
			appendStringInfoString(out, "&amp;");
			break;
		case '<':
			appendStringInfoString(out, "&lt;");
			break;
		case '>':
			appendStringInfoString(out, "&gt;");
			break;
		case '"':
			appendStringInfoString(out, "&quot;");
			break;
		case '\'':
			appendStringInfoString(out, "&#39;");
			break;
		case '\n':
		case '\t':
			appendStringInfoChar(out, c);
			break;
		case 0x7F:
			appendStringInfoString(out, "&#x2421;");
			break;
		default:
			if (c >= ' ')
				appendStringInfoChar(out, c);
			else /* the picture of a control character */
				appendStringInfo(out, "&#x%X;", 0x2400 + (unsigned char) c);
	}
}

/*
 * Writes a text in the database's encoding as ASCII, fit for elements and for
 * attributes in quotes.  The ends of lines as Windows has them become ours.
 */
static void
put_escaped(StringInfo out, const char *s, int len)
{
	int	 encoding = GetDatabaseEncoding();
	Oid	 proc = InvalidOid;
	bool looked = false;

	while (len > 0)
	{
		pg_wchar c;
		int		 bytes = 1;

		if (!IS_HIGHBIT_SET(*s))
		{
			if (*s != '\r' || len < 2 || s[1] != '\n')
				put_ascii(out, *s);
		}
		else
		{
			if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII)
				bytes = utf8_char(s, len, &c);
			else
			{
				if (!looked)
					proc = FindDefaultConversionProc(encoding, PG_UTF8);
				looked = true;
				bytes = other_char(s, len, encoding, proc, &c);
			}
			put_reference(out, c);
		}
		s += bytes;
		len -= bytes;
	}
}

/* Writes at most limit bytes of a text.  Returns whether it was cut. */
static bool
put_clipped(StringInfo out, const char *text, int limit)
{
	int len = (int) strlen(text);
	int shown = dbperf_clip(text, len, limit, GetDatabaseEncoding());

	CHECK_FOR_INTERRUPTS();
	put_escaped(out, text, shown);
	return shown < len;
}

/* Says that a text was cut, if it was. */
static void
put_cut(ReportPage *page, const char *text, bool cut)
{
	if (!cut)
		return;
	dbperf_html_trusted(page, " <span class=\"cut\">&#8230; cut here: the text has ");
	dbperf_html_number(page, REPORT_NUMBER, (double) strlen(text));
	dbperf_html_trusted(page, " bytes</span>");
}

/*
 * Writes a text.
 */
void
dbperf_html_text(ReportPage *page, const char *text)
{
	put_cut(page, text, put_clipped(&page->html, text, TEXT_LIMIT));
}

/*
 * Writes the value of an attribute, without its quotes.
 */
void
dbperf_html_attribute(StringInfo out, const char *text)
{
	if (put_clipped(out, text, ATTRIBUTE_LIMIT))
		appendStringInfoString(out, "&#8230;");
}

/* Writes the beginning of a text in one line. */
static void
put_preview(ReportPage *page, const char *text)
{
	int	  len = dbperf_clip(text, (int) strlen(text), PREVIEW, GetDatabaseEncoding());
	char *line = pnstrdup(text, len);
	char *to = line;
	bool  space = false;

	for (const char *from = line; *from != '\0'; from++)
	{
		bool is_space = *from == ' ' || *from == '\n' || *from == '\t' || *from == '\r';

		if (!is_space)
			*to++ = *from;
		else if (!space)
			*to++ = ' ';
		space = is_space;
	}
	put_escaped(&page->html, line, (int) (to - line));
	pfree(line);
}

/*
 * Writes a statement or the like.  Of a long one the beginning is shown, and
 * all of it when it is unfolded.
 */
void
dbperf_html_code(ReportPage *page, const char *text)
{
	if (text[0] == '\0')
		return;
	if (strlen(text) <= PREVIEW && strchr(text, '\n') == NULL)
	{
		dbperf_html_trusted(page, "<code>");
		dbperf_html_text(page, text);
		dbperf_html_trusted(page, "</code>");
		return;
	}
	dbperf_html_trusted(page, "<details class=\"long\"><summary><code>");
	put_preview(page, text);
	dbperf_html_trusted(page, " &#8230;</code></summary>");
	dbperf_html_pre(page, text);
	dbperf_html_trusted(page, "</details>");
}

/*
 * Writes a text of several lines as it is.
 */
void
dbperf_html_pre(ReportPage *page, const char *text)
{
	/* HTML drops a newline right after the tag */
	dbperf_html_trusted(page, "<pre>\n");
	dbperf_html_text(page, text);
	dbperf_html_trusted(page, "</pre>");
}

/*
 * Writes a statement that the reader may want to run.  One that had to be cut
 * has no button: half of a statement is not to be copied.
 */
void
dbperf_html_ddl(ReportPage *page, const char *statement)
{
	bool cut;

	dbperf_html_trusted(page, "<div class=\"ddl\"><pre>\n");
	cut = put_clipped(&page->html, statement, TEXT_LIMIT);
	put_cut(page, statement, cut);
	dbperf_html_trusted(page, "</pre>");
	if (!cut)
		dbperf_html_trusted(page, "<button type=\"button\" class=\"copy\" hidden>Copy</button>");
	dbperf_html_trusted(page, "</div>");
}

/*
 * Writes why there is nothing to be seen.
 */
void
dbperf_html_note(ReportPage *page, const char *text)
{
	dbperf_html_trusted(page, "<p class=\"note\">");
	dbperf_html_text(page, text);
	dbperf_html_trusted(page, "</p>\n");
}

/*
 * Writes a heading within a section; it names the tables below it.
 */
void
dbperf_html_heading(ReportPage *page, const char *text)
{
	snprintf(page->label, sizeof(page->label), "h%d", ++page->num_ids);
	dbperf_html_printf(page, "<h3 id=\"%s\">", page->label);
	dbperf_html_text(page, text);
	dbperf_html_trusted(page, "</h3>\n");
}

/*
 * Writes a verdict: a word with a sign and a colour that fit it.
 */
void
dbperf_html_verdict(ReportPage *page, const char *word)
{
	static const char *const classes[][2] = {
		{"met", "good"},	 {"ok", "good"},		{"good", "good"}, {"missed", "bad"},
		{"critical", "bad"}, {"failed", "bad"},		{"worse", "bad"}, {"warning", "warn"},
		{"better", "good"},	 {"unreachable", "bad"}};
	const char *class = "info";

	for (int i = 0; i < (int) lengthof(classes); i++)
	{
		if (pg_strcasecmp(word, classes[i][0]) == 0)
			class = classes[i][1];
	}
	dbperf_html_printf(page, "<span class=\"verdict %s\">", class);
	dbperf_html_text(page, word);
	dbperf_html_trusted(page, "</span>");
}
