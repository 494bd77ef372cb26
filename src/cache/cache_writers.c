/*-------------------------------------------------------------------------
 *
 * cache_writers.c
 *		What transactions that write do to the slots of the result cache.
 *
 * Writers never look for results to throw away: they note what they changed,
 * and readers find out.  What a transaction has changed is read from the
 * server's own statistics of it, which every insert, update, delete and
 * TRUNCATE of a table goes through, with what subtransactions did that were
 * rolled back left out.
 *
 *	PRE_COMMIT	committing + 1 on each of its slots, before any snapshot can see
 *				the transaction
 *	COMMIT		which comes after ProcArrayEndTransaction(), when new snapshots
 *				see it, and before its locks are released: last_write is raised to
 *				the completion count, which is that of this transaction or a later
 *				one, then committing - 1; but of a transaction that changed
 *				catalogs not before other processes were sent invalidations, since
 *				until then they go on with what they know
 *	ABORT		committing - 1, if there was a PRE_COMMIT
 *	PREPARE		barrier, then last_write: see changes_prepare()
 *
 * The callback for these is core's, which every process inherits, and which calls
 * this one for a transaction that has an xid, and at ABORT and PREPARE.
 *
 * So whenever a snapshot sees a change, its slot says that a change is under
 * way, or has the count of it.  Each of these is an atomic operation with a
 * full barrier, or is followed by one.
 *
 * What comes here, and what does not:
 *
 * - All that goes through heap_insert(), heap_update(), heap_delete() and
 *	 ExecuteTruncate() is counted where it happens, in whatever process and for
 *	 whatever reason: COPY, MERGE, triggers, functions, DO, cascades of foreign
 *	 keys, partitions (the leaf is counted, and it is leaves that plans read),
 *	 REFRESH MATERIALIZED VIEW, logical replication's workers, which run no
 *	 executor hook, and catalogs.
 * - A transaction that has an xid and changed nothing that is counted has
 *	 locked rows, drawn from a sequence, notified, or logged something.  None of
 *	 this changes what a cached statement returns: sequences are not cached.
 *	 Large objects are rows of a catalog that no cached statement can read.
 * - Changes in place (heap_inplace_update(): statistics in pg_class and
 *	 pg_database by VACUUM, ANALYZE and CREATE INDEX) are neither counted nor
 *	 transactional, and no result depends on them.
 * - Repairs by hand, as with the functions of pg_surgery, are outside of all of
 *	 this, as they are outside of transactions.
 * - VACUUM removes what no snapshot sees.  CLUSTER, VACUUM FULL and the forms
 *	 of ALTER TABLE that rewrite a table count their rows for a table that is
 *	 thrown away, but write a new row of pg_class for this one, which is part of
 *	 the key of a result.  Their ACCESS EXCLUSIVE locks keep readers out until
 *	 the end, so that who reads after it has a snapshot that sees them, or does
 *	 not get past dbperf_cache_now().
 * - Autovacuum and other workers are processes like others.  Parallel workers
 *	 cannot write; their end is not that of the transaction.
 * - COMMIT PREPARED and ROLLBACK PREPARED need nothing, whoever does it: they
 *	 end the prepared transaction for all snapshots, and the barrier is about
 *	 these.  Those from before a start of the server are the global slot's, see
 *	 barrier_passed() in cache_validity.c.
 * - With track_counts off nothing is counted.  That it was, at any time since
 *	 the last transaction that wrote, is known from the setting itself, and then
 *	 the change is one to the global slot.  So is one to more relations than
 *	 there is room for here.
 *
 * Callbacks that other libraries have registered before this one run after it.
 * What such a one changes is found at COMMIT, when the list is read again; only
 * between the moment in which the transaction is seen and that does a reader
 * not know of it.  A library that writes to tables in that callback should be
 * listed after dbperf in shared_preload_libraries.  What the server itself does
 * there, drop temporary tables, is to catalogs' rows that concern no other
 * table.
 *
 * An error at COMMIT or PREPARE would be a PANIC: nothing there allocates
 * without asking, or waits for more than an LWLock that is always held briefly.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "cache/cache_slots.h"
#include "core/core.h"
#include "core/exec_hooks.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/pgstat_internal.h"
#include "utils/resowner.h"

/* The slots of a transaction, at most. */
#define MAX_SLOTS 64

