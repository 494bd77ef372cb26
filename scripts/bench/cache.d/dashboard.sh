# shellcheck shell=bash
# D: a dashboard beside writes.
# shellcheck disable=SC2034,SC2154	# the main script's

dashboard_clients=8
dashboard_moved="coalesce((bypassed_by_reason ->> 'commit since the snapshot')::bigint, 0)"
dashboard_written=(1 3 6 8 11 13 16 18)

dashboard_scripts()
{
	local table

	awk -f "$parts/queries.awk" | awk -f "$parts/zipf.awk" | write_script dashboard_plain
	awk -v hint="$hint" -f "$parts/queries.awk" | awk -f "$parts/zipf.awk" | write_script dashboard_hint
	for table in "${dashboard_written[@]}"; do
		printf '%s\n' "\\set id random(1, $((rows / 20)))" \
			"UPDATE sales_$table SET amount = amount + 1 WHERE id = :id;" | write_script "write_$table"
	done
}

# dashboard_load PERCENT SECONDS: the script of reads and those of writes, with the
# weights that make this share of writes.
dashboard_load()
{
	local table files=() reads=plain options=

	for table in "${dashboard_written[@]}"; do
		files+=(-f "$work/write_$table.sql@$1")
	done
	case $side in
		hint)
			reads=hint
			options=$hinted
			;;
		auto) options="-c dbperf.cache_mode=auto" ;;
	esac
	load "$dashboard_clients" simple "$options" "$2" \
		-f "$work/dashboard_$reads.sql@$((8 * (100 - $1)))" "${files[@]}"
}

# Looks at the memory that the cache uses until it is stopped.
# shellcheck disable=SC2317	# called through "in_background"
dashboard_watch()
{
	db bench -At -F ' ' <<'END'
SELECT bytes_used, bytes_limit FROM dbperf.cache_stats \watch 0.2
END
}

# dashboard_counters: hits, misses, executions lost to a moved snapshot, and those that
# have waited for another session.
dashboard_counters()
{
	counters hits misses "$dashboard_moved" waits
}

# dashboard_run PERCENT: what is measured begins when the cache has been in use for
# a while.
dashboard_run()
{
	local what="$1 % writes" before after hits misses moved all

	[ "$side" = off ] || dashboard_load "$1" $(((dashboard_seconds + 1) / 2))
	read -r -a before < <(dashboard_counters)
	in_background watch dashboard_watch
	dashboard_load "$1" "$dashboard_seconds"
	stop_background watch
	read -r -a after < <(dashboard_counters)
	note_load "$what" "$dashboard_clients"
	[ "$side" != off ] || return 0
	hits=$((after[0] - before[0]))
	misses=$((after[1] - before[1]))
	moved=$((after[2] - before[2]))
	all=$((hits + misses + moved > 0 ? hits + misses + moved : 1))
	note "$what: % hits" "$(calc "$hits + $misses > 0 ? 100 * $hits / ($hits + $misses) : 0" %.2f)"
	note "$what: % lost to a moved snapshot" "$(calc "100 * $moved / $all")"
	note "$what: % waited for another session" "$(calc "100 * ($((after[3] - before[3]))) / $all")"
	dashboard_memory "$what"
}

# dashboard_memory WHAT: the most that the watch has seen.
dashboard_memory()
{
	note "$1: memory, % of cache_size at most" "$(awk '
		NF == 2 && $2 > 0 { share = 100 * $1 / $2; if (share > most) most = share }
		END { printf "%.2f", most }' "$work/watch.out")"
}

# A small cache, and far more results than it can hold.
dashboard_pressure()
{
	local before

	fresh_server "dbperf.cache_size = '4MB'" "dbperf.cache_admission = always"
	printf '%s\n' '\set first random(1, 50000)' \
		"${hint}SELECT id, day, amount FROM sales_1 WHERE id BETWEEN :first AND :first + 300;" |
		write_script pressure
	round=1
	side=hint
	in_background watch dashboard_watch
	load "$dashboard_clients" prepared "$hinted" "$seconds" -f "$work/pressure.sql"
	stop_background watch
	dashboard_memory "4 MB, 50,000 results"
	note "4 MB, 50,000 results: stores" "$(counters stores)"
	note "4 MB, 50,000 results: evictions" "$(counters evictions)"
	drop_server
}

bench_dashboard()
{
	local writes mode least

	rounds=$repeats
	dashboard_seconds=$((4 * seconds))
	heading "D: 200 queries on 20 tables, $rounds rounds of $dashboard_seconds s, $dashboard_clients clients"
	dashboard_scripts
	fresh_server
	for writes in 5 1; do
		each_run "off hint auto" dashboard_run "$writes"
		for mode in hint auto; do
			note_pairs "$writes % writes: ms" "$mode" off
		done
	done
	echo "bypassed, in all runs: $(counters bypassed_by_reason)"
	drop_server
	dashboard_pressure
	print_figures
	for mode in hint auto; do
		for writes in 5 1; do
			least=70
			[ "$writes" = 5 ] || least=90
			limit "% hits, $writes % writes, $mode" "$(median_of "$writes % writes: % hits" "$mode")" ">" "$least"
			limit "% lost to a moved snapshot, $writes % writes, $mode" \
				"$(median_of "$writes % writes: % lost to a moved snapshot" "$mode")" "<" 1
		done
		limit_pairs "5 % writes: ms" "$mode" off "<=" 0.35
	done
	limit "memory, % of cache_size at most" "$(awk -F '\t' '
		$2 ~ /memory, %/ && $5 > most { most = $5 } END { print most }' "$work/figures")" "<=" 100
}
