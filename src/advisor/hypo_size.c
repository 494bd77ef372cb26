/*-------------------------------------------------------------------------
 *
 * hypo_size.c
 *		How many tuples and pages a hypothetical index would have.
 *
 * B-trees and GIN have files of their own; here are the others.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/brin.h"
#include "access/brin_page.h"
#include "access/brin_revmap.h"
#include "access/brin_tuple.h"
#include "access/gist_private.h"
#include "access/hash.h"
#include "access/htup_details.h"
#include "access/spgist_private.h"
#include "advisor/hypo.h"
#include "advisor/workload.h"
#include "catalog/pg_am.h"
#include "catalog/pg_statistic.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"

/*
 * How full the pages of trees get, as measured: those that grow by splits, and
 * GiST's that are built by sorting.
 */
#define GIST_FILL 0.57
#define GIST_SORTED_FILL 0.73
#define GIST_SORTED_RANGE_FILL 1.1 /* sorting ignores the fill factor */
#define SPGIST_FILL 0.75

/* GiST's operator classes look at so many values. */
#define COMPRESS_ROWS 500

/* BRIN's support function that tells the kind of operator class. */
#define BRIN_OPCINFO_PROC 1

/*
 * Reads what the catalog's or our own statistics say of a column.
 */
void
dbperf_hypo_column_facts(const HypoRelation *hypo, HypoTable *table, int i, ColumnFacts *facts)
{
	const IndexColumn *column = &hypo->def->columns[i];
	VariableStatData   vardata;
	AttStatsSlot	   slot;
	bool			   isdefault;
	int16			   len;
	bool			   byval;
	char			   align;

	memset(facts, 0, sizeof(ColumnFacts));
	memset(&vardata, 0, sizeof(vardata));
	get_typlenbyvalalign(column->type, &len, &byval, &align);
	facts->align = att_align_nominal(1, align);
	facts->varies = len < 0;

	if (column->attno != InvalidAttrNumber)
		examine_variable(
			table->root,
			(Node *) makeVar(1, column->attno, column->type, column->typmod, column->collation, 0),
			0, &vardata);
	else
	{
		vardata.rel = table->rel;
		vardata.vartype = vardata.atttype = column->type;
		vardata.atttypmod = column->typmod;
		vardata.statsTuple = hypo->stats[i];
	}

	if (HeapTupleIsValid(vardata.statsTuple))
	{
		Form_pg_statistic stats = (Form_pg_statistic) GETSTRUCT(vardata.statsTuple);

		facts->null_frac = stats->stanullfrac;
		facts->width = stats->stawidth;
		if (get_attstatsslot(&slot, vardata.statsTuple, STATISTIC_KIND_MCV, InvalidOid,
							 ATTSTATSSLOT_NUMBERS))
		{
			facts->nmcvs = slot.nnumbers;
			facts->mcvs = palloc(sizeof(float4) * Max(slot.nnumbers, 1));
			memcpy(facts->mcvs, slot.numbers, sizeof(float4) * slot.nnumbers);
			free_attstatsslot(&slot);
		}
	}
	facts->distinct = get_variable_numdistinct(&vardata, &isdefault);
	if (len > 0)
		facts->width = len;
	else if (facts->width <= 0)
		facts->width = get_typavgwidth(column->type, column->typmod);
	if (column->attno != InvalidAttrNumber)
		ReleaseVariableStats(vardata);
}

/*
 * Buckets of a hash index that is built for so many tuples: powers of two at
 * first, then in quarters of these.
 */
static double
hash_buckets(double tuples)
{
	double per_bucket =
		floor(BLCKSZ * HASH_DEFAULT_FILLFACTOR / 100.0 /
			  (MAXALIGN(sizeof(IndexTupleData)) + MAXALIGN(sizeof(uint32)) + sizeof(ItemIdData)));
	double wanted = tuples / Max(per_bucket, 10);

	if (wanted <= 2)
		return 2;
	if (wanted >= (double) 0x40000000)
		return (double) 0x40000000;
	return _hash_get_totalbuckets(_hash_spareindex((uint32) wanted));
}

/*
 * Overflow pages, if buckets hold "mean" tuples with that variance.
 */
