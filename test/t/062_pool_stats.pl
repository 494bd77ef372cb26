# What the pool says of its work is what its clients did, through several
# processes, a crash, and a PgBouncer that hangs.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use DbperfTest;
use PoolTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = start_pool(
	'main', q{
dbperf.pool_processes = 2
dbperf.pool_mode = transaction
dbperf.pool_size = 4
dbperf.database = 'postgres'
dbperf.pool_extra_config = 'server_check_delay = 0'
});
my $old = pgbouncer_version() < 12400;

pool_role('app', 'secret');
pool_role('second', 'secret');
sql('CREATE DATABASE two');

# Waits until counters of all that has been run so far are in shared memory.  The
# first answers of all processes may have been on their way; the next are not.
sub settle
{
	sleep 1;
	foreach (1 .. 2)
	{
		my $now = sql('SELECT clock_timestamp()');

		poll("SELECT min(as_of) > '$now' FROM dbperf.pool_stats");
	}
	return;
}

sub stats
{
	my ($database, $column, $role) = @_;

	return sql("SELECT coalesce(sum($column), 0) FROM dbperf.pool_stats WHERE database_name = '$database' AND "
		  . (defined $role ? "user_name = '$role'" : 'user_name IS NULL'));
}

sub efficiency
{
	my ($column, $database) = @_;

	return sql("SELECT $column FROM dbperf.pool_efficiency WHERE period = '5 minutes' AND database_name "
		  . (defined $database ? "= '$database'" : 'IS NULL'));
}

my $dir = PostgreSQL::Test::Utils::tempdir();
append_to_file("$dir/read.sql", "SELECT 1;\n");
append_to_file("$dir/xact.sql", "BEGIN;\nSELECT 1;\nSELECT 2;\nEND;\n");
append_to_file("$dir/back.sql", "BEGIN;\nSELECT 1;\nROLLBACK;\n");
append_to_file("$dir/slow.sql", "SELECT pg_sleep(0.05);\n");

# Runs pgbench through the pool; returns how many transactions it counted.
sub bench
{
	my ($role, $script, $options, %more) = @_;

	local $ENV{PGPASSWORD} = 'secret';
	my ($out, $err) = run_command(
		[
			'pgbench', '-n', '-f', "$dir/$script.sql", split(' ', $options),
			pool_conninfo($role, %more)
		]);

	$out =~ m{actually processed: (\d+)} or die "pgbench: $out $err";
	return $1;
}

# ---- counters are exact ----

settle();
my %before = map { $_ => stats('postgres', $_) } qw(transactions queries rollbacks);
my $app_before = stats('postgres', 'transactions', 'app');
my $read = bench('app', 'read', '-c 10 -t 200');
my $xact = bench('app', 'xact', '-c 5 -t 100');
my $back = bench('app', 'back', '-c 5 -t 20');
my $other = bench('second', 'read', '-c 2 -t 100');
my $two = bench('second', 'read', '-c 2 -t 50', database => 'two');
settle();

is(stats('postgres', 'transactions') - $before{transactions},
	$read + $xact + $back + $other, 'transactions of a database are those of pgbench');
is(stats('postgres', 'queries') - $before{queries},
	$read + 4 * $xact + 3 * $back + $other, 'and queries');
is(stats('postgres', 'rollbacks') - $before{rollbacks}, $back, 'and rollbacks');
is(stats('postgres', 'transactions', 'app') - $app_before,
	$read + $xact + $back, 'transactions of a role');
is(stats('two', 'transactions'), $two, 'another database');
cmp_ok(stats('two', 'server_connects'), '>=', 1, 'connections to it');
is(stats('two', 'server_connects'), stats('two', 'server_connects', 'second'), 'are those of its role');
cmp_ok(stats('postgres', 'bytes_sent'), '>', 10000, 'bytes');
cmp_ok(stats('postgres', 'xact_ms'), '>', 0, 'time');
is(sql(q{SELECT count(*) FROM dbperf.pool_stats WHERE database_name = 'pgbouncer'}),
	0, 'the consoles do not count');

