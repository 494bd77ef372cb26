# shellcheck shell=bash
# pgpool-II with its query cache in shared memory, in front of the server "now".
# Sourced, never run.
# shellcheck disable=SC2154	# pg_bin, work, ... are lib.sh's

pgpool_port=54321
pgpool=			# the program

get_pgpool()
{
	unpack_package pgpool2 || die "there is no pgpool-II to compare with"
	pgpool=$work/pgpool2/usr/sbin/pgpool
}

start_pgpool()
{
	as_server mkdir -p "$work/pgpool.sock" "$work/pgpool2/oid"
	as_server tee "$work/pgpool2/pgpool.conf" >/dev/null <<END
backend_clustering_mode = 'raw'
backend_hostname0 = '$work/now.sock'
backend_port0 = $server_port
listen_addresses = ''
socket_dir = '$work/pgpool.sock'
unix_socket_directories = '$work/pgpool.sock'
port = $pgpool_port
pcp_listen_addresses = ''
pcp_socket_dir = '$work/pgpool.sock'
pcp_port = $((pgpool_port + 1))
num_init_children = 12
max_pool = 1
pid_file_name = '$work/pgpool2/pgpool.pid'
logdir = '$work/pgpool2'
memory_cache_enabled = on
memqcache_method = 'shmem'
memqcache_total_size = '64MB'
memqcache_oiddir = '$work/pgpool2/oid'
END
	in_background pgpool as_server "$pgpool" -n -f "$work/pgpool2/pgpool.conf" \
		-F "$work/pgpool2/pcp.conf" -a "$work/pgpool2/pool_hba.conf"
	pgpool_use
	for _ in {1..100}; do
		"$pg_bin/pg_isready" -q && { server_use now; return; }
		sleep 0.1
	done
	cat "$work/pgpool.out" >&2
	die "pgpool did not start"
}

pgpool_use()
{
	export PGHOST=$work/pgpool.sock PGPORT=$pgpool_port PGUSER=postgres
}

# Selects that its cache has answered.
pgpool_hits()
{
	"$pg_bin/psql" -X -At -F ' ' -d bench -c "SHOW POOL_CACHE" | cut -d ' ' -f 1
}

stop_pgpool()
{
	as_server "$pgpool" -f "$work/pgpool2/pgpool.conf" -F "$work/pgpool2/pcp.conf" -m fast stop \
		>/dev/null 2>&1 || true
	wait "${background[pgpool]}" 2>/dev/null || true
	unset "background[pgpool]"
}
