/*-------------------------------------------------------------------------
 *
 * redact_content.c
 *		Recognises words and texts that have to do with passwords.
 *
 * What stands in a literal, in a comment or between double quotes is no SQL
 * that could be scanned: it may be a connection string, a dynamic statement,
 * JSON or prose.  So it is only searched for words, generously: a literal
 * that is hidden without need does little harm.
 *
 * Nothing here allocates or raises an error.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "monitor/redact.h"

/* Is the word of length n this lower-case word, in any case? */
bool
dbperf_word_is(const char *p, Size n, const char *word)
{
	for (Size i = 0; i < n; i++)
	{
		if (word[i] == '\0' || to_lower(p[i]) != word[i])
			return false;
	}
	return word[n] == '\0';
}

/* Is the word one of a list that ends with NULL? */
bool
dbperf_word_in(const char *p, Size n, const char *const *words)
{
	for (; *words != NULL; words++)
	{
		if (dbperf_word_is(p, n, *words))
			return true;
	}
	return false;
}

/* Statements that start like this may hold a password anywhere. */
static const char *const secret_verbs[] = {"create", "alter", NULL};
static const char *const secret_objects[] = {"role",   "user",		   "group",
											 "server", "subscription", NULL};

/* Is this how a statement starts that may hold a password anywhere? */
bool
dbperf_is_secret_verb(const char *p, Size n)
{
	return dbperf_word_in(p, n, secret_verbs);
}

/* Is this what such a statement works on? */
bool
dbperf_is_secret_object(const char *p, Size n)
{
	return dbperf_word_in(p, n, secret_objects);
}

/* Do the last characters (tail, lower case) spell what a password is called? */
static bool
tail_says_password(uint64 tail)
{
#define TAIL(n) (tail & ((UINT64CONST(1) << (8 * (n))) - 1))
	return TAIL(5) == UINT64CONST(0x7061737377) ||	 /* passw */
		   TAIL(6) == UINT64CONST(0x706173737068) || /* passph */
		   TAIL(4) == UINT64CONST(0x70617377) ||	 /* pasw */
		   TAIL(3) == UINT64CONST(0x707764);		 /* pwd */
#undef TAIL
}

/*
 * Scans the content of something quoted or commented out for signs of a
 * password.  quote is what is doubled inside, or NUL; escapes says whether a
 * backslash escapes.  complete is false if the content is cut.
 */
int
dbperf_content_flags(const char *p, const char *end, char quote, bool escapes, bool complete)
{
	int			flags = 0;
	uint64		tail = 0;
	bool		address = false; /* behind "://" */
	bool		verb = false;
	const char *word = NULL;

	for (; p < end; p++)
	{
		char c = *p;

		if (escapes && c == '\\' && p + 1 < end && p[1] == quote)
			c = *++p;
		else if (quote != '\0' && c == quote && p + 1 < end && *++p != quote)
		{
			/* A literal continued on another line: its parts are one. */
			while (p < end && *p != quote)
				p++;
			continue;
		}

		tail = (tail << 8) | (unsigned char) to_lower(c);
		if (tail_says_password(tail))
			flags |= SAYS_PASSWORD;
		if ((flags & (SAYS_PASSWORD | HAS_STATEMENT)) && is_one_of(c, "=:'\"$\\"))
			flags |= GIVES_PASSWORD;

		if ((tail & 0xFFFFFF) == 0x3A2F2F) /* :// */
			address = true;
		else if (is_space(c))
			address = false;
		else if (address && c == '@')
			flags |= GIVES_PASSWORD;

		if (is_ident_cont(c))
		{
			if (word == NULL)
				word = p;
		}
		else
		{
			if (word != NULL)
			{
				if (verb && dbperf_is_secret_object(word, p - word))
					flags |= HAS_STATEMENT;
				verb = dbperf_is_secret_verb(word, p - word);
				word = NULL;
			}
			if (!is_space(c))
				verb = false;
		}
	}
	if (word != NULL && verb && dbperf_is_secret_object(word, end - word))
		flags |= HAS_STATEMENT;
	if (address && !complete)
		flags |= GIVES_PASSWORD;
	return flags;
}
