/*-------------------------------------------------------------------------
 *
 * cache_eligible.c
 *		Whether a statement can be cached at all.
 *
 * A result may be kept if nothing but the statement's tables, its parameters and
 * what else is in the key decides what it is.  That is judged on the rewritten
 * tree, where views and row policies are expanded and all names are resolved,
 * and once more on the finished plan, which has arguments' defaults, inlined
 * functions and the children of tables.
 *
 * Only what is known is let through: a node, a function or a type that these
 * files do not know keeps the statement from being cached.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "cache/cache_check.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/*
 * Notes what keeps a statement from being cached.  Returns false, to be
 * returned by the caller.
 */
bool
dbperf_check_refuse(CacheCheck *check, CacheBypass reason, const char *object)
{
	if (check->reason == CACHE_BYPASS_NONE)
	{
		check->reason = reason;
		check->object = object != NULL ? pstrdup(object) : NULL;
	}
	return false;
}

/* ---- relations ---- */

/*
 * The kind and storage of a relation.  A view only stands in the range table of
 * its own rule, or stands for the rights on it.
 */
static CacheBypass
judge_relation(Form_pg_class form)
{
	switch (form->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_MATVIEW:
		case RELKIND_PARTITIONED_TABLE:
			break;
		case RELKIND_VIEW:
			return CACHE_BYPASS_NONE;
		case RELKIND_FOREIGN_TABLE:
			return CACHE_BYPASS_FOREIGN;
		case RELKIND_TOASTVALUE:
			return CACHE_BYPASS_SYSTEM;
		default:
			return CACHE_BYPASS_NOT_HEAP;
	}
	if (form->oid < FirstNormalObjectId || IsCatalogNamespace(form->relnamespace) ||
		IsToastNamespace(form->relnamespace))
		return CACHE_BYPASS_SYSTEM;
	if (form->relpersistence == RELPERSISTENCE_TEMP)
		return CACHE_BYPASS_TEMPORARY;
	if (form->relkind != RELKIND_PARTITIONED_TABLE && form->relam != HEAP_TABLE_AM_OID)
		return CACHE_BYPASS_NOT_HEAP;
	return CACHE_BYPASS_NONE;
}

/*
 * A relation of the range table, or one that the finished plan depends on.
 */
bool
dbperf_check_relation(CacheCheck *check, Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	CacheBypass reason;
	char		kind;

	if (!HeapTupleIsValid(tuple))
		return dbperf_check_refuse(check, CACHE_BYPASS_TRANSIENT, "a table that was dropped");
	reason = judge_relation((Form_pg_class) GETSTRUCT(tuple));
	kind = ((Form_pg_class) GETSTRUCT(tuple))->relkind;
	ReleaseSysCache(tuple);

	if (reason == CACHE_BYPASS_NONE && kind != RELKIND_VIEW)
	{
		check->tables++;
		if (dbperf_has_virtual_column(relid))
			reason = CACHE_BYPASS_VIRTUAL_COLUMN;
	}
	if (reason == CACHE_BYPASS_NONE)
		return true;
	return dbperf_check_refuse(
		check, reason,
		quote_qualified_identifier(
			RelationIsVisible(relid) ? NULL : get_namespace_name(get_rel_namespace(relid)),
			get_rel_name(relid)));
}

/* ---- whole statements ---- */

/*
 * Whether a statement, rewritten and not planned, can be cached; see
 * cache_int.h.
 */
CacheBypass
dbperf_cache_check_query(Query *query, CacheShape *shape, char **object)
{
	CacheCheck check = {.shape = shape};

	*object = NULL;
	if (query->commandType == CMD_SELECT && query->rtable == NIL && !query->hasSubLinks)
		return CACHE_BYPASS_NO_TABLE;
	if (dbperf_check_expr((Node *) query, &check) && check.tables == 0)
		(void) dbperf_check_refuse(&check, CACHE_BYPASS_NO_TABLE, NULL);
	*object = check.object;
	return check.reason;
}

/*
 * Whether a result has a column of type record: what that is made of is known to
 * this process only.
 */
static bool
returns_record(List *targets)
{
	ListCell *lc;

	foreach (lc, targets)
	{
		Oid type = exprType((Node *) lfirst_node(TargetEntry, lc)->expr);

		if (type == RECORDOID || type == RECORDARRAYOID)
			return true;
	}
	return false;
}

/*
 * Whether a finished plan can be cached: the relations that it depends on,
 * children among them, its nodes, indexes and expressions.  One of the children
 * may be listed as never to be cached.  Adds to shape what only the plan has,
 * and appends the plan's structure.
 */
CacheBypass
dbperf_cache_check_plan(PlannedStmt *planned, CacheShape *shape, StringInfo structure,
						char **object)
{
	CacheCheck check = {.shape = shape, .planned = true};
	ListCell  *lc;

	*object = NULL;
	if (planned->commandType != CMD_SELECT || planned->hasModifyingCTE)
		return CACHE_BYPASS_NO_SELECT;
	if (planned->rowMarks != NIL)
		return CACHE_BYPASS_LOCKS_ROWS;
	if (list_length(planned->relationOids) > CACHE_MAX_RELATIONS)
		return CACHE_BYPASS_TOO_LARGE;
	if (dbperf_cache_listed_tables(planned->relationOids) == CACHE_LISTED_REFUSED)
		return CACHE_BYPASS_REFUSED;

	foreach (lc, planned->relationOids)
		if (!dbperf_check_relation(&check, lfirst_oid(lc)))
			break;
	if (check.reason == CACHE_BYPASS_NONE && returns_record(planned->planTree->targetlist))
		(void) dbperf_check_refuse(&check, CACHE_BYPASS_TYPE, format_type_be(RECORDOID));
	if (check.reason == CACHE_BYPASS_NONE)
		(void) dbperf_check_structure(planned, &check, structure);
	*object = check.object;
	return check.reason;
}