static double
overflow_pages(double buckets, double mean, double variance, double room)
{
	double sigma = sqrt(Max(variance, 1));
	double pages = 0;

	for (int chain = 1; chain <= 64; chain++)
	{
		double over = (chain * room - mean) / sigma;

		/* A bucket has a further page for each of these that it exceeds. */
		pages += buckets * 0.5 * erfc(over / sqrt(2.0));
		if (over > 6)
			break;
	}
	return pages;
}

/*
 * Pages of a hash index.  The number of buckets follows from the table's rows,
 * also if the index holds a part of them only.
 */
static void
size_hash(HypoRelation *hypo, HypoTable *table, HypoContents *contents)
{
	double buckets = hash_buckets(table->rel->tuples);
	double room =
		floor((BLCKSZ - SizeOfPageHeaderData - MAXALIGN(sizeof(HashPageOpaqueData))) /
			  (MAXALIGN(sizeof(IndexTupleData)) + MAXALIGN(sizeof(uint32)) + sizeof(ItemIdData)));
	ColumnFacts facts;
	double		rare;
	double		distinct;
	double		pages = 2 + buckets; /* with the meta page and a bitmap */
	double		frequent = 0;

	dbperf_hypo_column_facts(hypo, table, 0, &facts);
	rare = hypo->tuples * (1 - facts.null_frac);
	distinct = facts.distinct - facts.nmcvs;
	for (int i = 0; i < facts.nmcvs; i++)
	{
		double count = facts.mcvs[i] * hypo->tuples;

		rare -= count;
		pages += floor(count / room);
		frequent += count - floor(count / room) * room;
	}
	rare = Max(rare, 0);
	distinct = Max(Min(distinct, rare), 1);

	/* Few keys have a bucket each, of many each bucket has some. */
	if (distinct < buckets)
		pages += distinct * floor(rare / distinct / room);
	else
		pages +=
			overflow_pages(buckets, (rare + frequent) / buckets,
						   (rare / distinct) * (rare / buckets) + frequent * room / buckets, room);
	hypo->pages = (BlockNumber) Min(pages, (double) MaxBlockNumber);
}

/*
 * Average size of an index tuple, line pointer included.
 */
static double
item_size(HypoRelation *hypo, HypoTable *table, HypoContents *contents)
{
	double		size = contents != NULL ? dbperf_hypo_tuple_size(contents, hypo->def) : -1;
	ColumnFacts facts;

	if (size < 0)
	{
		size = MAXALIGN(sizeof(IndexTupleData));
		for (int i = 0; i < hypo->def->ncolumns; i++)
		{
			dbperf_hypo_column_facts(hypo, table, i, &facts);
			size += facts.width;
		}
		size = MAXALIGN((int64) size);
	}
	return size + sizeof(ItemIdData);
}

/*
 * Whether the index can be built by sorting, which fills its pages.
 */
static bool
gist_sorts(const HypoRelation *hypo)
{
	for (int i = 0; i < hypo->def->nkeys; i++)
	{
		Oid type = hypo->opcintype[i];

		if (!OidIsValid(get_opfamily_proc(hypo->opfamily[i], type, type, GIST_SORTSUPPORT_PROC)))
			return false;
	}
	return true;
}

/* What GiST's operator classes make of the sample's values. */
typedef struct Compression
{
	HypoRelation *hypo;
	HypoContents *contents;
	double		  size; /* of an item, or -1 */
} Compression;

/*
 * Bytes of one row's key, as it is stored in a leaf.
 */
static double
compressed_size(Compression *compression, FmgrInfo *compress, const Oid *types, int place)
{
	const IndexDef *def = compression->hypo->def;
	Size			size = 0;

	for (int i = 0; i < def->ncolumns; i++)
	{
		GISTENTRY  entry;
		GISTENTRY *stored = &entry;
		Datum	   value;
		bool	   isnull;
		int16	   len;
		bool	   byval;
		char	   typalign;
		int		   align;
		int		   width;

		if (!dbperf_hypo_value(compression->contents, def, place, i, &value, &isnull))
			return -1;
		if (isnull)
			continue;
		gistentryinit(entry, value, NULL, NULL, 0, true);
		if (OidIsValid(compress[i].fn_oid))
			stored = (GISTENTRY *) DatumGetPointer(FunctionCall1Coll(
				&compress[i], compression->hypo->collations[i], PointerGetDatum(&entry)));
		get_typlenbyvalalign(types[i], &len, &byval, &typalign);
		width = dbperf_hypo_width(stored->key, len, typalign, &align);
		size = TYPEALIGN(align, size) + width;
	}
	return MAXALIGN(size) + MAXALIGN(sizeof(IndexTupleData)) + sizeof(ItemIdData);
}

