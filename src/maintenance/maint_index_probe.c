/*-------------------------------------------------------------------------
 *
 * maint_index_probe.c
 *		Looks into an index for what no catalog says.
 *
 * No look waits for a lock, evaluates an expression or predicate of an index,
 * or fails because of a page that cannot be read: it is given up, and whoever
 * wants the figure does without.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/brin_page.h"
#include "access/brin_revmap.h"
#include "access/brin_tuple.h"
#include "access/gin.h"
#include "access/gin_private.h"
#include "access/nbtree.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "common/pg_prng.h"
#include "maintenance/maint_index.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/rel.h"
#include "utils/resowner.h"

#define SAMPLE_PAGES 100

/* How far back a BRIN index is looked at, and what ends it earlier. */
#define RANGES_MOST 10000
#define RANGES_COMPLETE 64

/*
 * Open the index if nobody has it locked; NULL if it cannot be had at once or
 * is gone.
 */
static Relation
open_at_once(Oid oid, char kind)
{
	Relation relation;

	if (!ConditionalLockRelationOid(oid, AccessShareLock))
		return NULL;
	relation = try_relation_open(oid, NoLock);
	if (relation == NULL)
		UnlockRelationOid(oid, AccessShareLock);
	else if (kind != 0 && relation->rd_rel->relkind != kind)
	{
		relation_close(relation, AccessShareLock);
		relation = NULL;
	}
	return relation;
}

/* Inside PG_CATCH: whether the error is of the index, and not of the session. */
static bool
is_of_the_index(void)
{
	switch (geterrcode())
	{
		case ERRCODE_QUERY_CANCELED:
		case ERRCODE_ADMIN_SHUTDOWN:
		case ERRCODE_CRASH_SHUTDOWN:
		case ERRCODE_DATABASE_DROPPED:
		case ERRCODE_OUT_OF_MEMORY:
			return false;
		default:
			return true;
	}
}

/*
 * Call probe for the index, in a subtransaction of its own.  Returns false if
 * the index could not be looked into.
 */
bool
dbperf_maint_probe(Oid index, MaintProbe probe, void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool done = false;

	CHECK_FOR_INTERRUPTS();
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		Relation relation = open_at_once(index, RELKIND_INDEX);

		if (relation != NULL)
		{
			probe(relation, arg);
			relation_close(relation, AccessShareLock);
			done = true;
		}
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		if (!is_of_the_index())
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		done = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return done;
}

/* ---- B-tree: how full the pages are ---- */

typedef struct LeafSample
{
	double pages;	 /* that hold, or held, rows */
	double used;	 /* bytes in them */
	double capacity; /* of one that is rebuilt */
	double total;	 /* pages of the index */
} LeafSample;

/* Add what a page holds.  Caller must hold its lock. */
static void
sample_page(Page page, LeafSample *sample)
{
	BTPageOpaque opaque;

	if (PageIsNew(page))
	{
		sample->pages++;
		return;
	}
	if (PageGetSpecialSize(page) != MAXALIGN(sizeof(BTPageOpaqueData)))
		return;
	opaque = (BTPageOpaque) PageGetSpecialPointer(page);
	if (P_IGNORE(opaque))
		sample->pages++;
	if (P_IGNORE(opaque) || P_ISMETA(opaque) || !P_ISLEAF(opaque))
		return;

	sample->pages++;
	for (OffsetNumber i = FirstOffsetNumber; i <= PageGetMaxOffsetNumber(page); i++)
	{
		ItemId item = PageGetItemId(page, i);

		if (!ItemIdIsDead(item))
			sample->used += MAXALIGN(ItemIdGetLength(item)) + sizeof(ItemIdData);
	}
}

