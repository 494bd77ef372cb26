/*-------------------------------------------------------------------------
 *
 * plan_difference.c
 *		What differs between two plans, in one sentence.
 *
 * Only the lines of nodes are compared, up to their first figures.  Scans are
 * told apart by what they scan, joins by their order; of other nodes it counts
 * only that there are more or fewer.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "plans/plan_history.h"

/* more differences than that are counted only */
#define MAX_DIFFERENCES 3

/* what the result cache puts on top of a plan is no part of it */
#define CACHE_NODE "Custom Scan (dbperf cache)"

typedef enum NodeKind
{
	NODE_SCAN,
	NODE_JOIN,
	NODE_OTHER
} NodeKind;

typedef struct NodeLine
{
	NodeKind kind;
	char	*title;	 /* "Index Scan using i on t" */
	char	*target; /* of a scan: "t" */
	bool	 paired; /* the other plan has the same */
} NodeLine;

typedef struct Differences
{
	StringInfoData out;
	int			   count;
} Differences;

/*
 * Begins another difference.  Returns whether it is to be written.
 */
static bool
difference_begin(Differences *diff)
{
	diff->count++;
	if (diff->count > MAX_DIFFERENCES)
		return false;
	if (diff->count > 1)
		appendStringInfoString(&diff->out, "; ");
	return true;
}

/*
 * The title in the line of a node, or NULL if the line is none.
 */
static char *
line_title(const char *line, int len, bool first)
{
	const char *end = line + len;
	const char *stop = end;

	while (line < end && *line == ' ')
		line++;
	if (end - line > 4 && strncmp(line, "->  ", 4) == 0)
		line += 4;
	else if (!first)
		return NULL;
	for (const char *p = line; p + 3 < end; p++)
	{
		if (strncmp(p, "  (", 3) == 0)
		{
			stop = p;
			break;
		}
	}
	return pnstrdup(line, stop - line);
}

static bool
starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/*
 * Reads a title.
 */
static NodeLine *
make_node(char *title)
{
	NodeLine   *node = palloc0(sizeof(NodeLine));
	const char *on = strstr(title, " on ");

	node->title = title;
	node->kind = NODE_OTHER;
	if (starts_with(title, "Nested Loop") || strstr(title, " Join") != NULL)
		node->kind = NODE_JOIN;
	else if (on != NULL && !starts_with(title, "Insert ") && !starts_with(title, "Update ") &&
			 !starts_with(title, "Delete ") && !starts_with(title, "Merge "))
	{
		node->kind = NODE_SCAN;
		node->target = pstrdup(on + 4);
	}
	return node;
}

/*
 * The nodes of a plan.  The indexes of a bitmap scan become a part of its title:
 * their own lines say nothing of the table.
 */
static List *
read_nodes(const char *text)
{
	List	 *nodes = NIL;
	NodeLine *bitmap = NULL;
	bool	  first = true;

	while (*text != '\0')
	{
		int	  len = (int) strcspn(text, "\n");
		char *title = line_title(text, len, first);

		text += len + (text[len] == '\n' ? 1 : 0);
		if (title == NULL)
			continue;
		first = false;
		if (starts_with(title, CACHE_NODE))
			continue;
		if (bitmap != NULL && starts_with(title, "Bitmap Index Scan on "))
			bitmap->title = psprintf("%s using %s", bitmap->title, title + 21);
		else if (!starts_with(title, "Bitmap Index Scan on ") && !starts_with(title, "Bitmap"))
			nodes = lappend(nodes, make_node(title));
		else if (starts_with(title, "Bitmap Heap Scan on "))
		{
			bitmap = make_node(title);
			nodes = lappend(nodes, bitmap);
		}
	}
	return nodes;
}

/*
 * Marks nodes that are in both plans.
 */
static void
pair_nodes(List *old_nodes, List *new_nodes)
{
	ListCell *lo;
	ListCell *ln;

	foreach (lo, old_nodes)
	{
		NodeLine *old_node = lfirst(lo);

		foreach (ln, new_nodes)
		{
			NodeLine *new_node = lfirst(ln);

			if (!new_node->paired && strcmp(old_node->title, new_node->title) == 0)
			{
				old_node->paired = new_node->paired = true;
				break;
			}
		}
	}
}

