/*-------------------------------------------------------------------------
 *
 * exec_hooks.h
 *		The one owner of the executor, planner and utility hooks.
 *
 * A module describes what it wants to hear of in a DbperfStatementModule and
 * gets a DbperfStatement for each statement that it wants: from its
 * ExecutorStart to its end, its failure, or the abort that left it open.
 * Nesting levels and execution times are kept here, once for all modules.
 *
 * Callbacks run inside users' statements: they must not raise errors, take
 * heavyweight locks or do I/O, unless they guard themselves (record.c shows
 * how).
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_EXEC_HOOKS_H
#define DBPERF_EXEC_HOOKS_H

#include "access/xact.h"
#include "core/compat.h"
#include "executor/execdesc.h"
#include "executor/instrument.h"
#include "lib/ilist.h"
#include "nodes/plannodes.h"
#include "port/atomics.h"
#include "tcop/cmdtag.h"

DBPERF_PRIVATE_BEGIN

/* Where a statement was when an error ended it. */
typedef enum DbperfStage
{
	STAGE_PLANNER,
	STAGE_START,
	STAGE_RUN,
	STAGE_FINISH,
	STAGE_UTILITY
} DbperfStage;

/*
 * The fields of the first group are set as soon as a statement exists; those
 * of the second only by dbperf_statement_describe(), which costs something and
 * is therefore left to whoever needs them.
 */
typedef struct DbperfStatement
{
	dlist_node node; /* in the list of open statements, or of free ones */

	QueryDesc			   *desc;		/* NULL in the planner and for utility statements */
	struct DbperfStatement *outer;		/* the one that ran when this one began to run */
	uint64					queryid;	/* 0 = none */
	TimestampTz				message;	/* arrival of the client's message that started it */
	int64					elapsed_ns; /* Run + Finish, or ProcessUtility, so far */
	int64					clock_ns;	/* when the part that runs now began, or the last ended */
	int						level;		/* 0 = sent by a client */
	uint32					wanted;		/* one bit for each module that wants it */
	uint32					begun;		/* one bit for each module that knows of it */
	SubTransactionId		subid;		/* where it was started; invalid in a client's first Run */

	/* all false at first */
	bool running;		 /* inside Run, Finish or ProcessUtility */
	bool starting;		 /* inside ExecutorStart */
	bool described;		 /* the second group is valid */
	bool superseded;	 /* EXECUTE, DECLARE: the query in it stands for it */
	bool cursor;		 /* the query of a DECLARE CURSOR */
	bool controls_xact;	 /* BEGIN, COMMIT, SAVEPOINT and the like */
	bool notify_started; /* set by a start callback that wants to hear of it */
	bool notify_run;	 /* the same for the parts after the first */
	bool measured;		 /* the two below are set */

	/* pgBufferUsage and pgWalUsage when the part that runs now began */
	BufferUsage buffers_start;
	WalUsage	wal_start;

	/* second group */
	PlannedStmt	 *planned;		  /* NULL in the planner, and when a utility is done */
	ParamListInfo params;		  /* values of parameters, or NULL */
	const char	 *source;		  /* the text that was sent, all statements of it */
	int			  location;		  /* where this statement starts in it, -1 unknown */
	int			  length;		  /* its bytes, 0 = all the rest */
	uint64		  parent_queryid; /* of the statement that this one runs in */
	CommandTag	  tag;			  /* utility statements only */

	/* the modules' own data follow, see dbperf_statement_data() */
} DbperfStatement;

/* A module wants statements up to this level: */
#define FOLLOW_NONE (-1)
#define FOLLOW_TOP 0
#define FOLLOW_ALL PG_INT32_MAX

/* How many flags there are for dbperf_statement_ask(), a power of two. */
#define ASK_FLAGS 1024
#define ASK_FLAG(queryid) ((uint64) (queryid) & (ASK_FLAGS - 1))

/*
 * Every callback may be NULL.
 *
 * Most statements are over before anybody needs to know more of them than how
 * long they took, so a module hears of a client's query at its start only if
 * it asked for that (dbperf_statement_ask); otherwise its first callback is
 * ran, failed or abandoned, with the module's bit in stmt->begun not set.
 */
typedef struct DbperfStatementModule
{
	const char *name;
	Size		data_size;					/* bytes of its own in each statement, not cleared */
	void (*start)(DbperfStatement *stmt);	/* may set instrument_options */
	void (*started)(DbperfStatement *stmt); /* only with notify_started */
	void (*run)(DbperfStatement *stmt);		/* only with notify_run */
	bool (*ran)(DbperfStatement *stmt, uint64 count); /* true = it is complete */
	bool (*finished)(DbperfStatement *stmt);		  /* the same, after ExecutorFinish */
	void (*end)(DbperfStatement *stmt);				  /* not complete, before ExecutorEnd */
	void (*utility)(DbperfStatement *stmt, PlannedStmt *pstmt);
	void (*utility_done)(DbperfStatement *stmt, const QueryCompletion *qc);
	void (*planned)(DbperfStatement *stmt, int64 ns);

	/*
	 * After an error, before anything is cleaned up: no catalog access, no
	 * output functions, nothing that allocates.
	 */
	void (*failed)(DbperfStatement *stmt, DbperfStage stage, int sqlstate);
	/* an error that ends a client's statement and that no statement was told of */
	void (*unstarted)(int sqlstate);
	/* still open when its transaction or subtransaction ended */
	void (*abandoned)(DbperfStatement *stmt);
	/* the client's query that runs now is nothing but a call of dbperf's functions */
	void (*own)(DbperfStatement *stmt);
	/* a statement that it wants cannot be followed: out of memory */
	void (*lost)(void);
	/* end of a transaction that wrote, or of any with dbperf_xact_pending */
	void (*xact)(XactEvent event);
} DbperfStatementModule;

