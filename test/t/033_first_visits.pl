# The first visits of a database: they come when it gets the extension, and again
# soon while there is no workload yet, however long the intervals are.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use DbperfTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node(
	'main', q{
dbperf.advisor_interval = '1h'
dbperf.estimates_interval = '1h'
});

# ---- a database that has no extension when it is visited first ----

sleep(5);
sql('CREATE EXTENSION dbperf CASCADE');
poll_ok(q{SELECT count(*) = 1 FROM dbperf.advisor_status
	WHERE database_name = 'postgres' AND last_run_at IS NOT NULL}, 'the advisor comes with the extension');
poll_ok(q{SELECT count(*) = 1 FROM dbperf.metrics
	WHERE name = 'dbperf_database_size_bytes' AND labels = '{"database": "postgres"}'},
	'so do estimates');

# ---- a database whose first visits find no workload ----

set(q{dbperf.advisor_interval = '200s'});
set(q{dbperf.estimates_interval = '200s'});
sql('CREATE DATABASE later');
sql('later', 'CREATE EXTENSION dbperf CASCADE');
ok(poll('later', q{SELECT count(*) = 1 FROM dbperf.advisor_status
		WHERE database_name = 'later' AND last_run_at IS NOT NULL AND advice = 0
		  AND next_run_at < last_run_at + interval '100 s'}),
	'the next run comes sooner');
ok(poll('later', q{SELECT evidence LIKE 'no recorded statement asks%' FROM dbperf.health
		WHERE target = 'index_coverage_ratio'}),
	'there is nothing to cover');
sql('later', q{
	CREATE TABLE orders (id int PRIMARY KEY, customer int, note text);
	INSERT INTO orders SELECT g, g % 5000, repeat('x', 50) FROM generate_series(1, 50000) AS g;
	ANALYZE orders});
sql('later', 'SELECT dbperf.query_latency_reset(NULL, current_database()); SELECT pg_stat_reset()');
sql('later', "SELECT count(*) FROM orders WHERE customer = 17;\n" x 5);
ok(poll('later', q{SELECT evidence LIKE 'existing indexes serve%' FROM dbperf.health
		WHERE target = 'index_coverage_ratio'}),
	'the coverage is known soon');
ok(poll('later', q{SELECT count(*) = 1 FROM dbperf.index_advice WHERE status = 'open'}),
	'so is advice');
ok(poll('later', q{SELECT next_run_at >= last_run_at + interval '199 s' FROM dbperf.advisor_status
		WHERE database_name = 'later'}),
	'then runs are as far apart as they should be');

nothing_crashed();
done_testing();
