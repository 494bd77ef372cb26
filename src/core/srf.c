/*-------------------------------------------------------------------------
 *
 * srf.c
 *		The beginning of every SQL function that fills rows in C.
 *
 * Rows are filled by number of columns, and the declaration of a function can
 * be older than the library: without a check that would read beyond the values.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "funcapi.h"

/*
 * Raises an error unless a function was declared with this number of columns.
 */
void
dbperf_check_columns(TupleDesc desc, int columns)
{
	if (desc->natts != columns)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the installed dbperf extension does not fit the loaded dbperf library"),
				 errdetail("A function has %d columns where the library fills %d.", desc->natts,
						   columns),
				 errhint("Restart the server if its packages were updated, and run "
						 "ALTER EXTENSION dbperf UPDATE.")));
}

/*
 * Starts the result of a set-returning function that fills this number of
 * columns; rows go to the setResult and setDesc of what is returned.
 */
ReturnSetInfo *
dbperf_srf_begin(FunctionCallInfo fcinfo, int columns)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	dbperf_own_call();
	InitMaterializedSRF(fcinfo, 0);
	dbperf_check_columns(rsinfo->setDesc, columns);
	return rsinfo;
}
