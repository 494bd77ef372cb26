/*-------------------------------------------------------------------------
 *
 * cache_scan.c
 *		The executor's node of the result cache.
 *
 * The node stands on top of a plan.  When it is begun it looks whether the
 * statement can be answered from the cache.  If so, the plan below is never
 * initialised, and the entry, pinned until the end, is replayed.  Otherwise the
 * plan is run; its rows are copied aside, if they are wanted, and stored when
 * it has run to its end.
 *
 * What the key says of settings and of the role holds when the node is begun.
 * A cursor, or a portal of the extended protocol, can be run later, in parts,
 * after SET or SET ROLE.  So before its first row and whenever it goes on that
 * is looked at once more.  If it differs, what is collected is given up, and
 * instead of a replay the plan is run; unless it is one that ends with a sort,
 * whose rows were all made with the first one.  Other plans make each row with
 * the settings of the moment, and nobody knows which of them mind, so a cursor
 * is only answered if its rows are made at once.
 *
 * What running the plan takes is measured around its calls, not counting the
 * time in which the client takes the rows.  After the first few calls only one
 * of several is measured, and counts for all of them.  What a hit takes is what
 * it takes to find the entry.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "cache/cache_node.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/extensible.h"
#include "utils/timestamp.h"

/* calls that are measured, all of the first ones and then one in so many */
#define EXACT_FETCHES 32
#define SAMPLED_FETCHES 17

static const CustomExecMethods exec_methods;

/* ---- begin ---- */

/*
 * Creates the node's state; everything else is done in begin_scan().
 */
Node *
dbperf_cache_create_scan_state(CustomScan *scan)
{
	CacheScanState *node = palloc0(sizeof(CacheScanState));

	NodeSetTag(node, T_CustomScanState);
	node->css.methods = &exec_methods;
	node->pin.entry = -1;
	node->build.place = -1;
	return (Node *) node;
}

static TupleTableSlot *exec_plan(PlanState *pstate);
static TupleTableSlot *exec_measured(PlanState *pstate);
static TupleTableSlot *exec_hit(PlanState *pstate);

/*
 * Initialises the plan below.
 */
static void
begin_plan(CacheScanState *node)
{
	PlanState	 *pstate = &node->css.ss.ps;
	EState		 *estate = pstate->state;
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);

	outerPlanState(pstate) = ExecInitNode(outerPlan(pstate->plan), estate, node->eflags);
	MemoryContextSwitchTo(old);
}

/*
 * A statement that pauses keeps its tables from being altered or dropped by its
 * own session.  As the plan does not open them on a hit, it is done here.
 */
static void
open_relations(CacheScanState *node)
{
	EState	 *estate = node->css.ss.ps.state;
	Index	  rti = 0;
	ListCell *lc;

	if (!dbperf_cache_can_pause())
		return;
	foreach (lc, estate->es_range_table)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		rti++;
		if (rte->rtekind == RTE_RELATION && rte->relkind != RELKIND_VIEW &&
			DBPERF_IS_UNPRUNED(estate, rti))
			(void) DBPERF_OPEN_RELATION(estate, rti);
	}
}

