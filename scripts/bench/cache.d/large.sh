# shellcheck shell=bash
# E: a large result.
# shellcheck disable=SC2034,SC2154	# the main script's

large_load()
{
	local options=

	[ "$side" != hit ] || options=$hinted
	load 1 prepared "$options" "$1" -f "$work/large.sql"
}

large_run()
{
	local before

	before=$(counters hits)
	large_load "$seconds"
	note_load "$large_rows rows" 1
	[ "$side" != hit ] || note "% hits" "$(calc "100 * ($(counters hits) - $before) / $processed" %.2f)"
}

bench_large()
{
	rounds=$repeats
	heading "E: a result of $large_rows rows, $rounds rounds of $seconds s"
	echo "${hint}SELECT * FROM large;" | write_script large
	fresh_server "dbperf.cache_size = '256MB'" "dbperf.cache_max_entry_size = '64MB'"
	round=1
	side=hit
	large_load 1
	each_run "scan hit" large_run
	echo "the result takes $(db bench -At -c "SELECT pg_size_pretty(max(bytes)) FROM dbperf.cache_entries")"
	drop_server
	note_pairs "$large_rows rows: ms" hit scan
	print_figures
	limit "% hits" "$(median_of "% hits" hit)" ">=" 99
	limit_pairs "$large_rows rows: ms" hit scan "<=" 1
}
