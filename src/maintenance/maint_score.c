/*-------------------------------------------------------------------------
 *
 * maint_score.c
 *		When a table is worth a VACUUM, and what the items of a plan have in
 *		common.
 *
 * Autovacuum waits for a fifth of the table.  Here dead rows count against the
 * square root of its size as well, so that a big table is vacuumed often and
 * shortly; how often is bounded by how long it takes (maint_gate.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/transam.h"
#include "catalog/pg_class.h"
#include "maintenance/maint_facts.h"
#include "miscadmin.h"
#include "postmaster/autovacuum.h"

/* A smaller gap in the visibility map is not worth a VACUUM. */
#define MIN_GAP_PAGES 64

/* The share of a table's pages that is, without and with users of its indexes. */
#define GAP_SHARE 0.05
#define GAP_SHARE_SCANNED 0.01

/*
 * Changed rows from which on a table of that many rows is worth an action, at
 * the latest.
 */
double
dbperf_maint_own_threshold(double rows)
{
	return 50 + 10 * sqrt(Max(rows, 0));
}

/*
 * An item about a table itself, without command, reason and estimates.
 */
MaintItem *
dbperf_maint_new_item(const MaintFacts *facts, MaintRelation *table, MaintAction action,
					  double score)
{
	MaintItem *item = palloc0(sizeof(MaintItem));

	item->table = table->oid;
	item->object = table->oid;
	item->object_name = dbperf_maint_qualified_name(table);
	item->action = action;
	item->score = score;
	item->window_end = DT_NOEND;
	item->before.known = true;
	item->before.dead_rows = table->stats.dead;
	item->before.size = (int64) (dbperf_maint_pages(table) * BLCKSZ);
	item->before.age = -1;
	if (TransactionIdIsNormal(table->frozenxid))
		item->before.age = Max((int32) (facts->next_xid - table->frozenxid), 0);
	return item;
}

/*
 * What is remembered of an action on a relation of this database.
 */
void
dbperf_maint_remember_table(Oid table, MaintAction action, MaintMemory *memory)
{
	MaintMemoryKey key;

	memset(&key, 0, sizeof(key));
	key.database = MyDatabaseId;
	key.relation = table;
	key.action = action;
	(void) dbperf_maint_remember(&key, memory);
}

/*
 * Estimated pages that are in the way of index-only scans: rows that came in
 * since the last VACUUM filled them.
 */
static double
visibility_gap(MaintRelation *table)
{
	double pages = dbperf_maint_pages(table);
	double rows = table->rows;
	double rows_pages = table->pages_then;
	double per_page;

	if (rows <= 0 || rows_pages <= 0)
	{
		rows = Max(table->stats.live, table->stats.inserted_since_vacuum);
		rows_pages = pages;
	}
	if (rows <= 0 || rows_pages <= 0)
		return 0;
	per_page = Max(rows / rows_pages, 1);
	return Max(Min(table->stats.inserted_since_vacuum / per_page, pages - table->visible), 0);
}

/* Whether anybody has ever scanned an index of the table. */
static bool
indexes_scanned(const MaintRelation *table)
{
	for (const MaintRelation *index = table->children; index != NULL; index = index->sibling)
	{
		DbperfRelationStats stats;

		if (dbperf_relation_stats(table->shared ? InvalidOid : MyDatabaseId, index->oid, &stats) &&
			stats.scans > 0)
			return true;
	}
	return false;
}

/* Whether inserted rows alone are never a reason, as in autovacuum. */
static bool
inserts_disabled(const MaintRelation *table)
{
	int threshold = autovacuum_vac_ins_thresh;

	if (table->options != NULL && table->options->vacuum_ins_threshold >= -1)
		threshold = table->options->vacuum_ins_threshold;
	return threshold < 0;
}

/*
 * Pages that the last VACUUM had to leave out of the visibility map, since an
 * older snapshot was open, and that another one could put there now.
 */
static double
hidden_pages(MaintFacts *facts, MaintRelation *table)
{
	MaintMemory	  memory;
	TransactionId horizon;

	dbperf_maint_remember_table(table->oid, MAINT_VACUUM, &memory);
	if (memory.invisible < MIN_GAP_PAGES || !TransactionIdIsNormal(memory.next_xid))
		return 0;
	horizon = dbperf_maint_table_horizon(facts, table->oid);
	if (!TransactionIdIsNormal(horizon) || TransactionIdPrecedes(horizon, memory.next_xid))
	{
		facts->waits_for_horizon = true;
		return 0;
	}
	return Max(Min(memory.invisible, dbperf_maint_pages(table) - table->visible), 0);
}

