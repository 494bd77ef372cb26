/*-------------------------------------------------------------------------
 *
 * maint_leftover.c
 *		Drops what a rebuild of ours has left behind, and nothing else.
 *
 * REINDEX CONCURRENTLY makes a new index, named like the old one with _ccnew,
 * in a first transaction, fills it in others, swaps the names (the old one has
 * _ccold then) and drops the old one.  If it fails in between, or the server
 * crashes, an invalid index stays.  Anybody may have left one, so a name proves
 * nothing: a row in maintenance_leftovers does, which is written by the very
 * transaction that makes the new index.
 *
 * The row is inserted when that transaction is about to commit, where a
 * statement may still run: an object access hook has noted the index, and an
 * error makes the command fail before there is anything to leave behind.  Hook
 * and callback exist only in a worker that has rebuilt something.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/index.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "core/core.h"
#include "executor/spi.h"
#include "maintenance/maint_index.h"
#include "maintenance/maint_spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

/* The most that dropping waits for others, in all (ms); what fails is tried again. */
#define DROP_WAIT 600

static object_access_hook_type prev_object_access = NULL;
static bool					   installed = false;

/* The index that is being rebuilt until its copy is noted, and its table. */
static Oid rebuilding = InvalidOid;
static Oid rebuilding_table = InvalidOid;

/* The last relation that this transaction has made meanwhile. */
static Oid created = InvalidOid;

static const char insert_row[] =
	"INSERT INTO dbperf.maintenance_leftovers"
	" (index_oid, table_oid, old_index_oid, index_name, created)"
	" VALUES ($1, $2, $3, $4, pg_catalog.now())"
	" ON CONFLICT (index_oid) DO UPDATE SET table_oid = excluded.table_oid,"
	" old_index_oid = excluded.old_index_oid, index_name = excluded.index_name,"
	" created = excluded.created";

static const char select_rows[] = "SELECT index_oid, table_oid, old_index_oid"
								  " FROM dbperf.maintenance_leftovers ORDER BY index_oid";

static const char delete_row[] = "DELETE FROM dbperf.maintenance_leftovers WHERE index_oid = $1";

/* A row, and how to drop what it is about. */
typedef struct Leftover
{
	Oid		  index;
	Oid		  table;
	Oid		  old_index;
	LockRelId locks[2]; /* held by the session: the table, the index that goes */
	char	 *command;
} Leftover;

/* A look at the rows; what it finds is in context. */
typedef struct LeftoverSearch
{
	MemoryContext context;
	Oid			  after; /* index of the last one that was found */
	Leftover	 *found; /* the next one to be dropped, or NULL */
} LeftoverSearch;

/* ---- noting ---- */

/*
 * Whether a name is one that REINDEX CONCURRENTLY gives: it ends in the suffix,
 * and maybe a number.
 */
static bool
has_suffix(const char *name, const char *suffix)
{
	size_t length = strlen(name);

	while (length > 0 && name[length - 1] >= '0' && name[length - 1] <= '9')
		length--;
	return length > strlen(suffix) &&
		   strncmp(name + length - strlen(suffix), suffix, strlen(suffix)) == 0;
}

/* Whether an index of the table is there, not valid, and has such a name. */
static bool
is_left_over(Oid index, Oid table, const char *suffix)
{
	HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	bool	  invalid = false;
	char	 *name;

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);

		invalid = form->indrelid == table && !form->indisvalid;
		ReleaseSysCache(tuple);
	}
	name = invalid ? get_rel_name(index) : NULL;
	return name != NULL && has_suffix(name, suffix);
}

/* Remember what this transaction makes while an index is rebuilt. */
static void
note_object(ObjectAccessType access, Oid class, Oid object, int subobject, void *arg)
{
	if (prev_object_access != NULL)
		prev_object_access(access, class, object, subobject, arg);
	if (access == OAT_POST_CREATE && class == RelationRelationId && subobject == 0 &&
		OidIsValid(rebuilding))
		created = object;
}

/* Insert the row of the copy that this transaction has made. */
static void
insert_leftover(Oid index)
{
	Oid		 types[] = {OIDOID, OIDOID, OIDOID, NAMEOID};
	Datum	 args[4];
	Oid		 table = dbperf_own_table(MAINT_LEFTOVER_TABLE);
	NameData name;
	MaintSpi session;

	if (!OidIsValid(table))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("table %s.%s does not exist", "dbperf", MAINT_LEFTOVER_TABLE)));
	namestrcpy(&name, get_rel_name(index));
	args[0] = ObjectIdGetDatum(index);
	args[1] = ObjectIdGetDatum(rebuilding_table);
	args[2] = ObjectIdGetDatum(rebuilding);
	args[3] = NameGetDatum(&name);

	PushActiveSnapshot(GetTransactionSnapshot());
	dbperf_maint_spi_open(table, &session);
	if (SPI_execute_with_args(insert_row, lengthof(types), types, args, NULL, false, 0) < 0)
		elog(ERROR, "could not note the copy of an index");
	dbperf_maint_spi_close(&session);
	PopActiveSnapshot();
}

