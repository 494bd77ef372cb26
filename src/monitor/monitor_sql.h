/*-------------------------------------------------------------------------
 *
 * monitor_sql.h
 *		What the files with the monitor's SQL functions share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_MONITOR_SQL_H
#define DBPERF_MONITOR_SQL_H

#include "fmgr.h"
#include "monitor/monitor_int.h"
#include "utils/tuplestore.h"

/* The most columns that a function of the monitor returns. */
#define SQL_MAX_COLUMNS 48

/*
 * The rows of a set-returning function, filled column by column from left to
 * right.  Values are made in a memory context that dbperf_rows_put empties.
 */
typedef struct SqlRows
{
	Tuplestorestate *store;
	TupleDesc		 desc;
	MemoryContext	 context;  /* of one row's values */
	MemoryContext	 caller;   /* what was current before */
	int				 column;   /* the next one to fill */
	Oid				 database; /* whose name is kept below, invalid = none */
	bool			 database_exists;
	NameData		 database_name;
	Datum			 values[SQL_MAX_COLUMNS];
	bool			 nulls[SQL_MAX_COLUMNS];
} SqlRows;

/* Fills the next column. */
static inline void
dbperf_rows_value(SqlRows *rows, Datum value)
{
	Assert(rows->column < rows->desc->natts);
	rows->values[rows->column] = value;
	rows->nulls[rows->column++] = false;
}

/* Fills the next column with a null. */
static inline void
dbperf_rows_null(SqlRows *rows)
{
	Assert(rows->column < rows->desc->natts);
	rows->values[rows->column] = (Datum) 0;
	rows->nulls[rows->column++] = true;
}

/* sql_rows.c */
extern void	 dbperf_rows_begin(SqlRows *rows, FunctionCallInfo fcinfo, int columns);
extern void	 dbperf_rows_put(SqlRows *rows);
extern void	 dbperf_rows_end(SqlRows *rows);
extern void	 dbperf_rows_count(SqlRows *rows, int64 count);
extern void	 dbperf_rows_ms(SqlRows *rows, int64 ns);
extern void	 dbperf_rows_query_id(SqlRows *rows, uint64 id);
extern void	 dbperf_rows_string(SqlRows *rows, const char *s);
extern void	 dbperf_rows_database(SqlRows *rows, Oid database);
extern void	 dbperf_rows_user(SqlRows *rows, Oid userid);
extern void	 dbperf_rows_hidden_query(SqlRows *rows);
extern void	 dbperf_rows_parameters(SqlRows *rows, bool types, const char *params, int len,
									int nparams, int encoding);
extern char *dbperf_wait_name(uint32 event);

/* record_sql.c */
extern bool dbperf_record_parts(const char *record, Size len, RecordParts *parts);

#endif /* DBPERF_MONITOR_SQL_H */
