/*-------------------------------------------------------------------------
 *
 * ring.c
 *		A ring of variable-length records in shared memory, without locks.
 *
 * A slow statement is recorded at the end of its execution: in the middle of
 * a user's query, in an error handler or in a transaction callback.  There a
 * record must not wait, allocate or fail.  So writers share nothing but a few
 * atomic variables, and whoever would have to wait drops its record instead
 * and counts that.  Readers change nothing that a writer looks at.
 *
 * There are two rings.  The byte ring holds the contents, each in one range
 * of an ever growing 64-bit position (the place is the position modulo the
 * size; a content may continue at the start).  The descriptor ring holds for
 * each record where its content is; the record with index i uses descriptor
 * i modulo the number of descriptors.  The id shown to callers is i + 1.
 *
 * A descriptor's seq says what it holds:
 *		2 * i + 1	record i is being written by the one that claimed it
 *		2 * i + 2	record i is complete
 * so seq only grows, 0 is a descriptor that was never used, odd is "busy".
 *
 * Writer:
 *	w1	compute the content's checksum
 *	w2	i = next_index++
 *	w3	seq: compare-exchange from an even value below 2i+1 to 2i+1; if seq is
 *		odd or newer the record is dropped and counted as busy
 *	w4	pos = next_pos, next_pos += aligned length
 *	w5	write barrier
 *	w6	store pos, len, crc; copy the content
 *	w7	write barrier
 *	w8	seq = 2i+2
 *	w9	written++
 * Bytes are reserved after the claim so that a dropped record does not cost
 * an older one its bytes.
 *
 * Reader of record i:
 *	r1	seq must be 2i+2
 *	r2	read barrier
 *	r3	load pos, len, crc
 *	r4	read barrier; seq must still be 2i+2, next_pos - pos must not exceed
 *		the size of the byte ring
 *	r5	copy the content
 *	r6	read barrier; check as in r4
 *	r7	the checksum must be right
 *
 * Why a reader gets record i whole or not at all:
 *
 * - It does not see less than all of it.  r1 saw the store of w8, and w7 with
 *	 r2 make everything stored before w8 visible to the loads after r1.
 *
 * - It does not see a successor's descriptor.  Only the process whose claim
 *	 succeeded stores into a descriptor, until it makes seq even.  If r3 loads
 *	 something that the next owner stored in w6, then w5 with r4's barrier make
 *	 that owner's w3 visible to the second look at seq, which fails.
 *
 * - It does not see a successor's bytes.  Whoever gets a range that overlaps
 *	 ours has moved next_pos beyond our pos + size (w4) before it stored there
 *	 (w6).  If r5 loads such a byte, then w5 with r6's barrier make that w4
 *	 visible, and the check in r6 fails.
 *
 * - It does not see a predecessor's bytes, but for this one case the checksum
 *	 is needed: a writer that reserved its range and then lost the CPU for so
 *	 long that the ring went once around may store into a range that belongs to
 *	 a complete record by now.  Nothing but a lock could keep it from that.  It
 *	 looks whether it is that late just before it copies, which makes the case
 *	 very rare; the rest is found by r7.  The checksum covers the index, too,
 *	 so that the content of another record of the same length is no match.
 *
 * pg_atomic_fetch_add_u64 and pg_atomic_compare_exchange_u64 are full
 * barriers by their contract, which would make w5 unnecessary.  It is there
 * because compilers for weakly ordered machines have let stores that follow a
 * successful compare-exchange become visible before it.  On strongly ordered
 * machines all these barriers only hold the compiler back.
 *
 * A process that dies between w3 and w8 leaves seq odd for good.  No interrupt
 * is served there, so it can only have crashed or been killed, and after that
 * the postmaster stops or makes the shared memory anew.
 *
 * Where a machine has no 64-bit atomics the server simulates them with
 * spinlocks, held for a few instructions each.  The protocol remains right.
 *
 * The ring contains no pointers: processes that do not inherit the
 * postmaster's address space may map it anywhere.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "monitor/ring.h"
#include "port/pg_crc32c.h"
#include "storage/shmem.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/*
 * The descriptor of a record.  seq is as explained above; the other fields
 * may be stored by the process that made seq odd, and be loaded by all others
 * only between two looks at seq.
 */
