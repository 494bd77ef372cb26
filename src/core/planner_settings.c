/*-------------------------------------------------------------------------
 *
 * planner_settings.c
 *		Settings that change how a statement is planned and how much memory and
 *		parallelism its execution may use, and never its result.
 *
 * Every role may SET each of them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "core/core.h"

/* In order.  Some are not known to all servers. */
const char *const dbperf_planner_settings[] = {
	"constraint_exclusion",
	"cpu_index_tuple_cost",
	"cpu_operator_cost",
	"cpu_tuple_cost",
	"cursor_tuple_fraction",
	"effective_cache_size",
	"effective_io_concurrency",
	"enable_async_append",
	"enable_bitmapscan",
	"enable_distinct_reordering",
	"enable_gathermerge",
	"enable_group_by_reordering",
	"enable_hashagg",
	"enable_hashjoin",
	"enable_incremental_sort",
	"enable_indexonlyscan",
	"enable_indexscan",
	"enable_material",
	"enable_memoize",
	"enable_mergejoin",
	"enable_nestloop",
	"enable_parallel_append",
	"enable_parallel_hash",
	"enable_partition_pruning",
	"enable_partitionwise_aggregate",
	"enable_partitionwise_join",
	"enable_presorted_aggregate",
	"enable_self_join_elimination",
	"enable_seqscan",
	"enable_sort",
	"enable_tidscan",
	"from_collapse_limit",
	"geqo",
	"geqo_effort",
	"geqo_generations",
	"geqo_pool_size",
	"geqo_seed",
	"geqo_selection_bias",
	"geqo_threshold",
	"hash_mem_multiplier",
	"io_combine_limit",
	"jit",
	"jit_above_cost",
	"jit_inline_above_cost",
	"jit_optimize_above_cost",
	"join_collapse_limit",
	"max_parallel_workers",
	"max_parallel_workers_per_gather",
	"min_parallel_index_scan_size",
	"min_parallel_table_scan_size",
	"parallel_leader_participation",
	"parallel_setup_cost",
	"parallel_tuple_cost",
	"random_page_cost",
	"recursive_worktable_factor",
	"seq_page_cost",
	"work_mem",
};

const int dbperf_num_planner_settings = lengthof(dbperf_planner_settings);
