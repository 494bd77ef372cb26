/*-------------------------------------------------------------------------
 *
 * advise.c
 *		One run of the advisor, from the workload to a list of indexes.
 *
 * The steps are: analyse each statement and plan it as it is; find out which
 * candidates the planner would use (rounds.c); choose among them
 * (selection*.c); rank and explain what was chosen.  Each step has a share of
 * the time; what it cannot finish it leaves in a valid state.  Nothing depends
 * on the clock unless the time does not suffice.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <float.h>

#include "advisor/selection.h"
#include "catalog/pg_inherits.h"
#include "catalog/partition.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* Shares of the time limit at which the steps end. */
#define ANALYSIS_ENDS 0.50
#define ROUNDS_END 0.85
#define SEARCH_ENDS 0.92
#define TIDYING_ENDS 0.95
#define RANKING_ENDS 0.98

/* Planner calls that the search may make: a floor, and per subject. */
#define SEARCH_PLANS 1000
#define SEARCH_PLANS_PER_SUBJECT 20

/* One run. */
typedef struct Run
{
	const AdviseRequest *request;
	AdviseResult		*result;
	CostCache			*cache;
	WriteCosts			*writes;
	Selection			*sel;
	int64				 start_ns;
} Run;

/* Gives the next step its time and, if not 0, a number of planner calls. */
static void
begin_step(Run *run, double ends, int64 plans)
{
	CostCache *cache = run->cache;

	cache->deadline_ns =
		run->start_ns + (int64) (ends * (double) run->request->time_limit_ms * 1000000.0);
	cache->max_plans = plans > 0 ? cache->whatif->plans + plans : 0;
	cache->exhausted = false;
}

/* Adds a table, and the tables that it is a partition of. */
static List *
add_table(List *tables, Oid relid)
{
	tables = list_append_unique_oid(tables, relid);
	if (get_rel_relispartition(relid))
		tables = list_concat_unique_oid(tables, get_partition_ancestors(relid));
	return tables;
}

/* Walker: collects all tables of a query. */
static bool
find_tables(Node *node, void *arg)
{
	List **tables = arg;

	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		if (rte->rtekind == RTE_RELATION)
			*tables = add_table(*tables, rte->relid);
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, find_tables, arg, QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, find_tables, arg);
}

/* CostVisitor: plans the subject as it is and collects its candidates. */
static void
visit_first(CostCache *cache, SubjectCosts *costs, const Analyzed *analyzed, void *arg)
{
	Run			 *run = arg;
	List		 *tables = NIL;
	ListCell	 *lc;
	MemoryContext caller;
	double		  cost;

	foreach (lc, analyzed->queries)
		find_tables(lfirst(lc), &tables);
	cost = dbperf_cost_plan_base(cache, costs, analyzed, dbperf_write_costs_observe, run->writes);
	dbperf_candidates_collect(cache->candidates, costs->subject, analyzed);

	costs->subject->cost_before = cost;
	caller = MemoryContextSwitchTo(cache->context);
	costs->tables = list_copy(tables);
	MemoryContextSwitchTo(caller);
}

/* qsort comparator: the subject that takes most of the time first. */
static int
compare_times(const void *a, const void *b)
{
	const Subject *sa = (*(SubjectCosts *const *) a)->subject;
	const Subject *sb = (*(SubjectCosts *const *) b)->subject;

	if (sa->total_ms != sb->total_ms)
		return sa->total_ms > sb->total_ms ? -1 : 1;
	return sa->number - sb->number;
}

/* Analyses all subjects, those that take most of the time first. */
static void
analyse(Run *run)
{
	CostCache	  *cache = run->cache;
	SubjectCosts **order = palloc(sizeof(SubjectCosts *) * Max(cache->nsubjects, 1));

	for (int i = 0; i < cache->nsubjects; i++)
		order[i] = &cache->subjects[i];
	qsort(order, cache->nsubjects, sizeof(SubjectCosts *), compare_times);

	begin_step(run, ANALYSIS_ENDS, 0);
	for (int i = 0; i < cache->nsubjects; i++)
	{
		SubjectCosts *costs = order[i];
		Subject		 *subject = costs->subject;

		dbperf_cost_visit(cache, costs, visit_first, run);
		if (costs->slow)
			subject->problem = "Planning it took more than its share of time_limit.";
		else if (subject->problem == NULL && costs->nentries > 0 && subject->cost_before <= 0)
			subject->problem = "The planner expects it to cost nothing.";
		if (subject->problem != NULL)
			costs->nentries = 0;
		subject->weight = 1.0;
		if (!subject->explicit_text && costs->nentries > 0)
			subject->weight = subject->total_ms / subject->cost_before;
	}
	pfree(order);
}

