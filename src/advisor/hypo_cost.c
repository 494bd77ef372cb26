/*-------------------------------------------------------------------------
 *
 * hypo_cost.c
 *		Costs of hypothetical indexes whose real ones the planner looks into.
 *
 * For GIN the planner reads the number of entries and pages from the index's
 * meta page, for BRIN the number of blocks in a range; for hypothetical ones it
 * invents them.  Here they are known, and the costs come out as those of the
 * real index.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/brin.h"
#include "access/gin.h"
#include "advisor/hypo.h"
#include "catalog/pg_am.h"
#include "catalog/pg_collation.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/index_selfuncs.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/spccache.h"

/* The server's guess for keys that a partial match finds. */
#define PARTIAL_MATCH_KEYS 100

/* The server's guess for the bytes of a row pointer in a posting list. */
#define ITEM_BYTES 3

/* Keys that a scan of a GIN index looks for. */
typedef struct GinSearch
{
	double keys;				   /* looked up in the entry tree */
	double exact;				   /* found there */
	double partial;				   /* found by going on from one that was looked up */
	double scans;				   /* one for each element of an array */
	bool   full[INDEX_MAX_KEYS];   /* a clause asks for all rows, */
	bool   normal[INDEX_MAX_KEYS]; /* or for those with a key */
} GinSearch;

/*
 * What an estimation function returns.
 */
typedef struct IndexCost
{
	Cost		startup;
	Cost		total;
	Selectivity selectivity;
	double		correlation;
	double		pages;
} IndexCost;

/*
 * Counts the keys of one comparison with a constant, as the operator class
 * takes it apart.  Returns false if nothing can match.
 */
static bool
count_keys(IndexOptInfo *index, int column, Oid operator, Datum query, GinSearch *search)
{
	Oid		 type = index->opcintype[column];
	Oid		 collation = index->indexcollations[column];
	Oid		 proc;
	int		 strategy;
	Oid		 left;
	Oid		 right;
	int32	 count = 0;
	int32	 mode = GIN_SEARCH_MODE_DEFAULT;
	bool	*partial = NULL;
	bool	*nulls = NULL;
	Pointer *extra = NULL;

	get_op_opfamily_properties(operator, index->opfamily[column], false, &strategy, &left, &right);
	proc = get_opfamily_proc(index->opfamily[column], type, type, GIN_EXTRACTQUERY_PROC);
	if (!OidIsValid(proc))
		elog(ERROR, "missing support function %d in operator family %u", GIN_EXTRACTQUERY_PROC,
			 index->opfamily[column]);

	OidFunctionCall7Coll(proc, OidIsValid(collation) ? collation : DEFAULT_COLLATION_OID, query,
						 PointerGetDatum(&count), UInt16GetDatum(strategy),
						 PointerGetDatum(&partial), PointerGetDatum(&extra),
						 PointerGetDatum(&nulls), PointerGetDatum(&mode));

	if (count <= 0 && mode == GIN_SEARCH_MODE_DEFAULT)
		return false;
	for (int i = 0; i < count; i++)
	{
		if (partial != NULL && partial[i])
			search->partial += PARTIAL_MATCH_KEYS;
		else
			search->exact++;
		search->keys++;
	}
	if (mode == GIN_SEARCH_MODE_INCLUDE_EMPTY)
	{
		search->exact++;
		search->keys++;
	}
	if (mode == GIN_SEARCH_MODE_DEFAULT || mode == GIN_SEARCH_MODE_INCLUDE_EMPTY)
		search->normal[column] = true;
	else
		search->full[column] = true;
	return true;
}

/*
 * The constant that an operand comes down to, or NULL.
 */
static Const *
constant_operand(PlannerInfo *root, Node *operand)
{
	operand = estimate_expression_value(root, operand);
	if (IsA(operand, RelabelType))
		operand = (Node *) ((RelabelType *) operand)->arg;
	return IsA(operand, Const) ? (Const *) operand : NULL;
}

/*
 * Counts the keys of a comparison with any element of an array, of which each
 * is a scan: the mean of those that can match at all.
 */
