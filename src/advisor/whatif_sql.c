/*-------------------------------------------------------------------------
 *
 * whatif_sql.c
 *		dbperf.what_if(): the plan of one statement with other indexes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/whatif.h"
#include "advisor/workload.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "core/core.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"

PG_FUNCTION_INFO_V1(dbperf_what_if);
PG_FUNCTION_INFO_V1(dbperf_estimate_index_size);

/* What the visitor is asked and what it answers. */
typedef struct WhatIfQuestion
{
	MemoryContext context; /* of the answer */
	List		 *create;  /* IndexDef */
	List		 *hidden;  /* OIDs */

	double		   cost_before;
	double		   cost_after;
	StringInfoData plan_before;
	StringInfoData plan_after;
	List		  *used; /* names, char * */
} WhatIfQuestion;

/*
 * The elements of an array of texts, as a List of char *.  NULL elements are
 * an error.
 */
static List *
text_elements(ArrayType *array, const char *argument)
{
	List  *elements = NIL;
	Datum *values;
	bool  *nulls;
	int	   count;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("%s must not contain nulls", argument)));
		elements = lappend(elements, TextDatumGetCString(values[i]));
	}
	return elements;
}

/*
 * The definitions that a list of CREATE INDEX statements stands for.
 */
static List *
parse_definitions(List *texts)
{
	List	 *defs = NIL;
	ListCell *lc;

	foreach (lc, texts)
		defs = lappend(defs, dbperf_index_def_parse(lfirst(lc)));
	return defs;
}

/*
 * The OIDs of the indexes with these names.
 */
static List *
resolve_indexes(List *names)
{
	List	 *oids = NIL;
	ListCell *lc;

	foreach (lc, names)
	{
		char *name = lfirst(lc);
		Oid	  oid = DatumGetObjectId(DirectFunctionCall1(regclassin, CStringGetDatum(name)));
		char  kind = get_rel_relkind(oid);

		if (kind == '\0')
			ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
							errmsg("index \"%s\" does not exist", name)));
		if (kind != RELKIND_INDEX && kind != RELKIND_PARTITIONED_INDEX)
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("\"%s\" is not an index", name),
					 errdetail("Only indexes can be dropped in a what-if.")));
		oids = lappend_oid(oids, oid);
	}
	return oids;
}

/*
 * Plans the query with each set of parameters; returns the mean cost, and
 * appends the plan with the first set.
 */
static double
plan_query(WhatIf *whatif, Query *query, Subject *subject, const Analyzed *analyzed,
		   Bitmapset *shown, List *hidden, StringInfo plan_text, Bitmapset **used, List **used_real)
{
	double cost = 0;

	for (int i = 0; i < analyzed->nsets; i++)
	{
		WhatIfPlan plan;

		dbperf_whatif_plan(whatif, query, subject->text, analyzed->sets[i],
						   analyzed->cursor_options, shown, hidden, &plan);
		cost += plan.cost / analyzed->nsets;
		*used = bms_add_members(*used, plan.used);
		*used_real = list_concat_unique_oid(*used_real, plan.used_real);

		if (i == 0)
		{
			if (plan_text->len > 0)
				appendStringInfoString(plan_text, "\n\n");
			appendStringInfoString(
				plan_text,
				dbperf_whatif_explain(whatif, plan.plan, subject->text, analyzed->sets[i]));
		}
	}
	return cost;
}

/*
 * Names of the indexes that the plans use, hypothetical ones first.
 */
static List *
index_names(WhatIf *whatif, Bitmapset *used, List *used_real)
{
	List	 *names = NIL;
	ListCell *lc;
	int		  id = -1;

	while ((id = bms_next_member(used, id)) >= 0)
		names = lappend(names, pstrdup(whatif->indexes[id]->name));

	list_sort(used_real, list_oid_cmp);
	foreach (lc, used_real)
	{
		Oid	  oid = lfirst_oid(lc);
		char *name = get_rel_name(oid);

		if (name != NULL)
			names = lappend(names, quote_qualified_identifier(
									   get_namespace_name(get_rel_namespace(oid)), name));
	}
	return names;
}

/*
 * Visitor: plans the statement twice.
 */
