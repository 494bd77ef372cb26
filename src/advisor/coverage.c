/*-------------------------------------------------------------------------
 *
 * coverage.c
 *		How much of what the workload asks for the existing indexes serve.
 *
 * The planner decides.  A predicate is covered if the statement's plan tests
 * it in an existing index (or reads one in the order that is asked for), and
 * uncovered if it is not, but would be with all of the advice.  What no index
 * can help counts neither way, so that following the advice gives 100 %.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/coverage.h"
#include "advisor/hypo.h"
#include "advisor/usages.h"
#include "catalog/partition.h"
#include "catalog/pg_am.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"

/* Share of the time that goes into advice; the rest is for judging. */
#define ADVICE_SHARE 0.85

/* Advice is not cut off here. */
#define COVERAGE_MAX_INDEXES 200
#define COVERAGE_MIN_IMPROVEMENT 0.01

/* An index scan of a plan. */
typedef struct IndexUse
{
	IndexDef  *def;
	int		   hypothetical; /* id, or -1 = a real index */
	Bitmapset *conditions;	 /* numbers of the index columns that are tested */
	Bitmapset *distances;	 /* ... that give the order by distance */
	bool	   ordered;		 /* the scan returns the index's order */
} IndexUse;

typedef struct CoverageRun
{
	AdviseResult *result;
	MemoryContext context; /* of the rows */
	Bitmapset	 *advised; /* ids of all advice */
	double		  weight;  /* of the statement at hand */
	List		 *rows;	   /* CoverageRow */
} CoverageRun;

/* Finds index columns, as an index scan's expressions name them. */
static bool
index_column_walker(Node *node, void *arg)
{
	Bitmapset **columns = arg;

	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		if (((Var *) node)->varno == INDEX_VAR)
			*columns = bms_add_member(*columns, ((Var *) node)->varattno);
		return false;
	}
	return expression_tree_walker(node, index_column_walker, arg);
}

/* Adds one index scan to the list. */
static void
use_add(WhatIf *whatif, Oid indexid, List *quals, List *orderby, bool ordered, List **uses)
{
	IndexUse	 *use = palloc0(sizeof(IndexUse));
	HypoRelation *hypo = dbperf_hypo_by_oid(whatif, indexid);

	use->hypothetical = hypo != NULL ? hypo->index->id : -1;
	use->def = hypo != NULL ? hypo->index->def : dbperf_index_def_of(indexid);
	use->ordered = ordered;
	index_column_walker((Node *) quals, &use->conditions);
	index_column_walker((Node *) orderby, &use->distances);
	if (use->def != NULL)
		*uses = lappend(*uses, use);
}

static void plan_uses(WhatIf *whatif, Plan *plan, List **uses);

/* The same for a list of plans. */
static void
plans_uses(WhatIf *whatif, List *plans, List **uses)
{
	ListCell *lc;

	foreach (lc, plans)
		plan_uses(whatif, lfirst(lc), uses);
}

/* Collects the index scans (IndexUse) of a plan tree. */
static void
plan_uses(WhatIf *whatif, Plan *plan, List **uses)
{
	if (plan == NULL)
		return;
	check_stack_depth();
	switch (nodeTag(plan))
	{
		case T_IndexScan:
		{
			IndexScan *scan = (IndexScan *) plan;

			use_add(whatif, scan->indexid, scan->indexqual, scan->indexorderby, true, uses);
		}
		break;
		case T_IndexOnlyScan:
		{
			IndexOnlyScan *scan = (IndexOnlyScan *) plan;

			use_add(whatif, scan->indexid, scan->indexqual, scan->indexorderby, true, uses);
		}
		break;
		case T_BitmapIndexScan:
		{
			BitmapIndexScan *scan = (BitmapIndexScan *) plan;

			use_add(whatif, scan->indexid, scan->indexqual, NIL, false, uses);
		}
		break;
		case T_Append:
			plans_uses(whatif, ((Append *) plan)->appendplans, uses);
			break;
		case T_MergeAppend:
			plans_uses(whatif, ((MergeAppend *) plan)->mergeplans, uses);
			break;
		case T_BitmapAnd:
			plans_uses(whatif, ((BitmapAnd *) plan)->bitmapplans, uses);
			break;
		case T_BitmapOr:
			plans_uses(whatif, ((BitmapOr *) plan)->bitmapplans, uses);
			break;
		case T_SubqueryScan:
			plan_uses(whatif, ((SubqueryScan *) plan)->subplan, uses);
			break;
		case T_CustomScan:
			plans_uses(whatif, ((CustomScan *) plan)->custom_plans, uses);
			break;
		default:
			break;
	}
	plan_uses(whatif, plan->lefttree, uses);
	plan_uses(whatif, plan->righttree, uses);
}