typedef struct RingEntry
{
	pg_atomic_uint64 seq;
	uint64			 pos; /* of the content in the byte ring */
	uint32			 len; /* of the content, not aligned */
	pg_crc32c		 crc; /* of the content and the index */
} RingEntry;

/*
 * The ring.  There is no lock; all that changes is atomic, and the protocol
 * above says in which order.  Padding keeps apart what all writers change,
 * what only readers change, and what nobody changes.
 */
struct DbperfRing
{
	/* fixed when the ring is made */
	uint32 entries;	   /* number of descriptors */
	uint64 bytes;	   /* size of the byte ring, MAXALIGNed */
	Size   max_record; /* longest content that is taken */
	char   pad0[PG_CACHE_LINE_SIZE];

	pg_atomic_uint64 next_index; /* of the next record */
	char			 pad1[PG_CACHE_LINE_SIZE];

	pg_atomic_uint64 next_pos; /* first position that was never reserved */
	char			 pad2[PG_CACHE_LINE_SIZE];

	/* counts that writers raise */
	pg_atomic_uint64 written;
	pg_atomic_uint64 busy;
	pg_atomic_uint64 too_large;
	char			 pad3[PG_CACHE_LINE_SIZE];

	pg_atomic_uint64 floor;		  /* records with a lower index do not exist */
	pg_atomic_uint64 cleared;	  /* readable records taken away by the floor */
	pg_atomic_uint64 overwritten; /* highest count ever reported */
	pg_atomic_uint64 torn;		  /* raised by readers */
	pg_atomic_uint64 epoch;		  /* when its ids began to count, see RingCounts */
	char			 pad4[PG_CACHE_LINE_SIZE];

	/* the descriptors, followed by the byte ring */
	RingEntry items[FLEXIBLE_ARRAY_MEMBER];
};

/*
 * Adds the parts to a checksum.  An empty part may have no address.
 */
static pg_crc32c
ring_crc_parts(pg_crc32c crc, const RingPart *parts, int nparts)
{
	for (int i = 0; i < nparts; i++)
	{
		if (parts[i].len > 0)
			COMP_CRC32C(crc, parts[i].data, parts[i].len);
	}
	return crc;
}

/*
 * How many bytes the descriptors and the header take; the byte ring follows.
 * Raises an error if that overflows.
 */
static Size
ring_data_offset(int entries)
{
	Size size = mul_size(entries, sizeof(RingEntry));

	return MAXALIGN(add_size(offsetof(DbperfRing, items), size));
}

/* The start of the byte ring. */
static char *
ring_data(DbperfRing *ring)
{
	return (char *) ring +
		   MAXALIGN(offsetof(DbperfRing, items) + (Size) ring->entries * sizeof(RingEntry));
}

/* The descriptor that the record with this index uses. */
static RingEntry *
ring_entry(DbperfRing *ring, uint64 index)
{
	return &ring->items[index % ring->entries];
}

/*
 * True if bytes that were reserved at pos have been reserved again since.
 * The caller has loaded pos before, with a read barrier in between.
 */
static bool
ring_lapped(DbperfRing *ring, uint64 pos)
{
	return pg_atomic_read_u64(&ring->next_pos) - pos > ring->bytes;
}

/* Copies data into the byte ring at pos, in two pieces if it meets the end. */
static void
ring_copy_in(DbperfRing *ring, uint64 pos, const void *data, Size len)
{
	Size offset = (Size) (pos % ring->bytes);
	Size first = Min(len, (Size) ring->bytes - offset);

	memcpy(ring_data(ring) + offset, data, first);
	if (first < len)
		memcpy(ring_data(ring), (const char *) data + first, len - first);
}

