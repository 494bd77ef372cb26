# Several databases of one server: encodings, settings of roles and databases,
# and what a plain role sees of other databases.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '-E', 'UTF8', '--locale=C' ]);
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'dbperf'
autovacuum = off
log_statement = none
});
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE DATABASE utf8 ENCODING 'UTF8' TEMPLATE template0 LOCALE 'C';
	CREATE DATABASE latin1 ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C';
	CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C';
	CREATE DATABASE plain;
	CREATE ROLE alice LOGIN;
	CREATE ROLE bob LOGIN;
	CREATE ROLE watcher LOGIN;
	GRANT pg_read_all_stats TO watcher;
});
$node->safe_psql($_, 'CREATE EXTENSION dbperf CASCADE') foreach qw(utf8 latin1 ascii);

# Runs psql with its bytes as they are.
sub raw
{
	my ($database, $sql, $encoding) = @_;
	my ($out, $err) = ('', '');

	local $ENV{PGCLIENTENCODING} = $encoding // 'SQL_ASCII';
	IPC::Run::run(
		[
			$node->installed_command('psql'), '-XAtq', '-v', 'ON_ERROR_STOP=1', '-h',
			$node->host, '-p', $node->port, '-d', $database
		],
		'<', \$sql, '>', \$out, '2>', \$err);
	is($err, '', "no error in $database");
	chomp $out;
	return $out;
}