/* Plans all queries of a statement and returns the index scans. */
static List *
statement_uses(WhatIf *whatif, const Analyzed *analyzed, const char *text, Bitmapset *shown)
{
	List	 *uses = NIL;
	ListCell *lc;

	foreach (lc, analyzed->queries)
	{
		WhatIfPlan plan;

		CHECK_FOR_INTERRUPTS();
		memset(&plan, 0, sizeof(plan));
		dbperf_whatif_plan(whatif, lfirst(lc), text, analyzed->sets[0], analyzed->cursor_options,
						   shown, NIL, &plan);
		plan_uses(whatif, plan.plan->planTree, &uses);
		plans_uses(whatif, plan.plan->subplans, &uses);
	}
	return uses;
}

/*
 * The usage's columns as those of the index's table, which may be a partition
 * of the usage's; NIL if it is another table.
 */
static List *
columns_on_table(const Usage *usage, Oid relid)
{
	IndexDef  def;
	IndexDef *child;
	List	 *columns = NIL;
	ListCell *lc;

	if (usage->relid == relid)
		return usage->columns;
	if (!get_rel_relispartition(relid) ||
		!list_member_oid(get_partition_ancestors(relid), usage->relid))
		return NIL;
	memset(&def, 0, sizeof(def));
	def.relid = usage->relid;
	def.am = usage->am;
	foreach (lc, usage->columns)
	{
		if (def.nkeys < INDEX_MAX_KEYS)
			def.columns[def.nkeys++] = *(IndexColumn *) lfirst(lc);
	}
	def.ncolumns = def.nkeys;
	child = dbperf_index_def_for_child(&def, relid);
	for (int i = 0; child != NULL && i < child->nkeys; i++)
		columns = lappend(columns, &child->columns[i]);
	return columns;
}

/* Whether the index scan does what the usage asks for. */
static bool
use_serves(const IndexUse *use, const Usage *usage)
{
	Usage own = *usage;
	int	  place;

	own.columns = columns_on_table(usage, use->def->relid);
	if (own.columns == NIL)
		return false;
	own.relid = use->def->relid;
	own.attno = ((IndexColumn *) linitial(own.columns))->attno;
	place = dbperf_column_in_key(linitial(own.columns), use->def) + 1;

	switch (usage->kind)
	{
		case USAGE_ORDER:
		case USAGE_GROUP:
			if (own.am != BTREE_AM_OID)
				return place > 0 && bms_is_member(place, use->distances);
			return use->ordered &&
				   dbperf_candidate_serves(use->def, bms_num_members(use->conditions), &own);
		case USAGE_EQUAL:
		case USAGE_NULLNESS:
			/* what a partial index implies is not tested */
			if (dbperf_candidate_in_predicate(use->def, own.attno))
				return true;
			/* FALLTHROUGH */
		default:
			return place > 0 && bms_is_member(place, use->conditions);
	}
}

/* The first scan that serves the usage; hypothetical ones only if so asked. */
static const IndexUse *
find_use(List *uses, const Usage *usage, bool hypothetical)
{
	ListCell *lc;

	foreach (lc, uses)
	{
		const IndexUse *use = lfirst(lc);

		if ((use->hypothetical >= 0) == hypothetical && use_serves(use, usage))
			return use;
	}
	return NULL;
}

/* The advice that proposes a candidate, or NULL. */
static const Advice *
advice_of(const AdviseResult *result, int candidate)
{
	ListCell *lc;

	foreach (lc, result->advice)
	{
		const Advice *advice = lfirst(lc);

		if (advice->candidate->id == candidate)
			return advice;
	}
	return NULL;
}

