# shellcheck shell=bash
# C: hits in several sessions.
# shellcheck disable=SC2034,SC2154	# the main script's

scaling_clients=64

# A hundred statements in a pipeline: pgbench itself and the way to the server and back
# need the same two cores, and would be most of what is measured.
scaling_scripts()
{
	local name

	for name in one hit; do
		{
			echo '\startpipeline'
			for _ in {1..100}; do cat "$work/$name.sql"; done
			echo '\endpipeline'
		} | write_script "${name}_pipeline"
	done
}

# scaling_run: a side is a script and a number of clients.
scaling_run()
{
	local name=${side%_*} clients=${side##*_} options=$generic before

	[ "$name" = one ] || options="$generic $hinted"
	load "$clients" prepared "$options" "$seconds" -f "$work/${name}_pipeline.sql"
	note "statements/s" "$(calc "100 * $tps" %.0f)"
	load "$clients" prepared "$options" "$seconds" -f "$work/$name.sql"
	note "statements/s, one at a time" "$(calc "$tps" %.0f)"
}

# Looks at all sessions until it is stopped: active ones, and those of them that
# wait for a lock of dbperf, and for any other lightweight lock.
# shellcheck disable=SC2317	# called through "in_background"
scaling_watch()
{
	db bench -At -F ' ' <<'END'
SELECT count(*) FILTER (WHERE state = 'active'),
  count(*) FILTER (WHERE wait_event_type IN ('LWLock', 'Extension', 'IPC') AND wait_event ~* 'dbperf'),
  count(*) FILTER (WHERE wait_event_type = 'LWLock' AND wait_event !~* 'dbperf')
FROM pg_stat_activity WHERE application_name = 'pgbench' \watch 0.01
END
}

scaling_waits()
{
	in_background watch scaling_watch
	load "$scaling_clients" prepared "$generic $hinted" $((2 * seconds)) -f "$work/hit_pipeline.sql"
	stop_background watch
	awk '
		NF == 3 { n++; active += $1; ours += $2; others += $3 }
		END {
			if (active)
				printf "%d %d %.3f %.3f\n", n, active, 100 * ours / active, 100 * others / active
		}' "$work/watch.out" >"$work/waits"
	note "looks at the sessions, $scaling_clients clients" "$(awk '{ print $1 }' "$work/waits")"
	note "active sessions seen" "$(awk '{ print $2 }' "$work/waits")"
	note "% of them waiting for a lock of dbperf" "$(awk '{ print $3 }' "$work/waits")"
	note "% of them waiting for another lightweight lock" "$(awk '{ print $4 }' "$work/waits")"
}

bench_scaling()
{
	rounds=$repeats
	heading "C: hits by 1 and 2 clients, $rounds rounds of $seconds s, and by $scaling_clients"
	scaling_scripts
	fresh_server
	round=1
	load 2 prepared "$generic $hinted" 2 -f "$work/hit.sql"
	each_run "one_1 hit_1 one_2 hit_2" scaling_run
	note_pairs "statements/s" one_2 one_1
	note_pairs "statements/s" hit_2 hit_1
	note_pairs "statements/s, one at a time" one_2 one_1
	note_pairs "statements/s, one at a time" hit_2 hit_1
	each_run "hit_$scaling_clients" scaling_waits
	drop_server
	print_figures
	echo "what 2 clients of SELECT 1 gain says how much of a second core there was: $(median_of \
		"statements/s" one_2/one_1)"
	limit_pairs "statements/s" hit_2 hit_1 ">=" 1.8
	limit "% of active sessions waiting for a lock of dbperf" \
		"$(median_of "% of them waiting for a lock of dbperf" "hit_$scaling_clients")" "<" 1
}
