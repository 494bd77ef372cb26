/*-------------------------------------------------------------------------
 *
 * maint_policy.c
 *		Which policy applies to a table, in whatever database.
 *
 * The tables of policies and windows are in dbperf.database.  The launcher has
 * no database, and workers and sessions are in others: they use a copy in
 * shared memory, which the writer makes anew whenever a transaction that has
 * changed the tables commits, and once a minute.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/string.h"
#include "core/core.h"
#include "maintenance/maint_policy.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#define READ_AGAIN_AFTER 60000 /* ms */

/*
 * changes is counted up without a lock; all else is under MAINT_POLICY_LOCK.
 * Only the writer changes the copy.
 */
typedef struct PolicyShared
{
	pg_atomic_uint32 changes;	/* committed ones */
	uint32			 published; /* changes, when the copy was made */
	int				 encoding;	/* of the copy */
	MaintPolicies	 copy;
} PolicyShared;

static PolicyShared *shared = NULL;

/* This session's transaction has changed the tables. */
static bool changed = false;

/* The writer's. */
static TimestampTz last_read = 0;

static Size
policy_size(void)
{
	return sizeof(PolicyShared);
}

static void
policy_attach(void *area, bool found)
{
	shared = area;
	if (found)
		return;
	memset(shared, 0, sizeof(PolicyShared));
	pg_atomic_init_u32(&shared->changes, 0);
}

/*
 * Register the shared memory.  Called once, from the module's init function.
 */
void
dbperf_maint_policy_init(void)
{
	static const DbperfShmemArea area = {
		.name = "dbperf maintenance policies",
		.size = policy_size,
		.attach = policy_attach,
	};

	dbperf_shmem_register(&area);
}

/* ---- making the copy ---- */

/*
 * The end of a transaction that has changed the tables.  Here an error would
 * stop the server: there is none in counting and waking.
 */
static void
changed_callback(XactEvent event, void *arg)
{
	(void) arg;
	if (!changed)
		return;
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			changed = false;
			pg_atomic_fetch_add_u32(&shared->changes, 1);
			dbperf_writer_wake();
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE: /* found by the next reading, when it has committed */
			changed = false;
			break;
		default:
			break;
	}
}

/*
 * The current transaction changes the tables of dbperf.database: the copy is to
 * be made anew once it has committed.
 */
void
dbperf_maint_policy_changed(void)
{
	static bool registered = false;

	if (shared == NULL)
		return;
	if (!registered)
		RegisterXactCallback(changed_callback, NULL);
	registered = true;
	changed = true;
}

/*
 * Whether a change has been committed that is not in the copy.
 */
bool
dbperf_maint_policy_pending(void)
{
	bool pending;

	LWLockAcquire(MAINT_POLICY_LOCK, LW_SHARED);
	pending = shared->published != pg_atomic_read_u32(&shared->changes);
	LWLockRelease(MAINT_POLICY_LOCK);
	return pending;
}

/* A transaction's task: read the tables into a context that outlives it. */
static void
read_tables(void *arg)
{
	MaintPolicies **place = arg;
	MaintPolicies  *policies = dbperf_maint_policy_read();

	if (policies != NULL)
		memcpy(*place, policies, sizeof(MaintPolicies));
	else
		*place = NULL;
}

/*
 * Make the copy anew if it may be old: to be called by the writer whenever it
 * wakes up, outside a transaction.  Returns false if that could not be done and
 * should be tried again soon.
 */
bool
dbperf_maint_policy_publish(void)
{
	uint32		   changes = pg_atomic_read_u32(&shared->changes);
	TimestampTz	   now = GetCurrentTimestamp();
	MaintPolicies *policies;
	bool		   differs;

	if (last_read != 0 && !dbperf_maint_policy_pending() &&
		!TimestampDifferenceExceeds(last_read, now, READ_AGAIN_AFTER - 1000))
		return true;

	policies = palloc0(sizeof(MaintPolicies));
	if (!dbperf_worker_transaction("reading maintenance policies", read_tables, &policies) ||
		policies == NULL)
		return false;

	LWLockAcquire(MAINT_POLICY_LOCK, LW_EXCLUSIVE);
	differs = memcmp(&shared->copy, policies, sizeof(MaintPolicies)) != 0;
	memcpy(&shared->copy, policies, sizeof(MaintPolicies));
	shared->encoding = GetDatabaseEncoding();
	shared->published = changes;
	LWLockRelease(MAINT_POLICY_LOCK);

	last_read = now;
	pfree(policies);
	if (differs)
		dbperf_maint_wake_launcher();
	return true;
}

/* ---- using it ---- */

