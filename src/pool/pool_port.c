/*-------------------------------------------------------------------------
 *
 * pool_port.c
 *		The port of the pool: whether it is free, and who listens on it.
 *
 * PgBouncer may go on although it could not listen; and several processes
 * share a port with whoever else of the same user wants to, without a word.
 * So the port is tried before anything is started, and looked at afterwards.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <dirent.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pool/pool_run.h"
#include "postmaster/postmaster.h"
#include "utils/varlena.h"

#define MAX_SOCKETS 256 /* on one port, of others included */
#define LISTEN_STATE 0x0A
#define ADDRESS_DIGITS 32

/* A listening socket, as /proc/net has it. */
typedef struct ListenSocket
{
	char		  address[ADDRESS_DIGITS + 1]; /* in hexadecimal digits */
	unsigned long inode;
	bool		  own;
} ListenSocket;

/* ---- before the start ---- */

/* Whether it can be a host name or an address, or says all addresses. */
static bool
is_host(const char *name)
{
	if (strcmp(name, "*") == 0)
		return true;
	return name[0] != '\0' &&
		   strspn(name, "abcdefghijklmnopqrstuvwxyz"
						"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:_%-") == strlen(name);
}

/*
 * Take the setting of host names and addresses apart, and put it together
 * without anything else in it.  Returns false with a problem.
 */
bool
dbperf_pool_parse_listen(const char *setting, StringInfo listen, StringInfo problem)
{
	char	 *copy = pstrdup(setting);
	List	 *names = NIL;
	ListCell *cell;

	if (!SplitGUCList(copy, ',', &names))
	{
		appendStringInfo(problem, "dbperf.pool_listen_addresses is not a list: \"%s\"", setting);
		return false;
	}
	if (names == NIL)
	{
		appendStringInfo(problem,
						 "dbperf.pool_listen_addresses is empty, so that nobody could connect to "
						 "the pool");
		return false;
	}
	foreach (cell, names)
	{
		const char *name = lfirst(cell);

		if (!is_host(name))
		{
			appendStringInfo(problem,
							 "dbperf.pool_listen_addresses has something that is no host name or "
							 "address: \"%s\"",
							 name);
			return false;
		}
		appendStringInfo(listen, "%s%s", listen->len > 0 ? "," : "", name);
	}
	return true;
}

/*
 * Try to bind to one address, without sharing it.  Returns 0 or an errno.
 */
static int
try_bind(const struct addrinfo *address)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;
	int error = 0;

	if (fd < 0)
		return errno;
	(void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (address->ai_family == AF_INET6)
		(void) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, 1) != 0)
		error = errno;
	(void) close(fd);
	return error;
}

/* Each problem is a line. */
static void
next_line(StringInfo problem)
{
	if (problem->len > 0)
		appendStringInfoChar(problem, '\n');
}

/*
 * Try all addresses of one host.  *usable is increased by those that are free.
 */
static void
probe_host(const char *host, int port, int *usable, StringInfo problem)
{
	struct addrinfo	 hints;
	struct addrinfo *found = NULL;
	char			 service[16];
	int				 error;
	int				 last_error = 0;
	int				 before = *usable;

	memset(&hints, 0, sizeof(hints));
	hints.ai_family = AF_UNSPEC;
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = AI_PASSIVE;
	snprintf(service, sizeof(service), "%d", port);
	error = getaddrinfo(strcmp(host, "*") == 0 ? NULL : host, service, &hints, &found);
	if (error != 0)
	{
		next_line(problem);
		appendStringInfo(problem,
						 "dbperf.pool_listen_addresses has a name that cannot be found: \"%s\": "
						 "%s",
						 host, gai_strerror(error));
		return;
	}
	for (const struct addrinfo *one = found; one != NULL; one = one->ai_next)
	{
		error = try_bind(one);
		if (error == 0)
			(*usable)++;
		else if (last_error != EADDRINUSE)
			last_error = error;
	}
	freeaddrinfo(found);

	if (last_error == EADDRINUSE)
	{
		next_line(problem);
		appendStringInfo(problem,
						 port == PostPortNumber
							 ? "port %d of \"%s\" is in use, which is the port of this server: "
							   "set another dbperf.pool_port"
							 : "port %d of \"%s\" is in use by another program, perhaps a "
							   "PgBouncer that is started as a service by its package: stop that "
							   "program, or set another dbperf.pool_port",
						 port, host);
	}
	else if (*usable == before)
	{
		next_line(problem);
		/* it is usual that a name has an address of a protocol that is not there */
		errno = last_error;
		appendStringInfo(problem, "the pool cannot listen on port %d of \"%s\": %m", port, host);
	}
}

