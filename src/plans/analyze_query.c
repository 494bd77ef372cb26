/*-------------------------------------------------------------------------
 *
 * analyze_query.c
 *		A safe place to plan and execute a statement that somebody wants judged.
 *
 * All of it happens in an internal subtransaction that is always rolled back,
 * and the execution in another one inside of it: so what the statement writes
 * is gone and its snapshots, cursors and settings are put back when the plan
 * is judged, while the locks on the tables that the plan speaks of are still
 * held.  Everything is done with the caller's own rights.  Of errors only that
 * of the time limit stays here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "core/core.h"
#include "core/exec_hooks.h"
#include "miscadmin.h"
#include "plans/analyze.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

static int dbperf_analyze_query_timeout = 30000;

/*
 * The time that an analysis may take, in milliseconds; 0 is no limit.  A
 * statement_timeout that comes sooner would leave nothing to say, so the limit
 * is a little below it.
 */
static int
time_limit(void)
{
	int	 limit = dbperf_analyze_query_timeout;
	long left;

	if (!get_timeout_active(STATEMENT_TIMEOUT))
		return limit;
	left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
										   get_timeout_finish_time(STATEMENT_TIMEOUT));
	left -= left / 10;
	return left > 0 && (limit == 0 || left < limit) ? (int) left : limit;
}

/*
 * Adds to an error where it comes from.  A position in it is one in the
 * statement, not in what the client has sent.
 */
static void
query_context(void *arg)
{
	const char *query = arg;
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(query);
	}
	else
		errcontext("analysed statement \"%s\"", query);
}

/*
 * What is only planned runs functions that the planner folds, which have no
 * business with roles, settings or temporary objects.
 */
static void
restrict_planning(void)
{
	Oid userid;
	int security;

	GetUserIdAndSecContext(&userid, &security);
	SetUserIdAndSecContext(userid, security | SECURITY_RESTRICTED_OPERATION);
}

/*
 * What happens inside of the subtransaction.
 */
static void
analyze(Analysis *analysis)
{
	ErrorContextCallback context = {.callback = query_context};

	context.arg = unconstify(char *, analysis->query);
	context.previous = error_context_stack;
	error_context_stack = &context;

	if (!analysis->execute)
		restrict_planning();
	else
		CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	dbperf_time_limit_begin(time_limit());
	dbperf_analyze_parse(analysis);
	if (analysis->execute)
		dbperf_analyze_effects(analysis);
	dbperf_analyze_plan(analysis);
	if (analysis->execute)
		dbperf_analyze_execute(analysis);
	else
		dbperf_analyze_explain(analysis);
	dbperf_time_limit_end(false);
	error_context_stack = context.previous;

	dbperf_analyze_verdict(analysis);
}

/*
 * Takes everything back, whatever has happened.
 */
static void
restore(int level, MemoryContext context, ResourceOwner owner)
{
	while (GetCurrentTransactionNestLevel() > level)
		RollbackAndReleaseCurrentSubTransaction();
	dbperf_statements_resume();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

/*
 * Fills in what is found about the statement.  What of it is needed afterwards
 * lives in analysis->context.
 */
void
dbperf_analyze(Analysis *analysis)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	int			  level = GetCurrentTransactionNestLevel();

	if (dbperf_time_limit_on())
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("a statement that is analysed cannot analyse another one")));

	dbperf_statements_suspend();
	PG_TRY();
	{
		BeginInternalSubTransaction(NULL);
		MemoryContextSwitchTo(analysis->context);
		analyze(analysis);
	}
	PG_CATCH();
	{
		bool timed_out = dbperf_time_limit_caught();

		restore(level, caller, owner);
		if (!timed_out)
			PG_RE_THROW();
		FlushErrorState();
		ereport(ERROR,
				(errcode(ERRCODE_QUERY_CANCELED),
				 errmsg("the time for the analysis was over before the statement was planned"),
				 errhint("See dbperf.analyze_query_timeout and statement_timeout.")));
	}
	PG_END_TRY();
	restore(level, caller, owner);
}

void
dbperf_analyze_init(void)
{
	DefineCustomIntVariable(
		"dbperf.analyze_query_timeout", "Time that dbperf.analyze_query() gives a statement.",
		"0 means no limit but statement_timeout.", &dbperf_analyze_query_timeout, 30000, 0, INT_MAX,
		PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
}
