/*-------------------------------------------------------------------------
 *
 * pool_int.h
 *		What the files of the connection pool share.
 *
 * Who does what:
 *
 *	pool_worker.c	the one worker that owns the PgBouncers: starts, watches,
 *					reloads and stops them (pool_process.c, pool_fork.c, pool_port.c,
 *					pool_program.c, pool_log.c, pool_restart.c, pool_report.c; pool_run.h)
 *	pool_config.c	what they are configured with: pgbouncer.ini, the auth file
 *					(pool_auth.c), the host based rules (pool_hba.c), written by
 *					pool_files.c; limits come from tables (pool_limits.c)
 *	pool_console.c	a client of PgBouncer's console; pool_poll.c asks it once a
 *					second, and pool_stats.c keeps what it said in shared memory,
 *					where views find it whether PgBouncer answers or not
 *	pool_backend.c	what a server process does that a pool connected to: it knows
 *					of it, counts it, and holds the limit; pool_guard.c finds use of
 *					what does not survive in a pool
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_POOL_INT_H
#define DBPERF_POOL_INT_H

#include "core/core.h"
#include "pool/pool.h"
#include "port/atomics.h"

DBPERF_PRIVATE_BEGIN

/* ---- pool.c: settings ---- */

typedef enum PoolMode
{
	POOL_MODE_DEFAULT, /* transaction, or session with a PgBouncer that is too old for it */
	POOL_MODE_SESSION,
	POOL_MODE_TRANSACTION,
	POOL_MODE_STATEMENT
} PoolMode;

typedef enum PoolAuth
{
	POOL_AUTH_FILE, /* roles with passwords from anywhere that it listens */
	POOL_AUTH_HBA	/* and what pg_hba.conf says of addresses */
} PoolAuth;

typedef enum PoolGuard
{
	POOL_GUARD_OFF,		/* counted only */
	POOL_GUARD_WARNING, /* and reported to the client */
	POOL_GUARD_ERROR	/* refused */
} PoolGuard;

/* The oldest PgBouncer that this works with, and what newer ones can do. */
#define POOL_VERSION_MIN 11800
#define POOL_VERSION_PEERING 11900		  /* a cancel request finds its process */
#define POOL_VERSION_INTERVAL_STYLE 12000 /* it is passed on with its client */
#define POOL_VERSION_PREPARED 12100		  /* prepared statements in transaction mode */
#define POOL_VERSION_DRAIN 12300		  /* SIGTERM waits for clients, SIGQUIT does not */
#define POOL_VERSION_USER_SIZE 12300	  /* a pool size for a role */
#define POOL_VERSION_CLIENT_LIMITS 12400  /* limits of clients for a database and a role */
#define POOL_VERSION_KILL_CLIENT 12400	  /* clients have ids, and can be ended */
#define POOL_VERSION_REPORTED 12600		  /* all settings that are reported are passed on */

/* Processes at most. */
#define POOL_MAX_PROCESSES 16

extern bool	 dbperf_pool;
extern char *dbperf_pool_listen_addresses;
extern int	 dbperf_pool_port;
extern int	 dbperf_pool_processes;
extern int	 dbperf_pool_mode;
extern int	 dbperf_pool_size; /* server connections of a database and role, in all processes */
extern int	 dbperf_pool_min_size;
extern int	 dbperf_pool_reserve;
extern int	 dbperf_pool_max_clients;			 /* in all processes */
extern int	 dbperf_pool_max_server_connections; /* -1: see dbperf_pool_connection_limit() */
extern int	 dbperf_pool_query_wait_timeout;	 /* s, 0 = none */
extern int	 dbperf_pool_server_idle_timeout;	 /* s, 0 = none */
extern int	 dbperf_pool_server_lifetime;		 /* s, 0 = after each use */
extern int	 dbperf_pool_max_prepared_statements;
extern bool	 dbperf_pool_allow_superuser;
extern int	 dbperf_pool_auth;
extern char *dbperf_pool_program; /* "" = looked for */
extern bool	 dbperf_pool_tls;
extern char *dbperf_pool_extra_config;
extern int	 dbperf_pool_guard;

