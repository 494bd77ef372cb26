/*-------------------------------------------------------------------------
 *
 * maint_index_items.c
 *		What there is to do for indexes: rebuild, clean GIN's pending lists,
 *		summarize BRIN's new ranges, and drop what others have left.
 *
 * An index is bloated if it has twice the pages that its rows need.  What they
 * need is known from the index itself when it was at its best (maint_density.c)
 * and, of B-trees, from a sample of its pages.  The sample has the last word: an
 * index whose pages are full has become longer rows, not bloat.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_am.h"
#include "core/core.h"
#include "maintenance/maint_index.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* A rebuild is due from twice the pages needed on, and of no use below that. */
#define BLOAT_DUE 2.0
#define BLOAT_NONE 1.3

/* An index that we have rebuilt is left alone that long (ms): it bloats again. */
#define REBUILT_WAIT (INT64CONST(24) * 3600 * 1000)

/* It needs itself, as much to sort, and as much WAL. */
#define SPACE_FACTOR 3

/* Indexes that one call looks into, since nobody has before; and of GIN and BRIN. */
#define SAMPLES_MOST 20
#define PROBES_MOST 1000

/* The pending list is cleaned from that part of its limit on. */
#define PENDING_PART 0.25

/* What BRIN leaves without a summary. */
#define RANGES_DUE 4.0
#define RANGES_PART_DUE 0.01

/* What one call has left to spend, and what it has found out. */
typedef struct Round
{
	int	 samples;
	int	 probes;
	bool can_reindex;
	bool rebuilding; /* some worker of the server rebuilds an index */
	bool of_table;	 /* only one table is asked for: small indexes count, too */
} Round;

/* Whether a worker of ours rebuilds an index, in any database. */
static bool
somebody_rebuilds(void)
{
	bool found = false;

	if (dbperf_maint == NULL)
		return false;
	LWLockAcquire(MAINT_LOCK, LW_SHARED);
	for (int i = 0; i < MAINT_SLOTS && !found; i++)
	{
		const MaintSlot *slot = &dbperf_maint->slots[i];

		found = slot->state == MAINT_SLOT_WORKING && slot->pid != 0 &&
				slot->record.action == MAINT_REINDEX;
	}
	LWLockRelease(MAINT_LOCK);
	return found;
}

/* An item of an index, without command, score and reason. */
static MaintItem *
new_item(const MaintIndex *index, MaintAction action)
{
	MaintItem *item = palloc0(sizeof(MaintItem));

	item->table = index->table;
	item->object = index->index;
	item->object_name = quote_qualified_identifier(index->schema, index->name);
	item->action = action;
	item->window_end = DT_NOEND;
	item->before.known = true;
	item->before.size = (int64) (index->pages * BLCKSZ);
	item->before.age = -1;
	return item;
}

/* A call of a function of the server with an index. */
static char *
function_call(const char *function, const MaintItem *item)
{
	return psprintf("SELECT pg_catalog.%s(%s::pg_catalog.regclass)", function,
					quote_literal_cstr(item->object_name));
}

/* ---- rebuild ---- */

/* Whether rebuilding indexes of this kind makes them smaller, at a fair price. */
static bool
method_bloats(Oid method)
{
	switch (method)
	{
		case BTREE_AM_OID:
		case HASH_AM_OID:
		case GIST_AM_OID:
		case GIN_AM_OID:
		case SPGIST_AM_OID:
			return true;
		default:
			return false; /* BRIN is small, and others' may take days */
	}
}

/* Bytes for a row now, 0 = not known.  That few rows need little, but not nothing. */
static double
bytes_per_row(const MaintIndex *index)
{
	return index->rows >= 0 ? index->pages * BLCKSZ / Max(index->rows, MAINT_DENSITY_ROWS) : 0;
}

/* How many times as many pages for a row as at its best, 0 = not known. */
static double
bloat_by_best(const MaintIndex *index)
{
	return index->best > 0 ? bytes_per_row(index) / index->best : 0;
}

/*
 * Sample a B-tree of which there is no sample, or one that was good before
 * something has happened.
 */
