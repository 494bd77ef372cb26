# shellcheck shell=bash
# F: a large vacuum beside a load that reads from disk.
# shellcheck disable=SC2034,SC2154	# the main script's

throttle_clients=4
throttle_settle=5		# seconds of load before the vacuum begins
throttle_rate=

# One server for all runs, with what the load reads, which nobody changes.  Each
# run has a database of its own, a copy of "archive".
throttle_load()
{
	{
		echo "\\set id random(1, $throttle_rows)"
		echo "SELECT balance FROM account WHERE id = :id;"
	} | as_server tee "$work/read.sql" >/dev/null
	run "$pg_bin/createdb" -T bench archive
	run db bench -v rows="$throttle_rows" -f "$parts/throttle_account.sql"
	run db bench -c "VACUUM (FREEZE, ANALYZE)"
	run db archive -v pages="$throttle_pages" -f "$parts/throttle_archive.sql"
	# or maintenance would do there what it is to do in the copies
	run db postgres -c "ALTER DATABASE archive ALLOW_CONNECTIONS false"
}

throttle_settings()
{
	printf '%s\n' "autovacuum = on" "shared_buffers = '128MB'" |
		as_server tee -a "$work/$prepared/postgresql.conf" >/dev/null
}

# Starts the server with a fresh database "work".  It has little memory of its
# own, and where this may be had the system has none of the data in memory.
throttle_server()
{
	server_run "$prepared"
	run db postgres -c "SET client_min_messages = warning" -c "DROP DATABASE IF EXISTS work WITH (FORCE)" \
		-c "CREATE DATABASE work TEMPLATE archive STRATEGY file_copy" -c CHECKPOINT
	server_stop "$prepared"
	sync -f "$work"
	if ! { is_root && { echo 3 >/proc/sys/vm/drop_caches; } 2>/dev/null; }; then
		[ "$throttle_warned" -eq 1 ] ||
			echo "could not drop the system's cache: the load may not read from disk"
		throttle_warned=1
	fi
	server_run "$prepared"
}

throttle_stop()
{
	db postgres -c "ALTER SYSTEM RESET dbperf.maintenance"
	server_stop "$prepared"
}

# Without a fixed rate, to find one: at most 40 % of what is possible, and such
# that a run reads no more than a quarter of the table, which is then in memory.
throttle_calibrate()
{
	local began most

	throttle_server
	began=$(now)
	start_load read 13 -c "$throttle_clients" -f "$work/read.sql"
	finish read
	latencies read "$(calc "$began + 3")" "$(calc "$began + 13")"
	most=$(value bench "SELECT pg_relation_size('account') / 8192 / 4 / ($throttle_settle + $seconds)")
	throttle_rate=$(($(transactions) * 4 / 100))
	[ "$throttle_rate" -le "$most" ] || throttle_rate=$most
	[ "$throttle_rate" -ge 10 ] || throttle_rate=10
	echo "$(($(transactions) / 10)) transactions/s in a closed loop; fixed rate: $throttle_rate"
	throttle_stop
}

# With what an autovacuum worker would have: its delay, and the default limit.
# shellcheck disable=SC2317	# called through "in_background"
throttle_autovacuum()
{
	db work -c "SET vacuum_cost_delay = '2ms'" -c "VACUUM archive"
}

# Until it is stopped: a line "time|pages" for each look at the vacuum.
# shellcheck disable=SC2317	# called through "in_background"
throttle_watch()
{
	db work -At <<'END'
SELECT extract(epoch FROM clock_timestamp()), sum(heap_blks_scanned + heap_blks_vacuumed)
FROM pg_stat_progress_vacuum WHERE relid = 'archive'::regclass HAVING count(*) > 0 \watch 0.5
END
}

throttle_vacuum()
{
	if [ "$side" = dbperf ]; then
		db postgres -c "ALTER SYSTEM SET dbperf.maintenance = on"
		db postgres -c "SELECT pg_reload_conf()" -o /dev/null
		db work -o /dev/null -c "SELECT dbperf.run_maintenance('archive', 'vacuum')"
	elif [ "$side" = autovacuum ]; then
		in_background vacuum throttle_autovacuum
	fi
}

# throttle_window BEGAN: sets $from, $to and $pages, when the vacuum was seen
# while there was load, and what it did meanwhile.
throttle_window()
{
	from=$(calc "$1 + $throttle_settle")
	to=$(calc "$1 + $throttle_settle + $seconds")
	pages=
	[ "$side" != without ] || return 0
	read -r from to pages < <(awk -F '|' -v end="$to" '
		NF == 2 && $1 + 0 < end + 0 {
			if (first == "") { first = $1; start = $2 }
			last = $1; pages = $2 - start
		}
		END { printf "%.3f %.3f %d\n", first, last, pages }' "$work/watch.out")
}

throttle_run()
{
	local began from to pages

	throttle_server
	in_background watch throttle_watch
	began=$(now)
	start_load read $((throttle_settle + seconds)) -c "$throttle_clients" -R "$throttle_rate" \
		-f "$work/read.sql"
	pause "$throttle_settle"
	throttle_vacuum
	finish read
	stop_background watch
	throttle_window "$began"
	if [ "$(calc "$to - $from < 5" %d)" -eq 1 ]; then
		echo "the vacuum was seen for less than 5 s: the figures of this run say little"
	fi
	latencies read "$from" "$to"
	note "p50 ms" "$(percentile 50)"
	note "p95 ms" "$(percentile 95)"
	note "p99 ms" "$(percentile 99)"
	note "transactions" "$(transactions)"
	if [ "$side" != without ]; then
		note "s of vacuum" "$(calc "$to - $from" %.1f)"
		note "pages/s" "$(calc "$to > $from ? $pages / ($to - $from) : 0" %.0f)"
	fi
	if [ "$side" = dbperf ]; then
		note "pages/s by maintenance_log" "$(value postgres "SELECT coalesce(
				round(sum(pages) / sum(extract(epoch FROM finished - started)))::text, 'running')
			FROM dbperf.maintenance_log
			WHERE database = 'work' AND object = 'public.archive' AND outcome = 'done'
				AND started >= to_timestamp($began)")"
	fi
	[ -z "${background[vacuum]:-}" ] || stop_background vacuum
	throttle_stop
}

# The ratio of each round's pair, as a figure of its own.
throttle_pairs()
{
	local with without

	for side in dbperf autovacuum; do
		for round in $(seq "$rounds"); do
			with=$(values_of "p95 ms" "$side" | sed -n "${round}p")
			without=$(values_of "p95 ms" without | sed -n "${round}p")
			case $with,$without in
				*never* | ,* | *,) ;;
				*) note "p95 with / without, pair" "$(calc "$with / $without")" ;;
			esac
		done
	done
}

bench_throttle()
{
	local sides="without dbperf autovacuum" only=$only_side

	rounds=${repeats:-5}
	throttle_warned=0
	throttle_rows=$(whole "30000000 * $scale")
	throttle_pages=$(whole "150000 * $scale")
	heading "F: random reads of a table of $throttle_rows rows beside a vacuum of $throttle_pages pages"
	echo "shared_buffers = 128MB here; side autovacuum: VACUUM with autovacuum's cost delay and limit"
	[ -z "$only" ] || sides="without $only"
	only_side=
	prepare throttle throttle_load
	throttle_settings
	round=1
	throttle_calibrate
	each_run "$sides" throttle_run
	only_side=$only
	drop_prepared
	throttle_pairs
	print_figures
	limit_median "p95 with / without, pair" "<=" 1.15
	limit_median "pages/s" ">=" 2000
}
