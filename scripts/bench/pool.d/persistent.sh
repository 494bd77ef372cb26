# shellcheck shell=bash
# B: clients that stay connected.
# shellcheck disable=SC2034,SC2154	# the main script's

persistent_run()
{
	figure=$protocol
	side_on "$side"
	load md5 "$pool_size" 1 -j 2	# the pool has its server connections then
	measured md5 "$clients" "$seconds" -j 2 --sampling-rate=0.1
	transaction_times
	note "$protocol: p95 ms" "$(percentile 95)"
	side_off "$side"
}

# Fewer clients, directly: a side is their number.
persistent_few()
{
	port=$server_port
	load md5 "${side#direct_}" "$seconds" -j 2 --sampling-rate=0.1
	note "$protocol: transactions/s" "$(calc "$tps" %.0f)"
}

# What the pool says of its last minutes.
persistent_efficiency()
{
	round=1
	side_on pool
	load md5 "$clients" $((2 * seconds)) -j 2 --sampling-rate=0.1
	pause 2.5
	heading "B: dbperf.pool_efficiency, dbperf.pool_advice()"
	db postgres -P pager=off -P footer=off -x -c "SELECT * FROM dbperf.pool_efficiency
		WHERE database_name = 'bench' AND period = 'lifetime'"
	db postgres -At -F ': ' -c "SELECT setting, reason FROM dbperf.pool_advice()"
	side_off pool
}

# The settings in which the two PgBouncers differ, both asked at their consoles.
persistent_differences()
{
	local one

	for one in pool hand; do
		side_on "$one"
		console "$one" "SHOW CONFIG" | cut -d '|' -f 1,2 | sort >"$work/config.$one"
		side_off "$one"
	done
	heading "B: settings in which the generated configuration (<) and the other one (>) differ"
	(diff "$work/config.pool" "$work/config.hand" || true) | grep '^[<>]' || echo none
}

bench_persistent()
{
	local sides="direct hand pool" best one

	[ "$pgbouncer_version" -lt 11900 ] || sides+=" pool_2"
	rounds=${repeats:-7}
	heading "B: $clients clients that stay, $rounds rounds of $seconds s for each side"
	fresh_server "max_connections = $((clients + 100))"
	each_run "$sides" persistent_run
	each_run "direct_2 direct_4 direct_8 direct_16 direct_32" persistent_few
	persistent_differences
	persistent_efficiency
	drop_server
	for one in hand pool pool_2; do
		note_pairs "$protocol: transactions/s" "$one" direct
	done
	note_pairs "$protocol: transactions/s" pool hand
	note_pairs "$protocol: p95 ms" pool direct
	note_pairs "$protocol: p95 ms" pool hand
	print_figures
	best=$(for one in 2 4 8 16 32; do
		median_of "$protocol: transactions/s" "direct_$one"
	done | sort -g | tail -n 1)
	for one in pool pool_2; do
		[ -z "$(median_of "$protocol: transactions/s" "$one")" ] ||
			echo "throughput of $one with $clients clients / the best of 2 to 32 direct ones: $(calc \
				"$(median_of "$protocol: transactions/s" "$one") / $best")"
	done
	limit_pairs "$protocol: transactions/s" pool direct ">=" 1.5
	limit_pairs "$protocol: transactions/s" pool_2 direct ">=" 2.2
	limit_pairs "$protocol: transactions/s" pool hand ">=" 0.95
	figure=$protocol
	for one in pool pool_2; do
		limit "$one: reuse %" "$(median_of "$protocol: reuse %" "$one")" ">" 99.9
		limit_counted "$one"
	done
}
