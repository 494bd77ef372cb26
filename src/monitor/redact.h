/*-------------------------------------------------------------------------
 *
 * redact.h
 *		What the files that mask texts share: the scanner's state and the
 *		server's lexical rules.  Private to redact*.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_REDACT_H
#define DBPERF_REDACT_H

#include <limits.h>

#define NO_SECRET INT_MAX

/* What dbperf_content_flags finds. */
#define SAYS_PASSWORD 0x01	/* the word, or something like it */
#define GIVES_PASSWORD 0x02 /* and probably the password as well */
#define HAS_STATEMENT 0x04	/* CREATE or ALTER of a role or a server */

/* How close the scanner is to a password. */
typedef enum PasswordState
{
	PW_NONE,
	PW_WORD,  /* PASSWORD was the last token */
	PW_VALUE, /* behind PASSWORD and operators or a type */
	PW_DONE	  /* the password was the last token */
} PasswordState;

/* Where in a statement the scanner is; each dollar-quoted body has its own. */
typedef struct MaskPlace
{
	PasswordState pw;
	bool		  pw_equals;	/* an equals sign follows PASSWORD */
	int			  pw_depth;		/* depth at which PASSWORD was found */
	int			  depth;		/* open parentheses */
	bool		  in_statement; /* not at its first word */
	bool		  after_verb;	/* CREATE or ALTER was the last token */
} MaskPlace;

typedef struct Masker
{
	/* the result */
	char *dst;
	Size  size;
	Size  len;
	bool  full; /* nothing fits any more, but the scan goes on */
	bool  done; /* the rest must not be shown */

	/* the source */
	const char *limit; /* nothing is read from here on */
	bool		cut;   /* although the source goes on */
	int			encoding;

	/* what to mask */
	bool sql;		   /* a query; else a plan */
	bool strings;	   /* every string literal */
	bool numbers;	   /* every number */
	int	 secret_level; /* level of a role statement, or NO_SECRET */
	bool distrust;	   /* quotes do not match: stop at a secret */

	/* what this scan found */
	int	 found_level; /* like secret_level */
	bool found_odd;	  /* something quoted has no end */
	bool found_word;  /* the text speaks of a password */

	/* where it is */
	int		  level; /* dollar-quoted bodies around this place */
	MaskPlace at;
	bool	  after_subplan; /* in a plan: a subplan's number follows */
} Masker;

/* ---- characters, as the server's scanner defines them ---- */

static inline bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline char
to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static inline bool
is_ident_start(char c)
{
	return (to_lower(c) >= 'a' && to_lower(c) <= 'z') || c == '_' || IS_HIGHBIT_SET(c);
}

static inline bool
is_ident_cont(char c)
{
	return is_ident_start(c) || is_digit(c) || c == '$';
}

/* Is the character one of a set?  Unlike strchr, never true for a NUL. */
static inline bool
is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

/* Returns the first character from p on that is not white space, or end. */
static inline const char *
skip_space(const char *p, const char *end)
{
	while (p < end && is_space(*p))
		p++;
	return p;
}

/* redact_content.c */
extern bool dbperf_word_is(const char *p, Size n, const char *word);
extern bool dbperf_word_in(const char *p, Size n, const char *const *words);
extern bool dbperf_is_secret_verb(const char *p, Size n);
extern bool dbperf_is_secret_object(const char *p, Size n);
extern int
dbperf_content_flags(const char *p, const char *end, char quote, bool escapes, bool complete);

/* redact.c */
extern void
dbperf_masker_init(Masker *m, char *dst, Size dstsize, const char *src, Size srclen, int encoding);
extern void		   dbperf_mask_put(Masker *m, const char *s, Size n);
extern const char *dbperf_mask_token(Masker *m, const char *p, const char *end);

#endif /* DBPERF_REDACT_H */
