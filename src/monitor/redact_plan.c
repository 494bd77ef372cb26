/*-------------------------------------------------------------------------
 *
 * redact_plan.c
 *		Takes literals out of the text that EXPLAIN writes.
 *
 * A plan is a sequence of lines.  Those that name a node or count something
 * stay as they are; what the others say behind their label is an expression,
 * deparsed by the server, and goes through the scanner of redact.c.  A literal
 * may contain line ends, so the scanner and not this file finds a line's end.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "monitor/monitor_int.h"
#include "monitor/redact.h"

/*
 * Labels of EXPLAIN behind which no expression stands.  Everything else is
 * masked, so that a label of a later release or of another module is safe.
 */
static const char *const plain_labels[] = {"async capable",
										   "batches",
										   "buckets",
										   "buffers",
										   "cache mode",
										   "conflict arbiter indexes",
										   "conflict resolution",
										   "conflicting tuples",
										   "disabled",
										   "execution time",
										   "foreign file",
										   "foreign file size",
										   "full-sort groups",
										   "functions",
										   "heap blocks",
										   "heap fetches",
										   "hits",
										   "i/o timings",
										   "index searches",
										   "jit",
										   "memory",
										   "memory usage",
										   "options",
										   "planned partitions",
										   "planning",
										   "planning time",
										   "pre-sorted groups",
										   "query identifier",
										   "rows removed by conflict filter",
										   "rows removed by filter",
										   "rows removed by index recheck",
										   "rows removed by join filter",
										   "serialization",
										   "settings",
										   "single copy",
										   "sort method",
										   "storage",
										   "subplans removed",
										   "timing",
										   "tuples",
										   "tuples inserted",
										   "wal",
										   "workers launched",
										   "workers planned",
										   NULL};

typedef enum LineKind
{
	LINE_PLAIN,		/* copy it */
	LINE_NODE,		/* a node's name and numbers: mask strings */
	LINE_EXPRESSION /* mask strings and numbers */
} LineKind;

/* Does the line start with a word, written exactly like this? */
static bool
starts_with(const char *p, const char *end, const char *word)
{
	return (Size) (end - p) >= strlen(word) && memcmp(p, word, strlen(word)) == 0;
}

/* Tells what kind of line [p, end) of a plan is. */
static LineKind
line_kind(const char *p, const char *end, bool first)
{
	const char *label;

	p = skip_space(p, end);
	if (starts_with(p, end, "->"))
		return LINE_NODE;
	/* Names that EXPLAIN prints as they are, quotes included. */
	if (starts_with(p, end, "Trigger ") || starts_with(p, end, "SubPlan ") ||
		starts_with(p, end, "InitPlan ") || starts_with(p, end, "CTE ") ||
		starts_with(p, end, "Worker "))
		return LINE_PLAIN;

	label = p;
	while (p < end && (is_ident_start(*p) || *p == ' ' || *p == '-' || *p == '/'))
		p++;
	if (p < end && *p == ':')
		return dbperf_word_in(label, p - label, plain_labels) ? LINE_PLAIN : LINE_EXPRESSION;
	return first ? LINE_NODE : LINE_EXPRESSION;
}

/*
 * Copies the text output of EXPLAIN to dst, with string and number literals
 * of expressions masked; names, costs and counters stay.
 *
 * What dbperf_mask_query says of its arguments and its result holds here too.
 */
Size
dbperf_mask_plan(char *dst, Size dstsize, const char *src, Size srclen, int encoding)
{
	Masker		m;
	const char *p = src;

	if (dstsize == 0)
		return 0;
	dbperf_masker_init(&m, dst, dstsize, src, srclen, encoding);
	m.strings = true;

	while (p < m.limit && !m.done)
	{
		const char *eol = memchr(p, '\n', m.limit - p);
		LineKind	kind;

		eol = eol != NULL ? eol : m.limit;
		kind = line_kind(p, eol, p == src);
		if (kind == LINE_PLAIN)
		{
			dbperf_mask_put(&m, p, eol - p);
			p = eol;
		}
		m.numbers = kind == LINE_EXPRESSION;
		while (p < m.limit && *p != '\n' && !m.done)
			p = dbperf_mask_token(&m, p, m.limit);
		if (p < m.limit)
			dbperf_mask_put(&m, p++, 1);
	}
	return m.len;
}
