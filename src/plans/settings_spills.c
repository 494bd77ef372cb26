/*-------------------------------------------------------------------------
 *
 * settings_spills.c
 *		How much work_mem a node would need that has gone to disk.
 *
 * Computed from the rows that it had, by the rules of the server: what a row
 * takes in memory is more than what it takes in a file.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "executor/hashjoin.h"
#include "miscadmin.h"
#include "plans/settings_advice.h"
#include "utils/tuplesort.h"

/* What precedes an allocated chunk, in all releases at most. */
#define CHUNK_HEADER 16

/* An entry of the array that is sorted: SortTuple of tuplesort.c */
#define SORT_ENTRY 24

/* An entry of a hash table of groups, and what an aggregate keeps in it. */
#define GROUP_ENTRY 24
#define GROUP_STATE 16

/* An entry of a bitmap: a page with a bit for each row, tbm_calculate_entries() */
#define BITMAP_ENTRY 72

/*
 * The number behind a word in one of a node's lines, or missing.
 */
static double
number_behind(const PlanNode *node, const char *word, double missing)
{
	double	  most = missing;
	ListCell *lc;

	foreach (lc, node->properties)
	{
		const PlanProperty *property = lfirst(lc);
		char			   *line = psprintf("%s: %s", property->key, property->value);
		const char		   *found = strstr(line, word);

		/* workers have lines of their own: the one that needs most counts */
		if (found != NULL)
			most = Max(most, strtod(found + strlen(word), NULL));
		pfree(line);
	}
	return most;
}

/*
 * The rows that a process got from the node below.
 */
static double
rows_below(const PlanNode *node)
{
	ListCell *lc;

	foreach (lc, node->children)
	{
		const PlanNode *child = lfirst(lc);

		if (child->subplan_name == NULL)
			return Max(child->actual_rows, 1);
	}
	return 0;
}

/*
 * A sort in memory: its rows as they were written, without the length in front
 * but with what a tuple in memory has more, and the array that points to them,
 * which is doubled when it is full.
 */
static double
sort_need(const PlanNode *node)
{
	double disk = number_behind(node, "Disk: ", 0) * 1024;
	double rows = rows_below(node);
	double written;

	if (disk == 0 || rows == 0)
		return 0;
	written = disk / rows - sizeof(int) + MINIMAL_TUPLE_DATA_OFFSET;
	return rows * (MAXALIGN((Size) ceil(Max(written, 1))) + CHUNK_HEADER) +
		   pow(2, ceil(log2(rows))) * SORT_ENTRY;
}

/*
 * Rows that come in groups are sorted group by group; a row takes some two and a
 * half times as much in memory as in a file.
 */
static double
incremental_sort_need(const PlanNode *node)
{
	return number_behind(node, "Peak Disk: ", 0) * 1024 * 2.5;
}

/*
 * A hash table of a join: ExecChooseHashTableSize().
 */
static double
hash_need(const PlanNode *node)
{
	double rows = Max(rows_below(node), node->actual_rows);
	double tuple = HJTUPLE_OVERHEAD + MAXALIGN(SizeofMinimalTupleHeader) +
				   MAXALIGN((Size) Max(node->plan_width, 0));

	if (number_behind(node, "Batches: ", 1) <= 1)
		return 0;
	return (rows * tuple + pow(2, ceil(log2(rows))) * sizeof(void *)) / hash_mem_multiplier;
}

/*
 * A hash table of groups: hash_agg_entry_size(), with one chunk for the columns
 * and one for what an aggregate keeps.
 */
static double
groups_need(const PlanNode *node)
{
	double groups = Max(node->actual_rows, node->plan_rows);
	double tuple = MAXALIGN(SizeofMinimalTupleHeader) + MAXALIGN((Size) Max(node->plan_width, 0));

	if (number_behind(node, "Disk Usage: ", 0) == 0)
		return 0;
	return groups * (CHUNK_HEADER + tuple + CHUNK_HEADER + GROUP_STATE + GROUP_ENTRY) /
		   hash_mem_multiplier;
}

/*
 * The pages of a bitmap, if some were remembered without their rows.
 */
static double
bitmap_need(const PlanNode *node)
{
	double lossy = number_behind(node, "lossy=", 0);

	if (lossy == 0)
		return 0;
	return (lossy + number_behind(node, "exact=", 0)) * BITMAP_ENTRY;
}

/*
 * The work_mem with which a node would not have gone to disk, or lost rows of a
 * bitmap, in kB; 0 if it has not.
 */
double
dbperf_spill_need_kb(const PlanNode *node)
{
	double need = 0;

	if (!node->has_actual || node->never_executed)
		return 0;
	if (strcmp(node->type, "Sort") == 0)
		need = sort_need(node);
	else if (strcmp(node->type, "Incremental Sort") == 0)
		need = incremental_sort_need(node);
	else if (strcmp(node->type, "Hash") == 0)
		need = hash_need(node);
	else if (strcmp(node->type, "Aggregate") == 0)
		need = groups_need(node);
	else if (strcmp(node->type, "Bitmap Heap Scan") == 0)
		need = bitmap_need(node);
	return ceil(need / 1024);
}
