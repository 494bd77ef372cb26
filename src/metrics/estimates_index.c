/*-------------------------------------------------------------------------
 *
 * estimates_index.c
 *		How many pages the entries of indexes need.
 *
 * Maintenance looks into the pages of B-trees, and remembers how dense indexes were
 * at their best; where it has not been, a B-tree is laid out as REINDEX would
 * build it, with the statistics of its columns.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/nbtree.h"
#include "metrics/estimates.h"

/* Space of a page that items can take: header, special space, high key's pointer. */
#define PAGE_ROOM                                                                                  \
	(BLCKSZ - SizeOfPageHeaderData - MAXALIGN(sizeof(BTPageOpaqueData)) - 2 * sizeof(ItemIdData))

/* The longest tuple with a posting list that a new index gets. */
#define POSTING_SIZE (MAXALIGN_DOWN(BLCKSZ * 10 / 100) - sizeof(ItemIdData))

/* Keys that occur more often than this on the average all do so about alike. */
#define MANY 200

/* Who takes the estimates. */
typedef struct IndexVisit
{
	BloatVisit visit;
	void	  *arg;
} IndexVisit;

/* Tuples of leaves. */
typedef struct LeafSpace
{
	double items;
	double bytes; /* with their line pointers */
} LeafSpace;

/*
 * 403 is the B-tree, whose support function 4 says whether equal keys are alike
 * in every byte.  A sample of pages counts for a week, as long as the index has
 * not changed much.
 */
static const char index_columns[] =
	"WITH x AS MATERIALIZED ("
	"SELECT i.indexrelid, i.indrelid, i.indkey, i.indnkeyatts, c.relam, c.relpages,"
	" c.reltuples, t.reltuples AS table_rows, c.reloptions,"
	" c.relam = 403 AND NOT i.indisunique AND i.indnatts = i.indnkeyatts"
	" AND NOT EXISTS (SELECT FROM unnest(c.reloptions) AS o"
	"   WHERE o IN ('deduplicate_items=off', 'deduplicate_items=false', 'deduplicate_items=0'))"
	" AND NOT EXISTS (SELECT FROM unnest(i.indclass::oid[]) AS k JOIN pg_opclass AS o ON o.oid = k"
	"   WHERE NOT EXISTS (SELECT FROM pg_amproc AS p WHERE p.amprocfamily = o.opcfamily"
	"     AND p.amproclefttype = o.opcintype AND p.amprocnum = 4))"
	" AND NOT EXISTS (SELECT FROM pg_collation AS l WHERE l.oid = ANY (i.indcollation::oid[])"
	"   AND NOT l.collisdeterministic) AS deduplicated,"
	" CASE WHEN d.sampled_bloat >= 1 AND d.sampled > now() - interval '7 days'"
	"   AND c.relpages BETWEEN d.sampled_pages * 0.8 AND d.sampled_pages * 1.25"
	"   THEN c.relpages / d.sampled_bloat END AS sampled,"
	" CASE WHEN c.reltuples >= 1000 THEN d.best_bytes_per_row * c.reltuples /"
	"   current_setting('block_size')::float8 END AS densest"
	" FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid"
	" JOIN pg_class AS t ON t.oid = i.indrelid"
	" LEFT JOIN dbperf.maintenance_index_density AS d"
	"      ON d.index_oid = i.indexrelid AND d.relfilenode = c.relfilenode"
	" WHERE c.relkind = 'i' AND c.relpersistence <> 't' AND c.relpages > 0 AND i.indisvalid)"
	"SELECT x.indexrelid, true, x.relpages::float8, x.reltuples::float8, x.table_rows::float8,"
	" COALESCE((SELECT o.option_value::float8 FROM pg_options_to_table(x.reloptions) AS o"
	"            WHERE o.option_name = 'fillfactor'), 90),"
	" x.relam = 403, x.deduplicated, COALESCE(x.sampled, CASE WHEN x.relam <> 403 THEN x.densest END),"
	" CASE WHEN x.sampled IS NOT NULL THEN 'sample of pages' ELSE 'densest seen' END,"
	" a.attnum <= x.indnkeyatts, a.attlen::float8,"
	" CASE a.attalign WHEN 'd' THEN 8 WHEN 'i' THEN 4 WHEN 's' THEN 2 ELSE 1 END::float8,"
	" a.attlen = -1 AND a.attstorage <> 'p',"
	" CASE WHEN a.attlen > 0 THEN a.attlen"
	"      WHEN s.stanullfrac = 1 THEN 0 ELSE s.stawidth END::float8,"
	" COALESCE(s.stanullfrac, 0)::float8, s.stadistinct::float8"
	" FROM x JOIN pg_attribute AS a ON a.attrelid = x.indexrelid AND a.attnum > 0"
	" LEFT JOIN pg_statistic AS s ON NOT s.stainherit"
	"  AND s.starelid = CASE WHEN x.indkey[a.attnum - 1] = 0 THEN x.indexrelid ELSE x.indrelid END"
	"  AND s.staattnum = CASE WHEN x.indkey[a.attnum - 1] = 0 THEN a.attnum"
	"                         ELSE x.indkey[a.attnum - 1] END"
	" ORDER BY x.indexrelid, a.attnum";

