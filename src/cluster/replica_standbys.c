/*-------------------------------------------------------------------------
 *
 * replica_standbys.c
 *		Which of the standbys that receive WAL from here were asked as nodes.
 *
 * To count both would not do: a node may be a cascading standby, while the one
 * in between, which is connected here, is no node.  So each connection is compared
 * with what a node says of its WAL receiver.  A receiver is one process for one
 * connection, and both ends know how old it is, whatever addresses are translated
 * in between.  Besides, both must name the same slot; without one, the connection
 * must come from the node's address and lead to this server's port.  Whoever cannot
 * be told to be a node was not asked.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <netdb.h>
#include <sys/socket.h>

#include "cluster/cluster_int.h"
#include "postmaster/postmaster.h"
#include "replication/slot.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/procarray.h"
#include "storage/spin.h"
#include "utils/backend_status.h"

/* A receiver has begun about when its connection has. */
#define MAX_BEFORE (2 * USECS_PER_SEC) /* the connection, by what the node's answer took */
#define MAX_AFTER (5 * USECS_PER_SEC)  /* the time to connect */

/* A connection of a standby. */
typedef struct Standby
{
	pid_t		pid;
	TimestampTz since;
	char		address[NODE_ADDRESS_LEN]; /* "" = a socket on this machine */
	char		slot[NAMEDATALEN];		   /* "" = none */
} Standby;

/* ---- who is connected ---- */

/* When a process was connected to, and from where.  Returns false if it is gone. */
static bool
find_connection(Standby *standby)
{
	int count = pgstat_fetch_stat_numbackends();

	for (int i = 1; i <= count; i++)
	{
		const LocalPgBackendStatus *one = DBPERF_LOCAL_BACKEND(i);
		const SockAddr			   *from;

		if (one == NULL || one->backendStatus.st_procpid != standby->pid)
			continue;
		from = &one->backendStatus.st_clientaddr;
		standby->since = one->backendStatus.st_proc_start_timestamp;
		if (from->addr.ss_family != AF_UNIX &&
			getnameinfo((const struct sockaddr *) &from->addr, from->salen, standby->address,
						sizeof(standby->address), NULL, 0, NI_NUMERICHOST) != 0)
			return false;
		return true;
	}
	return false;
}

/*
 * Standbys that receive WAL from here.  What only stores it, a backup or
 * pg_receivewal, runs no queries: it never says that it has replayed anything.
 */
static int
find_standbys(Standby *standbys)
{
	int num = 0;

	for (int i = 0; i < max_wal_senders; i++)
	{
		WalSnd	   *sender = &WalSndCtl->walsnds[i];
		PGPROC	   *proc;
		pid_t		pid;
		WalSndState state;
		XLogRecPtr	written;
		XLogRecPtr	replayed;

		SpinLockAcquire(&sender->mutex);
		pid = sender->pid;
		state = sender->state;
		written = sender->write;
		replayed = sender->apply;
		SpinLockRelease(&sender->mutex);
		/* who has said nothing yet may be a standby */
		if (pid == 0 || state == WALSNDSTATE_BACKUP ||
			(state == WALSNDSTATE_STREAMING && !XLogRecPtrIsInvalid(written) &&
			 XLogRecPtrIsInvalid(replayed)))
			continue;

		/* one that decodes for a subscriber is connected to a database */
		proc = BackendPidGetProc(pid);
		if (proc == NULL || OidIsValid(proc->databaseId))
			continue;
		memset(&standbys[num], 0, sizeof(Standby));
		standbys[num++].pid = pid;
	}
	return num;
}

/*
 * Notes which slots the standbys use, and tells of those that nobody does: their
 * standbys are away.
 */
static void
look_at_slots(Standby *standbys, int num, StringInfo unasked)
{
	char(*idle)[NAMEDATALEN] = palloc(max_replication_slots * NAMEDATALEN + 1);
	int num_idle = 0;

	LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
	for (int i = 0; i < max_replication_slots; i++)
	{
		ReplicationSlot *slot = &ReplicationSlotCtl->replication_slots[i];
		pid_t			 user = -1;

		SpinLockAcquire(&slot->mutex);
		if (slot->in_use && SlotIsPhysical(slot))
			user = slot->active_pid;
		SpinLockRelease(&slot->mutex);
		if (user == 0)
			memcpy(idle[num_idle++], NameStr(slot->data.name), NAMEDATALEN);
		for (int j = 0; j < num && user > 0; j++)
		{
			if (standbys[j].pid == user)
				memcpy(standbys[j].slot, NameStr(slot->data.name), NAMEDATALEN);
		}
	}
	LWLockRelease(ReplicationSlotControlLock);
	for (int i = 0; i < num_idle; i++)
		appendStringInfo(unasked, " The standby of replication slot \"%s\" is not connected.",
						 idle[i]);
}

/* ---- who was asked ---- */

/* Whether a connection is that of a node's WAL receiver. */
static bool
is_receiver(const Standby *standby, const NodeFacts *facts)
{
	TimestampTz later = standby->since - facts->receiver_since;

	if (!facts->in_recovery || facts->receiver_since == 0 || later < -MAX_BEFORE ||
		later > MAX_AFTER || strcmp(standby->slot, facts->receiver_slot) != 0)
		return false;
	return standby->slot[0] != '\0' ||
		   (facts->sender_port == PostPortNumber && strcmp(standby->address, facts->address) == 0);
}

/*
 * Takes a node away that is one of the connected standbys: it has no other
 * connection.  Returns false if there is none.
 */
static bool
take_node(const Standby *standby, const NodeFacts **asked, int num)
{
	for (int i = 0; i < num; i++)
	{
		const NodeFacts *facts = asked[i];

		if (facts == NULL || !is_receiver(standby, facts))
			continue;
		for (int j = 0; j < num; j++)
		{
			if (asked[j] != NULL && dbperf_node_same_server(asked[j], facts))
				asked[j] = NULL;
		}
		return true;
	}
	return false;
}

/*
 * Adds sentences about the standbys of this server that are none of the nodes
 * that were asked.  The list of nodes is used up.
 */
void
dbperf_note_unasked_standbys(const NodeFacts **asked, int num_asked, StringInfo unasked)
{
	Standby		  *standbys = palloc(Max(max_wal_senders, 1) * sizeof(Standby));
	int			   num = find_standbys(standbys);
	int			   unknown = 0;
	StringInfoData idle;

	initStringInfo(&idle);
	look_at_slots(standbys, num, &idle);
	for (int i = 0; i < num; i++)
	{
		if (!find_connection(&standbys[i]) || !take_node(&standbys[i], asked, num_asked))
			unknown++;
	}
	if (unknown > 0)
		appendStringInfo(unasked, " %d of the standbys that are connected %s no node.", unknown,
						 unknown == 1 ? "is" : "are");
	appendStringInfoString(unasked, idle.data);
}
