# A plan that is slower than it was is no regression if the server is slower: what
# counts are the plans that are about as long, since short ones do not feel it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use DbperfTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $long = 12;
my $short = 20;
my $window = 3;
my $node = start_node('main', qq{dbperf.latency_window = '${window}s'});

sql(qq{CREATE EXTENSION dbperf CASCADE;
	CREATE TABLE speed AS SELECT n, 0.004::float8 AS seconds FROM generate_series(1, $long) AS n});

# Executes each of the queries 33 times.  30 are enough to judge; what a window's end
# cuts off of more than these could be so many that the fastest of the next are among
# them.  The long ones take what the table says.
sub execute
{
	my $script = '';

	$script .= ('SELECT pg_sleep(seconds)' . ', n' x $_ . " FROM speed WHERE n = $_;\n") x 33 for 1 .. $long;
	$script .= ('SELECT 1' . ', 1' x $_ . " FROM speed WHERE n = 1;\n") x 33 for 1 .. $short;
	$node->psql('postgres', $script);
	return;
}

# Counts anew, and how long everything takes as usual.
sub usual
{
	quiet('SELECT dbperf.query_latency_reset(); UPDATE speed SET seconds = 0.004');
	for (1 .. 2)
	{
		execute();
		sleep $window;
	}
	return;
}

# The numbers of long queries of which it is said that they are slower.
sub slower
{
	return quiet(q{
		SELECT string_agg(DISTINCT (length(s.query) - length(replace(s.query, ', n', ''))) / 3 || '', ' ')
		  FROM dbperf.plan_regressions AS r JOIN dbperf.query_samples AS s USING (queryid)
		 WHERE r.old_plan_id = r.new_plan_id AND s.query LIKE 'SELECT pg\_sleep(seconds)%'});
}

# Asks without being counted.
sub quiet
{
	local $ENV{PGOPTIONS} = '-c dbperf.track=none';
	return sql($_[0]);
}

usual();
is(slower(), '', 'nothing is slower');
quiet('UPDATE speed SET seconds = CASE WHEN n = 7 THEN 0.06 ELSE 0.016 END');
execute();
is(slower(), '7', 'all that take long have become slower, one of them more than the others');

usual();
quiet('UPDATE speed SET seconds = 0.016 WHERE n IN (4, 9)');
execute();
is(slower(), '4 9', 'only some of them have');

nothing_crashed();
done_testing();
