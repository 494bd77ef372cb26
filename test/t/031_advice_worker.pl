# The advisor's worker: it keeps index_advice in every database, gives way to
# DROP DATABASE, goes on after a crash, and writes nothing on a standby.  What
# it keeps survives pg_dump.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1, extra => [ '-E', 'UTF8', '--locale=C' ]);
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'dbperf,pg_stat_statements'
autovacuum = off
log_statement = none
max_worker_processes = 16
dbperf.advisor_interval = 0
});
$node->start;

# A table that one query reads again and again without an index.
sub load
{
	my ($database) = @_;

	$node->safe_psql(
		$database, q{
		CREATE TABLE orders (id int PRIMARY KEY, customer int, note text);
		INSERT INTO orders SELECT g, g % 5000, repeat('x', 50) FROM generate_series(1, 100000) AS g;
		ANALYZE orders;
		SELECT dbperf.query_latency_reset(NULL, current_database());
		SELECT pg_stat_reset();
	});
	ask($database);
	return;
}

sub ask
{
	my ($database, $column) = @_;

	$column //= 'customer';
	$node->safe_psql($database, "SELECT count(*) FROM orders WHERE $column = 17;\n" x 5);
	return;
}

sub poll
{
	my ($database, $sql) = @_;

	return $node->poll_query_until($database, $sql);
}

sub set
{
	$node->safe_psql('postgres', "ALTER SYSTEM SET $_[0]");
	$node->reload;
	return;
}

# After settings have changed: no visit goes on that began before.
sub visits_end
{
	my ($databases) = @_;

	sleep(2);
	poll('postgres', "SELECT count(*) = 0 FROM pg_stat_activity
		 WHERE backend_type = 'dbperf advisor' AND datname IN ($databases)");
	return;
}

my $advice = q{SELECT count(*) = 1 FROM dbperf.index_advice
	WHERE schema_name = 'public' AND table_name = 'orders' AND key_columns = '{customer}'
	  AND status = 'open'};

foreach my $database (qw(one two))
{
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, 'CREATE EXTENSION dbperf CASCADE');
	load($database);
}
$node->safe_psql('postgres', 'CREATE DATABASE without_extension');

#
# Off; then on, in all databases
#
sleep(1);
is($node->safe_psql('one', 'SELECT count(*) FROM dbperf.index_advice'), '0', 'nothing while it is off');
set(q{dbperf.advisor_interval = '1s'});
ok(poll($_, $advice), "advice in database $_") foreach qw(one two);
ok( poll('one', q{
		SELECT count(*) = 2 FROM dbperf.advisor_status
		WHERE database_name IN ('one', 'two') AND statements > 0 AND advice = 1 AND complete
		  AND last_error IS NULL AND duration_ms > 0 AND next_run_at IS NOT NULL}),
	'the status shows both');
is($node->safe_psql('one', q{SELECT count(*) FROM dbperf.advisor_status
		WHERE database_name = 'without_extension'}), '0', 'and no other');
ok(poll('one', 'SELECT times_seen >= 3 FROM dbperf.index_advice'), 'it is seen again');
is($node->safe_psql('one', 'SELECT count(*) FROM dbperf.index_advice'), '1', 'in the same row');
$node->safe_psql('one', 'SELECT dbperf.dismiss_index_advice(id) FROM dbperf.index_advice');
my $seen = $node->safe_psql('one', 'SELECT times_seen FROM dbperf.index_advice');
ok(poll('one', "SELECT status = 'dismissed' AND times_seen > $seen + 1 FROM dbperf.index_advice"),
	'dismissed advice stays dismissed');
$node->safe_psql('one', 'SELECT dbperf.undismiss_index_advice(id) FROM dbperf.index_advice');

#
# Measurements, an hour apart
#
ok( poll('one', q{
		SELECT count(*) = 1 FROM dbperf.index_advice_measurements
		WHERE tables = '{public.orders}' AND calls >= 5 AND total_ms > 0}),
	'the query is measured, with its table');

#
# Applied by itself, open again, obsolete
#
$node->safe_psql('one', 'CREATE INDEX by_hand ON orders (customer, note)');
ok(poll('one', q{SELECT status = 'applied' AND index_name = 'by_hand' FROM dbperf.index_advice}),
	'an index made by hand applies the advice');
