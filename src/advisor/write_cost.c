/*-------------------------------------------------------------------------
 *
 * write_cost.c
 *		What indexes cost those who write to their tables.
 *
 * The planner charges nothing for keeping indexes up to date.  Here one entry
 * costs what descending to its leaf costs the processor, a share of a page for
 * the dirtied leaf and its WAL, and a random page as often as the index does
 * not fit into the cache.  How many rows are written is known from the
 * workload's own statements, and from the table's statistics: what was written
 * per scan of the table since they were reset, times the scans in the workload.
 * (That needs no time base, and holds for a caller who sees only a part of the
 * workload.)
 *
 * What set the table up is no upkeep.  Of a recorded statement the times tell
 * whether it is over (see write_setup.c).  The statistics have no times: of them
 * is left out what the statements wrote that are over, or, since not all is
 * recorded (COPY is not), what fills the table as it is now SETUP_REPEATS times.
 * The larger account of the two sources holds.
 *
 * An update that changes no indexed column may be heap-only: it then costs the
 * indexes nothing.  An index on a column that is updated ends that for all
 * indexes of its table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "advisor/write_cost.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "pgstat.h"
#include "storage/lmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/syscache.h"

/* Pages' worth of work that a dirtied leaf and its WAL are, if all is cached. */
#define PAGES_PER_ENTRY 1.5
/* The same for a row of the table itself. */
#define PAGES_PER_ROW 2.0
/* An entry that has become dead is removed later, at this share of the cost. */
#define VACUUM_SHARE 0.25
/* Share of updates of unknown columns that is taken to change a given index. */
#define UNKNOWN_UPDATE_SHARE 0.5
/* Heap-only share of updates where statistics tell nothing. */
#define DEFAULT_HOT_SHARE 0.7
/* So often a table may have been loaded or updated as a whole to set it up. */
#define SETUP_REPEATS 2.0
/* Statistics that say more than this many rows per scan are not believed. */
#define MAX_WRITES_PER_SCAN 1000.0

/* Sums over a table, or all partitions of it, since statistics were reset. */
typedef struct TableCounters
{
	double inserts;
	double updates;
	double hot_updates;
	double deletes;
	double scans;
	double live; /* rows, if more than the catalog says */
	double dead;
} TableCounters;

/*
 * An empty account.  Lives in the current memory context.
 */
WriteCosts *
dbperf_write_costs_create(CostCache *cache)
{
	WriteCosts *writes = palloc0(sizeof(WriteCosts));

	writes->context = CurrentMemoryContext;
	writes->cache = cache;
	writes->scale = 1.0;
	return writes;
}

/* The account of a table; opens one if there is none. */
static TableWrites *
table_writes(WriteCosts *writes, Oid relid)
{
	MemoryContext caller;
	TableWrites	 *table;
	ListCell	 *lc;

	foreach (lc, writes->tables)
	{
		table = lfirst(lc);
		if (table->relid == relid)
			return table;
	}

	caller = MemoryContextSwitchTo(writes->context);
	table = palloc0(sizeof(TableWrites));
	table->relid = relid;
	table->hot = DEFAULT_HOT_SHARE;
	writes->tables = lappend(writes->tables, table);
	MemoryContextSwitchTo(caller);
	return table;
}

/* Columns as a set, numbered as pull_varattnos() does. */
static Bitmapset *
attrs_of_list(List *attnos)
{
	Bitmapset *attrs = NULL;
	ListCell  *lc;

	foreach (lc, attnos)
		attrs = bms_add_member(attrs, lfirst_int(lc) - FirstLowInvalidHeapAttributeNumber);
	return attrs;
}

/* Adds rows that an UPDATE of these columns changes. */
static void
add_known_update(WriteCosts *writes, TableWrites *table, Bitmapset *attrs, double rows)
{
	MemoryContext caller;
	KnownUpdate	 *update;
	ListCell	 *lc;

	foreach (lc, table->known_updates)
	{
		update = lfirst(lc);
		if (bms_equal(update->attrs, attrs))
		{
			update->rows += rows;
			return;
		}
	}

	caller = MemoryContextSwitchTo(writes->context);
	update = palloc(sizeof(KnownUpdate));
	update->attrs = attrs;
	update->rows = rows;
	table->known_updates = lappend(table->known_updates, update);
	MemoryContextSwitchTo(caller);
}