# The marked texts of a database, as bytes of the reader's encoding.
sub texts
{
	my ($reader, $database) = @_;

	return raw($reader,
		"SELECT query FROM dbperf.slow_queries WHERE database_name = '$database'
		 AND query LIKE '%marked%' AND query NOT LIKE '%dbperf%' ORDER BY id");
}

#
# Encodings: e acute and the euro sign, which LATIN1 does not have
#
my ($e_utf8, $euro_utf8, $e_latin1) = ("\xc3\xa9", "\xe2\x82\xac", "\xe9");

raw('utf8', "SET dbperf.slow_query_min_duration = 0;\nSELECT 'marked $e_utf8$euro_utf8!'");
raw('latin1', "SET dbperf.slow_query_min_duration = 0;\nSELECT 'marked $e_latin1!'");
raw('ascii', "SET dbperf.slow_query_min_duration = 0;\nSELECT 'marked \xe9\xff!'");

is(texts('utf8', 'utf8'), "SELECT 'marked $e_utf8$euro_utf8!'", 'UTF8 read in UTF8');
is(texts('utf8', 'latin1'), "SELECT 'marked $e_utf8!'", 'LATIN1 read in UTF8');
is(texts('utf8', 'ascii'), "SELECT 'marked ??!'", 'SQL_ASCII read in UTF8');
is(texts('latin1', 'utf8'), "SELECT 'marked $e_latin1?!'", 'UTF8 read in LATIN1');
is(texts('latin1', 'latin1'), "SELECT 'marked $e_latin1!'", 'LATIN1 read in LATIN1');
is(texts('latin1', 'ascii'), "SELECT 'marked \xe9\xff!'", 'SQL_ASCII read in LATIN1');
is(texts('ascii', 'utf8'), "SELECT 'marked $e_utf8$euro_utf8!'", 'UTF8 read in SQL_ASCII');
is(texts('ascii', 'latin1'), "SELECT 'marked $e_latin1!'", 'LATIN1 read in SQL_ASCII');

# bytes that are no UTF8 can be in what a client calls itself, and in samples
raw('ascii',
	"SET dbperf.slow_query_min_duration = 0; SET application_name = 'app';\n"
	  . "SELECT 'marked too \xc3'");
foreach my $view (qw(slow_queries query_samples query_latency running_queries monitor_status))
{
	my $count = raw('utf8', "SELECT count(s::text) > 0 FROM dbperf.$view AS s", 'UTF8');
	is($count, 't', "$view can be read in UTF8");
}
is( raw('utf8',
		q{SELECT count(*) FROM dbperf.query_samples
		  WHERE database_name = 'ascii' AND query LIKE '%marked ??!%'}),
	'1',
	'samples of SQL_ASCII read in UTF8');

#
# A database without the extension is watched, too
#
$node->safe_psql('plain', 'SELECT pg_sleep(0.15) AS in_plain');
is( $node->safe_psql(
		'utf8', q{
		SELECT database_name, user_name = current_user FROM dbperf.slow_queries
		WHERE query LIKE '%AS in\_plain'}),
	'plain|t',
	'a database without the extension is recorded');

#
# Settings of databases and roles
#
$node->safe_psql(
	'postgres', q{
	ALTER DATABASE latin1 SET dbperf.slow_query_min_duration = -1;
	ALTER DATABASE plain SET dbperf.slow_query_min_duration = 0;
	ALTER ROLE alice SET dbperf.slow_query_min_duration = 0;
	ALTER ROLE alice SET dbperf.track = 'all';
	ALTER ROLE bob SET dbperf.track = 'none';
	ALTER ROLE alice IN DATABASE utf8 SET dbperf.redact = 'literals';
});

sub recorded
{
	my ($query) = @_;

	return $node->safe_psql('utf8',
		"SELECT coalesce(string_agg(query, ', ' ORDER BY id), 'none') FROM dbperf.slow_queries
		 WHERE query ~ '$query' AND query !~ 'dbperf'");
}

$node->safe_psql('latin1', 'SELECT pg_sleep(0.15) AS not_here');
is(recorded('not_here'), 'none', 'ALTER DATABASE turns it off');
$node->safe_psql('plain', 'SELECT 1 AS quick');
is(recorded('AS quick'), 'SELECT 1 AS quick', 'ALTER DATABASE records all');
$node->safe_psql('plain', 'SELECT pg_sleep(0.15) AS by_bob', extra_params => [ '-U', 'bob' ]);
is(recorded('by_bob'), 'none', 'ALTER ROLE turns it off');
$node->safe_psql(
	'plain', q{DO 'BEGIN PERFORM 1 AS in_do; END'},
	extra_params => [ '-U', 'alice' ]);
is(recorded('^SELECT 1 AS in_do'), 'SELECT 1 AS in_do', 'ALTER ROLE follows nested statements');
$node->safe_psql('utf8', q{SELECT 'secret' AS by_alice}, extra_params => [ '-U', 'alice' ]);
unlike(recorded('by_alice'), qr/secret/, 'ALTER ROLE IN DATABASE redacts');
like(recorded('by_alice'), qr/AS by_alice$/, 'and records');

my ($rc, $out, $err) = $node->psql(
	'utf8', 'SET dbperf.track = none',
	extra_params => [ '-U', 'alice' ]);
like($err, qr/permission denied to set parameter "dbperf\.track"/, 'a plain role may not hide itself');

#
# A plain role sees its own statements of all databases, and no other text
#
sub seen
{
	my ($role, $what) = @_;

	return $node->safe_psql(
		'utf8',
		"SELECT $what FROM dbperf.slow_queries",
		extra_params => [ '-U', $role ]);
}

$node->safe_psql('ascii', q{SELECT 'own of alice'}, extra_params => [ '-U', 'alice' ]);
is(seen('alice', q{count(*) FILTER (WHERE query = $$SELECT 'own of alice'$$) || '/' || min(database_name)
	FILTER (WHERE query = $$SELECT 'own of alice'$$)}),
	'1/ascii', 'a role sees its own text of another database');
is(seen('alice', q{bool_and(query = '<insufficient privilege>' AND parameters IS NULL
	AND plan IS NULL) FILTER (WHERE user_name <> 'alice')}),
	't', 'of others it sees no text');
is(seen('bob', q{bool_and(query = '<insufficient privilege>')}), 't', 'bob has nothing of his own');
is(seen('watcher', q{count(*) FILTER (WHERE query = '<insufficient privilege>') || '/'
	|| count(*) FILTER (WHERE query = $$SELECT 'own of alice'$$)}),
	'0/1', 'a member of pg_read_all_stats sees all');
is( $node->safe_psql(
		'utf8', q{
		SELECT bool_and(query = '<insufficient privilege>') FROM dbperf.query_samples
		WHERE user_name <> 'alice'}, extra_params => [ '-U', 'alice' ]),
	't',
	'nor of samples');

# a database and a role that are gone leave records without names
$node->safe_psql('postgres', 'DROP DATABASE plain; DROP ROLE bob');
is( $node->safe_psql(
		'utf8', q{
		SELECT database_name IS NULL FROM dbperf.slow_queries WHERE query LIKE '%AS in\_plain'}),
	't',
	'records of a dropped database can be read');

$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|was terminated by signal/, 'nothing crashed');
done_testing();
