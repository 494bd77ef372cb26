# Advice on statistics and settings on a standby, beside locks, and under a
# time limit.

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
dbperf.slow_query_min_duration = 0
dbperf.slow_query_max_rate = 0
dbperf.plan_capture = rows
autovacuum = off
jit = off
max_parallel_workers_per_gather = 0
});
$primary->start;
$primary->safe_psql(
	'postgres', q{
	CREATE EXTENSION dbperf CASCADE;
	CREATE TABLE pairs AS SELECT i % 100 AS a, i % 100 AS b, md5(i::text) AS t
		FROM generate_series(1, 50000) AS i;
	CREATE TABLE wide (a, b) AS SELECT repeat('x', 500) || i % 100, repeat('y', 500) || i % 100
		FROM generate_series(1, 20000) AS i;
	ANALYZE;
	CREATE ROLE plain;
	GRANT SELECT ON pairs TO plain;
});
$primary->backup('backup');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;

# The queries of all tests; each server has a ring of its own.
sub run_queries
{
	my ($node) = @_;

	$node->safe_psql(
		'postgres', q{
		SET ROLE plain;
		SELECT count(*) FROM pairs WHERE a = 5 AND b = 5;
		SET work_mem = '64kB';
		SELECT count(*) FROM (SELECT * FROM pairs ORDER BY t OFFSET 1) AS p});
	return;
}

my $statistics = q{
	SELECT table_name, columns, kind, verified_on, fixable FROM dbperf.suggest_statistics()
	WHERE table_name = 'pairs'};
my $settings = q{
	SELECT scope, setting, current, cardinality(queries) FROM dbperf.suggest_settings()
	WHERE setting = 'work_mem'};

#
# A standby, which writes nothing
#
run_queries($standby);
is($standby->safe_psql('postgres', $statistics),
	'pairs|{a,b}|dependencies|30000|t', 'statistics on a standby');
is($standby->safe_psql('postgres', $settings), 'query|work_mem|64kB|1', 'settings on a standby');
is( $standby->safe_psql('postgres', "SET ROLE plain; $statistics"),
	'pairs|{a,b}|dependencies|30000|t',
	'as a plain role');
$standby->stop;

#
# In a transaction that has failed parts, is read only, and holds locks
#
run_queries($primary);
is( $primary->safe_psql(
		'postgres', qq{
		BEGIN READ ONLY;
		SAVEPOINT a;
		$statistics;
		ROLLBACK TO a;
		$statistics;
		COMMIT}),
	"pairs|{a,b}|dependencies|30000|t\npairs|{a,b}|dependencies|30000|t",
	'in a subtransaction, and once more');

#
# A table that is locked is not waited for
#
my $locker = $primary->background_psql('postgres');
$locker->query_safe('BEGIN; LOCK TABLE pairs');
is( $primary->safe_psql(
		'postgres', q{
		SET statement_timeout = '20s';
		SELECT table_name, kind IS NULL, fixable IS NULL, reason
		FROM dbperf.suggest_statistics() WHERE table_name = 'pairs'}),
	'pairs|t|t|not verified, as the table could not be sampled: it is locked',
	'a locked table');
$locker->query_safe('COMMIT');
$locker->quit;

#
# A time limit ends it, and it can be called again
#
$primary->safe_psql('postgres',
	q{SELECT count(*) FROM wide WHERE a = repeat('x', 500) || 5 AND b = repeat('y', 500) || 5});
my ($rc, $out, $err) = $primary->psql('postgres',
	"SET statement_timeout = '5ms'; SELECT count(*) FROM dbperf.suggest_statistics()");
like($err, qr/canceling statement due to statement timeout/, 'a time limit is kept');
is($primary->safe_psql('postgres', $statistics),
	'pairs|{a,b}|dependencies|30000|t', 'afterwards it works');

#
# Memory is given back
#
my $grown = $primary->safe_psql(
	'postgres', q{
	CREATE FUNCTION used() RETURNS bigint LANGUAGE sql AS
		$$ SELECT sum(total_bytes)::bigint FROM pg_backend_memory_contexts $$;
	CREATE TEMP TABLE memory AS SELECT 0 AS step, 0::bigint AS bytes;
	DO $$ BEGIN
		FOR step IN 1 .. 6 LOOP
			PERFORM count(*) FROM dbperf.suggest_statistics();
			PERFORM count(*) FROM dbperf.suggest_settings();
			INSERT INTO memory VALUES (step, used());
		END LOOP;
	END $$;
	SELECT max(bytes) FILTER (WHERE step = 6) - max(bytes) FILTER (WHERE step = 2) FROM memory});
cmp_ok($grown, '<', 1000000, 'memory does not grow');

#
# Buffers that are too few for a table that is read again and again
#
my $buffers = q{
	SELECT scope, setting, current, cardinality(queries), suggested ~ '^[0-9]+MB$', reason ~ 'needs a restart'
	FROM dbperf.suggest_settings() WHERE setting = 'shared_buffers'};
$primary->safe_psql('postgres',
	'SELECT dbperf.slow_queries_reset();' . 'SELECT count(*) FROM wide;' x 2);
is($primary->safe_psql('postgres', $buffers), '', 'two executions say nothing');
$primary->append_conf('postgresql.conf', 'shared_buffers = 2MB');
$primary->restart;
$primary->safe_psql('postgres', 'SELECT count(*) FROM wide;' x 3);
is( $primary->safe_psql('postgres', $buffers),
	'server|shared_buffers|2MB|1|t|t',
	'buffers that do not hold a table');

$primary->stop;
done_testing();
