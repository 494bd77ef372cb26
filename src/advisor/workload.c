/*-------------------------------------------------------------------------
 *
 * workload.c
 *		The statements that advice is for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/workload_int.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/*
 * Notes why a subject takes no part.  The text is copied and lives as long as
 * the subject.
 */
void
dbperf_subject_set_problem(Subject *subject, const char *problem)
{
	subject->problem = MemoryContextStrdup(GetMemoryChunkContext(subject), problem);
}

/*
 * Makes a subject of a text that the caller gave.
 */
static Subject *
explicit_subject(int number, Datum value, bool isnull)
{
	Subject *subject = palloc0(sizeof(Subject));

	subject->number = number;
	subject->id = number + 1;
	subject->explicit_text = true;
	subject->role = GetUserId();
	subject->calls = 1;
	subject->weight = 1;
	subject->text = isnull ? pstrdup("") : TextDatumGetCString(value);
	if (isnull)
		subject->problem = "the text is null";
	else if (strchr(subject->text, '$') != NULL)
		subject->normalized = dbperf_repair_normalized(subject->text);
	return subject;
}

Workload *
dbperf_workload_explicit(ArrayType *texts)
{
	Workload *workload = palloc0(sizeof(Workload));
	Datum	 *values;
	bool	 *nulls;
	int		  ntexts;

	deconstruct_array(texts, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &ntexts);
	if (ntexts == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the array of queries must not be empty")));

	workload->explicit_texts = true;
	for (int i = 0; i < ntexts; i++)
		workload->subjects = lappend(workload->subjects, explicit_subject(i, values[i], nulls[i]));
	return workload;
}
