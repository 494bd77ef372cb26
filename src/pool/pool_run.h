/*-------------------------------------------------------------------------
 *
 * pool_run.h
 *		What the files share that run the pool's processes, in its worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_POOL_RUN_H
#define DBPERF_POOL_RUN_H

#include "pool/pool_int.h"

DBPERF_PRIVATE_BEGIN

/* ---- pool_fork.c ---- */

/* What a child process is to execute. */
typedef struct PoolCommand
{
	const char		  *path;
	const char *const *argv;
	const char		  *log; /* where its standard error goes, NULL = nowhere */
	int				   out; /* its standard output, -1 = nowhere */
} PoolCommand;

typedef struct PoolChild
{
	pid_t pid;		/* 0 = none */
	int	  go_fd;	/* it waits for a byte from there; -1 once it has it */
	int	  error_fd; /* where it says why it could not execute; -1 = closed */
} PoolChild;

extern bool dbperf_pool_fork(const PoolCommand *command, PoolChild *child);
extern void dbperf_pool_release(PoolChild *child);
extern int	dbperf_pool_exec_error(PoolChild *child);
extern void dbperf_pool_forget(PoolChild *child);

/* ---- pool_program.c ---- */
extern bool
dbperf_pool_find_program(const char *setting, char *path, int *version, StringInfo problem);
extern const char *dbperf_pool_version_text(int version);

/* ---- pool_port.c ---- */

/* Who listens on the port. */
typedef struct PoolListeners
{
	bool known;	  /* false: the system does not tell */
	int	 own;	  /* sockets of this process */
	int	 foreign; /* sockets of others, with the address of one of its own */
} PoolListeners;

extern bool dbperf_pool_parse_listen(const char *setting, StringInfo listen, StringInfo problem);
extern bool
dbperf_pool_probe_port(const char *listen, int port, int *addresses, StringInfo problem);
extern PoolListeners dbperf_pool_listeners(pid_t pid, int port);

/* ---- pool_log.c ---- */
extern void		   dbperf_pool_read_log(int process);
extern const char *dbperf_pool_refusal(int process);
extern void		   dbperf_pool_last_complaint(int process, char *text, Size size);

/* ---- pool_process.c, pool_end.c ---- */

typedef enum PoolStop
{
	POOL_STOP_NOT,
	POOL_STOP_DRAIN,   /* when its clients have left, others take new ones */
	POOL_STOP_PATIENT, /* when their transactions have ended */
	POOL_STOP_SAFE,	   /* the same, but not for long */
	POOL_STOP_NOW,
	POOL_STOP_KILL
} PoolStop;

/* What all processes are started with. */
typedef struct PoolRun
{
	PoolLaunch launch; /* points to the two below */
	char	   listen[256];
	char	   program[MAXPGPATH];
	char	   program_setting[MAXPGPATH]; /* dbperf.pool_program at that time */
	int		   program_version;			   /* launch.version is the oldest that runs */
	int		   addresses;				   /* that can be listened on */
} PoolRun;

extern void		 dbperf_pool_process_start(int process, const PoolRun *run);
extern void		 dbperf_pool_process_stop(int process, PoolStop how, bool again);
extern void		 dbperf_pool_process_retry(int process);
extern void		 dbperf_pool_process_failed(int process, const char *problem);
extern void		 dbperf_pool_process_watch(int process, const PoolRun *run);
extern bool		 dbperf_pool_process_due(int process);
extern PoolState dbperf_pool_process_state(int process);
extern int		 dbperf_pool_oldest_version(int version);
extern int		 dbperf_pool_alive(void);
extern void		 dbperf_pool_reload_processes(void);
extern void		 dbperf_pool_forget_processes(void);
extern void		 dbperf_pool_show_waiting(TimestampTz next_start);
extern void		 dbperf_pool_end_all(void);

/* ---- pool_restart.c ---- */
extern void dbperf_pool_take_restart(PoolRun *run);
extern bool dbperf_pool_roll(PoolRun *run);
extern void dbperf_pool_end_restart(void);

/* ---- pool_report.c ---- */

/* Adds a line to what is worth knowing, kept until the next round. */
extern void dbperf_pool_note(const char *format, ...) pg_attribute_printf(1, 2);

extern void dbperf_pool_report_begin(void);
extern void dbperf_pool_report_end(void);

DBPERF_PRIVATE_END

#endif /* DBPERF_POOL_RUN_H */
