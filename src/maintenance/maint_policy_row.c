/*-------------------------------------------------------------------------
 *
 * maint_policy_row.c
 *		What a row of maintenance_policy or maintenance_windows says, and
 *		whether it can be used.
 *
 * The same function refuses a bad row when it is written and leaves it out
 * when it is read: one that was written without the trigger, or by an older
 * release, must not stop maintenance.
 *
 * Columns are found by their names, so that a row may be one of the table or
 * one of SELECT *.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "maintenance/maint_policy.h"
#include "pgtime.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/timestamp.h"

#define MAX_COST_LIMIT 10000 /* of vacuum_cost_limit */

static const char *const day_names[7] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

/* Note what is wrong; returns false. */
static bool
refuse(DbperfRowProblem *problem, int sqlstate, const char *hint, char *message)
{
	problem->sqlstate = sqlstate;
	problem->message = message;
	problem->hint = hint;
	return false;
}

/* The value of a column. */
static Datum
column(HeapTuple row, TupleDesc desc, const char *name, bool *isnull)
{
	int number = SPI_fnumber(desc, name);

	if (number <= 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("column \"%s\" of a table of dbperf does not exist", name),
						errhint("Run ALTER EXTENSION dbperf UPDATE.")));
	return SPI_getbinval(row, desc, number, isnull);
}