/* SubjectVisitor: judges each usage of the statement. */
static void
visit_subject(Subject *subject, const Analyzed *analyzed, void *arg)
{
	CoverageRun	 *run = arg;
	AdviseResult *result = run->result;
	List		 *now;
	List		 *then = NIL;
	List		 *rows = NIL;
	MemoryContext old;
	ListCell	 *lc;

	now = statement_uses(result->whatif, analyzed, subject->text, NULL);
	if (!bms_is_empty(run->advised))
		then = statement_uses(result->whatif, analyzed, subject->text, run->advised);
	foreach (lc, result->candidates->usages)
	{
		const Usage	   *usage = lfirst(lc);
		const IndexUse *use;
		CoverageRow	   *row;

		if (!bms_is_member(subject->number, usage->subjects))
			continue;
		use = find_use(now, usage, false);
		if (use == NULL)
			use = find_use(then, usage, true);
		if (use == NULL)
			continue;
		row = MemoryContextAllocZero(run->context, sizeof(CoverageRow));
		row->subject = subject;
		row->usage = usage;
		row->weight = run->weight;
		if (use->hypothetical >= 0)
			row->suggestion = advice_of(result, use->hypothetical);
		rows = lappend(rows, row);
	}

	old = MemoryContextSwitchTo(run->context);
	run->rows = list_concat(run->rows, rows);
	MemoryContextSwitchTo(old);
}

/* What a statement weighs: its time, or its cost where there is no time. */
static double
subject_weight(const AdviseResult *result, const SubjectResult *subject)
{
	return result->workload->explicit_texts ? subject->cost_before : subject->subject->total_ms;
}

/* Whether any usage is the subject's. */
static bool
has_usages(const AdviseResult *result, const Subject *subject)
{
	ListCell *lc;

	foreach (lc, result->candidates->usages)
	{
		if (bms_is_member(subject->number, ((Usage *) lfirst(lc))->subjects))
			return true;
	}
	return false;
}

/* Notes that the time did not suffice for a subject. */
static void
leave_out(AdviseResult *result, const Subject *subject)
{
	result->complete = false;
	result->left_out = bms_add_member(result->left_out, subject->number);
}

/* Visits all analysed subjects until the time is over. */
static void
judge(CoverageRun *run, int64 end_ns)
{
	double	  total = 0;
	ListCell *lc;

	foreach (lc, run->result->subjects)
		total += subject_weight(run->result, lfirst(lc));
	foreach (lc, run->result->subjects)
	{
		SubjectResult *subject = lfirst(lc);
		int64		   left_ms = (end_ns - dbperf_now_ns()) / 1000000;
		bool		   timed_out = left_ms <= 0;

		if (!has_usages(run->result, subject->subject))
			continue;
		run->weight = total > 0 ? subject_weight(run->result, subject) / total : 0;
		if (!timed_out)
			dbperf_subject_visit(subject->subject, (int) Min(left_ms, INT_MAX), visit_subject, run,
								 &timed_out);
		if (timed_out)
			leave_out(run->result, subject->subject);
	}
}

/*
 * Judges the workload; see coverage.h.
 */
List *
dbperf_coverage(ArrayType *queries, int64 time_limit_ms, AdviseResult **result)
{
	AdviseRequest request;
	int64		  end_ns = dbperf_now_ns() + time_limit_ms * 1000000;
	CoverageRun	  run;
	ListCell	 *lc;

	memset(&request, 0, sizeof(request));
	request.queries = queries;
	request.storage_budget = -1;
	request.max_indexes = COVERAGE_MAX_INDEXES;
	request.min_improvement = COVERAGE_MIN_IMPROVEMENT;
	request.time_limit_ms = Max((int64) (time_limit_ms * ADVICE_SHARE), 1);

	memset(&run, 0, sizeof(run));
	run.context = CurrentMemoryContext;
	run.result = dbperf_advise(&request);
	foreach (lc, run.result->advice)
		run.advised = bms_add_member(run.advised, ((Advice *) lfirst(lc))->candidate->id);
	judge(&run, end_ns);
	*result = run.result;
	return run.rows;
}
