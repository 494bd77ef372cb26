# Server processes that serve the pool: who they are, how many there may be, and
# what is found of session features that do not survive in a pool.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use DbperfTest;
use IPC::Run;
use PoolTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $limit = 6;
my $node = start_pool(
	'main', qq{
max_connections = 30
restart_after_crash = on
dbperf.database = 'postgres'
dbperf.pool_mode = transaction
dbperf.pool_size = 20
dbperf.pool_max_server_connections = $limit
dbperf.pool_guard = off
});

sql(q{CREATE DATABASE second});
pool_role('app', 'secret');
pool_role('other', 'secret');
sql(q{GRANT CREATE, USAGE ON SCHEMA public TO app, other});

# Server processes of the two roles, by how the server sees them.
sub served
{
	return sql(q{SELECT count(*) FROM pg_stat_activity
		WHERE backend_type = 'client backend' AND usename IN ('app', 'other')});
}

# What the guard has counted of a feature, of all roles and databases.
sub counted
{
	my ($feature) = @_;

	return sql("SELECT coalesce(sum(transactions), 0) FROM dbperf.pool_guard_counts"
		  . " WHERE feature = '$feature'");
}

# Runs statements that use a feature, through the pool as role app, and tests how
# often it is counted, and what the client is told.
sub feature_is
{
	my ($sql, $feature, $times, $name, %expected) = @_;
	my $before = counted($feature);
	my ($status, $out, $err) = pool_try('app', $sql);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(counted($feature) - $before, $times, "$name: counted");
	is($status, $expected{refused} ? 3 : 0, "$name: " . ($expected{refused} ? 'refused' : 'let through'))
	  or diag($err);
	if (defined $expected{message})
	{
		like($err, $expected{message}, "$name: said");
	}
	else
	{
		is($err, '', "$name: nothing said");
	}
	return $out;
}

# Changes a setting and waits until server processes have it.
sub guard_is
{
	my ($setting, $value) = @_;

	set("$setting = $value");
	eventually(sub { pool_sql('app', "SELECT current_setting('$setting')") eq $value })
	  or die "$setting is not $value";
	return;
}

# ---- the limit ----

my $script = "$PostgreSQL::Test::Utils::tmp_check/sleep.sql";
append_to_file($script, "SELECT pg_sleep(0.02);\n");

# A storm of logins: two roles in two databases, with more clients than there
# may be server processes, and pools that are larger than that.  Each pool has a
# connection before: PgBouncer lets clients wait for another one, but tells them
# of the error if there is none yet.  That may happen with may_fail => 1.
sub storm
{
	my ($name, %options) = @_;
	my ($most, $samples) = (0, 0);
	my $refused = qr/FATAL:  too many server connections of the connection pool/;
	my $before = count_in_log($refused);
	my @pools = (['app', 'postgres'], ['app', 'second'], ['other', 'postgres'], ['other', 'second']);
	my @runs;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	pool_try($_->[0], 'SELECT 1', database => $_->[1]) foreach @pools;
	foreach my $pool (@pools)
	{
		local $ENV{PGPASSWORD} = 'secret';
		my %run = (out => '', err => '');

		$run{run} = IPC::Run::start(
			[
				'pgbench', '-n', '-c', 12, '-j', 1, '-t', 40, '-f', $script,
				pool_conninfo($pool->[0], database => $pool->[1])
			],
			'>', \$run{out}, '2>', \$run{err}, IPC::Run::timeout(120));
		push @runs, \%run;
	}
	while (grep { $_->{run}->pumpable } @runs)
	{
		my $now = served();

		$most = $now if $now > $most;
		$samples++;
		$_->{run}->pump_nb foreach grep { $_->{run}->pumpable } @runs;
		select undef, undef, undef, 0.1;
	}
	foreach my $run (@runs)
	{
		$run->{run}->finish;
		$options{may_fail}
		  or like($run->{out}, qr/actually processed: 480\/480/, "$name: clients are all served")
		  or diag($run->{err});
	}
	is($most, $limit, "$name: the limit is reached, and held");
	cmp_ok($samples, '>', 3, "$name: an administrator gets in meanwhile");
	cmp_ok(count_in_log($refused), '>', $before, "$name: logins above the limit are refused");
	return;
}
storm('a storm');
is(of_pool('most_server_connections, server_connection_limit, refused_logins > 0'), "$limit|$limit|t",
	'pool_status says so');
cmp_ok(count_in_log(qr/DETAIL:  All databases and roles together may have $limit\./), '>', 0,
	'those that are refused are told why');