/* Notes what one ModifyTable node writes in "executions" executions. */
static void
note_modify(WriteCosts *writes, Subject *subject, PlannedStmt *plan, ModifyTable *modify,
			double executions)
{
	RangeTblEntry *rte = rt_fetch(modify->nominalRelation, plan->rtable);
	MemoryContext  caller;
	TableWrites	  *table;
	Write		  *write;

	if (rte->rtekind != RTE_RELATION)
		return;
	table = table_writes(writes, rte->relid);

	caller = MemoryContextSwitchTo(writes->context);
	write = palloc0(sizeof(Write));
	write->subject = subject;
	write->operation = modify->operation;
	write->rows = Max(outerPlan(modify)->plan_rows, 1.0) * executions;
	if (modify->operation == CMD_UPDATE)
		write->attrs = attrs_of_list(linitial(modify->updateColnosLists));
	if (modify->operation == CMD_INSERT)
		table->fillers = bms_add_member(table->fillers, subject->number);
	table->writes = lappend(table->writes, write);
	MemoryContextSwitchTo(caller);
}

/* Adds to a table's account what the workload's statements go on writing. */
static void
add_writes(WriteCosts *writes, TableWrites *table)
{
	ListCell *lc;

	foreach (lc, table->writes)
	{
		Write *write = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		if (dbperf_write_is_over(table, write->subject))
		{
			if (write->operation == CMD_INSERT)
				table->loaded += write->rows;
			continue;
		}
		switch (write->operation)
		{
			case CMD_INSERT:
				table->inserts += write->rows;
				break;
			case CMD_DELETE:
				table->deletes += write->rows;
				break;
			case CMD_UPDATE:
				add_known_update(writes, table, write->attrs, write->rows);
				break;
			default:
				/* MERGE: anything may happen to a row. */
				table->inserts += write->rows / 2;
				table->updates += write->rows / 2;
				break;
		}
	}
}

/*
 * PlanObserver: notes what a plan of the workload writes.
 */
void
dbperf_write_costs_observe(Subject *subject, PlannedStmt *plan, double share, void *arg)
{
	WriteCosts *writes = arg;
	double		executions = share * (subject->explicit_text ? 1.0 : subject->calls);
	ListCell   *lc;

	if (IsA(plan->planTree, ModifyTable))
		note_modify(writes, subject, plan, (ModifyTable *) plan->planTree, executions);
	/* WITH (INSERT ...) */
	foreach (lc, plan->subplans)
	{
		if (lfirst(lc) != NULL && IsA(lfirst(lc), ModifyTable))
			note_modify(writes, subject, plan, lfirst(lc), executions);
	}
}

/*
 * What one new entry costs in an index of this method and size.
 */
static double
entry_cost(Oid am, double bytes, double rows)
{
	double pages = Max(bytes / BLCKSZ, 1.0);
	double height = ceil(log(pages) / log(256.0));
	double missing = Min(pages / Max(effective_cache_size, 1), 1.0);
	double cost;

	cost = (log2(Max(rows, 2.0)) + (height + 1) * 50.0) * cpu_operator_cost;
	cost += PAGES_PER_ENTRY * seq_page_cost + missing * random_page_cost;

	switch (am)
	{
		case GIN_AM_OID:
			return cost * 5.0; /* many entries, though collected in a list first */
		case GIST_AM_OID:
		case SPGIST_AM_OID:
			return cost * 2.0; /* splits are expensive */
		case BRIN_AM_OID:
			return cost * 0.02; /* one entry serves a range of pages */
		default:
			return cost;
	}
}

