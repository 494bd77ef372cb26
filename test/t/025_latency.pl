# dbperf.query_latency against the exact durations of the same executions,
# which dbperf.slow_queries has: percentiles, windows, eviction, resets.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('latency');
$node->init(extra => [ '-E', 'UTF8', '--locale=C' ]);
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'dbperf,pg_stat_statements'
dbperf.slow_query_min_duration = 0
dbperf.slow_query_max_rate = 0
dbperf.slow_query_ring_entries = 16384
dbperf.slow_query_ring_size = 64MB
dbperf.plan_capture = off
dbperf.max_queries = 100
autovacuum = off
fsync = off
jit = off
log_statement = none
log_min_error_statement = panic
});
$node->start;
$node->safe_psql(
	'postgres', q{
CREATE EXTENSION dbperf CASCADE;
CREATE TABLE t AS SELECT i AS id FROM generate_series(1, 20000) AS i;
CREATE VIEW compare AS
SELECT l.queryid, l.calls, l.errors, q.n, l.total_ms, q.total, l.mean_ms, l.min_ms, q.min, l.max_ms, q.max,
	p50_ms, q.p50, p90_ms, q.p90, p95_ms, q.p95, p99_ms, q.p99
FROM dbperf.query_latency AS l JOIN
	(SELECT queryid, count(*) AS n, sum(duration_ms) AS total, min(duration_ms) AS min,
		max(duration_ms) AS max,
		percentile_disc(0.5) WITHIN GROUP (ORDER BY duration_ms) AS p50,
		percentile_disc(0.9) WITHIN GROUP (ORDER BY duration_ms) AS p90,
		percentile_disc(0.95) WITHIN GROUP (ORDER BY duration_ms) AS p95,
		percentile_disc(0.99) WITHIN GROUP (ORDER BY duration_ms) AS p99
	FROM dbperf.slow_queries WHERE query LIKE '%/* p %' GROUP BY queryid) AS q
	USING (queryid)
WHERE period = 'lifetime';
});

my $dir = $node->basedir;

sub quiet
{
	my ($sql) = @_;

	local $ENV{PGOPTIONS} =
	  '-c dbperf.slow_query_min_duration=-1 -c dbperf.track=none';
	return $node->safe_psql('postgres', $sql);
}

sub bench
{
	my ($name, @options) = @_;
	my ($out, $err) = ('', '');

	ok(IPC::Run::run(
			[ 'pgbench', '-n', @options, '-h', $node->host, '-p', $node->port, 'postgres' ],
			'<', \undef, '>', \$out, '2>', \$err),
		$name)
	  or diag($err);
	like($err, qr/^(?!.*(error|abort))/si, "$name: no error");
	return $out =~ /transactions actually processed: (\d+)/ ? $1 : -1;
}

# ---- percentiles ----

# microseconds, milliseconds, and a mixture of both
append_to_file("$dir/a.sql", "SELECT /* p a */ 1;\n");
append_to_file("$dir/b.sql", "SELECT /* p b */ count(*) FROM t WHERE id % 7 = 3;\n");
append_to_file("$dir/c.sql",
	"\\set n random(0, 20000)\nSELECT /* p c */ sum(i) FROM generate_series(1, :n) AS i;\n");
my $count = 500;
quiet('SELECT dbperf.query_latency_reset(), dbperf.slow_queries_reset()');
foreach my $protocol ('simple', 'prepared')
{
	bench("three queries, $protocol", '-c', 2, '-t', $count, '-M', $protocol,
		map { ('-f', "$dir/$_.sql") } 'a', 'b', 'c');
}

is(quiet('SELECT sum(calls), sum(errors) FROM compare'),
	4 * $count . '|0', 'each execution is counted');
is(quiet('SELECT bool_and(calls = n) FROM compare'), 't', 'as often as it was recorded');
my $close = join ' AND ',
  map { "abs(${_}_ms - $_) <= 0.0625 * $_ + 0.001" } 'p50', 'p90', 'p95', 'p99';
is(quiet("SELECT count(*) >= 3 AND bool_and($close) FROM compare"),
	't', 'percentiles are right within 6.25 %')
  or diag(quiet('SELECT * FROM compare'));
