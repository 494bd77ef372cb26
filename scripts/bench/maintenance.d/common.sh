# shellcheck shell=bash
# What the scenarios of scripts/bench/maintenance share: servers, loads, figures
# and limits.  Sourced, never run.
# shellcheck disable=SC2034,SC2154	# settings, quick, repeats, ... are the main script's

missed=0
side=			# autovacuum or dbperf, or what else a scenario compares
round=
naptime=		# dbperf.maintenance_naptime in seconds
prepared=		# the cluster that runs copy

# ---- servers ----

# The settings of all servers.  Data is not lost in the middle of a run: fsync is
# off, so that a figure does not depend on how fast this disk writes WAL.
base_settings()
{
	cat <<'END'
shared_preload_libraries = 'dbperf,pg_stat_statements'
dbperf.advisor_interval = 0
dbperf.slow_query_min_duration = '1h'
dbperf.maintenance = off
autovacuum = off
shared_buffers = '1GB'
max_wal_size = '32GB'
checkpoint_timeout = '1h'
fsync = off
jit = off
max_parallel_workers_per_gather = 0
max_connections = 50
max_worker_processes = 16
log_autovacuum_min_duration = 0
timezone = 'UTC'
lc_messages = 'C'
log_line_prefix = '%m [%p] %q%a '
END
}

# A cluster with the extension in postgres, where the log is, and in bench.
make_base()
{
	local database

	heading "settings of all servers while they are measured"
	base_settings >"$work/base.conf"
	[ "${#settings[@]}" -eq 0 ] || printf '%s\n' "${settings[@]}" >>"$work/base.conf"
	grep -vE '^(autovacuum|dbperf.maintenance) ' "$work/base.conf"
	echo "autovacuum = on, with its default settings"
	echo "side autovacuum: dbperf.maintenance = off; side dbperf: dbperf.maintenance = on"
	server_start base "$work/base.conf"
	"$pg_bin/createdb" bench
	for database in postgres bench; do
		db "$database" -c "SET client_min_messages = warning" -c "CREATE EXTENSION dbperf CASCADE"
	done
	naptime=$(value postgres "SELECT setting FROM pg_settings WHERE name = 'dbperf.maintenance_naptime'")
	server_stop base
}

# prepare NAME COMMAND...: makes $prepared, a copy of the base in which the
# command was run; autovacuum is off meanwhile.
prepare()
{
	prepared=prepared_$1
	shift
	as_server cp -a --reflink=auto "$work/base" "$work/$prepared"
	server_run "$prepared"
	"$@"
	db postgres -c CHECKPOINT
	server_stop "$prepared"
}

drop_prepared()
{
	as_server rm -rf "$work/$prepared" "$work/$prepared.sock" "$work/$prepared.log"
}

# fresh_server MODE [SETTING...]: a copy of $prepared with autovacuum on and
# dbperf.maintenance = MODE.
fresh_server()
{
	local mode=$1
	shift

	as_server cp -a --reflink=auto "$work/$prepared" "$work/now"
	printf '%s\n' "autovacuum = on" "dbperf.maintenance = $mode" "$@" |
		as_server tee -a "$work/now/postgresql.conf" >/dev/null
	server_run now
}

# The dbperf.maintenance of a side.
mode_of()
{
	[ "$1" = dbperf ] && echo on || echo off
}

drop_server()
{
	server_stop now
	if grep -E 'PANIC|was terminated by signal' "$work/now.log"; then
		echo "MISSED  the server crashed"
		missed=1
	fi
	as_server rm -rf "$work/now" "$work/now.sock" "$work/now.log"
}

# db DATABASE ARGUMENT...: psql.
db()
{
	local database=$1
	shift

	"$pg_bin/psql" -X -q -v ON_ERROR_STOP=1 -d "$database" "$@"
}

# value DATABASE QUERY
value()
{
	db "$1" -At -c "$2"
}

# each_run SIDES COMMAND...: the command for each round and side; the rounds
# begin with another side in turn.
each_run()
{
	local sides order i
	read -r -a sides <<<"$1"
	shift

	if [ -n "$only_side" ]; then
		sides=("$only_side")
	fi
	for round in $(seq "$rounds"); do
		order=()
		for i in "${!sides[@]}"; do
			order+=("${sides[(i + round - 1) % ${#sides[@]}]}")
		done
		for side in "${order[@]}"; do
			printf '%s: run %s of %s, %s\n' "$(date +%T)" "$round" "$rounds" "$side"
			"$@"
		done
	done
}

# ---- time ----

now()
{
	date +%s.%N
}

