
=pod

=head1 NAME

PoolTest - what the TAP tests of the connection pool share

=head1 SYNOPSIS

  use FindBin;
  use lib "$FindBin::RealBin/../perl";
  use DbperfTest;
  use PoolTest;    # skips the whole test if there is no PgBouncer

  my $node = start_pool('main', q{dbperf.pool_processes = 2});
  pool_role('app', 'secret');
  is(pool_sql('app', 'SELECT 1'), '1', 'a client gets through');

  my $client = pool_client('app');
  is($client->query('SELECT current_user'), 'app', 'this one stays');
  $client->quit;

  $node->stop;
  nothing_left($node, 'the pool ends with the server');

=head1 DESCRIPTION

The program is the one that $ENV{DBPERF_PGBOUNCER} names, or that of Debian's
package.  What a test expects of a version it finds with pgbouncer_version().

Most tests are about one server: the one that start_pool() or use_pool() has
named last, which all other functions mean.  It is DbperfTest's, too.

Superusers come from anywhere without a password; all other roles need one,
over TCP and over the unix socket.  The pool listens on 127.0.0.1, and starts
with the server.

=cut

package PoolTest;

use strict;
use warnings;

use DbperfTest;
use Exporter 'import';
use IO::Socket::INET;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Socket;
use Test::More;
use Time::HiRes qw(sleep time);

our @EXPORT = qw(pgbouncer pgbouncer_version start_pool use_pool pool_port pool_is_up pool_role
  pool_conninfo pool_try pool_sql pool_client console pgbouncers of_pool eventually everywhere
  port_is_free nothing_left);

my $program = $ENV{DBPERF_PGBOUNCER} // '/usr/sbin/pgbouncer';
my ($node, $port, %passwords);

# psql with what it is always called with.
my @psql = ('psql', '-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-f', '-');

if (!-x $program)
{
	plan skip_all => 'there is no PgBouncer';
}

=pod

=head1 FUNCTIONS

=over

=item pgbouncer()

The path of the program.

=item pgbouncer_version()

Its version as a number: 12401 is 1.24.1.

=cut

sub pgbouncer
{
	return $program;
}

sub pgbouncer_version
{
	my ($version) = @_;

	$version //= `$program --version`;
	$version =~ /(\d+)\.(\d+)\.(\d+)/ or die "no version: $version";
	return $1 * 10000 + $2 * 100 + $3;
}

=pod

=item start_pool(NAME, SETTINGS, [INIT OPTIONS])

Makes and starts a server that has a pool, with these lines in postgresql.conf,
after those that make up a pool.  Creates the extension and waits until the
pool runs; does neither with the option bare => 1.  Returns the server.

=cut

sub start_pool
{
	my ($name, $settings, %options) = @_;
	my $bare = delete $options{bare};
	my $own = PostgreSQL::Test::Cluster::get_free_port();

	use_pool(
		start_node(
			$name, qq{
fsync = off
log_connections = off
dbperf.pool = on
dbperf.pool_program = '$program'
dbperf.pool_listen_addresses = '127.0.0.1'
dbperf.pool_port = $own
$settings}, %options), $own);
	write_rules();
	$node->reload;
	return $node if $bare;

	sql('CREATE EXTENSION dbperf CASCADE');
	pool_is_up() or die 'the pool does not start: ' . of_pool('problem');
	return $node;
}

# Superusers are trusted, all others need a password.
sub write_rules
{
	my $file = $node->data_dir . '/pg_hba.conf';
	my $user = $node->safe_psql('postgres', 'SELECT current_user');

	unlink $file;
	append_to_file(
		$file, qq{
local	all			"$user"	trust
local	replication	"$user"	trust
local	all			all		scram-sha-256
host	all			all		127.0.0.1/32	scram-sha-256
});
	return;
}

=pod

=item use_pool(NODE, [PORT])

Names another server that has a pool on that port.

=item pool_port()

The port of the pool.

=cut

sub use_pool
{
	($node, my $new) = @_;

	$port = $new // $node->safe_psql('postgres', 'SHOW dbperf.pool_port');
	return;
}

sub pool_port
{
	return $port;
}

=pod

=item of_pool(COLUMN, [CONDITION])

