/*-------------------------------------------------------------------------
 *
 * advice_sql.c
 *		dbperf.suggest_indexes() and dbperf.index_candidates().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "advisor/advise.h"
#include "advisor/advisor.h"
#include "catalog/pg_type.h"
#include "core/core.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define SUGGEST_COLUMNS 10
#define CANDIDATE_COLUMNS 7

StringInfo dbperf_advice_left_out = NULL;

PG_FUNCTION_INFO_V1(dbperf_suggest_indexes);
PG_FUNCTION_INFO_V1(dbperf_index_candidates);

/* The array of texts, checked. */
static ArrayType *
get_queries(FunctionCallInfo fcinfo, int arg)
{
	ArrayType *queries;

	if (PG_ARGISNULL(arg))
		return NULL;
	queries = PG_GETARG_ARRAYTYPE_P(arg);
	if (ARR_NDIM(queries) == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("queries is empty"),
						errdetail("There is nothing to give advice for."),
						errhint("Leave it out, or pass null, for the recorded workload.")));
	if (ARR_NDIM(queries) > 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("queries has more than one dimension"),
						errdetail("It has %d dimensions.", ARR_NDIM(queries)),
						errhint("Pass the statements as ARRAY['...', '...'].")));
	return queries;
}

/* The time limit in milliseconds, checked. */
static int64
get_time_limit(const Interval *limit)
{
	double ms;

	if (limit->month != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("time_limit must not be given in months or years"),
						errdetail("A month has no fixed length."),
						errhint("Use an interval such as '30 s' or '5 min'.")));
	ms = (double) limit->time / 1000.0 + (double) limit->day * 86400000.0;
	if (ms <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("time_limit must be positive"),
				 errdetail("It is %.0f milliseconds.", ms),
				 errhint("Use an interval such as '30 s' or '5 min'.")));
	return (int64) Min(Max(ms, 1.0), (double) INT_MAX);
}

/* Raises an error if an argument that has a default is null. */
static void
refuse_null(FunctionCallInfo fcinfo, int arg, const char *name)
{
	if (PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be null", name),
				 errdetail("Only queries and storage_budget may be null."),
				 errhint("Leave the argument out to use its default.")));
}

/* The five arguments that both functions have, checked. */
static AdviseRequest
get_request(FunctionCallInfo fcinfo)
{
	AdviseRequest request;

	refuse_null(fcinfo, 2, "max_indexes");
	refuse_null(fcinfo, 3, "min_improvement");
	refuse_null(fcinfo, 4, "time_limit");

	request.queries = get_queries(fcinfo, 0);
	request.storage_budget = PG_ARGISNULL(1) ? -1 : PG_GETARG_INT64(1);
	request.max_indexes = PG_GETARG_INT32(2);
	request.min_improvement = PG_GETARG_FLOAT8(3);
	request.time_limit_ms = get_time_limit(PG_GETARG_INTERVAL_P(4));

	if (!PG_ARGISNULL(1) && request.storage_budget <= 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("storage_budget must be positive"),
						errdetail("It is " INT64_FORMAT " bytes.", request.storage_budget),
						errhint("Pass null for no limit.")));
	if (request.max_indexes < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("max_indexes must be at least 1"),
				 errdetail("It is %d.", request.max_indexes),
				 errhint("Leave it out to get up to 20 indexes.")));
	if (isnan(request.min_improvement) || request.min_improvement < 0 ||
		request.min_improvement > 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("min_improvement must be between 0 and 1"),
						errdetail("It is %g.", request.min_improvement),
						errhint("For one percent it is 0.01.")));
	return request;
}

