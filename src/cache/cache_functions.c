/*-------------------------------------------------------------------------
 *
 * cache_functions.c
 *		Which functions may stand in a statement that is cached.
 *
 * A function's result must be decided by its arguments and by what is in the
 * key.  Immutable functions that are built in or written in C are trusted to be
 * what they say, of the stable ones only those that cache_builtin.c knows.  What
 * functions in SQL and in procedural languages read cannot be seen, whatever
 * they say of themselves, so they have to be listed by an administrator.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/hash.h"
#include "access/htup_details.h"
#include "access/nbtree.h"
#include "access/transam.h"
#include "cache/cache_check.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_am.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_language.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_ts_config_map.h"
#include "catalog/pg_ts_dict.h"
#include "catalog/pg_ts_parser.h"
#include "catalog/pg_ts_template.h"
#include "core/compat.h"
#include "nodes/value.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

/* The support functions of btree and of hash have numbers up to this one. */
#define FAMILY_FUNCTIONS Max(BTNProcs, HASHNProcs)

/* ---- one function ---- */

static bool
refuse_function(CacheCheck *check, CacheBypass reason, Oid function)
{
	return dbperf_check_refuse(check, reason, format_procedure(function));
}

/*
 * Each of the arguments' types; a function of which they are not known is
 * refused.
 */
static bool
check_types(CacheCheck *check, Oid function, List *types,
			bool (*judge)(CacheCheck *check, Oid type))
{
	ListCell *lc;

	if (types == NIL)
		return refuse_function(check, CACHE_BYPASS_STABLE, function);
	foreach (lc, types)
		if (!judge(check, lfirst_oid(lc)))
			return false;
	return true;
}

/*
 * Puts the value of a setting into the key.
 */
static void
add_setting(CacheShape *shape, const char *name)
{
	ListCell *lc;

	foreach (lc, shape->settings)
		if (strcmp(strVal(lfirst(lc)), name) == 0)
			return;
	shape->settings = lappend(shape->settings, makeString(pstrdup(name)));
}

static bool
check_search(CacheCheck *check, bool by_default)
{
	dbperf_check_catalog(check, TSConfigRelationId);
	dbperf_check_catalog(check, TSConfigMapRelationId);
	dbperf_check_catalog(check, TSDictionaryRelationId);
	dbperf_check_catalog(check, TSParserRelationId);
	dbperf_check_catalog(check, TSTemplateRelationId);
	if (by_default)
		add_setting(check->shape, CACHE_SETTING_TEXT_SEARCH);
	return true;
}

/*
 * A function that came with the server.
 */
static bool
check_builtin(CacheCheck *check, Form_pg_proc form, List *types)
{
	switch (dbperf_builtin_kind(form->oid))
	{
		case BUILTIN_SAFE:
			return true;
		case BUILTIN_OUTPUT:
			return check_types(check, form->oid, types, dbperf_check_type_output);
		case BUILTIN_JSON:
			return check_types(check, form->oid, types, dbperf_check_type_json);
		case BUILTIN_ENUM:
			dbperf_check_catalog(check, EnumRelationId);
			return true;
		case BUILTIN_SEARCH:
			return check_search(check, false);
		case BUILTIN_SEARCH_DEFAULT:
			return check_search(check, true);
		case BUILTIN_ROLE:
			check->shape->by_role = true;
			return true;
		case BUILTIN_TIME:
			return refuse_function(check, CACHE_BYPASS_TIME, form->oid);
		case BUILTIN_UNSAFE:
			return refuse_function(check, CACHE_BYPASS_STABLE, form->oid);
		default:
			break;
	}
	if (form->provolatile == PROVOLATILE_VOLATILE)
		return refuse_function(check, CACHE_BYPASS_VOLATILE, form->oid);
	if (form->provolatile == PROVOLATILE_STABLE)
		return refuse_function(check, CACHE_BYPASS_STABLE, form->oid);
	return true;
}

/*
 * A function that did not come with the server.
 */
