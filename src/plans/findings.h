/*-------------------------------------------------------------------------
 *
 * findings.h
 *		What is wrong with a plan, in the words of a DBA.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_FINDINGS_H
#define DBPERF_FINDINGS_H

#include "plans/plan_tree.h"

DBPERF_PRIVATE_BEGIN

typedef enum FindingSeverity
{
	FINDING_INFO,
	FINDING_WARNING,
	FINDING_CRITICAL
} FindingSeverity;

/* What is judged: an execution, or a plan alone. */
typedef struct FindingSubject
{
	PlanTree   *tree;
	const char *query;			/* the statement's text, or NULL */
	List	   *relations;		/* OIDs of the tables it reads or writes; names in the plan are
								 * looked up among them */
	double		duration_ms;	/* of the execution, 0 = it was not executed */
	double		planning_ms;	/* 0 = not known */
	double		jit_ms;			/* 0 = none, or not known */
	double		work_mem_kb;	/* that it ran under, as far as known */
	double		temp_blks_read; /* of the execution */
	double		temp_blks_written;
	double		shared_blks_hit;
	double		shared_blks_read;
} FindingSubject;

typedef struct Finding
{
	FindingSeverity severity;
	const char	   *code;	  /* "sequential_scan" ...: one of those in the README */
	const PlanNode *node;	  /* NULL = the whole statement */
	const char	   *evidence; /* one sentence, with the numbers */
	const char	   *advice;	  /* what to do, and why it helps */
	const char	   *ddl;	  /* a statement that can be run as it is, or NULL */
	const char	   *setting;  /* "work_mem = '64MB'", or NULL */
	double			gain_ms;  /* of one execution; -1 = not known */
} Finding;

/* findings.c */

/*
 * All findings of a plan, the most important one first.  Reads catalogs with
 * the current role's rights; runs no function of anybody's; raises no error for
 * what stands in the plan or the text.
 */
extern List *dbperf_findings(const FindingSubject *subject);

/* "info", "warning" or "critical" */
extern const char *dbperf_finding_severity(FindingSeverity severity);

DBPERF_PRIVATE_END

#endif /* DBPERF_FINDINGS_H */