/*
 * Whether all these host names and addresses can be listened on, and nobody
 * does; none of the pool's processes may run.  Sets how many addresses they
 * are.  Returns false with problems.
 */
bool
dbperf_pool_probe_port(const char *listen, int port, int *addresses, StringInfo problem)
{
	char	 *copy = pstrdup(listen);
	List	 *names = NIL;
	ListCell *cell;

	*addresses = 0;
	(void) SplitGUCList(copy, ',', &names);
	foreach (cell, names)
		probe_host(lfirst(cell), port, addresses, problem);
	return problem->len == 0;
}

/* ---- after the start ---- */

/*
 * Add the sockets that listen on the port, of one of the files of /proc/net.
 * Returns false if it cannot be read.
 */
static bool
read_sockets(const char *path, int port, ListenSocket *sockets, int *num)
{
	FILE *file = fopen(path, "re");
	char  line[512];

	if (file == NULL)
		return false;
	while (*num < MAX_SOCKETS && fgets(line, sizeof(line), file) != NULL)
	{
		ListenSocket *one = &sockets[*num];
		unsigned int  local_port, state;

		if (sscanf(line, " %*d: %32[0-9A-F]:%4X %*[0-9A-F]:%*4X %2X %*s %*s %*s %*s %*s %lu",
				   one->address, &local_port, &state, &one->inode) != 4)
			continue; /* the heading */
		if (state != LISTEN_STATE)
			break; /* they come first, before all the connections */
		if ((int) local_port == port)
		{
			one->own = false;
			(*num)++;
		}
	}
	(void) fclose(file);
	return true;
}

/*
 * Mark the sockets that a process has open.  Returns false if that cannot be
 * found out.
 */
static bool
mark_own(pid_t pid, ListenSocket *sockets, int num)
{
	char		   directory[64];
	DIR			  *dir;
	struct dirent *entry;

	snprintf(directory, sizeof(directory), "/proc/%d/fd", (int) pid);
	dir = opendir(directory);
	if (dir == NULL)
		return false;
	while ((entry = readdir(dir)) != NULL)
	{
		char		  path[MAXPGPATH];
		char		  target[64];
		unsigned long inode;
		ssize_t		  len;

		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		len = readlink(path, target, sizeof(target) - 1);
		if (len < 0)
			continue;
		target[len] = '\0';
		if (sscanf(target, "socket:[%lu]", &inode) != 1)
			continue;
		for (int i = 0; i < num; i++)
		{
			if (sockets[i].inode == inode)
				sockets[i].own = true;
		}
	}
	(void) closedir(dir);
	return true;
}

/*
 * Who listens on the port: a process of the pool, and strangers.  What other
 * processes of the pool have counts as neither.
 */
PoolListeners
dbperf_pool_listeners(pid_t pid, int port)
{
	PoolListeners result = {false, 0, 0};
	ListenSocket *sockets = palloc(sizeof(ListenSocket) * MAX_SOCKETS);
	bool		  pool[MAX_SOCKETS];
	int			  num = 0;

	result.known = read_sockets("/proc/net/tcp", port, sockets, &num);
	(void) read_sockets("/proc/net/tcp6", port, sockets, &num);
	result.known = result.known && mark_own(pid, sockets, num);
	for (int i = 0; i < num; i++)
	{
		pool[i] = sockets[i].own;
		result.own += sockets[i].own;
	}
	for (int i = 0; i < POOL_MAX_PROCESSES; i++)
	{
		pid_t other = (pid_t) pg_atomic_read_u32(&dbperf_pool_shared->process[i].pid);

		if (other != 0 && other != pid)
			(void) mark_own(other, sockets, num);
	}
	for (int i = 0; i < num; i++)
	{
		for (int j = 0; j < num && !sockets[i].own; j++)
		{
			if (!pool[j] || strcmp(sockets[i].address, sockets[j].address) != 0)
				continue;
			result.foreign++;
			break;
		}
	}
	pfree(sockets);
	return result;
}
