/*-------------------------------------------------------------------------
 *
 * drops.c
 *		Which indexes nobody needs, as far as the catalog and the server's
 *		counters tell.
 *
 * What an index does besides serving queries keeps it: constraints, replica
 * identity, CLUSTER, foreign keys, statistics of expressions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "advisor/drops.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_statistic_ext.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

/* One index of the table under examination. */
typedef struct IndexState
{
	RealIndex		  *real;
	bool			   keep; /* must not be dropped */
	bool			   removed;
	bool			   replaces; /* another one is removed because of it */
	DropReason		   reason;
	struct IndexState *by;
} IndexState;

/* All indexes of the table under examination. */
typedef struct TableState
{
	Oid			relid;
	int			count;
	IndexState *indexes;
} TableState;

/*
 * Whether something depends on the index that no other index can do.
 */
static bool
must_keep(const RealIndex *real)
{
	return real->primary || real->exclusion || real->constraint || real->replica_identity ||
		   real->clustered || real->partition ||
		   OidIsValid(getExtensionOfObject(RelationRelationId, real->oid));
}

/*
 * The indexes of a table, and which of them must stay.
 */
static void
read_table(TableState *table, Oid relid)
{
	List *reals = dbperf_real_indexes(relid);

	table->relid = relid;
	table->count = list_length(reals);
	table->indexes = palloc0(sizeof(IndexState) * Max(table->count, 1));
	for (int i = 0; i < table->count; i++)
	{
		IndexState *index = &table->indexes[i];

		index->real = list_nth(reals, i);
		index->keep = must_keep(index->real);
		if (index->real->leftover && !index->keep)
		{
			index->removed = true;
			index->reason = DROP_INVALID;
		}
		/* it may be unique only after it has become valid */
		index->keep |= index->real->unique;
	}
}

/*
 * The index that makes another one superfluous, or NULL: of two that serve the
 * same the one that must stay, or else the older.  If there are several, an
 * equal one, or else the smallest.
 */
static IndexState *
find_replacement(TableState *table, IndexState *index)
{
	IndexState *best = NULL;
	bool		best_equal = false;

	for (int i = 0; i < table->count; i++)
	{
		IndexState *other = &table->indexes[i];
		bool		equal;

		if (other == index || other->removed || !other->real->valid ||
			!dbperf_index_def_serves(other->real->def, index->real->def))
			continue;
		if (!other->keep && other->real->oid > index->real->oid &&
			dbperf_index_def_serves(index->real->def, other->real->def))
			continue;
		equal = dbperf_index_def_equal(other->real->def, index->real->def);
		if (best == NULL || (equal && !best_equal) ||
			(equal == best_equal && other->real->bytes < best->real->bytes))
		{
			best = other;
			best_equal = equal;
		}
	}
	return best;
}

/*
 * Removes the indexes that another one replaces, younger ones first.
 */
static void
remove_replaced(TableState *table)
{
	for (int i = table->count - 1; i >= 0; i--)
	{
		IndexState *index = &table->indexes[i];

		if (index->keep || index->removed || !index->real->valid)
			continue;
		index->by = find_replacement(table, index);
		index->removed = index->by != NULL;
	}

	/* what replaced it may have been removed as well since */
	for (int i = 0; i < table->count; i++)
	{
		IndexState *index = &table->indexes[i];

		while (index->by != NULL && index->by->removed)
			index->by = index->by->by;
		if (index->by == NULL)
			continue;
		index->by->replaces = true;
		if (dbperf_index_def_equal(index->by->real->def, index->real->def))
			index->reason = DROP_DUPLICATE;
		else
			index->reason = DROP_COVERED;
	}
}

/*
 * Whether some foreign key would lose columns that it can look up at once.
 */
