# shellcheck shell=bash
# What the scenarios of scripts/bench/cache share: servers, loads, counters.
# Sourced, never run.
# shellcheck disable=SC2034,SC2154	# settings, repeats, ... are the main script's

hint="/* dbperf: cache */ "
hinted="-c dbperf.cache_mode=hint"
generic="-c plan_cache_mode=force_generic_plan"

# ---- servers ----

# The settings of all servers.
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
max_connections = 100
timezone = 'UTC'
lc_messages = 'C'
END
}

# A cluster with the tables in the database bench.
make_base()
{
	heading "settings of all servers"
	base_settings >"$work/base.conf"
	[ "${#settings[@]}" -eq 0 ] || printf '%s\n' "${settings[@]}" >>"$work/base.conf"
	cat "$work/base.conf"
	server_start base "$work/base.conf"
	"$pg_bin/createdb" bench
	db bench -c "SET client_min_messages = warning" -c "CREATE EXTENSION dbperf CASCADE" \
		-c "CREATE EXTENSION pg_prewarm"
	run db bench -v rows="$rows" -v large_rows="$large_rows" -f "$parts/tables.sql"
	db bench -c "VACUUM (FREEZE, ANALYZE)"
	db bench -c CHECKPOINT
	server_stop base
	write_scripts
}

# copy_base NAME [SETTING...]
copy_base()
{
	local name=$1
	shift

	as_server cp -a --reflink=auto "$work/base" "$work/$name"
	printf '%s\n' "$@" | as_server tee -a "$work/$name/postgresql.conf" >/dev/null
}

prewarm()
{
	db bench -o /dev/null -c "SELECT pg_prewarm(oid) FROM pg_class
		WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace"
}

# fresh_server [SETTING...]
fresh_server()
{
	copy_base now "$@"
	server_run now
	prewarm
}

# ---- scripts of pgbench ----

write_scripts()
{
	local query="SELECT region, count(*), sum(amount) FROM sales_1 WHERE product = :product GROUP BY region ORDER BY region LIMIT 1"
	local draw='\set product random(0, 49)'

	printf '%s\n' "$draw" "SELECT 1;" | write_script one
	printf '%s\n' "$draw" "$query;" | write_script plain
	printf '%s\n' "$draw" "$hint$query;" | write_script hit
	printf '%s\n' "$draw" "EXPLAIN (COSTS OFF) $query;" | write_script explain
	printf '%s\n' '\set id random(1, 50000)' \
		"SELECT balance FROM account_plain WHERE id = :id;" | write_script pk
}

# ---- loads ----

sampled=1		# share of the transactions whose latencies are logged

# load CLIENTS PROTOCOL OPTIONS SECONDS ARGUMENT...: pgbench on bench, with these
# settings of its sessions.  Sets tps, processed and $work/latencies.
load()
{
	local clients=$1 protocol=$2 options=$3 time=$4
	shift 4

	rm -f "$work"/load.log.*
	PGOPTIONS=$options run as_server "$pg_bin/pgbench" -n -M "$protocol" -c "$clients" \
		-j $((clients > 1 ? 2 : 1)) -T "$time" -l --sampling-rate="$sampled" \
		--log-prefix="$work/load.log" --random-seed="$round" "$@" bench \
		>"$work/load.out" 2>&1 || { cat "$work/load.out" >&2; die "pgbench failed"; }
	tps=$(sed -n 's/^tps = \([0-9.]*\).*/\1/p' "$work/load.out")
	processed=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$work/load.out")
	awk '{ print $3 / 1000 }' "$work"/load.log.* | sort -n >"$work/latencies"
}

# note_load WHAT CLIENTS: the figures of the last load.
note_load()
{
	note "$1: ms" "$(calc "1000 * $2 / $tps" %.4f)"
	note "$1: p50 ms" "$(percentile 50)"
	note "$1: p95 ms" "$(percentile 95)"
	note "$1: p99 ms" "$(percentile 99)"
	note "$1: transactions/s" "$(calc "$tps" %.0f)"
}

# counters COLUMN...: of cache_stats, with spaces between them.
counters()
{
	local IFS=,

	db bench -At -F ' ' -c "SELECT $* FROM dbperf.cache_stats"
}

# ---- instructions ----

# start_counting SETTING...: a server under callgrind.
start_counting()
{
	copy_base counted "log_connections = on" "log_line_prefix = '%p '" "$@"
	start_counted
	prewarm
}

# count WHAT SCRIPT PROTOCOL MANY FEW [OPTIONS]: notes what one transaction of the
# script costs, the median of three differences.
count()
{
	local a b i

	for i in 1 2 3; do
		a=$(PGOPTIONS=${6:-} backend_instructions "$work/$2.sql" "$4" "$3" bench) || die "no count of $1"
		b=$(PGOPTIONS=${6:-} backend_instructions "$work/$2.sql" "$5" "$3" bench) || die "no count of $1"
		echo $(((a - b) / ($4 - $5)))
	done >"$work/counts"
	note "$1" "$(median <"$work/counts")"
}
