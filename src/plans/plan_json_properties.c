/*-------------------------------------------------------------------------
 *
 * plan_json_properties.c
 *		The lines below a node, as members of its object.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "plans/plan_json.h"
#include "plans/plan_parse.h"

/* Properties whose values are lists of expressions. */
static const char *const list_keys[] = {
	"Sort Key",		   "Presorted Key", "Group Key", "Output", "Conflict Arbiter Indexes",
	"Params Evaluated"};

/* Properties whose values are numbers, beside those that count removed rows. */
static const char *const number_keys[] = {
	"Heap Fetches",		"Index Searches",  "Workers Planned",	"Workers Launched",
	"Subplans Removed", "Tuples Inserted", "Conflicting Tuples"};

/* What is 0 when its line is missing although the other one is there. */
static const struct
{
	const char *condition;
	const char *count;
} removed[] = {{"Filter", "Rows Removed by Filter"},
			   {"Join Filter", "Rows Removed by Join Filter"},
			   {"Conflict Filter", "Rows Removed by Conflict Filter"},
			   {"Recheck Cond", "Rows Removed by Index Recheck"},
			   {"Index Cond", "Rows Removed by Index Recheck"}};

static bool
is_one_of(const char *key, const char *const *keys, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (strcmp(key, keys[i]) == 0)
			return true;
	}
	return false;
}

/* Does an aggregate have grouping sets, which look different in JSON? */
static bool
has_grouping_sets(const PlanNode *node)
{
	int		  keys = 0;
	ListCell *lc;

	if (strcmp(node->type, "Aggregate") != 0)
		return false;
	foreach (lc, node->properties)
	{
		PlanProperty *property = lfirst(lc);

		if (strcmp(property->key, "Hash Key") == 0 || strcmp(property->key, "Sort Key") == 0 ||
			strcmp(property->value, "()") == 0)
			return true;
		keys += strcmp(property->key, "Group Key") == 0 ? 1 : 0;
	}
	return keys > 1;
}

/* Writes one set of keys; "()" is the empty one. */
static void
write_keys(JsonWriter *writer, const char *value)
{
	dbperf_json_list(writer, NULL, strcmp(value, "()") == 0 ? "" : value);
}

/*
 * Writes the keys of an aggregate with grouping sets.  A sort begins a group of
 * sets, and each hash table is one.
 */
static void
write_grouping_sets(JsonWriter *writer, const PlanNode *node)
{
	ListCell   *lc;
	bool		open = false; /* an object */
	const char *keys = NULL;  /* the array open in it */

	dbperf_json_open(writer, "Grouping Sets", '[');
	foreach (lc, node->properties)
	{
		PlanProperty *property = lfirst(lc);
		bool		  sort = strcmp(property->key, "Sort Key") == 0;
		bool		  hash = strcmp(property->key, "Hash Key") == 0;

		if (!sort && !hash && strcmp(property->key, "Group Key") != 0)
			continue;
		if (open && (sort || hash || (keys != NULL && strcmp(keys, "Hash Keys") == 0)))
		{
			if (keys != NULL)
				dbperf_json_close(writer, ']');
			dbperf_json_close(writer, '}');
			open = false;
		}
		if (!open)
		{
			dbperf_json_open(writer, NULL, '{');
			open = true;
			keys = NULL;
		}
		if (sort)
		{
			dbperf_json_list(writer, "Sort Key", property->value);
			continue;
		}
		if (keys == NULL)
		{
			keys = hash ? "Hash Keys" : "Group Keys";
			dbperf_json_open(writer, keys, '[');
		}
		write_keys(writer, property->value);
	}
	if (open)
	{
		if (keys != NULL)
			dbperf_json_close(writer, ']');
		dbperf_json_close(writer, '}');
	}
	dbperf_json_close(writer, ']');
}

/* Writes the tables that a node changes. */
static void
write_targets(JsonWriter *writer, const PlanNode *node)
{
	ListCell *lc;
	bool	  open = false;

	foreach (lc, node->properties)
	{
		PlanProperty *property = lfirst(lc);
		PlanNode	 *target;
		char		 *line;

		if (strcmp(property->key, "Target Table") != 0)
			continue;
		if (!open)
			dbperf_json_open(writer, "Target Tables", '[');
		open = true;
		line = psprintf("Update on %s", property->value);
		target = dbperf_plan_read_node(line, (int) strlen(line));
		dbperf_json_open(writer, NULL, '{');
		if (target != NULL)
		{
			dbperf_json_text(writer, "Relation Name", target->relation);
			dbperf_json_text(writer, "Schema", target->schema);
			dbperf_json_text(writer, "Alias", target->alias);
		}
		dbperf_json_close(writer, '}');
	}
	if (open)
		dbperf_json_close(writer, ']');
}

/* Writes what one worker said, a line for each thing. */
static void
write_worker(JsonWriter *writer, const PlanProperty *property)
{
	char *p = pstrdup(property->value);

	dbperf_json_open(writer, NULL, '{');
	dbperf_json_number(writer, "Worker Number", atof(property->key + strlen("Worker ")), 0);
	while (p != NULL && *p != '\0')
	{
		char *next = strchr(p, '\n');
		char *colon;

		if (next != NULL)
			*next++ = '\0';
		colon = strchr(p, ':');
		if (colon != NULL)
		{
			*colon++ = '\0';
			(void) dbperf_json_composite(writer, p, colon + strspn(colon, " "));
		}
		p = next;
	}
	dbperf_json_close(writer, '}');
}

