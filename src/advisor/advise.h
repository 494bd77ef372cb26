/*-------------------------------------------------------------------------
 *
 * advise.h
 *		One run of the advisor, from the workload to a list of indexes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_ADVISE_H
#define DBPERF_ADVISE_H

#include "advisor/candidates.h"
#include "advisor/whatif.h"
#include "advisor/workload.h"

DBPERF_PRIVATE_BEGIN

typedef struct AdviseRequest
{
	ArrayType *queries;		   /* NULL = the recorded workload */
	int64	   storage_budget; /* bytes, -1 = none */
	int		   max_indexes;
	double	   min_improvement; /* of the remaining cost */
	int64	   time_limit_ms;
} AdviseRequest;

/* One proposed index. */
typedef struct Advice
{
	int		   rank; /* from 1 */
	Candidate *candidate;
	int64	   bytes;
	double	   benefit_pct; /* of the original workload cost */
	double	   cost_before; /* workload cost with the ones ranked above */
	double	   cost_after;
	double	   write_overhead_pct;
	List	  *subjects; /* Subject that gain, largest gain first */
	char	  *reason;
	char	  *ddl;
	Oid		   replaces; /* real index that it makes superfluous, or InvalidOid */
} Advice;

/* Cost of one subject before and after all advice. */
typedef struct SubjectResult
{
	Subject *subject;
	double	 cost_before;
	double	 cost_after;
} SubjectResult;

typedef struct AdviseResult
{
	MemoryContext context; /* everything lives here */
	Workload	 *workload;
	CandidateSet *candidates;
	WhatIf		 *whatif;
	List		 *advice;	/* Advice by rank */
	List		 *subjects; /* SubjectResult */
	double		  cost_before;
	double		  cost_after;
	bool		  complete; /* false: the time limit cut it short */
	Bitmapset	 *left_out; /* numbers of subjects that the time did not suffice for */
} AdviseResult;

/* advise.c */

/*
 * Runs the advisor.  The result lives in the current memory context.  Raises
 * errors only for cancel and the like: what is wrong with single statements is
 * in the result.
 */
extern AdviseResult *dbperf_advise(const AdviseRequest *request);

/*
 * The statements that create an index, as one text; NULL if its table is gone
 * or is being changed.  Names in "names" are avoided, its own is added; without
 * a list it is the first statement only.
 */
extern char *dbperf_advice_ddl(const IndexDef *def, List **names);

/* advice_sql.c */

/*
 * Tells the caller what the time did not suffice for, and which of the queries
 * that it gave could not be analysed.
 */
extern void dbperf_advice_tell(const AdviseResult *result);

DBPERF_PRIVATE_END

#endif /* DBPERF_ADVISE_H */
