/*-------------------------------------------------------------------------
 *
 * advisor.h
 *		Public face of the advisor: which indexes to create and to drop.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_ADVISOR_H
#define DBPERF_ADVISOR_H

#include "lib/stringinfo.h"

/* advisor.c */
extern void dbperf_advisor_init(void);

/* advice_sql.c */

/*
 * Where suggest_indexes() and predicate_coverage() say what they left out for
 * want of time; NULL = to the client, as a notice.
 */
extern StringInfo dbperf_advice_left_out;

/* drops_sql.c */

/*
 * Milliseconds that suggest_index_drops() may take to ask the workload.  Who has
 * less time lowers it for a while.
 */
extern int dbperf_drops_time_limit;

#endif /* DBPERF_ADVISOR_H */
