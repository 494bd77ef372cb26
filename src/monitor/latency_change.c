/*-------------------------------------------------------------------------
 *
 * latency_change.c
 *		What was executed of a query since a moment that somebody remembers.
 *
 * Who wants to compare a query before and after something takes the state of its
 * counters in between; the difference of two such states is a histogram, too.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "monitor/latency_int.h"
#include "monitor/monitor.h"
#include "utils/timestamp.h"

/* When the query's oldest histogram began, the total time in ns, then the buckets. */
#define STATE_BEGAN 0
#define STATE_TOTAL 1
#define STATE_BUCKETS 2
#define STATE_LENGTH (STATE_BUCKETS + LATENCY_BUCKETS)

typedef struct LatencyState
{
	int64 values[STATE_LENGTH];
} LatencyState;

/*
 * Adds up all histograms of a query.
 */
static void
read_state(uint64 queryid, LatencyState *state)
{
	LatencySummary *summary = palloc(sizeof(LatencySummary));
	int64			began = PG_INT64_MAX; /* changes if what was counted is forgotten */

	memset(state, 0, sizeof(*state));
	for (int n = 0; n < dbperf_latency_count(); n++)
	{
		const LatencySlot *slot = &dbperf_latency_shared->slots[n];

		/* most are another query's, and need not be copied */
		if (slot->key.queryid != queryid)
			continue;
		if (slot->key.dbid == MyDatabaseId && slot->first_seen != 0)
			began = Min(began, slot->first_seen);
		if (!dbperf_latency_read(n, PERIOD_LIFETIME, summary) || summary->other ||
			summary->key.queryid != queryid || summary->key.dbid != MyDatabaseId)
			continue;
		CHECK_FOR_INTERRUPTS();
		state->values[STATE_TOTAL] += (int64) summary->total_ns;
		for (int i = 0; i < LATENCY_BUCKETS; i++)
			state->values[STATE_BUCKETS + i] += (int64) summary->buckets[i];
	}
	state->values[STATE_BEGAN] = began;
	pfree(summary);
}

ArrayType *
dbperf_latency_state(uint64 queryid)
{
	LatencyState state;
	Datum		 values[STATE_LENGTH];

	read_state(queryid, &state);
	for (int i = 0; i < STATE_LENGTH; i++)
		values[i] = Int64GetDatum(state.values[i]);
	return construct_array(values, STATE_LENGTH, INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
						   TYPALIGN_DOUBLE);
}

/*
 * Takes an earlier state away.  One that does not fit, since counting began anew,
 * is left alone.
 */
static void
subtract(LatencyState *state, ArrayType *before)
{
	const int64 *earlier;

	if (ARR_NDIM(before) != 1 || ARR_DIMS(before)[0] != STATE_LENGTH || ARR_HASNULL(before) ||
		ARR_ELEMTYPE(before) != INT8OID)
		return;
	earlier = (const int64 *) ARR_DATA_PTR(before);
	if (earlier[STATE_BEGAN] != state->values[STATE_BEGAN])
		return;
	for (int i = STATE_TOTAL; i < STATE_LENGTH; i++)
		if (state->values[i] < earlier[i])
			return;
	for (int i = STATE_TOTAL; i < STATE_LENGTH; i++)
		state->values[i] -= earlier[i];
}

void
dbperf_latency_change(uint64 queryid, ArrayType *before, LatencyChange *change)
{
	LatencyState state;
	double		 rank;
	double		 seen = 0;
	double		 calls = 0;

	read_state(queryid, &state);
	if (before != NULL)
		subtract(&state, before);
	for (int i = STATE_BUCKETS; i < STATE_LENGTH; i++)
		calls += (double) state.values[i];
	change->calls = calls;
	change->mean_ms = calls > 0 ? (double) state.values[STATE_TOTAL] / calls / 1000000.0 : 0;
	change->p95_ms = 0;
	rank = ceil(0.95 * calls);
	for (int i = 0; i < LATENCY_BUCKETS && seen < rank; i++)
	{
		seen += (double) state.values[STATE_BUCKETS + i];
		change->p95_ms = dbperf_latency_bucket_middle(i) / 1000000.0;
	}
}
