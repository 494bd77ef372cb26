/*-------------------------------------------------------------------------
 *
 * cache_entries.c
 *		What goes over all entries of the store: flushing, and showing them.
 *
 * One partition after the other, so that nobody waits long.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "cache/cache_store.h"
#include "miscadmin.h"
#include "utils/builtins.h"

/* Whether an entry reads one of these relations; none are given for any. */
static bool
reads_any(CacheEntry *entry, const Oid *relations, int num)
{
	const Oid *read = cache_entry_relations(entry);

	if (num == 0)
		return true;
	for (uint32 i = 0; i < entry->num_relations; i++)
	{
		if (bsearch(&read[i], relations, num, sizeof(Oid), oid_cmp) != NULL)
			return true;
	}
	return false;
}

/*
 * Takes the matching entries out of one chain.  Those that nobody has pinned
 * are put in front of *unused, by their field next.  Returns how many were
 * taken out.  Caller must hold the partition's lock exclusively.
 */
static int64
purge_chain(uint32 *link, Oid database, const Oid *relations, int num, uint32 *unused)
{
	int64 removed = 0;

	while (*link != CACHE_NO_UNIT)
	{
		uint32		unit = *link;
		CacheEntry *entry = cache_entry_at(unit);

		if ((OidIsValid(database) && entry->database != database) ||
			!reads_any(entry, relations, num))
		{
			link = &entry->next;
			continue;
		}
		removed++;
		if (dbperf_cache_unlink(link))
		{
			entry->next = *unused;
			*unused = unit;
		}
	}
	return removed;
}

/*
 * Removes the entries of a database (InvalidOid: of all) that read one of some
 * relations, whose oids must be sorted (num 0: all entries).  Returns how many.
 */
int64
dbperf_cache_purge_relations(Oid database, const Oid *relations, int num)
{
	CachePlace *place = &dbperf_cache_place;
	int64		removed = 0;

	if (place->shared == NULL)
		return 0;
	for (int i = 0; i < CACHE_PARTITIONS; i++)
	{
		uint32 *buckets = &place->buckets[i * place->buckets_per_partition];
		uint32	unused = CACHE_NO_UNIT;

		LWLockAcquire(CACHE_PARTITION_LOCK(i), LW_EXCLUSIVE);
		for (uint32 n = 0; n < place->buckets_per_partition; n++)
			removed += purge_chain(&buckets[n], database, relations, num, &unused);
		LWLockRelease(CACHE_PARTITION_LOCK(i));

		while (unused != CACHE_NO_UNIT)
		{
			CacheEntry *entry = cache_entry_at(unused);

			unused = entry->next;
			dbperf_cache_arena_give(entry);
		}
	}
	return removed;
}

/*
 * The same for one relation, or any if it is invalid.
 */
int64
dbperf_cache_purge(Oid database, Oid relation)
{
	return dbperf_cache_purge_relations(database, &relation, OidIsValid(relation) ? 1 : 0);
}

/* How many entries there are. */
int64
dbperf_cache_num_entries(void)
{
	int64 num = 0;

	if (dbperf_cache_place.shared == NULL)
		return 0;
	for (int i = 0; i < CACHE_PARTITIONS; i++)
		num += ((volatile CachePartition *) &dbperf_cache_place.shared->partitions[i])->entries;
	return num;
}

/*
 * Copies what is shown of an entry, if there is room left.
 */
static bool
list_entry(CacheEntry *entry, CacheEntryList *list, int max_entries, int max_relations)
{
	CacheEntryInfo *info;

	if (list->num_entries >= max_entries ||
		list->num_relations + entry->num_relations > max_relations)
		return false;

	info = &list->entries[list->num_entries++];
	info->id = entry->id;
	info->database = entry->database;
	info->queryid = entry->queryid;
	info->num_rows = entry->num_rows;
	info->bytes = (Size) entry->units << dbperf_cache_place.shared->arena.shift;
	info->hits = pg_atomic_read_u64(&entry->hits);
	info->cost_ms = entry->cost_ms;
	info->stored = entry->stored;
	info->num_relations = entry->num_relations;
	info->relations = list->num_relations;
	memcpy(list->relations + list->num_relations, cache_entry_relations(entry),
		   entry->num_relations * sizeof(Oid));
	list->num_relations += entry->num_relations;
	return true;
}

/* Copies a partition.  Returns false if there was too little room for it. */
static bool
list_partition(int partition, CacheEntryList *list, int max_entries, int max_relations)
{
	CachePlace *place = &dbperf_cache_place;
	uint32	   *buckets = &place->buckets[partition * place->buckets_per_partition];
	bool		complete = true;

	list->num_entries = list->num_relations = 0;
	LWLockAcquire(CACHE_PARTITION_LOCK(partition), LW_SHARED);
	for (uint32 n = 0; n < place->buckets_per_partition && complete; n++)
	{
		uint32 unit = buckets[n];

		while (unit != CACHE_NO_UNIT && complete)
		{
			complete = list_entry(cache_entry_at(unit), list, max_entries, max_relations);
			unit = cache_entry_at(unit)->next;
		}
	}
	LWLockRelease(CACHE_PARTITION_LOCK(partition));
	return complete;
}

/*
 * Fills in the entries of a partition, in the current memory context.
 */
void
dbperf_cache_list_entries(int partition, CacheEntryList *list)
{
	volatile CachePartition *shared = &dbperf_cache_place.shared->partitions[partition];
	Size					 max_entries = shared->entries + 16;
	Size					 max_relations = 2 * max_entries + CACHE_MAX_RELATIONS;

	for (;;)
	{
		list->entries = palloc_extended(max_entries * sizeof(CacheEntryInfo), MCXT_ALLOC_HUGE);
		list->relations = palloc_extended(max_relations * sizeof(Oid), MCXT_ALLOC_HUGE);
		if (list_partition(partition, list, (int) max_entries, (int) max_relations))
			return;
		pfree(list->entries);
		pfree(list->relations);
		CHECK_FOR_INTERRUPTS();
		max_entries = max_entries * 2;
		max_relations = max_relations * 4;
	}
}
