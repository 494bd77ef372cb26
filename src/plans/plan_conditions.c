/*-------------------------------------------------------------------------
 *
 * plan_conditions.c
 *		Reads the conditions of a plan's nodes.
 *
 * The server prints expressions with all parentheses, so a few rules tell what
 * belongs to what: "((a = 1) AND (lower(b) = 'x'::text))".  What is not
 * understood is left alone; nothing here looks anything up by a name that could
 * be a function's.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "parser/parse_coerce.h"
#include "parser/parse_type.h"
#include "plans/findings_int.h"
#include "plans/plan_parse.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* Skips a quoted part that begins at p; returns its last character. */
static const char *
skip_quoted(const char *p)
{
	const char *close = strchr(p + 1, *p);

	return close != NULL ? close : p + strlen(p) - 1;
}

/* The parenthesis that closes the one at p, or NULL. */
static const char *
closing(const char *p)
{
	int depth = 0;

	for (; *p != '\0'; p++)
	{
		if (*p == '\'' || *p == '"')
			p = skip_quoted(p);
		else if (*p == '(' || *p == '[')
			depth++;
		else if ((*p == ')' || *p == ']') && --depth == 0)
			return p;
	}
	return NULL;
}

/* A copy without the parentheses around all of it. */
char *
dbperf_strip(const char *text)
{
	char *copy = pstrdup(text);

	for (;;)
	{
		Size		len = strlen(copy);
		const char *close;

		if (len < 2 || copy[0] != '(')
			return copy;
		close = closing(copy);
		if (close != copy + len - 1)
			return copy;
		copy[len - 1] = '\0';
		copy++;
	}
}

/* Where word stands outside of parentheses and quotes, or NULL. */
static const char *
find_outside(const char *text, const char *word)
{
	Size len = strlen(word);

	for (const char *p = text; *p != '\0'; p++)
	{
		if (*p == '\'' || *p == '"')
			p = skip_quoted(p);
		else if (*p == '(' || *p == '[')
		{
			p = closing(p);
			if (p == NULL)
				return NULL;
		}
		else if (strncmp(p, word, len) == 0)
			return p;
	}
	return NULL;
}

/* The parts of an expression between a word, " AND " or " OR ". */
List *
dbperf_split(const char *text, const char *word)
{
	const char *rest = dbperf_strip(text);
	List	   *parts = NIL;
	const char *p;

	while ((p = find_outside(rest, word)) != NULL)
	{
		parts = lappend(parts, dbperf_strip(pnstrdup(rest, p - rest)));
		rest = p + strlen(word);
	}
	return lappend(parts, dbperf_strip(rest));
}

/* Takes "left op right" apart, if it is that. */
static void
split_operator(PlanCondition *condition)
{
	const char *text = condition->text;
	const char *p;

	for (p = text; *p != '\0'; p++)
	{
		int len;

		if (*p == '\'' || *p == '"')
			p = skip_quoted(p);
		else if (*p == '(' || *p == '[')
		{
			p = closing(p);
			if (p == NULL)
				return;
		}
		else if (*p == ' ' && (len = (int) strspn(p + 1, "=<>~!@#%^&|?*+-/")) > 0 &&
				 p[len + 1] == ' ')
		{
			condition->left = dbperf_strip(pnstrdup(text, p - text));
			condition->op = pnstrdup(p + 1, len);
			condition->right = dbperf_strip(p + len + 2);
			return;
		}
	}
}

/* Adds a column of the table that is named at p, if it is one. */
static List *
add_column(List *columns, const char *p, Size len, const FindingTable *table)
{
	char	 *name;
	ListCell *lc;

	(void) dbperf_plan_identifier(pnstrdup(p, len), &name);
	if (name == NULL || dbperf_finding_column(table, name) == InvalidAttrNumber)
		return columns;
	foreach (lc, columns)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return columns;
	}
	return lappend(columns, name);
}

/* The end of the identifier at p. */
static const char *
identifier_end(const char *p)
{
	if (*p == '"')
	{
		for (p++; *p != '\0' && (*p != '"' || p[1] == '"'); p++)
			p += *p == '"' ? 1 : 0;
		return *p == '"' ? p + 1 : p;
	}
	while (isalnum((unsigned char) *p) || *p == '_' || *p == '$' || IS_HIGHBIT_SET(*p))
		p++;
	return p;
}

