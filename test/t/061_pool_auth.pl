# Who may log in to the pool: roles come, change, expire and go, and nobody else
# notices; their secrets are in one place that only the server's user can read.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use DbperfTest;
use PoolTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $kills = pgbouncer_version() >= 12400;
my $node = start_pool(
	'main', q{
dbperf.pool_mode = transaction
dbperf.pool_processes = 2
dbperf.pool_size = 4
max_connections = 60
},
	allows_streaming => 1);
my $files = $node->data_dir . '/pgsql_tmp_dbperf_pool';

# The status of a login: 0 = it went well, 2 = refused.
sub login
{
	my ($role, %options) = @_;

	return (pool_try($role, 'SELECT 1', %options))[0];
}

# Tests that a login does so soon.
sub soon
{
	my ($status, $name, $role, %options) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(eventually(sub { everywhere(sub { login($role, %options) == $status }) }, 10), $name);
}

# Somebody who has nothing to do with all that, with a client in each process.
pool_role('stays', 'secret of stays');
my @others = map { pool_client('stays') } 1 .. 6;

# ---- roles come and change ----

is(login('nobody', password => 'x'), 2, 'who is no role does not get in');
is(login('stays', password => 'wrong'), 2, 'a wrong password is refused');
is(login('stays', password => ''), 2, 'an empty one, too');

sql(q{CREATE ROLE app LOGIN PASSWORD 'first'});
soon(0, 'a new role gets in', 'app', password => 'first');
is(pool_sql('app', 'SELECT session_user', password => 'first'),
	'app', 'and is what it says');
is(login('app', password => 'second'), 2, 'with its own password only');
my $app = pool_client('app', password => 'first');
sql(q{ALTER ROLE app PASSWORD 'second'});
soon(2, 'the old password is refused once there is another', 'app', password => 'first');
soon(0, 'the other one is taken', 'app', password => 'second');
ok($app->is_alive, 'who had logged in before stays');
sql(q{BEGIN; ALTER ROLE app PASSWORD 'third'; ROLLBACK});
sleep 1.5;
is(login('app', password => 'second'), 0, 'a change that was rolled back is none');

sql(q{SET password_encryption = md5; CREATE ROLE old LOGIN PASSWORD 'from old times'});
append_to_file($node->data_dir . '/pg_hba.new', "local all old md5\n");
append_to_file($node->data_dir . '/pg_hba.new', slurp_file($node->data_dir . '/pg_hba.conf'));
rename $node->data_dir . '/pg_hba.new', $node->data_dir . '/pg_hba.conf' or die;
$node->reload;
soon(0, 'a role with an md5 secret gets in', 'old', password => 'from old times');
is(login('old', password => 'wrong'), 2, 'not with a wrong password');