/* A MaintProbe: read one page at random of each of SAMPLE_PAGES equal parts. */
static void
sample_leaves(Relation index, void *arg)
{
	LeafSample			*sample = arg;
	BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);
	double				 blocks = RelationGetNumberOfBlocks(index);
	int					 parts = (int) Min(blocks - 1, SAMPLE_PAGES);

	sample->total = blocks;
	sample->capacity = BLCKSZ - SizeOfPageHeaderData - MAXALIGN(sizeof(BTPageOpaqueData)) -
					   BTGetTargetPageFreeSpace(index);
	for (int i = 0; i < parts; i++)
	{
		/* the first block is the metapage */
		double		where = (i + pg_prng_double(&pg_global_prng_state)) * (blocks - 1) / parts;
		BlockNumber block = (BlockNumber) Min(1 + where, blocks - 1);
		Buffer		buffer;

		CHECK_FOR_INTERRUPTS();
		buffer = ReadBufferExtended(index, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		sample_page(BufferGetPage(buffer), sample);
		UnlockReleaseBuffer(buffer);
	}
	FreeAccessStrategy(strategy);
}

/*
 * How many pages a B-tree has for each one that it would have if it were
 * rebuilt, by a sample:
 *
 *		leaf pages * capacity at its fillfactor / bytes in use
 *
 * Leaf pages are those of the sample with rows, empty, deleted and half-dead
 * ones.  In use is an item with its line pointer unless it is marked dead, and
 * the high key.  Pages above the leaves, about one in a hundred, are taken as
 * needed.  Dead rows that no scan has marked count as in use, and what
 * deduplication would save is not seen: it is rather too low than too high.
 * 0 if the index could not be looked into.
 */
double
dbperf_maint_sample_btree(Oid index)
{
	LeafSample sample = {0};
	double	   bloat;

	if (!dbperf_maint_probe(index, sample_leaves, &sample) || sample.pages == 0)
		return 0;
	bloat = sample.pages * sample.capacity / Max(sample.used, 1);
	return Min(Max(bloat, 0.1), Max(sample.total / 2, 1));
}

/* ---- GIN: the pending list ---- */

/*
 * A MaintProbe: fill in a MaintPending.
 */
void
dbperf_maint_probe_gin(Relation index, void *arg)
{
	MaintPending *pending = arg;
	GinStatsData  stats;

	if (index->rd_rel->relam != GIN_AM_OID)
		return;
	ginGetStats(index, &stats);
	pending->pages = stats.nPendingPages;
	pending->limit = GinGetPendingListCleanupSize(index) * 1024.0 / GinListPageSize;
}

/* ---- BRIN: ranges without a summary ---- */

/* Pages of a table, 0 if it cannot be had at once. */
static BlockNumber
table_blocks(Oid table)
{
	Relation	relation = open_at_once(table, 0);
	BlockNumber blocks = 0;

	if (relation != NULL)
	{
		blocks = RelationGetNumberOfBlocks(relation);
		relation_close(relation, AccessShareLock);
	}
	return blocks;
}

/*
 * A MaintProbe: fill in a MaintRanges, in which table is set.  New ranges are
 * those at the end: it goes back from there, until many in a row have a
 * summary or it has seen a lot.
 */
void
dbperf_maint_probe_brin(Relation index, void *arg)
{
	MaintRanges *ranges = arg;
	BrinRevmap	*revmap;
	Buffer		 buffer = InvalidBuffer;
	int			 complete = 0;

	if (index->rd_rel->relam != BRIN_AM_OID)
		return;
	revmap = DBPERF_BRIN_REVMAP(index, &ranges->per_range);
	/* only a broken index says 0 */
	ranges->total = table_blocks(ranges->table) / Max(ranges->per_range, 1);
	for (BlockNumber i = 0; i < Min(ranges->total, RANGES_MOST) && complete < RANGES_COMPLETE; i++)
	{
		BlockNumber	 block = (ranges->total - 1 - i) * ranges->per_range;
		OffsetNumber offset;
		Size		 size;

		CHECK_FOR_INTERRUPTS();
		if (DBPERF_BRIN_TUPLE(revmap, block, &buffer, &offset, &size, BUFFER_LOCK_SHARE) == NULL)
		{
			ranges->missing++;
			complete = 0;
			continue;
		}
		LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
		complete++;
	}
	if (BufferIsValid(buffer))
		ReleaseBuffer(buffer);
	brinRevmapTerminate(revmap);
}
