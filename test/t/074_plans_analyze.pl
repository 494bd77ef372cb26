# analyze_query() with other sessions around: cancels and time limits, locks, a
# standby, parallel workers, out of memory, and thousands of calls.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init(allows_streaming => 1, extra => [ '-E', 'UTF8', '--locale=C' ]);
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'dbperf,pg_stat_statements'
dbperf.slow_query_min_duration = 0
dbperf.slow_query_max_rate = 0
dbperf.track = all
dbperf.advisor_interval = 0
dbperf.maintenance = off
pg_stat_statements.track = all
autovacuum = off
fsync = off
jit = off
log_statement = none
max_parallel_workers_per_gather = 2
});
$node->start;
$node->safe_psql(
	'postgres', q{
CREATE EXTENSION dbperf CASCADE;
CREATE TABLE accounts AS SELECT g AS id, 100 AS balance FROM generate_series(1, 20000) g;
ALTER TABLE accounts ADD PRIMARY KEY (id);
ANALYZE accounts;
});

my ($in, $out, $err) = ('', '', '');
my $session = IPC::Run::start(
	[ 'psql', '-X', '-A', '-t', '-q', '-d', $node->connstr('postgres') ],
	'<', \$in, '>', \$out, '2>', \$err,
	IPC::Run::timeout(10 * $PostgreSQL::Test::Utils::timeout_default));

# Sends something to the session, and does not wait for what it answers.
sub send_there
{
	my ($sql) = @_;

	$out = $err = '';
	$in .= "$sql\n;\n\\echo -- done\n\\warn -- done\n";
	$session->pump_nb;
	return;
}

sub answer
{
	$session->pump until $out =~ /^-- done\n/m && $err =~ /^-- done\n/m;
	my ($result, $error) = ($out, $err);
	$result =~ s/^-- done\n//m;
	$error =~ s/^-- done\n//m;
	chomp $result;
	return ($result, $error);
}

sub run_there
{
	my ($sql) = @_;

	send_there($sql);
	my ($result, $error) = answer();
	return join("\n", grep { $_ ne '' } $result, $error);
}

my $pid = run_there('SELECT pg_backend_pid()');

sub wait_for_event
{
	my ($event) = @_;

	$node->poll_query_until('postgres',
		"SELECT wait_event = '$event' FROM pg_stat_activity WHERE pid = $pid")
	  or die "the session never waited for $event";
	return;
}

#
# A cancel is the caller's, whatever is going on, and leaves the session sound
#
my %going_on = (
	'an execution' => q{SELECT * FROM dbperf.analyze_query('SELECT pg_sleep(60)', true)},
	'a write' => q{SELECT * FROM dbperf.analyze_query('UPDATE accounts SET balance = length(pg_sleep(60)::text)', true)},
	'a planning' => q{SELECT * FROM dbperf.analyze_query('SELECT sleeps()')});
