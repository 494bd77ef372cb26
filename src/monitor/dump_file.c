/*-------------------------------------------------------------------------
 *
 * dump_file.c
 *		Files that keep shared memory over a restart of the server.
 *
 * Written by the postmaster as it ends, when nothing may fail: problems are
 * written to the log.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "monitor/dump_file.h"
#include "storage/fd.h"
#include "utils/memutils.h"

/*
 * Allocates a buffer, or returns NULL if there is no memory.  At the postmaster's
 * start-up or exit only the top context is sure to exist; free it explicitly.
 */
void *
dbperf_dump_alloc(Size size)
{
	return MemoryContextAllocExtended(TopMemoryContext, size, MCXT_ALLOC_NO_OOM | MCXT_ALLOC_HUGE);
}

/* Logs that a dump is not written for want of memory. */
void
dbperf_dump_no_memory(const char *path)
{
	ereport(LOG, (errcode(ERRCODE_OUT_OF_MEMORY),
				  errmsg("could not write file \"%s\": out of memory", path)));
}

/*
 * Has write() fill a temporary file, which then takes the place of path.  write()
 * returns false with errno set if it fails; then there is no file, or still the
 * previous one.
 */
void
dbperf_dump_replace(const char *path, bool (*write)(FILE *file, void *arg), void *arg)
{
	char  temp[MAXPGPATH];
	FILE *file;
	bool  written = false;

	snprintf(temp, sizeof(temp), "%s.tmp", path);
	file = AllocateFile(temp, PG_BINARY_W);
	if (file != NULL)
	{
		int save_errno;

		written = write(file, arg);
		save_errno = errno;
		if (FreeFile(file) != 0)
			written = false;
		else
			errno = save_errno;
	}
	if (!written)
		ereport(LOG, (errcode_for_file_access(), errmsg("could not write file \"%s\": %m", temp)));
	if (!written || durable_rename(temp, path, LOG) != 0)
		(void) unlink(temp);
}