CacheSlot *dbperf_cache_slots = NULL;

/* What this process's transaction announced at PRE_COMMIT, until its end. */
static struct
{
	bool					active;
	PgStat_SubXactStatus   *changes;  /* the server's list, */
	PgStat_TableXactStatus *newest;	  /* and what it began with */
	bool					catalogs; /* some of it is in catalogs */
	bool					held;	  /* committed, and not known to all yet */
	int						num;
	CacheSlot			   *slots[MAX_SLOTS];
} announced;

/* track_counts was off at some time since the last transaction that wrote. */
static bool untracked = false;

static GucBoolAssignHook prev_assign_track_counts = NULL;

static inline CacheSlot *
slot_of_change(const PgStat_TableXactStatus *change)
{
	return &dbperf_cache_slots[cache_slot_of(MyDatabaseId, DBPERF_STATS_RELID(change->parent))];
}

/*
 * The list of what the transaction changed, or NULL if there is no list and no
 * memory for one.  The server makes an empty one if there is none, and would
 * raise an error without memory; what was given back just before is there for
 * the next request of the same size.
 */
static PgStat_SubXactStatus *
changes_without_error(void)
{
	void *room = MemoryContextAllocExtended(TopTransactionContext, sizeof(PgStat_SubXactStatus),
											MCXT_ALLOC_NO_OOM);

	if (room == NULL)
		return NULL;
	pfree(room);
	return pgstat_get_xact_stack_level(1);
}

static void
announced_end(void)
{
	for (int i = 0; i < announced.num; i++)
		pg_atomic_fetch_sub_u32(&announced.slots[i]->committing, 1);
	announced.num = 0;
	announced.held = false;
}

/*
 * Locks are about to be released.  By now other processes have been sent what
 * they have to forget of the catalogs.
 */
static void
writers_release(ResourceReleasePhase phase, bool commit, bool top_level, void *arg)
{
	if (announced.held && phase == RESOURCE_RELEASE_LOCKS)
		announced_end();
}

/*
 * Sees to it that what is announced of catalogs can be held.  Only processes
 * that change some pay for the callback.
 */
static void
hold_catalogs(void)
{
	static bool registered = false;

	if (!registered)
		RegisterResourceReleaseCallback(writers_release, NULL);
	registered = true;
}

/* Whether a transaction changed catalogs. */
static bool
changes_catalogs(const PgStat_TableXactStatus *change)
{
	for (; change != NULL; change = change->next)
		if (DBPERF_STATS_RELID(change->parent) < FirstNormalObjectId)
			return true;
	return false;
}

/*
 * PRE_COMMIT: announces what will be seen soon.  All subtransactions have ended,
 * so that everything is in the list of the first level.
 */
static void
changes_announce(void)
{
	PgStat_SubXactStatus *changes = pgstat_get_xact_stack_level(1);
	bool				  everything = untracked;

	announced.catalogs = changes_catalogs(changes->first);
	if (announced.catalogs)
		hold_catalogs();
	announced.changes = changes;
	announced.newest = changes->first;
	for (PgStat_TableXactStatus *change = changes->first; change != NULL && !everything;
		 change = change->next)
	{
		if (announced.num < MAX_SLOTS)
			announced.slots[announced.num++] = slot_of_change(change);
		else
			everything = true;
	}
	if (everything)
	{
		announced.slots[0] = &dbperf_cache_slots[CACHE_SLOT_GLOBAL];
		announced.num = 1;
	}
	for (int i = 0; i < announced.num; i++)
		pg_atomic_fetch_add_u32(&announced.slots[i]->committing, 1);
	announced.active = true;
}

/*
 * The transaction has ended.
 */
static inline void
announced_clear(void)
{
	announced.active = false;
	announced.newest = NULL;
	untracked = !pgstat_track_counts;
}

/* ABORT: what was announced does not come. */
static void
changes_withdraw(void)
{
	announced_end();
	announced_clear();
}

/*
 * COMMIT: new snapshots see the transaction.  What PRE_COMMIT did not know of
 * comes first, since nobody else tells of it.
 */
