/*-------------------------------------------------------------------------
 *
 * hypo_keys.c
 *		Counts and measures the keys that a sample would put into an index.
 *
 * The sample is made of whole blocks, of which only some rows may have been
 * kept.  Rows of one block are often alike, so that a key that is seen twice
 * need not be frequent.  What is counted is therefore in how many blocks a key
 * occurs, and apart from that how often within one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/detoast.h"
#include "access/htup_details.h"
#include "access/itup.h"
#include "advisor/hypo.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* Rows whose keys are counted, and measured, about. */
#define COUNT_ROWS 15000
#define MEASURE_ROWS 2000

/* A key seen in so many blocks is frequent: what the sample says is scaled up. */
#define FREQUENT_BLOCKS 5

/*
 * The value of an index column for one covered row.  Returns false if it is an
 * expression that was not evaluated.
 */
bool
dbperf_hypo_value(const HypoContents *contents, const IndexDef *def, int place, int column,
				  Datum *value, bool *isnull)
{
	const IndexColumn *col = &def->columns[column];

	if (col->attno > 0)
	{
		Size i = (Size) contents->rows[place] * contents->sample->desc->natts + col->attno - 1;

		*value = contents->sample->values[i];
		*isnull = contents->sample->nulls[i];
		return true;
	}
	if (contents->values[column] == NULL)
		return false;
	*value = contents->values[column][place];
	*isnull = contents->nulls[column][place];
	return true;
}

/*
 * The type that an index column stores, for operator classes with one of their own.
 */
Oid
dbperf_hypo_stored_type(const IndexColumn *column)
{
	HeapTuple		tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(column->opclass));
	Form_pg_opclass form;
	Oid				type;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator class %u", column->opclass);
	form = (Form_pg_opclass) GETSTRUCT(tuple);
	type = form->opckeytype;
	if (type == ANYELEMENTOID && form->opcintype == ANYARRAYOID)
		type = get_base_element_type(column->type);
	else if (!OidIsValid(type))
		type = column->type;
	ReleaseSysCache(tuple);
	return type;
}

/*
 * A hash of a value's bytes.  Equal values of types whose equality is that of
 * their bytes have equal ones.  What is stored out of line is not fetched.
 */
uint64
dbperf_hypo_hash(Datum value, int16 len, bool byval)
{
	const unsigned char *bytes = (const unsigned char *) DatumGetPointer(value);

	if (byval)
	{
		bytes = (const unsigned char *) &value;
		len = sizeof(Datum);
	}
	else if (len == -1)
	{
		struct varlena *p = (struct varlena *) DatumGetPointer(value);

		if (VARATT_IS_EXTERNAL(p))
			return DatumGetUInt64(hash_any_extended(bytes, VARSIZE_EXTERNAL(p), 0));
		return DatumGetUInt64(
			hash_any_extended((const unsigned char *) VARDATA_ANY(p), VARSIZE_ANY_EXHDR(p), 0));
	}
	else if (len == -2)
		return DatumGetUInt64(hash_any_extended(bytes, strlen((const char *) bytes) + 1, 0));
	return DatumGetUInt64(hash_any_extended(bytes, len, 0));
}

/*
 * Bytes that a value takes in an index tuple, and what it is aligned to there.
 */
int
dbperf_hypo_width(Datum value, int16 len, char typalign, int *align)
{
	struct varlena *p;

	*align = typalign == TYPALIGN_DOUBLE  ? ALIGNOF_DOUBLE
			 : typalign == TYPALIGN_INT	  ? ALIGNOF_INT
			 : typalign == TYPALIGN_SHORT ? ALIGNOF_SHORT
										  : 1;
	if (len > 0)
		return len;
	if (len == -2)
		return strlen(DatumGetCString(value)) + 1;

	p = (struct varlena *) DatumGetPointer(value);
	if (VARATT_IS_EXTERNAL(p))
		return Min(toast_datum_size(value), BLCKSZ / 4);
	if (VARATT_IS_SHORT(p) || VARATT_CAN_MAKE_SHORT(p))
	{
		*align = 1;
		return VARATT_IS_SHORT(p) ? VARSIZE_SHORT(p) : VARATT_CONVERTED_SHORT_SIZE(p);
	}
	return VARSIZE_ANY(p);
}

/*
 * Widths of a table's column in the sample, those of nulls being -1, and what
 * to align them to in the lowest four bits.  Made once for each column.
 */
