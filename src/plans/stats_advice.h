/*-------------------------------------------------------------------------
 *
 * stats_advice.h
 *		Statistics that are missing, from misestimates in recorded plans.
 *
 * A misestimate becomes evidence (stats_evidence.c), a sample of its table shows
 * the reason (stats_judge.c), and evidence with the same remedy becomes one row.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_STATS_ADVICE_H
#define DBPERF_STATS_ADVICE_H

#include "access/attnum.h"
#include "core/compat.h"
#include "monitor/monitor.h"
#include "plans/plan_tree.h"

DBPERF_PRIVATE_BEGIN

/* The target of statistics that are to be finer than by default. */
#define STATS_LARGE_TARGET 1000

/* Columns of one condition or GROUP BY that are looked at together. */
#define STATS_COLUMNS 8

typedef enum StatsOp
{
	STATS_EQ,
	STATS_IN,
	STATS_NE,
	STATS_LT,
	STATS_LE,
	STATS_GT,
	STATS_GE,
	STATS_NULL,
	STATS_NOT_NULL,
	STATS_EQ_PARAM /* equal to what the plan does not say */
} StatsOp;

/* One condition of a plan on one column. */
typedef struct StatsCondition
{
	AttrNumber attno;
	StatsOp	   op;
	List	  *constants; /* char *, as the plan has them */
	bool	   array;	  /* there is one, and it is an array's text */
} StatsCondition;

/* What a plan's texts say of one table. */
typedef struct StatsConditions
{
	List *list;	  /* StatsCondition */
	bool  opaque; /* there are others that could not be read */
} StatsConditions;

/* A node whose estimate was wrong. */
typedef struct StatsEvidence
{
	Oid			relid;
	uint64		queryid; /* 0 = none */
	uint64		plan_id;
	int			line; /* of the node */
	TimestampTz started_at;
	bool		grouping;	/* GROUP BY, DISTINCT; else a scan */
	bool		opaque;		/* more conditions than those known */
	List	   *conditions; /* StatsCondition, of a scan */
	int			ncolumns;	/* distinct columns, ascending */
	AttrNumber	columns[STATS_COLUMNS];
	double		estimated; /* rows of one execution */
	double		actual;
	double		q_error;
	double		scanned; /* grouping: rows that the scan below was to return */

	/* by the sample: q-errors, of a scan with each kind; 0 = not possible */
	int	   ranges;		/* columns with < and the like */
	double sampled;		/* rows, -1 = not known */
	double independent; /* rows, if the columns were independent */
	double q_dependencies;
	double q_mcv;
	double q_mcv_large; /* with STATS_LARGE_TARGET */
	double q_after;		/* with what is advised */
} StatsEvidence;

/* A column of a sample; values are numbered in their order, 0 = null. */
typedef struct StatsColumn
{
	AttrNumber attno;
	char	  *name;
	Oid		   type; /* a domain's base type */
	int32	   typmod;
	Oid		   collation;
	FmgrInfo   compare;
	int		   target; /* statistics target in force */
	int		  *codes;  /* of each row */
	int		   nvalues;
	Datum	  *values;	 /* [1 .. nvalues] */
	int		  *counts;	 /* [0 .. nvalues] rows of each */
	double	   distinct; /* estimated for the table, as ANALYZE does */
} StatsColumn;

/* A sample of a table, or why there is none. */
typedef struct StatsTable
{
	Oid			  relid;
	char		 *schema;
	char		 *name;
	bool		  partitioned;
	const char	 *refused;	/* NULL = there is a sample */
	double		  rows;		/* of the table */
	int			  nrows;	/* of the sample */
	TimestampTz	  analyzed; /* last time, 0 = never or not known */
	double		  modified; /* rows since then */
	bool		  objects;	/* there are extended statistics */
	int			  ncolumns;
	StatsColumn	 *columns;
	List		 *cache;   /* what was computed of sets of columns, stats_formulas.c */
	MemoryContext context; /* of the sample; goes when the table has been judged */
} StatsTable;

/* What is to be done about one or more pieces of evidence. */
typedef enum StatsRemedy
{
	REMEDY_EXTENDED,   /* CREATE STATISTICS */
	REMEDY_TARGET,	   /* ALTER TABLE ... ALTER COLUMN ... SET STATISTICS */
	REMEDY_EXT_TARGET, /* ALTER STATISTICS ... SET STATISTICS */
	REMEDY_ANALYZE,	   /* what is there is out of date, or was never built */
	REMEDY_NONE,	   /* correlated, but out of reach of extended statistics */
	REMEDY_UNKNOWN	   /* not verified */
} StatsRemedy;

