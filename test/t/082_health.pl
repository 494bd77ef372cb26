# Health over databases, dumps and servers: estimates that the launcher's worker
# makes, targets that survive a dump, vital signs of a primary and a standby, and
# every statement of the board for Grafana.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use DbperfTest;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node(
	'main', q{
dbperf.database = 'postgres'
dbperf.metrics_interval = 1s
dbperf.slow_query_min_duration = 0
max_prepared_transactions = 2
wal_receiver_status_interval = 1s
}, allows_streaming => 1);
sql('CREATE EXTENSION dbperf CASCADE');

# The value of a metric of a server, of the series whose labels these are.
sub metric
{
	my ($server, $name, $labels) = @_;

	return $server->safe_psql('postgres',
			"SELECT value FROM dbperf.metrics WHERE name = 'dbperf_$name' AND labels @> '"
		  . ($labels // '{}')
		  . "'");
}

# ---- estimates ----

sql('CREATE DATABASE other');
sql('other', q{
	CREATE EXTENSION dbperf CASCADE;
	CREATE TABLE holes AS SELECT i, md5(i::text) AS t FROM generate_series(1, 20000) AS i;
	CREATE INDEX ON holes (t);
	DELETE FROM holes WHERE i % 4 <> 0;
	SELECT count(*) FROM holes WHERE t = 'x' AND i = 5;
	VACUUM ANALYZE holes});
sql('other', 'SELECT count(*) FROM holes WHERE i = 7;' x 30);
sql('CREATE DATABASE without');
is(metric($node, 'database_size_bytes'), '', 'there is no estimate without a worker');
set(q{dbperf.estimates_interval = '1s'});
poll_ok(q{SELECT count(*) = 2 FROM dbperf.metrics WHERE name = 'dbperf_database_size_bytes'},
	'each database that has the extension is estimated');
cmp_ok(metric($node, 'table_bloat_bytes', '{"database": "other"}'),
	'>', 500_000, 'bloat of tables is found in another database');
cmp_ok(metric($node, 'index_bloat_bytes', '{"database": "other"}'),
	'>', 500_000, 'and that of indexes');
poll_ok(q{SELECT value BETWEEN 0 AND 1 FROM dbperf.metrics
	WHERE name = 'dbperf_index_coverage_ratio' AND labels = '{"database": "other"}'},
	'its workload is judged');
like(
	sql('other', q{SELECT verdict || ': ' || evidence FROM dbperf.health
		WHERE target = 'index_coverage_ratio'}),
	qr/^(met|missed): existing indexes serve [\d.]+ % of what .* estimated \d+ s ago/,
	'so is the target');
set(q{dbperf.estimates_interval = '4min'});
like(
	sql('other', q{BEGIN; CREATE INDEX late ON holes (i);
		SELECT next_step || ' ' || evidence FROM dbperf.health
		WHERE target = 'index_coverage_ratio'; COMMIT}),
	qr/^SELECT dbperf.refresh_estimates\(\); .*; indexes have come or gone since$/,
	'a new index is noticed');
ok(poll('other', q{SELECT evidence NOT LIKE '%have come or gone%' FROM dbperf.health
	WHERE target = 'index_coverage_ratio'}),
	'and its effect is measured before the time');
is( sql('other', q{BEGIN;
		UPDATE dbperf.targets SET threshold = 2 WHERE name = 'index_coverage_ratio';
		INSERT INTO dbperf.index_advice (schema_name, table_name, access_method, key_columns, identity, ddl, benefit_pct) VALUES
			('public', 'holes', 'btree', '{i}', 'a', 'CREATE INDEX CONCURRENTLY late ON public.holes (i)', 90),
			('public', 'holes', 'btree', '{t,i}', 'b', 'CREATE INDEX CONCURRENTLY later ON public.holes (t, i)', 10);
		SELECT next_step, substring(evidence FROM 'indexes proposed: \d+') FROM dbperf.health
		WHERE target = 'index_coverage_ratio'; ROLLBACK}),
	'CREATE INDEX CONCURRENTLY later ON public.holes (t, i)|indexes proposed: 1',
	'an index that is there is not proposed');
set('dbperf.enabled = off');
sql('SELECT pg_sleep(4.1)');
sql('other', 'BEGIN; CREATE INDEX ON holes (i, t); SELECT count(*) FROM dbperf.health; ROLLBACK');
sql('SELECT pg_sleep(2)');
cmp_ok(sql('other', q{SELECT substring(evidence FROM 'estimated (\d+) s ago') FROM dbperf.health
	WHERE target = 'index_coverage_ratio'}), '>=', 6, 'with dbperf switched off nobody is sent');
set('dbperf.enabled = on');
set(q{dbperf.estimates_interval = '1s'});
poll_ok(q{SELECT value < 30 FROM dbperf.metrics
	WHERE name = 'dbperf_estimates_age_seconds' AND labels = '{"database": "other"}'},
	'estimates have an age');
sql('ALTER DATABASE other RENAME TO another');
poll_ok(q{SELECT string_agg(labels->>'database', ' ' ORDER BY labels->>'database') = 'another postgres'
	FROM dbperf.metrics WHERE name = 'dbperf_database_size_bytes'},
	'a new name takes the place of the old one');
# one that began before, under the old name, fails
poll_ok(q{SELECT value = 1 FROM dbperf.metrics
	WHERE name = 'dbperf_worker_up' AND labels->>'worker' = 'estimates'}, 'visits go well');
sql('another', 'BEGIN; ALTER EXTENSION dbperf DROP VIEW dbperf.index_coverage_total;
	ALTER VIEW dbperf.index_coverage_total RENAME TO gone; COMMIT; SELECT pg_sleep(1.1)');
isnt($node->psql('another', 'SELECT dbperf.refresh_estimates()'),
	0, 'coverage cannot be measured again');
like(
	sql('another', q{SELECT evidence FROM dbperf.health WHERE target = 'index_coverage_ratio'}),
	qr/estimated [1-9]\d* s ago/, 'then it is as old as it is, whatever the age of the sizes');
sql('DROP DATABASE another');
is(metric($node, 'database_size_bytes', '{"database": "another"}'),
	'', 'a dropped database is forgotten');
sql('BEGIN; ALTER EXTENSION dbperf DROP VIEW dbperf.index_coverage_total;
	ALTER VIEW dbperf.index_coverage_total RENAME TO gone; COMMIT');
poll_ok(q{SELECT value = 0 FROM dbperf.metrics
	WHERE name = 'dbperf_worker_up' AND labels->>'worker' = 'estimates'},
	'a visit that fails is seen');
sql('BEGIN; ALTER VIEW dbperf.gone RENAME TO index_coverage_total;
	ALTER EXTENSION dbperf ADD VIEW dbperf.index_coverage_total; COMMIT');
set('dbperf.estimates_interval = 0');

# ---- a server on which little else runs than dbperf's own reports ----

my $p95 = q{SELECT verdict || ': ' || evidence FROM dbperf.health WHERE target = 'query_p95_ms'};

sql('CREATE DATABASE quiet');
sql('quiet', 'CREATE EXTENSION dbperf CASCADE');
sql('quiet', "UPDATE dbperf.targets SET threshold = 0 WHERE name = 'query_p95_ms'");
sql('quiet', q{SELECT length(dbperf.report()) > 0; SELECT length(dbperf.prometheus()) > 0;
	SELECT count(*) FROM dbperf.suggest_indexes(); SELECT dbperf.refresh_estimates();
	SELECT count(*) FROM dbperf.health;} x 5);
like(sql('quiet', $p95), qr/^no data: clients have executed \d statements /,
	'they are no statements of clients');
is( sql('quiet', q{SELECT calls FROM dbperf.query_latency
		WHERE database_name = 'quiet' AND toplevel AND period = 'lifetime' AND queryid IN
			(SELECT queryid FROM pg_stat_statements WHERE query LIKE 'SELECT length(dbperf.report%')}),
	'5', 'but are counted as ever');
sql('quiet', 'CREATE TABLE kept (page text)');
sql('quiet', 'INSERT INTO kept SELECT dbperf.prometheus();' x 25);
like(sql('quiet', $p95), qr/^missed: .*, without \d+ calls of dbperf's functions; .* 25 executions\)$/,
	'what reads or writes tables of its own is one');

# statements without a query id are counted together: no call of dbperf's hides them
sql('CREATE DATABASE unnamed');
sql('unnamed', 'CREATE EXTENSION dbperf CASCADE');
sql('unnamed', 'SET compute_query_id = off; SELECT length(dbperf.prometheus()) > 0;' . 'SELECT 1;' x 40);
like(sql('unnamed', $p95), qr/^\w+: p50 .* of (4\d|5\d) executions/, 'statements without a query id count');

# ---- targets in a dump ----

sql(q{
	UPDATE dbperf.targets SET threshold = 20 WHERE name = 'query_p95_ms';
	DELETE FROM dbperf.targets WHERE name = 'cache_hit_ratio';
	INSERT INTO dbperf.targets VALUES ('dbperf_locks_waiting', '<=', 3)});
my $targets = 'SELECT name, comparison, threshold FROM dbperf.targets ORDER BY name';
my $before = sql($targets);
my $dir = $node->backup_dir;
mkdir $dir;
foreach my $how ([ 'plain' ], [ 'inserts', '--inserts' ], [ 'columns', '--column-inserts' ])
{
	my ($name, @options) = @$how;

	$node->command_ok([ 'pg_dump', @options, '-f', "$dir/$name.sql", 'postgres' ],
		"it is dumped: $name");
	sql("CREATE DATABASE $name");
	$node->command_ok(
		[ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-o', "$dir/out", '-f', "$dir/$name.sql", $name ],
		'the dump is restored without an error');
	is(sql($name, $targets), $before, 'changed, deleted and new targets are as they were');
}
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/custom", 'plain' ], 'so is the copy');
sql('CREATE DATABASE custom');
$node->command_ok([ 'pg_restore', '--exit-on-error', '--single-transaction', '-d', 'custom', "$dir/custom" ],
	'in one transaction');
is(sql('custom', $targets), $before, 'and is the same again');
sql('DELETE FROM dbperf.targets');
$node->command_ok([ 'pg_dump', '-f', "$dir/none.sql", 'postgres' ], 'no target is left');
sql('CREATE DATABASE none');
$node->command_ok([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-o', "$dir/out", '-f', "$dir/none.sql", 'none' ],
	'that is restored, too');
is(sql('none', 'SELECT count(*) FROM dbperf.targets'), '0', 'and none comes back');
sql('without', 'CREATE EXTENSION dbperf CASCADE');
is(sql('without', 'SELECT count(*) FROM dbperf.targets WHERE built_in'),
	'4', 'a new database has all of them');

# ---- vital signs ----

sql('CREATE TABLE locked (i int)');
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE locked');
my $waiter = $node->background_psql('postgres', on_error_stop => 0);
$waiter->query_until(qr/waits/, "\\echo waits\nSELECT * FROM locked;\n");
poll_ok(q{SELECT sum(value) = 1 FROM dbperf.metrics WHERE name = 'dbperf_locks_waiting'},
	'who waits for a lock is counted, by who does not wait');
is(metric($node, 'active_sessions', '{"wait": "Lock"}'), '1', 'as a session that waits');
# sessions before may not be gone yet
poll_ok(q{SELECT value = 0 FROM dbperf.metrics
	WHERE name = 'dbperf_active_sessions' AND labels->>'wait' = 'CPU'}, 'and who asks is not counted');
is(metric($node, 'connections', '{"state": "idle in transaction"}'),
	'1', 'connections are counted by state');
poll_ok(q{SELECT sum(value) = 3 FROM dbperf.metrics WHERE name = 'dbperf_connections'},
	'no worker is a connection');
cmp_ok(metric($node, 'oldest_transaction_seconds'), '>', 0, 'a transaction has an age');
$holder->query_safe('COMMIT');
$holder->quit;
$waiter->quit;
sql(q{BEGIN; INSERT INTO locked VALUES (1); PREPARE TRANSACTION 'old'});
poll_ok(q{SELECT value > 0.2 FROM dbperf.metrics WHERE name = 'dbperf_oldest_transaction_seconds'},
	'so has a prepared one');
sql(q{COMMIT PREPARED 'old'});

my $before_commits = metric($node, 'transactions_total', '{"outcome": "committed"}');
sql('SELECT pg_stat_force_next_flush()') foreach 1 .. 3;
cmp_ok(metric($node, 'transactions_total', '{"outcome": "committed"}'),
	'>', $before_commits, 'transactions are counted');
my $checkpoints = metric($node, 'checkpoints_total', '{"kind": "requested"}');
sql('CHECKPOINT');
poll_ok(qq{SELECT value > $checkpoints FROM dbperf.metrics
	WHERE name = 'dbperf_checkpoints_total' AND labels->>'kind' = 'requested'},
	'so are checkpoints');
cmp_ok(metric($node, 'wal_bytes_total'), '>', 0, 'so is WAL');

is(sql(q{SELECT count(*) FROM dbperf.metrics WHERE name = 'dbperf_worker_up' AND value = 0}),
	'0', 'all workers are there');
sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'dbperf launcher'});
poll_ok(q{SELECT value = 0 FROM dbperf.metrics
	WHERE name = 'dbperf_worker_up' AND labels->>'worker' = 'launcher'},
	'one that is gone is seen');
poll_ok(q{SELECT value = 1 FROM dbperf.metrics
	WHERE name = 'dbperf_worker_up' AND labels->>'worker' = 'launcher'},
	'and that it is back');

# ---- a standby ----

$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is(metric($standby, 'in_recovery'), '1', 'a standby says that it is one');
is(metric($node, 'in_recovery'), '0', 'a primary that it is none');
ok( $standby->poll_query_until('postgres', q{
	SELECT bool_and(value = 0) AND count(*) = 2 FROM dbperf.metrics
	WHERE name ~ '^dbperf_replication_lag' AND labels->>'application' = 'this standby'}),
	'nothing to replay is no lag');
is( $standby->safe_psql(
		'postgres', q{SELECT count(*) FROM dbperf.metrics
		WHERE name = 'dbperf_worker_up' AND labels->>'worker' IN ('launcher', 'writer')}),
	'0', 'workers of a primary are not expected');
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
sql('INSERT INTO locked SELECT generate_series(1, 1000)');
ok( $standby->poll_query_until('postgres', q{
	SELECT bool_and(value > 0) AND count(*) = 2 FROM dbperf.metrics
	WHERE name ~ '^dbperf_replication_lag' AND labels->>'application' = 'this standby'}),
	'what is not replayed is lag');
poll_ok(q{SELECT value > 0 FROM dbperf.metrics
	WHERE name = 'dbperf_replication_lag_bytes' AND labels->>'application' = 'standby'},
	'the primary knows it, too');
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
poll_ok(q{SELECT bool_and(value = 0) AND count(*) = 2 FROM dbperf.metrics
	WHERE name ~ '^dbperf_replication_lag' AND labels->>'application' = 'standby'},
	'and that it has caught up');
like(
	$standby->safe_psql('postgres', q{SELECT count(*) FROM dbperf.health}),
	qr/^0$/, 'health can be asked on a standby');
$standby->stop;

# ---- the board for Grafana ----

# What Grafana's macros become.
sub without_macros
{
	my ($statement) = @_;

	$statement =~ s/\$__timeFilter\(([^()]+)\)/$1 BETWEEN '\$from' AND '\$to'/g;
	$statement =~ s/\$__timeFrom\(\)/'\$from'/g;
	$statement =~ s/\$__timeTo\(\)/'\$to'/g;
	return $statement;
}

my $board = decode_json(slurp_file("$FindBin::RealBin/../../scripts/grafana/dbperf.json"));
my ($from, $to) = split /\|/, sql(q{SELECT now() - interval '1 hour', now() + interval '1 minute'});
my $ids = {};
my $with_rows = 0;

poll_ok(q{SELECT count(DISTINCT sampled_at) > 2 FROM dbperf.metrics_history}, 'there are samples');
foreach my $panel (@{ $board->{panels} })
{
	my $expected = $panel->{type} eq 'timeseries' ? 'time|metric|value' : '';

	fail("two panels have id $panel->{id}") if $ids->{ $panel->{id} }++;
	next if $panel->{type} eq 'row';
	foreach my $target (@{ $panel->{targets} })
	{
		my $statement = without_macros($target->{rawSql});
		my ($code, $out, $error);

		$statement =~ s/\$from/$from/g;
		$statement =~ s/\$to/$to/g;
		($code, $out, $error) =
		  $node->psql('postgres', "\\pset tuples_only off\nSET ROLE pg_monitor;\n$statement");
		is("$code $error", '0 ', "panel \"$panel->{title}\"");
		unlike($statement, qr/\$/, 'knows no other macros');
		like($out, qr/^\Q$expected\E/m, 'has the columns of a line') if $expected;
		$with_rows++ if $out !~ /\(0 rows\)/;
	}
}
cmp_ok($with_rows, '>=', 24, 'most panels show something');

nothing_crashed(qr/dbperf launcher/);
done_testing();
