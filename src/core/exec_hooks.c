/*-------------------------------------------------------------------------
 *
 * exec_hooks.c
 *		Installs the executor's hooks, once for all modules.
 *
 * Separate chains for each module would cost a sigsetjmp per module and
 * statement, and counters of the nesting level that can disagree.  So the
 * level changes here (and in utility_hooks.c, in the same way), and the
 * modules get callbacks.
 *
 * With no module that wants a statement every hook makes one test and
 * tail-calls.  Whether a statement is followed is decided at its ExecutorStart
 * and stays so until its end, whatever settings change meanwhile.
 *
 * EXECUTE and DECLARE CURSOR only carry another statement: they do not raise
 * the level, and the query in them stands for them.
 *
 * Errors.  Whatever may be called by somebody who catches errors runs inside
 * PG_TRY: nested statements, cursors, utility commands, the planner.  A query
 * that a client has sent does not, when it starts and first runs: an error in
 * it goes to PostgresMain, which reports it and aborts the (sub)transaction,
 * and two sigsetjmp for each statement would cost a quarter of all that we do.
 * There is one such statement at a time: "pending" from its ExecutorStart on,
 * and "top" from its ExecutorRun on.  It is told of its error by the hook that
 * sees the report, while everything that it points to is still there.  Where
 * log_min_messages keeps that hook from being called there is no such
 * statement; should it change in the middle of one, that is closed by the
 * abort of its transaction; and if only a subtransaction was aborted, by the
 * next message of the client, for then it cannot be running.  What it points to
 * is gone in these cases.  See exec_errors.c.
 *
 * What a module puts in force around statements is outermost in each hook, so
 * that what the other modules find out at the end of a frame is what it ran
 * under.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <float.h>

#include "access/xact.h"
#include "core/core.h"
#include "core/exec_int.h"
#include "tcop/pquery.h"
#include "utils/guc.h"

/*
 * Calls a callback that says whether its module is done with the statement.
 */
#define NOTIFY_COMPLETE(stmt, callback, ...)                                                       \
	for (uint32 left_ = (stmt)->wanted; left_ != 0; left_ &= left_ - 1)                            \
	{                                                                                              \
		int n_ = pg_rightmost_one_pos32(left_);                                                    \
                                                                                                   \
		if (dbperf_exec.modules[n_]->callback != NULL &&                                           \
			dbperf_exec.modules[n_]->callback(__VA_ARGS__))                                        \
			(stmt)->wanted &= ~(1U << n_);                                                         \
	}

bool dbperf_xact_pending = false;

static pg_atomic_uint64 unseen_counter;
static pg_atomic_uint32 never_asleep;

DbperfActivity dbperf_activity = {&unseen_counter, &never_asleep, NULL};

/* its desc is nobody's */
static DbperfStatement no_statement = {.desc = (QueryDesc *) &no_statement};

static pg_atomic_uint32 no_flags[ASK_FLAGS];

ExecState dbperf_exec = {
	.follow = FOLLOW_NONE,
	.top = &no_statement,
	.ask_flags = no_flags,
	.sole = NOT_ONE,
	.pending_cost = -DBL_MAX,
};


/* the hooks that were there before, or the server's functions */
static ExecutorStart_hook_type	next_ExecutorStart = standard_ExecutorStart;
static ExecutorRun_hook_type	next_ExecutorRun = standard_ExecutorRun;
static ExecutorFinish_hook_type next_ExecutorFinish = standard_ExecutorFinish;
static ExecutorEnd_hook_type	next_ExecutorEnd = standard_ExecutorEnd;

/* The level that a statement which starts now would have. */
int
dbperf_statement_level(void)
{
	return dbperf_exec.level;
}

/*
 * A new statement for the modules in wanted, or NULL without memory for one:
 * then they are told, and the statement just is not followed.
 */