/* Columns that a definition depends on, numbered as pull_varattnos() does. */
static Bitmapset *
attrs_of_def(const IndexDef *def)
{
	Bitmapset *attrs = NULL;

	for (int i = 0; i < def->ncolumns; i++)
	{
		const IndexColumn *column = &def->columns[i];

		if (column->expr != NULL)
			pull_varattnos(column->expr, 1, &attrs);
		else
			attrs = bms_add_member(attrs, column->attno - FirstLowInvalidHeapAttributeNumber);
	}
	pull_varattnos((Node *) def->predicate, 1, &attrs);
	return attrs;
}

/* What a statistics function says of a table; the struct differs by release. */
static double
stat_count(PGFunction function, Oid relid)
{
	return (double) DatumGetInt64(DirectFunctionCall1(function, ObjectIdGetDatum(relid)));
}

/* Adds the size and the counters of one table without children. */
static void
add_leaf(TableWrites *table, TableCounters *counters, Oid relid, bool first)
{
	HeapTuple			 tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	PgStat_StatTabEntry *stats = pgstat_fetch_stat_tabentry(relid);
	ListCell			*lc;
	double				 rows = 0;

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);

		rows = Max(form->reltuples, 0);
		table->rows += rows;
		table->pages += form->relpages;
		ReleaseSysCache(tuple);
	}
	if (stats != NULL)
	{
		counters->inserts += stats->tuples_inserted;
		counters->updates += stats->tuples_updated;
		counters->hot_updates += stats->tuples_hot_updated;
		counters->deletes += stats->tuples_deleted;
		counters->scans += stats->numscans;
		counters->live += stat_count(pg_stat_get_live_tuples, relid);
		counters->dead += stat_count(pg_stat_get_dead_tuples, relid);
	}

	foreach (lc, dbperf_real_indexes(relid))
	{
		RealIndex *index = lfirst(lc);

		counters->scans += index->scans;
		/* All partitions are taken to have the same indexes. */
		if (first && index->def != NULL)
		{
			table->existing += entry_cost(index->def->am, (double) index->bytes, rows);
			table->existing_attrs =
				bms_add_members(table->existing_attrs, attrs_of_def(index->def));
		}
	}
}

/*
 * Rows written for each scan of the table that is not a write's own; 0 if the
 * statistics do not tell.  What was written to set the table up is left out.
 */
static double
writes_per_scan(const TableCounters *counters, const TableWrites *table, TableCounters *out)
{
	double own = counters->updates + counters->deletes;
	double scans = counters->scans;

	double setup = SETUP_REPEATS * Max(table->rows, counters->live) + counters->dead;

	*out = *counters;
	out->inserts = Max(counters->inserts - Max(setup, table->loaded), 0);
	if (scans < own * 0.5)
	{
		/* Many rows at once, not one by one. */
		out->updates = Max(counters->updates - setup, 0);
		out->deletes = Max(counters->deletes - setup, 0);
		own = 0;
	}
	scans = Max(scans - own, Max(scans * 0.01, 1.0));
	if (counters->scans < 1)
		return 0;
	return Min((out->inserts + out->updates + out->deletes) / scans, MAX_WRITES_PER_SCAN);
}

/* How often the workload reads the table without writing to it. */
static double
reads_of_table(WriteCosts *writes, Oid relid)
{
	double reads = 0;

	for (int i = 0; i < writes->cache->nsubjects; i++)
	{
		SubjectCosts *costs = &writes->cache->subjects[i];

		if (list_member_oid(costs->tables, relid))
			reads += costs->subject->explicit_text ? 1.0 : costs->subject->calls;
	}
	return reads;
}

/*
 * Raises the account of a table to what its statistics say, if that is more
 * than the workload's own statements do.
 */
static void
add_counters(WriteCosts *writes, TableWrites *table, const TableCounters *counters)
{
	TableCounters regular;
	double		  ratio = writes_per_scan(counters, table, &regular);
	double		  total = regular.inserts + regular.updates + regular.deletes;
	double		  known = table->updates;
	double		  written;
	ListCell	 *lc;

	if (counters->updates >= 1)
		table->hot = Min(counters->hot_updates / counters->updates, 1.0);
	if (ratio <= 0 || total <= 0)
		return;

	written = ratio * reads_of_table(writes, table->relid);
	foreach (lc, table->known_updates)
		known += ((KnownUpdate *) lfirst(lc))->rows;
	table->inserts = Max(table->inserts, written * regular.inserts / total);
	table->deletes = Max(table->deletes, written * regular.deletes / total);
	table->updates += Max(written * regular.updates / total - known, 0);
}

