# shellcheck shell=bash
# A: a queue in a large table.
# shellcheck disable=SC2034,SC2154	# the main script's

queue_clients=4
queue_rate=

queue_load()
{
	run db bench -v rows="$queue_rows" -f "$parts/queue.sql"
	run db bench -c "VACUUM (FREEZE, ANALYZE)"
}

# The newest part of the table as it was prepared: what the scans look at.
queue_scripts()
{
	as_server tee "$work/take.sql" >/dev/null <"$parts/queue_take.sql"
	{
		echo "\\set first random($(whole "$queue_rows * 0.95"), $queue_rows)"
		cat "$parts/queue_scan.sql"
	} | as_server tee "$work/scan.sql" >/dev/null
}

# queue_run NAME ARGUMENT...: one load on a fresh server; $queue_began is when.
queue_run()
{
	local name=$1
	shift

	fresh_server "$(mode_of "$side")"
	db bench -o /dev/null -c "SELECT pg_prewarm('job'), pg_prewarm('job_pkey'), pg_prewarm('job_open')"
	queue_began=$(now)
	start_load "$name" $((3 * seconds)) -c "$queue_clients" -j 2 "$@" \
		-f "$work/take.sql@9" -f "$work/scan.sql@1"
	finish "$name"
	queue_ended=$(calc "$queue_began + 3 * $seconds")
}

# queue_notes WHICH: what a run has cost, and who has vacuumed.
queue_notes()
{
	note "maintenance, % of one core, $1" "$(calc \
		"$(maintenance_seconds "$queue_began" "$queue_ended") / (3 * $seconds) * 100" %.2f)"
	note "vacuums by dbperf, $1" "$(value postgres \
		"SELECT count(*) FROM dbperf.maintenance_log WHERE object = 'public.job' AND action LIKE 'vacuum%'")"
	note "vacuums by autovacuum, $1" "$(autovacuums job)"
	note "pages of the partial index, $1" \
		"$(value bench "SELECT pg_relation_size('job_open') / 8192")"
}

queue_closed()
{
	queue_run closed
	latencies closed "$queue_began" "$(calc "$queue_began + $queue_early")"
	note "transactions/s in the first $queue_early s" "$(calc "$(transactions) / $queue_early" %.0f)"
	latencies closed "$(calc "$queue_began + 2 * $seconds")" "$queue_ended"
	note "transactions/s from second $((2 * seconds)) on" "$(calc "$(transactions) / $seconds" %.0f)"
	queue_notes "closed loop"
	note_actions
	drop_server
}

queue_fixed()
{
	queue_run fixed -R "$queue_rate"
	latencies fixed "$(calc "$queue_began + 2 * $seconds")" "$queue_ended"
	note "p50 ms at the fixed rate" "$(percentile 50)"
	note "p95 ms at the fixed rate" "$(percentile 95)"
	note "transactions/s at the fixed rate" "$(calc "$(transactions) / $seconds" %.0f)"
	queue_notes "fixed rate"
	drop_server
}

bench_queue()
{
	rounds=${repeats:-3}
	queue_rows=$(whole "5000000 * $scale")
	queue_early=$((seconds < 60 ? (seconds + 1) / 2 : 30))
	heading "A: a queue in a table of $queue_rows rows, $((3 * seconds)) s a run"
	prepare queue queue_load
	queue_scripts
	each_run "autovacuum dbperf" queue_closed
	queue_rate=$(calc "0.6 * $(awk -F '\t' -v figure="transactions/s in the first $queue_early s" \
		'$2 == figure { print $5 }' "$work/figures" | median)" %.0f)
	echo "fixed rate: $queue_rate transactions/s, 60 % of the median of the first $queue_early s"
	each_run "autovacuum dbperf" queue_fixed
	drop_prepared
	print_figures
	limit_ratio "transactions/s from second $((2 * seconds)) on" ">=" 1.5
	limit_ratio "p95 ms at the fixed rate" "<=" 0.5
	limit_median "maintenance, % of one core, closed loop" "<" 12
	limit_median "maintenance, % of one core, fixed rate" "<" 12
}
