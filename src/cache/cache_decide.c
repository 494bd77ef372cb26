/*-------------------------------------------------------------------------
 *
 * cache_decide.c
 *		What an execution of a statement under the result cache's node does:
 *		whether it is answered, and whether its rows are to be kept.
 *
 * Single flight: who will store rows holds a place (CacheBuild) while it runs,
 * and others wait for that.  A cursor, which can pause, holds none.  Pin and
 * place are given back by a callback of the query's memory context: errors need
 * nothing else.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "cache/cache_node.h"
#include "core/exec_hooks.h"
#include "miscadmin.h"
#include "tcop/pquery.h"
#include "utils/inval.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

/* ---- pin and place ---- */
/*
 * Lets those go on that wait for this execution.
 */
void
dbperf_cache_build_done(CacheScanState *node)
{
	if (!node->building)
		return;
	node->building = false;
	dbperf_cache_build_end(&node->build);
}

/*
 * Gives back what others could wait for.  Also called when the query's memory
 * goes away.
 */
void
dbperf_cache_release(void *arg)
{
	CacheScanState *node = arg;

	dbperf_cache_build_done(node);
	if (node->pin.entry >= 0)
	{
		dbperf_cache_unpin(&node->pin);
		node->pin.entry = -1;
	}
}

/* ---- the decision ---- */

/*
 * Whether this execution is out of question, found out without touching
 * anything.  GetLatestSnapshot() raises an error in a parallel operation.
 */
static CacheBypass
cheap_bypass(const CacheScanState *node)
{
	if (!dbperf_cache_usable() || (!node->shape->hinted && dbperf_cache_mode != CACHE_MODE_AUTO))
		return CACHE_BYPASS_OFF;
	if (IsInParallelMode() || IsParallelWorker())
		return CACHE_BYPASS_PARALLEL;
	if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return CACHE_BYPASS_WRITING;
	if (IsolationIsSerializable())
		return CACHE_BYPASS_SERIALIZABLE;
	if (RecoveryInProgress())
		return CACHE_BYPASS_RECOVERY;
	if (dbperf_explaining > 0 && (node->eflags & EXEC_FLAG_EXPLAIN_ONLY) == 0 &&
		!dbperf_cache_explain_analyze)
		return CACHE_BYPASS_EXPLAIN;
	return CACHE_BYPASS_NONE;
}

/*
 * Which slots tell of changes to what the statement depends on.
 */
static void
find_slots(CacheScanState *node)
{
	const CacheShape *shape = node->shape;
	ListCell		 *lc;

	node->slots =
		palloc((list_length(shape->relations) + list_length(shape->catalogs) + 1) * sizeof(uint32));
	foreach (lc, shape->relations)
		node->slots[node->num_slots++] = dbperf_cache_slot_of(MyDatabaseId, lfirst_oid(lc));
	foreach (lc, shape->catalogs)
		node->slots[node->num_slots++] = dbperf_cache_slot_of(MyDatabaseId, lfirst_oid(lc));
}

static CacheState
bypass(CacheScanState *node, CacheBypass reason)
{
	node->reason = reason;
	return CACHE_STATE_BYPASS;
}

/*
 * What is computed from catalogs is computed from what this process knows of
 * them, which can be older than its snapshot: invalidations are looked for when
 * a lock is taken, not before each statement.  They have been sent before the
 * slots could be used.  Returns whether one concerns the plan itself.
 */
static bool
outdated_catalogs(const CacheScanState *node)
{
	if (node->shape->catalogs == NIL)
		return false;
	AcceptInvalidationMessages();
	return node->shape->generation != dbperf_cache_generation();
}

/*
 * Looks for the key as of node->now.  Returns CACHE_STATE_HIT with the entry
 * pinned, CACHE_STATE_MISS, or CACHE_STATE_BYPASS with the reason set.
 */
static CacheState
look(CacheScanState *node)
{
	const CacheMoment *now = &node->now;
	CachePin		  *pin = &node->pin;
	uint64			   last_write;
	CacheBypass		   reason;

	reason = dbperf_cache_slots_read(now, node->slots, node->num_slots, &last_write);
	if (reason != CACHE_BYPASS_NONE)
		return bypass(node, reason);
	if (dbperf_cache_find(&node->key, last_write, pin) != CACHE_FOUND)
	{
		pin->entry = -1;
		return outdated_catalogs(node) ? bypass(node, CACHE_BYPASS_MOVED) : CACHE_STATE_MISS;
	}
	if (!dbperf_cache_agrees(now, node->slots, node->num_slots, pin->count))
	{
		dbperf_cache_unpin(pin);
		pin->entry = -1;
		return bypass(node, CACHE_BYPASS_MOVED);
	}
	node->stored = pin->stored;
	node->found_rows = pin->num_rows;
	return CACHE_STATE_HIT;
}

