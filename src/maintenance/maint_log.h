/*-------------------------------------------------------------------------
 *
 * maint_log.h
 *		What the files of the maintenance log share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_MAINT_LOG_H
#define DBPERF_MAINT_LOG_H

#include "maintenance/maint_state.h"

DBPERF_PRIVATE_BEGIN

#define MAINT_LOG_ENTRIES (MAINT_SLOTS + MAINT_RECORDS)

/* A row to be written, and where it comes from. */
typedef struct LogEntry
{
	int			slot;  /* -1 = it is one of records[] */
	int			place; /* in records[] */
	bool		complete;
	MaintRecord record;
} LogEntry;

/* One transaction's work, and what came of it. */
typedef struct LogBatch
{
	bool		  find_ids; /* also look where the ids go on */
	bool		  clean;	/* also close and delete what has to be */
	MaintLogTable result;
	int64		  max_id; /* of the table, 0 = it is empty */
	bool		  more;	  /* there is more to delete */
	int			  count;
	LogEntry	  entries[MAINT_LOG_ENTRIES];
} LogBatch;

/* maint_log_table.c */
extern void dbperf_maint_log_write(void *batch);

DBPERF_PRIVATE_END

#endif /* DBPERF_MAINT_LOG_H */