is( quiet(
		q{SELECT bool_and(abs(total_ms - total) <= 0.001 * n + 0.001 * total
			AND abs(mean_ms - total / n) <= 0.001 + 0.001 * mean_ms
			AND abs(min_ms - min) <= 0.001 AND abs(max_ms - max) <= 0.001) FROM compare}),
	't',
	'sum, mean, least and greatest are right')
  or diag(quiet('SELECT queryid, n, total_ms, total, mean_ms, min_ms, min, max_ms, max FROM compare'));
is( quiet(
		q{SELECT bool_and(abs(dbperf.latency_percentile(queryid, f) - exact) <= 0.0625 * exact + 0.001)
		FROM (SELECT queryid, f, percentile_disc(f) WITHIN GROUP (ORDER BY duration_ms) AS exact
			FROM dbperf.slow_queries, unnest('{0.1,0.25,0.5,0.75,0.9,0.999}'::float8[]) AS f
			WHERE query LIKE '%/* p %' GROUP BY queryid, f) AS s}),
	't',
	'latency_percentile agrees');
is( quiet(
		q{SELECT bool_and(abs(dbperf.workload_percentile(f) - exact) <= 0.0625 * exact + 0.001)
		FROM (SELECT f, percentile_disc(f) WITHIN GROUP (ORDER BY duration_ms) AS exact
			FROM dbperf.slow_queries, unnest('{0.5,0.9,0.99}'::float8[]) AS f GROUP BY f) AS s}),
	't',
	'workload_percentile agrees')
  or diag(quiet('SELECT f, dbperf.workload_percentile(f) FROM unnest(ARRAY[0.5, 0.9, 0.99]) AS f'));

# ---- failed executions ----

quiet('SELECT dbperf.query_latency_reset(), dbperf.slow_queries_reset()');
append_to_file("$dir/e.sql", "SELECT /* p e */ 1 / (id - 1) FROM t;\n" x 20);
$node->psql('postgres', undef, extra_params => [ '-f', "$dir/e.sql" ], on_error_stop => 0);
is(quiet('SELECT calls, errors, n FROM compare'), '20|20|20', 'errors are calls, too')
  or diag(quiet('SELECT calls, errors, n FROM compare'));

# ---- windows ----

quiet(q{ALTER SYSTEM SET dbperf.latency_window = '4s'});
quiet('SELECT pg_reload_conf()');
quiet('SELECT pg_sleep(4.2)');
quiet('SELECT dbperf.query_latency_reset()');
bench('a query in some windows', '-c', 1, '-t', 50, '-f', "$dir/a.sql");

my $periods = q{SELECT string_agg(period || ' ' || calls, ', ' ORDER BY period) FROM dbperf.query_latency
	JOIN (SELECT DISTINCT queryid FROM dbperf.slow_queries WHERE query LIKE '%/* p a %') q USING (queryid)
	WHERE calls > 0};

# Where in a window that was, nobody knows.
like(quiet($periods), qr/^(current 50, |current \d+, )?lifetime 50(, previous \d+)?$/, 'in the window that runs');
my %seen;
for (1 .. 120)
{
	$seen{ quiet($periods) } = 1;
	last if $seen{'lifetime 50'};
	select(undef, undef, undef, 0.1);
}
ok($seen{'lifetime 50'}, 'then only in the lifetime');
ok(scalar(grep { /previous/ } keys %seen), 'in between in the previous window')
  or diag(join '; ', sort keys %seen);
quiet(q{ALTER SYSTEM RESET dbperf.latency_window});
quiet('SELECT pg_reload_conf()');

# ---- eviction ----

quiet('SELECT dbperf.query_latency_reset(), dbperf.slow_queries_reset()');
foreach my $n (1 .. 500)
{
	append_to_file("$dir/many.sql", 'SELECT 1' . join('', map { ", $_" } 1 .. $n) . ";\n");
}
my $rounds = 4;
bench('500 different queries', '-c', 2, '-t', $rounds, '-f', "$dir/many.sql");
is(quiet(q{SELECT sum(calls) FROM dbperf.query_latency WHERE period = 'lifetime'}),
	2 * $rounds * 500, 'none is lost when others have to make room');
is( quiet(
		q{SELECT count(*) FILTER (WHERE database_name IS NULL AND calls > 0), count(*) BETWEEN 10 AND 101
			FROM dbperf.query_latency WHERE period = 'lifetime'}),
	'1|t',
	'those that made room are in one row');
