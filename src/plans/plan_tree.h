/*-------------------------------------------------------------------------
 *
 * plan_tree.h
 *		A plan read back from the text that EXPLAIN printed.
 *
 * Names are those of EXPLAIN (FORMAT JSON), whatever the text form calls them:
 * type "Hash Join" with join_type "Left" for a "Hash Left Join".
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_PLAN_TREE_H
#define DBPERF_PLAN_TREE_H

#include "core/compat.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

DBPERF_PRIVATE_BEGIN

/* One line "key: value" below a node, as it stands in the text. */
typedef struct PlanProperty
{
	char *key;	 /* "Filter", "Sort Method", "Rows Removed by Filter" ... */
	char *value; /* may have line breaks */
	int	  line;	 /* of the text, from 1 */
} PlanProperty;

typedef struct PlanNode
{
	int	  line;	 /* of the text, from 1 */
	char *title; /* the line, up to its first parenthesis: "Seq Scan on orders o" */
	char *type;	 /* "Seq Scan", "Hash Join", "Aggregate", "Sort", "ModifyTable" ... */

	/* NULL where they do not apply */
	char *relationship;	 /* "Outer", "Inner", "InitPlan", "SubPlan", "Member", "Subquery" */
	char *subplan_name;	 /* "SubPlan 1", "InitPlan 1 (returns $0)", "CTE x" */
	char *join_type;	 /* "Inner", "Left", "Right", "Full", "Semi", "Anti" ... */
	char *strategy;		 /* of Aggregate and SetOp: "Plain", "Sorted", "Hashed", "Mixed" */
	char *partial_mode;	 /* of Aggregate: "Simple", "Partial", "Finalize" */
	char *operation;	 /* of ModifyTable and Foreign Scan: "Insert" ... */
	char *schema;		 /* only where the text has it */
	char *relation;		 /* as it stands in the catalog, without quotes */
	char *alias;		 /* the relation's own name if there is none */
	char *index;		 /* without quotes */
	char *function_name; /* of Function Scan */
	char *cte_name;

	bool parallel_aware;
	bool backward; /* Scan Direction */
	bool never_executed;

	/* the planner's; only with has_cost */
	bool   has_cost;
	double startup_cost;
	double total_cost;
	double plan_rows; /* of one loop */
	int	   plan_width;

	/* the executor's; only with has_actual.  Times in ms, means of a loop. */
	bool   has_actual;
	bool   has_time;
	double actual_startup;
	double actual_total;
	double actual_rows; /* mean of a loop; from 18 on with decimals */
	double actual_loops;

	List			*properties; /* PlanProperty */
	List			*children;	 /* PlanNode, SubPlans and InitPlans too */
	struct PlanNode *parent;	 /* NULL at the root */
} PlanNode;

typedef struct PlanTree
{
	PlanNode *root;
	List	 *nodes;	/* all of them, in the order of the text */
	List	 *summary;	/* PlanProperty below the plan: JIT, triggers, "Planning Time" */
	List	 *lines;	/* char *: the text's lines */
	bool	  outline;	/* names only: the plan was too large to be explained */
	bool	  cut;		/* the text ends before the plan does */
	bool	  analyzed; /* at least one node has actual rows */
} PlanTree;

/* plan_tree.c */

/*
 * Reads a plan as EXPLAIN (FORMAT TEXT) prints it, or as dbperf_plan_structure
 * outlines it, without "QUERY PLAN" above it.  Allocates in the current memory
 * context.  Returns NULL if there is no node in it; never raises an error for
 * what stands in the text.
 */
extern PlanTree *dbperf_plan_parse(const char *text);

/* The value of a node's property, or NULL. */
extern const char *dbperf_plan_property(const PlanNode *node, const char *key);

/* The number that a property's value begins with, or missing. */
extern double dbperf_plan_number(const PlanNode *node, const char *key, double missing);

/*
 * A number within a property's value: "Disk" of "Sort Method: external merge
 * Disk: 123kB", "lossy" of "Heap Blocks: exact=1 lossy=2".
 */
extern double
dbperf_plan_part(const PlanNode *node, const char *key, const char *part, double missing);

/* plan_json.c */

/* Appends the tree as EXPLAIN (FORMAT JSON) would print it: [{"Plan": ...}]. */
extern void dbperf_plan_json(const PlanTree *tree, StringInfo out);

DBPERF_PRIVATE_END

#endif /* DBPERF_PLAN_TREE_H */