/* The better of two configurations; frees the other. */
static Config *
better_of(Config *a, Config *b)
{
	if (a == NULL)
		return b;
	if (b->objective < a->objective)
	{
		dbperf_config_free(a);
		return b;
	}
	dbperf_config_free(b);
	return a;
}

/* Chooses the indexes. */
static Config *
choose(Run *run, const Config *empty)
{
	static const double by_bytes[] = {0.0, 0.5, 1.0};
	Selection		   *sel = run->sel;
	bool				limited = run->request->storage_budget >= 0;
	Config			   *best = NULL;
	int64 plans = SEARCH_PLANS + (int64) run->cache->nsubjects * SEARCH_PLANS_PER_SUBJECT;

	begin_step(run, SEARCH_ENDS, plans);
	for (int i = 0; i < (limited ? lengthof(by_bytes) : 1); i++)
	{
		Config *config = dbperf_selection_greedy(sel, empty, NULL, by_bytes[i]);

		if (limited || config->count >= run->request->max_indexes)
			config = dbperf_selection_search(sel, config, true);
		best = better_of(best, config);
	}
	if (limited || best->count >= run->request->max_indexes)
	{
		best = dbperf_selection_explore(sel, best);
		best = dbperf_selection_branch(sel, empty, best);
	}
	begin_step(run, TIDYING_ENDS, plans);
	best = dbperf_selection_prune(sel, best);
	best = dbperf_selection_tidy(sel, best);
	return dbperf_selection_prune(sel, best);
}

/* Takes out indexes whose tables were changed meanwhile. */
static Config *
still_valid(Run *run, Config *config)
{
	Bitmapset *set = bms_copy(config->set);
	int		   id = -1;

	while ((id = bms_next_member(config->set, id)) >= 0)
	{
		if (!dbperf_index_def_valid(run->result->candidates->candidates[id]->def))
			set = bms_del_member(set, id);
	}
	return bms_equal(set, config->set) ? config : dbperf_config_with(run->sel, config, set);
}

/* Sum of weight times cost over the active subjects. */
static double
reads_of(const Config *config)
{
	return config->objective - config->writes;
}

/* A subject and what it gains. */
typedef struct Gainer
{
	Subject *subject;
	double	 gain;
} Gainer;

/* qsort comparator: the largest gain first. */
static int
compare_gainers(const void *a, const void *b)
{
	const Gainer *ga = a;
	const Gainer *gb = b;

	if (ga->gain != gb->gain)
		return ga->gain > gb->gain ? -1 : 1;
	return ga->subject->number - gb->subject->number;
}

/*
 * The subjects that gain from an index: on the way up to it, or that lose if
 * it is taken out in the end.
 */
static List *
gaining_subjects(Run *run, const Config *from, const Config *to, const Config *without,
				 const Config *final)
{
	CostCache *cache = run->cache;
	Gainer	  *gainers = palloc(sizeof(Gainer) * Max(cache->nsubjects, 1));
	List	  *result = NIL;
	int		   n = 0;

	for (int i = 0; i < cache->nsubjects; i++)
	{
		Subject *subject = cache->subjects[i].subject;
		double	 gain = Max(from->costs[i] - to->costs[i], without->costs[i] - final->costs[i]);

		if (!cache->subjects[i].active || gain < 0.01 * subject->cost_before)
			continue;
		gainers[n].subject = subject;
		gainers[n++].gain = gain * subject->weight;
	}
	qsort(gainers, n, sizeof(Gainer), compare_gainers);
	for (int i = 0; i < n; i++)
		result = lappend(result, gainers[i].subject);
	pfree(gainers);
	return result;
}

