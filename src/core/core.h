/*-------------------------------------------------------------------------
 *
 * core.h
 *		What every module of dbperf stands on.
 *
 * core knows no module: modules register shared-memory areas, workers and
 * statement callbacks (core/exec_hooks.h) from their own init function.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_CORE_H
#define DBPERF_CORE_H

#include "access/tupdesc.h"
#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "nodes/execnodes.h"
#include "nodes/nodes.h"
#include "nodes/plannodes.h"
#include "postmaster/bgworker.h"
#include "storage/lwlock.h"

/* settings.c */

/* dbperf.enabled: the kill switch; off makes every hook tail-call. */
extern bool dbperf_enabled;

/* dbperf.database: where cluster-wide tables live and the writer connects. */
extern char *dbperf_database;

extern void dbperf_settings_init(void);

/* shmem.c */

/*
 * One shared-memory area of a module.  attach runs in every process that
 * attaches, under AddinShmemInitLock: it must keep the pointer, and initialise
 * the area when found is false.
 */
typedef struct DbperfShmemArea
{
	const char *name;	/* ShmemInitStruct's name, "dbperf ..." */
	Size (*size)(void); /* bytes, from settings that need a restart */
	void (*attach)(void *area, bool found);
	const char	  *tranche;	  /* name of a LWLock tranche, or NULL */
	int			   num_locks; /* its size, 0 without a tranche */
	LWLockPadded **locks;	  /* where the tranche's address goes */
	Size (*extra)(void);	  /* more bytes, for ShmemInitHash; may be NULL */
} DbperfShmemArea;

extern void dbperf_shmem_init(void);
extern void dbperf_shmem_register(const DbperfShmemArea *area);
extern void dbperf_require_shmem(void);

/* access.c */
extern bool dbperf_may_see_role(Oid owner);

/* text.c */
extern int	 dbperf_clip(const char *s, int len, int limit, int encoding);
extern text *dbperf_server_text(const char *s, int len, int encoding);

/* own_table.c */
extern Oid dbperf_own_table(const char *name);

/* try.c */
extern ErrorData *dbperf_try_error(void (*function)(void *arg), void *arg);
extern bool		  dbperf_try(void (*function)(void *arg), void *arg);
extern bool		  dbperf_must_rethrow(const ErrorData *error);

/* disk_space.c */
extern int64 dbperf_tablespace_free_bytes(Oid tablespace);

/* plan_nodes.c */
typedef void (*DbperfPlanVisitor)(Plan *plan, void *arg);

extern void dbperf_plan_children(Plan *plan, DbperfPlanVisitor visitor, void *arg);
extern void dbperf_walk_plan(PlannedStmt *stmt, DbperfPlanVisitor visitor, void *arg);
extern void dbperf_explain_only(PlannedStmt *plan, const char *text, ParamListInfo params,
								bool generic, StringInfo out);

/* planner_settings.c */
extern const char *const dbperf_planner_settings[];
extern const int		 dbperf_num_planner_settings;

/* time_limit.c */
extern void dbperf_time_limit_begin(int timeout_ms);
extern void dbperf_time_limit_end(bool raised);
extern bool dbperf_time_limit_on(void);
extern bool dbperf_time_limit_caught(void);
extern bool dbperf_time_limit_sigint(void);

/* own_call.c */
extern void dbperf_own_call(void);

/* srf.c */
extern void			  dbperf_check_columns(TupleDesc desc, int columns);
extern ReturnSetInfo *dbperf_srf_begin(FunctionCallInfo fcinfo, int columns);

/* worker.c */

/*
 * One step of a worker.  Returns the milliseconds to sleep before the next
 * step, or -1 to sleep until the latch is set or the configuration changes.
 */
typedef long (*DbperfWorkerStep)(void *arg);

typedef struct DbperfWorker
{
	const char		 *name;		/* shown in pg_stat_activity and the log */
	const char		 *entry;	/* exported function, bgw_function_name */
	BgWorkerStartTime start;	/* when the postmaster may start it */
	bool			  database; /* will connect to a database */
	int				  restart;	/* seconds before a restart, or BGW_NEVER_RESTART */
} DbperfWorker;

