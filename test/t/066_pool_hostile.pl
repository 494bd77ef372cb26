# What somebody could try on the pool, and what can be odd about its server.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use DbperfTest;
use PoolTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $kills = pgbouncer_version() >= 12400;
my $processes = pgbouncer_version() >= 11900 ? 2 : 1;
my $node = start_pool(
	'main', q{
dbperf.pool_mode = transaction
dbperf.pool_auth = hba
dbperf.pool_size = 5
dbperf.pool_query_wait_timeout = 8
max_connections = 60
});
my $files = $node->data_dir . '/pgsql_tmp_dbperf_pool';
my $user = sql('SELECT current_user');

sub login
{
	my ($role, %options) = @_;

	return (pool_try($role, 'SELECT 1', %options))[0];
}

# The OIDs of the role that has a name, and of the one whose session it is.
sub oids
{
	my ($client) = @_;

	return $client->query(q{SELECT a.usesysid || ' ' || coalesce(r.oid::text, 'none')
		FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.rolname = 'alice'
		WHERE a.pid = pg_backend_pid()});
}

sub write_rules
{
	my $rules = $node->data_dir . '/pg_hba.conf';

	unlink $rules;
	append_to_file($rules,
		join '', map { "$_\n" } qq{local all "$user" trust}, 'local all all md5', @_);
	$node->reload;
	return;
}

# ---- words of clients in the log ----

pool_role('app', 'secret');
my $words = 'config file loading failed';
foreach my $role ($words, "a] ERROR $words", "a\n2026-01-01 00:00:00.000 UTC [1] WARNING $words")
{
	is(login($role, password => 'x'), 2, 'a role that there is not does not get in');
}
is(login('app', database => $words), 2, 'nor does one to such a database');
ok(eventually(sub { of_pool('log') =~ /auto-database.*$words/ }, 15), 'their names get into the log');
sleep 1.5;
is(of_pool('problem'), '', 'and are not taken for words of the pool');

# ---- a name that becomes that of another role ----

foreach my $encryption ('md5', 'scram-sha-256')
{
	write_rules('host all all 127.0.0.1/32 md5');
	sql(qq{SET password_encryption = '$encryption';
		CREATE ROLE alice LOGIN PASSWORD 'of alice'; CREATE ROLE bob LOGIN PASSWORD 'of bob'});
	ok(eventually(sub { login('alice', password => 'of alice') == 0 }, 15), "alice gets in: $encryption");
	my $former = pool_client('alice', password => 'of alice');
	my $other = pool_client('app');
	my ($oid) = oids($former) =~ /^(\d+) \1$/;
	ok($oid, 'as herself');
	sql(qq{SET client_min_messages = error; SET password_encryption = '$encryption'; BEGIN;
		ALTER ROLE alice RENAME TO former; ALTER ROLE bob RENAME TO alice;
		ALTER ROLE alice PASSWORD 'of bob'; COMMIT});
	if (!$kills)
	{
		ok(eventually(sub { of_pool('problem') =~ /still connected: .*"alice".* cannot log in with/ }, 20),
			'who has the name of another one has to wait');
		is(login('alice', password => 'of bob'), 2, 'for the clients to leave');
		unlike(oids($former), qr/^\d+ \d+$/, 'who cannot become the one who has their name');
		$former->quit;
	}
	ok(eventually(sub { login('alice', password => 'of bob') == 0 }, 30), 'bob is alice then');
	my $new = pool_client('alice', password => 'of bob');
	like(oids($new), qr/^(\d+) \1$/, 'and has no session of the one who was');
	unlike(oids($new), qr/^$oid /, 'at all');
	unlike(oids($former), qr/^\d+ \d+$/, 'who has none of his') if $kills;
	ok($other->is_alive, 'nobody else was dropped');

	# the session is idle in the pool while the role goes and comes back
	$new->quit;
	sql(qq{DROP ROLE alice, former; CREATE ROLE alice LOGIN PASSWORD 'again'});
	ok(eventually(sub { login('alice', password => 'again') == 0 }, 15), 'a role is made anew');
	my $again = pool_client('alice', password => 'again');
	like(oids($again), qr/^(\d+) \1$/, 'and has no session of the one that was dropped');
	$again->quit;
	$other->quit;
	$former->quit;
	sql('DROP ROLE alice');
}

# ---- a name with control characters ----

sql(qq{CREATE DATABASE "a\tb"});
write_rules(qq{host "a\tb" all 127.0.0.1/32 reject}, 'host all all 127.0.0.1/32 scram-sha-256');
ok(eventually(sub { login('app', database => "a\tb") == 2 }, 15), 'a database is closed');
is(login('app'), 0, 'others are not');

# ---- files that cannot be written ----

write_rules('host all app 127.0.0.1/32 scram-sha-256');
ok(eventually(sub { login('app') == 0 }, 15), 'the rules let a role in');
mkdir "$files/pool1.ini.new" or die;
$node->append_conf('postgresql.conf', 'dbperf.pool_size = 6');
write_rules('host all app 127.0.0.1/32 reject');
ok(eventually(sub { of_pool('problem') =~ /files could not be written/ }, 15), 'a file cannot be written');
$node->append_conf('postgresql.conf', 'dbperf.pool_size = 5');
$node->reload;
ok(eventually(sub { of_pool('problem') eq '' }, 15), 'and need not be, after all');
ok(eventually(sub { login('app') == 2 }, 15), 'the rules that were written meanwhile are heeded');
rmdir "$files/pool1.ini.new" or die;
nothing_crashed();
$node->stop;

# ---- a data directory with a path that has to be quoted ----

my $odd = start_pool('odd', "dbperf.pool_processes = $processes");
$odd->stop;
my $path = PostgreSQL::Test::Utils::tempdir_short() . q{/it's a=path};
system_or_bail('mv', $odd->{_basedir}, $path);
$odd->{_basedir} = $path;
$odd->start;
ok(pool_is_up($processes), 'the pool runs in a directory with an odd name');
is(of_pool(q{coalesce(problem, '') || coalesce(config_error, '')}, 'process = 1'), '', 'and is content');
pool_role('app', 'secret');
is(pool_sql('app', 'SELECT 1'), '1', 'it lets clients in');
like(of_pool('console', 'process = 1'), qr/^\Q$path\E/, 'and its sockets are there');

# ---- files of a pool that had no time to remove them ----

ok(-e "$path/pgdata/pgsql_tmp_dbperf_pool/users.txt", 'there are secrets');
$odd->stop('immediate');
$odd->append_conf('postgresql.conf', 'dbperf.pool = off');
$odd->start;
ok(eventually(sub { !-e "$path/pgdata/pgsql_tmp_dbperf_pool" }, 15),
	'they do not stay if the pool is not started again');
$odd->stop;

# ---- the end of a process that has just been executed ----

my $marker = "$path/quit";
my $program = "$path/program";
append_to_file($program, qq{#!/usr/bin/perl
if (\$ARGV[0] eq '--version') { print "PgBouncer 1.24.1\\n"; exit; }
\$SIG{QUIT} = sub { open my \$file, '>', "$marker"; exit };
sleep 60;
});
chmod 0700, $program or die;
(my $quoted = $program) =~ s/'/''/g;
$odd->append_conf('postgresql.conf', "dbperf.pool = on\ndbperf.pool_program = '$quoted'");
$odd->start;
ok(eventually(sub { of_pool('state', 'process = 1') eq 'starting' }, 15), 'a process starts');
sleep 1;
$odd->stop;
ok(!-e $marker, 'it is not ended with a signal that leaves a core file');

done_testing();