/* Copies len bytes at pos of the byte ring to buf. */
static void
ring_copy_out(DbperfRing *ring, uint64 pos, char *buf, Size len)
{
	Size offset = (Size) (pos % ring->bytes);
	Size first = Min(len, (Size) ring->bytes - offset);

	memcpy(buf, ring_data(ring) + offset, first);
	if (first < len)
		memcpy(buf + first, ring_data(ring), len - first);
}

/* The lowest index that may still be readable, given the next one. */
static uint64
ring_oldest_index(DbperfRing *ring, uint64 next)
{
	uint64 oldest = next > ring->entries ? next - ring->entries : 0;

	return Max(oldest, pg_atomic_read_u64(&ring->floor));
}

/*
 * Raises *value to at least "to" and returns what it is then.
 */
static uint64
ring_raise(pg_atomic_uint64 *value, uint64 to)
{
	uint64 now = pg_atomic_read_u64(value);

	while (now < to)
	{
		if (pg_atomic_compare_exchange_u64(value, &now, to))
			return to;
	}
	return now;
}

/*
 * Steps w3 to w8 of the protocol: stores a content of len bytes as the record
 * with this index.  crc is unfinished and covers the content.  Returns false
 * if the descriptor is not to be had.
 */
static bool
ring_store(DbperfRing *ring, uint64 index, const RingPart *parts, int nparts, Size len,
		   pg_crc32c crc)
{
	RingEntry *entry = ring_entry(ring, index);
	uint64	   claim = 2 * index + 1;
	uint64	   seq = pg_atomic_read_u64(&entry->seq);
	uint64	   pos;

	/*
	 * A failed exchange has loaded the new seq.  That is nearly always odd;
	 * one that is even and still older was completed just now.
	 */
	do
	{
		if ((seq & 1) != 0 || seq > claim)
			return false;
	} while (!pg_atomic_compare_exchange_u64(&entry->seq, &seq, claim));

	pos = pg_atomic_fetch_add_u64(&ring->next_pos, (int64) MAXALIGN(len));
	pg_write_barrier();

	COMP_CRC32C(crc, &index, sizeof(index));
	FIN_CRC32C(crc);
	entry->pos = pos;
	entry->len = (uint32) len;
	entry->crc = crc;

	/*
	 * Overtaken by a whole round already: these bytes are somebody else's.
	 * The record is completed all the same; readers see that it is gone.
	 */
	if (!ring_lapped(ring, pos))
	{
		for (int i = 0; i < nparts; i++)
		{
			if (parts[i].len == 0)
				continue;
			ring_copy_in(ring, pos, parts[i].data, parts[i].len);
			pos += parts[i].len;
		}
	}

	pg_write_barrier();
	pg_atomic_write_u64(&entry->seq, claim + 1);
	return true;
}

/*
 * Steps r1 to r4 of the protocol: gets what the descriptor of the record with
 * this index says.  Returns RING_READ if the content could be read at that
 * moment, and else what became of it.
 */
static RingRead
ring_look(DbperfRing *ring, uint64 index, uint64 *pos, Size *len, pg_crc32c *crc)
{
	RingEntry *entry = ring_entry(ring, index);
	uint64	   complete = 2 * index + 2;
	uint64	   seq = pg_atomic_read_u64(&entry->seq);

	if (seq != complete)
		return seq > complete ? RING_GONE : RING_NOT_WRITTEN;

	pg_read_barrier();
	*pos = entry->pos;
	*len = entry->len;
	*crc = entry->crc;
	pg_read_barrier();

	if (pg_atomic_read_u64(&entry->seq) != complete || ring_lapped(ring, *pos))
		return RING_GONE;
	return RING_READ;
}

