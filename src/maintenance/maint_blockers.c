/*-------------------------------------------------------------------------
 *
 * maint_blockers.c
 *		Finds who keeps vacuum from removing dead rows.
 *
 * The server computes the horizon in ComputeXidHorizons() and says nothing of
 * who is behind it.  This looks at the same things in the same way: processes
 * (without those that vacuum or decode), prepared transactions, what standbys
 * report, and slots.
 *
 * The session that asks is left out: its own snapshot is gone when anybody can
 * act on the answer, and a vacuum does not count its own either.
 *
 * One thing is not in ComputeXidHorizons(): a transaction that has an xid and
 * belongs to another database does not count here, but each snapshot that is
 * taken here meanwhile is as old as it is.  Where such a snapshot holds the
 * horizon, the transaction behind it is said to hold it as well, since to end
 * the sessions of this database would be of no use.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/twophase.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "core/core.h"
#include "executor/spi.h"
#include "maintenance/maint_blockers.h"
#include "miscadmin.h"
#include "postmaster/bgworker_internals.h"
#include "replication/slot.h"
#include "replication/walreceiver.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

/* What is read of a process while the lock is held. */
typedef struct ProcessXids
{
	PGPROC		 *proc;
	int			  pid;
	int			  leader; /* of its parallel query, or itself */
	Oid			  database;
	Oid			  role;
	TransactionId xid;
	TransactionId xmin;
	bool		  all_horizons;
} ProcessXids;

/* ---- processes ---- */

/*
 * Copy what processes need, all at the same moment.  xids has room for
 * ProcGlobal->allProcCount; returns how many there are.  Places of processes
 * that are gone can be among them.
 */
static int
read_processes(ProcessXids *xids)
{
	int found = 0;

	LWLockAcquire(ProcArrayLock, LW_SHARED);
	for (uint32 i = 0; i < ProcGlobal->allProcCount; i++)
	{
		PGPROC		 *proc = &ProcGlobal->allProcs[i];
		PGPROC		 *leader = proc->lockGroupLeader;
		TransactionId xid = ((volatile PGPROC *) proc)->xid;
		TransactionId xmin = ((volatile PGPROC *) proc)->xmin;

		if (proc->pid == 0 || (!TransactionIdIsValid(xid) && !TransactionIdIsValid(xmin)))
			continue;
		if (proc == MyProc || leader == MyProc)
			continue;
		if (proc->statusFlags & (PROC_IN_VACUUM | PROC_IN_LOGICAL_DECODING))
			continue;

		xids[found++] = (ProcessXids){
			.proc = proc,
			.pid = proc->pid,
			.leader = leader != NULL ? leader->pid : proc->pid,
			.database = proc->databaseId,
			.role = proc->roleId,
			.xid = xid,
			.xmin = xmin,
			.all_horizons = (proc->statusFlags & PROC_AFFECTS_ALL_HORIZONS) != 0,
		};
	}
	LWLockRelease(ProcArrayLock);
	return found;
}

/* The entry of a process in what this transaction knows of all, or NULL. */
static const PgBackendStatus *
backend_status(int pid)
{
	int count = pgstat_fetch_stat_numbackends();

	for (int i = 1; i <= count; i++)
	{
		LocalPgBackendStatus *one = DBPERF_LOCAL_BACKEND(i);

		if (one != NULL && one->backendStatus.st_procpid == pid)
			return &one->backendStatus;
	}
	return NULL;
}

/* A state as pg_stat_activity has it. */
static const char *
state_name(BackendState state)
{
	switch (state)
	{
		case STATE_IDLE:
			return "idle";
		case STATE_RUNNING:
			return "active";
		case STATE_IDLEINTRANSACTION:
			return "idle in transaction";
		case STATE_FASTPATH:
			return "fastpath function call";
		case STATE_IDLEINTRANSACTION_ABORTED:
			return "idle in transaction (aborted)";
		default:
			return NULL;
	}
}

