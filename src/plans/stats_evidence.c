/*-------------------------------------------------------------------------
 *
 * stats_evidence.c
 *		Which nodes of recorded plans returned other numbers of rows than the
 *		planner expected of a table's columns.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "miscadmin.h"
#include "plans/stats_advice.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* An estimate that is wrong by less does no harm, nor does one of fewer rows. */
#define MIN_Q_ERROR 3.0
#define MIN_ROWS 50.0

/* So many misestimates are looked into, and so many of one place of one plan. */
#define MAX_EVIDENCE 500
#define MAX_OF_PLACE 3

/*
 * By which factor two numbers of rows differ; less than one row counts as one.
 */
double
dbperf_stats_q_error(double a, double b)
{
	a = Max(a, 1);
	b = Max(b, 1);
	return a > b ? a / b : b / a;
}

/*
 * The OID of the table that a node scans, by its name among those of the
 * statement.  InvalidOid if there is none, or if it is not clear which.
 */
Oid
dbperf_stats_relation(const PlanNode *node, List *relations)
{
	Oid		  found = InvalidOid;
	ListCell *lc;

	if (node->relation == NULL)
		return InvalidOid;
	foreach (lc, relations)
	{
		Oid	  relid = lfirst_oid(lc);
		char *name = get_rel_name(relid);

		if (name == NULL || strcmp(name, node->relation) != 0)
			continue;
		if (node->schema != NULL)
		{
			char *schema = get_namespace_name(get_rel_namespace(relid));

			if (schema == NULL || strcmp(schema, node->schema) != 0)
				continue;
		}
		if (OidIsValid(found) && found != relid)
			return InvalidOid;
		found = relid;
	}
	return found;
}

/*
 * Whether a node reads all that its child has before it returns anything.
 */
static bool
reads_all(const PlanNode *node)
{
	return strcmp(node->type, "Sort") == 0 || strcmp(node->type, "Hash") == 0 ||
		   (strcmp(node->type, "Aggregate") == 0 && node->strategy != NULL &&
			(strcmp(node->strategy, "Hashed") == 0 || strcmp(node->strategy, "Plain") == 0));
}

/*
 * Whether a node may stop before its children are at their end.
 */
static bool
stops_early(const PlanNode *node)
{
	return strcmp(node->type, "Limit") == 0 || strcmp(node->type, "Merge Join") == 0 ||
		   (node->join_type != NULL &&
			(strcmp(node->join_type, "Semi") == 0 || strcmp(node->join_type, "Anti") == 0));
}

/*
 * Whether the rows of a node are all that it had, as far as the plan shows: no
 * node above it may have stopped early.
 */
bool
dbperf_stats_ran_to_end(const PlanNode *node)
{
	for (; node->parent != NULL; node = node->parent)
	{
		const PlanNode *parent = node->parent;

		if (node->subplan_name != NULL)
			return false;
		if (reads_all(parent))
			return true;
		if (stops_early(parent))
			return false;
	}
	return true;
}

/*
 * The number of processes that share the rows of a node: as planned, weighed as
 * get_parallel_divisor() does, and as they ran.
 */
static void
parallel_shares(const PlanNode *node, double *planned, double *launched)
{
	*planned = 1;
	*launched = 1;
	if (!node->parallel_aware)
		return;
	for (const PlanNode *above = node->parent; above != NULL; above = above->parent)
	{
		if (strcmp(above->type, "Gather") == 0 || strcmp(above->type, "Gather Merge") == 0)
		{
			double workers = dbperf_plan_number(above, "Workers Planned", 0);

			*planned = workers + Max(1.0 - 0.3 * workers, 0);
			*launched = dbperf_plan_number(above, "Workers Launched", workers) + 1;
			return;
		}
	}
}

/*
 * The rows of one execution of a node, of all processes together, and the
 * estimate of them.
 */
double
dbperf_stats_loop_rows(const PlanNode *node, double *estimated)
{
	double planned;
	double launched;

	parallel_shares(node, &planned, &launched);
	*estimated = node->plan_rows * Max(planned, 1);
	return node->actual_rows * Min(launched, Max(node->actual_loops, 1));
}

/* ---- scans ---- */

/*
 * Whether an index has a predicate: conditions that it implies are not in the
 * plan.
 */
static bool
index_is_partial(const char *name, Oid relid)
{
	Oid		  index = get_relname_relid(name, get_rel_namespace(relid));
	HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	bool	  partial;

	if (!HeapTupleIsValid(tuple))
		return true;
	partial = !heap_attisnull(tuple, Anum_pg_index_indpred, NULL);
	ReleaseSysCache(tuple);
	return partial;
}

static bool
uses_partial_index(const PlanNode *node, Oid relid)
{
	ListCell *lc;

	if (node->index != NULL && index_is_partial(node->index, relid))
		return true;
	if (strcmp(node->type, "Bitmap Heap Scan") != 0 && strncmp(node->type, "Bitmap", 6) != 0)
		return false;
	foreach (lc, node->children)
	{
		const PlanNode *child = lfirst(lc);

		if (strncmp(child->type, "Bitmap", 6) == 0 && uses_partial_index(child, relid))
			return true;
	}
	return false;
}

/*
 * All conditions of a scan.
 */
void
dbperf_stats_scan_conditions(const PlanNode *node, Oid relid, StatsConditions *conditions)
{
	static const char *const keys[] = {"Index Cond", "Recheck Cond", "Filter"};
	const char				*alias = node->alias != NULL ? node->alias : node->relation;

	for (int i = 0; i < lengthof(keys); i++)
	{
		const char *text = dbperf_plan_property(node, keys[i]);

		if (text != NULL)
			dbperf_stats_conditions(text, alias, relid, conditions);
	}
	if (uses_partial_index(node, relid))
		conditions->opaque = true;
}

