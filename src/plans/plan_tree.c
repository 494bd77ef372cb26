/*-------------------------------------------------------------------------
 *
 * plan_tree.c
 *		Puts the lines of a plan's text together into a tree.
 *
 * The indentation says what belongs to what.  A node's arrow stands where its
 * parent's properties do, or two further if it is a subplan, whose name stands
 * above it there; the node's own properties are six to the right of its arrow.
 * Nothing in the text is trusted: it may be cut anywhere, and names in it can
 * be anything.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>
#include <math.h>

#include "miscadmin.h"
#include "plans/plan_parse.h"

/* No worker says more than this. */
#define MAX_WORKER_LENGTH 1024

/* A node that can still get properties and children. */
typedef struct OpenNode
{
	PlanNode *node;
	int		  column; /* of its properties */
} OpenNode;

typedef struct TreeBuilder
{
	PlanTree *tree;
	OpenNode *open; /* from the root on */
	int		  depth;
	int		  room;
	bool	  in_summary;
	char	 *subplan_name; /* of the node that comes next */
	bool	  no_costs;		/* a node had none */
	bool	  properties;	/* a node had one */
	PlanLine  last;
} TreeBuilder;

/* Nodes whose children are all alike. */
static bool
has_members(const PlanNode *node)
{
	return strcmp(node->type, "Append") == 0 || strcmp(node->type, "Merge Append") == 0 ||
		   strcmp(node->type, "BitmapAnd") == 0 || strcmp(node->type, "BitmapOr") == 0;
}

static bool
is_subplan(const PlanNode *node)
{
	return node->subplan_name != NULL;
}

/* How many of a node's children are no subplans. */
static int
count_children(const PlanNode *node)
{
	ListCell *lc;
	int		  n = 0;

	foreach (lc, node->children)
		n += is_subplan(lfirst(lc)) ? 0 : 1;
	return n;
}

/* Says what a node that is about to be added is to its parent. */
static const char *
relationship(const PlanNode *parent, const PlanNode *node)
{
	ListCell *lc;

	if (is_subplan(node))
		return strncmp(node->subplan_name, "SubPlan ", 8) == 0 ? "SubPlan" : "InitPlan";
	if (has_members(parent))
		return "Member";
	if (strcmp(parent->type, "Subquery Scan") == 0)
		return "Subquery";
	foreach (lc, parent->children)
	{
		if (!is_subplan(lfirst(lc)))
			return "Inner";
	}
	return "Outer";
}

/* Keeps a node open, with its properties in this column. */
static void
push_node(TreeBuilder *builder, PlanNode *node, int column)
{
	if (builder->depth == builder->room)
	{
		builder->room = Max(16, builder->room * 2);
		if (builder->open == NULL)
			builder->open = palloc(builder->room * sizeof(OpenNode));
		else
			builder->open = repalloc(builder->open, builder->room * sizeof(OpenNode));
	}
	builder->open[builder->depth].node = node;
	builder->open[builder->depth++].column = column;
}

/* Closes all nodes that a line in this column does not belong to. */
static PlanNode *
owner_of(TreeBuilder *builder, int column)
{
	while (builder->depth > 1 && builder->open[builder->depth - 1].column > column)
		builder->depth--;
	return builder->open[builder->depth - 1].node;
}

/* Adds a node where its line's indentation puts it. */
static void
add_node(TreeBuilder *builder, const PlanLine *line)
{
	PlanTree *tree = builder->tree;
	PlanNode *node = dbperf_plan_read_node(line->text, line->len);

	if (node == NULL)
		return;
	node->line = line->number;
	builder->no_costs |= !node->has_cost;
	tree->analyzed |= node->has_actual;
	if (tree->root == NULL)
	{
		tree->root = node;
		push_node(builder, node, line->column + 2);
	}
	else
	{
		PlanNode *parent = owner_of(builder, line->column);

		node->subplan_name = builder->subplan_name;
		node->parent = parent;
		node->relationship = pstrdup(relationship(parent, node));
		parent->children = lappend(parent->children, node);
		push_node(builder, node, line->column + 6);
	}
	builder->subplan_name = NULL;
	tree->nodes = lappend(tree->nodes, node);
}

/* A property that a line is. */
static PlanProperty *
make_property(const PlanLine *line)
{
	PlanProperty *property = palloc0(sizeof(PlanProperty));
	const char	 *value = line->text + line->key_len;
	const char	 *end = line->text + line->len;

	property->line = line->number;
	property->key = pnstrdup(line->text, line->key_len);
	if (value < end && *value == ':')
		value++;
	while (value < end && *value == ' ')
		value++;
	property->value = pnstrdup(value, end - value);
	return property;
}

/* Adds a "key: value" to the node, or to the end of the plan. */
static void
add_property(TreeBuilder *builder, const PlanLine *line)
{
	PlanProperty *property = make_property(line);
	PlanNode	 *node;

	if (line->column == 0)
		builder->in_summary = true;
	if (builder->in_summary)
	{
		builder->tree->summary = lappend(builder->tree->summary, property);
		return;
	}
	node = owner_of(builder, line->column);
	builder->properties = true;

	/* what a worker says in its second line */
	if (line->column > builder->open[builder->depth - 1].column && node->properties != NIL)
	{
		PlanProperty *before = llast(node->properties);

		if (strncmp(before->key, "Worker ", 7) == 0 && strlen(before->value) < MAX_WORKER_LENGTH)
		{
			before->value = psprintf("%s\n%s: %s", before->value, property->key, property->value);
			return;
		}
	}
	node->properties = lappend(node->properties, property);
}

