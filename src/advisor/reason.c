/*-------------------------------------------------------------------------
 *
 * reason.c
 *		Says in words why an index is worth it.
 *
 * The sentence is for the one who has to decide: whom the index serves, what
 * the most important of those statements does now and what it would do then,
 * what that costs, and what the index costs.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "advisor/selection.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "core/core.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/parsetree.h"
#include "parser/scansup.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* More query ids than this are counted, not listed. */
#define MAX_LISTED_QUERIES 5

/* Bytes of a recorded statement that are shown. */
#define MAX_TEXT 60

/* How a plan comes by the rows of one table. */
typedef struct Access
{
	Oid		relid; /* of the table */
	NodeTag scan;  /* of the most expensive scan; T_Invalid = none */
	Cost	cost;
	Oid		index; /* that it uses, real or not */
	int		sorts; /* in the whole plan */
} Access;

/* What a visit plans and fills in. */
typedef struct Comparison
{
	const Bitmapset *from;
	const Bitmapset *to;
	Access			 now;
	Access			 then;
} Comparison;

/* Whether a table is the one that is looked at, or a partition of it. */
static bool
is_table(Oid relid, Oid table)
{
	return relid == table || (get_rel_relispartition(relid) &&
							  list_member_oid(get_partition_ancestors(relid), table));
}

/* Looks at one scan. */
static void
note_scan(Access *access, PlannedStmt *stmt, Plan *plan, Oid index)
{
	RangeTblEntry *rte = rt_fetch(((Scan *) plan)->scanrelid, stmt->rtable);

	if (rte->rtekind != RTE_RELATION || !is_table(rte->relid, access->relid) ||
		(access->scan != T_Invalid && plan->total_cost <= access->cost))
		return;
	access->scan = nodeTag(plan);
	access->cost = plan->total_cost;
	access->index = index;
}

/* The first index that the tree below a bitmap heap scan reads. */
static Oid
bitmap_index(Plan *plan)
{
	switch (nodeTag(plan))
	{
		case T_BitmapIndexScan:
			return ((BitmapIndexScan *) plan)->indexid;
		case T_BitmapAnd:
			return bitmap_index(linitial(((BitmapAnd *) plan)->bitmapplans));
		case T_BitmapOr:
			return bitmap_index(linitial(((BitmapOr *) plan)->bitmapplans));
		default:
			return InvalidOid;
	}
}

static void note_plan(Access *access, PlannedStmt *stmt, Plan *plan);

/* Looks at each plan of a list. */
static void
note_plans(Access *access, PlannedStmt *stmt, List *plans)
{
	ListCell *lc;

	foreach (lc, plans)
		note_plan(access, stmt, lfirst(lc));
}

/* Looks at a plan and those below it. */
static void
note_plan(Access *access, PlannedStmt *stmt, Plan *plan)
{
	if (plan == NULL)
		return;
	check_stack_depth();

	switch (nodeTag(plan))
	{
		case T_SeqScan:
		case T_SampleScan:
		case T_TidScan:
		case T_TidRangeScan:
			note_scan(access, stmt, plan, InvalidOid);
			break;
		case T_IndexScan:
			note_scan(access, stmt, plan, ((IndexScan *) plan)->indexid);
			break;
		case T_IndexOnlyScan:
			note_scan(access, stmt, plan, ((IndexOnlyScan *) plan)->indexid);
			break;
		case T_BitmapHeapScan:
			note_scan(access, stmt, plan, bitmap_index(outerPlan(plan)));
			break;
		case T_Sort:
		case T_IncrementalSort:
			access->sorts++;
			break;
		case T_Append:
			note_plans(access, stmt, ((Append *) plan)->appendplans);
			break;
		case T_MergeAppend:
			note_plans(access, stmt, ((MergeAppend *) plan)->mergeplans);
			break;
		case T_SubqueryScan:
			note_plan(access, stmt, ((SubqueryScan *) plan)->subplan);
			break;
		default:
			break;
	}
	note_plan(access, stmt, outerPlan(plan));
	note_plan(access, stmt, innerPlan(plan));
}

