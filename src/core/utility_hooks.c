/*-------------------------------------------------------------------------
 *
 * utility_hooks.c
 *		Installs the hooks of the planner and of utility commands.
 *
 * See exec_hooks.c.  Both run inside PG_TRY: neither is called often enough
 * for that to matter.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "core/core.h"
#include "core/exec_int.h"
#include "executor/spi.h"
#include "optimizer/planner.h"
#include "tcop/utility.h"

static ProcessUtility_hook_type prev_ProcessUtility = NULL;
static planner_hook_type		prev_planner = NULL;

int dbperf_explaining = 0;
void (*dbperf_utility_watch)(Node *utility, bool part) = NULL;

static bool			 never = false;
static DbperfPlanner planner = {.wanted = &never};

/*
 * Registers the module that puts nodes on top of plans.
 */
void
dbperf_planner_register(const DbperfPlanner *module)
{
	if (planner.before != NULL)
		elog(ERROR, "there is a planner module already");
	planner = *module;
}

/*
 * A plan as the server's planner made it.
 */
Plan *
dbperf_plan_unwrapped(Plan *plan)
{
	return plan != NULL && planner.unwrap != NULL ? planner.unwrap(plan) : plan;
}

/*
 * A statement is about to start, with a plan that may be kept for others, too:
 * takes the module's node off a copy, if it is to do without.
 */
void
dbperf_start_unwrapped(QueryDesc *queryDesc)
{
	PlannedStmt *planned = queryDesc->plannedstmt;
	Plan		*plan = dbperf_plan_unwrapped(planned->planTree);

	if (plan == planned->planTree || !planner.hide(queryDesc))
		return;
	queryDesc->plannedstmt = makeNode(PlannedStmt);
	*queryDesc->plannedstmt = *planned;
	queryDesc->plannedstmt->planTree = plan;
}

/*
 * Whether a function runs that executes queries.  The server's interface for
 * that tells so by the error of a call that has nothing to do.
 */
bool
dbperf_in_function(void)
{
	return SPI_unregister_relation("") != SPI_ERROR_UNCONNECTED;
}

/*
 * The level of something that begins now: what a function does is nested in
 * something, even if that is not followed.
 */
static int
level_of_begin(void)
{
	if (dbperf_exec.level == 0 && MyBackendType == B_BACKEND && dbperf_in_function())
		return 1;
	return dbperf_exec.level;
}

static inline PlannedStmt *
next_planner(Query *parse, const char *query_string, int cursorOptions, ParamListInfo boundParams)
{
	if (prev_planner)
		return prev_planner(parse, query_string, cursorOptions, boundParams);
	return standard_planner(parse, query_string, cursorOptions, boundParams);
}

/*
 * Plans a statement that the planner module may want.
 */
static pg_noinline PlannedStmt *
plan_in_module(Query *parse, const char *query_string, int cursorOptions, ParamListInfo boundParams)
{
	void		*state = planner.before(parse, query_string, cursorOptions, boundParams);
	PlannedStmt *result = next_planner(parse, query_string, cursorOptions, boundParams);

	if (state == NULL)
		return result;
	result = planner.after(state, result);
	if (planner.unwrap(result->planTree) != result->planTree)
		dbperf_exec.attention |= HOOK_WRAPPED;
	return result;
}

static PlannedStmt *
call_planner(Query *parse, const char *query_string, int cursorOptions, ParamListInfo boundParams)
{
	if (unlikely(*planner.wanted) && dbperf_exec.suspended == 0)
		return plan_in_module(parse, query_string, cursorOptions, boundParams);
	return next_planner(parse, query_string, cursorOptions, boundParams);
}

/*
 * Plans a statement that is followed.
 */