/* Say what a process is and does. */
static void
describe_process(MaintBlocker *blocker)
{
	const PgBackendStatus *status = backend_status(blocker->pid);

	if (status == NULL)
		return;
	blocker->role = status->st_userid;
	blocker->state = state_name(status->st_state);
	if (blocker->kind == BLOCKER_STANDBY)
	{
		/* when its oldest snapshot was taken is known to the standby only */
		blocker->name = pstrdup(status->st_appname);
		return;
	}
	blocker->idle = status->st_state == STATE_IDLEINTRANSACTION ||
					status->st_state == STATE_IDLEINTRANSACTION_ABORTED;
	blocker->since = status->st_xact_start_timestamp;
	if (blocker->idle)
		blocker->idle_since = status->st_state_start_timestamp;
	if (status->st_backendType == B_BG_WORKER)
	{
		const char *type = GetBackgroundWorkerTypeByPid(blocker->pid);

		blocker->name = pstrdup(type != NULL ? type : "background worker");
	}
	else if (status->st_backendType != B_BACKEND)
		blocker->name = GetBackendTypeDesc(status->st_backendType);
}

/* Note an xid that a blocker needs, unless it needs an older one. */
static void
note_xid(MaintBlocker *blocker, TransactionId xid, const char *source)
{
	if (!TransactionIdIsValid(xid))
		return;
	if (TransactionIdIsValid(blocker->xid) && !TransactionIdPrecedes(xid, blocker->xid))
		return;
	blocker->xid = xid;
	blocker->source = source;
}

/* What a process affects, as ComputeXidHorizons() has it. */
static MaintAffects
process_affects(const ProcessXids *process)
{
	if (RecoveryInProgress())
		return hot_standby_feedback ? AFFECTS_PRIMARY : AFFECTS_REPLAY;
	if (process->all_horizons)
		return AFFECTS_ALL;
	if (process->database == MyDatabaseId || !OidIsValid(MyDatabaseId))
		return AFFECTS_DATABASE;
	return TransactionIdIsValid(process->xid) ? AFFECTS_SNAPSHOTS : AFFECTS_SHARED;
}

/* The blocker of a process that is in the list already, or NULL. */
static MaintBlocker *
blocker_of(List *blockers, int pid)
{
	ListCell *lc;

	foreach (lc, blockers)
	{
		MaintBlocker *one = lfirst(lc);

		if (one->pid == pid)
			return one;
	}
	return NULL;
}

/*
 * Add the processes.  Those of a parallel query are one: their leader.
 */
static List *
add_processes(List *blockers)
{
	ProcessXids *processes = palloc(sizeof(ProcessXids) * ProcGlobal->allProcCount);
	int			 count = read_processes(processes);

	for (int i = 0; i < count; i++)
	{
		ProcessXids	 *process = &processes[i];
		MaintBlocker *blocker;

		/* the place of one that is gone keeps what was in it */
		if (BackendPidGetProc(process->pid) != process->proc)
			continue;

		blocker = blocker_of(blockers, process->leader);
		if (blocker == NULL)
		{
			blocker = palloc0(sizeof(MaintBlocker));
			blocker->kind = process->all_horizons ? BLOCKER_STANDBY : BLOCKER_PROCESS;
			blocker->pid = process->leader;
			blocker->database = process->database;
			blocker->role = process->role;
			blocker->affects = process_affects(process);
			describe_process(blocker);
			blockers = lappend(blockers, blocker);
		}
		if (TransactionIdIsValid(process->xid))
			blocker->own_xid = process->xid;
		note_xid(blocker, process->xid, "xid");
		note_xid(blocker, process->xmin, "xmin");
	}
	pfree(processes);
	return blockers;
}

/* ---- slots ---- */

/* Add what a slot needs, if it is valid. */
static List *
add_slot_xid(List *blockers, const MaintBlocker *slot, TransactionId xid, bool catalogs)
{
	MaintBlocker *blocker;

	if (!TransactionIdIsValid(xid))
		return blockers;
	blocker = palloc(sizeof(MaintBlocker));
	*blocker = *slot;
	blocker->xid = xid;
	blocker->source = catalogs ? "catalog_xmin" : "xmin";
	blocker->affects = catalogs ? AFFECTS_CATALOGS : AFFECTS_ALL;
	if (RecoveryInProgress())
		blocker->affects = AFFECTS_PRIMARY;
	blocker->since = dbperf_maint_xid_time(xid);
	return lappend(blockers, blocker);
}

