# An old snapshot: maintenance does not vacuum in vain beside it, says who holds
# it, and goes on soon after its end, for dead rows and for the visibility map.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use DbperfTest;
use Test::More;
use Time::HiRes qw(time);

my $node = start_node(
	'main', q{
dbperf.maintenance_naptime = 2s
});

my $visible = q{SELECT relallvisible >= 0.9 * relpages AND relpages > 100 FROM pg_class WHERE relname = 'loaded'};
my $vacuums = q{SELECT count(*) FROM dbperf.maintenance_log WHERE object = 'public.churned' AND action = 'vacuum'};

sql('CREATE EXTENSION dbperf CASCADE');
sql(q{
	CREATE TABLE churned (id int PRIMARY KEY, n int) WITH (fillfactor = 50);
	INSERT INTO churned SELECT g, 0 FROM generate_series(1, 10000) AS g;
	CREATE TABLE loaded (id int PRIMARY KEY, note text);
});
sql('VACUUM ANALYZE');

my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
my $pid = $holder->query_safe('SELECT pg_backend_pid()');

# what the snapshot keeps, and pages that cannot be marked visible to all
sql(q{
	UPDATE churned SET n = 1;
	INSERT INTO loaded SELECT g, repeat('x', 100) FROM generate_series(1, 20000) AS g;
	SELECT pg_stat_force_next_flush();
});
set('dbperf.maintenance = on');
poll_ok(q{SELECT count(*) > 0 FROM dbperf.maintenance_log
		WHERE object = 'public.loaded' AND action = 'vacuum' AND outcome IS NOT NULL},
	'the loaded table is vacuumed beside the snapshot');
poll_ok(qq{SELECT count(*) = 1 FROM dbperf.maintenance_plan()
		WHERE object = 'public.churned' AND action = 'vacuum' AND not_now LIKE '%process $pid %'},
	'the plan names who holds it up');
is(sql($visible), 'f', 'its pages are not visible to all');
foreach my $i (1 .. 4)
{
	sql('UPDATE churned SET n = 2; SELECT pg_stat_force_next_flush()');
	sleep(2);
}
cmp_ok(sql($vacuums), '<=', 1, 'at most one vacuum in vain');
is(sql("SELECT count(*) > 0 FROM dbperf.vacuum_blockers WHERE holds_horizon AND pid = $pid"), 't',
	'vacuum_blockers names it, too');

my $released = time;
$holder->query_safe('COMMIT');
poll_ok(q{SELECT count(*) > 0 FROM dbperf.maintenance_log
	WHERE object = 'public.churned' AND action = 'vacuum' AND outcome = 'done'},
	'it is vacuumed after the release');
cmp_ok(time - $released, '<', 20, 'soon');
poll_ok($visible, 'and the loaded table is visible to all');
$holder->quit;

nothing_crashed();
done_testing();
