/*-------------------------------------------------------------------------
 *
 * stats_sql.c
 *		dbperf.suggest_statistics().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/core.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "plans/stats_advice.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#define COLUMNS 13

PG_FUNCTION_INFO_V1(dbperf_suggest_statistics);

/*
 * Judges the misestimates of one table.
 */
static List *
advice_of_table(Oid relid, List *evidence)
{
	StatsTable *table = dbperf_stats_sample(relid, evidence);
	List	   *advice;

	if (table == NULL)
		return NIL;
	advice = dbperf_stats_judge(table, evidence);
	if (table->context != NULL)
		MemoryContextDelete(table->context);
	return advice;
}

/* The worst misestimate first. */
static int
compare_advice(const ListCell *a, const ListCell *b)
{
	const StatsAdvice *one = lfirst(a);
	const StatsAdvice *other = lfirst(b);
	double difference = dbperf_stats_worst(other)->q_error - dbperf_stats_worst(one)->q_error;

	return difference > 0 ? 1 : difference < 0 ? -1 : 0;
}

/*
 * What is to be done about the misestimates in these SlowStatements, the worst
 * one first: StatsAdvice.
 */
List *
dbperf_stats_advice(List *statements)
{
	List	 *evidence = dbperf_stats_evidence(statements);
	List	 *tables = NIL;
	List	 *advice = NIL;
	ListCell *lc;
	ListCell *lc2;

	foreach (lc, evidence)
		tables = list_append_unique_oid(tables, ((StatsEvidence *) lfirst(lc))->relid);
	foreach (lc, tables)
	{
		List *own = NIL;

		foreach (lc2, evidence)
		{
			if (((StatsEvidence *) lfirst(lc2))->relid == lfirst_oid(lc))
				own = lappend(own, lfirst(lc2));
		}
		advice = list_concat(advice, advice_of_table(lfirst_oid(lc), own));
	}
	list_sort(advice, compare_advice);
	return advice;
}

/* The advice's columns, as text[]. */
static Datum
columns_array(const StatsAdvice *advice)
{
	Datum values[STATS_COLUMNS];

	for (int i = 0; i < advice->ncolumns; i++)
	{
		char *name = get_attname(advice->table->relid, advice->columns[i], true);

		values[i] = CStringGetTextDatum(name != NULL ? name : "?");
	}
	return PointerGetDatum(
		construct_array(values, advice->ncolumns, TEXTOID, -1, false, TYPALIGN_INT));
}

/* The queries of the evidence, as bigint[], ascending. */
static Datum
queries_array(const StatsAdvice *advice)
{
	Datum	 *values = palloc(sizeof(Datum) * list_length(advice->evidence));
	int		  count = 0;
	ListCell *lc;

	foreach (lc, advice->evidence)
	{
		uint64 queryid = ((StatsEvidence *) lfirst(lc))->queryid;
		bool   known = queryid == 0;

		for (int i = 0; i < count && !known; i++)
			known = DatumGetInt64(values[i]) == (int64) queryid;
		if (!known)
			values[count++] = Int64GetDatum((int64) queryid);
	}
	return PointerGetDatum(
		construct_array(values, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

static void
fill_row(StatsAdvice *advice, Datum *values, bool *nulls)
{
	const StatsEvidence *worst = dbperf_stats_worst(advice);
	const StatsTable	*table = advice->table;
	const char			*kind = dbperf_stats_kind(advice);

	values[0] = CStringGetTextDatum(table->schema);
	values[1] = CStringGetTextDatum(table->name);
	values[2] = columns_array(advice);
	if (kind != NULL)
		values[3] = CStringGetTextDatum(kind);
	else
		nulls[3] = true;
	values[4] = CStringGetTextDatum(dbperf_stats_reason(advice));
	values[5] = queries_array(advice);
	values[6] = Float8GetDatum(worst->estimated);
	values[7] = Float8GetDatum(worst->actual);
	values[8] = Float8GetDatum(worst->q_error);
	if (worst->q_after > 0)
		values[9] = Float8GetDatum(worst->q_after);
	else
		nulls[9] = true;
	if (table->refused == NULL)
		values[10] = Int64GetDatum(table->nrows);
	else
		nulls[10] = true;
	if (advice->ddl != NULL)
		values[11] = CStringGetTextDatum(advice->ddl);
	else
		nulls[11] = true;
	if (advice->remedy == REMEDY_UNKNOWN)
		nulls[12] = true;
	else
		values[12] = BoolGetDatum(advice->remedy != REMEDY_NONE);
}

/*
 * Which statistics would have made the estimates in the recorded plans right.
 */
Datum
dbperf_suggest_statistics(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo;
	List		  *names = NIL;
	ListCell	  *lc;

	dbperf_require_shmem();
	rsinfo = dbperf_srf_begin(fcinfo, COLUMNS);
	foreach (lc, dbperf_stats_advice(dbperf_slow_statements(PG_INT64_MIN, PG_INT64_MAX)))
	{
		StatsAdvice *advice = lfirst(lc);
		Datum		 values[COLUMNS] = {0};
		bool		 nulls[COLUMNS] = {0};

		dbperf_stats_ddl(advice, &names);
		fill_row(advice, values, nulls);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