/*
 * Takes a place for this execution.  If another session has it, waits for that
 * and looks once more, as of the same moment: the statement's snapshot is what
 * it was, whatever has ended meanwhile, and the slots tell whether that matters.
 */
static CacheState
build_or_wait(CacheScanState *node)
{
	CacheState state;

	node->building = dbperf_cache_build_begin(&node->key, &node->build);
	if (node->building || dbperf_explaining > 0)
		return CACHE_STATE_MISS;
	dbperf_cache_build_wait(&node->key, dbperf_cache_wait);
	state = look(node);
	if (state == CACHE_STATE_MISS)
		node->building = dbperf_cache_build_begin(&node->key, &node->build);
	return state;
}

/*
 * Whether an execution of this statement is worth a look.
 */
static bool
admitted(const CacheShape *shape)
{
	return shape->hinted || dbperf_cache_admitted(shape->queryid);
}

/*
 * The portal that is being started with this statement as its query, or NULL.
 */
static Portal
starting_portal(void)
{
	return ActivePortal != NULL && ActivePortal->status == PORTAL_DEFINED ? ActivePortal : NULL;
}

/*
 * Whether a cursor is being started, which can pause: by DECLARE CURSOR, by a
 * function's cursor or loop, or by a named portal of the extended protocol.
 */
bool
dbperf_cache_starts_cursor(void)
{
	Portal portal = starting_portal();

	return portal != NULL && portal->visible && portal->name[0] != '\0';
}

/*
 * Whether what is being started can be run in parts, with commands in between:
 * such a cursor, or any portal of the extended protocol.
 */
bool
dbperf_cache_can_pause(void)
{
	Portal portal = starting_portal();

	return portal != NULL && portal->visible;
}

/*
 * Whether a plan makes all rows when it is asked for the first one.
 */
static bool
makes_rows_at_once(const Plan *plan)
{
	while (IsA(plan, Limit) || IsA(plan, Unique))
		plan = outerPlan(plan);
	return IsA(plan, Sort);
}

/*
 * Decides what this execution does.
 */
CacheState
dbperf_cache_decide(CacheScanState *node)
{
	EState	   *estate = node->css.ss.ps.state;
	Portal		portal = starting_portal();
	bool		explain_only = (node->eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0;
	CacheState	state;
	CacheBypass reason;

	reason = cheap_bypass(node);
	if (reason == CACHE_BYPASS_NONE && node->shape->catalogs != NIL &&
		node->shape->generation != dbperf_cache_generation())
		reason = CACHE_BYPASS_MOVED;
	if (reason != CACHE_BYPASS_NONE)
		return bypass(node, reason);
	if (!admitted(node->shape))
		return CACHE_STATE_WATCHING;
	reason = dbperf_cache_make_key(node->shape, estate->es_param_list_info, &node->key);
	if (reason != CACHE_BYPASS_NONE)
		return bypass(node, reason);

	find_slots(node);
	node->release.func = dbperf_cache_release;
	node->release.arg = node;
	MemoryContextRegisterResetCallback(estate->es_query_cxt, &node->release);
	if (!dbperf_cache_now(estate->es_snapshot, &node->now))
		return bypass(node, CACHE_BYPASS_MOVED);
	state = look(node);
	if (explain_only || state == CACHE_STATE_BYPASS)
		return state;

	/* only a client's plain query is known to run at once and to its end */
	node->loose = portal == NULL || portal->visible;
	node->at_once = node->shape->single_row || makes_rows_at_once(outerPlan(node->css.ss.ps.plan));
	if (state == CACHE_STATE_HIT && !node->at_once && dbperf_cache_starts_cursor())
	{
		dbperf_cache_release(node);
		return bypass(node, CACHE_BYPASS_CURSOR);
	}
	if (state == CACHE_STATE_MISS)
	{
		node->collecting =
			dbperf_cache_admission == CACHE_ADMIT_ALWAYS || dbperf_cache_seen(&node->key);
		if (node->collecting && dbperf_cache_wait > 0 && !dbperf_cache_starts_cursor())
			state = build_or_wait(node);
	}
	return state;
}
