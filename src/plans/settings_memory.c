/*-------------------------------------------------------------------------
 *
 * settings_memory.c
 *		Advice on work_mem and shared_buffers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "plans/settings_advice.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

/* One node of one query may take this part of the memory at most. */
#define QUERY_SHARE 16

/* All connections together, if each has one node, this part. */
#define SERVER_SHARE 4

/* So many queries ask for a setting of the server's. */
#define MANY_QUERIES 5

/* What a block of a temporary file costs to write or read, with what it takes to
 * take rows apart and put them together; a guess for the file system's cache */
#define TEMP_BLOCK_MS 0.01

/* What a query needs. */
typedef struct QueryNeed
{
	uint64		queryid;
	double		need_kb; /* of the most demanding node of all executions */
	double		work_mem_kb;
	double		temp_blocks; /* of one execution, mean */
	int			executions;	 /* that went to disk */
	const char *node;
} QueryNeed;

/*
 * The next size of 1, 1.5, 2, 3, 4, 6 ... times a power of two MB.
 */
static double
round_up_kb(double kb)
{
	double size = 1024;

	while (size < kb)
	{
		if (size * 1.5 >= kb)
			return size * 1.5;
		size *= 2;
	}
	return size;
}

/*
 * A size as settings are written.
 */
static char *
size_text(double kb)
{
	if (fmod(kb, 1024) == 0)
		return psprintf("%.0fMB", kb / 1024);
	return psprintf("%.0fkB", kb);
}

/*
 * The need of the node of a plan that needs most, or 0.
 */
static double
plan_need(const PlanTree *tree, const char **node)
{
	double	  most = 0;
	ListCell *lc;

	foreach (lc, tree->nodes)
	{
		const PlanNode *one = lfirst(lc);
		double			need = dbperf_spill_need_kb(one);

		if (need > most)
		{
			most = need;
			*node = one->title;
		}
	}
	return most;
}

/*
 * What is known of a query; made from its newest execution.
 */
static QueryNeed *
query_need(List **needs, const SlowStatement *statement)
{
	QueryNeed *need;
	ListCell  *lc;

	foreach (lc, *needs)
	{
		need = lfirst(lc);
		if (need->queryid == statement->queryid)
			return need;
	}
	need = palloc0(sizeof(QueryNeed));
	need->queryid = statement->queryid;
	need->work_mem_kb = statement->work_mem_kb;
	*needs = lappend(*needs, need);
	return need;
}

/*
 * The queries that went to disk.  Executions with less work_mem than the newest
 * one had say nothing of what it needs now.
 */
static List *
needing_queries(SettingsWork *work)
{
	List	 *queries = NIL;
	List	 *needs = NIL;
	ListCell *lc;

	foreach (lc, work->plans)
	{
		const SlowStatement *statement = ((RecordedPlan *) lfirst(lc))->statement;
		const PlanTree		*tree = ((RecordedPlan *) lfirst(lc))->tree;
		const char			*node = "";
		double				 need;
		QueryNeed			*query;

		if (statement->queryid == 0 || !tree->analyzed)
			continue;
		query = query_need(&queries, statement);
		if (statement->work_mem_kb < query->work_mem_kb)
			continue;
		need = plan_need(tree, &node);
		if (need == 0)
			continue;
		if (need > query->need_kb)
		{
			query->need_kb = need;
			query->node = node;
		}
		query->temp_blocks += statement->temp_blks_read + statement->temp_blks_written;
		query->executions++;
	}
	foreach (lc, queries)
	{
		if (((QueryNeed *) lfirst(lc))->executions > 0)
			needs = lappend(needs, lfirst(lc));
	}
	return needs;
}

/*
 * What has happened to a query, and what it needs.
 */
static char *
need_reason(const QueryNeed *need)
{
	double blocks = need->temp_blocks / need->executions;
	char  *happened;

	if (blocks > 0)
		happened = psprintf("went to disk in %d of the recorded executions, with %.0f blocks of "
							"temporary files in each",
							need->executions, blocks);
	else
		happened = psprintf("remembered only pages in its bitmap, not rows, in %d of the recorded "
							"executions",
							need->executions);
	return psprintf("%s: \"%s\" needs %s%s by the rows that it had", happened, need->node,
					size_text(need->need_kb),
					strstr(need->node, "Hash") != NULL && hash_mem_multiplier != 1
						? psprintf(" (times hash_mem_multiplier, %g)", hash_mem_multiplier)
						: "");
}

/*
 * work_mem for one query, unless that would be too much of the memory.
 */
static void
advise_query(SettingsWork *work, QueryNeed *need)
{
	double		   size = round_up_kb(need->need_kb * 1.1);
	SettingAdvice *advice;

	if (size <= need->work_mem_kb || (work->memory_kb > 0 && size > work->memory_kb / QUERY_SHARE))
		return;
	advice = dbperf_settings_add(work, need->queryid, "work_mem", size_text(size));
	if (need->work_mem_kb > 0)
		advice->current = size_text(need->work_mem_kb);
	if (need->temp_blocks > 0)
		advice->gain_ms = need->temp_blocks / need->executions * TEMP_BLOCK_MS;
	advice->reason = need_reason(need);
}

