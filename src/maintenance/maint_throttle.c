/*-------------------------------------------------------------------------
 *
 * maint_throttle.c
 *		How fast maintenance may go beside the users' load.
 *
 * The launcher looks at what the users' processes do and divides an allowance,
 * in the unit of vacuum_cost_limit with vacuum_cost_delay = 2 ms, among the
 * workers.  It begins with next to nothing, grows slowly while nobody is hurt
 * and is halved each second otherwise, down to one of two floors for each worker:
 *
 * - processors or the WAL are busy: what autovacuum has by default.  Less would
 *   only make the work last longer, since a worker is one process among many.
 * - users wait for data to come from disk: each page that maintenance reads is
 *   one that somebody waits for.  There is no cost limit that means the same
 *   for all work (a page that is dirtied costs ten times one that is read), so
 *   the worker then holds itself to a number of pages in a second.
 *
 * A timer in the worker takes over the limit in the middle of a table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "commands/vacuum.h"
#include "executor/instrument.h"
#include "maintenance/maint_plan.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#define COST_DELAY 2		  /* ms: the same as autovacuum's */
#define LIMIT_LIKE_AUTO 200	  /* autovacuum's default, the floor beside busy processors */
#define LIMIT_BY_PAGES 20	  /* the floor beside a busy disk: from here on pages count */
#define LIMIT_LEAST 4		  /* to which counting pages may bring it down */
#define PAGES_PER_SECOND 3000 /* buffers looked at */
#define PAGES_STANDSTILL 100  /* fewer in a second: it does something else, such as sorting */

#define TICK 500 /* ms between two looks of the worker's timer */

#define IO_BUSY 0.1	  /* processes that wait for data, on average */
#define WAL_BUSY 0.75 /* and for the WAL */
#define SMOOTH 0.3	  /* weight of the newest sample */
#define STALE 2000	  /* ms after which older samples say nothing */
#define STEPS 20	  /* seconds from nothing to the full allowance */
#define IO_CALM 10	  /* seconds without waits for data before it grows again */

#define FLUSH_AFTER 32 /* buffers: what is written goes to disk in small parts */

/* ---- the launcher's part ---- */

/* How many processes of users, on average, are doing what. */
static struct
{
	TimestampTz taken;
	double		io;
	double		wal;
	double		cpu;
} load = {0};

/* What the workers have together, 0 = none has worked yet. */
static int		   allowance = 0;
static TimestampTz adjusted = 0;
static TimestampTz io_seen = 0; /* when users were last seen to wait for data */

static int
count_processors(void)
{
	static long processors = 0;

	if (processors == 0)
		processors = sysconf(_SC_NPROCESSORS_ONLN);
	return (int) Max(processors, 1);
}

/* The processes of all workers.  Returns how many there are. */
static int
list_workers(int *pids)
{
	int count = 0;

	LWLockAcquire(MAINT_LOCK, LW_SHARED);
	for (int i = 0; i < MAINT_SLOTS; i++)
	{
		if (dbperf_maint->slots[i].pid != 0)
			pids[count++] = dbperf_maint->slots[i].pid;
	}
	LWLockRelease(MAINT_LOCK);
	return count;
}

/* Whether a process does a user's work: no worker of ours, and not autovacuum. */
static bool
is_users(const volatile PGPROC *proc, const int *workers, int num_workers)
{
	int pid = proc->pid;

	if (pid == 0 || !OidIsValid(proc->databaseId) || (proc->statusFlags & PROC_IS_AUTOVACUUM) != 0)
		return false;
	for (int i = 0; i < num_workers; i++)
	{
		if (workers[i] == pid)
			return false;
	}
	return true;
}

/* The average moves a part of the way to the newest sample. */
static double
smooth(double old, int sample, bool stale)
{
	return stale ? sample : old + SMOOTH * (sample - old);
}