/*
 * Counts the records with an index from "from" up to, not including, "to"
 * that can be read, and adds up the bytes that they occupy.
 */
static uint64
ring_count_readable(DbperfRing *ring, uint64 from, uint64 to, uint64 *bytes)
{
	uint64 readable = 0;

	*bytes = 0;
	for (uint64 index = from; index < to; index++)
	{
		uint64	  pos;
		Size	  len;
		pg_crc32c crc;

		if (ring_look(ring, index, &pos, &len, &crc) == RING_READ)
		{
			readable++;
			*bytes += MAXALIGN(len);
		}
	}
	return readable;
}

/*
 * Returns the bytes of shared memory that a ring of this many records and
 * bytes of content takes.  Raises an error if that overflows.
 */
Size
dbperf_ring_size(int entries, Size bytes)
{
	return add_size(ring_data_offset(entries), add_size(bytes, MAXIMUM_ALIGNOF - 1));
}

/*
 * Makes an empty ring.  The memory must have dbperf_ring_size bytes and be
 * aligned as ShmemInitStruct aligns, and nobody else may use it yet.
 */
void
dbperf_ring_init(DbperfRing *ring, int entries, Size bytes)
{
	Assert(entries > 0);
	Assert(bytes / 4 >= MAXIMUM_ALIGNOF);

	memset(ring, 0, ring_data_offset(entries));
	ring->entries = entries;
	ring->bytes = MAXALIGN(bytes);
	ring->max_record = Min(MAXALIGN_DOWN(ring->bytes / 4), MAXALIGN_DOWN(MaxAllocSize));

	pg_atomic_init_u64(&ring->next_index, 0);
	pg_atomic_init_u64(&ring->next_pos, 0);
	pg_atomic_init_u64(&ring->written, 0);
	pg_atomic_init_u64(&ring->busy, 0);
	pg_atomic_init_u64(&ring->too_large, 0);
	pg_atomic_init_u64(&ring->floor, 0);
	pg_atomic_init_u64(&ring->cleared, 0);
	pg_atomic_init_u64(&ring->overwritten, 0);
	pg_atomic_init_u64(&ring->torn, 0);
	pg_atomic_init_u64(&ring->epoch, (uint64) GetCurrentTimestamp());
	for (int i = 0; i < entries; i++)
		pg_atomic_init_u64(&ring->items[i].seq, 0);
}

/*
 * Returns the length of the longest record that the ring takes: a quarter of
 * its bytes, and never more than palloc gives.
 */
Size
dbperf_ring_max_record(const DbperfRing *ring)
{
	return ring->max_record;
}

/*
 * Stores the parts, one behind the other, as one record and sets *id unless id is NULL.  If the
 * record was dropped instead, returns why, and *id is unchanged.
 *
 * Never waits, allocates or raises errors, so it may be called anywhere but
 * in a signal handler.  The parts must not change meanwhile.
 */
RingPush
dbperf_ring_push(DbperfRing *ring, const RingPart *parts, int nparts, uint64 *id)
{
	Size	  len = 0;
	uint64	  index;
	pg_crc32c crc;

	for (int i = 0; i < nparts; i++)
	{
		if (parts[i].len > ring->max_record - len)
		{
			pg_atomic_fetch_add_u64(&ring->too_large, 1);
			return RING_TOO_LARGE;
		}
		len += parts[i].len;
	}

	/* The content's share first: a claimed descriptor is not kept busy. */
	INIT_CRC32C(crc);
	crc = ring_crc_parts(crc, parts, nparts);

	index = pg_atomic_fetch_add_u64(&ring->next_index, 1);
	if (!ring_store(ring, index, parts, nparts, len, crc))
	{
		pg_atomic_fetch_add_u64(&ring->busy, 1);
		return RING_BUSY;
	}

	pg_atomic_fetch_add_u64(&ring->written, 1);
	if (id != NULL)
		*id = index + 1;
	return RING_PUSHED;
}

