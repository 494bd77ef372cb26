/*-------------------------------------------------------------------------
 *
 * workload_int.h
 *		What the files behind workload.h share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_WORKLOAD_INT_H
#define DBPERF_WORKLOAD_INT_H

#include "advisor/workload.h"
#include "parser/parse_node.h"

DBPERF_PRIVATE_BEGIN

/* workload.c */
extern void dbperf_subject_set_problem(Subject *subject, const char *problem);

/* workload_text.c */
extern char *dbperf_repair_normalized(const char *text);

/* workload_settings.c */
extern List *dbperf_workload_settings(Oid role);
extern void	 dbperf_workload_apply_settings(const Subject *subject);

/* workload_parse.c */

/* What a statement is apart from the query in it. */
typedef struct Unwrapped
{
	RawStmt	 *raw;			  /* the query, NULL for REFRESH */
	RangeVar *matview;		  /* of REFRESH MATERIALIZED VIEW */
	List	 *argtypes;		  /* TypeName, of PREPARE */
	int		  cursor_options; /* for the planner */
} Unwrapped;

extern void dbperf_subject_parse(Subject *subject);
extern void dbperf_subject_use_normalized(Subject *subject);
extern void dbperf_unwrap(Subject *subject, Unwrapped *out);

/* workload_literals.c */
extern List *
dbperf_literal_types(const Subject *subject, RawStmt *raw, Oid *types, int ntypes, Query **query);

/* workload_analyze.c */
extern void dbperf_subject_analyze(Subject *subject, Analyzed *out, bool *trusting);
extern void dbperf_allow_variables(const Subject *subject, ParseState *pstate);

/* param_places.c */

/* What a parameter is compared with, or where it stands. */
typedef enum ParamUse
{
	PARAM_UNUSED,
	PARAM_EQUAL,
	PARAM_LOWER, /* column > parameter */
	PARAM_UPPER,
	PARAM_LIMIT,
	PARAM_OFFSET
} ParamUse;

typedef struct ParamPlace
{
	ParamUse   use;
	Oid		   relid;
	AttrNumber attno;
	Const	  *constant; /* that it took the place of, or NULL */
} ParamPlace;

extern ParamPlace *dbperf_param_places(List *queries, int nparams, bool vary, int *nplaces);

/* param_values.c */
extern void dbperf_param_sets(Subject *subject, const Oid *types, int ntypes, Analyzed *out);

/* rights.c */
extern void dbperf_rights_check(Query *query);

/* rights_walk.c */

/* Where a walk over functions stands: the first one that is not trusted. */
typedef struct TrustWalk
{
	Oid	  owner; /* whose functions are trusted too, or InvalidOid */
	List *types; /* OIDs of what was found to be trusted, or is being looked at */
	List *relations;
	List *functions;
	List *operators;
	char *untrusted; /* the sentence, once there is one */
} TrustWalk;

extern bool dbperf_trust_function(Oid function, TrustWalk *walk);
extern bool dbperf_trust_type(Oid type, TrustWalk *walk);

DBPERF_PRIVATE_END

#endif /* DBPERF_WORKLOAD_INT_H */
