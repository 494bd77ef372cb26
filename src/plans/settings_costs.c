/*-------------------------------------------------------------------------
 *
 * settings_costs.c
 *		Advice on random_page_cost and effective_cache_size.
 *
 * The evidence is a sequential scan that the planner preferred although it knew
 * that few rows were asked for, by a condition or by a join, and that there is
 * an index to find them: what it reckoned for the index is computed again with
 * other settings.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "plans/settings_advice.h"
#include "plans/stats_advice.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* What a random page costs where nearly all are in memory, or on flash. */
#define CACHED_PAGE_COST 1.1

/* So much of what is read comes from the buffers. */
#define HIT_RATIO 0.9

/* Rows that are left by a scan for which an index would be used. */
#define FEW_ROWS 0.05

/* Smaller tables are read faster than an index is looked up. */
#define MIN_PAGES 100

/* The part of the memory that can be expected to cache files. */
#define CACHE_SHARE 0.6

/* A scan that an index could have replaced. */
typedef struct RefusedIndex
{
	const RecordedPlan *plan;
	const PlanNode	   *node;
	const char		   *column;
	double				pages;
	double				table_rows;
	double				rows;	/* that are asked for */
	double				probes; /* of the index: by a join, one for each of its rows */
} RefusedIndex;

/*
 * Pages that a scan of so many rows in no order reads: index_pages_fetched(),
 * by Mackert and Lohman, of a table with T pages and a cache of b.
 */
static double
pages_fetched(double rows, double T, double b)
{
	double fetched;
	double limit;

	if (T <= b)
	{
		fetched = 2 * T * rows / (2 * T + rows);
		return ceil(Min(fetched, T));
	}
	limit = 2 * T * b / (2 * T - b);
	fetched = rows <= limit ? 2 * T * rows / (2 * T + rows) : b + (rows - limit) * (T - b) / T;
	return ceil(fetched);
}

/*
 * What the planner would reckon for an index scan, if rows are in no order:
 * cost_index().
 */
static double
index_cost(const RefusedIndex *refused, double page_cost, double cache_pages)
{
	double fetched = pages_fetched(refused->rows, refused->pages, Max(cache_pages, 1));

	/* the index's own pages, some 200 entries each */
	if (refused->probes > 1)
		fetched += pages_fetched(refused->probes, ceil(refused->table_rows / 200), cache_pages);
	else
		fetched += ceil(refused->rows / 200) + 1;
	return fetched * page_cost +
		   refused->rows * (cpu_index_tuple_cost + cpu_tuple_cost + 2 * cpu_operator_cost);
}

static bool
is_btree(Oid index)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(index));
	bool	  btree;

	if (!HeapTupleIsValid(tuple))
		return false;
	btree = ((Form_pg_class) GETSTRUCT(tuple))->relam == BTREE_AM_OID;
	ReleaseSysCache(tuple);
	return btree;
}

/*
 * Whether a column is the first of an index that any condition on it can use.
 */
static bool
leads_index(Oid relid, AttrNumber attno)
{
	Relation  relation = RelationIdGetRelation(relid);
	bool	  found = false;
	ListCell *lc;

	if (!RelationIsValid(relation))
		return false;
	foreach (lc, RelationGetIndexList(relation))
	{
		HeapTuple	  tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_index form;

		if (!HeapTupleIsValid(tuple))
			continue;
		form = (Form_pg_index) GETSTRUCT(tuple);
		if (form->indisvalid && form->indkey.values[0] == attno &&
			heap_attisnull(tuple, Anum_pg_index_indpred, NULL) && is_btree(form->indexrelid))
			found = true;
		ReleaseSysCache(tuple);
	}
	RelationClose(relation);
	return found;
}

/*
 * A column of the scan's conditions that has an index, or InvalidAttrNumber.  A
 * single condition only: the planner's estimate is for all of them.
 */
