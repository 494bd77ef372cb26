/*-------------------------------------------------------------------------
 *
 * pool_clients_sql.c
 *		The views pool_clients and pool_servers: who is connected to the pool,
 *		and what the pool is connected to.
 *
 * Asked from the consoles by whoever reads the view.  A process that does not
 * answer in time is missing, with a warning.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <arpa/inet.h>

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pool/pool_console.h"
#include "pool/pool_rows.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#define POOL_CLIENTS_COLUMNS 14
#define POOL_SERVERS_COLUMNS 11

/* Time that all processes together have for an answer. */
#define ANSWER_MS 2000

PG_FUNCTION_INFO_V1(dbperf_pool_clients);
PG_FUNCTION_INFO_V1(dbperf_pool_servers);

/* What one process says of both ends. */
typedef struct BothEnds
{
	int				  process;
	const PoolAnswer *clients;
	const PoolAnswer *servers;
} BothEnds;

/*
 * Asks all processes; returns how many gave both answers.
 */
static int
ask_both_ends(BothEnds *ends, PoolRunning *running)
{
	PoolAnswer *clients[POOL_MAX_PROCESSES];
	PoolAnswer *servers[POOL_MAX_PROCESSES];
	char	   *errors[POOL_MAX_PROCESSES];
	char	   *later_errors[POOL_MAX_PROCESSES];
	int			n = 0;

	if (!dbperf_pool_list_running(running) || running->n == 0)
		return 0;
	(void) dbperf_pool_ask_all(running, "SHOW CLIENTS", ANSWER_MS, NULL, NULL, clients, errors);
	(void) dbperf_pool_ask_all(running, "SHOW SERVERS", ANSWER_MS, NULL, NULL, servers,
							   later_errors);
	for (int i = 0; i < running->n; i++)
	{
		if (clients[i] != NULL && servers[i] != NULL)
			ends[n++] = (BothEnds){running->process[i], clients[i], servers[i]};
		else
			ereport(WARNING, (errcode(ERRCODE_CONNECTION_FAILURE),
							  errmsg("process %d of the connection pool did not answer",
									 running->process[i] + 1),
							  errdetail("%s.", errors[i] != NULL ? errors[i] : later_errors[i])));
	}
	return n;
}

/* ---- columns ---- */

/*
 * A time; processes run in UTC.  Null if it is something else.
 */
static void
put_time(PoolRow *row, const char *value)
{
	struct pg_tm tm = {0};
	char		 zone[8] = "";
	Timestamp	 time;

	if (value != NULL &&
		sscanf(value, "%d-%d-%d %d:%d:%d %7s", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
			   &tm.tm_min, &tm.tm_sec, zone) == 7 &&
		(strcmp(zone, "UTC") == 0 || strcmp(zone, "GMT") == 0) &&
		tm2timestamp(&tm, 0, NULL, &time) == 0)
		dbperf_pool_put_time(row, time);
	else
		dbperf_pool_put_null(row);
}

/* The address of a client, null for a unix socket.  Returns whether it has one. */
static bool
put_address(PoolRow *row, const PoolAnswer *answer, int i)
{
	const char	   *address = i >= 0 ? dbperf_pool_value(answer, i, "addr") : NULL;
	struct in6_addr parsed;

	if (address == NULL ||
		(inet_pton(AF_INET, address, &parsed) != 1 && inet_pton(AF_INET6, address, &parsed) != 1))
	{
		dbperf_pool_put_null(row);
		return false;
	}
	dbperf_pool_put(row, DirectFunctionCall1(inet_in, CStringGetDatum(address)));
	return true;
}

/* The id of a client for pool_kill_client(); null before PgBouncer has them. */
static void
put_id(PoolRow *row, int process, const PoolAnswer *answer, int i, int version)
{
	const char *id = i >= 0 ? dbperf_pool_value(answer, i, "id") : NULL;

	if (id == NULL || version < POOL_VERSION_KILL_CLIENT)
		dbperf_pool_put_null(row);
	else
		dbperf_pool_put(row, PointerGetDatum(cstring_to_text(psprintf("%d.%s", process + 1, id))));
}

/* A pid, null if it is not known. */
static void
put_pid(PoolRow *row, int64 pid)
{
	if (pid > 0)
		dbperf_pool_put(row, Int32GetDatum((int32) pid));
	else
		dbperf_pool_put_null(row);
}

/* The row at the other end of a connection, -1 if there is none. */
static int
linked_row(const PoolAnswer *answer, int row, const PoolAnswer *others)
{
	const char *link = dbperf_pool_value(answer, row, "link");

	if (link == NULL || link[0] == '\0')
		return -1;
	for (int i = 0; i < others->rows; i++)
	{
		const char *ptr = dbperf_pool_value(others, i, "ptr");

		if (ptr != NULL && strcmp(ptr, link) == 0)
			return i;
	}
	return -1;
}

