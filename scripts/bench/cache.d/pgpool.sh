# shellcheck shell=bash
# pgpool-II with its query cache in shared memory, in front of the server "now".
# Sourced, never run.
# shellcheck disable=SC2154	# pg_bin, work, ... are lib.sh's

pgpool_port=54321
pgpool=			# the program

# Unpacks Debian's package instead of installing it, which would start a service
# and enable it.  The libraries that it needs are installed.
get_pgpool()
{
	local deb libraries

	as_server mkdir "$work/pgpool"
	if [ "$apt_updated" -eq 0 ]; then
		apt_quiet update || die "apt-get update failed"
		apt_updated=1
	fi
	(cd "$work/pgpool" && as_server apt-get -qq download pgpool2 >/dev/null 2>&1) ||
		die "could not download pgpool2"
	deb=$(find "$work/pgpool" -name 'pgpool2_*.deb')
	mapfile -t libraries < <(dpkg-deb -f "$deb" Depends | tr ',' '\n' |
		sed -n 's/^ *\(lib[a-z0-9.+-]*\).*/\1/p')
	need_packages "${libraries[@]}"
	as_server dpkg-deb -x "$deb" "$work/pgpool"
	pgpool=$work/pgpool/usr/sbin/pgpool
}

start_pgpool()
{
	as_server mkdir -p "$work/pgpool.sock" "$work/pgpool/oid"
	as_server tee "$work/pgpool/pgpool.conf" >/dev/null <<END
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
pid_file_name = '$work/pgpool/pgpool.pid'
logdir = '$work/pgpool'
memory_cache_enabled = on
memqcache_method = 'shmem'
memqcache_total_size = '64MB'
memqcache_oiddir = '$work/pgpool/oid'
END
	in_background pgpool as_server "$pgpool" -n -f "$work/pgpool/pgpool.conf" \
		-F "$work/pgpool/pcp.conf" -a "$work/pgpool/pool_hba.conf"
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
	as_server "$pgpool" -f "$work/pgpool/pgpool.conf" -F "$work/pgpool/pcp.conf" -m fast stop \
		>/dev/null 2>&1 || true
	wait "${background[pgpool]}" 2>/dev/null || true
	unset "background[pgpool]"
}
