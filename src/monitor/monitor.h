/*-------------------------------------------------------------------------
 *
 * monitor.h
 *		Public face of the monitor: slow statements and latency per query.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_MONITOR_H
#define DBPERF_MONITOR_H

/* monitor.c */
extern void dbperf_monitor_init(void);

#endif /* DBPERF_MONITOR_H */
