/*-------------------------------------------------------------------------
 *
 * node_poll.c
 *		The worker that asks all nodes, once a round, and ends.
 *
 * It reads the table of nodes, looks up their names, connects to all of them and
 * asks them everything, all at once and without blocking, until everybody has
 * answered or dbperf.node_timeout is over.  What it has heard by then goes to
 * shared memory; whoever has not said what it is by then counts as not reached.
 * Connections are not kept: a node sees one session for a moment.
 *
 * A node may be hostile.  What it can make this process allocate is limited, and
 * what it says is checked in node_answers.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/resource.h>

#include "access/genam.h"
#include "access/table.h"
#include "access/xlog.h"
#include "cluster/node_round.h"
#include "core/launcher.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#define MAX_MEMORY (256 * 1024 * 1024) /* bytes more than at the start */

PGDLLEXPORT void dbperf_node_poller_main(Datum arg);

typedef struct Round
{
	uint64	  number;
	bool	  here; /* this is dbperf.database */
	int		  num;
	int		  left_out; /* rows for which there is no room */
	NodeTalk *talks;
} Round;

/* ---- what nodes there are ---- */

static int
compare_talks(const void *a, const void *b)
{
	return strcmp(((const NodeTalk *) a)->row.name, ((const NodeTalk *) b)->row.name);
}

/* Makes a node of a row. */
static void
add_row(Round *round, HeapTuple row, TupleDesc desc)
{
	NodeTalk		*node = &round->talks[round->num];
	DbperfRowProblem problem;

	if (!dbperf_node_row(row, desc, &node->row, &problem))
	{
		if (node->row.name == NULL || strlen(node->row.name) >= NAMEDATALEN)
			return;
		dbperf_node_fail(node, problem.message);
	}
	else if (!dbperf_node_options(&node->row, &node->options, &problem))
		dbperf_node_fail(node, problem.message);
	node->answers.encoding = GetDatabaseEncoding();
	node->slot = palloc(sizeof(NodeSlot));
	memset(&node->slot->facts, 0, sizeof(NodeFacts));
	node->slot->facts.options = dbperf_node_options_hash(&node->row, &node->options);
	round->num++;
}

/* A transaction's task: reads the table.  Without it there are no nodes. */
static void
read_nodes(void *arg)
{
	Round	   *round = arg;
	Oid			oid = dbperf_own_table(NODES_TABLE);
	Relation	table;
	SysScanDesc scan;
	HeapTuple	row;

	round->here = dbperf_is_central();
	if (!round->here || !OidIsValid(oid))
		return;
	MemoryContextSwitchTo(TopMemoryContext);
	table = table_open(oid, AccessShareLock);
	scan = systable_beginscan(table, InvalidOid, false, GetActiveSnapshot(), 0, NULL);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		if (round->num < dbperf_cluster->max_nodes)
			add_row(round, row, RelationGetDescr(table));
		else
			round->left_out++;
	}
	systable_endscan(scan);
	table_close(table, AccessShareLock);
	qsort(round->talks, round->num, sizeof(NodeTalk), compare_talks);
}

/* ---- all nodes ---- */

/* Sleeps until some node can go on, the latch is set, or the time is over. */
static void
sleep_for_any(Round *round, long ms)
{
	WaitEventSet *set = DBPERF_CREATE_WAIT_EVENT_SET(round->num + 2);
	WaitEvent	  event = {0};

	AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	for (int i = 0; i < round->num; i++)
	{
		NodeTalk *node = &round->talks[i];

		if (node->lookup.pid != 0)
			AddWaitEventToSet(set, WL_SOCKET_READABLE, node->lookup.fd, NULL, NULL);
		else if (dbperf_talk_busy(&node->talk))
			dbperf_talk_add_events(&node->talk, set);
	}
	(void) WaitEventSetWait(set, ms, &event, 1, PG_WAIT_EXTENSION);
	FreeWaitEventSet(set);
	ResetLatch(MyLatch);
}