static void
begin_scan(CustomScanState *css, EState *estate, int eflags)
{
	CacheScanState *node = (CacheScanState *) css;
	CustomScan	   *scan = (CustomScan *) css->ss.ps.plan;
	bool			explain_only = (eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0;
	int64			started = dbperf_now_ns();

	node->eflags = eflags;
	node->shape = dbperf_shape_from_list(scan->custom_private);
	node->state = dbperf_cache_decide(node);
	if (explain_only)
	{
		dbperf_cache_release(node);
		begin_plan(node);
		return;
	}

	switch (node->state)
	{
		case CACHE_STATE_HIT:
			node->collecting = false;
			dbperf_cache_replay_begin(node);
			open_relations(node);
			css->ss.ps.ExecProcNode = exec_hit;
			node->ns = dbperf_now_ns() - started;
			return;
		case CACHE_STATE_BYPASS:
			node->collecting = false;
			if (node->reason != CACHE_BYPASS_OFF)
				dbperf_cache_count_bypass(node->shape->queryid, node->reason);
			css->ss.ps.ExecProcNode = exec_plan;
			break;
		default:
			node->rows.limit = (Size) dbperf_cache_max_entry_size * 1024;
			css->ss.ps.ExecProcNode = exec_measured;
			break;
	}
	begin_plan(node);
}

/* ---- execution ---- */

/*
 * Whether the key of this execution is what it was when it began.  What its own
 * transaction does to catalogs is in no slot yet.
 */
static bool
key_holds(CacheScanState *node)
{
	ExprContext	 *econtext = node->css.ss.ps.ps_ExprContext;
	MemoryContext old;
	bool		  holds;

	if (node->shape->catalogs != NIL && TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return false;
	ResetExprContext(econtext);
	old = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
	holds = dbperf_cache_key_holds(node->shape, &node->key);
	MemoryContextSwitchTo(old);
	return holds;
}

/*
 * Whether this is the first call since other commands could run.  The rows that
 * ExecutorRun has returned so far tell where it began.
 */
static inline bool
goes_on(const CacheScanState *node)
{
	return node->loose && node->css.ss.ps.state->es_processed == 0;
}

/* Runs the plan, without any more interest in it. */
static TupleTableSlot *
exec_plan(PlanState *pstate)
{
	return ExecProcNode(outerPlanState(pstate));
}

/*
 * Stores the rows that were collected, if that pays, and returns their bytes.
 * Not if the transaction has written meanwhile: what a cursor then returns
 * could depend on definitions that are never committed.
 */
static Size
store_rows(CacheScanState *node)
{
	const CacheShape *shape = node->shape;
	CacheResult		  result;
	Oid				 *relations;
	ListCell		 *lc;
	Size			  bytes = node->rows.used;

	if (!node->collecting || TransactionIdIsValid(GetTopTransactionIdIfAny()) ||
		(!shape->hinted && node->ns < dbperf_cache_min_duration * 1e6))
		return 0;

	relations = palloc((list_length(shape->relations) + 1) * sizeof(Oid));
	memset(&result, 0, sizeof(result));
	foreach (lc, shape->relations)
		relations[result.num_relations++] = lfirst_oid(lc);
	result.rows = node->rows.data;
	result.bytes = bytes;
	result.num_rows = node->rows.num;
	result.cost_ms = node->ns / 1e6;
	result.count = node->now.count;
	result.queryid = shape->queryid;
	result.relations = relations;
	if (!dbperf_cache_store(&node->key, &result))
		bytes = 0;
	pfree(relations);
	return bytes;
}

/*
 * The rows are not wanted any more, so that nobody has to wait for them.
 */
static void
stop_collecting(CacheScanState *node)
{
	dbperf_cache_collect_stop(node);
	dbperf_cache_build_done(node);
}

/*
 * The plan has ended, or is not run any more: counts what it was.
 */
static void
finish(CacheScanState *node, bool complete)
{
	Size stored = 0;

	if (node->finished)
		return;
	node->finished = true;
	if (!node->shape->hinted)
		dbperf_cache_learn(node->shape->queryid, node->ns);
	if (node->state == CACHE_STATE_MISS)
	{
		if (complete)
			stored = store_rows(node);
		dbperf_cache_count_miss(node->shape->queryid, node->ns, stored);
		if (!node->shape->hinted)
			dbperf_cache_learn_missed(node->shape->queryid);
	}
	stop_collecting(node);
}

/*
 * Collects a row, and ends with the last one.
 */
static pg_noinline void
collect(CacheScanState *node, TupleTableSlot *slot)
{
	if (TupIsNull(slot))
	{
		finish(node, true);
		return;
	}
	if (!node->collecting)
		return;
	if (!dbperf_cache_collect(node, slot))
		stop_collecting(node);
	else if (node->shape->single_row)
		finish(node, true);
}

/*
 * Runs the plan, measuring what it takes.
 */
static TupleTableSlot *
exec_measured(PlanState *pstate)
{
	CacheScanState *node = (CacheScanState *) pstate;
	TupleTableSlot *slot;
	int64			weight = 1;
	int64			started;

	if (unlikely(node->finished))
		return exec_plan(pstate);
	if (node->collecting && (!ScanDirectionIsForward(pstate->state->es_direction) ||
							 (goes_on(node) && !key_holds(node))))
		stop_collecting(node);

	if (node->fetches >= EXACT_FETCHES)
		weight = node->fetches % SAMPLED_FETCHES == 0 ? SAMPLED_FETCHES : 0;
	node->fetches++;
	if (weight == 0)
		slot = exec_plan(pstate);
	else
	{
		started = dbperf_now_ns();
		slot = exec_plan(pstate);
		node->ns += (dbperf_now_ns() - started) * weight;
	}
	if (node->collecting || TupIsNull(slot))
		collect(node, slot);
	return slot;
}

/*
 * Something changed since a cursor began to be replayed: goes on with the plan,
 * behind the rows that were returned.
 */
static TupleTableSlot *
give_up_hit(CacheScanState *node)
{
	PlanState	 *pstate = &node->css.ss.ps;
	ScanDirection direction = pstate->state->es_direction;

	begin_plan(node);
	pstate->state->es_direction = ForwardScanDirection;
	for (int64 i = 0; i < node->replay.position; i++)
		(void) exec_plan(pstate);
	pstate->state->es_direction = direction;

	ExecClearTuple(node->replay.slot);
	dbperf_cache_release(node);
	node->state = CACHE_STATE_BYPASS;
	node->reason = CACHE_BYPASS_CURSOR;
	dbperf_cache_count_bypass(node->shape->queryid, node->reason);
	ExecSetExecProcNode(pstate, exec_plan);
	return exec_plan(pstate);
}

/*
 * A hit begins to be replayed.
 */
static void
count_hit(const CacheScanState *node)
{
	dbperf_cache_count_hit(node->shape->queryid, node->ns,
						   Max(node->pin.cost_ms - node->ns / 1e6, 0));
	if (!node->shape->hinted)
		dbperf_cache_learn_hit(node->shape->queryid);
}

/* Replays an entry. */
static TupleTableSlot *
exec_hit(PlanState *pstate)
{
	CacheScanState *node = (CacheScanState *) pstate;

	CHECK_FOR_INTERRUPTS();
	if (goes_on(node) && unlikely(!key_holds(node)))
	{
		if (node->fetches == 0 || !node->at_once)
			return give_up_hit(node);
		node->loose = false;
	}
	if (node->fetches++ == 0)
		count_hit(node);
	return dbperf_cache_replay(node, pstate->state->es_direction);
}

/*
 * The executor calls the functions above itself; this is for whoever calls the
 * method.
 */
static TupleTableSlot *
exec_scan(CustomScanState *css)
{
	return css->ss.ps.ExecProcNodeReal(&css->ss.ps);
}

/*
 * The end of a run that is not to be reversed: nobody should wait for one that
 * pauses.
 */
static void
shutdown_scan(CustomScanState *css)
{
	dbperf_cache_build_done((CacheScanState *) css);
}

static void
rescan(CustomScanState *css)
{
	CacheScanState *node = (CacheScanState *) css;

	if (node->state == CACHE_STATE_HIT)
	{
		node->replay.position = 0;
		node->replay.next = node->pin.rows;
		ExecClearTuple(node->replay.slot);
		return;
	}
	if (node->fetches > 0)
		stop_collecting(node);
	if (outerPlanState(css)->chgParam == NULL)
		ExecReScan(outerPlanState(css));
}

static void
end_scan(CustomScanState *css)
{
	CacheScanState *node = (CacheScanState *) css;

	if ((node->state == CACHE_STATE_MISS || node->state == CACHE_STATE_WATCHING) &&
		node->fetches > 0)
		finish(node, false);
	if (node->replay.slot != NULL)
		ExecClearTuple(node->replay.slot);
	dbperf_cache_release(node);
	if (outerPlanState(css) != NULL)
		ExecEndNode(outerPlanState(css));
}

/* ---- EXPLAIN ---- */

static void
explain_scan(CustomScanState *css, List *ancestors, ExplainState *es)
{
	static const char *const names[] = {[CACHE_STATE_BYPASS] = "bypass",
										[CACHE_STATE_WATCHING] = "bypass",
										[CACHE_STATE_MISS] = "miss",
										[CACHE_STATE_HIT] = "hit"};
	CacheScanState			*node = (CacheScanState *) css;

	dbperf_explain_text("Cache Status", names[node->state], es);
	if (node->state == CACHE_STATE_BYPASS)
		dbperf_explain_text("Cache Reason", dbperf_cache_reason(node->reason), es);
	else if (node->state == CACHE_STATE_WATCHING)
		dbperf_explain_text("Cache Reason", "it is not known yet whether it pays", es);
	else if (node->state == CACHE_STATE_HIT)
	{
		if (dbperf_explain_costs(es))
			dbperf_explain_float("Cache Age", "ms", (GetCurrentTimestamp() - node->stored) / 1000.0,
								 es);
		dbperf_explain_integer("Cache Rows", node->found_rows, es);
	}
}

static const CustomExecMethods exec_methods = {
	.CustomName = "dbperf cache",
	.BeginCustomScan = begin_scan,
	.ExecCustomScan = exec_scan,
	.EndCustomScan = end_scan,
	.ReScanCustomScan = rescan,
	.ShutdownCustomScan = shutdown_scan,
	.ExplainCustomScan = explain_scan,
};