$node->safe_psql('postgres',
	q{CREATE FUNCTION sleeps() RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM pg_sleep(60); RETURN 1; END'});
foreach my $what (sort keys %going_on)
{
	foreach my $limit ('30s', '0')
	{
		run_there("SET dbperf.analyze_query_timeout = '$limit'");
		send_there($going_on{$what});
		wait_for_event('PgSleep');
		$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
		my ($result, $error) = answer();
		like($error, qr/^ERROR:  canceling statement due to user request/,
			"$what is cancelled, limit $limit");
		is($result, '', '... and says nothing else');
		is(run_there('SELECT sum(balance) FROM accounts'), '2000000', '... and wrote nothing');
	}
}

# also when the limit was over before, and the statement did not listen
$node->safe_psql(
	'postgres', q{CREATE FUNCTION deaf() RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	until timestamptz := clock_timestamp() + '6 s';
BEGIN
	LOOP
		BEGIN
			PERFORM pg_sleep(60);
		EXCEPTION WHEN query_canceled THEN
			IF clock_timestamp() > until THEN
				RAISE;
			END IF;
		END;
	END LOOP;
END $$});
run_there("SET dbperf.analyze_query_timeout = '50ms'");
is(run_there(q{SELECT code FROM dbperf.analyze_query('SELECT deaf()', true) WHERE code = 'timed_out'}),
	'timed_out', 'a statement that catches cancels is stopped when it lets one pass');
send_there(q{SELECT code FROM dbperf.analyze_query('SELECT deaf()', true)});
wait_for_event('PgSleep');
sleep 1;
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
my (undef, $cancelled) = answer();
like($cancelled, qr/^ERROR:  canceling statement due to user request/,
	'... and cancelled by the user, if that was asked for meanwhile');
run_there('RESET dbperf.analyze_query_timeout');

# a transaction that catches the cancel goes on
is( run_there(
		q{SET statement_timeout = '20s';
DO $$
BEGIN
	UPDATE accounts SET balance = 7 WHERE id = 1;
	BEGIN
		SET LOCAL dbperf.analyze_query_timeout = '50ms';
		PERFORM * FROM dbperf.analyze_query('SELECT sleeps()');
	EXCEPTION WHEN query_canceled THEN
		RAISE NOTICE 'caught: %', SQLERRM;
	END;
END $$;
RESET statement_timeout}),
	"NOTICE:  caught: the time for the analysis was over before the statement was planned\n",
	'the error of the limit can be caught');
is(run_there('SELECT balance FROM accounts WHERE id = 1'), '7', '... and the transaction goes on');
run_there('UPDATE accounts SET balance = 100 WHERE id = 1');

# the limit's own end is no cancel of what comes next
is( run_there(
		q{SET dbperf.analyze_query_timeout = '50ms';
SELECT string_agg(code, ' ') FROM dbperf.analyze_query('SELECT pg_sleep(60)', true) WHERE code = 'timed_out';
SELECT pg_sleep(0.3) IS NOT NULL;
RESET dbperf.analyze_query_timeout}),
	"timed_out\nt",
	'nothing is left of the timer');

#
# What was executed is not counted as a statement of anybody's, and the monitor
# goes on
#
$node->safe_psql('postgres', 'SELECT dbperf.slow_queries_reset(), pg_stat_statements_reset()');
run_there(q{SELECT count(*) FROM dbperf.analyze_query('SELECT 4711, count(*) FROM accounts', true)});
run_there('SELECT 4712');
is( $node->safe_psql(
		'postgres', qq{
SELECT count(*) FILTER (WHERE query LIKE 'SELECT 4711%'), count(*) FILTER (WHERE query LIKE 'SELECT 4712%')
  FROM dbperf.slow_queries WHERE pid = $pid}),
	'0|1',
	'the ring has the statement after it, not the one in it');
is( $node->safe_psql(
		'postgres', q{
SELECT count(*) FROM pg_stat_statements WHERE query ~ '^SELECT \$1, count.* FROM accounts'}),
	'0',
	'nor has pg_stat_statements');

#
# Locks: waits end with the session's lock_timeout, and nothing stays locked
#
my $blocker = $node->background_psql('postgres');
$blocker->query_safe('BEGIN; UPDATE accounts SET balance = 1 WHERE id = 5');
like(
	run_there(
		q{SET lock_timeout = '100ms'; SELECT * FROM dbperf.analyze_query('UPDATE accounts SET balance = 2 WHERE id = 5', true)}),
	qr/^ERROR:  canceling statement due to lock timeout/,
	'a lock timeout is the caller\'s');
run_there('RESET lock_timeout');
$blocker->query_safe('ROLLBACK');
is( run_there(
		qq{BEGIN;
SELECT count(*) > 0 FROM dbperf.analyze_query('UPDATE accounts SET balance = 2 WHERE id = 5', true);
SELECT count(*) FROM pg_locks WHERE pid = $pid AND relation = 'accounts'::regclass}),
	"t\n0",
	'no lock stays in the transaction');
$blocker->query_safe(q{SET lock_timeout = '1s'; UPDATE accounts SET balance = 100 WHERE id = 5});
$blocker->quit;
run_there('COMMIT');

#
# Parallel workers
#
is( run_there(
		q{SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SELECT count(*) FROM dbperf.analyze_query('SELECT sum(balance) FROM accounts', true) WHERE severity = 'critical';
SET dbperf.analyze_query_timeout = '100ms';
SELECT code FROM dbperf.analyze_query('SELECT sum(a.balance) FROM accounts a, accounts b WHERE a.id * b.id < 0', true)
 WHERE code = 'timed_out';
RESET ALL}),
	"0\ntimed_out",
	'a parallel plan is executed, and stopped');
$node->poll_query_until('postgres',
	q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'parallel worker'})
  or die 'parallel workers stay';

#
# A standby
#
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is( $standby->safe_psql(
		'postgres',
		q{SELECT count(*) FROM dbperf.analyze_query('SELECT * FROM accounts WHERE id = $1', true, '{7}')
			WHERE code <> 'planning_share'}),
	'0',
	'a statement is executed on a standby');
my ($rc, undef, $error) =
  $standby->psql('postgres', q{SELECT * FROM dbperf.analyze_query('SELECT * FROM accounts FOR UPDATE', true)});
like($error, qr/cannot (execute SELECT FOR UPDATE|acquire lock mode)/, '... unless it writes');
$standby->stop;

#
# Out of memory is the caller's error, and the session goes on
#
SKIP:
{
	skip 'there is no prlimit', 2 unless grep { -x "$_/prlimit" } split /:/, $ENV{PATH};

	run_there(q{SELECT count(*) FROM dbperf.analyze_query('SELECT * FROM accounts', true)});
	my $size = slurp_file("/proc/$pid/status") =~ /^VmSize:\s+(\d+) kB/m ? $1 * 1024 : die 'no VmSize';
	system_or_bail('prlimit', "--pid=$pid", '--as=' . ($size + 20 * 1024 * 1024) . ':unlimited');
	like(
		run_there(
			q{SELECT * FROM dbperf.analyze_query('SELECT array_agg(repeat(''x'', 1000)) FROM generate_series(1, 200000)', true)}),
		qr/^ERROR:  out of memory/,
		'a statement that needs too much memory');
	system_or_bail('prlimit', "--pid=$pid", '--as=unlimited:unlimited');
	is(run_there('SELECT sum(balance) FROM accounts'), '2000000', '... leaves the session sound');
}

#
# Thousands of calls, in one transaction and in many
#
sub contexts
{
	return run_there('SELECT (sum(total_bytes) / 1024)::int FROM pg_backend_memory_contexts');
}

my $calls = q{
DO $$
BEGIN
	FOR i IN 1 .. 300 LOOP
		PERFORM * FROM dbperf.analyze_query('UPDATE accounts SET balance = $1 WHERE id = 1', true, '{1}');
		PERFORM * FROM dbperf.analyze_query('SELECT * FROM accounts WHERE id = $1');
		BEGIN
			PERFORM * FROM dbperf.analyze_query('SELECT 1 / (id - id) FROM accounts', true);
		EXCEPTION WHEN division_by_zero THEN
		END;
	END LOOP;
END $$};
run_there($calls);
my $before = contexts();
run_there($calls) for 1 .. 3;
cmp_ok(contexts() - $before, '<', 64, 'the backend\'s memory does not grow');
is(run_there('SELECT balance FROM accounts WHERE id = 1'), '100', 'nothing was written');

$in .= "\\q\n";
$session->finish;
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|WARNING|terminated by signal/, 'nothing strange in the log');
done_testing();
