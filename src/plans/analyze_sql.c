/*-------------------------------------------------------------------------
 *
 * analyze_sql.c
 *		dbperf.analyze_query(): what is wrong with the plan of one statement.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/core.h"
#include "funcapi.h"
#include "plans/analyze.h"
#include "plans/findings.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(dbperf_analyze_query);

#define ANALYZE_COLUMNS 8

/*
 * Takes the values of parameters from an array of texts.
 */
static void
take_parameters(Analysis *analysis, ArrayType *array)
{
	Datum *values;
	bool  *nulls;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
						errmsg("parameters must be a one-dimensional array")));
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &analysis->nvalues);
	analysis->has_values = true;
	analysis->values = palloc0(analysis->nvalues * sizeof(char *));
	for (int i = 0; i < analysis->nvalues; i++)
	{
		if (!nulls[i])
			analysis->values[i] = TextDatumGetCString(values[i]);
	}
}

/* A text that may be missing, as a column. */
static void
put_text(const char *s, Datum *value, bool *isnull)
{
	*isnull = s == NULL;
	if (s != NULL)
		*value = CStringGetTextDatum(s);
}

/*
 * Adds a finding to the result.
 */
static void
put_finding(ReturnSetInfo *rsinfo, const Finding *finding)
{
	Datum values[ANALYZE_COLUMNS] = {0};
	bool  nulls[ANALYZE_COLUMNS] = {false};

	put_text(dbperf_finding_severity(finding->severity), &values[0], &nulls[0]);
	put_text(finding->code, &values[1], &nulls[1]);
	put_text(finding->node != NULL ? finding->node->title : NULL, &values[2], &nulls[2]);
	put_text(finding->evidence, &values[3], &nulls[3]);
	put_text(finding->advice, &values[4], &nulls[4]);
	put_text(finding->ddl, &values[5], &nulls[5]);
	put_text(finding->setting, &values[6], &nulls[6]);
	nulls[7] = finding->gain_ms < 0;
	values[7] = Float8GetDatum(finding->gain_ms);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * analyze_query(query, execute, parameters): one row for each finding.
 */
Datum
dbperf_analyze_query(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = dbperf_srf_begin(fcinfo, ANALYZE_COLUMNS);
	Analysis	   analysis = {0};
	MemoryContext  caller = CurrentMemoryContext;
	ListCell	  *lc;

	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("query must not be null")));
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("execute must not be null")));

	analysis.context =
		AllocSetContextCreate(caller, "dbperf query analysis", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(analysis.context);
	analysis.query = text_to_cstring(PG_GETARG_TEXT_PP(0));
	analysis.execute = PG_GETARG_BOOL(1);
	if (!PG_ARGISNULL(2))
		take_parameters(&analysis, PG_GETARG_ARRAYTYPE_P(2));

	dbperf_analyze(&analysis);
	MemoryContextSwitchTo(analysis.context);
	foreach (lc, analysis.findings)
		put_finding(rsinfo, lfirst(lc));
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(analysis.context);
	return (Datum) 0;
}
