/*-------------------------------------------------------------------------
 *
 * build_space.c
 *		Whether there is room on disk for an index.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/index_build.h"
#include "catalog/pg_class.h"
#include "catalog/pg_tablespace.h"
#include "commands/tablespace.h"
#include "core/core.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

/* A build needs the index and, to sort, about as much again. */
#define SPACE_FACTOR 2

PG_FUNCTION_INFO_V1(dbperf_free_disk_space);

/*
 * Where an index without a TABLESPACE clause goes.
 */
Oid
dbperf_build_tablespace(void)
{
	Oid tablespace = GetDefaultTablespace(RELPERSISTENCE_PERMANENT, false);

	return OidIsValid(tablespace) ? tablespace : MyDatabaseTableSpace;
}

/*
 * Raises an error if there is no room for a build of an index of this size.
 */
void
dbperf_build_check_space(Oid tablespace, int64 index_bytes)
{
	int64 available = dbperf_tablespace_free_bytes(tablespace);

	if (available < 0 || index_bytes <= 0 || available / SPACE_FACTOR >= index_bytes)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DISK_FULL), errmsg("not enough disk space to build the index"),
			 errdetail("It needs about %lld MB, its size and as much for sorting, and %lld MB are "
					   "free.",
					   (long long) (index_bytes / (1024 * 1024) * SPACE_FACTOR + 1),
					   (long long) (available / (1024 * 1024))),
			 errhint("Free some space, or set default_tablespace to one that has room.")));
}

/*
 * free_disk_space(tablespace oid) returns bigint: null if there is no such
 * tablespace, or the system does not say.
 */
Datum
dbperf_free_disk_space(PG_FUNCTION_ARGS)
{
	Oid	  tablespace = PG_GETARG_OID(0);
	int64 available;

	if (!OidIsValid(tablespace))
		tablespace = dbperf_build_tablespace();
	else if (!SearchSysCacheExists1(TABLESPACEOID, ObjectIdGetDatum(tablespace)))
		PG_RETURN_NULL();

	available = dbperf_tablespace_free_bytes(tablespace);
	if (available < 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(available);
}