#define STATS_KIND_DEPENDENCIES 1
#define STATS_KIND_MCV 2
#define STATS_KIND_NDISTINCT 4

typedef struct StatsAdvice
{
	StatsTable *table;
	StatsRemedy remedy;
	int			ncolumns;
	AttrNumber	columns[STATS_COLUMNS];
	int			kinds;	/* STATS_KIND_*, of REMEDY_EXTENDED */
	int			target; /* 0 = as it is */
	char	   *object; /* an existing one's quoted name, or NULL */
	List	   *evidence;
	char	   *ddl;
	char	   *reason;
} StatsAdvice;

/* The conditions of one piece of evidence on one column of the sample. */
typedef struct StatsMatch
{
	StatsColumn *column;
	bool		*match; /* [0 .. nvalues]; NULL = the value is not known */
	double		 selectivity;
	bool		 equality; /* as functional dependencies need it */
	bool		 range;
} StatsMatch;

/* stats_conditions.c */
extern void	 dbperf_stats_conditions(const char *text, const char *alias, Oid relid,
									 StatsConditions *conditions);
extern List *dbperf_stats_column_list(const char *text);
extern List *dbperf_stats_joined_columns(const char *text, const char *alias, Oid relid);

/* stats_evidence.c */
extern List	 *dbperf_stats_evidence(List *statements);
extern Oid	  dbperf_stats_relation(const PlanNode *node, List *relations);
extern bool	  dbperf_stats_is_scan(const PlanNode *node);
extern bool	  dbperf_stats_add_column(StatsEvidence *evidence, AttrNumber attno);
extern bool	  dbperf_stats_ran_to_end(const PlanNode *node);
extern double dbperf_stats_loop_rows(const PlanNode *node, double *estimated);
extern void
dbperf_stats_scan_conditions(const PlanNode *node, Oid relid, StatsConditions *conditions);
extern double dbperf_stats_q_error(double a, double b);

/* stats_grouping.c */
extern StatsEvidence *dbperf_stats_grouping(const PlanNode *node, List *relations);

/* stats_sample.c */
extern int			dbperf_stats_target(HeapTuple tuple);
extern StatsTable  *dbperf_stats_sample(Oid relid, List *evidence);
extern StatsColumn *dbperf_stats_column(const StatsTable *table, AttrNumber attno);

/* stats_match.c */
extern int
dbperf_stats_match(const StatsTable *table, StatsEvidence *evidence, StatsMatch *matches);
extern int	dbperf_stats_find(const StatsColumn *column, Datum value, bool *equal);
extern bool dbperf_stats_constants(const StatsColumn *column, const StatsCondition *condition,
								   Datum **values, int *nvalues);

/* stats_formulas.c */
extern double dbperf_stats_joint(const StatsTable *table, const StatsMatch *matches, int n);
extern double dbperf_stats_product(const StatsMatch *matches, int n);
extern double dbperf_stats_dependencies(StatsTable *table, const StatsMatch *matches, int n);
extern double dbperf_stats_mcv(StatsTable *table, const StatsMatch *matches, int n, int target);
extern double dbperf_stats_distinct(const StatsTable *table, StatsColumn **columns, int n);
extern double dbperf_stats_duj1(double rows, double sampled, double distinct, double once);

/* stats_single.c */
extern double dbperf_stats_single(const StatsTable *table, const StatsColumn *column,
								  const StatsEvidence *evidence, int target);

/* stats_judge.c */
extern List *dbperf_stats_judge(StatsTable *table, List *evidence);

/* stats_merge.c */
extern StatsAdvice	 *dbperf_stats_add(List **advice, StatsTable *table, StatsRemedy remedy,
									   const AttrNumber *columns, int n, StatsEvidence *evidence);
extern List			 *dbperf_stats_choose(List *advice);
extern StatsEvidence *dbperf_stats_worst(const StatsAdvice *advice);

/* stats_existing.c */
extern bool dbperf_stats_existing(StatsAdvice *advice, bool *built);
extern bool dbperf_stats_has_objects(Oid relid);

/* stats_ddl.c */
extern void		   dbperf_stats_ddl(StatsAdvice *advice, List **names);
extern char		  *dbperf_stats_reason(const StatsAdvice *advice);
extern const char *dbperf_stats_kind(const StatsAdvice *advice);

/* stats_sql.c */
extern List *dbperf_stats_advice(List *statements);

DBPERF_PRIVATE_END

#endif /* DBPERF_STATS_ADVICE_H */
