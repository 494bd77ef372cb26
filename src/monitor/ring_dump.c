/*-------------------------------------------------------------------------
 *
 * ring_dump.c
 *		Keeps the records of a ring over a restart of the server.
 *
 * The postmaster writes the ring to a file when it shuts down, after all other
 * processes, and reads it back when it makes the shared memory anew.  The file
 * is removed once it is read: after a crash there is no file, and the ring
 * starts empty instead of with records that were seen, or reset, long ago.
 *
 * To the postmaster's exit callbacks an immediate shutdown looks like a clean
 * one.  That does no harm: a record that a killed process left unfinished can
 * not be read, so it is not in the file.
 *
 * The file is a DumpHeader, then for each record a DumpEntry and the content,
 * then a DumpEntry with id 0 as the end mark, and nothing after it.  Each of
 * them has its own checksum.  It is written to a temporary file that is
 * renamed, so a complete file is what is expected; one that is cut off or
 * damaged anywhere is ignored as a whole, since nothing is known of what else
 * is wrong with it.
 *
 * Neither direction may stop the server from starting or stopping: problems
 * are written to the log.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>
#include <unistd.h>

#include "monitor/dump_file.h"
#include "monitor/ring.h"
#include "port/pg_bswap.h"
#include "port/pg_crc32c.h"
#include "storage/fd.h"

#define DUMP_MAGIC 0x64627072 /* as a number, so it shows the byte order */
#define DUMP_LAYOUT 1		  /* of this file's structs */

/* Ids above this would overflow the ring's arithmetic; no ring lives so long. */
#define DUMP_MAX_ID (PG_UINT64_MAX / 4)

/* The first bytes of the file.  No padding but what is spelled out. */
typedef struct DumpHeader
{
	uint32		magic;
	uint32		layout;
	uint32		alignment; /* MAXIMUM_ALIGNOF: contents are C structs */
	uint32		format;	   /* of the contents, the caller's number */
	uint64		first_id;  /* lower ids did not exist any more */
	uint64		next_id;
	uint64		written;
	uint64		overwritten;
	uint64		busy;
	uint64		too_large;
	uint64		torn;
	TimestampTz epoch;
	uint32		unused; /* zero */
	pg_crc32c	crc;	/* of all the above */
} DumpHeader;

/*
 * What precedes each record, and ends the file.  The checksum covers the other
 * fields and the content.  In the end mark len is the number of records, as
 * far as it fits.
 */
typedef struct DumpEntry
{
	uint64	  id; /* 0 for the end mark */
	uint32	  len;
	pg_crc32c crc;
} DumpEntry;

/* A dump being read. */
typedef struct DumpReader
{
	FILE	  *file;
	uint64	   remaining; /* bytes of the file not yet read */
	DumpHeader header;
	char	  *buf;
	Size	   bufsize;
	char	   problem[128]; /* what is wrong with the file */
} DumpReader;

/* Returns the checksum of a header. */
static pg_crc32c
dump_header_crc(const DumpHeader *header)
{
	pg_crc32c crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, header, offsetof(DumpHeader, crc));
	FIN_CRC32C(crc);
	return crc;
}

/*
 * Writes an entry, with its checksum, and the content.  Returns false with
 * errno set if that fails.
 */
static bool
dump_write_entry(FILE *file, uint64 id, uint32 number, const char *content, Size len)
{
	DumpEntry entry = {id, number, 0};

	INIT_CRC32C(entry.crc);
	COMP_CRC32C(entry.crc, &entry, offsetof(DumpEntry, crc));
	if (len > 0)
		COMP_CRC32C(entry.crc, content, len);
	FIN_CRC32C(entry.crc);

	return fwrite(&entry, sizeof(entry), 1, file) == 1 &&
		   (len == 0 || fwrite(content, len, 1, file) == 1);
}

/*
 * Writes the whole dump to an open file; buf has room for any record.  Returns
 * false with errno set if that fails.
 */
