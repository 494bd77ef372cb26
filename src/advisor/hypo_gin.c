/*-------------------------------------------------------------------------
 *
 * hypo_gin.c
 *		How many entries and pages a hypothetical GIN index would have.
 *
 * The operator class takes the values of the sample apart, as it would for the
 * index.  The pages follow from how GIN is built: keys come in order, and a
 * full page of the entry tree is split in the middle, so these stay half full;
 * posting lists that get too long for an entry move to trees of full pages.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/gin_private.h"
#include "access/itup.h"
#include "advisor/hypo.h"
#include "advisor/workload.h"
#include "catalog/pg_collation.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* Rows that are taken apart, and keys that are kept, at most. */
#define EXTRACT_ROWS 4000
#define EXTRACT_KEYS 200000

/* Space of an entry page, and of a page of a posting tree. */
#define ENTRY_ROOM (BLCKSZ - SizeOfPageHeaderData - MAXALIGN(sizeof(GinPageOpaqueData)))
#define POSTING_ROOM (GinDataPageMaxDataSize * 0.97)

/* A posting list in a tree is cut into segments of about that many bytes. */
#define SEGMENT_BYTES 280

/* Memory that a build takes for a key and for each of its rows, roughly. */
#define BUILD_KEY_BYTES 150
#define BUILD_ITEM_BYTES 9

/* What extraction needs and gives. */
typedef struct Extraction
{
	HypoRelation *hypo;
	HypoContents *contents;
	FmgrInfo	  extract[INDEX_MAX_KEYS];
	int16		  len[INDEX_MAX_KEYS]; /* of keys */
	bool		  byval[INDEX_MAX_KEYS];
	char		  align[INDEX_MAX_KEYS];
	SampledKey	 *keys;
	int			  nkeys;
	int			  nrows;
} Extraction;

/*
 * Adds a key, unless the row has it already: its keys are from "from" on.
 */
static void
add_key(Extraction *ex, int from, int column, uint64 hash, int width, BlockNumber block)
{
	hash = hash_combine64(hash, column);
	for (int i = ex->nkeys - 1; i >= from && i >= ex->nkeys - 64; i--)
	{
		if (ex->keys[i].hash == hash)
			return;
	}
	if (ex->nkeys < EXTRACT_KEYS)
	{
		ex->keys[ex->nkeys].hash = hash;
		ex->keys[ex->nkeys].block = block;
		ex->keys[ex->nkeys].width = width;
		ex->nkeys++;
	}
}

/*
 * Takes one row apart.
 */
static void
extract_row(Extraction *ex, int place)
{
	HypoContents *contents = ex->contents;
	BlockNumber	  block = contents->sample->blocks[contents->rows[place]];
	int			  from = ex->nkeys;

	for (int i = 0; i < ex->hypo->def->nkeys; i++)
	{
		Oid	   collation = ex->hypo->collations[i];
		Datum  value;
		bool   isnull;
		Datum *entries = NULL;
		bool  *nulls = NULL;
		int32  nentries = 0;
		int	   align;

		if (!dbperf_hypo_value(contents, ex->hypo->def, place, i, &value, &isnull))
			continue;
		if (!isnull)
			entries = (Datum *) DatumGetPointer(FunctionCall3Coll(
				&ex->extract[i], OidIsValid(collation) ? collation : DEFAULT_COLLATION_OID, value,
				PointerGetDatum(&nentries), PointerGetDatum(&nulls)));

		/* Placeholders for a null and for a value without any key. */
		if (entries == NULL || nentries <= 0)
			add_key(ex, from, i, isnull ? 1 : 2, 2, block);
		for (int k = 0; entries != NULL && k < nentries; k++)
		{
			if (nulls != NULL && nulls[k])
				add_key(ex, from, i, 3, 2, block);
			else
				add_key(ex, from, i, dbperf_hypo_hash(entries[k], ex->len[i], ex->byval[i]),
						dbperf_hypo_width(entries[k], ex->len[i], ex->align[i], &align), block);
		}
	}
}

/*
 * Takes the sample's rows apart.  Runs as the table's owner.
 */
