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
 * For PgBouncer a role is its name.  After a role was dropped or renamed, another
 * one may have its name, and would get the server connections of the former,
 * and the clients of the former those of the new one.  So server connections
 * that are not of the role that has the name are ended, too, and nobody may log
 * in with a name before nothing is left of the role that had it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "pool/pool_config.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define READ_AFTER 500	 /* ms in which PgBouncer reads the auth file */
#define LOOK_AGAIN 5000	 /* ms, for clients that cannot be ended */
#define ANSWER_LIMIT 500 /* ms for an answer of a console */
#define LOOKS 2			 /* that have to find none */

/* The roles that may log in, sorted, in a context of their own. */
static MemoryContext context = NULL;
static PoolRoles	 allowed;

/* Those that were allowed, and of which something may be left. */
static List *former = NIL; /* FormerRole, in TopMemoryContext */
static bool	 left = false; /* one of them is new */
static bool	 held = false; /* another role that has the name of one waits */

typedef struct FormerRole
{
	Oid	 oid;
	char name[NAMEDATALEN];
} FormerRole;

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

/* Remembers a role that may not log in any more, or not by this name. */
static void
remember_former(const PoolRole *role)
{
	FormerRole	 *one;
	ListCell	 *cell;
	MemoryContext old;

	left = true;
	foreach (cell, former)
	{
		one = lfirst(cell);
		if (one->oid == role->oid && strcmp(one->name, role->name) == 0)
			return;
	}
	one = MemoryContextAlloc(TopMemoryContext, sizeof(FormerRole));
	one->oid = role->oid;
	strlcpy(one->name, role->name, NAMEDATALEN);
	old = MemoryContextSwitchTo(TopMemoryContext);
	former = lappend(former, one);
	MemoryContextSwitchTo(old);
}

/*
 * Takes the right to log in from roles whose name another one had, of which
 * something may be left.  Before the auth file is written for these roles.
 */
void
dbperf_pool_hold_names(PoolRoles *roles)
{
	ListCell *cell;

	for (int i = 0; i < allowed.num; i++)
	{
		const PoolRole *role = dbperf_pool_role(roles, allowed.roles[i].name);

		if (role == NULL || !role->listed || role->oid != allowed.roles[i].oid)
			remember_former(&allowed.roles[i]);
	}
	held = false;
	foreach (cell, former)
	{
		const FormerRole *one = lfirst(cell);
		PoolRole		 *role = (PoolRole *) dbperf_pool_role(roles, one->name);

		if (role != NULL && role->listed && role->oid != one->oid)
		{
			role->listed = false;
			held = true;
		}
	}
}

/*
 * The auth file has been written for these roles.
 */
void
dbperf_pool_evict_others(const PoolLaunch *launch, const PoolRoles *roles)
{
	keep_allowed(roles);
	version = launch->version;
	processes = launch->processes;
	if (!left)
		return;
	left = false;
	looks_left = LOOKS;
	next_look = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), READ_AFTER);
}

/* Nothing is left of the former roles. */
static void
forget_former(void)
{
	list_free_deep(former);
	former = NIL;
	left = held = false;
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
	forget_former();
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
look_at_clients(int process, int *found, StringInfo names)
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
 * Ends the server connections that one process should not have: they are of no
 * role that may log in, or not of the one whose name they have.
 */
static bool
look_at_servers(int process, int *found)
{
	char			 *error;
	const PoolAnswer *servers = dbperf_pool_ask(process, "SHOW SERVERS", ANSWER_LIMIT, &error);

	if (servers == NULL)
		return false;
	for (int row = 0; row < servers->rows; row++)
	{
		const char	   *name = dbperf_pool_value(servers, row, "user");
		const PoolRole *role = name != NULL ? dbperf_pool_role(&allowed, name) : NULL;
		int				pid = (int) dbperf_pool_number(servers, row, "remote_pid");
		PGPROC		   *proc = pid > 0 ? BackendPidGetProc(pid) : NULL;

		if (name == NULL || proc == NULL || !OidIsValid(proc->roleId) ||
			(role != NULL && role->oid == proc->roleId))
			continue;
		(*found)++;
		(void) kill(pid, SIGTERM);
	}
	return true;
}

/*
 * Whether clients or server connections are being ended, so that it is to be
 * called again soon.
 */
bool
dbperf_pool_evicts(void)
{
	return looks_left > 0 && remaining[0] == '\0';
}

/*
 * Ends clients and server connections of roles that may not log in any more, if
 * there can be any; says which cannot be ended.  Returns whether roles that had
 * to wait for that may log in now.  In the pool's worker, whenever it wakes up.
 */
bool
dbperf_pool_evict(void)
{
	StringInfoData names;
	int			   found = 0;
	bool		   answered = true;
	bool		   released = false;

	if (looks_left > 0 && GetCurrentTimestamp() >= next_look)
	{
		initStringInfo(&names);
		for (int i = 0; i < processes; i++)
		{
			/* one that does not run has none */
			if (pg_atomic_read_u32(&dbperf_pool_shared->process[i].pid) != 0)
				answered &= look_at_clients(i, &found, &names) && look_at_servers(i, &found);
		}
		strlcpy(remaining, names.data, sizeof(remaining));
		if (answered && found == 0 && --looks_left == 0 && !left)
		{
			released = held;
			forget_former();
		}
		next_look = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
												names.len > 0 ? LOOK_AGAIN : READ_AFTER);
	}
	if (remaining[0] != '\0')
		dbperf_pool_problem(
			"clients of roles that may not log in any more are still connected: %s; "
			"PgBouncer 1.24 or later could end them, this one ends them when it is "
			"restarted%s",
			remaining, held ? "; until then other roles cannot log in with these names" : "");
	return released;
}
