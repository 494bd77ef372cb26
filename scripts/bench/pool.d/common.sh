# shellcheck shell=bash
# What the scenarios of scripts/bench/pool share: servers, poolers, loads.
# Sourced, never run.
# shellcheck disable=SC2034,SC2154	# settings, repeats, ... are the main script's

pool_port=
hand_port=
pgbouncer_version=	# 12401 is 1.24.1
protocol=			# of pgbench
pool_size=20

# ---- servers ----

base_settings()
{
	cat <<END
shared_preload_libraries = 'dbperf,pg_stat_statements'
dbperf.advisor_interval = 0
dbperf.slow_query_min_duration = '1h'
dbperf.maintenance = off
dbperf.pool_program = '$DBPERF_PGBOUNCER'
dbperf.pool_port = $pool_port
dbperf.pool_listen_addresses = '127.0.0.1'
dbperf.pool_mode = transaction
dbperf.pool_size = $pool_size
autovacuum = off
shared_buffers = '512MB'
fsync = off
jit = off
timezone = 'UTC'
lc_messages = 'C'
END
}

# Users with passwords of both kinds; without one only whoever has the sockets,
# who is the administrator, or a pooler.
write_hba()
{
	as_server tee "$work/base/pg_hba.conf" >/dev/null <<'END'
local all all           trust
host  all all localhost md5
END
}

# A cluster with pgbench's tables in the database bench.
make_base()
{
	local name

	server_listen=127.0.0.1
	server_port=$(free_port)
	pool_port=$(free_port $((server_port + 1)))
	hand_port=$(free_port $((pool_port + 1)))
	pgbouncer_version=$(as_server "$DBPERF_PGBOUNCER" --version |
		sed -n 's/^PgBouncer \([0-9]*\)\.\([0-9]*\)\.\([0-9]*\).*/\1 \2 \3/p' |
		awk '{ print 10000 * $1 + 100 * $2 + $3 }')
	protocol=prepared
	[ "$pgbouncer_version" -ge 12100 ] || protocol=simple

	heading "settings of all servers"
	base_settings >"$work/base.conf"
	[ "${#settings[@]}" -eq 0 ] || printf '%s\n' "${settings[@]}" >>"$work/base.conf"
	cat "$work/base.conf"
	server_start base "$work/base.conf"
	write_hba
	for name in bench one two three; do "$pg_bin/createdb" "$name"; done
	db postgres -c "SET client_min_messages = warning" -c "CREATE EXTENSION dbperf CASCADE" \
		-c "SET password_encryption = md5" -c "CREATE ROLE md5 LOGIN PASSWORD 'secret'" \
		-c "SET password_encryption = 'scram-sha-256'" -c "CREATE ROLE scram LOGIN PASSWORD 'secret'"
	run as_server "$pg_bin/pgbench" -q -i -s 10 bench >"$work/init.log" 2>&1 ||
		{ cat "$work/init.log" >&2; die "could not make the tables"; }
	db bench -c "GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC" -c "VACUUM (FREEZE, ANALYZE)"
	server_stop base
	write_script select <<'END'
\set aid random(1, 1000000)
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
END
	write_script sleep <<'END'
SELECT pg_sleep(0.01);
END
}

# fresh_server [SETTING...]
fresh_server()
{
	as_server cp -a --reflink=auto "$work/base" "$work/now"
	printf '%s\n' "$@" | as_server tee -a "$work/now/postgresql.conf" >/dev/null
	server_run now
	db bench -o /dev/null -c "SELECT count(*) FROM pgbench_accounts"
}

# ---- poolers ----

# wait_for WHAT QUERY: until it says true, for 20 seconds.
wait_for()
{
	for _ in {1..200}; do
		[ "$(value postgres "$2")" != t ] || return 0
		sleep 0.1
	done
	db postgres -x -c "SELECT * FROM dbperf.pool_status" >&2
	tail -n 20 "$work/now.log" >&2
	die "the pool did not $1"
}

# pool_on PROCESSES
pool_on()
{
	db postgres -o /dev/null -c "ALTER SYSTEM SET dbperf.pool_processes = $1" \
		-c "ALTER SYSTEM SET dbperf.pool = on" -c "SELECT pg_reload_conf()"
	wait_for start "SELECT count(*) FILTER (WHERE state = 'running') = $1 FROM dbperf.pool_status"
}

pool_off()
{
	db postgres -o /dev/null -c "ALTER SYSTEM SET dbperf.pool = off" -c "SELECT pg_reload_conf()"
	wait_for stop "SELECT count(pid) = 0 FROM dbperf.pool_status"
}

# What somebody writes who wants the same as the pool.
hand_config()
{
	cat <<END
[databases]
* = host=$work/now.sock port=$server_port
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $hand_port
unix_socket_dir = $work/hand
auth_type = md5
auth_file = $work/hand/users.txt
logfile = $work/hand/log
pool_mode = transaction
default_pool_size = $pool_size
max_client_conn = 1000
END
	[ "$pgbouncer_version" -lt 12100 ] || echo "max_prepared_statements = 200"
}

