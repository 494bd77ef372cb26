/*-------------------------------------------------------------------------
 *
 * pool.c
 *		Settings and start-up of the connection pool.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pool/pool_int.h"
#include "postmaster/postmaster.h"
#include "utils/guc.h"

/* Connections that are left to others by default, beside the reserved ones. */
#define LEFT_TO_OTHERS 10

bool  dbperf_pool = false;
char *dbperf_pool_listen_addresses = NULL;
int	  dbperf_pool_port = 6432;
int	  dbperf_pool_processes = 1;
int	  dbperf_pool_mode = POOL_MODE_DEFAULT;
int	  dbperf_pool_size = 20;
int	  dbperf_pool_min_size = 0;
int	  dbperf_pool_reserve = 0;
int	  dbperf_pool_max_clients = 1000;
int	  dbperf_pool_max_server_connections = -1;
int	  dbperf_pool_query_wait_timeout = 120;
int	  dbperf_pool_server_idle_timeout = 600;
int	  dbperf_pool_server_lifetime = 3600;
int	  dbperf_pool_max_prepared_statements = 200;
bool  dbperf_pool_allow_superuser = false;
int	  dbperf_pool_auth = POOL_AUTH_FILE;
char *dbperf_pool_program = NULL;
bool  dbperf_pool_tls = true;
char *dbperf_pool_extra_config = NULL;
int	  dbperf_pool_guard = POOL_GUARD_WARNING;

static const struct config_enum_entry mode_options[] = {
	{"default", POOL_MODE_DEFAULT, false},
	{"session", POOL_MODE_SESSION, false},
	{"transaction", POOL_MODE_TRANSACTION, false},
	{"statement", POOL_MODE_STATEMENT, false},
	{NULL, 0, false}};

static const struct config_enum_entry auth_options[] = {
	{"file", POOL_AUTH_FILE, false}, {"hba", POOL_AUTH_HBA, false}, {NULL, 0, false}};

static const struct config_enum_entry guard_options[] = {{"off", POOL_GUARD_OFF, false},
														 {"warning", POOL_GUARD_WARNING, false},
														 {"error", POOL_GUARD_ERROR, false},
														 {NULL, 0, false}};

/*
 * Server connections that all pools together may have, so that the rest of
 * max_connections is left to those who connect directly.
 */
int
dbperf_pool_connection_limit(void)
{
	if (dbperf_pool_max_server_connections >= 0)
		return dbperf_pool_max_server_connections;
	return Max(MaxConnections - DBPERF_RESERVED_CONNECTIONS - LEFT_TO_OTHERS, 1);
}

/* ---- settings ---- */

/*
 * What the pool is started with; it keeps that until it is switched off and on.
 */
