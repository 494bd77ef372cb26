/*-------------------------------------------------------------------------
 *
 * maint_make_plan.c
 *		The plan: every table's items, in the order in which they are done.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "maintenance/maint_facts.h"
#include "miscadmin.h"
#include "storage/lockdefs.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

/* Lower than any score. */
#define ANY_SCORE (-1.0)

/* Complete an item that is not NULL, and add it. */
static List *
add_item(MaintFacts *facts, List *items, MaintItem *item)
{
	if (item == NULL)
		return items;
	dbperf_maint_gate(facts, item);
	return lappend(items, item);
}

/*
 * Whether freezing makes a plain VACUUM of the table needless: if it is due, and
 * does not wait for something that the other need not wait for.
 */
static bool
freeze_comes(const MaintFacts *facts, const MaintItem *freeze)
{
	return freeze != NULL && freeze->score >= 1 &&
		   (freeze->not_now == NULL || freeze->horizon ||
			freeze->not_before <= facts->now + MAINT_RETRY * USECS_PER_SEC);
}

/* The items of a table. */
static List *
table_items(MaintFacts *facts, MaintRelation *table, double min_score, List *items)
{
	MaintItem *freeze = dbperf_maint_score_freeze(facts, table, min_score);

	items = add_item(facts, items, freeze);
	if (!freeze_comes(facts, freeze))
		items = add_item(facts, items, dbperf_maint_score_vacuum(facts, table, min_score));
	return add_item(facts, items, dbperf_maint_score_analyze(facts, table, min_score));
}

/* Whether an ANALYZE is about a partition whose parent's is due as well. */
static bool
covered_by_parent(MaintFacts *facts, const MaintItem *item, const HTAB *parents)
{
	const MaintRelation *table = dbperf_maint_relation(facts, item->table);

	if (item->action != MAINT_ANALYZE || table == NULL)
		return false;
	for (table = table->parent; table != NULL; table = table->parent)
	{
		if (hash_search((HTAB *) parents, &table->oid, HASH_FIND, NULL) != NULL)
			return true;
	}
	return false;
}

/*
 * Drop the ANALYZE of partitions whose parent's is due and can run now: until
 * 17 that one does them too.
 */