/* Adds a line that is no property: a table that is changed, or the mark of an outline's end. */
static void
add_other(TreeBuilder *builder, const PlanLine *line)
{
	char	   *text;
	const char *on;

	if (line->len >= 3 && strncmp(line->text, "...", 3) == 0)
	{
		builder->tree->cut = true;
		return;
	}
	if (builder->in_summary)
		return;
	text = pnstrdup(line->text, line->len);
	on = strstr(text, " on ");
	if (on != NULL)
	{
		PlanProperty *property = palloc0(sizeof(PlanProperty));
		PlanNode	 *node = owner_of(builder, line->column);

		property->line = line->number;
		property->key = pstrdup("Target Table");
		property->value = pstrdup(on + strlen(" on "));
		node->properties = lappend(node->properties, property);
	}
	pfree(text);
}

/* Are the parentheses of a line outside of its quotes not closed? */
static bool
parens_open(const PlanLine *line)
{
	int	 depth = 0;
	char quote = '\0';

	for (int i = 0; i < line->len; i++)
	{
		char c = line->text[i];

		if (quote != '\0')
			quote = c == quote ? '\0' : quote;
		else if (c == '"' || c == '\'')
			quote = c;
		else
			depth += c == '(' ? 1 : c == ')' ? -1 : 0;
	}
	return depth > 0;
}

/* Finds out whether something is missing at the end. */
static void
check_end(TreeBuilder *builder)
{
	PlanTree *tree = builder->tree;
	ListCell *lc;

	tree->outline = !tree->root->has_cost && !builder->properties;
	if (builder->last.open || builder->last.kind == PLAN_LINE_OTHER ||
		builder->subplan_name != NULL || (tree->root->has_cost && builder->no_costs))
		tree->cut = true;
	if (builder->last.kind == PLAN_LINE_PROPERTY && !builder->in_summary &&
		parens_open(&builder->last))
		tree->cut = true;
	foreach (lc, tree->nodes)
	{
		PlanNode *node = lfirst(lc);

		if (count_children(node) < dbperf_plan_min_children(node->type))
			tree->cut = true;
	}
}

PlanTree *
dbperf_plan_parse(const char *text)
{
	TreeBuilder builder = {0};
	PlanReader	reader = {text, text + strlen(text), 1};
	PlanLine	line;

	builder.tree = palloc0(sizeof(PlanTree));
	while (dbperf_plan_next_line(&reader, &line))
	{
		CHECK_FOR_INTERRUPTS();
		if (line.kind == PLAN_LINE_EMPTY)
			continue;
		builder.last = line;
		if (builder.tree->root == NULL)
		{
			add_node(&builder, &line);
			if (builder.tree->root == NULL)
				return NULL;
			continue;
		}
		switch (line.kind)
		{
			case PLAN_LINE_NODE:
				if (!builder.in_summary)
					add_node(&builder, &line);
				break;
			case PLAN_LINE_SUBPLAN:
				(void) owner_of(&builder, line.column);
				builder.subplan_name = pnstrdup(line.text, line.len);
				break;
			case PLAN_LINE_PROPERTY:
				add_property(&builder, &line);
				break;
			default:
				add_other(&builder, &line);
				break;
		}
	}
	if (builder.tree->root == NULL)
		return NULL;
	builder.tree->lines = dbperf_plan_lines(text);
	check_end(&builder);
	return builder.tree;
}

const char *
dbperf_plan_property(const PlanNode *node, const char *key)
{
	ListCell *lc;

	foreach (lc, node->properties)
	{
		PlanProperty *property = lfirst(lc);

		if (strcmp(property->key, key) == 0)
			return property->value;
	}
	return NULL;
}

/* The number at the start of a string, or missing. */
static double
leading_number(const char *value, double missing)
{
	double number;

	if (value == NULL || !(isdigit((unsigned char) *value) || *value == '-'))
		return missing;
	number = strtod(value, NULL);
	return isnan(number) || isinf(number) ? missing : number;
}

double
dbperf_plan_number(const PlanNode *node, const char *key, double missing)
{
	return leading_number(dbperf_plan_property(node, key), missing);
}

double
dbperf_plan_part(const PlanNode *node, const char *key, const char *part, double missing)
{
	const char *value = dbperf_plan_property(node, key);
	Size		len = strlen(part);

	if (value == NULL)
		return missing;
	for (const char *p = strstr(value, part); p != NULL; p = strstr(p + 1, part))
	{
		if (p > value && p[-1] != ' ' && p[-1] != '\n')
			continue;
		if (p[len] == '=')
			return leading_number(p + len + 1, missing);
		if (p[len] == ':' && p[len + 1] == ' ')
			return leading_number(p + len + 2, missing);
	}
	return missing;
}