static void
answer(Subject *subject, const Analyzed *analyzed, void *arg)
{
	WhatIfQuestion *question = arg;
	WhatIf		   *whatif = dbperf_whatif_create();
	Bitmapset	   *shown = NULL;
	Bitmapset	   *used = NULL;
	List		   *used_real = NIL;
	ListCell	   *lc;
	MemoryContext	old;

	foreach (lc, question->create)
		shown = bms_add_member(shown, dbperf_whatif_add(whatif, lfirst(lc))->id);

	foreach (lc, analyzed->queries)
	{
		Bitmapset *used_before = NULL;
		List	  *real_before = NIL;

		question->cost_before += plan_query(whatif, lfirst(lc), subject, analyzed, NULL, NIL,
											&question->plan_before, &used_before, &real_before);
		question->cost_after +=
			plan_query(whatif, lfirst(lc), subject, analyzed, shown, question->hidden,
					   &question->plan_after, &used, &used_real);
	}

	old = MemoryContextSwitchTo(question->context);
	question->used = index_names(whatif, used, used_real);
	MemoryContextSwitchTo(old);
}

/*
 * An array of texts, made of a List of char *.
 */
static Datum
make_text_array(List *strings)
{
	Datum	 *values = palloc(sizeof(Datum) * Max(list_length(strings), 1));
	int		  count = 0;
	ListCell *lc;

	foreach (lc, strings)
		values[count++] = CStringGetTextDatum(lfirst(lc));
	return PointerGetDatum(construct_array(values, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * Raises what is wrong with the statement: the server's own error if it has
 * one.
 */
static void
raise_problem(const Subject *subject)
{
	ErrorData *error = subject->error;

	if (error != NULL)
	{
		/* What it points to is in the statement, not in the caller's own. */
		if (error->cursorpos > 0 && error->internalquery == NULL)
		{
			error->internalquery = subject->text;
			error->internalpos = error->cursorpos;
			error->cursorpos = 0;
		}
		ThrowErrorData(error);
	}
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("statement cannot be planned as a what-if"),
					errdetail("%s", subject->problem)));
}

/*
 * what_if(query, create_indexes, drop_indexes): costs and plans of a statement
 * as it is and as it would be.
 */
Datum
dbperf_what_if(PG_FUNCTION_ARGS)
{
	WhatIfQuestion question = {.context = CurrentMemoryContext};
	Workload	  *workload;
	Subject		  *subject;
	TupleDesc	   desc;
	Datum		   query;
	Datum		   values[5];
	bool		   nulls[5] = {false};

	for (int i = 0; i < 3; i++)
	{
		static const char *const arguments[] = {"query", "create_indexes", "drop_indexes"};

		if (PG_ARGISNULL(i))
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("%s must not be null", arguments[i])));
	}
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	dbperf_check_columns(desc, lengthof(values));

	question.create = parse_definitions(text_elements(PG_GETARG_ARRAYTYPE_P(1), "create_indexes"));
	question.hidden = resolve_indexes(text_elements(PG_GETARG_ARRAYTYPE_P(2), "drop_indexes"));
	initStringInfo(&question.plan_before);
	initStringInfo(&question.plan_after);

	query = PG_GETARG_DATUM(0);
	workload =
		dbperf_workload_explicit(construct_array(&query, 1, TEXTOID, -1, false, TYPALIGN_INT));
	subject = linitial(workload->subjects);
	if (subject->problem != NULL || !dbperf_subject_visit(subject, 0, answer, &question, NULL))
		raise_problem(subject);

	values[0] = Float8GetDatum(question.cost_before);
	values[1] = Float8GetDatum(question.cost_after);
	values[2] = CStringGetTextDatum(question.plan_before.data);
	values[3] = CStringGetTextDatum(question.plan_after.data);
	values[4] = make_text_array(question.used);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/*
 * estimate_index_size(create_index): bytes that the index would have.
 */
Datum
dbperf_estimate_index_size(PG_FUNCTION_ARGS)
{
	char	 *ddl = text_to_cstring(PG_GETARG_TEXT_PP(0));
	WhatIf	 *whatif = dbperf_whatif_create();
	IndexDef *def = dbperf_index_def_parse(ddl);
	int64	  bytes;

	LockRelationOid(def->relid, AccessShareLock);
	if (!dbperf_index_def_valid(def))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the table was changed meanwhile")));
	bytes = dbperf_whatif_size(whatif, dbperf_whatif_add(whatif, def));
	MemoryContextDelete(whatif->context);
	PG_RETURN_INT64(bytes);
}
