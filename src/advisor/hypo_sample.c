/*-------------------------------------------------------------------------
 *
 * hypo_sample.c
 *		Rows of a table, to see what an index on it would hold.
 *
 * The rows are read once for each table, as its owner in a security-restricted
 * operation, and in a subtransaction that is always rolled back.  The query is
 * planned and run by the server's own functions and not through the hooks, so
 * that no other extension counts it.  The same blocks are read each time: two
 * calls of the advisor shall say the same.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/table.h"
#include "advisor/hypo.h"
#include "advisor/workload.h"
#include "common/pg_prng.h"
#include "core/core.h"
#include "miscadmin.h"
#include "nodes/params.h"
#include "optimizer/planner.h"
#include "parser/analyze.h"
#include "parser/parse_node.h"
#include "parser/parser.h"
#include "rewrite/rewriteHandler.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* Of one table, and of all tables of a what-if. */
#define SAMPLE_PAGES 700
#define SAMPLE_PAGES_TOTAL 50000
#define SAMPLE_ROWS 20000
#define SAMPLE_BYTES (16 * 1024 * 1024)

/* Receives the rows of the query. */
typedef struct SampleReceiver
{
	DestReceiver  pub;
	HypoSample	 *sample;
	int			  nrows;
	double		  keep; /* fraction of the rows that is kept */
	Size		  bytes;
	pg_prng_state random;
} SampleReceiver;

/*
 * Keeps a row, or not.
 */
static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	SampleReceiver *receiver = (SampleReceiver *) self;
	HypoSample	   *sample = receiver->sample;
	MemoryContext	old;
	HeapTuple		tuple;

	if ((++sample->seen & 127) == 0)
		dbperf_visit_check_time();
	if (receiver->keep < 1 && pg_prng_double(&receiver->random) >= receiver->keep)
		return true;
	if (receiver->nrows >= SAMPLE_ROWS || receiver->bytes >= SAMPLE_BYTES)
		return false;

	old = MemoryContextSwitchTo(sample->context);
	tuple = ExecCopySlotHeapTuple(slot);
	receiver->bytes += HEAPTUPLESIZE + tuple->t_len;
	sample->rows[receiver->nrows++] = tuple;
	MemoryContextSwitchTo(old);
	return true;
}

static void
receiver_startup(DestReceiver *self, int operation, TupleDesc desc)
{
	SampleReceiver *receiver = (SampleReceiver *) self;
	MemoryContext	old = MemoryContextSwitchTo(receiver->sample->context);

	receiver->sample->desc = CreateTupleDescCopy(desc);
	MemoryContextSwitchTo(old);
}

static void
receiver_nothing(DestReceiver *self)
{
}

/*
 * The query for a sample: one column for each attribute number, and the place.
 */
static char *
sample_query(Relation relation, double percent)
{
	TupleDesc	   desc = RelationGetDescr(relation);
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "SELECT ");
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, i);

		if (i > 0)
			appendStringInfoString(&buf, ", ");
		if (attr->attisdropped)
			appendStringInfoString(&buf, "NULL::pg_catalog.int4");
		else
			appendStringInfoString(&buf, quote_identifier(NameStr(attr->attname)));
	}
	appendStringInfo(&buf,
					 "%sctid FROM ONLY %s TABLESAMPLE pg_catalog.system (%.9g) REPEATABLE (0)",
					 desc->natts > 0 ? ", " : "",
					 quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
												RelationGetRelationName(relation)),
					 percent);
	return buf.data;
}

/*
 * Plans and runs a query without telling anybody.
 */
static void
run_query(const char *sql, DestReceiver *receiver)
{
	ParseState	*pstate = make_parsestate(NULL);
	List		*queries;
	PlannedStmt *plan;
	QueryDesc	*desc;

	pstate->p_sourcetext = sql;
	queries = QueryRewrite(
		transformTopLevelStmt(pstate, linitial_node(RawStmt, raw_parser(sql, RAW_PARSE_DEFAULT))));
	plan = standard_planner(linitial_node(Query, queries), sql, 0, NULL);

	desc =
		CreateQueryDesc(plan, sql, GetActiveSnapshot(), InvalidSnapshot, receiver, NULL, NULL, 0);
	standard_ExecutorStart(desc, 0);
	dbperf_run_to_end(desc);
	standard_ExecutorFinish(desc);
	standard_ExecutorEnd(desc);
	FreeQueryDesc(desc);
	free_parsestate(pstate);
}