static void
changes_commit(void)
{
	PgStat_SubXactStatus *changes = announced.active ? announced.changes : changes_without_error();
	uint64				  count = cache_completion_count();

	if (unlikely(changes == NULL || untracked))
		cache_atomic_raise(&dbperf_cache_slots[CACHE_SLOT_GLOBAL].last_write, count);
	if (unlikely(changes != NULL && changes->first != announced.newest))
		for (PgStat_TableXactStatus *change = changes->first; change != announced.newest;
			 change = change->next)
			cache_atomic_raise(&slot_of_change(change)->last_write, count);

	for (int i = 0; i < announced.num; i++)
		cache_atomic_raise(&announced.slots[i]->last_write, count);
	announced.held = announced.catalogs;
	if (!announced.held)
		announced_end();
	announced_clear();
}

/*
 * A prepared transaction has changed a slot.  barrier comes first: who does not
 * see it has a snapshot that was taken before, whose count is lower than what
 * last_write is raised to.
 */
static void
slot_prepared(CacheSlot *slot)
{
	cache_atomic_raise(&slot->barrier,
					   U64FromFullTransactionId(GetTopFullTransactionIdIfAny()) + 1);
	pg_memory_barrier();
	cache_atomic_raise(&slot->last_write, cache_completion_count() + 1);
}

/*
 * PREPARE: the transaction stays in all snapshots until somebody ends it, which
 * nobody can before this callback is over.  As long as it has not ended the xmin
 * of every snapshot is its xid at most, so lower than the barrier.  It ends with
 * a higher completion count than the present one: last_write is raised to the
 * next, so that what was filled before now does not outlive it, and what was
 * filled after now has seen the barrier, and so the end.
 */
static void
changes_prepare(void)
{
	PgStat_SubXactStatus *changes = changes_without_error();

	if (changes == NULL || untracked)
		slot_prepared(&dbperf_cache_slots[CACHE_SLOT_GLOBAL]);
	if (changes != NULL)
		for (PgStat_TableXactStatus *change = changes->first; change != NULL; change = change->next)
			slot_prepared(slot_of_change(change));
	untracked = !pgstat_track_counts;
}

/*
 * A transaction without an xid has changed nothing, and is left alone.
 */
static void
writers_xact(XactEvent event)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
				changes_announce();
			break;
		case XACT_EVENT_COMMIT:
			if (announced.active || TransactionIdIsValid(GetTopTransactionIdIfAny()))
				changes_commit();
			break;
		case XACT_EVENT_PREPARE:
			changes_prepare();
			break;
		case XACT_EVENT_ABORT:
			if (announced.active)
				changes_withdraw();
			break;
		default:
			break;
	}
}

/*
 * track_counts is set, by whatever means.
 */
static void
assign_track_counts(bool newval, void *extra)
{
	if (!newval)
		untracked = true;
	if (prev_assign_track_counts)
		prev_assign_track_counts(newval, extra);
}

static Size
slots_size(void)
{
	return mul_size(add_size(dbperf_cache_relations, 1), sizeof(CacheSlot));
}

static void
slots_attach(void *area, bool found)
{
	dbperf_cache_slots = area;
	if (found)
		return;
	for (uint32 i = 0; i <= CACHE_SLOT_GLOBAL; i++)
	{
		CacheSlot *slot = &dbperf_cache_slots[i];

		pg_atomic_init_u32(&slot->committing, 0);
		pg_atomic_init_u64(&slot->last_write, 0);
		pg_atomic_init_u64(&slot->barrier, i == CACHE_SLOT_GLOBAL ? CACHE_BARRIER_UNKNOWN : 0);
	}
}

/*
 * Registers the slots and what notes changes in them, if there is a cache.
 * Called once, from the module's init function.
 */
void
dbperf_cache_writers_init(void)
{
	static const DbperfShmemArea area = {
		.name = "dbperf cache slots",
		.size = slots_size,
		.attach = slots_attach,
	};

	if (!process_shared_preload_libraries_in_progress || dbperf_cache_size == 0)
		return;
	dbperf_shmem_register(&area);
	dbperf_xact_watch(writers_xact);
	untracked = !pgstat_track_counts;
	prev_assign_track_counts = dbperf_replace_assign_hook("track_counts", assign_track_counts);
}
