# A backend's memory does not grow, whatever number of statements it runs.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('memory');
$node->init(extra => [ '-E', 'UTF8', '--locale=C' ]);
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'dbperf,pg_stat_statements'
dbperf.slow_query_max_rate = 0
dbperf.track = all
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
CREATE TABLE t AS SELECT i AS id, 'row ' || i AS v FROM generate_series(1, 100) AS i;
CREATE PROCEDURE fails(n int) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. n LOOP
		BEGIN
			PERFORM 1 / (id - 50) FROM t;
		EXCEPTION WHEN division_by_zero THEN
		END;
	END LOOP;
END $$;
});

my $dir = $node->basedir;
my $share = $ENV{DBPERF_SHORT} ? 0.3 : 1;

# One session, to which the same script is sent again and again.
my ($in, $out, $err) = ('', '', '');
my $session = IPC::Run::start(
	[ 'psql', '-X', '-A', '-t', '-q', '-d', $node->connstr('postgres') ],
	'<', \$in, '>', \$out, '2>', \$err,
	IPC::Run::timeout(10 * $PostgreSQL::Test::Utils::timeout_default));

sub run_here
{
	my ($sql) = @_;

	$out = $err = '';
	$in .= "$sql\n;\n\\echo -- done\n";
	$session->pump until $out =~ /^-- done\n/m;
	my $result = $out;
	$result =~ s/^-- done\n//m;
	chomp $result;
	return $result;
}

my $pid = run_here('SELECT pg_backend_pid()');

sub private_memory
{
	return slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m ? $1 : die 'no RssAnon';
}

sub contexts
{
	return run_here(q{SELECT (sum(total_bytes) / 1024)::int FROM pg_catalog.pg_backend_memory_contexts});
}

# Sends a script a number of times, and then returns the size of the memory
# contexts and of the process in kB.
sub repeat_script
{
	my ($times, $script) = @_;
	my $file = "$dir/repeat.sql";

	unlink $file;
	append_to_file($file, "$script;\n" x $times);
	$in .= "\\o /dev/null\n\\i $file\n\\o\n";
	run_here('SELECT 1');
	contexts();
	return (contexts(), private_memory());
}

# steady NAME, TIMES, SCRIPT, BEFORE: runs the script TIMES times, after a fifth
# of that to warm up; that must not cost any memory.
sub steady
{
	my ($name, $times, $script, $before) = @_;

	$times = int($times * $share);
	run_here($before);
	my ($contexts, $memory) = repeat_script(int($times / 5), $script);
	my ($contexts_now, $memory_now) = repeat_script($times, $script);
	cmp_ok($contexts_now, '<=', $contexts + 100,
		"$name: memory contexts, from $contexts to $contexts_now kB");
	cmp_ok($memory_now, '<=', $memory + 300, "$name: memory, from $memory to $memory_now kB");
	return;
}

my $fast = q{SET dbperf.slow_query_min_duration = 10000};
my $slow = q{SET dbperf.slow_query_min_duration = 0};

# Statements in functions are statements, too, and there can be more of them.
steady('fast statements', 200,
	q{DO 'DECLARE n int; BEGIN FOR i IN 1 .. 500 LOOP SELECT count(*) INTO n FROM t WHERE id = i;
		INSERT INTO t VALUES (1000); END LOOP; DELETE FROM t WHERE id = 1000; END'}, $fast);
steady('fast statements of a client', 4000, 'SELECT v FROM t WHERE id = 7', $fast);
steady('recorded statements', 3000, 'SELECT v FROM t WHERE id = 7', $slow);
steady('recorded statements with parameters', 1000,
	q{PREPARE p (int, text) AS SELECT v FROM t WHERE id = $1 AND v <> $2;
	EXECUTE p (7, 'x'); EXECUTE p (8, 'y'); DEALLOCATE p}, $slow);
steady('recorded statements with all plans timed', 2000, 'SELECT count(*) FROM t, t AS u WHERE t.id = u.id',
	"$slow; SET dbperf.plan_capture = timing; SET dbperf.instrument_cost = 0");
run_here('RESET dbperf.plan_capture; RESET dbperf.instrument_cost');
steady('failed statements', 3000, 'SELECT 1 / (id - 50) FROM t', $slow);
steady('statements that cannot be parsed', 2000, 'SELEC 1; SELECT nothing; SELECT 1 / 0', $slow);
steady('failed statements in subtransactions', 30, 'CALL fails(100)', $slow);
steady('cursors', 2000, q{BEGIN; DECLARE c CURSOR FOR SELECT v FROM t; FETCH 3 FROM c; ROLLBACK},
	$slow);
steady('cursors in one transaction', 2000, q{DECLARE c CURSOR FOR SELECT v FROM t; FETCH 3 FROM c; CLOSE c},
	"$slow; BEGIN");
run_here('COMMIT');
steady('cursors in subtransactions', 1000,
	q{SAVEPOINT s; DECLARE c CURSOR FOR SELECT v FROM t; FETCH 3 FROM c; ROLLBACK TO s;
	RELEASE s},
	"$slow; BEGIN");
run_here('COMMIT');
steady('slow commits', 1000, q{BEGIN; INSERT INTO t VALUES (2000); COMMIT}, $slow);
steady('log lines', 1000, 'SELECT v FROM t WHERE id = 7', "$slow; SET dbperf.log_slow_queries = on");
run_here('RESET dbperf.log_slow_queries');

$in .= "\\q\n";
$session->finish;

is($node->safe_psql('postgres', 'SELECT statements = records_written + dropped_busy + dropped_too_large +
		dropped_memory + skipped_flood AND statements > 10000 AND dropped_memory + degraded_memory = 0
		FROM dbperf.monitor_status'),
	't', 'the statements were recorded');
$node->stop;
done_testing();
