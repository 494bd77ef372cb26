/*-------------------------------------------------------------------------
 *
 * rules_shares.c
 *		Rules about time that went elsewhere than into the plan's nodes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_constraint.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "plans/findings_int.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#define JIT_SHARE 0.2
#define PLANNING_SHARE 0.5
#define PLANNING_MS 10.0
#define TRIGGER_SHARE 0.3
#define TRIGGER_CALLS 100.0
#define TRIGGER_ROW_MS 0.05 /* for each call, where only the statement was timed */
#define WORKER_EFFICIENCY 0.5

/* A property of the plan's end, or NULL. */
static const char *
summary(const PlanTree *tree, const char *key)
{
	ListCell *lc;

	foreach (lc, tree->summary)
	{
		PlanProperty *property = lfirst(lc);

		if (strcmp(property->key, key) == 0)
			return property->value;
	}
	return NULL;
}

/*
 * jit_share.  Gain: what compiling took; that the compiled code was faster is
 * not known and counts against it, so a tenth is taken off.
 */
static void
judge_jit(FindingContext *context)
{
	double		ms = context->subject->jit_ms;
	const char *timing = summary(context->tree, "Timing");
	const char *functions = summary(context->tree, "Functions");
	Finding	   *finding;

	if (ms <= 0 && timing != NULL)
	{
		const char *total = strstr(timing, "Total ");

		ms = total != NULL ? atof(total + strlen("Total ")) : 0;
	}
	if (ms <= 0 || ms < JIT_SHARE * context->total_ms)
		return;
	finding = dbperf_finding_add(context, "jit_share", NULL, 0.9 * ms);
	finding->evidence = psprintf("%.1f of %.1f ms went into compiling%s%s%s", ms, context->total_ms,
								 functions != NULL ? " " : "", functions != NULL ? functions : "",
								 functions != NULL ? " functions" : "");
	finding->advice = "JIT compilation pays for long scans with many expressions only. Turn it "
					  "off for this query or role, or raise jit_above_cost.";
	finding->setting = "jit = off";
}

/*
 * planning_share.  Gain: the planning, which a prepared statement with a generic
 * plan does not repeat.
 */
static void
judge_planning(FindingContext *context)
{
	double	 ms = context->subject->planning_ms;
	double	 all = ms + context->total_ms;
	Finding *finding;

	if (ms < PLANNING_MS || ms < PLANNING_SHARE * all)
		return;
	finding = dbperf_finding_add(context, "planning_share", NULL, ms);
	finding->evidence = psprintf("planning took %.1f ms, execution %.1f ms", ms, context->total_ms);
	finding->advice = "Prepare the statement, so that its plan is kept; use fewer partitions, or a "
					  "condition on the partition key that is known when planning; look for "
					  "indexes that nobody uses.";
}