static bool
serves_foreign_key_alone(TableState *table, IndexState *index)
{
	ListCell *lc;

	foreach (lc, dbperf_foreign_keys(table->relid))
	{
		ForeignKey *key = lfirst(lc);
		int			support = dbperf_foreign_key_support(key, index->real);
		int			others = 0;

		for (int i = 0; i < table->count; i++)
		{
			IndexState *other = &table->indexes[i];

			if (other != index && !other->removed)
				others = Max(others, dbperf_foreign_key_support(key, other->real));
		}
		if (support > others)
			return true;
	}
	return false;
}

/*
 * Expressions that extended statistics of a table are about.
 */
static List *
statistics_expressions(Oid relid)
{
	List	   *exprs = NIL;
	Relation	catalog = table_open(StatisticExtRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_statistic_ext_stxrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(catalog, StatisticExtRelidIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool  isnull;
		Datum datum =
			heap_getattr(tuple, Anum_pg_statistic_ext_stxexprs, RelationGetDescr(catalog), &isnull);

		if (!isnull)
			exprs = list_concat(exprs, (List *) stringToNode(TextDatumGetCString(datum)));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return exprs;
}

/*
 * Whether the planner knows how the expression's values are distributed from
 * somewhere else than the index.
 */
static bool
expression_has_statistics(TableState *table, IndexState *index, const Node *expr)
{
	ListCell *lc;

	for (int i = 0; i < table->count; i++)
	{
		IndexState *other = &table->indexes[i];
		IndexDef   *def = other->real->def;

		if (other == index || other->removed || !other->real->valid || def->predicate != NIL)
			continue;
		for (int j = 0; j < def->nkeys; j++)
		{
			if (def->columns[j].expr != NULL && dbperf_index_expr_equal(def->columns[j].expr, expr))
				return true;
		}
	}

	foreach (lc, statistics_expressions(table->relid))
	{
		if (dbperf_index_expr_equal(lfirst(lc), expr))
			return true;
	}
	return false;
}

/*
 * Whether the index is the only one that has statistics of some expression:
 * they help to plan queries that never scan it.
 */
static bool
has_statistics_alone(TableState *table, IndexState *index)
{
	IndexDef *def = index->real->def;

	for (int i = 0; i < def->nkeys; i++)
	{
		if (def->columns[i].expr != NULL &&
			!expression_has_statistics(table, index, def->columns[i].expr))
			return true;
	}
	return false;
}

/*
 * Since when the server has counted what it counts in this database.  After a
 * crash everything starts at zero, which only counters of the whole server
 * take down.
 */
static TimestampTz
counting_since(void)
{
	PgStat_StatDBEntry	 *database = pgstat_fetch_stat_dbentry(MyDatabaseId);
	PgStat_BgWriterStats *server = pgstat_fetch_stat_bgwriter();
	TimestampTz			  since = server->stat_reset_timestamp;

	if (database != NULL && database->stat_reset_timestamp > since)
		since = database->stat_reset_timestamp;
	return since;
}

/*
 * When the file of an index was made, as far as the file system knows; 0 if it
 * does not.  REINDEX and TRUNCATE make a new one.
 */
static TimestampTz
file_birth(Oid indexid)
{
#ifdef STATX_BTIME
	LOCAL_FCINFO(fcinfo, 1);
	struct statx st;
	Datum		 path;

	InitFunctionCallInfoData(*fcinfo, NULL, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = ObjectIdGetDatum(indexid);
	fcinfo->args[0].isnull = false;
	path = pg_relation_filepath(fcinfo);
	if (!fcinfo->isnull && statx(AT_FDCWD, TextDatumGetCString(path), 0, STATX_BTIME, &st) == 0 &&
		(st.stx_mask & STATX_BTIME) != 0)
		return time_t_to_timestamptz((pg_time_t) st.stx_btime.tv_sec);
#endif
	return 0;
}

/*
 * Since when scans of the index, or of the oldest of several, are counted: it
 * cannot have been scanned before it existed.
 */
static TimestampTz
scans_since(List *indexes)
{
	TimestampTz oldest = DT_NOEND;
	ListCell   *lc;

	foreach (lc, indexes)
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_INDEX)
			oldest = Min(oldest, file_birth(lfirst_oid(lc)));
	}
	return oldest == DT_NOEND ? counting_since() : Max(oldest, counting_since());
}

/*
 * The index, and those that belong to it if it is partitioned.
 */
static List *
index_family(const RealIndex *real)
{
	if (get_rel_relkind(real->oid) == RELKIND_PARTITIONED_INDEX)
		return find_all_inheritors(real->oid, NoLock, NULL);
	return list_make1_oid(real->oid);
}

/*
 * Removes the indexes that were not scanned since unused_before.  One that
 * replaces another one, maybe in a partition (replacing, OIDs), is going to be
 * scanned instead of that.
 */
static void
remove_unused(TableState *table, TimestampTz unused_before, List *replacing)
{
	/* without counting nothing is known */
	if (!pgstat_track_counts)
		return;

	for (int i = 0; i < table->count; i++)
	{
		IndexState *index = &table->indexes[i];
		List	   *family;

		if (index->keep || index->removed || index->replaces || !index->real->valid ||
			index->real->scans > 0)
			continue;
		family = index_family(index->real);
		if (scans_since(family) > unused_before || dbperf_oids_overlap(family, replacing))
			continue;
		if (serves_foreign_key_alone(table, index) || has_statistics_alone(table, index))
			continue;
		index->removed = true;
		index->reason = DROP_UNUSED;
	}
}

/*
 * The removed index as a proposal.
 */
static DropProposal *
make_proposal(IndexState *index)
{
	DropProposal *proposal = palloc0(sizeof(DropProposal));
	ListCell	 *lc;

	proposal->real = index->real;
	proposal->reason = index->reason;
	proposal->replaced_by = index->by != NULL ? index->by->real : NULL;
	proposal->indexes = index_family(index->real);
	proposal->since = scans_since(proposal->indexes);
	foreach (lc, proposal->indexes)
		proposal->tables = lappend_oid(proposal->tables, IndexGetRelation(lfirst_oid(lc), true));
	return proposal;
}

/*
 * What may be dropped of one table.  Adds the indexes that replace others to
 * *replacing, in the memory context "result".
 */
static List *
table_proposals(Oid relid, TimestampTz unused_before, List **replacing, MemoryContext result)
{
	List	  *proposals = NIL;
	TableState table;

	read_table(&table, relid);
	remove_replaced(&table);
	remove_unused(&table, unused_before, *replacing);
	for (int i = 0; i < table.count; i++)
	{
		if (table.indexes[i].removed)
			proposals = lappend(proposals, make_proposal(&table.indexes[i]));
		if (table.indexes[i].replaces)
		{
			MemoryContext old = MemoryContextSwitchTo(result);

			*replacing = lappend_oid(*replacing, table.indexes[i].real->oid);
			MemoryContextSwitchTo(old);
		}
	}
	return proposals;
}

/*
 * What may be dropped of the tables that the caller may see, as DropProposal.
 * Definitions are big and tables may be many: those of a table are kept only
 * if something is proposed for it.
 */
List *
dbperf_drop_proposals(TimestampTz unused_before)
{
	List		 *proposals = NIL;
	List		 *replacing = NIL;
	MemoryContext result = CurrentMemoryContext;
	ListCell	 *lc;

	/* partitions come before their parents, whose indexes include theirs */
	foreach (lc, dbperf_tables_visible())
	{
		MemoryContext context =
			AllocSetContextCreate(result, "dbperf index drops", ALLOCSET_SMALL_SIZES);
		List *found;

		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(context);
		found = table_proposals(lfirst_oid(lc), unused_before, &replacing, result);
		MemoryContextSwitchTo(result);

		if (found == NIL)
			MemoryContextDelete(context);
		else
			proposals = list_concat(proposals, found);
	}
	return proposals;
}
