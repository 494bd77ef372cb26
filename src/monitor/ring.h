/*-------------------------------------------------------------------------
 *
 * ring.h
 *		A ring of variable-length records in shared memory.
 *
 * Many writers, many readers, no lock: writers never wait, readers never
 * hold a writer up.  The protocol stands in ring.c.  Records have ids that
 * count from 1; a dropped record uses up an id, too.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_RING_H
#define DBPERF_RING_H

#include "datatype/timestamp.h"
#include "port/atomics.h"

typedef struct DbperfRing DbperfRing;

/* One of the pieces that make up a record, copied one behind the other. */
typedef struct RingPart
{
	const void *data;
	Size		len;
} RingPart;

typedef enum RingPush
{
	RING_PUSHED,   /* stored, id is valid */
	RING_BUSY,	   /* its place was being written: dropped */
	RING_TOO_LARGE /* more than a quarter of the ring: dropped */
} RingPush;

typedef enum RingRead
{
	RING_READ,		  /* delivered */
	RING_GONE,		  /* overwritten, reset, or of an earlier run */
	RING_NOT_WRITTEN, /* dropped, being written, or yet to come */
	RING_TORN		  /* overwritten while it was read, or damaged */
} RingRead;

/*
 * Counts since the ring was made.  A loaded dump's counts go on.  A record that
 * is damaged is counted as torn each time somebody tries to read it.
 */
typedef struct RingCounts
{
	uint64		written;	 /* records stored */
	uint64		overwritten; /* stored records that newer ones replaced */
	uint64		busy;		 /* dropped, RING_BUSY */
	uint64		too_large;	 /* dropped, RING_TOO_LARGE */
	uint64		torn;		 /* deliveries refused, RING_TORN */
	uint64		bytes_used;	 /* occupied by records that can still be read */
	TimestampTz epoch;		 /* when ids began at 1; they go on after a clean restart */
} RingCounts;

/* ring.c */
extern Size		dbperf_ring_size(int entries, Size bytes);
extern void		dbperf_ring_init(DbperfRing *ring, int entries, Size bytes);
extern Size		dbperf_ring_max_record(const DbperfRing *ring);
extern RingPush dbperf_ring_push(DbperfRing *ring, const RingPart *parts, int nparts, uint64 *id);
extern uint64	dbperf_ring_oldest_id(DbperfRing *ring);
extern uint64	dbperf_ring_next_id(DbperfRing *ring);
extern TimestampTz dbperf_ring_epoch(DbperfRing *ring);
extern RingRead dbperf_ring_read(DbperfRing *ring, uint64 id, char *buf, Size bufsize, Size *len);
extern void		dbperf_ring_counts(DbperfRing *ring, RingCounts *counts);
extern void		dbperf_ring_reset(DbperfRing *ring);
extern void		dbperf_ring_clear(DbperfRing *ring);
extern void		dbperf_ring_restore(DbperfRing *ring, uint64 id, const void *data, Size len);
extern void		dbperf_ring_restore_finish(DbperfRing *ring, uint64 first_id, uint64 next_id,
										   const RingCounts *counts);

/* ring_dump.c */
extern void dbperf_ring_dump(DbperfRing *ring, const char *path, uint32 format);
extern void dbperf_ring_load(DbperfRing *ring, const char *path, uint32 format);

#endif /* DBPERF_RING_H */