/* Asks everybody everything, until the time is over. */
static void
ask_all(Round *round)
{
	TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), dbperf_node_timeout);

	for (int i = 0; i < round->num; i++)
	{
		round->talks[i].slot->facts.asked = GetCurrentTimestamp();
		dbperf_node_begin(&round->talks[i]);
	}
	for (;;)
	{
		long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);
		bool busy = false;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < round->num; i++)
		{
			dbperf_node_advance(&round->talks[i]);
			busy |= !round->talks[i].done;
		}
		if (!busy || left == 0)
			break;
		sleep_for_any(round, left);
	}
}

/* ---- what is kept ---- */

/* Notes why parts were not answered, and what ended the conversation before that. */
static void
note_problems(NodeTalk *node)
{
	NodeFacts *facts = &node->slot->facts;

	for (int i = 0; i < NODE_PARTS; i++)
	{
		const char *problem = node->problems[i];

		if (problem[0] == '\0' && node->answers.parts[i] == NULL)
			problem = node->error;
		dbperf_put_text(facts->parts[i].problem, sizeof(facts->parts[i].problem), problem,
						node->answers.encoding);
	}
	dbperf_put_text(facts->error, sizeof(facts->error), node->error, node->answers.encoding);
}

/*
 * Whether a node is reached: it has said what it is.  Notes that and all else that
 * it has said; of the rest, why not.
 */
static bool
take_over(NodeTalk *node)
{
	NodeFacts *facts = &node->slot->facts;

	if (node->error[0] == '\0' && !node->done)
		snprintf(node->error, sizeof(node->error), "%s within %d ms",
				 node->lookup.pid != 0			 ? "the host's name could not be looked up"
				 : node->question == ASK_NOTHING ? "no connection"
												 : "no answer",
				 dbperf_node_timeout);
	if (!dbperf_take_identity(node->identity, node->answers.encoding, node->heard, facts))
	{
		if (node->error[0] == '\0')
			strlcpy(node->error, "the answer cannot be read", sizeof(node->error));
		return false;
	}
	if (node->is_replica && !dbperf_take_usage(node->usage, node->slot))
	{
		facts->num_used = 0;
		facts->used_is_complete = false;
	}
	note_problems(node);
	dbperf_keep_answers(node->slot, &node->answers);
	return true;
}

/* The node of the last round that is reached in the same way, NULL = none. */
static const NodeFacts *
facts_before(const NodeFacts *facts)
{
	for (int i = 0; i < dbperf_cluster->num_nodes; i++)
	{
		const NodeFacts *before = &dbperf_cluster->nodes[i].facts;

		if (strcmp(before->name, facts->name) == 0 && before->options == facts->options)
			return before;
	}
	return NULL;
}

/*
 * Fills what is kept of a node.  Only this process writes to shared memory, so it
 * may read there without a lock.
 */
static void
fill_slot(NodeTalk *node)
{
	NodeFacts		*facts = &node->slot->facts;
	const NodeFacts *before;
	TimestampTz		 asked = facts->asked;

	strlcpy(facts->name, node->row.name, NAMEDATALEN);
	strlcpy(facts->server, node->row.server != NULL ? node->row.server : "", NAMEDATALEN);
	strlcpy(facts->role, node->row.role != NULL ? node->row.role : "", NAMEDATALEN);
	before = facts_before(facts);
	if (take_over(node))
	{
		facts->state = NODE_REACHED;
		facts->answered = GetCurrentTimestamp();
	}
	else
	{
		/* what it was is remembered, but not what it said */
		if (before != NULL)
			memcpy(facts, before, sizeof(NodeFacts));
		memset(facts->parts, 0, sizeof(facts->parts));
		facts->num_used = 0;
		facts->used_is_complete = false;
		facts->state = NODE_UNREACHED;
		facts->asked = asked;
		dbperf_put_text(facts->error, sizeof(facts->error), node->error, node->answers.encoding);
		if (before == NULL || before->state != NODE_UNREACHED)
			ereport(LOG, (errmsg("node \"%s\" cannot be reached", facts->name),
						  errdetail("%s", facts->error)));
	}
}

