/*-------------------------------------------------------------------------
 *
 * cache_plan.c
 *		Which statements get the result cache's node, decided when they are
 *		planned.
 *
 * A statement is wanted if a hint or a list says so, or, in auto mode, if it is
 * known to pay (cache_admission.c).  Only then is its tree walked and printed,
 * which costs more than the planning of a small statement.
 *
 * In auto mode there is one more case.  A generic plan is made once, often
 * before anybody can know whether it pays, and is then used many times.  So
 * plans without values of parameters, of statements that have parameters or
 * stand in functions, get the node if they are expensive, and an execution
 * asks whether it pays.  What is cheap is remembered, so that a statement that
 * is planned over and over again is printed once.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "cache/cache_check.h"
#include "core/core.h"
#include "core/exec_hooks.h"
#include "nodes/nodeFuncs.h"
#include "utils/inval.h"
#include "utils/plancache.h"
#include "utils/syscache.h"

/* cost units that a millisecond is about */
#define COST_PER_MS 100.0

/* Why a statement is wanted. */
typedef enum Wanted
{
	WANTED_NO,
	WANTED_REFUSED,	 /* it would be, but it is listed as never to be cached */
	WANTED_HINTED,	 /* by a hint or a list */
	WANTED_ADMITTED, /* known to pay */
	WANTED_PERHAPS	 /* if its plan is expensive */
} Wanted;

/* From before to after planning. */
typedef struct CachePlanning
{
	CacheShape *shape;
	Wanted		wanted;
} CachePlanning;

/* ---- what is wanted ---- */

/* Adds the relations of a query to a list. */
static bool
relation_walker(Node *node, List **relations)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		if (rte->rtekind == RTE_RELATION)
			*relations = lappend_oid(*relations, rte->relid);
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, relation_walker, relations,
								 QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, relation_walker, relations);
}

/*
 * What is listed about a query and the tables that it reads.
 */
static CacheListed
listed(Query *query)
{
	CacheListed by_query = dbperf_cache_listed_query((int64) query->queryId);
	List	   *relations = NIL;
	CacheListed by_table;

	if (by_query == CACHE_LISTED_REFUSED || !dbperf_cache_tables_listed())
		return by_query;
	(void) relation_walker((Node *) query, &relations);
	by_table = dbperf_cache_listed_tables(relations);
	list_free(relations);
	return by_table == CACHE_LISTED_NO ? by_query : by_table;
}

/* Whether a function runs that the statement stands in. */
static bool
in_function(void)
{
	return dbperf_statement_level() > dbperf_explaining || dbperf_in_function();
}

/*
 * Whether this is a plan that is made without values, of a statement that may
 * be executed often.
 */
static bool
perhaps_generic(const Query *query, const char *source, ParamListInfo params)
{
	if (params != NULL || query->queryId == 0)
		return false;
	if (strchr(source, '$') == NULL && !in_function())
		return false;
	return dbperf_cache_marked((int64) query->queryId) == CACHE_MARK_NONE;
}

static Wanted
wanted(Query *query, const char *source, ParamListInfo params)
{
	bool   hinted = dbperf_cache_hinted(source, query->stmt_location, query->stmt_len);
	bool   automatic = dbperf_cache_mode == CACHE_MODE_AUTO;
	Wanted result = WANTED_NO;

	if (hinted)
		result = WANTED_HINTED;
	else if (automatic && dbperf_cache_admitted((int64) query->queryId))
		result = WANTED_ADMITTED;
	else if (automatic && perhaps_generic(query, source, params))
		result = WANTED_PERHAPS;

	switch (listed(query))
	{
		case CACHE_LISTED_REFUSED:
			return result == WANTED_NO ? WANTED_NO : WANTED_REFUSED;
		case CACHE_LISTED_YES:
			return WANTED_HINTED;
		default:
			return result;
	}
}

/* ---- catalogs that planning reads ---- */

static uint64 generation = 0;

/*
 * Casts, operator classes or text search were changed.  Plans do not depend on them as far as
 * the server knows, but what was folded into a plan, and the verdict on it, do.
 */
static void
catalog_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	generation++;
	ResetPlanCache();
}

/*
 * A number that is another one after each change of these catalogs that this
 * process has heard of.  It listens from the first call on.
 */
uint64
dbperf_cache_generation(void)
{
	static const int caches[] = {CASTSOURCETARGET, CLAOID, TSCONFIGMAP, TSCONFIGOID, TSDICTOID};

	if (unlikely(generation == 0))
	{
		for (int i = 0; i < (int) lengthof(caches); i++)
			CacheRegisterSyscacheCallback(caches[i], catalog_changed, (Datum) 0);
		generation = 1;
	}
	return generation;
}

/* ---- before and after planning ---- */

/*
 * Notes that a statement cannot be cached.  Of one that was only perhaps wanted
 * nobody needs to know.
 */
