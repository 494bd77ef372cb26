/*-------------------------------------------------------------------------
 *
 * settings_sql.c
 *		dbperf.suggest_settings().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/core.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "plans/settings_advice.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/tuplestore.h"

#define COLUMNS 8

PG_FUNCTION_INFO_V1(dbperf_suggest_settings);

/*
 * Adds a query to a list of them, uint64 *, unless it is there.  One without a
 * number is left out.
 */
List *
dbperf_settings_queries(List *queries, uint64 queryid)
{
	ListCell *lc;
	uint64	 *copy;

	if (queryid == 0)
		return queries;
	foreach (lc, queries)
	{
		if (*(uint64 *) lfirst(lc) == queryid)
			return queries;
	}
	copy = palloc(sizeof(uint64));
	*copy = queryid;
	return lappend(queries, copy);
}

/*
 * The value of a setting in this session, as SHOW gives it.
 */
const char *
dbperf_settings_current(const char *setting)
{
	return GetConfigOptionByName(setting, NULL, true);
}

/*
 * The statement that changes a setting, for a query or for the server.
 */
static char *
change_statement(uint64 queryid, const char *setting, const char *value)
{
	char *json;

	if (queryid == 0)
		return psprintf("ALTER SYSTEM SET %s = %s", setting, quote_literal_cstr(value));
	json = psprintf("{\"%s\": \"%s\"}", setting, value);
	return psprintf("SELECT dbperf.set_query_settings(" INT64_FORMAT ", %s)", (int64) queryid,
					quote_literal_cstr(json));
}

/*
 * Adds a piece of advice, to which the caller adds a reason; queryid 0 = for the
 * server.
 */
SettingAdvice *
dbperf_settings_add(SettingsWork *work, uint64 queryid, const char *setting, char *suggested)
{
	SettingAdvice *advice = palloc0(sizeof(SettingAdvice));
	const char	  *current = dbperf_settings_current(setting);

	advice->queryid = queryid;
	advice->setting = setting;
	advice->current = current != NULL ? pstrdup(current) : NULL;
	advice->suggested = suggested;
	advice->gain_ms = -1;
	advice->queries = dbperf_settings_queries(NIL, queryid);
	advice->statement = change_statement(queryid, setting, suggested);
	work->advice = lappend(work->advice, advice);
	return advice;
}

/*
 * Takes the recorded plans apart.
 */
static List *
read_plans(List *statements)
{
	List	 *plans = NIL;
	ListCell *lc;
	ListCell *lc2;

	foreach (lc, statements)
	{
		SlowStatement *statement = lfirst(lc);
		PlanTree	  *tree;
		RecordedPlan  *plan;

		CHECK_FOR_INTERRUPTS();
		tree = dbperf_plan_parse(statement->plan);
		if (tree == NULL)
			continue;
		plan = palloc0(sizeof(RecordedPlan));
		plan->statement = statement;
		plan->tree = tree;
		plan->newest = true;
		foreach (lc2, plans)
		{
			const SlowStatement *other = ((RecordedPlan *) lfirst(lc2))->statement;

			if (other->queryid == statement->queryid && other->plan_id == statement->plan_id)
			{
				plan->newest = false;
				break;
			}
		}
		plans = lappend(plans, plan);
	}
	return plans;
}

/* For the server first, then what gains most. */
static int
compare_advice(const ListCell *a, const ListCell *b)
{
	const SettingAdvice *one = lfirst(a);
	const SettingAdvice *other = lfirst(b);

	if ((one->queryid == 0) != (other->queryid == 0))
		return one->queryid == 0 ? -1 : 1;
	if (one->gain_ms != other->gain_ms)
		return one->gain_ms > other->gain_ms ? -1 : 1;
	return strcmp(one->setting, other->setting);
}

/* The queries that gain, as bigint[]. */
static Datum
queries_array(List *queries)
{
	Datum	 *values = palloc(sizeof(Datum) * Max(list_length(queries), 1));
	int		  count = 0;
	ListCell *lc;

	foreach (lc, queries)
		values[count++] = Int64GetDatum((int64) * (uint64 *) lfirst(lc));
	return PointerGetDatum(
		construct_array(values, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

static void
put_row(ReturnSetInfo *rsinfo, const SettingAdvice *advice)
{
	Datum values[COLUMNS] = {0};
	bool  nulls[COLUMNS] = {0};

	values[0] = CStringGetTextDatum(advice->queryid == 0 ? "server" : "query");
	values[1] = CStringGetTextDatum(advice->setting);
	if (advice->current != NULL)
		values[2] = CStringGetTextDatum(advice->current);
	else
		nulls[2] = true;
	values[3] = CStringGetTextDatum(advice->suggested);
	values[4] = CStringGetTextDatum(advice->reason);
	values[5] = queries_array(advice->queries);
	if (advice->gain_ms >= 0)
		values[6] = Float8GetDatum(advice->gain_ms);
	else
		nulls[6] = true;
	values[7] = CStringGetTextDatum(advice->statement);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * Which settings the recorded statements would gain from.
 */
Datum
dbperf_suggest_settings(PG_FUNCTION_ARGS)
{
	SettingsWork   work = {0};
	ReturnSetInfo *rsinfo;
	ListCell	  *lc;

	dbperf_require_shmem();
	rsinfo = dbperf_srf_begin(fcinfo, COLUMNS);
	work.plans = read_plans(dbperf_slow_statements(PG_INT64_MIN, PG_INT64_MAX));
	work.memory_kb = dbperf_machine_memory_kb();
	work.processors = dbperf_machine_processors();

	dbperf_settings_work_mem(&work);
	dbperf_settings_buffers(&work);
	dbperf_settings_jit(&work);
	dbperf_settings_parallel(&work);
	dbperf_settings_plan_cache(&work);
	dbperf_settings_costs(&work);
	dbperf_settings_target(&work);

	list_sort(work.advice, compare_advice);
	foreach (lc, work.advice)
		put_row(rsinfo, lfirst(lc));
	return (Datum) 0;
}
