# Maintenance workers: the modes, requests, several databases, and all that ends
# a worker: DROP DATABASE and its like, shutdown, a crash, a standby.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use DbperfTest;
use PostgreSQL::Test::Cluster;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = start_node(
	'main', q{
restart_after_crash = on
dbperf.maintenance_naptime = 1s
}, allows_streaming => 1);

# Runs a statement and returns the seconds that it took.
sub timed
{
	my ($code) = @_;
	my $start = time;

	$code->();
	return time - $start;
}

# A vacuum that takes long: it waits after each page, and has many.
sub slow_vacuum
{
	my ($database, $table) = @_;
	my $id;

	set(q{dbperf.maintenance_cost_limit_max = 1});
	sql($database, "UPDATE $table SET note = repeat('z', 100); SELECT pg_stat_force_next_flush()");
	$id = sql($database, "SELECT dbperf.run_maintenance('$table', 'vacuum')");
	poll_ok("SELECT count(*) = 1 FROM dbperf.maintenance_progress
		WHERE log_id = $id AND cost_limit IS NOT NULL AND phase IS NOT NULL",
	"the vacuum of $table runs");
	return $id;
}

sql('CREATE EXTENSION dbperf CASCADE');
foreach my $database (qw(one two bare))
{
	sql("CREATE DATABASE $database");
	sql($database, 'CREATE EXTENSION dbperf CASCADE') if $database ne 'bare';
	plant('orders', rows => 60000, database => $database);
}

#
# advise, the default: it plans and does nothing
#
is(sql('one', 'SHOW dbperf.maintenance'), 'advise', 'the default is to advise');
sleep(3);
is(sql('SELECT count(*) FROM dbperf.maintenance_log'), '0', 'nothing runs');
is( sql('one', q{SELECT string_agg(action, ',' ORDER BY action) FROM dbperf.maintenance_plan()
		WHERE object = 'public.orders' AND not_now IS NULL}),
	'analyze,vacuum', 'but the plan says what would');

#
# on: everywhere, the database without the extension included
#
set('dbperf.maintenance = on');
foreach my $database (qw(one two bare))
{
	log_is("database = '$database' AND object = 'public.orders' AND outcome = 'done'",
		q{count(DISTINCT action) = 2 AND bool_and(finished >= started) AND bool_and(error IS NULL)
		  AND max(dead_rows_before) > 45000 AND min(dead_rows_after) = 0},
		"vacuum and analyze in database $database");
}
is(sql('one', q{SELECT relallvisible > 0 AND reltuples = 60000 FROM pg_class WHERE relname = 'orders'}),
	't', 'it was vacuumed');
is(sql('one', q{SELECT count(*) > 0 FROM pg_stats WHERE tablename = 'orders'}), 't', 'and analyzed');
is(sql('one', q{SELECT count(*) FROM dbperf.maintenance_plan() WHERE object = 'public.orders'}),
	'0', 'nothing is due any more');
poll_ok('SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = $$dbperf maintenance$$',
	'the workers have left');
cmp_ok(count_in_log('dbperf maintenance \d+: vacuum of public\.orders in database "one" done'), '>', 0,
	'the server log has a line');
is( sql(q{SELECT mode, launcher_running, paused_until IS NULL, max_workers, requests_waiting,
		no_worker_since IS NULL, log_state FROM dbperf.maintenance_status}),
	'on|t|t|2|0|t|running', 'the status');
is( sql(q{SELECT count(*) FROM dbperf.maintenance_databases
		WHERE database_name IN ('one', 'two', 'bare') AND enabled AND last_visit IS NOT NULL AND failed_visits = 0}),
	'3', 'the databases');

#
# Requests, while maintenance is off
#
set('dbperf.maintenance = off', q{dbperf.log_maintenance = off});
sql('one', q{CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; GRANT ALL ON SCHEMA public TO alice;
	SET ROLE alice; CREATE TABLE hers AS SELECT g AS id FROM generate_series(1, 1000) AS g;
	CREATE TABLE parted (id int) PARTITION BY RANGE (id);
	CREATE TABLE part PARTITION OF parted FOR VALUES FROM (0) TO (10);
	INSERT INTO parted VALUES (1); CREATE VIEW hers_view AS SELECT * FROM hers});

sub as
{
	my ($role, $query) = @_;
	my ($rc, $out, $err) = $node->psql('one', $query, extra_params => [ '-U', $role ]);

	return $rc == 0 ? $out : $err;
}

