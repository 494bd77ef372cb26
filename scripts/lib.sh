# shellcheck shell=bash
# What the scripts share: packages, a private copy of the checkout, throwaway
# servers, and leaving nothing behind.  Sourced, never run.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=			# private directory, removed at the end
child=			# process group of the command that "run" waits for
keep_work=0
# shellcheck disable=SC2034	# used by the scripts
server_port=54320	# names a socket in a directory of our own
server_listen=		# addresses, none at first: nothing listens on TCP

die()
{
	echo "${0##*/}: $*" >&2
	exit 1
}

heading()
{
	printf '\n== %s\n' "$*"
}

is_root()
{
	[ "$(id -u)" -eq 0 ]
}

as_root()
{
	if is_root; then
		"$@"
	else
		command -v sudo >/dev/null || die "needs root or sudo for: $*"
		sudo "$@"
	fi
}

# Runs a command as the user of the servers, who is never root.
as_server()
{
	if is_root; then
		setpriv --reuid=postgres --regid=postgres --init-groups \
			env HOME="${work:-/tmp}" TMPDIR="${work:-/tmp}" USER=postgres LOGNAME=postgres "$@"
	else
		env TMPDIR="${work:-/tmp}" "$@"
	fi
}

# Runs a command in a process group of its own, so that an interrupted script
# can end all of it at once instead of waiting until it ends by itself.
run()
{
	local rc=0

	set -m
	"$@" &
	child=$!
	set +m
	wait "$child" || rc=$?
	child=
	return "$rc"
}

# ---- packages ----

apt_quiet()
{
	local log rc=0

	log=$(mktemp)
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" \
		>"$log" 2>&1 </dev/null || rc=$?
	[ "$rc" -eq 0 ] || cat "$log" >&2
	rm -f "$log"
	return "$rc"
}

package_missing()
{
	[ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" != installed ]
}

# Keeps Debian's packages from creating and starting a cluster "main" while a
# server is installed, and takes the order back.
cluster_conf=/etc/postgresql-common/createcluster.d/zz-dbperf-scripts.conf
cluster_conf_made=0

cluster_creation_off()
{
	cluster_conf_made=1
	as_root mkdir -p "${cluster_conf%/*}"
	echo 'create_main_cluster = false' | as_root tee "$cluster_conf" >/dev/null
}

cluster_creation_back()
{
	[ "$cluster_conf_made" -eq 1 ] || return 0
	cluster_conf_made=0
	as_root rm -f "$cluster_conf"
	as_root rmdir --ignore-fail-on-non-empty "${cluster_conf%/*}"
}

apt_updated=0

# Once is enough.
apt_update()
{
	[ "$apt_updated" -eq 0 ] || return 0
	apt_quiet update || die "apt-get update failed"
	apt_updated=1
}

# Installs those of the named packages that are not there.
need_packages()
{
	local missing=() p

	for p in "$@"; do
		package_missing "$p" && missing+=("$p")
	done
	[ "${#missing[@]}" -gt 0 ] || return 0
	echo "installing ${missing[*]}"
	apt_update
	case " ${missing[*]} " in
		*" postgresql-"[0-9]*) cluster_creation_off ;;
	esac
	apt_quiet install -y --no-install-recommends "${missing[@]}" ||
		die "could not install ${missing[*]}"
	cluster_creation_back
}

# A field of /etc/os-release.
os_field()
{
	# shellcheck disable=SC1091
	(. /etc/os-release && eval "printf '%s' \"\${$1:-}\"")
}

# Sets pg_major, pg_bin, pg_config: the distribution's own server, or the one
# that PG_MAJOR asks for, or the installation whose pg_config PG_CONFIG names.
choose_server()
{
	if [ -n "${PG_CONFIG:-}" ]; then
		pg_config=$PG_CONFIG
		pg_bin=$("$pg_config" --bindir)
		pg_major=$("$pg_config" --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/')
		return
	fi
	pg_major=${PG_MAJOR:-}
	if [ -z "$pg_major" ]; then
		case "$(os_field ID)-$(os_field VERSION_ID)" in
			debian-12) pg_major=15 ;;
			debian-13) pg_major=17 ;;
		esac
	fi
	if [ -z "$pg_major" ]; then
		pg_major=$(find /usr/lib/postgresql -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null |
			sort -n | tail -1)
	fi
	[ -n "$pg_major" ] || die "this is not a Debian release that is known here: set PG_MAJOR"
	pg_bin=/usr/lib/postgresql/$pg_major/bin
	pg_config=$pg_bin/pg_config
}

# ---- private directory ----

# Makes $work, which the servers' user owns and may always reach.
make_work()
{
	work=$(mktemp -d "/tmp/dbperf-${0##*/}.XXXXXX")
	if is_root; then
		chown postgres: "$work"
	fi
	chmod 755 "$work"
	cd "$work"
}

# Copies the checkout to $work/src: it may be closed to the servers' user, and
# it stays clean.
copy_checkout()
{
	as_server mkdir "$work/src"
	tar -C "$root" --exclude=./.git --exclude='*.o' --exclude='*.bc' --exclude='*.so' \
		--exclude=./results --exclude=./output_iso --exclude=./tmp_check --exclude=./log -cf - . |
		as_server tar -C "$work/src" --no-same-owner -xf -
}

make_in_copy()
{
	as_server make --no-print-directory -C "$work/src" PG_CONFIG="$pg_config" "$@"
}

# shellcheck disable=SC2120	# arguments are optional
build_copy()
{
	run make_in_copy -s -j"$(nproc)" "$@"
}