static void
refuse(int64 queryid, Wanted why, CacheBypass reason)
{
	if (why != WANTED_HINTED)
		dbperf_cache_mark(queryid, CACHE_MARK_REFUSED);
	if (why != WANTED_PERHAPS)
		dbperf_cache_count_bypass(queryid, reason);
}

/*
 * Makes the shape of a query that is wanted, or returns NULL if it cannot be
 * cached.  The check comes first: it is cheaper.
 */
static CacheShape *
make_shape(Query *query, const char *source, Wanted why)
{
	CacheShape	checked;
	CacheShape *shape;
	char	   *object = NULL;
	CacheBypass reason = CACHE_BYPASS_REFUSED;
	uint64		before = dbperf_cache_generation();

	memset(&checked, 0, sizeof(checked));
	if (why != WANTED_REFUSED)
		reason = dbperf_cache_check_query(query, &checked, &object);
	if (reason != CACHE_BYPASS_NONE)
	{
		refuse((int64) query->queryId, why, reason);
		return NULL;
	}
	if (why == WANTED_PERHAPS && checked.params == NIL && !in_function())
		return NULL;

	shape = dbperf_shape_begin(query, source, &checked);
	if (shape == NULL)
	{
		refuse((int64) query->queryId, why, CACHE_BYPASS_TOO_LARGE);
		return NULL;
	}
	shape->generation = before;
	shape->hinted = why == WANTED_HINTED;
	return dbperf_shape_note_state(shape) ? shape : NULL;
}

/*
 * Before a statement is planned.
 */
static void *
cache_before(Query *query, const char *source, int cursor_options, ParamListInfo params)
{
	CachePlanning *planning;
	CacheShape	  *shape;
	Wanted		   why;

	if (query->commandType != CMD_SELECT || IsParallelWorker() || !dbperf_cache_usable() ||
		(dbperf_explaining > 0 && !dbperf_cache_explain_node))
		return NULL;
	why = wanted(query, source, params);
	if (why == WANTED_NO)
		return NULL;
	shape = make_shape(query, source, why);
	if (shape == NULL)
		return NULL;

	planning = palloc(sizeof(CachePlanning));
	planning->shape = shape;
	planning->wanted = why;
	return planning;
}

/*
 * After it was planned: returns the plan, with the node or without.
 */
static PlannedStmt *
cache_after(void *state, PlannedStmt *planned)
{
	CachePlanning *planning = state;
	CacheShape	  *shape = planning->shape;
	char		  *object = NULL;
	CacheBypass	   reason;

	if (planned->commandType != CMD_SELECT || planned->planTree == NULL)
		return planned;
	if (planning->wanted == WANTED_PERHAPS &&
		planned->planTree->total_cost < dbperf_cache_min_duration * COST_PER_MS)
	{
		dbperf_cache_mark(shape->queryid, CACHE_MARK_CHEAP);
		return planned;
	}

	reason = dbperf_shape_finish(shape, planned, &object);
	if (reason != CACHE_BYPASS_NONE)
	{
		refuse(shape->queryid, planning->wanted, reason);
		return planned;
	}
	return dbperf_cache_wrap(planned, shape);
}

/*
 * Whether the server could find the current row of a table in a running plan
 * of this kind, as search_plan_tree() does it, for UPDATE or DELETE ... WHERE
 * CURRENT OF.
 */
static bool
is_updatable(const Plan *plan)
{
	ListCell *lc;

	if (plan == NULL)
		return false;
	switch (nodeTag(plan))
	{
		case T_SeqScan:
		case T_SampleScan:
		case T_IndexScan:
		case T_IndexOnlyScan:
		case T_BitmapHeapScan:
		case T_TidScan:
		case T_TidRangeScan:
		case T_ForeignScan:
		case T_CustomScan:
			return true;
		case T_Append:
			foreach (lc, ((const Append *) plan)->appendplans)
				if (is_updatable(lfirst(lc)))
					return true;
			return false;
		case T_Result:
		case T_Limit:
			return is_updatable(outerPlan(plan));
		case T_SubqueryScan:
			return is_updatable(((const SubqueryScan *) plan)->subplan);
		default:
			return false;
	}
}

/*
 * Whether a statement is to be executed as if it had no node: where EXPLAIN is
 * not to show it, and for a cursor whose rows can be updated, since the server
 * does not look below the node.
 */
static bool
cache_hide(const QueryDesc *queryDesc)
{
	if (dbperf_explaining > 0 && !dbperf_cache_explain_node)
		return true;
	return dbperf_cache_starts_cursor() &&
		   is_updatable(outerPlan(queryDesc->plannedstmt->planTree));
}

/*
 * Called once, while the library is preloaded.
 */
void
dbperf_cache_plan_init(void)
{
	static const DbperfPlanner planner = {
		.wanted = &dbperf_cache_wanted,
		.before = cache_before,
		.after = cache_after,
		.unwrap = dbperf_cache_unwrap,
		.hide = cache_hide,
	};

	dbperf_planner_register(&planner);
}