static int
compare_needs(const ListCell *a, const ListCell *b)
{
	double difference = ((QueryNeed *) lfirst(a))->need_kb - ((QueryNeed *) lfirst(b))->need_kb;

	return difference > 0 ? 1 : difference < 0 ? -1 : 0;
}

/*
 * work_mem for the server: as much as most of the queries need, if all
 * connections could have it at once.
 */
static void
advise_server(SettingsWork *work, List *needs)
{
	double		   limit = work->memory_kb / SERVER_SHARE / MaxConnections;
	double		   size = 0;
	double		   gain = 0;
	List		  *queries = NIL;
	SettingAdvice *advice;
	ListCell	  *lc;

	list_sort(needs, compare_needs);
	foreach (lc, needs)
	{
		QueryNeed *need = lfirst(lc);
		double	   own = round_up_kb(need->need_kb * 1.1);

		if (own > limit)
			break;
		size = own;
		gain += need->temp_blocks * TEMP_BLOCK_MS;
		queries = dbperf_settings_queries(queries, need->queryid);
	}
	if (list_length(queries) < MANY_QUERIES || size <= work_mem)
		return;
	advice = dbperf_settings_add(work, 0, "work_mem", size_text(size));
	advice->queries = queries;
	advice->gain_ms = gain;
	advice->reason =
		psprintf("%d queries of which plans were recorded go to disk for less than this; %d "
				 "connections that take it at once need %s of the machine's %s",
				 list_length(queries), MaxConnections, size_text(round(size * MaxConnections)),
				 size_text(floor(work->memory_kb / 1024) * 1024));
}

/*
 * Advice on work_mem, from what was sorted and hashed on disk.
 */
void
dbperf_settings_work_mem(SettingsWork *work)
{
	List	 *needs = needing_queries(work);
	ListCell *lc;

	foreach (lc, needs)
		advise_query(work, lfirst(lc));
	advise_server(work, needs);
}

/* ---- shared_buffers ---- */

/* A quarter of the memory, as the documentation says. */
#define BUFFERS_SHARE 4

/* Executions of a query that read their blocks again. */
#define REPEATED 3

/*
 * Blocks of all tables of a statement.
 */
static double
table_blocks(const SlowStatement *statement)
{
	double	  blocks = 0;
	ListCell *lc;

	foreach (lc, statement->relations)
	{
		HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(lfirst_oid(lc)));

		if (!HeapTupleIsValid(tuple))
			continue;
		blocks += ((Form_pg_class) GETSTRUCT(tuple))->relpages;
		ReleaseSysCache(tuple);
	}
	return blocks;
}

/*
 * Whether most of what a query reads comes from outside the buffers, again and
 * again; *blocks gets how much that was in all.
 */
static bool
reads_again(SettingsWork *work, uint64 queryid, double *blocks)
{
	int		  count = 0;
	ListCell *lc;

	*blocks = 0;
	foreach (lc, work->plans)
	{
		const SlowStatement *statement = ((RecordedPlan *) lfirst(lc))->statement;

		if (statement->queryid != queryid ||
			statement->shared_blks_read <= statement->shared_blks_hit)
			continue;
		count++;
		*blocks += statement->shared_blks_read;
	}
	return count >= REPEATED;
}

static bool
has_query(List *queries, uint64 queryid)
{
	ListCell *lc;

	foreach (lc, queries)
	{
		if (*(uint64 *) lfirst(lc) == queryid)
			return true;
	}
	return false;
}

/*
 * Advice on shared_buffers: queries that read the same tables from outside each
 * time, although a usual size would hold them.
 */
void
dbperf_settings_buffers(SettingsWork *work)
{
	double		   size = work->memory_kb / BUFFERS_SHARE / (BLCKSZ / 1024);
	double		   total = 0;
	List		  *queries = NIL;
	SettingAdvice *advice;
	ListCell	  *lc;

	if (NBuffers >= size / 2)
		return;
	foreach (lc, work->plans)
	{
		RecordedPlan *plan = lfirst(lc);
		double		  own = table_blocks(plan->statement);
		double		  blocks;

		if (has_query(queries, plan->statement->queryid) || !plan->newest ||
			plan->statement->queryid == 0 || own < NBuffers / 4.0 || own > size / 2 ||
			!reads_again(work, plan->statement->queryid, &blocks))
			continue;
		total += blocks;
		queries = dbperf_settings_queries(queries, plan->statement->queryid);
	}
	if (queries == NIL)
		return;
	advice = dbperf_settings_add(work, 0, "shared_buffers",
								 size_text(floor(size * (BLCKSZ / 1024) / 1024) * 1024));
	advice->queries = queries;
	advice->reason = psprintf(
		"%d queries read most of their blocks from outside the buffers each time, %.0f blocks in "
		"the recorded executions, although a quarter of the memory would hold their tables; needs "
		"a restart",
		list_length(queries), total);
}
