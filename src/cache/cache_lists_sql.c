/*-------------------------------------------------------------------------
 *
 * cache_lists_sql.c
 *		SQL functions that put tables, queries and functions on the lists of the
 *		result cache, and take them off.
 *
 * The lists' tables can only be written to by superusers; the owner of a table,
 * and who was granted the other functions, goes through these.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "cache/cache_lists.h"
#include "catalog/catalog.h"
#include "catalog/pg_am.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "core/compat.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(dbperf_cache_table);
PG_FUNCTION_INFO_V1(dbperf_cache_query);
PG_FUNCTION_INFO_V1(dbperf_cache_function);
PG_FUNCTION_INFO_V1(dbperf_cache_lists_changed);

/* ---- writing ---- */

/*
 * Runs a statement on one of the lists with the rights of its owner, who is a
 * superuser.  An error puts the role back with its transaction.
 */
static void
change_list(const char *sql, Oid type, Datum key, bool cached)
{
	Oid	  types[] = {type, BOOLOID};
	Datum values[] = {key, BoolGetDatum(cached)};
	Oid	  role;
	int	  security;

	GetUserIdAndSecContext(&role, &security);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID,
						   security | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute_with_args(sql, lengthof(types), types, values, NULL, false, 0) < 0)
		elog(ERROR, "could not change a list of the cache");
	SPI_finish();
	SetUserIdAndSecContext(role, security);
}

static void
require_argument(bool isnull, const char *name)
{
	if (isnull)
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("argument \"%s\" must not be null", name)));
}

/*
 * cache_lists_changed() returns trigger, after each statement that changes a
 * list: tells all processes.
 */
Datum
dbperf_cache_lists_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("the function must be called by a trigger")));
	CacheInvalidateRelcache(((TriggerData *) fcinfo->context)->tg_relation);
	PG_RETURN_POINTER(NULL);
}

/* ---- tables ---- */

/*
 * Raises an error for a relation whose results are never cached.
 */
static void
refuse_relation(int sqlstate, const char *name, const char *detail, const char *hint)
{
	ereport(ERROR, (errcode(sqlstate), errmsg("results from \"%s\" cannot be cached", name),
					errdetail("%s", detail), errhint("%s", hint)));
}

static void
check_kind(Form_pg_class form)
{
	const char *name = NameStr(form->relname);

	switch (form->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_MATVIEW:
		case RELKIND_PARTITIONED_TABLE:
			break;
		case RELKIND_VIEW:
			refuse_relation(ERRCODE_WRONG_OBJECT_TYPE, name, "It is a view.",
							"List the tables that the view reads.");
			break;
		case RELKIND_INDEX:
		case RELKIND_PARTITIONED_INDEX:
			refuse_relation(ERRCODE_WRONG_OBJECT_TYPE, name, "It is an index.",
							"List the table of the index.");
			break;
		case RELKIND_FOREIGN_TABLE:
			refuse_relation(ERRCODE_WRONG_OBJECT_TYPE, name,
							"It is a foreign table, whose changes are not seen here.",
							"Use a materialized view of it.");
			break;
		default:
			refuse_relation(ERRCODE_WRONG_OBJECT_TYPE, name, "It is no table.",
							"List a table or a materialized view.");
			break;
	}
}

/*
 * Raises an error unless a relation, which may have been dropped just now, is
 * one that the caller may list.
 */
static void
check_table(Oid relid, bool add)
{
	HeapTuple	  tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", relid)));
	form = (Form_pg_class) GETSTRUCT(tuple);
	if (!DBPERF_OWNS_RELATION(relid))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(form->relkind),
					   NameStr(form->relname));
	if (add)
	{
		check_kind(form);
		if (form->relpersistence == RELPERSISTENCE_TEMP)
			refuse_relation(ERRCODE_FEATURE_NOT_SUPPORTED, NameStr(form->relname),
							"It is a temporary table, which one session sees.",
							"List a table that is not temporary.");
		if (relid < FirstNormalObjectId || IsCatalogNamespace(form->relnamespace))
			refuse_relation(ERRCODE_FEATURE_NOT_SUPPORTED, NameStr(form->relname),
							"It is a system catalog.", "List a table of your own.");
		if (form->relkind != RELKIND_PARTITIONED_TABLE && form->relam != HEAP_TABLE_AM_OID)
			refuse_relation(ERRCODE_FEATURE_NOT_SUPPORTED, NameStr(form->relname),
							"Its table access method is not heap.",
							"List a table with the access method heap.");
	}
	ReleaseSysCache(tuple);
}

