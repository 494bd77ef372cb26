/*-------------------------------------------------------------------------
 *
 * redact.c
 *		Takes secrets out of query texts and plans before they are stored.
 *
 * Passwords never enter the ring, whatever the settings; with dbperf.redact
 * no literal does.  Both are done while a text is copied, by a scanner that
 * knows the server's lexical rules and just enough of the grammar.  Three
 * things shape it:
 *
 * - It runs inside PG_CATCH and at commit: it allocates nothing, raises
 *   nothing and takes time in proportion to the room for its result, not to
 *   the length of the text.
 *
 * - Texts of failed statements pass through it, so it cannot rely on their
 *   being correct.  One forgotten quote turns literals inside out: what looks
 *   like code then is what was meant to be hidden.  Signs of that (a literal
 *   without an end, or a secret one with a word glued to it) end the output
 *   where the first secret could be.
 *
 * - In doubt it hides: showing too little costs a reader a look at the code,
 *   showing too much cannot be undone.
 *
 * A text is scanned again if the scan learns only at the end what it should
 * have hidden from the start (a CREATE ROLE behind other statements).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "parser/parser.h"

#include "monitor/monitor_int.h"
#include "monitor/redact.h"

/*
 * Of a source, this many times the room for the result is read, and a bit.
 * More than fits is read because what follows can show that a literal must
 * not be shown, and because masking makes the text shorter.
 */
#define READ_FACTOR 2
#define READ_EXTRA 1024

/* Dollar-quoted bodies nested deeper than this are masked as a whole. */
#define MAX_LEVEL 8

/* Scans of one text; the last one assumes the worst. */
#define MAX_PASSES 4

/* How far the end of a web address is looked for. */
#define MAX_ADDRESS 1024

/* Words between PASSWORD and a literal that another word may follow. */
static const char *const particles[] = {"not", "is", "distinct", "similar", NULL};

/* ---- output ---- */

/* Writes n bytes, or as many whole characters of them as there is room for. */
void
dbperf_mask_put(Masker *m, const char *s, Size n)
{
	Size room = m->size - m->len;

	if (m->full || m->done)
		return;
	if (n > room)
	{
		n = pg_encoding_mbcliplen(m->encoding, s, (int) n, (int) room);
		m->full = true;
	}
	memcpy(m->dst + m->len, s, n);
	m->len += n;
}

/* Writes a string. */
static void
put_string(Masker *m, const char *s)
{
	dbperf_mask_put(m, s, strlen(s));
}

/* ---- places ---- */

/* Notes that a statement that may hold a password anywhere was found. */
static void
note_statement(Masker *m)
{
	m->found_level = Min(m->found_level, m->level);
	m->found_word = true;
}

/* Notes that the word at hand says PASSWORD: what follows is one. */
static void
note_password(Masker *m)
{
	m->found_word = true;
	m->at.pw = PW_WORD;
	m->at.pw_equals = false;
	m->at.pw_depth = m->at.depth;
	if (m->distrust)
	{
		put_string(m, " '?'");
		m->done = true;
	}
}

/* Notes that a literal, or what is hidden like one, was passed. */
static void
note_literal(Masker *m)
{
	if (m->at.pw != PW_NONE && m->at.depth <= m->at.pw_depth)
		m->at.pw = PW_DONE;
	m->at.in_statement = true;
	m->at.after_verb = false;
}

/* Would a bare word or number at this place be a password? */
static bool
is_bare_password(const Masker *m)
{
	if (!m->sql || (m->at.pw != PW_WORD && m->at.pw != PW_VALUE) || m->at.depth > m->at.pw_depth)
		return false;
	/* A dollar-quoted literal may be a connection string. */
	return m->secret_level != NO_SECRET || (m->level > 0 && m->at.pw_equals);
}

/* Was the end of something not found although the source ends here? */
static bool
is_unterminated(const Masker *m, bool terminated, const char *end)
{
	return !terminated && !(m->cut && end == m->limit);
}

/*
 * Does a character directly behind a masked literal say that its quotes are
 * not what they seem?  Behind a secret one, anything that usual SQL does not
 * have there does.
 */
static bool
is_suspicious(char c, bool secret)
{
	if (secret)
		return !is_space(c) && !is_one_of(c, ",;):|]");
	return is_ident_cont(c) || is_one_of(c, "\"\\");
}