What dbperf.pool_status says, of all processes, one line each.

=item pool_is_up([PROCESSES])

Waits until that many processes of the pool run, or all that are wanted.
Returns whether they did in time.

=cut

sub of_pool
{
	my ($column, $condition) = @_;

	return $node->safe_psql('postgres',
		"SELECT $column FROM dbperf.pool_status WHERE " . ($condition // 'true') . ' ORDER BY process');
}

sub pool_is_up
{
	my ($processes) = @_;

	return $node->poll_query_until('postgres',
		"SELECT count(*) FILTER (WHERE state = 'running') = " . ($processes // 'count(*)')
		  . ' FROM dbperf.pool_status');
}

=pod

=item pool_role(NAME, PASSWORD, [OPTIONS])

Creates a role that can log in, with more options of CREATE ROLE, and waits
until the pool lets it in.  Clients with this name use the password by
themselves.

=cut

sub pool_role
{
	my ($name, $password, $options) = @_;
	(my $quoted = $password) =~ s/'/''/g;
	(my $identifier = $name) =~ s/"/""/g;

	$node->safe_psql('postgres',
		qq{CREATE ROLE "$identifier" LOGIN PASSWORD '$quoted' } . ($options // ''));
	$passwords{$name} = $password;
	eventually(sub { everywhere(sub { (pool_try($name, 'SELECT 1'))[0] == 0 }) })
	  or die "role $name cannot log in: " . (pool_try($name, 'SELECT 1'))[2];
	return;
}

=pod

=item pool_conninfo(USER, [database => 'postgres', host => '127.0.0.1', port => ...])

The connection string of a client of the pool, without its password.

=cut

sub pool_conninfo
{
	my ($user, %options) = @_;
	my %values = (
		host => $options{host} // '127.0.0.1',
		port => $options{port} // $port,
		user => $user,
		dbname => $options{database} // 'postgres',
		sslmode => $options{sslmode} // 'disable',
		connect_timeout => 10);

	foreach my $value (values %values)
	{
		$value =~ s/([\\'])/\\$1/g;
	}
	return join ' ', map { "$_='$values{$_}'" } sort keys %values;
}

=pod

=item pool_try(USER, SQL, [password => ..., other options of pool_conninfo()])

Runs statements through the pool as psql does.  Returns psql's exit status (0
went well, 2 no connection, 3 a failed statement), its output and its errors.

=item pool_sql(USER, SQL, [the same options])

Returns the output.  Statements that fail end the test.

=cut

sub pool_try
{
	my ($user, $sql, %options) = @_;
	my $input = "${PostgreSQL::Test::Utils::tmp_check}/pool_try_$$.sql";
	my ($out, $err);

	# not through a pipe: a client that is refused ends before it reads
	open my $file, '>', $input or die "$input: $!";
	print $file $sql;
	close $file or die "$input: $!";
	local $ENV{PGPASSWORD} = $options{password} // $passwords{$user} // '';
	my $run = IPC::Run::start([ @psql, '-d', pool_conninfo($user, %options) ],
		'<', $input, '>', \$out, '2>', \$err, IPC::Run::timeout(60));
	IPC::Run::finish($run);
	chomp $out;
	return ($? >> 8, $out, $err);
}

sub pool_sql
{
	my ($user, $sql, %options) = @_;
	my ($status, $out, $err) = pool_try($user, $sql, %options);

	die "statement through the pool: $err" if $status != 0;
	return $out;
}

=pod

=item pool_client(USER, [the same options])

A client that stays connected: an object with query(SQL), which returns the
output, or "ERROR: ..." (the connection stays), send(SQL), which does not wait,
wait(), which returns what has been sent last says, cancel(), which cancels that
and returns the error (the client has ended then), is_alive() and quit().  Ends
the test if it cannot connect.

=cut

sub pool_client
{
	my ($user, %options) = @_;
	my $self = bless { in => '', out => '', err => '', asked => 0 }, 'PoolTest::Client';

	local $ENV{PGPASSWORD} = $options{password} // $passwords{$user} // '';
	$self->{timeout} = IPC::Run::timer(60);
	$self->{run} = IPC::Run::start(
		[ @psql, '-v', 'ON_ERROR_STOP=0', '-d', pool_conninfo($user, %options) ],
		'<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{err}, $self->{timeout});
	$self->query('SELECT 1') eq '1' or die "no connection for $user: $self->{said}";
	return $self;
}

=pod

=item console(PROCESS, COMMAND)

What the console of a process says, with psql's "|" between columns; processes
are numbered from 1.

=cut

sub console
{
	my ($process, $command) = @_;
	my $ini = $node->data_dir . "/pgsql_tmp_dbperf_pool/pool$process.ini";
	my ($directory) = slurp_file($ini) =~ /^unix_socket_dir\s*=\s*(.*?)\s*$/m;

	return pool_sql('pgbouncer', $command, host => $directory, database => 'pgbouncer');
}

=pod

=item pgbouncers([NODE])

The process ids of all PgBouncers that work with the server's files, whoever
started them, in order.

=cut

sub pgbouncers
{
	my $directory = ($_[0] // $node)->data_dir . '/pgsql_tmp_dbperf_pool/';
	my @found;

	foreach my $path (glob '/proc/[0-9]*/cmdline')
	{
		open my $file, '<', $path or next;
		my $line = <$file> // '';
		close $file;
		push @found, $path =~ /(\d+)/ if index($line, $directory) >= 0;
	}
	@found = sort { $a <=> $b } @found;
	return @found;
}

=pod

=item eventually(SUB, [SECONDS])

Calls it every tenth of a second until it returns something true.  Returns that,
or something false after that many seconds, or 30.

=cut

sub eventually
{
	my ($condition, $seconds) = @_;
	my $end = time + ($seconds // 30);

	while (1)
	{
		my $result = $condition->();

		return $result if $result || time > $end;
		sleep 0.1;
	}
}

=pod

=item everywhere(SUB)

Whether it returns something true several times: which process of the pool a client
comes to is chance, and each takes changes over by itself.

=cut

sub everywhere
{
	my ($condition) = @_;

	foreach (1 .. 6)
	{
		return 0 if !$condition->();
	}
	return 1;
}

=pod

=item port_is_free([PORT])

Whether nobody listens on the port of the pool, or that port.

=cut

sub port_is_free
{
	my $socket = IO::Socket::INET->new(
		LocalAddr => '127.0.0.1',
		LocalPort => $_[0] // $port,
		ReuseAddr => 1,
		Listen => 1);

	return defined $socket;
}

=pod

=item nothing_left(NODE, NAME)

Tests that soon there is no PgBouncer of the server any more, and nobody listens
on the port.

=cut

sub nothing_left
{
	my ($server, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;

	my $gone = eventually(sub { pgbouncers($server) == 0 && port_is_free() }, 10);
	diag('left: ' . join ' ', pgbouncers($server)) if !$gone;
	return ok($gone, $name);
}

=pod

=back

=cut

package PoolTest::Client;

use strict;
use warnings;

sub send
{
	my ($self, $sql) = @_;
	my $end = 'end of ' . ++$self->{asked};

	$self->{in} .= "$sql;\n\\if :ERROR\n\\echo ERROR: :LAST_ERROR_MESSAGE\n\\endif\n\\echo '$end'\n";
	$self->{run}->pump_nb;
	return;
}

sub wait
{
	my ($self) = @_;
	my $end = "end of $self->{asked}";

	$self->{timeout}->start(60);
	eval {
		$self->{run}->pump while $self->{out} !~ /^$end\n/m && !$self->{timeout}->is_expired;
	};
	$self->{said} = $self->{err};
	$self->{err} = '';
	my $out = $self->{out};
	$self->{out} = '';
	return "ERROR: $self->{said}" if $out !~ s/\n?^$end\n.*//ms;
	return $out;
}

sub query
{
	my ($self, $sql) = @_;

	$self->send($sql);
	return $self->wait;
}

sub cancel
{
	my ($self) = @_;

	$self->{run}->signal('INT');
	eval { $self->{run}->finish };
	return $self->{err};
}

sub is_alive
{
	my ($self) = @_;

	return $self->query('SELECT 1') eq '1';
}

sub quit
{
	my ($self) = @_;

	$self->{in} .= "\\q\n";
	eval { $self->{run}->finish };
	return;
}

1;
