/*-------------------------------------------------------------------------
 *
 * cache_seen.c
 *		Remembers which keys were seen before: dbperf.cache_admission.
 *
 * Most keys of many workloads come once.  With the admission "repeated" their
 * results are not stored; all that is kept of them is 8 bytes here.  Each key
 * belongs to a line of a few places, of which a new key takes the one that was
 * taken longest ago.  Nothing is locked: a mark that gets lost costs one more
 * execution, and one that is taken for another's costs some room.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "cache/cache_store.h"
#include "core/core.h"

/* As many as make a line of 64 bytes. */
#define MARKS 7

typedef struct SeenLine
{
	pg_atomic_uint64 taken; /* how often a place was taken */
	pg_atomic_uint64 marks[MARKS];
} SeenLine;

/* This part of the cache's memory, between these limits. */
#define SEEN_PART 64
#define MIN_LINES 256
#define MAX_LINES (128 * 1024)

static SeenLine *seen_lines = NULL;

static Size
num_lines(void)
{
	Size wanted = dbperf_cache_bytes() / SEEN_PART / sizeof(SeenLine);

	return Min(Max(wanted, MIN_LINES), MAX_LINES);
}

/* Bytes that it takes. */
Size
dbperf_cache_seen_size(void)
{
	return CACHELINEALIGN(num_lines() * sizeof(SeenLine));
}

static void
seen_attach(void *area, bool found)
{
	seen_lines = area;
	if (found)
		return;
	for (Size i = 0; i < num_lines(); i++)
	{
		pg_atomic_init_u64(&seen_lines[i].taken, 0);
		for (int n = 0; n < MARKS; n++)
			pg_atomic_init_u64(&seen_lines[i].marks[n], 0);
	}
}

/*
 * Registers its shared memory.
 */
void
dbperf_cache_seen_init(void)
{
	static const DbperfShmemArea area = {
		.name = "dbperf cache seen",
		.size = dbperf_cache_seen_size,
		.attach = seen_attach,
	};

	dbperf_shmem_register(&area);
}

/*
 * Whether a key was seen before, as far as that is still known.  Notes that it
 * is seen now.
 */
bool
dbperf_cache_seen(const CacheKey *key)
{
	uint64	  mark = key->hash[1] | 1; /* 0 is an empty place */
	SeenLine *line;

	if (seen_lines == NULL)
		return false;
	line = &seen_lines[key->hash[0] % num_lines()];
	for (int i = 0; i < MARKS; i++)
	{
		if (pg_atomic_read_u64(&line->marks[i]) == mark)
			return true;
	}
	pg_atomic_write_u64(&line->marks[pg_atomic_fetch_add_u64(&line->taken, 1) % MARKS], mark);
	return false;
}
