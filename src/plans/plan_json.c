/*-------------------------------------------------------------------------
 *
 * plan_json.c
 *		Writes a plan as EXPLAIN (FORMAT JSON) does, for programs that show plans.
 *
 * Keys and types are those of the server.  What the text form leaves out because
 * it is zero or false is written, as the server does; what it leaves out
 * altogether ("Inner Unique", both names of a trigger of a constraint) is
 * missing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "plans/plan_json.h"
#include "utils/json.h"

/* Ends the member before, and begins one; key is NULL within an array. */
static void
json_member(JsonWriter *writer, const char *key)
{
	if (!writer->first)
		appendStringInfoChar(writer->out, ',');
	writer->first = false;
	appendStringInfoChar(writer->out, '\n');
	appendStringInfoSpaces(writer->out, 2 * writer->depth);
	if (key != NULL)
	{
		escape_json(writer->out, key);
		appendStringInfoString(writer->out, ": ");
	}
}

/* Begins an object or an array. */
void
dbperf_json_open(JsonWriter *writer, const char *key, char bracket)
{
	json_member(writer, key);
	appendStringInfoChar(writer->out, bracket);
	writer->depth++;
	writer->first = true;
}

/* Ends it. */
void
dbperf_json_close(JsonWriter *writer, char bracket)
{
	writer->depth--;
	if (!writer->first)
	{
		appendStringInfoChar(writer->out, '\n');
		appendStringInfoSpaces(writer->out, 2 * writer->depth);
	}
	appendStringInfoChar(writer->out, bracket);
	writer->first = false;
}

/* Writes a text, unless there is none. */
void
dbperf_json_text(JsonWriter *writer, const char *key, const char *value)
{
	if (value == NULL)
		return;
	json_member(writer, key);
	escape_json(writer->out, value);
}

void
dbperf_json_bool(JsonWriter *writer, const char *key, bool value)
{
	json_member(writer, key);
	appendStringInfoString(writer->out, value ? "true" : "false");
}

void
dbperf_json_number(JsonWriter *writer, const char *key, double value, int digits)
{
	json_member(writer, key);
	appendStringInfo(writer->out, "%.*f", digits, isfinite(value) ? value : 0.0);
}

/* Writes a whole number that may be too large for dbperf_json_number. */
void
dbperf_json_integer(JsonWriter *writer, const char *key, const char *value)
{
	json_member(writer, key);
	appendStringInfo(writer->out, INT64_FORMAT, (int64) strtoll(value, NULL, 10));
}

/* The end of an expression at p: where a comma, or nothing, follows it. */
static const char *
expression_end(const char *p)
{
	int	 depth = 0;
	char quote = '\0';

	for (; *p != '\0'; p++)
	{
		if (quote != '\0')
			quote = *p == quote ? '\0' : quote;
		else if (*p == '"' || *p == '\'')
			quote = *p;
		else if (*p == '(' || *p == '[')
			depth++;
		else if (*p == ')' || *p == ']')
			depth--;
		else if (*p == ',' && p[1] == ' ' && depth <= 0)
			break;
	}
	return p;
}

/* Writes expressions with commas between them as an array. */
void
dbperf_json_list(JsonWriter *writer, const char *key, const char *value)
{
	dbperf_json_open(writer, key, '[');
	while (*value != '\0')
	{
		const char *end = expression_end(value);
		char	   *item = pnstrdup(value, end - value);

		dbperf_json_text(writer, NULL, item);
		pfree(item);
		value = *end == ',' ? end + 2 : end;
	}
	dbperf_json_close(writer, ']');
}

