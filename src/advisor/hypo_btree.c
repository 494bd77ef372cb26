/*-------------------------------------------------------------------------
 *
 * hypo_btree.c
 *		How many pages a hypothetical B-tree would have, and how high it is.
 *
 * The tree is laid out as CREATE INDEX does it (nbtsort.c): equal keys go to
 * posting lists, leaves are filled to the fillfactor.  A copy of an existing
 * index must not look cheaper than that one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/nbtree.h"
#include "advisor/hypo.h"
#include "utils/lsyscache.h"

/* Space of a page that items can take: header, special space, high key's pointer. */
#define PAGE_ROOM                                                                                  \
	(BLCKSZ - SizeOfPageHeaderData - MAXALIGN(sizeof(BTPageOpaqueData)) - 2 * sizeof(ItemIdData))

/* The longest tuple with a posting list that a new index gets. */
#define POSTING_SIZE (MAXALIGN_DOWN(BLCKSZ * 10 / 100) - sizeof(ItemIdData))

/* A leaf is finished once less than the fillfactor leaves is free. */
#define LEAF_ROOM (PAGE_ROOM - BLCKSZ * (100 - BTREE_DEFAULT_FILLFACTOR) / 100)

/* Space of leaves: tuples with their line pointers. */
typedef struct LeafSpace
{
	double pages; /* that hold nothing but full posting lists of one key */
	double bytes; /* of all the rest */
	double items;
	double posting_bytes; /* of "bytes", in posting lists */
} LeafSpace;

/*
 * Pages of items of one size.  A page is finished once an item finds too little
 * free; that one goes to the next page then, and its key stays behind as the
 * high key.
 */
static double
pages_of_equal(double items, double item, double key, double room)
{
	return items / Max(ceil((room - key) / item), 1);
}

/*
 * Adds a key of that size that occurs so often, "times" times.
 */
static void
add_key(LeafSpace *space, double size, double count, double times)
{
	double room = floor((POSTING_SIZE - size) / sizeof(ItemPointerData));
	double lists;
	double rest;

	if (count < 1.5 || room < 2)
	{
		space->items += count * times;
		space->bytes += count * times * (size + sizeof(ItemIdData));
		return;
	}

	count = rint(count);
	lists = floor(count / room);
	rest = count - lists * room;
	if (lists > 0)
	{
		double full = MAXALIGN((int64) (size + room * sizeof(ItemPointerData)));

		if (lists * full > BLCKSZ)
			space->pages += times * pages_of_equal(lists, full + sizeof(ItemIdData),
												   size + sizeof(ItemIdData), LEAF_ROOM);
		else
		{
			space->items += lists * times;
			space->bytes += lists * times * (full + sizeof(ItemIdData));
			space->posting_bytes += lists * times * (full - size);
		}
	}
	if (rest > 0)
	{
		double part = rest == 1 ? size : MAXALIGN((int64) (size + rest * sizeof(ItemPointerData)));

		space->items += times;
		space->bytes += times * (part + sizeof(ItemIdData));
		space->posting_bytes += times * (part - size);
	}
}

/*
 * Adds keys that occur "mean" times on the average: numbers of occurrences
 * scatter as if rows had drawn their keys (Poisson, but never 0).
 */
static void
add_scattered_keys(LeafSpace *space, double size, double mean, double keys)
{
	double lambda = mean;
	double p;

	if (mean <= 1.001)
	{
		add_key(space, size, 1, keys * mean);
		return;
	}
	if (mean > 200)
	{
		add_key(space, size, mean, keys);
		return;
	}

	/* The mean of those that occur at all is lambda / (1 - exp(-lambda)). */
	for (int i = 0; i < 100; i++)
		lambda = mean * (1 - exp(-lambda));
	p = exp(-lambda);
	for (int count = 1; count < 400; count++)
	{
		p *= lambda / count;
		add_key(space, size, count, keys * p / (1 - exp(-lambda)));
	}
}

/*
 * Whether equal keys are put together in one tuple.
 */
static bool
deduplicates(const HypoRelation *hypo)
{
	if (hypo->def->unique || hypo->def->ncolumns > hypo->def->nkeys)
		return false;
	for (int i = 0; i < hypo->def->nkeys; i++)
	{
		Oid type = hypo->opcintype[i];
		Oid proc = get_opfamily_proc(hypo->opfamily[i], type, type, BTEQUALIMAGE_PROC);

		if (!OidIsValid(proc) ||
			!DatumGetBool(OidFunctionCall1Coll(proc, hypo->collations[i], ObjectIdGetDatum(type))))
			return false;
	}
	return true;
}

/*
 * Average size of an index tuple by the columns' statistics.
 */
static double
size_by_statistics(const ColumnFacts *facts, int ncolumns)
{
	double size = 0;
	bool   varies = false;

	for (int i = 0; i < ncolumns; i++)
	{
		bool packed = facts[i].varies && facts[i].width <= 127;

		if (!packed && facts[i].align > 1)
			size = varies ? size + (facts[i].align - 1) / 2.0
						  : TYPEALIGN(facts[i].align, (int64) size);
		size += facts[i].width;
		varies |= facts[i].varies;
	}

	size += MAXALIGN(sizeof(IndexTupleData));
	return varies ? size + (MAXIMUM_ALIGNOF - 1) / 2.0 : MAXALIGN((int64) size);
}

