# Tables that are close to wraparound have a worker of their own, that yields to
# nobody; and several workers in one database.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use DbperfTest;
use Test::More;

my $node = start_node(
	'main', q{
# comes nevertheless when wraparound is near, and must not be first
autovacuum_max_workers = 1
autovacuum_vacuum_cost_delay = 100ms
autovacuum_vacuum_cost_limit = 1
fsync = off
autovacuum_freeze_max_age = 100000
vacuum_freeze_min_age = 1000
dbperf.maintenance = off
dbperf.maintenance_naptime = 1s
dbperf.maintenance_max_workers = 3
dbperf.maintenance_cost_limit_max = 1
});

sql('CREATE EXTENSION dbperf CASCADE');
sql('CREATE DATABASE busy');
sql('busy', 'CREATE EXTENSION dbperf CASCADE');
plant($_, rows => 40000, width => 400, database => 'busy') foreach qw(a b c d);
plant('old', rows => 100000, width => 400);

#
# Three workers in one database, at the same time
#
my @ids = map { sql('busy', "SELECT dbperf.run_maintenance('$_', 'vacuum')") } qw(a b c d);
poll_ok('SELECT count(*) = 3 FROM pg_stat_progress_vacuum WHERE heap_blks_scanned > 0', 'three vacuums at once');
is( sql('SELECT count(DISTINCT object), bool_and(requested) FROM dbperf.maintenance_progress'),
	'3|t', 'of three tables');
is(sql('SELECT requests_waiting FROM dbperf.maintenance_status'), '1', 'the fourth waits');
set('dbperf.maintenance_max_workers = 1');
sql('busy', "SELECT dbperf.cancel_maintenance($_)") foreach @ids[0, 1];
poll_ok("SELECT count(*) = 2 FROM dbperf.maintenance_log WHERE id IN ($ids[0], $ids[1]) AND outcome = 'cancelled'",
	'two of them are cancelled');
poll_ok('SELECT workers IN (1, 2) FROM dbperf.maintenance_status', 'their workers leave, or take the fourth');
sql('busy', "SELECT dbperf.cancel_maintenance($_)") foreach @ids;

#
# The only slot is taken, and another request waits, when wraparound comes near
#
sql(q{
	CREATE PROCEDURE burn(xids int) LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1 .. xids LOOP
			PERFORM pg_current_xact_id();
			COMMIT;
		END LOOP;
	END$$});
sql('CALL burn(105000)');
poll_ok('SELECT workers = 0 FROM dbperf.maintenance_status', 'nothing runs');
sql('busy', 'VACUUM (FREEZE)');
sql('busy', q{UPDATE a SET note = note});
sql('busy', "SELECT dbperf.run_maintenance('a', 'vacuum')") foreach 1 .. 2;
set('dbperf.maintenance_cost_limit_max = 4', 'dbperf.maintenance = on');
poll_ok(q{SELECT count(*) = 1 FROM dbperf.maintenance_workers() WHERE emergency}, 'the emergency slot is used');
my $old = q{FROM dbperf.maintenance_progress WHERE object = 'public.old' AND prevents_wraparound};
poll_ok("SELECT count(*) = 1 $old AND phase = 'scanning heap'", 'the old table is frozen');
is(sql("SELECT note LIKE 'prevents wraparound%' $old"), 't', 'and progress says that it does not yield');
is(sql(q{SELECT close_to_wraparound FROM dbperf.maintenance_databases WHERE database_name = 'postgres'}),
	't', 'so do the databases');
set('dbperf.maintenance_yield = flag');
my ($rc, $out, $err) = $node->psql('postgres', q{SET lock_timeout = '2s'; ALTER TABLE old ADD COLUMN more int});
like($err, qr/lock timeout/, 'a user waits in vain');
sql(q{SELECT dbperf.pause_maintenance()});
poll_ok(q{SELECT count(*) = 0 FROM dbperf.maintenance_progress WHERE NOT prevents_wraparound}, 'a pause stops the others');
is(sql("SELECT count(*) $old"), '1', 'but not this');
set('dbperf.maintenance_cost_limit_max = 10000');
poll_ok(q{SELECT bool_or(outcome = 'done' AND age_after < age_before AND command LIKE '%FREEZE%')
	FROM dbperf.maintenance_log WHERE object = 'public.old' AND action = 'vacuum_freeze'}, 'it comes to its end');
poll_ok(q{SELECT age(datfrozenxid) < 100000 FROM pg_database WHERE datname = 'postgres'},
	'and the database is far from wraparound again');

nothing_crashed();
done_testing();