static CacheBypass
judge_user_function(Form_pg_proc form)
{
	if (form->provolatile == PROVOLATILE_VOLATILE)
		return CACHE_BYPASS_VOLATILE;
	if (form->prolang == INTERNALlanguageId || form->prolang == ClanguageId)
	{
		if (form->provolatile == PROVOLATILE_IMMUTABLE || dbperf_cache_listed_function(form->oid))
			return CACHE_BYPASS_NONE;
		return CACHE_BYPASS_STABLE;
	}
	return dbperf_cache_listed_function(form->oid) ? CACHE_BYPASS_NONE : CACHE_BYPASS_USER_FUNCTION;
}

/*
 * What the body of a trusted function means is found out when it is called, by
 * search_path: or else whoever has functions of the same names in a schema of
 * his own could make results for others.  "$user" in search_path is another
 * schema for every role.
 */
static void
note_names(CacheCheck *check, Form_pg_proc form)
{
	if (form->prolang == INTERNALlanguageId || form->prolang == ClanguageId)
		return;
	add_setting(check->shape, "search_path");
	check->shape->by_role = true;
}

/*
 * Judges a function once more when a plan is executed that may be older than
 * the function, or than its place in the list.
 */
CacheBypass
dbperf_check_again(HeapTuple function)
{
	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(function);

	if (form->oid < FirstGenbkiObjectId || form->prokind == PROKIND_AGGREGATE)
		return CACHE_BYPASS_NONE;
	return judge_user_function(form);
}

/*
 * The functions that an aggregate is made of.
 */
static bool
check_aggregate(CacheCheck *check, Oid function, List *types)
{
	static const AttrNumber initial[] = {Anum_pg_aggregate_agginitval,
										 Anum_pg_aggregate_aggminitval};
	HeapTuple				tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(function));
	FormData_pg_aggregate	form;
	bool					has_initial[2];

	if (!HeapTupleIsValid(tuple))
		return refuse_function(check, CACHE_BYPASS_STABLE, function);
	memcpy(&form, GETSTRUCT(tuple), sizeof(form));
	for (int i = 0; i < 2; i++)
	{
		bool isnull;

		(void) SysCacheGetAttr(AGGFNOID, tuple, initial[i], &isnull);
		has_initial[i] = !isnull && function >= FirstGenbkiObjectId;
	}
	ReleaseSysCache(tuple);

	/* the state begins with a text of a type's input function */
	if ((has_initial[0] && !dbperf_check_type_input(check, form.aggtranstype)) ||
		(has_initial[1] && !dbperf_check_type_input(check, form.aggmtranstype)))
		return false;
	return dbperf_check_support(check, form.aggtransfn, types) &&
		   dbperf_check_support(check, form.aggfinalfn, types) &&
		   dbperf_check_support(check, form.aggcombinefn, types) &&
		   dbperf_check_support(check, form.aggserialfn, types) &&
		   dbperf_check_support(check, form.aggdeserialfn, types) &&
		   dbperf_check_support(check, form.aggmtransfn, types) &&
		   dbperf_check_support(check, form.aggminvtransfn, types) &&
		   dbperf_check_support(check, form.aggmfinalfn, types) &&
		   (!OidIsValid(form.aggsortop) || dbperf_check_operator(check, form.aggsortop, types));
}

/*
 * Judges a function that is called with arguments of these types (NIL: not
 * known), InvalidOid = none.
 */
static bool
judge_function(CacheCheck *check, Oid function, List *types)
{
	HeapTuple	tuple;
	bool		ok;
	bool		aggregate;
	CacheBypass reason = CACHE_BYPASS_NONE;

	if (!OidIsValid(function))
		return true;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return dbperf_check_refuse(check, CACHE_BYPASS_STABLE, "a function that was dropped");
	aggregate = ((Form_pg_proc) GETSTRUCT(tuple))->prokind == PROKIND_AGGREGATE;
	if (function < FirstGenbkiObjectId)
		ok = aggregate || check_builtin(check, (Form_pg_proc) GETSTRUCT(tuple), types);
	else
	{
		if (!aggregate)
			reason = judge_user_function((Form_pg_proc) GETSTRUCT(tuple));
		ok = reason == CACHE_BYPASS_NONE || refuse_function(check, reason, function);
		if (ok && !aggregate)
			note_names(check, (Form_pg_proc) GETSTRUCT(tuple));
	}
	ReleaseSysCache(tuple);
	return ok && (!aggregate || check_aggregate(check, function, types));
}

