/*-------------------------------------------------------------------------
 *
 * backend_slot.c
 *		What each process publishes about the statement that it runs.
 *
 * A statement that hangs, or that will be cancelled, is worth seeing while it
 * runs.  So every process has a slot in shared memory that only it writes;
 * the wait sampler and dbperf.running_queries read the slots without any lock.
 * The protocol stands at struct BackendSlot.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "monitor/monitor_int.h"
#include "storage/ipc.h"
#include "storage/s_lock.h"

#define READ_RETRIES 100

BackendSlot *dbperf_backend_slots = NULL;
int			 dbperf_num_backend_slots = 0;
BackendSlot *dbperf_my_slot = NULL;

static Size
slots_size(void)
{
	return mul_size(MaxBackends, sizeof(BackendSlot));
}

static void
slots_attach(void *area, bool found)
{
	dbperf_backend_slots = area;
	dbperf_num_backend_slots = MaxBackends;
	dbperf_my_slot = NULL;
	if (found)
		return;

	memset(area, 0, slots_size());
	for (int i = 0; i < dbperf_num_backend_slots; i++)
	{
		BackendSlot *slot = &dbperf_backend_slots[i];

		pg_atomic_init_u64(&slot->statement, 0);
		pg_atomic_init_u32(&slot->change, 0);
		pg_atomic_init_u64(&slot->sampled_statement, 0);
	}
}

/*
 * Register the shared memory.  Called once, from the monitor's init function.
 */
void
dbperf_backend_slot_init(void)
{
	static const DbperfShmemArea area = {
		.name = "dbperf backend slots",
		.size = slots_size,
		.attach = slots_attach,
	};

	dbperf_shmem_register(&area);
}

/* Make the statement counter even: no statement runs. */
static void
slot_end_statement(BackendSlot *slot)
{
	uint64 statement = pg_atomic_read_u64(&slot->statement);

	if (statement % 2 == 1)
		pg_atomic_write_u64(&slot->statement, statement + 1);
}

/*
 * Leave the slot.  Runs after the last transaction was aborted, whose
 * callbacks still use the slot, and before another process can get its place.
 */
static void
slot_exit(int code, Datum arg)
{
	BackendSlot *slot = dbperf_my_slot;

	(void) code;
	(void) arg;

	if (slot == NULL)
		return;
	dbperf_my_slot = NULL;

	slot_end_statement(slot);
	dbperf_slot_begin_change(slot);
	slot->pid = 0;
	slot->plan_len = 0;
	dbperf_slot_end_change(slot);
}

/*
 * Make dbperf_my_slot point to this process's slot.  It stays NULL without
 * shared memory and in processes that are no backends.  May be called again.
 */
void
dbperf_backend_slot_claim(void)
{
	BackendSlot *slot;
	int			 n;

	if (dbperf_my_slot != NULL || dbperf_backend_slots == NULL || MyProc == NULL)
		return;
	n = DBPERF_MY_PROC_NUMBER;
	if (n < 0 || n >= dbperf_num_backend_slots)
		return;

	/* first what can fail */
	on_shmem_exit(slot_exit, (Datum) 0);

	slot = &dbperf_backend_slots[n];
	slot_end_statement(slot);
	dbperf_slot_begin_change(slot);
	slot->pid = MyProcPid;
	slot->queryid = 0;
	slot->started_at = 0;
	slot->plan_statement = 0;
	slot->plan_len = 0;
	dbperf_slot_end_change(slot);
	dbperf_my_slot = slot;
}

/*
 * Show the plan of the statement that runs now.  plan is in the database's
 * encoding and is cut at RUNNING_PLAN_SIZE bytes.  Raises no error.
 */
void
dbperf_publish_plan(const char *plan, int len, uint64 queryid, TimestampTz started_at)
{
	BackendSlot *slot = dbperf_my_slot;

	if (slot == NULL)
		return;
	len = dbperf_clip(plan, len, RUNNING_PLAN_SIZE, GetDatabaseEncoding());

	dbperf_slot_begin_change(slot);
	memcpy(slot->plan, plan, len);
	slot->plan_len = len;
	slot->queryid = queryid;
	slot->started_at = started_at;
	slot->plan_statement = pg_atomic_read_u64(&slot->statement) | 1;
	dbperf_slot_end_change(slot);
}

/*
 * One try at copying the owner's group.  Returns false if the owner changed it
 * meanwhile, and then the copy is of no use.
 */
static bool
slot_copy(BackendSlot *slot, uint64 statement, BackendSlotView *view, char *plan)
{
	uint32 change = pg_atomic_read_u32(&slot->change);

	if (change % 2 == 1)
		return false;
	pg_read_barrier();

	memset(view, 0, sizeof(*view));
	view->pid = slot->pid;
	if (plan != NULL && slot->plan_statement == statement)
	{
		int32 len = *(volatile int32 *) &slot->plan_len;

		/* it may change under us, so it is checked where it is used */
		if (len < 0 || len > RUNNING_PLAN_SIZE)
			return false;
		memcpy(plan, slot->plan, len);
		view->plan_len = len;
		view->queryid = slot->queryid;
		view->started_at = slot->started_at;
	}

	pg_read_barrier();
	return pg_atomic_read_u32(&slot->change) == change;
}

/*
 * Copy what slot n shows about a running statement.  plan is NULL or has room
 * for RUNNING_PLAN_SIZE + 1 bytes and gets the plan with a NUL behind it.
 * Returns false if no statement runs there, or if it ended while it was
 * copied.
 */
bool
dbperf_backend_slot_read(int n, BackendSlotView *view, char *plan)
{
	BackendSlot *slot;

	Assert(n >= 0 && n < dbperf_num_backend_slots);
	slot = &dbperf_backend_slots[n];

	for (int i = 0; i < READ_RETRIES; i++)
	{
		uint64 statement = pg_atomic_read_u64(&slot->statement);

		if (statement % 2 == 0)
			return false;
		pg_read_barrier();

		if (!slot_copy(slot, statement, view, plan))
		{
			SPIN_DELAY();
			continue;
		}
		view->wait_event = *(volatile uint32 *) &ProcGlobal->allProcs[n].wait_event_info;
		(void) dbperf_waits_read(slot, statement, &view->waits);

		pg_read_barrier();
		if (pg_atomic_read_u64(&slot->statement) != statement)
			continue;
		if (plan != NULL)
			plan[view->plan_len] = '\0';
		return view->pid != 0;
	}
	return false;
}