/*
 * At the commit of the transaction that has made the copy: insert the row.
 * Whatever comes later in the same command is no copy of the index.
 */
static void
note_at_commit(XactEvent event, void *arg)
{
	Oid index = created;

	(void) arg;

	if (!OidIsValid(index))
		return;
	if (event == XACT_EVENT_PRE_COMMIT)
	{
		created = InvalidOid;
		if (!is_left_over(index, rebuilding_table, "_ccnew"))
			return;
		insert_leftover(index);
		rebuilding = InvalidOid;
	}
	else if (event == XACT_EVENT_ABORT)
		created = InvalidOid;
}

/*
 * Whether this database has the tables in which to note what a rebuild leaves
 * behind.  Called in a transaction.
 */
bool
dbperf_maint_can_reindex(void)
{
	return OidIsValid(dbperf_own_table(MAINT_LEFTOVER_TABLE)) &&
		   OidIsValid(dbperf_own_table(MAINT_DENSITY_TABLE));
}

/* A transaction's task: find the table of the index. */
static void
find_table(void *arg)
{
	rebuilding_table = IndexGetRelation(*(Oid *) arg, true);
}

/*
 * From now on note what REINDEX CONCURRENTLY of the index makes.  Called by a
 * worker outside a transaction, before that command.
 */
void
dbperf_maint_reindex_begin(Oid index)
{
	if (!installed)
	{
		prev_object_access = object_access_hook;
		object_access_hook = note_object;
		RegisterXactCallback(note_at_commit, NULL);
		installed = true;
	}
	created = InvalidOid;
	rebuilding_table = InvalidOid;
	(void) dbperf_worker_transaction("looking up an index", find_table, &index);
	rebuilding = index;
}

/* ---- dropping ---- */

/* Take a lock if nobody is in the way, and keep it for the session. */
static bool
lock_for_session(Oid relation, LockRelId *lock)
{
	lock->relId = relation;
	lock->dbId = MyDatabaseId;
	if (!ConditionalLockRelationOid(relation, ShareUpdateExclusiveLock))
		return false;
	LockRelationIdForSession(lock, ShareUpdateExclusiveLock);
	return true;
}

/* Release what lock_for_session() has taken. */
static void
unlock(LockRelId *lock)
{
	UnlockRelationIdForSession(lock, ShareUpdateExclusiveLock);
}

/*
 * Lock what dropping the index needs, so that its name still means it then, and
 * nobody waits for us while we wait for the locks.  Returns false if somebody
 * has one of them, such as a REINDEX that is at work.
 */
static bool
lock_leftover(Leftover *leftover, Oid index)
{
	if (!lock_for_session(leftover->table, &leftover->locks[0]))
		return false;
	if (lock_for_session(index, &leftover->locks[1]))
		return true;
	unlock(&leftover->locks[0]);
	return false;
}

/*
 * The index of a row that is left over, or InvalidOid.  The name of the new one
 * shows whether the two have been swapped.
 */
static Oid
left_over_of(const Leftover *leftover)
{
	if (is_left_over(leftover->index, leftover->table, "_ccnew"))
		return leftover->index;
	if (is_left_over(leftover->old_index, leftover->table, "_ccold"))
		return leftover->old_index;
	return InvalidOid;
}

/* The rows of the table, in the current memory context. */
static List *
read_leftovers(Oid table)
{
	MemoryContext context = CurrentMemoryContext;
	List		 *list = NIL;
	MaintSpi	  session;

	dbperf_maint_spi_open(table, &session);
	if (SPI_execute(select_rows, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read what rebuilds have left");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	  row = SPI_tuptable->vals[i];
		TupleDesc	  desc = SPI_tuptable->tupdesc;
		MemoryContext old = MemoryContextSwitchTo(context);
		Leftover	 *one = palloc0(sizeof(Leftover));
		bool		  isnull;

		one->index = DatumGetObjectId(SPI_getbinval(row, desc, 1, &isnull));
		one->table = DatumGetObjectId(SPI_getbinval(row, desc, 2, &isnull));
		one->old_index = DatumGetObjectId(SPI_getbinval(row, desc, 3, &isnull));
		list = lappend(list, one);
		MemoryContextSwitchTo(old);
	}
	dbperf_maint_spi_close(&session);
	return list;
}

/* Delete a row.  Called between dbperf_maint_spi_open() and close. */
static void
forget_leftover(Oid index)
{
	Oid	  types[] = {OIDOID};
	Datum args[] = {ObjectIdGetDatum(index)};

	if (SPI_execute_with_args(delete_row, lengthof(types), types, args, NULL, false, 0) < 0)
		elog(ERROR, "could not forget what a rebuild has left");
}

/* Whether the new index is there and valid: the rebuild has come that far. */
static bool
is_rebuilt(const Leftover *leftover)
{
	HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(leftover->index));
	bool	  valid = false;

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);

		valid = form->indrelid == leftover->table && form->indisvalid;
		ReleaseSysCache(tuple);
	}
	return valid;
}

