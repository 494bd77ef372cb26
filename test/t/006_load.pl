# How the library is loaded, what the server does with it, and commands that
# are not ordinary: not preloaded, single-user mode, dump and upgrade, an older
# SQL side, parallel query, COMMIT, and commands about databases.

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
autovacuum = off
log_statement = none
max_worker_processes = 16
});
$node->start;

sub query
{
	return $node->safe_psql('postgres', $_[0]);
}

#
# Not preloaded
#
query('CREATE EXTENSION dbperf CASCADE');
foreach my $load ('', "LOAD 'dbperf';")
{
	my $how = $load ? 'LOAD only' : 'not preloaded';

	foreach my $call (
		'* FROM dbperf.slow_queries', '* FROM dbperf.query_latency',
		'* FROM dbperf.query_samples', '* FROM dbperf.running_queries',
		'* FROM dbperf.monitor_status', 'dbperf.slow_queries_reset()',
		'dbperf.query_latency_reset()', 'dbperf.workload_percentile(0.5)',
		'dbperf.latency_percentile(1, 0.5)')
	{
		my ($rc, $out, $err) =
		  $node->psql('postgres', "\\set VERBOSITY verbose\n$load SELECT $call");
		like($err,
			qr/ERROR:  55000: dbperf must be loaded via shared_preload_libraries\nHINT:  Add dbperf to shared_preload_libraries/,
			"$how: $call says what to do");
	}
	is( query(qq{$load SET dbperf.slow_query_min_duration = 5;
			SELECT count(*) FROM dbperf.slow_query_history}),
		'0', "$how: settings and tables are there");
}
is(query(q{SELECT 1 + 1}), '2', 'the server works');

#
# Preloaded
#
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'dbperf,pg_stat_statements'
dbperf.slow_query_max_rate = 0
});
$node->restart;
is(query('SELECT count(*) FROM dbperf.monitor_status'), '1', 'the same extension works');

#
# Parallel query
#
query(q{
	CREATE TABLE numbers AS SELECT g AS n, repeat('x', 100) AS pad FROM generate_series(1, 100000) AS g;
	ALTER TABLE numbers SET (parallel_workers = 2);
	ANALYZE numbers;
});
my $blocks = query(q{SELECT pg_relation_size('numbers') / 8192});
query(q{
	SET dbperf.slow_query_min_duration = 0;
	SET dbperf.track = 'all';
	SET dbperf.plan_capture = 'rows';
	SET min_parallel_table_scan_size = 0;
	SET parallel_setup_cost = 0;
	SET parallel_tuple_cost = 0;
	SET jit = on;
	SET jit_above_cost = 0;
	SELECT count(*) AS in_parallel FROM numbers WHERE n % 7 = 0;
});
is( query(qq{
		SELECT count(*), min(rows), bool_and(plan LIKE '%Workers Launched: 2%'),
			   bool_and(shared_blks_hit + shared_blks_read BETWEEN $blocks AND $blocks * 1.2 + 200),
			   bool_and(level = 0)
		FROM dbperf.slow_queries WHERE query ~ '^SELECT count.* AS in_parallel'}),
	'1|1|t|t|t',
	'a parallel query is recorded once, with what its workers read');
SKIP:
{
	skip 'built without JIT', 1 if query('SELECT pg_jit_available()') ne 't';
	is( query(q{
			SELECT jit_ms > 0 AND jit_ms <= duration_ms FROM dbperf.slow_queries
			WHERE query ~ '^SELECT count.* AS in_parallel'}),
		't',
		'and the time of JIT');
}
is( query(q{
		SELECT calls, errors FROM dbperf.query_latency AS l WHERE period = 'lifetime'
			AND queryid = (SELECT queryid FROM dbperf.slow_queries
						   WHERE query ~ '^SELECT count.* AS in_parallel')}),
	'1|0',
	'and counted once');