/* What a node is, up to what it works on. */
static void
json_identity(JsonWriter *writer, const PlanNode *node)
{
	static const char *const indexed[] = {"Index Scan", "Index Only Scan"};

	dbperf_json_text(writer, "Node Type", node->type);
	dbperf_json_text(writer, "Strategy", node->strategy);
	dbperf_json_text(writer, "Partial Mode", node->partial_mode);
	dbperf_json_text(writer, "Operation", node->operation);
	dbperf_json_text(writer, "Parent Relationship", node->relationship);
	dbperf_json_text(writer, "Subplan Name", node->subplan_name);
	if (strcmp(node->type, "Custom Scan") == 0 && strchr(node->title, '(') != NULL)
	{
		const char *name = strchr(node->title, '(') + 1;

		dbperf_json_text(writer, "Custom Plan Provider", pnstrdup(name, strcspn(name, ")")));
	}
	dbperf_json_bool(writer, "Parallel Aware", node->parallel_aware);
	dbperf_json_bool(writer, "Async Capable",
					 strncmp(node->title, "Async ", 6) == 0 ||
						 strncmp(node->title, "Parallel Async ", 15) == 0);
	for (int i = 0; i < (int) lengthof(indexed); i++)
	{
		if (strcmp(node->type, indexed[i]) == 0)
			dbperf_json_text(writer, "Scan Direction", node->backward ? "Backward" : "Forward");
	}
	dbperf_json_text(writer, "Index Name", node->index);
	dbperf_json_text(writer, "Relation Name", node->relation);
	dbperf_json_text(writer,
					 strcmp(node->type, "Table Function Scan") == 0 ? "Table Function Name"
																	: "Function Name",
					 node->function_name);
	dbperf_json_text(writer, "CTE Name", node->cte_name);
	dbperf_json_text(writer, "Schema", node->schema);
	dbperf_json_text(writer, "Alias", node->alias);
	dbperf_json_text(writer, "Join Type", node->join_type);
	if (strcmp(node->type, "SetOp") == 0 && strchr(node->title, ' ') != NULL)
		dbperf_json_text(writer, "Command", strchr(node->title, ' ') + 1);
}

/* What the planner expected, and what came of it. */
static void
json_numbers(JsonWriter *writer, const PlanNode *node)
{
	bool timed = node->has_time;

	if (node->has_cost)
	{
		dbperf_json_number(writer, "Startup Cost", node->startup_cost, 2);
		dbperf_json_number(writer, "Total Cost", node->total_cost, 2);
		dbperf_json_number(writer, "Plan Rows", node->plan_rows, 0);
		dbperf_json_number(writer, "Plan Width", node->plan_width, 0);
	}
	if (!node->has_actual && !node->never_executed)
		return;
	if (node->never_executed)
	{
		const PlanNode *root = node;

		while (root->parent != NULL)
			root = root->parent;
		timed = root->has_time;
	}
	if (timed)
	{
		dbperf_json_number(writer, "Actual Startup Time", node->actual_startup, 3);
		dbperf_json_number(writer, "Actual Total Time", node->actual_total, 3);
	}
	dbperf_json_number(writer, "Actual Rows", node->actual_rows,
					   node->actual_rows == floor(node->actual_rows) ? 0 : 2);
	dbperf_json_number(writer, "Actual Loops", node->actual_loops, 0);
}

/* Writes a node and all below it. */
static void
json_node(JsonWriter *writer, const PlanNode *node, const char *key)
{
	ListCell *lc;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();

	dbperf_json_open(writer, key, '{');
	json_identity(writer, node);
	json_numbers(writer, node);
	dbperf_json_properties(writer, node);
	if (node->children != NIL)
	{
		dbperf_json_open(writer, "Plans", '[');
		foreach (lc, node->children)
			json_node(writer, lfirst(lc), NULL);
		dbperf_json_close(writer, ']');
	}
	dbperf_json_close(writer, '}');
}

