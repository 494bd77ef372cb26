# The processes of the pool begin and end with the server, however it ends;
# whatever keeps them from running is told in words, and the server runs
# nevertheless; and their program can be replaced.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use DbperfTest;
use IO::Socket::INET;
use PoolTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $version = pgbouncer_version();
# what differs between the versions
my $drains = $version >= 12300;
my $dir = PostgreSQL::Test::Utils::tempdir();

# A program of our own in place of PgBouncer.
sub program
{
	my ($name, $body) = @_;

	unlink "$dir/$name";
	append_to_file("$dir/$name", "#!/bin/sh\n$body");
	chmod 0755, "$dir/$name";
	return "$dir/$name";
}

# Tests that it is told, once the pool has tried again.
sub problem_like
{
	my ($pattern, $name, $seconds) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;

	eventually(sub { of_pool('problem', 'process = 1') =~ $pattern }, $seconds);
	return like(of_pool('problem', 'process = 1'), $pattern, $name);
}

sub worker
{
	return sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'dbperf pool'});
}

sub state
{
	return of_pool('state');
}

my $node = start_pool('main', q{
restart_after_crash = on
dbperf.pool_mode = transaction
});
pool_role('app', 'secret');

# It has come back after something was killed: one process, another one.
sub comes_back
{
	my ($name, $before) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;

	ok( eventually(
			sub {
				my @now = pgbouncers();
				return @now == 1 && $now[0] != $before && (pool_try('app', 'SELECT 1'))[0] == 0;
			}),
		$name);
	return;
}

#
# What is to be seen of it
#
is(of_pool('state, version IS NOT NULL, restarts, last_exit, problem'), 'running|t|0||', 'it runs');
is(pgbouncer_version(of_pool('version')), $version, 'its version is known');
is(of_pool('pid'), (pgbouncers())[0], 'and its process id');
is(of_pool(q{pool_mode, listen_addresses, port}), 'transaction|127.0.0.1|' . pool_port(),
	'what it was launched with');
like(of_pool('log'), qr/\[\d+\] (LOG|WARNING) /, 'its log can be read');
is(sql('SELECT count(*) FROM pg_stat_activity WHERE backend_type = \'dbperf pool\' AND datid IS NULL'),
	'1', 'its worker is in no database');

my ($pid) = pgbouncers();
my %environment = map { split /=/, $_, 2 } split /\0/, slurp_file("/proc/$pid/environ");
# a shell that starts it adds some
is_deeply([ sort grep { !/^(PWD|OLDPWD|SHLVL|_)$/ } keys %environment ],
	[ 'LC_ALL', 'PATH', 'TZ' ], 'it has nothing of the server\'s environment');
my $status = slurp_file("/proc/$pid/status");
my ($blocked) = $status =~ /^SigBlk:\s*([0-9a-f]+)/m;
# of SIGPIPE it sees to itself
is(hex($blocked) & ~(1 << 12), 0, 'no signal is blocked');
my @files = map { readlink } glob "/proc/$pid/fd/*";
is(scalar(grep { defined && (m{/base/} || m{/global/} || m{pg_wal}) } @files), 0, 'no file of the server is open in it');
isnt(getpgrp($pid), getpgrp(worker()), 'it has a process group of its own');

# who may see it
sql(q{CREATE ROLE plain LOGIN; CREATE ROLE monitor LOGIN; GRANT pg_monitor TO monitor});
is(sql('SET ROLE monitor; SELECT state FROM dbperf.pool_status'), 'running', 'pg_monitor sees it');
like(($node->psql('postgres', 'SET ROLE plain; SELECT * FROM dbperf.pool_status'))[2],
	qr/permission denied/, 'others do not');
like(($node->psql('postgres', 'SET ROLE monitor; SELECT dbperf.pool_restart(true)'))[2],
	qr/permission denied/, 'pg_monitor cannot restart it');

#
# Something is killed
#
kill 'KILL', $pid;
comes_back('it is started again after a kill', $pid);
is(of_pool('restarts, last_exit'), '1|was terminated by signal 9: Killed', 'and that is told');

($pid) = pgbouncers();
my $worker = worker();
kill 'KILL', $pid;
ok( eventually(sub { of_pool(q{state = 'waiting' AND next_start - last_exit_time >= '1.5 s'}) eq 't' }),
	'it waits after the second end in a row, for longer than after the first');
comes_back('and comes back', $pid);

