/*-------------------------------------------------------------------------
 *
 * cluster.c
 *		Settings and start-up of the work on many servers.
 *
 * The nodes are rows of a table in dbperf.database.  Every
 * dbperf.node_poll_interval a worker goes there, asks all of them at once, and
 * leaves what they said in shared memory, which all views read.  So a node that
 * hangs costs nobody anything, and the table's database is in use for a moment
 * only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "cluster/cluster_int.h"
#include "commands/dbcommands.h"
#include "common/hashfn.h"
#include "core/launcher.h"
#include "miscadmin.h"
#include "utils/guc.h"

ClusterShared *dbperf_cluster = NULL;
LWLockPadded  *dbperf_cluster_locks = NULL;
int			   dbperf_max_nodes = 32;
int			   dbperf_node_timeout = 3000;
int			   dbperf_node_poll_interval = 60;
int			   dbperf_node_duty = -1;

static Size
cluster_size(void)
{
	return add_size(offsetof(ClusterShared, nodes), mul_size(dbperf_max_nodes, sizeof(NodeSlot)));
}

static void
cluster_attach(void *area, bool found)
{
	dbperf_cluster = area;
	if (found)
		return;

	/* pages of nodes that do not exist are never touched */
	memset(dbperf_cluster, 0, offsetof(ClusterShared, nodes));
	pg_atomic_init_u32(&dbperf_cluster->empty_in, 0);
	ConditionVariableInit(&dbperf_cluster->round_done);
	dbperf_cluster->max_nodes = dbperf_max_nodes;
}

/*
 * What stands for a database whose table of nodes is empty; never 0.
 */
uint32
dbperf_cluster_database_hash(const char *database)
{
	return string_hash(database, NAMEDATALEN) | 1;
}

/*
 * Whether a database is visited on schedule: that of the table, unless the table
 * is known to be empty.  In the launcher, which may hold its own lock.
 */
static bool
poll_wanted(const char *database)
{
	return strcmp(database, dbperf_database) == 0 &&
		   pg_atomic_read_u32(&dbperf_cluster->empty_in) != dbperf_cluster_database_hash(database);
}

/* Without nodes the launcher need not wake up. */
static int
poll_interval(void)
{
	return poll_wanted(dbperf_database) ? dbperf_node_poll_interval : 0;
}

/* Seconds that a round may take, of which a part is not the nodes'. */
static int
poll_time_limit(void)
{
	return dbperf_node_timeout / 1000 + 30;
}

/*
 * Asks for a round as soon as possible.  Returns false if dbperf.database does
 * not exist.  Inside a transaction.
 */
bool
dbperf_cluster_request(void)
{
	Oid database = get_database_oid(dbperf_database, true);

	if (!OidIsValid(database))
		return false;
	dbperf_duty_request(dbperf_node_duty, database, 0);
	return true;
}

/*
 * Define what needs a restart, which is possible only while the server starts.
 */
static void
define_size(void)
{
	DefineCustomIntVariable("dbperf.max_nodes", "Most nodes that the server can ask.",
							"Each takes about 330 kB of shared memory once it has answered.",
							&dbperf_max_nodes, 32, 1, 256, PGC_POSTMASTER, 0, NULL, NULL, NULL);
}

static void
define_settings(void)
{
	DefineCustomIntVariable(
		"dbperf.node_timeout", "Time in which a node must have answered all questions.",
		"Looking up its name and connecting are a part of it.", &dbperf_node_timeout, 3000, 100,
		60000, PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"dbperf.node_poll_interval", "Time between two rounds in which the nodes are asked.",
		"0 asks them only when poll_nodes() is called.", &dbperf_node_poll_interval, 60, 0, 86400,
		PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
}

/*
 * Called from _PG_init, preloaded or not.
 */
void
dbperf_cluster_init(void)
{
	static const DbperfShmemArea area = {
		.name = "dbperf cluster",
		.size = cluster_size,
		.attach = cluster_attach,
		.tranche = "DbperfCluster",
		.num_locks = 1,
		.locks = &dbperf_cluster_locks,
	};
	static const DbperfDuty duty = {
		.name = "dbperf node poller",
		.entry = "dbperf_node_poller_main",
		.interval = poll_interval,
		.wanted = poll_wanted,
		.time_limit = poll_time_limit,
	};

	define_settings();
	if (!process_shared_preload_libraries_in_progress)
		return;
	define_size();
	dbperf_shmem_register(&area);
	dbperf_node_duty = dbperf_duty_register(&duty);
	dbperf_cluster_metrics_init();
}
