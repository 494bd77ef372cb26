/*-------------------------------------------------------------------------
 *
 * cache_rows.c
 *		Replays the rows of an entry, and collects the rows of a plan.
 *
 * Rows are MinimalTuples, each at a multiple of MAXALIGN.  Replayed rows are
 * not copied: the slot points into shared memory, which stays as it is while
 * the entry is pinned.
 *
 * What is collected must not depend on anything that can go away: values that
 * are stored outside of the row are fetched, compressed ones stay compressed.
 * Collecting is given up silently when it does not fit, or when there is no
 * memory for it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "cache/cache_node.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/expandeddatum.h"
#include "utils/memutils.h"

#define FIRST_ALLOCATION ((Size) 8192)

/* ---- replay ---- */

/*
 * Makes the slot for rows of the pinned entry.
 */
void
dbperf_cache_replay_begin(CacheScanState *node)
{
	EState	 *estate = node->css.ss.ps.state;
	TupleDesc desc = node->css.ss.ps.ps_ResultTupleDesc;

	node->replay.slot = ExecInitExtraTupleSlot(estate, desc, &TTSOpsMinimalTuple);
	node->replay.position = 0;
	node->replay.next = node->pin.rows;
}

static inline MinimalTuple
row_at(const char *place)
{
	return (MinimalTuple) unconstify(char *, place);
}

static inline const char *
row_after(const char *place)
{
	return place + MAXALIGN(row_at(place)->t_len);
}

/*
 * Where row n is, counted from 1.  The first call finds all of them, if there
 * is memory for that.
 */
