# What holds vacuum up: sessions of two databases, a prepared transaction, slots
# and standbys; who may see it; and scripts/db_maintenance.sql.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use FindBin;
use lib "$FindBin::RealBin/../perl";
use DbperfTest;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use Test::More;

my $script = abs_path(dirname(__FILE__) . '/../../scripts/db_maintenance.sql');

my $primary = start_node(
	'primary', q{
shared_preload_libraries = 'dbperf'
max_prepared_transactions = 5
}, allows_streaming => 'logical');
sql(q{
	CREATE EXTENSION dbperf CASCADE;
	CREATE DATABASE "Other";
	CREATE ROLE watcher LOGIN IN ROLE pg_monitor;
	CREATE ROLE plain LOGIN;
	CREATE ROLE alice LOGIN;
	CREATE TABLE churn AS SELECT g AS n FROM generate_series(1, 1000) AS g;
});
sql('Other', 'CREATE EXTENSION dbperf CASCADE; CREATE TABLE written (n int)');

# What the view says of one row, in the database postgres.
sub blockers
{
	my ($where, $columns, $database) = @_;

	return sql($database, "SELECT $columns FROM dbperf.vacuum_blockers WHERE $where");
}

# A session that stays in a transaction.
sub hold
{
	my ($node, $database, $sql) = @_;
	my $session = $node->background_psql($database, on_error_stop => 1, timeout => 60);

	$session->query_safe("BEGIN ISOLATION LEVEL REPEATABLE READ; $sql");
	return $session;
}

# Waits for a change that a standby reports.
sub wait_for_row
{
	my ($where, $what) = @_;

	poll_ok("SELECT count(*) > 0 FROM dbperf.vacuum_blockers WHERE $where", $what);
}

#
# A writer in another database: no vacuum of this one waits for it, but every
# snapshot that is taken here does.
#
my $writer = hold($primary, 'Other', 'INSERT INTO written VALUES (1); SELECT pg_backend_pid();');
is( blockers(
		"database_name = 'Other'",
		"holder, affects, holds_horizon, state, role_name = current_user"),
	'session|all databases through snapshots|f|idle in transaction|t',
	'a writer elsewhere, nobody here has a snapshot');
is( sql('SELECT age, held_by IS NULL FROM dbperf.vacuum_horizon()'),
	'0|t', 'our own snapshot does not count, although it is as old as the writer');
sql('DELETE FROM churn WHERE n <= 10');
like(
	($primary->psql('postgres', 'VACUUM (VERBOSE) churn'))[2],
	qr/tuples: 10 removed/,
	'vacuum removes the rows that died meanwhile');

my $reader = hold($primary, 'postgres', 'SELECT count(*) FROM churn;');
is( blockers('holds_horizon', 'database_name, xid_source, affects'),
	"Other|xid|all databases through snapshots\npostgres|xmin|this database",
	'with a snapshot here both hold it, the writer first');
like(
	sql('SELECT held_by FROM dbperf.vacuum_horizon()'),
	qr/^process \d+ \(.*, database "Other", idle in transaction since \d+ s\): SELECT pg_terminate_backend\(\d+\)$/,
	'the writer is named');
$writer->query_safe('COMMIT');
is( blockers('holds_horizon', 'database_name, xid_source'),
	'postgres|xmin', 'the snapshot stays as old as it is');
is( blockers("database_name = 'postgres'", 'affects, holds_horizon', 'Other'),
	'shared tables|f', 'a reader in another database affects shared tables only');

# the remedy, as it is given
sql(sql('SELECT remedy FROM dbperf.vacuum_blockers WHERE holds_horizon'));
poll_ok('SELECT held_by IS NULL FROM dbperf.vacuum_horizon()', 'the remedy ends it');
$writer->quit;
$reader->{run}->finish;

#
# Processes that count for nothing, or as one
#
sub start_psql
{
	my (@statements) = @_;

	return IPC::Run::start(
		[
			$primary->installed_command('psql'), '-XAtq', '-h', $primary->host, '-p',
			$primary->port, '-d', 'postgres', map { ('-c', $_) } @statements
		],
		'>', '/dev/null', '2>', '/dev/null');
}

