/*-------------------------------------------------------------------------
 *
 * cache_check.h
 *		What the files share that judge whether a statement can be cached.
 *
 * Every function here returns false once something was found that keeps the
 * statement from being cached; the check then says what.  Whatever is not known
 * to be safe is refused.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DBPERF_CACHE_CHECK_H
#define DBPERF_CACHE_CHECK_H

#include "cache/cache_int.h"
#include "lib/stringinfo.h"

DBPERF_PRIVATE_BEGIN

/* Numbers of different parameters that a statement may use. */
#define CACHE_MAX_PARAMS 100

/* Nodes of a statement's tree, or of a plan's expressions. */
#define CACHE_MAX_NODES 20000

/* One statement's check. */
typedef struct CacheCheck
{
	CacheShape *shape;	   /* its functions, catalogs, params, settings and by_role are filled */
	CacheBypass reason;	   /* CACHE_BYPASS_NONE while nothing was found */
	char	   *object;	   /* at fault, palloc'd, or NULL */
	List	   *operators; /* OidList: found to be safe */
	List	   *types;	   /* the same */
	List	   *levels;	   /* the queries around the node at hand, innermost first */
	int			tables;	   /* range table entries that are tables */
	int			nodes;	   /* that were looked at */
	bool		planned;   /* it is about a finished plan, whose query was found fit */
} CacheCheck;

/* cache_eligible.c */
extern bool		   dbperf_check_refuse(CacheCheck *check, CacheBypass reason, const char *object);
extern bool		   dbperf_check_relation(CacheCheck *check, Oid relid);
extern CacheBypass dbperf_cache_check_plan(PlannedStmt *planned, CacheShape *shape,
										   StringInfo structure, char **object);

/* What is known of a built-in function. */
typedef enum BuiltinKind
{
	BUILTIN_AS_DECLARED,	/* safe if it is immutable */
	BUILTIN_SAFE,			/* depends on settings in the key only */
	BUILTIN_OUTPUT,			/* on the output functions of its arguments' types */
	BUILTIN_JSON,			/* on how its arguments' types become JSON */
	BUILTIN_ENUM,			/* on pg_enum */
	BUILTIN_SEARCH,			/* on the configuration of text search */
	BUILTIN_SEARCH_DEFAULT, /* and on which one is the default */
	BUILTIN_ROLE,			/* on the current role, or that of the session */
	BUILTIN_TIME,			/* on the clock */
	BUILTIN_UNSAFE			/* on something that is not watched, whatever it says */
} BuiltinKind;

/* cache_exprs.c */
extern bool dbperf_check_expr(Node *node, CacheCheck *check);

/* cache_calls.c */
extern List *dbperf_argument_types(List *args, CacheCheck *check);
extern bool	 dbperf_check_call(Oid function, List *args, Oid result, CacheCheck *check);
extern bool	 dbperf_check_aggref(Aggref *aggref, CacheCheck *check);
extern bool	 dbperf_check_table_function(RangeTblFunction *function, CacheCheck *check);

/* cache_builtin.c */
extern bool		   dbperf_is_current_setting(Oid function);
extern bool		   dbperf_takes_records(Oid function);
extern BuiltinKind dbperf_builtin_kind(Oid function);

/* cache_functions.c */
extern bool		   dbperf_check_function(CacheCheck *check, Oid function, List *types);
extern bool		   dbperf_check_support(CacheCheck *check, Oid function, List *types);
extern bool		   dbperf_check_operator(CacheCheck *check, Oid operator, List * types);
extern CacheBypass dbperf_check_again(HeapTuple function);
extern bool		   dbperf_aggregate_rights(Oid aggregate, Oid owner);

/* cache_types.c */
extern bool dbperf_check_type(CacheCheck *check, Oid type);
extern bool dbperf_check_type_input(CacheCheck *check, Oid type);
extern bool dbperf_check_type_output(CacheCheck *check, Oid type);
extern bool dbperf_check_type_json(CacheCheck *check, Oid type);
extern void dbperf_check_catalog(CacheCheck *check, Oid catalog);

/* cache_structure.c */
extern bool dbperf_check_structure(PlannedStmt *planned, CacheCheck *check, StringInfo out);

/* cache_tree.c */

/* Bytes of a tree's text; one that is larger is not cached. */
#define CACHE_MAX_TREE (256 * 1024)

extern char *dbperf_tree_text(Query *query, const char *source, int *len);

/* cache_shape.c */
extern uint64 dbperf_shape_number(const CacheShape *shape);

/* cache_key.c */
extern char *dbperf_key_planning_state(const CacheShape *shape, int *len);

/* Name in CacheShape.settings that stands for the OID of that configuration. */
#define CACHE_SETTING_TEXT_SEARCH "default_text_search_config"

DBPERF_PRIVATE_END

#endif /* DBPERF_CACHE_CHECK_H */
