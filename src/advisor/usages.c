/*-------------------------------------------------------------------------
 *
 * usages.c
 *		Walks an analysed query and collects what it asks of its tables.
 *
 * The query is taken apart into levels (SELECTs inside of each other) first,
 * because a condition in one of them may be one on a table of another.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/usages.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"

/* Statements with more levels than this are not looked at beyond them. */
#define MAX_LEVELS 500

typedef struct WalkContext
{
	QueryUses  *uses;
	QueryLevel *level;
} WalkContext;

static QueryLevel *level_build(QueryUses *uses, Query *query, QueryLevel *parent);

/* Walks what belongs to a level itself, except for its target list. */
static bool
walk_level(QueryLevel *level, bool (*walker)(Node *node, void *arg), void *arg)
{
	Query query = *level->query;

	query.targetList = NIL;
	return query_tree_walker(&query, walker, arg,
							 QTW_IGNORE_RC_SUBQUERIES | QTW_IGNORE_JOINALIASES);
}

/* Builds the levels of sublinks. */
static bool
sublink_walker(Node *node, void *arg)
{
	WalkContext *context = arg;

	if (node == NULL)
		return false;
	if (IsA(node, SubLink))
	{
		SubLink	   *sublink = (SubLink *) node;
		QueryLevel *level;

		level = level_build(context->uses, (Query *) sublink->subselect, context->level);
		if (level != NULL)
			level->all_needed = sublink->subLinkType != EXISTS_SUBLINK;
		return sublink_walker(sublink->testexpr, arg);
	}
	if (IsA(node, Query))
		return false;
	return expression_tree_walker(node, sublink_walker, arg);
}

/* Whether the query writes or locks the rows of an entry. */
static bool
rows_fetched(Query *query, int rti)
{
	ListCell *lc;

	if (query->resultRelation == rti)
		return true;
	foreach (lc, query->rowMarks)
	{
		if (((RowMarkClause *) lfirst(lc))->rti == rti)
			return true;
	}
	return false;
}

/* The use of a base relation. */
static TableUse *
use_build(QueryUses *uses, Query *query, int rti, RangeTblEntry *rte)
{
	TableUse *use = palloc0(sizeof(TableUse));

	use->table = dbperf_candidate_table(uses->set, rte->relid);
	use->serial = list_length(uses->uses);
	use->fetches_row = rows_fetched(query, rti);
	uses->uses = lappend(uses->uses, use);
	return use;
}

/* Takes a query apart; NULL if it has too many levels. */
static QueryLevel *
level_build(QueryUses *uses, Query *query, QueryLevel *parent)
{
	QueryLevel *level;
	WalkContext context;
	ListCell   *lc;
	int			rti = 0;

	check_stack_depth();
	if (!IsA(query, Query) || list_length(uses->levels) >= MAX_LEVELS)
		return NULL;
	level = palloc0(sizeof(QueryLevel));
	level->query = query;
	level->parent = parent;
	level->serial = list_length(uses->levels) + 1;
	level->tables = palloc0(sizeof(TableUse *) * (list_length(query->rtable) + 1));
	level->subs = palloc0(sizeof(QueryLevel *) * (list_length(query->rtable) + 1));
	uses->levels = lappend(uses->levels, level);

	foreach (lc, query->cteList)
	{
		CommonTableExpr *cte = lfirst(lc);

		level->ctes = lappend(level->ctes, level_build(uses, (Query *) cte->ctequery, level));
	}
	foreach (lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst(lc);

		rti++;
		if (rte->rtekind == RTE_SUBQUERY)
			level->subs[rti - 1] = level_build(uses, rte->subquery, level);
		else if (rte->rtekind == RTE_RELATION)
			level->tables[rti - 1] = use_build(uses, query, rti, rte);
	}
	context.uses = uses;
	context.level = level;
	sublink_walker((Node *) query->targetList, &context);
	walk_level(level, sublink_walker, &context);
	return level;
}

/* The level of a sublink's query, or NULL. */
QueryLevel *
dbperf_usages_level_of(QueryUses *uses, Query *subselect)
{
	ListCell *lc;

	foreach (lc, uses->levels)
	{
		QueryLevel *level = lfirst(lc);

		if (level->query == subselect)
			return level;
	}
	return NULL;
}

/* ---- which columns are looked at ---- */

