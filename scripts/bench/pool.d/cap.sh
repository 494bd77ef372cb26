# shellcheck shell=bash
# C: the limit of server connections, and the administrator.
# shellcheck disable=SC2034,SC2154	# the main script's

cap=20
cap_clients=100		# of each database

# Looks at the server connections of the pool until it is stopped.
# shellcheck disable=SC2317	# called through "in_background"
cap_watch()
{
	db postgres -At <<'END'
SELECT count(*) FROM pg_stat_activity WHERE usename = 'scram' \watch 0.01
END
}

# The administrator connects again and again; a line for each time.
# shellcheck disable=SC2317	# called through "in_background"
cap_administrator()
{
	while true; do
		"$pg_bin/psql" -X -q -At -d postgres -c "SELECT 'got in'" 2>&1 || echo "was refused"
		sleep 0.1
	done
}

# cap_load DATABASE: clients that cannot be served are no reason to stop.
# shellcheck disable=SC2317	# called through "in_background"
cap_load()
{
	pgbench_as scram "$1" -M "$protocol" -c "$cap_clients" -T $((2 * seconds)) \
		-f "$work/sleep.sql" || true
}

cap_run()
{
	local name

	port=$pool_port
	in_background watch cap_watch
	in_background administrator cap_administrator
	for name in one two three; do in_background "$name" cap_load "$name"; done
	for name in one two three; do finish "$name"; done
	stop_background administrator
	stop_background watch
	for name in one two three; do
		note "transactions/s, database $name" \
			"$(sed -n 's/^tps = \([0-9.]*\).*/\1/p' "$work/$name.out" | grep . || echo 0)"
		note "clients that gave up, database $name" "$(grep -c ' aborted ' "$work/$name.out" || true)"
	done
	note "looks at the server connections" "$(grep -c '^[0-9]' "$work/watch.out" || true)"
	note "the most that were seen" "$(sort -n "$work/watch.out" | tail -n 1)"
	note "logins above the limit" "$(grep -c 'FATAL: .*too many server connections' "$work/now.log" || true)"
	note "administrator got in" "$(grep -c 'got in' "$work/administrator.out" || true)"
	note "administrator was refused" "$(grep -c refused "$work/administrator.out" || true)"
}

bench_cap()
{
	local processes=2

	[ "$pgbouncer_version" -ge 11900 ] || processes=1
	rounds=1
	heading "C: 3 databases with $cap_clients clients each, $processes processes, at most $cap server connections"
	# room for no more than the limit, the 10 others and the reserved ones
	fresh_server "max_connections = $((cap + 10 + 3))"
	pool_on "$processes"
	each_run pool cap_run
	pool_off
	drop_server
	print_figures
	limit "the most server connections that were seen" "$(median_of "the most that were seen" pool)" "<=" "$cap"
	limit "administrator got in" "$(median_of "administrator got in" pool)" ">=" 5
	limit "administrator was refused" "$(median_of "administrator was refused" pool)" "=" 0
}
