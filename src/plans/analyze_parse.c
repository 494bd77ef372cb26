/*-------------------------------------------------------------------------
 *
 * analyze_parse.c
 *		From the text that dbperf.analyze_query() gets to a query and its parameters.
 *
 * Analysis uses a ParseState of its own, so that no hook of other extensions
 * takes the text for one that a client has sent.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "parser/analyze.h"
#include "parser/parse_node.h"
#include "parser/parse_param.h"
#include "parser/parser.h"
#include "plans/analyze.h"
#include "rewrite/rewriteHandler.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"

/*
 * What to do instead of analysing a utility statement.
 */
static const char *
hint_for(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_ExplainStmt:
			return "Give the statement without EXPLAIN; with execute => true it is executed.";
		case T_ExecuteStmt:
			return "Give the text that was prepared, and the values as parameters.";
		case T_CopyStmt:
		case T_CreateTableAsStmt:
		case T_DeclareCursorStmt:
		case T_PrepareStmt:
		case T_RefreshMatViewStmt:
		case T_ViewStmt:
			return "Give the query in it alone.";
		case T_CallStmt:
		case T_DoStmt:
			return "Give one of the queries that it runs.";
		default:
			return "Only SELECT, VALUES, INSERT, UPDATE, DELETE and MERGE have a plan.";
	}
}

/*
 * Raises the error of a statement that is no query.
 */
static void
refuse_utility(Node *statement)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("%s cannot be analysed", CreateCommandName(statement)),
					errhint("%s", hint_for(statement))));
}

/*
 * The raw tree of a text that must be one statement.
 */
static RawStmt *
parse_text(const char *query)
{
	List *statements = raw_parser(query, RAW_PARSE_DEFAULT);

	if (statements == NIL)
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("the text has no statement in it")));
	if (list_length(statements) > 1)
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
						errmsg("the text contains %d statements", list_length(statements)),
						errhint("Give one of them at a time.")));
	return linitial_node(RawStmt, statements);
}

/*
 * What is left of an analysed statement after rules: one query that has a plan.
 */
static Query *
rewrite(Query *query)
{
	List *queries;

	if (query->commandType == CMD_UTILITY)
		refuse_utility(query->utilityStmt);
	queries = QueryRewrite(query);
	if (list_length(queries) != 1 || linitial_node(Query, queries)->commandType == CMD_UTILITY ||
		linitial_node(Query, queries)->commandType == CMD_NOTHING)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("rules turn the statement into something else than one query"),
						errhint("Give one of the rule's queries.")));
	return linitial_node(Query, queries);
}

/* Adds to an error which value of a parameter it is about. */
static void
value_context(void *arg)
{
	errcontext("value of parameter $%d", *(int *) arg);
}

/*
 * Reads the values that were given for parameters of these types.
 */
static ParamListInfo
read_values(const Analysis *analysis, const Oid *types)
{
	ParamListInfo		 params = makeParamList(analysis->nvalues);
	int					 number;
	ErrorContextCallback context = {.callback = value_context, .arg = &number};

	context.previous = error_context_stack;
	error_context_stack = &context;
	for (int i = 0; i < analysis->nvalues; i++)
	{
		ParamExternData *param = &params->params[i];
		Oid				 input;
		Oid				 io_param;

		number = i + 1;
		getTypeInputInfo(types[i], &input, &io_param);
		param->ptype = types[i];
		param->pflags = PARAM_FLAG_CONST;
		param->isnull = analysis->values[i] == NULL;
		param->value = OidInputFunctionCall(input, analysis->values[i], io_param, -1);
	}
	error_context_stack = context.previous;
	return params;
}

/*
 * Finds out what values there are for parameters of these types, if any.
 */
static void
take_values(Analysis *analysis, const Oid *types, int count)
{
	if (analysis->has_values && analysis->nvalues != count)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("wrong number of parameters"),
				 errdetail("The statement has %d, and %d values were given.", count,
						   analysis->nvalues)));
	if (count > 0 && analysis->has_values)
		analysis->params = read_values(analysis, types);
	analysis->generic = count > 0 && !analysis->has_values;
	if (analysis->generic && analysis->execute)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a statement with parameters cannot be executed without their values"),
				 errhint("Give them as parameters => '{...}', as text.")));
}

/*
 * Parses, analyses and rewrites the statement, as the current role.
 */
void
dbperf_analyze_parse(Analysis *analysis)
{
	RawStmt	   *raw = parse_text(analysis->query);
	ParseState *pstate = make_parsestate(NULL);
	Oid		   *types = NULL;
	int			count = 0;
	Query	   *query;

	switch (nodeTag(raw->stmt))
	{
		case T_SelectStmt:
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
			break;
		default:
			refuse_utility(raw->stmt);
	}

	pstate->p_sourcetext = analysis->query;
	setup_parse_variable_parameters(pstate, &types, &count);
	query = transformTopLevelStmt(pstate, raw);
	check_variable_parameters(pstate, query);
	for (int i = 0; i < count; i++)
	{
		if (types[i] == InvalidOid || types[i] == UNKNOWNOID)
			ereport(ERROR, (errcode(ERRCODE_INDETERMINATE_DATATYPE),
							errmsg("could not determine data type of parameter $%d", i + 1)));
	}
	free_parsestate(pstate);

	analysis->tree = rewrite(query);
	take_values(analysis, types, count);
}