/* The ids of subjects (a List of Subject) as bigint[]. */
static Datum
subject_ids(const List *subjects)
{
	Datum	 *ids = palloc(sizeof(Datum) * Max(list_length(subjects), 1));
	ListCell *lc;

	foreach (lc, subjects)
		ids[foreach_current_index(lc)] = Int64GetDatum(((Subject *) lfirst(lc))->id);
	return PointerGetDatum(construct_array(ids, list_length(subjects), INT8OID, sizeof(int64),
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* What the time did not suffice for, or NULL. */
static char *
left_out(const AdviseResult *result)
{
	int		  total = 0;
	ListCell *lc;

	foreach (lc, result->workload->subjects)
		total += !((Subject *) lfirst(lc))->ignored;
	if (!bms_is_empty(result->left_out))
		return psprintf("%d of %d queries", bms_num_members(result->left_out), total);
	return result->complete ? NULL : pstrdup("some ways to combine indexes");
}

/*
 * Tells the caller what is missing; see advise.h.
 */
void
dbperf_advice_tell(const AdviseResult *result)
{
	char	 *missing = left_out(result);
	ListCell *lc;

	if (missing != NULL && dbperf_advice_left_out != NULL)
		appendStringInfoString(dbperf_advice_left_out, missing);
	else if (missing != NULL)
		ereport(NOTICE, (errmsg("left out for want of time: %s", missing),
						 errhint("The answer may be another one with a longer time_limit.")));

	foreach (lc, result->workload->subjects)
	{
		const Subject *subject = lfirst(lc);

		if (subject->explicit_text && subject->problem != NULL)
			ereport(NOTICE, (errmsg("query " INT64_FORMAT " was not analysed: %s", subject->id,
									subject->problem)));
	}
}

/*
 * suggest_indexes() returns setof record: one row for each proposed index.
 */
Datum
dbperf_suggest_indexes(PG_FUNCTION_ARGS)
{
	AdviseRequest  request = get_request(fcinfo);
	ReturnSetInfo *rsinfo = dbperf_srf_begin(fcinfo, SUGGEST_COLUMNS);
	AdviseResult  *result = dbperf_advise(&request);
	ListCell	  *lc;

	dbperf_advice_tell(result);
	foreach (lc, result->advice)
	{
		Advice *advice = lfirst(lc);
		Datum	values[SUGGEST_COLUMNS];
		bool	nulls[SUGGEST_COLUMNS] = {0};
		int		i = 0;

		values[i++] = Int32GetDatum(advice->rank);
		values[i++] = CStringGetTextDatum(dbperf_table_name(advice->candidate->def->relid));
		values[i++] = CStringGetTextDatum(advice->ddl);
		values[i++] = Int64GetDatum(advice->bytes);
		values[i++] = Float8GetDatum(advice->benefit_pct);
		values[i++] = Float8GetDatum(advice->cost_before);
		values[i++] = Float8GetDatum(advice->cost_after);
		values[i++] = Float8GetDatum(advice->write_overhead_pct);
		values[i++] = subject_ids(advice->subjects);
		values[i++] = CStringGetTextDatum(advice->reason);
		Assert(i == SUGGEST_COLUMNS);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	MemoryContextDelete(result->context);
	return (Datum) 0;
}

/* One row of index_candidates(); what is NULL or negative is shown as null. */
typedef struct CandidateRow
{
	char	   *table_name;
	char	   *ddl;
	int64		bytes;
	const char *verdict;
	const char *reason;
	double		benefit_pct;
	List	   *subjects; /* Subject */
} CandidateRow;

/* Fills a text column, null for NULL. */
static void
fill_text(Datum *value, bool *null, const char *s)
{
	*null = (s == NULL);
	*value = s != NULL ? CStringGetTextDatum(s) : (Datum) 0;
}

/* Adds one row to the result. */
static void
put_candidate(ReturnSetInfo *rsinfo, const CandidateRow *row)
{
	Datum values[CANDIDATE_COLUMNS];
	bool  nulls[CANDIDATE_COLUMNS] = {0};

	fill_text(&values[0], &nulls[0], row->table_name);
	fill_text(&values[1], &nulls[1], row->ddl);
	values[2] = Int64GetDatum(row->bytes);
	nulls[2] = row->bytes < 0;
	fill_text(&values[3], &nulls[3], row->verdict);
	fill_text(&values[4], &nulls[4], row->reason);
	values[5] = Float8GetDatum(row->benefit_pct);
	nulls[5] = row->benefit_pct < 0;
	values[6] = subject_ids(row->subjects);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* The subjects with these numbers. */
static List *
subjects_of(const AdviseResult *result, const Bitmapset *numbers)
{
	List *subjects = NIL;
	int	  number = -1;

	while ((number = bms_next_member(numbers, number)) >= 0)
		subjects = lappend(subjects, list_nth(result->workload->subjects, number));
	return subjects;
}

/* Adds the rows of the chosen candidates. */
static void
put_chosen(ReturnSetInfo *rsinfo, const AdviseResult *result)
{
	ListCell *lc;

	foreach (lc, result->advice)
	{
		const Advice *advice = lfirst(lc);
		CandidateRow  row = {
			 .table_name = dbperf_table_name(advice->candidate->def->relid),
			 .ddl = advice->ddl,
			 .bytes = advice->bytes,
			 .verdict = advice->candidate->verdict,
			 .reason = advice->reason,
			 .benefit_pct = advice->benefit_pct,
			 .subjects = advice->subjects,
		 };

		put_candidate(rsinfo, &row);
	}
}

/* Whether a candidate is among the advice. */
static bool
is_chosen(const AdviseResult *result, const Candidate *candidate)
{
	ListCell *lc;

	foreach (lc, result->advice)
	{
		if (((Advice *) lfirst(lc))->candidate == candidate)
			return true;
	}
	return false;
}

/* Adds the rows of the candidates that were not chosen. */
static void
put_rejected(ReturnSetInfo *rsinfo, const AdviseResult *result)
{
	for (int id = 0; id < result->candidates->ncandidates; id++)
	{
		const Candidate *candidate = result->candidates->candidates[id];
		CandidateRow	 row = {.verdict = "rejected", .benefit_pct = -1};

		CHECK_FOR_INTERRUPTS();
		if (candidate->verdict == NULL || is_chosen(result, candidate))
			continue;
		row.ddl = dbperf_advice_ddl(candidate->def, NULL);
		if (row.ddl == NULL)
			continue;
		row.table_name = dbperf_table_name(candidate->def->relid);
		row.bytes = id < result->whatif->nindexes ? result->whatif->indexes[id]->bytes : -1;
		row.reason = candidate->verdict;
		if (candidate->note != NULL)
			row.reason = psprintf("%s %s", candidate->verdict, candidate->note);
		row.subjects = subjects_of(result, candidate->subjects);
		put_candidate(rsinfo, &row);
	}
}

/* Adds what is to be said of tables and statements apart from candidates. */
static void
put_remarks(ReturnSetInfo *rsinfo, const AdviseResult *result)
{
	ListCell *lc;

	foreach (lc, result->candidates->remarks)
	{
		const CandidateRemark *remark = lfirst(lc);
		CandidateRow		   row = {.bytes = -1, .verdict = "remark", .benefit_pct = -1};

		if (OidIsValid(remark->relid))
			row.table_name = dbperf_table_name(remark->relid);
		row.reason = remark->text;
		if (remark->subject >= 0)
			row.subjects = list_make1(list_nth(result->workload->subjects, remark->subject));
		put_candidate(rsinfo, &row);
	}
}

/* Adds the statements that could not be analysed. */
static void
put_problems(ReturnSetInfo *rsinfo, const AdviseResult *result)
{
	Bitmapset *analysed = NULL;
	ListCell  *lc;

	foreach (lc, result->subjects)
		analysed = bms_add_member(analysed, ((SubjectResult *) lfirst(lc))->subject->number);

	foreach (lc, result->workload->subjects)
	{
		Subject		*subject = lfirst(lc);
		CandidateRow row = {.bytes = -1, .verdict = "not analysed", .benefit_pct = -1};

		if (subject->ignored ||
			(subject->problem == NULL && bms_is_member(subject->number, analysed)))
			continue;
		row.reason = subject->problem != NULL ? subject->problem
											  : "time_limit was reached before it was analysed.";
		row.subjects = list_make1(subject);
		put_candidate(rsinfo, &row);
	}
}

/*
 * index_candidates() returns setof record: one row for each index that was
 * considered, one for each remark, and one for each statement that was not
 * analysed.
 */
Datum
dbperf_index_candidates(PG_FUNCTION_ARGS)
{
	AdviseRequest  request = get_request(fcinfo);
	ReturnSetInfo *rsinfo = dbperf_srf_begin(fcinfo, CANDIDATE_COLUMNS);
	AdviseResult  *result = dbperf_advise(&request);
	MemoryContext  caller = MemoryContextSwitchTo(result->context);

	put_chosen(rsinfo, result);
	put_rejected(rsinfo, result);
	put_remarks(rsinfo, result);
	put_problems(rsinfo, result);

	MemoryContextSwitchTo(caller);
	MemoryContextDelete(result->context);
	return (Datum) 0;
}
