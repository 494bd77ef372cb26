/*-------------------------------------------------------------------------
 *
 * plan_lines.c
 *		Takes the text of a plan apart into lines.
 *
 * A line of EXPLAIN is not always one of the text: literals and quoted names
 * may have line breaks in them.  Both are printed with their quotes doubled, so
 * that a quote always changes between inside and outside.  But some names are
 * printed as they are, of triggers, of CTEs and in a few properties; there a
 * quote means nothing, and what follows them tells where they end.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "plans/plan_parse.h"

/* Names that are printed as they are cannot be longer, other words included. */
#define MAX_RAW_LENGTH 512

/* Properties in whose values quotes mean nothing. */
static const char *const raw_keys[] = {
	"Buffers",	   "Conflict Arbiter Indexes", "Foreign File",	 "Foreign Program", "I/O Timings",
	"Sort Method", "Workers Launched",		   "Workers Planned"};

/* Does [p, end) begin with this word? */
static bool
begins_with(const char *p, const char *end, const char *word)
{
	Size len = strlen(word);

	return (Size) (end - p) >= len && memcmp(p, word, len) == 0;
}

/* The end of the text's line that p is in. */
static const char *
line_end(const char *p, const char *end)
{
	const char *eol = memchr(p, '\n', end - p);

	return eol != NULL ? eol : end;
}

/*
 * The end of a line that begins at p and in which quotes count: the single ones
 * of literals only if literals says so.  *open gets whether one is not closed;
 * then all the rest belongs to the line.
 */
static const char *
quoted_end(const char *p, const char *end, bool literals, bool *open)
{
	char quote = '\0';

	for (; p < end; p++)
	{
		if (quote != '\0')
		{
			if (*p == quote)
				quote = '\0';
		}
		else if (*p == '\n')
			break;
		else if (*p == '"' || (literals && *p == '\''))
			quote = *p;
	}
	*open = quote != '\0';
	return p;
}

/*
 * The end of the name of a subplan, which has a node below it that is indented
 * by two more spaces; NULL if there is none, then it is no subplan.
 */
static const char *
subplan_end(const char *p, const char *end, int column)
{
	const char *eol = line_end(p, end);

	while (eol < end && eol - p < MAX_RAW_LENGTH)
	{
		const char *below = eol + 1;
		int			spaces = 0;

		while (below < end && *below == ' ')
		{
			below++;
			spaces++;
		}
		if (spaces == column + 2 && begins_with(below, end, "->  "))
			return eol;
		if (!begins_with(p, end, "CTE "))
			return NULL;
		eol = line_end(eol + 1, end);
	}
	return NULL;
}

/*
 * The end of a trigger's line: it ends with how often the trigger was called.
 */
static const char *
trigger_end(const char *p, const char *end)
{
	const char *first = line_end(p, end);
	const char *eol = first;

	for (;;)
	{
		const char *last = eol;

		while (last > p && isdigit((unsigned char) last[-1]))
			last--;
		if (last < eol && last - p >= 6 && memcmp(last - 6, "calls=", 6) == 0)
			return eol;
		if (eol == end || eol - p >= MAX_RAW_LENGTH)
			return first;
		eol = line_end(eol + 1, end);
	}
}

/* The length of a property's name at p, 0 if there is none. */
static int
key_length(const char *p, const char *end)
{
	const char *start = p;

	while (p < end && (isalnum((unsigned char) *p) || strchr(" -/_.()", *p) != NULL) && *p != '\0')
		p++;
	return p < end && *p == ':' ? (int) (p - start) : 0;
}

/* Does a line name one of several tables that a node changes? */
static bool
is_target(const char *p, const char *end)
{
	static const char *const words[] = {"Insert on ", "Update on ", "Delete on ", "Merge on "};

	if (begins_with(p, end, "Foreign "))
		p += strlen("Foreign ");
	for (int i = 0; i < (int) lengthof(words); i++)
	{
		if (begins_with(p, end, words[i]))
			return true;
	}
	return false;
}

/* Is this property's value printed without quotes? */
static bool
is_raw(const char *key, int len)
{
	if (len > 7 && memcmp(key, "Worker ", 7) == 0)
		return true;
	for (int i = 0; i < (int) lengthof(raw_keys); i++)
	{
		if (strlen(raw_keys[i]) == (size_t) len && memcmp(key, raw_keys[i], len) == 0)
			return true;
	}
	return false;
}

/*
 * Finds out what begins at line->text, and returns where it ends.  The first
 * line is the root, which has no arrow.
 */
static const char *
classify(PlanLine *line, const char *end, bool first)
{
	const char *p = line->text;
	const char *stop;

	line->open = false;
	line->kind = PLAN_LINE_OTHER;
	line->key_len = 0;
	if (p == end || *p == '\n')
	{
		line->kind = PLAN_LINE_EMPTY;
		return p;
	}
	if (first || begins_with(p, end, "->  "))
	{
		line->kind = PLAN_LINE_NODE;
		if (!first)
			line->text += 4;
		return quoted_end(line->text, end, false, &line->open);
	}
	if (begins_with(p, end, "CTE ") || begins_with(p, end, "InitPlan ") ||
		begins_with(p, end, "SubPlan "))
	{
		stop = subplan_end(p, end, line->column);
		if (stop != NULL)
		{
			line->kind = PLAN_LINE_SUBPLAN;
			return stop;
		}
	}
	if (line->column == 0 && (begins_with(p, end, "Trigger ")))
	{
		line->kind = PLAN_LINE_PROPERTY;
		line->key_len = (int) strlen("Trigger");
		return trigger_end(p, end);
	}
	if (is_target(p, end))
		return quoted_end(p, end, false, &line->open);

	line->key_len = key_length(p, end);
	if (line->key_len == 0)
		return line_end(p, end);
	line->kind = PLAN_LINE_PROPERTY;
	if (is_raw(p, line->key_len))
		return line_end(p, end);
	return quoted_end(p, end, true, &line->open);
}

/*
 * Reads the next line.  Returns false at the end of the text.
 */
bool
dbperf_plan_next_line(PlanReader *reader, PlanLine *line)
{
	const char *p = reader->next;
	const char *stop;

	if (p >= reader->end)
		return false;
	line->number = reader->number;
	line->column = 0;
	while (p < reader->end && *p == ' ')
	{
		p++;
		line->column++;
	}
	line->text = p;
	stop = classify(line, reader->end, !reader->began);
	reader->began |= line->kind != PLAN_LINE_EMPTY;
	line->len = (int) (stop - line->text);

	for (p = reader->next; p < stop; p++)
		reader->number += *p == '\n';
	reader->number++;
	reader->next = stop < reader->end ? stop + 1 : reader->end;
	return true;
}

/*
 * The lines of a text as they stand, as a list of strings.
 */
List *
dbperf_plan_lines(const char *text)
{
	const char *end = text + strlen(text);
	List	   *lines = NIL;

	while (text < end)
	{
		const char *eol = line_end(text, end);

		lines = lappend(lines, pnstrdup(text, eol - text));
		text = eol < end ? eol + 1 : end;
	}
	return lines;
}