/* Bring a string of size bytes to the database's encoding, cut if need be. */
static void
convert(char *s, int size, int encoding)
{
	text *converted;
	int	  len;

	if (pg_is_ascii(s))
		return;
	converted = dbperf_server_text(s, size, encoding);
	len = dbperf_clip(VARDATA_ANY(converted), VARSIZE_ANY_EXHDR(converted), size - 1,
					  GetDatabaseEncoding());
	memcpy(s, VARDATA_ANY(converted), len);
	s[len] = '\0';
	pfree(converted);
}

/* The copy, palloc'd; its texts in the encoding of this database, if any. */
static MaintPolicies *
copied_policies(void)
{
	MaintPolicies *policies = palloc0(sizeof(MaintPolicies));
	int			   encoding;

	if (shared == NULL)
		return policies;

	LWLockAcquire(MAINT_POLICY_LOCK, LW_SHARED);
	memcpy(policies, &shared->copy, sizeof(MaintPolicies));
	encoding = shared->encoding;
	LWLockRelease(MAINT_POLICY_LOCK);

	if (!IsTransactionState() || !OidIsValid(MyDatabaseId) || encoding == GetDatabaseEncoding())
		return policies;
	for (int i = 0; i < policies->num_policies; i++)
	{
		MaintPolicy *policy = &policies->policies[i];

		convert(policy->database_pattern, MAINT_PATTERN_SIZE, encoding);
		convert(policy->schema_pattern, MAINT_PATTERN_SIZE, encoding);
		convert(policy->table_pattern, MAINT_PATTERN_SIZE, encoding);
	}
	for (int i = 0; i < policies->num_windows; i++)
		convert(policies->windows[i].name, NAMEDATALEN, encoding);
	return policies;
}

/*
 * The policies, palloc'd; all zero if there are none.  In dbperf.database, if
 * inside a transaction, they are what the tables say, so that a session sees
 * its own changes; everywhere else they are the copy in shared memory.
 */
MaintPolicies *
dbperf_maint_policies(void)
{
	MaintPolicies *policies = NULL;

	if (dbperf_is_central())
		policies = dbperf_maint_policy_read();
	return policies != NULL ? policies : copied_policies();
}

/* Length of the character at s, which need not be valid. */
static int
char_length(const char *s)
{
	int len = IS_HIGHBIT_SET(*s) ? pg_encoding_mblen(GetDatabaseEncoding(), s) : 1;

	return (int) strnlen(s, len);
}

/*
 * Whether a name matches a pattern by the rules of LIKE.  Not the server's own
 * function: that one raises an error where a text is invalid in the encoding of
 * the database, as the name of a database may be.
 */
static bool
like(const char *name, const char *pattern)
{
	const char *again = NULL; /* behind the last % of the pattern */
	const char *tried = NULL; /* where the name was then, and moves on from */

	while (*name != '\0')
	{
		if (*pattern == '%')
		{
			again = ++pattern;
			tried = name;
			continue;
		}
		if (*pattern == '_')
		{
			pattern++;
			name += char_length(name);
			continue;
		}
		if (*pattern == '\\' && pattern[1] == *name)
			pattern++;
		else if (*pattern == '\\' || *pattern != *name)
		{
			if (again == NULL)
				return false;
			tried += char_length(tried);
			name = tried;
			pattern = again;
			continue;
		}
		pattern++;
		name++;
	}
	while (*pattern == '%')
		pattern++;
	return *pattern == '\0';
}

/*
 * The policy that decides about a table, or NULL.
 */
const MaintPolicy *
dbperf_maint_policy_for(const MaintPolicies *policies, const char *database, const char *schema,
						const char *table)
{
	for (int i = 0; i < policies->num_policies; i++)
	{
		const MaintPolicy *policy = &policies->policies[i];

		if (like(database, policy->database_pattern) && like(schema, policy->schema_pattern) &&
			like(table, policy->table_pattern))
			return policy;
	}
	return NULL;
}

/* Whether a pattern matches whatever name there is. */
static bool
matches_all(const char *pattern)
{
	return strspn(pattern, "%") == strlen(pattern);
}

/*
 * Whether there may be work in a database: false if the best policy that covers
 * every table of it disables it, and no better one enables any of its tables.
 */
bool
dbperf_maint_database_enabled(const MaintPolicies *policies, const char *database)
{
	for (int i = 0; i < policies->num_policies; i++)
	{
		const MaintPolicy *policy = &policies->policies[i];

		if (!like(database, policy->database_pattern))
			continue;
		if (policy->enabled)
			return true;
		if (matches_all(policy->schema_pattern) && matches_all(policy->table_pattern))
			return false;
	}
	return true;
}