sql('CREATE TABLE big AS SELECT g AS n FROM generate_series(1, 10000) AS g');
my $vacuum = start_psql('SET vacuum_cost_limit = 1', 'SET vacuum_cost_delay = 100', 'VACUUM big');
poll_ok('SELECT count(*) = 1 FROM pg_stat_progress_vacuum', 'a vacuum runs');
is( sql(q{
		SELECT count(*), (SELECT count(*) FROM pg_stat_progress_vacuum JOIN pg_stat_activity
						  USING (pid) WHERE backend_xmin IS NOT NULL)
		FROM dbperf.vacuum_blockers}),
	'0|1', 'its snapshot is in nobody\'s way');
sql('SELECT pg_terminate_backend(pid) FROM pg_stat_progress_vacuum');
$vacuum->finish;

my $parallel = start_psql(
	'SET parallel_setup_cost = 0',
	'SET parallel_tuple_cost = 0',
	'SET min_parallel_table_scan_size = 0',
	'SELECT count(*) FROM big WHERE pg_sleep(0.1) IS NULL');
poll_ok(q{SELECT count(*) > 0 FROM pg_stat_activity
		  WHERE backend_type = 'parallel worker' AND backend_xmin IS NOT NULL},
	'a parallel query runs');
is(blockers('true', 'holder, state, remedy = format($$SELECT pg_cancel_backend(%s)$$, pid)'),
	'session|active|t', 'its leader stands for it');
sql(blockers('true', 'remedy'));
$parallel->finish;
poll_ok('SELECT count(*) = 0 FROM dbperf.vacuum_blockers', 'the remedy ends it');

#
# A prepared transaction, seen from both databases
#
sql('Other', "BEGIN; INSERT INTO written VALUES (2); PREPARE TRANSACTION 'left'");
is( blockers("holder LIKE 'prepared%'", 'name, database_name, affects, remedy'),
	q{left|Other|all databases through snapshots|run in database "Other": ROLLBACK PREPARED 'left'},
	'prepared elsewhere');
is( blockers("holder LIKE 'prepared%'", 'affects, holds_horizon, remedy', 'Other'),
	q{this database|t|ROLLBACK PREPARED 'left'}, 'prepared here');

#
# Rights
#
is( $primary->safe_psql(
		'postgres',
		q{SELECT name, role_name IS NOT NULL, remedy IS NOT NULL FROM dbperf.vacuum_blockers},
		extra_params => [ '-U', 'watcher' ]),
	'left|t|t', 'a member of pg_monitor sees it all');
is( $primary->safe_psql(
		'postgres',
		q{SELECT count(*) > 3 FROM dbperf.wraparound_forecast},
		extra_params => [ '-U', 'watcher' ]),
	't', 'and the forecast');
foreach my $object ('vacuum_blockers', 'vacuum_horizon()', 'wraparound_forecast', 'xid_consumption()')
{
	my ($rc, $out, $err) =
	  $primary->psql('postgres', "SELECT * FROM dbperf.$object", extra_params => [ '-U', 'plain' ]);
	like($err, qr/permission denied/, "a plain role cannot look at $object");
}
sql('Other', "ROLLBACK PREPARED 'left'");

#
# A logical slot: of catalogs only, and not for tables
#
sql(q{SELECT pg_create_logical_replication_slot('lagging', 'pgoutput')});
sql('CREATE TABLE later (n int)');
is( blockers("name = 'lagging'", 'holder, database_name, state, xid_source, age > 0, affects, holds_horizon, remedy'),
	q{replication slot|postgres|not in use|catalog_xmin|t|catalogs only|f|}
	  . q{start its consumer, or give it up: SELECT pg_drop_replication_slot('lagging')},
	'a logical slot');
is(sql('SELECT held_by IS NULL FROM dbperf.vacuum_horizon()'),
	't', 'tables do not wait for it');
sql(q{SELECT pg_drop_replication_slot('lagging')});

