/*-------------------------------------------------------------------------
 *
 * disk_space.c
 *		How much room a tablespace has.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/statvfs.h>

#include "catalog/pg_tablespace.h"
#include "core/core.h"

/*
 * Bytes that the server may still use on the tablespace's file system; -1 if
 * the system does not say.
 */
int64
dbperf_tablespace_free_bytes(Oid tablespace)
{
	char		   path[MAXPGPATH];
	struct statvfs fs;

	if (tablespace == DEFAULTTABLESPACE_OID)
		strlcpy(path, "base", sizeof(path));
	else if (tablespace == GLOBALTABLESPACE_OID)
		strlcpy(path, "global", sizeof(path));
	else
		snprintf(path, sizeof(path), "pg_tblspc/%u", tablespace);

	if (statvfs(path, &fs) != 0)
		return -1;
	return (int64) fs.f_bavail * (int64) fs.f_frsize;
}