/*
 * Finds what has taken a node's place in the other plan: a scan of the same, a
 * join, another way to aggregate.  Returns NULL if there is none.
 */
static NodeLine *
find_successor(const NodeLine *node, List *nodes)
{
	ListCell *lc;

	foreach (lc, nodes)
	{
		NodeLine *other = lfirst(lc);

		if (other->paired || other->kind != node->kind)
			continue;
		if (node->kind == NODE_JOIN ||
			(node->kind == NODE_SCAN && strcmp(node->target, other->target) == 0) ||
			(node->kind == NODE_OTHER && strstr(node->title, "Aggregate") != NULL &&
			 strstr(other->title, "Aggregate") != NULL))
			return other;
	}
	return NULL;
}

/*
 * Writes how nodes of one kind have changed.
 */
static void
compare_kind(Differences *diff, NodeKind kind, List *old_nodes, List *new_nodes)
{
	ListCell *lc;

	foreach (lc, old_nodes)
	{
		NodeLine *node = lfirst(lc);
		NodeLine *successor;

		if (node->paired || node->kind != kind)
			continue;
		successor = find_successor(node, new_nodes);
		if (successor != NULL)
			successor->paired = true;
		if (difference_begin(diff))
		{
			if (successor != NULL)
				appendStringInfo(&diff->out, "%s became %s", node->title, successor->title);
			else
				appendStringInfo(&diff->out, "%s is gone", node->title);
		}
	}
	foreach (lc, new_nodes)
	{
		NodeLine *node = lfirst(lc);

		if (!node->paired && node->kind == kind && difference_begin(diff))
			appendStringInfo(&diff->out, "%s is new", node->title);
	}
}

/*
 * What a plan scans, in the order of its text.
 */
static char *
scan_order(List *nodes)
{
	StringInfoData out;
	ListCell	  *lc;

	initStringInfo(&out);
	foreach (lc, nodes)
	{
		NodeLine *node = lfirst(lc);

		if (node->kind == NODE_SCAN)
			appendStringInfo(&out, "%s%s", out.len > 0 ? ", " : "", node->target);
	}
	return out.data;
}

/*
 * Whether two plans have the same nodes in the same order.
 */
static bool
same_titles(List *old_nodes, List *new_nodes)
{
	ListCell *lo;
	ListCell *ln;

	if (list_length(old_nodes) != list_length(new_nodes))
		return false;
	forboth (lo, old_nodes, ln, new_nodes)
	{
		if (strcmp(((NodeLine *) lfirst(lo))->title, ((NodeLine *) lfirst(ln))->title) != 0)
			return false;
	}
	return true;
}

/*
 * Says in one sentence what differs between two plans as EXPLAIN prints them,
 * of which either may be NULL.  Allocates in the current memory context.
 */
char *
dbperf_plan_difference(const char *old_text, const char *new_text)
{
	Differences diff = {0};
	List	   *old_nodes;
	List	   *new_nodes;

	if (old_text == NULL || new_text == NULL)
		return pstrdup("The plan changed; the text of one of them was not kept.");

	old_nodes = read_nodes(old_text);
	new_nodes = read_nodes(new_text);
	initStringInfo(&diff.out);
	pair_nodes(old_nodes, new_nodes);
	compare_kind(&diff, NODE_SCAN, old_nodes, new_nodes);
	compare_kind(&diff, NODE_JOIN, old_nodes, new_nodes);
	if (diff.count == 0)
	{
		char *old_order = scan_order(old_nodes);
		char *new_order = scan_order(new_nodes);

		if (strcmp(old_order, new_order) != 0 && difference_begin(&diff))
			appendStringInfo(&diff.out, "the join order changed from %s to %s", old_order,
							 new_order);
	}
	compare_kind(&diff, NODE_OTHER, old_nodes, new_nodes);

	if (diff.count == 0)
		return pstrdup(same_titles(old_nodes, new_nodes)
						   ? "The plans look the same: a table or an index in them was made anew."
						   : "The plans have the same nodes in another order.");
	if (diff.count > MAX_DIFFERENCES)
		appendStringInfo(&diff.out, "; and %d more", diff.count - MAX_DIFFERENCES);
	appendStringInfoChar(&diff.out, '.');
	diff.out.data[0] = pg_toupper((unsigned char) diff.out.data[0]);
	return diff.out.data;
}