# names that somebody tries without a password, more than are kept
pool_try('app', '', database => "nothing$_", password => 'wrong') foreach 1 .. 70;
settle();
is(sql(q{SELECT count(*) FROM dbperf.pool_stats WHERE database_name LIKE 'nothing%'}),
	0, 'a database that nobody got into is none');
cmp_ok(stats('two', 'transactions'), '>=', $two, 'and pushes out no other');

# ---- reuse, waits ----

cmp_ok(efficiency('reuse'), '>', 0.98, 'server connections are reused');
is(efficiency('reuse = 1 - server_connects / transactions::float8', 'two'),
	't', 'as it is defined');
is( sql(q{SELECT bool_and(coalesce(reuse BETWEEN 0 AND 1 AND wait_share BETWEEN 0 AND 1
	AND utilisation BETWEEN 0 AND 1 AND saturation BETWEEN 0 AND 1
	AND wait_p50_ms <= wait_p95_ms AND wait_p95_ms <= wait_p99_ms, true)) FROM dbperf.pool_efficiency}),
	't', 'ratios are ratios');

my $waits = stats('postgres', 'wait_ms');
bench('app', 'slow', '-c 20 -T 4');
settle();
cmp_ok(stats('postgres', 'wait_ms') - $waits, '>', 10000, 'waiting clients wait');
cmp_ok(stats('postgres', 'longest_wait_ms'), '>', 20, 'the longest wait was seen');
cmp_ok(efficiency('saturation', 'postgres'), '>', 0.01, 'the pool was full at times');
cmp_ok(efficiency('wait_share', 'postgres'), '>', 0.5, 'most of the time was waiting');
cmp_ok(efficiency('wait_p99_ms', 'postgres'), '>', 50, 'one of a hundred waited long');
cmp_ok(efficiency('wait_p99_ms', 'postgres'), '<', 2000, 'but not that long');
is(stats('postgres', 'clients_waiting'), 0, 'nobody waits any more');

# ---- clients and servers ----