/* The same as a string, or NULL. */
static char *
text_column(HeapTuple row, TupleDesc desc, const char *name)
{
	bool  isnull;
	Datum value = column(row, desc, name, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/* The same as a number, if it is not null. */
static int
int_column(HeapTuple row, TupleDesc desc, const char *name, int otherwise)
{
	bool  isnull;
	Datum value = column(row, desc, name, &isnull);

	return isnull ? otherwise : DatumGetInt32(value);
}

/*
 * The elements of a text[], NULL for a null among them; *count is -1 if the
 * column is null.
 */
static char **
list_column(HeapTuple row, TupleDesc desc, const char *name, int *count)
{
	bool   isnull;
	Datum  value = column(row, desc, name, &isnull);
	Datum *elements;
	bool  *nulls;
	char **strings;

	*count = -1;
	if (isnull)
		return NULL;
	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT, &elements,
					  &nulls, count);
	strings = palloc(sizeof(char *) * (*count + 1));
	for (int i = 0; i < *count; i++)
		strings[i] = nulls[i] ? NULL : TextDatumGetCString(elements[i]);
	return strings;
}

/* ---- windows ---- */

/* Take over the days. */
static bool
parse_days(char **days, int count, MaintWindow *window, DbperfRowProblem *problem)
{
	static const char *const hint = "Days are mon, tue, wed, thu, fri, sat and sun.";

	if (count <= 0)
		return refuse(problem, ERRCODE_CHECK_VIOLATION, hint,
					  pstrdup("a maintenance window needs at least one day"));
	for (int i = 0; i < count; i++)
	{
		int day = 0;

		while (day < 7 && (days[i] == NULL || strcmp(days[i], day_names[day]) != 0))
			day++;
		if (day == 7)
			return refuse(problem, ERRCODE_INVALID_PARAMETER_VALUE, hint,
						  days[i] == NULL
							  ? pstrdup("a day of a maintenance window must not be null")
							  : psprintf("\"%s\" is not a day of a maintenance window", days[i]));
		window->days |= 1 << day;
	}
	return true;
}

/* Take over start and end. */
static bool
parse_times(HeapTuple row, TupleDesc desc, MaintWindow *window, DbperfRowProblem *problem)
{
	bool start_null;
	bool end_null;

	window->start =
		(int) (DatumGetTimeADT(column(row, desc, "start_time", &start_null)) / USECS_PER_SEC);
	window->end = (int) (DatumGetTimeADT(column(row, desc, "end_time", &end_null)) / USECS_PER_SEC);
	if (start_null || end_null)
		return refuse(problem, ERRCODE_NOT_NULL_VIOLATION, NULL,
					  pstrdup("a maintenance window needs a start and an end"));
	if (window->start >= SECS_PER_DAY)
		return refuse(problem, ERRCODE_CHECK_VIOLATION, "Use 00:00, and the next day.",
					  pstrdup("a maintenance window cannot start at 24:00"));
	if (window->start == window->end)
		return refuse(problem, ERRCODE_CHECK_VIOLATION,
					  "A window of a whole day starts at 00:00 and ends at 24:00.",
					  pstrdup("start and end of a maintenance window must not be equal"));
	return true;
}

/*
 * What a row of maintenance_windows says.  Returns false if it cannot be used,
 * and then *problem says why.
 */
bool
dbperf_maint_parse_window(HeapTuple row, TupleDesc desc, MaintWindow *window,
						  DbperfRowProblem *problem)
{
	char  *name = text_column(row, desc, "name");
	char  *zone = text_column(row, desc, "time_zone");
	int	   count;
	char **days = list_column(row, desc, "days", &count);

	memset(window, 0, sizeof(*window));
	if (name == NULL || name[0] == '\0')
		return refuse(problem, ERRCODE_CHECK_VIOLATION, NULL,
					  pstrdup("the name of a maintenance window must not be empty"));
	if (strlen(name) >= sizeof(window->name))
		return refuse(problem, ERRCODE_NAME_TOO_LONG, NULL,
					  psprintf("the name of a maintenance window can be at most %d bytes long",
							   (int) sizeof(window->name) - 1));
	strlcpy(window->name, name, sizeof(window->name));

	if (!parse_days(days, count, window, problem) || !parse_times(row, desc, window, problem))
		return false;

	if (zone == NULL || zone[0] == '\0')
		return refuse(problem, ERRCODE_INVALID_PARAMETER_VALUE, NULL,
					  pstrdup("a maintenance window needs a time zone"));
	if (strlen(zone) >= sizeof(window->zone))
		return refuse(problem, ERRCODE_NAME_TOO_LONG, NULL,
					  psprintf("the time zone of a maintenance window can be at most %d bytes long",
							   (int) sizeof(window->zone) - 1));
	strlcpy(window->zone, zone, sizeof(window->zone));
	return true;
}

/* ---- policies ---- */

/* Take over a pattern. */
static bool
parse_pattern(HeapTuple row, TupleDesc desc, const char *name, char *place,
			  DbperfRowProblem *problem)
{
	char *pattern = text_column(row, desc, name);
	int	  backslashes = 0;
	int	  len;

	if (pattern == NULL || pattern[0] == '\0')
		return refuse(problem, ERRCODE_CHECK_VIOLATION, "The pattern % matches every name.",
					  psprintf("%s must not be empty", name));
	len = (int) strlen(pattern);
	if (len >= MAINT_PATTERN_SIZE)
		return refuse(problem, ERRCODE_NAME_TOO_LONG, NULL,
					  psprintf("%s can be at most %d bytes long", name, MAINT_PATTERN_SIZE - 1));
	while (backslashes < len && pattern[len - 1 - backslashes] == '\\')
		backslashes++;
	if (backslashes % 2 != 0)
		return refuse(problem, ERRCODE_INVALID_ESCAPE_SEQUENCE,
					  "A backslash makes the character behind it an ordinary one; a backslash "
					  "itself is written as two.",
					  psprintf("%s must not end with a single backslash", name));
	strlcpy(place, pattern, MAINT_PATTERN_SIZE);
	return true;
}

/* Take over the actions. */
static bool
parse_actions(char **actions, int count, MaintPolicy *policy, DbperfRowProblem *problem)
{
	static const char *const hint =
		"Actions are vacuum, vacuum_freeze, analyze, reindex, clean_gin and summarize_brin; null "
		"means all of them.";

	if (count == 0)
		return refuse(problem, ERRCODE_CHECK_VIOLATION,
					  "To allow no action set enabled to false; null means all actions.",
					  pstrdup("actions must not be an empty list"));
	if (count < 0)
		policy->actions = MAINT_ALL_ACTIONS;
	for (int i = 0; i < count; i++)
	{
		int action = actions[i] != NULL ? dbperf_maint_action_by_name(actions[i]) : MAINT_NO_ACTION;

		if (action == MAINT_NO_ACTION)
			return refuse(problem, ERRCODE_INVALID_PARAMETER_VALUE, hint,
						  actions[i] == NULL
							  ? pstrdup("a maintenance action must not be null")
							  : psprintf("maintenance action \"%s\" does not exist", actions[i]));
		policy->actions |= 1U << action;
	}
	return true;
}

/* Take over the limits. */
static bool
parse_limits(HeapTuple row, TupleDesc desc, MaintPolicy *policy, DbperfRowProblem *problem)
{
	bool	  isnull;
	Datum	  value = column(row, desc, "time_limit", &isnull);
	Interval *limit;
	double	  seconds;

	policy->cost_limit = int_column(row, desc, "cost_limit", 0);
	if ((policy->cost_limit == 0 && int_column(row, desc, "cost_limit", 1) == 0) ||
		policy->cost_limit < 0 || policy->cost_limit > MAX_COST_LIMIT)
		return refuse(problem, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
					  "Null means that of dbperf.maintenance_cost_limit_max.",
					  psprintf("cost_limit must be between 1 and %d", MAX_COST_LIMIT));
	if (isnull)
		return true;

	limit = DatumGetIntervalP(value);
	seconds = (double) limit->time / USECS_PER_SEC + (double) limit->day * SECS_PER_DAY +
			  (double) limit->month * DAYS_PER_MONTH * SECS_PER_DAY;
	if (seconds <= 0 || seconds >= INT_MAX)
		return refuse(problem, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "Null means no limit.",
					  pstrdup(seconds <= 0 ? "time_limit must be greater than zero"
										   : "time_limit is too long"));
	policy->time_limit = (int) ceil(seconds);
	return true;
}

/*
 * What a row of maintenance_policy says; *window_name is NULL if it has none,
 * and the policy's window is for the caller to find.  Returns false if the row
 * cannot be used, and then *problem says why.
 */
bool
dbperf_maint_parse_policy(HeapTuple row, TupleDesc desc, MaintPolicy *policy,
						  const char **window_name, DbperfRowProblem *problem)
{
	bool   isnull;
	int	   count;
	char **actions = list_column(row, desc, "actions", &count);

	memset(policy, 0, sizeof(*policy));
	policy->window = -1;
	policy->id = DatumGetInt64(column(row, desc, "id", &isnull));
	policy->enabled = DatumGetBool(column(row, desc, "enabled", &isnull));
	policy->priority = int_column(row, desc, "priority", 0);
	*window_name = text_column(row, desc, "window_name");

	return parse_pattern(row, desc, "database_pattern", policy->database_pattern, problem) &&
		   parse_pattern(row, desc, "schema_pattern", policy->schema_pattern, problem) &&
		   parse_pattern(row, desc, "table_pattern", policy->table_pattern, problem) &&
		   parse_actions(actions, count, policy, problem) &&
		   parse_limits(row, desc, policy, problem);
}
