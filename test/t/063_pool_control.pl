# The functions that tell the pool what to do: everywhere or nowhere, and
# whoever calls them can be cancelled.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use DbperfTest;
use IO::Socket::UNIX;
use POSIX ();
use PoolTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = start_pool(
	'main', q{
dbperf.pool_processes = 2
dbperf.pool_mode = transaction
dbperf.pool_size = 4
});

pool_role('app', 'secret');
sql(q{CREATE DATABASE "two ""words"""});

# What a statement fails with.
sub fails
{
	my ($sql, $message, $name) = @_;
	my ($status, $out, $err) = $node->psql('postgres', $sql);

	return like($err, $message, $name);
}

# In how many processes one sees that a database is paused: those that had clients
# of it.
sub paused
{
	my ($database) = @_;

	return scalar grep { (split /\|/)[0] eq $database && /\|1\|0$/ }
	  map { split /\n/, console($_, 'SHOW DATABASES') } 1, 2;
}

# The unix socket of a process.
sub socket_of
{
	my ($process) = @_;

	return sql("SELECT console || '/.s.PGSQL.' || port FROM dbperf.pool_status WHERE process = $process");
}

# ---- reload ----

is(sql('SELECT dbperf.pool_reload()'), 2, 'all processes read their files again');

# ---- pause ----

my $client = pool_client('app');
is($client->query('SELECT 1'), '1', 'a client');
sql(q{SELECT dbperf.pool_pause('postgres')});
cmp_ok(paused('postgres'), '>', 0, 'a database is paused');
is(sql('SELECT count(*) FROM dbperf.pool_servers'), 0, 'and has no server connections');
$client->send('SELECT 2');
ok(eventually(sub { sql(q{SELECT bool_or(paused AND clients_waiting > 0) FROM dbperf.pool_stats WHERE user_name IS NULL}) eq 't' }),
	'its clients wait, as one sees');
is(sql(q{SELECT dbperf.pool_resume('postgres')}), 't', 'until it is resumed');
is($client->wait, '2', 'and go on');
is(sql(q{SELECT dbperf.pool_resume('postgres')}), 'f', 'once is enough');
is(paused('postgres'), 0, 'nothing is paused');

# a name that needs quotes, and that no process knew
sql(q{SELECT dbperf.pool_pause('two "words"')});
my $held = IPC::Run::start(
	[ 'psql', '-X', '-A', '-t', '-d', pool_conninfo('app', database => 'two "words"'), '-c', 'SELECT 7' ],
	init => sub { $ENV{PGPASSWORD} = 'secret' },
	'<', \undef, '>', \my $out, '2>', \my $err, IPC::Run::timeout(60));
ok( eventually(
		sub { sql(q{SELECT sum(clients_waiting) FROM dbperf.pool_stats WHERE user_name IS NULL AND database_name = 'two "words"'}) eq '1' }
	),
	'somebody who comes to a paused database waits');
is($client->query('SELECT 3'), '3', 'others go on');
is(sql(q{SELECT dbperf.pool_resume('two "words"')}), 't', 'resumed');
$held->finish;
is($out, "7\n", 'it goes on') or diag($err);

# ---- what is refused ----

fails(q{SELECT dbperf.pool_pause('nowhere')}, qr/database "nowhere" does not exist/, 'no such database');
fails(q{SELECT dbperf.pool_reconnect('nowhere')}, qr/database "nowhere" does not exist/, 'nor to reconnect to');
is(sql(q{SELECT dbperf.pool_resume('nowhere')}), 'f', 'nor is it paused');
fails(q{BEGIN; SELECT dbperf.pool_pause('postgres')},
	qr/cannot be paused inside a transaction block/, 'it could wait for its own locks');
sql(q{GRANT EXECUTE ON FUNCTION dbperf.pool_pause(text) TO app});
like($client->query(q{SELECT dbperf.pool_pause('postgres')}),
	qr/cannot be paused through itself/, 'nor through the pool');
is(paused('postgres'), 0, 'nothing is paused');

# ---- a pause that waits ----

my $pauses = q{SELECT pid FROM pg_stat_activity WHERE state = 'active'
	AND query LIKE 'SELECT dbperf.pool_pause%' AND pid <> pg_backend_pid()};