/* ---- tokens: each function takes one and returns what follows it ---- */

/* Hides everything up to the next white space or quote. */
static const char *
mask_bare(Masker *m, const char *p, const char *end)
{
	put_string(m, "?");
	for (; p < end && !is_space(*p) && *p != '\'' && *p != '"'; p++)
	{
		if (*p == '\\' && p + 1 < end)
			p++;
		else if (*p == '(')
			m->at.depth++;
		else if (*p == ')')
			m->at.depth--;
	}
	note_literal(m);
	m->done |= m->distrust;
	return p;
}

/*
 * Returns where a literal ends whose quote is at p.  Parts on further lines
 * belong to it.
 */
static const char *
literal_end(const char *p, const char *end, bool escapes, bool continues, bool *terminated)
{
	*terminated = false;
	for (;;)
	{
		const char *next;

		for (p++; p < end && *p != '\''; p++)
		{
			if (escapes && *p == '\\' && p + 1 < end)
				p++;
		}
		if (p >= end)
			return end;
		p++;
		if (p < end && *p == '\'')
			continue;

		next = skip_space(p, end);
		if (!continues || next == end || *next != '\'' ||
			(memchr(p, '\n', next - p) == NULL && memchr(p, '\r', next - p) == NULL))
			break;
		p = next;
	}
	*terminated = true;
	return p;
}

/* A string literal; its prefix, if any, is written already. */
static const char *
mask_literal(Masker *m, const char *p, const char *end, bool escapes)
{
	bool		terminated;
	const char *next = literal_end(p, end, escapes, m->sql, &terminated);
	bool		odd = is_unterminated(m, terminated, end);
	int			flags = 0;
	bool		secret;

	if (m->sql)
		flags =
			dbperf_content_flags(p + 1, terminated ? next - 1 : next, '\'', escapes, terminated);
	secret = m->at.pw != PW_NONE || m->secret_level != NO_SECRET ||
			 (flags & (GIVES_PASSWORD | HAS_STATEMENT)) != 0;

	if (flags & HAS_STATEMENT)
		note_statement(m);
	m->found_word |= flags != 0 || m->at.pw != PW_NONE;
	m->found_odd |= odd;

	if (secret || odd || m->strings)
		put_string(m, "'?'");
	else
		dbperf_mask_put(m, p, next - p);

	if (m->sql && (secret || m->strings || flags != 0) &&
		(m->distrust || (next < end && is_suspicious(*next, secret || flags != 0))))
		m->done = true;
	note_literal(m);
	return next;
}

/* A quoted identifier: shown, unless it must be a literal with wrong quotes. */
static const char *
mask_identifier(Masker *m, const char *p, const char *end)
{
	const char *next = p + 1;
	bool		terminated;
	bool		odd;
	int			flags = 0;
	bool		direct;

	while (next < end && (*next != '"' || (next + 1 < end && next[1] == '"')))
		next += (*next == '"') ? 2 : 1;
	terminated = next < end;
	odd = is_unterminated(m, terminated, end);
	if (m->sql)
		flags = dbperf_content_flags(p + 1, next, '"', false, terminated);
	direct = m->at.pw == PW_WORD || is_bare_password(m);
	next = terminated ? next + 1 : end;

	m->found_word |= flags != 0;
	m->found_odd |= odd;
	if (odd || direct || (flags & GIVES_PASSWORD))
	{
		put_string(m, "\"?\"");
		if (m->distrust || (direct && next < end && is_suspicious(*next, true)))
			m->done = true;
		note_literal(m);
		return next;
	}

	dbperf_mask_put(m, p, next - p);
	note_literal(m);
	if (flags & SAYS_PASSWORD)
		note_password(m);
	else if (m->at.depth <= m->at.pw_depth)
		m->at.pw = PW_NONE;
	return next;
}

/* Returns where the delimiter of a dollar-quoted literal ends, or NULL. */
static const char *
dollar_tag(const char *p, const char *end)
{
	p++;
	if (p < end && is_ident_start(*p))
	{
		while (p < end && *p != '$' && is_ident_cont(*p))
			p++;
	}
	return p < end && *p == '$' ? p + 1 : NULL;
}

/* Returns the next occurrence of a delimiter, or NULL. */
static const char *
find_delimiter(const char *p, const char *end, const char *tag, Size taglen)
{
	while (end - p >= (ptrdiff_t) taglen)
	{
		p = memchr(p, '$', end - p - taglen + 1);
		if (p == NULL || memcmp(p, tag, taglen) == 0)
			return p;
		p++;
	}
	return NULL;
}

