/*-------------------------------------------------------------------------
 *
 * maint_score_analyze.c
 *		When a table is worth an ANALYZE: when it has changed, or when
 *		something of it has no statistics.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_class.h"
#include "catalog/pg_statistic.h"
#include "commands/vacuum.h"
#include "maintenance/maint_facts.h"
#include "postmaster/autovacuum.h"

/* Without statistics the planner guesses: that is worth more than a refresh. */
#define MISSING_SCORE 5

/* ANALYZE reads so many rows for each step of the statistics target. */
#define ROWS_PER_TARGET 300

/* What speaks for an ANALYZE. */
typedef struct Changes
{
	int64  changed;
	double limit;	/* due from there on */
	uint32 missing; /* hash, 0 = nothing is, or it was tried in vain */
	double score;
} Changes;

/*
 * What is missing, unless ANALYZE was tried for exactly that and could not help:
 * some objects never get statistics.
 */
static uint32
untried(const MaintRelation *table, uint32 missing)
{
	MaintMemory memory;

	if (missing == 0)
		return 0;
	dbperf_maint_remember_table(table->oid, MAINT_ANALYZE, &memory);
	return memory.tried == missing && memory.outcome == MAINT_DONE ? 0 : missing;
}

/* Whether there is anything to make statistics of, as far as is known. */
static bool
has_rows(MaintRelation *table)
{
	if (table->kind == RELKIND_PARTITIONED_TABLE)
		return table->leaf_rows > 0;
	/* -1: neither VACUUM nor ANALYZE has seen it */
	return table->rows > 0 || (table->rows < 0 && dbperf_maint_pages(table) > 0);
}

/* Changed rows of a table, and the limit for them. */
static void
count_changes(const MaintRelation *table, Changes *changes)
{
	const AutoVacOpts *options = table->options;
	int				   base = autovacuum_anl_thresh;
	double			   scale = autovacuum_anl_scale;
	double			   rows = Max(table->rows, 0);

	if (options != NULL && options->analyze_threshold >= 0)
		base = options->analyze_threshold;
	if (options != NULL && options->analyze_scale_factor >= 0)
		scale = options->analyze_scale_factor;
	changes->changed = table->stats.changed_since_analyze;
	changes->limit = Max(Min(base + scale * rows, dbperf_maint_own_threshold(rows)), 1);
}

/*
 * The same for a partitioned table, whose own counters stay 0: what its leaves
 * have seen since it was analyzed.  Where that is not remembered, their own
 * changes since they were must do; without statistics everything is new.
 */
static void
count_leaf_changes(const MaintRelation *table, Changes *changes)
{
	MaintMemory memory;

	dbperf_maint_remember_table(table->oid, MAINT_ANALYZE, &memory);
	if (memory.last_end != 0 && memory.changes <= table->leaf_changes)
		changes->changed = table->leaf_changes - memory.changes;
	else if (table->have != NULL)
		changes->changed = table->leaf_changed_since_analyze;
	else
		changes->changed = table->leaf_changes;
	changes->limit = dbperf_maint_own_threshold(table->leaf_rows);
}

/* The reason in words. */
static char *
reason_text(const MaintRelation *table, const Changes *changes)
{
	const char *covers = "";
	char	   *partitions;

	if (table->kind != RELKIND_PARTITIONED_TABLE)
	{
		if (changes->missing != 0)
			return dbperf_maint_missing_text(table);
		return psprintf("changed rows: " INT64_FORMAT " since the last ANALYZE, due from %.0f on",
						changes->changed, ceil(changes->limit));
	}
	partitions = psprintf(table->leaves == 1 ? "%d partition" : "%d partitions", table->leaves);
	if (DBPERF_ANALYZES_PARTITIONS)
		covers = "; its partitions are analyzed with it";
	if (changes->missing != 0)
		return psprintf("%s, with about %.0f rows in %s%s", dbperf_maint_missing_text(table),
						table->leaf_rows, partitions, covers);
	return psprintf("changed rows: " INT64_FORMAT
					" in %s since the last ANALYZE, due from %.0f on%s",
					changes->changed, partitions, ceil(changes->limit), covers);
}

/* Pages that ANALYZE will read. */
static double
pages_to_read(MaintRelation *table)
{
	int	   target = table->target > 0 ? table->target : default_statistics_target;
	double pages = Max(dbperf_maint_pages(table), 1);
	double sample = (double) ROWS_PER_TARGET * Max(target, default_statistics_target);

	if (table->kind != RELKIND_PARTITIONED_TABLE || !DBPERF_ANALYZES_PARTITIONS)
		return Min(pages, sample);
	/* the sample of the whole, and one of each partition */
	return Min(pages, sample) + Min(pages, sample * Max(table->leaves, 1));
}

/*
 * The ANALYZE of a table, if its score is at least min_score, else NULL.
 */
MaintItem *
dbperf_maint_score_analyze(MaintFacts *facts, MaintRelation *table, double min_score)
{
	bool	   partitioned = table->kind == RELKIND_PARTITIONED_TABLE;
	uint32	   missing;
	Changes	   changes = {0};
	MaintItem *item;

	/* ANALYZE refuses these two */
	if (table->kind == RELKIND_TOASTVALUE || table->oid == StatisticRelationId)
		return NULL;
	if (partitioned)
		count_leaf_changes(table, &changes);
	else
		count_changes(table, &changes);
	missing = dbperf_maint_missing_hash(table);
	if (missing != 0 && has_rows(table))
		changes.missing = untried(table, missing);
	changes.score = changes.changed / changes.limit;
	if (changes.missing != 0)
		changes.score = Max(changes.score, MISSING_SCORE);
	if (changes.score < min_score)
		return NULL;

	item = dbperf_maint_new_item(facts, table, MAINT_ANALYZE, changes.score);
	item->missing = missing;
	item->changes = table->leaf_changes;
	item->reason = reason_text(table, &changes);
	item->command = psprintf("ANALYZE (SKIP_LOCKED) %s%s", partitioned ? DBPERF_ANALYZE_ONLY : "",
							 item->object_name);
	item->est_pages = pages_to_read(table);
	return item;
}
