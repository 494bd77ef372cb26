/*-------------------------------------------------------------------------
 *
 * latency_evict.c
 *		Takes slots of histograms away from queries, for others or for good.
 *
 * The protocol stands in latency.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "miscadmin.h"
#include "monitor/latency_int.h"
#include "monitor/monitor_int.h"

#define VICTIM_CANDIDATES 16
#define VICTIM_TRIES 16 /* a slot that stays with its query costs one, too */

/*
 * Takes a slot out of its entry, whose sample goes to another of its slots.
 * Returns whether the entry is empty now.  Caller must hold the lock
 * exclusively.
 */
static bool
entry_remove(LatencyEntry *entry, LatencySlot *slot)
{
	uint32 n = (uint32) (slot - dbperf_latency_shared->slots);
	uint32 left = 0;

	for (uint32 i = 0; i < entry->nslots; i++)
	{
		if (entry->slots[i] != n)
			entry->slots[left++] = entry->slots[i];
	}
	entry->nslots = left;
	if (left > 0 && DsaPointerIsValid(slot->sample))
	{
		dbperf_latency_shared->slots[entry->slots[0]].sample = slot->sample;
		slot->sample = InvalidDsaPointer;
	}
	return left == 0;
}

/*
 * Moves what one period of a slot counted to the same period of "other".
 */
static void
totals_move(LatencyTotals *from, LatencyTotals *to)
{
	uint64 max = pg_atomic_exchange_u64(&from->max_ns, 0);
	uint64 min = pg_atomic_exchange_u64(&from->min_ns, PG_UINT64_MAX);

	pg_atomic_fetch_add_u64(&to->total_ns, pg_atomic_exchange_u64(&from->total_ns, 0));
	pg_atomic_fetch_add_u64(&to->errors, pg_atomic_exchange_u64(&from->errors, 0));
	if (max > pg_atomic_read_u64(&to->max_ns))
		pg_atomic_write_u64(&to->max_ns, max);
	if (min < pg_atomic_read_u64(&to->min_ns))
		pg_atomic_write_u64(&to->min_ns, min);
}

/*
 * Lets a plan's slot stay with its query, as the one for executions without a
 * plan, if the query has other slots and none that could take over its counts.  As
 * such it goes last: it is as young as the youngest slot of its query.  Returns
 * whether it stays.  Caller must hold the lock exclusively.
 */
static bool
slot_stay(LatencySlot *slot, const LatencyEntry *entry)
{
	LatencySlot *rest = dbperf_latency_entry_slot(entry, 0);
	uint64		 newest = 0;

	if (entry->nslots == 1 || (rest != NULL && rest != slot))
		return false;
	if (rest == NULL)
	{
		pg_atomic_write_u64(&slot->generation, GENERATION_BUSY);
		pg_write_barrier();
		slot->plan_id = 0;
		slot->history.slower_since = 0;
		pg_atomic_write_u32(&slot->may_time, 0);
		pg_write_barrier();
		pg_atomic_write_u64(&slot->generation,
							pg_atomic_fetch_add_u64(&dbperf_latency_shared->next_generation, 1));
	}
	for (uint32 i = 0; i < entry->nslots; i++)
	{
		LatencySlot *other = &dbperf_latency_shared->slots[entry->slots[i]];

		if (other != slot)
			newest = Max(newest, pg_atomic_read_u64(&other->last_used_ns) + 1);
	}
	pg_atomic_write_u64(&slot->spared_ns, newest);
	return true;
}

/*
 * Adds all that a slot counted to the lifetime of another.  A reader that finds some
 * of it there finds since when that counts, too.
 */
static void
slot_harvest(LatencySlot *slot, LatencySlot *into)
{
	if (into != dbperf_latency_other())
		into->first_seen = Min(into->first_seen, slot->first_seen);
	pg_write_barrier();
	for (int i = 0; i < LATENCY_BUCKETS; i++)
	{
		uint64 n = pg_atomic_exchange_u32(&slot->current_buckets[i], 0);

		n += pg_atomic_exchange_u32(&slot->since_buckets[i], 0);
		n += pg_atomic_exchange_u64(&slot->lifetime_buckets[i], 0);
		if (n > 0)
			pg_atomic_fetch_add_u64(&into->lifetime_buckets[i], n);
	}
	totals_move(&slot->current, &into->lifetime);
	totals_move(&slot->lifetime, &into->lifetime);
}

/* Ends the request that executions with a slot's plan count rows. */
static void
stop_counting(LatencySlot *slot, uint64 queryid)
{
	if (pg_atomic_exchange_u32(&slot->count_rows, 0) > 0)
		pg_atomic_fetch_sub_u32(&dbperf_latency_shared->counting[ASK_FLAG(queryid)], 1);
}

/*
 * Takes a used slot away from its query, if it still has the generation that
 * the caller saw.  Returns whether the slot is now the caller's; harvest says
 * whether its counts go on to count elsewhere or are forgotten, and that it stays
 * with its query if they can go nowhere else; *last gets whether it was the only
 * one of its query.  The area of samples must be attached.
 */
