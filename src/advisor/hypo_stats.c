/*-------------------------------------------------------------------------
 *
 * hypo_stats.c
 *		What a hypothetical index would hold: rows, values, statistics.
 *
 * Expressions and predicates are evaluated over the table's sample, as the
 * table's owner, and only if nobody but the owner, superusers and the server
 * itself wrote the functions in them.  Statistics of expressions are made by
 * the functions that ANALYZE calls.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/table.h"
#include "advisor/hypo.h"
#include "advisor/workload.h"
#include "catalog/pg_am.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "commands/vacuum.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* Evaluating expressions for one index takes no longer than that, about. */
#define EVALUATE_NS INT64CONST(300000000)
/* So many rows tell how long one takes. */
#define PILOT_ROWS 50
/* Results of an expression are kept up to so many bytes. */
#define RESULT_BYTES (16 * 1024 * 1024)

/* What is evaluated, below the switch to the table's owner. */
typedef struct Evaluation
{
	WhatIf		   *whatif;
	HypoRelation   *hypo;
	HypoTable	   *table;
	HypoContents   *contents;
	bool			wanted[INDEX_MAX_KEYS]; /* the expressions that may be evaluated */
	EState		   *estate;
	TupleTableSlot *slot;
	ExprState	   *predicate;
	ExprState	   *expressions[INDEX_MAX_KEYS];
	int16			len[INDEX_MAX_KEYS];
	bool			byval[INDEX_MAX_KEYS];
	Size			bytes;
} Evaluation;

/*
 * Evaluates predicate and expressions for one row of the sample; stores the
 * results if "keep" is set.
 */
static void
evaluate_row(Evaluation *ev, int row, bool keep)
{
	HypoContents *contents = ev->contents;
	ExprContext	 *econtext = GetPerTupleExprContext(ev->estate);
	int			  place = contents->ncovered;

	ResetExprContext(econtext);
	ExecStoreHeapTuple(contents->sample->rows[row], ev->slot, false);
	econtext->ecxt_scantuple = ev->slot;

	if (ev->predicate != NULL && !ExecQual(ev->predicate, econtext))
		return;
	for (int i = 0; i < ev->hypo->def->ncolumns; i++)
	{
		bool  isnull;
		Datum value;

		if (ev->expressions[i] == NULL)
			continue;
		value = ExecEvalExprSwitchContext(ev->expressions[i], econtext, &isnull);
		if (!keep)
			continue;
		contents->nulls[i][place] = isnull;
		contents->values[i][place] = (Datum) 0;
		if (!isnull)
		{
			if (!ev->byval[i])
				ev->bytes += datumGetSize(value, false, ev->len[i]);
			contents->values[i][place] = datumCopy(value, ev->byval[i], ev->len[i]);
		}
	}
	if (keep)
	{
		contents->rows[place] = row;
		contents->ncovered++;
	}
}

/*
 * How many rows to go on, so that all takes about the time that is allowed.
 */
static int
choose_step(Evaluation *ev)
{
	int	   nrows = ev->contents->sample->nrows;
	int	   pilots = Min(nrows, PILOT_ROWS);
	int64  start = dbperf_now_ns();
	double needed;

	for (int i = 0; i < pilots; i++)
	{
		dbperf_visit_check_time();
		evaluate_row(ev, (int) ((int64) i * nrows / pilots), false);
	}
	needed = (double) (dbperf_now_ns() - start) / Max(pilots, 1) * nrows;
	return Max((int) ceil(needed / EVALUATE_NS), 1);
}

/*
 * Makes ready what is to be evaluated.
 */
static void
prepare_evaluation(Evaluation *ev)
{
	HypoContents *contents = ev->contents;
	IndexDef	 *def = ev->hypo->def;
	Size		  nrows = contents->sample->nrows;

	ev->estate = CreateExecutorState();
	ev->slot = MakeSingleTupleTableSlot(contents->sample->desc, &TTSOpsHeapTuple);
	if (def->predicate != NIL)
		ev->predicate = ExecPrepareQual(copyObject(def->predicate), ev->estate);
	for (int i = 0; i < def->ncolumns; i++)
	{
		if (!ev->wanted[i])
			continue;
		ev->expressions[i] = ExecPrepareExpr(copyObject((Expr *) def->columns[i].expr), ev->estate);
		get_typlenbyval(def->columns[i].type, &ev->len[i], &ev->byval[i]);
		contents->values[i] = palloc(sizeof(Datum) * nrows);
		contents->nulls[i] = palloc(sizeof(bool) * nrows);
	}
}

/*
 * Fetches a value for compute_stats functions.
 */
static Datum
fetch_value(VacAttrStatsP stats, int row, bool *isnull)
{
	*isnull = stats->exprnulls[row];
	return stats->exprvals[row];
}

/*
 * Lets the type say which statistics it wants, as ANALYZE does.  Returns NULL
 * if there are none for it.
 */
