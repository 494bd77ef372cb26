/*-------------------------------------------------------------------------
 *
 * sample_ring.c
 *		The last samples, in shared memory.
 *
 * This is all that there is on a standby and in databases other than
 * dbperf.database, and what tables do not have because they could not be written.
 *
 * Each tier has a ring for samples of metrics and one for those of queries.  A
 * ring is filled with records of different sizes; the oldest ones make room.  A
 * record is never divided: if it does not fit before the end of the ring, the
 * next one is at its start.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "core/core.h"
#include "metrics/samples.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#define NUM_RINGS (2 * NUM_TIERS)
#define RING_NUMBER(kind, tier) ((int) (kind) *NUM_TIERS + (tier))

/*
 * Bytes of each ring.  With 150 series, of 1.2 kB for each sample, they last for
 * about 4, 14 and 70 hours, and those of 50 queries for 3 and 28 hours.
 */
static const Size ring_sizes[NUM_RINGS] = {
	2048 * 1024, 1024 * 1024, 512 * 1024, 0, 1024 * 1024, 1024 * 1024,
};

/* The head of a record; what it holds follows. */
typedef struct RingRecord
{
	Size	   size; /* all of it */
	SampleInfo info;
	bool	   standby; /* the server was one */
	bool	   stored;	/* the tables have it, too */
} RingRecord;

#define RECORD_PAYLOAD(record) ((char *) (record) + MAXALIGN(sizeof(RingRecord)))

/* Where records are, in bytes from the start of the ring. */
typedef struct Ring
{
	int	 count;
	Size oldest;
	Size end;  /* of the newest */
	Size wrap; /* 0, or the newest are before the oldest, and those end here */
	Size newest;
} Ring;

/*
 * All of it is read and written under the area's only lock; only the sampler
 * writes.  Readers copy whole rings and look at them afterwards.
 */
typedef struct RingArea
{
	SamplerStatus status;
	int			  epoch; /* changes when positions of series do */
	int			  num_series;
	int			  encoding; /* of their identities */
	Series		  series[MAX_SERIES];
	Ring		  rings[NUM_RINGS];
} RingArea;

static RingArea		*area = NULL;
static LWLockPadded *area_lock = NULL;

#define AREA_LOCK (&area_lock->lock)

static Size
ring_area_size(void)
{
	Size size = MAXALIGN(sizeof(RingArea));

	for (int i = 0; i < NUM_RINGS; i++)
		size = add_size(size, ring_sizes[i]);
	return size;
}

static void
ring_area_attach(void *memory, bool found)
{
	area = memory;
	if (!found)
		memset(area, 0, MAXALIGN(sizeof(RingArea)));
}

/*
 * Registers the shared memory.
 */
void
dbperf_sample_ring_init(void)
{
	static const DbperfShmemArea shmem = {
		.name = "dbperf metrics history",
		.size = ring_area_size,
		.attach = ring_area_attach,
		.tranche = "DbperfMetricsHistory",
		.num_locks = 1,
		.locks = &area_lock,
	};

	dbperf_shmem_register(&shmem);
}

/*
 * Locks the area and returns the status in it; NULL, and nothing is locked,
 * without shared memory.
 */
SamplerStatus *
dbperf_sample_ring_lock(LWLockMode mode)
{
	if (area == NULL)
		return NULL;
	LWLockAcquire(AREA_LOCK, mode);
	return &area->status;
}

void
dbperf_sample_ring_unlock(void)
{
	LWLockRelease(AREA_LOCK);
}

/*
 * How many series there are.  Caller must hold the lock.
 */
int
dbperf_sample_ring_num_series(void)
{
	Assert(LWLockHeldByMe(AREA_LOCK));
	return area->num_series;
}

/* The first byte of a ring. */
static char *
ring_data(int number)
{
	char *data = (char *) area + MAXALIGN(sizeof(RingArea));

	for (int i = 0; i < number; i++)
		data += ring_sizes[i];
	return data;
}

/*
 * Publishes the directory of series.  In a new epoch positions are other ones,
 * and samples that are in the ring cannot be read any more.
 */
void
dbperf_sample_ring_series_set(const Series *series, int num_series, int encoding, bool new_epoch)
{
	Assert(num_series <= MAX_SERIES);
	LWLockAcquire(AREA_LOCK, LW_EXCLUSIVE);
	if (new_epoch)
	{
		area->epoch++;
		for (int tier = 0; tier < NUM_TIERS; tier++)
			memset(&area->rings[RING_NUMBER(RING_METRICS, tier)], 0, sizeof(Ring));
	}
	memcpy(area->series, series, num_series * sizeof(Series));
	area->num_series = num_series;
	area->encoding = encoding;
	LWLockRelease(AREA_LOCK);
}

/*
 * A copy of the directory of series.  Returns their number.
 */
int
dbperf_sample_ring_series(Series **series, int *encoding, int *epoch)
{
	int count;

	*series = palloc(MAX_SERIES * sizeof(Series));
	LWLockAcquire(AREA_LOCK, LW_SHARED);
	count = area->num_series;
	memcpy(*series, area->series, count * sizeof(Series));
	*encoding = area->encoding;
	*epoch = area->epoch;
	LWLockRelease(AREA_LOCK);
	return count;
}

