/*-------------------------------------------------------------------------
 *
 * cache_explain.c
 *		dbperf.cache_explain(): whether a statement can be cached, and why not.
 *
 * The statement is analysed, rewritten and planned with the caller's rights, as
 * EXPLAIN (GENERIC_PLAN) does, and then judged by what judges it when it is
 * really planned.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/gin.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "cache/cache_int.h"
#include "catalog/pg_type.h"
#include "core/core.h"
#include "core/exec_hooks.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parse_node.h"
#include "parser/parse_param.h"
#include "parser/parser.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"

#define EXPLAIN_COLUMNS 5

PG_FUNCTION_INFO_V1(dbperf_cache_explain);

/* What is said of one statement. */
typedef struct CacheVerdict
{
	CacheBypass reason;
	char	   *object; /* at fault, or NULL */
	const char *detail; /* NULL = nothing to add */
} CacheVerdict;

/*
 * The place of an error is one in the text that is explained, not in the
 * statement that calls.
 */
static void
transpose_place(void *arg)
{
	int place = geterrposition();

	if (place <= 0)
		return;
	errposition(0);
	internalerrposition(place);
	internalerrquery(arg);
}

/*
 * Analyses and rewrites a statement.  Types of parameters follow from where they
 * stand.  The ParseState is our own, so that no hook of other extensions sees
 * the statement.
 */
static List *
analyze(RawStmt *raw, const char *sql)
{
	ParseState *pstate = make_parsestate(NULL);
	Oid		   *types = NULL;
	int			num = 0;
	Query	   *query;

	pstate->p_sourcetext = sql;
	setup_parse_variable_parameters(pstate, &types, &num);
	query = transformTopLevelStmt(pstate, raw);
	check_variable_parameters(pstate, query);
	for (int i = 0; i < num; i++)
		if (types[i] == InvalidOid || types[i] == UNKNOWNOID)
			ereport(ERROR, (errcode(ERRCODE_INDETERMINATE_DATATYPE),
							errmsg("could not determine data type of parameter $%d", i + 1)));
	free_parsestate(pstate);
	if (query->commandType == CMD_UTILITY)
		return list_make1(query);
	if (query->queryId == 0)
		(void) DBPERF_JUMBLE(query, sql);
	return QueryRewrite(query);
}

/*
 * Raises an error unless the caller may read all tables of a query, as EXPLAIN
 * does.
 */
static bool
rights_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, rights_walker, context);
	dbperf_check_relation_rights((Query *) node);
	return query_tree_walker((Query *) node, rights_walker, context, 0);
}

/*
 * Plans a query with its parameters left open, unseen by our own hooks.
 */
static PlannedStmt *
plan(Query *query, const char *sql)
{
	PlannedStmt *volatile planned = NULL;

	dbperf_statements_suspend();
	PG_TRY();
	{
		planned = planner(query, sql, CURSOR_OPT_PARALLEL_OK | CURSOR_OPT_GENERIC_PLAN, NULL);
	}
	PG_FINALLY();
	{
		dbperf_statements_resume();
	}
	PG_END_TRY();
	return planned;
}

/*
 * What this session lacks for a statement that can be cached; NULL = nothing.
 */
static const char *
session_lacks(void)
{
	if (!dbperf_enabled)
		return "Not used now: dbperf.enabled is off.";
	if (dbperf_cache_size == 0)
		return "Not used now: dbperf.cache_size is 0.";
	if (dbperf_cache_mode == CACHE_MODE_OFF)
		return "Not used now: dbperf.cache_mode is off in this session.";
	if (RecoveryInProgress())
		return "Not used now: this server is a standby.";
	if (IsolationIsSerializable())
		return "Not used now: this transaction is SERIALIZABLE.";
	if (GinFuzzySearchLimit != 0)
		return "Not used now: gin_fuzzy_search_limit is not 0.";
	return NULL;
}

/*
 * Why a statement that can be cached is, or what it takes.
 */
