/*-------------------------------------------------------------------------
 *
 * pool_auth.c
 *		Which roles may log in to the connection pool, and their secrets.
 *
 * PgBouncer checks passwords itself, with the secrets that pg_authid has.  The
 * worker copies them into the auth file whenever roles have changed, which
 * invalidations of the catalog caches tell, on a standby as well, and when a
 * password expires, which nothing tells.
 *
 * The worker is in no database: it reads shared catalogs from the start to the
 * end, and needs no others.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_auth_members.h"
#include "catalog/pg_authid.h"
#include "pool/pool_config.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/* One reading, made in a transaction, kept in the caller's memory. */
typedef struct Reading
{
	MemoryContext context;
	PoolRoles	 *roles;
	StringInfo	  errors;
	int			  size;			/* of roles */
	int			  size_members; /* of members */
} Reading;

/* How often roles, memberships or databases may have changed, and what is in the files. */
static uint32 changes = 1;
static uint32 changes_written = 0;

/* When the next password expires of those that are in the files. */
static TimestampTz next_expiry = DT_NOEND;

static void
catalog_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	changes++;
}

/* Registers the callbacks, once in the worker. */
static void
watch_catalogs(void)
{
	static bool registered = false;

	if (registered)
		return;
	CacheRegisterSyscacheCallback(AUTHOID, catalog_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, catalog_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(DATABASEOID, catalog_changed, (Datum) 0);
	registered = true;
}

/*
 * Whether what the files say of roles, or the limits, may have changed since
 * the last dbperf_pool_write_files().  In the pool's worker, outside a
 * transaction; it is asked once a second, and that is when clients who may not
 * be there any more are ended.
 */
bool
dbperf_pool_roles_changed(void)
{
	bool limits = dbperf_pool_limits_changed();
	bool released = dbperf_pool_evict();

	/* the start of a transaction takes the invalidations that have arrived */
	StartTransactionCommand();
	CommitTransactionCommand();
	return limits || released || changes != changes_written || GetCurrentTimestamp() >= next_expiry;
}

/*
 * All files have been written for these roles.
 */
void
dbperf_pool_roles_written(const PoolRoles *roles)
{
	changes_written = roles->changes;
	next_expiry = roles->next_expiry;
}

/*
 * When a password expires next of the roles in the auth file; DT_NOEND = never.
 */
TimestampTz
dbperf_pool_next_expiry(void)
{
	return next_expiry;
}

/* ---- reading ---- */

/* The secret of a role, palloc'd, NULL if it has none that can be copied. */
static char *
secret_of(HeapTuple tuple, TupleDesc desc)
{
	bool  isnull;
	Datum value = heap_getattr(tuple, Anum_pg_authid_rolpassword, desc, &isnull);

	/* the table of what is stored elsewhere cannot be read without a database */
	if (isnull || VARATT_IS_EXTERNAL(DatumGetPointer(value)))
		return NULL;
	return TextDatumGetCString(value);
}

/*
 * Whether a password is still valid; notes when it expires.
 */
static bool
is_valid(HeapTuple tuple, TupleDesc desc, PoolRoles *roles)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, Anum_pg_authid_rolvaliduntil, desc, &isnull);
	TimestampTz until = isnull ? DT_NOEND : DatumGetTimestampTz(value);

	if (until == DT_NOEND)
		return true;
	if (until <= GetCurrentTimestamp())
		return false;
	roles->next_expiry = Min(roles->next_expiry, until);
	return true;
}

/* Takes over a role. */
static void
add_role(Reading *reading, HeapTuple tuple, TupleDesc desc)
{
	PoolRoles	  *roles = reading->roles;
	Form_pg_authid form = (Form_pg_authid) GETSTRUCT(tuple);
	PoolRole	  *role;

	if (roles->num == reading->size)
	{
		reading->size *= 2;
		roles->roles = repalloc_huge(roles->roles, reading->size * sizeof(PoolRole));
	}
	role = &roles->roles[roles->num++];
	role->oid = form->oid;
	strlcpy(role->name, NameStr(form->rolname), NAMEDATALEN);
	role->secret = secret_of(tuple, desc);
	role->listed = role->secret != NULL && form->rolcanlogin && is_valid(tuple, desc, roles) &&
				   (!form->rolsuper || dbperf_pool_allow_superuser);
	if (role->listed && !dbperf_pool_plain_text(role->name))
	{
		/* they would end up in PgBouncer's log as they are */
		role->listed = false;
		dbperf_pool_complain(reading->errors,
							 "the role with the OID %u cannot use the pool, because its name "
							 "has control characters",
							 role->oid);
	}
}