/* Fills in what the catalogs and statistics say of a table. */
static void
describe(WriteCosts *writes, TableWrites *table)
{
	MemoryContext scratch =
		AllocSetContextCreate(CurrentMemoryContext, "dbperf writes", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(scratch);
	TableCounters counters = {0};
	List		 *leaves = NIL;
	ListCell	 *lc;
	bool		  first = true;

	/* Whoever holds the lock may be dropping the table: do without, then. */
	if (ConditionalLockRelationOid(table->relid, AccessShareLock))
	{
		if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(table->relid)))
			leaves = find_all_inheritors(table->relid, NoLock, NULL);
		UnlockRelationOid(table->relid, AccessShareLock);
	}
	foreach (lc, leaves)
	{
		CHECK_FOR_INTERRUPTS();
		add_leaf(table, &counters, lfirst_oid(lc), first);
		if (table->rows > 0)
			first = false;
	}
	add_writes(writes, table);
	add_counters(writes, table, &counters);
	table->described = true;

	MemoryContextSwitchTo(writes->context);
	table->existing_attrs = bms_copy(table->existing_attrs);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(scratch);
}

/* Adds a subject to those of a table that use it, unless it only fills it. */
static void
add_user(WriteCosts *writes, Oid relid, Subject *subject)
{
	TableWrites	 *table = table_writes(writes, relid);
	MemoryContext caller = MemoryContextSwitchTo(writes->context);

	if (!bms_is_member(subject->number, table->fillers))
		table->users = lappend(table->users, subject);
	MemoryContextSwitchTo(caller);
}

/*
 * Makes the account ready for dbperf_write_cost_of(), once all subjects were
 * observed, have their cost and know their tables.
 */
void
dbperf_write_costs_finish(WriteCosts *writes, Workload *workload)
{
	double	  ms = 0;
	double	  cost = 0;
	ListCell *lc;

	for (int i = 0; i < writes->cache->nsubjects; i++)
	{
		SubjectCosts *costs = &writes->cache->subjects[i];

		foreach (lc, costs->tables)
			add_user(writes, lfirst_oid(lc), costs->subject);
		if (costs->active)
		{
			ms += costs->subject->total_ms;
			cost += costs->subject->calls * costs->subject->cost_before;
		}
	}

	/* Recorded workloads are counted in milliseconds. */
	if (!workload->explicit_texts && cost > 0)
		writes->scale = Min(Max(ms / cost, 0.0001), 1.0);

	foreach (lc, writes->tables)
		describe(writes, lfirst(lc));
}

/*
 * Size of a table with its partitions, in pages.
 */
double
dbperf_table_pages(WriteCosts *writes, Oid relid)
{
	TableWrites *table = table_writes(writes, relid);

	if (!table->described)
		describe(writes, table);
	return table->pages;
}

/* Fills in what is needed of a candidate. */
static void
describe_candidate(WriteCosts *writes, int id)
{
	HypoIndex	*index = writes->cache->whatif->indexes[id];
	TableWrites *table = table_writes(writes, index->def->relid);
	double		 rows;
	double		 share = 1.0;

	if (id >= writes->nindexes)
	{
		int			  room = Max(writes->cache->whatif->nindexes, 2 * writes->nindexes);
		MemoryContext caller = MemoryContextSwitchTo(writes->context);
		double		 *units = palloc(sizeof(double) * room);
		Bitmapset	**attrs = palloc0(sizeof(Bitmapset *) * room);

		for (int i = 0; i < room; i++)
		{
			units[i] = i < writes->nindexes ? writes->units[i] : -1;
			attrs[i] = i < writes->nindexes ? writes->attrs[i] : NULL;
		}
		writes->units = units;
		writes->attrs = attrs;
		writes->nindexes = room;
		MemoryContextSwitchTo(caller);
	}
	if (writes->units[id] >= 0)
		return;

	if (!table->described)
		describe(writes, table);
	rows = Max(table->rows, 1.0);
	/* A partial index gets few of the rows. */
	if (index->def->predicate != NIL)
		share = Min(Max((double) index->bytes / (rows * 20.0), 0.001), 1.0);
	writes->units[id] = share * entry_cost(index->def->am, (double) index->bytes, rows);

	if (writes->attrs[id] == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(writes->context);

		writes->attrs[id] = attrs_of_def(index->def);
		MemoryContextSwitchTo(caller);
	}
}

