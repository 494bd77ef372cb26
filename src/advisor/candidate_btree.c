/*-------------------------------------------------------------------------
 *
 * candidate_btree.c
 *		Btree candidates: equality columns, then one range or an order, and
 *		the columns that make the scan index-only.
 *
 * The most promising ones come first, since what is above the limits is cut.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "advisor/usages.h"
#include "catalog/pg_am.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"

/* Keys longer than this gain nothing. */
#define MAX_KEY_COLUMNS 6

/* By attribute number, expressions first. */
static int
compare_columns(const ListCell *a, const ListCell *b)
{
	const IndexColumn *first = lfirst(a);
	const IndexColumn *second = lfirst(b);

	return first->attno - second->attno;
}

/* Sorts columns of a table by selectivity; plain columns before expressions. */
static List *
sort_by_selectivity(TableUse *use, List *columns)
{
	List *sorted = NIL;

	list_sort(columns, compare_columns);
	while (columns != NIL)
	{
		ListCell	*lc;
		IndexColumn *best = NULL;
		double		 best_distinct = -1;

		foreach (lc, columns)
		{
			double distinct = dbperf_candidate_column(use->table, lfirst(lc))->distinct;

			if (distinct > best_distinct)
			{
				best = lfirst(lc);
				best_distinct = distinct;
			}
		}
		sorted = lappend(sorted, best);
		columns = list_delete_ptr(columns, best);
	}
	return sorted;
}

/* The columns of a join condition go with those of the same other table. */
static void
add_join(KeyParts *parts, List **partners, Condition *condition)
{
	ListCell *lc;
	ListCell *lc2;

	forboth (lc, parts->joins, lc2, *partners)
	{
		if (lfirst_int(lc2) == condition->partner)
		{
			if (!dbperf_column_in(&condition->column, lfirst(lc)))
				lfirst(lc) = lappend(lfirst(lc), &condition->column);
			return;
		}
	}
	parts->joins = lappend(parts->joins, list_make1(&condition->column));
	*partners = lappend_int(*partners, condition->partner);
}

/* Adds a range unless it is there. */
static void
add_range(KeyParts *parts, Condition *condition)
{
	ListCell *lc;
	List	 *columns = list_concat(list_make1(&condition->column), condition->row);

	foreach (lc, parts->ranges)
	{
		IndexColumn *first = linitial(lfirst(lc));

		if (list_length(lfirst(lc)) == list_length(columns) &&
			dbperf_column_same(first, &condition->column) &&
			first->opclass == condition->column.opclass)
			return;
	}
	parts->ranges = lappend(parts->ranges, columns);
}

/*
 * Sorts conditions by what they can do in a btree's key.
 */
void
dbperf_key_parts(TableUse *use, List *conditions, KeyParts *parts)
{
	List	 *partners = NIL;
	List	 *nulls = NIL; /* IS NULL and truth values, which select little */
	ListCell *lc;

	memset(parts, 0, sizeof(KeyParts));
	foreach (lc, conditions)
	{
		Condition *condition = lfirst(lc);

		if (condition->am != BTREE_AM_OID)
			continue;
		switch (condition->kind)
		{
			case USAGE_NULLNESS:
				if (condition->negated && condition->value == NULL)
				{
					add_range(parts, condition);
					break;
				}
				if (!dbperf_column_in(&condition->column, nulls))
					nulls = lappend(nulls, &condition->column);
				break;
			case USAGE_EQUAL:
				if (!dbperf_column_in(&condition->column, parts->equal))
					parts->equal = lappend(parts->equal, &condition->column);
				if (condition->list)
					parts->lists = lappend(parts->lists, &condition->column);
				break;
			case USAGE_JOIN:
				add_join(parts, &partners, condition);
				break;
			case USAGE_RANGE:
				add_range(parts, condition);
				break;
			default:
				break;
		}
	}
	parts->equal = sort_by_selectivity(use, parts->equal);
	foreach (lc, nulls)
	{
		if (!dbperf_column_in(lfirst(lc), parts->equal))
			parts->equal = lappend(parts->equal, lfirst(lc));
	}
	foreach (lc, parts->joins)
		lfirst(lc) = sort_by_selectivity(use, lfirst(lc));
}