foreach my $name ('two words', q{it's "quoted"}, 'comma,semi;colon', "\x{c3}\x{a9}t\x{c3}\x{a9}",
	'back\\slash', 'a' x 63)
{
	(my $identifier = $name) =~ s/"/""/g;

	sql(qq{CREATE ROLE "$identifier" LOGIN PASSWORD 'its own'});
	soon(0, "role $name gets in", $name, password => 'its own');
}
sql(qq{CREATE ROLE "two\nlines" LOGIN PASSWORD 'x'});
ok(eventually(sub { of_pool('config_error', 'process = 1') =~ /control characters/ }, 10),
	'a name with control characters is said to be none for the pool');
sql(qq{DROP ROLE "two\nlines"});

sql(q{CREATE ROLE pgbouncer LOGIN PASSWORD 'x'});
soon(0, 'a role may be called pgbouncer', 'pgbouncer', password => 'x');
is(login('pgbouncer', password => 'x', database => 'pgbouncer'),
	2, 'and does not get to the console');
is(login('stays', database => 'pgbouncer'), 2, 'nobody does over TCP');

# ---- superusers ----

sql(q{CREATE ROLE boss SUPERUSER LOGIN PASSWORD 'boss'});
sleep 1.5;
is(login('boss', password => 'boss'), 2, 'a superuser does not get in');
$node->append_conf('postgresql.conf', 'dbperf.pool_allow_superuser = on');
$node->reload;
soon(0, 'unless that is allowed', 'boss', password => 'boss');
$node->append_conf('postgresql.conf', 'dbperf.pool_allow_superuser = off');
$node->reload;
soon(2, 'and not when that is over', 'boss', password => 'boss');
sql(q{ALTER ROLE boss NOSUPERUSER});
soon(0, 'nor when it is none any more', 'boss', password => 'boss');
sql(q{ALTER ROLE boss SUPERUSER});
soon(2, 'until it is one again', 'boss', password => 'boss');

# ---- roles go ----

# Ends a role's right to log in, and looks what becomes of its clients.
sub goes
{
	my ($role, $how) = @_;

	sql("CREATE ROLE $role LOGIN PASSWORD 'secret'");
	soon(0, "$role gets in", $role, password => 'secret');
	my @clients = map { pool_client($role, password => 'secret') } 1 .. 4;
	sql($how);
	ok(eventually(sub { everywhere(sub { login($role, password => 'secret') == 2 }) }, 12), "$role is refused: $how");
	if ($kills)
	{
		ok( eventually(
				sub {
					my $left = grep { /^C\|\Q$role\E\|/ }
					  map { split /\n/, console($_, 'SHOW CLIENTS') } 1, 2;
					return $left == 0;
				},
				10),
			'its clients are ended');
		is(scalar(grep { $_->is_alive } @clients), 0, 'and know it');
	}
	else
	{
		ok( eventually(sub { of_pool('problem', 'process = 1') =~ /still connected: .*"$role"/ }, 16),
			'its clients are told of');
	}
	$_->quit foreach @clients;
	return;
}

goes('nologin', 'ALTER ROLE nologin NOLOGIN');
goes('passwordless', 'ALTER ROLE passwordless PASSWORD NULL');
goes('dropped', 'DROP ROLE dropped');
goes('expires', q{DO $$ BEGIN EXECUTE format('ALTER ROLE expires VALID UNTIL %L', clock_timestamp() + '2s'); END $$});
if (!$kills)
{
	ok(eventually(sub { of_pool('problem', 'process = 1') !~ /still connected/ }),
		'when they have left, that is over');
}

is(scalar(grep { $_->is_alive } @others), scalar(@others), 'nobody else was dropped');

# ---- secrets ----

my $secret = sql(q{SELECT rolpassword FROM pg_authid WHERE rolname = 'stays'});
like(slurp_file("$files/users.txt"), qr/^"stays" "\Q$secret\E"$/m, 'secrets are in the auth file');

my @open = grep { (stat $_)[2] & 0077 } $files, glob("$files/* $files/*/.s.*");
is("@open", '', 'nobody else can read the files');

my @cmdlines = map { slurp_file("/proc/$_/cmdline") . slurp_file("/proc/$_/environ") } pgbouncers();
is(scalar(grep { /SCRAM-SHA|secret of/ } @cmdlines), 0, 'no secret is on a command line');

my $logs = join '', map { slurp_file($_) } $node->logfile, glob("$files/*.log");
unlike($logs, qr/\Q$secret\E/, 'no secret is in a log');
is( sql(
		q{SELECT count(*) FROM dbperf.pool_status s WHERE s::text ~ 'SCRAM-SHA-256\$'
	  OR s::text ~ 'secret of'}),
	'0',
	'nor in a view');

$node->backup('base');
ok(!-e $node->backup_dir . '/base/pgsql_tmp_dbperf_pool', 'a base backup has none of the files');

# a file that others could read is not left as it is
chmod 0644, "$files/users.txt" or die;
sql(q{CREATE ROLE another LOGIN PASSWORD 'x'});
soon(0, 'the next change comes through', 'another', password => 'x');
is((stat "$files/users.txt")[2] & 07777, 0600, 'and closes a file that was open');

# ---- on a standby ----

my $own = PostgreSQL::Test::Cluster::get_free_port();
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "dbperf.pool_port = $own");
$standby->start;
my $main_port = pool_port();
use_pool($standby, $own);
ok(pool_is_up(2), 'a standby has a pool of its own');
is(login('another', password => 'x'), 0, 'with the same roles');
is(pool_sql('another', 'SELECT pg_is_in_recovery()', password => 'x'), 't', 'to itself');
sql(q{ALTER ROLE another PASSWORD 'y'});
soon(0, 'which change with those of the primary', 'another', password => 'y');
sql(q{DROP ROLE another});
soon(2, 'and go with them', 'another', password => 'y');
$standby->stop;
use_pool($node, $main_port);

# ---- the end of all ----

is(scalar(grep { $_->is_alive } @others), scalar(@others), 'the same clients are still there');
$_->quit foreach @others, $app;
$node->append_conf('postgresql.conf', 'dbperf.pool = off');
$node->reload;
ok(eventually(sub { !-e $files }, 10), 'without a pool there are no files');
nothing_crashed();
$node->stop;
nothing_left($node, 'the pool ends with the server');

# ---- a data directory whose path is too long for a socket ----

my $long = start_pool('a_server_that_has_a_name_with_which_its_sockets_have_no_room', '');
my $console = of_pool('console');
like($console, qr{^/tmp/dbperf_pool_\w+/s1$}, 'the sockets are elsewhere');
(my $base = $console) =~ s{/s1$}{};
is((stat $base)[2] & 07777, 0700, 'where nobody else gets');
pool_role('app', 'secret');
is(pool_sql('app', 'SELECT 1'), '1', 'and the pool works');
$long->stop('immediate');
$long->start;
ok(pool_is_up(), 'after a crash it works again');
is(of_pool('console'), $console, 'at the same place');
$long->append_conf('postgresql.conf', 'dbperf.pool = off');
$long->reload;
ok(eventually(sub { !-e $base }, 10), 'which is removed with the pool');
$long->stop;

done_testing();