/* Marks one output column, or all (attno 0), of a level. */
static void
need(QueryLevel *level, int attno)
{
	if (level == NULL || level->all_needed)
		return;
	if (attno <= 0)
		level->all_needed = true;
	else
		level->needed = bms_add_member(level->needed, attno);
}

/* Marks the columns that canonical expressions use. */
static bool
reference_walker(Node *node, void *arg)
{
	WalkContext *context = arg;

	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var			  *var = (Var *) node;
		QueryLevel	  *level = context->level;
		RangeTblEntry *rte;
		TableUse	  *use;

		for (Index up = 0; up < var->varlevelsup && level != NULL; up++)
			level = level->parent;
		if (level == NULL || var->varno < 1 || var->varno > list_length(level->query->rtable))
			return false;
		rte = rt_fetch(var->varno, level->query->rtable);
		use = level->tables[var->varno - 1];
		if (use != NULL && var->varattno > 0)
		{
			if (bms_is_member(var->varattno, use->referenced))
				use->repeated = bms_add_member(use->repeated, var->varattno);
			use->referenced = bms_add_member(use->referenced, var->varattno);
		}
		else if (use != NULL && var->varattno == 0)
			use->whole_row = true;
		else if (rte->rtekind == RTE_SUBQUERY)
			need(level->subs[var->varno - 1], var->varattno);
		else if (rte->rtekind == RTE_CTE)
			need(dbperf_usage_cte_level(level, rte), var->varattno);
		return false;
	}
	if (IsA(node, Query))
		return false;
	return expression_tree_walker(node, reference_walker, arg);
}

/* Follows references through joins and grouping steps. */
static bool
canonical_reference_walker(Node *node, void *arg)
{
	WalkContext *context = arg;

	if (node == NULL || IsA(node, Query))
		return false;
	if (IsA(node, Var))
		return reference_walker(dbperf_usage_canonical(context->level, node), arg);
	return expression_tree_walker(node, canonical_reference_walker, arg);
}

/* Output columns of a set operation are those of its arms. */
static void
need_arms(QueryLevel *level)
{
	for (int rti = 1; rti <= list_length(level->query->rtable); rti++)
	{
		QueryLevel *sub = level->subs[rti - 1];
		int			attno = -1;

		if (sub == NULL)
			continue;
		if (level->all_needed || !((SetOperationStmt *) level->query->setOperations)->all)
			need(sub, 0);
		while ((attno = bms_next_member(level->needed, attno)) >= 0)
			need(sub, attno);
	}
}

/* Marks the columns that one level looks at. */
static void
level_references(QueryUses *uses, QueryLevel *level)
{
	WalkContext context = {uses, level};
	bool		all = level->all_needed || level->query->distinctClause != NIL;
	ListCell   *lc;

	if (level->query->setOperations != NULL)
		need_arms(level);
	foreach (lc, level->query->targetList)
	{
		TargetEntry *tle = lfirst(lc);

		if (all || tle->ressortgroupref != 0 || bms_is_member(tle->resno, level->needed))
			canonical_reference_walker((Node *) tle->expr, &context);
	}
	walk_level(level, canonical_reference_walker, &context);
}

/* How much has been marked so far. */
static int
references_count(QueryUses *uses)
{
	int		  count = 0;
	ListCell *lc;

	foreach (lc, uses->levels)
	{
		QueryLevel *level = lfirst(lc);

		count += level->all_needed ? 1 : 0;
		count += bms_num_members(level->needed);
	}
	return count;
}

/*
 * Adds what the query asks of its tables to uses.
 */
void
dbperf_usages_collect(QueryUses *uses, Query *query)
{
	QueryLevel *top;
	ListCell   *lc;
	int			before;

	uses->levels = NIL;
	top = level_build(uses, query, NULL);
	if (top == NULL)
		return;
	top->all_needed = true;

	/* a level's needs come from others, so until nothing is new */
	do
	{
		before = references_count(uses);
		foreach (lc, uses->uses)
		{
			((TableUse *) lfirst(lc))->referenced = NULL;
			((TableUse *) lfirst(lc))->repeated = NULL;
		}
		foreach (lc, uses->levels)
			level_references(uses, lfirst(lc));
		CHECK_FOR_INTERRUPTS();
	} while (references_count(uses) != before);

	foreach (lc, uses->levels)
		dbperf_usages_of_level(uses, lfirst(lc));
	foreach (lc, uses->levels)
		dbperf_usages_of_orders(uses, lfirst(lc));
}
