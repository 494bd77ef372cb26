#!/bin/bash
# Checks who includes whom in src/: the layers of the design are one-way.
#
#   core <- monitor cluster cache maintenance pool advisor plans
#        <- metrics <- report <- dbperf.c
#
# plus plans -> monitor, advisor -> monitor, advisor -> cluster.  Another
# module is reached through its <module>/<module>.h only; all of core is public.
#
#   scripts/check_includes.sh [DIRECTORY]	(default: src of this checkout)
#
# Prints file:line of each violation; exit status 1 if there is one.
set -euo pipefail

src=${1:-$(cd "$(dirname "$0")/.." && pwd)/src}
cd "$src"

violations=$(find . -name '*.[ch]' -printf '%P\n' | LC_ALL=C sort | LC_ALL=C perl -ne '
	BEGIN {
		my @middle = qw(monitor cluster cache maintenance pool advisor plans);
		%allowed = map { $_ => { core => 1 } } @middle;
		$allowed{core} = {};
		$allowed{$_}{monitor} = 1 for qw(plans advisor);
		$allowed{advisor}{cluster} = 1;
		$allowed{metrics} = { map { $_ => 1 } "core", @middle };
		$allowed{report} = { %{ $allowed{metrics} }, metrics => 1 };
		$allowed{""} = { %{ $allowed{report} }, report => 1 };	# dbperf.c
	}

	chomp;
	push @files, $_;

	END {
		my %seen;
		$exists{$_} = 1 for @files;
		for my $file (@files) {
			my ($module, $base) = $file =~ m{^(?:(.*)/)?([^/]+)$};
			$module //= "";
			check($file, 1, "a base name must be unique, see $seen{$base}") if $seen{$base};
			$seen{$base} = $file;
			if (!$allowed{$module}) {
				check($file, 1, "the design knows no module \"$module\"");
				next;
			}
			one_file($file, $module);
		}
	}

	sub check { print "$_[0]:$_[1]: $_[2]\n" }

	sub one_file {
		my ($file, $module) = @_;
		my $header = $file =~ /\.h$/;
		my ($first, $ifndef, $define, $endif);

		open(my $in, "<", $file) or die "$file: $!\n";
		while (my $line = <$in>) {
			if ($line =~ /\bPG_VERSION_NUM\b/ && $file !~ m{^core/compat\.[ch]$}) {
				check($file, $., "PG_VERSION_NUM belongs into core/compat.h or core/compat.c");
			}
			if ($line =~ /^\s*#/) {
				$ifndef //= $1 if !$define && $line =~ /^\s*#\s*ifndef\s+(\w+)/;
				$define //= $1 if $line =~ /^\s*#\s*define\s+(\w+)/;
				$endif = $line if $line =~ /^\s*#\s*endif/;
			}
			next unless $line =~ /^\s*#\s*include\s*([<"])([^>"]+)[>"]/;
			my ($quote, $target) = ($1, $2);
			my $is_first = !defined $first;
			$first //= $target;
			if ($target eq "postgres.h") {
				check($file, $., "a header must not include postgres.h") if $header;
				check($file, $., "postgres.h must be the first include") if !$header && !$is_first;
				next;
			}
			check($file, $., "postgres.h must be the first include") if !$header && $is_first;
			one_include($file, $., $module, $target) if $quote eq "\"";
		}
		close($in);
		check($file, 1, "postgres.h must be the first include") if !$header && !defined $first;
		if ($header && (!$ifndef || !$define || $ifndef ne $define || !$endif)) {
			check($file, 1, "a header needs an include guard");
		}
	}

	sub one_include {
		my ($file, $line, $module, $target) = @_;
		my ($owner, $base) = $target =~ m{^(?:(.*)/)?([^/]+)$};
		my ($dir) = $file =~ m{^(.*)/};

		if (!$exists{$target} && ($target =~ m{^\.\.?/} || ($dir && $exists{"$dir/$target"}))) {
			return check($file, $line, "\"$target\" must be spelled from src/");
		}
		$owner //= "";
		# The server has folders of the same names: what is not ours is its.
		return if !$exists{$target} || $owner eq $module;
		if (!$allowed{$module}{$owner}) {
			return check($file, $line, ($module || "src") . " must not include $target");
		}
		if ($owner ne "core" && $base ne "$owner.h") {
			check($file, $line, "$target is private to $owner, use $owner/$owner.h");
		}
	}
')

if [ -n "$violations" ]; then
	printf '%s\n' "$violations"
	exit 1
fi
echo "includes: $(find . -name '*.[ch]' | wc -l) files follow the design"