($pid) = pgbouncers();
sql('SELECT pg_terminate_backend(' . worker() . ')');
comes_back('its worker is terminated', $pid);
isnt(worker(), $worker, 'another one has taken over');

foreach my $victim ('dbperf pool', 'client backend')
{
	($pid) = pgbouncers();
	# the session that asks for its own process id is the victim
	my $kill = sql("SELECT coalesce((SELECT pid FROM pg_stat_activity WHERE backend_type = '$victim'
		AND pid <> pg_backend_pid() LIMIT 1), 0)");
	if (!$kill)
	{
		my $session = $node->background_psql('postgres', on_error_stop => 0);
		$kill = $session->query('SELECT pg_backend_pid()');
		kill 'KILL', $kill;
		eval { $session->quit };
	}
	else
	{
		kill 'KILL', $kill;
	}
	ok(eventually(sub { !-d "/proc/$pid" }, 10), "$victim is killed: PgBouncer ends");
	comes_back("and comes back with the server", $pid);
}

#
# Something is wrong
#
set('dbperf.pool = off');
ok(eventually(sub { state() eq 'off' }), 'it can be switched off');
nothing_left($node, 'and is gone');
ok(!-e $node->data_dir . '/pgsql_tmp_dbperf_pool/users.txt', 'with its secrets');
like(($node->psql('postgres', 'SELECT dbperf.pool_restart()'))[2],
	qr/the connection pool is not running/, 'it cannot be restarted then');

my $stranger = IO::Socket::INET->new(
	LocalAddr => '127.0.0.1',
	LocalPort => pool_port(),
	ReuseAddr => 1,
	Listen => 5) or die "listen: $!";
set('dbperf.pool = on');
problem_like(qr/port ${\pool_port()} of "127.0.0.1" is in use by another program/, 'a port in use');
is(scalar(pgbouncers()), 0, 'nothing is started then');
is(state(), 'waiting', 'but will be');
close $stranger;
ok(pool_is_up(), 'it is when the port is free');

# which may be the server itself
set('dbperf.pool = off');
nothing_left($node, 'off for another port');
$stranger = IO::Socket::INET->new(
	LocalAddr => '127.0.0.1',
	LocalPort => $node->port,
	ReuseAddr => 1,
	Listen => 5) or die "listen: $!";
set('dbperf.pool_port = ' . $node->port, 'dbperf.pool = on');
problem_like(qr/port \d+ of "127.0.0.1" is in use, which is the port of this server/, 'its own port');
close $stranger;
set('dbperf.pool = off');
set('dbperf.pool_port = ' . pool_port(), 'dbperf.pool = on');
ok(pool_is_up(), 'it takes another one');

# another address of the same port is nobody's concern
set('dbperf.pool = off');
nothing_left($node, 'off again');
$stranger = IO::Socket::INET->new(
	LocalAddr => '127.0.0.2',
	LocalPort => pool_port(),
	ReuseAddr => 1,
	Listen => 5) or die "listen: $!";
set('dbperf.pool = on');
ok(pool_is_up(), 'a stranger on another address does not matter');
is(of_pool('problem'), '', 'nor is it a problem');
close $stranger;

foreach my $case (
	[ "'/nowhere/pgbouncer'", qr{dbperf.pool_program does not name a program: "/nowhere/pgbouncer"} ],
	[ "'pgbouncer'", qr/has to be an absolute path/ ],
	[ "'/tmp'", qr/that the server may execute: "\/tmp"/ ],
	[ "'/etc/passwd'", qr/that the server may execute: "\/etc\/passwd"/ ],
	[ "'/bin/true'", qr/does not seem to be PgBouncer/ ],
	[ "'" . program('old', 'echo PgBouncer 1.9.0') . "'", qr/is PgBouncer 1.9.0, which is too old/ ],
	[ "'" . program('exits', 'test "$1" = --version && exec ' . pgbouncer() . ' --version; exit 3') . "'",
	qr/process 1 exited with status 3 before it listened/ ],
	[ "'" . program('hangs', 'sleep 1000') . "'", qr/--version" did not end within 5 seconds/ ])
{
	my ($value, $pattern) = @$case;

	set('dbperf.pool = off');
	eventually(sub { state() eq 'off' && pgbouncers() == 0 }, 10);
	set("dbperf.pool_program = $value", 'dbperf.pool = on');
	problem_like($pattern, "program $value");
	is(sql('SELECT 1'), '1', 'the server does not mind');
}
is(sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'dbperf pool'}), '1', 'nor its worker');