#
# Functions, triggers, and deferred triggers at COMMIT
#
query(q{
	CREATE TABLE audited (id int);
	CREATE TABLE audit (id int);
	CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO audit VALUES (new.id);
		RETURN new;
	END $$;
	CREATE FUNCTION note_late() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM pg_sleep(1) AS late;
		IF new.id = 3 THEN
			RAISE EXCEPTION 'refused';
		END IF;
		RETURN new;
	END $$;
	CREATE TRIGGER note AFTER INSERT ON audited FOR EACH ROW EXECUTE FUNCTION note();
	CREATE CONSTRAINT TRIGGER note_late AFTER INSERT ON audited DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION note_late();
	SELECT dbperf.slow_queries_reset();
});
query(q{
SET dbperf.slow_query_min_duration = 0;
SET dbperf.track = 'all';
BEGIN;
INSERT INTO audited VALUES (1);
COMMIT;
});
is( query(q{
		SELECT n.level, p.query FROM dbperf.slow_queries AS n
			 JOIN dbperf.slow_queries AS p ON p.queryid = n.parent_queryid AND p.level = 0
		WHERE n.query ~ '^INSERT INTO audit VALUES'}),
	'1|INSERT INTO audited VALUES (1)',
	'a trigger: level and parent');
is( query(q{
		SELECT level, duration_ms >= 990 FROM dbperf.slow_queries
		WHERE query ~ 'AS late' AND command = 'SELECT' AND query !~ 'slow_queries'}),
	'1|t',
	'a deferred trigger is nested in the COMMIT');
is( query(q{
		SELECT level, duration_ms BETWEEN 990 AND 20000, sqlstate, query FROM dbperf.slow_queries
		WHERE command = 'COMMIT'}),
	'0|t||COMMIT',
	'a slow COMMIT is recorded');
is( query(q{
		SELECT duration_ms < 990 FROM dbperf.slow_queries
		WHERE query = 'INSERT INTO audited VALUES (1)'}),
	't',
	'and the statement before it is not slow');

# the end of a single statement's transaction
query(q{SELECT dbperf.slow_queries_reset()});
query(q{INSERT INTO audited VALUES (2)});
is( query(q{
		SELECT count(*) FROM dbperf.slow_queries
		WHERE query = 'INSERT INTO audited VALUES (2)' AND duration_ms >= 990 AND level = 0}),
	'1',
	'deferred triggers of a statement without BEGIN are recorded');

# a COMMIT that fails
query(q{SELECT dbperf.slow_queries_reset()});
my ($rc, $out, $err) = $node->psql('postgres', q{
BEGIN;
INSERT INTO audited VALUES (3);
COMMIT;
});
like($err, qr/refused/, 'a COMMIT fails');
is( query(q{
		SELECT command, sqlstate, duration_ms BETWEEN 990 AND 20000 FROM dbperf.slow_queries
		WHERE level = 0 AND command = 'COMMIT'}),
	'COMMIT|P0001|t',
	'a COMMIT that failed is recorded');

#
# A COMMIT that waits for a standby which is not there, and is cancelled
#
query('ALTER TABLE audited DISABLE TRIGGER ALL');
query('SELECT dbperf.slow_queries_reset()');
$node->append_conf('postgresql.conf',
	"wal_level = replica\nmax_wal_senders = 2\nsynchronous_standby_names = 'missing'");
$node->restart;
my $committer = '';
my $session = IPC::Run::start(
	[
		$node->installed_command('psql'), '-XAtq', '-h', $node->host, '-p', $node->port,
		'-c', 'BEGIN', '-c', 'INSERT INTO audited VALUES (4)', '-c', 'COMMIT', 'postgres'
	],
	'>', \$committer, '2>', \$committer);
$node->poll_query_until('postgres',
	q{SELECT count(*) = 1 FROM dbperf.running_queries
	  WHERE query = 'COMMIT' AND waits = 'IPC:SyncRep' AND elapsed_ms > 250})
  or die 'the COMMIT does not wait';
query(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query = 'COMMIT'});
$session->finish;
like($committer, qr/canceling wait for synchronous replication due to user request/, 'cancelled');
is( query(q{
		SELECT count(*), bool_and(duration_ms BETWEEN 200 AND 10000), bool_and(sqlstate IS NULL),
			   bool_and(waits ? 'IPC:SyncRep')
		FROM dbperf.slow_queries WHERE command = 'COMMIT'}),
	'1|t|t|t',
	'a COMMIT that waited for a standby is recorded, with its wait');