#
# A standby's feedback, without a slot and with one
#
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->append_conf(
	'postgresql.conf', q{
hot_standby_feedback = on
wal_receiver_status_interval = 1
});
$standby->start;
$primary->wait_for_catchup($standby);
$reader = hold($standby, 'postgres', 'SELECT count(*) FROM churn;');
sql('DELETE FROM churn WHERE n <= 20');
wait_for_row("holder = 'standby' AND age > 0", 'feedback without a slot');
is( blockers("holder = 'standby'", 'name, database_name IS NULL, affects, holds_horizon'),
	'standby|t|all databases|t', 'it is the standby by its name, for all databases');
my $remedy = blockers("holder = 'standby'", 'remedy');
# what is older than the standby's own snapshot has to be replayed there
$primary->wait_for_catchup($standby);
like($remedy, qr/^run on the standby: SELECT pg_terminate_backend\(pid\)/, 'the remedy is for the standby');
is( $standby->safe_psql(
		'postgres', q{SELECT holder, state, affects, dead_rows_pinned IS NULL, age > 0
					  FROM dbperf.vacuum_blockers}),
	'session|idle in transaction|the primary|t|t',
	'on the standby the session itself is named');
$remedy =~ s/^run on the standby: //;
is($standby->safe_psql('postgres', $remedy), 't', 'the remedy finds the session on the standby');
poll_ok('SELECT held_by IS NULL FROM dbperf.vacuum_horizon()', 'and ends it');
$reader->{run}->finish;


# the walsender's place keeps what the standby reported last
$reader = hold($standby, 'postgres', 'SELECT count(*) FROM churn;');
sql('DELETE FROM churn WHERE n <= 25');
wait_for_row("holder = 'standby' AND age > 0", 'feedback again');
$reader->quit;
$standby->stop('immediate');
poll_ok('SELECT count(*) = 0 FROM pg_stat_replication', 'the standby is gone');
is(blockers('true', 'count(*)'), '0', 'and holds nothing');
$standby->start;

sql(q{SELECT pg_create_physical_replication_slot('for_standby')});
$standby->append_conf('postgresql.conf', q{primary_slot_name = 'for_standby'});
$standby->reload;
poll_ok(q{SELECT active FROM pg_replication_slots WHERE slot_name = 'for_standby'},
	'the standby uses a slot');
$reader = hold($standby, 'postgres', 'SELECT count(*) FROM churn;');
sql('DELETE FROM churn WHERE n <= 30');
wait_for_row("name = 'for_standby' AND age > 0", 'feedback in a slot');
is( blockers('true', 'holder, state, xid_source, affects, holds_horizon'),
	'replication slot|in use|xmin|all databases|t', 'the slot, and not the standby a second time');
