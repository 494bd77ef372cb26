/*-------------------------------------------------------------------------
 *
 * node_lookup.c
 *		Looks up the addresses of host names without waiting for them.
 *
 * getaddrinfo() blocks, and libpq calls it when a conversation begins: a name
 * server that is gone would cost all nodes many seconds.  So a child process
 * calls it and writes what it finds into a pipe; whoever needs the answer waits
 * for as long as he likes, and kills the child then.
 *
 * The child is a copy of the poller, in which no other thread runs, and does
 * nothing of a server's: it closes everything that it has, calls the C library,
 * and ends without any exit callback.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cluster/cluster_int.h"
#include "core/child.h"
#include "miscadmin.h"

#define MAX_HOSTS 16	 /* of one node */
#define MAX_ADDRESSES 32 /* of all its hosts */

/* A list of hosts or ports, as libpq's options have it. */
typedef struct Elements
{
	int	  n;
	char *element[MAX_HOSTS];
} Elements;

static const char *
value_of(const NodeOptions *options, const char *keyword)
{
	for (int i = options->num - 1; i >= 0; i--)
	{
		if (strcmp(options->keywords[i], keyword) == 0 && options->values[i][0] != '\0')
			return options->values[i];
	}
	return NULL;
}

/* Takes a list apart.  Returns false if it is too long. */
static bool
split(const char *list, Elements *into)
{
	char *copy = pstrdup(list);

	into->n = 0;
	for (;;)
	{
		char *comma = strchr(copy, ',');

		if (into->n == MAX_HOSTS)
			return false;
		into->element[into->n++] = copy;
		if (comma == NULL)
			return true;
		*comma = '\0';
		copy = comma + 1;
	}
}

/* Whether a host has to be looked up: it is no socket's directory, nor an address. */
static bool
is_name(const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];

	if (host[0] == '\0' || is_absolute_path(host) || host[0] == '@')
		return false;
	/* addresses with a zone need a look at the interfaces only, but are rare */
	return inet_pton(AF_INET, host, address) != 1 && inet_pton(AF_INET6, host, address) != 1;
}

/*
 * Whether some host of the options has to be looked up.
 */
bool
dbperf_lookup_needed(const NodeOptions *options)
{
	const char *hosts = value_of(options, "host");
	Elements	list;

	if (hosts == NULL || value_of(options, "hostaddr") != NULL)
		return false;
	if (!split(hosts, &list))
		return true;
	for (int i = 0; i < list.n; i++)
	{
		if (is_name(list.element[i]))
			return true;
	}
	return false;
}

/* ---- in the child ---- */

/* Writes a line about a host: "number address" or "number !error". */
static void
say(int fd, int host, const char *mark, const char *what)
{
	char line[512];
	int	 len = snprintf(line, sizeof(line), "%d %s%.400s\n", host, mark, what);

	(void) !write(fd, line, len);
}

static void
look_up(int fd, int number, const char *host)
{
	struct addrinfo	 hints;
	struct addrinfo *found = NULL;
	char			 address[INET6_ADDRSTRLEN + 32];
	int				 error;

	memset(&hints, 0, sizeof(hints));
	hints.ai_family = AF_UNSPEC;
	hints.ai_socktype = SOCK_STREAM;
	error = getaddrinfo(host, NULL, &hints, &found);
	if (error != 0)
	{
		say(fd, number, "!", gai_strerror(error));
		return;
	}
	for (struct addrinfo *one = found; one != NULL; one = one->ai_next)
	{
		if (getnameinfo(one->ai_addr, one->ai_addrlen, address, sizeof(address), NULL, 0,
						NI_NUMERICHOST) == 0)
			say(fd, number, "", address);
	}
}

/* All that the child does.  Does not return. */
static void
child_main(const Elements *hosts, pid_t poller, int fd)
{
	int out = STDERR_FILENO + 1;

	if (!dbperf_child_die_with(poller) || (fd != out && dup2(fd, out) < 0))
		_exit(1);
	dbperf_child_close_from(out + 1);
	dbperf_child_reset_signals();
	for (int i = 0; i < hosts->n; i++)
	{
		if (is_name(hosts->element[i]))
			look_up(out, i, hosts->element[i]);
	}
	_exit(0);
}

/* ---- in the poller ---- */

/*
 * Starts to look up the hosts of a node.  Returns false, with errno, if that
 * cannot be.
 */
