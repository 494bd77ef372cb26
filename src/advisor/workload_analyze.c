/*-------------------------------------------------------------------------
 *
 * workload_analyze.c
 *		From the query of a subject to rewritten trees that may be planned.
 *
 * Analysis uses a ParseState of its own, so that no hook of other extensions
 * sees it.  It must not run a function that the role cannot trust, and neither
 * must planning.  The only functions that analysis itself runs are input
 * functions of string constants, and those of composite types, arrays and
 * ranges check the domains in them.  So where trust matters the statement is
 * first analysed with all its string constants as parameters, which evaluates
 * nothing, and the types that these parameters got and the rewritten trees are
 * examined.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/transam.h"
#include "advisor/workload_int.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parse_node.h"
#include "parser/parse_param.h"
#include "parser/parse_type.h"
#include "rewrite/rewriteHandler.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* variables of functions are parameters from here on, behind any that is recorded */
#define FIRST_VARIABLE 1001

/* names of the variables in the statement that is analysed now */
static List *variable_names = NIL;

/* Parameter types while they are found. */
typedef struct ParamTypes
{
	Oid *types;
	int	 count;
} ParamTypes;

/*
 * The types to start with: those of the recorded execution, or of PREPARE.
 */
static ParamTypes
known_types(const Subject *subject, const Unwrapped *unwrapped)
{
	ParamTypes params = {0};
	ListCell  *lc;

	if (unwrapped->argtypes != NIL)
	{
		params.types = palloc(list_length(unwrapped->argtypes) * sizeof(Oid));
		foreach (lc, unwrapped->argtypes)
			params.types[params.count++] = typenameTypeId(NULL, lfirst_node(TypeName, lc));
	}
	else if (subject->param_types != NULL && subject->nparams > 0)
	{
		params.count = subject->nparams;
		params.types = palloc(params.count * sizeof(Oid));
		memcpy(params.types, subject->param_types, params.count * sizeof(Oid));
		for (int i = 0; i < params.count; i++)
			if (!SearchSysCacheExists1(TYPEOID, ObjectIdGetDatum(params.types[i])))
				params.types[i] = InvalidOid;
	}
	return params;
}

/*
 * A name that is no column: a variable of the function that ran the statement.
 */
static Node *
variable_ref(ParseState *pstate, ColumnRef *ref, Node *column)
{
	ParamRef   *param;
	ListCell   *lc;
	const char *name;
	int			n = 0;

	if (column != NULL)
		return NULL;
	foreach (lc, ref->fields)
		if (!IsA(lfirst(lc), String))
			return NULL;
	name = NameListToString(ref->fields);
	foreach (lc, variable_names)
	{
		if (strcmp(lfirst(lc), name) == 0)
			break;
		n++;
	}
	if (lc == NULL)
		variable_names = lappend(variable_names, unconstify(char *, name));

	param = makeNode(ParamRef);
	param->number = FIRST_VARIABLE + n;
	param->location = ref->location;
	return pstate->p_paramref_hook(pstate, param);
}

/*
 * Statements in functions may name the functions' variables.  Of these only the
 * names are known here, so each is a parameter whose type is to be found.
 */
void
dbperf_allow_variables(const Subject *subject, ParseState *pstate)
{
	variable_names = NIL;
	if (subject->nested)
		pstate->p_post_columnref_hook = variable_ref;
}

/*
 * Analyses and rewrites a raw tree, which is used up.  All parameters must have
 * got a type.
 */
static List *
analyze_raw(const Subject *subject, RawStmt *raw, ParamTypes *params)
{
	ParseState *pstate = make_parsestate(NULL);
	Query	   *query;

	pstate->p_sourcetext = subject->text;
	setup_parse_variable_parameters(pstate, &params->types, &params->count);
	dbperf_allow_variables(subject, pstate);
	query = transformTopLevelStmt(pstate, raw);
	check_variable_parameters(pstate, query);
	for (int i = 0; i < params->count; i++)
		if (params->types[i] == UNKNOWNOID)
			ereport(ERROR, (errcode(ERRCODE_INDETERMINATE_DATATYPE),
							errmsg("could not determine data type of parameter $%d", i + 1)));
	free_parsestate(pstate);
	return QueryRewrite(query);
}

/*
 * The query of a materialized view, which REFRESH runs as the view's owner:
 * becomes that role.
 */
