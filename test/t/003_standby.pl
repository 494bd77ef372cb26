# A hot standby records its own statements and writes nothing; after promotion
# the history's writer begins.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1, extra => [ '-E', 'UTF8', '--locale=C' ]);
$primary->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'dbperf,pg_stat_statements'
autovacuum = off
log_statement = none
});
$primary->start;
$primary->safe_psql(
	'postgres', q{
	CREATE EXTENSION dbperf CASCADE;
	CREATE TABLE numbers AS SELECT g AS n FROM generate_series(1, 100) AS g;
	SELECT pg_sleep(0.11) AS on_primary;
});
$primary->backup('backup');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->append_conf('postgresql.conf', q{dbperf.slow_query_history_retention = '1d'});
$standby->start;
$primary->wait_for_catchup($standby);

#
# Its own statements
#
$standby->safe_psql('postgres', 'SELECT pg_sleep(1.5), count(*) AS on_standby FROM numbers');
is( $standby->safe_psql(
		'postgres', q{
		SELECT command, rows, sqlstate IS NULL, queryid IS NOT NULL, plan LIKE '%numbers%',
			   waits ? 'Timeout:PgSleep', duration_ms >= 1500
		FROM dbperf.slow_queries WHERE query LIKE '%AS on\_standby%'
			AND query NOT LIKE '%slow\_queries%'}),
	'SELECT|1|t|t|t|t|t',
	'a slow statement on the standby is recorded');
is( $standby->safe_psql(
		'postgres', q{
		SELECT count(*) FROM dbperf.slow_queries WHERE query LIKE '%on\_primary%'
			AND query NOT LIKE '%slow\_queries%'}),
	'0',
	'the primary\'s statements are not the standby\'s');
is( $primary->safe_psql(
		'postgres', q{
		SELECT count(*) FROM dbperf.slow_queries WHERE query LIKE '%on\_standby%'
			AND query NOT LIKE '%slow\_queries%'}),
	'0',
	'nor the other way round');

my ($rc, $out, $err) = $standby->psql('postgres',
	"SET statement_timeout = '200ms';\nSELECT pg_sleep(20) AS too_long");
isnt($rc, 0, 'a statement is cancelled');
is( $standby->safe_psql(
		'postgres', q{
		SELECT sqlstate, duration_ms BETWEEN 150 AND 10000 FROM dbperf.slow_queries
		WHERE query LIKE '%AS too\_long'}),
	'57014|t',
	'a cancelled statement is recorded');
($rc, $out, $err) = $standby->psql('postgres',
	'SET dbperf.slow_query_min_duration = 0; INSERT INTO numbers VALUES (0)');
like($err, qr/cannot execute INSERT in a read-only transaction/, 'a write keeps its error');

foreach my $view (
	qw(slow_queries query_latency query_samples running_queries monitor_status slow_query_history
	metrics))
{
	like($standby->safe_psql('postgres', "SELECT count(*) FROM dbperf.$view"),
		qr/^\d+$/, "$view can be read");
}
cmp_ok($standby->safe_psql('postgres', 'SELECT dbperf.workload_percentile(0.99)'),
	'>', 1, 'percentiles can be asked for');
$standby->safe_psql('postgres', 'SELECT dbperf.query_latency_reset()');
is( $standby->safe_psql(
		'postgres', q{
		SELECT statements = records_written + dropped_busy + dropped_too_large + dropped_memory
			+ skipped_flood FROM dbperf.monitor_status}),
	't',
	'every statement is accounted for');

#
# Nothing writes there
#
is($standby->safe_psql('postgres', 'SELECT history_state FROM dbperf.monitor_status'),
	'off', 'the history is not written');
is( $standby->safe_psql(
		'postgres',
		q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'dbperf writer'}),
	'0',
	'there is no writer');

# the ring survives a restart there, too
$standby->restart;
is( $standby->safe_psql(
		'postgres', q{
		SELECT count(*) FROM dbperf.slow_queries WHERE query LIKE '%AS on\_standby%'
			AND query NOT LIKE '%slow\_queries%'}),
	'1',
	'records survive a restart of the standby');
unlike(slurp_file($standby->logfile), qr/dbperf writer|slow query history|slow_query_history"/,
	'the log has nothing about a writer');

#
# Promotion
#
$standby->promote;
ok( $standby->poll_query_until(
		'postgres', q{
		SELECT count(*) = 1 FROM dbperf.slow_query_history WHERE query LIKE '%AS on\_standby%'
			AND query NOT LIKE '%slow\_queries%'}),
	'after promotion the history is written, with what came before');
ok( $standby->poll_query_until(
		'postgres', q{SELECT history_state = 'running' FROM dbperf.monitor_status}),
	'the writer says so');
$standby->safe_psql('postgres', 'INSERT INTO numbers SELECT 0 FROM pg_sleep(0.15) -- promoted');
ok( $standby->poll_query_until(
		'postgres', q{
		SELECT count(*) = 1 FROM dbperf.slow_query_history
		WHERE command = 'INSERT' AND query LIKE '%-- promoted' AND lost IS NULL}),
	'new statements follow');

$standby->stop;
$primary->stop;
unlike(slurp_file($standby->logfile), qr/PANIC|was terminated by signal/, 'nothing crashed');
done_testing();