static const char *
row_number(CacheScanState *node, int64 n)
{
	CacheReplay *replay = &node->replay;
	const char	*place = node->pin.rows;

	if (replay->offsets == NULL)
		replay->offsets = MemoryContextAllocExtended(node->css.ss.ps.state->es_query_cxt,
													 node->pin.num_rows * sizeof(Size),
													 MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
	else
		return place + replay->offsets[n - 1];

	for (int64 i = 1; i <= node->pin.num_rows; i++)
	{
		if (replay->offsets != NULL)
			replay->offsets[i - 1] = place - node->pin.rows;
		else if (i == n)
			return place;
		place = row_after(place);
	}
	return node->pin.rows + replay->offsets[n - 1];
}

/*
 * The next row, or the one before: as the executor's nodes do it, there is a
 * place before the first row and one after the last.
 */
TupleTableSlot *
dbperf_cache_replay(CacheScanState *node, ScanDirection direction)
{
	CacheReplay *replay = &node->replay;
	const char	*place;

	if (likely(ScanDirectionIsForward(direction)))
	{
		if (replay->position >= node->pin.num_rows)
		{
			replay->position = node->pin.num_rows + 1;
			return ExecClearTuple(replay->slot);
		}
		replay->position++;
		place = replay->next;
	}
	else
	{
		if (replay->position <= 1)
		{
			replay->position = 0;
			replay->next = node->pin.rows;
			return ExecClearTuple(replay->slot);
		}
		replay->position--;
		place = row_number(node, replay->position);
	}
	replay->next = row_after(place);
	return ExecStoreMinimalTuple(row_at(place), replay->slot, false);
}

/* ---- collection ---- */

/*
 * Gives the rows up.
 */
void
dbperf_cache_collect_stop(CacheScanState *node)
{
	node->collecting = false;
	if (node->rows.data != NULL)
		pfree(node->rows.data);
	memset(&node->rows, 0, sizeof(node->rows));
}

/*
 * Makes room for one more row.  False: there is none.
 */
static bool
make_room(CacheScanState *node, Size size)
{
	CacheRows *rows = &node->rows;
	Size	   wanted;
	char	  *data;

	if (size > rows->limit || rows->used > rows->limit - size)
		return false;
	if (rows->allocated - rows->used >= size)
		return true;
	wanted = Max(Max(rows->allocated * 2, FIRST_ALLOCATION), rows->used + size);
	wanted = Min(wanted, rows->limit);
	data = MemoryContextAllocExtended(node->css.ss.ps.state->es_query_cxt, wanted,
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
	if (data == NULL)
		return false;
	if (rows->data != NULL)
	{
		memcpy(data, rows->data, rows->used);
		pfree(rows->data);
	}
	rows->data = data;
	rows->allocated = wanted;
	return true;
}

/*
 * Bytes that a value stored elsewhere needs in the row.
 */
static Size
flat_size(Datum value)
{
	struct varlena *attr = (struct varlena *) DatumGetPointer(value);

	if (VARATT_IS_EXTERNAL_ONDISK(attr))
	{
		struct varatt_external pointer;

		VARATT_EXTERNAL_GET_POINTER(pointer, attr);
		return VARATT_EXTERNAL_GET_EXTSIZE(pointer);
	}
	if (VARATT_IS_EXTERNAL_EXPANDED(attr))
		return EOH_get_flat_size(DatumGetEOHP(value));
	return 0;
}

/*
 * Replaces values that are stored elsewhere by copies in the current context.
 * Returns false if they are too large to be kept.
 */
static bool
flatten_values(const CacheRows *rows, TupleDesc desc, Datum *values, const bool *isnull)
{
	Size left = rows->limit - rows->used;

	for (int i = 0; i < desc->natts; i++)
	{
		Size size;

		if (isnull[i] || TupleDescAttr(desc, i)->attlen != -1 ||
			!VARATT_IS_EXTERNAL(DatumGetPointer(values[i])))
			continue;
		size = flat_size(values[i]);
		if (size >= left)
			return false;
		left -= size;
		values[i] =
			PointerGetDatum(detoast_external_attr((struct varlena *) DatumGetPointer(values[i])));
	}
	return true;
}

/*
 * Appends a row, as heap_form_minimal_tuple() would make it.  False: it does
 * not fit.
 */
static bool
append_row(CacheScanState *node, TupleDesc desc, Datum *values, bool *isnull)
{
	CacheRows	*rows = &node->rows;
	bool		 hasnull = false;
	Size		 header = SizeofMinimalTupleHeader;
	Size		 data_size;
	Size		 size;
	MinimalTuple tuple;

	for (int i = 0; i < desc->natts && !hasnull; i++)
		hasnull = isnull[i];
	if (hasnull)
		header += BITMAPLEN(desc->natts);
	header = MAXALIGN(header);
	data_size = heap_compute_data_size(desc, values, isnull);
	size = MAXALIGN(header + data_size);
	if (!AllocSizeIsValid(size) || !make_room(node, size))
		return false;

	tuple = (MinimalTuple) (rows->data + rows->used);
	memset(tuple, 0, size);
	tuple->t_len = header + data_size;
	HeapTupleHeaderSetNatts(tuple, desc->natts);
	tuple->t_hoff = header + MINIMAL_TUPLE_OFFSET;
	heap_fill_tuple(desc, values, isnull, (char *) tuple + header, data_size, &tuple->t_infomask,
					hasnull ? tuple->t_bits : NULL);
	rows->used += size;
	rows->num++;
	return true;
}

/*
 * Adds a row of the plan to those collected.  False: it does not fit.
 */
bool
dbperf_cache_collect(CacheScanState *node, TupleTableSlot *slot)
{
	ExprContext	 *econtext = node->css.ss.ps.ps_ExprContext;
	TupleDesc	  desc = slot->tts_tupleDescriptor;
	MemoryContext old;
	Datum		 *values;
	bool		  fits;

	if (desc->natts > MaxTupleAttributeNumber)
		return false;
	slot_getallattrs(slot);
	ResetExprContext(econtext);
	old = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
	values = palloc(Max(desc->natts, 1) * sizeof(Datum));
	memcpy(values, slot->tts_values, desc->natts * sizeof(Datum));
	fits = flatten_values(&node->rows, desc, values, slot->tts_isnull) &&
		   append_row(node, desc, values, slot->tts_isnull);
	MemoryContextSwitchTo(old);
	return fits;
}