/*
 * Look at what the users' processes do at this moment.  Called by the launcher
 * several times a second while workers run.  The reads are not synchronised: a
 * sample is as good as it gets.
 */
void
dbperf_maint_throttle_sample(void)
{
	int			workers[MAINT_SLOTS];
	int			num_workers = list_workers(workers);
	TimestampTz now = GetCurrentTimestamp();
	bool		stale = now - load.taken > STALE * INT64CONST(1000);
	int			io = 0;
	int			wal = 0;
	int			cpu = 0;

	for (uint32 i = 0; i < ProcGlobal->allProcCount; i++)
	{
		const volatile PGPROC *proc = &ProcGlobal->allProcs[i];
		uint32				   event = proc->wait_event_info;

		if (!is_users(proc, workers, num_workers))
			continue;
		if (event == 0)
			cpu++;
		else if (event == WAIT_EVENT_WAL_SYNC || event == WAIT_EVENT_WAL_WRITE)
			wal++;
		else if ((event & 0xFF000000U) == PG_WAIT_IO)
			io++;
	}
	load.io = smooth(load.io, io, stale);
	load.wal = smooth(load.wal, wal, stale);
	load.cpu = smooth(load.cpu, cpu, stale);
	load.taken = now;
}

/*
 * Move the allowance for this many workers by one step.  Where users have waited
 * for data it may be maintenance that made them wait, so it does not grow again
 * as soon as they do not.
 */
static void
adjust_allowance(int workers)
{
	int	 most = dbperf_maintenance_cost_limit_max;
	bool io = load.io >= IO_BUSY;
	bool others = load.wal >= WAL_BUSY || load.cpu >= count_processors();

	if (io)
		io_seen = adjusted;
	if (allowance == 0)
		allowance = LIMIT_BY_PAGES * workers;
	else if (io)
		allowance /= 2;
	else if (others)
		allowance = Max(allowance / 2, LIMIT_LIKE_AUTO * workers);
	else if (adjusted - io_seen >= IO_CALM * USECS_PER_SEC)
		allowance += Max(most / STEPS, 1);
	allowance = Max(Min(allowance, most), LIMIT_BY_PAGES * workers);
}

/* The most that a slot may have. */
static int
limit_of(const MaintSlot *slot)
{
	int most = dbperf_maintenance_cost_limit_max;

	if (slot->cost_limit_max > 0 && !slot->wraparound)
		most = Min(most, slot->cost_limit_max);
	return most;
}

/* Let a worker have this much, or as much as it may. */
static void
set_limit(MaintSlot *slot, int limit)
{
	int most = limit_of(slot);

	pg_atomic_write_u32(&slot->cost_limit, Min(limit, most));
	pg_atomic_write_u32(&slot->by_pages, limit <= LIMIT_BY_PAGES && limit < most ? 1 : 0);
}

/*
 * Give each worker its part of what the load allows.  Called by the launcher
 * once a second while workers run.  Work against wraparound gets all it may
 * have, and leaves the others theirs.
 */
void
dbperf_maint_throttle_adjust(void)
{
	TimestampTz now = GetCurrentTimestamp();
	int			workers = 0;

	dbperf_maint_throttle_sample();
	if (now - adjusted > STALE * INT64CONST(1000))
		allowance = 0;
	adjusted = now;

	LWLockAcquire(MAINT_LOCK, LW_SHARED);
	for (int i = 0; i < MAINT_SLOTS; i++)
	{
		const MaintSlot *slot = &dbperf_maint->slots[i];

		if (slot->state == MAINT_SLOT_WORKING && slot->pid != 0 && !slot->wraparound)
			workers++;
	}
	if (workers > 0)
		adjust_allowance(workers);
	for (int i = 0; i < MAINT_SLOTS; i++)
	{
		MaintSlot *slot = &dbperf_maint->slots[i];

		if (slot->state == MAINT_SLOT_WORKING && slot->pid != 0)
			set_limit(slot, slot->wraparound ? INT_MAX : allowance / workers);
	}
	LWLockRelease(MAINT_LOCK);
}

