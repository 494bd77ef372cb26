/*-------------------------------------------------------------------------
 *
 * maint_policy.h
 *		What the files about the tables of policies and windows share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_MAINT_POLICY_H
#define DBPERF_MAINT_POLICY_H

#include "access/htup.h"
#include "access/tupdesc.h"
#include "core/central.h"
#include "maintenance/maint_plan.h"

DBPERF_PRIVATE_BEGIN

#define POLICY_TABLE "maintenance_policy"
#define WINDOWS_TABLE "maintenance_windows"

/* maint_policy.c */
extern bool dbperf_maint_policy_pending(void);
extern void dbperf_maint_policy_changed(void);

/* maint_policy_row.c */
extern bool dbperf_maint_parse_window(HeapTuple row, TupleDesc desc, MaintWindow *window,
									  DbperfRowProblem *problem);
extern bool dbperf_maint_parse_policy(HeapTuple row, TupleDesc desc, MaintPolicy *policy,
									  const char **window_name, DbperfRowProblem *problem);

/* maint_policy_read.c */
extern MaintPolicies *dbperf_maint_policy_read(void);

DBPERF_PRIVATE_END

#endif /* DBPERF_MAINT_POLICY_H */