/*
 * Returns the oldest id that may still be readable.  All lower ones are gone;
 * this one and later ones may be gone, too.
 */
uint64
dbperf_ring_oldest_id(DbperfRing *ring)
{
	return ring_oldest_index(ring, pg_atomic_read_u64(&ring->next_index)) + 1;
}

/*
 * Returns the id that the next record will get.  The records before it need
 * not be complete yet.
 */
uint64
dbperf_ring_next_id(DbperfRing *ring)
{
	return pg_atomic_read_u64(&ring->next_index) + 1;
}

/*
 * Copies the record with this id to buf, which must have room for
 * dbperf_ring_max_record bytes, and sets *len to its length.  If that is not
 * possible returns why; what buf contains then is of no use.
 *
 * RING_NOT_WRITTEN is for good only when the id has fallen below
 * dbperf_ring_oldest_id, when it becomes RING_GONE: until then nobody can tell
 * a dropped record from one whose writer is not finished.
 */
RingRead
dbperf_ring_read(DbperfRing *ring, uint64 id, char *buf, Size bufsize, Size *len)
{
	uint64	  next = pg_atomic_read_u64(&ring->next_index);
	uint64	  index = id - 1;
	uint64	  pos;
	pg_crc32c stored;
	pg_crc32c crc;
	RingRead  result;

	Assert(bufsize >= ring->max_record);

	if (id < ring_oldest_index(ring, next) + 1)
		return RING_GONE;
	if (index >= next)
		return RING_NOT_WRITTEN;

	result = ring_look(ring, index, &pos, len, &stored);
	if (result != RING_READ)
		return result;

	if (*len <= ring->max_record && *len <= bufsize)
	{
		ring_copy_out(ring, pos, buf, *len);
		pg_read_barrier();
		if (pg_atomic_read_u64(&ring_entry(ring, index)->seq) == 2 * index + 2 &&
			!ring_lapped(ring, pos))
		{
			INIT_CRC32C(crc);
			COMP_CRC32C(crc, buf, *len);
			COMP_CRC32C(crc, &index, sizeof(index));
			FIN_CRC32C(crc);
			if (EQ_CRC32C(crc, stored))
				return RING_READ;
		}
	}

	pg_atomic_fetch_add_u64(&ring->torn, 1);
	return RING_TORN;
}

/*
 * Gets the counts.  This looks at all descriptors, so it is not for the path
 * of a query.
 *
 * A record is replaced when its descriptor is claimed or when its bytes are
 * reserved again, and the latter nobody notices.  So overwritten is computed:
 * what was written and can neither be read nor was taken away by a reset.
 * "written" is loaded first and raised last, so a record that is just being
 * finished makes the result too low, never too high.  Reporting the highest
 * result there ever was hence is right, and the count never goes back.
 *
 * "written" is loaded once more for the report, since another process may
 * have raised "overwritten" beyond what was written when we began.  The looks
 * at the descriptors are not one moment either: while writers are at work the
 * bytes found may add up to more than there are.
 */
void
dbperf_ring_counts(DbperfRing *ring, RingCounts *counts)
{
	uint64 written = pg_atomic_read_u64(&ring->written);
	uint64 next;
	uint64 oldest;
	uint64 readable;
	uint64 accounted;
	uint64 bytes;
	uint64 overwritten = 0;

	pg_read_barrier();

	next = pg_atomic_read_u64(&ring->next_index);
	oldest = ring_oldest_index(ring, next);
	readable = ring_count_readable(ring, oldest, next, &bytes);

	/* A reset raises cleared before the floor, so this is not too low. */
	pg_read_barrier();
	accounted = readable + pg_atomic_read_u64(&ring->cleared);
	if (written > accounted)
		overwritten = written - accounted;

	counts->overwritten = ring_raise(&ring->overwritten, overwritten);
	pg_read_barrier();
	counts->written = pg_atomic_read_u64(&ring->written);
	counts->busy = pg_atomic_read_u64(&ring->busy);
	counts->too_large = pg_atomic_read_u64(&ring->too_large);
	counts->torn = pg_atomic_read_u64(&ring->torn);
	counts->bytes_used = Min(bytes, ring->bytes);
	counts->epoch = dbperf_ring_epoch(ring);
}