/* A module waits for the end of the transaction. */
extern bool dbperf_xact_pending;

/*
 * Where this process shows that a top-level statement runs: the counter is odd
 * meanwhile.  If *asleep is not zero, wake is called at the start of one.  Until
 * somebody has set them, they are such that nobody sees the one, and the other
 * never is.
 */
typedef struct DbperfActivity
{
	pg_atomic_uint64 *counter;
	pg_atomic_uint32 *asleep;
	void (*wake)(void);
} DbperfActivity;

extern DbperfActivity dbperf_activity;

/*
 * A module that changes finished plans by putting a node of its own on top of
 * them.  There is one at most.
 */
typedef struct DbperfPlanner
{
	bool *wanted; /* tested first for each statement; set while it may want one */

	/*
	 * Before a statement is planned, and so before the planner scribbles on the
	 * query: returns what after() needs, or NULL to leave the plan as it is.
	 */
	void *(*before)(Query *query, const char *source, int cursor_options, ParamListInfo params);
	PlannedStmt *(*after)(void *state, PlannedStmt *planned);

	/* the plan under its node, or plan itself without one; needs nothing */
	Plan *(*unwrap)(Plan *plan);

	/* whether a statement that is started with its node is to do without */
	bool (*hide)(const QueryDesc *queryDesc);
} DbperfPlanner;

/*
 * A module that puts something in force while a statement is planned and while
 * it is executed: settings, say.  There is one at most.
 *
 * It is asked once for each frame, that is each call of the planner and of
 * ExecutorStart, ExecutorRun and ExecutorFinish, and never from one frame to the
 * next: portals interleave.  A frame that an error leaves is not ended; what
 * begin() did must be undone by the end of the (sub)transaction, whose settings'
 * nest levels are made for that.
 */
typedef struct DbperfAround
{
	/* what end() needs, or 0 if there is nothing to end */
	int (*begin)(uint64 queryid);
	void (*end)(int state);
	/* dbperf.enabled has another value: no errors, no catalogs, nothing allocated */
	void (*switched)(void);
} DbperfAround;


/*
 * Called before each utility command of this process, nested ones and parts of
 * others included, if it is set; part: the server made it of another one.  It may
 * raise an error, as if the command did.
 */
extern void (*dbperf_utility_watch)(Node *utility, bool part);

/* How many EXPLAIN commands run, one in another. */
extern int dbperf_explaining;

/* exec_hooks.c */
extern void dbperf_exec_hooks_init(void);
extern int	dbperf_statement_register(const DbperfStatementModule *module, Size *data_offset);
extern void dbperf_statement_follow(int module, int level);
extern void dbperf_statement_ask(int module, double cost, pg_atomic_uint32 *flags);
extern void dbperf_statements_suspend(void);
extern void dbperf_statements_resume(void);
extern void dbperf_statement_describe(DbperfStatement *stmt);
extern int	dbperf_statement_level(void);
extern void dbperf_around_register(const DbperfAround *around);
extern void dbperf_around_want(bool wanted);
extern void dbperf_around_switched(void);
extern void dbperf_statement_follow_update(void);

/*
 * A top-level statement begins to run, or goes on.  No barrier between the store
 * and the load: who sleeps looks once more some time after it has set the flag.
 */
static inline void
dbperf_activity_begin(void)
{
	pg_atomic_write_u64(dbperf_activity.counter, pg_atomic_read_u64(dbperf_activity.counter) | 1);
	if (unlikely(pg_atomic_read_u32(dbperf_activity.asleep) != 0))
		dbperf_activity.wake();
}

/* It pauses or has ended. */
static inline void
dbperf_activity_end(void)
{
	pg_atomic_write_u64(dbperf_activity.counter,
						(pg_atomic_read_u64(dbperf_activity.counter) | 1) + 1);
}

/*
 * A module's own part of a statement, by the offset it got at registration.
 */
static inline void *
dbperf_statement_data(DbperfStatement *stmt, Size offset)
{
	return (char *) stmt + offset;
}

/* statement.c */
extern dlist_head dbperf_open_statements;

extern DbperfStatement *dbperf_statement_new(void);
extern void				dbperf_statement_free(DbperfStatement *stmt);
extern int	dbperf_statement_close_all(void (*close)(DbperfStatement *stmt), SubTransactionId from);
extern void dbperf_statement_adopt(SubTransactionId child, SubTransactionId parent);
extern Size dbperf_statement_reserve(Size size);

/* exec_errors.c */
extern void dbperf_xact_watch(void (*watch)(XactEvent event));

/* utility_hooks.c */
extern void	 dbperf_planner_register(const DbperfPlanner *planner);
extern Plan *dbperf_plan_unwrapped(Plan *plan);
extern bool	 dbperf_in_function(void);

DBPERF_PRIVATE_END

#endif /* DBPERF_EXEC_HOOKS_H */
