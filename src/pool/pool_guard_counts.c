/*-------------------------------------------------------------------------
 *
 * pool_guard_counts.c
 *		How often each role used what does not survive in a pool: the view
 *		pool_guard_counts.
 *
 * A fixed table with an entry for each role and database that ever used
 * something of the kind through the pool.  A process serves one role in one
 * database, so it looks for its entry once; from then on it counts without a
 * lock.  Entries are never given away: when all are taken, the others share the
 * last one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "core/core.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pool/pool_guard.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define GUARD_ENTRIES 256 /* of a role and a database */
#define EXAMPLE_SIZE 80

typedef struct GuardCount
{
	pg_atomic_uint64 transactions; /* in which it was used */
	pg_atomic_uint64 last_seen;	   /* a TimestampTz */
	char			 example[EXAMPLE_SIZE];
} GuardCount;

typedef struct GuardEntry
{
	Oid		   role;
	Oid		   database;
	GuardCount counts[POOL_FEATURES];
} GuardEntry;

/*
 * Everything but the atomic fields is read and written under the area's only
 * lock.  The last entry is of all roles and databases without one of their own.
 */
typedef struct GuardCounts
{
	int		   used;
	GuardEntry entries[GUARD_ENTRIES + 1];
} GuardCounts;

static GuardCounts	*counts = NULL;
static LWLockPadded *counts_lock = NULL;

#define COUNTS_LOCK (&counts_lock->lock)

/* The entry of this process, and the features whose example it has left there. */
static GuardEntry *my_entry = NULL;
static uint32	   my_examples = 0;

/* How each feature is called in the view. */
static const char *const feature_names[POOL_FEATURES] = {
	[POOL_FEATURE_SET] = "set",
	[POOL_FEATURE_LISTEN] = "listen",
	[POOL_FEATURE_ADVISORY_LOCK] = "advisory lock",
	[POOL_FEATURE_HOLD_CURSOR] = "cursor with hold",
	[POOL_FEATURE_TEMP_OBJECT] = "temporary object",
	[POOL_FEATURE_PREPARE] = "prepare",
	[POOL_FEATURE_LOAD] = "load",
};

static Size
counts_size(void)
{
	return sizeof(GuardCounts);
}

static void
counts_attach(void *area, bool found)
{
	counts = area;
	if (found)
		return;
	memset(counts, 0, sizeof(GuardCounts));
	for (int i = 0; i <= GUARD_ENTRIES; i++)
	{
		for (int j = 0; j < POOL_FEATURES; j++)
		{
			pg_atomic_init_u64(&counts->entries[i].counts[j].transactions, 0);
			pg_atomic_init_u64(&counts->entries[i].counts[j].last_seen, 0);
		}
	}
}

/*
 * Registers the shared memory.  Called once, while the library is preloaded.
 */
void
dbperf_pool_guard_counts_init(void)
{
	static const DbperfShmemArea area = {
		.name = "dbperf pool guard",
		.size = counts_size,
		.attach = counts_attach,
		.tranche = "DbperfPoolGuard",
		.num_locks = 1,
		.locks = &counts_lock,
	};

	dbperf_shmem_register(&area);
}

/*
 * The entry of the role that this session was opened by, in its database; a new
 * one if there is none.  Caller must hold the lock exclusively.
 */
static GuardEntry *
find_entry(void)
{
	Oid			role = GetAuthenticatedUserId();
	GuardEntry *entry;

	Assert(LWLockHeldByMeInMode(COUNTS_LOCK, LW_EXCLUSIVE));

	for (int i = 0; i < counts->used; i++)
	{
		entry = &counts->entries[i];
		if (entry->role == role && entry->database == MyDatabaseId)
			return entry;
	}
	entry = &counts->entries[counts->used];
	if (counts->used < GUARD_ENTRIES)
	{
		entry->role = role;
		entry->database = MyDatabaseId;
		counts->used++;
	}
	return entry;
}

/*
 * A name as it can be shown in every database, whatever its encoding is.
 */
static void
copy_example(char *to, const char *from)
{
	strlcpy(to, from, EXAMPLE_SIZE);
	for (char *c = to; *c != '\0'; c++)
	{
		if (IS_HIGHBIT_SET(*c))
			*c = '?';
	}
}

/*
 * This process has used a feature for the first time.
 */
static void
count_first(PoolFeature feature, const char *example)
{
	LWLockAcquire(COUNTS_LOCK, LW_EXCLUSIVE);
	if (my_entry == NULL)
		my_entry = find_entry();
	copy_example(my_entry->counts[feature].example, example);
	LWLockRelease(COUNTS_LOCK);
	my_examples |= 1U << feature;
}

/*
 * Counts a transaction that used a feature.  example says in words how.  Returns
 * whether it is the first one of this process.
 */
bool
dbperf_pool_guard_count(PoolFeature feature, const char *example)
{
	bool		first = (my_examples & (1U << feature)) == 0;
	GuardCount *count;

	if (first)
		count_first(feature, example);
	count = &my_entry->counts[feature];
	pg_atomic_fetch_add_u64(&count->transactions, 1);
	pg_atomic_write_u64(&count->last_seen, (uint64) GetCurrentStatementStartTimestamp());
	return first;
}

/* ---- the view ---- */

#define GUARD_COUNTS_COLUMNS 6

static Datum
name_datum(const char *s)
{
	return DirectFunctionCall1(namein, CStringGetDatum(s));
}

/* The name of a role that may have been dropped, or NULL. */
static char *
role_name(Oid role)
{
	return OidIsValid(role) ? GetUserNameFromId(role, true) : NULL;
}

static void
put_count(ReturnSetInfo *rsinfo, GuardEntry *entry, PoolFeature feature)
{
	GuardCount *count = &entry->counts[feature];
	char	   *role = role_name(entry->role);
	char	   *database = OidIsValid(entry->database) ? get_database_name(entry->database) : NULL;
	Datum		values[GUARD_COUNTS_COLUMNS];
	bool		nulls[GUARD_COUNTS_COLUMNS] = {false};

	nulls[0] = database == NULL;
	values[0] = database != NULL ? name_datum(database) : (Datum) 0;
	nulls[1] = role == NULL;
	values[1] = role != NULL ? name_datum(role) : (Datum) 0;
	values[2] = CStringGetTextDatum(feature_names[feature]);
	values[3] = Int64GetDatum((int64) pg_atomic_read_u64(&count->transactions));
	values[4] = TimestampTzGetDatum((TimestampTz) pg_atomic_read_u64(&count->last_seen));
	values[5] = CStringGetTextDatum(count->example);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

PG_FUNCTION_INFO_V1(dbperf_pool_guard_counts);

/*
 * A row for each role, database and feature that was used.  They are copied
 * first: names are looked up without holding the lock.
 */
Datum
dbperf_pool_guard_counts(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo;
	GuardCounts	  *copy;

	dbperf_require_shmem();
	rsinfo = dbperf_srf_begin(fcinfo, GUARD_COUNTS_COLUMNS);
	copy = palloc(sizeof(GuardCounts));
	LWLockAcquire(COUNTS_LOCK, LW_SHARED);
	memcpy(copy, counts, sizeof(GuardCounts));
	LWLockRelease(COUNTS_LOCK);

	for (int i = 0; i <= GUARD_ENTRIES; i++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int j = 0; j < POOL_FEATURES; j++)
		{
			if (pg_atomic_read_u64(&copy->entries[i].counts[j].transactions) > 0)
				put_count(rsinfo, &copy->entries[i], (PoolFeature) j);
		}
	}
	return (Datum) 0;
}
