# A client from before SCRAM, TLS and prepared statements in pools: it speaks
# version 3.0 of the protocol, knows md5 and nothing else, and says no more of
# itself than role and database.
use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use FindBin;
use lib "$FindBin::RealBin/../perl";
use DbperfTest;
use IO::Socket::INET;
use PoolTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_pool('main', 'dbperf.pool_mode = transaction');

pool_role('app', 'secret');
sql(q{SET password_encryption = md5; CREATE ROLE old LOGIN PASSWORD 'from old times'});
append_to_file($node->data_dir . '/pg_hba.new', "local all old md5\n" . slurp_file($node->data_dir . '/pg_hba.conf'));
rename $node->data_dir . '/pg_hba.new', $node->data_dir . '/pg_hba.conf' or die;
$node->reload;

# One message of the server: its kind and what is in it.
sub message
{
	my ($socket) = @_;
	my ($kind, $length, $content) = ('', '', '');

	read($socket, $kind, 1) == 1 or return ('', '');
	read($socket, $length, 4) == 4 or return ('', '');
	$length = unpack('N', $length) - 4;
	read($socket, $content, $length) == $length or return ('', '') if $length > 0;
	return ($kind, $content);
}

# Sends a message; one without a kind begins a connection.
sub send_message
{
	my ($socket, $kind, $content) = @_;

	print $socket $kind . pack('N', 4 + length $content) . $content;
	return;
}

# Reads up to the end of what the server has to say: what is in its request for a
# password, if that is the end, and a line for each message that matters.
sub answer
{
	my ($socket) = @_;
	my @said;

	while (1)
	{
		my ($kind, $content) = message($socket);

		push @said, 'row ' . substr($content, 6) if $kind eq 'D';
		push @said, 'error ' . ($content =~ /\0M([^\0]*)/)[0] if $kind eq 'E';
		push @said, 'method ' . unpack('N', $content) if $kind eq 'R';
		push @said, 'done ' . ($content =~ /^([^\0]*)/)[0] if $kind eq 'C';
		push @said, 'end' if $kind eq '';
		return ($content, @said) if $kind eq 'R' && unpack('N', $content) != 0;
		return ('', @said) if $kind eq 'Z' || $kind eq '' || $kind eq 'E';
	}
}

# Logs in; the socket, and what was said last.
sub old_client
{
	my ($role, $password) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => pool_port(), Timeout => 20)
	  or die "no connection: $!";

	$socket->autoflush(1);
	send_message($socket, '', pack('nn', 3, 0) . "user\0$role\0database\0postgres\0\0");
	my ($request, @said) = answer($socket);
	if (@said && $said[-1] eq 'method 5')
	{
		my $salt = substr($request, 4, 4);

		send_message($socket, 'p', 'md5' . md5_hex(md5_hex($password . $role) . $salt) . "\0");
		(undef, @said) = answer($socket);
	}
	return ($socket, @said);
}

# The pool may not know the role yet.
my ($socket, @said);
ok( eventually(
		sub {
			($socket, @said) = old_client('old', 'from old times');
			return @said && $said[-1] eq 'method 0';
		}),
	'it gets in with an md5 secret');
send_message($socket, 'Q', "SELECT 40 + 2\0");
(undef, @said) = answer($socket);
is("@said", 'row 42 done SELECT 1', 'and has its answers');
send_message($socket, 'Q', "BEGIN; CREATE TABLE none.none (); COMMIT\0");
(undef, @said) = answer($socket);
is($said[-1], 'error schema "none" does not exist', 'and its errors');
$socket->close;

(undef, @said) = old_client('old', 'wrong');
like($said[-1], qr/^error .*password authentication failed/, 'not with a wrong password');

# a role whose secret is of another kind
(undef, @said) = old_client('app', 'secret');
is($said[-1], 'method 10', 'one with a SCRAM secret is asked for what it does not know');

# what asks for TLS first, or for encryption that nobody has, goes on without
$socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => pool_port()) or die;
$socket->autoflush(1);
foreach my $request (80877103, 80877104)
{
	my $reply = '';

	send_message($socket, '', pack('N', $request));
	read($socket, $reply, 1);
	is($reply, 'N', "request $request is answered with no");
}
send_message($socket, '', pack('nn', 3, 0) . "user\0old\0database\0postgres\0\0");
my (undef, @after) = answer($socket);
is($after[-1], 'method 5', 'and the login follows');
$socket->close;

# one that is older still
$socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => pool_port()) or die;
$socket->autoflush(1);
send_message($socket, '', pack('nn', 2, 0) . "\0" x 288);
(undef, @said) = answer($socket);
like($said[0], qr/^(error|end)/, 'version 2 of the protocol is refused');
$socket->close;

is(pool_sql('app', 'SELECT 1'), '1', 'the pool works for others');
nothing_crashed();
$node->stop;
done_testing();
