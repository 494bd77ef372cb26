# What the pool is configured with: limits of databases and roles, the rules of
# pg_hba.conf, TLS, lines of one's own; and what it says of all that is wrong.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use DbperfTest;
use PoolTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $version = pgbouncer_version();
my $node = start_pool(
	'main', q{
dbperf.pool_mode = transaction
dbperf.pool_processes = 2
dbperf.pool_size = 5
max_connections = 60
});
my $user = sql('SELECT current_user');
my $rules = $node->data_dir . '/pg_hba.conf';

sub login
{
	my ($role, %options) = @_;

	return (pool_try($role, 'SELECT 1', %options))[0];
}

# Tests that what is wrong comes to be said, or not to be.
sub says
{
	my ($pattern, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $said = eventually(sub { of_pool('config_error', 'process = 1') =~ $pattern });
	diag(of_pool('config_error', 'process = 1')) if !$said;
	return ok($said, $name);
}

# What the console of the first process says of something, by column.
sub entry
{
	my ($command, $name) = @_;
	my $directory = of_pool('console', 'process = 1');
	my $text = pool_sql('pgbouncer', "\\a\n\\pset format csv\n\\pset tuples_only off\n$command",
		host => $directory, database => 'pgbouncer');
	my ($head, @rows) = map { [ split /,/, $_, -1 ] } grep { /,/ } split /\n/, $text;
	my %found;

	foreach my $row (@rows)
	{
		@found{@$head} = @$row if $row->[0] eq $name;
	}
	return \%found;
}

sub write_rules
{
	unlink $rules;
	append_to_file($rules, join '', map { "$_\n" } qq{local all "$user" trust}, @_);
	$node->reload;
	return;
}

sub set_and_reload
{
	$node->append_conf('postgresql.conf', join '', map { "$_\n" } @_);
	$node->reload;
	return;
}

pool_role('app', 'secret');
pool_role('team_member', 'secret');
pool_role('stranger', 'secret');
sql('CREATE DATABASE shop');
sql('CREATE DATABASE team');
sql('CREATE ROLE team');
sql('GRANT team TO team_member');
says(qr/^$/, 'nothing is wrong at first');

# ---- limits ----

my $client = pool_client('app', database => 'shop');
sql(q{INSERT INTO dbperf.pool_databases (database_name, pool_mode, pool_size, max_server_connections)
	VALUES ('shop', 'session', 3, 7)});
ok(eventually(sub { (entry('SHOW DATABASES', 'shop')->{pool_size} // '') eq '2' }, 15),
	'a database has a size of its own, shared by the processes');
my $shop = entry('SHOW DATABASES', 'shop');
is($shop->{pool_mode}, 'session', 'and its mode');
is($shop->{max_connections}, '4', 'and its limit');
ok($client->is_alive, 'its clients do not notice');

sql(q{INSERT INTO dbperf.pool_roles (role_name, pool_mode, max_server_connections)
	VALUES ('app', 'statement', 10)});
ok(eventually(sub { (entry('SHOW USERS', 'app')->{pool_mode} // '') eq 'statement' }, 15),
	'a role has a mode of its own');
ok( eventually(
		sub {
			my @begun = grep { (pool_try('app', "BEGIN;\nSELECT 1"))[0] == 0 } 1 .. 4;
			return login('app') == 0 && @begun == 0;
		},
		15),
	'which is in force');
sql(q{BEGIN; UPDATE dbperf.pool_databases SET pool_size = 50; ROLLBACK});
sleep 1.5;
is(entry('SHOW DATABASES', 'shop')->{pool_size}, '2', 'a change that was rolled back is none');
sql(q{UPDATE dbperf.pool_databases SET pool_size = 1000});
ok(eventually(sub { (entry('SHOW DATABASES', 'shop')->{pool_size} // '') eq '24' }, 15),
	'no pool is larger than all of them together');

sql(q{INSERT INTO dbperf.pool_databases (database_name, max_clients) VALUES ('nowhere', 3);
	INSERT INTO dbperf.pool_roles (role_name) VALUES ('nobody')});
says(qr/no database "nowhere"/, 'a database that does not exist is told of');
says(qr/role "nobody" does not exist/, 'and a role');
if ($version < 12400)
{
	says(qr/max_clients of "nowhere" in pool_databases needs PgBouncer 1\.24/,
		'and what this PgBouncer does not have');
}
else
{
	is(entry('SHOW DATABASES', 'nowhere')->{max_client_connections}, '2', 'clients are limited');
}
sql(q{DELETE FROM dbperf.pool_databases; DELETE FROM dbperf.pool_roles});
ok(eventually(sub { (entry('SHOW DATABASES', 'shop')->{pool_size} // '') eq '3' }, 15),
	'without its row a database is like all others');
ok(eventually(sub { (entry('SHOW USERS', 'app')->{pool_mode} // '') eq '' }, 15), 'and a role');
ok($client->is_alive, 'and its clients still do not notice');
$client->quit;

$node->append_conf('postgresql.conf', "dbperf.database = 'elsewhere'");
$node->reload;
says(qr/dbperf\.database "elsewhere" does not exist/, 'without dbperf.database there are none');
$node->append_conf('postgresql.conf', "dbperf.database = 'shop'");
$node->reload;
says(qr/database "shop" has no extension/, 'nor without the extension there');
$node->append_conf('postgresql.conf', "dbperf.database = 'postgres'");
$node->reload;
says(qr/^$/, 'then all is well again');

# ---- the server's own rules ----

write_rules('local all app peer', 'local all all scram-sha-256');
says(qr/line 2 of .*pg_hba\.conf has the method peer.* for "app": above it put a line like: local all "app" scram-sha-256/,
	'a line that keeps the pool out is named, and what to write');
write_rules('local all app reject', 'local all stranger,team_member scram-sha-256');
says(qr/no line of type local that lets the pool log in for "app"/, 'and that there is none');
write_rules('local all all');
says(qr/pg_hba\.conf is not valid.* line 2/, 'and that the file is not valid');
write_rules('local all all scram-sha-256');
says(qr/^$/, 'and nothing when all is well');

# ---- clients by their addresses ----

set_and_reload(q{dbperf.pool_auth = hba});
ok(eventually(sub { everywhere(sub { login('app') == 2 }) }, 15), 'without a rule nobody gets in');
write_rules(
	'local all all scram-sha-256',
	'host shop all all reject',
	'host all stranger samehost ident',
	'host all app 127.0.0.7/8 trust',
	'host samerole all 127.0.0.0 255.0.0.0 scram-sha-256',
	'host all all nowhere.invalid scram-sha-256',
	'hostgssenc all all all trust',
	'host postgres +team all scram-sha-256',
	'host all all 0.0.0.0/0 reject');
ok(eventually(sub { everywhere(sub { login('app') == 0 }) }, 15), 'who has a rule gets in');
is(login('app', password => 'wrong'), 2, 'trust asks for a password');
is(login('app', database => 'shop'), 2, 'an earlier line that rejects wins');
is(login('stranger'), 2, 'a method that the pool does not have rejects');
is(login('team_member'), 0, 'the members of a group get in');
is(login('team_member', database => 'team'), 0, 'and to the database called like it');
is(login('app', database => 'team'), 0, 'as does who has a rule for all');
says(qr/line 4 of .*: the pool does not have the method ident/, 'that method is told of');
says(qr/line 7 of .*: the pool does not know names of hosts, and leaves the line out/,
	'and a name of a host');
sql('REVOKE team FROM team_member');
ok(eventually(sub { everywhere(sub { login('team_member') == 2 }) }, 15), 'who leaves a group leaves the pool');
write_rules(
	'local all all scram-sha-256',
	'host all all nowhere.invalid reject',
	'host all all 127.0.0.1/32 scram-sha-256');
ok(eventually(sub { everywhere(sub { login('app') == 2 }) }, 15), 'a line that rejects a host by its name rejects all');
write_rules(
	'local all all scram-sha-256',
	'host all all 127.0.0.2/32 scram-sha-256');
sleep 1.5;
is(login('app'), 2, 'another address is another one');
set_and_reload(q{dbperf.pool_auth = file});
ok(eventually(sub { everywhere(sub { login('app') == 0 }) }, 15), 'without rules addresses do not matter');

# ---- lines of one's own ----

set_and_reload(
	q{dbperf.pool_extra_config = 'pkt_buf = 8192; listen_port = 1; tcp_keepalive=0;nonsense ;[users]; pool_mode = session'});
says(qr/cannot change listen_port/, 'a line that would change what others decide is refused');
says(qr/cannot change pool_mode/, 'so is one with a setting of its own');
says(qr/"nonsense" is not of the form/, 'and one that is none');
is(entry('SHOW CONFIG', 'tcp_keepalive')->{value}, '0', 'others are taken');
set_and_reload(q{dbperf.pool_extra_config = ''});
says(qr/^$/, 'and nothing is said without');

# ---- TLS ----

SKIP:
{
	my $data = $node->data_dir;

	# Makes the server's certificate.
	my $make = sub {
		my ($name, @options) = @_;
		my $made = run_log([
			'openssl', 'req', '-new', '-x509', '-days', '10', '-newkey', 'rsa:2048', '-subj',
			"/CN=$name", '-out', "$data/server.crt", '-keyout', "$data/server.key", @options ]);
		chmod 0600, "$data/server.key";
		return $made;
	};

	skip 'no openssl', 10 if !$make->('first', '-nodes');
	skip 'no TLS', 10 if sql(q{SELECT count(*) FROM pg_settings WHERE name = 'ssl_library' AND setting = 'OpenSSL'}) ne '1';

	# Whether a client gets in that trusts the certificate of that file only.
	my $trusted = sub {
		my ($file) = @_;

		local $ENV{PGSSLROOTCERT} = $file;
		return login('app', sslmode => 'verify-ca') == 0;
	};
	my $kept = "$data/../first.crt";

	is(login('app', sslmode => 'require'), 2, 'a server without TLS has a pool without');
	set_and_reload(q{ssl = on}, q{ssl_min_protocol_version = 'TLSv1.2'});
	ok(eventually(sub { everywhere(sub { $trusted->("$data/server.crt") }) }, 15), 'one that has it gives its certificate');
	is(login('app', sslmode => 'disable'), 0, 'nobody must use it');
	rename "$data/server.crt", $kept or die;
	$make->('second', '-nodes');
	$node->reload;
	ok(eventually(sub { everywhere(sub { $trusted->("$data/server.crt") }) }, 15), 'a new certificate is taken');
	ok(!$trusted->($kept), 'instead of the old one');
	rename "$data/server.crt", $kept or die;
	append_to_file("$data/server.crt", "no certificate\n");
	$node->reload;
	ok(eventually(sub { of_pool('problem', 'process = 1') =~ /has not taken the changed configuration.*TLS/ }, 15),
		'one that cannot be used is told of');
	ok($trusted->($kept), 'and the one before goes on');
	rename $kept, "$data/server.crt" or die;
	$node->reload;
	ok(eventually(sub { of_pool('problem', 'process = 1') eq '' }, 15), 'until there is a right one');

	write_rules('local all all scram-sha-256', 'hostssl all all all scram-sha-256');
	set_and_reload(q{dbperf.pool_auth = hba});
	ok( eventually(
			sub { login('app', sslmode => 'disable') == 2 && login('app', sslmode => 'require') == 0 },
			15),
		'hostssl is for those who use it');
	set_and_reload(q{dbperf.pool_auth = file});

	set_and_reload(q{ssl_passphrase_command = 'echo secret'},
		q{ssl_passphrase_command_supports_reload = on});
	$make->('third', '-passout', 'pass:secret');
	$node->reload;
	says(qr/no TLS: PgBouncer cannot use a key with a passphrase/, 'a key that it cannot use is told of');
	is(login('app', sslmode => 'disable'), 0, 'and the pool works');
}

is(sql('SELECT sum(restarts) FROM dbperf.pool_status'), '0', 'no process ended over all that');
nothing_crashed();
$node->stop;
nothing_left($node, 'the pool ends with the server');

done_testing();