static pg_noinline PlannedStmt *
plan_in_try(DbperfStatement *stmt, Query *parse, const char *query_string, int cursorOptions,
			ParamListInfo boundParams)
{
	DbperfStatement *outer_carrier = dbperf_exec.carrier;
	int				 level = dbperf_exec.level;
	PlannedStmt		*result;

	dbperf_exec.running = stmt;
	dbperf_exec.level = stmt->level + 1;
	dbperf_exec.carrier = NULL;
	PG_TRY();
	{
		result = call_planner(parse, query_string, cursorOptions, boundParams);
	}
	PG_CATCH();
	{
		dbperf_exec.carrier = outer_carrier;
		if (dbperf_exec.carrier != NULL && dbperf_exec.carrier->level == stmt->level)
			dbperf_statement_carried(stmt);
		dbperf_statement_failed(stmt, STAGE_PLANNER, level, geterrcode());
		dbperf_statement_free(stmt);
		PG_RE_THROW();
	}
	PG_END_TRY();
	dbperf_exec.running = stmt->outer;
	dbperf_exec.level = level;
	dbperf_exec.carrier = outer_carrier;
	NOTIFY(stmt, planned, stmt, dbperf_now_ns() - stmt->clock_ns);
	dbperf_statement_free(stmt);
	return result;
}

static PlannedStmt *
plan_query(Query *parse, const char *query_string, int cursorOptions, ParamListInfo boundParams)
{
	uint32			 wanted;
	DbperfStatement *stmt;

	dbperf_top_check();
	wanted = modules_wanting(level_of_begin());
	stmt = wanted != 0 ? dbperf_statement_make(wanted) : NULL;
	if (stmt == NULL)
		return call_planner(parse, query_string, cursorOptions, boundParams);

	statement_begin(stmt, NULL, (uint64) parse->queryId, GetCurrentStatementStartTimestamp(),
					wanted, level_of_begin());
	dbperf_statement_of_text(stmt, query_string, parse->stmt_location, parse->stmt_len,
							 boundParams);
	stmt->clock_ns = dbperf_now_ns();
	return plan_in_try(stmt, parse, query_string, cursorOptions, boundParams);
}

/*
 * Whether a query reads and writes nothing, so that there is but one plan for it.
 */
static inline bool
is_expression(const Query *parse)
{
	return parse->rtable == NIL && !parse->hasSubLinks && parse->cteList == NIL;
}

/*
 * Plans a statement with what a module puts in force around it.  Expressions are
 * left alone: those of PL/pgSQL are planned by somebody who does not expect that
 * locks are taken, and with them invalidations taken in, meanwhile.
 */
static pg_noinline PlannedStmt *
plan_around(Query *parse, const char *query_string, int cursorOptions, ParamListInfo boundParams)
{
	int			 state = is_expression(parse) ? 0 : dbperf_around.begin((uint64) parse->queryId);
	PlannedStmt *result = plan_query(parse, query_string, cursorOptions, boundParams);

	if (state != 0)
		dbperf_around.end(state);
	return result;
}

static PlannedStmt *
dbperf_planner(Query *parse, const char *query_string, int cursorOptions, ParamListInfo boundParams)
{
	if (unlikely((dbperf_exec.attention & HOOK_AROUND) != 0))
		return plan_around(parse, query_string, cursorOptions, boundParams);
	return plan_query(parse, query_string, cursorOptions, boundParams);
}

static void
call_ProcessUtility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
					ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *queryEnv,
					DestReceiver *dest, QueryCompletion *qc)
{
	if (prev_ProcessUtility)
		prev_ProcessUtility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest,
								qc);
}

/*
 * Makes the statement of a utility command, or returns NULL if nobody wants
 * it.  Commands that the server splits off another one are part of that.  One
 * that its watch refuses has not begun.
 */
static pg_noinline DbperfStatement *
utility_begin(PlannedStmt *pstmt, const char *queryString, ProcessUtilityContext context)
{
	uint32			 wanted;
	DbperfStatement *stmt;

	dbperf_top_check();
	dbperf_pending_demote(GetCurrentSubTransactionId());
	if (unlikely(dbperf_utility_watch != NULL))
		dbperf_utility_watch(pstmt->utilityStmt, context == PROCESS_UTILITY_SUBCOMMAND);
	wanted = context == PROCESS_UTILITY_SUBCOMMAND ? 0 : modules_wanting(level_of_begin());
	stmt = wanted != 0 ? dbperf_statement_make(wanted) : NULL;
	if (stmt == NULL)
		return NULL;
	statement_begin(stmt, NULL, (uint64) pstmt->queryId, GetCurrentStatementStartTimestamp(),
					wanted, level_of_begin());
	dbperf_statement_of_text(stmt, queryString, pstmt->stmt_location, pstmt->stmt_len, NULL);
	stmt->planned = pstmt;
	stmt->tag = CreateCommandTag(pstmt->utilityStmt);
	stmt->controls_xact = IsA(pstmt->utilityStmt, TransactionStmt);
	if (stmt->level == 0)
		dbperf_activity_begin();
	stmt->running = true;
	stmt->measured = true;
	stmt->buffers_start = pgBufferUsage;
	stmt->wal_start = pgWalUsage;
	stmt->clock_ns = dbperf_now_ns();
	NOTIFY(stmt, utility, stmt, pstmt);
	return stmt;
}

