/*-------------------------------------------------------------------------
 *
 * maintenance.c
 *		Settings and start-up of maintenance, and the names of its actions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "maintenance/maint_launcher.h"
#include "maintenance/maintenance.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

int	  dbperf_maintenance = MAINTENANCE_ADVISE;
int	  dbperf_maintenance_max_workers = 2;
int	  dbperf_maintenance_naptime = 10;
int	  dbperf_maintenance_cost_limit_max = 2000;
int	  dbperf_maintenance_yield = MAINT_YIELD_POLL;
int	  dbperf_maintenance_scan_interval = 600;
int	  dbperf_maintenance_log_retention = 30 * 24 * 60;
bool  dbperf_log_maintenance = true;
char *dbperf_maintenance_clock = NULL;

static const struct config_enum_entry mode_options[] = {{"off", MAINTENANCE_OFF, false},
														{"advise", MAINTENANCE_ADVISE, false},
														{"on", MAINTENANCE_ON, false},
														{NULL, 0, false}};

static const struct config_enum_entry yield_options[] = {{"off", MAINT_YIELD_OFF, false},
														 {"poll", MAINT_YIELD_POLL, false},
														 {"flag", MAINT_YIELD_FLAG, false},
														 {NULL, 0, false}};

static const char *const action_names[MAINT_ACTIONS] = {
	"vacuum", "vacuum_freeze", "analyze", "reindex", "clean_gin", "summarize_brin",
};

/*
 * The name of an action, as in the log and in policies.
 */
const char *
dbperf_maint_action_name(MaintAction action)
{
	return action_names[action];
}

/*
 * The action of that name, or MAINT_NO_ACTION.
 */
int
dbperf_maint_action_by_name(const char *name)
{
	for (int i = 0; i < MAINT_ACTIONS; i++)
	{
		if (strcmp(action_names[i], name) == 0)
			return i;
	}
	return MAINT_NO_ACTION;
}

/*
 * The name of an outcome as in the log, or NULL for one that is not there yet.
 */
const char *
dbperf_maint_outcome_name(MaintOutcome outcome)
{
	switch (outcome)
	{
		case MAINT_RUNNING:
			return NULL;
		case MAINT_DONE:
			return "done";
		case MAINT_SKIPPED_LOCKED:
			return "skipped_locked";
		case MAINT_CANCELLED:
			return "cancelled";
		case MAINT_FAILED:
			return "failed";
		case MAINT_TERMINATED:
			return "terminated";
		case MAINT_BLOCKED_BY_HORIZON:
			return "blocked_by_horizon";
	}
	return NULL;
}

/*
 * Check hook of dbperf.maintenance_clock: empty, or a time with its zone in the
 * server's own form, so that it means the same in every session.
 */
static bool
check_clock(char **value, void **extra, GucSource source)
{
	TimestampTz *clock = DBPERF_GUC_MALLOC(sizeof(TimestampTz));
	int			 year;
	int			 month;
	int			 day;
	int			 hour;
	int			 minute;
	int			 second;
	int			 end = 0;
	struct pg_tm tm = {0};

	(void) source;
	if (clock == NULL)
		return false;
	*clock = 0;
	*extra = clock;
	if ((*value)[0] == '\0')
		return true;
	if (sscanf(*value, "%4d-%2d-%2d %2d:%2d:%2d UTC%n", &year, &month, &day, &hour, &minute,
			   &second, &end) != 6 ||
		end == 0 || (*value)[end] != '\0' || month < 1 || month > 12 || day < 1 || day > 31 ||
		hour > 23 || minute > 59 || second > 59)
	{
		GUC_check_errdetail("A time looks like \"2026-03-29 01:30:00 UTC\".");
		return false;
	}
	tm.tm_year = year;
	tm.tm_mon = month;
	tm.tm_mday = day;
	tm.tm_hour = hour;
	tm.tm_min = minute;
	tm.tm_sec = second;
	if (tm2timestamp(&tm, 0, NULL, clock) != 0)
	{
		GUC_check_errdetail("The time is out of range.");
		return false;
	}
	return true;
}