/*
 * When the ring's ids began at 1: a record is told from all others by this and
 * its id.
 */
TimestampTz
dbperf_ring_epoch(DbperfRing *ring)
{
	return (TimestampTz) pg_atomic_read_u64(&ring->epoch);
}

/*
 * Makes all records that exist at the start of the call unreadable, without
 * holding up writers.  Counts stay as they are; a record that is being written
 * meanwhile may be counted as overwritten.
 */
void
dbperf_ring_reset(DbperfRing *ring)
{
	uint64 next = pg_atomic_read_u64(&ring->next_index);
	uint64 floor = pg_atomic_read_u64(&ring->floor);

	/* An exchange fails only if another reset succeeded. */
	while (floor < next)
	{
		uint64 bytes;
		uint64 readable;

		readable = ring_count_readable(ring, ring_oldest_index(ring, next), next, &bytes);
		pg_atomic_fetch_add_u64(&ring->cleared, (int64) readable);
		if (pg_atomic_compare_exchange_u64(&ring->floor, &floor, next))
			break;
		pg_atomic_fetch_sub_u64(&ring->cleared, (int64) readable);
	}
}

/*
 * Removes everything, as if the ring were new.  Nobody else may use it.
 */
void
dbperf_ring_clear(DbperfRing *ring)
{
	dbperf_ring_init(ring, (int) ring->entries, (Size) ring->bytes);
}

/*
 * Puts back a record of an earlier run under its id.  The ring must be new or
 * cleared, ids must increase from call to call, and nobody else may use it;
 * dbperf_ring_restore_finish comes last.  What does not fit is replaced as
 * usual, and a record that is too large for this ring is left out.
 */
void
dbperf_ring_restore(DbperfRing *ring, uint64 id, const void *data, Size len)
{
	RingPart  part = {data, len};
	pg_crc32c crc;

	if (len > ring->max_record)
		return;

	INIT_CRC32C(crc);
	crc = ring_crc_parts(crc, &part, 1);
	if (!ring_store(ring, id - 1, &part, 1, len, crc))
		elog(LOG, "could not restore record " UINT64_FORMAT, id);
}

/*
 * Ends the restoring of records: the next record gets next_id, which must be
 * above all restored ones, ids below first_id are of no earlier record, and
 * the counts go on from those given.
 */
void
dbperf_ring_restore_finish(DbperfRing *ring, uint64 first_id, uint64 next_id,
						   const RingCounts *counts)
{
	uint64 readable;
	uint64 accounted;
	uint64 bytes;

	Assert(first_id > 0 && first_id <= next_id);

	pg_atomic_write_u64(&ring->next_index, next_id - 1);
	pg_atomic_write_u64(&ring->floor, first_id - 1);
	pg_atomic_write_u64(&ring->written, counts->written);
	pg_atomic_write_u64(&ring->busy, counts->busy);
	pg_atomic_write_u64(&ring->too_large, counts->too_large);
	pg_atomic_write_u64(&ring->torn, counts->torn);
	pg_atomic_write_u64(&ring->epoch, (uint64) counts->epoch);
	pg_atomic_write_u64(&ring->overwritten, counts->overwritten);

	/* What was not restored, for whatever reason, was not overwritten. */
	readable = ring_count_readable(ring, ring_oldest_index(ring, next_id - 1), next_id - 1, &bytes);
	accounted = readable + counts->overwritten;
	pg_atomic_write_u64(&ring->cleared,
						counts->written > accounted ? counts->written - accounted : 0);
}