static AttrNumber
indexed_column(const PlanNode *node, Oid relid)
{
	StatsConditions conditions = {0};
	StatsCondition *only;

	dbperf_stats_scan_conditions(node, relid, &conditions);
	if (conditions.opaque || list_length(conditions.list) != 1)
		return InvalidAttrNumber;
	only = linitial(conditions.list);
	if (only->op == STATS_NE || only->op == STATS_NOT_NULL || !leads_index(relid, only->attno))
		return InvalidAttrNumber;
	return only->attno;
}

/*
 * The size of a table as the planner knows it; false if it has none.
 */
static bool
table_size(Oid relid, double *pages, double *rows)
{
	HeapTuple	  tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_class) GETSTRUCT(tuple);
	*pages = form->relpages;
	*rows = form->reltuples;
	ReleaseSysCache(tuple);
	return *pages >= MIN_PAGES && *rows > 0;
}

/*
 * Whether a node is a scan that an index could have replaced.
 */
static bool
is_refused(const RecordedPlan *plan, const PlanNode *node, RefusedIndex *refused)
{
	Oid		   relid;
	AttrNumber attno;

	if (strcmp(node->type, "Seq Scan") != 0 || node->parallel_aware || !node->has_cost ||
		!node->has_actual || node->never_executed || !dbperf_stats_ran_to_end(node))
		return false;
	relid = dbperf_stats_relation(node, plan->statement->relations);
	if (!OidIsValid(relid) || !table_size(relid, &refused->pages, &refused->table_rows) ||
		node->plan_rows > FEW_ROWS * refused->table_rows ||
		node->actual_rows > FEW_ROWS * refused->table_rows)
		return false;
	attno = indexed_column(node, relid);
	if (attno == InvalidAttrNumber)
		return false;
	refused->plan = plan;
	refused->node = node;
	refused->column = get_attname(relid, attno, true);
	refused->rows = Max(node->plan_rows, node->actual_rows);
	refused->probes = 1;
	return true;
}

/*
 * The scan of all of a table on one side of a join, or NULL.
 */
static const PlanNode *
whole_scan(const PlanNode *side)
{
	if (strcmp(side->type, "Hash") == 0 && side->children != NIL)
		side = linitial(side->children);
	if (strcmp(side->type, "Seq Scan") != 0 || side->parallel_aware || !side->has_cost ||
		!side->has_actual || side->never_executed || dbperf_plan_property(side, "Filter") != NULL)
		return NULL;
	return side;
}

/*
 * Whether one side of a hash join is a scan that an index could have replaced:
 * the other side has few rows to look up in it.
 */
static bool
is_refused_side(const RecordedPlan *plan, const PlanNode *join, const PlanNode *side,
				const PlanNode *other, RefusedIndex *refused)
{
	const PlanNode *scan = whole_scan(side);
	const char	   *condition = dbperf_plan_property(join, "Hash Cond");
	Oid				relid;
	ListCell	   *lc;

	if (scan == NULL || condition == NULL || !other->has_cost || !other->has_actual)
		return false;
	relid = dbperf_stats_relation(scan, plan->statement->relations);
	if (!OidIsValid(relid) || !table_size(relid, &refused->pages, &refused->table_rows))
		return false;
	refused->probes = Max(other->plan_rows, other->actual_rows);
	refused->rows = Max(Max(join->plan_rows, join->actual_rows), Max(refused->probes, 1));
	if (refused->rows > FEW_ROWS * refused->table_rows)
		return false;
	refused->plan = plan;
	refused->node = scan;
	foreach (lc, dbperf_stats_joined_columns(
					 condition, scan->alias != NULL ? scan->alias : scan->relation, relid))
	{
		if (!leads_index(relid, lfirst_int(lc)))
			continue;
		refused->column = get_attname(relid, lfirst_int(lc), true);
		return true;
	}
	return false;
}

/*
 * The same for both sides.  An outer or semi join has to keep its order.
 */
static bool
is_refused_join(const RecordedPlan *plan, const PlanNode *node, RefusedIndex *refused)
{
	const PlanNode *outer;
	const PlanNode *inner;

	if (strcmp(node->type, "Hash Join") != 0 || list_length(node->children) < 2 ||
		node->parallel_aware || !node->has_cost || !node->has_actual || node->never_executed ||
		node->join_type == NULL || strcmp(node->join_type, "Inner") != 0)
		return false;
	outer = linitial(node->children);
	inner = lsecond(node->children);
	return is_refused_side(plan, node, outer, inner, refused) ||
		   is_refused_side(plan, node, inner, outer, refused);
}