/* What dbperf.maintenance_clock says, 0 = the real time. */
static TimestampTz fixed_clock = 0;

static void
assign_clock(const char *value, void *extra)
{
	(void) value;
	fixed_clock = extra != NULL ? *(TimestampTz *) extra : 0;
}

/*
 * The time by which windows are open or closed: the real one, or that of
 * dbperf.maintenance_clock, for tests.
 */
TimestampTz
dbperf_maint_now(void)
{
	return fixed_clock != 0 ? fixed_clock : GetCurrentTimestamp();
}

/* Settings of what runs. */
static void
define_modes(void)
{
	DefineCustomEnumVariable(
		"dbperf.maintenance", "Lets dbperf vacuum, analyze, freeze and reindex.",
		"off: only what run_maintenance() asks for; advise: "
		"maintenance_plan() says what is due; on: workers do it.",
		&dbperf_maintenance, MAINTENANCE_ADVISE, mode_options, PGC_SIGHUP, 0, NULL, NULL, NULL);

	DefineCustomEnumVariable("dbperf.maintenance_yield",
							 "How maintenance gives way to users who wait for a lock.",
							 "poll: the launcher looks for them four times a second; flag: "
							 "also the waiting session itself, after deadlock_timeout; off: not.",
							 &dbperf_maintenance_yield, MAINT_YIELD_POLL, yield_options, PGC_SIGHUP,
							 0, NULL, NULL, NULL);

	DefineCustomBoolVariable("dbperf.log_maintenance",
							 "Writes a line to the server log for each maintenance action.", NULL,
							 &dbperf_log_maintenance, true, PGC_SIGHUP, 0, NULL, NULL, NULL);

	DefineCustomStringVariable(
		"dbperf.maintenance_clock", "Time by which maintenance windows are open, for tests.",
		"Empty means the real time.", &dbperf_maintenance_clock, "", PGC_SUSET,
		GUC_NOT_IN_SAMPLE | GUC_NO_SHOW_ALL, check_clock, assign_clock, NULL);
}

/* Settings of how much and how often. */
static void
define_limits(void)
{
	DefineCustomIntVariable(
		"dbperf.maintenance_max_workers", "Maintenance workers at the same time, in all databases.",
		"One more may run where wraparound is near.", &dbperf_maintenance_max_workers, 2, 1,
		MAINT_MAX_WORKERS, PGC_SIGHUP, 0, NULL, NULL, NULL);

	DefineCustomIntVariable("dbperf.maintenance_naptime",
							"Time within which maintenance that is due begins.",
							"A free worker is needed for that.", &dbperf_maintenance_naptime, 10, 1,
							24 * 3600, PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);

	DefineCustomIntVariable(
		"dbperf.maintenance_cost_limit_max",
		"Most that the vacuum_cost_limits of all maintenance workers add up to.",
		"They are lowered while the server is busy.", &dbperf_maintenance_cost_limit_max, 2000, 1,
		10000, PGC_SIGHUP, 0, NULL, NULL, NULL);

	DefineCustomIntVariable("dbperf.maintenance_scan_interval",
							"Time after which a database is looked into although its counters "
							"show nothing.",
							NULL, &dbperf_maintenance_scan_interval, 600, 10, 24 * 3600, PGC_SIGHUP,
							GUC_UNIT_S, NULL, NULL, NULL);

	DefineCustomIntVariable("dbperf.maintenance_log_retention",
							"Time for which rows of maintenance_log are kept.",
							"0 keeps them for ever.", &dbperf_maintenance_log_retention,
							30 * 24 * 60, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_MIN, NULL, NULL, NULL);
}

/*
 * Define the settings, and register shared memory, the writer's task and the
 * launcher's part.  Called once, from _PG_init.
 */
void
dbperf_maintenance_init(void)
{
	define_modes();
	define_limits();
	if (process_shared_preload_libraries_in_progress)
	{
		dbperf_maint_state_init();
		dbperf_maint_scheduler_init();
		dbperf_maint_policy_init();
		dbperf_maint_log_init();
		dbperf_maint_xid_rate_init();
		dbperf_maint_metrics_init();
	}
}