/*
 * Add the slots: their xmin and their catalog_xmin each by itself, since the
 * one affects all tables and the other the catalogs.
 */
static List *
add_slots(List *blockers)
{
	for (int i = 0; i < max_replication_slots; i++)
	{
		ReplicationSlot *slot = &ReplicationSlotCtl->replication_slots[i];
		MaintBlocker	 blocker = {.kind = BLOCKER_SLOT};
		NameData		 name;
		TransactionId	 xmin = InvalidTransactionId;
		TransactionId	 catalog_xmin = InvalidTransactionId;

		LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
		if (slot->in_use)
		{
			bool invalidated;

			SpinLockAcquire(&slot->mutex);
			name = slot->data.name;
			blocker.pid = slot->active_pid;
			blocker.database = slot->data.database;
			xmin = slot->effective_xmin;
			catalog_xmin = slot->effective_catalog_xmin;
			invalidated = DBPERF_SLOT_INVALIDATED(slot);
			SpinLockRelease(&slot->mutex);
			if (invalidated)
				xmin = catalog_xmin = InvalidTransactionId;
		}
		LWLockRelease(ReplicationSlotControlLock);

		if (!TransactionIdIsValid(xmin) && !TransactionIdIsValid(catalog_xmin))
			continue;
		blocker.name = pstrdup(NameStr(name));
		blocker.state = blocker.pid != 0 ? "in use" : "not in use";
		blockers = add_slot_xid(blockers, &blocker, xmin, false);
		blockers = add_slot_xid(blockers, &blocker, catalog_xmin, true);
	}
	return blockers;
}

/* ---- prepared transactions ---- */

/* A value of the row that was read last. */
static Datum
prepared_value(uint64 row, int column)
{
	bool isnull;

	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);
}

/* What a prepared transaction affects: it always has an xid. */
static MaintAffects
prepared_affects(Oid database)
{
	if (RecoveryInProgress())
		return hot_standby_feedback ? AFFECTS_PRIMARY : AFFECTS_REPLAY;
	return database == MyDatabaseId ? AFFECTS_DATABASE : AFFECTS_SNAPSHOTS;
}

/* Add a row of pg_prepared_xact(). */
static List *
add_prepared_row(List *blockers, uint64 row)
{
	MaintBlocker *blocker = palloc0(sizeof(MaintBlocker));

	blocker->kind = BLOCKER_PREPARED;
	blocker->own_xid = DatumGetTransactionId(prepared_value(row, 1));
	blocker->name = TextDatumGetCString(prepared_value(row, 2));
	blocker->since = DatumGetTimestampTz(prepared_value(row, 3));
	blocker->role = DatumGetObjectId(prepared_value(row, 4));
	blocker->database = DatumGetObjectId(prepared_value(row, 5));
	blocker->state = "prepared";
	blocker->affects = prepared_affects(blocker->database);
	note_xid(blocker, blocker->own_xid, "xid");
	return lappend(blockers, blocker);
}

/*
 * Add the prepared transactions.  Only SQL tells them; the statement is run as
 * the superuser that the cluster was made with, and everything in it is the
 * server's own.
 */
static List *
add_prepared(List *blockers)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext spi_context;
	Oid			  role;
	int			  security;
	int			  guc_level;

	if (max_prepared_xacts == 0 || !OidIsValid(MyDatabaseId))
		return blockers;

	GetUserIdAndSecContext(&role, &security);
	guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID,
						   security | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute("SELECT transaction, gid, prepared, ownerid, dbid"
					" FROM pg_catalog.pg_prepared_xact()",
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the prepared transactions");

	spi_context = MemoryContextSwitchTo(context);
	for (uint64 i = 0; i < SPI_processed; i++)
		blockers = add_prepared_row(blockers, i);
	MemoryContextSwitchTo(spi_context);

	SPI_finish();
	SetUserIdAndSecContext(role, security);
	AtEOXact_GUC(true, guc_level);
	return blockers;
}