# Those who connect directly do not count.
sub direct
{
	my $session = $node->background_psql('postgres', on_error_stop => 0);

	$session->query('SELECT 1');
	return $session;
}
my @direct = map { direct() } 1 .. $limit + 1;
is(pool_sql('app', 'SELECT 1'), '1', 'direct connections take nothing from the pool');
$_->quit foreach @direct;

# Ends all server connections of the pool.
sub free_servers
{
	console(1, 'RECONNECT');
	eventually(sub { served() == 0 }) or die 'server connections stay';
	return;
}

# Tests that as many clients as there are places can have one each at once, and
# no more.
sub all_places_are_free
{
	my ($name) = @_;
	my @clients = map { pool_client('app') } 0 .. $limit;
	my $last = pop @clients;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(join(' ', map { $_->query('BEGIN; SELECT 1') } @clients), join(' ', ('1') x $limit), $name);
	is(served(), $limit, 'no more of them');
	$last->send('SELECT 2');
	select undef, undef, undef, 1.5;
	is(served(), $limit, 'one more has to wait');
	$_->quit foreach @clients;
	is($last->wait, '2', 'and gets a place that is free again');
	$last->quit;
	return;
}
free_servers();
all_places_are_free('places are given back');

# A login that fails after the password leaves nothing behind.
sql('CREATE DATABASE closed');
sql('REVOKE CONNECT ON DATABASE closed FROM PUBLIC');
free_servers();
ok( eventually(
		sub {
			(pool_try('other', 'SELECT 1', database => 'closed'))[0] == 2
			  and count_in_log(qr/FATAL:  permission denied for database "closed"/) > $limit;
		}),
	'logins that fail after the password');
all_places_are_free('they take no place for long');

# ---- the guard ----

guard_is('dbperf.pool_guard', 'off');
feature_is('SET work_mem = 4096', 'set', 1, 'off');
guard_is('dbperf.pool_guard', 'warning');

feature_is('SET work_mem = 4096',
	'set', 1, 'SET', message => qr/^psql:<stdin>:1: WARNING:  SET work_mem does not outlast its transaction in a connection pool\nDETAIL:  .*\nHINT:  Use SET LOCAL/);

# what PgBouncer passes on is of no harm: from 1.26 on all that the server reports
if (pgbouncer_version() >= 12600 && $node->pg_version >= 18)
{
	feature_is('SET search_path = public', 'set', 0, 'SET that PgBouncer knows of');
}
else
{
	feature_is('SET search_path = public', 'set', 1, 'SET of another', message => qr/WARNING:  SET search_path/);
}
feature_is('SET intervalstyle = iso_8601; RESET intervalstyle', 'set', 0, 'SET that every PgBouncer knows of')
  if pgbouncer_version() >= 12000;
feature_is("BEGIN; SET a.b = 1; SET a.c = 2; COMMIT",
	'set', 1, 'two of a kind in a transaction', message => qr/\A[^\n]*WARNING:  SET a\.b[^\n]*\n[^\n]*\n[^\n]*\n\z/);
feature_is("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
	'set', 1, 'SET SESSION CHARACTERISTICS', message => qr/WARNING:  SET SESSION CHARACTERISTICS/);
feature_is("SELECT set_config('work_mem', '5MB', false)",
	'set', 1, 'set_config()', message => qr/WARNING:  set_config\(\) of work_mem/);
feature_is(q{DO $$BEGIN PERFORM set_config('a.d', 'x', false); END$$},
	'set', 1, 'set_config() in a function', message => qr/WARNING:  set_config\(\) of a\.d/);
feature_is(q{DO $$BEGIN SET work_mem = '6MB'; END$$},
	'set', 1, 'SET in a function', message => qr/WARNING:  SET work_mem/);
feature_is('LISTEN something', 'listen', 1, 'LISTEN', message => qr/WARNING:  LISTEN/);
feature_is('SELECT pg_try_advisory_lock(64)',
	'advisory lock', 1, 'an advisory lock', message => qr/WARNING:  pg_try_advisory_lock\(\)/);
feature_is(q{DO $$BEGIN PERFORM pg_advisory_lock_shared(6, 4); END$$},
	'advisory lock', 1, 'one in a function', message => qr/WARNING:  pg_advisory_lock_shared\(\)/);
feature_is('BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT',
	'cursor with hold', 1, 'WITH HOLD', message => qr/WARNING:  DECLARE CURSOR WITH HOLD/);
