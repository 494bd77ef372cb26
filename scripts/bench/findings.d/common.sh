# shellcheck shell=bash
# How scripts/bench/findings plants a case, asks and measures.  Sourced, never run.
# shellcheck disable=SC2154	# repeats, settings, ... are the main script's

sep=$'\x1f'

findings_settings()
{
	cat <<END
shared_preload_libraries = 'dbperf,pg_stat_statements'
dbperf.advisor_interval = 0
dbperf.maintenance = off
dbperf.slow_query_min_duration = '1h'
dbperf.slow_query_max_rate = 0
autovacuum = off
shared_buffers = '256MB'
work_mem = '4MB'
max_wal_size = '4GB'
max_parallel_workers_per_gather = 0
max_parallel_maintenance_workers = 0
jit = off
fsync = off
timezone = 'UTC'
lc_messages = 'C'
END
}

start_server()
{
	heading "settings of the server"
	findings_settings >"$work/now.conf"
	[ "${#settings[@]}" -eq 0 ] || printf '%s\n' "${settings[@]}" >>"$work/now.conf"
	cat "$work/now.conf"
	server_start now "$work/now.conf"
	"$pg_bin/createdb" planted
	db planted -c "SET client_min_messages = warning" -c "CREATE EXTENSION dbperf CASCADE"
	: >"$work/verdicts"
	: >"$work/promises"
	: >"$work/findings"
	heading "cases"
}

# ---- a case ----

# section FILE NAME: what stands in a case between "-- NAME" and the next section.
section()
{
	awk -v wanted="-- $2" '
		/^-- (setup|session|query)$/ { inside = $0 == wanted; next }
		inside' "$1"
}

# new_database NAME TEMPLATE
new_database()
{
	"$pg_bin/dropdb" --if-exists "$1" 2>/dev/null
	"$pg_bin/createdb" -T "$2" "$1"
}

# plant FILE: into the database problem; sets title, expected, and the files session
# and query in $work.
plant()
{
	title=$(sed -n '1s/^-- //p' "$1")
	expected=$(sed -n '2s/^-- \(expect: \)\{0,1\}//p' "$1")
	section "$1" setup >"$work/setup.sql"
	section "$1" session >"$work/session.sql"
	section "$1" query >"$work/query.sql"
	[ -n "$title" ] && [ -n "$expected" ] && [ -s "$work/query.sql" ] || die "${1##*/} is no case"
	new_database problem planted
	# What a session has written is counted with a delay, and a table that is analyzed
	# meanwhile would look as if it had changed since.
	sed -i 's/^\(VACUUM\|ANALYZE\)\>/SELECT pg_stat_force_next_flush();\n&/' "$work/setup.sql"
	run db problem -o /dev/null -f "$work/setup.sql"
	db problem -c "CHECKPOINT"
}

# What a psql script does to have the statement recorded: written so that nothing of
# it stays.
record_script()
{
	cat "$work/session.sql"
	echo '\o /dev/null'
	echo 'BEGIN;'
	cat "$work/query.sql"
	echo 'ROLLBACK;'
	echo 'SELECT dbperf.slow_queries_reset();'
	echo "SET dbperf.plan_capture = 'timing';"
	echo 'BEGIN;'
	echo 'SET LOCAL dbperf.slow_query_min_duration = 0;'
	cat "$work/query.sql"
	echo 'ROLLBACK;'
	echo '\o'
	cat <<'END'
SELECT s.duration_ms, f.severity, f.code, coalesce(f.estimated_gain_ms::text, ''),
       replace(coalesce(f.ddl, ''), E'\n', ' '), coalesce(f.setting, ''),
       replace(coalesce(f.node, ''), E'\n', ' '), replace(f.evidence, E'\n', ' ')
  FROM dbperf.plan_findings f JOIN dbperf.slow_queries s ON s.id = f.slow_query_id
 WHERE s.level = 0 AND s.pid = pg_backend_pid();
END
}

analyze_script()
{
	cat "$work/session.sql"
	printf '\\set query `cat %s`\n' "$work/query.sql"
	cat <<'END'
SELECT 0, f.severity, f.code, coalesce(f.estimated_gain_ms::text, ''),
       replace(coalesce(f.ddl, ''), E'\n', ' '), coalesce(f.setting, ''),
       replace(coalesce(f.node, ''), E'\n', ' '), replace(f.evidence, E'\n', ' ')
  FROM dbperf.analyze_query(:'query', execute => true) f;
END
}

# ask SCRIPT: its findings, a line for each.
ask()
{
	"$1" | db problem -At -F "$sep" -f -
}

# first FILE: severity and code of the first finding; where there should be none, of
# the first that is more than information.
first()
{
	awk -F "$sep" -v expected="$expected" '
		expected != "healthy" || $2 != "info" { print $2 " " $3; found = 1; exit }
		END { if (!found) print "- healthy" }' "$1"
}

# judge_case FILE
judge_case()
{
	local name severity code other begun

	name=$(basename "$1" .sql)
	begun=$(now)
	plant "$1"
	ask record_script >"$work/recorded"
	ask analyze_script >"$work/analyzed"
	read -r severity code < <(first "$work/recorded")
	read -r _ other < <(first "$work/analyzed")
	printf '%s\t%s\t%s\t%s\t%s\n' "$name" "$expected" "$code" "$severity" "$other" >>"$work/verdicts"
	sed "s/^/$name$sep/" "$work/recorded" >>"$work/findings"
	printf '%s: %-28s %-26s %s\n' "$(date +%T)" "$name" "$code" "$(calc "$(now) - $begun" '%.1f s')"
	check_promises "$name"
}

