/*-------------------------------------------------------------------------
 *
 * latency_dump.c
 *		Keeps histograms, samples and plans over a restart of the server.
 *
 * A plan that is slower after a restart, with another setting or another minor
 * release, is seen only if what was before it is still known.  So the postmaster
 * writes all slots to a file when it shuts down, after all other processes, and
 * reads them back when it makes the shared memory anew.  As with ring_dump.c,
 * the file is removed once it is read, so that after a crash there is none; it
 * is written to a temporary file that is renamed; and problems are written to
 * the log, and stop nothing.
 *
 * The file is a DumpHeader; for each slot, the last used one first, a DumpSlot,
 * its buckets that are not empty, its sample and its plan; and the checksum of
 * all that.  It is checked before anything is read from it.  One that another
 * major release of the server wrote, or another layout of these structs, is
 * ignored: plan ids have another meaning there.
 *
 * An immediate shutdown looks like a clean one here, and may leave a slot that
 * was changing hands, which is left out.  Nothing takes a lock: a process that
 * was killed may still hold it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>
#include <unistd.h>

#include "catalog/catversion.h"
#include "miscadmin.h"
#include "monitor/dump_file.h"
#include "monitor/latency_int.h"
#include "monitor/monitor_int.h"
#include "port/pg_crc32c.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

#define LATENCY_DUMP_PATH "pg_stat/dbperf_latency.stat"
#define LATENCY_DUMP_MAGIC 0x6462706c /* as a number, so it shows the byte order */
#define LATENCY_DUMP_LAYOUT 1

/* No padding but what is spelled out. */
typedef struct DumpHeader
{
	uint32 magic;
	uint32 layout;
	uint32 catalog_version;
	uint32 slot_size; /* of DumpSlot */
	uint32 head_size; /* of SampleHead */
	uint32 buckets;
} DumpHeader;

typedef struct DumpSlot
{
	LatencyKey	   key;
	uint64		   plan_id;
	TimestampTz	   first_seen;
	TimestampTz	   last_seen;
	LatencyHistory history;
	uint64		   total_ns; /* of the lifetime */
	uint64		   min_ns;
	uint64		   max_ns;
	uint64		   errors;
	uint64		   since_total_ns;
	uint32		   other; /* 1 = it is "other" */
	uint32		   has_texts;
	uint32		   nbuckets;
	uint32		   sample_len;
	uint32		   plan_len;
	uint32		   own; /* 1 = it is a call of dbperf's own */
} DumpSlot;

typedef struct DumpBucket
{
	uint64 bucket;
	uint64 before;
	uint64 since;
} DumpBucket;

/* A file being written or read. */
typedef struct DumpFile
{
	FILE	   *file;
	pg_crc32c	crc;
	uint64		remaining; /* bytes that are still to be read */
	const char *problem;   /* what is wrong with it, or NULL */
} DumpFile;

/* A slot and when it was used, to be sorted. */
typedef struct DumpOrder
{
	TimestampTz seen;
	uint32		slot;
} DumpOrder;

/* Writes some bytes.  Returns false with errno set if that fails. */
static bool
dump_put(DumpFile *dump, const void *bytes, Size len)
{
	if (len == 0)
		return true;
	COMP_CRC32C(dump->crc, bytes, len);
	return fwrite(bytes, len, 1, dump->file) == 1;
}

static void
dump_header(DumpHeader *header)
{
	memset(header, 0, sizeof(*header));
	header->magic = LATENCY_DUMP_MAGIC;
	header->layout = LATENCY_DUMP_LAYOUT;
	header->catalog_version = CATALOG_VERSION_NO;
	header->slot_size = sizeof(DumpSlot);
	header->head_size = sizeof(SampleHead);
	header->buckets = LATENCY_BUCKETS;
}

/*
 * When a slot was last used.
 */
static TimestampTz
slot_seen(LatencySlot *slot, TimestampTz now_ts)
{
	uint64 now = (uint64) dbperf_now_ns();

	return now_ts + (dbperf_latency_seen_ns(slot, now, now_ts) - (int64) now) / 1000;
}

/*
 * Collects a slot's buckets that are not empty; the open window becomes a part
 * of "since" if it counts.  Returns how many.
 */
