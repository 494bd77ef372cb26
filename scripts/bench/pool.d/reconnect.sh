# shellcheck shell=bash
# A: clients that connect anew for each transaction.
# shellcheck disable=SC2034,SC2154	# the main script's

# Each client has a thread of pgbench's, since a thread waits for its connection.
# Who connects for one statement prepares none.
reconnect_run()
{
	local role

	side_on "$side"
	for role in md5 scram; do
		figure=$role
		load "$role" "$pool_size" 1 -M simple -C -j "$pool_size"
		measured "$role" "$clients" "$seconds" -M simple -C -j "$clients"
		cycle_times
		note "$role: mean ms with connecting" "$(calc "1000 * $clients / $tps" %.2f)"
		note "$role: p95 ms with connecting" "$(percentile 95)"
	done
	side_off "$side"
}

bench_reconnect()
{
	local role

	rounds=${repeats:-5}
	heading "A: $clients clients that reconnect, $rounds rounds of $seconds s for each side and kind of password"
	fresh_server "max_connections = $((clients + 100))"
	each_run "direct pool" reconnect_run
	drop_server
	for role in md5 scram; do
		note_pairs "$role: transactions/s" pool direct
		note_pairs "$role: mean ms with connecting" pool direct
		note_pairs "$role: p95 ms with connecting" pool direct
	done
	print_figures
	limit_pairs "md5: transactions/s" pool direct ">=" 10
	limit_pairs "md5: mean ms with connecting" pool direct "<=" 0.1
	limit "md5: reuse %" "$(median_of "md5: reuse %" pool)" ">" 99.9
	for figure in md5 scram; do limit_counted pool; done
}