/*
 * A utility command has ended well.
 */
static void
utility_end(DbperfStatement *stmt, const QueryCompletion *qc)
{
	int64 started = stmt->clock_ns;

	/* its tree may be gone by now, as after ROLLBACK */
	stmt->planned = NULL;
	stmt->running = false;
	stmt->clock_ns = dbperf_now_ns();
	stmt->elapsed_ns = stmt->clock_ns - started;
	if (!stmt->superseded)
		NOTIFY(stmt, utility_done, stmt, qc);
	/* a COMMIT goes on until its transaction has ended */
	if (stmt->level == 0 && !dbperf_xact_pending)
		dbperf_activity_end();
	dbperf_statement_free(stmt);
}

/*
 * A utility command, which began at level, has failed.
 */
static void
utility_failed(DbperfStatement *stmt, int level)
{
	dbperf_exec.running = stmt->outer;
	dbperf_exec.level = level;
	if (!stmt->superseded)
		dbperf_statement_failed(stmt, STAGE_UTILITY, level, geterrcode());
	dbperf_statement_free(stmt);
}

/* Whether a command only carries another statement. */
static inline bool
is_carrier(CommandTag tag)
{
	return tag == CMDTAG_EXECUTE || tag == CMDTAG_DECLARE_CURSOR;
}

/*
 * What a command executes is nested in it, unless it only carries that.
 */
static void
utility_enter(DbperfStatement *stmt)
{
	if (is_carrier(stmt->tag))
		dbperf_exec.carrier = stmt;
	else
	{
		dbperf_exec.running = stmt;
		dbperf_exec.level = stmt->level + 1;
		dbperf_exec.carrier = NULL;
	}
}

/*
 * Whether a command may need a database without anybody connected to it.
 */
static inline bool
is_database_command(Node *utility)
{
	switch (nodeTag(utility))
	{
		case T_CreatedbStmt:
		case T_DropdbStmt:
		case T_AlterDatabaseStmt:
			return true;
		case T_RenameStmt:
			return castNode(RenameStmt, utility)->renameType == OBJECT_DATABASE;
		default:
			return false;
	}
}

static void
dbperf_ProcessUtility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
					  ProcessUtilityContext context, ParamListInfo params,
					  QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc)
{
	DbperfStatement *stmt = utility_begin(pstmt, queryString, context);
	DbperfStatement *outer_carrier = dbperf_exec.carrier;
	int				 level = dbperf_exec.level;
	bool			 guarded = is_database_command(pstmt->utilityStmt);
	bool			 explain = IsA(pstmt->utilityStmt, ExplainStmt);
	int				 outer_explaining = dbperf_explaining;

	if (stmt == NULL && !guarded && !explain)
	{
		call_ProcessUtility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
		return;
	}

	if (stmt != NULL)
		utility_enter(stmt);
	if (explain)
		dbperf_explaining++;
	PG_TRY();
	{
		if (guarded)
			dbperf_db_guard_before(pstmt->utilityStmt);
		call_ProcessUtility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
	}
	PG_CATCH();
	{
		dbperf_explaining = outer_explaining;
		dbperf_exec.carrier = outer_carrier;
		if (stmt != NULL)
			utility_failed(stmt, level);
		if (guarded)
			dbperf_db_guard_after();
		PG_RE_THROW();
	}
	PG_END_TRY();
	dbperf_explaining = outer_explaining;
	dbperf_exec.carrier = outer_carrier;
	if (guarded)
	{
		dbperf_db_guard_succeeded();
		dbperf_db_guard_after();
	}
	if (stmt != NULL)
	{
		dbperf_exec.running = stmt->outer;
		dbperf_exec.level = level;
		utility_end(stmt, qc);
	}
}

/* Installs the hooks. */
void
dbperf_utility_hooks_init(void)
{
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = dbperf_ProcessUtility;
	prev_planner = planner_hook;
	planner_hook = dbperf_planner;
}
