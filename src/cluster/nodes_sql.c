/*-------------------------------------------------------------------------
 *
 * nodes_sql.c
 *		SQL functions that add nodes, remove them, and have them asked.
 *
 * A node is reached with the user mapping of the role that its row names.  So
 * only a superuser can name another one than himself, by whatever way a row gets
 * into the table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "cluster/cluster_int.h"
#include "commands/trigger.h"
#include "core/launcher.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#define MORE_CHANGES 500  /* ms from a change to a round: others may follow */
#define ROUND_MARGIN 1000 /* ms that a round may take beside the nodes' time */

PG_FUNCTION_INFO_V1(dbperf_add_node);
PG_FUNCTION_INFO_V1(dbperf_remove_node);
PG_FUNCTION_INFO_V1(dbperf_nodes_check);
PG_FUNCTION_INFO_V1(dbperf_poll_nodes);

/* The database whose nodes this session's transaction has changed. */
static Oid touched = InvalidOid;

/* ---- hearing of changes ---- */

/*
 * The end of a transaction that has changed the nodes.  After it has committed an
 * error would stop the server: there is none in asking for a visit.
 */
static void
touched_callback(XactEvent event, void *arg)
{
	Oid database = touched;

	if (!OidIsValid(database))
		return;
	switch (event)
	{
		case XACT_EVENT_PRE_PREPARE:
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("cannot PREPARE a transaction that has changed dbperf.nodes"),
							errdetail("Nobody would hear of it when it is committed.")));
			break;
		case XACT_EVENT_COMMIT:
			touched = InvalidOid;
			dbperf_duty_request(dbperf_node_duty, database, MORE_CHANGES);
			break;
		case XACT_EVENT_ABORT:
			touched = InvalidOid;
			break;
		default:
			break;
	}
}

/* The current transaction changes the nodes. */
static void
nodes_touched(void)
{
	static bool registered = false;

	if (dbperf_cluster == NULL)
		return;
	if (!registered)
		RegisterXactCallback(touched_callback, NULL);
	registered = true;
	touched = MyDatabaseId;
}

/* ---- changing nodes ---- */

/*
 * nodes_check() returns trigger
 */
Datum
dbperf_nodes_check(PG_FUNCTION_ARGS)
{
	HeapTuple		 row = dbperf_central_row(fcinfo, NODES_TABLE, "nodes", nodes_touched);
	Relation		 relation = ((TriggerData *) fcinfo->context)->tg_relation;
	NodeRow			 node;
	DbperfRowProblem problem;

	if (row == NULL)
		return PointerGetDatum(NULL);
	if (!dbperf_node_row(row, RelationGetDescr(relation), &node, &problem))
		dbperf_central_refuse(&problem);
	if (!superuser() && strcmp(node.role, GetUserNameFromId(GetUserId(), false)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to add a node for role \"%s\"", node.role),
				 errdetail("Only superusers can have a node reached with another role's user "
						   "mapping.")));
	dbperf_central_limit(relation, "nodes",
						 dbperf_cluster != NULL ? dbperf_cluster->max_nodes : dbperf_max_nodes);
	return PointerGetDatum(NULL);
}

/*
 * Runs a statement with texts as its parameters, with the rights of the table's
 * owner.  Returns how many rows it was about.
 */
static uint64
run_as_owner(const char *sql, int num, char *const *texts)
{
	Oid	   types[3];
	Datum  values[3];
	Oid	   role;
	int	   security;
	uint64 rows;

	Assert(num <= 3);
	for (int i = 0; i < num; i++)
	{
		types[i] = TEXTOID;
		values[i] = CStringGetTextDatum(texts[i]);
	}
	GetUserIdAndSecContext(&role, &security);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID,
						   security | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute_with_args(sql, num, types, values, NULL, false, 0) < 0)
		elog(ERROR, "could not execute \"%s\"", sql);
	rows = SPI_processed;
	SPI_finish();
	SetUserIdAndSecContext(role, security);
	return rows;
}

/* An argument that must be there. */
static char *
text_argument(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("argument \"%s\" must not be null", name)));
	return text_to_cstring(PG_GETARG_TEXT_PP(n));
}

/*
 * add_node(name text, server text) returns void: the caller's user mapping is
 * used.  What can be found out now is an error now.
 */
Datum
dbperf_add_node(PG_FUNCTION_ARGS)
{
	NodeRow			 node;
	NodeOptions		 options;
	DbperfRowProblem problem;

	dbperf_require_shmem();
	node.name = text_argument(fcinfo, 0, "name");
	node.server = text_argument(fcinfo, 1, "server");
	node.role = GetUserNameFromId(GetUserId(), false);
	if (dbperf_is_central() && !dbperf_node_options(&node, &options, &problem))
		dbperf_central_refuse(&problem);
	(void) run_as_owner("INSERT INTO dbperf.nodes (name, server_name, role_name)"
						" VALUES ($1, $2, $3)",
						3, (char *const[]){node.name, node.server, node.role});
	PG_RETURN_VOID();
}

/*
 * remove_node(name text) returns bool: whether there was one.  The caller's own,
 * or anybody's for superusers.
 */
Datum
dbperf_remove_node(PG_FUNCTION_ARGS)
{
	char  *name = text_argument(fcinfo, 0, "name");
	char  *role = GetUserNameFromId(GetUserId(), false);
	uint64 rows;

	if (superuser())
		rows = run_as_owner("DELETE FROM dbperf.nodes WHERE name OPERATOR(pg_catalog.=) $1", 1,
							(char *const[]){name});
	else
		rows = run_as_owner("DELETE FROM dbperf.nodes WHERE name OPERATOR(pg_catalog.=) $1"
							" AND role_name OPERATOR(pg_catalog.=) $2",
							2, (char *const[]){name, role});
	PG_RETURN_BOOL(rows > 0);
}

/* ---- asking now ---- */

static uint64
rounds_done(uint64 *begun)
{
	uint64 done;

	LWLockAcquire(CLUSTER_LOCK, LW_SHARED);
	done = dbperf_cluster->rounds_done;
	*begun = dbperf_cluster->rounds_begun;
	LWLockRelease(CLUSTER_LOCK);
	return done;
}

/*
 * poll_nodes() returns bool: whether a round that began after the call is done.
 */
Datum
dbperf_poll_nodes(PG_FUNCTION_ARGS)
{
	TimestampTz end;
	uint64		before;
	uint64		begun;
	int			rounds;
	bool		fresh = false;

	dbperf_require_shmem();
	if (RecoveryInProgress())
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("recovery is in progress"),
						errhint("A standby does not ask nodes; its primary does.")));
	rounds = rounds_done(&before) < before ? 2 : 1; /* one is on, and another follows */
	if (!dbperf_cluster_request())
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_DATABASE),
						errmsg("database \"%s\" does not exist", dbperf_database),
						errhint("Setting dbperf.database says where the nodes are kept.")));

	end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
									  rounds * dbperf_node_timeout + ROUND_MARGIN);
	ConditionVariablePrepareToSleep(&dbperf_cluster->round_done);
	while (!(fresh = rounds_done(&begun) > before))
	{
		long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);

		if (left <= 0)
			break;
		(void) ConditionVariableTimedSleep(&dbperf_cluster->round_done, left, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
	PG_RETURN_BOOL(fresh);
}
