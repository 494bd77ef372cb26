# shellcheck shell=bash
# G: many tables, and many databases.
# shellcheck disable=SC2034,SC2154	# the main script's

many_tables_load()
{
	run db bench -v tables="$many_tables" -f "$parts/many_tables.sql"
	run db bench -c "VACUUM (ANALYZE)"
}

many_databases_load()
{
	local i

	db postgres -c "CREATE DATABASE many_template"
	db many_template -f "$parts/many_due.sql"
	for i in $(seq "$many_databases"); do
		db postgres -c "CREATE DATABASE many_$i TEMPLATE many_template"
		db "many_$i" -c "VACUUM (ANALYZE)"
	done
	db postgres -c "DROP DATABASE many_template"
}

# The most private memory that a process had while it was there, in kB.
# shellcheck disable=SC2317	# called through "in_background"
many_watch()
{
	local most=0 kb

	while kb=$(awk '/^RssAnon/ { print $2 }' "/proc/$1/status" 2>/dev/null) && [ -n "$kb" ]; do
		[ "$kb" -le "$most" ] || most=$kb
		echo "$most"
		sleep 0.02
	done
}

# One round of planning in a session of its own: seconds, and the growth of its
# private memory at the most and in its memory contexts at the end.
many_plan()
{
	local pid out first most

	rm -f "$work/go"
	mkfifo "$work/go"
	in_background plan db bench -At -f "$work/go"
	exec {go}>"$work/go"
	echo "SELECT 'pid ' || pg_backend_pid();
		SELECT 'before ' || sum(total_bytes) FROM pg_backend_memory_contexts;" >&"$go"
	until grep -q '^before' "$work/plan.out"; do
		sleep 0.1
	done
	pid=$(sed -n 's/^pid //p' "$work/plan.out")
	first=$(awk '/^RssAnon/ { print $2 }' "/proc/$pid/status")
	in_background memory many_watch "$pid"
	cat >&"$go" <<'END'
\timing on
SELECT 'items ' || count(*) FROM dbperf.maintenance_plan(0);
\timing off
SELECT 'after ' || sum(total_bytes) FROM pg_backend_memory_contexts;
\q
END
	exec {go}>&-
	finish plan
	finish memory
	rm -f "$work/go"
	most=$(tail -n 1 "$work/memory.out")
	out=$work/plan.out
	note "s of one round of planning" "$(calc "$(sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' "$out") / 1000")"
	note "MB of private memory at the most" "$(calc "(${most:-$first} - $first) / 1024" %.1f)"
	note "MB in memory contexts afterwards" "$(calc \
		"($(sed -n 's/^after //p' "$out") - $(sed -n 's/^before //p' "$out")) / 1048576" %.1f)"
	note "items in the plan" "$(sed -n 's/^items //p' "$out")"
}

# Makes tables due in all databases, and says in $work/due when.
# shellcheck disable=SC2317	# called through "run"
many_make_due()
{
	local i

	for i in $(seq "$many_databases"); do
		db "many_$i" -c "DELETE FROM due_1 WHERE id % 100 < 12" -c "DELETE FROM due_2 WHERE id % 100 < 12" \
			-c "DELETE FROM due_3 WHERE id % 100 < 40"
		echo "$i $(now)"
	done >"$work/due"
}

# Who has handled which table when, as "database table epoch".
many_handled()
{
	local i

	for i in $(seq "$many_databases"); do
		value "many_$i" "SELECT '$i ' || relname || ' ' ||
				extract(epoch FROM least(last_vacuum, last_autovacuum))
			FROM pg_stat_user_tables
			WHERE vacuum_count + autovacuum_count > 1 AND n_dead_tup < 500"
	done
}

# A database waits from when its tables were made due to the first vacuum of one
# of them.
many_databases_run()
{
	local due

	fresh_server "$(mode_of "$side")"
	run many_make_due
	due=$(now)
	if [ "$side" = dbperf ]; then
		note "s until the last of the tables was begun" "$(wait_for "$due" "$((6 * naptime))" postgres \
			"SELECT count(DISTINCT (database, object)) >= 2 * $many_databases FROM dbperf.maintenance_log
				WHERE database LIKE 'many\_%' AND object ~ 'due_[12]$'
					AND action LIKE 'vacuum%' AND outcome = 'done'")"
		value postgres "SELECT substr(database, 6), extract(epoch FROM min(started))
			FROM dbperf.maintenance_log
			WHERE database LIKE 'many\_%' AND object ~ 'due_' AND action LIKE 'vacuum%'
			GROUP BY 1" >"$work/begun"
		note "s that a database waited, the longest" "$(awk -F '[ |]' '
			NR == FNR { begun[$1] = $2; next }
			!($1 in begun) { never = 1; next }
			begun[$1] - $2 > most { most = begun[$1] - $2 }
			END { if (never) print "never"; else printf "%.1f\n", most }' "$work/begun" "$work/due")"
	else
		pause $((6 * naptime))
	fi
	many_handled >"$work/handled"
	note "% of the due tables handled" \
		"$(calc "$(wc -l <"$work/handled") / (3 * $many_databases) * 100" %.1f)"
	note "% handled that autovacuum finds due" \
		"$(calc "$(grep -c due_3 "$work/handled" || true) / $many_databases * 100" %.1f)"
	note_actions
	drop_server
}

bench_many()
{
	rounds=${repeats:-3}
	many_tables=$(whole "10000 * $scale")
	many_databases=$(whole "50 * $scale < 5 ? 5 : 50 * $scale")
	heading "G: $many_tables tables in one database, and $many_databases databases"
	prepare many_tables many_tables_load
	fresh_server off
	side=dbperf
	for round in $(seq "$rounds"); do
		many_plan
	done
	drop_server
	drop_prepared
	prepare many_databases many_databases_load
	each_run "autovacuum dbperf" many_databases_run
	drop_prepared
	print_figures
	limit_each "s of one round of planning" "<=" 2
	limit_each "MB of private memory at the most" "<=" 100
	limit_each "% of the due tables handled" ">=" 100
	limit_each "s that a database waited, the longest" "<=" "$((3 * naptime))"
}
