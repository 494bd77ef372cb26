# shellcheck shell=bash
# E: a snapshot that is held over a table with updates.
# shellcheck disable=SC2034,SC2154	# the main script's

snapshot_rate=500
snapshot_before=10		# seconds of updates before the snapshot and after it
snapshot_after=15

snapshot_load()
{
	db bench -v rows="$snapshot_rows" -f "$parts/snapshot.sql"
	db bench -c "VACUUM (ANALYZE)"
	{
		echo "\\set id random(1, $snapshot_rows)"
		echo "UPDATE stock SET changed = clock_timestamp() WHERE id = :id;"
	} | as_server tee "$work/update.sql" >/dev/null
}

# A session that is idle in a transaction, with a snapshot, for $hold seconds.
# shellcheck disable=SC2317	# called through "in_background"
snapshot_hold()
{
	db bench -At <<END
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT 'pid ' || pg_backend_pid() FROM stock LIMIT 1;
\\! sleep $hold
COMMIT;
END
}

# The statistics of what runs now: the session's own view of them is fresh.
snapshot_dead()
{
	value bench "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relid = 'stock'::regclass"
}

# Does it say who holds the snapshot?
snapshot_blocker()
{
	local pid=$1

	note "plan names the blocker" "$(value bench "SELECT CASE WHEN bool_or(not_now ~ '\m$pid\M')
			THEN 'yes' ELSE 'no' END
		FROM dbperf.maintenance_plan(0) WHERE object = 'public.stock' AND action LIKE 'vacuum%'")"
	note "vacuum_blockers names it" "$(value bench "SELECT CASE WHEN bool_or(b::text ~ '\m$pid\M')
			THEN 'yes' ELSE 'no' END FROM dbperf.vacuum_blockers AS b")"
	if [ "$round" -eq 1 ]; then
		value bench "SELECT not_now FROM dbperf.maintenance_plan(0)
			WHERE object = 'public.stock' AND action LIKE 'vacuum%'"
		db bench -x -c "SELECT * FROM dbperf.vacuum_blockers"
	fi
}

# The vacuums of the log that began between two times; with a condition.
snapshot_vacuums()
{
	value postgres "SELECT count(*) FROM dbperf.maintenance_log
		WHERE object = 'public.stock' AND action LIKE 'vacuum%'
			AND started >= to_timestamp($1) AND started < to_timestamp($2) AND ${3:-true}"
}

snapshot_run()
{
	local held released before

	fresh_server "$(mode_of "$side")"
	start_load update $((snapshot_before + hold + snapshot_after)) -c 2 -R "$snapshot_rate" \
		-f "$work/update.sql"
	pause "$snapshot_before"
	before=$(autovacuums stock)
	held=$(now)
	in_background holder snapshot_hold
	pause $((hold - 4))
	if [ "$side" = dbperf ]; then
		snapshot_blocker "$(sed -n 's/^pid //p' "$work/holder.out")"
	fi
	finish holder
	released=$(now)
	note "autovacuums while it was held" $(($(autovacuums stock) - before))
	note "dead rows when it was released" "$(snapshot_dead)"
	finish update
	note "autovacuums in all" "$(autovacuums stock)"
	note "dead rows $snapshot_after s later" "$(snapshot_dead)"
	if [ "$side" = dbperf ]; then
		note "vacuums while it was held" "$(snapshot_vacuums "$held" "$released")"
		note "of them futile" "$(snapshot_vacuums "$held" "$released" \
			"coalesce(dead_rows_after * 2 > dead_rows_before, true)")"
		note "s from its end to the vacuum's" "$(value postgres "SELECT coalesce(
				round((extract(epoch FROM min(finished)) - $released)::numeric, 1)::text, 'never')
			FROM dbperf.maintenance_log
			WHERE object = 'public.stock' AND action LIKE 'vacuum%' AND outcome = 'done'
				AND started >= to_timestamp($released) AND dead_rows_after * 2 < dead_rows_before")"
		[ "$round" -gt 1 ] || db postgres -c "SELECT id, round((extract(epoch FROM started) - $held)::numeric, 1) AS s,
				round(extract(epoch FROM finished - started)::numeric, 2) AS took, action, outcome,
				dead_rows_before, dead_rows_after
			FROM dbperf.maintenance_log WHERE object = 'public.stock' ORDER BY id LIMIT 40"
	fi
	note_actions
	drop_server
}

bench_snapshot()
{
	rounds=${repeats:-3}
	snapshot_rows=$(whole "50000 * ($scale < 0.2 ? 0.2 : $scale)")
	heading "E: a snapshot held for $hold s over a table of $snapshot_rows rows, $snapshot_rate updates/s"
	prepare snapshot snapshot_load
	each_run "autovacuum dbperf" snapshot_run
	drop_prepared
	print_figures
	limit_each "of them futile" "<=" 1
	limit_each "plan names the blocker" = yes
	limit_each "vacuum_blockers names it" = yes
	limit_each "s from its end to the vacuum's" "<=" 10
}
