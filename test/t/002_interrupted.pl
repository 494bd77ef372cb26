# Statements that time out, or whose session ends in the middle of them, are
# recorded with what ended them, the time they took, and their query id.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '-E', 'UTF8', '--locale=C' ]);
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'dbperf'
autovacuum = off
log_statement = none
});
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION dbperf CASCADE;
	CREATE TABLE accounts (id int PRIMARY KEY, balance int);
	INSERT INTO accounts VALUES (1, 100), (2, 100);
	SELECT dbperf.query_latency_reset();
	SELECT dbperf.slow_queries_reset();
	SELECT pg_sleep(0.15);
	UPDATE accounts SET balance = 5 WHERE id = 2;
});

# The query ids of statements that ended well.
my $sleep_id = $node->safe_psql('postgres',
	q{SELECT queryid FROM dbperf.slow_queries WHERE query = 'SELECT pg_sleep(0.15)'});
my $update_id = $node->safe_psql('postgres',
	q{SELECT queryid FROM dbperf.query_samples WHERE query LIKE 'UPDATE accounts%'});
like($sleep_id, qr/^-?\d+$/, 'a sleep that ended well has a query id');
like($update_id, qr/^-?\d+$/, 'an update that ended well has a query id');

# Columns of the only record of a statement, once it is there.
sub record
{
	my ($query, $columns) = @_;

	$node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM dbperf.slow_queries WHERE query = \$q\$$query\$q\$")
	  or die "no record of $query";
	return $node->safe_psql('postgres',
		"SELECT $columns FROM dbperf.slow_queries WHERE query = \$q\$$query\$q\$");
}

# The time of a statement in ms, and what it printed as error.
sub fails
{
	my ($name, $sql, $pattern) = @_;
	my $started = time();
	my ($rc, $out, $err) = $node->psql('postgres', $sql);

	isnt($rc, 0, "$name: fails");
	like($err, $pattern, "$name: its own error");
	return (time() - $started) * 1000;
}

my $took;

#
# Timeouts
#
$took = fails(
	'statement_timeout',
	"SET statement_timeout = '300ms';\nSELECT pg_sleep(31.5)",
	qr/canceling statement due to statement timeout/);
is( record(
		'SELECT pg_sleep(31.5)',
		"sqlstate, queryid = $sleep_id, duration_ms BETWEEN 250 AND $took, level, command, rows"),
	'57014|t|t|0|SELECT|0',
	'statement_timeout: recorded');

$took = fails(
	'statement_timeout in a function',
	"SET statement_timeout = '300ms';\nSET dbperf.track = 'all';\n"
	  . "DO 'BEGIN PERFORM pg_sleep(32.5); END'",
	qr/canceling statement due to statement timeout/);
is( record(
		q{DO 'BEGIN PERFORM pg_sleep(32.5); END'},
		"sqlstate, duration_ms BETWEEN 250 AND $took, level, command"),
	'57014|t|0|DO',
	'statement_timeout in a function: recorded');
is( record(
		'SELECT pg_sleep(32.5)', "sqlstate, duration_ms BETWEEN 250 AND $took, level"),
	'57014|t|1',
	'statement_timeout in a function: the nested statement is recorded');

my $blocker = $node->background_psql('postgres');
$blocker->query_safe('BEGIN');
$blocker->query_safe('UPDATE accounts SET balance = 0 WHERE id = 1');
my $blocker_pid = $blocker->query_safe('SELECT pg_backend_pid()');

$took = fails(
	'lock_timeout',
	"SET lock_timeout = '2s';\nUPDATE accounts SET balance = 7 WHERE id = 1",
	qr/canceling statement due to lock timeout/);
