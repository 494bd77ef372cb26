# Out of memory inside of the monitor is counted, and the user's statement
# succeeds.  The address space of a backend is limited to what it has, or to a
# little more, while statements run that need hardly any memory themselves.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'there is no prlimit' unless grep { -x "$_/prlimit" } split /:/, $ENV{PATH};

my $node = PostgreSQL::Test::Cluster->new('oom');
$node->init(extra => [ '-E', 'UTF8', '--locale=C' ]);
$node->append_conf(
	'postgresql.conf', q{
shared_preload_libraries = 'dbperf,pg_stat_statements'
dbperf.slow_query_min_duration = 0
dbperf.slow_query_max_rate = 0
dbperf.slow_query_ring_size = 64MB
autovacuum = off
fsync = off
jit = off
log_statement = none
});

# Memory that was freed is given back at once, else it would do for everything.
$ENV{MALLOC_TRIM_THRESHOLD_} = $ENV{MALLOC_MMAP_THRESHOLD_} = 65536;
$node->start;
$node->safe_psql(
	'postgres', q{
CREATE EXTENSION dbperf CASCADE;
CREATE TABLE t AS SELECT i AS id, 'row ' || i AS v FROM generate_series(1, 100) AS i;
});

my ($in, $out, $err) = ('', '', '');
my $session = IPC::Run::start(
	[ 'psql', '-X', '-A', '-t', '-q', '-d', $node->connstr('postgres') ],
	'<', \$in, '>', \$out, '2>', \$err,
	IPC::Run::timeout(10 * $PostgreSQL::Test::Utils::timeout_default));

sub run_here
{
	my ($sql) = @_;

	$out = $err = '';
	$in .= "$sql\n;\n\\echo -- done\n\\warn -- done\n";
	$session->pump until $out =~ /^-- done\n/m && $err =~ /^-- done\n/m;
	my ($result, $error) = ($out, $err);
	$result =~ s/^-- done\n//m;
	$error =~ s/^-- done\n//m;
	chomp $result;
	return ($result, $error);
}

sub observe
{
	my ($sql) = @_;

	local $ENV{PGOPTIONS} = '-c dbperf.slow_query_min_duration=-1';
	return $node->safe_psql('postgres', $sql);
}

# Allows the session this many bytes more than it has; undef: any number.
my $pid;

sub allow
{
	my ($more) = @_;
	my $limit = 'unlimited';

	if (defined $more)
	{
		slurp_file("/proc/$pid/status") =~ /^VmSize:\s+(\d+) kB/m or die 'no VmSize';
		$limit = $1 * 1024 + $more;
	}
	return system('prlimit', '--pid', $pid, "--as=$limit:") == 0;
}

($pid) = run_here('SELECT pg_backend_pid()');

# Eight statements.  Once without a limit: afterwards the session itself needs nothing new.
my $statements = q{SELECT count(*) FROM t WHERE id < 50;
EXECUTE p (7, 'x');
SELECT v FROM t WHERE id = 3;
BEGIN;
DECLARE c CURSOR FOR SELECT v FROM t;
FETCH 1 FROM c;
ROLLBACK;
SHOW work_mem};
my $expected = "49\n7\nrow 3\nrow 1\n4MB";
run_here('PREPARE p (int, text) AS SELECT id FROM t WHERE id = $1 AND v <> $2');
run_here($statements) for 1 .. 10;

my $sum = q{SELECT statements = records_written + dropped_busy + dropped_too_large +
	dropped_memory + skipped_flood FROM dbperf.monitor_status};
my $missing = q{SELECT dropped_memory + degraded_memory FROM dbperf.monitor_status};

# Runs the statements with this much more memory than the session has.
# Returns how often the monitor had none.
sub run_with
{
	my ($name, $more) = @_;

	# what the statements themselves need
	run_here('SET dbperf.enabled = off');
	allow($more);
	my ($alone) = run_here($statements);
	allow(undef);
	run_here('ROLLBACK');
	run_here('SET dbperf.enabled = on');
	if ($alone ne $expected)
	{
		note("$name: too little for the statements alone");
		return 0;
	}

	my $before = observe($missing);
	my $next_before = observe('SELECT next_id FROM dbperf.monitor_status');
	my $ok = 1;

	ok(allow($more), "$name: a limit");
	foreach my $run (1 .. 5)
	{
		my ($result, $error) = run_here($statements);
		next if $result eq $expected && $error eq '';
		diag("$name: $result $error");
		$ok = 0;
	}
	ok(allow(undef), "$name: no limit");
	ok($ok, "$name: the statements succeed");
	my $failures = observe($missing) - $before;
	note("$name: memory was missing $failures times");
	is(observe('SELECT next_id FROM dbperf.monitor_status') - $next_before,
		40, "$name: all are recorded");
	return $failures;
}

# How much of the heap is free is not known: all steps up to plenty.
run_with("$_ kB more", $_ * 1024) foreach (0, 16, 32, 64, 128, 160, 256, 512, 1024);

# So fill it, and then make holes that are large enough for the statements, but
# not for what the monitor asks for before it begins a subtransaction.
my $filled = 0;
run_here('SET dbperf.enabled = off');
allow(0);
foreach my $n (1 .. 2000)
{
	my ($result, $error) = run_here("PREPARE b$n AS SELECT '" . ('x' x 15000) . q{'});

	last if $error =~ /out of memory/;
	die $error if $error ne '';
	$filled = $n;
}
allow(undef);
for (my $n = $filled; $n > 0; $n -= 2)
{
	run_here("DEALLOCATE b$n");
}
cmp_ok(run_with('a full heap', 0), '>=', 5, 'memory was missing indeed, and that is counted');
run_here('DEALLOCATE ALL');
run_here('PREPARE p (int, text) AS SELECT id FROM t WHERE id = $1 AND v <> $2');

is(observe($sum), 't', 'each statement is accounted for');

# The session goes on as before.
my $before = observe($missing);
run_here('SET application_name = after');
my ($result, $error) = run_here($statements);
is("$result$error", $expected, 'without the limit the session goes on');
is(observe($missing), $before, 'nothing is missing any more');
is( observe(q{SELECT bool_and(plan IS NOT NULL), bool_or(parameters = '{7,x}') FROM dbperf.slow_queries
		WHERE application_name = 'after' AND command = 'SELECT' AND query NOT LIKE '%CURSOR%'}),
	't|t',
	'records have their plans and parameters again');
is(observe("SELECT count(*) FROM pg_stat_activity WHERE pid = $pid"), '1', 'and it is the same session');

$in .= "\\q\n";
$session->finish;
unlike(slurp_file($node->logfile), qr/PANIC|FATAL|terminated by signal/, 'no crash');
$node->stop;
done_testing();