static List *
drop_covered(MaintFacts *facts, List *items)
{
	HASHCTL	  info = {.keysize = sizeof(Oid), .entrysize = sizeof(Oid), .hcxt = facts->context};
	HTAB	 *parents;
	List	 *kept = NIL;
	ListCell *lc;

	if (!DBPERF_ANALYZES_PARTITIONS)
		return items;
	parents =
		hash_create("dbperf analyzed parents", 16, &info, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	foreach (lc, items)
	{
		MaintItem			*item = lfirst(lc);
		const MaintRelation *table = dbperf_maint_relation(facts, item->table);

		if (item->action == MAINT_ANALYZE && item->score >= 1 && item->not_now == NULL &&
			table != NULL && table->kind == RELKIND_PARTITIONED_TABLE)
			(void) hash_search(parents, &item->table, HASH_ENTER, NULL);
	}
	foreach (lc, items)
	{
		if (!covered_by_parent(facts, lfirst(lc), parents))
			kept = lappend(kept, lfirst(lc));
	}
	return kept;
}

/* The order in which items are done. */
static int
compare_items(const ListCell *a, const ListCell *b)
{
	const MaintItem *one = lfirst(a);
	const MaintItem *two = lfirst(b);
	double			 benefit_one = one->score / one->est_seconds;
	double			 benefit_two = two->score / two->est_seconds;

	if (one->wraparound != two->wraparound)
		return one->wraparound ? -1 : 1;
	if (one->priority != two->priority)
		return one->priority > two->priority ? -1 : 1;
	if (benefit_one != benefit_two)
		return benefit_one > benefit_two ? -1 : 1;
	if (one->action != two->action)
		return one->action < two->action ? -1 : 1;
	return strcmp(one->object_name, two->object_name);
}

/* Whether a time comes before another one, 0 being "at once" and no reason to wait. */
static TimestampTz
earlier(TimestampTz time, TimestampTz than)
{
	return time != 0 && time < than ? time : than;
}

/* What the round as a whole says. */
static void
sum_up(MaintFacts *facts, MaintPlan *plan)
{
	ListCell *lc;

	plan->horizon = dbperf_maint_table_horizon(facts, InvalidOid);
	plan->waits_for_horizon = facts->waits_for_horizon;
	plan->changes = facts->changes;
	plan->next_look = DT_NOEND;
	foreach (lc, plan->items)
	{
		const MaintItem *item = lfirst(lc);

		if (item->not_now == NULL || item->score < 1)
			continue;
		/* the launcher sees that of ordinary tables only; the others move seldom */
		if (item->horizon && dbperf_maint_horizon_of(item->table) == HORIZON_TABLES)
			plan->waits_for_horizon = true;
		plan->next_look = earlier(item->not_before, plan->next_look);
	}
}

/* The items of indexes, that somebody else has judged. */
static List *
index_items(MaintFacts *facts, Oid only_table, double min_score, List *items)
{
	ListCell *lc;

	foreach (lc, dbperf_maint_index_items(only_table))
	{
		MaintItem *item = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		if (item->score >= min_score)
			items = add_item(facts, items, item);
	}
	return items;
}

/*
 * What is to be done in the current database, or about one table and its
 * indexes, with a score of at least min_score: what could run now, and what
 * must wait.  Must run in a transaction; the result is in the current context.
 */
MaintPlan *
dbperf_maint_make_plan(double min_score, Oid only_table)
{
	MaintPlan  *plan = palloc0(sizeof(MaintPlan));
	MaintFacts *facts = dbperf_maint_gather(only_table);
	ListCell   *lc;

	foreach (lc, facts->tables)
	{
		CHECK_FOR_INTERRUPTS();
		plan->items = table_items(facts, lfirst(lc), min_score, plan->items);
	}
	plan->items = index_items(facts, only_table, min_score, plan->items);
	plan->items = drop_covered(facts, plan->items);
	list_sort(plan->items, compare_items);
	sum_up(facts, plan);
	MemoryContextDelete(facts->context);
	return plan;
}

/* ---- one item ---- */

/* The best item with that action; MAINT_NO_ACTION: of those that are due, or NULL. */
static MaintItem *
best_item(List *items, int action)
{
	MaintItem *best = NULL;
	ListCell  *lc;

	foreach (lc, items)
	{
		MaintItem *item = lfirst(lc);

		if (item->by_hand || (action == MAINT_NO_ACTION ? item->score < 1 : item->action != action))
			continue;
		if (best == NULL || item->score > best->score)
			best = item;
	}
	return best;
}

/*
 * One item about a table, whatever its score is: that of an action, or with
 * MAINT_NO_ACTION the most useful one.  NULL if the table is gone, or the action
 * has nothing to work on there: such as an index action on a table without such
 * an index.
 */
MaintItem *
dbperf_maint_item_for(Oid oid, int action)
{
	MaintFacts *facts = dbperf_maint_gather(oid);
	MaintItem  *item = NULL;

	if (facts->tables != NIL)
	{
		MaintRelation *table = linitial(facts->tables);
		List		  *items = NIL;

		items = add_item(facts, items, dbperf_maint_score_freeze(facts, table, ANY_SCORE));
		items = add_item(facts, items, dbperf_maint_score_vacuum(facts, table, ANY_SCORE));
		items = add_item(facts, items, dbperf_maint_score_analyze(facts, table, ANY_SCORE));
		items = index_items(facts, oid, ANY_SCORE, items);
		item = best_item(items, action);
		if (item == NULL && action == MAINT_NO_ACTION)
			item = best_item(items, table->kind == RELKIND_PARTITIONED_TABLE ? MAINT_ANALYZE
																			 : MAINT_VACUUM);
	}
	MemoryContextDelete(facts->context);
	return item;
}

/* ---- figures ---- */

/* Size of a partitioned table: that of its leaves. */
static int64
partitions_size(Oid table)
{
	int64	  size = 0;
	ListCell *lc;

	foreach (lc, find_all_inheritors(table, NoLock, NULL))
		size += dbperf_maint_file_size(lfirst_oid(lc));
	return size;
}

/*
 * How a table or an index is now; false if it is gone.
 */
bool
dbperf_maint_figures(Oid object, MaintFigures *figures)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(object));
	Form_pg_class class;
	DbperfRelationStats stats;

	memset(figures, 0, sizeof(*figures));
	if (!HeapTupleIsValid(tuple))
		return false;
	class = (Form_pg_class) GETSTRUCT(tuple);
	(void) dbperf_relation_stats(class->relisshared ? InvalidOid : MyDatabaseId, object, &stats);
	figures->known = true;
	figures->dead_rows = stats.dead;
	figures->age = -1;
	if (TransactionIdIsNormal(class->relfrozenxid))
		figures->age = Max((int32) (ReadNextTransactionId() - class->relfrozenxid), 0);
	figures->size = class->relkind == RELKIND_PARTITIONED_TABLE ? partitions_size(object)
																: dbperf_maint_file_size(object);
	ReleaseSysCache(tuple);
	return true;
}
