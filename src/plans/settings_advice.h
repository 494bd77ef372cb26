/*-------------------------------------------------------------------------
 *
 * settings_advice.h
 *		Settings that recorded statements would gain from.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_SETTINGS_ADVICE_H
#define DBPERF_SETTINGS_ADVICE_H

#include "core/compat.h"
#include "monitor/monitor.h"
#include "plans/plan_tree.h"

DBPERF_PRIVATE_BEGIN

/* A recorded statement with its plan taken apart. */
typedef struct RecordedPlan
{
	SlowStatement *statement;
	PlanTree	  *tree;
	bool		   newest; /* of its query and plan */
} RecordedPlan;

/* What is advised, and why. */
typedef struct SettingAdvice
{
	uint64		queryid; /* of a query alone; 0 = for the server */
	const char *setting;
	char	   *current;
	char	   *suggested;
	char	   *reason;
	List	   *queries; /* uint64 *, distinct */
	double		gain_ms; /* of one execution; for the server, of all recorded; -1 = not known */
	char	   *statement;
} SettingAdvice;

/* What the advice takes into account. */
typedef struct SettingsWork
{
	List  *plans;	   /* RecordedPlan, newest first */
	List  *advice;	   /* SettingAdvice, so far */
	double memory_kb;  /* of the machine or container, 0 = not known */
	int	   processors; /* 0 = not known */
} SettingsWork;

/* settings_machine.c */
extern double dbperf_machine_memory_kb(void);
extern int	  dbperf_machine_processors(void);

/* settings_spills.c */
extern double dbperf_spill_need_kb(const PlanNode *node);

/* settings_memory.c, settings_time.c, settings_costs.c */
extern void dbperf_settings_work_mem(SettingsWork *work);
extern void dbperf_settings_buffers(SettingsWork *work);
extern void dbperf_settings_jit(SettingsWork *work);
extern void dbperf_settings_parallel(SettingsWork *work);
extern void dbperf_settings_plan_cache(SettingsWork *work);
extern void dbperf_settings_costs(SettingsWork *work);
extern void dbperf_settings_target(SettingsWork *work);

/* settings_sql.c */
extern SettingAdvice *
dbperf_settings_add(SettingsWork *work, uint64 queryid, const char *setting, char *suggested);
extern List		  *dbperf_settings_queries(List *queries, uint64 queryid);
extern const char *dbperf_settings_current(const char *setting);

DBPERF_PRIVATE_END

#endif /* DBPERF_SETTINGS_ADVICE_H */
