# shellcheck shell=bash
# What only the scenarios of scripts/bench/maintenance share: servers, loads, limits
# of its sides and its log.  Sourced, never run.
# shellcheck disable=SC2034,SC2154	# settings, repeats, ... are the main script's

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
