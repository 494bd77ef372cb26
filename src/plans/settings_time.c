/*-------------------------------------------------------------------------
 *
 * settings_time.c
 *		Advice on JIT, parallel workers and cached plans.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "commands/vacuum.h"
#include "jit/jit.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "plans/settings_advice.h"
#include "plans/stats_advice.h"
#include "utils/builtins.h"

/* So many queries ask for a setting of the server's. */
#define MANY_QUERIES 5

/* ---- JIT ---- */

/* JIT is too much with this part of the time, and with so many ms. */
#define JIT_SHARE 0.2
#define JIT_MS 20.0

/* ... and not worth a word below this part. */
#define JIT_LOW_SHARE 0.05

/* What compiling a query costs. */
typedef struct QueryJit
{
	uint64 queryid;
	double jit_ms;
	double duration_ms;
	double cost; /* the highest */
	int	   executions;
} QueryJit;

/*
 * Sums for each query that was compiled.  One whose last execution was not is
 * left out: it has been helped already.
 */
static List *
compiled_queries(SettingsWork *work)
{
	List	 *queries = NIL;
	List	 *helped = NIL;
	ListCell *lc;
	ListCell *lc2;

	foreach (lc, work->plans)
	{
		RecordedPlan *plan = lfirst(lc);
		uint64		  queryid = plan->statement->queryid;
		QueryJit	 *found = NULL;

		if (queryid == 0 || plan->statement->failed)
			continue;
		foreach (lc2, queries)
		{
			if (((QueryJit *) lfirst(lc2))->queryid == queryid)
				found = lfirst(lc2);
		}
		foreach (lc2, helped)
		{
			if (*(uint64 *) lfirst(lc2) == queryid)
				break;
		}
		if (lc2 != NULL)
			continue;
		if (plan->statement->jit_ms <= 0)
		{
			if (found == NULL)
				helped = dbperf_settings_queries(helped, queryid);
			continue;
		}
		if (found == NULL)
		{
			found = palloc0(sizeof(QueryJit));
			found->queryid = queryid;
			queries = lappend(queries, found);
		}
		found->jit_ms += plan->statement->jit_ms;
		found->duration_ms += plan->statement->duration_ms;
		found->cost = Max(found->cost, plan->tree->root->total_cost);
		found->executions++;
	}
	return queries;
}

static bool
compiles_too_much(const QueryJit *query)
{
	return query->jit_ms > JIT_SHARE * query->duration_ms &&
		   query->jit_ms > JIT_MS * query->executions;
}

/*
 * The threshold for the server that leaves these queries alone, if it does not
 * take JIT from those that compile little.
 */
static void
advise_jit_cost(SettingsWork *work, List *queries)
{
	List		  *losing = NIL;
	double		   jit_ms = 0;
	double		   highest = 0;
	double		   lowest = -1;
	double		   step;
	SettingAdvice *advice;
	ListCell	  *lc;

	foreach (lc, queries)
	{
		QueryJit *query = lfirst(lc);

		if (compiles_too_much(query))
		{
			losing = dbperf_settings_queries(losing, query->queryid);
			highest = Max(highest, query->cost);
			jit_ms += query->jit_ms;
		}
		else if (query->jit_ms < JIT_LOW_SHARE * query->duration_ms &&
				 (lowest < 0 || query->cost < lowest))
			lowest = query->cost;
	}
	if (list_length(losing) < MANY_QUERIES || highest <= 0)
		return;
	step = pow(10, floor(log10(highest)));
	highest = Max(ceil(highest * 1.2 / step) * step, jit_above_cost);
	if (lowest >= 0 && lowest <= highest)
		return;
	advice = dbperf_settings_add(work, 0, "jit_above_cost", psprintf("%.0f", highest));
	advice->queries = losing;
	advice->gain_ms = jit_ms;
	advice->reason = psprintf(
		"%d queries spend a fifth of their time and more in being compiled, and cost less than "
		"this; %s",
		list_length(losing),
		lowest >= 0 ? psprintf("those that compiling suits cost %.0f and more", lowest)
					: "no recorded query spends little of its time in it");
}

/*
 * Advice on JIT: queries that spend their time in being compiled.
 */