/* Does a node run in the workers of a node above? */
static bool
is_parallel(const PlanNode *node)
{
	for (; node->parent != NULL; node = node->parent)
	{
		if (node->relationship != NULL && strcmp(node->relationship, "InitPlan") == 0)
			return false;
		if (strncmp(node->parent->type, "Gather", 6) == 0)
			return true;
	}
	return false;
}

static void
write_workers(JsonWriter *writer, const PlanNode *node)
{
	ListCell *lc;
	bool	  open = false;

	foreach (lc, node->properties)
	{
		PlanProperty *property = lfirst(lc);

		if (strncmp(property->key, "Worker ", 7) != 0)
			continue;
		if (!open)
			dbperf_json_open(writer, "Workers", '[');
		open = true;
		write_worker(writer, property);
	}
	if (!open && writer->analyzed && is_parallel(node))
	{
		/* they ran, and there is nothing to be said of them */
		dbperf_json_open(writer, "Workers", '[');
		open = true;
	}
	if (open)
		dbperf_json_close(writer, ']');
}

/* Writes one property. */
static void
write_property(JsonWriter *writer, const PlanProperty *property)
{
	const char *key = property->key;
	const char *value = property->value;

	if (is_one_of(key, list_keys, lengthof(list_keys)))
		dbperf_json_list(writer, key, value);
	else if (is_one_of(key, number_keys, lengthof(number_keys)) ||
			 strncmp(key, "Rows Removed by ", 16) == 0)
		dbperf_json_number(writer, key, atof(value), strchr(value, '.') != NULL ? 2 : 0);
	else if (strcmp(key, "Disabled") == 0 || strcmp(key, "Single Copy") == 0 ||
			 strcmp(key, "Inner Unique") == 0)
		dbperf_json_bool(writer, key, strcmp(value, "true") == 0);
	else if (!dbperf_json_composite(writer, key, value))
		dbperf_json_text(writer, key, value);
}

/* Writes the counts that the text form leaves out because they are 0. */
static void
write_zeros(JsonWriter *writer, const PlanNode *node)
{
	if (writer->analyzed)
	{
		for (int i = 0; i < (int) lengthof(removed); i++)
		{
			/* a bitmap index scan has conditions but returns no rows */
			if (dbperf_plan_property(node, removed[i].condition) != NULL &&
				dbperf_plan_property(node, removed[i].count) == NULL &&
				strcmp(node->type, "Bitmap Index Scan") != 0)
				dbperf_json_number(writer, removed[i].count, 0, 0);
		}
		if (strcmp(node->type, "Bitmap Heap Scan") == 0 &&
			dbperf_plan_property(node, "Heap Blocks") == NULL)
			(void) dbperf_json_composite(writer, "Heap Blocks", "");
	}
	if (strcmp(node->type, "Gather") == 0 && dbperf_plan_property(node, "Single Copy") == NULL)
		dbperf_json_bool(writer, "Single Copy", false);
	if ((strcmp(node->type, "Append") == 0 || strcmp(node->type, "Merge Append") == 0) &&
		dbperf_plan_property(node, "Subplans Removed") == NULL)
		dbperf_json_number(writer, "Subplans Removed", 0, 0);
	if (node->strategy != NULL && strcmp(node->type, "Aggregate") == 0 &&
		(strcmp(node->strategy, "Hashed") == 0 || strcmp(node->strategy, "Mixed") == 0))
	{
		bool planned = dbperf_plan_property(node, "Planned Partitions") != NULL;
		bool batches = dbperf_plan_property(node, "Batches") != NULL ||
					   dbperf_plan_part(node, "Planned Partitions", "Batches", -1) >= 0;

		if (!planned && node->has_cost)
			dbperf_json_number(writer, "Planned Partitions", 0, 0);
		if (batches && dbperf_plan_part(node, planned ? "Planned Partitions" : "Batches",
										"Disk Usage", -1) < 0)
			dbperf_json_number(writer, "Disk Usage", 0, 0);
	}
	if (writer->buffers && dbperf_plan_property(node, "Buffers") == NULL)
		dbperf_json_buffers(writer, NULL);
	if (DBPERF_EXPLAINS_DISABLED && dbperf_plan_property(node, "Disabled") == NULL)
		dbperf_json_bool(writer, "Disabled", false);
}

/*
 * Writes all that stands below a node.
 */
void
dbperf_json_properties(JsonWriter *writer, const PlanNode *node)
{
	bool	  sets = has_grouping_sets(node);
	ListCell *lc;

	foreach (lc, node->properties)
	{
		PlanProperty *property = lfirst(lc);
		bool		  key = strcmp(property->key, "Sort Key") == 0 ||
				   strcmp(property->key, "Group Key") == 0 ||
				   strcmp(property->key, "Hash Key") == 0;

		if ((sets && key) || strcmp(property->key, "Target Table") == 0 ||
			strncmp(property->key, "Worker ", 7) == 0)
			continue;
		write_property(writer, property);
	}
	if (sets)
		write_grouping_sets(writer, node);
	write_targets(writer, node);
	write_zeros(writer, node);
	write_workers(writer, node);
}