is(query('SELECT count(*) FROM audited WHERE id = 4'), '1', 'it did commit');
query(q{SET synchronous_commit = local; ALTER SYSTEM SET synchronous_standby_names = ''});
$node->reload;
$node->poll_query_until('postgres', q{SELECT current_setting('synchronous_standby_names') = ''})
  or die 'no reload';

#
# Commands about dbperf.database while the writer is connected to it
#
query('CREATE DATABASE perf');
$node->safe_psql('perf', 'CREATE EXTENSION dbperf CASCADE');
query(q{ALTER SYSTEM SET dbperf.database = 'perf'});
query(q{ALTER SYSTEM SET dbperf.slow_query_history_retention = '1d'});
$node->reload;

sub writer_in
{
	my ($database) = @_;

	return $node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity
		 WHERE backend_type = 'dbperf writer' AND datname = '$database'");
}

ok(writer_in('perf'), 'the writer is connected');
query('CREATE DATABASE perf_copy TEMPLATE perf');
pass('CREATE DATABASE ... TEMPLATE works');
$node->restart;
ok(writer_in('perf'), 'the writer is there again');
query('ALTER DATABASE perf RENAME TO perf_renamed');
pass('ALTER DATABASE ... RENAME works');
query('ALTER DATABASE perf_renamed RENAME TO perf');
$node->restart;
ok(writer_in('perf'), 'the writer is there again');

$node->psql('perf', 'CREATE ROLE mallory LOGIN CREATEDB');
my $writer = query(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'dbperf writer'});
foreach my $command (
	'DROP DATABASE perf',
	'ALTER DATABASE perf RENAME TO mine',
	'CREATE DATABASE mine TEMPLATE perf')
{
	($rc, $out, $err) =
	  $node->psql('postgres', $command, extra_params => [ '-U', 'mallory' ]);
	like($err, qr/must be owner|permission denied/, "refused: $command");
}
is(query(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'dbperf writer'}),
	$writer, 'who may not do it does not send the writer away');

query('DROP DATABASE perf');
pass('DROP DATABASE works');
ok( $node->poll_query_until(
		'postgres',
		q{SELECT history_state LIKE 'not connected%' FROM dbperf.monitor_status}),
	'monitor_status says that the history is not written');
query(q{ALTER SYSTEM RESET dbperf.database});
$node->restart;
ok(writer_in('postgres'), 'the writer goes where the database is now');
query(q{ALTER SYSTEM RESET dbperf.slow_query_history_retention});
$node->reload;

#
# An older SQL side: a version whose function has a column less
#
query(q{CREATE DATABASE older});
$node->safe_psql('older', q{
	CREATE EXTENSION dbperf CASCADE;
	ALTER EXTENSION dbperf DROP VIEW dbperf.monitor_status;
	ALTER EXTENSION dbperf DROP FUNCTION dbperf.monitor_status();
	DROP VIEW dbperf.monitor_status;
	DROP FUNCTION dbperf.monitor_status();
	ALTER EXTENSION dbperf DROP VIEW dbperf.cluster_query_latency;
	DROP VIEW dbperf.cluster_query_latency;
	ALTER EXTENSION dbperf DROP VIEW dbperf.query_latency;
	ALTER EXTENSION dbperf DROP FUNCTION dbperf.query_latency();
	DROP VIEW dbperf.query_latency;
	DROP FUNCTION dbperf.query_latency();
	DO $do$
	DECLARE
		f regprocedure;
		definition text;
	BEGIN
		CREATE FUNCTION dbperf.query_latency(OUT queryid bigint, OUT database_name name)
			RETURNS SETOF record AS '$libdir/dbperf', 'dbperf_query_latency' LANGUAGE C;
		CREATE FUNCTION dbperf.monitor_status(OUT statements bigint, OUT records_written bigint)
			RETURNS SETOF record AS '$libdir/dbperf', 'dbperf_monitor_status' LANGUAGE C;
		CREATE FUNCTION dbperf.slow_queries_short(first_id bigint, last_id bigint,
				OUT id bigint, OUT started_at timestamptz, OUT duration_ms float8)
			RETURNS SETOF record AS '$libdir/dbperf', 'dbperf_slow_queries' LANGUAGE C;
	END $do$;
});
foreach my $call ('query_latency()', 'monitor_status()', 'slow_queries_short(1, 1000)')
{
	($rc, $out, $err) = $node->psql('older', "SELECT * FROM dbperf.$call");
	isnt($rc, 0, "older SQL: $call fails");
	like($err, qr/ERROR:  .*dbperf.*\n(DETAIL:.*\n)?HINT:  .*ALTER EXTENSION dbperf UPDATE/,
		"older SQL: $call says what to do");
}
is($node->safe_psql('older', 'SELECT 1'), '1', 'older SQL: the server works');