static bool
count_array_keys(IndexOptInfo *index, int column, ScalarArrayOpExpr *clause, Const *array,
				 double entries, GinSearch *search)
{
	ArrayType *values = DatumGetArrayTypeP(array->constvalue);
	int16	   len;
	bool	   byval;
	char	   align;
	Datum	  *elements;
	bool	  *nulls;
	int		   count;
	int		   possible = 0;
	GinSearch  sum = {0};

	get_typlenbyvalalign(ARR_ELEMTYPE(values), &len, &byval, &align);
	deconstruct_array(values, ARR_ELEMTYPE(values), len, byval, align, &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		GinSearch one = {0};

		if (nulls[i] || !count_keys(index, column, clause->opno, elements[i], &one))
			continue;
		possible++;
		if (one.full[column] && !one.normal[column])
		{
			one.partial = 0;
			one.exact = one.keys = entries;
		}
		sum.partial += one.partial;
		sum.exact += one.exact;
		sum.keys += one.keys;
	}
	if (possible == 0)
		return false;

	search->partial += sum.partial / possible;
	search->exact += sum.exact / possible;
	search->keys += sum.keys / possible;
	search->scans *= possible;
	return true;
}

/*
 * Counts the keys of one clause.  Returns false if nothing can match.
 */
static bool
count_clause_keys(PlannerInfo *root, IndexOptInfo *index, int column, Expr *clause, double entries,
				  GinSearch *search)
{
	bool   is_array = IsA(clause, ScalarArrayOpExpr);
	List  *args = is_array ? ((ScalarArrayOpExpr *) clause)->args : ((OpExpr *) clause)->args;
	Const *constant = constant_operand(root, lsecond(args));

	if (constant == NULL)
	{
		search->exact++;
		search->keys++;
		if (is_array)
			search->scans *= DBPERF_ARRAY_LENGTH(root, lsecond(args));
		return true;
	}
	if (constant->constisnull)
		return false;
	if (is_array)
		return count_array_keys(index, column, (ScalarArrayOpExpr *) clause, constant, entries,
								search);
	return count_keys(index, column, ((OpExpr *) clause)->opno, constant->constvalue, search);
}

/*
 * Counts the keys of all clauses.  Returns false if nothing can match.
 */
static bool
count_all_keys(PlannerInfo *root, IndexPath *path, double entries, GinSearch *search)
{
	IndexOptInfo *index = path->indexinfo;
	ListCell	 *lc;
	ListCell	 *lc2;
	bool		  any = false;
	bool		  full = false;

	search->scans = 1;
	foreach (lc, path->indexclauses)
	{
		IndexClause *clause = lfirst_node(IndexClause, lc);

		foreach (lc2, clause->indexquals)
		{
			any = true;
			if (!count_clause_keys(root, index, clause->indexcol,
								   lfirst_node(RestrictInfo, lc2)->clause, entries, search))
				return false;
		}
	}

	/* Where a column's clauses give no key at all, all entries are read. */
	for (int i = 0; i < index->nkeycolumns; i++)
		full |= search->full[i] && !search->normal[i];
	if (full || !any)
	{
		search->partial = 0;
		search->exact = search->keys = entries;
	}
	return true;
}

/*
 * Pages read, per outer row, if the same ones may be read again and again.
 */
static double
pages_per_loop(PlannerInfo *root, double fetched, double of, double loops, double scans)
{
	if (loops <= 1 && scans <= 1)
		return fetched;
	return index_pages_fetched(fetched * loops * scans, (BlockNumber) of, of, root) / loops;
}

/*
 * Costs of scanning a GIN index with that many entries and pages.
 */