static List *
refused_indexes(SettingsWork *work)
{
	List	 *list = NIL;
	ListCell *lc;
	ListCell *lc2;

	foreach (lc, work->plans)
	{
		const RecordedPlan *plan = lfirst(lc);

		if (!plan->newest || !plan->tree->analyzed || plan->statement->failed)
			continue;
		foreach (lc2, plan->tree->nodes)
		{
			RefusedIndex refused = {0};

			if (is_refused(plan, lfirst(lc2), &refused) ||
				is_refused_join(plan, lfirst(lc2), &refused))
			{
				RefusedIndex *copy = palloc(sizeof(RefusedIndex));

				*copy = refused;
				list = lappend(list, copy);
			}
		}
	}
	return list;
}

/*
 * Makes a piece of advice of the scans that an index would replace with these
 * settings, and does not with the present ones.
 */
static void
advise_scans(SettingsWork *work, List *refused, const char *setting, char *suggested,
			 double page_cost, double cache_pages, const char *why)
{
	List			   *queries = NIL;
	double				gain = 0;
	const RefusedIndex *first = NULL;
	SettingAdvice	   *advice;
	ListCell		   *lc;

	foreach (lc, refused)
	{
		RefusedIndex *one = lfirst(lc);
		double		  seq = one->node->total_cost;
		double		  then = index_cost(one, page_cost, cache_pages);

		if (then >= seq || index_cost(one, random_page_cost, effective_cache_size) < seq)
			continue;
		if (first == NULL)
			first = one;
		queries = dbperf_settings_queries(queries, one->plan->statement->queryid);
		if (one->node->has_time)
			gain += one->node->actual_total * one->node->actual_loops * (1 - then / seq);
	}
	if (first == NULL)
		return;
	advice = dbperf_settings_add(work, 0, setting, suggested);
	advice->queries = queries;
	advice->gain_ms = gain > 0 ? gain : -1;
	advice->reason = psprintf(
		"%d recorded queries scan all of a table for few rows that an index would find, as \"%s\" "
		"by %s: at present the planner reckons more for the index; %s",
		list_length(queries), first->node->title, first->column, why);
}

/*
 * The part of the blocks of all recorded statements that was in the buffers; -1
 * if there were too few.
 */
static double
hit_ratio(SettingsWork *work)
{
	double	  hit = 0;
	double	  read = 0;
	ListCell *lc;

	foreach (lc, work->plans)
	{
		hit += ((RecordedPlan *) lfirst(lc))->statement->shared_blks_hit;
		read += ((RecordedPlan *) lfirst(lc))->statement->shared_blks_read;
	}
	return hit + read < 1000 ? -1 : hit / (hit + read);
}

/*
 * Advice on what the planner believes of the machine.
 */
void
dbperf_settings_costs(SettingsWork *work)
{
	List  *refused = refused_indexes(work);
	double hits = hit_ratio(work);
	double cache_kb = floor(work->memory_kb * CACHE_SHARE / 1024) * 1024;
	double cache_pages = cache_kb / (BLCKSZ / 1024);

	if (random_page_cost > CACHED_PAGE_COST && hits >= HIT_RATIO)
		advise_scans(work, refused, "random_page_cost", psprintf("%.1f", CACHED_PAGE_COST),
					 CACHED_PAGE_COST, effective_cache_size,
					 psprintf("%.1f %% of the blocks of all recorded statements were in the "
							  "buffers, where a random page costs no more than the next one",
							  100 * hits));
	if (cache_pages > 2.0 * effective_cache_size)
		advise_scans(
			work, refused, "effective_cache_size", psprintf("%.0fMB", cache_kb / 1024),
			random_page_cost, cache_pages,
			psprintf("the machine has %.0f MB of memory to cache files", work->memory_kb / 1024));
}