static void
sample_if_needed(MaintIndex *index, Round *round)
{
	if (index->method != BTREE_AM_OID || round->samples <= 0 ||
		(index->bloat > 0 && (index->bloat >= BLOAT_NONE || bloat_by_best(index) < BLOAT_DUE)))
		return;
	round->samples--;
	index->bloat = dbperf_maint_sample_btree(index->index);
}

/* Fill in the reason and return how many pages there are for each one needed. */
static double
judge_bloat(const MaintIndex *index, char **reason)
{
	double by_best = bloat_by_best(index);
	double bloat = index->bloat;

	if (by_best > bloat && (bloat == 0 || bloat >= BLOAT_NONE))
	{
		*reason = psprintf("%.0f pages for %.0f rows, %.1f times as many as when the index was at "
						   "its best",
						   index->pages, index->rows, by_best);
		return by_best;
	}
	if (bloat > 0)
		*reason = psprintf("%.0f pages, %.1f times as many as its rows need, by a sample of them",
						   index->pages, bloat);
	else
		*reason = psprintf("%.0f pages", index->pages);
	return bloat;
}

/*
 * Why a rebuild has to wait, NULL if it does not.  Sets item->not_before.
 */
static char *
rebuild_waits(const MaintIndex *index, MaintItem *item, double new_pages, const Round *round)
{
	Oid	  tablespace = OidIsValid(index->tablespace) ? index->tablespace : MyDatabaseTableSpace;
	int64 available = dbperf_tablespace_free_bytes(tablespace);
	int64 needed = (int64) (new_pages * BLCKSZ * SPACE_FACTOR);

	if (available >= 0 && available < needed)
	{
		item->not_before = DT_NOEND;
		return psprintf("a rebuild needs about %lld MB, for the index, for sorting and for the "
						"WAL, and %lld MB are free",
						(long long) (needed / (1024 * 1024) + 1),
						(long long) (available / (1024 * 1024)));
	}
	if (index->rebuilt != 0)
	{
		TimestampTz now = GetCurrentTimestamp();
		TimestampTz until = TimestampTzPlusMilliseconds(index->rebuilt, REBUILT_WAIT);

		if (until > now)
		{
			int hours = (int) ((now - index->rebuilt) / USECS_PER_HOUR);

			item->not_before = until;
			return psprintf("it was rebuilt %d hours ago; not again within a day", hours);
		}
	}
	if (round->rebuilding)
	{
		item->not_before = DT_NOEND;
		return pstrdup("another index is being rebuilt; one at a time on the server");
	}
	return NULL;
}

/* The item to rebuild an index, or NULL if it cannot be or is not known to help. */
static MaintItem *
reindex_item(MaintIndex *index, Round *round)
{
	MaintItem *item;
	double	   bloat;
	double	   new_pages;

	if (!round->can_reindex || !index->can_reindex || !method_bloats(index->method) ||
		(!round->of_table && index->pages < MAINT_REINDEX_PAGES))
		return NULL;
	sample_if_needed(index, round);
	item = new_item(index, MAINT_REINDEX);
	bloat = judge_bloat(index, &item->reason);
	if (bloat == 0 && !round->of_table)
		return NULL;
	item->command = psprintf("REINDEX INDEX CONCURRENTLY %s", item->object_name);
	item->score = bloat / BLOAT_DUE;
	/* small ones are not due, but can be asked for */
	if (index->pages < MAINT_REINDEX_PAGES)
		item->score *= index->pages / (2.0 * MAINT_REINDEX_PAGES);
	new_pages = index->pages / Max(bloat, 1);
	/* the table is read twice, and the new index is written and read */
	item->est_pages = 2 * index->table_pages + 2 * new_pages;
	item->not_now = rebuild_waits(index, item, new_pages, round);
	return item;
}

/* ---- left-overs ---- */

/* Whether somebody is at work on the index, as REINDEX and CREATE INDEX are. */
static bool
is_being_built(Oid index)
{
	LOCKTAG tag;
	int		count;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, index);
	(void) GetLockConflicts(&tag, ShareUpdateExclusiveLock, &count);
	return count > 0;
}

