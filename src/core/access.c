/*-------------------------------------------------------------------------
 *
 * access.c
 *		Who may see another role's texts.
 *
 * The one place that decides it, so that every view shows the same rows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "core/core.h"
#include "miscadmin.h"
#include "utils/acl.h"

/*
 * Whether the current user may see texts of the role "owner": the rule of
 * pg_stat_activity.  owner may have been dropped since, then only members of
 * pg_read_all_stats and superusers may.  Must run inside a transaction.
 */
bool
dbperf_may_see_role(Oid owner)
{
	Oid userid = GetUserId();

	return owner == userid || has_privs_of_role(userid, ROLE_PG_READ_ALL_STATS) ||
		   (OidIsValid(owner) && has_privs_of_role(userid, owner));
}
