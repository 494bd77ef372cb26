/*-------------------------------------------------------------------------
 *
 * plan_node.c
 *		Reads the line that EXPLAIN prints for a node of a plan.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>
#include <math.h>

#include "plans/plan_parse.h"

/* What may stand behind a node's name. */
typedef enum NodeTarget
{
	TARGET_NONE,
	TARGET_RELATION, /* " on relation alias" */
	TARGET_INDEX,	 /* " Backward using index on relation alias" */
	TARGET_BITMAP,	 /* " on index" */
	TARGET_FUNCTION,
	TARGET_CTE,
	TARGET_ALIAS /* " on alias" */
} NodeTarget;

typedef struct NodeName
{
	const char *text; /* as EXPLAIN prints it */
	const char *type; /* as EXPLAIN (FORMAT JSON) does */
	NodeTarget	target;
	const char *strategy;
	const char *operation;
	int			min_children;
} NodeName;

/* Longer names stand before those that they begin with. */
static const NodeName node_names[] = {
	{"Result", "Result", TARGET_NONE, NULL, NULL, 0},
	{"ProjectSet", "ProjectSet", TARGET_NONE, NULL, NULL, 1},
	{"Insert", "ModifyTable", TARGET_RELATION, NULL, "Insert", 1},
	{"Update", "ModifyTable", TARGET_RELATION, NULL, "Update", 1},
	{"Delete", "ModifyTable", TARGET_RELATION, NULL, "Delete", 1},
	{"Merge on", "ModifyTable", TARGET_RELATION, NULL, "Merge", 1},
	{"Append", "Append", TARGET_NONE, NULL, NULL, 0},
	{"Merge Append", "Merge Append", TARGET_NONE, NULL, NULL, 0},
	{"Recursive Union", "Recursive Union", TARGET_NONE, NULL, NULL, 2},
	{"BitmapAnd", "BitmapAnd", TARGET_NONE, NULL, NULL, 2},
	{"BitmapOr", "BitmapOr", TARGET_NONE, NULL, NULL, 2},
	{"Seq Scan", "Seq Scan", TARGET_RELATION, NULL, NULL, 0},
	{"Sample Scan", "Sample Scan", TARGET_RELATION, NULL, NULL, 0},
	{"Gather Merge", "Gather Merge", TARGET_NONE, NULL, NULL, 1},
	{"Gather", "Gather", TARGET_NONE, NULL, NULL, 1},
	{"Index Scan", "Index Scan", TARGET_INDEX, NULL, NULL, 0},
	{"Index Only Scan", "Index Only Scan", TARGET_INDEX, NULL, NULL, 0},
	{"Bitmap Index Scan", "Bitmap Index Scan", TARGET_BITMAP, NULL, NULL, 0},
	{"Bitmap Heap Scan", "Bitmap Heap Scan", TARGET_RELATION, NULL, NULL, 1},
	{"Tid Scan", "Tid Scan", TARGET_RELATION, NULL, NULL, 0},
	{"Tid Range Scan", "Tid Range Scan", TARGET_RELATION, NULL, NULL, 0},
	{"Subquery Scan", "Subquery Scan", TARGET_ALIAS, NULL, NULL, 1},
	{"Function Scan", "Function Scan", TARGET_FUNCTION, NULL, NULL, 0},
	{"Table Function Scan", "Table Function Scan", TARGET_FUNCTION, NULL, NULL, 0},
	{"Values Scan", "Values Scan", TARGET_ALIAS, NULL, NULL, 0},
	{"CTE Scan", "CTE Scan", TARGET_CTE, NULL, NULL, 0},
	{"Named Tuplestore Scan", "Named Tuplestore Scan", TARGET_ALIAS, NULL, NULL, 0},
	{"WorkTable Scan", "WorkTable Scan", TARGET_CTE, NULL, NULL, 0},
	{"Foreign Scan", "Foreign Scan", TARGET_RELATION, NULL, "Select", 0},
	{"Foreign Insert", "Foreign Scan", TARGET_RELATION, NULL, "Insert", 0},
	{"Foreign Update", "Foreign Scan", TARGET_RELATION, NULL, "Update", 0},
	{"Foreign Delete", "Foreign Scan", TARGET_RELATION, NULL, "Delete", 0},
	{"Custom Scan", "Custom Scan", TARGET_RELATION, NULL, NULL, 0},
	{"Materialize", "Materialize", TARGET_NONE, NULL, NULL, 1},
	{"Memoize", "Memoize", TARGET_NONE, NULL, NULL, 1},
	{"Sort", "Sort", TARGET_NONE, NULL, NULL, 1},
	{"Incremental Sort", "Incremental Sort", TARGET_NONE, NULL, NULL, 1},
	{"Group", "Group", TARGET_NONE, NULL, NULL, 1},
	{"Aggregate", "Aggregate", TARGET_NONE, "Plain", NULL, 1},
	{"GroupAggregate", "Aggregate", TARGET_NONE, "Sorted", NULL, 1},
	{"HashAggregate", "Aggregate", TARGET_NONE, "Hashed", NULL, 1},
	{"MixedAggregate", "Aggregate", TARGET_NONE, "Mixed", NULL, 1},
	{"WindowAgg", "WindowAgg", TARGET_NONE, NULL, NULL, 1},
	{"Unique", "Unique", TARGET_NONE, NULL, NULL, 1},
	{"SetOp", "SetOp", TARGET_NONE, "Sorted", NULL, 1},
	{"HashSetOp", "SetOp", TARGET_NONE, "Hashed", NULL, 1},
	{"LockRows", "LockRows", TARGET_NONE, NULL, NULL, 1},
	{"Limit", "Limit", TARGET_NONE, NULL, NULL, 1},
	{"Hash", "Hash", TARGET_NONE, NULL, NULL, 1}};