static bool
dump_write(DbperfRing *ring, FILE *file, uint32 format, char *buf, Size bufsize)
{
	DumpHeader header;
	RingCounts counts;
	uint32	   records = 0;

	dbperf_ring_counts(ring, &counts);

	memset(&header, 0, sizeof(header));
	header.magic = DUMP_MAGIC;
	header.layout = DUMP_LAYOUT;
	header.alignment = MAXIMUM_ALIGNOF;
	header.format = format;
	header.first_id = dbperf_ring_oldest_id(ring);
	header.next_id = dbperf_ring_next_id(ring);
	header.written = counts.written;
	header.overwritten = counts.overwritten;
	header.busy = counts.busy;
	header.too_large = counts.too_large;
	header.torn = counts.torn;
	header.epoch = counts.epoch;
	header.crc = dump_header_crc(&header);
	if (fwrite(&header, sizeof(header), 1, file) != 1)
		return false;

	for (uint64 id = header.first_id; id < header.next_id; id++)
	{
		Size len;

		if (dbperf_ring_read(ring, id, buf, bufsize, &len) != RING_READ)
			continue;
		if (!dump_write_entry(file, id, (uint32) len, buf, len))
			return false;
		records++;
	}

	return dump_write_entry(file, 0, records, NULL, 0);
}

/* What is written. */
typedef struct DumpWriter
{
	DbperfRing *ring;
	uint32		format;
	char	   *buf;
	Size		bufsize;
} DumpWriter;

static bool
dump_write_ring(FILE *file, void *arg)
{
	DumpWriter *writer = arg;

	return dump_write(writer->ring, file, writer->format, writer->buf, writer->bufsize);
}

/*
 * Writes all readable records and the counts to path.  format is the number
 * that dbperf_ring_load must be given to accept them.
 *
 * To be called when nobody writes any more.
 */
void
dbperf_ring_dump(DbperfRing *ring, const char *path, uint32 format)
{
	DumpWriter writer = {ring, format, NULL, dbperf_ring_max_record(ring)};

	writer.buf = dbperf_dump_alloc(writer.bufsize);
	if (writer.buf == NULL)
	{
		dbperf_dump_no_memory(path);
		return;
	}
	dbperf_dump_replace(path, dump_write_ring, &writer);
	pfree(writer.buf);
}

/*
 * Reads exactly len bytes.  Returns false, with the problem noted, if there
 * are not so many.
 */
static bool
dump_get(DumpReader *reader, void *into, Size len)
{
	errno = 0;
	if (len > reader->remaining)
		strlcpy(reader->problem, "is cut off", sizeof(reader->problem));
	else if (len > 0 && fread(into, len, 1, reader->file) != 1)
		snprintf(reader->problem, sizeof(reader->problem), "could not be read: %s",
				 ferror(reader->file) ? strerror(errno) : "unexpected end of file");
	else
	{
		reader->remaining -= len;
		return true;
	}
	return false;
}

/*
 * Reads the header and checks it.  Returns false, with the problem noted, if
 * this is no dump for us.
 */
static bool
dump_read_header(DumpReader *reader, uint32 format)
{
	DumpHeader *header = &reader->header;
	const char *problem = NULL;

	if (!dump_get(reader, header, sizeof(*header)))
		return false;

	/* Order matters: what a field means is known only if those before agree. */
	if (header->magic == pg_bswap32(DUMP_MAGIC))
		problem = "was written on a machine with another byte order";
	else if (header->magic != DUMP_MAGIC)
		problem = "is not a dump of recorded statements";
	else if (header->layout != DUMP_LAYOUT)
		problem = "was written by another version of dbperf";
	else if (!EQ_CRC32C(header->crc, dump_header_crc(header)))
		problem = "has a damaged header";
	else if (header->alignment != MAXIMUM_ALIGNOF)
		problem = "was written on a machine with another alignment";
	else if (header->format != format)
		problem = "was written by another version of dbperf";
	else if (header->first_id == 0 || header->first_id > header->next_id ||
			 header->next_id > DUMP_MAX_ID)
		problem = "has impossible numbers in its header";

	if (problem != NULL)
		strlcpy(reader->problem, problem, sizeof(reader->problem));
	return problem == NULL;
}

/*
 * Reads the content that belongs to an entry and checks it.  It is in the
 * buffer afterwards if it fits there; longer ones are only checked, in pieces.
 * Returns false, with the problem noted, if it is damaged.
 */
static bool
dump_read_content(DumpReader *reader, const DumpEntry *entry, Size len)
{
	pg_crc32c crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, entry, offsetof(DumpEntry, crc));
	while (len > 0)
	{
		Size piece = Min(len, reader->bufsize);

		if (!dump_get(reader, reader->buf, piece))
			return false;
		COMP_CRC32C(crc, reader->buf, piece);
		len -= piece;
	}
	FIN_CRC32C(crc);

	if (EQ_CRC32C(crc, entry->crc))
		return true;
	snprintf(reader->problem, sizeof(reader->problem), "has a damaged record after %llu bytes",
			 (unsigned long long) ftello(reader->file));
	return false;
}

