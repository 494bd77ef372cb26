/*-------------------------------------------------------------------------
 *
 * exec_int.h
 *		What the files behind exec_hooks.h share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_EXEC_INT_H
#define DBPERF_EXEC_INT_H

#include "access/parallel.h"
#include "core/compat.h"
#include "core/exec_hooks.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"

#define MAX_MODULES 8
#define NOT_ONE PG_UINT32_MAX /* no set of modules, see ExecState.sole */

DBPERF_PRIVATE_BEGIN

/* Why a hook of the executor does not just pass on, see ExecState.attention. */
#define HOOK_FOLLOW 0x01  /* statements are followed, or one that was is open */
#define HOOK_AROUND 0x02  /* a module puts something in force around statements */
#define HOOK_WRAPPED 0x04 /* the planner module has put its node on a plan */

/* Which statement runs now, and who wants to hear of the next. */
typedef struct ExecState
{
	int				 level;			/* how deep statements are nested: the level of the next */
	int				 follow;		/* the highest level that a module wants, or FOLLOW_NONE */
	uint32			 wanted_top;	/* which modules want statements of clients, */
	uint32			 wanted_nested; /* and which those below */
	DbperfStatement *running;		/* the statement that runs now, or NULL */
	DbperfStatement *carrier;		/* EXECUTE or DECLARE whose query is to start, or NULL */

	/*
	 * The client's own query, see exec_hooks.c: always the same statement,
	 * whose desc is NULL while there is none.  Before the first one it is a
	 * placeholder that is never free.
	 */
	DbperfStatement *top;
	int				 num_open; /* open statements, top and pending included */

	/*
	 * The client's query that has been started but has not run yet, if nobody
	 * asked to hear of its start; and its message.  It is NULL otherwise.
	 */
	QueryDesc  *pending;
	TimestampTz pending_message;
	bool		starting; /* inside its ExecutorStart: level is 1 meanwhile */

	/* what the modules asked for, see dbperf_statement_ask() */
	pg_atomic_uint32 *ask_flags;

	/* below this cost a client's query may be pending: below none until there is a top */
	double pending_cost;

	TimestampTz run_message;  /* the client's message in which top last started or ran */
	TimestampTz told_message; /* the client's message whose error was told */
	bool		ready;		  /* top is no placeholder any more */

	/* the one module in wanted_top, if it has this callback: its bit, or NOT_ONE */
	uint32 sole;
	bool (*sole_ran)(DbperfStatement *stmt, uint64 count);

	uint8						 attention; /* HOOK_*: the first thing that a hook looks at */
	int							 suspended; /* > 0: nothing is followed */
	int							 num_modules;
	const DbperfStatementModule *modules[MAX_MODULES];
} ExecState;

extern ExecState	dbperf_exec;
extern DbperfAround dbperf_around;

/* Calls a callback of each module that wants the statement. */
#define NOTIFY(stmt, callback, ...)                                                                \
	for (uint32 left_ = (stmt)->wanted; left_ != 0; left_ &= left_ - 1)                            \
	{                                                                                              \
		const DbperfStatementModule *module_ = dbperf_exec.modules[pg_rightmost_one_pos32(left_)]; \
                                                                                                   \
		if (module_->callback != NULL)                                                             \
			module_->callback(__VA_ARGS__);                                                        \
	}

/* exec_hooks.c */
extern DbperfStatement *dbperf_statement_make(uint32 wanted);
extern void				dbperf_statement_carried(DbperfStatement *stmt);
extern void dbperf_statement_of_text(DbperfStatement *stmt, const char *source, int location,
									 int length, ParamListInfo params);
extern void dbperf_pending_demote(SubTransactionId subid);

/* exec_close.c */
extern void
dbperf_statement_failed(DbperfStatement *stmt, DbperfStage stage, int level, int sqlstate);
extern bool dbperf_top_runs(void);
extern void dbperf_top_failed(int sqlstate, bool alive);
extern void dbperf_statements_close(SubTransactionId from);
extern void dbperf_pending_aborted(void);
extern void dbperf_top_check(void);

/* utility_hooks.c */
extern void dbperf_start_unwrapped(QueryDesc *queryDesc);

/* exec_errors.c */
extern void dbperf_exec_errors_init(void);
extern bool dbperf_exec_callbacks(void);

/* utility_hooks.c */
extern void dbperf_utility_hooks_init(void);

/*
 * Which modules want a statement that starts now, as a set of bits.  Parallel
 * workers do nothing: their leader accounts for them.
 */
static inline uint32
modules_wanting(int level)
{
	if (level > dbperf_exec.follow || IsParallelWorker())
		return 0;
	return level == 0 ? dbperf_exec.wanted_top : dbperf_exec.wanted_nested;
}

/*
 * Works out whether the hooks have to look at statements.  Once they do not,
 * nothing is opened, so that this needs to be called only when what is followed
 * changes; and some time after it if something was open then.
 */
static inline void
dbperf_attention_update(void)
{
	if (dbperf_exec.follow != FOLLOW_NONE || dbperf_exec.num_open > 0)
		dbperf_exec.attention |= HOOK_FOLLOW;
	else
		dbperf_exec.attention &= ~HOOK_FOLLOW;
}

/*
 * Fills the fields of the first group of a statement that is not described.
 */
static inline void
statement_begin(DbperfStatement *stmt, QueryDesc *desc, uint64 queryid, TimestampTz message,
				uint32 wanted, int level)
{
	stmt->desc = desc;
	stmt->outer = dbperf_exec.running;
	stmt->queryid = queryid;
	stmt->message = message;
	stmt->elapsed_ns = 0;
	stmt->level = level;
	stmt->wanted = wanted;
	stmt->begun = 0;
	stmt->subid = InvalidSubTransactionId;
	stmt->running = false;
	stmt->starting = false;
	stmt->described = false;
	stmt->superseded = false;
	stmt->cursor = false;
	stmt->controls_xact = false;
	stmt->notify_started = false;
	stmt->notify_run = false;
	stmt->measured = false;
}

/*
 * The client's query that was started will not run, or not as such.
 */
static inline void
pending_forget(void)
{
	if (dbperf_exec.pending != NULL)
		dbperf_exec.num_open--;
	dbperf_exec.pending = NULL;
}

/*
 * A statement is open no more, and may be gone.
 */
static inline void
statement_close(DbperfStatement *stmt)
{
	dbperf_exec.num_open--;
	if (stmt == dbperf_exec.top)
		stmt->desc = NULL;
	else
	{
		dlist_delete(&stmt->node);
		dbperf_statement_free(stmt);
	}
}

DBPERF_PRIVATE_END

#endif /* DBPERF_EXEC_INT_H */
