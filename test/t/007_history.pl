# The history: a worker that follows the ring and keeps it in a table, within
# its age and size.

use strict;
use warnings;

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
dbperf.slow_query_min_duration = 0
dbperf.slow_query_max_rate = 0
dbperf.slow_query_ring_entries = 64
dbperf.maintenance = off
});
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION dbperf CASCADE');

# What watches must not itself fill the ring.
sub query
{
	my ($sql, $database) = @_;

	return $node->safe_psql($database // 'other', "SET dbperf.track = 'none';\n$sql");
}

sub poll
{
	my ($sql, $database) = @_;

	return $node->poll_query_until($database // 'other', $sql);
}

sub set
{
	query("ALTER SYSTEM SET $_[0]");
	$node->reload;
	return;
}

# poll_query_until's sessions, too
$ENV{PGOPTIONS} = '-c dbperf.track=none';

sub run_marked
{
	my ($mark, $count) = @_;

	local $ENV{PGOPTIONS} = '';
	$node->safe_psql('other', join('', map { "SELECT $_, '$mark';\n" } 1 .. $count));
	return;
}

#
# Off by default
#
run_marked('first', 10);
is(query('SELECT history_state, history_rows_written FROM dbperf.monitor_status'),
	'off|0', 'off by default');
is(query(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'dbperf writer'}),
	'0', 'and not connected');

#
# The extension is missing in dbperf.database
#
set(q{dbperf.slow_query_history_retention = '1h'});
ok( poll(q{SELECT history_state = 'extension missing in database "postgres"'
		   FROM dbperf.monitor_status}),
	'a missing extension is reported');
ok(slurp_file($node->logfile) =~
	  qr/slow query history is not written: extension dbperf does not exist in database "postgres"/,
	'also in the log');

#
# Another database: what is in the ring comes first
#
set(q{dbperf.database = 'other'});
$node->restart;
ok( poll(q{SELECT count(*) = 10 FROM dbperf.slow_query_history WHERE query LIKE '%''first'''}),
	'what was in the ring is written');
ok(poll(q{SELECT history_state = 'running' FROM dbperf.monitor_status}), 'it runs');
run_marked('second', 10);
ok( poll(q{SELECT count(*) = 10 FROM dbperf.slow_query_history WHERE query LIKE '%''second'''}),
	'what is new follows');
is( query(q{
		SELECT count(*) FROM dbperf.slow_queries AS s
			 LEFT JOIN dbperf.slow_query_history AS h USING (id)
		WHERE s.query LIKE '%''second''' AND (
			h.query, h.duration_ms, h.pid, h.rows, h.queryid, h.started_at, h.database_name,
			h.plan_id, h.command)
			IS DISTINCT FROM (
			s.query, s.duration_ms, s.pid, s.rows, s.queryid, s.started_at, s.database_name,
			s.plan_id, s.command)}),
	'0',
	'rows are what the view has');
is( query('SELECT count(*) FROM dbperf.slow_query_history WHERE lost IS NOT NULL'),
	'0', 'nothing is lost');
# after the commit
ok( poll(q{
		SELECT count(*) = history_rows_written AND max(id) = max(history_last_id)
			AND max(history_records_lost) = 0
		FROM dbperf.slow_query_history, dbperf.monitor_status GROUP BY history_rows_written}),
	'monitor_status counts them');

#
# The ring overflows while the table is locked: a gap
#
my $session = $node->background_psql('other');
$session->query_safe('BEGIN');
$session->query_safe('LOCK TABLE dbperf.slow_query_history IN SHARE ROW EXCLUSIVE MODE');
my $last = query('SELECT max(id) FROM dbperf.slow_query_history');
run_marked('flood', 200);
my $next_id = query('SELECT next_id FROM dbperf.monitor_status');
$session->query_safe('COMMIT');
$session->quit;
ok( poll("SELECT max(id) >= $next_id - 1 FROM dbperf.slow_query_history"),
	'the writer goes on');
is( query("SELECT sum(coalesce(lost, 1)) - (max(id) - $last)
		   FROM dbperf.slow_query_history WHERE id > $last"),
	'0',
	'every id is there or counted as lost');
cmp_ok(
	query("SELECT sum(lost) FROM dbperf.slow_query_history WHERE lost IS NOT NULL"),
	'>=', 100, 'the gap is recorded');
is( query(q{
		SELECT bool_and(query IS NULL AND started_at IS NULL)
		FROM dbperf.slow_query_history WHERE lost IS NOT NULL}),
	't',
	'a gap has no other values');
ok( poll(q{
		SELECT sum(lost) = max(history_records_lost)
		FROM dbperf.slow_query_history, dbperf.monitor_status}),
	'monitor_status counts the lost ones');

#
# A restart of the server neither doubles nor loses rows
#
run_marked('restarted', 5);
$node->restart;
ok( poll(q{SELECT count(*) = 5 FROM dbperf.slow_query_history WHERE query LIKE '%''restarted'''}),
	'rows from before a restart');
run_marked('later', 5);
ok( poll(q{SELECT count(*) = 5 FROM dbperf.slow_query_history WHERE query LIKE '%''later'''}),
	'and after it');
is( query(q{SELECT count(DISTINCT ring_start), count(*) - count(DISTINCT id)
			FROM dbperf.slow_query_history}),
	'1|0',
	'no row is there twice');

#
# Retention by age; the writer cleans when it starts
#
my $rows = query('SELECT count(*) FROM dbperf.slow_query_history');
query(q{
	UPDATE dbperf.slow_query_history SET recorded_at = now() - interval '2 hours'
	WHERE query LIKE '%''first''' OR query LIKE '%''second'''});
$node->stop;
$node->start;
ok( poll(q{SELECT count(*) = 0 FROM dbperf.slow_query_history
		   WHERE recorded_at < now() - interval '1 hour'}),
	'rows that are too old are deleted');
cmp_ok(query('SELECT count(*) FROM dbperf.slow_query_history'), '>=', $rows - 20,
	'and no others');
is( query(q{SELECT count(*) FROM dbperf.slow_query_history
			WHERE query LIKE '%''first''' OR query LIKE '%''second'''}),
	'0',
	'they do not come back from the ring');

#
# Retention by size
#
query(q{
	INSERT INTO dbperf.slow_query_history (ring_start, id, query, recorded_at)
	SELECT '2024-01-02 03:04:05+00', g,
		   (SELECT string_agg(md5(g::text || '/' || h), '') FROM generate_series(1, 60) AS h),
		   now() - interval '30 minutes' + g * interval '1 millisecond'
	FROM generate_series(1, 2000) AS g});
query(q{ALTER SYSTEM SET dbperf.slow_query_history_size = '1MB'});
$node->restart;
ok( poll(q{SELECT sum(400 + pg_column_size(query)) < 1.1 * 1024 * 1024
		   FROM dbperf.slow_query_history WHERE query IS NOT NULL}),
	'rows that are too many are deleted');
is( query(q{SELECT count(*) > 100 AND min(id) > 1000 AND max(id) = 2000
			FROM dbperf.slow_query_history WHERE ring_start = '2024-01-02 03:04:05+00'}),
	't',
	'the oldest ones');
ok( poll(q{SELECT history_bytes BETWEEN 500000 AND 1024 * 1024 FROM dbperf.monitor_status}),
	'monitor_status has the size');

#
# Off again
#
set('dbperf.slow_query_history_retention = 0');
ok( poll(q{SELECT history_state = 'off' AND NOT EXISTS (
				SELECT FROM pg_stat_activity WHERE backend_type = 'dbperf writer')
		   FROM dbperf.monitor_status}),
	'off again: the writer leaves');
$rows = query('SELECT count(*) FROM dbperf.slow_query_history');
cmp_ok($rows, '>', 100, 'the rows stay');

#
# Other reasons why nothing is written
#
query('DROP EXTENSION dbperf CASCADE');
query('CREATE EXTENSION dbperf CASCADE', 'postgres');
$node->restart;
set(q{dbperf.slow_query_history_retention = '1h'});
ok( poll(q{SELECT history_state = 'extension missing in database "other"'
		   FROM dbperf.monitor_status}, 'postgres'),
	'an extension that was dropped is reported');

$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|was terminated by signal/, 'nothing crashed');
done_testing();
