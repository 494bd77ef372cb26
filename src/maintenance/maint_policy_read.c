/*-------------------------------------------------------------------------
 *
 * maint_policy_read.c
 *		Reads the tables maintenance_policy and maintenance_windows.
 *
 * The tables are read as their owner, so that whoever may see the plan gets
 * the right one, and only if they are the extension's: where it is not, anybody
 * may have made some of that name, with code of their own behind them.  No name
 * in a statement depends on the search_path, and no value in a row is executed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "core/core.h"
#include "executor/spi.h"
#include "maintenance/maint_policy.h"
#include "maintenance/maint_spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/snapmgr.h"


/* One reading of both tables. */
typedef struct Reading
{
	MaintPolicies *policies;
	StringInfoData problems;
} Reading;

/*
 * Run a fixed query as the owner of the tables, and use(arg) on its result,
 * which is in SPI_tuptable.  An error puts everything back when its
 * (sub)transaction ends.
 */
static void
run_query(const char *sql, void (*use)(void *arg), void *arg)
{
	Oid		 table = dbperf_own_table(POLICY_TABLE);
	MaintSpi session;

	if (!OidIsValid(table))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("table dbperf.%s does not exist", POLICY_TABLE),
						errhint("Create the extension dbperf in this database, or update it.")));
	dbperf_maint_spi_open(table, &session);
	if (SPI_execute(sql, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the tables of maintenance");
	use(arg);
	dbperf_maint_spi_close(&session);
}

/* Note a row that is left out. */
static void
note_problem(Reading *reading, const char *what, const char *name, const DbperfRowProblem *problem)
{
	appendStringInfo(&reading->problems, "%s%s %s: %s", reading->problems.len > 0 ? "; " : "", what,
					 name, problem->message);
}

/* Take over the windows.  A bad one never opens, but policies refer to it. */
static void
use_windows(void *arg)
{
	Reading		  *reading = arg;
	MaintPolicies *policies = reading->policies;

	for (uint64 i = 0; i < SPI_processed && policies->num_windows < MAINT_MAX_WINDOWS; i++)
	{
		MaintWindow		*window = &policies->windows[policies->num_windows++];
		DbperfRowProblem problem;
		char			*name = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);

		if (dbperf_maint_parse_window(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, window,
									  &problem))
			continue;
		memset(window, 0, sizeof(*window));
		strlcpy(window->name, name, sizeof(window->name));
		note_problem(reading, "window", name, &problem);
	}
}

/* The index of a window, or -1. */
static int
find_window(const MaintPolicies *policies, const char *name)
{
	for (int i = 0; i < policies->num_windows; i++)
	{
		if (strncmp(policies->windows[i].name, name, NAMEDATALEN - 1) == 0)
			return i;
	}
	return -1;
}

/* Take over the policies. */
static void
use_policies(void *arg)
{
	Reading		  *reading = arg;
	MaintPolicies *policies = reading->policies;

	for (uint64 i = 0; i < SPI_processed && policies->num_policies < MAINT_MAX_POLICIES; i++)
	{
		MaintPolicy		*policy = &policies->policies[policies->num_policies];
		const char		*window;
		DbperfRowProblem problem;

		if (dbperf_maint_parse_policy(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, policy, &window,
									  &problem))
		{
			/* without its window it must not mean "at any time" */
			if (window != NULL)
				policy->window = find_window(policies, window);
			if (window != NULL && policy->window < 0)
				policy->enabled = false;
			policies->num_policies++;
			continue;
		}
		note_problem(reading, "policy", psprintf(INT64_FORMAT, policy->id), &problem);
		memset(policy, 0, sizeof(*policy));
	}
}

/* Say in the log, once, which rows are left out. */
static void
report_problems(const char *problems)
{
	static char last[256] = "";

	if (strncmp(last, problems, sizeof(last) - 1) == 0)
		return;
	strlcpy(last, problems, sizeof(last));
	if (problems[0] != '\0')
		ereport(LOG, (errmsg("dbperf ignores rows of its maintenance tables that it cannot use"),
					  errdetail("%s.", problems)));
}

/*
 * What the tables of this database say, palloc'd; nothing if they do not exist,
 * NULL if somebody has locked them.  Must run inside a transaction.
 */
MaintPolicies *
dbperf_maint_policy_read(void)
{
	Oid		windows = dbperf_own_table(WINDOWS_TABLE);
	Oid		policies = dbperf_own_table(POLICY_TABLE);
	Reading reading;
	bool	pushed = false;

	reading.policies = palloc0(sizeof(MaintPolicies));
	if (!OidIsValid(windows) || !OidIsValid(policies))
		return reading.policies;

	/* nobody who plans waits for somebody who changes the tables' definition */
	if (!ConditionalLockRelationOid(windows, AccessShareLock) ||
		!ConditionalLockRelationOid(policies, AccessShareLock))
		return NULL;

	initStringInfo(&reading.problems);
	if (!ActiveSnapshotSet())
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		pushed = true;
	}
	run_query("SELECT * FROM dbperf." WINDOWS_TABLE " ORDER BY name", use_windows, &reading);
	run_query("SELECT * FROM dbperf." POLICY_TABLE " ORDER BY priority DESC, id DESC", use_policies,
			  &reading);
	if (pushed)
		PopActiveSnapshot();
	if (MyBackendType == B_BG_WORKER)
		report_problems(reading.problems.data);
	pfree(reading.problems.data);
	return reading.policies;
}