/*
 * Reads all records into the ring, up to the end of the file.  Returns false,
 * with the problem noted, if something is wrong; the ring has a part of the
 * records then.
 */
static bool
dump_read_records(DumpReader *reader, DbperfRing *ring)
{
	uint64 last_id = reader->header.first_id - 1;
	uint32 records = 0;

	for (;;)
	{
		DumpEntry entry;
		bool	  end;

		if (!dump_get(reader, &entry, sizeof(entry)))
			return false;
		end = (entry.id == 0);

		/* Look at len before reading that much; the checksum comes after it. */
		if (!end && entry.len > reader->remaining)
		{
			strlcpy(reader->problem, "is cut off or has a damaged record", sizeof(reader->problem));
			return false;
		}
		if (!dump_read_content(reader, &entry, end ? 0 : entry.len))
			return false;

		if (end ? (entry.len != records || reader->remaining > 0)
				: (entry.id <= last_id || entry.id >= reader->header.next_id))
		{
			strlcpy(reader->problem, "has records that do not fit together",
					sizeof(reader->problem));
			return false;
		}
		if (end)
			return true;

		if (entry.len <= reader->bufsize)
			dbperf_ring_restore(ring, entry.id, reader->buf, entry.len);
		last_id = entry.id;
		records++;
	}
}

/*
 * Reads an open dump into the ring.  Returns false, with the problem noted and
 * the ring empty, if that is not possible.
 */
static bool
dump_read(DumpReader *reader, DbperfRing *ring, uint32 format)
{
	const DumpHeader *header = &reader->header;
	RingCounts		  counts = {0};
	struct stat		  st;
	bool			  good;

	if (fstat(fileno(reader->file), &st) != 0)
	{
		snprintf(reader->problem, sizeof(reader->problem), "could not be read: %s",
				 strerror(errno));
		return false;
	}
	reader->remaining = (uint64) st.st_size;

	/* No record is longer than the file, or than the ring takes. */
	reader->bufsize = (Size) Min(reader->remaining, (uint64) dbperf_ring_max_record(ring));
	reader->buf = dbperf_dump_alloc(Max(reader->bufsize, 1));
	if (reader->buf == NULL)
	{
		strlcpy(reader->problem, "could not be read: out of memory", sizeof(reader->problem));
		return false;
	}

	good = dump_read_header(reader, format) && dump_read_records(reader, ring);
	if (good)
	{
		counts.written = header->written;
		counts.overwritten = header->overwritten;
		counts.busy = header->busy;
		counts.too_large = header->too_large;
		counts.torn = header->torn;
		counts.epoch = header->epoch;
		dbperf_ring_restore_finish(ring, header->first_id, header->next_id, &counts);
	}
	else
		dbperf_ring_clear(ring);
	pfree(reader->buf);
	return good;
}

/*
 * Fills the ring from what dbperf_ring_dump wrote to path, if there is such a
 * file, and removes the file.  If the ring is smaller than it was, the newest
 * records that fit are kept.  A file that is damaged, or that a different
 * dump wrote, is ignored with one message in the log.
 *
 * The ring must be new, and nobody else may use it: call this only in the
 * process that has just made it.  Raises no error.
 */
void
dbperf_ring_load(DbperfRing *ring, const char *path, uint32 format)
{
	DumpReader reader = {0};
	char	   temp[MAXPGPATH];
	bool	   missing = false;
	bool	   good = false;

	reader.file = AllocateFile(path, PG_BINARY_R);
	if (reader.file != NULL)
	{
		good = dump_read(&reader, ring, format);
		(void) FreeFile(reader.file);
	}
	else if (errno == ENOENT)
		missing = true;
	else
		snprintf(reader.problem, sizeof(reader.problem), "could not be opened: %s",
				 strerror(errno));

	if (!good && !missing)
		ereport(LOG, (errcode(ERRCODE_DATA_CORRUPTED),
					  errmsg("the statements recorded before the restart are not available: "
							 "file \"%s\" %s",
							 path, reader.problem)));

	if (!missing && unlink(path) != 0 && errno != ENOENT)
		ereport(LOG, (errcode_for_file_access(), errmsg("could not remove file \"%s\": %m", path)));

	/* A server that crashed while it wrote a dump has left this. */
	snprintf(temp, sizeof(temp), "%s.tmp", path);
	(void) unlink(temp);
}