/*
 * What the indexes of one table in "set" add, in the planner's units: "units"
 * is what one row costs in all of them, "attrs" the columns in them.
 */
static double
table_cost(const TableWrites *table, double units, const Bitmapset *attrs)
{
	double	  entries;
	double	  cost;
	ListCell *lc;

	entries = table->inserts + VACUUM_SHARE * table->deletes;
	entries +=
		(1.0 + VACUUM_SHARE) * table->updates * (1.0 - table->hot * (1.0 - UNKNOWN_UPDATE_SHARE));
	cost = entries * units;

	foreach (lc, table->known_updates)
	{
		KnownUpdate *update = lfirst(lc);
		double		 rows = (1.0 + VACUUM_SHARE) * update->rows;

		if (bms_overlap(update->attrs, table->existing_attrs))
			cost += rows * units;
		else if (bms_overlap(update->attrs, attrs))
			cost += rows * (units + table->hot * table->existing);
		else
			cost += rows * units * (1.0 - table->hot);
	}
	return cost;
}

/*
 * What keeping all indexes in the set up to date costs the workload, in the
 * units of the objective.
 */
double
dbperf_write_cost_of(WriteCosts *writes, const Bitmapset *set)
{
	double	  cost = 0;
	ListCell *lc;
	int		  id = -1;

	while ((id = bms_next_member(set, id)) >= 0)
		describe_candidate(writes, id);

	foreach (lc, writes->tables)
	{
		TableWrites *table = lfirst(lc);
		Bitmapset	*attrs = NULL;
		double		 units = 0;

		id = -1;
		while ((id = bms_next_member(set, id)) >= 0)
		{
			if (writes->cache->whatif->indexes[id]->def->relid == table->relid)
			{
				units += writes->units[id];
				attrs = bms_add_members(attrs, writes->attrs[id]);
			}
		}
		if (units > 0)
			cost += table_cost(table, units, attrs);
		bms_free(attrs);
	}
	return cost * writes->scale;
}

/* Rows that the workload writes to a table. */
static double
rows_written(const TableWrites *table)
{
	double	  rows = table->inserts + table->deletes + table->updates;
	ListCell *lc;

	foreach (lc, table->known_updates)
		rows += ((KnownUpdate *) lfirst(lc))->rows;
	return rows;
}

/*
 * Rows that the workload writes to the table of a candidate, as far as they are
 * upkeep.
 */
double
dbperf_write_rows(WriteCosts *writes, int id)
{
	describe_candidate(writes, id);
	return rows_written(table_writes(writes, writes->cache->whatif->indexes[id]->def->relid));
}

/*
 * How much dearer the index makes writing to its table, in percent of what a
 * row costs there now with its real indexes.
 */
double
dbperf_write_overhead_pct(WriteCosts *writes, int id)
{
	TableWrites *table = table_writes(writes, writes->cache->whatif->indexes[id]->def->relid);
	double		 per_row;
	double		 rows;
	double		 added;

	describe_candidate(writes, id);
	per_row = PAGES_PER_ROW * seq_page_cost + table->existing;
	rows = rows_written(table);

	/* Nothing is known of its writes: what an INSERT would say. */
	if (rows <= 0)
		added = writes->units[id];
	else
		added = table_cost(table, writes->units[id], writes->attrs[id]) / rows;
	return 100.0 * added / per_row;
}
