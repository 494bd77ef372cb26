/*-------------------------------------------------------------------------
 *
 * replica_use.c
 *		Whether the servers that replay this one's WAL use an index.
 *
 * An index that is dropped here is gone there, too, and their queries are
 * counted there only.  A server with our system identifier counts as one of them;
 * its index has the same OID.  What is known of them is compared with the
 * standbys that are connected to this server, or have a slot here: those of whom
 * no node tells were not asked, and then nothing is known.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "cluster/cluster_int.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* A replica's answer about this database. */
typedef struct Replica
{
	NodeFacts	 *facts;
	NodeIndexUse *used;
} Replica;

struct DbperfReplicas
{
	int			   num;
	Replica		  *replica;
	StringInfoData unasked; /* sentences about those who were not asked */
};

/* ---- who there is ---- */

/*
 * Whether two nodes are databases of the same server.
 */
bool
dbperf_node_same_server(const NodeFacts *a, const NodeFacts *b)
{
	return a->port == b->port && a->started == b->started;
}

/* Whether one of the replicas is the node's server. */
static bool
asked_here(const DbperfReplicas *replicas, const NodeFacts *facts)
{
	for (int i = 0; i < replicas->num; i++)
	{
		if (dbperf_node_same_server(replicas->replica[i].facts, facts))
			return true;
	}
	return false;
}

/* ---- what they said ---- */

/*
 * Sorts a node: one that was asked about this database becomes a replica, and
 * one that may be a replica and was not is noted.
 */
static void
sort_node(DbperfReplicas *replicas, NodeFacts *facts, NodeIndexUse *used)
{
	if (facts->system_id == 0)
		appendStringInfo(&replicas->unasked, " Node \"%s\" has never answered.", facts->name);
	else if (facts->system_id == GetSystemIdentifier() && !facts->is_this_server)
	{
		if (!dbperf_node_is_fresh(facts))
			appendStringInfo(&replicas->unasked, " Node \"%s\" does not answer.", facts->name);
		else if (strcmp(facts->database, get_database_name(MyDatabaseId)) == 0)
		{
			Replica *replica = &replicas->replica[replicas->num++];

			replica->facts = facts;
			replica->used = used;
		}
	}
}

/* Notes servers of which another database was asked, but not this one. */
static void
note_other_databases(DbperfReplicas *replicas, const NodeFacts *facts, int num)
{
	for (int i = 0; i < num; i++)
	{
		if (facts[i].system_id == GetSystemIdentifier() && !facts[i].is_this_server &&
			dbperf_node_is_fresh(&facts[i]) && !asked_here(replicas, &facts[i]))
			appendStringInfo(&replicas->unasked,
							 " Node \"%s\" is another database of a replica, of which no node is "
							 "this database.",
							 facts[i].name);
	}
}

/* Copies the facts of all nodes, and which indexes they have scanned. */
static int
copy_nodes(NodeFacts *facts, NodeIndexUse **used)
{
	int num;
	int encoding;

	LWLockAcquire(CLUSTER_LOCK, LW_SHARED);
	num = dbperf_cluster->num_nodes;
	encoding = dbperf_cluster->encoding;
	for (int i = 0; i < num; i++)
	{
		const NodeSlot *slot = &dbperf_cluster->nodes[i];

		memcpy(&facts[i], &slot->facts, sizeof(NodeFacts));
		memcpy(used[i], slot->used, slot->facts.num_used * sizeof(NodeIndexUse));
	}
	LWLockRelease(CLUSTER_LOCK);
	for (int i = 0; i < num; i++)
	{
		/* who the nodes are is not for everybody */
		if (has_privs_of_role(GetUserId(), ROLE_PG_MONITOR))
			dbperf_put_text(facts[i].name, NAMEDATALEN, facts[i].name, encoding);
		else
			snprintf(facts[i].name, NAMEDATALEN, "%d", i + 1);
	}
	return num;
}

/* All that is known of nodes. */
static void
sort_nodes(DbperfReplicas *replicas)
{
	int			   max = dbperf_cluster->max_nodes;
	NodeFacts	  *facts = palloc(max * sizeof(NodeFacts));
	NodeIndexUse **used = palloc(max * sizeof(NodeIndexUse *));
	int			   num;

	LWLockAcquire(CLUSTER_LOCK, LW_SHARED);
	num = dbperf_cluster->num_nodes;
	LWLockRelease(CLUSTER_LOCK);
	if (num == 0)
		return;
	for (int i = 0; i < max; i++)
		used[i] = palloc(NODE_MAX_USED * sizeof(NodeIndexUse));
	num = copy_nodes(facts, used);
	replicas->replica = palloc(Max(num, 1) * sizeof(Replica));
	for (int i = 0; i < num; i++)
		sort_node(replicas, &facts[i], used[i]);
	note_other_databases(replicas, facts, num);
}

/* Whether some row is in the table of nodes, of this database. */
static bool
has_rows(Oid oid)
{
	Relation	table = table_open(oid, AccessShareLock);
	SysScanDesc scan = systable_beginscan(table, InvalidOid, false, GetActiveSnapshot(), 0, NULL);
	bool		found = HeapTupleIsValid(systable_getnext(scan));

	systable_endscan(scan);
	table_close(table, AccessShareLock);
	return found;
}

/*
 * Whether there may be nodes.  Only in dbperf.database one can look; elsewhere it
 * is known as soon as the poller has been there.
 */
static bool
may_have_nodes(void)
{
	Oid table;

	if (!dbperf_is_central())
		return OidIsValid(get_database_oid(dbperf_database, true));
	table = dbperf_own_table(NODES_TABLE);
	return OidIsValid(table) && has_rows(table);
}

