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
 * Whether an error says more than that this cannot be done.
 */
static bool
must_rethrow(const ErrorData *error)
{
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
		case ERRCODE_TRANSACTION_ROLLBACK:
			return true;
		default:
			return false;
	}
}

/*
 * Runs a function in a subtransaction that is rolled back.  Returns false if it
 * failed; cancel and the like are re-thrown.  What it allocates stays.
 */
bool
dbperf_try(void (*function)(void *arg), void *arg)
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

	if (error == NULL)
		return true;
	if (must_rethrow(error))
		ReThrowError(error);
	FreeErrorData(error);
	return false;
}