is( quiet(
		q{SELECT queries_tracked BETWEEN 10 AND 101, queries_evicted >= 400 FROM dbperf.monitor_status}),
	't|t',
	'the table has its size')
  or diag(quiet('SELECT queries_tracked, queries_evicted FROM dbperf.monitor_status'));

# ---- a plan has to make room, and its query is still in use ----

$node->safe_psql('postgres', 'CREATE TABLE two AS SELECT i AS id FROM generate_series(1, 500) AS i;
	CREATE INDEX ON two (id); ANALYZE two');
my $two = "SELECT /* two */ id FROM two WHERE id = 7;\n";
append_to_file("$dir/plan_1.sql", $two);
append_to_file("$dir/plan_2.sql", "SET enable_indexscan = off; SET enable_bitmapscan = off;
	SET enable_indexonlyscan = off;\n" . $two);
# so that its second plan is never the one that was not used for the longest time
append_to_file("$dir/beside.sql",
	join '', map { 'SELECT 2' . join('', map { ', 2' } 1 .. $_) . ";\n" . ($_ % 5 ? '' : $two) } 1 .. 400);
quiet('SELECT dbperf.query_latency_reset(), dbperf.slow_queries_reset()');
bench('a plan', '-c', 1, '-t', 30, '-f', "$dir/plan_1.sql");
bench('another plan', '-c', 1, '-t', 1, '-f', "$dir/plan_2.sql");
my $calls = q{SELECT calls FROM dbperf.query_latency JOIN
	(SELECT DISTINCT queryid FROM dbperf.query_samples WHERE query LIKE '%/* two */ id%') AS q USING (queryid)
	WHERE period = 'lifetime'};
is(quiet($calls), 31, 'a query with two plans');
append_to_file("$dir/plan_2_beside.sql", slurp_file("$dir/plan_2.sql") . slurp_file("$dir/beside.sql"));
bench('others take the room of one', '-c', 1, '-t', 2, '-f', "$dir/plan_2_beside.sql");
is(quiet($calls), 31 + 2 * 81, 'what it counted goes on to count for the query');
is(quiet(q{SELECT sum(calls) FROM dbperf.query_latency WHERE period = 'lifetime' AND queryid IS NULL}) > 300,
	1, 'as it does not for queries that are gone');

# ---- resets while others are at work ----

my ($out, $err) = ('', '');
my $seconds = 2;
my $writers = IPC::Run::start(
	[
		'pgbench', '-n', '-c', 4, '-j', 2, '-T', $seconds, '-f', "$dir/many.sql", '-f', "$dir/a.sql",
		'-h', $node->host, '-p', $node->port, 'postgres'
	],
	'<', \undef, '>', \$out, '2>', \$err);
my $resets = 0;
my $until = time + $seconds;
my $statements = q{DO $$
DECLARE n bigint; BEGIN
FOR i IN 1 .. 20 LOOP
	PERFORM dbperf.query_latency_reset();
	PERFORM dbperf.slow_queries_reset();
	SELECT count(*) INTO n FROM dbperf.query_latency;
	IF EXISTS (SELECT FROM dbperf.query_latency WHERE calls < 0 OR errors <> 0 OR total_ms < 0
			OR p50_ms > p99_ms OR calls > 10000000 OR total_ms > 1e7) THEN
		RAISE EXCEPTION 'bad row';
	END IF;
	PERFORM dbperf.query_latency_reset(queryid) FROM
		(SELECT queryid FROM dbperf.query_latency LIMIT 3) AS q WHERE queryid IS NOT NULL;
	SELECT count(*) INTO n FROM dbperf.query_samples;
END LOOP; END $$};
while (time < $until)
{
	my $ret = eval { quiet($statements); 1 };

	ok($ret, 'resets') or diag($@) unless $ret;
	$resets += 20;
}
ok($writers->finish, 'writers during resets') or diag($err);
cmp_ok($resets, '>', 0, "$resets resets");
quiet('SELECT dbperf.query_latency_reset()');
bench('after the resets', '-c', 1, '-t', 100, '-f', "$dir/a.sql");
is(quiet(q{SELECT sum(calls) FROM dbperf.query_latency WHERE period = 'lifetime'}),
	'100', 'it still counts right');
is( quiet(
		q{SELECT statements = records_written + dropped_busy + dropped_too_large + dropped_memory +
			skipped_flood FROM dbperf.monitor_status}),
	't',
	'each statement is accounted for');

$node->stop;
done_testing();
