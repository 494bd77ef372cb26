/*-------------------------------------------------------------------------
 *
 * stats_grouping.c
 *		Which columns of a table a GROUP BY or DISTINCT in a plan is of.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"
#include "plans/stats_advice.h"
#include "utils/lsyscache.h"

/*
 * The text of a node's grouping columns, or NULL.
 */
static const char *
grouping_key(const PlanNode *node)
{
	if (strcmp(node->type, "Unique") == 0)
	{
		const PlanNode *sort = node->children != NIL ? linitial(node->children) : NULL;

		return sort != NULL && strcmp(sort->type, "Sort") == 0
				   ? dbperf_plan_property(sort, "Sort Key")
				   : NULL;
	}
	if (strcmp(node->type, "Group") != 0 &&
		(strcmp(node->type, "Aggregate") != 0 || node->strategy == NULL ||
		 strcmp(node->strategy, "Mixed") == 0 ||
		 (node->partial_mode != NULL && strcmp(node->partial_mode, "Partial") == 0)))
		return NULL;
	if (dbperf_plan_property(node, "Filter") != NULL)
		return NULL;
	return dbperf_plan_property(node, "Group Key");
}

/*
 * Whether a node has more than one such property: grouping sets.
 */
static bool
has_several(const PlanNode *node, const char *key)
{
	int		  count = 0;
	ListCell *lc;

	foreach (lc, node->properties)
	{
		if (strcmp(((PlanProperty *) lfirst(lc))->key, key) == 0)
			count++;
	}
	return count > 1;
}

/*
 * Adds the scans below a node whose columns may be called by this qualifier, or
 * all without one.  Partitions have names of their own: "orders_1" for "orders".
 */
static List *
find_scans(const PlanNode *node, const char *qualifier, List *scans)
{
	ListCell *lc;

	check_stack_depth();
	if (node->relation != NULL && dbperf_stats_is_scan(node))
	{
		const char *alias = node->alias != NULL ? node->alias : node->relation;
		Size		length = qualifier != NULL ? strlen(qualifier) : 0;

		if (qualifier == NULL || strcmp(alias, qualifier) == 0 ||
			(strncmp(alias, qualifier, length) == 0 && alias[length] == '_' &&
			 strspn(&alias[length + 1], "0123456789") == strlen(&alias[length + 1])))
			scans = lappend(scans, (void *) node);
		return scans;
	}
	foreach (lc, node->children)
		scans = find_scans(lfirst(lc), qualifier, scans);
	return scans;
}

/*
 * The table that a scan stands for: the one that the statement names, of which
 * it may be a partition.
 */
static Oid
named_table(const PlanNode *scan, List *relations)
{
	Oid		  relid = dbperf_stats_relation(scan, relations);
	Oid		  named = relid;
	ListCell *lc;

	if (!OidIsValid(relid) || !get_rel_relispartition(relid))
		return relid;
	foreach (lc, get_partition_ancestors(relid))
	{
		if (list_member_oid(relations, lfirst_oid(lc)))
			named = lfirst_oid(lc);
	}
	return named;
}

/*
 * The one table that these scans stand for, or InvalidOid; *rows gets how many
 * they were to return.
 */
static Oid
common_table(List *scans, List *relations, double *rows)
{
	Oid		  table = InvalidOid;
	ListCell *lc;

	*rows = 0;
	foreach (lc, scans)
	{
		const PlanNode *scan = lfirst(lc);
		Oid				own = named_table(scan, relations);
		double			estimated;

		if (!OidIsValid(own) || !scan->has_cost || (OidIsValid(table) && own != table))
			return InvalidOid;
		table = own;
		(void) dbperf_stats_loop_rows(scan, &estimated);
		*rows += estimated;
	}
	if (list_length(scans) > 1 && get_rel_relkind(table) != RELKIND_PARTITIONED_TABLE)
		return InvalidOid;
	return table;
}

/* What stands before a column's name, or NULL. */
static const char *
column_qualifier(const ColumnRef *column)
{
	return list_length(column->fields) == 2 ? strVal(linitial(column->fields)) : NULL;
}

/*
 * Evidence of a node that makes groups of several columns of one table, or NULL.
 */
StatsEvidence *
dbperf_stats_grouping(const PlanNode *node, List *relations)
{
	const char	  *text = grouping_key(node);
	List		  *columns;
	const char	  *qualifier;
	StatsEvidence *evidence;
	ListCell	  *lc;

	if (text == NULL || has_several(node, "Group Key") ||
		list_length(columns = dbperf_stats_column_list(text)) < 2)
		return NULL;
	qualifier = column_qualifier(linitial(columns));
	evidence = palloc0(sizeof(StatsEvidence));
	evidence->grouping = true;
	evidence->relid = common_table(find_scans(node, qualifier, NIL), relations, &evidence->scanned);
	if (!OidIsValid(evidence->relid))
		return NULL;
	foreach (lc, columns)
	{
		ColumnRef  *column = lfirst(lc);
		const char *other = column_qualifier(column);
		AttrNumber	attno = get_attnum(evidence->relid, strVal(llast(column->fields)));

		if ((other == NULL) != (qualifier == NULL) ||
			(other != NULL && strcmp(other, qualifier) != 0) || attno <= 0 ||
			!dbperf_stats_add_column(evidence, attno))
			return NULL;
	}
	return evidence->ncolumns >= 2 ? evidence : NULL;
}