/* What a worker keeps of one of several things that it does; zero at first. */
typedef struct DbperfWorkerPart
{
	char		error[256]; /* the last one, "" after a success */
	int			sqlstate;
	TimestampTz logged;		/* when an error was last written to the log */
	long		back_off;	/* ms after a failed step, 0 = it went well */
	TimestampTz not_before; /* the end of that time */
	int			reloads;	/* of the configuration, when it began */
} DbperfWorkerPart;

extern void dbperf_worker_register(const DbperfWorker *worker);
extern void dbperf_worker_begin(void);
extern void dbperf_worker_connect(const char *database);
extern void dbperf_worker_wait(bool (*wanted)(void));
extern void dbperf_worker_wait_after_failures(uint32 failures);
extern void dbperf_worker_loop(const char *name, DbperfWorkerStep step, void *arg);
extern bool dbperf_worker_try(DbperfWorkerStep step, void *arg, long *timeout);
extern long dbperf_worker_part(DbperfWorkerPart *part, DbperfWorkerStep step, void *arg);
extern bool dbperf_worker_transaction(const char *activity, void (*task)(void *arg), void *arg);
extern bool dbperf_worker_utility(const char *activity, const char *command);
extern const char *dbperf_worker_last_error(void);
extern int		   dbperf_worker_last_sqlstate(void);
extern bool		   dbperf_worker_start(const DbperfWorker *worker, Datum arg, const void *extra,
									   Size extra_size, BackgroundWorkerHandle **handle);
extern void		   dbperf_worker_wake(uint32 place);
extern void		   dbperf_worker_connect_as(Oid database, const char *name, Oid role);

/* worker_list.c */

/* Takes a worker that should run, by its name without "dbperf ", and whether it does. */
typedef void (*DbperfWorkerVisit)(const char *name, bool up, void *arg);

extern void dbperf_worker_expect(const DbperfWorker *worker, bool (*wanted)(void));
extern void dbperf_worker_arrived(const char *name);
extern void dbperf_workers_expected(DbperfWorkerVisit visit, void *arg);

/* on_demand.c */
extern int
dbperf_on_demand_register(const DbperfWorker *worker, bool (*wanted)(void), bool at_start);
extern void dbperf_on_demand_start(void);
extern void dbperf_on_demand_leave(int number);

/* writer.c */

/*
 * Something that the writer, the one worker in dbperf.database, does.  Its
 * functions run in the writer, outside a transaction, and must not fail, the
 * step apart.  The step runs whenever the writer wakes up, be it for another
 * task: it has to find out cheaply that there is nothing to do.
 */
typedef struct DbperfWriterTask
{
	bool (*wanted)(void);				 /* asked whenever the writer wakes up */
	void (*start)(const char *database); /* before the first step there; may not be
										  * connected yet */
	DbperfWorkerStep step;
	void (*stop)(void);	 /* not wanted any more, or not in this database */
	void (*leave)(void); /* the process ends between start and stop */
} DbperfWriterTask;

extern void dbperf_writer_init(void);
extern void dbperf_writer_register(const DbperfWriterTask *task);
extern void dbperf_writer_wake(void);

/* databases.c */

/* A database that can be connected to. */
typedef struct DbperfDatabase
{
	Oid			  oid;
	char		  name[NAMEDATALEN];
	bool		  is_template;
	TransactionId frozen_xid; /* no table has an older one */
	MultiXactId	  min_multi;  /* the same */
} DbperfDatabase;

extern bool			   dbperf_list_databases(List **databases);
extern DbperfDatabase *dbperf_listed_database(const List *databases, Oid oid);

/* db_guard.c */
extern void dbperf_db_guard_init(void);
extern void dbperf_db_guard_tell(void (*dropped)(Oid database));
extern void dbperf_db_guard_enter(const char *database);
extern void dbperf_db_guard_before(Node *utility);
extern void dbperf_db_guard_succeeded(void);
extern void dbperf_db_guard_after(void);

#endif /* DBPERF_CORE_H */