DbperfStatement *
dbperf_statement_make(uint32 wanted)
{
	DbperfStatement *stmt = dbperf_exec_callbacks() ? dbperf_statement_new() : NULL;

	if (stmt == NULL)
	{
		for (int i = 0; i < dbperf_exec.num_modules; i++)
			if ((wanted & (1U << i)) != 0 && dbperf_exec.modules[i]->lost != NULL)
				dbperf_exec.modules[i]->lost();
	}
	return stmt;
}

/*
 * Fills the second group of a statement that is no query: of a planning, or of
 * a utility command.
 */
void
dbperf_statement_of_text(DbperfStatement *stmt, const char *source, int location, int length,
						 ParamListInfo params)
{
	stmt->planned = NULL;
	stmt->params = params;
	stmt->source = source;
	stmt->location = location;
	stmt->length = length;
	stmt->parent_queryid = stmt->outer != NULL ? stmt->outer->queryid : 0;
	stmt->tag = CMDTAG_UNKNOWN;
	stmt->described = true;
}

/*
 * Fills the second group of a statement, if that was not done yet.  Its query
 * descriptor must still be there.
 */
void
dbperf_statement_describe(DbperfStatement *stmt)
{
	PlannedStmt *planned;

	if (stmt->described)
		return;
	planned = stmt->desc->plannedstmt;
	dbperf_statement_of_text(stmt, stmt->desc->sourceText, planned->stmt_location,
							 planned->stmt_len, stmt->desc->params);
	stmt->planned = planned;
}

/*
 * A query that EXECUTE or DECLARE CURSOR carries stands for it.  Up to 17 the
 * query of DECLARE CURSOR has no query id of its own, nor a place in the text.
 * The statement must be described.
 */
void
dbperf_statement_carried(DbperfStatement *stmt)
{
	DbperfStatement *carrier = dbperf_exec.carrier;

	if (stmt->queryid == 0)
		stmt->queryid = carrier->queryid;
	if (carrier->tag == CMDTAG_DECLARE_CURSOR)
	{
		stmt->location = carrier->location;
		stmt->length = carrier->length;
		stmt->cursor = true;
	}
	carrier->superseded = true;
}

/*
 * Fills a statement of which the modules hear at its start.
 */
static void
statement_of_query(DbperfStatement *stmt, QueryDesc *queryDesc, uint32 wanted, int level)
{
	statement_begin(stmt, queryDesc, (uint64) queryDesc->plannedstmt->queryId,
					GetCurrentStatementStartTimestamp(), wanted, level);
	stmt->subid = GetCurrentSubTransactionId();
	dbperf_statement_describe(stmt);
	if (dbperf_exec.carrier != NULL && dbperf_exec.carrier->level == level)
		dbperf_statement_carried(stmt);
}

/*
 * The open statement of a query descriptor, or NULL.  The newest comes first.
 */
static DbperfStatement *
statement_find(QueryDesc *desc)
{
	dlist_iter iter;

	if (dbperf_exec.top->desc == desc)
		return dbperf_exec.top;
	dlist_foreach (iter, &dbperf_open_statements)
	{
		DbperfStatement *stmt = dlist_container(DbperfStatement, node, iter.cur);

		if (stmt->desc == desc)
			return stmt;
	}
	return NULL;
}

static void
statement_open(DbperfStatement *stmt)
{
	dlist_push_head(&dbperf_open_statements, &stmt->node);
	dbperf_exec.num_open++;
}

/*
 * A part of an open statement begins: what runs in it is nested in it.
 */
static inline void
part_enter(DbperfStatement *stmt)
{
	stmt->outer = dbperf_exec.running;
	stmt->running = true;
	stmt->measured = true;
	dbperf_exec.running = stmt;
	dbperf_exec.level = stmt->level + 1;
	if (stmt->level == 0)
		dbperf_activity_begin();
	stmt->buffers_start = pgBufferUsage;
	stmt->wal_start = pgWalUsage;
	stmt->clock_ns = dbperf_now_ns();
}