/* Takes over a membership. */
static void
add_member(Reading *reading, HeapTuple tuple)
{
	PoolRoles			*roles = reading->roles;
	Form_pg_auth_members form = (Form_pg_auth_members) GETSTRUCT(tuple);

	if (roles->num_members == reading->size_members)
	{
		reading->size_members *= 2;
		roles->members = repalloc_huge(roles->members, reading->size_members * sizeof(PoolMember));
	}
	roles->members[roles->num_members].role = form->roleid;
	roles->members[roles->num_members++].member = form->member;
}

/* Reads a whole catalog. */
static void
read_catalog(Oid catalog, Reading *reading)
{
	Relation	  rel = table_open(catalog, AccessShareLock);
	TableScanDesc scan = table_beginscan_catalog(rel, 0, NULL);
	HeapTuple	  tuple;

	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(reading->context);

		if (catalog == AuthIdRelationId)
			add_role(reading, tuple, RelationGetDescr(rel));
		else
			add_member(reading, tuple);
		MemoryContextSwitchTo(old);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
}

/* A transaction's task. */
static void
read_catalogs(void *arg)
{
	read_catalog(AuthIdRelationId, arg);
	read_catalog(AuthMemRelationId, arg);
}

static int
compare_roles(const void *a, const void *b)
{
	return strcmp(((const PoolRole *) a)->name, ((const PoolRole *) b)->name);
}

/*
 * All roles and memberships, palloc'd, sorted by name.  In the worker, outside
 * a transaction.
 */
PoolRoles *
dbperf_pool_read_roles(StringInfo errors)
{
	Reading reading = {CurrentMemoryContext, palloc0(sizeof(PoolRoles)), errors, 64, 64};

	watch_catalogs();
	reading.roles->roles = palloc(reading.size * sizeof(PoolRole));
	reading.roles->members = palloc(reading.size_members * sizeof(PoolMember));
	reading.roles->next_expiry = DT_NOEND;

	/* what changes from here on is counted, whether it is seen or not */
	reading.roles->changes = changes;
	if (!dbperf_worker_transaction("reading the roles of the pool", read_catalogs, &reading))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("could not read the roles of the connection pool")));
	qsort(reading.roles->roles, reading.roles->num, sizeof(PoolRole), compare_roles);
	return reading.roles;
}

/* ---- using it ---- */

/*
 * The role of that name, or NULL.
 */
const PoolRole *
dbperf_pool_role(const PoolRoles *roles, const char *name)
{
	PoolRole key;

	if (roles->num == 0 || strlen(name) >= NAMEDATALEN)
		return NULL;
	strlcpy(key.name, name, NAMEDATALEN);
	return bsearch(&key, roles->roles, roles->num, sizeof(PoolRole), compare_roles);
}

/*
 * Whether a role is, or is a member of, the one of that name, also by way of
 * others.  Being a superuser makes nobody a member, as in pg_hba.conf.
 */
bool
dbperf_pool_is_member(const PoolRoles *roles, Oid member, const char *role)
{
	const PoolRole *target = dbperf_pool_role(roles, role);
	List		   *reached = list_make1_oid(member);
	ListCell	   *cell;

	if (target == NULL)
		return false;
	foreach (cell, reached)
	{
		Oid one = lfirst_oid(cell);

		if (one == target->oid)
			return true;
		for (int i = 0; i < roles->num_members; i++)
			if (roles->members[i].member == one)
				reached = list_append_unique_oid(reached, roles->members[i].role);
	}
	return false;
}

/* Appends a field of the auth file. */
static void
append_field(StringInfo text, const char *value)
{
	appendStringInfoChar(text, '"');
	for (; *value != '\0'; value++)
	{
		if (*value == '"')
			appendStringInfoChar(text, '"');
		appendStringInfoChar(text, *value);
	}
	appendStringInfoChar(text, '"');
}

/*
 * The auth file, palloc'd: a name and a secret in each line.
 */
char *
dbperf_pool_auth_text(const PoolRoles *roles)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < roles->num; i++)
	{
		const PoolRole *role = &roles->roles[i];

		if (!role->listed)
			continue;
		append_field(&text, role->name);
		appendStringInfoChar(&text, ' ');
		append_field(&text, role->secret);
		appendStringInfoChar(&text, '\n');
	}
	return text.data;
}