/* ---- all of them ---- */

/*
 * Add vacuum_defer_cleanup_age, by which every horizon is older than it would
 * have to be.  16 has no such setting any more.
 */
static List *
add_setting(List *blockers)
{
	const char	 *value = GetConfigOption("vacuum_defer_cleanup_age", true, false);
	int			  age = value != NULL ? atoi(value) : 0;
	uint64		  next;
	MaintBlocker *blocker;

	if (age <= 0 || RecoveryInProgress())
		return blockers;

	blocker = palloc0(sizeof(MaintBlocker));
	blocker->kind = BLOCKER_SETTING;
	blocker->name = "vacuum_defer_cleanup_age";
	blocker->state = pstrdup(value);
	blocker->affects = AFFECTS_ALL;
	next = U64FromFullTransactionId(ReadNextFullTransactionId());
	next = next > (uint64) age + FirstNormalTransactionId ? next - age : FirstNormalTransactionId;
	note_xid(blocker, Max((TransactionId) next, FirstNormalTransactionId), "xmin");
	return lappend(blockers, blocker);
}

/* Whether the server counts this one when it computes a horizon. */
static bool
counts_for(const MaintBlocker *blocker, MaintHorizon horizon)
{
	switch (blocker->affects)
	{
		case AFFECTS_DATABASE:
		case AFFECTS_ALL:
			return true;
		case AFFECTS_PRIMARY:
		case AFFECTS_REPLAY:
			return blocker->kind != BLOCKER_SLOT;
		case AFFECTS_CATALOGS:
			return horizon != HORIZON_TABLES;
		case AFFECTS_SNAPSHOTS:
		case AFFECTS_SHARED:
			return horizon == HORIZON_SHARED;
	}
	return false;
}

/* Mark who holds a horizon.  Returns the oldest xid that counts, if any does. */
static TransactionId
mark_holders(List *blockers, MaintHorizon horizon)
{
	TransactionId oldest = InvalidTransactionId;
	ListCell	 *lc;

	foreach (lc, blockers)
	{
		MaintBlocker *one = lfirst(lc);

		if (counts_for(one, horizon))
			oldest = TransactionIdOlder(oldest, one->xid);
	}
	if (!TransactionIdIsValid(oldest))
		return oldest;
	foreach (lc, blockers)
	{
		MaintBlocker *one = lfirst(lc);

		one->holds = (counts_for(one, horizon) && one->xid == oldest) ||
					 (one->affects == AFFECTS_SNAPSHOTS && one->own_xid == oldest);
	}
	return oldest;
}

/* By age, oldest first; of the same age the one that others took theirs from. */
static int
compare_blockers(const ListCell *a, const ListCell *b)
{
	const MaintBlocker *left = lfirst(a);
	const MaintBlocker *right = lfirst(b);
	bool				left_owns = left->own_xid == left->xid;
	bool				right_owns = right->own_xid == right->xid;

	if (left->xid != right->xid)
		return TransactionIdPrecedes(left->xid, right->xid) ? -1 : 1;
	if (left_owns != right_owns)
		return left_owns ? -1 : 1;
	if (left->since != right->since)
		return left->since < right->since ? -1 : 1;
	return left->pid < right->pid ? -1 : 1;
}

/*
 * Everybody but this session who needs old row versions, as a list of
 * MaintBlocker, oldest first, with those marked that hold the horizon; *oldest
 * is that, invalid if nobody counts for it.  Must run in a transaction with a
 * snapshot; in a process without a database prepared transactions are missing.
 */
List *
dbperf_maint_blockers(MaintHorizon horizon, TransactionId *oldest)
{
	List *blockers = NIL;

	blockers = add_processes(blockers);
	blockers = add_slots(blockers);
	blockers = add_prepared(blockers);
	blockers = add_setting(blockers);
	*oldest = mark_holders(blockers, horizon);
	list_sort(blockers, compare_blockers);
	return blockers;
}