is( record(
		'UPDATE accounts SET balance = 7 WHERE id = 1',
		"sqlstate, queryid = $update_id, duration_ms BETWEEN 1950 AND $took,
		 waits ? 'Lock:transactionid', blocked_by = ARRAY[$blocker_pid]"),
	'55P03|t|t|t|t',
	'lock_timeout: recorded');

$blocker->query_safe('LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE');
$took = fails(
	'lock_timeout in parse analysis',
	"SET lock_timeout = '300ms';\nSELECT balance + 8 FROM accounts",
	qr/canceling statement due to lock timeout/);
is( record(
		'SELECT balance + 8 FROM accounts',
		"sqlstate, pre_execution_ms BETWEEN 250 AND $took, duration_ms"),
	'55P03|t|0',
	'lock_timeout in parse analysis: recorded');
$blocker->query_safe('ROLLBACK');
$blocker->quit;

#
# Sessions that end
#
sub start_psql
{
	my ($sql, $out) = @_;

	return IPC::Run::start(
		[
			$node->installed_command('psql'), '-XAtq', '-h', $node->host, '-p', $node->port,
			'-c', $sql, 'postgres'
		],
		'>', $out, '2>', $out);
}

sub wait_running
{
	my ($query) = @_;

	$node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM dbperf.running_queries
		 WHERE query = '$query' AND elapsed_ms > 250")
	  or die "$query does not run";
	return $node->safe_psql('postgres',
		"SELECT pid FROM dbperf.running_queries WHERE query = '$query'");
}

my $out = '';
my $started = time();
my $session = start_psql('SELECT pg_sleep(33.5)', \$out);
my $pid = wait_running('SELECT pg_sleep(33.5)');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
$session->finish;
$took = (time() - $started) * 1000;
like($out, qr/terminating connection due to administrator command/, 'terminated');
is( record(
		'SELECT pg_sleep(33.5)',
		"sqlstate, queryid = $sleep_id, duration_ms BETWEEN 200 AND $took, pid = $pid, command"),
	'57P01|t|t|t|SELECT',
	'pg_terminate_backend: recorded');

$node->safe_psql('postgres', q{ALTER SYSTEM SET client_connection_check_interval = '50ms'});
$node->reload;
$out = '';
$started = time();
$session = start_psql('SELECT pg_sleep(34.5)', \$out);
$pid = wait_running('SELECT pg_sleep(34.5)');
$session->kill_kill;
my $result = record('SELECT pg_sleep(34.5)',
	"sqlstate, queryid = $sleep_id, pid = $pid, duration_ms >= 200, duration_ms");
$took = (time() - $started) * 1000;
like($result, qr/^08006\|t\|t\|t\|/, 'a client that went away: recorded');
cmp_ok((split /\|/, $result)[4], '<', $took, 'a client that went away: real time');

# a cursor that is open when the idle session is ended: its own time only
($out, my $err) = ('', '');
my $in = q{
SET idle_in_transaction_session_timeout = '4s';
BEGIN;
DECLARE c CURSOR FOR SELECT pg_sleep(0.15), g FROM generate_series(1, 10) AS g;
FETCH 1 FROM c;
};
$session = IPC::Run::start(
	[ $node->installed_command('psql'), '-XAtq', '-h', $node->host, '-p', $node->port, 'postgres' ],
	'<', \$in, '>', \$out, '2>', \$err);
$session->pump until $out =~ /1/ || $session->reap_nb;
ok( $node->poll_query_until(
		'postgres', q{
		SELECT count(*) = 1 FROM dbperf.slow_queries WHERE query LIKE '%generate\_series(1, 10)%'
			AND command = 'SELECT'}),
	'idle in transaction: the open cursor is recorded');
is( $node->safe_psql(
		'postgres', q{
		SELECT bool_and(duration_ms BETWEEN 140 AND 3500), count(DISTINCT pid)
		FROM dbperf.slow_queries
		WHERE query LIKE '%generate\_series(1, 10)%' OR query LIKE 'FETCH%'}),
	't|1',
	'idle in transaction: idle time does not count');
$in = "SELECT 1;\n";
$session->finish;

if ($node->pg_version >= 17)
{
	$took = fails(
		'transaction_timeout',
		"SET transaction_timeout = '300ms';\nSELECT pg_sleep(35.5)",
		qr/terminating connection due to transaction timeout/);
	is( record(
			'SELECT pg_sleep(35.5)',
			"sqlstate, queryid = $sleep_id, duration_ms BETWEEN 250 AND $took"),
		'25P04|t|t',
		'transaction_timeout: recorded');
}

# the histogram of the query knows all of them
is( $node->safe_psql(
		'postgres', "SELECT calls, errors FROM dbperf.query_latency
			WHERE queryid = $sleep_id AND toplevel AND period = 'lifetime'"),
	$node->pg_version >= 17 ? '5|4' : '4|3',
	'query_latency has counted all of them');

# a failed statement without any query id
$node->psql('postgres', "SET dbperf.slow_query_min_duration = 0;\nSELEC 1");
is(record('SELEC 1', 'sqlstate, queryid IS NULL'), '42601|t', 'a syntax error: recorded');

$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|was terminated by signal/, 'nothing crashed');
done_testing();