static bool
is_identifier(const char *p)
{
	return isalpha((unsigned char) *p) || *p == '_' || *p == '"' || IS_HIGHBIT_SET(*p);
}

/* The end of the type that is named behind "::". */
static const char *
type_end(const char *p)
{
	while (is_identifier(p))
	{
		p = identifier_end(p);
		if (*p == '.')
			p++;
		else if (*p == ' ' &&
				 (strncmp(p, " varying", 8) == 0 || strncmp(p, " precision", 10) == 0 ||
				  strncmp(p, " without time zone", 18) == 0 ||
				  strncmp(p, " with time zone", 15) == 0 || strncmp(p, " time zone", 10) == 0 ||
				  strncmp(p, " zone", 5) == 0))
			p++;
		else
			break;
	}
	if (*p == '(' && closing(p) != NULL)
		p = closing(p) + 1;
	while (p[0] == '[' && p[1] == ']')
		p += 2;
	return p;
}

/* The columns of the node's table that stand in an expression, each once. */
List *
dbperf_columns_in(const char *text, const PlanNode *node, const FindingTable *table)
{
	List	   *columns = NIL;
	const char *p = text;

	while (*p != '\0')
	{
		const char *end;

		if (*p == '\'')
			p = skip_quoted(p) + 1;
		else if (p[0] == ':' && p[1] == ':')
			p = type_end(p + 2);
		else if (!is_identifier(p))
		{
			/* digits, and the letters that may follow them */
			if (isdigit((unsigned char) *p) || *p == '$')
				p = identifier_end(p + 1);
			else
				p++;
		}
		else
		{
			end = identifier_end(p);
			if (*end == '.' && is_identifier(end + 1))
			{
				const char *column = end + 1;
				char	   *alias;

				(void) dbperf_plan_identifier(pnstrdup(p, end - p), &alias);
				end = identifier_end(column);
				if (alias != NULL && node->alias != NULL && strcmp(alias, node->alias) == 0 &&
					*end != '(')
					columns = add_column(columns, column, end - column, table);
			}
			else if (*end != '(')
				columns = add_column(columns, p, end - p, table);
			p = end;
		}
	}
	return columns;
}

/* An expression without the node's alias before its columns, as CREATE INDEX wants it. */
char *
dbperf_unqualified(const char *text, const PlanNode *node)
{
	StringInfoData out;
	const char	  *p = text;

	initStringInfo(&out);
	while (*p != '\0')
	{
		const char *end = p + 1;

		if (*p == '\'')
			end = skip_quoted(p) + 1;
		else if (is_identifier(p))
		{
			char *alias;

			end = identifier_end(p);
			if (*end == '.' && is_identifier(end + 1))
			{
				(void) dbperf_plan_identifier(pnstrdup(p, end - p), &alias);
				if (alias != NULL && node->alias != NULL && strcmp(alias, node->alias) == 0)
				{
					p = end + 1;
					end = identifier_end(p);
				}
			}
		}
		appendBinaryStringInfo(&out, p, (int) (end - p));
		p = end;
	}
	return out.data;
}

/* Is the text nothing but the column, with the node's alias or without? */
static bool
is_column(const char *text, const char *column)
{
	const char *end = is_identifier(text) ? identifier_end(text) : text;
	char	   *name;

	if (*end == '.' && is_identifier(end + 1))
	{
		text = end + 1;
		end = identifier_end(text);
	}
	if (end == text || *end != '\0')
		return false;
	(void) dbperf_plan_identifier(text, &name);
	return name != NULL && strcmp(name, column) == 0;
}

