/*-------------------------------------------------------------------------
 *
 * candidates.h
 *		Which indexes could help a query, by what the query asks for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_CANDIDATES_H
#define DBPERF_CANDIDATES_H

#include "advisor/index_def.h"
#include "advisor/workload.h"
#include "nodes/bitmapset.h"

DBPERF_PRIVATE_BEGIN

/*
 * What a query asks of one table in one place, as an index could serve it.
 * Also the unit of coverage.
 */
typedef enum UsageKind
{
	USAGE_EQUAL,	/* column or expression = constant or parameter, IN */
	USAGE_RANGE,	/* <, >, BETWEEN, LIKE 'abc%' */
	USAGE_JOIN,		/* = a column of another table */
	USAGE_ORDER,	/* ORDER BY, min/max, merge */
	USAGE_GROUP,	/* GROUP BY, DISTINCT */
	USAGE_NULLNESS, /* IS [NOT] NULL, a boolean alone */
	USAGE_OPERATOR	/* an operator of another class: @>, &&, %, ~~ '%x%' */
} UsageKind;

typedef struct Usage
{
	Oid		   relid;
	UsageKind  kind;
	AttrNumber attno;	 /* InvalidAttrNumber = expression */
	Node	  *expr;	 /* varno 1, or NULL */
	Oid		   opno;	 /* the operator, or InvalidOid */
	Oid		   am;		 /* access method that serves it */
	Oid		   opclass;	 /* an operator class that serves it, of the first column */
	List	  *columns;	 /* IndexColumn: several for ORDER BY a, b or (a, b) > (1, 2) */
	char	  *text;	 /* for the user: "customer_id = ?" */
	Bitmapset *subjects; /* numbers of the subjects that have it */
} Usage;

typedef struct Candidate
{
	int			id; /* place in the set, and id in the what-if context */
	IndexDef   *def;
	Bitmapset  *subjects; /* numbers of the subjects it was made for */
	Bitmapset  *usages;	  /* places in the set's usages that it serves */
	const char *verdict;  /* NULL while open; else why it is not proposed */
	char	   *note;	  /* extra words for the reason, or NULL */
	int			nequal;	  /* so many leading columns may come in any order */
	uint32		hash;	  /* of def */
} Candidate;

typedef struct CandidateSet
{
	MemoryContext context; /* of all below */
	int			  ncandidates;
	int			  max_candidates;
	Candidate	**candidates;
	List		 *usages;			 /* Usage */
	List		 *remarks;			 /* CandidateRemark */
	List		 *tables;			 /* CandidateTable, candidates.c */
	int64		  small_table_pages; /* tables below get no candidates */
	int64		  brin_table_pages;	 /* tables below get no BRIN candidates */
} CandidateSet;

/* Something to tell that is no candidate: pg_trgm missing, ANALYZE first. */
typedef struct CandidateRemark
{
	Oid			relid;
	int			subject; /* number, or -1 */
	const char *text;
} CandidateRemark;

/* candidates.c */
extern CandidateSet *dbperf_candidates_create(void);

/*
 * Adds the candidates for an analysed subject; to be called inside of its
 * visit.  Does not plan, and does not evaluate any expression.
 */
extern void
dbperf_candidates_collect(CandidateSet *set, Subject *subject, const Analyzed *analyzed);

/*
 * Adds one definition (copied) and returns its candidate; one that is there
 * already only gets the subject (-1 = none).  What a valid real index serves
 * as well gets a verdict at once.  NULL if the table cannot have candidates or
 * has too many of them, or if INCLUDE makes the index a copy of the table.
 */
extern Candidate *dbperf_candidates_add(CandidateSet *set, const IndexDef *def, int subject);

/* Adds merged candidates over all subjects: shared prefixes, unions of INCLUDE. */
extern void dbperf_candidates_merge(CandidateSet *set);

DBPERF_PRIVATE_END

#endif /* DBPERF_CANDIDATES_H */
