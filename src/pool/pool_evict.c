/*-------------------------------------------------------------------------
 *
 * pool_evict.c
 *		Ends the connections of roles that may not log in any more.
 *
 * PgBouncer takes a new auth file for new clients only.  Those of a role that
 * was dropped, or whose password has expired, stay, and may go on with server
 * connections that the role still has.  So they are looked for when a role has
 * left the auth file, some time after that so that PgBouncer has read it, and
 * ended.  A PgBouncer that cannot do that is told of.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "pool/pool_config.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define READ_AFTER 500	 /* ms in which PgBouncer reads the auth file */
#define LOOK_AGAIN 5000	 /* ms, for clients that cannot be ended */
#define ANSWER_LIMIT 500 /* ms for an answer of a console */
#define LOOKS 2			 /* that have to find none */

/* The roles that may log in, sorted, in a context of their own. */
static MemoryContext context = NULL;
static PoolRoles	 allowed;

static int		   version = 0;
static int		   processes = 0;
static int		   looks_left = 0; /* 0 = nobody is looked for */
static TimestampTz next_look = 0;
static char		   remaining[256] = ""; /* what cannot be ended */

/* ---- whom to look for ---- */

/* Takes over the roles that may log in. */
static void
keep_allowed(const PoolRoles *roles)
{
	MemoryContext made =
		AllocSetContextCreate(TopMemoryContext, "dbperf pool roles", ALLOCSET_SMALL_SIZES);

	if (context != NULL)
		MemoryContextDelete(context);
	context = made;
	memset(&allowed, 0, sizeof(allowed));
	allowed.roles =
		MemoryContextAllocExtended(made, Max(roles->num, 1) * sizeof(PoolRole), MCXT_ALLOC_HUGE);
	for (int i = 0; i < roles->num; i++)
	{
		if (!roles->roles[i].listed)
			continue;
		allowed.roles[allowed.num] = roles->roles[i];
		allowed.roles[allowed.num++].secret = NULL;
	}
}

/*
 * The auth file has been written for these roles.
 */
void
dbperf_pool_evict_others(const PoolLaunch *launch, const PoolRoles *roles)
{
	bool left = false;

	for (int i = 0; i < allowed.num && !left; i++)
	{
		const PoolRole *role = dbperf_pool_role(roles, allowed.roles[i].name);

		left = role == NULL || !role->listed;
	}
	keep_allowed(roles);
	version = launch->version;
	processes = launch->processes;
	if (!left)
		return;
	looks_left = LOOKS;
	next_look = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), READ_AFTER);
}

/*
 * The pool is off.
 */
void
dbperf_pool_evict_nobody(void)
{
	if (context != NULL)
		MemoryContextDelete(context);
	context = NULL;
	memset(&allowed, 0, sizeof(allowed));
	looks_left = 0;
	remaining[0] = '\0';
}

/* ---- looking for them ---- */

/* Notes a client that cannot be ended; each role once. */
static void
note_remaining(StringInfo names, const char *role)
{
	const char *quoted = psprintf("\"%s\"", role);

	if (strstr(names->data, quoted) == NULL)
		appendStringInfo(names, "%s%s", names->len > 0 ? ", " : "", quoted);
}

/*
 * Ends the clients that one process should not have.  Returns false if it did
 * not answer; counts those that were found.
 */
static bool
look_at_process(int process, int *found, StringInfo names)
{
	char			 *error;
	const PoolAnswer *clients = dbperf_pool_ask(process, "SHOW CLIENTS", ANSWER_LIMIT, &error);

	if (clients == NULL)
		return false;
	for (int row = 0; row < clients->rows; row++)
	{
		const char *role = dbperf_pool_value(clients, row, "user");
		const char *database = dbperf_pool_value(clients, row, "database");
		const char *id = dbperf_pool_value(clients, row, "id");

		if (role == NULL || database == NULL || strcmp(database, "pgbouncer") == 0 ||
			dbperf_pool_role(&allowed, role) != NULL)
			continue;
		(*found)++;
		if (version < POOL_VERSION_KILL_CLIENT || id == NULL)
			note_remaining(names, role);
		else
			(void) dbperf_pool_ask(process, psprintf("KILL_CLIENT %s", id), ANSWER_LIMIT, &error);
	}
	return true;
}

/*
 * Ends clients of roles that may not log in any more, if there can be any; says
 * which cannot be ended.  In the pool's worker, whenever it wakes up.
 */
void
dbperf_pool_evict(void)
{
	StringInfoData names;
	int			   found = 0;
	bool		   answered = true;

	if (looks_left > 0 && GetCurrentTimestamp() >= next_look)
	{
		initStringInfo(&names);
		for (int i = 0; i < processes; i++)
			answered &= look_at_process(i, &found, &names);
		strlcpy(remaining, names.data, sizeof(remaining));
		if (answered && found == 0)
			looks_left--;
		next_look = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
												names.len > 0 ? LOOK_AGAIN : READ_AFTER);
	}
	if (remaining[0] != '\0')
		dbperf_pool_problem(
			"clients of roles that may not log in any more are still connected: %s; "
			"PgBouncer 1.24 or later could end them, this one ends them when it is "
			"restarted",
			remaining);
}