#
# Dump and restore
#
query('CREATE DATABASE source');
$node->safe_psql('source', q{
	CREATE EXTENSION dbperf CASCADE;
	INSERT INTO dbperf.slow_query_history (ring_start, id, query, parameters)
	VALUES ('2024-01-02 03:04:05+00', 7, 'SELECT ''kept''', '{1,NULL}');
});
my $dump = PostgreSQL::Test::Utils::tempdir() . '/source.dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('source') ], 'pg_dump');
query('CREATE DATABASE target');
$node->command_ok([ 'pg_restore', '-e', '-d', $node->connstr('target'), $dump ], 'pg_restore');
is( $node->safe_psql(
		'target', 'SELECT id, query, parameters::text FROM dbperf.slow_query_history'),
	"7|SELECT 'kept'|{1,NULL}",
	'the history is restored');
is( $node->safe_psql(
		'target', 'SELECT count(*) FROM dbperf.slow_queries WHERE false'),
	'0', 'the extension works there');

#
# Single-user mode
#
$node->stop;
($out, $err) = ('', '');
ok( IPC::Run::run(
		[
			$node->installed_command('postgres'), '--single', '-D', $node->data_dir,
			'-F', 'postgres'
		],
		'<', \"CREATE TABLE single AS SELECT 42 AS answer\nSELECT answer FROM single\nSELECT statements >= 0 AS counted FROM dbperf.monitor_status\n",
		'>', \$out, '2>', \$err),
	'single-user mode') or diag($err);
like($out, qr/answer = "42"/, 'single-user mode: a statement works');
like($out, qr/counted = "t"/, 'single-user mode: the functions work');
unlike($err, qr/ERROR|WARNING|PANIC|TRAP/, 'single-user mode: no complaint');
$node->start;
is(query('SELECT answer FROM single'), '42', 'single-user mode: it was executed');
$node->stop;

#
# pg_upgrade, to the same version
#
SKIP:
{
	my ($bindir) = split /\n/, `pg_config --bindir`;

	skip 'there is no pg_upgrade', 4 unless -x "$bindir/pg_upgrade";

	my $new = PostgreSQL::Test::Cluster->new('new');
	$new->init(extra => [ '-E', 'UTF8', '--locale=C' ]);
	$new->append_conf(
		'postgresql.conf', q{
autovacuum = off
max_worker_processes = 16
shared_preload_libraries = 'dbperf,pg_stat_statements'
dbperf.slow_query_history_retention = '1d'
dbperf.slow_query_min_duration = 0
});
	chdir(PostgreSQL::Test::Utils::tempdir()) or die "could not change directory: $!";

	# the hand-made one cannot be upgraded, nor should it
	$node->start;
	query('DROP DATABASE older');
	$node->stop;
	$new->command_ok(
		[
			'pg_upgrade', '--no-sync', '-d', $node->data_dir, '-D', $new->data_dir,
			'-b', $bindir, '-B', $bindir, '-s', $new->host, '-p', $node->port,
			'-P', $new->port
		],
		'pg_upgrade');
	$new->start;
	is( $new->safe_psql(
			'target', 'SELECT id, query FROM dbperf.slow_query_history'),
		"7|SELECT 'kept'",
		'pg_upgrade: the history is there');
	$new->safe_psql('postgres', q{SELECT 'upgraded'});
	is( $new->safe_psql(
			'postgres', q{
			SELECT count(*) FROM dbperf.slow_queries WHERE query = $$SELECT 'upgraded'$$}),
		'1',
		'pg_upgrade: it records');
	ok( $new->poll_query_until(
			'postgres', q{SELECT history_state = 'running' FROM dbperf.monitor_status}),
		'pg_upgrade: the writer runs');
	$new->stop;
}

unlike(slurp_file($node->logfile), qr/PANIC|was terminated by signal/, 'nothing crashed');
done_testing();