my $client = pool_client('app');
$client->query('BEGIN');
my $pid = $client->query('SELECT pg_backend_pid()');
is( sql("SELECT user_name, database_name, client_addr, server_pid = $pid,
	application_name <> '' FROM dbperf.pool_clients WHERE server_pid IS NOT NULL"),
	"app|postgres|127.0.0.1|t|t", 'a client with its server process');
is( sql("SELECT user_name, database_name, state, client_addr FROM dbperf.pool_servers
	WHERE pid = $pid"),
	'app|postgres|active|127.0.0.1', 'the server process with its client');
is( sql("SELECT id IS NULL FROM dbperf.pool_clients WHERE server_pid = $pid"),
	$old ? 't' : 'f', 'ids are there since 1.24');
is( sql("SELECT bool_and(abs(extract(epoch FROM now() - connected_at)) < 60)
	FROM dbperf.pool_clients"),
	't', 'times are right');
poll_ok("SELECT count(*) = (SELECT count(*) FROM pg_stat_activity
	WHERE usename IN ('app', 'second')) FROM dbperf.pool_servers",
	'all server connections are there');

# ---- counters outlive PgBouncer ----

my $sum = stats('postgres', 'transactions');
my ($victim) = pgbouncers();
kill 'KILL', $victim;
ok( eventually(
		sub { sql("SELECT count(*) FROM dbperf.pool_status WHERE pid IS NOT NULL AND pid <> $victim") == 2 }
	),
	'a killed process is replaced');
settle();
cmp_ok(stats('postgres', 'transactions'), '>=', $sum, 'what it had counted stays');
is( sql(q{SELECT current FROM dbperf.pool_advice()
	WHERE database_name = 'postgres' AND user_name = 'app'}),
	'4', 'the pool is as large as before, although nobody has come to the new one yet');
$sum = stats('postgres', 'transactions');
$read = bench('second', 'read', '-c 4 -t 25');
settle();
is(stats('postgres', 'transactions') - $sum, $read, 'and the new one adds to it');
$client->quit;

# ---- one that hangs ----

my @pids = pgbouncers();
kill 'STOP', $pids[0];
my ($start, $took);
foreach (1 .. 4)
{
	$start = time;
	is(sql('SELECT count(*) > 0 FROM dbperf.pool_stats'), 't', 'statistics need nobody to answer');
	$took = time - $start;
	# something else may have held it up
	last if $took < 1;
}
cmp_ok($took, '<', 1, 'at once');
$start = time;
my ($status, $out, $err) = $node->psql('postgres', 'SELECT count(*) FROM dbperf.pool_clients');
like($err, qr/WARNING:  process \d of the connection pool did not answer/, 'a view that asks says who does not');
cmp_ok(time - $start, '<', 15, 'after a time');
$node->psql(
	'postgres', 'SET statement_timeout = 300; SELECT * FROM dbperf.pool_clients',
	stderr => \$err);
like($err, qr/canceling statement due to statement timeout/, 'and can be cancelled');
sleep 2;
cmp_ok(
	sql('SELECT extract(epoch FROM now() - as_of) FROM dbperf.pool_stats LIMIT 1'),
	'>', 2, 'one sees that the numbers are old');
kill 'CONT', $pids[0];
settle();
poll_ok('SELECT extract(epoch FROM now() - max(as_of)) < 2 FROM dbperf.pool_stats',
	'and that they are new again');

# ---- what follows from it ----

is( sql(q{SELECT setting, current, recommended >= 4, reason ~ '^clients waited in \d+ % of \d+ samples'
	FROM dbperf.pool_advice() WHERE database_name = 'postgres' AND user_name = 'app'}),
	'dbperf.pool_size|4|t|t', 'a pool in which clients waited is advised upon');

sub advised
{
	return sql(q{SELECT setting, current FROM dbperf.pool_advice()
		WHERE database_name = 'postgres' AND user_name = 'app'});
}

sub reason
{
	return sql(q{SELECT reason FROM dbperf.pool_advice()
		WHERE database_name = 'postgres' AND user_name = 'app'});
}
sql(q{INSERT INTO dbperf.pool_databases (database_name, pool_size) VALUES ('postgres', 3)});
ok(eventually(sub { advised() eq 'pool_databases.pool_size|4' }), 'the size of a database is named');
SKIP:
{
	skip 'roles have sizes since 1.23', 1 if pgbouncer_version() < 12300;
	sql(q{INSERT INTO dbperf.pool_roles (role_name, pool_size) VALUES ('app', 2)});
	ok(eventually(sub { advised() eq 'pool_roles.pool_size|2' }), 'and that of a role')
	  or diag(advised());
	like(reason(), qr/\d+ connections \(2 are allowed now\) were busy/, 'it was larger when they were busy');
}
sql('DELETE FROM dbperf.pool_databases; DELETE FROM dbperf.pool_roles');
set('dbperf.pool_max_server_connections = 2');
ok(eventually(sub { reason() =~ /dbperf.pool_max_server_connections allows no more than 2$/ }),
	'nor is a pool to blame for the limit of all')
  or diag(reason());
set('dbperf.pool_max_server_connections = -1');

# ---- metrics ----

is(sql(q{SELECT value FROM dbperf.metrics WHERE name = 'dbperf_pool_up'}), '1', 'the pool is up');
ok( eventually(
		sub {
			sql(q{SELECT sum(s.transactions) > 0 AND sum(s.transactions) = max(m.value)
					FROM dbperf.pool_stats AS s, dbperf.metrics AS m
				   WHERE s.user_name IS NULL AND m.name = 'dbperf_pool_transactions_total'}) eq 't';
		}),
	'metrics have the transactions of all databases');
is( sql(q{SELECT count(*) FROM dbperf.metrics WHERE name IN ('dbperf_pool_clients', 'dbperf_pool_servers')}),
	'5', 'and what clients and connections do');

# ---- nothing of it is for everybody ----

sql('CREATE ROLE plain LOGIN');
foreach my $view (qw(pool_stats pool_efficiency pool_clients pool_servers))
{
	($status, $out, $err) =
	  $node->psql('postgres', "SET ROLE plain; SELECT * FROM dbperf.$view");
	like($err, qr/permission denied for view $view/, "$view is not for everybody");
	sql("SET ROLE pg_monitor; SELECT count(*) FROM dbperf.$view");
}

$node->stop;
nothing_left($node, 'the pool ends with the server');

done_testing();