/*
 * The same for one that a module may have heard of.
 */
static void
part_begin(DbperfStatement *stmt)
{
	part_enter(stmt);
	if (stmt->notify_run)
		NOTIFY(stmt, run, stmt);
}

/*
 * A part has ended well: adds its time, and restores what was before.
 */
static inline void
part_end(DbperfStatement *stmt, int level)
{
	int64 started = stmt->clock_ns;

	dbperf_exec.running = stmt->outer;
	dbperf_exec.level = level;
	stmt->running = false;
	stmt->clock_ns = dbperf_now_ns();
	stmt->elapsed_ns += stmt->clock_ns - started;
}

/*
 * Only what modifies data has something to do in ExecutorFinish: AFTER
 * triggers, foreign keys among them.
 */
static inline bool
has_finish(QueryDesc *queryDesc)
{
	return queryDesc->operation != CMD_SELECT || queryDesc->plannedstmt->hasModifyingCTE;
}

/*
 * The modules have heard of the end of a part.
 */
static void
part_told(DbperfStatement *stmt)
{
	if (stmt->wanted == 0)
	{
		if (stmt->level == 0)
			dbperf_activity_end();
		statement_close(stmt);
		return;
	}

	/* what modifies data goes on with ExecutorFinish, a cursor with a pause */
	if (stmt->level == 0 && !has_finish(stmt->desc))
		dbperf_activity_end();
	if (stmt->subid == InvalidSubTransactionId)
		stmt->subid = GetCurrentSubTransactionId();
}

/*
 * ExecutorStart of a statement whose error may be caught.
 */
static pg_noinline void
start_in_try(DbperfStatement *stmt, int eflags)
{
	int level = dbperf_exec.level;

	statement_open(stmt);
	NOTIFY(stmt, start, stmt);
	stmt->starting = true;
	dbperf_exec.running = stmt;
	dbperf_exec.level = stmt->level + 1;
	PG_TRY();
	{
		next_ExecutorStart(stmt->desc, eflags);
	}
	PG_CATCH();
	{
		dbperf_statement_failed(stmt, STAGE_START, level, geterrcode());
		statement_close(stmt);
		PG_RE_THROW();
	}
	PG_END_TRY();
	stmt->starting = false;
	dbperf_exec.running = stmt->outer;
	dbperf_exec.level = level;
	if (stmt->notify_started)
		NOTIFY(stmt, started, stmt);
}

/*
 * Whether a query is what the portal that runs now was made for: if that has no
 * name, the client's own.  Functions run theirs in the same portal, but from
 * another text, or in portals of their own, which have names.  Without a portal a
 * session is at the end of its transaction, where deferred triggers fire; and what
 * a rule adds is not the client's own.
 */
static inline bool
in_client_portal(QueryDesc *queryDesc)
{
	return ActivePortal != NULL && ActivePortal->sourceText == queryDesc->sourceText &&
		   queryDesc->plannedstmt->canSetTag;
}

/* Whether a query is the one that runs in the portal of a client. */
static bool
of_client(QueryDesc *queryDesc)
{
	return in_client_portal(queryDesc) && (ActivePortal->name[0] == '\0' || !dbperf_in_function());
}

/*
 * The level of a query that starts now.  What is not the client's own is nested
 * in something, even if that is not followed.
 */
static int
level_of_start(QueryDesc *queryDesc)
{
	if (dbperf_exec.level == 0 && MyBackendType == B_BACKEND && !of_client(queryDesc))
		return 1;
	return dbperf_exec.level;
}

/*
 * Something else happens before the client's own query has run, like another
 * portal that is bound: then it becomes a statement like others, which was
 * started in subtransaction subid.
 */
