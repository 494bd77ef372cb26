/*-------------------------------------------------------------------------
 *
 * dump_file.h
 *		Files that keep shared memory over a restart of the server.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_DUMP_FILE_H
#define DBPERF_DUMP_FILE_H

#include "core/compat.h"

DBPERF_PRIVATE_BEGIN

/* dump_file.c */
extern void *dbperf_dump_alloc(Size size);
extern void	 dbperf_dump_no_memory(const char *path);
extern void	 dbperf_dump_replace(const char *path, bool (*write)(FILE *file, void *arg), void *arg);

DBPERF_PRIVATE_END

#endif /* DBPERF_DUMP_FILE_H */
