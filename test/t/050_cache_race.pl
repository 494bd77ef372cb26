# The result cache under everything that writes, at once: whatever is answered
# from it is executed again with the same snapshot, and has to be the same.
#
# test/race/schema.sql has the tables, the statements and the functions that
# compare; test/race/writers what is done to the tables.  Here the readers are
# made: each statement in a transaction that keeps its snapshot, through the
# simple, the extended and the prepared protocol, in functions that execute with
# their caller's snapshot, through cursors, and, where a client's statement has a
# snapshot of its own, between two others that bound it.
#
# In a second server changes are noted too late (test/race/late_writes): the same
# readers must find wrong results there, or they prove nothing.
#
# DBPERF_RACE_SECONDS says how long it goes on.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename;
use File::Copy;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{DBPERF_RACE_SECONDS} || ($ENV{DBPERF_SHORT} ? 30 : 90);
my $broken_seconds = 15;

# hits that have to be checked: 100,000 in five minutes
my $min_hits = int($seconds * 100_000 / 300);

my $dir = PostgreSQL::Test::Utils::tempdir;
my $race = abs_path(dirname(__FILE__) . "/../race");
my $hint = '/* dbperf: cache */';

# ---- a server ----

sub make_server
{
	my ($name, $libraries) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(extra => [ '-E', 'UTF8', '--locale=C' ]);
	$node->append_conf(
		'postgresql.conf', qq{
shared_preload_libraries = '$libraries'
dbperf.cache_mode = hint
dbperf.cache_admission = always
dbperf.slow_query_min_duration = -1
max_prepared_transactions = 20
max_connections = 60
autovacuum_naptime = 1
fsync = off
jit = off
log_statement = none
log_min_duration_statement = -1
});
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION dbperf CASCADE');
	$node->command_ok(
		[
			'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-v', "copy_file=$dir/copy.$name",
			'-d', $node->connstr('postgres'), '-f', "$race/schema.sql"
		],
		"$name: tables and functions");
	return $node;
}

# ---- readers' scripts ----

sub script
{
	my ($name, $text) = @_;
	my $file = "$dir/$name.sql";

	PostgreSQL::Test::Utils::append_to_file($file, $text);
	return $file;
}

# One that reads twice in a transaction, which was begun with the given commands.
sub script_twice
{
	my ($name, $begin, $query) = @_;
	my $hinted = $query =~ s/SELECT/SELECT $hint/r;

	return script($name,
		    "$begin\n$hinted \\gset a_\n$query \\gset b_\nCOMMIT;\n"
		  . "SELECT compare('$name', :a_n, :a_s, :b_n, :b_s);\n");
}

# Returns the arguments of pgbench for all of them, with their weights.
sub make_readers
{
	my ($node) = @_;
	my $repeatable = 'BEGIN ISOLATION LEVEL REPEATABLE READ;';
	my @scripts;

	foreach my $line (split /\n/,
		$node->safe_psql('postgres', 'SELECT number, query FROM statements ORDER BY 1'))
	{
		my ($number, $query) = split /\|/, $line, 2;

		push @scripts, script_twice("repeatable_$number", $repeatable, $query) . '@10',
		  script_twice("late_$number",
			"$repeatable\nSELECT 1;\n\\sleep 500 us", $query) . '@1',
		  script_twice("serializable_$number", 'BEGIN ISOLATION LEVEL SERIALIZABLE;', $query)
		  . '@1',
		  script("function_$number", "SELECT check_$number(0);\n") . '@5',
		  script("late_function_$number", "SELECT check_$number(0.0005);\n") . '@1',
		  script("repeatable_function_$number", "$repeatable\nSELECT check_$number(0);\nCOMMIT;\n")
		  . '@2';
	}
	push @scripts, script('rows', "SELECT check_rows();\n") . '@10',
	  script_twice('parameter', "\\set x random(1, 4) * 10\n$repeatable",
		'SELECT count(*) AS n, coalesce(sum(ver), 0)::bigint AS s FROM t0 WHERE id <= :x;') . '@20';
	push @scripts, map { script("between_$_", <<"EOS") . '@10' } 0 .. 2;
SELECT sum(ver)::bigint AS low FROM t$_ \\gset
SELECT $hint sum(ver)::bigint AS got FROM t$_ \\gset
SELECT sum(ver)::bigint AS high FROM t$_ \\gset
SELECT compare_between('between_$_', :low, :got, :high);
EOS
	push @scripts, script('cursor', <<"EOS") . '@10';
$repeatable
DECLARE a CURSOR FOR SELECT $hint id AS n, ver AS s FROM t0 ORDER BY id;
DECLARE b CURSOR FOR SELECT id AS n, ver AS s FROM t0 ORDER BY id;
FETCH RELATIVE 7 FROM a \\gset a_
FETCH RELATIVE 7 FROM b \\gset b_
COMMIT;
SELECT compare('cursor', :a_n, :a_s, :b_n, :b_s);
EOS
	push @scripts, script('held_cursor', <<"EOS") . '@5';
$repeatable
DECLARE a CURSOR WITH HOLD FOR SELECT $hint id AS n, ver AS s FROM t2 ORDER BY id DESC;
DECLARE b CURSOR WITH HOLD FOR SELECT id AS n, ver AS s FROM t2 ORDER BY id DESC;
COMMIT;
FETCH RELATIVE 7 FROM a \\gset a_
FETCH RELATIVE 7 FROM b \\gset b_
CLOSE ALL;
SELECT compare('held_cursor', :a_n, :a_s, :b_n, :b_s);
EOS
	return map { ('-f', $_) } @scripts;
}

