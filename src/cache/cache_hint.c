/*-------------------------------------------------------------------------
 *
 * cache_hint.c
 *		Finds the comment that asks for a statement to be cached.
 *
 * The comment is a block comment of nothing but "dbperf: cache", with spaces as
 * one likes.  The same words in a string, in a quoted name or in a longer
 * comment are none.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "cache/cache_int.h"
#include "parser/parser.h"
#include "parser/scansup.h"

#define HINT_WORD "dbperf:"
#define HINT_VALUE "cache"

/* The text is read up to end and not further; it need not end with a zero. */
typedef struct HintLexer
{
	const char *at;
	const char *end;
} HintLexer;

static inline bool
next_is(const HintLexer *lexer, char first, char second)
{
	return lexer->end - lexer->at >= 2 && lexer->at[0] == first && lexer->at[1] == second;
}

/* Whether a character may stand in a name after its first one. */
static inline bool
in_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
		   c == '$' || IS_HIGHBIT_SET(c);
}

static const char *
skip_space(const char *at, const char *end)
{
	while (at < end && scanner_isspace(*at))
		at++;
	return at;
}

/*
 * Whether a string goes on in another line: only white space with a line's end
 * in it, and then a quote.  If so, goes to that quote.
 */
static bool
continues(HintLexer *lexer, char quote)
{
	const char *at = skip_space(lexer->at, lexer->end);

	if (at >= lexer->end || *at != quote || at == lexer->at ||
		(memchr(lexer->at, '\n', at - lexer->at) == NULL &&
		 memchr(lexer->at, '\r', at - lexer->at) == NULL))
		return false;
	lexer->at = at;
	return true;
}

/*
 * Goes behind a quoted string or name, whose first quote is next.
 */
static void
skip_quoted(HintLexer *lexer, char quote, bool backslashes)
{
	lexer->at++;
	while (lexer->at < lexer->end)
	{
		char c = *lexer->at++;

		if (c == '\\' && backslashes && lexer->at < lexer->end)
			lexer->at++;
		else if (c == quote)
		{
			/* two of them stand for one */
			if ((lexer->at >= lexer->end || *lexer->at != quote) && !continues(lexer, quote))
				return;
			lexer->at++;
		}
	}
}

/*
 * Goes behind a string in dollar quotes, or behind a dollar sign that begins
 * none.
 */
static void
skip_dollar(HintLexer *lexer)
{
	const char *tag = lexer->at++;
	int			len;

	if (lexer->at < lexer->end && *lexer->at >= '0' && *lexer->at <= '9')
		return;
	while (lexer->at < lexer->end && in_name(*lexer->at) && *lexer->at != '$')
		lexer->at++;
	if (lexer->at >= lexer->end || *lexer->at != '$')
		return;
	lexer->at++;
	len = lexer->at - tag;
	while (lexer->end - lexer->at >= len)
	{
		if (*lexer->at == '$' && memcmp(lexer->at, tag, len) == 0)
		{
			lexer->at += len;
			return;
		}
		lexer->at++;
	}
	lexer->at = lexer->end;
}

static void
skip_line(HintLexer *lexer)
{
	while (lexer->at < lexer->end && *lexer->at != '\n' && *lexer->at != '\r')
		lexer->at++;
}

/* Goes behind a word if it is next. */
static bool
take_word(const char **at, const char *end, const char *word)
{
	Size len = strlen(word);

	if ((Size) (end - *at) < len || memcmp(*at, word, len) != 0)
		return false;
	*at += len;
	return true;
}

/* Whether this is all that a comment says. */
static bool
is_hint(const char *at, const char *end)
{
	at = skip_space(at, end);
	if (!take_word(&at, end, HINT_WORD))
		return false;
	at = skip_space(at, end);
	return take_word(&at, end, HINT_VALUE) && skip_space(at, end) == end;
}

/*
 * Goes behind a block comment, which may have others in it.  Returns whether it
 * is the hint.
 */
static bool
take_comment(HintLexer *lexer)
{
	const char *start = lexer->at + 2;
	int			depth = 1;

	lexer->at = start;
	while (lexer->at < lexer->end)
	{
		if (next_is(lexer, '/', '*'))
		{
			depth++;
			lexer->at += 2;
		}
		else if (next_is(lexer, '*', '/'))
		{
			lexer->at += 2;
			if (--depth == 0)
				return is_hint(start, lexer->at - 2);
		}
		else
			lexer->at++;
	}
	return false;
}

/*
 * Goes behind a name, a key word or a number, or behind the string that it is
 * the prefix of.
 */
static void
skip_name(HintLexer *lexer)
{
	const char *start = lexer->at;

	while (lexer->at < lexer->end && in_name(*lexer->at))
		lexer->at++;
	if (lexer->at - start == 1 && (*start == 'e' || *start == 'E') && lexer->at < lexer->end &&
		*lexer->at == '\'')
		skip_quoted(lexer, '\'', true);
}

/*
 * Whether the statement that starts at this place has the hint.  What stands
 * before it belongs to it as well, back to the end of the one before: from 18 on
 * a statement's place is that of its first word.
 */
static bool
lex_hint(HintLexer *lexer, const char *statement)
{
	bool hinted = false;

	while (lexer->at < lexer->end)
	{
		char c = *lexer->at;

		if (next_is(lexer, '/', '*'))
			hinted |= take_comment(lexer);
		else if (next_is(lexer, '-', '-'))
			skip_line(lexer);
		else if (c == '\'')
			skip_quoted(lexer, c, !standard_conforming_strings);
		else if (c == '"')
			skip_quoted(lexer, c, false);
		else if (c == '$')
			skip_dollar(lexer);
		else if (in_name(c))
			skip_name(lexer);
		else
		{
			if (c == ';' && lexer->at < statement)
				hinted = false;
			lexer->at++;
		}
	}
	return hinted;
}

/*
 * Whether the statement at this place (bytes; -1 = not known) and of this
 * length (0 = all the rest) in the source has the hint.
 */
bool
dbperf_cache_hinted(const char *source, int location, int length)
{
	HintLexer	lexer;
	const char *statement = source;
	const char *end;

	if (source == NULL || strstr(source, HINT_WORD) == NULL)
		return false;
	end = source + strlen(source);
	if (location > 0 && location <= end - source)
		statement += location;
	if (length > 0 && length < end - statement)
		end = statement + length;

	lexer.at = source;
	lexer.end = end;
	return lex_hint(&lexer, statement);
}