install_copy()
{
	as_root make --no-print-directory -s -C "$work/src" PG_CONFIG="$pg_config" install >/dev/null
}

# ---- programs that are not installed ----

# unpack_package NAME: Debian's package in $work/NAME, for a program whose package
# would start a service and enable it.  The libraries that it needs are installed, but
# for those of web pages.
unpack_package()
{
	local name=$1 deb libraries

	apt_update
	as_server mkdir "$work/$name"
	if ! (cd "$work/$name" && as_server apt-get -qq download "$name" >/dev/null 2>&1); then
		echo "could not download the package $name" >&2
		return 1
	fi
	deb=$(find "$work/$name" -maxdepth 1 -name "${name}_*.deb")
	mapfile -t libraries < <(dpkg-deb -f "$deb" Depends | tr ',' '\n' |
		sed -n '/^ *libjs-/d; s/^ *\(lib[a-z0-9.+-]*\).*/\1/p')
	need_packages "${libraries[@]}"
	as_server dpkg-deb -x "$deb" "$work/$name"
}

# Sets DBPERF_PGBOUNCER, the program of a pool, if the environment has not: the
# installed one, or else the distribution's, unpacked.  Fails if there is none.
get_pgbouncer()
{
	if [ -z "${DBPERF_PGBOUNCER:-}" ]; then
		DBPERF_PGBOUNCER=/usr/sbin/pgbouncer
		if [ ! -x "$DBPERF_PGBOUNCER" ]; then
			unpack_package pgbouncer || { unset DBPERF_PGBOUNCER; return 1; }
			DBPERF_PGBOUNCER=$work/pgbouncer/usr/sbin/pgbouncer
		fi
	fi
	export DBPERF_PGBOUNCER
	as_server "$DBPERF_PGBOUNCER" --version | sed -n 1p
}

# The same for DBPERF_PROMTOOL, the program that comes with Prometheus.
get_promtool()
{
	if [ -z "${DBPERF_PROMTOOL:-}" ]; then
		DBPERF_PROMTOOL=/usr/bin/promtool
		if [ ! -x "$DBPERF_PROMTOOL" ]; then
			unpack_package prometheus || { unset DBPERF_PROMTOOL; return 1; }
			DBPERF_PROMTOOL=$work/prometheus/usr/bin/promtool
		fi
	fi
	export DBPERF_PROMTOOL
	as_server "$DBPERF_PROMTOOL" --version | sed -n 1p
}

# free_port [FROM]: the first port from there on where nobody listens, below those
# that the system gives to clients.
# shellcheck disable=SC2120	# the argument is optional
free_port()
{
	local port

	for ((port = ${1:-24320}; port < 24620; port++)); do
		if ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
			echo "$port"
			return
		fi
	done
	die "there is no free port"
}

# ---- throwaway servers ----

# server_start NAME [CONF...]: makes a cluster in $work/NAME with the given
# configuration files and starts it; PGHOST, PGPORT and PGUSER then lead to it.
server_start()
{
	local name=$1
	shift

	as_server "$pg_bin/initdb" -D "$work/$name" -U postgres -A trust -E UTF8 --locale=C -N \
		>"$work/initdb.log" 2>&1 || { cat "$work/initdb.log" >&2; die "initdb failed"; }
	cat "$@" </dev/null | as_server tee -a "$work/$name/postgresql.conf" >/dev/null
	server_run "$name"
}

# server_run NAME: starts the cluster in $work/NAME.
server_run()
{
	local name=$1

	as_server mkdir -p "$work/$name.sock"
	if ! as_server "$pg_bin/pg_ctl" -D "$work/$name" -l "$work/$name.log" -w -t 60 -s start \
		-o "-k $work/$name.sock -p $server_port -c listen_addresses='$server_listen'" </dev/null; then
		tail -n 40 "$work/$name.log" >&2
		die "the server did not start"
	fi
	server_use "$name"
}

server_use()
{
	export PGHOST=$work/$1.sock PGPORT=$server_port PGUSER=postgres
}

server_stop()
{
	as_server "$pg_bin/pg_ctl" -D "$work/$1" -m fast -w -t 60 -s stop </dev/null
}

# Ends every postmaster whose data directory is in $work, by its own pid file.
stop_servers_in_work()
{
	local file pid dir tries

	while IFS= read -r file; do
		pid=$(head -n 1 "$file" 2>/dev/null) || continue
		dir=$(readlink "/proc/$pid/cwd" 2>/dev/null) || continue
		[ "$dir" = "$(dirname "$file")" ] || continue
		kill -QUIT "$pid" 2>/dev/null || continue
		for tries in {1..100}; do
			kill -0 "$pid" 2>/dev/null || break
			[ "$tries" -lt 100 ] || kill -KILL "$pid" 2>/dev/null || true
			sleep 0.1
		done
	done < <(find "$work" -name postmaster.pid 2>/dev/null)
}

# ---- the end ----

cleanup()
{
	local rc=$?

	trap '' INT TERM HUP
	set +e
	if [ -n "$child" ]; then
		kill -TERM -- "-$child" 2>/dev/null
		wait "$child" 2>/dev/null
	fi
	cleanup_more
	cluster_creation_back
	if [ -n "$work" ] && [ "$keep_work" -eq 0 ]; then
		stop_servers_in_work
		cd /
		rm -rf "$work"
	fi
	exit "$rc"
}

# Scripts with more to take back redefine this.
cleanup_more()
{
	:
}

trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