my $id = as('alice', q{SELECT dbperf.run_maintenance('hers', 'analyze')});
like($id, qr/^\d+$/, 'an owner may ask');
log_is("id = $id", q{outcome = 'done' AND action = 'analyze' AND object = 'public.hers'}, 'and it is done');
$id = as('alice', q{SELECT dbperf.run_maintenance('hers')});
log_is("id = $id", q{outcome = 'done'}, 'without an action');
$id = as('alice', q{SELECT dbperf.run_maintenance('parted')});
log_is("id = $id", q{outcome = 'done' AND action = 'analyze'}, 'a partitioned table is analyzed');
foreach my $action (qw(vacuum vacuum_freeze))
{
	$id = as('alice', qq{SELECT dbperf.run_maintenance('hers', '$action')});
	log_is("id = $id", qq{outcome = 'done' AND action = '$action'}, $action);
}
like(as('bob', q{SELECT dbperf.run_maintenance('hers')}), qr/must be owner of table hers|permission denied/,
	'another role may not');
like(as('alice', q{SELECT dbperf.run_maintenance('hers_view')}), qr/cannot maintain "hers_view"/, 'a view');
like(as('alice', q{SELECT dbperf.run_maintenance('hers', 'polish')}),
	qr/unknown maintenance action "polish"/, 'an unknown action');
like(as('alice', q{SELECT dbperf.run_maintenance(NULL)}), qr/the table is null/, 'no table');
like(as('alice', q{SELECT dbperf.run_maintenance('parted', 'vacuum')}),
	qr/cannot do "vacuum" on partitioned table "parted"/, 'vacuum of a partitioned table');
like(as('alice', q{CREATE TEMP TABLE brief (id int); SELECT dbperf.run_maintenance('brief')}),
	qr/cannot maintain temporary table/, 'a temporary table');
like(as('alice', q{SELECT dbperf.pause_maintenance()}), qr/permission denied/, 'a plain role may not pause');
like(as('alice', q{SELECT * FROM dbperf.maintenance_log}), qr/permission denied/, 'nor see the log');
is(sql('one', 'SELECT dbperf.cancel_maintenance(0)'), 'f', 'nothing to be cancelled');
is(sql(q{SELECT count(*) FROM dbperf.maintenance_log WHERE outcome IS NULL}), '0', 'nothing is left open');
is(count_in_log('dbperf maintenance \d+: \w+ of public\.hers '), 0, 'log_maintenance = off');
set('dbperf.log_maintenance = on');

#
# Cancelling: by a user, by its owner, by a pause, before it has begun
#
$id = slow_vacuum('one', 'orders');
like(as('bob', "SELECT dbperf.cancel_maintenance($id)"), qr/permission denied to cancel/, 'not by anybody');
is(sql('one', "SELECT dbperf.cancel_maintenance($id)"), 't', 'cancel');
log_is("id = $id", q{outcome = 'cancelled' AND error LIKE 'cancelled by "postgres"%'}, 'it is cancelled');
is(sql('one', "SELECT dbperf.cancel_maintenance($id)"), 'f', 'only once');

$id = slow_vacuum('one', 'orders');
sql(q{SELECT dbperf.pause_maintenance(now() + '1 hour')});
log_is("id = $id", q{outcome = 'cancelled' AND error = 'maintenance is paused'}, 'a pause cancels');
$id = as('alice', q{SELECT dbperf.run_maintenance('hers')});
sleep(2);
is(sql("SELECT count(*) FROM dbperf.maintenance_log WHERE id = $id"), '0', 'a request waits');
is(sql('SELECT requests_waiting, paused_until > now() FROM dbperf.maintenance_status'), '1|t', 'and is shown');
is(as('alice', "SELECT dbperf.cancel_maintenance($id)"), 't', 'who asked may cancel');
log_is("id = $id", q{outcome = 'cancelled' AND error LIKE '%before it began'}, 'before it began');
$id = as('alice', q{SELECT dbperf.run_maintenance('hers')});
sql('SELECT dbperf.resume_maintenance()');
log_is("id = $id", q{outcome = 'done'}, 'after the pause it runs');
my ($rc, $out, $err) = $node->psql('postgres', q{SELECT dbperf.pause_maintenance('2000-01-01')});
like($err, qr/only be paused until a time in the future/, 'a pause into the past');

set('dbperf.maintenance = on');
sql('one', q{UPDATE orders SET note = repeat('z', 100); SELECT pg_stat_force_next_flush()});
set(q{dbperf.maintenance_cost_limit_max = 1});
poll_ok(q{SELECT count(*) = 1 FROM dbperf.maintenance_progress
	WHERE object = 'public.orders' AND action = 'vacuum' AND NOT requested},
	'the plan runs it');
