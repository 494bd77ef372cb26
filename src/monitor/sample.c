/*-------------------------------------------------------------------------
 *
 * sample.c
 *		The first execution of each query: its text as it was sent, the types
 *		and values of its parameters, and the search_path it ran under.
 *
 * Normalised texts often do not parse again (interval $1), so whatever
 * analyses a workload later needs one original.  Samples live in a dynamic
 * area inside the main segment, which never grows beyond what it was given;
 * without room a query just has no sample, and that is counted.
 *
 * A slot's sample pointer is guarded by the lock of its key's partition (see
 * latency.c): a reader copies under the shared lock, whoever frees a sample
 * has taken the pointer out under the exclusive one before.
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
#define SAMPLE_MIN_BYTES (2 * 1024 * 1024)

static void			*sample_place = NULL;
static LWLockPadded *sample_locks = NULL;
static dsa_area		*sample_area = NULL;

static Size
sample_size(void)
{
	Size wanted = mul_size(dbperf_max_queries, SAMPLE_BYTES_PER_QUERY);

	return MAXALIGN(Max(Max(wanted, SAMPLE_MIN_BYTES), dsa_minimum_size()));
}

static void
sample_attach(void *area, bool found)
{
	sample_place = area;
	sample_area = NULL;
	if (!found)
	{
		dsa_area *dsa =
			dsa_create_in_place(area, sample_size(), sample_locks[0].lock.tranche, NULL);

		/* all of it lives in this place: no segments beside it */
		dsa_pin(dsa);
		dsa_set_size_limit(dsa, sample_size());
		dsa_detach(dsa);
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
 * Keeps the first execution of the query that owns slot, which is one of the
 * current user in the current database.  Returns false if there was no room,
 * or the slot has lost its query meanwhile.
 */
bool
dbperf_sample_store(LatencySlot *slot, const SampleHead *head, const char *query,
					const char *params)
{
	dsa_area   *dsa;
	Size		size = sizeof(SampleHead) + head->query_len + head->params_len;
	LatencyKey	key = slot->key;
	LWLock	   *lock = LATENCY_LOCK(get_hash_value(dbperf_latency_hash, &key));
	dsa_pointer sample;
	char	   *place;
	uint64		generation;
	bool		stored = false;

	dbperf_sample_attach();
	dsa = sample_area;
	sample = dsa_allocate_extended(dsa, size, DSA_ALLOC_NO_OOM);
	if (!DsaPointerIsValid(sample))
	{
		pg_atomic_fetch_add_u64(&dbperf_latency_shared->samples_refused, 1);
		return false;
	}
	place = dsa_get_address(dsa, sample);
	memcpy(place, head, sizeof(SampleHead));
	memcpy(place + sizeof(SampleHead), query, head->query_len);
	memcpy(place + sizeof(SampleHead) + head->query_len, params, head->params_len);

	LWLockAcquire(lock, LW_EXCLUSIVE);
	generation = pg_atomic_read_u64(&slot->generation);
	if (generation != GENERATION_FREE && generation != GENERATION_BUSY &&
		memcmp(&slot->key, &key, sizeof(key)) == 0 && !DsaPointerIsValid(slot->sample))
	{
		slot->sample = sample;
		stored = true;
	}
	LWLockRelease(lock);

	if (!stored)
		dsa_free(dsa, sample);
	return stored;
}

/*
 * Copies the sample of the n-th slot into the current memory context, texts
 * behind the head, and fills its key.  Returns NULL if it has none.
 */
SampleHead *
dbperf_sample_read(int n, LatencyKey *key)
{
	LatencySlot *slot = &dbperf_latency_shared->slots[n];
	uint64		 generation = pg_atomic_read_u64(&slot->generation);
	LWLock		*lock;
	SampleHead	*copy = NULL;
	bool		 no_memory = false;

	if (generation == GENERATION_FREE || generation == GENERATION_BUSY)
		return NULL;
	dbperf_sample_attach();
	pg_read_barrier();
	*key = slot->key;
	lock = LATENCY_LOCK(get_hash_value(dbperf_latency_hash, key));

	LWLockAcquire(lock, LW_SHARED);
	if (pg_atomic_read_u64(&slot->generation) == generation &&
		memcmp(&slot->key, key, sizeof(*key)) == 0 && DsaPointerIsValid(slot->sample))
	{
		SampleHead *head = dsa_get_address(sample_area, slot->sample);
		Size		size = sizeof(SampleHead) + head->query_len + head->params_len;

		copy = palloc_extended(size, MCXT_ALLOC_NO_OOM);
		if (copy != NULL)
			memcpy(copy, head, size);
		else
			no_memory = true;
	}
	LWLockRelease(lock);

	/* an error under the lock would find it still held when it is reported */
	if (no_memory)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	return copy;
}