/* Fills in one piece of advice: the index that "to" has and "from" has not. */
static Advice *
make_advice(Run *run, int rank, const Config *from, const Config *to, const Config *final,
			double reads_before)
{
	Advice	  *advice = palloc0(sizeof(Advice));
	int		   id = bms_singleton_member(bms_difference(to->set, from->set));
	Bitmapset *others = bms_del_member(bms_copy(final->set), id);
	Config	  *without = dbperf_config_with(run->sel, final, others);

	advice->rank = rank;
	advice->candidate = run->result->candidates->candidates[id];
	advice->bytes = dbperf_candidate_bytes(run->sel, id);
	advice->cost_before = reads_of(from);
	advice->cost_after = reads_of(to);
	if (reads_before > 0)
		advice->benefit_pct =
			Max(100.0 * (advice->cost_before - advice->cost_after) / reads_before, 0);
	advice->write_overhead_pct = dbperf_write_overhead_pct(run->writes, id);
	advice->subjects = gaining_subjects(run, from, to, without, final);
	advice->candidate->verdict = psprintf("chosen rank %d", rank);

	dbperf_config_free(without);
	bms_free(others);
	return advice;
}

/*
 * The statements that create an index, as one text; NULL if its table is gone
 * or is being changed.  Names in "names" are avoided, its own is added; without
 * a list it is the first statement only.
 */
char *
dbperf_advice_ddl(const IndexDef *def, List **names)
{
	StringInfoData ddl;
	ListCell	  *lc;

	/* No visit holds a lock any more. */
	if (!ConditionalLockRelationOid(def->relid, AccessShareLock))
		return NULL;

	initStringInfo(&ddl);
	if (dbperf_index_def_valid(def) && names == NULL)
		appendStringInfoString(&ddl, dbperf_index_def_ddl(def, NULL, true));
	else if (dbperf_index_def_valid(def))
	{
		char *name = dbperf_index_def_name_free(def, *names);

		*names = lappend(*names, name);
		foreach (lc, dbperf_index_def_script(def, name))
		{
			if (ddl.len > 0)
				appendStringInfoString(&ddl, ";\n");
			appendStringInfoString(&ddl, lfirst(lc));
		}
	}
	UnlockRelationOid(def->relid, AccessShareLock);
	return ddl.len > 0 ? ddl.data : NULL;
}

/* The statements that create the index, and drop what it replaces. */
static void
add_ddl(Advice *advice, List **names)
{
	advice->ddl = dbperf_advice_ddl(advice->candidate->def, names);
	if (advice->ddl == NULL)
		advice->ddl = psprintf("-- %s was dropped or is being changed",
							   dbperf_table_name(advice->candidate->def->relid));
	else if (OidIsValid(advice->replaces))
		advice->ddl = psprintf("%s;\nDROP INDEX CONCURRENTLY %s", advice->ddl,
							   dbperf_table_name(advice->replaces));
}

/* Why a candidate that was looked at was not chosen. */
static const char *
rejection(Run *run, const Config *empty, const Config *final, int id)
{
	Selection *sel = run->sel;
	Bitmapset *alone = bms_make_singleton(id);
	Bitmapset *added = bms_add_member(bms_copy(final->set), id);
	double	   reads = empty->objective - (dbperf_selection_estimate(sel, empty, alone) -
									   dbperf_write_cost_of(run->writes, alone));
	double	   writes = dbperf_write_cost_of(run->writes, alone);

	if (reads > 0 && writes >= reads)
		return psprintf("Keeping it up to date would cost more than it saves: the workload writes"
						" about %.0f rows to the table.",
						Max(dbperf_write_rows(run->writes, id), 1.0));
	if (!dbperf_selection_fits(sel, added) &&
		final->objective - dbperf_selection_bound(sel, final, added) >
			run->request->min_improvement * final->objective)
		return final->count >= run->request->max_indexes
				   ? "Better ones reach max_indexes without it."
				   : "It does not fit into storage_budget beside better ones.";
	if (final->count > 0)
		return "Beside the chosen ones it gains too little.";
	return "It gains too little.";
}

