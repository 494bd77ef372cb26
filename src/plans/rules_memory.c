/*-------------------------------------------------------------------------
 *
 * rules_memory.c
 *		Rules about sorts and hash tables that did not fit into memory.
 *
 * Gain: writing the temporary files and reading them back.  The blocks of the
 * statement are known, those of a node only by its own figures; a node's gain
 * is never more than half of its time, since the rows still have to be sorted
 * or hashed.  It is small while the page cache takes the files; much of it is
 * worth a warning all the same, since the next statement may not be so lucky.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/execnodes.h"
#include "executor/nodeHash.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "plans/findings_int.h"

#define TEMP_KB_MS 0.0007	/* to write and read 1 kB, most of it in the page cache */
#define MAX_GAIN_SHARE 0.5	/* of a node's own time */
#define SORT_ROW_BYTES 48.0 /* beside its columns */
#define ROOM 1.2
#define MIN_GAIN_SHARE 0.1 /* of the statement; less is no promise to make */
#define MIN_DISK_KB 1024.0
#define WARNING_DISK_KB 8192.0 /* others have to share the disk with it */

/* How much a spill weighs at least. */
static FindingSeverity
spill_severity(const FindingContext *context, double disk_kb)
{
	return disk_kb >= WARNING_DISK_KB && context->total_ms >= WARNING_MS ? FINDING_WARNING
																		 : FINDING_INFO;
}

/* Gain of keeping this much off the disk, for nodes that take so long; -1 if too little. */
static double
spill_gain(const FindingContext *context, double self_ms, double disk_kb)
{
	double gain = Min(disk_kb * TEMP_KB_MS, MAX_GAIN_SHARE * self_ms);

	return gain >= MIN_GAIN_SHARE * context->total_ms ? gain : -1;
}

/* What workers say in "Worker 0:  Sort Method: external merge  Disk: 1kB", together. */
static double
workers_part(const PlanNode *node, const char *part, int *workers)
{
	double	  sum = 0;
	ListCell *lc;

	foreach (lc, node->properties)
	{
		PlanProperty *property = lfirst(lc);
		const char	 *p;

		if (strncmp(property->key, "Worker ", 7) != 0)
			continue;
		p = strstr(property->value, part);
		if (p == NULL)
			continue;
		sum += atof(p + strlen(part) + 1);
		(*workers)++;
	}
	return sum;
}

/*
 * sort_spilled.  What it needs in memory is the rows with their headers: more
 * than what they take on disk.
 */
static void
judge_sort(FindingContext *context, const PlanNode *node)
{
	int		 workers = 0;
	double	 disk = dbperf_plan_part(node, "Sort Method", "Disk", 0);
	double	 all = disk + workers_part(node, "Disk:", &workers);
	int		 processes = workers + (disk > 0 ? 1 : 0);
	double	 rows;
	double	 needed;
	Finding *finding;

	if (all < MIN_DISK_KB || processes == 0)
		return;
	rows = dbperf_node_rows(node) / processes;
	needed = Max(2 * all / processes, rows * (node->plan_width + SORT_ROW_BYTES) / 1024) * ROOM;
	finding = dbperf_finding_add(context, "sort_spilled", node,
								 spill_gain(context, dbperf_node_self_ms(context, node), all));
	finding->severity = spill_severity(context, all);
	finding->evidence = psprintf("%.0f rows were sorted on disk, in %.0f kB of temporary files",
								 dbperf_node_rows(node), all);
	finding->setting = dbperf_work_mem(context, needed);
	finding->advice =
		finding->setting != NULL
			? "With enough work_mem the sort stays in memory. Set it for this query or role, not "
			  "for the server: every sort of every session may take as much."
			: "This is too much to sort in memory: sort fewer or narrower rows, or have an index "
			  "give them in order.";
}

/* hash_spilled, of a join's hash table. */
static void
judge_hash(FindingContext *context, const PlanNode *node)
{
	double	 n = dbperf_plan_part(node, "Buckets", "Batches", 1);
	double	 used = dbperf_plan_part(node, "Buckets", "Memory Usage", 0);
	double	 disk = used * (n - 1);
	Finding *finding;

	if (n <= 1 || disk < MIN_DISK_KB)
		return;

	/* the other side of the join is written to batches as well */
	if (context->subject->temp_blks_written > 0)
		disk = Max(disk, context->subject->temp_blks_written * (BLCKSZ / 1024));
	finding = dbperf_finding_add(
		context, "hash_spilled", node,
		spill_gain(context,
				   dbperf_node_self_ms(context, node) + dbperf_node_self_ms(context, node->parent),
				   disk));
	finding->severity = spill_severity(context, disk);
	finding->evidence =
		psprintf("the hash table was split into %.0f batches of up to %.0f kB", n, used);
	finding->setting = dbperf_work_mem(context, ROOM * used * n / hash_mem_multiplier);
	finding->advice = "With enough work_mem the hash table stays in memory, and no side of the "
					  "join is written to temporary files.";
}

/* hash_spilled, of an aggregate. */
static void
judge_aggregate(FindingContext *context, const PlanNode *node)
{
	static const char *const lines[] = {"Batches", "Planned Partitions"};
	double					 disk = 0;
	double					 used = 0;
	double					 needed;
	Finding					*finding;
	int						 workers = 0;

	for (int i = 0; i < (int) lengthof(lines); i++)
	{
		disk = Max(disk, dbperf_plan_part(node, lines[i], "Disk Usage", 0));
		used = Max(used, dbperf_plan_part(node, lines[i], "Memory Usage", 0));
	}
	disk += workers_part(node, "Disk Usage:", &workers);
	if (disk < MIN_DISK_KB)
		return;

	/* what is spilled are input rows; a group is one entry however many it has */
	needed = Max(used * 2, dbperf_node_rows(node) * (node->plan_width + 3 * SORT_ROW_BYTES) / 1024);
	finding = dbperf_finding_add(context, "hash_spilled", node,
								 spill_gain(context, dbperf_node_self_ms(context, node), disk));
	finding->severity = spill_severity(context, disk);
	finding->evidence = psprintf("%.0f groups did not fit into %.0f kB; %.0f kB were written to "
								 "temporary files",
								 dbperf_node_rows(node), used, disk);
	finding->setting = dbperf_work_mem(context, ROOM * needed / hash_mem_multiplier);
	finding->advice = "With enough work_mem the groups stay in memory.";
}

/*
 * Judges what was written to temporary files.
 */
void
dbperf_judge_memory(FindingContext *context)
{
	ListCell *lc;

	foreach (lc, context->tree->nodes)
	{
		const PlanNode *node = lfirst(lc);

		if (!node->has_actual)
			continue;
		if (dbperf_node_is(node, "Sort"))
			judge_sort(context, node);
		else if (dbperf_node_is(node, "Hash") && node->parent != NULL)
			judge_hash(context, node);
		else if (dbperf_node_is(node, "Aggregate"))
			judge_aggregate(context, node);
	}
}