/*
 * A dollar-quoted literal whose delimiter ends at body.  It is hidden as a
 * whole where any literal would be; else it is shown, masked like a query of
 * its own, since it mostly is one.
 */
static const char *
mask_dollar(Masker *m, const char *p, const char *body, const char *end)
{
	Size		taglen = body - p;
	const char *close = find_delimiter(body, end, p, taglen);
	bool		odd = is_unterminated(m, close != NULL, end);
	const char *next = close != NULL ? close + taglen : end;
	MaskPlace	outer = m->at;

	m->found_odd |= odd;
	if (m->strings || odd || m->at.pw != PW_NONE || m->level >= m->secret_level ||
		m->level >= MAX_LEVEL)
	{
		put_string(m, "'?'");
		m->done |= m->distrust;
		note_literal(m);
		return next;
	}

	dbperf_mask_put(m, p, taglen);
	memset(&m->at, 0, sizeof(m->at));
	m->level++;
	p = body;
	while (p < (close != NULL ? close : end) && !m->done)
		p = dbperf_mask_token(m, p, close != NULL ? close : end);
	m->level--;
	m->at = outer;
	if (close != NULL)
		dbperf_mask_put(m, close, taglen);
	note_literal(m);
	return next;
}

/* A dollar sign: a dollar-quoted literal, a parameter or a stray character. */
static const char *
mask_dollar_sign(Masker *m, const char *p, const char *end)
{
	const char *next = dollar_tag(p, end);

	if (next != NULL)
		return mask_dollar(m, p, next, end);
	if (is_bare_password(m))
		return mask_bare(m, p, end);

	next = p + 1;
	while (next < end && is_digit(*next))
		next++;
	dbperf_mask_put(m, p, next - p);
	note_literal(m);
	return next;
}

/* A number, in any notation; what is glued to it is hidden with it. */
static const char *
mask_number(Masker *m, const char *p, const char *end)
{
	const char *next = p;
	bool		subplan = m->after_subplan;

	if (is_bare_password(m))
		return mask_bare(m, p, end);

	while (next < end)
	{
		char c = to_lower(*next);

		if (c == '.' && next + 1 < end && next[1] == '.')
			break;
		if (!is_digit(c) && !(c >= 'a' && c <= 'z') && c != '_' && c != '.')
			break;
		next++;
		if (c == 'e' && end - next >= 2 && (*next == '+' || *next == '-') && is_digit(next[1]))
			next++;
	}
	if ((m->numbers && !subplan) || m->secret_level != NO_SECRET || m->at.pw == PW_WORD ||
		m->at.pw == PW_VALUE)
		put_string(m, "?");
	else
		dbperf_mask_put(m, p, next - p);
	note_literal(m);
	m->after_subplan = false;
	return next;
}

/* May what follows a word behind PASSWORD still be the password? */
static bool
value_may_follow(const char *p, const char *end)
{
	p = skip_space(p, end);
	if (p == end)
		return true;
	if (is_ident_start(*p))
		return end - p >= 2 && (p[1] == '\'' || p[1] == '&');
	return !is_one_of(*p, "\",;)");
}

/* An unquoted word that is shown: what it means for what follows. */
static void
follow_word(Masker *m, const char *p, const char *next, const char *end)
{
	MaskPlace *at = &m->at;
	Size	   n = next - p;
	bool	   after_verb = at->after_verb;

	/* At a statement's start a mistyped CREATE or ALTER counts as well. */
	at->after_verb = dbperf_is_secret_verb(p, n) ||
					 (!at->in_statement && (to_lower(*p) == 'a' || to_lower(*p) == 'c'));
	at->in_statement = true;
	if (after_verb && dbperf_is_secret_object(p, n))
		note_statement(m);

	if (dbperf_content_flags(p, next, '\0', false, true) & SAYS_PASSWORD)
		note_password(m);
	else if (at->pw != PW_NONE && at->depth <= at->pw_depth)
	{
		if (at->pw != PW_DONE && (dbperf_word_in(p, n, particles) || value_may_follow(next, end)))
			at->pw = PW_VALUE;
		else
			at->pw = PW_NONE;
	}
}