# ---- promises ----

# time_in DATABASE [SETTING]: the milliseconds that planning and execution take, with
# the caches of the session warm.
time_in()
{
	{
		cat "$work/session.sql"
		[ -z "${2:-}" ] || echo "SET $2;"
		echo '\o /dev/null'
		echo 'EXPLAIN'
		cat "$work/query.sql"
		echo '\o'
		echo 'BEGIN;'
		echo 'EXPLAIN (ANALYZE, TIMING OFF)'
		cat "$work/query.sql"
		echo 'ROLLBACK;'
	} | db "$1" -At -f - | awk '/^(Planning|Execution) Time: / { sum += $3 } END { print sum }'
}

# check_promises CASE: of each finding that says what to do.
check_promises()
{
	local line=() i database

	while IFS= read -r finding; do
		IFS=$sep read -r -a line <<<"$finding$sep"
		[ -n "${line[4]}${line[5]}" ] || continue
		database=problem
		if [ -n "${line[4]}" ]; then
			database=solved
			new_database solved problem
			printf '%s;\n' "${line[4]%;}" | db solved -o /dev/null -f - ||
				{ promise "$1" "${line[@]:0:6}" never never; continue; }
		fi
		: >"$work/before"
		: >"$work/after"
		for i in $(seq "$repeats"); do
			if ((i % 2)); then
				time_in problem >>"$work/before"
			fi
			time_in "$database" "${line[5]}" >>"$work/after"
			if ! ((i % 2)); then
				time_in problem >>"$work/before"
			fi
		done
		promise "$1" "${line[@]:0:6}" "$(median <"$work/before")" "$(median <"$work/after")"
	done <"$work/recorded"
}

# promise CASE DURATION SEVERITY CODE GAIN DDL SETTING BEFORE AFTER: notes one.
promise()
{
	local promised=- measured needed=0.9 kept=kept

	if [ -n "$5" ]; then
		promised=$(awk -v d="$2" -v g="$5" 'BEGIN { left = d - g; if (left < d / 1000) left = d / 1000
			printf "%.2f", d / left }')
		needed=$(awk -v p="$promised" 'BEGIN { printf "%.2f", 0.95 + ((p > 10 ? 10 : p) - 1) / 2 }')
	fi
	if [ "$9" = never ]; then
		measured=failed
		kept=BROKEN
	else
		measured=$(calc "$8 / $9" %.2f)
		[ "$(calc "$measured >= $needed" %d)" -eq 1 ] || kept=BROKEN
	fi
	printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$4" "$8" "$9" "$promised" "$measured" "$kept" \
		"$6${6:+${7:+; }}${7:+SET $7}" >>"$work/promises"
}

# ---- what comes out ----

print_verdicts()
{
	heading "first finding of each case"
	printf '%-28s %-26s %-26s %-9s %-26s %s\n' case expected plan_findings severity analyze_query verdict
	awk -F '\t' '{
		printf "%-28s %-26s %-26s %-9s %-26s %s\n", $1, $2, $3, $4, $5,
			$2 != $3 ? "WRONG" : $2 != $5 ? "differs" : "right" }' "$work/verdicts"
}

print_promises()
{
	heading "what findings promise, and what is measured"
	printf '%-28s %-26s %10s %10s %9s %9s %-7s %s\n' case finding "before ms" "after ms" promised measured "" action
	awk -F '\t' '{ printf "%-28s %-26s %10s %10s %9s %9s %-7s %s\n", $1, $2, $3, $4, $5, $6, $7, $8 }' \
		"$work/promises"
}

print_wrong()
{
	heading "all findings of the cases that were judged wrong"
	awk -F '\t' -v sep="$sep" '
		FILENAME ~ /verdicts$/ { if ($2 != $3) wrong[$1] = $2; next }
		{ split($0, f, sep) }
		f[1] in wrong { printf "%s (expected %s): %s %s at %s: %s\n", f[1], wrong[f[1]], f[3], f[4], f[8], f[9] }' \
		"$work/verdicts" "$work/findings"
}

# The healthy cases with a critical finding, wherever it stands.
healthy_criticals()
{
	awk -F '\t' -v sep="$sep" '
		FILENAME ~ /verdicts$/ { if ($2 == "healthy") healthy[$1] = 1; next }
		{ split($0, f, sep) }
		f[1] in healthy && f[3] == "critical" { print f[1] }' "$work/verdicts" "$work/findings" |
		sort -u | wc -l
}

check_limits()
{
	local all

	heading "limits"
	all=$(wc -l <"$work/verdicts")
	limit "right first finding in plan_findings, of $all" \
		"$(awk -F '\t' '$2 == $3' "$work/verdicts" | wc -l)" ">=" "$(calc "$all * 0.9" %d)"
	limit "right first finding in analyze_query, of $all" \
		"$(awk -F '\t' '$2 == $5' "$work/verdicts" | wc -l)" ">=" "$(calc "$all * 0.9" %d)"
	limit "healthy statements with a critical finding" \
		"$(healthy_criticals)" "=" 0
	limit "promises that are not kept, of $(wc -l <"$work/promises")" \
		"$(awk -F '\t' '$7 == "BROKEN"' "$work/promises" | wc -l)" "=" 0
}
