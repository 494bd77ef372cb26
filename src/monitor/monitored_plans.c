/*-------------------------------------------------------------------------
 *
 * monitored_plans.c
 *		What the monitor knows of the plans of queries, for modules that
 *		compare them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "miscadmin.h"
#include "monitor/latency_int.h"
#include "monitor/monitor_int.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define PLANS_CONTEXT_SIZE (64 * 1024)

/*
 * Divides what a slot has counted, of which before and since are the closed
 * windows and current the open one, which counts for something or not.
 */
static void
divide(MonitoredPlan *plan, LatencySummary *before, LatencySummary *since, LatencySummary *current,
	   bool counts)
{
	LatencySummary *lately = &plan->lately;

	plan->before = *before;
	*lately = *since;
	if (counts)
		dbperf_latency_merge(lately, current);
	if (plan->turn_again)
	{
		plan->before_turn = *before;
		plan->in_turn = *lately;
	}
	else
	{
		dbperf_latency_clear(&plan->before_turn);
		plan->in_turn = plan->lifetime;
	}
}

/*
 * Copies what a slot has counted and noted.  Returns false if it is not that of
 * the query, or has counted nothing.
 */
static bool
read_plan(LatencySlot *slot, const LatencyKey *key, MonitoredPlan *plan, uint64 *generation)
{
	uint64		now = (uint64) dbperf_now_ns();
	TimestampTz now_ts = GetCurrentTimestamp();

	for (int try = 0; try < LATENCY_READ_TRIES; try++)
	{
		LatencyRead	   read;
		LatencySummary before;
		LatencySummary since;
		LatencySummary current;

		memset(plan, 0, sizeof(*plan));
		if (!dbperf_latency_read_begin(slot, &read))
			return false;
		plan->key = slot->key;
		plan->plan_id = slot->plan_id;
		plan->first_seen = slot->first_seen;
		/* the clock of a statement's end was read before its slot was made */
		plan->last_seen =
			Max(plan->first_seen,
				now_ts + (dbperf_latency_seen_ns(slot, now, now_ts) - (int64) now) / 1000);
		plan->turn_began = slot->history.turn_began;
		plan->turn_others = (double) slot->history.turn_others;
		plan->turn_again = slot->history.turn_again;
		plan->lately_began = slot->history.since_began;
		plan->slower_since = slot->history.slower_since;
		if (plan->lately_began == 0)
			plan->lately_began = dbperf_latency_open_began(slot, now, now_ts);
		dbperf_latency_since(slot, &before, &since);
		dbperf_latency_clear(&current);
		dbperf_latency_add_open(&current, slot);
		dbperf_latency_count_calls(&current);
		plan->lifetime = before;
		dbperf_latency_merge(&plan->lifetime, &since);
		dbperf_latency_merge(&plan->lifetime, &current);
		divide(plan, &before, &since, &current, dbperf_latency_open_counts(slot));
		*generation = read.generation;
		if (dbperf_latency_read_end(slot, &read))
			break;
	}
	return memcmp(&plan->key, key, sizeof(*key)) == 0 && plan->lifetime.calls > 0;
}

/*
 * Adds the text of a plan, if there is one.
 */
static void
read_text(LatencySlot *slot, uint64 generation, MonitoredPlan *plan)
{
	PlanTextHead *head = plan->plan_id != 0 ? dbperf_plan_read(slot, generation) : NULL;

	if (head != NULL)
		plan->text = text_to_cstring(
			dbperf_server_text((const char *) head + sizeof(*head), head->len, head->encoding));
}

/*
 * The plans of the query that has the n-th slot as its first one; NIL if there
 * is none, or it has no plan.  room is for LATENCY_MAX_PLANS + 1 of them.
 */
static List *
read_plans(int n, bool texts, MonitoredPlan *room)
{
	LatencySlot *first = &dbperf_latency_shared->slots[n];
	LatencyRead	 read;
	LatencyKey	 key;
	uint32		 slots[LATENCY_MAX_PLANS + 1];
	int			 nslots;
	List		*plans = NIL;
	bool		 planned = false;

	if (!dbperf_latency_read_begin(first, &read))
		return NIL;
	key = first->key;
	nslots = dbperf_latency_slots(&key, slots);
	if (nslots == 0 || slots[0] != (uint32) n)
		return NIL;
	for (int i = 0; i < nslots; i++)
	{
		LatencySlot	  *slot = &dbperf_latency_shared->slots[slots[i]];
		MonitoredPlan *plan = &room[i];
		uint64		   generation;

		if (!read_plan(slot, &key, plan, &generation))
			continue;
		if (texts)
			read_text(slot, generation, plan);
		plans = lappend(plans, plan);
		planned |= plan->plan_id != 0;
	}
	return planned ? plans : NIL;
}

void
dbperf_monitored_plans(MonitoredPlanVisit visit, void *arg, bool texts)
{
	/* large enough that what one query needs is not got from the system each time */
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "dbperf plans", PLANS_CONTEXT_SIZE,
							  PLANS_CONTEXT_SIZE, ALLOCSET_DEFAULT_MAXSIZE);
	MonitoredPlan *room = palloc((LATENCY_MAX_PLANS + 1) * sizeof(MonitoredPlan));

	for (int n = 0; n < dbperf_max_queries; n++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		List		 *plans;

		CHECK_FOR_INTERRUPTS();
		plans = read_plans(n, texts, room);
		MemoryContextSwitchTo(old);
		if (plans != NIL)
			visit(plans, arg);
		MemoryContextReset(context);
	}
	pfree(room);
	MemoryContextDelete(context);
}