/*
 * Makes all sessions plan anew what reads a table or a part of it.
 */
static void
replan(Oid relid)
{
	ListCell *lc;

	foreach (lc, find_all_inheritors(relid, NoLock, NULL))
		if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(lfirst_oid(lc))))
			CacheInvalidateRelcacheByRelid(lfirst_oid(lc));
}

/*
 * cache_table("table" regclass, cached bool) returns void
 */
Datum
dbperf_cache_table(PG_FUNCTION_ARGS)
{
	Oid relid;

	require_argument(PG_ARGISNULL(0), "table");
	relid = PG_GETARG_OID(0);
	LockRelationOid(relid, AccessShareLock);
	check_table(relid, !PG_ARGISNULL(1));

	if (PG_ARGISNULL(1))
		change_list("DELETE FROM dbperf.cache_tables WHERE relation OPERATOR(pg_catalog.=) $1",
					REGCLASSOID, ObjectIdGetDatum(relid), false);
	else
		change_list("INSERT INTO dbperf.cache_tables (relation, cached) VALUES ($1, $2)"
					" ON CONFLICT (relation) DO UPDATE SET cached = EXCLUDED.cached",
					REGCLASSOID, ObjectIdGetDatum(relid), PG_GETARG_BOOL(1));
	replan(relid);
	PG_RETURN_VOID();
}

/* ---- queries ---- */

/*
 * cache_query(queryid bigint, cached bool) returns void
 */
Datum
dbperf_cache_query(PG_FUNCTION_ARGS)
{
	require_argument(PG_ARGISNULL(0), "queryid");
	if (PG_GETARG_INT64(0) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("0 is not the id of a query"),
				 errhint("The view pg_stat_statements shows the ids of queries.")));

	if (PG_ARGISNULL(1))
		change_list("DELETE FROM dbperf.cache_queries_listed"
					" WHERE queryid OPERATOR(pg_catalog.=) $1",
					INT8OID, PG_GETARG_DATUM(0), false);
	else
		change_list("INSERT INTO dbperf.cache_queries_listed (queryid, cached) VALUES ($1, $2)"
					" ON CONFLICT (queryid) DO UPDATE SET cached = EXCLUDED.cached",
					INT8OID, PG_GETARG_DATUM(0), PG_GETARG_BOOL(1));
	PG_RETURN_VOID();
}

/* ---- functions ---- */

/*
 * Raises an error for a function that nobody can vouch for.
 */
static void
check_routine(Oid function)
{
	HeapTuple	 tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
						errmsg("function with OID %u does not exist", function)));
	form = (Form_pg_proc) GETSTRUCT(tuple);
	if (form->prokind == PROKIND_AGGREGATE)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("%s is an aggregate function", format_procedure(function)),
						errdetail("An aggregate is judged by the functions that it is made of."),
						errhint("List its transition function and its final function.")));
	if (form->prokind == PROKIND_PROCEDURE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is a procedure", format_procedure(function)),
				 errdetail("Procedures cannot stand in a query."), errhint("List a function.")));
	if (form->provolatile == PROVOLATILE_VOLATILE)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("function %s is volatile", format_procedure(function)),
						errdetail("Results of volatile functions are never cached."),
						errhint("If it always returns the same for the same arguments, say so with "
								"ALTER FUNCTION ... STABLE first.")));
	ReleaseSysCache(tuple);
}

/*
 * cache_function(function regprocedure, trusted bool) returns void
 */
Datum
dbperf_cache_function(PG_FUNCTION_ARGS)
{
	Oid	  function;
	bool  add = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	char *name;

	require_argument(PG_ARGISNULL(0), "function");
	function = PG_GETARG_OID(0);
	if (add)
		check_routine(function);
	name = dbperf_cache_function_name(function);
	if (name == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
						errmsg("function with OID %u does not exist", function)));

	if (add)
		change_list("INSERT INTO dbperf.cache_functions (function) VALUES ($1)"
					" ON CONFLICT (function) DO NOTHING",
					TEXTOID, CStringGetTextDatum(name), false);
	else
		change_list("DELETE FROM dbperf.cache_functions"
					" WHERE function OPERATOR(pg_catalog.=) $1",
					TEXTOID, CStringGetTextDatum(name), false);
	PG_RETURN_VOID();
}
