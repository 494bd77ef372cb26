# Makes a pgbench script of the queries in the input, one a line: each is as often
# as Zipf's law with exponent 1.0 says (pgbench's own random_zipfian needs more than
# 1.0).  A draw is looked up in a tree of \if, which takes pgbench eight steps.
{ query[++n] = $0 }

# The queries of these ranks.
function tree(first, last,    middle) {
	if (first == last) {
		print query[first]
		return
	}
	middle = int((first + last) / 2)
	print "\\if :draw <= " below[middle]
	tree(first, middle)
	print "\\else"
	tree(middle + 1, last)
	print "\\endif"
}

END {
	for (rank = 1; rank <= n; rank++)
		below[rank] = total += int(1000000 / rank)
	print "\\set draw random(1, " total ")"
	tree(1, n)
}