hand_on()
{
	as_server mkdir -p "$work/hand"
	db postgres -At -c "SELECT format('\"%s\" \"%s\"', rolname, rolpassword) FROM pg_authid
		WHERE rolpassword IS NOT NULL" | as_server tee "$work/hand/users.txt" >/dev/null
	hand_config | as_server tee "$work/hand/ini" >/dev/null
	in_background hand as_server "$DBPERF_PGBOUNCER" "$work/hand/ini"
	for _ in {1..100}; do
		! "$pg_bin/pg_isready" -q -h 127.0.0.1 -p "$hand_port" || return 0
		sleep 0.1
	done
	cat "$work/hand.out" >&2
	die "the PgBouncer that was set up by hand did not start"
}

hand_off()
{
	stop_background hand
}

# console SIDE COMMAND: as the user of the server, who needs no password there.
console()
{
	local directory=$work/now/pgsql_tmp_dbperf_pool/s1

	[ "$1" != hand ] || directory=$work/hand
	as_server "$pg_bin/psql" -X -At -h "$directory" -p "$port" -U pgbouncer -d pgbouncer -c "$2"
}

# side_on SIDE, side_off SIDE: what it connects through.  Sets port.
side_on()
{
	case $1 in
		direct*) port=$server_port ;;
		pool) port=$pool_port; pool_on 1 ;;
		pool_2) port=$pool_port; pool_on 2 ;;
		hand) port=$hand_port; hand_on ;;
	esac
}

side_off()
{
	case $1 in
		pool*) pool_off ;;
		hand) hand_off ;;
	esac
}

# ---- loads ----

# pgbench_as ROLE DATABASE ARGUMENT...: through the port of the side.
pgbench_as()
{
	local role=$1 database=$2
	shift 2

	as_server env PGHOST=127.0.0.1 PGPORT="$port" PGUSER="$role" PGPASSWORD=secret \
		"$pg_bin/pgbench" -n "$@" "$database"
}

# load ROLE CLIENTS SECONDS ARGUMENT...: on bench.  Sets tps and processed, and
# leaves the log.
load()
{
	local role=$1 number=$2 time=$3
	shift 3

	rm -f "$work"/load.log.*
	run pgbench_as "$role" bench -M "$protocol" -c "$number" -T "$time" -l \
		--log-prefix="$work/load.log" --random-seed="${round:-0}" -f "$work/select.sql" "$@" \
		>"$work/load.out" 2>&1 || { cat "$work/load.out" >&2; die "pgbench failed"; }
	tps=$(sed -n 's/^tps = \([0-9.]*\).*/\1/p' "$work/load.out")
	processed=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$work/load.out")
	[ -n "$tps" ] || { cat "$work/load.out" >&2; die "pgbench has finished no transaction"; }
}

# transaction_times: of the log, without connecting.
transaction_times()
{
	cat "$work"/load.log.* | awk '{ print $3 / 1000 }' | sort -n >"$work/latencies"
}

# cycle_times: from the end of a client's transaction to the end of its next one,
# with connecting in between.
cycle_times()
{
	cat "$work"/load.log.* | awk '
		{ now = $5 * 1000 + $6 / 1000 }
		$1 in last { print now - last[$1] }
		{ last[$1] = now }' | sort -n >"$work/latencies"
}

# ---- what the server saw ----

# Sessions that were begun on bench.  A session reports itself when it is idle.
sessions()
{
	value postgres "SELECT sessions FROM pg_stat_database WHERE datname = 'bench'"
}

# What the pool has counted on bench so far: by PgBouncer, and by the server
# processes of all roles.  PgBouncer is asked once a second.
pool_transactions()
{
	pause 2.5
	db postgres -At -F ' ' -c "SELECT coalesce(sum(transactions) FILTER (WHERE user_name IS NULL), 0),
			coalesce(sum(transactions) FILTER (WHERE user_name IS NOT NULL), 0)
		FROM dbperf.pool_stats WHERE database_name = 'bench'"
}

# measured ROLE CLIENTS SECONDS ARGUMENT...: a load, with what was counted beside,
# as figures of $figure.  To PgBouncer the message in which a client prepares its
# statement is a transaction, too.
measured()
{
	local begun before=() after=() prepared=0

	case $side in pool*) read -r -a before < <(pool_transactions) ;; esac
	begun=$(sessions)
	load "$@"
	note "$figure: transactions/s" "$(calc "$tps" %.0f)"
	note "$figure: reuse %" "$(calc "100 * (1 - ($(sessions) - $begun) / $processed)" %.3f)"
	case $side in
		pool*)
			read -r -a after < <(pool_transactions)
			[[ $figure != prepared ]] || prepared=$2
			note "$figure: pool_stats, database - pgbench" $((after[0] - before[0] - processed - prepared))
			note "$figure: pool_stats, roles - pgbench" $((after[1] - before[1] - processed))
			;;
	esac
}

# limit_counted SIDE: pool_stats has counted what pgbench has.
limit_counted()
{
	local what

	for what in database roles; do
		what="$figure: pool_stats, $what - pgbench"
		limit "$what, $1" "$(median_of "$what" "$1")" "=" 0
	done
}
