# shellcheck shell=bash
# A: what a hit takes.
# shellcheck disable=SC2034,SC2154	# the main script's

# hits_load SIDE PROTOCOL CLIENTS SECONDS
hits_load()
{
	case $1 in
		select1) load "$3" "$2" "$generic" "$4" -f "$work/one.sql" ;;
		explain) load "$3" "$2" "" "$4" -f "$work/explain.sql" ;;
		hit) load "$3" "$2" "$generic $hinted" "$4" -f "$work/hit.sql" ;;
		pgpool)
			pgpool_use
			load "$3" "$2" "" "$4" -f "$work/plain.sql"
			server_use now
			;;
	esac
}

# hits_so_far SIDE
hits_so_far()
{
	case $1 in
		hit) counters hits ;;
		pgpool) (pgpool_use && pgpool_hits) ;;
		*) echo 0 ;;
	esac
}

# hits_run PROTOCOL: one run of a side with 1 client, and one with 8.
hits_run()
{
	local clients before

	for clients in 1 8; do
		before=$(hits_so_far "$side")
		hits_load "$side" "$1" "$clients" "$seconds"
		note_load "$1, clients=$clients" "$clients"
		case $side in
			hit | pgpool)
				# pgpool-II counts a hit of a prepared statement twice
				note "$1, clients=$clients: % hits" "$(awk -v n="$(hits_so_far "$side")" \
					-v before="$before" -v all="$processed" 'BEGIN {
						share = 100 * (n - before) / all
						printf "%.2f", (share > 100 ? 100 : share) }')"
				;;
		esac
	done
}

# The caches are full before anything is measured.
hits_warm()
{
	local protocol

	round=1
	for protocol in prepared simple; do
		for side in hit pgpool; do
			hits_load "$side" "$protocol" 2 2
		done
	done
}

hits_instructions()
{
	start_counting "dbperf.cache_admission = always"
	round=1
	side=select1
	count "instructions, prepared" one prepared "$many" 200 "$generic"
	side=hit
	count "instructions, prepared" hit prepared "$many" 200 "$generic $hinted"
	count "instructions, simple" hit simple "$many" 200 "$hinted"
	side=explain
	count "instructions, simple" explain simple "$many" 200
	stop_counted
}

bench_hits()
{
	local clients

	rounds=$repeats
	heading "A: hits, $rounds rounds of $seconds s for each side with 1 and 8 clients"
	sampled=0.1
	get_pgpool
	fresh_server
	start_pgpool
	hits_warm
	each_run "select1 hit pgpool" hits_run prepared
	each_run "explain hit pgpool" hits_run simple
	stop_pgpool
	drop_server
	for clients in 1 8; do
		note_pairs "prepared, clients=$clients: ms" hit select1
		note_pairs "prepared, clients=$clients: transactions/s" hit pgpool
		note_pairs "simple, clients=$clients: transactions/s" hit explain
		note_pairs "simple, clients=$clients: transactions/s" hit pgpool
	done
	sampled=1
	hits_instructions
	print_figures
	for clients in 1 8; do
		limit_pairs "prepared, clients=$clients: ms" hit select1 "<=" 1.3
		limit_pairs "prepared, clients=$clients: transactions/s" hit pgpool ">=" 4
		limit_pairs "simple, clients=$clients: transactions/s" hit explain ">=" 0.9
	done
	limit "% hits of those runs, lowest median" "$(hits_lowest)" ">=" 99
	echo "instructions of a hit over those of SELECT 1, prepared: $(calc \
		"$(median_of "instructions, prepared" hit) - $(median_of "instructions, prepared" select1)" %+d)"
	echo "instructions of a hit over those of EXPLAIN, simple: $(calc \
		"$(median_of "instructions, simple" hit) - $(median_of "instructions, simple" explain)" %+d)"
}

# Without hits the figures would mean nothing.
hits_lowest()
{
	local protocol clients

	for protocol in prepared simple; do
		for clients in 1 8; do
			median_of "$protocol, clients=$clients: % hits" hit
		done
	done | sort -g | head -n 1
}
