# shellcheck shell=bash
# D: statistics that are missing.
# shellcheck disable=SC2034,SC2154	# the main script's

statistics_cases="expression extended load"

statistics_load()
{
	run db bench -v rows="$statistics_rows" -f "$parts/statistics.sql"
	run db bench -c "VACUUM (ANALYZE)"
}

# What makes statistics missing, whether they are there, and a query whose plan
# depends on them.
statistics_change()
{
	case $1 in
		expression) echo "CREATE INDEX customer_kind ON customer ((attributes ->> 'kind'))" ;;
		extended) echo "CREATE STATISTICS address_place (dependencies, mcv) ON city, zip FROM address" ;;
		load)
			echo "INSERT INTO fresh SELECT i, CASE WHEN i % 100 < 95 THEN 1 ELSE i END, repeat('x', 40)
				FROM generate_series(1, $statistics_rows) AS i"
			;;
	esac
}

statistics_there()
{
	case $1 in
		expression)
			echo "SELECT EXISTS (SELECT FROM pg_statistic WHERE starelid = 'customer_kind'::regclass)"
			;;
		extended)
			echo "SELECT EXISTS (SELECT FROM pg_statistic_ext_data AS d
				JOIN pg_statistic_ext AS s ON s.oid = d.stxoid WHERE s.stxname = 'address_place')"
			;;
		load) echo "SELECT EXISTS (SELECT FROM pg_statistic WHERE starelid = 'fresh'::regclass)" ;;
	esac
}

statistics_query()
{
	case $1 in
		expression)
			echo "SELECT count(*) FROM customer JOIN visit ON visit.customer = customer.id
				WHERE attributes ->> 'kind' = 'private'"
			;;
		extended)
			echo "SELECT count(*) FROM address JOIN visit ON visit.customer = address.id
				WHERE city = 1 AND zip = 1"
			;;
		load)
			echo "SELECT count(*) FROM fresh JOIN visit ON visit.customer = fresh.id WHERE reference = 1"
			;;
	esac
}

# statistics_plan CASE WHEN: writes it to $work/plan.CASE.WHEN.
statistics_plan()
{
	db bench -At -c "EXPLAIN (COSTS OFF) $(statistics_query "$1")" >"$work/plan.$1.$2"
}

# How long to look.  Autovacuum analyzes after a load, within its minute.
statistics_wait()
{
	[ "$1" = load ] && [ "$quick" -eq 0 ] && echo 75 || echo $((2 * naptime))
}

statistics_run()
{
	local case changed

	declare -A changed=()
	fresh_server "$(mode_of "$side")"
	for case in $statistics_cases; do
		db bench -c "$(statistics_change "$case")"
		changed[$case]=$(now)
		statistics_plan "$case" before
	done
	for case in $statistics_cases; do
		note "s until there are statistics: $case" \
			"$(wait_for "${changed[$case]}" "$(statistics_wait "$case")" bench "$(statistics_there "$case")")"
		statistics_plan "$case" after
		if cmp -s "$work/plan.$case.before" "$work/plan.$case.after"; then
			note "plan has changed: $case" no
		else
			note "plan has changed: $case" yes
		fi
		[ "$round" -gt 1 ] || statistics_show "$case"
	done
	note_actions
	drop_server
}

statistics_show()
{
	printf -- '-- %s, %s, before\n' "$1" "$side"
	cat "$work/plan.$1.before"
	printf -- '-- %s, %s, after\n' "$1" "$side"
	if cmp -s "$work/plan.$1.before" "$work/plan.$1.after"; then
		echo "the same"
	else
		cat "$work/plan.$1.after"
	fi
}

bench_statistics()
{
	local case

	rounds=${repeats:-3}
	statistics_rows=$(whole "400000 * $scale")
	heading "D: missing statistics of tables with $statistics_rows rows"
	echo "never: not in the $((2 * naptime)) s, after the load $(statistics_wait load) s, that were looked at"
	prepare statistics statistics_load
	each_run "autovacuum dbperf" statistics_run
	drop_prepared
	print_figures
	for case in $statistics_cases; do
		limit_each "s until there are statistics: $case" "<=" "$naptime"
		limit_each "plan has changed: $case" = yes
	done
}