# Waits until a statement of pool_pause() runs.
sub pausing
{
	return eventually(sub { sql($pauses) });
}

sub pause_in_background
{
	my ($err) = @_;

	return IPC::Run::start(
		[ 'psql', '-X', '-d', $node->connstr('postgres'), '-c', q{SELECT dbperf.pool_pause('postgres')} ],
		'<', \undef, '>', \my $out, '2>', $err);
}

foreach my $how (qw(cancel terminate))
{
	$client->query('BEGIN');
	$client->query('SELECT 1');
	my $run = pause_in_background(\my $err);
	my $pid = pausing();
	ok(eventually(sub { paused('postgres') > 0 }), 'a transaction holds it up');
	sql("SELECT pg_${how}_backend($pid)");
	$run->finish;
	like($err, $how eq 'cancel' ? qr/canceling statement/ : qr/terminating connection/,
		"then somebody does $how it");
	ok(eventually(sub { paused('postgres') == 0 }), 'and nobody stays paused');
	is($client->query('COMMIT'), '', 'the transaction goes on');
	is($client->query('SELECT 4'), '4', 'and the next one');
}

$client->query('BEGIN');
$client->query('SELECT 1');
my $run = pause_in_background(\$err);
pausing();
$client->query('COMMIT');
$run->finish;
is($err, '', 'it ends when the transaction ends');
cmp_ok(paused('postgres'), '>', 0, 'with all paused');
sql(q{SELECT dbperf.pool_resume('postgres')});

# somebody else ends it, from which PgBouncer's answer never comes
foreach my $how (q{SELECT dbperf.pool_resume('postgres')},
	q{SET statement_timeout = 500; SELECT dbperf.pool_pause('postgres')})
{
	$client->query('BEGIN');
	$client->query('SELECT 1');
	$run = pause_in_background(\$err);
	pausing();
	ok(eventually(sub { paused('postgres') > 0 }), 'a transaction holds it up');
	$node->psql('postgres', $how);
	ok(eventually(sub { !sql($pauses) }), 'a pause that is undone by somebody else ends')
	  or $run->signal('TERM');
	$run->finish;
	like($err, qr/could not pause.*no longer waited for.*Somebody has resumed it/s, 'with an error');
	is($client->query('COMMIT'), '', 'the transaction goes on');
	is(paused('postgres'), 0, 'and nobody stays paused');
}

# a process dies meanwhile
$client->query('BEGIN');
my $of_client = sql('SELECT process FROM dbperf.pool_clients WHERE server_pid IS NOT NULL');
$run = pause_in_background(\$err);
ok(eventually(sub { paused('postgres') > 0 }), 'a transaction holds it up');
kill 'KILL', sql("SELECT pid FROM dbperf.pool_status WHERE process = $of_client");
$run->finish;
like($err, qr/could not pause the connection pool for database "postgres"/, 'a process that dies fails it');
ok(pool_is_up(2), 'the process comes again');
ok(eventually(sub { paused('postgres') == 0 }), 'and nobody is paused');
$client->quit;

# ---- reconnect ----

$client = pool_client('app');
my $pid = $client->query('SELECT pg_backend_pid()');
sql(q{SELECT dbperf.pool_reconnect('postgres')});
ok( eventually(
		sub { sql("SELECT count(*) FROM pg_stat_activity WHERE pid = $pid") == 0 }),
	'server connections are renewed');
is($client->query('SELECT 5'), '5', 'which their clients do not notice');

# ---- killing a client ----

