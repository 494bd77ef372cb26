/*-------------------------------------------------------------------------
 *
 * plan_parse.h
 *		What the files that read plans back share with each other.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_PLAN_PARSE_H
#define DBPERF_PLAN_PARSE_H

#include "plans/plan_tree.h"

DBPERF_PRIVATE_BEGIN

/* One line of a plan, together with the line breaks inside of its quotes. */
typedef enum PlanLineKind
{
	PLAN_LINE_EMPTY,
	PLAN_LINE_NODE,		/* "->  " and a node, or the first line */
	PLAN_LINE_SUBPLAN,	/* "SubPlan 1", "InitPlan 1", "CTE x" */
	PLAN_LINE_PROPERTY, /* "key: value" */
	PLAN_LINE_OTHER
} PlanLineKind;

typedef struct PlanLine
{
	PlanLineKind kind;
	int			 number; /* of the text, from 1 */
	int			 column; /* spaces before it */
	const char	*text;	 /* without them, and without the arrow */
	int			 len;
	int			 key_len; /* of a property: up to its colon */
	bool		 open;	  /* a quote in it is not closed */
} PlanLine;

/* Where in a text its reader is. */
typedef struct PlanReader
{
	const char *next;
	const char *end;
	int			number; /* of the next line */
	bool		began;	/* a line that is not empty was read */
} PlanReader;

/* plan_lines.c */
extern bool	 dbperf_plan_next_line(PlanReader *reader, PlanLine *line);
extern List *dbperf_plan_lines(const char *text);

/* plan_node.c */
extern PlanNode	  *dbperf_plan_read_node(const char *text, int len);
extern const char *dbperf_plan_identifier(const char *p, char **name);
extern int		   dbperf_plan_min_children(const char *type);

DBPERF_PRIVATE_END

#endif /* DBPERF_PLAN_PARSE_H */
