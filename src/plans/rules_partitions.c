/*-------------------------------------------------------------------------
 *
 * rules_partitions.c
 *		The rule about partitions that were read although they had nothing to give.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/partition.h"
#include "catalog/pg_partitioned_table.h"
#include "plans/findings_int.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#define MIN_PARTITIONS 4
#define EMPTY_SHARE 0.7 /* of the partitions read */

/* The name of the first column of a table's partition key, NULL if it is an expression. */
static char *
partition_column(Oid parent)
{
	HeapTuple  tuple = SearchSysCache1(PARTRELID, ObjectIdGetDatum(parent));
	AttrNumber attnum;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	attnum = ((Form_pg_partitioned_table) GETSTRUCT(tuple))->partattrs.values[0];
	ReleaseSysCache(tuple);
	return attnum > 0 ? get_attname(parent, attnum, true) : NULL;
}

/* The scan at or below a member that reads a partition. */
static const PlanNode *
partition_scan(const PlanNode *member)
{
	while (member->relation == NULL && member->children != NIL)
		member = linitial(member->children);
	return member->relation != NULL ? member : NULL;
}

/* Does a condition of the scan compare this column, and is it plain? */
static bool
compares(const PlanNode *scan, const FindingTable *table, const char *column, char **wrapped)
{
	static const char *const keys[] = {"Filter", "Index Cond", "Recheck Cond"};
	bool					 found = false;

	*wrapped = NULL;
	for (int i = 0; i < (int) lengthof(keys); i++)
	{
		ListCell *lc;

		foreach (lc, dbperf_conditions(scan, keys[i], table))
		{
			PlanCondition *condition = lfirst(lc);

			if (condition->column == NULL || strcmp(condition->column, column) != 0)
				continue;
			found = true;
			if (condition->wrapped != NULL)
				*wrapped = condition->wrapped;
		}
	}
	return found;
}

/* The words of a finding: why nothing could be pruned. */
static void
explain(const FindingContext *context, Finding *finding, const PlanNode *scan)
{
	FindingTable *table = dbperf_finding_table(context, scan);
	List		 *ancestors;
	char		 *column;
	char		 *wrapped;

	finding->advice = "Only a condition on the partition key keeps partitions from being read.";
	ancestors = table != NULL ? get_partition_ancestors(table->relid) : NIL;
	if (ancestors == NIL)
		return;
	column = partition_column(linitial_oid(ancestors));
	if (column == NULL || dbperf_finding_column(table, column) == InvalidAttrNumber)
		return;
	if (compares(scan, table, column, &wrapped) && wrapped != NULL)
		finding->advice =
			psprintf("Compare the partition key %s itself, for example with a range of values; "
					 "partitions cannot be chosen by %s.",
					 quote_identifier(column), wrapped);
	else
		finding->advice = psprintf("Add a condition on the partition key %s to the query, or "
								   "partition by the column that is asked for.",
								   quote_identifier(column));
}

/*
 * partitions_not_pruned.  Gain: the time of the members that gave no row.
 */
static void
judge_append(FindingContext *context, const PlanNode *node)
{
	int				members = 0;
	int				empty = 0;
	double			wasted = 0;
	double			read = 0;
	const PlanNode *example = NULL;
	ListCell	   *lc;
	Finding		   *finding;

	foreach (lc, node->children)
	{
		const PlanNode *member = lfirst(lc);
		const PlanNode *scan = partition_scan(member);
		FindingTable   *table;

		if (member->subplan_name != NULL || scan == NULL || !member->has_actual)
			continue;
		table = dbperf_finding_table(context, scan);
		if (table != NULL && !get_rel_relispartition(table->relid))
			continue;
		members++;
		if (dbperf_node_rows(member) > 0)
			continue;
		empty++;
		wasted += dbperf_node_ms(context, member);
		read += dbperf_node_removed(scan);
		example = scan;
	}
	if (members < MIN_PARTITIONS || empty < EMPTY_SHARE * members || read < MIN_ROWS)
		return;
	finding = dbperf_finding_add(context, "partitions_not_pruned", node, wasted);
	finding->evidence = psprintf("%d of %d partitions were read for no row, %.0f rows in all",
								 empty, members, read);
	explain(context, finding, example);
}

/*
 * Judges how partitions are read.
 */
void
dbperf_judge_partitions(FindingContext *context)
{
	ListCell *lc;

	foreach (lc, context->tree->nodes)
	{
		const PlanNode *node = lfirst(lc);

		if (node->has_actual &&
			(dbperf_node_is(node, "Append") || dbperf_node_is(node, "Merge Append")))
			judge_append(context, node);
	}
}
