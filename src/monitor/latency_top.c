/*-------------------------------------------------------------------------
 *
 * latency_top.c
 *		The queries that took most time.
 *
 * A query has a slot for each of its plans, of several kilobytes.  So which queries
 * are wanted is found out by the slots' totals, and only those are copied.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "miscadmin.h"
#include "monitor/latency_int.h"
#include "monitor/monitor_int.h"

/* A slot in use, later the first one of a query, which has all of its time. */
typedef struct TopSlot
{
	LatencyKey key;
	uint64	   total_ns;
	int		   slot;
	int		   count; /* of slots that follow in the list of slots */
} TopSlot;

/* So that the slots of a query come together. */
static int
compare_keys(const void *a, const void *b)
{
	const TopSlot *x = a;
	const TopSlot *y = b;
	int			   result = memcmp(&x->key, &y->key, sizeof(LatencyKey));

	return result != 0 ? result : x->slot - y->slot;
}

/* Most time first; the order of equals is always the same. */
static int
compare_totals(const void *a, const void *b)
{
	const TopSlot *x = a;
	const TopSlot *y = b;

	if (x->total_ns != y->total_ns)
		return x->total_ns > y->total_ns ? -1 : 1;
	return memcmp(&x->key, &y->key, sizeof(LatencyKey));
}

/*
 * Lists the slots in use of queries that the current role may see.
 */
static int
list_slots(bool nested, TopSlot *slots, int room)
{
	int num = 0;

	for (int n = 0; n < room; n++)
	{
		LatencySlot *slot = &dbperf_latency_shared->slots[n];
		TopSlot		*top = &slots[num];
		LatencyRead	 read;

		CHECK_FOR_INTERRUPTS();
		if (!dbperf_latency_read_begin(slot, &read))
			continue;
		top->key = slot->key;
		top->total_ns = pg_atomic_read_u64(&slot->lifetime.total_ns) +
						pg_atomic_read_u64(&slot->current.total_ns);
		top->slot = n;
		if (top->key.queryid != 0 && (nested || top->key.toplevel != 0) &&
			pg_atomic_read_u64(&slot->generation) == read.generation &&
			dbperf_may_see_role(top->key.userid))
			num++;
	}
	return num;
}

/*
 * Makes queries of sorted slots.  Returns how many.
 */
static int
list_queries(const TopSlot *slots, int num, TopSlot *queries)
{
	int num_queries = 0;

	for (int i = 0; i < num; i++)
	{
		if (i > 0 && memcmp(&slots[i].key, &slots[i - 1].key, sizeof(LatencyKey)) == 0)
		{
			queries[num_queries - 1].total_ns += slots[i].total_ns;
			queries[num_queries - 1].count++;
			continue;
		}
		queries[num_queries] = slots[i];
		queries[num_queries].slot = i;
		queries[num_queries].count = 1;
		num_queries++;
	}
	return num_queries;
}

/* Adds up the slots of a query, which may have got others meanwhile. */
static void
read_query(const TopSlot *query, const TopSlot *slots, LatencySummary *sum)
{
	dbperf_latency_clear(sum);
	sum->key = query->key;
	for (int i = 0; i < query->count; i++)
	{
		LatencySummary one;

		if (dbperf_latency_read_slot(slots[query->slot + i].slot, PERIOD_LIFETIME, &one) &&
			memcmp(&one.key, &query->key, sizeof(LatencyKey)) == 0)
			dbperf_latency_merge(sum, &one);
	}
}

/* See monitor.h. */
void
dbperf_latency_top(int limit, bool nested, LatencyVisit visit, void *arg)
{
	int		 room = (int) Min(pg_atomic_read_u32(&dbperf_latency_shared->handed_out),
							  (uint32) dbperf_max_queries);
	TopSlot *slots;
	TopSlot *queries;
	int		 num;

	if (limit <= 0 || room == 0)
		return;
	slots = palloc_extended((Size) room * sizeof(TopSlot), MCXT_ALLOC_HUGE);
	queries = palloc_extended((Size) room * sizeof(TopSlot), MCXT_ALLOC_HUGE);
	num = list_slots(nested, slots, room);
	qsort(slots, num, sizeof(TopSlot), compare_keys);
	num = list_queries(slots, num, queries);
	qsort(queries, num, sizeof(TopSlot), compare_totals);
	for (int i = 0; i < Min(num, limit); i++)
	{
		LatencySummary sum;

		CHECK_FOR_INTERRUPTS();
		read_query(&queries[i], slots, &sum);
		if (sum.calls > 0)
			visit(&sum, arg);
	}
	pfree(queries);
	pfree(slots);
}