/* Whether the columns include the whole key of a unique index. */
static bool
cover_unique(TableUse *use, List *columns)
{
	ListCell *lc;

	foreach (lc, use->table->reals)
	{
		RealIndex *real = lfirst(lc);
		bool	   all = real->unique && real->valid && real->def->predicate == NIL;

		for (int i = 0; all && i < real->def->nkeys; i++)
			all = dbperf_column_in(&real->def->columns[i], columns);
		if (all)
			return true;
	}
	return false;
}

/*
 * The columns that an index-only scan needs: a predicate's are tested by being
 * in the index at all.
 */
static Bitmapset *
columns_to_carry(TableUse *use, List *predicate)
{
	Bitmapset *attnos = NULL;
	Bitmapset *result = bms_copy(use->referenced);
	int		   attno = -1;

	pull_varattnos((Node *) predicate, 1, &attnos);
	while ((attno = bms_next_member(attnos, attno)) >= 0)
	{
		int own = attno + FirstLowInvalidHeapAttributeNumber;

		if (own > 0 && !bms_is_member(own, use->repeated))
			result = bms_del_member(result, own);
	}
	return result;
}

/*
 * Proposes the key "equal" (columns that may come in any order) followed by
 * "rest" with the predicate, and with cover also its index-only variant.
 * Returns false when there are too many candidates already.
 */
bool
dbperf_candidates_key(QueryUses *uses, TableUse *use, List *equal, List *rest, List *predicate,
					  bool cover)
{
	IndexDef  def;
	ListCell *lc;
	int		  nequal = 0;

	memset(&def, 0, sizeof(def));
	def.relid = use->table->relid;
	def.am = BTREE_AM_OID;
	def.predicate = predicate;
	foreach (lc, equal)
	{
		if (def.nkeys < MAX_KEY_COLUMNS && dbperf_column_in_key(lfirst(lc), &def) < 0)
			def.columns[def.nkeys++] = *(IndexColumn *) lfirst(lc);
	}
	nequal = def.nkeys;
	foreach (lc, rest)
	{
		/* a column that equals a value is in any order */
		if (def.nkeys < MAX_KEY_COLUMNS && dbperf_column_in_key(lfirst(lc), &def) < 0)
			def.columns[def.nkeys++] = *(IndexColumn *) lfirst(lc);
	}
	if (def.nkeys == 0)
		return true;
	def.ncolumns = def.nkeys;
	if (!cover)
		return dbperf_candidate_propose(uses, use, &def, nequal);
	if (!use->fetches_row && !use->whole_row &&
		dbperf_candidate_cover(use->table, &def, columns_to_carry(use, predicate)))
		return dbperf_candidate_propose(uses, use, &def, nequal);
	return true;
}

/* E, E + order, E + range, orders and ranges alone; all with or without INCLUDE. */
static void
propose_main(QueryUses *uses, TableUse *use, KeyParts *parts, List *orderings, bool cover)
{
	ListCell *lc;
	bool	  unique = cover_unique(use, parts->equal);

	foreach (lc, orderings)
	{
		Ordering *ordering = lfirst(lc);

		if (ordering->am == BTREE_AM_OID && !unique)
			dbperf_candidates_key(uses, use, parts->equal, ordering->columns, NIL, cover);
	}
	if (!unique || list_length(parts->equal) == 1)
		dbperf_candidates_key(uses, use, parts->equal, NIL, NIL, cover);
	if (unique)
		return;
	foreach (lc, parts->ranges)
		dbperf_candidates_key(uses, use, parts->equal, lfirst(lc), NIL, cover);
	foreach (lc, orderings)
	{
		Ordering *ordering = lfirst(lc);

		if (ordering->am == BTREE_AM_OID && parts->equal != NIL)
			dbperf_candidates_key(uses, use, NIL, ordering->columns, NIL, cover);
	}
	if (parts->equal == NIL)
		return;
	foreach (lc, parts->ranges)
		dbperf_candidates_key(uses, use, NIL, lfirst(lc), NIL, cover);
}

/* Joins alone, after equality, before it, and before a range. */
static void
propose_joins(QueryUses *uses, TableUse *use, KeyParts *parts, bool cover)
{
	ListCell *lc;
	ListCell *lc2;

	foreach (lc, parts->joins)
	{
		List *join = lfirst(lc);

		if (cover_unique(use, join))
			continue;
		dbperf_candidates_key(uses, use, join, NIL, NIL, cover);
		if (parts->equal != NIL)
		{
			List *both = list_concat_copy(join, parts->equal);

			dbperf_candidates_key(uses, use, both, NIL, NIL, cover);
			dbperf_candidates_key(uses, use, list_concat_copy(parts->equal, join), NIL, NIL, cover);
		}
		foreach (lc2, parts->ranges)
			dbperf_candidates_key(uses, use, list_concat_copy(join, parts->equal), lfirst(lc2), NIL,
								  cover);
		foreach (lc2, use->orderings)
		{
			Ordering *ordering = lfirst(lc2);

			if (ordering->am == BTREE_AM_OID && ordering->limit)
				dbperf_candidates_key(uses, use, list_concat_copy(join, parts->equal),
									  ordering->columns, NIL, cover);
		}
	}
}