/*
 * The score of the visibility map's gap.  Nobody scans the index of a TOAST
 * table alone, so it has none.
 */
static double
score_gap(MaintFacts *facts, MaintRelation *table, double *gap, double *limit)
{
	*gap = 0;
	*limit = MIN_GAP_PAGES;
	if (table->kind == RELKIND_TOASTVALUE || inserts_disabled(table))
		return 0;
	*gap = hidden_pages(facts, table);
	if (table->stats.inserted_since_vacuum >= MIN_GAP_PAGES)
		*gap = Max(*gap, visibility_gap(table));
	*limit = Max(MIN_GAP_PAGES, GAP_SHARE * dbperf_maint_pages(table));
	if (*gap >= MIN_GAP_PAGES && *gap < *limit && indexes_scanned(table))
		*limit = Max(MIN_GAP_PAGES, GAP_SHARE_SCANNED * dbperf_maint_pages(table));
	return *gap / *limit;
}

/* Why the gap is there, in words. */
static char *
gap_reason(MaintFacts *facts, MaintRelation *table, double gap, double limit)
{
	double pages = dbperf_maint_pages(table);

	if (gap <= hidden_pages(facts, table))
		return psprintf("visibility map: about %.0f of %.0f pages were left out by the last "
						"VACUUM, since an older snapshot was open then, due from %.0f on",
						gap, pages, ceil(limit));
	return psprintf("inserted rows: " INT64_FORMAT " since the last VACUUM, on about %.0f of %.0f "
					"pages that are not known to be visible to all, due from %.0f on",
					table->stats.inserted_since_vacuum, gap, pages, ceil(limit));
}

/*
 * The command.  Cutting off empty pages at the end takes an exclusive lock, so
 * it waits for a window.  Indexes that the last ones have left alone, for there
 * was little to do, are cleaned up when the dead rows come again.
 */
static char *
vacuum_command(const MaintFacts *facts, const MaintRelation *table, const char *name,
			   double dead_score)
{
	MaintMemory memory;
	bool		clean;

	dbperf_maint_remember_table(table->oid, MAINT_VACUUM, &memory);
	clean = memory.bypassed >= 1 && dead_score >= 1 &&
			table->cleanup == STDRD_OPTION_VACUUM_INDEX_CLEANUP_AUTO;
	return psprintf("VACUUM (SKIP_LOCKED, %sPROCESS_TOAST off%s) %s",
					facts->window_open ? "" : "TRUNCATE off, ", clean ? ", INDEX_CLEANUP on" : "",
					name);
}

/*
 * The VACUUM of a table, if its score is at least min_score, else NULL.
 */
MaintItem *
dbperf_maint_score_vacuum(MaintFacts *facts, MaintRelation *table, double min_score)
{
	double	   rows = Max(table->rows, 0);
	double	   limit;
	double	   gap;
	double	   gap_limit;
	double	   dead_score;
	double	   gap_score;
	MaintItem *item;

	if (table->kind == RELKIND_PARTITIONED_TABLE)
		return NULL;
	limit = dbperf_autovacuum_threshold(table->options, rows);
	limit = Max(Min(limit, dbperf_maint_own_threshold(rows)), 1);
	dead_score = table->stats.dead / limit;
	gap_score = score_gap(facts, table, &gap, &gap_limit);
	if (Max(dead_score, gap_score) < min_score)
		return NULL;

	item = dbperf_maint_new_item(facts, table, MAINT_VACUUM, Max(dead_score, gap_score));
	if (dead_score >= gap_score)
		item->reason =
			psprintf("dead rows: " INT64_FORMAT " of " INT64_FORMAT ", due from %.0f on",
					 table->stats.dead, table->stats.live + table->stats.dead, ceil(limit));
	else
		item->reason = gap_reason(facts, table, gap, gap_limit);
	item->command = vacuum_command(facts, table, item->object_name, dead_score);
	item->est_pages = Max(dbperf_maint_pages(table) - table->visible, 1);
	/* with few dead rows the indexes are left alone */
	if (table->stats.dead > 0)
		item->est_pages += dbperf_maint_index_pages(table);
	return item;
}