static uint32
collect_buckets(LatencySlot *slot, bool open_counts, DumpBucket *buckets, bool *since)
{
	uint32 n = 0;

	for (int i = 0; i < LATENCY_BUCKETS; i++)
	{
		DumpBucket *bucket = &buckets[n];
		uint64		open = pg_atomic_read_u32(&slot->current_buckets[i]);

		bucket->bucket = (uint64) i;
		bucket->before = pg_atomic_read_u64(&slot->lifetime_buckets[i]);
		bucket->since = pg_atomic_read_u32(&slot->since_buckets[i]);
		*(open_counts ? &bucket->since : &bucket->before) += open;
		*since |= bucket->since > 0;
		if (bucket->before > 0 || bucket->since > 0)
			n++;
	}
	return n;
}

/*
 * Writes one slot.  Returns false with errno set if that fails.
 */
static bool
dump_slot(DumpFile *dump, LatencySlot *slot, TimestampTz now)
{
	LatencyTotals *current = &slot->current;
	LatencyTotals *lifetime = &slot->lifetime;
	uint64		   open_ns = pg_atomic_read_u64(&current->total_ns);
	DumpBucket	   buckets[LATENCY_BUCKETS];
	DumpSlot	   head;
	Size		   sample_len;
	Size		   plan_len;
	const void	  *sample = dbperf_text_dump(slot->sample, false, &sample_len);
	const void	  *plan = dbperf_text_dump(slot->plan, true, &plan_len);
	bool		   open_counts = dbperf_latency_open_counts(slot);
	bool		   since = false;

	memset(&head, 0, sizeof(head));
	head.nbuckets = collect_buckets(slot, open_counts, buckets, &since);
	head.key = slot->key;
	head.plan_id = slot->plan_id;
	head.first_seen = slot->first_seen;
	head.last_seen = slot_seen(slot, now);
	memcpy(&head.history, &slot->history, sizeof(head.history));
	if (since && head.history.since_began == 0)
		head.history.since_began = dbperf_latency_open_began(slot, (uint64) dbperf_now_ns(), now);
	head.total_ns = pg_atomic_read_u64(&lifetime->total_ns) + open_ns;
	head.min_ns = Min(pg_atomic_read_u64(&lifetime->min_ns), pg_atomic_read_u64(&current->min_ns));
	head.max_ns = Max(pg_atomic_read_u64(&lifetime->max_ns), pg_atomic_read_u64(&current->max_ns));
	head.errors = pg_atomic_read_u64(&lifetime->errors) + pg_atomic_read_u64(&current->errors);
	head.since_total_ns = pg_atomic_read_u64(&slot->since_total_ns) + (open_counts ? open_ns : 0);
	head.other = slot == dbperf_latency_other() ? 1 : 0;
	head.has_texts = pg_atomic_read_u32(&slot->has_texts);
	head.own = pg_atomic_read_u32(&slot->own);
	head.sample_len = (uint32) sample_len;
	head.plan_len = (uint32) plan_len;

	return dump_put(dump, &head, sizeof(head)) &&
		   dump_put(dump, buckets, head.nbuckets * sizeof(DumpBucket)) &&
		   dump_put(dump, sample, sample_len) && dump_put(dump, plan, plan_len);
}

/* qsort comparator: the last used slot first. */
static int
order_compare(const void *a, const void *b)
{
	TimestampTz x = ((const DumpOrder *) a)->seen;
	TimestampTz y = ((const DumpOrder *) b)->seen;

	return x > y ? -1 : x < y ? 1 : 0;
}

/*
 * Writes all slots.  Returns false with errno set if that fails.
 */
static bool
dump_slots(DumpFile *dump, DumpOrder *order, TimestampTz now)
{
	DumpHeader header;
	int		   n = 0;

	for (int i = 0; i < dbperf_max_queries; i++)
	{
		LatencySlot *slot = &dbperf_latency_shared->slots[i];
		uint64		 generation = pg_atomic_read_u64(&slot->generation);

		if (generation == GENERATION_FREE || generation == GENERATION_BUSY)
			continue;
		order[n].seen = slot_seen(slot, now);
		order[n++].slot = (uint32) i;
	}
	qsort(order, n, sizeof(DumpOrder), order_compare);

	dump_header(&header);
	if (!dump_put(dump, &header, sizeof(header)) || !dump_slot(dump, dbperf_latency_other(), now))
		return false;
	for (int i = 0; i < n; i++)
	{
		if (!dump_slot(dump, &dbperf_latency_shared->slots[order[i].slot], now))
			return false;
	}
	FIN_CRC32C(dump->crc);
	return fwrite(&dump->crc, sizeof(dump->crc), 1, dump->file) == 1;
}