/* Every column by itself, and the first two of several. */
static void
propose_parts(QueryUses *uses, TableUse *use, KeyParts *parts)
{
	ListCell *lc;
	ListCell *lc2;

	foreach (lc, parts->equal)
		dbperf_candidates_key(uses, use, list_make1(lfirst(lc)), NIL, NIL, false);
	foreach (lc, parts->joins)
	{
		foreach (lc2, (List *) lfirst(lc))
			dbperf_candidates_key(uses, use, list_make1(lfirst(lc2)), NIL, NIL, false);
	}
	foreach (lc, parts->ranges)
		dbperf_candidates_key(uses, use, NIL, list_make1(linitial(lfirst(lc))), NIL, false);
	if (list_length(parts->equal) > 2)
		dbperf_candidates_key(uses, use, list_make2(linitial(parts->equal), lsecond(parts->equal)),
							  NIL, NIL, false);

	/* a column that selects little only makes the key longer */
	if (list_length(parts->equal) < 2 || cover_unique(use, list_make1(linitial(parts->equal))))
		return;
	foreach (lc, parts->ranges)
		dbperf_candidates_key(uses, use, list_make1(linitial(parts->equal)), lfirst(lc), NIL,
							  false);
	foreach (lc, use->orderings)
	{
		Ordering *ordering = lfirst(lc);

		if (ordering->am == BTREE_AM_OID && ordering->limit)
			dbperf_candidates_key(uses, use, list_make1(linitial(parts->equal)), ordering->columns,
								  NIL, false);
	}
}

/*
 * With a limit the order may come before what only filters: the rest of the
 * conditions are tested in the index. IN lists do not keep the order behind
 * them.
 */
static void
propose_limits(QueryUses *uses, TableUse *use, KeyParts *parts)
{
	List	 *single = NIL;
	ListCell *lc;
	ListCell *lc2;

	foreach (lc, parts->equal)
	{
		if (!dbperf_column_in(lfirst(lc), parts->lists))
			single = lappend(single, lfirst(lc));
	}
	foreach (lc, use->orderings)
	{
		Ordering *ordering = lfirst(lc);

		if (ordering->am != BTREE_AM_OID || !ordering->limit)
			continue;
		if (parts->lists != NIL)
			dbperf_candidates_key(uses, use, single,
								  list_concat_copy(ordering->columns, parts->lists), NIL, false);
		foreach (lc2, parts->ranges)
			dbperf_candidates_key(uses, use, single,
								  list_concat_copy(ordering->columns, lfirst(lc2)), NIL, false);
	}
}

/*
 * Proposes all btrees for one use of a table.
 */
void
dbperf_candidates_btree(QueryUses *uses, TableUse *use)
{
	KeyParts  parts;
	ListCell *lc;

	dbperf_key_parts(use, use->conditions, &parts);
	propose_main(uses, use, &parts, use->orderings, false);
	propose_joins(uses, use, &parts, false);
	propose_parts(uses, use, &parts);
	propose_limits(uses, use, &parts);
	foreach (lc, use->arms)
	{
		KeyParts arm;
		KeyParts both;

		CHECK_FOR_INTERRUPTS();
		dbperf_key_parts(use, lfirst(lc), &arm);
		propose_main(uses, use, &arm, NIL, false);
		propose_joins(uses, use, &arm, false);
		if (parts.equal == NIL || (arm.equal == NIL && arm.ranges == NIL))
			continue;

		/* what is ANDed with the OR belongs to each of its arms */
		both = arm;
		both.equal = sort_by_selectivity(use, list_concat_copy(arm.equal, parts.equal));
		both.joins = NIL;
		propose_main(uses, use, &both, NIL, false);
	}
	dbperf_candidates_partial(uses, use);
	propose_main(uses, use, &parts, use->orderings, true);
	propose_joins(uses, use, &parts, true);
}