# calc EXPRESSION [FORMAT]
calc()
{
	awk "BEGIN { printf \"${2:-%.3f}\", ($1) }"
}

# whole EXPRESSION: for numbers of rows.
whole()
{
	calc "$1" %.0f
}

# A sleep that an interrupted script does not wait for.
pause()
{
	run sleep "$1"
}

# wait_for SINCE SECONDS DATABASE QUERY: looks until the query says t; prints the
# seconds since SINCE, or "never" when there were more than SECONDS.
wait_for()
{
	local passed

	while :; do
		passed=$(calc "$(now) - $1" %.1f)
		if [ "$(value "$3" "$4")" = t ]; then
			echo "$passed"
			return
		fi
		if [ "$(calc "$passed > $2" %d)" -eq 1 ]; then
			echo never
			return
		fi
		sleep 0.2
	done
}

# ---- loads ----

declare -A background=()	# process groups by name

# in_background NAME COMMAND...: with its output in $work/NAME.out.
in_background()
{
	local name=$1
	shift

	set -m
	"$@" >"$work/$name.out" 2>&1 </dev/null &
	background[$name]=$!
	set +m
}

# finish NAME: waits for it.
finish()
{
	local pid=${background[$1]} rc=0

	wait "$pid" || rc=$?
	unset "background[$1]"
	[ "$rc" -eq 0 ] || { cat "$work/$1.out" >&2; die "$1 failed"; }
}

# stop_background NAME
stop_background()
{
	kill -TERM -- "-${background[$1]}" 2>/dev/null || true
	wait "${background[$1]}" 2>/dev/null || true
	unset "background[$1]"
}

# shellcheck disable=SC2317	# called by the trap
cleanup_more()
{
	local pid

	for pid in "${background[@]}"; do
		kill -TERM -- "-$pid" 2>/dev/null
	done
}

# start_load NAME SECONDS ARGUMENT...: pgbench on bench with a log of every
# transaction; the same random numbers on all sides.
start_load()
{
	local name=$1 time=$2
	shift 2

	rm -f "$work/$name".log.*
	in_background "$name" as_server "$pg_bin/pgbench" -n -M prepared -T "$time" -l \
		--log-prefix="$work/$name.log" --random-seed="${round:-1}" "$@" bench
}

# latencies NAME FROM TO: writes $work/latencies, the milliseconds, ascending, of
# the load's transactions that ended between these times.
latencies()
{
	cat "$work/$1".log.* | awk -v from="$2" -v to="$3" '
		$3 ~ /^[0-9]+$/ {
			ended = $5 + $6 / 1e6
			if (ended >= from && ended < to)
				print $3 / 1000
		}' | sort -n >"$work/latencies"
}

transactions()
{
	wc -l <"$work/latencies"
}

# percentile N: of $work/latencies.
percentile()
{
	awk -v p="$1" -v n="$(transactions)" '
		BEGIN { at = int(n * p / 100 + 0.5); if (at < 1) at = 1 }
		NR == at { printf "%.3f", $1; found = 1; exit }
		END { if (!found) print "never" }' "$work/latencies"
}

# ---- figures ----

# note FIGURE VALUE: of this run.
note()
{
	[ -n "$2" ] || die "no figure for: $1"
	printf '%s\t%s\t%s\t%s\t%s\n' "$scenario" "$1" "$side" "$round" "$2" >>"$work/figures"
}

# values_of FIGURE SIDE: in the order of the runs.
values_of()
{
	awk -F '\t' -v scenario="$scenario" -v figure="$1" -v side="$2" '
		$1 == scenario && $2 == figure && $3 == side { print $5 }' "$work/figures"
}

# The median of lines; "never" is more than any number, and of words the one that
# all lines are.
median()
{
	sed 's/^never$/inf/' | sort -g | awk '
		{ line[NR] = $1 }
		$1 !~ /^(inf|-?[0-9.]+(e[-+]?[0-9]+)?)$/ { words = 1 }
		END {
			if (NR == 0)
				exit
			if (words)
				result = line[1] == line[NR] ? line[1] : "mixed"
			else if (NR % 2)
				result = line[(NR + 1) / 2]
			else if (line[NR / 2 + 1] == "inf")
				result = "inf"
			else
				result = (line[NR / 2] + line[NR / 2 + 1]) / 2
			print result == "inf" ? "never" : result
		}'
}

median_of()
{
	values_of "$1" "$2" | median
}