void
dbperf_settings_jit(SettingsWork *work)
{
	List	 *queries = compiled_queries(work);
	ListCell *lc;

	foreach (lc, queries)
	{
		QueryJit	  *query = lfirst(lc);
		SettingAdvice *advice;

		if (!compiles_too_much(query))
			continue;
		advice = dbperf_settings_add(work, query->queryid, "jit", pstrdup("off"));
		advice->gain_ms = query->jit_ms / query->executions;
		advice->reason = psprintf(
			"being compiled takes %.0f of the %.0f ms of an execution (mean of %d); without it "
			"the rest runs somewhat slower",
			query->jit_ms / query->executions,
			Max(query->duration_ms, query->jit_ms) / query->executions, query->executions);
	}
	advise_jit_cost(work, queries);
}

/* ---- parallel workers ---- */

/* Statements that got fewer workers than planned. */
#define MANY_STATEMENTS 3

/* What was planned and launched, in all. */
typedef struct WorkerCounts
{
	int	   statements;
	double planned;
	double launched;
	double lost_ms;
	List  *queries;
} WorkerCounts;

static void
count_workers(const RecordedPlan *plan, WorkerCounts *counts)
{
	double	  planned = 0;
	double	  launched = 0;
	double	  lost = 0;
	ListCell *lc;

	foreach (lc, plan->tree->nodes)
	{
		const PlanNode *node = lfirst(lc);
		double			want = dbperf_plan_number(node, "Workers Planned", 0);
		double			have = dbperf_plan_number(node, "Workers Launched", want);

		if (want <= have || node->never_executed)
			continue;
		planned += want;
		launched += have;
		lost = Max(lost, plan->statement->duration_ms * (1 - (have + 1) / (want + 1)));
	}
	if (planned == 0)
		return;
	counts->statements++;
	counts->planned += planned;
	counts->launched += launched;
	counts->lost_ms += lost;
	counts->queries = dbperf_settings_queries(counts->queries, plan->statement->queryid);
}

/*
 * Advice on the number of parallel workers: statements that got fewer than they
 * were planned for.  With as many as the machine has processors, more would not
 * help, and plans should count on fewer.
 */
void
dbperf_settings_parallel(SettingsWork *work)
{
	WorkerCounts   counts = {0};
	SettingAdvice *advice;
	const char	  *setting = "max_parallel_workers";
	int			   suggested;
	ListCell	  *lc;

	foreach (lc, work->plans)
		count_workers(lfirst(lc), &counts);
	if (counts.statements < MANY_STATEMENTS || work->processors == 0)
		return;
	suggested = Max(max_parallel_workers * 2, (int) (counts.planned / counts.statements));
	suggested = Min(suggested, work->processors);
	if (max_parallel_workers >= work->processors)
	{
		setting = "max_parallel_workers_per_gather";
		suggested = Max((int) (counts.launched / counts.statements), 1);
		if (suggested >= max_parallel_workers_per_gather)
			return;
	}
	else if (max_parallel_workers >= max_worker_processes)
	{
		setting = "max_worker_processes";
		suggested = max_worker_processes + suggested;
	}
	advice = dbperf_settings_add(work, 0, setting, psprintf("%d", suggested));
	advice->queries = counts.queries;
	advice->gain_ms = max_parallel_workers >= work->processors ? -1 : counts.lost_ms;
	advice->reason = psprintf(
		"%d recorded statements were planned for %.0f parallel workers and got %.0f; the machine "
		"has %d processors%s%s",
		counts.statements, counts.planned, counts.launched, work->processors,
		max_parallel_workers >= work->processors
			? ": more workers would not help, and plans should count on those there are"
			: "",
		strcmp(setting, "max_worker_processes") == 0
			? "; max_parallel_workers is to be raised with it; needs a restart"
			: "");
}

/* ---- plan_cache_mode ---- */

/* Executions of each kind, and by how much generic plans have to be slower. */
#define PLAN_EXECUTIONS 3
#define PLAN_FACTOR 2.0

/* Executions of a query with and without the values of its parameters. */
typedef struct QueryPlans
{
	uint64 queryid;
	Oid	   role;
	int	   generic;
	int	   custom;
	double generic_ms;
	double custom_ms;
} QueryPlans;

/*
 * Whether a text has "$" and a number in it, outside of quotes.
 */
static bool
has_parameter(const char *text)
{
	char quote = 0;

	for (; *text != '\0'; text++)
	{
		if (quote != 0)
			quote = *text == quote ? 0 : quote;
		else if (*text == '\'' || *text == '"')
			quote = *text;
		else if (*text == '$' && text[1] >= '1' && text[1] <= '9')
			return true;
	}
	return false;
}