/*
 * Reads the rows.  Runs as the table's owner.
 */
static void
read_rows(void *arg)
{
	HypoSample	  *sample = arg;
	SampleReceiver receiver = {0};
	Relation	   relation = table_open(sample->relid, NoLock);
	double		   pages = Max(sample->table_pages, 1);
	double		   fraction = Min(SAMPLE_PAGES / pages, 1);

	receiver.pub.receiveSlot = receive_row;
	receiver.pub.rStartup = receiver_startup;
	receiver.pub.rShutdown = receiver_nothing;
	receiver.pub.rDestroy = receiver_nothing;
	receiver.pub.mydest = DestNone;
	receiver.sample = sample;
	receiver.keep = SAMPLE_ROWS / Max(sample->table_rows * fraction * 1.1, 1);
	pg_prng_seed(&receiver.random, 0);

	run_query(sample_query(relation, fraction * 100), &receiver.pub);
	sample->nrows = receiver.nrows;
	table_close(relation, NoLock);
}

/* What is run as whom. */
typedef struct AsOwner
{
	Oid owner;
	void (*function)(void *arg);
	void *arg;
} AsOwner;

static void
run_as_owner(void *arg)
{
	AsOwner *as = arg;

	dbperf_rights_become(as->owner);
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("row_security", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	if (!ActiveSnapshotSet())
		PushActiveSnapshot(GetTransactionSnapshot());
	as->function(as->arg);
}

/*
 * Runs a function as a table's owner, who can do no harm meanwhile, in a
 * subtransaction that is rolled back.  Returns false if it failed; cancel and
 * the like are re-thrown.
 */
bool
dbperf_hypo_as_owner(Oid owner, void (*function)(void *arg), void *arg)
{
	AsOwner as = {owner, function, arg};

	return dbperf_try(run_as_owner, &as);
}

/*
 * Takes the rows apart, once for all.
 */
static void
deform_rows(HypoSample *sample)
{
	int natts = sample->desc->natts;

	sample->values = MemoryContextAllocHuge(sample->context, sizeof(Datum) * natts * sample->nrows);
	sample->nulls = MemoryContextAllocHuge(sample->context, sizeof(bool) * natts * sample->nrows);
	sample->hashes = MemoryContextAllocZero(sample->context, sizeof(uint64 *) * natts);
	sample->widths = MemoryContextAllocZero(sample->context, sizeof(int *) * natts);
	sample->blocks = MemoryContextAlloc(sample->context, sizeof(BlockNumber) * sample->nrows);
	for (int i = 0; i < sample->nrows; i++)
	{
		Datum *values = &sample->values[(Size) i * natts];

		heap_deform_tuple(sample->rows[i], sample->desc, values, &sample->nulls[(Size) i * natts]);
		sample->blocks[i] =
			ItemPointerGetBlockNumber((ItemPointer) DatumGetPointer(values[natts - 1]));
	}
}

/*
 * A sample of a table, or NULL if there can be none.  A visit whose time is over
 * before it has all rows leaves the table without one: the next visit would
 * only come as far.
 */
HypoSample *
dbperf_hypo_sample(WhatIf *whatif, HypoTable *table)
{
	HypoSample	 *sample;
	MemoryContext context;
	double		  pages = Min(table->rel->pages, SAMPLE_PAGES);

	if (table->sample != NULL)
		return table->sample->nrows > 0 ? table->sample : NULL;

	context =
		AllocSetContextCreate(whatif->context, "dbperf what-if sample", ALLOCSET_DEFAULT_SIZES);
	sample = MemoryContextAllocZero(context, sizeof(HypoSample));
	sample->context = context;
	sample->relid = table->relid;
	sample->table_pages = table->rel->pages;
	sample->table_rows = table->rel->tuples;
	sample->rows = MemoryContextAlloc(context, sizeof(HeapTuple) * SAMPLE_ROWS);
	table->sample = sample;

	if (table->rel->pages > 0 && whatif->sample_pages + pages <= SAMPLE_PAGES_TOTAL)
	{
		whatif->sample_pages += pages;
		if (!dbperf_hypo_as_owner(table->owner, read_rows, sample))
			sample->nrows = 0;
		if (sample->nrows > 0)
			deform_rows(sample);
	}
	return sample->nrows > 0 ? sample : NULL;
}