/* Writes "name for constraint name on table: time=1.0 calls=2". */
static void
json_trigger(JsonWriter *writer, const char *value)
{
	char	   *names = pstrdup(value);
	const char *calls = NULL;
	char	   *relation;
	char	   *p;

	dbperf_json_open(writer, NULL, '{');
	for (p = strstr(names, ": "); p != NULL; p = strstr(p + 1, ": "))
		calls = p;
	if (calls != NULL)
		names[calls - names] = '\0';
	p = strstr(names, "for constraint ");
	relation = strstr(names, " on ");
	if (relation != NULL)
		*relation = '\0';
	if (p == names)
		dbperf_json_text(writer, "Constraint Name", names + strlen("for constraint "));
	else
		dbperf_json_text(writer, "Trigger Name", names);
	if (relation != NULL)
		dbperf_json_text(writer, "Relation", relation + strlen(" on "));
	if (calls != NULL)
	{
		const char *time = strstr(calls + 1, "time=");

		calls = strstr(calls + 1, "calls=");
		if (time != NULL)
			dbperf_json_number(writer, "Time", atof(time + 5), 3);
		if (calls != NULL)
			dbperf_json_number(writer, "Calls", atof(calls + 6), 0);
	}
	dbperf_json_close(writer, '}');
}

/* Writes the triggers, which all stand together. */
static void
json_triggers(JsonWriter *writer, const PlanTree *tree)
{
	ListCell *lc;

	dbperf_json_open(writer, "Triggers", '[');
	foreach (lc, tree->summary)
	{
		PlanProperty *property = lfirst(lc);

		if (strcmp(property->key, "Trigger") == 0)
			json_trigger(writer, property->value);
	}
	dbperf_json_close(writer, ']');
}

/* Writes "Inlining true, Optimization false" or "Generation 1.000 ms, ..." as an object. */
static void
json_jit_part(JsonWriter *writer, const PlanProperty *property)
{
	bool		times = strcmp(property->key, "Timing") == 0;
	const char *p = property->value;

	dbperf_json_open(writer, property->key, '{');
	while (*p != '\0')
	{
		int	  len = (int) strcspn(p, " (");
		char *name = pnstrdup(p, len);

		p += len + strspn(p + len, " ");
		if (times)
			dbperf_json_number(writer, name, atof(p), 3);
		else
			dbperf_json_bool(writer, name, strncmp(p, "true", 4) == 0);
		p += strcspn(p, ",");
		p += strspn(p, ", ");
	}
	dbperf_json_close(writer, '}');
}

/* Writes what stands below the plan. */
static void
json_summary(JsonWriter *writer, const PlanTree *tree)
{
	bool	  in_jit = false;
	ListCell *lc;

	if (tree->analyzed)
		json_triggers(writer, tree);
	foreach (lc, tree->summary)
	{
		PlanProperty *property = lfirst(lc);
		bool		  part = strcmp(property->key, "Functions") == 0 ||
					strcmp(property->key, "Options") == 0 || strcmp(property->key, "Timing") == 0;

		if (in_jit && !part)
		{
			dbperf_json_close(writer, '}');
			in_jit = false;
		}
		if (strcmp(property->key, "JIT") == 0)
		{
			dbperf_json_open(writer, "JIT", '{');
			in_jit = true;
		}
		else if (in_jit && strcmp(property->key, "Functions") == 0)
			dbperf_json_number(writer, "Functions", atof(property->value), 0);
		else if (in_jit)
			json_jit_part(writer, property);
		else if (strcmp(property->key, "Planning Time") == 0 ||
				 strcmp(property->key, "Execution Time") == 0)
			dbperf_json_number(writer, property->key, atof(property->value), 3);
		else if (strcmp(property->key, "Query Identifier") == 0)
			dbperf_json_integer(writer, property->key, property->value);
	}
	if (in_jit)
		dbperf_json_close(writer, '}');
}

void
dbperf_plan_json(const PlanTree *tree, StringInfo out)
{
	JsonWriter writer = {out, 1, true, tree->analyzed, false};
	ListCell  *lc;

	foreach (lc, tree->nodes)
	{
		if (dbperf_plan_property(lfirst(lc), "Buffers") != NULL)
			writer.buffers = true;
	}
	appendStringInfoChar(out, '[');
	dbperf_json_open(&writer, NULL, '{');
	json_node(&writer, tree->root, "Plan");
	json_summary(&writer, tree);
	dbperf_json_close(&writer, '}');
	appendStringInfoString(out, "\n]");
}