/* How joins are called before their type, and what they are then. */
static const struct
{
	const char *text;
	const char *type;
} join_names[] = {{"Nested Loop", "Nested Loop"}, {"Merge", "Merge Join"}, {"Hash", "Hash Join"}};

static const char *const join_types[] = {"Left", "Right Anti", "Right Semi", "Right",
										 "Full", "Semi",	   "Anti"};

/* If *p begins with word, as a whole word, moves it behind and the space after it. */
static bool
take_word(const char **p, const char *word)
{
	Size len = strlen(word);

	if (strncmp(*p, word, len) != 0 || ((*p)[len] != ' ' && (*p)[len] != '\0'))
		return false;
	*p += len;
	if (**p == ' ')
		(*p)++;
	return true;
}

/*
 * Reads an identifier as quote_identifier() writes it.  Returns what follows
 * it, without a space; *name is NULL if there is none.
 */
const char *
dbperf_plan_identifier(const char *p, char **name)
{
	StringInfoData out;

	*name = NULL;
	if (*p == '\0')
		return p;
	initStringInfo(&out);
	if (*p != '"')
	{
		while (*p != '\0' && *p != ' ' && *p != '.')
			appendStringInfoChar(&out, *p++);
	}
	else
	{
		for (p++; *p != '\0' && (*p != '"' || p[1] == '"'); p++)
		{
			if (*p == '"')
				p++;
			appendStringInfoChar(&out, *p);
		}
		if (*p == '"')
			p++;
	}
	*name = out.data;
	return *p == ' ' ? p + 1 : p;
}

/* Reads "relation alias", with a schema before it where there is one. */
static void
read_relation(PlanNode *node, const char *p)
{
	p = dbperf_plan_identifier(p, &node->relation);
	if (*p == '.')
	{
		node->schema = node->relation;
		p = dbperf_plan_identifier(p + 1, &node->relation);
	}
	(void) dbperf_plan_identifier(p, &node->alias);
	if (node->alias == NULL)
		node->alias = node->relation;
}

/* Reads what stands behind a node's name. */
static void
read_target(PlanNode *node, NodeTarget target, const char *p)
{
	char *name;

	if (target == TARGET_INDEX)
	{
		node->backward = take_word(&p, "Backward");
		if (take_word(&p, "using"))
			p = dbperf_plan_identifier(p, &node->index);
	}
	if (target == TARGET_NONE || !take_word(&p, "on"))
		return;
	switch (target)
	{
		case TARGET_RELATION:
		case TARGET_INDEX:
			read_relation(node, p);
			break;
		case TARGET_BITMAP:
			(void) dbperf_plan_identifier(p, &node->index);
			break;
		case TARGET_ALIAS:
			(void) dbperf_plan_identifier(p, &node->alias);
			break;
		default:
			/* the same as a relation, under another name */
			read_relation(node, p);
			name = node->relation;
			node->relation = NULL;
			if (target == TARGET_FUNCTION)
				node->function_name = name;
			else
				node->cte_name = name;
			break;
	}
}

/* Reads a join's name.  Returns whether it was one. */
static bool
read_join(PlanNode *node, const char *p)
{
	for (int i = 0; i < (int) lengthof(join_names); i++)
	{
		const char *rest = p;

		if (!take_word(&rest, join_names[i].text))
			continue;
		if (take_word(&rest, "Join") || (i == 0 && *rest == '\0'))
		{
			node->type = pstrdup(join_names[i].type);
			node->join_type = pstrdup("Inner");
			return true;
		}
		for (int j = 0; j < (int) lengthof(join_types); j++)
		{
			const char *after = rest;

			if (!take_word(&after, join_types[j]) || !take_word(&after, "Join"))
				continue;
			node->type = pstrdup(join_names[i].type);
			node->join_type = pstrdup(join_types[j]);
			return true;
		}
	}
	return false;
}