bool
dbperf_lookup_begin(NodeLookup *lookup, const NodeOptions *options)
{
	Elements hosts;
	int		 pipes[2];
	sigset_t all, old;
	pid_t	 pid;

	memset(lookup, 0, sizeof(NodeLookup));
	lookup->fd = -1;
	if (!split(value_of(options, "host"), &hosts))
	{
		errno = E2BIG;
		return false;
	}
	if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) != 0)
		return false;

	sigfillset(&all);
	(void) sigprocmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid == 0)
		child_main(&hosts, MyProcPid, pipes[1]);
	(void) sigprocmask(SIG_SETMASK, &old, NULL);
	(void) close(pipes[1]);
	if (pid < 0)
	{
		int save_errno = errno;

		(void) close(pipes[0]);
		errno = save_errno;
		return false;
	}
	lookup->pid = pid;
	lookup->fd = pipes[0];
	return true;
}

/*
 * Reads what the child has said.  Returns whether that is all.
 */
bool
dbperf_lookup_advance(NodeLookup *lookup)
{
	int room = (int) sizeof(lookup->said) - 1 - lookup->len;
	int got = room > 0 ? (int) read(lookup->fd, lookup->said + lookup->len, room) : 0;

	if (got < 0)
		return errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR;
	lookup->len += got;
	return got == 0;
}

/*
 * Ends a look-up, whether it is done or not.
 */
void
dbperf_lookup_end(NodeLookup *lookup)
{
	if (lookup->pid == 0)
		return;
	(void) kill(lookup->pid, SIGKILL);
	while (waitpid(lookup->pid, NULL, 0) < 0 && errno == EINTR)
		;
	(void) close(lookup->fd);
	lookup->fd = -1;
	lookup->pid = 0;
}

/* A list of options under construction. */
typedef struct Lists
{
	StringInfoData hosts;
	StringInfoData addresses;
	StringInfoData ports;
	int			   n;
} Lists;

static void
put(Lists *lists, const char *host, const char *address, const char *port)
{
	const char *comma = lists->n > 0 ? "," : "";

	if (lists->n == MAX_ADDRESSES)
		return;
	appendStringInfo(&lists->hosts, "%s%s", comma, host);
	appendStringInfo(&lists->addresses, "%s%s", comma, address);
	appendStringInfo(&lists->ports, "%s%s", comma, port);
	lists->n++;
}

/* Adds the addresses of a host that was looked up.  Notes what went wrong. */
static void
put_found(Lists *lists, const NodeLookup *lookup, int number, const char *host, const char *port,
		  char *error, size_t size)
{
	char *said = pstrdup(lookup->said);
	char *save = NULL;

	for (char *line = strtok_r(said, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
	{
		char *what = strchr(line, ' ');

		if (what == NULL || atoi(line) != number)
			continue;
		if (what[1] == '!')
			snprintf(error, size, "could not translate host name \"%s\" to address: %s", host,
					 what + 2);
		else
			put(lists, host, what + 1, port);
	}
}

/* Replaces an option, or adds it where there is room for one. */
static void
replace(NodeOptions *options, const char *keyword, const char *value)
{
	options->keywords[options->num] = keyword;
	options->values[options->num++] = value;
}

/*
 * Puts the addresses that were found into the options.  Returns false, with the
 * error, if there are none.
 */
bool
dbperf_lookup_take(const NodeLookup *lookup, NodeOptions *options, char *error, size_t size)
{
	const char *port = value_of(options, "port");
	Elements	hosts;
	Elements	ports = {0};
	Lists		lists = {.n = 0};

	(void) split(value_of(options, "host"), &hosts);
	if (port != NULL && !split(port, &ports))
		ports.n = 0;
	snprintf(error, size, "the host's name could not be looked up");
	initStringInfo(&lists.hosts);
	initStringInfo(&lists.addresses);
	initStringInfo(&lists.ports);
	for (int i = 0; i < hosts.n; i++)
	{
		const char *host = hosts.element[i];
		const char *its_port = ports.n == 0 ? "" : ports.element[ports.n == 1 ? 0 : i];

		if (ports.n > 1 && ports.n != hosts.n)
			return snprintf(error, size, "%d hosts have %d ports", hosts.n, ports.n) < 0;
		if (is_name(host))
			put_found(&lists, lookup, i, host, its_port, error, size);
		else
			put(&lists, host, is_absolute_path(host) || host[0] == '@' ? "" : host, its_port);
	}
	if (lists.n == 0)
		return false;
	replace(options, "host", lists.hosts.data);
	replace(options, "hostaddr", lists.addresses.data);
	replace(options, "port", lists.ports.data);
	return true;
}