like(blockers('true', 'remedy'), qr/^run on the standby: /, 'the remedy is for the standby');
like(
	sql('Other', 'SELECT held_by FROM dbperf.vacuum_horizon()'),
	qr/^replication slot for_standby \(in use/, 'another database waits for it as well');
$reader->quit;
$standby->stop;
poll_ok(q{SELECT NOT active FROM pg_replication_slots WHERE slot_name = 'for_standby'},
	'the standby has left its slot');
like(blockers('true', 'remedy'),
	qr/^start its consumer, or give it up: SELECT pg_drop_replication_slot\('for_standby'\)$/,
	'without the standby the slot stays');
sql(q{SELECT pg_drop_replication_slot('for_standby')});
is(blockers('true', 'count(*)'), '0', 'nobody is left');

#
# scripts/db_maintenance.sql, in a database without the extension
#
my $bare = "it's bare";
sql(qq{CREATE DATABASE "$bare"});

# Runs the script; returns exit status, output, errors.
sub maintain
{
	my ($role, @options) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run(
		[
			$primary->installed_command('psql'), '-X', '-h', $primary->host, '-p', $primary->port,
			'-U', $role, '-d', $bare, @options, '-f', $script
		],
		'>', \$out, '2>', \$err);
	return ($? >> 8, $out, $err);
}

my $superuser = sql('SELECT current_user');
my ($status, $out, $err) = maintain($superuser);
is($status, 0, 'an empty database');
($status, $out, $err) = maintain($superuser);
is($out, "Nothing is due.\n", 'and nothing is left to do');

# thresholds may be 0, for a table without rows as well
sql($bare, q{
	CREATE TABLE nothing (n int) WITH (autovacuum_vacuum_threshold = 0,
		autovacuum_vacuum_insert_threshold = 0, autovacuum_analyze_threshold = 0);
	CREATE TABLE eager (n int) WITH (autovacuum_vacuum_threshold = 0,
		autovacuum_vacuum_scale_factor = 0);
});
($status, $out, $err) = maintain($superuser);
is("$status $err", '0 ', 'thresholds of 0');
sql($bare, 'DROP TABLE nothing, eager');

sql($bare, q{
	CREATE SCHEMA "S'x" AUTHORIZATION alice;
	SET ROLE alice;
	CREATE TABLE "S'x"."T ""a';\q" AS SELECT g AS "Col 1" FROM generate_series(1, 10000) AS g;
	DELETE FROM "S'x"."T ""a';\q" WHERE "Col 1" <= 3000;
	RESET ROLE;
	CREATE TABLE mine AS SELECT g AS n FROM generate_series(1, 10000) AS g;
	CREATE TABLE parted (n int) PARTITION BY RANGE (n);
	CREATE TABLE leaf PARTITION OF parted FOR VALUES FROM (0) TO (1000);
	INSERT INTO parted SELECT g FROM generate_series(0, 999) AS g;
	CREATE TABLE broken AS SELECT g AS n FROM generate_series(1, 1000) AS g;
	CREATE FUNCTION fails(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
	BEGIN
		IF current_setting('test.works', true) = 'on' THEN RETURN 1; END IF;
		RAISE EXCEPTION 'this function fails';
	END $$;
	SET test.works = 'on';
	CREATE INDEX ON broken (fails(n));
	SELECT pg_stat_force_next_flush();
});

($status, $out, $err) = maintain('plain');
is($out, "Nothing is due.\n", 'a role without tables has nothing to do');
($status, $out, $err) = maintain('alice', '-v', 'dry_run=on');
like($out, qr/VACUUM \(SKIP_LOCKED, ANALYZE, TRUNCATE false\) "S'x"\."T ""a';\\q"/,
	'the plan of a plain owner');
unlike($out, qr/mine|parted|broken/, 'is about its own tables');
unlike($out, qr/Result/, 'a dry run does nothing');
($status, $out, $err) = maintain('alice');
is($status, 0, 'a plain owner, done');
is($err, '', 'without errors');
like($out, qr/^1 done, 0 not done; dead rows: 3000 before, 0 after\.$/m, 'what was done');

# somebody is in the way of one table, another fails, the rest is done
my $locker = $primary->background_psql($bare, on_error_stop => 1, timeout => 60);
$locker->query_safe('BEGIN; LOCK TABLE mine;');
($status, $out, $err) = maintain($superuser);
is($status, 3, 'a command that fails makes the exit status');
like($err, qr/this function fails/, 'the error is told');
like($err, qr/skipping vacuum of "mine"/, 'what is locked is skipped');
like($out, qr/public\.mine +\|.*not done/, 'and not done');
like($out, qr/public\.broken +\|.*not done/, 'neither is what failed');
like($out, qr/public\.parted +\| analyze +\| done/, 'the partitioned table has been analyzed');
$locker->query_safe('COMMIT');
$locker->quit;
sql($bare, 'DROP TABLE broken');
($status, $out, $err) = maintain($superuser);
is($status, 0, 'the rest');
like($out, qr/public\.mine +\|.*\| done/, 'what was locked is done now');
unlike($out, qr/parted|leaf/, 'what was done is not due again');
($status, $out, $err) = maintain($superuser);
is($out, "Nothing is due.\n", 'then nothing is due');

# what it needs to know is there without the right to read the data
sql($bare, q{
	ALTER TABLE mine ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY, OWNER TO alice;
	CREATE STATISTICS pair ON n, (n + 1) FROM leaf;
	ALTER ROLE alice SET default_transaction_read_only = on;
});
($status, $out, $err) = maintain('alice');
is($out, "Nothing is due.\n", 'statistics that row security hides are not missing');
($status, $out, $err) = maintain($superuser);
like($out, qr/no statistics of pair/, 'a new statistics object is');
($status, $out, $err) = maintain($superuser, '-v', 'lock_timeout=nonsense');
is($status, 3, 'a wrong variable is refused');
$primary->stop;
done_testing();
