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
dbperf.pool_query_wait_timeout = 3
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
ok(eventually(sub { of_pool('log') =~ /auto-database.*$words/ }, 5), 'their names get into the log');
sleep 1.5;
is(of_pool('problem'), '', 'and are not taken for words of the pool');

nothing_crashed();
$node->stop;

done_testing();