/*
 * How often keys occur, by the columns' statistics.
 */
static void
count_by_statistics(const ColumnFacts *facts, int nkeys, double tuples, KeyCounts *counts)
{
	double distinct = 1;
	double all_null = 1;

	memset(counts, 0, sizeof(KeyCounts));
	for (int i = 0; i < nkeys; i++)
	{
		distinct *= Max(facts[i].distinct, 1);
		all_null *= facts[i].null_frac;
	}
	counts->nulls = tuples * all_null;
	counts->rare = tuples - counts->nulls;

	if (nkeys == 1)
	{
		counts->nfrequent = facts[0].nmcvs;
		counts->frequent = palloc(sizeof(double) * Max(facts[0].nmcvs, 1));
		for (int i = 0; i < facts[0].nmcvs; i++)
		{
			counts->frequent[i] = facts[0].mcvs[i] * tuples;
			counts->rare -= counts->frequent[i];
		}
		distinct -= facts[0].nmcvs;
	}
	else if (distinct < tuples * 1000)
		/* As many of all combinations as so many draws would hit. */
		distinct *= 1 - exp(-tuples / distinct);
	counts->rare = Max(counts->rare, 0);
	counts->rare_distinct = Max(Min(distinct, counts->rare), 1);
}

/*
 * The tuples of all leaves.
 */
static void
fill_leaves(HypoRelation *hypo, const ColumnFacts *facts, const KeyCounts *counts, double size,
			LeafSpace *space)
{
	int	   nkeys = hypo->def->nkeys;
	double null_size = MAXALIGN(sizeof(IndexTupleData) + sizeof(IndexAttributeBitMapData));
	double key_size = size;

	memset(space, 0, sizeof(LeafSpace));

	/* NULLs of a single column are smaller than the average, others larger. */
	if (nkeys == 1 && hypo->def->ncolumns == 1 && counts->nulls > 0 && hypo->tuples > 0)
	{
		double share = Min(counts->nulls / hypo->tuples, 0.99);

		if (!facts[0].varies)
			key_size = size_by_statistics(facts, 1);
		else
			key_size = Max((size - share * null_size) / (1 - share), null_size);
	}
	if (!deduplicates(hypo))
	{
		double nulls = key_size != size ? counts->nulls : 0;

		add_key(space, key_size, 1, hypo->tuples - nulls);
		add_key(space, null_size, 1, nulls);
		return;
	}

	for (int i = 0; i < counts->nfrequent; i++)
		add_key(space, key_size, counts->frequent[i], 1);
	if (counts->rare >= 1)
		add_scattered_keys(space, key_size, Max(counts->rare / Max(counts->rare_distinct, 1), 1),
						   counts->rare_distinct);
	if (counts->nulls >= 1)
		add_key(space, null_size, counts->nulls, 1);
}

/*
 * Pages of items of different sizes, "item" on the average: as above, but a page
 * ends anywhere within an item.
 */
static double
pages_of_mixed(double items, double item, double key, double room)
{
	return items / Max(Min((room - key) / item + 0.5, PAGE_ROOM / item), 1);
}

/*
 * Estimates pages and height of a B-tree.
 */
void
dbperf_hypo_size_btree(HypoRelation *hypo, HypoTable *table, HypoContents *contents)
{
	IndexDef   *def = hypo->def;
	ColumnFacts facts[INDEX_MAX_KEYS];
	KeyCounts	counts;
	LeafSpace	space;
	double		size = -1;
	double		item;
	double		room;
	double		level;
	double		pages;
	bool		same_size = true;

	for (int i = 0; i < def->ncolumns; i++)
	{
		dbperf_hypo_column_facts(hypo, table, i, &facts[i]);
		same_size &= !facts[i].varies;
	}
	if (contents != NULL)
		size = dbperf_hypo_tuple_size(contents, def);
	if (size < 0)
		size = size_by_statistics(facts, def->ncolumns);

	/* The catalog's statistics are better where they speak of just this. */
	if (contents == NULL ||
		(def->nkeys == 1 && def->predicate == NIL && def->columns[0].expr == NULL) ||
		!dbperf_hypo_count_keys(contents, def, 0, def->nkeys, hypo->tuples, &counts))
		count_by_statistics(facts, def->nkeys, hypo->tuples, &counts);
	fill_leaves(hypo, facts, &counts, size, &space);

	item = space.bytes / Max(space.items, 1);
	if (space.posting_bytes > 0)
		level = pages_of_mixed(space.items, item, size + sizeof(ItemIdData), LEAF_ROOM);
	else if (same_size)
		level = pages_of_equal(space.items, item, item, LEAF_ROOM);
	else
		level = pages_of_mixed(space.items, item, item, LEAF_ROOM);
	level = Max(ceil(level + space.pages), 1);

	pages = 1 + level; /* with the meta page */
	hypo->tree_height = 0;
	room = PAGE_ROOM - BLCKSZ * (100 - BTREE_NONLEAF_FILLFACTOR) / 100;
	item = size + sizeof(ItemIdData);
	while (level > 1)
	{
		level = ceil(pages_of_mixed(level, item, item, room));
		pages += level;
		hypo->tree_height++;
	}
	if (hypo->tuples < 1)
		pages = 1;
	hypo->pages = (BlockNumber) Min(pages, (double) MaxBlockNumber);
}