static const char *
what_it_takes(bool hinted, CacheListed tables, CacheListed query, int64 queryid)
{
	const char *lacks = session_lacks();

	if (lacks != NULL)
		return lacks;
	if (hinted)
		return "Used: it has the hint.";
	if (query == CACHE_LISTED_YES)
		return "Used: its queryid is listed.";
	if (tables == CACHE_LISTED_YES)
		return "Used: all of its tables are listed.";
	if (dbperf_cache_mode == CACHE_MODE_HINT)
		return "Not used now: with dbperf.cache_mode = hint it needs the comment "
			   "/* dbperf: cache */, or a place in cache_tables or cache_queries_listed.";
	if (dbperf_cache_admitted(queryid))
		return "Used: it was admitted.";
	return "Not used yet: it has not been admitted, which takes repeated executions that are long "
		   "enough.";
}

/*
 * Says of a rewritten query whether it can be cached.
 */
static void
judge(Query *query, const char *sql, CacheVerdict *verdict)
{
	CacheShape	 checked = {0};
	CacheShape	*shape;
	CacheListed	 listed = dbperf_cache_listed_query((int64) query->queryId);
	bool		 hinted = dbperf_cache_hinted(sql, query->stmt_location, query->stmt_len);
	PlannedStmt *planned;

	verdict->reason = dbperf_cache_check_query(query, &checked, &verdict->object);
	if (verdict->reason != CACHE_BYPASS_NONE)
		return;
	shape = dbperf_shape_begin(query, sql, &checked);
	if (shape == NULL)
	{
		verdict->reason = CACHE_BYPASS_TOO_LARGE;
		return;
	}
	planned = plan(query, sql);
	verdict->reason = dbperf_shape_finish(shape, planned, &verdict->object);
	if (verdict->reason == CACHE_BYPASS_REFUSED)
		verdict->detail = "One of its tables is listed as never to be cached.";
	else if (listed == CACHE_LISTED_REFUSED)
	{
		verdict->reason = CACHE_BYPASS_REFUSED;
		verdict->detail = "Its queryid is listed as never to be cached.";
	}
	else if (verdict->reason == CACHE_BYPASS_NONE)
		verdict->detail = what_it_takes(hinted, dbperf_cache_listed_tables(planned->relationOids),
										listed, shape->queryid);
}

/*
 * One row of the answer.
 */
static void
put_row(ReturnSetInfo *rsinfo, int number, const CacheVerdict *verdict)
{
	Datum values[EXPLAIN_COLUMNS] = {0};
	bool  nulls[EXPLAIN_COLUMNS] = {false};
	bool  cacheable = verdict->reason == CACHE_BYPASS_NONE;

	values[0] = Int32GetDatum(number);
	values[1] = BoolGetDatum(cacheable);
	if (cacheable)
		nulls[2] = true;
	else
		values[2] = CStringGetTextDatum(dbperf_cache_reason(verdict->reason));
	if (verdict->object != NULL)
		values[3] = CStringGetTextDatum(verdict->object);
	else
		nulls[3] = true;
	if (verdict->detail != NULL)
		values[4] = CStringGetTextDatum(verdict->detail);
	else
		nulls[4] = true;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * All statements of a text.
 */
static void
explain_text(ReturnSetInfo *rsinfo, const char *sql)
{
	ListCell *lc;
	int		  number = 0;

	foreach (lc, raw_parser(sql, RAW_PARSE_DEFAULT))
	{
		CacheVerdict verdict = {.reason = CACHE_BYPASS_NO_SELECT};
		List		*queries = analyze(lfirst_node(RawStmt, lc), sql);

		CHECK_FOR_INTERRUPTS();
		(void) rights_walker((Node *) queries, NULL);
		/* a rule may leave nothing of it, or make several of it */
		if (list_length(queries) == 1)
			judge(linitial_node(Query, queries), sql, &verdict);
		put_row(rsinfo, ++number, &verdict);
	}
}

/*
 * cache_explain(query text), see dbperf--1.0.sql
 */
Datum
dbperf_cache_explain(PG_FUNCTION_ARGS)
{
	ReturnSetInfo		*rsinfo;
	ErrorContextCallback place = {.callback = transpose_place};

	dbperf_require_shmem();
	rsinfo = dbperf_srf_begin(fcinfo, EXPLAIN_COLUMNS);
	place.arg = text_to_cstring(PG_GETARG_TEXT_PP(0));
	place.previous = error_context_stack;
	error_context_stack = &place;
	explain_text(rsinfo, place.arg);
	error_context_stack = place.previous;
	return (Datum) 0;
}
