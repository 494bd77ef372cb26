/*-------------------------------------------------------------------------
 *
 * advisor_int.h
 *		Settings of the advisor and what its init calls.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_ADVISOR_INT_H
#define DBPERF_ADVISOR_INT_H

#include "core/compat.h"

DBPERF_PRIVATE_BEGIN

/* ---- settings (advisor.c) ---- */

extern int	 dbperf_advisor_interval;		  /* seconds, 0 = off */
extern char *dbperf_advisor_databases;		  /* names, "" = all with the extension */
extern int	 dbperf_advisor_time_limit;		  /* ms that a refresh may take */
extern int	 dbperf_index_build_lock_timeout; /* ms, for the first lock, 0 = none */

extern bool dbperf_advisor_wants(const char *database);

/* advice_worker.c */
extern void dbperf_advice_worker_init(void);

/* advisor_metrics.c */
extern void dbperf_advisor_metrics_init(void);

/* build_manager.c */
extern void dbperf_index_build_init(void);

DBPERF_PRIVATE_END

#endif /* DBPERF_ADVISOR_INT_H */