static void
gin_cost(PlannerInfo *root, IndexPath *path, double loops, const GinSpace *space, IndexCost *cost)
{
	IndexOptInfo *index = path->indexinfo;
	List		 *quals = get_quals_from_indexclauses(path->indexclauses);
	double		  entries = Max(space->entries, 1);
	GinSearch	  search = {0};
	double		  page_cost;
	double		  part;
	double		  entry_pages;
	double		  partial_pages;
	double		  data_pages;
	double		  operators = cpu_operator_cost * list_length(quals);
	double		  page_cpu = DBPERF_GIN_PAGE_CPU * cpu_operator_cost;
	double		  arguments;
	double		  tuples;

	memset(cost, 0, sizeof(IndexCost));
	get_tablespace_page_costs(index->reltablespace, &page_cost, NULL);
	cost->selectivity = clauselist_selectivity(root, add_predicate_to_index_quals(index, quals),
											   index->rel->relid, JOIN_INNER, NULL);
	if (!count_all_keys(root, path, entries, &search))
	{
		cost->selectivity = 0;
		return;
	}

	/* A partial match reads its part of the entries and all their lists first. */
	part = Min(search.partial / entries, 1);
	entry_pages =
		ceil(search.keys * rint(pow(space->entry_pages, 0.15))) + ceil(space->entry_pages * part);
	partial_pages = ceil(space->data_pages * part);

	if (page_cpu > 0)
	{
		double descent = entries > 1 ? ceil(log2(entries)) * cpu_operator_cost * search.keys : 0;

		cost->startup += descent + page_cpu * (entry_pages + partial_pages);
		cost->total += search.scans * descent +
					   page_cpu * (entry_pages * search.scans + partial_pages * (search.scans - 1));
	}
	entry_pages = pages_per_loop(root, entry_pages, space->entry_pages, loops, search.scans);
	partial_pages = pages_per_loop(root, partial_pages, space->data_pages, loops, search.scans);
	cost->startup += (entry_pages + partial_pages) * page_cost;

	/* Lists are as long as the average; but each matching row is in one. */
	data_pages = Max(ceil(space->data_pages * search.exact / entries),
					 ceil(cost->selectivity * (index->tuples / (BLCKSZ / ITEM_BYTES))));
	cost->startup += page_cpu * search.keys;
	cost->total += page_cpu * data_pages * search.scans;
	data_pages = pages_per_loop(root, data_pages, space->data_pages, loops, search.scans);
	cost->total += cost->startup + data_pages * page_cost;

	arguments = index_other_operands_eval_cost(root, quals);
	tuples = index->tuples * cost->selectivity;
	cost->startup += arguments;
	cost->total += arguments + tuples * cpu_index_tuple_cost;
	if (page_cpu > 0)
		cost->total += search.keys * search.scans * operators;
	else
		cost->total += tuples * operators;
	cost->pages = data_pages;
}

/*
 * Estimates the costs of a hypothetical GIN index; amcostestimate.
 */
static void
gin_estimate(PlannerInfo *root, IndexPath *path, double loops, Cost *startup, Cost *total,
			 Selectivity *selectivity, double *correlation, double *pages)
{
	HypoRelation *hypo = dbperf_hypo_planned(path->indexinfo->indexoid);
	IndexCost	  cost;

	if (hypo == NULL)
	{
		gincostestimate(root, path, loops, startup, total, selectivity, correlation, pages);
		return;
	}
	gin_cost(root, path, loops, &hypo->gin, &cost);
	*startup = cost.startup;
	*total = cost.total;
	*selectivity = cost.selectivity;
	*correlation = cost.correlation;
	*pages = cost.pages;
}

/*
 * Estimates the costs of a hypothetical BRIN index; amcostestimate.  The server
 * believes in ranges of the default size: a table of another size then has the
 * right number of them, and what it charges for their blocks is put right.
 */
static void
brin_estimate(PlannerInfo *root, IndexPath *path, double loops, Cost *startup, Cost *total,
			  Selectivity *selectivity, double *correlation, double *pages)
{
	HypoRelation *hypo = dbperf_hypo_planned(path->indexinfo->indexoid);
	RelOptInfo	 *rel = path->indexinfo->rel;
	BlockNumber	  blocks = rel->pages;
	int			  per_range = hypo != NULL ? hypo->def->pages_per_range : 0;
	double		  ranges;

	if (per_range <= 0)
		per_range = BRIN_DEFAULT_PAGES_PER_RANGE;
	ranges = Max(ceil((double) blocks / per_range), 1);

	rel->pages = (BlockNumber) Min(ranges * BRIN_DEFAULT_PAGES_PER_RANGE, (double) MaxBlockNumber);
	brincostestimate(root, path, loops, startup, total, selectivity, correlation, pages);
	rel->pages = blocks;

	*total += 0.1 * cpu_operator_cost * *selectivity * ranges *
			  (per_range - BRIN_DEFAULT_PAGES_PER_RANGE);
}

/*
 * Sets the function that estimates the costs of scanning the index.
 */
void
dbperf_hypo_set_cost(IndexOptInfo *info, HypoRelation *hypo)
{
	if (hypo->def->am == GIN_AM_OID)
		info->amcostestimate = gin_estimate;
	else if (hypo->def->am == BRIN_AM_OID)
		info->amcostestimate = brin_estimate;
	else
		info->amcostestimate = hypo->am->amcostestimate;
}
