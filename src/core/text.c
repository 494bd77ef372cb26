/*-------------------------------------------------------------------------
 *
 * text.c
 *		Cutting and converting texts that came from any database.
 *
 * Records carry texts in the encoding of the database they came from, and
 * some of them (application_name, a query under SQL_ASCII) need not be valid
 * in any encoding.  A view that shows them must neither fail nor hand out
 * something that is invalid in the reader's database.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "core/core.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

/* What is converted in one call; the result is at most this often longer. */
#define CHUNK 2048
#define CONVERTED_CHUNK (CHUNK * MAX_CONVERSION_GROWTH + 1)

/*
 * Length in bytes, at most limit, at which s can be cut without cutting a
 * character in two.  s has len bytes and may hold anything: invalid text is
 * cut at limit or a few bytes before it.
 */
int
dbperf_clip(const char *s, int len, int limit, int encoding)
{
	if (len <= limit)
		return len;
	if (limit <= 0)
		return 0;
	if (!PG_VALID_BE_ENCODING(encoding))
		encoding = PG_SQL_ASCII;

	return Min(pg_encoding_mbcliplen(encoding, s, len, limit), limit);
}

/*
 * Put a question mark in place of every byte of s that is not part of a valid
 * character.  s may hold no NUL.
 */
static void
text_repair(char *s, int len, int encoding)
{
	while (len > 0)
	{
		int valid = pg_encoding_verifymbstr(encoding, s, len);

		if (valid >= len)
			return;
		s[valid] = '?';
		s += valid + 1;
		len -= valid + 1;
	}
}

/*
 * Append s, converted by proc, to out.  A character that is invalid, or that
 * the other encoding does not have, becomes a question mark.
 */
static void
text_convert(StringInfo out, const char *s, int len, int from, int to, Oid proc)
{
	char converted[CONVERTED_CHUNK];

	while (len > 0)
	{
		int part = Min(len, CHUNK);
		int done;
		int skip;

		CHECK_FOR_INTERRUPTS();

		/* noError: it stops at the first character that it cannot convert */
		done = pg_do_encoding_conversion_buf(proc, from, to,
											 (unsigned char *) unconstify(char *, s), part,
											 (unsigned char *) converted, sizeof(converted), true);
		if (done > 0)
		{
			appendStringInfoString(out, converted);
			s += done;
			len -= done;
			continue;
		}

		appendStringInfoChar(out, '?');
		skip = pg_encoding_verifymbchar(from, s, len);
		skip = skip > 0 ? skip : 1;
		s += skip;
		len -= skip;
	}
}

/*
 * The text s, of len bytes in the given encoding, in the encoding of the
 * current database; a NUL ends it.  What cannot be shown becomes question
 * marks; the result is always valid.  Raises no error about the text.  Must
 * run inside a transaction, since it looks up a conversion.
 */
text *
dbperf_server_text(const char *s, int len, int encoding)
{
	int			   to = GetDatabaseEncoding();
	StringInfoData out;
	text		  *result;

	len = (int) strnlen(s, Max(len, 0));
	initStringInfo(&out);

	/* SQL_ASCII on either side says nothing about the bytes: keep them */
	if (encoding == to || to == PG_SQL_ASCII || encoding == PG_SQL_ASCII ||
		!PG_VALID_BE_ENCODING(encoding))
		appendBinaryStringInfo(&out, s, len);
	else
	{
		Oid proc = FindDefaultConversionProc(encoding, to);

		if (OidIsValid(proc))
			text_convert(&out, s, len, encoding, to, proc);
		else
		{
			for (int i = 0; i < len; i++)
				appendStringInfoChar(&out, IS_HIGHBIT_SET(s[i]) ? '?' : s[i]);
		}
	}

	text_repair(out.data, out.len, to);
	result = cstring_to_text_with_len(out.data, out.len);
	pfree(out.data);
	return result;
}
