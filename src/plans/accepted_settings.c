/*-------------------------------------------------------------------------
 *
 * accepted_settings.c
 *		Which settings a single query can have, and how they are read from JSON.
 *
 * Accepted are settings that change how a statement is planned and how much
 * memory and parallelism its execution may use, and never its result.  Each of
 * them is one that every role may SET, so that no right is needed to execute a
 * query which has it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "fmgr.h"
#include "plans/query_settings.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/numeric.h"

/* What one might expect among them. */
static const struct
{
	const char *name;
	const char *reason;
} refused[] = {
	{"plan_cache_mode",
	 "The server reads it when it takes a cached plan, before any extension is asked."},
	{"default_statistics_target", "It is used by ANALYZE, not when a query is planned."},
	{"maintenance_work_mem", "It is used by maintenance commands, which have no settings here."},
	{"temp_buffers", "It cannot be changed once a session has used a temporary table."},
	{"statement_timeout", "Its time begins to run before a query is known."},
};

/*
 * The n-th accepted setting that this server knows, or NULL after the last.
 */
const char *
dbperf_accepted_setting(int n)
{
	for (int i = 0; i < dbperf_num_planner_settings; i++)
		if (GetConfigOptionByName(dbperf_planner_settings[i], NULL, true) != NULL && n-- == 0)
			return dbperf_planner_settings[i];
	return NULL;
}

static bool
problem_is(SettingsProblem *problem, int sqlstate, char *message, const char *detail,
		   const char *hint)
{
	problem->sqlstate = sqlstate;
	problem->message = message;
	problem->detail = detail;
	problem->hint = hint;
	return false;
}

/*
 * Whether a name is that of an accepted setting; if not, why.
 */
static bool
check_name(const char *name, SettingsProblem *problem)
{
	for (int i = 0; i < dbperf_num_planner_settings; i++)
	{
		if (strcmp(name, dbperf_planner_settings[i]) != 0)
			continue;
		if (GetConfigOptionByName(name, NULL, true) != NULL)
			return true;
		return problem_is(problem, ERRCODE_UNDEFINED_OBJECT,
						  psprintf("this server does not know the setting \"%s\"", name), NULL,
						  "dbperf.accepted_settings() lists those that can be given.");
	}
	for (int i = 0; i < lengthof(refused); i++)
		if (strcmp(name, refused[i].name) == 0)
			return problem_is(problem, ERRCODE_FEATURE_NOT_SUPPORTED,
							  psprintf("setting \"%s\" cannot be given to a query", name),
							  refused[i].reason,
							  "dbperf.accepted_settings() lists those that can be given.");
	return problem_is(problem, ERRCODE_INVALID_PARAMETER_VALUE,
					  psprintf("setting \"%s\" cannot be given to a query", name),
					  "Only settings of the planner and of memory are accepted, in lower case.",
					  "dbperf.accepted_settings() lists those that can be given.");
}

/*
 * The text of a value, as SET would take it; NULL if it cannot be one.
 */
static char *
value_text(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvBool:
			return pstrdup(value->val.boolean ? "on" : "off");
		case jbvNumeric:
			return DatumGetCString(
				DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
		default:
			return NULL;
	}
}

/*
 * Reads one pair.  False with the problem if it is not acceptable.
 */
static bool
read_pair(const JsonbValue *key, const JsonbValue *value, QuerySetting *out,
		  SettingsProblem *problem)
{
	char *name = pnstrdup(key->val.string.val, key->val.string.len);

	if (!check_name(name, problem))
		return false;
	out->name = name;
	out->value = value_text(value);
	if (out->value == NULL)
		return problem_is(
			problem, ERRCODE_INVALID_PARAMETER_VALUE,
			psprintf("value of setting \"%s\" is not a string, number or boolean", name), NULL,
			"Leave out a setting to have the session's own value.");
	return true;
}

/*
 * Reads settings from an object of names and values, in the current memory
 * context.  Returns false, with the problem, unless each is a setting that is
 * accepted and that this server has; its value is not looked at.
 */
bool
dbperf_settings_of_json(Jsonb *json, QuerySettings *out, SettingsProblem *problem)
{
	JsonbIterator	  *it;
	JsonbIteratorToken token;
	JsonbValue		   key;
	JsonbValue		   value;

	if (!JB_ROOT_IS_OBJECT(json))
		return problem_is(problem, ERRCODE_INVALID_PARAMETER_VALUE,
						  pstrdup("settings must be a JSON object"), NULL,
						  "For example {\"work_mem\": \"64MB\", \"enable_nestloop\": false}.");
	if (JB_ROOT_COUNT(json) == 0)
		return problem_is(problem, ERRCODE_INVALID_PARAMETER_VALUE, pstrdup("no setting is given"),
						  NULL,
						  "To remove the settings of a query use dbperf.clear_query_settings().");

	out->num = 0;
	out->settings = palloc(JB_ROOT_COUNT(json) * sizeof(QuerySetting));
	it = JsonbIteratorInit(&json->root);
	(void) JsonbIteratorNext(&it, &key, true);
	while ((token = JsonbIteratorNext(&it, &key, true)) == WJB_KEY)
	{
		(void) JsonbIteratorNext(&it, &value, true);
		if (!read_pair(&key, &value, &out->settings[out->num++], problem))
			return false;
	}
	return true;
}

/*
 * Whether SET would take all the values; if not, which setting it is about.
 * With elevel ERROR the server says why.
 */
bool
dbperf_settings_valid(const QuerySettings *settings, int elevel, const QuerySetting **refused_one)
{
	for (int i = 0; i < settings->num; i++)
	{
		const QuerySetting *setting = &settings->settings[i];

		*refused_one = setting;
		if (set_config_option(setting->name, setting->value, PGC_USERSET, PGC_S_SESSION,
							  GUC_ACTION_SAVE, false, elevel, false) == 0)
			return false;
	}
	return true;
}
