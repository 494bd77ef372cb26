/*-------------------------------------------------------------------------
 *
 * pool_ini.c
 *		The configuration of one PgBouncer.
 *
 * The processes differ in their sockets only.  Limits of the settings and tables
 * are those of all processes together, so that each gets its share, rounded up.
 *
 * PgBouncer ends the connections of a database whose entry disappears, be there
 * a general entry or not.  So a database that had limits keeps an entry for as
 * long as the pool runs, with the general values, when it has none any more;
 * and so does a role.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pool/pool_config.h"
#include "postmaster/postmaster.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#define LOGIN_RETRY 1 /* s after the server refused a login, for the limit perhaps */
#define BACKLOG 1024  /* of the listening socket: clients may come all at once */

/*
 * Settings that extra lines cannot change: the worker relies on them, or they
 * have a setting of dbperf that is reported, advised upon, and shared out
 * between the processes.
 */
static const char *const own_settings[] = {
	"auth_file",		 "auth_hba_file",	  "auth_type",	  "conffile",
	"default_pool_size", "listen_addr",		  "listen_port",  "logfile",
	"max_client_conn",	 "min_pool_size",	  "peer_id",	  "pidfile",
	"pool_mode",		 "reserve_pool_size", "so_reuseport", "unix_socket_dir",
	"unix_socket_group", "unix_socket_mode",  "user"};

/* Names that had an entry since the pool was started; in TopMemoryContext. */
static List *known_databases = NIL;
static List *known_roles = NIL;

/* ---- values ---- */

/* The share of a process in a number for all; 0 stays 0. */
static int
share(const PoolWriting *writing, int total)
{
	return total / writing->launch->processes + (total % writing->launch->processes > 0);
}

/* The same of a size that must not be larger than all pools together. */
static int
size_share(const PoolWriting *writing, int size)
{
	return Max(share(writing, Min(size, dbperf_pool_connection_limit())), 1);
}

static const char *
mode_name(int mode)
{
	switch (mode)
	{
		case POOL_MODE_SESSION:
			return "session";
		case POOL_MODE_STATEMENT:
			return "statement";
		default:
			return "transaction";
	}
}

/* Appends where something listens, as PgBouncer wants it. */
static void
append_host(StringInfo text, const char *directory, int port)
{
	appendStringInfoString(text, "host='");
	for (const char *c = directory; *c != '\0'; c++)
	{
		if (*c == '\'')
			appendStringInfoChar(text, '\'');
		appendStringInfoChar(text, *c);
	}
	appendStringInfo(text, "' port=%d", port);
}

/*
 * Where the server is, as PgBouncer wants it; an error if it cannot be reached.
 */
char *
dbperf_pool_server_address(void)
{
	StringInfoData text;
	List		  *directories;
	char		  *directory;

	if (!SplitDirectoriesString(pstrdup(Unix_socket_directories), ',', &directories) ||
		directories == NIL)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the connection pool needs a unix socket of the server"),
						errhint("Set unix_socket_directories and restart the server.")));
	directory = linitial(directories);
	if (directory[0] != '/' && directory[0] != '@')
		directory = psprintf("%s/%s", DataDir, directory);
	if (strchr(directory, ',') != NULL || !dbperf_pool_plain_text(directory))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the connection pool cannot use the server's socket directory "
							   "\"%s\"",
							   directory),
						errdetail("PgBouncer does not take commas and control characters.")));
	initStringInfo(&text);
	append_host(&text, directory, PostPortNumber);
	return text.data;
}

/* ---- databases and roles ---- */

/* Whether a list of strings has this one. */
static bool
has_name(const List *names, const char *name)
{
	ListCell *cell;

	foreach (cell, names)
	{
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	}
	return false;
}

/* Remembers a name for as long as the pool runs. */
static void
remember(List **names, const char *name)
{
	MemoryContext old;

	if (has_name(*names, name))
		return;
	old = MemoryContextSwitchTo(TopMemoryContext);
	*names = lappend(*names, pstrdup(name));
	MemoryContextSwitchTo(old);
}

/* Says that a limit needs a newer PgBouncer; returns whether it can be used. */
static bool
version_has(PoolWriting *writing, int version, const char *column, const char *table,
			const char *name)
{
	if (writing->launch->version >= version)
		return true;
	dbperf_pool_complain(&writing->errors, "%s of \"%s\" in %s needs PgBouncer %d.%d", column, name,
						 table, version / 10000, version / 100 % 100);
	return false;
}