/*
 * Measures what GiST would store.  Runs as the table's owner.
 */
static void
compress_keys(void *arg)
{
	Compression	 *compression = arg;
	HypoRelation *hypo = compression->hypo;
	HypoContents *contents = compression->contents;
	FmgrInfo	  compress[INDEX_MAX_KEYS] = {0};
	Oid			  types[INDEX_MAX_KEYS];
	int			  step = Max(contents->ncovered / COMPRESS_ROWS, 1);
	double		  total = 0;
	int			  count = 0;

	for (int i = 0; i < hypo->def->ncolumns; i++)
	{
		Oid type = hypo->opcintype[i];
		Oid proc = InvalidOid;

		types[i] = hypo->def->columns[i].type;
		if (i < hypo->def->nkeys)
		{
			Oid stored = dbperf_hypo_stored_type(&hypo->def->columns[i]);

			proc = get_opfamily_proc(hypo->opfamily[i], type, type, GIST_COMPRESS_PROC);
			if (OidIsValid(proc))
			{
				fmgr_info(proc, &compress[i]);
				types[i] = stored;
			}
		}
	}
	for (int place = 0; place < contents->ncovered; place += step)
	{
		double size = compressed_size(compression, compress, types, place);

		dbperf_visit_check_time();
		if (size < 0)
			return;
		total += size;
		count++;
	}
	if (count > 0)
		compression->size = total / count;
}

/*
 * Pages of a GiST index.
 */
static void
size_gist(HypoRelation *hypo, HypoTable *table, HypoContents *contents)
{
	Compression compression = {.hypo = hypo, .contents = contents, .size = -1};
	double		room = BLCKSZ * GIST_DEFAULT_FILLFACTOR / 100.0 - SizeOfPageHeaderData -
				  MAXALIGN(sizeof(GISTPageOpaqueData));
	double fill = GIST_FILL;
	double level;
	double pages;

	if (gist_sorts(hypo))
		fill = hypo->opcintype[0] == ANYRANGEOID ? GIST_SORTED_RANGE_FILL : GIST_SORTED_FILL;
	if (contents != NULL)
		(void) dbperf_hypo_as_owner(table->owner, compress_keys, &compression);
	if (compression.size < 0)
		compression.size = item_size(hypo, table, contents);

	level = Max(ceil(hypo->tuples * compression.size / (room * fill)), 1);
	pages = level;
	while (level > 1)
	{
		level = ceil(level * compression.size / (room * fill));
		pages += level;
	}
	hypo->pages = (BlockNumber) Min(pages, (double) MaxBlockNumber);
}

/*
 * Pages of an SP-GiST index: a meta page, two roots, and mostly leaves.
 */
static void
size_spgist(HypoRelation *hypo, HypoTable *table, HypoContents *contents)
{
	double item =
		item_size(hypo, table, contents) + SGLTHDRSZ(false) - MAXALIGN(sizeof(IndexTupleData));

	hypo->pages =
		(BlockNumber) Min(3 + ceil(hypo->tuples * item / (SPGIST_PAGE_CAPACITY * SPGIST_FILL)),
						  (double) MaxBlockNumber);
}

/*
 * Bytes of the summary of one column of a range of blocks, with so many rows.
 */