/*
 * Take a row as the next one to be dropped, if nobody has a lock on it.  Its
 * name is asked for under the lock, since somebody may just have given it to
 * another index.
 */
static void
take_leftover(LeftoverSearch *search, Leftover *leftover, Oid index)
{
	char		 *schema;
	char		 *name;
	MemoryContext old;

	search->after = leftover->index;
	if (!lock_leftover(leftover, index))
		return;
	schema = get_namespace_name(get_rel_namespace(index));
	name = get_rel_name(index);
	if (schema == NULL || name == NULL || left_over_of(leftover) != index)
	{
		unlock(&leftover->locks[1]);
		unlock(&leftover->locks[0]);
		return;
	}
	old = MemoryContextSwitchTo(search->context);
	search->found = palloc(sizeof(Leftover));
	*search->found = *leftover;
	search->found->command =
		psprintf("DROP INDEX CONCURRENTLY %s", quote_qualified_identifier(schema, name));
	MemoryContextSwitchTo(old);
}

/*
 * A transaction's task: forget the rows that are done with, and find the next
 * index that is to be dropped.
 */
static void
look_for_leftovers(void *arg)
{
	LeftoverSearch *search = arg;
	Oid				table = dbperf_own_table(MAINT_LEFTOVER_TABLE);
	List		   *rows;
	MaintSpi		session;
	ListCell	   *cell;

	search->found = NULL;
	if (!OidIsValid(table) || !dbperf_maint_can_reindex())
		return;
	rows = read_leftovers(table);
	if (rows == NIL)
		return;

	dbperf_maint_spi_open(table, &session);
	foreach (cell, rows)
	{
		Leftover *one = lfirst(cell);
		Oid		  index = left_over_of(one);

		if (is_rebuilt(one))
			dbperf_maint_density_rebuilt(one->index);
		if (!OidIsValid(index))
			forget_leftover(one->index);
		else if (search->found == NULL && one->index > search->after)
			take_leftover(search, one, index);
	}
	dbperf_maint_spi_close(&session);
}

/*
 * Drop one index.  It waits neither for a lock nor for others' transactions for
 * long: users may be waiting for the lock on the table that it holds meanwhile.
 */
static void
drop_leftover(Leftover *one)
{
	bool dropped;

	enable_timeout_after(STATEMENT_TIMEOUT, DROP_WAIT);
	dropped = dbperf_worker_utility("dropping what a rebuild has left", one->command);
	disable_timeout(STATEMENT_TIMEOUT, false);
	/* it may have come too late */
	QueryCancelPending = false;

	/* an error has released the locks already */
	if (!dropped)
		return;
	unlock(&one->locks[1]);
	unlock(&one->locks[0]);
	ereport(LOG, (errmsg("dbperf has dropped an index that a rebuild of its own had left behind"),
				  errdetail("%s", one->command)));
}

/*
 * Drop the invalid indexes that rebuilds of ours have left in this database.
 * Called by a worker outside a transaction, at the beginning of a visit.  What
 * cannot be dropped now is tried again the next time.
 */
void
dbperf_maint_drop_leftovers(void)
{
	LeftoverSearch search = {CurrentMemoryContext, InvalidOid, NULL};

	if (RecoveryInProgress())
		return;
	/* the last look, which finds none, forgets those that are gone by then */
	while (dbperf_worker_transaction("looking for what rebuilds have left", look_for_leftovers,
									 &search) &&
		   search.found != NULL)
		drop_leftover(search.found);
}

/*
 * The command has ended, in whatever way: note what was achieved, and drop what
 * it has left.  Called by a worker outside a transaction; harmless without
 * dbperf_maint_reindex_begin().
 */
void
dbperf_maint_reindex_end(void)
{
	if (!installed)
		return;
	rebuilding = InvalidOid;
	created = InvalidOid;
	dbperf_maint_drop_leftovers();
}
