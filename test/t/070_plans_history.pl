# Plans over time: what makes a query slower appears in dbperf.plan_regressions
# within one window, and what does not make it slower does not; histograms,
# samples and plans survive a clean restart.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $window = 2;
my $node = PostgreSQL::Test::Cluster->new('plans');
$node->init(extra => [ '-E', 'UTF8', '--locale=C' ]);
$node->append_conf(
	'postgresql.conf', qq{
shared_preload_libraries = 'dbperf,pg_stat_statements'
dbperf.latency_window = '${window}s'
dbperf.max_queries = 200
dbperf.advisor_interval = 0
dbperf.maintenance = off
dbperf.cache_mode = off
max_parallel_workers_per_gather = 0
random_page_cost = 4
autovacuum = off
fsync = off
jit = off
log_statement = none
});
$node->start;
$node->safe_psql(
	'postgres', q{
CREATE EXTENSION dbperf CASCADE;
CREATE DATABASE other;
});
$node->safe_psql('other', 'CREATE EXTENSION dbperf CASCADE');

my $setup = q{
CREATE TABLE orders (id int, customer int, note text);
INSERT INTO orders SELECT i, i % 1000, repeat('x', 40) FROM generate_series(1, 20000) AS i;
CREATE INDEX orders_customer ON orders (customer);
CREATE TABLE customers (id int PRIMARY KEY, name text);
INSERT INTO customers SELECT i, 'name ' || i FROM generate_series(0, 999) AS i;
VACUUM ANALYZE;
};
$node->safe_psql('postgres', $setup);

