/*-------------------------------------------------------------------------
 *
 * maint_rights.c
 *		Who may have a table maintained.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "maintenance/maint_run.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/syscache.h"

/*
 * Whether a role may have a relation vacuumed, analyzed and so on: its owner,
 * whoever has the privilege MAINTAIN (17 and later), and superusers.  A role or
 * relation that is gone has no right.  Must run inside a transaction.
 */
bool
dbperf_maint_may_maintain(Oid table, Oid role)
{
	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role)) ||
		!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(table)))
		return false;
	return superuser_arg(role) || DBPERF_MAY_MAINTAIN(table, role);
}