/* Fills in what the node's name in the table says. */
static void
apply_name(PlanNode *node, const NodeName *name, const char *rest)
{
	node->type = pstrdup(name->type);
	if (name->strategy != NULL)
		node->strategy = pstrdup(name->strategy);
	if (name->operation != NULL)
		node->operation = pstrdup(name->operation);
	if (strcmp(name->type, "Aggregate") == 0 && node->partial_mode == NULL)
		node->partial_mode = pstrdup("Simple");
	if (strcmp(name->type, "Custom Scan") == 0 && *rest == '(')
	{
		const char *close = strstr(rest, ") on ");

		rest = close != NULL ? close + 2 : "";
	}
	read_target(node, name->target, rest);
}

/*
 * Reads a node's name and what it works on.  Returns false if there is no node
 * of this name.
 */
static bool
read_name(PlanNode *node, const char *p)
{
	node->parallel_aware = take_word(&p, "Parallel");
	(void) take_word(&p, "Async");
	if (take_word(&p, "Partial"))
		node->partial_mode = pstrdup("Partial");
	else if (take_word(&p, "Finalize"))
		node->partial_mode = pstrdup("Finalize");

	if (read_join(node, p))
		return true;
	for (int i = 0; i < (int) lengthof(node_names); i++)
	{
		const char *rest = p;

		if (!take_word(&rest, node_names[i].text))
			continue;
		if (strcmp(node_names[i].text, "Merge on") == 0)
			rest = p + strlen("Merge ");
		apply_name(node, &node_names[i], rest);
		return true;
	}
	return false;
}

/* Reads a number behind a word, if the word is there. */
static bool
take_number(const char **p, const char *word, double *number)
{
	Size  len = strlen(word);
	char *end;

	if (strncmp(*p, word, len) != 0 || !(isdigit((unsigned char) (*p)[len]) || (*p)[len] == '-'))
		return false;
	*number = strtod(*p + len, &end);
	if (isnan(*number) || isinf(*number))
		*number = 0;
	*p = end;
	return true;
}

/* Reads "(cost=0.00..1.00 rows=1 width=4) (actual time=0.1..0.2 rows=1 loops=1)". */
static void
read_numbers(PlanNode *node, const char *p)
{
	double width;

	if (take_number(&p, "  (cost=", &node->startup_cost) &&
		take_number(&p, "..", &node->total_cost) && take_number(&p, " rows=", &node->plan_rows) &&
		take_number(&p, " width=", &width) && *p == ')')
	{
		p++;
		node->has_cost = true;
		node->plan_width = width >= 0 && width < PG_INT32_MAX ? (int) width : 0;
	}
	if (strncmp(p, " (never executed)", 17) == 0)
		node->never_executed = true;
	if (take_number(&p, " (actual time=", &node->actual_startup))
		node->has_time = take_number(&p, "..", &node->actual_total);
	else if (strncmp(p, " (actual", 8) == 0)
		p += 8;
	if (take_number(&p, " rows=", &node->actual_rows) &&
		take_number(&p, " loops=", &node->actual_loops) && *p == ')')
		node->has_actual = node->actual_loops > 0;
	node->has_time = node->has_time && node->has_actual;
}

/* The length of a node's line up to its numbers. */
static int
title_length(const char *line)
{
	bool quoted = false;
	int	 i;

	for (i = 0; line[i] != '\0'; i++)
	{
		if (line[i] == '"')
			quoted = !quoted;
		else if (!quoted && line[i] == ' ' &&
				 (strncmp(line + i, "  (cost=", 8) == 0 || strncmp(line + i, " (actual ", 9) == 0 ||
				  strncmp(line + i, " (never executed)", 17) == 0))
			break;
	}
	return i;
}

/*
 * Reads the line of a node, without its arrow.  Returns NULL if it is no node's
 * line; a name that no known release has counts as a node if it has costs.
 */
PlanNode *
dbperf_plan_read_node(const char *text, int len)
{
	PlanNode *node = palloc0(sizeof(PlanNode));
	char	 *line = pnstrdup(text, len);
	int		  title_len = title_length(line);

	node->title = pnstrdup(line, title_len);
	read_numbers(node, line + title_len);
	pfree(line);
	if (!read_name(node, node->title))
	{
		if (!node->has_cost)
			return NULL;
		node->type = pstrdup(node->title);
	}
	return node;
}

/* How many children, subplans apart, a node of this type has at least. */
int
dbperf_plan_min_children(const char *type)
{
	for (int i = 0; i < (int) lengthof(join_names); i++)
	{
		if (strcmp(type, join_names[i].type) == 0)
			return 2;
	}
	for (int i = 0; i < (int) lengthof(node_names); i++)
	{
		if (strcmp(type, node_names[i].type) == 0)
			return node_names[i].min_children;
	}
	return 0;
}