static const int *
column_widths(HypoSample *sample, const IndexColumn *column)
{
	int	  natts = sample->desc->natts;
	int	 *widths = sample->widths[column->attno - 1];
	int16 len;
	bool  byval;
	char  typalign;

	if (widths != NULL)
		return widths;
	get_typlenbyvalalign(column->type, &len, &byval, &typalign);
	widths = MemoryContextAlloc(sample->context, sizeof(int) * sample->nrows);
	for (int row = 0; row < sample->nrows; row++)
	{
		Size i = (Size) row * natts + column->attno - 1;
		int	 align;

		if (sample->nulls[i])
			widths[row] = -1;
		else
		{
			widths[row] = dbperf_hypo_width(sample->values[i], len, typalign, &align) << 4;
			widths[row] |= align;
		}
	}
	sample->widths[column->attno - 1] = widths;
	return widths;
}

/*
 * Hashes of a table's column in the sample, 0 for nulls.  Made once for each
 * column: many indexes have it.
 */
static const uint64 *
column_hashes(HypoSample *sample, const IndexColumn *column)
{
	int		natts = sample->desc->natts;
	uint64 *hashes = sample->hashes[column->attno - 1];
	int16	len;
	bool	byval;

	if (hashes != NULL)
		return hashes;
	get_typlenbyval(column->type, &len, &byval);
	hashes = MemoryContextAlloc(sample->context, sizeof(uint64) * sample->nrows);
	for (int row = 0; row < sample->nrows; row++)
	{
		Size i = (Size) row * natts + column->attno - 1;

		hashes[row] = sample->nulls[i] ? 0 : dbperf_hypo_hash(sample->values[i], len, byval) | 1;
	}
	sample->hashes[column->attno - 1] = hashes;
	return hashes;
}

/*
 * Average size of an index tuple, header and alignment included, or -1 if that
 * is not known.
 */
double
dbperf_hypo_tuple_size(const HypoContents *contents, const IndexDef *def)
{
	const int *widths[INDEX_MAX_KEYS] = {0};
	int16	   len[INDEX_MAX_KEYS];
	char	   typalign[INDEX_MAX_KEYS];
	int		   step = Max(contents->ncovered / MEASURE_ROWS, 1);
	double	   total = 0;
	int		   count = 0;

	for (int i = 0; i < def->ncolumns; i++)
	{
		bool byval;

		get_typlenbyvalalign(def->columns[i].type, &len[i], &byval, &typalign[i]);
		if (def->columns[i].attno > 0)
			widths[i] = column_widths(contents->sample, &def->columns[i]);
		else if (contents->values[i] == NULL)
			return -1;
	}
	for (int place = 0; place < contents->ncovered; place += step)
	{
		Size size = 0;
		bool has_nulls = false;

		for (int i = 0; i < def->ncolumns; i++)
		{
			int width;
			int align;

			if (widths[i] != NULL)
			{
				width = widths[i][contents->rows[place]];
				has_nulls |= width < 0;
				if (width < 0)
					continue;
				align = width & 15;
				width >>= 4;
			}
			else
			{
				has_nulls |= contents->nulls[i][place];
				if (contents->nulls[i][place])
					continue;
				width = dbperf_hypo_width(contents->values[i][place], len[i], typalign[i], &align);
			}
			size = TYPEALIGN(align, size) + width;
		}
		size +=
			MAXALIGN(sizeof(IndexTupleData) + (has_nulls ? sizeof(IndexAttributeBitMapData) : 0));
		total += MAXALIGN(size);
		count++;
	}
	return count > 0 ? total / count : -1;
}

/*
 * How many distinct values there are in all, if "distinct" are among "sampled"
 * of "total", "once" of them once: the estimator of Haas and Stokes that
 * ANALYZE uses.
 */
double
dbperf_hypo_distinct(double total, double sampled, double distinct, double once)
{
	double estimate;

	if (sampled >= total || once <= 0)
		return distinct;
	estimate = sampled * distinct / (sampled - once + once * sampled / total);
	return Max(Min(estimate, total), distinct);
}

/*
 * How many rows of a block share a key, if "seen" are seen on the average of
 * those of which any is, and each row was kept with that probability.
 */
static double
rows_per_block(double seen, double kept)
{
	double rows = Max(seen, 1);

	if (kept >= 0.999 || seen <= 1.001)
		return rows;
	for (int i = 0; i < 100; i++)
		rows = seen * (1 - pow(1 - kept, rows)) / kept;
	return Max(rows, 1);
}

/*
 * The keys of the covered rows, or of each step'th of them, those that are all
 * null apart.  Returns their number, or -1 if they are not known.
 */