/*
 * Whether a plan was made without the values of its parameters.  Results of
 * InitPlans look the same, so that a plan with one is not taken for one.
 */
static bool
is_generic(const PlanTree *tree)
{
	bool	  found = false;
	ListCell *lc;
	ListCell *lc2;

	foreach (lc, tree->nodes)
	{
		const PlanNode *node = lfirst(lc);

		if (node->subplan_name != NULL)
			return false;
		foreach (lc2, node->properties)
			found = found || has_parameter(((PlanProperty *) lfirst(lc2))->value);
	}
	return found;
}

static List *
plans_of_queries(SettingsWork *work)
{
	List	 *queries = NIL;
	ListCell *lc;
	ListCell *lc2;

	foreach (lc, work->plans)
	{
		RecordedPlan		*plan = lfirst(lc);
		const SlowStatement *statement = plan->statement;
		QueryPlans			*found = NULL;

		if (statement->queryid == 0 || statement->failed)
			continue;
		foreach (lc2, queries)
		{
			if (((QueryPlans *) lfirst(lc2))->queryid == statement->queryid)
				found = lfirst(lc2);
		}
		if (found == NULL)
		{
			found = palloc0(sizeof(QueryPlans));
			found->queryid = statement->queryid;
			found->role = statement->userid;
			queries = lappend(queries, found);
		}
		if (is_generic(plan->tree))
		{
			found->generic++;
			found->generic_ms += statement->duration_ms;
		}
		else
		{
			found->custom++;
			found->custom_ms += statement->duration_ms + statement->planning_ms;
		}
	}
	return queries;
}

/*
 * Advice on plan_cache_mode: queries of which generic plans are slower than
 * those made for the values.  The choice between the two is made before the
 * settings of a query apply, so this is for the role.
 */
void
dbperf_settings_plan_cache(SettingsWork *work)
{
	ListCell *lc;

	foreach (lc, plans_of_queries(work))
	{
		QueryPlans	  *query = lfirst(lc);
		double		   generic;
		double		   custom;
		const char	  *role;
		SettingAdvice *advice;

		if (query->generic < PLAN_EXECUTIONS || query->custom < PLAN_EXECUTIONS)
			continue;
		generic = query->generic_ms / query->generic;
		custom = query->custom_ms / query->custom;
		role = GetUserNameFromId(query->role, true);
		if (generic < PLAN_FACTOR * custom || role == NULL)
			continue;
		advice = dbperf_settings_add(work, query->queryid, "plan_cache_mode",
									 pstrdup("force_custom_plan"));
		advice->gain_ms = generic - custom;
		advice->statement = psprintf("ALTER ROLE %s SET plan_cache_mode = 'force_custom_plan'",
									 quote_identifier(role));
		advice->reason = psprintf(
			"%d executions with a plan that does not know the values of the parameters took %.0f "
			"ms, and %d with plans made for them %.0f ms with planning (means); the setting holds "
			"for all statements of the role, in new sessions",
			query->generic, generic, query->custom, custom);
	}
}

/* ---- default_statistics_target ---- */

/*
 * Advice on default_statistics_target: many columns of which the statistics are
 * too coarse.
 */
void
dbperf_settings_target(SettingsWork *work)
{
	List		  *statements = NIL;
	List		  *queries = NIL;
	int			   columns = 0;
	int			   target = 0;
	SettingAdvice *advice;
	ListCell	  *lc;
	ListCell	  *lc2;

	foreach (lc, work->plans)
		statements = lappend(statements, ((RecordedPlan *) lfirst(lc))->statement);
	if (list_length(dbperf_stats_evidence(statements)) < MANY_QUERIES)
		return;
	foreach (lc, dbperf_stats_advice(statements))
	{
		const StatsAdvice *one = lfirst(lc);

		if (one->remedy != REMEDY_TARGET)
			continue;
		columns++;
		target = Max(target, one->target);
		foreach (lc2, one->evidence)
			queries = dbperf_settings_queries(queries, ((StatsEvidence *) lfirst(lc2))->queryid);
	}
	if (columns < MANY_QUERIES || target <= default_statistics_target)
		return;
	advice = dbperf_settings_add(work, 0, "default_statistics_target", psprintf("%d", target));
	advice->queries = queries;
	advice->reason = psprintf(
		"the statistics of %d columns are too coarse for what is asked of them "
		"(suggest_statistics() names them); takes effect with the next ANALYZE of each table",
		columns);
}
