# Settings of single queries: at once in all sessions with their kept plans,
# after a restart, from a dump and on a standby; and never in a statement's way.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use DbperfTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('main', q{
plan_cache_mode = force_generic_plan
dbperf.maintenance = off
dbperf.track = all
}, allows_streaming => 1);

my $shown = q{SELECT current_setting('work_mem') AS shown};
my $by_id = 'SELECT v FROM items WHERE id = $1';
my $seq_scan = q{'{"enable_indexscan": false, "enable_bitmapscan": false}'};

sql(q{
	CREATE EXTENSION dbperf CASCADE;
	CREATE TABLE items (id int PRIMARY KEY, v int);
	INSERT INTO items SELECT g, g FROM generate_series(1, 2000) AS g;
	VACUUM ANALYZE items;
	CREATE FUNCTION looks_up(int) RETURNS int LANGUAGE plpgsql AS $$
	DECLARE
		result int;
	BEGIN
		SELECT v INTO result FROM items WHERE id = $1;
		RETURN result;
	END $$});

# The id under which a query was counted.
sub id_of
{
	my ($query) = @_;

	return sql("SELECT queryid FROM pg_stat_statements WHERE query = '$query'"
		  . ' AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())');
}

# A session with a prepared statement, whose plan it keeps.
sub session
{
	my ($server, %options) = @_;
	my $session = ($server // $node)->background_psql($options{database} // 'postgres', on_error_stop => 0);

	$session->set_query_timer_restart;
	if (!$options{bare})
	{
		$session->query("PREPARE by_id(int) AS $by_id");
		$session->query('EXECUTE by_id(1)');
	}
	return $session;
}

# How its prepared statement is executed, or is if it was not planned anew.
sub scan
{
	my ($session) = @_;

	return $session->query('EXPLAIN (COSTS OFF) EXECUTE by_id(1)') =~ /Index Scan/ ? 'index' : 'seq';
}

my $first = session();
my $second = session();
my $id = sql(q{SELECT queryid FROM pg_stat_statements WHERE query LIKE '%by_id(int) AS %'});
sql($shown);
my $shown_id = id_of($shown =~ s/'work_mem'/\$1/r);

#
# Kept plans
#
is(scan($first), 'index', 'without settings');
$second->query('BEGIN');
$second->query("SELECT dbperf.set_query_settings($id, $seq_scan)");
is(scan($second), 'seq', 'a change is seen by its own transaction');
is(scan($first), 'index', 'and by no other one');
$second->query('ROLLBACK');
is(scan($second), 'index', 'one that is rolled back is undone');
is(scan($first), 'index', 'and was never seen by others');

$second->query('BEGIN');
$second->query("SELECT dbperf.set_query_settings($id, $seq_scan)");
is(scan($first), 'index', 'one that is not committed yet');
$second->query('COMMIT');
is(scan($first), 'seq', 'the next execution after the commit is planned with it');
is(scan($second), 'seq', 'that of the session itself, too');
is(sql("PREPARE by_id(int) AS $by_id; EXPLAIN (COSTS OFF) EXECUTE by_id(1)") =~ /Seq Scan/,
	1, 'and that of a new session');
$second->query("SELECT dbperf.clear_query_settings($id)");
is(scan($first), 'index', 'no settings any more');

# the same for what functions keep: the scans tell which plan it was
sub scans_of_function
{
	my ($session) = @_;
	my $scans = q{SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'items'};
	my $before = sql($scans);

	$session->query('SELECT looks_up(5), pg_stat_force_next_flush()');
	$session->query('SELECT 1');
	return sql($scans) - $before;
}

is(scans_of_function($first), 0, 'a statement of a function');
my $in_function = sql(q{SELECT queryid FROM dbperf.query_samples
	WHERE NOT toplevel AND query LIKE 'SELECT v%FROM items WHERE id = $1'});
sql("SELECT dbperf.set_query_settings($in_function, $seq_scan)");
is(scans_of_function($first), 1, 'its plan is made anew at once');
sql("SELECT dbperf.clear_query_settings($in_function)");
is(scans_of_function($first), 0, 'and once more');

#
# The kill switch
#
sql("SELECT dbperf.set_query_settings($id, $seq_scan)");
is(scan($first), 'seq', 'with settings');
$first->query('SET dbperf.enabled = off');
is(scan($first), 'index', 'switched off in a session');
$first->query('SET dbperf.enabled = on');
is(scan($first), 'seq', 'and on');
set('dbperf.enabled = off');
is(scan($second), 'index', 'switched off in the server');
my $third = session();
is(scan($third), 'index', 'a session that begins so');
set('dbperf.enabled = on');
is(scan($second), 'seq', 'and on again');
is(scan($third), 'seq', 'which such a session hears of, too');

#
# Locks on the table
#
$second->query('BEGIN');
$second->query('LOCK TABLE dbperf.query_settings IN ACCESS EXCLUSIVE MODE');
$first->query(q{SET statement_timeout = '10s'});
is(scan($first), 'seq', 'a session does not wait for a lock on the table');
$third->quit;
$third = session();
is(scan($third), 'index', 'nor does a new one, which does without');
$second->query(qq{UPDATE dbperf.query_settings SET settings = '{"enable_sort": true}'});
is(scan($first), 'seq', 'nothing is changed before the commit');
$second->query('COMMIT');
is(scan($first), 'index', 'the change has come');
sql("SELECT dbperf.set_query_settings($id, $seq_scan)");
is(scan($third), 'seq', 'the new session has found its settings');

#
# Cancel, and the end of a session
#
my $sleeps = q{SELECT pg_sleep($1), current_setting($2)};
sql(q{SELECT pg_sleep(0), current_setting('work_mem')});
my $sleeps_id = id_of($sleeps);
sql(qq{SELECT dbperf.set_query_settings($sleeps_id, '{"work_mem": "9MB"}')});
my $pid = $first->query('SELECT pg_backend_pid()');
foreach my $level (0, 1)
{
	$first->query('BEGIN; SAVEPOINT s') if $level;
	$first->query_until(qr/began/, "\\echo began\nSELECT pg_sleep(60), current_setting('work_mem');\n");
	poll("SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $pid");
	sql("SELECT pg_cancel_backend($pid)");
	$first->query('ROLLBACK TO s') if $level;
	is($first->query('SHOW work_mem'), '4MB', 'cancelled ' . ($level ? 'in a subtransaction' : 'in a transaction'));
	$first->query('COMMIT') if $level;
}
is($first->query(q{SELECT pg_sleep(0), current_setting('work_mem')}), '|9MB', 'executed to its end');

#
# What cannot be used is told once
#
sql(qq{INSERT INTO dbperf.query_settings (queryid, settings) VALUES ($shown_id, '{"gone_setting": 1}')});
is(sql($shown), '4MB', 'a row that cannot be used') foreach 1 .. 3;
is(count_in_log(qr/settings of query $shown_id in database with OID \d+ are not used/), 1, 'is told once');
sql(qq{UPDATE dbperf.query_settings SET settings = '{"work_mem": "1MB"}' WHERE queryid = $shown_id});
is(sql($shown), '1MB', 'put right');

#
# Dump and restore
#
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('postgres') ], 'dumped');
sql('CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '-d', $node->connstr('restored'), $dump ], 'restored');
is(sql('restored', $shown), '1MB', 'settings are restored');
is( sql('restored', 'SELECT count(*) FROM dbperf.query_settings'),
	sql('SELECT count(*) FROM dbperf.query_settings'),
	'all of them');
is(sql('restored', 'SELECT count(*) FROM dbperf.query_settings_baseline'), 0, 'without counters');
sql('restored', 'TRUNCATE dbperf.query_settings');
$third->quit;
$third = session($node, database => 'restored', bare => 1);
is($third->query($shown), '4MB', 'none there');
$node->command_ok(
	[ 'pg_restore', '--data-only', '--disable-triggers', '-d', $node->connstr('restored'), '-n', 'dbperf', '-t', 'query_settings', $dump ],
	'restored once more, without triggers');
is($third->query($shown), '1MB', 'a session hears of that');
is(sql('template1', $shown), '4MB', 'other databases have their own');

#
# The extension comes and goes
#
$third->query('PREPARE kept AS ' . $shown);
is($third->query('EXECUTE kept'), '1MB', 'a plan is kept');
sql('restored', 'DROP EXTENSION dbperf');
is($third->query('EXECUTE kept'), '4MB', 'the extension is dropped');
sql('restored', 'CREATE EXTENSION dbperf');
is($third->query('EXECUTE kept'), '4MB', 'and made again');
sql('restored', qq{SELECT dbperf.set_query_settings($shown_id, '{"work_mem": "2MB"}')});
is($third->query('EXECUTE kept'), '2MB', 'with new settings');
$third->quit;

# somebody else's tables of these names
sql('CREATE DATABASE other');
sql('other', qq{
	CREATE SCHEMA dbperf;
	CREATE TABLE dbperf.query_settings (queryid bigint, settings jsonb, enabled bool);
	INSERT INTO dbperf.query_settings VALUES ($shown_id, '{"work_mem": "2MB"}', true)});
is(sql('other', $shown), '4MB', 'a table that is not the extension\'s');

#
# A standby
#
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
my $reader = session($standby);
is(scan($reader), 'seq', 'a standby has the settings');
sql("SELECT dbperf.clear_query_settings($id)");
$node->wait_for_catchup($standby);
is(scan($reader), 'index', 'they are cleared there, too');
sql("SELECT dbperf.set_query_settings($id, $seq_scan)");
$node->wait_for_catchup($standby);
is(scan($reader), 'seq', 'and given');
my ($rc, $out, $err) = $standby->psql('postgres', "SELECT dbperf.clear_query_settings($id)");
like($err, qr/read-only transaction/, 'they are not changed there');
is($standby->safe_psql('postgres', 'SELECT count(*) > 0 FROM dbperf.query_settings_effect'), 't', 'but can be looked at');
$reader->quit;
$standby->promote;
is($standby->safe_psql('postgres', $shown), '1MB', 'promoted');
$standby->stop;

#
# A restart, orderly and not
#
$_->quit foreach ($first, $second);
$node->restart;
is(sql($shown), '1MB', 'settings outlive a restart');
is( sql("SELECT calls_before > 0, calls_after FROM dbperf.query_settings_effect WHERE queryid = $id"),
	't|0', 'and so does what was before them');
$node->stop('immediate');
$node->start;
is(sql($shown), '1MB', 'and a crash');

nothing_crashed();
done_testing();
