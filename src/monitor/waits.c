/*-------------------------------------------------------------------------
 *
 * waits.c
 *		The wait sampler: what slow statements waited for, and for whom.
 *
 * A statement that was slow because it waited looks, afterwards, like one
 * that was slow because it worked.  Measuring every wait would cost every
 * statement something, so one worker looks at all running statements every
 * dbperf.wait_sampling_interval and counts what they wait for, in the slot of
 * the process.  A slow statement takes the counts along; a fast one pays for
 * one load at its start.
 *
 * On an idle server the worker sleeps without a timeout (while a transaction
 * that wrote is open, it looks once a second), and whoever starts a statement
 * wakes it.  Before it does so it sets the flag, looks once more
 * an interval later, and sleeps only if still nothing runs and nothing has
 * run since.  A process that did not see the flag had stored its statement
 * before that last look.  Should this fail some day, the next statement of
 * any process wakes the sampler, and nothing but samples is lost.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "core/core.h"
#include "miscadmin.h"
#include "monitor/monitor_int.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/s_lock.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
#include "utils/wait_event.h"

#define NS_PER_MS INT64CONST(1000000)

#define AWAKE_FOR (100 * NS_PER_MS) /* without any statement */
#define NAP 1000					/* ms between looks while only idle transactions are open */
#define BLOCKERS_AGAIN (500 * NS_PER_MS) /* between two questions about a statement */
#define BLOCKERS_A_LOOK 4				 /* questions in one look at all slots */
#define READ_RETRIES 100
#define CLASS_MASK 0xFF000000U /* the class in a wait_event_info */

/*
 * asleep is set by the sampler, and cleared by it and by whoever wakes it.
 * sampler is written by the sampler.  No lock.
 */
typedef struct WaitsState
{
	pg_atomic_uint32 asleep;  /* 1 = must be woken at a statement's start */
	pg_atomic_uint32 sampler; /* its place in ProcGlobal->allProcs + 1, or 0 */
} WaitsState;

/* What the sampler remembers of a slot. */
typedef struct SlotLook
{
	uint64 statement;	/* the counter at the last look */
	int64  first_ns;	/* time of the first look at this statement */
	uint32 looks;		/* since then, the first not counted */
	uint32 lock_looks;	/* looks at which it waited for a heavyweight lock */
	int64  blockers_ns; /* when its blockers were asked for, 0 = not yet */
} SlotLook;

PGDLLEXPORT void dbperf_wait_sampler_main(Datum arg);

/* without shared memory nobody has to wake anybody */
static pg_atomic_uint32 never_asleep;
pg_atomic_uint32	   *dbperf_waits_asleep_flag = &never_asleep;

static WaitsState *waits = NULL;

/* the sampler's own */
static SlotLook *looks = NULL;
static int64	 last_active_ns = 0;
static int		 first_to_ask = 0;

static Size
waits_size(void)
{
	return sizeof(WaitsState);
}

static void
waits_attach(void *area, bool found)
{
	waits = area;
	if (!found)
	{
		pg_atomic_init_u32(&waits->asleep, 0);
		pg_atomic_init_u32(&waits->sampler, 0);
	}
	dbperf_waits_asleep_flag = &waits->asleep;
}

/*
 * Register the shared memory and the worker.  Called once, from the monitor's
 * init function, after dbperf_backend_slot_init().
 */
void
dbperf_waits_init(void)
{
	static const DbperfShmemArea area = {
		.name = "dbperf waits",
		.size = waits_size,
		.attach = waits_attach,
	};
	static const DbperfWorker worker = {
		.name = "dbperf wait sampler",
		.entry = "dbperf_wait_sampler_main",
		.start = BgWorkerStart_ConsistentState,
		.database = false,
		.restart = 10,
	};

	pg_atomic_init_u32(&never_asleep, 0);
	dbperf_shmem_register(&area);
	dbperf_worker_register(&worker);
}

/*
 * Wake the sampler, if the flag says that it sleeps.  Cheap when another
 * process is just doing the same.
 */
void
dbperf_waits_wake(void)
{
	if (waits != NULL && pg_atomic_exchange_u32(&waits->asleep, 0) != 0)
		dbperf_worker_wake(pg_atomic_read_u32(&waits->sampler));
}

/*
 * Copy what was sampled of the statement in that slot.  Returns false, and an
 * empty result, if there is nothing or if it was replaced meanwhile.
 */