feature_is('CREATE TEMP TABLE left_over (n int)',
	'temporary object', 1, 'a temporary table', message => qr/WARNING:  CREATE TEMPORARY TABLE /);
feature_is('SELECT 1 AS n INTO TEMP left_over_too',
	'temporary object', 1, 'one with rows', message => qr/WARNING:  CREATE TEMPORARY TABLE AS/);
feature_is('CREATE TABLE pg_temp.another (n int)',
	'temporary object', 1, 'by its schema', message => qr/WARNING:  CREATE TEMPORARY TABLE /);
feature_is('CREATE TEMP SEQUENCE s', 'temporary object', 1, 'a sequence',
	message => qr/WARNING:  CREATE TEMPORARY SEQUENCE/);
feature_is('CREATE TEMP VIEW v AS SELECT 1', 'temporary object', 1, 'a view',
	message => qr/WARNING:  CREATE TEMPORARY VIEW/);
feature_is('BEGIN; SET LOCAL search_path = pg_temp; CREATE TABLE hidden (n int); COMMIT',
	'temporary object', 1, 'by search_path', message => qr/WARNING:  creating a temporary object/);
feature_is('CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS $$SELECT 1$$',
	'temporary object', 1, 'a function', message => qr/WARNING:  creating a temporary object/);
feature_is(q{CREATE TYPE pg_temp.kind AS ENUM ('one')},
	'temporary object', 1, 'a type', message => qr/WARNING:  creating a temporary object/);
feature_is('PREPARE p64 AS SELECT 1', 'prepare', 1, 'PREPARE', message => qr/WARNING:  PREPARE/);
feature_is("LOAD '\$libdir/plugins/none'; SELECT 1", 'load', 1, 'LOAD', refused => 1,
	message => qr/WARNING:  LOAD/);

# what survives, or does not have to
foreach my $harmless (
	"BEGIN; SET LOCAL work_mem = '7MB'; COMMIT",
	"SELECT set_config('work_mem', '7MB', true)",
	"BEGIN; SELECT set_config('work_mem', '7MB', false); ROLLBACK",
	"RESET work_mem",
	"SET TIME ZONE 'Europe/Vienna'; SET client_encoding = 'LATIN1'; SET DateStyle = 'German'",
	"SELECT set_config('application_name', 'x', false)",
	"BEGIN; SET TRANSACTION READ ONLY; SET transaction_isolation = 'serializable'; COMMIT",
	"SET ROLE NONE")
{
	feature_is($harmless, 'set', 0, $harmless);
}
feature_is('SELECT pg_advisory_xact_lock(65); EXPLAIN (COSTS OFF) SELECT pg_advisory_lock(65)',
	'advisory lock', 0, 'a lock of the transaction');
feature_is(
	'BEGIN; DECLARE d CURSOR FOR SELECT 1; CREATE TEMP TABLE gone (n int) ON COMMIT DROP; COMMIT',
	'temporary object', 0, 'a temporary table of the transaction');
feature_is('CREATE TABLE stays (n int PRIMARY KEY); DROP TABLE stays',
	'temporary object', 0, 'a table');
feature_is("NOTIFY something", 'listen', 0, 'NOTIFY');
is(sql(q{SET work_mem = '8MB'; SELECT pg_advisory_lock(66);
	SELECT sum(transactions) FROM dbperf.pool_guard_counts WHERE user_name = current_user}),
	"\n", 'a direct connection is not watched');

is( sql(q{SELECT string_agg(DISTINCT user_name || ' ' || database_name, ',') ||
	bool_and(last_seen > now() - interval '5 minutes') FROM dbperf.pool_guard_counts}),
	'app postgrestrue', 'the counts are of the role and the database');

# refused
guard_is('dbperf.pool_guard', 'error');
is(pool_sql('app', q{SELECT pg_advisory_unlock_all(); DISCARD ALL; SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}),
	"\n0", 'nothing is left of the features before');
feature_is("SET work_mem = '9MB'", 'set', 1, 'SET', refused => 1,
	message => qr/ERROR:  SET work_mem does not outlast/);
feature_is("SELECT set_config('work_mem', '9MB', false)", 'set', 1, 'set_config()', refused => 1,
	message => qr/ERROR:  set_config\(\) of work_mem does not outlast/);
feature_is(q{DO $$BEGIN
		BEGIN SET work_mem = '9MB'; EXCEPTION WHEN feature_not_supported THEN END;
		PERFORM set_config('work_mem', '9MB', false); END$$},
	'set', 1, 'an error that is caught', refused => 1, message => qr/ERROR:  set_config\(\)/);