# Asks without being counted.
sub quiet
{
	my ($sql, $database) = @_;

	local $ENV{PGOPTIONS} = '-c dbperf.track=none';
	return $node->safe_psql($database // 'postgres', $sql);
}

# Runs a statement with a marker for numbers 1 to n, in one session.
sub repeat
{
	my ($sql, $n, %params) = @_;

	my $script = join '', map { (my $one = $sql) =~ s/\?/$_/g; "$one;\n" } 1 .. $n;
	$node->safe_psql($params{database} // 'postgres', ($params{before} // '') . $script);
	return;
}

# The regressions of the query with this marker in its text.
sub regressions
{
	my ($marker, $columns, $database) = @_;

	return quiet(
		qq{SELECT $columns FROM (SELECT * FROM dbperf.plan_regressions AS r
		WHERE r.queryid IN (SELECT queryid FROM dbperf.query_samples WHERE query LIKE '%/* $marker */%')
		AND r.database_name = current_database() ORDER BY r.first_seen) AS r}, $database);
}

sub none
{
	my ($marker, $what) = @_;

	is(regressions($marker, 'old_p50_ms, new_p50_ms, difference'), '', $what);
	return;
}

# What the machine is busy with beside the test can slow all executions of one
# plan down; another plan it cannot make.
sub no_change
{
	my ($marker, $what) = @_;

	is( regressions($marker, q{count(*) FILTER (WHERE old_plan_id <> new_plan_id)}), '0', $what);
	return;
}

# ---- a new plan ----

my $by_customer = 'SELECT /* by customer */ count(note) FROM orders WHERE customer = ?';
repeat($by_customer, 60);
no_change('by customer', 'one plan is no regression');
quiet('DROP INDEX orders_customer');
repeat($by_customer, 60);
is( regressions(
		'by customer', q{difference, factor > 2 AND confidence > 0.999, old_calls, new_calls, old_plan_id <> new_plan_id,
		old_plan LIKE '%orders_customer%', new_plan LIKE '%Seq Scan on orders%', new_p50_ms > old_p50_ms}),
	'Bitmap Heap Scan on orders using orders_customer became Seq Scan on orders.|t|60|60|t|t|t|t',
	'an index was dropped');
quiet('CREATE INDEX orders_customer ON orders (customer)');
# what the machine is busy with may hold some of them up: then more have to be seen
for (1 .. 5)
{
	repeat($by_customer, 60);
	last if regressions('by customer', 'count(*) FILTER (WHERE old_plan_id <> new_plan_id)') eq '0';
}
no_change('by customer', 'the index is there again');

# ---- the plan of before comes back ----

quiet('SELECT dbperf.query_latency_reset()');
$node->safe_psql('postgres', 'CREATE TABLE small (id int, note text); INSERT INTO small SELECT i FROM generate_series(1, 50) AS i; ANALYZE small');
my $small = 'SELECT /* small */ count(note) FROM small WHERE id = ?';
repeat($small, 40);
quiet(q{INSERT INTO small SELECT i, repeat('x', 50) FROM generate_series(51, 30000) AS i;
	CREATE INDEX small_id ON small (id); ANALYZE small});
sleep $window + 1;
repeat($small, 60);
no_change('small', 'the table has grown and got an index');
sleep $window + 1;
quiet('DROP INDEX small_id');
repeat($small, 60);
is( regressions('small', 'difference, old_calls, new_calls'),
	'Index Scan using small_id on small became Seq Scan on small.|60|60',
	'a plan that had been used before the index');

# ---- statistics, settings ----

my $join = 'SELECT /* join */ count(*) FROM customers c JOIN orders o ON o.customer = c.id WHERE o.id <= ? + 800';
repeat($join, 50);
repeat($join, 50, before => 'SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off; SET enable_memoize = off; SET enable_material = off;');
like(
	regressions('join', 'difference'),
	qr/Hash Join became Nested Loop/,
	'a setting has changed the join');

# a difference of three times, which a busy machine can hide: then with another query
my $unhashed = '';
for my $try (1 .. 5)
{
	my $sorted = "SELECT /* sorted $try */ " . join(', ', ('count(*)') x $try)
	  . ' FROM (SELECT customer % 7, note, sum(id) FROM orders WHERE id > ? GROUP BY 1, 2) s';

	repeat($sorted, 40);
	repeat($sorted, 40, before => q{SET enable_hashagg = off; SET work_mem = '64kB';});
	$unhashed = regressions("sorted $try", 'difference');
	last if $unhashed ne '';
}
like($unhashed, qr/HashAggregate became GroupAggregate/, 'without hashing');

$node->safe_psql('postgres', q{
CREATE TABLE stat (id int, kind int, note text);
INSERT INTO stat SELECT i, i % 10000, repeat('y', 40) FROM generate_series(1, 20000) AS i;
CREATE INDEX stat_kind ON stat (kind); ANALYZE stat});
my $stat = 'SELECT /* stat */ count(note) FROM stat WHERE kind = 7 AND id > ?';
repeat($stat, 40);
quiet('UPDATE stat SET kind = 7');
quiet('ANALYZE stat');
quiet('UPDATE stat SET kind = id % 10000');
quiet('VACUUM stat');
repeat($stat, 40);
is( regressions('stat', 'difference'),
	'Index Scan using stat_kind on stat became Seq Scan on stat.',
	'other statistics');

# ---- the same plan ----

$node->safe_psql('postgres', q{CREATE TABLE grows (v int, note text);
INSERT INTO grows SELECT i, repeat('z', 40) FROM generate_series(1, 2000) AS i});
my $grows = 'SELECT /* grows */ count(note) FROM grows WHERE v <> ?';
sleep 2 * $window;
for (1 .. 6)
{
	repeat($grows, 60);
	sleep $window;
	last if $_ >= 3 && regressions('grows', 'factor') eq '';
}
none('grows', 'nothing has changed yet');
quiet(q{INSERT INTO grows SELECT i, repeat('z', 40) FROM generate_series(1, 20000) AS i});
# so many that windows before do not matter, if the machine has slowed one of them down
repeat($grows, 700);
repeat($grows, 1) for 1 .. 2;
is( regressions('grows', 'difference, old_plan_id = new_plan_id, factor > 1.5, new_calls >= 30'),
	'The same plan is slower.|t|t|t', 'a table has grown');
for (1 .. 4)
{
	sleep $window;
	repeat($grows, 60);
}
is(regressions('grows', 'count(*), min(first_seen) < now() - interval \'4 s\''),
	'1|t', 'it stays slower, and is not compared with itself');
quiet('DELETE FROM grows WHERE ctid >= \'(19,0)\'; VACUUM grows');
for (1 .. 6)
{
	sleep $window;
	repeat($grows, 60);
	last if $_ >= 3 && regressions('grows', 'factor') eq '';
}
none('grows', 'it has recovered');

# ---- what is no regression ----

# plans that are chosen by the parameter
$node->safe_psql('postgres', q{CREATE TABLE skewed (v int, note text);
INSERT INTO skewed SELECT CASE WHEN i <= 50 THEN i ELSE 0 END, repeat('s', 40) FROM generate_series(1, 20000) AS i;
CREATE INDEX ON skewed (v); ANALYZE skewed});
my $skewed = '';
for my $round (1 .. 4)
{
	my $script = join '', map { 'SELECT /* skewed */ count(note) FROM skewed WHERE v = ' . ($_ % 2 ? 0 : $_) . ";\n" } 1 .. 60;
	$node->safe_psql('postgres', $script);
	sleep 1;
}
is( quiet(q{SELECT count(*) FROM dbperf.plan_history WHERE plan LIKE '%skewed%' AND calls = 120}),
	'2', 'a query that uses two plans');
no_change('skewed', 'two plans by the parameter');

# the same with outliers and with a mixture of fast and slow executions
append_to_file($node->basedir . '/noise.sql', <<'END');
\set n random(1, 1000)
\set m random(1, 20)
SELECT /* noise */ count(*) FROM customers WHERE id < :n;
SELECT /* mixture */ sum(i) FROM generate_series(1, CASE WHEN :m <= 8 THEN 20000 ELSE 100 END) AS i;
SELECT /* outliers */ sum(i) FROM generate_series(1, CASE WHEN :m = 1 THEN 50000 ELSE 100 END) AS i;
END
$node->command_ok(
	[ 'pgbench', '-n', '-c', 2, '-T', 4 * $window, '-R', 100, '-f', $node->basedir . '/noise.sql', '-p', $node->port, '-h', $node->host, 'postgres' ],
	'a workload with noise');
no_change($_, "no alarm: $_") foreach ('noise', 'mixture', 'outliers');

# ---- two databases ----

$node->safe_psql('other', $setup);
repeat($by_customer, 40, database => 'other');
quiet('DROP INDEX orders_customer', 'other');
repeat($by_customer, 40, database => 'other');
is(regressions('by customer', 'count(*)', 'other'), '1', 'a regression in another database');
is( quiet(q{SELECT string_agg(DISTINCT database_name, ',') FROM dbperf.plan_history WHERE queryid IN
		(SELECT queryid FROM dbperf.query_samples WHERE query LIKE '%/* by customer */%' AND database_name = 'other')}),
	'other', 'each database has its own plans');

# ---- a plain role ----

quiet('CREATE ROLE plain LOGIN; CREATE ROLE watcher LOGIN; GRANT pg_read_all_stats TO watcher');
foreach my $role ('plain', 'watcher')
{
	local $ENV{PGUSER} = $role;
	my $sees = $role eq 'plain' ? 'f' : 't';

	is( $node->safe_psql('postgres', q{SELECT count(*) > 0, bool_or(queryid IS NOT NULL), bool_or(old_plan_id IS NOT NULL),
			bool_or(difference IS NOT NULL), bool_or(old_plan IS NOT NULL OR new_plan IS NOT NULL), bool_and(factor > 1.5)
			FROM dbperf.plan_regressions WHERE user_name <> current_user}),
		"t|$sees|$sees|$sees|$sees|t", "what $role sees of regressions");
	is( $node->safe_psql('postgres', q{SELECT count(*) > 0, bool_or(queryid IS NOT NULL OR plan_id IS NOT NULL OR plan IS NOT NULL)
			FROM dbperf.plan_history WHERE user_name <> current_user}),
		"t|$sees", "what $role sees of plans");
}

# ---- restart ----

my $kept = q{SELECT database_name, queryid, plan_id, first_seen, calls, md5(plan) FROM dbperf.plan_history
	WHERE plan LIKE '%orders%' ORDER BY 1, 2, 3};
my $samples = q{SELECT database_name, queryid, md5(query), parameters FROM dbperf.query_samples
	WHERE query LIKE '%/* %' ORDER BY 1, 2, 3, 4};
my $latency = q{SELECT queryid, calls, errors, total_ms, min_ms, p50_ms, p99_ms, max_ms FROM dbperf.query_latency
	WHERE period = 'lifetime' AND queryid IN (SELECT queryid FROM dbperf.query_samples WHERE query LIKE '%/* %') ORDER BY 1, 2, 3};
my $changes = q{SELECT old_plan_id, new_plan_id, first_seen, difference FROM dbperf.plan_regressions
	WHERE old_plan_id <> new_plan_id ORDER BY 1, 2};

# slower in a window that is still open at the restart
quiet('CREATE TABLE late AS TABLE grows');
my $late = 'SELECT /* late */ count(note) FROM late WHERE v <> ?';
repeat($late, 100);
sleep $window;
quiet(q{INSERT INTO late SELECT i, repeat('z', 40) FROM generate_series(1, 80000) AS i});
repeat($late, 100);
my @before = map { quiet($_) } $kept, $samples, $latency;
my $found = quiet($changes);
my $restarted = quiet('SELECT now()');

$node->restart;
is(quiet($kept), $before[0], 'plans are the same after a restart');
is(quiet($samples), $before[1], 'samples are');
is(quiet($latency), $before[2], 'latencies are');
is(quiet($changes), $found, 'changes of plans are');
isnt($found, '', 'there were some');
is(regressions('late', "difference, first_seen < '$restarted'"),
	'The same plan is slower.|t', 'a plan became slower before the restart');

# a regression across the restart
my $across = 'SELECT /* across */ count(note) FROM orders WHERE customer = ? AND id > 5';
repeat($across, 60);
$node->append_conf('postgresql.conf', "enable_indexscan = off\nenable_bitmapscan = off\n");
$node->restart;
repeat($across, 60);
like(regressions('across', 'difference'), qr/ became Seq Scan on orders/, 'a setting changed with a restart');

# last_seen is not lost, and goes on
is(quiet(q{SELECT bool_and(last_seen BETWEEN first_seen AND now()) FROM dbperf.plan_history}), 't', 'when plans were seen');

# damage
my $dump = $node->data_dir . '/pg_stat/dbperf_latency.stat';
ok(!-e $dump, 'the file is removed once it is read');
$node->stop;
ok(-e $dump, 'it is written at shutdown');
my $size = -s $dump;
open(my $file, '+<', $dump) or die "$dump: $!";
binmode $file;
seek($file, $size / 2, 0);
read($file, my $byte, 1);
seek($file, $size / 2, 0);
print $file chr(ord($byte) ^ 1);
close($file);
my $offset = -s $node->logfile;
$node->start;
like(slurp_file($node->logfile, $offset), qr/latencies and plans of before the restart are not available: file ".*" is damaged/, 'a damaged file is reported');
is(quiet(q{SELECT count(*) FROM dbperf.plan_history WHERE plan LIKE '%orders%'}), '0', 'and ignored');
ok(!-e $dump, 'and removed');

foreach my $length (0, 10, 100)
{
	repeat($across, 2);
	$node->stop;
	truncate($dump, $length) or die "$dump: $!";
	$offset = -s $node->logfile;
	$node->start;
	like(slurp_file($node->logfile, $offset), qr/latencies and plans of before the restart are not available/, "$length bytes of it");
}

# not after a crash
repeat($across, 5);
$node->stop('immediate');
unlink $dump;
$node->start;
is(quiet(q{SELECT count(*) FROM dbperf.plan_history WHERE plan LIKE '%orders%'}), '0', 'nothing without a file');

# with fewer slots: the last used ones are kept, the sum stays right
$node->append_conf('postgresql.conf', "dbperf.max_queries = 100\ndbperf.track = top\n");
$node->safe_psql('postgres', join '', map { 'SELECT 1' . ', 1' x $_ . ";\n" } 1 .. 150);
my $sum = q{SELECT sum(calls) FROM dbperf.query_latency WHERE period = 'lifetime'};
my $calls = quiet($sum);
$node->restart;
cmp_ok(quiet($sum), '>=', $calls, 'no execution is lost with fewer slots');

# ---- many plans, evictions, resets and readers at the same time ----

$node->safe_psql('postgres', 'CREATE TABLE parts (p int, v int) PARTITION BY LIST (p);'
	  . join('', map { "CREATE TABLE part_$_ PARTITION OF parts FOR VALUES IN ($_);" } 1 .. 30));
append_to_file($node->basedir . '/many.sql', join('', "\\set p random(1, 30)\n", map { 'SELECT count(v)' . ', 1' x $_ . " FROM parts WHERE p = :p;\n" } 1 .. 20));
quiet('SELECT dbperf.query_latency_reset()');
my ($out, $err) = ('', '');
my $writers = IPC::Run::start(
	[ 'pgbench', '-n', '-c', 4, '-j', 2, '-t', 100, '-f', $node->basedir . '/many.sql', '-h', $node->host, '-p', $node->port, 'postgres' ],
	'<', \undef, '>', \$out, '2>', \$err);
for (1 .. 10)
{
	quiet(q{SELECT count(*) FROM dbperf.plan_history, dbperf.query_samples; SELECT count(*) FROM dbperf.plan_regressions;
		SELECT sum(calls) FROM dbperf.query_latency});
}
ok($writers->finish, 'writers') or diag($err);
is(quiet($sum), 4 * 100 * 20, 'no execution is lost');
cmp_ok(quiet(q{SELECT max(n) FROM (SELECT count(plan_id) AS n FROM dbperf.plan_history GROUP BY queryid, user_name, toplevel) q}),
	'<=', 8, 'no more than eight plans of a query');
is(quiet('SELECT queries_tracked <= 100 AND queries_evicted > 0 FROM dbperf.monitor_status'), 't', 'counts');
$writers = IPC::Run::start(
	[ 'pgbench', '-n', '-c', 4, '-j', 2, '-t', 50, '-f', $node->basedir . '/many.sql', '-h', $node->host, '-p', $node->port, 'postgres' ],
	'<', \undef, '>', \$out, '2>', \$err);
quiet('SELECT dbperf.query_latency_reset(); SELECT count(*) FROM dbperf.plan_history') for 1 .. 10;
ok($writers->finish, 'writers during resets') or diag($err);

$node->stop;
ok(slurp_file($node->logfile) !~ /PANIC|TRAP|terminated by signal 11/, 'nothing crashed');
done_testing();