/* The built-in type of this name, or InvalidOid. */
static Oid
named_type(const char *name)
{
	static const struct
	{
		const char *name;
		Oid			type;
	} types[] = {{"text", TEXTOID},
				 {"character varying", VARCHAROID},
				 {"bpchar", BPCHAROID},
				 {"integer", INT4OID},
				 {"bigint", INT8OID},
				 {"smallint", INT2OID},
				 {"numeric", NUMERICOID},
				 {"double precision", FLOAT8OID},
				 {"real", FLOAT4OID},
				 {"date", DATEOID},
				 {"timestamp without time zone", TIMESTAMPOID},
				 {"timestamp with time zone", TIMESTAMPTZOID},
				 {"oid", OIDOID},
				 {"boolean", BOOLOID}};

	for (int i = 0; i < (int) lengthof(types); i++)
	{
		if (strcmp(types[i].name, name) == 0)
			return types[i].type;
	}
	return InvalidOid;
}

/*
 * Finds out what stands around the column: nothing, a cast that changes nothing
 * but the type's name, or something that keeps an index on the column from
 * being used.
 */
static void
note_wrapping(PlanCondition *condition, const FindingTable *table, const char *side)
{
	const char *cast = find_outside(side, "::");
	Oid			from;
	Oid			to;

	if (is_column(side, condition->column))
		return;
	condition->wrapped = pstrdup(side);
	if (cast == NULL || !is_column(dbperf_strip(pnstrdup(side, cast - side)), condition->column))
		return;
	from = get_atttype(table->relid, dbperf_finding_column(table, condition->column));
	to = named_type(cast + 2);
	if (!OidIsValid(to))
		return;
	if (IsBinaryCoercible(from, to))
		condition->wrapped = NULL;
	else
		condition->cast_type = to;
}

/* Does an expression consist of literals and parameters only? */
static bool
is_literal(const char *text)
{
	static const char *const words[] = {"ANY", "ALL", "ARRAY", "ROW", "NULL", "true", "false"};
	const char				*p = text;

	while (*p != '\0')
	{
		if (*p == '\'')
			p = skip_quoted(p) + 1;
		else if (p[0] == ':' && p[1] == ':')
			p = type_end(p + 2);
		else if (isdigit((unsigned char) *p) || *p == '$')
			p = identifier_end(p + 1);
		else if (is_identifier(p))
		{
			const char *end = identifier_end(p);
			bool		known = false;

			for (int i = 0; i < (int) lengthof(words); i++)
				known |=
					strlen(words[i]) == (size_t) (end - p) && strncmp(words[i], p, end - p) == 0;
			if (!known)
				return false;
			p = end;
		}
		else
			p++;
	}
	return true;
}

/* Finds the column of a condition. */
static void
note_column(PlanCondition *condition, const PlanNode *node, const FindingTable *table)
{
	List	   *columns = dbperf_columns_in(condition->text, node, table);
	List	   *left;
	const char *is;

	if (list_length(columns) != 1)
		return;
	condition->column = linitial(columns);
	if (condition->left == NULL)
	{
		is = find_outside(condition->text, " IS ");
		condition->constant = condition->literal = true;
		if (is != NULL)
			note_wrapping(condition, table,
						  dbperf_strip(pnstrdup(condition->text, is - condition->text)));
		else if (!is_column(condition->text, condition->column) &&
				 !(strncmp(condition->text, "NOT ", 4) == 0 &&
				   is_column(condition->text + 4, condition->column)))
			condition->wrapped = condition->text;
		return;
	}
	left = dbperf_columns_in(condition->left, node, table);
	condition->constant = left == NIL || dbperf_columns_in(condition->right, node, table) == NIL;
	condition->literal =
		condition->constant && is_literal(left != NIL ? condition->right : condition->left);
	note_wrapping(condition, table, left != NIL ? condition->left : condition->right);
}

/*
 * The conditions of a node's property ("Filter", "Index Cond"), as a list of
 * PlanCondition; NIL if it has none.  table may be NULL: then no columns are
 * known.
 */
List *
dbperf_conditions(const PlanNode *node, const char *key, const FindingTable *table)
{
	const char *value = dbperf_plan_property(node, key);
	List	   *conditions = NIL;
	ListCell   *lc;

	if (value == NULL)
		return NIL;
	foreach (lc, dbperf_split(value, " AND "))
	{
		PlanCondition *condition = palloc0(sizeof(PlanCondition));

		condition->text = lfirst(lc);
		split_operator(condition);
		if (table != NULL)
			note_column(condition, node, table);
		conditions = lappend(conditions, condition);
	}
	return conditions;
}
