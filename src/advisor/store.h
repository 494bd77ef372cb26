/*-------------------------------------------------------------------------
 *
 * store.h
 *		The advice that is kept, and the workers that keep it and build indexes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_STORE_H
#define DBPERF_STORE_H

#include "advisor/advise.h"
#include "executor/spi.h"

DBPERF_PRIVATE_BEGIN

#define STORE_MAX_ARGS 16

/* What dbperf_store_open() has to put back. */
typedef struct StoreSession
{
	Oid role;
	int context;
	int guc_level;
} StoreSession;

/* Arguments of one statement on our tables. */
typedef struct StoreArgs
{
	int	  count;
	Oid	  types[STORE_MAX_ARGS];
	Datum values[STORE_MAX_ARGS];
	char  nulls[STORE_MAX_ARGS + 1];
} StoreArgs;

/* Whether an index that a definition asks for is there. */
typedef enum StoreExists
{
	INDEX_EXISTS,
	INDEX_MISSING,
	INDEX_IMPOSSIBLE, /* the table or a column of it is gone */
	INDEX_UNKNOWN	  /* somebody has locked the table, or the like */
} StoreExists;

/* The last run of the advisor in one database. */
typedef struct AdvisorRun
{
	TimestampTz started;
	TimestampTz finished; /* 0 = it has not ended */
	int64		statements;
	int64		statements_failed;
	int64		advice;
	bool		complete;
	bool		idle;		/* there was no index to be thought of */
	char		error[256]; /* "" = it went well */
} AdvisorRun;

/* advice_store.c */
extern bool	  dbperf_store_present(void);
extern void	  dbperf_store_open(StoreSession *session);
extern void	  dbperf_store_close(StoreSession *session);
extern void	  dbperf_store_arg(StoreArgs *args, Oid type, Datum value);
extern void	  dbperf_store_null(StoreArgs *args, Oid type);
extern void	  dbperf_store_text(StoreArgs *args, const char *value);
extern uint64 dbperf_store_execute(const char *sql, const StoreArgs *args);
extern Datum  dbperf_store_value(uint64 row, int column, bool *isnull);
extern char	 *dbperf_store_string(uint64 row, int column);

/* advice_merge.c */
extern StoreExists
dbperf_store_check(const char *identity, const char *schema, const char *table, char **index_name);
extern void dbperf_store_merge(AdviseResult *result);
extern void dbperf_store_save_run(const AdvisorRun *run);

/* store_sql.c */
extern char *dbperf_store_lock_advice(int64 id);

/* advice_worker.c */
extern AdviseResult *dbperf_advice_run(AdvisorRun *run);
extern void			 dbperf_advice_note_run(Oid database, const AdvisorRun *run);

/* build_judge.c */
extern void dbperf_judge_measure(void);
extern void dbperf_judge_snapshot(void);
extern void dbperf_judge_all(void);

DBPERF_PRIVATE_END

#endif /* DBPERF_STORE_H */
