/*-------------------------------------------------------------------------
 *
 * latency_cache.c
 *		What a process remembers of the histograms that it updates.
 *
 * An execution belongs to the histogram of its query and its plan.  Which plan
 * that is, only a walk over it can tell, and where the histogram is, only a
 * look into the shared table under its lock.  Both are spared to most
 * executions:
 *
 * Each query has a place for the slot of its last execution, with the address
 * and the cost of that execution's plan.  If they are the same again, and the
 * plan was not made just now, it is the same plan, out of a plan cache: no walk.
 *
 * After a walk a second place, by query and plan, has the slot if this process
 * has met the plan before: a query that goes to and fro between plans takes no
 * lock.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "monitor/latency_int.h"
#include "monitor/monitor_int.h"

CachedSlot dbperf_latency_cache[LATENCY_CACHE_SIZE];

/* by query id and plan */
static CachedSlot plan_cache[LATENCY_CACHE_SIZE];

/*
 * Forgets all slots: shared memory is new.
 */
void
dbperf_latency_forget(void)
{
	memset(dbperf_latency_cache, 0, sizeof(dbperf_latency_cache));
	memset(plan_cache, 0, sizeof(plan_cache));
}

/*
 * So long a plan must be unused for its turn to be over: plans that a query uses
 * beside each other are all used again and again.
 */
static inline uint64
window_ns(void)
{
	return (uint64) dbperf_latency_window * UINT64CONST(1000000000);
}

/*
 * Whether a place has the slot of this query and plan.
 */
static bool
cached_is(const CachedSlot *cached, const LatencyKey *key, uint64 plan_id)
{
	return cached->slot != NULL && cached->queryid == key->queryid && cached->plan_id == plan_id &&
		   cached->userid == key->userid && cached->toplevel == (key->toplevel != 0) &&
		   cached->generation == pg_atomic_read_u64(&cached->slot->generation);
}

/*
 * Remembers a slot, if it really is that of this query and plan.  Returns
 * whether it is.
 */
static bool
cached_set(CachedSlot *cached, LatencySlot *slot, const LatencyKey *key, uint64 plan_id)
{
	uint64 generation = pg_atomic_read_u64(&slot->generation);

	pg_read_barrier();
	if (slot == dbperf_latency_other() || generation == GENERATION_BUSY ||
		memcmp(&slot->key, key, sizeof(*key)) != 0 || slot->plan_id != plan_id)
		return false;
	cached->queryid = key->queryid;
	cached->userid = key->userid;
	cached->toplevel = key->toplevel != 0;
	cached->slot = slot;
	cached->plan_id = plan_id;
	cached->plan = NULL;
	cached->cost = 0;
	pg_read_barrier();
	cached->generation = generation;
	return true;
}

/*
 * The slot of an execution that cannot take the short way; planned is NULL for
 * one without a plan, or whose plan is not known.
 */
pg_noinline LatencySlot *
dbperf_latency_slot(uint64 queryid, Oid userid, bool toplevel, PlannedStmt *planned)
{
	CachedSlot	*last = &dbperf_latency_cache[queryid & (LATENCY_CACHE_SIZE - 1)];
	uint64		 plan_id = planned != NULL ? dbperf_plan_id(planned) : 0;
	CachedSlot	*cached = &plan_cache[(queryid ^ plan_id) & (LATENCY_CACHE_SIZE - 1)];
	LatencyKey	 key;
	LatencySlot *slot;
	uint64		 now;

	dbperf_latency_key(&key, queryid, userid, toplevel);
	if (!cached_is(last, &key, plan_id))
	{
		if (!cached_is(cached, &key, plan_id))
		{
			slot = dbperf_latency_lookup(&key, plan_id);
			if (!cached_set(cached, slot, &key, plan_id))
				return slot; /* not its own: look it up next time */
		}
		*last = *cached;
	}
	slot = last->slot;
	if (plan_id == 0)
		return slot;

	last->plan = planned->planTree;
	last->cost = planned->planTree->total_cost;
	now = (uint64) dbperf_now_ns();
	if (unlikely(now > pg_atomic_read_u64(&slot->last_used_ns) + window_ns()))
		dbperf_latency_turn(slot, now);
	return slot;
}