static void
define_launch_settings(void)
{
	DefineCustomBoolVariable("dbperf.pool", "Runs PgBouncer as a connection pool of this server.",
							 NULL, &dbperf_pool, false, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("dbperf.pool_listen_addresses",
							   "Host names and addresses that the pool listens on.",
							   "Taken when the pool is switched on.", &dbperf_pool_listen_addresses,
							   "localhost", PGC_SIGHUP, GUC_LIST_INPUT, NULL, NULL, NULL);
	DefineCustomIntVariable("dbperf.pool_port", "Port that the pool listens on.",
							"Taken when the pool is switched on.", &dbperf_pool_port, 6432, 1,
							65535, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("dbperf.pool_processes", "PgBouncer processes that share the port.",
							"Taken when the pool is switched on.", &dbperf_pool_processes, 1, 1,
							POOL_MAX_PROCESSES, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("dbperf.pool_program", "Path of the PgBouncer program.",
							   "Empty means that it is looked for where packages put it.",
							   &dbperf_pool_program, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL,
							   NULL);
}

static void
define_size_settings(void)
{
	DefineCustomIntVariable(
		"dbperf.pool_size", "Server connections of one database and role, in all processes.", NULL,
		&dbperf_pool_size, 20, 1, MAX_BACKENDS, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"dbperf.pool_min_size", "Server connections of one database and role that are kept open.",
		NULL, &dbperf_pool_min_size, 0, 0, MAX_BACKENDS, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("dbperf.pool_reserve",
							"More server connections of one database and role when clients have "
							"waited for five seconds.",
							NULL, &dbperf_pool_reserve, 0, 0, MAX_BACKENDS, PGC_SIGHUP, 0, NULL,
							NULL, NULL);
	DefineCustomIntVariable("dbperf.pool_max_clients", "Client connections, in all processes.",
							NULL, &dbperf_pool_max_clients, 1000, 1, 1000000, PGC_SIGHUP, 0, NULL,
							NULL, NULL);
	DefineCustomIntVariable("dbperf.pool_max_server_connections",
							"Server connections of all databases, roles and processes together.",
							"-1 means max_connections without the reserved ones, minus 10.",
							&dbperf_pool_max_server_connections, -1, -1, MAX_BACKENDS, PGC_SIGHUP,
							0, NULL, NULL, NULL);
	DefineCustomIntVariable("dbperf.pool_max_prepared_statements",
							"Prepared statements that the pool keeps for each server connection.",
							"They need PgBouncer 1.21; 0 switches them off.",
							&dbperf_pool_max_prepared_statements, 200, 0, 1000000, PGC_SIGHUP, 0,
							NULL, NULL, NULL);
}

static void
define_time_settings(void)
{
	DefineCustomIntVariable("dbperf.pool_query_wait_timeout",
							"Time that a client waits for a server connection.",
							"0 means for ever.", &dbperf_pool_query_wait_timeout, 120, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("dbperf.pool_server_idle_timeout",
							"Time after which an unused server connection is closed.",
							"0 means never.", &dbperf_pool_server_idle_timeout, 600, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("dbperf.pool_server_lifetime",
							"Time after which a server connection is closed when it is free.",
							"0 means after each use.", &dbperf_pool_server_lifetime, 3600, 0,
							INT_MAX, PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
}

static void
define_access_settings(void)
{
	DefineCustomEnumVariable(
		"dbperf.pool_mode", "When a server connection is given back to the pool.",
		"default means transaction, or session if PgBouncer is older than "
		"1.21.",
		&dbperf_pool_mode, POOL_MODE_DEFAULT, mode_options, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("dbperf.pool_auth", "Who may connect to the pool.",
							 "file: roles with passwords; hba: as pg_hba.conf says of addresses.",
							 &dbperf_pool_auth, POOL_AUTH_FILE, auth_options, PGC_SIGHUP, 0, NULL,
							 NULL, NULL);
	DefineCustomBoolVariable("dbperf.pool_allow_superuser",
							 "Lets superusers connect through the pool.", NULL,
							 &dbperf_pool_allow_superuser, false, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("dbperf.pool_tls",
							 "Offers TLS to clients of the pool, with the server's certificate.",
							 "If the server itself has ssl = on.", &dbperf_pool_tls, true,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("dbperf.pool_guard",
							 "What is done about session features that a pool breaks.",
							 "They are counted in any case.", &dbperf_pool_guard,
							 POOL_GUARD_WARNING, guard_options, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("dbperf.pool_extra_config",
							   "Lines for PgBouncer's configuration, with semicolons between them.",
							   "They come last in the section [pgbouncer].",
							   &dbperf_pool_extra_config, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL,
							   NULL, NULL);
}

/*
 * Called once, from _PG_init.
 */
void
dbperf_pool_init(void)
{
	define_launch_settings();
	define_size_settings();
	define_time_settings();
	define_access_settings();
	if (!process_shared_preload_libraries_in_progress)
		return;

	dbperf_pool_shared_init();
	dbperf_pool_limits_init();
	dbperf_pool_stats_init();
	dbperf_pool_metrics_init();
	dbperf_pool_backend_init();
	dbperf_pool_worker_init();
}