void
dbperf_pending_demote(SubTransactionId subid)
{
	DbperfStatement *stmt;

	if (dbperf_exec.pending == NULL || dbperf_exec.starting)
		return;
	stmt = dbperf_statement_make(dbperf_exec.wanted_top);
	if (stmt != NULL)
	{
		statement_begin(stmt, dbperf_exec.pending,
						(uint64) dbperf_exec.pending->plannedstmt->queryId,
						dbperf_exec.pending_message, dbperf_exec.wanted_top, 0);
		stmt->subid = subid;
		statement_open(stmt);
	}
	pending_forget();
}

/*
 * ExecutorStart in all cases but the usual one.
 */
static pg_noinline void
start_other(QueryDesc *queryDesc, int eflags)
{
	uint32			 wanted;
	int				 level;
	DbperfStatement *stmt = NULL;

	if (dbperf_exec.follow == FOLLOW_NONE)
	{
		dbperf_attention_update();
		next_ExecutorStart(queryDesc, eflags);
		return;
	}
	dbperf_top_check();
	dbperf_pending_demote(GetCurrentSubTransactionId());
	level = level_of_start(queryDesc);
	wanted = modules_wanting(level);
	if (wanted != 0 && (eflags & EXEC_FLAG_EXPLAIN_ONLY) == 0)
		stmt = dbperf_statement_make(wanted);
	if (stmt == NULL)
	{
		next_ExecutorStart(queryDesc, eflags);
		return;
	}
	if (!dbperf_exec.ready && MyBackendType == B_BACKEND)
	{
		/* from now on this session takes the short way where it can */
		DbperfStatement *top = dbperf_statement_new();

		if (top != NULL)
		{
			top->desc = NULL;
			top->running = false;
			dbperf_exec.top = top;
			dbperf_exec.ready = true;
			dbperf_statement_follow_update();
		}
	}
	statement_of_query(stmt, queryDesc, wanted, level);
	start_in_try(stmt, eflags);
}

/*
 * ExecutorStart of the client's own query.
 */
static pg_noinline void
start_pending(QueryDesc *queryDesc, int eflags)
{
	dbperf_exec.pending_message = GetCurrentStatementStartTimestamp();
	dbperf_exec.pending = queryDesc;
	dbperf_exec.num_open++;
	dbperf_exec.starting = true;
	dbperf_exec.level = 1;
	next_ExecutorStart(queryDesc, eflags);
	dbperf_exec.level = 0;
	dbperf_exec.starting = false;
}

/*
 * The same for a query in a portal with a name, which may be a function's.
 */
static pg_noinline void
start_named(QueryDesc *queryDesc, int eflags)
{
	if (dbperf_in_function())
		start_other(queryDesc, eflags);
	else
		start_pending(queryDesc, eflags);
}

/*
 * Whether the hook that sees reports will see an error, see is_log_level_output
 * in elog.c: with "log" only what is FATAL comes after it.
 */
static inline bool
errors_are_reported(void)
{
	return log_min_messages <= ERROR && log_min_messages != LOG;
}

/*
 * In the usual case nobody wants to hear of a start, and what has to be known
 * about the statement can be found out when it runs.
 */
static inline void
start_query(QueryDesc *queryDesc, int eflags)
{
	if (unlikely(
			dbperf_exec.num_open != 0 || dbperf_exec.level != 0 || dbperf_exec.carrier != NULL ||
			!(queryDesc->plannedstmt->planTree->total_cost < dbperf_exec.pending_cost) ||
			pg_atomic_read_u32(&dbperf_exec.ask_flags[ASK_FLAG(queryDesc->plannedstmt->queryId)]) !=
				0 ||
			!errors_are_reported() || !in_client_portal(queryDesc)))
		start_other(queryDesc, eflags);
	else if (likely(ActivePortal->name[0] == '\0'))
		start_pending(queryDesc, eflags);
	else
		start_named(queryDesc, eflags);
}

/* The id of a query that a module may put something in force around. */
static inline uint64
around_id(const QueryDesc *queryDesc)
{
	return (uint64) queryDesc->plannedstmt->queryId;
}

/*
 * ExecutorStart where there is more to it than a statement that may be followed.
 */