/* Appends the entry of a database. */
static void
append_database(PoolWriting *writing, StringInfo text, const PoolLimit *limit)
{
	appendStringInfo(text, "%s = %s", limit->name, writing->server);
	if (limit->mode != POOL_MODE_DEFAULT)
		appendStringInfo(text, " pool_mode=%s", mode_name(limit->mode));
	if (limit->size >= 0)
		appendStringInfo(text, " pool_size=%d", size_share(writing, limit->size));
	if (limit->min_size >= 0)
		appendStringInfo(text, " min_pool_size=%d", share(writing, limit->min_size));
	if (limit->reserve >= 0)
		appendStringInfo(text, " reserve_pool=%d", share(writing, limit->reserve));
	if (limit->max_servers >= 0)
		appendStringInfo(text, " max_db_connections=%d", share(writing, limit->max_servers));
	if (limit->max_clients >= 0 && version_has(writing, POOL_VERSION_CLIENT_LIMITS, "max_clients",
											   "pool_databases", limit->name))
		appendStringInfo(text, " max_db_client_connections=%d", share(writing, limit->max_clients));
	appendStringInfoChar(text, '\n');
}

/* Appends the section of databases: those with limits, those that had some, and all others. */
static void
append_databases(PoolWriting *writing, StringInfo text)
{
	const PoolLimits *limits = writing->limits;
	List			 *written = NIL;
	ListCell		 *cell;

	appendStringInfoString(text, "[databases]\n");
	for (int i = 0; i < limits->num_databases; i++)
	{
		append_database(writing, text, &limits->databases[i]);
		remember(&known_databases, limits->databases[i].name);
		written = lappend(written, (void *) limits->databases[i].name);
	}
	foreach (cell, known_databases)
	{
		if (!has_name(written, lfirst(cell)))
			appendStringInfo(text, "%s = %s\n", (char *) lfirst(cell), writing->server);
	}
	appendStringInfo(text, "* = %s\n", writing->server);
}

/* Appends the entry of a role. */
static void
append_role(PoolWriting *writing, StringInfo text, const PoolLimit *limit)
{
	appendStringInfo(text, "%s = max_user_connections=%d", limit->name,
					 limit->max_servers >= 0 ? share(writing, limit->max_servers) : 0);
	if (limit->mode != POOL_MODE_DEFAULT)
		appendStringInfo(text, " pool_mode=%s", mode_name(limit->mode));
	if (limit->size >= 0 &&
		version_has(writing, POOL_VERSION_USER_SIZE, "pool_size", "pool_roles", limit->name))
		appendStringInfo(text, " pool_size=%d", size_share(writing, limit->size));
	if (limit->max_clients >= 0 &&
		version_has(writing, POOL_VERSION_CLIENT_LIMITS, "max_clients", "pool_roles", limit->name))
		appendStringInfo(text, " max_user_client_connections=%d",
						 share(writing, limit->max_clients));
	appendStringInfoChar(text, '\n');
}

/*
 * Appends the section of roles.  A role that is not in the auth file has none:
 * the entry would make it one that PgBouncer knows.
 */
static void
append_roles(PoolWriting *writing, StringInfo text)
{
	const PoolLimits *limits = writing->limits;
	List			 *written = NIL;
	ListCell		 *cell;

	appendStringInfoString(text, "[users]\n");
	for (int i = 0; i < limits->num_roles; i++)
	{
		const PoolRole *role = dbperf_pool_role(writing->roles, limits->roles[i].name);

		if (role == NULL || !role->listed)
			continue;
		append_role(writing, text, &limits->roles[i]);
		remember(&known_roles, role->name);
		written = lappend(written, (void *) role->name);
	}
	foreach (cell, known_roles)
	{
		const PoolRole *role = dbperf_pool_role(writing->roles, lfirst(cell));

		if (role != NULL && role->listed && !has_name(written, role->name))
			appendStringInfo(text, "%s = max_user_connections=0\n", role->name);
	}
}

/* Appends the section of the processes, by which cancel requests find theirs. */
static void
append_peers(const PoolWriting *writing, StringInfo text)
{
	if (writing->launch->processes == 1 || writing->launch->version < POOL_VERSION_PEERING)
		return;
	appendStringInfoString(text, "[peers]\n");
	for (int i = 0; i < writing->launch->processes; i++)
	{
		appendStringInfo(text, "%d = ", i + 1);
		append_host(text, dbperf_pool_socket_directory(i), writing->launch->port);
		appendStringInfoChar(text, '\n');
	}
}

/* ---- settings ---- */

/* Appends where a process listens. */
static void
append_listening(const PoolWriting *writing, StringInfo text, int process)
{
	const PoolLaunch *launch = writing->launch;

	appendStringInfo(text, "listen_addr = %s\n", launch->listen);
	appendStringInfo(text, "listen_port = %d\n", launch->port);
	appendStringInfo(text, "listen_backlog = %d\n", BACKLOG);
	appendStringInfo(text, "unix_socket_dir = %s\n", dbperf_pool_socket_directory(process));
	appendStringInfoString(text, "unix_socket_mode = 0700\n");
	if (launch->processes == 1)
		return;
	appendStringInfoString(text, "so_reuseport = 1\n");
	if (launch->version >= POOL_VERSION_PEERING)
		appendStringInfo(text, "peer_id = %d\n", process + 1);
}

