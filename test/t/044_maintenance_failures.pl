# Maintenance goes on whatever is broken: a failing function of an index, a
# damaged index, tables that are dropped meanwhile, a database that cannot be
# connected to.  What fails is logged and tried again later and later.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use DbperfTest;
use Test::More;

my $node = start_node(
	'main', q{
dbperf.maintenance_naptime = 1s
dbperf.maintenance_max_workers = 3
});
sql('CREATE EXTENSION dbperf CASCADE');

# A function that fails when an index calls it, in an expression and a predicate
plant($_) foreach qw(fails_analyze damaged fine);
sql(q{
	CREATE FUNCTION picky(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END';
	CREATE INDEX ON fails_analyze (picky(id));
	CREATE OR REPLACE FUNCTION picky(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
		$$BEGIN RAISE 'this function fails'; END$$;
});

# A database that no worker can connect to
sql('CREATE DATABASE broken');
my $broken = sql(q{SELECT oid FROM pg_database WHERE datname = 'broken'});

# A damaged index: a page of nonsense
my $file = sql(q{SELECT pg_relation_filepath('damaged_pkey')});
$node->stop;
open(my $handle, '+<', $node->data_dir . "/$file") or die;
binmode $handle;
seek($handle, 8192, 0);
print $handle "\x5a" x 8192;
close($handle);
unlink $node->data_dir . "/base/$broken/PG_VERSION" or die;
$node->start;

my $began = time;
set('dbperf.maintenance = on');
log_is(q{object = 'public.fine' AND outcome = 'done'}, 'count(DISTINCT action) = 2', 'the others are done');
log_is(q{object = 'public.fails_analyze' AND action = 'analyze'},
	q{count(*) > 0 AND bool_and(outcome = 'failed') AND bool_and(error LIKE 'this function fails%')},
	'a failing function is logged');
log_is(q{object = 'public.fails_analyze' AND action = 'vacuum'}, q{count(*) > 0 AND bool_and(outcome = 'done')},
	'its table is vacuumed nevertheless');
log_is(q{object = 'public.damaged' AND action = 'vacuum'},
	q{count(*) > 0 AND bool_and(outcome = 'failed') AND bool_and(error LIKE 'invalid page in block 1 of relation %')},
	'so is a damaged index');
sleep(5);
my $tries = count_in_log('background worker "dbperf maintenance" .* exited with exit code 1');
cmp_ok($tries, '>=', 1, 'a database that no worker can connect to is tried');
# after 5 s, 10 s, 20 s and so on
cmp_ok($tries, '<=', 1 + log((time - $began) / 5 + 1) / log(2), 'later and later');
is( sql(q{SELECT failed_visits > 0 FROM dbperf.maintenance_databases WHERE database_name = 'broken'}),
	't', 'and this is shown');
is( sql(q{SELECT count(*) FROM (
			SELECT started - lag(finished) OVER (PARTITION BY object, action ORDER BY id) AS pause
			FROM dbperf.maintenance_log WHERE outcome = 'failed') AS tries
		WHERE pause < '1 min'}),
	'0', 'what fails is not tried again at once');
poll_ok(q{SELECT count(*) = 2 FROM dbperf.maintenance_plan()
		WHERE object IN ('public.fails_analyze', 'public.damaged') AND not_now IS NOT NULL},
	'the plan says so');
my $id = sql(q{SELECT dbperf.run_maintenance('fails_analyze', 'analyze')});
log_is("id = $id", q{outcome = 'failed' AND error LIKE 'this function fails%'}, 'a user may try');

# Tables that go away
set('dbperf.maintenance_cost_limit_max = 1');
plant('brief', rows => 60000);
# an ANALYZE may come first, and may just have come to its end when the table is dropped
poll_ok(q{SELECT count(*) = 1 FROM dbperf.maintenance_progress
		WHERE object = 'public.brief' AND action = 'vacuum' AND phase = 'scanning heap'},
	'a vacuum that takes long');
my $seconds = sql(q{
	\timing off
	SELECT clock_timestamp() AS start \gset
	DROP TABLE brief;
	SELECT extract(epoch FROM clock_timestamp() - :'start'::timestamptz)});
cmp_ok($seconds, '<', 6, 'DROP TABLE gets its lock');
log_is(q{object = 'public.brief'}, q{bool_or(outcome = 'cancelled' AND error LIKE 'gave way to process %')},
	'the log says why');
set('dbperf.maintenance_cost_limit_max = 2000');
$id = sql(q{CREATE TABLE gone (id int); SELECT dbperf.pause_maintenance();
	SELECT dbperf.run_maintenance('gone', 'vacuum'); DROP TABLE gone; SELECT dbperf.resume_maintenance()});
$id =~ s/\D//g;
log_is("id = $id", q{outcome = 'failed' AND error LIKE 'the table is gone%'}, 'a request for a table that is gone');

# New work is still found
plant('later');
log_is(q{object = 'public.later' AND outcome = 'done'}, 'count(DISTINCT action) = 2', 'and all goes on');

nothing_crashed();
done_testing();