bool
dbperf_waits_read(BackendSlot *slot, uint64 statement, RecordWaits *into)
{
	for (int i = 0; i < READ_RETRIES; i++)
	{
		uint64 sampled = pg_atomic_read_u64(&slot->sampled_statement);

		if (sampled == 0)
		{
			SPIN_DELAY();
			continue;
		}
		if (sampled != statement)
			break;
		pg_read_barrier();

		/* the counts first: what they cover is complete */
		memset(into, 0, sizeof(*into));
		into->interval_us = slot->sampled.interval_us;
		into->nwaits = Min(slot->sampled.nwaits, RECORD_MAX_WAITS);
		into->nblockers = Min(slot->sampled.nblockers, RECORD_MAX_BLOCKERS);
		pg_read_barrier();
		memcpy(into->waits, slot->sampled.waits, into->nwaits * sizeof(WaitCount));
		memcpy(into->blockers, slot->sampled.blockers, into->nblockers * sizeof(int32));

		pg_read_barrier();
		if (pg_atomic_read_u64(&slot->sampled_statement) == statement)
			return true;
	}

	memset(into, 0, sizeof(*into));
	return false;
}

/*
 * Copy what was sampled of this process's statement: the one that runs, or the
 * one that is about to.  The result is empty if there is nothing.  Raises no
 * error.
 */
void
dbperf_waits_copy(RecordWaits *into)
{
	if (dbperf_my_slot == NULL)
		memset(into, 0, sizeof(*into));
	else
		(void) dbperf_waits_read(dbperf_my_slot, pg_atomic_read_u64(&dbperf_my_slot->statement) | 1,
								 into);
}

/* ---- the worker ---- */

/*
 * Make the sampler's group of a slot that of another statement: empty.
 */
static void
group_begin(BackendSlot *slot, uint64 statement)
{
	if (pg_atomic_read_u64(&slot->sampled_statement) == statement)
		return;

	pg_atomic_write_u64(&slot->sampled_statement, 0);
	pg_write_barrier();
	memset(&slot->sampled, 0, sizeof(slot->sampled));
	pg_write_barrier();
	pg_atomic_write_u64(&slot->sampled_statement, statement);
}

/*
 * Count one more sample of an event.  A statement that waits for more kinds of
 * events than there is room for keeps the first ones.
 */
static void
group_add_wait(RecordWaits *group, uint32 event)
{
	int n = group->nwaits;

	for (int i = 0; i < n; i++)
	{
		if (group->waits[i].event == event)
		{
			group->waits[i].samples++;
			return;
		}
	}
	if (n >= RECORD_MAX_WAITS)
		return;

	group->waits[n].event = event;
	group->waits[n].samples = 1;
	pg_write_barrier();
	group->nwaits = n + 1;
}

/*
 * Add a process to the blockers, unless it is there or there is no room.
 */
static void
group_add_blocker(RecordWaits *group, int32 pid)
{
	int n = group->nblockers;

	for (int i = 0; i < n; i++)
	{
		if (group->blockers[i] == pid)
			return;
	}
	if (n >= RECORD_MAX_BLOCKERS)
		return;

	group->blockers[n] = pid;
	pg_write_barrier();
	group->nblockers = n + 1;
}

/*
 * Add whoever keeps the process from its lock now.  This locks the lock
 * manager's whole table for a moment, so it is done seldom.  It needs neither
 * a database nor a transaction.
 */
static void
group_ask_blockers(RecordWaits *group, int pid)
{
	ArrayType *pids = DatumGetArrayTypeP(DirectFunctionCall1(pg_blocking_pids, Int32GetDatum(pid)));
	int		   n = ArrayGetNItems(ARR_NDIM(pids), ARR_DIMS(pids));
	const int32 *values = (const int32 *) ARR_DATA_PTR(pids);

	for (int i = 0; i < n; i++)
		group_add_blocker(group, values[i]);
}

/*
 * Note the time of this look.  Returns whether the statement counter has moved
 * since the last one.
 */
static bool
look_begin(SlotLook *look, uint64 statement, int64 now)
{
	if (statement == look->statement)
	{
		look->looks++;
		return false;
	}

	memset(look, 0, sizeof(*look));
	look->statement = statement;
	look->first_ns = now;
	return true;
}

/*
 * Look at one slot.  Returns whether a statement runs or has run there since
 * the last look.  *questions is how often blockers may still be asked for.
 *
 * A process that waits for a heavyweight lock without a running statement is
 * about to run one: parse analysis and planning lock the tables.  Those waits
 * belong to the next statement.
 */
