/*-------------------------------------------------------------------------
 *
 * candidate_partial.c
 *		Partial indexes: for rare constants that are written in the statement,
 *		for IS NULL, and for columns that are mostly null.
 *
 * A value of a parameter makes no predicate: the next call has another one.
 * Nor does a literal of a column with many values, which a client may have
 * pasted into the text.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/usages.h"
#include "catalog/pg_am.h"
#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"

/*
 * A constant is rare up to this fraction of the rows, and if it has up to this
 * share of what each of the column's values would have if all were as frequent:
 * where all are alike, other calls of the statement will have others.
 */
#define RARE_FRACTION 0.10
#define RARE_SHARE 0.5
/* Columns with more values have none that means something by itself. */
#define RARE_MAX_DISTINCT 100
/* So many nulls make it worth while to leave them out. */
#define MOSTLY_NULL 0.5
/* Rows that are not deleted are fewer than all from here on. */
#define SOFT_DELETE_MAX 0.97

/* So many conditions of a use become predicates. */
#define MAX_PREDICATES 4

/* The fraction of rows that a condition leaves, or -1 if it makes no predicate. */
static double
predicate_fraction(TableUse *use, const Condition *condition)
{
	const ColumnStats *stats = dbperf_candidate_column(use->table, &condition->column);

	if (condition->clause == NULL || condition->column.attno == InvalidAttrNumber ||
		!stats->known || condition->am != BTREE_AM_OID)
		return -1;
	if (condition->kind == USAGE_NULLNESS && condition->value == NULL)
		return condition->negated ? 1 - stats->nulls : stats->nulls;
	if ((condition->kind == USAGE_EQUAL || condition->kind == USAGE_NULLNESS) &&
		condition->value != NULL && !condition->list && stats->distinct <= RARE_MAX_DISTINCT)
		return dbperf_candidate_frequency(use->table, condition->column.attno, condition->value);
	return -1;
}

/* Whether a constant with this fraction of the rows stands out. */
static bool
rare_fraction(TableUse *use, const Condition *condition, double fraction)
{
	const ColumnStats *stats = dbperf_candidate_column(use->table, &condition->column);

	return fraction <= RARE_FRACTION && fraction <= RARE_SHARE / stats->distinct;
}

/* Proposes what the rest of the conditions needs, for rows of the predicate. */
static void
propose_rest(QueryUses *uses, TableUse *use, List *predicate, List *without, bool rare)
{
	List	 *rest = NIL;
	List	 *clauses = NIL;
	KeyParts  parts;
	ListCell *lc;
	bool	  any;

	foreach (lc, use->conditions)
	{
		Condition *condition = lfirst(lc);

		if (!list_member_ptr(without, condition) &&
			!dbperf_column_same(&condition->column, &((Condition *) linitial(without))->column))
			rest = lappend(rest, condition);
	}
	foreach (lc, predicate)
		clauses = lappend(clauses, ((Condition *) lfirst(lc))->clause);
	dbperf_key_parts(use, rest, &parts);
	any = parts.equal != NIL || parts.joins != NIL || parts.ranges != NIL;

	foreach (lc, use->orderings)
	{
		Ordering *ordering = lfirst(lc);

		if (ordering->am != BTREE_AM_OID || (!ordering->limit && !rare))
			continue;
		dbperf_candidates_key(uses, use, parts.equal, ordering->columns, clauses, false);
		any = true;
	}
	foreach (lc, parts.ranges)
		dbperf_candidates_key(uses, use, parts.equal, lfirst(lc), clauses, false);
	if (parts.equal != NIL)
	{
		dbperf_candidates_key(uses, use, parts.equal, NIL, clauses, false);
		dbperf_candidates_key(uses, use, parts.equal, NIL, clauses, true);
	}
	foreach (lc, parts.joins)
		dbperf_candidates_key(uses, use, lfirst(lc), NIL, clauses, false);

	/* something has to be the key */
	if (!any && rare)
	{
		IndexColumn *column = &((Condition *) linitial(without))->column;

		dbperf_candidates_key(uses, use, list_make1(column), NIL, clauses, false);
		dbperf_candidates_key(uses, use, list_make1(column), NIL, clauses, true);
	}
}

/* Columns that are mostly null need no entries for their nulls. */
static void
propose_not_null(QueryUses *uses, TableUse *use)
{
	ListCell *lc;

	foreach (lc, use->conditions)
	{
		Condition		  *condition = lfirst(lc);
		IndexColumn		  *column = &condition->column;
		const ColumnStats *stats = dbperf_candidate_column(use->table, column);
		NullTest		  *test;

		if (condition->am != BTREE_AM_OID || column->attno == InvalidAttrNumber ||
			condition->kind == USAGE_NULLNESS || !stats->known || stats->nulls < MOSTLY_NULL)
			continue;
		test = makeNode(NullTest);
		test->arg = (Expr *) makeVar(1, column->attno, column->type, column->typmod,
									 get_typcollation(column->type), 0);
		test->nulltesttype = IS_NOT_NULL;
		test->location = -1;
		dbperf_candidates_key(uses, use, list_make1(column), NIL, list_make1(test), false);
	}
}

/*
 * Proposes the partial indexes for one use of a table.
 */
void
dbperf_candidates_partial(QueryUses *uses, TableUse *use)
{
	List	 *predicates = NIL;
	ListCell *lc;

	foreach (lc, use->conditions)
	{
		Condition *condition = lfirst(lc);
		double	   fraction = predicate_fraction(use, condition);
		bool	   rare;

		if (fraction < 0 || fraction > SOFT_DELETE_MAX || list_length(predicates) == MAX_PREDICATES)
			continue;
		if (condition->kind == USAGE_NULLNESS && condition->value == NULL)
			rare = fraction <= 1 - MOSTLY_NULL;
		else if (!rare_fraction(use, condition, fraction))
			continue;
		else
			rare = true;
		propose_rest(uses, use, list_make1(condition), list_make1(condition), rare);
		predicates = lappend(predicates, condition);
	}
	if (list_length(predicates) > 1)
		propose_rest(uses, use, predicates, predicates, true);
	propose_not_null(uses, use);
}
