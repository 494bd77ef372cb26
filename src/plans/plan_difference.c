/*-------------------------------------------------------------------------
 *
 * plan_difference.c
 *		What differs between two plans, in one sentence.
 *
 * Only nodes are compared, not their conditions and figures.  Scans are told
 * apart by what they scan, joins by their order; of other nodes it counts only
 * that there are more or fewer.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "plans/plan_history.h"
#include "plans/plan_tree.h"

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
 * Reads a node.
 */
static NodeLine *
make_line(const PlanNode *node)
{
	NodeLine   *line = palloc0(sizeof(NodeLine));
	const char *on = strstr(node->title, " on ");

	line->title = node->title;
	line->kind = NODE_OTHER;
	if (strcmp(node->type, "Nested Loop") == 0 || strstr(node->type, " Join") != NULL)
		line->kind = NODE_JOIN;
	else if (on != NULL && strcmp(node->type, "ModifyTable") != 0)
	{
		line->kind = NODE_SCAN;
		line->target = pstrdup(on + 4);
	}
	return line;
}

/*
 * The nodes of a plan.  The indexes of a bitmap scan become a part of its title:
 * their own lines say nothing of the table.
 */
static List *
read_nodes(const PlanTree *tree)
{
	List	 *lines = NIL;
	NodeLine *bitmap = NULL;
	ListCell *lc;

	foreach (lc, tree->nodes)
	{
		const PlanNode *node = lfirst(lc);
		bool			heap = strcmp(node->type, "Bitmap Heap Scan") == 0;

		if (strncmp(node->title, CACHE_NODE, strlen(CACHE_NODE)) == 0 ||
			strcmp(node->type, "BitmapAnd") == 0 || strcmp(node->type, "BitmapOr") == 0)
			continue;
		if (strcmp(node->type, "Bitmap Index Scan") == 0)
		{
			if (bitmap != NULL && node->index != NULL)
				bitmap->title = psprintf("%s using %s", bitmap->title, node->index);
			continue;
		}
		lines = lappend(lines, make_line(node));
		if (heap)
			bitmap = llast(lines);
	}
	return lines;
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
	PlanTree   *old_tree = old_text != NULL ? dbperf_plan_parse(old_text) : NULL;
	PlanTree   *new_tree = new_text != NULL ? dbperf_plan_parse(new_text) : NULL;
	List	   *old_nodes;
	List	   *new_nodes;

	if (old_tree == NULL || new_tree == NULL)
		return pstrdup("The plan changed; the text of one of them was not kept.");

	old_nodes = read_nodes(old_tree);
	new_nodes = read_nodes(new_tree);
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
