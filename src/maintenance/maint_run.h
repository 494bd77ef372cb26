/*-------------------------------------------------------------------------
 *
 * maint_run.h
 *		What the files of a maintenance worker share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_MAINT_RUN_H
#define DBPERF_MAINT_RUN_H

#include "maintenance/maint_plan.h"

DBPERF_PRIVATE_BEGIN

/* How one action went, beside its outcome. */
typedef struct MaintResult
{
	MaintOutcome  outcome;
	char		  error[MAINT_ERROR_SIZE]; /* "" = none */
	bool		  took_place;			   /* the command ran to its end */
	int64		  pages;				   /* buffers that were looked at */
	bool		  bypassed;				   /* vacuum left the indexes alone */
	TransactionId horizon;				   /* before it began */
	TransactionId next_xid;				   /* the same */
	int64		  invisible;			   /* pages not visible to all afterwards */
	MaintFigures  after;
} MaintResult;

/* maint_run.c */
extern int	dbperf_maint_slot; /* of this worker, -1 = it is none */
extern bool dbperf_maint_run(const MaintItem *item, const MaintRequest *request);

/* maint_command.c */
extern void dbperf_maint_execute(const MaintItem *item, MaintResult *result);
extern void dbperf_maint_judge_failure(MaintResult *result);

/* maint_rights.c */
extern bool dbperf_maint_may_maintain(Oid table, Oid role);

/* maint_outcome.c */
extern void
dbperf_maint_after(const MaintItem *item, const MaintRecord *record, const MaintResult *result);

DBPERF_PRIVATE_END

#endif /* DBPERF_MAINT_RUN_H */