static pg_noinline void
start_special(QueryDesc *queryDesc, int eflags)
{
	int state = 0;

	if ((dbperf_exec.attention & HOOK_WRAPPED) != 0)
		dbperf_start_unwrapped(queryDesc);
	if ((dbperf_exec.attention & HOOK_AROUND) != 0)
		state = dbperf_around.begin(around_id(queryDesc));
	start_query(queryDesc, eflags);
	if (state != 0)
		dbperf_around.end(state);
}

static void
dbperf_ExecutorStart(QueryDesc *queryDesc, int eflags)
{
	if (dbperf_exec.attention == 0)
		next_ExecutorStart(queryDesc, eflags);
	else if (likely(dbperf_exec.attention == HOOK_FOLLOW))
		start_query(queryDesc, eflags);
	else
		start_special(queryDesc, eflags);
}

/*
 * ExecutorRun of a statement whose error may be caught.
 */
static void
run_in_try(DbperfStatement *stmt, DBPERF_RUN_PARAMS)
{
	int level = dbperf_exec.level;

	if (stmt == dbperf_exec.top)
		dbperf_exec.run_message = GetCurrentStatementStartTimestamp();
	part_begin(stmt);
	PG_TRY();
	{
		next_ExecutorRun(DBPERF_RUN_ARGS);
	}
	PG_CATCH();
	{
		dbperf_statement_failed(stmt, STAGE_RUN, level, geterrcode());
		statement_close(stmt);
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (unlikely(stmt->desc != queryDesc))
		return;
	part_end(stmt, level);
	NOTIFY_COMPLETE(stmt, ran, stmt, count);
	part_told(stmt);
}

/*
 * ExecutorRun of what may be an open statement.
 */
static pg_noinline void
run_other(DBPERF_RUN_PARAMS)
{
	DbperfStatement *stmt = statement_find(queryDesc);

	if (stmt != NULL)
		run_in_try(stmt, DBPERF_RUN_ARGS);
	else
		next_ExecutorRun(DBPERF_RUN_ARGS);
}

/*
 * The client's own query runs for the first time, and nobody has heard of it
 * yet.
 */
static pg_noinline void
run_pending(DBPERF_RUN_PARAMS)
{
	DbperfStatement *top = dbperf_exec.top;

	dbperf_exec.run_message = GetCurrentStatementStartTimestamp();
	dbperf_exec.pending = NULL;
	statement_begin(top, queryDesc, (uint64) queryDesc->plannedstmt->queryId,
					dbperf_exec.pending_message, dbperf_exec.wanted_top, 0);
	part_enter(top);
	next_ExecutorRun(DBPERF_RUN_ARGS);

	/* whoever has caught an error of it after all has gone on with it */
	if (unlikely(top->desc != queryDesc))
	{
		dbperf_exec.running = NULL;
		dbperf_exec.level = 0;
		return;
	}
	part_end(top, 0);
	if (likely(top->wanted == dbperf_exec.sole))
	{
		/* as below, for the one module that there is */
		if (likely(dbperf_exec.sole_ran(top, count)))
		{
			dbperf_activity_end();
			dbperf_exec.num_open--;
			top->desc = NULL;
			return;
		}
	}
	else
		NOTIFY_COMPLETE(top, ran, top, count);
	part_told(top);
}

static inline void
run_query(DBPERF_RUN_PARAMS)
{
	if (likely(dbperf_exec.pending == queryDesc))
		run_pending(DBPERF_RUN_ARGS);
	else if (dbperf_exec.num_open > 0)
		run_other(DBPERF_RUN_ARGS);
	else
		next_ExecutorRun(DBPERF_RUN_ARGS);
}

static pg_noinline void
run_around(DBPERF_RUN_PARAMS)
{
	int state = dbperf_around.begin(around_id(queryDesc));

	run_query(DBPERF_RUN_ARGS);
	if (state != 0)
		dbperf_around.end(state);
}

static void
dbperf_ExecutorRun(DBPERF_RUN_PARAMS)
{
	if (dbperf_exec.attention == 0)
		next_ExecutorRun(DBPERF_RUN_ARGS);
	else if (unlikely((dbperf_exec.attention & HOOK_AROUND) != 0))
		run_around(DBPERF_RUN_ARGS);
	else
		run_query(DBPERF_RUN_ARGS);
}

/*
 * ExecutorFinish of a statement whose error may be caught.
 */
static void
finish_in_try(DbperfStatement *stmt)
{
	int level = dbperf_exec.level;

	if (stmt == dbperf_exec.top)
		dbperf_exec.run_message = GetCurrentStatementStartTimestamp();
	part_begin(stmt);
	PG_TRY();
	{
		next_ExecutorFinish(stmt->desc);
	}
	PG_CATCH();
	{
		dbperf_statement_failed(stmt, STAGE_FINISH, level, geterrcode());
		statement_close(stmt);
		PG_RE_THROW();
	}
	PG_END_TRY();
	part_end(stmt, level);
}

/*
 * ExecutorFinish of what may be an open statement.
 */
static pg_noinline void
finish_statement(DbperfStatement *stmt, QueryDesc *queryDesc)
{
	if (stmt == NULL)
	{
		next_ExecutorFinish(queryDesc);
		return;
	}
	finish_in_try(stmt);
	NOTIFY_COMPLETE(stmt, finished, stmt);
	part_told(stmt);
}

static inline void
finish_query(QueryDesc *queryDesc)
{
	if (likely(dbperf_exec.num_open == 0))
		next_ExecutorFinish(queryDesc);
	else
		finish_statement(statement_find(queryDesc), queryDesc);
}

static pg_noinline void
finish_around(QueryDesc *queryDesc)
{
	int state = dbperf_around.begin(around_id(queryDesc));

	finish_query(queryDesc);
	if (state != 0)
		dbperf_around.end(state);
}

static void
dbperf_ExecutorFinish(QueryDesc *queryDesc)
{
	if (likely(!has_finish(queryDesc)))
		next_ExecutorFinish(queryDesc);
	else if (unlikely((dbperf_exec.attention & HOOK_AROUND) != 0))
		finish_around(queryDesc);
	else
		finish_query(queryDesc);
}

/*
 * ExecutorEnd of what may be a statement that is not complete.
 */
static pg_noinline void
end_other(QueryDesc *queryDesc)
{
	DbperfStatement *stmt = statement_find(queryDesc);

	if (dbperf_exec.pending == queryDesc)
		pending_forget();
	if (stmt != NULL)
	{
		NOTIFY(stmt, end, stmt);
		statement_close(stmt);
	}
	next_ExecutorEnd(queryDesc);
}

static void
dbperf_ExecutorEnd(QueryDesc *queryDesc)
{
	if (unlikely(dbperf_exec.num_open > 0))
		end_other(queryDesc);
	else
		next_ExecutorEnd(queryDesc);
}

/*
 * Installs the hooks.  Only while the library is preloaded.
 */
void
dbperf_exec_hooks_init(void)
{
	if (ExecutorStart_hook != NULL)
		next_ExecutorStart = ExecutorStart_hook;
	ExecutorStart_hook = dbperf_ExecutorStart;
	if (ExecutorRun_hook != NULL)
		next_ExecutorRun = ExecutorRun_hook;
	ExecutorRun_hook = dbperf_ExecutorRun;
	if (ExecutorFinish_hook != NULL)
		next_ExecutorFinish = ExecutorFinish_hook;
	ExecutorFinish_hook = dbperf_ExecutorFinish;
	if (ExecutorEnd_hook != NULL)
		next_ExecutorEnd = ExecutorEnd_hook;
	ExecutorEnd_hook = dbperf_ExecutorEnd;
	dbperf_utility_hooks_init();
	dbperf_exec_errors_init();
}