feature_is('SELECT pg_advisory_lock(67)', 'advisory lock', 1, 'an advisory lock', refused => 1,
	message => qr/ERROR:  pg_advisory_lock\(\)/);
feature_is('CREATE TEMP TABLE refused (n int)', 'temporary object', 1, 'a temporary table',
	refused => 1, message => qr/ERROR:  CREATE TEMPORARY TABLE/);
feature_is('PREPARE refused AS SELECT 1', 'prepare', 1, 'PREPARE', refused => 1,
	message => qr/ERROR:  PREPARE/);
is(sql(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}), '0', 'no lock was taken');
isnt(pool_sql('app', 'SHOW work_mem'), '9MB', 'no setting was left');
is(pool_sql('app', q{BEGIN; SET LOCAL work_mem = '9MB'; SHOW work_mem; COMMIT}),
	'9MB', 'what is for a transaction works');
feature_is(q{BEGIN; CREATE TEMP TABLE counting (n serial, m int GENERATED ALWAYS AS IDENTITY) ON COMMIT DROP;
	ALTER TABLE counting ADD COLUMN o serial; COMMIT},
	'temporary object', 0, 'the sequences of a temporary table of the transaction');
feature_is(q{CREATE MATERIALIZED VIEW once AS SELECT 1 AS n; CREATE UNIQUE INDEX ON once (n);
	REFRESH MATERIALIZED VIEW CONCURRENTLY once},
	'temporary object', 0, 'what a command creates for itself');

# in session mode all of it survives
my $before = sql('SELECT sum(transactions) FROM dbperf.pool_guard_counts');
set('dbperf.pool_mode = session');
ok(eventually(sub { (pool_try('app', "SET work_mem = '9MB'"))[0] == 0 }), 'not so in session mode');
$before = sql('SELECT sum(transactions) FROM dbperf.pool_guard_counts');
is(pool_sql('app', q{PREPARE p AS SELECT 1; CREATE TEMP TABLE fine (n int); SELECT 2}), '2', 'again');
is(sql('SELECT sum(transactions) FROM dbperf.pool_guard_counts'), $before, 'nor is it counted');
set('dbperf.pool_mode = transaction');
ok(eventually(sub { (pool_try('app', "SET work_mem = '9MB'"))[0] == 3 }), 'and refused again');

# and so it is for a role or a database alone
sql(q{INSERT INTO dbperf.pool_roles (role_name, pool_mode) VALUES ('other', 'session')});
ok(eventually(sub { (pool_try('other', "SET work_mem = '9MB'"))[0] == 0 }), 'a role in session mode');
is((pool_try('app', "SET work_mem = '9MB'"))[0], 3, 'another one is not');
my $of_other = q{SELECT coalesce(sum(transactions), 0) FROM dbperf.pool_guard_counts WHERE user_name = 'other'};
$before = sql($of_other);
is((pool_try('other', "SET work_mem = '8MB'"))[0], 0, 'again');
is(sql($of_other), $before, 'nothing is counted of it');

# the switch for everything
set('dbperf.enabled = off');
ok(eventually(sub { (pool_try('app', "SET work_mem = '9MB'"))[0] == 0 }), 'dbperf.enabled = off');
set('dbperf.enabled = on');

# ---- the crash of a server process ----

# Its place would be lost, but all of shared memory is made anew.
my $victim = pool_client('other');
my $pid = $victim->query('SELECT pg_backend_pid()');
my $offset = -s $node->logfile;
kill 'KILL', $pid;
$node->wait_for_log(qr/all server processes terminated; reinitializing/, $offset);
ok(eventually(sub { (pool_try('app', 'SELECT 1'))[0] == 0 }), 'the pool is back after a crash');
is(sql('SELECT count(*) FROM dbperf.pool_guard_counts'), '0', 'counts start anew with the server');
all_places_are_free('and has all its places');
$victim->quit;

# ---- several processes ----

# The limit is for all of them together.
SKIP:
{
	skip 'several processes need PgBouncer 1.19', 3 if pgbouncer_version() < 11900;
	set('dbperf.pool_processes = 2', 'dbperf.pool = off');
	eventually(sub { pgbouncers() == 0 }) or die 'the pool does not stop';
	set('dbperf.pool = on');
	pool_is_up(2) or die 'two processes do not start: ' . of_pool('problem');
	storm('two processes', may_fail => 1);
}

$node->stop;
done_testing();