/* CostVisitor: plans before and after, and looks at both. */
static void
visit_comparison(CostCache *cache, SubjectCosts *costs, const Analyzed *analyzed, void *arg)
{
	Comparison *comparison = arg;
	ListCell   *lc;

	foreach (lc, analyzed->queries)
	{
		for (int side = 0; side < 2; side++)
		{
			Access	  *access = side == 0 ? &comparison->now : &comparison->then;
			WhatIfPlan plan;

			dbperf_whatif_plan(cache->whatif, lfirst_node(Query, lc), costs->subject->text,
							   analyzed->sets[0], analyzed->cursor_options,
							   (Bitmapset *) (side == 0 ? comparison->from : comparison->to), NIL,
							   &plan);
			note_plan(access, plan.plan, plan.plan->planTree);
			note_plans(access, plan.plan, plan.plan->subplans);
		}
	}
}

/* A number of bytes as people write it. */
static char *
pretty_size(int64 bytes)
{
	return TextDatumGetCString(DirectFunctionCall1(pg_size_pretty, Int64GetDatum(bytes)));
}

/* A cost with as many digits as it is worth. */
static char *
pretty_cost(double cost)
{
	return psprintf(cost < 100.0 ? "%.2f" : "%.0f", cost);
}

/* What is done now to come by the rows. */
static void
append_now(StringInfo out, Selection *sel, const Access *access)
{
	const char *name = OidIsValid(access->index) ? get_rel_name(access->index) : NULL;

	switch (access->scan)
	{
		case T_SeqScan:
			appendStringInfo(
				out, "reads all of %s (%s) now", dbperf_table_name(access->relid),
				pretty_size((int64) (dbperf_table_pages(sel->writes, access->relid) * BLCKSZ)));
			break;
		case T_IndexScan:
		case T_IndexOnlyScan:
		case T_BitmapHeapScan:
			appendStringInfo(out, "reads %s by ", dbperf_table_name(access->relid));
			if (name != NULL)
				appendStringInfo(out, "the index %s now", quote_identifier(name));
			else
				appendStringInfoString(out, "an index proposed above");
			break;
		default:
			appendStringInfo(out, "reads %s now", dbperf_table_name(access->relid));
			break;
	}
}

/* What would be done then. */
static void
append_then(StringInfo out, const Access *now, const Access *then)
{
	switch (then->scan)
	{
		case T_IndexScan:
			appendStringInfoString(out, " and would use an index scan");
			break;
		case T_IndexOnlyScan:
			appendStringInfoString(out, " and would use an index-only scan");
			break;
		case T_BitmapHeapScan:
			appendStringInfoString(out, " and would use a bitmap scan");
			break;
		default:
			appendStringInfoString(out, " and would get a cheaper plan");
			break;
	}
	if (then->sorts < now->sorts)
		appendStringInfoString(out, " without a sort");
}

/* "Query 3" or "Queries 3, 5 and 2 more". */
static void
append_subjects(StringInfo out, const List *subjects)
{
	int		  n = list_length(subjects);
	int		  listed = n > MAX_LISTED_QUERIES ? MAX_LISTED_QUERIES - 1 : n;
	ListCell *lc;

	appendStringInfo(out, n == 1 ? "query " : "queries ");
	foreach (lc, subjects)
	{
		int i = foreach_current_index(lc);

		if (i >= listed)
			break;
		if (i > 0)
			appendStringInfoString(out, i == n - 1 ? " and " : ", ");
		appendStringInfo(out, INT64_FORMAT, ((Subject *) lfirst(lc))->id);
	}
	if (listed < n)
		appendStringInfo(out, " and %d more", n - listed);
}