/* A transaction's task: makes of all that was heard what is kept. */
static void
fill_slots(void *arg)
{
	Round *round = arg;

	for (int i = 0; i < round->num; i++)
		fill_slot(&round->talks[i]);
	if (round->left_out > 0 && round->left_out != dbperf_cluster->left_out)
		ereport(LOG,
				(errmsg("%d nodes are not asked", round->left_out),
				 errdetail("There are more than dbperf.max_nodes (%d).", dbperf_cluster->max_nodes),
				 errhint("Remove nodes, or raise dbperf.max_nodes and restart the server.")));
}

/* Publishes the round. */
static void
publish(const Round *round)
{
	LWLockAcquire(CLUSTER_LOCK, LW_EXCLUSIVE);
	for (int i = 0; i < round->num; i++)
	{
		const NodeSlot *from = round->talks[i].slot;
		NodeSlot	   *to = &dbperf_cluster->nodes[i];
		int				bytes = 0;

		for (int part = 0; part < NODE_PARTS; part++)
			bytes = Max(bytes, from->facts.parts[part].start + from->facts.parts[part].len);
		memcpy(&to->facts, &from->facts, sizeof(NodeFacts));
		memcpy(to->used, from->used, from->facts.num_used * sizeof(NodeIndexUse));
		memcpy(to->data, from->data, bytes);
	}
	dbperf_cluster->num_nodes = round->num;
	dbperf_cluster->left_out = round->left_out;
	dbperf_cluster->encoding = GetDatabaseEncoding();
	dbperf_cluster->rounds_done = round->number;
	LWLockRelease(CLUSTER_LOCK);
	pg_atomic_write_u32(&dbperf_cluster->empty_in,
						round->num > 0 ? 0 : dbperf_cluster_database_hash(dbperf_database));
	ConditionVariableBroadcast(&dbperf_cluster->round_done);
}

/* ---- the worker ---- */

/*
 * Ends the look-ups that nobody waits for any more.  A child that outlives this
 * process is somebody else's to reap, in a container the postmaster's: that takes
 * an unknown process which was killed for a backend that crashed.
 */
static void
end_lookups(int code, Datum arg)
{
	Round *round = (Round *) DatumGetPointer(arg);

	(void) code;
	for (int i = 0; i < round->num; i++)
		dbperf_lookup_end(&round->talks[i].lookup);
}

/*
 * Lets this process get no more memory than it needs: libpq makes room for a
 * message as long as the other side says that it is.
 */
static void
limit_memory(void)
{
	FILE		 *statm = fopen("/proc/self/statm", "r");
	unsigned long data;
	struct rlimit limit;

	if (statm == NULL)
		return;
	if (fscanf(statm, "%*u %*u %*u %*u %*u %lu", &data) == 1 && getrlimit(RLIMIT_DATA, &limit) == 0)
	{
		rlim_t wanted = (rlim_t) data * sysconf(_SC_PAGESIZE) + MAX_MEMORY;

		if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > wanted)
			limit.rlim_cur = wanted;
		(void) setrlimit(RLIMIT_DATA, &limit);
	}
	(void) fclose(statm);
}

/* The number of the round that begins. */
static uint64
begin_round(void)
{
	uint64 number;

	LWLockAcquire(CLUSTER_LOCK, LW_EXCLUSIVE);
	number = ++dbperf_cluster->rounds_begun;
	LWLockRelease(CLUSTER_LOCK);
	return number;
}

/*
 * Entry of the worker.
 */
void
dbperf_node_poller_main(Datum arg)
{
	static Round round = {0}; /* outlasts this function, for what is done at the exit */

	(void) arg;

	dbperf_duty_begin(dbperf_node_duty);
	limit_memory();
	dbperf_forget_environment();
	MemoryContextSwitchTo(TopMemoryContext);
	round.number = begin_round();
	round.talks = palloc0(dbperf_cluster->max_nodes * sizeof(NodeTalk));
	before_shmem_exit(end_lookups, PointerGetDatum(&round));
	if (!dbperf_worker_transaction("reading the nodes", read_nodes, &round))
		proc_exit(1);
	if (!round.here)
		dbperf_duty_done(-1); /* the setting has changed since */
	pgstat_report_activity(STATE_RUNNING, "asking the nodes");
	ask_all(&round);
	if (!dbperf_worker_transaction("keeping what the nodes said", fill_slots, &round))
		proc_exit(1);
	publish(&round);
	dbperf_duty_done(-1);
}
