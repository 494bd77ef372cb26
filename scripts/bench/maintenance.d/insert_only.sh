# shellcheck shell=bash
# C: a table that only grows, read by index-only scans.
# shellcheck disable=SC2034,SC2154	# the main script's

insert_only_load()
{
	run db bench -v rows="$insert_rows" -f "$parts/insert_only.sql"
	run db bench -c "VACUUM (ANALYZE)"
}

# Heap fetches of an index-only scan of the loaded rows, in percent of them.
insert_only_fetches()
{
	db bench -At -c "SET enable_seqscan = off" -c "SET enable_bitmapscan = off" \
		-c "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF)
			SELECT count(*) FROM measurement WHERE id > $insert_rows" |
		awk '
			/Index Only Scan/ { sub(/.*rows=/, ""); rows = $1 + 0 }
			/Heap Fetches:/ { fetches = $3 }
			END { printf "%.2f", (rows > 0 ? fetches * 100 / rows : 100) }'
}

insert_only_run()
{
	local loaded share passed until=never

	fresh_server "$(mode_of "$side")"
	for part in $(seq 10); do
		db bench -v first="$((insert_rows + (part - 1) * insert_added / 10))" \
			-v rows="$((insert_added / 10))" -f "$parts/insert_only_rows.sql"
		insert_only_fetches >/dev/null
	done
	loaded=$(now)
	note "heap fetches, % of rows, after the load" "$(insert_only_fetches)"
	while :; do
		passed=$(calc "$(now) - $loaded" %.1f)
		share=$(insert_only_fetches)
		if [ "$(calc "$share < 1" %d)" -eq 1 ]; then
			until=$passed
			break
		fi
		[ "$(calc "$passed > 2 * $naptime + 5" %d)" -eq 0 ] || break
		sleep 0.5
	done
	note "s until they are below 1 %" "$until"
	note "heap fetches, % of rows, at the end" "$share"
	note "autovacuum_count" "$(autovacuums measurement)"
	note "vacuum_count" "$(value bench \
		"SELECT vacuum_count - 1 FROM pg_stat_user_tables WHERE relid = 'measurement'::regclass")"
	note_actions
	drop_server
}

bench_insert_only()
{
	rounds=${repeats:-3}
	insert_rows=$(whole "2000000 * $scale")
	insert_added=$((insert_rows * 15 / 100))
	heading "C: an insert-only table of $insert_rows rows, $insert_added new ones"
	prepare insert_only insert_only_load
	each_run "autovacuum dbperf" insert_only_run
	drop_prepared
	print_figures
	limit_each "s until they are below 1 %" "<=" "$((2 * naptime))"
	limit_each "heap fetches, % of rows, at the end" "<" 1
	limit_each "autovacuum_count" "=" 0
}