static int
collect_keys(const HypoContents *contents, const IndexDef *def, int first, int nkeys, int step,
			 SampledKey *keys)
{
	const uint64 *hashes[INDEX_MAX_KEYS] = {0};
	int16		  len[INDEX_MAX_KEYS];
	bool		  byval[INDEX_MAX_KEYS];
	int			  count = 0;

	for (int i = first; i < first + nkeys; i++)
	{
		get_typlenbyval(def->columns[i].type, &len[i], &byval[i]);
		if (def->columns[i].attno > 0)
			hashes[i] = column_hashes(contents->sample, &def->columns[i]);
		else if (contents->values[i] == NULL)
			return -1;
	}
	for (int place = 0; place < contents->ncovered; place += step)
	{
		uint64 all = 0;
		bool   all_null = true;

		for (int i = first; i < first + nkeys; i++)
		{
			uint64 hash = 0;

			if (hashes[i] != NULL)
				hash = hashes[i][contents->rows[place]];
			else if (!contents->nulls[i][place])
				hash = dbperf_hypo_hash(contents->values[i][place], len[i], byval[i]) | 1;
			all_null &= hash == 0;
			all = hash_combine64(all, hash);
		}
		if (all_null)
			continue;
		keys[count].hash = all;
		keys[count].block = contents->sample->blocks[contents->rows[place]];
		keys[count].width = 0;
		count++;
	}
	return count;
}

/* A key and how often it was seen. */
typedef struct CountedKey
{
	uint64		hash;
	BlockNumber block; /* the last one that it was seen in */
	int			width;
	int			count;	/* 0 = a free place */
	int			blocks; /* that it was seen in */
} CountedKey;

/*
 * Puts the keys into a hash table of a power of two of places, at least twice
 * as many as there are keys.  Keys of one block stand together.
 */
static CountedKey *
count_each(const SampledKey *keys, int nkeys, int *places)
{
	CountedKey *table;
	uint64		mask;

	*places = 16;
	while (*places < nkeys * 2)
		*places *= 2;
	mask = *places - 1;
	table = MemoryContextAllocExtended(CurrentMemoryContext, sizeof(CountedKey) * *places,
									   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < nkeys; i++)
	{
		uint64		place = (keys[i].hash >> 8) & mask;
		CountedKey *key;

		while (table[place].count > 0 && table[place].hash != keys[i].hash)
			place = (place + 1) & mask;
		key = &table[place];
		if (key->count == 0)
		{
			key->hash = keys[i].hash;
			key->width = keys[i].width;
		}
		if (key->count == 0 || key->block != keys[i].block)
			key->blocks++;
		key->block = keys[i].block;
		key->count++;
	}
	return table;
}

/*
 * Counts keys, given by blocks; those that a sample gave stand for "scale"
 * times as many, and of the rows of a sampled block, this part was kept.
 */
void
dbperf_hypo_count_sampled(const SampledKey *keys, int nkeys, double scale, double kept,
						  KeyCounts *counts)
{
	int			places;
	CountedKey *table = count_each(keys, nkeys, &places);
	bool		complete = scale < 1.01;
	double		rows = 0;	   /* rare ones: rows in the sample, */
	double		distinct = 0;  /* keys, */
	double		in_blocks = 0; /* pairs of a key and a block, */
	double		once = 0;	   /* and keys in one block only */
	double		width = 0;
	double		all = 0;

	memset(counts, 0, sizeof(KeyCounts));
	counts->frequent = palloc(sizeof(double) * (nkeys / (complete ? 1 : FREQUENT_BLOCKS) + 1));

	for (int i = 0; i < places; i++)
	{
		if (table[i].count == 0)
			continue;
		width += table[i].width;
		all++;
		if (table[i].blocks >= FREQUENT_BLOCKS || complete)
			counts->frequent[counts->nfrequent++] = table[i].count * scale;
		else
		{
			rows += table[i].count;
			distinct++;
			in_blocks += table[i].blocks;
			once += table[i].blocks == 1;
		}
	}
	pfree(table);

	counts->width = width / Max(all, 1);
	counts->rare = rows * scale;
	if (in_blocks > 0)
	{
		double all_blocks = counts->rare / rows_per_block(rows / in_blocks, kept);

		counts->rare_distinct = dbperf_hypo_distinct(all_blocks, in_blocks, distinct, once);
	}
}

/*
 * Counts the keys made of nkeys columns, from column "first" on, for an index
 * that will have so many tuples.  Returns false if the keys are not known.
 */
bool
dbperf_hypo_count_keys(const HypoContents *contents, const IndexDef *def, int first, int nkeys,
					   double tuples, KeyCounts *counts)
{
	int			step = Max(contents->ncovered / COUNT_ROWS, 1);
	int			nrows = (contents->ncovered + step - 1) / step;
	SampledKey *keys = palloc(sizeof(SampledKey) * Max(nrows, 1));
	int			nsampled = collect_keys(contents, def, first, nkeys, step, keys);
	double		scale = tuples / Max(nrows, 1);
	double		kept = (double) contents->nrows / Max(contents->sample->seen, 1) / step;

	if (nsampled < 0 || nrows == 0)
		return false;
	dbperf_hypo_count_sampled(keys, nsampled, scale, Min(kept, 1), counts);
	counts->nulls = (nrows - nsampled) * scale;
	pfree(keys);
	return true;
}