static bool
dump_write(FILE *file, void *arg)
{
	DumpFile dump = {.file = file};

	INIT_CRC32C(dump.crc);
	return dump_slots(&dump, arg, GetCurrentTimestamp());
}

/*
 * Writes the dump.
 */
static void
latency_dump(const char *path)
{
	DumpOrder *order = dbperf_dump_alloc(Max(dbperf_max_queries, 1) * sizeof(DumpOrder));

	if (order == NULL)
	{
		dbperf_dump_no_memory(path);
		return;
	}
	dbperf_dump_replace(path, dump_write, order);
	pfree(order);
}

static void
latency_dump_at_exit(int code, Datum arg)
{
	/* after a crash nothing in shared memory can be trusted */
	if (code == 0 && dbperf_latency_shared != NULL)
		latency_dump(LATENCY_DUMP_PATH);
}

/*
 * Reads exactly len bytes.  Returns false, with the problem noted, if there are
 * not so many.
 */
static bool
dump_get(DumpFile *dump, void *into, Size len)
{
	if (len > dump->remaining)
		dump->problem = "has records that do not fit together";
	else if (len > 0 && fread(into, len, 1, dump->file) != 1)
		dump->problem = "could not be read";
	else
	{
		dump->remaining -= len;
		return true;
	}
	return false;
}

/*
 * Checks the header and the checksum of the whole file.  Returns false, with the
 * problem noted, if it is no dump for us.
 */
static bool
dump_check(DumpFile *dump)
{
	DumpHeader	header;
	DumpHeader	expected;
	struct stat st;
	char		piece[8192];
	pg_crc32c	crc;

	if (fstat(fileno(dump->file), &st) != 0)
	{
		dump->problem = "could not be read";
		return false;
	}
	dump->remaining = (uint64) st.st_size;
	if (dump->remaining < sizeof(header) + sizeof(crc))
	{
		dump->problem = "is cut off";
		return false;
	}
	if (!dump_get(dump, &header, sizeof(header)))
		return false;
	dump_header(&expected);
	if (memcmp(&header, &expected, sizeof(header)) != 0)
	{
		dump->problem = "was written by another version of dbperf or of the server";
		return false;
	}

	INIT_CRC32C(dump->crc);
	COMP_CRC32C(dump->crc, &header, sizeof(header));
	while (dump->remaining > sizeof(crc))
	{
		Size len = Min(dump->remaining - sizeof(crc), sizeof(piece));

		if (!dump_get(dump, piece, len))
			return false;
		COMP_CRC32C(dump->crc, piece, len);
	}
	FIN_CRC32C(dump->crc);
	if (!dump_get(dump, &crc, sizeof(crc)))
		return false;
	if (!EQ_CRC32C(crc, dump->crc))
	{
		dump->problem = "is damaged";
		return false;
	}
	dump->remaining = (uint64) st.st_size - sizeof(crc);
	rewind(dump->file);
	return dump_get(dump, &header, sizeof(header));
}

/*
 * Adds what was dumped to a slot that has counted something.
 */
static void
slot_add(LatencySlot *slot, const DumpSlot *head, const DumpBucket *buckets)
{
	for (uint32 i = 0; i < head->nbuckets; i++)
		pg_atomic_fetch_add_u64(&slot->lifetime_buckets[buckets[i].bucket],
								buckets[i].before + buckets[i].since);
	pg_atomic_fetch_add_u64(&slot->lifetime.total_ns, head->total_ns);
	pg_atomic_fetch_add_u64(&slot->lifetime.errors, head->errors);
	dbperf_extreme_lower(&slot->lifetime.min_ns, head->min_ns);
	dbperf_extreme_raise(&slot->lifetime.max_ns, head->max_ns);
}

/*
 * Fills a slot that is new.
 */
