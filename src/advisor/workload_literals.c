/*-------------------------------------------------------------------------
 *
 * workload_literals.c
 *		Analysis of a statement that evaluates none of its constants.
 *
 * Input functions of composite types, arrays and ranges check the domains in
 * them, and so may run anybody's function while a statement is analysed.  Here
 * each string constant is analysed as a parameter of unknown type, for which
 * the server has the same rules, and is never read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "advisor/workload_int.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parse_node.h"
#include "parser/parse_param.h"
#include "utils/lsyscache.h"

/* parameters from here on stand for constants; no real one has such a number */
#define LITERAL_BASE 0x40000000

/* The hooks for real parameters, and what the constants became. */
typedef struct LiteralState
{
	void			 *param_state;
	ParseParamRefHook param_ref;
	CoerceParamHook	  coerce;
	List			 *types; /* OIDs, each once */
} LiteralState;

/*
 * Makes a parameter of each string constant.  Equal constants get the same
 * number: a GROUP BY may have to match the select list.  Different ones may
 * get the same by chance, which does no harm.  Modifiers of a type stay: they
 * must be constants.
 */
static bool
literals_walker(Node *node, void *context)
{
	if (node == NULL || IsA(node, TypeName))
		return false;
	if (IsA(node, A_Const))
	{
		A_Const	   *constant = (A_Const *) node;
		ParamRef   *param = (ParamRef *) node;
		int			location = constant->location;
		const char *value;

		StaticAssertStmt(sizeof(A_Const) >= sizeof(ParamRef), "a constant is changed in place");
		if (constant->isnull || !IsA(&constant->val, String))
			return false;
		value = strVal(&constant->val);
		param->number =
			LITERAL_BASE +
			(int) (hash_bytes((const unsigned char *) value, strlen(value)) & (LITERAL_BASE - 1));
		param->type = T_ParamRef;
		param->location = location;
		return false;
	}
	return raw_expression_tree_walker(node, literals_walker, context);
}

/*
 * A parameter in the text: a constant or a real one.
 */
static Node *
literal_ref(ParseState *pstate, ParamRef *ref)
{
	LiteralState *state = pstate->p_ref_hook_state;
	Node		 *result;

	if (ref->number >= LITERAL_BASE)
	{
		Param *param = makeNode(Param);

		param->paramkind = PARAM_EXTERN;
		param->paramid = ref->number;
		param->paramtype = UNKNOWNOID;
		param->paramtypmod = -1;
		param->location = ref->location;
		return (Node *) param;
	}
	pstate->p_ref_hook_state = state->param_state;
	result = state->param_ref(pstate, ref);
	pstate->p_ref_hook_state = state;
	return result;
}

/*
 * A parameter gets a type.
 */
static Node *
literal_coerce(ParseState *pstate, Param *param, Oid type, int32 typmod, int location)
{
	LiteralState *state = pstate->p_ref_hook_state;
	Node		 *result;

	if (param->paramkind == PARAM_EXTERN && param->paramid >= LITERAL_BASE &&
		param->paramtype == UNKNOWNOID)
	{
		param->paramtype = type;
		param->paramcollid = get_typcollation(type);
		state->types = list_append_unique_oid(state->types, type);
		return (Node *) param;
	}
	pstate->p_ref_hook_state = state->param_state;
	result = state->coerce(pstate, param, type, typmod, location);
	pstate->p_ref_hook_state = state;
	return result;
}

/*
 * Analyses a raw tree, which is used up, without evaluating anything.  Returns
 * the types that its string constants are read as, and the tree in *query.
 * types are those of its real parameters, as far as they are known.
 */
List *
dbperf_literal_types(const Subject *subject, RawStmt *raw, Oid *types, int ntypes, Query **query)
{
	ParseState	*pstate = make_parsestate(NULL);
	LiteralState state = {0};
	Oid			*known = NULL;

	if (ntypes > 0)
	{
		known = palloc(ntypes * sizeof(Oid));
		memcpy(known, types, ntypes * sizeof(Oid));
	}
	(void) literals_walker(raw->stmt, NULL);

	pstate->p_sourcetext = subject->text;
	setup_parse_variable_parameters(pstate, &known, &ntypes);
	state.param_state = pstate->p_ref_hook_state;
	state.param_ref = pstate->p_paramref_hook;
	state.coerce = pstate->p_coerce_param_hook;
	pstate->p_ref_hook_state = &state;
	pstate->p_paramref_hook = literal_ref;
	pstate->p_coerce_param_hook = literal_coerce;
	dbperf_allow_variables(subject, pstate);

	*query = transformTopLevelStmt(pstate, raw);
	free_parsestate(pstate);
	return state.types;
}