static void
add_function(CacheCheck *check, Oid function)
{
	if (OidIsValid(function))
		check->shape->functions = list_append_unique_oid(check->shape->functions, function);
}

/*
 * A function that the statement calls.  It becomes one of those that EXECUTE is
 * needed on.
 */
bool
dbperf_check_function(CacheCheck *check, Oid function, List *types)
{
	if (!judge_function(check, function, types))
		return false;
	add_function(check, function);
	return true;
}

/*
 * A function that others call, such as a transition function.  Those that came
 * with the server may be called by everybody who may call the other one, and do
 * not change.
 */
bool
dbperf_check_support(CacheCheck *check, Oid function, List *types)
{
	if (!judge_function(check, function, types))
		return false;
	if (function >= FirstGenbkiObjectId)
		add_function(check, function);
	return true;
}

/* ---- operators ---- */

/*
 * The functions that a btree or hash operator family adds to its operators,
 * unless it came with the server.
 */
static bool
check_family(CacheCheck *check, Form_pg_amop member)
{
	if (member->amopfamily < FirstGenbkiObjectId ||
		(member->amopmethod != BTREE_AM_OID && member->amopmethod != HASH_AM_OID))
		return true;
	for (int16 n = 1; n <= FAMILY_FUNCTIONS; n++)
	{
		Oid function =
			get_opfamily_proc(member->amopfamily, member->amoplefttype, member->amoprighttype, n);

		if (!dbperf_check_support(check, function, NIL))
			return false;
	}
	return true;
}

static bool
check_families(CacheCheck *check, Oid operator)
{
	CatCList *list = SearchSysCacheList1(AMOPOPID, ObjectIdGetDatum(operator));
	bool	  ok = true;

	for (int i = 0; i < list->n_members && ok; i++)
		ok = check_family(check, (Form_pg_amop) GETSTRUCT(&list->members[i]->tuple));
	ReleaseSysCacheList(list);
	return ok;
}

/*
 * An operator with arguments of these types (NIL: not known), what sorting and
 * hashing with it calls, and the operators that the planner may put in its
 * place.
 */
bool
dbperf_check_operator(CacheCheck *check, Oid operator, List * types)
{
	HeapTuple			 tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	FormData_pg_operator form;

	if (!HeapTupleIsValid(tuple))
		return dbperf_check_refuse(check, CACHE_BYPASS_STABLE, "an operator that was dropped");
	memcpy(&form, GETSTRUCT(tuple), sizeof(form));
	ReleaseSysCache(tuple);

	if (!dbperf_check_function(check, form.oprcode, types))
		return false;
	if (list_member_oid(check->operators, operator))
		return true;
	check->operators = lappend_oid(check->operators, operator);
	if (!check_families(check, operator))
		return false;
	return operator<FirstGenbkiObjectId ||(
		(!OidIsValid(form.oprcom) || dbperf_check_operator(check, form.oprcom, NIL)) &&
		(!OidIsValid(form.oprnegate) || dbperf_check_operator(check, form.oprnegate, NIL)));
}

/* ---- rights ---- */

/*
 * Whether the owner of an aggregate may call what it is made of, which is what
 * the server asks for when it executes one.
 */
bool
dbperf_aggregate_rights(Oid aggregate, Oid owner)
{
	HeapTuple		  tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
	Form_pg_aggregate form;
	bool			  allowed = true;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	{
		const Oid functions[] = {form->aggtransfn,	   form->aggfinalfn,	form->aggcombinefn,
								 form->aggserialfn,	   form->aggdeserialfn, form->aggmtransfn,
								 form->aggminvtransfn, form->aggmfinalfn};

		for (int i = 0; i < (int) lengthof(functions) && allowed; i++)
			allowed = !OidIsValid(functions[i]) || DBPERF_ROLE_MAY_EXECUTE(functions[i], owner);
	}
	ReleaseSysCache(tuple);
	return allowed;
}