static void
slot_fill(LatencySlot *slot, const DumpSlot *head, const DumpBucket *buckets)
{
	slot->first_seen = head->first_seen;
	slot->dumped_seen = head->last_seen;
	slot->history = head->history;
	pg_atomic_write_u64(&slot->last_used_ns, 0);
	pg_atomic_write_u32(&slot->has_texts, head->has_texts);
	pg_atomic_write_u32(&slot->own, head->own);
	slot_add(slot, head, buckets);
	pg_atomic_write_u64(&slot->since_total_ns, head->since_total_ns);
	for (uint32 i = 0; i < head->nbuckets; i++)
	{
		/* what does not fit was there before for long */
		uint32 since = (uint32) Min(buckets[i].since, (uint64) PG_INT32_MAX);

		pg_atomic_fetch_sub_u64(&slot->lifetime_buckets[buckets[i].bucket], since);
		pg_atomic_write_u32(&slot->since_buckets[buckets[i].bucket], since);
	}
}

/*
 * Finds a place for a slot that was read.
 */
static void
slot_load(const DumpSlot *head, const DumpBucket *buckets, const char *texts)
{
	LatencySlot *slot;

	if (head->other != 0)
	{
		slot_add(dbperf_latency_other(), head, buckets);
		return;
	}
	slot = dbperf_latency_lookup(&head->key, head->plan_id);
	if (slot == dbperf_latency_other() || slot->plan_id != head->plan_id ||
		dbperf_latency_calls(slot) > 0)
	{
		slot_add(slot, head, buckets);
		return;
	}
	slot_fill(slot, head, buckets);
	if (head->sample_len >= sizeof(SampleHead))
		slot->sample = dbperf_text_load(texts, head->sample_len);
	if (head->plan_len >= sizeof(PlanTextHead))
		slot->plan = dbperf_text_load(texts + head->sample_len, head->plan_len);
}

/*
 * Reads one slot.  Returns false, with the problem noted, if that is not
 * possible.
 */
static bool
dump_read_slot(DumpFile *dump)
{
	DumpSlot   head;
	DumpBucket buckets[LATENCY_BUCKETS];
	uint64	   len;
	char	  *texts;
	bool	   good;

	if (!dump_get(dump, &head, sizeof(head)))
		return false;
	len = (uint64) head.sample_len + head.plan_len;
	if (head.nbuckets > LATENCY_BUCKETS || len > dump->remaining || len > MaxAllocSize)
	{
		dump->problem = "has records that do not fit together";
		return false;
	}
	if (!dump_get(dump, buckets, head.nbuckets * sizeof(DumpBucket)))
		return false;
	for (uint32 i = 0; i < head.nbuckets; i++)
	{
		if (buckets[i].bucket >= LATENCY_BUCKETS)
		{
			dump->problem = "has records that do not fit together";
			return false;
		}
	}
	texts = dbperf_dump_alloc(Max(len, 1));
	if (texts == NULL)
	{
		dump->problem = "could not be read: out of memory";
		return false;
	}
	good = dump_get(dump, texts, len);
	if (good)
		slot_load(&head, buckets, texts);
	pfree(texts);
	return good;
}

static void
latency_load(const char *path)
{
	DumpFile dump = {0};
	char	 temp[MAXPGPATH];

	dump.file = AllocateFile(path, PG_BINARY_R);
	if (dump.file != NULL)
	{
		if (dump_check(&dump))
		{
			while (dump.remaining > 0 && dump_read_slot(&dump))
				;
		}
		(void) FreeFile(dump.file);
	}
	else if (errno != ENOENT)
		dump.problem = "could not be opened";

	if (dump.problem != NULL)
		ereport(LOG, (errcode(ERRCODE_DATA_CORRUPTED),
					  errmsg("latencies and plans of before the restart are not available: "
							 "file \"%s\" %s",
							 path, dump.problem)));
	if (unlink(path) != 0 && errno != ENOENT)
		ereport(LOG, (errcode_for_file_access(), errmsg("could not remove file \"%s\": %m", path)));

	/* A server that crashed while it wrote a dump has left this. */
	snprintf(temp, sizeof(temp), "%s.tmp", path);
	(void) unlink(temp);
}

/*
 * Fills the slots from the dump, if there is one, and sees to it that there will
 * be another.  To be called by the process that has just made the shared memory
 * of latencies and of samples.  Raises no error.
 */
void
dbperf_latency_load(void)
{
	latency_load(LATENCY_DUMP_PATH);
	if (!IsUnderPostmaster)
		on_shmem_exit(latency_dump_at_exit, (Datum) 0);
}