/* Whose table it is, if not the caller's. */
static void
append_owner(StringInfo out, Oid relid)
{
	HeapTuple tuple;

	if (DBPERF_OWNS_RELATION(relid))
		return;
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tuple))
		return;
	appendStringInfo(
		out, " Only the table's owner %s can create it.",
		quote_identifier(GetUserNameFromId(((Form_pg_class) GETSTRUCT(tuple))->relowner, false)));
	ReleaseSysCache(tuple);
}

/* The beginning of a statement, on one line. */
static void
append_text(StringInfo out, const char *text)
{
	int	 len = (int) strlen(text);
	int	 clipped = dbperf_clip(text, len, MAX_TEXT, GetDatabaseEncoding());
	bool space = true;

	appendStringInfoString(out, ": ");
	for (int i = 0; i < clipped; i++)
	{
		bool is_space = scanner_isspace(text[i]);

		if (!is_space)
			appendStringInfoChar(out, text[i]);
		else if (!space)
			appendStringInfoChar(out, ' ');
		space = is_space;
	}
	if (clipped < len)
		appendStringInfoString(out, "...");
}

/* What the most important statement does now and then. */
static void
append_top(StringInfo out, Selection *sel, const Workload *workload, const Advice *advice,
		   const Config *from, const Config *to)
{
	Subject		 *top = linitial(advice->subjects);
	SubjectCosts *costs = &sel->cache->subjects[top->number];
	Oid			  relid = advice->candidate->def->relid;
	double		  total = 0;
	Comparison	  comparison = {
		   .from = from->set, .to = to->set, .now = {.relid = relid}, .then = {.relid = relid}};

	for (int i = 0; i < sel->cache->nsubjects; i++)
	{
		if (sel->cache->subjects[i].nentries > 0)
			total += sel->cache->subjects[i].subject->weight *
					 sel->cache->subjects[i].subject->cost_before;
	}

	if (list_length(advice->subjects) > 1)
		appendStringInfo(out, "; query " INT64_FORMAT, top->id);
	appendStringInfo(out, " (%.1f%% of the workload's %s",
					 100.0 * top->weight * top->cost_before / Max(total, 1e-9),
					 workload->explicit_texts ? "cost" : "time");
	if (!workload->explicit_texts)
		append_text(out, top->text);
	appendStringInfoString(out, list_length(advice->subjects) > 1 ? ") " : "), which ");

	if (dbperf_cost_visit(sel->cache, costs, visit_comparison, &comparison))
	{
		append_now(out, sel, &comparison.now);
		append_then(out, &comparison.now, &comparison.then);
		appendStringInfoString(out, ": its ");
	}
	else
		appendStringInfoString(out, "gains most: its ");
	appendStringInfo(out, "cost falls from %s to %s.", pretty_cost(from->costs[top->number]),
					 pretty_cost(to->costs[top->number]));
}

/*
 * Why the index that "to" has and "from" has not is worth it.
 */
char *
dbperf_advice_reason(Selection *sel, const Workload *workload, const Advice *advice,
					 const Config *from, const Config *to)
{
	StringInfoData out;

	initStringInfo(&out);
	if (advice->subjects != NIL)
	{
		appendStringInfoString(&out, "Serves ");
		append_subjects(&out, advice->subjects);
		append_top(&out, sel, workload, advice, from, to);
	}
	appendStringInfo(&out, " The index takes %s", pretty_size(advice->bytes));
	if (advice->write_overhead_pct >= 1)
		appendStringInfo(&out, " and makes writing a row of the table %.0f%% dearer",
						 advice->write_overhead_pct);
	appendStringInfoChar(&out, '.');
	if (OidIsValid(advice->replaces))
		appendStringInfo(&out, " It does all that %s does, which can be dropped then.",
						 dbperf_table_name(advice->replaces));
	if (advice->candidate->note != NULL)
		appendStringInfo(&out, " %s", advice->candidate->note);
	append_owner(&out, advice->candidate->def->relid);
	return out.data;
}
