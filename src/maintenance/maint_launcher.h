/*-------------------------------------------------------------------------
 *
 * maint_launcher.h
 *		What the files of maintenance's part of the launcher share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_MAINT_LAUNCHER_H
#define DBPERF_MAINT_LAUNCHER_H

#include "maintenance/maint_plan.h"

DBPERF_PRIVATE_BEGIN

/* What a worker needs to know, in bgw_extra; its slot is the argument. */
typedef struct MaintErrand
{
	TimestampTz reserved; /* of the slot, so that it is still this one's */
} MaintErrand;

/* maint_scheduler.c */
extern void dbperf_maint_scheduler_init(void);

/* maint_dispatch.c: workers' processes */
extern void dbperf_maint_reap(void);
extern bool dbperf_maint_send(Oid database, const char *name, bool emergency, int slot);
extern int	dbperf_maint_free_slot(bool emergency);
extern bool dbperf_maint_any_working(void);
extern void dbperf_maint_enforce(void);

/* maint_pressure.c: databases and their counters */
extern void dbperf_maint_scan(const MaintPolicies *policies);

DBPERF_PRIVATE_END

#endif /* DBPERF_MAINT_LAUNCHER_H */
