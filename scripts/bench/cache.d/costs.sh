# shellcheck shell=bash
# B: what the cache costs where it does not help.
# shellcheck disable=SC2034,SC2154	# the main script's

# A dashboard whose table has just been written: ten misses, each of which finds an
# entry that is too old, executes, and stores its result.
costs_scripts()
{
	{
		echo "UPDATE sales_8 SET amount = amount WHERE id = 1;"
		awk -v hint="$hint" -f "$parts/queries.awk" | awk 'NR % 20 == 1'
	} | write_script miss
	printf '%s\n' '\set id random(1, 50000)' \
		"UPDATE account_cached SET balance = balance + 1 WHERE id = :id;" | write_script write_cached
	printf '%s\n' '\set id random(1, 50000)' \
		"UPDATE account_plain SET balance = balance + 1 WHERE id = :id;" | write_script write_plain
	printf '%s\n' '\set k random(0, 9)' \
		"${hint}SELECT count(*) FROM account_cached WHERE id % 10 = :k;" | write_script fill
}

# The settings that make a side.  valgrind makes everything about fifty times slower,
# so that auto would take a look by primary key for something that takes long.
costs_settings()
{
	case $1 in
		none) echo "dbperf.cache_size = 0" ;;
		*)
			printf '%s\n' "dbperf.cache_mode = $1" "dbperf.cache_admission = always" \
				"dbperf.cache_min_duration = '1s'"
			;;
	esac
}

# Not counted is the allocation of memory, either: what malloc() has to do depends on
# what else was allocated when the backend started, by some hundred instructions.
costs_count()
{
	local settings_of_side not_counted="secure_read|malloc|free|realloc"

	mapfile -t settings_of_side < <(costs_settings "$side")
	start_counting "${settings_of_side[@]}"
	count "primary-key SELECT, prepared" pk prepared "$many" 200
	count "primary-key SELECT, simple" pk simple "$many" 200
	count "write, uncached table" write_plain prepared "$many" 200
	# entries that depend on the table
	backend_instructions "$work/fill.sql" 30 simple bench >/dev/null || die "could not fill the cache"
	count "write, cached table" write_cached prepared "$many" 200
	[ "$side" = auto ] || count "ten misses after a write" miss prepared 4 1
	stop_counted
	printf '.'
}

# added FIGURE SIDE
added()
{
	calc "$(median_of "$1" "$2") - $(median_of "$1" none)" %d
}

# added_percent FIGURE SIDE
added_percent()
{
	calc "100 * $(added "$1" "$2") / $(median_of "$1" none)" %.2f
}

# The same in seconds, for people: both sides on one server, in turn.
costs_time()
{
	local options=

	[ "$side" = none ] || options=$hinted
	load 1 prepared "$options" "$seconds" -f "$work/miss.sql"
	note_load "time of ten misses after a write" 1
}

bench_costs()
{
	local mode

	heading "B: instructions of one transaction, difference of $many and 200 (misses: 4 and 1)"
	rounds=1
	costs_scripts
	each_run "none hint auto" costs_count
	rounds=$repeats
	fresh_server "dbperf.cache_admission = always"
	each_run "none hint" costs_time
	echo "of the last run: $(counters misses) misses, $(counters stores) stores"
	drop_server
	note_pairs "time of ten misses after a write: ms" hint none
	print_figures
	limit "% that a miss costs on the dashboard's queries" \
		"$(added_percent "ten misses after a write" hint)" "<" 2
	for mode in hint auto; do
		limit "% more for a statement that is no candidate, prepared, $mode" \
			"$(added_percent "primary-key SELECT, prepared" "$mode")" "<" 0.5
		limit "% more for a statement that is no candidate, simple, $mode" \
			"$(added_percent "primary-key SELECT, simple" "$mode")" "<" 0.5
		limit "instructions more for a write to an uncached table, $mode" \
			"$(added "write, uncached table" "$mode")" "<" 200
		limit "instructions more for a write to a cached table, $mode" \
			"$(added "write, cached table" "$mode")" "<" 1000
	done
}
