/*-------------------------------------------------------------------------
 *
 * analyze_effects.c
 *		What of an execution cannot be rolled back.
 *
 * Nobody knows what a volatile function does, so all are named but those of the
 * server's that leave nothing behind.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_proc.h"
#include "nodes/nodeFuncs.h"
#include "plans/analyze.h"
#include "utils/lsyscache.h"

/* the server's own volatile functions that leave nothing behind */
static const char *const harmless[] = {
	"clock_timestamp", "gen_random_uuid", "pg_sleep",  "pg_sleep_for", "pg_sleep_until",
	"random",		   "random_normal",	  "timeofday", "uuidv4",	   "uuidv7",
};

static void
add_effect(Analysis *analysis, const char *name)
{
	ListCell *lc;

	foreach (lc, analysis->effects)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return;
	}
	analysis->effects = lappend(analysis->effects, pstrdup(name));
}

/*
 * For check_functions_in_node(): notes a function.  Never says that it is the
 * one that was looked for.
 */
static bool
note_function(Oid function, void *context)
{
	char *name;

	if (func_volatile(function) != PROVOLATILE_VOLATILE)
		return false;
	name = get_func_name(function);
	if (name == NULL)
		return false;
	for (int i = 0; i < lengthof(harmless) && function < FirstNormalObjectId; i++)
	{
		if (strcmp(name, harmless[i]) == 0)
			return false;
	}
	add_effect(context, name);
	return false;
}

static bool
effects_walker(Node *node, void *context)
{
	Analysis *analysis = context;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query *query = (Query *) node;

		if (query->commandType != CMD_SELECT || query->rowMarks != NIL)
			analysis->writes = true;
		return query_tree_walker(query, effects_walker, context, 0);
	}
	if (IsA(node, NextValueExpr))
		add_effect(analysis, "nextval");
	(void) check_functions_in_node(node, note_function, context);
	return expression_tree_walker(node, effects_walker, context);
}

/*
 * Fills writes and effects, from the tree that has not been planned yet.
 */
void
dbperf_analyze_effects(Analysis *analysis)
{
	(void) effects_walker((Node *) analysis->tree, analysis);
}
