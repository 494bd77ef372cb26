# What happens to requests that cannot begin at once: none is lost, none is run
# twice, and no worker is started in vain.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use DbperfTest;
use Test::More;

start_node(
	'main', q{
fsync = off
log_min_messages = debug1
dbperf.maintenance = off
dbperf.maintenance_naptime = 1s
dbperf.maintenance_cost_limit_max = 1
});

sub ask
{
	my ($database, $table, $action) = @_;

	return sql($database, "SELECT dbperf.run_maintenance('$table', '$action')");
}

my $start = 'starting background worker process "dbperf maintenance"';

sql('CREATE EXTENSION dbperf CASCADE');
foreach my $database (qw(one closed dropped named))
{
	sql("CREATE DATABASE $database");
	sql(
		$database, q{
		CREATE EXTENSION dbperf CASCADE;
		CREATE TABLE small AS SELECT g AS id FROM generate_series(1, 100) AS g});
}
sql(
	'one', q{
	CREATE TABLE big AS SELECT g AS id, repeat('x', 400) AS note FROM generate_series(1, 100000) AS g;
	UPDATE big SET id = id + 1});

#
# A pause: nobody is sent, and what waited is done afterwards
#
sql(q{SELECT dbperf.pause_maintenance(now() + '1 hour')});
my $id = ask('one', 'small', 'analyze');
my $closed = ask('closed', 'small', 'analyze');
my $dropped = ask('dropped', 'small', 'analyze');
my $named = ask('named', 'small', 'analyze');
sleep(2);
is(count_in_log($start), 0, 'no worker is started during a pause');
sql('ALTER DATABASE closed ALLOW_CONNECTIONS false');
sql('DROP DATABASE dropped');
sql('ALTER DATABASE named RENAME TO renamed');
sql(q{SELECT dbperf.pause_maintenance(now() + '2 seconds')});
log_is("id = $id", q{outcome = 'done'}, 'the end of a pause is noticed');

#
# Databases that are not there any more, or under another name
#
log_is("id = $named", q{outcome = 'done' AND database = 'renamed'}, 'a renamed database');
log_is("id = $dropped", q{outcome = 'failed' AND error = 'the database is gone'}, 'a dropped database');
log_is("id = $closed", q{outcome = 'failed' AND error LIKE 'no worker could do its work%'}, 'a closed database');
is(count_in_log('FATAL:  database "closed" is not currently accepting'), 3, 'after three tries');

#
# A table that another worker is at
#
my $vacuum = ask('one', 'big', 'vacuum');
poll_ok("SELECT count(*) = 1 FROM dbperf.maintenance_progress
		WHERE log_id = $vacuum AND phase IS NOT NULL",
	'a vacuum runs');
my $behind = ask('one', 'big', 'analyze');
my $started = count_in_log($start);
$id = ask('one', 'small', 'vacuum');
log_is("id = $id", q{outcome = 'done'}, 'a request for a claimed table is not in the way of others');
sleep(2);
cmp_ok(count_in_log($start) - $started, '<=', 1, 'and nobody is sent for it in vain');
is(sql('SELECT requests_waiting FROM dbperf.maintenance_status'), '1', 'it waits');
is(sql('one', "SELECT dbperf.cancel_maintenance($vacuum)"), 't', 'the vacuum is cancelled');
log_is("id = $behind", 'outcome IS NULL', 'what waited for it begins');
sql('one', "SELECT dbperf.cancel_maintenance($behind)");
log_is("id = $behind", q{outcome = 'cancelled'}, 'and is cancelled');

#
# While the row of the log is being opened: cancelled, and terminated
#
foreach my $case ('cancelled', 'terminated')
{
	my $writer = sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'dbperf writer'});
	my $pid;

	kill 'STOP', $writer;
	$id = ask('one', 'small', 'vacuum');
	poll_ok("SELECT count(*) = 1 FROM dbperf.maintenance_progress WHERE log_id = $id",
	'a worker waits for its row');
	$pid = sql("SELECT pid FROM dbperf.maintenance_progress WHERE log_id = $id");
	is( sql('one', $case eq 'cancelled' ? "SELECT dbperf.cancel_maintenance($id)" : "SELECT pg_terminate_backend($pid)"),
		't', "it is $case");
	kill 'CONT', $writer;
	log_is("id = $id", "outcome = '$case' AND finished IS NOT NULL", 'the log says so');
	poll_ok('SELECT requests_waiting = 0 FROM dbperf.maintenance_status', 'it is not asked for any more');
}
is(count_in_log("dbperf maintenance $id: "), 0, 'and is not run');

#
# dbperf.enabled
#
sql('one', 'CREATE TABLE more AS SELECT * FROM big; UPDATE more SET id = id + 1; SELECT pg_stat_force_next_flush()');
set('dbperf.maintenance = on');
poll_ok(q{SELECT count(*) > 0 FROM dbperf.maintenance_progress WHERE object = 'public.more'},
	'the plan runs');
set('dbperf.enabled = off');
poll_ok('SELECT count(*) = 0 FROM dbperf.maintenance_workers()', 'dbperf.enabled = off ends it');
$started = count_in_log($start);
my $rows = sql('SELECT count(*) FROM dbperf.maintenance_log');
sleep(3);
is(count_in_log($start), $started, 'and nothing begins');
is(sql('SELECT count(*) FROM dbperf.maintenance_log'), $rows, 'in no database');
poll_ok(
	q{SELECT (SELECT jsonb_object_agg(action || ' ' || outcome, n) FROM
				(SELECT action, coalesce(outcome, 'running') AS outcome, count(*) AS n
				   FROM dbperf.maintenance_log GROUP BY 1, 2) AS l)
		   = (SELECT jsonb_object_agg((labels ->> 'action') || ' ' || (labels ->> 'outcome'), value::bigint)
				FROM dbperf.metrics WHERE name = 'dbperf_maintenance_runs_total' AND value > 0)},
	'metrics count what the log has');

nothing_crashed();
done_testing();
