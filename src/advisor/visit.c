/*-------------------------------------------------------------------------
 *
 * visit.c
 *		A safe place to analyse and plan somebody's statement.
 *
 * Analysing and planning takes locks, runs immutable and stable functions that
 * a statement calls, and fails in every way that its author can think of.  So
 * each visit is an internal subtransaction that is always rolled back: locks,
 * settings, identity, snapshots and whatever a function did go with it.  No
 * transaction id is assigned, so that this works on a standby as well.
 *
 * The time of a visit is limited, see core/time_limit.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "advisor/workload_int.h"
#include "core/core.h"
#include "core/exec_hooks.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

/* how long a visit waits for a lock, in milliseconds */
#define VISIT_LOCK_TIMEOUT 100

/* What one visit needs below the PG_TRY. */
typedef struct Visit
{
	Subject		  *subject;
	SubjectVisitor visitor;
	void		  *arg;
	MemoryContext  context;
	bool		   done;
	bool		   trusting;
	bool		   timed_out;
} Visit;

/*
 * Raises the error of the visit's timer if it has fired.
 */
void
dbperf_visit_check_time(void)
{
	CHECK_FOR_INTERRUPTS();
}

/*
 * Changes a setting until the visit is over.
 */
static void
set_for_visit(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
}

/*
 * What happens inside of the subtransaction.  Notices of functions are not the
 * caller's; waits for locks are short, unless the session's own limit is
 * shorter.
 */
static void
visit_run(Visit *visit)
{
	Analyzed analyzed = {0};

	MemoryContextSwitchTo(visit->context);
	if (!ActiveSnapshotSet())
		PushActiveSnapshot(GetTransactionSnapshot());

	dbperf_rights_become(visit->subject->role);
	dbperf_workload_apply_settings(visit->subject);
	set_for_visit("client_min_messages", "error");
	if (LockTimeout == 0 || LockTimeout > VISIT_LOCK_TIMEOUT)
		set_for_visit("lock_timeout", CppAsString2(VISIT_LOCK_TIMEOUT));
	dbperf_subject_parse(visit->subject);
	dbperf_subject_analyze(visit->subject, &analyzed, &visit->trusting);
	visit->visitor(visit->subject, &analyzed, visit->arg);
}

/*
 * Whether an error is more than a statement that cannot be analysed.  A function
 * of the user's can raise whatever it likes, so what came from inside of one
 * counts only if somebody really has asked for a cancel.
 */
static bool
is_fatal(const ErrorData *error)
{
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		return dbperf_time_limit_sigint() || error->context == NULL;
	if (error->context != NULL)
		return false;
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
			return true;
		default:
			return error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED ||
				   error->sqlerrcode == ERRCODE_T_R_SERIALIZATION_FAILURE ||
				   error->sqlerrcode == ERRCODE_DATA_CORRUPTED ||
				   error->sqlerrcode == ERRCODE_INDEX_CORRUPTED;
	}
}

/*
 * Keeps the reason why a subject cannot be analysed, for as long as the subject
 * lives.
 */
static void
keep_problem(Subject *subject)
{
	MemoryContextSwitchTo(GetMemoryChunkContext(subject));
	subject->error = CopyErrorData();
	if (subject->error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
		subject->problem = "a table it uses is locked by another session";
	else
		subject->problem = subject->error->message;
}

/*
 * What an error is to the visit: the timer's, a problem of the subject's, or one
 * to go on with, which is returned.
 */
static ErrorData *
visit_failed(Visit *visit, MemoryContext caller)
{
	ErrorData *error;

	MemoryContextSwitchTo(caller);
	visit->timed_out = dbperf_time_limit_caught();
	error = CopyErrorData();
	if (!visit->timed_out && !is_fatal(error))
		keep_problem(visit->subject);
	FlushErrorState();
	if (!visit->timed_out && visit->subject->problem == NULL)
		return error;
	FreeErrorData(error);
	return NULL;
}

/*
 * The part of a visit in which anything may fail.  Returns the error to go on
 * with, or NULL.
 */
static ErrorData *
visit_try(Visit *visit, int timeout_ms)
{
	MemoryContext		  caller = CurrentMemoryContext;
	ErrorContextCallback *callbacks = error_context_stack;
	ErrorData *volatile error = NULL;

	BeginInternalSubTransaction(NULL);

	/* whatever is in an error's context then comes from within the visit */
	error_context_stack = NULL;
	PG_TRY();
	{
		dbperf_time_limit_begin(timeout_ms);
		visit_run(visit);
		dbperf_time_limit_end(false);
		visit->done = true;
	}
	PG_CATCH();
	{
		error = visit_failed(visit, caller);
	}
	PG_END_TRY();
	error_context_stack = callbacks;
	return error;
}

/*
 * One try of a visit.  Everything is put back even if there was no memory left
 * to look at an error with.
 */
static bool
visit_once(Subject *subject, int timeout_ms, SubjectVisitor visitor, void *arg, bool *timed_out)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	int			  level = GetCurrentTransactionNestLevel();
	ErrorData *volatile error = NULL;
	Visit visit = {.subject = subject, .visitor = visitor, .arg = arg};

	visit.context =
		AllocSetContextCreate(caller, "dbperf statement analysis", ALLOCSET_DEFAULT_SIZES);
	dbperf_statements_suspend();
	PG_TRY();
	{
		error = visit_try(&visit, timeout_ms);
	}
	PG_FINALLY();
	{
		dbperf_time_limit_end(false);
		if (visit.trusting)
			dbperf_rights_trust_end();
		while (GetCurrentTransactionNestLevel() > level)
			RollbackAndReleaseCurrentSubTransaction();
		dbperf_statements_resume();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner;
	}
	PG_END_TRY();

	MemoryContextDelete(visit.context);
	if (error != NULL)
		ReThrowError(error);
	*timed_out = visit.timed_out;
	return visit.done;
}

bool
dbperf_subject_visit(Subject *subject, int timeout_ms, SubjectVisitor visitor, void *arg,
					 bool *timed_out)
{
	bool over = false;
	bool done;

	if (timed_out != NULL)
		*timed_out = false;
	if (subject->problem != NULL)
		return false;
	if (dbperf_time_limit_on())
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("a statement that is analysed cannot ask for advice")));

	done = visit_once(subject, timeout_ms, visitor, arg, &over);
	if (subject->problem != NULL && subject->raw == NULL && subject->normalized != NULL)
	{
		Subject first = *subject;

		dbperf_subject_use_normalized(subject);
		done = visit_once(subject, timeout_ms, visitor, arg, &over);
		if (subject->problem != NULL && subject->raw == NULL)
		{
			/* its own text is what the user knows */
			*subject = first;
			subject->normalized = NULL;
		}
	}
	if (timed_out != NULL)
		*timed_out = over;
	return done;
}