/* Server connections that all pools together may have. */
extern int dbperf_pool_connection_limit(void);

/* ---- pool_shared.c: shared memory ---- */

typedef enum PoolState
{
	POOL_OFF,	   /* not wanted */
	POOL_STARTING, /* executed, not seen to listen yet */
	POOL_RUNNING,
	POOL_STOPPING,
	POOL_WAITING, /* ended, will be started again */
	POOL_FAILED	  /* will not be started before something changes */
} PoolState;

#define POOL_LOG_BYTES 2048

/*
 * One PgBouncer.  pid is read without the lock: by server processes that ask
 * who connected to them.  It is set before the program is executed, so that
 * nothing it does comes before that.
 */
typedef struct PoolProcess
{
	pg_atomic_uint32 pid; /* 0 = none */
	PoolState		 state;
	TimestampTz		 started;			  /* 0 = never */
	TimestampTz		 ended;				  /* the last end, 0 = never */
	TimestampTz		 next_start;		  /* while POOL_WAITING */
	int				 version;			  /* of what was started last, 0 = nothing was */
	int64			 restarts;			  /* after an end that nobody asked for */
	char			 last_exit[256];	  /* how it ended, in words, "" = never */
	char			 log[POOL_LOG_BYTES]; /* last lines of what it wrote to its log */
} PoolProcess;

/*
 * Written by the pool's worker only, under the lock unless a field is atomic;
 * "restart" by whoever asks for it, and the last group by the server processes
 * that serve a pool.
 */
typedef struct PoolShared
{
	pg_atomic_uint32 worker; /* number of its entry in allProcs, plus 1; 0 = not running */

	/* what the pool was started with, "" and 0 while it is off */
	int		 version; /* of PgBouncer, the oldest that runs, 12401 = 1.24.1; 0 = not known */
	int		 processes;
	int		 port;
	char	 listen[256];
	PoolMode mode; /* never POOL_MODE_DEFAULT while it runs */
	char	 program[MAXPGPATH];

	/* what an administrator should do, each line one thing; "" = nothing */
	char problem[2048];		 /* why it does not run, or not as it was told */
	char config_error[2048]; /* what is wrong with configuration, rules or limits */
	char note[1024];		 /* what is worth knowing, but needs nothing to be done */

	pg_atomic_uint32 restart; /* a PoolStop that pool_restart() asks for; 0 = nothing */

	/* server processes that serve a pool */
	pg_atomic_uint32 pooled;	  /* now */
	pg_atomic_uint32 most_pooled; /* the most at once since the start */
	pg_atomic_uint64 connects;	  /* logins that were let in */
	pg_atomic_uint64 refused;	  /* logins above the limit */

	PoolProcess process[POOL_MAX_PROCESSES];
} PoolShared;

extern PoolShared	*dbperf_pool_shared; /* NULL: not preloaded */
extern LWLockPadded *dbperf_pool_locks;
#define POOL_STATUS_LOCK (&dbperf_pool_locks[0].lock) /* PoolShared */
#define POOL_STATS_LOCK (&dbperf_pool_locks[1].lock)  /* what pool_stats.c keeps */
#define POOL_LIMITS_LOCK (&dbperf_pool_locks[2].lock) /* what pool_limits.c keeps */
#define POOL_NUM_LOCKS 3

extern void dbperf_pool_shared_init(void);

/* Wakes the pool's worker; raises no error. */
extern void dbperf_pool_wake(void);

/* ---- pool_worker.c, and pool_run.h ---- */
extern void dbperf_pool_worker_init(void);

/* Whether the pid is one of the pool's processes; without locks. */
extern bool dbperf_pool_is_process(pid_t pid);