/* ---- the worker's part ---- */

static TimeoutId timer = MAX_TIMEOUTS;

/* What the timer's handler works with, NULL = nothing to throttle. */
static MaintSlot *volatile throttled = NULL;

static struct
{
	double		limit; /* that counting pages has come to, 0 = it does not count */
	int64		pages; /* at the last look */
	TimestampTz looked;
} pace;

/*
 * The limit that makes the worker look at PAGES_PER_SECOND buffers, as far as
 * the time since the last look tells.  Called by the handler.
 */
static int
limit_by_pages(void)
{
	TimestampTz now = GetCurrentTimestamp();
	int64		pages = pgBufferUsage.shared_blks_hit + pgBufferUsage.shared_blks_read;
	double		seconds = (now - pace.looked) / 1000000.0;
	double		rate = seconds > 0 ? (pages - pace.pages) / seconds : 0;

	if (pace.limit <= 0)
		pace.limit = LIMIT_BY_PAGES;
	else if (rate >= PAGES_STANDSTILL)
	{
		double factor = PAGES_PER_SECOND / rate;

		pace.limit *= Min(Max(factor, 0.5), 2.0);
		pace.limit = Min(Max(pace.limit, LIMIT_LEAST), LIMIT_LIKE_AUTO);
	}
	pace.pages = pages;
	pace.looked = now;
	return (int) pace.limit;
}

/*
 * Handler of the timer: take over the limit.  Async-signal-safe: it reads an
 * atomic variable and counters of this process, and writes plain variables.
 */
static void
throttle_tick(void)
{
	MaintSlot *slot = throttled;
	int		   limit;

	if (slot == NULL)
		return;
	limit = (int) pg_atomic_read_u32(&slot->cost_limit);
	if (pg_atomic_read_u32(&slot->by_pages) != 0)
		limit = limit_by_pages();
	else
		pace.limit = 0;
	DBPERF_SET_COST_LIMIT(Max(limit, 1));
}

/* Set an integer setting for as long as this process lives. */
static void
set_int(const char *name, int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", value);
	SetConfigOption(name, text, PGC_SUSET, PGC_S_OVERRIDE);
}

/*
 * Make what this worker does next follow its slot's cost limit.  Called while
 * the slot is WORKING, outside a transaction; whatever happens then,
 * dbperf_maint_throttle_end() has to be called afterwards.
 *
 * Parallel workers would keep the limit that they began with, and take
 * processes that others need: there are none.
 */
void
dbperf_maint_throttle_begin(MaintSlot *slot)
{
	bool pending_list;
	int	 limit;

	LWLockAcquire(MAINT_LOCK, LW_SHARED);
	set_limit(slot, slot->wraparound ? INT_MAX : LIMIT_BY_PAGES);
	pending_list = slot->record.action == MAINT_CLEAN_GIN;
	LWLockRelease(MAINT_LOCK);

	pace.limit = 0;
	limit = (int) pg_atomic_read_u32(&slot->cost_limit);
	set_int("max_parallel_maintenance_workers", 0);
	set_int("backend_flush_after", FLUSH_AFTER);
	set_int("vacuum_cost_delay", COST_DELAY);
	set_int("vacuum_cost_limit", limit);
	if (pending_list)
		DBPERF_START_COST(COST_DELAY, limit); /* VACUUM and ANALYZE do it themselves */

	if (timer == MAX_TIMEOUTS)
		timer = RegisterTimeout(USER_TIMEOUT, throttle_tick);
	throttled = slot;
	enable_timeout_every(timer, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), TICK), TICK);
}

/*
 * Undo dbperf_maint_throttle_begin(); harmless without it.
 */
void
dbperf_maint_throttle_end(void)
{
	if (throttled == NULL)
		return;
	disable_timeout(timer, false);
	throttled = NULL;
	VacuumCostActive = false;
}
