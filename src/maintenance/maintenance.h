/*-------------------------------------------------------------------------
 *
 * maintenance.h
 *		Public face of maintenance: vacuum, analyze, freeze and reindex by
 *		benefit.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_MAINTENANCE_H
#define DBPERF_MAINTENANCE_H

/* maintenance.c */
extern void dbperf_maintenance_init(void);

#endif /* DBPERF_MAINTENANCE_H */