/* An unquoted word, or the prefix of a literal with the literal. */
static const char *
mask_word(Masker *m, const char *p, const char *end)
{
	const char *next = p;
	char		first = to_lower(*p);

	while (next < end && is_ident_cont(*next))
		next++;
	if (next - p == 1 && next < end && *next == '\'' && is_one_of(first, "ebxn"))
	{
		dbperf_mask_put(m, p, 1);
		return mask_literal(m, next, end,
							first == 'e' || (first == 'n' && !standard_conforming_strings));
	}
	if (next - p == 1 && first == 'u' && end - next >= 2 && next[0] == '&' && next[1] == '\'')
	{
		dbperf_mask_put(m, p, 2);
		return mask_literal(m, next + 1, end, false);
	}

	if (!m->sql)
	{
		dbperf_mask_put(m, p, next - p);
		m->after_subplan =
			dbperf_word_is(p, next - p, "subplan") || dbperf_word_is(p, next - p, "initplan");
		return next;
	}
	if (is_bare_password(m) && !dbperf_word_is(p, next - p, "null"))
		return mask_bare(m, p, end);
	dbperf_mask_put(m, p, next - p);
	follow_word(m, p, next, end);
	return next;
}

/* Is this comment one of tags, which are shown? */
static bool
is_tags(const char *p, const char *end)
{
	char tags[4096];

	return dbperf_parse_tags(tags, sizeof(tags), p, end - p) > 0;
}

/* A comment up to the end of the line. */
static const char *
mask_line_comment(Masker *m, const char *p, const char *end)
{
	const char *next = p + 2;
	int			flags;

	while (next < end && *next != '\n' && *next != '\r')
		next++;
	flags = dbperf_content_flags(p + 2, next, '\0', false, !(m->cut && next == m->limit));
	m->found_word |= flags != 0;
	if (m->strings || (flags & (GIVES_PASSWORD | HAS_STATEMENT)))
		put_string(m, "--");
	else
		dbperf_mask_put(m, p, next - p);
	return next;
}

/* A comment between marks, which may hold further ones. */
static const char *
mask_block_comment(Masker *m, const char *p, const char *end)
{
	const char *next = p;
	int			depth = 0;
	int			flags;

	do
	{
		if (end - next >= 2 && next[0] == '/' && next[1] == '*')
		{
			depth++;
			next += 2;
		}
		else if (end - next >= 2 && next[0] == '*' && next[1] == '/')
		{
			depth--;
			next += 2;
		}
		else
			next++;
	} while (next < end && depth > 0);

	flags = dbperf_content_flags(p + 2, next, '\0', false, depth == 0);
	m->found_word |= flags != 0;
	if (is_unterminated(m, depth == 0, end) || (flags & (GIVES_PASSWORD | HAS_STATEMENT)) ||
		(m->strings && !is_tags(p, next)))
		put_string(m, "/* */");
	else
		dbperf_mask_put(m, p, next - p);
	return next;
}

/* Returns the end of an address with a password that "://" at p starts, or NULL. */
static const char *
secret_address_end(const char *p, const char *end)
{
	const char *next = p;

	if (end - p < 3 || p[1] != '/' || p[2] != '/')
		return NULL;
	if (end - p > MAX_ADDRESS)
		end = p + MAX_ADDRESS;
	while (next < end && !is_space(*next) && *next != '\'' && *next != '"')
		next++;
	return next == end || memchr(p, '@', next - p) != NULL ? next : NULL;
}

/* Punctuation: what it means for what follows. */
static void
follow_mark(MaskPlace *at, char c)
{
	at->after_verb = false;
	if (c == ';')
	{
		memset(at, 0, sizeof(*at));
		return;
	}
	at->in_statement |= c != '(';
	if (c == '(')
	{
		if (at->pw == PW_DONE && at->depth <= at->pw_depth)
			at->pw = PW_NONE;
		at->depth++;
	}
	else if (c == ')')
	{
		at->depth--;
		if (at->pw != PW_NONE && at->depth <= at->pw_depth)
			at->pw = at->depth < at->pw_depth ? PW_NONE : PW_DONE;
	}
	else if (at->pw != PW_NONE && at->depth <= at->pw_depth)
	{
		if (c == ',')
			at->pw = PW_NONE;
		else if (at->pw == PW_DONE)
			at->pw = c == '|' ? PW_VALUE : PW_NONE;
		else
			at->pw = PW_VALUE;
		at->pw_equals |= c == '=';
	}
}

