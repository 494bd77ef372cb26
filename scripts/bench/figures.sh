# shellcheck shell=bash
# What several benchmarks share: psql, runs in turn, loads in the background,
# figures of each run and limits.  Sourced after lib.sh, never run.
# shellcheck disable=SC2034,SC2154	# rounds, scenario, quick, pg_bin, work are the main script's

missed=0		# whether a limit was
side=			# what is measured now
only_side=		# if set, nothing else is
round=

# ---- SQL and runs ----

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

# Stops the server "now" and removes it; a crash is a limit that was missed.
drop_server()
{
	server_stop now
	if grep -E 'PANIC|was terminated by signal' "$work/now.log"; then
		echo "MISSED  the server crashed"
		missed=1
	fi
	as_server rm -rf "$work/now" "$work/now.sock" "$work/now.log"
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

# ---- loads ----

# write_script NAME: from standard input.
write_script()
{
	as_server tee "$work/$1.sql" >/dev/null
}

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

# For the trap: what an interrupted run left.
stop_loads()
{
	local pid

	for pid in "${background[@]}"; do
		kill -TERM -- "-$pid" 2>/dev/null
	done
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

# note_pairs FIGURE SIDE OTHER: the ratio of each round that has one, as a side of
# its own.
note_pairs()
{
	local ours theirs

	side=$2/$3
	for round in $(seq "$rounds"); do
		ours=$(values_of "$1" "$2" | sed -n "${round}p")
		theirs=$(values_of "$1" "$3" | sed -n "${round}p")
		case "$ours/$theirs" in
			/* | */ | *never*) ;;
			*) note "$1" "$(calc "$ours / $theirs")" ;;
		esac
	done
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

# limit WHAT VALUE RELATION BOUND: RELATION is <=, <, >=, > or =.
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
		if (relation == ">") ok = v > bound + 0 && value != "never"
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

# limit_pairs FIGURE SIDE OTHER RELATION BOUND: the median of the rounds' ratios.
limit_pairs()
{
	limit "$1, $2 / $3" "$(median_of "$1" "$2/$3")" "$4" "$5"
}
