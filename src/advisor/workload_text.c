/*-------------------------------------------------------------------------
 *
 * workload_text.c
 *		Makes normalised texts of pg_stat_statements parse again.
 *
 * Normalisation puts $n where a constant was, also where the grammar wants a
 * constant and nothing else: behind the name of a type, as in interval $1, and
 * as the field of EXTRACT.  The first becomes a cast, the second a call of the
 * function that EXTRACT stands for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/workload_int.h"
#include "common/keywords.h"
#include "lib/stringinfo.h"

/* how many words the name of a type has at most: timestamp with time zone */
#define MAX_WORDS 4

/* A word of the text. */
typedef struct Word
{
	const char *start;
	int			len;
} Word;

/* What was copied and what comes next. */
typedef struct Repair
{
	const char	  *p;	   /* the rest of the text */
	const char	  *copied; /* everything before is in out */
	StringInfoData out;
	Word		   words[MAX_WORDS]; /* the last ones, with nothing between, newest first */
	int			   nwords;
} Repair;

static bool
is_word_start(char c)
{
	return isalpha((unsigned char) c) || c == '_' || IS_HIGHBIT_SET(c);
}

static bool
is_word_part(char c)
{
	return is_word_start(c) || isdigit((unsigned char) c) || c == '$';
}

static bool
word_is(const Word *word, const char *expected)
{
	return word->len == (int) strlen(expected) &&
		   pg_strncasecmp(word->start, expected, word->len) == 0;
}

/*
 * The end of a comment, string or quoted name that begins at p; p itself if
 * none does.
 */
static const char *
skip_quoted(const char *p)
{
	const char *end;

	if (p[0] == '-' && p[1] == '-')
		return p + strcspn(p, "\r\n");
	if (p[0] == '/' && p[1] == '*')
	{
		end = strstr(p + 2, "*/");
		return end != NULL ? end + 2 : p + strlen(p);
	}
	if (p[0] == '\'' || p[0] == '"')
	{
		end = strchr(p + 1, p[0]);
		return end != NULL ? end + 1 : p + strlen(p);
	}
	return p;
}

/*
 * Whether a single word can only be the name of a type if a parameter follows.
 */
static bool
is_type_word(const Word *word)
{
	static const char *const types[] = {
		"interval", "timestamp", "time",	"text",	   "json",	  "bit",   "boolean",
		"char",		"character", "decimal", "dec",	   "float",	  "int",   "integer",
		"bigint",	"smallint",	 "real",	"numeric", "varchar", "nchar",
	};
	char *name = pnstrdup(word->start, word->len);

	for (int i = 0; i < lengthof(types); i++)
		if (pg_strcasecmp(name, types[i]) == 0)
			return true;
	return ScanKeywordLookup(name, &ScanKeywords) < 0;
}

/*
 * How many of the last words are the name of a type; 0 if they are none.
 */
static int
type_words(const Repair *r)
{
	const Word *w = r->words;

	if (r->nwords == 0)
		return 0;
	if (word_is(&w[0], "zone"))
		return r->nwords >= 4 && word_is(&w[1], "time") &&
					   (word_is(&w[2], "with") || word_is(&w[2], "without")) &&
					   (word_is(&w[3], "timestamp") || word_is(&w[3], "time"))
				   ? 4
				   : 0;
	if (word_is(&w[0], "precision"))
		return r->nwords >= 2 && word_is(&w[1], "double") ? 2 : 0;
	return is_type_word(&w[0]) ? 1 : 0;
}

/*
 * A parameter of len bytes at r->p: writes a cast if a type is before it.
 */
static void
repair_param(Repair *r, int len)
{
	int			n = type_words(r);
	const char *type;
	const char *type_end;

	if (n == 0)
	{
		r->p += len;
		return;
	}
	type = r->words[n - 1].start;
	type_end = r->words[0].start + r->words[0].len;
	appendBinaryStringInfo(&r->out, r->copied, type - r->copied);
	appendBinaryStringInfo(&r->out, r->p, len);
	appendStringInfoString(&r->out, "::");
	appendBinaryStringInfo(&r->out, type, type_end - type);
	r->p += len;
	r->copied = r->p;
}

/*
 * EXTRACT at r->p: if a parameter is its field, writes the function call up to
 * and with the comma.  Returns whether it did.
 */
static bool
repair_extract(Repair *r)
{
	const char *p = r->p + strlen("extract");
	const char *param;
	int			len;

	p += strspn(p, " \t\r\n");
	if (*p++ != '(')
		return false;
	p += strspn(p, " \t\r\n");
	param = p;
	if (*p++ != '$')
		return false;
	len = 1 + (int) strspn(p, "0123456789");
	p = param + len;
	p += strspn(p, " \t\r\n");
	if (len == 1 || pg_strncasecmp(p, "from", 4) != 0 || is_word_part(p[4]))
		return false;

	appendBinaryStringInfo(&r->out, r->copied, r->p - r->copied);
	appendStringInfo(&r->out, "pg_catalog.extract(%.*s,", len, param);
	r->p = p + 4;
	r->copied = r->p;
	return true;
}

/*
 * A word at r->p.
 */
static void
repair_word(Repair *r)
{
	Word word = {.start = r->p, .len = 1};

	while (is_word_part(word.start[word.len]))
		word.len++;
	if (word_is(&word, "extract") && repair_extract(r))
	{
		r->nwords = 0;
		return;
	}
	memmove(&r->words[1], &r->words[0], (MAX_WORDS - 1) * sizeof(Word));
	r->words[0] = word;
	r->nwords = Min(r->nwords + 1, MAX_WORDS);
	r->p += word.len;
}

/*
 * Returns a normalised text in a form that parses, as far as it takes no more
 * than that.
 */
char *
dbperf_repair_normalized(const char *text)
{
	Repair r = {.p = text, .copied = text};

	initStringInfo(&r.out);
	while (*r.p != '\0')
	{
		const char *end = skip_quoted(r.p);

		if (is_word_start(*r.p))
			repair_word(&r);
		else if (*r.p == '$' && isdigit((unsigned char) r.p[1]))
		{
			repair_param(&r, 1 + (int) strspn(r.p + 1, "0123456789"));
			r.nwords = 0;
		}
		else
		{
			if (!isspace((unsigned char) *r.p))
				r.nwords = 0;
			r.p = end > r.p ? end : r.p + 1;
		}
	}
	appendStringInfoString(&r.out, r.copied);
	return r.out.data;
}