/* White space, punctuation, operators and what cannot be SQL. */
static const char *
mask_mark(Masker *m, const char *p, const char *end)
{
	const char *next = p + 1;
	const char *address;

	if (is_space(*p))
	{
		dbperf_mask_put(m, p, 1);
		return next;
	}
	if (is_bare_password(m) && !is_one_of(*p, m->at.pw_equals ? "=>(" : "=:>,;()"))
		return mask_bare(m, p, end);
	if (*p == '.' && next < end && *next == '.')
		next++;

	dbperf_mask_put(m, p, next - p);
	follow_mark(&m->at, *p);
	m->after_subplan = false;
	if (m->sql && *p == ':' && (address = secret_address_end(p, end)) != NULL)
	{
		put_string(m, "//?");
		return address;
	}
	return next;
}

/*
 * Copies or masks the token at p, which must lie before end.  Returns what
 * follows it: more than p, at most end.
 */
const char *
dbperf_mask_token(Masker *m, const char *p, const char *end)
{
	char c = *p;
	char c2 = p + 1 < end ? p[1] : '\0';

	if (c == '\'')
		return mask_literal(m, p, end, !standard_conforming_strings);
	if (c == '"')
		return mask_identifier(m, p, end);
	if (c == '$')
		return mask_dollar_sign(m, p, end);
	if (is_ident_start(c))
		return mask_word(m, p, end);
	if (is_digit(c) || (c == '.' && is_digit(c2)))
		return mask_number(m, p, end);
	if (m->sql && c == '-' && c2 == '-')
		return mask_line_comment(m, p, end);
	if (m->sql && c == '/' && c2 == '*')
		return mask_block_comment(m, p, end);
	return mask_mark(m, p, end);
}

/*
 * Prepares a masker.  Of a source that is much longer than the room for the
 * result only the beginning is read, whole characters of it.
 */
void
dbperf_masker_init(Masker *m, char *dst, Size dstsize, const char *src, Size srclen, int encoding)
{
	memset(m, 0, sizeof(*m));
	m->dst = dst;
	m->size = dstsize;
	m->encoding = encoding;
	m->secret_level = NO_SECRET;
	if (srclen / READ_FACTOR > dstsize && srclen > dstsize * READ_FACTOR + READ_EXTRA)
	{
		srclen = pg_encoding_mbcliplen(encoding, src, (int) Min(srclen, INT_MAX),
									   (int) (dstsize * READ_FACTOR + READ_EXTRA));
		m->cut = true;
	}
	m->limit = src + srclen;
}

/*
 * Copies a query text to dst, without what must not be shown.
 *
 * Passwords are always masked: literals behind the word PASSWORD, literals
 * and comments that seem to hold a password (connection strings, dynamic
 * statements), and all literals of a text that creates or alters a role, a
 * server, a user mapping or a subscription.  With all, every string and
 * number is masked, and of the comments only sqlcommenter's tags are kept.
 * A string becomes '?' and a number ?.  If quotes do not match, the result
 * may end early.
 *
 * src must be in a server encoding; it need not be valid or end with a NUL.
 * Returns the number of bytes written, which end with a whole character if
 * src had to be cut; there is no NUL.  Never allocates or raises an error.
 */
Size
dbperf_mask_query(char *dst, Size dstsize, const char *src, Size srclen, bool all, int encoding)
{
	Masker m;

	if (dstsize == 0)
		return 0;
	dbperf_masker_init(&m, dst, dstsize, src, srclen, encoding);
	m.sql = true;
	m.strings = all;
	m.numbers = all;

	for (int pass = 1;; pass++)
	{
		const char *p = src;

		m.len = 0;
		m.full = false;
		m.done = false;
		m.found_level = m.secret_level;
		m.found_odd = false;
		m.found_word = false;
		memset(&m.at, 0, sizeof(m.at));
		while (p < m.limit && !m.done)
			p = dbperf_mask_token(&m, p, m.limit);

		m.found_odd = m.found_odd && (all || m.found_word);
		if (pass == MAX_PASSES || (m.found_level == m.secret_level && (m.distrust || !m.found_odd)))
			return m.len;
		m.secret_level = pass + 1 == MAX_PASSES ? 0 : m.found_level;
		m.distrust |= m.found_odd || pass + 1 == MAX_PASSES;
	}
}