static List *
matview_query(const RangeVar *name, bool *trusting)
{
	Oid		 relid = RangeVarGetRelid(name, AccessShareLock, false);
	Relation rel = table_open(relid, NoLock);
	Query	*query;

	if (rel->rd_rel->relkind != RELKIND_MATVIEW)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("\"%s\" is not a materialized view", RelationGetRelationName(rel))));
	if (!has_privs_of_role(GetUserId(), rel->rd_rel->relowner))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_MATVIEW, RelationGetRelationName(rel));
	if (rel->rd_rules == NULL || rel->rd_rules->numLocks != 1)
		elog(ERROR, "materialized view \"%s\" has no query", RelationGetRelationName(rel));

	query = copyObject(linitial_node(Query, rel->rd_rules->rules[0]->actions));
	dbperf_rights_become(rel->rd_rel->relowner);
	*trusting |= dbperf_rights_trust_begin();
	table_close(rel, NoLock);
	AcquireRewriteLocks(query, true, false);
	return QueryRewrite(query);
}

/*
 * Raises an error for a relation that must not be planned here.
 */
static void
check_relation(Oid relid)
{
	ListCell *lc;

	if (get_rel_persistence(relid) == RELPERSISTENCE_TEMP)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("it uses the temporary table \"%s\"", get_rel_name(relid))));
	if (get_rel_relkind(relid) == RELKIND_FOREIGN_TABLE)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("it uses the foreign table \"%s\"", get_rel_name(relid))));
	if (!has_subclass(relid))
		return;
	foreach (lc, find_inheritance_children(relid, NoLock))
		check_relation(lfirst_oid(lc));
}

static bool
relations_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, relations_walker, context,
								 QTW_EXAMINE_RTES_BEFORE);
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		if (rte->rtekind == RTE_RELATION)
			check_relation(rte->relid);
		return false;
	}
	return expression_tree_walker(node, relations_walker, context);
}

/*
 * Whether a tree uses a table that advice may be about: of a user's, and not of
 * this extension's.
 */
static bool
user_table_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, user_table_walker, context,
								 QTW_EXAMINE_RTES_BEFORE);
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		return rte->rtekind == RTE_RELATION && rte->relid >= FirstNormalObjectId &&
			   get_rel_namespace(rte->relid) != get_namespace_oid("dbperf", true);
	}
	return expression_tree_walker(node, user_table_walker, context);
}

/*
 * Raises an error unless the role may trust what planning these queries runs.
 */
static void
require_trust(List *queries)
{
	ListCell *lc;

	foreach (lc, queries)
	{
		Query *query = lfirst_node(Query, lc);
		char  *untrusted = NULL;

		if (query->commandType != CMD_UTILITY)
			untrusted = dbperf_untrusted_in_query(query);
		if (untrusted != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg_internal("%s", untrusted)));
	}
}

/*
 * Raises an error if analysing the statement would run a function that the role
 * cannot trust.
 */
static void
check_literals(const Subject *subject, const Unwrapped *unwrapped, const ParamTypes *params)
{
	TrustWalk walk = {0};
	ListCell *lc;
	Query	 *query;

	foreach (lc, dbperf_literal_types(subject, copyObject(unwrapped->raw), params->types,
									  params->count, &query))
		if (!dbperf_trust_type(lfirst_oid(lc), &walk))
			ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
							errmsg_internal("%s", walk.untrusted)));
	require_trust(QueryRewrite(query));
}

/*
 * Analyses a parsed subject as the current role, raising errors for whatever
 * keeps it from being planned.  Sets *trusting if it has called
 * dbperf_rights_trust_begin().
 */
void
dbperf_subject_analyze(Subject *subject, Analyzed *out, bool *trusting)
{
	ParamTypes params;
	Unwrapped  unwrapped;
	List	  *queries;
	ListCell  *lc;

	dbperf_unwrap(subject, &unwrapped);
	params = known_types(subject, &unwrapped);
	*trusting = dbperf_rights_trust_begin();
	if (unwrapped.matview != NULL)
		queries = matview_query(unwrapped.matview, trusting);
	else
	{
		if (dbperf_role_is_powerful(GetUserId()))
			check_literals(subject, &unwrapped, &params);
		queries = analyze_raw(subject, unwrapped.raw, &params);
	}

	foreach (lc, queries)
	{
		Query *query = lfirst_node(Query, lc);

		if (query->commandType == CMD_UTILITY || query->commandType == CMD_NOTHING)
			continue;
		(void) relations_walker((Node *) query, NULL);
		dbperf_rights_check(query);
		out->queries = lappend(out->queries, query);
	}
	if (!subject->explicit_text && !user_table_walker((Node *) out->queries, NULL))
	{
		subject->ignored = true;
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("it uses no table")));
	}
	if (out->queries == NIL)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("a rule leaves nothing of it to be planned")));
	if (dbperf_role_is_powerful(GetUserId()))
		require_trust(out->queries);

	out->cursor_options = unwrapped.cursor_options;
	dbperf_param_sets(subject, params.types, params.count, out);
}