/* Adds so many keys of that size, each of which occurs so often. */
static void
add_keys(LeafSpace *space, double size, double count, double keys, bool deduplicated)
{
	double room = floor((POSTING_SIZE - size) / sizeof(ItemPointerData));
	double lists;

	if (keys <= 0)
		return;
	if (!deduplicated || count < 1.5 || room < 2)
	{
		space->items += count * keys;
		space->bytes += count * keys * (size + sizeof(ItemIdData));
		return;
	}
	lists = ceil(count / room);
	space->items += lists * keys;
	space->bytes += keys * (lists * (size + sizeof(ItemIdData) + MAXIMUM_ALIGNOF / 2.0) +
							count * sizeof(ItemPointerData));
}

/*
 * Adds keys that occur so often on the average, but never not at all: numbers of
 * occurrences scatter as if rows had drawn their keys.
 */
static void
add_scattered_keys(LeafSpace *space, double size, double mean, double keys, bool deduplicated)
{
	double lambda = mean;
	double p;

	if (!deduplicated || mean <= 1.001 || mean > MANY)
	{
		add_keys(space, size, mean, keys, deduplicated);
		return;
	}
	for (int i = 0; i < 100; i++)
		lambda = mean * (1 - exp(-lambda));
	p = exp(-lambda);
	for (int count = 1; count < 2 * MANY; count++)
	{
		p *= lambda / count;
		add_keys(space, size, count, keys * p / (1 - exp(-lambda)), true);
	}
}

/* How many different keys there are. */
static double
distinct_keys(const EstimateRelation *index)
{
	double keys = 1;

	for (int i = 0; i < index->ncolumns; i++)
	{
		double distinct = index->columns[i].distinct;

		if (!index->columns[i].key)
			continue;
		if (distinct == 0)
			return index->rows;
		keys *= distinct < 0 ? Max(-distinct * index->table_rows, 1) : distinct;
	}
	/* as many of all combinations as so many draws would hit */
	if (index->ncolumns > 1 && keys < index->rows * 1000)
		keys *= 1 - exp(-index->rows / keys);
	return Max(Min(keys, index->rows), 1);
}

/*
 * The size of an entry; the gap behind it is that of any size if they vary.  The
 * nulls of a single column are counted for themselves.
 */
static double
entry_size(const EstimateRelation *index)
{
	EstimateColumn single = index->columns[0];
	bool		   varies;
	double		   size;

	single.null_frac = 0;
	size = dbperf_estimate_data_size(index->ncolumns == 1 ? &single : index->columns,
									 index->ncolumns, &varies);

	size += MAXALIGN(sizeof(IndexTupleData));
	return varies ? size + (MAXIMUM_ALIGNOF - 1) / 2.0 : MAXALIGN((int64) size);
}

/* The pages of the B-tree, if it was built anew. */
static double
pages_needed(const EstimateRelation *index)
{
	LeafSpace space = {0};
	double	  size = entry_size(index);
	double	  nulls = index->ncolumns == 1 ? index->rows * index->columns[0].null_frac : 0;
	double	  rows = index->rows - nulls;
	double	  keys = Max(Min(distinct_keys(index), rows), 1);
	double	  room = PAGE_ROOM - BLCKSZ * (100 - index->fillfactor) / 100.0;
	double	  item;
	double	  level;
	double	  pages;

	if (index->rows < 1)
		return 1;
	if (rows >= 1)
		add_scattered_keys(&space, size, rows / keys, keys, index->deduplicated);
	add_keys(&space, MAXALIGN(sizeof(IndexTupleData) + 1), nulls, nulls >= 1 ? 1 : 0,
			 index->deduplicated);
	item = space.bytes / Max(space.items, 1);
	level = ceil(space.items / Max((room - item / 2) / item, 1));
	pages = 1 + level;
	item = size + sizeof(ItemIdData);
	room = PAGE_ROOM - BLCKSZ * (100 - BTREE_NONLEAF_FILLFACTOR) / 100.0;
	while (level > 1)
	{
		level = ceil(level / Max(room / item, 2));
		pages += level;
	}
	return pages;
}

/* Hands out the estimate of one index. */
static void
estimate_index(EstimateRelation *index, void *arg)
{
	IndexVisit	 *to = arg;
	BloatEstimate estimate = {.relation = index->oid, .index = true, .pages = index->pages};
	bool		  known = index->btree && index->rows >= 0;

	for (int i = 0; i < index->ncolumns; i++)
		known &= index->columns[i].known;
	if (index->measured >= 0)
	{
		estimate.needed = index->measured;
		estimate.method = index->measured_by;
	}
	else if (known)
	{
		estimate.needed = pages_needed(index);
		estimate.method = "statistics";
	}
	to->visit(&estimate, to->arg);
}

/*
 * Hands out estimates of all valid indexes of the database.  In a transaction, and
 * only where the extension is.
 */
void
dbperf_estimate_indexes(BloatVisit visit, void *arg)
{
	IndexVisit to = {visit, arg};

	dbperf_estimate_read(index_columns, estimate_index, &to);
}