fails(q{SELECT dbperf.pool_kill_client('7')}, qr/"7" is not an id of a client/, 'no id');
if (pgbouncer_version() < 12400)
{
	fails(q{SELECT dbperf.pool_kill_client('1.7')},
		qr/ending a client's connection needs PgBouncer 1\.24/, 'an old PgBouncer cannot end clients');
	pass("nothing to do with version $_") foreach 1 .. 4;
}
else
{
	my $other = pool_client('app');
	$client->query('BEGIN');
	my $id = sql('SELECT id FROM dbperf.pool_clients WHERE server_pid IS NOT NULL');
	is(sql("SELECT dbperf.pool_kill_client('$id')"), 't', 'a client is ended');
	like($client->query('SELECT 1'), qr/ERROR/, 'it is gone');
	is($other->query('SELECT 6'), '6', 'others are not');
	fails("SELECT dbperf.pool_kill_client('$id')", qr/WARNING:  could not end/, 'once is enough');
	fails(q{SELECT dbperf.pool_kill_client('9.1')}, qr/WARNING:  could not end/, 'no such process');
	$other->quit;
}

# ---- a process that hangs ----

my @pids = pgbouncers();
kill 'STOP', $pids[0];
my $start = time;
fails('SELECT dbperf.pool_reload()', qr/Process \d: no answer within 5000 ms\./, 'who does not answer is named');
cmp_ok(time - $start, '<', 20, 'after a time');
fails(q{SET statement_timeout = '1s'; SELECT dbperf.pool_pause('postgres')},
	qr/canceling statement due to statement timeout/, 'a pause waits longer, but not for ever');
kill 'CONT', $pids[0];
ok(eventually(sub { paused('postgres') == 0 }), 'nobody stays paused');

# ---- something else in the place of a console ----

my $socket = socket_of(1);
rename $socket, "$socket.away" or die "$socket: $!";
my $listener = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => $socket, Listen => 5) or die "$socket: $!";
my $impostor = fork;
if ($impostor == 0)
{
	# lets everybody in, and answers that rows in the format of COPY follow
	while (my $connection = $listener->accept)
	{
		sysread $connection, my $startup, 1000;
		syswrite $connection, pack('a N N a N a', 'R', 8, 0, 'Z', 5, 'I');
		sysread $connection, my $query, 1000;
		syswrite $connection, pack('a N C n', 'H', 7, 0, 0);
		sysread $connection, $query, 1000;
	}
	POSIX::_exit(0);
}
fails(q{SET statement_timeout = '10s'; SELECT dbperf.pool_reload()},
	qr/Process 1: an answer that is not one to this command\./, 'an answer that makes no sense is none');
kill 'KILL', $impostor;
waitpid $impostor, 0;
close $listener;
rename "$socket.away", $socket or die "$socket: $!";
is(sql('SELECT dbperf.pool_reload()'), 2, 'the console is there again');

# ---- what the environment says of connections ----

{
	local $ENV{PGOPTIONS} = '-c work_mem=5MB';
	$node->restart;
}
ok(pool_is_up(2), 'the pool is there after a restart');
is(sql('SELECT dbperf.pool_reload()'), 2, 'PGOPTIONS of the server is not for consoles');

# ---- advice ----

like(sql(q{SELECT count(*) FROM dbperf.pool_advice()}), qr/^\d+$/, 'advice');

# ---- who may ----

sql('CREATE ROLE plain LOGIN');
foreach my $call ('reload()', q{pause('postgres')}, q{resume('postgres')}, q{reconnect('postgres')},
	q{kill_client('1.1')}, 'advice()')
{
	my ($function) = $call =~ /^(\w+)/;

	fails("SET ROLE plain; SELECT dbperf.pool_$call",
		qr/permission denied for function pool_$function/, "$function is not for everybody");
	next if $function eq 'advice';
	fails("SET ROLE pg_monitor; SELECT dbperf.pool_$call",
		qr/permission denied for function pool_$function/, 'nor for those who watch');
}

# ---- without a pool ----

$node->safe_psql('postgres', q{ALTER SYSTEM SET dbperf.pool = off});
$node->reload;
ok(eventually(sub { pgbouncers() == 0 }), 'the pool is switched off');
foreach my $call ('reload()', q{pause('postgres')}, q{resume('postgres')}, q{reconnect('postgres')},
	q{kill_client('1.1')})
{
	fails("SELECT dbperf.pool_$call", qr/the connection pool is not running/, "no pool, no $call");
}
is(sql('SELECT count(*) FROM dbperf.pool_clients'), 0, 'no clients');
is(sql('SELECT coalesce(sum(clients_active + servers_idle), 0) FROM dbperf.pool_stats'), 0, 'nothing is left');

$node->stop;
nothing_left($node, 'nothing runs');

done_testing();
