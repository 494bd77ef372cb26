# shellcheck shell=bash
# B: statistics of a partitioned table.
# shellcheck disable=SC2034,SC2154	# the main script's

partitions_load()
{
	db bench -f "$parts/partitions.sql"
}

# All leaves have statistics: what autovacuum alone would come to.
partitions_leaves="SELECT count(*) = 12 FROM pg_inherits AS i
	WHERE i.inhparent = 'event'::regclass
		AND EXISTS (SELECT FROM pg_statistic AS s WHERE s.starelid = i.inhrelid)"

partitions_parent="SELECT EXISTS (SELECT FROM pg_statistic
	WHERE starelid = 'event'::regclass AND stainherit)"

# The median of 3 executions, after one.
partitions_time()
{
	{
		printf '%s\n' '\o /dev/null'
		cat "$parts/partitions_query.sql"
		printf '%s\n' '\timing on'
		for _ in 1 2 3; do
			cat "$parts/partitions_query.sql"
		done
	} >"$work/query.sql"
	run db bench -f "$work/query.sql" >"$work/query.out"
	sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' "$work/query.out" | median
}

# The plan, with the first leaf for all of them.
partitions_show()
{
	echo "-- $side"
	{ echo "EXPLAIN"; cat "$parts/partitions_query.sql"; } | db bench -At |
		awk '
			/ on event_([2-9]|1[0-2]) / { skip = 1; next }
			/->/ { skip = 0 }
			!skip'
}

partitions_run()
{
	local loaded

	fresh_server "$(mode_of "$side")"
	run db bench -v rows="$partition_rows" -f "$parts/partitions_rows.sql"
	loaded=$(now)
	note "s until the parent has statistics" \
		"$(wait_for "$loaded" "$((2 * naptime))" bench "$partitions_parent")"
	if [ "$quick" -eq 1 ]; then
		value bench "SELECT format('VACUUM (ANALYZE) %s;', inhrelid::regclass) FROM pg_inherits
			WHERE inhparent = 'event'::regclass" | db bench
	fi
	note "s until all leaves have statistics" "$(wait_for "$loaded" 180 bench "$partitions_leaves")"
	note "ms of latest row per key" "$(partitions_time)"
	if [ "$round" -eq 1 ]; then
		partitions_show
	fi
	note_actions
	drop_server
}

bench_partitions()
{
	rounds=${repeats:-3}
	partition_rows=$(whole "200000 * $scale")
	heading "B: latest row per key of a table with 12 partitions of $partition_rows rows"
	echo "never: not in the $((2 * naptime)) s that were looked at, of the leaves 180 s"
	prepare partitions partitions_load
	each_run "autovacuum dbperf" partitions_run
	drop_prepared
	print_figures
	limit_each "s until the parent has statistics" "<=" "$naptime"
	limit_ratio "ms of latest row per key" "<=" 0.7
}