# one that exits at once is left alone after three times
set('dbperf.pool = off', "dbperf.pool_program = '$dir/exits'");
eventually(sub { state() eq 'off' }, 10);
set('dbperf.pool = on');
ok(eventually(sub { state() eq 'failed' }), 'one that exits at once is left alone in the end');
problem_like(qr/not started again before a setting changes/, 'and that is told');
program('exits', 'exec ' . pgbouncer() . ' "$@"');
$node->reload;
ok(pool_is_up(), 'until a setting changes');
is(of_pool('problem'), '', 'then nothing is wrong any more');

# one that does not listen
set('dbperf.pool = off');
eventually(sub { state() eq 'off' }, 10);
program('deaf', 'test "$1" = --version && exec ' . pgbouncer() . ' --version; exec sleep 1000');
set("dbperf.pool_program = '$dir/deaf'", 'dbperf.pool = on');
problem_like(qr/process 1 did not listen on port \d+ within 10 seconds/, 'one that hangs');
set('dbperf.pool = off');
ok(eventually(sub { state() eq 'off' }, 15), 'one that hangs can be switched off');

# configuration that it does not take
set("dbperf.pool_program = '" . pgbouncer() . q{'}, 'dbperf.pool = on');
ok(pool_is_up(), 'the real one');
($pid) = pgbouncers();
set(q{dbperf.pool_extra_config = 'server_lifetime = abc'});
problem_like(qr/has not taken the changed configuration.*server_lifetime/, 'a refused change is told');
is((pgbouncers())[0], $pid, 'and the process stays');
is(pool_sql('app', 'SELECT 1'), '1', 'and serves');
set('dbperf.pool = off');
eventually(sub { state() eq 'off' }, 10);
set('dbperf.pool = on');
ok(eventually(sub { state() eq 'failed' }), 'it cannot begin with that');
problem_like(qr/its log says: .*server_lifetime/, 'which is told');
set(q{dbperf.pool_extra_config = ''});
ok(pool_is_up(), 'the correction is enough');

# what needs a restart
set('dbperf.pool_processes = 3');
problem_like(qr/another number of processes than set: switch dbperf.pool off and on/, 'a launch setting');
set('dbperf.pool_processes = 1');
ok(eventually(sub { of_pool('problem') eq '' }), 'which is set back');

#
# It is switched off while clients are connected
#
my $busy = pool_client('app');
my $idle = pool_client('app');
is($busy->query(q{SELECT set_config('application_name', 'busy', false)}), 'busy', 'a client');
# no longer than the pool lets it
$busy->send('SELECT pg_sleep(4) IS NOT NULL');
ok(poll(q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%pg\_sleep%' AND state = 'active'
	AND pid <> pg_backend_pid()}), 'that is busy');
set('dbperf.pool = off');
is($busy->wait, 't', 'may end what it does');
ok(eventually(sub { state() eq 'off' }), 'then the pool is off');
nothing_left($node, 'and gone');
$_->quit foreach ($busy, $idle);

$node->psql('postgres', 'SELECT 1');
set('dbperf.pool = on');
pool_is_up();
$busy = pool_client('app');
$busy->send('SELECT pg_sleep(100)');
poll(q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%pg\_sleep%' AND state = 'active'
	AND pid <> pg_backend_pid()});
set('dbperf.pool = off');
ok(eventually(sub { state() eq 'off' }, 20), 'it does not wait for long');
nothing_left($node, 'and is gone, too');
$busy->quit;
set('dbperf.pool = on');
pool_is_up();

#
# The server ends
#
foreach my $mode ('fast', 'immediate', 'smart', 'kill')
{
	my @clients = map { pool_client('app') } 1 .. 3;

	if ($mode eq 'kill')
	{
		my $postmaster = $node->{_pid};

		$node->kill9;
		# its parent may take a while to notice
		eventually(sub { !kill 0, $postmaster });
	}
	else
	{
		my $begin = time;

		$node->stop($mode);
		cmp_ok(time - $begin, '<', 30, "$mode does not wait for clients of the pool");
	}
	nothing_left($node, "nothing is left after $mode");
	$_->quit foreach @clients;
	$node->start;
	ok(pool_is_up(), 'it begins with the server again');
	is(pool_sql('app', 'SELECT 1'), '1', 'and serves');
}