/* Gives every candidate that was not chosen the reason. */
static void
judge_rest(Run *run, const Config *empty, const Config *final)
{
	CandidateSet *candidates = run->result->candidates;

	for (int id = 0; id < candidates->ncandidates; id++)
	{
		Candidate *candidate = candidates->candidates[id];

		if (candidate->verdict != NULL)
			continue;
		CHECK_FOR_INTERRUPTS();
		if (bms_is_member(id, run->sel->alive))
			candidate->verdict = rejection(run, empty, final, id);
		else if (run->cache->whatif->indexes[id]->bytes >= 0)
			candidate->verdict = "No plan would use it, or save enough with it.";
		else if (!run->result->complete)
			candidate->verdict = "time_limit was reached before it was looked at.";
	}
}

/* Ranks and explains the final configuration. */
static void
present(Run *run, const Config *empty, const Config *final)
{
	AdviseResult *result = run->result;
	const Config *from = empty;
	List		 *steps;
	List		 *names = NIL;
	ListCell	 *lc;

	begin_step(run, RANKING_ENDS, 0);
	steps = dbperf_selection_rank(run->sel, empty, final);
	foreach (lc, steps)
	{
		const Config *to = lfirst(lc);

		result->advice = lappend(result->advice, make_advice(run, foreach_current_index(lc) + 1,
															 from, to, final, reads_of(empty)));
		from = to;
	}

	begin_step(run, 1.0, 0);
	dbperf_advice_find_replaced(run->sel, result->advice, final);
	from = empty;
	foreach (lc, steps)
	{
		const Config *to = lfirst(lc);
		Advice		 *advice = list_nth(result->advice, foreach_current_index(lc));

		add_ddl(advice, &names);
		advice->reason = dbperf_advice_reason(run->sel, result->workload, advice, from, to);
		from = to;
	}

	result->cost_before = reads_of(empty);
	result->cost_after = reads_of(final);
	for (int i = 0; i < run->cache->nsubjects; i++)
	{
		SubjectCosts  *costs = &run->cache->subjects[i];
		SubjectResult *row;

		if (costs->nentries == 0)
			continue;
		row = palloc(sizeof(SubjectResult));
		row->subject = costs->subject;
		row->cost_before = costs->subject->cost_before;
		row->cost_after = final->costs[i];
		result->subjects = lappend(result->subjects, row);
	}
	result->left_out = dbperf_cost_left_out(run->cache);
	result->complete = !run->cache->late;
	judge_rest(run, empty, final);
}

/* All of a run, in the result's context. */
static void
run_steps(Run *run)
{
	AdviseResult		*result = run->result;
	const AdviseRequest *request = run->request;
	Config				*empty;

	result->workload = request->queries != NULL ? dbperf_workload_explicit(request->queries)
												: dbperf_workload_recorded();
	result->candidates = dbperf_candidates_create();
	result->whatif = dbperf_whatif_create();
	run->cache = dbperf_cost_cache_create(result->workload, result->candidates, result->whatif);
	run->writes = dbperf_write_costs_create(run->cache);

	analyse(run);
	dbperf_candidates_merge(result->candidates);
	dbperf_cost_cache_sync(run->cache);

	run->sel = dbperf_selection_create(request, run->cache, run->writes);
	begin_step(run, ROUNDS_END, 0);
	dbperf_rounds_own(run->sel);
	dbperf_rounds_foreign(run->sel);
	dbperf_write_costs_finish(run->writes, result->workload);

	empty = dbperf_config_empty(run->sel);
	present(run, empty, still_valid(run, choose(run, empty)));
	elog(DEBUG1,
		 "index advisor: " INT64_FORMAT " planner calls for %d statements in " INT64_FORMAT " ms",
		 result->whatif->plans, run->cache->nsubjects, (dbperf_now_ns() - run->start_ns) / 1000000);
}

/*
 * Runs the advisor.  The result lives in the current memory context.  Raises
 * errors only for cancel and the like: what is wrong with single statements is
 * in the result.
 */
AdviseResult *
dbperf_advise(const AdviseRequest *request)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "dbperf advice", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	Run			  run = {0};

	run.request = request;
	run.start_ns = dbperf_now_ns();
	run.result = palloc0(sizeof(AdviseResult));
	run.result->context = context;
	run.result->complete = true;
	run_steps(&run);

	MemoryContextSwitchTo(caller);
	return run.result;
}