set('dbperf.maintenance = advise');
log_is(q{database = 'one' AND object = 'public.orders'},
	q{count(*) FILTER (WHERE outcome = 'cancelled' AND error = 'maintenance was turned off') > 0},
	'turning it off cancels');

#
# Databases that are dropped, copied, renamed or moved under a worker.  The server
# waits 5 s for others to leave and then fails.
#
sql("CREATE DATABASE brief TEMPLATE bare");
sql('brief', 'CREATE EXTENSION dbperf CASCADE');
plant('big', rows => 60000, database => 'brief');
$id = slow_vacuum('brief', 'big');
cmp_ok(timed(sub { sql('CREATE DATABASE copy TEMPLATE brief') }), '<', 20, 'CREATE DATABASE ... TEMPLATE');
log_is("id = $id", q{outcome = 'terminated' AND finished IS NOT NULL}, 'the log says terminated');
my $tablespace = $node->basedir . '/tablespace';
mkdir $tablespace;
sql("CREATE TABLESPACE elsewhere LOCATION '$tablespace'");
$id = slow_vacuum('brief', 'big');
cmp_ok(timed(sub { sql('ALTER DATABASE brief SET TABLESPACE elsewhere') }), '<', 20, 'SET TABLESPACE');
log_is("id = $id", q{outcome = 'terminated'}, 'and again');
$id = slow_vacuum('brief', 'big');
cmp_ok(timed(sub { sql('DROP DATABASE brief') }), '<', 10, 'DROP DATABASE does not wait');
log_is("id = $id", q{outcome = 'terminated'}, 'and again');
sql('DROP TABLESPACE elsewhere');

#
# A killed worker: the server restarts, the log is closed, nothing is stuck
#
$id = slow_vacuum('copy', 'big');
my $pid = sql("SELECT pid FROM dbperf.maintenance_progress WHERE log_id = $id");
sql("SELECT pg_switch_wal()");
kill 'KILL', $pid;
poll_ok("SELECT outcome = 'terminated' AND finished IS NOT NULL
	FROM dbperf.maintenance_log WHERE id = $id",
	'a killed worker: the log says terminated');
set(q{dbperf.maintenance_cost_limit_max = 2000});
poll_ok(q{SELECT launcher_running AND log_state = 'running' FROM dbperf.maintenance_status},
	'everything is there again');
my $next = sql('copy', q{SELECT dbperf.run_maintenance('big', 'vacuum')});
cmp_ok($next, '>', $id, 'ids go on');
log_is("id = $next", q{outcome = 'done'}, 'and work, too');

#
# Shutdown does not wait
#
$id = slow_vacuum('copy', 'orders');
cmp_ok(timed(sub { $node->stop('fast') }), '<', 10, 'a fast shutdown');
$node->start;
log_is("id = $id", q{outcome = 'terminated'}, 'the row is closed at the next start');

#
# No background worker is free
#
set('dbperf.maintenance = on', 'dbperf.maintenance_cost_limit_max = 2000', 'max_worker_processes = 4');
$node->restart;
poll_ok('SELECT no_worker_since IS NOT NULL FROM dbperf.maintenance_status',
	'no free worker is reported');
cmp_ok(count_in_log('no background worker is free for dbperf maintenance'), '>', 0, 'in the log, too');
set('max_worker_processes = 16');
$node->restart;
poll_ok('SELECT no_worker_since IS NULL FROM dbperf.maintenance_status',
	'with more of them it works');

#
# A standby does nothing
#
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
foreach my $call (q{run_maintenance('orders')}, 'pause_maintenance()', 'resume_maintenance()')
{
	($rc, $out, $err) = $standby->psql('one', "SELECT dbperf.$call");
	like($err, qr/cannot execute dbperf\.\w+\(\) during recovery/, "$call on a standby");
}
is($standby->safe_psql('one', 'SELECT mode, launcher_running FROM dbperf.maintenance_status'), 'on|f', 'its status');
$standby->safe_psql('one', 'SELECT count(*) FROM dbperf.maintenance_plan(0)');
pass('the plan can be read there');
$node->stop;
$standby->promote;
$standby->safe_psql('one', q{UPDATE orders SET note = 'promoted'; SELECT pg_stat_force_next_flush()});
ok( $standby->poll_query_until('postgres',
		q{SELECT count(*) > 0 FROM dbperf.maintenance_log
		  WHERE database = 'one' AND object = 'public.orders' AND action = 'vacuum' AND outcome = 'done'
		  AND started > (SELECT pg_postmaster_start_time())}),
	'a promoted standby begins');
$standby->stop;

nothing_crashed('background worker .* was terminated by signal 9');
done_testing();