$node->safe_psql('one', 'DROP INDEX by_hand');
ok(poll('one', $advice), 'and its drop opens it again');
$node->safe_psql('one', 'SELECT dbperf.query_latency_reset(NULL, current_database()),
	pg_stat_statements_reset()');
$node->safe_psql('one', 'SELECT count(*) FROM orders WHERE id = 3');
ok(poll('one', q{SELECT status = 'obsolete' AND times_missed >= 3 FROM dbperf.index_advice}),
	'what is not proposed any more becomes obsolete');
ask('one');
ok(poll('one', $advice), 'and open when it is proposed again');
$node->safe_psql('one', 'ALTER TABLE orders RENAME COLUMN customer TO buyer');
ok(poll('one', q{SELECT status = 'obsolete' FROM dbperf.index_advice WHERE key_columns = '{customer}'}),
	'advice for a column that is gone is obsolete');

#
# Only the databases that are listed
#
set(q{dbperf.advisor_databases = 'two'});
visits_end(q{'one'});
my $runs = 'SELECT started_at FROM dbperf.advisor_runs';
my ($run_one, $run_two) = ($node->safe_psql('one', $runs), $node->safe_psql('two', $runs));
ok(poll('two', "SELECT started_at > '$run_two' FROM dbperf.advisor_runs"), 'a listed database');
is($node->safe_psql('one', $runs), $run_one, 'one that is not');
my ($rc, $out, $err) =
  $node->psql('postgres', q{ALTER SYSTEM SET dbperf.advisor_databases = '"one'});
like($err, qr/List syntax is invalid/, 'a list that is none is refused');

#
# DROP DATABASE while it works there
#
set('dbperf.advisor_databases = DEFAULT');
foreach my $i (1 .. 5)
{
	$node->safe_psql('postgres', 'CREATE DATABASE brief');
	$node->safe_psql('brief', 'CREATE EXTENSION dbperf CASCADE');
	load('brief');
	ok(poll('brief', 'SELECT count(*) > 0 FROM dbperf.advisor_runs'), "the worker is there ($i)");
	$node->safe_psql('postgres', 'DROP DATABASE brief');
	pass("DROP DATABASE ($i)");
}

#
# A database that cannot be used does not stop the others
#
$node->safe_psql('one', 'ALTER TABLE dbperf.advisor_runs RENAME TO elsewhere');
$run_two = $node->safe_psql('two', $runs);
ok(poll('two', "SELECT started_at > '$run_two'::timestamptz + interval '3 s' FROM dbperf.advisor_runs"),
	'a broken database does not stop the others');
$node->safe_psql('one', 'ALTER TABLE dbperf.elsewhere RENAME TO advisor_runs');
my $session = $node->background_psql('one');
$session->query_safe('BEGIN; LOCK TABLE dbperf.index_advice IN ACCESS EXCLUSIVE MODE;');
sleep(6);
$run_two = $node->safe_psql('two', $runs);
ok(poll('two', "SELECT started_at > '$run_two'::timestamptz + interval '3 s' FROM dbperf.advisor_runs"),
	'nor does one whose table is locked');
$session->query_safe('COMMIT');
$session->quit;

#
# A crash
#
$node->stop('immediate');
$node->start;
$run_two = $node->safe_psql('two', $runs);
ok(poll('two', "SELECT started_at > '$run_two' FROM dbperf.advisor_runs"), 'it goes on after a crash');

#
# Dump and restore
#
set('dbperf.advisor_interval = 0');
visits_end(q{'one', 'two'});
$node->safe_psql('two', 'SELECT dbperf.dismiss_index_advice(id) FROM dbperf.index_advice');
my $rows = q{SELECT id, identity, status, times_seen FROM dbperf.index_advice ORDER BY id};
my $before = $node->safe_psql('two', $rows);
my $dump = $node->basedir . '/two.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('two') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('restored') ],
	'restore');
is($node->safe_psql('restored', $rows), $before, 'advice survives');
$node->safe_psql('restored', q{
	INSERT INTO dbperf.index_advice (schema_name, table_name, access_method, key_columns, identity, ddl)
	VALUES ('public', 'orders', 'btree', '{note}', 'ON public.orders USING btree (note)', '')});
is($node->safe_psql('restored', 'SELECT count(DISTINCT id) > 1 FROM dbperf.index_advice'),
	't', 'and its ids go on');

#
# A standby reads and writes nothing
#
set(q{dbperf.advisor_interval = '1s'});
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
($rc, $out, $err) = $standby->psql('two', 'SELECT dbperf.apply_index_advice(1)');
like($err, qr/cannot execute dbperf\.apply_index_advice\(\) during recovery/, 'no build on a standby');
($rc, $out, $err) = $standby->psql('two', 'SELECT dbperf.refresh_index_advice()');
like($err, qr/cannot execute dbperf\.refresh_index_advice\(\) during recovery/, 'no refresh either');
($rc, $out, $err) = $standby->psql('two', 'SELECT dbperf.dismiss_index_advice(1)');
like($err, qr/cannot execute dbperf\.dismiss_index_advice\(\) during recovery/, 'nor a decision');
is($standby->safe_psql('two', 'SELECT count(*) FROM dbperf.index_advice'), '1', 'advice can be read');
is( $standby->safe_psql('two', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'dbperf launcher'}),
	'0', 'there is no launcher');
$node->stop;
$standby->promote;
ok( $standby->poll_query_until('two',
		q{SELECT count(*) = 1 FROM dbperf.advisor_status WHERE database_name = 'two' AND last_run_at IS NOT NULL}),
	'a promoted standby begins');

$standby->stop;
foreach ($node, $standby)
{
	unlike(slurp_file($_->logfile), qr/PANIC|TRAP|terminated by signal/, 'nothing crashed');
}
done_testing();