/* Adds a line to what an administrator should do, kept until the next round. */
extern void dbperf_pool_problem(const char *format, ...) pg_attribute_printf(1, 2);

/* ---- pool_config.c, pool_auth.c, pool_hba.c, pool_files.c ---- */

/* What the processes are started with; fixed until the pool is started anew. */
typedef struct PoolLaunch
{
	int			version;   /* as in PoolShared */
	int			processes; /* 1 to POOL_MAX_PROCESSES */
	int			port;
	const char *listen; /* host names and addresses, commas between them */
	PoolMode	mode;	/* never POOL_MODE_DEFAULT */
} PoolLaunch;

/*
 * Writes all files for all processes, those that changed.  Returns whether any
 * did.  In the worker, outside a transaction.  What is not as it should be is
 * told to config_error of PoolShared.  Raises errors.
 */
extern bool dbperf_pool_write_files(const PoolLaunch *launch);

/* Removes them and the directory; raises no error. */
extern void dbperf_pool_remove_files(void);

/* Paths, in static memory or palloc'd: */
extern const char *dbperf_pool_directory(void);		  /* absolute */
extern const char *dbperf_pool_ini_path(int process); /* process from 0 */
extern const char *dbperf_pool_log_path(int process);
extern const char *dbperf_pool_socket_directory(int process); /* of its console, too */

/* When the files have to be looked at again because a password expires. */
extern TimestampTz dbperf_pool_next_expiry(void);

/*
 * Whether roles or limits may have changed since the last
 * dbperf_pool_write_files(); once a second, in the worker, outside a transaction.
 */
extern bool dbperf_pool_roles_changed(void);

/*
 * Whether that should be asked again soon, because clients are being ended.
 */
extern bool dbperf_pool_evicts(void);

/* ---- pool_limits.c ---- */
extern void dbperf_pool_limits_init(void);

/* In which mode the pool is for a database and a role; in any process. */
extern PoolMode dbperf_pool_mode_for(const char *database, const char *role);

/* What decides the size of their pool; *size is changed if that is a role's. */
extern const char *dbperf_pool_size_setting(const char *database, const char *role, int64 *size);

/* ---- pool_console.c ---- */

typedef struct PoolAnswer
{
	int	   rows;
	int	   columns;
	char **names;  /* of the columns */
	char **values; /* rows * columns, NULL = null */
} PoolAnswer;

/*
 * Sends a command to the console of a process.  NULL: it failed, with *error
 * (palloc'd) saying why.  Takes ms at most, and can be cancelled.  In the
 * current memory context.
 */
extern PoolAnswer *dbperf_pool_ask(int process, const char *command, long ms, char **error);

/* A value by its column's name, NULL if it is null or there is no such column. */
extern const char *dbperf_pool_value(const PoolAnswer *answer, int row, const char *column);
extern int64	   dbperf_pool_number(const PoolAnswer *answer, int row, const char *column);

/* ---- pool_poll.c, pool_stats.c ---- */
extern void dbperf_pool_stats_init(void);

/* Asks all processes and keeps the answers; in the worker, once a second. */
extern void dbperf_pool_poll(void);

/* Called in server processes that serve the pool; they raise no error. */
extern void dbperf_pool_count_login(void);
extern void dbperf_pool_count_transaction(int64 us, bool committed);

/* ---- pool_metrics.c ---- */
extern void dbperf_pool_metrics_init(void);

/* ---- pool_backend.c, pool_guard.c ---- */

/* By which PgBouncer checks server connections; nobody's transaction. */
#define POOL_CHECK_QUERY "SELECT 'pool check'"

extern void dbperf_pool_backend_init(void);

/* Whether this server process serves a pool's connection. */
extern bool dbperf_pool_serves;

/* Called once in such a process. */
extern void dbperf_pool_guard_begin(void);

DBPERF_PRIVATE_END

#endif /* DBPERF_POOL_INT_H */