static VacAttrStats *
examine_expression(const IndexColumn *column)
{
	VacAttrStats *stats = palloc0(sizeof(VacAttrStats));
	HeapTuple	  tuple = SearchSysCacheCopy1(TYPEOID, ObjectIdGetDatum(column->type));
	bool		  ok;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", column->type);
	DBPERF_SET_STAT_TARGET(stats, -1);
	stats->attrtypid = column->type;
	stats->attrtypmod = column->typmod;
	stats->attrtype = (Form_pg_type) GETSTRUCT(tuple);
	stats->attrcollid = column->collation;
	stats->anl_context = CurrentMemoryContext;
	for (int i = 0; i < STATISTIC_NUM_SLOTS; i++)
	{
		stats->statypid[i] = stats->attrtypid;
		stats->statyplen[i] = stats->attrtype->typlen;
		stats->statypbyval[i] = stats->attrtype->typbyval;
		stats->statypalign[i] = stats->attrtype->typalign;
	}

	if (OidIsValid(stats->attrtype->typanalyze))
		ok = DatumGetBool(OidFunctionCall1(stats->attrtype->typanalyze, PointerGetDatum(stats)));
	else
		ok = std_typanalyze(stats);
	return ok && stats->compute_stats != NULL && stats->minrows > 0 ? stats : NULL;
}

/*
 * The numbers of one slot of statistics as an array.
 */
static Datum
numbers_array(const VacAttrStats *stats, int slot)
{
	Datum *numbers = palloc(sizeof(Datum) * stats->numnumbers[slot]);

	for (int i = 0; i < stats->numnumbers[slot]; i++)
		numbers[i] = Float4GetDatum(stats->stanumbers[slot][i]);
	return PointerGetDatum(construct_array(numbers, stats->numnumbers[slot], FLOAT4OID,
										   sizeof(float4), true, TYPALIGN_INT));
}

/*
 * A row of pg_statistic with these statistics, in the what-if's context.
 */
static HeapTuple
form_statistics(WhatIf *whatif, const VacAttrStats *stats, Oid relid, int attno)
{
	Relation	  catalog = table_open(StatisticRelationId, AccessShareLock);
	Datum		  values[Natts_pg_statistic] = {0};
	bool		  nulls[Natts_pg_statistic] = {false};
	MemoryContext old;
	HeapTuple	  tuple;

	values[Anum_pg_statistic_starelid - 1] = ObjectIdGetDatum(relid);
	values[Anum_pg_statistic_staattnum - 1] = Int16GetDatum(attno);
	values[Anum_pg_statistic_stainherit - 1] = BoolGetDatum(false);
	values[Anum_pg_statistic_stanullfrac - 1] = Float4GetDatum(stats->stanullfrac);
	values[Anum_pg_statistic_stawidth - 1] = Int32GetDatum(stats->stawidth);
	values[Anum_pg_statistic_stadistinct - 1] = Float4GetDatum(stats->stadistinct);
	for (int i = 0; i < STATISTIC_NUM_SLOTS; i++)
	{
		values[Anum_pg_statistic_stakind1 - 1 + i] = Int16GetDatum(stats->stakind[i]);
		values[Anum_pg_statistic_staop1 - 1 + i] = ObjectIdGetDatum(stats->staop[i]);
		values[Anum_pg_statistic_stacoll1 - 1 + i] = ObjectIdGetDatum(stats->stacoll[i]);

		nulls[Anum_pg_statistic_stanumbers1 - 1 + i] = stats->numnumbers[i] <= 0;
		if (stats->numnumbers[i] > 0)
			values[Anum_pg_statistic_stanumbers1 - 1 + i] = numbers_array(stats, i);

		nulls[Anum_pg_statistic_stavalues1 - 1 + i] = stats->numvalues[i] <= 0;
		if (stats->numvalues[i] > 0)
			values[Anum_pg_statistic_stavalues1 - 1 + i] = PointerGetDatum(
				construct_array(stats->stavalues[i], stats->numvalues[i], stats->statypid[i],
								stats->statyplen[i], stats->statypbyval[i], stats->statypalign[i]));
	}

	old = MemoryContextSwitchTo(whatif->context);
	tuple = heap_form_tuple(RelationGetDescr(catalog), values, nulls);
	MemoryContextSwitchTo(old);
	table_close(catalog, AccessShareLock);
	return tuple;
}

/*
 * Puts our own estimate of the number of distinct values into the statistics:
 * ANALYZE's rows come from many more blocks, ours stand close together, and its
 * estimator would take neighbours that are alike for frequent values.
 */