static double
brin_summary_size(const HypoRelation *hypo, const ColumnFacts *facts, int i, double rows)
{
	Oid	  type = hypo->opcintype[i];
	Oid	  proc = get_opfamily_proc(hypo->opfamily[i], type, type, BRIN_OPCINFO_PROC);
	char *name = OidIsValid(proc) ? get_func_name(proc) : NULL;

	/* A filter for a tenth of the rows, of about ten bits for each. */
	if (name != NULL && strstr(name, "bloom") != NULL)
		return 16 + Max(rows * 0.1, 16) * 9.6 / 8;
	/* Up to 32 values. */
	if (name != NULL && strstr(name, "multi") != NULL)
		return 24 + Min(rows, 32) * facts->width;
	/* The union and two flags. */
	if (name != NULL && strstr(name, "inclusion") != NULL)
		return facts->width + 2;
	return 2 * TYPEALIGN(facts->varies ? 1 : facts->align, (int64) facts->width);
}

/*
 * Pages of a BRIN index.
 */
static void
size_brin(HypoRelation *hypo, HypoTable *table)
{
	int per_range =
		hypo->def->pages_per_range > 0 ? hypo->def->pages_per_range : BRIN_DEFAULT_PAGES_PER_RANGE;
	double ranges = Max(ceil((double) table->rel->pages / per_range), 1);
	double rows = hypo->tuples / ranges;
	double size = MAXALIGN(SizeOfBrinTuple);
	double room = BLCKSZ - SizeOfPageHeaderData - MAXALIGN(sizeof(BrinSpecialSpace));
	double pages;

	for (int i = 0; i < hypo->def->nkeys; i++)
	{
		ColumnFacts facts;

		dbperf_hypo_column_facts(hypo, table, i, &facts);
		size += brin_summary_size(hypo, &facts, i, rows);
	}
	size = MAXALIGN((int64) size) + sizeof(ItemIdData);
	pages = 1 + ceil(ranges / REVMAP_PAGE_MAXITEMS) + ceil(ranges / Max(floor(room / size), 1));
	hypo->pages = (BlockNumber) Min(pages, (double) MaxBlockNumber);
}

/*
 * Whether the planner's own estimate of a clause is better than counting rows
 * of a sample: a plain column, compared or tested.
 */
static bool
is_simple_clause(Node *clause)
{
	if (IsA(clause, NullTest))
		return IsA(((NullTest *) clause)->arg, Var);
	if (IsA(clause, BooleanTest))
		return IsA(((BooleanTest *) clause)->arg, Var);
	if (is_notclause(clause))
		return is_simple_clause((Node *) get_notclausearg((Expr *) clause));
	if (IsA(clause, OpExpr) && list_length(((OpExpr *) clause)->args) == 2)
		return IsA(strip_implicit_coercions(linitial(((OpExpr *) clause)->args)), Var) &&
			   IsA(lsecond(((OpExpr *) clause)->args), Const);
	return IsA(clause, Var);
}

/*
 * Rows that the index covers.
 */
static double
covered_rows(HypoRelation *hypo, HypoTable *table, HypoContents *contents)
{
	double rows = table->rel->tuples;
	bool simple = list_length(hypo->predicate) == 1 && is_simple_clause(linitial(hypo->predicate));

	if (hypo->predicate == NIL)
		return rows;
	if (contents != NULL && contents->nrows > 0 &&
		(!simple || contents->ncovered == contents->nrows) &&
		(contents->ncovered >= 30 || contents->nrows >= rows * 0.99))
		return rows * contents->ncovered / contents->nrows;
	return clamp_row_est(rows * clauselist_selectivity(table->root, copyObject(hypo->predicate), 1,
													   JOIN_INNER, NULL));
}

/*
 * Estimates tuples, pages and height of the index.
 */
void
dbperf_hypo_estimate(HypoRelation *hypo, HypoTable *table, HypoContents *contents)
{
	hypo->tuples = covered_rows(hypo, table, contents);
	hypo->tree_height = -1;

	switch (hypo->def->am)
	{
		case BTREE_AM_OID:
			dbperf_hypo_size_btree(hypo, table, contents);
			break;
		case HASH_AM_OID:
			size_hash(hypo, table, contents);
			break;
		case GIN_AM_OID:
			dbperf_hypo_size_gin(hypo, table, contents);
			break;
		case BRIN_AM_OID:
			size_brin(hypo, table);
			break;
		case SPGIST_AM_OID:
			size_spgist(hypo, table, contents);
			break;
		default:
			size_gist(hypo, table, contents);
			break;
	}
}