/* Forgets the oldest record of a ring that has one. */
static void
drop_oldest(Ring *ring, const char *data)
{
	const RingRecord *record = (const RingRecord *) (data + ring->oldest);

	ring->oldest += record->size;
	ring->count--;
	if (ring->wrap > 0 && ring->oldest >= ring->wrap)
	{
		ring->oldest = 0;
		ring->wrap = 0;
	}
	if (ring->count == 0)
		memset(ring, 0, sizeof(Ring));
}

/* Finds room for a record; size is at most the ring's. */
static Size
make_room(Ring *ring, const char *data, Size ring_size, Size size)
{
	for (;;)
	{
		if (ring->wrap == 0)
		{
			if (ring_size - ring->end >= size)
				return ring->end;
			ring->wrap = ring->end;
			ring->end = 0;
		}
		if (ring->oldest - ring->end >= size)
			return ring->end;
		drop_oldest(ring, data);
	}
}

/*
 * Puts a record into a ring.  One that is larger than the ring is left out.
 */
static void
put_record(int number, const SampleInfo *info, const void *payload, Size payload_size)
{
	Ring	   *ring = &area->rings[number];
	char	   *data = ring_data(number);
	Size		size = MAXALIGN(sizeof(RingRecord)) + MAXALIGN(payload_size);
	bool		standby = RecoveryInProgress();
	RingRecord *record;

	if (size > ring_sizes[number])
		return;

	LWLockAcquire(AREA_LOCK, LW_EXCLUSIVE);
	ring->newest = make_room(ring, data, ring_sizes[number], size);
	record = (RingRecord *) (data + ring->newest);
	record->size = size;
	record->info = *info;
	record->info.ring = true;
	record->info.set = area->epoch;
	record->standby = standby;
	record->stored = false;
	memcpy(RECORD_PAYLOAD(record), payload, payload_size);
	ring->end = ring->newest + size;
	ring->count++;
	LWLockRelease(AREA_LOCK);
}

void
dbperf_sample_ring_put_metrics(int tier, const MetricSample *sample)
{
	put_record(RING_NUMBER(RING_METRICS, tier), &sample->info, sample->values,
			   sample->info.count * sizeof(double));
}

void
dbperf_sample_ring_put_queries(int tier, const QuerySample *sample)
{
	put_record(RING_NUMBER(RING_QUERIES, tier), &sample->info, sample->queries,
			   sample->info.count * sizeof(TopQuery));
}

/*
 * Says of the newest records, all of which were taken at this time, whether the
 * tables have them as well.
 */
void
dbperf_sample_ring_stored(TimestampTz at, bool stored)
{
	LWLockAcquire(AREA_LOCK, LW_EXCLUSIVE);
	for (int i = 0; i < NUM_RINGS; i++)
	{
		RingRecord *record = (RingRecord *) (ring_data(i) + area->rings[i].newest);

		if (area->rings[i].count > 0 && record->info.at == at)
			record->stored = stored;
	}
	LWLockRelease(AREA_LOCK);
}

/* A sample made of a record, palloc'd. */
static void *
sample_of_record(RingKind kind, RingRecord *record)
{
	if (kind == RING_METRICS)
	{
		MetricSample *sample = palloc(sizeof(MetricSample));

		sample->info = record->info;
		sample->values = (double *) RECORD_PAYLOAD(record);
		return sample;
	}
	else
	{
		QuerySample *sample = palloc(sizeof(QuerySample));

		sample->info = record->info;
		sample->queries = (TopQuery *) RECORD_PAYLOAD(record);
		return sample;
	}
}

/* Whether somebody wants to read a record. */
static bool
is_chosen(const RingRecord *record, RingChoice choice)
{
	switch (choice)
	{
		case RING_ALL:
			return true;
		case RING_PRIMARY:
			return !record->standby;
		case RING_UNSTORED:
			return !record->standby && !record->stored;
	}
	return false;
}

/*
 * The samples (MetricSample or QuerySample) of a tier that were taken after since
 * and not after until, in the order in which they were taken.
 */
List *
dbperf_sample_ring_read(RingKind kind, int tier, TimestampTz since, TimestampTz until,
						RingChoice choice)
{
	int	  number = RING_NUMBER(kind, tier);
	char *data = palloc(Max(ring_sizes[number], 1));
	List *samples = NIL;
	Ring  ring;
	Size  place;

	LWLockAcquire(AREA_LOCK, LW_SHARED);
	ring = area->rings[number];
	memcpy(data, ring_data(number), ring.wrap > 0 ? ring.wrap : ring.end);
	LWLockRelease(AREA_LOCK);

	place = ring.oldest;
	for (int i = 0; i < ring.count; i++)
	{
		RingRecord *record = (RingRecord *) (data + place);

		if (record->info.at > since && record->info.at <= until && is_chosen(record, choice))
			samples = lappend(samples, sample_of_record(kind, record));
		place += record->size;
		if (ring.wrap > 0 && place >= ring.wrap)
			place = 0;
	}
	return samples;
}