/*
 * An item that says that there is an invalid index, which costs every write and
 * serves nobody; NULL if it is ours, which the worker drops, or being built.
 * No worker ever does anything with it.
 */
static MaintItem *
leftover_item(const MaintIndex *index)
{
	MaintItem *item;

	if (index->is_ours || is_being_built(index->table) || is_being_built(index->index))
		return NULL;
	item = new_item(index, MAINT_REINDEX);
	item->command = psprintf("REINDEX INDEX CONCURRENTLY %s", item->object_name);
	item->score = 1;
	item->reason = pstrdup("the index is invalid: no query uses it, and it may cost every write");
	item->not_now = psprintf("left by a REINDEX or CREATE INDEX CONCURRENTLY that is not ours; "
							 "drop it by hand: DROP INDEX CONCURRENTLY %s",
							 item->object_name);
	item->not_before = DT_NOEND;
	item->by_hand = true;
	return item;
}

/* ---- GIN and BRIN ---- */

/* The item to move the pending list into the index, or NULL. */
static MaintItem *
gin_item(const MaintIndex *index)
{
	MaintPending pending = {0};
	MaintItem	*item;

	if (!dbperf_maint_probe(index->index, dbperf_maint_probe_gin, &pending) || pending.pages == 0 ||
		pending.limit <= 0)
		return NULL;
	item = new_item(index, MAINT_CLEAN_GIN);
	item->command = function_call("gin_clean_pending_list", item);
	item->score = pending.pages / (pending.limit * PENDING_PART);
	item->reason = psprintf("%.0f pages in the pending list, which every search reads; an insert "
							"has to clean it at %.0f",
							pending.pages, pending.limit);
	item->est_pages = pending.pages;
	return item;
}

/* The item to summarize new ranges, or NULL. */
static MaintItem *
brin_item(const MaintIndex *index)
{
	MaintRanges ranges = {.table = index->table};
	MaintItem  *item;
	double		part;

	if (!dbperf_maint_probe(index->index, dbperf_maint_probe_brin, &ranges) || ranges.missing == 0)
		return NULL;
	part = (double) ranges.missing / ranges.total;
	item = new_item(index, MAINT_SUMMARIZE_BRIN);
	item->command = function_call("brin_summarize_new_values", item);
	item->score = Max(ranges.missing / RANGES_DUE, part / RANGES_PART_DUE);
	item->reason = psprintf("%u of %u ranges of %u pages have no summary, so that every search "
							"reads them",
							ranges.missing, ranges.total, ranges.per_range);
	item->est_pages = (double) ranges.missing * ranges.per_range;
	return item;
}

/* Add what there is to do for one index. */
static List *
add_items(List *items, MaintIndex *index, Round *round)
{
	MaintItem *item = NULL;

	if (!index->valid)
	{
		item = leftover_item(index);
		return item != NULL ? lappend(items, item) : items;
	}
	if ((index->method == GIN_AM_OID || index->method == BRIN_AM_OID) && round->probes > 0)
	{
		round->probes--;
		item = index->method == GIN_AM_OID ? gin_item(index) : brin_item(index);
	}
	if (item != NULL)
		items = lappend(items, item);
	item = reindex_item(index, round);
	if (item != NULL)
		items = lappend(items, item);
	return items;
}

/*
 * What there is to do for the indexes of this database, or of one table: a list
 * of MaintItem in no order, with any score.  Of the whole database only indexes
 * that are big enough are judged, and of those that no worker has looked into
 * yet the biggest.  Rebuilding is left out where there are no tables in which
 * to remember what was begun.
 */
List *
dbperf_maint_index_items(Oid only_table)
{
	List	 *items = NIL;
	Round	  round = {.samples = SAMPLES_MOST,
					   .can_reindex = dbperf_maint_can_reindex(),
					   .probes = PROBES_MOST,
					   .rebuilding = somebody_rebuilds(),
					   .of_table = OidIsValid(only_table)};
	ListCell *cell;

	foreach (cell, dbperf_maint_list_indexes(only_table))
	{
		CHECK_FOR_INTERRUPTS();
		items = add_items(items, lfirst(cell), &round);
	}
	return items;
}
