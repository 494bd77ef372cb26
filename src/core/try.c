/*-------------------------------------------------------------------------
 *
 * try.c
 *		Doing what may fail without failing: reading a table of somebody's, or
 *		text that may be cut or hostile.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "core/core.h"
#include "utils/resowner.h"

/*
 * Whether an error says more than that this cannot be done: a cancel, a server that
 * ends, a transaction that must end, no memory.  A full disk, temp_file_limit or a
 * file that cannot be read are none of these.
 */
bool
dbperf_must_rethrow(const ErrorData *error)
{
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_TRANSACTION_ROLLBACK:
			return true;
		default:
			return error->sqlerrcode == ERRCODE_OUT_OF_MEMORY;
	}
}

/*
 * Runs a function in a subtransaction that is rolled back.  Returns NULL, or the
 * error if it failed; cancel and the like are re-thrown.  What it allocates stays.
 */
ErrorData *
dbperf_try_error(void (*function)(void *arg), void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner resources = CurrentResourceOwner;
	ErrorData *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		function(arg);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = resources;

	if (error != NULL && dbperf_must_rethrow(error))
		ReThrowError(error);
	return error;
}

/*
 * The same for who does not want to know why.  Returns false if it failed.
 */
bool
dbperf_try(void (*function)(void *arg), void *arg)
{
	ErrorData *error = dbperf_try_error(function, arg);

	if (error == NULL)
		return true;
	FreeErrorData(error);
	return false;
}