static void
extract_keys(void *arg)
{
	Extraction	 *ex = arg;
	HypoContents *contents = ex->contents;
	int			  step = Max(contents->ncovered / EXTRACT_ROWS, 1);
	MemoryContext row_context =
		AllocSetContextCreate(CurrentMemoryContext, "dbperf GIN keys", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old;

	for (int i = 0; i < ex->hypo->def->nkeys; i++)
	{
		Oid type = ex->hypo->opcintype[i];
		Oid proc = get_opfamily_proc(ex->hypo->opfamily[i], type, type, GIN_EXTRACTVALUE_PROC);

		if (!OidIsValid(proc))
			elog(ERROR, "missing support function %d of operator class %u", GIN_EXTRACTVALUE_PROC,
				 ex->hypo->def->columns[i].opclass);
		fmgr_info(proc, &ex->extract[i]);
		get_typlenbyvalalign(dbperf_hypo_stored_type(&ex->hypo->def->columns[i]), &ex->len[i],
							 &ex->byval[i], &ex->align[i]);
	}

	old = MemoryContextSwitchTo(row_context);
	for (int place = 0; place < contents->ncovered && ex->nkeys < EXTRACT_KEYS; place += step)
	{
		if ((ex->nrows & 63) == 0)
			dbperf_visit_check_time();
		extract_row(ex, place);
		ex->nrows++;
		MemoryContextReset(row_context);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(row_context);
}

/*
 * Bytes for each but the first of so many row pointers in a posting list, over
 * a table of so many blocks.  What is stored is the distance to the one before,
 * seven bits to the byte; a block is 2^11 far from the next one.
 */
static double
bytes_per_item(double count, double blocks)
{
	double per_block = count / Max(blocks, 1);
	double hit = 1 - exp(-per_block); /* a block has any */
	double same = per_block > 0 ? Max(1 - hit / per_block, 0) : 0;
	double within8 = 1 - pow(1 - hit, 7.5);
	double within1k = 1 - pow(1 - hit, 1023.5);
	double within128k = 1 - pow(1 - hit, 131071.5);

	return same + (1 - same) * (2 * within8 + 3 * (within1k - within8) +
								4 * (within128k - within1k) + 5 * (1 - within128k));
}

/*
 * Adds "times" keys that occur in so many rows each.
 */
static void
add_entries(GinSpace *space, double key_size, double count, double times, double blocks,
			double *entry_bytes)
{
	double list = Max(count - 1, 0) * bytes_per_item(count, blocks);
	double header = offsetof(GinPostingList, bytes);
	double size = MAXALIGN((int64) (key_size + header + list + 1));

	space->entries += times;
	if (size > GinMaxItemSize)
	{
		double leaves = ceil(list * (1 + header / SEGMENT_BYTES) / POSTING_ROOM);

		size = key_size;
		space->data_pages += times * leaves;
		while (leaves > 1)
		{
			leaves = ceil(leaves / floor(GinDataPageMaxDataSize / sizeof(PostingItem)));
			space->data_pages += times * leaves;
		}
	}
	*entry_bytes += times * (size + sizeof(ItemIdData));
}

/*
 * Entries and pages, by how often keys occur.
 */
static void
size_by_keys(const KeyCounts *counts, bool multicolumn, double blocks, GinSpace *space)
{
	double key_size = MAXALIGN(
		(int64) (MAXALIGN(sizeof(IndexTupleData)) + counts->width + (multicolumn ? 4 : 0) + 0.5));
	double entry_bytes = 0;
	double items = counts->rare;
	double item;
	double fill;
	double level;

	memset(space, 0, sizeof(GinSpace));
	for (int i = 0; i < counts->nfrequent; i++)
	{
		add_entries(space, key_size, counts->frequent[i], 1, blocks, &entry_bytes);
		items += counts->frequent[i];
	}
	if (counts->rare_distinct > 0)
		add_entries(space, key_size, Max(counts->rare / counts->rare_distinct, 1),
					counts->rare_distinct, blocks, &entry_bytes);

	/*
	 * Keys that come in order leave half of each page behind.  If memory is too
	 * small for all of them they come in several rounds, and fill gaps.
	 */
	item = entry_bytes / Max(space->entries, 1);
	if (space->entries * BUILD_KEY_BYTES + items * BUILD_ITEM_BYTES >
		maintenance_work_mem * 1024.0 * 1.2)
		fill = ENTRY_ROOM * 0.7;
	else
		fill = ENTRY_ROOM * 0.5 + item * 0.75;

	if (entry_bytes <= ENTRY_ROOM)
		level = 1;
	else
		level = ceil(entry_bytes / fill);
	space->entry_pages = level;
	while (level > 1)
	{
		double bytes = level * (key_size + sizeof(ItemIdData));

		level = bytes <= ENTRY_ROOM ? 1 : ceil(bytes / (ENTRY_ROOM * 0.5 + key_size));
		space->entry_pages += level;
	}
}

/*
 * Estimates entries and pages of a GIN index.
 */
void
dbperf_hypo_size_gin(HypoRelation *hypo, HypoTable *table, HypoContents *contents)
{
	Extraction ex = {.hypo = hypo, .contents = contents};
	KeyCounts  counts;

	if (contents != NULL && contents->ncovered > 0)
	{
		ex.keys = MemoryContextAllocHuge(contents->context, sizeof(SampledKey) * EXTRACT_KEYS);
		if (!dbperf_hypo_as_owner(table->owner, extract_keys, &ex))
			ex.nkeys = 0;
	}
	if (ex.nkeys > 0)
	{
		double covered = (double) contents->ncovered / Max(contents->nrows, 1);
		double seen = contents->sample->seen * covered;

		dbperf_hypo_count_sampled(ex.keys, ex.nkeys, Max(hypo->tuples / ex.nrows, 1),
								  Min(ex.nrows / Max(seen, 1), 1), &counts);
	}
	else
	{
		/* Nothing is known: ten keys to a row, each of which occurs a hundred times. */
		memset(&counts, 0, sizeof(counts));
		counts.rare = hypo->tuples * 10;
		counts.rare_distinct = Max(counts.rare / 100, 1);
		counts.width = sizeof(int32);
	}

	size_by_keys(&counts, hypo->def->nkeys > 1, table->rel->pages, &hypo->gin);
	hypo->pages = (BlockNumber) Min(1 + hypo->gin.entry_pages + hypo->gin.data_pages,
									(double) MaxBlockNumber);
	hypo->tree_height = -1;
}