/* Notes nodes of which nothing is known, since they are not asked. */
static void
note_not_asked(StringInfo unasked)
{
	uint64 rounds;
	int	   left_out;

	LWLockAcquire(CLUSTER_LOCK, LW_SHARED);
	rounds = dbperf_cluster->rounds_done;
	left_out = dbperf_cluster->left_out;
	LWLockRelease(CLUSTER_LOCK);
	if (rounds == 0 && may_have_nodes())
		appendStringInfoString(unasked, " The nodes were not asked since the server was started: "
										"see poll_nodes().");
	if (left_out > 0)
		appendStringInfo(unasked, " Nodes beyond dbperf.max_nodes are not asked: there are %d.",
						 left_out);
}

/* Compares those who were asked with the standbys that there are. */
static void
note_standbys(DbperfReplicas *replicas)
{
	const NodeFacts **asked = palloc(Max(replicas->num, 1) * sizeof(NodeFacts *));

	for (int i = 0; i < replicas->num; i++)
		asked[i] = replicas->replica[i].facts;
	dbperf_note_unasked_standbys(asked, replicas->num, &replicas->unasked);
}

/*
 * What is known now of the servers that replay this one's WAL, in the current
 * memory context.
 */
DbperfReplicas *
dbperf_replicas(void)
{
	DbperfReplicas *replicas = palloc0(sizeof(DbperfReplicas));

	initStringInfo(&replicas->unasked);
	if (RecoveryInProgress())
	{
		appendStringInfoString(&replicas->unasked,
							   " This is a standby: its primary and other standbys were not "
							   "asked.");
		return replicas;
	}
	if (dbperf_cluster != NULL)
	{
		sort_nodes(replicas);
		note_not_asked(&replicas->unasked);
	}
	note_standbys(replicas);
	return replicas;
}

/* ---- one index ---- */

/* How often a replica has scanned an index, or those of its partitions. */
static uint64
scans_on(const Replica *replica, const List *indexes)
{
	uint64	  scans = 0;
	ListCell *cell;

	foreach (cell, indexes)
	{
		Oid index = lfirst_oid(cell);
		int low = 0;
		int high = replica->facts->num_used;

		while (low < high)
		{
			int middle = low + (high - low) / 2;

			if (replica->used[middle].index < index)
				low = middle + 1;
			else
				high = middle;
		}
		if (low < replica->facts->num_used && replica->used[low].index == index)
			scans += replica->used[low].scans;
	}
	return scans;
}

/* A span of time for people. */
static char *
span(TimestampTz since)
{
	int64 minutes = (GetCurrentTimestamp() - since) / USECS_PER_MINUTE;

	if (minutes < 120)
		return psprintf(INT64_FORMAT " min", minutes);
	if (minutes < 48 * 60)
		return psprintf(INT64_FORMAT " hours", minutes / 60);
	return psprintf(INT64_FORMAT " days", minutes / (24 * 60));
}

/*
 * Notes what one replica says.
 */
static DbperfReplicaUse
one_replica(const Replica *replica, const List *indexes, TimestampTz unused_before,
			StringInfo evidence)
{
	const NodeFacts *facts = replica->facts;
	uint64			 scans = scans_on(replica, indexes);

	if (scans > 0)
	{
		appendStringInfo(evidence, " Node \"%s\" has scanned it " UINT64_FORMAT " times.",
						 facts->name, scans);
		return REPLICAS_USED;
	}
	if (!facts->used_is_complete && facts->num_used == 0)
	{
		appendStringInfo(evidence, " Node \"%s\" did not say which indexes it has scanned.",
						 facts->name);
		return REPLICAS_UNKNOWN;
	}
	if (!facts->used_is_complete)
	{
		appendStringInfo(evidence, " Node \"%s\" has too many indexes to tell of this one.",
						 facts->name);
		return REPLICAS_UNKNOWN;
	}
	if (facts->counting_since == 0)
	{
		appendStringInfo(evidence, " Node \"%s\" does not count scans.", facts->name);
		return REPLICAS_UNKNOWN;
	}
	appendStringInfo(evidence, " Node \"%s\" has not scanned it for %s", facts->name,
					 span(facts->counting_since));
	if (facts->counting_since > unused_before)
	{
		appendStringInfoString(evidence, ", which is not long enough.");
		return REPLICAS_UNKNOWN;
	}
	appendStringInfoChar(evidence, '.');
	return REPLICAS_UNUSED;
}

/*
 * Whether replicas use an index, or those of its partitions (OIDs); counters that
 * have counted only since later than unused_before prove nothing.  *evidence
 * becomes sentences, palloc'd, which name the nodes that were asked.
 */
DbperfReplicaUse
dbperf_replica_use(const DbperfReplicas *replicas, const List *indexes, TimestampTz unused_before,
				   char **evidence)
{
	StringInfoData	 out;
	DbperfReplicaUse result = REPLICAS_NONE;

	initStringInfo(&out);
	for (int i = 0; i < replicas->num; i++)
	{
		DbperfReplicaUse use = one_replica(&replicas->replica[i], indexes, unused_before, &out);

		if (result != REPLICAS_USED && (use != REPLICAS_UNUSED || result == REPLICAS_NONE))
			result = use;
	}
	appendStringInfoString(&out, replicas->unasked.data);
	if (replicas->unasked.len > 0 && result != REPLICAS_USED)
		result = REPLICAS_UNKNOWN;
	if (result == REPLICAS_NONE)
		appendStringInfoString(&out, " No other server was asked: none is known to replay this "
									 "one's WAL.");
	*evidence = out.data + 1;
	return result;
}
