/*-------------------------------------------------------------------------
 *
 * sample.c
 *		The first execution of each query: its text as it was sent, the types
 *		and values of its parameters, and the search_path it ran under; and the
 *		text of each of its plans.
 *
 * Normalised texts often do not parse again (interval $1), so whatever
 * analyses a workload later needs one original.  Samples and plans live in a
 * dynamic area inside the main segment, which never grows beyond what it was
 * given; without room a query just has no sample, or its plan no text, and that
 * is counted.
 *
 * A query has one sample, whatever plans it has: one of its slots points to it.
 * The pointers of a slot are guarded by the lock of its key's partition (see
 * latency.c): a reader copies under the shared lock, whoever frees a text has
 * taken the pointer out under the exclusive one before.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "monitor/latency_int.h"
#include "monitor/monitor_int.h"
#include "storage/ipc.h"
#include "utils/memutils.h"

#define SAMPLE_BYTES_PER_QUERY 1024
#define PLAN_BYTES_PER_QUERY 1536
#define SAMPLE_MIN_BYTES (2 * 1024 * 1024)

static void			*sample_place = NULL;
static LWLockPadded *sample_locks = NULL;
static dsa_area		*sample_area = NULL;

/* the postmaster's, who has made it and reads it at the end */
static dsa_area *postmaster_area = NULL;

static Size
sample_size(void)
{
	Size wanted = mul_size(dbperf_max_queries, SAMPLE_BYTES_PER_QUERY + PLAN_BYTES_PER_QUERY);

	return MAXALIGN(Max(Max(wanted, SAMPLE_MIN_BYTES), dsa_minimum_size()));
}

static void
sample_attach(void *area, bool found)
{
	sample_place = area;
	sample_area = NULL;
	if (!found)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		/* after a crash that of the time before */
		if (postmaster_area != NULL)
			pfree(postmaster_area);
		postmaster_area =
			dsa_create_in_place(area, sample_size(), sample_locks[0].lock.tranche, NULL);
		MemoryContextSwitchTo(old);

		/* all of it lives in this place: no segments beside it */
		dsa_pin(postmaster_area);
		dsa_set_size_limit(postmaster_area, sample_size());
		dbperf_latency_load();
	}
}

/*
 * Registers the shared memory of samples.
 */
void
dbperf_sample_init(void)
{
	static const DbperfShmemArea area = {
		.name = "dbperf samples",
		.size = sample_size,
		.attach = sample_attach,
		.tranche = "dbperf_samples",
		.num_locks = 1,
		.locks = &sample_locks,
	};

	dbperf_shmem_register(&area);
}

/*
 * Maps the area into this process for as long as it lives.  May raise an error
 * for want of memory.
 */
void
dbperf_sample_attach(void)
{
	if (sample_area == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		sample_area = dsa_attach_in_place(sample_place, NULL);
		dsa_pin_mapping(sample_area);
		on_shmem_exit(dsa_on_shmem_exit_release_in_place, PointerGetDatum(sample_place));
		MemoryContextSwitchTo(old);
	}
}

/* Whether this process can free samples. */
bool
dbperf_sample_attached(void)
{
	return sample_area != NULL;
}

/*
 * Gives back the memory of a sample that no slot points to any more.  The area
 * must be attached.
 */
void
dbperf_sample_free(dsa_pointer sample)
{
	dsa_free(sample_area, sample);
}

/*
 * The slot of a query that points to its sample, or NULL.  Caller must hold the
 * lock of its partition.
 */
static LatencySlot *
slot_with_sample(const LatencyKey *key, uint32 hash)
{
	LatencyEntry *entry;

	entry = hash_search_with_hash_value(dbperf_latency_hash, key, hash, HASH_FIND, NULL);
	for (uint32 i = 0; entry != NULL && i < entry->nslots; i++)
	{
		LatencySlot *slot = &dbperf_latency_shared->slots[entry->slots[i]];

		if (DsaPointerIsValid(slot->sample))
			return slot;
	}
	return NULL;
}

/*
 * Whether a query has no sample.
 */
bool
dbperf_sample_wanted(const LatencyKey *key)
{
	uint32	hash = get_hash_value(dbperf_latency_hash, key);
	LWLock *lock = LATENCY_LOCK(hash);
	bool	wanted;

	LWLockAcquire(lock, LW_SHARED);
	wanted = slot_with_sample(key, hash) == NULL;
	LWLockRelease(lock);
	return wanted;
}

/*
 * Makes room for a text.  Returns NULL, and counts that, if there is none.
 */
static char *
text_allocate(Size size, pg_atomic_uint64 *refused, dsa_pointer *place)
{
	dbperf_sample_attach();
	*place = dsa_allocate_extended(sample_area, size, DSA_ALLOC_NO_OOM);
	if (!DsaPointerIsValid(*place))
	{
		pg_atomic_fetch_add_u64(refused, 1);
		return NULL;
	}
	return dsa_get_address(sample_area, *place);
}

/*
 * Whether a slot still belongs to a query.  Caller must hold the lock.
 */
static bool
slot_is(LatencySlot *slot, const LatencyKey *key)
{
	uint64 generation = pg_atomic_read_u64(&slot->generation);

	return generation != GENERATION_FREE && generation != GENERATION_BUSY &&
		   memcmp(&slot->key, key, sizeof(*key)) == 0;
}

/*
 * Keeps the first execution of a query in one of its slots.  Returns false if
 * there was no room, the slot has another query by now, or the query has a
 * sample.
 */