/* Appends the sizes and times. */
static void
append_sizes(const PoolWriting *writing, StringInfo text)
{
	appendStringInfo(text, "pool_mode = %s\n", mode_name(writing->launch->mode));
	appendStringInfo(text, "default_pool_size = %d\n", size_share(writing, dbperf_pool_size));
	appendStringInfo(text, "min_pool_size = %d\n", share(writing, dbperf_pool_min_size));
	appendStringInfo(text, "reserve_pool_size = %d\n", share(writing, dbperf_pool_reserve));
	appendStringInfo(text, "max_client_conn = %d\n", share(writing, dbperf_pool_max_clients));
	appendStringInfo(text, "query_wait_timeout = %d\n", dbperf_pool_query_wait_timeout);
	appendStringInfo(text, "server_idle_timeout = %d\n", dbperf_pool_server_idle_timeout);
	appendStringInfo(text, "server_lifetime = %d\n", dbperf_pool_server_lifetime);
	appendStringInfo(text, "server_login_retry = %d\n", LOGIN_RETRY);
	appendStringInfo(text, "server_check_query = %s\n", POOL_CHECK_QUERY);
	if (writing->launch->version >= POOL_VERSION_PREPARED)
		appendStringInfo(text, "max_prepared_statements = %d\n",
						 dbperf_pool_max_prepared_statements);
}

/* Appends one of the extra lines, if it may be there. */
static void
append_extra_line(PoolWriting *writing, StringInfo text, const char *line)
{
	size_t name_len = strspn(line, "abcdefghijklmnopqrstuvwxyz0123456789_");

	if (line[0] == '\0')
		return;
	if (name_len == 0 || line[name_len + strspn(line + name_len, " \t")] != '=' ||
		!dbperf_pool_plain_text(line))
	{
		dbperf_pool_complain(&writing->errors,
							 "dbperf.pool_extra_config: \"%.*s\" is not of the form name = value",
							 (int) name_len, line);
		return;
	}
	for (int i = 0; i < (int) lengthof(own_settings); i++)
	{
		if (strlen(own_settings[i]) == name_len && strncmp(own_settings[i], line, name_len) == 0)
		{
			dbperf_pool_complain(&writing->errors,
								 "dbperf.pool_extra_config cannot change %s, which other settings "
								 "decide",
								 own_settings[i]);
			return;
		}
	}
	appendStringInfo(text, "%s\n", line);
}

/* Appends the extra lines; they count more than what stands before. */
static void
append_extra(PoolWriting *writing, StringInfo text)
{
	char *lines = pstrdup(dbperf_pool_extra_config != NULL ? dbperf_pool_extra_config : "");
	char *line = lines;

	while (line != NULL)
	{
		char *next = strpbrk(line, ";\n");
		char *end = next != NULL ? next : line + strlen(line);

		if (next != NULL)
			*next++ = '\0';
		while (*line == ' ' || *line == '\t')
			line++;
		while (end > line && (end[-1] == ' ' || end[-1] == '\t'))
			*--end = '\0';
		append_extra_line(writing, text, line);
		line = next;
	}
	pfree(lines);
}

/*
 * The configuration of one process, palloc'd.  What may have a mistake, the
 * extra lines, comes last: PgBouncer reads up to it.
 */
char *
dbperf_pool_ini_text(PoolWriting *writing, int process)
{
	StringInfoData text;
	bool		   hba = dbperf_pool_auth == POOL_AUTH_HBA;

	initStringInfo(&text);
	appendStringInfoString(&text, "; written by dbperf, which overwrites it\n");
	append_databases(writing, &text);
	append_roles(writing, &text);
	append_peers(writing, &text);
	appendStringInfoString(&text, "[pgbouncer]\n");
	append_listening(writing, &text, process);
	appendStringInfo(&text, "auth_type = %s\n", hba ? "hba" : "md5");
	appendStringInfo(&text, "auth_file = %s\n", dbperf_pool_auth_path());
	if (hba)
		appendStringInfo(&text, "auth_hba_file = %s\n", dbperf_pool_hba_path());
	append_sizes(writing, &text);
	appendStringInfoString(&text, "server_tls_sslmode = disable\n"
								  "ignore_startup_parameters = extra_float_digits\n"
								  "log_connections = 0\n"
								  "log_disconnections = 0\n"
								  "log_stats = 0\n");
	dbperf_pool_append_tls(&text, &writing->errors);
	append_extra(writing, &text);
	return text.data;
}

/*
 * Forgets what was configured: the pool is off.
 */
void
dbperf_pool_forget_entries(void)
{
	list_free_deep(known_databases);
	list_free_deep(known_roles);
	known_databases = NIL;
	known_roles = NIL;
}