/*
 * Whether a node reads a table in one of the ways that have an estimate.
 */
bool
dbperf_stats_is_scan(const PlanNode *node)
{
	static const char *const types[] = {"Seq Scan", "Index Scan", "Index Only Scan",
										"Bitmap Heap Scan"};

	for (int i = 0; i < lengthof(types); i++)
	{
		if (strcmp(node->type, types[i]) == 0)
			return true;
	}
	return false;
}

/*
 * Adds a column to the evidence, in order.  Returns false if there are too many.
 */
bool
dbperf_stats_add_column(StatsEvidence *evidence, AttrNumber attno)
{
	int place = 0;

	while (place < evidence->ncolumns && evidence->columns[place] < attno)
		place++;
	if (place < evidence->ncolumns && evidence->columns[place] == attno)
		return true;
	if (evidence->ncolumns == STATS_COLUMNS)
		return false;
	memmove(&evidence->columns[place + 1], &evidence->columns[place],
			sizeof(AttrNumber) * (evidence->ncolumns - place));
	evidence->columns[place] = attno;
	evidence->ncolumns++;
	return true;
}

/*
 * Evidence of a scan, or NULL if its conditions are not known.
 */
static StatsEvidence *
scan_evidence(const PlanNode *node, Oid relid)
{
	StatsEvidence  *evidence = palloc0(sizeof(StatsEvidence));
	StatsConditions conditions = {0};
	ListCell	   *lc;

	dbperf_stats_scan_conditions(node, relid, &conditions);
	if (conditions.list == NIL)
		return NULL;
	evidence->relid = relid;
	evidence->conditions = conditions.list;
	evidence->opaque = conditions.opaque;
	foreach (lc, conditions.list)
	{
		if (!dbperf_stats_add_column(evidence, ((StatsCondition *) lfirst(lc))->attno))
			return NULL;
	}
	return evidence;
}

/* ---- all ---- */

/*
 * Whether a node's estimate is wrong enough.  One that may have been stopped
 * early has had more rows than it shows, never fewer.
 */
static bool
is_misestimated(const PlanNode *node, bool failed, double *estimated, double *actual)
{
	if (!node->has_cost || !node->has_actual || node->never_executed || node->actual_loops < 1)
		return false;
	*actual = dbperf_stats_loop_rows(node, estimated);
	if (dbperf_stats_q_error(*estimated, *actual) < MIN_Q_ERROR ||
		Max(*estimated, *actual) * node->actual_loops < MIN_ROWS)
		return false;
	return *actual > *estimated || (!failed && dbperf_stats_ran_to_end(node));
}

/*
 * Whether there is enough evidence of this place of this plan; other executions
 * of it may have had other constants.
 */
static bool
is_known(List *list, const SlowStatement *statement, int line)
{
	int		  count = 0;
	ListCell *lc;

	foreach (lc, list)
	{
		const StatsEvidence *evidence = lfirst(lc);

		if (evidence->queryid == statement->queryid && evidence->plan_id == statement->plan_id &&
			evidence->line == line)
			count++;
	}
	return count >= MAX_OF_PLACE;
}

/*
 * Whether statistics can be made of a relation by whom it belongs to.
 */
static bool
is_table(Oid relid)
{
	char relkind = get_rel_relkind(relid);

	return relid >= FirstNormalObjectId &&
		   (relkind == RELKIND_RELATION || relkind == RELKIND_MATVIEW ||
			relkind == RELKIND_PARTITIONED_TABLE);
}

/*
 * What a node shows, or NULL.
 */
static StatsEvidence *
node_evidence(const SlowStatement *statement, const PlanNode *node)
{
	StatsEvidence *evidence = NULL;
	double		   estimated;
	double		   actual;

	if (!is_misestimated(node, statement->failed, &estimated, &actual))
		return NULL;
	if (dbperf_stats_is_scan(node))
	{
		Oid relid = dbperf_stats_relation(node, statement->relations);

		if (OidIsValid(relid))
			evidence = scan_evidence(node, relid);
	}
	else
		evidence = dbperf_stats_grouping(node, statement->relations);
	if (evidence == NULL || !is_table(evidence->relid))
		return NULL;
	evidence->queryid = statement->queryid;
	evidence->plan_id = statement->plan_id;
	evidence->line = node->line;
	evidence->started_at = statement->started_at;
	evidence->estimated = estimated;
	evidence->actual = actual;
	evidence->q_error = dbperf_stats_q_error(estimated, actual);
	return evidence;
}

/*
 * The misestimates of these SlowStatements, as StatsEvidence.
 */
List *
dbperf_stats_evidence(List *statements)
{
	List	 *list = NIL;
	ListCell *lc;
	ListCell *lc2;

	foreach (lc, statements)
	{
		const SlowStatement *statement = lfirst(lc);
		PlanTree			*tree;

		CHECK_FOR_INTERRUPTS();
		tree = dbperf_plan_parse(statement->plan);
		if (tree == NULL || !tree->analyzed)
			continue;
		foreach (lc2, tree->nodes)
		{
			const PlanNode *node = lfirst(lc2);
			StatsEvidence  *evidence;

			if (list_length(list) >= MAX_EVIDENCE)
				return list;
			if (is_known(list, statement, node->line))
				continue;
			evidence = node_evidence(statement, node);
			if (evidence != NULL)
				list = lappend(list, evidence);
		}
	}
	return list;
}