# ---- a run ----

# Starts pgbench.
sub start
{
	my ($node, $name, $secs, @args) = @_;
	my $out = '';
	my $harness = IPC::Run::start(
		[ 'pgbench', '-n', '-T', $secs, '-h', $node->host, '-p', $node->port, @args, 'postgres' ],
		'<', \undef, '>&', \$out, IPC::Run::timeout($secs + 120));

	return { name => $name, harness => $harness, out => \$out };
}

# Waits for one, which must have met no error.
sub check
{
	my ($what, $run) = @_;

	$run->{harness}->finish;
	ok($run->{harness}->result(0) == 0 && ${ $run->{out} } !~ /error|abort/,
		"$what: $run->{name}")
	  or diag(${ $run->{out} });
}

# Readers and writers, and transactions that hold back every snapshot's xmin if
# those are wanted.  Returns how many hits there were.
sub run
{
	my ($node, $secs, $long, @readers) = @_;
	my $what = $node->name . ($long ? ', with long transactions' : '');
	my $hits = $node->safe_psql('postgres', 'SELECT hits FROM dbperf.cache_stats');
	my @writers = map { ('-f', /\/(attach|prepared|refresh|truncate)\.sql$/ ? "$_\@2" : "$_\@10") }
	  grep { !/\/(long|prepared_elsewhere)\.sql$/ } glob("$race/writers/*.sql");
	my $elsewhere = start($node, 'prepared transactions of other sessions',
		$secs, '-C', '-R', 4, '-f', "$race/writers/prepared_elsewhere.sql");
	my @runs = (
		start(
			$node, 'writers', $secs, '-c', 4, '-R', 150, '--max-tries=0', '-D',
			"copy_file='$dir/copy." . $node->name . "'", @writers));

	push @runs, start($node, 'long transactions', $secs, '-f', "$race/writers/long.sql")
	  if $long;
	push @runs, start($node, "readers, $_ protocol", $secs, '-c', 3, '-M', $_, '--max-tries=0', @readers)
	  foreach ('simple', 'extended', 'prepared');
	check($what, $elsewhere);
	# others wait for its row locks before they end
	$node->safe_psql('postgres', "COMMIT PREPARED 'elsewhere'")
	  if $node->safe_psql('postgres',
		"SELECT count(*) FROM pg_prepared_xacts WHERE gid = 'elsewhere'");
	check($what, $_) foreach (@runs);
	return $node->safe_psql('postgres', 'SELECT hits FROM dbperf.cache_stats') - $hits;
}

# The lines of the log that tell of wrong results.
sub wrong
{
	my ($node) = @_;

	return grep { /cache race: wrong/ } split /\n/, slurp_file($node->logfile);
}

# ---- the cache as it is ----

my $node = make_server('right', 'dbperf,pg_stat_statements');
my @readers = make_readers($node);
my $hits = run($node, int($seconds / 2), 0, @readers);

$hits += run($node, int($seconds / 2), 1, @readers);

my @wrong = wrong($node);

note("$hits hits were checked in $seconds s, " . scalar(@wrong) . ' of them were wrong');
note($node->safe_psql('postgres', 'SELECT * FROM dbperf.cache_stats', extra_params => ['-x']));
is(scalar(@wrong), 0, 'no result was wrong') or diag(join("\n", @wrong[ 0 .. ($#wrong < 9 ? $#wrong : 9) ]));
cmp_ok($hits, '>=', $min_hits, 'enough of them were checked');
$node->stop;

# ---- and with a rule that is broken ----

mkdir("$dir/late_writes");
copy("$race/late_writes/$_", "$dir/late_writes/$_") or die "$_: $!"
  foreach ('Makefile', 'late_writes.c');
command_ok([ 'make', '-s', '-C', "$dir/late_writes", 'with_llvm=no' ], 'the library that breaks it');

$node = make_server('broken', "dbperf,pg_stat_statements,$dir/late_writes/late_writes");
$hits = run($node, $broken_seconds, 0, @readers);
@wrong = wrong($node);
note("the broken rule: $hits hits, " . scalar(@wrong) . ' wrong results');
cmp_ok(scalar(@wrong), '>', 0, 'a broken rule is found out');
$node->stop;

done_testing();