# print_figures: all of this scenario.
print_figures()
{
	local figure name run

	heading "$scenario: figures of each run"
	printf '%-46s %-11s %10s' figure side median
	for run in $(seq "$rounds"); do
		printf ' %10s' "run $run"
	done
	echo
	while IFS=$'\t' read -r figure name; do
		printf '%-46s %-11s %10s' "$figure" "$name" "$(median_of "$figure" "$name")"
		values_of "$figure" "$name" | awk '{ printf " %10s", $1 } END { print "" }'
	done < <(awk -F '\t' -v scenario="$scenario" '
		$1 == scenario {
			if (!($2 in seen)) { seen[$2] = 1; figure[++n] = $2 }
			if (!(($2, $3) in has)) { has[$2, $3] = 1; sides[$2] = sides[$2] "\t" $3 }
		}
		END {
			for (i = 1; i <= n; i++) {
				m = split(substr(sides[figure[i]], 2), list, "\t")
				for (j = 1; j <= m; j++) print figure[i] "\t" list[j]
			}
		}' "$work/figures")
}

# limit WHAT VALUE RELATION BOUND: RELATION is <=, <, >= or =.
limit()
{
	local ok

	if [ -z "$2" ]; then
		echo "-       $1: not measured"
		return
	fi
	ok=$(awk -v value="$2" -v bound="$4" -v relation="$3" 'BEGIN {
		if (relation == "=") { print (value "" == bound "") ? 1 : 0; exit }
		v = value == "never" ? 1e300 : value + 0
		if (relation == "<=") ok = v <= bound + 0
		if (relation == "<") ok = v < bound + 0
		if (relation == ">=") ok = v >= bound + 0 && value != "never"
		print ok ? 1 : 0
	}')
	if [ "$ok" -eq 1 ]; then
		echo "met     $1: $2, limit $3 $4"
	elif [ "$quick" -eq 1 ]; then
		echo "missed  $1: $2, limit $3 $4 (does not count with --quick)"
	else
		echo "MISSED  $1: $2, limit $3 $4"
		missed=1
	fi
}

# limit_median FIGURE RELATION BOUND: of the side dbperf.
limit_median()
{
	limit "$1" "$(median_of "$1" dbperf)" "$2" "$3"
}

# limit_each FIGURE RELATION BOUND: every run of the side dbperf.
limit_each()
{
	local one all

	all=$(values_of "$1" dbperf)
	case $2 in
		=) one=$(grep -vxF -m 1 -e "$3" <<<"$all" || head -n 1 <<<"$all") ;;
		">=") one=$(sort -g <<<"${all//never/inf}" | head -n 1) ;;
		*) one=$(sort -g <<<"${all//never/inf}" | tail -n 1) ;;
	esac
	limit "$1, worst run" "${one/inf/never}" "$2" "$3"
}

# limit_ratio FIGURE RELATION BOUND: the median of dbperf through that of autovacuum.
limit_ratio()
{
	local ours theirs ratio=

	ours=$(median_of "$1" dbperf)
	theirs=$(median_of "$1" autovacuum)
	if [ -n "$ours" ] && [ -n "$theirs" ]; then
		ratio=$(awk -v a="$ours" -v b="$theirs" 'BEGIN {
			if (a == "never") print "never"
			else if (b == "never") print 0
			else printf "%.3f", a / b
		}')
	fi
	limit "$1, dbperf / autovacuum" "$ratio" "$2" "$3"
}

# ---- the log of maintenance ----

# maintenance_seconds FROM TO: what its actions took, those that still run too.
maintenance_seconds()
{
	value postgres "SELECT coalesce(round(sum(extract(epoch FROM
			least(coalesce(finished, clock_timestamp()), to_timestamp($2))
			- greatest(started, to_timestamp($1))))::numeric, 2), 0)
		FROM dbperf.maintenance_log
		WHERE started < to_timestamp($2) AND coalesce(finished, clock_timestamp()) > to_timestamp($1)"
}

# note_actions: how many there were, and those that went wrong.
note_actions()
{
	[ "$side" = dbperf ] || return 0
	note "actions" "$(value postgres "SELECT count(*) FROM dbperf.maintenance_log")"
	note "actions that failed" "$(value postgres \
		"SELECT count(*) FROM dbperf.maintenance_log WHERE outcome IN ('failed', 'terminated')")"
	value postgres "SELECT format('%s %s %s: %s', action, object, outcome, error)
		FROM dbperf.maintenance_log WHERE outcome IN ('failed', 'terminated') LIMIT 5"
}

# autovacuums TABLE
autovacuums()
{
	value bench "SELECT autovacuum_count FROM pg_stat_user_tables WHERE relid = '$1'::regclass"
}