bool
dbperf_latency_evict(LatencySlot *slot, uint64 generation, bool harvest, bool *last)
{
	LatencyKey	  key = slot->key;
	uint32		  hash = get_hash_value(dbperf_latency_hash, &key);
	LWLock		 *lock = LATENCY_LOCK(hash);
	LatencyEntry *entry;
	dsa_pointer	  sample = InvalidDsaPointer;
	dsa_pointer	  plan;
	bool		  stays;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	entry = hash_search_with_hash_value(dbperf_latency_hash, &key, hash, HASH_FIND, NULL);
	if (entry == NULL || pg_atomic_read_u64(&slot->generation) != generation ||
		memcmp(&key, &slot->key, sizeof(key)) != 0)
	{
		LWLockRelease(lock);
		return false;
	}
	plan = slot->plan;
	slot->plan = InvalidDsaPointer;
	stays = harvest && slot_stay(slot, entry);
	if (!stays)
	{
		*last = entry_remove(entry, slot);
		pg_atomic_write_u64(&slot->generation, GENERATION_BUSY);
		sample = slot->sample;
		slot->sample = InvalidDsaPointer;
		if (harvest)
			slot_harvest(slot,
						 *last ? dbperf_latency_other() : dbperf_latency_entry_slot(entry, 0));
		if (*last)
			hash_search_with_hash_value(dbperf_latency_hash, &key, hash, HASH_REMOVE, NULL);
	}
	stop_counting(slot, key.queryid);
	LWLockRelease(lock);

	if (DsaPointerIsValid(sample))
		dbperf_sample_free(sample);
	if (DsaPointerIsValid(plan))
		dbperf_sample_free(plan);
	return !stays;
}

/*
 * Claims a free slot if there is one at n.
 */
static bool
slot_claim_free(LatencySlot *slot)
{
	uint64 expected = GENERATION_FREE;

	return pg_atomic_compare_exchange_u64(&slot->generation, &expected, GENERATION_BUSY);
}

/*
 * Finds a slot for a new query: a fresh one, a freed one, or the least
 * recently used of a few neighbours.  Returns an empty slot in the state
 * GENERATION_BUSY, or NULL if there is none to be had now.
 */
LatencySlot *
dbperf_latency_take(void)
{
	LatencyShared *shared = dbperf_latency_shared;
	uint32		   nslots = dbperf_max_queries;

	if (pg_atomic_read_u32(&shared->handed_out) < nslots)
	{
		uint32 n = pg_atomic_fetch_add_u32(&shared->handed_out, 1);

		if (n < nslots && slot_claim_free(&shared->slots[n]))
			return &shared->slots[n];
	}

	/* a victim's sample could not be freed, and attaching might fail here */
	if (!dbperf_sample_attached())
		return NULL;

	for (int try = 0; try < VICTIM_TRIES; try++)
	{
		uint32		 first = pg_atomic_fetch_add_u32(&shared->hand, VICTIM_CANDIDATES);
		uint64		 oldest = PG_UINT64_MAX;
		uint64		 generation = GENERATION_BUSY;
		LatencySlot *victim = NULL;
		bool		 last;

		for (uint32 i = 0; i < VICTIM_CANDIDATES; i++)
		{
			LatencySlot *slot = &shared->slots[(first + i) % nslots];
			uint64		 g = pg_atomic_read_u64(&slot->generation);
			uint64		 spared = pg_atomic_read_u64(&slot->spared_ns);
			uint64		 used = Max(pg_atomic_read_u64(&slot->last_used_ns), spared);

			if (g == GENERATION_FREE && slot_claim_free(slot))
				return slot;
			if (g != GENERATION_FREE && g != GENERATION_BUSY && used < oldest)
			{
				oldest = used;
				victim = slot;
				generation = g;
			}
		}
		if (victim != NULL && dbperf_latency_evict(victim, generation, true, &last))
		{
			pg_atomic_fetch_add_u64(&shared->evicted, 1);
			dbperf_latency_slot_reuse(victim);
			return victim;
		}
	}
	return NULL;
}

/*
 * Forgets histograms and samples: those of one query or of all, in one
 * database or, if dbid is invalid, in all.  Forgetting everything empties
 * "other" as well.  Returns how many queries were forgotten.
 */
int
dbperf_latency_reset(uint64 queryid, bool all_queries, Oid dbid)
{
	LatencyShared *shared = dbperf_latency_shared;
	int			   count = 0;

	dbperf_sample_attach();
	pg_atomic_fetch_add_u32(&shared->resets, 1);
	for (int i = 0; i < dbperf_max_queries; i++)
	{
		LatencySlot *slot = &shared->slots[i];
		uint64		 generation = pg_atomic_read_u64(&slot->generation);
		bool		 last;

		CHECK_FOR_INTERRUPTS();
		if (generation == GENERATION_FREE || generation == GENERATION_BUSY)
			continue;
		pg_read_barrier();
		if ((!all_queries && slot->key.queryid != queryid) ||
			(OidIsValid(dbid) && slot->key.dbid != dbid))
			continue;
		if (!dbperf_latency_evict(slot, generation, false, &last))
			continue;
		dbperf_latency_slot_clear(slot);
		pg_write_barrier();
		pg_atomic_write_u64(&slot->generation, GENERATION_FREE);
		if (last)
			count++;
	}

	if (all_queries && !OidIsValid(dbid))
	{
		dbperf_latency_slot_clear(dbperf_latency_other());
		pg_atomic_write_u32(&dbperf_latency_other()->has_texts, 1);
	}
	pg_atomic_fetch_add_u32(&shared->resets, 1);
	return count;
}