static void
correct_distinct(Evaluation *ev, VacAttrStats *stats, int column)
{
	HypoContents *contents = ev->contents;
	double		  rows = ev->table->rel->tuples * contents->ncovered / Max(contents->nrows, 1);
	KeyCounts	  counts;
	double		  distinct;

	if (stats->stadistinct == 0 ||
		!dbperf_hypo_count_keys(contents, ev->hypo->def, column, 1, rows, &counts))
		return;
	distinct = counts.nfrequent + counts.rare_distinct;
	if (distinct > 0.1 * rows)
		stats->stadistinct = -Min(distinct / Max(rows, 1), 1);
	else
		stats->stadistinct = rint(distinct);
}

/*
 * Makes the statistics of all expressions that were evaluated.
 */
static void
analyze_expressions(Evaluation *ev)
{
	HypoContents *contents = ev->contents;
	double		  covered = (double) contents->ncovered / Max(contents->nrows, 1);

	for (int i = 0; i < ev->hypo->def->ncolumns; i++)
	{
		VacAttrStats *stats;

		if (!ev->wanted[i] || contents->ncovered == 0 || ev->hypo->stats[i] != NULL)
			continue;
		stats = examine_expression(&ev->hypo->def->columns[i]);
		if (stats == NULL)
			continue;
		stats->exprvals = contents->values[i];
		stats->exprnulls = contents->nulls[i];
		stats->rowstride = 1;
		stats->compute_stats(stats, fetch_value, contents->ncovered,
							 Max(ev->table->rel->tuples * covered, contents->ncovered));
		if (!stats->stats_valid)
			continue;
		correct_distinct(ev, stats, i);
		ev->hypo->stats[i] = form_statistics(ev->whatif, stats, ev->hypo->oid, i + 1);
	}
}

/*
 * Evaluates what is wanted over the sample.  Runs as the table's owner.
 */
static void
evaluate(void *arg)
{
	Evaluation	 *ev = arg;
	HypoContents *contents = ev->contents;
	int			  step;

	prepare_evaluation(ev);
	step = choose_step(ev);
	for (int row = 0; row < contents->sample->nrows && ev->bytes < RESULT_BYTES; row += step)
	{
		if ((contents->nrows & 127) == 0)
			dbperf_visit_check_time();
		contents->nrows++;
		evaluate_row(ev, row, true);
	}
	analyze_expressions(ev);
	FreeExecutorState(ev->estate);
	ExecDropSingleTupleTableSlot(ev->slot);
}

/*
 * Finds out what may be evaluated; returns false if there is nothing to.
 */
static bool
find_wanted(Evaluation *ev)
{
	IndexDef *def = ev->hypo->def;
	bool	  any = def->predicate != NIL;

	for (int i = 0; i < def->ncolumns; i++)
	{
		ev->wanted[i] = def->columns[i].expr != NULL &&
						dbperf_untrusted_in_expr(def->columns[i].expr, ev->table->owner) == NULL;
		any |= ev->wanted[i];
	}
	return any;
}

/*
 * Whether the table's own statistics do not say enough.
 */
static bool
needs_sample(const IndexDef *def)
{
	if (def->predicate != NIL || def->nkeys > 1 || def->am == GIN_AM_OID ||
		def->am == GIST_AM_OID || def->am == SPGIST_AM_OID)
		return true;
	for (int i = 0; i < def->ncolumns; i++)
	{
		if (def->columns[i].expr != NULL || get_typlen(def->columns[i].type) < 0)
			return true;
	}
	return false;
}

/*
 * What the index would hold of the table's sample; NULL if that is not known.
 * Makes statistics of the index's expressions on the way.  The caller deletes
 * the context of the result.
 */
HypoContents *
dbperf_hypo_contents(WhatIf *whatif, HypoRelation *hypo, HypoTable *table)
{
	HypoSample	 *sample;
	HypoContents *contents;
	Evaluation	  ev = {.whatif = whatif, .hypo = hypo, .table = table};
	MemoryContext context;
	MemoryContext old;
	bool		  ok = true;

	if (!needs_sample(hypo->def))
		return NULL;
	sample = dbperf_hypo_sample(whatif, table);
	if (sample == NULL)
		return NULL;
	if (hypo->def->predicate != NIL &&
		dbperf_untrusted_in_expr((Node *) hypo->def->predicate, table->owner) != NULL)
		return NULL;

	context = AllocSetContextCreate(CurrentMemoryContext, "dbperf index contents",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	contents = palloc0(sizeof(HypoContents));
	contents->context = context;
	contents->sample = sample;
	contents->rows = palloc(sizeof(int) * sample->nrows);
	ev.contents = contents;

	if (find_wanted(&ev))
		ok = dbperf_hypo_as_owner(table->owner, evaluate, &ev);
	else
	{
		contents->nrows = contents->ncovered = sample->nrows;
		for (int i = 0; i < sample->nrows; i++)
			contents->rows[i] = i;
	}
	MemoryContextSwitchTo(old);

	if (!ok)
	{
		MemoryContextDelete(context);
		return NULL;
	}
	return contents;
}