/* The foreign key that refers to one of the plan's tables and has this name. */
static HeapTuple
find_foreign_key(const FindingContext *context, const char *name)
{
	Relation	catalog = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	HeapTuple	found = NULL;

	ScanKeyInit(&key, Anum_pg_constraint_conname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(name));
	scan = systable_beginscan(catalog, ConstraintNameNspIndexId, true, NULL, 1, &key);
	while (found == NULL && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		if (form->contype == CONSTRAINT_FOREIGN &&
			list_member_oid(context->subject->relations, form->confrelid))
			found = heap_copytuple(tuple);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

/*
 * The index that a foreign key's checks lack when rows that it refers to are
 * deleted or changed; NULL if it has one.
 */
static char *
foreign_key_index(const FindingContext *context, const char *name, char **referencing)
{
	HeapTuple	  tuple = find_foreign_key(context, name);
	FindingTable *table;
	AttrNumber	  keys[INDEX_MAX_KEYS];
	AttrNumber	  referenced[INDEX_MAX_KEYS];
	int			  n;
	List		 *columns = NIL;

	if (tuple == NULL)
		return NULL;
	table = dbperf_finding_table_by_oid(((Form_pg_constraint) GETSTRUCT(tuple))->conrelid);
	DeconstructFkConstraintRow(tuple, &n, keys, referenced, NULL, NULL, NULL, NULL, NULL);
	if (table == NULL)
		return NULL;
	for (int i = 0; i < n; i++)
	{
		char *column = get_attname(table->relid, keys[i], true);

		if (column == NULL || (i == 0 && dbperf_column_is_indexed(table, column)))
			return NULL;
		columns = lappend(columns, pstrdup(quote_identifier(column)));
	}
	*referencing = table->name;
	return dbperf_ddl_index(table, columns);
}

/* What a trigger's line says. */
static void
read_trigger(const char *value, char **constraint, double *ms, double *calls)
{
	const char *p = strstr(value, "for constraint ");
	const char *end = NULL;

	*constraint = NULL;
	*ms = -1;
	*calls = 0;
	for (const char *colon = strstr(value, ": "); colon != NULL; colon = strstr(colon + 1, ": "))
		end = colon;
	if (end == NULL)
		return;
	if (strncmp(end + 2, "time=", 5) == 0)
		*ms = atof(end + 7);
	if (strstr(end, "calls=") != NULL)
		*calls = atof(strstr(end, "calls=") + 6);
	if (p != NULL && p < end)
	{
		char *on;

		p += strlen("for constraint ");
		*constraint = pnstrdup(p, end - p);
		on = strstr(*constraint, " on ");
		if (on != NULL)
			*on = '\0';
	}
}

/*
 * trigger_share.  Gain: of a foreign key's check that has no index, its time;
 * of other triggers it is not known.  Without times it is what the nodes leave.
 */
static void
judge_trigger(FindingContext *context, const PlanProperty *property)
{
	char	*constraint;
	char	*referencing = NULL;
	char	*ddl = NULL;
	double	 ms;
	double	 calls;
	Finding *finding;

	read_trigger(property->value, &constraint, &ms, &calls);
	if (constraint != NULL)
		ddl = foreign_key_index(context, constraint, &referencing);
	if (ms < 0 && ddl != NULL && calls >= 1)
		ms = context->total_ms * 0.9;
	else if (calls < TRIGGER_CALLS && ddl == NULL)
		return;
	else if (ms < 0 && context->total_ms >= calls * TRIGGER_ROW_MS)
		ms = context->total_ms;
	if (ms < TRIGGER_SHARE * context->total_ms)
		return;
	finding = dbperf_finding_add(context, "trigger_share", NULL, ddl != NULL ? ms * 0.95 : -1);
	finding->evidence = psprintf("trigger %s", property->value);
	finding->ddl = ddl;
	if (ddl != NULL)
		finding->advice = psprintf("For each of these rows %s is searched for rows that refer to "
								   "it. An index on the referencing columns finds them at once.",
								   referencing);
	else
	{
		finding->severity = FINDING_WARNING;
		finding->advice = "Most of the time goes into this trigger. Look at the statements in it "
						  "(dbperf.track = 'all' records them), or use a statement trigger with "
						  "transition tables instead of one for each row.";
	}
}

/* How many times faster this many processes are than one, on this machine. */
static double
speedup(double processes)
{
	double processors = (double) sysconf(_SC_NPROCESSORS_ONLN);

	return 1 + WORKER_EFFICIENCY * (Min(processes, Max(processors, 1)) - 1);
}

/*
 * workers_not_launched.  Gain: the time below the node, as far as more
 * processes would have shared it; others use the processors as well.
 */
static void
judge_workers(FindingContext *context, const PlanNode *node)
{
	double	 planned = dbperf_plan_number(node, "Workers Planned", 0);
	double	 launched = dbperf_plan_number(node, "Workers Launched", planned);
	double	 ms = dbperf_node_ms(context, node);
	Finding *finding;

	if (launched >= planned)
		return;
	finding = dbperf_finding_add(context, "workers_not_launched", node,
								 ms * (1 - speedup(launched + 1) / speedup(planned + 1)));
	finding->evidence = psprintf("%.0f of %.0f planned workers were launched", launched, planned);
	if (max_parallel_workers < planned)
	{
		finding->advice = "max_parallel_workers does not allow as many as one query may plan.";
		finding->setting = psprintf("max_parallel_workers = %.0f", planned);
	}
	else
		finding->advice = "Others had all workers at that time. Raise max_parallel_workers, and "
						  "max_worker_processes with it, if there are processors for them; or let "
						  "queries plan fewer (max_parallel_workers_per_gather).";
}

/*
 * Judges what the plan's nodes do not show.
 */
void
dbperf_judge_shares(FindingContext *context)
{
	ListCell *lc;

	judge_jit(context);
	judge_planning(context);
	foreach (lc, context->tree->summary)
	{
		PlanProperty *property = lfirst(lc);

		if (strcmp(property->key, "Trigger") == 0)
			judge_trigger(context, property);
	}
	foreach (lc, context->tree->nodes)
	{
		const PlanNode *node = lfirst(lc);

		if (node->has_actual &&
			(dbperf_node_is(node, "Gather") || dbperf_node_is(node, "Gather Merge")))
			judge_workers(context, node);
	}
}