static bool
is_console(const PoolAnswer *answer, int row)
{
	const char *database = dbperf_pool_value(answer, row, "database");

	return database != NULL && strcmp(database, "pgbouncer") == 0;
}

/* The columns from database_name to state. */
static void
put_who(PoolRow *row, const PoolAnswer *answer, int i)
{
	dbperf_pool_put_name(row, dbperf_pool_value(answer, i, "database"));
	dbperf_pool_put_name(row, dbperf_pool_value(answer, i, "user"));
	dbperf_pool_put_text(row, dbperf_pool_value(answer, i, "state"));
}

/* The columns from connected_at to application_name. */
static void
put_when(PoolRow *row, const PoolAnswer *answer, int i)
{
	put_time(row, dbperf_pool_value(answer, i, "connect_time"));
	put_time(row, dbperf_pool_value(answer, i, "request_time"));
	dbperf_pool_put_text(row, dbperf_pool_value(answer, i, "application_name"));
}

/* ---- the views ---- */

static void
put_client(ReturnSetInfo *rsinfo, const BothEnds *ends, int i, int version)
{
	const PoolAnswer *clients = ends->clients;
	int				  server = linked_row(clients, i, ends->servers);
	PoolRow			  row = {0};

	put_id(&row, ends->process, clients, i, version);
	dbperf_pool_put(&row, Int32GetDatum(ends->process + 1));
	put_who(&row, clients, i);
	if (put_address(&row, clients, i))
		dbperf_pool_put(&row, Int32GetDatum((int32) dbperf_pool_number(clients, i, "port")));
	else
		dbperf_pool_put_null(&row);
	put_pid(&row, dbperf_pool_number(clients, i, "remote_pid"));
	put_when(&row, clients, i);
	dbperf_pool_put_ms(&row, dbperf_pool_number(clients, i, "wait") * USECS_PER_SEC +
								 dbperf_pool_number(clients, i, "wait_us"));
	put_pid(&row, server >= 0 ? dbperf_pool_number(ends->servers, server, "remote_pid") : 0);
	dbperf_pool_put_text(&row, dbperf_pool_value(clients, i, "tls"));
	dbperf_pool_store(rsinfo, &row);
}

/*
 * pool_clients() returns a row for each client, the consoles' own left out.
 */
Datum
dbperf_pool_clients(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo;
	BothEnds	   ends[POOL_MAX_PROCESSES];
	PoolRunning	   running;
	int			   n;

	dbperf_require_shmem();
	rsinfo = dbperf_srf_begin(fcinfo, POOL_CLIENTS_COLUMNS);
	n = ask_both_ends(ends, &running);
	for (int p = 0; p < n; p++)
	{
		for (int i = 0; i < ends[p].clients->rows; i++)
		{
			CHECK_FOR_INTERRUPTS();
			if (!is_console(ends[p].clients, i))
				put_client(rsinfo, &ends[p], i, running.version);
		}
	}
	return (Datum) 0;
}

static void
put_server(ReturnSetInfo *rsinfo, const BothEnds *ends, int i, int version)
{
	const PoolAnswer *servers = ends->servers;
	int				  client = linked_row(servers, i, ends->clients);
	PoolRow			  row = {0};

	put_pid(&row, dbperf_pool_number(servers, i, "remote_pid"));
	dbperf_pool_put(&row, Int32GetDatum(ends->process + 1));
	put_who(&row, servers, i);
	put_when(&row, servers, i);
	put_id(&row, ends->process, ends->clients, client, version);
	(void) put_address(&row, ends->clients, client);
	dbperf_pool_put(&row, BoolGetDatum(dbperf_pool_number(servers, i, "close_needed") != 0));
	dbperf_pool_store(rsinfo, &row);
}

/*
 * pool_servers() returns a row for each connection of the pool to this server.
 */
Datum
dbperf_pool_servers(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo;
	BothEnds	   ends[POOL_MAX_PROCESSES];
	PoolRunning	   running;
	int			   n;

	dbperf_require_shmem();
	rsinfo = dbperf_srf_begin(fcinfo, POOL_SERVERS_COLUMNS);
	n = ask_both_ends(ends, &running);
	for (int p = 0; p < n; p++)
	{
		for (int i = 0; i < ends[p].servers->rows; i++)
		{
			CHECK_FOR_INTERRUPTS();
			put_server(rsinfo, &ends[p], i, running.version);
		}
	}
	return (Datum) 0;
}