bool
dbperf_sample_store(LatencySlot *slot, const LatencyKey *key, const SampleHead *head,
					const char *query, const char *params)
{
	Size		size = sizeof(SampleHead) + head->query_len + head->params_len;
	uint32		hash = get_hash_value(dbperf_latency_hash, key);
	LWLock	   *lock = LATENCY_LOCK(hash);
	dsa_pointer sample;
	char	   *place = text_allocate(size, &dbperf_latency_shared->samples_refused, &sample);
	bool		stored = false;

	if (place == NULL)
		return false;
	memcpy(place, head, sizeof(SampleHead));
	memcpy(place + sizeof(SampleHead), query, head->query_len);
	memcpy(place + sizeof(SampleHead) + head->query_len, params, head->params_len);

	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (slot_is(slot, key) && slot_with_sample(key, hash) == NULL)
	{
		slot->sample = sample;
		stored = true;
	}
	LWLockRelease(lock);

	if (!stored)
		dsa_free(sample_area, sample);
	return stored;
}

/*
 * Keeps the text of a query's plan in the slot for it, unless that is another's
 * by now.
 */
void
dbperf_plan_store(LatencySlot *slot, const LatencyKey *key, uint64 plan_id, const char *text,
				  int len, int encoding)
{
	PlanTextHead head = {encoding, len};
	LWLock		*lock = LATENCY_LOCK(get_hash_value(dbperf_latency_hash, key));
	dsa_pointer	 plan;
	char *place = text_allocate(sizeof(head) + len, &dbperf_latency_shared->plans_refused, &plan);
	bool  stored = false;

	if (place == NULL)
		return;
	memcpy(place, &head, sizeof(head));
	memcpy(place + sizeof(head), text, len);

	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (slot_is(slot, key) && slot->plan_id == plan_id && !DsaPointerIsValid(slot->plan))
	{
		slot->plan = plan;
		stored = true;
	}
	LWLockRelease(lock);

	if (!stored)
		dsa_free(sample_area, plan);
}

/* The bytes of a sample, or of a plan's text, with its head. */
static Size
sample_bytes(const SampleHead *head)
{
	return sizeof(SampleHead) + head->query_len + head->params_len;
}

static Size
plan_bytes(const PlanTextHead *head)
{
	return sizeof(PlanTextHead) + head->len;
}

/*
 * Copies the sample of a slot, or the text of its plan, into the current memory
 * context, if it still has this generation.  Returns NULL if it has none.
 */
static void *
text_read(LatencySlot *slot, uint64 generation, bool plan)
{
	LatencyKey key = slot->key;
	LWLock	  *lock = LATENCY_LOCK(get_hash_value(dbperf_latency_hash, &key));
	void	  *copy = NULL;
	bool	   no_memory = false;

	dbperf_sample_attach();
	LWLockAcquire(lock, LW_SHARED);
	if (pg_atomic_read_u64(&slot->generation) == generation && slot_is(slot, &key) &&
		DsaPointerIsValid(plan ? slot->plan : slot->sample))
	{
		void *text = dsa_get_address(sample_area, plan ? slot->plan : slot->sample);
		Size  size = plan ? plan_bytes(text) : sample_bytes(text);

		copy = palloc_extended(size, MCXT_ALLOC_NO_OOM);
		if (copy != NULL)
			memcpy(copy, text, size);
		else
			no_memory = true;
	}
	LWLockRelease(lock);

	/* an error under the lock would find it still held when it is reported */
	if (no_memory)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	return copy;
}

/*
 * Copies the sample of the n-th slot into the current memory context, texts
 * behind the head, and fills its key.  Returns NULL if it has none: of a query
 * with several plans only one slot has.
 */
SampleHead *
dbperf_sample_read(int n, LatencyKey *key)
{
	LatencySlot *slot = &dbperf_latency_shared->slots[n];
	uint64		 generation = pg_atomic_read_u64(&slot->generation);
	SampleHead	*copy;

	if (generation == GENERATION_FREE || generation == GENERATION_BUSY)
		return NULL;
	pg_read_barrier();
	*key = slot->key;
	copy = text_read(slot, generation, false);
	return copy;
}

/*
 * Copies the sample of a query in the same way.  Returns NULL if it has none.
 */
SampleHead *
dbperf_sample_of_query(const LatencyKey *key)
{
	uint32 slots[LATENCY_MAX_PLANS + 1];
	int	   n = dbperf_latency_slots(key, slots);

	for (int i = 0; i < n; i++)
	{
		LatencyKey	found;
		SampleHead *head = dbperf_sample_read((int) slots[i], &found);

		if (head != NULL && memcmp(&found, key, sizeof(found)) == 0)
			return head;
	}
	return NULL;
}

/*
 * Copies the text of the plan of a slot with this generation into the current
 * memory context, behind its head.  Returns NULL if it has none.
 */
PlanTextHead *
dbperf_plan_read(LatencySlot *slot, uint64 generation)
{
	return text_read(slot, generation, true);
}

/*
 * For the postmaster, who writes and reads dumps while nobody else is there:
 * copies a text into the area, or InvalidDsaPointer without room, and says where
 * one is and how long.
 */
dsa_pointer
dbperf_text_load(const void *text, Size size)
{
	dsa_pointer place = dsa_allocate_extended(postmaster_area, size, DSA_ALLOC_NO_OOM);

	if (DsaPointerIsValid(place))
		memcpy(dsa_get_address(postmaster_area, place), text, size);
	return place;
}

const void *
dbperf_text_dump(dsa_pointer text, bool plan, Size *size)
{
	void *place;

	*size = 0;
	if (!DsaPointerIsValid(text) || postmaster_area == NULL)
		return NULL;
	place = dsa_get_address(postmaster_area, text);
	*size = plan ? plan_bytes(place) : sample_bytes(place);
	return place;
}