static bool
look_at_slot(int n, int64 now, int *questions)
{
	BackendSlot *slot = &dbperf_backend_slots[n];
	SlotLook	*look = &looks[n];
	PGPROC		*proc = &ProcGlobal->allProcs[n];
	uint64		 statement = pg_atomic_read_u64(&slot->statement);
	bool		 running = statement % 2 == 1;
	bool		 moved = look_begin(look, statement, now);
	uint32		 event;
	bool		 locked;

	pg_read_barrier();
	event = *(volatile uint32 *) &proc->wait_event_info;
	locked = (event & CLASS_MASK) == PG_WAIT_LOCK && slot->pid != 0;
	if (!running && !locked)
		return moved;
	if (!running && look->lock_looks == 0)
	{
		/* the looks at an idle process do not count */
		look->first_ns = now;
		look->looks = 0;
	}
	pg_read_barrier();
	if (event == 0 || pg_atomic_read_u64(&slot->statement) != statement)
		return true;

	group_begin(slot, running ? statement : statement + 1);
	group_add_wait(&slot->sampled, event);
	slot->sampled.interval_us = look->looks > 0 ? (now - look->first_ns) / 1000 / look->looks
												: dbperf_wait_sampling_interval * 1000;

	if (locked && ++look->lock_looks >= 2 && *questions > 0 &&
		(look->blockers_ns == 0 || now - look->blockers_ns >= BLOCKERS_AGAIN))
	{
		(*questions)--;
		look->blockers_ns = now;
		group_ask_blockers(&slot->sampled, proc->pid);
	}
	return true;
}

/*
 * Look at all slots.  Returns whether any statement runs, or has run since the
 * last time.  Begins with another slot each time when blockers were asked for,
 * so that in a crowd everybody gets its turn.
 */
static bool
look_at_all(int64 now)
{
	int	 questions = BLOCKERS_A_LOOK;
	bool active = false;
	int	 total = dbperf_num_backend_slots;

	for (int i = 0; i < total; i++)
	{
		int n = first_to_ask + i < total ? first_to_ask + i : first_to_ask + i - total;

		active |= look_at_slot(n, now, &questions);
	}
	if (questions == 0)
		first_to_ask = (first_to_ask + total / 2 + 1) % total;
	return active;
}

/*
 * Whether any process has an open transaction that has written something.
 * Others may come to wait for its locks before they start a statement, and
 * then nobody wakes the sampler.
 */
static bool
writer_open(void)
{
	for (int i = 0; i < dbperf_num_backend_slots; i++)
	{
		if (TransactionIdIsValid(*(volatile TransactionId *) &ProcGlobal->allProcs[i].xid))
			return true;
	}
	return false;
}

/*
 * One step: look, and say when to look again.  See the top of this file on
 * how it falls asleep.
 */
static long
sampler_step(void *arg)
{
	int64 now = dbperf_now_ns();
	bool  was_asleep;

	(void) arg;

	if (dbperf_wait_sampling_interval <= 0)
	{
		pg_atomic_write_u32(&waits->asleep, 0);
		return -1;
	}

	was_asleep = pg_atomic_read_u32(&waits->asleep) != 0;
	if (look_at_all(now))
	{
		last_active_ns = now;
		if (was_asleep)
			pg_atomic_write_u32(&waits->asleep, 0);
		return dbperf_wait_sampling_interval;
	}

	if (was_asleep)
		return writer_open() ? NAP : -1;
	if (now - last_active_ns >= AWAKE_FOR)
		pg_atomic_write_u32(&waits->asleep, 1);
	return dbperf_wait_sampling_interval;
}

/* Nobody has to wake a sampler that is gone. */
static void
sampler_exit(int code, Datum arg)
{
	(void) code;
	(void) arg;
	pg_atomic_write_u32(&waits->sampler, 0);
	pg_atomic_write_u32(&waits->asleep, 0);
}

/*
 * Entry of the worker.  It has no database, and works on a hot standby, too.
 */
void
dbperf_wait_sampler_main(Datum arg)
{
	(void) arg;

	dbperf_worker_begin();
	looks = MemoryContextAllocZero(TopMemoryContext,
								   mul_size(dbperf_num_backend_slots, sizeof(SlotLook)));
	on_shmem_exit(sampler_exit, (Datum) 0);
	pg_atomic_write_u32(&waits->asleep, 0);
	pg_atomic_write_u32(&waits->sampler, DBPERF_MY_PROC_NUMBER + 1);

	dbperf_worker_loop("wait sampler", sampler_step, NULL);
}
