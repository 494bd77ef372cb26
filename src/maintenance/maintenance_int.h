/*-------------------------------------------------------------------------
 *
 * maintenance_int.h
 *		Settings of maintenance, and the words that all of its files use.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_MAINTENANCE_INT_H
#define DBPERF_MAINTENANCE_INT_H

#include "core/compat.h"
#include "datatype/timestamp.h"

DBPERF_PRIVATE_BEGIN

#define MAINT_MAX_WORKERS 16

typedef enum MaintMode
{
	MAINTENANCE_OFF,	/* only what somebody asks for */
	MAINTENANCE_ADVISE, /* plans and reports */
	MAINTENANCE_ON
} MaintMode;

typedef enum MaintYield
{
	MAINT_YIELD_OFF,
	MAINT_YIELD_POLL, /* the launcher looks for users that wait for a worker */
	MAINT_YIELD_FLAG  /* and the waiting process itself cancels the worker */
} MaintYield;

typedef enum MaintAction
{
	MAINT_VACUUM,
	MAINT_VACUUM_FREEZE,
	MAINT_ANALYZE,
	MAINT_REINDEX,
	MAINT_CLEAN_GIN,
	MAINT_SUMMARIZE_BRIN
} MaintAction;

#define MAINT_ACTIONS (MAINT_SUMMARIZE_BRIN + 1)
#define MAINT_NO_ACTION (-1)
#define MAINT_ALL_ACTIONS ((1U << MAINT_ACTIONS) - 1)

typedef enum MaintOutcome
{
	MAINT_RUNNING, /* null in the log */
	MAINT_DONE,
	MAINT_SKIPPED_LOCKED,
	MAINT_CANCELLED,
	MAINT_FAILED,
	MAINT_TERMINATED,
	MAINT_BLOCKED_BY_HORIZON
} MaintOutcome;

#define MAINT_OUTCOMES (MAINT_BLOCKED_BY_HORIZON + 1)

/* ---- settings (maintenance.c) ---- */

extern int	 dbperf_maintenance;				/* a MaintMode */
extern int	 dbperf_maintenance_max_workers;	/* 1 .. MAINT_MAX_WORKERS */
extern int	 dbperf_maintenance_naptime;		/* seconds */
extern int	 dbperf_maintenance_cost_limit_max; /* in vacuum_cost_limit's unit */
extern int	 dbperf_maintenance_yield;			/* a MaintYield */
extern int	 dbperf_maintenance_scan_interval;	/* seconds */
extern int	 dbperf_maintenance_log_retention;	/* minutes */
extern bool	 dbperf_log_maintenance;
extern char *dbperf_maintenance_clock; /* for tests: a time, "" = the real one */

extern const char *dbperf_maint_action_name(MaintAction action);
extern int		   dbperf_maint_action_by_name(const char *name);
extern const char *dbperf_maint_outcome_name(MaintOutcome outcome);
extern TimestampTz dbperf_maint_now(void);

DBPERF_PRIVATE_END

#endif /* DBPERF_MAINTENANCE_INT_H */
