/*-------------------------------------------------------------------------
 *
 * pool_backend.c
 *		Server processes that serve the connection pool.
 *
 * Whether a process does is known from the operating system, which says who is
 * at the other end of its unix socket; a setting could be forged, or discarded.
 *
 * Here the total of such processes is limited: PgBouncer has limits only for a
 * database or a role, and for each of its processes.  The place is taken when
 * the client has proved who it is, and given back at the very end, when the
 * entry in the process array is free again: so what the pool leaves of
 * max_connections to others is really free.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/socket.h>
#include <unistd.h>

#include "access/xact.h"
#include "core/client_port.h"
#include "core/core.h"
#include "pool/pool_guard.h"
#include "pool/pool_int.h"
#include "replication/walsender.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/timestamp.h"

bool dbperf_pool_serves = false;

static ClientAuthentication_hook_type prev_ClientAuthentication = NULL;

/* One of PoolShared->pooled is this process. */
static bool counted = false;

/* The transaction that opens the session is over. */
static bool session_open = false;

/* ---- who may serve the pool ---- */

/*
 * The process at the other end of a connection, if that is a unix socket and
 * the process is of the same operating system's user; or 0.
 */
static pid_t
peer_process(const Port *port)
{
#ifdef SO_PEERCRED
	struct ucred peer;
	socklen_t	 length = sizeof(peer);

	if (port->raddr.addr.ss_family == AF_UNIX &&
		getsockopt(port->sock, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
		length == sizeof(peer) && peer.uid == geteuid())
		return peer.pid;
#endif
	return 0;
}

/*
 * Gives this process's place back.  It runs after everything that needs shared
 * memory has been cleaned up, and before the client sees the end.
 */
static void
give_place_back(int code, Datum arg)
{
	(void) code;
	(void) arg;
	if (counted)
		pg_atomic_fetch_sub_u32(&dbperf_pool_shared->pooled, 1);
	counted = false;
}

/* Keeps the highest number that there was. */
static void
note_most(uint32 now)
{
	uint32 most = pg_atomic_read_u32(&dbperf_pool_shared->most_pooled);

	while (most < now &&
		   !pg_atomic_compare_exchange_u32(&dbperf_pool_shared->most_pooled, &most, now))
		;
}

/*
 * Takes a place.  Returns false if all are taken.
 */
static bool
take_place(uint32 limit)
{
	uint32 now = pg_atomic_read_u32(&dbperf_pool_shared->pooled);

	do
	{
		if (now >= limit)
			return false;
	} while (!pg_atomic_compare_exchange_u32(&dbperf_pool_shared->pooled, &now, now + 1));
	counted = true;
	note_most(now + 1);
	return true;
}

/* ---- what it counts ---- */

/*
 * The end of a quoted literal, or NULL if it is none.
 */
static const char *
skip_literal(const char *s)
{
	bool escapes = *s == 'E';

	if (escapes)
		s++;
	if (*s != '\'')
		return NULL;
	for (s++; *s != '\0'; s++)
	{
		if (escapes && *s == '\\' && s[1] != '\0')
			s++;
		else if (*s == '\'' && s[1] == '\'')
			s++;
		else if (*s == '\'')
			return s + 1;
	}
	return NULL;
}

/*
 * Whether PgBouncer has sent these statements on its own account: to clean up
 * in session mode, to see whether a connection that was idle works, and to pass
 * the settings of a client on to the server connection that it gets, which
 * always has this form.
 */
static bool
sent_by_pooler(const char *text)
{
	if (text == NULL)
		return false;
	if (strcmp(text, "DISCARD ALL") == 0 || strcmp(text, POOL_CHECK_QUERY) == 0)
		return true;
	if (strncmp(text, "SET ", 4) != 0)
		return false;
	while (strncmp(text, "SET ", 4) == 0)
	{
		const char *name = text + 4;
		const char *value = strchr(name, '=');

		if (value == NULL || !dbperf_pool_passes_on(name, value - name))
			return false;
		text = skip_literal(value + 1);
		if (text == NULL || *text != ';')
			return false;
		text++;
	}
	return *text == '\0';
}

/*
 * The session has been opened: everything about it is known, and its first
 * transaction, which did that, is about to end.
 */
static void
open_session(void)
{
	pg_atomic_fetch_add_u64(&dbperf_pool_shared->connects, 1);
	dbperf_pool_count_login();
	dbperf_pool_guard_begin();
}

static void
count_transaction(bool committed)
{
	if (sent_by_pooler(debug_query_string))
		return;
	dbperf_pool_count_transaction(GetCurrentTimestamp() - GetCurrentTransactionStartTimestamp(),
								  committed);
}

/*
 * Called at the end of each transaction of a process that serves the pool.
 */
static void
serve_xact(XactEvent event, void *arg)
{
	(void) arg;
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			if (session_open)
				dbperf_pool_guard_before_commit();
			else
				open_session();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			if (session_open)
				count_transaction(true);
			session_open = true;
			dbperf_pool_guard_xact_end();
			break;
		case XACT_EVENT_ABORT:
			if (session_open)
				count_transaction(false);
			dbperf_pool_guard_xact_end();
			break;
		default:
			break;
	}
}

/* ---- the login ---- */

/*
 * A client of the pool's process has proved who it is: takes a place for it, or
 * ends the process with an error.
 */
static void
serve_pool(void)
{
	int limit = dbperf_pool_connection_limit();

	on_proc_exit(give_place_back, (Datum) 0);
	if (!take_place(limit))
	{
		pg_atomic_fetch_add_u64(&dbperf_pool_shared->refused, 1);
		ereport(FATAL,
				(errcode(ERRCODE_TOO_MANY_CONNECTIONS),
				 errmsg("too many server connections of the connection pool"),
				 errdetail("All databases and roles together may have %d.", limit),
				 errhint("Raise dbperf.pool_max_server_connections, or lower dbperf.pool_size so "
						 "that each database and role gets fewer of them.")));
	}
	dbperf_pool_serves = true;
	RegisterXactCallback(serve_xact, NULL);
}

/*
 * Connections for replication are not shared by clients, and do not take any of
 * max_connections.
 */
static void
dbperf_ClientAuthentication(Port *port, int status)
{
	if (prev_ClientAuthentication)
		prev_ClientAuthentication(port, status);

	if (status == STATUS_OK && !am_walsender && dbperf_pool_shared != NULL)
	{
		pid_t peer = peer_process(port);

		if (peer != 0 && dbperf_pool_is_process(peer))
			serve_pool();
	}
}

/*
 * Installs the hook.  Called once, while the library is preloaded.
 */
void
dbperf_pool_backend_init(void)
{
	dbperf_pool_guard_counts_init();
	prev_ClientAuthentication = ClientAuthentication_hook;
	ClientAuthentication_hook = dbperf_ClientAuthentication;
}
