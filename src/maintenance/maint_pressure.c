/*-------------------------------------------------------------------------
 *
 * maint_pressure.c
 *		Where there is work: the databases and the counters of their relations,
 *		seen from the launcher.
 *
 * The shared statistics have the counters of all databases, and a process
 * without a database can read them.  What it cannot know (relation sizes,
 * reloptions, what is analyzed) it leaves to the worker: here a relation is
 * only "over" when it could be due by the lowest threshold there is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/multixact.h"
#include "access/transam.h"
#include "catalog/pg_statistic_d.h"
#include "catalog/pg_statistic_ext_data_d.h"
#include "core/core.h"
#include "maintenance/maint_launcher.h"
#include "postmaster/autovacuum.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* What the counters of a database add up to. */
typedef struct Pressure
{
	Oid	   database; /* hash key, must be first */
	uint64 changes;	 /* rows */
	uint64 ddl;		 /* rows of catalogs, those of statistics left out */
	int	   over;	 /* relations */
} Pressure;

/*
 * Add a relation to its database.  Runs under a lock of the statistics: must
 * not fail, except for want of memory at a database's first relation.
 */
static void
add_relation(Oid database, Oid relid, const DbperfRelationStats *stats, void *arg)
{
	uint64	  changes = stats->inserted + stats->updated + stats->deleted;
	double	  threshold = 50 + 10 * sqrt(Max(stats->live, 0));
	bool	  found;
	Pressure *one = hash_search((HTAB *) arg, &database, HASH_ENTER, &found);

	if (!found)
	{
		one->changes = one->ddl = 0;
		one->over = 0;
	}
	one->changes += changes;
	/* a new index or column, say, has no statistics yet */
	if (relid < FirstNormalObjectId && relid != StatisticRelationId &&
		relid != StatisticExtDataRelationId)
		one->ddl += changes;
	if (stats->dead > threshold || stats->changed_since_analyze > threshold ||
		stats->inserted_since_vacuum > threshold)
		one->over++;
}

/* Whether the oldest transaction id of a database is due to be frozen. */
static bool
is_close_to_wraparound(const DbperfDatabase *database)
{
	TransactionId next = XidFromFullTransactionId(ReadNextFullTransactionId());
	MultiXactId	  next_multi = ReadNextMultiXactId();

	return (int32) (next - database->frozen_xid) > autovacuum_freeze_max_age ||
		   (int32) (next_multi - database->min_multi) > MultiXactMemberFreezeThreshold();
}

/*
 * Take over what was found.  Returns how many databases there was no room for.
 * Whether policies exclude one has been asked before: it allocates.
 */
static int
take_over(List *found, HTAB *pressures, const bool *enabled)
{
	int		  left_out = 0;
	int		  number = 0;
	ListCell *cell;

	LWLockAcquire(MAINT_LOCK, LW_EXCLUSIVE);
	for (int i = 0; i < MAINT_DATABASES; i++)
	{
		MaintDatabase *database = &dbperf_maint->databases[i];

		if (OidIsValid(database->oid) && dbperf_listed_database(found, database->oid) == NULL)
			database->oid = InvalidOid;
	}
	foreach (cell, found)
	{
		DbperfDatabase *one = lfirst(cell);
		Pressure	   *pressure = hash_search(pressures, &one->oid, HASH_FIND, NULL);
		MaintDatabase  *database = dbperf_maint_database(one->oid, true);
		bool			enable = enabled[number++];

		if (database == NULL)
		{
			left_out++;
			continue;
		}
		strlcpy(database->name, one->name, NAMEDATALEN);
		database->wraparound = is_close_to_wraparound(one);
		/* a worker in a template would be in the way of CREATE DATABASE */
		database->enabled = database->wraparound || (enable && !one->is_template);
		database->changes_now = pressure != NULL ? pressure->changes : 0;
		database->ddl_now = pressure != NULL ? pressure->ddl : 0;
		database->over = pressure != NULL ? pressure->over : 0;
	}
	LWLockRelease(MAINT_LOCK);
	return left_out;
}

/*
 * Look at all databases and the counters of their relations.  Outside a
 * transaction; an error has been reported, and then nothing has changed.
 */
void
dbperf_maint_scan(const MaintPolicies *policies)
{
	static bool told = false;
	HASHCTL		info = {.keysize = sizeof(Oid), .entrysize = sizeof(Pressure)};
	List	   *found;
	HTAB	   *pressures;
	bool	   *enabled;
	int			left_out;
	int			number = 0;
	ListCell   *cell;

	if (!dbperf_list_databases(&found))
		return;
	info.hcxt = CurrentMemoryContext;
	pressures = hash_create("dbperf maintenance", 64, &info, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	dbperf_scan_relation_stats(add_relation, pressures);

	enabled = palloc(sizeof(bool) * Max(list_length(found), 1));
	foreach (cell, found)
		enabled[number++] =
			dbperf_maint_database_enabled(policies, ((DbperfDatabase *) lfirst(cell))->name);
	left_out = take_over(found, pressures, enabled);
	if (left_out > 0 && !told)
		ereport(LOG,
				(errmsg("dbperf does not maintain %d databases", left_out),
				 errdetail("It maintains at most %d databases of a server.", MAINT_DATABASES)));
	told = left_out > 0;
}
