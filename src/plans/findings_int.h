/*-------------------------------------------------------------------------
 *
 * findings_int.h
 *		What the rules that judge plans share with each other.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_FINDINGS_INT_H
#define DBPERF_FINDINGS_INT_H

#include "plans/findings.h"

DBPERF_PRIVATE_BEGIN

/* From which share of a statement on, and from how many ms, a finding weighs more. */
#define CRITICAL_SHARE 0.5
#define CRITICAL_MS 100.0
#define WARNING_SHARE 0.1
#define WARNING_MS 5.0

/* Below this many rows in all executions of a node nothing is said of them. */
#define MIN_ROWS 1000.0

/* A table of the plan, as far as the catalogs know it. */
typedef struct FindingTable
{
	Oid	   relid;
	char  *name; /* qualified and quoted */
	char   relkind;
	double rows;	/* that the planner knew of, -1 = it was never analyzed */
	double pages;	/* the same */
	double changed; /* rows, since it was analyzed */
	double live;	/* rows, as counted */
} FindingTable;

/* One of the conditions of a node that are connected by AND. */
typedef struct PlanCondition
{
	char *text; /* without the parentheses around it */
	char *left; /* NULL unless it is an operator between two things */
	char *op;
	char *right;

	/* the node's own column in it, if it is the only one */
	char *column;	 /* without quotes */
	char *wrapped;	 /* what stands around the column, NULL = nothing that matters */
	Oid	  cast_type; /* wrapped is a cast to this */
	bool  constant;	 /* the other side is none of the table's columns */
	bool  literal;	 /* the other side is nobody's: literals and parameters */
} PlanCondition;

typedef struct FindingContext
{
	const FindingSubject *subject;
	PlanTree			 *tree;
	double				  total_ms;	  /* of the execution, 0 = it was not measured */
	double				  total_work; /* of all nodes, see plan_measure.c */
	List				 *findings;
} FindingContext;

/* findings.c */
extern Finding *
dbperf_finding_add(FindingContext *context, const char *code, const PlanNode *node, double gain_ms);
extern Finding *
dbperf_finding_of(const FindingContext *context, const char *code, const PlanNode *node);

/* plan_measure.c */
extern double		   dbperf_node_loops(const PlanNode *node);
extern double		   dbperf_node_rows(const PlanNode *node);
extern double		   dbperf_node_removed(const PlanNode *node);
extern double		   dbperf_node_ms(const FindingContext *context, const PlanNode *node);
extern double		   dbperf_node_self_ms(const FindingContext *context, const PlanNode *node);
extern double		   dbperf_tree_work(const PlanTree *tree);
extern const PlanNode *dbperf_node_child(const PlanNode *node, const char *relationship);
extern const PlanNode *dbperf_node_above(const PlanNode *node, const char *type);
extern bool			   dbperf_node_is(const PlanNode *node, const char *type);

/* plan_conditions.c */
extern List *dbperf_conditions(const PlanNode *node, const char *key, const FindingTable *table);
extern List *dbperf_split(const char *text, const char *word);
extern char *dbperf_strip(const char *text);
extern char *dbperf_unqualified(const char *text, const PlanNode *node);
extern List *dbperf_columns_in(const char *text, const PlanNode *node, const FindingTable *table);

/* finding_tables.c */
extern FindingTable *dbperf_finding_table(const FindingContext *context, const PlanNode *node);
extern FindingTable *dbperf_finding_table_by_oid(Oid relid);
extern double		 dbperf_table_blocks(const FindingTable *table);
extern AttrNumber	 dbperf_finding_column(const FindingTable *table, const char *column);
extern bool			 dbperf_column_has_statistics(const FindingTable *table, const char *column);
extern bool			 dbperf_column_is_indexed(const FindingTable *table, const char *column);
extern Oid			 dbperf_index_method(const FindingTable *table, const char *index);
extern char			*dbperf_index_key(const FindingTable *table, const char *index, int n);

/* rules_estimates.c */
extern void dbperf_judge_estimates(FindingContext *context);

extern bool dbperf_explained_by_estimate(const FindingContext *context, const PlanNode *node);

/* rules_limit.c */
extern void dbperf_judge_limits(FindingContext *context);

/* rules_filters.c */
extern void dbperf_judge_filters(FindingContext *context);

/* rules_scans.c */
extern void dbperf_judge_scans(FindingContext *context);

/* rules_joins.c */
extern void dbperf_judge_joins(FindingContext *context);

/* rules_partitions.c */
extern void dbperf_judge_partitions(FindingContext *context);

/* rules_memory.c */
extern void dbperf_judge_memory(FindingContext *context);

/* rules_subplans.c */
extern void dbperf_judge_subplans(FindingContext *context);

/* rules_shares.c */
extern void dbperf_judge_shares(FindingContext *context);

/* finding_ddl.c */
extern char *dbperf_ddl_index(const FindingTable *table, List *columns);
extern char *dbperf_ddl_indexes(const FindingTable *table, List *columns);
extern char *dbperf_ddl_trigram(const FindingTable *table, const char *column);
extern char *dbperf_ddl_statistics(const FindingTable *table, List *columns);
extern char *dbperf_ddl_target(const FindingTable *table, const char *column);
extern char *dbperf_work_mem(const FindingContext *context, double kb);

DBPERF_PRIVATE_END

#endif /* DBPERF_FINDINGS_INT_H */
