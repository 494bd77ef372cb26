/*-------------------------------------------------------------------------
 *
 * history.h
 *		What the files of the slow query history share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_HISTORY_H
#define DBPERF_HISTORY_H

#include "monitor/monitor_int.h"

/* history_status.c */
extern void dbperf_history_status_init(void);
extern void dbperf_history_set_state(HistoryState state, const char *database);
extern void dbperf_history_add_written(uint64 rows, uint64 lost, uint64 last_id);

/* history_clean.c */
extern bool	 dbperf_history_clean(bool *more);
extern int64 dbperf_history_bytes(void);

#endif /* DBPERF_HISTORY_H */
