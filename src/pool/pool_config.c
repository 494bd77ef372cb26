/*-------------------------------------------------------------------------
 *
 * pool_config.c
 *		Writes what the PgBouncers are configured with.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdarg.h>

#include "pool/pool_config.h"

#define LEFT_OUT "and more"

/* ---- what is wrong ---- */

/*
 * Adds a line to what is wrong, as far as there is room for it.
 */
void
dbperf_pool_complain(StringInfo errors, const char *format, ...)
{
	int room = sizeof(dbperf_pool_shared->config_error) - 1;
	int saved_errno = errno;
	int start = errors->len;
	int missing;

	if (start > 0)
		appendStringInfoChar(errors, '\n');
	do
	{
		va_list args;

		errno = saved_errno;
		va_start(args, format);
		missing = appendStringInfoVA(errors, format, args);
		va_end(args);
		if (missing > 0)
			enlargeStringInfo(errors, missing);
	} while (missing > 0);
	if (errors->len <= room - (int) strlen("\n" LEFT_OUT))
		return;
	errors->len = start;
	errors->data[start] = '\0';
	if (strstr(errors->data, "\n" LEFT_OUT) == NULL)
		appendStringInfoString(errors, "\n" LEFT_OUT);
}

/*
 * Whether a text can stand in a line of a file: it has no control characters.
 */
bool
dbperf_pool_plain_text(const char *text)
{
	for (; *text != '\0'; text++)
	{
		if ((unsigned char) *text < ' ' || *text == 0x7f)
			return false;
	}
	return true;
}

/* Shows what is wrong to everybody. */
static void
publish_errors(const char *errors)
{
	LWLockAcquire(POOL_STATUS_LOCK, LW_EXCLUSIVE);
	strlcpy(dbperf_pool_shared->config_error, errors, sizeof(dbperf_pool_shared->config_error));
	LWLockRelease(POOL_STATUS_LOCK);
}

/* ---- all of it ---- */

/*
 * Says that clients of other machines are let in whatever pg_hba.conf says of
 * their addresses.
 */
static void
check_addresses(PoolWriting *writing)
{
	char *addresses = pstrdup(writing->launch->listen);
	char *save = NULL;

	if (dbperf_pool_auth == POOL_AUTH_HBA)
		return;
	for (char *one = strtok_r(addresses, ", ", &save); one != NULL;
		 one = strtok_r(NULL, ", ", &save))
	{
		if (strcmp(one, "localhost") == 0 || strcmp(one, "::1") == 0 ||
			strncmp(one, "127.", 4) == 0)
			continue;
		dbperf_pool_complain(
			&writing->errors,
			"the pool listens on \"%s\" and lets in any role with its password "
			"from any address, since dbperf.pool_auth is file; hba makes it follow "
			"pg_hba.conf",
			one);
		return;
	}
}

/* Says which limits are of nobody. */
static void
check_names(PoolWriting *writing, const List *databases)
{
	const PoolLimits *limits = writing->limits;

	for (int i = 0; i < limits->num_databases; i++)
	{
		ListCell *cell;
		bool	  found = false;

		foreach (cell, databases)
			found |=
				strcmp(((DbperfDatabase *) lfirst(cell))->name, limits->databases[i].name) == 0;
		if (!found)
			dbperf_pool_complain(&writing->errors,
								 "pool_databases: there is no database \"%s\" to connect to",
								 limits->databases[i].name);
	}
	for (int i = 0; i < limits->num_roles; i++)
	{
		if (dbperf_pool_role(writing->roles, limits->roles[i].name) == NULL)
			dbperf_pool_complain(&writing->errors, "pool_roles: role \"%s\" does not exist",
								 limits->roles[i].name);
	}
}

/* Writes the configuration of all processes; returns whether any has changed. */
static bool
write_inis(PoolWriting *writing)
{
	bool written = false;
	int	 errors = writing->errors.len;

	for (int i = 0; i < writing->launch->processes; i++)
	{
		/* what is wrong is the same in all of them */
		writing->errors.len = errors;
		writing->errors.data[errors] = '\0';
		written |=
			dbperf_pool_write_file(dbperf_pool_ini_path(i), dbperf_pool_ini_text(writing, i));
	}
	return written;
}

/*
 * Writes all files for all processes, those that changed; see pool_int.h.
 */
bool
dbperf_pool_write_files(const PoolLaunch *launch)
{
	PoolWriting writing = {.launch = launch};
	PoolRules	rules = {NIL};
	PoolRoles  *roles;
	bool		written = false;

	initStringInfo(&writing.errors);
	dbperf_pool_make_directories(launch);
	if (!dbperf_pool_plain_text(dbperf_pool_directory()) || !dbperf_pool_plain_text(launch->listen))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the data directory's path and dbperf.pool_listen_addresses must "
							   "not have control characters")));
	writing.server = dbperf_pool_server_address();
	roles = dbperf_pool_read_roles(&writing.errors);
	dbperf_pool_hold_names(roles);
	writing.roles = roles;
	writing.limits = dbperf_pool_limits(&writing.errors);
	rules.roles = writing.roles;
	dbperf_pool_read_rules(&rules, &writing.errors);
	dbperf_pool_check_rules(&rules, &writing.errors);
	check_addresses(&writing);
	check_names(&writing, rules.databases);

	/* PgBouncer reads the auth file unasked: who is new must not come before the rules */
	if (dbperf_pool_auth == POOL_AUTH_HBA)
		written |= dbperf_pool_write_file(dbperf_pool_hba_path(),
										  dbperf_pool_hba_text(&rules, &writing.errors));
	written |= write_inis(&writing);
	written |=
		dbperf_pool_write_file(dbperf_pool_auth_path(), dbperf_pool_auth_text(writing.roles));
	publish_errors(writing.errors.data);
	dbperf_pool_roles_written(writing.roles);
	dbperf_pool_evict_others(launch, writing.roles);
	return written;
}