# one that hangs does not keep the server from ending
($pid) = pgbouncers();
kill 'STOP', $pid;
is(sql('SELECT 1'), '1', 'a PgBouncer that hangs');
sleep 2;
is(state(), 'running', 'its state can be read');
my $begin = time;
$node->stop('fast');
cmp_ok(time - $begin, '<', 20, 'the server ends nevertheless');
nothing_left($node, 'and nothing is left');
$node->start;
pool_is_up();

# a smart shutdown lets transactions end
$busy = pool_client('app');
$busy->send('SELECT pg_sleep(4) IS NOT NULL');
poll(q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%pg\_sleep%' AND state = 'active'
	AND pid <> pg_backend_pid()});
my $stopping = IPC::Run::start([ 'pg_ctl', '-D', $node->data_dir, '-m', 'smart', '-w', 'stop' ],
	'>', \my $out, '2>', \my $err);
is($busy->wait, 't', 'a smart shutdown lets transactions end');
IPC::Run::finish($stopping);
$node->_update_pid(0);
nothing_left($node, 'then it is over');
$busy->quit;
$node->start;
ok(pool_is_up(), 'and up again');

#
# Several processes
#
set('dbperf.pool = off', 'dbperf.pool_processes = 2');
ok(eventually(sub { state() eq 'off' }, 10), 'off');
ok(eventually(sub { sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'dbperf pool'}) eq '0' }, 10),
	'its worker takes no place any more');

# switched on again while it ends, or while its worker leaves
set('dbperf.pool = on');
foreach my $tenths (0 .. 7)
{
	pool_is_up(2) or last;
	set('dbperf.pool = off');
	sleep $tenths / 10;
	set('dbperf.pool = on');
	ok(pool_is_up(2), "switched on again after 0.$tenths s");
	is(of_pool('problem', 'process = 1'), '', 'without a problem');
	is(sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'dbperf pool'}), '1', 'and with one worker');
}
set('dbperf.pool = off');
ok(eventually(sub { state() eq 'off' }, 10), 'off again');
program('upgraded', 'exec ' . pgbouncer() . ' "$@"');
set("dbperf.pool_program = '$dir/upgraded'", 'dbperf.pool = on');
ok(pool_is_up(2), 'two processes');
is(scalar(pgbouncers()), 2, 'and no more');
is(of_pool('problem', 'process = 1'), '', 'without a problem');
like(of_pool('note', 'process = 1'), qr/cancel request/, 'what an old version cannot do is noted')
  if $version < 11900;

# clients that stay at each of them
my %client_of;
foreach (1 .. 100)
{
	last if keys %client_of == 2;
	my $client = pool_client('app');
	my ($at) = grep { my $n = $_; console($n, 'SHOW CLIENTS') =~ /^[^\n]*\|app\|/m && !$client_of{$n} } 1, 2;

	if (defined $at) { $client_of{$at} = $client }
	else { $client->quit }
}
is(join(' ', sort keys %client_of), '1 2', 'clients at both of them');
($pid) = split /\n/, of_pool('pid');
kill 'KILL', $pid;
ok($client_of{2}->is_alive, 'one is killed: the clients of the other do not notice');
ok(pool_is_up(2), 'both run again');
cmp_ok(scalar(pgbouncers()), '<=', 2, 'no more than two');
$_->quit foreach values %client_of;

# a cancel request comes to either of them
SKIP:
{
	skip 'this version has no peering', 2 if $version < 11900;

	my @clients = map { pool_client('app') } 1 .. 8;
	my @errors;

	$_->send('SELECT pg_sleep(50)') foreach @clients;
	ok( poll(q{SELECT count(*) = 8 FROM pg_stat_activity WHERE query LIKE '%pg\_sleep%'
			AND state = 'active' AND pid <> pg_backend_pid()}), 'eight statements');
	@errors = map { $_->cancel } @clients;
	is(scalar(grep { /canceling statement due to user request/ } @errors), 8, 'are cancelled');
}

