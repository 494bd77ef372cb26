# shellcheck shell=bash
# Counting the instructions of a backend with valgrind's callgrind.  Sourced after
# lib.sh, never run.  The cluster is $work/counted, with log_connections = on and
# log_line_prefix = '%p '.
# shellcheck disable=SC2154	# pg_bin, work, server_port are lib.sh's

counted_pid=		# a server under valgrind

# Functions, as a regular expression, whose instructions and those of what they call
# are left out: how often a backend must wait for its client depends on how busy the
# machine is, and costs some 200 instructions each time.
not_counted=secure_read

# left_out_instructions TOTAL: what the backend with that total spent in them.
left_out_instructions()
{
	callgrind_annotate --auto=no --inclusive=yes --threshold=100 \
		"$(grep -l "^totals: $1\$" "$work"/cg/out.* | head -n 1)" |
		awk -v functions=":($not_counted) " '
			/%\)/ && $0 ~ functions { gsub(",", "", $1); n += $1 }
			END { printf "%d", n }'
}

# backend_instructions SCRIPT TRANSACTIONS [PROTOCOL [DATABASE]]: what the backend
# that served pgbench executed.  pgbench connects once before, for a look at the
# server; of the backends that the log has for it, the one with the larger total is
# meant.
backend_instructions()
{
	local log=$work/counted.log seen pids pid totals

	seen=$(wc -l <"$log")
	as_server "$pg_bin/pgbench" -n -M "${3:-prepared}" -c 1 -t "$2" --random-seed=1 -f "$1" \
		"${4:-postgres}" >"$work/pgbench.log" 2>&1 ||
		{ cat "$work/pgbench.log" >&2; return 1; }
	for _ in {1..300}; do
		sleep 0.1
		pids=$(tail -n "+$((seen + 1))" "$log" |
			sed -n 's/^\([0-9]*\) .*connection authorized: .*application_name=pgbench.*/\1/p')
		totals=
		for pid in $pids; do
			# callgrind writes the file when the process ends, the totals last
			totals+=$(sed -n 's/^totals: //p' "$work/cg/out.$pid" 2>/dev/null || true)$'\n'
		done
		if [ -n "$pids" ] && [ "$(wc -w <<<"$totals")" -eq "$(wc -w <<<"$pids")" ]; then
			totals=$(sort -n <<<"$totals" | tail -n 1)
			echo $((totals - $(left_out_instructions "$totals")))
			return
		fi
	done
	return 1
}

# Starts the server under callgrind.
start_counted()
{
	as_server mkdir -p "$work/cg" "$work/counted.sock"
	set -m
	as_server valgrind -q --tool=callgrind --trace-children=yes \
		--callgrind-out-file="$work/cg/out.%p" "$pg_bin/postgres" -D "$work/counted" \
		-k "$work/counted.sock" -p "$server_port" -c listen_addresses='' \
		>"$work/counted.log" 2>&1 </dev/null &
	counted_pid=$!
	set +m
	server_use counted
	for _ in {1..600}; do
		"$pg_bin/pg_isready" -q && return 0
		kill -0 "$counted_pid" 2>/dev/null || break
		sleep 0.1
	done
	tail -n 40 "$work/counted.log" >&2
	die "the server did not start under valgrind"
}

# Stops it, and removes the cluster and what was counted.
stop_counted()
{
	kill -INT "$(head -n 1 "$work/counted/postmaster.pid")"
	wait "$counted_pid" 2>/dev/null || true
	counted_pid=
	as_server rm -rf "$work/counted" "$work/counted.sock" "$work/cg"
}

# For the trap: a server that an interrupted run left.
kill_counted()
{
	[ -z "$counted_pid" ] || kill -TERM -- "-$counted_pid" 2>/dev/null
}
