/*-------------------------------------------------------------------------
 *
 * candidate_class.c
 *		Candidates of other access methods than btree: GIN and GiST where an
 *		operator needs them, BRIN for big tables in physical order.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "advisor/usages.h"
#include "catalog/pg_am.h"
#include "commands/defrem.h"

/* Rows have to lie nearly in the column's order for BRIN. */
#define BRIN_MIN_CORRELATION 0.9

/* Proposes an index of one column. */
static void
propose_one(QueryUses *uses, TableUse *use, Oid am, const IndexColumn *column, int pages_per_range)
{
	IndexDef def;

	memset(&def, 0, sizeof(def));
	def.relid = use->table->relid;
	def.am = am;
	def.nkeys = def.ncolumns = 1;
	def.pages_per_range = pages_per_range;
	def.columns[0] = *column;
	dbperf_candidate_propose(uses, use, &def, 1);
}

/* A BRIN index is tiny, and as good as a btree where the rows lie in order. */
static void
propose_brin(QueryUses *uses, TableUse *use, const Condition *condition)
{
	const ColumnStats *stats = dbperf_candidate_column(use->table, &condition->column);
	IndexColumn		   column = condition->column;

	if (use->table->pages < uses->set->brin_table_pages ||
		fabs(stats->correlation) < BRIN_MIN_CORRELATION ||
		(condition->kind != USAGE_RANGE && condition->kind != USAGE_EQUAL))
		return;
	column.opclass = GetDefaultOpClass(column.type, BRIN_AM_OID);
	if (!OidIsValid(column.opclass))
		return;
	propose_one(uses, use, BRIN_AM_OID, &column, 32);
	propose_one(uses, use, BRIN_AM_OID, &column, 128);
}

/* What one list of conditions needs. */
static void
propose_conditions(QueryUses *uses, TableUse *use, List *conditions)
{
	ListCell *lc;

	foreach (lc, conditions)
	{
		Condition *condition = lfirst(lc);

		if (condition->am == BTREE_AM_OID)
			propose_brin(uses, use, condition);
		else
			propose_one(uses, use, condition->am, &condition->column, 0);
	}
}

/*
 * Proposes all but btrees for one use of a table.
 */
void
dbperf_candidates_class(QueryUses *uses, TableUse *use)
{
	ListCell *lc;

	propose_conditions(uses, use, use->conditions);
	foreach (lc, use->arms)
		propose_conditions(uses, use, lfirst(lc));
	foreach (lc, use->orderings)
	{
		Ordering *ordering = lfirst(lc);

		if (ordering->am != BTREE_AM_OID)
			propose_one(uses, use, ordering->am, linitial(ordering->columns), 0);
	}
}