# the program is replaced while there is a client; what takes place is told by
# a mark that the new one leaves
my $client = pool_client('app');
my @old = pgbouncers();
program('upgraded', "touch $dir/new.\$\$\nexec " . pgbouncer() . ' "$@"');
if ($drains)
{
	sql('SELECT dbperf.pool_restart()');
	ok(eventually(sub { my %now = map { $_ => 1 } pgbouncers(); !$now{$old[0]} || !$now{$old[1]} || of_pool('note') =~ /its clients/ }),
		'a restart is under way');
	# who is in the queue of a process that just then stops to listen tries again
	foreach (1 .. 20)
	{
		ok((grep { (pool_try('app', 'SELECT 1'))[0] == 0 } 1 .. 2) > 0, 'new clients are served') or last;
		sleep 0.1;
	}
	ok($client->is_alive, 'the old one, too');
	$client->quit;
	ok( eventually(sub { my %now = map { $_ => 1 } pgbouncers(); keys %now == 2 && !$now{$old[0]} && !$now{$old[1]} }),
		'then both are new');

	# somebody who cannot wait
	$client = pool_client('app');
	@old = pgbouncers();
	sql('SELECT dbperf.pool_restart()');
	ok(eventually(sub { of_pool('note', 'process = 1') =~ /ends when its clients have left/ }),
		'a restart waits for a client');
	cmp_ok(scalar(pgbouncers()), '<=', 2, 'never more than two');
}
else
{
	like(($node->psql('postgres', 'SELECT dbperf.pool_restart()'))[2],
		qr/cannot be restarted without dropping clients.*1\.23/s, 'it says what it needs');
}
sql('SELECT dbperf.pool_restart(true)');
ok( eventually(sub { my %now = map { $_ => 1 } pgbouncers(); keys %now == 2 && !$now{$old[0]} && !$now{$old[1]} }),
	'a restart that drops clients');
ok(pool_is_up(2), 'both run');
my @marks = glob "$dir/new.*";
cmp_ok(scalar(@marks), '>=', 2, 'and are of the new program');
is(of_pool('restarts', 'process = 2'), '0', 'that was no crash');
$client->quit;

# one that cannot be used keeps the old ones running, once no restart goes on
ok( eventually(sub { @old = pgbouncers(); sleep 1; "@old" eq join ' ', pgbouncers() }), 'both go on');
program('upgraded', 'exit 1');
sql('SELECT dbperf.pool_restart(true)');
sleep 1;
is( scalar(grep { my $pid = $_; grep { $_ == $pid } @old } pgbouncers()),
	2, 'a program that cannot be used is not taken');
program('upgraded', 'exec ' . pgbouncer() . ' "$@"');

# a process of the same user that shares the port is found out
set('dbperf.pool = off');
ok(eventually(sub { state() eq 'off' }, 10), 'off');
$stranger = IO::Socket::INET->new(
	LocalAddr => '127.0.0.1',
	LocalPort => pool_port(),
	ReuseAddr => 1,
	ReusePort => 1,
	Listen => 5) or die "listen: $!";
set('dbperf.pool = on');
problem_like(qr/port ${\pool_port()} of "127.0.0.1" is in use/, 'a stranger that would share the port');
close $stranger;
ok(pool_is_up(2), 'it goes');
$stranger = IO::Socket::INET->new(
	LocalAddr => '127.0.0.1',
	LocalPort => pool_port(),
	ReuseAddr => 1,
	ReusePort => 1,
	Listen => 5) or die "listen: $!";
problem_like(qr/another program shares port/, 'one that comes later');
close $stranger;
ok(eventually(sub { of_pool('problem', 'process = 1') eq '' }, 15), 'and goes again');
$node->stop;
nothing_left($node, 'nothing is left of several');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|signal (?!9)\d/, 'nothing crashed but what was killed');

#
# A standby has a pool of its own
#
my $primary = start_pool('primary', 'dbperf.pool_mode = transaction', allows_streaming => 1);
pool_role('app', 'secret');
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
my $port = PostgreSQL::Test::Cluster::get_free_port();
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->append_conf('postgresql.conf', "dbperf.pool_port = $port");
ok(!-e $standby->data_dir . '/pgsql_tmp_dbperf_pool', 'its files are not in a base backup');
$standby->start;
$primary->wait_for_catchup($standby);
use_pool($standby, $port);
ok(pool_is_up(), 'a standby has a pool');
is(pool_sql('app', 'SELECT pg_is_in_recovery()'), 't', 'that leads to it');
($pid) = pgbouncers();
$standby->promote;
is(pool_sql('app', 'SELECT pg_is_in_recovery()'), 'f', 'also after promotion');
is((pgbouncers())[0], $pid, 'it is the same process');
$standby->stop;
nothing_left($standby, 'it ends with the standby');
$primary->stop;
nothing_left($primary, 'and that of the primary with the primary');

done_testing();
