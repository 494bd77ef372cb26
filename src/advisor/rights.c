/*-------------------------------------------------------------------------
 *
 * rights.c
 *		Whose rights a statement is analysed with, and whether they suffice.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "advisor/workload_int.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* the role that calls trusted functions only, during a visit */
static Oid					trusting_role = InvalidOid;
static needs_fmgr_hook_type saved_needs_hook = NULL;
static fmgr_hook_type		saved_hook = NULL;

SavedRights
dbperf_rights_become(Oid role)
{
	SavedRights saved;

	GetUserIdAndSecContext(&saved.role, &saved.context);
	SetUserIdAndSecContext(role, saved.context | SECURITY_RESTRICTED_OPERATION);
	return saved;
}

void
dbperf_rights_restore(SavedRights saved)
{
	SetUserIdAndSecContext(saved.role, saved.context);
}

/*
 * Whether a role is a member of some superuser, and so can become one.
 */
static bool
can_become_superuser(Oid role)
{
	Relation	catalog = table_open(AuthIdRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;
	bool		found = false;

	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_authid form = (Form_pg_authid) GETSTRUCT(tuple);

		found = form->rolsuper && is_member_of_role_nosuper(role, form->oid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

bool
dbperf_role_is_powerful(Oid role)
{
	return superuser_arg(role) || is_member_of_role_nosuper(role, ROLE_PG_EXECUTE_SERVER_PROGRAM) ||
		   is_member_of_role_nosuper(role, ROLE_PG_READ_SERVER_FILES) ||
		   is_member_of_role_nosuper(role, ROLE_PG_WRITE_SERVER_FILES) ||
		   can_become_superuser(role);
}

/*
 * Refuses a function that the role cannot trust.
 */
static void
require_trusted(Oid function)
{
	TrustWalk walk = {0};

	if (GetUserId() == trusting_role && !dbperf_trust_function(function, &walk))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg_internal("%s", walk.untrusted)));
}

/*
 * The server asks for each function that is not built in when it prepares to
 * call it, unless that has settings of its own ...
 */
static bool
trusting_needs_hook(Oid function)
{
	require_trusted(function);
	return saved_needs_hook != NULL && saved_needs_hook(function);
}

/* ... and then tells of each call. */
static void
trusting_hook(FmgrHookEventType event, FmgrInfo *flinfo, Datum *arg)
{
	if (event == FHET_START)
		require_trusted(flinfo->fn_oid);
	if (saved_hook != NULL)
		saved_hook(event, flinfo, arg);
}

bool
dbperf_rights_trust_begin(void)
{
	bool on = OidIsValid(trusting_role);

	if (!dbperf_role_is_powerful(GetUserId()))
		return false;
	trusting_role = GetUserId();
	if (on)
		return false;
	saved_needs_hook = needs_fmgr_hook;
	saved_hook = fmgr_hook;
	needs_fmgr_hook = trusting_needs_hook;
	fmgr_hook = trusting_hook;
	return true;
}

void
dbperf_rights_trust_end(void)
{
	needs_fmgr_hook = saved_needs_hook;
	fmgr_hook = saved_hook;
	trusting_role = InvalidOid;
}

/*
 * Raises an error if the current role lacks EXECUTE on a function.
 */
static bool
check_function(Oid function, void *context)
{
	if (!DBPERF_MAY_EXECUTE(function))
	{
		char *name = get_func_name(function);

		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("permission denied for function %s", name != NULL ? name : "?")));
	}
	return false;
}

static bool
rights_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		dbperf_check_relation_rights((Query *) node);
		return query_tree_walker((Query *) node, rights_walker, context, 0);
	}
	(void) check_functions_in_node(node, check_function, context);
	return expression_tree_walker(node, rights_walker, context);
}

/*
 * Raises an error unless the current role may execute a rewritten query: the
 * rights that EXPLAIN asks for, with views as their owners.
 */
void
dbperf_rights_check(Query *query)
{
	(void) rights_walker((Node *) query, NULL);
}
